// SPDX-License-Identifier: BSL-1.0
// Durations and times that no clock reaches, where a caller may give one.
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <asio/co_spawn.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <limits>
#include <string>

namespace durations_test {

namespace {

using clock_type = std::chrono::steady_clock;
using duration = clock_type::duration;

struct extreme {
  duration wait;
  bool is_over;  // at once
};

/// The ends of the clock, and what is a step away from them.
extreme any_duration()
{
  return GENERATE(extreme{duration::min(), true}, extreme{duration::min() + duration(1), true},
                  extreme{duration::min() / 1000000, true}, extreme{duration(-1), true},
                  extreme{duration::zero(), true}, extreme{duration::max() / 1000000, false},
                  extreme{duration::max() / 2, false},
                  extreme{duration::max() - duration(1), false}, extreme{duration::max(), false});
}

struct traffic {
  asio::io_context io;
  dgram::udp::socket to{io, test::loopback_v4()};
  dgram::udp::socket from{io, test::loopback_v4()};
};

void rethrow(const std::exception_ptr& error)
{
  if (error) std::rethrow_exception(error);
}

/// Calls `next(reader)`, and sends nothing until the coroutine waits. Returns whether it waited for
/// the datagram.
template <class Next>
bool waits(traffic& host, Next next)
{
  bool finished = false;
  bool received = false;
  dgram::error_code ec;
  dgram::reader reader(host.to);
  const auto read = [&]() -> asio::awaitable<void> {
    received = co_await next(reader, ec);
    finished = true;
  };
  asio::co_spawn(host.io, read(), rethrow);
  // Until nothing is ready: a wait that is over ends here, and another does not.
  while (!finished && host.io.poll() > 0) {}
  const bool waited = !finished;
  if (!finished) host.from.send_to(asio::buffer("late", 4), host.to.local_endpoint());
  test::run(host.io);
  CHECK(finished);
  CHECK(received == waited);
  CHECK(ec == (waited ? dgram::error_code() : asio::error::timed_out));
  return waited;
}

}  // namespace

TEST_CASE("a reader waits for durations of any size", "[durations][F16]")
{
  const auto [wait, is_over] = any_duration();
  CAPTURE(wait.count());
  traffic host;
  CHECK(waits(host, [&](auto& reader, dgram::error_code& ec) -> asio::awaitable<bool> {
          co_return static_cast<bool>(co_await reader.next_for(wait, ec));
        }) == !is_over);
}

TEST_CASE("a reader waits until times of any size", "[durations][F16]")
{
  const auto [since_start, is_over] = any_duration();
  CAPTURE(since_start.count());
  traffic host;
  // The largest by a million is two and a half hours after the clock's start, which may be over.
  if (since_start == duration::max() / 1000000) return;
  CHECK(waits(host, [&](auto& reader, dgram::error_code& ec) -> asio::awaitable<bool> {
          co_return static_cast<bool>(
              co_await reader.next_until(clock_type::time_point(since_start), ec));
        }) == !is_over);
}

TEST_CASE("times to leave at are taken at any size", "[durations][F16]")
{
  const auto [since_start, is_over] = any_duration();
  CAPTURE(since_start.count(), is_over);
  traffic host;
  const dgram::send_options options{.transmit_time = clock_type::time_point(since_start)};
  dgram::error_code ec;
  host.from.send_to(asio::buffer("now", 3), host.to.local_endpoint(), options, ec);
  // Loopback has no queue that keeps the time.
  if (ec == asio::error::operation_not_supported) SKIP("no times to leave at here");
  REQUIRE_FALSE(ec);
  std::array<char, 8> room{};
  CHECK(host.to.receive(asio::buffer(room)) == 3);
}

}  // namespace durations_test
