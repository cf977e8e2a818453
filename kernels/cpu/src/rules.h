// Channel sets as seen by the activation code: those of sets.h at compile time, so that their loops unroll into registers,
// and any other one as a table. A set of sets.h is used only where the tables agree entry by entry.
#pragma once

#include "sets.h"

namespace PSINN_NAMESPACE {

using psinn::Rules;

constexpr int MOST_CHANNELS = psinn::MOST_CHANNELS;
constexpr int MOST_ORDER = 4;

// Vectors of points in a panel: rows of three to six vectors suit the products best.
constexpr int points_per_panel(int channels) { return channels >= 3 ? 1 : channels == 2 ? 2 : 4; }

struct AnyRule {
  static constexpr bool fixed = false;
  static constexpr int capacity = MOST_CHANNELS;
  const Rules& rules;
  int first_channel;
  void* block;  // memory of any_activation.h
  static const AnyRule& of(const AnyRule& rule) { return rule; }
  int channels() const { return rules.n_channels; }
  int sub() const { return points_per_panel(rules.n_channels); }
  int order() const { return rules.order; }
  int first() const { return first_channel; }
  int orders(int c) const { return rules.orders[c]; }
};

template <class S, int FIRST>
struct FixedRule {
  using Set = S;
  static constexpr bool fixed = true;
  static constexpr int capacity = Set::n_channels;
  static constexpr FixedRule of(const AnyRule&) { return {}; }
  static constexpr int channels() { return Set::n_channels; }
  static constexpr int sub() { return points_per_panel(Set::n_channels); }
  static constexpr int order() { return Set::order; }
  static constexpr int first() { return FIRST; }
  static constexpr int orders(int c) { return Set::orders[c]; }
};

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

}  // namespace PSINN_NAMESPACE
