// SPDX-License-Identifier: BSL-1.0
// Offers queued datagrams to the kernel; after "no room" or ENOBUFS, waits and offers them again.
#ifndef DGRAM_DETAIL_BATCH_OUTBOX_HPP
#define DGRAM_DETAIL_BATCH_OUTBOX_HPP

#include <dgram/config.hpp>
#include <dgram/error.hpp>
#include <dgram/send_batch.hpp>

#include <cstdint>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Handle` is a `transport_handle`. `Owner` has the queue:
///   bool has_more();             whether there is something to offer; it may move more into the
///   batch that it offers send_result offer();         offers that batch once, and counts what left
///   void path_error(error_code); an earlier datagram's error has come back void fail(error_code);
///   nothing of what is queued can be sent void offer_again();          a wait has ended auto
///   keep_alive();           what keeps the owner while there is a wait
template <class Handle, class Owner>
class outbox {
public:
  explicit outbox(Owner& owner) noexcept : owner_(owner) {}
  outbox(const outbox&) = delete;
  outbox& operator=(const outbox&) = delete;

  /// Whether the kernel has no room, so that the next offer comes when a wait ends.
  bool is_waiting() const noexcept { return waiting_; }

  /// Whether an offer is on its way: a handler that it calls may queue more, which goes with it.
  bool is_offering() const noexcept { return offering_; }

  /// Offers what is queued until nothing is left. Returns the error for which a wait has begun, or
  /// clear.
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

  /// Calls a function that makes one attempt and returns a `send_result`, again if the error is an
  /// earlier datagram's. The kernel tells of that once, and takes the datagrams of this attempt
  /// afterwards.
  template <class Attempt>
  error_code attempt(Attempt function)
  {
    for (int in_vain = 0;;) {
      const send_result result = function();
      if (result.error != net::error::connection_refused) return result.error;
      in_vain = result.sent + result.refused > 0 ? 1 : in_vain + 1;
      if (in_vain > most_refusals) return result.error;
      owner_.path_error(result.error);
    }
  }

  /// Whether what is left is worth another offer later.
  static bool must_wait(const Handle& handle, const error_code& ec)
  {
    return ec == net::error::would_block || is_timed(handle, ec);
  }

private:
  // Each earlier datagram may have an error of its own, which comes between two attempts.
  static constexpr int most_refusals = 3;

  /// Whether the wait is on the timer: the socket stays writable, so a wait for that would spin.
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
    const bool timed = is_timed(handle, why);
    auto resumed = [this, kept = owner_.keep_alive(), &handle, epoch = handle.epoch(),
                    timed](const error_code& ec) {
      waiting_ = false;
      // Others may end the shared timer. Where the epoch has ended the owner knows what that means
      // for its queue.
      if (ec && !timed && handle.epoch() == epoch)
        owner_.fail(ec);
      else
        owner_.offer_again();
    };
    if (timed)
      handle.async_wait_congestion(std::move(resumed));
    else
      handle.async_wait(net::socket_base::wait_write, std::move(resumed));
    waiting_ = true;  // only now, since to begin a wait may throw
  }

  Owner& owner_;
  bool waiting_ = false;
  bool offering_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
