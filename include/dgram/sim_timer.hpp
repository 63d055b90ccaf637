// SPDX-License-Identifier: BSL-1.0
// Timers on the virtual clock of a simulated network.
#ifndef DGRAM_SIM_TIMER_HPP
#define DGRAM_SIM_TIMER_HPP

#include <dgram/config.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/sim/alarm.hpp>
#include <dgram/detail/sim/service.hpp>
#include <dgram/sim_clock.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace sim {

/// A timer on the clock of the simulated network, with the interface of Asio's waitable timers. It
/// is `socket::timer_type`, which readers, writers and emitters use. It costs no system call.
///
/// Construct it on a context that has a `network`; otherwise the constructor throws
/// `std::logic_error`. Waits that are pending when the network ends complete with
/// `operation_aborted`. Thread safety: none, as for everything of the network.
///
/// \code
/// dgram::sim::network net{io};
/// dgram::sim::timer timer{io, std::chrono::hours(24)};
/// timer.async_wait([](dgram::error_code ec) { if (!ec) fmt::print("a day has passed\n"); });
/// net.run();
/// \endcode
class timer {
public:
  using executor_type = net::any_io_executor;
  using clock_type = clock;
  using duration = clock::duration;
  using time_point = clock::time_point;
  using default_token = default_token_t<executor_type>;

  explicit timer(const executor_type& executor)
      : shared_(std::make_shared<detail::sim_alarm>(
            detail::sim_service::find(executor, "sim::timer"), executor))
  {
  }

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  explicit timer(Context& context) : timer(executor_type(context.get_executor()))
  {
  }

  timer(const executor_type& executor, time_point expiry) : timer(executor) { expires_at(expiry); }
  timer(const executor_type& executor, duration wait) : timer(executor) { expires_after(wait); }

  template <class Context, class Time>
    requires std::convertible_to<Context&, net::execution_context&>
  timer(Context& context, Time when) : timer(executor_type(context.get_executor()), when)
  {
  }

  /// Takes the time and the pending waits. The other timer is as after its construction on the
  /// executor.
  timer(timer&& other) : shared_(std::exchange(other.shared_, other.shared_->another())) {}

  /// The same. Cancels the pending waits of this timer first.
  timer& operator=(timer&& other)
  {
    if (this != &other) {
      shared_->cancel();
      shared_ = std::exchange(other.shared_, other.shared_->another());
    }
    return *this;
  }

  /// Cancels the pending waits.
  ~timer() { shared_->cancel(); }

  executor_type get_executor() const noexcept { return shared_->get_executor(); }

  time_point expiry() const noexcept { return time_point(duration(shared_->expiry())); }

  /// Sets the time. Pending waits complete with `operation_aborted`; returns their number.
  std::size_t expires_at(time_point expiry)
  {
    return shared_->set(expiry.time_since_epoch().count());
  }

  /// The same, from now on.
  std::size_t expires_after(duration wait)
  {
    return expires_at(detail::deadline(time_point(duration(shared_->now())), wait));
  }

  /// Completes all pending waits with `operation_aborted`; returns their number.
  std::size_t cancel() { return shared_->cancel(); }

  /// The same for the oldest one.
  std::size_t cancel_one() { return shared_->cancel_one(); }

  /// Waits until the timer expires. Completes later, never inside the call.
  ///
  /// Completion: `void(error_code)`. Errors: `operation_aborted`. Cancellation: terminal, partial
  /// and total.
  template <class Token = default_token>
  auto async_wait(Token&& token = default_token())
  {
    return shared_->async_wait(std::forward<Token>(token));
  }

private:
  std::shared_ptr<detail::sim_alarm> shared_;
};

#if DGRAM_HAS_SIM_STEADY_TIMER

/// The wait traits of `steady_timer`.
struct wait_traits {
  /// Asio asks how long to wait for the earliest timer. The network waits instead, in virtual time.
  static clock::duration to_wait_duration(const clock::duration& left) noexcept
  {
    auto& time = detail::sim_time_of_thread;
    time.next_asio_timer = left.count() > detail::sim_never - time.now
                               ? detail::sim_never
                               : time.now + std::max<detail::sim_time>(left.count(), 0);
    return clock::duration::zero();
  }

  static clock::duration to_wait_duration(const clock::time_point& at) noexcept
  {
    return to_wait_duration(at.time_since_epoch() - clock::now().time_since_epoch());
  }
};

/// Asio's own timer on the clock of the simulated network, for code that names
/// `asio::basic_waitable_timer`. It has Asio's queue, tokens and cancellation. Each step of the
/// network then costs a few system calls, so prefer `timer` where the type is free.
///
/// It exists where Asio waits with epoll and timerfd (`DGRAM_HAS_SIM_STEADY_TIMER`), because other
/// reactors do not ask for the earliest timer when they are polled. Only `network::run` and its
/// relatives let it expire. On a context without a network it never expires, and `run` of the
/// context spins.
using steady_timer = net::basic_waitable_timer<clock, wait_traits>;

#endif

}  // namespace sim

DGRAM_NAMESPACE_END

#endif
