// SPDX-License-Identifier: BSL-1.0
// Binding: addresses, taken and shared ports, adopted descriptors, and a send that binds.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <asio/buffer.hpp>
#include <asio/post.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

namespace bind_test {

namespace {

using test::udp_socket;
namespace option = dgram::option;

test::endpoint any_v4(std::uint16_t port = 0)
{
  return {asio::ip::address_v4::any(), port};
}

test::endpoint any_v6(std::uint16_t port = 0)
{
  return {asio::ip::address_v6::any(), port};
}

dgram::error_code bind_error(udp_socket& socket, const test::endpoint& local)
{
  dgram::error_code ec;
  socket.bind(local, ec);
  return ec;
}

}  // namespace

TEST_CASE("BND-01: port 0 binds to a free port of the address", "[bind]")
{
  const auto protocol = GENERATE(dgram::udp::v4(), dgram::udp::v6());
  if (protocol == dgram::udp::v6()) DGRAM_SKIP_WITHOUT_IPV6();
  const auto asked = protocol == dgram::udp::v4() ? test::loopback_v4() : test::loopback_v6();
  asio::io_context io;
  udp_socket socket(io, protocol);
  socket.bind(asked);
  CHECK(socket.local_endpoint().address() == asked.address());
  CHECK(socket.local_endpoint().protocol() == asked.protocol());
  CHECK(socket.local_endpoint().port() > 0);
}

TEST_CASE("BND-02: a protocol in the place of the address is its wildcard", "[bind]")
{
  asio::io_context io;
  const udp_socket v4(io, {dgram::udp::v4(), 0});
  CHECK(v4.local_endpoint().address() == asio::ip::address_v4::any());
  CHECK(v4.local_endpoint().port() > 0);
  if (!test::has_ipv6()) return;
  const udp_socket v6(io, {dgram::udp::v6(), 0});
  CHECK(v6.local_endpoint().address() == asio::ip::address_v6::any());
  CHECK(v6.local_endpoint().port() > 0);
}

TEST_CASE("BND-04: a second bind is refused and leaves the first", "[bind]")
{
  asio::io_context io;
  udp_socket socket(io, test::loopback_v4());
  const auto local = socket.local_endpoint();
  CHECK(bind_error(socket, test::loopback_v4()) == asio::error::invalid_argument);
  CHECK(socket.local_endpoint() == local);
  socket.send_to(test::text_buffer("still here"), local);
  CHECK(test::receive(io, socket).text == "still here");
}

TEST_CASE("BND-06: a closed socket cannot be bound", "[bind]")
{
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v4());
  socket.close();
  CHECK(bind_error(socket, test::loopback_v4()) == asio::error::bad_descriptor);
  CHECK_FALSE(socket.is_open());
}

TEST_CASE("BND-07: a taken port is reported with its address", "[bind]")
{
  asio::io_context io;
  asio::ip::udp::socket holder(io, test::loopback_v4());
  const auto taken = holder.local_endpoint();
  udp_socket socket(io, dgram::udp::v4());
  CHECK(bind_error(socket, taken) == asio::error::address_in_use);
  CHECK_THROWS_WITH(
      socket.bind(taken),
      Catch::Matchers::StartsWith("bind \"127.0.0.1:" + std::to_string(taken.port()) + "\""));
}

TEST_CASE("BND-09: an address of another host cannot be bound", "[bind]")
{
  asio::io_context io;
  udp_socket v4(io, dgram::udp::v4());
  // 198.51.100.0/24 and 2001:db8::/32 are set apart for documentation (RFC 5737, RFC 3849).
  const test::endpoint foreign_v4(asio::ip::make_address("198.51.100.1"), 0);
  CHECK(bind_error(v4, foreign_v4) == test::system_error_code(EADDRNOTAVAIL));
  CHECK_THROWS_WITH(v4.bind(foreign_v4), Catch::Matchers::ContainsSubstring("198.51.100.1"));
  CHECK(v4.local_endpoint().port() == 0);
  if (!test::has_ipv6()) return;
  udp_socket v6(io, dgram::udp::v6());
  const test::endpoint foreign_v6(asio::ip::make_address("2001:db8::1"), 0);
  CHECK(bind_error(v6, foreign_v6) == test::system_error_code(EADDRNOTAVAIL));
  CHECK_THROWS_WITH(v6.bind(foreign_v6), Catch::Matchers::ContainsSubstring("2001:db8::1"));
}

TEST_CASE("BND-10: an IPv4 socket does not bind to an IPv6 address", "[bind]")
{
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v4());
  const auto ec = bind_error(socket, test::loopback_v6());
  // The kernel's own code: Linux knows two for this.
  CHECK((ec == asio::error::address_family_not_supported || ec == asio::error::invalid_argument));
  CHECK(socket.local_endpoint().port() == 0);
  CHECK_FALSE(bind_error(socket, test::loopback_v4()));
}

TEST_CASE("BND-13: a host name is not an address to bind to", "[bind]")
{
  dgram::error_code ec;
  CHECK(dgram::parse_endpoint("localhost:0", ec) == test::endpoint());
  CHECK(ec == dgram::error::bad_address);
  CHECK(ec == std::errc::invalid_argument);
}

TEST_CASE("BND-14: the address is known when bind returns, and datagrams flow", "[bind]")
{
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v4());
  socket.bind(test::loopback_v4());
  const auto local = socket.local_endpoint();
  CHECK(local.address() == asio::ip::address_v4::loopback());
  REQUIRE(local.port() > 0);
  udp_socket peer(io, test::loopback_v4());
  peer.send_to(test::text_buffer("hello"), local);
  const auto got = test::receive(io, socket);
  CHECK(got.text == "hello");
  CHECK(got.sender == peer.local_endpoint());
}

TEST_CASE("BND-16: a socket whose bind failed binds elsewhere and closes", "[bind]")
{
  asio::io_context io;
  const udp_socket holder(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  CHECK(bind_error(socket, holder.local_endpoint()) == asio::error::address_in_use);
  CHECK(io.poll() == 0);
  CHECK(socket.is_open());
  CHECK(socket.local_endpoint().port() == 0);
  CHECK_FALSE(bind_error(socket, test::loopback_v4()));
  dgram::error_code ec;
  socket.close(ec);
  CHECK_FALSE(ec);

  CHECK_THROWS_AS(udp_socket(io, holder.local_endpoint()), dgram::system_error);
}

TEST_CASE("BND-17: a scope that means nothing is accepted and left out", "[bind]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  dgram::error_code ec;
  const auto loopback = dgram::network_interface(asio::ip::address_v6::loopback()).index(ec);
  REQUIRE(loopback != 0);
  const std::string text = "[::1%" + std::to_string(loopback) + "]:0";
  asio::io_context io;
  const udp_socket socket(io, dgram::parse_endpoint(text));
  CHECK(socket.local_endpoint().address().to_string() == "::1");
}

TEST_CASE("BND-19: the IPv6 wildcard honours v6_only", "[bind]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  for (const bool only : {true, false}) {
    udp_socket socket(io, dgram::udp::v6());
    socket.set_option(option::v6_only(only));
    socket.bind(any_v6());
    CHECK(socket.local_endpoint().address() == asio::ip::address_v6::any());
    CHECK(socket.local_endpoint().port() > 0);
    option::v6_only set;
    socket.get_option(set);
    CHECK(set.value() == only);
  }
  udp_socket configured(io, any_v6(), {.v6_only = true});
  option::v6_only set;
  configured.get_option(set);
  CHECK(set.value());
}

TEST_CASE("BND-20: two sockets on one port, without and with reuse_address", "[bind]")
{
  asio::io_context io;
  SECTION("neither asks for it")
  {
    const udp_socket first(io, test::loopback_v4());
    udp_socket second(io, dgram::udp::v4());
    CHECK(bind_error(second, first.local_endpoint()) == asio::error::address_in_use);
  }
  SECTION("both ask for it")
  {
    const test::reserved_port port;
    const udp_socket first(io, test::loopback_v4(port.number()), {.reuse_address = true});
    udp_socket second(io, dgram::udp::v4(), {.reuse_address = true});
    CHECK_FALSE(bind_error(second, first.local_endpoint()));
    CHECK(second.local_endpoint() == first.local_endpoint());
  }
  SECTION("only the second asks for it")
  {
    const udp_socket first(io, test::loopback_v4());
    udp_socket second(io, dgram::udp::v4(), {.reuse_address = true});
    CHECK(bind_error(second, first.local_endpoint()) == asio::error::address_in_use);
  }
}

TEST_CASE("BND-21: of sockets that share a unicast address the last one gets the datagrams",
          "[bind]")
{
#if !defined(__linux__)
  SKIP("which of them gets a datagram is known of Linux only");
#endif
  asio::io_context io;
  const test::reserved_port port;
  udp_socket first(io, test::loopback_v4(port.number()), {.reuse_address = true});
  udp_socket second(io, first.local_endpoint(), {.reuse_address = true});
  udp_socket sender(io, dgram::udp::v4());
  for (int i = 0; i < 5; ++i)
    sender.send_to(test::text_buffer(std::to_string(i)), first.local_endpoint());
  for (int i = 0; i < 5; ++i)
    CHECK(test::receive(io, second).text == std::to_string(i));
  CHECK(test::nothing_queued(first));
  second.close();
  sender.send_to(test::text_buffer("after"), first.local_endpoint());
  CHECK(test::receive(io, first).text == "after");
}

TEST_CASE("BND-22: reuse_port shares a port only with reuse_port", "[bind]")
{
  asio::io_context io;
  const test::reserved_port port;
  udp_socket first(io, test::loopback_v4(port.number()), {.reuse_port = true});
  udp_socket second(io, dgram::udp::v4(), {.reuse_port = true});
  CHECK_FALSE(bind_error(second, first.local_endpoint()));
  CHECK(second.local_endpoint() == first.local_endpoint());
#if defined(__linux__)
  udp_socket mixed(io, dgram::udp::v4(), {.reuse_address = true});
  CHECK(bind_error(mixed, first.local_endpoint()) == asio::error::address_in_use);
#endif
  first.close();
  second.close();
  CHECK_FALSE(first.is_open());
  CHECK_FALSE(second.is_open());
}

TEST_CASE("BND-23: with reuse_address and reuse_port the kernel spreads the flows", "[bind]")
{
#if !defined(__linux__)
  SKIP("how the two options act together is known of Linux only");
#endif
  asio::io_context io;
  const dgram::socket_config both{.reuse_address = true, .reuse_port = true};
  const test::reserved_port port;
  udp_socket first(io, test::loopback_v4(port.number()), both);
  udp_socket second(io, first.local_endpoint(), both);
  // With reuse_address alone the second would get everything; that 32 flows all miss one of the
  // two happens in one of 2^31 runs.
  constexpr std::size_t flows = 32;
  for (std::size_t i = 0; i < flows; ++i)
    udp_socket(io, test::loopback_v4()).send_to(test::text_buffer("flow"), first.local_endpoint());
  std::size_t of_first = 0;
  std::size_t of_second = 0;
  const auto count = [](udp_socket& socket, std::size_t& counter) {
    std::array<char, 16> storage{};
    while (socket.try_receive(asio::buffer(storage)))
      ++counter;
  };
  count(first, of_first);
  count(second, of_second);
  CHECK(of_first + of_second == flows);
  CHECK(of_first > 0);
  CHECK(of_second > 0);
}

TEST_CASE("BND-24: an IPv6-only wildcard leaves the IPv4 port free", "[bind]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  const test::reserved_port port;
  const udp_socket v6(io, any_v6(port.number()), {.v6_only = true});
  udp_socket v4(io, dgram::udp::v4());
  CHECK_FALSE(bind_error(v4, any_v4(port.number())));
}

TEST_CASE("BND-24: an IPv6 wildcard that takes IPv4 holds the IPv4 port too", "[bind]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp_socket v6(io, dgram::udp::v6());
  v6.set_option(option::v6_only(false));
  v6.bind(any_v6());
  const udp_socket dual(io, any_v6(), {.dual_stack = true});
  for (const auto port : {v6.local_endpoint().port(), dual.local_endpoint().port()}) {
    udp_socket v4(io, dgram::udp::v4());
    CHECK(bind_error(v4, any_v4(port)) == asio::error::address_in_use);
    CHECK(bind_error(v4, test::loopback_v4(port)) == asio::error::address_in_use);
  }
}

TEST_CASE("BND-25: v6_only is refused for an IPv4 socket", "[bind]")
{
  asio::io_context io;
  udp_socket socket(io);
  dgram::error_code ec;
  socket.open(dgram::udp::v4(), {.v6_only = true}, ec);
  CHECK(ec == asio::error::invalid_argument);
  CHECK_FALSE(socket.is_open());
  CHECK_THROWS_AS(udp_socket(io, test::loopback_v4(), {.v6_only = true}), dgram::system_error);
}

TEST_CASE("BND-25: v6_only and dual stack exclude each other", "[bind]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp_socket socket(io);
  dgram::error_code ec;
  socket.open(dgram::udp::v6(), {.dual_stack = true, .v6_only = true}, ec);
  CHECK(ec == asio::error::invalid_argument);
  CHECK_FALSE(socket.is_open());
}

TEST_CASE("BND-26: an adopted descriptor keeps its address and works", "[bind]")
{
  asio::io_context io;
  test::raw_descriptor raw(AF_INET, SOCK_DGRAM);
  raw.bind(test::loopback_v4());
  const auto local = raw.local();
  udp_socket socket(io);
  socket.assign(dgram::udp::v4(), raw.release());
  CHECK(socket.local_endpoint() == local);
  const std::size_t size = socket.set_receive_buffer_size(4096);
  CHECK((size == 4096 || size == 8192));

  udp_socket peer(io, test::loopback_v4());
  peer.send_to(test::text_buffer("in"), local);
  CHECK(test::receive(io, socket).text == "in");
  socket.send_to(test::text_buffer("out"), peer.local_endpoint());
  const auto got = test::receive(io, peer);
  CHECK(got.text == "out");
  CHECK(got.sender == local);
}

TEST_CASE("BND-26: what is not a descriptor is refused", "[bind]")
{
  asio::io_context io;
  udp_socket socket(io);
  dgram::error_code ec;
  socket.assign(dgram::udp::v4(), test::no_descriptor, ec);
  CHECK(ec == asio::error::bad_descriptor);
  CHECK_FALSE(socket.is_open());
}

TEST_CASE("BND-29: one descriptor is adopted once per context", "[bind]")
{
#if !defined(__linux__) || defined(ASIO_DISABLE_EPOLL)
  SKIP("only epoll tells that a descriptor is there already");
#endif
  asio::io_context io;
  udp_socket first(io, test::loopback_v4());
  udp_socket second(io);
  dgram::error_code ec;
  second.assign(dgram::udp::v4(), first.native_handle(), ec);
  CHECK(ec == test::system_error_code(EEXIST));
  CHECK_FALSE(second.is_open());
  udp_socket(io, dgram::udp::v4()).send_to(test::text_buffer("unaffected"), first.local_endpoint());
  CHECK(test::receive(io, first).text == "unaffected");
}

TEST_CASE("BND-30: an open socket adopts nothing, and the descriptor stays the caller's", "[bind]")
{
  asio::io_context io;
  udp_socket socket(io, test::loopback_v4());
  const test::descriptor_type own = socket.native_handle();
  test::raw_descriptor raw(AF_INET, SOCK_DGRAM);
  dgram::error_code ec;
  socket.assign(dgram::udp::v4(), raw.get(), ec);
  CHECK(ec == asio::error::already_open);
  CHECK(socket.native_handle() == own);
  CHECK(test::is_open_descriptor(raw.get()));
}

TEST_CASE("BND-31: a descriptor is adopted unbound and bound later", "[bind]")
{
  asio::io_context io;
  test::raw_descriptor raw(AF_INET, SOCK_DGRAM);
  udp_socket socket(io);
  socket.assign(dgram::udp::v4(), raw.release());
  CHECK(socket.local_endpoint().port() == 0);
  CHECK_FALSE(bind_error(socket, test::loopback_v4()));
  CHECK(socket.local_endpoint().port() > 0);
}

TEST_CASE("BND-31: receiving on an adopted blocking descriptor does not block", "[bind]")
{
  asio::io_context io;
  test::raw_descriptor raw(AF_INET, SOCK_DGRAM);
  raw.bind(test::loopback_v4());
  const auto local = raw.local();
  udp_socket socket(io);
  socket.assign(dgram::udp::v4(), raw.release());
  udp_socket sender(io, dgram::udp::v4());
  std::array<char, 16> storage{};
  test::endpoint from;
  dgram::receive_batch batch(4, 64);
  std::size_t received = 0;

  // Each is launched on an empty queue; were it to block, the send behind it would never come.
  socket.async_receive_batch(batch, [&](dgram::error_code ec, std::size_t count) {
    CHECK_FALSE(ec);
    received += count;
    socket.async_receive_from(asio::buffer(storage), from,
                              [&](dgram::error_code failure, std::size_t) {
                                CHECK_FALSE(failure);
                                ++received;
                              });
    sender.send_to(test::text_buffer("two"), local);
  });
  asio::post(io, [&] { sender.send_to(test::text_buffer("one"), local); });
  test::run(io);
  CHECK(received == 2);
}

TEST_CASE("BND-31: adopting a descriptor leaves its options alone", "[bind]")
{
  // Only the creator of the descriptor can ask for sharing: no other socket binds beside it.
  asio::io_context io;
  test::raw_descriptor raw(AF_INET, SOCK_DGRAM);
  raw.bind(test::loopback_v4());
  udp_socket socket(io);
  socket.assign(dgram::udp::v4(), raw.release());
  option::reuse_address reuse(true);
  socket.get_option(reuse);
  CHECK_FALSE(reuse.value());
  udp_socket other(io, dgram::udp::v4(), {.reuse_address = true});
  CHECK(bind_error(other, socket.local_endpoint()) == asio::error::address_in_use);
}

TEST_CASE("BND-33: the first send binds, and the second keeps the port", "[bind]")
{
  asio::io_context io;
  udp_socket target(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  REQUIRE(socket.local_endpoint().port() == 0);
  socket.send_to(test::text_buffer("first"), target.local_endpoint());
  const auto local = socket.local_endpoint();
  CHECK(local.address() == asio::ip::address_v4::any());
  REQUIRE(local.port() > 0);
  socket.send_to(test::text_buffer("second"), target.local_endpoint());
  CHECK(socket.local_endpoint() == local);
  const auto first = test::receive(io, target);
  const auto second = test::receive(io, target);
  CHECK(first.text == "first");
  CHECK(second.text == "second");
  CHECK(first.sender == test::loopback_v4(local.port()));
  CHECK(second.sender == first.sender);
}

TEST_CASE("BND-34: the local port tells whether a socket is bound", "[bind]")
{
  asio::io_context io;
  udp_socket bound(io, dgram::udp::v4());
  CHECK(bound.local_endpoint().port() == 0);
  bound.bind(test::loopback_v4());
  CHECK(bound.local_endpoint().port() > 0);
  udp_socket connected(io, dgram::udp::v4());
  CHECK(connected.local_endpoint().port() == 0);
  connected.connect(bound.local_endpoint());
  CHECK(connected.local_endpoint().port() > 0);
}

TEST_CASE("BND-35: a port out of range is refused and never wraps", "[bind]")
{
  for (const char* port :
       {"-1", "65536", "70000", "4294967377", "18446744073709551697", "+1", ""}) {
    CAPTURE(port);
    dgram::error_code ec;
    CHECK(dgram::parse_endpoint(std::string("127.0.0.1:") + port, ec) == test::endpoint());
    CHECK(ec == dgram::error::bad_port);
    CHECK(dgram::parse_port(port, ec) == 0);
    CHECK(ec == dgram::error::bad_port);
  }
  dgram::error_code ec;
  CHECK(dgram::parse_port("65535", ec) == 65535);
  CHECK_FALSE(ec);
}

}  // namespace bind_test
