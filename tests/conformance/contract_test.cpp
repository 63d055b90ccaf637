// SPDX-License-Identifier: BSL-1.0
// The promises of docs/async-contract.md, for each operation of the table of contract.hpp.
#include "conformance/contract.hpp"

#include <asio/post.hpp>

#include <catch2/catch_test_macros.hpp>

#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace contract_test {

namespace {

using contract::any_executor;
using contract::heeds;
using contract::record;
using contract::trial;
using contract::types;
using contract::world;

/// All that an executor must have: it calls what it is given, at once.
struct inline_executor {
  template <class Function>
  void execute(Function function) const
  {
    std::move(function)();
  }
  friend bool operator==(const inline_executor&, const inline_executor&) noexcept = default;
};

/// The same, on another thread, whose end it waits for.
struct other_thread_executor {
  template <class Function>
  void execute(Function function) const
  {
    std::thread(std::move(function)).join();
  }
  friend bool operator==(const other_thread_executor&,
                         const other_thread_executor&) noexcept = default;
};

/// Never calls inside of the call, and counts.
struct counting_executor {
  asio::io_context* io;
  int* count;

  template <class Function>
  void execute(Function function) const
  {
    ++*count;
    asio::post(*io, [taken = std::move(function)]() mutable { std::move(taken)(); });
  }
  static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept
  {
    return asio::execution::blocking_t::never;
  }
  friend bool operator==(const counting_executor&, const counting_executor&) noexcept = default;
};

enum class kind_of_executor {
  strand,
  other_context,
  only_calls,
  other_thread,
  never_blocks,
  system,
};
constexpr kind_of_executor all_kinds[] = {
    kind_of_executor::strand,       kind_of_executor::other_context, kind_of_executor::only_calls,
    kind_of_executor::other_thread, kind_of_executor::never_blocks,  kind_of_executor::system,
};

struct thrown : std::runtime_error {
  thrown() : std::runtime_error("thrown by a handler") {}
};

}  // namespace

TEST_CASE("each object's operations call a handler once, not inside the call, with its memory free")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    trial t(each);
    record r(*t.w.io);
    // On a thread of the context, where a dispatched handler would run at once.
    asio::post(*t.w.io, [&] { t.start(r); });
    t.w.poll();
    if (each.waits() && !each.is(contract::by_itself)) CHECK(r.calls == 0);
    t.supply();
    t.finish(r);
    t.check_success(r);
    CHECK_FALSE(r.called_inside);
    CHECK(r.is_gone());
    // Through a type-erased executor, a post ignores the handler's allocator.
    if (each.waits() && !each.is(contract::foreign_memory)) CHECK(r.memory.total > 0);
    CHECK(r.live_at_call == 0);
    CHECK(r.memory.live == 0);
  }
}

TEST_CASE("each object's operations complete on the handler's executor, whatever it can do",
          "[F18]")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    for (const kind_of_executor kind : all_kinds) {
      INFO("executor " << static_cast<int>(kind));
      trial t(each);
      record r(*t.w.io);
      // Another context, which this thread runs too.
      asio::io_context other;
      const auto others = other.get_executor();
      const auto strand = asio::make_strand(*t.w.io);
      const auto here = std::this_thread::get_id();
      int count = 0;
      std::function<bool()> is_there = [] { return true; };
      switch (kind) {
      case kind_of_executor::strand:
        r.executor = any_executor(strand);
        is_there = [&] { return strand.running_in_this_thread(); };
        break;
      case kind_of_executor::other_context:
        r.executor = any_executor(others);
        is_there = [&] { return others.running_in_this_thread(); };
        break;
      case kind_of_executor::only_calls: r.executor = any_executor(inline_executor()); break;
      case kind_of_executor::other_thread:
        r.executor = any_executor(other_thread_executor());
        is_there = [&] { return std::this_thread::get_id() != here; };
        break;
      case kind_of_executor::never_blocks:
        r.executor = any_executor(counting_executor{&*t.w.io, &count});
        is_there = [&] { return count > 0; };
        break;
      case kind_of_executor::system: r.executor = any_executor(asio::system_executor());
      }
      bool is_right = false;
      r.on_call = [&] { is_right = is_there(); };
      t.start(r);
      CHECK(r.calls == 0);
      t.supply();
      // A pending operation keeps the handler's context running.
      other.poll();
      if (kind == kind_of_executor::other_context) CHECK(other.stopped() == (r.calls > 0));
      t.w.run_until([&] {
        other.restart();
        other.poll();
        return r.calls > 0;
      });
      t.finish(r);
      other.restart();
      other.poll();
      CHECK(other.stopped());
      t.check_success(r);
      CHECK(is_right);
      CHECK_FALSE(r.called_inside);
      CHECK(r.memory.live == 0);
    }
  }
}

#if ASIO_VERSION >= 102700

TEST_CASE("each object's operations use the immediate executor only for what completes at once")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    trial t(each);
    record r(*t.w.io);
    int count = 0;
    r.immediate = any_executor(counting_executor{&*t.w.io, &count});
    t.start(r);
    t.supply();
    t.finish(r);
    t.check_success(r);
    const bool is_immediate = each.is(contract::at_once) && !each.is(contract::posts);
    CHECK((count > 0) == (is_immediate || each.is(contract::two_steps)));
  }
}

#endif

TEST_CASE("each object's operations heed the types of cancellation that they name")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    for (const auto type : types) {
      INFO("type " << static_cast<unsigned>(type));
      for (const bool is_waiting : {false, true}) {
        INFO((is_waiting ? "while it waits" : "right after its start"));
        trial t(each);
        asio::cancellation_signal signal;
        record r(*t.w.io);
        r.slot = signal.slot();
        t.start(r);
        if (is_waiting) t.w.poll();
        signal.emit(type);
        if (!is_waiting) CHECK(r.calls == 0);
        // Some need one turn only.
        if (r.calls == 0 && heeds(each, type)) {
          t.finish(r);
          CHECK(r.is_aborted());
        } else {
          t.supply();
          t.finish(r);
          t.check_success(r);
        }
        CHECK(r.memory.live == 0);
        signal.emit(type);
        t.w.destroy_objects();
        signal.emit(type);
        t.w.poll();
        CHECK(r.calls == 1);
      }
    }
  }
}

TEST_CASE(
    "each object's operations complete once if they are cancelled on their way to the handler")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    for (const auto type : types) {
      trial t(each);
      asio::cancellation_signal signal;
      asio::io_context other;
      record r(*t.w.io);
      r.slot = signal.slot();
      r.executor = any_executor(other.get_executor());
      t.start(r);
      t.supply();
      for (int turn = 0; turn < 100; ++turn)
        t.w.poll();
      CHECK(r.calls == 0);
      signal.emit(type);
      t.w.run_until([&] {
        other.restart();
        other.poll();
        return r.calls > 0;
      });
      CHECK(r.calls == 1);
      CHECK(r.memory.live == 0);
    }
  }
}

TEST_CASE("a cancel of the socket ends what was started before it on any object, and nothing later")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    if (!each.is(contract::by_socket)) continue;
    for (const bool is_waiting : {false, true}) {
      INFO((is_waiting ? "while it waits" : "right after its start"));
      trial t(each);
      record before(*t.w.io);
      record after(*t.w.io);
      t.start(before);
      if (is_waiting) t.w.poll();
      t.w.socket->cancel();
      if (!each.is(contract::exclusive)) t.start(after);
      t.finish(before);
      CHECK(before.is_aborted());
      if (each.is(contract::exclusive)) t.start(after);
      CHECK(after.calls == 0);
      t.supply();
      t.finish(after);
      t.check_success(after);
    }
  }
}

TEST_CASE("a pending operation of each object keeps the context running")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    trial t(each);
    // The network has the time, and says what there is to do.
    if (!each.waits() || t.w.net) continue;
    record r(*t.w.io);
    t.start(r);
    for (int turn = 0; turn < 3 && r.calls == 0; ++turn) {
      t.w.poll();
      if (r.calls == 0) CHECK_FALSE(t.w.io->stopped());
    }
    t.supply();
    t.finish(r);
    t.check_success(r);
  }
}

TEST_CASE("context, objects and signal of each object's operation may go in each order")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    // S: the signal goes, O: the objects, C: the context, E: an emission, T: what is due runs, W:
    // what it waits for comes.
    for (const std::string_view order :
         {"SOC",  "OSC",   "OCS",  "ESOC",  "OESC",   "OECS",   "EOCS",
          "OCES", "OTESC", "TSOC", "TOSC",  "TOCS",   "TOESC",  "TOTESC",
          "WSOC", "WOSC",  "WOCS", "WOECS", "WOTESC", "TETOESC"}) {
      INFO(order);
      trial t(each);
      std::optional<asio::cancellation_signal> signal(std::in_place);
      record r(*t.w.io);
      r.slot = signal->slot();
      t.start(r);
      for (const char what : order) {
        if (what == 'S') signal.reset();
        if (what == 'O') t.w.destroy_objects();
        if (what == 'C') t.w.io.reset();
        if (what == 'E') signal->emit(asio::cancellation_type::terminal);
        if (what == 'T') t.w.poll();
        if (what == 'W' && r.calls == 0) t.supply();
      }
      CHECK(r.is_gone());
      CHECK(r.calls <= 1);
      CHECK(r.memory.live == 0);
    }
  }
}

TEST_CASE("a handler of each object's operation may throw")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    trial t(each);
    record r(*t.w.io);
    r.on_call = [] { throw thrown(); };
    t.start(r);
    t.supply();
    CHECK_THROWS_AS(t.finish(r), thrown);
    CHECK(r.calls == 1);
    CHECK(r.is_gone());
    CHECK(r.memory.live == 0);
    if (!each.is(contract::again)) continue;
    record next(*t.w.io);
    t.start(next);
    t.supply();
    t.finish(next);
    t.check_success(next);
  }
}

TEST_CASE("a handler of each object's operation may destroy the objects")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    trial t(each);
    record r(*t.w.io);
    // The network runs the handler.
    if (t.w.net) continue;
    r.on_call = [&] { t.w.destroy_objects(); };
    t.start(r);
    t.supply();
    t.finish(r);
    t.check_success(r);
    CHECK(r.is_gone());
  }
}

TEST_CASE("a handler of each object's operation may start the next one")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    if (!each.is(contract::again)) continue;
    trial t(each);
    record r(*t.w.io);
    record next(*t.w.io);
    r.on_call = [&] { t.start(next); };
    t.start(r);
    t.supply();
    t.finish(r);
    t.check_success(r);
    CHECK_FALSE(next.called_inside);
    t.supply();
    t.finish(next);
    t.check_success(next);
  }
}

TEST_CASE("each object's operations may be launched later, and twice")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    trial t(each);
    const contract::launcher launch = each.later(t.w);
    t.w.poll();
    for (int round = 0; round < (each.is(contract::again) ? 2 : 1); ++round) {
      record r(*t.w.io);
      launch(contract::token{&r});
      CHECK(r.calls == 0);
      t.supply();
      t.finish(r);
      t.check_success(r);
      CHECK(r.live_at_call == 0);
      CHECK(r.is_gone());
    }
  }
}

TEST_CASE("each object's operations may be launched when the object has gone")
{
  DGRAM_FOR_EACH_OPERATION(each)
  {
    if (each.is(contract::on_object)) continue;
    trial t(each);
    // The network has the time.
    if (t.w.net) continue;
    const contract::launcher launch = each.later(t.w);
    t.w.poll();
    t.w.destroy_objects();
    record r(*t.w.io);
    launch(contract::token{&r});
    CHECK(r.calls == 0);
    // A connect opens its socket, and waits for the lookup.
    t.w.poll();
    if (t.w.resolver.answer) t.w.resolver.answer();
    t.finish(r);
    CHECK(r.calls == 1);
    CHECK(r.is_gone());
    CHECK(r.memory.live == 0);
  }
}

TEST_CASE("each object's operations may be awaited with the default token")
{
  trial t(contract::operations().front());
  world& w = t.w;
  w.make_session();
  bool done = false;
  asio::co_spawn(
      *w.io,
      [](world& on) -> asio::awaitable<void> {
        const auto got = co_await on.session->async_next();
        CHECK(got);
        co_await on.session->async_send(asio::buffer(on.text));
        on.session.reset();
        on.deliver();
        const auto accepted = co_await on.listener->async_accept();
        CHECK(accepted);
        on.listener.reset();
        on.make_exchanger();
        on.deliver();
        co_await on.exchanger->async_exchange(on.text, on.to_peer);
        on.offer();
        const auto taken = co_await dgram::async_take_over(on.executor(), on.path());
        CHECK(taken.socket.is_open());
      }(w),
      [&](const std::exception_ptr& thrown) {
        CHECK_FALSE(thrown);
        done = true;
      });
  w.deliver();
  w.run_until([&] { return done; });
}

}  // namespace contract_test
