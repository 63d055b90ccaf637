// SPDX-License-Identifier: BSL-1.0
// One try of an operation in trouble.
#include "faults/trial.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <utility>

namespace faults {

namespace {

class failure_count : public Catch::EventListenerBase {
public:
  using Catch::EventListenerBase::EventListenerBase;

  void testRunEnded(const Catch::TestRunStats&) override
  {
    if (injected.system_calls + injected.allocations == 0) return;
    std::cout << "injected failures: " << injected.system_calls << " of system calls, "
              << injected.allocations << " of allocations\n";
  }
};

CATCH_REGISTER_LISTENER(failure_count)

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Handlers that an operation may need while it is in trouble. One that spins needs more within the
/// time that it is watched.
constexpr std::size_t most_turns = 200;

void start(const operation& which, world& w, ticket& told)
{
  const handler h(told);
  told.starting = true;
  try {
    which.start(w, h);
  } catch (const std::exception&) {
    told.threw = true;
  }
  told.starting = false;
}

/// Until the operation is over, but no longer than a wait on the library's timers may last.
void watch(world& w, const ticket& told)
{
  const auto end = clock::now() + milliseconds(10);
  w.run_ready();
  while (told.handlers > 0 && w.turns < most_turns && clock::now() < end)
    w.run_one_for(milliseconds(2));
}

void finish(const operation& which, world& w, const ticket& told)
{
  w.run_ready();
  const auto end = clock::now() + std::chrono::seconds(10);
  w.supply(which.needs);
  while (told.handlers > 0 && clock::now() < end)
    if (!w.run_one_for(milliseconds(100))) w.supply(which.needs);
}

}  // namespace

bool has_time(const operation& which, supply when)
{
  const bool is_before = when == supply::before;
  if (which.needs == need::taker) return !is_before;
  if (which.needs == need::giver) return is_before;
  return is_before || (which.needs != need::nothing && which.how != form::synchronous);
}

void attempt(const operation& which, supply when, const trouble& what)
{
  const int descriptors = open_descriptors();
  {
    ticket told;
    told.name = which.name;
    world w(which.on);
    if (when == supply::before) w.supply(which.needs);
    // In a coroutine the trouble is around what it awaits: `co_spawn` itself is Asio's. Nor does Asio
    // let a wait of a coroutine throw when it starts, so a later trouble begins behind that.
    const bool is_coroutine = which.how == form::coroutine || which.how == form::waiting_coroutine;
    bool lasts = false;
    const auto begin = [&] {
      lasts = true;
      what.begin();
    };
    const auto end = [&] {
      if (std::exchange(lasts, false)) what.end();
    };
    if (which.how == form::coroutine && when == supply::before) w.coroutine_begins = begin;
    if (is_coroutine) w.coroutine_ends = end;
    if (!is_coroutine) begin();
    start(which, w, told);
    if (when == supply::after) {
      w.run_ready();
      if (is_coroutine) begin();
      w.supply(which.needs);
    }
    watch(w, told);
    end();
    CHECK(w.turns < most_turns);
    finish(which, w, told);

    CHECK(told.handlers == 0);
    CHECK_FALSE(told.called_inside);
    CHECK(told.calls <= 1);
    // The program has no other place where it could learn of an emitter's errors.
    if (which.on == place::emitter || which.on == place::bound) CHECK(w.throws == 0);
    if (which.how != form::synchronous && !told.threw && w.throws == 0) CHECK(told.calls == 1);
    w.check_that_it_works();
    w.destroy_objects();
    w.run_ready();
  }
  CHECK(open_descriptors() == descriptors);
}

void attempt_destruction(const operation& which, const trouble& what)
{
  const int descriptors = open_descriptors();
  ticket told;
  {
    world w(which.on);
    start(which, w, told);
    w.run_ready();
    what.begin();
    w.destroy_objects();
    w.run_ready();
    what.end();
    w.run_ready();
    CHECK(told.calls <= 1);
    CHECK_FALSE(told.called_inside);
    if (which.how != form::synchronous && !told.threw && w.throws == 0) CHECK(told.calls == 1);
  }
  CHECK(told.handlers == 0);
  CHECK(open_descriptors() == descriptors);
}

}  // namespace faults
