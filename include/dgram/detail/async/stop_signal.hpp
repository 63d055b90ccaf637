// SPDX-License-Identifier: BSL-1.0
// Closes an object when a stop token or a cancellation slot says so.
#ifndef DGRAM_DETAIL_ASYNC_STOP_SIGNAL_HPP
#define DGRAM_DETAIL_ASYNC_STOP_SIGNAL_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>

#include <memory>
#include <optional>
#include <stop_token>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `close_if_running` is called on the owner, on the executor.
template <class Owner, class Executor>
class stop_signal {
public:
  stop_signal() = default;
  stop_signal(const stop_signal&) = delete;
  stop_signal& operator=(const stop_signal&) = delete;

  void watch(const std::weak_ptr<Owner>& owner, const Executor& executor,
             const std::stop_token& token, net::cancellation_slot slot)
  {
    if (token.stop_requested()) {
      request::close(owner);
      return;
    }
    if (token.stop_possible()) on_stop_.emplace(token, request{owner, executor});
    if (slot.is_connected())
      on_cancellation(slot, owner,
                      [](Owner& alive, net::cancellation_type) { alive.close_if_running(); });
  }

  /// The slot is left alone: it may belong to another socket by now, and its signal may be gone.
  void end() noexcept { on_stop_.reset(); }

private:
  /// Runs on whatever thread requests the stop, and closes at once where that is one that the socket's listeners run on.
  struct request {
    std::weak_ptr<Owner> owner;
    Executor executor;

    static void close(const std::weak_ptr<Owner>& owner)
    {
      if (const auto alive = owner.lock()) alive->close_if_running();
    }

    void operator()() const
    {
      const Executor kept = executor;  // the close destroys this
      net::dispatch(kept, [owner = owner] { close(owner); });
    }
  };

  std::optional<std::stop_callback<request>> on_stop_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
