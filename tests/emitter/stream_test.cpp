// SPDX-License-Identifier: BSL-1.0
// Events one after the other, and listeners that are coroutines.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"

#include <dgram/coroutine_listener.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace stream_test {

using test::trace;

namespace {

std::string text_of(const std::vector<std::byte>& bytes)
{
  return std::string(dgram::bytes_view(bytes).text());
}

/// Runs until so many messages were received.
struct pair {
  explicit pair(asio::io_context& on) : io(on), target(dgram::create_socket(on, dgram::udp4))
  {
    port = target.bind_sync(0, "127.0.0.1").port;
    target.on<test::event::message>([this] { ++received; });
  }

  void send(const trace& texts)
  {
    const std::size_t until = received + texts.size();
    for (const auto& text : texts)
      sender.send(text, port);
    test::run_until(io, [&] { return received == until; });
  }

  asio::io_context& io;
  dgram::emitter_socket target;
  dgram::emitter_socket sender = dgram::create_socket(io, dgram::udp4);
  std::uint16_t port = 0;
  std::size_t received = 0;
};

}  // namespace

TEST_CASE("N46: a stream gives events in order, from its making to the close", "[emitter]")
{
  asio::io_context io;
  pair sockets(io);
  auto messages = sockets.target.stream<test::event::message>();
  sockets.send({"early", "earlier than asked for"});
  CHECK(messages.size() == 2);
  trace heard;
  bool ended = false;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        while (auto message = co_await messages.next(asio::use_awaitable)) {
          auto& [bytes, from] = *message;
          CHECK(from.port == sockets.sender.address().port);
          CHECK(from.size == bytes.size());
          heard.push_back(text_of(bytes));
        }
        ended = true;
      },
      asio::detached);
  sockets.send({"late"});
  test::run_ready(io);
  CHECK(heard == trace{"early", "earlier than asked for", "late"});
  CHECK_FALSE(ended);
  sockets.target.close();
  test::run_ready(io);
  CHECK(ended);
  CHECK(messages.dropped() == 0);
}

TEST_CASE("N46: what waits in a stream is had after the close, and then the end", "[emitter]")
{
  asio::io_context io;
  pair sockets(io);
  auto messages = sockets.target.stream<test::event::message>();
  sockets.send({"kept"});
  sockets.target.close();
  test::run_ready(io);
  auto late = sockets.target.stream<test::event::message>();
  trace heard;
  const auto note = [&](dgram::error_code ec, const auto& message) {
    CHECK_FALSE(ec);
    heard.push_back(message ? text_of(std::get<0>(*message)) : "end");
  };
  messages.next(asio::bind_executor(io.get_executor(), note));
  CHECK(heard.empty());  // never inside the call
  test::run_ready(io);
  messages.next(asio::bind_executor(io.get_executor(), note));
  late.next(asio::bind_executor(io.get_executor(), note));
  test::run_ready(io);
  CHECK(heard == trace{"kept", "end", "end"});
}

TEST_CASE("N46: a stream is bounded, and counts what it drops", "[emitter]")
{
  asio::io_context io;
  pair sockets(io);
  auto messages = sockets.target.stream<test::event::message>(2);
  sockets.send({"1", "2", "3", "4"});
  CHECK(messages.size() == 2);
  CHECK(messages.dropped() == 2);
  trace heard;
  for (int i = 0; i < 2; ++i) {
    messages.next([&](dgram::error_code, const auto& message) {
      heard.push_back(text_of(std::get<0>(*message)));
    });
    test::run_ready(io);
  }
  CHECK(heard == trace{"1", "2"});
}

TEST_CASE("N46: a stream is bounded by the bytes of its messages", "[emitter]")
{
  asio::io_context io;
  pair sockets(io);
  auto messages = sockets.target.stream<test::event::message>(4, 10);
  sockets.send({"12345", "123456", "", "12345", "1"});
  CHECK(messages.size() == 3);
  CHECK(messages.bytes() == 10);
  CHECK(messages.dropped() == 2);
  trace heard;
  const auto next = [&] {
    messages.next(asio::bind_executor(io.get_executor(), [&](dgram::error_code, auto message) {
      heard.push_back(text_of(std::get<0>(*message)));
    }));
    test::run_ready(io);
  };
  next();
  CHECK(messages.bytes() == 5);
  sockets.send({"123456", "1234"});
  next();
  next();
  next();
  CHECK(heard == trace{"12345", "", "12345", "1234"});
  CHECK(messages.bytes() == 0);
  CHECK(messages.dropped() == 3);
  // A message that is waited for takes no room.
  next();
  sockets.send({"longer than ten"});
  CHECK(heard.back() == "longer than ten");
  CHECK(messages.bytes() == 0);
}

TEST_CASE("N46: a stream's wait is cancelled without loss, and there is one at a time", "[emitter]")
{
  asio::io_context io;
  pair sockets(io);
  auto messages = sockets.target.stream<test::event::message>();
  std::vector<dgram::error_code> codes;
  const auto note = [&](dgram::error_code ec, const auto&) { codes.push_back(ec); };
  asio::cancellation_signal signal;
  messages.next(asio::bind_cancellation_slot(signal.slot(), note));
  messages.next(asio::bind_executor(io.get_executor(), note));
  test::run_ready(io);
  CHECK(codes == std::vector<dgram::error_code>{asio::error::already_started});
  signal.emit(asio::cancellation_type::total);
  CHECK(codes.size() == 1);
  test::run_ready(io);
  CHECK(codes.size() == 2);
  CHECK(codes.back() == asio::error::operation_aborted);
  sockets.send({"not lost"});
  CHECK(messages.size() == 1);
  messages.next(asio::bind_cancellation_slot(signal.slot(), note));
  signal.emit(asio::cancellation_type::total);  // too late
  test::run_ready(io);
  CHECK(codes.back() == dgram::error_code());
}

TEST_CASE("N46: other events, and a stream that goes or outlives its socket", "[emitter]")
{
  asio::io_context io;
  auto socket = std::make_optional(dgram::create_socket(io, dgram::udp4));
  const test::listener taken(io);
  {
    auto errors = socket->stream<test::event::error>();
    CHECK(socket->listener_count<test::event::error>() == 1);
    socket->bind(taken.port, "127.0.0.1");
    test::run_ready(io);
    std::string text;
    errors.next(
        [&](dgram::error_code, const std::optional<dgram::failure>& what) { text = what->text(); });
    test::run_ready(io);
    CHECK(text.starts_with("bind EADDRINUSE"));
    auto moved = std::move(errors);
    CHECK(socket->listener_count<test::event::error>() == 1);
  }
  CHECK(socket->listener_count<test::event::error>() == 0);
  auto listening = socket->stream<test::event::listening>();
  bool ended = false;
  listening.next([&](dgram::error_code ec, const std::optional<std::tuple<>>& value) {
    CHECK_FALSE(ec);
    ended = !value;
  });
  socket.reset();
  CHECK_FALSE(ended);
  test::run_ready(io);
  CHECK(ended);
}

TEST_CASE("N46: a coroutine as a listener owns what it is given", "[emitter]")
{
  asio::io_context io;
  pair sockets(io);
  trace heard;
  sockets.target.on<test::event::message>(dgram::as_coroutine(
      sockets.target,
      [&](dgram::bytes_view bytes, const dgram::remote_info& from) -> asio::awaitable<void> {
        asio::steady_timer timer(io, std::chrono::milliseconds(1));
        co_await timer.async_wait(asio::use_awaitable);
        heard.emplace_back(bytes.text());
        CHECK(from.size == bytes.size());
      }));
  sockets.target.once<test::event::message>(dgram::as_coroutine(
      sockets.target, [&](const std::vector<std::byte>& bytes) -> asio::awaitable<void> {
        heard.push_back("once " + text_of(bytes));
        co_return;
      }));
  sockets.send({"one", "two"});
  test::run_until(io, [&] { return heard.size() == 3; });
  CHECK(heard == trace{"once one", "one", "two"});
}

TEST_CASE("N46: what a coroutine throws is an 'error' event", "[emitter]")
{
  asio::io_context io;
  pair sockets(io);
  std::vector<dgram::failure> failures;
  sockets.target.on<test::event::error>(
      [&](const dgram::failure& what) { failures.push_back(what); });
  sockets.target.on<test::event::message>(
      dgram::as_coroutine(sockets.target, [](dgram::bytes_view bytes) -> asio::awaitable<void> {
        if (bytes.text() == "system") throw dgram::system_error(asio::error::timed_out, "peer");
        if (bytes.text() == "other") throw 1;
        throw std::runtime_error("no such room");
        co_return;
      }));
  sockets.send({"system", "exception", "other"});
  test::run_until(io, [&] { return failures.size() == 3; });
  CHECK(failures[0].code == asio::error::timed_out);
  CHECK(failures[0].detail.starts_with("peer: "));
  CHECK(failures[1].code == dgram::error::listener_failed);
  CHECK(failures[1].text() == "listener (no such room): a listener has thrown");
  CHECK(failures[2].text() == "listener: a listener has thrown");
}

TEST_CASE("A deferred operation on a stream completes although socket and stream are gone",
          "[emitter]")
{
  asio::io_context io;
  auto next = [&] {
    auto socket = dgram::create_socket(io, dgram::udp4);
    auto stream = socket.stream<test::event::message>();
    return stream.next(test::deferred);
  }();
  test::run_ready(io);
  int called = 0;
  std::move(next)([&](dgram::error_code ec, const auto& message) {
    CHECK_FALSE(ec);
    CHECK_FALSE(message.has_value());
    ++called;
  });
  test::run_ready(io);
  CHECK(called == 1);
}

}  // namespace stream_test
