// SPDX-License-Identifier: BSL-1.0
// The send queue of an emitter: collects the sends of a turn, and passes them to the kernel.
#ifndef DGRAM_DETAIL_EMITTER_SEND_QUEUE_HPP
#define DGRAM_DETAIL_EMITTER_SEND_QUEUE_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/queue.hpp>
#include <dgram/detail/batch/outbox.hpp>
#include <dgram/detail/emitter/context.hpp>
#include <dgram/error.hpp>
#include <dgram/payload.hpp>
#include <dgram/send_batch.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

using send_completion = completion<std::size_t>;
using send_completion_ptr = completion_ptr<std::size_t>;

/// A send that has to wait, with its own copy of the bytes.
template <class Protocol>
struct waiting_send {
  std::vector<std::byte> payload;
  std::optional<basic_reply_path<Protocol>> to;  // empty for the connected peer
  send_completion_ptr done;
};

/// The buffers of a send queue. Queues lease them, since most sockets have nothing to send most of
/// the time.
template <class Protocol>
struct outgoing_buffers {
  static constexpr std::size_t datagrams = 256;

  outgoing_buffers() { completions.reserve(datagrams); }

  basic_send_batch<Protocol> batch{
      send_batch_config{.datagrams = datagrams, .bytes = 262144, .copy = true}};
  basic_send_batch<Protocol> direct{1};  // for one datagram that leaves without a copy
  // By the index of the datagram in the batch; null if it has none. Behind the last one that has a
  // completion there are no elements.
  std::vector<send_completion_ptr> completions;
};

/// `Owner` has the socket's handle, and these functions:
/// - `void sent(send_completion*)` is called when a datagram with a completion has left.
/// - `void not_sent(send_completion_ptr, error_code, const endpoint_type*)` is called when one
///   failed.
/// - `void path_error(error_code)` is called for an error that belongs to none of these datagrams.
/// - `void offer_to_full_peers()` calls `offer_held`, unless nothing can be sent now.
///
/// The queue owns an outbox, which offers it to the kernel. Datagrams for full Unix peers wait in
/// the outbox.
template <class Socket, class Owner>
class send_queue {
public:
  using handle_type = typename Socket::handle_type;
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using path_type = basic_reply_path<protocol_type>;
  using buffers_type = outgoing_buffers<protocol_type>;
  using outbox_type = outbox<handle_type, send_queue, send_completion_ptr>;

  send_queue(Owner& owner, std::shared_ptr<spares<buffers_type>> source) noexcept
      : owner_(owner), source_(std::move(source))
  {
  }
  send_queue(const send_queue&) = delete;
  send_queue& operator=(const send_queue&) = delete;
  ~send_queue()
  {
    if (buffers_) recycle();
  }

  bool empty() const noexcept { return is_idle() && held_count() == 0; }

  /// Whether no datagram waits but those for full peers.
  bool is_idle() const noexcept { return !buffers_ && overflow_.empty(); }

  /// Whether the next datagram for this peer must wait for its queue. Null: the connected peer.
  bool is_full(const endpoint_type* peer) const noexcept
  {
    return peer != nullptr && out_.is_full(*peer);
  }

  /// How many datagrams wait for full peers. They also count in `count` and `bytes`.
  std::size_t held_count() const noexcept { return out_.held_count(); }
  std::size_t held_bytes() const noexcept { return out_.held_bytes(); }

  /// Whether the kernel has refused to take more for now.
  bool is_held_back() const noexcept { return held_back_; }

  /// Whether the queue must be left alone: an offer is pending, or comes when a wait ends.
  bool is_busy() const noexcept { return out_.is_waiting() || out_.is_offering(); }
  bool is_offering() const noexcept { return out_.is_offering(); }

  /// How many datagrams the kernel has held back. Datagrams that were not offered yet do not count.
  std::size_t count() const noexcept
  {
    return held_count() +
           (held_back_ ? overflow_.size() + (buffers_ ? buffers_->batch.size() : 0) : 0);
  }
  std::size_t bytes() const noexcept
  {
    return held_bytes() +
           (held_back_ ? overflow_bytes_ + (buffers_ ? buffers_->batch.bytes() : 0) : 0);
  }

  bool has_room(std::size_t size) const noexcept
  {
    return overflow_.empty() && (!buffers_ || buffers_->batch.has_room(size));
  }

  /// Whether to flush the queue at once, since many sockets have something to send in this turn.
  bool is_urgent() const noexcept { return is_urgent_; }

  /// The largest payload that the queue copies.
  static constexpr std::size_t most_bytes = 65536;

  /// Whether this is the usual case: a datagram in one piece, and room in a queue that waits only
  /// for the end of the turn.
  bool takes_at_once(const payload_view& payload) const noexcept
  {
    return buffers_ && !held_back_ && held_count() == 0 && !is_urgent_ && overflow_.empty() &&
           payload.pieces() <= 1 && payload.size() <= most_bytes &&
           buffers_->batch.has_room(payload.size());
  }

  /// Queues a copy, in the usual case.
  void push_at_once(const payload_view& payload, const path_type* to, send_completion* done)
  {
    if (done != nullptr || payload.pieces() > 1 || to == nullptr) {
      send_completion_ptr held(done);
      push_otherwise(payload, to, held);
    } else {
      buffers_->batch.push_in_room(payload.front(), *to);
    }
  }

  /// Queues a copy. The caller makes sure that there is room. If there is no memory, `done` stays
  /// with the caller.
  void push(const payload_view& payload, const path_type* to, send_completion_ptr& done)
  {
    if (!buffers_) acquire();
    push_otherwise(payload, to, done);
  }

  /// Keeps, in order, a datagram that found no room. If there is no memory, `done` stays with the
  /// caller.
  void push_overflow(const payload_view& payload, const path_type* to, send_completion_ptr& done)
  {
    overflow_.push({payload.copy(), to != nullptr ? std::optional(*to) : std::nullopt, nullptr});
    overflow_.back().done = std::move(done);
    overflow_bytes_ += payload.size();
  }

  /// Keeps a datagram for a full peer. The datagrams that found no room come before it. If there is
  /// no memory, `done` stays with the caller.
  void hold(const payload_view& payload, const path_type* to, send_completion_ptr& done)
  {
    if (overflow_.empty())
      hold_copy(payload, to, done);
    else
      push_overflow(payload, to, done);
  }

  /// Offers to full peers what waits for them.
  void offer_held() { out_.offer_to_full_peers(owner_.handle); }

  /// Takes back a datagram that the kernel has not taken. Returns null if there is no such
  /// datagram.
  send_completion_ptr withdraw(const task* done)
  {
    if (is_in_batch(done)) empty_batch();
    for (auto send = overflow_.begin(); send != overflow_.end(); ++send) {
      if (send->done.get() != done) continue;
      send_completion_ptr found = std::move(send->done);
      overflow_bytes_ -= send->payload.size();
      overflow_.erase(send);
      return found;
    }
    return out_.withdraw_held([done](const auto& mark) { return mark.get() == done; });
  }

  /// Offers everything to the kernel.
  void flush()
  {
    held_back_ = false;
    held_back_ = static_cast<bool>(out_.flush(owner_.handle));
    out_.await_full_peers(owner_.handle);
  }

  /// Offers one datagram from the caller's buffer. Returns its error. `must_wait` says whether to
  /// wait after that error.
  error_code offer_directly(const payload_view& payload, const path_type* to)
  {
    // The batch for this is part of the same buffers as the batch of the queue, which is empty.
    if (!buffers_) acquire();
    auto& batch = buffers_->direct;
    if (to != nullptr)
      batch.push(payload, *to);
    else
      batch.push(payload);
    const error_code ec = out_.attempt([&] { return owner_.handle.try_send_batch(batch); });
    batch.clear();
    recycle();
    return ec;
  }

  bool must_wait(const error_code& ec) const { return out_.must_wait(owner_.handle, ec); }

  /// Ends all datagrams in the queue with this error.
  void fail(const error_code& ec)
  {
    held_back_ = false;
    if (buffers_) {
      for (std::size_t i = first_; i < first_ + buffers_->batch.size(); ++i)
        owner_.not_sent(completion_of(i), ec, nullptr);
      recycle();
    }
    overflow_bytes_ = 0;
    auto overflow = std::exchange(overflow_, {});
    out_.release_held([&](send_completion_ptr&& done, const endpoint_type& peer, std::size_t) {
      owner_.not_sent(std::move(done), ec, &peer);
    });
    for (auto& send : overflow)
      owner_.not_sent(std::move(send.done), ec, send.to ? &send.to->peer : nullptr);
  }

  /// Releases all datagrams in the queue, and calls no handler.
  void discard() noexcept
  {
    held_back_ = false;
    overflow_bytes_ = 0;
    const auto released = std::exchange(overflow_, {});
    out_.release_held([](send_completion_ptr&&, const endpoint_type&, std::size_t) {});
    if (buffers_) recycle();
  }

  // --- called by the outbox ---

  bool has_more() { return buffers_ || refill(); }

  /// Ends with an empty batch, or with an error.
  send_result offer()
  {
    if (!buffers_) return {};
    auto& batch = buffers_->batch;
    record kept{*this, batch, owner_.handle.is_connected(), first_, {}};
    const std::size_t before = batch.size();
    // Captures one pointer, which a std::function holds without memory of its own.
    batch.on_refused([note = &kept](error_code why, const endpoint_type& peer, std::size_t) {
      note->add(why, peer);
    });
    const send_result result = owner_.handle.try_send_batch(batch);
    batch.on_refused(nullptr);
    out_.hold_rest(owner_.handle, batch,
                   [this](std::size_t number) { return completion_of(number); });
    // Those that were held have left the batch too, without their completions.
    report(before - batch.size(), kept.refusals);
    if (batch.empty()) recycle();
    return result;
  }

  void path_error(const error_code& ec) { owner_.path_error(ec); }

  /// Also called after a cancel. A close empties the queue, so what is left can be offered again.
  void offer_again() { owner_.flush(); }

  auto keep_alive() { return owner_.shared_from_this(); }

  void departed(send_completion_ptr&& done, const error_code& ec, const endpoint_type& peer,
                std::size_t)
  {
    if (ec)
      owner_.not_sent(std::move(done), ec, &peer);
    else if (done != nullptr)
      owner_.sent(done.release());
  }

  void offer_to_full_peers() { owner_.offer_to_full_peers(); }

private:
  DGRAM_COLD void acquire()
  {
    buffers_ = lease<buffers_type>(source_);
    is_urgent_ = source_->are_scarce();
  }

  bool is_in_batch(const task* done) const noexcept
  {
    if (!buffers_) return false;
    const auto& all = buffers_->completions;
    return std::any_of(all.begin() + static_cast<std::ptrdiff_t>(std::min(first_, all.size())),
                       all.end(), [done](const auto& each) { return each.get() == done; });
  }

  /// Takes the completion of the datagram with this index.
  send_completion_ptr completion_of(std::size_t index) noexcept
  {
    auto& all = buffers_->completions;
    return index < all.size() ? std::move(all[index]) : nullptr;
  }

  /// Queues a datagram that has a completion, or several pieces, or no address.
  DGRAM_APART void push_otherwise(const payload_view& payload, const path_type* to,
                                  send_completion_ptr& done)
  {
    // A single piece needs no gathering.
    if (payload.pieces() > 1)
      push_to_batch(payload, to);
    else
      push_to_batch(payload.front(), to);
    if (done == nullptr) return;
    // There is memory for the completions of a whole batch.
    buffers_->completions.resize(first_ + buffers_->batch.size() - 1);
    buffers_->completions.push_back(std::move(done));
  }

  /// A batch cannot remove a datagram from its middle. So its datagrams move to the front of those
  /// that found no room.
  void empty_batch()
  {
    operation_queue<waiting_send<protocol_type>> all;
    auto& batch = buffers_->batch;
    all.reserve(batch.size() + overflow_.size());
    try {
      for (; !batch.empty(); batch.drop_front()) {
        const auto next = batch.front();
        std::vector<std::byte> payload(next.size());
        next.copy_to(payload);
        overflow_bytes_ += payload.size();
        all.push({std::move(payload),
                  next.peer() != nullptr ? std::optional(next.path()) : std::nullopt,
                  completion_of(first_++)});
      }
    } catch (const std::bad_alloc&) {
      // The rest stays in the batch, and can leave from there.
    }
    while (!overflow_.empty())
      all.push(overflow_.pop());
    overflow_ = std::move(all);
    if (batch.empty()) recycle();
  }

  struct refusal {
    std::size_t index;
    error_code code;
    std::optional<endpoint_type> peer;
  };

  /// The datagrams that the kernel refuses during one offer.
  struct record {
    send_queue& queue;
    basic_send_batch<protocol_type>& batch;
    bool connected;
    std::size_t first;
    std::vector<refusal> refusals;

    /// Without memory, reports the refusal at once, before those that left earlier.
    void add(error_code why, const endpoint_type& peer)
    {
      const std::size_t index = batch.refused_number() - first;
      try {
        refusals.push_back({index, why, connected ? std::nullopt : std::optional(peer)});
      } catch (const std::bad_alloc&) {
        queue.owner_.not_sent(queue.completion_of(first + index), why, connected ? nullptr : &peer);
      }
    }
  };

  /// Reports the first `count` datagrams, which have left the batch, in order.
  void report(std::size_t count, const std::vector<refusal>& refusals)
  {
    if (refusals.empty() && first_ >= buffers_->completions.size()) {
      first_ += count;
      return;
    }
    auto refused = refusals.begin();
    for (std::size_t i = 0; i < count; ++i) {
      send_completion_ptr done = completion_of(first_++);
      if (refused != refusals.end() && refused->index == i) {
        // NOLINTNEXTLINE(bugprone-unchecked-optional-access): it is looked at
        owner_.not_sent(std::move(done), refused->code, refused->peer ? &*refused->peer : nullptr);
        ++refused;
      } else if (done != nullptr) {
        owner_.sent(done.release());
      }
    }
  }

  /// Moves the datagrams that found no room into the batch. Returns whether there is more to offer.
  bool refill()
  {
    bool any = false;
    while (!overflow_.empty() && buffers_room(overflow_.front().payload.size())) {
      auto send = overflow_.pop();
      const path_type* const to = send.to ? &*send.to : nullptr;
      overflow_bytes_ -= send.payload.size();
      try {
        if (to != nullptr && is_full(&to->peer)) {
          hold_copy(send.payload, to, send.done);
          continue;
        }
        push(send.payload, to, send.done);
      } catch (const std::bad_alloc&) {
        owner_.not_sent(std::move(send.done), net::error::no_memory,
                        to != nullptr ? &to->peer : nullptr);
        continue;
      }
      any = true;
    }
    return any;
  }

  template <class Payload>
  void push_to_batch(const Payload& payload, const path_type* to)
  {
    if (to != nullptr)
      buffers_->batch.push(payload, *to);
    else
      buffers_->batch.push(payload);
  }

  /// If there is no memory, `done` stays with the caller.
  template <class Payload>
  void hold_copy([[maybe_unused]] const Payload& payload, [[maybe_unused]] const path_type* to,
                 [[maybe_unused]] send_completion_ptr& done)
  {
    if constexpr (outbox_type::has_full_peers)
      out_.hold([&](auto& batch) { batch.push(payload, *to); }, std::move(done));
  }

  bool buffers_room(std::size_t size) const noexcept
  {
    return !buffers_ || buffers_->batch.has_room(size);
  }

  void recycle()
  {
    buffers_->batch.clear();
    buffers_->completions.clear();
    first_ = 0;
    is_urgent_ = false;
    buffers_ = {};
  }

  Owner& owner_;
  outbox_type out_{*this};
  std::shared_ptr<spares<buffers_type>> source_;
  lease<buffers_type> buffers_;
  std::size_t first_ = 0;  // index of the completion of the first datagram in the batch
  bool held_back_ = false;
  bool is_urgent_ = false;
  operation_queue<waiting_send<protocol_type>> overflow_;
  std::size_t overflow_bytes_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
