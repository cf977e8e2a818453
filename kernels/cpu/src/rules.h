// Channel sets as seen by the activation code: those of sets.h at compile time, so that their loops unroll into registers,
// and any other one as a table.
#pragma once

#include "sets.h"
#include "simd.h"

namespace PSINN_NAMESPACE {

using psinn::Monomial;
using psinn::Part;
using psinn::Partial;
using psinn::Rules;

constexpr int MOST_CHANNELS = psinn::MOST_CHANNELS;
constexpr int MOST_ORDER = 4;

// Vectors of points in a panel: rows of three to six vectors suit the products best.
constexpr int points_per_panel(int channels) { return channels >= 3 ? 1 : channels == 2 ? 2 : 4; }

struct AnyRule {
  static constexpr bool fixed = false;
  static constexpr int capacity = MOST_CHANNELS, most_order = MOST_ORDER, most_sub = points_per_panel(1);
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
  static constexpr int capacity = Set::n_channels, most_order = Set::order, most_sub = points_per_panel(Set::n_channels);
  static constexpr FixedRule of(const AnyRule&) { return {}; }
  static constexpr int channels() { return Set::n_channels; }
  static constexpr int sub() { return points_per_panel(Set::n_channels); }
  static constexpr int order() { return Set::order; }
  static constexpr int first() { return FIRST; }
  static constexpr int orders(int c) { return Set::orders[c]; }
};

}  // namespace PSINN_NAMESPACE
