#include "team.h"

#include <pthread.h>

#include <thread>

namespace psinn {

namespace {

// About 50 microseconds: longer than the serial part of a step, shorter than a scheduler's time slice.
constexpr int SPINS = 2000;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Idle teams. Workers are never joined: at exit they sleep, and after fork() the child has none and starts new ones.
struct Idle {
  std::mutex mutex;
  std::vector<Team*> teams;
};

Idle*& idle() {
  static Idle* teams = new Idle;
  return teams;
}

void forget_after_fork() { idle() = new Idle; }

}  // namespace

void Gate::open() {
  generation_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) {
    std::lock_guard<std::mutex> lock(mutex_);
    condition_.notify_all();
  }
}

void Gate::wait(unsigned before) {
  for (int i = 0; i < SPINS; ++i) {
    if (seen() != before) return;
    pause();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  condition_.wait(lock, [&] { return generation_.load(std::memory_order_seq_cst) != before; });
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

Team::Team(int size) : size_(size) {
  for (int k = 1; k < size; ++k) std::thread([this, k] { serve(k); }).detach();
}

void Team::serve(int number) {
  unsigned before = 0;
  for (;;) {
    start_.wait(before);
    before = start_.seen();
    (*work_)(number);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.open();
  }
}

void Team::run(const std::function<void(int)>& work) {
  if (size_ == 1) {
    work(0);
    return;
  }
  work_ = &work;
  running_.store(size_ - 1, std::memory_order_release);
  const unsigned before = done_.seen();
  start_.open();
  work(0);
  done_.wait(before);
}

void Team::barrier() {
  if (size_ == 1) return;
  const unsigned before = meet_.seen();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    arrived_.store(0, std::memory_order_release);
    meet_.open();
  } else {
    meet_.wait(before);
  }
}

TeamLease::TeamLease(int size) : team_(nullptr) {
  static const int registered = pthread_atfork(nullptr, nullptr, forget_after_fork);
  static_cast<void>(registered);
  {
    Idle& own = *idle();
    std::lock_guard<std::mutex> lock(own.mutex);
    for (auto& team : own.teams)
      if (team->size() == size) {
        team_ = team;
        team = own.teams.back();
        own.teams.pop_back();
        break;
      }
  }
  if (!team_) team_ = new Team(size);
}

TeamLease::~TeamLease() {
  Idle& own = *idle();
  std::lock_guard<std::mutex> lock(own.mutex);
  own.teams.push_back(team_);
}

}  // namespace psinn
