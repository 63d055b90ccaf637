// SPDX-License-Identifier: BSL-1.0
// Closes an emitter when the stop token or the cancellation slot of its options asks for it.
#ifndef DGRAM_DETAIL_EMITTER_STOP_SIGNAL_HPP
#define DGRAM_DETAIL_EMITTER_STOP_SIGNAL_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/socket_options.hpp>

#include <memory>
#if DGRAM_HAS_STOP_TOKEN
#include <functional>
#include <optional>
#include <stop_token>
#endif

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Calls `close` on the owner, on its executor.
template <class Owner>
class stop_signal {
public:
  explicit stop_signal(const socket_options& options) noexcept : options_(options) {}
  stop_signal(const stop_signal&) = delete;
  stop_signal& operator=(const stop_signal&) = delete;

  bool is_requested() const noexcept
  {
#if DGRAM_HAS_STOP_TOKEN
    return options_.signal.stop_requested();
#else
    return false;
#endif
  }

  void watch(Owner& owner)
  {
    if (is_requested()) return owner.close();
    const std::weak_ptr<Owner> watched = owner.weak_from_this();
#if DGRAM_HAS_STOP_TOKEN
    // Runs on the thread that requests the stop. Closes at once if that thread runs the executor.
    const auto close = [watched, executor = owner.get_executor()] {
      const auto kept = executor;  // NOLINT(*-unnecessary-copy-*): close destroys this function
      net::dispatch(kept, [watched = watched] {
        if (const auto alive = watched.lock()) alive->close();
      });
    };
    if (options_.signal.stop_possible()) on_stop_.emplace(options_.signal, close);
#endif
    if (options_.slot.is_connected())
      on_cancellation(options_.slot, watched, [](Owner& alive, auto) { alive.close(); });
  }

  /// Does not touch the slot: it may belong to another socket by now, and its signal may be gone.
  void end() noexcept
  {
#if DGRAM_HAS_STOP_TOKEN
    on_stop_.reset();
#endif
  }

private:
#if DGRAM_HAS_STOP_TOKEN
  std::optional<std::stop_callback<std::function<void()>>> on_stop_;
#endif
  const socket_options& options_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
