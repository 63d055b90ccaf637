// SPDX-License-Identifier: BSL-1.0
// Sockets and ports on loopback, and a context that is run under a watchdog.
#ifndef DGRAM_TESTS_SUPPORT_LOOPBACK_HPP
#define DGRAM_TESTS_SUPPORT_LOOPBACK_HPP

#include "support/asio.hpp"
#include "support/reserved_port.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>

/// The clock of libc++ counts microseconds, and Catch2 itself prints no finer times of that clock.
template <>
struct Catch::StringMaker<dgram::receive_time_point> {
  static std::string convert(const dgram::receive_time_point& time)
  {
    return std::to_string(time.time_since_epoch().count()) + " ns since 1970";
  }
};

namespace test {

using endpoint = asio::ip::udp::endpoint;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline endpoint loopback_v4(std::uint16_t port = 0)
{
  return {asio::ip::address_v4::loopback(), port};
}
inline endpoint loopback_v6(std::uint16_t port = 0)
{
  return {asio::ip::address_v6::loopback(), port};
}

inline bool has_ipv6()
{
  asio::io_context io;
  dgram::error_code ec;
  asio::ip::udp::socket probe(io);
  probe.open(asio::ip::udp::v6(), ec);
  if (!ec) probe.bind(loopback_v6(), ec);
  return !ec;
}

/// Runs until nothing is left to do, and fails instead of hanging.
inline void run(asio::io_context& io, std::chrono::steady_clock::duration limit = seconds(10))
{
  io.restart();
  io.run_for(limit);
  REQUIRE(io.stopped());
}

/// Runs a coroutine to its end and rethrows what it threw.
inline void run(asio::io_context& io, asio::awaitable<void> coroutine)
{
  std::exception_ptr failure;
  bool finished = false;
  asio::co_spawn(io, std::move(coroutine), [&](std::exception_ptr thrown) {
    failure = thrown;
    finished = true;
  });
  run(io);
  if (failure) std::rethrow_exception(failure);
  REQUIRE(finished);
}

/// A port on loopback without a socket. It is the same one each time.
inline endpoint dead_endpoint()
{
  return loopback_v4(dead_port());
}

}  // namespace test

#define DGRAM_SKIP_WITHOUT_IPV6()                                  \
  do {                                                             \
    if (!test::has_ipv6()) SKIP("this host has no IPv6 loopback"); \
  } while (false)

#endif
