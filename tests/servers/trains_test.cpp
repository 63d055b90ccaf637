// SPDX-License-Identifier: BSL-1.0
// Trains of datagrams that the kernel has joined, in sessions: each datagram stays one.
#include "support/asio.hpp"
#include "support/listener_account.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace trains_test {

using namespace std::chrono_literals;

namespace {

using texts = std::vector<std::string>;
using dgram::error_code;
using session = dgram::udp::session;

constexpr std::size_t piece = 100;

/// Datagrams with a number each, of which the last is shorter.
struct train {
  explicit train(char name, std::size_t count)
  {
    for (std::size_t i = 0; i < count; ++i) {
      std::string one = name + std::to_string(i) + ' ';
      one.resize(i + 1 < count ? piece : piece / 2, name);
      payload += one;
      pieces.push_back(std::move(one));
    }
  }

  std::string payload;
  texts pieces;
};

texts part(const texts& of, std::size_t first, std::size_t count)
{
  const auto from = of.begin() + static_cast<std::ptrdiff_t>(first);
  return {from, from + static_cast<std::ptrdiff_t>(count)};
}

/// A server and clients on loopback. The account is checked at the end of each test.
struct scene {
  explicit scene(const dgram::listener_config& config = {},
                 dgram::udp::listener::key_function key_of = {})
  {
    listener.emplace(server, config, std::move(key_of));
  }
  scene(const scene&) = delete;
  scene& operator=(const scene&) = delete;
  ~scene()
  {
    if (listener) test::check_account(*listener);
  }

  void send(const train& what, dgram::udp::socket& from)
  {
    from.send_to(asio::buffer(what.payload), server.local_endpoint(), {.segment_size = piece});
    sent += what.pieces.size();
  }

  void run_until(const std::function<bool()>& is_done)
  {
    io.restart();
    const auto latest = std::chrono::steady_clock::now() + 20s;
    while (!is_done() && std::chrono::steady_clock::now() < latest)
      io.run_one_for(100ms);
    REQUIRE(is_done());
  }

  /// Runs until the listener has all that was sent.
  void run()
  {
    run_until([this] { return counts().received == sent; });
    io.poll();
  }

  session accept_one(dgram::udp::socket& from)
  {
    std::optional<session> result;
    from.send_to(asio::buffer("hello", 5), server.local_endpoint());
    ++sent;
    listener->async_accept([&](error_code ec, std::optional<session> accepted) {
      CHECK_FALSE(ec);
      result = std::move(accepted);
    });
    run_until([&] { return result.has_value(); });
    CHECK(result->try_next()->payload().text() == "hello");
    return std::move(*result);
  }

  /// The session of the client, with a train in its inbox.
  session accept_with(const train& waiting)
  {
    session peer = accept_one(client);
    send(waiting, client);
    run();
    return peer;
  }

  dgram::listener_statistics counts() const { return listener->statistics(); }

  asio::io_context io{1};
  dgram::udp::socket server{io, "127.0.0.1:0"};
  dgram::udp::socket client{io, "127.0.0.1:0"};
  dgram::udp::socket other{io, "127.0.0.1:0"};
  std::optional<dgram::udp::listener> listener;
  std::uint64_t sent = 0;
};

texts drain(session& of)
{
  texts result;
  while (const auto next = of.try_next())
    result.emplace_back(next->payload().text());
  return result;
}

asio::awaitable<void> listen(session peer, texts& heard)
{
  while (const auto datagram = co_await peer.next())
    heard.emplace_back(datagram->payload().text());
}

bool has_trains()
{
  return dgram::capabilities().max_segments > 1 && dgram::capabilities().coalescing;
}

}  // namespace

TEST_CASE("a session gets each datagram of a train, in order", "[servers]")
{
  if (!has_trains()) SKIP("this system has no trains");
  scene s;
  texts heard;
  const train first('a', 40), second('b', 1), third('c', 64), others('o', 30);
  asio::co_spawn(s.io,
                 s.listener->serve([&](session peer) { return listen(std::move(peer), heard); }),
                 asio::detached);
  s.send(first, s.client);
  s.send(others, s.other);
  s.send(second, s.client);
  s.send(third, s.client);
  s.run();
  texts of_client, of_other;
  for (const std::string& one : heard)
    (one.front() == 'o' ? of_other : of_client).push_back(one);
  texts expected = first.pieces;
  for (const train* more : {&second, &third})
    expected.insert(expected.end(), more->pieces.begin(), more->pieces.end());
  CHECK(of_client == expected);
  CHECK(of_other == others.pieces);
  CHECK(s.counts().handed_over == 135);
  s.listener->close();
  s.io.poll();
}

TEST_CASE("a train waits in an inbox, and each datagram knows its sender and its train",
          "[servers]")
{
  if (!has_trains()) SKIP("this system has no trains");
  scene s;
  const train sent('a', 20);
  session peer = s.accept_with(sent);
  CHECK(peer.statistics().queued == 20);
  CHECK(peer.statistics().received == 21);
  texts heard;
  while (const auto next = peer.try_next()) {
    CHECK(next->sender() == s.client.local_endpoint());
    CHECK(next->segment_size() == piece);
    CHECK_FALSE(next->truncated());
    const dgram::owned_datagram copy = next->to_owned();
    CHECK(copy.payload().text() == next->payload().text());
    heard.emplace_back(next->payload().text());
    CHECK(peer.statistics().queued == 20 - heard.size());
  }
  CHECK(heard == sent.pieces);
}

TEST_CASE("a full inbox drops single datagrams of a train", "[servers]")
{
  if (!has_trains()) SKIP("this system has no trains");
  const bool drops_newest = GENERATE(false, true);
  const std::size_t room =
      GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{19}, std::size_t{20});
  const bool by_bytes = GENERATE(false, true);
  CAPTURE(drops_newest, room, by_bytes);
  scene s({.inbox_datagrams = by_bytes ? 64 : room,
           .inbox_bytes = by_bytes ? room * piece : 65536,
           .inbox_when_full =
               drops_newest ? dgram::inbox_full::drop_newest : dgram::inbox_full::drop_oldest});
  const train sent('a', 20);
  session peer = s.accept_with(sent);
  // The last datagram is half as long, so it may fit where a whole one does not.
  const std::size_t dropped = s.counts().inbox_full;
  CHECK(s.counts().queued == 20 - dropped);
  CHECK(peer.statistics().dropped == dropped);
  const texts kept = drain(peer);
  REQUIRE(kept.size() == 20 - dropped);
  CHECK(kept.size() <= room + (by_bytes ? 1 : 0));
  CHECK(kept.size() >= room);
  if (drops_newest)
    CHECK(part(kept, 0, room) == part(sent.pieces, 0, room));
  else
    CHECK(kept == part(sent.pieces, dropped, kept.size()));
  // The memory is used again.
  s.send(train('b', 1), s.client);
  s.run();
  CHECK(drain(peer).size() == 1);
}

TEST_CASE("a session may end in the middle of a train", "[servers]")
{
  if (!has_trains()) SKIP("this system has no trains");
  scene s;
  std::size_t heard = 0, sessions = 0;
  const auto leave_early = [](session peer, std::size_t& count) -> asio::awaitable<void> {
    while (co_await peer.next())
      if (++count % 3 == 0) co_return;
  };
  asio::co_spawn(s.io, s.listener->serve([&](session peer) {
    ++sessions;
    return leave_early(std::move(peer), heard);
  }),
                 asio::detached);
  s.send(train('a', 40), s.client);
  s.send(train('b', 40), s.client);
  s.run();
  CHECK(heard >= 6);
  CHECK(sessions >= 2);
  CHECK(s.counts().handed_over == heard);
  CHECK(s.counts().handed_over + s.counts().unread == 80);
  s.listener->close();
  s.io.poll();
}

TEST_CASE("what a program looks at stays until its next receive, also in a train", "[servers]")
{
  if (!has_trains()) SKIP("this system has no trains");
  scene s;
  const train sent('a', 3);
  session peer = s.accept_with(sent);
  const auto first = peer.try_next();
  s.send(train('b', 30), s.client);  // more memory is taken meanwhile
  s.run();
  CHECK(first->payload().text() == sent.pieces[0]);
  CHECK(peer.try_next()->payload().text() == sent.pieces[1]);
  const auto last = peer.try_next();
  s.send(train('c', 30), s.client);
  s.run();
  CHECK(last->payload().text() == sent.pieces[2]);
  CHECK(drain(peer).size() == 60);
}

TEST_CASE("the datagrams of a train may have different keys", "[servers]")
{
  if (!has_trains()) SKIP("this system has no trains");
  const auto by_first_byte = [](const dgram::datagram& datagram) {
    return dgram::session_key::at(datagram.payload(), 0, 1);
  };
  scene s({}, by_first_byte);
  texts heard;
  std::size_t sessions = 0;
  asio::co_spawn(s.io, s.listener->serve([&](session peer) {
    ++sessions;
    return listen(std::move(peer), heard);
  }),
                 asio::detached);
  const train a('a', 3), b('b', 3);
  train mixed('a', 0);
  for (std::size_t i = 0; i < 2; ++i) {
    mixed.payload += a.pieces[i] + b.pieces[i];
    mixed.pieces.push_back(a.pieces[i]);
    mixed.pieces.push_back(b.pieces[i]);
  }
  s.send(mixed, s.client);
  s.run();
  CHECK(sessions == 2);
  CHECK(heard == texts{a.pieces[0], a.pieces[1], b.pieces[0], b.pieces[1]});
  s.listener->close();
  s.io.poll();
}

TEST_CASE("a train that the inboxes' memory does not take comes in one by one", "[servers]")
{
  if (!has_trains()) SKIP("this system has no trains");
  scene s({.all_inboxes_bytes = 2048});
  const train sent('a', 40);
  session peer = s.accept_with(sent);
  const auto counts = s.counts();
  CHECK(counts.queued > 0);
  CHECK(counts.queued + counts.inboxes_full == 40);
  CHECK(drain(peer) == part(sent.pieces, 0, counts.queued));
}

TEST_CASE("without a coroutine, a function gets each datagram of a train", "[servers]")
{
  if (!has_trains()) SKIP("this system has no trains");
  scene s;
  texts heard;
  s.listener->async_for_each(
      [&](auto, const dgram::datagram& datagram) { heard.emplace_back(datagram.payload().text()); },
      [](error_code) {});
  const train sent('a', 40);
  s.send(sent, s.client);
  s.run();
  CHECK(heard == sent.pieces);
  s.listener->close();
  s.io.poll();
}

}  // namespace trains_test
