// SPDX-License-Identifier: BSL-1.0
// A reader's async_for_each as an asynchronous operation: tokens, executors, cancellation, memory.
#include "support/handlers.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <asio/bind_allocator.hpp>
#include <asio/post.hpp>

#include <atomic>
#include <future>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace for_each_test {

namespace {

using test::outcome;
using test::record;
using texts = std::vector<std::string>;
using io_executor = asio::io_context::executor_type;

const dgram::error_code aborted = asio::error::operation_aborted;

template <class Executor>
struct scene {
  using socket_type = dgram::basic_socket<dgram::udp, Executor>;

  explicit scene(const Executor& executor) : socket(executor, test::loopback_v4()) {}

  void deliver(const std::string& text)
  {
    peer.send_to(asio::buffer(text), socket.local_endpoint());
  }

  template <class... Token>
  auto start(Token&&... token)
  {
    return reader.async_for_each(
        [this](const dgram::datagram& datagram) {
          seen.emplace_back(datagram.payload().text());
          if (seen.back() == "last") reader.stop();
        },
        std::forward<Token>(token)...);
  }

  void deliver_two()
  {
    deliver("first");
    deliver("last");
  }

  void verify() const { REQUIRE(seen == texts{"first", "last"}); }

  socket_type socket;
  dgram::reader<dgram::udp, Executor> reader{socket};
  texts seen;

private:
  asio::io_context peer_context_;
  asio::ip::udp::socket peer{peer_context_, test::loopback_v4()};
};

void require_success(const outcome& result)
{
  REQUIRE(result.calls == 1);
  REQUIRE_FALSE(result.ec);
}

}  // namespace

TEST_CASE("for_each takes every completion token")
{
  asio::io_context io;
  scene<asio::any_io_executor> s(io.get_executor());
  s.deliver_two();
  outcome result;

  SECTION("callback")
  {
    s.start(record(result));
    test::run(io);
    require_success(result);
  }

  SECTION("callback that is an lvalue")
  {
    const auto callback = record(result);
    s.start(callback);
    test::run(io);
    require_success(result);
  }

  SECTION("move-only handler")
  {
    s.start(test::move_only(record(result)));
    test::run(io);
    require_success(result);
  }

  SECTION("use_awaitable")
  {
    test::run(io, [&]() -> asio::awaitable<void> { co_await s.start(asio::use_awaitable); }());
  }

  SECTION("no token")
  {
    test::run(io, [&]() -> asio::awaitable<void> { co_await s.start(); }());
  }

  SECTION("as_tuple")
  {
    test::run(io, [&]() -> asio::awaitable<void> {
      const auto [ec] = co_await s.start(test::as_tuple(asio::use_awaitable));
      REQUIRE_FALSE(ec);
    }());
  }

  SECTION("redirect_error")
  {
    dgram::error_code ec = asio::error::fault;
    test::run(io, [&]() -> asio::awaitable<void> {
      co_await s.start(asio::redirect_error(asio::use_awaitable, ec));
    }());
    REQUIRE_FALSE(ec);
  }

  SECTION("use_future")
  {
    auto future = s.start(asio::use_future);
    test::run(io);
    future.get();
  }

  SECTION("deferred, launched later")
  {
    auto operation = s.start(test::deferred);
    test::run(io);
    REQUIRE(s.seen.empty());
    std::move(operation)(record(result));
    test::run(io);
    require_success(result);
  }

  SECTION("detached")
  {
    s.start(asio::detached);
    test::run(io);
  }

  SECTION("bind_executor: the function runs there too")
  {
    test::manual_queue queue;
    s.start(asio::bind_executor(queue.get_executor(), record(result)));
    test::run_until_queued(io, queue);
    REQUIRE(s.seen.empty());
    test::run_until(io, queue, [&] { return result.calls > 0; });
    test::run(io);
    require_success(result);
  }

  SECTION("bind_cancellation_slot")
  {
    asio::cancellation_signal signal;
    s.start(asio::bind_cancellation_slot(signal.slot(), record(result)));
    test::run(io);
    require_success(result);
    signal.emit(asio::cancellation_type::all);
    test::run(io);
    REQUIRE(result.calls == 1);
  }

  s.verify();
}

TEST_CASE("for_each that is deferred outlives its reader, and is launched twice")
{
  asio::io_context io;
  dgram::udp::socket socket(io, test::loopback_v4());
  outcome result;
  const auto make = [&] {
    dgram::reader reader{socket};
    return reader.async_for_each([](const dgram::datagram&) {}, test::deferred);
  };
  auto operation = make();
  operation(record(result));
  test::run(io);
  require_success(result);
  result = {};
  std::move(operation)(record(result));
  test::run(io);
  require_success(result);
}

TEST_CASE("for_each calls neither the function nor the handler inside the call")
{
  asio::io_context io;
  scene<asio::any_io_executor> s(io.get_executor());
  outcome result;
  const bool stopped = GENERATE(false, true);
  s.deliver_two();
  if (stopped) s.reader.stop();
  asio::post(io, [&] {
    s.start(record(result));
    REQUIRE(s.seen.empty());
    REQUIRE(result.calls == 0);
  });
  test::run(io);
  require_success(result);
  REQUIRE(s.seen.size() == (stopped ? 0 : 2));
}

TEST_CASE("for_each runs on every executor")
{
  asio::io_context io;
  const auto use_on = [](const auto& executor, auto drive) {
    scene s(executor);
    s.deliver_two();
    auto ended = s.start(asio::use_future);
    drive();
    REQUIRE(ended.wait_for(test::seconds(10)) == std::future_status::ready);
    ended.get();
    s.verify();
  };
  const auto drive = [&] { test::run(io); };

  SECTION("io_context")
  {
    use_on(io.get_executor(), drive);
  }

  SECTION("strand")
  {
    use_on(asio::make_strand(io), drive);
  }

  SECTION("thread_pool")
  {
    asio::thread_pool pool(1);
    use_on(pool.get_executor(), [] {});
    pool.join();
  }

  SECTION("a strand of a pool of several threads, and what ends it comes from another one")
  {
    asio::thread_pool pool(3);
    const auto strand = asio::make_strand(pool);
    scene s(strand);
    std::atomic<int> inside = 0;
    bool alone = true;
    auto ended = s.reader.async_for_each(
        [&](const dgram::datagram&) {
          alone = alone && ++inside == 1;
          --inside;
        },
        asio::use_future);
    for (int i = 0; i < 100; ++i)
      s.deliver("x");
    asio::post(strand, [&] { s.reader.stop(); });
    REQUIRE(ended.wait_for(test::seconds(10)) == std::future_status::ready);
    ended.get();
    REQUIRE(alone);
    pool.join();
  }
}

TEST_CASE("every type of cancellation ends for_each, while it waits and when its wake-up is queued")
{
  const auto type = GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                             asio::cancellation_type::total);
  const bool queued = GENERATE(false, true);
  asio::io_context io;
  scene<io_executor> s(io.get_executor());
  test::manual_queue queue;
  asio::cancellation_signal signal;
  outcome result;
  s.start(asio::bind_executor(queue.get_executor(),
                              asio::bind_cancellation_slot(signal.slot(), record(result))));
  queue.run();
  io.restart();
  io.poll();
  REQUIRE(result.calls == 0);
  if (queued) {
    s.deliver("kept");
    test::run_until_queued(io, queue);
  }
  signal.emit(asio::cancellation_type::none);
  signal.emit(type);
  REQUIRE(result.calls == 0);
  test::run_until(io, queue, [&] { return result.calls > 0; });
  test::run(io);
  REQUIRE(queue.empty());
  REQUIRE(result.calls == 1);
  REQUIRE(result.ec == aborted);
  REQUIRE(s.seen.empty());
  dgram::receive_batch left{2};
  REQUIRE(s.socket.try_receive_batch(left).value_or(0) == (queued ? 1 : 0));
}

TEST_CASE("a cancellation before the first turn, and one from inside the function, end for_each")
{
  asio::io_context io;
  scene<io_executor> s(io.get_executor());
  asio::cancellation_signal signal;
  outcome result;
  s.deliver("0");
  s.deliver("1");

  SECTION("before")
  {
    s.start(asio::bind_cancellation_slot(signal.slot(), record(result)));
    signal.emit(asio::cancellation_type::total);
    test::run(io);
    REQUIRE(s.seen.empty());
  }

  SECTION("inside")
  {
    s.reader.async_for_each(
        [&](const dgram::datagram& datagram) {
          s.seen.emplace_back(datagram.payload().text());
          signal.emit(asio::cancellation_type::partial);
        },
        asio::bind_cancellation_slot(signal.slot(), record(result)));
    test::run(io);
    REQUIRE(s.seen == texts{"0"});
    REQUIRE(s.reader.remaining() == 1);
  }

  REQUIRE(result.calls == 1);
  REQUIRE(result.ec == aborted);
}

TEST_CASE("a coroutine's cancellation reaches for_each")
{
  asio::io_context io;
  scene<asio::any_io_executor> s(io.get_executor());
  asio::cancellation_signal signal;
  dgram::error_code ended;
  const auto work = [&]() -> asio::awaitable<void> {
    try {
      co_await s.start(asio::use_awaitable);
    } catch (const dgram::system_error& failure) {
      ended = failure.code();
    }
  };
  asio::co_spawn(io, work, asio::bind_cancellation_slot(signal.slot(), asio::detached));
  io.poll();
  REQUIRE_FALSE(ended);
  signal.emit(asio::cancellation_type::terminal);
  test::run(io);
  REQUIRE(ended == aborted);
}

TEST_CASE("for_each loses no datagram and hands none over twice, however often it is cancelled")
{
  const bool by_slot = GENERATE(false, true);
  asio::io_context io;
  scene<io_executor> s(io.get_executor());
  test::manual_queue queue;
  asio::cancellation_signal signal;
  outcome result;
  texts sent;
  bool pending = false;
  int ends = 0;
  const auto cancel = [&] {
    if (by_slot)
      signal.emit(asio::cancellation_type::total);
    else
      s.socket.cancel();
  };
  std::minstd_rand random(4711);
  for (int turn = 0; turn < 4000; ++turn) {
    io.restart();
    switch (random() % 5) {
    case 0:
      if (std::exchange(pending, true)) break;
      result = {};
      s.start(asio::bind_executor(
          queue.get_executor(),
          asio::bind_cancellation_slot(by_slot ? signal.slot() : asio::cancellation_slot(),
                                       record(result))));
      break;
    case 1:
      if (sent.size() > s.seen.size() + 100) break;
      sent.push_back(std::to_string(turn));
      s.deliver(sent.back());
      break;
    case 2:
      if (random() % 3 == 0) cancel();
      break;
    case 3: io.poll_one(); break;
    default: queue.run();
    }
    if (!pending || result.calls == 0) continue;
    REQUIRE(result.calls == 1);
    REQUIRE(result.ec == aborted);
    pending = false;
    ++ends;
  }
  if (!pending) {
    result = {};
    s.start(asio::bind_executor(queue.get_executor(), record(result)));
  }
  sent.emplace_back("last");
  s.deliver("last");
  test::run_until(io, queue, [&] { return result.calls > 0; });
  if (result.ec) {
    result = {};
    s.start(asio::bind_executor(queue.get_executor(), record(result)));
    test::run_until(io, queue, [&] { return result.calls > 0; });
  }
  require_success(result);
  REQUIRE(s.seen == sent);
  REQUIRE(ends > 50);
}

TEST_CASE("for_each takes its memory from the handler's allocator, and has given it back")
{
  asio::io_context io;
  scene<io_executor> s(io.get_executor());
  test::allocation_record memory;
  std::optional<std::size_t> live;
  s.start(asio::bind_allocator(test::recording_allocator<>(memory),
                               [&](dgram::error_code) { live = memory.live; }));
  io.poll();
  REQUIRE(memory.live > 0);
  s.deliver_two();
  test::run(io);
  REQUIRE(live == 0U);
  REQUIRE(memory.live == 0);
}

TEST_CASE("for_each leaves no memory behind where the context goes first")
{
  test::allocation_record memory;
  {
    asio::io_context io;
    scene<io_executor> s(io.get_executor());
    s.start(asio::bind_allocator(test::recording_allocator<>(memory), [](dgram::error_code) {}));
    io.poll();
    REQUIRE(memory.live > 0);
  }
  REQUIRE(memory.live == 0);
}

}  // namespace for_each_test
