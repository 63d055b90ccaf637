// SPDX-License-Identifier: BSL-1.0
// How many system calls an operation makes, for each request of a sent datagram and each fact of a received one.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace calls_per_operation_test {

namespace {

using dgram::ecn_codepoint;
using dgram::send_options;
using test::script;
namespace option = dgram::option;

constexpr std::size_t rounds = 4;

enum class stack : std::uint8_t { v4, v6, dual_to_v4, dual_to_v6 };

struct network : test::scripted {
  explicit network(stack which)
      : is_v4(which == stack::v4 || which == stack::dual_to_v4),
        peer(io, is_v4 ? asio::ip::address(asio::ip::address_v4::loopback())
                       : asio::ip::address(asio::ip::address_v6::loopback()))
  {
    if (which == stack::v4)
      socket = dgram::udp::socket(io, test::loopback_v4());
    else if (which == stack::v6)
      socket = dgram::udp::socket(io, test::loopback_v6());
    else
      socket = dgram::udp::socket(io, {dgram::udp::v6(), 0}, {.dual_stack = true});
  }

  test::endpoint here() { return {peer.endpoint().address(), socket.local_endpoint().port()}; }

  asio::io_context io;
  bool is_v4;
  test::plain_peer peer;
  dgram::udp::socket socket{io};
};

stack any_stack()
{
  return test::has_ipv6() ? GENERATE(stack::v4, stack::v6, stack::dual_to_v4, stack::dual_to_v6)
                          : stack::v4;
}

/// Whether an IPv6 datagram can ask to stay whole. gVisor does not know the option.
bool can_stay_whole()
{
  namespace platform = dgram::platform;
  dgram::error_code ec;
  const platform::probe_socket probe(AF_INET6, ec);
  platform::get_int_option(probe.descriptor(), IPPROTO_IPV6, platform::rfc3542::do_not_fragment,
                           ec);
  return !ec;
}

/// Each field of `send_options` by itself, of those that the system has, and all that go together.
std::vector<std::pair<std::string, send_options>> requests(bool v4)
{
  static dgram::control_writer more;
  more.clear();
  more.add(v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TTL : IPV6_HOPLIMIT, int{9});
  const asio::ip::address source = v4 ? asio::ip::address(asio::ip::address_v4::loopback())
                                      : asio::ip::address(asio::ip::address_v6::loopback());
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::pair<std::string, send_options>> all{
      {"nothing", {}},
      {"source", {.source = source}},
      {"interface_index", {.interface_index = 1}},
      {"ecn", {.ecn = ecn_codepoint::ect_0}},
      {"dscp", {.dscp = 10}},
      {"ecn and dscp", {.ecn = ecn_codepoint::ect_0, .dscp = 10}},
      {"hop_limit", {.hop_limit = 3}},
      {"control", {.control = more.bytes()}},
  };
  if (!v4 && can_stay_whole()) all.push_back({"do_not_fragment", {.do_not_fragment = true}});
  dgram::error_code ec;
  // The cache of `capabilities` is left alone.
  const auto can = dgram::detail::find_capabilities(v4 ? dgram::udp::v4() : dgram::udp::v6(), ec);
  if (can.max_segments > 1) all.push_back({"segment_size", {.segment_size = 2}});
  if (can.transmit_time) all.push_back({"transmit_time", {.transmit_time = now}});
  if (can.send_timestamp) all.push_back({"timestamp", {.timestamp = true}});
  if (can.transmit_time && can.send_timestamp) {
    all.push_back({"many",
                   {.source = source,
                    .ecn = ecn_codepoint::ce,
                    .hop_limit = 3,
                    .transmit_time = now,
                    .timestamp = true}});
  }
  return all;
}

/// Calls `operation` some times. Returns the system calls that move nothing, of all but the first.
template <class Operation>
std::size_t calls_after_first(Operation operation)
{
  operation();
  const std::size_t before = script.other_calls();
  for (std::size_t i = 0; i < rounds; ++i)
    operation();
  return script.other_calls() - before;
}

}  // namespace

TEST_CASE("a send with a request asks the kernel nothing that is known already", "[calls][Q1]")
{
  network on(any_stack());
  dgram::send_batch batch(8);
  dgram::writer writer(on.socket);
  const auto to = on.peer.endpoint();
  const std::string bytes = "four";
  for (const auto& [name, options] : requests(on.is_v4)) {
    CAPTURE(name);
    std::size_t datagrams = 0;
    const std::size_t each = options.segment_size ? 2 : 1;
    const auto by_batch = [&, &asked = options] {
      batch.push(bytes, to, asked);
      const auto result = on.socket.try_send_batch(batch);
      CHECK(result.sent == each);
      datagrams += result.sent;
    };
    CHECK(calls_after_first([&, &asked = options] {
            CHECK(on.socket.send_to(asio::buffer(bytes), to, asked) == bytes.size());
            datagrams += each;
          }) == 0);
    CHECK(calls_after_first(by_batch) == 0);
    CHECK(calls_after_first([&, &asked = options] {
            batch.push(bytes, to, asked);
            on.socket.async_send_batch(batch, [&](dgram::error_code ec, dgram::send_result result) {
              CHECK_FALSE(ec);
              datagrams += result.sent;
            });
            test::run(on.io);
          }) == 0);
    CHECK(calls_after_first([&, &asked = options] {
            CHECK(writer.try_send(bytes, to, asked));
            test::run(on.io);
            datagrams += each;
          }) == 0);
    CHECK(on.peer.received(datagrams).size() == datagrams);
  }
}

TEST_CASE("one request more than the first asks the kernel for what it needs, once", "[calls][Q1]")
{
  const stack which = any_stack();
  network on(which);
  const auto to = on.peer.endpoint();
  const auto send = [&](const send_options& options) {
    const std::size_t before = script.other_calls();
    on.socket.send_to(asio::buffer("a", 1), to, options);
    return script.other_calls() - before;
  };
  CHECK(send({.ecn = ecn_codepoint::ect_0}) > 0);
  CHECK(send({.dscp = 3}) == 0);
  // What may have changed is asked again, once.
  on.socket.set_option(option::traffic_class(0x42));
  CHECK(send({.ecn = ecn_codepoint::ce}) > 0);
  CHECK(script.taken.back().traffic_class == (0x40 | 3));
  CHECK(send({.ecn = ecn_codepoint::ce}) == 0);
  CHECK(script.taken.back().traffic_class == (0x40 | 3));
  const int of_socket = 0x24;
  const int level = on.is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
  const int name = on.is_v4 ? IP_TOS : IPV6_TCLASS;
  REQUIRE(::setsockopt(on.socket.native_handle(), level, name, &of_socket, sizeof of_socket) == 0);
  CHECK(send({.dscp = 1}) > 0);
  CHECK(send({.dscp = 1}) == 0);
  CHECK(script.taken.back().traffic_class == (1 << 2 | (0x24 & 3)));
  // A program that has Asio's socket may change the class through it at any time.
  on.socket.next_layer().set_option(option::traffic_class(0x81));
  CHECK(send({.dscp = 1}) > 0);
  on.socket.next_layer().set_option(option::traffic_class(0x82));
  CHECK(send({.dscp = 1}) > 0);
  // It sets only IPv6's class on a dual-stack socket.
  if (which != stack::dual_to_v4) CHECK(script.taken.back().traffic_class == (1 << 2 | 2));
  CHECK(on.peer.received(8).size() == 8);
}

TEST_CASE("a new descriptor has a traffic class of its own", "[calls][Q1]")
{
  network on(stack::v4);
  const auto to = on.peer.endpoint();
  on.socket.set_option(option::traffic_class(0x42));
  on.socket.send_to(asio::buffer("a", 1), to, send_options{.ecn = ecn_codepoint::ce});
  on.socket.close();
  on.socket.open(dgram::udp::v4());
  on.socket.send_to(asio::buffer("a", 1), to, send_options{.ecn = ecn_codepoint::ce});
  CHECK(script.taken.back().traffic_class == 3);
}

TEST_CASE("a receive asks the kernel nothing, whatever it tells of a datagram", "[calls][Q1]")
{
  network on(any_stack());
  dgram::error_code ec;
  switch (GENERATE(0, 1, 2, 3, 4, 5, 6, 7)) {
  case 0: break;
  case 1: on.socket.set_option(option::packet_info(true), ec); break;
  case 2: on.socket.set_option(option::receive_ecn(true), ec); break;
  case 3: on.socket.set_option(option::receive_hop_limit(true), ec); break;
  case 4: on.socket.set_option(option::receive_timestamp(true), ec); break;
  case 5: on.socket.set_option(option::receive_drop_count(true), ec); break;
  case 6: on.socket.set_option(option::receive_error(true), ec); break;
  default:
    on.socket.set_option(option::packet_info(true), ec);
    on.socket.set_option(option::receive_ecn(true), ec);
    on.socket.set_option(option::receive_hop_limit(true), ec);
    on.socket.set_option(option::receive_timestamp(true), ec);
    on.socket.set_option(option::receive_drop_count(true), ec);
    on.socket.set_option(option::receive_error(true), ec);
  }
  if (ec) SKIP("this system has no such option");
  dgram::receive_batch batch(4);
  dgram::reader reader(on.socket, {.coalesce = false});
  std::array<char, 8> storage{};
  dgram::datagram_info info;
  const auto to = on.here();
  CHECK(calls_after_first([&] {
          on.peer.send("a", to);
          CHECK(on.socket.receive_batch(batch) == 1);
        }) == 0);
  CHECK(calls_after_first([&] {
          on.peer.send("a", to);
          CHECK(on.socket.receive_from(asio::buffer(storage), info) == 1);
        }) == 0);
  CHECK(calls_after_first([&] {
          on.peer.send("a", to);
          test::run(on.io, [](auto& from) -> asio::awaitable<void> {
            const auto datagram = co_await from.next();
            CHECK(datagram);
          }(reader));
        }) == 0);
}

}  // namespace calls_per_operation_test
