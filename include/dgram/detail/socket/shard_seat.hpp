// SPDX-License-Identifier: BSL-1.0
// What a group of shards knows of a member's socket, for as long as the socket is the member.
#ifndef DGRAM_DETAIL_SOCKET_SHARD_SEAT_HPP
#define DGRAM_DETAIL_SOCKET_SHARD_SEAT_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/socket/counts.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What a member's socket has counted.
struct seat_counts {
  std::uint64_t received = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t receive_calls = 0;
  std::uint64_t sent = 0;
};

/// What the listeners of a group share, if the group keeps sessions. The first of them makes it.
/// Any thread may call the function.
class shard_commons {
public:
  /// There is one type for all calls.
  template <class Shared>
  std::shared_ptr<Shared> get()
  {
    const std::scoped_lock lock(mutex_);
    if (!shared_) shared_ = std::make_shared<Shared>();
    return std::static_pointer_cast<Shared>(shared_);
  }

private:
  std::mutex mutex_;
  std::shared_ptr<void> shared_;
};

/// A member's socket leaves its seat before its descriptor is closed or replaced, and before it is
/// destroyed. Its context may end then, so the seat keeps nothing that belongs to the context.
///
/// Any thread may call the functions. What they call must not close the socket.
template <class Executor>
class shard_seat {
public:
  /// `commons` is null if the group keeps no sessions.
  shard_seat(const Executor& executor, const socket_counts& counts,
             std::shared_ptr<shard_commons> commons)
      : commons_(std::move(commons)), executor_(executor), counts_(&counts)
  {
  }

  const std::shared_ptr<shard_commons>& commons() const noexcept { return commons_; }

  /// Called once, when the socket has the descriptor.
  void take(platform::descriptor_type descriptor) noexcept { descriptor_ = descriptor; }

  void leave() noexcept
  {
    std::optional<Executor> released;
    const std::scoped_lock lock(mutex_);
    last_ = read();
    counts_ = nullptr;
    released.swap(executor_);
  }

  /// Calls the function with the executor and the descriptor, unless the socket has left. The
  /// context and the descriptor exist during the call. Returns whether it called.
  template <class Function>
  bool visit(Function function)
  {
    const std::scoped_lock lock(mutex_);
    if (!executor_) return false;
    function(*executor_, descriptor_);
    return true;
  }

  /// What the socket has counted, up to when it left.
  seat_counts counted() const
  {
    const std::scoped_lock lock(mutex_);
    return counts_ == nullptr ? last_ : read();
  }

private:
  seat_counts read() const noexcept
  {
    seat_counts now;
    now.received = counts_->received;
    now.received_bytes = counts_->received_bytes;
    now.receive_calls = counts_->receive_calls;
    now.sent = counts_->sent;
    return now;
  }

  const std::shared_ptr<shard_commons> commons_;
  mutable std::mutex mutex_;
  std::optional<Executor> executor_;  // empty after the socket has left
  const socket_counts* counts_;       // null after the socket has left
  platform::descriptor_type descriptor_{};
  seat_counts last_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
