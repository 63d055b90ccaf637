// SPDX-License-Identifier: BSL-1.0
// Sends an emitter's datagrams to known endpoints: directly, through the queue, or not at all.
#ifndef DGRAM_DETAIL_EMITTER_SENDING_HPP
#define DGRAM_DETAIL_EMITTER_SENDING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/turns.hpp>
#include <dgram/detail/emitter/backlog.hpp>
#include <dgram/detail/emitter/drop_counts.hpp>
#include <dgram/detail/emitter/send_queue.hpp>
#include <dgram/events.hpp>
#include <dgram/full_policy.hpp>
#include <dgram/payload.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <tuple>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Owner` has the socket, its options and its turns, the functions that `send_queue` calls, and
/// these:
/// - `error_code ready_to_send(const endpoint_type*)` says why nothing can be sent to this peer.
///   `bool is_ready_to_send(const endpoint_type*)` says in short that this need not be asked.
/// - `bool is_paused()` says whether the socket is paused.
template <class Socket, class Owner>
class sending {
public:
  using endpoint_type = typename Socket::protocol_type::endpoint;
  using path_type = basic_reply_path<typename Socket::protocol_type>;
  using queue_type = send_queue<Socket, Owner>;

  sending(Owner& owner, turns<Owner>& later, drop_counts<Owner>& drops, const backlog& waiting,
          std::shared_ptr<spares<typename queue_type::buffers_type>> buffers)
      : owner_(owner),
        turns_(later),
        drops_(drops),
        backlog_(waiting),
        queue_(owner, std::move(buffers))
  {
  }
  sending(const sending&) = delete;
  sending& operator=(const sending&) = delete;

  const queue_type& queue() const noexcept { return queue_; }

  /// Whether the queue has been full since it was last empty, apart from full peers.
  bool is_full() const noexcept { return full_; }

  /// Whether to accept one more datagram. Call this once for each datagram. Returns false if the
  /// queue is full and drops. Datagrams for full Unix peers have half as much room, and take none
  /// from the others.
  bool admit(std::size_t size, const endpoint_type* peer = nullptr)
  {
    const bool is_peer_full = queue_.is_full(peer);
    if (is_peer_full ? has_room_for_full_peers(size) : has_room(size)) return true;
    (is_peer_full ? peer_full_ : full_) = true;
    return owner_.options.when_full != full_policy::drop_newest;
  }

  void drop(send_completion_ptr done)
  {
    if (done != nullptr)
      owner_.not_sent(std::move(done), net::error::no_buffer_space, nullptr);
    else
      drops_.add(drop_reason::queue_full);
  }

  /// Sends to a peer; null for the connected one. Returns false if the queue is full.
  bool send(const path_type* to, const payload_view& payload, send_completion* done)
  {
    if (done != nullptr) std::get<0>(done->values) = payload.size();
    if (!owner_.is_ready_to_send(peer_of(to)) && is_refused(peer_of(to), done)) return true;
    if (!queue_.takes_at_once(payload)) [[unlikely]] {
      send_completion_ptr held(done);
      return send_otherwise(to, payload, held, false);
    }
    queue_.push_at_once(payload, to, done);
    turns_.schedule();
    return true;
  }

  /// The same for a datagram that has waited until this turn. It was admitted before. No caller
  /// could catch an exception, so a lack of memory is an error of this datagram.
  void send_late(const path_type* to, const payload_view& payload, send_completion_ptr done)
  {
    if (done != nullptr) std::get<0>(done->values) = payload.size();
    try {
      if (!owner_.is_ready_to_send(peer_of(to))) {
        if (const auto ec = owner_.ready_to_send(peer_of(to))) {
          owner_.not_sent(std::move(done), ec, peer_of(to));
          return;
        }
      }
      send_otherwise(to, payload, done, true);
    } catch (const std::bad_alloc&) {
      owner_.not_sent(std::move(done), net::error::no_memory, peer_of(to));
    }
  }

  /// Passes the queue to the kernel, as far as the kernel takes it.
  void flush()
  {
    // Everything that the kernel held back may have been taken back.
    const bool is_due = !queue_.empty() || queue_.is_held_back();
    if (is_due && !queue_.is_busy() && !owner_.is_paused()) queue_.flush();
    if (full_ || peer_full_) [[unlikely]]
      tell_if_drained();
  }

  /// Offers to full peers what waits for them.
  void offer_to_full_peers()
  {
    if (owner_.is_paused()) return;  // `flush` goes on after the pause
    queue_.offer_held();
    if (full_ || peer_full_) tell_if_drained();
  }

  /// Takes back a datagram that the kernel has not taken. Returns null if there is no such
  /// datagram.
  send_completion_ptr withdraw(const task* done)
  {
    return queue_.is_offering() ? nullptr : queue_.withdraw(done);
  }

  /// Ends all datagrams in the queue with this error.
  void fail(const error_code& ec)
  {
    queue_.fail(ec);
    tell_if_drained();
  }

  /// Ends all datagrams in the queue with `operation_aborted`.
  void end() { queue_.fail(net::error::operation_aborted); }

  /// Releases all datagrams in the queue, and calls no handler.
  void discard() noexcept { queue_.discard(); }

private:
  /// If nothing can be sent to this peer, reports that, and returns true.
  DGRAM_COLD bool is_refused(const endpoint_type* peer, send_completion* done)
  {
    const auto ec = owner_.ready_to_send(peer);
    if (ec) owner_.not_sent(send_completion_ptr(done), ec, peer);
    return static_cast<bool>(ec);
  }

  /// Sends a datagram that is large, or in several pieces, or whose queue is full or must be
  /// flushed. If there is no memory, `done` stays with the caller.
  DGRAM_COLD bool send_otherwise(const path_type* to, const payload_view& payload,
                                 send_completion_ptr& done, bool admitted)
  {
    const bool copies = payload.pieces() <= 1 && payload.size() <= queue_type::most_bytes;
    if (!copies && send_directly(to, payload, done)) return true;
    if (!queue_.has_room(payload.size())) flush();
    const bool is_peer_full = queue_.is_full(peer_of(to));
    const bool waits = is_peer_full || queue_.is_held_back();
    if (!admitted && waits && !admit(payload.size(), peer_of(to))) {
      drop(std::move(done));
      return false;
    }
    if (is_peer_full) {
      queue_.hold(payload, to, done);
      return !peer_full_;
    }
    if (queue_.has_room(payload.size()))
      queue_.push(payload, to, done);
    else
      queue_.push_overflow(payload, to, done);
    if (queue_.is_urgent()) flush();
    if (!queue_.is_held_back()) turns_.schedule();
    return !full_;
  }

  static const endpoint_type* peer_of(const path_type* to) noexcept
  {
    return to != nullptr ? &to->peer : nullptr;
  }

  void tell_if_drained()
  {
    const bool others = full_ && queue_.is_idle() && backlog_.count == 0;
    const bool held = peer_full_ && queue_.held_count() == 0;
    if (!others && !held) return;
    owner_.template post_event<event::drain>();
    if (others) full_ = false;
    if (held) peer_full_ = false;
  }

  /// Sends from the caller's buffer if the queue is empty. Returns false if the datagram is to be
  /// queued. A datagram that is too large for the queue leaves now or fails.
  bool send_directly(const path_type* to, const payload_view& payload, send_completion_ptr& done)
  {
    const bool can_wait = payload.size() <= queue_type::most_bytes;
    flush();
    if (!queue_.is_idle() || queue_.is_full(peer_of(to))) {
      if (!can_wait) owner_.not_sent(std::move(done), net::error::no_buffer_space, peer_of(to));
      return !can_wait;
    }
    error_code ec = queue_.offer_directly(payload, to);
    if (queue_.must_wait(ec)) {
      if (can_wait) return false;
      ec = net::error::no_buffer_space;
    }
    if (ec)
      owner_.not_sent(std::move(done), ec, peer_of(to));
    else if (done != nullptr)
      owner_.sent(done.release());
    return true;
  }

  /// There is always room for one datagram.
  bool has_room_for_full_peers(std::size_t size) const noexcept
  {
    const std::size_t count = queue_.held_count();
    return count == 0 || (count < owner_.options.queue_datagrams / 2 &&
                          queue_.held_bytes() + size <= owner_.options.queue_bytes / 2);
  }

  /// The same for a datagram that need not wait for a full peer.
  bool has_room(std::size_t size) const noexcept
  {
    const std::size_t count = queue_.count() - queue_.held_count() + backlog_.count;
    const std::size_t bytes = queue_.bytes() - queue_.held_bytes() + backlog_.bytes;
    return count == 0 ||
           (count < owner_.options.queue_datagrams && bytes + size <= owner_.options.queue_bytes);
  }

  Owner& owner_;
  turns<Owner>& turns_;
  drop_counts<Owner>& drops_;
  const backlog& backlog_;
  queue_type queue_;
  bool full_ = false;
  bool peer_full_ = false;  // the same for the datagrams that wait for full peers
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
