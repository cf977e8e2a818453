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
  void (*first_adjoint)(const AnyRule&, const Network<T>&, const T* powers, int count, T* t, Index t_step, const T* h_bar,
                        Index h_step, T* sums);
  void (*activation_forward)(const AnyRule&, const Orbits&, T* z, const T* bias, T* kept, T* out);
  void (*activation_adjoint)(const AnyRule&, const Orbits&, T* z, T* kept, const T* out, T* out_bar, T* bias_bar,
                             T* value_bar);
};

template <class T, class R>
struct StagesOf {
  static void first_forward(const AnyRule& rule, const Network<T>& net, const T* w, const T* powers, const T* x, T* t,
                            T* out) {
    PSINN_NAMESPACE::first_forward(R::of(rule), net, w, powers, x, t, out);
  }
  static void first_adjoint(const AnyRule& rule, const Network<T>& net, const T* powers, int count, T* t, Index t_step,
                            const T* h_bar, Index h_step, T* sums) {
    PSINN_NAMESPACE::first_adjoint(R::of(rule), net, powers, count, t, t_step, h_bar, h_step, sums);
  }
  static void activation_forward(const AnyRule& rule, const Orbits& orbits, T* z, const T* bias, T* kept, T* out) {
    if (serves<R>(orbits))
      PSINN_NAMESPACE::activation_forward(R::of(rule), orbits, z, bias, kept, out);
    else
      PSINN_NAMESPACE::activation_forward(rule, orbits, z, bias, kept, out);
  }
  static void activation_adjoint(const AnyRule& rule, const Orbits& orbits, T* z, T* kept, const T* out, T* out_bar,
                                 T* bias_bar, T* value_bar) {
    if (serves<R>(orbits))
      PSINN_NAMESPACE::activation_adjoint(R::of(rule), orbits, z, kept, out, out_bar, bias_bar, value_bar);
    else
      PSINN_NAMESPACE::activation_adjoint(rule, orbits, z, kept, out, out_bar, bias_bar, value_bar);
  }
  static constexpr Stages<T> table{first_forward, first_adjoint, activation_forward, activation_adjoint};
};

#if defined(PSINN_GENERIC)
constexpr bool knows_sets = false;
#else
constexpr bool knows_sets = true;
#endif

inline bool is_known(const Rules& rules, bool is_linear) { return knows_sets && rules.known_set >= 0 && !is_linear; }

// The first channel that the last hidden layer computes if none before `first` is read: with some sets, it leaves out all
// but the last channel if that alone is read, with other sets nothing.
inline int served_first(const Rules& rules, bool is_linear, int first) {
  if (!is_known(rules, is_linear)) return first;
  return rules.serves_last_alone && first == rules.n_channels - 1 ? first : 0;
}

template <class T, class... Set>
const Stages<T>& known_stages(int number, bool is_last_alone, psinn::sets::SetList<Set...>) {
  static constexpr const Stages<T>* whole[] = {&StagesOf<T, FixedRule<Set, 0>>::table...};
  static constexpr const Stages<T>* last_alone[] = {
      &StagesOf<T, FixedRule<Set, Set::serves_last_alone ? Set::n_channels - 1 : 0>>::table...};
  return *(is_last_alone ? last_alone : whole)[number];
}

template <class T>
const Stages<T>& stages_of(const Rules& rules, bool is_linear, int first) {
  if constexpr (knows_sets)
    if (is_known(rules, is_linear)) return known_stages<T>(rules.known_set, first > 0, psinn::sets::All{});
  return StagesOf<T, AnyRule>::table;
}

}  // namespace PSINN_NAMESPACE
