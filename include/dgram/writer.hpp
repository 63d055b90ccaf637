// SPDX-License-Identifier: BSL-1.0
// Sends one datagram at a time from a coroutine, and hands them to the kernel in batches.
#ifndef DGRAM_WRITER_HPP
#define DGRAM_WRITER_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/batch/writer_state.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/error.hpp>
#include <dgram/reader.hpp>
#include <dgram/send_batch.hpp>
#include <dgram/writer_config.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// Takes datagrams one at a time and copies them into memory of its own. What one handler, or one
/// resumption of a coroutine, sends leaves as one batch, and runs of equal size to one peer as one
/// message that the kernel cuts apart. A datagram waits for nothing but the end of that handler:
/// then the writer's own handler, on the socket's executor, flushes the queue.
///
/// A writer of a reader follows its turns: what is sent in answer to one received batch leaves as
/// one batch. Its queue is also flushed when the reader waits or receives again, and the answer to
/// the last datagram of a batch flushes it at once.
///
/// Besides, the queue is flushed when it is full, and by `flush` and `close`. Order towards one
/// peer is kept.
///
/// Nothing is lost in silence: a datagram that the kernel refuses for its own sake (too big,
/// blocked, unreachable) is counted and reported to `on_error`, and the others go on; so is what is
/// left when the socket or the writer ends first, after one more attempt to hand it over.
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
///
/// A program that only sends needs no reader:
///
/// \code
/// dgram::writer writer{socket};
/// for (const auto& client : clients) writer.try_send(update, client);  // leave together, when this handler ends
/// \endcode
template <class Protocol, class SocketExecutor, class Executor, class Handle>
class writer {
  using state_type = detail::writer_state<Handle>;
  using use_awaitable = net::use_awaitable_t<Executor>;

public:
  using protocol_type = Protocol;
  using executor_type = Executor;
  using endpoint_type = typename Protocol::endpoint;
  using reader_type = reader<Protocol, SocketExecutor, Executor, Handle>;
  using handle_type = Handle;

  /// Called with the error, the peer (default-constructed on a connected socket) and the size of a
  /// datagram that was not sent: inside `send`, `flush`, `close` or the destructor, inside the
  /// reader's `next` at the end of a turn, or on the socket's executor. It must not throw, and must
  /// not destroy the writer; it may send.
  using error_handler = std::function<void(error_code, const endpoint_type&, std::size_t)>;

  /// Sends on the reader's socket, in the reader's turns. A reader has one writer at a time. Throws
  /// `std::invalid_argument` for a configuration without room.
  explicit writer(reader_type& reader, const writer_config& config = {});

  /// Sends on a socket that nothing is read from here, or on another transport: anything whose
  /// `handle()` is a `transport_handle`. Throws as above.
  template <transport_with_handle Transport>
    requires std::same_as<handle_of<Transport>, Handle>
  explicit writer(Transport& transport, const writer_config& config = {})
      : writer(transport.handle(), config)
  {
  }

  /// The same with the handle itself.
  explicit writer(Handle handle, const writer_config& config = {});

  writer(writer&&) noexcept = default;

  writer& operator=(writer&& other) noexcept;

  ~writer();

  /// Queues a datagram; returns at once while there is room. While there is none it waits, or drops
  /// this datagram, counts and reports it, as `writer_config::when_full` says. The payload is
  /// copied into the queue: its bytes must stay until `send` returns. Success says that the
  /// datagram was queued (or dropped by that policy); what the kernel says of it comes to
  /// `on_error`.
  ///
  /// Throws `system_error`; the datagram is not queued then: `message_size` where the payload is
  /// larger than the whole queue, or is more datagrams than that holds, `already_connected` where
  /// the socket is connected, `bad_descriptor` where it is closed, `operation_aborted` where the
  /// coroutine was cancelled, or the writer closed, while it waited. Cancellation: as the
  /// coroutine's filter lets it pass; only the wait for room can be cancelled.
  net::awaitable<void, Executor> send(bytes_view payload, endpoint_type peer);

  /// The same, to the peer that the socket is connected to; `destination_address_required` where it
  /// is not.
  net::awaitable<void, Executor> send(bytes_view payload);

  /// The same, as an answer: it leaves from the address that was asked.
  net::awaitable<void, Executor> send(bytes_view payload, basic_reply_path<Protocol> path);

  /// The same with what the datagram asks for, whose control messages must stay until `send`
  /// returns; throws also what `send_options` names.
  net::awaitable<void, Executor> send(bytes_view payload, endpoint_type peer, send_options options);

  net::awaitable<void, Executor> send(bytes_view payload, basic_reply_path<Protocol> path,
                                      send_options options);

  /// The same with both, to the peer that the socket is connected to. Whether the options can be
  /// had is known when it is sent: what cannot is refused then, and reported to `on_error`.
  net::awaitable<void, Executor> send(bytes_view payload, std::same_as<send_options> auto options)
  {
    return send_to(payload, detail::no_peer(), std::move(options));
  }

  /// Queues a datagram if that can be done now, and returns whether it was: false, and nothing
  /// counted, where there is no room after a flush, the socket is closed, or connected to a peer.
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

  /// Queues a datagram without a coroutine of its own, for loops over a batch, and returns whether
  /// there is room for another one of any size. If not, `flush` makes room: who does not wait for
  /// it gets `no_buffer_space` by the next call that finds none. With `full_policy::drop_newest` it
  /// never has to be waited for.
  ///
  /// Throws `system_error` as `send` does. The payload is copied.
  ///
  /// \code
  /// dgram::reader reader{socket};
  /// dgram::writer writer{reader};
  /// while (auto datagrams = co_await reader.next_batch())
  ///   for (const dgram::datagram& datagram : datagrams)
  ///     if (!writer.push(datagram.payload(), datagram.reply_path())) co_await writer.flush();
  /// \endcode
  bool push(bytes_view payload, const endpoint_type& peer) { return push_to(payload, peer); }

  bool push(bytes_view payload, const basic_reply_path<Protocol>& path)
  {
    return push_to(payload, path);
  }

  /// The same, to the peer that the socket is connected to.
  bool push(bytes_view payload) { return push_to(payload, detail::no_peer()); }

  /// The same with what the datagram asks for. Throws also what `send_options` names.
  bool push(bytes_view payload, const endpoint_type& peer, const send_options& options)
  {
    return push_to(payload, peer, options);
  }

  bool push(bytes_view payload, const basic_reply_path<Protocol>& path, const send_options& options)
  {
    return push_to(payload, path, options);
  }

  bool push(bytes_view payload, const std::same_as<send_options> auto& options)
  {
    return push_to(payload, detail::no_peer(), options);
  }

  /// Returns when everything that was queued has been handed to the kernel or refused. Throws
  /// `system_error`: the reason where some of it was lost meanwhile, and `operation_aborted` where
  /// the coroutine was cancelled.
  net::awaitable<void, Executor> flush();

  /// Hands over what the kernel takes without blocking, and counts and reports the rest as lost;
  /// the writer takes no more. Called by the destructor.
  void close();

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
    if (!state_->takes_at_once(payload.size(), datagrams, to)) [[unlikely]] {
      error_code ec = state_->check(to);
      if (!ec) state_->make_room(payload.size(), datagrams, ec);
      if (ec || !state_->can_take(payload.size(), datagrams)) return false;
    }
    state_->push(payload, datagrams, to, options...);
    return true;
  }

  template <class Target, class... Options>
  bool push_to(bytes_view payload, const Target& to, const Options&... options)
  {
    const std::size_t datagrams = state_type::count(payload, options...);
    if (!state_->takes_at_once(payload.size(), datagrams, to)) [[unlikely]] {
      detail::throw_if(state_->check(to), "push");
      error_code ec;
      state_->make_room(payload.size(), datagrams, ec);
      if (!state_->must_wait(payload.size(), datagrams, ec) && !ec &&
          !state_->can_take(payload.size(), datagrams)) {
        state_->count_dropped(payload.size(), datagrams, to);
        return true;
      }
      if (!ec && !state_->can_take(payload.size(), datagrams)) ec = net::error::no_buffer_space;
      detail::throw_if(ec, "push");
    }
    state_->push(payload, datagrams, to, options...);
    return state_->has_room_for_any();
  }

  template <class Target, class... Options>
  net::awaitable<void, Executor> send_to(bytes_view payload, Target to, Options... options)
  {
    const std::size_t datagrams = state_type::count(payload, options...);
    if (state_->takes_at_once(payload.size(), datagrams, to)) {
      state_->push(payload, datagrams, to, options...);
      co_return;
    }
    detail::throw_if(state_->check(to), "send");
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
      state->push(payload, datagrams, *to, *options...);
    else
      state->count_dropped(payload.size(), datagrams, *to);
  }

  /// Waits for the end of the flush that is on its way.
  static net::awaitable<void, Executor> wait_room(state_type& state)
  {
    error_code woken;
    co_await state.async_wait_room(net::redirect_error(use_awaitable(), woken));
    const net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
    if (cancellation.cancelled() != net::cancellation_type::none)
      detail::throw_if(net::error::operation_aborted, "writer");
  }

  std::shared_ptr<state_type> state_;
};

template <class Protocol, class SocketExecutor, class Executor, class Handle>
writer<Protocol, SocketExecutor, Executor, Handle>::writer(reader_type& reader,
                                                           const writer_config& config)
    : state_(std::make_shared<state_type>(reader.state_->socket, reader.state_, config))
{
  state_->attach();
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
writer<Protocol, SocketExecutor, Executor, Handle>::writer(Handle handle,
                                                           const writer_config& config)
    : state_(std::make_shared<state_type>(std::move(handle), nullptr, config))
{
  state_->attach();
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto writer<Protocol, SocketExecutor, Executor, Handle>::operator=(writer&& other) noexcept
    -> writer&
{
  if (this != &other) {
    close();
    state_ = std::move(other.state_);
  }
  return *this;
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
writer<Protocol, SocketExecutor, Executor, Handle>::~writer()
{
  close();
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto writer<Protocol, SocketExecutor, Executor, Handle>::send(bytes_view payload,
                                                              endpoint_type peer)
    -> net::awaitable<void, Executor>
{
  return send_to(payload, std::move(peer));
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto writer<Protocol, SocketExecutor, Executor, Handle>::send(bytes_view payload)
    -> net::awaitable<void, Executor>
{
  return send_to(payload, detail::no_peer());
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto writer<Protocol, SocketExecutor, Executor, Handle>::send(bytes_view payload,
                                                              basic_reply_path<Protocol> path)
    -> net::awaitable<void, Executor>
{
  return send_to(payload, std::move(path));
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto writer<Protocol, SocketExecutor, Executor, Handle>::send(bytes_view payload,
                                                              endpoint_type peer,
                                                              send_options options)
    -> net::awaitable<void, Executor>
{
  return send_to(payload, std::move(peer), std::move(options));
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto writer<Protocol, SocketExecutor, Executor, Handle>::send(bytes_view payload,
                                                              basic_reply_path<Protocol> path,
                                                              send_options options)
    -> net::awaitable<void, Executor>
{
  return send_to(payload, std::move(path), std::move(options));
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto writer<Protocol, SocketExecutor, Executor, Handle>::flush() -> net::awaitable<void, Executor>
{
  const std::shared_ptr<state_type> state = state_;
  const auto lost_before = state->statistics.lost;
  state->flush();
  while (!state->batch.empty())
    co_await wait_room(*state);
  if (state->statistics.lost != lost_before) detail::throw_if(state->last_loss, "flush");
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
void writer<Protocol, SocketExecutor, Executor, Handle>::close()
{
  if (state_) state_->close();
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
writer(reader<Protocol, SocketExecutor, Executor, Handle>&, const writer_config& = {})
    -> writer<Protocol, SocketExecutor, Executor, Handle>;

template <transport_with_handle Transport>
writer(Transport&, const writer_config& = {})
    -> writer<typename handle_of<Transport>::protocol_type,
              typename handle_of<Transport>::executor_type, net::any_io_executor,
              handle_of<Transport>>;

template <transport_handle Handle>
writer(Handle, const writer_config& = {})
    -> writer<typename Handle::protocol_type, typename Handle::executor_type, net::any_io_executor,
              Handle>;

#if defined(DGRAM_COMPILED)
// One unit of the program has these; see dgram/compiled.hpp.
extern template class writer<udp>;
#endif

DGRAM_NAMESPACE_END

#endif
