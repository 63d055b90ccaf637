// SPDX-License-Identifier: BSL-1.0
// The send queue of an emitter: collects the sends of a turn, and passes them to the kernel.
#ifndef DGRAM_DETAIL_EMITTER_SEND_QUEUE_HPP
#define DGRAM_DETAIL_EMITTER_SEND_QUEUE_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/no_memory.hpp>
#include <dgram/detail/async/queue.hpp>
#include <dgram/detail/async/spares.hpp>
#include <dgram/detail/batch/outbox.hpp>
#include <dgram/detail/emitter/operation.hpp>
#include <dgram/detail/socket/buffer_list.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/error.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>
#include <dgram/full_policy.hpp>
#include <dgram/payload.hpp>
#include <dgram/send_batch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <tuple>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

using send_completion = completion<std::size_t>;
using send_completion_ptr = completion_ptr<std::size_t>;

/// The completion of a send, which was kept as one of any operation.
inline send_completion_ptr as_send(any_completion_ptr done) noexcept
{
  return send_completion_ptr(static_cast<send_completion*>(done.release()));
}

/// Leased by send queues, since most of them have nothing to send most of the time.
template <class Protocol>
struct outgoing_buffers {
  static constexpr std::size_t datagrams = 256;

  outgoing_buffers() { completions.reserve(datagrams); }

  /// Takes the completion of the datagram with this number.
  send_completion_ptr completion_of(std::size_t number) noexcept
  {
    return number < completions.size() ? std::move(completions[number]) : nullptr;
  }

  amount waiting() const noexcept { return {batch.size(), batch.bytes()}; }

  void clear() noexcept
  {
    batch.clear();
    completions.clear();
    first = 0;
  }

  basic_send_batch<Protocol> batch{
      send_batch_config{.datagrams = datagrams, .bytes = 262144, .copy = true}};
  // By the number of the datagram in the batch; null if it has none. Behind the last one that has a
  // completion there are no elements.
  std::vector<send_completion_ptr> completions;
  std::size_t first = 0;  // number of the first datagram that waits
};

/// `Owner` is the core. The outbox offers one batch after the other to the kernel, and keeps the
/// datagrams for full Unix peers.
template <class Socket, class Owner>
class send_queue {
public:
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using path_type = basic_reply_path<protocol_type>;
  using buffers_type = outgoing_buffers<protocol_type>;
  using outbox_type = outbox<typename Socket::handle_type, send_queue, send_completion_ptr>;

  send_queue(Owner& owner, std::shared_ptr<spares<buffers_type>> source) noexcept
      : owner_(owner), source_(std::move(source))
  {
  }
  send_queue(const send_queue&) = delete;
  send_queue& operator=(const send_queue&) = delete;
  ~send_queue() { recycle_all(); }

  /// The datagrams that the kernel has held back. Those that were not offered yet do not count.
  amount waiting() const noexcept { return held() + in_batches(); }

  /// Whether the queue has been full since it was last empty, apart from full peers.
  bool is_full() const noexcept { return full_; }

  /// Whether to accept one more datagram; call it once for each. If the queue is full and drops,
  /// ends the send and returns false. Datagrams for full Unix peers have half as much room, and
  /// take none from the others.
  bool admit(std::size_t size, const endpoint_type* peer, send_completion_ptr& done)
  {
    const auto& limits = owner_.options;
    const bool is_held = is_peer_full(peer);
    const std::size_t part = is_held ? 2 : 1;
    const amount used = is_held ? held() : in_batches() + owner_.pending.sends();
    // There is always room for one datagram.
    if (used.count == 0 || (used.count < limits.queue_datagrams / part &&
                            used.bytes + size <= limits.queue_bytes / part))
      return true;
    (is_held ? peer_full_ : full_) = true;
    if (limits.when_full != full_policy::drop_newest) return true;
    if (done != nullptr)
      finish(std::move(done), net::error::no_buffer_space, nullptr);
    else
      owner_.drops.add(drop_reason::queue_full);
    return false;
  }

  /// `asked` for a datagram that goes to an endpoint, and answers no message.
  static constexpr std::uint64_t nothing_asked = ~std::uint64_t{0};

  /// Sends to a peer; null for the connected one. Returns false if the queue is full. `asked` is
  /// the number of the message that this answers, or 0.
  DGRAM_INLINE bool send(const path_type* to, const payload_view& payload, send_completion* done,
                         std::uint64_t asked = 0)
  {
    if (done != nullptr || to == nullptr || payload.pieces() > 1 ||
        !takes_at_once(payload.size()) || !owner_.family.may_send_to(to->peer)) [[unlikely]] {
      send_completion_ptr held(done);
      return send_otherwise(to, payload, held, false);
    }
    buffers_->batch.push(payload.front(), *to);
    answered_ = 0;
    owner_.turns.schedule();
    answered_ = asked;
    return true;
  }

  /// Sends behind the last datagram in the batch, if both answer one train or go to this endpoint.
  /// It may be sent as that one may, and the turn is scheduled. False if it takes more than that.
  template <class... Endpoint>
  DGRAM_INLINE bool follow(std::uint64_t asked, const payload_view& payload, const Endpoint&... to)
  {
    return asked != 0 && asked == answered_ && owner_.pending.can_send_to_sender() &&
           payload.pieces() == 1 && buffers_->batch.follow_last(payload.front(), to...);
  }

  /// Sends a datagram that has waited until this turn, and was admitted before. No caller could
  /// catch an exception, so a lack of memory is an error of this datagram.
  void send_late(operation<protocol_type> next)
  {
    const path_type* const to = next.to.path();
    send_completion_ptr done = as_send(std::move(next.done));
    fail_without_memory(to, done, [&] { send_otherwise(to, next.payload, done, true); });
  }

  /// Passes the queue to the kernel, as far as the kernel takes it.
  void flush()
  {
    answered_ = 0;
    // Everything that the kernel held back may have been taken back.
    const bool is_due = buffers_ || held_back_ || out_.held_count() > 0;
    if (is_due && !out_.is_waiting() && !out_.is_offering() && !owner_.is_paused()) {
      held_back_ = false;
      held_back_ = static_cast<bool>(out_.flush(owner_.handle));
      out_.await_full_peers(owner_.handle);
    }
    if (full_ || peer_full_) [[unlikely]]
      tell_if_drained();
  }

  /// Takes back a datagram that the kernel has not taken. Returns false if there is none.
  bool cancel(const task* done)
  {
    if (out_.is_offering()) return false;
    const auto is_meant = [done](const auto& mark) { return mark.get() == done; };
    const auto has_it = [&](const lease<buffers_type>& each) {
      return each && std::any_of(each->completions.begin(), each->completions.end(), is_meant);
    };
    const auto behind = std::find_if(behind_.begin(), behind_.end(), has_it);
    send_completion_ptr found;
    try {
      found = has_it(buffers_)          ? withdraw_from(buffers_, done)
              : behind != behind_.end() ? withdraw_from(*behind, done)
                                        : out_.withdraw_held(is_meant);
    } catch (const std::bad_alloc&) {
      return false;  // it leaves
    }
    if (buffers_ && buffers_->batch.empty()) recycle();
    if (found == nullptr) return false;
    finish(std::move(found), net::error::operation_aborted, nullptr);
    return true;
  }

  // --- called by the outbox ---

  bool has_more() const noexcept { return static_cast<bool>(buffers_); }

  /// Ends with an empty batch, or with an error.
  send_result offer()
  {
    if (!buffers_) return {};
    auto& batch = buffers_->batch;
    const std::size_t before = batch.size();
    // Captures one pointer, which a std::function holds without memory of its own.
    batch.on_refused(
        [this](error_code why, const endpoint_type& peer, std::size_t size, std::uint64_t) {
          refuse(buffers_->batch.refused_number(), why, peer, size);
        });
    const send_result result = owner_.handle.try_send_batch(batch);
    batch.on_refused(nullptr);
    out_.hold_rest(owner_.handle, batch,
                   [this](std::size_t number) { return buffers_->completion_of(number); });
    std::size_t gone = before - batch.size();
    std::size_t& first = buffers_->first;
    for (; gone > 0 && first < buffers_->completions.size(); --gone)
      if (auto done = buffers_->completion_of(first++)) owner_.turns.deliver(done.release());
    first += gone;
    if (batch.empty()) recycle();
    return result;
  }

  void path_error(const error_code& ec) { owner_.path_error(ec); }

  /// Also called after a cancel. A close empties the queue, so what is left can be offered again.
  void offer_again() { owner_.flush(); }

  auto keep_alive() { return owner_.shared_from_this(); }

  /// Ends all datagrams in the queue with this error.
  void fail(const error_code& ec)
  {
    held_back_ = false;
    for (; buffers_; recycle())
      for (std::size_t left = buffers_->batch.size(); left > 0; --left)
        finish(buffers_->completion_of(buffers_->first++), ec, nullptr);
    out_.release_held([&](send_completion_ptr&& done, const endpoint_type& peer, std::size_t) {
      finish(std::move(done), ec, &peer);
    });
    tell_if_drained();
  }

  void departed(send_completion_ptr&& done, const error_code& ec, const endpoint_type& peer,
                std::size_t size)
  {
    finish(std::move(done), ec, &peer, size);
  }

  /// After a pause, `flush` does this.
  void offer_to_full_peers()
  {
    unless_no_memory(
        [&] {
          if (!owner_.is_paused()) out_.offer_to_full_peers(owner_.handle);
          tell_if_drained();
        },
        [&] { fail(net::error::no_memory); });
  }

  /// Releases all datagrams in the queue, and calls no handler.
  void discard() noexcept
  {
    held_back_ = false;
    out_.release_held([](send_completion_ptr&&, const endpoint_type&, std::size_t) {});
    recycle_all();
  }

private:
  static constexpr bool is_ip = ip_protocol<protocol_type>;

  /// The largest payload that the queue copies.
  static constexpr std::size_t most_bytes = 65536;

  /// Whether the next datagram for this peer must wait for its queue. Null: the connected peer.
  bool is_peer_full(const endpoint_type* peer) const noexcept
  {
    return peer != nullptr && out_.is_full(*peer);
  }

  amount held() const noexcept { return {out_.held_count(), out_.held_bytes()}; }

  /// None counts before the kernel has held something back.
  amount in_batches() const noexcept
  {
    return held_back_ && buffers_ ? in_others_ + buffers_->waiting() : in_others_;
  }

  /// The batch that gets the next datagram; there must be one.
  buffers_type& last() noexcept { return behind_.empty() ? *buffers_ : *behind_.back(); }

  bool has_room(std::size_t size) noexcept { return !buffers_ || last().batch.has_room(size); }

  /// Whether this is the usual case: room in a queue that waits only for the end of the turn.
  bool takes_at_once(std::size_t size) const noexcept
  {
    return buffers_ && !(held_back_ | is_urgent_) && out_.held_count() == 0 && size <= most_bytes &&
           buffers_->batch.has_room(size) && (is_ip || owner_.socket.is_open());
  }

  /// The unusual cases of `send`. If there is no memory, `done` stays with the caller.
  DGRAM_APART bool send_otherwise(const path_type* to, const payload_view& payload,
                                  send_completion_ptr& done, bool admitted)
  {
    const endpoint_type* const peer = to != nullptr ? &to->peer : nullptr;
    if (const auto ec = obstacle_to(peer)) {
      finish(std::move(done), ec, peer);
      return true;
    }
    const bool copies = payload.pieces() <= 1 && payload.size() <= most_bytes;
    if (!copies && send_directly(to, payload, done)) return true;
    if (!has_room(payload.size())) flush();
    const bool is_held = is_peer_full(peer);
    if (!admitted && (is_held || held_back_) && !admit(payload.size(), peer, done)) return false;
    push(payload, to, done);
    if (is_urgent_) flush();
    if (!held_back_ && !is_held) owner_.turns.schedule();
    return !(is_held ? peer_full_ : full_);
  }

  /// Why nothing can be sent to this peer. Opens a Unix socket, which need not be bound.
  error_code obstacle_to(const endpoint_type* peer) const
  {
    error_code ec;
    if (!is_ip && !owner_.socket.is_open()) owner_.replaceable.open(ec);
    if (!ec && peer != nullptr) ec = owner_.family.check_peer(*peer);
    return ec;
  }

  /// Why a datagram was not sent. A size of 0 is none; null: the connected peer.
  failure failure_to_send(const error_code& ec, const endpoint_type* peer, std::size_t size) const
  {
    failure why = failure_at("send", ec, peer);
    if (ec == net::error::message_size && size > 0)
      why.detail =
          too_large<protocol_type>(size, peer != nullptr ? is_ipv4(*peer) : !owner_.family.is_v6());
    else if (ec == net::error::invalid_argument && peer != nullptr)
      why.detail = owner_.family.fault_of(*peer);
    return why;
  }

  /// Sends from the caller's buffer if the queue is empty. Returns false if the datagram is to be
  /// queued. A datagram that is too large for the queue leaves now or fails.
  bool send_directly(const path_type* to, const payload_view& payload, send_completion_ptr& done)
  {
    const endpoint_type* const peer = to != nullptr ? &to->peer : nullptr;
    error_code ec = net::error::would_block;
    flush();
    if (!buffers_ && !is_peer_full(peer)) {
      ec = out_.attempt([&] {
        send_result result;
        if (to != nullptr)
          owner_.socket.try_send_to(payload, *to, result.error);
        else
          owner_.socket.try_send(payload, result.error);
        result.sent = result.error ? 0 : 1;
        return result;
      });
    }
    if (out_.must_wait(owner_.handle, ec)) {
      if (payload.size() <= most_bytes) return false;
      ec = net::error::no_buffer_space;
    }
    if (done != nullptr) std::get<0>(done->values) = payload.size();
    finish(std::move(done), ec, peer, payload.size());
    return true;
  }

  /// Ends a send. `peer` may be null. A size of 0 is none.
  void finish(send_completion_ptr done, const error_code& ec, const endpoint_type* peer,
              std::size_t size = 0)
  {
    if (ec) {
      if (done != nullptr) std::get<0>(done->values) = 0;
      owner_.end_operation(std::move(done), failure_to_send(ec, peer, size));
    } else if (done != nullptr) {
      owner_.turns.deliver(done.release());
    }
  }

  void tell_if_drained()
  {
    const bool others = full_ && !buffers_ && owner_.pending.sends().count == 0;
    const bool held = peer_full_ && out_.held_count() == 0;
    if (!others && !held) return;
    owner_.template post_event<event::drain>();
    if (others) full_ = false;
    if (held) peer_full_ = false;
  }

  // --- the batch ---

  /// Leases a batch for the next datagrams.
  DGRAM_COLD void begin_batch()
  {
    lease<buffers_type> added(source_);
    is_urgent_ = source_->are_scarce();
    if (!buffers_) {
      buffers_ = std::move(added);
    } else {
      behind_.push(std::move(added));
      held_back_ = true;  // a flush has not made room
    }
  }

  /// Queues a copy. If there is no memory, `done` stays with the caller.
  void push(const payload_view& payload, const path_type* to, send_completion_ptr& done)
  {
    answered_ = 0;
    if (done != nullptr) std::get<0>(done->values) = payload.size();
    if constexpr (outbox_type::has_full_peers) {
      if (to != nullptr && out_.is_full(to->peer)) {
        out_.hold([&](auto& batch) { push_to(batch, payload, to); }, std::move(done));
        return;
      }
    }
    if (!buffers_ || !has_room(payload.size())) begin_batch();
    push_to(last(), payload, to, done);
    if (!behind_.empty()) in_others_ = in_others_ + amount{1, payload.size()};
  }

  static void push_to(buffers_type& buffers, const payload_view& payload, const path_type* to,
                      send_completion_ptr& done)
  {
    push_to(buffers.batch, payload, to);
    if (done == nullptr) return;
    // There is memory for the completions of a whole batch.
    buffers.completions.resize(buffers.first + buffers.batch.size() - 1);
    buffers.completions.push_back(std::move(done));
  }

  template <class Batch>
  static void push_to(Batch& batch, const payload_view& payload, const path_type* to)
  {
    // A single piece needs no gathering.
    const auto push = [&](const auto& bytes) {
      to != nullptr ? batch.push(bytes, *to) : batch.push(bytes);
    };
    payload.pieces() > 1 ? push(payload) : push(payload.front());
  }

  /// Called during an offer. A completion gets the error in its turn, with those that were sent.
  void refuse(std::size_t number, const error_code& why, const endpoint_type& peer,
              std::size_t size)
  {
    const auto* const named = owner_.handle.is_connected() ? nullptr : &peer;
    auto& all = buffers_->completions;
    if (number < all.size() && all[number] != nullptr) {
      all[number]->outcome = failure_to_send(why, named, size);
      std::get<0>(all[number]->values) = 0;
    } else {
      finish(nullptr, why, named, size);
    }
  }

  /// Calls a function for a datagram in a turn, where no caller could catch an exception.
  template <class Function>
  void fail_without_memory(const path_type* to, send_completion_ptr& done, const Function& function)
  {
    unless_no_memory(function, [&] {
      finish(std::move(done), net::error::no_memory, to != nullptr ? &to->peer : nullptr);
    });
  }

  /// A batch cannot remove a datagram from its middle, so the others move to another batch.
  send_completion_ptr withdraw_from(lease<buffers_type>& place, const task* done)
  {
    lease<buffers_type> before(source_);
    std::swap(before, place);
    answered_ = 0;
    send_completion_ptr found;
    auto& batch = before->batch;
    const amount all = before->waiting();
    for (; !batch.empty(); batch.drop_front()) {
      send_completion_ptr mark = before->completion_of(before->first++);
      if (mark.get() == done) {
        found = std::move(mark);
        continue;
      }
      const auto next = batch.front();
      const path_type to = next.peer() != nullptr ? next.path() : path_type();
      const path_type* const where = next.peer() != nullptr ? &to : nullptr;
      fail_without_memory(where, mark, [&] {
        std::vector<std::byte> payload(next.size());
        next.copy_to(payload);
        push_to(*place, payload, where, mark);
      });
    }
    if (&place != &buffers_) in_others_ = in_others_ - all + place->waiting();
    before->clear();
    return found;
  }

  void recycle() noexcept
  {
    answered_ = 0;
    is_urgent_ = false;
    do {
      buffers_->clear();
      buffers_ = {};
      if (behind_.empty()) return;
      buffers_ = behind_.pop();
      in_others_ = in_others_ - buffers_->waiting();
    } while (buffers_->batch.empty());
  }

  void recycle_all() noexcept
  {
    while (buffers_)
      recycle();
  }

  Owner& owner_;
  outbox_type out_{*this};
  std::shared_ptr<spares<buffers_type>> source_;
  lease<buffers_type> buffers_;  // offered next
  // What does not fit there. Empty unless the kernel holds something back.
  operation_queue<lease<buffers_type>> behind_;
  amount in_others_;            // the datagrams in these
  std::uint64_t answered_ = 0;  // see `follow`; 0 if the batch has changed since
  bool held_back_ = false;      // the kernel has refused to take more for now
  bool is_urgent_ = false;      // many sockets have something to send in this turn
  bool full_ = false;
  bool peer_full_ = false;  // the same for the datagrams that wait for full peers
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
