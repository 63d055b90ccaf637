// SPDX-License-Identifier: BSL-1.0
// What simulated sockets and networks refuse, and what they do when something of theirs is used up.
#include <dgram/sim_socket.hpp>

#include "support/asio.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sim_refusals_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;
using dgram::error_code;
using endpoint = asio::ip::udp::endpoint;

namespace {

endpoint at(const char* address, std::uint16_t port)
{
  return {asio::ip::make_address(address), port};
}

struct scene {
  asio::io_context io;
  sim::network net{io, {.delay = 10ms}};
  sim::socket a{net, {"10.0.0.1", 1}};
  sim::socket b{net, {"10.0.0.2", 2}};
  std::array<char, 2000> storage{};
  error_code ec;
};

std::vector<std::string> arrived(sim::socket& on)
{
  std::vector<std::string> texts;
  dgram::receive_batch batch{64};
  while (on.try_receive_batch(batch))
    for (const dgram::datagram& datagram : batch)
      texts.emplace_back(datagram.payload().text());
  return texts;
}

/// The error that the call reports.
template <class Call>
error_code error_of(const Call& call)
{
  error_code ec;
  call(ec);
  return ec;
}

/// The error of a wait, which must not complete inside the call.
error_code error_of_wait(scene& s, sim::socket& on, sim::socket::wait_type what,
                         const asio::any_io_executor& where)
{
  error_code seen = asio::error::in_progress;
  on.async_wait(what, asio::bind_executor(where, [&](error_code ec) { seen = ec; }));
  CHECK(seen == asio::error::in_progress);
  s.net.run();
  return seen;
}

}  // namespace

TEST_CASE("every call on a closed simulated socket says that it is closed")
{
  scene s;
  auto handle = s.a.handle();
  handle.close(s.ec);
  CHECK_FALSE(s.ec);
  CHECK_FALSE(s.a.is_open());
  s.a.close(s.ec);
  CHECK_FALSE(s.ec);
  const error_code closed = asio::error::bad_descriptor;
  sim::socket& a = s.a;
  CHECK(error_of([&](error_code& ec) { a.bind(at("10.0.0.1", 1), ec); }) == closed);
  CHECK(error_of([&](error_code& ec) { a.disconnect(ec); }) == closed);
  CHECK(error_of([&](error_code& ec) { a.cancel(ec); }) == closed);
  CHECK(error_of([&](error_code& ec) { a.local_endpoint(ec); }) == closed);
  CHECK(error_of([&](error_code& ec) { a.remote_endpoint(ec); }) == closed);
  CHECK(error_of([&](error_code& ec) { a.join("239.1.2.3", {}, ec); }) == closed);
  CHECK(error_of([&](error_code& ec) { a.leave("239.1.2.3", {}, ec); }) == closed);
  CHECK(error_of([&](error_code& ec) { a.try_receive(asio::buffer(s.storage), ec); }) == closed);
  CHECK(error_of([&](error_code& ec) { a.send(asio::buffer("x", 1), 0, ec); }) == closed);
  CHECK(error_of([&](error_code& ec) {
          a.send_to(asio::buffer("x", 1), s.b.local_endpoint(), 0, ec);
        }) == closed);
  CHECK(error_of([&](error_code& ec) { a.get_receive_buffer_size(ec); }) == closed);
  CHECK(error_of([&](error_code& ec) { a.set_send_buffer_size(1000, ec); }) == closed);
  const auto where = GENERATE(false, true);
  const asio::any_io_executor executor =
      where ? asio::any_io_executor(asio::make_strand(s.io)) : s.net.get_executor();
  for (const auto what : {sim::socket::wait_read, sim::socket::wait_write, sim::socket::wait_error})
    CHECK(error_of_wait(s, a, what, executor) == closed);
  sim::socket elsewhere{asio::any_io_executor(asio::make_strand(s.io))};
  CHECK(error_of_wait(s, elsewhere, sim::socket::wait_read, executor) == closed);
}

TEST_CASE("a closed simulated socket has no buffers, no descriptor and no counts")
{
  scene s;
  s.a.close();
  const error_code closed = asio::error::bad_descriptor;
  std::size_t size = 1;
  CHECK(error_of([&](error_code& ec) { size = s.a.get_send_buffer_size(ec); }) == closed);
  CHECK(size == 0);
  size = 1;
  CHECK(error_of([&](error_code& ec) { size = s.a.set_receive_buffer_size(9, ec); }) == closed);
  CHECK(size == 0);
  CHECK(s.a.native_handle() == -1);
  CHECK(s.b.native_handle() == -1);
  sim::socket moved{std::move(s.a)};
  CHECK(s.a.statistics().sent == 0);  // NOLINT(bugprone-use-after-move)
  CHECK(moved.statistics().mean_sent() == 0.0);
  CHECK_THROWS_WITH(s.b.disconnect(), Catch::Matchers::ContainsSubstring("disconnect"));
}

TEST_CASE("a simulated socket without a peer has no remote endpoint")
{
  scene s;
  s.a.remote_endpoint(s.ec);
  CHECK(s.ec == asio::error::not_connected);
  s.a.connect(s.b.local_endpoint());
  CHECK(s.a.remote_endpoint() == s.b.local_endpoint());
}

TEST_CASE("a simulated reconnect to no port changes nothing, and one to a peer keeps its datagrams")
{
  scene s;
  sim::socket other{s.net, {"10.0.0.3", 3}};
  s.b.send_to(asio::buffer("of b", 4), s.a.local_endpoint());
  other.send_to(asio::buffer("of c", 4), s.a.local_endpoint());
  s.b.send_to(asio::buffer("of b too", 8), s.a.local_endpoint());
  s.net.run();
  s.a.reconnect(at("10.0.0.2", 0), s.ec);
  CHECK(s.ec == dgram::error::bad_port);
  CHECK(error_of([&](error_code& ec) { s.a.remote_endpoint(ec); }) == asio::error::not_connected);
  s.a.reconnect(s.b.local_endpoint());
  CHECK(arrived(s.a) == std::vector<std::string>{"of b", "of b too"});
}

TEST_CASE("a simulated send refuses options that a network in memory has no use for")
{
  scene s;
  const std::array<std::byte, 8> control{};
  const auto refused = [&](const dgram::send_options& options) {
    error_code seen;
    s.a.async_send_to(asio::buffer("x", 1), s.b.local_endpoint(), options,
                      [&](error_code ec, std::size_t) { seen = ec; });
    s.net.run();
    return seen;
  };
  CHECK(refused({.interface_index = 1}) == asio::error::operation_not_supported);
  CHECK(refused({.segment_size = 1}) == asio::error::operation_not_supported);
  CHECK(refused({.transmit_time = std::chrono::steady_clock::time_point()}) ==
        asio::error::operation_not_supported);
  CHECK(refused({.timestamp = true}) == asio::error::operation_not_supported);
  CHECK(refused({.control = control}) == asio::error::operation_not_supported);
  CHECK(refused({.dscp = 64}) == dgram::error::out_of_range);
  CHECK(refused({.hop_limit = 0}) == dgram::error::out_of_range);
  CHECK(refused({.hop_limit = 256}) == dgram::error::out_of_range);
  CHECK(refused({.source = asio::ip::make_address("::1")}) ==
        asio::error::address_family_not_supported);
  CHECK(refused({.source = asio::ip::make_address("10.0.0.9")}) ==
        dgram::socket_error::address_not_available);
  s.net.run();
  CHECK(arrived(s.b).empty());
  CHECK(s.a.statistics().sent == 0);
}

TEST_CASE("a simulated batch refuses options with the peer of the socket when it is sent")
{
  scene s;
  s.a.connect(s.b.local_endpoint());
  dgram::send_batch batch{4};
  const auto refused = [&](const dgram::send_options& options) {
    batch.clear();
    batch.push("x", options);
    return s.a.try_send_batch(batch).error;
  };
  CHECK(refused({.dscp = 64}) == dgram::error::out_of_range);
  CHECK(refused({.hop_limit = 0}) == dgram::error::out_of_range);
  CHECK(refused({.hop_limit = 256}) == dgram::error::out_of_range);
  CHECK(refused({.source = asio::ip::make_address("::1")}) ==
        asio::error::address_family_not_supported);
  CHECK(refused({.do_not_fragment = true}) == asio::error::operation_not_supported);
  CHECK_FALSE(refused({.source = asio::ip::make_address("::")}));
  s.net.run();
  CHECK(arrived(s.b) == std::vector<std::string>{"x"});
}

TEST_CASE("a simulated host without an address of the peer's family cannot reach it")
{
  scene s;
  sim::socket both{s.net, "10.0.0.1"};
  both.open(dgram::udp::dual());
  both.connect(at("2001:db8::1", 5), s.ec);
  CHECK(s.ec == asio::error::network_unreachable);
  both.send_to(asio::buffer("x", 1), at("2001:db8::1", 5), 0, s.ec);
  CHECK(s.ec == asio::error::network_unreachable);
}

TEST_CASE("a simulated socket refuses groups of another family, and to leave what it did not join")
{
  scene s;
  const auto left = [&](const dgram::multicast_group& group) {
    return error_of([&](error_code& ec) { s.a.leave(group, {}, ec); });
  };
  const auto joined = [&](const dgram::multicast_group& group) {
    return error_of([&](error_code& ec) { s.a.join(group, {}, ec); });
  };
  CHECK(left("239.1.2.3") == dgram::socket_error::address_not_available);
  CHECK(left({"232.1.2.3", "10.0.0.2"}) == asio::error::invalid_argument);
  CHECK(joined("ff02::1234") == asio::error::address_family_not_supported);
  CHECK(joined({"232.1.2.3", "239.1.1.1"}) == dgram::error::bad_source);
  CHECK(joined({"232.1.2.3", "2001:db8::1"}) == asio::error::address_family_not_supported);
  CHECK_FALSE(joined({"232.1.2.3", "10.0.0.2"}));
  CHECK(joined({"232.1.2.3", "10.0.0.2"}) == dgram::socket_error::address_not_available);
}

TEST_CASE("a wait for reports ends at once where there is one, and of too many the oldest give way")
{
  scene s;
  s.a.set_option(dgram::option::receive_error{true});
  constexpr std::uint16_t sent = 70;
  for (std::uint16_t i = 0; i < sent; ++i)
    s.a.send_to(asio::buffer("x", 1), at("10.0.0.2", static_cast<std::uint16_t>(1000 + i)));
  s.net.run();
  CHECK_FALSE(error_of_wait(s, s.a, sim::socket::wait_error, s.net.get_executor()));
  CHECK(s.a.statistics().path_errors == sent);
  CHECK(s.a.statistics().lost_reports == 6);
  CHECK(s.a.try_receive_error(s.ec).peer.port() == 1006);
}

TEST_CASE("a handle of a simulated socket knows whether a report is there")
{
  scene s;
  s.a.set_option(dgram::option::receive_error{true});
  auto handle = s.a.handle();
  CHECK_FALSE(handle.is_ready(sim::socket::wait_error));
  s.a.send_to(asio::buffer("x", 1), at("10.0.0.2", 1000));
  s.net.run();
  CHECK(handle.is_ready(sim::socket::wait_error));
}

TEST_CASE("a refusal over IPv6 is reported with the numbers of ICMPv6")
{
  scene s;
  s.net.add_host("other", {"2001:db8::9"});
  sim::socket v6{s.net, {"2001:db8::1", 1}};
  v6.set_option(dgram::option::receive_error{true});
  v6.send_to(asio::buffer("x", 1), at("2001:db8::9", 1000));
  s.net.run();
  const dgram::path_error report = v6.try_receive_error(s.ec);
  REQUIRE_FALSE(s.ec);
  CHECK(report.origin == dgram::path_error_origin::icmpv6);
  CHECK(report.icmp_type == 1);  // RFC 4443, section 3.1: port unreachable
  CHECK(report.icmp_code == 4);
  CHECK(report.offender == asio::ip::make_address("2001:db8::9"));
}

TEST_CASE("a pause of a simulated socket lasts a millisecond, and ends with the socket")
{
  scene s;
  const auto closes = GENERATE(false, true);
  auto handle = s.a.handle();
  const auto start = sim::clock::now();
  error_code seen = asio::error::in_progress;
  handle.async_wait_congestion([&](error_code ec) { seen = ec; });
  if (closes) s.a.close();
  CHECK(seen == asio::error::in_progress);
  s.net.run();
  CHECK(seen == (closes ? error_code(asio::error::operation_aborted) : error_code()));
  CHECK(sim::clock::now() - start == (closes ? 0ms : 1ms));
}

TEST_CASE("a group or broadcast datagram above the MTU of a receiver's link is refused")
{
  scene s;
  s.net.set_links({.delay = 1ms, .mtu = 1400});
  s.b.join("239.1.2.3");
  s.a.set_option(dgram::option::broadcast{true});
  const auto to = GENERATE("239.1.2.3", "255.255.255.255");
  const std::string fits(1400 - 28, 'x');
  CHECK(s.a.send_to(asio::buffer(fits), at(to, 2), 0, s.ec) == fits.size());
  CHECK_FALSE(s.ec);
  CHECK(s.a.send_to(asio::buffer(fits + 'x'), at(to, 2), 0, s.ec) == 0);
  CHECK(s.ec == asio::error::message_size);
}

TEST_CASE("a group's datagram that no member has room for counts as dropped, once")
{
  scene s;
  s.net.add_host("wild", {"10.0.0.4"});
  const auto member = [&](int room) {
    sim::socket made{s.net, "wild"};
    made.open(dgram::udp::v4());
    made.set_option(dgram::option::reuse_address{true});
    made.set_option(dgram::option::forced_receive_buffer_size{room});
    made.bind({dgram::udp::v4(), 5});
    made.join("239.1.2.3");
    return made;
  };
  sim::socket small = member(600);
  {
    sim::socket large = member(100000);
    s.a.send_to(asio::buffer(s.storage.data(), 300), at("239.1.2.3", 5));
    s.a.send_to(asio::buffer(s.storage.data(), 300), at("239.1.2.3", 5));
    s.net.run();
    CHECK(arrived(large).size() == 2);
    CHECK(s.net.counters().overflowed == 0);
  }
  s.a.send_to(asio::buffer(s.storage.data(), 300), at("239.1.2.3", 5));
  s.net.run();
  CHECK(s.net.counters().overflowed == 1);
  CHECK(arrived(small).size() == 1);
  CHECK(s.net.counters().is_balanced());
}

TEST_CASE("a simulated datagram to the unspecified address arrives at its own host")
{
  scene s;
  sim::socket wild{s.net, "10.0.0.1"};
  wild.open(dgram::udp::v4());
  wild.bind({dgram::udp::v4(), 5});
  s.a.send_to(asio::buffer("self", 4), at("0.0.0.0", 5));
  s.net.run();
  CHECK(arrived(wild) == std::vector<std::string>{"self"});
}

TEST_CASE("a simulated batch whose slots cannot hold a train is refused where trains are asked for")
{
  scene s;
  s.b.set_option(dgram::option::coalescing{true});
  s.a.send_to(asio::buffer("x", 1), s.b.local_endpoint());
  s.net.run();
  dgram::receive_batch small{4, 100};
  CHECK(s.b.try_receive_batch(small, s.ec) == 0);
  CHECK(s.ec == dgram::error::slot_too_small);
  dgram::receive_batch large{4};
  CHECK(s.b.try_receive_batch(large, s.ec) == 1);
}

TEST_CASE("flags, coalescing and too many buffers keep a simulated call from what it cannot do")
{
  scene s;
  s.a.send_to(asio::buffer("x", 1), s.b.local_endpoint());
  s.net.run();
  const auto received = [&](auto buffers, int flags) {
    error_code seen = asio::error::in_progress;
    s.b.async_receive(buffers, flags, [&](error_code ec, std::size_t) { seen = ec; });
    s.net.run();
    return seen;
  };
  const auto sent = [&](auto buffers, int flags) {
    return error_of([&](error_code& ec) { s.a.send_to(buffers, s.b.local_endpoint(), flags, ec); });
  };
  const std::vector<asio::mutable_buffer> many(100, asio::buffer(s.storage));
  const std::vector<asio::const_buffer> many_sent(100, asio::buffer("x", 1));
  constexpr int flag = asio::socket_base::message_out_of_band;
  CHECK(received(asio::buffer(s.storage), flag) == asio::error::operation_not_supported);
  CHECK(received(many, 0) == asio::error::message_size);
  CHECK(sent(asio::buffer("x", 1), flag) == asio::error::operation_not_supported);
  CHECK(sent(many_sent, 0) == asio::error::message_size);
  s.b.set_option(dgram::option::coalescing{true});
  CHECK(received(asio::buffer(s.storage), 0) == dgram::error::coalescing);
  s.b.set_option(dgram::option::coalescing{false});
  CHECK_FALSE(received(asio::buffer(s.storage), 0));
}

TEST_CASE("a simulated connect that fails leaves a closed socket closed, and an open one open")
{
  scene s;
  s.a.connect(at("2001:db8::1", 5), s.ec);
  CHECK(s.ec == asio::error::address_family_not_supported);
  CHECK(s.a.is_open());
  sim::socket closed{s.net, "10.0.0.1"};
  closed.connect(at("2001:db8::1", 5), s.ec);
  CHECK(s.ec == asio::error::network_unreachable);
  CHECK_FALSE(closed.is_open());
}

TEST_CASE("the queue of a simulated link has at most 1 GiB")
{
  scene s;
  CHECK_THROWS_WITH(s.net.set_links({.rate = 1000, .queue = 0x40000001U}),
                    Catch::Matchers::ContainsSubstring("at most 1 GiB"));
}

TEST_CASE("simulated options of buffers and groups take effect")
{
  scene s;
  const std::size_t size = s.a.set_send_buffer_size(5000, s.ec);
  CHECK_FALSE(s.ec);
  CHECK(size == s.a.get_send_buffer_size(s.ec));
  s.b.close();
  s.b.open(dgram::udp::v4());
  s.b.set_option(dgram::option::receive_hop_limit{true});
  s.b.bind({dgram::udp::v4(), 2});
  s.b.join("239.1.2.3");
  s.a.set_option(dgram::option::multicast_hop_limit{7});
  s.a.send_to(asio::buffer("x", 1), at("239.1.2.3", 2));
  s.net.run();
  dgram::receive_batch batch{1};
  REQUIRE(s.b.try_receive_batch(batch, s.ec) == 1);
  CHECK((*batch.begin()).hop_limit() == 7);
  s.a.set_option(dgram::option::hop_limit{9});
  sim::socket unicast{s.net, {"10.0.0.2", 5}};
  unicast.set_option(dgram::option::receive_hop_limit{true});
  s.a.send_to(asio::buffer("x", 1), unicast.local_endpoint());
  s.net.run();
  REQUIRE(unicast.try_receive_batch(batch, s.ec) == 1);
  CHECK((*batch.begin()).hop_limit() == 9);
}

TEST_CASE("a simulated host whose ephemeral ports are all taken lends one at another address")
{
  asio::io_context io;
  sim::network net{io};
  net.add_host("server", {"10.0.0.1", "10.0.1.1"});
  std::vector<sim::socket> taken;
  taken.reserve(16384);
  for (int i = 0; i < 16384; ++i)
    taken.emplace_back(net, sim::location{"10.0.0.1", 0});
  error_code ec;
  sim::socket last{net, "server"};
  last.open(dgram::udp::v4());
  last.bind({asio::ip::make_address("10.0.0.1"), 0}, ec);
  CHECK(ec == asio::error::address_in_use);
  CHECK(last.local_endpoint().port() == 0);
  last.bind({asio::ip::make_address("10.0.1.1"), 0}, ec);
  CHECK_FALSE(ec);
  CHECK(last.local_endpoint().port() >= 49152);
}

TEST_CASE("an IPv4 and a dual-stack socket do not share a simulated port")
{
  scene s;
  const auto dual_first = GENERATE(false, true);
  sim::socket one{s.net, "10.0.0.1"};
  sim::socket two{s.net, "10.0.0.1"};
  one.open(dual_first ? dgram::udp::dual() : dgram::udp::v4());
  two.open(dual_first ? dgram::udp::v4() : dgram::udp::dual());
  one.bind({one.local_endpoint().protocol(), 5});
  two.bind({two.local_endpoint().protocol(), 5}, s.ec);
  CHECK(s.ec == asio::error::address_in_use);
  sim::socket v6{s.net, "10.0.0.1"};
  v6.open(dgram::udp::v6());
  v6.bind({dgram::udp::v6(), 6});
  sim::socket v4{s.net, "10.0.0.1"};
  v4.open(dgram::udp::v4());
  v4.bind({dgram::udp::v4(), 6}, s.ec);
  CHECK_FALSE(s.ec);
}

TEST_CASE("a simulated socket does not hear what goes to another address of its host")
{
  scene s;
  s.net.add_host("server", {"10.0.0.5", "10.0.1.5"});
  sim::socket server{s.net, {"10.0.0.5", 5}};
  s.a.send_to(asio::buffer("x", 1), at("10.0.1.5", 5));
  s.net.run();
  CHECK(arrived(server).empty());
  CHECK(s.net.counters().refused == 1);
}

TEST_CASE("a simulated datagram to the loopback address leaves from it")
{
  scene s;
  sim::socket wild{s.net, "10.0.0.1"};
  wild.open(dgram::udp::v4());
  wild.bind({dgram::udp::v4(), 5});
  wild.connect(at("127.0.0.1", 5));
  CHECK(wild.local_endpoint() == at("127.0.0.1", 5));
  wild.send(asio::buffer("own", 3));
  s.net.run();
  CHECK(arrived(wild) == std::vector<std::string>{"own"});
}

TEST_CASE("simulated sockets that share an IPv6 port get one flow each")
{
  scene s;
  const dgram::socket_config config{.reuse_port = true};
  sim::socket one{s.net, {"2001:db8::4", 5}, config};
  sim::socket two{s.net, {"2001:db8::4", 5}, config};
  for (int i = 0; i < 40; ++i) {
    sim::socket client{s.net, sim::location{"2001:db8::2", 0}};
    client.send_to(asio::buffer("x", 1), two.local_endpoint());
    client.send_to(asio::buffer("x", 1), two.local_endpoint());
    s.net.run();
    const auto first = arrived(one).size();
    CHECK(first % 2 == 0);
    CHECK(first + arrived(two).size() == 2);
  }
  CHECK(one.statistics().received > 20);
  CHECK(two.statistics().received > 20);
}

TEST_CASE("a network that ends while a send waits for room ends the wait")
{
  asio::io_context io;
  error_code seen;
  {
    sim::network net{io, {.rate = 1000}};
    sim::socket a{net, {"10.0.0.1", 1}};
    sim::socket b{net, {"10.0.0.2", 2}};
    a.set_option(dgram::option::send_buffer_size{1000});
    error_code ec;
    const std::string payload(500, 'x');
    for (int i = 0; i < 100 && !ec; ++i)
      a.send_to(asio::buffer(payload), b.local_endpoint(), 0, ec);
    REQUIRE(ec == asio::error::would_block);
    a.async_wait(sim::socket::wait_write, [&](error_code why) { seen = why; });
    net.run_for(1ms);
    CHECK_FALSE(seen);
  }
  io.restart();
  io.run();
  CHECK(seen == asio::error::operation_aborted);
}

TEST_CASE("a simulated host is found by its name and by its address, and others by neither")
{
  scene s;
  s.net.add_host("server", {"10.0.0.9", "2001:db8::9"});
  const std::vector<asio::ip::address> both{asio::ip::make_address("10.0.0.9"),
                                            asio::ip::make_address("2001:db8::9")};
  CHECK(s.net.addresses("server") == both);
  CHECK(s.net.addresses("2001:db8::9") == both);
  CHECK(s.net.addresses("10.9.9.9").empty());
  CHECK(s.net.addresses("nobody").empty());
}

TEST_CASE("a host behind a simulated NAT, or a NAT, is not put behind another one")
{
  scene s;
  s.net.add_nat("203.0.113.1", {"10.0.0.1"});
  CHECK_THROWS_WITH(s.net.add_nat("203.0.113.2", {"10.0.0.1"}),
                    Catch::Matchers::ContainsSubstring("10.0.0.1"));
  CHECK_THROWS_WITH(s.net.add_nat("203.0.113.2", {"203.0.113.1"}),
                    Catch::Matchers::ContainsSubstring("203.0.113.1"));
}

}  // namespace sim_refusals_test
