// SPDX-License-Identifier: BSL-1.0
// The emitter: calls that are given an endpoint in place of port and address, or of a path.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"
#include "support/temporary_directory.hpp"

#include <optional>
#include <string>

using test::thrown;
using test::trace;
using endpoint = dgram::udp::endpoint;

namespace {

endpoint here(std::uint16_t port)
{
  return {asio::ip::address_v4::loopback(), port};
}

}  // namespace

TEST_CASE("An endpoint is taken wherever port and address are", "[emitter][F25]")
{
  asio::io_context io;
  test::listener target(io);
  const endpoint peer = here(target.port);
  auto socket = dgram::create_socket(io, dgram::udp4);
  std::optional<dgram::error_code> bound;
  socket.bind(here(0), [&](dgram::error_code ec) { bound = ec; });
  test::run_until(io, [&] { return bound.has_value(); });
  CHECK_FALSE(*bound);
  CHECK(socket.address().address == here(0).address());

  CHECK(socket.send("one", peer));
  socket.send("a two", 2, 3, peer);
  socket.sendto("three", 0, 5, peer);
  std::size_t sent = 0;
  socket.send("four", peer, [&](dgram::error_code, std::size_t size) { sent = size; });
  socket.send({"fi", "ve"}, target.socket.address().endpoint());
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        const std::size_t six = co_await socket.send("six", peer, asio::use_awaitable);
        CHECK(six == 3);
        const std::size_t seven =
            co_await dgram::send_once(io, dgram::udp4, "seven", peer, asio::use_awaitable);
        CHECK(seven == 5);
      },
      asio::detached);
  test::run_until(io, [&] { return target.messages.size() == 7; });
  CHECK(target.messages == trace{"one", "two", "three", "four", "five", "six", "seven"});
  CHECK(sent == 4);

  bool connected = false;
  socket.connect(peer, [&] { connected = true; });
  test::run_until(io, [&] { return connected; });
  CHECK(socket.remote_address().endpoint() == peer);
  CHECK(thrown([&] { socket.send("x", peer); }) == asio::error::already_connected);
}

TEST_CASE("An endpoint is taken at once, too", "[emitter][F25]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  const auto local = socket.bind_sync(here(0));
  CHECK(local.address == here(0).address());
  socket.connect_sync(here(target.port));
  socket.send("connected");
  test::run_until(io, [&] { return !target.messages.empty(); });
  CHECK(target.senders.front().port == local.port);
}

TEST_CASE("An endpoint is checked as port and address are", "[emitter][F25]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { socket.send("x", here(0)); }) == dgram::error::bad_port);
  CHECK(thrown([&] { socket.connect(here(0)); }) == dgram::error::bad_port);
  CHECK(thrown([&] { socket.connect_sync(here(0)); }) == dgram::error::bad_port);
  const endpoint foreign(asio::ip::address_v6::loopback(), 9);
  CHECK(thrown([&] { socket.connect_sync(foreign); }) == asio::error::invalid_argument);
  std::optional<dgram::error_code> told;
  socket.send("x", foreign, [&](dgram::error_code ec) { told = ec; });
  test::run_until(io, [&] { return told.has_value(); });
  CHECK(*told == asio::error::invalid_argument);
  socket.close();
  CHECK(thrown([&] { socket.bind(here(0)); }) == dgram::error::not_running);
  CHECK(thrown([&] { socket.bind_sync(here(0)); }) == dgram::error::not_running);
}

#if DGRAM_HAS_UNIX_DATAGRAMS
TEST_CASE("An endpoint is taken wherever a path is", "[emitter][F25]")
{
  asio::io_context io;
  const test::temporary_directory directory;
  const dgram::unix_dgram::endpoint path(directory / "server");
  auto server = dgram::create_unix_socket(io);
  trace heard;
  server.on<test::event::message>([&](dgram::bytes_view message, const dgram::unix_remote_info&) {
    heard.emplace_back(message.text());
  });
  SECTION("to bind at once")
  {
    CHECK(server.bind_sync(path).address == path.path());
  }
  SECTION("to bind")
  {
    bool bound = false;
    server.bind(path, [&] { bound = true; });
    test::run_until(io, [&] { return bound; });
  }
  auto client = dgram::create_unix_socket(io);
  client.send("one", path);
  client.send("a two", 2, 3, path);
  test::run_until(io, [&] { return heard.size() == 2; });
  bool connected = false;
  client.connect(path, [&] { connected = true; });
  test::run_until(io, [&] { return connected; });
  client.send("three");
  test::run_until(io, [&] { return heard.size() == 3; });
  CHECK(heard == trace{"one", "two", "three"});

  const dgram::unix_dgram::endpoint unnamed;
  auto other = dgram::create_unix_socket(io);
  CHECK(thrown([&] { other.send("x", unnamed); }) == asio::error::invalid_argument);
  CHECK(thrown([&] { other.connect(unnamed); }) == asio::error::invalid_argument);
}
#endif
