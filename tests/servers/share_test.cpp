// SPDX-License-Identifier: BSL-1.0
// The queue that the sessions of a listener share: no session keeps the others from sending.
#include "servers/world.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace share_test {

using namespace servers;

namespace {

constexpr std::size_t queue_size = 128;

}  // namespace

TEST_CASE("a session that sends without an end leaves room for the others", "[servers]")
{
  const std::size_t size = GENERATE(std::size_t{1}, std::size_t{1200});
  world w({.amplification = 0, .queue = {.datagrams = queue_size, .bytes = queue_size * 1200}});
  std::vector<session> all;
  for (std::size_t i = 0; i < 4; ++i)
    all.push_back(w.accept_from(i));
  w.net.pause("10.0.0.1");
  const std::string payload(size, 'x');
  std::size_t taken = 0;
  error_code ec;
  while (all[0].try_send(payload, ec))
    ++taken;
  CHECK(ec == asio::error::would_block);
  CHECK(all[0].statistics().refused == 1);
  CHECK(w.counts().share_full == 1);
  // Half of the queue, and a sixteenth, beside what the host itself takes.
  const std::size_t at_host = w.counts().sending.sent;
  CHECK(taken - at_host >= queue_size / 2);
  CHECK(taken - at_host <= queue_size * 5 / 8);
  for (std::size_t i = 1; i < 4; ++i)
    for (std::size_t count = 0; count < queue_size / 16; ++count)
      CHECK(all[i].try_send(payload));
  w.net.resume("10.0.0.1");
  w.run();
  CHECK(w.replies(0).size() == taken);
  CHECK(w.replies(1).size() == queue_size / 16);
  // The room is everyone's again.
  for (std::size_t count = 0; count < queue_size / 2; ++count)
    CHECK(all[1].try_send(payload));
}

TEST_CASE("each datagram of a train takes its part of a session's share", "[servers]")
{
  world w({.amplification = 0, .queue = {.datagrams = queue_size}});
  session greedy = w.accept_from(0);
  w.net.pause("10.0.0.1");
  error_code ec;
  while (w.counts().sending.queued <= queue_size / 2 && greedy.try_send("x", ec)) {}
  REQUIRE_FALSE(ec);
  const std::string train(7, 't');
  std::size_t trains = 0;
  while (greedy.try_send(train, {.segment_size = 1}, ec))
    ++trains;
  CHECK(ec == asio::error::would_block);
  CHECK(trains <= 1);
}

TEST_CASE("a queue of few bytes has a share for each session", "[servers]")
{
  const std::size_t bytes = GENERATE(std::size_t{1}, std::size_t{12}, std::size_t{17});
  world w({.amplification = 0, .queue = {.datagrams = 8, .bytes = bytes}});
  session first = w.accept_from(0);
  session second = w.accept_from(1);
  w.net.pause("10.0.0.1");
  for (int count = 0; count < 20; ++count) {
    first.try_send("x");
    second.try_send("y");
  }
  w.net.resume("10.0.0.1");
  w.run();
  CHECK_FALSE(w.replies(0).empty());
  if (bytes > 1) CHECK_FALSE(w.replies(1).empty());
}

TEST_CASE("sends beyond a session's share wait, and leave when there is room", "[servers]")
{
  const int form = GENERATE(0, 1, 2);
  CAPTURE(form);
  world w({.amplification = 0, .queue = {.datagrams = queue_size}});
  session greedy = w.accept_from(0);
  session modest = w.accept_from(1);
  w.net.pause("10.0.0.1");
  constexpr std::size_t number = 3 * queue_size;
  std::size_t sent = 0;
  const std::string text = "x";
  std::size_t ended = 0;
  std::size_t cancelled = 0;
  const auto note = [&](error_code ec) {
    if (!ec) ++sent;
    if (ec == dgram::error::session_ended) ++ended;
    if (ec == aborted) ++cancelled;
  };
  asio::cancellation_signal last;
  if (form == 0)
    for (std::size_t i = 1; i <= number; ++i) {
      const auto handler = [note](error_code ec, std::size_t) { note(ec); };
      if (i < number)
        greedy.async_send(asio::buffer(text), handler);
      else
        greedy.async_send(asio::buffer(text), asio::bind_cancellation_slot(last.slot(), handler));
    }
  const auto send_by = [&](auto& by) {
    const auto noted = [note](const std::exception_ptr& thrown) {
      try {
        if (thrown) std::rethrow_exception(thrown);
        note({});
      } catch (const dgram::system_error& failed) {
        note(failed.code());
      }
    };
    const auto send = [](auto& from) -> asio::awaitable<void> { co_await from.send("x"); };
    for (std::size_t i = 1; i < number; ++i)
      asio::co_spawn(w.io, send(by), noted);
    asio::co_spawn(w.io, send(by), asio::bind_cancellation_slot(last.slot(), noted));
  };
  auto reference = w.listener->find(greedy.id());
  if (form == 1) send_by(greedy);
  if (form == 2) send_by(reference);
  w.run(1ms);
  CHECK(sent < number);
  CHECK(w.counts().share_full > 0);
  for (std::size_t i = 0; i < queue_size / 16; ++i)
    CHECK(modest.try_send("y"));
  CHECK(greedy.statistics().refused == 0);
  SECTION("there is room")
  {
    w.net.resume("10.0.0.1");
    w.run();
    CHECK(sent == number);
    CHECK(w.replies(0).size() > 0);
    CHECK(w.replies(1).size() == queue_size / 16);
    CHECK(w.counts().sending.sent == number + queue_size / 16);
  }
  SECTION("the listener is closed")
  {
    w.listener->close();
    w.run();
    CHECK(ended > 0);
    CHECK(sent + ended == number);
  }
  SECTION("one is cancelled")
  {
    last.emit(asio::cancellation_type::terminal);
    w.run();
    CHECK(cancelled == 1);
    w.net.resume("10.0.0.1");
    w.run();
    CHECK(sent == number - 1);
  }
}

TEST_CASE("a queue that drops drops what is beyond a session's share", "[servers]")
{
  world w({.amplification = 0,
           .queue = {.datagrams = queue_size, .when_full = dgram::full_policy::drop_newest}});
  session greedy = w.accept_from(0);
  session modest = w.accept_from(1);
  w.net.pause("10.0.0.1");
  const bool by_coroutine = GENERATE(false, true);
  std::size_t sent = 0;
  constexpr std::size_t number = 3 * queue_size;
  for (std::size_t i = 0; i < number; ++i)
    if (by_coroutine)
      w.spawn([](auto& from, std::size_t& count) -> asio::awaitable<void> {
        co_await from.send("x");
        ++count;
      }(greedy, sent));
    else
      greedy.async_send(asio::buffer("x", 1), [&](error_code, std::size_t) { ++sent; });
  w.run(1ms);
  CHECK(sent == number);
  const auto counts = w.counts().sending;
  CHECK(counts.queued + counts.dropped == number);
  CHECK(counts.dropped >= number / 3);
  for (std::size_t i = 0; i < queue_size / 16; ++i)
    CHECK(modest.try_send("y"));
}

TEST_CASE("a send that is not queued takes nothing of its session's share", "[servers][F3]")
{
  enum class form { tried, handler, coroutine, reference, with_options };
  const form how =
      GENERATE(form::tried, form::handler, form::coroutine, form::reference, form::with_options);
  CAPTURE(static_cast<int>(how));
  // A datagram of 99 bytes takes a whole share, and eight of one byte do.
  world w({.amplification = 0, .queue = {.datagrams = queue_size, .bytes = 1600}});
  const std::string large(99, 'x');
  std::deque<session> fillers;
  for (std::size_t i = 0; i < 40; ++i)
    fillers.push_back(w.accept_from(i));
  session last = w.accept_from(40);
  w.net.pause("10.0.0.1");
  for (session& each : fillers)
    while (w.counts().share_full == 0 && each.try_send(large)) {}
  for (session& each : fillers)
    each.try_send(large);
  const auto share_full = w.counts().share_full;
  error_code said;
  const auto note = [&](error_code ec, auto&&...) { said = ec; };
  const auto note_thrown = [&](const std::exception_ptr& thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const dgram::system_error& failed) {
      said = failed.code();
    }
  };
  asio::cancellation_signal signal;
  const auto spawn = [&](asio::awaitable<void> sending) {
    asio::co_spawn(w.io, std::move(sending),
                   asio::bind_cancellation_slot(signal.slot(), note_thrown));
  };
  auto reference = w.listener->find(last.id());
  switch (how) {
  case form::tried: last.try_send(large, said); break;
  case form::handler:
    last.async_send(asio::buffer(large), asio::bind_cancellation_slot(signal.slot(), note));
    break;
  case form::coroutine: spawn(last.send(large)); break;
  case form::reference: spawn(reference.send(large)); break;
  case form::with_options: spawn(last.send(large, {.number = 7})); break;
  }
  w.run(1ms);
  signal.emit(asio::cancellation_type::terminal);
  w.run(1ms);
  CHECK(said == (how == form::tried ? error_code(asio::error::would_block) : aborted));
  for (int i = 0; i < 8; ++i)
    CHECK(last.try_send("x"));
  CHECK(w.counts().share_full == share_full);
}

}  // namespace share_test
