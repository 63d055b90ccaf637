// SPDX-License-Identifier: BSL-1.0
// Readers and writers on a transport that is no socket: what they ask of its handle, and what they do with its answers.
#include <dgram/transport.hpp>

#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/memory_transport.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace transport_test {

using namespace std::chrono_literals;

namespace {

using strings = std::vector<std::string>;

/// A clock that stands still until a test moves it.
struct slow_clock {
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<slow_clock>;
  static inline time_point at{};
  static time_point now() { return at; }
};

/// A transport like that of the tests, which goes by that clock.
struct slow_handle : test::memory::handle {
  explicit slow_handle(const test::memory::handle& plain) : test::memory::handle(plain) {}
  using clock_type = slow_clock;

  struct wait_traits {
    static slow_clock::duration to_wait_duration(const slow_clock::duration& left)
    {
      return left > slow_clock::duration::zero() ? 1ms : 0ms;
    }
    static slow_clock::duration to_wait_duration(const slow_clock::time_point& at)
    {
      return to_wait_duration(at - slow_clock::now());
    }
  };
  using timer_type = asio::basic_waitable_timer<slow_clock, wait_traits, asio::any_io_executor>;
};

struct slow_socket {
  test::memory_socket& socket;

  slow_handle handle() { return slow_handle(socket.handle()); }
};

static_assert(dgram::transport_handle<slow_handle>);
static_assert(dgram::transport_with_handle<dgram::udp::socket>);
static_assert(!dgram::transport_with_handle<asio::ip::udp::socket>);
static_assert(std::is_same_v<dgram::udp::reader, test::reader_of<dgram::udp::socket>>);
static_assert(std::is_same_v<dgram::udp::writer, test::writer_of<dgram::udp::socket>>);
static_assert(
    std::is_same_v<dgram::udp::reader,
                   decltype(dgram::reader{std::declval<dgram::udp::socket&>().handle()})>);
static_assert(std::is_same_v<dgram::udp::datagram, dgram::datagram>);
#if DGRAM_HAS_UNIX_DATAGRAMS
static_assert(
    std::is_same_v<dgram::unix_dgram::reader, test::reader_of<dgram::unix_dgram::socket>>);
static_assert(
    std::is_same_v<dgram::unix_dgram::writer, test::writer_of<dgram::unix_dgram::socket>>);
#endif

struct scene {
  asio::io_context io;
  test::memory_socket socket{io, test::loopback_v4()};
  test::memory_socket peer{io, test::loopback_v4()};

  strings arrived()
  {
    strings texts;
    dgram::receive_batch batch{64};
    while (peer.try_receive_batch(batch) > 0)
      for (const dgram::datagram& datagram : batch)
        texts.emplace_back(datagram.payload().text());
    return texts;
  }
};

}  // namespace

TEST_CASE("a reader's deadline goes by the clock of its transport")
{
  scene s;
  slow_socket slow{s.socket};
  dgram::reader reader{slow};
  static_assert(std::is_same_v<decltype(reader)::clock_type, slow_clock>);
  std::optional<dgram::error_code> outcome;
  asio::co_spawn(
      s.io,
      [&]() -> asio::awaitable<void> {
        dgram::error_code ec;
        co_await reader.next_for(500ms, ec);
        outcome = ec;
      },
      asio::detached);
  s.io.run_for(30ms);
  CHECK_FALSE(outcome);  // half a second of that clock has not passed, however long this took
  slow_clock::at += 500ms;
  test::run(s.io);
  CHECK(outcome == dgram::error_code(asio::error::timed_out));
}

TEST_CASE("a batch of trains is handed over whole, unless the function is slow")
{
  const bool is_slow = GENERATE(false, true);
  scene s;
  slow_socket slow{s.socket};
  dgram::reader reader{slow, {.yield_after = 1000}};
  test::send_train(s.peer, std::string(200, 'x'), 1, s.socket.local_endpoint());
  test::send_train(s.peer, std::string(100, 'x'), 1, s.socket.local_endpoint());
  std::size_t seen = 0;
  reader.async_for_each(
      [&](const dgram::datagram&) {
        ++seen;
        if (is_slow) slow_clock::at += slow_clock::duration(1);
      },
      [](dgram::error_code) {});
  std::size_t most = 0;  // in one handler
  while (seen < 300) {
    const std::size_t before = seen;
    s.io.restart();
    REQUIRE(s.io.run_one_for(10s) == 1);
    most = std::max(most, seen - before);
  }
  CHECK(seen == 300);
  CHECK(most == (is_slow ? 32 : 300));
}

TEST_CASE("a writer whose transport takes nothing waits for it, and loses nothing")
{
  const dgram::error_code why = GENERATE(dgram::error_code(asio::error::would_block),
                                         dgram::error_code(asio::error::no_buffer_space));
  scene s;
  dgram::reader reader{s.socket};
  dgram::writer writer{reader, {.datagrams = 2}};
  s.socket.fail_sends(why);
  std::size_t queued = 0;
  asio::co_spawn(
      s.io,
      [&]() -> asio::awaitable<void> {
        for (const char* text : {"one", "two", "three", "four"}) {
          co_await writer.send(text, s.peer.local_endpoint());
          ++queued;
        }
        co_await writer.flush();
      },
      asio::detached);
  s.io.poll();
  CHECK(queued == 2);
  CHECK(s.arrived().empty());
  s.socket.fail_sends({});
  test::run(s.io);
  CHECK(queued == 4);
  CHECK(s.arrived() == strings{"one", "two", "three", "four"});
  CHECK(writer.statistics().sent == 4);
  CHECK(writer.statistics().lost == 0);
}

TEST_CASE("a writer whose transport is closed or cancelled while it waits loses what is queued")
{
  const bool close = GENERATE(false, true);
  scene s;
  dgram::reader reader{s.socket};
  dgram::writer writer{reader};
  std::vector<dgram::error_code> errors;
  writer.on_error(
      [&](dgram::error_code ec, const test::endpoint&, std::size_t) { errors.push_back(ec); });
  s.socket.fail_sends(asio::error::would_block);
  CHECK(writer.try_send("lost", s.peer.local_endpoint()));
  s.io.poll();
  if (close)
    s.socket.close();
  else
    s.socket.cancel();
  test::run(s.io);
  CHECK(errors == std::vector<dgram::error_code>{asio::error::operation_aborted});
  CHECK(writer.statistics().lost == 1);
  s.socket.fail_sends({});
  CHECK(s.arrived().empty());
}

TEST_CASE("an echo server runs on a transport that is no socket")
{
  scene s;
  const auto target = s.socket.local_endpoint();
  asio::co_spawn(
      s.io,
      [&]() -> asio::awaitable<void> {
        dgram::reader reader{s.socket};
        dgram::writer writer{reader};
        while (auto datagram = co_await reader.next())
          co_await writer.send(datagram->payload(), datagram->reply_path());
      },
      asio::detached);
  strings expected;
  for (int i = 0; i < 100; ++i) {
    expected.push_back(std::to_string(i));
    s.peer.send_to(asio::buffer(expected.back()), target);
    if (i % 7 == 0) s.io.poll();
  }
  s.io.poll();
  CHECK(s.arrived() == expected);
  CHECK(s.socket.statistics().send_calls < 30);
  s.socket.close();
  test::run(s.io);
}

}  // namespace transport_test
