// SPDX-License-Identifier: BSL-1.0
// Tells an operation that resumes whether it was cancelled, or its socket closed, meanwhile.
#ifndef DGRAM_DETAIL_ASYNC_EPOCH_GUARD_HPP
#define DGRAM_DETAIL_ASYNC_EPOCH_GUARD_HPP

#include <dgram/config.hpp>

#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `cancel`, `close`, `release` and a new descriptor start a new epoch of a socket. A wake-up may
/// have been queued before that, or before a cancellation of the operation itself. So the success
/// of a wait proves nothing. The guard remembers the epoch in which the operation was launched.
class epoch_guard {
public:
  epoch_guard() = default;
  explicit epoch_guard(std::uint64_t epoch) noexcept : epoch_(epoch) {}

  void enter(std::uint64_t epoch) noexcept { epoch_ = epoch; }

  bool is_over(std::uint64_t now) const noexcept { return now != epoch_; }

  /// The same for an operation that may also have been cancelled by its own slot.
  bool is_over(std::uint64_t now, const net::cancellation_state& own) const
  {
    return is_over(now) || own.cancelled() != net::cancellation_type::none;
  }

private:
  std::uint64_t epoch_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
