// A team of threads that outlives one call: waking it costs microseconds, starting threads costs tens.
//
// Not OpenMP: torch brings its own copy of that runtime, two of them oversubscribe the cores (the threads of one spin
// while the other works), and a machine without a compiler often has none. Waiting threads spin briefly, then sleep,
// so that a core somebody else wants is given back.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace psinn {

// Waits until `generation` differs from a value seen before.
class Gate {
 public:
  unsigned seen() const { return generation_.load(std::memory_order_acquire); }
  void open();
  void wait(unsigned before);

 private:
  std::atomic<unsigned> generation_{0};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable condition_;
};

class Team {
 public:
  explicit Team(int size);
  Team(const Team&) = delete;

  int size() const { return size_; }
  // work(k) on thread k = 0..size-1, 0 being the caller; returns when all are done. work must not throw.
  void run(const std::function<void(int)>& work);
  // Inside work: wait for the others.
  void barrier();

 private:
  void serve(int number);
  int size_;
  const std::function<void(int)>* work_ = nullptr;
  Gate start_, done_, meet_;
  std::atomic<int> running_{0}, arrived_{0};
};

// A team nobody else uses until it is given back; two Python threads get two teams.
class TeamLease {
 public:
  explicit TeamLease(int size);
  ~TeamLease();
  TeamLease(const TeamLease&) = delete;
  Team& operator*() const { return *team_; }

 private:
  Team* team_;
};

}  // namespace psinn
