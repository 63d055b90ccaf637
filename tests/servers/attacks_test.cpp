// SPDX-License-Identifier: BSL-1.0
// Peers that do harm, by accident or on purpose: floods, chosen keys, new addresses, silence.
#include "servers/world.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace attacks_test {

using namespace servers;

namespace {

constexpr std::uint64_t few = 25;

/// Finds sessions by the first byte of a datagram.
dgram::session_key first_byte(const dgram::datagram& received)
{
  return dgram::session_key::at(received.payload(), 0, 1);
}

/// A host behind a NAT, and a socket on it.
struct behind_nat {
  explicit behind_nat(world& w)
  {
    w.net.add_host("inside", {"192.168.0.2"});
    w.net.add_nat("203.0.113.1", {"inside"}, {.mapping_timeout = 1h});
    socket.emplace(w.net, sim::location{"inside", 0});
  }

  std::optional<sim::socket> socket;
};

/// Datagrams from as many ports as the attacker likes.
void flood_from_new_peers(world& w, std::size_t peers, std::string_view text)
{
  for (std::size_t i = 0; i < peers; ++i) {
    sim::socket attacker(w.net, sim::location{"10.66.0.1", 0});
    w.send(text, attacker);
  }
}

/// An accepted session whose coroutine has answered once.
void greet(world& w, std::size_t client)
{
  w.send("hello", client);
  w.run(100ms);
  require(w.replies(client) == texts{"hello"}, "no answer before the attack");
}

}  // namespace

TEST_CASE("a peer whose NAT forgets it gets a new session, and the old one ends as idle",
          "[servers]")
{
  on_seeds(few, "nat-by-peer", [](std::uint64_t seed) {
    world w({.idle_timeout = 10s}, {}, {.seed = seed, .jitter = 500us});
    behind_nat peer(w);
    std::vector<session_end> ends;
    w.listener->on_end([&](auto, const auto&, session_end why) { ends.push_back(why); });
    w.spawn([](world& on) -> asio::awaitable<void> { co_await on.listener->serve(&echo); }(w));
    w.run(1ms);
    for (int rebindings = 0; rebindings < 5; ++rebindings) {
      w.send("hello", *peer.socket);
      w.run(1s);
      require(w.replies(*peer.socket) == texts{"hello"}, "no answer after a rebinding");
      w.net.rebind("203.0.113.1");
    }
    require_equal(w.counts().created, std::uint64_t{5}, "sessions");
    w.run(20s);
    require(ends == std::vector<session_end>(5, session_end::idle), "an end was not idle");
    require_balance(*w.listener);
  });
}

TEST_CASE("a peer that is found by a key keeps its session behind a NAT that forgets it",
          "[servers]")
{
  on_seeds(few, "nat-by-key", [](std::uint64_t seed) {
    world w({}, first_byte, {.seed = seed, .jitter = 500us});
    behind_nat peer(w);
    w.send("a1", *peer.socket);
    auto own = w.accept();
    require(own.has_value(), "no session");
    own->mark_validated();
    require(drain(*own) == texts{"a1"}, "the first datagram");
    const auto before = own->remote_endpoint();

    w.net.rebind("203.0.113.1");
    w.send("a2", *peer.socket);
    w.run(100ms);
    require_equal(w.counts().created, std::uint64_t{1}, "sessions");
    const auto moved = own->try_next();
    require(moved && moved->payload().text() == "a2", "the datagram from the new address");
    require(moved->sender() != before, "the address has not changed");

    // Until the program says so, answers go to the address that is known.
    require(own->remote_endpoint() == before, "a datagram alone has moved the session");
    require(own->try_send("to the old"), "a send to the old address");
    w.run(100ms);
    require(w.replies(*peer.socket).empty(), "an answer came through the forgotten mapping");
    require(own->set_peer(moved->reply_path()), "set_peer");
    require(own->try_send("to the new"), "a send to the new address");
    w.run(100ms);
    require(w.replies(*peer.socket) == texts{"to the new"}, "no answer at the new address");
    require_balance(*w.listener);
  });
}

TEST_CASE("a flood of new peers takes no more than the limits, and known peers are still served",
          "[servers]")
{
  on_seeds(few, "flood-of-peers", [](std::uint64_t seed) {
    const bool accepts = seed % 2 == 0;
    const bool evicts = seed % 3 == 0;
    const auto full = evicts ? dgram::sessions_full::evict_idlest : dgram::sessions_full::refuse;
    world w({.max_sessions = 32,
             .when_full = full,
             .max_unaccepted = 8,
             .inbox_datagrams = 2,
             .all_inboxes_bytes = 16 * 1024},
            {}, {.seed = seed, .jitter = 2ms});
    std::size_t known = 0;
    w.spawn([](world& on, std::size_t& count, bool goes_on) -> asio::awaitable<void> {
      while (auto next = co_await on.listener->accept()) {
        if (count < 4) next->mark_validated();
        ++count;
        asio::co_spawn(on.io, echo(std::move(*next)), rethrowing());
        if (!goes_on && count == 4) break;
      }
    }(w, known, accepts));
    for (std::size_t i = 0; i < 4; ++i)
      greet(w, i);

    std::size_t answers = 0;
    for (int wave = 0; wave < 10; ++wave) {
      flood_from_new_peers(w, 60, "spoofed");
      for (std::size_t i = 0; i < 4; ++i)
        w.send("still here", i);
      for (int slice = 0; slice < 10; ++slice) {
        w.run(1ms);
        require(w.listener->size() <= 32, "more sessions than max_sessions");
        require_balance(*w.listener);
      }
      for (std::size_t i = 0; i < 4; ++i)
        answers += w.replies(i).size();
    }
    w.run(1s);
    for (std::size_t i = 0; i < 4; ++i)
      answers += w.replies(i).size();
    require_equal(answers, std::size_t{40}, "answers to known peers");
    const auto counts = w.counts();
    require_equal(counts.received, w.net.counters("10.66.0.1", "10.0.0.1").delivered + 44,
                  "received datagrams");
    require(counts.unaccepted_full + counts.sessions_full + counts.evicted > 0,
            "no limit was reached");
    if (!accepts) require_equal(w.listener->size(), std::size_t{12}, "sessions");
    if (!evicts) require_equal(counts.evicted, std::uint64_t{0}, "evicted sessions");
    w.listener->close();
    w.run();
    require_balance(*w.listener);
  });
}

TEST_CASE("a flood into one session is dropped there, and costs the others no datagram",
          "[servers]")
{
  on_seeds(few, "flood-of-one", [](std::uint64_t seed) {
    const bool keeps_old = seed % 2 == 0;
    world w({.inbox_datagrams = 8,
             .inbox_when_full =
                 keeps_old ? dgram::inbox_full::drop_newest : dgram::inbox_full::drop_oldest},
            {}, {.seed = seed, .keep_order = true});
    session victim = w.accept_from(0);
    session other = w.accept_from(1);
    drain(victim);
    drain(other);
    for (int i = 0; i < 1000; ++i) {
      w.send(std::to_string(i), 0);
      if (i % 200 == 0) w.send("of the other", 1);
      if (i % 100 == 99) w.run(2ms);
    }
    w.run();
    require(drain(other) == texts(5, "of the other"), "the other session has lost a datagram");
    const auto received = victim.statistics();
    require_equal(received.queued, std::size_t{8}, "queued datagrams");
    require_equal(received.dropped, received.received - 9, "dropped datagrams");
    const texts kept = drain(victim);
    require(kept.front() == (keeps_old ? "0" : "992"), "the wrong datagrams were kept");
    require_equal(w.counts().inbox_full, received.dropped, "the listener's count");
    require_balance(*w.listener);
  });
}

TEST_CASE("a session that never reads holds no more than its inbox, and does not end as idle",
          "[servers]")
{
  on_seeds(few, "never-reads", [](std::uint64_t seed) {
    world w({.idle_timeout = 1s, .inbox_datagrams = 64, .inbox_bytes = 1000}, {},
            {.seed = seed, .jitter = 100us});
    session deaf = w.accept_from(0);
    const std::string text(100, 'x');
    for (int i = 0; i < 100; ++i) {
      w.send(text, 0);
      w.run(100ms);
      require(deaf.statistics().queued <= 10, "more bytes than inbox_bytes");
      require_balance(*w.listener);
    }
    require(deaf.is_open(), "a session with traffic has ended");
    w.run(2s);
    require(deaf.ended() == session_end::idle, "a session without traffic goes on");
    require_equal(drain(deaf).size(), std::size_t{10}, "datagrams after the end");
    require_balance(*w.listener);
  });
}

TEST_CASE("thousands of keys that one peer chooses are told apart, whatever bytes they share",
          "[servers]")
{
  // The keys differ in one half only.
  const auto make_key = [](std::uint32_t number, bool is_low) {
    std::string text(16, '\0');
    for (std::size_t i = 0; i < 4; ++i)
      text[is_low ? i : 12 + i] = static_cast<char>(number >> (8 * i));
    return text;
  };
  on_seeds(4, "chosen-keys", [&](std::uint64_t seed) {
    world w({.max_sessions = 4096, .max_unaccepted = 4096},
            [](const dgram::datagram& received) { return dgram::session_key(received.payload()); },
            {.seed = seed});
    bool accepted = false;
    w.listener->async_accept([&](error_code ec, const auto&) { accepted = !ec; });
    w.run(1ms);
    std::uint64_t sent = 0;
    for (std::uint32_t i = 1; i <= 1000; ++i)
      for (const bool is_low : {true, false}) {
        w.send(make_key(i << (seed % 3 * 8), is_low), 0);
        if (++sent % 100 == 0) w.run(5ms);
      }
    w.run();
    require(accepted, "nothing was accepted");
    const auto counts = w.counts();
    require_equal(counts.received, sent, "received datagrams");
    require_equal(counts.created, sent, "sessions of the keys");
    require_balance(*w.listener);
  });
}

TEST_CASE("datagrams without a usable key make no session", "[servers]")
{
  on_seeds(few, "unusable-keys", [](std::uint64_t seed) {
    world w({},
            [](const dgram::datagram& received) { return dgram::session_key(received.payload()); },
            {.seed = seed});
    session known = w.accept_from(0);
    for (const std::size_t size : {std::size_t{0}, std::size_t{33}, std::size_t{1000}})
      w.send(std::string(size, 'k'), 0);
    w.run();
    require_equal(w.counts().unkeyed, std::uint64_t{3}, "datagrams without a key");
    require_equal(w.listener->size(), std::size_t{1}, "sessions");
    require_balance(*w.listener);
  });
}

TEST_CASE("the bytes of a datagram stay while its session waits for something else", "[servers]")
{
  on_seeds(few, "held-datagrams", [](std::uint64_t seed) {
    world w({.idle_timeout = 50ms, .inbox_datagrams = 2, .all_inboxes_bytes = 4096}, {},
            {.seed = seed});
    const std::string text(300, 'h');
    bool unchanged = false;
    const int end = static_cast<int>(seed % 5);
    w.spawn(
        [](world& on, const std::string& expected, bool& same, int how) -> asio::awaitable<void> {
          auto own = co_await on.listener->accept();
          auto datagram = co_await own->next();
          sim::timer timer(on.io, 500ms);  // a database
          if (how == 0) own->close();
          if (how == 1) on.listener->close();
          if (how == 2) on.listener.reset();
          if (how == 3) on.server.close();
          co_await timer.async_wait(asio::use_awaitable);
          session moved = std::move(*own);
          same = datagram->payload().text() == expected;
          error_code ignored;
          moved.try_send(datagram->payload(), ignored);
        }(w, text, unchanged, end));
    w.send(text, 0);
    for (int i = 0; i < 100; ++i) {
      w.send(std::string(300, static_cast<char>('a' + i % 5)), 0);
      w.send(std::string(300, 'o'), 1 + static_cast<std::size_t>(i % 3));
      w.run(10ms);
      if (w.listener) require_balance(*w.listener);
    }
    require(unchanged, "the bytes have changed");
  });
}

TEST_CASE("one elephant is resumed once for each batch, and mice come in between", "[servers]")
{
  on_seeds(few, "elephant", [](std::uint64_t seed) {
    constexpr std::size_t slots = 16;
    world w({.inbox_datagrams = 1000, .slots = slots, .yield_after = 1}, {},
            {.seed = seed, .keep_order = true});
    session elephant = w.accept_from(0);
    session mouse = w.accept_from(1);
    drain(elephant);
    drain(mouse);
    std::size_t resumed = 0;
    std::size_t at_mouse = 0;
    std::size_t posted = 0;
    std::size_t posted_before = 0;
    bool is_first = true;
    std::function<void(error_code)> wait = [&](error_code ec) {
      if (ec) return;
      ++resumed;
      require(is_first || posted > posted_before, "other handlers had no turn between two batches");
      posted_before = posted;
      is_first = false;
      asio::post(w.io, [&] { ++posted; });
      drain(elephant);
      elephant.async_wait(asio::socket_base::wait_read, wait);
    };
    elephant.async_wait(asio::socket_base::wait_read, wait);
    mouse.async_next([&](error_code, const auto& datagram) {
      if (datagram) at_mouse = resumed;
    });
    w.run(1ms);
    for (std::size_t i = 0; i < 10 * slots; ++i) {
      if (i == 2 * slots) w.send("mouse", 1);
      w.send("elephant", 0);
    }
    w.run();
    require(resumed >= 10 && resumed <= 12,
            "resumed " + std::to_string(resumed) + " times for 10 or 11 batches");
    require(at_mouse >= 2 && at_mouse <= 4,
            "the mouse came after " + std::to_string(at_mouse) + " batches");
    require_equal(w.counts().inbox_full, std::uint64_t{0}, "dropped datagrams");
    require_balance(*w.listener);
  });
}

}  // namespace attacks_test
