// SPDX-License-Identifier: BSL-1.0
// Behaviour rows OPT-*, and what options do to datagrams on the wire. Round trips are in tests/unit/option_test.cpp.
#include "behaviour/helpers.hpp"
#include "support/ip_header.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <string>
#include <type_traits>

namespace options_test {

namespace {

namespace option = dgram::option;
using dgram::udp;

template <class T>
concept can_be_size = requires(T value) { option::receive_buffer_size{value}; };

}  // namespace

TEST_CASE("OPT-01 broadcast is refused on a closed socket, and set as often as one likes")
{
  asio::io_context io;
  udp::socket socket(io);
  dgram::error_code ec;
  socket.set_option(option::broadcast(true), ec);
  CHECK(ec == asio::error::bad_descriptor);
  socket.open(udp::v4());
  socket.bind(test::loopback_v4());
  for (const bool on : {true, true, false, false}) {
    socket.set_option(option::broadcast(on));
    option::broadcast read(!on);
    socket.get_option(read);
    CHECK(read.value() == on);
  }
}

TEST_CASE("OPT-01 without broadcast the kernel refuses to send to a broadcast address")
{
  asio::io_context io;
  udp::socket socket(io, udp::v4());
  const test::endpoint everybody(asio::ip::address_v4::broadcast(), 9);
  dgram::error_code ec;
  socket.send_to(test::text_buffer("x"), everybody, 0, ec);
  if (ec == asio::error::network_unreachable) SKIP("no route for broadcasts: " + ec.message());
  CHECK(ec == asio::error::access_denied);
}

TEST_CASE(
    "OPT-03 buffer sizes of a closed socket cannot be asked for or set, and the text says which")
{
  asio::io_context io;
  udp::socket socket(io);
  const auto check = [](const char* what, const auto& call) {
    CAPTURE(what);
    try {
      call();
      FAIL("nothing was thrown");
    } catch (const dgram::system_error& failure) {
      CHECK(failure.code() == asio::error::bad_descriptor);
      CHECK(std::string(failure.what()).find(what) == 0);
    }
  };
  check("get_receive_buffer_size", [&] { socket.get_receive_buffer_size(); });
  check("set_receive_buffer_size", [&] { socket.set_receive_buffer_size(8192); });
  check("get_send_buffer_size", [&] { socket.get_send_buffer_size(); });
  check("set_send_buffer_size", [&] { socket.set_send_buffer_size(8192); });
  check("force_receive_buffer_size", [&] { socket.force_receive_buffer_size(8192); });
  check("force_send_buffer_size", [&] { socket.force_send_buffer_size(8192); });
}

TEST_CASE("OPT-04 a buffer size is a positive int")
{
  STATIC_REQUIRE(can_be_size<int>);
  STATIC_REQUIRE_FALSE(can_be_size<long long>);
  STATIC_REQUIRE_FALSE(can_be_size<double>);
  asio::io_context io;
  udp::socket socket(io, test::loopback_v4());
  const std::size_t before = socket.get_receive_buffer_size();
  dgram::error_code ec;
  for (const int size : {-1, 0, -2147483647 - 1}) {
    CHECK(socket.set_receive_buffer_size(size, ec) == 0);
    CHECK(ec == dgram::error::out_of_range);
    CHECK(ec == std::errc::invalid_argument);
    CHECK(socket.set_send_buffer_size(size, ec) == 0);
    CHECK(ec == dgram::error::out_of_range);
  }
  CHECK(socket.get_receive_buffer_size() == before);
}

TEST_CASE("options: hop limits and the traffic class are in the header of what is sent")
{
  asio::io_context io;
  const auto check = [&](const udp& protocol, const test::endpoint& local) {
    CAPTURE(local.address().to_string());
    udp::socket receiver(io, local);
    test::ask_for_header(receiver.native_handle(), local.address().is_v6());
    udp::socket sender(io, protocol);
    const auto exchange = [&] {
      sender.send_to(test::text_buffer("x"), receiver.local_endpoint());
      return test::receive_header(io, receiver);
    };
    for (const int hops : {1, 37, 255}) {
      sender.set_option(option::hop_limit(hops));
      CHECK(exchange().hop_limit == hops);
    }
    sender.set_option(option::traffic_class(0x42));
    CHECK(exchange().traffic_class == 0x42);
    sender.set_option(option::differentiated_services(46));
    CHECK(exchange().traffic_class == 46 << 2);
    sender.set_option(option::traffic_class(0));
    CHECK(exchange().traffic_class == 0);
  };
  check(udp::v4(), test::loopback_v4());
  DGRAM_SKIP_WITHOUT_IPV6();
  check(udp::v6(), test::loopback_v6());
  check(udp::dual(), test::loopback_v4());
  check(udp::dual(), test::loopback_v6());
}

TEST_CASE("options: the multicast hop limit is in the header, on a dual-stack socket too")
{
  asio::io_context io;
  const dgram::network_interface loopback("127.0.0.1");
  dgram::error_code none;
  if (loopback.index(none) == 0) SKIP("no interface has the address 127.0.0.1");
  const dgram::multicast_group group("239.255.79.1");
  udp::socket receiver(io, test::endpoint(udp::v4(), 0));
  receiver.join(group, loopback);
  test::ask_for_header(receiver.native_handle(), false);
  const auto check = [&](const udp& protocol) {
    udp::socket sender(io, protocol);
    sender.set_option(option::multicast_interface(loopback));
    for (const int hops : {0, 1, 29, 255}) {
      sender.set_option(option::multicast_hop_limit(hops));
      sender.send_to(test::text_buffer("x"), {group.address(), receiver.local_endpoint().port()});
      CHECK(test::receive_header(io, receiver).hop_limit == hops);
    }
  };
  check(udp::v4());
  DGRAM_SKIP_WITHOUT_IPV6();
  check(udp::dual());
}

TEST_CASE("options: one socket of two on a port gets all of a flow, and both share where asked to")
{
  asio::io_context io;
  const test::reserved_port port;
  udp::socket first(io, test::loopback_v4(port.number()), {.reuse_port = true});
  udp::socket second(io, first.local_endpoint(), {.reuse_port = true});
  udp::socket sender(io, test::loopback_v4());
  for (int i = 0; i < 3; ++i)
    sender.send_to(test::text_buffer("x"), first.local_endpoint());
  auto& owner = test::nothing_queued(second) ? first : second;
  auto& other = &owner == &first ? second : first;
  CHECK(test::nothing_queued(other));
  CHECK_FALSE(test::nothing_queued(owner));
}

}  // namespace options_test
