// SPDX-License-Identifier: BSL-1.0
// Limits of a table of sessions, why a session ends, and what a table counts.
#ifndef DGRAM_SESSION_MAP_CONFIG_HPP
#define DGRAM_SESSION_MAP_CONFIG_HPP

#include <dgram/config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

DGRAM_NAMESPACE_BEGIN

/// What happens to a new peer if there are `max_sessions` already.
enum class sessions_full {
  refuse,  ///< the new peer gets no session, and its datagram is counted as `refused`
  /// The session that has heard nothing for the longest time ends, to 1/256 of the idle timeout.
  /// The search looks at no more than 256 sessions, and then takes the best of them.
  evict_idlest,
};

/// Why a session ended.
enum class session_end {
  idle,     ///< no datagram came for the idle timeout
  closed,   ///< the program ended it: `erase` or `clear`
  evicted,  ///< it made room for another one
  /// The listener of the session, or its socket, was closed. A `session_map` has no such end.
  stopped,
  socket_error,  ///< the listener's socket failed; a `session_map` has no such end
};

/// Limits of a `session_map`. A limit of 0 is refused, except for `ignore_for`.
struct session_map_config {
  /// A session ends if no datagram comes for so long. It ends at the earliest after this time, and
  /// becomes due at most 1/128 of it later (or two units of the clock, if that is more).
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(60);

  /// How many sessions there may be, at most 2^30.
  std::size_t max_sessions = 65536;

  sessions_full when_full = sessions_full::refuse;

  /// How many keys one session may have, at most 65,535.
  std::size_t max_keys = 8;

  /// For so long, or up to 1/128 longer, late datagrams of a session that the program has ended are
  /// ignored, and make no session. 0: they make one. As many keys are remembered as there may be
  /// sessions. If there are more, the oldest are forgotten.
  std::chrono::nanoseconds ignore_for{0};
};

/// What a `session_map` has counted. Each datagram that a loop over `route` has reached is counted
/// once: in `routed`, `refused`, `rejected`, `ignored`, `unkeyed` or `failed`. `created` equals the
/// number of sessions plus `idle`, `closed` and `evicted`.
struct session_map_statistics {
  std::uint64_t routed = 0;    ///< datagrams that were given to a session
  std::uint64_t refused = 0;   ///< datagrams of new peers without a session, because it was full
  std::uint64_t rejected = 0;  ///< datagrams of new peers that the function for strangers refused
  std::uint64_t ignored = 0;   ///< late datagrams of sessions that the program has ended
  std::uint64_t unkeyed = 0;   ///< datagrams without a usable key
  std::uint64_t failed = 0;    ///< datagrams whose session could not be made: something has thrown
  std::uint64_t created = 0;   ///< sessions
  std::uint64_t idle = 0;      ///< sessions that ended by their idle timeout
  std::uint64_t closed = 0;    ///< sessions that the program ended
  std::uint64_t evicted = 0;   ///< sessions that made room for another one
  std::uint64_t keys_refused = 0;  ///< keys beyond `max_keys` of their session
};

DGRAM_NAMESPACE_END

#endif
