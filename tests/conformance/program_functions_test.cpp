// SPDX-License-Identifier: BSL-1.0
// Functions of the program: their state lasts, and they may replace themselves.
#include "conformance/program_functions.hpp"

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <memory>
#include <string>

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

}  // namespace
