// The activation of a jet and its adjoint for channel sets known at compile time, neuron by neuron.
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

// More channels than fit into registers: activations are chosen for each vector then, which is less code.
template <class R>
constexpr bool is_large = R::capacity > 6;

// action(formulas of the activation).
template <class R, class Action>
PSINN_INLINE void with_formulas(psinn::Activation kind, const Action& action) {
  if constexpr (is_large<R>)
    action(AnyActivation{kind});
  else
    with_inlined(kind, action);
}

// h_c = sum_k a^(k)(z) * (monomials in z's channels), the value being kept already. T* h: rows of R's channels from first on.
template <class T, class R>
void jets_forward(const AnyRule&, const Neurons<T>& neurons) {
  with_formulas<R>(neurons.kind, [&](auto own) PSINN_LAMBDA {
    constexpr int L = LANES<T>, n = R::channels(), first = R::first(), sub = R::sub(), width = sub * L;
    const T* z = neurons.z;
    T* out = neurons.h;
    for (int r = 0; r < neurons.count; ++r, z += n * width, out += (n - first) * width)
      for (int s = 0; s < sub; ++s) {
        Vec<T> zs[n], hs[n];
        PSINN_UNROLL_CHANNELS
        for (int c = 1; c < n; ++c) zs[c] = load<T>(z + s * L + c * width);
        jet_forward<R>(forms_of<R::order() + 1>(own, neurons, z + s * L, r, s, sub), zs, hs);
        PSINN_UNROLL_CHANNELS
        for (int c = first; c < n; ++c) store<T>(out + s * L + (c - first) * width, hs[c]);
      }
  });
}

// From the adjoints of h to those of z, which replace z; adds z_bar of the value to bias_bar, lane by lane, and stores it in
// value_bar, if that is not null.
template <class T, class R>
void jets_adjoint(const AnyRule&, const Neurons<T>& neurons) {
  with_formulas<R>(neurons.kind, [&](auto own) PSINN_LAMBDA {
    constexpr int L = LANES<T>, n = R::channels(), first = R::first(), sub = R::sub(), width = sub * L;
    T* z = neurons.z;
    const T* h_bar = neurons.h;
    for (int r = 0; r < neurons.count; ++r, z += n * width, h_bar += (n - first) * width)
      for (int s = 0; s < sub; ++s) {
        Vec<T> zs[n], hs[n], z_bar[n];
        PSINN_UNROLL_CHANNELS
        for (int c = 1; c < n; ++c) zs[c] = load<T>(z + s * L + c * width);
        PSINN_UNROLL_CHANNELS
        for (int c = first; c < n; ++c) hs[c] = load<T>(h_bar + s * L + (c - first) * width);
        jet_adjoint<R>(forms_of<R::order() + 2>(own, neurons, z + s * L, r, s, sub), zs, hs, z_bar);
        neurons.add_value_bar(r, s, sub, z_bar[0]);
        PSINN_UNROLL_CHANNELS
        for (int c = 0; c < n; ++c) store<T>(z + s * L + c * width, z_bar[c]);
      }
  });
}

}  // namespace PSINN_NAMESPACE
