// The steps through a network that depend on the channel set, as functions: compiled for each set of sets.h, and once
// for any other. All else is compiled once.
#pragma once

#include "first_layer.h"

namespace PSINN_NAMESPACE {

// See the functions of these names. A fixed rule knows what the rule given here says.
template <class T>
struct Stages {
  void (*first_rows)(const AnyRule&, const T* powers, const Neurons<T>&);
  void (*first_adjoint)(const AnyRule&, const Network<T>&, const T* powers, int count, T* t, Index t_step, const T* h_bar,
                        Index h_step, T* sums);
  void (*jets_forward)(const AnyRule&, const Neurons<T>&);
  void (*jets_adjoint)(const AnyRule&, const Neurons<T>&);
  bool is_fixed;
};

template <class T, class R>
constexpr Stages<T> stages_for() {
  if constexpr (R::fixed)
    return {first_rows<T, R>, first_adjoint<T, R>, jets_forward<T, R>, jets_adjoint<T, R>, true};
  else
    return {first_rows<T, R>, first_adjoint<T, R>, any_jets_forward<T>, any_jets_adjoint<T>, false};
}
template <class T, class R>
constexpr Stages<T> stages_table = stages_for<T, R>();

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
  static constexpr const Stages<T>* whole[] = {&stages_table<T, FixedRule<Set, 0>>...};
  static constexpr const Stages<T>* last_alone[] = {
      &stages_table<T, FixedRule<Set, Set::serves_last_alone ? Set::n_channels - 1 : 0>>...};
  return *(is_last_alone ? last_alone : whole)[number];
}

template <class T>
const Stages<T>& stages_of(const Rules& rules, bool is_linear, int first) {
  if constexpr (knows_sets)
    if (is_known(rules, is_linear)) return known_stages<T>(rules.known_set, first > 0, psinn::sets::All{});
  return stages_table<T, AnyRule>;
}

}  // namespace PSINN_NAMESPACE
