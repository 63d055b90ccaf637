// SPDX-License-Identifier: BSL-1.0
// Functions of the program: their state lasts, and they may replace themselves.
#include "conformance/program_functions.hpp"

#include <dgram/detail/async/replaceable_function.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace program_functions_test {

namespace {

/// Each call has the number of the call before, plus one.
TEMPLATE_TEST_CASE("a function of the program keeps its state from call to call", "[functions]",
                   DGRAM_PROGRAM_FUNCTIONS)
{
  TestType world;
  int calls = 0;
  int seen = 0;
  world.set([&seen, &calls, own = 0]() mutable {
    ++calls;
    seen = ++own;
  });
  for (int i = 1; i <= 4; ++i) {
    world.cause([&] { return calls >= i; });
    CHECK(seen == calls);
  }
}

TEMPLATE_TEST_CASE("a function of the program that replaces itself goes on with its captures",
                   "[functions]", DGRAM_PROGRAM_FUNCTIONS)
{
  TestType world;
  int first = 0;
  int second = 0;
  std::string after;
  const auto alive = std::make_shared<const std::string>("the captures of the first one");
  world.set([&, alive] {
    ++first;
    world.set([&second] { ++second; });
    after = *alive;
  });
  world.cause([&] { return first > 0; });
  CHECK(first == 1);
  CHECK(after == *alive);
  CHECK(alive.use_count() == 1);
  world.cause([&] { return second > 0; });
  CHECK(first == 1);
}

/// Two references fit into a `std::function` without memory of its own.
TEMPLATE_TEST_CASE("a small function of the program that replaces itself keeps its captures",
                   "[functions]", DGRAM_PROGRAM_FUNCTIONS)
{
  TestType world;
  struct counts {
    TestType* in;
    int first = 0;
    int second = 0;
  } seen{&world};
  world.set([&seen] {
    seen.in->set([&other = seen.second] { ++other; });
    ++seen.first;
  });
  world.cause([&] { return seen.first > 0; });
  world.cause([&] { return seen.second > 0; });
  CHECK(seen.first == 1);
}

TEMPLATE_TEST_CASE("a function of the program that destroys its owner goes on with its captures",
                   "[functions]", DGRAM_FUNCTIONS_WITH_AN_OWNER)
{
  TestType world;
  std::string after;
  const auto alive = std::make_shared<const std::string>("the captures");
  world.set([&, alive] {
    {
      const auto gone = std::move(world.owner());
    }
    after = *alive;
  });
  world.cause([&] { return !after.empty(); });
  CHECK(after == *alive);
  test::run(world.io);
  CHECK(alive.use_count() == 1);
}

using function = dgram::detail::replaceable_function<std::function<int(int)>>;

TEST_CASE("a replaceable function that calls itself is one function", "[functions]")
{
  function called;
  called = [&, sum = 0](int depth) mutable {
    sum += depth;
    if (depth > 1) called(depth - 1);
    return sum;
  };
  CHECK(called(3) == 6);
  CHECK(called(1) == 7);
}

TEST_CASE("a replaceable function that throws is kept", "[functions]")
{
  function called;
  called = [calls = 0](int most) mutable {
    if (++calls > most) throw std::runtime_error("too many");
    return calls;
  };
  CHECK(called(1) == 1);
  CHECK_THROWS_AS(called(1), std::runtime_error);
  CHECK(called(3) == 3);
}

TEST_CASE("a replaceable function may be moved, set, emptied and called while it runs",
          "[functions]")
{
  function called;
  function other;
  called = [&, calls = 0](int what) mutable {
    ++calls;
    if (what == 1) other = std::move(called);
    if (what == 2) other = nullptr;
    if (what == 3) {
      called = [](int twice) { return 2 * twice; };
      return calls + 100 * called(20);
    }
    return calls;
  };
  SECTION("moved")
  {
    CHECK(called(1) == 1);
    CHECK_FALSE(called);
    REQUIRE(other);
    CHECK(other(0) == 2);
  }
  SECTION("emptied")
  {
    other = std::move(called);
    CHECK(other(2) == 1);
    CHECK_FALSE(other);
  }
  SECTION("set and called")
  {
    CHECK(called(3) == 4001);
    CHECK(called(3) == 6);
  }
}

TEST_CASE("a replaceable function may be set by the destructor of the one before", "[functions]")
{
  function called;
  struct setter {
    function& of;
    ~setter()
    {
      of = [](int) { return 3; };
    }
  };
  called = [last = std::make_shared<setter>(called)](int) { return 1; };
  called = [](int) { return 2; };
  CHECK(called(0) == 3);
}

}  // namespace

}  // namespace program_functions_test
