// SPDX-License-Identifier: BSL-1.0
// async_for_each: order, trains, turns, its ends, what its function may do, exceptions, a writer inside it.
#include <dgram/reader.hpp>

#include "support/asio.hpp"
#include "support/handlers.hpp"
#include "support/loopback.hpp"
#include "support/memory_transport.hpp"

#include <dgram.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace reader_for_each_test {

namespace {

using texts = std::vector<std::string>;
template <class Socket = dgram::udp::socket>
struct scene {
  using reader_type = test::reader_of<Socket>;

  explicit scene(const dgram::reader_config& config = {}, std::uint16_t port = 0)
      : receiver(std::in_place, io, test::loopback_v4(port))
  {
    reader.emplace(*receiver, config);
    target = receiver->local_endpoint();
  }

  void send(const std::string& text) { sender.send_to(asio::buffer(text), target); }

  void send_numbers(int count)
  {
    for (int i = 0; i < count; ++i)
      send(std::to_string(i));
  }

  /// Notes each datagram, and calls `after(text)`.
  template <class After>
  void start(After after)
  {
    reader->async_for_each(
        [this, after](const dgram::datagram& datagram) mutable {
          seen.emplace_back(datagram.payload().text());
          after(seen.back());
        },
        test::record(result));
  }

  void start()
  {
    start([](const std::string&) {});
  }

  /// What `next` has without a wait.
  std::string next()
  {
    std::string text;
    test::run(io, [&]() -> asio::awaitable<void> {
      const auto datagram = co_await reader->next();
      text = datagram ? std::string(datagram->payload().text()) : "end";
    }());
    return text;
  }

  void require_end(const dgram::error_code& ec = {})
  {
    test::run(io);
    REQUIRE(result.calls == 1);
    REQUIRE(result.ec == ec);
  }

  asio::io_context io;
  std::optional<Socket> receiver;
  Socket sender{io, test::loopback_v4()};
  std::optional<reader_type> reader;
  test::endpoint target;
  texts seen;
  test::outcome result;
};

const dgram::error_code aborted = asio::error::operation_aborted;

}  // namespace

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: hands over what is queued and what comes later, in order")
{
  scene<TestType> s;
  s.send_numbers(100);
  s.start();
  REQUIRE(s.seen.empty());  // never inside the call
  s.io.poll();
  s.send("later");
  s.io.poll();
  s.send("");
  s.io.poll();
  REQUIRE(s.seen.size() == 102);
  for (std::size_t i = 0; i < 100; ++i)
    REQUIRE(s.seen[i] == std::to_string(i));
  REQUIRE(s.seen[100] == "later");
  REQUIRE(s.seen[101].empty());
  REQUIRE(s.result.calls == 0);
  s.reader->stop();
  s.require_end();
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader for_each: takes trains apart, and says who sent them")
{
  scene<TestType> s;
  bool same_sender = true;
  s.reader->async_for_each(
      [&](const dgram::datagram& datagram) {
        s.seen.emplace_back(datagram.payload().text());
        same_sender = same_sender && datagram.sender() == s.sender.local_endpoint();
      },
      test::record(s.result));
  test::send_train(s.sender, "aaaabbbbcc", 4, s.target);
  s.io.poll();
  REQUIRE(s.seen == texts{"aaaa", "bbbb", "cc"});
  REQUIRE(same_sender);
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader for_each: begins with what is in memory")
{
  scene<TestType> s;
  s.send_numbers(3);
  REQUIRE(s.next() == "0");
  REQUIRE(s.reader->remaining() == 2);
  s.start();
  s.io.restart();
  s.io.poll();
  REQUIRE(s.seen == texts{"1", "2"});
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: a stop inside the function is the end, and loses nothing")
{
  scene<TestType> s;
  s.send_numbers(4);
  s.start([&](const std::string& text) {
    if (text == "1") s.reader->stop();
  });
  s.require_end();
  REQUIRE(s.seen == texts{"0", "1"});
  REQUIRE(s.next() == "2");
  // Stopped for good: another one is handed nothing, and does not complete inside the call.
  s.result = {};
  s.start();
  REQUIRE(s.result.calls == 0);
  s.require_end();
  REQUIRE(s.seen.size() == 2);
  REQUIRE(s.next() == "3");
  REQUIRE(s.next() == "end");
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: a close is the end, while it waits and inside the function")
{
  const bool inside = GENERATE(false, true);
  scene<TestType> s;
  s.start([&](const std::string&) {
    if (inside) s.receiver->close();
  });
  s.io.poll();
  s.send_numbers(2);
  if (!inside) s.receiver->close();
  s.require_end();
  REQUIRE(s.seen.size() == (inside ? 1 : 0));
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: a cancel ends it with an error, and keeps what is in memory")
{
  scene<TestType> s;
  s.send_numbers(3);
  s.start([&](const std::string& text) {
    if (text == "0") s.receiver->cancel();
  });
  s.require_end(aborted);
  REQUIRE(s.seen == texts{"0"});
  REQUIRE(s.next() == "1");
  s.result = {};
  s.start();
  s.io.restart();
  s.io.poll();
  REQUIRE(s.seen == texts{"0", "2"});
  s.receiver->cancel();
  s.require_end(aborted);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: a socket that was closed and opened again is another one")
{
  const bool inside = GENERATE(false, true);
  const test::reserved_port port;
  scene<TestType> s({}, port.number());
  const auto reopen = [&] {
    s.receiver->close();
    s.receiver->open(dgram::udp::v4());
    s.receiver->bind(s.target);
  };
  s.start([&](const std::string&) {
    if (inside) reopen();
  });
  s.io.poll();
  if (inside)
    s.send("first");
  else
    reopen();
  s.require_end(aborted);
  s.seen.clear();
  s.result = {};
  s.send("second");
  s.start([&](const std::string&) { s.reader->stop(); });
  s.require_end();
  REQUIRE(s.seen == texts{"second"});
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: works with a socket that is opened after the reader was made")
{
  const test::reserved_port port;
  scene<TestType> s({}, port.number());
  s.receiver->close();
  s.receiver->open(dgram::udp::v4());
  s.receiver->bind(s.target);
  s.start([&](const std::string&) { s.reader->stop(); });
  s.send("x");
  s.require_end();
  REQUIRE(s.seen == texts{"x"});
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: reader and socket may go, from inside the function too")
{
  const bool inside = GENERATE(false, true);
  const bool the_reader = GENERATE(false, true);
  scene<TestType> s;
  const auto end = [&] {
    if (the_reader)
      s.reader.reset();
    else
      s.receiver.reset();
  };
  s.start([&](const std::string&) {
    if (inside) end();
  });
  s.io.poll();
  if (inside)
    s.send_numbers(2);
  else
    end();
  s.require_end();
  REQUIRE(s.seen.size() == (inside ? 1 : 0));
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader for_each: goes on when reader and socket are moved")
{
  scene<TestType> s;
  s.start();
  s.io.poll();
  test::reader_of<TestType> moved(std::move(*s.reader));
  s.reader.reset();
  TestType socket(std::move(*s.receiver));
  s.receiver.reset();
  s.send("moved");
  s.io.poll();
  REQUIRE(s.seen == texts{"moved"});
  moved.stop();
  s.require_end();
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader for_each: a flood starves nobody")
{
  scene<TestType> s({.slots = 4, .yield_after = 16});
  s.send_numbers(100);
  std::optional<std::size_t> fired;
  s.start([&](const std::string& text) {
    if (text == "0") asio::post(s.io, [&] { fired = s.seen.size(); });
  });
  s.io.poll();
  REQUIRE(s.seen.size() == 100);
  REQUIRE(fired);
  REQUIRE(*fired >= 4);  // and not 16, on a slow machine
  REQUIRE(*fired <= 16 + 4);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: a slow function holds up other handlers for two batches")
{
  scene<TestType> s({.slots = 4, .yield_after = 10'000});
  s.send_numbers(40);
  std::optional<std::size_t> fired;
  s.start([&](const std::string& text) {
    if (text == "0") asio::post(s.io, [&] { fired = s.seen.size(); });
    std::this_thread::sleep_for(std::chrono::microseconds(30));
  });
  s.io.poll();
  REQUIRE(s.seen.size() == 40);
  REQUIRE(fired);
  REQUIRE(*fired <= 8);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: what the function throws leaves run, and the rest comes afterwards")
{
  scene<TestType> s;
  s.send_numbers(4);
  s.start([&](const std::string& text) {
    if (text == "1" || text == "3") throw std::runtime_error(text);
  });
  texts thrown;
  const auto run = [&] {
    try {
      s.io.restart();
      s.io.poll();
      return false;
    } catch (const std::runtime_error& failure) {
      thrown.emplace_back(failure.what());
      return true;
    }
  };
  REQUIRE(run());
  REQUIRE(s.seen == texts{"0", "1"});
  REQUIRE(run());
  REQUIRE_FALSE(run());
  REQUIRE(thrown == texts{"1", "3"});
  REQUIRE(s.seen == texts{"0", "1", "2", "3"});
  REQUIRE(s.result.calls == 0);
  s.reader->stop();
  s.require_end();
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader for_each: a function that throws may have stopped it before")
{
  scene<TestType> s;
  s.send_numbers(2);
  s.start([&](const std::string& text) {
    s.reader->stop();
    throw std::runtime_error(text);
  });
  REQUIRE_THROWS_AS(s.io.run(), std::runtime_error);
  s.require_end();
  REQUIRE(s.seen == texts{"0"});
}

DGRAM_EACH_TRANSPORT_TEST_CASE("reader for_each: the answers of a batch leave as one batch")
{
  scene<TestType> s;
  dgram::writer writer{*s.reader};
  s.start([&](const std::string& text) { writer.try_send(text, s.sender.local_endpoint()); });
  s.io.poll();
  s.send_numbers(20);
  s.io.poll();
  REQUIRE(s.seen.size() == 20);
  REQUIRE(writer.statistics().sent == 20);
  const auto counts = s.receiver->statistics();
  REQUIRE(counts.send_calls == 1);
  REQUIRE(counts.sent == 20);
  dgram::receive_batch answers{32};
  REQUIRE(s.sender.try_receive_batch(answers) == 20);
  std::size_t number = 0;
  for (const dgram::datagram& answer : answers)
    REQUIRE(answer.payload().text() == std::to_string(number++));
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: what was sent before the last datagram of a batch leaves with its end")
{
  scene<TestType> s;
  dgram::writer writer{*s.reader};
  s.start([&](const std::string& text) {
    if (text != "9") writer.try_send(text, s.sender.local_endpoint());
  });
  s.io.poll();
  s.send_numbers(10);
  s.io.poll_one();
  REQUIRE(s.seen.size() == 10);
  REQUIRE(writer.statistics().sent == 9);
  REQUIRE(s.receiver->statistics().send_calls == 1);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: its function and the handler may be moved only, and the function goes first")
{
  scene<TestType> s;
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> alive = held;
  bool gone = false;
  s.send("x");
  s.reader->async_for_each([&s, kept = std::make_unique<int>(1),
                            held = std::move(held)](dgram::datagram) { s.reader->stop(); },
                           test::move_only([&](dgram::error_code) { gone = alive.expired(); }));
  test::run(s.io);
  REQUIRE(gone);
}

TEST_CASE("reader for_each: behind a shutdown it does not spin")
{
  scene<> s;
  s.receiver->connect(s.sender.local_endpoint());
  s.receiver->shutdown(asio::socket_base::shutdown_receive);
  s.start();
  int wake_ups = 0;
  const auto until = std::chrono::steady_clock::now() + test::milliseconds(300);
  while (std::chrono::steady_clock::now() < until)
    wake_ups += static_cast<int>(s.io.run_one_for(test::milliseconds(10)));
  REQUIRE(s.result.calls == 0);
  REQUIRE(wake_ups < 60);  // thousands, if it spun
  s.reader->stop();
  s.require_end();
}

TEST_CASE("reader for_each: reports an error of the socket")
{
  scene<> s;
  s.receiver->connect(test::dead_endpoint());
  s.start();
  s.io.poll();
  s.receiver->send(asio::buffer("x", 1));
  s.require_end(asio::error::connection_refused);
  // The socket stays usable.
  s.result = {};
  s.start();
  s.io.restart();
  s.io.poll();
  REQUIRE(s.result.calls == 0);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "reader for_each: a destroyed context destroys it, and a reader that its function owns")
{
  std::weak_ptr<test::reader_of<TestType>> alive;
  bool called = false;
  {
    asio::io_context io;
    TestType receiver{io, test::loopback_v4()};
    auto reader = std::make_shared<test::reader_of<TestType>>(receiver);
    alive = reader;
    reader->async_for_each([reader](const dgram::datagram&) {},
                           [&](dgram::error_code) { called = true; });
    reader.reset();
    io.poll();
    REQUIRE_FALSE(alive.expired());
  }
  REQUIRE(alive.expired());
  REQUIRE_FALSE(called);
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("reader for_each: works for Unix datagrams")
{
  asio::io_context io;
  dgram::unix_dgram::socket receiver{io, dgram::unix_dgram{}};
  receiver.bind({});
  dgram::unix_dgram::socket sender{io, dgram::unix_dgram{}};
  sender.send_to(asio::buffer("unix", 4), receiver.local_endpoint());
  dgram::reader reader{receiver};
  std::string seen;
  test::outcome result;
  reader.async_for_each(
      [&](const dgram::unix_dgram::datagram& datagram) {
        seen = datagram.payload().text();
        reader.stop();
      },
      test::record(result));
  test::run(io);
  REQUIRE(seen == "unix");
  REQUIRE(result.calls == 1);
  REQUIRE_FALSE(result.ec);
}

#endif

TEST_CASE("a signal that outlives the context keeps nothing of the reader", "[reader]")
{
  asio::cancellation_signal signal;
  std::weak_ptr<int> held;
  {
    asio::io_context io;
    dgram::udp::socket socket(asio::make_strand(io), test::loopback_v4());
    dgram::reader reader{socket};
    auto token = std::make_shared<int>();
    held = token;
    reader.async_for_each([token](const dgram::datagram&) {},
                          asio::bind_cancellation_slot(signal.slot(), [](dgram::error_code) {}));
    token.reset();
    io.poll();
    CHECK_FALSE(held.expired());
  }
  CHECK(held.expired());
  signal.emit(asio::cancellation_type::total);
}

}  // namespace reader_for_each_test
