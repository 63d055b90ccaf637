// SPDX-License-Identifier: BSL-1.0
// The datagram socket: Asio's, with batches, dual stack, options that check, and pending operations
// that survive it.
#ifndef DGRAM_BASIC_SOCKET_HPP
#define DGRAM_BASIC_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/detail/socket/batch_operations.hpp>
#include <dgram/detail/socket/initiation.hpp>
#include <dgram/detail/socket/membership.hpp>
#include <dgram/detail/socket/opening.hpp>
#include <dgram/detail/socket/option_access.hpp>
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
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// A datagram socket.
///
/// It has every operation of `asio::basic_datagram_socket`, with the same signatures and meaning,
/// and can stand where one stood; a function that names Asio's type takes `next_layer()`. What
/// differs, on purpose:
///  - batches and writers refuse an address on a connected socket (`already_connected`), on every
///    system. For `connect` and for the sends of one datagram the kernel decides: see there, and
///    `reconnect`.
///  - a dual-stack socket (`udp::dual()`) takes and gives plain IPv4 endpoints.
///  - moving a socket leaves its pending operations pending; moving it into one of another executor
///    type completes them with `operation_aborted`.
///  - options check their values: see `option`.
///
/// **Pending operations** hold what they need: the socket may be moved, closed or destroyed while
/// they are pending or while their completion is queued. Closing, destroying, `cancel`, `release`
/// and moving another socket over this one complete them with `operation_aborted`.
///
/// **Errors** come twice: thrown as `system_error`, or in an `error_code&`. A closed socket is
/// `bad_descriptor`. Functions that take an `error_code&` and have no other result also return the
/// error code, as Asio's do; with `ASIO_NO_DEPRECATED`, Asio's return nothing, and neither do
/// these.
///
/// **Cancellation**: every asynchronous operation honours its slot for terminal, partial and total
/// cancellation. None loses a datagram: it completes with `operation_aborted` only where nothing
/// was received or sent.
///
/// **Thread safety**: distinct sockets are safe. One socket is not: its calls and its completions
/// belong on one strand, which is implicit where one thread runs the context. As with Asio, the
/// synchronous `send`, `send_to`, `receive`, `receive_from`, `connect` and `shutdown` of one open
/// socket may run in several threads at the same time, if they take flags or nothing (no
/// `send_options`, reply path or info) and the socket has no `option::receive_error`; its counts
/// may miss some of them.
///
/// Operations passed to `next_layer()` by hand bypass all this, except that the next call on the
/// socket notices what they changed. A socket file stays if the socket is closed there.
template <class Protocol, class Executor>
class basic_socket
    : public net::socket_base,
      public detail::single_operations<basic_socket<Protocol, Executor>, Protocol, Executor>,
      public detail::batch_operations<basic_socket<Protocol, Executor>, Protocol, Executor> {
  using state_type = detail::socket_state<Protocol, Executor>;
  using sync_result = detail::sync_result;

public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using executor_type = Executor;
  // Named without the block, whose type a program that only holds sockets need not instantiate.
  using next_layer_type = detail::inner_socket<Protocol, Executor>;
  using lowest_layer_type = typename next_layer_type::lowest_layer_type;
  using native_handle_type = typename next_layer_type::native_handle_type;
  using default_token = default_token_t<Executor>;

  /// What keeps batches going while the socket is moved: see `handle`.
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

  /// An open socket that is not bound. Throws what `open` and the options report.
  basic_socket(const executor_type& executor, const protocol_type& protocol,
               const socket_config& config = {});

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const protocol_type& protocol, const socket_config& config = {})
      : basic_socket(executor_type(context.get_executor()), protocol, config)
  {
  }

  /// An open socket that is bound to `local`. Throws what `open`, the options and `bind` report.
  basic_socket(const executor_type& executor, const endpoint_type& local,
               const socket_config& config = {});

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const endpoint_type& local, const socket_config& config = {})
      : basic_socket(executor_type(context.get_executor()), local, config)
  {
  }

  /// The same for the text of an endpoint: `address:port` (see `parse_endpoint`), or of a Unix
  /// socket a path or `@name` for an abstract name (see `parse_unix_endpoint`). Their errors are
  /// thrown too.
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

  /// Takes the other's descriptor and its pending operations, which go on. The other is closed
  /// afterwards and can be opened again.
  basic_socket(basic_socket&& other) noexcept
      // NOLINTNEXTLINE(performance-move-constructor-init): the other keeps its executor
      : executor_(other.executor_), state_(std::move(other.state_))
  {
  }

  /// Closes this socket, whose pending operations complete with `operation_aborted`; then as above.
  basic_socket& operator=(basic_socket&& other) noexcept
  {
    if (this != &other) {
      shut_down();
      executor_ = other.executor_;
      state_ = std::move(other.state_);
    }
    return *this;
  }

  /// Takes the descriptor of a socket of another executor type; its pending operations complete
  /// with `operation_aborted`.
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

  /// Takes one of Asio's sockets, whose pending operations go on. An IPv6 socket is not dual-stack.
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

  /// Gives the descriptor to one of Asio's sockets, such as
  /// `asio::generic::datagram_protocol::socket`; pending operations complete with
  /// `operation_aborted`. A socket file stays.
  template <class Protocol1, class Executor1>
    requires std::convertible_to<typename Protocol::native_protocol, Protocol1> &&
             std::convertible_to<Executor, Executor1>
  operator net::basic_datagram_socket<Protocol1, Executor1>() &&  // NOLINT(*-explicit-*)
  {
    return net::basic_datagram_socket<Protocol1, Executor1>(state().give_up());
  }

  /// Closes the socket; pending operations complete with `operation_aborted`.
  ~basic_socket() { shut_down(); }

  decltype(std::declval<next_layer_type&>().get_executor()) get_executor() noexcept
  {
    return executor_;
  }

  /// Asio's socket underneath, for functions that name its type. What calls on it change is
  /// noticed: since the socket was handed out, each operation asks the kernel for the peer, the
  /// local address and the options that matter to it, in about fifteen system calls. A descriptor
  /// that was opened there is not dual-stack. From then on, also synchronous sends and receives
  /// belong on one thread at a time.
  next_layer_type& next_layer() { return state().share(); }
  const next_layer_type& next_layer() const { return state().socket; }
  lowest_layer_type& lowest_layer() { return next_layer().lowest_layer(); }
  const lowest_layer_type& lowest_layer() const { return next_layer().lowest_layer(); }

  bool is_open() const noexcept { return state_ && state_->socket.is_open(); }

  /// A reference that readers and writers hold; it stays valid when the socket is moved or
  /// destroyed.
  handle_type handle()
  {
    state();
    return handle_type(state_);
  }

  native_handle_type native_handle() { return state().socket.native_handle(); }

  // --- opening and closing ---

  /// Opens the socket. Errors: `already_open`, and what socket(2) reports.
  sync_result open(const protocol_type& protocol, error_code& ec)
  {
    state().open(protocol, ec);
    return sync_result(ec);
  }

  /// Opens an IPv4 socket where nothing is said.
  void open(const protocol_type& protocol = default_protocol())
  {
    call("open", [&](error_code& ec) { open(protocol, ec); });
  }

  /// Opens the socket and sets the options; where one is refused, the socket is closed again.
  sync_result open(const protocol_type& protocol, const socket_config& config, error_code& ec)
  {
    std::string refused;
    detail::open_configured(*this, protocol, config, refused, ec);
    return sync_result(ec);
  }

  void open(const protocol_type& protocol, const socket_config& config)
  {
    error_code ec;
    std::string refused;
    detail::open_configured(*this, protocol, config, refused, ec);
    if (!refused.empty()) detail::throw_if(ec, "open", refused);
    detail::throw_if(ec, "open");
  }

  /// Takes over an open descriptor, which this socket will close, and reads back what it is:
  /// connected or not, coalescing or not. Where it is refused it still belongs to the caller.
  ///
  /// Errors: `already_open`, `error::wrong_descriptor` (not a datagram socket, or one of another
  /// family), and what getsockopt(2) and getpeername(2) report; `invalid_argument` where `protocol`
  /// is dual and the socket is bound as IPv6 only.
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

  /// Gives the descriptor up, open; pending operations complete with `operation_aborted`.
  /// Errors: `bad_descriptor`, and `operation_not_supported` where Asio cannot (Windows before
  /// 8.1).
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

  /// Closes the socket; pending operations complete with `operation_aborted`. Closing a closed
  /// socket does nothing.
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

  /// Completes pending operations with `operation_aborted`, also those whose wake-up is queued
  /// already, unless they have moved a datagram or, for `async_wait`, found the socket ready. What
  /// a writer has queued is lost, and counted. Error: `bad_descriptor`; a name that is looked up
  /// for a closed socket is given up all the same.
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

  /// Binds to a local endpoint; port 0 asks for any free one. A port is exclusive unless
  /// `reuse_address` or `reuse_port` is set before. For paths see `unix_dgram`. Errors: those of
  /// bind(2), such as `address_in_use`.
  sync_result bind(const endpoint_type& local, error_code& ec)
  {
    state().bind(local, ec);
    return sync_result(ec);
  }

  void bind(const endpoint_type& local)
  {
    call("bind", local, [&](error_code& ec) { bind(local, ec); });
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

  /// Fixes the peer: sends go to it, and only its datagrams are received. Opens a closed socket,
  /// with the peer's protocol. Errors: `error::bad_port` (0), `address_in_use` (no port is free),
  /// and those of connect(2).
  ///
  /// On a connected socket the kernel decides. All systems replace the peer. Pending errors and
  /// kept reports of the old peer are forgotten, and so is what was learned of segmentation. If it
  /// fails, Linux and Windows keep the old peer; macOS and the BSDs have ended the old association
  /// then. What a socket keeps of it all the same:
  ///  - The source address stays that of the first `connect` on Linux, even if the way to the new
  ///    peer has another one.
  ///  - Datagrams of the old peer that were queued still come, on UDP.
  ///  - A dual-stack socket that is connected to an IPv4 peer refuses an IPv6 one
  ///    (`address_family_not_supported` on Linux).
  ///  - What waits to be sent goes to the new peer.
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

  /// Fixes another peer: `disconnect`, if the socket is connected, and `connect`. The port stays;
  /// the source address is chosen anew. Datagrams that others than the new peer have sent are
  /// discarded. If the socket was not connected, this is `connect`. Errors: those of `disconnect`
  /// and `connect`; the socket has no peer then, except after `error::bad_port`, which changes
  /// nothing. A reader may have received datagrams of the old peer before; they stay.
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
  /// `bad_descriptor`, and `address_in_use` where Linux had given the port up and another socket
  /// was faster.
  sync_result disconnect(error_code& ec)
  {
    state().disconnect(ec);
    return sync_result(ec);
  }

  void disconnect()
  {
    call("disconnect", [&](error_code& ec) { disconnect(ec); });
  }

  /// The bound address; the unspecified one before bind, send or connect gave the socket one.
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

  // --- options ---

  /// Sets an option: one of `dgram::option`, of which a dual-stack socket gets both parts or, where
  /// one is refused, none; or any of Asio's, of which it gets the IPv6 part.
  /// Errors: `error::out_of_range` and others of the option's own check, `operation_not_supported`
  /// where the system has no such option, and those of setsockopt(2). What is thrown names the
  /// option and its value.
  template <class Option>
  sync_result set_option(const Option& option, error_code& ec)
  {
    ec.clear();
    if constexpr (std::same_as<Option, option::v6_only>)
      if (option && state().flags.dual) ec = net::error::invalid_argument;
    if (ec) return sync_result(ec);
    // Times of sends are in the same queue, which the kernel empties when it is told to report no
    // more errors.
    if constexpr (std::same_as<Option, option::receive_error>)
      if (state().reads_reports()) state().take_reports();
    if constexpr (std::same_as<Option, option::coalescing>)
      state().set_coalescing(option.value(), ec);
    else if constexpr (std::same_as<Option, option::receive_timestamp>)
      state().set_timestamps(native_handle(), option.value(), state().flags.send_timestamps, ec);
    else if constexpr (detail::own_option<Option>)
      detail::set_option<Protocol>(state().socket, state().flags.dual, option, ec);
    else
      state().socket.set_option(option, ec);
    if constexpr (std::same_as<Option, option::multicast_interface>)
      if (!ec) state().multicast_interface = option.index();
    if constexpr (requires { Option::metadata; })
      if (!ec) note_metadata(option);
    return sync_result(ec);
  }

  template <class Option>
  void set_option(const Option& option)
  {
    error_code ec;
    set_option(option, ec);
    if constexpr (detail::own_option<Option>) {
      if (ec) detail::throw_if(ec, "set_option", to_string(option));
    }
    detail::throw_if(ec, "set_option");
  }

  /// Reads an option; of one with two parts, that of the socket's family (IPv6 on a dual-stack
  /// socket). Errors: `operation_not_supported` where the system has no such option, and those of
  /// getsockopt(2).
  template <class Option>
  sync_result get_option(Option& option, error_code& ec) const
  {
    if constexpr (std::same_as<Option, option::multicast_interface> &&
                  detail::dual_stack_protocol<Protocol>) {
      const bool remembered = is_ipv4(ec);
      if (remembered) option.assign(state().multicast_interface);
      if (remembered || ec) return sync_result(ec);
    }
    state().socket.get_option(option, ec);
    if constexpr (detail::own_option<Option>) detail::name_unsupported(ec);
    return sync_result(ec);
  }

  template <class Option>
  void get_option(Option& option) const
  {
    error_code ec;
    get_option(option, ec);
    if constexpr (detail::own_option<Option>) detail::throw_if(ec, "get_option", Option::label);
    detail::throw_if(ec, "get_option");
  }

  /// The size of the kernel's receive queue in bytes, as the kernel counts: on Linux twice what was
  /// asked for, since it reckons its own overhead in (socket(7)).
  std::size_t get_receive_buffer_size(error_code& ec)
  {
    return buffer_size(platform::names::receive_buffer, ec);
  }

  std::size_t get_receive_buffer_size()
  {
    return call("get_receive_buffer_size",
                [&](error_code& ec) { return get_receive_buffer_size(ec); });
  }

  /// Asks for `size` bytes (at least 1) and returns what took effect: the kernel limits it in
  /// silence (`net.core.rmem_max` on Linux). Errors: `error::out_of_range`, `bad_descriptor`.
  std::size_t set_receive_buffer_size(int size, error_code& ec)
  {
    set_option(option::receive_buffer_size(size), ec);
    return ec ? 0 : get_receive_buffer_size(ec);
  }

  std::size_t set_receive_buffer_size(int size)
  {
    return call("set_receive_buffer_size",
                [&](error_code& ec) { return set_receive_buffer_size(size, ec); });
  }

  /// The same beyond the system's limit, where the process may
  /// (`option::forced_receive_buffer_size`). Errors: `no_permission`, `operation_not_supported`,
  /// and those of `set_receive_buffer_size`.
  std::size_t force_receive_buffer_size(int size, error_code& ec)
  {
    set_option(option::forced_receive_buffer_size(size), ec);
    return ec ? 0 : get_receive_buffer_size(ec);
  }

  std::size_t force_receive_buffer_size(int size)
  {
    return call("force_receive_buffer_size",
                [&](error_code& ec) { return force_receive_buffer_size(size, ec); });
  }

  /// The size of the kernel's send queue in bytes; see `get_receive_buffer_size`.
  std::size_t get_send_buffer_size(error_code& ec)
  {
    return buffer_size(platform::names::send_buffer, ec);
  }

  std::size_t get_send_buffer_size()
  {
    return call("get_send_buffer_size", [&](error_code& ec) { return get_send_buffer_size(ec); });
  }

  std::size_t set_send_buffer_size(int size, error_code& ec)
  {
    set_option(option::send_buffer_size(size), ec);
    return ec ? 0 : get_send_buffer_size(ec);
  }

  std::size_t set_send_buffer_size(int size)
  {
    return call("set_send_buffer_size",
                [&](error_code& ec) { return set_send_buffer_size(size, ec); });
  }

  std::size_t force_send_buffer_size(int size, error_code& ec)
  {
    set_option(option::forced_send_buffer_size(size), ec);
    return ec ? 0 : get_send_buffer_size(ec);
  }

  std::size_t force_send_buffer_size(int size)
  {
    return call("force_send_buffer_size",
                [&](error_code& ec) { return force_send_buffer_size(size, ec); });
  }

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
    state().socket.non_blocking(on, ec);
    return sync_result(ec);
  }
  void non_blocking(bool on)
  {
    call("non_blocking", [&](error_code& ec) { non_blocking(on, ec); });
  }

  bool native_non_blocking() const { return state().socket.native_non_blocking(); }
  sync_result native_non_blocking(bool on, error_code& ec)
  {
    state().socket.native_non_blocking(on, ec);
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

  /// The size of the next datagram in bytes (Linux; elsewhere of all that are queued); 0 where
  /// there is none or it is empty.
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

  // --- multicast ---
  //
  // A group may have a source, and then stands for what that host sends to it. A dual-stack socket
  // takes groups of both families. `membership` is a join that ends itself. What is thrown names
  // the group and the interface.

  /// Joins a group on an interface; without one the operating system chooses it. Errors:
  /// `error::not_multicast`, `error::bad_source`, `error::unknown_interface`,
  /// `error::no_multicast`, `address_family_not_supported` (a group or a source of the other
  /// family), `address_in_use` (joined already; with a source EADDRNOTAVAIL), `no_such_device` (no
  /// route to choose by), `no_buffer_space` (too many: `igmp_max_memberships`, ip(7)).
  ///
  /// On `network_interface::all()` it is joined on every interface that is up, has multicast and an
  /// address of the group's family, but loopback; one that appears later takes another call. Where
  /// one refuses, those that were joined are left and the error is told; being a member there
  /// already is none, unless nothing new was joined.
  sync_result join(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    change_membership(detail::membership_change::join, group, interface, ec);
    return sync_result(ec);
  }

  sync_result join(const multicast_group& group, error_code& ec)
  {
    join(group, network_interface(), ec);
    return sync_result(ec);
  }

  void join(const multicast_group& group, const network_interface& interface = network_interface())
  {
    change_membership("join", detail::membership_change::join, group, interface);
  }

  /// Leaves a group that was joined on that interface, or on all of them. Errors: as for `join`;
  /// where it was not joined EADDRNOTAVAIL, with a source EINVAL. Closing the socket leaves all its
  /// groups. An interface is meant that was called so when the group was joined, whatever has
  /// become of it: what was joined can be left if it is gone or renamed.
  sync_result leave(const multicast_group& group, const network_interface& interface,
                    error_code& ec)
  {
    change_membership(detail::membership_change::leave, group, interface, ec);
    return sync_result(ec);
  }

  sync_result leave(const multicast_group& group, error_code& ec)
  {
    leave(group, network_interface(), ec);
    return sync_result(ec);
  }

  void leave(const multicast_group& group, const network_interface& interface = network_interface())
  {
    change_membership("leave", detail::membership_change::leave, group, interface);
  }

  /// Keeps what the group's source sends to it away from this socket, which has joined the group
  /// without one on that interface. Errors: `error::bad_source` also where the group has none;
  /// EINVAL where it was not joined; EADDRNOTAVAIL where the source is blocked already; otherwise
  /// as for `join`.
  ///
  /// \code
  /// socket.join(dgram::multicast_group{"239.1.2.3"});
  /// socket.block(dgram::multicast_group{"239.1.2.3", "10.0.0.7"});
  /// \endcode
  sync_result block(const multicast_group& group, const network_interface& interface,
                    error_code& ec)
  {
    change_membership(detail::membership_change::block, group, interface, ec);
    return sync_result(ec);
  }

  sync_result block(const multicast_group& group, error_code& ec)
  {
    block(group, network_interface(), ec);
    return sync_result(ec);
  }

  void block(const multicast_group& group, const network_interface& interface = network_interface())
  {
    change_membership("block", detail::membership_change::block, group, interface);
  }

  /// Ends what `block` began. Errors: as there; EADDRNOTAVAIL where the source is not blocked.
  sync_result unblock(const multicast_group& group, const network_interface& interface,
                      error_code& ec)
  {
    change_membership(detail::membership_change::unblock, group, interface, ec);
    return sync_result(ec);
  }

  sync_result unblock(const multicast_group& group, error_code& ec)
  {
    unblock(group, network_interface(), ec);
    return sync_result(ec);
  }

  void unblock(const multicast_group& group,
               const network_interface& interface = network_interface())
  {
    change_membership("unblock", detail::membership_change::unblock, group, interface);
  }

  /// The largest packet that the way to `peer` takes, as far as this host knows, in bytes, IP
  /// header included: that of the interface, until an ICMP message tells of less. On a connected
  /// socket `peer` is not looked at. Linux; elsewhere `operation_not_supported`. Errors else: those
  /// of connect(2) for such a peer.
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

  // --- asynchronous waits; what holds for all asynchronous operations is in single_operations.hpp
  // ---

  /// Waits until the socket is readable, writable or has an error. A wake-up is no promise: the
  /// datagram may be gone, or may have failed its checksum.
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

  /// As `connect`. UDP connects without a word to the peer, so this completes at once.
  ///
  /// Completion: `void(error_code)`. Errors: as for `connect`. Cancellation: none, it is done when
  /// it is launched.
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
          detail::compose<void(error_code)>(state, detail::connect_attempt<endpoint_type>(to),
                                            std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), peer);
  }

private:
  template <class, class>
  friend class basic_socket;
  friend detail::single_operations<basic_socket, Protocol, Executor>;
  friend detail::batch_operations<basic_socket, Protocol, Executor>;

  /// Finds the block when an operation is launched, which may be long after it was made
  /// (`deferred`): it is the socket's as that is then, as with Asio's own sockets.
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

  static protocol_type default_protocol()
  {
    if constexpr (requires { protocol_type::v4(); })
      return protocol_type::v4();
    else
      return protocol_type();
  }

  bool is_ipv4(error_code& ec) const
  {
    const int family = state().family(ec);
    return !ec && family != platform::names::ipv6_family;
  }

  template <class Option>
  void note_metadata(const Option& option)
  {
    state().note_metadata(Option::metadata, option.value());
    if constexpr (std::same_as<Option, option::receive_error>)
      state().set_receives_errors(option.value());
    if constexpr (std::same_as<Option, option::receive_drop_count>)
      state().note_drops(native_handle());
    // An IPv6 socket may take IPv4 datagrams, in the mapped form.
    error_code ignored;
    if constexpr (detail::dual_stack_protocol<Protocol>) {
      const auto v4 = Protocol::native_protocol::v4();
      const int family = state().family(ignored);
      if (!ignored && family == platform::names::ipv6_family && !state().flags.dual)
        platform::set_option(native_handle(), option.level(v4), option.name(v4), option.data(v4),
                             option.size(v4), ignored);
    }
  }

  std::size_t buffer_size(int name, error_code& ec)
  {
    const int size =
        platform::get_int_option(native_handle(), platform::names::socket_level, name, ec);
    return ec ? 0 : static_cast<std::size_t>(size);
  }

  void change_membership(detail::membership_change change, const multicast_group& group,
                         const network_interface& interface, error_code& ec)
  {
    state().change_membership(change, group, interface, ec);
  }

  /// The same, throwing; the text names the group and the interface.
  void change_membership(const char* what, detail::membership_change change,
                         const multicast_group& group, const network_interface& interface)
  {
    error_code ec;
    change_membership(change, group, interface, ec);
    if (ec) detail::throw_if(ec, what, to_string(detail::membership_subject{group, interface}));
  }

  template <class Function>
  static auto call(const char* what, Function function)
  {
    return detail::throwing(what, function);
  }

  /// The same, and names the endpoint in the text.
  template <class Function>
  static auto call(const char* what, const endpoint_type& subject, Function function)
  {
    return detail::throwing(what, subject, function);
  }

  executor_type executor_;
  mutable std::shared_ptr<state_type> state_;
};

// Outside of the class: `extern template` does not keep inline functions out of a unit.

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
                                               const endpoint_type& local,
                                               const socket_config& config)
    : basic_socket(executor, protocol_type(local.protocol()), config)
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
