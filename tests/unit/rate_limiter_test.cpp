// SPDX-License-Identifier: BSL-1.0
// Token buckets for senders, networks and all: what they let pass, and what they forget.
#include <dgram/rate_limiter.hpp>

#include "support/loopback.hpp"
#include "support/manual_clock.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace rate_limiter_test {

using Catch::Matchers::ContainsSubstring;
using dgram::token_budget;

namespace {

using manual_clock = test::manual_clock<std::chrono::nanoseconds>;

using limiter = dgram::basic_rate_limiter<manual_clock>;

asio::ip::address v4(std::uint32_t number)
{
  return asio::ip::address_v4(number);
}

asio::ip::address text(const char* address)
{
  return asio::ip::make_address(address);
}

/// How many of so many datagrams pass at this time.
int passed(limiter& by, const asio::ip::address& from, int count)
{
  int allowed = 0;
  for (int i = 0; i < count; ++i)
    allowed += by.allow(from) ? 1 : 0;
  return allowed;
}

std::string refused(const dgram::rate_limiter_config& config)
{
  try {
    const limiter made(config);
  } catch (const dgram::system_error& error) {
    CHECK((error.code() == dgram::error::out_of_range ||
           error.code() == asio::error::invalid_argument));
    return error.what();
  }
  return "(nothing was refused)";
}

}  // namespace

TEST_CASE("a sender may send its burst at once, and then its rate", "[limits]")
{
  manual_clock::current = {};
  limiter by({.ipv4_address = token_budget{10, 5}});
  CHECK(passed(by, v4(1), 20) == 5);
  manual_clock::current += std::chrono::milliseconds(99);
  CHECK(passed(by, v4(1), 20) == 0);
  manual_clock::current += std::chrono::milliseconds(1);
  CHECK(passed(by, v4(1), 20) == 1);
  manual_clock::current += std::chrono::milliseconds(250);
  CHECK(passed(by, v4(1), 20) == 2);
  // Never more than the burst, however long it was silent.
  manual_clock::current += std::chrono::hours(24 * 365);
  CHECK(passed(by, v4(1), 20) == 5);
  CHECK(by.statistics() == dgram::rate_limiter_statistics{.allowed = 13, .over_prefix = 87});
  // Others have buckets of their own, and IPv6 is not limited here.
  CHECK(passed(by, v4(2), 20) == 5);
  CHECK(passed(by, text("2001:db8::1"), 20) == 20);
}

TEST_CASE("a refused datagram costs no tokens, in no budget", "[limits]")
{
  manual_clock::current = {};
  limiter by({.ipv4_address = token_budget{1, 3},
              .ipv4_network = token_budget{1, 5},
              .all = token_budget{1, 7}});
  CHECK(passed(by, text("192.0.2.1"), 10) == 3);
  CHECK(passed(by, text("192.0.2.2"), 10) == 2);  // the network has no more
  CHECK(passed(by, text("192.0.3.1"), 10) == 2);  // all have no more
  CHECK(by.statistics().over_prefix == 7 + 8);
  CHECK(by.statistics().over_all == 8);
  // One token each, of which only the address's and the network's were used up.
  manual_clock::current += std::chrono::seconds(1);
  CHECK(passed(by, text("192.0.2.2"), 10) == 1);
  CHECK(passed(by, text("192.0.3.1"), 10) == 0);
  manual_clock::current += std::chrono::seconds(1);
  CHECK(passed(by, text("192.0.3.1"), 10) == 1);
}

TEST_CASE("networks of IPv6 have 64 bits, and a mapped address is one of IPv4", "[limits]")
{
  manual_clock::current = {};
  limiter by({.ipv4_address = token_budget{1, 2}, .ipv6_network = token_budget{1, 3}});
  CHECK(passed(by, text("2001:db8:0:1::1"), 2) == 2);
  CHECK(passed(by, text("2001:db8:0:1:ffff::2"), 9) == 1);
  CHECK(passed(by, text("2001:db8:0:2::1"), 9) == 3);
  CHECK(passed(by, text("::1"), 9) == 3);
  CHECK(passed(by, text("::ffff:192.0.2.1"), 1) == 1);
  CHECK(passed(by, text("192.0.2.1"), 9) == 1);
  CHECK(passed(by, text("0.0.0.0"), 9) == 2);
}

TEST_CASE("tokens may be bytes", "[limits]")
{
  manual_clock::current = {};
  limiter by({.all = token_budget{1000, 1500}});
  CHECK(by.allow(v4(1), 1400));
  CHECK_FALSE(by.allow(v4(1), 101));
  CHECK(by.allow(v4(2), 100));
  CHECK_FALSE(by.allow(v4(1), 1));
  CHECK(by.allow(v4(1), 0));
  manual_clock::current += std::chrono::hours(1);
  CHECK_FALSE(by.allow(v4(1), 1501));
  CHECK_FALSE(by.allow(v4(1), std::numeric_limits<std::uint32_t>::max()));
  CHECK(by.allow({v4(1), 53}, 1500));
}

TEST_CASE("a time before that of an earlier call gives no tokens", "[limits]")
{
  manual_clock::current = manual_clock::time_point(std::chrono::hours(1));
  limiter by({.all = token_budget{1, 1}});
  CHECK(by.allow(v4(1)));
  manual_clock::current += std::chrono::seconds(1);
  CHECK(by.allow(v4(1)));
  manual_clock::current -= std::chrono::hours(1);
  CHECK_FALSE(by.allow(v4(1)));
  manual_clock::current += std::chrono::hours(1);
  CHECK_FALSE(by.allow(v4(1)));
  CHECK(by.allow(v4(1), 1, manual_clock::now() + std::chrono::seconds(1)));
}

TEST_CASE("when there are too many prefixes, the fullest bucket is forgotten", "[limits]")
{
  manual_clock::current = {};
  limiter by({.ipv4_address = token_budget{1, 10}, .max_prefixes = 8});
  // Eight places: the sender 8 has used one token, the sender 1 has used eight.
  for (std::uint32_t sender = 1; sender <= 8; ++sender)
    CHECK(passed(by, v4(sender), static_cast<int>(9 - sender)) == static_cast<int>(9 - sender));
  CHECK(by.statistics().forgotten == 0);
  CHECK(passed(by, v4(100), 2) == 2);
  CHECK(by.statistics().forgotten == 1);
  // The others are limited as before.
  for (std::uint32_t sender = 1; sender <= 7; ++sender)
    CHECK(passed(by, v4(sender), 20) == static_cast<int>(1 + sender));
  CHECK(by.statistics().forgotten == 1);
  // A bucket that is full again is nothing to forget.
  manual_clock::current += std::chrono::seconds(100);
  CHECK(passed(by, v4(200), 20) == 10);
  CHECK(by.statistics().forgotten == 1);
  // What is refused takes no place.
  manual_clock::current += std::chrono::seconds(100);
  for (std::uint32_t sender = 1; sender <= 8; ++sender)
    passed(by, v4(sender), 20);
  CHECK_FALSE(by.allow(v4(300), 11));
  CHECK(passed(by, v4(1), 1) == 0);
  CHECK(by.statistics().forgotten == 1);
}

TEST_CASE("the limiter decides as a bucket of numbers for each sender does", "[limits]")
{
  manual_clock::current = {};
  const double rate = 7.3;
  const double burst = 4;
  limiter by({.ipv4_address = token_budget{rate, burst}, .max_prefixes = 65'536});
  struct bucket {
    double tokens = 4;
    double seconds = 0;
  };
  std::map<std::uint32_t, bucket> plain;
  std::mt19937 random(7);
  int differences = 0;
  int undecided = 0;
  for (int i = 0; i < 200'000; ++i) {
    manual_clock::current += std::chrono::microseconds(random() % 2000);
    const auto sender = static_cast<std::uint32_t>(random() % 200);
    const double seconds =
        std::chrono::duration<double>(manual_clock::current.time_since_epoch()).count();
    bucket& own = plain[sender];
    own.tokens = std::min(burst, own.tokens + (seconds - own.seconds) * rate);
    own.seconds = seconds;
    const bool allowed = by.allow(v4(sender));
    // The two round differently.
    if (own.tokens > 0.9999 && own.tokens < 1.0001)
      ++undecided;
    else if (allowed != (own.tokens >= 1))
      ++differences;
    if (allowed) own.tokens -= 1;
  }
  CHECK(differences == 0);
  CHECK(undecided < 1000);
  CHECK(by.statistics().forgotten == 0);
}

TEST_CASE("budgets that limit nothing or everything are refused by name", "[limits]")
{
  CHECK_THAT(refused({}), ContainsSubstring("there is no budget"));
  CHECK_THAT(refused({.ipv4_address = token_budget{0, 5}}),
             ContainsSubstring("ipv4_address.per_second 0.0"));
  CHECK_THAT(refused({.ipv4_network = token_budget{-1, 5}}),
             ContainsSubstring("ipv4_network.per_second -1.0"));
  CHECK_THAT(refused({.ipv6_network = token_budget{2e9, 5}}),
             ContainsSubstring("ipv6_network.per_second 2000000000.0"));
  CHECK_THAT(refused({.all = token_budget{1, 0}}), ContainsSubstring("all.burst 0.0"));
  CHECK_THAT(refused({.all = token_budget{1, 1e9}}), ContainsSubstring("all.burst 1000000000.0"));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK_THAT(refused({.all = token_budget{nan, 1}}), ContainsSubstring("all.per_second"));
  CHECK_THAT(refused({.all = token_budget{infinity, 1}}), ContainsSubstring("all.per_second"));
  CHECK_THAT(refused({.all = token_budget{1, nan}}), ContainsSubstring("all.burst"));
  CHECK_THAT(refused({.all = token_budget{1, infinity}}), ContainsSubstring("all.burst"));
  CHECK_THAT(refused({.all = token_budget{1, 1}, .max_prefixes = 0}),
             ContainsSubstring("max_prefixes 0; allowed are 1 to"));
  CHECK_THAT(refused({.all = token_budget{1, 1}, .max_prefixes = (1U << 28U) + 1}),
             ContainsSubstring("max_prefixes 268435457"));
}

TEST_CASE("extreme budgets keep their meaning", "[limits]")
{
  manual_clock::current = {};
  limiter fast({.all = token_budget{1e9, 1}});
  CHECK(passed(fast, v4(1), 5) == 1);
  manual_clock::current += std::chrono::nanoseconds(1);
  CHECK(passed(fast, v4(1), 5) == 1);
  limiter slow({.all = token_budget{1.0 / (364.0 * 24 * 3600), 1}});
  CHECK(passed(slow, v4(1), 5) == 1);
  manual_clock::current += std::chrono::hours(24 * 363);
  CHECK(passed(slow, v4(1), 5) == 0);
  manual_clock::current += std::chrono::hours(25);
  CHECK(passed(slow, v4(1), 5) == 1);
}

TEST_CASE("a reader, an emitter and a map of sessions use the same limiter", "[limits]")
{
  asio::io_context io;
  dgram::rate_limiter limit({.ipv4_address = token_budget{0.001, 3}});
  dgram::udp::socket client{io, test::loopback_v4()};
  const auto send = [&](const dgram::udp::endpoint& to) {
    for (int i = 0; i < 10; ++i)
      client.send_to(asio::buffer("x", 1), to);
  };
  int handled = 0;
  SECTION("a reader")
  {
    dgram::udp::socket server{io, test::loopback_v4()};
    send(server.local_endpoint());
    dgram::reader reader{server};
    int seen = 0;
    reader.async_for_each(
        [&](const dgram::datagram& datagram) {
          if (limit.allow(datagram.sender())) ++handled;
          if (++seen == 10) reader.stop();
        },
        [](dgram::error_code) {});
    test::run(io);
  }
  SECTION("an emitter")
  {
    auto server = dgram::create_socket(io, dgram::udp4);
    int seen = 0;
    server.on<dgram::event::message>([&](dgram::bytes_view, const dgram::remote_info& from) {
      if (limit.allow(from.endpoint())) ++handled;
      if (++seen == 10) server.close();
    });
    server.bind_sync(0, "127.0.0.1");
    send(test::loopback_v4(server.address().port));
    test::run(io);
  }
  SECTION("new sessions")
  {
    dgram::udp::socket server{io, test::loopback_v4()};
    for (int i = 0; i < 10; ++i) {
      dgram::udp::socket stranger{io, test::loopback_v4()};
      stranger.send_to(asio::buffer("x", 1), server.local_endpoint());
    }
    dgram::session_map<int> sessions;
    sessions.on_stranger(
        [&](const dgram::datagram& stranger) { return limit.allow(stranger.sender()); });
    dgram::receive_batch batch{16};
    CHECK(server.receive_batch(batch) == 10);
    for (auto [session, datagram] : sessions.route(batch))
      handled += datagram.payload().size() == 1 && *session == 0 ? 1 : 0;
    CHECK(sessions.statistics().rejected == 7);
  }
  CHECK(handled == 3);
  CHECK(limit.statistics().over_prefix == 7);
}

}  // namespace rate_limiter_test
