// Channel sets as seen by the activation code: the common ones known at compile time, so that their loops unroll into
// registers, and any other one as a table. The formulas themselves are computed in kernels/language/channels.py; a set listed
// here is used only where the tables agree entry by entry.
#pragma once

#include "engine.h"
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
  static constexpr int capacity = MOST_CHANNELS;
  const Rules& rules;
  int first_channel;
  void* block;  // memory of any_activation.h
  int channels() const { return rules.n_channels; }
  int sub() const { return points_per_panel(rules.n_channels); }
  int order() const { return rules.order; }
  int first() const { return first_channel; }
  int orders(int c) const { return rules.orders[c]; }
};

// u alone
struct ValueSet {
  static constexpr int n_channels = 1, max_order = 0, parts_count = 0, monomials_count = 0, partials_count = 0;
  static constexpr int channel_orders[] = {0};
  static constexpr Part part_list[] = {{}};
  static constexpr Monomial monomial_list[] = {{}};
  static constexpr Partial partial_list[] = {{}};
};
// u, u_x, u_xx
struct Set1Second {
  static constexpr int n_channels = 3, max_order = 2, parts_count = 1, monomials_count = 2, partials_count = 1;
  static constexpr int channel_orders[] = {0, 1, 2};
  static constexpr Part part_list[] = {{2, 2, 0, 1, 0, 1}};
  static constexpr Monomial monomial_list[] = {{1, 2, {1, 1}}, {2, 1, {1}}};
  static constexpr Partial partial_list[] = {{1, 1, 2}};
};
// u, u_t, u_x, u_xx
struct Set2Second {
  static constexpr int n_channels = 4, max_order = 2, parts_count = 1, monomials_count = 2, partials_count = 1;
  static constexpr int channel_orders[] = {0, 1, 1, 2};
  static constexpr Part part_list[] = {{3, 2, 0, 1, 0, 1}};
  static constexpr Monomial monomial_list[] = {{1, 2, {2, 2}}, {2, 1, {2}}};
  static constexpr Partial partial_list[] = {{2, 1, 2}};
};
// u, u_x, u_y, Laplacian
struct Set2Laplacian {
  static constexpr int n_channels = 4, max_order = 2, parts_count = 1, monomials_count = 4, partials_count = 2;
  static constexpr int channel_orders[] = {0, 1, 1, 2};
  static constexpr Part part_list[] = {{3, 2, 0, 2, 0, 2}};
  static constexpr Monomial monomial_list[] = {{1, 2, {1, 1}}, {1, 2, {2, 2}}, {2, 1, {1}}, {2, 1, {2}}};
  static constexpr Partial partial_list[] = {{1, 2, 3}, {2, 3, 4}};
};
// u, u_x, u_y, u_xx, u_xy, u_yy: what nested autograd of a network's second derivatives needs
struct Set2Hessian {
  static constexpr int n_channels = 6, max_order = 2, parts_count = 3, monomials_count = 7, partials_count = 4;
  static constexpr int channel_orders[] = {0, 1, 1, 2, 2, 2};
  static constexpr Part part_list[] = {{3, 2, 0, 1, 0, 1}, {4, 2, 2, 3, 1, 3}, {5, 2, 5, 6, 3, 4}};
  static constexpr Monomial monomial_list[] = {{1, 2, {1, 1}}, {2, 1, {1}}, {1, 2, {1, 2}}, {1, 1, {2}},
                                               {1, 1, {1}},    {1, 2, {2, 2}}, {2, 1, {2}}};
  static constexpr Partial partial_list[] = {{1, 1, 2}, {1, 3, 4}, {2, 4, 5}, {2, 6, 7}};
};
// u, u_x, u_y, u_z, Laplacian
struct Set3Laplacian {
  static constexpr int n_channels = 5, max_order = 2, parts_count = 1, monomials_count = 6, partials_count = 3;
  static constexpr int channel_orders[] = {0, 1, 1, 1, 2};
  static constexpr Part part_list[] = {{4, 2, 0, 3, 0, 3}};
  static constexpr Monomial monomial_list[] = {{1, 2, {1, 1}}, {1, 2, {2, 2}}, {1, 2, {3, 3}},
                                               {2, 1, {1}},    {2, 1, {2}},    {2, 1, {3}}};
  static constexpr Partial partial_list[] = {{1, 3, 4}, {2, 4, 5}, {3, 5, 6}};
};

template <class Set, int FIRST>
struct FixedRule {
  static constexpr bool fixed = true;
  static constexpr int capacity = Set::n_channels;
  static constexpr int channels() { return Set::n_channels; }
  static constexpr int sub() { return points_per_panel(Set::n_channels); }
  static constexpr int order() { return Set::max_order; }
  static constexpr int first() { return FIRST; }
  template <int OTHER>
  static constexpr FixedRule<Set, OTHER> from() {
    return {};
  }
  static constexpr int n_parts() { return Set::parts_count; }
  static constexpr int orders(int c) { return Set::channel_orders[c]; }
  static constexpr const Part& part(int i) { return Set::part_list[i]; }
  static constexpr const Monomial& monomial(int i) { return Set::monomial_list[i]; }
  static constexpr const Partial& partial(int i) { return Set::partial_list[i]; }
};

inline bool equal(const Monomial& a, const Monomial& b) {
  bool same = a.coefficient == b.coefficient && a.n_factors == b.n_factors;
  for (int i = 0; same && i < a.n_factors; ++i) same = a.factors[i] == b.factors[i];
  return same;
}

template <class Set>
bool matches(const Rules& rules) {
  if (rules.n_channels != Set::n_channels || rules.order != Set::max_order || rules.n_parts != Set::parts_count)
    return false;
  for (int c = 0; c < Set::n_channels; ++c)
    if (rules.orders[c] != Set::channel_orders[c]) return false;
  for (int i = 0; i < Set::parts_count; ++i) {
    const Part &a = rules.parts[i], &b = Set::part_list[i];
    if (a.channel != b.channel || a.order != b.order || a.last - a.first != b.last - b.first ||
        a.partial_last - a.partial_first != b.partial_last - b.partial_first)
      return false;
    for (int m = 0; m < a.last - a.first; ++m)
      if (!equal(rules.monomials[a.first + m], Set::monomial_list[b.first + m])) return false;
    for (int p = 0; p < a.partial_last - a.partial_first; ++p) {
      const Partial &d = rules.partials[a.partial_first + p], &e = Set::partial_list[b.partial_first + p];
      if (d.b != e.b || d.last - d.first != e.last - e.first) return false;
      for (int m = 0; m < d.last - d.first; ++m)
        if (!equal(rules.monomials[d.first + m], Set::monomial_list[e.first + m])) return false;
    }
  }
  return true;
}

template <class Set, class Action>
bool try_set(const Rules& rules, int first, const Action& action) {
  if (!matches<Set>(rules)) return false;
  if (first == 0)
    action(FixedRule<Set, 0>{});
  else if (first == Set::n_channels - 1)
    action(FixedRule<Set, Set::n_channels - 1>{});
  else
    return false;
  return true;
}

// action(rule) with the best form of the rule. `block`: memory for one that is not fixed.
template <class Action>
void with_rule(const Rules& rules, int first, void* block, const Action& action) {
#if !defined(PSINN_GENERIC)
  if (try_set<ValueSet>(rules, first, action) || try_set<Set2Laplacian>(rules, first, action) ||
      try_set<Set2Second>(rules, first, action) || try_set<Set1Second>(rules, first, action) ||
      try_set<Set3Laplacian>(rules, first, action) || try_set<Set2Hessian>(rules, first, action))
    return;
#endif
  action(AnyRule{rules, first, block});
}

}  // namespace PSINN_NAMESPACE
