// SPDX-License-Identifier: BSL-1.0
// The table of peers: routing of batches, limits, idle times, keys, and what the program's
// functions may do.
#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/manual_clock.hpp"

#include <dgram/reader.hpp>
#include <dgram/session_map.hpp>
#include <dgram/udp.hpp>
#include <dgram/writer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/unix_dgram.hpp>
#endif

namespace session_map_test {

namespace {

using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using dgram::session_end;
using dgram::session_key;
using dgram::sessions_full;
using endpoint = asio::ip::udp::endpoint;

using manual_clock = test::manual_clock<std::chrono::duration<std::int64_t, std::milli>>;

struct player {
  int datagrams = 0;
  std::string heard;
};

using players = dgram::session_map<player>;

template <class T>
using timed_map = dgram::session_map<T, dgram::udp, manual_clock>;

endpoint peer(std::uint32_t number)
{
  return {asio::ip::address_v4(0x0A000000U + number), 4000};
}

/// A batch of one datagram from each of these peers; the payload is its number.
dgram::receive_batch batch_of(const std::vector<std::uint32_t>& peers)
{
  dgram::receive_batch batch(std::max<std::size_t>(1, peers.size()), 512);
  for (const std::uint32_t number : peers)
    batch.store(std::to_string(number), peer(number));
  return batch;
}

template <class Map>
void route_all(Map& map, const dgram::receive_batch& batch)
{
  for (auto [session, datagram] : map.route(batch))
    static_cast<void>(datagram);
}

template <class Map>
void route_peers(Map& map, const std::vector<std::uint32_t>& peers)
{
  route_all(map, batch_of(peers));
}

/// Each datagram that a loop reached was counted once, and each session, too.
template <class Map>
void require_balance(const Map& map, std::uint64_t datagrams)
{
  const auto counts = map.statistics();
  REQUIRE(counts.routed + counts.refused + counts.rejected + counts.ignored + counts.unkeyed +
              counts.failed ==
          datagrams);
  REQUIRE(counts.created == map.size() + counts.idle + counts.closed + counts.evicted);
}

}  // namespace

TEST_CASE("each datagram is routed to the session of its peer, in order", "[sessions]")
{
  players map;
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < 200; ++i)
    order.push_back(i * i % 31);
  const auto batch = batch_of(order);
  std::vector<std::uint32_t> seen;
  for (auto [player, datagram] : map.route(batch)) {
    CHECK(datagram.sender() == peer(order[seen.size()]));
    player->heard += datagram.payload().text();
    player->heard += ' ';
    seen.push_back(static_cast<std::uint32_t>(std::stoul(std::string(datagram.payload()))));
  }
  CHECK(seen == order);
  std::map<std::uint32_t, std::string> expected;
  for (const std::uint32_t number : order)
    expected[number] += std::to_string(number) + ' ';
  CHECK(map.size() == expected.size());
  for (const auto& [number, heard] : expected)
    CHECK(map.find(peer(number))->heard == heard);
  require_balance(map, order.size());
}

TEST_CASE("the datagrams of trains are routed one by one", "[sessions]")
{
  players map;
  dgram::receive_batch batch(4);
  batch.store(std::string(1000, 'a'), peer(1), {.segment_size = 10});
  batch.store("b", peer(2));
  batch.store(std::string(95, 'c'), peer(1), {.segment_size = 10});
  std::size_t bytes = 0;
  for (auto [player, datagram] : map.route(batch)) {
    ++player->datagrams;
    bytes += datagram.payload().size();
  }
  CHECK(bytes == 1096);
  CHECK(map.find(peer(1))->datagrams == 110);
  CHECK(map.find(peer(2))->datagrams == 1);
}

TEST_CASE("a range may begin and end within trains", "[sessions]")
{
  dgram::receive_batch batch(3, 2048);
  std::string first, second;
  for (char name = 'a'; name < 'k'; ++name)
    first += std::string(10, name);
  for (char name = 'k'; name < 'u'; ++name)
    second += std::string(name == 't' ? 4 : 10, name);
  batch.store(first, peer(1), {.segment_size = 10});
  batch.store(second, peer(2), {.segment_size = 10});
  REQUIRE(batch.size() == 20);
  for (std::ptrdiff_t from = 0; from <= 20; ++from)
    for (std::ptrdiff_t to = from; to <= 20; ++to) {
      const dgram::basic_datagrams<dgram::udp> range(std::next(batch.begin(), from),
                                                     std::next(batch.begin(), to),
                                                     static_cast<std::size_t>(to - from));
      players map;
      std::string heard;
      for (auto [player, datagram] : map.route(range)) {
        CHECK(datagram.sender() ==
              peer(heard.size() + static_cast<std::size_t>(from) < 10 ? 1 : 2));
        heard += datagram.payload().text().front();
      }
      REQUIRE(
          heard ==
          std::string("abcdefghijklmnopqrst").substr(static_cast<std::size_t>(from), range.size()));
      require_balance(map, range.size());
    }
}

TEST_CASE("a session is constructed from the datagram, else from the sender, else from nothing",
          "[sessions]")
{
  struct from_datagram {
    explicit from_datagram(const dgram::datagram& received) : text(received.payload()) {}
    from_datagram(const from_datagram&) = delete;
    from_datagram& operator=(const from_datagram&) = delete;
    ~from_datagram() = default;
    std::string text;
  };
  struct from_sender {
    explicit from_sender(const endpoint& sender) : from(sender) {}
    endpoint from;
  };
  const auto batch = batch_of({5});
  dgram::session_map<from_datagram> first;
  CHECK(first.route(batch[0])->text == "5");
  dgram::session_map<from_sender> second;
  CHECK(second.route(batch[0])->from == peer(5));
  CHECK(second.route(peer(6))->from == peer(6));
  dgram::session_map<int> third;
  CHECK(*third.route(batch[0]) == 0);
  CHECK(*third.route(peer(6)) == 0);
}

TEST_CASE("a mapped IPv4 peer is the IPv4 peer, and scopes and ports tell peers apart",
          "[sessions]")
{
  dgram::session_map<int> map;
  auto scoped = asio::ip::make_address_v6("fe80::1");
  scoped.scope_id(1);
  auto other = scoped;
  other.scope_id(2);
  const auto id = map.route(peer(1)).id();
  CHECK(map.route(dgram::mapped(peer(1))).id() == id);
  map.route(endpoint(scoped, 1));
  map.route(endpoint(other, 1));
  map.route(endpoint(other, 2));
  CHECK(map.size() == 4);
}

TEST_CASE("a loop may end the current session, and a later datagram of the peer makes a new one",
          "[sessions]")
{
  players map;
  std::vector<dgram::session_id> ids;
  const auto batch = batch_of({1, 2, 1, 1, 2});
  for (auto [player, datagram] : map.route(batch)) {
    ids.push_back(player.id());
    CHECK(player->datagrams == 0);
    ++player->datagrams;
    CHECK(map.erase(player));
  }
  CHECK(ids.size() == 5);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK_FALSE(map.find(ids[i]));
    for (std::size_t j = 0; j < i; ++j)
      CHECK(ids[i] != ids[j]);
  }
  CHECK(map.empty());
  CHECK(map.statistics().closed == 5);
  require_balance(map, 5);
}

TEST_CASE("a loop may end sessions whose datagrams come later, and add and remove keys",
          "[sessions]")
{
  players map;
  const std::vector<std::uint32_t> order{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  route_peers(map, order);
  const auto batch = batch_of(order);
  for (auto [player, datagram] : map.route(batch)) {
    ++player->datagrams;
    if (datagram.sender() == peer(1)) {
      map.erase(map.find(peer(2)));
      map.set_peer(map.find(peer(3)), peer(33));
      CHECK_FALSE(map.add_key(player, peer(4)));
      map.erase(map.find(peer(4)));
      CHECK(map.add_key(player, peer(4)));
      for (std::uint32_t i = 100; i < 400; ++i)
        map.route(peer(i));  // the table grows
    }
  }
  CHECK(map.find(peer(1))->datagrams == 2);  // its own, and that of peer 4
  CHECK(map.find(peer(2))->datagrams == 1);
  CHECK(map.find(peer(3))->datagrams == 1);
  CHECK(map.find(peer(33))->datagrams == 0);
  CHECK(map.find(peer(10))->datagrams == 1);
  require_balance(map, 2 * order.size() + 300);
}

TEST_CASE("a loop may route another batch of the same map", "[sessions]")
{
  players map;
  const auto outer_batch = batch_of({1, 2, 3});
  const auto inner_batch = batch_of({3, 4});
  for (auto [player, datagram] : map.route(outer_batch)) {
    for (auto [inner, other] : map.route(inner_batch))
      ++inner->datagrams;
    ++player->datagrams;
  }
  CHECK(map.size() == 4);
  CHECK(map.find(peer(3))->datagrams == 4);
  require_balance(map, 9);
}

TEST_CASE("a limit outside its range is refused, and the text names it", "[sessions]")
{
  const auto refused = [](const dgram::session_map_config& config, const char* text) {
    try {
      const players map(config);
      FAIL("not refused: " << text);
    } catch (const dgram::system_error& failure) {
      CHECK(failure.code() == dgram::error::out_of_range);
      CHECK_THAT(failure.what(), ContainsSubstring(text));
    }
  };
  refused({.idle_timeout = 0s}, "idle_timeout: 0 ns");
  refused({.idle_timeout = -1s}, "idle_timeout: -1000000000 ns");
  refused({.max_sessions = 0}, "max_sessions: 0; allowed are 1 to 1073741824");
  refused({.max_sessions = (std::size_t{1} << 30U) + 1}, "max_sessions: 1073741825");
  refused({.max_keys = 0}, "max_keys: 0; allowed are 1 to 65535");
  refused({.max_keys = 65536}, "max_keys: 65536");
  refused({.ignore_for = -1s}, "ignore_for: -1000000000 ns; it must be 0 or more");
}

TEST_CASE("a full map refuses a new peer, and takes one again after an end", "[sessions][limit]")
{
  players map{{.max_sessions = 3}};
  route_peers(map, {1, 2, 3});
  CHECK(map.size() == 3);
  CHECK(map.statistics().refused == 0);
  route_peers(map, {4, 1, 4});
  CHECK(map.size() == 3);
  CHECK(map.statistics().refused == 2);
  CHECK_FALSE(map.find(peer(4)));
  map.erase(map.find(peer(2)));
  route_peers(map, {4, 5});
  CHECK(map.find(peer(4)));
  CHECK(map.statistics().refused == 3);
  require_balance(map, 8);
}

TEST_CASE("a full map evicts the session that has heard nothing for the longest time",
          "[sessions][limit]")
{
  timed_map<player> map{
      {.idle_timeout = 60s, .max_sessions = 3, .when_full = sessions_full::evict_idlest}};
  std::vector<std::pair<endpoint, session_end>> ended;
  map.on_end([&](timed_map<player>::session session, session_end why) {
    ended.emplace_back(peer(static_cast<std::uint32_t>(session->datagrams)), why);
    CHECK(map.size() == 3);
  });
  const auto hear = [&](std::uint32_t number) {
    manual_clock::current += 1s;
    map.route(peer(number))->datagrams = static_cast<int>(number);
  };
  hear(1);
  hear(2);
  hear(3);
  CHECK(map.statistics().evicted == 0);
  hear(1);
  hear(4);
  CHECK(ended == std::vector{std::pair{peer(2), session_end::evicted}});
  hear(5);
  CHECK(ended.back() == std::pair{peer(3), session_end::evicted});
  hear(6);
  CHECK(ended.back() == std::pair{peer(1), session_end::evicted});
  CHECK(map.statistics().evicted == 3);
  require_balance(map, 7);
}

TEST_CASE("a validated session is never evicted", "[sessions][limit]")
{
  players map{{.max_sessions = 2, .when_full = sessions_full::evict_idlest}};
  map.mark_validated(map.route(peer(1)));
  map.route(peer(2));
  for (std::uint32_t stranger = 10; stranger < 20; ++stranger)
    CHECK(map.route(peer(stranger)));
  CHECK(map.find(peer(1)));
  CHECK(map.find(peer(19)));
  map.mark_validated(map.find(peer(19)));
  CHECK_FALSE(map.route(peer(3)));
  CHECK(map.statistics().refused == 1);
  CHECK(map.statistics().evicted == 10);
  require_balance(map, 13);
}

TEST_CASE("a flood of new peers does not evict peers that talk", "[sessions][attack]")
{
  timed_map<player> map{
      {.idle_timeout = 10s, .max_sessions = 1000, .when_full = sessions_full::evict_idlest}};
  for (std::uint32_t known = 0; known < 100; ++known)
    map.route(peer(known))->datagrams = 1;
  std::uint32_t forged = 1000;
  for (int round = 0; round < 200; ++round) {
    manual_clock::current += 50ms;
    for (int i = 0; i < 400; ++i)
      map.route(peer(forged++));
    for (std::uint32_t known = 0; known < 100; ++known)
      REQUIRE(map.route(peer(known))->datagrams == 1);
  }
  CHECK(map.size() == 1000);
}

TEST_CASE("idle sessions end after their time, not before", "[sessions]")
{
  // One unit of the clock, less than the ticks of a wheel, and more.
  const auto timeout = GENERATE(1ms, 100ms, 300ms, 30'000ms);
  timed_map<player> map{{.idle_timeout = timeout}};
  std::vector<session_end> ended;
  map.on_end([&](auto, session_end why) { ended.push_back(why); });
  for (int turn = 0; turn < 3; ++turn) {
    map.route(peer(1));
    for (int i = 0; i < 5; ++i) {
      manual_clock::current += timeout * 9 / 10;
      CHECK(map.expire() == 0);
      map.route(peer(1));
    }
    manual_clock::current += timeout - 1ms;
    CHECK(map.expire() == 0);
    const auto grace = std::max(2ms, timeout / 128);
    manual_clock::current += 1ms + grace;
    CHECK(map.expire() == 1);
    CHECK(map.empty());
    CHECK(ended.size() == static_cast<std::size_t>(turn + 1));
    CHECK(ended.back() == session_end::idle);
  }
  require_balance(map, 18);
}

TEST_CASE("sessions end on time over many turns of the wheel and long pauses", "[sessions]")
{
  std::mt19937 random(7);
  timed_map<player> map{{.idle_timeout = 1000ms}};
  std::map<std::uint32_t, manual_clock::time_point> heard;
  for (int step = 0; step < 20'000; ++step) {
    manual_clock::current +=
        std::chrono::milliseconds(random() % 500 == 0 ? random() % 100'000 : random() % 20);
    const auto now = manual_clock::current;
    map.expire();
    for (auto at = heard.begin(); at != heard.end();) {
      const bool is_there = static_cast<bool>(map.find(peer(at->first)));
      if (now - at->second < 1000ms) REQUIRE(is_there);
      if (now - at->second > 1010ms) REQUIRE_FALSE(is_there);
      at = is_there ? std::next(at) : heard.erase(at);
    }
    REQUIRE(map.size() == heard.size());
    const auto number = static_cast<std::uint32_t>(random() % 200);
    map.route(peer(number));
    heard[number] = now;
  }
}

TEST_CASE("a timer that waits for the next expiry ends all sessions", "[sessions]")
{
  timed_map<player> map{{.idle_timeout = 1s}};
  CHECK_FALSE(map.next_expiry());
  for (std::uint32_t number = 0; number < 100; ++number) {
    manual_clock::current += 7ms;
    map.route(peer(number));
  }
  int waits = 0;
  while (const auto next = map.next_expiry()) {
    REQUIRE(*next >= manual_clock::current);
    manual_clock::current = *next;
    map.expire();
    ++waits;
  }
  CHECK(map.empty());
  CHECK(waits <= 200);
}

TEST_CASE("a session with an idle timeout of its own ends at that time, not before", "[sessions]")
{
  players map({.idle_timeout = 10s});
  const auto start = std::chrono::steady_clock::now();
  const auto own = GENERATE(1s, 9s, 11s, 300s, 5000s);
  const bool is_validated = GENERATE(false, true);
  CAPTURE(own.count(), is_validated);
  const auto chosen = map.route(peer(1), start);
  const auto usual = map.route(peer(2), start);
  const dgram::session_id id = chosen.id();
  const dgram::session_id usual_id = usual.id();
  if (is_validated) map.mark_validated(chosen);
  map.set_idle_timeout(chosen, own);
  for (auto time = start; time < start + 6000s; time += 10ms) {
    const auto next = map.next_expiry();
    if (!next) break;
    time = std::max(*next, time);
    map.expire(time);
    if (time < start + own) REQUIRE(map.find(id));
    if (time < start + 10s) REQUIRE(map.find(usual_id));
    if (time > start + own + 1s) REQUIRE_FALSE(map.find(id));
  }
  CHECK(map.empty());
  CHECK(map.statistics().idle == 2);
}

TEST_CASE("the memory of a session with an idle timeout of its own passes on no timeout",
          "[sessions]")
{
  players map({.idle_timeout = 10s});
  const auto start = std::chrono::steady_clock::now();
  map.set_idle_timeout(map.route(peer(1), start), 1000s);
  map.erase(map.find(peer(1)));
  map.route(peer(2), start);
  map.expire(start + 11s);
  CHECK(map.empty());
}

TEST_CASE("a touch puts off the idle end, and an idle timeout must be positive", "[sessions]")
{
  players map({.idle_timeout = 10s});
  const auto start = std::chrono::steady_clock::now();
  const auto touched = map.route(peer(1), start);
  map.touch(touched, start + 8s);
  map.expire(start + 17s);
  CHECK(map.size() == 1);
  map.expire(start + 19s);
  CHECK(map.empty());
  map.touch({}, start);
  map.set_idle_timeout({}, 1s);
  CHECK_THROWS_WITH(map.set_idle_timeout({}, 0s), ContainsSubstring("timeout: 0 ns"));
  CHECK_THROWS_WITH(map.set_idle_timeout({}, -1s), ContainsSubstring("positive"));
}

TEST_CASE("late datagrams of an erased session are ignored for the time, by each of its keys",
          "[sessions]")
{
  players map({.ignore_for = 5s});
  const auto start = std::chrono::steady_clock::now();
  const auto first = map.route(peer(1), start);
  map.add_key(first, peer(2));
  SECTION("erase")
  {
    map.erase(first);
  }
  SECTION("clear")
  {
    map.clear();
  }
  int asked = 0;
  map.on_stranger([&](const dgram::datagram&) {
    ++asked;
    return true;
  });
  CHECK_FALSE(map.route(peer(1), start + 1s));
  route_peers(map, {1, 2, 2});
  CHECK(map.empty());
  CHECK(asked == 0);
  CHECK(map.statistics().ignored == 4);
  CHECK(map.route(peer(3), start + 2s));
  CHECK_FALSE(map.route(peer(2), start + 4s));  // does not prolong it
  CHECK(map.route(peer(2), start + 7s));
  CHECK(map.route(peer(1), start + 7s));
  require_balance(map, 9);
}

TEST_CASE("only an erased session is ignored, and the program may make it again at once",
          "[sessions]")
{
  players map({.idle_timeout = 1s,
               .max_sessions = 1,
               .when_full = sessions_full::evict_idlest,
               .ignore_for = 100s});
  const auto start = std::chrono::steady_clock::now();
  map.route(peer(1), start);
  map.route(peer(2), start);  // evicts
  map.expire(start + 3s);     // idle
  CHECK(map.statistics().evicted == 1);
  CHECK(map.statistics().idle == 1);
  CHECK(map.route(peer(2), start + 3s));
  CHECK(map.route(peer(1), start + 3s));
  map.erase(map.find(peer(1)));
  CHECK_FALSE(map.route(peer(1), start + 4s));
  CHECK(map.try_emplace(peer(1)).second);
  CHECK(map.route(peer(1), start + 4s));
}

TEST_CASE("no more keys are ignored than there may be sessions, and the oldest are forgotten",
          "[sessions][limit]")
{
  players map({.max_sessions = 100, .ignore_for = 256s});
  const auto start = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < 1000; ++i)
    map.erase(map.route(peer(i), start + i * 250ms));
  const auto end = start + 250s;
  for (std::uint32_t i = 1000; i > 0; --i)
    map.route(peer(i - 1), end);
  CHECK(map.statistics().ignored == 100);
  CHECK_FALSE(map.find(peer(900)));
  CHECK(map.find(peer(899)));
}

TEST_CASE("routing ends idle sessions without a timer, a portion at a time", "[sessions]")
{
  timed_map<player> map{{.idle_timeout = 1s}};
  for (std::uint32_t number = 0; number < 200; ++number)
    map.route(peer(number));
  manual_clock::current += 2s;
  route_peers(map, {1000});
  CHECK(map.size() == 137);
  route_peers(map, {1000});
  CHECK(map.size() == 73);
  CHECK(map.expire(manual_clock::now(), 10) == 10);
  CHECK(map.expire() == 62);
  CHECK(map.size() == 1);
}

TEST_CASE("a time that goes back ends nothing and is no activity", "[sessions]")
{
  timed_map<player> map{{.idle_timeout = 10s}};
  const auto start = manual_clock::current;
  route_peers(map, {1});
  map.expire(start + 9s);
  map.expire(start - 100s);
  const auto batch = batch_of({2});
  for (auto [session, datagram] : map.route(batch, start - 50s))
    static_cast<void>(datagram);
  CHECK(map.size() == 2);
  map.expire(start + 11s);
  CHECK(map.size() == 1);
  CHECK(map.find(peer(2)));
}

TEST_CASE("a timeout longer than the clock can count does not overflow", "[sessions]")
{
  players map{{.idle_timeout = std::chrono::nanoseconds::max()}};
  map.route(peer(1));
  CHECK(map.expire(std::chrono::steady_clock::now() + 100'000h) == 0);
  CHECK(*map.next_expiry() > std::chrono::steady_clock::now());
}

TEST_CASE("the function for strangers is asked before there is any state", "[sessions]")
{
  int constructed = 0;
  struct counted {
    explicit counted(const dgram::datagram& received)
    {
      if (received.payload().text() == "99") throw std::runtime_error("constructed");
    }
  };
  dgram::session_map<counted> map;
  std::vector<endpoint> asked;
  map.on_stranger([&](const dgram::datagram& received) {
    asked.push_back(received.sender());
    return received.payload().text() != "99";
  });
  const auto batch = batch_of({1, 99, 1, 99, 2});
  for (auto [session, datagram] : map.route(batch))
    constructed += datagram.payload().empty() ? 0 : 1;
  CHECK(asked == std::vector{peer(1), peer(99), peer(99), peer(2)});
  CHECK(constructed == 3);
  CHECK(map.size() == 2);
  CHECK(map.statistics().rejected == 2);
  require_balance(map, 5);
}

TEST_CASE("the function for strangers may move a session to the new peer", "[sessions][attack]")
{
  const bool is_welcome = GENERATE(true, false);
  players map;
  map.route(peer(1))->heard = "known";
  map.on_stranger([&](const dgram::datagram&) {
    CHECK(map.set_peer(map.find(peer(1)), peer(2)));
    return is_welcome;
  });
  const auto batch = batch_of({2});
  const auto moved = map.route(batch[0]);
  REQUIRE(moved);
  CHECK(moved->heard == "known");
  CHECK_FALSE(map.find(peer(1)));
  CHECK(map.size() == 1);
  require_balance(map, 2);
}

TEST_CASE("sessions are found by the program's keys, and datagrams without one are counted",
          "[sessions]")
{
  players map({}, [](const dgram::datagram& received) {
    return session_key::at(received.payload(), 1, received.payload().size() > 60 ? 40 : 4);
  });
  dgram::receive_batch batch(8, 512);
  batch.store("xAAAA1", peer(1));
  batch.store("xAAAA2", peer(2));
  batch.store("xBBBB3", peer(1));
  batch.store("short", peer(1));
  batch.store("xBB", peer(1));                 // no key
  batch.store("", peer(1));                    // none either
  batch.store(std::string(64, 'x'), peer(1));  // too long
  std::string all;
  for (auto [player, datagram] : map.route(batch))
    all += datagram.payload().text().back();
  CHECK(all == "123t");
  CHECK(map.size() == 3);
  CHECK(map.statistics().unkeyed == 3);
  CHECK(map.find(session_key("AAAA")));
  CHECK_FALSE(map.find(session_key("")));
  CHECK_FALSE(map.find(peer(1)));
  require_balance(map, 7);
}

TEST_CASE("a session has several keys, of peers and of bytes", "[sessions]")
{
  players map{{.max_keys = 3}};
  const auto session = map.route(peer(1));
  map.route(peer(9));
  CHECK_FALSE(map.remove_key(peer(1)));  // its only one
  CHECK(map.add_key(session, session_key("token")));
  CHECK(map.add_key(session, session_key("token")));  // it has it
  CHECK(map.add_key(session, peer(2)));
  CHECK_FALSE(map.add_key(session, peer(9)));  // another session's
  CHECK(map.statistics().keys_refused == 0);
  CHECK_FALSE(map.add_key(session, peer(3)));  // one too many
  CHECK(map.statistics().keys_refused == 1);
  CHECK(map.key_count() == 4);
  CHECK(map.find(session_key("token")) == session);
  CHECK(map.find(peer(2)) == session);
  CHECK(map.remove_key(peer(1)));
  CHECK_FALSE(map.find(peer(1)));
  CHECK(map.set_peer(session, peer(5)));
  CHECK_FALSE(map.find(peer(2)));
  CHECK(map.find(peer(5)) == session);
  CHECK_FALSE(map.set_peer(session, peer(9)));
  CHECK(map.replace_key(session, session_key("token"), session_key("next")));
  CHECK_FALSE(map.replace_key(session, session_key("token"), session_key("third")));
  CHECK(map.find(session_key("next")) == session);
  CHECK(map.remove_key(session_key("next")));
  CHECK_FALSE(map.remove_key(session_key("next")));
  CHECK(map.key_count() == 2);
  map.erase(session);
  CHECK_FALSE(map.find(peer(5)));
  CHECK(map.key_count() == 1);
}

TEST_CASE("a session of the program's keys takes a peer beside them", "[sessions]")
{
  players map({}, [](const dgram::datagram&) { return session_key("all"); });
  const auto batch = batch_of({1});
  const auto session = map.route(batch[0]);
  CHECK(map.set_peer(session, peer(1)));
  CHECK(map.set_peer(session, peer(2)));
  CHECK_FALSE(map.find(peer(1)));
  CHECK(map.find(peer(2)) == session);
  CHECK(map.find(session_key("all")) == session);
}

TEST_CASE("an unusable key in a call is a clear error", "[sessions]")
{
  players map;
  const auto session = map.route(peer(1));
  const session_key too_long(std::string(33, 'k'));
  CHECK_THROWS_MATCHES(map.add_key(session, too_long), dgram::system_error,
                       MessageMatches(ContainsSubstring("add_key") &&
                                      ContainsSubstring("33; allowed are 1 to 32 bytes")));
  CHECK_THROWS_MATCHES(map.try_emplace(session_key()), dgram::system_error,
                       MessageMatches(ContainsSubstring("try_emplace") &&
                                      ContainsSubstring("0; allowed are 1 to 32 bytes")));
  CHECK_THROWS_MATCHES(map.replace_key(session, too_long, session_key("a")), dgram::system_error,
                       MessageMatches(ContainsSubstring("replace_key")));
  CHECK(map.key_count() == 1);
  CHECK_FALSE(map.remove_key(too_long));
}

TEST_CASE("calls with no session do nothing", "[sessions]")
{
  players map;
  const auto none = map.find(peer(1));
  CHECK_FALSE(none);
  CHECK_FALSE(map.erase(none));
  CHECK_FALSE(map.add_key(none, peer(2)));
  CHECK_FALSE(map.set_peer(none, peer(2)));
  CHECK_FALSE(map.replace_key(none, session_key("a"), session_key("b")));
  map.mark_validated(none);
  CHECK(map.empty());
}

TEST_CASE("states of any size and alignment stay where they are", "[sessions]")
{
  struct alignas(256) aligned {
    std::uint32_t number = 0;
  };
  struct huge {
    std::array<char, 3'000'000> bytes;
    std::uint32_t number = 0;
  };
  const auto check = [](auto& map, std::uint32_t count, std::size_t alignment) {
    std::vector<const void*> at;
    for (std::uint32_t number = 0; number < count; ++number) {
      const auto session = map.route(peer(number));
      session->number = number;
      at.push_back(&*session);
      CHECK(reinterpret_cast<std::uintptr_t>(at.back()) % alignment == 0);
    }
    for (std::uint32_t number = 0; number < count; ++number) {
      CHECK(map.find(peer(number))->number == number);
      CHECK(&*map.find(peer(number)) == at[number]);
    }
  };
  dgram::session_map<aligned> first;
  check(first, 20'000, 256);
  dgram::session_map<huge> second;
  check(second, 20, alignof(huge));
}

static_assert(std::ranges::input_range<players>);
static_assert(std::ranges::input_range<players::routed_datagrams>);
static_assert(!std::is_copy_constructible_v<players>);

TEST_CASE("an emplaced session has the given arguments, unless the key is known or the map full",
          "[sessions]")
{
  dgram::session_map<std::unique_ptr<int>> map{{.max_sessions = 2}};
  const auto [first, is_new] = map.try_emplace(peer(1), std::make_unique<int>(7));
  CHECK(is_new);
  CHECK(**first == 7);
  auto unused = std::make_unique<int>(8);
  const auto [same, is_other] = map.try_emplace(peer(1), std::move(unused));
  CHECK_FALSE(is_other);
  CHECK(same == first);
  CHECK(unused != nullptr);  // NOLINT(bugprone-use-after-move): it was not moved from
  CHECK(map.try_emplace(session_key("two")).second);
  const auto [none, is_none] = map.try_emplace(peer(3));
  CHECK_FALSE(none);
  CHECK_FALSE(is_none);
}

TEST_CASE("the function for ends gets a living session that is out of the map", "[sessions]")
{
  static int alive = 0;
  struct living {
    living() { ++alive; }
    living(const living&) = delete;
    living& operator=(const living&) = delete;
    ~living() { --alive; }
    std::string name;
  };
  timed_map<living> map{{.idle_timeout = 1s}};
  std::string ended;
  map.on_end([&](timed_map<living>::session session, session_end why) {
    CHECK(alive > static_cast<int>(map.size()));
    CHECK_FALSE(map.find(session.id()));
    CHECK_FALSE(map.erase(session));
    CHECK_FALSE(map.add_key(session, peer(1000)));
    ended += session->name + (why == session_end::idle ? 'i' : 'c');
  });
  for (std::uint32_t number = 1; number <= 4; ++number)
    map.route(peer(number))->name = std::to_string(number);
  map.erase(map.find(peer(3)));
  CHECK(ended == "3c");
  manual_clock::current += 2s;
  map.route(peer(1));
  CHECK(ended == "3c1i2i4i");
  map.clear();
  CHECK(ended == "3c1i2i4ic");
  CHECK(alive == 0);
  map.route(peer(1));
  map.on_end({});
  map.clear();
  CHECK(alive == 0);
}

TEST_CASE("a destroyed map destroys its sessions and calls nothing", "[sessions]")
{
  const auto shared = std::make_shared<int>(0);
  {
    dgram::session_map<std::shared_ptr<int>> map;
    map.on_end([](auto, auto) { FAIL("called"); });
    for (std::uint32_t number = 0; number < 100; ++number)
      *map.route(peer(number)) = shared;
    map.on_end({});
    map.erase(map.find(peer(50)));
    map.on_end([](auto, auto) { FAIL("called"); });
    CHECK(shared.use_count() == 100);
  }
  CHECK(shared.use_count() == 1);
}

TEST_CASE("the function for ends may end and make sessions", "[sessions]")
{
  timed_map<player> map{{.idle_timeout = 1s}};
  std::uint32_t next = 100;
  map.on_end([&](auto, session_end) {
    if (const auto other = map.find(peer(next - 90))) map.erase(other);
    if (next < 120) map.route(peer(next++));
  });
  for (std::uint32_t number = 0; number < 50; ++number)
    map.route(peer(number));
  manual_clock::current += 2s;
  map.expire();
  CHECK(map.size() == 20);
  map.clear();
  CHECK(map.statistics().created == 70);
  require_balance(map, 70);
}

TEST_CASE("eviction whose function for ends makes sessions stays within the limit", "[sessions]")
{
  players map{{.max_sessions = 4, .when_full = sessions_full::evict_idlest}};
  int depth = 0;
  map.on_end([&](auto, session_end) {
    if (depth == 3) return;
    ++depth;
    map.route(peer(1000 + static_cast<std::uint32_t>(depth)));
    --depth;
  });
  for (std::uint32_t number = 0; number < 50; ++number) {
    map.route(peer(number));
    REQUIRE(map.size() <= 4);
  }
}

TEST_CASE("sessions are iterated over, and may end meanwhile", "[sessions]")
{
  players map;
  for (std::uint32_t number = 0; number < 1000; ++number)
    map.route(peer(number))->datagrams = static_cast<int>(number);
  int sum = 0;
  for (auto session : map) {
    sum += session->datagrams;
    if (session->datagrams % 2 == 0) map.erase(session);
  }
  CHECK(sum == 499'500);
  CHECK(map.size() == 500);
  sum = 0;
  for (const auto session : map)
    sum += session->datagrams;
  CHECK(sum == 250'000);
  map.clear();
  CHECK(map.begin() == map.end());
}

TEST_CASE("an id is not used again when the memory of its session is", "[sessions]")
{
  players map;
  std::map<std::uint64_t, int> ids;
  for (int i = 0; i < 1000; ++i) {
    const auto session = map.route(peer(1));
    ++ids[static_cast<std::uint64_t>(session.id())];
    map.erase(session);
  }
  CHECK(ids.size() == 1000);
  CHECK_FALSE(map.find(dgram::session_id{}));
  CHECK_FALSE(map.find(dgram::session_id{~std::uint64_t{0}}));
}

namespace {

/// Throws if the payload says so.
struct touchy {
  static inline int alive = 0;

  explicit touchy(const dgram::datagram& received) : name(received.payload())
  {
    if (name == "3" || name == "0") throw std::runtime_error("touchy");
    ++alive;
  }
  touchy(const touchy&) = delete;
  touchy& operator=(const touchy&) = delete;
  ~touchy() { --alive; }

  std::string name;
};

}  // namespace

TEST_CASE("a constructor that throws leaves the map whole, and the loop can go on", "[sessions]")
{
  {
    dgram::session_map<touchy> map{
        {.max_sessions = 4,
         .when_full = GENERATE(sessions_full::refuse, sessions_full::evict_idlest)}};
    const auto batch = batch_of({0, 1, 2, 3, 1, 3, 4, 5});
    auto rest = map.route(batch);
    std::string seen;
    int thrown = 0;
    for (bool done = false; !done;) {
      try {
        for (auto [session, datagram] : rest)
          seen += datagram.payload().text();
        done = true;
      } catch (const std::runtime_error& error) {
        CHECK(std::string(error.what()) == "touchy");
        ++thrown;
      }
    }
    CHECK(seen ==
          "121"
          "45");
    CHECK(thrown == 3);
    CHECK(map.size() == 4);
    CHECK(touchy::alive == 4);
    CHECK(map.statistics().failed == 3);
    CHECK(map.statistics().evicted == 0);
    require_balance(map, 8);
    // A full map evicts nothing for a session that cannot be made.
    const auto more = batch_of({3});
    if (map.statistics().refused == 0) try {
        map.route(more[0]);
      } catch (const std::runtime_error&) {
      }
    CHECK(map.size() == 4);
    for (auto session : map)
      CHECK(map.find(session.id()) == session);
  }
  CHECK(touchy::alive == 0);
}

TEST_CASE("functions of the program that throw cost their datagram only", "[sessions]")
{
  const int thrower = GENERATE(0, 1, 2);
  const auto fail = [](int number) {
    return [number, left = 2](const dgram::datagram& received) mutable {
      // Keys are asked for again, so only the result of the last time counts.
      if (received.payload().text() == "40" && left > 0) {
        --left;
        throw number;
      }
    };
  };
  auto throws_for_40 = fail(7);
  players map({.max_sessions = thrower == 2 ? 1U : 100U, .when_full = sessions_full::evict_idlest},
              thrower == 0 ? players::key_function([&](const dgram::datagram& received) {
                throws_for_40(received);
                return session_key(received.payload());
              })
                           : players::key_function());
  if (thrower == 1)
    map.on_stranger([&](const dgram::datagram& received) {
      throws_for_40(received);
      return true;
    });
  bool is_first_end = true;
  if (thrower == 2)
    map.on_end([&](auto, auto) {
      if (std::exchange(is_first_end, false)) throw 7;
    });
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < 80; ++i)
    order.push_back(i);
  const auto batch = batch_of(order);
  auto rest = map.route(batch);
  int seen = 0;
  int thrown = 0;
  for (bool done = false; !done;) {
    try {
      for (auto [session, datagram] : rest)
        seen += datagram.payload().empty() ? 0 : 1;
      done = true;
    } catch (int number) {
      CHECK(number == 7);
      ++thrown;
    }
  }
  CHECK(thrown == 1);
  CHECK(seen == 79);
  CHECK(map.statistics().failed == 1);
  require_balance(map, 80);
}

TEST_CASE("a constructor may use the map", "[sessions]")
{
  static std::function<void(const dgram::datagram&)> inside;
  struct nested {
    explicit nested(const dgram::datagram& received) { inside(received); }
  };
  dgram::session_map<nested> map{{.max_sessions = 3, .when_full = sessions_full::evict_idlest}};
  const auto others = batch_of({10, 11, 12});
  int depth = 0;
  inside = [&](const dgram::datagram& received) {
    if (depth == 2) return;
    ++depth;
    // The same peer, and more than the limit.
    if (depth == 2) map.route(received);
    route_all(map, others);
    --depth;
  };
  const auto batch = batch_of({1});
  CHECK(map.route(batch[0]));
  CHECK(map.size() <= 3);
  map.clear();
  CHECK(map.statistics().created == map.statistics().closed + map.statistics().evicted);
}

TEST_CASE("a map that is used at random agrees with std::map and balances", "[sessions]")
{
  std::mt19937 random(GENERATE(1U, 2U, 3U));
  timed_map<player> map{{.idle_timeout = 1s, .max_sessions = 150}};
  map.on_stranger([](const dgram::datagram& received) { return received.payload().size() != 2; });
  std::map<std::uint32_t, int> expected;
  map.on_end([&](timed_map<player>::session session, session_end) {
    expected.erase(static_cast<std::uint32_t>(std::stoul(session->heard)));
  });
  std::uint64_t datagrams = 0;
  for (int round = 0; round < 2000; ++round) {
    manual_clock::current += std::chrono::milliseconds(random() % 60);
    std::vector<std::uint32_t> order(random() % 64);
    for (auto& number : order)
      number = static_cast<std::uint32_t>(random() % 300);
    datagrams += order.size();
    const auto batch = batch_of(order);
    for (auto [session, datagram] : map.route(batch)) {
      const auto number = static_cast<std::uint32_t>(std::stoul(std::string(datagram.payload())));
      REQUIRE(session->datagrams == expected[number]);
      session->heard = datagram.payload().text();
      expected[number] = ++session->datagrams;
      if (random() % 20 == 0) map.erase(session);
      if (random() % 50 == 0)
        if (const auto other = map.find(peer(static_cast<std::uint32_t>(random() % 300))))
          map.erase(other);
    }
    REQUIRE(map.size() == expected.size());
    require_balance(map, datagrams);
  }
  const auto counts = map.statistics();
  CHECK(counts.refused > 0);
  CHECK(counts.rejected > 0);
  CHECK(counts.idle > 0);
}

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("Unix peers are found by their path, and unnamed ones have no key", "[sessions]")
{
  using unix_endpoint = asio::local::datagram_protocol::endpoint;
  dgram::session_map<int, dgram::unix_dgram> map;
  const std::string longest = "/" + std::string(106, 'p');
  std::vector<unix_endpoint> peers{
      unix_endpoint("/a"),    unix_endpoint("/b"),
      unix_endpoint("/a2"),   unix_endpoint(std::string(1, '\0') + "a"),
      unix_endpoint(longest), unix_endpoint(longest.substr(0, 106))};
  dgram::unix_dgram::receive_batch batch(16, 64);
  for (int round = 0; round < 2; ++round)
    for (const auto& each : peers)
      batch.store("x", each);
  batch.store("x", unix_endpoint());
  for (auto [count, datagram] : map.route(batch))
    ++*count;
  CHECK(map.size() == peers.size());
  for (const auto& each : peers)
    CHECK(*map.find(each) == 2);
  CHECK(map.statistics().unkeyed == 1);
  CHECK_FALSE(map.route(unix_endpoint()));
  CHECK(map.statistics().unkeyed == 2);
  CHECK_THROWS_MATCHES(map.try_emplace(unix_endpoint()), dgram::system_error,
                       MessageMatches(ContainsSubstring("an unnamed peer is no key")));
  require_balance(map, 14);
}

#endif

TEST_CASE("a server's loop may suspend, and other coroutines may end its sessions", "[sessions]")
{
  asio::io_context io;
  dgram::udp::socket server{io, {asio::ip::address_v4::loopback(), 0}};
  players map;
  std::size_t seen = 0;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        dgram::reader reader{server};
        dgram::writer writer{reader};
        while (auto datagrams = co_await reader.next_batch())
          for (auto [player, datagram] : map.route(datagrams)) {
            const auto id = player.id();
            ++player->datagrams;
            co_await writer.send(datagram.payload(), datagram.reply_path());
            co_await asio::post(io, asio::use_awaitable);
            if (map.find(id)) map.erase(map.find(id));
            if (++seen == 40) reader.stop();
          }
      },
      asio::detached);
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        while (seen < 40) {
          map.clear();
          co_await asio::post(io, asio::use_awaitable);
        }
      },
      asio::detached);
  std::vector<dgram::udp::socket> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(io, endpoint(asio::ip::address_v4::loopback(), 0));
    clients.back().connect(server.local_endpoint());
  }
  for (int i = 0; i < 40; ++i)
    clients[static_cast<std::size_t>(i) % 4].send(asio::buffer("hello"));
  test::run(io);
  CHECK(seen == 40);
  require_balance(map, 40);
}

}  // namespace session_map_test
