// SPDX-License-Identifier: BSL-1.0
// option.hpp: what each option is called per family, which values it takes, and that it does what
// it says on every kind of socket, as the kernel tells.

#include "unit/host.hpp"

#include <dgram/option.hpp>

#include <asio/ip/unicast.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace option_test {

namespace {

namespace option = dgram::option;
using dgram::udp;
using plain_socket = asio::ip::udp::socket;

const auto v4 = asio::ip::udp::v4();
const auto v6 = asio::ip::udp::v6();

/// Sets `value` through `socket`, reads it back through the library, and through the kernel.
template <class Option, class Socket, class Value>
void check_round_trip(Socket& socket, Value value, int level, int name)
{
  CAPTURE(level, name, value);
  dgram::error_code ec;
  socket.set_option(Option(value), ec);
  REQUIRE_FALSE(ec);
  Option read;
  socket.get_option(read, ec);
  REQUIRE_FALSE(ec);
  CHECK(read.value() == value);
  CHECK(test::raw_option(socket.native_handle(), level, name) == static_cast<int>(value));
}

/// That `value` is refused with `expected`, and that the kernel's value is what it was.
template <class Option, class Socket>
void check_refused(Socket& socket, int value, dgram::error_code expected, int level, int name)
{
  CAPTURE(level, name, value);
  const int before = test::raw_option(socket.native_handle(), level, name);
  dgram::error_code ec;
  socket.set_option(Option(value), ec);
  CHECK(ec == expected);
  CHECK_THROWS_AS(socket.set_option(Option(value)), dgram::system_error);
  CHECK(test::raw_option(socket.native_handle(), level, name) == before);
}

#if defined(__linux__)
constexpr int doubling = 2;
#else
constexpr int doubling = 1;
#endif

/// The value that a kernel gives back for a buffer size: Linux doubles it, up to a limit.
int effective_buffer_size(int asked, [[maybe_unused]] const char* limit_file)
{
#if defined(__linux__)
  int limit = 0;
  std::ifstream(std::string("/proc/sys/net/core/") + limit_file) >> limit;
  if (limit == 0) SKIP("cannot read the system's limit");
  return doubling * std::min(asked, limit);
#else
  return asked;
#endif
}

void exchange(asio::io_context& io, udp::socket& from, udp::socket& to)
{
  from.send_to(test::bytes("still flows"), to.local_endpoint());
  CHECK(test::take(io, to).text == "still flows");
}

}  // namespace

TEST_CASE("option: level and name depend on the family where there are two parts")
{
  const option::hop_limit hops;
  CHECK(hops.level(v4) == IPPROTO_IP);
  CHECK(hops.name(v4) == IP_TTL);
  CHECK(hops.level(v6) == IPPROTO_IPV6);
  CHECK(hops.name(v6) == IPV6_UNICAST_HOPS);
  CHECK(hops.level(udp::dual()) == IPPROTO_IPV6);

  const option::multicast_hop_limit multicast_hops;
  CHECK(multicast_hops.level(v4) == IPPROTO_IP);
  CHECK(multicast_hops.name(v4) == IP_MULTICAST_TTL);
  CHECK(multicast_hops.level(v6) == IPPROTO_IPV6);
  CHECK(multicast_hops.name(v6) == IPV6_MULTICAST_HOPS);

  const option::multicast_loopback loopback;
  CHECK(loopback.level(v4) == IPPROTO_IP);
  CHECK(loopback.name(v4) == IP_MULTICAST_LOOP);
  CHECK(loopback.level(v6) == IPPROTO_IPV6);
  CHECK(loopback.name(v6) == IPV6_MULTICAST_LOOP);

  const option::traffic_class traffic_class;
  CHECK(traffic_class.level(v4) == IPPROTO_IP);
  CHECK(traffic_class.name(v4) == IP_TOS);
  CHECK(traffic_class.level(v6) == IPPROTO_IPV6);
  CHECK(traffic_class.name(v6) == IPV6_TCLASS);

  const option::multicast_interface interface;
  CHECK(interface.level(v4) == IPPROTO_IP);
  CHECK(interface.name(v4) == IP_MULTICAST_IF);
  CHECK(interface.level(v6) == IPPROTO_IPV6);
  CHECK(interface.name(v6) == IPV6_MULTICAST_IF);
}

TEST_CASE("option: level and name of those that have one part")
{
  const auto check = [](const auto& one, int level, int name) {
    for (const auto& protocol : {v4, v6}) {
      CAPTURE(level, name);
      CHECK(one.level(protocol) == level);
      CHECK(one.name(protocol) == name);
    }
  };
  check(option::broadcast(), SOL_SOCKET, SO_BROADCAST);
  check(option::reuse_address(), SOL_SOCKET, SO_REUSEADDR);
#if defined(SO_REUSEPORT)
  check(option::reuse_port(), SOL_SOCKET, SO_REUSEPORT);
#endif
  check(option::receive_buffer_size(), SOL_SOCKET, SO_RCVBUF);
  check(option::send_buffer_size(), SOL_SOCKET, SO_SNDBUF);
  check(option::v6_only(), IPPROTO_IPV6, IPV6_V6ONLY);
}

TEMPLATE_TEST_CASE("option: a switch is off unless said otherwise, and takes both values", "",
                   option::broadcast, option::reuse_address, option::reuse_port, option::v6_only,
                   option::multicast_loopback, option::receive_all_groups, option::do_not_fragment,
                   option::freebind, option::transparent)
{
  STATIC_REQUIRE_FALSE(TestType().value());
  STATIC_REQUIRE(TestType(true).value());
  STATIC_REQUIRE(static_cast<bool>(TestType(true)));
  STATIC_REQUIRE_FALSE(static_cast<bool>(TestType(false)));
  STATIC_REQUIRE_FALSE(std::is_convertible_v<bool, TestType>);
  CHECK_FALSE(TestType(true).check());
  CHECK_FALSE(TestType(false).check());
  CHECK(TestType().size(v4) == sizeof(int));
  CHECK(TestType().size(v6) == sizeof(int));
}

TEST_CASE("option: numbers are checked against their range, when they are set")
{
  struct range {
    int least;
    int greatest;
  };
  const auto check = [](auto make, range allowed) {
    CAPTURE(allowed.least, allowed.greatest);
    CHECK_FALSE(make(allowed.least).check());
    CHECK_FALSE(make(allowed.greatest).check());
    CHECK(make(allowed.least).value() == allowed.least);
    CHECK(make(allowed.least).size(v4) == sizeof(int));
    std::vector<int> outside{allowed.least - 1, -1, INT32_MIN};
    if (allowed.greatest != INT32_MAX) outside.insert(outside.end(), {allowed.greatest + 1, 1000});
    for (const int value : outside) {
      CAPTURE(value);
      const auto one = make(value);  // which is no error yet
      CHECK(one.value() == value);
      CHECK(one.check() == dgram::error::out_of_range);
      CHECK(one.check() == std::errc::invalid_argument);
    }
  };
  check([](int value) { return option::hop_limit(value); }, {1, 255});
  check([](int value) { return option::multicast_hop_limit(value); }, {0, 255});
  check([](int value) { return option::receive_buffer_size(value); }, {1, INT32_MAX});
  check([](int value) { return option::send_buffer_size(value); }, {1, INT32_MAX});
  check([](int value) { return option::forced_receive_buffer_size(value); }, {1, INT32_MAX});
  check([](int value) { return option::forced_send_buffer_size(value); }, {1, INT32_MAX});
  check([](int value) { return option::traffic_class(value); }, {0, 255});
  check([](int value) { return option::differentiated_services(value); }, {0, 63});
  check([](int value) { return option::busy_poll(value); }, {0, INT32_MAX});
  check([](int value) { return option::incoming_cpu(value); }, {0, INT32_MAX});
  CHECK_FALSE(option::hop_limit().check());
}

TEST_CASE("option: on plain Asio sockets it sets and gets the part of their family")
{
  asio::io_context io;
  plain_socket socket(io, v4);
  check_round_trip<option::broadcast>(socket, true, SOL_SOCKET, SO_BROADCAST);
  check_round_trip<option::broadcast>(socket, false, SOL_SOCKET, SO_BROADCAST);
  check_round_trip<option::reuse_address>(socket, true, SOL_SOCKET, SO_REUSEADDR);
  check_round_trip<option::reuse_address>(socket, false, SOL_SOCKET, SO_REUSEADDR);
#if defined(SO_REUSEPORT)
  check_round_trip<option::reuse_port>(socket, true, SOL_SOCKET, SO_REUSEPORT);
#endif
  check_round_trip<option::hop_limit>(socket, 7, IPPROTO_IP, IP_TTL);
  check_round_trip<option::multicast_hop_limit>(socket, 9, IPPROTO_IP, IP_MULTICAST_TTL);
  check_round_trip<option::multicast_loopback>(socket, false, IPPROTO_IP, IP_MULTICAST_LOOP);
  check_round_trip<option::multicast_loopback>(socket, true, IPPROTO_IP, IP_MULTICAST_LOOP);

  DGRAM_SKIP_WITHOUT_IPV6();
  plain_socket six(io, v6);
  check_round_trip<option::broadcast>(six, true, SOL_SOCKET, SO_BROADCAST);
  check_round_trip<option::reuse_address>(six, true, SOL_SOCKET, SO_REUSEADDR);
#if defined(SO_REUSEPORT)
  check_round_trip<option::reuse_port>(six, true, SOL_SOCKET, SO_REUSEPORT);
#endif
  check_round_trip<option::v6_only>(six, true, IPPROTO_IPV6, IPV6_V6ONLY);
  check_round_trip<option::v6_only>(six, false, IPPROTO_IPV6, IPV6_V6ONLY);
  check_round_trip<option::hop_limit>(six, 7, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
  check_round_trip<option::multicast_hop_limit>(six, 9, IPPROTO_IPV6, IPV6_MULTICAST_HOPS);
  check_round_trip<option::multicast_loopback>(six, false, IPPROTO_IPV6, IPV6_MULTICAST_LOOP);
}

TEST_CASE("option: out of range on a plain Asio socket is EINVAL and changes nothing")
{
  const dgram::error_code refused = asio::error::invalid_argument;
  const int value = GENERATE(-2, -1, 256, 1000, INT32_MAX, INT32_MIN);
  asio::io_context io;
  plain_socket socket(io, v4);
  check_refused<option::hop_limit>(socket, value, refused, IPPROTO_IP, IP_TTL);
  check_refused<option::hop_limit>(socket, 0, refused, IPPROTO_IP, IP_TTL);
  check_refused<option::multicast_hop_limit>(socket, value, refused, IPPROTO_IP, IP_MULTICAST_TTL);
  if (value < 0) {
    check_refused<option::receive_buffer_size>(socket, value, refused, SOL_SOCKET, SO_RCVBUF);
    check_refused<option::send_buffer_size>(socket, value, refused, SOL_SOCKET, SO_SNDBUF);
  }

  dgram::error_code device;
  socket.set_option(option::bind_to_device(dgram::network_interface("no-such-if")), device);
  CHECK(device == refused);

  DGRAM_SKIP_WITHOUT_IPV6();
  plain_socket six(io, v6);
  check_refused<option::hop_limit>(six, value, refused, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
  check_refused<option::hop_limit>(six, 0, refused, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
  check_refused<option::multicast_hop_limit>(six, value, refused, IPPROTO_IPV6,
                                             IPV6_MULTICAST_HOPS);
}

TEST_CASE("option: out of range on our sockets is out_of_range and changes nothing, in no part")
{
  const dgram::error_code refused = dgram::error::out_of_range;
  const int value = GENERATE(-2, -1, 256, 1000, INT32_MAX, INT32_MIN);
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  socket.set_option(option::hop_limit(33));
  check_refused<option::hop_limit>(socket, value, refused, IPPROTO_IP, IP_TTL);
  check_refused<option::hop_limit>(socket, 0, refused, IPPROTO_IP, IP_TTL);
  check_refused<option::multicast_hop_limit>(socket, value, refused, IPPROTO_IP, IP_MULTICAST_TTL);
  check_refused<option::receive_buffer_size>(socket, 0, refused, SOL_SOCKET, SO_RCVBUF);
  check_refused<option::send_buffer_size>(socket, 0, refused, SOL_SOCKET, SO_SNDBUF);

  DGRAM_SKIP_WITHOUT_IPV6();
  udp::socket dual(io, udp::dual());
  dual.set_option(option::hop_limit(33));
  check_refused<option::hop_limit>(dual, value, refused, IPPROTO_IP, IP_TTL);
  check_refused<option::hop_limit>(dual, value, refused, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
  check_refused<option::multicast_hop_limit>(dual, value, refused, IPPROTO_IP, IP_MULTICAST_TTL);
  CHECK(test::raw_option(dual.native_handle(), IPPROTO_IP, IP_TTL) == 33);
}

TEST_CASE("option: a dual-stack socket gets both parts")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp::socket socket(io, udp::dual());
  const test::descriptor_type fd = socket.native_handle();

  check_round_trip<option::hop_limit>(socket, 7, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
  CHECK(test::raw_option(fd, IPPROTO_IP, IP_TTL) == 7);
  check_round_trip<option::multicast_hop_limit>(socket, 9, IPPROTO_IPV6, IPV6_MULTICAST_HOPS);
  CHECK(test::raw_option(fd, IPPROTO_IP, IP_MULTICAST_TTL) == 9);
  check_round_trip<option::multicast_loopback>(socket, false, IPPROTO_IPV6, IPV6_MULTICAST_LOOP);
  CHECK(test::raw_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP) == 0);
  check_round_trip<option::broadcast>(socket, true, SOL_SOCKET, SO_BROADCAST);
  check_round_trip<option::reuse_address>(socket, true, SOL_SOCKET, SO_REUSEADDR);
  CHECK_FALSE(socket.set_receive_buffer_size(20'000) == 0);
}

TEST_CASE("option: an IPv6 socket that is not dual gets its own part alone")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp::socket socket(io, udp::v6());
  const int before = test::raw_option(socket.native_handle(), IPPROTO_IP, IP_TTL);
  REQUIRE(before != 7);
  check_round_trip<option::hop_limit>(socket, 7, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
  CHECK(test::raw_option(socket.native_handle(), IPPROTO_IP, IP_TTL) == before);
}

TEST_CASE("option: v6_only on a dual-stack socket is refused, off is what it is anyway")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp::socket socket(io, udp::dual());
  dgram::error_code ec;
  socket.set_option(option::v6_only(true), ec);
  CHECK(ec == asio::error::invalid_argument);
  CHECK(test::raw_option(socket.native_handle(), IPPROTO_IPV6, IPV6_V6ONLY) == 0);
  socket.set_option(option::v6_only(false), ec);
  CHECK_FALSE(ec);
}

TEST_CASE(
    "option: an option of the other family is the kernel's error, and a closed socket's is its own")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  dgram::error_code ec;
  socket.set_option(option::v6_only(true), ec);
  CHECK(ec);

  udp::socket closed(io);
  ec.clear();
  closed.set_option(option::broadcast(true), ec);
  CHECK(ec == asio::error::bad_descriptor);
  option::broadcast read;
  ec.clear();
  closed.get_option(read, ec);
  CHECK(ec == asio::error::bad_descriptor);
  // Its own check comes first: it needs no socket.
  closed.set_option(option::hop_limit(0), ec);
  CHECK(ec == dgram::error::out_of_range);
}

TEST_CASE("option: reading overwrites whatever the object held, also a value that was refused")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  socket.set_option(option::hop_limit(5));
  option::hop_limit hops(300);
  dgram::error_code ec;
  socket.set_option(hops, ec);
  REQUIRE(ec == dgram::error::out_of_range);
  socket.get_option(hops, ec);
  REQUIRE_FALSE(ec);
  CHECK(hops.value() == 5);

  plain_socket plain(io, v4);
  plain.set_option(option::hop_limit(6));
  option::hop_limit again(-1);
  plain.get_option(again);
  CHECK(again.value() == 6);
}

TEST_CASE("option: the text of a switch of flags says whether it is on")
{
  CHECK(to_string(option::receive_timestamp(true)) == "receive_timestamp{true}");
  CHECK(to_string(option::receive_timestamp(false)) == "receive_timestamp{false}");
}

TEST_CASE("option: a success clears what the error_code held")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  dgram::error_code ec = dgram::error::out_of_range;
  socket.set_option(option::broadcast(true), ec);
  CHECK_FALSE(ec);
  ec = dgram::error::out_of_range;
  option::broadcast read;
  socket.get_option(read, ec);
  CHECK_FALSE(ec);
  CHECK(read.value());
}

TEST_CASE("option: what is thrown names the call, the option and its value")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  const auto text = [&](const auto& refused) {
    try {
      socket.set_option(refused);
    } catch (const dgram::system_error& failure) {
      CHECK(failure.code() == refused.check());
      return std::string(failure.what());
    }
    FAIL("nothing was thrown");
    return std::string();
  };
  const std::string range = dgram::error_code(dgram::error::out_of_range).message();
  CHECK(text(option::hop_limit(0)) ==
        "set_option \"hop_limit{0}\" (allowed are 1 to 255): " + range);
  CHECK(text(option::differentiated_services(64)) ==
        "set_option \"differentiated_services{64}\" (allowed are 0 to 63): " + range);
  const std::string unknown = dgram::error_code(dgram::error::unknown_interface).message();
  const dgram::network_interface nowhere("no-such-if");
  CHECK(text(option::multicast_interface(nowhere)) ==
        "set_option \"multicast_interface{no-such-if}\": " + unknown);
  CHECK(text(option::bind_to_device(nowhere)) ==
        "set_option \"bind_to_device{no-such-if}\": " + unknown);
  CHECK(to_string(option::broadcast(true)) == "broadcast{true}");
  CHECK(to_string(option::do_not_fragment(false)) == "do_not_fragment{false}");
  CHECK(to_string(option::do_not_fragment(true)) == "do_not_fragment{true}");

  try {
    const udp::socket configured(io, udp::v4(), {.send_buffer_size = -1});
    FAIL("nothing was thrown");
  } catch (const dgram::system_error& failure) {
    CHECK(failure.what() ==
          "open \"send_buffer_size{-1}\" (allowed are 1 to 2147483647): " + range);
  }
  socket.close();
  option::hop_limit read;
  try {
    socket.get_option(read);
    FAIL("nothing was thrown");
  } catch (const dgram::system_error& failure) {
    CHECK(std::string(failure.what()).find("get_option \"hop_limit\": ") == 0);
  }
}

TEST_CASE("option: the six bits of differentiated services and the two of ECN are one byte")
{
  asio::io_context io;
  std::vector<udp> protocols{udp::v4()};
  if (test::has_ipv6()) protocols.insert(protocols.end(), {udp::v6(), udp::dual()});
  for (const auto& protocol : protocols) {
    udp::socket socket(io, protocol);
    socket.set_option(option::traffic_class(0xba));
    option::differentiated_services code_point;
    socket.get_option(code_point);
    CHECK(code_point.value() == 46);
    socket.set_option(option::differentiated_services(10));
    option::traffic_class whole;
    socket.get_option(whole);
    CHECK(whole.value() == 10 << 2);
    if (protocol.is_dual())
      CHECK(test::raw_option(socket.native_handle(), IPPROTO_IP, IP_TOS) == 10 << 2);
    // What was refused is overwritten by what is read.
    option::differentiated_services refused(64);
    CHECK(refused.value() == 64);
    socket.get_option(refused);
    CHECK(refused.value() == 10);
    for (const int ecn : {0, 1, 2, 3}) {
      socket.set_option(option::traffic_class(ecn));
      socket.get_option(whole);
      CHECK(whole.value() == ecn);
    }
  }
}

#if defined(__linux__)

TEST_CASE("option: those of Linux read back as they were set, in both parts")
{
  asio::io_context io;
  udp::socket four(io, udp::v4());
  using option::path_mtu;
  const auto round_trips = [](udp::socket& socket, auto value) {
    auto read = decltype(value)();
    socket.set_option(value);
    socket.get_option(read);
    CAPTURE(decltype(value)::label);
    CHECK(read.value() == value.value());
  };
  const auto check = [&](udp::socket& socket) {
    for (const bool on : {false, true, false}) {
      round_trips(socket, option::receive_all_groups(on));
      round_trips(socket, option::do_not_fragment(on));
      round_trips(socket, option::freebind(on));
    }
    for (const auto mode : {path_mtu::off, path_mtu::want, path_mtu::require, path_mtu::probe,
                            path_mtu::device, path_mtu::device_cut}) {
      round_trips(socket, option::path_mtu_discovery(mode));
      option::do_not_fragment read;
      socket.get_option(read);
      CHECK(read.value() == (mode == path_mtu::require || mode == path_mtu::probe));
    }
    round_trips(socket, option::incoming_cpu(0));
    round_trips(socket, option::busy_poll(0));
  };
  check(four);
  DGRAM_SKIP_WITHOUT_IPV6();
  udp::socket six(io, udp::v6());
  check(six);
  udp::socket dual(io, udp::dual());
  check(dual);
  dual.set_option(option::do_not_fragment(true));
  dual.set_option(option::receive_all_groups(false));
  dual.set_option(option::freebind(true));
  const auto raw = [&](int name) {
    return test::raw_option(dual.native_handle(), IPPROTO_IP, name);
  };
  CHECK(raw(IP_MTU_DISCOVER) == IP_PMTUDISC_DO);
  CHECK(raw(IP_MULTICAST_ALL) == 0);
  CHECK(raw(IP_FREEBIND) == 1);
}

TEST_CASE("option: a mode that there is not is refused")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  dgram::error_code ec;
  for (const int mode : {-1, 6}) {
    socket.set_option(option::path_mtu_discovery(static_cast<option::path_mtu>(mode)), ec);
    CHECK(ec == dgram::error::out_of_range);
  }
}

TEST_CASE("option: what takes a privilege is set, or refused for that")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  dgram::error_code ec;
  socket.set_option(option::transparent(true), ec);
  if (!ec) {
    option::transparent read;
    socket.get_option(read);
    CHECK(read.value());
  } else {
    CHECK(ec == asio::error::no_permission);
  }
  socket.set_option(option::busy_poll(50), ec);
  if (!ec) {
    option::busy_poll read;
    socket.get_option(read);
    CHECK(read.value() == 50);
  } else {
    CHECK(ec == asio::error::no_permission);
  }
}

TEST_CASE("option: an address that no interface has is bound to where that is asked for")
{
  asio::io_context io;
  const test::endpoint nobodys(asio::ip::make_address("203.0.113.77"), 0);
  udp::socket socket(io, udp::v4());
  dgram::error_code ec;
  socket.bind(nobodys, ec);
  CHECK(ec == test::os_error(EADDRNOTAVAIL));
  socket.set_option(option::freebind(true));
  socket.bind(nobodys);
  CHECK(socket.local_endpoint().address() == nobodys.address());
}

TEST_CASE("option: a buffer beyond the system's limit, and what took effect")
{
  int limit = 0;
  std::ifstream("/proc/sys/net/core/rmem_max") >> limit;
  if (limit == 0 || limit > INT32_MAX / 8) SKIP("cannot read the system's limit");
  const int beyond = limit * 2;
  const auto effective = static_cast<std::size_t>(beyond) * 2;
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  CHECK(socket.set_receive_buffer_size(beyond) < effective);
  dgram::error_code ec;
  const std::size_t took = socket.force_receive_buffer_size(beyond, ec);
  if (ec == asio::error::no_permission) SKIP("this process may not: " + ec.message());
  REQUIRE_FALSE(ec);
  CHECK(took == effective);
  CHECK(socket.force_receive_buffer_size(beyond) == effective);
  CHECK(socket.get_receive_buffer_size() == effective);
  option::forced_receive_buffer_size read;
  socket.get_option(read);
  CHECK(read.value() == beyond);
  CHECK(socket.force_send_buffer_size(beyond) == effective);
  CHECK(socket.get_send_buffer_size() == effective);
  option::forced_send_buffer_size read_send;
  socket.get_option(read_send);
  CHECK(read_send.value() == beyond);
  CHECK(socket.force_send_buffer_size(0, ec) == 0);
  CHECK(ec == dgram::error::out_of_range);
}

#endif

TEST_CASE("option: what the system lacks is operation_not_supported, also of the other family")
{
  using missing = dgram::detail::boolean_option<
      dgram::detail::socket_names<dgram::platform::names::unsupported>, "missing">;
  asio::io_context io;
  std::vector<udp> protocols{udp::v4()};
  if (test::has_ipv6()) protocols.insert(protocols.end(), {udp::v6(), udp::dual()});
  for (const auto& protocol : protocols) {
    udp::socket socket(io, protocol);
    dgram::error_code ec;
    socket.set_option(missing(true), ec);
    CHECK(ec == asio::error::operation_not_supported);
    missing read;
    socket.get_option(read, ec);
    CHECK(ec == asio::error::operation_not_supported);
  }
  udp::socket socket(io, udp::v4());
  dgram::error_code ec;
  socket.set_option(option::v6_only(true), ec);
  CHECK(ec == asio::error::operation_not_supported);
}

TEST_CASE("option: multicast_interface reads as its index on every kind of socket")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  const option::multicast_interface chosen{dgram::network_interface(test::loopback_name())};
  asio::io_context io;
  std::vector<udp> protocols{udp::v4()};
  if (test::has_ipv6()) protocols.insert(protocols.end(), {udp::v6(), udp::dual()});
  for (const auto& protocol : protocols) {
    udp::socket socket(io, protocol);
    option::multicast_interface read{dgram::network_interface("no-such-if")};
    socket.get_option(read);
    CHECK(read.index() == 0);
    CHECK_FALSE(read.check());
    socket.set_option(chosen);
    dgram::error_code refused;
    socket.set_option(option::multicast_interface(dgram::network_interface::all()), refused);
    CHECK(refused == asio::error::invalid_argument);
    socket.get_option(read);
    CHECK(read.index() == chosen.index());
    // What was read can be set.
    udp::socket other(io, protocol);
    other.set_option(read);
    other.get_option(read);
    CHECK(read.index() == chosen.index());
    // The next descriptor has none.
    socket.close();
    socket.open(protocol);
    socket.get_option(read);
    CHECK(read.index() == 0);
    socket.close();
    socket.get_option(read, refused);
    CHECK(refused == asio::error::bad_descriptor);
  }
  option::multicast_interface read;
  dgram::error_code ec;
  plain_socket plain(io, v4);
  plain.get_option(read, ec);
  CHECK(ec);
  DGRAM_SKIP_WITHOUT_IPV6();
  plain_socket six(io, v6);
  six.set_option(chosen);
  six.get_option(read);
  CHECK(read.index() == chosen.index());
}

TEST_CASE("option: Asio's own options are taken too")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  socket.set_option(asio::ip::unicast::hops(12));
  asio::ip::unicast::hops hops;
  socket.get_option(hops);
  CHECK(hops.value() == 12);
  option::hop_limit ours;
  socket.get_option(ours);
  CHECK(ours.value() == 12);
}

TEST_CASE(
    "option: multicast_interface looks its interface up when it is made, and errs when it is set")
{
  const option::multicast_interface unknown{dgram::network_interface("no-such-if")};
  CHECK(unknown.check() == dgram::error::unknown_interface);
  CHECK(unknown.index() == 0);
  CHECK_FALSE(option::multicast_interface().check());
  CHECK(option::multicast_interface().index() == 0);

  asio::io_context io;
  udp::socket socket(io, udp::v4());
  dgram::error_code ec;
  socket.set_option(unknown, ec);
  CHECK(ec == dgram::error::unknown_interface);
  socket.set_option(option::multicast_interface(), ec);
  CHECK_FALSE(ec);
  plain_socket plain(io, v4);
  plain.set_option(unknown, ec);
  CHECK(ec == asio::error::invalid_argument);
}

TEST_CASE(
    "option: multicast_interface sets the part of the family, and both of a dual-stack socket")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  DGRAM_SKIP_WITHOUT_IPV6();
  const dgram::network_interface lo(test::loopback_name());
  const option::multicast_interface chosen(lo);
  const auto index = static_cast<int>(::if_nametoindex(test::loopback_name().c_str()));
  CHECK(static_cast<int>(chosen.index()) == index);

  asio::io_context io;
  plain_socket six(io, v6);
  six.set_option(chosen);
  CHECK(test::raw_option(six.native_handle(), IPPROTO_IPV6, IPV6_MULTICAST_IF) == index);

  udp::socket dual(io, udp::dual());
  dual.set_option(chosen);
  CHECK(test::raw_option(dual.native_handle(), IPPROTO_IPV6, IPV6_MULTICAST_IF) == index);
  // The kernel gives back no index for IPv4, so what is sent must show it: a group that only
  // a member on the loopback interface gets.
  udp::socket member(io, {asio::ip::address_v4::any(), 0});
  const dgram::multicast_group group("239.255.77.1");
  member.join(group, lo);
  dual.set_option(option::multicast_hop_limit(0));
  dual.send_to(test::bytes("by lo"), {group.address(), member.local_endpoint().port()});
  CHECK(test::take(io, member).text == "by lo");
}

TEST_CASE("OPT-05: buffer sizes read back as the kernel counts them, and traffic still flows")
{
  asio::io_context io;
  udp::socket socket(io, test::loopback_v4());
  udp::socket peer(io, test::loopback_v4());
  for (const int size : {10'000, 123'456}) {
    CAPTURE(size);
    const auto receive = static_cast<std::size_t>(effective_buffer_size(size, "rmem_max"));
    const auto send = static_cast<std::size_t>(effective_buffer_size(size, "wmem_max"));
    CHECK(socket.set_receive_buffer_size(size) == receive);
    CHECK(socket.get_receive_buffer_size() == receive);
    CHECK(test::raw_option(socket.native_handle(), SOL_SOCKET, SO_RCVBUF) ==
          static_cast<int>(receive));
    CHECK(socket.set_send_buffer_size(size) == send);
    CHECK(socket.get_send_buffer_size() == send);
    CHECK(test::raw_option(socket.native_handle(), SOL_SOCKET, SO_SNDBUF) ==
          static_cast<int>(send));
    // Asio takes Linux's doubling back when an option is read, so that it reads as it was set.
    option::receive_buffer_size as_option;
    socket.get_option(as_option);
    CHECK(as_option.value() == effective_buffer_size(size, "rmem_max") / doubling);
    exchange(io, socket, peer);
    exchange(io, peer, socket);
  }
}

TEST_CASE("OPT-06: a buffer size of 1 is accepted, and what took effect is told")
{
  asio::io_context io;
  udp::socket socket(io, test::loopback_v4());
  const std::size_t receive = socket.set_receive_buffer_size(1);
  const std::size_t send = socket.set_send_buffer_size(1);
  CHECK(receive >= 1);
  CHECK(send >= 1);
#if defined(__linux__)
  CHECK(receive > 1);
  CHECK(send > 1);
#endif
  CHECK(static_cast<int>(receive) ==
        test::raw_option(socket.native_handle(), SOL_SOCKET, SO_RCVBUF));
  CHECK(static_cast<int>(send) == test::raw_option(socket.native_handle(), SOL_SOCKET, SO_SNDBUF));

  // Below 1 nothing is asked of the kernel.
  for (const int size : {0, -1}) {
    dgram::error_code ec;
    CHECK(socket.set_receive_buffer_size(size, ec) == 0);
    CHECK(ec == dgram::error::out_of_range);
    CHECK(socket.set_send_buffer_size(size, ec) == 0);
    CHECK(ec == dgram::error::out_of_range);
    CHECK_THROWS_AS(socket.set_receive_buffer_size(size), dgram::system_error);
    CHECK_THROWS_AS(socket.set_send_buffer_size(size), dgram::system_error);
  }
  CHECK(socket.get_receive_buffer_size() == receive);
  CHECK(socket.get_send_buffer_size() == send);
}

TEST_CASE("OPT-07: broadcast, reuse_address, do_not_route and debug read back as they were set")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  for (const bool on : {true, false, true}) {
    check_round_trip<option::broadcast>(socket, on, SOL_SOCKET, SO_BROADCAST);
    check_round_trip<option::reuse_address>(socket, on, SOL_SOCKET, SO_REUSEADDR);
    check_round_trip<asio::socket_base::broadcast>(socket, on, SOL_SOCKET, SO_BROADCAST);
    check_round_trip<asio::socket_base::reuse_address>(socket, on, SOL_SOCKET, SO_REUSEADDR);
    dgram::error_code ec;
    socket.set_option(asio::socket_base::do_not_route(on), ec);
    if (!ec) {
      asio::socket_base::do_not_route read;
      socket.get_option(read);
      CHECK(read.value() == on);
    }
    socket.set_option(asio::socket_base::debug(on), ec);
    if (!ec) {
      asio::socket_base::debug read;
      socket.get_option(read);
      CHECK(read.value() == on);
    } else {
      CHECK(ec == asio::error::access_denied);
    }
  }
}

TEST_CASE("OPT-08: unicast hops 1 and 255 and v6_only on and off read back as they were set")
{
  asio::io_context io;
  udp::socket four(io, udp::v4());
  for (const int hops : {1, 255})
    check_round_trip<option::hop_limit>(four, hops, IPPROTO_IP, IP_TTL);

  DGRAM_SKIP_WITHOUT_IPV6();
  udp::socket six(io, udp::v6());
  for (const int hops : {1, 255})
    check_round_trip<option::hop_limit>(six, hops, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
  for (const bool on : {true, false, true})
    check_round_trip<option::v6_only>(six, on, IPPROTO_IPV6, IPV6_V6ONLY);
}

TEST_CASE("OPT-09: bytes_readable on a bound socket, and an option of the raw kind after bind")
{
  asio::io_context io;
  udp::socket socket(io, test::loopback_v4());
  asio::socket_base::bytes_readable command;
  dgram::error_code ec;
  socket.io_control(command, ec);
  CHECK_FALSE(ec);
  CHECK(command.get() == 0);
  socket.send_to(test::bytes("12345"), socket.local_endpoint());
  test::await_readable(io, socket);
  socket.io_control(command);
  CHECK(command.get() >= 5);

  socket.set_option(asio::socket_base::linger(true, 3), ec);
  CHECK_FALSE(ec);
  asio::socket_base::linger read;
  socket.get_option(read);
  CHECK(read.enabled());
  CHECK(read.timeout() == 3);
}

}  // namespace option_test
