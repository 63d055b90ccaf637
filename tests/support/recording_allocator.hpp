// SPDX-License-Identifier: BSL-1.0
// An allocator that records how often memory was taken, and how much of it is not given back yet.
#ifndef DGRAM_TESTS_SUPPORT_RECORDING_ALLOCATOR_HPP
#define DGRAM_TESTS_SUPPORT_RECORDING_ALLOCATOR_HPP

#include <cstddef>
#include <memory>

namespace test {

struct allocation_record {
  std::size_t total = 0;
  std::size_t live = 0;
};

template <class T = void>
class recording_allocator {
public:
  using value_type = T;

  explicit recording_allocator(allocation_record& record) noexcept : record_(&record) {}

  template <class U>
  recording_allocator(const recording_allocator<U>& other) noexcept  // NOLINT(*-explicit-*)
      : record_(other.record_)
  {
  }

  T* allocate(std::size_t count)
  {
    T* memory = std::allocator<T>().allocate(count);
    ++record_->total;
    ++record_->live;
    return memory;
  }

  void deallocate(T* memory, std::size_t count) noexcept
  {
    --record_->live;
    std::allocator<T>().deallocate(memory, count);
  }

  template <class U>
  bool operator==(const recording_allocator<U>& other) const noexcept
  {
    return record_ == other.record_;
  }

private:
  template <class>
  friend class recording_allocator;

  allocation_record* record_;
};

}  // namespace test

#endif
