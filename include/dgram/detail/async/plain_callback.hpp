// SPDX-License-Identifier: BSL-1.0
// Callbacks without arguments, which may have an executor, an allocator and a cancellation slot as any handler.
#ifndef DGRAM_DETAIL_ASYNC_PLAIN_CALLBACK_HPP
#define DGRAM_DETAIL_ASYNC_PLAIN_CALLBACK_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/completion.hpp>
#include <dgram/failure.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Callback, class Executor>
inline constexpr bool runs_on =
    std::same_as<net::associated_executor_t<Callback, Executor>, Executor>;

/// Whether a callback is bound to an executor: else it takes whatever it is offered.
template <class Callback, class Executor>
inline constexpr bool has_executor =
    !runs_on<Callback, Executor> || !runs_on<Callback, net::system_executor>;

/// Is called where the callback is not to run, and has its own executor run it, whose context it keeps running till then.
template <class Callback, class Executor>
class forwarding_callback {
public:
  template <class From>
  forwarding_callback(From&& callback, const Executor& other)
      : callback_(std::forward<From>(callback)),
        work_(net::get_associated_executor(callback_, other))
  {
  }

  void operator()() { dispatch_to(std::move(work_), std::move(callback_)); }

private:
  Callback callback_;
  net::executor_work_guard<net::associated_executor_t<Callback, Executor>> work_;
};

/// The callback, to be called once and on the emitter's executor, which this is.
template <class Callback, class Executor>
decltype(auto) run_by_emitter(Callback&& callback, const Executor& emitters)
{
  using function = std::decay_t<Callback>;
  if constexpr (has_executor<function, Executor>)
    return forwarding_callback<function, Executor>(std::forward<Callback>(callback), emitters);
  else
    return std::forward<Callback>(callback);
}

/// The completion handler of a send whose callback is called where all went well; else there is an 'error' event. The
/// emitter calls it, and then exists.
template <class Core, class Callback>
class sent_callback {
  using executor = typename Core::executor_type;
  using function = std::decay_t<decltype(run_by_emitter(std::declval<Callback>(),
                                                        std::declval<const executor&>()))>;

public:
  using allocator_type = net::associated_allocator_t<Callback, recycling>;
  using cancellation_slot_type = net::associated_cancellation_slot_t<Callback>;

  template <class From>
  sent_callback(Core& core, From&& callback)
      : core_(&core),
        allocator_(net::get_associated_allocator(callback, recycling())),
        slot_(net::get_associated_cancellation_slot(callback)),
        call_(run_by_emitter(std::forward<From>(callback), core.get_executor()))
  {
  }

  allocator_type get_allocator() const noexcept { return allocator_; }
  cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }

  void operator()(const failure& outcome)
  {
    if (outcome)
      core_->post_error(outcome);
    else
      call_();
  }

private:
  Core* core_;
  allocator_type allocator_;
  cancellation_slot_type slot_;
  function call_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
