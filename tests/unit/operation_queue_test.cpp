// SPDX-License-Identifier: BSL-1.0
// The emitter's queue of operations: order, and no memory of what has left it.
#include <dgram/emitter/waiting_operation.hpp>

#include <catch2/catch_test_macros.hpp>

#include <utility>

namespace {

/// Counts those that exist, also where their value has been moved away.
struct counted {
  static inline int alive = 0;

  explicit counted(int number) noexcept : value(number) { ++alive; }
  counted(counted&& other) noexcept : value(std::exchange(other.value, -1)) { ++alive; }
  counted& operator=(counted&& other) noexcept
  {
    value = std::exchange(other.value, -1);
    return *this;
  }
  ~counted() { --alive; }

  int value;
};

}  // namespace

TEST_CASE("a queue that is never quite empty keeps order and forgets what has left it", "[emitter]")
{
  dgram::detail::operation_queue<counted> queue;
  queue.push(counted(0));
  for (int i = 0; i < 10000; ++i) {
    queue.push(counted(i + 1));
    REQUIRE(queue.pop().value == i);
    REQUIRE(queue.size() == 1);
    REQUIRE(counted::alive < 200);
  }
}
