// SPDX-License-Identifier: BSL-1.0
// Sends one datagram at a time from a coroutine, and hands them to the kernel in batches.
#ifndef DGRAM_WRITER_HPP
#define DGRAM_WRITER_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/error.hpp>
#include <dgram/reader.hpp>
#include <dgram/send_batch.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// What a writer does with a datagram that finds the queue full.
enum class full_policy {
  wait,         ///< the coroutine waits for room
  drop_newest,  ///< the datagram is dropped and counted
};

/// How a writer queues.
struct writer_config {
  std::size_t datagrams = 1024;  ///< room for so many
  std::size_t bytes = 0;         ///< room for so many bytes of payload; 0: 256 KiB
  full_policy when_full = full_policy::wait;
};

/// What has become of a writer's datagrams. What is sent with a segment size counts as the datagrams that it becomes.
struct writer_statistics {
  std::uint64_t queued = 0;   ///< accepted
  std::uint64_t sent = 0;     ///< handed to the kernel
  std::uint64_t refused = 0;  ///< refused by the kernel for their own sake
  std::uint64_t dropped = 0;  ///< never queued, since the queue was full
  std::uint64_t lost =
      0;  ///< queued, but socket or writer was closed or cancelled first, or failed
};

namespace detail {

template <class Protocol, class Executor>
struct writer_state : std::enable_shared_from_this<writer_state<Protocol, Executor>> {
  using endpoint_type = typename Protocol::endpoint;
  using reader_type = reader_state<Protocol, Executor>;
  using clock = std::chrono::steady_clock;
  using timer_type = net::basic_waitable_timer<clock, net::wait_traits<clock>, Executor>;

  writer_state(std::shared_ptr<reader_type> source, const writer_config& config)
      : batch({.datagrams = config.datagrams, .bytes = config.bytes, .copy = true}),
        room(source->socket.get_executor(), clock::time_point::max()),
        reader_(std::move(source)),
        when_full_(config.when_full)
  {
  }

  basic_send_batch<Protocol> batch;
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
  static endpoint_type peer_of(const basic_reply_path<Protocol>& path) { return path.peer; }
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

/// Takes datagrams one at a time and copies them into memory of its own; what a coroutine sends in answer to one
/// received batch leaves as one batch, and runs of equal size to one peer as one message that the kernel cuts apart.
///
/// It is tied to a reader: its queue is handed to the kernel when the reader has nothing left in memory, before the
/// reader waits, when the queue is full, on `flush`, and at the latest when the coroutine suspends for something else.
/// Order towards one peer is kept.
///
/// Nothing is lost in silence: a datagram that the kernel refuses for its own sake (too big, blocked, unreachable) is
/// counted and reported to `on_error`, and the others go on; so is what is left when the socket or the writer ends
/// first, after one more attempt to hand it over.
///
/// The socket may be moved, closed or destroyed while the writer is used.
///
/// Thread safety: as the reader's.
///
/// \code
/// dgram::reader reader{socket};
/// dgram::writer writer{reader};
/// while (auto datagram = co_await reader.next())
///   co_await writer.send(datagram->payload(), datagram->reply_path());
/// \endcode
template <class Protocol, class SocketExecutor, class Executor = net::any_io_executor>
class writer {
  using state_type = detail::writer_state<Protocol, SocketExecutor>;
  using use_awaitable = net::use_awaitable_t<Executor>;

public:
  using protocol_type = Protocol;
  using executor_type = Executor;
  using endpoint_type = typename Protocol::endpoint;
  using reader_type = reader<Protocol, SocketExecutor, Executor>;

  /// Called with the error, the peer (default-constructed on a connected socket) and the size of a datagram that was not
  /// sent: inside `send`, `flush`, `close` or the destructor, inside the reader's `next` at the end of a turn, or on the
  /// socket's executor. It must not throw, and must not destroy the writer; it may send.
  using error_handler = std::function<void(error_code, const endpoint_type&, std::size_t)>;

  /// Sends on the reader's socket. Throws `std::invalid_argument` for a configuration without room. A reader has one
  /// writer at a time.
  explicit writer(reader_type& reader, const writer_config& config = {})
      : state_(std::make_shared<state_type>(reader.state_, config))
  {
    state_->attach();
  }

  /// A writer sends what belongs to its reader's turns: `dgram::writer writer{reader}`. For a socket alone there are
  /// `send_batch` and single sends.
  explicit writer(basic_socket<Protocol, SocketExecutor>&, const writer_config& = {}) = delete;

  writer(writer&&) noexcept = default;

  writer& operator=(writer&& other) noexcept
  {
    if (this != &other) {
      close();
      state_ = std::move(other.state_);
    }
    return *this;
  }

  ~writer() { close(); }

  /// Queues a datagram; returns at once while there is room. While there is none it waits, or drops this datagram, counts
  /// and reports it, as `writer_config::when_full` says. The payload is copied into the queue: its bytes must stay until
  /// `send` returns. Success says that the datagram was queued (or dropped by that policy); what the kernel says of it
  /// comes to `on_error`.
  ///
  /// Throws `system_error`; the datagram is not queued then: `message_size` where the payload is larger than the whole
  /// queue, or is more datagrams than that holds, `already_connected` where the socket is connected, `bad_descriptor` where it is closed, `operation_aborted`
  /// where the coroutine was cancelled, or the writer closed, while it waited. Cancellation: as the coroutine's filter
  /// lets it pass; only the wait for room can be cancelled.
  net::awaitable<void, Executor> send(bytes_view payload, endpoint_type peer)
  {
    return send_to(payload, std::move(peer));
  }

  /// The same, to the peer that the socket is connected to; `destination_address_required` where it is not.
  net::awaitable<void, Executor> send(bytes_view payload)
  {
    return send_to(payload, detail::no_peer());
  }

  /// The same, as an answer: it leaves from the address that was asked.
  net::awaitable<void, Executor> send(bytes_view payload, basic_reply_path<Protocol> path)
  {
    return send_to(payload, std::move(path));
  }

  /// The same with what the datagram asks for, whose control messages must stay until `send` returns; throws also what
  /// `send_options` names.
  net::awaitable<void, Executor> send(bytes_view payload, endpoint_type peer, send_options options)
  {
    return send_to(payload, std::move(peer), std::move(options));
  }

  net::awaitable<void, Executor> send(bytes_view payload, basic_reply_path<Protocol> path,
                                      send_options options)
  {
    return send_to(payload, std::move(path), std::move(options));
  }

  /// The same with both, to the peer that the socket is connected to. Whether the options can be had is known when it is
  /// sent: what cannot is refused then, and reported to `on_error`.
  net::awaitable<void, Executor> send(bytes_view payload, std::same_as<send_options> auto options)
  {
    return send_to(payload, detail::no_peer(), std::move(options));
  }

  /// Queues a datagram if that can be done now, and returns whether it was: false, and nothing counted, where there is no
  /// room after a flush, the socket is closed, or connected to a peer.
  bool try_send(bytes_view payload, const endpoint_type& peer) { return try_push(payload, peer); }

  bool try_send(bytes_view payload, const basic_reply_path<Protocol>& path)
  {
    return try_push(payload, path);
  }

  /// The same, to the peer that the socket is connected to.
  bool try_send(bytes_view payload) { return try_push(payload, detail::no_peer()); }

  /// The same with what the datagram asks for. Throws what `send_options` names.
  bool try_send(bytes_view payload, const endpoint_type& peer, const send_options& options)
  {
    return try_push(payload, peer, options);
  }

  bool try_send(bytes_view payload, const basic_reply_path<Protocol>& path,
                const send_options& options)
  {
    return try_push(payload, path, options);
  }

  bool try_send(bytes_view payload, const std::same_as<send_options> auto& options)
  {
    return try_push(payload, detail::no_peer(), options);
  }

  /// Returns when everything that was queued has been handed to the kernel or refused. Throws `system_error`: the reason
  /// where some of it was lost meanwhile, and `operation_aborted` where the coroutine was cancelled.
  net::awaitable<void, Executor> flush()
  {
    const std::shared_ptr<state_type> state = state_;
    const auto lost_before = state->statistics.lost;
    state->flush();
    while (!state->batch.empty())
      co_await wait_room(*state);
    if (state->statistics.lost != lost_before) detail::throw_if(state->last_loss, "flush");
  }

  /// Hands over what the kernel takes without blocking, and counts and reports the rest as lost; the writer takes no more. Called by
  /// the destructor.
  void close()
  {
    if (state_) state_->close();
  }

  void on_error(error_handler handler) { state_->on_error = std::move(handler); }

  /// What has become of the datagrams so far.
  const writer_statistics& statistics() const noexcept { return state_->statistics; }

  /// How many datagrams are queued.
  std::size_t size() const noexcept { return state_->batch.size(); }

private:
  template <class Target, class... Options>
  bool try_push(bytes_view payload, const Target& to, const Options&... options)
  {
    const std::size_t datagrams = state_type::count(payload, options...);
    error_code ec = state_->check(to);
    if (!ec && !state_->can_take(payload.size(), datagrams))
      state_->make_room(payload.size(), datagrams, ec);
    if (ec || !state_->can_take(payload.size(), datagrams)) return false;
    state_->push(payload, to, options...);
    return true;
  }

  template <class Target, class... Options>
  net::awaitable<void, Executor> send_to(bytes_view payload, Target to, Options... options)
  {
    const std::size_t datagrams = state_type::count(payload, options...);
    detail::throw_if(state_->check(to), "send");
    if (state_->can_take(payload.size(), datagrams)) {
      state_->push(payload, to, options...);
      co_return;
    }
    co_await send_when_room(state_, payload, datagrams, &to, &options...);
  }

  /// `to` and `options` are the caller's, which waits.
  template <class Target, class... Options>
  static net::awaitable<void, Executor> send_when_room(std::shared_ptr<state_type> state,
                                                       bytes_view payload, std::size_t datagrams,
                                                       const Target* to, const Options*... options)
  {
    error_code ec;
    state->make_room(payload.size(), datagrams, ec);
    while (state->must_wait(payload.size(), datagrams, ec))
      co_await wait_room(*state);
    detail::throw_if(ec, "send");
    if (state->can_take(payload.size(), datagrams))
      state->push(payload, *to, *options...);
    else
      state->count_dropped(payload.size(), datagrams, *to);
  }

  /// Waits for the end of the flush that is on its way.
  static net::awaitable<void, Executor> wait_room(state_type& state)
  {
    error_code woken;
    co_await state.room.async_wait(net::redirect_error(use_awaitable(), woken));
    const net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
    if (cancellation.cancelled() != net::cancellation_type::none)
      detail::throw_if(net::error::operation_aborted, "writer");
  }

  std::shared_ptr<state_type> state_;
};

template <class Protocol, class SocketExecutor, class Executor>
writer(reader<Protocol, SocketExecutor, Executor>&) -> writer<Protocol, SocketExecutor, Executor>;

template <class Protocol, class SocketExecutor, class Executor>
writer(reader<Protocol, SocketExecutor, Executor>&, const writer_config&)
    -> writer<Protocol, SocketExecutor, Executor>;

DGRAM_NAMESPACE_END

#endif
