// SPDX-License-Identifier: BSL-1.0
// How sockets come into being: protocols, configurations, moves and adopted descriptors.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <asio/ip/tcp.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

namespace create_test {

namespace {

using test::udp_socket;
namespace option = dgram::option;

bool is_size_or_double(std::size_t actual, std::size_t asked)
{
  return actual == asked || actual == 2 * asked;
}

}  // namespace

TEST_CASE("CRE-01: a protocol is UDP over IPv4, IPv6 or both, and nothing else", "[create]")
{
  // What other languages refuse at run time does not compile.
  STATIC_REQUIRE_FALSE(std::is_default_constructible_v<dgram::udp>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<dgram::udp, int>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<dgram::udp, asio::ip::tcp>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<udp_socket, asio::io_context&, int>);

  asio::io_context io;
  udp_socket socket(io);
  dgram::error_code ec;
  const test::raw_descriptor stream(AF_INET, SOCK_STREAM);
  std::vector<test::descriptor_type> others{stream.get()};
#if DGRAM_HAS_UNIX_DATAGRAMS
  const test::raw_descriptor local(AF_UNIX, SOCK_DGRAM);
  others.push_back(local.get());
#endif
  for (const test::descriptor_type descriptor : others) {
    socket.assign(dgram::udp::v4(), descriptor, ec);
    CHECK(ec == dgram::error::wrong_descriptor);
    CHECK_FALSE(socket.is_open());
  }
}

TEST_CASE("CRE-02: sockets are made from a protocol or a configuration and close unused",
          "[create]")
{
  asio::io_context io;
  const auto closes = [](udp_socket socket) {
    REQUIRE(socket.is_open());
    socket.close();
    CHECK_FALSE(socket.is_open());
  };
  closes(udp_socket(io, dgram::udp::v4()));
  closes(udp_socket(io, dgram::udp::v4(), {.reuse_address = true, .broadcast = true}));
  if (test::has_ipv6()) {
    closes(udp_socket(io, dgram::udp::v6()));
    closes(udp_socket(io, dgram::udp::dual()));
    closes(udp_socket(io, dgram::udp::v6(), {.reuse_address = true, .v6_only = true}));
    closes(udp_socket(io, dgram::udp::v6(), {.dual_stack = true}));
  }
  CHECK(io.poll() == 0);
}

TEST_CASE("CRE-03: a socket that was never opened has no descriptor and no address", "[create]")
{
  asio::io_context io;
  udp_socket socket(io);
  CHECK_FALSE(socket.is_open());
  CHECK(socket.native_handle() == test::no_descriptor);
  dgram::error_code ec;
  CHECK(socket.local_endpoint(ec) == test::endpoint());
  CHECK(ec == asio::error::bad_descriptor);
  CHECK_THROWS_WITH(socket.local_endpoint(), Catch::Matchers::StartsWith("local_endpoint"));
  CHECK_FALSE(socket.is_open());
}

TEST_CASE("CRE-04: an open socket has its family and takes options before it is bound", "[create]")
{
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v4());
  CHECK(socket.native_handle() != test::no_descriptor);
  CHECK(socket.local_endpoint() == test::endpoint(asio::ip::address_v4::any(), 0));
  socket.set_option(option::hop_limit(64));
  socket.set_option(option::broadcast(true));
  socket.set_option(option::multicast_hop_limit(4));
  socket.set_option(option::multicast_loopback(false));
  socket.set_option(
      option::multicast_interface(dgram::network_interface(asio::ip::address_v4::loopback())));
  option::hop_limit hops;
  socket.get_option(hops);
  CHECK(hops.value() == 64);
  socket.bind(test::loopback_v4());
  CHECK(socket.local_endpoint().address() == asio::ip::address_v4::loopback());
}

TEST_CASE("CRE-04: an open IPv6 socket shows its family before it is bound", "[create]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v6());
  CHECK(socket.native_handle() != test::no_descriptor);
  CHECK(socket.local_endpoint() == test::endpoint(asio::ip::address_v6::any(), 0));
}

TEST_CASE("CRE-05: an IPv6 socket does not bind to an IPv4 endpoint", "[create]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v6());
  dgram::error_code ec;
  socket.bind(test::loopback_v4(), ec);
  CHECK(ec == asio::error::invalid_argument);
  CHECK(socket.local_endpoint().port() == 0);
  socket.bind(test::loopback_v6(), ec);
  CHECK_FALSE(ec);

  // Taking both families is what a dual-stack socket is for.
  udp_socket both(io, dgram::udp::dual());
  both.bind(test::loopback_v4(), ec);
  CHECK_FALSE(ec);
  CHECK(both.local_endpoint().address() == asio::ip::address_v4::loopback());
}

TEST_CASE("CRE-07: buffer sizes of a configuration hold when the socket is there", "[create]")
{
  asio::io_context io;
  const dgram::socket_config config{.receive_buffer_size = 10000, .send_buffer_size = 15000};
  udp_socket unbound(io, dgram::udp::v4(), config);
  CHECK(is_size_or_double(unbound.get_receive_buffer_size(), 10000));
  CHECK(is_size_or_double(unbound.get_send_buffer_size(), 15000));
  udp_socket bound(io, test::loopback_v4(), config);
  CHECK(is_size_or_double(bound.get_receive_buffer_size(), 10000));
  CHECK(is_size_or_double(bound.get_send_buffer_size(), 15000));
}

TEST_CASE("CRE-08: an impossible buffer size is refused when the socket is opened", "[create]")
{
  asio::io_context io;
  for (const int size : {-1, -2147483647 - 1}) {
    for (const auto& config : {dgram::socket_config{.receive_buffer_size = size},
                               dgram::socket_config{.send_buffer_size = size}}) {
      udp_socket socket(io);
      dgram::error_code ec;
      socket.open(dgram::udp::v4(), config, ec);
      CHECK(ec == dgram::error::out_of_range);
      CHECK(ec == std::errc::invalid_argument);
      CHECK_FALSE(socket.is_open());
      CHECK_THROWS_AS(udp_socket(io, dgram::udp::v4(), config), dgram::system_error);
    }
  }
  udp_socket plain(io, dgram::udp::v4());
  udp_socket zero(io, dgram::udp::v4(), {.receive_buffer_size = 0, .send_buffer_size = 0});
  CHECK(zero.get_receive_buffer_size() == plain.get_receive_buffer_size());
  CHECK(zero.get_send_buffer_size() == plain.get_send_buffer_size());
}

TEST_CASE("CRE-12: sockets are made from a context or an executor, with or without address",
          "[create]")
{
  asio::io_context io;
  CHECK_FALSE(udp_socket(io).is_open());
  CHECK_FALSE(udp_socket(io.get_executor()).is_open());
  udp_socket opened(io.get_executor(), dgram::udp::v4());
  CHECK(opened.is_open());
  CHECK(opened.get_executor() == io.get_executor());
  CHECK(udp_socket(io, test::loopback_v4()).local_endpoint().port() > 0);
  CHECK(udp_socket(io.get_executor(), test::loopback_v4()).local_endpoint().port() > 0);
}

TEST_CASE("CRE-12: the socket that is moved to owns the descriptor", "[create]")
{
  asio::io_context io;
  udp_socket first(io, test::loopback_v4());
  const test::descriptor_type descriptor = first.native_handle();
  const auto address = first.local_endpoint();

  udp_socket second(std::move(first));
  CHECK(second.native_handle() == descriptor);
  CHECK(second.local_endpoint() == address);
  CHECK_FALSE(first.is_open());  // NOLINT(*-use-after-move): that it is usable is what is tested
  first.open();
  CHECK(first.is_open());

  const test::reserved_port port;
  const auto given_up = test::loopback_v4(port.number());
  udp_socket third(io, given_up);
  third = std::move(second);
  CHECK(third.native_handle() == descriptor);
  // What the assigned-to socket had is closed, so that its port is free.
  CHECK_NOTHROW(udp_socket(io, given_up));

  dgram::basic_socket<dgram::udp, asio::io_context::executor_type> concrete(io,
                                                                            test::loopback_v4());
  const test::descriptor_type other = concrete.native_handle();
  udp_socket erased(std::move(concrete));
  CHECK(erased.native_handle() == other);
}

TEST_CASE("CRE-12: an adopted descriptor makes the socket open", "[create]")
{
  asio::io_context io;
  test::raw_descriptor raw(AF_INET, SOCK_DGRAM);
  const test::descriptor_type descriptor = raw.get();
  udp_socket constructed(io, dgram::udp::v4(), raw.release());
  CHECK(constructed.is_open());
  CHECK(constructed.native_handle() == descriptor);

  udp_socket assigned(io);
  assigned.assign(dgram::udp::v4(), constructed.release());
  CHECK(assigned.is_open());
  CHECK(assigned.native_handle() == descriptor);
  CHECK_FALSE(constructed.is_open());
}

}  // namespace create_test
