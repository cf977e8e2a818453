#include "team.h"

#include <dlfcn.h>
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

// GNU's entry for a parallel region, which LLVM's and Intel's runtimes have as well.
using Region = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);
std::atomic<Region> region{nullptr};

// OpenMP's threads do not live in the child, and it would wait for them.
void forget_after_fork() {
  idle() = new Idle;
  region.store(nullptr);
}

void forget_in_children() {
  static const int registered = pthread_atfork(nullptr, nullptr, forget_after_fork);
  static_cast<void>(registered);
}

// The parts of a piece of work: the runtime may give fewer threads than it was asked for.
struct Parts {
  const std::function<void(int)>& work;
  const int size;
  std::atomic<int> next{0};

  static void take(void* own) {
    Parts& parts = *static_cast<Parts*>(own);
    for (int k = parts.next++; k < parts.size; k = parts.next++) parts.work(k);
  }
};

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
  forget_in_children();
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

void share(int size, const std::function<void(int)>& work) {
  const Region borrowed = region.load();
  if (size == 1) {
    work(0);
  } else if (borrowed) {
    Parts parts{work, size};
    borrowed(Parts::take, &parts, static_cast<unsigned>(size), 0);
  } else {
    TeamLease team(size);
    (*team).run(work);
  }
}

bool borrow_openmp(const char* library) {
  forget_in_children();
  void* loaded = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
  if (!loaded) return false;
  // Also in the libraries that this one needs.
  region.store(reinterpret_cast<Region>(dlsym(loaded, "GOMP_parallel")));
  return region.load() != nullptr;
}

}  // namespace psinn
