// SPDX-License-Identifier: BSL-1.0
// Which listener of a group of shards has the session of a key.
#ifndef DGRAM_DETAIL_SESSIONS_SESSION_DIRECTORY_HPP
#define DGRAM_DETAIL_SESSIONS_SESSION_DIRECTORY_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sessions/key_table.hpp>
#include <dgram/detail/sessions/keyed_hash.hpp>
#include <dgram/detail/sessions/packed_key.hpp>
#include <dgram/detail/sessions/shard_mailbox.hpp>
#include <dgram/detail/sessions/slab.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A key belongs to one listener at a time. Listeners have numbers from 1, which are not used
/// again. The keys are in parts, each with its lock, so that listeners seldom wait for each other.
///
/// Any thread may call the functions.
template <class Protocol>
class session_directory {
public:
  using key_type = packed_key<Protocol>;
  using mailbox_type = shard_mailbox<Protocol>;
  using number = std::uint32_t;

  // --- listeners ---

  number enroll(std::shared_ptr<mailbox_type> mailbox)
  {
    const std::scoped_lock lock(mutex_);
    mailboxes_.emplace_back(last_number_ + 1, std::move(mailbox));
    return ++last_number_;
  }

  /// Returns null if the listener has left.
  std::shared_ptr<mailbox_type> mailbox_of(number listener) const
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [each, mailbox] : mailboxes_)
      if (each == listener) return mailbox;
    return {};
  }

  /// Returns the mailbox of a listener, or null if all have left.
  std::shared_ptr<mailbox_type> any_mailbox() const noexcept
  {
    const std::scoped_lock lock(mutex_);
    return mailboxes_.empty() ? nullptr : mailboxes_.front().second;
  }

  /// The listener has no key afterwards.
  void leave(number listener) noexcept
  {
    for (part& each : parts_)
      each.release_all(hash_, listener);
    const std::scoped_lock lock(mutex_);
    std::erase_if(mailboxes_, [&](const auto& each) { return each.first == listener; });
  }

  // --- keys ---

  /// Returns the listener that has the key; 0 if none has.
  number owner_of(const key_type& key) const noexcept
  {
    const std::uint32_t hash = hash_(key);
    const part& in = part_of(hash);
    const std::scoped_lock lock(in.mutex);
    const std::uint32_t found = in.find(key, hash);
    return found != 0 ? in.entries[found].owner : 0;
  }

  /// Gives the listener the key if no other has it. Returns whether the listener has it now. Throws
  /// `std::bad_alloc`, and changes nothing then.
  bool claim(const key_type& key, number listener)
  {
    const std::uint32_t hash = hash_(key);
    part& in = part_of(hash);
    const std::scoped_lock lock(in.mutex);
    if (const std::uint32_t found = in.find(key, hash); found != 0)
      return in.entries[found].owner == listener;
    in.table.reserve_one();
    const std::uint32_t added = in.entries.take();
    in.entries[added].key = key;
    in.entries[added].owner = listener;
    in.table.insert(hash, added);
    return true;
  }

  /// Takes the key from the listener, if the listener has it.
  void release(const key_type& key, number listener) noexcept
  {
    const std::uint32_t hash = hash_(key);
    part& in = part_of(hash);
    const std::scoped_lock lock(in.mutex);
    const std::uint32_t found = in.find(key, hash);
    if (found != 0 && in.entries[found].owner == listener) in.remove(found, hash);
  }

  /// How many keys all listeners have.
  std::size_t size() const noexcept
  {
    std::size_t all = 0;
    for (const part& each : parts_) {
      const std::scoped_lock lock(each.mutex);
      all += each.table.size();
    }
    return all;
  }

private:
  struct entry {
    key_type key{};
    number owner = 0;  // 0 while the entry is free
    std::uint32_t next = 0;

    std::uint32_t& next_free() noexcept { return next; }
  };

  struct alignas(64) part {
    std::uint32_t find(const key_type& key, std::uint32_t hash) const noexcept
    {
      return table.find(hash, [&](std::uint32_t index) { return entries[index].key == key; });
    }

    void remove(std::uint32_t which, std::uint32_t hash) noexcept
    {
      table.erase(hash, which);
      entries[which].owner = 0;
      entries.give_back(which);
    }

    void release_all(const keyed_hash& hash_of, number listener) noexcept
    {
      const std::scoped_lock lock(mutex);
      for (std::uint32_t which = 1; which <= entries.last(); ++which)
        if (entries[which].owner == listener) remove(which, hash_of(entries[which].key));
    }

    mutable std::mutex mutex;
    key_table table;
    slab<entry> entries;
  };

  static constexpr std::size_t parts = 32;

  /// The table of a part uses the upper bits of the hash.
  part& part_of(std::uint32_t hash) noexcept { return parts_[hash % parts]; }
  const part& part_of(std::uint32_t hash) const noexcept { return parts_[hash % parts]; }

  keyed_hash hash_;
  std::array<part, parts> parts_;
  mutable std::mutex mutex_;
  number last_number_ = 0;
  std::vector<std::pair<number, std::shared_ptr<mailbox_type>>> mailboxes_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
