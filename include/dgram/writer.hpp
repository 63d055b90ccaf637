// SPDX-License-Identifier: BSL-1.0
// A writer takes one datagram at a time, and hands them to the kernel in batches.
#ifndef DGRAM_WRITER_HPP
#define DGRAM_WRITER_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/batch/flush_op.hpp>
#include <dgram/detail/batch/writer_state.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/error.hpp>
#include <dgram/reader.hpp>
#include <dgram/send_batch.hpp>
#include <dgram/writer_config.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// Takes datagrams one at a time and copies them into its own memory. Datagrams that one handler,
/// or one resumption of a coroutine, sends leave as one batch. Runs of equal size to one peer leave
/// as one message, which the kernel cuts apart. A datagram waits only for the end of that handler:
/// then the writer's own handler, on the socket's executor, flushes the queue.
///
/// A writer of a reader follows its turns: answers to one received batch leave as one batch. The
/// reader also flushes the queue when it waits or receives again. The answer to the last datagram
/// of a batch flushes the queue at once.
///
/// A full queue, `flush` and `close` also flush the queue. Order towards one peer is kept.
///
/// If a Unix peer does not read, its queue in the kernel is full. Then the datagrams for this peer
/// wait, those for other peers leave, and `writer_config::when_peer_full` says how many wait. They
/// are offered again after 1 ms, doubling to 50. Datagrams that wait in peers' queues also fill the
/// socket's send buffer; `set_send_buffer_size` makes it larger.
///
/// No datagram is lost silently. The writer counts a datagram that the kernel refuses for its own
/// sake (too big, blocked, unreachable), reports it to `on_error`, and sends the others. If the
/// socket or the writer ends first, the writer tries once more to hand over its queue. It then
/// counts and reports the rest.
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
/// // These leave together, when this handler ends:
/// for (const auto& client : clients) writer.try_send(update, client);
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

  /// Called with the error, the peer and the size of a datagram that was not sent. The peer is
  /// default-constructed on a connected socket. The handler is called inside `send`, `flush`,
  /// `close` or the destructor, inside the reader's `next` at the end of a turn, or on the socket's
  /// executor. It must not throw, and must not destroy the writer. It may send.
  using error_handler = std::function<void(error_code, const endpoint_type&, std::size_t)>;

  /// The same with the datagram's `send_options::number`.
  using numbered_error_handler =
      std::function<void(error_code, const endpoint_type&, std::size_t, std::uint64_t)>;

  /// Sends on the reader's socket, in the reader's turns. A reader has one writer at a time. Throws
  /// `std::invalid_argument` for room of 0, and `std::length_error` for more than memory can hold.
  explicit writer(reader_type& reader, const writer_config& config = {});

  /// Sends on a socket without a reader, or on another transport whose `handle()` is a
  /// `transport_handle`. Throws as above.
  template <transport_with_handle Transport>
    requires std::same_as<handle_of<Transport>, Handle>
  explicit writer(Transport& transport, const writer_config& config = {})
      : writer(transport.handle(), config)
  {
  }

  /// The same, with the handle itself.
  explicit writer(Handle handle, const writer_config& config = {});

  writer(writer&&) noexcept = default;

  writer& operator=(writer&& other) noexcept;

  ~writer();

  /// Queues a datagram, and returns at once if there is room. If there is no room, it waits, or it
  /// drops, counts and reports this datagram: `writer_config::when_full` decides, and for a full
  /// peer `when_peer_full`. The call copies
  /// the payload into the queue. The bytes must stay until `send` returns. Success means that the
  /// datagram was queued, or dropped by that policy. Errors of the kernel go to `on_error`.
  ///
  /// Throws `system_error`, and then the datagram is not queued:
  ///  - `message_size` if the payload has more bytes, or makes more datagrams, than the whole queue
  ///    holds;
  ///  - `already_connected` if the socket is connected;
  ///  - `bad_descriptor` if the socket is closed;
  ///  - `operation_aborted` if the coroutine was cancelled, or the writer closed, during the wait.
  ///
  /// Cancellation: as the coroutine's filter lets it pass. Only the wait for room can be cancelled.
  net::awaitable<void, Executor> send(bytes_view payload, const endpoint_type& peer);

  /// The same, to the peer that the socket is connected to. Throws `destination_address_required`
  /// if it is not connected.
  net::awaitable<void, Executor> send(bytes_view payload);

  /// The same, as an answer. It leaves from the address that was asked.
  net::awaitable<void, Executor> send(bytes_view payload, const basic_reply_path<Protocol>& path);

  /// The same, with options. Their control messages must stay until `send` returns. Throws also the
  /// errors of `send_options`.
  net::awaitable<void, Executor> send(bytes_view payload, endpoint_type peer, send_options options);

  net::awaitable<void, Executor> send(bytes_view payload, basic_reply_path<Protocol> path,
                                      send_options options);

  /// The same with options, to the peer that the socket is connected to. The options are checked
  /// only when the datagram is sent. If they are not available, the datagram is refused and
  /// reported to `on_error`.
  net::awaitable<void, Executor> send(bytes_view payload, std::same_as<send_options> auto options)
  {
    return send_to(payload, detail::no_peer(), std::move(options));
  }

  /// Queues a datagram if that is possible now, and returns whether it was queued. Returns false,
  /// and counts nothing, if there is no room after a flush, or if the socket is closed or connected
  /// to a peer.
  bool try_send(bytes_view payload, const endpoint_type& peer) { return try_push(payload, peer); }

  bool try_send(bytes_view payload, const basic_reply_path<Protocol>& path)
  {
    return try_push(payload, path);
  }

  /// The same, to the peer that the socket is connected to.
  bool try_send(bytes_view payload) { return try_push(payload, detail::no_peer()); }

  /// The same, with options. Throws the errors of `send_options`.
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

  /// The same, and `ec` says why a datagram was not queued:
  ///  - `would_block`: there is no room now; `async_flush` waits for it;
  ///  - `message_size`: the payload has more bytes, or makes more datagrams, than the whole queue
  ///    holds, so it never fits;
  ///  - `already_connected`, or `destination_address_required` without a peer;
  ///  - `bad_descriptor`: the socket is closed; `operation_aborted`: the writer is closed;
  ///  - the errors of `send_options`.
  ///
  /// \code
  /// dgram::writer writer{socket};
  /// dgram::error_code ec;
  /// if (!writer.try_send(query, peer, ec) && ec == asio::error::would_block)
  ///   writer.async_flush([&](dgram::error_code) { writer.try_send(query, peer); });
  /// \endcode
  bool try_send(bytes_view payload, const endpoint_type& peer, error_code& ec)
  {
    return try_push_or_say(ec, payload, peer);
  }

  bool try_send(bytes_view payload, const basic_reply_path<Protocol>& path, error_code& ec)
  {
    return try_push_or_say(ec, payload, path);
  }

  bool try_send(bytes_view payload, error_code& ec)
  {
    return try_push_or_say(ec, payload, detail::no_peer());
  }

  bool try_send(bytes_view payload, const endpoint_type& peer, const send_options& options,
                error_code& ec)
  {
    return try_push_or_say(ec, payload, peer, options);
  }

  bool try_send(bytes_view payload, const basic_reply_path<Protocol>& path,
                const send_options& options, error_code& ec)
  {
    return try_push_or_say(ec, payload, path, options);
  }

  bool try_send(bytes_view payload, const std::same_as<send_options> auto& options, error_code& ec)
  {
    return try_push_or_say(ec, payload, detail::no_peer(), options);
  }

  /// Returns `size` bytes of the queue's own memory, for a program that writes its packets there.
  /// `commit` then queues them without a copy. Without a `commit` nothing is queued. Pass how many
  /// datagrams there will be if `commit` has a `segment_size`.
  ///
  /// The memory is valid until the next call that queues a datagram, `reserve` or `close`. A flush
  /// leaves its bytes alone, so it may be kept while other handlers run. The content is
  /// unspecified.
  ///
  /// The span is empty if there is no room now, even after a flush (`would_block`). Then
  /// `async_flush` waits for room, whatever `writer_config::when_full` says. Other errors:
  ///  - `message_size`: the whole queue has less room;
  ///  - `invalid_argument`: `size` or `datagrams` is 0;
  ///  - `bad_descriptor`: the socket is closed; `operation_aborted`: the writer is closed.
  ///
  /// \code
  /// dgram::writer writer{socket};
  /// const auto room = writer.reserve(1350);
  /// if (!room.empty()) {
  ///   const std::size_t written = std::min(query.size(), room.size());
  ///   std::copy_n(std::as_bytes(std::span(query)).begin(), written, room.begin());
  ///   writer.commit(written, peer, {.ecn = dgram::ecn_codepoint::ect_0, .number = 17});
  /// }
  /// \endcode
  std::span<std::byte> reserve(std::size_t size, std::size_t datagrams, error_code& ec)
  {
    return state_->reserve(size, datagrams, ec);
  }

  std::span<std::byte> reserve(std::size_t size, error_code& ec) { return reserve(size, 1, ec); }

  /// The same. Throws `system_error` for every error but `would_block`.
  std::span<std::byte> reserve(std::size_t size, std::size_t datagrams = 1)
  {
    error_code ec;
    const auto room = reserve(size, datagrams, ec);
    if (ec != net::error::would_block) state_->throw_if_refused(ec, "reserve", size, datagrams);
    return room;
  }

  /// Queues the first `size` bytes of what `reserve` returned last, as `try_send` does. It always
  /// has room. After an error nothing is queued, and the memory stays reserved. Errors:
  ///  - `invalid_argument`: nothing is reserved, or a datagram was queued since;
  ///  - `error::out_of_range`: more bytes or more datagrams than were reserved;
  ///  - `already_connected`, or `destination_address_required` without a peer;
  ///  - `bad_descriptor`: the socket is closed; `operation_aborted`: the writer is closed;
  ///  - the errors of `send_options`.
  void commit(std::size_t size, const endpoint_type& peer, const send_options& options,
              error_code& ec)
  {
    commit_or_say(ec, size, peer, options);
  }

  void commit(std::size_t size, const basic_reply_path<Protocol>& path, const send_options& options,
              error_code& ec)
  {
    commit_or_say(ec, size, path, options);
  }

  /// The same, to the peer that the socket is connected to.
  void commit(std::size_t size, const std::same_as<send_options> auto& options, error_code& ec)
  {
    commit_or_say(ec, size, detail::no_peer(), options);
  }

  /// The same. These throw `system_error`.
  void commit(std::size_t size, const endpoint_type& peer, const send_options& options = {})
  {
    commit_to(size, peer, options);
  }

  void commit(std::size_t size, const basic_reply_path<Protocol>& path,
              const send_options& options = {})
  {
    commit_to(size, path, options);
  }

  void commit(std::size_t size, const std::same_as<send_options> auto& options)
  {
    commit_to(size, detail::no_peer(), options);
  }

  void commit(std::size_t size) { commit_to(size, detail::no_peer(), send_options()); }

  /// Queues a datagram without a coroutine of its own, for loops over a batch. Returns whether
  /// there is room for another one of any size. If not, `flush` makes room. Without that wait, the
  /// next call that finds no room throws `no_buffer_space`. With `full_policy::drop_newest` there
  /// is no need to wait.
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

  /// The same, with options. Throws also the errors of `send_options`.
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

  /// Returns when the kernel has taken or refused every queued datagram. It does not wait for those
  /// of full peers if `writer_config::when_peer_full` drops. Throws `system_error`: the
  /// reason if some were lost meanwhile, and `operation_aborted` if the coroutine was cancelled.
  net::awaitable<void, Executor> flush();

  /// The same for any completion token. It is also the wait for room after `is_blocked`.
  ///
  /// Completion: `void(error_code)`, later, never inside the call. Errors: the reason if some
  /// datagrams were lost meanwhile; `operation_aborted` if the wait was cancelled. Cancellation:
  /// terminal, partial and total; the datagrams stay queued. Any number of these may be pending.
  /// The writer may be moved or destroyed meanwhile; a pending operation then completes as after
  /// `close`.
  template <net::completion_token_for<void(error_code)> Token = default_token_t<SocketExecutor>>
  auto async_flush(Token&& token = default_token_t<SocketExecutor>())
  {
    return detail::initiate_composed<void(error_code)>(
        state_,
        [](state_type& state) { return detail::flush_op<state_type>(state.shared_from_this()); },
        std::forward<Token>(token));
  }

  /// Whether datagrams wait because the kernel had no room. The writer queues more as long as there
  /// is room. A program that produces on demand stops here, and goes on after `async_flush`.
  bool is_blocked() const noexcept { return state_->is_blocked(); }

  /// Hands over what the kernel takes without blocking, and counts and reports the rest as lost.
  /// The writer takes no more datagrams. The destructor calls this.
  void close();

  void on_error(error_handler handler)
  {
    state_->on_error = nullptr;
    if (!handler) return;
    state_->on_error = [handler = std::move(handler)](error_code ec, const endpoint_type& peer,
                                                      std::size_t size,
                                                      std::uint64_t) { handler(ec, peer, size); };
  }

  /// The same for a handler that also takes the number of the datagram, as
  /// `numbered_error_handler` does.
  ///
  /// \code
  /// dgram::writer writer{socket};
  /// writer.on_error([](dgram::error_code ec, const auto&, std::size_t, std::uint64_t number) {
  ///   fmt::print("packet {} was not sent: {}\n", number, ec.message());
  /// });
  /// writer.try_send("ping", peer, {.number = 17});
  /// \endcode
  template <class Handler>
    requires(std::is_constructible_v<numbered_error_handler, Handler> &&
             !std::is_constructible_v<error_handler, Handler>)
  void on_error(Handler handler)
  {
    state_->on_error = std::move(handler);
  }

  /// Counts of the datagrams so far.
  const writer_statistics& statistics() const noexcept { return state_->statistics; }

  /// How many datagrams are queued.
  std::size_t size() const noexcept { return state_->size(); }

private:
  template <class, class>
  friend class detail::listener_core;
  template <class, class>
  friend class detail::exchanger_core;

  template <class Target>
  void commit_or_say(error_code& ec, std::size_t size, const Target& to,
                     const send_options& options)
  {
    try {
      state_->commit(size, to, options, ec);
    } catch (const system_error& refused) {  // by the options
      ec = refused.code();
    }
  }

  template <class Target>
  void commit_to(std::size_t size, const Target& to, const send_options& options)
  {
    error_code ec;
    state_->commit(size, to, options, ec);
    detail::throw_if(ec, "commit", std::to_string(size));
  }

  template <class Target, class... Options>
  bool try_push(bytes_view payload, const Target& to, const Options&... options)
  {
    error_code ignored;
    return try_push_unless(ignored, payload, to, options...);
  }

  template <class Target, class... Options>
  bool try_push_or_say(error_code& ec, bytes_view payload, const Target& to,
                       const Options&... options)
  {
    ec.clear();
    if constexpr (sizeof...(Options) == 0) {
      return try_push_unless(ec, payload, to);
    } else {
      try {
        return try_push_unless(ec, payload, to, options...);
      } catch (const system_error& refused) {  // by the options
        ec = refused.code();
        return false;
      }
    }
  }

  template <class Target, class... Options>
  bool try_push_unless(error_code& ec, bytes_view payload, const Target& to,
                       const Options&... options)
  {
    const std::size_t datagrams = state_type::count(payload, options...);
    if (!state_->takes_at_once(payload.size(), datagrams, to)) [[unlikely]] {
      // NOLINTNEXTLINE(*-unnecessary-copy-initialization): the error handler may destroy it
      const Target kept = to;
      ec = state_->obstacle(payload.size(), datagrams, kept);
      if (ec) return false;
      state_->push(payload, datagrams, kept, options...);
      return true;
    }
    state_->push(payload, datagrams, to, options...);
    return true;
  }

  template <class Target, class... Options>
  bool push_to(bytes_view payload, const Target& to, const Options&... options)
  {
    const std::size_t datagrams = state_type::count(payload, options...);
    if (!state_->takes_at_once(payload.size(), datagrams, to) &&
        !makes_room_or_drops(payload.size(), datagrams, to, state_type::number_of(options...)))
      return true;
    state_->push(payload, datagrams, to, options...);
    return state_->has_room_for_any();
  }

  /// Returns false if the datagram was dropped.
  template <class Target>
  DGRAM_COLD bool makes_room_or_drops(std::size_t size, std::size_t datagrams, const Target& to,
                                      std::uint64_t number)
  {
    detail::throw_if(state_->check(to), "push");
    error_code ec;
    state_->make_room(size, datagrams, ec);
    if (!state_->must_wait(size, datagrams, ec, to) && !ec &&
        !state_->can_take(size, datagrams, to)) {
      state_->count_dropped(size, datagrams, to, number);
      return false;
    }
    if (!ec && !state_->can_take(size, datagrams, to)) ec = net::error::no_buffer_space;
    state_->throw_if_refused(ec, "push", size, datagrams);
    return true;
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
    // The writer may be moved or destroyed while the coroutine waits.
    const std::shared_ptr<state_type> state = state_;
    error_code ec;
    state->make_room(payload.size(), datagrams, ec);
    while (state->must_wait(payload.size(), datagrams, ec, to))
      co_await wait_room(*state);
    state->throw_if_refused(ec, "send", payload.size(), datagrams);
    if (state->can_take(payload.size(), datagrams, to))
      state->push(payload, datagrams, to, options...);
    else
      state->count_dropped(payload.size(), datagrams, to, state_type::number_of(options...));
  }

  /// Waits for the end of the pending flush.
  static net::awaitable<void, Executor> wait_room(state_type& state)
  {
    const net::cancellation_state cancellation = co_await net::this_coro::cancellation_state;
    error_code woken;
    // The slot is the coroutine's. A reader's waits have the same token, and each further type
    // costs another set of Asio's templates.
    co_await state.async_wait_room(net::bind_cancellation_slot(
        cancellation.slot(), net::redirect_error(use_awaitable(), woken)));
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
                                                              const endpoint_type& peer)
    -> net::awaitable<void, Executor>
{
  return send_to(payload, peer);
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto writer<Protocol, SocketExecutor, Executor, Handle>::send(bytes_view payload)
    -> net::awaitable<void, Executor>
{
  return send_to(payload, detail::no_peer());
}

template <class Protocol, class SocketExecutor, class Executor, class Handle>
auto writer<Protocol, SocketExecutor, Executor, Handle>::send(
    bytes_view payload, const basic_reply_path<Protocol>& path) -> net::awaitable<void, Executor>
{
  return send_to(payload, path);
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
  while (state->has_to_flush())
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
// One unit of the program defines these; see dgram/compiled.hpp.
extern template class writer<udp>;
#endif

DGRAM_NAMESPACE_END

#endif
