// SPDX-License-Identifier: BSL-1.0
// The state that a reader shares with its pending operations: the batch and the unread datagrams.
#ifndef DGRAM_DETAIL_BATCH_READER_STATE_HPP
#define DGRAM_DETAIL_BATCH_READER_STATE_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/checked_size.hpp>
#include <dgram/detail/async/lazy_deadline.hpp>
#include <dgram/detail/batch/receive_policy.hpp>
#include <dgram/detail/socket/receivers.hpp>
#include <dgram/error.hpp>
#include <dgram/reader_config.hpp>
#include <dgram/receive_batch.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Handle` is a `transport_handle`.
template <class Handle>
struct reader_state : std::enable_shared_from_this<reader_state<Handle>> {
  using protocol_type = typename Handle::protocol_type;
  using executor_type = typename Handle::executor_type;
  using batch_type = basic_receive_batch<protocol_type>;
  using clock = typename Handle::clock_type;

  DGRAM_COLD reader_state(Handle handle, const reader_config& config)
      : socket(std::move(handle)),
        entry(socket),
        batch(checked_slots("reader: slots", config.slots, "reader: slot_size", slot_size(config)),
              slot_size(config)),
        position(batch.end()),
        policy(checked_positive("reader: yield_after", config.yield_after)),
        coalesce_(config.coalesce && batch.slot_size() >= batch_type::default_slot_size)
  {
    if (config.control_size > 0) batch.reserve_control(config.control_size);
    prepare_descriptor();
  }

  executor_type get_executor() const { return socket.get_executor(); }

  Handle socket;
  reader_entry entry;
  batch_type batch;
  typename batch_type::const_iterator position;
  std::size_t remaining = 0;
  receive_policy policy;
  net::cancellation_signal signal;
  lazy_deadline<reader_state, Handle> deadline{*this};  // of the wait

  /// Called before the reader waits or calls the kernel: the writer sends now what belongs to the
  /// turn that ends.
  std::function<void()> turn_end;
  const void* turn_owner = nullptr;

  bool at_end() const noexcept { return remaining == 0; }

  /// Whether the caller has received datagrams that it may still look at.
  bool is_in_turn() const noexcept { return remaining > 0 || batch_is_out_; }

  /// Whether the reader has returned the last datagram of a turn and has not been called since.
  bool is_behind_turn() const noexcept { return in_turn_ && !is_in_turn(); }

  std::optional<basic_datagram<protocol_type>> take()
  {
    if (remaining == 0) return std::nullopt;
    --remaining;
    return *position++;
  }

  basic_datagrams<protocol_type> take_all() noexcept
  {
    batch_is_out_ = remaining > 0;
    return {std::exchange(position, batch.end()), batch.end(), std::exchange(remaining, 0)};
  }

  void begin_receive()
  {
    remaining = 0;
    batch_is_out_ = in_turn_ = false;
    if (turn_end) turn_end();
    follow_descriptor();
    policy.offer_slots(batch);
  }

  /// Prepares a descriptor that the socket got after the reader was created. Starts a new epoch if
  /// this turns coalescing on.
  void follow_descriptor()
  {
    if (descriptor_number_ != socket.descriptor_number()) prepare_descriptor();
  }

  void try_receive(error_code& ec)
  {
    socket.try_receive_batch(batch, ec);
    drained_ = socket.is_drained();
    position = batch.begin();
    remaining = batch.size();
    in_turn_ = remaining > 0;
    policy.received(batch);
  }

  /// After a short batch the queue was empty: a wait is cheaper than another receive.
  bool is_drained() const noexcept { return drained_ && !socket.has_pending_error(); }

  void stop()
  {
    stopped_ = true;
    entry.remove();
    deadline.disarm();
    if (waiting_) signal.emit(net::cancellation_type::total);
  }

  bool is_stopped() const noexcept { return stopped_ || !socket.is_open(); }

  /// Whether the socket has not been open since the reader was created, so that nothing has ended.
  bool is_unopened() const noexcept
  {
    return !stopped_ && !was_open_ && !socket.is_open() &&
           descriptor_number_ == socket.descriptor_number();
  }

  /// Whether an operation waits that the socket's epoch has not ended.
  bool is_waited_for() const noexcept { return waiting_ && wait_epoch_ == socket.epoch(); }

  /// Returns the number for `end_wait`.
  std::uint64_t start_wait() noexcept
  {
    waiting_ = true;
    wait_epoch_ = socket.epoch();
    wait_error_.clear();
    return ++wait_number_;
  }

  /// A later wait is another one's.
  void end_wait(std::uint64_t number) noexcept
  {
    if (number != wait_number_) return;
    waiting_ = false;
    deadline.end(is_stopped());
  }

  /// Lets the slot of the waiting operation end the wait.
  void let_cancel(const net::cancellation_slot& slot)
  {
    on_cancellation(
        slot, this->weak_from_this(),
        [](reader_state& self, net::cancellation_type type) { self.signal.emit(type); });
  }

  /// Called at the wait's deadline.
  void end_wait_with(const error_code& ec)
  {
    wait_error_ = ec;
    signal.emit(net::cancellation_type::total);
  }

  /// Why the reader has ended the wait itself; clear if it has not.
  const error_code& wait_error() const noexcept { return wait_error_; }

private:
  static std::size_t slot_size(const reader_config& config) noexcept
  {
    return config.slot_size != 0 ? config.slot_size : batch_type::default_slot_size;
  }

  /// Also prepares the next descriptor, if the socket is reopened, or is opened after the reader
  /// was created.
  DGRAM_COLD void prepare_descriptor()
  {
    descriptor_number_ = socket.descriptor_number();
    if (!socket.is_open()) return;
    was_open_ = true;
    socket.provide_reply_source();
    error_code not_here;
    if (coalesce_ && !socket.is_coalescing()) socket.set_coalescing(true, not_here);
  }

  bool coalesce_;
  std::uint64_t descriptor_number_ = 0;
  bool drained_ = false;
  bool stopped_ = false;
  bool was_open_ = false;
  bool waiting_ = false;
  bool batch_is_out_ = false;
  bool in_turn_ = false;
  std::uint64_t wait_number_ = 0;
  std::uint64_t wait_epoch_ = 0;
  error_code wait_error_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
