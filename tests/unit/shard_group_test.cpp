// SPDX-License-Identifier: BSL-1.0
// Groups of sockets that share a port: which member gets a datagram, opening, ending, errors.
#include <dgram/shard_group.hpp>

#include "support/loopback.hpp"
#include "support/steering.hpp"
#include "support/thrown_text.hpp"

#include <dgram.hpp>

#include <asio/executor_work_guard.hpp>

#if __has_include(<asio/cancel_after.hpp>)
#include <asio/cancel_after.hpp>
#define HAS_CANCEL_AFTER 1
#else
#define HAS_CANCEL_AFTER 0
#endif

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include "support/other_user.hpp"

#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#endif

namespace shard_group_test {

using Catch::Matchers::ContainsSubstring;
using dgram::shard_group;

namespace {

/// A group whose members are on one context.
struct shards {
  shards(const dgram::udp::endpoint& local, std::size_t count,
         const dgram::shard_group_config& config = {.share_queue = true})
      : group(local, config)
  {
    open(count);
  }

  void open(std::size_t count)
  {
    for (std::size_t i = 0; i < count; ++i)
      sockets.push_back(group.open(io));
  }

  /// Takes the only datagram that waits. Returns its member.
  std::size_t take_one()
  {
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < sockets.size(); ++i)
      if (const std::size_t count = empty(i); count > 0) {
        REQUIRE(count == 1);
        REQUIRE_FALSE(found);
        found = i;
      }
    REQUIRE(found);
    return *found;
  }

  /// The member that `take_one` finds: of members that read one queue, the one that looks first.
  std::size_t expected(const dgram::udp::endpoint& sender) const
  {
    return group.shares_queue() ? 0 : group.member_of(sender);
  }

  std::size_t empty(std::size_t member)
  {
    std::size_t count = 0;
    std::array<char, 64> bytes;
    dgram::udp::endpoint sender;
    while (sockets[member].try_receive_from(asio::buffer(bytes), sender))
      ++count;
    return count;
  }

  asio::io_context io;
  shard_group group;
  std::vector<dgram::udp::socket> sockets;
};

struct client {
  explicit client(const dgram::udp::endpoint& to)
      : socket(io, dgram::udp::endpoint(to.address(), 0)), server(to)
  {
  }

  void send(const std::string& payload = "?")
  {
    REQUIRE(socket.send_to(asio::buffer(payload), server) == payload.size());
  }

  asio::io_context io;
  dgram::udp::socket socket;
  dgram::udp::endpoint server;
};

dgram::error_code end_last(shards& of, bool closes)
{
  std::optional<dgram::error_code> result;
  const auto note = [&](dgram::error_code ec) { result = ec; };
  if (closes)
    of.group.async_close_last(note);
  else
    of.group.async_drain_last(note);
  CHECK_FALSE(result);
  test::run(of.io);
  REQUIRE(result);
  return *result;
}

}  // namespace

TEST_CASE("one member alone is an ordinary socket on every system", "[shard_group]")
{
  shards one(test::loopback_v4(), 1);
  CHECK(one.group.size() == 1);
  CHECK(one.sockets[0].local_endpoint() == one.group.local_endpoint());
  client peer(one.group.local_endpoint());
  peer.send();
  CHECK(one.take_one() == 0);
}

TEST_CASE("a system without groups refuses a second member and a reserve", "[shard_group]")
{
  shards one(test::loopback_v4(), 1, {});
  dgram::error_code ec;
  const auto second = one.group.open(one.io, ec);
  if (!ec) SKIP("this system has groups");
  CHECK(ec == asio::error::operation_not_supported);
  CHECK(one.group.size() == 1);
  CHECK_THAT(test::thrown_text([&] { one.group.open(one.io); }),
             ContainsSubstring("member 1: this system cannot steer"));
  CHECK_THAT(test::thrown_text([] { shard_group(test::loopback_v4(), {.reserve = 2}); }),
             ContainsSubstring("member 1: this system cannot steer"));
  client peer(one.group.local_endpoint());
  peer.send();
  CHECK(one.take_one() == 0);
}

TEST_CASE("every datagram of a sender goes to the member that member_of names", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  const bool v6 = GENERATE(false, true);
  const std::size_t count = GENERATE(2U, 3U, 7U);
  if (v6) DGRAM_SKIP_WITHOUT_IPV6();
  shards all(v6 ? test::loopback_v6() : test::loopback_v4(), count);
  std::set<std::size_t> reached;
  for (int flow = 0; flow < 200; ++flow) {
    client peer(all.group.local_endpoint());
    const std::size_t expected = all.group.member_of(peer.socket.local_endpoint());
    for (int i = 0; i < 3; ++i) {
      peer.send();
      REQUIRE(all.take_one() == expected);
    }
    reached.insert(expected);
  }
  CHECK(reached.size() == count);
}

TEST_CASE("a dual-stack group steers both families", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  shard_group group{dgram::udp::any(), {.reserve = 3}};
  std::vector<dgram::udp::socket> members;
  for (int i = 0; i < 3; ++i)
    members.push_back(group.open(io));
  for (const bool v6 : {false, true})
    for (int flow = 0; flow < 60; ++flow) {
      const auto port = group.local_endpoint().port();
      client peer(v6 ? test::loopback_v6(port) : test::loopback_v4(port));
      peer.send();
      const std::size_t expected = group.member_of(peer.socket.local_endpoint());
      std::array<char, 8> bytes;
      dgram::udp::endpoint sender;
      REQUIRE(members[expected].try_receive_from(asio::buffer(bytes), sender));
      CHECK(sender == peer.socket.local_endpoint());
    }
}

#if defined(__linux__)
TEST_CASE("a dual-stack group on the IPv6 wildcard takes both families", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  shard_group group{{asio::ip::address_v6::any(), 0}, {.socket = {.dual_stack = true}}};
  dgram::udp::socket member = group.open(io);
  const auto port = group.local_endpoint().port();
  for (const bool v6 : {false, true}) {
    client peer(v6 ? test::loopback_v6(port) : test::loopback_v4(port));
    peer.send();
    std::array<char, 8> bytes;
    dgram::udp::endpoint sender;
    REQUIRE(member.try_receive_from(asio::buffer(bytes), sender));
    CHECK(sender == peer.socket.local_endpoint());
  }
}

TEST_CASE("IPv6 extension headers do not hide the port", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  DGRAM_SKIP_WITHOUT_IPV6();
  shards all(test::loopback_v6(), 5);
  for (int flow = 0; flow < 40; ++flow) {
    client peer(all.group.local_endpoint());
    // Destination options: next header, length, and padding, of which the kernel takes up to seven
    // bytes (RFC 8200, section 4.2).
    const std::array<unsigned char, 8> options{0, 0, 1, 4};
    if (::setsockopt(peer.socket.native_handle(), IPPROTO_IPV6, IPV6_DSTOPTS, options.data(),
                     options.size()) != 0)
      SKIP("this user may send no extension headers");
    peer.send();
    CHECK(all.take_one() == all.group.member_of(peer.socket.local_endpoint()));
  }
}

TEST_CASE("the processor selects the member", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  ::cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  shards all(test::loopback_v4(), 3, {.steering = dgram::steer_by_cpu()});
  client peer(all.group.local_endpoint());
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &before)) continue;
    ::cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(cpu, &only);
    REQUIRE(::sched_setaffinity(0, sizeof only, &only) == 0);
    for (int i = 0; i < 50; ++i) {
      peer.send();  // the loopback interface delivers on the sender's processor
      CHECK(all.take_one() == cpu % 3);
    }
  }
  ::sched_setaffinity(0, sizeof before, &before);
}
#endif

TEST_CASE("bytes of the payload select the member", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  const std::size_t size = GENERATE(1U, 2U, 4U);
  const std::size_t offset = GENERATE(0U, 3U);
  constexpr std::size_t count = 5;
  shards all(test::loopback_v4(), count,
             {.steering = dgram::steer_by_payload{.offset = offset, .size = size}});
  client peer(all.group.local_endpoint());
  std::mt19937 random(7);  // NOLINT(*-msc51-cpp): the same in each run
  for (int i = 0; i < 200; ++i) {
    const auto value = static_cast<std::uint32_t>(random() >> (32 - 8 * size));
    std::string payload(offset, 'x');
    for (std::size_t byte = size; byte-- > 0;)
      payload += static_cast<char>(value >> (8 * byte));
    peer.send(payload);
    REQUIRE(all.take_one() == value % count);
    peer.send(payload + "more");
    REQUIRE(all.take_one() == value % count);
  }
}

TEST_CASE("a datagram without the bytes is steered by its sender", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shards all(test::loopback_v4(), 4, {.steering = dgram::steer_by_payload{.offset = 2, .size = 2}});
  for (int flow = 0; flow < 40; ++flow) {
    client peer(all.group.local_endpoint());
    for (const char* const payload : {"", "\x01", "\x01\x01\x01"}) {
      peer.send(payload);
      CHECK(all.take_one() == all.group.member_of(peer.socket.local_endpoint()));
    }
  }
}

TEST_CASE("the hash spreads senders evenly, and moves few of them", "[shard_group]")
{
  const dgram::platform::steering_hash hash;
  constexpr int senders = 60'000;
  const auto sender = [](int number) {
    // Neighbours, as behind one NAT and in one network.
    return dgram::udp::endpoint(
        asio::ip::address_v4(0x0A000000U + static_cast<std::uint32_t>(number) / 1000U),
        static_cast<std::uint16_t>(1024 + number % 1000));
  };
  for (const std::size_t count : {2U, 3U, 8U, 16U, 64U}) {
    std::vector<int> of(count + 1);
    int moved = 0, elsewhere = 0;
    for (int i = 0; i < senders; ++i) {
      const std::size_t now = hash.member_of(sender(i), count);
      const std::size_t then = hash.member_of(sender(i), count + 1);
      ++of.at(now);
      if (now == then) continue;
      ++moved;
      if (then != count) ++elsewhere;
    }
    CHECK(elsewhere == 0);
    CHECK(of[count] == 0);
    const double share = senders / static_cast<double>(count);
    for (std::size_t i = 0; i < count; ++i) {
      INFO("member " << i << " of " << count);
      CHECK(of[i] > share * 0.7);
      CHECK(of[i] < share * 1.3);
    }
    CHECK(moved > senders / (static_cast<double>(count) + 1) * 0.7);
    CHECK(moved < senders / (static_cast<double>(count) + 1) * 1.3);
  }
}

TEST_CASE("two groups have different secrets", "[shard_group]")
{
  const dgram::platform::steering_hash one, other;
  CHECK(one.keys != other.keys);
}

TEST_CASE("sockets of the reserve get nothing before they are open", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shards all(test::loopback_v4(), 2, {.reserve = 6});
  std::vector<std::unique_ptr<client>> peers;
  for (int i = 0; i < 100; ++i) {
    peers.push_back(std::make_unique<client>(all.group.local_endpoint()));
    peers.back()->send();
  }
  CHECK(all.empty(0) + all.empty(1) == 100);
  all.open(4);
  CHECK(all.group.size() == 6);
  for (std::size_t i = 2; i < 6; ++i)
    CHECK(all.empty(i) == 0);
  for (const auto& peer : peers) {
    peer->send();
    CHECK(all.take_one() == all.group.member_of(peer->socket.local_endpoint()));
  }
}

TEST_CASE("datagrams wait for the first member", "[shard_group]")
{
  shards all(test::loopback_v4(), 0);
  CHECK(all.group.size() == 0);
  client peer(all.group.local_endpoint());
  peer.send();
  all.open(1);
  CHECK(all.take_one() == 0);
}

TEST_CASE("a group has its port alone", "[shard_group]")
{
  shards all(test::loopback_v4(), 1);
  const auto taken = all.group.local_endpoint();
  const std::string text = test::thrown_text([&] { shard_group again(taken); });
  CHECK_THAT(text, ContainsSubstring("shard_group EADDRINUSE 127.0.0.1:"));
  CHECK_THAT(text, ContainsSubstring("member 0: a group begins alone on its port"));
  // Not even a socket that would share the port may be there before.
  asio::io_context io;
  const dgram::udp::socket shared(io, test::loopback_v4(), {.reuse_port = true});
  CHECK_THAT(test::thrown_text([&] { shard_group again(shared.local_endpoint()); }),
             ContainsSubstring("EADDRINUSE"));
}

TEST_CASE("a group refuses settings by name", "[shard_group]")
{
  const auto text = [](const dgram::shard_group_config& config) {
    return test::thrown_text([&] { shard_group group(test::loopback_v4(), config); });
  };
  CHECK_THAT(text({.reserve = 0}), ContainsSubstring("reserve 0; allowed are 1 to 256"));
  CHECK_THAT(text({.reserve = 257}), ContainsSubstring("reserve 257; allowed are 1 to 256"));
  CHECK_THAT(text({.steering = dgram::steer_by_payload{.offset = 65527}}),
             ContainsSubstring("steer_by_payload::offset 65527; allowed are 0 to 65526"));
  CHECK_THAT(text({.steering = dgram::steer_by_payload{.offset = SIZE_MAX, .size = 4}}),
             ContainsSubstring("allowed are 0 to 65523"));
  CHECK_THAT(text({.steering = dgram::steer_by_payload{.size = 3}}),
             ContainsSubstring("steer_by_payload::size 3; allowed are 1, 2 and 4"));
  CHECK_THAT(text({.socket = {.reuse_port = true}}),
             ContainsSubstring("reuse_port: the group shares its port itself"));
  CHECK_THAT(text({.socket = {.reuse_address = true}}), ContainsSubstring("reuse_address: "));
  CHECK_THAT(test::thrown_text([] { shard_group group("nowhere"); }), ContainsSubstring("nowhere"));
  CHECK_THAT(text({.socket = {.v6_only = true}}), ContainsSubstring("v6_only{true}"));
}

TEST_CASE("a group has at most 256 members", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  shards all(test::loopback_v4(), 256);
  dgram::error_code ec;
  const auto more = all.group.open(all.io, ec);
  CHECK(ec == dgram::error::out_of_range);
  CHECK_THROWS_WITH(all.group.open(all.io), ContainsSubstring("a group has at most 256 members"));
  CHECK(all.group.size() == 256);
  for (int flow = 0; flow < 50; ++flow) {
    client peer(all.group.local_endpoint());
    peer.send();
    CHECK(all.take_one() == all.expected(peer.socket.local_endpoint()));
  }
}

TEST_CASE("the last member is drained before it is closed", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  const std::size_t reserve = GENERATE(1U, 3U);
  shards all(test::loopback_v4(), 3, {.reserve = reserve});
  std::vector<std::unique_ptr<client>> peers;
  for (int i = 0; i < 60; ++i) {
    peers.push_back(std::make_unique<client>(all.group.local_endpoint()));
    peers.back()->send();
  }
  std::optional<dgram::error_code> result;
  all.group.async_close_last([&](dgram::error_code ec) { result = ec; });
  all.io.run_for(test::milliseconds(20));
  CHECK_FALSE(result);  // its queue is not empty
  REQUIRE(all.sockets[2].is_open());
  for (const auto& peer : peers)
    peer->send();
  std::size_t received = all.empty(2);  // nothing of the second round
  CHECK(received > 0);
  CHECK(received < 60);
  test::run(all.io);
  REQUIRE(result);
  CHECK_FALSE(*result);
  CHECK_FALSE(all.sockets[2].is_open());
  CHECK(all.group.size() == 2);
  received += all.empty(0) + all.empty(1);
  CHECK(received == 120);
  // And opened again.
  all.sockets.pop_back();
  all.open(1);
  for (const auto& peer : peers) {
    peer->send();
    CHECK(all.take_one() == all.group.member_of(peer->socket.local_endpoint()));
  }
}

TEST_CASE("the wait for the last member's queue ends if the program closes that", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shards all(test::loopback_v4(), 2, {.reserve = 2});
  std::vector<std::unique_ptr<client>> peers;
  for (int i = 0; i < 60; ++i) {
    peers.push_back(std::make_unique<client>(all.group.local_endpoint()));
    peers.back()->send();
  }
  std::optional<dgram::error_code> result;
  all.group.async_drain_last([&](dgram::error_code ec) { result = ec; });
  all.io.run_for(test::milliseconds(20));
  CHECK_FALSE(result);  // its queue is not empty
  all.io.restart();
  all.sockets[1].close();
  all.io.run_for(std::chrono::seconds(10));
  REQUIRE(result);
  CHECK_FALSE(*result);
}

TEST_CASE("a drained member stays open until it is closed", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  shards all(test::loopback_v4(), 2);
  CHECK_FALSE(end_last(all, false));
  CHECK(all.sockets[1].is_open());
  CHECK(all.group.size() == 2);
  const auto counts = all.group.statistics();
  CHECK(counts[0].is_steered_to);
  CHECK_FALSE(counts[1].is_steered_to);
  for (int flow = 0; flow < 20; ++flow) {
    client peer(all.group.local_endpoint());
    peer.send();
    CHECK(all.take_one() == 0);
  }
  dgram::error_code ec;
  const auto third = all.group.open(all.io, ec);
  CHECK(ec == asio::error::in_progress);
  CHECK_THAT(test::thrown_text([&] { all.group.open(all.io); }),
             ContainsSubstring("async_drain_last or async_close_last is not finished"));
  CHECK_FALSE(end_last(all, true));
  CHECK_FALSE(all.sockets[1].is_open());
  CHECK(all.group.size() == 1);
}

TEST_CASE("nothing ends the only member, or no member", "[shard_group]")
{
  shards all(test::loopback_v4(), 0);
  CHECK_THAT(test::thrown_text([&] { all.group.async_close_last(asio::detached); }),
             ContainsSubstring("async_close_last EINVAL (0 members are open)") ||
                 ContainsSubstring("async_close_last (0 members are open)"));
  all.open(1);
  CHECK(end_last(all, true) == dgram::error::out_of_range);
  CHECK(end_last(all, false) == dgram::error::out_of_range);
  CHECK(all.sockets[0].is_open());
}

TEST_CASE("one operation at a time ends the last member, and it can be cancelled", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shards all(test::loopback_v4(), 2);
  std::vector<std::unique_ptr<client>> peers;
  while (all.sockets[1].available() == 0) {
    peers.push_back(std::make_unique<client>(all.group.local_endpoint()));
    peers.back()->send();
  }
  asio::cancellation_signal signal;
  std::optional<dgram::error_code> first, second;
  all.group.async_drain_last(
      asio::bind_cancellation_slot(signal.slot(), [&](dgram::error_code ec) { first = ec; }));
  all.group.async_close_last([&](dgram::error_code ec) { second = ec; });
  dgram::error_code ec;
  const auto third = all.group.open(all.io, ec);
  CHECK(ec == asio::error::in_progress);
  all.io.run_for(test::milliseconds(10));
  CHECK(second == asio::error::in_progress);
  CHECK_FALSE(first);
  signal.emit(asio::cancellation_type::total);
  CHECK_FALSE(first);
  test::run(all.io);
  CHECK(first == asio::error::operation_aborted);
  all.empty(1);
  CHECK_FALSE(end_last(all, true));
  CHECK(all.group.size() == 1);
  signal.emit(asio::cancellation_type::total);  // after the end it does nothing
}

TEST_CASE("a member that the program closed itself is removed", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  const std::size_t reserve = GENERATE(1U, 3U, 5U);
  const bool opens_again = GENERATE(false, true);
  shards all(test::loopback_v4(), 3, {.reserve = reserve, .share_queue = true});
  all.sockets[2].close();
  CHECK_FALSE(end_last(all, true));
  CHECK(all.group.size() == 2);
  all.sockets.pop_back();
  if (opens_again) all.open(3);
  for (int flow = 0; flow < 60; ++flow) {
    client peer(all.group.local_endpoint());
    peer.send();
    CHECK(all.take_one() == all.expected(peer.socket.local_endpoint()));
  }
}

#if HAS_CANCEL_AFTER
TEST_CASE("a time limit ends the wait for the last member's queue", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shards all(test::loopback_v4(), 2);
  for (bool is_last = false; !is_last;) {
    client peer(all.group.local_endpoint());
    peer.send();
    is_last = all.group.member_of(peer.socket.local_endpoint()) == 1;
  }
  std::optional<dgram::error_code> result;
  all.group.async_drain_last(
      asio::cancel_after(std::chrono::milliseconds(2), [&](dgram::error_code ec) { result = ec; }));
  test::run(all.io);
  CHECK(result == asio::error::operation_aborted);
  all.sockets[1].close();
  all.group.async_close_last(
      asio::cancel_after(test::seconds(60), [&](dgram::error_code ec) { result = ec; }));
  test::run(all.io);
  CHECK(result == dgram::error_code());
}
#endif

TEST_CASE("a member is removed after its context has ended, or if nothing runs that",
          "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  const bool ends_context = GENERATE(true, false);
  const bool drains_first = GENERATE(true, false);
  const std::size_t reserve = GENERATE(1U, 3U);
  shards all(test::loopback_v4(), 1, {.reserve = reserve, .share_queue = true});
  auto own = std::make_unique<asio::io_context>(1);
  std::thread([&] {
    const auto member = all.group.open(*own);
    own->run();
  }).join();
  if (ends_context) own.reset();
  CHECK(all.group.size() == 2);
  CHECK(all.group.statistics().size() == 2);
  if (drains_first) CHECK_FALSE(end_last(all, false));
  CHECK_FALSE(end_last(all, true));
  CHECK(all.group.size() == 1);
  all.open(2);
  for (int flow = 0; flow < 30; ++flow) {
    client peer(all.group.local_endpoint());
    peer.send();
    CHECK(all.take_one() == all.expected(peer.socket.local_endpoint()));
  }
}

TEST_CASE("members whose contexts have all ended complete on the system's executor",
          "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  const std::size_t reserve = GENERATE(1U, 3U);
  shard_group group{test::loopback_v4(), {.reserve = reserve, .share_queue = true}};
  {
    asio::io_context own;
    const auto first = group.open(own), second = group.open(own);
  }
  group.async_drain_last(asio::use_future).get();
  group.async_close_last(asio::use_future).get();
  CHECK(group.size() == 1);
  asio::io_context here;
  const auto again = group.open(here);
  CHECK(again.local_endpoint() == group.local_endpoint());
}

TEST_CASE("a group keeps no socket of a context that ends", "[shard_group]")
{
  shard_group group{test::loopback_v4()};
  std::weak_ptr<const void> lifetime;
  {
    asio::io_context own;
    auto member = group.open(own);
    lifetime = member.handle().lifetime();
    CHECK_FALSE(lifetime.expired());
  }
  CHECK(lifetime.expired());
}

TEST_CASE("a member whose thread closes it while others use the group", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  for (int round = 0; round < 20; ++round) {
    shards all(test::loopback_v4(), 1);
    std::optional<dgram::error_code> result;
    auto own = std::make_unique<asio::io_context>(1);
    auto member = std::make_unique<dgram::udp::socket>(all.group.open(*own));
    std::thread ending([&] {
      member.reset();
      own.reset();
    });
    all.group.statistics();
    all.group.async_close_last(
        asio::bind_executor(all.io.get_executor(), [&](dgram::error_code ec) { result = ec; }));
    all.group.statistics();
    ending.join();
    all.io.run();
    if (result) CHECK_FALSE(*result);  // otherwise it ended with the context
    result.reset();
    if (all.group.size() == 2) CHECK_FALSE(end_last(all, true));
    CHECK(all.group.size() == 1);
  }
}

TEST_CASE("a closed member's socket that is opened again is the program's", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  const bool drains_first = GENERATE(true, false);
  shards all(test::loopback_v4(), 2);
  if (drains_first) CHECK_FALSE(end_last(all, false));
  dgram::udp::socket& reopened = all.sockets[1];
  reopened.close();
  reopened.open(dgram::udp::v4());
  reopened.bind(test::loopback_v4());
  const auto own = reopened.local_endpoint();
  CHECK_FALSE(end_last(all, true));
  REQUIRE(reopened.is_open());
  CHECK(reopened.local_endpoint() == own);
  const auto next = all.group.open(all.io);
  CHECK(next.local_endpoint() == all.group.local_endpoint());
}

TEST_CASE("a connected member is removed, and the next one has no peer", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  const bool is_wildcard = GENERATE(true, false);
  const std::size_t reserve = GENERATE(1U, 2U, 4U);
  const bool all_connect = GENERATE(false, true);
  const dgram::udp::endpoint any(asio::ip::address_v4::any(), 0);
  shards all(is_wildcard ? any : test::loopback_v4(), 2, {.reserve = reserve});
  client other(test::loopback_v4());
  const auto peer_address = other.socket.local_endpoint();
  all.sockets[1].connect(peer_address);
  if (all_connect) all.sockets[0].connect(peer_address);
  CHECK_FALSE(end_last(all, true));
  CHECK(all.group.size() == 1);
  CHECK_FALSE(all.sockets[1].is_open());
  all.sockets.pop_back();
  if (all_connect) return;
  all.open(2);
  CHECK_FALSE(all.sockets[1].handle().is_connected());
  const dgram::udp::endpoint server(asio::ip::address_v4::loopback(),
                                    all.group.local_endpoint().port());
  for (int flow = 0; flow < 60; ++flow) {
    client peer(server);
    peer.send();
    CHECK(all.take_one() == all.group.member_of(peer.socket.local_endpoint()));
  }
}

TEST_CASE("a member gets no broadcast that was sent before it was opened", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  const bool was_open_before = GENERATE(false, true);
  shards all({asio::ip::address_v4::any(), 0}, 1, {.reserve = 3});
  if (was_open_before) {
    all.open(1);
    CHECK_FALSE(end_last(all, true));
    all.sockets.pop_back();
  }
  client sender(test::loopback_v4());
  sender.socket.set_option(asio::socket_base::broadcast(true));
  const dgram::udp::endpoint everyone(asio::ip::make_address_v4("127.255.255.255"),
                                      all.group.local_endpoint().port());
  dgram::error_code ec;
  for (int i = 0; i < 3; ++i)
    sender.socket.send_to(asio::buffer("old", 3), everyone, 0, ec);
  if (ec) SKIP("the loopback interface has no broadcast address");
  all.open(2);
  CHECK(all.empty(0) == 3);
  CHECK(all.empty(1) == 0);
  CHECK(all.empty(2) == 0);
  sender.socket.send_to(asio::buffer("new", 3), everyone);
  for (std::size_t member = 0; member < 3; ++member)
    CHECK(all.empty(member) == 1);
}

TEST_CASE("a socket that took a closed member's number keeps what was steered to it",
          "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shards all(test::loopback_v4(), 2, {.reserve = 3});
  all.sockets.pop_back();
  int sent = 0;
  for (int flow = 0; flow < 60; ++flow) {
    client peer(all.group.local_endpoint());
    if (all.group.member_of(peer.socket.local_endpoint()) != 1) continue;
    peer.send();
    ++sent;
  }
  REQUIRE(sent > 0);
  CHECK_FALSE(end_last(all, true));
  all.open(1);
  CHECK(all.empty(1) == static_cast<std::size_t>(sent));
}

TEST_CASE("the counts of a closed member stay", "[shard_group]")
{
  shards all(test::loopback_v4(), 1);
  client peer(all.group.local_endpoint());
  peer.send();
  dgram::receive_batch batch(4);
  REQUIRE(all.sockets[0].receive_batch(batch) == 1);
  all.sockets[0].close();
  CHECK(all.group.statistics().at(0).received == 1);
  CHECK(all.group.statistics().at(0).received_bytes == 1);
  all.sockets.clear();
  CHECK(all.group.statistics().at(0).received == 1);
}

TEST_CASE("the completion runs on the handler's executor", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  asio::io_context here;
  shards all(test::loopback_v4(), 2);
  bool is_done = false;
  all.group.async_close_last(asio::bind_executor(here.get_executor(), [&](dgram::error_code ec) {
    CHECK_FALSE(ec);
    CHECK(here.get_executor().running_in_this_thread());
    is_done = true;
  }));
  test::run(all.io);
  CHECK_FALSE(is_done);
  test::run(here);
  CHECK(is_done);
  // And of a coroutine.
  all.open(1);
  auto work = std::make_optional(asio::make_work_guard(all.io));
  all.io.restart();
  std::thread other([&] { all.io.run(); });
  test::run(here, [](shard_group& group) -> asio::awaitable<void> {
    co_await group.async_close_last(asio::use_awaitable);
  }(all.group));
  work.reset();
  other.join();
  CHECK(all.group.size() == 1);
}

TEST_CASE("group and contexts may go while an operation is pending", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  const auto owned = std::make_shared<int>();
  {
    auto io = std::make_unique<asio::io_context>();
    auto group = std::make_unique<shard_group>(test::loopback_v4());
    auto first = group->open(*io), second = group->open(*io);
    group->async_drain_last([owned](dgram::error_code) { FAIL("called"); });
    if (GENERATE(false, true)) io->poll();
    group.reset();
    CHECK(first.is_open());
    first.close();
    second.close();
    io.reset();
  }
  CHECK(owned.use_count() == 1);
}

TEST_CASE("a member works under readers, writers and listeners", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  shards all(test::loopback_v4(), 2);
  std::vector<std::unique_ptr<dgram::udp::listener>> listeners;
  for (auto& socket : all.sockets) {
    listeners.push_back(std::make_unique<dgram::udp::listener>(socket));
    asio::co_spawn(
        all.io,
        [](dgram::udp::listener& on) -> asio::awaitable<void> {
          co_await on.serve([](dgram::udp::session session) -> asio::awaitable<void> {
            while (auto question = co_await session.next())
              co_await session.send(question->payload());
          });
        }(*listeners.back()),
        asio::detached);
  }
  std::vector<std::unique_ptr<client>> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(std::make_unique<client>(all.group.local_endpoint()));
    peers.back()->send(std::to_string(i));
  }
  all.io.run_for(test::milliseconds(100));
  for (std::size_t i = 0; i < peers.size(); ++i) {
    std::array<char, 8> bytes;
    const auto size = peers[i]->socket.try_receive(asio::buffer(bytes));
    REQUIRE(size);
    CHECK(std::string(bytes.data(), *size) == std::to_string(i));
  }
  CHECK(listeners[0]->size() + listeners[1]->size() == 20);
  const auto counts = all.group.statistics();
  CHECK(counts[0].received + counts[1].received == 20);
  CHECK(counts[0].received == listeners[0]->size());
  for (const auto& listener : listeners)
    listener->stop();
  test::run(all.io);
}

TEST_CASE("statistics show a member that ran dry", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shards all(test::loopback_v4(), 3, {.steering = dgram::steer_by_payload{}});
  client peer(all.group.local_endpoint());
  const auto receive = [&](std::initializer_list<char> members) {
    for (const char member : members)
      peer.send(std::string(1, member));
    for (auto& socket : all.sockets) {
      dgram::receive_batch batch{8};
      socket.try_receive_batch(batch);
    }
  };
  receive({0, 1, 2});
  auto counts = all.group.statistics();
  REQUIRE(counts.size() == 3);
  for (const auto& each : counts) {
    CHECK(each.received == 1);
    CHECK(each.received_bytes == 1);
    CHECK(each.missed == 0);
  }
  receive({0, 0, 1});
  receive({0});
  counts = all.group.statistics();
  CHECK(counts[0].missed == 0);
  CHECK(counts[1].missed == 0);
  CHECK(counts[2].missed == 4);
  CHECK(counts[0].received == 4);
  receive({0, 0});
  counts = all.group.statistics();
  CHECK(counts[1].missed == 2);
  CHECK(counts[2].missed == 6);
  receive({2});
  counts = all.group.statistics();
  CHECK(counts[2].missed == 0);
}

#if defined(__linux__)

namespace {

dgram::owned_descriptor inherited(dgram::udp::endpoint local, bool shares)
{
  asio::io_context io;
  dgram::udp::socket socket(io, local, {.reuse_port = shares});
  return dgram::owned_descriptor(socket.release());
}

}  // namespace

TEST_CASE("a group begins with an inherited socket", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  const bool shares = GENERATE(false, true);
  const std::size_t reserve = GENERATE(1U, 3U);
  auto descriptor = inherited(test::loopback_v4(), shares);
  asio::io_context io;
  shard_group group{std::move(descriptor), {.reserve = reserve, .share_queue = true}};
  client early(group.local_endpoint());
  early.send("early");
  std::vector<dgram::udp::socket> members;
  for (int i = 0; i < 3; ++i)
    members.push_back(group.open(io));
  std::array<char, 8> bytes;
  dgram::udp::endpoint sender;
  CHECK(members[0].try_receive_from(asio::buffer(bytes), sender) == 5U);
  for (int flow = 0; flow < 60; ++flow) {
    client peer(group.local_endpoint());
    peer.send();
    const auto expected = group.shares_queue() ? 0 : group.member_of(peer.socket.local_endpoint());
    CHECK(members[expected].try_receive_from(asio::buffer(bytes), sender));
  }
}

TEST_CASE("an inherited socket for both families or for one", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_GROUPS();
  DGRAM_SKIP_WITHOUT_IPV6();
  const bool v6_only = GENERATE(false, true);
  asio::io_context io;
  dgram::udp::socket socket(io, dgram::udp::endpoint(dgram::udp::v6(), 0),
                            {.dual_stack = !v6_only, .v6_only = v6_only});
  shard_group group{dgram::owned_descriptor(socket.release()), {.share_queue = true}};
  auto first = group.open(io), second = group.open(io);
  const auto port = group.local_endpoint().port();
  int received = 0;
  for (int flow = 0; flow < 20; ++flow) {
    client peer(v6_only ? test::loopback_v6(port) : test::loopback_v4(port));
    peer.send();
    std::array<char, 8> bytes;
    dgram::udp::endpoint sender;
    const bool is_first =
        group.shares_queue() || group.member_of(peer.socket.local_endpoint()) == 0;
    auto& expected = is_first ? first : second;
    if (expected.try_receive_from(asio::buffer(bytes), sender)) ++received;
  }
  CHECK(received == 20);
}

TEST_CASE("a descriptor that is no bound UDP socket begins no group", "[shard_group]")
{
  const auto text = [](int descriptor) {
    return test::thrown_text([&] { shard_group group{dgram::owned_descriptor(descriptor)}; });
  };
  CHECK_THAT(text(::socket(AF_INET, SOCK_DGRAM, 0)),
             ContainsSubstring("the inherited socket is not bound"));
  CHECK_THAT(text(::socket(AF_INET, SOCK_STREAM, 0)), ContainsSubstring("TCP over IPv4"));
  CHECK_THAT(text(-1), ContainsSubstring("EBADF"));
}

TEST_CASE("growing as another user says what to do", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  shards late(test::loopback_v4(), 1);
  std::string text;
  dgram::error_code ec;
  test::as_other_user([&] {
    const auto refused = late.group.open(late.io, ec);
    text = test::thrown_text([&] { late.group.open(late.io); });
  });
  CHECK(ec == asio::error::address_in_use);
  CHECK_THAT(text, ContainsSubstring("EADDRINUSE 127.0.0.1:"));
  CHECK_THAT(text,
             ContainsSubstring("member 1: another user opened the first socket; set reserve"));
  CHECK(late.group.size() == 1);

  shards early(test::loopback_v4(), 1, {.reserve = 3});
  test::as_other_user([&] { early.open(2); });
  CHECK(early.group.size() == 3);

  auto descriptor = inherited(test::loopback_v4(), true);
  test::as_other_user([&] {
    text = test::thrown_text([&] { shard_group(std::move(descriptor), {.reserve = 2}); });
  });
  CHECK_THAT(text, ContainsSubstring("member 1: another user opened the inherited socket; such a "
                                     "group stays at one member"));
}

TEST_CASE("growing on a privileged port without the privilege says what to do", "[shard_group]")
{
  DGRAM_SKIP_WITHOUT_STEERING();
  std::optional<shards> late;
  const dgram::udp::endpoint privileged = test::loopback_v4(843);
  try {
    late.emplace(privileged, 1);
  } catch (const dgram::system_error& thrown) {
    SKIP("cannot bind to the port: " << thrown.what());
  }
  std::string first, second;
  dgram::error_code ec;
  test::as_other_user([&] {
    const auto refused = late->group.open(late->io, ec);
    second = test::thrown_text([&] { late->group.open(late->io); });
    first = test::thrown_text([] { shard_group group(test::loopback_v4(844)); });
  });
  if (!ec || ec == asio::error::address_in_use) SKIP("every user may bind to this port here");
  CHECK(ec == asio::error::access_denied);
  CHECK_THAT(second, ContainsSubstring("EACCES 127.0.0.1:843 (member 1: the process has given up "
                                       "the privilege for the port; set reserve"));
  CHECK_THAT(first, ContainsSubstring("member 0: the port needs a privilege"));
  CHECK(late->group.size() == 1);
}

#endif

}  // namespace shard_group_test
