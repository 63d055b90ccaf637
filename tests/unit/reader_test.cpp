// SPDX-License-Identifier: BSL-1.0
// Reading one datagram at a time: order, trains, ends, deadlines, fairness, cancellation.
#include <dgram/reader.hpp>

#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/memory_transport.hpp"

#include <dgram.hpp>

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace reader_test {

using namespace std::chrono_literals;

namespace {

template <class Socket = dgram::udp::socket>
struct pair {
  using socket_type = Socket;
  using reader_type = test::reader_of<Socket>;

  asio::io_context io;
  Socket receiver{io, test::loopback_v4()};
  Socket sender{io, test::loopback_v4()};

  test::endpoint target() { return receiver.local_endpoint(); }

  void send(const std::string& text) { sender.send_to(asio::buffer(text), target()); }

  void send_numbers(int count)
  {
    for (int i = 0; i < count; ++i)
      send(std::to_string(i));
  }
};

template <class Reader>
asio::awaitable<std::string> next_text(Reader& reader)
{
  auto datagram = co_await reader.next();
  REQUIRE(datagram);
  co_return std::string(datagram->payload().text());
}

}  // namespace

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: hands over what was queued, in order, with its sender")
{
  pair<TestType> p;
  p.send_numbers(200);
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver};
    for (int i = 0; i < 200; ++i) {
      auto datagram = co_await reader.next();
      REQUIRE(datagram);
      REQUIRE(datagram->payload().text() == std::to_string(i));
      REQUIRE(datagram->sender() == p.sender.local_endpoint());
    }
    REQUIRE(reader.remaining() == 0);
  }());
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: empty datagrams are datagrams")
{
  pair<TestType> p;
  p.send("");
  p.send("x");
  p.send("");
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver};
    for (const std::string expected : {"", "x", ""}) {
      const std::string text = co_await next_text(reader);
      REQUIRE(text == expected);
    }
  }());
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: takes trains apart")
{
  pair<TestType> p;
  std::string big;
  for (int i = 0; i < 20; ++i)
    big += std::string(100, static_cast<char>('a' + i));
  big += "tail";
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver};
    test::send_train(p.sender, big, 100, p.target());
    std::string seen;
    for (int i = 0; i < 21; ++i) {
      auto datagram = co_await reader.next();
      REQUIRE(datagram);
      REQUIRE(datagram->payload().size() == (i < 20 ? 100 : 4));
      REQUIRE(datagram->sender() == p.sender.local_endpoint());
      seen += datagram->payload().text();
    }
    REQUIRE(seen == big);
  }());
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: every number of its configuration works at its limits",
                               "[F11]")
{
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  const std::size_t yield_after = GENERATE_COPY(std::size_t{1}, std::size_t{2}, most);
  const std::size_t slots = GENERATE(std::size_t{1}, std::size_t{64});
  const std::size_t slot_size = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{65536});
  CAPTURE(yield_after, slots, slot_size);
  const dgram::reader_config config{
      .slots = slots, .slot_size = slot_size, .yield_after = yield_after};
  pair<TestType> p;
  dgram::reader reader{p.receiver, config};
  for (int i = 0; i < 30; ++i)
    p.send("x");
  std::size_t seen = 0;
  test::run(p.io, [&]() -> asio::awaitable<void> {
    while (seen < 10) {
      const auto datagram = co_await reader.next();
      seen += datagram->payload().size();
    }
    while (seen < 20) {
      const auto batch = co_await reader.next_batch();
      seen += batch.size();
    }
  }());
  reader.async_for_each([&](const dgram::datagram&) { ++seen; }, [](dgram::error_code) {});
  p.io.restart();
  for (int i = 0; i < 1000 && seen < 30; ++i)
    p.io.run_one_for(test::milliseconds(1000));
  CHECK(seen == 30);
}

TEST_CASE("reader, writer: numbers for which there is no memory are refused", "[F11]")
{
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  pair<> p;
  CHECK_THROWS_AS((dgram::reader{p.receiver, {.slots = 0}}), std::invalid_argument);
  CHECK_THROWS((dgram::reader{p.receiver, {.slots = most}}));
  CHECK_THROWS((dgram::reader{p.receiver, {.slot_size = most}}));
  CHECK_THROWS_AS((dgram::writer{p.receiver, {.datagrams = 0}}), std::invalid_argument);
  CHECK_THROWS((dgram::writer{p.receiver, {.datagrams = most}}));
  CHECK_THROWS((dgram::writer{p.receiver, {.bytes = most}}));
  dgram::writer smallest{p.receiver, {.datagrams = 1, .bytes = 1}};
  CHECK(smallest.try_send("x", p.target()));
  CHECK(smallest.try_send("y", p.target()));
  CHECK_FALSE(smallest.try_send("zz", p.target()));
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: waits for what comes later")
{
  pair<TestType> p;
  std::vector<std::string> seen;
  asio::co_spawn(
      p.io,
      [&]() -> asio::awaitable<void> {
        dgram::reader reader{p.receiver};
        for (int i = 0; i < 3; ++i)
          seen.push_back(co_await next_text(reader));
      },
      asio::detached);
  p.io.poll();
  REQUIRE(seen.empty());
  p.send_numbers(3);
  test::run(p.io);
  REQUIRE(seen == std::vector<std::string>{"0", "1", "2"});
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader: next is empty after stop, also one that waits; what is in memory can still be had")
{
  pair<TestType> p;
  p.send_numbers(2);
  bool ended = false;
  std::optional<test::reader_of<TestType>> reader{p.receiver};
  asio::co_spawn(
      p.io,
      [&]() -> asio::awaitable<void> {
        const std::string first = co_await next_text(*reader);
        const std::string second = co_await next_text(*reader);
        REQUIRE(first + second == "01");
        auto nothing = co_await reader->next();
        REQUIRE_FALSE(nothing);
        nothing = co_await reader->next();
        REQUIRE_FALSE(nothing);
        ended = true;
      },
      asio::detached);
  p.io.poll();
  REQUIRE_FALSE(ended);
  reader->stop();
  REQUIRE(reader->is_stopped());
  test::run(p.io);
  REQUIRE(ended);
  REQUIRE(p.receiver.is_open());
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader: next is empty after a close of the socket, and throws after a cancel")
{
  const bool close = GENERATE(true, false);
  pair<TestType> p;
  std::string outcome;
  asio::co_spawn(
      p.io,
      [&]() -> asio::awaitable<void> {
        dgram::reader reader{p.receiver};
        try {
          outcome = co_await reader.next() ? "datagram" : "end";
        } catch (const dgram::system_error& failure) {
          outcome = failure.code() == asio::error::operation_aborted ? "aborted" : "other";
        }
      },
      asio::detached);
  p.io.poll();
  REQUIRE(outcome.empty());
  if (close)
    p.receiver.close();
  else
    p.receiver.cancel();
  test::run(p.io);
  REQUIRE(outcome == (close ? "end" : "aborted"));
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader: survives the move of the socket, and finds a destroyed one closed")
{
  pair<TestType> p;
  std::string outcome;
  std::optional<TestType> socket(std::move(p.receiver));
  const auto target = socket->local_endpoint();
  asio::co_spawn(
      p.io,
      [&]() -> asio::awaitable<void> {
        dgram::reader reader{*socket};
        outcome = co_await next_text(reader);
        outcome += co_await reader.next() ? "?" : " end";
      },
      asio::detached);
  p.io.poll();
  std::optional<TestType> moved(std::move(*socket));
  socket.reset();
  p.sender.send_to(asio::buffer("moved", 5), target);
  while (outcome.empty())
    p.io.run_one_for(test::seconds(5));
  REQUIRE(outcome == "moved");
  moved.reset();
  test::run(p.io);
  REQUIRE(outcome == "moved end");
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: a pending next completes when the reader is destroyed")
{
  pair<TestType> p;
  bool ended = false;
  std::optional<test::reader_of<TestType>> reader{p.receiver};
  asio::co_spawn(
      p.io, [&]() -> asio::awaitable<void> { ended = !co_await reader->next(); }, asio::detached);
  p.io.poll();
  reader.reset();
  test::run(p.io);
  REQUIRE(ended);
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: a deadline ends the wait and loses nothing")
{
  pair<TestType> p;
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver};
    auto nothing = co_await reader.next_for(1ms);
    REQUIRE_FALSE(nothing);
    REQUIRE_FALSE(reader.is_stopped());
    dgram::error_code ec;
    nothing = co_await reader.next_for(1ms, ec);
    REQUIRE_FALSE(nothing);
    REQUIRE(ec == asio::error::timed_out);
    p.send_numbers(2);
    auto first = co_await reader.next_for(10s);
    REQUIRE(first);
    REQUIRE(first->payload().text() == "0");
    auto second = co_await reader.next_until(std::chrono::steady_clock::now() - 1s, ec);
    REQUIRE_FALSE(ec);
    REQUIRE(second->payload().text() == "1");
    nothing = co_await reader.next_until(std::chrono::steady_clock::now() - 1s, ec);
    REQUIRE_FALSE(nothing);
    REQUIRE(ec == asio::error::timed_out);
    p.send("late");
    const std::string late = co_await next_text(reader);
    REQUIRE(late == "late");
  }());
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: many short deadlines against a steady sender lose nothing")
{
  pair<TestType> p;
  int received = 0;
  int timeouts = 0;
  asio::co_spawn(
      p.io,
      [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(p.io);
        for (int i = 0; i < 100; ++i) {
          timer.expires_after(1ms);
          co_await timer.async_wait(asio::use_awaitable);
          p.send(std::to_string(i));
        }
      },
      asio::detached);
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver};
    while (received < 100) {
      if (auto datagram = co_await reader.next_for(500us)) {
        REQUIRE(datagram->payload().text() == std::to_string(received));
        ++received;
      } else {
        ++timeouts;
      }
    }
  }());
  REQUIRE(received == 100);
  REQUIRE(timeouts > 0);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader: cancelling the coroutine throws, and the datagram that comes later stays queued")
{
  pair<TestType> p;
  asio::cancellation_signal signal;
  bool aborted = false;
  asio::co_spawn(
      p.io,
      [&]() -> asio::awaitable<void> {
        dgram::reader reader{p.receiver};
        co_await reader.next();
      },
      asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr failure) {
        try {
          if (failure) std::rethrow_exception(failure);
        } catch (const dgram::system_error& error) {
          aborted = error.code() == asio::error::operation_aborted;
        }
      }));
  p.io.poll();
  signal.emit(asio::cancellation_type::terminal);
  p.send("kept");
  test::run(p.io);
  REQUIRE(aborted);
  dgram::receive_batch kept{1};
  REQUIRE(p.receiver.try_receive_batch(kept) == 1);
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: a flood starves no timer")
{
  pair<TestType> p;
  bool fired = false;
  int received = 0;
  asio::post(p.io, [&] { fired = true; });
  p.send_numbers(100);
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver, {.slots = 4, .yield_after = 16}};
    asio::post(p.io, [&] { fired = true; });
    fired = false;
    while (!fired) {
      co_await reader.next();
      ++received;
    }
  }());
  // It lets others go first before a receive call, never inside a batch. The first time its own wake-up may have been
  // queued before them.
  // On a slow machine they go first before 16 datagrams.
  REQUIRE(received >= 4);
  REQUIRE(received <= 2 * 16 + 1);
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: a slow coroutine holds up other handlers for two batches")
{
  pair<TestType> p;
  p.send_numbers(40);
  int received = 0;
  int before = 0;
  int longest = 0;
  std::function<void()> other = [&] {
    longest = std::max(longest, received - before);
    before = received;
    if (received < 40) asio::post(p.io, other);
  };
  asio::post(p.io, other);
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver, {.slots = 4, .yield_after = 10'000}};
    while (received < 40) {
      co_await reader.next();
      ++received;
      std::this_thread::sleep_for(std::chrono::microseconds(30));
    }
  }());
  REQUIRE(longest >= 4);
  // The reader's own wake-up may be queued before the other handler, so there may be two such turns.
  REQUIRE(longest <= 2 * 8);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader: next_batch gives what is in memory, or else what one call takes")
{
  pair<TestType> p;
  p.send_numbers(5);
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver};
    const auto zero = co_await reader.next();
    REQUIRE(zero->payload().text() == "0");
    auto batch = co_await reader.next_batch();
    REQUIRE(batch.size() == 4);
    std::vector<std::string> seen;
    for (const dgram::datagram& datagram : batch)
      seen.emplace_back(datagram.payload().text());
    REQUIRE(seen == std::vector<std::string>{"1", "2", "3", "4"});
    p.receiver.close();
    batch = co_await reader.next_batch();
    REQUIRE_FALSE(batch);
  }());
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: adapts the slots it offers to the traffic")
{
  pair<TestType> p;
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver};
    if (!p.receiver.handle().is_coalescing()) co_return;  // nothing to adapt to
    REQUIRE(reader.batch().offered() == 64);
    const std::string big(64 * 20, 'x');
    test::send_train(p.sender, big, 64, p.target());
    for (int i = 0; i < 20; ++i)
      co_await reader.next();
    p.send("plain");
    co_await reader.next();
    REQUIRE(reader.batch().offered() == 8);
    p.send_numbers(80);
    for (int i = 0; i < 80; ++i)
      co_await reader.next();
    REQUIRE(reader.batch().offered() > 8);
  }());
}

TEST_CASE("reader: turns coalescing on and leaves it on, unless its slots are too small for trains")
{
  pair<> p;
  dgram::option::coalescing coalescing;
  dgram::error_code ec;
  p.receiver.get_option(coalescing, ec);
  if (ec) SKIP("no coalescing here: " << ec.message());
  {
    dgram::reader plain{p.receiver, {.slots = 8, .slot_size = 2048}};
    dgram::reader asked_not_to{p.receiver, {.coalesce = false}};
  }
  p.receiver.get_option(coalescing);
  REQUIRE_FALSE(coalescing.value());
  {
    dgram::reader reader{p.receiver};
  }
  p.receiver.get_option(coalescing);
  REQUIRE(coalescing.value());
  std::array<char, 8> storage{};
  test::endpoint sender;
  p.receiver.try_receive_from(asio::buffer(storage), sender, ec);
  REQUIRE(ec == dgram::error::coalescing);
  dgram::receive_batch small{4, 2048};
  p.receiver.try_receive_batch(small, ec);
  REQUIRE(ec == dgram::error::slot_too_small);
  p.receiver.set_option(dgram::option::coalescing(false));
  p.send("plain");
  REQUIRE(p.receiver.try_receive_from(asio::buffer(storage), sender) == 5);
}

TEST_CASE(
    "reader: a single receive that is pending when coalescing begins is ended, not given a train")
{
  pair<> p;
  std::array<char, 1000> storage{};
  test::endpoint sender;
  dgram::error_code outcome;
  p.receiver.async_receive_from(asio::buffer(storage), sender,
                                [&](const dgram::error_code& ec, std::size_t) { outcome = ec; });
  dgram::reader reader{p.receiver};
  if (!p.receiver.handle().is_coalescing()) SKIP("no coalescing here");
  test::run(p.io);
  REQUIRE(outcome == asio::error::operation_aborted);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader: a cancellation is seen also after a wake-up in vain, and leaves no timer behind")
{
  pair<TestType> p;
  asio::cancellation_signal signal;
  dgram::error_code outcome;
  std::optional<test::reader_of<TestType>> reader{p.receiver};
  asio::co_spawn(
      p.io,
      [&]() -> asio::awaitable<void> {
        try {
          co_await reader->next_for(std::chrono::milliseconds(20));
        } catch (const dgram::system_error& failure) {
          outcome = failure.code();
        }
      },
      asio::bind_cancellation_slot(signal.slot(), asio::detached));
  p.io.poll();
  p.send("taken by another reader");
  dgram::receive_batch other{1};
  REQUIRE(p.receiver.try_receive_batch(other) == 1);
  p.io.poll();
  signal.emit(asio::cancellation_type::terminal);
  p.io.poll();
  REQUIRE(outcome == asio::error::operation_aborted);
  // What is left of the deadline does not end a later wait.
  bool received = false;
  asio::co_spawn(
      p.io,
      [&]() -> asio::awaitable<void> {
        auto datagram = co_await reader->next();
        received = datagram.has_value();
      },
      asio::detached);
  p.io.run_for(std::chrono::milliseconds(60));
  REQUIRE_FALSE(received);
  p.send("later");
  test::run(p.io);
  REQUIRE(received);
}

TEST_CASE(
    "reader: the longest duration is no deadline, and a receiver that was shut down does not spin")
{
  pair<> p;
  int wake_ups = 0;
  dgram::reader reader{p.receiver};
  p.receiver.connect(p.sender.local_endpoint());
  p.receiver.shutdown(asio::socket_base::shutdown_receive);
  bool ended = false;
  asio::co_spawn(
      p.io,
      [&]() -> asio::awaitable<void> {
        co_await reader.next_for(std::chrono::steady_clock::duration::max());
        ended = true;
      },
      asio::detached);
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  while (std::chrono::steady_clock::now() < until)
    wake_ups += static_cast<int>(p.io.run_one_for(std::chrono::milliseconds(10)));
  REQUIRE_FALSE(ended);
  REQUIRE(wake_ups < 60);  // thousands, if it spun
  reader.stop();
  test::run(p.io);
  REQUIRE(ended);
}

TEST_CASE("reader: works on a dual-stack socket and with other executors")
{
  asio::io_context io;
  dgram::basic_socket<dgram::udp, asio::strand<asio::io_context::executor_type>> receiver{
      asio::make_strand(io), test::loopback_v4(), {.dual_stack = true}};
  dgram::udp::socket sender{io, test::loopback_v4()};
  sender.send_to(asio::buffer("hi", 2), receiver.local_endpoint());
  test::endpoint seen;
  asio::co_spawn(
      receiver.get_executor(),
      [&]() -> asio::awaitable<void> {
        dgram::reader reader{receiver};
        seen = (co_await reader.next())->sender();
      },
      asio::detached);
  test::run(io);
  REQUIRE(seen == sender.local_endpoint());
}

TEST_CASE("reader: a descriptor that comes later is prepared like the first")
{
  asio::io_context io;
  dgram::udp::socket sender{io, test::loopback_v4()};
  dgram::udp::socket receiver{io};
  dgram::reader reader{receiver};
  for (int i = 0; i < 2; ++i) {
    receiver.close();
    receiver.open(dgram::udp::v4());
    receiver.bind({dgram::udp::v4(), 0});
    const auto port = receiver.local_endpoint().port();
    test::run(io, [&]() -> asio::awaitable<void> {
      dgram::error_code ec;
      static_cast<void>(co_await reader.next_for(0ms));
      sender.send_to(asio::buffer("a", 1), test::loopback_v4(port));
      const auto datagram = co_await reader.next();
      REQUIRE(datagram);
      CHECK(datagram->reply_path(ec).source == test::loopback_v4().address());
      CHECK_FALSE(ec);
    }());
    io.restart();
    dgram::error_code not_here;
    dgram::option::coalescing coalescing;
    receiver.get_option(coalescing, not_here);
    if (!not_here) CHECK(coalescing.value());
  }
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader: a batch has a deadline, and loses nothing to it")
{
  pair<TestType> p;
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver};
    const auto past = std::chrono::steady_clock::now() - 1s;
    dgram::error_code ec;
    auto none = co_await reader.next_batch_until(past, ec);
    REQUIRE(none.empty());
    REQUIRE(ec == asio::error::timed_out);
    none = co_await reader.next_batch_until(std::chrono::steady_clock::now() + 5ms, ec);
    REQUIRE(none.empty());
    REQUIRE(ec == asio::error::timed_out);
    none = co_await reader.next_batch_until(past);
    REQUIRE(none.empty());
    REQUIRE_FALSE(reader.is_stopped());
    // What is there comes also after the deadline.
    p.send_numbers(3);
    std::size_t count = 0;
    while (count < 3) {
      auto some = co_await reader.next_batch_until(past, ec);
      for (const auto& datagram : some)
        REQUIRE(datagram.payload().text() == std::to_string(count++));
      REQUIRE((!ec || some.empty()));
    }
    p.send("late");
    auto late = co_await reader.next_batch_until(std::chrono::steady_clock::now() + 10s);
    REQUIRE(late.size() == 1);
    p.send("more");
    auto more = co_await reader.next_batch(ec);
    REQUIRE_FALSE(ec);
    REQUIRE(more.size() == 1);
    reader.stop();
    none = co_await reader.next_batch_until(std::chrono::steady_clock::now() + 10s, ec);
    REQUIRE(none.empty());
    REQUIRE_FALSE(ec);
    REQUIRE(reader.is_stopped());
  }());
}

TEST_CASE("reader: a batch tells a cancellation in an error code")
{
  pair<> p;
  test::run(p.io, [&]() -> asio::awaitable<void> {
    dgram::reader reader{p.receiver};
    asio::post(p.io, [&] { p.receiver.cancel(); });
    dgram::error_code ec;
    auto none = co_await reader.next_batch(ec);
    REQUIRE(none.empty());
    REQUIRE(ec == asio::error::operation_aborted);
  }());
}

namespace {

/// What became of a call that waits, whatever its form.
struct waiting_call {
  bool is_done = false;
  dgram::error_code ec;
  std::string text;
};

enum class call_form : unsigned char { next, next_for, next_batch, for_each };

void start_call(asio::io_context& io, test::reader_of<dgram::udp::socket>& reader, call_form form,
                waiting_call& call)
{
  if (form == call_form::for_each) {
    reader.async_for_each(
        [&](const dgram::datagram& got) {
          call.text = got.payload().text();
          reader.stop();
        },
        [&](dgram::error_code ec) {
          call.is_done = true;
          call.ec = ec;
        });
    return;
  }
  asio::co_spawn(
      io,
      [](auto& from, call_form how, waiting_call& result) -> asio::awaitable<void> {
        if (how == call_form::next) {
          const auto got = co_await from.next(result.ec);
          if (got) result.text = got->payload().text();
        } else if (how == call_form::next_for) {
          const auto got = co_await from.next_for(1h, result.ec);
          if (got) result.text = got->payload().text();
        } else {
          for (const auto& each : co_await from.next_batch(result.ec))
            result.text = each.payload().text();
        }
        result.is_done = true;
      }(reader, form, call),
      asio::detached);
}

}  // namespace

TEST_CASE("reader: of two calls that wait the second fails, and the first goes on")
{
  const auto first_form =
      GENERATE(call_form::next, call_form::next_for, call_form::next_batch, call_form::for_each);
  const auto second_form =
      GENERATE(call_form::next, call_form::next_for, call_form::next_batch, call_form::for_each);
  pair<> p;
  pair<>::reader_type reader(p.receiver);
  waiting_call first;
  waiting_call second;
  start_call(p.io, reader, first_form, first);
  p.io.poll();
  start_call(p.io, reader, second_form, second);
  p.io.poll();
  CHECK(second.is_done);
  CHECK(second.ec == asio::error::already_started);
  CHECK_FALSE(first.is_done);
  SECTION("a datagram comes")
  {
    p.send("datagram");
    test::run(p.io);
    CHECK(first.text == "datagram");
  }
  SECTION("the reader is stopped")
  {
    reader.stop();
    test::run(p.io);
  }
  CHECK(first.is_done);
  CHECK_FALSE(first.ec);
}

TEST_CASE("reader: a call that begins right after a cancel of the socket is not ended with the old")
{
  const auto first_form =
      GENERATE(call_form::next, call_form::next_for, call_form::next_batch, call_form::for_each);
  const auto second_form =
      GENERATE(call_form::next, call_form::next_for, call_form::next_batch, call_form::for_each);
  pair<> p;
  pair<>::reader_type reader(p.receiver);
  waiting_call first;
  waiting_call second;
  start_call(p.io, reader, first_form, first);
  p.io.poll();
  // In one handler, so that the second call waits before the first one learns of its end.
  asio::post(p.io, [&] {
    p.receiver.cancel();
    start_call(p.io, reader, second_form, second);
  });
  p.io.poll();
  CHECK(first.ec == asio::error::operation_aborted);
  CHECK_FALSE(second.is_done);
  SECTION("a datagram comes")
  {
    p.send("datagram");
    test::run(p.io);
    CHECK(second.text == "datagram");
  }
  SECTION("the reader is stopped")
  {
    reader.stop();
    test::run(p.io);
  }
  CHECK(second.is_done);
  CHECK_FALSE(second.ec);
}

TEST_CASE("reader: on a socket that has never been open a call fails, and ends nothing")
{
  const auto form =
      GENERATE(call_form::next, call_form::next_for, call_form::next_batch, call_form::for_each);
  pair<> p;
  const auto here = p.target();
  p.receiver.close();
  pair<>::reader_type reader(p.receiver);
  waiting_call refused;
  start_call(p.io, reader, form, refused);
  CHECK((form != call_form::for_each || !refused.is_done));
  test::run(p.io);
  CHECK(refused.is_done);
  CHECK(refused.ec == asio::error::bad_descriptor);

  p.receiver.open(dgram::udp::v4());
  p.receiver.bind(here);
  waiting_call call;
  start_call(p.io, reader, form, call);
  p.io.restart();
  p.io.poll();
  p.send("datagram");
  test::run(p.io);
  CHECK(call.text == "datagram");
  CHECK_FALSE(call.ec);

  // Now a close is the end.
  p.receiver.close();
  waiting_call last;
  start_call(p.io, reader, form, last);
  test::run(p.io);
  CHECK(last.is_done);
  CHECK_FALSE(last.ec);
}

}  // namespace reader_test
