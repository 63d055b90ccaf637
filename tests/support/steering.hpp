// SPDX-License-Identifier: BSL-1.0
// Skips tests of groups where the system cannot steer, or where a group has one member only.
#ifndef DGRAM_TESTS_SUPPORT_STEERING_HPP
#define DGRAM_TESTS_SUPPORT_STEERING_HPP

#include "support/loopback.hpp"

#include <dgram/shard_group.hpp>

#include <catch2/catch_test_macros.hpp>

namespace test {

/// Whether a group with these settings may have a second member.
inline bool has_second_member(const dgram::shard_group_config& config)
{
  asio::io_context probe;
  dgram::shard_group two{loopback_v4(), config};
  dgram::error_code refused;
  const auto first = two.open(probe, refused);
  const auto second = two.open(probe, refused);
  return refused != asio::error::operation_not_supported;
}

}  // namespace test

#define DGRAM_SKIP_WITHOUT_STEERING()                                          \
  do {                                                                         \
    if (!test::has_second_member({}))                                          \
      SKIP("this system cannot steer datagrams to sockets that share a port"); \
  } while (false)

/// Of tests to which it is the same which member receives.
#define DGRAM_SKIP_WITHOUT_GROUPS()                      \
  do {                                                   \
    if (!test::has_second_member({.share_queue = true})) \
      SKIP("a group has one member on this system");     \
  } while (false)

#endif
