// SPDX-License-Identifier: BSL-1.0
// multicast.hpp: groups as text, joining and leaving them, and what members get, all on loopback.

#include "support/thrown_text.hpp"
#include "unit/host.hpp"

#include <dgram/multicast.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace multicast_test {

namespace {

namespace option = dgram::option;
using dgram::multicast_group;
using dgram::network_interface;
using dgram::udp;

const multicast_group group_v4("239.255.77.2");
const multicast_group group_v6("ff02::4d:2");

network_interface loopback()
{
  return network_interface(test::loopback_name());
}

/// A sender whose datagrams to groups leave by the loopback interface and no further.
udp::socket make_sender(asio::io_context& io)
{
  udp::socket sender(io, test::loopback_v4());
  sender.set_option(option::multicast_interface(loopback()));
  sender.set_option(option::multicast_hop_limit(0));
  return sender;
}

dgram::error_code error_of(const std::function<void(dgram::error_code&)>& call)
{
  dgram::error_code ec;
  call(ec);
  return ec;
}

}  // namespace

TEST_CASE("multicast: a group is an address of either family, as text or as Asio's")
{
  CHECK(multicast_group("239.1.2.3").address() == asio::ip::make_address("239.1.2.3"));
  CHECK(multicast_group(std::string("ff02::1")).address() == asio::ip::make_address("ff02::1"));
  CHECK(multicast_group(asio::ip::make_address("ff05::2")).address() ==
        asio::ip::make_address("ff05::2"));
  CHECK(std::is_convertible_v<const char*, multicast_group>);
}

TEST_CASE("MCT-03: a group's text that is no address is refused where it is written")
{
  for (const char* text : {"", "256.256.256.256", "zzz", "239.1.2", "239.1.2.3:53", "[ff02::1]"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(multicast_group(text), dgram::system_error);
  }
  CHECK_THROWS_WITH(multicast_group("239.1.2.3.4"),
                    Catch::Matchers::ContainsSubstring("239.1.2.3.4"));
  try {
    multicast_group("ff02::1%no-such-if");
    FAIL("nothing was thrown");
  } catch (const dgram::system_error& failure) {
    CHECK(failure.code() == dgram::error::unknown_interface);
  }
}

TEST_CASE("MCT-04: a group that is not multicast is refused, in join and in leave")
{
  asio::io_context io;
  udp::socket four(io, udp::v4());
  for (const char* text : {"0.0.0.0", "10.0.0.1", "223.255.255.255", "240.0.0.1", "127.0.0.1"}) {
    CAPTURE(text);
    const multicast_group group(text);
    for (const auto& ec : {error_of([&](auto& e) { four.join(group, e); }),
                           error_of([&](auto& e) { four.leave(group, e); })}) {
      CHECK(ec == dgram::error::not_multicast);
      CHECK(ec == std::errc::invalid_argument);
    }
    CHECK_THROWS_AS(four.join(group), dgram::system_error);
    CHECK_THROWS_AS(four.leave(group), dgram::system_error);
  }

  DGRAM_SKIP_WITHOUT_IPV6();
  udp::socket six(io, udp::v6());
  for (const char* text : {"fe00::", "::", "::1", "::ffff:239.1.2.3"}) {
    CAPTURE(text);
    CHECK(error_of([&](auto& e) { six.join(multicast_group(text), e); }) ==
          dgram::error::not_multicast);
  }
}

TEST_CASE("MCT-07: joining twice, by an unknown interface, and a group of the other family")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  asio::io_context io;
  udp::socket four(io, test::loopback_v4());
  const auto join = [&](auto& socket, const multicast_group& group,
                        const network_interface& interface) {
    return error_of([&](auto& e) { socket.join(group, interface, e); });
  };
  REQUIRE_FALSE(join(four, group_v4, loopback()));
  CHECK(join(four, group_v4, loopback()) == asio::error::address_in_use);
  // Said otherwise it is the same interface.
  CHECK(join(four, group_v4, network_interface("127.0.0.1")) == asio::error::address_in_use);

  for (const char* unknown : {"9.9.9.9", "no-such-if", ""}) {
    CAPTURE(unknown);
    const auto ec = join(four, multicast_group("239.255.77.3"), network_interface(unknown));
    CHECK(ec == dgram::error::unknown_interface);
    CHECK(ec == std::errc::no_such_device);
  }
  CHECK(join(four, group_v4, network_interface(test::unknown_index)) ==
        dgram::error::unknown_interface);

  CHECK(join(four, group_v6, loopback()) == asio::error::address_family_not_supported);
  DGRAM_SKIP_WITHOUT_IPV6();
  udp::socket six(io, test::loopback_v6());
  CHECK(join(six, group_v4, loopback()) == asio::error::address_family_not_supported);
  REQUIRE_FALSE(join(six, group_v6, loopback()));
  CHECK(join(six, group_v6, loopback()) == asio::error::address_in_use);
}

TEST_CASE("multicast: leaving what was not joined is an error, also after leaving it once")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  asio::io_context io;
  udp::socket socket(io, test::loopback_v4());
  const auto leave = [&] {
    return error_of([&](auto& e) { socket.leave(group_v4, loopback(), e); });
  };
  CHECK(leave() == test::os_error(EADDRNOTAVAIL));
  socket.join(group_v4, loopback());
  CHECK_FALSE(leave());
  CHECK(leave() == test::os_error(EADDRNOTAVAIL));
  CHECK(error_of([&](auto& e) { socket.leave(group_v4, network_interface("no-such-if"), e); }) ==
        dgram::error::unknown_interface);
  CHECK(error_of([&](auto& e) { socket.leave(group_v6, loopback(), e); }) ==
        asio::error::address_family_not_supported);
}

TEST_CASE("MCT-01: a closed socket joins, leaves, blocks and sets nothing")
{
  asio::io_context io;
  udp::socket socket(io);
  CHECK(error_of([&](auto& e) { socket.join(group_v4, e); }) == asio::error::bad_descriptor);
  CHECK(error_of([&](auto& e) { socket.leave(group_v4, e); }) == asio::error::bad_descriptor);
  const multicast_group from_one("232.1.2.3", "127.0.0.1");
  const network_interface any;
  for (const auto& ec :
       {error_of([&](auto& e) { socket.join(from_one, e); }),
        error_of([&](auto& e) { socket.leave(from_one, e); }),
        error_of([&](auto& e) { socket.block(from_one, any, e); }),
        error_of([&](auto& e) { socket.unblock(from_one, any, e); }),
        error_of([&](auto& e) { socket.join(group_v4, network_interface::all(), e); }),
        error_of([&](auto& e) { socket.set_option(option::multicast_interface(), e); }),
        error_of([&](auto& e) { socket.set_option(option::multicast_loopback(true), e); })})
    CHECK(ec == asio::error::bad_descriptor);
}

TEST_CASE("multicast: what is thrown names the group, its source and the interface")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  const auto text = [](const auto& call) { return test::thrown_text(call); };
  const network_interface nowhere("no-such-if");
  const multicast_group from_one("232.1.2.3", "10.0.0.7");
  using Catch::Matchers::StartsWith;
  CHECK_THAT(text([&] { socket.join(group_v4, nowhere); }),
             StartsWith("join \"239.255.77.2 on no-such-if\": "));
  CHECK_THAT(text([&] { socket.leave(from_one, nowhere); }),
             StartsWith("leave \"232.1.2.3 from 10.0.0.7 on no-such-if\": "));
  CHECK_THAT(text([&] { socket.block(from_one, nowhere); }), StartsWith("block \"232.1.2.3"));
  CHECK_THAT(text([&] { socket.unblock(from_one, nowhere); }), StartsWith("unblock \"232.1.2.3"));
  CHECK_THAT(text([&] { socket.join(multicast_group("10.0.0.1")); }),
             StartsWith("join \"10.0.0.1\": "));
  CHECK_THAT(text([&] { dgram::membership m(socket, group_v4, nowhere); }),
             StartsWith("join \"239.255.77.2 on no-such-if\": "));
}

TEST_CASE("MCT-08: a source that is none, or of the other family, and a group that is none")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  struct row {
    multicast_group group;
    dgram::error_code expected;
  };
  const row rows[] = {
      {{"0.0.0.0", "10.0.0.7"}, dgram::error::not_multicast},
      // Source and group in the wrong order.
      {{"10.0.0.7", "232.1.2.3"}, dgram::error::not_multicast},
      {{"232.1.2.3", "232.1.2.4"}, dgram::error::bad_source},
      {{"232.1.2.3", "0.0.0.0"}, dgram::error::bad_source},
      {{"232.1.2.3", "fe80::7"}, asio::error::address_family_not_supported},
      {{"ff3e::1234", "fe80::7"}, asio::error::address_family_not_supported},
  };
  for (const auto& [group, expected] : rows) {
    CAPTURE(to_string(group));
    const network_interface any;
    CHECK(error_of([&](auto& e) { socket.join(group, e); }) == expected);
    CHECK(error_of([&](auto& e) { socket.leave(group, e); }) == expected);
    CHECK(error_of([&](auto& e) { socket.block(group, any, e); }) == expected);
    CHECK(error_of([&](auto& e) { socket.unblock(group, any, e); }) == expected);
  }
  CHECK(error_of([&](auto& e) { socket.block(group_v4, loopback(), e); }) ==
        dgram::error::bad_source);
  CHECK_THROWS_AS(multicast_group("232.1.2.3", "not an address"), dgram::system_error);
}

TEST_CASE("MCT-09: a source is joined once and left once")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  const multicast_group group("232.1.2.3", "127.0.0.1");
  const auto join = [&] { return error_of([&](auto& e) { socket.join(group, loopback(), e); }); };
  const auto leave = [&] { return error_of([&](auto& e) { socket.leave(group, loopback(), e); }); };
  CHECK_FALSE(join());
  CHECK(join() == test::os_error(EADDRNOTAVAIL));
  // Another source of the same group is another membership.
  const multicast_group other("232.1.2.3", "127.0.0.2");
  CHECK_FALSE(error_of([&](auto& e) { socket.join(other, loopback(), e); }));
  CHECK_FALSE(leave());
  CHECK(leave());
  CHECK_FALSE(error_of([&](auto& e) { socket.leave(other, loopback(), e); }));
#if defined(__linux__)
  CHECK(leave() == asio::error::invalid_argument);
#endif
}

TEST_CASE("multicast: a source is blocked and unblocked once")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  const multicast_group group("239.255.77.4", "127.0.0.1");
  const auto block = [&] { return error_of([&](auto& e) { socket.block(group, loopback(), e); }); };
  const auto unblock = [&] {
    return error_of([&](auto& e) { socket.unblock(group, loopback(), e); });
  };
  CHECK(block());  // not joined
  socket.join(multicast_group(group.address()), loopback());
  CHECK(unblock() == test::os_error(EADDRNOTAVAIL));
  CHECK_FALSE(block());
  CHECK(block() == test::os_error(EADDRNOTAVAIL));
  CHECK_FALSE(unblock());
  socket.block(group, loopback());
  socket.unblock(group, loopback());
}

TEST_CASE("multicast: a membership leaves when it goes, wherever the socket is then")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  // Joining tells who is a member.
  const auto is_member = [](udp::socket& of) {
    const auto ec = error_of([&](auto& e) { of.join(group_v4, loopback(), e); });
    if (!ec) of.leave(group_v4, loopback());
    return ec == asio::error::address_in_use;
  };
  {
    const dgram::membership member(socket, group_v4, loopback());
    CHECK(member.is_joined());
    CHECK(member.group().address() == group_v4.address());
    CHECK(to_string(member.interface()) == test::loopback_name());
    CHECK(is_member(socket));
  }
  CHECK_FALSE(is_member(socket));

  SECTION("the socket is moved")
  {
    std::optional<dgram::membership<udp::socket>> member(std::in_place, socket, group_v4,
                                                         loopback());
    udp::socket elsewhere(std::move(socket));
    CHECK(member->is_joined());
    CHECK(is_member(elsewhere));
    member.reset();
    CHECK_FALSE(is_member(elsewhere));
  }
  SECTION("the membership is moved")
  {
    dgram::membership first(socket, group_v4, loopback());
    dgram::membership second(std::move(first));
    CHECK_FALSE(first.is_joined());
    CHECK(second.is_joined());
    auto& same = second;
    second = std::move(same);
    CHECK(second.is_joined());
    first.leave();
    CHECK(is_member(socket));
    dgram::membership other(socket, multicast_group("239.255.77.5"), loopback());
    second = std::move(other);
    CHECK_FALSE(is_member(socket));
    CHECK(second.is_joined());
    CHECK(second.group().address().to_string() == "239.255.77.5");
  }
  SECTION("it is left by hand")
  {
    dgram::membership member(socket, group_v4, loopback());
    member.leave();
    CHECK_FALSE(member);
    CHECK_FALSE(is_member(socket));
    CHECK_FALSE(error_of([&](auto& e) { member.leave(e); }));
  }
  SECTION("it was left behind its back")
  {
    dgram::membership member(socket, group_v4, loopback());
    socket.leave(group_v4, loopback());
    CHECK(error_of([&](auto& e) { member.leave(e); }) == test::os_error(EADDRNOTAVAIL));
    CHECK_FALSE(member);
  }
  SECTION("it is released")
  {
    dgram::membership(socket, group_v4, loopback()).release();
    CHECK(is_member(socket));
  }
  SECTION("the socket is closed, and opened again")
  {
    std::optional<dgram::membership<udp::socket>> member(std::in_place, socket, group_v4,
                                                         loopback());
    socket.close();
    CHECK_FALSE(member->is_joined());
    socket.open(udp::v4());
    socket.join(group_v4, loopback());
    CHECK_FALSE(member->is_joined());
    member.reset();
    // What the next descriptor has joined is none of the membership's.
    CHECK(is_member(socket));
  }
  SECTION("pending operations are cancelled")
  {
    std::optional<dgram::membership<udp::socket>> member(std::in_place, socket, group_v4,
                                                         loopback());
    socket.cancel();
    CHECK(member->is_joined());
    member.reset();
    CHECK_FALSE(is_member(socket));
  }
  SECTION("the socket goes first")
  {
    std::optional<udp::socket> last(std::move(socket));
    dgram::membership member(*last, group_v4, loopback());
    last.reset();
    CHECK_FALSE(member.is_joined());
    member.leave();
  }
  SECTION("it is refused")
  {
    dgram::error_code ec;
    dgram::membership member(socket, group_v4, network_interface("no-such-if"), ec);
    CHECK(ec == dgram::error::unknown_interface);
    CHECK_FALSE(member);
  }
}

TEST_CASE("MCT-15: multicast hop limits are 0 to 255")
{
  asio::io_context io;
  std::vector<udp::socket> sockets;
  sockets.emplace_back(io, udp::v4());
  if (test::has_ipv6()) {
    sockets.emplace_back(io, udp::v6());
    sockets.emplace_back(io, udp::dual());
  }
  for (auto& socket : sockets) {
    for (int hops = 0; hops <= 255; ++hops) {
      socket.set_option(option::multicast_hop_limit(hops));
      option::multicast_hop_limit read;
      socket.get_option(read);
      REQUIRE(read.value() == hops);
    }
    for (const int hops : {256, 1000, -1}) {
      CAPTURE(hops);
      const auto ec =
          error_of([&](auto& e) { socket.set_option(option::multicast_hop_limit(hops), e); });
      CHECK(ec == dgram::error::out_of_range);
      CHECK(ec == std::errc::invalid_argument);
      option::multicast_hop_limit read;
      socket.get_option(read);
      CHECK(read.value() == 255);
    }
  }
}

TEST_CASE("MCT-17: hops, loopback and outgoing interface round trip; join and then leave")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  asio::io_context io;
  const auto check = [&](const udp& protocol, const multicast_group& group) {
    udp::socket socket(io, protocol);
    for (const int hops : {1, 0}) {
      socket.set_option(option::multicast_hop_limit(hops));
      option::multicast_hop_limit read(77);
      socket.get_option(read);
      CHECK(read.value() == hops);
    }
    for (const bool on : {true, false}) {
      socket.set_option(option::multicast_loopback(on));
      option::multicast_loopback read(!on);
      socket.get_option(read);
      CHECK(read.value() == on);
    }
    socket.set_option(option::multicast_interface(loopback()));
    if (protocol == udp::v6())
      CHECK(test::raw_option(socket.native_handle(), IPPROTO_IPV6, IPV6_MULTICAST_IF) ==
            static_cast<int>(::if_nametoindex(test::loopback_name().c_str())));
    CHECK_FALSE(error_of([&](auto& e) { socket.join(group, loopback(), e); }));
    CHECK_FALSE(error_of([&](auto& e) { socket.leave(group, loopback(), e); }));
  };
  check(udp::v4(), group_v4);
  DGRAM_SKIP_WITHOUT_IPV6();
  check(udp::v6(), group_v6);
}

TEST_CASE("multicast: every member on an interface gets what is sent there")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  asio::io_context io;
  const test::reserved_port port;
  udp::socket first(io, {asio::ip::address_v4::any(), port.number()}, {.reuse_address = true});
  udp::socket second(io, first.local_endpoint(), {.reuse_address = true});
  first.join(group_v4, loopback());
  second.join(group_v4, loopback());
  auto sender = make_sender(io);
  sender.send_to(test::bytes("to all"), {group_v4.address(), first.local_endpoint().port()});
  for (auto* member : {&first, &second}) {
    const auto datagram = test::take(io, *member);
    CHECK(datagram.text == "to all");
    CHECK(datagram.sender == sender.local_endpoint());
  }
}

TEST_CASE("multicast: who has left gets no more")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  asio::io_context io;
  udp::socket member(io, {asio::ip::address_v4::any(), 0});
  const auto port = member.local_endpoint().port();
  // A group of this test's own: a wildcard socket gets what any socket of the host has joined for it (ip(7)).
  const multicast_group own(asio::ip::address_v4((239U << 24) + (192U << 16) + port));
  auto sender = make_sender(io);
  member.join(own, loopback());
  member.leave(own, loopback());
  sender.send_to(test::bytes("to nobody"), {own.address(), port});
  // Loopback keeps the order, so this would come second.
  sender.send_to(test::bytes("to one"), test::loopback_v4(port));
  CHECK(test::take(io, member).text == "to one");
}

TEST_CASE("multicast: a dual-stack socket joins groups of both families and shows plain senders")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp::socket member(io, {asio::ip::address_v6::any(), 0}, {.dual_stack = true});
  member.join(group_v4, loopback());
  member.join(group_v6, loopback());
  auto sender = make_sender(io);
  sender.send_to(test::bytes("mapped?"), {group_v4.address(), member.local_endpoint().port()});
  const auto datagram = test::take(io, member);
  CHECK(datagram.text == "mapped?");
  CHECK(datagram.sender == sender.local_endpoint());
  CHECK_FALSE(error_of([&](auto& e) { member.leave(group_v6, loopback(), e); }));
  CHECK_FALSE(error_of([&](auto& e) { member.leave(group_v4, loopback(), e); }));
}

TEST_CASE("multicast: the scope of a link-local group is the interface, where none is named")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp::socket socket(io, udp::v6());
  const multicast_group scoped("ff02::4d:3%" + test::loopback_name());
  socket.join(scoped);
  CHECK(error_of([&](auto& e) { socket.join(multicast_group("ff02::4d:3"), loopback(), e); }) ==
        asio::error::address_in_use);
  CHECK_FALSE(
      error_of([&](auto& e) { socket.leave(multicast_group("ff02::4d:3"), loopback(), e); }));
}

TEST_CASE("multicast: an IPv6 exchange on the loopback interface")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp::socket member(io, {asio::ip::address_v6::any(), 0}, {.v6_only = true});
  member.join(group_v6, loopback());
  udp::socket sender(io, udp::v6());
  sender.set_option(option::multicast_interface(loopback()));
  sender.set_option(option::multicast_hop_limit(0));
  dgram::error_code ec;
  sender.send_to(test::bytes("six"), {group_v6.address(), member.local_endpoint().port()}, 0, ec);
  // Linux has no multicast route on its loopback interface unless somebody adds one.
  if (ec == asio::error::network_unreachable || ec == asio::error::host_unreachable ||
      ec == test::os_error(EADDRNOTAVAIL))
    SKIP("no route for IPv6 multicast by the loopback interface: " + ec.message());
  REQUIRE_FALSE(ec);
  CHECK(test::take(io, member).text == "six");
}

}  // namespace multicast_test
