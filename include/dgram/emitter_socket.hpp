// SPDX-License-Identifier: BSL-1.0
// A datagram socket that emits events: Node's dgram, on Asio.
#ifndef DGRAM_EMITTER_SOCKET_HPP
#define DGRAM_EMITTER_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/completion.hpp>
#include <dgram/detail/emitter/arguments.hpp>
#include <dgram/detail/emitter/awaited_event.hpp>
#include <dgram/detail/emitter/core.hpp>
#include <dgram/detail/emitter/membership_text.hpp>
#include <dgram/detail/emitter/operations.hpp>
#include <dgram/diagnostics.hpp>
#include <dgram/error.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/event_stream.hpp>
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
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/unix_dgram.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

/// What an emitter socket is, at the moment.
struct emitter_state {
  bool bound = false;
  bool connected = false;
  bool receiving = false;
  bool paused = false;
  bool closing = false;  ///< a close waits behind sends that wait for a bind
  bool closed = false;
  std::uint64_t path_errors = 0;  ///< errors that ICMP messages caused and no listener was told of
};

/// Whether `set_membership` joins or leaves.
enum class membership_operation { leave, join };

namespace detail {

/// For what is built on an emitter socket beside it.
struct core_access {
  template <class Socket>
  static const auto& of(const Socket& socket)
  {
    return socket.core_.shared();
  }

  /// Where a datagram with these arguments is to go. Thrown: as for `send`.
  template <class Socket, class... Args>
  static auto destination(const Socket& socket, const Args&... args)
  {
    call<typename Socket::protocol_type> parsed;
    return parse_call(
        parsed, [&](auto& call) { return socket.reader("send").peer(call); }, args...);
  }
};

}  // namespace detail

/// A datagram socket that emits events, made by `create_socket` or `create_unix_socket`.
///
/// **Events** are the types in `dgram::event`: message, listening, connect, close, error, timeout,
/// drain, drop. None is emitted inside the call that causes it; all are emitted on the socket's
/// executor. A listener may add and remove listeners, close and destroy the socket, and run the
/// context. What a listener throws leaves `run()`; what was still to be delivered then is delivered
/// on the next turn.
///
/// **Callbacks** are the last argument of `bind`, `connect`, `send` and `close`, and may be left
/// out:
///  - a function without arguments is called when it is done. Where it fails, an 'error' event
///    tells. It runs on its associated executor, where it has one; a cancellation slot is honoured
///    for `send` alone, since the others are listeners;
///  - a function of an `error_code` or a `const failure&` (and of the size, of `send`) is called in
///    any case, once, and there is no 'error' event;
///  - any other completion token (`use_awaitable`, `use_future`, ...) is as for Asio's operations,
///    with the signature `void(error_code)`, of `send` `void(error_code, std::size_t)`. What is
///    pending when the socket is closed completes with `operation_aborted`.
///
/// **Cancellation**: a slot of the handler is honoured, for terminal, partial and total alike, as
/// long as an operation waits: for a name, behind a bind or a connect, or, a send, for the end of
/// the turn and for the kernel to take it. It completes with `operation_aborted` then, and has done
/// nothing. A bind that is cancelled takes along what waits for it, and so does a connect. A close
/// that waits behind sends is taken back, unless others want it too. What the socket has done
/// already completes with its result.
///
/// **Errors**: what is wrong with the arguments or the state is thrown at the call, as a
/// `system_error` whose text says which call it was, and nothing is changed; what the system or a
/// lookup reports comes to the callback, or else as an 'error' event. Arguments are looked at
/// before the state. After `close` everything is `error::not_running`, but for `ref`, `unref` and
/// `dispose`.
///
/// **Sends** of one turn leave together, equal-sized ones to one peer as one message that the
/// kernel cuts apart. The bytes need not outlive the call. Where the kernel takes no more they
/// wait, within the limits of `socket_options`.
///
/// **Lifetime**: destroying the socket closes it, and then no event is emitted any more. What is
/// pending when the context is destroyed is destroyed with it, uncalled, also where it owns the
/// socket. A socket that was moved from may be destroyed or assigned to; to `state()` it is closed,
/// it has no `id()`, and its other calls throw `error::not_running`.
///
/// Thread safety: distinct sockets are safe. One socket is not: its calls belong where its events
/// are emitted, or on a strand given to `create_socket`.
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
class basic_emitter_socket {
  static_assert(emitter_transport<Socket>);

  using core_type = detail::emitter_core<Socket>;
  using phase = typename core_type::phase;
  using destination_type = typename core_type::destination_type;

  using call_type = detail::call<typename Socket::protocol_type>;

  static constexpr bool is_ip = detail::ip_protocol<typename Socket::protocol_type>;

  template <class Event>
  using event_type = typename detail::event_of<Event, typename Socket::protocol_type>::type;
  template <class Event>
  using signature_of = typename event_type<Event>::signature;

public:
  using socket_type = Socket;
  using protocol_type = typename Socket::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using executor_type = typename Socket::executor_type;
  using address_info = basic_address_info<protocol_type>;
  using remote_info = basic_remote_info<protocol_type>;
  using native_handle_type = typename Socket::native_handle_type;

  /// See `create_socket`. `io` may be null: then `unref` is not supported.
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

  /// Closes the socket at once, also in front of sends that wait for a bind, which `close` would
  /// send: no event is emitted any more, and what is pending completes with `operation_aborted`.
  ~basic_emitter_socket()
  {
    if (core_) detail::abandon_emitter(*core_);
  }

  executor_type get_executor() { return core_->get_executor(); }

  /// The same for the life of the socket, wherever it is moved: what diagnostics call it.
  const void* id() const noexcept { return core_.get(); }

  // --- events ---

  /// Adds a listener behind the others.
  template <class Event, class Listener>
  listener_id on(Listener&& listener)
  {
    return core_->events.template on<event_type<Event>>(std::forward<Listener>(listener));
  }

  /// Adds a listener that is removed before it is called.
  template <class Event, class Listener>
    requires detail::is_listener<std::decay_t<Listener>, signature_of<Event>>
  listener_id once(Listener&& listener)
  {
    return core_->events.template once<event_type<Event>>(std::forward<Listener>(listener));
  }

  /// Waits for the next such event. Completion: `void(error_code, values...)`, the values being
  /// those that listeners get; the bytes of a message are a `std::vector<std::byte>`. Error:
  /// `operation_aborted` where the socket is closed first, or the listeners are removed.
  /// Cancellation: terminal, partial and total; the event goes to others only then.
  ///
  /// \code
  /// auto client = dgram::create_socket(io, dgram::udp4);
  /// client.send("ping", 41234);
  /// auto [message, from] = co_await client.once<dgram::event::message>(asio::use_awaitable);
  /// fmt::print("{} bytes from {}\n", message.size(), from);
  /// \endcode
  template <class Event, class Token = default_token_t<executor_type>>
    requires(!detail::is_listener<std::decay_t<Token>, signature_of<Event>>)
  auto once(Token&& token = Token())
  {
    return detail::await_event<event_type<Event>>(core_.shared(), std::forward<Token>(token));
  }

  /// The events of one kind from now on, one after the other; at most `most` wait to be asked for.
  /// See `event_stream`.
  template <class Event>
  auto stream(std::size_t most = 1024)
  {
    return event_stream<event_type<Event>, core_type>(core_.shared(), most);
  }

  /// Adds a listener in front of the others.
  template <class Event, class Listener>
  listener_id prepend(Listener&& listener)
  {
    return core_->events.template prepend<event_type<Event>>(std::forward<Listener>(listener));
  }

  template <class Event, class Listener>
  listener_id prepend_once(Listener&& listener)
  {
    return core_->events.template prepend_once<event_type<Event>>(std::forward<Listener>(listener));
  }

  /// Removes a listener; false where it is gone already.
  bool off(listener_id id) { return core_->events.off(id); }

  template <class Event>
  void remove_all()
  {
    core_->events.template remove_all<event_type<Event>>();
  }
  void remove_all() { core_->events.remove_all(); }

  template <class Event>
  std::size_t listener_count() const
  {
    return core_->events.template listener_count<event_type<Event>>();
  }

  // --- bind ---

  /// Binds, and starts to receive. `bind([port][, address][, callback])` or
  /// `bind(endpoint[, callback])`; of a Unix socket `bind(path[, callback])`, where `@name` is an
  /// abstract name, as everywhere that it takes a path.
  ///
  /// Without a port the system chooses one, without an address it is all of them; a name is looked
  /// up. The event is 'listening'. Without a callback it returns the socket, with one of a
  /// completion token what that gives.
  ///
  /// Thrown: `error::bad_port`, `error::already_bound`, `error::not_running`. Reported: what
  /// bind(2) reports, `invalid_argument` for an address of the other family, what the lookup
  /// reports. The socket can be bound again then.
  template <class... Args>
    requires(!detail::starts_with<bind_options, Args...>)
  decltype(auto) bind(Args&&... args)
  {
    detail::check_endpoint_call<protocol_type, Args...>();
    call_type parsed;
    return detail::parse_call(
        parsed,
        [this](call_type& call, auto&&... callback) -> decltype(auto) {
          return this->bind_to(call, std::forward<decltype(callback)>(callback)...);
        },
        std::forward<Args>(args)...);
  }

  /// The same; or it takes over a descriptor, which is bound or not, connected or not, and the
  /// socket will close.
  /// Thrown then: `error::wrong_descriptor` (for what is no socket, too), `bad_descriptor`, and
  /// EEXIST for one that the context has already.
  template <class... Callback>
  decltype(auto) bind(const bind_options& where, Callback&&... callback)
  {
    call_type call;
    call.add(where.port);
    call.add(where.address);
    if (where.fd <= 0) return bind_to(call, std::forward<Callback>(callback)...);
    return start<true>(detail::adoption<core_type>{{}, where.fd},
                       std::forward<Callback>(callback)...);
  }

  /// Binds at once, to an address that is spelled out, and returns where:
  /// `bind_sync([port][, address])`, `bind_sync(endpoint)`, of a Unix socket `bind_sync(path)`.
  /// 'listening' comes later. Thrown: as above, what bind(2) reports, `invalid_argument` for a
  /// name.
  template <class... Args>
    requires(!detail::starts_with<bind_options, Args...>)
  address_info bind_sync(const Args&... args)
  {
    detail::check_endpoint_call<protocol_type, const Args&...>();
    call_type parsed;
    return detail::parse_call(parsed, [this](call_type& call) { return bind_at(call); }, args...);
  }

  /// The same; or it takes over a descriptor.
  address_info bind_sync(const bind_options& where)
    requires is_ip
  {
    if (where.fd <= 0) return bind_sync(where.port, where.address);
    bind(where);
    return address();
  }

  // --- connect ---

  /// Fixes the peer: sends go to it, and only its datagrams are received.
  /// `connect(port[, address][, callback])` or `connect(endpoint[, callback])`, of a Unix socket
  /// `connect(path[, callback])`. An unbound UDP socket is bound first. Without an address it is
  /// this host.
  ///
  /// The event is 'connect'. A callback that takes an error gets it also where the bind fails.
  ///
  /// Thrown: `error::bad_port` (0 too), `already_connected` (or about to be), `error::not_running`.
  /// Reported: what connect(2) reports, `error::ip_blocked`, what the lookup reports. The socket
  /// can be connected again then.
  template <class... Args>
  decltype(auto) connect(Args&&... args)
  {
    detail::check_endpoint_call<protocol_type, Args...>();
    call_type parsed;
    return detail::parse_call(
        parsed,
        [this](call_type& call, auto&&... callback) -> decltype(auto) {
          return this->connect_to(call, std::forward<decltype(callback)>(callback)...);
        },
        std::forward<Args>(args)...);
  }

  /// Connects at once, to an address that is spelled out: `connect_sync(port[, address])` or
  /// `connect_sync(endpoint)`; 'connect' comes later. Binds an unbound socket. Thrown: as above,
  /// what bind(2) and connect(2) report, `invalid_argument` for a name, `error::already_bound`
  /// while a bind is on its way.
  template <class... Args>
    requires is_ip
  basic_emitter_socket& connect_sync(const Args&... args)
  {
    detail::check_endpoint_call<protocol_type, const Args&...>();
    call_type parsed;
    detail::parse_call(parsed, [this](call_type& call) { connect_at(call); }, args...);
    return *this;
  }

  /// Ends the association with the peer. What waits to be sent to it completes with
  /// `not_connected`. Thrown: `not_connected`.
  void disconnect()
  {
    error_code ec = net::error::not_connected;
    if (core_->connect_phase() == phase::done && core_->is_running()) core_->disconnect(ec);
    if (ec) throw_now(ec, "disconnect");
  }

  // --- send ---

  /// Sends one datagram: `send(message[, offset, length], port[, address][, callback])`; of a
  /// connected socket `send(message[, offset, length][, callback])`. In place of port and address
  /// there may be an endpoint, or what `address` returns, and of a Unix socket a path.
  ///
  /// For the message see `payload_view`; it need not outlive the call. Offset and length count
  /// bytes. Without an address it is this host; a name is looked up, though not again within
  /// `socket_options::lookup_lifetime`. An unbound UDP socket is bound first. Sends leave in the
  /// order of the calls, but those for a name, which others may overtake.
  ///
  /// An address says where the datagram goes, not where it leaves from: on a socket that is bound
  /// to a wildcard address the system chooses the source. A reply is `send(message, rinfo)`, below;
  /// with `rinfo.port` and `rinfo.address` it may leave from another address than the one that was
  /// asked.
  ///
  /// Without a callback it returns whether the queue has room for more; 'drain' says when it is
  /// empty. What is sent where it has none is queued all the same, unless
  /// `socket_options::when_full` says that it is dropped.
  ///
  /// Thrown: `error::bad_port` (missing or 0 too), `error::out_of_range` (offset or length, which
  /// the text names), `already_connected` (port or address on a connected socket),
  /// `error::not_running`. Reported: what send(2) reports, `error::ip_blocked`, `no_buffer_space`
  /// where the queue is full and drops, what the lookup or the bind reports.
  template <class... Args>
    requires(!detail::starts_with<remote_info, Args...>)
  decltype(auto) send(const payload_view& message, Args&&... args)
  {
    detail::check_send_call<protocol_type, Args...>();
    call_type parsed;
    return detail::parse_call(
        parsed,
        [this, &message](call_type& call, auto&&... callback) -> decltype(auto) {
          return this->send_to(message, call, std::forward<decltype(callback)>(callback)...);
        },
        std::forward<Args>(args)...);
  }

  /// Replies to a message: the datagram leaves from the address that the message was sent to, now
  /// or whenever the `remote_info` is used (see its `reply_path`). If this host has lost that
  /// address, the error is `invalid_argument`, and reported.
  ///
  /// What the sender chose is never thrown: `error::bad_port` for one that sent from port 0, and
  /// `invalid_argument` for a Unix socket without a name, are reported.
  template <class... Callback>
  decltype(auto) send(const payload_view& message, const remote_info& to, Callback&&... callback)
  {
    return send_whole(message, reply_destination(to), std::forward<Callback>(callback)...);
  }

  /// `send` with offset and length spelled out.
  template <class... Args>
  decltype(auto) sendto(const payload_view& message, std::int64_t offset, std::int64_t length,
                        Args&&... args)
  {
    return send(message, offset, length, std::forward<Args>(args)...);
  }

  /// How many bytes, and how many datagrams, wait because the kernel takes no more now. What waits
  /// for something else, a bind or a name, is not in these numbers, though it counts towards the
  /// limits of `socket_options`.
  std::size_t get_send_queue_size() const
  {
    check_running("get_send_queue_size");
    return core_->sends().bytes();
  }

  std::size_t get_send_queue_count() const
  {
    check_running("get_send_queue_count");
    return core_->sends().count();
  }

  // --- receive ---

  /// Receives again, after `recv_stop`; binds an unbound socket. Thrown: `already_started`.
  basic_emitter_socket& recv_start()
  {
    check_running("recv_start");
    if (core_->is_receiving()) throw_now(net::error::already_started, "recv_start");
    core_->start_receiving();
    return *this;
  }

  /// Receives no more until `recv_start`: no message is emitted, and the socket does not keep the
  /// context running.
  basic_emitter_socket& recv_stop()
  {
    check_running("recv_stop");
    core_->stop_receiving();
    return *this;
  }

  /// 'timeout' is emitted when nothing was sent or received for so long, once until there is
  /// activity again; 0 ends that.
  basic_emitter_socket& set_timeout(std::chrono::milliseconds duration)
  {
    check_running("set_timeout");
    core_->set_timeout(duration);
    return *this;
  }

  /// The same, with a listener for the next 'timeout'.
  template <class Listener>
  basic_emitter_socket& set_timeout(std::chrono::milliseconds duration, Listener&& listener)
  {
    set_timeout(duration);
    once<event::timeout>(std::forward<Listener>(listener));
    return *this;
  }

  // --- close ---

  /// Closes the socket; `close([callback])`. The event is 'close', the last one. What the kernel
  /// takes at once of what is queued still goes out; the rest completes with `operation_aborted`.
  /// While a bind is on its way and sends wait for it, the close waits behind them.
  ///
  /// Thrown: `error::not_running`, the second time.
  template <class... Callback>
  decltype(auto) close(Callback&&... callback)
  {
    return start<true>(detail::closing<core_type>{}, std::forward<Callback>(callback)...);
  }

  /// Closes the socket unless that is done already, and completes when 'close' has been emitted.
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
        core_->get_executor(), std::forward<Token>(token),
        [core = core_.shared()](detail::completion<>* done, const net::cancellation_slot& slot) {
          core->let_cancel(done, slot);
          detail::start_close(*core, detail::any_completion_ptr(done));
        });
  }

  // --- addresses and state ---

  /// Where the socket is bound. Thrown: `bad_descriptor` where it is not.
  address_info address() const
  {
    check_running("getsockname");
    error_code ec = net::error::bad_descriptor;
    endpoint_type local;
    if (core_->bind_phase() == phase::done) local = core_->replaceable.local_endpoint(ec);
    if (ec) throw_now(ec, "getsockname");
    return address_info(local);
  }

  /// The peer. Thrown: `not_connected`.
  address_info remote_address() const
  {
    check_running("getpeername");
    error_code ec = net::error::not_connected;
    endpoint_type peer;
    if (core_->connect_phase() == phase::done) peer = core_->replaceable.remote_endpoint(ec);
    if (ec) throw_now(ec, "getpeername");
    return address_info(peer);
  }

  emitter_state state() const noexcept
  {
    if (!core_) return {.closed = true};
    return {.bound = core_->bind_phase() == phase::done,
            .connected = core_->connect_phase() == phase::done,
            .receiving = core_->is_receiving() && !core_->is_closed(),
            .paused = core_->is_paused() || core_->is_pause_due(),
            .closing = core_->is_closing() && !core_->is_closed(),
            .closed = core_->is_closed(),
            .path_errors = core_->path_errors()};
  }

  /// The descriptor; -1 before it is bound.
  native_handle_type native_handle() { return core_->socket.native_handle(); }

  /// The socket underneath, for options that have no function here. Its descriptor comes with the
  /// bind.
  Socket& next_layer() { return core_->socket; }

  /// The socket keeps `io_context::run()` from returning while it receives, which is so from the
  /// start.
  basic_emitter_socket& ref()
  {
    core_->ref();
    return *this;
  }

  /// The socket does not keep `io_context::run()` from returning any more; what it has to send
  /// still does. Thrown: `operation_not_supported` where it was not created with an `io_context`,
  /// and with `ASIO_NO_TS_EXECUTORS`, since Asio then has no way to take work back.
  basic_emitter_socket& unref()
  {
    if (!core_->can_unref()) throw_now(net::error::operation_not_supported, "unref");
    core_->unref();
    return *this;
  }

  bool has_ref() const noexcept { return core_ && core_->has_ref(); }

  // --- options ---
  //
  // Thrown by all of them: `bad_descriptor` before the socket is bound, `error::not_running`, and
  // what setsockopt(2) reports.

  /// Allows sending to broadcast addresses.
  void set_broadcast(bool on)
    requires is_ip
  {
    set("set_broadcast", option::broadcast(on));
  }

  /// The hop limit of unicast datagrams. Returns it. Thrown: `invalid_argument` outside 1 to 255.
  int set_ttl(int hops)
    requires is_ip
  {
    set("set_ttl", option::hop_limit(hops), detail::beyond(hops, 1, 255));
    return hops;
  }

  /// The hop limit of multicast datagrams. Returns it. Thrown: `invalid_argument` outside 0 to 255.
  int set_multicast_ttl(int hops)
    requires is_ip
  {
    set("set_multicast_ttl", option::multicast_hop_limit(hops), detail::beyond(hops, 0, 255));
    return hops;
  }

  /// Whether members on this host get what the socket sends to a group. Returns it.
  bool set_multicast_loopback(bool on)
    requires is_ip
  {
    set("set_multicast_loopback", option::multicast_loopback(on));
    return on;
  }

  /// The interface that multicast datagrams leave by: an address of it, for IPv6 `::%eth0` or
  /// `::%2`; 0.0.0.0 and :: leave it to the system. A `udp6` socket has one interface for each
  /// family. Thrown: `invalid_argument` for other text, EADDRNOTAVAIL where no interface has the
  /// address, ENOPROTOOPT for an IPv6 address on a `udp4` socket.
  void set_multicast_interface(std::string_view address)
    requires is_ip
  {
    constexpr auto operation = "set_multicast_interface";
    check_bound(operation);
    const bool is_v6 = core_->family.is_v6();
    const auto outgoing = detail::parse_outgoing_interface(operation, address, is_v6);
    error_code ec;
    core_->replaceable.set(
        outgoing.is_v6 ? "set_multicast_interface of IPv6" : "set_multicast_interface of IPv4",
        [outgoing, is_v6](Socket& socket, error_code& failed) {
          outgoing.apply(socket, is_v6, failed);
        },
        ec);
    if (ec) detail::refuse(operation, ec, detail::in_quotes(address));
  }

  /// Joins a group; without an interface (an address of it, or its name) the system chooses one.
  /// Binds an unbound socket. A `udp6` socket joins groups of both families. Thrown:
  /// `invalid_argument` for a group that is none or missing, an interface that is none, and
  /// addresses of different families in one call; ENODEV for an interface that does not exist,
  /// `address_in_use` for the second time, ENOPROTOOPT for an IPv6 group on a `udp4` socket.
  void add_membership(std::string_view group, std::string_view interface = {})
    requires is_ip
  {
    change_membership("add_membership", detail::membership_change::join, group, {}, interface);
  }

  /// Leaves a group; closing does that too.
  void drop_membership(std::string_view group, std::string_view interface = {})
    requires is_ip
  {
    change_membership("drop_membership", detail::membership_change::leave, group, {}, interface);
  }

  /// Joins or leaves.
  void set_membership(std::string_view group, std::string_view interface, membership_operation what)
    requires is_ip
  {
    const bool joins = what == membership_operation::join;
    change_membership("set_membership",
                      joins ? detail::membership_change::join : detail::membership_change::leave,
                      group, {}, interface);
  }

  void set_membership(std::string_view group, membership_operation what)
    requires is_ip
  {
    set_membership(group, {}, what);
  }

  /// Joins for what one source sends to the group. Thrown: as above, and `address_not_available`
  /// for the second time.
  void add_source_specific_membership(std::string_view source, std::string_view group,
                                      std::string_view interface = {})
    requires is_ip
  {
    change_membership("add_source_specific_membership", detail::membership_change::join, group,
                      source, interface);
  }

  void drop_source_specific_membership(std::string_view source, std::string_view group,
                                       std::string_view interface = {})
    requires is_ip
  {
    change_membership("drop_source_specific_membership", detail::membership_change::leave, group,
                      source, interface);
  }

  /// The kernel's queues, in bytes. It adjusts what it is given in silence: Linux doubles it,
  /// within a limit. Thrown: `error::out_of_range` for 0 and below, or more than 32 bits hold;
  /// `invalid_argument` for more than 31 hold.
  void set_recv_buffer_size(std::int64_t bytes)
  {
    set("set_recv_buffer_size",
        option::receive_buffer_size(detail::checked_buffer_size("set_recv_buffer_size", bytes)),
        std::to_string(bytes) + " bytes");
  }

  void set_send_buffer_size(std::int64_t bytes)
  {
    set("set_send_buffer_size",
        option::send_buffer_size(detail::checked_buffer_size("set_send_buffer_size", bytes)),
        std::to_string(bytes) + " bytes");
  }

  std::size_t get_recv_buffer_size() const
  {
    check_bound("get_recv_buffer_size");
    return ask("get_recv_buffer_size",
               [](Socket& socket, error_code& ec) { return socket.get_receive_buffer_size(ec); });
  }

  std::size_t get_send_buffer_size() const
  {
    check_bound("get_send_buffer_size");
    return ask("get_send_buffer_size",
               [](Socket& socket, error_code& ec) { return socket.get_send_buffer_size(ec); });
  }

private:
  friend detail::core_access;

  // --- checks ---

  [[noreturn]] DGRAM_COLD static void throw_now(const error_code& ec, const char* operation)
  {
    detail::throw_failure(detail::failure_of(operation, ec));
  }

  [[noreturn]] static void fail_at(const char* operation, const error_code& ec,
                                   const endpoint_type& where)
  {
    detail::throw_failure(detail::failure_at(operation, ec, &where));
  }

  void check_running(const char* operation) const
  {
    if (!core_->is_running()) throw_now(error::not_running, operation);
  }

  void check_bound(const char* operation) const
  {
    check_running(operation);
    if (core_->bind_phase() != phase::done) throw_now(net::error::bad_descriptor, operation);
  }

  /// Whether an operation can be started in this state.
  template <class Operation>
  void check() const
  {
    if (const auto ec = Operation::check(*core_)) throw_now(ec, Operation::name);
  }

  auto reader(const char* operation) const
  {
    return detail::destination_reader<Socket>(operation, core_->family);
  }

  /// Arguments are looked at before the state.
  destination_type send_destination(const call_type& call) const
  {
    if (core_->connect_phase() == phase::none) {
      destination_type to = reader("send").peer(call);
      check_running("send");
      return to;
    }
    check_running("send");
    if (call.has_destination()) throw_now(net::error::already_connected, "send");
    return {};
  }

  destination_type reply_destination(const remote_info& to) const
  {
    check_running("send");
    if (core_->connect_phase() != phase::none) throw_now(net::error::already_connected, "send");
    return {to.reply_path()};
  }

  // --- starting ---

  /// `ListenFirst`: a callback that fits both ways is a listener, as Node has it for bind and
  /// close, and not for connect.
  template <bool ListenFirst, class Operation>
  basic_emitter_socket& start(const Operation& operation)
  {
    check<Operation>();
    operation.start(*core_, nullptr, {});
    return *this;
  }

  template <bool ListenFirst, class Operation, class Callback>
  decltype(auto) start(const Operation& operation, Callback&& callback)
  {
    using function = std::decay_t<Callback>;
    constexpr bool completes = detail::takes_code<function> || detail::is_plain_callback<function>;
    check<Operation>();
    if constexpr (std::invocable<function&> && (ListenFirst || !completes)) {
      const auto listener = core_->events.template once<typename Operation::event>(
          detail::run_by_emitter(std::forward<Callback>(callback), core_->get_executor()));
      try {
        operation.start(*core_, nullptr, listener);
      } catch (...) {
        off(listener);
        throw;
      }
      return (*this);
    } else if constexpr (detail::is_callback<Callback>()) {
      const auto initiate = [&]() -> decltype(auto) {
        return detail::initiate_completion<>(
            core_->get_executor(), std::forward<Callback>(callback),
            [core = core_.shared(), operation](detail::completion<>* done,
                                               const net::cancellation_slot& slot) {
              core->let_cancel(done, slot);
              // It may be launched later, in another state.
              if (const auto ec = Operation::check(*core))
                core->fail(done, detail::failure_of(Operation::name, ec));
              else
                operation.start(*core, detail::any_completion_ptr(done), {});
            });
      };
      if constexpr (std::is_void_v<decltype(initiate())>) {
        initiate();
        return (*this);
      } else {
        return initiate();
      }
    }
  }

  template <class... Callback>
  decltype(auto) bind_to(const call_type& call, Callback&&... callback)
  {
    const bool looks_up = static_cast<bool>(core_->options.lookup);
    return start<true>(detail::binding<core_type>{reader("bind").local(call, looks_up)},
                       std::forward<Callback>(callback)...);
  }

  address_info bind_at(const call_type& call)
  {
    const auto where = reader("bind");
    const endpoint_type local = where.literal(where.local(call, false));
    check<detail::binding<core_type>>();
    auto listening = core_->template make_event<event::listening>();
    error_code ec;
    core_->pending().bind_now(local, ec);
    if (ec) fail_at("bind", ec, local);
    core_->deliver(listening.release());
    return address();
  }

  template <class... Callback>
  decltype(auto) connect_to(const call_type& call, Callback&&... callback)
  {
    return start<false>(detail::connecting<core_type>{reader("connect").peer(call)},
                        std::forward<Callback>(callback)...);
  }

  void connect_at(const call_type& call)
  {
    const auto where = reader("connect");
    const endpoint_type peer = where.literal(where.peer(call));
    check<detail::connecting<core_type>>();
    if (const auto ec = core_->family.check_peer(peer)) fail_at("connect", ec, peer);
    if (core_->bind_phase() == phase::pending) throw_now(error::already_bound, "connect");
    if (core_->bind_phase() == phase::none) bind_sync();
    auto connected = core_->template make_event<event::connect>();
    error_code ec;
    core_->pending().connect_now(peer, ec);
    if (ec) fail_at("connect", ec, peer);
    core_->deliver(connected.release());
  }

  template <class... Callback>
  decltype(auto) send_to(const payload_view& message, call_type& call, Callback&&... callback)
  {
    if (call.count < 2)
      return send_whole(message, send_destination(call), std::forward<Callback>(callback)...);
    const payload_view slice(detail::slice_of(message, call.numbers[0], call.numbers[1]));
    call.drop_slice();
    return send_whole(slice, send_destination(call), std::forward<Callback>(callback)...);
  }

  bool send_whole(const payload_view& message, const destination_type& to)
  {
    return detail::start_send(*core_, to, message, nullptr);
  }

  template <class Callback>
  decltype(auto) send_whole(const payload_view& message, const destination_type& to,
                            Callback&& callback)
  {
    using handler = std::decay_t<Callback>;
    if constexpr (detail::takes_code<handler, std::size_t> ||
                  detail::is_plain_callback<handler, std::size_t>) {
      const net::cancellation_slot slot = net::get_associated_cancellation_slot(callback);
      detail::send_completion_ptr done(detail::make_completion<std::size_t>(
          std::forward<Callback>(callback), core_->get_executor()));
      core_->let_cancel(done.get(), slot);
      detail::start_send(*core_, to, message, done.release());
      return (*this);
    } else if constexpr (std::invocable<handler&>) {
      return send_whole(
          message, to,
          detail::sent_callback<core_type, handler>(*core_, std::forward<Callback>(callback)));
    } else if constexpr (detail::is_callback<Callback, std::size_t>()) {
      // When a deferred or awaited send is launched, the message may be gone.
      return detail::initiate_completion<std::size_t>(
          core_->get_executor(), std::forward<Callback>(callback),
          [core = core_.shared(), to, bytes = message.copy()](detail::send_completion* done,
                                                              const net::cancellation_slot& slot) {
            core->let_cancel(done, slot);
            detail::start_late_send(*core, to, bytes, done);
          });
    }
  }

  // --- options ---

  /// `what` is to say what was to be set, where that is refused.
  template <class Option>
  void set(const char* operation, const Option& option, std::string what = {})
  {
    check_bound(operation);
    error_code ec;
    core_->replaceable.set(
        operation,
        [option](Socket& socket, error_code& failed) { socket.set_option(option, failed); }, ec);
    if (ec == error::out_of_range) ec = net::error::invalid_argument;
    if (ec) detail::refuse(operation, ec, std::move(what));
  }

  template <class Query>
  std::size_t ask(const char* operation, Query query) const
  {
    std::size_t answer = 0;
    error_code ec;
    core_->replaceable.with_socket(
        [&](Socket& socket, error_code& failed) {
          answer = static_cast<std::size_t>(query(socket, failed));
        },
        ec);
    if (ec) throw_now(ec, operation);
    return answer;
  }

  void change_membership(const char* operation, detail::membership_change change,
                         std::string_view group, std::string_view source,
                         std::string_view interface)
  {
    check_running(operation);
    const bool is_v6 = core_->family.is_v6();
    const auto membership =
        detail::parse_membership(operation, change, is_v6, group, source, interface);
    if (core_->bind_phase() == phase::none) bind_sync();
    check_bound(operation);
    const auto apply = [change, membership, is_v6](Socket& socket, error_code& failed) {
      detail::apply_membership(socket, change, membership, is_v6, failed);
    };
    error_code ec;
    if (change == detail::membership_change::join) {
      core_->replaceable.set(membership.key, apply, ec);
    } else {
      core_->replaceable.with_socket(apply, ec);
      if (!ec) core_->replaceable.unset(membership.key);
    }
    if (ec) detail::refuse_membership(operation, change, ec, group, source, interface);
  }

  detail::core_pointer<core_type> core_;
};

/// The emitter on UDP, and on Unix datagrams.
using emitter_socket = basic_emitter_socket<udp::socket>;
#if DGRAM_HAS_UNIX_DATAGRAMS
using unix_emitter_socket = basic_emitter_socket<unix_dgram::socket>;
#endif

#if defined(DGRAM_COMPILED)
// One unit of the program has these; see dgram/compiled.hpp.
extern template class detail::listener_list<event::listening>;
extern template class detail::listener_list<event::message::of<udp>>;
extern template class detail::listener_list<event::error>;
extern template class detail::destination_reader<udp::socket>;
extern template std::shared_ptr<detail::emitter_core<udp::socket>>
detail::make_emitter<udp::socket>(const udp::socket::executor_type&, net::io_context*,
                                  socket_options);
extern template void detail::abandon_emitter(detail::emitter_core<udp::socket>&);
extern template void detail::start_bind(detail::emitter_core<udp::socket>&,
                                        const detail::destination<udp>&, detail::any_completion_ptr,
                                        listener_id);
extern template void detail::start_connect(detail::emitter_core<udp::socket>&,
                                           const detail::destination<udp>&,
                                           detail::any_completion_ptr, listener_id);
extern template bool detail::start_send(detail::emitter_core<udp::socket>&,
                                        const detail::destination<udp>&, const payload_view&,
                                        detail::completion<std::size_t>*);
extern template void detail::start_late_send(detail::emitter_core<udp::socket>&,
                                             const detail::destination<udp>&, const payload_view&,
                                             detail::completion<std::size_t>*);
extern template void detail::start_close(detail::emitter_core<udp::socket>&,
                                         detail::any_completion_ptr);
#endif

DGRAM_NAMESPACE_END

#endif
