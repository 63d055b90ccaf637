// SPDX-License-Identifier: BSL-1.0
// The way there and back between hosts: several addresses, routers that refuse, interfaces that go.
#include "support/asio.hpp"

#include "support/loopback.hpp"
#include "support/network_namespace.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace path_test {

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)

namespace {

using test::network;
using udp_socket = dgram::udp::socket;
namespace option = dgram::option;

/// The next error, waited for.
dgram::path_error next_error(asio::io_context& io, udp_socket& socket)
{
  std::optional<dgram::path_error> error;
  socket.async_receive_error([&](dgram::error_code ec, const dgram::path_error& e) {
    REQUIRE_FALSE(ec);
    error = e;
  });
  io.restart();
  while (!error)
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  return *error;
}

test::endpoint on_host(std::size_t host, std::uint16_t port, int lan, bool v4)
{
  return v4 ? network::endpoint_v4(host, port, lan) : network::endpoint_v6(host, port, lan);
}

/// Two hosts and a router between them: host 0 on lan0, host 1 on both, host 2 on lan1.
struct routed {
  routed() : net{{0}, {0, 1}, {1}}
  {
    net.make_router(1);
    net.host(0).ip("route add 10.77.1.0/24 via 10.77.0.2\nroute add fd77:1::/64 via fd77:0::2\n");
    net.host(2).ip("route add 10.77.0.0/24 via 10.77.1.2\nroute add fd77:0::/64 via fd77:1::2\n");
  }

  /// A socket on host 0 that reports errors and never fragments.
  udp_socket probe(bool v4)
  {
    return net.on(0, [&] {
      udp_socket socket(io, on_host(0, 0, 0, v4));
      socket.set_option(option::receive_error(true));
      const int never = IP_PMTUDISC_DO;
      REQUIRE(::setsockopt(socket.native_handle(), v4 ? IPPROTO_IP : IPPROTO_IPV6,
                           v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &never, sizeof never) == 0);
      return socket;
    });
  }

  asio::io_context io;
  network net;
};

}  // namespace

TEST_CASE("the source address stays that of the first connect, and is chosen anew by reconnect")
{
  const bool v4 = GENERATE(true, false);
  CAPTURE(v4);
  routed host;
  // Host 1 is on both networks, and each way has a source address of its own.
  udp_socket socket =
      host.net.on(1, [&] { return udp_socket(host.io, v4 ? dgram::udp::v4() : dgram::udp::v6()); });
  const auto own = [v4](int lan) { return on_host(1, 0, lan, v4).address(); };
  host.net.on(1, [&] {
    socket.connect(on_host(0, 9, 0, v4));
    CHECK(socket.local_endpoint().address() == own(0));
    const auto port = socket.local_endpoint().port();
    socket.connect(on_host(2, 9, 1, v4));
    CHECK(socket.remote_endpoint() == on_host(2, 9, 1, v4));
    CHECK(socket.local_endpoint().address() == own(0));
    socket.reconnect(on_host(2, 9, 1, v4));
    CHECK(socket.local_endpoint().address() == own(1));
    CHECK(socket.local_endpoint().port() == port);
    return 0;
  });
}

TEST_CASE("a server with two addresses answers from the one that was asked")
{
  const bool v4 = GENERATE(true, false);
  const bool dual = GENERATE(false, true);
  asio::io_context io;
  network net{{0}, {0}};
  net.host(1).ip("addr add 10.77.0.102/24 dev lan0\naddr add fd77:0::102/64 dev lan0 nodad\n");
  auto server = net.on(1, [&] {
    udp_socket socket(io, dual ? dgram::udp::dual() : (v4 ? dgram::udp::v4() : dgram::udp::v6()));
    socket.bind({v4 && !dual ? dgram::udp::v4() : dgram::udp::v6(), 0});
    return socket;
  });
  auto client = net.on(0, [&] { return udp_socket(io, on_host(0, 0, 0, v4)); });
  const auto port = server.local_endpoint().port();
  const std::vector<test::endpoint> asked{
      on_host(1, port, 0, v4), {asio::ip::make_address(v4 ? "10.77.0.102" : "fd77:0::102"), port}};
  test::run(io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{server};
    dgram::writer writer{reader};
    for (const auto& address : asked) {
      client.send_to(asio::buffer("?", 1), address);
      const auto datagram = co_await reader.next();
      CHECK(datagram->local_address() == address.address());
      co_await writer.send("!", datagram->reply_path());
      co_await writer.flush();
      test::endpoint from;
      std::array<char, 4> storage;
      co_await client.async_receive_from(asio::buffer(storage), from);
      CHECK(from == address);
    }
  }());
}

TEST_CASE("a group and a broadcast address are not what is answered from")
{
  asio::io_context io;
  network net{{0}, {0}};
  auto server = net.on(1, [&] {
    udp_socket socket(io, {dgram::udp::v4(), 0});
    socket.set_option(option::packet_info(true));
    socket.join(dgram::multicast_group{"239.1.2.3"}, dgram::network_interface{"lan0"});
    return socket;
  });
  auto client = net.on(0, [&] {
    udp_socket socket(io, network::endpoint_v4(0));
    socket.set_option(option::broadcast(true));
    return socket;
  });
  const auto port = server.local_endpoint().port();
  // The first one also waits for the link: multicasts before it is up are lost without an error.
  for (const char* address : {"10.77.0.2", "239.1.2.3", "10.77.0.255", "255.255.255.255"}) {
    INFO(address);
    const test::endpoint asked(asio::ip::make_address(address), port);
    client.send_to(asio::buffer("?", 1), asked);
    dgram::datagram_info info;
    std::array<char, 4> storage;
    server.receive_from(asio::buffer(storage), info);
    CHECK(info.local_address() == asked.address());
    server.send_to(asio::buffer("!", 1), info.reply_path());
    test::endpoint from;
    client.receive_from(asio::buffer(storage), from);
    CHECK(from == network::endpoint_v4(1, port));
  }
}

TEST_CASE("a link-local client is answered through its interface")
{
  asio::io_context io;
  network net{{0}, {0}};
  net.host(0).ip("addr add fe80::a/64 dev lan0 nodad\n");
  net.host(1).ip("addr add fe80::b/64 dev lan0 nodad\n");
  auto server = net.on(1, [&] {
    udp_socket socket(io, {dgram::udp::v6(), 0});
    socket.set_option(option::packet_info(true));
    return socket;
  });
  const auto port = server.local_endpoint().port();
  auto client = net.on(
      0, [&] { return udp_socket(io, test::endpoint(dgram::parse_address("fe80::a%lan0"), 0)); });
  const auto asked =
      net.on(0, [&] { return test::endpoint(dgram::parse_address("fe80::b%lan0"), port); });
  client.send_to(asio::buffer("?", 1), asked);
  dgram::datagram_info info;
  std::array<char, 4> storage;
  server.receive_from(asio::buffer(storage), info);
  CHECK(info.reply_path().interface_index != 0);
  server.send_to(asio::buffer("!", 1), info.reply_path());
  test::endpoint from;
  client.receive_from(asio::buffer(storage), from);
  CHECK(from == asked);
}

TEST_CASE("a router says what its link takes, and the kernel remembers it")
{
  const bool v4 = GENERATE(true, false);
  routed way;
  way.net.host(1).ip("link set lan1 mtu 1300\n");
  auto socket = way.probe(v4);
  const auto peer = on_host(2, 9, 1, v4);
  const auto mtu = [&] { return way.net.on(0, [&] { return socket.path_mtu(peer); }); };
  CHECK(mtu() == 1500);
  const std::string large(1400, 'x');
  socket.send_to(asio::buffer(large), peer);
  const auto told = next_error(way.io, socket);
  CHECK(told.peer == peer);
  CHECK(told.code == asio::error::message_size);
  CHECK(told.origin == (v4 ? dgram::path_error_origin::icmp : dgram::path_error_origin::icmpv6));
  CHECK(told.offender == on_host(1, 0, 0, v4).address());
  CHECK(told.mtu == 1300U);
  CHECK(mtu() == 1300);
  // Now this host refuses by itself: the send says so, and the report how much would go.
  dgram::error_code ec;
  socket.send_to(asio::buffer(large), peer, 0, ec);
  CHECK(ec == asio::error::message_size);
  const auto local = next_error(way.io, socket);
  CHECK(local.origin == dgram::path_error_origin::host);
  CHECK(local.peer == peer);
  CHECK(local.mtu == 1300U);
  CHECK_FALSE(local.offender);
  CHECK_FALSE(socket.try_receive_error());
}

TEST_CASE("a datagram that this host refuses is reported with the port it was for", "[Q3]")
{
  enum class how : std::uint8_t { plain, options, batch, batch_options, segments, async };
  enum class stack : std::uint8_t { v4, v6, dual_to_v4, dual_to_v6 };
  const auto kind = GENERATE(stack::v4, stack::v6, stack::dual_to_v4, stack::dual_to_v6);
  const auto form =
      GENERATE(how::plain, how::options, how::batch, how::batch_options, how::segments, how::async);
  const bool connected = GENERATE(false, true);
  if (connected && form != how::plain) return;
  CAPTURE(static_cast<int>(kind), static_cast<int>(form), connected);
  const bool v4 = kind == stack::v4 || kind == stack::dual_to_v4;
  asio::io_context io;
  network net{{0}, {0}};
  auto socket = net.on(0, [&] {
    if (kind == stack::v4) return udp_socket(io, {dgram::udp::v4(), 0});
    if (kind == stack::v6) return udp_socket(io, {dgram::udp::v6(), 0});
    return udp_socket(io, {dgram::udp::v6(), 0}, {.dual_stack = true});
  });
  socket.set_option(option::receive_error(true));
  socket.set_option(option::do_not_fragment(true));
  const auto peer = on_host(1, 4321, 0, v4);
  const std::string large(1600, 'x');
  const auto bytes = asio::buffer(large);
  const dgram::send_options options{.hop_limit = 5};
  dgram::send_batch batch(4);
  batch.on_refused([](auto&&...) {});
  dgram::error_code ec;
  if (connected) {
    socket.connect(peer);
    socket.send(bytes, 0, ec);
  } else {
    switch (form) {
    case how::plain: socket.send_to(bytes, peer, 0, ec); break;
    case how::options: socket.send_to(bytes, peer, options, ec); break;
    case how::batch: batch.push(large, peer); break;
    case how::batch_options: batch.push(large, peer, options); break;
    case how::segments: socket.async_send_segments(large, 1600, peer, [](auto&&...) {}); break;
    case how::async: socket.async_send_to(bytes, peer, [](auto&&...) {}); break;
    }
    if (!batch.empty()) CHECK(socket.send_batch(batch).refused == 1);
    test::run(io);
  }
  const auto error = socket.try_receive_error();
  REQUIRE(error);
  CHECK(error->origin == dgram::path_error_origin::host);
  CHECK(error->code == asio::error::message_size);
  CHECK(error->peer == peer);
  CHECK_FALSE(socket.try_receive_error());
}

TEST_CASE("the refusals of one batch are reported with a port each", "[Q3]")
{
  const bool v4 = GENERATE(true, false);
  asio::io_context io;
  network net{{0}, {0}};
  auto socket = net.on(0, [&] { return udp_socket(io, on_host(0, 0, 0, v4)); });
  socket.set_option(option::receive_error(true));
  socket.set_option(option::do_not_fragment(true));
  const std::string large(1600, 'x');
  dgram::send_batch batch(8);
  std::vector<std::uint16_t> refused;
  batch.on_refused([&](auto&&, const test::endpoint& to, auto&&) { refused.push_back(to.port()); });
  for (std::uint16_t port = 1001; port < 1004; ++port) {
    batch.push("small", on_host(1, port, 0, v4));
    batch.push(large, on_host(1, port, 0, v4));
  }
  CHECK(socket.send_batch(batch).sent == 3);
  CHECK(refused == std::vector<std::uint16_t>{1001, 1002, 1003});
  std::vector<std::uint16_t> ports;
  while (const auto error = socket.try_receive_error())
    if (error->origin == dgram::path_error_origin::host) ports.push_back(error->peer.port());
  CHECK(ports == refused);
}

TEST_CASE("unreachable hosts and ports are told apart, and nothing else is disturbed")
{
  const bool v4 = GENERATE(true, false);
  routed way;
  auto socket = way.probe(v4);
  auto listener = way.net.on(2, [&] { return udp_socket(way.io, on_host(2, 0, 1, v4)); });
  const auto port = on_host(2, 9, 1, v4);
  socket.send_to(asio::buffer("a", 1), port);
  const auto refused = next_error(way.io, socket);
  CHECK(refused.peer == port);
  CHECK(refused.code == asio::error::connection_refused);
  CHECK(refused.offender == port.address());
  way.net.host(1).ip(v4 ? "route add unreachable 10.99.0.0/16\n"
                        : "route add unreachable fd99::/32\n");
  way.net.host(0).ip(v4 ? "route add 10.99.0.0/16 via 10.77.0.2\n"
                        : "route add fd99::/32 via fd77:0::2\n");
  const test::endpoint host(asio::ip::make_address(v4 ? "10.99.0.1" : "fd99::1"), 9);
  socket.send_to(asio::buffer("a", 1), host);
  const auto unreachable = next_error(way.io, socket);
  CHECK(unreachable.peer == host);
  CHECK(unreachable.code ==
        (v4 ? asio::error::host_unreachable : asio::error::network_unreachable));
  CHECK(unreachable.offender == on_host(1, 0, 0, v4).address());
  socket.send_to(asio::buffer("b", 1), listener.local_endpoint());
  std::array<char, 4> storage;
  CHECK(listener.receive(asio::buffer(storage)) == 1);
  CHECK(socket.statistics().path_errors == 2);
}

TEST_CASE("a hop limit that runs out is told by the router that it ran out at")
{
  const bool v4 = GENERATE(true, false);
  routed way;
  auto socket = way.probe(v4);
  socket.send_to(asio::buffer("a", 1), on_host(2, 9, 1, v4), dgram::send_options{.hop_limit = 1});
  const auto error = next_error(way.io, socket);
  CHECK(error.offender == on_host(1, 0, 0, v4).address());
  CHECK(error.icmp_type == (v4 ? 11 : 3));  // time exceeded
}

TEST_CASE("a socket outlives its interface going down and up")
{
  const bool v4 = GENERATE(true, false);
  asio::io_context io;
  network net{{0}, {0}};
  auto sender = net.on(0, [&] {
    udp_socket socket(io, on_host(0, 0, 0, v4));
    socket.set_option(option::receive_error(true));
    return socket;
  });
  auto receiver = net.on(1, [&] {
    udp_socket socket(io, {v4 ? dgram::udp::v4() : dgram::udp::v6(), 0});
    socket.set_option(option::packet_info(true));
    return socket;
  });
  const auto peer = on_host(1, receiver.local_endpoint().port(), 0, v4);
  const auto arrives = [&] {
    sender.send_to(asio::buffer("a", 1), peer);
    dgram::datagram_info info;
    std::array<char, 4> storage;
    receiver.receive_from(asio::buffer(storage), info);
    return info.local_address() == peer.address();
  };
  CHECK(arrives());
  net.host(0).ip("link set lan0 down\n");
  dgram::error_code ec;
  sender.send_to(asio::buffer("b", 1), peer, 0, ec);
  CHECK(ec);
  dgram::send_batch out(4);
  out.push("b", peer);
  CHECK(sender.send_batch(out).error);
  CHECK(sender.statistics().rejected == 1);
  net.host(0).ip("link set lan0 up\n");
  // IPv6 addresses go with the interface.
  if (!v4) net.host(0).ip("addr add fd77:0::1/64 dev lan0 nodad\n");
  CHECK(arrives());
}

TEST_CASE("datagrams that found the queue full are counted when the next ones come")
{
  asio::io_context io;
  network net{{0}, {0}};
  auto sender = net.on(0, [&] { return udp_socket(io, network::endpoint_v4(0)); });
  auto receiver = net.on(1, [&] {
    udp_socket socket(io, network::endpoint_v4(1));
    socket.set_option(option::receive_drop_count(true));
    socket.set_receive_buffer_size(4096);
    return socket;
  });
  const std::string payload(500, 'x');
  for (int i = 0; i < 100; ++i)
    sender.send_to(asio::buffer(payload), receiver.local_endpoint());
  dgram::receive_batch in(64);
  // What comes over a link may come late: until all are accounted for.
  const auto deadline = std::chrono::steady_clock::now() + test::seconds(10);
  dgram::error_code ec;
  do {
    receiver.try_receive_batch(in, ec);
  } while (receiver.statistics().received + receiver.statistics().dropped < 100 &&
           std::chrono::steady_clock::now() < deadline);
  CHECK(receiver.statistics().received + receiver.statistics().dropped == 100);
}

#endif

}  // namespace path_test
