#include "crew.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <tuple>

namespace psinn {

namespace {

// Rounds that each of two sizes is given; the first of each, with new threads and cold caches, does not count.
constexpr std::size_t TRIALS = 6;
// Rounds of many parts: long beside the waking of threads, short beside what a bad choice costs until it is found.
constexpr double TRIAL_SECONDS = 5e-3, ROUND_SECONDS = 5e-2;
// Other sizes are tried again, since the machine may have changed, in this part of the time; at first, and after another
// choice, in the larger one, halved each time: new threads may share a core for a tenth of a second, until the system
// moves them, and what is found then is wrong.
constexpr double TRYING_PART = 0.01, AT_FIRST = 0.25;
// Amounts of work within a factor of two that are told apart.
constexpr double AMOUNTS = 4;
constexpr std::size_t MOST_CREWS = 512;

struct Crews {
  std::mutex mutex;
  std::map<std::tuple<int, int, int>, std::shared_ptr<Crew>> known;
};

Crews*& crews() {
  static Crews* own = new Crews;
  return own;
}

// Another thread may have held a lock as the process was forked.
void forget_after_fork() { crews() = new Crews; }

std::atomic<bool> takes_all{false};

double median_but_first(std::vector<double> times) {
  const auto middle = times.begin() + 1 + static_cast<std::ptrdiff_t>((times.size() - 1) / 2);
  std::nth_element(times.begin() + 1, middle, times.end());
  return *middle;
}

}  // namespace

Crew::Crew(int most) : most_(most), best_(most), rival_(most / 2), part_(AT_FIRST) {}

int Crew::size() {
  if (most_ == 1 || takes_all.load(std::memory_order_relaxed)) return most_;
  std::lock_guard<std::mutex> lock(mutex_);
  return rival_ && times_[1].size() < times_[0].size() ? rival_ : best_;
}

double Crew::round_seconds() {
  std::lock_guard<std::mutex> lock(mutex_);
  return rival_ ? TRIAL_SECONDS : ROUND_SECONDS;
}

void Crew::took(int size, double seconds, double work) {
  if (most_ == 1 || takes_all.load(std::memory_order_relaxed)) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (!rival_) {
    since_ += seconds;
    if (since_ * part_ > trying_) challenge();
    return;
  }
  trying_ += seconds;
  if (size == best_ || size == rival_) times_[size == rival_].push_back(seconds / work);
  if (times_[0].size() >= TRIALS && times_[1].size() >= TRIALS) judge();
}

void Crew::judge() {
  const bool is_won = median_but_first(times_[1]) < median_but_first(times_[0]);
  times_[0].clear();
  times_[1].clear();
  if (is_won) best_ = rival_, part_ = AT_FIRST;
  rival_ = !is_won ? 0 : is_halving_ ? best_ / 2 : best_ < most_ ? std::min(2 * best_, most_) : 0;
}

void Crew::challenge() {
  is_halving_ = best_ == 1 ? false : best_ == most_ ? true : !is_halving_;
  rival_ = is_halving_ ? best_ / 2 : std::min(2 * best_, most_);
  trying_ = since_ = 0;
  part_ = std::max(part_ / 2, TRYING_PART);
}

std::shared_ptr<Crew> crew_for(int kind, int most, double work) {
  static const int registered = pthread_atfork(nullptr, nullptr, forget_after_fork);
  static_cast<void>(registered);
  Crews& own = *crews();
  std::lock_guard<std::mutex> lock(own.mutex);
  if (own.known.size() >= MOST_CREWS) own.known.clear();
  const int amount = static_cast<int>(std::lround(AMOUNTS * std::log2(std::max(work, 1.0))));
  std::shared_ptr<Crew>& found = own.known[{kind, most, amount}];
  if (!found) found = std::make_shared<Crew>(most);
  return found;
}

void take_all_threads(bool yes) { takes_all.store(yes); }

}  // namespace psinn
