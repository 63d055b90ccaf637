// SPDX-License-Identifier: BSL-1.0
// A datagram socket that emits events: Node's dgram, on Asio.
#ifndef DGRAM_EMITTER_SOCKET_HPP
#define DGRAM_EMITTER_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/emitter/arguments.hpp>
#include <dgram/detail/emitter/core.hpp>
#include <dgram/detail/emitter/launch.hpp>
#include <dgram/diagnostics.hpp>
#include <dgram/emitter_events.hpp>
#include <dgram/emitter_options.hpp>
#include <dgram/error.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/events.hpp>
#include <dgram/failure.hpp>
#include <dgram/payload.hpp>
#include <dgram/socket_options.hpp>
#include <dgram/transport.hpp>
#include <dgram/udp.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/unix_dgram.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

/// The current state of an emitter socket.
struct emitter_state {
  bool bound = false;
  bool connected = false;
  bool receiving = false;
  bool paused = false;
  bool closing = false;  ///< a close waits for sends that wait for a bind
  bool closed = false;
  /// Errors that ICMP messages caused while the socket had no 'error' listener.
  std::uint64_t path_errors = 0;
};

namespace detail {

/// For code that is built beside the emitter socket.
struct core_access {
  template <class Socket>
  static const auto& of(const Socket& socket)
  {
    return socket.shared();
  }

  /// Returns the destination that these arguments name. Throws what `send` throws.
  template <class Socket, class... Args>
  static auto destination(const Socket& socket, const Args&... args)
  {
    return socket.reader("send").peer(read_call<typename Socket::protocol_type, true>(args...));
  }
};

}  // namespace detail

/// A datagram socket that emits events. `create_socket` and `create_unix_socket` create one.
///
/// **Events** are the types in `dgram::event`: message, listening, connect, close, error, timeout,
/// drain, drop. The socket never emits an event inside the call that causes it. It emits all events
/// on its executor. A listener may add and remove listeners, close and destroy the socket, and run
/// the context. An exception that a listener throws leaves `run()`. The events that remain are then
/// delivered on the next turn.
///
/// **Callbacks** are the last argument of `bind`, `connect`, `send` and `close`, and are optional:
///  - A function without arguments is called when the operation succeeds. If the operation fails,
///    the socket emits 'error'. The function runs on its associated executor, if it has one. Only
///    `send` honours its cancellation slot; for the other calls it is a listener.
///  - A function of an `error_code` or a `const failure&` is always called, exactly once, and no
///    'error' event is emitted. For `send` it may also take the size.
///  - Any other completion token (`use_awaitable`, `use_future`, ...) works as with Asio's
///    operations. Its signature is `void(error_code)`, and `void(error_code, std::size_t)` for
///    `send`. Closing the socket completes a pending operation with `operation_aborted`.
///
/// **Cancellation**: the handler's slot is honoured while the operation waits, for terminal,
/// partial and total alike. An operation waits for a name, or behind a bind or a connect. A send
/// also waits for the end of the turn, and for the kernel to take it. A cancelled operation
/// completes with `operation_aborted` and has had no effect:
///  - Cancelling a bind or a connect also cancels the operations that wait for it.
///  - Cancelling a close that waits behind sends takes the close back, unless another caller also
///    asked for it.
///  - An operation that the socket has already finished completes with its result.
///
/// **Errors**: if the arguments or the state are wrong, the call throws a `system_error` and
/// changes nothing. Its text names the call. Errors of the system or of a lookup go to the
/// callback, or else become an 'error' event. The arguments are checked before the state. After
/// `close` every call fails with `error::not_running`, except `ref`, `unref` and `dispose`.
///
/// **Sends** of one turn leave together. Equal-sized datagrams to one peer leave as one message,
/// which the kernel cuts apart. The bytes need not outlive the call. If the kernel takes no more,
/// datagrams wait, within the limits of `socket_options`.
///
/// **Lifetime**: destroying the socket closes it, and no event is emitted after that. When the
/// context is destroyed, it destroys the pending operations without calling them, even if they own
/// the socket. A moved-from socket may be destroyed or assigned to. Its `state()` is closed, it has
/// no `id()`, and its other calls throw `error::not_running`.
///
/// Thread safety: distinct sockets are safe; one socket is not. Call it only where its events are
/// emitted, or give `create_socket` a strand and call it there.
///
/// \code
/// auto server = dgram::create_socket(io, {.type = dgram::udp4, .reuse_addr = true});
/// server.on<dgram::event::message>([&](dgram::bytes_view msg, const dgram::remote_info& rinfo) {
///   server.send(msg, rinfo);
/// });
/// server.on<dgram::event::error>([&](const dgram::failure& failure) {
///   fmt::print("{}\n", failure);
///   server.close();
/// });
/// server.bind(41234, [&] { fmt::print("server listening {}\n", server.address()); });
/// io.run();
/// \endcode
///
/// `Socket` is an `emitter_transport`.
template <class Socket>
class basic_emitter_socket
    : public detail::emitter_event_calls<basic_emitter_socket<Socket>, Socket>,
      public detail::emitter_option_calls<basic_emitter_socket<Socket>, Socket> {
  static_assert(emitter_transport<Socket>);

  using core_type = detail::emitter_core<Socket>;
  using phase = typename core_type::phase;
  using destination_type = typename core_type::destination_type;

  using call_type = detail::call<typename Socket::protocol_type>;

  static constexpr bool is_ip = detail::ip_protocol<typename Socket::protocol_type>;

public:
  using socket_type = Socket;
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using executor_type = typename Socket::executor_type;
  using address_info = basic_address_info<protocol_type>;
  using remote_info = basic_remote_info<protocol_type>;
  using native_handle_type = typename Socket::native_handle_type;

  /// See `create_socket`. If `io` is null, `unref` is not supported.
  basic_emitter_socket(const executor_type& executor, net::io_context* io, socket_options options)
      : core_(detail::make_emitter<Socket>(executor, io, std::move(options)))
  {
  }

  basic_emitter_socket(basic_emitter_socket&&) noexcept = default;
  basic_emitter_socket& operator=(basic_emitter_socket&& other) noexcept
  {
    if (this != &other) {
      if (core_) detail::abandon_emitter(*core_);
      core_ = std::move(other.core_);
    }
    return *this;
  }

  /// Closes the socket at once, without waiting for a bind. Sends that wait for a bind are lost,
  /// while `close` would send them. No event is emitted any more, and pending operations complete
  /// with `operation_aborted`.
  ~basic_emitter_socket()
  {
    if (core_) detail::abandon_emitter(*core_);
  }

  executor_type get_executor() { return core().get_executor(); }

  /// Stays the same for the life of the socket, even if it is moved. Diagnostics use it as the
  /// socket's identity.
  const void* id() const noexcept { return core_.get(); }

  // --- bind ---

  /// Binds, and starts to receive: `bind([port][, address][, callback])` or
  /// `bind(endpoint[, callback])`. On a Unix socket: `bind(path[, callback])`. In every path,
  /// `@name` is an abstract name.
  ///
  /// Without a port the system chooses one. Without an address the socket is bound to all of them.
  /// A name is looked up. The event is 'listening'. Without a callback the call returns the socket;
  /// with a completion token it returns what the token gives.
  ///
  /// Throws `error::bad_port`, `error::already_bound`, `error::not_running`. Reports the errors of
  /// bind(2) and of the lookup, and `invalid_argument` for an address of the other family. The
  /// socket can be bound again after a reported error.
  template <class... Args>
    requires(!detail::starts_with<bind_options, Args...>)
  decltype(auto) bind(Args&&... args)
  {
    return start<detail::action::bind>(local(detail::read_call<protocol_type, false>(args...)), {},
                                       std::forward<Args>(args)...);
  }

  /// The same, or takes over a descriptor. The descriptor may be bound or not, and connected or
  /// not. The socket will close it. Throws `operation_not_supported` if `exclusive` is false, and
  /// for a descriptor: `error::wrong_descriptor` (also if it is not a
  /// socket), `bad_descriptor`, and EEXIST if the context already has this descriptor.
  template <class... Callback>
  decltype(auto) bind(const bind_options& where, Callback&&... callback)
  {
    check_options(where);
    const auto to = where.fd > 0 ? destination_type::of_descriptor(where.fd)
                                 : local(call_type(where.port, where.address));
    return start<detail::action::bind>(to, {}, std::forward<Callback>(callback)...);
  }

  /// Binds at once and returns the address: `bind_sync([port][, address])`, `bind_sync(endpoint)`,
  /// and on a Unix socket `bind_sync(path)`. The address must not be a name. 'listening' is emitted
  /// later. Throws as `bind` does, and also the errors of bind(2), and `invalid_argument` for a
  /// name.
  template <class... Args>
    requires(!detail::starts_with<bind_options, Args...>)
  address_info bind_sync(const Args&... args)
  {
    const auto where = reader("bind");
    const endpoint_type local =
        where.literal(where.local(detail::read_call<protocol_type, false>(args...), false));
    check(detail::action::bind);
    error_code ec;
    core().template start_now<event::listening>(local, ec);
    if (ec) fail_at("bind", ec, local);
    return address();
  }

  /// The same, or takes over a descriptor.
  address_info bind_sync(const bind_options& where)
    requires is_ip
  {
    check_options(where);
    if (where.fd <= 0) return bind_sync(where.port, where.address);
    bind(where);
    return address();
  }

  // --- connect ---

  /// Fixes the peer: sends go to it, and the socket receives only its datagrams:
  /// `connect(port[, address][, callback])` or `connect(endpoint[, callback])`. On a Unix socket:
  /// `connect(path[, callback])`. An unbound UDP socket is bound first. Without an address the peer
  /// is this host.
  ///
  /// The event is 'connect'. A callback that takes an error also gets the error of a failed bind.
  ///
  /// Throws `error::bad_port` (also for 0), `already_connected` (also if a connect is pending), and
  /// `error::not_running`. Reports the errors of connect(2) and of the lookup, and
  /// `error::ip_blocked`. The socket can be connected again after a reported error.
  template <class... Args>
  decltype(auto) connect(Args&&... args)
  {
    const auto call = detail::read_call<protocol_type, false>(args...);
    return start<detail::action::connect>(reader("connect").peer(call), {},
                                          std::forward<Args>(args)...);
  }

  /// Connects at once: `connect_sync(port[, address])` or `connect_sync(endpoint)`. The address
  /// must not be a name. 'connect' is emitted later. Binds an unbound socket. Throws as `connect`
  /// does, and also the errors of bind(2) and connect(2), `invalid_argument` for a name, and
  /// `error::already_bound` while a bind is pending.
  template <class... Args>
    requires is_ip
  basic_emitter_socket& connect_sync(const Args&... args)
  {
    const auto where = reader("connect");
    const endpoint_type peer =
        where.literal(where.peer(detail::read_call<protocol_type, false>(args...)));
    check(detail::action::connect);
    error_code ec = core().family.check_peer(peer);
    if (ec) fail_at("connect", ec, peer);
    if (core().bind_phase() == phase::pending) refuse_bound("connect");
    if (core().bind_phase() == phase::none) bind_sync();
    core().template start_now<event::connect>(peer, ec);
    if (ec) fail_at("connect", ec, peer);
    return *this;
  }

  /// Ends the association with the peer. Datagrams that wait to be sent to the peer complete with
  /// `not_connected`. Throws `not_connected`.
  void disconnect()
  {
    error_code ec = net::error::not_connected;
    if (core().connect_phase() == phase::done && !core().is_closed()) core().disconnect(ec);
    if (ec) throw_now(ec, "disconnect");
  }

  // --- send ---

  /// Sends one datagram: `send(message[, offset, length], port[, address][, callback])`. On a
  /// connected socket: `send(message[, offset, length][, callback])`. An endpoint, or the result of
  /// `address`, may replace port and address. On a Unix socket a path may.
  ///
  /// `payload_view` describes the message, which need not outlive the call. Offset and length count
  /// bytes. Without an address the peer is this host. A name is looked up, but not again within
  /// `socket_options::lookup_lifetime`. An unbound UDP socket is bound first. Sends leave in the
  /// order of the calls, but other sends may overtake those to a name.
  ///
  /// An address says where the datagram goes, not where it leaves from. If the socket is bound to a
  /// wildcard address, the system chooses the source. To reply, use `send(message, rinfo)` below. A
  /// send to `rinfo.port` and `rinfo.address` may leave from another address than the one that was
  /// asked.
  ///
  /// Without a callback the call returns whether the queue has room for more; 'drain' is emitted
  /// when the queue is empty. If the queue is full, the datagram is still queued, unless
  /// `socket_options::when_full` says that it is dropped.
  ///
  /// Throws:
  ///  - `error::bad_port` (also if the port is missing or 0);
  ///  - `error::out_of_range` for an offset or a length; the text names it;
  ///  - `already_connected` for a port or an address on a connected socket;
  ///  - `error::not_running`.
  ///
  /// Reports the errors of send(2), of the lookup and of the bind, `error::ip_blocked`, and
  /// `no_buffer_space` if the full queue drops the datagram.
  template <class... Args>
    requires(!detail::starts_with<remote_info, Args...>)
  decltype(auto) send(const payload_view& message, Args&&... args)
  {
    // The usual case; what follows words the errors of the others.
    if constexpr (is_ip && sizeof...(Args) == 1 && detail::starts_with<endpoint_type, Args...>)
      if (core_type& on = core(); on.may_send_to(args...))
        return detail::start_send(on, args..., message);
    const auto call = detail::read_call<protocol_type, true>(args...);
    if (!call.has_slice())
      return start<detail::action::send>(send_destination(call), message,
                                         std::forward<Args>(args)...);
    const payload_view slice(call.slice_of(message));
    return start<detail::action::send>(send_destination(call), slice, std::forward<Args>(args)...);
  }

  /// Replies to a message. The datagram leaves from the address that the message was sent to,
  /// whenever the `remote_info` is used (see its `reply_path`). If this host has lost that address,
  /// the call reports `invalid_argument`.
  ///
  /// The call never throws for what the sender chose. It reports `error::bad_port` if the sender
  /// used port 0, and `invalid_argument` if the sender is a Unix socket without a name.
  template <class... Callback>
  decltype(auto) send(const payload_view& message, const remote_info& to, Callback&&... callback)
  {
    core_type& on = core();
    if (on.is_closed()) throw_now(error::not_running, "send");
    if (on.connect_phase() != phase::none) throw_now(net::error::already_connected, "send");
    if constexpr (sizeof...(Callback) == 0)
      return detail::start_send(on, to, message);
    else
      return start<detail::action::send>(destination_type(to.reply_path()), message,
                                         std::forward<Callback>(callback)...);
  }

  /// `send` with explicit offset and length.
  template <class... Args>
  decltype(auto) sendto(const payload_view& message, std::int64_t offset, std::int64_t length,
                        Args&&... args)
  {
    return send(message, offset, length, std::forward<Args>(args)...);
  }

  /// Returns how many bytes, and how many datagrams, wait because the kernel takes no more now.
  /// Datagrams that wait for a bind or a name are not included, though they count towards the
  /// limits of `socket_options`.
  std::size_t get_send_queue_size() const
  {
    check_running("get_send_queue_size");
    return core().sends.waiting().bytes;
  }

  std::size_t get_send_queue_count() const
  {
    check_running("get_send_queue_count");
    return core().sends.waiting().count;
  }

  // --- receive ---

  /// Receives again after `recv_stop`. Binds an unbound socket. Throws `already_started`.
  basic_emitter_socket& recv_start()
  {
    check_running("recv_start");
    if (core().is_receiving()) throw_now(net::error::already_started, "recv_start");
    core().start_receiving();
    return *this;
  }

  /// Stops receiving until `recv_start`. No message is emitted, and the socket does not keep the
  /// context running.
  basic_emitter_socket& recv_stop()
  {
    check_running("recv_stop");
    core().stop_receiving();
    return *this;
  }

  /// Emits 'timeout' if nothing was sent or received for this time. It is emitted once, and again
  /// only after new activity. 0 turns it off.
  basic_emitter_socket& set_timeout(std::chrono::milliseconds duration)
  {
    check_running("set_timeout");
    core().idle.set(duration);
    return *this;
  }

  /// The same, with a listener for the next 'timeout'.
  template <class Listener>
  basic_emitter_socket& set_timeout(std::chrono::milliseconds duration, Listener&& listener)
  {
    set_timeout(duration);
    this->template once<event::timeout>(std::forward<Listener>(listener));
    return *this;
  }

  // --- close ---

  /// Closes the socket: `close([callback])`. The event is 'close', the last one. The kernel still
  /// gets the queued datagrams that it takes at once. The others complete with `operation_aborted`.
  /// If sends wait for a pending bind, the close waits behind them.
  ///
  /// Throws `error::not_running` the second time.
  template <class... Callback>
  decltype(auto) close(Callback&&... callback)
  {
    return start<detail::action::close>({}, {}, std::forward<Callback>(callback)...);
  }

  /// Closes the socket unless it is closed already, and completes when 'close' has been emitted.
  /// Completion: `void(error_code)`, never with an error.
  ///
  /// \code
  /// auto client = dgram::create_socket(io, dgram::udp4);
  /// co_await client.dispose(asio::use_awaitable);
  /// \endcode
  template <class Token = default_token_t<executor_type>>
  auto dispose(Token&& token = Token())
  {
    return detail::initiate_completion<>(
        shared(), std::forward<Token>(token),
        [](core_type& core, detail::completion<>* done, const net::cancellation_slot& slot) {
          core.let_cancel(done, slot);
          detail::start_operation(core, detail::action::close, {}, {},
                                  detail::any_completion_ptr(done), {});
        });
  }

  // --- addresses and state ---

  /// Returns where the socket is bound. Throws `bad_descriptor` if it is not bound.
  address_info address() const
  {
    check_running("getsockname");
    error_code ec = net::error::bad_descriptor;
    endpoint_type local;
    if (core().bind_phase() == phase::done) local = core().replaceable.local_endpoint(ec);
    if (ec) throw_now(ec, "getsockname");
    return address_info(local);
  }

  /// Returns the peer. Throws `not_connected`.
  address_info remote_address() const
  {
    check_running("getpeername");
    error_code ec = net::error::not_connected;
    endpoint_type peer;
    if (core().connect_phase() == phase::done) peer = core().replaceable.remote_endpoint(ec);
    if (ec) throw_now(ec, "getpeername");
    return address_info(peer);
  }

  emitter_state state() const noexcept
  {
    if (!core_) return {.closed = true};
    return {.bound = core().bind_phase() == phase::done,
            .connected = core().connect_phase() == phase::done,
            .receiving = core().is_receiving() && !core().is_closed(),
            .paused = core().is_paused() || core().is_pause_due(),
            .closing = core().is_closing() && !core().is_closed(),
            .closed = core().is_closed(),
            .path_errors = core().path_errors()};
  }

  /// The descriptor; -1 before the socket is bound.
  native_handle_type native_handle() { return core().socket.native_handle(); }

  /// The underlying socket, for options that have no function here. It has a descriptor only when
  /// it is bound.
  Socket& next_layer() { return core().socket; }

  /// Lets the socket keep `io_context::run()` from returning while it receives. This is the
  /// default.
  basic_emitter_socket& ref()
  {
    core().work.ref();
    return *this;
  }

  /// Lets `io_context::run()` return although the socket receives. Datagrams that wait to be sent
  /// still keep it running. Throws `operation_not_supported` if the socket was not created with an
  /// `io_context`, and with `ASIO_NO_TS_EXECUTORS`, because Asio then cannot take work back.
  basic_emitter_socket& unref()
  {
    if (!core().work.can_unref()) throw_now(net::error::operation_not_supported, "unref");
    if (!core().is_closed()) core().work.unref();
    return *this;
  }

  bool has_ref() const noexcept { return core_ && core_->work.has_ref() && !core_->is_closed(); }

private:
  friend detail::core_access;
  friend detail::emitter_event_calls<basic_emitter_socket, Socket>;
  friend detail::emitter_option_calls<basic_emitter_socket, Socket>;

  // --- checks ---

  [[noreturn]] DGRAM_COLD static void throw_now(const error_code& ec, const char* operation)
  {
    detail::throw_failure(detail::failure_of(operation, ec));
  }

  [[noreturn]] void fail_at(const char* operation, const error_code& ec,
                            const endpoint_type& where) const
  {
    failure why = detail::failure_at(operation, ec, &where);
    if (ec == net::error::invalid_argument) why.detail = core().family.fault_of(where);
    detail::throw_failure(why);
  }

  static void check_options(const bind_options& where)
  {
    if (!where.exclusive)
      detail::refuse("bind", net::error::operation_not_supported, "exclusive false");
    if (!is_ip && where.port != 0)
      detail::refuse("bind", net::error::invalid_argument, "port of a Unix socket");
  }

  void check_running(const char* operation) const
  {
    if (core().is_closed()) throw_now(error::not_running, operation);
  }

  void check_bound(const char* operation) const
  {
    check_running(operation);
    if (core().bind_phase() != phase::done) throw_now(net::error::bad_descriptor, operation);
  }

  [[noreturn]] DGRAM_COLD void refuse_bound(const char* operation) const
  {
    detail::refuse(operation, error::already_bound, core().bound_text());
  }

  void check(detail::action which) const
  {
    const auto ec = core().check(which, {});
    if (ec == error::already_bound) refuse_bound(detail::name_of(which));
    if (ec) throw_now(ec, detail::name_of(which));
  }

  // --- destinations ---

  auto reader(const char* operation) const
  {
    return detail::destination_reader<protocol_type>(operation, core().family);
  }

  destination_type local(const call_type& call) const
  {
    return reader("bind").local(call, static_cast<bool>(core().options.lookup));
  }

  /// Checks the arguments before the state.
  destination_type send_destination(const call_type& call) const
  {
    const bool has_peer = core().connect_phase() != phase::none;
    destination_type to = has_peer ? destination_type() : reader("send").peer(call);
    check_running("send");
    if (has_peer && call.has_destination()) throw_now(net::error::already_connected, "send");
    return to;
  }

  /// Starts an operation. `args` are those of the call, of which the last one may be a callback.
  template <detail::action Which, class... Args>
  decltype(auto) start(const destination_type& to, const payload_view& message, Args&&... args)
  {
    if constexpr (Which != detail::action::send) check(Which);
    const auto begin = [&]() -> decltype(auto) {
      if constexpr (detail::ends_with_callback<protocol_type, Args...>)
        return detail::launch<Which>(shared(), to, message,
                                     detail::last_of(std::forward<Args>(args)...));
      else if constexpr (Which == detail::action::send)
        return detail::start_send(core(), to, message, detail::as_send({}).release());
      else
        return detail::start_operation(core(), Which, to, message, nullptr, {});
    };
    if constexpr (std::is_void_v<decltype(begin())>)
      return begin(), (*this);
    else
      return begin();
  }

  /// Throws if the socket was moved from.
  const std::shared_ptr<core_type>& shared() const
  {
    if (!core_) [[unlikely]]
      detail::refuse("emitter_socket", error::not_running, "it was moved from");
    return core_;
  }

  core_type& core() const { return *shared(); }

  std::shared_ptr<core_type> core_;
};

/// The emitter on UDP, and on Unix datagrams.
using emitter_socket = basic_emitter_socket<udp::socket>;
#if DGRAM_HAS_UNIX_DATAGRAMS
using unix_emitter_socket = basic_emitter_socket<unix_dgram::socket>;
#endif

#if defined(DGRAM_COMPILED)
// One unit of the program defines these; see dgram/compiled.hpp.
extern template class detail::listener_list<event::listening>;
extern template class detail::listener_list<event::message::of<udp>>;
extern template class detail::listener_list<event::error>;
extern template class detail::destination_reader<udp>;
extern template std::shared_ptr<detail::emitter_core<udp::socket>>
detail::make_emitter<udp::socket>(const udp::socket::executor_type&, net::io_context*,
                                  socket_options);
extern template void detail::abandon_emitter(detail::emitter_core<udp::socket>&);
extern template void detail::start_operation(detail::emitter_core<udp::socket>&, detail::action,
                                             const detail::destination<udp>&, const payload_view&,
                                             detail::any_completion_ptr, listener_id);
extern template bool detail::start_send(detail::emitter_core<udp::socket>&,
                                        const detail::destination<udp>&, const payload_view&,
                                        detail::completion<std::size_t>*);
extern template bool detail::start_send(detail::emitter_core<udp::socket>&, const udp::endpoint&,
                                        const payload_view&);
extern template bool detail::start_send(detail::emitter_core<udp::socket>&,
                                        const basic_remote_info<udp>&, const payload_view&);
#endif

DGRAM_NAMESPACE_END

#endif
