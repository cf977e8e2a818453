// A team of threads that outlives one call: waking it costs microseconds, starting threads costs tens.
//
// Not an OpenMP of our own: torch brings a copy of that runtime, two of them oversubscribe the cores, and a machine
// without a compiler often has none. Waiting threads spin briefly, then sleep, so that a core somebody else wants is
// given back. But torch's own threads spin for milliseconds after each of its operations, and where they do, the
// threads of a team get no core: a call amid such operations borrows those threads (`share`).
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

// work(k) for k = 0..size-1, once each, on as many threads or fewer, the caller among them. work must not throw, nor wait
// for others. By the threads of `borrow_openmp`, else by a team.
void share(int size, const std::function<void(int)>& work);

// From now on `share` has its threads from the OpenMP runtime with which this library is linked, if it is loaded and has
// one like GNU's; whether it has.
bool borrow_openmp(const char* library);

}  // namespace psinn
