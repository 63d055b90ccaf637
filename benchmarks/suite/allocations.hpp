// SPDX-License-Identifier: BSL-1.0
// Counts the heap allocations of this process and of its forked children.
#ifndef DGRAM_BENCHMARKS_SUITE_ALLOCATIONS_HPP
#define DGRAM_BENCHMARKS_SUITE_ALLOCATIONS_HPP

#include <atomic>
#include <cstdint>

namespace bench {

/// Made by `operator new` and by `aligned_alloc`, which Asio's handlers use, in this process so
/// far.
std::uint64_t allocations() noexcept;

/// A counter that a process and those that it forks have in common.
class shared_counter {
public:
  shared_counter();
  ~shared_counter();
  shared_counter(const shared_counter&) = delete;
  shared_counter& operator=(const shared_counter&) = delete;

  std::uint64_t value() const noexcept { return value_->load(std::memory_order_relaxed); }

  /// From now on this process counts its allocations here.
  void adopt() noexcept;

private:
  std::atomic<std::uint64_t>* value_;
};

}  // namespace bench

#endif
