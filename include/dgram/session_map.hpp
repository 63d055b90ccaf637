// SPDX-License-Identifier: BSL-1.0
// A table of peers for servers: finds the session of each datagram of a batch, makes sessions for
// new peers, and ends those that have heard nothing for a while.
#ifndef DGRAM_SESSION_MAP_HPP
#define DGRAM_SESSION_MAP_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/async/replaceable_function.hpp>
#include <dgram/detail/sessions/departed_keys.hpp>
#include <dgram/detail/sessions/packed_key.hpp>
#include <dgram/detail/sessions/session_store.hpp>
#include <dgram/detail/sessions/session_ticks.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/fwd.hpp>
#include <dgram/receive_batch.hpp>
#include <dgram/session_key.hpp>
#include <dgram/session_map_config.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// Names a session for as long as the program runs. No two sessions of a map have the same one.
enum class session_id : std::uint64_t {};

/// The sessions of a server: one `T` for each peer, or for each key that the program reads from the
/// datagrams. It does no I/O. A loop over `route` gets each datagram of a batch with its session;
/// a datagram of a new peer makes one.
///
/// A session's `T` is constructed from the first of these that it can be constructed from: the
/// datagram, the sender's endpoint, nothing. It never moves, so it needs no copy or move
/// constructor. It is destroyed when the session ends.
///
/// A session ends in one of these ways:
///  - `idle`: no datagram came for `idle_timeout`, or for its own time (`set_idle_timeout`).
///    `route` looks at a few sessions each time, and `expire` at all that are due. Nothing else
///    ends idle sessions, so a server that may be without traffic calls `expire` from a timer.
///  - `evicted`: it made room for a new one (`sessions_full::evict_idlest`)
///  - `closed`: `erase` or `clear`. For `ignore_for`, later datagrams of its peers and keys make no
///    session. `try_emplace` still makes one.
///
/// **Limits.** Memory grows with the largest number of sessions that there were at a time, and is
/// bounded by `max_sessions`. It is kept until the map is destroyed. `statistics` counts what each
/// limit has refused. The hash has a secret seed for each map, so a sender cannot choose addresses
/// or keys that make look-ups slow. Growth is done in small steps, so no datagram waits for it.
///
/// **Keys.** By default a session is found by its peer: address, port and scope, or the path of a
/// Unix socket. An IPv4-mapped address is the IPv4 address. A function that is given to the
/// constructor reads another key from each datagram. In both cases `add_key` gives a session
/// further keys of either kind.
///
/// **Time** is that of `Clock`, once for each call. Each function that needs the time also takes
/// it as an argument. For a transport that is no system socket use its clock:
/// `session_map<player, Handle::protocol_type, Handle::clock_type>`. A time before that of an
/// earlier call counts as the time of that call.
///
/// **The program's functions** (the constructor and destructor of `T`, the functions for keys,
/// strangers and ends) may call the map. They must not destroy it, and may not replace themselves.
///
/// **Exceptions.** What a function of the program throws leaves the call that called it, and so
/// does `std::bad_alloc`. The map is whole then: no other session has changed. If no session could
/// be made, the datagram is counted as `failed`.
///
/// **Allocation.** None for a datagram of a known session. New sessions reuse the memory of ended
/// ones.
///
/// Thread safety: distinct objects are safe; one object is not.
///
/// \code
/// struct player {
///   std::size_t datagrams = 0;
/// };
/// dgram::session_map<player> players{{.idle_timeout = std::chrono::seconds(30)}};
/// dgram::reader reader{socket};
/// while (auto datagrams = co_await reader.next_batch())
///   for (auto [player, datagram] : players.route(datagrams)) ++player->datagrams;
/// \endcode
template <class T, class Protocol, class Clock>
class session_map {
  template <class, class>
  friend class detail::listener_core;

  using packed = detail::packed_key<Protocol>;
  using store_type = detail::session_store<T, packed>;
  using block = typename store_type::block;
  using tick = typename store_type::tick;
  using departed_type = detail::departed_keys<packed, Clock>;
  using datagram_iterator = typename basic_receive_batch<Protocol>::const_iterator;

  static_assert(std::is_object_v<T> && std::destructible<T>);
  static_assert(std::integral<typename Clock::rep>);

public:
  using mapped_type = T;
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using datagram_type = basic_datagram<Protocol>;
  using clock_type = Clock;
  using time_point = typename Clock::time_point;
  using duration = typename Clock::duration;

  /// A reference to a session, or to none. It is valid until the session ends, and during the call
  /// of the function for its end. After a suspension the session may have ended: keep its `id`, and
  /// `find` that.
  class session {
  public:
    session() noexcept = default;

    explicit operator bool() const noexcept { return block_ != nullptr; }
    T& operator*() const noexcept { return block_->value(); }
    T* operator->() const noexcept { return std::addressof(block_->value()); }

    /// No later session of the map has the same id.
    session_id id() const noexcept { return session_id(block_->id()); }

    friend bool operator==(session, session) noexcept = default;

  private:
    friend session_map;
    explicit session(block* of) noexcept : block_(of) {}

    block* block_ = nullptr;
  };

  /// A datagram and its session.
  struct routed {
    session_map::session session;
    datagram_type datagram;
  };

  class routed_datagrams;
  class iterator;

  /// Returns the key of a datagram. An unusable key (`session_key{}`, or one that is too long)
  /// leaves the datagram without a session.
  using key_function = std::function<session_key(const datagram_type&)>;

  /// Throws `system_error`, `error::out_of_range`, for a limit outside its range. The text names
  /// the limit. Throws `system_error` if the system has no random numbers.
  explicit session_map(const session_map_config& config = {}) : session_map(config, key_function())
  {
  }

  /// The same. Sessions are found by the key that the function returns. `route` calls the function
  /// for up to 32 datagrams ahead.
  ///
  /// \code
  /// dgram::session_map<int> connections{{}, [](const dgram::datagram& datagram) {
  ///   return dgram::session_key::at(datagram.payload(), 1, 8);
  /// }};
  /// \endcode
  session_map(const session_map_config& config, key_function key_of)
      : timing_(config.idle_timeout),
        store_(checked(config), timing_.idle_ticks),
        key_of_(std::move(key_of))
  {
    if (config.ignore_for.count() > 0)
      departed_ = std::make_unique<departed_type>(config.ignore_for, config.max_sessions);
  }

  session_map(const session_map&) = delete;
  session_map& operator=(const session_map&) = delete;

  /// Destroys all sessions. The function for ends is not called.
  ~session_map() = default;

  /// Sets the function that is asked before a datagram makes a session: true lets it. It may
  /// answer the datagram, with a cookie for example. The answer should not have more bytes than the
  /// datagram, because its sender may be forged. It may also give the sender's key to another
  /// session (`set_peer`, `add_key`): the datagram is then routed to that session.
  ///
  /// \code
  /// dgram::session_map<int> clients;
  /// clients.on_stranger([](const dgram::datagram& datagram) {
  ///   return datagram.payload().text().starts_with("hello");
  /// });
  /// \endcode
  void on_stranger(std::function<bool(const datagram_type&)> function)
  {
    on_stranger_ = std::move(function);
  }

  /// Sets the function that is called with each session that ends, and the reason. The session is
  /// out of the map already, and its `T` is destroyed after the call.
  void on_end(std::function<void(session, session_end)> function)
  {
    if (!function) return store_.on_end({});
    store_.on_end([function = std::move(function)](block& ended, session_end why) {
      function(session(&ended), why);
    });
  }

  /// Returns the datagrams with their sessions, as a range to iterate over once. Datagrams that get
  /// no session are left out and counted. `datagrams` is what `reader::next_batch` returns, or a
  /// receive batch; it must not be used for another receive before the loop ends.
  ///
  /// Look-ups are done when the loop reaches the datagram; before, memory is only fetched. So the
  /// loop may end any session, the current one too, and may suspend. A later datagram of a peer
  /// whose session has ended makes a new session.
  ///
  /// If the loop is left, the rest of the datagrams is not counted. If an exception leaves it, a
  /// second loop over the same range goes on with the next datagram.
  ///
  /// Also looks at up to 64 sessions that may have been idle for too long.
  template <class Datagrams>
    requires std::same_as<decltype(std::declval<const Datagrams&>().begin()), datagram_iterator>
  routed_datagrams route(const Datagrams& datagrams, time_point now = Clock::now())
  {
    return routed_datagrams(*this, datagrams.begin(), datagrams.end(), begin_turn(now));
  }

  /// Deleted: the batch would be gone before the loop begins.
  routed_datagrams route(basic_receive_batch<Protocol>&&, time_point = {}) = delete;

  /// The same for one datagram: returns its session, or none.
  ///
  /// \code
  /// dgram::session_map<int> clients;
  /// dgram::reader reader{socket};
  /// reader.async_for_each([&](const dgram::datagram& datagram) {
  ///   if (auto client = clients.route(datagram)) ++*client;
  /// }, [](dgram::error_code) {});
  /// \endcode
  session route(const datagram_type& received, time_point now = Clock::now())
  {
    const tick at = begin_turn(now);
    packed key;
    try {
      key = key_of(received);
    } catch (...) {
      ++store_.counts().failed;
      throw;
    }
    return session(route_one(received, key, store_.hash(key), 0, at));
  }

  /// The same for the sender of a datagram, as in a 'message' listener of an emitter. The functions
  /// for strangers and for keys are not asked.
  session route(const endpoint_type& sender, time_point now = Clock::now())
    requires(std::constructible_from<T, const endpoint_type&> || std::default_initializable<T>)
  {
    const tick at = begin_turn(now);
    const packed key = detail::pack<Protocol>(sender);
    return session(route_key(key, store_.hash(key), 0, at, [&](const auto& make) {
      return make([&](void* memory) { construct_for(memory, sender); });
    }));
  }

  /// Makes a session for a peer or a key that has none, with a `T` of these arguments. Returns it
  /// and true; or the session that has the key and false; or none and false if the limit refuses
  /// it. Throws as `add_key`.
  template <class Key, class... Arguments>
    requires(std::constructible_from<T, Arguments...> &&
             (std::same_as<Key, session_key> || std::convertible_to<const Key&, endpoint_type>))
  std::pair<session, bool> try_emplace(const Key& key, Arguments&&... arguments)
  {
    const packed words = usable("try_emplace", key);
    const std::uint32_t hash = store_.hash(words);
    if (block* const known = store_.find(words, hash)) return {session(known), false};
    const std::uint64_t created = store_.counts().created;
    block* const made = store_.make(words, hash, timing_.advance(Clock::now()), [&](void* memory) {
      std::construct_at(static_cast<T*>(memory), std::forward<Arguments>(arguments)...);
    });
    return {session(made), made != nullptr && store_.counts().created != created};
  }

  /// Returns the session of a peer, of a key or with an id, or none.
  session find(const endpoint_type& peer) const noexcept
  {
    return session(store_.find(detail::pack<Protocol>(peer)));
  }
  session find(const session_key& key) const noexcept
  {
    return session(store_.find(detail::pack<Protocol>(key)));
  }
  session find(session_id id) const noexcept
  {
    return session(store_.find_id(static_cast<std::uint64_t>(id)));
  }

  /// Ends the session, as `closed`. Returns false for no session, and if it is ending already.
  bool erase(session ended) { return end(ended, session_end::closed); }

  /// Ends all sessions, as `closed`.
  void clear()
  {
    for (block* at = store_.first_from(1); at != nullptr; at = store_.first_from(at->number + 1))
      end(session(at), session_end::closed);
  }

  /// Ends sessions that were idle for too long, and returns how many. Looks at no more than `most`
  /// sessions, so a program can do the work in portions.
  ///
  /// \code
  /// dgram::session_map<int> clients;
  /// asio::steady_timer timer{io};
  /// for (;;) {
  ///   const auto soon = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  ///   timer.expires_at(std::max(soon, clients.next_expiry().value_or(soon)));
  ///   co_await timer.async_wait(asio::use_awaitable);
  ///   clients.expire();
  /// }
  /// \endcode
  std::size_t expire(time_point now = Clock::now(),
                     std::size_t most = std::numeric_limits<std::size_t>::max())
  {
    return store_.expire(timing_.advance(now), most);
  }

  /// Returns a time before which `expire` has nothing to do; nothing if there are no sessions.
  std::optional<time_point> next_expiry() const noexcept
  {
    const auto next = store_.next_expiry();
    if (!next) return std::nullopt;
    const auto units = static_cast<typename Clock::rep>(*next) * timing_.unit;
    return detail::deadline(timing_.start, duration(units));
  }

  /// Puts off the idle end of the session, as a datagram does.
  void touch(session of, time_point now = Clock::now()) noexcept
  {
    if (of) store_.hear(*of.block_, timing_.advance(now));
  }

  /// Gives the session an idle timeout of its own. The time since its last datagram counts. The end
  /// comes up to 1/128 of the map's `idle_timeout` later. A time of more than 16,000,000 times the
  /// map's counts as that much. With `evict_idlest`, the session whose idle end is next makes room.
  /// Throws `system_error`, `error::out_of_range`, if the time is not positive.
  ///
  /// \code
  /// dgram::session_map<int> clients{{.idle_timeout = std::chrono::seconds(5)}};
  /// auto [client, is_new] = clients.try_emplace(peer, 0);
  /// if (is_new) clients.set_idle_timeout(client, std::chrono::minutes(5));
  /// \endcode
  void set_idle_timeout(session of, std::chrono::nanoseconds timeout)
  {
    if (timeout.count() <= 0) refuse_time("set_idle_timeout", "timeout", timeout, "positive");
    if (of) store_.set_idle(*of.block_, timing_.ticks_of(timeout));
  }

  /// Gives the session one more peer or key. Returns whether the session has it now: false if
  /// another session has it, if the session has `max_keys` already, or for no session. Throws
  /// `system_error` for a key that is not usable: `error::out_of_range`, or `invalid_argument` for
  /// a Unix peer without a name.
  template <class Key>
    requires(std::same_as<Key, session_key> || std::convertible_to<const Key&, endpoint_type>)
  bool add_key(session to, const Key& key)
  {
    const packed words = usable("add_key", key);
    return to && store_.add_key(*to.block_, words);
  }

  /// Takes a peer or a key from its session. Returns false if no session has it, or if it is the
  /// session's only one.
  bool remove_key(const endpoint_type& peer) noexcept
  {
    return store_.remove_key(detail::pack<Protocol>(peer));
  }
  bool remove_key(const session_key& key) noexcept
  {
    return store_.remove_key(detail::pack<Protocol>(key));
  }

  /// Moves the session to another peer: replaces the peer that it has (the first, if it has
  /// several), or adds one if it has only keys of bytes. The program must know that the new address
  /// belongs to the same peer, by a secret in the datagram for example. Returns false, and changes
  /// nothing, if another session has this peer, or as `add_key`. Throws as `add_key`.
  bool set_peer(session of, const endpoint_type& peer)
  {
    const packed words = usable("set_peer", peer);
    const auto is_peer = [](const packed& key) { return key.is_peer(); };
    return of && store_.replace_key(*of.block_, words, is_peer);
  }

  /// Replaces one key of the session by another. Returns false, and changes nothing, if the session
  /// has no key `from`, or if another session has `to`. Throws as `add_key`.
  bool replace_key(session of, const session_key& from, const session_key& to)
  {
    const packed words = usable("replace_key", to);
    const packed old = usable("replace_key", from);
    if (!of || store_.find(old) != of.block_) return false;
    return store_.replace_key(*of.block_, words, [&](const packed& key) { return key == old; });
  }

  /// Protects the session: it is never evicted, but it can still end as idle. Call this when the
  /// peer has proved its address.
  void mark_validated(session of) noexcept
  {
    if (of) store_.validate(*of.block_);
  }

  std::size_t size() const noexcept { return store_.size(); }
  bool empty() const noexcept { return size() == 0; }

  /// How many keys all sessions have.
  std::size_t key_count() const noexcept { return store_.key_count(); }

  session_map_statistics statistics() const noexcept { return store_.counts(); }

  /// All sessions, in no particular order. The loop may end any session. A session that is made
  /// during the loop may be left out.
  iterator begin() const noexcept { return iterator(&store_, 1); }
  std::default_sentinel_t end() const noexcept { return {}; }

private:
  static constexpr std::size_t looked_at_per_turn = 64;

  [[noreturn]] DGRAM_COLD static void refuse_limit(const char* name, std::size_t value,
                                                   std::size_t most)
  {
    detail::refuse("session_map", error::out_of_range,
                   std::string(name) + ": " + std::to_string(value) + "; allowed are 1 to " +
                       std::to_string(most));
  }

  [[noreturn]] DGRAM_COLD static void refuse_time(const char* operation, const char* name,
                                                  std::chrono::nanoseconds value,
                                                  const char* allowed)
  {
    detail::refuse(
        operation, error::out_of_range,
        std::string(name) + ": " + std::to_string(value.count()) + " ns; it must be " + allowed);
  }

  static session_map_config checked(session_map_config config)
  {
    constexpr std::size_t most_sessions = std::size_t{1} << 30U;
    constexpr std::size_t most_keys = std::numeric_limits<std::uint16_t>::max();
    if (config.idle_timeout.count() <= 0)
      refuse_time("session_map", "idle_timeout", config.idle_timeout, "positive");
    if (config.ignore_for.count() < 0)
      refuse_time("session_map", "ignore_for", config.ignore_for, "0 or more");
    if (config.max_sessions == 0 || config.max_sessions > most_sessions)
      refuse_limit("max_sessions", config.max_sessions, most_sessions);
    if (config.max_keys == 0 || config.max_keys > most_keys)
      refuse_limit("max_keys", config.max_keys, most_keys);
    return config;
  }

  template <class Key>
  static packed usable(const char* operation, const Key& key)
  {
    if constexpr (std::same_as<Key, session_key>) {
      const packed words = detail::pack<Protocol>(key);
      if (!words.is_usable()) detail::refuse_key(operation, key);
      return words;
    } else {
      const endpoint_type& peer = key;
      const packed words = detail::pack<Protocol>(peer);
      if (!words.is_usable()) detail::refuse_key(operation, peer);
      return words;
    }
  }

  static void construct_for(void* memory, const endpoint_type& sender)
  {
    if constexpr (std::constructible_from<T, const endpoint_type&>)
      std::construct_at(static_cast<T*>(memory), sender);
    else
      std::construct_at(static_cast<T*>(memory));
  }

  static void construct_for(void* memory, const datagram_type& received)
  {
    if constexpr (std::constructible_from<T, const datagram_type&>)
      std::construct_at(static_cast<T*>(memory), received);
    else
      construct_for(memory, received.sender());
  }

  packed key_of(const datagram_type& received) const
  {
    if (key_of_) return detail::pack<Protocol>(key_of_(received));
    return detail::pack<Protocol>(received.sender());
  }

  tick begin_turn(time_point now)
  {
    const tick at = timing_.advance(now);
    store_.expire(at, looked_at_per_turn);
    store_.grow_on();
    if (departed_) departed_->advance(now, looked_at_per_turn);
    return at;
  }

  bool end(session of, session_end why)
  {
    if (!of || !of.block_->is_live()) return false;
    if (departed_ && why == session_end::closed) remember(*of.block_);
    return store_.end(*of.block_, why);
  }

  DGRAM_COLD void remember(const block& closed) noexcept
  {
    departed_->advance(Clock::now(), looked_at_per_turn);
    store_.for_each_key(closed, [this](const packed& key) { departed_->add(key); });
  }

  /// Finds the session of a key, or makes one: `with(make)` may call `make(construct)`.
  template <class With>
  block* route_key(const packed& key, std::uint32_t hash, std::uint32_t guess, tick now,
                   const With& with)
  {
    session_map_statistics& counts = store_.counts();
    if (!key.is_usable()) {
      ++counts.unkeyed;
      return nullptr;
    }
    block* found = store_.find(key, hash, guess);
    if (found == nullptr) {
      if (departed_ && departed_->has(key)) {
        ++counts.ignored;
        return nullptr;
      }
      found = meet(key, hash, now, with);
      if (found == nullptr) return nullptr;
    }
    store_.hear(*found, now);
    ++counts.routed;
    return found;
  }

  template <class With>
  block* meet(const packed& key, std::uint32_t hash, tick now, const With& with)
  {
    session_map_statistics& counts = store_.counts();
    try {
      return with([&](const auto& construct) {
        block* const made = store_.make(key, hash, now, construct);
        if (made == nullptr) ++counts.refused;
        return made;
      });
    } catch (...) {
      ++counts.failed;
      throw;
    }
  }

  block* route_one(const datagram_type& received, const packed& key, std::uint32_t hash,
                   std::uint32_t guess, tick now)
  {
    return route_key(key, hash, guess, now, [&](const auto& make) -> block* {
      if (is_elsewhere_ && is_elsewhere_(received, key)) {
        ++store_.counts().rejected;
        return nullptr;
      }
      if (on_stranger_) {
        const std::uint64_t changes = store_.changes();
        const bool welcome = on_stranger_(received);
        if (store_.changes() != changes)
          if (block* const moved = store_.find(key, hash)) return moved;
        if (!welcome) {
          ++store_.counts().rejected;
          return nullptr;
        }
      }
      block* const made = make([&](void* memory) { construct_for(memory, received); });
      if (made == nullptr && is_elsewhere_) {
        // The key may have come to another map in the meantime.
        session_map_statistics& counts = store_.counts();
        --counts.refused;
        ++(is_elsewhere_(received, key) ? counts.rejected : counts.refused);
      }
      return made;
    });
  }

  /// Shares the keys with other maps; see `session_store::share_keys`.
  void share_keys(detail::key_registry<packed>& registry,
                  std::function<bool(const datagram_type&, const packed&)> is_elsewhere)
  {
    store_.share_keys(registry);
    is_elsewhere_ = std::move(is_elsewhere);
  }

  detail::session_ticks<Clock> timing_;
  store_type store_;
  key_function key_of_;
  std::unique_ptr<departed_type> departed_;  // if late datagrams are ignored
  detail::replaceable_function<std::function<bool(const datagram_type&)>> on_stranger_;

  /// Takes a datagram whose key belongs to a session of another map, and returns true then.
  std::function<bool(const datagram_type&, const packed&)> is_elsewhere_;
};

/// The datagrams of a batch with their sessions; see `session_map::route`.
template <class T, class Protocol, class Clock>
class session_map<T, Protocol, Clock>::routed_datagrams {
public:
  /// An iterator over the rest of the range. Its copies are at the same place.
  class iterator {
  public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = routed;
    using difference_type = std::ptrdiff_t;

    iterator() noexcept = default;

    routed operator*() const noexcept { return {range_->session_, *range_->current_}; }
    iterator& operator++()
    {
      range_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept
    {
      return at.is_at_end();
    }

  private:
    friend routed_datagrams;
    bool is_at_end() const noexcept { return !range_->session_; }
    explicit iterator(routed_datagrams* range) noexcept : range_(range) {}

    routed_datagrams* range_ = nullptr;
  };

  /// Goes to the next datagram that has a session.
  iterator begin()
  {
    advance();
    return iterator(this);
  }
  std::default_sentinel_t end() const noexcept { return {}; }

private:
  friend session_map;
  template <class, class>
  friend class detail::listener_core;

  routed_datagrams(session_map& map, datagram_iterator first, datagram_iterator last, tick now)
      : map_(&map), next_(first), ahead_(first), last_(last), now_(now)
  {
  }

  /// How many look-ups are on their way at a time.
  static constexpr std::size_t window = 32;

  struct look_up {
    packed key;
    std::uint32_t hash;
    std::uint32_t guess;
    std::uint32_t neighbours;  // that have the same key
  };

  void advance()
  {
    session_ = {};
    do {
      if (neighbours_ > 0)
        --neighbours_;
      else if (++at_ >= prepared_ && !prepare())
        return;
      else
        turn_to(look_ups_[at_]);
      current_ = next_++;
      session_ = session(find(look_ups_[at_]));
    } while (!session_);
  }

  void turn_to(const look_up& next) noexcept
  {
    neighbours_ = next.neighbours;
    found_ = nullptr;
  }

  block* find(const look_up& wanted)
  {
    store_type& store = map_->store_;
    if (is_still_there()) {
      store.hear(*found_, now_);
      ++store.counts().routed;
      return found_;
    }
    found_ = nullptr;
    block* const found = map_->route_one(*current_, wanted.key, wanted.hash, wanted.guess, now_);
    found_ = found;
    changes_ = store.changes();
    return found;
  }

  /// How many of the next datagrams are of the same train and session as the current one.
  std::size_t neighbours() const noexcept
  {
    return neighbours_ > 0 && is_still_there() ? neighbours_ : 0;
  }

  /// Routes so many of these without giving them out.
  void pass(std::size_t count) noexcept
  {
    detail::slot_access::skip(next_, count);
    neighbours_ -= static_cast<std::uint32_t>(count);
    map_->store_.counts().routed += count;
  }

  /// Whether the neighbours of the last datagram have its session.
  bool is_still_there() const noexcept
  {
    return found_ != nullptr && map_->store_.changes() == changes_;
  }

  /// Reads the keys of the next datagrams, and fetches what their look-ups need, a step at a time.
  bool prepare()
  {
    const store_type& store = map_->store_;
    const bool by_peer = !map_->key_of_;
    at_ = 0;
    for (prepared_ = 0; prepared_ < window && ahead_ != last_; ++prepared_) {
      look_up& next = look_ups_[prepared_];
      if (!read_key(next, *ahead_)) break;
      // The datagrams of a train have one sender.
      next.neighbours =
          by_peer ? static_cast<std::uint32_t>(detail::slot_access::neighbours(ahead_, last_)) : 0;
      detail::slot_access::skip(ahead_, std::size_t{next.neighbours} + 1);
    }
    for (std::size_t i = 0; i < prepared_; ++i) {
      look_ups_[i].guess = store.fetch_session(look_ups_[i].hash);
      store.fetch_value(look_ups_[i].guess);
    }
    return prepared_ > 0;
  }

  /// Returns false if the function for keys throws, and the datagram is not the next one. It is
  /// then asked again when the datagrams before have been routed.
  bool read_key(look_up& into, const datagram_type& received)
  {
    const store_type& store = map_->store_;
    try {
      into.key = map_->key_of(received);
    } catch (...) {
      if (prepared_ > 0) return false;
      ++ahead_;
      ++next_;
      ++map_->store_.counts().failed;
      throw;
    }
    into.hash = store.hash(into.key);
    store.fetch_places(into.hash);
    return true;
  }

  session_map* map_;
  datagram_iterator next_;
  datagram_iterator ahead_;
  datagram_iterator last_;
  datagram_iterator current_;
  tick now_;
  session session_;
  std::size_t at_ = 0;  // the look-up of the current datagram
  std::size_t prepared_ = 0;
  std::uint32_t neighbours_ = 0;  // of the current datagram, that come next
  block* found_ = nullptr;        // for the current datagram
  std::uint64_t changes_ = 0;
  std::array<look_up, window> look_ups_;
};

/// Iterates over the sessions of a map.
template <class T, class Protocol, class Clock>
class session_map<T, Protocol, Clock>::iterator {
public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = session;
  using difference_type = std::ptrdiff_t;

  iterator() noexcept = default;

  session operator*() const noexcept { return session(store_->first_from(number_)); }
  iterator& operator++() noexcept
  {
    ++number_;
    skip();
    return *this;
  }
  void operator++(int) noexcept { ++*this; }
  friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept
  {
    return at.number_ == 0;
  }

private:
  friend session_map;
  iterator(const store_type* store, std::uint32_t number) noexcept : store_(store), number_(number)
  {
    skip();
  }

  /// Goes to the first session from here on. Number 0 is the end.
  void skip() noexcept
  {
    const block* const next = store_->first_from(number_);
    number_ = next != nullptr ? next->number : 0;
  }

  const store_type* store_ = nullptr;
  std::uint32_t number_ = 0;
};

DGRAM_NAMESPACE_END

#endif
