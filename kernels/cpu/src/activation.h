// tanh of a jet and its adjoint, on the rows of one panel.
//
// Vector c * sub + s of a row is channel c of the panel's s-th vector of points. h holds the channels from first() on.
#pragma once

#include "rules.h"
#include "tanh.h"

namespace PSINN_NAMESPACE {

// f[k] = tanh^(k)(z) for k = 0..order, as polynomials in t = tanh z; order <= 5.
template <class T>
PSINN_INLINE void tanh_derivatives(Vec<T> t, int order, Vec<T>* f) {
  f[0] = t;
  if (order >= 1) f[1] = T(1) - t * t;
  if (order >= 2) f[2] = T(-2) * t * f[1];
  if (order >= 3) f[3] = f[1] * (T(4) - T(6) * f[1]);
  if (order >= 4) f[4] = t * (f[1] * (T(24) * f[1] - T(8)));
  if (order >= 5) f[5] = f[1] * (T(16) + (t * t) * (T(120) * (t * t) - T(120)));
}

template <class T, class R>
PSINN_INLINE Vec<T> evaluate(const R& rule, int first, int last, const Vec<T>* z) {
  Vec<T> sum{};
  PSINN_UNROLL
  for (int m = first; m < last; ++m) {
    const Monomial& monomial = rule.monomial(m);
    Vec<T> value = z[monomial.factors[0]];
    PSINN_UNROLL
    for (int i = 1; i < monomial.n_factors; ++i) value *= z[monomial.factors[i]];
    sum += monomial.coefficient == 1 ? value : value * static_cast<T>(monomial.coefficient);
  }
  return sum;
}

template <int STRIDE, int SIZE, int N, class V>
PSINN_INLINE void butterflies(int first, int last, V (&v)[SIZE][N]) {
  PSINN_UNROLL
  for (int j = 0; j < SIZE; ++j)
    if (!(j & STRIDE)) PSINN_UNROLL
      for (int c = first; c < last; ++c) {
        const V a = v[j][c], b = v[j + STRIDE][c];
        v[j][c] = a + b;
        v[j + STRIDE][c] = a - b;
      }
}

// In place, for each of the vectors c: v[r][c] <- sum_j H[r][j] v[j][c], with Walsh-Hadamard matrices of `mixing` rows
// on the diagonal.
template <int SIZE, int N, class V>
PSINN_INLINE void mix(int mixing, int first, int last, V (&v)[SIZE][N]) {
  if constexpr (SIZE >= 2)
    if (mixing >= 2) butterflies<1>(first, last, v);
  if constexpr (SIZE >= 4)
    if (mixing >= 4) butterflies<2>(first, last, v);
}

// Rows of an orbit, the k-th time; rows are `stride` numbers apart.
template <int SIZE, class P>
PSINN_INLINE void rows_of(const int* numbers, int k, psinn::Index stride, P* start, P* (&rows)[SIZE]) {
  PSINN_UNROLL
  for (int j = 0; j < SIZE; ++j) rows[j] = start + (numbers[j] + k) * stride;
}

// One vector of points: outputs h of an orbit to its operands, channels first..n; `width`: numbers between channels.
template <class T, int SIZE, int N>
PSINN_INLINE void store_operands(const psinn::Orbit& orbit, int first, int n, int width, Vec<T> (&h)[SIZE][N],
                                 T* const (&to)[SIZE], int at) {
  if (orbit.n_sums > 0) {
    PSINN_UNROLL
    for (int i = 0; i < SIZE; ++i) {
      if (i >= orbit.n_sums) break;
      PSINN_UNROLL
      for (int c = first; c < n; ++c) {
        Vec<T> sum = T(orbit.sum[i][0]) * h[0][c];
        PSINN_UNROLL
        for (int j = 1; j < SIZE; ++j) sum += T(orbit.sum[i][j]) * h[j][c];
        store<T>(to[i] + at + (c - first) * width, sum);
      }
    }
    return;
  }
  mix(orbit.mixing_after, first, n, h);
  PSINN_UNROLL
  for (int j = 0; j < SIZE; ++j) PSINN_UNROLL
    for (int c = first; c < n; ++c) store<T>(to[j] + at + (c - first) * width, h[j][c]);
}

// The adjoint: h_bar of an orbit from those of its operands.
template <class T, int SIZE, int N>
PSINN_INLINE void load_outputs_bar(const psinn::Orbit& orbit, int first, int n, int width, const T* const (&from)[SIZE],
                                   int at, Vec<T> (&h)[SIZE][N]) {
  if (orbit.n_sums > 0) {
    PSINN_UNROLL
    for (int c = first; c < n; ++c) {
      const Vec<T> bar = load<T>(from[0] + at + (c - first) * width);
      PSINN_UNROLL
      for (int j = 0; j < SIZE; ++j) h[j][c] = T(orbit.sum[0][j]) * bar;
    }
    PSINN_UNROLL
    for (int i = 1; i < SIZE; ++i) {
      if (i >= orbit.n_sums) break;
      PSINN_UNROLL
      for (int c = first; c < n; ++c) {
        const Vec<T> bar = load<T>(from[i] + at + (c - first) * width);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) h[j][c] += T(orbit.sum[i][j]) * bar;
      }
    }
    return;
  }
  PSINN_UNROLL
  for (int j = 0; j < SIZE; ++j) PSINN_UNROLL
    for (int c = first; c < n; ++c) h[j][c] = load<T>(from[j] + at + (c - first) * width);
  mix(orbit.mixing_after, first, n, h);
}

// action(orbit, its size as a constant) for all orbits.
template <class Action>
PSINN_INLINE void for_orbits(const psinn::Orbits& orbits, const Action& action) {
  using std::integral_constant;
  for (int i = 0; i < orbits.count; ++i) {
    const psinn::Orbit& orbit = orbits.items[i];
    switch (orbit.size) {
      case 1: action(orbit, integral_constant<int, 1>{}); break;
      case 2: action(orbit, integral_constant<int, 2>{}); break;
      default: action(orbit, integral_constant<int, 4>{}); break;
    }
  }
}

// z: slots, left as the pre-activations of the orbit's neurons in the order of its slots, t in place of the value.
// h_c = sum_k tanh^(k)(z + bias) * (monomials in z's channels), mixed into the operands `out`.
template <class T, class R>
void activation_forward(const R& rule, const psinn::Orbits& orbits, T* z, const T* bias, T* out) {
  for_orbits(orbits, [&](const psinn::Orbit& orbit, auto size) {
    constexpr int L = LANES<T>, SIZE = decltype(size)::value;
    const int n = rule.channels(), first = rule.first(), sub = rule.sub(), width = sub * L;
    for (int k = 0; k < orbit.repeat; ++k) {
      T *slots[SIZE], *operands[SIZE];
      rows_of<SIZE>(orbit.slot, k, static_cast<psinn::Index>(n) * width, z, slots);
      rows_of<SIZE>(orbit.operand, k, static_cast<psinn::Index>(n - first) * width, out, operands);
      for (int s = 0; s < sub; ++s) {
        Vec<T> zs[SIZE][R::capacity], hs[SIZE][R::capacity];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) PSINN_UNROLL
          for (int c = 0; c < n; ++c) zs[j][c] = load<T>(slots[j] + s * L + c * width);
        if (SIZE > 1 && orbit.mixing > 1) {
          mix(orbit.mixing, 0, n, zs);
          PSINN_UNROLL
          for (int j = 0; j < SIZE; ++j) PSINN_UNROLL
            for (int c = 1; c < n; ++c) store<T>(slots[j] + s * L + c * width, zs[j][c]);
        }
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) {
          Vec<T>(&h)[R::capacity] = hs[j];
          Vec<T> f[MOST_ORDER + 2];
          const Vec<T> t = tanh<T>(zs[j][0] + (bias ? bias[orbit.neuron[j] + k] : T(0)));
          store<T>(slots[j] + s * L, t);
          tanh_derivatives<T>(t, rule.order(), f);
          h[0] = t;
          PSINN_UNROLL
          for (int c = 1; c < n; ++c) h[c] = f[1] * zs[j][c];
          for (int i = 0; i < rule.n_parts(); ++i) {
            const Part& part = rule.part(i);
            if (part.channel >= first) h[part.channel] += f[part.order] * evaluate<T>(rule, part.first, part.last, zs[j]);
          }
        }
        store_operands<T, SIZE, R::capacity>(orbit, first, n, width, hs, operands, s * L);
      }
    }
  });
}

// From the adjoints of the operands to those of the slots, which replace z; bias_bar[neuron] += z_bar of the value, lane
// by lane. value_bar, if not null: that z_bar for each point, neuron after neuron.
template <class T, class R>
void activation_adjoint(const R& rule, const psinn::Orbits& orbits, T* z, const T* out_bar, T* bias_bar, T* value_bar) {
  for_orbits(orbits, [&](const psinn::Orbit& orbit, auto size) {
    constexpr int L = LANES<T>, SIZE = decltype(size)::value;
    const int n = rule.channels(), first = rule.first(), sub = rule.sub(), width = sub * L;
    for (int k = 0; k < orbit.repeat; ++k) {
      T* slots[SIZE];
      const T* operands[SIZE];
      rows_of<SIZE>(orbit.slot, k, static_cast<psinn::Index>(n) * width, z, slots);
      rows_of<SIZE>(orbit.operand, k, static_cast<psinn::Index>(n - first) * width, out_bar, operands);
      for (int s = 0; s < sub; ++s) {
        Vec<T> hs[SIZE][R::capacity], outs[SIZE][R::capacity];
        load_outputs_bar<T, SIZE, R::capacity>(orbit, first, n, width, operands, s * L, hs);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) {
          Vec<T>(&h)[R::capacity] = hs[j];
          Vec<T>(&out)[R::capacity] = outs[j];
          Vec<T> zs[R::capacity], f[MOST_ORDER + 2];
          out[0] = zs[0] = Vec<T>{};
          PSINN_UNROLL
          for (int c = 0; c < n; ++c) zs[c] = load<T>(slots[j] + s * L + c * width);
          tanh_derivatives<T>(zs[0], rule.order() + 1, f);
          PSINN_UNROLL
          for (int c = 0; c < n; ++c) out[c] = c >= first ? f[1] * h[c] : Vec<T>{};
          if (n > 1) {
            Vec<T> weighted{};
            PSINN_UNROLL
            for (int c = first > 1 ? first : 1; c < n; ++c) weighted += zs[c] * h[c];
            out[0] += f[2] * weighted;
          }
          for (int i = 0; i < rule.n_parts(); ++i) {
            const Part& part = rule.part(i);
            if (part.channel < first) continue;
            const Vec<T> c_bar = h[part.channel];
            out[0] += f[part.order + 1] * (c_bar * evaluate<T>(rule, part.first, part.last, zs));
            const Vec<T> common = f[part.order] * c_bar;
            PSINN_UNROLL
            for (int p = part.partial_first; p < part.partial_last; ++p) {
              const Partial& partial = rule.partial(p);
              out[partial.b] += common * evaluate<T>(rule, partial.first, partial.last, zs);
            }
          }
          T* sum = bias_bar + (orbit.neuron[j] + k) * L;
          store<T>(sum, load<T>(sum) + out[0]);
          if (value_bar) store<T>(value_bar + static_cast<psinn::Index>(orbit.neuron[j] + k) * width + s * L, out[0]);
        }
        mix(orbit.mixing, 0, n, outs);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) PSINN_UNROLL
          for (int c = 0; c < n; ++c) store<T>(slots[j] + s * L + c * width, outs[j][c]);
      }
    }
  });
}

}  // namespace PSINN_NAMESPACE
