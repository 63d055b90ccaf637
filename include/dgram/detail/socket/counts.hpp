// SPDX-License-Identifier: BSL-1.0
// The counters of a socket, and an error that its next receive reports.
#ifndef DGRAM_DETAIL_SOCKET_COUNTS_HPP
#define DGRAM_DETAIL_SOCKET_COUNTS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/relaxed.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/socket_statistics.hpp>

#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// All counters of `socket_statistics`, except the drops.
struct socket_counts {
  using count = relaxed<std::uint64_t>;

  count received, received_bytes, receive_calls, coalesced, truncated;
  count sent, sent_bytes, send_calls, segmented, short_sends, rejected;
  count would_block, path_errors, lost_reports;

  socket_statistics with_drops(std::uint64_t dropped, bool counts_trains) const noexcept
  {
    socket_statistics all;
    all.received = received;
    all.received_bytes = received_bytes;
    all.receive_calls = receive_calls;
    all.coalesced = coalesced;
    all.truncated = truncated;
    all.sent = sent;
    all.sent_bytes = sent_bytes;
    all.send_calls = send_calls;
    all.segmented = segmented;
    all.short_sends = short_sends;
    all.rejected = rejected;
    all.would_block = would_block;
    all.path_errors = path_errors;
    all.lost_reports = lost_reports;
    all.dropped = dropped;
    all.dropped_is_exact = dropped == 0 || !counts_trains;
    return all;
  }
};

/// A system error that the kernel will not report again.
class kept_error {
public:
  kept_error& operator=(const error_code& ec) noexcept
  {
    value_ = ec.value();
    return *this;
  }

  explicit operator bool() const noexcept { return value_ != 0; }

  /// Returns the error, and clears it.
  error_code take() noexcept
  {
    const int value = value_;
    if (value == 0) [[likely]]
      return {};
    value_ = 0;
    return platform::make_system_error(value);
  }

private:
  relaxed<int> value_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
