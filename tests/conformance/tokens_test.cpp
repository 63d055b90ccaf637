// SPDX-License-Identifier: BSL-1.0
// Every asynchronous operation with every kind of completion token.
#include "support/handlers.hpp"

#include <asio/experimental/parallel_group.hpp>
#include <asio/steady_timer.hpp>

#include <catch2/catch_template_test_macros.hpp>

#include <array>
#include <future>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tokens_test {

namespace {

using test::await;
using test::bench;
using test::outcome;
using test::record;

template <class Operation, class Executor>
asio::awaitable<outcome> await_tuple(bench<Executor>& b)
{
  const auto results = co_await Operation::start(b, test::as_tuple(asio::use_awaitable));
  outcome result;
  std::apply([&](const auto&... values) { result.note(values...); }, results);
  co_return result;
}

template <class Awaitable>
auto run_to_result(asio::io_context& io, Awaitable awaitable)
{
  auto result = asio::co_spawn(io, std::move(awaitable), asio::use_future);
  test::run(io);
  REQUIRE(result.wait_for(test::seconds(0)) == std::future_status::ready);
  return result.get();
}

template <class Operation>
void require_success(const outcome& result)
{
  REQUIRE(result.calls == 1);
  REQUIRE_FALSE(result.ec);
  REQUIRE(result.count == Operation::moves);
}

/// What an operation gave in a group, in which the error of a timer comes last.
template <class... Values>
void note_all_but_last(outcome& result, Values... values)
{
  [&]<std::size_t... Places>(std::index_sequence<Places...>) {
    const auto all = std::tie(values...);
    result.note(std::get<Places>(all)...);
  }(std::make_index_sequence<sizeof...(Values) - 1>());
}

template <class T>
std::size_t take(std::future<T>& result)
{
  REQUIRE(result.wait_for(test::seconds(10)) == std::future_status::ready);
  if constexpr (std::is_void_v<T>) {
    result.get();
    return 0;
  } else {
    return test::moved(result.get());
  }
}

}  // namespace

TEMPLATE_TEST_CASE("every operation takes every completion token", "", DGRAM_DISTINCT_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<asio::any_io_executor> b(io.get_executor(), test::protocol_for<TestType>);
  TestType::ready(b);
  outcome result;

  SECTION("callback")
  {
    TestType::start(b, record(result));
    test::run(io);
    require_success<TestType>(result);
  }

  SECTION("callback that is an lvalue")
  {
    const auto callback = record(result);
    TestType::start(b, callback);
    test::run(io);
    require_success<TestType>(result);
  }

  SECTION("move-only handler")
  {
    TestType::start(b, test::move_only(record(result)));
    test::run(io);
    require_success<TestType>(result);
  }

  SECTION("use_awaitable")
  {
    REQUIRE(run_to_result(io, await<TestType>(b, asio::use_awaitable)) == TestType::moves);
  }

  SECTION("no token")
  {
    REQUIRE(run_to_result(io, await<TestType>(b)) == TestType::moves);
  }

  SECTION("use_future")
  {
    auto future = TestType::start(b, asio::use_future);
    test::run(io);
    REQUIRE(take(future) == TestType::moves);
  }

  SECTION("deferred, launched later and launched twice")
  {
    auto operation = TestType::start(b, test::deferred);
    test::run(io);
    operation(record(result));
    test::run(io);
    require_success<TestType>(result);
    TestType::verify(b);

    TestType::ready(b);
    outcome again;
    std::move(operation)(record(again));
    test::run(io);
    require_success<TestType>(again);
  }

  SECTION("as_tuple")
  {
    require_success<TestType>(run_to_result(io, await_tuple<TestType>(b)));
  }

  SECTION("redirect_error")
  {
    dgram::error_code ec = asio::error::fault;
    const auto token = asio::redirect_error(asio::use_awaitable, ec);
    REQUIRE(run_to_result(io, await<TestType>(b, token)) == TestType::moves);
    REQUIRE_FALSE(ec);
  }

  SECTION("detached")
  {
    TestType::start(b, asio::detached);
    test::run(io);
  }

  SECTION("bind_executor")
  {
    test::manual_queue queue;
    TestType::start(b, asio::bind_executor(queue.get_executor(), record(result)));
    test::run_until_queued(io, queue);
    REQUIRE(result.calls == 0);
    test::run_until(io, queue, [&] { return result.calls > 0; });
    test::run(io);
    require_success<TestType>(result);
  }

  SECTION("bind_cancellation_slot")
  {
    asio::cancellation_signal signal;
    TestType::start(b, asio::bind_cancellation_slot(signal.slot(), record(result)));
    test::run(io);
    require_success<TestType>(result);
    signal.emit(asio::cancellation_type::all);
    test::run(io);
    REQUIRE(result.calls == 1);
  }

  SECTION("parallel group, the other operation of which is cancelled then")
  {
    asio::steady_timer timer(io, test::seconds(60));
    bool is_first = false;
    asio::experimental::make_parallel_group(TestType::start(b, test::deferred),
                                            timer.async_wait(test::deferred))
        .async_wait(asio::experimental::wait_for_one(),
                    [&](std::array<std::size_t, 2> order, auto... values) {
                      is_first = order[0] == 0;
                      note_all_but_last(result, std::move(values)...);
                    });
    test::run(io);
    CHECK(is_first);
    require_success<TestType>(result);
  }

  TestType::verify(b);
}

TEMPLATE_TEST_CASE("every overload takes a callback, an awaitable and a deferred launch", "",
                   test::wait_writable, test::send_with_flags, test::send_to_with_flags,
                   test::send_to_dual, test::receive_with_flags, test::receive_from_with_flags,
                   test::receive_from_dual_with_flags, test::receive_batch_dual)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<asio::any_io_executor> b(io.get_executor(), test::protocol_for<TestType>);
  TestType::ready(b);
  outcome result;

  SECTION("callback")
  {
    TestType::start(b, test::move_only(record(result)));
    test::run(io);
    require_success<TestType>(result);
  }

  SECTION("no token")
  {
    REQUIRE(run_to_result(io, await<TestType>(b)) == TestType::moves);
  }

  SECTION("deferred")
  {
    auto operation = TestType::start(b, test::deferred);
    test::run(io);
    std::move(operation)(record(result));
    test::run(io);
    require_success<TestType>(result);
  }

  TestType::verify(b);
}

// On an executor that keeps its type: a type-erased one cannot hand a foreign allocator on, in
// Asio's own operations neither.
TEMPLATE_TEST_CASE("every operation takes its memory from the handler's allocator", "",
                   DGRAM_DISTINCT_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<asio::io_context::executor_type> b(io.get_executor(), test::protocol_for<TestType>);
  TestType::ready(b);
  outcome result;
  test::allocation_record memory;
  std::size_t live = 1;
  TestType::start(b, asio::bind_allocator(test::recording_allocator<>(memory),
                                          [&](const dgram::error_code& ec, const auto&... values) {
                                            live = memory.live;
                                            result.note(ec, values...);
                                          }));
  test::run(io);
  require_success<TestType>(result);
  REQUIRE(memory.total > 0);
  REQUIRE(live == 0);
  TestType::verify(b);
}

TEMPLATE_TEST_CASE("an error is thrown, or put where the token says", "", test::wait_readable,
                   test::connect, test::receive_from, test::receive_batch, test::send_batch)
{
  asio::io_context io;
  bench<asio::any_io_executor> b(io.get_executor());
  TestType::ready(b);
  // An operation on a closed socket fails, but connecting opens it.
  b.connect();
  dgram::error_code expected = asio::error::bad_descriptor;
  if constexpr (std::is_same_v<TestType, test::connect>) {
    b.to_peer.port(0);
    expected = dgram::error::bad_port;
  } else {
    b.socket->close();
  }

  SECTION("use_awaitable throws it")
  {
    try {
      run_to_result(io, await<TestType>(b, asio::use_awaitable));
      FAIL("it succeeded");
    } catch (const dgram::system_error& failure) {
      REQUIRE(failure.code() == expected);
    }
  }

  SECTION("as_tuple returns it")
  {
    const outcome result = run_to_result(io, await_tuple<TestType>(b));
    REQUIRE(result.ec == expected);
    REQUIRE(result.count == 0);
  }

  SECTION("redirect_error assigns it")
  {
    dgram::error_code ec;
    const auto token = asio::redirect_error(asio::use_awaitable, ec);
    REQUIRE(run_to_result(io, await<TestType>(b, token)) == 0);
    REQUIRE(ec == expected);
  }
}

TEST_CASE("an operation that is launched later is launched on the socket that is there then")
{
  asio::io_context io;
  dgram::udp::socket socket(io, test::loopback_v4());
  std::array<char, 4> storage;
  dgram::receive_batch batch(1);
  auto single = socket.async_receive(asio::buffer(storage), test::deferred);
  auto batched = socket.async_receive_batch(batch, test::deferred);
  socket = dgram::udp::socket(io, test::loopback_v4());
  const auto here = socket.local_endpoint();
  for (int i = 0; i < 2; ++i)
    socket.send_to(asio::buffer("a", 1), here);
  outcome of_single;
  std::move(single)(record(of_single));
  test::run(io);
  CHECK(of_single.count == 1);
  outcome of_batch;
  std::move(batched)(record(of_batch));
  test::run(io);
  CHECK(of_batch.count == 1);
}

}  // namespace tokens_test
