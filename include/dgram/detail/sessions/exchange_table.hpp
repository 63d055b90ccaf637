// SPDX-License-Identifier: BSL-1.0
// The exchanges of an exchanger: their keys, their deadlines, and what is remembered of ended ones.
#ifndef DGRAM_DETAIL_SESSIONS_EXCHANGE_TABLE_HPP
#define DGRAM_DETAIL_SESSIONS_EXCHANGE_TABLE_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/detail/sessions/idle_wheel.hpp>
#include <dgram/detail/sessions/key_table.hpp>
#include <dgram/detail/sessions/keyed_hash.hpp>
#include <dgram/detail/sessions/packed_key.hpp>
#include <dgram/detail/sessions/slab.hpp>
#include <dgram/exchanger_config.hpp>
#include <dgram/session_key.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A peer, and the bytes that its answer must have.
template <class Protocol>
struct exchange_key {
  packed_key<Protocol> peer;
  packed_key<Protocol> bytes;

  exchange_key() noexcept = default;
  exchange_key(const typename Protocol::endpoint& of, const session_key& id) noexcept
      : peer(pack<Protocol>(of)), bytes(pack<Protocol>(id))
  {
  }

  bool is_usable() const noexcept { return peer.is_usable() && bytes.is_usable(); }

  std::uint32_t hash(const keyed_hash& by) const noexcept
  {
    std::array<std::uint64_t, 2 * key_words<Protocol>()> words;
    auto* const end = std::copy_n(bytes.data(), bytes.size(),
                                  std::copy_n(peer.data(), peer.size(), words.data()));
    return by(words.data(), static_cast<std::size_t>(end - words.data()));
  }

  friend bool operator==(const exchange_key& a, const exchange_key& b) noexcept
  {
    return a.bytes == b.bytes && a.peer == b.peer;
  }
};

using exchange_tick = idle_wheel::tick;

/// One exchange. It waits while it has a waiter. After that it is remembered, or free. `Waiter` is
/// the completion.
template <class Protocol, class Waiter>
struct exchange_block {
  std::uint32_t& next_free() noexcept { return link.next; }

  wheel_link link;  // of the deadlines, or of what is remembered
  std::uint32_t hash = 0;
  std::uint64_t id = 0;  // 0 while the block is free
  exchange_key<Protocol> key;
  Waiter* waiting = nullptr;
  exchange_tick due = 0;       // of the next send or the end; or when it is forgotten
  exchange_tick deadline = 0;  // 0: none
  std::byte* request = nullptr;
  std::size_t request_size = 0;
  std::size_t request_room = 0;
  typename Protocol::endpoint peer;
  std::uint32_t times_put_off = 0;
  std::uint16_t port = 0;
  std::uint16_t tries = 0;
  std::uint16_t most_tries = 0;
  bool is_answered = false;
  bool is_planned = false;  // it is in the wheel
  bool is_unsent = false;   // the last send found no room
  double wait = 0;          // the next one, in nanoseconds, before the jitter
  double longest_wait = 0;
  double backoff = 0;
  double jitter = 0;

  bytes_view bytes() const noexcept { return {request, request_size}; }
};

/// Keys and blocks, the wheel of deadlines, and the list of what is remembered, oldest first.
template <class Protocol, class Waiter>
class exchange_table {
public:
  using key_type = exchange_key<Protocol>;
  using block_type = exchange_block<Protocol, Waiter>;
  using tick = exchange_tick;

  block_type& operator[](std::uint32_t number) const noexcept { return blocks_[number]; }

  /// Returns the number of the exchange with this id, or 0. The lower bits of an id are the number.
  std::uint32_t with_id(std::uint64_t id) const noexcept
  {
    const auto number = static_cast<std::uint32_t>(id % slab<block_type>::most);
    if (number == 0 || number > blocks_.last()) return 0;
    return blocks_[number].id == id ? number : 0;
  }

  std::uint32_t hash(const key_type& key) const noexcept { return key.hash(hash_); }

  // Before a `find`, in this order. Each fetches the memory that the next one looks at.
  void fetch_place(std::uint32_t hash) const noexcept { keys_.fetch(hash); }

  /// Returns the number that a `find` probably returns.
  std::uint32_t fetch_block(std::uint32_t hash) const noexcept
  {
    constexpr std::size_t line = 64;
    const std::uint32_t number = keys_.guess(hash);
    if (number == 0) return 0;
    const auto* const block = reinterpret_cast<const std::byte*>(&blocks_[number]);
    for (std::size_t at = 0; at < sizeof(block_type); at += line)
      fetch_ahead(block + at);
    return number;
  }
  void fetch_waiter(std::uint32_t number) const noexcept
  {
    if (number != 0) fetch_ahead(blocks_[number].waiting);
  }

  /// The same as `find`, quicker if the guess is right.
  std::uint32_t find(const key_type& key, std::uint32_t hash, std::uint32_t guess) const noexcept
  {
    if (guess != 0 && blocks_[guess].id != 0 && blocks_[guess].key == key) return guess;
    return find(key, hash);
  }

  /// Returns the number of the exchange with this key, or 0.
  std::uint32_t find(const key_type& key, std::uint32_t hash) const noexcept
  {
    return keys_.find(hash, [&](std::uint32_t number) { return blocks_[number].key == key; });
  }

  /// Adds an exchange, which has no deadline yet, and returns its number. No other exchange has the
  /// key. Throws `std::bad_alloc`, and changes nothing then.
  std::uint32_t add(const key_type& key, std::uint32_t hash)
  {
    keys_.reserve_one();
    const std::uint32_t number = blocks_.take();
    begin(number);
    set_key(number, key, hash);
    return number;
  }

  /// Begins another exchange with the key of one that is remembered.
  void renew(std::uint32_t number) noexcept
  {
    leave_list(number);
    const key_type key = blocks_[number].key;
    const std::uint32_t hash = blocks_[number].hash;
    begin(number);
    blocks_[number].key = key;
    blocks_[number].hash = hash;
  }

  /// Gives an exchange another key, which no other exchange has. There is always room, because the
  /// old one goes.
  void change_key(std::uint32_t number, const key_type& key, std::uint32_t hash) noexcept
  {
    keys_.erase(blocks_[number].hash, number);
    set_key(number, key, hash);
  }

  void remove(std::uint32_t number) noexcept
  {
    block_type& removed = blocks_[number];
    keys_.erase(removed.hash, number);
    removed.id = 0;
    removed.waiting = nullptr;
    blocks_.give_back(number);
  }

  // --- deadlines ---

  void wait_until(std::uint32_t number, tick due, tick now) noexcept
  {
    blocks_[number].due = due;
    blocks_[number].is_planned = true;
    // An empty wheel turns to the present time, so that it does not walk there step by step.
    std::size_t none = 0;
    if (deadlines_.empty()) deadlines_.expired(*this, now, none);
    deadlines_.add(*this, number);
  }

  void stop_waiting(std::uint32_t number) noexcept
  {
    blocks_[number].is_planned = false;
    deadlines_.remove(*this, number);
  }

  std::uint32_t next_due(tick now, std::size_t& budget) noexcept
  {
    return deadlines_.expired(*this, now, budget);
  }

  /// A time before which nothing is due.
  std::optional<tick> first_due() const noexcept { return deadlines_.first_bucket(); }

  // --- what is remembered ---

  /// Remembers an ended exchange until a time, which is not before that of the exchange remembered
  /// last.
  void remember(std::uint32_t number, tick until) noexcept
  {
    block_type& added = blocks_[number];
    added.due = until;
    added.link.next = 0;
    added.link.previous = newest_;
    (newest_ != 0 ? blocks_[newest_].link.next : oldest_) = number;
    newest_ = number;
    ++remembered_;
  }

  void forget(std::uint32_t number) noexcept
  {
    leave_list(number);
    remove(number);
  }

  std::size_t remembered() const noexcept { return remembered_; }

  /// Forgets the oldest beyond `most`, and a few of those whose time is over. So as much goes as
  /// comes, and no call takes long.
  void forget_some(std::size_t most, tick now) noexcept
  {
    for (int left = 2; oldest_ != 0; --left) {
      const bool is_over = left > 0 && blocks_[oldest_].due <= now;
      if (remembered_ <= most && !is_over) return;
      forget(oldest_);
    }
  }

  /// Calls `function(number)` with each exchange that waits. The function may end it.
  template <class Function>
  void for_each_waiting(Function function)
  {
    for (std::uint32_t number = 1; number <= blocks_.last(); ++number)
      if (blocks_[number].id != 0 && blocks_[number].waiting != nullptr) function(number);
  }

private:
  friend idle_wheel;

  wheel_link& link(std::uint32_t number) const noexcept { return blocks_[number].link; }
  tick due(std::uint32_t number) const noexcept { return blocks_[number].due; }

  void begin(std::uint32_t number) noexcept
  {
    blocks_[number] = block_type();
    blocks_[number].id = ++serial_ * slab<block_type>::most + number;
  }

  void leave_list(std::uint32_t number) noexcept
  {
    const wheel_link link = blocks_[number].link;
    (link.previous != 0 ? blocks_[link.previous].link.next : oldest_) = link.next;
    (link.next != 0 ? blocks_[link.next].link.previous : newest_) = link.previous;
    --remembered_;
  }

  void set_key(std::uint32_t number, const key_type& key, std::uint32_t hash) noexcept
  {
    block_type& of = blocks_[number];
    of.key = key;
    of.hash = hash;
    keys_.insert(of.hash, number);
  }

  keyed_hash hash_;
  key_table keys_;
  slab<block_type> blocks_;
  idle_wheel deadlines_;
  std::uint64_t serial_ = 0;
  std::uint32_t oldest_ = 0;
  std::uint32_t newest_ = 0;
  std::size_t remembered_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
