// SPDX-License-Identifier: BSL-1.0
// The part of a virtual timer that its waits share.
#ifndef DGRAM_DETAIL_SIM_ALARM_HPP
#define DGRAM_DETAIL_SIM_ALARM_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/sim/agenda.hpp>
#include <dgram/detail/sim/engine.hpp>

#include <cstddef>
#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

class sim_alarm final : public sim_event, public std::enable_shared_from_this<sim_alarm> {
public:
  using executor_type = net::any_io_executor;

  sim_alarm(std::shared_ptr<sim_engine> engine, const net::any_io_executor& executor)
      : engine_(std::move(engine)), executor_(executor), waits_(*engine_, executor)
  {
  }
  ~sim_alarm() { engine_->cancel(*this); }

  /// Makes a new one on the same executor.
  std::shared_ptr<sim_alarm> another() const
  {
    return std::make_shared<sim_alarm>(engine_, executor_);
  }

  const net::any_io_executor& get_executor() const noexcept { return executor_; }
  sim_time now() const noexcept { return engine_->now(); }
  sim_time expiry() const noexcept { return expiry_; }

  /// Ends the pending waits, and returns their number.
  std::size_t set(sim_time expiry)
  {
    const std::size_t ended = cancel();
    expiry_ = expiry;
    return ended;
  }

  std::size_t cancel()
  {
    engine_->cancel(*this);
    const std::size_t ended = waits_.size();
    waits_.end_all(net::error::operation_aborted);
    return ended;
  }

  std::size_t cancel_one()
  {
    if (waits_.empty()) return 0;
    completion_ptr<> first = waits_.take_first();
    first->outcome.code = net::error::operation_aborted;
    waits_.complete_later(std::move(first));
    forget_if_idle();
    return 1;
  }

  template <class Token>
  auto async_wait(Token&& token)
  {
    return initiate_completion<>(shared_from_this(), std::forward<Token>(token),
                                 [](sim_alarm& self, completion<>* done,
                                    net::cancellation_slot slot) { self.begin_wait(done, slot); });
  }

  void happen() override { waits_.end_all({}); }
  void drop() noexcept override {}

private:
  void begin_wait(completion<>* done, net::cancellation_slot slot)
  {
    completion_ptr<> held(done);
    if (expiry_ <= engine_->now()) {
      waits_.complete_later(std::move(held));
      return;
    }
    if (!is_planned() && expiry_ != sim_never) engine_->plan(*this, expiry_);
    waits_.add(held.release(), slot, shared_from_this());
  }

  void forget_if_idle() noexcept
  {
    if (waits_.empty()) engine_->cancel(*this);
  }

  std::shared_ptr<sim_engine> engine_;
  net::any_io_executor executor_;
  sim_waits waits_;
  sim_time expiry_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
