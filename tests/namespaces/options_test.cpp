// SPDX-License-Identifier: BSL-1.0
// Options that show only between hosts: one device of several, datagrams that are too large for the way, foreign addresses.
#if defined(__linux__)

#include "behaviour/helpers.hpp"
#include "support/ip_header.hpp"
#include "support/network_namespace.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

namespace options_test {

namespace {

namespace option = dgram::option;
using dgram::network_interface;
using dgram::udp;
using option::path_mtu;

constexpr std::uint16_t port = 7077;  // the hosts are the test's own

dgram::error_code send(udp::socket& from, std::size_t size, const test::endpoint& to)
{
  dgram::error_code ec;
  const std::string payload(size, 'x');
  from.send_to(asio::buffer(payload), to, 0, ec);
  return ec;
}

}  // namespace

TEST_CASE("options: a socket bound to a device receives and sends by it alone", "[namespaces]")
{
  test::network net{{0, 1}, {0, 1}};
  asio::io_context io;
  for (const bool six : {false, true}) {
    const auto at = [&](std::size_t host, int lan, std::uint16_t to = 0) {
      return six ? net.endpoint_v6(host, to, lan) : net.endpoint_v4(host, to, lan);
    };
    auto receiver =
        net.on(0, [&] { return udp::socket(io, test::endpoint(at(0, 0).protocol(), port)); });
    const auto bind_to = [&](udp::socket& socket, const network_interface& interface) {
      dgram::error_code ec;
      net.on(0, [&] { socket.set_option(option::bind_to_device(interface), ec); });
      return ec;
    };
    auto sender = net.on(1, [&] { return udp::socket(io, at(1, 0)); });
    auto other = net.on(1, [&] { return udp::socket(io, at(1, 1)); });

    REQUIRE_FALSE(bind_to(receiver, network_interface("lan1")));
    option::bind_to_device read;
    receiver.get_option(read);
    const network_interface lan1("lan1");
    dgram::error_code ec;
    CHECK(read.index() == net.on(0, [&] { return lan1.index(ec); }));
    CHECK(bind_to(receiver, network_interface("lan7")) == dgram::error::unknown_interface);
    CHECK(bind_to(receiver, network_interface::all()) == asio::error::invalid_argument);
    receiver.get_option(read);
    CHECK(read.index() != 0);

    // A second socket shows that what the first does not get has come.
    auto by_lan0 = net.on(0, [&] {
      udp::socket socket(io, udp(at(0, 0).protocol()), {});
      socket.set_option(option::bind_to_device(network_interface("lan0")));
      socket.bind(test::endpoint(at(0, 0).protocol(), port));
      return socket;
    });
    send(sender, 1, at(0, 0, port));
    CHECK(test::receive(io, by_lan0).sender == sender.local_endpoint());
    CHECK(test::nothing_queued(receiver));
    send(other, 1, at(0, 1, port));
    CHECK(test::receive(io, receiver).sender == other.local_endpoint());
    CHECK(test::nothing_queued(by_lan0));

    // Without a device it takes what comes by either.
    by_lan0.close();
    REQUIRE_FALSE(bind_to(receiver, network_interface()));
    receiver.get_option(read);
    CHECK(read.index() == 0);
    send(sender, 1, at(0, 0, port));
    CHECK(test::receive(io, receiver).sender == sender.local_endpoint());
  }
}

TEST_CASE("options: what must not be cut and does not fit the device is message_size",
          "[namespaces]")
{
  test::network net{{0}, {0}};
  asio::io_context io;
  const auto check = [&](const udp& protocol, bool six) {
    CAPTURE(six, protocol.is_dual());
    const auto to = six ? net.endpoint_v6(1, port) : net.endpoint_v4(1, port);
    auto receiver = net.on(1, [&] { return udp::socket(io, to); });
    auto sender = net.on(0, [&] { return udp::socket(io, protocol); });
    constexpr std::size_t too_large = 2000;  // for Ethernet's 1500
    CHECK_FALSE(send(sender, too_large, to));
    CHECK(test::receive(io, receiver).text.size() == too_large);
    sender.set_option(option::do_not_fragment(true));
    CHECK(send(sender, too_large, to) == asio::error::message_size);
    CHECK_FALSE(send(sender, 1400, to));
    CHECK(test::receive(io, receiver).text.size() == 1400);
    for (const auto mode : {path_mtu::require, path_mtu::probe, path_mtu::device}) {
      sender.set_option(option::path_mtu_discovery(mode));
      CHECK(send(sender, too_large, to) == asio::error::message_size);
    }
    for (const auto mode : {path_mtu::off, path_mtu::want, path_mtu::device_cut}) {
      sender.set_option(option::path_mtu_discovery(mode));
      CHECK_FALSE(send(sender, too_large, to));
      CHECK(test::receive(io, receiver).text.size() == too_large);
    }
    sender.set_option(option::do_not_fragment(false));
    CHECK_FALSE(send(sender, too_large, to));
    CHECK(test::receive(io, receiver).text.size() == too_large);
  };
  check(udp::v4(), false);
  check(udp::v6(), true);
  check(udp::dual(), false);
  check(udp::dual(), true);
}

TEST_CASE("options: a router cuts what may be cut, and tells of what may not", "[namespaces]")
{
  test::network net{{0}, {0, 1}, {1}};
  net.make_router(1);
  net.host(0).ip("route add 10.77.1.0/24 via 10.77.0.2\n");
  net.host(2).ip("route add 10.77.0.0/24 via 10.77.1.2\n");
  net.host(1).ip("link set lan1 mtu 1300\n");
  asio::io_context io;
  const auto to = net.endpoint_v4(2, port, 1);
  auto receiver = net.on(2, [&] { return udp::socket(io, to); });
  auto sender = net.on(0, [&] { return udp::socket(io, udp::v4()); });
  constexpr std::size_t for_first_hop_only = 1400;

  sender.set_option(option::do_not_fragment(false));
  CHECK_FALSE(send(sender, for_first_hop_only, to));
  CHECK(test::receive(io, receiver).text.size() == for_first_hop_only);

  // One who finds out himself learns nothing from the router, and his datagrams are lost there.
  sender.set_option(option::path_mtu_discovery(path_mtu::probe));
  for (int i = 0; i < 3; ++i)
    CHECK_FALSE(send(sender, for_first_hop_only, to));
  CHECK_FALSE(send(sender, 1200, to));
  CHECK(test::receive(io, receiver).text.size() == 1200);

  // The router has told of its MTU by now.
  sender.set_option(option::do_not_fragment(true));
  CHECK(send(sender, for_first_hop_only, to) == asio::error::message_size);
  sender.set_option(option::path_mtu_discovery(path_mtu::want));
  CHECK_FALSE(send(sender, for_first_hop_only, to));
  CHECK(test::receive(io, receiver).text.size() == for_first_hop_only);
}

TEST_CASE("OPT-01 a broadcast reaches the hosts of a network where it is allowed", "[namespaces]")
{
  test::network net{{0}, {0}, {0}};
  asio::io_context io;
  const test::endpoint everybody(asio::ip::make_address("10.77.0.255"), port);
  const auto listen = [&](std::size_t host) {
    return net.on(host, [&] { return udp::socket(io, test::endpoint(udp::v4(), port)); });
  };
  auto first = listen(1), second = listen(2);
  for (const bool dual : {false, true}) {
    auto sender = net.on(0, [&] { return udp::socket(io, dual ? udp::dual() : udp::v4()); });
    CHECK(send(sender, 7, everybody) == asio::error::access_denied);
    sender.set_option(option::broadcast(true));
    CHECK_FALSE(send(sender, 7, everybody));
    CHECK(test::receive(io, first).text.size() == 7);
    CHECK(test::receive(io, second).text.size() == 7);
  }
}

TEST_CASE("options: what is sent to groups has the multicast hop limit, and returns where asked to",
          "[namespaces]")
{
  test::network net{{0}, {0}};
  asio::io_context io;
  for (const bool six : {false, true}) {
    CAPTURE(six);
    const dgram::multicast_group group(six ? "ff15::82:1" : "239.255.82.1");
    const auto listen = [&](std::size_t host) {
      return net.on(host, [&] {
        udp::socket socket(io, test::endpoint(six ? udp::v6() : udp::v4(), port));
        socket.join(group, network_interface("lan0"));
        test::ask_for_header(socket.native_handle(), six);
        return socket;
      });
    };
    auto here = listen(0), there = listen(1);
    auto sender = net.on(0, [&] {
      udp::socket socket(io, six ? udp::v6() : udp::v4());
      socket.set_option(option::multicast_interface(network_interface("lan0")));
      return socket;
    });
    const test::endpoint to(group.address(), port);
    sender.set_option(option::traffic_class(0x28));
    for (const int hops : {1, 29, 255}) {
      sender.set_option(option::multicast_hop_limit(hops));
      REQUIRE_FALSE(send(sender, 1, to));
      const auto header = test::receive_header(io, there);
      CHECK(header.hop_limit == hops);
      CHECK(header.traffic_class == 0x28);
      CHECK(test::receive_header(io, here).hop_limit == hops);
    }
    // 0 keeps it here, and what is sent next shows that it did not come.
    sender.set_option(option::multicast_hop_limit(0));
    REQUIRE_FALSE(send(sender, 1, to));
    CHECK(test::receive_header(io, here).hop_limit == 0);
    sender.set_option(option::multicast_hop_limit(2));
    sender.set_option(option::multicast_loopback(false));
    REQUIRE_FALSE(send(sender, 1, to));
    CHECK(test::receive_header(io, there).hop_limit == 2);
    sender.set_option(option::multicast_loopback(true));
    sender.set_option(option::multicast_hop_limit(3));
    REQUIRE_FALSE(send(sender, 1, to));
    CHECK(test::receive_header(io, here).hop_limit == 3);
  }
}

TEST_CASE("options: a transparent socket speaks as another host", "[namespaces]")
{
  test::network net{{0}, {0}};
  asio::io_context io;
  auto receiver = net.on(1, [&] { return udp::socket(io, net.endpoint_v4(1, port)); });
  const test::endpoint another(asio::ip::make_address("203.0.113.77"), 4711);
  auto sender = net.on(0, [&] { return udp::socket(io, udp::v4()); });
  dgram::error_code ec;
  sender.bind(another, ec);
  CHECK(ec == test::system_error_code(EADDRNOTAVAIL));
  sender.set_option(option::transparent(true), ec);
  if (ec == asio::error::no_permission) SKIP("this process may not: " + ec.message());
  REQUIRE_FALSE(ec);
  sender.bind(another);
  // Replies would need a route; here it is enough that the receiver does not refuse the way back.
  net.host(1).ip("route add 203.0.113.0/24 via 10.77.0.1\n");
  REQUIRE_FALSE(send(sender, 1, receiver.local_endpoint()));
  CHECK(test::receive(io, receiver).sender == another);
}

}  // namespace options_test

#endif
