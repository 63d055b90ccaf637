// SPDX-License-Identifier: BSL-1.0
// The operation behind `async_flush`: waits until a writer's queue is empty.
#ifndef DGRAM_DETAIL_BATCH_FLUSH_OP_HPP
#define DGRAM_DETAIL_BATCH_FLUSH_OP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/resumed_on.hpp>
#include <dgram/error.hpp>

#include <cstdint>
#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `State` is the state of a writer.
template <class State>
class flush_op {
public:
  explicit flush_op(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

  template <class Self>
  void operator()(Self& self, const error_code& = {})
  {
    const step now = std::exchange(step_, step::wait);
    if (now == step::finish) {
      self.complete(ec_);
      return;
    }
    State& state = *state_;
    const auto executor = state.get_executor();
    if (now == step::launch) {
      enable_cancellation(self, state_);
      lost_before_ = state.statistics.lost;
      state.flush();
    }
    const bool is_cancelled =
        self.get_cancellation_state().cancelled() != net::cancellation_type::none;
    if (!state.batch.empty() && !is_cancelled) {
      // The queue is the writer's, and the handler may have another executor.
      state.async_wait_room(resumed_on(executor, std::move(self)));
      return;
    }
    if (state.statistics.lost != lost_before_)
      ec_ = state.last_loss;
    else if (!state.batch.empty())
      ec_ = net::error::operation_aborted;
    state_.reset();  // releases the memory before the handler runs
    step_ = step::finish;
    // No handler runs inside the call that starts it.
    if (now == step::launch)
      net::post(executor, std::move(self));
    else
      leave_executor(executor, self);
  }

private:
  enum class step : unsigned char { launch, wait, finish };

  std::shared_ptr<State> state_;
  std::uint64_t lost_before_ = 0;
  error_code ec_;
  step step_ = step::launch;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
