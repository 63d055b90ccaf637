// SPDX-License-Identifier: BSL-1.0
// capabilities.hpp: what is found is what sockets can do.

#include "support/loopback.hpp"

#include <dgram/capabilities.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace capabilities_test {

namespace {

using dgram::capabilities;
using dgram::supports;
using dgram::system_capabilities;
using dgram::udp;
#if DGRAM_HAS_UNIX_DATAGRAMS
using dgram::unix_dgram;
#endif

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)
constexpr bool has_linux_backend = true;
#else
constexpr bool has_linux_backend = false;
#endif

/// Whether a socket of the protocol takes the option.
template <class Protocol, class Option>
bool takes(const Protocol& protocol, const Option& option)
{
  asio::io_context io;
  typename Protocol::socket socket(io, protocol);
  dgram::error_code ec;
  socket.set_option(option, ec);
  return !ec;
}

udp protocol_under_test()
{
  const udp protocol = GENERATE(udp::v4(), udp::v6(), udp::dual());
  if (protocol != udp::v4() && !test::has_ipv6()) SKIP("no IPv6 here");
  return protocol;
}

}  // namespace

TEST_CASE("capabilities: of UDP are what its sockets take")
{
  const udp protocol = protocol_under_test();
  const system_capabilities& can = capabilities(protocol);
  CHECK(can.available);
  CHECK(can.coalescing == takes(protocol, dgram::option::coalescing(true)));
  CHECK(can.packet_info == takes(protocol, dgram::option::packet_info(true)));
  CHECK(can.receive_ecn == takes(protocol, dgram::option::receive_ecn(true)));
  CHECK(can.receive_hop_limit == takes(protocol, dgram::option::receive_hop_limit(true)));
  CHECK(can.receive_timestamp == takes(protocol, dgram::option::receive_timestamp(true)));
  CHECK(can.receive_drop_count == takes(protocol, dgram::option::receive_drop_count(true)));
  CHECK(can.receive_error == takes(protocol, dgram::option::receive_error(true)));
  CHECK_FALSE(can.abstract_names);
}

TEST_CASE("capabilities: say how the backend of this build moves datagrams")
{
  const system_capabilities& can = capabilities();
#if defined(_WIN32)
  CHECK(can.backend == "windows");
#else
  CHECK(can.backend == (has_linux_backend ? "linux" : "posix"));
#endif
  CHECK((can.datagrams_per_call > 1) == has_linux_backend);
  CHECK(can.wire_size == has_linux_backend);
#if DGRAM_HAS_UNIX_DATAGRAMS
  CHECK(capabilities(unix_dgram()).backend == can.backend);
#endif
}

TEST_CASE("capabilities: the portable backend has nothing of Linux's own")
{
  if (has_linux_backend) SKIP("this is Linux's backend");
  const system_capabilities& can = capabilities();
  CHECK(can.max_segments == 1);
  CHECK_FALSE(can.coalescing);
  CHECK_FALSE(can.receive_error);
  CHECK_FALSE(can.transmit_time);
  CHECK_FALSE(can.send_timestamp);
  CHECK_FALSE(can.hardware_timestamps);
  CHECK_FALSE(can.receive_drop_count);
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("capabilities: of Unix sockets are names without a file, and no segments")
{
  const system_capabilities& can = capabilities(unix_dgram());
  REQUIRE(can.available);
  asio::io_context io;
  unix_dgram::socket socket(io, unix_dgram{});
  dgram::error_code ec;
  socket.bind(unix_dgram::socket::endpoint_type(), ec);
  CHECK(can.abstract_names == !ec);
  CHECK(can.receive_timestamp == takes(unix_dgram(), dgram::option::receive_timestamp(true)));
  CHECK(can.max_segments == 1);
  CHECK_FALSE(can.coalescing);
  CHECK_FALSE(can.packet_info);
  CHECK_FALSE(can.transmit_time);
}

#endif

TEST_CASE("capabilities: are found once, and are Asio's protocols' too")
{
  CHECK(&capabilities(udp::v4()) == &capabilities(udp::v4()));
  CHECK(&capabilities(asio::ip::udp::v4()) == &capabilities(udp::v4()));
  CHECK(&capabilities(udp::v6()) != &capabilities(udp::v4()));
  CHECK(&capabilities(udp::dual()) != &capabilities(udp::v6()));
  CHECK(&capabilities() == &capabilities(udp::v4()));
}

TEST_CASE("capabilities: supports() asks about any option")
{
  const udp protocol = protocol_under_test();
  CHECK(supports<dgram::option::broadcast>(protocol));
  CHECK(supports<dgram::option::hop_limit>(protocol));
  CHECK(supports<dgram::option::multicast_interface>(protocol));
  CHECK(supports<asio::socket_base::reuse_address>(protocol));
  CHECK(supports<dgram::option::v6_only>(protocol) == (protocol != udp::v4()));
  CHECK(supports<dgram::option::coalescing>(protocol) == capabilities(protocol).coalescing);
  CHECK(supports<dgram::option::busy_poll>(protocol) ==
        takes(protocol, dgram::option::busy_poll(0)));
}

TEST_CASE("capabilities: supports() says why not")
{
  dgram::error_code ec;
  CHECK_FALSE(supports<dgram::option::v6_only>(udp::v4(), ec));
  CHECK(ec == asio::error::operation_not_supported);
  CHECK(supports<dgram::option::hop_limit>(udp::v4(), ec));
  CHECK_FALSE(ec);
#if DGRAM_HAS_UNIX_DATAGRAMS
  CHECK_FALSE(supports<dgram::option::hop_limit>(unix_dgram(), ec));
  CHECK(ec == asio::error::operation_not_supported);
  CHECK(supports<dgram::option::send_buffer_size>(unix_dgram()));
#endif
}

}  // namespace capabilities_test
