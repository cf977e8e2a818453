// The first layer: z = A x + b. Its first derivatives are the columns of A, the same at all points, and its higher ones
// vanish, so h_c = tanh^(|c|)(z) * power_c with power_c a polynomial in the columns of A. In a network of one layer
// tanh is left out.
#pragma once

#include "activation.h"

namespace PSINN_NAMESPACE {

using psinn::Index;
using psinn::Network;

template <class T, bool LINEAR>
PSINN_INLINE void first_derivatives(Vec<T> z, int order, Vec<T>* f) {
  if constexpr (LINEAR) {
    f[0] = z;
    for (int k = 1; k <= order; ++k) f[k] = broadcast<T>(T(k == 1));
  } else {
    tanh_derivatives<T>(z, order, f);
  }
}

// action(number of inputs, is the network linear), both known at compile time.
template <class T, class Action>
PSINN_INLINE void with_inputs(const Network<T>& net, const Action& action) {
  using std::integral_constant;
  const auto linear = [&](auto d) {
    if (net.n_layers == 1)
      action(d, integral_constant<bool, true>{});
    else
      action(d, integral_constant<bool, false>{});
  };
  switch (net.d_in) {
    case 1: linear(integral_constant<int, 1>{}); break;
    case 2: linear(integral_constant<int, 2>{}); break;
    case 3: linear(integral_constant<int, 3>{}); break;
    default: linear(integral_constant<int, 4>{}); break;
  }
}

// x: (d, sub) vectors; t: (width, sub), kept for the adjoint; h: (width, channels - first, sub).
template <class T, class R>
void first_forward(const R& rule, const Network<T>& net, const T* w, const T* powers, const T* x, T* t, T* h) {
  with_inputs(net, [&](auto inputs, auto is_linear) {
    constexpr int L = LANES<T>, d = decltype(inputs)::value;
    constexpr bool linear = decltype(is_linear)::value;
    const int n = rule.channels(), first = rule.first(), sub = rule.sub();
    for (int row = 0; row < net.width0; ++row) {
      const T* a = w + net.weight0 + static_cast<Index>(row) * d;
      const T b = net.bias0 < 0 ? T(0) : w[net.bias0 + row];
      const T* power = powers + static_cast<Index>(row) * n;
      for (int s = 0; s < sub; ++s) {
        Vec<T> z = broadcast<T>(b), f[MOST_ORDER + 2];
        PSINN_UNROLL
        for (int i = 0; i < d; ++i) z += a[i] * load<T>(x + (i * sub + s) * L);
        if constexpr (!linear) z = tanh<T>(z);
        store<T>(t + (static_cast<Index>(row) * sub + s) * L, z);
        first_derivatives<T, linear>(z, rule.order(), f);
        T* hp = h + (static_cast<Index>(row) * (n - first) * sub + s) * L;
        PSINN_UNROLL
        for (int c = first; c < n; ++c) store<T>(hp + (c - first) * sub * L, c ? f[rule.orders(c)] * power[c] : z);
      }
    }
  });
}

// Numbers of vectors that a row accumulates: for b, for A (d), for power_c (all channels but the value).
inline int first_sums(int d, int channels) { return 1 + d + channels - 1; }

// From h_bar, all panels of a tile: adds to `sums` (width, first_sums) vectors, and to x_bar (d, sub) if not null.
// Panels lie *_step numbers apart.
template <class T, class R>
void first_adjoint(const R& rule, const Network<T>& net, const T* w, const T* powers, int count, const T* x, Index x_step,
                   const T* t, Index t_step, const T* h_bar, Index h_step, T* sums, T* x_bar) {
  with_inputs(net, [&](auto inputs, auto is_linear) {
    constexpr int L = LANES<T>, d = decltype(inputs)::value;
    constexpr bool linear = decltype(is_linear)::value;
    const int n = rule.channels(), first = rule.first(), sub = rule.sub(), n_sums = first_sums(d, n);
    for (int row = 0; row < net.width0; ++row) {
      const T* a = w + net.weight0 + static_cast<Index>(row) * d;
      const T* power = powers + static_cast<Index>(row) * n;
      T* own = sums + static_cast<Index>(row) * n_sums * L;
      Vec<T> b_bar = load<T>(own), a_bar[d], power_bar[R::capacity];
      PSINN_UNROLL
      for (int i = 0; i < d; ++i) a_bar[i] = load<T>(own + (1 + i) * L);
      for (int c = 1; c < n; ++c) power_bar[c] = load<T>(own + (d + c) * L);
      for (int p = 0; p < count; ++p)
        for (int s = 0; s < sub; ++s) {
          Vec<T> f[MOST_ORDER + 2], z_bar{};
          first_derivatives<T, linear>(load<T>(t + p * t_step + (static_cast<Index>(row) * sub + s) * L), rule.order() + 1, f);
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
          b_bar += z_bar;
          const T* xp = x + p * x_step + s * L;
          PSINN_UNROLL
          for (int i = 0; i < d; ++i) a_bar[i] += z_bar * load<T>(xp + i * sub * L);
          if (x_bar)
            for (int i = 0; i < d; ++i) {
              T* target = x_bar + p * x_step + (i * sub + s) * L;
              store<T>(target, load<T>(target) + a[i] * z_bar);
            }
        }
      store<T>(own, b_bar);
      PSINN_UNROLL
      for (int i = 0; i < d; ++i) store<T>(own + (1 + i) * L, a_bar[i]);
      for (int c = 1; c < n; ++c) store<T>(own + (d + c) * L, power_bar[c]);
    }
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
