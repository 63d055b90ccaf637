// SPDX-License-Identifier: BSL-1.0
// Refuses limits of a listener that are outside their ranges.
#ifndef DGRAM_DETAIL_SESSIONS_LISTENER_LIMITS_HPP
#define DGRAM_DETAIL_SESSIONS_LISTENER_LIMITS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/listener_config.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t most_amplification = 1'000'000;

inline void check_listener_limit(const char* name, std::size_t value, std::size_t most)
{
  if (value == 0 || value > most)
    refuse("listener", error::out_of_range,
           std::string(name) + ": " + std::to_string(value) +
               (most == std::numeric_limits<std::size_t>::max()
                    ? "; it must be 1 or more"
                    : "; allowed are 1 to " + std::to_string(most)));
}

/// Returns the limits, if they are right.
inline listener_config checked(const listener_config& config)
{
  constexpr std::size_t any = std::numeric_limits<std::size_t>::max();
  if (config.idle_timeout.count() <= 0)
    refuse("listener", error::out_of_range,
           "idle_timeout: " + std::to_string(config.idle_timeout.count()) +
               " ns; it must be positive");
  if (config.ignore_for.count() < 0)
    refuse(
        "listener", error::out_of_range,
        "ignore_for: " + std::to_string(config.ignore_for.count()) + " ns; it must be 0 or more");
  check_listener_limit("max_sessions", config.max_sessions, std::size_t{1} << 30U);
  check_listener_limit("max_keys", config.max_keys, std::numeric_limits<std::uint16_t>::max());
  check_listener_limit("max_unaccepted", config.max_unaccepted, any);
  check_listener_limit("inbox_datagrams", config.inbox_datagrams,
                       std::numeric_limits<std::uint32_t>::max());
  check_listener_limit("inbox_bytes", config.inbox_bytes,
                       std::numeric_limits<std::uint32_t>::max());
  if (config.amplification > most_amplification)
    refuse("listener", error::out_of_range,
           "amplification: " + std::to_string(config.amplification) + "; allowed are 0 to " +
               std::to_string(most_amplification));
  check_listener_limit("all_inboxes_bytes", config.all_inboxes_bytes, any);
  check_listener_limit("forwarded_bytes", config.forwarded_bytes, std::size_t{1} << 30U);
  check_listener_limit("slots", config.slots, any);
  check_listener_limit("yield_after", config.yield_after, any);
  check_listener_limit("queue.datagrams", config.queue.datagrams, any);
  check_listener_limit("queue.bytes", config.queue.bytes, any);
  return config;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
