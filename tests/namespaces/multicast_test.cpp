// SPDX-License-Identifier: BSL-1.0
// Multicast between hosts: interfaces by name, index and address, IPv6, sources, and joining on all interfaces.
#if defined(__linux__)

#include "support/network_namespace.hpp"

#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace multicast_test {

namespace {

namespace option = dgram::option;
using dgram::multicast_group;
using dgram::network_interface;
using dgram::udp;

const multicast_group group_v4("239.255.80.1");
const multicast_group group_v6("ff15::80:1");

constexpr std::uint16_t port = 7077;  // the hosts are the test's own

udp::socket listen(asio::io_context& io, const test::network& net, std::size_t host,
                   const udp& protocol, const dgram::socket_config& config = {})
{
  return net.on(host, [&] {
    udp::socket socket(io, test::endpoint(protocol, port), config);
    socket.set_option(option::receive_all_groups(false));
    return socket;
  });
}

/// A socket with that host's address on a switch, which is where its groups leave by.
udp::socket speak(asio::io_context& io, const test::network& net, std::size_t host, bool six,
                  int lan = 0)
{
  return net.on(host, [&] {
    udp::socket socket(io, six ? net.endpoint_v6(host, 0, lan) : net.endpoint_v4(host, 0, lan));
    socket.set_option(option::multicast_interface(network_interface(net.lan(lan))));
    return socket;
  });
}

void send(udp::socket& from, const multicast_group& group, std::string_view text)
{
  from.send_to(test::text_buffer(text), {group.address(), port});
}

dgram::error_code join(const test::network& net, std::size_t host, udp::socket& socket,
                       const multicast_group& group, const network_interface& interface)
{
  dgram::error_code ec;
  net.on(host, [&] { socket.join(group, interface, ec); });
  return ec;
}

}  // namespace

TEST_CASE("MCT-07 a group is joined on the interface that is named, by name, index or address",
          "[namespaces]")
{
  test::network net{{0, 1}, {0, 1}};
  asio::io_context io;
  for (const bool six : {false, true}) {
    const auto& group = six ? group_v6 : group_v4;
    auto by_lan0 = speak(io, net, 1, six, 0), by_lan1 = speak(io, net, 1, six, 1);
    const auto index = net.on(0, [] { return ::if_nametoindex("lan1"); });
    const auto address = six ? net.address_v6(0, 1) : net.address_v4(0, 1);
    for (const auto& interface :
         {network_interface("lan1"), network_interface(index), network_interface(address)}) {
      CAPTURE(six, to_string(interface));
      auto member = listen(io, net, 0, six ? udp::v6() : udp::v4());
      REQUIRE_FALSE(join(net, 0, member, group, interface));
      CHECK(join(net, 0, member, group, network_interface("lan1")) == asio::error::address_in_use);
      send(by_lan0, group, "where nobody listens");
      // The same way, so that it would come behind.
      by_lan0.send_to(test::text_buffer("to one"),
                      six ? net.endpoint_v6(0, port) : net.endpoint_v4(0, port));
      send(by_lan1, group, "where it was joined");
      std::vector<std::string> texts{test::receive(io, member).text,
                                     test::receive(io, member).text};
      std::sort(texts.begin(), texts.end());
      CHECK(texts == std::vector<std::string>{"to one", "where it was joined"});
    }
    auto member = listen(io, net, 0, six ? udp::v6() : udp::v4());
    // The interfaces of another host do not count.
    CHECK(join(net, 0, member, group, network_interface("lan7")) ==
          dgram::error::unknown_interface);
  }
}

TEST_CASE("MCT-11 of several sources the chosen one is heard", "[namespaces]")
{
  test::network net{{0}, {0}, {0}};
  asio::io_context io;
  struct row {
    udp protocol;
    multicast_group group;
  };
  const row rows[] = {
      {udp::v4(), {asio::ip::make_address("232.1.1.1"), net.address_v4(1)}},
      {udp::v6(), {asio::ip::make_address("ff3e::1234"), net.address_v6(1)}},
      {udp::dual(), {asio::ip::make_address("232.1.1.1"), net.address_v4(1)}},
      {udp::dual(), {asio::ip::make_address("ff3e::1234"), net.address_v6(1)}},
  };
  for (const auto& [protocol, group] : rows) {
    CAPTURE(to_string(group), protocol.is_dual());
    const bool six = group.address().is_v6();
    auto chosen = speak(io, net, 1, six), other = speak(io, net, 2, six);
    auto member = listen(io, net, 0, protocol, {.dual_stack = protocol.is_dual()});
    const auto heard = [&] {
      const auto in_order = [&](udp::socket& from, std::string_view text) {
        send(from, group, text);
        from.send_to(test::text_buffer("marker"),
                     six ? net.endpoint_v6(0, port) : net.endpoint_v4(0, port));
        std::string all;
        for (std::string next; (next = test::receive(io, member).text) != "marker";)
          all += next;
        return all;
      };
      return in_order(other, "other ") + in_order(chosen, "chosen");
    };
    CHECK(heard().empty());
    {
      const auto membership =
          net.on(0, [&] { return dgram::membership(member, group, network_interface("lan0")); });
      CHECK(heard() == "chosen");
      const multicast_group second(group.address(), six ? net.address_v6(2) : net.address_v4(2));
      REQUIRE_FALSE(join(net, 0, member, second, network_interface("lan0")));
      CHECK(heard() == "other chosen");
      net.on(0, [&] { member.leave(second, network_interface("lan0")); });
      CHECK(heard() == "chosen");
      // It goes inside: it looks its interface up.
      net.on(0, [m = membership.group(), &member] {
        dgram::error_code ec;
        member.leave(m, network_interface("lan0"), ec);
        CHECK_FALSE(ec);
      });
    }
    CHECK(heard().empty());

    const multicast_group anybody(group.address());
    REQUIRE_FALSE(join(net, 0, member, anybody, network_interface("lan0")));
    CHECK(heard() == "other chosen");
    net.on(0, [&, &of = group] { member.block(of, network_interface("lan0")); });
    CHECK(heard() == "other ");
    net.on(0, [&, &of = group] { member.unblock(of, network_interface("lan0")); });
    CHECK(heard() == "other chosen");
  }
}

TEST_CASE("MCT-13 listeners get what is sent to their group by the interface that they joined on",
          "[namespaces]")
{
  test::network net{{0}};
  asio::io_context io;
  struct listener {
    udp::socket socket;
    multicast_group group;
    bool on_loopback;
    std::vector<std::string> expected;
  };
  std::vector<listener> listeners;
  const char* groups[] = {"239.255.81.1", "239.255.81.2", "239.255.81.3"};
  const network_interface interfaces[] = {network_interface(), network_interface(net.address_v4(0)),
                                          network_interface("127.0.0.1")};
  for (int i = 0; i < 6; ++i) {
    const multicast_group group(groups[i % 3]);
    auto& one = listeners.emplace_back(
        listener{listen(io, net, 0, udp::v4(), {.reuse_address = true}), group, i % 3 == 2, {}});
    REQUIRE_FALSE(join(net, 0, one.socket, group, interfaces[i % 3]));
  }
  auto sender = net.on(0, [&] { return udp::socket(io, udp::v4()); });
  int number = 0;
  for (const bool by_loopback : {false, true, false, true}) {
    net.on(0, [&] {
      const auto way = by_loopback ? interfaces[2] : interfaces[1];
      sender.set_option(option::multicast_interface(way));
    });
    for (const char* group : groups) {
      const auto text = std::to_string(++number);
      send(sender, multicast_group(group), text);
      for (auto& one : listeners)
        if (one.on_loopback == by_loopback && one.group.address() == asio::ip::make_address(group))
          one.expected.push_back(text);
    }
  }
  for (auto& one : listeners) {
    CHECK(one.expected.size() == 2);
    for (const auto& text : one.expected)
      CHECK(test::receive(io, one.socket).text == text);
    CHECK(test::nothing_queued(one.socket));
  }
}

TEST_CASE("multicast: on all interfaces but those that are down, or have no multicast or address",
          "[namespaces]")
{
  test::network net{{0, 1, 2, 3, 4}, {0, 1}};
  // On other systems the loopback interface says that it has multicast.
  net.host(0).ip(
      "link set lo multicast on\nlink set lan2 down\nlink set lan3 multicast off\n"
      "addr flush dev lan4 scope global\n");
  asio::io_context io;
  for (const bool six : {false, true}) {
    CAPTURE(six);
    const auto& group = six ? group_v6 : group_v4;
    auto member = listen(io, net, 0, six ? udp::v6() : udp::v4());
    const auto on = [&](const network_interface& interface) {
      return join(net, 0, member, group, interface);
    };
    REQUIRE_FALSE(on(network_interface::all()));
    for (const int lan : {0, 1}) {
      auto sender = speak(io, net, 1, six, lan);
      send(sender, group, net.lan(lan));
      CHECK(test::receive(io, member).text == net.lan(lan));
      CHECK(on(network_interface(net.lan(lan))) == asio::error::address_in_use);
    }
    CHECK(on(network_interface("lan3")) == dgram::error::no_multicast);
    CHECK_FALSE(on(network_interface("lo")));
    net.on(0, [&] { member.leave(group, network_interface("lo")); });
    // By name it is joined where "all" leaves it out: down, or without an address of the family (a link-local one is left).
    if (!six) {
      for (const char* lan : {"lan2", "lan4"}) {
        CHECK_FALSE(on(network_interface(lan)));
        net.on(0, [&] { member.leave(group, network_interface(lan)); });
      }
    }

    // Nothing new to be joined; and then something, besides what is joined already.
    CHECK(on(network_interface::all()) == asio::error::address_in_use);
    net.on(0, [&] { member.leave(group, network_interface("lan1")); });
    CHECK_FALSE(on(network_interface::all()));
    CHECK(on(network_interface("lan1")) == asio::error::address_in_use);

    net.on(0, [&] { member.leave(group, network_interface::all()); });
    dgram::error_code ec;
    net.on(0, [&] { member.leave(group, network_interface::all(), ec); });
    CHECK(ec == test::system_error_code(EADDRNOTAVAIL));
    for (const char* lan : {"lan0", "lan1"})
      CHECK_FALSE(on(network_interface(lan)));
  }
}

TEST_CASE("multicast: a membership on all interfaces leaves those where it has joined",
          "[namespaces]")
{
  test::network net{{0, 1}};
  asio::io_context io;
  auto member = listen(io, net, 0, udp::v4());
  for (const char* own : {"lan0", "lo"}) {
    CAPTURE(own);
    net.on(0, [&] {
      net.host(0).ip("link set lo multicast on\n");
      member.join(group_v4, network_interface(own));
      {
        const dgram::membership all{member, group_v4, network_interface::all()};
        CHECK(all.is_joined());
      }
      // Succeeds where it is still a member.
      member.leave(group_v4, network_interface(own));
      dgram::error_code ec;
      member.leave(group_v4, network_interface("lan1"), ec);
      CHECK(ec == test::system_error_code(EADDRNOTAVAIL));
    });
  }
}

TEST_CASE("multicast: where one of all interfaces refuses, none is joined", "[namespaces]")
{
  test::network net{{0, 1, 2}};
  // The limit is the namespace's own: two memberships for each socket.
  if (!net.host(0).sysctl("ipv4/igmp_max_memberships", 2)) SKIP("/proc/sys/net cannot be written");
  asio::io_context io;
  auto member = listen(io, net, 0, udp::v4());
  const auto on = [&](const network_interface& interface) {
    return join(net, 0, member, group_v4, interface);
  };
  CHECK(on(network_interface::all()) == asio::error::no_buffer_space);
  for (const char* lan : {"lan2", "lan1"})
    CHECK_FALSE(on(network_interface(lan)));
  // What was joined before stays, also where the rest is given up.
  REQUIRE(net.host(0).sysctl("ipv4/igmp_max_memberships", 2));
  CHECK(on(network_interface::all()) == asio::error::no_buffer_space);
  for (const char* lan : {"lan2", "lan1"})
    CHECK(on(network_interface(lan)) == asio::error::address_in_use);
}

TEST_CASE("multicast: a host that has only loopback has no interface to join all on",
          "[namespaces]")
{
  test::network net{{}};
  asio::io_context io;
  auto member = listen(io, net, 0, udp::v4());
  CHECK(join(net, 0, member, group_v4, network_interface::all()) == dgram::error::no_multicast);
}

TEST_CASE("multicast: the interface that an IPv6 group leaves by, and its scope", "[namespaces]")
{
  test::network net{{0, 1}, {0, 1}};
  asio::io_context io;
  auto member = listen(io, net, 0, udp::v6());
  const multicast_group link_local("ff12::80:2");
  for (const char* lan : {"lan0", "lan1"})
    REQUIRE_FALSE(join(net, 0, member, link_local, network_interface(lan)));
  auto sender = net.on(1, [&] { return udp::socket(io, udp::v6()); });
  for (const int lan : {1, 0}) {
    const auto named = net.on(1, [&] { return network_interface(net.lan(lan)); });
    net.on(1, [&] { sender.set_option(option::multicast_interface(named)); });
    send(sender, link_local, "by the option");
    const auto datagram = test::receive(io, member);
    const auto index = net.on(0, [&] { return ::if_nametoindex(net.lan(lan).c_str()); });
    CHECK(datagram.sender.address().to_v6().scope_id() == index);

    // A scope in the address outweighs the option.
    const auto scoped =
        net.on(1, [&] { return dgram::parse_address("ff12::80:2%" + net.lan(1 - lan)); });
    sender.send_to(test::text_buffer("by the scope"), {scoped, port}, 0);
    const auto other = net.on(0, [&] { return ::if_nametoindex(net.lan(1 - lan).c_str()); });
    CHECK(test::receive(io, member).sender.address().to_v6().scope_id() == other);
  }
}

}  // namespace multicast_test

#endif
