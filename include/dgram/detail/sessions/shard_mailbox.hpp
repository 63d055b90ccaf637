// SPDX-License-Identifier: BSL-1.0
// Datagrams on their way from one listener of a group to another, by the batch.
#ifndef DGRAM_DETAIL_SESSIONS_SHARD_MAILBOX_HPP
#define DGRAM_DETAIL_SESSIONS_SHARD_MAILBOX_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/sessions/inbox.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Copies of datagrams in one piece of memory, which is used again.
template <class Protocol>
class parcel {
public:
  using node_type = inbox_datagram<Protocol>;

  static constexpr std::size_t capacity = std::size_t{96} * 1024;

  std::size_t size() const noexcept { return content_.size(); }

  /// Returns false if there is no room.
  bool add(const basic_datagram<Protocol>& received) noexcept
  {
    auto* const copy = node_type::make(*this, received);
    if (copy != nullptr) content_.push(copy);
    return copy != nullptr;
  }

  /// Returns the oldest datagram, which stays until `clear`; null if there is none.
  node_type* next() noexcept { return content_.empty() ? nullptr : content_.pop(); }

  void clear() noexcept
  {
    content_ = {};
    used_ = 0;
  }

  /// For the copies: returns memory, or null.
  void* take(std::size_t& size) noexcept
  {
    constexpr std::size_t unit = alignof(std::max_align_t);
    size = (size + unit - 1) / unit * unit;
    if (size > capacity - used_) return nullptr;
    return memory_.get() + std::exchange(used_, used_ + size);
  }

private:
  const std::unique_ptr<std::byte[]> memory_{new std::byte[capacity]};  // NOLINT(*-avoid-c-arrays)
  std::size_t used_ = 0;
  inbox<Protocol> content_;
};

/// What other listeners forward to one listener and that has not taken yet. Any thread may call the
/// functions, except where it is said.
template <class Protocol>
class shard_mailbox {
public:
  using parcel_ptr = std::unique_ptr<parcel<Protocol>>;
  using parcels = std::vector<parcel_ptr>;

  /// `wake` lets the listener call `take_full` soon. It must not call the mailbox. All parcels
  /// together have at most so many bytes, or there is one.
  shard_mailbox(std::size_t most_bytes, std::function<void()> wake)
      : most_(std::max<std::size_t>(most_bytes / parcel<Protocol>::capacity, 1)),
        wake_(std::move(wake))
  {
    full_.reserve(most_);
    spare_.reserve(most_);
  }

  /// If half of the parcels wait, copies the datagram into the last of these, so that small batches
  /// do not use them up. Returns whether it did.
  ///
  /// The parcel stays where it is: if the caller took it away, what others have put into it could
  /// be passed by what they deliver next.
  bool add_to_last(const basic_datagram<Protocol>& received) noexcept
  {
    const std::scoped_lock lock(mutex_);
    return wake_ && 2 * full_.size() >= most_ && full_.back()->add(received);
  }

  /// Returns an empty parcel; null beyond the limit, without memory, or if the listener has left.
  parcel_ptr take() noexcept
  {
    const std::scoped_lock lock(mutex_);
    if (!wake_) return {};
    if (!spare_.empty()) {
      parcel_ptr taken = std::move(spare_.back());
      spare_.pop_back();
      return taken;
    }
    if (made_ == most_) return {};
    try {
      auto made = std::make_unique<parcel<Protocol>>();
      ++made_;
      return made;
    } catch (const std::bad_alloc&) {
      return {};
    }
  }

  /// Takes the parcel, which is one of this mailbox. Returns false if the listener has left. The
  /// caller keeps the parcel then. Also returns false if the listener cannot be woken, such as
  /// without memory: a datagram must not wait for a later one, so the content is dropped.
  bool deliver(parcel_ptr& full) noexcept
  {
    const std::scoped_lock lock(mutex_);
    if (!wake_) return false;
    const bool is_woken = !full_.empty() || wake();
    if (!is_woken) full->clear();
    (is_woken ? full_ : spare_).push_back(std::move(full));
    return is_woken;
  }

  /// The listener calls this, and passes the same vector to `give_back` afterwards. It allocates
  /// the first time only.
  void take_full(parcels& into)
  {
    into.reserve(most_);
    const std::scoped_lock lock(mutex_);
    into.swap(full_);
  }

  void give_back(parcels& read) noexcept
  {
    for (const parcel_ptr& each : read)
      each->clear();
    {
      const std::scoped_lock lock(mutex_);
      for (parcel_ptr& each : read)
        if (wake_) spare_.push_back(std::move(each));
    }
    read.clear();
  }

  bool has_left() const
  {
    const std::scoped_lock lock(mutex_);
    return !wake_;
  }

  /// From now on the listener is not woken, and its context may end. Returns what it has not taken.
  parcels leave() noexcept
  {
    std::function<void()> released;
    parcels left, unused;
    const std::scoped_lock lock(mutex_);
    released.swap(wake_);
    left.swap(full_);
    unused.swap(spare_);
    return left;
  }

private:
  bool wake() noexcept
  {
    try {
      wake_();
      return true;
    } catch (...) {
      return false;
    }
  }

  const std::size_t most_;
  mutable std::mutex mutex_;
  std::function<void()> wake_;  // empty after the listener has left
  std::size_t made_ = 0;
  parcels full_;  // while there are some, the listener is woken and has not called `take_full` yet
  parcels spare_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
