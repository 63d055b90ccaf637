// SPDX-License-Identifier: BSL-1.0
// A datagram socket on a simulated network, and the handle that readers and writers hold.
#ifndef DGRAM_SIM_SOCKET_HPP
#define DGRAM_SIM_SOCKET_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/sim/state.hpp>
#include <dgram/detail/sim/transfer.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/detail/socket/opening.hpp>
#include <dgram/detail/socket/option_access.hpp>
#include <dgram/detail/socket/transfer_op.hpp>
#include <dgram/detail/socket/trying_operations.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/option.hpp>
#include <dgram/path_error.hpp>
#include <dgram/send_options.hpp>
#include <dgram/send_result.hpp>
#include <dgram/sim_clock.hpp>
#include <dgram/sim_network.hpp>
#include <dgram/sim_timer.hpp>
#include <dgram/socket_config.hpp>
#include <dgram/socket_statistics.hpp>
#include <dgram/udp.hpp>

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

namespace detail {
struct lookup_access;
struct sim_access;
}  // namespace detail

namespace sim {

/// A host and a port: `{"10.0.0.1", 7000}` or `{"server", 7000}`. Port 0 means any free port.
struct location {
  std::string_view host;  ///< an address, or the name of a host
  std::uint16_t port = 0;
};

/// A reference to a simulated socket. It stays valid when the socket is moved, closed or destroyed,
/// and then finds it closed. It is a `transport_handle`; readers, writers and emitters hold one.
class socket_handle {
public:
  using protocol_type = udp;
  using endpoint_type = udp::endpoint;
  using executor_type = net::any_io_executor;
  using clock_type = clock;
  using timer_type = timer;

  executor_type get_executor() const noexcept { return state_->get_executor(); }
  bool is_open() const noexcept { return state_->is_open(); }
  bool is_connected() const noexcept { return state_->peer.has_value(); }
  bool is_coalescing() const noexcept { return state_->flags.coalescing; }
  bool is_drained() const noexcept { return state_->drained; }
  bool has_pending_error() const noexcept { return state_->has_pending_error(); }
  bool is_congested(const error_code&) const noexcept { return false; }
  bool is_ready(net::socket_base::wait_type what) const { return state_->is_ready(what); }
  std::uint64_t epoch() const noexcept { return state_->epoch; }
  std::uint64_t descriptor_number() const noexcept { return state_->descriptor_number; }
  std::uint64_t reports_taken() const noexcept { return state_->reports_taken; }

  /// Makes datagrams carry the address that they were sent to.
  void provide_reply_source() { state_->flags.packet_info = true; }

  /// Refuses single receives, as on a socket of the system. No trains arrive.
  void set_coalescing(bool on, error_code& ec)
  {
    ec.clear();
    if (std::exchange(state_->flags.coalescing, on) != on && on) state_->abort_operations();
  }

  std::size_t try_receive_batch(receive_batch& batch, error_code& ec)
  {
    return detail::receive_many(*state_, batch, ec);
  }

  send_result try_send_batch(send_batch& batch) { return detail::send_many(*state_, batch); }

  /// As that of the socket.
  path_error try_receive_error(error_code& ec)
  {
    return detail::next_report<path_error>(*state_, ec);
  }

  template <class Token>
  auto async_wait(net::socket_base::wait_type what, Token&& token)
  {
    return state_->async_wait(what, std::forward<Token>(token));
  }

  template <class Token>
  auto async_wait_congestion(Token&& token)
  {
    return state_->async_wait_congestion(std::forward<Token>(token));
  }

  /// As those of the socket. A `membership` keeps interfaces in the vector. A simulated host has
  /// one interface, so the vector stays empty.
  void join(const multicast_group& group, const network_interface& interface,
            std::vector<unsigned>&, error_code& ec)
  {
    state_->join(group, interface, ec);
  }
  void leave(const multicast_group& group, const network_interface& interface,
             std::vector<unsigned>&, error_code& ec)
  {
    state_->leave(group, interface, ec);
  }

  /// The protocol that the socket was opened with. Error: `bad_descriptor`.
  protocol_type protocol(error_code& ec) const
  {
    ec = is_open() ? error_code() : error_code(net::error::bad_descriptor);
    return state_->protocol();
  }
  void bind(const endpoint_type& local, error_code& ec) { state_->bind(local, ec); }
  void connect(const endpoint_type& peer, error_code& ec) { state_->connect(peer, ec); }
  void close(error_code& ec)
  {
    ec.clear();
    state_->close();
  }

  /// Expires with the socket and all operations that are pending on it.
  std::weak_ptr<const void> lifetime() const noexcept { return state_; }

private:
  friend class socket;
  friend struct detail::lookup_access;
  friend struct detail::receivers_access;

  explicit socket_handle(std::shared_ptr<detail::sim_state> state) noexcept
      : state_(std::move(state))
  {
  }

  detail::receivers& who_receives() const noexcept { return state_->receiving; }

  template <class Token>
  auto async_wait_lookup(Token&& token) const
  {
    return state_->async_wait_lookup(std::forward<Token>(token));
  }

  void wake_lookups() { state_->wake_lookups(); }

  template <class ConstBuffers, class Handler>
  void async_send_to_first(const ConstBuffers& buffers, std::vector<endpoint_type> peers,
                           net::socket_base::message_flags flags, Handler&& handler) const
  {
    using attempt = detail::send_attempt<ConstBuffers, std::vector<endpoint_type>>;
    detail::start_transfer(*state_, attempt(buffers, std::move(peers), flags),
                           std::forward<Handler>(handler));
  }

  std::shared_ptr<detail::sim_state> state_;
};

/// A datagram socket on a simulated network, with the operations of `dgram::udp::socket` that a
/// network in memory can have. Readers, writers and emitters run on it: it models
/// `transport_with_handle` and `emitter_transport`. Signatures, errors and cancellation are those
/// of `basic_socket`, with these differences:
///  - No call blocks, because time passes only in `network::run_for`. There is no blocking receive;
///    use the `try_` and `async_` forms. `send` and `send_to` report `would_block` on a paused
///    host.
///  - Binding to an address makes the socket one of that host. Wildcard and loopback addresses need
///    a host: that of the constructor, or `network::set_default_host`.
///  - An IPv6 socket takes no IPv4 traffic. A dual-stack socket (`udp::dual()`) takes both.
///  - A datagram to a port without a socket makes a connected sender fail with
///    `connection_refused` after a round trip.
///  - A datagram larger than the link's MTU fails with `message_size`. There are no fragments.
///  - The receive and send buffers count each datagram as its size and 256 bytes more, as a kernel
///    does. A datagram is in the send buffer while it waits for the `rate` of its link.
///  - Options without a meaning here fail with `operation_not_supported`. Those that have one are
///    listed at `set_option`. Of `send_options`, `source`, `ecn`, `dscp`, `hop_limit` and
///    `do_not_fragment` have one.
///  - There is no descriptor: `native_handle` is -1, and `assign` is `operation_not_supported`.
///
/// Thread safety: none. Everything belongs on the thread that runs the network.
///
/// \code
/// dgram::sim::network net{io};
/// dgram::sim::socket server{net, {"10.0.0.1", 7000}};
/// dgram::sim::socket client{net, {"10.0.0.2", 0}};
/// client.async_send_to(asio::buffer(query), server.local_endpoint(),
///                      [](dgram::error_code, std::size_t) {});
/// server.async_receive_from(asio::buffer(storage), sender,
///                           [&](dgram::error_code, std::size_t n) { fmt::print("{}\n", n); });
/// net.run();
/// \endcode
class socket : public net::socket_base, public detail::trying_operations<socket, udp> {
public:
  using protocol_type = udp;
  using endpoint_type = udp::endpoint;
  using executor_type = net::any_io_executor;
  using handle_type = socket_handle;
  using native_handle_type = int;
  using clock_type = clock;
  using timer_type = timer;
  using default_token = default_token_t<executor_type>;

  /// A closed socket on the network of the executor's context. Throws `std::logic_error` if the
  /// context has none.
  explicit socket(const executor_type& executor)
      : socket(detail::sim_service::find(executor, "sim::socket"), executor)
  {
  }

  /// A closed socket.
  explicit socket(network& net) : socket(net.wire_, net.get_executor()) {}

  /// A closed socket on a host, which wildcard and loopback addresses mean.
  ///
  /// \code
  /// dgram::sim::network net{io};
  /// dgram::sim::socket server{net, "10.0.0.1"};
  /// server.open(dgram::udp::v4());
  /// server.bind({dgram::udp::v4(), 7000});
  /// \endcode
  template <std::convertible_to<std::string_view> Text>
  socket(network& net, const Text& host) : socket(net)
  {
    state_->set_home(net.wire_->host_of(host));
  }

  /// An open socket that is bound to a port of a host, and to the host's first address if the
  /// location has a name. Throws the errors of `open`, the options and `bind`.
  socket(network& net, const location& at, const socket_config& config = {}) : socket(net, at.host)
  {
    error_code not_an_address;
    auto address = parse_address(at.host, not_an_address);
    if (not_an_address) address = net.addresses(at.host).front();
    const endpoint_type local(address, at.port);
    open(local.protocol(), config);
    bind(local);
  }

  /// The other socket is closed then, and may be opened again.
  socket(socket&& other) noexcept
      : executor_(other.executor_), wire_(other.wire_), state_(std::move(other.state_))
  {
  }

  /// Closes this socket first.
  socket& operator=(socket&& other)
  {
    if (this != &other) {
      if (state_) state_->close();
      executor_ = other.executor_;
      wire_ = other.wire_;
      state_ = std::move(other.state_);
    }
    return *this;
  }

  /// Closes the socket. Pending operations complete with `operation_aborted`.
  ~socket()
  {
    if (state_) state_->close();
  }

  executor_type get_executor() const noexcept { return executor_; }
  handle_type handle() { return handle_type(shared()); }
  bool is_open() const noexcept { return state_ && state_->is_open(); }

  /// There is no descriptor: -1.
  native_handle_type native_handle() const noexcept { return -1; }

  // --- opening and closing ---

  void open(const protocol_type& protocol, error_code& ec) { state().open(protocol, ec); }

  void open(const protocol_type& protocol = protocol_type::v4())
  {
    detail::throwing("open", [&](error_code& ec) { open(protocol, ec); });
  }

  void open(const protocol_type& protocol, const socket_config& config, error_code& ec)
  {
    detail::failed_step step;
    detail::open_configured(*this, protocol, config, step, ec);
  }

  void open(const protocol_type& protocol, const socket_config& config)
  {
    error_code ec;
    detail::failed_step step;
    detail::open_configured(*this, protocol, config, step, ec);
    step.throw_if(ec);
  }

  /// Always fails with `operation_not_supported`: a simulated socket has no descriptor.
  void assign(const protocol_type&, native_handle_type, error_code& ec)
  {
    ec = net::error::operation_not_supported;
  }

  void close(error_code& ec)
  {
    ec.clear();
    if (state_) state_->close();
  }
  void close()
  {
    if (state_) state_->close();
  }

  /// Completes pending operations with `operation_aborted`. Error: `bad_descriptor`.
  void cancel(error_code& ec)
  {
    ec = is_open() ? error_code() : error_code(net::error::bad_descriptor);
    if (state_) state_->abort_operations();
  }
  void cancel()
  {
    detail::throwing("cancel", [&](error_code& ec) { cancel(ec); });
  }

  // --- addresses ---

  /// Binds to an address of a host; port 0 asks for a free port from 49152 on. Errors:
  /// `address_in_use`, `address_not_available` (of no host, or of another one),
  /// `address_family_not_supported`, `invalid_argument` (bound already), `bad_descriptor`.
  void bind(const endpoint_type& local, error_code& ec) { state().bind(local, ec); }
  void bind(const endpoint_type& local)
  {
    error_code ec;
    bind(local, ec);
    if (!ec) return;
    error_code ignored;
    detail::raise_bind(ec, local, local_endpoint(ignored));
  }

  /// Sets the peer. Errors: `error::bad_port`, `address_family_not_supported`,
  /// `network_unreachable` (the host has no address of the peer's family), and those of `bind`.
  void connect(const endpoint_type& peer, error_code& ec) { state().connect(peer, ec); }
  void connect(const endpoint_type& peer)
  {
    detail::throwing("connect", peer, [&](error_code& ec) { connect(peer, ec); });
  }

  /// Sets another peer, and discards queued datagrams of other senders.
  void reconnect(const endpoint_type& peer, error_code& ec) { state().reconnect(peer, ec); }
  void reconnect(const endpoint_type& peer)
  {
    detail::throwing("reconnect", peer, [&](error_code& ec) { reconnect(peer, ec); });
  }

  void disconnect(error_code& ec) { state().disconnect(ec); }
  void disconnect()
  {
    detail::throwing("disconnect", [&](error_code& ec) { disconnect(ec); });
  }

  /// The bound address; unspecified, with port 0, before the socket is bound.
  endpoint_type local_endpoint(error_code& ec) const
  {
    ec = is_open() ? error_code() : error_code(net::error::bad_descriptor);
    return ec ? endpoint_type() : state_->local;
  }
  endpoint_type local_endpoint() const
  {
    return detail::throwing("local_endpoint", [&](error_code& ec) { return local_endpoint(ec); });
  }

  /// The peer. Errors: `not_connected`, `bad_descriptor`.
  endpoint_type remote_endpoint(error_code& ec) const
  {
    ec.clear();
    if (!is_open())
      ec = net::error::bad_descriptor;
    else if (!state_->peer)
      ec = net::error::not_connected;
    return ec ? endpoint_type() : *state_->peer;
  }
  endpoint_type remote_endpoint() const
  {
    return detail::throwing("remote_endpoint", [&](error_code& ec) { return remote_endpoint(ec); });
  }

  // --- options ---

  /// Sets one of these options of `dgram::option`: `broadcast`, `reuse_address`, `reuse_port`,
  /// `v6_only`, `receive_buffer_size` and `send_buffer_size` (also forced), `hop_limit`,
  /// `multicast_hop_limit`, `multicast_loopback`, `traffic_class`, `differentiated_services`,
  /// `coalescing`, `packet_info`, `receive_ecn`, `receive_hop_limit`, `receive_timestamp`,
  /// `receive_drop_count`, `receive_error`; or Asio's `broadcast`, `reuse_address`,
  /// `receive_buffer_size` and `send_buffer_size`. Errors: those of the option's own check,
  /// `bad_descriptor`, and `operation_not_supported` for any other option.
  ///
  /// `v6_only` is always on for an IPv6 socket and off for a dual-stack socket. The other value
  /// fails with `operation_not_supported` on an IPv6 socket and with `invalid_argument` on a
  /// dual-stack socket. On a bound socket both values fail with `invalid_argument`, and on an IPv4
  /// socket with `no_protocol_option`.
  template <class Option>
  void set_option(const Option& option, error_code& ec)
  {
    ec.clear();
    if constexpr (requires {
                    { option.check() } -> std::convertible_to<error_code>;
                  })
      ec = option.check();
    // What this host's kernel lacks is no limit here.
    if (ec == net::error::operation_not_supported) ec.clear();
    if (!is_open()) ec = net::error::bad_descriptor;
    if (!ec) apply(option, ec);
  }

  template <class Option>
  void set_option(const Option& option)
  {
    error_code ec;
    set_option(option, ec);
    if constexpr (detail::own_option<Option>) detail::throw_if_refused(ec, "set_option", option);
    detail::throw_if(ec, "set_option");
  }

  /// The size of the receive queue in bytes. The size that is set is the one that takes effect.
  std::size_t get_receive_buffer_size(error_code& ec)
  {
    ec = is_open() ? error_code() : error_code(net::error::bad_descriptor);
    return ec ? 0 : state_->flags.receive_buffer;
  }
  std::size_t set_receive_buffer_size(int size, error_code& ec)
  {
    set_option(option::receive_buffer_size(size), ec);
    return ec ? 0 : get_receive_buffer_size(ec);
  }
  std::size_t get_send_buffer_size(error_code& ec)
  {
    ec = is_open() ? error_code() : error_code(net::error::bad_descriptor);
    return ec ? 0 : state_->flags.send_buffer;
  }
  std::size_t set_send_buffer_size(int size, error_code& ec)
  {
    set_option(option::send_buffer_size(size), ec);
    return ec ? 0 : get_send_buffer_size(ec);
  }

  // --- multicast ---

  /// Joins a group. A host has one interface, so `interface` may only be any, all, or an address of
  /// the host. Errors: `error::not_multicast`, `error::bad_source`, `error::unknown_interface`,
  /// `address_family_not_supported`, and `address_in_use` (already joined).
  void join(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    state().join(group, interface, ec);
  }
  void join(const multicast_group& group, const network_interface& interface = network_interface())
  {
    detail::throwing("join", detail::membership_subject{group, interface},
                     [&](error_code& ec) { join(group, interface, ec); });
  }

  void leave(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    state().leave(group, interface, ec);
  }
  void leave(const multicast_group& group, const network_interface& interface = network_interface())
  {
    detail::throwing("leave", detail::membership_subject{group, interface},
                     [&](error_code& ec) { leave(group, interface, ec); });
  }

  // --- counters and path errors ---

  socket_statistics statistics() const { return state_ ? state_->counts : socket_statistics(); }

  path_error try_receive_error(error_code& ec)
  {
    return detail::next_report<path_error>(state(), ec);
  }

  /// Waits for a path error; needs `option::receive_error`. See `basic_socket`.
  ///
  /// Completion: `void(error_code, path_error)`. Cancellation: terminal, partial and total.
  template <net::completion_token_for<void(error_code, path_error)> Token = default_token>
  auto async_receive_error(Token&& token = default_token())
  {
    return detail::initiate<void(error_code, path_error)>(
        target(),
        [](detail::sim_state& state, auto&& handler) {
          detail::start_transfer(state, detail::report_attempt<path_error>(),
                                 std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token));
  }

  // --- one datagram, at once (see trying_operations.hpp for the `try_` forms) ---

  /// As `try_send`, but `would_block` is an error like others.
  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, message_flags flags, error_code& ec)
  {
    return detail::send_one(state(), buffers, static_cast<const endpoint_type*>(nullptr), flags,
                            ec);
  }
  template <class ConstBuffers>
  std::size_t send(const ConstBuffers& buffers, message_flags flags = 0)
  {
    return detail::throwing("send", [&](error_code& ec) { return send(buffers, flags, ec); });
  }
  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer, message_flags flags,
                      error_code& ec)
  {
    return detail::send_one(state(), buffers, &peer, flags, ec);
  }
  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                      message_flags flags = 0)
  {
    return detail::throwing("send_to", peer,
                            [&](error_code& ec) { return send_to(buffers, peer, flags, ec); });
  }
  template <class ConstBuffers>
  std::size_t send_to(const ConstBuffers& buffers, const reply_path& path)
  {
    return detail::throwing("send_to", path.peer,
                            [&](error_code& ec) { return try_send_to(buffers, path, ec); });
  }

  // --- batches, at once ---

  std::size_t try_receive_batch(receive_batch& batch, error_code& ec)
  {
    return detail::receive_many(state(), batch, ec);
  }
  std::optional<std::size_t> try_receive_batch(receive_batch& batch)
  {
    return detail::throwing_unless_blocked(
        "try_receive_batch", [&](error_code& ec) { return try_receive_batch(batch, ec); });
  }
  send_result try_send_batch(send_batch& batch) { return detail::send_many(state(), batch); }

  // --- asynchronous operations ---
  //
  // As those of `basic_socket`: the handler is called once, never inside the initiating function,
  // by its associated executor. Cancellation: terminal, partial and total; a cancelled operation
  // has moved nothing. Buffers, endpoints and batches must stay valid until completion.

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send(const ConstBuffers& buffers, Token&& token = default_token())
  {
    return start<transfer>(detail::send_attempt<ConstBuffers, detail::no_peer>(buffers, {}, 0),
                           std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send(const ConstBuffers& buffers, const send_options& options,
                  Token&& token = default_token())
  {
    using attempt = detail::send_attempt<ConstBuffers, detail::no_peer, detail::send_request>;
    return start<transfer>(attempt(buffers, {}, 0, detail::send_request(options)),
                           std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                     Token&& token = default_token())
  {
    return start<transfer>(detail::send_attempt<ConstBuffers, endpoint_type>(buffers, peer, 0),
                           std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const endpoint_type& peer,
                     const send_options& options, Token&& token = default_token())
  {
    using attempt = detail::send_attempt<ConstBuffers, endpoint_type, detail::send_request>;
    return start<transfer>(attempt(buffers, peer, 0, detail::send_request(options)),
                           std::forward<Token>(token));
  }

  template <class ConstBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_send_to(const ConstBuffers& buffers, const reply_path& path,
                     Token&& token = default_token())
  {
    using attempt = detail::send_attempt<ConstBuffers, endpoint_type, detail::send_request>;
    return start<transfer>(attempt(buffers, path.peer, 0, detail::send_request(path)),
                           std::forward<Token>(token));
  }

  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive(const MutableBuffers& buffers, Token&& token = default_token())
  {
    return async_receive(buffers, 0, std::forward<Token>(token));
  }

  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive(const MutableBuffers& buffers, message_flags flags,
                     Token&& token = default_token())
  {
    return start<transfer>(
        detail::receive_attempt<MutableBuffers, endpoint_type>(buffers, nullptr, flags),
        std::forward<Token>(token));
  }

  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_from(const MutableBuffers& buffers, endpoint_type& sender,
                          Token&& token = default_token())
  {
    return async_receive_from(buffers, sender, 0, std::forward<Token>(token));
  }

  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_from(const MutableBuffers& buffers, endpoint_type& sender, message_flags flags,
                          Token&& token = default_token())
  {
    return start<transfer>(
        detail::receive_attempt<MutableBuffers, endpoint_type>(buffers, &sender, flags),
        std::forward<Token>(token));
  }

  template <class MutableBuffers,
            net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_from(const MutableBuffers& buffers, datagram_info& info,
                          Token&& token = default_token())
  {
    return start<transfer>(
        detail::receive_attempt<MutableBuffers, datagram_info>(buffers, &info, 0),
        std::forward<Token>(token));
  }

  template <net::completion_token_for<void(error_code, std::size_t)> Token = default_token>
  auto async_receive_batch(receive_batch& batch, Token&& token = default_token())
  {
    return start<transfer>(detail::receive_batch_attempt<receive_batch>(batch),
                           std::forward<Token>(token));
  }

  template <net::completion_token_for<void(error_code, send_result)> Token = default_token>
  auto async_send_batch(send_batch& batch, Token&& token = default_token())
  {
    return start<void(error_code, send_result)>(detail::send_batch_attempt<send_batch*>(&batch),
                                                std::forward<Token>(token));
  }

  /// Waits until the socket is readable, is writable or has a path error to fetch (`wait_error`).
  /// Completion: `void(error_code)`.
  template <net::completion_token_for<void(error_code)> Token = default_token>
  auto async_wait(wait_type what, Token&& token = default_token())
  {
    return state().async_wait(what, std::forward<Token>(token));
  }

  template <net::completion_token_for<void(error_code)> Token = default_token>
  auto async_connect(const endpoint_type& peer, Token&& token = default_token())
  {
    return start<void(error_code)>(detail::connect_attempt<endpoint_type>(peer),
                                   std::forward<Token>(token));
  }

private:
  friend struct detail::sim_access;
  friend detail::trying_operations<socket, udp>;

  using transfer = void(error_code, std::size_t);

  socket(std::shared_ptr<detail::sim_wire> wire, const executor_type& executor)
      : executor_(executor), wire_(std::move(wire))
  {
    state_ = std::make_shared<detail::sim_state>(wire_, executor_);
  }

  /// A moved-from socket has no block until it is used again.
  const std::shared_ptr<detail::sim_state>& shared()
  {
    if (!state_) state_ = std::make_shared<detail::sim_state>(wire_, executor_);
    return state_;
  }
  detail::sim_state& state() { return *shared(); }

  class launch_target {
  public:
    explicit launch_target(socket& of) noexcept : socket_(&of) {}
    detail::sim_state& state() const { return socket_->state(); }

  private:
    socket* socket_;
  };

  launch_target target() noexcept { return launch_target(*this); }

  template <class Signature, class Attempt, class Token>
  auto start(Attempt attempt, Token&& token)
  {
    return detail::initiate<Signature>(
        target(),
        [](detail::sim_state& state, auto&& handler, Attempt launched) {
          detail::start_transfer(state, std::move(launched),
                                 std::forward<decltype(handler)>(handler));
        },
        std::forward<Token>(token), std::move(attempt));
  }

  void set_size(std::size_t& buffer, int wanted, error_code& ec)
  {
    if (wanted < 1) {
      ec = error::out_of_range;
      return;
    }
    buffer = static_cast<std::size_t>(wanted);
    state_->resume();  // a larger send buffer may have room
  }

  template <class Option>
  void apply(const Option& wanted, error_code& ec)
  {
    auto& flags = state_->flags;
    const auto is = [](auto... options) {
      return (std::is_same_v<Option, typename decltype(options)::type> || ...);
    };
    using std::type_identity;
    if constexpr (is(type_identity<option::broadcast>(),
                     type_identity<net::socket_base::broadcast>()))
      flags.broadcast = wanted.value();
    else if constexpr (is(type_identity<option::reuse_address>(),
                          type_identity<net::socket_base::reuse_address>()))
      state_->reuses_address = wanted.value();
    else if constexpr (is(type_identity<option::reuse_port>()))
      state_->reuses_port = wanted.value();
    else if constexpr (is(type_identity<option::v6_only>())) {
      if (state_->protocol().family() == udp::v4().family())
        ec = net::error::no_protocol_option;
      else if (state_->is_bound() || (wanted.value() && state_->dual))
        ec = net::error::invalid_argument;
      else if (!wanted.value() && !state_->dual)
        ec = net::error::operation_not_supported;
    } else if constexpr (is(type_identity<option::receive_buffer_size>(),
                            type_identity<option::forced_receive_buffer_size>(),
                            type_identity<net::socket_base::receive_buffer_size>()))
      set_size(flags.receive_buffer, wanted.value(), ec);
    else if constexpr (is(type_identity<option::send_buffer_size>(),
                          type_identity<option::forced_send_buffer_size>(),
                          type_identity<net::socket_base::send_buffer_size>()))
      set_size(flags.send_buffer, wanted.value(), ec);
    else if constexpr (is(type_identity<option::hop_limit>()))
      flags.hop_limit = static_cast<std::uint8_t>(wanted.value());
    else if constexpr (is(type_identity<option::multicast_hop_limit>()))
      flags.multicast_hop_limit = static_cast<std::uint8_t>(wanted.value());
    else if constexpr (is(type_identity<option::multicast_loopback>()))
      flags.multicast_loopback = wanted.value();
    else if constexpr (is(type_identity<option::differentiated_services>()))
      flags.traffic_class = static_cast<std::uint8_t>(wanted.value() << 2);
    else if constexpr (is(type_identity<option::traffic_class>()))
      flags.traffic_class = static_cast<std::uint8_t>(wanted.value());
    else if constexpr (is(type_identity<option::coalescing>()))
      handle().set_coalescing(wanted.value(), ec);
    else if constexpr (is(type_identity<option::packet_info>()))
      flags.packet_info = wanted.value();
    else if constexpr (is(type_identity<option::receive_ecn>()))
      flags.traffic_class_given = wanted.value();
    else if constexpr (is(type_identity<option::receive_hop_limit>()))
      flags.hop_limit_given = wanted.value();
    else if constexpr (is(type_identity<option::receive_timestamp>()))
      flags.time_given = wanted.value();
    else if constexpr (is(type_identity<option::receive_drop_count>()))
      flags.drops_given = wanted.value();
    else if constexpr (is(type_identity<option::receive_error>()))
      flags.receives_errors = wanted.value();
    else
      ec = net::error::operation_not_supported;
  }

  executor_type executor_;
  std::shared_ptr<detail::sim_wire> wire_;
  std::shared_ptr<detail::sim_state> state_;
};

}  // namespace sim

DGRAM_NAMESPACE_END

#endif
