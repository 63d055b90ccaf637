// SPDX-License-Identifier: BSL-1.0
// Checks that a listener has lost no datagram and no session without counting it.
#ifndef DGRAM_TESTS_SUPPORT_LISTENER_ACCOUNT_HPP
#define DGRAM_TESTS_SUPPORT_LISTENER_ACCOUNT_HPP

#include <dgram/listener_config.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>

namespace test {

/// Every received datagram is in one place.
inline bool is_balanced(const dgram::listener_statistics& s)
{
  return s.received == s.handed_over + s.queued + s.unread + s.inbox_full + s.inboxes_full +
                           s.sessions_full + s.unaccepted_full + s.not_accepting + s.rejected +
                           s.ignored + s.unkeyed + s.failed;
}

/// The same, and every session is there or has ended for a reason.
template <class Listener>
void check_account(const Listener& listener)
{
  const dgram::listener_statistics s = listener.statistics();
  CHECK(is_balanced(s));
  CHECK(s.created == listener.size() + s.idle + s.closed + s.evicted + s.stopped + s.socket_error);
  CHECK(s.received < std::uint64_t{1} << 60U);  // no counter went below 0
  CHECK(s.queued < std::uint64_t{1} << 60U);
  CHECK(s.rejected < std::uint64_t{1} << 60U);
  CHECK(s.closed < std::uint64_t{1} << 60U);
}

}  // namespace test

#endif
