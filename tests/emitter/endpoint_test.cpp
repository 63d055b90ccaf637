// SPDX-License-Identifier: BSL-1.0
// The emitter: endpoints in place of addresses, and addresses of the wrong family, in each call that takes one.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"

#include <asio/use_future.hpp>

#include <unistd.h>

#include <catch2/generators/catch_generators.hpp>

#include <cstdint>
#include <string>

namespace endpoint_test {

using asio::ip::address_v4;
using asio::ip::address_v6;
using endpoint = asio::ip::udp::endpoint;
using test::run_until;
using test::thrown;
using test::trace;

TEST_CASE("Each call that takes an address takes an endpoint", "[emitter][F25]")
{
  asio::io_context io;
  const bool v6 = GENERATE(false, true);
  if (v6 && !test::has_ipv6()) SKIP("this host has no IPv6 loopback");
  const auto type = v6 ? dgram::udp6 : dgram::udp4;
  const asio::ip::address loopback =
      v6 ? asio::ip::address(address_v6::loopback()) : asio::ip::address(address_v4::loopback());
  trace heard;
  std::uint16_t last_sender = 0;
  auto server = dgram::create_socket(
      io, type, [&](dgram::bytes_view message, const dgram::remote_info& from) {
        heard.emplace_back(message.text());
        last_sender = from.port;
      });
  const dgram::address_info local = server.bind_sync(endpoint(loopback, 0));
  CHECK(local.address == loopback);
  const endpoint to = local.endpoint();

  auto client = dgram::create_socket(io, type);
  int calls = 0;
  client.bind(endpoint(loopback, 0), [&](dgram::error_code ec) {
    CHECK_FALSE(ec);
    ++calls;
  });
  run_until(io, [&] { return calls == 1; });
  CHECK(client.address().address == loopback);

  CHECK(client.send("one", to));
  client.send("two", to, [&](dgram::error_code ec, std::size_t size) {
    CHECK_FALSE(ec);
    CHECK(size == 3);
    ++calls;
  });
  client.send("three", local);  // what `address` returns
  client.send("a four", 2, 4, to);
  client.sendto("five", 0, 4, to);
  client.send({"s", "ix"}, to);
  auto future = client.send("seven", to, asio::use_future);
  run_until(io, [&] { return heard.size() == 7 && calls == 2; });
  CHECK(heard == trace{"one", "two", "three", "four", "five", "six", "seven"});
  CHECK(future.get() == 5);
  auto once = dgram::send_once(io, type, "eight", to, asio::use_future);
  run_until(io, [&] { return heard.size() == 8; });
  CHECK(heard.back() == "eight");
  CHECK(once.get() == 5);

  client.connect(to, [&] { ++calls; });
  run_until(io, [&] { return calls == 3; });
  CHECK(client.remote_address().endpoint() == to);
  CHECK(thrown([&] { client.send("x", to); }) == asio::error::already_connected);
  client.disconnect();
  client.connect_sync(to);
  CHECK(client.remote_address().endpoint() == to);
  client.send("nine");
  run_until(io, [&] { return heard.size() == 9; });
  CHECK(last_sender == client.address().port);
}

TEST_CASE("Sends to one endpoint in a row keep the order with sends in every other form",
          "[emitter]")
{
  asio::io_context io;
  trace heard;
  trace heard_by_other;
  trace errors;
  const auto record = [](trace& to) {
    return [&to](dgram::bytes_view message) { to.emplace_back(message.text()); };
  };
  auto server = dgram::create_socket(io, dgram::udp4, record(heard));
  auto other = dgram::create_socket(io, dgram::udp4, record(heard_by_other));
  const endpoint loopback(address_v4::loopback(), 0);
  const endpoint to = server.bind_sync(loopback).endpoint();
  const endpoint to_other = other.bind_sync(loopback).endpoint();
  auto client = dgram::create_socket(io, dgram::udp4);
  client.on<dgram::event::error>(
      [&](const dgram::failure& what) { errors.emplace_back(what.code.message()); });
  const bool is_bound = GENERATE(true, false);
  if (is_bound) client.bind_sync(loopback);

  int called = 0;
  client.send("0", to);
  client.send("1", to);
  client.send("other 0", to_other);
  client.send("2", to, [&](dgram::error_code ec) { called += ec ? 100 : 1; });
  client.send("3", to);
  client.send("4", to.port(), "127.0.0.1");
  client.send("5", to);
  client.send(std::string(65508, 'x'), to);  // no datagram is so large
  client.send("6", to);
  client.send({"", "7"}, to);
  client.send("", to);
  client.send("8", to);
  client.send("other 1", to_other);
  client.send("other 2", to_other);
  run_until(io, [&] { return heard.size() == 10 && heard_by_other.size() == 3; });
  CHECK(heard == trace{"0", "1", "2", "3", "4", "5", "6", "7", "", "8"});
  CHECK(heard_by_other == trace{"other 0", "other 1", "other 2"});
  CHECK(called == 1);
  CHECK(errors == trace{dgram::error_code(asio::error::message_size).message()});

  client.send("9", to);
  run_until(io, [&] { return heard.size() == 11; });
  dgram::pause_sockets(io);  // the servers too
  client.send("10", to);
  client.send("11", to);
  dgram::resume_sockets(io);
  client.send("12", to);
  run_until(io, [&] { return heard.size() == 14; });
  CHECK(trace(heard.begin() + 10, heard.end()) == trace{"9", "10", "11", "12"});
  client.send("13", to);
  client.connect_sync(to_other);
  CHECK(thrown([&] { client.send("x", to); }) == asio::error::already_connected);
  client.disconnect();
  client.send("14", to);
  client.close();
  CHECK(thrown([&] { client.send("x", to); }) == dgram::error::not_running);
  run_until(io, [&] { return heard.size() == 16; });
  CHECK(trace(heard.begin() + 14, heard.end()) == trace{"13", "14"});
}

TEST_CASE("An endpoint is checked as port and address are", "[emitter][F25]")
{
  asio::io_context io;
  const endpoint no_port(address_v4::loopback(), 0);
  auto socket = dgram::create_socket(io, dgram::udp4);
  CHECK(thrown([&] { socket.send("x", no_port); }) == dgram::error::bad_port);
  CHECK(thrown([&] { socket.connect(no_port); }) == dgram::error::bad_port);
  CHECK(thrown([&] { socket.connect_sync(no_port); }) == dgram::error::bad_port);
  socket.close();
  CHECK(thrown([&] { socket.bind(no_port); }) == dgram::error::not_running);
  CHECK(thrown([&] { socket.bind_sync(no_port); }) == dgram::error::not_running);
}

#if DGRAM_HAS_UNIX_DATAGRAMS
TEST_CASE("Each call of a Unix socket takes an endpoint", "[emitter][F25]")
{
  asio::io_context io;
  const auto name = "@dgram-endpoints-" + std::to_string(::getpid());
  const auto to = dgram::parse_unix_endpoint(name);
  trace heard;
  auto server = dgram::create_unix_socket(
      io, [&](dgram::bytes_view message) { heard.emplace_back(message.text()); });
  int calls = 0;
  const bool at_once = GENERATE(true, false);
  if (at_once)
    CHECK(server.bind_sync(to).address == name);
  else
    server.bind(to, [&] { ++calls; });
  run_until(io, [&] { return server.state().bound; });
  auto client = dgram::create_unix_socket(io);
  client.send("one", to);
  client.send("two", server.address(), [&](dgram::error_code ec) { CHECK_FALSE(ec); });
  client.send("a three", 2, 5, to);
  run_until(io, [&] { return heard.size() == 3; });
  client.connect(to, [&] { ++calls; });
  run_until(io, [&] { return calls == (at_once ? 1 : 2); });
  CHECK(client.remote_address().endpoint() == to);
  client.send("four");
  run_until(io, [&] { return heard.size() == 4; });
  CHECK(heard == trace{"one", "two", "three", "four"});

  const dgram::unix_dgram::endpoint unnamed;
  auto other = dgram::create_unix_socket(io);
  CHECK(thrown([&] { other.send("x", unnamed); }) == asio::error::invalid_argument);
  CHECK(thrown([&] { other.connect(unnamed); }) == asio::error::invalid_argument);
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

}  // namespace endpoint_test
