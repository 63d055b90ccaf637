// SPDX-License-Identifier: BSL-1.0
// What docs/async-contract.md promises of races, futures, kept handlers and objects that move, for
// each operation of the table of contract.hpp.
#include "conformance/contract.hpp"

#include <asio/experimental/awaitable_operators.hpp>
#include <asio/post.hpp>
#include <asio/thread_pool.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <exception>
#include <future>
#include <optional>
#include <thread>

namespace contract_forms_test {

namespace {

using contract::any_executor;
using contract::heeds;
using contract::kept_handler;
using contract::operation;
using contract::race;
using contract::record;
using contract::trial;
using contract::types;
using contract::world;

/// When the rival of an operation ends.
enum class rival_ends {
  never,
  while_it_waits,
  when_its_turn_is_due,
  a_step_later,
};
constexpr rival_ends all_ends[] = {rival_ends::never, rival_ends::while_it_waits,
                                   rival_ends::when_its_turn_is_due, rival_ends::a_step_later};

asio::awaitable<void> run_race(const operation& which, world& w, race& in)
{
  using namespace asio::experimental::awaitable_operators;
  auto own = which.await(w, in.ec);
  auto other = contract::noted(in.other.async_end(asio::use_awaitable), in.of_other);
  const auto winner = co_await (std::move(own) || std::move(other));
  in.is_first = winner.index() == 0;
  ++in.calls;
}

/// An operation of the trial that is started now gets what a cancelled one has left.
void check_nothing_lost(trial& t, const operation& which)
{
  if (!which.is(contract::stays)) return;
  record next(*t.w.io);
  t.start(next);
  t.finish(next);
  t.check_success(next);
}

/// Ends the race in that way, and checks what has become of the operation.
void check_race(trial& t, const operation& which, race& in, rival_ends when)
{
  if (when == rival_ends::while_it_waits && which.is(contract::by_itself)) return;
  if (when == rival_ends::while_it_waits) t.w.poll();
  if (when != rival_ends::while_it_waits) t.supply();
  if (when == rival_ends::a_step_later) {
    t.w.io->restart();
    t.w.io->poll_one();
  }
  const bool may_abort = in.calls == 0 && heeds(which, asio::cancellation_type::terminal);
  if (when != rival_ends::never) in.other.end();
  t.w.run_until([&] { return in.calls > 0; });
  t.w.poll();
  CHECK(in.calls == 1);
  if (when == rival_ends::never || !may_abort) {
    t.check_success(in.ec);
    return;
  }
  if (when == rival_ends::while_it_waits) {
    CHECK_FALSE(in.is_first);
    CHECK(in.ec == asio::error::operation_aborted);
  } else if (in.ec == asio::error::operation_aborted) {
    check_nothing_lost(t, which);
  } else {
    t.check_success(in.ec);
  }
}

/// A thread of this object waits until the pool has nothing to do.
class joining {
public:
  explicit joining(asio::thread_pool& pool, const record& of)
      : pool_(pool), thread_([this, &of] {
          pool_.join();
          calls_ = of.calls;
        })
  {
  }
  joining(const joining&) = delete;
  joining& operator=(const joining&) = delete;

  ~joining()
  {
    pool_.stop();
    if (thread_.joinable()) thread_.join();
  }

  /// How often the handler had been called when the pool had nothing to do.
  int calls()
  {
    thread_.join();
    return calls_;
  }

private:
  asio::thread_pool& pool_;
  int calls_ = -1;
  std::thread thread_;
};

}  // namespace

TEST_CASE("each object's operations win and lose in a parallel group, and the loser loses nothing")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    for (const rival_ends when : all_ends) {
      INFO("case " << static_cast<int>(when));
      trial t(each);
      race in(*t.w.io);
      each.in_group(t.w, in);
      CHECK(in.calls == 0);
      check_race(t, each, in, when);
      if (when == rival_ends::never) {
        CHECK(in.is_first);
        CHECK(in.of_other == asio::error::operation_aborted);
      }
    }
  }
}

TEST_CASE("each object's operations win and lose against another awaitable")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    for (const rival_ends when : {rival_ends::never, rival_ends::while_it_waits}) {
      INFO("case " << static_cast<int>(when));
      trial t(each);
      race in(*t.w.io);
      std::exception_ptr thrown;
      asio::co_spawn(*t.w.io, run_race(each, t.w, in),
                     [&](const std::exception_ptr& with) { thrown = with; });
      check_race(t, each, in, when);
      CHECK_FALSE(thrown);
      if (when == rival_ends::never) CHECK(in.is_first);
      // The next one gets what is supplied after a race that was lost.
      if (when == rival_ends::never || !each.is(contract::again)) continue;
      record next(*t.w.io);
      t.start(next);
      t.supply();
      t.finish(next);
      t.check_success(next);
    }
  }
}

TEST_CASE("what an operation of each object waits for is not lost, whenever it is cancelled")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    if (!each.is(contract::stays)) continue;
    int aborted = 0;
    // The last one is a cancel of the socket.
    for (int ending = 0; ending < 4; ++ending) {
      const bool is_cancel = ending == 3;
      if (is_cancel ? !each.is(contract::by_socket) : !heeds(each, types[ending])) continue;
      bool is_over = false;
      for (int steps = 0; !is_over; ++steps) {
        INFO("ending " << ending << " after " << steps << " steps");
        trial t(each);
        asio::cancellation_signal signal;
        record r(*t.w.io);
        r.slot = signal.slot();
        t.start(r);
        t.supply();
        t.w.io->restart();
        for (int step = 0; step < steps; ++step)
          if (t.w.io->poll_one() == 0) is_over = true;
        is_over = is_over || r.calls > 0;
        if (is_cancel)
          t.w.socket->cancel();
        else
          signal.emit(types[ending]);
        t.finish(r);
        if (r.is_aborted()) {
          ++aborted;
          check_nothing_lost(t, each);
        } else {
          t.check_success(r);
        }
      }
    }
    CHECK(aborted > 0);
  }
}

TEST_CASE("a pending operation of each object goes on when its objects are moved")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    for (const bool is_waiting : {false, true}) {
      INFO((is_waiting ? "while it waits" : "right after its start"));
      trial t(each);
      record r(*t.w.io);
      t.start(r);
      if (is_waiting) t.w.poll();
      t.w.move_objects();
      CHECK_FALSE(r.is_aborted());
      if (r.calls == 0) t.supply();
      t.finish(r);
      t.check_success(r);
      CHECK(r.is_gone());
      CHECK(r.memory.live == 0);
    }
  }
}

TEST_CASE("a deferred operation of each object is launched when its objects were moved")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    trial t(each);
    const contract::launcher launch = each.later(t.w);
    t.w.move_objects();
    for (int round = 0; round < (each.is(contract::again) ? 2 : 1); ++round) {
      record r(*t.w.io);
      launch(contract::token{&r});
      CHECK(r.calls == 0);
      // A socket's own is launched on the one that was moved from, which is closed.
      if (!each.is(contract::on_object)) t.supply();
      t.finish(r);
      if (each.is(contract::on_object))
        CHECK(r.ec == asio::error::bad_descriptor);
      else
        t.check_success(r);
      CHECK(r.is_gone());
      CHECK(r.memory.live == 0);
    }
  }
}

TEST_CASE("each object's operations complete a future, or break its promise with the context")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    {
      trial t(each);
      const contract::settled settled = each.by_future(t.w);
      // An operation that completes at once may make the future ready on another thread.
      if (each.waits()) CHECK_FALSE(settled.is_ready());
      t.supply();
      t.w.run_until(settled.is_ready);
      t.check_success(settled.get());
    }
    if (!each.waits()) continue;
    trial t(each);
    const contract::settled settled = each.by_future(t.w);
    t.w.destroy_objects();
    t.w.io.reset();
    REQUIRE(settled.is_ready());
    try {
      settled.get();
      FAIL("it has completed");
    } catch (const std::future_error& failure) {
      CHECK(failure.code() == std::future_errc::broken_promise);
    }
  }
}

TEST_CASE("each object's operations take a reference to a handler, and what that one says")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    trial t(each);
    asio::io_context other;
    record r(*t.w.io);
    r.executor = any_executor(other.get_executor());
    bool is_there = false;
    r.on_call = [&] { is_there = other.get_executor().running_in_this_thread(); };
    kept_handler kept(r);
    each.by_reference(t.w, kept);
    CHECK(r.calls == 0);
    // Some take a few steps there before they wait.
    for (int turn = 0; turn < 3; ++turn) {
      t.w.poll();
      other.restart();
      other.poll();
    }
    if (each.waits() && !each.is(contract::by_itself)) CHECK(r.calls == 0);
    t.supply();
    t.w.run_until([&] {
      other.restart();
      other.poll();
      return r.calls > 0;
    });
    t.finish(r);
    t.check_success(r);
    CHECK(is_there);
    if (each.waits() && !each.is(contract::foreign_memory)) CHECK(r.memory.total > 0);
    CHECK(r.live_at_call == 0);
    CHECK(r.memory.live == 0);
  }
}

TEST_CASE("a pool of threads has work until it has called the handler of each object's operation")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    trial t(each);
    asio::thread_pool pool(1);
    record r(*t.w.io);
    std::atomic<bool> is_there = false;
    r.executor = any_executor(pool.get_executor());
    r.on_call = [&] { is_there = pool.get_executor().running_in_this_thread(); };
    // The handler may be called while this runs.
    each.start(t.w, contract::token{&r});
    joining joined(pool, r);
    t.supply();
    t.finish(r);
    CHECK(joined.calls() == 1);
    t.check_success(r);
    CHECK(is_there);
    CHECK(r.is_gone());
    CHECK(r.memory.live == 0);
  }
}

}  // namespace contract_forms_test
