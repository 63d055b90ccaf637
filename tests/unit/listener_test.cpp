// SPDX-License-Identifier: BSL-1.0
// A listener and its sessions on a simulated network: forms, limits, ends, cancellation, account.
#include <dgram/listener.hpp>

#include "support/asio.hpp"
#include "support/listener_account.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace listener_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;

namespace {

using texts = std::vector<std::string>;
using dgram::error_code;
using dgram::session_end;
using listener_type = decltype(dgram::listener(std::declval<sim::socket&>()));
using session = listener_type::session_type;
using session_ref = listener_type::session_ref_type;
using ends = std::vector<session_end>;

const error_code aborted = asio::error::operation_aborted;
const error_code started = asio::error::already_started;
const error_code ended = dgram::error::session_ended;

/// A server and clients. The account is checked at the end of each test.
struct scene {
  explicit scene(const dgram::listener_config& config = {}, listener_type::key_function key_of = {})
  {
    listener.emplace(server, config, std::move(key_of));
    listener->on_end(
        [this](dgram::session_id, const auto&, session_end why) { ended_as.push_back(why); });
  }

  ~scene()
  {
    if (listener) test::check_account(*listener);
  }
  scene(const scene&) = delete;
  scene& operator=(const scene&) = delete;

  sim::socket& client(std::size_t number = 0)
  {
    while (clients.size() <= number)
      clients.emplace_back(net, sim::location{"10.0.0.2", 0});
    return clients[number];
  }

  void send(std::string_view text, std::size_t from = 0)
  {
    client(from).send_to(asio::buffer(text.data(), text.size()), server.local_endpoint());
  }

  void spawn(asio::awaitable<void> coroutine)
  {
    asio::co_spawn(io, std::move(coroutine), [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
  }

  void run(sim::clock::duration time = 1s) { net.run_for(time); }

  /// Accepts what there is.
  std::optional<session> accept()
  {
    std::optional<session> result;
    listener->async_accept([&](error_code ec, std::optional<session> accepted) {
      CHECK_FALSE(ec);
      result = std::move(accepted);
    });
    run(100ms);
    return result;
  }

  /// The session of a client that has sent one datagram, which is still to be read.
  session accept_one(std::size_t from = 0)
  {
    send("hello", from);
    auto accepted = accept();
    REQUIRE(accepted);
    return std::move(*accepted);
  }

  /// What has arrived at a client.
  texts replies(std::size_t at = 0)
  {
    texts result;
    dgram::receive_batch batch{64};
    while (client(at).try_receive_batch(batch))
      for (const dgram::datagram& datagram : batch)
        result.emplace_back(datagram.payload().text());
    return result;
  }

  void serve_echo()
  {
    spawn([](scene& s) -> asio::awaitable<void> {
      co_await s.listener->serve(&echo);
      s.served = true;
    }(*this));
  }

  static asio::awaitable<void> echo(session peer)
  {
    while (auto datagram = co_await peer.next())
      co_await peer.send(datagram->payload());
  }

  dgram::listener_statistics counts() const { return listener->statistics(); }

  ends ended_as;
  bool served = false;
  asio::io_context io;
  sim::network net{io, {.delay = 1ms}};
  sim::socket server{net, {"10.0.0.1", 7000}};
  std::deque<sim::socket> clients;
  std::optional<listener_type> listener;
};

std::string text_of(const std::optional<dgram::datagram>& datagram)
{
  return datagram ? std::string(datagram->payload().text()) : "nothing";
}

/// All that the session has now.
texts drain(session& from)
{
  texts all;
  while (const auto datagram = from.try_next())
    all.emplace_back(datagram->payload().text());
  return all;
}

struct heard {
  int calls = 0;
  error_code ec;
  std::string text;

  auto next()
  {
    return [this](error_code code, std::optional<dgram::datagram> datagram) {
      ++calls;
      ec = code;
      text = text_of(datagram);
    };
  }
  auto plain()
  {
    return [this](error_code code, auto&&...) {
      ++calls;
      ec = code;
    };
  }
};

}  // namespace

TEST_CASE("serve gives each peer a session, in the order of its datagrams")
{
  scene s;
  s.serve_echo();
  for (const char* text : {"a", "b", "c"}) {
    s.send(text, 0);
    s.send(text, 1);
  }
  s.run();
  CHECK(s.replies(0) == texts{"a", "b", "c"});
  CHECK(s.replies(1) == texts{"a", "b", "c"});
  CHECK(s.listener->size() == 2);
  CHECK(s.counts().handed_over == 6);
  s.listener->stop();
  s.run();
  CHECK(s.served);
  CHECK(s.ended_as == ends{session_end::stopped, session_end::stopped});
}

TEST_CASE("accept returns sessions by any token, and the first datagram is still to be read")
{
  scene s;
  s.spawn([](scene& in) -> asio::awaitable<void> {
    while (auto accepted = co_await in.listener->accept()) {
      const auto first = co_await accepted->next();
      CHECK(text_of(first) == "hello");
    }
    in.served = true;
  }(s));
  s.send("hello");
  s.send("hello", 1);
  s.run();
  CHECK(s.ended_as == ends{session_end::closed, session_end::closed});
  s.listener->stop();
  s.run();
  CHECK(s.served);
}

TEST_CASE("async_for_each gets datagrams in place and may answer, keep and end sessions")
{
  scene s;
  texts seen;
  session_ref kept;
  heard done;
  s.listener->async_for_each(
      [&](const session_ref& from, const dgram::datagram& datagram) {
        seen.emplace_back(datagram.payload().text());
        CHECK(from.remote_endpoint() == datagram.sender());
        CHECK(from.try_send(datagram.payload()));
        if (seen.back() == "keep") kept = from;
        if (seen.back() == "end") from.close();
      },
      done.plain());
  s.send("keep");
  s.send("one", 1);
  s.send("end", 1);
  s.send("again", 1);
  s.run();
  CHECK(seen == texts{"keep", "one", "end", "again"});
  CHECK(s.replies(0) == texts{"keep"});
  CHECK(s.ended_as == ends{session_end::closed});
  REQUIRE(kept);
  CHECK(s.listener->find(kept.id()) == kept);
  CHECK(s.listener->find(s.client(0).local_endpoint()) == kept);
  CHECK_FALSE(s.listener->find(dgram::session_key("none")));
  std::size_t count = 0;
  for (const auto& each : s.listener->sessions()) {
    CHECK(each.try_send("n"));
    ++count;
  }
  CHECK(count == 2);
  s.run();
  CHECK(s.replies(0) == texts{"n"});
  s.listener->stop();
  CHECK(done.calls == 0);
  s.run();
  CHECK(done.calls == 1);
  CHECK_FALSE(done.ec);
  CHECK_FALSE(kept);
  error_code ec;
  CHECK_FALSE(kept.try_send("late", ec));
  CHECK(ec == ended);
  kept.close();
}

TEST_CASE("a session is a connected socket to code that is written for one")
{
  scene s;
  auto peer = s.accept_one();
  std::array<char, 3> data{};
  std::size_t received = 0;
  peer.async_receive(asio::buffer(data), [&](error_code ec, std::size_t size) {
    CHECK_FALSE(ec);
    received = size;
  });
  CHECK(received == 0);
  s.run();
  CHECK(received == 3);  // the rest is lost
  CHECK(std::string(data.data(), 3) == std::string("hello", 3));
  heard sent;
  const std::string first = "wor";
  const std::string second = "ld";
  peer.async_send(std::array{asio::buffer(first), asio::buffer(second)}, sent.plain());
  CHECK(sent.calls == 0);
  s.run();
  CHECK(sent.calls == 1);
  CHECK(s.replies() == texts{"world"});
  CHECK(peer.remote_endpoint() == s.client().local_endpoint());
  CHECK(peer.local_endpoint() == s.server.local_endpoint());
  heard waited;
  peer.async_wait(asio::socket_base::wait_write, waited.plain());
  peer.async_wait(asio::socket_base::wait_read, waited.plain());
  s.run();
  CHECK(waited.calls == 1);
  s.send("x");
  s.run();
  CHECK(waited.calls == 2);
  peer.async_wait(asio::socket_base::wait_error, waited.plain());
  CHECK(waited.calls == 2);
  s.run();
  CHECK(waited.calls == 3);
  CHECK(waited.ec == asio::error::operation_not_supported);
  CHECK(drain(peer) == texts{"x"});
  s.send("");
  s.run();
  received = 99;
  peer.async_receive(asio::buffer(data), [&](error_code ec, std::size_t size) {
    CHECK_FALSE(ec);
    received = size;
  });
  s.run();
  CHECK(received == 0);
}

TEST_CASE("no operation of a listener or session completes inside the call that starts it")
{
  scene s;
  int calls = 0;
  const auto count = [&](auto&&...) { ++calls; };
  auto peer = s.accept_one(2);
  s.send("hello");
  s.run();
  std::array<char, 9> data{};
  s.listener->async_accept(count);
  CHECK(calls == 0);
  s.run();
  CHECK(calls == 1);
  peer.async_next(count);
  CHECK(calls == 1);
  s.run();
  s.send("x", 2);
  s.run();
  peer.async_receive(asio::buffer(data), count);
  peer.async_send(asio::buffer("y", 1), count);
  peer.async_wait(asio::socket_base::wait_write, count);
  CHECK(calls == 2);
  s.run();
  CHECK(calls == 5);
  peer.async_ended(count);
  peer.async_next(count);
  peer.close();
  CHECK(calls == 5);
  s.run();
  CHECK(calls == 7);
  peer.async_next(count);
  peer.async_receive(asio::buffer(data), count);
  peer.async_send(asio::buffer("y", 1), count);
  peer.async_ended(count);
  peer.async_wait(asio::socket_base::wait_read, count);
  CHECK(calls == 7);
  s.run();
  CHECK(calls == 12);
  s.listener->async_accept(count);
  s.listener->stop();
  CHECK(calls == 12);
  s.run();
  CHECK(calls == 13);
  s.listener->async_accept(count);
  s.listener->async_serve(&scene::echo, count);
  s.listener->async_drain_for(1s, count);
  CHECK(calls == 13);
  s.run();
  CHECK(calls == 16);
}

TEST_CASE("a session that has ended says why, and its operations say session_ended")
{
  scene s({.idle_timeout = 10s});
  auto peer = s.accept_one();
  const auto why = GENERATE(session_end::idle, session_end::closed, session_end::stopped);
  CHECK(peer.is_open());
  CHECK_FALSE(peer.ended());
  drain(peer);
  if (why == session_end::idle) s.run(11s);
  if (why == session_end::closed) peer.close();
  if (why == session_end::stopped) s.listener->close();
  s.run();
  CHECK_FALSE(peer.is_open());
  CHECK(peer.ended() == why);
  CHECK_FALSE(peer.end_error());
  CHECK(s.ended_as == ends{why});
  CHECK_FALSE(peer.try_next());
  heard next;
  heard received;
  std::array<char, 9> data{};
  peer.async_next(next.next());
  s.run();
  CHECK(next.calls == 1);
  CHECK_FALSE(next.ec);
  CHECK(next.text == "nothing");
  peer.async_receive(asio::buffer(data), received.plain());
  s.run();
  CHECK(received.calls == 1);
  CHECK(received.ec == ended);
  error_code ec;
  CHECK(peer.try_send("last words", ec) == (why == session_end::idle));
  if (why != session_end::idle) {
    CHECK(ec == ended);
    peer.remote_endpoint(ec);
    CHECK(ec == ended);
    CHECK_THROWS_AS(peer.remote_endpoint(), dgram::system_error);
  }
  CHECK_FALSE(peer.add_key(dgram::session_key("k")));
  peer.cancel();
  peer.close();
}

TEST_CASE("a session that waits when it ends resumes empty, once")
{
  scene s({.idle_timeout = 10s});
  auto peer = s.accept_one();
  drain(peer);
  heard next;
  std::optional<session_end> told;
  peer.async_next(next.next());
  peer.async_ended([&](error_code ec, session_end why) {
    CHECK_FALSE(ec);
    told = why;
  });
  const auto how = GENERATE(0, 1, 2, 3, 4);
  if (how == 0) s.run(11s);
  if (how == 1) peer.close();
  if (how == 2) s.listener->close();
  if (how == 3) s.listener->stop();
  if (how == 4) peer = session();
  s.run();
  CHECK(next.calls == 1);
  CHECK_FALSE(next.ec);
  CHECK(next.text == "nothing");
  const std::array whys{session_end::idle, session_end::closed, session_end::stopped,
                        session_end::stopped, session_end::closed};
  CHECK(told == whys[static_cast<std::size_t>(how)]);
}

TEST_CASE("an idle end comes at the time, not before, and each datagram puts it off")
{
  scene s({.idle_timeout = 10s});
  auto peer = s.accept_one();  // at about 0.1 s
  s.run(9s);
  s.send("more");
  s.run(9s);
  CHECK(peer.is_open());
  s.run(2s);
  CHECK(peer.ended() == session_end::idle);
  CHECK(s.counts().idle == 1);
  // What had come can still be read.
  CHECK(drain(peer) == texts{"hello", "more"});
  CHECK(s.counts().unread == 0);
}

TEST_CASE("after stop a session hands out what it has, and may send until its handle is gone")
{
  scene s;
  auto peer = s.accept_one();
  s.send("two");
  s.send("three");
  s.run();
  s.listener->stop();
  CHECK(peer.ended() == session_end::stopped);
  CHECK(text_of(peer.try_next()) == "hello");
  heard next;
  peer.async_next(next.next());
  s.run();
  CHECK(next.text == "two");
  CHECK(peer.try_send("bye"));
  s.run();
  CHECK(s.replies() == texts{"bye"});
  CHECK(s.counts().queued == 1);
  peer = session();
  CHECK(s.counts().unread == 1);
  CHECK(s.counts().queued == 0);
}

TEST_CASE("after stop accept still returns the sessions that wait, and then nothing")
{
  scene s;
  s.accept_one();
  s.send("early", 1);
  s.run();
  s.listener->stop();
  s.send("late", 2);
  s.run();
  auto waiting = s.accept();
  REQUIRE(waiting);
  CHECK(waiting->ended() == session_end::stopped);
  CHECK(drain(*waiting) == texts{"early"});
  CHECK_FALSE(s.accept());
}

TEST_CASE("drain_for waits for the handles, closes, and says how many it has cut")
{
  scene s;
  auto one = std::make_unique<session>(s.accept_one(0));
  auto two = std::make_unique<session>(s.accept_one(1));
  heard done;
  std::size_t cut = 99;
  s.listener->async_drain_for(5s, [&](error_code ec, std::size_t count) {
    done.plain()(ec);
    cut = count;
  });
  heard second;
  s.listener->async_drain_for(5s, second.plain());
  s.run();
  CHECK(second.ec == started);
  CHECK(done.calls == 0);
  CHECK(one->ended() == session_end::stopped);
  SECTION("all end in time")
  {
    one.reset();
    two.reset();
    s.run();
    CHECK(cut == 0);
  }
  SECTION("one does not")
  {
    one.reset();
    s.run(5s);
    CHECK(cut == 1);
    CHECK_FALSE(two->try_send("late"));
  }
  SECTION("it is cancelled")
  {
    s.listener->cancel();
    s.run();
    CHECK(done.ec == aborted);
    CHECK(s.listener->is_stopped());
    CHECK(one->try_send("still open"));
  }
  SECTION("the listener is closed meanwhile")
  {
    s.listener->close();
    s.run();
  }
  CHECK(done.calls == 1);
}

TEST_CASE("serve returns when all its coroutines have finished, and keeps its function until then")
{
  scene s;
  const auto kept = std::make_shared<int>(0);
  sim::timer timer{s.io, sim::clock::time_point::max()};
  s.spawn([](scene& in, std::shared_ptr<int> captured, sim::timer& hold) -> asio::awaitable<void> {
    // GCC 12 never destroys a closure that is written within a co_await.
    auto function = [&hold, captured](session peer) -> asio::awaitable<void> {
      ++*captured;
      while (co_await peer.next()) {}
      error_code ec;
      co_await hold.async_wait(asio::redirect_error(asio::use_awaitable, ec));
      ++*captured;
    };
    co_await in.listener->serve(std::move(function));
    in.served = true;
  }(s, kept, timer));
  s.send("hello");
  s.run();
  CHECK(*kept == 1);
  s.listener->stop();
  s.run();
  CHECK_FALSE(s.served);
  CHECK(*kept == 1);
  timer.cancel();
  s.run();
  CHECK(s.served);
  CHECK(*kept == 2);
  CHECK(kept.use_count() == 1);
}

TEST_CASE("a cancelled serve takes no more sessions; a terminal one ends those that it has")
{
  scene s;
  asio::cancellation_signal signal;
  heard done;
  int finished = 0;
  s.listener->async_serve(
      [&](session peer) -> asio::awaitable<void> {
        while (co_await peer.next()) {}
        ++finished;
      },
      asio::bind_cancellation_slot(signal.slot(), done.plain()));
  s.send("one");
  s.run();
  const auto type = GENERATE(asio::cancellation_type::partial, asio::cancellation_type::terminal);
  signal.emit(type);
  s.run();
  s.send("two", 1);
  s.run();
  if (type == asio::cancellation_type::partial) {
    CHECK(done.calls == 0);
    CHECK(finished == 0);
    heard other;  // the operation has not completed
    s.listener->async_accept(other.plain());
    s.run();
    CHECK(other.ec == started);
    s.listener->stop();
    s.run();
  }
  CHECK(finished == 1);
  CHECK(done.calls == 1);
  CHECK(done.ec == aborted);
}

TEST_CASE("what a session's coroutine throws goes to on_failure, or leaves the context")
{
  scene s;
  std::string failure;
  const bool handled = GENERATE(true, false);
  if (handled)
    s.listener->on_failure([&](const std::exception_ptr& thrown) {
      try {
        std::rethrow_exception(thrown);
      } catch (const std::exception& e) {
        failure = e.what();
      }
    });
  int after = 0;
  s.listener->async_serve(
      [&](session peer) -> asio::awaitable<void> {
        while (auto datagram = co_await peer.next()) {
          if (datagram->payload().text() == "throw") throw std::runtime_error("broken");
          ++after;
        }
      },
      [](error_code) {});
  s.send("throw");
  if (handled) {
    s.run();
    CHECK(failure == "broken");
  } else {
    CHECK_THROWS_AS(s.run(), std::runtime_error);
  }
  s.send("fine", 1);
  s.run();
  CHECK(after == 1);
  CHECK(s.ended_as == ends{session_end::closed});
}

TEST_CASE("session_ended in a session's coroutine is no failure")
{
  scene s({.idle_timeout = 5s});
  int failures = 0;
  s.listener->on_failure([&](const std::exception_ptr&) { ++failures; });
  s.listener->async_serve(
      [](session peer) -> asio::awaitable<void> {
        std::array<char, 99> data{};
        for (;;)
          co_await peer.async_receive(asio::buffer(data), asio::use_awaitable);
      },
      [](error_code) {});
  s.send("hello");
  s.run(10s);
  CHECK(s.ended_as == ends{session_end::idle});
  CHECK(failures == 0);
}

TEST_CASE("one operation of a listener and one receive of a session may be pending")
{
  scene s;
  auto peer = s.accept_one();
  drain(peer);
  heard first;
  heard second;
  peer.async_next(first.next());
  std::array<char, 9> data{};
  SECTION("next and next")
  {
    peer.async_next(second.next());
  }
  SECTION("next and receive")
  {
    peer.async_receive(asio::buffer(data), second.plain());
  }
  SECTION("next and wait")
  {
    peer.async_wait(asio::socket_base::wait_read, second.plain());
  }
  s.run();
  CHECK(second.calls == 1);
  CHECK(second.ec == started);
  CHECK(first.calls == 0);
  s.send("x");
  s.run();
  CHECK(first.text == "x");
  heard accept;
  heard other;
  heard in_place;
  s.listener->async_accept(accept.plain());
  s.listener->async_accept(other.plain());
  s.listener->async_for_each([](const session_ref&, const dgram::datagram&) {}, in_place.plain());
  s.run();
  CHECK(accept.calls == 0);
  CHECK(other.ec == started);
  CHECK(in_place.ec == asio::error::operation_not_supported);
}

TEST_CASE("cancelling a wait takes nothing, by each type and by the object")
{
  scene s;
  const auto type = GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                             asio::cancellation_type::total, asio::cancellation_type::none);
  const bool by_slot = type != asio::cancellation_type::none;
  asio::cancellation_signal signal;
  heard accept;
  s.listener->async_accept(asio::bind_cancellation_slot(signal.slot(), accept.plain()));
  s.run();
  if (by_slot)
    signal.emit(type);
  else
    s.listener->cancel();
  s.send("hello");
  s.run();
  CHECK(accept.ec == aborted);
  auto peer = s.accept();
  REQUIRE(peer);
  CHECK(drain(*peer) == texts{"hello"});
  heard next;
  peer->async_next(asio::bind_cancellation_slot(signal.slot(), next.next()));
  s.run();
  if (by_slot)
    signal.emit(type);
  else
    peer->cancel();
  CHECK(next.calls == 0);
  s.send("kept");
  s.run();
  CHECK(next.ec == aborted);
  CHECK(next.calls == 1);
  CHECK(drain(*peer) == texts{"kept"});
  signal.emit(asio::cancellation_type::terminal);  // refers to nothing any more
}

TEST_CASE("a datagram that one session's handler cancels for another stays in the other's inbox")
{
  scene s;
  auto one = s.accept_one(0);
  auto two = s.accept_one(1);
  drain(one);
  drain(two);
  asio::cancellation_signal signal;
  heard next;
  one.async_next([&](error_code, const auto&) { signal.emit(asio::cancellation_type::total); });
  two.async_next(asio::bind_cancellation_slot(signal.slot(), next.next()));
  s.send("a", 0);
  s.send("b", 1);
  s.run();
  CHECK(next.ec == aborted);
  CHECK(next.calls == 1);
  CHECK(drain(two) == texts{"b"});
}

TEST_CASE("a session's handler may end another session of the same batch, and poll the context")
{
  scene s;
  auto one = s.accept_one(0);
  auto two = std::make_unique<session>(s.accept_one(1));
  auto three = s.accept_one(2);
  drain(one);
  drain(*two);
  drain(three);
  heard second;
  heard third;
  one.async_next([&](error_code, const auto&) {
    two.reset();
    s.io.poll();
    CHECK(second.calls == 1);
    CHECK(third.calls == 0);
  });
  two->async_next(second.next());
  three.async_next(third.next());
  s.send("a", 0);
  s.send("b", 1);
  s.send("c", 2);
  s.run();
  CHECK(second.text == "nothing");
  CHECK(third.text == "c");
}

TEST_CASE("a session may be moved while it waits, and a held datagram stays where it is")
{
  scene s;
  auto first = std::make_unique<session>(s.accept_one());
  const auto held = first->try_next();
  CHECK(text_of(held) == "hello");
  heard next;
  first->async_next(next.next());
  auto second = std::make_unique<session>(std::move(*first));
  first.reset();
  s.send("moved");
  s.run();
  CHECK(next.text == "moved");
  session third;
  third = std::move(*second);
  second.reset();
  s.send("again");
  s.run();
  const auto again = third.try_next();
  CHECK(text_of(again) == "again");
  CHECK(third.try_send(again->payload()));
  third.close();
  CHECK(text_of(again) == "again");
  s.listener.reset();
  CHECK(text_of(again) == "again");
}

TEST_CASE("coroutines may move their session while another one waits in it")
{
  scene s;
  s.spawn([](scene& in) -> asio::awaitable<void> {
    auto accepted = co_await in.listener->accept();
    REQUIRE(accepted);
    auto kept = std::make_unique<session>(std::move(*accepted));
    co_await kept->next();
    in.spawn([](scene& outer, std::unique_ptr<session>& from) -> asio::awaitable<void> {
      sim::timer timer{outer.io, 1ms};
      co_await timer.async_wait(asio::use_awaitable);
      from = std::make_unique<session>(std::move(*from));
      outer.send("after the move");
    }(in, kept));
    session& waiting = *kept;
    const auto datagram = co_await waiting.next();
    CHECK(text_of(datagram) == "after the move");
    in.served = true;
  }(s));
  s.send("hello");
  s.run();
  CHECK(s.served);
}

TEST_CASE("next_for returns a datagram, or nothing after the time, and the session goes on")
{
  scene s;
  s.spawn([](scene& in) -> asio::awaitable<void> {
    auto peer = co_await in.listener->accept();
    REQUIRE(peer);
    error_code ec;
    auto got = co_await peer->next_for(1s, ec);
    CHECK(text_of(got) == "hello");
    got = co_await peer->next_for(1s, ec);
    CHECK_FALSE(got);
    CHECK(ec == asio::error::timed_out);
    CHECK_FALSE(peer->ended());
    got = co_await peer->next_for(1s);
    CHECK_FALSE(got);
    in.send("in time");
    got = co_await peer->next_until(sim::clock::now() + 10ms, ec);
    CHECK(text_of(got) == "in time");
    CHECK_FALSE(ec);
    in.send("later");
    got = co_await peer->next();
    CHECK(text_of(got) == "later");
    in.served = true;
  }(s));
  s.send("hello");
  s.run(5s);
  CHECK(s.served);
}

TEST_CASE("an inbox takes as many datagrams as its limit says, and counts one more")
{
  const auto policy = GENERATE(dgram::inbox_full::drop_oldest, dgram::inbox_full::drop_newest);
  const bool oldest = policy == dgram::inbox_full::drop_oldest;
  scene s({.inbox_datagrams = 3, .inbox_when_full = policy});
  for (const char* text : {"1", "2", "3"})
    s.send(text);
  auto peer = s.accept();
  REQUIRE(peer);
  CHECK(s.counts().inbox_full == 0);
  s.send("4");
  s.run();
  CHECK(s.counts().inbox_full == 1);
  CHECK(peer->statistics().dropped == 1);
  CHECK(peer->statistics().received == 4);
  CHECK(drain(*peer) == (oldest ? texts{"2", "3", "4"} : texts{"1", "2", "3"}));
}

TEST_CASE("an inbox takes as many bytes as its limit says, and always one datagram")
{
  scene s({.inbox_bytes = 10, .inbox_when_full = dgram::inbox_full::drop_newest});
  s.send("12345");
  s.send("67890");
  auto peer = s.accept();
  REQUIRE(peer);
  CHECK(s.counts().inbox_full == 0);
  s.send("x");
  s.run();
  CHECK(s.counts().inbox_full == 1);
  CHECK(drain(*peer) == texts{"12345", "67890"});
  s.send("more than ten bytes");
  s.run();
  CHECK(drain(*peer) == texts{"more than ten bytes"});
  CHECK(s.counts().inbox_full == 1);
}

TEST_CASE("all inboxes together take no more memory than the limit")
{
  scene s({.inbox_datagrams = 1000, .all_inboxes_bytes = 2048});
  s.send("one");
  auto peer = s.accept();
  REQUIRE(peer);
  for (int i = 0; i < 30; ++i)
    s.send("more");
  s.run();
  const auto counts = s.counts();
  CHECK(counts.inboxes_full > 0);
  CHECK(counts.inboxes_full + counts.queued == 31);
  const auto before = drain(*peer).size();
  CHECK(before == counts.queued);
  for (int i = 0; i < 3; ++i)
    s.send("again");
  s.run();
  CHECK(drain(*peer).size() == 3);
  // Kept pieces of another size make room.
  s.send(std::string(1200, 'x'));
  s.run();
  CHECK(drain(*peer).size() == 1);
}

TEST_CASE("new peers beyond max_sessions are refused, or the idlest makes room")
{
  const bool evicts = GENERATE(false, true);
  scene s(
      {.max_sessions = 2,
       .when_full = evicts ? dgram::sessions_full::evict_idlest : dgram::sessions_full::refuse});
  auto one = s.accept_one(0);
  s.run(10s);
  auto two = s.accept_one(1);
  CHECK(s.counts().sessions_full == 0);
  s.send("third", 2);
  s.run();
  if (evicts) {
    CHECK(one.ended() == session_end::evicted);
    CHECK(s.counts().evicted == 1);
    CHECK(s.counts().unread == 1);
    CHECK_FALSE(one.try_send("late"));
    CHECK(s.accept());
  } else {
    CHECK(one.is_open());
    CHECK(s.counts().sessions_full == 1);
  }
}

TEST_CASE("a validated session is not evicted for a stranger")
{
  scene s({.max_sessions = 1, .when_full = dgram::sessions_full::evict_idlest});
  auto one = s.accept_one(0);
  one.mark_validated();
  s.send("other", 1);
  s.run();
  CHECK(one.is_open());
  CHECK(s.counts().sessions_full == 1);
}

TEST_CASE("what refers to a session that has ended has no endpoints, and sends nothing")
{
  scene s;
  auto peer = s.accept_one();
  const auto all = s.listener->sessions();
  const auto first = all.begin();
  session_ref kept = *first;
  REQUIRE(kept);
  CHECK(kept.remote_endpoint() == s.client().local_endpoint());
  peer.close();
  error_code ec;
  CHECK(kept.remote_endpoint(ec) == dgram::udp::endpoint());
  CHECK(ec == ended);
  CHECK_THROWS_AS(kept.remote_endpoint(), dgram::system_error);
  CHECK(peer.local_endpoint(ec) == dgram::udp::endpoint());
  CHECK(ec == ended);
  CHECK_THROWS_AS(peer.local_endpoint(), dgram::system_error);
  CHECK_FALSE(*first);
  error_code sent;
  s.spawn([](session_ref to, error_code& result) -> asio::awaitable<void> {
    try {
      co_await to.send("late");
    } catch (const dgram::system_error& failed) {
      result = failed.code();
    }
  }(kept, sent));
  s.run();
  CHECK(sent == ended);
  CHECK(s.replies().empty());
}

TEST_CASE("a session of a wildcard socket knows the address that its peer has sent to")
{
  asio::io_context io;
  sim::network net{io};
  net.add_host("server", {"10.0.0.1", "10.0.1.1"});
  sim::socket server{net, "server"};
  server.open(dgram::udp::v4());
  server.bind({dgram::udp::v4(), 7000});
  sim::socket client{net, {"10.0.0.2", 0}};
  listener_type listener{server};
  std::optional<session> peer;
  listener.async_accept(
      [&](error_code, std::optional<session> accepted) { peer = std::move(accepted); });
  client.send_to(asio::buffer("x", 1), {asio::ip::make_address("10.0.1.1"), 7000});
  net.run_for(1s);
  REQUIRE(peer);
  CHECK(dgram::to_string(peer->local_endpoint()) == "10.0.1.1:7000");
}

TEST_CASE("new peers beyond max_unaccepted are refused until one is accepted or ends")
{
  scene s({.idle_timeout = 10s, .max_unaccepted = 2});
  auto first = s.accept_one(0);
  s.send("a", 1);
  s.send("b", 2);
  s.send("c", 3);
  s.run();
  CHECK(s.counts().unaccepted_full == 1);
  CHECK(s.listener->size() == 3);
  auto second = s.accept();
  REQUIRE(second);
  CHECK(second->remote_endpoint() == s.client(1).local_endpoint());
  s.send("d", 4);
  s.run();
  CHECK(s.counts().unaccepted_full == 1);
  s.run(12s);  // those that the program has not accepted end, too
  CHECK(s.listener->size() == 0);
  CHECK(s.counts().unread == 2);
  s.send("e", 5);
  s.send("f", 6);
  s.run();
  CHECK(s.counts().unaccepted_full == 1);
  auto third = s.accept();
  REQUIRE(third);
  CHECK(drain(*third) == texts{"e"});
}

TEST_CASE("limits of 0 are refused, and the text names the limit")
{
  scene s;
  s.listener.reset();
  const auto text = [&](const dgram::listener_config& config) {
    try {
      listener_type refused{s.server, config};
    } catch (const dgram::system_error& e) {
      CHECK(e.code() == dgram::error::out_of_range);
      return std::string(e.what());
    }
    return std::string("not refused");
  };
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(text({.idle_timeout = 0s}), ContainsSubstring("listener (idle_timeout: 0 ns"));
  CHECK_THAT(text({.max_sessions = 0}), ContainsSubstring("max_sessions: 0; allowed"));
  CHECK_THAT(text({.max_keys = 0}), ContainsSubstring("max_keys: 0"));
  CHECK_THAT(text({.max_unaccepted = 0}), ContainsSubstring("max_unaccepted: 0"));
  CHECK_THAT(text({.inbox_datagrams = 0}), ContainsSubstring("inbox_datagrams: 0"));
  CHECK_THAT(text({.inbox_bytes = 0}), ContainsSubstring("inbox_bytes: 0"));
  CHECK_THAT(text({.all_inboxes_bytes = 0}), ContainsSubstring("all_inboxes_bytes: 0"));
  CHECK_THAT(text({.forwarded_bytes = 0}), ContainsSubstring("forwarded_bytes: 0"));
  CHECK_THAT(text({.amplification = 1'000'001}),
             ContainsSubstring("amplification: 1000001; allowed are 0 to 1000000"));
  CHECK_THAT(text({.slots = 0}), ContainsSubstring("slots: 0"));
  CHECK_THAT(text({.queue = {.datagrams = 0}}), ContainsSubstring("queue.datagrams: 0"));
  CHECK(text({}) == "not refused");
}

TEST_CASE("a second listener on the socket and a connected socket are refused")
{
  scene s;
  const auto code_of = [&](sim::socket& on) {
    try {
      listener_type refused{on};
    } catch (const dgram::system_error& e) {
      return e.code();
    }
    return error_code();
  };
  CHECK(code_of(s.server) == dgram::error::already_listening);
  s.listener->close();
  CHECK_FALSE(code_of(s.server));
  s.client().connect(s.server.local_endpoint());
  CHECK(code_of(s.client()) == asio::error::already_connected);
}

TEST_CASE("a listener does not begin on a socket that was connected after it was made")
{
  scene s;
  s.server.connect(s.client().local_endpoint());
  std::optional<error_code> result;
  s.listener->async_accept([&](error_code ec, auto&&) { result = ec; });
  s.run();
  CHECK(result == asio::error::already_connected);
  s.server.disconnect();
  result.reset();
  s.listener->async_accept([&](error_code ec, auto&&) { result = ec; });
  s.run();
  CHECK_FALSE(result);  // it waits
}

TEST_CASE("a reader on a listener's socket and a listener on a reader's socket are refused")
{
  scene s;
  const auto refusal_of = [](auto make) {
    try {
      make();
    } catch (const dgram::system_error& e) {
      return std::pair(e.code(), std::string(e.what()));
    }
    return std::pair(error_code(), std::string());
  };
  const auto read = [&] { dgram::reader reader{s.server}; };
  const auto listen = [&] { listener_type other{s.server}; };
  const auto [code, text] = refusal_of(read);
  CHECK(code == dgram::error::already_listening);
  CHECK_THAT(text, Catch::Matchers::ContainsSubstring("reader"));
  std::optional<session> kept;
  SECTION("the listener is closed")
  {
    s.listener->close();
  }
  SECTION("the listener is destroyed")
  {
    test::check_account(*s.listener);
    s.listener.reset();
  }
  SECTION("the listener is moved, and destroyed while a session has a handle")
  {
    kept.emplace(s.accept_one());
    listener_type moved(std::move(*s.listener));
    s.listener.reset();
    CHECK(refusal_of(read).first == dgram::error::already_listening);
  }
  CHECK_FALSE(refusal_of(read).first);
  {
    std::optional<dgram::reader<dgram::udp, sim::socket::executor_type, asio::any_io_executor,
                                sim::socket_handle>>
        first(s.server);
    auto second = std::move(*first);
    const auto [late_code, late_text] = refusal_of(listen);
    CHECK(late_code == started);
    CHECK_THAT(late_text, Catch::Matchers::ContainsSubstring("the socket has a reader"));
    first.reset();
    CHECK(refusal_of(listen).first == started);
    second.stop();
    second.stop();
    CHECK_FALSE(refusal_of(listen).first);
  }
  CHECK_FALSE(refusal_of(listen).first);
  CHECK_FALSE(refusal_of(read).first);
}

TEST_CASE("a refused listener leaves its socket as it was")
{
  scene s;
  s.listener->close();
  CHECK_THROWS_AS(listener_type(s.server, {.max_sessions = 0}), dgram::system_error);
  dgram::reader reader{s.server};
  CHECK_THROWS_AS(listener_type(s.server), dgram::system_error);
  reader.stop();
  listener_type listener{s.server};
}

TEST_CASE("datagrams without a usable key are counted as unkeyed")
{
  const auto by_id = [](const dgram::datagram& datagram) {
    const auto payload = datagram.payload();
    if (payload.text() == "long") return dgram::session_key(std::string(33, 'x'));
    if (payload.text() == "none") return dgram::session_key("");
    return dgram::session_key::at(payload, 0, 2);
  };
  scene s({}, by_id);
  s.send("1");
  s.send("none");
  s.send("long");
  s.send("id hello");
  auto peer = s.accept();
  REQUIRE(peer);
  s.send("id again", 1);  // from elsewhere
  s.run();
  CHECK(drain(*peer) == texts{"id hello", "id again"});
  CHECK(s.counts().unkeyed == 3);
  CHECK(peer->try_send("to the first"));
  s.run();
  CHECK(s.replies(0) == texts{"to the first"});
  CHECK(peer->add_key(dgram::session_key("ix")));
  s.send("ix more", 2);
  s.run();
  const auto moved = peer->try_next();
  REQUIRE(moved);
  CHECK(peer->set_peer(moved->reply_path()));
  CHECK(peer->try_send("to the new"));
  s.run();
  CHECK(s.replies(2) == texts{"to the new"});
  CHECK(peer->remove_key(dgram::session_key("ix")));
  CHECK_FALSE(peer->remove_key(dgram::session_key("ix")));
  CHECK_THROWS_AS(peer->add_key(dgram::session_key()), dgram::system_error);
}

TEST_CASE(
    "a key function, a stranger function or a for_each function that throws loses one datagram")
{
  std::optional<scene> s;
  const int which = GENERATE(0, 1, 2);
  s.emplace(
      dgram::listener_config{},
      which != 0 ? listener_type::key_function() : [](const dgram::datagram& datagram) {
        if (datagram.payload().text() == "bad") throw std::runtime_error("key");
        return dgram::session_key("one");
      });
  if (which == 1)
    s->listener->on_stranger([](const dgram::datagram& datagram, dgram::stranger&) {
      if (datagram.payload().text() == "bad") throw std::runtime_error("stranger");
      return true;
    });
  texts seen;
  s->listener->async_for_each(
      [&](const session_ref&, const dgram::datagram& datagram) {
        seen.emplace_back(datagram.payload().text());
        if (which == 2 && seen.back() == "bad") throw std::runtime_error("each");
      },
      [](error_code) {});
  s->send("good", 0);
  s->send("bad", 1);
  s->send("fine", 2);
  CHECK_THROWS_AS(s->run(), std::runtime_error);
  s->run();
  CHECK(seen == (which == 2 ? texts{"good", "bad", "fine"} : texts{"good", "fine"}));
  CHECK(s->counts().failed == (which == 2 ? 0 : 1));
}

TEST_CASE("strangers are asked, answered with no more than they sent, and may prove their address")
{
  scene s;
  int asked = 0;
  s.listener->on_stranger([&](const dgram::datagram& datagram, dgram::stranger& from) {
    ++asked;
    CHECK(from.sender() == datagram.sender());
    if (datagram.payload().text() == "proof") {
      from.mark_validated();
      return true;
    }
    CHECK_FALSE(from.reply("longer than it"));
    CHECK(from.reply("ok"));
    CHECK(from.reply("?!"));
    CHECK_FALSE(from.reply("x"));
    return datagram.payload().text() == "1234";
  });
  s.send("none");
  auto accepted = s.accept();
  CHECK_FALSE(accepted);
  CHECK(s.replies() == texts{"ok", "?!"});
  CHECK(s.counts().rejected == 1);
  CHECK(s.counts().replies_refused == 2);
  s.send("proof", 1);
  s.run();
  s.send("1234", 2);
  s.run();
  auto proved = s.accept();
  CHECK(asked == 3);
  (void)proved;
}

TEST_CASE("an unproved peer gets at most three times what it has sent, and the refusal is told")
{
  scene s;
  auto peer = s.accept_one();  // 5 bytes
  error_code ec;
  CHECK(peer.try_send("0123456789", ec));
  CHECK(peer.try_send("01234", ec));
  CHECK_FALSE(peer.try_send("x", ec));
  CHECK(ec == dgram::error::not_validated);
  CHECK(peer.statistics().refused == 1);
  CHECK(s.counts().not_validated == 1);
  heard sent;
  peer.async_send(asio::buffer("x", 1), sent.plain());
  s.run();
  CHECK(sent.ec == dgram::error::not_validated);
  s.send("m");
  s.run();
  CHECK(peer.try_send("xyz"));
  CHECK_FALSE(peer.try_send("x"));
  peer.mark_validated();
  CHECK(peer.try_send(std::string(1000, 'x')));
  s.run();
  CHECK(s.replies().size() == 4);
}

TEST_CASE("an idle session takes at most 256 bytes, with its share of the table")
{
  using core = dgram::detail::listener_core<dgram::udp::socket::handle_type, asio::any_io_executor>;
  using block =
      dgram::detail::session_block<core::state_type, dgram::detail::packed_key<dgram::udp>>;
  constexpr std::size_t of_the_table = 4 * sizeof(dgram::detail::key_place);
  CHECK(sizeof(block) + of_the_table <= 256);
}

TEST_CASE("an amplification of 0 is no limit")
{
  scene s({.amplification = 0});
  auto peer = s.accept_one();
  CHECK(peer.try_send(std::string(1000, 'x')));
}

TEST_CASE("paused acceptance refuses strangers and leaves sessions alone")
{
  scene s;
  auto peer = s.accept_one();
  s.listener->pause_accepting();
  CHECK(s.listener->is_paused());
  s.send("known");
  s.send("unknown", 1);
  s.run();
  CHECK(s.counts().not_accepting == 1);
  CHECK(s.listener->size() == 1);
  s.listener->resume_accepting();
  s.send("unknown", 1);
  s.run();
  CHECK(s.listener->size() == 2);
  CHECK(drain(peer) == texts{"hello", "known"});
}

TEST_CASE("listener, socket and sessions may be destroyed in any order while they wait")
{
  std::array<int, 3> order{0, 1, 2};
  const int number = GENERATE(0, 1, 2, 3, 4, 5);
  for (int i = 0; i < number; ++i)
    std::next_permutation(order.begin(), order.end());
  scene s;
  auto peer = std::make_unique<session>(s.accept_one());
  drain(*peer);
  heard next;
  heard accept;
  peer->async_next(next.next());
  s.listener->async_accept(accept.plain());
  s.run();
  std::optional<sim::socket> socket(std::move(s.server));
  for (const int which : order) {
    if (which == 0) s.listener.reset();
    if (which == 1) socket.reset();
    if (which == 2) peer.reset();
    s.run();
  }
  CHECK(next.calls == 1);
  CHECK(next.text == "nothing");
  CHECK(accept.calls == 1);
  CHECK_FALSE(accept.ec);
}

TEST_CASE("a closed socket ends the listener, and a cancelled one its operations only")
{
  scene s;
  auto peer = s.accept_one();
  drain(peer);
  heard next;
  heard accept;
  peer.async_next(next.next());
  s.listener->async_accept(accept.plain());
  s.run();
  SECTION("cancel")
  {
    s.server.cancel();
    s.run();
    CHECK(accept.ec == aborted);
    CHECK(next.calls == 0);
    s.send("more");
    s.send("new", 1);
    s.run();
    CHECK(next.text == "more");
    CHECK(s.accept());
  }
  SECTION("close")
  {
    s.server.close();
    s.run();
    CHECK(accept.calls == 1);
    CHECK_FALSE(accept.ec);
    CHECK(next.text == "nothing");
    CHECK(peer.ended() == session_end::stopped);
    CHECK(s.listener->is_stopped());
  }
  SECTION("close, and open again")
  {
    const auto at = s.server.local_endpoint();
    s.server.close();
    s.server.open();
    s.server.bind(at);
    s.run();
    CHECK(peer.ended() == session_end::stopped);
    CHECK(s.listener->is_stopped());
  }
}

TEST_CASE("the listener may be closed and destroyed by each function that it calls")
{
  scene s;
  const int which = GENERATE(0, 1, 2, 3);
  const bool destroys = GENERATE(true, false);
  const auto end = [&] {
    if (destroys)
      s.listener.reset();
    else if (s.listener)
      s.listener->close();
  };
  int calls = 0;
  if (which == 0)
    s.listener->on_stranger([&](const dgram::datagram&, dgram::stranger&) {
      ++calls;
      end();
      return true;
    });
  if (which == 1) {
    s.listener->async_for_each(
        [&](const session_ref&, const dgram::datagram&) {
          ++calls;
          end();
        },
        [](error_code) {});
  } else if (which == 2) {
    s.listener->async_serve(
        [&](session peer) -> asio::awaitable<void> {
          ++calls;
          end();
          CHECK_FALSE(co_await peer.next());
        },
        [](error_code) {});
  } else {
    s.listener->async_accept([&](error_code, std::optional<session> accepted) {
      if (which == 0) CHECK_FALSE(accepted);
      if (which == 3) {
        ++calls;
        end();
        if (accepted) CHECK_FALSE(accepted->is_open());
      }
    });
  }
  s.send("one");
  s.send("two", 1);
  s.send("three", 2);
  s.run();
  if (which != 2) CHECK(calls == 1);
  if (!destroys) CHECK(s.listener->size() == 0);
  if (which == 0 && !destroys) CHECK(s.counts().not_accepting == 3);
}

TEST_CASE("a context that is destroyed lets go of sessions, listeners and coroutines that wait")
{
  const auto kept = std::make_shared<int>(0);
  const int which = GENERATE(0, 1, 2, 3);
  {
    asio::io_context io;
    auto net = std::make_unique<sim::network>(io);
    auto socket = std::make_unique<sim::socket>(*net, sim::location{"10.0.0.1", 7000});
    auto client = std::make_unique<sim::socket>(*net, sim::location{"10.0.0.2", 0});
    auto listener = std::make_shared<listener_type>(*socket);
    auto server = [](std::shared_ptr<listener_type> own, std::shared_ptr<int> held,
                     int how) -> asio::awaitable<void> {
      // GCC 12 never destroys a closure that is written within a co_await.
      auto function = [held](session peer) -> asio::awaitable<void> {
        while (co_await peer.next()) {}
      };
      if (how == 0) co_await own->serve(std::move(function));
      auto accepted = co_await own->accept();
      if (how == 2) co_await accepted->next_for(1h);
      if (how == 2) co_await accepted->next_for(1h);
      while (accepted && co_await accepted->next()) {}
    };
    if (which == 3)
      listener->async_accept([listener, kept](error_code, std::optional<session> accepted) {
        auto shared = std::make_shared<session>(std::move(*accepted));
        shared->try_next();
        shared->async_next([shared, listener, kept](error_code, const auto&) {});
        shared->async_ended([shared, listener, kept](error_code, session_end) {});
      });
    else
      asio::co_spawn(io, server(std::move(listener), kept, which), asio::detached);
    listener.reset();
    client->send_to(asio::buffer("hello", 5), socket->local_endpoint());
    net->run_for(1s);
    CHECK(kept.use_count() > 1);
    client.reset();
    socket.reset();
    net.reset();
  }
  CHECK(kept.use_count() == 1);
}

TEST_CASE("a listener on a socket that has never been open fails, and ends nothing")
{
  asio::io_context io;
  dgram::udp::socket socket(io);
  dgram::udp::listener listener(socket);
  std::vector<error_code> ends;
  const auto note = [&](error_code ec, const auto&...) { ends.push_back(ec); };
  listener.async_accept(note);
  listener.async_for_each([](const dgram::udp::session_ref&, const dgram::datagram&) {}, note);
  listener.async_serve(
      [](dgram::udp::session session) -> asio::awaitable<void> { co_await session.next(); }, note);
  CHECK(ends.empty());
  io.run();
  CHECK(ends == std::vector<error_code>(3, asio::error::bad_descriptor));

  // None of these was the form of the listener.
  socket.open();
  socket.bind({asio::ip::address_v4::loopback(), 0});
  dgram::udp::socket peer(io, dgram::udp::v4());
  peer.send_to(asio::buffer("hello", 5), socket.local_endpoint());
  bool is_accepted = false;
  listener.async_accept([&](error_code ec, std::optional<dgram::udp::session> accepted) {
    is_accepted = !ec && accepted;
    listener.close();
  });
  io.restart();
  io.run_for(10s);
  CHECK(is_accepted);
  CHECK(listener.is_stopped());
}

TEST_CASE("a cancel of the socket while the listener has no operation does not end the next one")
{
  asio::io_context io;
  dgram::udp::socket socket(io, {asio::ip::address_v4::loopback(), 0});
  dgram::udp::listener listener(socket);
  const auto here = socket.local_endpoint();
  dgram::udp::socket peer(io, dgram::udp::v4());
  const auto send = [&] { peer.send_to(asio::buffer("hello", 5), here); };
  std::vector<error_code> ends;
  int accepted = 0;
  const auto accept = [&] {
    listener.async_accept([&](error_code ec, const std::optional<dgram::udp::session>& got) {
      ends.push_back(ec);
      accepted += got ? 1 : 0;
    });
  };
  accept();
  send();
  while (ends.empty())
    io.run_one_for(10s);
  // The loop waits for the sessions, and no operation of the listener does.
  io.poll();
  socket.cancel();
  accept();
  io.poll();
  CHECK(ends.size() == 1);
  send();
  while (ends.size() < 2)
    if (io.run_one_for(10s) == 0) break;
  CHECK(ends == std::vector<error_code>(2));
  CHECK(accepted == 2);
}

}  // namespace listener_test
