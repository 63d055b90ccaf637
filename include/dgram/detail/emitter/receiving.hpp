// SPDX-License-Identifier: BSL-1.0
// Receives an emitter's datagrams in batches, passes the messages to listeners, and counts drops.
#ifndef DGRAM_DETAIL_EMITTER_RECEIVING_HPP
#define DGRAM_DETAIL_EMITTER_RECEIVING_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/at_end.hpp>
#include <dgram/detail/async/handler_memory.hpp>
#include <dgram/detail/async/no_memory.hpp>
#include <dgram/detail/async/scoped_value.hpp>
#include <dgram/detail/async/spares.hpp>
#include <dgram/detail/batch/receive_policy.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/socket/message_runs.hpp>
#include <dgram/detail/socket/wake_ups.hpp>
#include <dgram/diagnostics.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/events.hpp>
#include <dgram/option.hpp>
#include <dgram/receive_batch.hpp>
#include <dgram/socket_options.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Protocol>
using incoming_buffers = std::shared_ptr<spares<basic_receive_batch<Protocol>>>;

template <class Protocol>
incoming_buffers<Protocol> make_incoming_buffers(std::size_t slot_size, std::size_t control_size)
{
  using batch_type = basic_receive_batch<Protocol>;
  return std::make_shared<spares<batch_type>>([slot_size, control_size] {
    constexpr std::size_t slots = 32;
    auto made = std::make_unique<batch_type>(
        slots, std::max<std::size_t>(slot_size, batch_type::default_slot_size));
    made->reserve_control(control_size);
    return made;
  });
}

/// Returns the buffers of the context, or the socket's own if its options ask for larger ones.
template <class Protocol>
incoming_buffers<Protocol> buffers_for(const socket_options& options,
                                       const incoming_buffers<Protocol>& shared)
{
  // What the kernel says of itself has room anyway, once there is room at all.
  const std::size_t control = std::max<std::size_t>(options.control_size, options.credentials);
  if (options.receive_size <= basic_receive_batch<Protocol>::default_slot_size && control == 0)
    return shared;
  return make_incoming_buffers<Protocol>(options.receive_size, control);
}

/// Describes the datagrams of one turn, whose buffers do not move. The result of `of` is valid
/// until the next call of `of`.
template <class Protocol>
class arrival {
public:
  /// `last_number` counts the descriptions.
  arrival(const net::ip::address& bound, std::uint64_t& last_number) noexcept
      : bound_(bound), last_number_(last_number)
  {
  }

  const basic_remote_info<Protocol>& of(const basic_datagram<Protocol>& received)
  {
    if constexpr (ip_protocol<Protocol>) {
      // The datagrams of a train have one sender.
      if (!previous_ || !received.shares_slot_with(*previous_)) look_at(received);
      info_.size = received.payload().size();
      info_.truncated = received.truncated();
      info_.wire_size = info_.truncated ? received.wire_size() : info_.size;
    } else {
      info_ = basic_remote_info<Protocol>(received);
      info_.datagram_.set(received);
    }
    return info_;
  }

  /// The number of the description, if this is its object. Two messages with one number have the
  /// same path back. 0 for Unix datagrams, none of which has a number.
  std::uint64_t number_of(const basic_remote_info<Protocol>& info) const noexcept
  {
    return &info == &info_ ? number_ : 0;
  }

private:
  void look_at(const basic_datagram<Protocol>& received)
  {
    if (!previous_ || !same_bytes(received.sender(), previous_->sender()) ||
        !received.arrived_like(*previous_)) [[unlikely]]
      describe(received);
    previous_.emplace(received);
  }

  DGRAM_APART void describe(const basic_datagram<Protocol>& received)
  {
    info_ = basic_remote_info<Protocol>(received, bound_);
    number_ = ++last_number_;
  }

  const net::ip::address& bound_;
  std::uint64_t& last_number_;
  std::uint64_t number_ = 0;
  std::optional<basic_datagram<Protocol>> previous_;
  basic_remote_info<Protocol> info_;
};

/// Counts dropped datagrams, and reports them as 'drop' events. `Owner` is the core.
template <class Owner>
class drop_counts {
public:
  explicit drop_counts(Owner& owner) noexcept : owner_(owner) {}
  drop_counts(const drop_counts&) = delete;
  drop_counts& operator=(const drop_counts&) = delete;

  /// One event reports all drops that are counted until it is emitted.
  void add(drop_reason reason, std::size_t more = 1)
  {
    auto& count = counts_[static_cast<std::size_t>(reason)];
    const bool posted = count > 0;
    count += more;
    if (posted) return;
    owner_.turns.post([this, reason, &count] {
      const drop_info info{reason, std::exchange(count, 0)};
      if (!owner_.is_closed()) owner_.events.template emit<event::drop>(info);
    });
  }

  /// Asks the kernel to count its drops as soon as 'drop' has a listener.
  template <class Socket>
  void watch(Socket& socket)
  {
    if (watches_ || owner_.events.template listener_count<event::drop>() == 0) return;
    watches_ = true;
    error_code not_here;
    socket.set_option(option::receive_drop_count(true), not_here);
  }

  template <class Socket>
  void report(Socket& socket)
  {
    if (!watches_) return;
    const auto dropped = socket.statistics().dropped;
    if (dropped > by_kernel_)
      add(drop_reason::receive_queue_full, static_cast<std::size_t>(dropped - by_kernel_));
    by_kernel_ = dropped;
  }

  /// Called for a new descriptor, for which the kernel starts a new count.
  void restart() noexcept
  {
    watches_ = false;
    by_kernel_ = 0;
  }

private:
  Owner& owner_;
  std::array<std::size_t, 3> counts_{};
  std::uint64_t by_kernel_ = 0;
  bool watches_ = false;
};

/// `Owner` is the core.
template <class Socket, class Owner>
class receiving {
public:
  using protocol_type = typename Socket::protocol_type;
  using batch_type = basic_receive_batch<protocol_type>;

  receiving(Owner& owner, incoming_buffers<protocol_type> buffers) noexcept
      : owner_(owner), source_(std::move(buffers))
  {
  }

  bool is_wanted() const noexcept { return wanted_; }

  /// Identifies the way back from a message. 0: listeners look at another object than `info` now.
  std::uint64_t number_of(const basic_remote_info<protocol_type>& info) const noexcept
  {
    return shown_ != nullptr ? shown_->number_of(info) : 0;
  }

  void want(bool on) noexcept
  {
    wanted_ = on;
    interrupted_ = true;
  }

  /// Called when the socket is bound to this address.
  void begin(const net::ip::address& bound)
  {
    bound_address_ = bound;
    owner_.drops.restart();
  }

  /// Schedules the next turn of receiving, unless it is scheduled already.
  void go_on()
  {
    if (!may_receive() || armed_ || turn_.is_posted()) return;
    if (rest_ > 0 || !owner_.handle.is_drained())
      post_turn();
    else
      arm();
  }

  /// Waits for the socket, without a receive before the wait.
  void arm_if_wanted()
  {
    if (may_receive()) arm();
  }

  /// Gives up the wait. Returns whether there was one.
  bool disarm()
  {
    interrupted_ = true;
    const bool was_armed = std::exchange(armed_, false);
    if (was_armed) owner_.work.end_wait();
    return was_armed;
  }

  /// Drops the datagrams that were received and not handed over.
  void end()
  {
    rest_ = 0;
    disarm();
    if (depth_ == 0) release_buffers();
  }

private:
  static constexpr bool is_ip = ip_protocol<protocol_type>;

  using message_event = event::message::of<protocol_type>;

  bool may_receive() { return wanted_ && owner_.may_receive(); }

  void post_turn() { owner_.turns.deliver_once(turn_); }

  /// `on_timer`: the socket stays readable without a datagram.
  void arm(bool on_timer = false)
  {
    auto resumed = owner_.turns.stored(wait_memory_, [this, number = ++last_wait_](Owner&) {
      // If the number differs, this wait was given up, and its unit of work was restored then.
      if (number == last_wait_ && disarm()) take_turn();
    });
    async_wait_or_back_off(owner_.handle, net::socket_base::wait_read, on_timer,
                           std::move(resumed));
    armed_ = true;
    owner_.work.begin_wait();
  }

  /// Called at the end of each turn, also if a listener throws.
  void end_turn()
  {
    if (--depth_ == 0) release_buffers();
    owner_.flush();
    unless_no_memory([&] { go_on(); }, [&] { owner_.turns.deliver_once(retry_); });
  }

  /// Called in a later turn if there was no memory to go on. It cannot be put off forever.
  void go_on_or_stop()
  {
    unless_no_memory([&] { go_on(); },
                     [&] {
                       wanted_ = false;
                       disarm();
                       owner_.receive_failed(net::error::no_memory);
                     });
  }

  void release_buffers()
  {
    in_use_.clear();
    if (rest_ > 0) return;
    if constexpr (!is_ip)
      if (incoming_) incoming_->clear();  // with the descriptors of what was not handed over
    incoming_ = {};
  }

  void take_turn()
  {
    if (armed_ || owner_.has_ended() || !may_receive()) return;
    ++depth_;  // keeps the buffers of a message, even if its listener runs the context
    const at_end ends([this] { end_turn(); });
    if (rest_ == 0 && !receive()) return;
    // Schedules the next turn first, since a listener may throw, or run the context itself. That
    // turn handles the rest, and what arrives meanwhile.
    // Without memory, the end of the scope tries it again.
    unless_no_memory([&] { rest_ > 1 || !owner_.handle.is_drained() ? post_turn() : arm(); },
                     [] {});
    owner_.note_activity();
    hand_over();
  }

  /// Returns false if there is nothing to hand over.
  bool receive()
  {
    error_code ec;
    unless_no_memory([&] { fill(ec); }, [&] { ec = net::error::no_memory; });
    if (ec && ec != net::error::would_block) owner_.receive_failed(ec);
    // An error may be permanent, and a wait costs less than another receive at once. It may also
    // leave the descriptor ready, unless it is a path error, which the kernel reports once. Without
    // a descriptor there is nothing to wait for.
    if (ec == net::error::bad_descriptor)
      wanted_ = false;
    else if (ec && rest_ == 0)
      arm(!platform::is_path_error(ec) && policy_.must_back_off(owner_.handle));
    return rest_ > 0 || !ec;
  }

  void fill(error_code& ec)
  {
    if (depth_ > 1) in_use_.push_back(std::move(incoming_));
    incoming_ = lease<batch_type>(source_);
    auto& batch = *incoming_;
    policy_.offer_slots(batch);
    if constexpr (is_ip) owner_.drops.watch(owner_.socket);
    owner_.socket.try_receive_batch(batch, ec);
    if constexpr (is_ip) owner_.drops.report(owner_.socket);
    at_ = batch.begin();
    rest_ = batch.size();
    policy_.received(batch);
  }

  void hand_over()
  {
    typename Owner::emitter_type::template emission<message_event> emit(owner_.events);
    arrival<protocol_type> info(bound_address_, last_number_);
    const scoped_value until_end(shown_, &info);  // turns may be nested
    interrupted_ = false;
    turn_limit<typename Socket::handle_type::clock_type> limit(rest_);
    while (rest_ > 0 && !limit.is_reached()) {
      const auto datagram = *at_;
      ++at_;
      --rest_;
      const at_end closes_untaken([&] {
        if constexpr (path_protocol<protocol_type>)
          platform::close_descriptors(datagram.control_messages().bytes());
      });
      if (owner_.family.is_blocked(datagram.sender())) [[unlikely]] {
        owner_.drops.add(drop_reason::blocked);
        continue;
      }
      diagnose(diagnostic_channel::message, &owner_, datagram.payload().size());
      emit(datagram.payload(), info.of(datagram));
      if (interrupted_ || owner_.has_ended()) return;  // the rest follows if it is wanted
    }
  }

  Owner& owner_;
  handler_memory wait_memory_;

  incoming_buffers<protocol_type> source_;
  lease<batch_type> incoming_;
  std::vector<lease<batch_type>> in_use_;  // held for listeners that run the context
  typename batch_type::const_iterator at_;
  std::size_t rest_ = 0;  // datagrams that were received and not handed over
  const arrival<protocol_type>* shown_ = nullptr;  // while listeners look at it
  std::uint64_t last_number_ = 0;
  std::uint64_t last_wait_ = 0;
  net::ip::address bound_address_;
  int depth_ = 0;  // turns of receiving, one inside the other
  bool wanted_ = true;
  bool armed_ = false;
  bool interrupted_ = false;  // a listener may have closed, paused or stopped the socket
  member_task<receiving> turn_{*this, &receiving::take_turn};
  member_task<receiving> retry_{*this, &receiving::go_on_or_stop};
  receive_policy policy_{0};  // each receive is a turn of its own
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
