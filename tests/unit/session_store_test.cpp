// SPDX-License-Identifier: BSL-1.0
// What a table of sessions is made of: the table of hashes, numbered blocks, the wheel of
// deadlines, packed keys, and the store on top of them, which is compared with std::map.
#include <dgram/datagram.hpp>
#include <dgram/detail/sessions/idle_wheel.hpp>
#include <dgram/detail/sessions/key_table.hpp>
#include <dgram/detail/sessions/keyed_hash.hpp>
#include <dgram/detail/sessions/packed_key.hpp>
#include <dgram/detail/sessions/session_directory.hpp>
#include <dgram/detail/sessions/session_store.hpp>
#include <dgram/detail/sessions/shard_forwarding.hpp>
#include <dgram/detail/sessions/slab.hpp>
#include <dgram/udp.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace session_store_test {

namespace {

using dgram::session_end;
using dgram::detail::idle_wheel;
using dgram::detail::key_table;
using dgram::detail::keyed_hash;
using dgram::detail::slab;
using dgram::detail::wheel_link;

using key = dgram::detail::packed_key<dgram::udp>;

key key_of(std::uint32_t number)
{
  return key(asio::ip::address_v4(number), 7);
}

auto is_index(std::uint32_t wanted)
{
  return [wanted](std::uint32_t index) { return index == wanted; };
}

/// A number that remembers in the test whether it is alive.
struct tracked {
  static inline std::size_t alive = 0;

  explicit tracked(std::uint32_t number) : value(number) { ++alive; }
  tracked(const tracked&) = delete;
  tracked& operator=(const tracked&) = delete;
  ~tracked() { --alive; }

  std::uint32_t value;
};

using store = dgram::detail::session_store<tracked, key>;

store::block* make(store& in, std::uint32_t number, std::uint64_t now = 0)
{
  const key name = key_of(number);
  return in.make(name, in.hash(name), now,
                 [&](void* memory) { std::construct_at(static_cast<tracked*>(memory), number); });
}

dgram::session_map_config limits_of(std::size_t most,
                                    dgram::sessions_full when_full = dgram::sessions_full::refuse)
{
  return {.max_sessions = most, .when_full = when_full};
}

/// Deadlines that a test may move.
struct deadlines {
  std::vector<wheel_link> links{1};
  std::vector<std::uint64_t> dues{0};

  std::uint32_t add(std::uint64_t due)
  {
    links.emplace_back();
    dues.push_back(due);
    return static_cast<std::uint32_t>(dues.size() - 1);
  }

  wheel_link& link(std::uint32_t number) { return links[number]; }
  std::uint64_t due(std::uint32_t number) const { return dues[number]; }
};

/// What expires now, in order.
std::vector<std::uint32_t> take_expired(idle_wheel& wheel, deadlines& of, std::uint64_t now)
{
  std::vector<std::uint32_t> taken;
  std::size_t budget = of.dues.size() * 2;
  while (const std::uint32_t number = wheel.expired(of, now, budget)) {
    wheel.remove(of, number);
    taken.push_back(number);
  }
  return taken;
}

}  // namespace

TEST_CASE("a table finds all entries at every moment of its growth, and none that was erased",
          "[sessions]")
{
  // Hashes of few home places make long runs, also over the end of the table.
  const std::uint32_t mask = GENERATE(0xFFFFFFFFU, 0xFFU, 0xF000000FU, 0xFFF00000U);
  std::mt19937 random(1);
  key_table table;
  std::map<std::uint32_t, std::uint32_t> hashes;
  const auto check_all = [&] {
    for (const auto& [index, hash] : hashes)
      if (table.find(hash, is_index(index)) != index) return false;
    return table.size() == hashes.size();
  };
  std::uint32_t next = 1;
  for (int step = 0; step < 6000; ++step) {
    if (random() % 3 != 0 || hashes.empty()) {
      const std::uint32_t hash = static_cast<std::uint32_t>(random()) & mask;
      table.reserve_one();
      table.insert(hash, next);
      hashes.emplace(next++, hash);
    } else {
      const auto at = std::next(
          hashes.begin(),
          static_cast<std::ptrdiff_t>(random() % std::min<std::size_t>(hashes.size(), 50)));
      const auto [index, hash] = *at;
      hashes.erase(at);
      REQUIRE(table.erase(hash, index));
      REQUIRE_FALSE(table.erase(hash, index));
      REQUIRE(table.find(hash, is_index(index)) == 0);
    }
    if (step % 61 == 0) REQUIRE(check_all());
  }
  REQUIRE(check_all());
}

TEST_CASE("a table grows a few places at a time", "[sessions]")
{
  std::mt19937 random(2);
  key_table table;
  std::size_t growing = 0;
  for (std::uint32_t index = 1; index <= 100'000; ++index) {
    table.reserve_one();
    table.insert(static_cast<std::uint32_t>(random()), index);
    growing += table.is_growing() ? 1 : 0;
  }
  // Each doubling moves 16 places for each insertion: an eighth of the insertions until the next.
  CHECK(growing > 100'000 / 16);
  CHECK(growing < 100'000 / 4);
}

TEST_CASE("chosen keys with equal low, high or middle bits do not make probes longer",
          "[sessions][attack]")
{
  constexpr std::uint32_t count = 100'000;
  const int pattern = GENERATE(0, 1, 2, 3, 4);
  const keyed_hash hash;
  key_table table;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::array<unsigned char, 16> v6{0x20, 0x01, 0x0d, 0xb8};
    for (std::size_t byte = 0; byte < 4; ++byte)
      v6[(pattern == 3 ? 4 : 12) + byte] = static_cast<unsigned char>(i >> (8 * byte));
    const std::string bytes = std::to_string(i) + std::string(20, 'x');
    const std::array<key, 5> choices{
        key(asio::ip::address_v4(i << 12U), 7),
        key(asio::ip::address_v4(i), 7),
        key(asio::ip::address_v4(0x0A000000U | i >> 16U), static_cast<std::uint16_t>(i)),
        key(asio::ip::address_v6(v6), 7),
        dgram::detail::pack<dgram::udp>(dgram::session_key(bytes)),
    };
    table.reserve_one();
    table.insert(hash(choices[static_cast<std::size_t>(pattern)]), i + 1);
  }
  // Random hashes at half load stay well below this; keys that collide would reach thousands.
  CHECK(table.longest_probe() < 100);
}

TEST_CASE("two maps hash the same key differently", "[sessions][attack]")
{
  std::set<std::uint32_t> hashes;
  for (int i = 0; i < 16; ++i)
    hashes.insert(keyed_hash()(key_of(1)));
  CHECK(hashes.size() > 12);
}

TEST_CASE("keys are equal exactly if kind and content are", "[sessions]")
{
  const auto address = [](const char* text) { return asio::ip::make_address(text); };
  auto scoped = asio::ip::make_address_v6("fe80::1");
  scoped.scope_id(2);
  const std::string longest(dgram::session_key::max_size, 'k');
  const std::string zeros(7, '\0');
  const auto bytes = [](const std::string& text) {
    return dgram::detail::pack<dgram::udp>(dgram::session_key(text));
  };
  const std::vector<key> all{
      key(address("10.0.0.1"), 1),
      key(address("10.0.0.1"), 2),
      key(address("10.0.0.2"), 1),
      key(address("fe80::1"), 1),
      key(scoped, 1),
      key(scoped, 2),
      key(address("::"), 1),
      key(address("0.0.0.0"), 1),
      bytes("a"),
      bytes("a" + std::string(1, '\0')),
      bytes(zeros),
      bytes(zeros + '\0'),
      bytes(longest),
      bytes(longest.substr(1)),
      bytes(longest.substr(1) + 'x'),
  };
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < all.size(); ++j)
      CHECK((all[i] == all[j]) == (i == j));
  CHECK(key(address("::ffff:10.0.0.1"), 1) == all[0]);
  CHECK_FALSE(bytes("").is_usable());
  CHECK_FALSE(bytes(longest + 'k').is_usable());
  CHECK_FALSE(bytes("a").is_peer());
  CHECK(all[0].is_peer());
}

TEST_CASE("blocks have numbers from 1, do not move, and are used again", "[sessions]")
{
  struct block {
    std::uint32_t content = 0;
    std::uint32_t next = 0;
    std::array<char, 1000> bytes;
    std::uint32_t& next_free() { return next; }
  };
  slab<block> blocks;
  std::vector<block*> at{nullptr};
  constexpr std::uint32_t count = 10'000;  // beyond the small chunks
  for (std::uint32_t number = 1; number <= count; ++number) {
    REQUIRE(blocks.take() == number);
    blocks[number].content = number;
    at.push_back(&blocks[number]);
  }
  bool all_stay = true;
  for (std::uint32_t number = 1; number <= count; ++number)
    all_stay = all_stay && &blocks[number] == at[number] && at[number]->content == number;
  CHECK(all_stay);
  blocks.give_back(7);
  blocks.give_back(count);
  CHECK(blocks.take() == count);
  CHECK(blocks.take() == 7);
  CHECK(blocks.take() == count + 1);
  CHECK(blocks.last() == count + 1);
}

TEST_CASE("a wheel expires entries in the order of their ticks, and not before", "[sessions]")
{
  deadlines all;
  idle_wheel wheel;
  const std::uint64_t start = GENERATE(0U, 300U, 100'000U);
  REQUIRE(take_expired(wheel, all, start).empty());
  for (const std::uint64_t later : {3U, 1U, 2U, 511U, 512U})
    wheel.add(all, all.add(start + later));
  CHECK(take_expired(wheel, all, start) == std::vector<std::uint32_t>{});
  CHECK(take_expired(wheel, all, start + 2) == std::vector<std::uint32_t>{2, 3});
  CHECK(take_expired(wheel, all, start + 510) == std::vector<std::uint32_t>{1});
  CHECK(take_expired(wheel, all, start + 511) == std::vector<std::uint32_t>{4});
  CHECK(take_expired(wheel, all, start + 600) == std::vector<std::uint32_t>{5});
  CHECK(wheel.empty());
}

TEST_CASE("a wheel keeps deadlines of many turns, and asks again for those that moved",
          "[sessions]")
{
  std::mt19937 random(3);
  deadlines all;
  idle_wheel wheel;
  std::set<std::uint32_t> waiting;
  std::uint64_t now = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0) {
      const std::uint32_t number = all.add(now + random() % 3000);
      wheel.add(all, number);
      waiting.insert(number);
    }
    if (!waiting.empty()) {
      const auto from =
          waiting.lower_bound(*waiting.begin() + static_cast<std::uint32_t>(random() % 20));
      const std::uint32_t any = from != waiting.end() ? *from : *waiting.begin();
      if (random() % 4 == 0) {
        wheel.remove(all, any);
        waiting.erase(any);
      } else {
        all.dues[any] = std::max<std::uint64_t>(all.dues[any], now + random() % 2000);
      }
    }
    now += random() % 8 == 0 ? random() % 700 : random() % 3;
    std::set<std::uint32_t> due;
    for (const std::uint32_t number : waiting)
      if (all.dues[number] <= now) due.insert(number);
    const auto taken = take_expired(wheel, all, now);
    REQUIRE(std::set<std::uint32_t>(taken.begin(), taken.end()) == due);
    for (const std::uint32_t number : taken)
      waiting.erase(number);
    REQUIRE(wheel.empty() == waiting.empty());
    if (const auto first = wheel.first_bucket()) REQUIRE(*first > now);
  }
}

TEST_CASE("a wheel names the earliest entry however often the others moved", "[sessions]")
{
  std::mt19937 random(4);
  deadlines all;
  idle_wheel wheel;
  for (int i = 0; i < 200; ++i)
    wheel.add(all, all.add(1 + random() % 500));
  for (int round = 0; round < 200; ++round) {
    for (std::uint32_t number = 1; number <= 200; ++number)
      if (all.dues[number] != 0 && random() % 3 == 0)
        all.dues[number] = std::min<std::uint64_t>(all.dues[number] + random() % 100, 511);
    const std::uint32_t found = wheel.earliest(all, 1000);
    REQUIRE(found != 0);
    std::uint64_t least = all.dues[found];
    for (std::uint32_t number = 1; number <= 200; ++number)
      if (all.dues[number] != 0) least = std::min(least, all.dues[number]);
    REQUIRE(all.dues[found] == least);
    wheel.remove(all, found);
    all.dues[found] = 0;
  }
  CHECK(wheel.empty());
  CHECK(wheel.earliest(all, 1000) == 0);
}

TEST_CASE("the work on expired entries can be done in portions", "[sessions]")
{
  store sessions(limits_of(1000), 5);
  for (std::uint32_t number = 0; number < 100; ++number)
    make(sessions, number);
  CHECK(sessions.expire(4, 1000) == 0);
  CHECK(sessions.expire(5, 30) == 30);
  CHECK(sessions.expire(5, 30) == 30);
  CHECK(sessions.size() == 40);
  CHECK(sessions.expire(6, 1000) == 40);
  CHECK(sessions.counts().idle == 100);
  CHECK(tracked::alive == 0);
}

namespace {

/// The store, and what it should hold: the keys with the number of their session.
class comparison {
public:
  explicit comparison(unsigned seed) : random_(seed)
  {
    store_.on_end([this](store::block& ended, session_end why) {
      if (why != session_end::idle) return;
      forget(ended.value().value);
    });
  }

  void step()
  {
    const std::uint32_t number = any_key();
    switch (random_() % 10) {
    case 0:
    case 1:
    case 2: touch_or_make(number); break;
    case 3: end(number); break;
    case 4:
    case 5: add_key(number, any_key()); break;
    case 6: remove_key(number); break;
    case 7: replace_key(number, any_key()); break;
    case 8: look_up(number); break;
    default:
      if (random_() % 20 == 0) pass_time();
    }
  }

  void check_all()
  {
    REQUIRE(store_.size() == sessions_.size());
    REQUIRE(store_.key_count() == owners_.size());
    REQUIRE(tracked::alive == sessions_.size());
    bool same = true;
    for (const auto& [name, session] : owners_) {
      const auto* const found = store_.find(key_of(name));
      same = same && found != nullptr && found == sessions_.at(session).at;
    }
    REQUIRE(same);
    const auto& counts = store_.counts();
    REQUIRE(counts.created == store_.size() + counts.idle + counts.closed + counts.evicted);
  }

private:
  static constexpr std::uint32_t names = 2000;
  static constexpr std::uint64_t idle = 40;
  static constexpr std::size_t most_keys = 8;

  struct expectation {
    store::block* at;
    std::uint64_t heard;
    std::size_t keys;
  };

  std::uint32_t any_key() { return static_cast<std::uint32_t>(random_() % names); }

  void touch_or_make(std::uint32_t name)
  {
    if (const auto known = owners_.find(name); known != owners_.end()) {
      expectation& of = sessions_.at(known->second);
      store_.hear(*of.at, now_);
      of.heard = now_;
      return;
    }
    const std::uint32_t serial = next_++;
    const key packed = key_of(name);
    auto* const made = store_.make(packed, store_.hash(packed), now_, [&](void* memory) {
      std::construct_at(static_cast<tracked*>(memory), serial);
    });
    REQUIRE(made != nullptr);
    REQUIRE(made->value().value == serial);
    owners_[name] = serial;
    sessions_[serial] = {made, now_, 1};
  }

  void forget(std::uint32_t serial)
  {
    sessions_.erase(serial);
    std::erase_if(owners_, [&](const auto& entry) { return entry.second == serial; });
  }

  void end(std::uint32_t name)
  {
    const auto known = owners_.find(name);
    if (known == owners_.end()) return;
    const std::uint32_t serial = known->second;
    store::block* const at = sessions_.at(serial).at;
    const std::uint64_t id = at->id();
    REQUIRE(store_.find_id(id) == at);
    REQUIRE(store_.end(*at, session_end::closed));
    REQUIRE(store_.find_id(id) == nullptr);
    forget(serial);
  }

  void add_key(std::uint32_t name, std::uint32_t more)
  {
    const auto known = owners_.find(name);
    if (known == owners_.end()) return;
    expectation& of = sessions_.at(known->second);
    const auto other = owners_.find(more);
    const bool expected =
        other != owners_.end() ? other->second == known->second : of.keys < most_keys;
    REQUIRE(store_.add_key(*of.at, key_of(more)) == expected);
    if (!expected || other != owners_.end()) return;
    ++of.keys;
    owners_[more] = known->second;
  }

  void remove_key(std::uint32_t name)
  {
    const auto known = owners_.find(name);
    const bool expected = known != owners_.end() && sessions_.at(known->second).keys > 1;
    REQUIRE(store_.remove_key(key_of(name)) == expected);
    if (!expected) return;
    --sessions_.at(known->second).keys;
    owners_.erase(known);
  }

  void replace_key(std::uint32_t name, std::uint32_t by)
  {
    const auto known = owners_.find(name);
    if (known == owners_.end()) return;
    const key old = key_of(name);
    const auto other = owners_.find(by);
    const bool expected = other == owners_.end() || other->second == known->second;
    REQUIRE(store_.replace_key(*sessions_.at(known->second).at, key_of(by),
                               [&](const key& each) { return each == old; }) == expected);
    if (!expected || other != owners_.end()) return;
    owners_[by] = known->second;
    owners_.erase(known);
  }

  void look_up(std::uint32_t name)
  {
    const key packed = key_of(name);
    const std::uint32_t hash = store_.hash(packed);
    store_.fetch_places(hash);
    const auto* const found = store_.find(packed, hash, store_.fetch_session(hash));
    const auto known = owners_.find(name);
    REQUIRE(found == (known != owners_.end() ? sessions_.at(known->second).at : nullptr));
  }

  void pass_time()
  {
    now_ += random_() % 30;
    std::size_t due = 0;
    for (const auto& [serial, of] : sessions_)
      due += of.heard + idle <= now_ ? 1U : 0U;
    REQUIRE(store_.expire(now_, 1'000'000) == due);
  }

  std::mt19937 random_;
  std::uint64_t now_ = 0;
  std::uint32_t next_ = 1;
  store store_{{.max_sessions = names, .max_keys = most_keys}, idle};
  std::map<std::uint32_t, std::uint32_t> owners_;  // keys and the serial number of their session
  std::map<std::uint32_t, expectation> sessions_;
};

void compare(unsigned seed, int steps)
{
  {
    comparison both(seed);
    for (int i = 0; i < steps; ++i) {
      both.step();
      if (i % 1000 == 0) both.check_all();
    }
    both.check_all();
  }
  REQUIRE(tracked::alive == 0);
}

}  // namespace

TEST_CASE("a store agrees with std::map", "[sessions]")
{
  compare(GENERATE(1U, 2U, 3U), 100'000);
}

// Run by hand: it takes long.
TEST_CASE("a store agrees with std::map over a million steps", "[.][sessions][long]")
{
  compare(GENERATE(11U, 12U, 13U), 1'000'000);
}

TEST_CASE("a session that ends cannot be changed or ended again", "[sessions]")
{
  store sessions(limits_of(2), 5);
  store::block* const session = make(sessions, 1);
  REQUIRE(session != nullptr);
  int ends = 0;
  sessions.on_end([&](store::block& ended, session_end why) {
    ++ends;
    CHECK(why == session_end::closed);
    CHECK_FALSE(sessions.end(ended, session_end::idle));
    CHECK_FALSE(sessions.add_key(ended, key_of(2)));
    CHECK_FALSE(sessions.replace_key(ended, key_of(2), [](const key&) { return true; }));
    sessions.set_idle(ended, 1);
    sessions.validate(ended);
  });
  CHECK(sessions.end(*session, session_end::closed));
  CHECK(ends == 1);
  CHECK(sessions.size() == 0);
  CHECK(sessions.key_count() == 0);
  CHECK_FALSE(sessions.next_expiry());
  CHECK(sessions.counts().closed == 1);
  CHECK(sessions.counts().idle == 0);
}

TEST_CASE("a value whose constructor makes the last session is refused itself", "[sessions]")
{
  store sessions(limits_of(1), 5);
  const key name = key_of(1);
  const auto* const refused = sessions.make(name, sessions.hash(name), 0, [&](void* memory) {
    CHECK(make(sessions, 2) != nullptr);
    std::construct_at(static_cast<tracked*>(memory), 1U);
  });
  CHECK(refused == nullptr);
  CHECK(sessions.find(name) == nullptr);
  CHECK(sessions.find(key_of(2)) != nullptr);
  CHECK(sessions.size() == 1);
  CHECK(tracked::alive == 1);
}

TEST_CASE("a million sessions are found, and leave again", "[sessions]")
{
  constexpr std::uint32_t count = 1'000'000;
  store sessions(limits_of(count), 10);
  for (std::uint32_t number = 0; number < count; ++number)
    if (make(sessions, number * 7) == nullptr) FAIL("no session " << number);
  CHECK(sessions.size() == count);
  CHECK(make(sessions, 1) == nullptr);
  std::size_t right = 0;
  for (std::uint32_t number = 0; number < count; ++number) {
    auto* const found = sessions.find(key_of(number * 7));
    right += found != nullptr && found->value().value == number * 7 ? 1U : 0U;
  }
  CHECK(right == count);
  CHECK(sessions.table().longest_probe() < 150);
  CHECK(sessions.expire(10, count) == count);
  CHECK(sessions.size() == 0);
  CHECK(sessions.key_count() == 0);
}

TEST_CASE(
    "datagrams for a listener that cannot be woken are dropped, and none waits for a later one",
    "[sessions]")
{
  using forwarding = dgram::detail::shard_forwarding<dgram::udp>;
  const auto directory = std::make_shared<dgram::detail::session_directory<dgram::udp>>();
  bool has_memory = false;
  int woken = 0;
  const auto wake = [&] {
    if (!has_memory) throw std::bad_alloc();
    ++woken;
  };
  forwarding owner(directory, 1, wake);  // one piece of memory, which must not be lost
  forwarding other(directory, 1, [] {});
  REQUIRE(owner.claim(key_of(1)));
  const auto forward = [&](const std::string& payload) {
    std::vector<std::byte> bytes(payload.size());
    std::memcpy(bytes.data(), payload.data(), payload.size());
    const dgram::detail::received_slot<dgram::udp> slot;
    CHECK(other.pass_on(key_of(1), dgram::basic_datagram<dgram::udp>(bytes, slot)));
  };
  forwarding::parcels taken;

  forward("1");
  forward("2");
  other.deliver();
  CHECK(other.forwarded() == 0);
  CHECK(other.dropped() == 2);
  owner.take_full(taken);
  CHECK(taken.empty());

  has_memory = true;
  forward("3");
  other.deliver();
  CHECK(woken == 1);
  CHECK(other.forwarded() == 1);
  CHECK(other.dropped() == 2);
  owner.take_full(taken);
  REQUIRE(taken.size() == 1);
  REQUIRE(taken[0]->size() == 1);
  CHECK(taken[0]->next()->view().payload().text() == "3");
  owner.give_back(taken);

  // What comes while it is woken already needs no memory.
  forward("4");
  other.deliver();
  has_memory = false;
  forward("5");
  other.deliver();
  CHECK(woken == 2);
  CHECK(other.forwarded() == 3);
  // What a listener that ends has not taken goes to another one, if there is one.
  CHECK(owner.leave() == 0);
  {
    std::vector<std::byte> late(1);
    const dgram::detail::received_slot<dgram::udp> slot;
    CHECK_FALSE(owner.pass_on(key_of(1), dgram::basic_datagram<dgram::udp>(late, slot)));
  }
  forwarding third(directory, 1, [] {});
  CHECK(other.leave() == 0);
  third.take_full(taken);
  REQUIRE(taken.size() == 1);
  REQUIRE(taken[0]->size() == 2);
  CHECK(taken[0]->next()->view().payload().text() == "4");
  CHECK(taken[0]->next()->view().payload().text() == "5");
  third.give_back(taken);
  // What is delivered to one that has left meanwhile comes to the next, too.
  forwarding fourth(directory, 1, [] {}), fifth(directory, 1, [] {});
  REQUIRE(third.claim(key_of(2)));
  std::vector<std::byte> bytes(1);
  const dgram::detail::received_slot<dgram::udp> slot;
  CHECK(fourth.pass_on(key_of(2), dgram::basic_datagram<dgram::udp>(bytes, slot)));
  CHECK(third.leave() == 0);
  fourth.deliver();
  CHECK(fourth.forwarded() == 1);
  CHECK(fourth.dropped() == 0);
  fourth.take_full(taken);  // it is the first of those that are left
  CHECK(taken.size() == 1);
  fourth.give_back(taken);
  CHECK(fifth.leave() == 0);
  // The last one has none to give it to.
  forwarding sixth(directory, 1, [] {});
  REQUIRE(fourth.claim(key_of(3)));
  CHECK(sixth.pass_on(key_of(3), dgram::basic_datagram<dgram::udp>(bytes, slot)));
  sixth.deliver();
  CHECK(sixth.leave() == 0);
  CHECK(fourth.leave() == 1);
}

TEST_CASE("stores that share their keys never have the same one, and the directory knows all",
          "[sessions]")
{
  using forwarding = dgram::detail::shard_forwarding<dgram::udp>;
  constexpr std::uint32_t keys = 30;
  constexpr std::size_t count = 3;
  const auto when_full = GENERATE(dgram::sessions_full::refuse, dgram::sessions_full::evict_idlest);
  const auto directory = std::make_shared<dgram::detail::session_directory<dgram::udp>>();
  std::vector<std::unique_ptr<forwarding>> parts;
  std::vector<std::unique_ptr<store>> stores;
  for (std::size_t i = 0; i < count; ++i) {
    auto limits = limits_of(5, when_full);
    limits.max_keys = 3;
    parts.push_back(std::make_unique<forwarding>(directory, 1, [] {}));
    stores.push_back(std::make_unique<store>(limits, 10));
    stores.back()->share_keys(*parts.back());
  }
  std::mt19937 random(1);
  const auto below = [&](std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random);
  };
  std::size_t met = 0;
  for (std::uint64_t step = 0; step < 20'000; ++step) {
    store& in = *stores[below(count)];
    const std::uint32_t number = below(keys);
    const key name = key_of(number);
    store::block* const known = in.find(key_of(below(keys)));
    const bool is_free = directory->owner_of(name) == 0;
    const bool is_own = in.find(name) != nullptr;
    switch (below(6)) {
    case 0:
    case 1:
      if (!is_own && make(in, number, step) != nullptr) {
        REQUIRE(is_free);
        ++met;
      }
      break;
    case 2:
      if (known != nullptr && in.add_key(*known, name)) REQUIRE((is_free || is_own));
      break;
    case 3: in.remove_key(name); break;
    case 4:
      if (known != nullptr && in.replace_key(*known, name, [](const key&) { return true; }))
        REQUIRE((is_free || is_own));
      break;
    default:
      if (known != nullptr && below(3) == 0) in.end(*known, session_end::closed);
      in.expire(step, 2);
    }
    std::size_t all = 0;
    for (const auto& each : stores)
      all += each->key_count();
    REQUIRE(directory->size() == all);
    for (std::uint32_t each = 0; each < keys; ++each) {
      std::uint32_t owner = 0;
      for (std::uint32_t i = 0; i < count; ++i)
        if (stores[i]->find(key_of(each)) != nullptr) {
          REQUIRE(owner == 0);
          owner = i + 1;
        }
      REQUIRE(directory->owner_of(key_of(each)) == owner);
    }
  }
  CHECK(met > 1000);
  // What a listener had is free once it has left, also if its store lives on.
  parts[0]->leave();
  CHECK(directory->size() == stores[1]->key_count() + stores[2]->key_count());
  for (std::uint32_t each = 0; each < keys; ++each)
    CHECK(directory->owner_of(key_of(each)) != 1);
}

}  // namespace session_store_test
