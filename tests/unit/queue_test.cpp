// SPDX-License-Identifier: BSL-1.0
// The first-in first-out queue: its order, its cost, and that it forgets an entry that has left it.
#include <dgram/detail/async/queue.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <utility>

namespace queue_test {

namespace {

/// Counts how often it is moved.
struct passenger {
  std::size_t number = 0;
  std::size_t* moves = nullptr;

  passenger(std::size_t which, std::size_t& count) : number(which), moves(&count) {}
  passenger(passenger&& other) noexcept : number(other.number), moves(other.moves) { ++*moves; }
  passenger& operator=(passenger&& other) noexcept
  {
    number = other.number;
    moves = other.moves;
    ++*moves;
    return *this;
  }
  ~passenger() = default;
};

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

TEST_CASE("A long queue costs as much for each as a short one", "[queue]")
{
  constexpr std::size_t many = 20000;
  std::size_t moves = 0;
  dgram::detail::operation_queue<passenger> queue;
  for (std::size_t i = 0; i < many; ++i)
    queue.push({i, moves});
  moves = 0;
  for (std::size_t i = 0; i < many; ++i)
    REQUIRE(queue.pop().number == i);
  CHECK(queue.empty());
  CHECK(moves < 4 * many);
}

TEST_CASE("A queue that is never empty keeps its order", "[queue]")
{
  std::size_t moves = 0;
  dgram::detail::operation_queue<passenger> queue;
  std::size_t pushed = 0;
  for (std::size_t popped = 0; popped < 1000; ++popped) {
    while (queue.size() < 1 + popped % 7)
      queue.push({pushed++, moves});
    REQUIRE(queue.front().number == popped);
    REQUIRE(queue.pop().number == popped);
  }
}

TEST_CASE("A queue that is never quite empty keeps order and forgets what has left it", "[queue]")
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

}  // namespace queue_test
