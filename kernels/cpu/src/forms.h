// a(z), a'(z), ... of many neurons together, compiled once for each activation. What depends on the channels (activation.h,
// first_layer.h) reads them from memory, but for those that are inlined.
#pragma once

#include "functions.h"
#include "rules.h"

namespace PSINN_NAMESPACE {

// Neurons of an orbit's place that go together.
constexpr int block_neurons(int orbit_size) { return orbit_size == 4 ? 4 : 8; }
constexpr int BLOCK = block_neurons(1);

// Vectors that lie `step` of them apart.
template <class V>
struct Places {
  V* start;
  psinn::Index step;
  V* operator()(psinn::Index i) const { return start + i * step; }
};

template <class T>
PSINN_INLINE Vec<T>* vectors(T* numbers) {
  return reinterpret_cast<Vec<T>*>(numbers);
}
template <class T>
PSINN_INLINE const Vec<T>* vectors(const T* numbers) {
  return reinterpret_cast<const Vec<T>*>(numbers);
}

// Activations that are not inlined, in place of their formulas.
struct Others {};

// action(an activation's formulas, or Others). Activations whose derivatives follow from what is kept by a few operations
// are inlined: there reading derivatives costs more.
template <class Action>
PSINN_INLINE void with_inlined(psinn::Activation kind, const Action& action) {
  if (kind == psinn::Activation::tanh)
    action(Tanh{});
  else if (kind == psinn::Activation::sin)
    action(Sin{});
  else
    action(Others{});
}

// In place of the formulas, where they are chosen for each vector: less code, which costs small sets of channels a tenth.
struct AnyActivation {
  psinn::Activation kind;
};

template <class Own>
constexpr bool is_inlined(Own) {
  return true;
}
constexpr bool is_inlined(Others) { return false; }
inline bool is_inlined(AnyActivation any) {
  return any.kind == psinn::Activation::tanh || any.kind == psinn::Activation::sin;
}

// Where a(z), a'(z), ... of one vector are: in what is kept, `first` and the i-th of `more`, or at `others`.
template <class T, class Own>
struct Forms {
  Own own;
  const T *first, *more;
  psinn::Index i;
  const Vec<T>* others;

  // f[0..ORDER].
  template <int ORDER>
  PSINN_INLINE void get(Vec<T>* f) const {
    if constexpr (std::is_same_v<Own, AnyActivation>) {
      with_inlined(own.kind, [&](auto chosen) PSINN_LAMBDA {
        Forms<T, decltype(chosen)>{chosen, first, more, i, others}.template get<ORDER>(f);
      });
    } else if constexpr (std::is_same_v<Own, Others>) {
      PSINN_UNROLL
      for (int k = 0; k <= ORDER; ++k) f[k] = others[k];
    } else {
      Vec<T> kept[Own::n_kept];
      kept[0] = load<T>(first);
      PSINN_UNROLL
      for (int k = 1; k < Own::n_kept; ++k) kept[k] = load<T>(more + (i * (Own::n_kept - 1) + k - 1) * LANES<T>);
      f[0] = kept[0];
      Own::template backward<T>(kept, ORDER, f);
    }
  }
};

// f(i)[k] = a^(k)(z + bias) for k = 0..order. What is kept takes the place of z and, where it is more than a number, goes
// to `more`.
template <class T, class Own>
__attribute__((noinline)) void forward_of(int order, int count, Places<Vec<T>> z, const T* bias, Places<Vec<T>> more,
                                          Places<Vec<T>> f) {
  for (int i = 0; i < count; ++i) {
    Vec<T> kept[Own::n_kept];
    Own::template forward<T>(bias ? *z(i) + bias[i] : *z(i), order, kept, f(i));
    *z(i) = kept[0];
    for (int k = 1; k < Own::n_kept; ++k) more(i)[k - 1] = kept[k];
  }
}
template <class T>
PSINN_INLINE void forms_forward(psinn::Activation kind, int order, int count, Places<Vec<T>> z, const T* bias,
                                Places<Vec<T>> more, Places<Vec<T>> f) {
  with_activation(kind, [&](auto own) PSINN_LAMBDA { forward_of<T, decltype(own)>(order, count, z, bias, more, f); });
}

// f(i)[k] = a^(k) for k = 1..order from what was kept.
template <class T, class Own>
__attribute__((noinline)) void backward_of(int order, int count, Places<const Vec<T>> first, Places<const Vec<T>> more,
                                           Places<Vec<T>> f) {
  for (int i = 0; i < count; ++i) {
    Vec<T> kept[Own::n_kept];
    kept[0] = *first(i);
    for (int k = 1; k < Own::n_kept; ++k) kept[k] = more(i)[k - 1];
    Own::template backward<T>(kept, order, f(i));
  }
}
template <class T>
PSINN_INLINE void forms_backward(psinn::Activation kind, int order, int count, Places<const Vec<T>> first,
                                 Places<const Vec<T>> more, Places<Vec<T>> f) {
  with_activation(kind, [&](auto own) PSINN_LAMBDA { backward_of<T, decltype(own)>(order, count, first, more, f); });
}

// Neurons whose rows lie one after the other.
template <class T>
struct Neurons {
  psinn::Activation kind;
  int count;
  psinn::Index number;  // of the first one
  T* z;                 // rows of all channels; in place of the value what is kept of it
  const T* kept;        // what is kept beside that, of all neurons
  T* h;                 // rows of the outputs, or of their adjoints
  const T* outputs;     // the outputs beside adjoints, or null
  // a(z), a'(z), ..., if they are not inlined: of neuron r and vector s from [(s BLOCK + r) FORMS] on, with FORMS the
  // set's order and 1 forwards, 2 backwards. At most BLOCK neurons then.
  const Vec<T>* forms;
  T *bias_bar, *value_bar;  // of all neurons

  void add_value_bar(int r, int s, int sub, Vec<T> bar) const {
    constexpr int L = LANES<T>;
    T* sum = bias_bar + (number + r) * L;
    store<T>(sum, load<T>(sum) + bar);
    if (value_bar) store<T>(value_bar + ((number + r) * sub + s) * L, bar);
  }
};

// Those of the r-th neuron and the s-th vector of points, of which z is the value's row.
template <int FORMS, class T, class Own>
PSINN_INLINE Forms<T, Own> forms_of(Own own, const Neurons<T>& neurons, const T* z, int r, int s, int sub) {
  return {own, z, neurons.kept, (neurons.number + r) * sub + s, neurons.forms + (s * BLOCK + r) * FORMS};
}

}  // namespace PSINN_NAMESPACE
