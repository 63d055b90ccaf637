// SPDX-License-Identifier: BSL-1.0
// The datagram socket: Asio's, with batches, dual stack, options that check, and pending operations that survive it.
#ifndef DGRAM_BASIC_SOCKET_HPP
#define DGRAM_BASIC_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/detail/socket/batch_operations.hpp>
#include <dgram/detail/socket/initiation.hpp>
#include <dgram/detail/socket/membership.hpp>
#include <dgram/detail/socket/option_access.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/fwd.hpp>
#include <dgram/multicast.hpp>
#include <dgram/option.hpp>
#include <dgram/path_error.hpp>
#include <dgram/send_options.hpp>
#include <dgram/socket_statistics.hpp>

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

/// How a socket is opened and bound. Everything is the operating system's default unless said otherwise.
///
/// \code
/// dgram::udp::socket socket{io, {dgram::udp::v6(), 5353}, {.reuse_address = true, .dual_stack = true}};
/// \endcode
struct socket_config {
  bool reuse_address = false;   ///< share the address with sockets that ask for it too
  bool reuse_port = false;      ///< spread the flows over the sockets that ask for it too
  bool dual_stack = false;      ///< serve IPv4 and IPv6 with one socket; see `udp::dual`
  bool v6_only = false;         ///< keep an IPv6 socket from taking IPv4 traffic
  bool broadcast = false;       ///< allow sending to broadcast addresses
  int receive_buffer_size = 0;  ///< bytes of the kernel's receive queue; 0 leaves the default
  int send_buffer_size = 0;     ///< bytes of the kernel's send queue; 0 leaves the default
};

/// A reference to an open or closed socket that survives the moving, closing and destruction of the socket, and then
/// finds it closed. It has the operations on batches; readers and writers hold one.
template <class Protocol, class Executor>
class basic_socket_handle
    : public detail::batch_operations<basic_socket_handle<Protocol, Executor>, Protocol, Executor> {
  using state_type = detail::socket_state<Protocol, Executor>;

public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using executor_type = Executor;

  /// The clock of the deadlines of what is built on the socket, and a timer that goes by it.
  using clock_type = std::chrono::steady_clock;
  using timer_type = net::basic_waitable_timer<clock_type, net::wait_traits<clock_type>, Executor>;

  executor_type get_executor() const noexcept { return state_->socket.get_executor(); }

  bool is_open() const noexcept { return state_->socket.is_open(); }

  /// Changes when the socket is closed, opened, cancelled or released: what was started before is to end then.
  std::uint64_t epoch() const noexcept { return state_->epoch; }

  /// Waits until the socket is readable or writable. Completion: `void(error_code)`.
  template <class Token>
  auto async_wait(net::socket_base::wait_type what, Token&& token)
  {
    return state_->socket.async_wait(what, std::forward<Token>(token));
  }

  /// Waits, after a send for which the kernel had no buffer space, until another is worth a try. Completion:
  /// `void(error_code)`.
  template <class Token>
  auto async_wait_congestion(Token&& token)
  {
    return state_->async_wait_congestion(std::forward<Token>(token));
  }

  /// Lets the kernel put datagrams together, or stops it; see `option::coalescing`.
  void set_coalescing(bool on, error_code& ec) { state_->set_coalescing(on, ec); }

  bool is_coalescing() const noexcept { return state_->flags.coalescing; }

  bool is_connected() const noexcept { return state_->flags.connected; }

  /// Lets datagrams know what address they were sent to where an answer needs that: see `option::packet_info`.
  void provide_reply_source() { state_->provide_reply_source(); }

  /// How many reports have come from the error queue; they wake those who wait for datagrams, too.
  std::uint64_t reports_taken() const noexcept { return state_->reports_taken; }

  /// Whether a send that failed so is to be tried again after `async_wait_congestion`.
  bool is_congested(const error_code& ec) const noexcept { return state_->is_congested(ec); }

  /// Another one for each descriptor that the socket has had.
  std::uint64_t descriptor_number() const noexcept { return state_->descriptor_number; }

  /// See `basic_socket::join` and `leave`; `joined` are the indices of those of all interfaces where it was joined.
  void join(const multicast_group& group, const network_interface& interface,
            std::vector<unsigned>& joined, error_code& ec)
  {
    state_->change_membership(detail::membership_change::join, group, interface, joined, ec);
  }

  void leave(const multicast_group& group, const network_interface& interface,
             std::vector<unsigned>& joined, error_code& ec)
  {
    state_->change_membership(detail::membership_change::leave, group, interface, joined, ec);
  }

  /// Whether the last batch emptied the queue, and no error waits behind it.
  bool is_drained() const noexcept { return state_->drained; }

  /// Whether the last call has left an error that the next receive reports, without a look at the descriptor.
  bool has_pending_error() const noexcept
  {
    return static_cast<bool>(state_->pending_receive_error);
  }

  /// What the socket was opened with. Error: `bad_descriptor`.
  protocol_type protocol(error_code& ec) const { return state_->protocol(ec); }

  // As of the socket.
  void bind(const endpoint_type& local, error_code& ec) { state_->bind(local, ec); }
  void connect(const endpoint_type& peer, error_code& ec) { state_->connect(peer, ec); }
  void close(error_code& ec) { state_->close(ec); }

  // What looking names up needs; users have no call for these.

  /// Waits for `wake_lookups`, which closing, cancelling and the like also call.
  template <class Token>
  auto async_wait_lookup(Token&& token) const
  {
    return state_->async_wait_lookup(std::forward<Token>(token));
  }

  void wake_lookups() { state_->wake_lookups(); }

  /// Expires with the socket and everything that is pending on it.
  std::weak_ptr<const void> lifetime() const noexcept { return state_; }

  /// Sends to the first of the peers, at least one, that is not refused.
  template <class ConstBuffers, class Handler>
  void async_send_to_first(const ConstBuffers& buffers, std::vector<endpoint_type> peers,
                           net::socket_base::message_flags flags, Handler&& handler) const
  {
    using attempt = detail::send_attempt<ConstBuffers, std::vector<endpoint_type>>;
    detail::compose<void(error_code, std::size_t)>(
        *state_, attempt(buffers, std::move(peers), flags), std::forward<Handler>(handler));
  }

private:
  template <class, class>
  friend class basic_socket;
  friend detail::batch_operations<basic_socket_handle, Protocol, Executor>;

  explicit basic_socket_handle(std::shared_ptr<state_type> state) noexcept
      : state_(std::move(state))
  {
  }

  state_type& state() const noexcept { return *state_; }

  /// What an operation is launched on keeps the block, since a handle need not stay.
  class launch_target {
  public:
    explicit launch_target(std::shared_ptr<state_type> state) noexcept : state_(std::move(state)) {}
    state_type& state() const noexcept { return *state_; }

  private:
    std::shared_ptr<state_type> state_;
  };

  launch_target target() const noexcept { return launch_target(state_); }

  std::shared_ptr<state_type> state_;
};

/// A datagram socket.
///
/// It has every operation of `asio::basic_datagram_socket`, with the same signatures and meaning, and can stand
/// where one stood; a function that names Asio's type takes `next_layer()`. What differs, on purpose:
///  - `connect` on a connected socket and `send_to` on a connected socket are `already_connected`, on every
///    system; `disconnect` first.
///  - a dual-stack socket (`udp::dual()`) takes and gives plain IPv4 endpoints.
///  - moving a socket leaves its pending operations pending; moving it into one of another executor type
///    completes them with `operation_aborted`.
///  - options check their values: see `option`.
///  - `receive_buffer_size` and `send_buffer_size` are functions of the socket; Asio's options of these names are
///    written `asio::socket_base::receive_buffer_size`.
///
/// **Pending operations** hold what they need: the socket may be moved, closed or destroyed while they are pending
/// or while their completion is queued. Closing, destroying, `cancel`, `release` and moving another socket over
/// this one complete them with `operation_aborted`.
///
/// **Errors** come twice: thrown as `system_error`, or in an `error_code&`. A closed socket is `bad_descriptor`.
///
/// **Cancellation**: every asynchronous operation honours its slot for terminal, partial and total cancellation.
/// None loses a datagram: it completes with `operation_aborted` only where nothing was received or sent.
///
/// **Thread safety**: distinct sockets are safe. One socket is not: its calls and its completions belong on one
/// strand, which is implicit where one thread runs the context.
///
/// Operations passed to `next_layer()` by hand bypass all this: do not connect, close or open through it.
template <class Protocol, class Executor>
class basic_socket
    : public net::socket_base,
      public detail::batch_operations<basic_socket<Protocol, Executor>, Protocol, Executor> {
  using state_type = detail::socket_state<Protocol, Executor>;

public:
  using protocol_type = Protocol;
  using endpoint_type = typename Protocol::endpoint;
  using executor_type = Executor;
  using next_layer_type = typename state_type::inner_type;
  using lowest_layer_type = next_layer_type;
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

#if DGRAM_HAS_UNIX_DATAGRAMS
  /// The same for the text of a Unix endpoint: a path, or `@name` for an abstract name; see `parse_unix_endpoint`, whose
  /// error it throws too.
  template <detail::endpoint_text<Protocol> Text>
  basic_socket(const executor_type& executor, const Text& local, const socket_config& config = {})
      : basic_socket(executor, endpoint_of("bind", local), config)
  {
  }

  template <class Context, detail::endpoint_text<Protocol> Text>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const Text& local, const socket_config& config = {})
      : basic_socket(executor_type(context.get_executor()), endpoint_of("bind", local), config)
  {
  }
#endif

  /// Takes over an open descriptor, as `assign` does.
  template <std::same_as<native_handle_type> Descriptor>
  basic_socket(const executor_type& executor, const protocol_type& protocol,
               const Descriptor& descriptor)
      : basic_socket(executor)
  {
    assign(protocol, descriptor);
  }

  template <class Context, std::same_as<native_handle_type> Descriptor>
    requires std::convertible_to<Context&, net::execution_context&>
  basic_socket(Context& context, const protocol_type& protocol, const Descriptor& descriptor)
      : basic_socket(executor_type(context.get_executor()), protocol, descriptor)
  {
  }

  /// Takes the other's descriptor and its pending operations, which go on. The other is closed afterwards and
  /// can be opened again.
  basic_socket(basic_socket&& other) noexcept
      // NOLINTNEXTLINE(performance-move-constructor-init): the other keeps its executor
      : executor_(other.executor_), state_(std::move(other.state_))
  {
  }

  /// Closes this socket, whose pending operations complete with `operation_aborted`; then as above.
  basic_socket& operator=(basic_socket&& other) noexcept;

  /// Takes the descriptor of a socket of another executor type; its pending operations complete with
  /// `operation_aborted`.
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

  /// Closes the socket; pending operations complete with `operation_aborted`.
  ~basic_socket();

  executor_type get_executor() noexcept { return executor_; }

  /// Asio's socket underneath, for functions that name its type.
  next_layer_type& next_layer() { return state().socket; }
  const next_layer_type& next_layer() const { return state().socket; }
  lowest_layer_type& lowest_layer() { return next_layer(); }
  const lowest_layer_type& lowest_layer() const { return next_layer(); }

  bool is_open() const noexcept { return state_ && state_->socket.is_open(); }

  /// A reference that readers and writers hold; it stays valid when the socket is moved or destroyed.
  handle_type handle()
  {
    state();
    return handle_type(state_);
  }

  native_handle_type native_handle() { return state().socket.native_handle(); }

  // --- opening and closing ---

  /// Opens the socket. Errors: `already_open`, and what socket(2) reports.
  void open(const protocol_type& protocol, error_code& ec) { state().open(protocol, ec); }

  /// Opens an IPv4 socket where nothing is said.
  void open(const protocol_type& protocol = default_protocol())
  {
    call("open", [&](error_code& ec) { open(protocol, ec); });
  }

  /// Opens the socket and sets the options; where one is refused, the socket is closed again.
  void open(const protocol_type& protocol, const socket_config& config, error_code& ec)
  {
    std::string refused;
    open(protocol, config, refused, ec);
  }

  void open(const protocol_type& protocol, const socket_config& config)
  {
    error_code ec;
    std::string refused;
    open(protocol, config, refused, ec);
    if (!refused.empty()) detail::throw_if(ec, "open", refused);
    detail::throw_if(ec, "open");
  }

  /// Takes over an open descriptor, which this socket will close, and reads back what it is: connected or not,
  /// coalescing or not. Where it is refused it still belongs to the caller.
  ///
  /// Errors: `already_open`, `error::wrong_descriptor` (not a datagram socket, or one of another family),
  /// and what getsockopt(2) and getpeername(2) report; `invalid_argument` where `protocol` is dual and the socket is bound as IPv6 only.
  void assign(const protocol_type& protocol, const native_handle_type& descriptor, error_code& ec)
  {
    state().assign(protocol, descriptor, ec);
  }

  void assign(const protocol_type& protocol, const native_handle_type& descriptor)
  {
    call("assign", [&](error_code& ec) { assign(protocol, descriptor, ec); });
  }

  /// Gives the descriptor up, open; pending operations complete with `operation_aborted`.
  /// Errors: `bad_descriptor`, and `operation_not_supported` where Asio cannot (Windows before 8.1).
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

  /// Closes the socket; pending operations complete with `operation_aborted`. Closing a closed socket does nothing.
  void close(error_code& ec)
  {
    ec.clear();
    if (state_) state_->close(ec);
  }

  void close()
  {
    call("close", [&](error_code& ec) { close(ec); });
  }

  /// Completes pending operations with `operation_aborted`, also those whose wake-up is queued already, unless
  /// they have moved a datagram or, for `async_wait`, found the socket ready. What a writer has queued is lost, and
  /// counted. Error: `bad_descriptor`; a name that is looked up for a closed socket is given up all the same.
  void cancel(error_code& ec)
  {
    if (state_) state_->abort_operations();
    if (is_open())
      state_->socket.cancel(ec);
    else
      ec = net::error::bad_descriptor;
  }

  void cancel()
  {
    call("cancel", [&](error_code& ec) { cancel(ec); });
  }

  // --- addresses ---

  /// Binds to a local endpoint; port 0 asks for any free one. A port is exclusive unless `reuse_address` or
  /// `reuse_port` is set before. For paths see `unix_dgram`. Errors: those of bind(2), such as `address_in_use`.
  void bind(const endpoint_type& local, error_code& ec) { state().bind(local, ec); }

  void bind(const endpoint_type& local)
  {
    call("bind", local, [&](error_code& ec) { bind(local, ec); });
  }

#if DGRAM_HAS_UNIX_DATAGRAMS
  /// The same for the text of a Unix endpoint.
  template <detail::endpoint_text<Protocol> Text>
  void bind(const Text& local, error_code& ec)
  {
    const auto endpoint = detail::unix_endpoint_of(local, ec);
    if (!ec) bind(endpoint, ec);
  }

  template <detail::endpoint_text<Protocol> Text>
  void bind(const Text& local)
  {
    bind(endpoint_of("bind", local));
  }
#endif

  /// Fixes the peer: sends go to it, and only its datagrams are received. Opens a closed socket, with the peer's
  /// protocol. Errors: `error::bad_port` (0), `already_connected`, and those of connect(2).
  void connect(const endpoint_type& peer, error_code& ec) { state().connect(peer, ec); }

  void connect(const endpoint_type& peer)
  {
    call("connect", peer, [&](error_code& ec) { connect(peer, ec); });
  }

#if DGRAM_HAS_UNIX_DATAGRAMS
  /// The same for the text of a Unix endpoint.
  template <detail::endpoint_text<Protocol> Text>
  void connect(const Text& peer, error_code& ec)
  {
    const auto endpoint = detail::unix_endpoint_of(peer, ec);
    if (!ec) connect(endpoint, ec);
  }

  template <detail::endpoint_text<Protocol> Text>
  void connect(const Text& peer)
  {
    connect(endpoint_of("connect", peer));
  }
#endif

  /// Ends the association with the peer; the local port stays. Errors: `not_connected`, `bad_descriptor`, and
  /// `address_in_use` where Linux had given the port up and another socket was faster.
  void disconnect(error_code& ec) { state().disconnect(ec); }

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

  /// Sets an option: one of `dgram::option`, of which a dual-stack socket gets both parts or, where one is refused, none;
  /// or any of Asio's, of which it gets the IPv6 part.
  /// Errors: `error::out_of_range` and others of the option's own check, `operation_not_supported` where the system has
  /// no such option, and those of setsockopt(2). What is thrown names the option and its value.
  template <class Option>
  void set_option(const Option& option, error_code& ec)
  {
    ec.clear();
    if constexpr (std::same_as<Option, option::v6_only>)
      if (option && state().flags.dual) ec = net::error::invalid_argument;
    if (ec) return;
    // Times of sends are in the same queue, which the kernel empties when it is told to report no more errors.
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

  /// Reads an option; of one with two parts, that of the socket's family (IPv6 on a dual-stack socket). Errors:
  /// `operation_not_supported` where the system has no such option, and those of getsockopt(2).
  template <class Option>
  void get_option(Option& option, error_code& ec) const
  {
    if constexpr (std::same_as<Option, option::multicast_interface> &&
                  detail::dual_stack_protocol<Protocol>) {
      const bool remembered = is_ipv4(ec);
      if (remembered) option.assign(state().multicast_interface);
      if (remembered || ec) return;
    }
    state().socket.get_option(option, ec);
    if constexpr (detail::own_option<Option>) detail::name_unsupported(ec);
  }

  template <class Option>
  void get_option(Option& option) const
  {
    error_code ec;
    get_option(option, ec);
    if constexpr (detail::own_option<Option>) detail::throw_if(ec, "get_option", Option::label);
    detail::throw_if(ec, "get_option");
  }

  /// The size of the kernel's receive queue in bytes, as the kernel counts: on Linux twice what was asked for, since
  /// it reckons its own overhead in (socket(7)).
  std::size_t receive_buffer_size(error_code& ec)
  {
    return buffer_size(platform::names::receive_buffer, ec);
  }

  std::size_t receive_buffer_size()
  {
    return call("receive_buffer_size", [&](error_code& ec) { return receive_buffer_size(ec); });
  }

  /// Asks for `size` bytes (at least 1) and returns what took effect: the kernel limits it in silence
  /// (`net.core.rmem_max` on Linux). Errors: `error::out_of_range`, `bad_descriptor`.
  std::size_t receive_buffer_size(int size, error_code& ec)
  {
    set_option(option::receive_buffer_size(size), ec);
    return ec ? 0 : receive_buffer_size(ec);
  }

  std::size_t receive_buffer_size(int size)
  {
    return call("receive_buffer_size",
                [&](error_code& ec) { return receive_buffer_size(size, ec); });
  }

  /// The same beyond the system's limit, where the process may (`option::forced_receive_buffer_size`). Errors:
  /// `no_permission`, `operation_not_supported`, and those of `receive_buffer_size`.
  std::size_t force_receive_buffer_size(int size, error_code& ec)
  {
    set_option(option::forced_receive_buffer_size(size), ec);
    return ec ? 0 : receive_buffer_size(ec);
  }

  std::size_t force_receive_buffer_size(int size)
  {
    return call("force_receive_buffer_size",
                [&](error_code& ec) { return force_receive_buffer_size(size, ec); });
  }

  /// The size of the kernel's send queue in bytes; see `receive_buffer_size`.
  std::size_t send_buffer_size(error_code& ec)
  {
    return buffer_size(platform::names::send_buffer, ec);
  }

  std::size_t send_buffer_size()
  {
    return call("send_buffer_size", [&](error_code& ec) { return send_buffer_size(ec); });
  }

  std::size_t send_buffer_size(int size, error_code& ec)
  {
    set_option(option::send_buffer_size(size), ec);
    return ec ? 0 : send_buffer_size(ec);
  }

  std::size_t send_buffer_size(int size)
  {
    return call("send_buffer_size", [&](error_code& ec) { return send_buffer_size(size, ec); });
  }

  std::size_t force_send_buffer_size(int size, error_code& ec)
  {
    set_option(option::forced_send_buffer_size(size), ec);
    return ec ? 0 : send_buffer_size(ec);
  }

  std::size_t force_send_buffer_size(int size)
  {
    return call("force_send_buffer_size",
                [&](error_code& ec) { return force_send_buffer_size(size, ec); });
  }

  template <class Command>
  void io_control(Command& command, error_code& ec)
  {
    state().socket.io_control(command, ec);
  }

  template <class Command>
  void io_control(Command& command)
  {
    call("io_control", [&](error_code& ec) { io_control(command, ec); });
  }

  bool non_blocking() const { return state().socket.non_blocking(); }
  void non_blocking(bool on, error_code& ec) { state().socket.non_blocking(on, ec); }
  void non_blocking(bool on)
  {
    call("non_blocking", [&](error_code& ec) { non_blocking(on, ec); });
  }

  bool native_non_blocking() const { return state().socket.native_non_blocking(); }
  void native_non_blocking(bool on, error_code& ec) { state().socket.native_non_blocking(on, ec); }
  void native_non_blocking(bool on)
  {
    call("native_non_blocking", [&](error_code& ec) { native_non_blocking(on, ec); });
  }

  bool at_mark(error_code& ec) const { return state().socket.at_mark(ec); }
  bool at_mark() const
  {
    return call("at_mark", [&](error_code& ec) { return at_mark(ec); });
  }

  /// The size of the next datagram in bytes (Linux; elsewhere of all that are queued); 0 where there is none or it
  /// is empty.
  std::size_t available(error_code& ec) const { return state().socket.available(ec); }
  std::size_t available() const
  {
    return call("available", [&](error_code& ec) { return available(ec); });
  }

  void shutdown(net::socket_base::shutdown_type what, error_code& ec)
  {
    state().socket.shutdown(what, ec);
  }
  void shutdown(net::socket_base::shutdown_type what)
  {
    call("shutdown", [&](error_code& ec) { shutdown(what, ec); });
  }

  // --- multicast ---
  //
  // A group may have a source, and then stands for what that host sends to it. A dual-stack socket takes groups of both
  // families. `membership` is a join that ends itself. What is thrown names the group and the interface.

  /// Joins a group on an interface; without one the operating system chooses it. Errors: `error::not_multicast`,
  /// `error::bad_source`, `error::unknown_interface`, `error::no_multicast`, `address_family_not_supported` (a group or a
  /// source of the other family), `address_in_use` (joined already; with a source EADDRNOTAVAIL), `no_such_device` (no
  /// route to choose by), `no_buffer_space` (too many: `igmp_max_memberships`, ip(7)).
  ///
  /// On `network_interface::all()` it is joined on every interface that is up, has multicast and an address of the group's
  /// family, but loopback; one that appears later takes another call. Where one refuses, those that were joined are
  /// left and the error is told; being a member there already is none, unless nothing new was joined.
  void join(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    change_membership(detail::membership_change::join, group, interface, ec);
  }

  void join(const multicast_group& group, error_code& ec) { join(group, network_interface(), ec); }

  void join(const multicast_group& group, const network_interface& interface = network_interface())
  {
    change_membership("join", detail::membership_change::join, group, interface);
  }

  /// Leaves a group that was joined on that interface, or on all of them. Errors: as for `join`; where it was not joined
  /// EADDRNOTAVAIL, with a source EINVAL. Closing the socket leaves all its groups.
  void leave(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    change_membership(detail::membership_change::leave, group, interface, ec);
  }

  void leave(const multicast_group& group, error_code& ec)
  {
    leave(group, network_interface(), ec);
  }

  void leave(const multicast_group& group, const network_interface& interface = network_interface())
  {
    change_membership("leave", detail::membership_change::leave, group, interface);
  }

  /// Keeps what the group's source sends to it away from this socket, which has joined the group without one on that
  /// interface. Errors: `error::bad_source` also where the group has none; EINVAL where it was not joined; EADDRNOTAVAIL
  /// where the source is blocked already; otherwise as for `join`.
  ///
  /// \code
  /// socket.join(dgram::multicast_group{"239.1.2.3"});
  /// socket.block(dgram::multicast_group{"239.1.2.3", "10.0.0.7"});
  /// \endcode
  void block(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    change_membership(detail::membership_change::block, group, interface, ec);
  }

  void block(const multicast_group& group, error_code& ec)
  {
    block(group, network_interface(), ec);
  }

  void block(const multicast_group& group, const network_interface& interface = network_interface())
  {
    change_membership("block", detail::membership_change::block, group, interface);
  }

  /// Ends what `block` began. Errors: as there; EADDRNOTAVAIL where the source is not blocked.
  void unblock(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    change_membership(detail::membership_change::unblock, group, interface, ec);
  }

  void unblock(const multicast_group& group, error_code& ec)
  {
    unblock(group, network_interface(), ec);
  }

  void unblock(const multicast_group& group,
               const network_interface& interface = network_interface())
  {
    change_membership("unblock", detail::membership_change::unblock, group, interface);
  }

  // --- one datagram, blocking ---

  /// Sends one datagram to the connected peer; blocks while the send queue is full. Returns the bytes sent.
  /// Errors: `destination_address_required`, `message_size`, and others of send(2).
  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, net::socket_base::message_flags flags,
                   error_code& ec)
  {
    if (state().reads_reports())
      return until_done(wait_write, ec, [&](error_code& failure) {
        return detail::send_one(state(), buffers, static_cast<const endpoint_type*>(nullptr), flags,
                                failure);
      });
    return state().socket.send(buffers, flags, ec);
  }

  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, net::socket_base::message_flags flags = 0)
  {
    return call("send", [&](error_code& ec) { return send(buffers, flags, ec); });
  }

  /// Sends one datagram to `peer`. Errors: `already_connected`, and those of sendto(2).
  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                      net::socket_base::message_flags flags, error_code& ec)
  {
    if (state().flags.connected) {
      ec = net::error::already_connected;
      return 0;
    }
    // Asio's own waits for writability where the descriptor does not block, and that would spin on Unix sockets.
    if (detail::path_protocol<Protocol> || state().reads_reports())
      return until_done(wait_write, ec, [&](error_code& failure) {
        return detail::send_one(state(), buffers, &peer, flags, failure);
      });
    return state().socket.send_to(buffers, state().to_native(peer), flags, ec);
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                      net::socket_base::message_flags flags = 0)
  {
    return call("send_to", peer, [&](error_code& ec) { return send_to(buffers, peer, flags, ec); });
  }

  /// Sends one datagram that asks for something of its own; see `send_options`, whose errors it has too.
  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, const send_options& options, error_code& ec)
  {
    return send_request(buffers, nullptr, detail::send_request(options), ec);
  }

  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, const send_options& options)
  {
    const detail::send_request request(options);
    return call_request("send", nullptr, request, [&](error_code& ec) {
      return send_request(buffers, nullptr, request, ec);
    });
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                      const send_options& options, error_code& ec)
  {
    return send_request(buffers, &peer, detail::send_request(options), ec);
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                      const send_options& options)
  {
    const detail::send_request request(options);
    return call_request("send_to", &peer, request,
                        [&](error_code& ec) { return send_request(buffers, &peer, request, ec); });
  }

  /// Answers: the datagram leaves from the address that was asked; see `basic_datagram::reply_path`.
  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                      const send_options& options, error_code& ec)
  {
    return send_request(buffers, &path.peer, detail::send_request(path, options), ec);
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                      error_code& ec)
  {
    return send_to(buffers, path, send_options(), ec);
  }

  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                      const send_options& options = send_options())
  {
    const detail::send_request request(path, options);
    return call_request("send_to", &path.peer, request, [&](error_code& ec) {
      return send_request(buffers, &path.peer, request, ec);
    });
  }

  /// Receives one datagram; blocks until there is one. Returns the bytes received, 0 for an empty datagram, and 0 at once
  /// where receiving was shut down and nothing is queued (Linux); what does not fit is cut off. Errors: those of recv(2); `connection_refused` on a connected socket.
  template <class MutableBuffers>
  std::size_t receive(const MutableBuffers& buffers, net::socket_base::message_flags flags,
                      error_code& ec)
  {
    if (state().attends_receives())
      return until_done(wait_read, ec, [&](error_code& failure) {
        return detail::receive_one(state(), buffers, static_cast<endpoint_type*>(nullptr), flags,
                                   failure);
      });
    return refuses_one(ec) ? 0 : state().socket.receive(buffers, flags, ec);
  }

  template <class MutableBuffers>
  std::size_t receive(const MutableBuffers& buffers, net::socket_base::message_flags flags = 0)
  {
    return call("receive", [&](error_code& ec) { return receive(buffers, flags, ec); });
  }

  /// The same, and says who sent it.
  template <class MutableBuffers>
  std::size_t receive_from(const MutableBuffers& buffers, endpoint_type& sender,
                           net::socket_base::message_flags flags, error_code& ec)
  {
    if (refuses_one(ec)) return 0;
    // Asio's own would throw for a sender whose path fills its room.
    if (detail::path_protocol<Protocol> || state().attends_receives())
      return until_done(wait_read, ec, [&](error_code& failure) {
        return detail::receive_one(state(), buffers, &sender, flags, failure);
      });
    const std::size_t size = state().socket.receive_from(buffers, sender, flags, ec);
    if (!ec) sender = state().from_native(sender);
    return size;
  }

  template <class MutableBuffers>
  std::size_t receive_from(const MutableBuffers& buffers, endpoint_type& sender,
                           net::socket_base::message_flags flags = 0)
  {
    return call("receive_from",
                [&](error_code& ec) { return receive_from(buffers, sender, flags, ec); });
  }

  /// The same, and says all that is known of the datagram; see `basic_datagram_info`.
  template <class MutableBuffers>
  std::size_t receive_from(const MutableBuffers& buffers, basic_datagram_info<Protocol>& info,
                           error_code& ec)
  {
    return until_done(wait_read, ec, [&](error_code& failure) {
      return detail::receive_one(state(), buffers, &info, 0, failure);
    });
  }

  template <class MutableBuffers>
  std::size_t receive_from(const MutableBuffers& buffers, basic_datagram_info<Protocol>& info)
  {
    return call("receive_from", [&](error_code& ec) { return receive_from(buffers, info, ec); });
  }

  /// The largest packet that the way to `peer` takes, as far as this host knows, in bytes, IP header included: that of the
  /// interface, until an ICMP message tells of less. On a connected socket `peer` is not looked at. Linux; elsewhere
  /// `operation_not_supported`. Errors else: those of connect(2) for such a peer.
  std::size_t path_mtu(const endpoint_type& peer, error_code& ec)
  {
    return state().path_mtu(peer, ec);
  }

  std::size_t path_mtu(const endpoint_type& peer)
  {
    return call("path_mtu", peer, [&](error_code& ec) { return path_mtu(peer, ec); });
  }

  /// Waits until the socket is readable, writable or has an error.
  void wait(net::socket_base::wait_type what, error_code& ec) { state().socket.wait(what, ec); }
  void wait(net::socket_base::wait_type what)
  {
    call("wait", [&](error_code& ec) { wait(what, ec); });
  }

  // --- one datagram, never blocking ---
  //
  // With `error_code&`: `would_block` where nothing can be done now. Without: an empty optional instead, and other
  // errors are thrown.

  template <class ConstBuffers>
  std::size_t try_send(const ConstBuffers& buffers, error_code& ec)
  {
    return detail::send_one(state(), buffers, static_cast<const endpoint_type*>(nullptr), 0, ec);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send(const ConstBuffers& buffers)
  {
    return attempt("try_send", [&](error_code& ec) { return try_send(buffers, ec); });
  }

  template <class ConstBuffers>
  std::size_t try_send(const ConstBuffers& buffers, const send_options& options, error_code& ec)
  {
    const detail::send_request request(options);
    return detail::send_one(state(), buffers, static_cast<const endpoint_type*>(nullptr), 0, ec,
                            &request);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send(const ConstBuffers& buffers, const send_options& options)
  {
    return attempt_request("try_send", buffers, nullptr, detail::send_request(options));
  }

  template <class ConstBuffers>
  std::size_t try_send_to(const ConstBuffers& buffers, const endpoint_type& peer, error_code& ec)
  {
    return detail::send_one(state(), buffers, &peer, 0, ec);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send_to(const ConstBuffers& buffers, const endpoint_type& peer)
  {
    return detail::throwing_unless_blocked(
        "try_send_to", peer, [&](error_code& ec) { return try_send_to(buffers, peer, ec); });
  }

  template <class ConstBuffers>
  std::size_t try_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                          const send_options& options, error_code& ec)
  {
    const detail::send_request request(options);
    return detail::send_one(state(), buffers, &peer, 0, ec, &request);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                                         const send_options& options)
  {
    return attempt_request("try_send_to", buffers, &peer, detail::send_request(options));
  }

  template <class ConstBuffers>
  std::size_t try_send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                          error_code& ec)
  {
    const detail::send_request request(path);
    return detail::send_one(state(), buffers, &path.peer, 0, ec, &request);
  }

  template <class ConstBuffers>
  std::optional<std::size_t> try_send_to(const ConstBuffers& buffers,
                                         const basic_reply_path<Protocol>& path)
  {
    return attempt_request("try_send_to", buffers, &path.peer, detail::send_request(path));
  }

  template <class MutableBuffers>
  std::size_t try_receive(const MutableBuffers& buffers, error_code& ec)
  {
    return detail::receive_one(state(), buffers, static_cast<endpoint_type*>(nullptr), 0, ec);
  }

  template <class MutableBuffers>
  std::optional<std::size_t> try_receive(const MutableBuffers& buffers)
  {
    return attempt("try_receive", [&](error_code& ec) { return try_receive(buffers, ec); });
  }

  template <class MutableBuffers>
  std::size_t try_receive_from(const MutableBuffers& buffers, endpoint_type& sender, error_code& ec)
  {
    return detail::receive_one(state(), buffers, &sender, 0, ec);
  }

  template <class MutableBuffers>
  std::optional<std::size_t> try_receive_from(const MutableBuffers& buffers, endpoint_type& sender)
  {
    return attempt("try_receive_from",
                   [&](error_code& ec) { return try_receive_from(buffers, sender, ec); });
  }

  template <class MutableBuffers>
  std::size_t try_receive_from(const MutableBuffers& buffers, basic_datagram_info<Protocol>& info,
                               error_code& ec)
  {
    return detail::receive_one(state(), buffers, &info, 0, ec);
  }

  template <class MutableBuffers>
  std::optional<std::size_t> try_receive_from(const MutableBuffers& buffers,
                                              basic_datagram_info<Protocol>& info)
  {
    return attempt("try_receive_from",
                   [&](error_code& ec) { return try_receive_from(buffers, info, ec); });
  }

  // --- asynchronous operations ---
  //
  // Of all of them: the completion handler is called exactly once, never inside the initiating function, by its
  // associated executor, whose default is the socket's. Buffers, endpoints and batches that are passed by
  // reference must stay until then. Memory comes from the handler's associated allocator and is released before the
  // handler is called; in steady state none is allocated. An operation that can finish at once does so through the
  // handler's immediate executor (Asio 1.27 and newer) or a post. Without a token: see `default_token_t`.
  //
  // Where several operations of one direction are pending, which of them gets the next datagram is not specified.

  /// Waits until the socket is readable, writable or has an error. A wake-up is no promise: the datagram may be gone,
  /// or may have failed its checksum.
  ///
  /// Completion: `void(error_code)`. Errors: `operation_aborted`, `bad_descriptor`. Cancellation: terminal, partial and
  /// total; no side effect.
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
  /// Completion: `void(error_code)`. Errors: as for `connect`. Cancellation: none, it is done when it is launched.
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

  /// Sends one datagram to the connected peer; waits while the send queue is full. The buffers' memory must stay
  /// until completion.
  ///
  /// Completion: `void(error_code, std::size_t)`, with the bytes sent. Errors: as for `send`, and
  /// `operation_aborted`. Cancellation: terminal, partial and total; the datagram was not sent then.
  ///
  /// \code
  /// std::size_t size = co_await socket.async_send(asio::buffer(query), asio::use_awaitable);
  /// \endcode
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send(const ConstBuffers& buffers, Token&& token = default_token())
  {
    return async_send(buffers, 0, std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send(const ConstBuffers& buffers, net::socket_base::message_flags flags,
                  Token&& token = default_token())
  {
    return detail::initiate<transfer_signature>(
        target(),
        [](state_type& state, auto&& handler, const ConstBuffers& from,
           net::socket_base::message_flags how) {
          if (state.reads_reports())
            detail::compose<transfer_signature>(
                state, detail::send_attempt<ConstBuffers, detail::no_peer>(from, {}, how),
                std::forward<decltype(handler)>(handler));
          else
            detail::pass_on(state, std::forward<decltype(handler)>(handler),
                            [from, how](state_type& on, auto&& inner) {
                              on.socket.async_send(from, how, std::forward<decltype(inner)>(inner));
                            });
        },
        std::forward<Token>(token), buffers, flags);
  }

  /// Sends one datagram that asks for something of its own; see `send_options`, whose errors it has too. Otherwise as
  /// `async_send`.
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send(const ConstBuffers& buffers, const send_options& options,
                  Token&& token = default_token())
  {
    return async_send_request(buffers, detail::no_peer(), detail::send_request(options),
                              std::forward<Token>(token));
  }

  /// Sends one datagram to `peer`, which is copied. `already_connected` where the socket is connected. Otherwise as
  /// `async_send`.
  ///
  /// \code
  /// socket.async_send_to(asio::buffer(query), peer, [](dgram::error_code ec, std::size_t) {
  ///   if (ec) fmt::print("not sent: {}\n", ec.message());
  /// });
  /// \endcode
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                     Token&& token = default_token())
  {
    return async_send_to(buffers, peer, 0, std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                     net::socket_base::message_flags flags, Token&& token = default_token())
  {
    return detail::initiate<transfer_signature>(
        target(),
        [](state_type& state, auto&& handler, const ConstBuffers& from, const endpoint_type& to,
           net::socket_base::message_flags how) {
          if (state.flags.connected)
            detail::compose<transfer_signature>(
                state, detail::refused_attempt(net::error::already_connected),
                std::forward<decltype(handler)>(handler));
          // Asio's own waits for writability, and that would spin on Unix sockets.
          else if (detail::path_protocol<Protocol> || state.reads_reports())
            detail::compose<transfer_signature>(
                state, detail::send_attempt<ConstBuffers, endpoint_type>(from, to, how),
                std::forward<decltype(handler)>(handler));
          else
            detail::pass_on(
                state, std::forward<decltype(handler)>(handler),
                [from, native = state.to_native(to), how](state_type& on, auto&& inner) {
                  on.socket.async_send_to(from, native, how, std::forward<decltype(inner)>(inner));
                });
        },
        std::forward<Token>(token), buffers, peer, flags);
  }

  /// Sends one datagram that asks for something of its own; see `send_options`, whose errors it has too. Otherwise as
  /// `async_send_to`.
  ///
  /// \code
  /// co_await socket.async_send_to(asio::buffer(query), peer, dgram::send_options{.hop_limit = 1});
  /// \endcode
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                     const send_options& options, Token&& token = default_token())
  {
    return async_send_request(buffers, peer, detail::send_request(options),
                              std::forward<Token>(token));
  }

  /// Answers: the datagram leaves from the address that was asked; see `basic_datagram::reply_path`. Otherwise as
  /// `async_send_to`.
  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                     Token&& token = default_token())
  {
    return async_send_request(buffers, path.peer, detail::send_request(path),
                              std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const basic_reply_path<Protocol>& path,
                     const send_options& options, Token&& token = default_token())
  {
    return async_send_request(buffers, path.peer, detail::send_request(path, options),
                              std::forward<Token>(token));
  }

  /// Receives one datagram; what does not fit into the buffers is cut off. The buffers' memory must stay until
  /// completion.
  ///
  /// Completion: `void(error_code, std::size_t)`, with the bytes received, 0 for an empty datagram. Errors: as for
  /// `receive`, and `operation_aborted`. Cancellation: terminal, partial and total; no datagram was taken then.
  ///
  /// \code
  /// std::size_t size = co_await socket.async_receive(asio::buffer(storage), asio::use_awaitable);
  /// \endcode
  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive(const MutableBuffers& buffers, Token&& token = default_token())
  {
    return async_receive(buffers, 0, std::forward<Token>(token));
  }

  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive(const MutableBuffers& buffers, net::socket_base::message_flags flags,
                     Token&& token = default_token())
  {
    return detail::initiate<transfer_signature>(
        target(),
        [](state_type& state, auto&& handler, const MutableBuffers& into,
           net::socket_base::message_flags how) {
          if (state.flags.coalescing)
            detail::compose<transfer_signature>(state, detail::refused_attempt(error::coalescing),
                                                std::forward<decltype(handler)>(handler));
          else if (state.attends_receives())
            detail::compose<transfer_signature>(
                state, detail::receive_attempt<MutableBuffers, endpoint_type>(into, nullptr, how),
                std::forward<decltype(handler)>(handler));
          else
            detail::pass_on(state, std::forward<decltype(handler)>(handler),
                            [into, how](state_type& on, auto&& inner) {
                              on.socket.async_receive(into, how,
                                                      std::forward<decltype(inner)>(inner));
                            });
        },
        std::forward<Token>(token), buffers, flags);
  }

  /// Receives one datagram and says who sent it; `sender` must stay until completion. Otherwise as `async_receive`.
  ///
  /// \code
  /// std::size_t size = co_await socket.async_receive_from(asio::buffer(storage), sender);
  /// fmt::print("{} bytes from {}\n", size, sender);
  /// \endcode
  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_from(const MutableBuffers& buffers, endpoint_type& sender,
                          Token&& token = default_token())
  {
    return async_receive_from(buffers, sender, 0, std::forward<Token>(token));
  }

  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_from(const MutableBuffers& buffers, endpoint_type& sender,
                          net::socket_base::message_flags flags, Token&& token = default_token())
  {
    return detail::initiate<transfer_signature>(
        target(),
        [](state_type& state, auto&& handler, const MutableBuffers& into, endpoint_type* from,
           net::socket_base::message_flags how) {
          // Asio's own operation is the cheapest way to one datagram, but knows no mapped senders, and would throw for
          // a sender whose path fills its room.
          if (detail::path_protocol<Protocol> || !state.flags.is_plain() ||
              state.attends_receives())
            detail::compose<transfer_signature>(
                state, detail::receive_attempt<MutableBuffers, endpoint_type>(into, from, how),
                std::forward<decltype(handler)>(handler));
          else
            detail::pass_on(state, std::forward<decltype(handler)>(handler),
                            [into, from, how](state_type& on, auto&& inner) {
                              on.socket.async_receive_from(into, *from, how,
                                                           std::forward<decltype(inner)>(inner));
                            });
        },
        std::forward<Token>(token), buffers, &sender, flags);
  }

  /// The same, and says all that is known of the datagram; `info` must stay until completion.
  ///
  /// \code
  /// dgram::datagram_info info;
  /// std::size_t size = co_await socket.async_receive_from(asio::buffer(storage), info);
  /// if (info.truncated()) fmt::print("{} bytes were too many\n", size);
  /// \endcode
  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_from(const MutableBuffers& buffers, basic_datagram_info<Protocol>& info,
                          Token&& token = default_token())
  {
    using info_type = basic_datagram_info<Protocol>;
    return detail::initiate<transfer_signature>(
        target(),
        [](state_type& state, auto&& handler, const MutableBuffers& into, info_type* about) {
          detail::compose<transfer_signature>(
              state, detail::receive_attempt<MutableBuffers, info_type>(into, about, 0),
              std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), buffers, &info);
  }

private:
  template <class, class>
  friend class basic_socket;
  friend detail::batch_operations<basic_socket, Protocol, Executor>;

  using transfer_signature = void(error_code, std::size_t);

  /// Finds the block when an operation is launched, which may be long after it was made (`deferred`): it is the socket's as
  /// that is then, as with Asio's own sockets.
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

  /// A train of datagrams in one buffer could not be told from one datagram.
  bool refuses_one(error_code& ec)
  {
    if (state().flags.coalescing) ec = error::coalescing;
    return state().flags.coalescing;
  }

#if DGRAM_HAS_UNIX_DATAGRAMS
  /// Throws `system_error`, whose text names the input.
  template <class Text>
  static endpoint_type endpoint_of(const char* operation, const Text& text)
  {
    error_code ec;
    const auto endpoint = detail::unix_endpoint_of(text, ec);
    detail::throw_if(ec, operation, text);
    return endpoint;
  }
#endif

  static protocol_type default_protocol()
  {
    if constexpr (requires { protocol_type::v4(); })
      return protocol_type::v4();
    else
      return protocol_type();
  }

  static protocol_type with_dual_stack(const protocol_type& protocol, const socket_config& config)
  {
    if constexpr (detail::dual_stack_protocol<Protocol>)
      if (config.dual_stack) return Protocol::dual();
    return protocol;
  }

  /// Sets what the configuration asks for, until one is refused; `refused` is then its text.
  void configure(const protocol_type& protocol, const socket_config& config, std::string& refused,
                 error_code& ec)
  {
    const auto set = [&](bool wanted, const auto& option) {
      if (!wanted || ec) return;
      set_option(option, ec);
      if (ec) refused = to_string(option);
    };
    if (config.v6_only && protocol.family() != platform::names::ipv6_family) {
      ec = net::error::invalid_argument;
      refused = to_string(option::v6_only(true));
    }
    if (config.dual_stack && !detail::dual_stack_protocol<Protocol>) {
      ec = net::error::invalid_argument;
      refused = "dual_stack";
    }
    set(config.reuse_address, option::reuse_address(true));
    set(config.reuse_port, option::reuse_port(true));
    set(config.v6_only, option::v6_only(true));
    set(config.broadcast, option::broadcast(true));
    set(config.receive_buffer_size != 0, option::receive_buffer_size(config.receive_buffer_size));
    set(config.send_buffer_size != 0, option::send_buffer_size(config.send_buffer_size));
  }

  void open(const protocol_type& protocol, const socket_config& config, std::string& refused,
            error_code& ec)
  {
    open(with_dual_stack(protocol, config), ec);
    if (ec) return;
    configure(protocol, config, refused, ec);
    error_code ignored;
    if (ec) close(ignored);
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

  /// Repeats a non-blocking call until it has done something.
  template <class Function>
  std::size_t until_done(net::socket_base::wait_type what, error_code& ec, Function function)
  {
    detail::wake_up_counter wake_ups;
    for (;;) {
      const std::size_t size = function(ec);
      if (ec != net::error::would_block || state().socket.non_blocking()) return size;
      if (what == wait_write && state().is_congested(ec)) {
        state().wait_congestion();
      } else {
        state().wait(what, wake_ups, ec);
        if (ec == net::error::eof)
          ec.clear();  // as recv(2) says it: no bytes, and no error
        else if (!ec)
          continue;
        return 0;
      }
    }
  }

  template <class ConstBuffers>
  std::size_t send_request(const ConstBuffers& buffers, const endpoint_type* peer,
                           const detail::send_request& request, error_code& ec)
  {
    return until_done(wait_write, ec, [&](error_code& failure) {
      return detail::send_one(state(), buffers, peer, 0, failure, &request);
    });
  }

  /// As `call`; the text names the peer, and what the datagram asks for in vain.
  template <class Function>
  auto call_request(const char* what, const endpoint_type* peer,
                    const detail::send_request& request, Function function)
  {
    error_code ec;
    const auto result = function(ec);
    if (ec) throw_request(what, peer, request, ec);
    return result;
  }

  template <class ConstBuffers>
  std::optional<std::size_t> attempt_request(const char* what, const ConstBuffers& buffers,
                                             const endpoint_type* peer,
                                             const detail::send_request& request)
  {
    return call_request(what, peer, request, [&](error_code& ec) -> std::optional<std::size_t> {
      const std::size_t size = detail::send_one(state(), buffers, peer, 0, ec, &request);
      if (ec != net::error::would_block) return size;
      ec.clear();
      return std::nullopt;
    });
  }

  DGRAM_COLD void throw_request(const char* what, const endpoint_type* peer,
                                const detail::send_request& request, const error_code& ec)
  {
    std::string call(what);
    if (peer != nullptr) call.append(" \"").append(to_string(*peer)).append("\"");
    const bool v4 = peer != nullptr ? detail::is_ipv4(*peer) : state().flags.peer_is_ipv4;
    const auto refused = request.check<Protocol>(v4);
    if (ec == error_code(refused)) detail::throw_if(refused, call.c_str());
    detail::throw_if(ec, call.c_str());
  }

  template <class ConstBuffers, class Peer, class Token>
  auto async_send_request(const ConstBuffers& buffers, const Peer& peer,
                          const detail::send_request& request, Token&& token)
  {
    using attempt_type = detail::send_attempt<ConstBuffers, Peer, detail::send_request>;
    return detail::initiate<transfer_signature>(
        target(),
        [](state_type& state, auto&& handler, const ConstBuffers& from, const Peer& to,
           const detail::send_request& what) {
          detail::compose<transfer_signature>(state, attempt_type(from, to, 0, what),
                                              std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), buffers, peer, request);
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

  template <class Function>
  static std::optional<std::size_t> attempt(const char* what, Function function)
  {
    return detail::throwing_unless_blocked(what, function);
  }

  executor_type executor_;
  mutable std::shared_ptr<state_type> state_;
};

// Outside of the class: what is defined in a class is inline, and compiled by each unit that uses it even if an
// `extern template` says that another unit has it.

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
auto basic_socket<Protocol, Executor>::operator=(basic_socket&& other) noexcept -> basic_socket&
{
  if (this != &other) {
    shut_down();
    executor_ = other.executor_;
    state_ = std::move(other.state_);
  }
  return *this;
}

template <class Protocol, class Executor>
basic_socket<Protocol, Executor>::~basic_socket()
{
  shut_down();
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
