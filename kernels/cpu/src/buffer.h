// Workspaces of calls.
#pragma once

#include <cstdint>

namespace psinn {

// Memory aligned to pages, taken from and returned to a small store; its contents are arbitrary.
class Buffer {
 public:
  explicit Buffer(std::int64_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept : data_(other.data_), bytes_(other.bytes_) { other.data_ = nullptr; }
  Buffer(const Buffer&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
  std::int64_t bytes_;
};

}  // namespace psinn
