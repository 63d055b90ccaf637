// SPDX-License-Identifier: BSL-1.0
// Errors: what an unreachable peer does to whom, how errors read, and that none comes twice.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <asio/buffer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>

namespace errors_test {

namespace {

using test::udp_socket;

/// Checks the code and the text of what a function throws.
template <class Function>
void check_thrown(const dgram::error_code& code, const std::string& text, Function function)
{
  try {
    function();
    FAIL("nothing was thrown");
  } catch (const dgram::system_error& failure) {
    CHECK(failure.code() == code);
    CHECK_THAT(failure.what(), Catch::Matchers::StartsWith(text + ": "));
  }
}

/// What an error reports about 70,000 bytes over IPv4.
const std::string too_large = " with 70000 bytes (at most 65507)";

/// Loopback of either family.
test::endpoint any_loopback()
{
  const bool six = GENERATE(false, true);
  if (six && !test::has_ipv6()) SKIP("this host has no IPv6 loopback");
  return six ? test::loopback_v6() : test::loopback_v4();
}

}  // namespace

TEST_CASE("ERR-01: an unconnected socket never hears of unreachable peers", "[errors]")
{
  const auto here = any_loopback();
  asio::io_context io;
  udp_socket socket(io, here);
  udp_socket peer(io, here);
  const auto nobody = udp_socket(io, here).local_endpoint();
  std::string storage(16, '\0');
  std::optional<dgram::error_code> received;
  socket.async_receive(asio::buffer(storage), [&](dgram::error_code ec, std::size_t size) {
    received = ec;
    storage.resize(size);
  });
  int sent = 0;
  for (int i = 0; i < 5; ++i) {
    socket.async_send_to(test::text_buffer("x"), nobody, [&](dgram::error_code ec, std::size_t) {
      CHECK_FALSE(ec);
      ++sent;
    });
    test::run_ready(io);
  }
  CHECK(sent == 5);
  CHECK_FALSE(received);
  CHECK(test::nothing_queued(socket));
  peer.send_to(test::text_buffer("hello"), socket.local_endpoint());
  test::run(io);
  REQUIRE(received);
  CHECK_FALSE(*received);
  CHECK(storage == "hello");
}

TEST_CASE("ERR-02: a server survives clients that are gone when it answers", "[errors]")
{
  const auto here = any_loopback();
  asio::io_context io;
  udp_socket server(io, here);
  dgram::receive_batch batch(4, 64);
  int handled = 0;
  for (int i = 0; i < 5; ++i) {
    udp_socket client(io, here);
    client.send_to(test::text_buffer("ask"), server.local_endpoint());
    client.close();
    server.async_receive_batch(batch, [&](dgram::error_code ec, std::size_t count) {
      REQUIRE_FALSE(ec);
      REQUIRE(count == 1);
      const auto payload = batch[0].payload();
      server.async_send_to(asio::buffer(payload.data(), payload.size()), batch[0].sender(),
                           [&](dgram::error_code failure, std::size_t) {
                             CHECK_FALSE(failure);
                             ++handled;
                           });
    });
    test::run(io);
  }
  CHECK(handled == 5);
  CHECK(test::nothing_queued(server));
}

TEST_CASE("ERR-05: a refusal is a result, and the connected socket goes on", "[errors]")
{
  const auto here = any_loopback();
  const test::reserved_port port;
  const test::endpoint address(here.address(), port.number());
  asio::io_context io;
  udp_socket socket(io, here);
  socket.connect(address);
  socket.send(test::text_buffer("into the void"));
  test::wait_readable(io, socket);
  std::array<char, 16> storage{};
  dgram::error_code ec;
  CHECK(socket.try_receive(asio::buffer(storage), ec) == 0);
  CHECK(ec == asio::error::connection_refused);
  // Told once.
  CHECK(test::nothing_queued(socket));
  CHECK(socket.is_open());
  CHECK(socket.remote_endpoint() == address);

  udp_socket returned(io, address);
  socket.send(test::text_buffer("again"));
  const auto got = test::receive(io, returned);
  CHECK(got.text == "again");
  returned.send_to(test::text_buffer("here"), got.sender);
  CHECK(test::receive(io, socket).text == "here");
}

TEST_CASE("ERR-12: of queued sends to nobody each completes, sent or refused", "[errors]")
{
  asio::io_context io;
  udp_socket socket = test::connected_to_nobody(io);
  int completions = 0;
  for (int i = 0; i < 6; ++i)
    socket.async_send(test::text_buffer("x"), [&](dgram::error_code ec, std::size_t size) {
      if (ec) {
        CHECK(ec == asio::error::connection_refused);
        CHECK(size == 0);
      } else {
        CHECK(size == 1);
      }
      ++completions;
    });
  test::run(io);
  CHECK(completions == 6);
  dgram::error_code ec;
  socket.close(ec);
  CHECK_FALSE(ec);
}

TEST_CASE("ERR-13: an error tells the code, the operation and the endpoint", "[errors]")
{
  asio::io_context io;
  const udp_socket holder(io, test::loopback_v4());
  const auto taken = holder.local_endpoint();
  const std::string quoted = " \"" + dgram::to_string(taken) + "\"";
  const std::string payload(70000, 'x');
  udp_socket socket(io, dgram::udp::v4());
  check_thrown(asio::error::address_in_use, "bind" + quoted, [&] { socket.bind(taken); });
  check_thrown(asio::error::message_size, "send_to" + quoted + too_large,
               [&] { socket.send_to(asio::buffer(payload), taken); });
  check_thrown(asio::error::address_family_not_supported, "connect \"[::1]:9\"",
               [&] { socket.connect(test::loopback_v6(9)); });
  check_thrown(asio::error::not_connected, "remote_endpoint", [&] { socket.remote_endpoint(); });
  check_thrown(asio::error::not_connected, "disconnect", [&] { socket.disconnect(); });
  check_thrown(asio::error::already_open, "open", [&] { socket.open(dgram::udp::v4()); });
  check_thrown(test::system_error_code(EDESTADDRREQ), "send",
               [&] { socket.send(test::text_buffer("x")); });
  socket.connect(taken);
  check_thrown(asio::error::message_size, "send" + too_large,
               [&] { socket.send(asio::buffer(payload)); });
  check_thrown(asio::error::address_family_not_supported, "reconnect \"[::1]:9\"",
               [&] { socket.reconnect(test::loopback_v6(9)); });
  check_thrown(asio::error::message_size, "send_to" + quoted + too_large,
               [&] { socket.send_to(asio::buffer(payload), taken); });
  socket.close();
  check_thrown(asio::error::bad_descriptor, "local_endpoint", [&] { socket.local_endpoint(); });
  check_thrown(dgram::error::bad_port,
               "parse_endpoint \"127.0.0.1:65536\" (allowed are ports 0 to 65535)",
               [] { dgram::parse_endpoint("127.0.0.1:65536"); });
}

TEST_CASE("ERR-13: the forms that never block name the operation too", "[errors]")
{
  asio::io_context io;
  const udp_socket holder(io, test::loopback_v4());
  const std::string payload(70000, 'x');
  udp_socket socket(io, dgram::udp::v4());
  check_thrown(asio::error::message_size,
               "try_send_to \"" + dgram::to_string(holder.local_endpoint()) + "\"" + too_large,
               [&] { socket.try_send_to(asio::buffer(payload), holder.local_endpoint()); });
  socket.connect(holder.local_endpoint());
  check_thrown(asio::error::message_size, "try_send" + too_large,
               [&] { socket.try_send(asio::buffer(payload)); });
}

TEST_CASE("ERR-16: what fails at the call is reported there and nowhere else", "[errors]")
{
  asio::io_context io;
  const udp_socket holder(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  std::array<char, 16> storage{};
  std::optional<dgram::error_code> received;
  socket.async_receive(asio::buffer(storage),
                       [&](dgram::error_code ec, std::size_t) { received = ec; });
  dgram::error_code ec;
  socket.bind(holder.local_endpoint(), ec);
  CHECK(ec);
  socket.connect(test::loopback_v6(9), ec);
  CHECK(ec);
  socket.set_option(dgram::option::hop_limit(0), ec);
  CHECK(ec);
  socket.disconnect(ec);
  CHECK(ec);
  dgram::send_batch batch(1);
  batch.push("x");
  CHECK(socket.try_send_batch(batch).error);
  test::run_ready(io);
  CHECK_FALSE(received);
  CHECK(socket.is_open());
  socket.close();
  test::run(io);
  CHECK(*received == asio::error::operation_aborted);
}

TEST_CASE("ERR-17: datagrams behind a refusal arrive, whoever takes the refusal", "[errors]")
{
  constexpr std::size_t backlog = 20;
  const auto here = any_loopback();
  asio::io_context io;
  udp_socket socket(io, here);
  const test::reserved_port port;
  udp_socket peer(io, {here.address(), port.number()});
  socket.connect(peer.local_endpoint());
  for (std::size_t i = 0; i < backlog; ++i)
    peer.send_to(test::text_buffer("x"), socket.local_endpoint());
  peer.close();
  socket.send(test::text_buffer("y"));

  dgram::error_code ec;
  SECTION("the next send takes it")
  {
    socket.send(test::text_buffer("y"), 0, ec);
    CHECK(ec == asio::error::connection_refused);
  }
  SECTION("a receive takes it")
  {
    std::array<char, 16> storage{};
    socket.try_receive(asio::buffer(storage), ec);
    CHECK(ec == asio::error::connection_refused);
  }
  SECTION("a batch takes it")
  {
    dgram::receive_batch batch(8, 64);
    CHECK(socket.try_receive_batch(batch, ec) == 0);
    CHECK(ec == asio::error::connection_refused);
    CHECK(batch.empty());
  }
  CHECK(socket.is_open());
  std::size_t received = 0;
  dgram::receive_batch batch(8, 64);
  while (received < backlog) {
    std::optional<dgram::error_code> completed;
    socket.async_receive_batch(batch, [&](dgram::error_code failure, std::size_t count) {
      completed = failure;
      received += count;
    });
    test::run(io);
    REQUIRE(completed);
    REQUIRE_FALSE(*completed);
  }
  CHECK(received == backlog);
}

TEST_CASE("TMO-05: a refusal wakes a waiting receive", "[errors]")
{
  asio::io_context io;
  udp_socket single = test::connected_to_nobody(io);
  udp_socket several = test::connected_to_nobody(io);
  std::array<char, 16> storage{};
  dgram::receive_batch batch(4, 64);
  int refused = 0;
  const auto handler = [&](dgram::error_code ec, std::size_t size) {
    CHECK(ec == asio::error::connection_refused);
    CHECK(size == 0);
    ++refused;
  };
  single.async_receive(asio::buffer(storage), handler);
  several.async_receive_batch(batch, handler);
  test::run_ready(io);
  CHECK(refused == 0);
  single.send(test::text_buffer("x"));
  several.send(test::text_buffer("x"));
  test::run(io);
  CHECK(refused == 2);
}

TEST_CASE("D2: an error without a handler for it ends nothing", "[errors]")
{
  asio::io_context io;
  udp_socket socket = test::connected_to_nobody(io);
  for (int i = 0; i < 3; ++i) {
    socket.async_send(test::text_buffer("x"), asio::detached);
    CHECK_NOTHROW(test::run(io));
  }
  CHECK(socket.is_open());
}

}  // namespace errors_test
