// SPDX-License-Identifier: BSL-1.0
// The settings of a hand-over between processes, and what it reports.
#ifndef DGRAM_HAND_OVER_CONFIG_HPP
#define DGRAM_HAND_OVER_CONFIG_HPP

#include <dgram/config.hpp>
#include <dgram/control_message.hpp>

#include <chrono>
#include <cstdint>
#include <functional>

DGRAM_NAMESPACE_BEGIN

/// A process that asked for the socket and did not get it.
struct hand_over_refusal {
  /// Why: `error::untrusted_peer`, `error::hand_over_version`, `error::hand_over_message`,
  /// `error::wrong_descriptor` (it asked for a socket of another kind), `connection_reset` (it
  /// ended or gave up), `timed_out`, or a system's error.
  error_code why;
  peer_credentials from;  ///< the process, as the kernel saw it when it connected
};

/// The settings of the old process; see `async_hand_over`.
struct hand_over_config {
  /// The permissions of the socket file, bits of 0777. Only processes that may write the file can
  /// connect. An abstract name has none.
  unsigned file_mode = 0600;

  /// The longest time for one process, from its connection to its last message. If it ends, the
  /// socket stays here, and the next process may ask.
  std::chrono::steady_clock::duration time_limit = std::chrono::seconds(10);

  /// Whether to give the socket to a process. If empty: to those of the same effective user. If it
  /// throws, the process is refused, and the exception leaves the context's `run`.
  std::function<bool(const peer_credentials&)> accept{};

  /// Called for each process that did not get the socket. If it throws, the exception leaves the
  /// context's `run`.
  std::function<void(const hand_over_refusal&)> on_refused{};
};

/// What a hand-over met; see `async_hand_over`.
struct hand_over_report {
  std::uint64_t refused = 0;  ///< processes that were not trusted, or that spoke otherwise
  std::uint64_t failed = 0;   ///< processes that ended, gave up, or took longer than allowed
  peer_credentials to{};      ///< the process that has the socket now

  friend bool operator==(const hand_over_report&, const hand_over_report&) noexcept = default;
};

/// The settings of the new process; see `async_take_over`.
struct take_over_config {
  /// The longest time from the connection to the old process's confirmation.
  std::chrono::steady_clock::duration time_limit = std::chrono::seconds(10);

  /// Whether to take the socket from a process. If empty: from those of the same effective user. If
  /// it throws, the process is refused, and the exception leaves the context's `run`.
  std::function<bool(const peer_credentials&)> accept{};
};

DGRAM_NAMESPACE_END

#endif
