// SPDX-License-Identifier: BSL-1.0
// Operations of the emitter that are cancelled one by one, in each phase of theirs.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"
#include "support/temporary_directory.hpp"

#include <asio/experimental/awaitable_operators.hpp>

#include <catch2/generators/catch_generators.hpp>

#if __has_include(<asio/cancel_after.hpp>)
#include <asio/cancel_after.hpp>
#endif

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace cancellation_test {

using test::slow_lookup;
using test::trace;

namespace {

const dgram::error_code aborted = asio::error::operation_aborted;

/// One operation with a slot of its own.
struct pending {
  asio::cancellation_signal signal;
  std::optional<dgram::error_code> ec;  // empty until completion
  std::size_t size = 0;
  int completions = 0;

  auto token()
  {
    return asio::bind_cancellation_slot(signal.slot(), [this](dgram::error_code result) {
      ec = result;
      ++completions;
    });
  }

  auto send_token()
  {
    return asio::bind_cancellation_slot(signal.slot(),
                                        [this](dgram::error_code result, std::size_t sent) {
                                          ec = result;
                                          size = sent;
                                          ++completions;
                                        });
  }
};

auto any_type()
{
  return GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                  asio::cancellation_type::total);
}

/// Cancels, and expects that nothing is called inside of that, and then that it was once.
void cancel(asio::io_context& io, pending& which, asio::cancellation_type type)
{
  which.signal.emit(type);
  CHECK_FALSE(which.ec);
  test::run_ready(io);
  CHECK(which.ec == aborted);
  CHECK(which.completions == 1);
  which.signal.emit(type);  // too late
}

}  // namespace

TEST_CASE("Cancelled: a bind that waits for a name", "[emitter]")
{
  const auto type = any_type();
  asio::io_context io;
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  trace events;
  test::record(socket, events);
  pending bind;
  socket.bind(0, "somewhere", bind.token());
  test::run_ready(io);
  cancel(io, bind, type);
  CHECK_FALSE(socket.state().bound);
  lookup.answer();  // finds no operation
  test::run_ready(io);
  CHECK_FALSE(socket.state().bound);
  CHECK(socket.bind_sync(0, "127.0.0.1").port > 0);
  test::run_ready(io);
  CHECK(events == trace{"listening"});
}

TEST_CASE("Cancelled: a bind that was just begun, and another one begun since", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  pending first;
  pending second;
  socket.bind(0, "127.0.0.1", first.token());
  first.signal.emit(asio::cancellation_type::total);
  socket.bind(0, "127.0.0.2", second.token());
  test::run_ready(io);
  CHECK(first.ec == aborted);
  CHECK(second.ec == dgram::error_code());
  CHECK(socket.address().address.to_string() == "127.0.0.2");
}

TEST_CASE("Cancelled: a bind takes along what waits for it", "[emitter]")
{
  asio::io_context io;
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  pending bind;
  pending send;
  pending connect;
  socket.bind(0, "somewhere", bind.token());
  socket.send("x", 9, "127.0.0.1", send.send_token());
  socket.connect(9, "127.0.0.1", connect.token());
  test::run_ready(io);
  cancel(io, bind, asio::cancellation_type::terminal);
  CHECK(send.ec == aborted);
  CHECK(connect.ec == aborted);
}

TEST_CASE("Cancelled: a connect, with what waits for it", "[emitter]")
{
  const auto type = any_type();
  asio::io_context io;
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  trace events;
  test::record(socket, events);
  pending connect;
  pending send;
  SECTION("for a name")
  {
    socket.bind_sync(0, "127.0.0.1");
    socket.connect(9, "somewhere", connect.token());
    test::run_ready(io);
  }
  SECTION("behind a bind")
  {
    socket.bind(0, "somewhere");
    socket.connect(9, "127.0.0.1", connect.token());
  }
  socket.send("x", send.send_token());
  cancel(io, connect, type);
  CHECK_FALSE(socket.state().connected);
  lookup.answer();
  test::run_ready(io);
  CHECK(socket.state().bound);
  CHECK_FALSE(socket.state().connected);
  CHECK(events == trace{"listening"});
  socket.connect_sync(9, "127.0.0.1");
  CHECK(socket.state().connected);
}

TEST_CASE("Cancelled: a send that waits, and no other", "[emitter]")
{
  const auto type = any_type();
  asio::io_context io;
  test::listener target(io);
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  pending other;
  pending send;
  SECTION("for a name")
  {
    socket.bind_sync(0, "127.0.0.1");
    socket.send("other", target.port, "somewhere", other.send_token());
    socket.send("cancelled", target.port, "somewhere", send.send_token());
  }
  SECTION("behind a bind")
  {
    socket.bind(0, "somewhere");
    socket.send("other", target.port, "127.0.0.1", other.send_token());
    socket.send("cancelled", target.port, "127.0.0.1", send.send_token());
  }
  SECTION("behind a connect")
  {
    socket.bind_sync(0, "127.0.0.1");
    socket.connect(target.port, "somewhere");
    socket.send("other", other.send_token());
    socket.send("cancelled", send.send_token());
  }
  test::run_ready(io);
  cancel(io, send, type);
  CHECK(send.size == 0);
  lookup.answer();
  test::run_until(io, [&] { return target.messages.size() == 1 && other.completions == 1; });
  test::run_ready(io);
  CHECK(target.messages == trace{"other"});
  CHECK(other.ec == dgram::error_code());
  CHECK(other.size == 5);
}

TEST_CASE("Cancelled: a send whose name was looked up, before its turn", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  socket.bind_sync(0, "127.0.0.1");
  pending send;
  socket.send("cancelled", target.port, "somewhere", send.send_token());
  socket.send("other", target.port, "somewhere");
  test::run_ready(io);
  lookup.answer();
  io.restart();
  REQUIRE(io.poll_one() == 1);  // the name is known now, and the sends have their turn after that
  // Not before them, although nothing is left to be looked up.
  socket.send("later", target.port, "somewhere");
  cancel(io, send, asio::cancellation_type::total);
  test::run_until(io, [&] { return target.messages.size() == 2; });
  CHECK(target.messages == trace{"other", "later"});
}

#if DGRAM_HAS_UNIX_DATAGRAMS
TEST_CASE("Cancelled: sends that the kernel holds back", "[emitter][unix]")
{
  const auto type = any_type();
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  auto server = dgram::create_unix_socket(io);
  trace heard;
  server.on<test::event::message>([&](dgram::bytes_view m) { heard.emplace_back(m.text()); });
  server.bind_sync(path);
  server.recv_stop();
  auto client = dgram::create_unix_socket(io);
  int sent = 0;
  const auto fill = [&](int count) {
    for (int i = 0; i < count; ++i)
      client.send("x", path, [&](dgram::error_code) { ++sent; });
    test::run_ready(io);
  };
  fill(200);
  REQUIRE(client.get_send_queue_count() > 0);
  pending offered;
  client.send("offered", path, offered.send_token());
  fill(300);
  const std::size_t count = client.get_send_queue_count();
  const std::size_t size = client.get_send_queue_size();
  pending send;
  client.send("cancelled", path, send.send_token());
  CHECK(client.get_send_queue_count() == count + 1);
  cancel(io, send, type);
  CHECK(client.get_send_queue_count() == count);
  CHECK(client.get_send_queue_size() == size);
  cancel(io, offered, type);
  CHECK(client.get_send_queue_count() == count - 1);
  CHECK(client.get_send_queue_size() == size - 7);
  client.send("last", path);
  server.recv_start();
  test::run_until(io, [&] { return heard.size() == 501 && sent == 500; });
  CHECK(std::count(heard.begin(), heard.end(), "x") == 500);
  CHECK(heard.back() == "last");
}

TEST_CASE("Cancelled: sends in the middle of a queue that takes several batches", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  auto server = dgram::create_unix_socket(io);
  trace heard;
  server.on<test::event::message>([&](dgram::bytes_view m) { heard.emplace_back(m.text()); });
  server.bind_sync(path);
  server.recv_stop();
  auto client = dgram::create_unix_socket(io);
  client.connect(path);
  test::run_ready(io);
  trace expected;
  const auto fill = [&](int count) {
    for (int i = 0; i < count; ++i) {
      expected.push_back(std::to_string(expected.size()));
      client.send(expected.back());
    }
  };
  fill(100);
  test::run_ready(io);
  REQUIRE(client.get_send_queue_count() > 0);
  pending first;
  pending last;
  client.send("first", first.send_token());
  fill(600);
  client.send("last", last.send_token());
  fill(100);
  const std::size_t count = client.get_send_queue_count();
  const std::size_t size = client.get_send_queue_size();
  cancel(io, last, asio::cancellation_type::total);
  CHECK(client.get_send_queue_count() == count - 1);
  CHECK(client.get_send_queue_size() == size - 4);
  cancel(io, first, asio::cancellation_type::total);
  CHECK(client.get_send_queue_count() == count - 2);
  CHECK(client.get_send_queue_size() == size - 9);
  server.recv_start();
  test::run_until(io, [&] { return heard.size() == expected.size(); });
  CHECK(heard == expected);
  CHECK(client.get_send_queue_count() == 0);
  CHECK(client.get_send_queue_size() == 0);
}

TEST_CASE("Cancelled: the one send that the kernel holds back", "[emitter][unix]")
{
  using namespace asio::experimental::awaitable_operators;
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  auto server = dgram::create_unix_socket(io);
  trace heard;
  server.on<test::event::message>([&](dgram::bytes_view m) { heard.emplace_back(m.text()); });
  server.bind_sync(path);
  server.recv_stop();
  auto client = dgram::create_unix_socket(io);
  std::size_t sent = 0;
  while (client.get_send_queue_count() == 0) {
    client.send("x", path);
    ++sent;
    test::run_ready(io);
  }
  --sent;
  bool finished = false;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(io, std::chrono::milliseconds(5));
        const auto first = co_await (client.send("late", path, asio::use_awaitable) ||
                                     timer.async_wait(asio::use_awaitable));
        CHECK(first.index() == 1);
        finished = true;
      },
      asio::detached);
  test::run_until(io, [&] { return finished; });
  CHECK(client.get_send_queue_count() == 1);

  auto other = dgram::create_unix_socket(io);
  pending only;
  other.send("only", path, only.send_token());
  test::run_ready(io);
  CHECK(other.get_send_queue_count() == 1);
  cancel(io, only, asio::cancellation_type::total);
  CHECK(other.get_send_queue_count() == 0);
  other.send("next", path);

  server.recv_start();
  test::run_until(io, [&] { return heard.size() == sent + 2; });
  CHECK(std::count(heard.begin(), heard.end(), "x") == static_cast<std::ptrdiff_t>(sent) + 1);
  CHECK(std::count(heard.begin(), heard.end(), "next") == 1);
}

TEST_CASE("Cancelled: all that a full queue has, and 'drain' comes", "[emitter][unix]")
{
  const test::temporary_directory directory;
  asio::io_context io;
  const std::string path = directory.path() + "/server";
  auto server = dgram::create_unix_socket(io);
  server.bind_sync(path);
  server.recv_stop();
  auto filler = dgram::create_unix_socket(io);
  while (filler.get_send_queue_count() == 0) {
    filler.send("x", path);
    test::run_ready(io);
  }
  filler.close();
  dgram::socket_options options;
  options.queue_datagrams = 1;
  auto client = dgram::create_unix_socket(io, options);
  int drained = 0;
  client.on<test::event::drain>([&] { ++drained; });
  pending first;
  pending second;
  client.send("1", path, first.send_token());
  test::run_ready(io);
  client.send("2", path, second.send_token());
  REQUIRE(client.get_send_queue_count() == 2);
  cancel(io, first, asio::cancellation_type::total);
  cancel(io, second, asio::cancellation_type::total);
  CHECK(client.get_send_queue_count() == 0);
  test::run_until(io, [&] { return drained == 1; });
}
#endif

TEST_CASE("Cancelled: a send of this turn, and no other", "[emitter]")
{
  const auto type = any_type();
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind_sync(0, "127.0.0.1");
  pending second;
  socket.send("1", target.port);
  socket.send("2", target.port, second.send_token());
  socket.send("three", target.port);
  socket.send("", target.port);
  cancel(io, second, type);
  CHECK(second.size == 0);
  socket.send("5", target.port);
  test::run_until(io, [&] { return target.messages.size() == 4; });
  CHECK(target.messages == trace{"1", "three", "", "5"});
}

TEST_CASE("Cancelled: a close that waits behind sends", "[emitter]")
{
  const auto type = any_type();
  asio::io_context io;
  test::listener target(io);
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  trace events;
  test::record(socket, events);
  socket.bind(0, "somewhere");
  socket.send("x", target.port, "127.0.0.1");
  test::run_ready(io);
  pending close;
  SECTION("close")
  {
    socket.close(close.token());
  }
  SECTION("dispose")
  {
    socket.dispose(close.token());
  }
  CHECK(socket.state().closing);
  cancel(io, close, type);
  CHECK_FALSE(socket.state().closing);
  lookup.answer();
  test::run_until(io, [&] { return target.messages.size() == 1; });
  CHECK_FALSE(socket.state().closed);
  CHECK(events == trace{"listening"});
}

TEST_CASE("Cancelled: one or all of several that wait for the same close", "[emitter]")
{
  const bool all = GENERATE(false, true);
  asio::io_context io;
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  socket.bind(0, "somewhere");
  socket.send("x", 9, "127.0.0.1");
  test::run_ready(io);
  pending close;
  pending dispose;
  socket.close(close.token());
  socket.dispose(dispose.token());
  cancel(io, close, asio::cancellation_type::total);
  if (all) cancel(io, dispose, asio::cancellation_type::total);
  CHECK(socket.state().closing == !all);
  lookup.answer();
  test::run_ready(io);
  CHECK(socket.state().closed == !all);
  if (!all) CHECK(dispose.ec == dgram::error_code());
}

TEST_CASE("Cancelled: a wait for a close that others want without waiting for it", "[emitter]")
{
  asio::io_context io;
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  socket.bind(0, "somewhere");
  socket.send("x", 9, "127.0.0.1");
  test::run_ready(io);
  pending dispose;
  socket.close();
  socket.dispose(dispose.token());
  cancel(io, dispose, asio::cancellation_type::total);
  CHECK(socket.state().closing);
  lookup.answer();
  test::run_ready(io);
  CHECK(socket.state().closed);
}

TEST_CASE("Cancelled: a close, in the turn in which the bind that it waits for fails", "[emitter]")
{
  asio::io_context io;
  const test::listener taken(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  int errors = 0;
  pending close;
  // The monitor hears of the bind's failure before the close has its turn.
  socket.on<test::event::error_monitor>([&] { close.signal.emit(asio::cancellation_type::total); });
  socket.on<test::event::error>([&] { ++errors; });
  socket.bind(taken.port, "127.0.0.1");
  socket.send("x", 9);
  socket.close(close.token());
  test::run_ready(io);
  CHECK(errors == 1);
  CHECK(close.ec == aborted);
  CHECK_FALSE(socket.state().closed);
  socket.bind_sync();
}

TEST_CASE("Cancelled too late: what is done completes with its result", "[emitter]")
{
  const auto type = any_type();
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  pending operation;
  SECTION("send")
  {
    socket.bind_sync(0, "127.0.0.1");
    socket.send("x", target.port, operation.send_token());
    test::run_ready(io);
    operation.signal.emit(type);
    CHECK(operation.size == 1);
  }
  SECTION("close")
  {
    socket.close(operation.token());
    operation.signal.emit(type);
    test::run_ready(io);
    CHECK(socket.state().closed);
  }
  SECTION("bind")
  {
    socket.on<test::event::listening>([&] { operation.signal.emit(type); });
    socket.bind(0, operation.token());
    test::run_ready(io);
    CHECK(socket.state().bound);
  }
  CHECK(operation.ec == dgram::error_code());
  CHECK(operation.completions == 1);
  operation.signal.emit(type);  // the slot was cleared
  test::run_ready(io);
  CHECK(operation.completions == 1);
}

TEST_CASE("Cancelled: a slot outlives its socket", "[emitter]")
{
  asio::io_context io;
  slow_lookup lookup;
  pending bind;
  {
    auto socket = dgram::create_socket(io, lookup.options());
    socket.bind(0, "somewhere", bind.token());
  }
  bind.signal.emit(asio::cancellation_type::terminal);
  lookup.asked.clear();
  test::run_ready(io);
  CHECK(bind.ec == aborted);
  CHECK(bind.completions == 1);
}

TEST_CASE("Cancelled: with the operators of awaitables", "[emitter]")
{
  using namespace asio::experimental::awaitable_operators;
  asio::io_context io;
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  socket.bind_sync(0, "127.0.0.1");
  bool finished = false;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(io, std::chrono::milliseconds(5));
        const auto first = co_await (socket.send("x", 9, "somewhere", asio::use_awaitable) ||
                                     timer.async_wait(asio::use_awaitable));
        CHECK(first.index() == 1);
        finished = true;
      },
      asio::detached);
  test::run_until(io, [&] { return finished; });
  lookup.asked.clear();
}

#if __has_include(<asio/cancel_after.hpp>)
TEST_CASE("Cancelled: by cancel_after", "[emitter]")
{
  asio::io_context io;
  slow_lookup lookup;
  auto socket = dgram::create_socket(io, lookup.options());
  std::vector<dgram::error_code> codes;
  const auto after = std::chrono::milliseconds(5);
  socket.bind(0, "somewhere",
              asio::cancel_after(after, [&](dgram::error_code ec) { codes.push_back(ec); }));
  test::run_until(io, [&] { return codes.size() == 1; });
  socket.send(
      "x", 9, "elsewhere",
      asio::cancel_after(after, [&](dgram::error_code ec, std::size_t) { codes.push_back(ec); }));
  test::run_until(io, [&] { return codes.size() == 2; });
  CHECK(codes == std::vector<dgram::error_code>{aborted, aborted});
  lookup.asked.clear();
}
#endif

}  // namespace cancellation_test
