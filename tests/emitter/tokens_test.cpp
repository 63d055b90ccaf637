// SPDX-License-Identifier: BSL-1.0
// The emitter's operations with completion tokens, and events that are awaited.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"

#include <asio/use_future.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <thread>

namespace tokens_test {

using test::trace;

namespace {

/// Runs a coroutine to its end and rethrows what it threw.
template <class Coroutine>
void run_coroutine(asio::io_context& io, Coroutine coroutine)
{
  bool finished = false;
  std::exception_ptr thrown;
  asio::co_spawn(io, std::move(coroutine), [&](std::exception_ptr what) {
    finished = true;
    thrown = std::move(what);
  });
  test::run_until(io, [&] { return finished; });
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

TEST_CASE("Awaitable bind, connect, send, once and close", "[emitter]")
{
  asio::io_context io;
  run_coroutine(io, [&]() -> asio::awaitable<void> {
    auto server = dgram::create_socket(io, dgram::udp4);
    co_await server.bind(0, "127.0.0.1", asio::use_awaitable);
    const auto port = server.address().port;
    auto client = dgram::create_socket(io, dgram::udp4);
    co_await client.connect(port, asio::use_awaitable);
    const std::size_t size = co_await client.send("hello", asio::use_awaitable);
    CHECK(size == 5);
    auto [message, from] = co_await server.once<test::event::message>(asio::use_awaitable);
    CHECK(dgram::bytes_view(message).text() == "hello");
    CHECK(from.port == client.address().port);
    server.send(message, from);
    auto [reply, self] = co_await client.once<test::event::message>(asio::use_awaitable);
    CHECK(reply == message);
    CHECK(self.port == port);
    co_await client.close(asio::use_awaitable);
    CHECK(client.state().closed);
    co_await client.dispose(asio::use_awaitable);  // CLS-19
    co_await server.dispose(asio::use_awaitable);
    co_await server.dispose(asio::use_awaitable);
  }());
}

TEST_CASE("Errors are thrown by what is awaited, and are no 'error' event", "[emitter]")
{
  asio::io_context io;
  const test::listener taken(io);
  run_coroutine(io, [&]() -> asio::awaitable<void> {
    auto socket = dgram::create_socket(io, dgram::udp4);
    dgram::error_code ec;
    co_await socket.bind(taken.port, "127.0.0.1", asio::redirect_error(asio::use_awaitable, ec));
    CHECK(ec == asio::error::address_in_use);
    co_await socket.connect(9, "::1", asio::redirect_error(asio::use_awaitable, ec));
    CHECK(ec == asio::error::invalid_argument);
    const std::string large(70000, 'x');
    co_await socket.send(large, 9, asio::redirect_error(asio::use_awaitable, ec));
    CHECK(ec == asio::error::message_size);
  }());
}

TEST_CASE("Other tokens", "[emitter]")
{
  asio::io_context io;
  test::listener target(io);
  auto socket = dgram::create_socket(io, dgram::udp4);
  auto bound = socket.bind(0, asio::use_future);
  auto sent = socket.send("future", target.port, asio::use_future);
  socket.send("detached", target.port, asio::detached);
  auto later = socket.send("deferred", target.port, test::deferred);
  test::run_until(io, [&] { return target.messages.size() == 2; });
  bound.get();
  CHECK(sent.get() == 6);
  std::optional<std::size_t> size;
  std::move(later)([&](dgram::error_code, std::size_t n) { size = n; });
  CHECK_FALSE(size);
  test::run_until(io, [&] { return size.has_value(); });
  CHECK(size == 8);
  bool by_tuple = false;
  socket.send("tuple", target.port,
              test::as_tuple([&](std::tuple<dgram::error_code, std::size_t> result) {
                by_tuple = std::get<1>(result) == 5;
              }));
  test::run_until(io, [&] { return by_tuple; });
}

TEST_CASE("A deferred operation that is launched too late completes with the reason", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  auto bind = socket.bind(0, test::deferred);
  auto connect = socket.connect(9, test::deferred);
  auto send = socket.send("x", 9, test::deferred);
  auto close = socket.close(test::deferred);
  socket.close();
  std::vector<dgram::error_code> codes;
  std::move(bind)([&](dgram::error_code ec) { codes.push_back(ec); });
  std::move(connect)([&](dgram::error_code ec) { codes.push_back(ec); });
  std::move(send)([&](dgram::error_code ec, std::size_t) { codes.push_back(ec); });
  std::move(close)([&](dgram::error_code ec) { codes.push_back(ec); });
  CHECK(codes.empty());
  test::run(io);
  CHECK(codes == std::vector<dgram::error_code>(4, dgram::error::not_running));
}

TEST_CASE("SND-33: a handler runs on its own executor", "[emitter]")
{
  asio::io_context io;
  asio::io_context other;
  auto socket = dgram::create_socket(io, dgram::udp4);
  bool called = false;
  socket.send("x", 9,
              asio::bind_executor(other.get_executor(),
                                  [&](dgram::error_code, std::size_t) { called = true; }));
  test::run_ready(io);
  CHECK_FALSE(called);
  test::run(other);
  CHECK(called);
}

TEST_CASE("SND-33: a callback without arguments runs on its own executor", "[emitter]")
{
  asio::io_context io;
  asio::io_context other;
  std::string called;
  // An executor of the socket's own type, and one of another.
  const asio::any_io_executor erased = other.get_executor();
  const auto strand = asio::make_strand(other);
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.bind(0, asio::bind_executor(strand, [&] { called += 'b'; }));
  socket.send("x", 9, asio::bind_executor(erased, [&] { called += 's'; }));
  socket.send("y", 9, asio::bind_executor(strand, [&] {
                CHECK(strand.running_in_this_thread());
                called += 't';
              }));
  test::run_ready(io);
  CHECK(called.empty());
  test::run_ready(other);
  CHECK(called == "bst");
  socket.connect(9, asio::bind_executor(strand, [&] { called += 'c'; }));
  test::run_ready(io);
  socket.close(asio::bind_executor(erased, [&] { called += 'e'; }));
  test::run(io);
  CHECK(called == "bst");
  test::run(other);
  CHECK(called == "bstce");
}

TEST_CASE(
    "SND-33: a callback without arguments that is bound to the socket's executor is called there",
    "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  int called = 0;
  socket.bind(0, asio::bind_executor(socket.get_executor(), [&] { ++called; }));
  socket.send("x", 9, asio::bind_executor(io, [&] { ++called; }));
  socket.unref();
  test::run(io);
  CHECK(called == 2);
}

TEST_CASE("A send's callback without arguments is not called where its slot cancels the send",
          "[emitter]")
{
  asio::io_context io;
  asio::io_context other;
  auto socket = dgram::create_socket(io, dgram::udp4);
  test::trace events;
  test::record(socket, events);
  asio::cancellation_signal signal;
  bool called = false;
  socket.send("x", 9, asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(other, [&] {
                                                     called = true;
                                                   })));
  signal.emit(asio::cancellation_type::terminal);
  socket.unref();
  test::run(io);
  CHECK(events.size() == 2);
  CHECK(std::count(events.begin(), events.end(), "listening") == 1);
  test::run(other);  // which nothing keeps running
  CHECK_FALSE(called);
}

TEST_CASE("once: closing, removal and cancellation end the wait", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  std::vector<dgram::error_code> codes;
  const auto note = [&](dgram::error_code ec, const auto&...) { codes.push_back(ec); };
  asio::cancellation_signal signal;
  socket.once<test::event::message>(asio::bind_cancellation_slot(signal.slot(), note));
  CHECK(socket.listener_count<test::event::message>() == 1);
  signal.emit(asio::cancellation_type::total);
  CHECK(codes.empty());
  test::run_ready(io);
  CHECK(codes.size() == 1);
  CHECK(socket.listener_count<test::event::message>() == 0);

  socket.once<test::event::listening>(asio::bind_cancellation_slot(signal.slot(), note));
  socket.bind();
  test::run_ready(io);
  CHECK(codes.size() == 2);
  CHECK_FALSE(codes.back());
  signal.emit(asio::cancellation_type::total);  // too late

  socket.once<test::event::message>(asio::bind_executor(io.get_executor(), note));
  socket.remove_all();
  socket.once<test::event::message>(asio::bind_executor(io.get_executor(), note));
  socket.once<test::event::close>(asio::bind_executor(io.get_executor(), note));
  socket.close();
  socket.once<test::event::message>(asio::bind_executor(io.get_executor(), note));
  test::run(io);
  const auto aborted = dgram::error_code(asio::error::operation_aborted);
  CHECK(codes.size() == 6);
  CHECK(codes[0] == aborted);
  CHECK(std::count(codes.begin() + 2, codes.end(), aborted) == 3);
  CHECK(std::count(codes.begin() + 2, codes.end(), dgram::error_code()) == 1);
}

TEST_CASE("CLS-19: an awaited close ends after 'close', and so does a wait begun after the call",
          "[emitter]")
{
  enum class way { close, dispose, once };
  for (const way how : {way::close, way::dispose, way::once}) {
    asio::io_context io;
    auto socket = dgram::create_socket(io, dgram::udp4);
    trace events;
    socket.bind_sync();
    socket.on<test::event::close>([&] { events.push_back("close"); });
    run_coroutine(io, [&]() -> asio::awaitable<void> {
      if (how == way::close) {
        co_await socket.close(asio::use_awaitable);
      } else if (how == way::dispose) {
        co_await socket.dispose(asio::use_awaitable);
      } else {
        socket.close();
        co_await socket.once<test::event::close>(asio::use_awaitable);
      }
      events.push_back("awaited");
      co_await socket.dispose(asio::use_awaitable);  // again, which is no error
    });
    CHECK(events == trace{"close", "awaited"});
    CHECK(test::thrown([&] { socket.address(); }) == dgram::error::not_running);
    std::optional<dgram::error_code> late;
    socket.once<test::event::close>([&](dgram::error_code ec) { late = ec; });
    test::run(io);
    CHECK(late == dgram::error_code(asio::error::operation_aborted));
  }
}

}  // namespace tokens_test
