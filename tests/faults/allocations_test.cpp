// SPDX-License-Identifier: BSL-1.0
// Every allocation of every operation fails, one at a time.
#include "support/allocations.hpp"

#include "faults/trial.hpp"
#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"

#include <dgram/shard_group.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <filesystem>
#include <new>
#include <optional>
#include <string>

namespace allocations_test {

namespace {

using faults::form;
using faults::operation;
using faults::supply;

/// Lets the first allocation fail, then the second, until there is no such allocation.
template <class Attempt>
void fail_each(const operation& which, const char* when, Attempt attempt)
{
  bool has_failed = false;
  std::size_t n = 0;
  do {
    ++n;
    INFO(which.name << ", " << when << ", allocation " << n);
    REQUIRE(n < 500);
    std::optional<test::failing_allocation> failing;
    attempt(faults::trouble{[&] { failing.emplace(n); },
                            [&] {
                              has_failed = failing->has_failed();
                              failing.reset();
                            }});
    if (has_failed) ++faults::injected.allocations;
  } while (has_failed);
}

}  // namespace

TEST_CASE(
    "each allocation of each operation may fail: it completes or throws, and the object "
    "works afterwards",
    "[faults][F5]")
{
  if (!test::fails_allocations) SKIP("allocations cannot be made to fail here");
  const test::scripted guard;
  test::script.keeps_messages = false;
  for (const operation& which : faults::all_operations()) {
    for (const supply when : {supply::before, supply::after})
      if (faults::has_time(which, when))
        fail_each(which, when == supply::before ? "supplied before" : "supplied after",
                  [&](const faults::trouble& what) { faults::attempt(which, when, what); });
  }
}

TEST_CASE("each allocation of a destructor may fail, whichever operation is pending",
          "[faults][F5]")
{
  if (!test::fails_allocations) SKIP("allocations cannot be made to fail here");
  const test::scripted guard;
  test::script.keeps_messages = false;
  for (const operation& which : faults::all_operations())
    if (which.how == form::asynchronous)
      fail_each(which, "destroyed",
                [&](const faults::trouble& what) { faults::attempt_destruction(which, what); });
}

namespace {

bool has_groups()
{
  asio::io_context io;
  dgram::shard_group group{test::loopback_v4()};
  const auto first = group.open(io);
  dgram::error_code ec;
  const auto second = group.open(io, ec);
  return !ec;
}

}  // namespace

TEST_CASE("a member that finds no memory leaves its descriptor to the group", "[faults][F5]")
{
  if (!test::fails_allocations) SKIP("allocations cannot be made to fail here");
  if (!has_groups()) SKIP("this system has no groups");
  for (const std::size_t reserve : {1U, 2U}) {
    bool has_failed = true;
    for (std::size_t n = 1; has_failed; ++n) {
      INFO("reserve " << reserve << ", allocation " << n);
      REQUIRE(n < 500);
      asio::io_context io;
      std::optional<dgram::shard_group> group;
      group.emplace(test::loopback_v4(), dgram::shard_group_config{.reserve = reserve});
      const auto first = group->open(io);
      std::optional<dgram::udp::socket> member;
      dgram::error_code ec;
      {
        const test::failing_allocation failing(n);
        try {
          member.emplace(group->open(io, ec));
        } catch (const std::bad_alloc&) {
        }
        has_failed = failing.has_failed();
      }
      const bool is_open = member && member->is_open();
      CHECK(group->size() == (is_open ? 2 : 1));
      const auto next = group->open(io);
      CHECK(next.local_endpoint() == group->local_endpoint());
      CHECK(first.local_endpoint() == group->local_endpoint());
    }
  }
}

TEST_CASE("an end of a member that finds no memory may be tried again", "[faults][F5]")
{
  if (!test::fails_allocations) SKIP("allocations cannot be made to fail here");
  if (!has_groups()) SKIP("this system has no groups");
  for (const bool is_closed : {false, true}) {
    bool has_failed = true;
    for (std::size_t n = 1; has_failed; ++n) {
      INFO((is_closed ? "closed" : "open") << ", allocation " << n);
      REQUIRE(n < 500);
      asio::io_context io;
      dgram::shard_group group{test::loopback_v4()};
      const auto first = group.open(io);
      dgram::error_code ec;
      auto last = group.open(io, ec);
      if (is_closed) last.close();
      std::optional<dgram::error_code> result;
      const auto note = [&](dgram::error_code outcome) { result = outcome; };
      {
        const test::failing_allocation failing(n);
        try {
          group.async_close_last(note);
        } catch (const std::bad_alloc&) {
        }
        has_failed = failing.has_failed();
      }
      io.run();
      if (!result && group.size() == 2) {
        io.restart();
        group.async_close_last(note);
        io.run();
        CHECK(result == dgram::error_code());
      }
      CHECK(group.size() == 1);
    }
  }
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("a bind that finds no memory leaves no socket file behind", "[faults][unix][F5]")
{
  if (!test::fails_allocations) SKIP("allocations cannot be made to fail here");
  const test::scripted guard;
  const test::temporary_directory directory;
  const std::string path = directory / "a-name-that-no-short-string-has-room-for";
  const dgram::unix_dgram::endpoint local(path);
  asio::io_context io;
  bool has_failed = true;
  for (std::size_t n = 1; has_failed; ++n) {
    INFO("allocation " << n);
    REQUIRE(n < 100);
    dgram::unix_dgram::socket socket(io, dgram::unix_dgram());
    {
      const test::failing_allocation failing(n);
      try {
        socket.bind(local);
      } catch (const std::bad_alloc&) {
      }
      has_failed = failing.has_failed();
    }
    socket.close();
    CHECK_FALSE(std::filesystem::exists(path));
  }
}

#endif

}  // namespace allocations_test
