// SPDX-License-Identifier: BSL-1.0
// Simulated networks: links, partitions, pauses, NATs, groups, the account, traces and captures.
#include <dgram/sim_network.hpp>

#include "support/asio.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>
#include <dgram/sim_socket.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace sim_network_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;
using dgram::error_code;
using endpoint = asio::ip::udp::endpoint;

namespace {

using strings = std::vector<std::string>;

struct scene {
  asio::io_context io;
  sim::network net;
  sim::socket a;
  sim::socket b;

  explicit scene(const sim::network_config& config = {})
      : net(io, config), a(net, {"10.0.0.1", 1}), b(net, {"10.0.0.2", 2})
  {
  }
};

void send(sim::socket& from, const endpoint& to, const std::string& text = "x")
{
  from.send_to(asio::buffer(text), to);
}

/// What has arrived: `text from address:port`.
strings arrived(sim::socket& at)
{
  strings all;
  std::array<char, 2000> room{};
  endpoint sender;
  while (const auto size = at.try_receive_from(asio::buffer(room), sender))
    all.push_back(std::string(room.data(), *size) + " from " + dgram::to_string(sender));
  return all;
}

/// How long each datagram takes that `a` sends at one time.
std::vector<std::chrono::nanoseconds> delays(scene& s, int count)
{
  std::vector<std::chrono::nanoseconds> all;
  dgram::reader reader{s.b};
  const auto start = sim::clock::now();
  reader.async_for_each([&](const dgram::datagram&) { all.push_back(sim::clock::now() - start); },
                        [](error_code) {});
  for (int i = 0; i < count; ++i)
    send(s.a, s.b.local_endpoint());
  s.net.run();
  reader.stop();
  s.net.run();
  return all;
}

std::uint64_t hash_of(const std::string& text)
{
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return hash;
}

/// A run in which everything happens that a network can do to a datagram. Returns its trace.
std::string eventful_run(std::uint64_t seed)
{
  asio::io_context io;
  sim::network net{io,
                   {.seed = seed,
                    .delay = 20ms,
                    .jitter = 19ms,
                    .loss = 0.05,
                    .duplicate = 0.05,
                    .reorder = 0.1,
                    .rate = 100'000,
                    .queue = 2000,
                    .mtu = 1400}};
  std::string trace;
  net.on_trace([&](std::string_view line) { trace.append(line).append("\n"); });
  net.add_nat("203.0.113.1", {"10.0.0.3", "10.0.0.4"}, {.mapping_timeout = 2s});
  std::vector<sim::socket> nodes;
  for (const char* host : {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"})
    nodes.emplace_back(net, sim::location{host, 9});
  nodes[4].set_option(dgram::option::receive_buffer_size{1000});
  nodes[0].join("239.1.2.3");
  nodes[1].join("239.1.2.3");
  std::vector<endpoint> targets;
  for (auto& each : nodes)
    targets.push_back(each.local_endpoint());
  targets.emplace_back(asio::ip::make_address("239.1.2.3"), std::uint16_t{9});
  targets.emplace_back(asio::ip::make_address("10.0.0.1"), std::uint16_t{10});  // refused
  targets.emplace_back(asio::ip::make_address("10.9.9.9"), std::uint16_t{9});   // unreachable
  targets.emplace_back(asio::ip::make_address("203.0.113.1"), std::uint16_t{1024});
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    asio::co_spawn(
        io,
        [&net, &node = nodes[i], &targets]() -> asio::awaitable<void> {
          sim::timer timer{net.context()};
          const std::string payload(1372, 'x');
          for (int round = 0; round < 200; ++round) {
            timer.expires_after(std::chrono::nanoseconds(net.random().below(10'000'000)));
            co_await timer.async_wait(asio::use_awaitable);
            const auto& to = targets[net.random().below(targets.size())];
            const std::size_t size = net.random().below(payload.size() + 1);
            node.send_to(asio::buffer(payload.data(), size), to);
          }
        },
        asio::detached);
    if (i == 4) continue;  // this one never reads
    asio::co_spawn(
        io,
        [&node = nodes[i]]() -> asio::awaitable<void> {
          dgram::reader reader{node};
          while (co_await reader.next()) {}
        },
        asio::detached);
  }
  net.run_for(300ms);
  net.partition({"10.0.0.1"}, {"10.0.0.2", "203.0.113.1"});
  net.pause("10.0.0.2");
  net.run_for(300ms);
  net.resume("10.0.0.2");
  net.heal();
  net.rebind("203.0.113.1");
  net.run();
  const auto total = net.counters();
  CHECK(total.is_balanced());
  CHECK(total.in_flight == 0);
  for (const auto cause : {total.lost, total.partitioned, total.queue_full, total.refused,
                           total.overflowed, total.untranslated, total.unreachable})
    CHECK(cause > 0);
  CHECK(total.duplicated > 0);
  return trace;
}

}  // namespace

TEST_CASE("the same seed gives the same trace on every compiler, and another seed another one")
{
  const auto first = eventful_run(1);
  CHECK(eventful_run(1) == first);
  const auto second = eventful_run(2);
  CHECK(second != first);
  // These change only if the meaning of a seed changes, which users must be told.
  CHECK(hash_of(first) == 0xC966C2533CA36B15U);
  CHECK(hash_of(second) == 0xB4E9683B08E8D72DU);
}

TEST_CASE("random numbers of the simulation are those of SplitMix64")
{
  sim::random random{1234567};
  CHECK(random() == 6457827717110365317U);
  CHECK(random() == 3203168211198807973U);
  std::array<int, 6> dice{};
  for (int i = 0; i < 6000; ++i)
    ++dice[static_cast<std::size_t>(random.below(6))];
  for (const int each : dice)
    CHECK((each > 850 && each < 1150));
  CHECK(random.below(0) == 0);
  CHECK(random.below(1) == 0);
  CHECK_FALSE(random.chance(0));
  CHECK(random.chance(1));
  int hits = 0;
  for (int i = 0; i < 10000; ++i)
    hits += random.chance(0.25) ? 1 : 0;
  CHECK((hits > 2300 && hits < 2700));
}

TEST_CASE("the distributions of the standard library take the random numbers of the simulation")
{
  sim::random random{7};
  CHECK(sim::random::min() == 0);
  CHECK(sim::random::max() == std::numeric_limits<std::uint64_t>::max());
  std::uniform_int_distribution<int> die(1, 6);
  std::array<int, 6> dice{};
  for (int i = 0; i < 6000; ++i)
    ++dice.at(static_cast<std::size_t>(die(random) - 1));
  for (const int each : dice)
    CHECK((each > 850 && each < 1150));
}

TEST_CASE("jitter spreads the delay of a link to both sides")
{
  scene s({.delay = 20ms, .jitter = 5ms});
  const auto all = delays(s, 1000);
  REQUIRE(all.size() == 1000);
  const auto [least, most] = std::minmax_element(all.begin(), all.end());
  CHECK((*least >= 15ms && *least < 15100us));
  CHECK((*most <= 25ms && *most > 24900us));
}

TEST_CASE("datagrams overtake each other on a link with jitter, unless it keeps their order")
{
  const bool keep_order = GENERATE(false, true);
  scene s({.delay = 20ms, .jitter = 20ms, .keep_order = keep_order});
  for (int i = 100; i < 200; ++i)
    send(s.a, s.b.local_endpoint(), std::to_string(i));
  s.net.run();
  const auto all = arrived(s.b);
  CHECK(all.size() == 100);
  CHECK(std::is_sorted(all.begin(), all.end()) == keep_order);
}

TEST_CASE("loss, duplication and reordering happen as often as the link says")
{
  scene s({.delay = 1ms, .loss = 0.2, .duplicate = 0.5, .reorder = 0.25, .reorder_delay = 100ms});
  s.b.set_option(dgram::option::receive_buffer_size{100'000'000});
  const auto all = delays(s, 10000);
  const auto total = s.net.counters("10.0.0.1", "10.0.0.2");
  CHECK((total.lost > 1850 && total.lost < 2150));
  CHECK((total.duplicated > 3800 && total.duplicated < 4200));
  CHECK(all.size() == 10000 - total.lost + total.duplicated);
  const auto late = static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [](auto each) { return each > 100ms; }));
  CHECK((late > all.size() / 5 && late < all.size() / 3));
}

TEST_CASE("a link's rate spaces datagrams out, and its queue drops what does not fit")
{
  scene s({.delay = 1ms, .rate = 8'000'000, .queue = 5000});
  for (int i = 0; i < 10; ++i)
    send(s.a, s.b.local_endpoint(), std::string(972, 'x'));  // 1000 bytes on the wire, 1 ms each
  s.net.run_for(2ms);
  CHECK(arrived(s.b).size() == 1);
  s.net.run_for(2ms);
  CHECK(arrived(s.b).size() == 2);
  s.net.run();
  CHECK(s.net.counters().queue_full == 5);
  CHECK(s.net.counters().delivered == 5);
  CHECK(s.net.now().time_since_epoch() == 6ms);
}

TEST_CASE("links are set for a pair, a direction, a host or the network, in this order")
{
  scene s({.delay = 1ms});
  sim::socket c{s.net, {"10.0.0.3", 3}};
  s.net.set_host_links("10.0.0.2", {.delay = 2ms});
  CHECK(s.net.link("10.0.0.1", "10.0.0.3").delay == 1ms);
  CHECK(s.net.link("10.0.0.1", "10.0.0.2").delay == 2ms);
  CHECK(s.net.link("10.0.0.2", "10.0.0.3").delay == 2ms);
  s.net.set_host_links("10.0.0.1", {.delay = 3ms});
  CHECK(s.net.link("10.0.0.1", "10.0.0.2").delay == 3ms);
  CHECK(s.net.link("10.0.0.2", "10.0.0.1").delay == 2ms);
  s.net.set_link("10.0.0.1", "10.0.0.2", {.delay = 4ms});
  s.net.set_path("10.0.0.2", "10.0.0.1", {.delay = 5ms});
  CHECK(s.net.link("10.0.0.1", "10.0.0.2").delay == 4ms);
  CHECK(s.net.link("10.0.0.2", "10.0.0.1").delay == 5ms);
  send(s.a, s.b.local_endpoint());
  s.net.run();
  CHECK(s.net.now().time_since_epoch() == 4ms);
  s.net.set_link("10.0.0.1", "10.0.0.2", {.delay = 10ms});  // a link in use changes too
  send(s.a, s.b.local_endpoint());
  s.net.run();
  CHECK(s.net.now().time_since_epoch() == 14ms);
  s.net.set_links({.delay = 9ms});
  CHECK(s.net.link("10.0.0.8", "10.0.0.9").delay == 9ms);
}

TEST_CASE("the traffic of one link does not change what another one does")
{
  const auto run = [](bool busy) {
    scene s({.seed = 5, .delay = 20ms, .jitter = 10ms, .loss = 0.3});
    sim::socket c{s.net, {"10.0.0.3", 3}};
    std::string times;
    dgram::reader reader{s.b};
    reader.async_for_each(
        [&](const dgram::datagram& each) {
          times += std::string(each.payload().text()) + "@" +
                   std::to_string(sim::clock::now().time_since_epoch().count()) + " ";
        },
        [](error_code) {});
    for (int i = 0; i < 50; ++i) {
      if (busy) send(s.a, c.local_endpoint());
      send(s.a, s.b.local_endpoint(), std::to_string(i));
      if (busy) send(c, s.a.local_endpoint());
    }
    s.net.run();
    return times;
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("a link that cannot be is refused with the name of its field")
{
  scene s;
  const auto refuses = [&](const sim::link_config& config, const std::string& field) {
    try {
      s.net.set_links(config);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what()).find(field + " must be") != std::string::npos;
    }
    return false;
  };
  CHECK(refuses({.delay = -1ns}, "delay"));
  CHECK(refuses({.jitter = -1ns}, "jitter"));
  CHECK(refuses({.loss = 1.01}, "loss"));
  CHECK(refuses({.loss = -0.1}, "loss"));
  CHECK(refuses({.duplicate = 2}, "duplicate"));
  CHECK(refuses({.reorder = 2}, "reorder"));
  CHECK(refuses({.reorder_delay = -1ns}, "reorder_delay"));
  CHECK(refuses({.rate = 99}, "rate"));
  CHECK(refuses({.queue = 1}, "queue"));
  CHECK(refuses({.mtu = 67}, "mtu"));
  CHECK_THROWS_AS(s.net.set_host_links("nobody", {}), std::invalid_argument);
  CHECK_THROWS_AS(s.net.add_host("one", {}), std::invalid_argument);
  CHECK_THROWS_AS(s.net.add_host("one", {"10.0.0.1"}), std::invalid_argument);
  CHECK_THROWS_AS(s.net.add_host("one", {"239.1.1.1"}), std::invalid_argument);
  CHECK_THROWS_AS(s.net.add_host("one", {"text"}), std::invalid_argument);
  s.net.add_host("one", {"10.0.0.77"});
  CHECK_THROWS_AS(s.net.add_host("one", {"10.0.0.78"}), std::invalid_argument);
  CHECK_THROWS_AS(s.net.add_nat("203.0.113.1", {"one"}, {.mapping_timeout = 0s}),
                  std::invalid_argument);
  CHECK_THROWS_AS(s.net.rebind("one"), std::invalid_argument);
  CHECK_THROWS_AS(s.net.capture("/no/such/directory/file"), std::runtime_error);
}

TEST_CASE("a partition stops datagrams in both directions until it heals")
{
  scene s;
  sim::socket c{s.net, {"10.0.0.3", 3}};
  send(s.a, s.b.local_endpoint(), "on its way");
  s.net.partition({"10.0.0.1"}, {"10.0.0.2"});
  send(s.a, s.b.local_endpoint(), "cut");
  send(s.b, s.a.local_endpoint(), "cut");
  send(s.a, c.local_endpoint(), "other");
  s.net.run();
  CHECK(arrived(s.b) == strings{"on its way from 10.0.0.1:1"});
  CHECK(arrived(s.a).empty());
  CHECK(arrived(c).size() == 1);
  CHECK(s.net.counters().partitioned == 2);
  s.net.heal();
  send(s.b, s.a.local_endpoint(), "healed");
  s.net.run();
  CHECK(arrived(s.a) == strings{"healed from 10.0.0.2:2"});
}

TEST_CASE("a partition does not cut a host off from itself")
{
  scene s;
  s.net.partition({"10.0.0.1", "10.0.0.2"}, {"10.0.0.1", "10.0.0.2"});
  send(s.a, s.a.local_endpoint(), "own");
  send(s.a, s.b.local_endpoint(), "cut");
  s.net.run();
  CHECK(arrived(s.a) == strings{"own from 10.0.0.1:1"});
  CHECK(arrived(s.b).empty());
}

TEST_CASE("a paused host neither receives nor sends, and continues where it was")
{
  scene s;
  s.net.pause("10.0.0.2");
  std::array<char, 10> room{};
  bool received = false;
  bool sent = false;
  s.b.async_receive(asio::buffer(room), [&](error_code ec, std::size_t) { received = !ec; });
  s.b.async_send_to(asio::buffer("late", 4), s.a.local_endpoint(),
                    [&](error_code ec, std::size_t) { sent = !ec; });
  send(s.a, s.b.local_endpoint());
  s.net.run_for(10s);
  CHECK_FALSE(received);
  CHECK_FALSE(sent);
  error_code ec;
  s.b.try_receive(asio::buffer(room), ec);
  CHECK(ec == asio::error::would_block);
  s.net.resume("10.0.0.2");
  s.net.run();
  CHECK(received);
  CHECK(sent);
  CHECK(arrived(s.a) == strings{"late from 10.0.0.2:2"});
}

TEST_CASE("a writer on a paused host keeps its datagrams until the host is resumed")
{
  scene s;
  dgram::writer writer{s.a};
  s.net.pause("10.0.0.1");
  CHECK(writer.try_send("kept", s.b.local_endpoint()));
  s.net.run_for(1s);
  CHECK(arrived(s.b).empty());
  s.net.resume("10.0.0.1");
  s.net.run();
  CHECK(arrived(s.b) == strings{"kept from 10.0.0.1:1"});
}

TEST_CASE("a NAT gives each endpoint behind it a public port, and lets answers in")
{
  scene s;
  s.net.add_nat("203.0.113.1", {"192.168.0.2", "192.168.0.3"});
  sim::socket one{s.net, {"192.168.0.2", 7}};
  sim::socket two{s.net, {"192.168.0.3", 7}};
  send(one, s.a.local_endpoint(), "one");
  send(two, s.a.local_endpoint(), "two");
  send(one, two.local_endpoint(), "inside");
  s.net.run();
  CHECK(arrived(s.a) == strings{"one from 203.0.113.1:1024", "two from 203.0.113.1:1025"});
  CHECK(arrived(two) == strings{"inside from 192.168.0.2:7"});
  send(s.a, {asio::ip::make_address("203.0.113.1"), 1024}, "answer");
  send(s.b, {asio::ip::make_address("203.0.113.1"), 1024}, "stranger");
  send(s.a, {asio::ip::make_address("203.0.113.1"), 1030}, "no mapping");
  send(s.a, one.local_endpoint(), "private address");
  s.net.run();
  CHECK(arrived(one) == strings{"answer from 10.0.0.1:1"});
  CHECK(s.net.counters().untranslated == 2);
  CHECK(s.net.counters().unreachable == 1);
  send(one, {asio::ip::make_address("203.0.113.1"), 1025}, "hairpin");
  s.net.run();
  CHECK(s.net.counters().untranslated == 3);  // `two` has never sent to the public address of `one`
}

TEST_CASE("a NAT without a filter lets any sender in")
{
  scene s;
  s.net.add_nat("203.0.113.1", {"192.168.0.2"}, {.filter = false});
  sim::socket inside{s.net, {"192.168.0.2", 7}};
  send(inside, s.a.local_endpoint());
  s.net.run();
  send(s.b, {asio::ip::make_address("203.0.113.1"), 1024}, "stranger");
  s.net.run();
  CHECK(arrived(inside) == strings{"stranger from 10.0.0.2:2"});
}

TEST_CASE("a NAT mapping ends after its timeout, or when the NAT is rebound")
{
  const bool rebinds = GENERATE(false, true);
  scene s;
  s.net.add_nat("203.0.113.1", {"192.168.0.2"}, {.mapping_timeout = 30s});
  sim::socket inside{s.net, {"192.168.0.2", 7}};
  send(inside, s.a.local_endpoint());
  s.net.run_for(29s);
  send(inside, s.a.local_endpoint());  // which keeps the mapping
  s.net.run_for(29s);
  const endpoint before{asio::ip::make_address("203.0.113.1"), 1024};
  send(s.a, before, "in time");
  s.net.run_for(100ms);
  CHECK(arrived(inside) == strings{"in time from 10.0.0.1:1"});
  if (rebinds)
    s.net.rebind("203.0.113.1");
  else
    s.net.run_for(1s);
  send(s.a, before, "too late");
  s.net.run();
  CHECK(arrived(inside).empty());
  arrived(s.a);
  send(inside, s.a.local_endpoint(), "moved");
  s.net.run();
  CHECK(arrived(s.a) == strings{"moved from 203.0.113.1:1025"});
}

TEST_CASE("a NAT uses a public port again after all others, and passes over one that is in use")
{
  scene s;
  s.net.add_nat("203.0.113.1", {"192.168.0.2"}, {.mapping_timeout = 1s});
  sim::socket kept{s.net, {"192.168.0.2", 7}};
  constexpr int count = 31;
  std::vector<sim::socket> renewed;
  for (int i = 0; i < count; ++i)
    renewed.emplace_back(s.net, sim::location{"192.168.0.2", 0});
  std::vector<std::uint16_t> ports;
  const auto run = [&](std::chrono::milliseconds time) {
    std::array<char, 10> room{};
    endpoint sender;
    s.net.run_for(time);
    ports.clear();
    while (s.a.try_receive_from(asio::buffer(room), sender))
      ports.push_back(sender.port());
  };
  bool is_kept = true;
  const auto keep = [&] {
    send(kept, s.a.local_endpoint());
    run(5ms);
    is_kept = is_kept && ports == std::vector<std::uint16_t>{1024};
  };
  // The mappings of these end before they send again.
  const auto next_ports = [&] {
    keep();
    for (sim::socket& each : renewed)
      send(each, s.a.local_endpoint());
    run(700ms);
    const auto result = ports;
    keep();
    run(700ms);
    return result;
  };
  bool is_in_order = true;
  std::uint32_t expected = 1025;
  while (is_in_order && expected < 65536)
    for (const std::uint16_t port : next_ports())
      is_in_order = is_in_order && port == expected++;
  CHECK(is_in_order);
  CHECK(next_ports().front() == 1025);
  CHECK(is_kept);
}

TEST_CASE("a refusal finds its way back through a NAT")
{
  scene s;
  s.net.add_nat("203.0.113.1", {"192.168.0.2"});
  sim::socket inside{s.net, {"192.168.0.2", 7}};
  inside.connect({asio::ip::make_address("10.0.0.1"), 99});
  inside.send(asio::buffer("x", 1));
  s.net.run();
  error_code ec;
  std::array<char, 10> room{};
  inside.try_receive(asio::buffer(room), ec);
  CHECK(ec == asio::error::connection_refused);
}

TEST_CASE("members of a group get its datagrams, from their source if they named one")
{
  scene s;
  s.net.add_host("wild", {"10.0.0.4"});
  sim::socket first{s.net, "wild"};
  first.open(dgram::udp::v4());
  first.set_option(dgram::option::reuse_address{true});
  first.bind({dgram::udp::v4(), 5});
  sim::socket second{s.net, "wild"};
  second.open(dgram::udp::v4());
  second.set_option(dgram::option::reuse_address{true});
  second.bind({dgram::udp::v4(), 5});
  const endpoint group{asio::ip::make_address("239.1.2.3"), 5};
  first.join("239.1.2.3");
  second.join(dgram::multicast_group{"239.1.2.3", "10.0.0.2"});
  send(s.a, group, "a");
  send(s.b, group, "b");
  send(first, group, "own");
  s.net.run();
  CHECK(arrived(first) == strings{"own from 10.0.0.4:5", "a from 10.0.0.1:1", "b from 10.0.0.2:2"});
  CHECK(arrived(second) == strings{"b from 10.0.0.2:2"});
  first.set_option(dgram::option::multicast_loopback{false});
  send(first, group, "unheard");
  {
    dgram::membership<sim::socket> scoped{second, dgram::multicast_group{"239.9.9.9"}};
    send(s.a, {asio::ip::make_address("239.9.9.9"), 5}, "scoped");
    s.net.run();
  }
  CHECK(arrived(second) == strings{"scoped from 10.0.0.1:1"});
  first.leave("239.1.2.3");
  send(s.a, group, "left");
  send(s.a, {asio::ip::make_address("239.9.9.9"), 5}, "left");
  s.net.run();
  CHECK(arrived(first).empty());
  CHECK(arrived(second).empty());
  CHECK(s.net.counters().is_balanced());
  error_code ec;
  first.join("239.1.2.3", dgram::network_interface("10.0.0.99"), ec);
  CHECK(ec == dgram::error::unknown_interface);
  first.join("10.0.0.1", dgram::network_interface(), ec);
  CHECK(ec == dgram::error::not_multicast);
  first.join("239.1.2.3", dgram::network_interface("10.0.0.4"), ec);
  CHECK_FALSE(ec);
  first.join("239.1.2.3", dgram::network_interface(), ec);
  CHECK(ec == asio::error::address_in_use);
  first.close();
  send(s.a, group, "closed");
  s.net.run();
  CHECK(s.net.counters().is_balanced());
}

TEST_CASE("a broadcast reaches every host on its port")
{
  scene s;
  sim::socket c{s.net, "10.0.0.3"};
  c.open(dgram::udp::v4());
  c.bind({dgram::udp::v4(), 2});
  s.a.set_option(dgram::option::broadcast{true});
  send(s.a, {asio::ip::address_v4::broadcast(), 2}, "all");
  s.net.run();
  CHECK(arrived(c) == strings{"all from 10.0.0.1:1"});
  CHECK(arrived(s.b).empty());  // bound to its address: as on Linux it hears no broadcast
}

TEST_CASE("a connected socket hears its group from its peer alone")
{
  scene s;
  sim::socket c{s.net, "10.0.0.3"};
  c.open(dgram::udp::v4());
  // An unspecified local address would become that of the host.
  c.bind({asio::ip::make_address("239.1.2.3"), 5});
  c.join("239.1.2.3");
  c.connect(s.a.local_endpoint());
  send(s.b, {asio::ip::make_address("239.1.2.3"), 5}, "of b");
  send(s.a, {asio::ip::make_address("239.1.2.3"), 5}, "of a");
  s.net.run();
  CHECK(arrived(c) == strings{"of a from 10.0.0.1:1"});
}

TEST_CASE("the account of each link balances in the middle of a run, and has each cause")
{
  scene s({.delay = 10ms, .loss = 0.1, .duplicate = 0.1});
  s.b.set_option(dgram::option::receive_buffer_size{5000});
  for (int i = 0; i < 100; ++i) {
    send(s.a, s.b.local_endpoint());
    s.net.run_for(1ms);
    const auto link = s.net.counters("10.0.0.1", "10.0.0.2");
    REQUIRE(link.is_balanced());
    CHECK(link.sent == static_cast<std::uint64_t>(i + 1));
  }
  const auto link = s.net.counters("10.0.0.1", "10.0.0.2");
  CHECK(link.in_flight > 0);
  CHECK(link.lost > 0);
  CHECK(link.overflowed > 0);
  CHECK(link.delivered_bytes == link.delivered);
  CHECK(s.net.counters("10.0.0.2", "10.0.0.1").sent == 0);
  CHECK(s.net.counters().sent == 100);
}

TEST_CASE("datagrams on their way when the network ends are not leaked")
{
  scene s;
  for (int i = 0; i < 10; ++i)
    send(s.a, s.b.local_endpoint());
  s.a.connect({asio::ip::make_address("10.0.0.2"), 77});
  s.a.send(asio::buffer("refused", 7));
  s.net.run_for(1ms);  // the refusal is on its way back
  send(s.b, s.a.local_endpoint());
  CHECK(s.net.counters().in_flight == 1);
}

TEST_CASE("a trace has one line for each thing that happens, with its time")
{
  scene s({.delay = 20ms});
  strings lines;
  s.net.on_trace([&](std::string_view line) { lines.emplace_back(line); });
  s.net.note("begins");
  send(s.a, s.b.local_endpoint(), "hello");
  s.net.run();
  CHECK(lines == strings{"0.000000000 begins",
                         "0.000000000 send #1 10.0.0.1:1 > 10.0.0.2:2 5 bytes",
                         "0.020000000 arrive #1 10.0.0.1:1 > 10.0.0.2:2 5 bytes"});
}

TEST_CASE("a trace puts IPv6 addresses in brackets")
{
  scene s;
  sim::socket one{s.net, {"2001:db8::1", 1}};
  sim::socket two{s.net, {"2001:db8::2", 2}};
  strings lines;
  s.net.on_trace([&](std::string_view line) { lines.emplace_back(line); });
  send(one, two.local_endpoint(), "hello");
  CHECK(lines == strings{"0.000000000 send #1 [2001:db8::1]:1 > [2001:db8::2]:2 5 bytes"});
}

TEST_CASE("captures are pcap files with checksums that are right")
{
  const test::temporary_directory directory;
  const std::string all = directory.path() + "/all.pcap";
  const std::string one = directory.path() + "/one.pcap";
  {
    scene s({.delay = 20ms});
    sim::socket v6{s.net, {"2001:db8::6", 6}};
    s.net.add_host("seven", {"2001:db8::7"});
    s.net.capture(all);
    s.net.capture(one, "10.0.0.2");
    send(s.a, s.b.local_endpoint(), "odd");
    send(v6, {asio::ip::make_address("2001:db8::7"), 7}, "even");
    s.net.run();
  }
  const auto read = [](const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::vector<unsigned char>(std::istreambuf_iterator<char>(file), {});
  };
  const auto bytes = read(all);
  const std::size_t v4_size = 20 + 8 + 3;
  const std::size_t v6_size = 40 + 8 + 4;
  REQUIRE(bytes.size() == 24 + 16 + v4_size + 16 + v6_size);
  CHECK(std::vector<unsigned char>(bytes.begin(), bytes.begin() + 4) ==
        std::vector<unsigned char>{0x4D, 0x3C, 0xB2, 0xA1});
  const auto sum = [&](std::size_t from, std::size_t size, std::uint32_t start) {
    for (std::size_t i = 0; i < size; ++i)
      start += i % 2 == 0 ? std::uint32_t{bytes[from + i]} << 8U : bytes[from + i];
    while (start > 0xFFFF)
      start = (start & 0xFFFFU) + (start >> 16U);
    return start;
  };
  const std::size_t v4 = 24 + 16;
  CHECK(sum(v4, 20, 0) == 0xFFFF);
  CHECK(sum(v4 + 20, 11, sum(v4 + 12, 8, 17 + 11)) == 0xFFFF);
  const std::size_t v6 = v4 + v4_size + 16;
  CHECK(bytes[v6] == 0x60);
  CHECK(sum(v6 + 40, 12, sum(v6 + 8, 32, 17 + 12)) == 0xFFFF);
  const auto arrivals = read(one);
  REQUIRE(arrivals.size() == 24 + 16 + v4_size);
  CHECK(arrivals[24] == 0);
  const std::uint32_t nanoseconds = arrivals[28] | std::uint32_t{arrivals[29]} << 8U |
                                    std::uint32_t{arrivals[30]} << 16U |
                                    std::uint32_t{arrivals[31]} << 24U;
  CHECK(nanoseconds == 20'000'000);
}

TEST_CASE("a checksum of a capture is never zero, which would mean that there is none")
{
  const test::temporary_directory directory;
  const std::string file = directory.path() + "/all.pcap";
  {
    scene s;
    s.net.capture(file);
    // 10.0.0.1:1, 10.0.0.2:2, the protocol, the length twice, and the payload add up to 0xFFFF.
    constexpr std::uint32_t others = 0x0A00 + 1 + 0x0A00 + 2 + 1 + 2 + 17 + 10 + 10;
    constexpr std::uint32_t payload = 0xFFFF - others;
    send(s.a, s.b.local_endpoint(),
         {static_cast<char>(payload >> 8U), static_cast<char>(payload & 0xFFU)});
  }
  std::ifstream input(file, std::ios::binary);
  const std::vector<unsigned char> bytes(std::istreambuf_iterator<char>(input), {});
  REQUIRE(bytes.size() == 24 + 16 + 20 + 8 + 2);
  const std::size_t udp = 24 + 16 + 20;
  CHECK(bytes[udp + 6] == 0xFF);
  CHECK(bytes[udp + 7] == 0xFF);
}

}  // namespace sim_network_test
