// The first layer: z = A x + b. Its first derivatives are the columns of A, the same at all points, and its higher ones
// vanish, so h_c = a^(|c|)(z) * power_c with power_c a polynomial in the columns of A. In a network of one layer
// the activation is left out.
#pragma once

#include <cstring>

#include "any_activation.h"
#include "orbits.h"

namespace PSINN_NAMESPACE {

using psinn::Network;

// How many numbers are kept of a pre-activation of the first layer: of a linear network, itself.
template <class T>
int kept_of(const Network<T>& net) {
  return net.n_layers == 1 ? 1 : psinn::N_KEPT[static_cast<int>(net.orbits0.activation)];
}

// action(number of inputs), known at compile time.
template <class T, class Action>
PSINN_INLINE void with_inputs(const Network<T>& net, const Action& action) {
  each<1, 5>([&](auto d) PSINN_LAMBDA {
    if (net.d_in == decltype(d)::value) action(d);
  });
}

// f[0..order] of the neurons row..row + count - 1 for the s-th vector of points, none if order is -1; what is kept goes
// to t.
template <class T>
__attribute__((noinline)) void first_forms(const Network<T>& net, int order, int row, int count, int s, int sub, const T* w,
                                           const T* x, T* t, Places<Vec<T>> f) {
  constexpr int L = LANES<T>;
  const Index own = static_cast<Index>(row) * sub + s, more = kept_of(net) - 1;
  const Places<Vec<T>> z{vectors<T>(t) + own, sub};
  const T* bias = net.bias0 < 0 ? nullptr : w + net.bias0 + row;
  with_inputs(net, [&](auto inputs) PSINN_LAMBDA {
    constexpr int d = decltype(inputs)::value;
    const T* a = w + net.weight0 + static_cast<Index>(row) * d;
    for (int r = 0; r < count; ++r, a += d) {
      Vec<T> sum = broadcast<T>(bias ? bias[r] : T(0));
      PSINN_UNROLL
      for (int i = 0; i < d; ++i) sum += a[i] * load<T>(x + (i * sub + s) * L);
      *z(r) = sum;
    }
  });
  if (net.n_layers > 1) {
    Vec<T>* rest = vectors<T>(t) + static_cast<Index>(net.width0) * sub;
    return forms_forward<T>(net.orbits0.activation, order, count, z, nullptr, {rest + own * more, sub * more}, f);
  }
  for (int r = 0; r < count; ++r) {
    f(r)[0] = *z(r);
    for (int k = 1; k <= order; ++k) f(r)[k] = broadcast<T>(T(k == 1));
  }
}

// f[1..order] of one neuron for the s-th vectors of `count` panels, from the first one's t.
template <class T>
__attribute__((noinline)) void first_forms_backward(const Network<T>& net, int order, int row, int count, int s, int sub,
                                                    const T* t, Index t_step, Places<Vec<T>> f) {
  const Vec<T>* first = vectors<T>(t);
  const Index own = static_cast<Index>(row) * sub + s, step = t_step / LANES<T>;
  const Index rest = static_cast<Index>(net.width0) * sub + own * (kept_of(net) - 1);
  if (net.n_layers > 1)
    return forms_backward<T>(net.orbits0.activation, order, count, {first + own, step}, {first + rest, step}, f);
  for (int p = 0; p < count; ++p)
    for (int k = 1; k <= order; ++k) f(p)[k] = broadcast<T>(T(k == 1));
}

// f[0..FORMS - 1] of the i-th vector of a panel, in `own` or as `others` are.
template <class T, class R, int FORMS>
PSINN_INLINE const Vec<T>* first_forms_at(psinn::Activation kind, const T* z, const T* kept, Index i, const Vec<T>* others,
                                          Vec<T>* own) {
  if constexpr (!R::fixed) return others;
  Forms<T, AnyActivation>{{kind}, z, kept, i, others}.template get<FORMS - 1>(own);
  return own;
}

// h of neurons whose values are known: rows of (channels - first, sub). powers: of all neurons.
template <class T, class R>
void first_rows(const AnyRule& any, const T* powers, const Neurons<T>& neurons) {
  constexpr int L = LANES<T>, FORMS = R::most_order + 1;
  const auto& rule = R::of(any);
  const int n = rule.channels(), first = rule.first(), sub = rule.sub(), width = sub * L;
  const T* z = neurons.z;
  const T* power = powers + neurons.number * n;
  T* out = neurons.h;
  for (int r = 0; r < neurons.count; ++r, z += width, power += n, out += (n - first) * width)
    for (int s = 0; s < sub; ++s) {
      Vec<T> own[FORMS];
      const Vec<T>* others = neurons.forms + (s * BLOCK + r) * (rule.order() + 1);
      const Vec<T>* f = first_forms_at<T, R, FORMS>(neurons.kind, z + s * L, neurons.kept, (neurons.number + r) * sub + s,
                                                    others, own);
      PSINN_UNROLL
      for (int c = first; c < n; ++c)
        store<T>(out + s * L + (c - first) * width, c ? f[rule.orders(c)] * power[c] : f[0]);
    }
}

// h_bar, neuron after neuron, from the adjoints of the operands; rows of `width` vectors.
template <class T>
void outputs_bar(const psinn::Orbits& orbits, int width, T* operands_bar, T* memory, T* h_bar) {
  for_repeats<T>(orbits, false, [&](const auto& repeats, auto size) {
    constexpr int L = LANES<T>, SIZE = decltype(size)::value;
    repeats.to_outputs(width, operands_bar, memory);
    for (int j = 0; j < SIZE; ++j)
      std::memcpy(h_bar + (repeats.orbit.neuron[j] + repeats.k) * static_cast<Index>(width) * L,
                  repeats.outputs(j, width, operands_bar, memory),
                  static_cast<std::size_t>(repeats.count) * width * L * sizeof(T));
  });
}

// Numbers of vectors that a row accumulates: for b, for A (d), for power_c (all channels but the value).
inline int first_sums(int d, int channels) { return 1 + d + channels - 1; }

// From h_bar, all panels of a tile: z_bar takes the place of what t holds first, and what power_c is due is added to `sums`
// (width, first_sums). Panels lie *_step numbers apart.
template <class T, class R>
void first_adjoint(const AnyRule& any, const Network<T>& net, const T* powers, int count, T* t, Index t_step, const T* h_bar,
                   Index h_step, T* sums) {
  constexpr int L = LANES<T>, FORMS = R::most_order + 2;
  const auto& rule = R::of(any);
  const int n = rule.channels(), first = rule.first(), sub = rule.sub();
  const psinn::Activation kind = net.orbits0.activation;
  const bool inlined = R::fixed && is_inlined(AnyActivation{kind});
  for (int row = 0; row < net.width0; ++row) {
    const T* power = powers + static_cast<Index>(row) * n;
    T* own = sums + (static_cast<Index>(row) * first_sums(net.d_in, n) + net.d_in) * L;
    Vec<T> power_bar[R::capacity], others[R::most_sub][BLOCK][FORMS];
    for (int c = 1; c < n; ++c) power_bar[c] = load<T>(own + c * L);
    for (int p = 0; p < count; ++p) {
      const int at = p % BLOCK;
      if (!inlined && at == 0)
        for (int s = 0; s < sub; ++s)
          first_forms_backward<T>(net, rule.order() + 1, row, count - p < BLOCK ? count - p : BLOCK, s, sub, t + p * t_step,
                                  t_step, {others[s][0], FORMS});
      const T* kept = t + p * t_step + static_cast<Index>(net.width0) * sub * L;
      for (int s = 0; s < sub; ++s) {
        Vec<T> own_f[FORMS], z_bar{};
        const Index i = static_cast<Index>(row) * sub + s;
        T* z = t + p * t_step + i * L;
        const Vec<T>* f = first_forms_at<T, R, FORMS>(kind, z, kept, i, others[s][at], own_f);
        const T* hp = h_bar + p * h_step + (static_cast<Index>(row) * (n - first) * sub + s) * L;
        PSINN_UNROLL
        for (int c = first; c < n; ++c) {
          const Vec<T> h = load<T>(hp + (c - first) * sub * L);
          const int k = rule.orders(c);
          if (c) {
            z_bar += (h * f[k + 1]) * power[c];
            power_bar[c] += h * f[k];
          } else {
            z_bar += h * f[1];
          }
        }
        store<T>(z, z_bar);
      }
    }
    for (int c = 1; c < n; ++c) store<T>(own + c * L, power_bar[c]);
  }
}

// From z_bar, all panels of a tile: adds what b and A are due to `sums`, and to x_bar (d, sub) if not null.
template <class T>
void inputs_adjoint(const Network<T>& net, int n_sums, const T* w, int count, int sub, const T* x, Index x_step,
                    const T* z_bar, Index t_step, T* sums, T* x_bar) {
  constexpr int L = LANES<T>;
  with_inputs(net, [&](auto inputs) {
    constexpr int d = decltype(inputs)::value;
    // Sums of two rows at a time: the additions of one wait for each other.
    const auto add = [&](int row, auto number) {
      constexpr int ROWS = decltype(number)::value;
      const T* a = w + net.weight0 + static_cast<Index>(row) * d;
      T* own = sums + static_cast<Index>(row) * n_sums * L;
      const Index next = static_cast<Index>(n_sums) * L;
      Vec<T> total[ROWS][1 + d];
      PSINN_UNROLL
      for (int r = 0; r < ROWS; ++r) PSINN_UNROLL
        for (int i = 0; i <= d; ++i) total[r][i] = load<T>(own + r * next + i * L);
      for (int p = 0; p < count; ++p)
        for (int s = 0; s < sub; ++s) {
          const T* z = z_bar + p * t_step + (static_cast<Index>(row) * sub + s) * L;
          const Index at = p * x_step + s * L;
          PSINN_UNROLL
          for (int r = 0; r < ROWS; ++r) {
            const Vec<T> bar = load<T>(z + r * sub * L);
            total[r][0] += bar;
            PSINN_UNROLL
            for (int i = 0; i < d; ++i) total[r][1 + i] += bar * load<T>(x + at + i * sub * L);
            if (x_bar)
              for (int i = 0; i < d; ++i) {
                T* target = x_bar + at + i * sub * L;
                store<T>(target, load<T>(target) + a[r * d + i] * bar);
              }
          }
        }
      PSINN_UNROLL
      for (int r = 0; r < ROWS; ++r) PSINN_UNROLL
        for (int i = 0; i <= d; ++i) store<T>(own + r * next + i * L, total[r][i]);
    };
    int row = 0;
    for (; row + 1 < net.width0; row += 2) add(row, std::integral_constant<int, 2>{});
    if (row < net.width0) add(row, std::integral_constant<int, 1>{});
  });
}

// Adds the gradient by power_c of one row to that of the row of A: power_c is a_i for a first derivative, a sum of
// monomials in them for the others. `power_bar[c - 1]` belongs to channel c. V: double, or a vector of points.
template <class V, class T>
void powers_adjoint(const psinn::Rules& rules, const T* a, const V* power_bar, V* a_bar) {
  T seeds[MOST_CHANNELS] = {};
  int axis_of[MOST_CHANNELS] = {};
  for (int u = 0; u < rules.n_units; ++u) {
    seeds[rules.unit_channels[u]] = a[rules.unit_axes[u]];
    axis_of[rules.unit_channels[u]] = rules.unit_axes[u];
    a_bar[rules.unit_axes[u]] += power_bar[rules.unit_channels[u] - 1];
  }
  for (int k = 0; k < rules.n_leading; ++k) {
    const Part& part = rules.parts[rules.leading[k]];
    for (int p = part.partial_first; p < part.partial_last; ++p) {
      const Partial& partial = rules.partials[p];
      T slope = 0;
      for (int m = partial.first; m < partial.last; ++m) {
        T value = static_cast<T>(rules.monomials[m].coefficient);
        for (int i = 0; i < rules.monomials[m].n_factors; ++i) value *= seeds[rules.monomials[m].factors[i]];
        slope += value;
      }
      a_bar[axis_of[partial.b]] += power_bar[part.channel - 1] * slope;
    }
  }
}

}  // namespace PSINN_NAMESPACE
