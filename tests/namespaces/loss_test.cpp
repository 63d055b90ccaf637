// SPDX-License-Identifier: BSL-1.0
// Bad networks while traffic flows: each datagram is accounted for, and the account of the library
// is that of a capture. netem would make most of this in one line, but few kernels have it: routers
// with nftables, tbf and second ways do the same here.
#include "support/asio.hpp"

#include "support/capture.hpp"
#include "support/loopback.hpp"
#include "support/network_namespace.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace loss_test {

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)

namespace {

using test::network;
using udp_socket = dgram::udp::socket;
namespace option = dgram::option;

constexpr std::uint16_t port = 4000;

test::endpoint on_host(std::size_t host, int lan, bool v4)
{
  return v4 ? network::endpoint_v4(host, port, lan) : network::endpoint_v6(host, port, lan);
}

/// Runs a command on a host. Returns what it printed, or skips the test if it fails: the kernel
/// lacks the kind of network that it would make.
std::string command(const network& net, std::size_t host, const std::string& line)
{
  std::string printed;
  const int status = net.on(host, [&] {
    std::FILE* const child = ::popen((line + " 2>&1").c_str(), "r");
    if (child == nullptr) return -1;
    for (int c = 0; (c = std::fgetc(child)) != EOF;)
      printed += static_cast<char>(c);
    return ::pclose(child);
  });
  if (status != 0) SKIP("this network cannot be made here: " << line << ": " << printed);
  return printed;
}

/// Sets rules of nftables on a host.
void rules(const network& net, std::size_t host, const std::string& text)
{
  command(net, host, "PATH=$PATH:/usr/sbin nft '" + text + "'");
}

/// How many packets a counter of nftables has seen: those of the table "t", counter "c".
std::size_t counted(const network& net, std::size_t host)
{
  const std::string text = command(net, host, "PATH=$PATH:/usr/sbin nft list counter inet t c");
  const auto at = text.find("packets ");
  REQUIRE(at != std::string::npos);
  return std::stoul(text.substr(at + 8));
}

/// A sender on host 0, a router, host 1, and a receiver on host 2.
class routed {
public:
  explicit routed(bool v4) : v4_(v4)
  {
    net.make_router(1);
    net.host(0).ip("route add 10.77.1.0/24 via 10.77.0.2\nroute add fd77:1::/64 via fd77:0::2\n");
    net.host(2).ip("route add 10.77.0.0/24 via 10.77.1.2\nroute add fd77:0::/64 via fd77:1::2\n");
    // The capture counts errors that routers would otherwise hold back.
    net.host(1).sysctl("ipv4/icmp_ratelimit", 0);
    net.host(1).sysctl("ipv6/icmp/ratelimit", 0);
    net.host(2).sysctl("ipv6/icmp/ratelimit", 0);
    sender.emplace(
        net.on(0, [&] { return udp_socket(io, {v4_ ? dgram::udp::v4() : dgram::udp::v6(), 0}); }));
    sender->set_option(option::receive_error(true));
    receiver.emplace(net.on(2, [&] {
      udp_socket socket(io, on_host(2, 1, v4_));
      socket.set_option(option::receive_drop_count(true));
      return socket;
    }));
    departures.emplace(net.on(0, [] { return test::capture("lan0"); }));
    arrivals.emplace(net.on(2, [] { return test::capture("lan1"); }));
    // The first datagram asks for addresses of the links, for which the kernel keeps few waiting.
    send(1, 8);
    await([&] { return receiver->statistics().received == 1; });
  }

  /// Sends so many datagrams, with their numbers in front. Counts those that the call refuses.
  void send(std::size_t count, std::size_t size)
  {
    std::string payload(std::max<std::size_t>(size, 4), 'x');
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t number = tried++;
      for (unsigned byte = 0; byte < 4; ++byte)
        payload[byte] = static_cast<char>(number >> (24 - 8 * byte) & 0xFFU);
      dgram::error_code ec;
      sender->send_to(asio::buffer(payload), on_host(2, 1, v4_), 0, ec);
      refused += ec ? 1 : 0;
    }
  }

  /// Receives what is there.
  void receive()
  {
    dgram::receive_batch in(32);
    dgram::error_code ec;
    while (receiver->try_receive_batch(in, ec) > 0)
      for (const dgram::datagram& each : in) {
        std::uint32_t number = 0;
        for (std::size_t i = 0; i < 4; ++i)
          number = number << 8U | static_cast<unsigned char>(each.payload().text()[i]);
        received.push_back(number);
      }
  }

  /// Waits until all is where it goes: links take their time. Looks a number of times, since a
  /// machine may stand still for longer than any test should take.
  void await(const std::function<bool()>& condition)
  {
    bool holds = false;
    for (int looks = 0; looks < 3000 && !holds; ++looks) {
      if (looks > 0) std::this_thread::sleep_for(test::milliseconds(2));
      receive();
      holds = condition();
    }
    INFO("tried " << tried << ", refused " << refused << ", sent " << sender->statistics().sent
                  << ", received " << receiver->statistics().received << ", dropped "
                  << receiver->statistics().dropped);
    REQUIRE(holds);
  }

  /// How many datagrams the receiver knows of.
  std::uint64_t known() { return receiver->statistics().received + receiver->statistics().dropped; }

  /// What holds on every network.
  void check_account()
  {
    CHECK(sender->statistics().sent == tried - refused);
    CHECK(departures->out().to(port) == sender->statistics().sent);
    CHECK(arrivals->in().to(port) == known());
    CHECK(received.size() == receiver->statistics().received);
  }

  /// Takes all reports of errors. Returns how many came from other hosts.
  std::size_t take_errors()
  {
    std::size_t count = 0;
    while (const auto error = sender->try_receive_error()) {
      last_error = error;
      count += error->origin != dgram::path_error_origin::host ? 1 : 0;
    }
    return count;
  }

  asio::io_context io;
  network net{{0}, {0, 1}, {1}};
  std::optional<udp_socket> sender;
  std::optional<udp_socket> receiver;
  std::optional<test::capture> departures;
  std::optional<test::capture> arrivals;
  std::uint32_t tried = 0;
  std::size_t refused = 0;
  std::vector<std::uint32_t> received;
  std::optional<dgram::path_error> last_error;

private:
  bool v4_;
};

}  // namespace

TEST_CASE("loss on the way and at a full receive queue are told apart, and add up",
          "[namespaces][loss]")
{
  const bool v4 = GENERATE(true, false);
  routed way(v4);
  rules(way.net, 1,
        "table inet t { counter c { }; chain f { type filter hook forward priority 0; "
        "udp dport 4000 numgen random mod 4 == 0 counter name c drop; }; }");
  way.receiver->set_receive_buffer_size(20000);
  for (int round = 0; round < 20; ++round) {
    way.send(100, 200);
    if (round % 4 == 0) way.receive();
  }
  way.await([&] {
    way.send(1, 200);  // the count of a full queue comes with the next datagram
    return way.known() + counted(way.net, 1) == way.sender->statistics().sent;
  });
  CHECK(counted(way.net, 1) > 0);
  CHECK(way.receiver->statistics().dropped > 0);
  CHECK(way.receiver->statistics().dropped_is_exact);
  way.check_account();
  CHECK(std::is_sorted(way.received.begin(), way.received.end()));
}

TEST_CASE("each datagram that the network makes two of is received twice", "[namespaces][loss]")
{
  const bool v4 = GENERATE(true, false);
  routed way(v4);
  // The copy of every third datagram takes the same way as its original.
  const std::string to = v4 ? "10.77.1.3" : "fd77:1::3";
  rules(way.net, 1,
        std::string("table ") + (v4 ? "ip" : "ip6") +
            " t { chain f { type filter hook prerouting priority 0; iifname lan0 udp dport 4000 "
            "numgen inc mod 3 == 0 dup to " +
            to + " device lan1; }; }");
  const auto before = way.sender->statistics().sent;
  for (int round = 0; round < 30; ++round) {
    way.send(10, 300);
    way.receive();
  }
  way.await([&] { return way.known() == before + 300 + 100; });
  CHECK(way.sender->statistics().sent == before + 300);
  way.check_account();
  auto different = way.received;
  std::sort(different.begin(), different.end());
  different.erase(std::unique(different.begin(), different.end()), different.end());
  CHECK(different.size() == way.tried);
}

TEST_CASE("datagrams that overtake each other on two ways are received in the order they come",
          "[namespaces][loss]")
{
  // Host 0 reaches host 3 through host 1, and through host 2 by a slow link.
  asio::io_context io;
  network net{{0, 1}, {0, 2}, {1, 2}, {2}};
  net.make_router(1);
  net.make_router(2);
  net.host(0).ip(
      "route add 10.77.2.0/24 via 10.77.0.2\n"
      "route add 10.77.2.0/24 via 10.77.1.3 table 100\nrule add fwmark 1 table 100\n");
  net.host(3).ip("route add 10.77.0.0/24 via 10.77.2.2\n");
  command(net, 0,
          "PATH=$PATH:/usr/sbin tc qdisc add dev lan1 root tbf rate 2mbit burst 2000 limit 100000");
  rules(net, 0,
        "table ip t { chain o { type route hook output priority -150; udp dport 4000 "
        "numgen inc mod 2 == 0 meta mark set 1; }; }");
  auto receiver = net.on(3, [&] { return udp_socket(io, network::endpoint_v4(3, port, 2)); });
  auto sender = net.on(0, [&] { return udp_socket(io, network::endpoint_v4(0, 0, 0)); });
  auto arrivals = net.on(3, [] { return test::capture("lan2"); });
  constexpr std::size_t count = 60;
  std::string payload(500, 'x');
  for (std::size_t i = 0; i < count; ++i) {
    payload[0] = payload[1] = payload[2] = '\0';
    payload[3] = static_cast<char>(i);
    sender.send_to(asio::buffer(payload), receiver.local_endpoint());
  }
  std::vector<std::uint32_t> order;
  dgram::receive_batch in(8);
  for (int looks = 0; order.size() < count && looks < 3000; ++looks) {
    dgram::error_code ec;
    if (receiver.try_receive_batch(in, ec) == 0) std::this_thread::sleep_for(test::milliseconds(2));
    for (const dgram::datagram& each : in)
      order.push_back(static_cast<unsigned char>(each.payload().text()[3]));
    in.clear();
  }
  CHECK(order == arrivals.in().order);
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  CHECK(order.size() == count);
  CHECK(std::unique(order.begin(), order.end()) == order.end());
}

TEST_CASE("a link that is slower than its sender loses what its queue has no room for",
          "[namespaces][loss]")
{
  const bool v4 = GENERATE(true, false);
  routed way(v4);
  SECTION("the link of a router")
  {
    command(
        way.net, 1,
        "PATH=$PATH:/usr/sbin tc qdisc add dev lan1 root tbf rate 20mbit burst 3000 limit 20000");
    way.send(400, 1000);
    // The rate changes while datagrams wait.
    command(way.net, 1,
            "PATH=$PATH:/usr/sbin tc qdisc change dev lan1 root tbf rate 80mbit burst 3000 limit "
            "20000");
    way.send(100, 1000);
    const auto lost = [&] {
      const std::string text =
          command(way.net, 1, "PATH=$PATH:/usr/sbin tc -s qdisc show dev lan1");
      return std::stoul(text.substr(text.find("dropped ") + 8));
    };
    // The queue drops other hosts' questions and answers of the link too, which are few.
    way.await([&] { return way.known() + lost() >= way.sender->statistics().sent; });
    CHECK(lost() > 0);
    CHECK(way.refused == 0);
    CHECK(way.sender->statistics().sent > way.known());
  }
  SECTION("the sender's own link, of which the kernel tells")
  {
    command(
        way.net, 0,
        "PATH=$PATH:/usr/sbin tc qdisc add dev lan0 root tbf rate 20mbit burst 3000 limit 20000");
    way.send(400, 1000);
    way.await([&] { return way.known() == way.sender->statistics().sent; });
    CHECK(way.refused > 0);
  }
  way.check_account();
  CHECK(std::is_sorted(way.received.begin(), way.received.end()));
}

TEST_CASE("each error that a firewall answers with is reported once, while others pass",
          "[namespaces][loss]")
{
  const bool v4 = GENERATE(true, false);
  routed way(v4);
  rules(way.net, 1,
        "table inet t { counter c { }; chain f { type filter hook forward priority 0; "
        "udp dport 4000 numgen inc mod 5 == 0 counter name c "
        "reject with icmpx type admin-prohibited; }; }");
  std::size_t told = 0;
  for (int round = 0; round < 20; ++round) {
    way.send(10, 300);
    way.receive();
    told += way.take_errors();
  }
  way.await([&] {
    told += way.take_errors();
    return way.known() + counted(way.net, 1) == way.sender->statistics().sent &&
           told + way.sender->statistics().lost_reports >= way.departures->in().icmp_errors;
  });
  CHECK(told > 0);
  CHECK(way.sender->statistics().lost_reports == 0);
  CHECK(told == way.departures->in().icmp_errors);
  CHECK(way.sender->statistics().path_errors == told);
  REQUIRE(way.last_error);
  CHECK(way.last_error->peer == on_host(2, 1, v4));
  CHECK(way.last_error->offender == on_host(1, 0, v4).address());
  way.check_account();
}

TEST_CASE("a path that becomes narrower tells so, and what fits goes on", "[namespaces][loss]")
{
  const bool v4 = GENERATE(true, false);
  routed way(v4);
  way.sender->set_option(option::do_not_fragment(true));
  std::size_t told = 0;
  way.send(50, 1300);
  way.await([&] { return way.known() == way.sender->statistics().sent; });
  const auto wide = way.known();
  // Both ends of a link have one MTU.
  way.net.host(1).ip("link set lan1 mtu 1300\n");
  for (int round = 0; round < 10; ++round) {
    way.send(1, 1300);
    told += way.take_errors();
    way.send(5, 1000);
  }
  const std::size_t small = 50;
  way.await([&] {
    told += way.take_errors();
    return way.known() == wide + small && told == way.departures->in().icmp_errors;
  });
  // The first of the large ones were lost at the router, until its word came; the host refused the
  // others.
  CHECK(told > 0);
  CHECK(told + way.refused == 10);
  CHECK(way.sender->statistics().lost_reports == 0);
  // Wide again: the kernel keeps what it was told until its route is replaced.
  way.net.host(1).ip("link set lan1 mtu 1500\n");
  const std::string route = v4 ? "10.77.1.0/24 via 10.77.0.2\n" : "fd77:1::/64 via fd77:0::2\n";
  way.net.host(0).ip("route del " + route + "route add " + route);
  way.send(20, 1300);
  way.await([&] { return way.known() == wide + small + 20; });
  CHECK(told + way.refused == 10);
  way.check_account();
}

TEST_CASE("a datagram of which a fragment is lost is no datagram", "[namespaces][loss]")
{
  const bool v4 = GENERATE(true, false);
  routed way(v4);
  // Fragments leave this host, since no link takes the datagrams whole.
  rules(
      way.net, 1,
      std::string("table inet t { counter c { }; chain f { type filter hook forward priority 0; ") +
          (v4 ? "ip frag-off & 0x1fff != 0" : "exthdr frag exists") +
          " numgen inc mod 7 == 0 counter name c drop; }; }");
  way.sender->set_option(option::do_not_fragment(false));
  for (int round = 0; round < 20; ++round) {
    way.send(5, 4000);
    way.receive();
  }
  const auto parts = way.departures->out().fragments;
  way.await([&] {
    return way.arrivals->in().fragments + counted(way.net, 1) == parts &&
           way.arrivals->in().to(port) == way.known();
  });
  CHECK(parts == 300);
  CHECK(counted(way.net, 1) > 0);
  CHECK(way.known() < way.sender->statistics().sent);
  CHECK(way.receiver->statistics().truncated == 0);
  way.check_account();
}

TEST_CASE("interfaces that go and come back lose only what was on its way", "[namespaces][loss]")
{
  const bool v4 = GENERATE(true, false);
  routed way(v4);
  const std::string again = v4 ? std::string() : "addr add fd77:0::1/64 dev lan0 nodad\n";
  const std::string route =
      v4 ? "route add 10.77.1.0/24 via 10.77.0.2\n" : "route add fd77:1::/64 via fd77:0::2\n";
  for (int round = 0; round < 3; ++round) {
    way.send(20, 300);
    way.net.host(0).ip("link set lan0 down\n");
    const auto before = way.refused;
    way.send(20, 300);
    CHECK(way.refused == before + 20);  // no route is left
    way.net.host(0).ip("link set lan0 up\n" + again + route);
  }
  // The kernel asks for the neighbour again, and drops what waits too long for the answer.
  const std::uint32_t last = way.tried;
  way.await([&] {
    way.send(1, 300);
    return way.received.back() >= last;
  });
  way.await([&] { return way.received.back() == way.tried - 1; });
  CHECK(way.sender->statistics().sent == way.tried - way.refused);
  CHECK(way.departures->out().to(port) == way.known());
  CHECK(way.arrivals->in().to(port) == way.known());
  CHECK(std::is_sorted(way.received.begin(), way.received.end()));
}

TEST_CASE("addresses and routes change below a socket, which goes on", "[namespaces][loss]")
{
  const bool v4 = GENERATE(true, false);
  routed way(v4);
  const std::string to = v4 ? "10.77.1.0/24" : "fd77:1::/64";
  const std::string by = v4 ? "10.77.0.2" : "fd77:0::2";
  const std::string old_address = v4 ? "10.77.0.1/24" : "fd77:0::1/64";
  const std::string new_address = v4 ? "10.77.0.101/24" : "fd77:0::101/64";
  way.send(50, 300);
  // Another source address, from now on.
  way.net.host(0).ip("addr add " + new_address + " dev lan0" + (v4 ? "" : " nodad") +
                     "\naddr del " + old_address + " dev lan0\n");
  if (v4) way.net.host(0).ip("addr replace " + new_address + " dev lan0\n");
  way.net.host(0).ip("route replace " + to + " via " + by + "\n");
  way.send(50, 300);
  // No way, and a way again.
  way.net.host(0).ip("route del " + to + "\n");
  const auto before = way.refused;
  way.send(10, 300);
  CHECK(way.refused == before + 10);
  way.net.host(0).ip("route add " + to + " via " + by + "\n");
  way.send(50, 300);
  way.await([&] { return way.known() == way.sender->statistics().sent; });
  way.check_account();
  CHECK(way.received.size() == 151);
}

#endif

}  // namespace loss_test
