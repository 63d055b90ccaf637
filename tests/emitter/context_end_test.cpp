// SPDX-License-Identifier: BSL-1.0
// What is pending when the context is destroyed is destroyed with it, also where it owns the socket.
#include "emitter/helpers.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/use_awaitable.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace context_end_test {

namespace {

using namespace test;

/// Whether what `start` is given, and puts into a handler, is gone when its context is.
template <class Start>
bool is_let_go(Start start)
{
  std::optional<asio::io_context> io(std::in_place);
  auto kept = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = kept;
  start(*io, std::move(kept));
  run_ready(*io);
  const bool waits = !watched.expired();
  io.reset();
  return waits && watched.expired();
}

/// A lookup that never ends.
dgram::socket_options with_slow_lookup()
{
  dgram::socket_options options{.type = dgram::udp4};
  options.lookup = [](const std::string&, dgram::socket_type, const auto&) {};
  return options;
}

std::shared_ptr<dgram::emitter_socket> shared_socket(asio::io_context& io,
                                                     dgram::socket_options options)
{
  return std::make_shared<dgram::emitter_socket>(dgram::create_socket(io, std::move(options)));
}

}  // namespace

TEST_CASE("A coroutine that owns its socket and waits for an event ends with the context",
          "[emitter]")
{
  const auto wait = [](asio::io_context& io, std::shared_ptr<int>) -> asio::awaitable<void> {
    auto socket = dgram::create_socket(io, dgram::udp4);
    socket.bind();
    co_await socket.once<event::message>(asio::use_awaitable);
  };
  CHECK(is_let_go([&](asio::io_context& io, std::shared_ptr<int> kept) {
    asio::co_spawn(io, wait(io, std::move(kept)), asio::detached);
  }));
}

TEST_CASE("A coroutine that owns its socket and reads a stream ends with the context", "[emitter]")
{
  const auto read = [](asio::io_context& io, std::shared_ptr<int>) -> asio::awaitable<void> {
    auto socket = dgram::create_socket(io, dgram::udp4);
    auto messages = socket.stream<event::message>();
    socket.bind();
    co_await messages.next(asio::use_awaitable);
  };
  CHECK(is_let_go([&](asio::io_context& io, std::shared_ptr<int> kept) {
    asio::co_spawn(io, read(io, std::move(kept)), asio::detached);
  }));
}

TEST_CASE("A coroutine that owns two sockets ends with the context", "[emitter]")
{
  const auto wait = [](asio::io_context& io, std::shared_ptr<int>) -> asio::awaitable<void> {
    auto first = dgram::create_socket(io, dgram::udp4);
    auto second = dgram::create_socket(io, with_slow_lookup());
    first.send("never", 9, "127.0.0.1", [](dgram::error_code) {});
    second.send("never", 9, "name", [](dgram::error_code) {});
    co_await second.once<event::message>(asio::use_awaitable);
  };
  CHECK(is_let_go([&](asio::io_context& io, std::shared_ptr<int> kept) {
    asio::co_spawn(io, wait(io, std::move(kept)), asio::detached);
  }));
}

TEST_CASE("A send that owns its socket and waits for a name ends with the context", "[emitter]")
{
  CHECK(is_let_go([](asio::io_context& io, std::shared_ptr<int> kept) {
    auto socket = shared_socket(io, with_slow_lookup());
    socket->bind_sync();
    socket->send("never", 9, "name", [socket, kept](dgram::error_code) {});
  }));
}

TEST_CASE("What waits behind a bind and owns its socket ends with the context", "[emitter]")
{
  CHECK(is_let_go([](asio::io_context& io, std::shared_ptr<int> kept) {
    auto socket = shared_socket(io, with_slow_lookup());
    socket->bind(0, "name", [socket, kept](dgram::error_code) {});
    socket->send("never", 9, "127.0.0.1", [socket, kept](dgram::error_code) {});
    socket->close([socket, kept](dgram::error_code) {});
  }));
}

TEST_CASE("A connect that owns its socket, and a send behind it, end with the context", "[emitter]")
{
  CHECK(is_let_go([](asio::io_context& io, std::shared_ptr<int> kept) {
    auto socket = shared_socket(io, with_slow_lookup());
    socket->bind_sync();
    socket->connect(9, "name", [socket, kept](dgram::error_code) {});
    socket->send("never", [socket, kept](dgram::error_code) {});
  }));
}

TEST_CASE("A listener that owns its socket ends with the context", "[emitter]")
{
  CHECK(is_let_go([](asio::io_context& io, std::shared_ptr<int> kept) {
    auto socket = shared_socket(io, {.type = dgram::udp4});
    socket->on<event::message>([socket, kept] {});
    socket->bind_sync();
  }));
}

TEST_CASE("A completion that was not delivered yet ends with the context uncalled", "[emitter]")
{
  std::optional<asio::io_context> io(std::in_place);
  auto kept = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = kept;
  bool called = false;
  {
    auto socket = shared_socket(*io, {.type = dgram::udp4});
    socket->bind_sync();
    socket->send("never", 9, "127.0.0.1",
                 [&called, socket, kept = std::move(kept)](dgram::error_code) { called = true; });
  }
  REQUIRE(!watched.expired());
  io.reset();
  CHECK(watched.expired());
  CHECK(!called);
}

TEST_CASE("A single send that waits for its name ends with the context", "[emitter]")
{
  // Nothing runs: the system's lookup is pending, or over and not reported.
  std::optional<asio::io_context> io(std::in_place);
  auto kept = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = kept;
  dgram::send_once(*io, dgram::udp4, "never", 9, "localhost",
                   [kept = std::move(kept)](dgram::error_code, std::size_t) {});
  REQUIRE(!watched.expired());
  io.reset();
  CHECK(watched.expired());
}

TEST_CASE("A stop that is requested after the end of the context finds nobody", "[emitter]")
{
  std::stop_source source;
  CHECK(is_let_go([&](asio::io_context& io, std::shared_ptr<int> kept) {
    auto options = with_slow_lookup();
    options.signal = source.get_token();
    auto socket = shared_socket(io, std::move(options));
    socket->bind_sync();
    socket->send("never", 9, "name", [socket, kept](dgram::error_code) {});
  }));
  source.request_stop();  // posts nothing to what is gone
}

TEST_CASE("A lookup that reports after the end of the context finds nobody", "[emitter]")
{
  dgram::lookup_result report;
  CHECK(is_let_go([&](asio::io_context& io, std::shared_ptr<int> kept) {
    dgram::socket_options options{.type = dgram::udp4};
    options.lookup = [&](const std::string&, dgram::socket_type, dgram::lookup_result result) {
      report = std::move(result);
    };
    auto socket = shared_socket(io, std::move(options));
    socket->send("never", 9, "name", [socket, kept](dgram::error_code) {});
  }));
  REQUIRE(report);
  report({}, asio::ip::address_v4::loopback());
}

}  // namespace context_end_test
