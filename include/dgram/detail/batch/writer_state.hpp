// SPDX-License-Identifier: BSL-1.0
// The state that a writer shares with its flushes: the queued datagrams and when they leave.
#ifndef DGRAM_DETAIL_BATCH_WRITER_STATE_HPP
#define DGRAM_DETAIL_BATCH_WRITER_STATE_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/async/signal.hpp>
#include <dgram/detail/batch/outbox.hpp>
#include <dgram/detail/batch/reader_state.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/error.hpp>
#include <dgram/send_batch.hpp>
#include <dgram/writer_config.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Handle` is a `transport_handle`.
template <class Handle>
struct writer_state : std::enable_shared_from_this<writer_state<Handle>> {
  using protocol_type = typename Handle::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using reader_type = reader_state<Handle>;

  /// `source` is the reader whose turns the writer follows; null for a writer on a socket alone.
  DGRAM_COLD writer_state(Handle handle, std::shared_ptr<reader_type> source,
                          const writer_config& config)
      : batch({.datagrams = config.datagrams, .bytes = config.bytes, .copy = true}),
        room_(handle.get_executor()),
        socket_(std::move(handle)),
        reader_(std::move(source)),
        when_full_(config.when_full)
  {
  }

  basic_send_batch<protocol_type> batch;
  writer_statistics statistics;

  /// Why the most recent datagram was lost.
  error_code last_loss;
  std::function<void(error_code, const endpoint_type&, std::size_t)> on_error;

  void attach()
  {
    batch.on_refused([this](error_code ec, const endpoint_type& peer, std::size_t size) {
      ++statistics.refused;
      report(ec, peer, size);
    });
    if (!reader_) return;
    reader_->turn_end = [this] { end_turn(); };
    reader_->turn_owner = this;
  }

  /// How many datagrams the kernel or the batch makes from a payload.
  static std::size_t count(bytes_view) noexcept { return 1; }
  static std::size_t count(bytes_view payload, const send_options& options)
  {
    const std::size_t segment = options.segment_size.value_or(payload.size());
    if (options.segment_size == std::size_t{0})
      detail::throw_if(net::error::invalid_argument, "send with", "segment_size{0}");
    return payload.empty() ? 1 : (payload.size() - 1) / segment + 1;
  }

  bool can_take(std::size_t size, std::size_t datagrams) const noexcept
  {
    return batch.has_room(size, datagrams) && !closed_ && socket_.is_open();
  }

  /// The same, and whether the socket can send to such a peer. A false result does not say why.
  template <class Target>
  bool takes_at_once(std::size_t size, std::size_t datagrams, const Target&) const noexcept
  {
    constexpr bool addressed = !std::is_same_v<Target, no_peer>;
    return batch.has_room(size, datagrams) && !closed_ && socket_.is_open() &&
           socket_.is_connected() != addressed;
  }

  /// Whether the next datagram, of any size, finds room, or is dropped because there is no room.
  bool has_room_for_any()
  {
    constexpr std::size_t largest = 65535;
    const std::size_t size = std::min(largest, batch.max_bytes());
    if (batch.has_room(size)) [[likely]]
      return true;
    flush();
    return batch.has_room(size) || when_full_ == full_policy::drop_newest;
  }

  /// Flushes. `ec` says why a wait for room cannot help.
  void make_room(std::size_t size, std::size_t datagrams, error_code& ec)
  {
    flush();
    if (size > batch.max_bytes() || datagrams > batch.capacity())
      ec = net::error::message_size;
    else if (!socket_.is_open())
      ec = net::error::bad_descriptor;
  }

  bool must_wait(std::size_t size, std::size_t datagrams, error_code& ec) const noexcept
  {
    if (!ec && !socket_.is_open()) ec = net::error::bad_descriptor;
    if (!ec && closed_) ec = net::error::operation_aborted;
    return !ec && !batch.has_room(size, datagrams) && when_full_ == full_policy::wait;
  }

  /// `to` is an endpoint, a reply path, or (on a connected socket) `no_peer`. `options` follow it.
  template <class Target, class... Options>
  void push(bytes_view payload, std::size_t datagrams, const Target& to, const Options&... options)
  {
    // Datagrams that were queued for an earlier descriptor must not leave on this one.
    if (guard_.is_over(socket_.epoch())) lose(net::error::operation_aborted);
    guard_.enter(socket_.epoch());
    if constexpr (std::is_same_v<Target, no_peer>)
      batch.push(payload, options...);
    else
      batch.push(payload, to, options...);
    statistics.queued += datagrams;
    // The datagrams that one handler, or one resumption of a coroutine, sends leave together when
    // it ends. The answer to the last datagram of a turn leaves at once. It waits too if more than
    // one answer followed the last datagram of the previous turn.
    const bool answers = reader_ && reader_->is_behind_turn();
    if (answers && answers_++ == 0 && !answers_with_many_)
      flush();
    else if (!flush_posted_ && !out_.is_offering() && !out_.is_waiting())
      post_flush();
  }

  template <class Target>
  void count_dropped(std::size_t size, std::size_t datagrams, const Target& to)
  {
    statistics.dropped += datagrams;
    report(net::error::no_buffer_space, peer_of(to), size);
  }

  /// Why no datagram can be sent to this peer.
  template <class Target>
  error_code check(const Target&) const noexcept
  {
    constexpr bool addressed = !std::is_same_v<Target, no_peer>;
    if (!socket_.is_open() || socket_.is_connected() != addressed) return {};
    return addressed ? error_code(net::error::already_connected) : platform::destination_required();
  }

  /// Passes to the kernel what it takes now. The rest follows when the kernel has room.
  void flush()
  {
    if (batch.empty()) return;
    if (guard_.is_over(socket_.epoch()))
      lose(net::error::operation_aborted);
    else
      out_.flush(socket_);
    if (batch.empty()) wake_waiting();
  }

  /// Waits for the end of a flush, after which there may be room.
  template <class Token>
  auto async_wait_room(Token&& token)
  {
    is_waited_for_ = true;
    return room_.async_wait(std::forward<Token>(token));
  }

  void close()
  {
    if (closed_) return;
    if (reader_ && reader_->turn_owner == this) reader_->turn_end = nullptr;
    flush();
    closed_ = true;
    lose(net::error::operation_aborted);
  }

  // --- called by the outbox ---

  bool has_more() const noexcept { return !batch.empty(); }

  send_result offer()
  {
    const send_result result = socket_.try_send_batch(batch);
    statistics.sent += result.sent;
    return result;
  }

  /// The kernel has reported the error once and forgets it. It costs none of this writer's
  /// datagrams.
  void path_error(const error_code&) noexcept {}

  void fail(const error_code& ec) { lose(ec); }

  void offer_again() { flush(); }

  std::shared_ptr<writer_state> keep_alive() { return this->shared_from_this(); }

private:
  static endpoint_type peer_of(const endpoint_type& peer) { return peer; }
  static endpoint_type peer_of(const basic_reply_path<protocol_type>& path) { return path.peer; }
  static endpoint_type peer_of(const no_peer&) { return {}; }

  /// Called when the reader is called again.
  void end_turn()
  {
    forget_answers();
    flush();
  }

  void forget_answers() noexcept
  {
    if (answers_ > 0) answers_with_many_ = answers_ > 1;
    answers_ = 0;
  }

  /// Flushes after all handlers that are ready now. If there is no memory for the post, flushes at
  /// once.
  void post_flush()
  {
    try {
      net::post(socket_.get_executor(), [self = this->shared_from_this()] {
        self->flush_posted_ = false;
        self->forget_answers();
        self->flush();
      });
      flush_posted_ = true;
    } catch (const std::bad_alloc&) {
      flush();
    }
  }

  void wake_waiting()
  {
    if (std::exchange(is_waited_for_, false)) room_.notify();
  }

  DGRAM_COLD void lose(const error_code& ec)
  {
    for (std::size_t left = batch.size(); left > 0 && !batch.empty(); --left) {
      // Removes the datagram before the handler runs, since the handler may write again.
      const endpoint_type peer = batch.front_peer();
      const std::size_t size = batch.front_size();
      batch.drop_front();
      ++statistics.lost;
      last_loss = ec;
      report(ec, peer, size);
    }
    wake_waiting();
  }

  void report(const error_code& ec, const endpoint_type& peer, std::size_t size)
  {
    if (!on_error) return;
    const auto handler = on_error;  // the handler may replace itself
    handler(ec, peer, size);
  }

  signal<typename Handle::executor_type, typename Handle::timer_type> room_;
  Handle socket_;
  std::shared_ptr<reader_type> reader_;
  outbox<Handle, writer_state> out_{*this};
  full_policy when_full_;
  epoch_guard guard_;  // of the datagrams that are queued
  bool closed_ = false;
  bool is_waited_for_ = false;
  bool flush_posted_ = false;
  bool answers_with_many_ = false;
  std::size_t answers_ = 0;  // sends since the reader returned the last datagram of its turn
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
