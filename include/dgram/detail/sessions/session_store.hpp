// SPDX-License-Identifier: BSL-1.0
// Sessions by key, with their limits and idle times. It knows neither sockets nor clocks.
#ifndef DGRAM_DETAIL_SESSIONS_SESSION_STORE_HPP
#define DGRAM_DETAIL_SESSIONS_SESSION_STORE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/at_end.hpp>
#include <dgram/detail/async/replaceable_function.hpp>
#include <dgram/detail/sessions/fetch_ahead.hpp>
#include <dgram/detail/sessions/idle_wheel.hpp>
#include <dgram/detail/sessions/key_table.hpp>
#include <dgram/detail/sessions/keyed_hash.hpp>
#include <dgram/detail/sessions/slab.hpp>
#include <dgram/session_map_config.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What the table knows of a session, without the user's part. What a look-up of an IPv4 peer needs
/// is in the first 32 bytes.
template <class Key>
struct session_head {
  enum class state : std::uint8_t { free, live, ending };

  state now = state::free;
  bool validated = false;
  std::uint16_t keys = 0;
  std::uint32_t number = 0;
  idle_wheel::tick heard = 0;  // when the last datagram came
  Key key{};                   // the first of its keys
  wheel_link link{};
  std::uint32_t aliases = 0;     // the list of the other keys
  std::uint32_t generation = 1;  // of the block's sessions
  std::uint32_t idle_ticks = 0;  // how long it may hear nothing

  bool is_live() const noexcept { return now == state::live; }
  std::uint32_t& next_free() noexcept { return link.next; }
  std::uint64_t id() const noexcept
  {
    return static_cast<std::uint64_t>(generation) << 32U | number;
  }
};

/// Says which keys other stores have, and hears of each key that this store gets or loses. Two
/// stores never have the same key.
template <class Key>
class key_registry {
public:
  key_registry() = default;
  key_registry(const key_registry&) = delete;
  key_registry& operator=(const key_registry&) = delete;

  /// Returns false if another store has the key. Throws `std::bad_alloc`, and changes nothing then.
  virtual bool claim(const Key& key) = 0;

  virtual void release(const Key& key) noexcept = 0;

protected:
  ~key_registry() = default;
};

/// A session. With this alignment the first 32 bytes are in one cache line.
template <class T, class Key>
struct alignas(32) alignas(T) session_block : session_head<Key> {
  alignas(T) std::byte storage[sizeof(T)];  // NOLINT(*-avoid-c-arrays)

  T& value() noexcept { return *std::launder(reinterpret_cast<T*>(storage)); }
};

/// The sessions. A `T` is made where it stays, and is destroyed when its session ends. All times
/// are ticks, which never go back.
///
/// Functions of the program run in `make` and `end` only. They may call the store. They run while
/// the store is whole: before a session is in it, or after the session has left it.
template <class T, class Key>
class session_store {
public:
  using block = session_block<T, Key>;
  using tick = idle_wheel::tick;
  using end_function = std::function<void(block&, session_end)>;

  session_store(const session_map_config& limits, std::uint32_t idle_ticks)
      : most_(limits.max_sessions),
        most_keys_(limits.max_keys),
        idle_ticks_(idle_ticks),
        evicts_(limits.when_full == sessions_full::evict_idlest)
  {
  }
  session_store(const session_store&) = delete;
  session_store& operator=(const session_store&) = delete;

  ~session_store()
  {
    for (std::uint32_t number = 1; number <= blocks_.last(); ++number)
      if (blocks_[number].now != block::state::free) std::destroy_at(&blocks_[number].value());
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t key_count() const noexcept { return table_.size(); }

  /// Changes with every change of a session or key.
  std::uint64_t changes() const noexcept { return changes_; }

  session_map_statistics& counts() noexcept { return counts_; }
  const session_map_statistics& counts() const noexcept { return counts_; }

  /// The function is called when a session has left the store, before its `T` is destroyed.
  void on_end(end_function function) { on_end_ = std::move(function); }

  /// Shares the keys with other stores. The registry outlives the store. Call this before there is
  /// a session. Keys are not released if the store is destroyed.
  void share_keys(key_registry<Key>& registry) noexcept { registry_ = &registry; }

  std::uint32_t hash(const Key& key) const noexcept { return hash_(key); }

  // Steps of a look-up, so that many look-ups can be at the same step.

  void fetch_places(std::uint32_t hash) const noexcept { table_.fetch(hash); }

  /// Fetches the session that a key of this hash most likely belongs to. Returns what `find` takes
  /// as `guess`.
  std::uint32_t fetch_session(std::uint32_t hash) const noexcept
  {
    const std::uint32_t guess = table_.guess(hash);
    if (guess == 0 || (guess & alias_bit) != 0) return 0;
    fetch_ahead(&blocks_[guess]);
    return guess;
  }

  /// Fetches the `T` of the guessed session.
  void fetch_value(std::uint32_t guess) const noexcept
  {
    if (guess == 0) return;
    fetch_ahead(blocks_[guess].storage, std::min(sizeof(T), most_fetched));
  }

  block* find(const Key& key, std::uint32_t hash, std::uint32_t guess) const noexcept
  {
    if (guess != 0) {
      block& likely = blocks_[guess];
      if (likely.is_live() && likely.key == key) return &likely;
    }
    return find(key, hash);
  }

  block* find(const Key& key, std::uint32_t hash) const noexcept
  {
    const std::uint32_t found = entry_of(key, hash);
    return found != 0 ? &session_of(found) : nullptr;
  }

  block* find(const Key& key) const noexcept { return find(key, hash_(key)); }

  /// Returns the session with this id, or null if it has ended.
  block* find_id(std::uint64_t id) const noexcept
  {
    const auto number = static_cast<std::uint32_t>(id);
    if (number == 0 || number > blocks_.last()) return nullptr;
    block& found = blocks_[number];
    return found.is_live() && found.id() == id ? &found : nullptr;
  }

  /// Returns the first live session from this number on, or null.
  block* first_from(std::uint32_t number) const noexcept
  {
    for (; number <= blocks_.last(); ++number)
      if (blocks_[number].is_live()) return &blocks_[number];
    return nullptr;
  }

  /// Makes a session for a key that has none. `construct(memory)` makes the `T`. Returns null if
  /// the limit refuses the session, or if another store has the key. If something throws, nothing
  /// has changed; the one exception is the function for ends, which is called when the new session
  /// is in the store.
  template <class Construct>
  block* make(const Key& key, std::uint32_t hash, tick now, const Construct& construct)
  {
    if (!has_room()) return nullptr;
    table_.reserve_one();
    unfinished made{*this, blocks_.take()};
    block& session = blocks_[made.number];
    construct(static_cast<void*>(session.storage));
    made.constructed = true;
    // The constructor of the `T` may have changed everything.
    if (block* const other = find(key, hash)) return other;
    if (!has_room()) return nullptr;
    table_.reserve_one();
    if (!claim(key)) return nullptr;
    const std::uint32_t victim = size_ < most_ ? 0 : find_victim();
    session.now = block::state::live;
    session.validated = false;
    session.keys = 1;
    session.heard = now;
    session.idle_ticks = idle_ticks_;
    session.key = key;
    session.aliases = 0;
    session.number = std::exchange(made.number, 0);
    table_.insert(hash, session.number);
    wheel_of(session).add(*this, session.number);
    ++size_;
    ++changes_;
    ++counts_.created;
    if (victim != 0) end(blocks_[victim], session_end::evicted);
    return session.is_live() ? &session : nullptr;
  }

  /// Ends the session. Returns false if it has ended, or is ending.
  bool end(block& session, session_end why)
  {
    if (!session.is_live()) return false;
    wheel_of(session).remove(*this, session.number);
    table_.erase(hash_(session.key), session.number);
    release(session.key);
    while (session.aliases != 0)
      drop_first_alias(session);
    session.now = block::state::ending;
    --size_;
    ++changes_;
    ++count_of(why);
    const unfinished ended{*this, session.number, true};
    if (on_end_) on_end_(session, why);
    return true;
  }

  /// A datagram came for the session.
  void hear(block& session, tick now) noexcept { session.heard = now; }

  /// How long the session may hear nothing.
  void set_idle(block& session, std::uint32_t ticks) noexcept
  {
    if (!session.is_live()) return;
    wheel_of(session).remove(*this, session.number);
    session.idle_ticks = ticks;
    wheel_of(session).add(*this, session.number);
  }

  /// A validated session is never evicted.
  void validate(block& session) noexcept
  {
    if (session.validated || !session.is_live()) return;
    wheel_of(session).remove(*this, session.number);
    session.validated = true;
    wheel_of(session).add(*this, session.number);
  }

  /// Ends sessions that have heard nothing for the idle time. Looks at no more than `budget`
  /// sessions. Returns how many have ended.
  std::size_t expire(tick now, std::size_t budget)
  {
    std::size_t ended = 0;
    for (idle_wheel& wheel : wheels_)
      while (const std::uint32_t number = wheel.expired(*this, now, budget)) {
        ++ended;
        end(blocks_[number], session_end::idle);
      }
    return ended;
  }

  /// Returns the tick at which `expire` has something to look at, or nothing without sessions.
  std::optional<tick> next_expiry() const noexcept
  {
    const auto first = wheels_[0].first_bucket();
    const auto second = wheels_[1].first_bucket();
    if (!first || !second) return first ? first : second;
    return std::min(*first, *second);
  }

  /// Goes on with the growth of the table, if it grows.
  void grow_on() noexcept
  {
    for (int portion = 0; portion < 4 && table_.is_growing(); ++portion)
      table_.move_some();
  }

  /// Gives the session one more key. Returns whether it has the key now.
  bool add_key(block& session, const Key& key)
  {
    if (!session.is_live()) return false;
    const std::uint32_t hash = hash_(key);
    if (const block* const owner = find(key, hash)) return owner == &session;
    if (session.keys >= most_keys_) {
      ++counts_.keys_refused;
      return false;
    }
    table_.reserve_one();
    const std::uint32_t number = aliases_.take();
    if (!claim_for_alias(key, number)) return false;
    aliases_[number] = {key, session.number, session.aliases};
    session.aliases = number;
    ++session.keys;
    table_.insert(hash, number | alias_bit);
    ++changes_;
    return true;
  }

  /// Takes a key from its session. Returns false if no session has it, or if the session has no
  /// other key.
  bool remove_key(const Key& key) noexcept
  {
    const std::uint32_t hash = hash_(key);
    const std::uint32_t found = entry_of(key, hash);
    if (found == 0) return false;
    block& session = session_of(found);
    if (session.keys == 1) return false;
    if (found == session.number) {
      // The first of the others takes its place.
      table_.erase(hash, found);
      const std::uint32_t next = session.aliases;
      session.key = aliases_[next].key;
      table_.redirect(hash_(session.key), next | alias_bit, session.number);
      session.aliases = aliases_[next].next;
      aliases_.give_back(next);
    } else {
      std::uint32_t* link = &session.aliases;
      while (*link != (found ^ alias_bit))
        link = &aliases_[*link].next;
      table_.erase(hash, found);
      *link = aliases_[*link].next;
      aliases_.give_back(found ^ alias_bit);
    }
    --session.keys;
    ++changes_;
    release(key);
    return true;
  }

  /// Replaces the first key of the session that `is_old(key)` chooses, or adds a key if there is
  /// none. Returns whether the session has the key now.
  template <class IsOld>
  bool replace_key(block& session, const Key& key, IsOld is_old)
  {
    if (!session.is_live()) return false;
    const std::uint32_t hash = hash_(key);
    if (const block* const owner = find(key, hash)) return owner == &session;
    Key* old = is_old(session.key) ? &session.key : nullptr;
    std::uint32_t entry = session.number;
    for (std::uint32_t at = session.aliases; at != 0 && old == nullptr; at = aliases_[at].next)
      if (is_old(aliases_[at].key)) {
        old = &aliases_[at].key;
        entry = at | alias_bit;
      }
    if (old == nullptr) return add_key(session, key);
    table_.reserve_one();
    if (!claim(key)) return false;
    table_.erase(hash_(*old), entry);
    release(*old);
    *old = key;
    table_.insert(hash, entry);
    ++changes_;
    return true;
  }

  template <class Function>
  void for_each_key(const block& session, Function function) const
  {
    function(session.key);
    for (std::uint32_t at = session.aliases; at != 0; at = aliases_[at].next)
      function(aliases_[at].key);
  }

  const key_table& table() const noexcept { return table_; }

  // For the wheels.

  wheel_link& link(std::uint32_t number) noexcept { return blocks_[number].link; }
  tick due(std::uint32_t number) const noexcept
  {
    const block& session = blocks_[number];
    return session.heard + session.idle_ticks;
  }

private:
  /// An entry of the table with this bit is an alias, and otherwise a session.
  static constexpr std::uint32_t alias_bit = std::uint32_t{1} << 31U;

  /// How many sessions the search for the idlest one may look at. Each look puts a session where it
  /// belongs, so that the next search finds it there.
  static constexpr std::size_t most_looks = 256;

  static constexpr std::size_t most_fetched = 3 * cache_line;

  /// A further key of a session.
  struct alias {
    Key key{};
    std::uint32_t session = 0;
    std::uint32_t next = 0;

    std::uint32_t& next_free() noexcept { return next; }
  };

  /// A block whose session is not in the table. The destructor destroys the `T`, and gives the
  /// block back.
  struct unfinished {
    session_store& store;
    std::uint32_t number;
    bool constructed = false;

    unfinished(session_store& of, std::uint32_t which, bool has_value = false) noexcept
        : store(of), number(which), constructed(has_value)
    {
    }
    unfinished(const unfinished&) = delete;
    unfinished& operator=(const unfinished&) = delete;
    ~unfinished()
    {
      if (number == 0) return;
      block& left = store.blocks_[number];
      if (constructed) std::destroy_at(&left.value());
      left.now = block::state::free;
      ++left.generation;
      store.blocks_.give_back(number);
    }
  };

  std::uint32_t entry_of(const Key& key, std::uint32_t hash) const noexcept
  {
    return table_.find(hash, [&](std::uint32_t entry) {
      return (entry & alias_bit) != 0 ? aliases_[entry ^ alias_bit].key == key
                                      : blocks_[entry].key == key;
    });
  }

  block& session_of(std::uint32_t entry) const noexcept
  {
    return blocks_[(entry & alias_bit) != 0 ? aliases_[entry ^ alias_bit].session : entry];
  }

  bool has_room() const noexcept { return size_ < most_ || (evicts_ && !wheels_[0].empty()); }

  std::uint32_t find_victim() noexcept { return wheels_[0].earliest(*this, most_looks); }

  void drop_first_alias(block& session) noexcept
  {
    const std::uint32_t number = session.aliases;
    session.aliases = aliases_[number].next;
    table_.erase(hash_(aliases_[number].key), number | alias_bit);
    release(aliases_[number].key);
    aliases_.give_back(number);
  }

  bool claim(const Key& key) { return registry_ == nullptr || registry_->claim(key); }

  /// Gives the alias back if its key cannot be claimed.
  bool claim_for_alias(const Key& key, std::uint32_t number)
  {
    bool is_claimed = false;
    const at_end undo([&] {
      if (!is_claimed) aliases_.give_back(number);
    });
    is_claimed = claim(key);
    return is_claimed;
  }

  void release(const Key& key) noexcept
  {
    if (registry_ != nullptr) registry_->release(key);
  }

  idle_wheel& wheel_of(const block& session) noexcept { return wheels_[session.validated ? 1 : 0]; }

  std::uint64_t& count_of(session_end why) noexcept
  {
    if (why == session_end::idle) return counts_.idle;
    return why == session_end::evicted ? counts_.evicted : counts_.closed;
  }

  std::size_t most_;
  std::size_t most_keys_;
  std::uint32_t idle_ticks_;
  bool evicts_;
  std::size_t size_ = 0;
  std::uint64_t changes_ = 0;
  session_map_statistics counts_;
  keyed_hash hash_;
  key_table table_;
  slab<block> blocks_;
  slab<alias> aliases_;
  std::array<idle_wheel, 2> wheels_;  // of sessions that may be evicted, and of the others
  replaceable_function<end_function> on_end_;
  key_registry<Key>* registry_ = nullptr;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
