// SPDX-License-Identifier: BSL-1.0
// Connecting and disconnecting: who is sent to, who is heard, and what the states allow.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#if !defined(_WIN32)
#include <sys/resource.h>
#endif

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace connect_test {

namespace {

using test::udp_socket;

dgram::error_code connect_error(udp_socket& socket, const test::endpoint& peer)
{
  dgram::error_code ec;
  socket.connect(peer, ec);
  return ec;
}

dgram::error_code disconnect_error(udp_socket& socket)
{
  dgram::error_code ec;
  socket.disconnect(ec);
  return ec;
}

dgram::error_code remote_error(udp_socket& socket)
{
  dgram::error_code ec;
  CHECK(socket.remote_endpoint(ec) == test::endpoint());
  return ec;
}

/// What every way of sending without a destination reports.
void check_sends_refused(asio::io_context& io, udp_socket& socket,
                         const dgram::error_code& expected)
{
  const auto payload = test::text_buffer("x");
  dgram::error_code ec;
  CHECK(socket.send(payload, 0, ec) == 0);
  CHECK(ec == expected);
  CHECK(socket.try_send(payload, ec) == 0);
  CHECK(ec == expected);
  std::optional<dgram::error_code> completed;
  socket.async_send(payload, [&](dgram::error_code failure, std::size_t size) {
    completed = failure;
    CHECK(size == 0);
  });
  CHECK_FALSE(completed);
  test::run_until(io, [&] { return completed.has_value(); });
  CHECK(*completed == expected);
  dgram::send_batch batch(1);
  batch.push("x");
  const auto result = socket.try_send_batch(batch);
  CHECK(result.sent == 0);
  CHECK(result.error == expected);
}

/// Every way of sending one datagram with a destination reaches it, a batch with one does not leave.
[[maybe_unused]] void check_sends_to(asio::io_context& io, udp_socket& socket, udp_socket& receiver)
{
  const auto payload = test::text_buffer("x");
  const auto to = receiver.local_endpoint();
  const auto from = socket.local_endpoint();
  const dgram::reply_path path{.peer = to};
  const auto arrives = [&](std::size_t sent) {
    CHECK(sent == 1);
    const auto got = test::receive(io, receiver);
    CHECK(got.text == "x");
    CHECK(got.sender == from);
    CHECK(socket.remote_endpoint() != to);
  };
  const auto completes = [&](auto&&... arguments) {
    std::optional<std::size_t> completed;
    socket.async_send_to(payload, arguments..., [&](dgram::error_code ec, std::size_t size) {
      CHECK_FALSE(ec);
      completed = size;
    });
    CHECK_FALSE(completed);
    test::run_until(io, [&] { return completed.has_value(); });
    return *completed;
  };
  arrives(socket.send_to(payload, to));
  arrives(socket.try_send_to(payload, to).value());
  arrives(completes(to));
  arrives(socket.send_to(payload, to, {.hop_limit = 3}));
  arrives(socket.try_send_to(payload, to, {.hop_limit = 3}).value());
  arrives(completes(to, dgram::send_options{.hop_limit = 3}));
  arrives(socket.send_to(payload, path));
  arrives(socket.try_send_to(payload, path).value());
  arrives(completes(path));
  dgram::send_batch batch(1);
  batch.push("x", to);
  CHECK(socket.try_send_batch(batch).error == asio::error::already_connected);
  CHECK(test::nothing_queued(receiver));
}

void check_destinations(asio::io_context& io, const test::endpoint& local)
{
  udp_socket peer(io, local);
  udp_socket socket(io, local);
  socket.connect(peer.local_endpoint());
#if defined(__linux__)
  udp_socket another(io, local);
  check_sends_to(io, socket, another);
#endif
  CHECK(test::nothing_queued(peer));
  CHECK(socket.send(test::text_buffer("12345")) == 5);
  CHECK(test::receive(io, peer).text == "12345");

  udp_socket unconnected(io, local);
  check_sends_refused(io, unconnected, test::system_error_code(EDESTADDRREQ));
  CHECK(remote_error(unconnected) == asio::error::not_connected);
  CHECK(disconnect_error(unconnected) == asio::error::not_connected);
}

}  // namespace

TEST_CASE("CON-01: connecting an unbound socket binds it and completes later", "[connect]")
{
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  std::optional<dgram::error_code> completed;
  socket.async_connect(peer.local_endpoint(), [&](dgram::error_code ec) { completed = ec; });
  CHECK_FALSE(completed);
  test::run(io);
  REQUIRE(completed);
  CHECK_FALSE(*completed);
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
  CHECK(socket.local_endpoint().port() > 0);
}

TEST_CASE("CON-01: connecting a closed socket opens it with the peer's family", "[connect]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v6());
  udp_socket socket(io);
  socket.connect(peer.local_endpoint());
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
  CHECK(socket.local_endpoint().address() == asio::ip::address_v6::loopback());
  CHECK(socket.local_endpoint().port() > 0);
}

TEST_CASE("CON-02: connecting again while the completion is queued replaces the peer", "[connect]")
{
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  const udp_socket other(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  std::optional<dgram::error_code> completed;
  socket.async_connect(peer.local_endpoint(), [&](dgram::error_code ec) { completed = ec; });
  CHECK_FALSE(connect_error(socket, other.local_endpoint()));
  test::run(io);
  REQUIRE(completed);
  CHECK_FALSE(*completed);
  CHECK(socket.remote_endpoint() == other.local_endpoint());
}

TEST_CASE("CON-02: disconnecting while the completion is queued undoes the connect", "[connect]")
{
  // The kernel connects at once, so there is an association to end from the start.
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  int completions = 0;
  socket.async_connect(peer.local_endpoint(), [&](dgram::error_code ec) {
    CHECK_FALSE(ec);
    ++completions;
  });
  CHECK_FALSE(disconnect_error(socket));
  test::run(io);
  CHECK(completions == 1);
  CHECK(remote_error(socket) == asio::error::not_connected);
}

TEST_CASE("CON-03: port 0 is nobody to connect to, in any state", "[connect]")
{
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  CHECK(connect_error(socket, test::loopback_v4(0)) == dgram::error::bad_port);
  CHECK(remote_error(socket) == asio::error::not_connected);
  // Linux takes port 0 and is not connected then: the socket may not think otherwise.
  CHECK_FALSE(connect_error(socket, peer.local_endpoint()));
  CHECK(connect_error(socket, test::loopback_v4(0)) == dgram::error::bad_port);
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
}

TEST_CASE("CON-03: a port that does not exist is refused before there is an endpoint", "[connect]")
{
  dgram::error_code ec;
  dgram::parse_endpoint("127.0.0.1:78960", ec);
  CHECK(ec == dgram::error::bad_port);
  dgram::parse_endpoint("127.0.0.1:", ec);
  CHECK(ec == dgram::error::bad_port);
}

TEST_CASE("CON-04: a connected socket takes another peer, in every way of connecting", "[connect]")
{
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket other(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  socket.connect(peer.local_endpoint());
  const auto local = socket.local_endpoint();
  CHECK_FALSE(connect_error(socket, other.local_endpoint()));
  CHECK(socket.remote_endpoint() == other.local_endpoint());
  CHECK_FALSE(connect_error(socket, peer.local_endpoint()));
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
  std::optional<dgram::error_code> completed;
  const auto note = [&](dgram::error_code ec) { completed = ec; };
  SECTION("async_connect")
  {
    socket.async_connect(other.local_endpoint(), note);
  }
  SECTION("async_connect by name")
  {
    dgram::async_connect(socket, "127.0.0.1", std::to_string(other.local_endpoint().port()), note);
  }
  CHECK_FALSE(completed);
  test::run(io);
  REQUIRE(completed);
  CHECK_FALSE(*completed);
  CHECK(socket.remote_endpoint() == other.local_endpoint());
  CHECK(socket.local_endpoint() == local);
  socket.send(test::text_buffer("hello"));
  CHECK(test::receive(io, other).text == "hello");
  other.send_to(test::text_buffer("hello"), local);
  CHECK(test::receive(io, socket).sender == other.local_endpoint());
}

TEST_CASE("CON-05: disconnect works once, and connect works again", "[connect]")
{
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket other(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  socket.connect(peer.local_endpoint());
  CHECK_FALSE(disconnect_error(socket));
  CHECK(disconnect_error(socket) == asio::error::not_connected);
  CHECK(remote_error(socket) == asio::error::not_connected);
  CHECK_FALSE(connect_error(socket, other.local_endpoint()));
  CHECK(socket.remote_endpoint() == other.local_endpoint());
  socket.send(test::text_buffer("to the other"));
  CHECK(test::receive(io, other).text == "to the other");
  CHECK(test::nothing_queued(peer));
}

TEST_CASE("CON-05: a disconnected socket hears everybody again", "[connect]")
{
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket stranger(io, test::loopback_v4());
  udp_socket socket(io, test::loopback_v4());
  const auto port = socket.local_endpoint().port();
  socket.connect(peer.local_endpoint());
  socket.disconnect();
  CHECK(socket.local_endpoint().port() == port);
  stranger.send_to(test::text_buffer("hello"), test::loopback_v4(port));
  CHECK(test::receive(io, socket).sender == stranger.local_endpoint());
}

TEST_CASE("CON-06: only a connected socket has a remote address", "[connect]")
{
  asio::io_context io;
  udp_socket socket(io, test::loopback_v4());
  CHECK(remote_error(socket) == asio::error::not_connected);
  socket.close();
  CHECK(remote_error(socket) == asio::error::bad_descriptor);
}

TEST_CASE("CON-09: an IPv4 socket does not connect to an IPv6 peer", "[connect]")
{
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v4());
  CHECK(connect_error(socket, test::loopback_v6(9)) == asio::error::address_family_not_supported);
  CHECK(remote_error(socket) == asio::error::not_connected);
}

TEST_CASE("CON-11: the port stays while the socket is connected to one peer and then another",
          "[connect]")
{
  asio::io_context io;
  const udp_socket first(io, test::loopback_v4());
  const udp_socket second(io, test::loopback_v4());
  udp_socket unbound(io, dgram::udp::v4());
  udp_socket bound(io, test::loopback_v4());
  const auto local = bound.local_endpoint();
  for (udp_socket* socket : {&unbound, &bound}) {
    socket->connect(first.local_endpoint());
    CHECK(socket->remote_endpoint() == first.local_endpoint());
    CHECK(socket->local_endpoint().port() > 0);
    socket->disconnect();
    socket->connect(second.local_endpoint());
    CHECK(socket->remote_endpoint() == second.local_endpoint());
  }
  CHECK(bound.local_endpoint() == local);
}

TEST_CASE("CON-12: a connect completes once though the socket is closed in the same turn",
          "[connect]")
{
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, test::loopback_v4());
  int completions = 0;
  socket.async_connect(peer.local_endpoint(), [&](dgram::error_code ec) {
    // It had happened before the close.
    CHECK_FALSE(ec);
    ++completions;
  });
  socket.close();
  test::run(io);
  CHECK(completions == 1);
  CHECK_FALSE(socket.is_open());
}

TEST_CASE("CON-13: a peer that does not parse leaves the socket as it was", "[connect]")
{
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  const auto connect = [&](const char* text) { socket.connect(dgram::parse_endpoint(text)); };
  try {
    connect("localhost:9");
    FAIL("a name was taken for an address");
  } catch (const dgram::system_error& failure) {
    CHECK(failure.code() == dgram::error::bad_address);
  }
  try {
    connect("127.0.0.1:-1");
    FAIL("a port was taken that does not exist");
  } catch (const dgram::system_error& failure) {
    CHECK(failure.code() == dgram::error::bad_port);
  }
  CHECK(socket.local_endpoint().port() == 0);
  CHECK_FALSE(connect_error(socket, peer.local_endpoint()));
}

TEST_CASE("CON-16: connecting to the wildcard reaches this host", "[connect]")
{
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  socket.connect({asio::ip::address_v4::any(), peer.local_endpoint().port()});
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
  socket.send(test::text_buffer("hello"));
  CHECK(test::receive(io, peer).text == "hello");
}

TEST_CASE("CON-16: connecting to the IPv6 wildcard reaches this host", "[connect]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp_socket peer(io, test::loopback_v6());
  udp_socket socket(io, dgram::udp::v6());
  socket.connect({asio::ip::address_v6::any(), peer.local_endpoint().port()});
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
  socket.send(test::text_buffer("hello"));
  CHECK(test::receive(io, peer).text == "hello");
}

TEST_CASE("CON-17: a connected socket may name another destination, an unconnected one has to",
          "[connect]")
{
  asio::io_context io;
  check_destinations(io, test::loopback_v4());
}

TEST_CASE("CON-17: a connected IPv6 socket may name another destination, an unconnected one has to",
          "[connect]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  check_destinations(io, test::loopback_v6());
}

TEST_CASE("CON-19: an adopted descriptor that is connected is known to be", "[connect]")
{
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  test::raw_descriptor raw(AF_INET, SOCK_DGRAM);
  raw.connect(peer.local_endpoint());
  udp_socket socket(io);
  socket.assign(dgram::udp::v4(), raw.release());
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
  socket.send(test::text_buffer("hello"));
  CHECK(test::receive(io, peer).text == "hello");
  CHECK_FALSE(disconnect_error(socket));
}

TEST_CASE("CON-20: a connected socket hears its peer and no stranger", "[connect]")
{
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket stranger(io, test::loopback_v4());
  udp_socket socket(io, test::loopback_v4());
  socket.connect(peer.local_endpoint());
  stranger.send_to(test::text_buffer("stranger"), socket.local_endpoint());
  peer.send_to(test::text_buffer("peer"), socket.local_endpoint());
  const auto got = test::receive(io, socket);
  CHECK(got.text == "peer");
  CHECK(got.sender == peer.local_endpoint());
  CHECK(test::nothing_queued(socket));
}

TEST_CASE("CON-22: a reply from another port of the peer's is not heard", "[connect]")
{
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket other_port(io, test::loopback_v4());
  udp_socket socket(io, test::loopback_v4());
  socket.connect(peer.local_endpoint());
  socket.send(test::text_buffer("request"));
  const auto request = test::receive(io, peer);
  other_port.send_to(test::text_buffer("reply"), request.sender);
  CHECK(test::nothing_queued(socket));
}

TEST_CASE("CON-23: connecting fixes the address of a wildcard socket, not its port", "[connect]")
{
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, {dgram::udp::v4(), 0});
  const auto port = socket.local_endpoint().port();
  REQUIRE(socket.local_endpoint().address() == asio::ip::address_v4::any());
  socket.connect(peer.local_endpoint());
  CHECK(socket.local_endpoint() == test::loopback_v4(port));
}

TEST_CASE("CON-25: after a disconnect a send needs a destination again", "[connect]")
{
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  socket.connect(peer.local_endpoint());
  socket.disconnect();
  check_sends_refused(io, socket, test::system_error_code(EDESTADDRREQ));
  socket.send_to(test::text_buffer("addressed"), peer.local_endpoint());
  CHECK(test::receive(io, peer).text == "addressed");
}

TEST_CASE("CON-27: connect opens a closed socket again, disconnect does not", "[connect]")
{
  // As Asio's connect does; so a closed socket is not an error here.
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  socket.connect(peer.local_endpoint());
  socket.close();
  CHECK(disconnect_error(socket) == asio::error::bad_descriptor);
  CHECK_FALSE(socket.is_open());
  CHECK_FALSE(connect_error(socket, peer.local_endpoint()));
  CHECK(socket.is_open());
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
}

TEST_CASE("CON-28: the lowest and the highest port are ports", "[connect]")
{
  asio::io_context io;
  for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{65535}}) {
    udp_socket socket(io, dgram::udp::v4());
    socket.connect(test::loopback_v4(port));
    CHECK(socket.remote_endpoint().port() == port);
  }
}

TEST_CASE("D3: a connect that failed completes with its error and leaves the socket usable",
          "[connect]")
{
  asio::io_context io;
  const udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  std::optional<dgram::error_code> completed;
  socket.async_connect(test::loopback_v6(9), [&](dgram::error_code ec) { completed = ec; });
  test::run(io);
  REQUIRE(completed);
  CHECK(*completed == asio::error::address_family_not_supported);
  CHECK(disconnect_error(socket) == asio::error::not_connected);
  CHECK_FALSE(connect_error(socket, peer.local_endpoint()));
  CHECK(socket.remote_endpoint() == peer.local_endpoint());
}

#if !defined(_WIN32)

TEST_CASE("a connect that can open no socket says so, and the socket stays closed", "[connect]")
{
  asio::io_context io;
  udp_socket socket(io);
  ::rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  ::rlimit none = before;
  none.rlim_cur = 0;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const dgram::error_code ec = connect_error(socket, test::loopback_v4(9));
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(ec == asio::error::no_descriptors);
  CHECK_FALSE(socket.is_open());
  CHECK_FALSE(connect_error(socket, test::loopback_v4(9)));
}

#endif

}  // namespace connect_test
