// SPDX-License-Identifier: BSL-1.0
// The block that a writer shares with its flushes: what is queued, and when it is handed over.
#ifndef DGRAM_DETAIL_BATCH_WRITER_STATE_HPP
#define DGRAM_DETAIL_BATCH_WRITER_STATE_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/batch/reader_state.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/error.hpp>
#include <dgram/send_batch.hpp>
#include <dgram/writer_config.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
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
  using clock = typename Handle::clock_type;
  using timer_type = typename Handle::timer_type;

  writer_state(std::shared_ptr<reader_type> source, const writer_config& config)
      : batch({.datagrams = config.datagrams, .bytes = config.bytes, .copy = true}),
        room(source->socket.get_executor()),
        reader_(std::move(source)),
        when_full_(config.when_full)
  {
    room.expires_at(clock::time_point::max());
  }

  basic_send_batch<protocol_type> batch;
  writer_statistics statistics;

  /// Never runs out; who waits for room waits for its cancellation.
  timer_type room;

  /// Why the last datagram was lost.
  error_code last_loss;
  std::function<void(error_code, const endpoint_type&, std::size_t)> on_error;

  void attach()
  {
    batch.on_refused([this](error_code ec, const endpoint_type& peer, std::size_t size) {
      ++statistics.refused;
      report(ec, peer, size);
    });
    reader_->turn_end = [this] { flush(); };
    reader_->turn_owner = this;
  }

  /// How many datagrams the kernel or the batch makes of a payload.
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
    return !closed_ && batch.has_room(size, datagrams) && reader_->socket.is_open();
  }

  /// Flushes; `ec` says why waiting for room is of no use.
  void make_room(std::size_t size, std::size_t datagrams, error_code& ec)
  {
    flush();
    if (size > batch.max_bytes() || datagrams > batch.capacity())
      ec = net::error::message_size;
    else if (!reader_->socket.is_open())
      ec = net::error::bad_descriptor;
  }

  bool must_wait(std::size_t size, std::size_t datagrams, error_code& ec) const noexcept
  {
    if (!ec && !reader_->socket.is_open()) ec = net::error::bad_descriptor;
    if (!ec && closed_) ec = net::error::operation_aborted;
    return !ec && !batch.has_room(size, datagrams) && when_full_ == full_policy::wait;
  }

  /// `to` is an endpoint, a reply path, or `no_peer` on a connected socket; `options` come behind it.
  template <class Target, class... Options>
  void push(bytes_view payload, const Target& to, const Options&... options)
  {
    // What was queued for an earlier descriptor must not go out on this one.
    if (epoch_ != reader_->socket.epoch()) lose(net::error::operation_aborted);
    epoch_ = reader_->socket.epoch();
    const std::size_t before = batch.size();
    if constexpr (std::is_same_v<Target, no_peer>)
      batch.push(payload, options...);
    else
      batch.push(payload, to, options...);
    statistics.queued += batch.size() - before;
    if (reader_->is_turn_over())
      flush();
    else if (!flush_posted_)
      post_flush();
  }

  template <class Target>
  void count_dropped(std::size_t size, std::size_t datagrams, const Target& to)
  {
    statistics.dropped += datagrams;
    report(net::error::no_buffer_space, peer_of(to), size);
  }

  /// Why a datagram for this peer cannot be sent at all.
  template <class Target>
  error_code check(const Target&) const noexcept
  {
    constexpr bool addressed = !std::is_same_v<Target, no_peer>;
    if (!reader_->socket.is_open() || reader_->socket.is_connected() != addressed) return {};
    return addressed ? error_code(net::error::already_connected) : platform::destination_required();
  }

  /// Hands over what the kernel takes now; the rest follows when it can.
  void flush()
  {
    if (batch.empty()) return;
    if (epoch_ != reader_->socket.epoch()) {
      lose(net::error::operation_aborted);
      return;
    }
    // A handler that is told of an error may send: what it queues goes with the flush that called it.
    if (sending_ || std::exchange(flushing_, true)) return;
    send_result result;
    do {
      result = reader_->socket.try_send_batch(batch);
      statistics.sent += result.sent;
    } while (!result.error && !batch.empty());
    flushing_ = false;
    if (batch.empty()) return;
    const bool congested = reader_->socket.is_congested(result.error);
    // A pending ICMP error is used up by its report, and costs no datagram of ours.
    if (congested || result.error == net::error::would_block ||
        result.error == net::error::connection_refused)
      flush_later(congested);
    else
      lose(result.error);
  }

  void close()
  {
    if (closed_) return;
    if (reader_->turn_owner == this) reader_->turn_end = nullptr;
    flush();
    closed_ = true;
    lose(net::error::operation_aborted);
  }

private:
  static endpoint_type peer_of(const endpoint_type& peer) { return peer; }
  static endpoint_type peer_of(const basic_reply_path<protocol_type>& path) { return path.peer; }
  static endpoint_type peer_of(const no_peer&) { return {}; }

  void flush_later(bool congested)
  {
    sending_ = true;
    auto retry = [self = this->shared_from_this(), epoch = reader_->socket.epoch(),
                  congested](error_code ec) {
      self->sending_ = false;
      // Another sender may have set the shared timer anew, which ends this wait alone.
      // Another epoch: what waited then was lost, and what is queued by now has nothing to do with it.
      if (congested || self->epoch_ != epoch || self->reader_->socket.epoch() != epoch) ec.clear();
      if (ec)
        self->lose(ec);
      else
        self->flush();
      if (!self->sending_) self->room.cancel();
    };
    if (congested)
      reader_->socket.async_wait_congestion(std::move(retry));
    else
      reader_->socket.async_wait(net::socket_base::wait_write, std::move(retry));
  }

  /// For a coroutine that suspends for something else in the middle of a turn.
  void post_flush()
  {
    flush_posted_ = true;
    net::post(reader_->socket.get_executor(), [self = this->shared_from_this()] {
      self->flush_posted_ = false;
      self->flush();
    });
  }

  void lose(const error_code& ec)
  {
    for (std::size_t left = batch.size(); left > 0 && !batch.empty(); --left) {
      // Gone before the handler runs, which may write again.
      const endpoint_type peer = batch.front_peer();
      const std::size_t size = batch.front_size();
      batch.drop_front();
      ++statistics.lost;
      last_loss = ec;
      report(ec, peer, size);
    }
    room.cancel();
  }

  void report(const error_code& ec, const endpoint_type& peer, std::size_t size)
  {
    if (!on_error) return;
    const auto handler = on_error;  // it may replace itself
    handler(ec, peer, size);
  }

  std::shared_ptr<reader_type> reader_;
  full_policy when_full_;
  std::uint64_t epoch_ = 0;  // that of the socket when what is queued was queued
  bool closed_ = false;
  bool sending_ = false;
  bool flushing_ = false;
  bool flush_posted_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
