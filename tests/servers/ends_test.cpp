// SPDX-License-Identifier: BSL-1.0
// What waits in a listener or a session when something ends, or nothing listens for a while.
#include "servers/world.hpp"

#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ends_test {

using namespace servers;

TEST_CASE("datagrams that come between two async_for_each come first in the next one", "[servers]")
{
  on_seeds(25, "between-two", [](std::uint64_t seed) {
    world w({.slots = 4}, {}, {.seed = seed, .keep_order = true});
    texts seen;
    const auto listen = [&] {
      w.listener->async_for_each(
          [&](const auto&, const dgram::datagram& received) {
            seen.emplace_back(received.payload().text());
          },
          [](error_code) {});
    };
    texts sent;
    const auto send = [&](std::size_t count) {
      for (; count > 0; --count) {
        sent.push_back(std::to_string(sent.size()));
        w.send(sent.back());
      }
    };
    for (int round = 0; round < 4; ++round) {
      listen();
      send(1 + seed % 7);
      w.run(10ms);
      require(seen == sent, "a datagram is missing, or out of order");
      w.listener->cancel();
      send(seed % 5);
      w.run(10ms);
      send(seed % 3);  // arrives after the next one has begun
    }
    require_balance(*w.listener);
  });
}

TEST_CASE(
    "a send that waits for room when the listener or socket closes says that the session ended",
    "[servers]")
{
  world w({.queue = {.datagrams = 1}});
  std::size_t blocked = 0;
  std::size_t failed = 0;
  bool served = false;
  w.listener->on_failure([&](const std::exception_ptr&) { ++failed; });
  w.spawn([](world& on, std::size_t& waiting, bool& ended) -> asio::awaitable<void> {
    co_await on.listener->serve([&](session own) -> asio::awaitable<void> {
      own.mark_validated();
      const auto datagram = co_await own.next();
      on.net.pause("10.0.0.1");  // nothing leaves
      ++waiting;
      for (int i = 0; i < 10; ++i)
        co_await own.send(datagram->payload());
      --waiting;
    });
    ended = true;
  }(w, blocked, served));
  w.run(1ms);
  for (std::size_t i = 0; i < 3; ++i)
    w.send("hello", i);
  w.run();
  CHECK(blocked == 3);
  SECTION("the listener is closed")
  {
    w.listener->close();
  }
  SECTION("the listener is destroyed")
  {
    w.listener.reset();
  }
  SECTION("the socket is closed")
  {
    w.server.close();
  }
  w.run();
  CHECK(failed == 0);
  CHECK(served);
}

TEST_CASE("a send behind the close of the socket says that the session ended", "[servers]")
{
  world w;
  std::optional<session> kept;
  std::size_t failed = 0;
  w.listener->on_failure([&](const std::exception_ptr&) { ++failed; });
  w.spawn([](world& on, std::optional<session>& to) -> asio::awaitable<void> {
    co_await on.listener->serve([&](session own) -> asio::awaitable<void> {
      to.emplace(std::move(own));
      co_return;
    });
  }(w, kept));
  w.run(1ms);
  w.send("hello");
  w.run(1ms);
  REQUIRE(kept);
  const error_code ended = dgram::error::session_ended;
  std::vector<error_code> seen;
  asio::post(w.io, [&] {
    w.server.close();
    // The listener has not noticed it.
    error_code ec;
    CHECK_FALSE(kept->try_send("a", ec));
    seen.push_back(ec);
    kept->async_send(asio::buffer("b", 1),
                     [&](error_code why, std::size_t) { seen.push_back(why); });
    w.spawn([](session& from, std::vector<error_code>& to) -> asio::awaitable<void> {
      try {
        co_await from.send("c");
        to.emplace_back();
      } catch (const dgram::system_error& thrown) {
        to.push_back(thrown.code());
      }
    }(*kept, seen));
  });
  w.run();
  CHECK(seen == std::vector{ended, ended, ended});
  CHECK(failed == 0);
}

namespace {

/// The ways to wait for a datagram of a session.
enum class way { next, next_for, async_next, async_receive, async_wait };

constexpr std::array all_ways{way::next, way::next_for, way::async_next, way::async_receive,
                              way::async_wait};

/// Waits for one datagram. Sets `got` to its text, to "empty" or to "session_ended".
void wait_for_one(world& w, session& from, way how, std::string& got)
{
  got = "pending";
  const auto view = [&got](error_code ec, const std::optional<dgram::datagram>& datagram) {
    got = ec ? ec.message() : datagram ? std::string(datagram->payload().text()) : "empty";
  };
  const auto said = [&got](error_code ec) {
    got = ec == dgram::error::session_ended ? "session_ended" : ec ? ec.message() : "there";
  };
  if (how == way::next || how == way::next_for)
    w.spawn([](session& in, bool has_limit, auto note) -> asio::awaitable<void> {
      error_code ec;
      const auto datagram = has_limit ? co_await in.next_for(1h, ec) : co_await in.next(ec);
      note(ec, datagram);
    }(from, how == way::next_for, view));
  if (how == way::async_next) from.async_next(view);
  if (how == way::async_receive) {
    const auto data = std::make_shared<std::array<char, 16>>();
    from.async_receive(asio::buffer(*data), [=, &got](error_code ec, std::size_t size) {
      said(ec);
      if (!ec) got.assign(data->data(), size);
    });
  }
  if (how == way::async_wait)
    from.async_wait(asio::socket_base::wait_read, [=, &got, &from](error_code ec) {
      said(ec);
      if (ec) return;
      const auto datagram = from.try_next();
      got = datagram ? datagram->payload().text() : "nothing there";
    });
}

bool says_ended(const std::string& got)
{
  return got == "empty" || got == "session_ended";
}

}  // namespace

TEST_CASE("a wait that is due when the listener stops completes with its datagram", "[servers][F1]")
{
  const way how = GENERATE(from_range(all_ways));
  const bool begins_late = GENERATE(false, true);
  CAPTURE(static_cast<int>(how), begins_late);
  world w;
  session a = w.accept_from(0);
  session b = w.accept_from(1);
  drain(a);
  drain(b);
  std::string got;
  if (begins_late) {
    // The datagram is there, and the session ends before the wait completes.
    w.send("y", 1);
    w.run();
    wait_for_one(w, b, how, got);
    if (how == way::next || how == way::next_for) w.io.poll();
    w.listener->stop();
  } else {
    // Both get a datagram by one batch, and the handler of the first one stops the listener.
    a.async_next([&](error_code, const auto&) { w.listener->stop(); });
    wait_for_one(w, b, how, got);
    w.run(1ms);
    w.send("x", 0);
    w.send("y", 1);
  }
  w.run();
  CHECK(b.ended() == session_end::stopped);
  CHECK(got == "y");
  CHECK(b.statistics().queued == 0);
  wait_for_one(w, b, how, got);
  w.run();
  CHECK(says_ended(got));
  CHECK(w.counts().unread == 0);
  require_balance(*w.listener);
}

TEST_CASE("a wait that is due when the listener stops follows its handle, and ends if it goes",
          "[servers][F1]")
{
  const way how = GENERATE(way::next, way::next_for, way::async_next, way::async_receive);
  const bool is_kept = GENERATE(true, false);
  CAPTURE(static_cast<int>(how), is_kept);
  world w;
  session a = w.accept_from(0);
  std::optional<session> b = w.accept_from(1);
  session moved;
  drain(a);
  drain(*b);
  std::string got;
  a.async_next([&](error_code, const auto&) {
    w.listener->stop();
    if (is_kept) moved = std::move(*b);
    b.reset();
  });
  wait_for_one(w, *b, how, got);
  w.run(1ms);
  w.send("x", 0);
  w.send("y", 1);
  w.run();
  CHECK((is_kept ? got == "y" : says_ended(got)));
  CHECK(w.counts().unread == (is_kept ? 0 : 1));
  require_balance(*w.listener);
}

namespace {

/// Launches a deferred operation, which can be launched again.
void launch(auto operation, auto handler)
{
  std::move(operation)(std::move(handler));
}

}  // namespace

TEST_CASE("a lazy receive takes its datagram when it is launched, each launch another one",
          "[servers][F2]")
{
  const bool is_stopped = GENERATE(false, true);
  CAPTURE(is_stopped);
  world w;
  session a = w.accept_from(0);
  w.send("2");
  w.send("3");
  w.send("4");
  w.run();
  if (is_stopped) w.listener->stop();
  const std::uint64_t handed_over = w.counts().handed_over;
  std::array<char, 16> data{};
  std::vector<std::string> seen;
  const auto note = [&](error_code ec, const std::optional<dgram::datagram>& datagram) {
    seen.emplace_back(!ec && datagram ? datagram->payload().text() : "nothing");
  };
  const auto note_size = [&](error_code ec, std::size_t size) {
    seen.emplace_back(ec ? "nothing" : std::string(data.data(), size));
  };
  {
    [[maybe_unused]] const auto next = a.async_next(test::deferred);
    [[maybe_unused]] const auto receive = a.async_receive(asio::buffer(data), test::deferred);
    [[maybe_unused]] const auto lazy = a.async_next(asio::use_awaitable);
  }
  w.run();
  CHECK(a.statistics().queued == 4);
  CHECK(w.counts().handed_over == handed_over);
  const auto next = a.async_next(test::deferred);
  const auto receive = a.async_receive(asio::buffer(data), test::deferred);
  for (int round = 0; round < 2; ++round) {
    launch(next, note);
    w.run();
    launch(receive, note_size);
    w.run();
  }
  CHECK(seen == texts{"hello", "2", "3", "4"});
  CHECK(w.counts().handed_over == handed_over + 4);
  w.listener->stop();
  launch(next, note);
  launch(receive, note_size);
  w.run();
  CHECK(seen == texts{"hello", "2", "3", "4", "nothing", "nothing"});
  require_balance(*w.listener);
}

TEST_CASE("a lazy receive leaves the held datagram alone until it is launched", "[servers][F2]")
{
  world w;
  session a = w.accept_from(0);
  w.send("other");
  w.run();
  const auto held = a.try_next();
  std::array<char, 16> data{};
  [[maybe_unused]] const auto next = a.async_next(test::deferred);
  [[maybe_unused]] const auto receive = a.async_receive(asio::buffer(data), test::deferred);
  w.send("third");  // would take the memory that was given back
  w.run();
  REQUIRE(held);
  CHECK(held->payload().text() == "hello");
}

TEST_CASE("a lazy wait looks for a datagram when it is launched", "[servers][F2]")
{
  world w;
  session a = w.accept_from(0);
  w.listener->stop();
  int calls = 0;
  error_code said;
  const auto note = [&](error_code ec) {
    ++calls;
    said = ec;
  };
  const auto wait = a.async_wait(asio::socket_base::wait_read, test::deferred);
  launch(wait, note);
  w.run();
  CHECK(calls == 1);
  CHECK_FALSE(said);
  CHECK(drain(a) == texts{"hello"});
  launch(wait, note);
  w.run();
  CHECK(calls == 2);
  CHECK(said == dgram::error::session_ended);
}

namespace {

struct sent {
  std::size_t well = 0;
  std::size_t refused = 0;  // as not validated
  error_code ec;

  auto noted()
  {
    return [this](error_code code, auto&&...) {
      ec = code;
      if (!code) ++well;
      if (code == dgram::error::not_validated) ++refused;
    };
  }
};

/// Whether the session may send so many bytes, and not one more.
bool has_budget(session& peer, std::size_t bytes)
{
  error_code ec;
  if (peer.try_send(std::string(bytes + 1, 'x'), ec)) return false;
  return ec == dgram::error::not_validated && peer.try_send(std::string(bytes, 'x'), ec);
}

}  // namespace

TEST_CASE("a lazy send pays when it is launched, and each launch pays", "[servers][F3]")
{
  world w;
  session a = w.accept_from(0);  // 5 bytes, which allow 15
  for (int i = 0; i < 10; ++i) {
    [[maybe_unused]] const auto never = a.async_send(asio::buffer("12345", 5), test::deferred);
    [[maybe_unused]] const auto lazy = a.async_send(asio::buffer("12345", 5), asio::use_awaitable);
  }
  CHECK(a.statistics().refused == 0);
  sent all;
  const auto send = a.async_send(asio::buffer("1234", 4), test::deferred);
  for (int i = 0; i < 4; ++i)
    launch(send, all.noted());
  w.run();
  CHECK(all.well == 3);
  CHECK(all.refused == 1);
  CHECK(has_budget(a, 3));
  w.run();
  CHECK(w.replies() == texts{"1234", "1234", "1234", "xxx"});
}

TEST_CASE("a lazy send goes to the peer of its launch, or says that the session has ended",
          "[servers][F3]")
{
  world w;
  session a = w.accept_from(0);
  const auto send = a.async_send(asio::buffer("1", 1), test::deferred);
  REQUIRE(a.set_peer({.peer = w.client(1).local_endpoint()}));
  sent all;
  launch(send, all.noted());
  w.run();
  CHECK(w.replies(0).empty());
  CHECK(w.replies(1) == texts{"1"});
  a.close();
  launch(send, all.noted());
  w.run();
  CHECK(all.well == 1);
  CHECK(all.ec == dgram::error::session_ended);
  CHECK(w.replies(1).empty());
}

TEST_CASE("a cancelled send gives back what it was allowed to send", "[servers][F3]")
{
  const int form = GENERATE(0, 1, 2);
  CAPTURE(form);
  world w({.queue = {.datagrams = 1}});
  session a = w.accept_from(0);  // 5 bytes, which allow 15
  session filler = w.accept_from(1);
  filler.mark_validated();
  w.net.pause("10.0.0.1");  // nothing leaves
  std::size_t fill = 0;
  while (filler.try_send("fill"))
    ++fill;
  REQUIRE(fill > 0);
  const std::string data = "1234567";
  sent all;
  asio::cancellation_signal signal;
  const auto note_thrown = [&](const std::exception_ptr& thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const dgram::system_error& failed) {
      all.ec = failed.code();
    }
  };
  const auto send_by = [&](auto to) {
    asio::co_spawn(
        w.io,
        [](auto by, const std::string& text) -> asio::awaitable<void> { co_await by->send(text); }(
                                                 to, data),
        asio::bind_cancellation_slot(signal.slot(), note_thrown));
  };
  if (form == 0)
    a.async_send(asio::buffer(data), asio::bind_cancellation_slot(signal.slot(), all.noted()));
  if (form == 1) send_by(&a);
  const auto reference = w.listener->find(a.id());
  if (form == 2) send_by(&reference);
  w.run(10ms);
  signal.emit(asio::cancellation_type::terminal);
  w.run(10ms);
  CHECK(all.ec == aborted);
  w.net.resume("10.0.0.1");
  w.run();
  CHECK(has_budget(a, 15));
}

TEST_CASE("two waits for one datagram: the second waits on, and can be cancelled", "[servers]")
{
  world w;
  w.send("only");
  w.run(10ms);
  auto accepted = w.accept();
  REQUIRE(accepted);
  session& a = *accepted;
  asio::cancellation_signal signal;
  std::optional<error_code> first;
  std::optional<error_code> second;
  a.async_next([&](error_code ec, const auto& datagram) {
    first = ec;
    CHECK(datagram);
  });
  a.async_next(asio::bind_cancellation_slot(signal.slot(),
                                            [&](error_code ec, const auto&) { second = ec; }));
  w.run(10ms);
  CHECK(first == error_code());
  CHECK_FALSE(second);
  SECTION("it is cancelled")
  {
    signal.emit(asio::cancellation_type::total);
    w.run(10ms);
    CHECK(second == aborted);
  }
  SECTION("it gets the next one")
  {
    w.send("next");
    w.run(10ms);
    CHECK(second == error_code());
  }
  require_balance(*w.listener);
}

TEST_CASE("a send that waits for room keeps the context of its handler running", "[servers]")
{
  world w({.queue = {.datagrams = 1}});
  w.send("hello");
  w.run(10ms);
  auto accepted = w.accept();
  REQUIRE(accepted);
  accepted->mark_validated();
  w.net.pause("10.0.0.1");  // nothing leaves
  for (int i = 0; i < 10 && accepted->try_send("data"); ++i) {}
  asio::io_context other;
  std::optional<error_code> got;
  accepted->async_send(asio::buffer("late", 4),
                       asio::bind_executor(other, [&](error_code ec, auto) { got = ec; }));
  w.run(10ms);
  other.poll();
  CHECK_FALSE(got);
  CHECK_FALSE(other.stopped());
  w.net.resume("10.0.0.1");
  w.run(10ms);
  CHECK_FALSE(got);  // it is called in the other context
  other.run();
  CHECK(got == error_code());
}

TEST_CASE("what is cancelled when it has ended and before its turn takes nothing", "[servers]")
{
  world w;
  asio::cancellation_signal signal;
  std::optional<error_code> got;
  const auto note = [&] {
    return asio::bind_cancellation_slot(signal.slot(),
                                        [&](error_code ec, const auto&) { got = ec; });
  };
  w.send("first");
  w.run(10ms);
  SECTION("a wait for a session")
  {
    auto accepted = w.accept();
    REQUIRE(accepted);
    accepted->close();
    w.run(10ms);
    w.send("second", 1);
    w.run(10ms);
    w.listener->async_accept(note());
    signal.emit(asio::cancellation_type::total);
    w.run(10ms);
    CHECK(got == aborted);
    accepted = w.accept();
    REQUIRE(accepted);
    CHECK(accepted->try_next());
  }
  SECTION("a wait for a datagram")
  {
    auto accepted = w.accept();
    REQUIRE(accepted);
    std::array<char, 16> data{};
    if (GENERATE(false, true))
      accepted->async_next(note());
    else
      accepted->async_receive(asio::buffer(data), note());
    signal.emit(asio::cancellation_type::total);
    w.run(10ms);
    CHECK(got == aborted);
    const auto left = accepted->try_next();
    REQUIRE(left);
    CHECK(left->payload().text() == "first");
  }
  require_balance(*w.listener);
}

TEST_CASE("a send that can never be queued gives back what it was allowed to send", "[servers][F3]")
{
  world w({.queue = {.bytes = 100}});
  w.send(std::string(100, 'h'));
  auto accepted = w.accept();
  REQUIRE(accepted);
  session& a = *accepted;
  const std::string data(250, 'x');
  sent all;
  a.async_send(asio::buffer(data), all.noted());
  w.run();
  CHECK(all.ec == asio::error::message_size);
  for (int i = 0; i < 3; ++i) {
    CHECK(a.try_send(std::string(100, 'x')));
    w.run();
  }
  CHECK(has_budget(a, 0));
}

TEST_CASE("a send with options that cannot be gives back what it was allowed to send",
          "[servers][F3]")
{
  const std::vector<std::byte> much(1000);
  std::vector<dgram::send_options> all;
  all.push_back({.dscp = std::uint8_t{64}});
  all.push_back({.hop_limit = 0});
  all.push_back({.segment_size = std::size_t{0}});
  all.push_back({.control = much});
  all.push_back({.source = asio::ip::make_address("::1")});
  const bool waits = GENERATE(false, true);
  world w({.queue = {.datagrams = 2}});
  session a = w.accept_from(0);  // 5 bytes, which allow 15
  session filler = w.accept_from(1);
  filler.mark_validated();
  const auto reference = w.listener->find(a.id());
  std::size_t failed = 0;
  const auto note = [&](const std::exception_ptr& thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const dgram::system_error&) {
      ++failed;
    }
  };
  for (const dgram::send_options& each : all) {
    if (waits) w.net.pause("10.0.0.1");
    while (waits && filler.try_send("fill")) {}
    error_code ec;
    CHECK_FALSE(a.try_send("1234567", each));
    CHECK_FALSE(a.try_send("1234567", each, ec));
    CHECK_FALSE(reference.try_send("1234567", each, ec));
    CHECK(ec);
    asio::co_spawn(w.io, a.send("1234567", each), note);
    asio::co_spawn(w.io, reference.send("1234567", each), note);
    w.run(1ms);
    w.net.resume("10.0.0.1");
    w.run();
  }
  CHECK(failed == 2 * all.size());
  CHECK(has_budget(a, 15));
}

TEST_CASE("a reference to a session waits for room, and sends with options", "[servers][F3]")
{
  world w({.queue = {.datagrams = 1}});
  session a = w.accept_from(0);
  a.mark_validated();
  w.spawn([](auto to) -> asio::awaitable<void> {
    for (int i = 0; i < 5; ++i)
      co_await to.send("x", dgram::send_options{});
  }(w.listener->find(a.id())));
  w.run();
  CHECK(w.replies() == texts(5, "x"));
}

TEST_CASE("a lazy wait for the end says why the session ended, whenever it is launched",
          "[servers][F4]")
{
  const auto why =
      GENERATE(session_end::idle, session_end::closed, session_end::evicted, session_end::stopped);
  const int handle = GENERATE(0, 1, 2, 3);
  CAPTURE(static_cast<int>(why), handle);
  world w(
      {.idle_timeout = 10s, .max_sessions = 1, .when_full = dgram::sessions_full::evict_idlest});
  std::optional<session> a = w.accept_from(0);
  session moved;
  if (handle == 1) moved = std::move(*a);
  session& own = handle == 1 ? moved : *a;
  const auto wait = own.async_ended(test::deferred);
  if (why == session_end::idle) w.run(11s);
  if (why == session_end::closed) own.close();
  if (why == session_end::evicted) w.send("other", 1);
  if (why == session_end::stopped) w.listener->stop();
  w.run();
  if (handle == 2) own.close();
  if (handle == 3) a.reset();
  std::optional<session_end> told;
  const auto note = [&](error_code ec, session_end said) {
    CHECK_FALSE(ec);
    told = said;
  };
  for (int round = 0; round < 2; ++round) {
    told.reset();
    launch(wait, note);
    w.run();
    CHECK(told == why);
  }
}

TEST_CASE("a lazy wait for the end says closed if the handle was destroyed first", "[servers][F4]")
{
  world w;
  std::optional<session> a = w.accept_from(0);
  const auto wait = a->async_ended(test::deferred);
  a.reset();
  w.listener->stop();
  std::optional<session_end> told;
  launch(wait, [&](error_code, session_end said) { told = said; });
  w.run();
  CHECK(told == session_end::closed);
}

TEST_CASE("a function of the program may call the listener when it is destroyed", "[servers][F6]")
{
  world w;
  const int operation = GENERATE(0, 1);
  const int how = GENERATE(0, 1, 2);
  const int again = GENERATE(0, 1, 2, 3);
  CAPTURE(operation, how, again);
  const auto end = [&](int which) {
    if (which == 0) w.listener->cancel();
    if (which == 1) w.listener->stop();
    if (which == 2) w.listener->close();
  };
  struct caller {
    std::function<void()> call;
    explicit caller(std::function<void()> function) : call(std::move(function)) {}
    caller(const caller&) = delete;
    caller& operator=(const caller&) = delete;
    ~caller() { call(); }
  };
  int destroyed = 0;
  int completed = 0;
  auto captured = std::make_shared<caller>([&] {
    ++destroyed;
    end(again);
    if (again == 3) w.listener->async_accept([&](error_code, const auto&) { ++completed; });
  });
  const auto done = [&](error_code) { ++completed; };
  if (operation == 0)
    w.listener->async_for_each([captured](const auto&, const dgram::datagram&) {}, done);
  else
    w.listener->async_serve(
        [captured](session own) -> asio::awaitable<void> { co_await own.next(); }, done);
  captured.reset();
  w.run();
  end(how);
  w.run();
  w.listener->close();
  w.run();
  CHECK(destroyed == 1);
  CHECK(completed == (again == 3 ? 2 : 1));
}

}  // namespace ends_test
