// SPDX-License-Identifier: BSL-1.0
// Waiting for reports as an asynchronous operation: tokens, executors, memory, and its ends.
#include "support/asio.hpp"
#include "support/handlers.hpp"
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <asio/bind_allocator.hpp>
#include <asio/bind_executor.hpp>

#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <vector>

namespace reports_test {

namespace {

/// A socket that has just sent to a port without a socket.
template <class Executor>
struct refused {
  explicit refused(const Executor& executor) : socket(executor)
  {
    if (!dgram::platform::has_error_queue) SKIP("this system has no error queue");
    socket.open(dgram::udp::v4());
    socket.set_option(dgram::option::receive_error(true));
    socket.bind(test::loopback_v4());
  }

  void send() { socket.send_to(asio::buffer("a", 1), dead); }

  dgram::basic_socket<dgram::udp, Executor> socket;
  test::endpoint dead = test::dead_endpoint();
};

}  // namespace

TEST_CASE("reports come to any token")
{
  asio::io_context io;
  refused<asio::any_io_executor> on(io.get_executor());
  on.send();
  auto future = on.socket.async_receive_error(asio::use_future);
  test::run(io);
  CHECK(future.get().code == asio::error::connection_refused);
  on.send();
  bool moved = false;
  on.socket.async_receive_error(
      test::move_only([&](dgram::error_code ec, const dgram::path_error&) { moved = !ec; }));
  CHECK_FALSE(moved);  // never inside the initiating call
  test::run(io);
  CHECK(moved);
  on.send();
  test::run(io, [&]() -> asio::awaitable<void> {
    const auto error = co_await on.socket.async_receive_error(asio::use_awaitable);
    CHECK(error.peer == on.dead);
  }());
}

TEST_CASE("reports are handed over by the handler's executor, and memory by its allocator")
{
  asio::io_context io;
  refused<asio::io_context::executor_type> on(io.get_executor());
  test::manual_queue queue;
  test::allocation_record memory;
  std::optional<std::size_t> live;
  on.socket.async_receive_error(asio::bind_allocator(
      test::recording_allocator<>(memory),
      asio::bind_executor(queue.get_executor(), [&](dgram::error_code, const dgram::path_error&) {
        live = memory.live;
      })));
  io.poll();
  CHECK(memory.live > 0);
  on.send();
  test::run_until(io, queue, [&] { return live.has_value(); });
  CHECK(live == 0U);  // released before the handler was called
}

TEST_CASE("who waits for reports is told when the socket goes")
{
  asio::io_context io;
  std::optional<refused<asio::any_io_executor>> on;
  on.emplace(io.get_executor());
  std::vector<dgram::error_code> ends;
  const auto note = [&](dgram::error_code ec, const auto&) { ends.push_back(ec); };
  on->socket.async_receive_error(note);
  on->socket.async_send_timestamp(note);
  io.poll();
  on.reset();
  test::run(io);
  CHECK(ends == std::vector<dgram::error_code>(2, asio::error::operation_aborted));
}

}  // namespace reports_test
