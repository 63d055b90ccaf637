// SPDX-License-Identifier: BSL-1.0
// Fuzzes the keys of sessions: whatever keys the program reads from datagrams, and gives to and
// takes from sessions, each session is found by exactly its own keys.

#include "fuzz/input.hpp"
#include "support/manual_clock.hpp"

#include <dgram/session_map.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

using dgram::session_key;
using endpoint = asio::ip::udp::endpoint;

// The input moves it.
using input_clock = test::manual_clock<std::chrono::duration<std::int64_t, std::milli>>;

/// What the function for keys throws.
struct no_key {};

constexpr std::chrono::milliseconds idle_timeout(1000);
constexpr std::size_t most_sessions = 12;
constexpr std::size_t most_keys = 3;

/// A key of the model: the bytes, or the peer's address as text.
using name = std::pair<bool, std::string>;

name name_of(const session_key& key)
{
  return {false, std::string(key.bytes().text())};
}

name name_of(const endpoint& peer)
{
  const auto address = peer.address();
  const bool is_mapped = address.is_v6() && address.to_v6().is_v4_mapped();
  const auto plain =
      is_mapped ? asio::ip::address(asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()))
                : address;
  return {true, plain.to_string() + " " + std::to_string(peer.port())};
}

struct player {};

class world {
  using map_type = dgram::session_map<player, dgram::udp, input_clock>;
  using session = map_type::session;

public:
  explicit world(fuzz::input& from)
      : from_(from),
        by_peer_(from.one_in(4)),
        evicts_(from.one_in(3)),
        map_(
            {.idle_timeout = idle_timeout,
             .max_sessions = most_sessions,
             .when_full =
                 evicts_ ? dgram::sessions_full::evict_idlest : dgram::sessions_full::refuse,
             .max_keys = most_keys},
            by_peer_ ? map_type::key_function() : [](const dgram::datagram& received) {
              if (received.payload().text() == "throw") throw no_key();
              return session_key(received.payload());
            })
  {
    map_.on_end([this](session ended, dgram::session_end) { forget(ended.id()); });
  }

  void step()
  {
    const std::uint8_t what = from_.byte();
    switch (what % 9) {
    case 0: input_clock::current += std::chrono::milliseconds(from_.below(400)); break;
    case 1: map_.expire(); break;
    case 2: add_key(); break;
    case 3: remove_key(); break;
    case 4: set_peer(); break;
    case 5: replace_key(); break;
    case 6: emplace(); break;
    case 7:
      if (const auto one = any_session()) map_.erase(one);
      break;
    default: route();
    }
    check();
  }

private:
  /// Few different keys, so that they meet, and some of every length.
  session_key take_key()
  {
    const std::uint8_t form = from_.byte();
    if (form % 8 == 0) return session_key(from_.text(40));
    const std::string near(form % 5U * 8, 'k');  // equal words before the last byte
    return session_key(near + std::string(1, static_cast<char>(from_.byte() % 4)));
  }

  endpoint take_peer()
  {
    const std::uint8_t form = from_.byte();
    const std::uint8_t low = form / 16;
    const auto port = static_cast<std::uint16_t>(form / 4 % 4);
    switch (form % 4) {
    case 0: return {asio::ip::address_v4({10, 0, 0, low}), port};
    case 1:
      return {asio::ip::make_address_v6(asio::ip::v4_mapped, asio::ip::address_v4({10, 0, 0, low})),
              port};
    default: {
      auto bytes = asio::ip::address_v6::loopback().to_bytes();
      bytes[3] = low;
      return {asio::ip::address_v6(bytes), port};
    }
    }
  }

  session any_session()
  {
    const auto key = keys_.begin();
    if (keys_.empty()) return {};
    return map_.find(
        std::next(key, static_cast<std::ptrdiff_t>(from_.below(keys_.size())))->second);
  }

  void forget(dgram::session_id ended)
  {
    fuzz::require(std::erase_if(keys_, [&](const auto& each) { return each.second == ended; }) > 0,
                  "a session that ends had a key");
  }

  std::size_t count_keys(dgram::session_id of) const
  {
    return static_cast<std::size_t>(std::count_if(
        keys_.begin(), keys_.end(), [&](const auto& each) { return each.second == of; }));
  }

  std::optional<dgram::session_id> owner_of(const name& key) const
  {
    const auto found = keys_.find(key);
    if (found == keys_.end()) return std::nullopt;
    return found->second;
  }

  /// Notes what a session has become that was asked for by this key.
  void note(const session& got, const name& key, std::optional<dgram::session_id> before,
            bool was_full)
  {
    if (!got) {
      fuzz::require(!before && was_full && !evicts_, "only a full map makes no session");
      return;
    }
    if (before && map_.find(*before))
      fuzz::require(got.id() == *before, "a known key belongs to its session");
    else
      keys_[key] = got.id();
  }

  void route()
  {
    dgram::receive_batch batch(8, 64);
    std::array<std::string, 8> payloads;
    const std::size_t count = 1 + from_.below(8);
    for (std::size_t i = 0; i < count; ++i) {
      const session_key key = take_key();
      payloads[i] = from_.one_in(32) ? "throw" : std::string(key.bytes().text());
      if (!key.is_usable() && key.size() > 0) payloads[i].assign(key.size(), 'x');
      batch.store(payloads[i], take_peer());
    }
    if (from_.one_in(2)) {
      route_all(batch);
      return;
    }
    for (const dgram::datagram& each : batch) {
      const bool was_full = map_.size() == most_sessions;
      const auto before = owner_of(key_of(each));
      try {
        const session got = map_.route(each);
        check_route(got, each, before, was_full);
      } catch (const no_key&) {
        fuzz::require(throws(each), "only the program's function throws");
      }
    }
  }

  void route_all(const dgram::receive_batch& batch)
  {
    auto routed = map_.route(batch);
    for (;;) {
      try {
        for (const auto& [got, each] : routed) {
          const name key = key_of(each);
          const auto before = owner_of(key);
          if (!before || *before != got.id()) {
            fuzz::require(!before, "a known key belongs to its session");
            keys_[key] = got.id();
          }
          if (from_.one_in(8)) map_.erase(got);
        }
        return;
      } catch (const no_key&) {
        // The loop goes on with the next datagram.
      }
    }
  }

  name key_of(const dgram::datagram& received) const
  {
    return by_peer_ ? name_of(received.sender()) : name_of(session_key(received.payload()));
  }

  bool throws(const dgram::datagram& received) const
  {
    return !by_peer_ && received.payload().text() == "throw";
  }

  void check_route(const session& got, const dgram::datagram& received,
                   std::optional<dgram::session_id> before, bool was_full)
  {
    fuzz::require(!throws(received), "what a function throws leaves the call");
    if (!by_peer_ && !session_key(received.payload()).is_usable()) {
      fuzz::require(!got, "a datagram without a usable key has no session");
      return;
    }
    note(got, key_of(received), before, was_full);
  }

  template <class Function>
  bool is_taken(const session_key& key, const Function& call)
  {
    try {
      const bool taken = call();
      fuzz::require(key.is_usable(), "a key that is not usable is refused");
      return taken;
    } catch (const dgram::system_error& error) {
      fuzz::require(!key.is_usable() && error.code() == dgram::error::out_of_range,
                    "a usable key is taken");
      return false;
    }
  }

  void add_key()
  {
    const session one = any_session();
    const session_key key = take_key();
    const endpoint peer = take_peer();
    const bool of_bytes = from_.one_in(2);
    const name added = of_bytes ? name_of(key) : name_of(peer);
    const bool taken =
        of_bytes ? is_taken(key, [&] { return map_.add_key(one, key); }) : map_.add_key(one, peer);
    if (of_bytes && !key.is_usable()) return;
    const auto owner = owner_of(added);
    const bool expected = one && (owner ? *owner == one.id() : count_keys(one.id()) < most_keys);
    fuzz::require(taken == expected, "a session takes a free key, up to its limit");
    if (taken) keys_[added] = one.id();
  }

  void remove_key()
  {
    const session_key key = take_key();
    const endpoint peer = take_peer();
    const bool of_bytes = from_.one_in(2);
    const name removed = of_bytes ? name_of(key) : name_of(peer);
    const bool gone = of_bytes ? map_.remove_key(key) : map_.remove_key(peer);
    const auto owner = owner_of(removed);
    fuzz::require(gone == (owner && count_keys(*owner) > 1), "a session keeps its last key");
    if (gone) keys_.erase(removed);
  }

  void set_peer()
  {
    const session one = any_session();
    const endpoint peer = take_peer();
    const name wanted = name_of(peer);
    const auto owner = owner_of(wanted);
    const std::size_t peers_before = one ? count_peers(one.id()) : 0;
    const std::size_t keys_before = one ? count_keys(one.id()) : 0;
    const bool moved = map_.set_peer(one, peer);
    if (!moved) {
      fuzz::require(
          !one || (owner && *owner != one.id()) || (peers_before == 0 && keys_before == most_keys),
          "a session moves to a free peer");
      return;
    }
    fuzz::require(one && (!owner || *owner == one.id()), "a peer has one session");
    if (owner) return;
    // The map says which of several peers was replaced.
    if (peers_before > 0) {
      std::size_t replaced = 0;
      for (auto at = keys_.begin(); at != keys_.end();) {
        const bool is_gone = at->second == one.id() && at->first.first && !has(at->first);
        replaced += is_gone ? 1 : 0;
        at = is_gone ? keys_.erase(at) : std::next(at);
      }
      fuzz::require(replaced == 1, "a new peer takes the place of one");
    }
    keys_[wanted] = one.id();
  }

  std::size_t count_peers(dgram::session_id of) const
  {
    return static_cast<std::size_t>(
        std::count_if(keys_.begin(), keys_.end(),
                      [&](const auto& each) { return each.second == of && each.first.first; }));
  }

  void replace_key()
  {
    const session one = any_session();
    const session_key old = take_key();
    const session_key key = take_key();
    if (!old.is_usable() || !key.is_usable()) return;
    const bool replaced = map_.replace_key(one, old, key);
    const auto owner = owner_of(name_of(old));
    const auto taken = owner_of(name_of(key));
    const bool is_own = one && owner && *owner == one.id();
    fuzz::require(replaced == (is_own && (!taken || *taken == one.id())),
                  "a session exchanges one of its keys for a free key");
    if (!replaced || taken) return;
    keys_.erase(name_of(old));
    keys_[name_of(key)] = one.id();
  }

  void emplace()
  {
    const endpoint peer = take_peer();
    const bool was_full = map_.size() == most_sessions;
    const auto before = owner_of(name_of(peer));
    const auto [got, is_new] = map_.try_emplace(peer);
    fuzz::require(is_new == (got && !before), "a key that is known makes no session");
    note(got, name_of(peer), before, was_full);
  }

  /// The address of a peer as the model names it.
  bool has(const name& key) const
  {
    if (!key.first) return static_cast<bool>(map_.find(session_key(key.second)));
    const auto blank = key.second.find(' ');
    return static_cast<bool>(
        map_.find(endpoint(asio::ip::make_address(key.second.substr(0, blank)),
                           static_cast<std::uint16_t>(std::stoi(key.second.substr(blank))))));
  }

  void check()
  {
    fuzz::require(map_.key_count() == keys_.size(), "a map has the keys of the model");
    std::map<dgram::session_id, std::size_t> sessions;
    for (const auto& [key, owner] : keys_) {
      ++sessions[owner];
      fuzz::require(has(key), "each key is found");
      if (!key.first)
        fuzz::require(map_.find(session_key(key.second)).id() == owner,
                      "a key finds its own session");
    }
    fuzz::require(map_.size() == sessions.size() && map_.size() <= most_sessions,
                  "a map has the sessions of the model");
    for (const auto& each : map_)
      fuzz::require(sessions.contains(each.id()), "a loop finds the sessions of the model");
    const auto counts = map_.statistics();
    fuzz::require(counts.created == map_.size() + counts.idle + counts.closed + counts.evicted,
                  "each session is counted once");
    const session_key stranger = take_key();
    fuzz::require(static_cast<bool>(map_.find(stranger)) ==
                      (stranger.is_usable() && keys_.contains(name_of(stranger))),
                  "a key that no session has finds none");
  }

  fuzz::input& from_;
  bool by_peer_;
  bool evicts_;
  map_type map_;
  std::map<name, dgram::session_id> keys_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  fuzz::input from(data, size);
  world sessions(from);
  while (!from.empty())
    sessions.step();
  return 0;
}
