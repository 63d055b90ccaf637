// SPDX-License-Identifier: BSL-1.0
// When a reader's waits end, and how often its timer is armed, on a clock that the test moves.
#include <dgram/reader.hpp>

#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/memory_transport.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace lazy_deadline_test {

using namespace std::chrono_literals;

/// A clock that stands still until the test moves it, and the timers that wait for it.
struct moved_clock {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<moved_clock>;
  static time_point now() { return at; }

  struct waiter {
    asio::any_io_executor executor;
    time_point due;
    std::function<void(dgram::error_code)> handler;

    void complete(dgram::error_code ec)
    {
      asio::post(executor, [function = std::move(handler), ec] { function(ec); });
    }
  };

  static void start_anew()
  {
    at = time_point(1h);
    waiters.clear();
    armed = expired = 0;
    is_out_of_memory = false;
  }

  static void move(duration by)
  {
    at += by;
    for (auto each = waiters.begin(); each != waiters.end();) {
      if ((*each)->due > at) {
        ++each;
        continue;
      }
      ++expired;
      (*each)->complete({});
      each = waiters.erase(each);
    }
  }

  static inline time_point at{};
  static inline std::vector<std::shared_ptr<waiter>> waiters{};
  static inline std::size_t armed = 0;
  static inline std::size_t expired = 0;
  static inline bool is_out_of_memory = false;
};

class moved_timer {
public:
  using time_point = moved_clock::time_point;

  explicit moved_timer(const asio::any_io_executor& executor) : executor_(executor) {}
  moved_timer(const moved_timer&) = delete;
  moved_timer& operator=(const moved_timer&) = delete;
  ~moved_timer() { cancel(); }

  void expires_at(time_point due)
  {
    cancel();
    due_ = due;
  }
  void expires_after(moved_clock::duration wait) { expires_at(moved_clock::now() + wait); }

  template <class Token>
  auto async_wait(Token&& token)
  {
    return asio::async_initiate<Token, void(dgram::error_code)>(start{this}, token);
  }

  void cancel()
  {
    if (std::erase(moved_clock::waiters, current_) > 0)
      current_->complete(asio::error::operation_aborted);
    current_.reset();
  }

private:
  struct start {
    moved_timer* self;

    template <class Handler>
    void operator()(Handler handler) const
    {
      if (moved_clock::is_out_of_memory) throw std::bad_alloc();
      ++moved_clock::armed;
      self->current_ = std::make_shared<moved_clock::waiter>(self->executor_, self->due_, handler);
      moved_clock::waiters.push_back(self->current_);
      moved_clock::move(0us);
    }
  };

  asio::any_io_executor executor_;
  time_point due_{};
  std::shared_ptr<moved_clock::waiter> current_;
};

struct moved_handle : test::memory::handle {
  explicit moved_handle(const test::memory::handle& plain) : test::memory::handle(plain) {}
  using clock_type = moved_clock;
  using timer_type = moved_timer;
};

struct moved_socket {
  test::memory_socket& socket;
  moved_handle handle() { return moved_handle(socket.handle()); }
};

struct scene {
  scene() { moved_clock::start_anew(); }

  asio::io_context io;
  test::memory_socket socket{io, test::loopback_v4()};
  test::memory_socket peer{io, test::loopback_v4()};
  moved_socket moved{socket};
  dgram::reader<dgram::udp, asio::any_io_executor, asio::any_io_executor, moved_handle> reader{
      moved};
  std::size_t handlers = 0;

  void send() { peer.send_to(asio::buffer("x", 1), socket.local_endpoint()); }

  void settle()
  {
    io.restart();
    handlers += io.poll();
  }
};

/// One call of the reader with a deadline, and how it ended.
struct waiting {
  std::optional<dgram::error_code> result;
  std::size_t datagrams = 0;
};

asio::awaitable<void> wait_until(scene& s, moved_clock::time_point deadline, waiting& out)
{
  dgram::error_code ec;
  const auto batch = co_await s.reader.next_batch_until(deadline, ec);
  out.datagrams = batch.size();
  out.result = ec;
}

void begin(scene& s, moved_clock::time_point deadline, waiting& out)
{
  out = {};
  asio::co_spawn(s.io, wait_until(s, deadline, out), asio::detached);
  s.settle();
}

/// A coroutine that waits with a new deadline after each batch.
asio::awaitable<void> serve(scene& s, std::optional<moved_clock::duration> patience,
                            std::size_t& batches)
{
  for (;;) {
    dgram::error_code ec;
    const auto batch = patience
                           ? co_await s.reader.next_batch_until(moved_clock::now() + *patience, ec)
                           : co_await s.reader.next_batch(ec);
    if (ec || batch.empty()) co_return;
    ++batches;
  }
}

TEST_CASE("a busy server arms its timer once in a while, not once a batch")
{
  const auto patience =
      GENERATE(moved_clock::duration(4ms), moved_clock::duration(25ms), moved_clock::duration(1h));
  CAPTURE(patience.count());
  constexpr std::size_t most = 1000;
  const auto handlers_with = [&](std::optional<moved_clock::duration> wait) {
    scene s;
    std::size_t batches = 0;
    asio::co_spawn(s.io, serve(s, wait, batches), asio::detached);
    s.settle();
    for (std::size_t i = 0; i < most; ++i) {
      moved_clock::move(100us);
      s.send();
      s.settle();
    }
    CHECK(batches == most);
    s.reader.stop();
    s.settle();
    CHECK(moved_clock::waiters.empty());
    return s.handlers;
  };
  const std::size_t plain = handlers_with(std::nullopt);
  CHECK(moved_clock::armed == 0);
  const std::size_t timed = handlers_with(patience);
  // The loop lasts 100 ms, in which a timer of 4 or 10 ms can expire 25 times.
  CHECK(moved_clock::armed <= 27);
  CHECK(timed <= plain + 2 * moved_clock::armed);
}

TEST_CASE("waits that are longer than the timer stays armed wake up once")
{
  scene s;
  std::size_t batches = 0;
  asio::co_spawn(s.io, serve(s, 1h, batches), asio::detached);
  s.settle();
  for (int i = 0; i < 100; ++i) {
    for (int step = 0; step < 10; ++step) {
      moved_clock::move(10ms);
      s.settle();
    }
    s.send();
    s.settle();
  }
  CHECK(batches == 100);
  CHECK(moved_clock::expired == 0);
  CHECK(moved_clock::armed <= 101);
}

TEST_CASE("a timer that stays armed ends only the waits whose deadline it is")
{
  scene s;
  waiting one;
  begin(s, moved_clock::now() + 8ms, one);
  s.send();
  s.settle();
  REQUIRE(one.datagrams == 1);
  REQUIRE(moved_clock::waiters.size() == 1);

  SECTION("a later deadline")
  {
    begin(s, moved_clock::now() + 20ms, one);
    moved_clock::move(8ms);
    s.settle();
    CHECK_FALSE(one.result);
    moved_clock::move(11999us);
    s.settle();
    CHECK_FALSE(one.result);
    moved_clock::move(1us);
    s.settle();
    CHECK(one.result == dgram::error_code(asio::error::timed_out));
  }
  SECTION("an earlier deadline")
  {
    begin(s, moved_clock::now() + 2ms, one);
    moved_clock::move(1ms);
    s.settle();
    CHECK_FALSE(one.result);
    moved_clock::move(1ms);
    s.settle();
    CHECK(one.result == dgram::error_code(asio::error::timed_out));
  }
  SECTION("no deadline")
  {
    const bool at_end_of_clock = GENERATE(false, true);
    std::size_t batches = 0;
    if (at_end_of_clock)
      begin(s, moved_clock::time_point::max(), one);
    else
      asio::co_spawn(s.io, serve(s, std::nullopt, batches), asio::detached);
    for (int i = 0; i < 100; ++i) {
      moved_clock::move(1h);
      s.settle();
    }
    CHECK(moved_clock::armed == 1);
    s.send();
    s.settle();
    CHECK(batches + one.datagrams == (at_end_of_clock ? 1 : 2));
  }
  SECTION("the reader is stopped")
  {
    s.reader.stop();
    CHECK(moved_clock::waiters.empty());
  }
}

TEST_CASE("a wait whose timer cannot be armed again ends with no_memory")
{
  scene s;
  waiting one;
  begin(s, moved_clock::now() + 8ms, one);
  s.send();
  s.settle();
  begin(s, moved_clock::now() + 20ms, one);
  moved_clock::is_out_of_memory = true;
  moved_clock::move(8ms);
  s.settle();
  CHECK(one.result == dgram::error_code(asio::error::no_memory));
  moved_clock::is_out_of_memory = false;
  begin(s, moved_clock::now() + 20ms, one);
  s.send();
  s.settle();
  CHECK(one.datagrams == 1);
}

TEST_CASE("waits end at their deadlines and with datagrams, in any order")
{
  scene s;
  std::mt19937 random(GENERATE(1U, 2U, 3U));
  const auto up_to = [&](unsigned most) { return static_cast<int>(random() % (most + 1)); };
  for (int round = 0; round < 3000; ++round) {
    CAPTURE(round);
    // Past, near, and far.
    const auto scale = std::vector<moved_clock::duration>{100us, 3ms, 15ms, 1s}[random() % 4];
    const auto deadline = moved_clock::now() + scale * (up_to(20) - 1) / 10;
    waiting one;
    begin(s, deadline, one);
    bool is_sent = false;
    while (!one.result) {
      REQUIRE(moved_clock::now() < deadline);
      moved_clock::move(scale * up_to(10) / 20 + 1us);
      if (up_to(3) == 0) {
        // What comes at the deadline or later stays for the next wait.
        is_sent = moved_clock::now() < deadline;
        if (is_sent) s.send();
      }
      s.settle();
      REQUIRE(one.result.has_value() == (is_sent || moved_clock::now() >= deadline));
    }
    REQUIRE(one.datagrams == (is_sent ? 1U : 0U));
    REQUIRE(*one.result == (is_sent ? dgram::error_code() : asio::error::timed_out));
    if (up_to(5) == 0) moved_clock::move(scale);
  }
}

TEST_CASE("a reader that has waited with a deadline does not keep the context running until then")
{
  asio::io_context io;
  dgram::udp::socket socket(io, test::loopback_v4());
  dgram::udp::socket peer(io, test::loopback_v4());
  dgram::reader reader{socket};
  const bool is_alone = GENERATE(true, false);
  test::run(io, [&]() -> asio::awaitable<void> {
    for (int i = 0; i < (is_alone ? 1 : 20); ++i) {
      asio::post(io, [&] { peer.send_to(asio::buffer("x", 1), socket.local_endpoint()); });
      const auto batch = co_await reader.next_batch_until(std::chrono::steady_clock::now() + 1h);
      REQUIRE(batch.size() == 1);
    }
  }());
}

}  // namespace lazy_deadline_test
