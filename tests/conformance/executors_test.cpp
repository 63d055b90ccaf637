// SPDX-License-Identifier: BSL-1.0
// Every asynchronous operation on every kind of executor.
#include "support/handlers.hpp"

#include <dgram/emitter_socket.hpp>

#include <asio/post.hpp>

#include <catch2/catch_template_test_macros.hpp>

#include <future>
#include <type_traits>

namespace executors_test {

namespace {

template <class T>
T wait_for(std::future<T>& result)
{
  REQUIRE(result.wait_for(test::seconds(10)) == std::future_status::ready);
  return result.get();
}

/// A callback and a coroutine by the default token; `drive` gets the work done.
template <class Operation, class Executor, class Drive>
void use_on(const Executor& executor, Drive drive)
{
  test::bench<Executor> b(executor, test::protocol_for<Operation>);
  STATIC_REQUIRE(std::is_same_v<typename decltype(b.socket)::value_type::executor_type, Executor>);

  Operation::ready(b);
  std::promise<test::outcome> promise;
  auto called = promise.get_future();
  Operation::start(b, [&](const dgram::error_code& ec, const auto&... values) {
    test::outcome result;
    result.note(ec, values...);
    promise.set_value(result);
  });
  drive();
  const test::outcome result = wait_for(called);
  REQUIRE(result.calls == 1);
  REQUIRE_FALSE(result.ec);
  REQUIRE(result.count == Operation::moves);
  Operation::verify(b);

  Operation::ready(b);
  auto awaited = asio::co_spawn(executor, test::await<Operation>(b), asio::use_future);
  drive();
  REQUIRE(wait_for(awaited) == Operation::moves);
  Operation::verify(b);
}

/// All that an executor must have: it calls what it is given, at once.
struct inline_executor {
  template <class Function>
  void execute(Function function) const
  {
    std::move(function)();
  }

  [[maybe_unused]] friend bool operator==(const inline_executor&,
                                          const inline_executor&) noexcept = default;
};

/// All that the executor of a socket of Asio's must have: a context, and that it never runs inline.
struct smallest_io_executor {
  asio::io_context* io;

  template <class Function>
  void execute(Function function) const
  {
    // Wrapped, since a function may have an executor of its own.
    asio::post(*io, [taken = std::move(function)]() mutable { std::move(taken)(); });
  }

  asio::execution_context& query(asio::execution::context_t) const noexcept { return *io; }
  static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept
  {
    return asio::execution::blocking_t::never;
  }

  [[maybe_unused]] friend bool operator==(const smallest_io_executor&,
                                          const smallest_io_executor&) noexcept = default;
};

/// Starts the operation with a handler on that executor, and without one; both complete once, and
/// later.
template <class Operation, class Executor>
void complete_inline(asio::io_context& io, const Executor& executor)
{
  test::bench<Executor> b(executor, test::protocol_for<Operation>);
  const auto try_with = [&](auto bind) {
    test::outcome result;
    Operation::ready(b);
    Operation::start(b, bind(test::record(result)));
    REQUIRE(result.calls == 0);
    test::run(io);
    REQUIRE(result.calls == 1);
    REQUIRE_FALSE(result.ec);
    REQUIRE(result.count == Operation::moves);
    Operation::verify(b);
  };
  try_with([](auto handler) { return handler; });
  try_with([](auto handler) { return asio::bind_executor(inline_executor(), handler); });
}

/// Starts something with a handler on such an executor, which is to be called once, and later.
template <class Start>
void require_completion(asio::io_context& io, Start start)
{
  int calls = 0;
  start(asio::bind_executor(inline_executor(), [&](const auto&...) { ++calls; }));
  REQUIRE(calls == 0);
  test::run(io);
  REQUIRE(calls == 1);
}

}  // namespace

TEMPLATE_TEST_CASE("every operation completes on an executor that can only call", "[F18]",
                   DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  complete_inline<TestType>(io, io.get_executor());
}

TEMPLATE_TEST_CASE("every operation runs on the smallest executor that Asio's sockets take",
                   "[F18]", DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  complete_inline<TestType>(io, smallest_io_executor{&io});
}

TEMPLATE_TEST_CASE("readers and names complete on an executor that can only call", "[F18]",
                   asio::io_context::executor_type, smallest_io_executor)
{
  asio::io_context io;
  const auto executor = [&] {
    if constexpr (std::is_same_v<TestType, smallest_io_executor>)
      return smallest_io_executor{&io};
    else
      return io.get_executor();
  }();
  dgram::basic_socket<dgram::udp, TestType> socket(executor, test::loopback_v4());

  require_completion(io, [&](auto handler) {
    dgram::async_send_to(socket, asio::buffer("x", 1), "127.0.0.1", "9", handler);
  });
  require_completion(
      io, [&](auto handler) { dgram::async_connect(socket, "127.0.0.1", "9", handler); });
  require_completion(
      io, [&](auto handler) { dgram::async_connect(socket, "no address", "", handler); });
  dgram::reader reader(socket);
  reader.stop();
  require_completion(
      io, [&](auto handler) { reader.async_for_each([](const dgram::datagram&) {}, handler); });
}

TEST_CASE("an emitter's operations complete on an executor that can only call", "[F18]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  socket.unref();
  auto messages = socket.stream<dgram::event::close>();
  require_completion(io, [&](auto handler) { socket.bind(0, "127.0.0.1", handler); });
  require_completion(io, [&](auto handler) { socket.send("x", 9, "127.0.0.1", handler); });
  require_completion(io, [&](auto handler) { socket.connect(9, "127.0.0.1", handler); });
  require_completion(io, [&](auto handler) {
    socket.once<dgram::event::close>(handler);
    socket.close();
  });
  require_completion(io, [&](auto handler) { messages.next(handler); });
  require_completion(io, [&](auto handler) { socket.dispose(handler); });
}

// The tests of the tokens run on any_io_executor.
TEMPLATE_TEST_CASE("every operation runs on every executor", "", test::wait_readable, test::connect,
                   test::send_to, test::receive_from, test::receive_from_dual, test::receive_batch,
                   test::send_batch)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  const auto drive = [&] { test::run(io); };

  SECTION("io_context")
  {
    use_on<TestType>(io.get_executor(), drive);
  }

  SECTION("strand")
  {
    use_on<TestType>(asio::make_strand(io), drive);
  }

  SECTION("thread_pool")
  {
    asio::thread_pool pool(1);
    use_on<TestType>(pool.get_executor(), [] {});
    pool.join();
  }
}

}  // namespace executors_test
