// SPDX-License-Identifier: BSL-1.0
// Tests on many seeds: which one fails is found, run again, and its trace kept.
#include <dgram/sim_seeds.hpp>

#include "support/asio.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace sim_seeds_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;

namespace {

std::string text_of(const std::string& path)
{
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Loses its datagram on about one seed of ten.
bool arrives(std::uint64_t seed)
{
  asio::io_context io;
  sim::network net{io, {.seed = seed, .delay = 20ms, .loss = 0.1}};
  sim::socket a{net, {"10.0.0.1", 1}};
  sim::socket b{net, {"10.0.0.2", 2}};
  a.send_to(asio::buffer("x", 1), b.local_endpoint());
  net.run();
  return net.counters().delivered == 1;
}

}  // namespace

TEST_CASE("the first seed that fails is found, and its trace is written")
{
  const test::temporary_directory directory;
  const auto result =
      sim::for_each_seed(1, 1000, arrives, {.directory = directory.path(), .quiet = true});
  REQUIRE_FALSE(result);
  CHECK(result.passed == *result.failed - 1);
  CHECK(result.reason == "returned false");
  CHECK(result.is_repeatable);
  CHECK(result.trace_file ==
        directory.path() + "/sim-" + std::to_string(*result.failed) + ".trace");
  CHECK(text_of(result.trace_file) ==
        "0.000000000 send #1 10.0.0.1:1 > 10.0.0.2:2 1 bytes\n"
        "0.000000000 drop #1 10.0.0.1:1 > 10.0.0.2:2 1 bytes: lost\n");
  CHECK_FALSE(arrives(*result.failed));
}

TEST_CASE("seeds that all pass run once each, and write nothing")
{
  const test::temporary_directory directory;
  std::vector<std::uint64_t> seeds;
  const auto result = sim::for_each_seed(7, 3, [&](std::uint64_t seed) { seeds.push_back(seed); },
                                         {.directory = directory.path(), .quiet = true});
  CHECK(result);
  CHECK(result.passed == 3);
  CHECK(seeds == std::vector<std::uint64_t>{7, 8, 9});
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("an exception fails its seed with its text, and does not leave the helper")
{
  const test::temporary_directory directory;
  int runs = 0;
  const auto result =
      sim::for_each_seed(1, 10,
                         [&](std::uint64_t seed) {
                           ++runs;
                           if (seed == 4) throw std::runtime_error("four");
                         },
                         {.directory = directory.path(), .name = "test", .quiet = true});
  CHECK(result.failed == 4);
  CHECK(result.reason == "four");
  CHECK(runs == 5);
  CHECK(result.trace_file == directory.path() + "/test-4.trace");
}

TEST_CASE("a seed that passes the second time is not repeatable, and a bad directory is reported")
{
  int runs = 0;
  const auto result = sim::for_each_seed(1, 10, [&](std::uint64_t) { return ++runs != 3; },
                                         {.directory = "/no/such/directory", .quiet = true});
  CHECK(result.failed == 3);
  CHECK_FALSE(result.is_repeatable);
  CHECK(result.trace_file.empty());
}

}  // namespace sim_seeds_test
