// The first layer: z = A x + b. Its first derivatives are the columns of A, the same at all points, and its higher ones
// vanish, so h_c = a^(|c|)(z) * power_c with power_c a polynomial in the columns of A. In a network of one layer
// the activation is left out.
#pragma once

#include "any_activation.h"

namespace PSINN_NAMESPACE {

using psinn::Index;
using psinn::Network;

template <class T, bool LINEAR>
PSINN_INLINE void first_derivatives(psinn::Activation kind, Vec<T> z, int order, Vec<T>* f) {
  if constexpr (LINEAR) {
    f[0] = z;
    for (int k = 1; k <= order; ++k) f[k] = broadcast<T>(T(k == 1));
  } else {
    derivatives_of<T>(kind, z, order, f);
  }
}

// action(number of inputs, is the network linear), both known at compile time. Known sets have first derivatives by
// `n_units` of the inputs, and serve no linear networks.
template <class T, class R, class Action>
PSINN_INLINE void with_inputs(const R&, const Network<T>& net, const Action& action) {
  each<1, 5>([&](auto d) PSINN_LAMBDA {
    constexpr int inputs = decltype(d)::value;
    if (net.d_in != inputs) return;
    if constexpr (!R::fixed) {
      if (net.n_layers == 1)
        action(d, std::true_type{});
      else
        action(d, std::false_type{});
    } else if constexpr (inputs >= R::Set::n_units) {
      action(d, std::false_type{});
    }
  });
}

// x: (d, sub) vectors; t: (width, sub), what is kept for the adjoint; out: operands, rows of (channels - first, sub).
template <class T, class R>
void first_forward(const R& rule, const Network<T>& net, const T* w, const T* powers, const T* x, T* t, T* out) {
  const bool linear = !R::fixed && net.n_layers == 1;
  const psinn::Activation kind = net.orbits0.activation;
  for_orbits(net.orbits0, [&](const psinn::Orbit& orbit, auto size) {
    constexpr int L = LANES<T>, SIZE = decltype(size)::value;
    const int n = rule.channels(), first = rule.first(), sub = rule.sub(), width = sub * L;
    for (int k = 0; k < orbit.repeat; ++k) {
      T* operands[SIZE];
      rows_of<SIZE>(orbit.operand, k, static_cast<Index>(n - first) * width, out, operands);
      for (int s = 0; s < sub; ++s) {
        Vec<T> hs[SIZE][R::capacity];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) {
          const int row = orbit.neuron[j] + k;
          const T* a = w + net.weight0 + static_cast<Index>(row) * net.d_in;
          const T* power = powers + static_cast<Index>(row) * n;
          Vec<T> z = broadcast<T>(net.bias0 < 0 ? T(0) : w[net.bias0 + row]), f[MOST_ORDER + 2];
          for (int i = 0; i < net.d_in; ++i) z += a[i] * load<T>(x + i * width + s * L);
          if (linear) {
            first_derivatives<T, true>(kind, z, rule.order(), f);
          } else {
            z = keep<T>(kind, z);
            first_derivatives<T, false>(kind, z, rule.order(), f);
          }
          store<T>(t + static_cast<Index>(row) * width + s * L, z);
          if (!R::fixed && SIZE == 1 && is_direct(orbit)) {
            for (int c = first; c < n; ++c)
              store<T>(operands[j] + s * L + (c - first) * width, c ? f[rule.orders(c)] * power[c] : f[0]);
            continue;
          }
          PSINN_UNROLL
          for (int c = first; c < n; ++c) hs[j][c] = c ? f[rule.orders(c)] * power[c] : f[0];
        }
        if (R::fixed || SIZE > 1 || !is_direct(orbit))
          store_operands<T, SIZE, R::capacity>(orbit, first, n, width, hs, operands, s * L);
      }
    }
  });
}

// h_bar, neuron after neuron, from the adjoints of the operands; rows of `width` vectors.
template <class T>
void outputs_bar(const psinn::Orbits& orbits, int width, const T* operands_bar, T* h_bar) {
  for_orbits(orbits, [&](const psinn::Orbit& orbit, auto size) {
    constexpr int L = LANES<T>, SIZE = decltype(size)::value;
    const Index stride = static_cast<Index>(width) * L;
    for (int k = 0; k < orbit.repeat; ++k) {
      const T* from[SIZE];
      T* to[SIZE];
      rows_of<SIZE>(orbit.operand, k, stride, operands_bar, from);
      rows_of<SIZE>(orbit.neuron, k, stride, h_bar, to);
      for (int v = 0; v < width; ++v) {
        Vec<T> hs[SIZE][1];
        load_outputs_bar<T, SIZE, 1>(orbit, 0, 1, 0, from, v * L, hs);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) store<T>(to[j] + v * L, hs[j][0]);
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
  with_inputs(rule, net, [&](auto inputs, auto is_linear) {
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
          first_derivatives<T, linear>(net.orbits0.activation, load<T>(t + p * t_step + (static_cast<Index>(row) * sub + s) * L), rule.order() + 1, f);
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
