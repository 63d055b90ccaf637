// SPDX-License-Identifier: BSL-1.0
// An open-addressed table from a key's hash to the index of an entry that is kept elsewhere.
#ifndef DGRAM_DETAIL_SESSIONS_KEY_TABLE_HPP
#define DGRAM_DETAIL_SESSIONS_KEY_TABLE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/memory.hpp>
#include <dgram/detail/sessions/fetch_ahead.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// One place of the table. An index of 0 means an empty place.
struct key_place {
  std::uint32_t hash;
  std::uint32_t index;
};

/// A power of two of places, at most half full, with linear probing. The home of an entry is the
/// upper bits of its hash.
class key_places {
public:
  key_places() noexcept = default;

  explicit key_places(unsigned bits) : mask_((std::size_t{1} << bits) - 1), shift_(32 - bits)
  {
    const std::size_t bytes = size() * sizeof(key_place);
    // Large zeroed memory costs nothing until it is used, so it is not cleared here. It begins with
    // a huge page.
    std::size_t room = bytes < platform::huge_page_size ? bytes : bytes + platform::huge_page_size;
    memory_.reset(std::calloc(room, 1));
    if (!memory_) throw std::bad_alloc();
    void* first = memory_.get();
    if (room > bytes) first = std::align(platform::huge_page_size, bytes, first, room);
    platform::prefer_huge_pages(first, bytes);
    places_ = static_cast<key_place*>(first);
  }

  explicit operator bool() const noexcept { return memory_ != nullptr; }
  std::size_t size() const noexcept { return mask_ + 1; }
  std::size_t mask() const noexcept { return mask_; }
  std::size_t home(std::uint32_t hash) const noexcept { return hash >> shift_; }
  key_place& operator[](std::size_t at) noexcept { return places_[at]; }
  const key_place& operator[](std::size_t at) const noexcept { return places_[at]; }

  /// Returns the place of the entry of this hash for which `match(index)` holds, or null.
  template <class Match>
  const key_place* find(std::uint32_t hash, Match match) const noexcept
  {
    for (std::size_t at = home(hash); (*this)[at].index != 0; at = (at + 1) & mask_)
      if ((*this)[at].hash == hash && match((*this)[at].index)) return &(*this)[at];
    return nullptr;
  }

  void insert(key_place entry) noexcept
  {
    std::size_t at = home(entry.hash);
    while ((*this)[at].index != 0)
      at = (at + 1) & mask_;
    (*this)[at] = entry;
  }

  /// Removes an entry. Later entries move back, so that no probe meets a gap.
  void erase(const key_place* entry) noexcept
  {
    auto hole = static_cast<std::size_t>(entry - places_);
    for (std::size_t at = (hole + 1) & mask_; (*this)[at].index != 0; at = (at + 1) & mask_) {
      const std::size_t from_home = (at - home((*this)[at].hash)) & mask_;
      if (from_home < ((at - hole) & mask_)) continue;
      (*this)[hole] = (*this)[at];
      hole = at;
    }
    (*this)[hole] = {};
  }

private:
  struct release {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };

  std::unique_ptr<void, release> memory_;
  key_place* places_ = nullptr;
  std::size_t mask_ = 0;
  unsigned shift_ = 31;
};

/// Grows by doubling, a few places at a time: an insertion moves a few entries of the old places,
/// and until all have moved, both are searched. Entries move in order and by whole runs, so what is
/// left is always a valid table.
class key_table {
public:
  std::size_t size() const noexcept { return count_; }

  /// Whether entries still move from the old places.
  bool is_growing() const noexcept { return static_cast<bool>(old_); }

  /// Fetches the places where an entry of this hash begins.
  void fetch(std::uint32_t hash) const noexcept
  {
    if (!now_) return;
    fetch_ahead(&now_[now_.home(hash)]);
    if (old_) fetch_ahead(&old_[old_.home(hash)]);
  }

  /// Returns the index of the entry for which `match(index)` holds, or 0.
  template <class Match>
  std::uint32_t find(std::uint32_t hash, Match match) const noexcept
  {
    const key_place* const found = place_of(hash, match);
    return found != nullptr ? found->index : 0;
  }

  /// Returns the first index of this hash, which almost always is the one, or 0.
  std::uint32_t guess(std::uint32_t hash) const noexcept
  {
    return find(hash, [](std::uint32_t) { return true; });
  }

  /// Makes room for one more entry. Throws `std::bad_alloc`, and changes nothing then.
  void reserve_one()
  {
    if (now_ && 2 * (count_ + 1) <= now_.size()) return;
    key_places larger(now_ ? static_cast<unsigned>(std::bit_width(now_.size())) : smallest);
    while (old_)
      move_some();
    old_ = std::exchange(now_, std::move(larger));
    begin_moving();
  }

  /// Adds an entry, for which there must be room.
  void insert(std::uint32_t hash, std::uint32_t index) noexcept
  {
    now_.insert({hash, index});
    ++count_;
    move_some();
  }

  /// Removes the entry. Returns whether there was one.
  bool erase(std::uint32_t hash, std::uint32_t index) noexcept
  {
    const auto same = [index](std::uint32_t other) { return other == index; };
    key_places* const holder = now_ && now_.find(hash, same) != nullptr ? &now_ : &old_;
    if (!*holder) return false;
    const key_place* const found = holder->find(hash, same);
    if (found == nullptr) return false;
    holder->erase(found);
    --count_;
    return true;
  }

  /// Gives the entry another index.
  void redirect(std::uint32_t hash, std::uint32_t from, std::uint32_t to) noexcept
  {
    if (erase(hash, from)) insert(hash, to);
  }

  /// Moves some of what has not moved yet.
  void move_some() noexcept
  {
    if (!old_) return;
    // Ends only behind a whole run: what is left of a run would not be found.
    for (std::size_t moved = 0; left_ > 0; ++moved, --left_, next_ = (next_ + 1) & old_.mask()) {
      key_place& place = old_[next_];
      if (place.index == 0) {
        if (moved >= portion) return;
        continue;
      }
      now_.insert(place);
      place = {};
    }
    old_ = {};
  }

  /// The most places that a search for a present entry looks at.
  std::size_t longest_probe() const noexcept
  {
    std::size_t longest = 0;
    for (const key_places* const places : {&now_, &old_})
      for (std::size_t at = 0; *places && at < places->size(); ++at)
        if ((*places)[at].index != 0)
          longest =
              std::max(longest, ((at - places->home((*places)[at].hash)) & places->mask()) + 1);
    return longest;
  }

private:
  static constexpr unsigned smallest = 4;  // 16 places
  static constexpr std::size_t portion = 16;

  template <class Match>
  const key_place* place_of(std::uint32_t hash, Match match) const noexcept
  {
    if (!now_) return nullptr;
    const key_place* const found = now_.find(hash, match);
    if (found != nullptr || !old_) return found;
    return old_.find(hash, match);
  }

  /// Begins behind an empty place, because a run may go over the end.
  void begin_moving() noexcept
  {
    if (!old_) return;
    next_ = 0;
    left_ = old_.size();
    while (old_[next_].index != 0)
      ++next_;
  }

  key_places now_;
  key_places old_;
  std::size_t next_ = 0;  // of the old places, what moves next
  std::size_t left_ = 0;  // how many of them have not been looked at
  std::size_t count_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
