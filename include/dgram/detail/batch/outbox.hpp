// SPDX-License-Identifier: BSL-1.0
// Offers queued datagrams to the kernel; after "no room" or ENOBUFS, waits and offers them again.
#ifndef DGRAM_DETAIL_BATCH_OUTBOX_HPP
#define DGRAM_DETAIL_BATCH_OUTBOX_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/async/scoped_value.hpp>
#include <dgram/detail/batch/full_peers.hpp>
#include <dgram/detail/socket/backoff.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/detail/socket/wake_ups.hpp>
#include <dgram/error.hpp>
#include <dgram/send_batch.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Handle` is a `transport_handle`. `Owner` has the queue, and these functions:
/// - `bool has_more()` returns whether there is something to offer. It may move more into the
///   batch.
/// - `send_result offer()` offers the batch once, and counts what left.
/// - `void path_error(error_code)` reports an error that belongs to an earlier datagram.
/// - `void fail(error_code)` reports that nothing in the queue can be sent.
/// - `void offer_again()` is called when a wait has ended.
/// - `auto keep_alive()` returns an object that keeps the owner alive during a wait.
///
/// On an unconnected Unix socket, each peer has a queue of its own in the kernel. If that queue is
/// full, the datagrams for this peer leave the owner's queue and wait in the outbox, so that they
/// are in no other peer's way. `Mark` is what the owner keeps with each datagram. The owner then
/// has these functions too:
/// - `void departed(Mark&&, error_code, const endpoint&, std::size_t size)` is called when such a
///   datagram was sent or failed.
/// - `void offer_to_full_peers()` is called when it is time to call the function of that name here.
template <class Handle, class Owner, class Mark>
class outbox {
  using protocol_type = typename Handle::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using full_type = full_peers<protocol_type, Mark>;

public:
  static constexpr bool has_full_peers = path_protocol<protocol_type>;

  explicit outbox(Owner& owner) noexcept : owner_(owner) {}
  outbox(const outbox&) = delete;
  outbox& operator=(const outbox&) = delete;

  /// How many datagrams wait for peers that are full, and how many bytes of payload they have.
  std::size_t held_count() const noexcept
  {
    if constexpr (has_full_peers)
      return full_.peers.count();
    else
      return 0;
  }
  std::size_t held_bytes() const noexcept
  {
    if constexpr (has_full_peers)
      return full_.peers.bytes();
    else
      return 0;
  }

  /// Whether a datagram for this peer must wait behind others that wait because the peer is full.
  bool is_full([[maybe_unused]] const endpoint_type& peer) const noexcept
  {
    if constexpr (has_full_peers)
      return full_.peers.contains(peer);
    else
      return false;
  }

  /// Keeps a datagram for a peer that is full. `push(batch)` pushes it to a batch. If this throws,
  /// the mark stays with the caller.
  template <class Push>
  void hold(Push push, Mark&& mark)
    requires has_full_peers
  {
    auto& batch = full_.peers.scratch();
    push(batch);
    auto kept = batch.keep_front();
    batch.clear();
    full_.peers.push(std::move(kept), std::move(mark));
  }

  /// Takes over what an offer has left in the batch of a socket without a peer of its own, so that
  /// the batch is empty. `mark_of(number)` returns the mark of one of its datagrams. If there is no
  /// memory for a datagram, it fails.
  template <class MarkOf>
  void hold_rest([[maybe_unused]] Handle& handle,
                 [[maybe_unused]] basic_send_batch<protocol_type>& batch,
                 [[maybe_unused]] MarkOf mark_of)
  {
    if constexpr (has_full_peers) {
      if (batch.empty() || handle.is_connected()) return;
      for (; !batch.empty(); batch.drop_front()) {
        Mark mark = mark_of(batch.front_number());
        try {
          full_.peers.push(batch.keep_front(), std::move(mark));
        } catch (const std::bad_alloc&) {
          owner_.departed(std::move(mark), net::error::no_memory, batch.front_peer(),
                          batch.front_size());
        }
      }
    }
  }

  /// Offers to each full peer what waits for it. Call it outside of a flush.
  void offer_to_full_peers([[maybe_unused]] Handle& handle)
  {
    if constexpr (has_full_peers) {
      if (offering_ || full_.peers.empty()) return;
      std::vector<typename full_type::departure> gone;
      error_code ec;
      {
        const scoped_value until_end(offering_, true);
        ec = full_.peers.offer(handle, gone);
      }
      if (!gone.empty()) full_.delay.reset();
      const bool may_go_on = !ec || must_wait(handle, ec);
      for (auto& each : gone)
        owner_.departed(std::move(each.what.mark), each.why, each.what.datagram.peer,
                        each.what.datagram.payload.size());
      if (!may_go_on)
        owner_.fail(ec);
      else
        await_full_peers(handle);
    }
  }

  /// Makes sure that the datagrams for full peers are offered again.
  void await_full_peers([[maybe_unused]] Handle& handle)
  {
    if constexpr (has_full_peers) {
      if (full_.is_awaited || full_.peers.empty()) return;
      if (!full_.timer) full_.timer.emplace(handle.get_executor());
      full_.timer->expires_after(full_.delay.next());
      full_.timer->async_wait([this, kept = owner_.keep_alive()](const error_code&) {
        full_.is_awaited = false;
        owner_.offer_to_full_peers();
      });
      full_.is_awaited = true;
    }
  }

  /// Takes back a datagram for a full peer. Returns its mark, or an empty one.
  template <class Predicate>
  Mark withdraw_held([[maybe_unused]] Predicate is_wanted)
  {
    if constexpr (has_full_peers)
      return full_.peers.take(is_wanted);
    else
      return Mark();
  }

  /// Removes all datagrams for full peers, and calls `function(Mark&&, peer, size)` with each.
  template <class Function>
  void release_held([[maybe_unused]] Function function)
  {
    if constexpr (has_full_peers) {
      if (full_.timer) full_.timer->cancel();
      full_.peers.clear([&](auto& each) {
        function(std::move(each.mark), each.datagram.peer, each.datagram.payload.size());
      });
    }
  }

  /// Whether the kernel has no room. Then the next offer comes when a wait ends.
  bool is_waiting() const noexcept { return waiting_; }

  /// Whether an offer is pending. A handler that the offer calls may queue more; that leaves with
  /// it.
  bool is_offering() const noexcept { return offering_; }

  /// Offers the queue until nothing is left. Returns the error that made a wait necessary, or no
  /// error.
  error_code flush(Handle& handle)
  {
    if (waiting_ || offering_) return {};
    if (const error_code ec = offer_all(handle); must_wait(handle, ec)) {
      wait(handle, ec);
      return ec;
    } else if (ec) {
      owner_.fail(ec);
    }
    return {};
  }

  /// Calls a function that makes one attempt and returns a `send_result`. Calls it again if the
  /// error belongs to an earlier datagram: the kernel reports such an error once, and then takes
  /// this attempt's datagrams.
  template <class Attempt>
  error_code attempt(Attempt function)
  {
    for (int in_vain = 0;;) {
      const send_result result = function();
      if (result.sent + result.refused > 0) wake_ups_ = {};
      if (result.error != net::error::connection_refused) return result.error;
      in_vain = result.sent + result.refused > 0 ? 1 : in_vain + 1;
      if (in_vain > most_refusals) return result.error;
      owner_.path_error(result.error);
    }
  }

  /// Whether to offer the rest again later.
  static bool must_wait(const Handle& handle, const error_code& ec)
  {
    return ec == net::error::would_block || is_timed(handle, ec);
  }

private:
  // Each earlier datagram may have its own error, and such an error may come before each attempt.
  static constexpr int most_refusals = 3;

  /// Whether to wait on the timer: the socket stays writable, so a wait for writability would spin.
  static bool is_timed(const Handle& handle, const error_code& ec)
  {
    return ec == net::error::connection_refused || handle.is_congested(ec);
  }

  error_code offer_all(Handle& handle)
  {
    const scoped_value until_end(offering_, true);
    error_code ec;
    while (!ec && owner_.has_more()) {
      ec = attempt([this] { return owner_.offer(); });
      if constexpr (has_full_peers) {
        // What is left waits in the outbox.
        if (must_wait(handle, ec) && !handle.is_connected()) {
          ec.clear();
          await_full_peers(handle);
        }
      }
    }
    return ec;
  }

  DGRAM_COLD void wait(Handle& handle, const error_code& why)
  {
    const bool timed =
        is_timed(handle, why) || wake_ups_.is_vain(handle, net::socket_base::wait_write);
    auto resumed = [this, kept = owner_.keep_alive(), &handle, guard = epoch_guard(handle.epoch()),
                    timed](const error_code& ec) {
      waiting_ = false;
      // Other operations may end the shared timer. If the epoch has ended, the owner knows what
      // that means for its queue.
      if (ec && !timed && !guard.is_over(handle.epoch()))
        owner_.fail(ec);
      else
        owner_.offer_again();
    };
    async_wait_or_back_off(handle, net::socket_base::wait_write, timed, std::move(resumed));
    waiting_ = true;  // set only now, since starting the wait may throw
  }

  struct no_full_peers {};
  struct waiting_for_full_peers {
    full_type peers;
    std::optional<typename Handle::timer_type> timer;
    backoff_delay delay;
    bool is_awaited = false;
  };

  Owner& owner_;
  [[no_unique_address]] std::conditional_t<has_full_peers, waiting_for_full_peers, no_full_peers>
      full_;
  wake_up_counter wake_ups_;  // since something left
  bool waiting_ = false;
  bool offering_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
