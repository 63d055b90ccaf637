// SPDX-License-Identifier: BSL-1.0
// Counts of what a socket has moved and lost.
#ifndef DGRAM_SOCKET_STATISTICS_HPP
#define DGRAM_SOCKET_STATISTICS_HPP

#include <dgram/config.hpp>

#include <cstdint>

DGRAM_NAMESPACE_BEGIN

/// Counts since the socket was opened; see `basic_socket::statistics`. They leave out what Asio's
/// own operations move: docs/metadata.md lists those operations.
struct socket_statistics {
  std::uint64_t received = 0;        ///< datagrams
  std::uint64_t received_bytes = 0;  ///< of payload, as far as it fit
  std::uint64_t receive_calls = 0;   ///< calls that took at least one datagram
  std::uint64_t coalesced = 0;       ///< datagrams that came in a train
  std::uint64_t truncated = 0;       ///< datagrams that did not fit their slot or buffers

  std::uint64_t sent = 0;         ///< datagrams
  std::uint64_t sent_bytes = 0;   ///< of payload
  std::uint64_t send_calls = 0;   ///< calls that sent at least one datagram
  std::uint64_t segmented = 0;    ///< datagrams that left in one message with others
  std::uint64_t short_sends = 0;  ///< calls of which the kernel took only a part
  std::uint64_t rejected = 0;     ///< how often a datagram of a batch was refused for its own sake

  std::uint64_t would_block = 0;  ///< calls that found nothing to receive, or no room to send
  /// Errors of known kinds that were taken from the error queue. Without `option::receive_error`,
  /// the errors of earlier datagrams that a batch of a connected socket met.
  std::uint64_t path_errors = 0;

  /// Reports of errors and times that were discarded because too many waited to be fetched. Also
  /// errors for whose report the kernel had no room in the receive buffer. Times for which it had
  /// no room are not counted.
  std::uint64_t lost_reports = 0;

  /// Datagrams that arrived and found the receive queue full, or were broken (Linux: SO_RXQ_OVFL;
  /// elsewhere 0). On a socket that coalesces this is a lower bound, because the kernel counts a
  /// dropped train as one. To count exactly, keep coalescing off (`option::coalescing`,
  /// `reader_config::coalesce`, `socket_options::coalesce`).
  std::uint64_t dropped = 0;

  /// Whether `dropped` counts each datagram: none was dropped, or the socket has never coalesced.
  bool dropped_is_exact = true;

  /// Datagrams per call that moved any.
  double mean_received() const noexcept { return mean(received, receive_calls); }
  double mean_sent() const noexcept { return mean(sent, send_calls); }

private:
  static double mean(std::uint64_t sum, std::uint64_t count) noexcept
  {
    return count == 0 ? 0.0 : static_cast<double>(sum) / static_cast<double>(count);
  }
};

namespace detail {

/// Follows a counter of 32 bits across its wrap.
class wrapping_counter {
public:
  std::uint64_t value() const noexcept { return value_; }

  /// Takes the value that the counter shows now. The counter only counts up, so an older reading is
  /// recognised and ignored.
  void read(std::uint32_t now) noexcept
  {
    const std::uint32_t step = now - static_cast<std::uint32_t>(value_);
    if (step < 0x80000000U) value_ += step;
  }

private:
  std::uint64_t value_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
