// What joins the hidden layers of gated and residual networks (kernels/network/wiring.py), on the rows of one panel: sums of
// jets, and products by Leibniz' rule, whose rows of two factors (kernels/language/jet_product.py) go as those of
// any_activation.h do, for any channel set.
#pragma once

#include <cstring>

#include "any_activation.h"

namespace PSINN_NAMESPACE {

// U, V and the activations of the first hidden layer, one after the other.
constexpr int GATES = 3;

template <class T>
void add_to(T* to, const T* from, psinn::Index numbers) {
  for (psinn::Index i = 0; i < numbers; i += LANES<T>) store<T>(to + i, load<T>(to + i) + load<T>(from + i));
}

template <class T>
void subtract_from(T* to, const T* from, psinn::Index numbers) {
  for (psinn::Index i = 0; i < numbers; i += LANES<T>) store<T>(to + i, load<T>(to + i) - load<T>(from + i));
}

// Jets of `rows` features: c += a b and its adjoint.
template <class T>
struct JetProduct {
  static constexpr int L = LANES<T>, JETS = 6;  // a, b, c, their adjoints
  using Index = psinn::Index;
  const Rules& rules;
  int sub;
  Index rows;

  Index stride() const { return static_cast<Index>(rules.n_channels) * sub * L; }
  Index numbers() const { return rows * stride(); }

  void add(const T* a, const T* b, T* c) const {
    T* const jets[JETS] = {const_cast<T*>(a), const_cast<T*>(b), c};
    run(rules.n_rows, rules.n_product_rows, jets);
  }
  // a_bar = ..., b_bar += ...
  void adjoint(const T* a, const T* b, const T* c_bar, T* a_bar, T* b_bar) const {
    T* const jets[JETS] = {const_cast<T*>(a), const_cast<T*>(b), nullptr, a_bar, b_bar, const_cast<T*>(c_bar)};
    run(rules.n_product_rows, rules.n_all_rows, jets);
  }

 private:
  void run(int first, int last, T* const (&jets)[JETS]) const {
    for (int s = 0; s < sub; ++s) {
      Index row = 0;
      for (; row + BLOCK <= rows; row += BLOCK) run_block<BLOCK>(first, last, jets, row * stride() + s * L);
      for (; row < rows; ++row) run_block<1>(first, last, jets, row * stride() + s * L);
    }
  }

  template <int N>
  void run_block(int first, int last, T* const (&jets)[JETS], Index at) const {
    T* v[JETS * MOST_CHANNELS];
    for (int j = 0, number = 0; j < JETS; ++j)
      for (int c = 0; c < rules.n_channels; ++c) v[number++] = jets[j] ? jets[j] + at + c * sub * L : nullptr;
    run_rows<T, N>(rules, first, last, false, v, stride());
  }
};

// h = a U + (1 - a) V = V + a (U - V). `gates`: U - V, then V.
template <class T>
void blend(const JetProduct<T>& product, const T* a, const T* gates, T* h) {
  const T* v = gates + product.numbers();
  std::memcpy(h, v, static_cast<std::size_t>(product.numbers()) * sizeof(T));
  product.add(a, gates, h);
}

// a_bar, and adds to gates_bar, those of U - V and of V.
template <class T>
void blend_adjoint(const JetProduct<T>& product, const T* a, const T* gates, const T* h_bar, T* a_bar, T* gates_bar) {
  product.adjoint(a, gates, h_bar, a_bar, gates_bar);
  add_to(gates_bar + product.numbers(), h_bar, product.numbers());
}

}  // namespace PSINN_NAMESPACE
