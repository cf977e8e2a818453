// How many threads share a piece of work that comes again and again: as many as are quickest, found by trying.
//
// A second hardware thread of a core may gain a half or lose a third, which sizes do not tell; nor do they tell what else
// the machine does. What is computed does not depend on it: sums are made lane by lane (session.h), whoever takes a lane.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

namespace psinn {

class Crew {
 public:
  explicit Crew(int most);
  // Of the next round.
  int size();
  // So many threads did a round of so much work in this time.
  void took(int size, double seconds, double work);
  // How long a round of many parts lasts.
  double round_seconds();

 private:
  void judge();
  void challenge();

  std::mutex mutex_;
  const int most_;
  int best_, rival_;       // rival: 0 where nothing is tried
  bool is_halving_ = true;  // whether rivals are smaller
  std::array<std::vector<double>, 2> times_;  // of best and rival, per unit of work
  double trying_ = 0, since_ = 0;             // seconds spent in the trials, and after them
  double part_;                               // of the time that trials may take
};

// The crew for a kind of work and about its amount, as batches of a size or nearly so have; at most so many threads.
std::shared_ptr<Crew> crew_for(int kind, int most, double work);

// Whether crews are as large as they may be, whatever that costs: for measurements.
void take_all_threads(bool yes);

}  // namespace psinn
