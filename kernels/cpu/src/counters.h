// Where the time of a step goes, part by part, for `psinn-fast profile`.
//
// Panels take less than a microsecond, so that reading a clock at each of their parts would be most of what is measured: one
// panel in PANELS is watched, by code compiled beside the usual one, and the time of all panels is shared out as in these. What
// happens once per tile or step is timed each time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <x86intrin.h>
#else
#include <chrono>
#endif

namespace psinn {

enum class Where : int {
  first_layer, products, relations, activation, residual, rest,  // of panels: `rest` loads points and clears
  weight_gradients, sums,                                        // of tiles
  count
};
constexpr int PARTS = static_cast<int>(Where::count), PANEL_PARTS = static_cast<int>(Where::weight_gradients);

constexpr int PANELS = 127;

// Of a clock that costs little to read; how many a second does not matter, since only shares are taken.
inline std::int64_t ticks() {
#if defined(__x86_64__) || defined(_M_X64)
  return static_cast<std::int64_t>(__rdtsc());
#elif defined(__aarch64__)
  std::int64_t now;
  asm volatile("mrs %0, cntvct_el0" : "=r"(now));
  return now;
#else
  return std::chrono::steady_clock::now().time_since_epoch().count();
#endif
}

// One thread's.
struct Counters {
  std::int64_t part[PARTS] = {};  // ticks; of panels, in those that are watched
  std::int64_t panels = 0, all = 0;  // ticks of all panels, of everything
  std::int64_t last = 0, cost = 0;  // since the last booking; what a booking itself takes
  int number = 0;                   // of the panel

  Counters() {
    std::int64_t least = 1 << 20;
    for (int i = 0; i < 200; ++i) {
      const std::int64_t now = ticks(), after = ticks();
      if (after - now < least) least = after - now;
    }
    cost = least;
  }

  bool watches_next() { return number++ % PANELS == 0; }
  void begin() { last = ticks(); }
  void book(Where to) {
    const std::int64_t now = ticks(), spent = now - last - cost;
    if (spent > 0) part[static_cast<int>(to)] += spent;
    last = now;
  }
};

// Books if COUNTS, else is nothing.
template <bool COUNTS>
struct Booking {
  Counters* counters;
  void operator()(Where to) const {
    if constexpr (COUNTS) counters->book(to);
  }
};

// One step's seconds by what the threads' first does, and all steps' so far.
struct Profile {
  Counters counters;
  double packing = 0, panels = 0, waiting = 0, reduction = 0, update = 0;
  std::int64_t steps = 0;
};

// Seconds by part, of all steps.
inline std::vector<std::pair<const char*, double>> seconds_by_part(const Profile& profile) {
  static constexpr const char* names[] = {"first layer", "products", "relations", "activations", "residuals",
                                          "points",      "weight gradients", "sums"};
  static_assert(sizeof(names) / sizeof(*names) == PARTS, "a name for each part");
  const Counters& own = profile.counters;
  std::int64_t watched = 0, tiles = 0;
  for (int i = 0; i < PANEL_PARTS; ++i) watched += own.part[i];
  for (int i = PANEL_PARTS; i < PARTS; ++i) tiles += own.part[i];
  const double all = static_cast<double>(std::max<std::int64_t>(own.panels + tiles, 1));
  const double panels = static_cast<double>(own.panels) / static_cast<double>(std::max<std::int64_t>(watched, 1));
  std::vector<std::pair<const char*, double>> found;
  for (int i = 0; i < PARTS; ++i) {
    const double ticks = static_cast<double>(own.part[i]) * (i < PANEL_PARTS ? panels : 1);
    found.emplace_back(names[i], ticks / all * profile.panels);
  }
  found.emplace_back("packing", profile.packing);
  found.emplace_back("waiting", profile.waiting);
  found.emplace_back("reduction", profile.reduction);
  found.emplace_back("optimiser", profile.update);
  return found;
}

}  // namespace psinn
