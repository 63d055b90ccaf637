// SPDX-License-Identifier: BSL-1.0
// The datagram socket: Asio's interface plus batches, dual stack, checked options and multicast.
#ifndef DGRAM_BASIC_SOCKET_HPP
#define DGRAM_BASIC_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/detail/socket/batch_operations.hpp>
#include <dgram/detail/socket/group_operations.hpp>
#include <dgram/detail/socket/membership.hpp>
#include <dgram/detail/socket/opening.hpp>
#include <dgram/detail/socket/option_operations.hpp>
#include <dgram/detail/socket/single_operations.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/fwd.hpp>
#include <dgram/multicast.hpp>
#include <dgram/option.hpp>
#include <dgram/socket_handle.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// A datagram socket. It has every operation of `asio::basic_datagram_socket`, with the same
/// signatures and meaning, and can replace one. If a function names Asio's type, pass
/// `next_layer()`. The differences are intended:
///  - Batches and writers refuse an address on a connected socket (`already_connected`) on every
///    system. For `connect` and for sends of one datagram the kernel decides: see there, and
///    `reconnect`.
///  - A dual-stack socket (`udp::dual()`) takes and returns plain IPv4 endpoints.
///  - Moving a socket leaves its pending operations pending. Moving it into a socket of another
///    executor type completes them with `operation_aborted`.
///  - Options check their values: see `option`.
///
/// **Pending operations** own what they need. The caller may move, close or destroy the socket
/// while they are pending or their completion is queued. They complete with `operation_aborted`
/// when the socket is closed or destroyed, by `cancel` and `release`, and when another socket is
/// moved over it.
///
/// **Errors**: a synchronous operation throws `system_error`, or sets the `error_code&` that the
/// caller passes. A closed socket reports `bad_descriptor`. A function that takes an `error_code&`
/// and has no other result also returns the error code. With `ASIO_NO_DEPRECATED` it returns
/// nothing. Asio's functions do the same.
///
/// **Cancellation**: every asynchronous operation honours terminal, partial and total cancellation.
/// No operation loses a datagram: it completes with `operation_aborted` only if it received or sent
/// nothing.
///
/// **Thread safety**: distinct sockets are safe. The calls and completions of one socket belong on
/// one strand, which is implicit if one thread runs the context. As with Asio, several threads may
/// call synchronous `send`, `send_to`, `receive`, `receive_from`, `connect` and `shutdown` on one
/// open socket at the same time. These calls may take flags, but no `send_options`, reply path or
/// info. The socket must not have `option::receive_error`, and its counts may miss some calls.
///
/// Operations on `next_layer()` bypass all this, but the next call on the socket notices what they
/// changed. If the socket is closed through `next_layer()`, its socket file stays.
template <class Protocol, class Executor>
class basic_socket
    : public net::socket_base,
      public detail::single_operations<basic_socket<Protocol, Executor>, Protocol, Executor>,
      public detail::batch_operations<basic_socket<Protocol, Executor>, Protocol, Executor>,
      public detail::option_operations<basic_socket<Protocol, Executor>, Protocol>,
      public detail::group_operations<basic_socket<Protocol, Executor>> {
  using state_type = detail::socket_state<Protocol, Executor>;
  using sync_result = detail::sync_result;

public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using executor_type = Executor;
  // Not named through the block: a program that only holds sockets need not instantiate the block.
  using next_layer_type = detail::inner_socket<Protocol, Executor>;
  using lowest_layer_type = typename next_layer_type::lowest_layer_type;
  using native_handle_type = typename next_layer_type::native_handle_type;
  using default_token = default_token_t<Executor>;

  /// Readers and writers hold this, so that they continue when the socket is moved: see `handle`.
  using handle_type = basic_socket_handle<Protocol, Executor>;

  /// The same socket type on another executor.
  template <class Executor1>
  struct rebind_executor {
    using other = basic_socket<Protocol, Executor1>;
  };

  /// A closed socket.
  explicit basic_socket(const executor_type& executor);

  /// A closed socket on the context's executor.
  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  explicit basic_socket(Context& context) : basic_socket(executor_type(context.get_executor()))
  {
  }

  /// An open socket that is not bound. Throws the errors of `open` and of the options.
  basic_socket(const executor_type& executor, const protocol_type& protocol,
               const socket_config& config);

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const protocol_type& protocol, const socket_config& config)
      : basic_socket(executor_type(context.get_executor()), protocol, config)
  {
  }

  // Apart from those with a configuration, so that a program without one need not compile what sets
  // the options.

  /// The same without options.
  basic_socket(const executor_type& executor, const protocol_type& protocol);

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const protocol_type& protocol)
      : basic_socket(executor_type(context.get_executor()), protocol)
  {
  }

  /// An open socket that is bound to `local`. Throws the errors of `open`, the options and `bind`.
  basic_socket(const executor_type& executor, const endpoint_type& local,
               const socket_config& config);

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const endpoint_type& local, const socket_config& config)
      : basic_socket(executor_type(context.get_executor()), local, config)
  {
  }

  /// The same without options.
  basic_socket(const executor_type& executor, const endpoint_type& local);

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const endpoint_type& local)
      : basic_socket(executor_type(context.get_executor()), local)
  {
  }

  /// The same for text. For UDP this is `address:port` (see `parse_endpoint`). For a Unix socket it
  /// is a path, or `@name` for an abstract name (see `parse_unix_endpoint`). Throws the errors of
  /// parsing too.
  ///
  /// \code
  /// dgram::udp::socket server{io, "127.0.0.1:0"};
  /// \endcode
  template <detail::endpoint_text<Protocol> Text>
  basic_socket(const executor_type& executor, const Text& local, const socket_config& config = {})
      : basic_socket(executor, detail::endpoint_of_text<Protocol>("bind", local), config)
  {
  }

  template <class Context, detail::endpoint_text<Protocol> Text>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const Text& local, const socket_config& config = {})
      : basic_socket(executor_type(context.get_executor()),
                     detail::endpoint_of_text<Protocol>("bind", local), config)
  {
  }

  /// An open socket that is bound to all addresses of the host, of IPv6 and IPv4 or of IPv4 alone:
  /// see `udp::any`. `local_endpoint()` says which. `dual_stack` makes no difference, and `v6_only`
  /// is `invalid_argument`. Throws the errors of `open`, the options and `bind`.
  ///
  /// \code
  /// dgram::udp::socket server{io, dgram::udp::any(41234), {.reuse_address = true}};
  /// \endcode
  basic_socket(const executor_type& executor, const any_address& local,
               const socket_config& config = {})
    requires detail::dual_stack_protocol<Protocol>
      : basic_socket(executor)
  {
    open(local, config);
  }

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&> &&
             detail::dual_stack_protocol<Protocol>
  basic_socket(Context& context, const any_address& local, const socket_config& config = {})
      : basic_socket(executor_type(context.get_executor()), local, config)
  {
  }

  /// Takes over an open descriptor, as `assign` does.
  template <std::convertible_to<native_handle_type> Descriptor>
  basic_socket(const executor_type& executor, const protocol_type& protocol,
               const Descriptor& descriptor)
      : basic_socket(executor)
  {
    assign(protocol, static_cast<native_handle_type>(descriptor));
  }

  template <class Context, std::convertible_to<native_handle_type> Descriptor>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const protocol_type& protocol, const Descriptor& descriptor)
      : basic_socket(executor_type(context.get_executor()), protocol, descriptor)
  {
  }

  /// Takes the other socket's descriptor and pending operations, which continue. The other socket
  /// is closed afterwards and can be opened again.
  basic_socket(basic_socket&& other) noexcept
      // NOLINTNEXTLINE(performance-move-constructor-init): the other keeps its executor
      : executor_(other.executor_), state_(std::move(other.state_))
  {
  }

  /// Closes this socket and completes its pending operations with `operation_aborted`. Then moves
  /// as the constructor does.
  basic_socket& operator=(basic_socket&& other) noexcept
  {
    if (this != &other) {
      shut_down();
      executor_ = other.executor_;
      state_ = std::move(other.state_);
    }
    return *this;
  }

  /// Takes the descriptor of a socket of another executor type. The other socket's pending
  /// operations complete with `operation_aborted`.
  template <class Protocol1, class Executor1>
    requires std::convertible_to<Protocol1, Protocol> && std::convertible_to<Executor1, Executor>
  basic_socket(basic_socket<Protocol1, Executor1>&& other) : executor_(other.get_executor())
  {
    take_over(std::move(other));
  }

  template <class Protocol1, class Executor1>
    requires std::convertible_to<Protocol1, Protocol> && std::convertible_to<Executor1, Executor>
  basic_socket& operator=(basic_socket<Protocol1, Executor1>&& other)
  {
    shut_down();
    executor_ = executor_type(other.get_executor());
    take_over(std::move(other));
    return *this;
  }

  /// Takes one of Asio's sockets; its pending operations continue. An IPv6 socket is not
  /// dual-stack.
  template <class Protocol1, class Executor1>
    requires std::convertible_to<Protocol1, typename Protocol::native_protocol> &&
                 std::convertible_to<Executor1, Executor>
  basic_socket(net::basic_datagram_socket<Protocol1, Executor1>&& other)
      : executor_(other.get_executor()),
        state_(std::make_shared<state_type>(std::move(other), static_cast<Protocol*>(nullptr)))
  {
  }

  template <class Protocol1, class Executor1>
    requires std::convertible_to<Protocol1, typename Protocol::native_protocol> &&
             std::convertible_to<Executor1, Executor>
  basic_socket& operator=(net::basic_datagram_socket<Protocol1, Executor1>&& other)
  {
    return *this = basic_socket(std::move(other));
  }

  /// Moves the descriptor to one of Asio's sockets, such as
  /// `asio::generic::datagram_protocol::socket`. Pending operations complete with
  /// `operation_aborted`. A socket file stays.
  template <class Protocol1, class Executor1>
    requires std::convertible_to<typename Protocol::native_protocol, Protocol1> &&
             std::convertible_to<Executor, Executor1>
  operator net::basic_datagram_socket<Protocol1, Executor1>() &&  // NOLINT(*-explicit-*)
  {
    return net::basic_datagram_socket<Protocol1, Executor1>(state().give_up());
  }

  /// Closes the socket. Pending operations complete with `operation_aborted`.
  ~basic_socket() { shut_down(); }

  decltype(std::declval<next_layer_type&>().get_executor()) get_executor() noexcept
  {
    return executor_;
  }

  /// Asio's socket underneath, for functions that name its type. After this call, each operation
  /// asks the kernel for the peer, the local address and the options it depends on (about fifteen
  /// calls). So the socket notices what the caller changed through `next_layer()`. A descriptor
  /// that was opened there is not dual-stack. From this call on, synchronous sends and receives too
  /// belong on one thread at a time.
  next_layer_type& next_layer() { return state().share(); }
  const next_layer_type& next_layer() const { return state().socket; }
  lowest_layer_type& lowest_layer() { return next_layer().lowest_layer(); }
  const lowest_layer_type& lowest_layer() const { return next_layer().lowest_layer(); }

  bool is_open() const noexcept { return state_ && state_->socket.is_open(); }

  /// A reference that readers and writers hold. It stays valid when the socket is moved or
  /// destroyed.
  handle_type handle()
  {
    state();
    return handle_type(state_);
  }

  /// Returns the descriptor, which the socket keeps. The socket remembers its own traffic class, of
  /// which `send_options` may change a part. Call this again for each change of `IP_TOS` or
  /// `IPV6_TCLASS` with setsockopt(2): afterwards the socket reads the class again.
  native_handle_type native_handle()
  {
    state().forget_traffic_classes();
    return state().socket.native_handle();
  }

  // --- opening and closing ---

  /// Opens the socket. Errors: `already_open`, and those of socket(2).
  sync_result open(const protocol_type& protocol, error_code& ec)
  {
    state().open(protocol, ec);
    return sync_result(ec);
  }

  /// Opens an IPv4 socket if the caller passes no protocol.
  void open(const protocol_type& protocol = default_protocol())
  {
    call("open", [&](error_code& ec) { open(protocol, ec); });
  }

  /// Opens the socket and sets the options. If an option is refused, closes the socket again.
  sync_result open(const protocol_type& protocol, const socket_config& config, error_code& ec)
  {
    detail::failed_step step;
    open_as(protocol, config, step, ec);
    return sync_result(ec);
  }

  void open(const protocol_type& protocol, const socket_config& config)
  {
    error_code ec;
    detail::failed_step step;
    open_as(protocol, config, step, ec);
    step.throw_if(ec);
  }

  /// Opens the socket and binds it to all addresses of the host, as the constructor does. After an
  /// error the socket is closed. Errors: `already_open`, and those of socket(2), the options and
  /// bind(2).
  sync_result open(const any_address& local, const socket_config& config, error_code& ec)
    requires detail::dual_stack_protocol<Protocol>
  {
    detail::failed_step step;
    open_any(local, config, step, ec);
    return sync_result(ec);
  }

  void open(const any_address& local, const socket_config& config = {})
    requires detail::dual_stack_protocol<Protocol>
  {
    error_code ec;
    detail::failed_step step;
    open_any(local, config, step, ec);
    step.throw_if(ec);
  }

  /// Takes over an open descriptor, which this socket will close. Reads from the kernel whether it
  /// is connected and whether it coalesces. On error the descriptor still belongs to the caller.
  /// Errors:
  ///  - `already_open`, and those of getsockopt(2) and getpeername(2)
  ///  - `error::wrong_descriptor`: not a datagram socket, or one of another family
  ///  - `invalid_argument`: `protocol` is dual, but the descriptor is bound as IPv6 only
  sync_result assign(const protocol_type& protocol, const native_handle_type& descriptor,
                     error_code& ec)
  {
    state().assign(protocol, descriptor, ec);
    return sync_result(ec);
  }

  void assign(const protocol_type& protocol, const native_handle_type& descriptor)
  {
    call("assign", [&](error_code& ec) { assign(protocol, descriptor, ec); });
  }

  /// Returns the descriptor, still open, and gives up its ownership. Pending operations complete
  /// with `operation_aborted`. Errors: `bad_descriptor`; `operation_not_supported` if Asio cannot
  /// release (Windows before 8.1).
  native_handle_type release(error_code& ec)
  {
    if (!is_open()) {
      ec = net::error::bad_descriptor;
      return native_handle();
    }
    return state_->release(ec);
  }

  native_handle_type release()
  {
    return call("release", [&](error_code& ec) { return release(ec); });
  }

  /// Closes the socket. Pending operations complete with `operation_aborted`. Has no effect on a
  /// closed socket.
  sync_result close(error_code& ec)
  {
    ec.clear();
    if (state_) state_->close(ec);
    return sync_result(ec);
  }

  void close()
  {
    call("close", [&](error_code& ec) { close(ec); });
  }

  /// Completes pending operations with `operation_aborted`, even if their wake-up is already
  /// queued. An operation that has moved a datagram, or an `async_wait` that found the socket
  /// ready, keeps its result. The datagrams in a writer's queue are lost and counted. On a closed
  /// socket the error is `bad_descriptor`, but the socket's name lookups are cancelled.
  sync_result cancel(error_code& ec)
  {
    if (state_) state_->abort_operations();
    if (is_open())
      state_->socket.cancel(ec);
    else
      ec = net::error::bad_descriptor;
    return sync_result(ec);
  }

  void cancel()
  {
    call("cancel", [&](error_code& ec) { cancel(ec); });
  }

  // --- addresses ---

  /// Binds to a local endpoint. Port 0 asks for any free port. A port is exclusive unless the
  /// caller sets `reuse_address` or `reuse_port` first. For paths see `unix_dgram`. Errors: those
  /// of bind(2), such as `address_in_use`; `invalid_argument` if the socket is bound already, and
  /// the text of an exception says to what.
  sync_result bind(const endpoint_type& local, error_code& ec)
  {
    state().bind(local, ec);
    return sync_result(ec);
  }

  void bind(const endpoint_type& local)
  {
    error_code ec;
    bind(local, ec);
    if (!ec) return;
    error_code ignored;
    detail::raise_bind(ec, local, local_endpoint(ignored));
  }

  /// The same for the text of an endpoint, as the constructor takes it.
  template <detail::endpoint_text<Protocol> Text>
  sync_result bind(const Text& local, error_code& ec)
  {
    const auto endpoint = detail::endpoint_of_text<Protocol>(local, ec);
    if (!ec) bind(endpoint, ec);
    return sync_result(ec);
  }

  template <detail::endpoint_text<Protocol> Text>
  void bind(const Text& local)
  {
    bind(detail::endpoint_of_text<Protocol>("bind", local));
  }

  /// Sets the peer: the socket sends to it, and receives only its datagrams. A closed socket is
  /// opened with the peer's protocol. Errors: `error::bad_port` (port 0), `address_in_use` (no port
  /// is free), and those of connect(2).
  ///
  /// On a connected socket the kernel decides. All systems replace the peer. The socket discards
  /// pending errors and kept reports of the old peer, and what it learned about segmentation. If
  /// the call fails, Linux and Windows keep the old peer; macOS and the BSDs have ended the old
  /// association. Some things survive a change of peer:
  ///  - On Linux the source address stays that of the first `connect`, even if the route to the new
  ///    peer has another.
  ///  - On UDP the socket still receives datagrams of the old peer that are already queued.
  ///  - A dual-stack socket that is connected to an IPv4 peer refuses an IPv6 peer
  ///    (`address_family_not_supported` on Linux).
  ///  - Datagrams that wait to be sent go to the new peer.
  ///
  /// `reconnect` avoids the first three.
  sync_result connect(const endpoint_type& peer, error_code& ec)
  {
    state().connect(peer, ec);
    return sync_result(ec);
  }

  void connect(const endpoint_type& peer)
  {
    call("connect", peer, [&](error_code& ec) { connect(peer, ec); });
  }

  /// The same for the text of an endpoint, as the constructor takes it.
  template <detail::endpoint_text<Protocol> Text>
  sync_result connect(const Text& peer, error_code& ec)
  {
    const auto endpoint = detail::endpoint_of_text<Protocol>(peer, ec);
    if (!ec) connect(endpoint, ec);
    return sync_result(ec);
  }

  template <detail::endpoint_text<Protocol> Text>
  void connect(const Text& peer)
  {
    connect(detail::endpoint_of_text<Protocol>("connect", peer));
  }

  /// Sets another peer: `disconnect` if the socket is connected, then `connect`. The local port
  /// stays; the system chooses the source address anew. The socket discards queued datagrams of
  /// other senders. A reader keeps datagrams of the old peer that it has already received. Errors:
  /// those of `disconnect` and `connect`. After an error the socket has no peer, except that
  /// `error::bad_port` changes nothing.
  sync_result reconnect(const endpoint_type& peer, error_code& ec)
  {
    state().reconnect(peer, ec);
    return sync_result(ec);
  }

  void reconnect(const endpoint_type& peer)
  {
    call("reconnect", peer, [&](error_code& ec) { reconnect(peer, ec); });
  }

  /// The same for the text of an endpoint, as the constructor takes it.
  template <detail::endpoint_text<Protocol> Text>
  sync_result reconnect(const Text& peer, error_code& ec)
  {
    const auto endpoint = detail::endpoint_of_text<Protocol>(peer, ec);
    if (!ec) reconnect(endpoint, ec);
    return sync_result(ec);
  }

  template <detail::endpoint_text<Protocol> Text>
  void reconnect(const Text& peer)
  {
    reconnect(detail::endpoint_of_text<Protocol>("reconnect", peer));
  }

  /// Ends the association with the peer; the local port stays. Errors: `not_connected`,
  /// `bad_descriptor`, and `address_in_use` if Linux released the port and another socket took it.
  sync_result disconnect(error_code& ec)
  {
    state().disconnect(ec);
    return sync_result(ec);
  }

  void disconnect()
  {
    call("disconnect", [&](error_code& ec) { disconnect(ec); });
  }

  /// The bound address. Unspecified until bind, send or connect gives the socket an address.
  endpoint_type local_endpoint(error_code& ec) const
  {
    const auto native = state().local_endpoint(ec);
    return ec ? endpoint_type() : state().from_native(native);
  }

  endpoint_type local_endpoint() const
  {
    return call("local_endpoint", [&](error_code& ec) { return local_endpoint(ec); });
  }

  /// The peer. Errors: `not_connected`, `bad_descriptor`.
  endpoint_type remote_endpoint(error_code& ec) const
  {
    const auto native = state().socket.remote_endpoint(ec);
    return ec ? endpoint_type() : state().from_native(native);
  }

  endpoint_type remote_endpoint() const
  {
    return call("remote_endpoint", [&](error_code& ec) { return remote_endpoint(ec); });
  }

  // --- other properties of the descriptor (see option_operations.hpp for options) ---

  template <class Command>
  sync_result io_control(Command& command, error_code& ec)
  {
    state().socket.io_control(command, ec);
    return sync_result(ec);
  }

  template <class Command>
  void io_control(Command& command)
  {
    call("io_control", [&](error_code& ec) { io_control(command, ec); });
  }

  bool non_blocking() const { return state().socket.non_blocking(); }
  sync_result non_blocking(bool on, error_code& ec)
  {
    ec.clear();
    if (!on) state().refuse_of_member(ec);
    if (!ec) state().socket.non_blocking(on, ec);
    return sync_result(ec);
  }
  void non_blocking(bool on)
  {
    call("non_blocking", [&](error_code& ec) { non_blocking(on, ec); });
  }

  bool native_non_blocking() const { return state().socket.native_non_blocking(); }
  sync_result native_non_blocking(bool on, error_code& ec)
  {
    ec.clear();
    if (!on) state().refuse_of_member(ec);
    if (!ec) state().socket.native_non_blocking(on, ec);
    return sync_result(ec);
  }
  void native_non_blocking(bool on)
  {
    call("native_non_blocking", [&](error_code& ec) { native_non_blocking(on, ec); });
  }

  bool at_mark(error_code& ec) const { return state().socket.at_mark(ec); }
  bool at_mark() const
  {
    return call("at_mark", [&](error_code& ec) { return at_mark(ec); });
  }

  /// The size of the next datagram in bytes; except on Linux, the size of all queued datagrams.
  /// Returns 0 if none is queued or the next one is empty.
  std::size_t available(error_code& ec) const { return state().socket.available(ec); }
  std::size_t available() const
  {
    return call("available", [&](error_code& ec) { return available(ec); });
  }

  sync_result shutdown(net::socket_base::shutdown_type what, error_code& ec)
  {
    state().socket.shutdown(what, ec);
    return sync_result(ec);
  }
  void shutdown(net::socket_base::shutdown_type what)
  {
    call("shutdown", [&](error_code& ec) { shutdown(what, ec); });
  }

  /// The path MTU to `peer`, as far as this host knows: the largest packet in bytes, IP header
  /// included. This is the interface's MTU until an ICMP message reports a smaller one. A connected
  /// socket ignores `peer` and returns the MTU to its own peer. Errors: `operation_not_supported`
  /// except on Linux, and those of connect(2) to `peer`.
  std::size_t path_mtu(const endpoint_type& peer, error_code& ec)
  {
    return state().path_mtu(peer, ec);
  }

  std::size_t path_mtu(const endpoint_type& peer)
  {
    return call("path_mtu", peer, [&](error_code& ec) { return path_mtu(peer, ec); });
  }

  /// Waits until the socket is readable, writable or has an error.
  sync_result wait(net::socket_base::wait_type what, error_code& ec)
  {
    state().socket.wait(what, ec);
    return sync_result(ec);
  }
  void wait(net::socket_base::wait_type what)
  {
    call("wait", [&](error_code& ec) { wait(what, ec); });
  }

  // --- asynchronous waits (see single_operations.hpp for all asynchronous operations) ---

  /// Waits until the socket is readable, writable or has an error. A wake-up is no promise: the
  /// datagram may be gone, or its checksum may be wrong.
  ///
  /// Completion: `void(error_code)`. Errors: `operation_aborted`, `bad_descriptor`. Cancellation:
  /// terminal, partial and total; no side effect.
  ///
  /// \code
  /// co_await socket.async_wait(dgram::udp::socket::wait_read, asio::use_awaitable);
  /// std::optional<std::size_t> size = socket.try_receive_from(asio::buffer(storage), sender);
  /// \endcode
  template <net::completion_token_for<void(error_code)> Token = default_token>
  auto async_wait(net::socket_base::wait_type what, Token&& token = default_token())
  {
    return detail::initiate<void(error_code)>(
        target(),
        [](state_type& state, auto&& handler, net::socket_base::wait_type wait_for) {
          detail::pass_on(state, std::forward<decltype(handler)>(handler),
                          [wait_for](state_type& on, auto&& inner) {
                            on.socket.async_wait(wait_for, std::forward<decltype(inner)>(inner));
                          });
        },
        std::forward<Token>(token), what);
  }

  /// As `connect`. UDP exchanges no packets to connect, so the operation completes at once.
  ///
  /// Completion: `void(error_code)`. Errors: as for `connect`. Cancellation: none, it is done at
  /// launch.
  ///
  /// \code
  /// co_await socket.async_connect(dgram::parse_endpoint("127.0.0.1:53"), asio::use_awaitable);
  /// \endcode
  template <net::completion_token_for<void(error_code)> Token = default_token>
  auto async_connect(const endpoint_type& peer, Token&& token = default_token())
  {
    return detail::initiate<void(error_code)>(
        target(),
        [](state_type& state, auto&& handler, const endpoint_type& to) {
          detail::start_transfer(state, detail::connect_attempt<endpoint_type>(to),
                                 std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), peer);
  }

private:
  template <class, class>
  friend class basic_socket;
  friend detail::trying_operations<basic_socket, Protocol>;
  friend detail::single_operations<basic_socket, Protocol, Executor>;
  friend detail::batch_operations<basic_socket, Protocol, Executor>;
  friend detail::option_operations<basic_socket, Protocol>;
  friend detail::group_operations<basic_socket>;

  /// Finds the block when the operation is launched, as Asio's own sockets do. A `deferred`
  /// operation may be launched long after it was created.
  class launch_target {
  public:
    explicit launch_target(const basic_socket& socket) noexcept : socket_(&socket) {}
    state_type& state() const { return socket_->state(); }

  private:
    const basic_socket* socket_;
  };

  launch_target target() const noexcept { return launch_target(*this); }

  /// A moved-from socket has no block until it is used again.
  state_type& state() const
  {
    if (!state_) make_state();
    return *state_;
  }

  void make_state() const;
  void shut_down() noexcept;

  template <class Other>
  void take_over(Other&& other)
  {
    state_.reset();
    if (!other.state_) return;
    auto& from = *other.state_;
    error_code ignored;
    from.abort_operations();
    if (from.socket.is_open()) from.socket.cancel(ignored);
    state_ = std::make_shared<state_type>(next_layer_type(std::move(from.socket)));
    state_->take_over(from);
    other.state_.reset();
  }

  void open_as(const protocol_type& protocol, const socket_config& config,
               detail::failed_step& step, error_code& ec)
  {
    detail::open_configured(*this, protocol, config, step, ec);
    if constexpr (detail::path_protocol<Protocol>)
      if (!ec && config.file_mode != 0) state().bound.set_mode(native_handle(), config.file_mode);
  }

  /// An open socket keeps its descriptor, whatever `open_any` would do with one of its own.
  void open_any(const any_address& local, const socket_config& config, detail::failed_step& step,
                error_code& ec)
  {
    if (is_open())
      ec = net::error::already_open;
    else
      detail::open_any(*this, local, config, step, ec);
  }

  static protocol_type default_protocol()
  {
    if constexpr (requires { protocol_type::v4(); })
      return protocol_type::v4();
    else
      return protocol_type();
  }

  template <class Function>
  static auto call(const char* what, Function function)
  {
    return detail::throwing(what, function);
  }

  /// The same. The text names the endpoint.
  template <class Function>
  static auto call(const char* what, const endpoint_type& subject, Function function)
  {
    return detail::throwing(what, subject, function);
  }

  executor_type executor_;
  mutable std::shared_ptr<state_type> state_;
};

// Outside the class, because `extern template` does not keep inline functions out of a unit.

template <class Protocol, class Executor>
basic_socket<Protocol, Executor>::basic_socket(const executor_type& executor)
    : executor_(executor), state_(std::make_shared<state_type>(executor))
{
}

template <class Protocol, class Executor>
basic_socket<Protocol, Executor>::basic_socket(const executor_type& executor,
                                               const protocol_type& protocol,
                                               const socket_config& config)
    : basic_socket(executor)
{
  open(protocol, config);
}

template <class Protocol, class Executor>
basic_socket<Protocol, Executor>::basic_socket(const executor_type& executor,
                                               const protocol_type& protocol)
    : basic_socket(executor)
{
  open(protocol);
}

template <class Protocol, class Executor>
basic_socket<Protocol, Executor>::basic_socket(const executor_type& executor,
                                               const endpoint_type& local,
                                               const socket_config& config)
    : basic_socket(executor, protocol_type(local.protocol()), config)
{
  bind(local);
}

template <class Protocol, class Executor>
basic_socket<Protocol, Executor>::basic_socket(const executor_type& executor,
                                               const endpoint_type& local)
    : basic_socket(executor, protocol_type(local.protocol()))
{
  bind(local);
}

template <class Protocol, class Executor>
void basic_socket<Protocol, Executor>::make_state() const
{
  state_ = std::make_shared<state_type>(executor_);
}

template <class Protocol, class Executor>
void basic_socket<Protocol, Executor>::shut_down() noexcept
{
  error_code ignored;
  if (state_) state_->close(ignored);
}

DGRAM_NAMESPACE_END

#endif
