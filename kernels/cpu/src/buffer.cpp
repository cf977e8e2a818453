#include "buffer.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace psinn {

namespace {

struct Store {
  std::mutex mutex;
  std::vector<std::pair<void*, std::int64_t>> idle;
};

// Kept between calls: memory fresh from the system costs a page fault every 4 KiB.
Store*& store() {
  static Store* own = new Store;
  return own;
}

// Another thread may have held the lock as the process was forked.
void forget_after_fork() { store() = new Store; }

constexpr std::size_t KEPT_BUFFERS = 16;
constexpr std::int64_t KEPT_BYTES = std::int64_t(8) << 20;

}  // namespace

Buffer::Buffer(std::int64_t bytes) : data_(nullptr), bytes_((std::max<std::int64_t>(bytes, 64) + 4095) / 4096 * 4096) {
  static const int registered = pthread_atfork(nullptr, nullptr, forget_after_fork);
  static_cast<void>(registered);
  {
    Store& own = *store();
    std::lock_guard<std::mutex> lock(own.mutex);
    for (auto& entry : own.idle)
      if (entry.second == bytes_) {
        data_ = entry.first;
        entry = own.idle.back();
        own.idle.pop_back();
        break;
      }
  }
  if (!data_) data_ = std::aligned_alloc(4096, static_cast<std::size_t>(bytes_));
  if (!data_) throw std::bad_alloc();
}

Buffer::~Buffer() {
  if (!data_) return;
  if (bytes_ <= KEPT_BYTES) {
    Store& own = *store();
    std::lock_guard<std::mutex> lock(own.mutex);
    if (own.idle.size() < KEPT_BUFFERS) {
      own.idle.emplace_back(data_, bytes_);
      return;
    }
  }
  std::free(data_);
}

}  // namespace psinn
