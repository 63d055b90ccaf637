// SPDX-License-Identifier: BSL-1.0
// Deadlines and idle times of single calls and sessions, and late datagrams of closed sessions.
#include "servers/world.hpp"

#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <optional>
#include <string>
#include <utility>

namespace times_test {

using namespace servers;
using Catch::Matchers::ContainsSubstring;

namespace {

const error_code timed_out = asio::error::timed_out;
const error_code started = asio::error::already_started;

std::string text_of(const std::optional<dgram::datagram>& datagram)
{
  return datagram ? std::string(datagram->payload().text()) : "nothing";
}

}  // namespace

TEST_CASE("accept_for returns a session, or nothing after the time, and the listener goes on",
          "[servers]")
{
  world w;
  bool is_done = false;
  w.spawn([](world& on, bool& done) -> asio::awaitable<void> {
    error_code ec;
    auto got = co_await on.listener->accept_for(1s, ec);
    CHECK_FALSE(got);
    CHECK(ec == timed_out);
    got = co_await on.listener->accept_for(1s);
    CHECK_FALSE(got);
    CHECK_FALSE(on.listener->is_stopped());
    got = co_await on.listener->accept_for(-1s);
    CHECK_FALSE(got);
    on.send("in time");
    got = co_await on.listener->accept_until(sim::clock::now() + 1s, ec);
    CHECK_FALSE(ec);
    REQUIRE(got);
    CHECK(drain(*got) == texts{"in time"});
    on.send("later", 1);
    got = co_await on.listener->accept();
    REQUIRE(got);
    on.listener->stop();
    got = co_await on.listener->accept_for(1s);
    CHECK_FALSE(got);
    CHECK(on.listener->is_stopped());
    done = true;
  }(w, is_done));
  w.run(10s);
  CHECK(is_done);
  require_balance(*w.listener);
}

TEST_CASE("accept_for reports a cancellation, and outlives its listener", "[servers]")
{
  world w;
  std::optional<error_code> said;
  bool threw = false;
  const bool throws = GENERATE(false, true);
  w.spawn([](world& on, bool by_throw, auto& note, bool& thrown) -> asio::awaitable<void> {
    error_code ec;
    try {
      auto got = by_throw ? co_await on.listener->accept_for(1h)
                          : co_await on.listener->accept_for(1h, ec);
      CHECK_FALSE(got);
    } catch (const dgram::system_error& e) {
      thrown = true;
      ec = e.code();
    }
    note = ec;
  }(w, throws, said, threw));
  w.run();
  SECTION("cancel")
  {
    w.listener->cancel();
    w.run();
    CHECK(said == aborted);
    CHECK(threw == throws);
  }
  SECTION("move and destroy")
  {
    std::optional<listener_type> moved(std::move(*w.listener));
    w.listener.reset();
    moved.reset();
    w.run();
    CHECK(said == error_code());
  }
}

TEST_CASE("a second call with a deadline fails, and the first one still ends at its own",
          "[servers]")
{
  world w;
  const bool is_accept = GENERATE(false, true);
  const bool second_has_deadline = GENERATE(false, true);
  CAPTURE(is_accept, second_has_deadline);
  session peer = w.accept_from(0);
  drain(peer);
  error_code first;
  error_code second;
  int ended = 0;
  const auto call = [](world& on, session& of, bool accepts, bool has_deadline, error_code& ec,
                       int& count) -> asio::awaitable<void> {
    if (accepts && has_deadline) co_await on.listener->accept_for(5s, ec);
    if (accepts && !has_deadline)
      co_await on.listener->async_accept(asio::redirect_error(asio::use_awaitable, ec));
    if (!accepts && has_deadline) co_await of.next_for(5s, ec);
    if (!accepts && !has_deadline) co_await of.next(ec);
    ++count;
  };
  w.spawn(call(w, peer, is_accept, true, first, ended));
  w.run(1s);
  w.spawn(call(w, peer, is_accept, second_has_deadline, second, ended));
  w.run(1s);
  CHECK(ended == 1);
  CHECK(second == started);
  w.run(2s);
  CHECK(ended == 1);
  w.run(2s);
  CHECK(ended == 2);
  CHECK(first == timed_out);
}

TEST_CASE("a cancelled call leaves the deadline of the call after it", "[servers]")
{
  world w;
  const bool is_accept = GENERATE(false, true);
  CAPTURE(is_accept);
  session peer = w.accept_from(0);
  drain(peer);
  error_code first;
  error_code second;
  const auto call = [](world& on, session& of, bool accepts, std::chrono::seconds time,
                       error_code& ec) -> asio::awaitable<void> {
    if (accepts)
      co_await on.listener->accept_for(time, ec);
    else
      co_await of.next_for(time, ec);
  };
  asio::cancellation_signal stop;
  asio::co_spawn(w.io, call(w, peer, is_accept, 60s, first),
                 asio::bind_cancellation_slot(stop.slot(), [](const std::exception_ptr&) {}));
  w.run(1s);
  // The second call begins when the wait of the first one has ended, and before that one resumes.
  w.spawn(call(w, peer, is_accept, 5s, second));
  stop.emit(asio::cancellation_type::terminal);
  w.run(6s);
  CHECK(first == aborted);
  CHECK(second == timed_out);
}

TEST_CASE("a session may have an idle timeout of its own", "[servers]")
{
  world w({.idle_timeout = 10s});
  session usual = w.accept_from(0);
  session chosen = w.accept_from(1);
  const bool by_reference = GENERATE(false, true);
  const auto own = GENERATE(sim::clock::duration(2s), 9s, 60s, 1000s);
  if (by_reference)
    w.listener->find(chosen.id()).set_idle_timeout(own);
  else
    chosen.set_idle_timeout(own);
  w.run(own - 1s);
  CHECK(chosen.is_open());
  CHECK(usual.is_open() == (own < 10s));
  w.run(2s);
  CHECK(chosen.ended() == session_end::idle);
  w.run(10s);
  CHECK(usual.ended() == session_end::idle);
  chosen.set_idle_timeout(1s);
  CHECK_THROWS_WITH(chosen.set_idle_timeout(0s), ContainsSubstring("timeout: 0 ns"));
}

TEST_CASE("a new session ends in time beside one with a long idle timeout", "[servers]")
{
  world w({.idle_timeout = 10s});
  session patient = w.accept_from(0);
  patient.set_idle_timeout(10h);
  w.run(100s);
  session usual = w.accept_from(1);
  w.run(9s);
  CHECK(usual.is_open());
  w.run(2s);
  CHECK(usual.ended() == session_end::idle);
  CHECK(patient.is_open());
}

TEST_CASE("a touch keeps a silent session", "[servers]")
{
  world w({.idle_timeout = 10s});
  session peer = w.accept_from(0);
  const bool by_reference = GENERATE(false, true);
  for (int i = 0; i < 5; ++i) {
    w.run(9s);
    if (by_reference)
      w.listener->find(peer.id()).touch();
    else
      peer.touch();
  }
  CHECK(peer.is_open());
  w.run(11s);
  CHECK(peer.ended() == session_end::idle);
  peer.touch();
}

TEST_CASE("late datagrams of a closed session make no session for the time, and are counted",
          "[servers]")
{
  world w({.ignore_for = 5s});
  int strangers = 0;
  w.listener->on_stranger([&](const dgram::datagram&, dgram::stranger&) {
    ++strangers;
    return true;
  });
  const int how = GENERATE(0, 1, 2);
  std::optional<session> peer = w.accept_from(0);
  if (how == 0) peer.reset();
  if (how == 1) peer->close();
  if (how == 2) w.listener->find(peer->id()).close();
  w.send("late");
  w.run(1s);
  w.send("later");
  w.send("other", 1);
  w.run(3s);
  CHECK(w.counts().ignored == 2);
  CHECK(w.counts().created == 2);
  CHECK(strangers == 2);
  require_balance(*w.listener);
  w.run(2s);
  w.send("a new conversation");
  w.run();
  CHECK(w.counts().ignored == 2);
  CHECK(w.counts().created == 3);
  require_balance(*w.listener);
}

TEST_CASE("a coroutine that returns in the middle of a batch is not begun again by the rest of it",
          "[servers]")
{
  const bool ignores = GENERATE(false, true);
  world w({.ignore_for = ignores ? sim::clock::duration(10s) : 0s});
  int calls = 0;
  w.spawn([](world& on, int& count) -> asio::awaitable<void> {
    co_await on.listener->serve([&](session own) -> asio::awaitable<void> {
      ++count;
      co_await own.next();
    });
  }(w, calls));
  w.run(1ms);
  for (int i = 0; i < 4; ++i) {
    w.send("x");
    w.run(10ms);
  }
  CHECK(calls == (ignores ? 1 : 4));
  CHECK(w.counts().ignored == (ignores ? 3 : 0));
  require_balance(*w.listener);
}

TEST_CASE("only a closed session is ignored: an idle or evicted peer may come again", "[servers]")
{
  world w({.idle_timeout = 5s,
           .max_sessions = 1,
           .when_full = dgram::sessions_full::evict_idlest,
           .ignore_for = 1h});
  session first = w.accept_from(0);
  session second = w.accept_from(1);
  CHECK(first.ended() == session_end::evicted);
  w.run(10s);
  CHECK(second.ended() == session_end::idle);
  CHECK(w.accept_from(0).is_open());
  CHECK(w.counts().ignored == 0);
}

TEST_CASE("a negative time to ignore for is refused, and the text names it", "[servers]")
{
  CHECK_THROWS_WITH(world({.ignore_for = -1ns}), ContainsSubstring("ignore_for: -1 ns"));
}

TEST_CASE("on_failure may take the id of the session that has thrown", "[servers]")
{
  world w;
  std::optional<dgram::session_id> failed;
  std::optional<dgram::session_id> threw;
  w.listener->on_failure([&](dgram::session_id id, const std::exception_ptr& thrown) {
    failed = id;
    CHECK(thrown);
    CHECK_FALSE(w.listener->find(id));
  });
  w.spawn([](world& on, auto& who) -> asio::awaitable<void> {
    co_await on.listener->serve([&](session own) -> asio::awaitable<void> {
      const auto datagram = co_await own.next();
      if (text_of(datagram) != "throw") co_return;
      who = own.id();
      throw std::runtime_error("broken");
    });
  }(w, threw));
  w.run(1ms);
  w.send("fine", 0);
  w.send("throw", 1);
  w.run();
  REQUIRE(threw);
  CHECK(failed == threw);
  w.listener->on_failure({});
  w.send("throw", 2);
  CHECK_THROWS_AS(w.run(), std::runtime_error);
}

}  // namespace times_test
