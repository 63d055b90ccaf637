// SPDX-License-Identifier: BSL-1.0
// The emitter: endpoints in place of addresses, and addresses of the wrong family, in each call that takes one.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"

#include <asio/use_future.hpp>

#include <unistd.h>

#include <catch2/generators/catch_generators.hpp>

#include <functional>
#include <map>
#include <string>

using asio::ip::address_v4;
using asio::ip::address_v6;
using endpoint = asio::ip::udp::endpoint;
using test::run_until;
using test::thrown;

TEST_CASE("Each call that takes an address takes an endpoint", "[emitter][F25]")
{
  asio::io_context io;
  const bool v6 = GENERATE(false, true);
  if (v6 && !test::has_ipv6()) SKIP("this host has no IPv6 loopback");
  const auto type = v6 ? dgram::udp6 : dgram::udp4;
  const asio::ip::address loopback =
      v6 ? asio::ip::address(address_v6::loopback()) : asio::ip::address(address_v4::loopback());
  int messages = 0;
  auto server = dgram::create_socket(io, type, [&] { ++messages; });
  const dgram::address_info local = server.bind_sync(endpoint(loopback, 0));
  CHECK(local.address == loopback);
  const endpoint to = local.endpoint();

  auto bound = dgram::create_socket(io, type);
  int calls = 0;
  bound.bind(endpoint(loopback, 0), [&] { ++calls; });
  run_until(io, [&] { return calls == 1; });
  CHECK(bound.address().address == loopback);

  auto client = dgram::create_socket(io, type);
  const auto count = [&](dgram::error_code ec, std::size_t size) {
    CHECK_FALSE(ec);
    messages += size == 4 ? 0 : 100;
  };
  client.send("ping", to);
  client.send("ping", to, count);
  client.send("ping", local);  // what `address` returns
  client.send("a ping", 2, 4, to, count);
  client.sendto("a ping", 2, 4, to);
  auto future = client.send("ping", to, asio::use_future);
  auto once = dgram::send_once(io, type, "ping", to, asio::use_future);
  run_until(io, [&] { return messages == 7; });
  CHECK(future.get() == 4);
  CHECK(once.get() == 4);

  auto connected = dgram::create_socket(io, type);
  connected.connect(to, [&](dgram::error_code ec) {
    CHECK_FALSE(ec);
    ++calls;
  });
  run_until(io, [&] { return calls == 2; });
  CHECK(connected.remote_address().endpoint() == to);
  connected.disconnect();
  connected.connect_sync(to);
  CHECK(connected.remote_address().endpoint() == to);
  connected.send("ping");
  run_until(io, [&] { return messages == 8; });

  // A port that is none is refused as one that is given by itself.
  CHECK(thrown([&] { client.send("ping", endpoint(loopback, 0)); }) == dgram::error::bad_port);
  CHECK(thrown([&] { client.connect(endpoint(loopback, 0)); }) == dgram::error::bad_port);
  CHECK(thrown([&] { client.connect_sync(endpoint(loopback, 0)); }) == dgram::error::bad_port);
  CHECK(thrown([&] { connected.send("ping", to); }) == asio::error::already_connected);
}

#if DGRAM_HAS_UNIX_DATAGRAMS
TEST_CASE("Each call of a Unix socket takes an endpoint", "[emitter][F25]")
{
  asio::io_context io;
  const auto name = "@dgram-endpoints-" + std::to_string(::getpid());
  const auto to = dgram::parse_unix_endpoint(name);
  int messages = 0;
  auto server = dgram::create_unix_socket(io, [&] { ++messages; });
  server.bind_sync(to);
  auto client = dgram::create_unix_socket(io);
  client.send("ping", to);
  client.send("ping", server.address(), [&](dgram::error_code ec) { CHECK_FALSE(ec); });
  client.send("a ping", 2, 4, to);
  auto connected = dgram::create_unix_socket(io);
  int calls = 0;
  connected.connect(to, [&] { ++calls; });
  auto other = dgram::create_unix_socket(io);
  other.bind(dgram::parse_unix_endpoint(name + "-2"), [&] { ++calls; });
  run_until(io, [&] { return calls == 2 && messages == 3; });
  CHECK(connected.remote_address().endpoint() == to);
}
#endif

TEST_CASE("Each call with an address of the other family is EINVAL, at the call or reported",
          "[emitter][F20]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  const bool v6 = GENERATE(false, true);
  const auto type = v6 ? dgram::udp6 : dgram::udp4;
  const std::string foreign = v6 ? "127.0.0.1" : "::1";
  const auto address = dgram::parse_address(foreign);
  const endpoint at(address, 9);
  const bool spelled = GENERATE(true, false);

  // At the call.
  const auto fails_now = [&](const auto& call) {
    auto socket = dgram::create_socket(io, type);
    CHECK(thrown([&] { call(socket); }) == asio::error::invalid_argument);
    // It was not changed, and works.
    CHECK_FALSE(socket.state().connected);
    CHECK_NOTHROW(socket.close());
  };
  fails_now(
      [&](auto& s) { spelled ? s.bind_sync(0, foreign) : s.bind_sync(endpoint(address, 0)); });
  fails_now([&](auto& s) { s.bind_sync({.port = 0, .address = foreign}); });
  fails_now([&](auto& s) { spelled ? s.connect_sync(9, foreign) : s.connect_sync(at); });

  // Reported, to the callback or else as an 'error' event.
  const auto fails_later = [&](const auto& call) {
    for (const bool called_back : {true, false}) {
      auto socket = dgram::create_socket(io, type);
      dgram::failure failed;
      socket.template on<dgram::event::error>([&](const dgram::failure& why) { failed = why; });
      const auto note = [&](const dgram::failure& why) { failed = why; };
      CHECK_NOTHROW(called_back ? call(socket, note) : call(socket));
      run_until(io, [&] { return static_cast<bool>(failed); });
      CHECK(failed.code == asio::error::invalid_argument);
      CHECK(failed.address == foreign);
      // The next one with an address of its own works.
      int done = 0;
      socket.template remove_all<dgram::event::error>();
      if (socket.state().bound)
        socket.connect(9, [&] { ++done; });
      else
        socket.bind(0, [&] { ++done; });
      run_until(io, [&] { return done == 1; });
    }
  };
  fails_later([&](auto& s, auto... note) {
    if (spelled)
      s.bind(0, foreign, note...);
    else
      s.bind(endpoint(address, 0), note...);
  });
  fails_later([&](auto& s, auto... note) {
    if (spelled)
      s.connect(9, foreign, note...);
    else
      s.connect(at, note...);
  });
  fails_later([&](auto& s, auto... note) {
    if (spelled)
      s.send("ping", 9, address, note...);
    else
      s.send("ping", at, note...);
  });
}
