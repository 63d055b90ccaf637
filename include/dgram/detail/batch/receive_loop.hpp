// SPDX-License-Identifier: BSL-1.0
// Receives batch after batch for an object that other operations wait in.
#ifndef DGRAM_DETAIL_BATCH_RECEIVE_LOOP_HPP
#define DGRAM_DETAIL_BATCH_RECEIVE_LOOP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/async/handler_memory.hpp>
#include <dgram/detail/async/thread_memory.hpp>
#include <dgram/detail/batch/reader_state.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/socket/wake_ups.hpp>
#include <dgram/error.hpp>

#include <cstdint>
#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Runs while its owner needs datagrams, and keeps the context running then. `Owner` has
/// `shared_from_this`, `later`, which is a `turns`, and these, which get the loop:
/// - `needs(loop)`: whether the loop may wait or receive;
/// - `deal(loop)`: takes the batch, and calls the program; it does not throw;
/// - `interrupted(loop)`: the socket was closed, opened again, or its operations were cancelled. A
///   loop that goes on calls `follow_descriptor` of its state;
/// - `about_to_wait(loop)`: the loop will wait for the socket;
/// - `looked(loop)`: the loop has asked the socket for datagrams;
/// - `failed(loop, ec)`: the socket has failed.
template <class Owner, class Handle>
class receive_loop {
public:
  using clock_type = typename Handle::clock_type;
  using state_type = reader_state<Handle>;

  /// Both outlive the loop.
  receive_loop(Owner& owner, state_type& state) noexcept : owner_(owner), state_(state) {}
  receive_loop(const receive_loop&) = delete;
  receive_loop& operator=(const receive_loop&) = delete;

  state_type& state() noexcept { return state_; }

  /// Whether the loop is in a turn, in a wait, or between the two.
  bool is_running() const noexcept { return running_; }

  /// Starts the loop, unless it runs. It receives nothing before the next turn.
  void start()
  {
    if (running_) return;
    running_ = true;
    try {
      state_.policy.begin_waiting();
      if (state_.socket.has_pending_error())
        post_turn();
      else
        wait();
    } catch (...) {
      running_ = false;
      throw;
    }
  }

  /// Ends the wait of the loop, which then looks what has changed.
  void wake()
  {
    if (waiting_) state_.signal.emit(net::cancellation_type::total);
  }

  /// Notices that the descriptor is another one, or that its operations were cancelled. Call this
  /// before something begins that the loop must not end for that.
  void notice_epoch()
  {
    if (!guard_.is_over(state_.socket.epoch())) return;
    owner_.interrupted(*this);
    // The preparation of a descriptor may have started one more epoch.
    guard_.enter(state_.socket.epoch());
  }

  /// How many errors of receives have ended nothing.
  std::uint64_t passing_errors() const noexcept { return passing_errors_; }

private:
  void post_turn()
  {
    owner_.later().post_stored(memory_, [this](Owner&) {
      state_.policy.yielded();
      turn({});
    });
  }

  void wait()
  {
    backing_off_ = state_.policy.must_back_off(state_.socket);
    wait_number_ = state_.start_wait();
    waiting_ = true;
    try {
      owner_.about_to_wait(*this);
      auto woken = net::bind_cancellation_slot(state_.signal.slot(),
                                               woken_handler{owner_.shared_from_this(), this});
      async_wait_or_back_off(state_.socket, net::socket_base::wait_read, backing_off_,
                             std::move(woken));
    } catch (...) {
      waiting_ = false;
      state_.end_wait(wait_number_);
      throw;
    }
  }

  /// Waits in a step of the loop. If that fails, the loop cannot go on.
  void wait_in_turn()
  {
    try {
      wait();
    } catch (const system_error& failed) {
      fail(failed.code());
      throw;
    } catch (...) {
      fail(net::error::no_memory);
      throw;
    }
  }

  /// Resumes the loop. `memory_` is too small for a wait.
  struct woken_handler {
    using allocator_type = thread_allocator<>;
    allocator_type get_allocator() const noexcept { return {}; }

    void operator()(const error_code& ec)
    {
      const auto kept = std::move(owner);
      loop->woken(ec);
    }

    std::shared_ptr<Owner> owner;
    receive_loop* loop;
  };

  void woken(error_code ec)
  {
    waiting_ = false;
    state_.end_wait(wait_number_);
    state_.policy.yielded();
    if (!goes_on()) return;
    // Other operations may end the shared timer, and the loop ends its own wait to look around.
    if (backing_off_ || ec == net::error::operation_aborted) ec.clear();
    if (!ec) receive(ec);
    if (!goes_on_after(ec)) return;
    turn(ec);
  }

  bool goes_on()
  {
    notice_epoch();
    if (!owner_.needs(*this)) running_ = false;
    return running_;
  }

  void receive(error_code& ec)
  {
    state_.try_receive(ec);
    owner_.looked(*this);
  }

  /// Whether there is a batch, or an error that ends the loop. Otherwise the loop waits. An error
  /// that a peer can cause, and a lack of memory, end nothing. If they go on, the waits get longer.
  bool goes_on_after(const error_code& ec)
  {
    if (ec != net::error::would_block) {
      const bool passes = platform::is_path_error(ec) || ec == net::error::no_memory ||
                          ec == net::error::no_buffer_space;
      if (!passes) return true;
      ++passing_errors_;
    }
    // A report may have ended what the loop runs for.
    if (goes_on()) wait_in_turn();
    return false;
  }

  void turn(error_code ec)
  {
    owner_.later().throw_kept();
    while (!ec) {
      owner_.deal(*this);
      if (!goes_on()) return;
      // What is sent now may fail, and the handler for errors may end everything, or throw.
      owner_.later().call([this] { state_.begin_receive(); });
      if (!goes_on()) return;
      if (state_.is_drained()) return wait_in_turn();
      if (state_.policy.template is_yield_due<clock_type>()) return post_turn();
      receive(ec);
      if (!goes_on_after(ec)) return;
    }
    fail(ec);
  }

  void fail(const error_code& ec)
  {
    running_ = false;
    owner_.failed(*this, ec);
  }

  Owner& owner_;
  state_type& state_;
  handler_memory memory_;
  epoch_guard guard_;
  std::uint64_t passing_errors_ = 0;
  std::uint64_t wait_number_ = 0;
  bool running_ = false;
  bool waiting_ = false;
  bool backing_off_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
