// Which of the sets of sets.h rules are of: the one whose tables agree entry by entry.
#pragma once

#include "sets.h"

namespace psinn::sets {

inline bool equal(const Monomial& a, const Monomial& b) {
  bool same = a.coefficient == b.coefficient && a.n_factors == b.n_factors;
  for (int i = 0; same && i < a.n_factors; ++i) same = a.factors[i] == b.factors[i];
  return same;
}

template <class Set>
bool matches(const Rules& rules) {
  if (rules.n_channels != Set::n_channels || rules.order != Set::order || rules.n_parts != Set::n_parts) return false;
  for (int c = 0; c < Set::n_channels; ++c)
    if (rules.orders[c] != Set::orders[c]) return false;
  const auto same = [&](int first, int last, int set_first, int set_last) {
    bool agree = last - first == set_last - set_first;
    for (int m = 0; agree && m < last - first; ++m)
      agree = equal(rules.monomials[first + m], Set::monomials[set_first + m]);
    return agree;
  };
  for (int i = 0; i < Set::n_parts; ++i) {
    const Part &a = rules.parts[i], &b = Set::parts[i];
    if (a.channel != b.channel || a.order != b.order || !same(a.first, a.last, b.first, b.last) ||
        a.partial_last - a.partial_first != b.partial_last - b.partial_first)
      return false;
    for (int p = 0; p < a.partial_last - a.partial_first; ++p) {
      const Partial &d = rules.partials[a.partial_first + p], &e = Set::partials[b.partial_first + p];
      if (d.b != e.b || !same(d.first, d.last, e.first, e.last)) return false;
    }
  }
  return true;
}

// Sets rules.known_set, the number of the set or -1, and what goes with it.
template <class... Set>
void find(Rules& rules, SetList<Set...>) {
  int number = -1;
  const auto found = [&](bool serves_last_alone) {
    rules.known_set = number;
    rules.serves_last_alone = serves_last_alone;
    return true;
  };
  rules.known_set = -1;
  rules.serves_last_alone = false;
  static_cast<void>(((++number, matches<Set>(rules) && found(Set::serves_last_alone)) || ...));
}

}  // namespace psinn::sets
