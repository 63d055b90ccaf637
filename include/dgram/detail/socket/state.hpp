// SPDX-License-Identifier: BSL-1.0
// The state that a socket shares with its pending operations, which may outlive the socket.
#ifndef DGRAM_DETAIL_SOCKET_STATE_HPP
#define DGRAM_DETAIL_SOCKET_STATE_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/signal.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/queries.hpp>
#include <dgram/detail/socket/backoff.hpp>
#include <dgram/detail/socket/bound_path.hpp>
#include <dgram/detail/socket/descriptor.hpp>
#include <dgram/detail/socket/destination_table.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/detail/socket/receivers.hpp>
#include <dgram/detail/socket/reports.hpp>
#include <dgram/detail/socket/shard_seat.hpp>
#include <dgram/detail/socket/wake_ups.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/owned_descriptor.hpp>
#include <dgram/path_error.hpp>
#include <dgram/socket_statistics.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Asio's socket, on which this library's socket is built.
template <class Protocol, class Executor>
using inner_socket = net::basic_datagram_socket<typename Protocol::native_protocol, Executor>;

/// Asio's socket, the knowledge about its descriptor, and the waits. An operation notes the epoch
/// when it is launched; see `epoch_guard`.
template <class Protocol, class Executor>
struct socket_state : descriptor, std::enable_shared_from_this<socket_state<Protocol, Executor>> {
  using protocol_type = Protocol;
  using executor_type = Executor;
  using endpoint_type = typename Protocol::endpoint;
  using inner_type = inner_socket<Protocol, Executor>;

  explicit socket_state(const Executor& executor) : socket(executor) {}

  explicit socket_state(inner_type&& other) : socket(std::move(other)) {}

  /// Takes over one of Asio's sockets, with its pending operations.
  template <class Protocol1, class Executor1>
  explicit socket_state(net::basic_datagram_socket<Protocol1, Executor1>&& other, const Protocol*)
      : socket(std::move(other))
  {
    error_code ignored;
    if (!socket.is_open()) return;
    platform::prepare_descriptor(fd(), ignored);
    look_at_descriptor(platform::describe(fd(), ignored).family);
  }

  socket_state(const socket_state&) = delete;
  socket_state& operator=(const socket_state&) = delete;
  ~socket_state() { leave_seat(); }

  inner_type socket;
  receivers receiving;
  std::shared_ptr<shard_seat<Executor>> seat;  // if the socket is a member of a group
  std::uint64_t epoch = 0;

  /// The peers to which segmentation was refused. Datagrams to them leave one by one for a while.
  destination_table<endpoint_type> unsegmented;

  /// The socket file to remove.
  [[no_unique_address]] bound_path_of<Protocol> bound;

  executor_type get_executor() { return socket.get_executor(); }

  fd_type fd() { return socket.native_handle(); }

  static constexpr bool has_addresses = ip_protocol<Protocol>;

  /// Whether the kernel may join datagrams together, and cut them apart.
  static constexpr bool knows_trains = !path_protocol<Protocol>;

  /// Whether the socket stays writable after a send that would have blocked. An unconnected Unix
  /// socket always does, however full its peers' queues are (net/unix/af_unix.c, unix_dgram_poll).
  /// So the send waits on the timer; otherwise it would spin. On a connected socket, the kernel
  /// looks at the peer's queue alone. That says nothing about a send to another address.
  bool stays_writable(bool addressed = false) const noexcept
  {
    return path_protocol<Protocol> && (addressed || !flags.connected);
  }

  /// Whether this error of a send says that the queue of this datagram's peer is full, which
  /// concerns no other peer.
  bool is_peer_full(const error_code& ec, bool addressed = false) const noexcept
  {
    return ec == net::error::would_block && stays_writable(addressed);
  }

  /// Whether to try a send with this error again on the timer.
  bool is_congested(const error_code& ec, bool addressed = false) const noexcept
  {
    return platform::is_congestion(ec) || is_peer_full(ec, addressed);
  }

  // --- opening, closing and addresses ---

  void open(const Protocol& protocol, error_code& ec)
  {
    socket.open(protocol, ec);
    if (ec) return;
    forget_descriptor();
    flags.family = protocol.family();
    flags.wildcard = has_addresses;
    flags.has_port = !has_addresses;
    platform::prepare_descriptor(fd(), ec);
    if constexpr (dual_stack_protocol<Protocol>) {
      if (!ec && protocol.is_dual()) clear_v6_only(fd(), ec);
      flags.dual = protocol.is_dual();
    }
    error_code ignored;
    if (ec) close(ignored);
  }

  void assign(const Protocol& protocol, fd_type adopted, error_code& ec)
  {
    const auto kind = platform::describe(adopted, ec);
    if (ec) return;
    if (kind.type != protocol.type() || kind.family != protocol.family()) {
      ec = error::wrong_descriptor;
      return;
    }
    platform::is_connected(adopted, ec);
    if (!ec) platform::prepare_descriptor(adopted, ec);
    if (!ec) socket.assign(protocol, adopted, ec);
    if (ec) return;
    forget_descriptor();
    if constexpr (dual_stack_protocol<Protocol>) {
      if (protocol.is_dual()) adopt_dual(adopted, ec);
      flags.dual = !ec && protocol.is_dual();
    }
    if (ec) {
      error_code ignored;
      release(ignored);
      return;
    }
    look_at_descriptor(kind.family);
  }

  DGRAM_COLD void close(error_code& ec)
  {
    bound.remove();
    const bool duplicated = flags.duplicated;
    forget_descriptor();
    if (duplicated && leave_to_others()) return ec.clear();
    socket.close(ec);
  }

  fd_type release(error_code& ec)
  {
    forget_descriptor();
    return socket.release(ec);
  }

  /// Gives the descriptor up to one of Asio's sockets; pending operations end.
  inner_type&& give_up()
  {
    error_code ignored;
    forget_descriptor();
    if (socket.is_open()) socket.cancel(ignored);
    return std::move(socket);
  }

  /// Called when Asio's socket is handed out. From then on, changes through that socket are
  /// noticed, which costs some questions to the kernel before each operation.
  inner_type& share()
  {
    if (look_again_ == nullptr) identity_ = platform::identity_of(fd());
    look_again_ = [](socket_state& state) { state.look_again(); };
    return socket;
  }

  void notice()
  {
    if (look_again_ != nullptr) [[unlikely]]
      look_again_(*this);
  }

  /// Takes over what is known about the other socket's descriptor, which is this one's now.
  template <class Other>
  void take_over(Other& from)
  {
    descriptor::take_over(from);
    bound = std::exchange(from.bound, {});
    if (from.reports_) reports().take_over(from.reports());
  }

  /// Returns the family of the addresses that the kernel has for the socket. Error:
  /// `bad_descriptor`.
  int family(error_code& ec) const
  {
    ec.clear();
    if (!socket.is_open()) ec = net::error::bad_descriptor;
    return flags.family;
  }

  /// Returns the address as the kernel has it; the unspecified address if there is none yet.
  endpoint_type local_endpoint(error_code& ec) const
  {
    endpoint_type local = socket.local_endpoint(ec);
    if constexpr (has_addresses) {
      if (!platform::is_unbound(ec)) return local;
      ec.clear();
      const bool v6 = flags.family == platform::names::ipv6_family;
      return {v6 ? Protocol::native_protocol::v6() : Protocol::native_protocol::v4(), 0};
    }
    return local;
  }

  /// Returns the protocol with which the socket was opened. Error: `bad_descriptor`.
  Protocol protocol(error_code& ec) const
  {
    const auto local = local_endpoint(ec);
    if constexpr (dual_stack_protocol<Protocol>)
      if (!ec && flags.dual) return Protocol::dual();
    return local.protocol();
  }

  void bind(const endpoint_type& local, error_code& ec)
  {
    platform::claim_address(fd());
    bound.bind(socket, to_native(local), ec);
    if (!ec) note_address();
  }

  void connect(const endpoint_type& peer, error_code& ec)
  {
    notice();
    ec.clear();
    if (is_nobody(peer)) ec = error::bad_port;
    if (!ec) refuse_of_member(ec);
    if (ec) return;
    if (!socket.is_open()) {
      open(peer.protocol(), ec);
      if (ec) return;
    }
    // A connect that finds no port reports EAGAIN, and Asio takes that for a pending connect.
    provide_port(ec);
    if (ec) return;
    const bool had_peer = flags.connected;
    socket.connect(to_native(peer), ec);
    if (ec) {
      if (had_peer) note_lost_peer();
      return;
    }
    if (had_peer) forget_peer();
    flags.connected = true;
    flags.wildcard = flags.on_a_link = false;
    platform::report_refusals(fd(), true);
    note_peer();
  }

  void reconnect(const endpoint_type& peer, error_code& ec)
  {
    notice();
    if (!socket.is_open() || !flags.connected) return connect(peer, ec);
    if (is_nobody(peer)) {
      ec = error::bad_port;
      return;
    }
    disconnect(ec);
    if (ec) return;
    forget_peer();
    connect(peer, ec);
    if (!ec) discard_strangers();
  }

  void disconnect(error_code& ec)
  {
    notice();
    if (!socket.is_open()) {
      ec = net::error::bad_descriptor;
    } else if (!flags.connected) {
      ec = net::error::not_connected;
    } else {
      const auto before = socket.local_endpoint(ec);
      platform::disconnect(fd(), ec);
      if (ec) return;
      flags.connected = false;
      platform::report_refusals(fd(), false);
      if constexpr (requires { before.port(); }) keep_port(before.port(), ec);
      note_address();
    }
  }

  /// Makes sure that a send has a port from which to leave. The kernel would find one by itself.
  /// But if all ports are taken, it reports EAGAIN (send(2)), which looks like a full queue. Error:
  /// `address_in_use`, as for a bind to port 0.
  void provide_port(error_code& ec)
  {
    ec.clear();
    if (!flags.has_port) [[unlikely]]
      find_port(ec);
  }

  /// Passes messages to the kernel without blocking. Returns how many it took.
  std::size_t send(platform::message* first, std::size_t count, int how, error_code& ec)
  {
    provide_port(ec);
    return ec ? 0 : platform::backend::send(fd(), first, count, how, ec);
  }

  endpoint_type to_native(const endpoint_type& peer) const
  {
    if constexpr (dual_stack_protocol<Protocol>)
      if (flags.dual) return mapped(peer);
    return peer;
  }

  endpoint_type from_native(const endpoint_type& peer) const
  {
    if constexpr (dual_stack_protocol<Protocol>)
      if (flags.dual) return canonical(peer);
    return peer;
  }

  // --- settings and queries of the descriptor ---

  /// If coalescing begins, pending operations end: a single receive could not tell a train from a
  /// datagram.
  void set_coalescing(bool on, error_code& ec)
  {
    if constexpr (!knows_trains) {
      ec = net::error::operation_not_supported;
    } else {
      ec.clear();
      if (on != flags.coalescing) refuse_of_member(ec);
      if (!ec) descriptor::set_coalescing(fd(), on, ec);
      if (ec) return;
      if (on && !flags.coalescing) {
        abort_operations();
        socket.cancel(ec);
      }
      flags.coalescing = on;
      flags.has_coalesced = flags.has_coalesced || on;
    }
  }

  void change_membership(membership_change change, const multicast_group& group,
                         const network_interface& interface, error_code& ec)
  {
    std::vector<unsigned> indices;
    change_membership(change, group, interface, indices, false, ec);
  }

  /// A join on all interfaces stores their indices in `indices`. A leave on all uses those, if
  /// there are any. With `both_families`, an IPv6 socket takes IPv4 groups too.
  void change_membership(membership_change change, const multicast_group& group,
                         const network_interface& interface, std::vector<unsigned>& indices,
                         bool both_families, error_code& ec)
  {
    family(ec);
    if (!ec)
      descriptor::change_membership(fd(), change, group, interface, indices, both_families, ec);
  }

  void provide_reply_source() { descriptor::provide_reply_source(fd()); }

  unmet_needs provide(const socket_needs& needs)
  {
    if constexpr (has_addresses) {
      if (needs.timestamps) expect_reports();
      return descriptor::provide(fd(), needs);
    } else {
      return needs.any() ? unmet_needs{needs, net::error::operation_not_supported} : unmet_needs();
    }
  }

  socket_statistics statistics()
  {
    return socket.is_open() ? descriptor::statistics(fd()) : descriptor::statistics();
  }

  std::size_t path_mtu(const endpoint_type& peer, error_code& ec)
  {
    namespace names = platform::names;
    if constexpr (names::ipv4_mtu == names::unsupported || !has_addresses) {
      ec = net::error::operation_not_supported;
      return 0;
    } else {
      if (!socket.is_open()) {
        ec = net::error::bad_descriptor;
        return 0;
      }
      if (flags.connected) return read_mtu(fd(), flags.peer_is_ipv4, ec);
      // The kernel reports it for a connected socket alone. The connect sends nothing.
      const auto target = canonical(peer);
      inner_type probe(socket.get_executor());
      probe.open(target.protocol(), ec);
      if (!ec) probe.connect(target, ec);
      return ec ? 0 : read_mtu(probe.native_handle(), target.address().is_v4(), ec);
    }
  }

  /// Discards the datagrams that are queued. Ends even if others arrive as fast.
  DGRAM_COLD void discard_queued()
  {
    constexpr int more_than_a_queue_holds = 1 << 20;
    endpoint_type sender;
    error_code ec;
    for (int i = 0; i < more_than_a_queue_holds && !ec; ++i)
      look_at_next(sender, 0, ec);
  }

  // --- reports ---

  /// Called before reports are turned on. Throws `std::bad_alloc`, and then nothing has changed.
  void expect_reports() { reports(); }

  /// Takes the reports that the kernel has queued. Returns which datagram caused `failure`. `own`
  /// is the peer of a datagram whose send failed with it; it may be null.
  blame take_reports(const error_code& failure = error_code(), const endpoint_type* own = nullptr)
  {
    return reports().take(*this, failure, own);
  }

  /// The same, in code that every socket compiles. Nothing is taken before reports are turned on.
  blame take_known_reports(const error_code& failure = error_code(),
                           const endpoint_type* own = nullptr)
  {
    return reports_ ? reports_->take(*this, failure, own) : blame::unknown;
  }

  /// When the option is turned off, drops the path errors that were kept, and wakes the operations
  /// that wait.
  void set_receives_errors(bool on)
  {
    const bool before = std::exchange(flags.receives_errors, on);
    if (on || !before) return;
    clear_pending_error(fd());
    if (!reports_) return;
    reports_->clear_errors();
    reports_->notify();
  }

  template <class Report>
  bool next_report(Report& into)
  {
    return reports_ && reports().next(into);
  }

  /// Counts the operations that wait for reports, so that no wait is pending if there are none.
  void begin_waiting_for_reports() { reports().begin_waiting(); }
  void end_waiting_for_reports() { reports().end_waiting(); }

  /// Waits until there are new reports, whichever operation takes them from the kernel. Then it
  /// completes with `operation_aborted`.
  template <class Token>
  DGRAM_COLD auto async_wait_reports(Token&& token)
  {
    return reports().async_wait(*this, std::forward<Token>(token));
  }

  /// Whether the socket is connected to an IPv4 peer.
  bool has_ipv4_peer() const noexcept { return bool(flags.peer_is_ipv4); }

  // --- waits ---

  /// Ends the epoch: pending operations complete with `operation_aborted`.
  void abort_operations()
  {
    ++epoch;
    backoff_.cancel();
    if (reports_) reports_->notify();
    wake_lookups();
  }

  /// Waits until it is worth trying a congested send again.
  template <class Token>
  DGRAM_COLD auto async_wait_congestion(Token&& token)
  {
    return backoff_.async_wait(socket.get_executor(), std::forward<Token>(token));
  }

  void end_congestion() noexcept { backoff_.reset(); }

  bool is_ready(net::socket_base::wait_type what) noexcept
  {
    return platform::is_ready(fd(), what);
  }

  /// Blocks until it is worth trying again after `would_block`. The error is `eof` if receiving was
  /// shut down, since no datagram will come.
  void wait(net::socket_base::wait_type what, blocking_wait& waiting, error_code& ec,
            bool addressed = false)
  {
    const bool is_read = what == net::socket_base::wait_read;
    ec.clear();
    // The order of the questions matters, so two of the answers are the same.
    if (!is_read && stays_writable(addressed))
      waiting.sleep();  // NOLINT(bugprone-branch-clone)
    else if (!waiting.wake_ups.is_vain(reports_taken, [&] { return is_ready(what); }))
      socket.wait(what, ec);
    else if (is_read && platform::is_receiving_shut_down(fd()))
      ec = net::error::eof;
    else
      waiting.sleep();
  }

  /// Waits for `wake_lookups`. An operation that does not wait for the socket must see the epoch
  /// end too.
  template <class Token>
  auto async_wait_lookup(Token&& token)
  {
    if (!lookups_) lookups_ = std::make_unique<signal<Executor>>(socket.get_executor());
    return lookups_->async_wait(std::forward<Token>(token));
  }

  void wake_lookups()
  {
    if (lookups_) lookups_->notify();
  }

private:
  template <class, class>
  friend struct socket_state;

  /// Closes a descriptor whose socket stays open elsewhere. Asio relies on the kernel to
  /// end the watch of a descriptor that is closed. But the kernel watches the socket, for which
  /// this process would be woken again and again. Returns false if Asio cannot release descriptors.
  bool leave_to_others()
  {
    error_code ec;
    const owned_descriptor closing(socket.release(ec));
    return !ec;
  }

  DGRAM_COLD void find_port([[maybe_unused]] error_code& ec)
  {
    if constexpr (has_addresses) {
      if (!socket.is_open()) return;
      const bool v6 = flags.family == platform::names::ipv6_family;
      socket.bind({v6 ? Protocol::native_protocol::v6() : Protocol::native_protocol::v4(), 0}, ec);
      // Other errors do not prevent a send. An example is the error of a socket that was bound in
      // another way.
      flags.has_port = ec != net::error::address_in_use;
      if (flags.has_port) ec.clear();
    }
  }

  DGRAM_COLD void look_again()
  {
    const bool is_same = identity_ == platform::identity_of(fd());
    if (!is_same) {
      forget_descriptor();
      identity_ = platform::identity_of(fd());
    }
    error_code ignored;
    if (socket.is_open()) look_at_descriptor(platform::describe(fd(), ignored).family);
    forget_traffic_classes();
  }

  /// Reads the properties of an open descriptor of this family from the kernel.
  DGRAM_COLD void look_at_descriptor(int family)
  {
    error_code ignored;
    flags.family = family;
    flags.has_port = !has_addresses;
    const bool has_peer = platform::is_connected(fd(), ignored);
    if (has_peer != flags.connected) platform::report_refusals(fd(), has_peer);
    flags.connected = has_peer;
    flags.coalescing = knows_trains && platform::is_coalescing(fd());
    flags.has_coalesced = flags.has_coalesced || flags.coalescing;
    note_address();
    if (has_peer) note_peer();
    if constexpr (has_addresses) read_metadata(fd());
    if (reads_reports()) expect_reports();
  }

  /// When the peer goes, Linux gives up a port that was not bound by number (net/ipv4/udp.c,
  /// __udp_disconnect).
  void keep_port(std::uint16_t port, error_code& ec)
  {
    auto local = socket.local_endpoint(ec);
    if (ec || local.port() == port) return;
    local.port(port);
    socket.bind(local, ec);
  }

  /// Linux accepts port 0, and then the socket is connected to nothing.
  static bool is_nobody([[maybe_unused]] const endpoint_type& peer) noexcept
  {
    if constexpr (requires { peer.port(); })
      return peer.port() == 0;
    else
      return false;
  }

  /// Forgets what is known about the peer, since it does not hold for the next one. A send's time
  /// belongs to the send, not to the peer, and stays.
  void forget_peer()
  {
    if (reads_reports()) take_known_reports();
    clear_pending_error(fd());
    pending_receive_error = error_code();
    unsegmented.clear();
    end_congestion();
    if (reports_) reports_->clear_errors();
  }

  /// macOS and the BSDs end the old association before they try the new one. Linux keeps it.
  void note_lost_peer()
  {
    error_code ignored;
    flags.connected = platform::is_connected(fd(), ignored);
    if (!flags.connected) note_address();
  }

  /// Removes the datagrams of other senders from the queue, up to the first one of the peer. Since
  /// the connect, only the peer can add to the queue. The kernel empties the queue of a Unix socket
  /// itself.
  void discard_strangers()
  {
    if constexpr (has_addresses) {
      error_code ec;
      const endpoint_type peer = socket.remote_endpoint(ec);
      endpoint_type sender;
      while (!ec && look_at_next(sender, net::socket_base::message_peek, ec) && sender != peer)
        look_at_next(sender, 0, ec);
    }
  }

  /// Returns whether a datagram is queued. Without `message_peek`, also takes it.
  bool look_at_next(endpoint_type& sender, int how, error_code& ec)
  {
    std::byte start{};
    auto buffer = platform::make_buffer(&start, 1);
    platform::message message;
    message.set_buffers(&buffer, 1);
    message.set_address(sender.data(), sender.capacity());
    if (platform::backend::receive(fd(), &message, 1, how, ec) != 1) return false;
    sender.resize(std::min<std::size_t>(message.address_size(), sender.capacity()));
    return true;
  }

  void leave_seat() noexcept
  {
    if (const auto left = std::exchange(seat, nullptr)) left->leave();
  }

  DGRAM_COLD void forget_descriptor()
  {
    leave_seat();  // before the counters start anew
    abort_operations();
    bound.forget();
    descriptor::forget();
    unsegmented.clear();
    if (reports_) reports_->clear();
    end_congestion();
  }

  DGRAM_COLD void note_address()
  {
    if constexpr (has_addresses) {
      error_code ec;
      const auto local = canonical(socket.local_endpoint(ec));
      const auto address = local.address();
      flags.has_port = local.port() != 0;
      flags.wildcard = !flags.connected && (ec || address.is_unspecified());
      flags.on_a_link = !flags.connected && !flags.wildcard && is_on_a_link(address);
      if (flags.wants_reply_source) provide_reply_source();
    }
  }

  /// IPv6 is not included: the bind to a link-local address ties the socket to its interface.
  static bool is_on_a_link(const net::ip::address& bound) noexcept
  {
    return bound.is_multicast() || (bound.is_v4() && is_link_scoped(bound)) ||
           bound == net::ip::address(net::ip::address_v4::broadcast());
  }

  DGRAM_COLD void note_peer()
  {
    if constexpr (has_addresses) {
      error_code ec;
      const auto address = socket.remote_endpoint(ec).address();
      flags.peer_is_ipv4 = !ec && (address.is_v4() || address.to_v6().is_v4_mapped());
    }
  }

  report_store<Protocol, Executor>& reports()
  {
    using store = report_store<Protocol, Executor>;
    if (!reports_) reports_ = std::make_unique<store>(socket.get_executor());
    return static_cast<store&>(*reports_);
  }

  void (*look_again_)(socket_state&) = nullptr;  // set while others may change the descriptor
  std::uint64_t identity_ = 0;  // of the descriptor that was looked at last, if it is shared
  backoff<Executor> backoff_;
  std::unique_ptr<known_reports<socket_state, endpoint_type>> reports_;
  std::unique_ptr<signal<Executor>> lookups_;  // few sockets look names up
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
