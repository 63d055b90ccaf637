// SPDX-License-Identifier: BSL-1.0
// Offers queued datagrams to the kernel; after "no room" or ENOBUFS, waits and offers them again.
#ifndef DGRAM_DETAIL_BATCH_OUTBOX_HPP
#define DGRAM_DETAIL_BATCH_OUTBOX_HPP

#include <dgram/config.hpp>
#include <dgram/detail/socket/wake_ups.hpp>
#include <dgram/error.hpp>
#include <dgram/send_batch.hpp>

#include <cstdint>
#include <utility>

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
template <class Handle, class Owner>
class outbox {
public:
  explicit outbox(Owner& owner) noexcept : owner_(owner) {}
  outbox(const outbox&) = delete;
  outbox& operator=(const outbox&) = delete;

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
    if (const error_code ec = offer_all(); must_wait(handle, ec)) {
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

  error_code offer_all()
  {
    struct offering {
      bool& on;
      explicit offering(bool& of) noexcept : on(of) { on = true; }
      offering(const offering&) = delete;
      offering& operator=(const offering&) = delete;
      ~offering() { on = false; }
    } const scope(offering_);
    error_code ec;
    while (!ec && owner_.has_more())
      ec = attempt([this] { return owner_.offer(); });
    return ec;
  }

  void wait(Handle& handle, const error_code& why)
  {
    const bool timed = is_timed(handle, why) || wake_ups_.is_vain(handle.reports_taken());
    auto resumed = [this, kept = owner_.keep_alive(), &handle, epoch = handle.epoch(),
                    timed](const error_code& ec) {
      waiting_ = false;
      // Other operations may end the shared timer. If the epoch has ended, the owner knows what
      // that means for its queue.
      if (ec && !timed && handle.epoch() == epoch)
        owner_.fail(ec);
      else
        owner_.offer_again();
    };
    if (timed)
      handle.async_wait_congestion(std::move(resumed));
    else
      handle.async_wait(net::socket_base::wait_write, std::move(resumed));
    waiting_ = true;  // set only now, since starting the wait may throw
  }

  Owner& owner_;
  wake_up_counter wake_ups_;  // since something left
  bool waiting_ = false;
  bool offering_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
