// SPDX-License-Identifier: BSL-1.0
// A first-in, first-out queue that takes no memory until it is used.
#ifndef DGRAM_DETAIL_ASYNC_QUEUE_HPP
#define DGRAM_DETAIL_ASYNC_QUEUE_HPP

#include <dgram/config.hpp>

#include <cstddef>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// First in, first out.
template <class Operation>
class operation_queue {
public:
  using iterator = typename std::vector<Operation>::iterator;

  bool empty() const noexcept { return size() == 0; }
  std::size_t size() const noexcept { return all_.size() - first_; }

  void push(Operation added) { all_.push_back(std::move(added)); }

  /// If there is no memory, throws, and leaves the arguments as they are.
  template <class... Args>
  void emplace(Args&&... args)
  {
    all_.emplace_back(std::forward<Args>(args)...);
  }

  void reserve(std::size_t count) { all_.reserve(first_ + count); }

  Operation& front() noexcept { return all_[first_]; }
  Operation& back() noexcept { return all_.back(); }

  Operation pop()
  {
    Operation first = std::move(all_[first_++]);
    // This moves each remaining element once on average, and uses the memory of the removed ones
    // again.
    if (first_ * 2 >= all_.size()) {
      all_.erase(all_.begin(), begin());
      first_ = 0;
    }
    return first;
  }

  iterator begin() noexcept { return all_.begin() + static_cast<std::ptrdiff_t>(first_); }
  iterator end() noexcept { return all_.end(); }

  void erase(iterator which) { all_.erase(which); }

private:
  std::vector<Operation> all_;
  std::size_t first_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
