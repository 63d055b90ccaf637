// SPDX-License-Identifier: BSL-1.0
// The operation behind `async_flush`: waits until a writer's queue is empty.
#ifndef DGRAM_DETAIL_BATCH_FLUSH_OP_HPP
#define DGRAM_DETAIL_BATCH_FLUSH_OP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
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
    State& state = *state_;
    if (!std::exchange(launched_, true)) {
      enable_cancellation(self, state_);
      lost_before_ = state.statistics.lost;
      state.flush();
      // Posts even if nothing is left, since no handler runs inside the call that starts it.
      if (state.batch.empty()) {
        const auto executor = state.get_executor();
        net::post(executor, std::move(self));
        return;
      }
    }
    const bool is_cancelled =
        self.get_cancellation_state().cancelled() != net::cancellation_type::none;
    if (!state.batch.empty() && !is_cancelled) {
      state.async_wait_room(std::move(self));
      return;
    }
    error_code ec;
    if (state.statistics.lost != lost_before_)
      ec = state.last_loss;
    else if (!state.batch.empty())
      ec = net::error::operation_aborted;
    state_.reset();  // releases the memory before the handler runs
    self.complete(ec);
  }

private:
  std::shared_ptr<State> state_;
  std::uint64_t lost_before_ = 0;
  bool launched_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
