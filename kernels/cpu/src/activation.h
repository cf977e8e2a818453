// The activation of a jet and its adjoint, on the rows of one panel.
//
// Vector c * sub + s of a row is channel c of the panel's s-th vector of points. h holds the channels from first() on.
#pragma once

#include "forms.h"

namespace PSINN_NAMESPACE {

// The sum of a set's monomials FIRST..LAST - 1.
template <class T, class Set, int FIRST, int LAST>
PSINN_INLINE Vec<T> evaluate(const Vec<T>* z) {
  Vec<T> sum{};
  each<FIRST, LAST>([&](auto m) PSINN_LAMBDA {
    constexpr Monomial monomial = Set::monomials[decltype(m)::value];
    Vec<T> value = z[monomial.factors[0]];
    each<1, monomial.n_factors>([&](auto i) PSINN_LAMBDA { value *= z[monomial.factors[decltype(i)::value]]; });
    if constexpr (monomial.coefficient != 1) value *= static_cast<T>(monomial.coefficient);
    sum += value;
  });
  return sum;
}

template <int STRIDE, int SIZE, int N, class V>
PSINN_INLINE void butterflies(int first, int last, V (&v)[SIZE][N]) {
  PSINN_UNROLL
  for (int j = 0; j < SIZE; ++j)
    if (!(j & STRIDE)) PSINN_UNROLL_CHANNELS
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

// Whether the operands are the outputs.
inline bool is_direct(const psinn::Orbit& orbit) { return orbit.n_sums == 0 && orbit.mixing_after <= 1; }

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
      PSINN_UNROLL_CHANNELS
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
  for (int j = 0; j < SIZE; ++j) PSINN_UNROLL_CHANNELS
    for (int c = first; c < n; ++c) store<T>(to[j] + at + (c - first) * width, h[j][c]);
}

// The adjoint: h_bar of an orbit from those of its operands.
template <class T, int SIZE, int N>
PSINN_INLINE void load_outputs_bar(const psinn::Orbit& orbit, int first, int n, int width, const T* const (&from)[SIZE],
                                   int at, Vec<T> (&h)[SIZE][N]) {
  if (orbit.n_sums > 0) {
    PSINN_UNROLL_CHANNELS
    for (int c = first; c < n; ++c) {
      const Vec<T> bar = load<T>(from[0] + at + (c - first) * width);
      PSINN_UNROLL
      for (int j = 0; j < SIZE; ++j) h[j][c] = T(orbit.sum[0][j]) * bar;
    }
    PSINN_UNROLL
    for (int i = 1; i < SIZE; ++i) {
      if (i >= orbit.n_sums) break;
      PSINN_UNROLL_CHANNELS
      for (int c = first; c < n; ++c) {
        const Vec<T> bar = load<T>(from[i] + at + (c - first) * width);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) h[j][c] += T(orbit.sum[i][j]) * bar;
      }
    }
    return;
  }
  PSINN_UNROLL
  for (int j = 0; j < SIZE; ++j) PSINN_UNROLL_CHANNELS
    for (int c = first; c < n; ++c) h[j][c] = load<T>(from[j] + at + (c - first) * width);
  mix(orbit.mixing_after, first, n, h);
}

// h from the channels z of a neuron and its forms to the set's order; z[0] itself is not read.
template <class R, class T, class Own>
PSINN_INLINE void jet_forward(const Forms<T, Own>& forms, const Vec<T>* z, Vec<T>* h) {
  using Set = typename R::Set;
  Vec<T> f[R::order() + 1];
  forms.template get<R::order()>(f);
  h[0] = f[0];
  each<1, R::channels()>([&](auto c) PSINN_LAMBDA { h[decltype(c)::value] = f[1] * z[decltype(c)::value]; });
  each<0, Set::n_parts>([&](auto i) PSINN_LAMBDA {
    constexpr Part part = Set::parts[decltype(i)::value];
    if constexpr (part.channel >= R::first())
      h[part.channel] += f[part.order] * evaluate<T, Set, part.first, part.last>(z);
  });
}

// z_bar from h_bar and the forms to one order more.
template <class R, class T, class Own>
PSINN_INLINE void jet_adjoint(const Forms<T, Own>& forms, const Vec<T>* z, const Vec<T>* h_bar, Vec<T>* z_bar) {
  using Set = typename R::Set;
  constexpr int n = R::channels(), first = R::first();
  Vec<T> f[R::order() + 2];
  forms.template get<R::order() + 1>(f);
  PSINN_UNROLL_CHANNELS
  for (int c = 0; c < n; ++c) z_bar[c] = c >= first ? f[1] * h_bar[c] : Vec<T>{};
  if constexpr (n > 1) {
    Vec<T> weighted{};
    PSINN_UNROLL_CHANNELS
    for (int c = first > 1 ? first : 1; c < n; ++c) weighted += z[c] * h_bar[c];
    z_bar[0] += f[2] * weighted;
  }
  each<0, Set::n_parts>([&](auto i) PSINN_LAMBDA {
    constexpr Part part = Set::parts[decltype(i)::value];
    if constexpr (part.channel >= first) {
      const Vec<T> c_bar = h_bar[part.channel];
      z_bar[0] += f[part.order + 1] * (c_bar * evaluate<T, Set, part.first, part.last>(z));
      const Vec<T> common = f[part.order] * c_bar;
      each<part.partial_first, part.partial_last>([&](auto p) PSINN_LAMBDA {
        constexpr Partial partial = Set::partials[decltype(p)::value];
        z_bar[partial.b] += common * evaluate<T, Set, partial.first, partial.last>(z);
      });
    }
  });
}

// More channels than fit into registers. Orbits of several neurons share one copy then, which halves what there is to
// compile, and activations are chosen for each vector. With very many they are left to the rule for any set.
template <class R>
constexpr bool is_large = R::capacity > 6;
template <class R, int SIZE>
constexpr bool is_shared = SIZE > 1 && is_large<R>;
template <class R, int SIZE>
constexpr bool is_served = SIZE == 1 || R::capacity <= 15;

template <class R>
bool serves(const psinn::Orbits& orbits) {
  bool all = true;
  for (int i = 0; i < orbits.count; ++i) all = all && (orbits.items[i].size == 1 || is_served<R, 2>);
  return all;
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
// The same with those that a rule serves.
template <class R, class Action>
PSINN_INLINE void for_orbits(const psinn::Orbits& orbits, const Action& action) {
  for_orbits(orbits, [&](const psinn::Orbit& orbit, auto size) PSINN_LAMBDA {
    if constexpr (is_served<R, decltype(size)::value>) action(orbit, size);
  });
}

// action(formulas of the activation).
template <class R, class Action>
PSINN_INLINE void with_formulas(psinn::Activation kind, const Action& action) {
  if constexpr (is_large<R>)
    action(AnyActivation{kind});
  else
    with_inlined(kind, action);
}

template <class R, class T, class Own>
__attribute__((noinline)) void shared_forward(const Forms<T, Own>& forms, const Vec<T>* z, Vec<T>* h) {
  jet_forward<R>(forms, z, h);
}
template <class R, class T, class Own>
__attribute__((noinline)) void shared_adjoint(const Forms<T, Own>& forms, const Vec<T>* z, const Vec<T>* h_bar, Vec<T>* z_bar) {
  jet_adjoint<R>(forms, z, h_bar, z_bar);
}

// a(z), a'(z), ... of an orbit's neurons k..k + count - 1, for the s-th vector of points: neuron after neuron, those of one
// side by side.
template <class T, int SIZE>
struct OrbitForms {
  const psinn::Orbits& orbits;
  const psinn::Orbit& orbit;
  int channels, sub, order;
  T *z, *kept;
  psinn::Activation kind = orbits.activation;
  int more = psinn::N_KEPT[static_cast<int>(kind)] - 1;

  Places<Vec<T>> values(int j, int k, int s) const {
    const psinn::Index stride = static_cast<psinn::Index>(channels) * sub;
    return {vectors<T>(z) + (orbit.slot[j] + k) * stride + s, stride};
  }
  Places<Vec<T>> rest(int j, int k, int s) const {
    const psinn::Index stride = static_cast<psinn::Index>(sub) * more;
    return {vectors<T>(kept) + (orbit.neuron[j] + k) * stride + s * more, stride};
  }

  // From slots to f[0..order], to what is kept alone if order is -1.
  __attribute__((noinline)) void forward(int k, int count, int s, const T* bias, Vec<T>* f) const {
    if (SIZE > 1 && orbit.mixing > 1)
      for (int r = 0; r < count; ++r) {
        Vec<T> own[SIZE][1];
        for (int j = 0; j < SIZE; ++j) own[j][0] = *values(j, k, s)(r);
        mix(orbit.mixing, 0, 1, own);
        for (int j = 0; j < SIZE; ++j) *values(j, k, s)(r) = own[j][0];
      }
    const int forms = order + 1;
    for (int j = 0; j < SIZE; ++j)
      forms_forward<T>(kind, order, count, values(j, k, s), bias ? bias + orbit.neuron[j] + k : nullptr,
                       rest(j, k, s), {f + j * forms, SIZE * forms});
  }

  // From what was kept to f[1..order + 1].
  __attribute__((noinline)) void backward(int k, int count, int s, Vec<T>* f) const {
    const int forms = order + 2;
    for (int j = 0; j < SIZE; ++j)
      forms_backward<T>(kind, order + 1, count, {values(j, k, s).start, values(j, k, s).step},
                        {rest(j, k, s).start, rest(j, k, s).step}, {f + j * forms, SIZE * forms});
  }
};

// z: slots, left as the pre-activations of the orbit's neurons in the order of its slots, with what is kept in place of
// the value, and in `kept` if that is more than a number. h_c = sum_k a^(k)(z + bias) * (monomials in z's channels), mixed
// into the operands `out`.
template <class Own, class T, class R>
PSINN_INLINE void forward_by(Own own, const R& rule, const psinn::Orbits& orbits, T* z, const T* bias, T* kept, T* out) {
  for_orbits<R>(orbits, [&](const psinn::Orbit& orbit, auto size) {
    constexpr int L = LANES<T>, SIZE = decltype(size)::value, BLOCK = block_neurons(SIZE), FORMS = R::order() + 1;
    const int n = rule.channels(), first = rule.first(), sub = rule.sub(), width = sub * L;
    const bool inlined = is_inlined(own);
    const OrbitForms<T, SIZE> forms{orbits, orbit, n, sub, inlined ? -1 : R::order(), z, kept};
    Vec<T> others[R::sub()][BLOCK][SIZE][FORMS];
    for (int k = 0; k < orbit.repeat; ++k) {
      const int at = k % BLOCK, count = inlined ? orbit.repeat : orbit.repeat - k < BLOCK ? orbit.repeat - k : BLOCK;
      if (k == 0 || (at == 0 && !inlined))
        for (int s = 0; s < sub; ++s) forms.forward(k, count, s, bias, others[s][0][0]);
      T *slots[SIZE], *operands[SIZE];
      rows_of<SIZE>(orbit.slot, k, static_cast<psinn::Index>(n) * width, z, slots);
      rows_of<SIZE>(orbit.operand, k, static_cast<psinn::Index>(n - first) * width, out, operands);
      for (int s = 0; s < sub; ++s) {
        Vec<T> zs[SIZE][R::capacity], hs[SIZE][R::capacity];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) PSINN_UNROLL_CHANNELS
          for (int c = 1; c < n; ++c) zs[j][c] = load<T>(slots[j] + s * L + c * width);
        if (SIZE > 1 && orbit.mixing > 1) {
          mix(orbit.mixing, 1, n, zs);
          PSINN_UNROLL
          for (int j = 0; j < SIZE; ++j) PSINN_UNROLL_CHANNELS
            for (int c = 1; c < n; ++c) store<T>(slots[j] + s * L + c * width, zs[j][c]);
        }
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) {
          const Forms<T, Own> f{own, slots[j] + s * L, kept, (orbit.neuron[j] + k) * sub + s, others[s][at][j]};
          if constexpr (is_shared<R, SIZE>)
            shared_forward<R>(f, zs[j], hs[j]);
          else
            jet_forward<R>(f, zs[j], hs[j]);
        }
        store_operands<T, SIZE, R::capacity>(orbit, first, n, width, hs, operands, s * L);
      }
    }
  });
}
template <class T, class R>
void activation_forward(const R& rule, const psinn::Orbits& orbits, T* z, const T* bias, T* kept, T* out) {
  with_formulas<R>(orbits.activation, [&](auto own) PSINN_LAMBDA { forward_by(own, rule, orbits, z, bias, kept, out); });
}

// From the adjoints of the operands to those of the slots, which replace z; bias_bar[neuron] += z_bar of the value, lane
// by lane. value_bar, if not null: that z_bar for each point, neuron after neuron. `out`, the outputs, is not needed here.
template <class Own, class T, class R>
PSINN_INLINE void adjoint_by(Own own, const R& rule, const psinn::Orbits& orbits, T* z, T* kept, T* out_bar, T* bias_bar,
                             T* value_bar) {
  for_orbits<R>(orbits, [&](const psinn::Orbit& orbit, auto size) {
    constexpr int L = LANES<T>, SIZE = decltype(size)::value, BLOCK = block_neurons(SIZE), FORMS = R::order() + 2;
    const int n = rule.channels(), first = rule.first(), sub = rule.sub(), width = sub * L;
    const OrbitForms<T, SIZE> forms{orbits, orbit, n, sub, R::order(), z, kept};
    const bool inlined = is_inlined(own);
    Vec<T> others[R::sub()][BLOCK][SIZE][FORMS];
    for (int k = 0; k < orbit.repeat; ++k) {
      const int at = k % BLOCK;
      if (!inlined && at == 0)
        for (int s = 0; s < sub; ++s)
          forms.backward(k, orbit.repeat - k < BLOCK ? orbit.repeat - k : BLOCK, s, others[s][0][0]);
      T* slots[SIZE];
      const T* operands[SIZE];
      rows_of<SIZE>(orbit.slot, k, static_cast<psinn::Index>(n) * width, z, slots);
      rows_of<SIZE, const T>(orbit.operand, k, static_cast<psinn::Index>(n - first) * width, out_bar, operands);
      for (int s = 0; s < sub; ++s) {
        Vec<T> hs[SIZE][R::capacity], outs[SIZE][R::capacity];
        load_outputs_bar<T, SIZE, R::capacity>(orbit, first, n, width, operands, s * L, hs);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) {
          Vec<T>(&out)[R::capacity] = outs[j];
          Vec<T> zs[R::capacity];
          PSINN_UNROLL_CHANNELS
          for (int c = 1; c < n; ++c) zs[c] = load<T>(slots[j] + s * L + c * width);
          const Forms<T, Own> f{own, slots[j] + s * L, kept, (orbit.neuron[j] + k) * sub + s, others[s][at][j]};
          if constexpr (is_shared<R, SIZE>)
            shared_adjoint<R>(f, zs, hs[j], out);
          else
            jet_adjoint<R>(f, zs, hs[j], out);
          T* sum = bias_bar + (orbit.neuron[j] + k) * L;
          store<T>(sum, load<T>(sum) + out[0]);
          if (value_bar) store<T>(value_bar + static_cast<psinn::Index>(orbit.neuron[j] + k) * width + s * L, out[0]);
        }
        mix(orbit.mixing, 0, n, outs);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) PSINN_UNROLL_CHANNELS
          for (int c = 0; c < n; ++c) store<T>(slots[j] + s * L + c * width, outs[j][c]);
      }
    }
  });
}
template <class T, class R>
void activation_adjoint(const R& rule, const psinn::Orbits& orbits, T* z, T* kept, const T* /*out*/, T* out_bar,
                        T* bias_bar, T* value_bar) {
  with_formulas<R>(orbits.activation, [&](auto own) PSINN_LAMBDA {
    adjoint_by(own, rule, orbits, z, kept, out_bar, bias_bar, value_bar);
  });
}

}  // namespace PSINN_NAMESPACE
