// SPDX-License-Identifier: BSL-1.0
// How pending operations end when they are cancelled or lose their socket, wake-ups queued or not.
#include "support/handlers.hpp"

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <unistd.h>

#include <future>
#include <random>
#include <string>
#include <vector>

namespace cancellation_test {

namespace {

using executor = asio::io_context::executor_type;
using bench = test::bench<executor>;
using socket_type = bench::socket_type;
using converted_type = dgram::udp::socket::rebind_executor<asio::any_io_executor>::other;
using test::outcome;
using test::record;
using texts = std::vector<std::string>;

/// What an operation loses its socket to.
struct scene {
  asio::cancellation_signal signal;
  std::optional<socket_type> second;
  std::optional<converted_type> converted;
  int released = -1;
};

/// One way to end a pending operation, or to move its socket away under it.
struct ending {
  const char* name;
  bool goes_on;  ///< whether the operation is meant to survive it
  bool by_slot;
  void (*happen)(bench&, scene&);
  void (*restore)(bench&,
                  scene&);  ///< gets the descriptor back into the bench; null where it is closed
};

void nothing_to_restore(bench&, scene&)
{
}

void restore_second(bench& b, scene& s)
{
  b.socket.emplace(std::move(*s.second));
}

void restore_converted(bench& b, scene& s)
{
  b.socket->assign(b.protocol, s.converted->release());
}

void restore_released(bench& b, scene& s)
{
  b.socket->assign(b.protocol, s.released);
}

const ending endings[] = {
    {"cancel", false, false, [](bench& b, scene&) { b.socket->cancel(); }, nothing_to_restore},
    {"close", false, false, [](bench& b, scene&) { b.socket->close(); }, nullptr},
    {"destruction", false, false, [](bench& b, scene&) { b.socket.reset(); }, nullptr},
    {"another socket is moved over it", false, false,
     [](bench& b, scene&) { *b.socket = socket_type(b.socket->get_executor(), b.protocol); },
     nullptr},
    {"a closed socket is moved over it", false, false,
     [](bench& b, scene&) { *b.socket = socket_type(b.socket->get_executor()); }, nullptr},
    {"release", false, false, [](bench& b, scene& s) { s.released = b.socket->release(); },
     restore_released},
    {"move to another executor type", false, false,
     [](bench& b, scene& s) { s.converted.emplace(std::move(*b.socket)); }, restore_converted},
    {"move assignment to another executor type", false, false,
     [](bench& b, scene& s) {
       s.converted.emplace(b.socket->get_executor(), b.protocol);
       *s.converted = std::move(*b.socket);
     },
     restore_converted},
    {"terminal cancellation", false, true,
     [](bench&, scene& s) { s.signal.emit(asio::cancellation_type::terminal); },
     nothing_to_restore},
    {"partial cancellation", false, true,
     [](bench&, scene& s) { s.signal.emit(asio::cancellation_type::partial); }, nothing_to_restore},
    {"total cancellation", false, true,
     [](bench&, scene& s) { s.signal.emit(asio::cancellation_type::total); }, nothing_to_restore},
    {"cancellation of no type", true, true,
     [](bench&, scene& s) { s.signal.emit(asio::cancellation_type::none); }, nothing_to_restore},
    {"move construction", true, false,
     [](bench& b, scene& s) { s.second.emplace(std::move(*b.socket)); }, restore_second},
    {"move assignment", true, false,
     [](bench& b, scene& s) {
       s.second.emplace(b.socket->get_executor(), b.protocol);
       *s.second = std::move(*b.socket);
     },
     restore_second},
    {"move construction, and the old one is used for another socket", true, false,
     [](bench& b, scene& s) {
       s.second.emplace(std::move(*b.socket));
       b.socket->open(b.protocol);
       b.socket->cancel();
       b.socket->close();
     },
     restore_second},
};

auto bound(outcome& result, const ending& how, scene& s)
{
  return asio::bind_cancellation_slot(how.by_slot ? s.signal.slot() : asio::cancellation_slot(),
                                      record(result));
}

texts all_left(bench& b)
{
  texts all;
  while (auto next = b.left())
    all.push_back(*next);
  return all;
}

/// The operation came to nothing: the only way in which a cancellation may show.
void require_aborted(const outcome& result)
{
  REQUIRE(result.calls == 1);
  REQUIRE(result.ec == asio::error::operation_aborted);
  REQUIRE(result.count == 0);
}

/// An operation that waits, and whose handler the test runs.
template <class Operation>
struct pending {
  pending()
  {
    Operation::start(b, asio::bind_executor(queue.get_executor(), record(result)));
    io.poll();
  }

  explicit pending(const ending& how)
  {
    Operation::start(b, asio::bind_executor(queue.get_executor(), bound(result, how, s)));
    io.poll();
  }

  void finish()
  {
    test::run_until(io, queue, [&] { return result.calls > 0; });
    test::run(io);
    REQUIRE(queue.empty());
  }

  asio::io_context io;
  bench b{io.get_executor(), test::protocol_for<Operation>};
  int descriptor = b.socket->native_handle();
  test::manual_queue queue;
  scene s;
  outcome result;
};

}  // namespace

TEMPLATE_TEST_CASE("every ending reaches an operation that waits", "", DGRAM_RECEIVE_OPERATIONS,
                   test::wait_readable)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  for (const ending& how : endings) {
    DYNAMIC_SECTION(how.name)
    {
      asio::io_context io;
      bench b(io.get_executor(), test::protocol_for<TestType>);
      scene s;
      outcome result;
      TestType::start(b, bound(result, how, s));
      io.poll();
      REQUIRE(result.calls == 0);
      how.happen(b, s);
      REQUIRE(result.calls == 0);
      if (how.goes_on) {
        io.poll();
        REQUIRE(result.calls == 0);
        b.deliver();
      }
      test::run(io);
      if (how.goes_on) {
        REQUIRE(result.calls == 1);
        REQUIRE_FALSE(result.ec);
        how.restore(b, s);
        TestType::verify(b);
      } else {
        require_aborted(result);
        if (how.restore == nullptr) continue;
        // An operation that was left behind would take this one.
        how.restore(b, s);
        b.deliver("later");
        test::run(io);
        REQUIRE(all_left(b) == texts{"later"});
      }
    }
  }
}

TEMPLATE_TEST_CASE("an operation ends when a socket of another executor type is moved over its own",
                   "", DGRAM_RECEIVE_OPERATIONS, test::wait_readable)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  test::bench<asio::any_io_executor> b(io.get_executor(), test::protocol_for<TestType>);
  outcome result;
  outcome moved;
  TestType::start(b, record(result));
  io.poll();
  bench other(io.get_executor(), test::protocol_for<TestType>);
  TestType::start(other, record(moved));
  io.poll();
  *b.socket = std::move(*other.socket);
  test::run(io);
  require_aborted(result);
  require_aborted(moved);
  other.deliver();
  REQUIRE(b.left() == other.text);
}

// The handler's executor is the test's own, so that the test stands between the wake-up and what
// follows it.
TEMPLATE_TEST_CASE("every ending reaches an operation whose wake-up is queued", "",
                   DGRAM_RECEIVE_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  for (const ending& how : endings) {
    DYNAMIC_SECTION(how.name)
    {
      pending<TestType> p(how);
      auto& [io, b, descriptor, queue, s, result] = p;
      b.deliver();
      test::run_until_queued(io, queue);
      REQUIRE(result.calls == 0);
      how.happen(b, s);
      REQUIRE(result.calls == 0);
      test::run_until(io, queue, [&] { return result.calls > 0; });
      test::run(io);
      REQUIRE(queue.empty());

      if (how.goes_on) REQUIRE_FALSE(result.ec);
      if (!how.goes_on && TestType::takes_late) REQUIRE(result.ec);
      if (how.restore != nullptr) how.restore(b, s);
      if (result.ec) {
        require_aborted(result);
        if (how.restore != nullptr) REQUIRE(all_left(b) == texts{std::string(b.text)});
      } else {
        REQUIRE(result.calls == 1);
        REQUIRE(TestType::delivered(b, result.count) == texts{std::string(b.text)});
        if (how.restore != nullptr) REQUIRE(all_left(b).empty());
      }
    }
  }
}

TEST_CASE("a wait whose wake-up is queued ends once, whatever becomes of the socket")
{
  for (const ending& how : endings) {
    DYNAMIC_SECTION(how.name)
    {
      asio::io_context io;
      bench b(io.get_executor());
      test::manual_queue queue;
      scene s;
      outcome result;
      test::wait_readable::start(b,
                                 asio::bind_executor(queue.get_executor(), bound(result, how, s)));
      b.deliver();
      test::run_until_queued(io, queue);
      how.happen(b, s);
      test::run_until(io, queue, [&] { return result.calls > 0; });
      test::run(io);
      REQUIRE(queue.empty());
      REQUIRE(result.calls == 1);
      // It was readable: a wait that has come true stays true, as a datagram that was taken stays
      // taken.
      if (result.ec) require_aborted(result);
      if (how.goes_on) REQUIRE_FALSE(result.ec);
      if (how.restore == nullptr) continue;
      how.restore(b, s);
      REQUIRE(all_left(b) == texts{std::string(b.text)});
    }
  }
}

namespace {

/// Ways in which a descriptor's number comes to stand for something else.
struct replacement {
  const char* name;
  bool same_queue;  ///< whether it is the same socket still, to the kernel
  void (*happen)(bench&, scene&);
};

const replacement replacements[] = {
    {"close and open", false,
     [](bench& b, scene&) {
       b.socket->close();
       b.open();
     }},
    {"close, and another socket opens", false,
     [](bench& b, scene& s) {
       s.second.emplace(std::move(*b.socket));
       s.second->close();
       b.open();
     }},
    {"destruction, and another socket opens", false,
     [](bench& b, scene&) {
       const auto same = b.socket->get_executor();
       b.socket.reset();
       b.socket.emplace(same);
       b.open();
     }},
    {"release and assign", true,
     [](bench& b, scene&) {
       const int descriptor = b.socket->release();
       b.socket->assign(b.protocol, descriptor);
     }},
    {"release, and another socket assigns", true,
     [](bench& b, scene&) {
       const int descriptor = b.socket->release();
       b.socket.emplace(b.socket->get_executor());
       b.socket->assign(b.protocol, descriptor);
     }},
};

}  // namespace

TEMPLATE_TEST_CASE("an operation never takes from a descriptor that is another one by now", "",
                   DGRAM_RECEIVE_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  for (const replacement& how : replacements) {
    DYNAMIC_SECTION(how.name << ", while it waits")
    {
      pending<TestType> p;
      how.happen(p.b, p.s);
      REQUIRE(p.b.socket->native_handle() == p.descriptor);
      p.b.deliver("second");
      p.finish();
      require_aborted(p.result);
      REQUIRE(all_left(p.b) == texts{"second"});
    }

    DYNAMIC_SECTION(how.name << ", while its wake-up is queued")
    {
      pending<TestType> p;
      p.b.deliver("first");
      test::run_until_queued(p.io, p.queue);
      how.happen(p.b, p.s);
      REQUIRE(p.b.socket->native_handle() == p.descriptor);
      p.b.deliver("second");
      p.finish();
      if (TestType::takes_late) REQUIRE(p.result.ec);
      if (p.result.ec) {
        require_aborted(p.result);
        REQUIRE(all_left(p.b) == (how.same_queue ? texts{"first", "second"} : texts{"second"}));
      } else {
        REQUIRE(TestType::delivered(p.b, p.result.count) == texts{"first"});
        REQUIRE(all_left(p.b) == texts{"second"});
      }
    }

    DYNAMIC_SECTION(how.name << ", and the next operation is not disturbed")
    {
      pending<TestType> p;
      how.happen(p.b, p.s);
      outcome next;
      TestType::start(p.b, asio::bind_executor(p.queue.get_executor(), record(next)));
      p.b.deliver("second");
      test::run_until(p.io, p.queue, [&] { return next.calls > 0; });
      p.finish();
      require_aborted(p.result);
      REQUIRE_FALSE(next.ec);
      REQUIRE(TestType::delivered(p.b, next.count) == texts{"second"});
    }
  }
}

TEMPLATE_TEST_CASE("cancel reaches an operation whose datagram another reader took", "",
                   test::receive_from_dual, test::receive_batch, test::receive_batch_dual)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  for (const ending& how : endings) {
    DYNAMIC_SECTION(how.name)
    {
      pending<TestType> p(how);
      auto& [io, b, descriptor, queue, s, result] = p;
      b.deliver("taken");
      test::run_until_queued(io, queue);
      REQUIRE(b.left() == "taken");
      how.happen(b, s);
      if (how.goes_on) {
        // The wake-up finds nothing and the operation waits on, for the next one.
        queue.run();
        io.restart();
        io.poll();
        REQUIRE(result.calls == 0);
        b.deliver();
      }
      test::run_until(io, queue, [&] { return result.calls > 0; });
      test::run(io);
      if (how.goes_on) {
        REQUIRE(result.calls == 1);
        REQUIRE_FALSE(result.ec);
        TestType::verify(b);
      } else {
        require_aborted(result);
      }
    }
  }
}

TEMPLATE_TEST_CASE("no datagram is lost or delivered twice by cancellation", "",
                   DGRAM_RECEIVE_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  const bool by_slot = GENERATE(false, true);
  asio::io_context io;
  bench b(io.get_executor(), test::protocol_for<TestType>);
  test::manual_queue queue;
  asio::cancellation_signal signal;
  texts sent;
  texts received;
  outcome result;
  bool pending = false;
  int aborted = 0;
  int delivered = 0;

  const auto settle = [&] {
    if (!pending || result.calls == 0) return;
    REQUIRE(result.calls == 1);
    pending = false;
    if (result.ec) {
      require_aborted(result);
      ++aborted;
      return;
    }
    for (auto& text : TestType::delivered(b, result.count))
      received.push_back(std::move(text));
    ++delivered;
  };
  const auto cancel = [&] {
    if (by_slot)
      signal.emit(asio::cancellation_type::total);
    else
      b.socket->cancel();
  };

  std::minstd_rand random(4711);
  for (int turn = 0; turn < 4000; ++turn) {
    io.restart();
    switch (random() % 5) {
    case 0:
      if (pending) break;
      pending = true;
      result = outcome();
      TestType::start(
          b, asio::bind_executor(
                 queue.get_executor(),
                 asio::bind_cancellation_slot(by_slot ? signal.slot() : asio::cancellation_slot(),
                                              record(result))));
      break;
    case 1:
      // Most operations shall have to wait.
      if (random() % 4 != 0 || sent.size() > received.size() + random() % 2) break;
      sent.push_back(std::to_string(turn));
      b.deliver(sent.back());
      break;
    case 2: cancel(); break;
    case 3: io.poll_one(); break;
    default: queue.run();
    }
    settle();
  }
  if (pending) {
    cancel();
    test::run_until(io, queue, [&] { return result.calls > 0; });
    settle();
  }
  test::run(io);
  for (auto& text : all_left(b))
    received.push_back(std::move(text));
  REQUIRE(received == sent);
  // Both must have happened, often, or the test has tried nothing.
  REQUIRE(aborted > 50);
  REQUIRE(delivered > 50);
}

TEMPLATE_TEST_CASE("cancel ends what was started before it, not what is started after it", "",
                   DGRAM_RECEIVE_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench b(io.get_executor(), test::protocol_for<TestType>);
  outcome before;
  outcome after;
  TestType::start(b, record(before));
  b.socket->cancel();
  TestType::start(b, record(after));
  io.poll();
  require_aborted(before);
  REQUIRE(after.calls == 0);
  b.deliver();
  test::run(io);
  REQUIRE(after.calls == 1);
  REQUIRE_FALSE(after.ec);
  TestType::verify(b);
}

TEMPLATE_TEST_CASE("a slot ends its own operation and no other", "", DGRAM_RECEIVE_OPERATIONS,
                   test::wait_readable)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench b(io.get_executor(), test::protocol_for<TestType>);
  asio::cancellation_signal signal;
  outcome own;
  outcome other;
  TestType::start(b, asio::bind_cancellation_slot(signal.slot(), record(own)));
  TestType::start(b, record(other));
  io.poll();
  signal.emit(asio::cancellation_type::terminal);
  io.poll();
  require_aborted(own);
  REQUIRE(other.calls == 0);
  b.deliver();
  test::run(io);
  REQUIRE(other.calls == 1);
  REQUIRE_FALSE(other.ec);
  TestType::verify(b);
}

// The signal may outlive the socket, and even the operation.
TEMPLATE_TEST_CASE("a slot may be used when the socket is gone", "", DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench b(io.get_executor(), test::protocol_for<TestType>);
  asio::cancellation_signal signal;
  outcome result;
  const auto start = [&] {
    TestType::start(b, asio::bind_cancellation_slot(signal.slot(), record(result)));
  };

  SECTION("destroyed, with the completion queued")
  {
    start();
    b.socket.reset();
    signal.emit(asio::cancellation_type::all);
    REQUIRE(result.calls == 0);
    test::run(io);
  }

  SECTION("destroyed and completed")
  {
    start();
    b.socket.reset();
    test::run(io);
    signal.emit(asio::cancellation_type::all);
  }

  SECTION("completed and destroyed")
  {
    TestType::ready(b);
    start();
    test::run(io);
    REQUIRE_FALSE(result.ec);
    b.socket.reset();
    signal.emit(asio::cancellation_type::all);
  }

  SECTION("destroyed by the handler")
  {
    TestType::ready(b);
    TestType::start(b, asio::bind_cancellation_slot(
                           signal.slot(), [&](const dgram::error_code& ec, const auto&... values) {
                             result.note(ec, values...);
                             b.socket.reset();
                             signal.emit(asio::cancellation_type::all);
                           }));
    test::run(io);
  }

  SECTION("moved to another executor type")
  {
    start();
    {
      const converted_type converted(std::move(*b.socket));
      b.socket.reset();
    }
    signal.emit(asio::cancellation_type::all);
    test::run(io);
  }

  REQUIRE(result.calls == 1);
}

TEMPLATE_TEST_CASE("what was sent at once stays sent", "", test::connect, test::send,
                   test::send_with_flags, test::send_to, test::send_to_with_flags,
                   test::send_to_dual, test::send_batch)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  for (const ending& how : endings) {
    DYNAMIC_SECTION(how.name)
    {
      asio::io_context io;
      bench b(io.get_executor(), test::protocol_for<TestType>);
      scene s;
      outcome result;
      TestType::ready(b);
      TestType::start(b, bound(result, how, s));
      how.happen(b, s);
      REQUIRE(result.calls == 0);
      test::run(io);
      REQUIRE(result.calls == 1);
      REQUIRE_FALSE(result.ec);
      REQUIRE(result.count == TestType::moves);
      if constexpr (TestType::moves > 0) TestType::verify(b);
    }
  }
}

TEMPLATE_TEST_CASE("a coroutine's cancellation reaches what it awaits", "",
                   DGRAM_RECEIVE_OPERATIONS, test::wait_readable)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench b(io.get_executor(), test::protocol_for<TestType>);
  asio::cancellation_signal signal;
  const auto type = GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                             asio::cancellation_type::total);
  dgram::error_code ended;
  auto coroutine = [&]() -> asio::awaitable<void> {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    try {
      co_await TestType::start(b, asio::use_awaitable);
    } catch (const dgram::system_error& failure) {
      ended = failure.code();
    }
  };
  asio::co_spawn(io, coroutine(), asio::bind_cancellation_slot(signal.slot(), asio::detached));
  io.poll();
  REQUIRE_FALSE(ended);
  signal.emit(type);
  test::run(io);
  REQUIRE(ended == asio::error::operation_aborted);
  b.deliver();
  REQUIRE(all_left(b) == texts{std::string(b.text)});
}

}  // namespace cancellation_test
