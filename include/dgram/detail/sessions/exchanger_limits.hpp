// SPDX-License-Identifier: BSL-1.0
// Refuses limits and policies of an exchanger that are outside their ranges.
#ifndef DGRAM_DETAIL_SESSIONS_EXCHANGER_LIMITS_HPP
#define DGRAM_DETAIL_SESSIONS_EXCHANGER_LIMITS_HPP

#include <dgram/config.hpp>
#include <dgram/error.hpp>
#include <dgram/exchanger_config.hpp>
#include <dgram/failure.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t most_exchanges = std::size_t{1} << 28U;
inline constexpr std::chrono::nanoseconds exchange_resolution = std::chrono::milliseconds(1);

/// Returns what is wrong with a policy, in words; empty if nothing is.
inline std::string fault_of(const retry_policy& policy)
{
  const auto time = [](const char* name, std::chrono::nanoseconds value, const char* allowed) {
    return std::string(name) + ": " + std::to_string(value.count()) + " ns; " + allowed;
  };
  const auto number = [](const char* name, double value, const char* allowed) {
    return std::string(name) + ": " + std::to_string(value) + "; allowed are " + allowed;
  };
  if (policy.first_wait < exchange_resolution)
    return time("first_wait", policy.first_wait, "it must be 1 ms or more");
  if (policy.longest_wait < exchange_resolution)
    return time("longest_wait", policy.longest_wait, "it must be 1 ms or more");
  if (policy.deadline.count() < 0)
    return time("deadline", policy.deadline, "it must not be negative");
  if (policy.tries == 0 || policy.tries > std::numeric_limits<std::uint16_t>::max())
    return "tries: " + std::to_string(policy.tries) + "; allowed are 1 to 65535";
  // These also refuse what is not a number.
  if (!(policy.backoff >= 1 && policy.backoff <= 100))
    return number("backoff", policy.backoff, "1 to 100");
  if (!(policy.jitter >= 0 && policy.jitter <= 1)) return number("jitter", policy.jitter, "0 to 1");
  return {};
}

inline void check_exchanger_limit(const char* name, std::size_t value, std::size_t least,
                                  std::size_t most)
{
  if (value < least || value > most)
    refuse("exchanger", error::out_of_range,
           std::string(name) + ": " + std::to_string(value) +
               (most == std::numeric_limits<std::size_t>::max()
                    ? "; it must be " + std::to_string(least) + " or more"
                    : "; allowed are " + std::to_string(least) + " to " + std::to_string(most)));
}

/// Returns the configuration, if it is right.
inline exchanger_config checked(exchanger_config config)
{
  constexpr std::size_t any = std::numeric_limits<std::size_t>::max();
  if (std::string fault = fault_of(config.retry); !fault.empty())
    refuse("exchanger", error::out_of_range, "retry." + fault);
  if (config.remember_for.count() < 0)
    refuse("exchanger", error::out_of_range,
           "remember_for: " + std::to_string(config.remember_for.count()) +
               " ns; it must not be negative");
  check_exchanger_limit("max_outstanding", config.max_outstanding, 1, most_exchanges);
  check_exchanger_limit("max_remembered", config.max_remembered, 0, most_exchanges);
  check_exchanger_limit("max_request_bytes", config.max_request_bytes, 1, any);
  check_exchanger_limit("max_answer_bytes", config.max_answer_bytes, 1, any);
  check_exchanger_limit("slots", config.slots, 1, any);
  check_exchanger_limit("yield_after", config.yield_after, 1, any);
  check_exchanger_limit("queue.datagrams", config.queue.datagrams, 1, any);
  check_exchanger_limit("queue.bytes", config.queue.bytes, 1, any);
  return config;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
