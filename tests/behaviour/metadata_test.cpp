// SPDX-License-Identifier: BSL-1.0
// The metadata of each datagram, and what each can request: over IPv4, IPv6 and both.
#include "behaviour/helpers.hpp"
#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/receive_times.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#if !defined(_WIN32)
#include <netinet/ip.h>
#endif

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace metadata_test {

namespace {

namespace option = dgram::option;
using dgram::ecn_codepoint;
using dgram::send_options;

/// A sender and a receiver, and what connects them.
struct link {
  const char* name;
  bool receiver_v6;
  bool dual;
  bool over_v4;
};

constexpr link links[] = {
    {"IPv4", false, false, true},
    {"IPv6", true, false, false},
    {"IPv4 to dual stack", true, true, true},
    {"IPv6 to dual stack", true, true, false},
    {"IPv4 to IPv6, mapped", true, false, true},
};

struct pair {
  explicit pair(const link& over, bool coalesce = false)
      : v4(over.over_v4),
        receiver(io, over.dual ? dgram::udp::dual()
                               : (over.receiver_v6 ? dgram::udp::v6() : dgram::udp::v4())),
        sender(io, over.over_v4 ? test::loopback_v4() : test::loopback_v6())
  {
    receiver.bind({over.receiver_v6 ? asio::ip::udp::v6() : asio::ip::udp::v4(), 0});
    dgram::error_code not_here;
    if (coalesce) receiver.set_option(option::coalescing(true), not_here);
  }

  test::endpoint to_receiver() const
  {
    const auto port = receiver.local_endpoint().port();
    return v4 ? test::loopback_v4(port) : test::loopback_v6(port);
  }

  /// Turns on all that this system has.
  void ask_for_all()
  {
    receiver.set_option(option::packet_info(true));
    receiver.set_option(option::receive_ecn(true));
    receiver.set_option(option::receive_hop_limit(true));
    receiver.set_option(option::receive_timestamp(true));
    test::await_receive_times();
    dgram::error_code not_here;
    receiver.set_option(option::receive_drop_count(true), not_here);
  }

  /// The next datagrams in a batch.
  dgram::receive_batch& take()
  {
    dgram::error_code ec;
    receiver.receive_batch(batch, ec);
    REQUIRE_FALSE(ec);
    return batch;
  }

  dgram::datagram_info take_one()
  {
    dgram::datagram_info info;
    std::array<char, 2048> storage;
    receiver.receive_from(asio::buffer(storage), info);
    return info;
  }

  asio::io_context io;
  bool v4;
  test::udp_socket receiver;
  test::udp_socket sender;
  dgram::receive_batch batch{8};
};

/// Skips where there is no IPv6, since most links need it.
link any_link()
{
  const link over = links[GENERATE(range(0, 5))];
  if (over.receiver_v6 && !test::has_ipv6()) SKIP("this host has no IPv6 loopback");
  UNSCOPED_INFO(over.name);
  return over;
}

template <class Datagram>
void check_all(const Datagram& datagram, const pair& over, const dgram::receive_time_point& before)
{
  const auto loopback = (over.v4 ? test::loopback_v4() : test::loopback_v6()).address();
  CHECK(datagram.local_address() == loopback);
  CHECK(datagram.interface_index() == ::if_nametoindex("lo"));
  CHECK(datagram.ecn() == ecn_codepoint::ect_1);
  CHECK(datagram.dscp() == 46);
  CHECK(datagram.hop_limit() == 17);
  REQUIRE(datagram.receive_time());
  // Catch2 prints no nanoseconds with libc++.
  CHECK((*datagram.receive_time() >= before));
  CHECK((*datagram.receive_time() <= std::chrono::system_clock::now()));
  CHECK_FALSE(datagram.hardware_receive_time());
  CHECK_FALSE(datagram.control_truncated());
  CHECK_FALSE(datagram.control_messages().empty());
  if (dgram::platform::has_error_queue) CHECK(datagram.dropped() == 0U);
}

// 46 << 2 | 1 is 0xB9.
const send_options everything{.ecn = ecn_codepoint::ect_1, .dscp = 46, .hop_limit = 17};

}  // namespace

TEST_CASE("ECN-01 a codepoint that was asked for arrives, and none where none was")
{
  pair over(any_link());
  over.receiver.set_option(option::receive_ecn(true));
  for (const auto codepoint : {ecn_codepoint::ect_0, ecn_codepoint::ect_1}) {
    over.sender.send_to(asio::buffer("a", 1), over.to_receiver(), send_options{.ecn = codepoint});
    CHECK(over.take()[0].ecn() == codepoint);
  }
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver());
  const auto info = over.take_one();
  CHECK(info.ecn() == ecn_codepoint::not_ect);
  CHECK(info.dscp() == 0);
}

TEST_CASE("ECN-01 a dual-stack socket uses the family of the peer")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  const bool v4 = GENERATE(true, false);
  const bool connected = GENERATE(false, true);
  test::udp_socket sender(io, dgram::udp::dual());
  test::udp_socket receiver(io, v4 ? test::loopback_v4() : test::loopback_v6());
  receiver.set_option(option::receive_ecn(true));
  if (connected) sender.connect(receiver.local_endpoint());
  std::array<char, 4> storage;
  for (const auto codepoint : {ecn_codepoint::ect_0, ecn_codepoint::ect_1, ecn_codepoint::ce}) {
    const send_options options{.ecn = codepoint, .dscp = 10};
    if (connected)
      sender.send(asio::buffer("a", 1), options);
    else
      sender.send_to(asio::buffer("a", 1), receiver.local_endpoint(), options);
    dgram::datagram_info info;
    receiver.receive_from(asio::buffer(storage), info);
    CHECK(info.ecn() == codepoint);
    CHECK(info.dscp() == 10);
  }
}

TEST_CASE("ECN-04 ECN and DSCP share a byte and do not disturb one another")
{
  pair over(any_link());
  over.receiver.set_option(option::receive_ecn(true));
  const auto arrives = [&](const send_options& options) {
    over.sender.send_to(asio::buffer("a", 1), over.to_receiver(), options);
    const auto info = over.take_one();
    return std::pair(info.ecn(), info.dscp());
  };
  CHECK(arrives({.ecn = ecn_codepoint::ce}) ==
        std::pair(std::optional(ecn_codepoint::ce), std::optional<std::uint8_t>(0)));
  CHECK(arrives({.ecn = ecn_codepoint::ect_1, .dscp = 46}) ==
        std::pair(std::optional(ecn_codepoint::ect_1), std::optional<std::uint8_t>(46)));
  // What the socket has set stays in the part that was not asked for.
  const int of_socket = 10 << 2 | 2;
  const bool v4 = over.v4;
  REQUIRE(test::set_raw_option(over.sender.native_handle(), v4 ? IPPROTO_IP : IPPROTO_IPV6,
                               v4 ? IP_TOS : IPV6_TCLASS, of_socket));
  CHECK(arrives({.ecn = ecn_codepoint::ce}) ==
        std::pair(std::optional(ecn_codepoint::ce), std::optional<std::uint8_t>(10)));
  CHECK(arrives({.dscp = 46}) ==
        std::pair(std::optional(ecn_codepoint::ect_0), std::optional<std::uint8_t>(46)));
  CHECK(arrives({}) ==
        std::pair(std::optional(ecn_codepoint::ect_0), std::optional<std::uint8_t>(10)));
}

TEST_CASE("ECN-05 nothing is said of it until the option is set, and again when it is cleared")
{
  pair over(any_link());
  const auto said = [&] {
    over.sender.send_to(asio::buffer("a", 1), over.to_receiver(),
                        send_options{.ecn = ecn_codepoint::ect_0});
    return over.take()[0].ecn();
  };
  CHECK_FALSE(said());
  over.receiver.set_option(option::receive_ecn(true));
  CHECK(said() == ecn_codepoint::ect_0);
  option::receive_ecn mirror;
  over.receiver.get_option(mirror);
  CHECK(mirror.value());
  over.receiver.set_option(option::receive_ecn(false));
  CHECK_FALSE(said());
}

TEST_CASE("ECN-06 what one datagram asks for is not what the next one gets")
{
  pair over(any_link());
  over.receiver.set_option(option::receive_ecn(true));
  dgram::send_batch out(8);
  out.push("one", over.to_receiver(), {.dscp = 1});
  out.push("two", over.to_receiver());
  out.push("three", over.to_receiver(), {.dscp = 3});
  out.push("33333", over.to_receiver(), {.dscp = 3});
  out.push("44444", over.to_receiver(), {.dscp = 4});
  REQUIRE(over.sender.send_batch(out).sent == 5);
  std::vector<std::pair<std::string, int>> got;
  while (got.size() < 5)
    for (const dgram::datagram& datagram : over.take())
      got.emplace_back(datagram.payload().text(), datagram.dscp().value_or(99));
  CHECK(got == std::vector<std::pair<std::string, int>>{
                   {"one", 1}, {"two", 0}, {"three", 3}, {"33333", 3}, {"44444", 4}});
}

TEST_CASE("ECN-06 single sends, segments and writers give their requests to their datagrams alone")
{
  pair over(any_link());
  over.receiver.set_option(option::receive_ecn(true));
  const auto dscp = [&] { return static_cast<int>(over.take_one().dscp().value_or(99)); };
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver(), send_options{.dscp = 1});
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver());
  CHECK(dscp() == 1);
  CHECK(dscp() == 0);

  const std::string payload(250, 'x');
  std::optional<dgram::send_result> result;
  over.sender.async_send_segments(payload, 100, over.to_receiver(), send_options{.dscp = 2},
                                  [&](dgram::error_code, dgram::send_result r) { result = r; });
  test::run_until(over.io, [&] { return result.has_value(); });
  REQUIRE(result->sent == 3);
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver());
  for (const int expected : {2, 2, 2, 0})
    CHECK(dscp() == expected);

  dgram::reader reader{over.sender};
  dgram::writer writer{reader};
  REQUIRE(writer.try_send("a", over.to_receiver(), send_options{.dscp = 3}));
  REQUIRE(writer.try_send("b", over.to_receiver()));
  writer.close();
  REQUIRE(writer.size() == 0);
  CHECK(dscp() == 3);
  CHECK(dscp() == 0);
}

TEST_CASE("PKI-01 a datagram leaves from the address that it asks for")
{
  pair over(any_link());
  const auto loopback = over.sender.local_endpoint().address();
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver(), send_options{.source = loopback});
  CHECK(dgram::canonical(over.take_one().sender()) == over.sender.local_endpoint());
  for (const char* unspecified : {"0.0.0.0", "::"}) {
    over.sender.send_to(asio::buffer("a", 1), over.to_receiver(),
                        send_options{.source = dgram::parse_address(unspecified)});
    CHECK(dgram::canonical(over.take_one().sender()) == over.sender.local_endpoint());
  }
  if (!over.v4) return;
  // Any address of 127/8 is one of this host's, and another one than the routes would choose.
  test::udp_socket anywhere(over.io, {dgram::udp::v4(), 0});
  const auto other = dgram::parse_address("127.0.0.5");
  anywhere.send_to(asio::buffer("a", 1), over.to_receiver(), send_options{.source = other});
  CHECK(dgram::canonical(over.take_one().sender()) ==
        test::endpoint(other, anywhere.local_endpoint().port()));
}

TEST_CASE("PKI-01 the source of an IPv4 datagram of a dual-stack socket, in either form")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  test::udp_socket receiver(io, test::loopback_v4());
  test::udp_socket sender(io, {dgram::udp::v6(), 0}, {.dual_stack = true});
  const auto source = dgram::parse_address("127.0.0.5");
  dgram::send_batch out(2);
  dgram::receive_batch in(2);
  for (const char* form : {"127.0.0.5", "::ffff:127.0.0.5"}) {
    const send_options options{.source = dgram::parse_address(form)};
    sender.send_to(asio::buffer("a", 1), receiver.local_endpoint(), options);
    out.push("b", receiver.local_endpoint(), options);
    REQUIRE(sender.send_batch(out).sent == 1);
    for (int i = 0; i < 2; ++i) {
      dgram::datagram_info info;
      std::array<char, 4> storage;
      receiver.receive_from(asio::buffer(storage), info);
      CHECK(info.sender() == test::endpoint(source, sender.local_endpoint().port()));
    }
  }
}

TEST_CASE("PKI-03 an IPv6 address that is not one of this host's is no source")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  const bool dual = GENERATE(false, true);
  test::udp_socket socket(io, {dgram::udp::v6(), 0}, {.dual_stack = dual});
  dgram::error_code ec;
  socket.send_to(asio::buffer("a", 1), test::loopback_v6(9),
                 {.source = dgram::parse_address("2001:db8::9")}, ec);
  CHECK(ec);
  socket.send_to(asio::buffer("a", 1), test::loopback_v6(9),
                 {.source = dgram::parse_address("127.0.0.1")}, ec);
  CHECK(ec == asio::error::address_family_not_supported);
  if (!dual) return;
  socket.send_to(asio::buffer("a", 1), test::loopback_v4(9),
                 {.source = dgram::parse_address("9.9.9.9")}, ec);
  CHECK(ec);
  socket.send_to(asio::buffer("a", 1), test::loopback_v4(9),
                 {.source = dgram::parse_address("::1")}, ec);
  CHECK(ec == asio::error::address_family_not_supported);
}

TEST_CASE("PKI-04 what the kernel was not told to say is absent")
{
  pair over(any_link());
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver(), everything);
  const auto check_absent = [](const auto& datagram) {
    CHECK_FALSE(datagram.local_address());
    CHECK(datagram.interface_index() == 0);
    CHECK_FALSE(datagram.ecn());
    CHECK_FALSE(datagram.dscp());
    CHECK_FALSE(datagram.hop_limit());
    CHECK_FALSE(datagram.receive_time());
    CHECK_FALSE(datagram.hardware_receive_time());
    CHECK_FALSE(datagram.dropped());
  };
  check_absent(over.take_one());
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver(), everything);
  check_absent(over.take()[0]);
}

TEST_CASE("PKI-04 a datagram that the kernel counted no drops for says nothing of them")
{
  pair over(any_link());
  dgram::error_code not_here;
  over.receiver.set_option(option::receive_drop_count(true), not_here);
  if (not_here) SKIP("this system counts no drops");
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver());
  CHECK(over.take_one().dropped() == 0);
  over.receiver.set_option(option::receive_drop_count(false));
  over.receiver.set_option(option::receive_buffer_size(4096));
  const std::string large(500, 'x');
  for (int i = 0; i < 50; ++i)
    over.sender.send_to(asio::buffer(large), over.to_receiver());
  // Queued before the option, and behind drops: how many is not known.
  over.receiver.set_option(option::receive_drop_count(true));
  const auto single = over.take_one();
  CHECK_FALSE(single.dropped());
  CHECK_FALSE(over.take()[0].dropped());
  while (over.receiver.try_receive_batch(over.batch, not_here) > 0) {}
  over.sender.send_to(asio::buffer("b", 1), over.to_receiver());
  const auto dropped = over.take_one().dropped();
  REQUIRE(dropped);
  CHECK(*dropped > 0);
  CHECK(*dropped == over.receiver.statistics().dropped);
}

#if defined(SO_RCVMARK)

TEST_CASE("PKI-04 control messages that find no room are told of, and cost no field that had some")
{
  if (!dgram::platform::has_error_queue)
    SKIP("the portable backend asks for less than there is room for");
  pair over(links[0]);
  over.ask_for_all();
  // More than the library asks for, and than it has room for: the options of the IP header, twice, and more.
  const int on = 1;
  const auto ask = [&](int level, int name) {
    REQUIRE(::setsockopt(over.receiver.native_handle(), level, name, &on, sizeof on) == 0);
  };
  for (const int name : {IP_RECVOPTS, IP_RETOPTS, IP_RECVORIGDSTADDR})
    ask(IPPROTO_IP, name);
  ask(SOL_SOCKET, SO_TIMESTAMP);
  if (::setsockopt(over.receiver.native_handle(), SOL_SOCKET, SO_RCVMARK, &on, sizeof on) != 0)
    SKIP("who is no administrator cannot ask for more than there is room for");
  std::array<unsigned char, 40> route{IPOPT_RR, 39, 4};
  REQUIRE(::setsockopt(over.sender.native_handle(), IPPROTO_IP, IP_OPTIONS, route.data(),
                       route.size()) == 0);
  for (int i = 0; i < 3; ++i)
    over.sender.send_to(asio::buffer("a", 1), over.to_receiver(), everything);
  const auto single = over.take_one();
  CHECK(single.control_truncated());
  CHECK(single.local_address() == test::loopback_v4().address());
  CHECK_FALSE(single.dropped());
  CHECK(over.take().size() == 2);
  for (const auto& datagram : over.batch) {
    CHECK(datagram.control_truncated());
    CHECK(datagram.local_address() == test::loopback_v4().address());
    CHECK_FALSE(datagram.dropped());
  }
  over.batch.reserve_control(256);
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver(), everything);
  CHECK_FALSE(over.take()[0].control_truncated());
}

#endif

TEST_CASE("what a datagram asks for of fragments and interfaces is what it gets")
{
  const bool v6 = GENERATE(false, true);
  if (v6) DGRAM_SKIP_WITHOUT_IPV6();
  pair over(links[v6 ? 1 : 0]);
  over.receiver.set_option(option::packet_info(true));
  const bool in_batch = GENERATE(false, true);
  const auto send = [&](const std::string& payload, const send_options& options) {
    dgram::error_code ec;
    if (!in_batch) {
      over.sender.send_to(asio::buffer(payload), over.to_receiver(), options, ec);
      return ec;
    }
    dgram::send_batch out(1);
    out.push(payload, over.to_receiver(), options);
    return over.sender.send_batch(out).error;
  };
  CHECK_FALSE(send("a", {.interface_index = ::if_nametoindex("lo")}));
  CHECK(over.take()[0].interface_index() == ::if_nametoindex("lo"));
  CHECK(send("a", {.interface_index = 0x7fffffff}));
  if (!v6 || !dgram::platform::has_error_queue) return;
  // Larger than the loopback interface takes at once.
  over.receiver.set_option(option::receive_buffer_size(1 << 18));
  over.sender.set_option(option::send_buffer_size(1 << 18));
  const std::string large(65527 - 8, 'x');
  CHECK_FALSE(send(large, {}));
  CHECK(send(large, {.do_not_fragment = true}) == asio::error::message_size);
}

TEST_CASE("PKI-03 an address that is not one of this host's is no source")
{
  asio::io_context io;
  test::udp_socket socket(io, {dgram::udp::v4(), 0});
  dgram::error_code ec;
  const send_options from_elsewhere{.source = dgram::parse_address("9.9.9.9")};
  socket.send_to(asio::buffer("a", 1), test::loopback_v4(9), from_elsewhere, ec);
  CHECK(ec);
  socket.send_to(asio::buffer("a", 1), test::loopback_v4(9),
                 {.source = dgram::parse_address("::1")}, ec);
  CHECK(ec == asio::error::address_family_not_supported);
}

TEST_CASE("PKI-04 PKI-06 all that is said of a datagram, alone and in a batch")
{
  pair over(any_link());
  over.ask_for_all();
  const dgram::receive_time_point before = std::chrono::system_clock::now();
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver(), everything);
  check_all(over.take()[0], over, before);
  dgram::send_batch out(4);
  out.push("b", over.to_receiver(), everything);
  REQUIRE(over.sender.send_batch(out).sent == 1);
  check_all(over.take_one(), over, before);

  dgram::datagram_info info;
  std::array<char, 16> storage;
  std::optional<std::size_t> size;
  over.receiver.async_receive_from(asio::buffer(storage), info,
                                   [&](dgram::error_code, std::size_t n) { size = n; });
  bool sent = false;
  over.sender.async_send_to(asio::buffer("abc", 3), over.to_receiver(), everything,
                            [&](dgram::error_code ec, std::size_t) { sent = !ec; });
  test::run_until(over.io, [&] { return size.has_value(); });
  CHECK(sent);
  CHECK(size == 3U);
  CHECK(info.wire_size() == 3U);
  check_all(info, over, before);
  const dgram::datagram_info& same = info;
  info = same;
  check_all(info, over, before);
  // A copy has what the original has.
  const dgram::datagram_info copy = info;
  info = dgram::datagram_info();
  check_all(copy, over, before);
}

TEST_CASE("PKI-05 GSO-13 all of a train share what is said of it")
{
  pair over(any_link(), true);
  over.ask_for_all();
  const dgram::receive_time_point before = std::chrono::system_clock::now();
  const std::string payload(250, 'x');
  auto options = everything;
  options.segment_size = 100;
  dgram::send_batch out(4);
  out.push(payload, over.to_receiver(), options);
  REQUIRE(over.sender.send_batch(out).sent == 3);
  std::vector<std::size_t> sizes;
  while (sizes.size() < 3) {
    for (const dgram::datagram& datagram : over.take()) {
      sizes.push_back(datagram.payload().size());
      check_all(datagram, over, before);
      if (over.batch.used_slots() == 1) CHECK(datagram.segment_size() == 100U);
    }
  }
  CHECK(sizes == std::vector<std::size_t>{100, 100, 50});
}

TEST_CASE("GSO-08 a segment size of one send, which the whole payload is reported for")
{
  if (dgram::platform::backend::max_segments == 1) SKIP("nothing cuts datagrams apart here");
  pair over(any_link());
  const std::string payload(250, 'x');
  CHECK(over.sender.send_to(asio::buffer(payload), over.to_receiver(),
                            send_options{.segment_size = 200}) == 250);
  CHECK(over.take_one().wire_size() == 200U);
  CHECK(over.take_one().wire_size() == 50U);
  CHECK(over.sender.send_to(asio::buffer(payload), over.to_receiver(),
                            send_options{.segment_size = 250}) == 250);
  CHECK(over.take_one().wire_size() == 250U);
  CHECK(over.sender.statistics().segmented == 2);
}

TEST_CASE("segments carry what they ask for")
{
  pair over(any_link());
  over.receiver.set_option(option::receive_hop_limit(true));
  const std::string payload(250, 'x');
  std::optional<dgram::send_result> result;
  over.sender.async_send_segments(payload, 100, over.to_receiver(), send_options{.hop_limit = 9},
                                  [&](dgram::error_code, dgram::send_result r) { result = r; });
  test::run_until(over.io, [&] { return result.has_value(); });
  CHECK(result->sent == 3);
  for (int i = 0; i < 3; ++i)
    CHECK(over.take_one().hop_limit() == 9);
}

TEST_CASE("an answer leaves from the address that was asked")
{
  pair over(any_link());
  over.receiver.set_option(option::packet_info(true));
  // Two addresses of this host, where the family has them.
  const auto asked = over.v4 ? dgram::parse_address("127.0.0.77") : dgram::parse_address("::1");
  const test::endpoint server(asked, over.receiver.local_endpoint().port());
  test::udp_socket client(over.io, over.v4 ? test::loopback_v4() : test::loopback_v6());
  client.connect(server);  // receives from no other peer
  const auto hears = [&](const char* what) {
    UNSCOPED_INFO(what);
    std::array<char, 16> storage;
    dgram::error_code ec;
    client.try_receive(asio::buffer(storage), ec);
    CHECK_FALSE(ec);
  };
  const auto ask = [&] { client.send(asio::buffer("?", 1)); };
  ask();
  over.receiver.send_to(asio::buffer("!", 1), over.take()[0].reply_path());
  hears("a single send");
  ask();
  over.receiver.try_send_to(asio::buffer("!", 1), over.take_one().reply_path());
  hears("a single send for a single receive");
  ask();
  dgram::send_batch out(8);
  out.push("!", over.take()[0].reply_path());
  over.receiver.send_batch(out);
  hears("a batch");
  ask();
  out.push_replies(over.take());
  over.receiver.send_batch(out);
  hears("replies in place");
  test::run(over.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{over.receiver};
    dgram::writer writer{reader};
    ask();
    const auto datagram = co_await reader.next();
    co_await writer.send(datagram->payload(), datagram->reply_path());
    co_await writer.flush();
    hears("a writer");
    ask();
    const auto second = co_await reader.next();
    co_await over.receiver.async_send_to(asio::buffer("!", 1), second->reply_path());
    hears("an operation");
  }());
}

TEST_CASE("a reply path on a wildcard socket is an error until the address is known")
{
  pair over(any_link());
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver());
  dgram::error_code ec;
  static_cast<void>(over.take()[0].reply_path(ec));
  CHECK(ec == dgram::error::no_packet_info);
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver());
  CHECK_THROWS_AS(over.take_one().reply_path(), dgram::system_error);
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver());
  dgram::send_batch out(8);
  CHECK_THROWS_AS(out.push_replies(over.take()), dgram::system_error);
  // A reader knows.
  dgram::reader reader{over.receiver};
  option::packet_info mirror;
  over.receiver.get_option(mirror);
  CHECK(mirror.value());
  // A socket with an address of its own answers from that.
  over.receiver.send_to(asio::buffer("a", 1), over.sender.local_endpoint());
  dgram::receive_batch in(1);
  over.sender.receive_batch(in);
  CHECK(in[0].reply_path().is_plain());
  dgram::reader of_sender{over.sender};
  over.sender.get_option(mirror);
  CHECK_FALSE(mirror.value());
}

TEST_CASE("an adopted descriptor keeps what it was told to say")
{
  namespace names = dgram::platform::names;
  if (names::ipv4_packet_info == names::unsupported) SKIP("this system has no such option");
  asio::io_context io;
  test::raw_descriptor raw(AF_INET, SOCK_DGRAM);
  raw.bind({dgram::udp::v4(), 0});
  REQUIRE(test::set_raw_option(raw.get(), IPPROTO_IP, names::ipv4_packet_info, 1));
  test::udp_socket socket(io, dgram::udp::v4(), raw.release());
  test::udp_socket sender(io, test::loopback_v4());
  sender.send_to(asio::buffer("a", 1), test::loopback_of(socket));
  dgram::receive_batch in(1);
  socket.receive_batch(in);
  CHECK(in[0].local_address() == test::loopback_v4().address());
  CHECK(in[0].reply_path().source == test::loopback_v4().address());
}

TEST_CASE("what cannot be asked for is an error at the call")
{
  asio::io_context io;
  test::udp_socket socket(io, test::loopback_v4());
  const auto peer = test::loopback_v4(9);
  dgram::send_batch out(4);
  const auto refused = [&](const send_options& options) {
    dgram::error_code ec;
    CHECK(socket.send_to(asio::buffer("a", 1), peer, options, ec) == 0);
    CHECK_THROWS_AS(out.push("a", peer, options), dgram::system_error);
    CHECK(out.empty());
    return ec;
  };
  CHECK(refused({.dscp = 64}) == dgram::error::out_of_range);
  CHECK(refused({.hop_limit = 0}) == dgram::error::out_of_range);
  CHECK(refused({.hop_limit = 256}) == dgram::error::out_of_range);
  CHECK(refused({.segment_size = 0}) == asio::error::invalid_argument);
  CHECK(refused({.do_not_fragment = true}) == asio::error::operation_not_supported);
  const std::vector<std::byte> too_many(dgram::control_writer::capacity + 1);
  CHECK(refused({.control = too_many}) == asio::error::message_size);
  // Without a peer the family is the socket's.
  out.push("a", send_options{.do_not_fragment = true});
  socket.connect(peer);
  CHECK(socket.send_batch(out).error == asio::error::operation_not_supported);
  CHECK(out.size() == 1);
}

TEST_CASE("a datagram that cannot be sent as it asks costs no other datagram of its batch")
{
  pair over(links[0]);
  over.sender.connect(over.to_receiver());
  dgram::send_batch out(8);
  const auto push = [&] {
    out.push("before");
    out.push("refused", send_options{.do_not_fragment = true});
    out.push("behind");
  };
  push();
  SECTION("reported")
  {
    std::vector<dgram::error_code> refused;
    out.on_refused([&](dgram::error_code ec, const auto&, std::size_t) { refused.push_back(ec); });
    const auto result = over.sender.send_batch(out);
    CHECK(result.sent == 2);
    CHECK(result.refused == 1);
    CHECK_FALSE(result.error);
    REQUIRE(refused.size() == 1);
    CHECK(refused[0] == asio::error::operation_not_supported);
  }
  SECTION("dropped by the caller")
  {
    const auto result = over.sender.send_batch(out);
    CHECK(result.sent == 1);
    CHECK(result.error == asio::error::operation_not_supported);
    CHECK(out.size() == 2);
    out.drop_front();
    CHECK(over.sender.send_batch(out).sent == 1);
  }
  CHECK(out.empty());
  CHECK(over.take()[0].payload().text() == "before");
}

TEST_CASE("an endpoint may be written in braces where a batch takes it")
{
  pair over(links[0]);
  dgram::send_batch out(1);
  out.push("a", {over.to_receiver().address(), over.to_receiver().port()});
  CHECK(over.sender.send_batch(out).sent == 1);
}

TEST_CASE("a datagram to the connected peer may ask for something without waiting")
{
  pair over(links[0]);
  over.receiver.set_option(option::receive_hop_limit(true));
  over.sender.connect(over.to_receiver());
  CHECK(over.sender.try_send(asio::buffer("a", 1), send_options{.hop_limit = 9}) == 1U);
  CHECK(over.take()[0].hop_limit() == 9);
  dgram::error_code ec;
  over.sender.try_send(asio::buffer("a", 1), send_options{.do_not_fragment = true}, ec);
  CHECK(ec == asio::error::operation_not_supported);
}

TEST_CASE("control messages of any kind are sent and received")
{
  pair over(links[0]);
  REQUIRE(test::set_raw_option(over.receiver.native_handle(), IPPROTO_IP, IP_RECVTTL, 1));
  dgram::control_writer extra;
  REQUIRE(extra.add(IPPROTO_IP, IP_TTL, int{33}));
  over.batch.reserve_control(64);
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver(),
                      send_options{.control = extra.bytes()});
  const auto messages = over.take()[0].control_messages();
  REQUIRE_FALSE(messages.empty());
#if defined(__linux__)
  CHECK(messages.find<int>(IPPROTO_IP, IP_TTL) == 33);
  CHECK_FALSE(messages.find<int>(IPPROTO_IP, IP_TOS));
  CHECK_FALSE(messages.find<std::array<int, 4>>(IPPROTO_IP, IP_TTL));
#endif
}

TEST_CASE("statistics count what was moved")
{
  pair over(links[0]);
  dgram::receive_batch small(4, 8);
  dgram::send_batch out(8);
  for (const char* text : {"1", "22", "333", "twelve bytes"})
    out.push(text, over.to_receiver());
  REQUIRE(over.sender.send_batch(out).sent == 4);
  over.receiver.receive_batch(small);
  dgram::error_code ec;
  over.receiver.try_receive_batch(small, ec);
  const auto received = over.receiver.statistics();
  CHECK(received.received == 4);
  CHECK(received.received_bytes == 1 + 2 + 3 + 8);
  CHECK(received.receive_calls == 1);
  CHECK(received.mean_received() == 4);
  CHECK(received.truncated == 1);
  CHECK(received.would_block == 1);
  const auto sent = over.sender.statistics();
  CHECK(sent.sent == 4);
  CHECK(sent.sent_bytes == 1 + 2 + 3 + 12);
  CHECK(sent.rejected == 0);
  const std::string too_large(70000, 'x');
  out.push(too_large, over.to_receiver());
  CHECK(over.sender.send_batch(out).error == asio::error::message_size);
  CHECK(over.sender.statistics().rejected == 1);
}

TEST_CASE("what finds the receive queue full is counted")
{
  if (!dgram::platform::has_error_queue) SKIP("this system does not count drops");
  pair over(links[0]);
  over.receiver.set_option(option::receive_drop_count(true));
  over.receiver.set_receive_buffer_size(4096);
  for (int i = 0; i < 200; ++i)
    over.sender.send_to(asio::buffer(std::string(500, 'x')), over.to_receiver());
  std::uint64_t received = 0;
  dgram::error_code ec;
  while (over.receiver.try_receive_batch(over.batch, ec) > 0)
    received += over.batch.size();
  CHECK(received < 200);
  CHECK(over.receiver.statistics().dropped == 200 - received);
  over.sender.send_to(asio::buffer("a", 1), over.to_receiver());
  CHECK(over.take()[0].dropped() == 200 - received);
}

}  // namespace metadata_test
