// The steps through a network that depend on the channel set, as functions: compiled for each set of sets.h, and once
// for any other. All else is compiled once.
#pragma once

#include "first_layer.h"

namespace PSINN_NAMESPACE {

using psinn::Orbits;

// See the functions of these names. A fixed rule knows what the rule given here says.
template <class T>
struct Stages {
  void (*first_forward)(const AnyRule&, const Network<T>&, const T* w, const T* powers, const T* x, T* t, T* out);
  void (*first_adjoint)(const AnyRule&, const Network<T>&, const T* w, const T* powers, int count, const T* x, Index x_step,
                        const T* t, Index t_step, const T* h_bar, Index h_step, T* sums, T* x_bar);
  void (*activation_forward)(const AnyRule&, const Orbits&, T* z, const T* bias, T* out);
  void (*activation_adjoint)(const AnyRule&, const Orbits&, T* z, const T* out, T* out_bar, T* bias_bar, T* value_bar);
};

template <class T, class R>
struct StagesOf {
  static void first_forward(const AnyRule& rule, const Network<T>& net, const T* w, const T* powers, const T* x, T* t,
                            T* out) {
    PSINN_NAMESPACE::first_forward(R::of(rule), net, w, powers, x, t, out);
  }
  static void first_adjoint(const AnyRule& rule, const Network<T>& net, const T* w, const T* powers, int count, const T* x,
                            Index x_step, const T* t, Index t_step, const T* h_bar, Index h_step, T* sums, T* x_bar) {
    PSINN_NAMESPACE::first_adjoint(R::of(rule), net, w, powers, count, x, x_step, t, t_step, h_bar, h_step, sums, x_bar);
  }
  static void activation_forward(const AnyRule& rule, const Orbits& orbits, T* z, const T* bias, T* out) {
    if (serves<R>(orbits))
      PSINN_NAMESPACE::activation_forward(R::of(rule), orbits, z, bias, out);
    else
      PSINN_NAMESPACE::activation_forward(rule, orbits, z, bias, out);
  }
  static void activation_adjoint(const AnyRule& rule, const Orbits& orbits, T* z, const T* out, T* out_bar, T* bias_bar,
                                 T* value_bar) {
    if (serves<R>(orbits))
      PSINN_NAMESPACE::activation_adjoint(R::of(rule), orbits, z, out, out_bar, bias_bar, value_bar);
    else
      PSINN_NAMESPACE::activation_adjoint(rule, orbits, z, out, out_bar, bias_bar, value_bar);
  }
  static constexpr Stages<T> table{first_forward, first_adjoint, activation_forward, activation_adjoint};
};

// What the last hidden layer leaves out: with some sets, all but the last channel if that alone is read.
template <class Set>
constexpr int served_first(int first) {
  return Set::serves_last_alone && first == Set::n_channels - 1 ? first : 0;
}

template <class T, class Set>
const Stages<T>& stages_of_set([[maybe_unused]] int first) {
  if constexpr (Set::serves_last_alone)
    if (first > 0) return StagesOf<T, FixedRule<Set, Set::n_channels - 1>>::table;
  return StagesOf<T, FixedRule<Set, 0>>::table;
}

#if defined(PSINN_GENERIC)
using Sets = SetList<>;
#else
using Sets = KnownSets;
#endif

// action(set) for the one of the sets that the rules are of; false if there is none.
template <class Action, class... Set>
bool with_set(const Rules& rules, const Action& action, SetList<Set...>) {
  return ((matches<Set>(rules) && (action(Set{}), true)) || ...);
}

// The first channel that the last hidden layer computes if none before `first` is read.
inline int served_first(const Rules& rules, bool is_linear, int first) {
  if (!is_linear) with_set(rules, [&](auto set) { first = served_first<decltype(set)>(first); }, Sets{});
  return first;
}

template <class T>
const Stages<T>& stages_of(const Rules& rules, bool is_linear, int first) {
  const Stages<T>* found = &StagesOf<T, AnyRule>::table;
  if (!is_linear) with_set(rules, [&](auto set) { found = &stages_of_set<T, decltype(set)>(first); }, Sets{});
  return *found;
}

}  // namespace PSINN_NAMESPACE
