// SPDX-License-Identifier: BSL-1.0
// The emitter's queue of operations: order, and no memory of what has left it.
#include <dgram/emitter/waiting_operation.hpp>

#include <catch2/catch_test_macros.hpp>

#include <memory>

TEST_CASE("a queue that is never quite empty keeps order and forgets what has left it", "[emitter]")
{
  dgram::detail::operation_queue<std::unique_ptr<int>> queue;
  queue.push(std::make_unique<int>(0));
  for (int i = 0; i < 10000; ++i) {
    queue.push(std::make_unique<int>(i + 1));
    CHECK(*queue.pop() == i);
    REQUIRE(queue.size() == 1);
    REQUIRE(queue.places() < 200);
  }
}
