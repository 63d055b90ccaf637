// SPDX-License-Identifier: BSL-1.0
// A value that several threads may read and write at the same time, without order or cost.
#ifndef DGRAM_DETAIL_ASYNC_RELAXED_HPP
#define DGRAM_DETAIL_ASYNC_RELAXED_HPP

#include <dgram/config.hpp>

#include <atomic>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Several threads may run the synchronous sends, receives, `connect` and `shutdown` of one Asio
/// socket at the same time. This class holds the values that they share. Each access is a plain
/// load or store. Two threads that count at the same time may count as one.
template <class T>
class relaxed {
public:
  relaxed(T value = T()) noexcept : value_(value) {}  // NOLINT(*-explicit-*)
  relaxed(const relaxed& other) noexcept : value_(other) {}

  relaxed& operator=(const relaxed& other) noexcept { return *this = static_cast<T>(other); }

  relaxed& operator=(T value) noexcept
  {
    value_.store(value, std::memory_order_relaxed);
    return *this;
  }

  ~relaxed() = default;

  operator T() const noexcept  // NOLINT(*-explicit-*)
  {
    return value_.load(std::memory_order_relaxed);
  }

  relaxed& operator+=(T step) noexcept { return *this = static_cast<T>(*this + step); }
  relaxed& operator++() noexcept { return *this += T{1}; }

private:
  std::atomic<T> value_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
