// SPDX-License-Identifier: BSL-1.0
// One peer after another: what is forgotten of the old one, what the kernel keeps, and what reconnect avoids.
#include "behaviour/helpers.hpp"

#include "support/temporary_directory.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace reconnect_test {

namespace {

using test::udp_socket;

enum class way : std::uint8_t { connect, async_connect, reconnect };

/// Replaces the peer.
dgram::error_code replace_peer(way how, asio::io_context& io, udp_socket& socket,
                               const test::endpoint& peer)
{
  dgram::error_code ec;
  if (how == way::connect) {
    socket.connect(peer, ec);
  } else if (how == way::reconnect) {
    socket.reconnect(peer, ec);
  } else {
    std::optional<dgram::error_code> completed;
    socket.async_connect(peer, [&](dgram::error_code failure) { completed = failure; });
    test::run_until(io, [&] { return completed.has_value(); });
    ec = *completed;
  }
  return ec;
}

/// Calls report errors of the path everywhere. Reports need an error queue.
bool possible(bool reports)
{
  return !reports || dgram::capabilities(dgram::udp::v4()).receive_error;
}

dgram::error_code try_receive_error(udp_socket& socket)
{
  std::array<char, 16> storage{};
  dgram::error_code ec;
  socket.try_receive(asio::buffer(storage), ec);
  return ec;
}

}  // namespace

TEST_CASE("CON-31: what was known of the old peer does not come to calls about the new one",
          "[connect]")
{
  const way how = GENERATE(way::connect, way::async_connect, way::reconnect);
  const bool reports = GENERATE(false, true);
  if (!possible(reports)) return;
  // The error may be the kernel's still, or taken from it already.
  const bool taken = GENERATE(false, true);
  CAPTURE(int(how), reports, taken);
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  if (reports) socket.set_option(dgram::option::receive_error(true));
  socket.connect(test::dead_endpoint());
  CHECK(socket.send(test::text_buffer("x")) == 1);
  if (taken)
    CHECK(try_receive_error(socket) ==
          (reports ? asio::error::would_block : asio::error::connection_refused));
  REQUIRE_FALSE(replace_peer(how, io, socket, peer.local_endpoint()));
  CHECK(try_receive_error(socket) == asio::error::would_block);
  dgram::error_code ec;
  CHECK(socket.send(test::text_buffer("hello"), 0, ec) == 5);
  CHECK_FALSE(ec);
  CHECK(test::receive(io, peer).text == "hello");
  socket.try_receive_error(ec);
  CHECK(ec == (reports ? asio::error::would_block : asio::error::operation_not_supported));
}

#if defined(__linux__)

TEST_CASE("CON-32: a connect that fails leaves the old peer, and what is known of it", "[connect]")
{
  if (!dgram::capabilities(dgram::udp::v4()).receive_error) SKIP("no error queue here");
  const bool async = GENERATE(false, true);
  // Refused by Asio's form, by the kernel, and by us.
  const auto refused =
      GENERATE(test::loopback_v6(9), test::endpoint(asio::ip::address_v4::broadcast(), 9),
               test::loopback_v4(0));
  CAPTURE(async, dgram::to_string(refused));
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v4());
  socket.set_option(dgram::option::receive_error(true));
  const auto old = test::dead_endpoint();
  socket.connect(old);
  CHECK(socket.send(test::text_buffer("x")) == 1);
  CHECK(replace_peer(async ? way::async_connect : way::connect, io, socket, refused));
  CHECK(socket.remote_endpoint() == old);
  dgram::error_code ec;
  CHECK(socket.try_receive_error(ec).peer == old);
  CHECK_FALSE(ec);
  dgram::send_batch batch(1);
  batch.push("y");
  CHECK(socket.try_send_batch(batch).sent == 1);
}

TEST_CASE("CON-33: datagrams of the old peer still come after connect, not after reconnect",
          "[connect]")
{
  const way how = GENERATE(way::connect, way::async_connect, way::reconnect);
  const bool was_connected = GENERATE(true, false);
  CAPTURE(int(how), was_connected);
  asio::io_context io;
  udp_socket old(io, test::loopback_v4());
  udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, test::loopback_v4());
  const auto local = socket.local_endpoint();
  if (was_connected) socket.connect(old.local_endpoint());
  for (const char* text : {"1", "2", ""})
    old.send_to(test::text_buffer(text), local);
  REQUIRE_FALSE(replace_peer(how, io, socket, peer.local_endpoint()));
  if (how != way::reconnect || !was_connected)
    for (const char* text : {"1", "2", ""}) {
      const auto got = test::receive(io, socket);
      CHECK(got.text == text);
      CHECK(got.sender == old.local_endpoint());
    }
  CHECK(test::nothing_queued(socket));
  old.send_to(test::text_buffer("late"), local);
  peer.send_to(test::text_buffer("new"), local);
  CHECK(test::receive(io, socket).text == "new");
  CHECK(test::nothing_queued(socket));
  CHECK(socket.local_endpoint() == local);
}

TEST_CASE("CON-34: a dual-stack socket goes from IPv4 to IPv6 by reconnect only", "[connect]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp_socket four(io, test::loopback_v4());
  udp_socket six(io, test::loopback_v6());
  udp_socket socket(io, dgram::udp::dual());
  socket.connect(four.local_endpoint());
  dgram::error_code ec;
  socket.connect(six.local_endpoint(), ec);
  CHECK(ec == asio::error::address_family_not_supported);
  CHECK(socket.remote_endpoint() == four.local_endpoint());
  socket.send_to(test::text_buffer("x"), six.local_endpoint(), 0, ec);
  CHECK(ec == asio::error::address_family_not_supported);
  const auto port = socket.local_endpoint().port();

  socket.reconnect(six.local_endpoint());
  CHECK(socket.remote_endpoint() == six.local_endpoint());
  CHECK(socket.local_endpoint().port() == port);
  socket.send(test::text_buffer("hello"));
  CHECK(test::receive(io, six).text == "hello");
  socket.reconnect(four.local_endpoint());
  socket.send(test::text_buffer("hello"));
  CHECK(test::receive(io, four).sender.port() == port);
}

TEST_CASE("CON-35: an answer or error of another than the peer does not come to a connected socket",
          "[connect]")
{
  const bool reports = GENERATE(false, true);
  if (!possible(reports)) return;
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket other(io, test::loopback_v4());
  udp_socket socket(io, test::loopback_v4());
  if (reports) socket.set_option(dgram::option::receive_error(true));
  socket.connect(peer.local_endpoint());
  socket.send_to(test::text_buffer("request"), other.local_endpoint());
  const auto request = test::receive(io, other);
  CHECK(request.sender == socket.local_endpoint());
  other.send_to(test::text_buffer("answer"), request.sender);
  socket.send_to(test::text_buffer("request"), test::dead_endpoint());
  CHECK(try_receive_error(socket) == asio::error::would_block);
  CHECK(socket.send(test::text_buffer("still")) == 5);
  CHECK(test::receive(io, peer).text == "still");
}

#endif

TEST_CASE("CON-36: reconnect is connect where there is no peer, and refuses port 0 in any state",
          "[connect]")
{
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket closed(io);
  closed.reconnect(peer.local_endpoint());
  CHECK(closed.remote_endpoint() == peer.local_endpoint());
  udp_socket open(io, test::loopback_v4());
  open.reconnect(peer.local_endpoint());
  CHECK(open.remote_endpoint() == peer.local_endpoint());
  dgram::error_code ec;
  open.reconnect(test::loopback_v4(0), ec);
  CHECK(ec == dgram::error::bad_port);
  CHECK(open.remote_endpoint() == peer.local_endpoint());
  // The old peer is given up before the new one is tried.
  open.reconnect(test::loopback_v6(9), ec);
  CHECK(ec == asio::error::address_family_not_supported);
  open.remote_endpoint(ec);
  CHECK(ec == asio::error::not_connected);
  open.send_to(test::text_buffer("hello"), peer.local_endpoint());
  CHECK(test::receive(io, peer).text == "hello");
}

#if DGRAM_HAS_UNIX_DATAGRAMS && defined(__linux__)

TEST_CASE("CON-37: a full peer of a connected Unix socket does not hold up sends to another",
          "[connect][unix]")
{
  using unix_socket = dgram::unix_dgram::socket;
  const bool blocking = GENERATE(false, true);
  CAPTURE(blocking);
  test::temporary_directory directory;
  asio::io_context io;
  const std::string full_path = directory.path() + "/full";
  const std::string other_path = directory.path() + "/other";
  unix_socket full(io, full_path);
  unix_socket other(io, other_path);
  unix_socket socket(io, dgram::unix_dgram());
  socket.connect(full_path);
  dgram::error_code ec;
  while (!ec)
    socket.try_send(test::text_buffer("x"), ec);
  REQUIRE(ec == asio::error::would_block);
  const dgram::unix_dgram::endpoint to(other_path);
  std::size_t sent = 0;
  if (blocking)
    sent = socket.send_to(test::text_buffer("hello"), to);
  else
    socket.async_send_to(test::text_buffer("hello"), to,
                         [&](dgram::error_code, std::size_t size) { sent = size; });
  test::run(io);
  CHECK(sent == 5);
  std::array<char, 16> storage{};
  CHECK(other.try_receive(asio::buffer(storage)) == 5);

  // And one that is full itself is waited for, though the descriptor is writable.
  ec.clear();
  while (!ec)
    socket.try_send_to(test::text_buffer("x"), to, ec);
  REQUIRE(ec == asio::error::would_block);
  std::optional<dgram::error_code> outcome;
  socket.async_send_to(test::text_buffer("last"), to,
                       [&](dgram::error_code failure, std::size_t) { outcome = failure; });
  test::run_ready(io);
  CHECK_FALSE(outcome);
  for (ec.clear(); !ec;)
    other.try_receive(asio::buffer(storage), ec);
  test::run_until(io, [&] { return outcome.has_value(); });
  CHECK_FALSE(*outcome);
}

#endif

}  // namespace reconnect_test
