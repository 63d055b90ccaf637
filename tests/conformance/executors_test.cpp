// SPDX-License-Identifier: BSL-1.0
// Every asynchronous operation on every kind of executor.
#include "support/handlers.hpp"

#include <catch2/catch_template_test_macros.hpp>

#include <future>
#include <type_traits>

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

}  // namespace

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
