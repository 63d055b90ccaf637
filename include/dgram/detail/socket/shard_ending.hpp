// SPDX-License-Identifier: BSL-1.0
// The operation that takes the last member out of a group and waits until nothing more comes to it.
#ifndef DGRAM_DETAIL_SOCKET_SHARD_ENDING_HPP
#define DGRAM_DETAIL_SOCKET_SHARD_ENDING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/platform/steering.hpp>
#include <dgram/detail/socket/shard_members.hpp>
#include <dgram/error.hpp>
#include <dgram/socket_handle.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Its steps run on the executor of the last member, since they use that member's socket. The
/// completion may belong to another thread, and the handler's cancellation slot too.
template <class Executor>
class shard_ending : public std::enable_shared_from_this<shard_ending<Executor>> {
  using members_type = shard_members<Executor>;
  using member = typename members_type::member;

public:
  shard_ending(std::shared_ptr<members_type> group, member last, std::size_t index, bool closes)
      : group_(std::move(group)),
        last_(std::move(last)),
        index_(index),
        closes_(closes),
        timer_(last_.executor)
  {
  }
  shard_ending(const shard_ending&) = delete;
  shard_ending& operator=(const shard_ending&) = delete;

  void start()
  {
    net::post(last_.executor, [self = this->shared_from_this()] { self->leave_out(); });
  }

  /// Ends before it begins.
  void refuse(const error_code& ec)
  {
    is_done_ = true;
    complete(ec);
  }

  /// May be called on any thread.
  void cancel()
  {
    net::post(last_.executor, [self = this->shared_from_this()] {
      self->finish(net::error::operation_aborted);
      self->timer_.cancel();
    });
  }

protected:
  virtual ~shard_ending()
  {
    if (!is_done_) group_->stop_ending();
  }

  /// Called once, on the member's executor.
  virtual void complete(const error_code& ec) = 0;

private:
  /// Twice this time passes, so that the kernel is done with the datagrams that it steered by the
  /// program before.
  static constexpr std::chrono::milliseconds pause{1};

  void leave_out()
  {
    if (!last_.handle.is_open()) return leave_out_by(index_);
    error_code ec;
    group_->leave_out_last(shard_access::descriptor(last_.handle), ec);
    if (ec)
      finish(ec);
    else
      wait();
  }

  /// The program closed the last member itself, so another member's descriptor must do. That is
  /// used on that member's executor.
  void leave_out_by(std::size_t index)
  {
    if (index == 0) return finish({});
    member other = group_->at(index - 1);
    const auto executor = other.executor;
    net::post(executor, [self = this->shared_from_this(), other = std::move(other), index] {
      error_code ec;
      const bool is_open = other.handle.is_open();
      if (is_open) self->group_->leave_out_last(shard_access::descriptor(other.handle), ec);
      net::post(self->last_.executor, [self, ec, is_open, index] {
        if (is_open)
          self->finish(ec);
        else
          self->leave_out_by(index - 1);
      });
    });
  }

  void wait()
  {
    timer_.expires_after(pause);
    timer_.async_wait([self = this->shared_from_this()](const error_code&) {
      if (!self->is_done_) self->look();
    });
  }

  void look()
  {
    if (!last_.handle.is_open()) return finish({});
    const bool is_empty = !platform::has_queued(shard_access::descriptor(last_.handle));
    empty_looks_ = is_empty ? empty_looks_ + 1 : 0;
    if (empty_looks_ < 2)
      wait();
    else
      finish({});
  }

  void finish(const error_code& ec)
  {
    if (std::exchange(is_done_, true)) return;
    if (!ec && closes_) group_->close_last();
    group_->stop_ending();
    complete(ec);
  }

  std::shared_ptr<members_type> group_;
  member last_;
  std::size_t index_;
  bool closes_;
  bool is_done_ = false;
  int empty_looks_ = 0;  // one after the other
  net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>,
                            Executor>
      timer_;
};

template <class Executor, class Handler>
class shard_ending_for final : public shard_ending<Executor> {
public:
  template <class From, class... Args>
  explicit shard_ending_for(From&& handler, const Executor& otherwise, Args&&... args)
      : shard_ending<Executor>(std::forward<Args>(args)...),
        work_(net::get_associated_executor(handler, otherwise)),
        handler_(std::forward<From>(handler))
  {
  }

private:
  using handler_executor = net::associated_executor_t<Handler, Executor>;

  void complete(const error_code& ec) override
  {
    const auto executor = work_.get_executor();
    net::post(executor, upcall<Handler, handler_executor, error_code>(
                            std::move(handler_), std::move(work_), error_code(ec)));
  }

  net::executor_work_guard<handler_executor> work_;
  Handler handler_;
};

/// Launches the operation: now, or when a deferred operation starts.
template <class Executor>
class shard_ending_initiation {
public:
  shard_ending_initiation(std::shared_ptr<shard_members<Executor>> group, bool closes) noexcept
      : group_(std::move(group)), closes_(closes)
  {
  }

  template <class Handler>
  void operator()(Handler&& handler) const
  {
    using op_type = shard_ending_for<Executor, std::decay_t<Handler>>;
    error_code ec;
    std::size_t index = 0;
    auto last = group_->begin_ending(index, ec);
    const net::cancellation_slot slot = net::get_associated_cancellation_slot(handler);
    const auto executor = last.executor;
    const auto op = std::make_shared<op_type>(std::forward<Handler>(handler), executor, group_,
                                              std::move(last), index, closes_);
    if (ec) return op->refuse(ec);
    if (slot.is_connected())
      on_cancellation(slot, std::weak_ptr(op),
                      [](op_type& self, net::cancellation_type) { self.cancel(); });
    op->start();
  }

private:
  std::shared_ptr<shard_members<Executor>> group_;
  bool closes_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
