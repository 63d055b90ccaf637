// SPDX-License-Identifier: BSL-1.0
// The block that a socket and its pending operations share, so that the socket may go while they are queued.
#ifndef DGRAM_DETAIL_SOCKET_STATE_HPP
#define DGRAM_DETAIL_SOCKET_STATE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/bound_path.hpp>
#include <dgram/detail/destination_table.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/multicast.hpp>
#include <dgram/platform/backend.hpp>
#include <dgram/platform/names.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What is known of a socket's descriptor, and decides how a batch is prepared for it.
struct socket_flags {
  bool dual = false;        ///< IPv4 peers go through an IPv6 socket, in their mapped form
  bool connected = false;   ///< the kernel has a peer
  bool coalescing = false;  ///< the kernel may put datagrams together into one (GRO)
};

template <class Protocol>
concept dual_stack_protocol = requires { Protocol::dual(); };

/// An operation notes the epoch when it is launched. `cancel`, `close`, `release` and a new descriptor begin
/// another one: an operation whose wake-up is already queued then finds out before it touches a descriptor,
/// which may be a new one with the old one's number.
template <class Protocol, class Executor>
struct socket_state : std::enable_shared_from_this<socket_state<Protocol, Executor>> {
  using protocol_type = Protocol;
  using executor_type = Executor;
  using endpoint_type = typename Protocol::endpoint;
  using inner_type = net::basic_datagram_socket<typename Protocol::native_protocol, Executor>;

  explicit socket_state(const Executor& executor) : socket(executor) {}

  explicit socket_state(inner_type&& other) : socket(std::move(other)) {}

  inner_type socket;
  std::uint64_t epoch = 0;
  socket_flags flags;

  /// Tells descriptors apart that came after each other: what belongs to one must not be asked of the next.
  std::uint64_t descriptor_number = 0;

  /// The index last set, since Linux does not tell it of an IPv4 socket.
  unsigned multicast_interface = 0;

  /// Where segmentation was refused; sends there go out one by one.
  destination_table<endpoint_type> unsegmented;

  /// The last batch was short, so the queue was empty: the next one waits before it asks the kernel again.
  bool drained = false;

  /// What the last batch met after its datagrams, which the kernel will not say again.
  error_code pending_receive_error;

  /// The socket file to be removed.
  [[no_unique_address]] bound_path_of<Protocol> bound;

  int descriptor() { return socket.native_handle(); }

  /// Whether the kernel may put datagrams together, and cut them apart.
  static constexpr bool knows_trains = !path_protocol<Protocol>;

  /// Whether a send that would have blocked leaves the socket writable: an unconnected Unix socket is always, however
  /// full its peers' queues are (net/unix/af_unix.c, unix_dgram_poll). It waits on the timer, or it would spin.
  bool stays_writable() const noexcept { return path_protocol<Protocol> && !flags.connected; }

  /// Whether a send that failed so is to be tried again on the timer.
  bool is_congested(const error_code& ec) const noexcept
  {
    return platform::is_congestion(ec) || (ec == net::error::would_block && stays_writable());
  }

  void open(const Protocol& protocol, error_code& ec)
  {
    socket.open(protocol, ec);
    if (ec) return;
    forget_descriptor();
    if constexpr (dual_stack_protocol<Protocol>) {
      if (!protocol.is_dual()) return;
      clear_v6_only(ec);
      error_code ignored;
      if (ec)
        socket.close(ignored);
      else
        flags.dual = true;
    }
  }

  void assign(const Protocol& protocol, int descriptor, error_code& ec)
  {
    const auto kind = platform::describe(descriptor, ec);
    if (ec) return;
    if (kind.type != protocol.type() || kind.family != protocol.family()) {
      ec = error::wrong_descriptor;
      return;
    }
    const bool has_peer = platform::is_connected(descriptor, ec);
    if (ec) return;
    socket.assign(protocol, descriptor, ec);
    if (ec) return;
    forget_descriptor();
    flags.connected = has_peer;
    flags.coalescing = knows_trains && platform::is_coalescing(descriptor);
    if constexpr (dual_stack_protocol<Protocol>) {
      // The option of a bound socket is fixed, and asking for what it is already would be refused too.
      if (!protocol.is_dual()) return;
      namespace names = platform::names;
      const bool v6_only =
          platform::get_int_option(descriptor, names::ipv6_level, names::ipv6_only, ec) != 0;
      if (!ec && v6_only) clear_v6_only(ec);
      if (ec) {
        error_code ignored;
        release(ignored);
      } else {
        flags.dual = true;
      }
    }
  }

  /// What the socket was opened with. Error: `bad_descriptor`.
  Protocol protocol(error_code& ec) const
  {
    const auto local = socket.local_endpoint(ec);
    if constexpr (dual_stack_protocol<Protocol>)
      if (!ec && flags.dual) return Protocol::dual();
    return local.protocol();
  }

  void bind(const endpoint_type& local, error_code& ec)
  {
    bound.bind(socket, to_native(local), ec);
  }

  void connect(const endpoint_type& peer, error_code& ec)
  {
    // Linux takes port 0, and is connected to nothing then.
    if constexpr (requires { peer.port(); }) {
      if (peer.port() == 0) {
        ec = error::bad_port;
        return;
      }
    }
    if (!socket.is_open()) {
      open(peer.protocol(), ec);
      if (ec) return;
    }
    if (flags.connected) {
      ec = net::error::already_connected;
      return;
    }
    socket.connect(to_native(peer), ec);
    if (!ec) flags.connected = true;
  }

  void disconnect(error_code& ec)
  {
    if (!socket.is_open()) {
      ec = net::error::bad_descriptor;
    } else if (!flags.connected) {
      ec = net::error::not_connected;
    } else {
      const auto before = socket.local_endpoint(ec);
      platform::disconnect(descriptor(), ec);
      if (ec) return;
      flags.connected = false;
      if constexpr (requires { before.port(); }) keep_port(before.port(), ec);
    }
  }

  /// Pending operations end where coalescing begins: a single receive could not tell a train from a datagram.
  void set_coalescing(bool on, error_code& ec)
  {
    namespace names = platform::names;
    if constexpr (names::coalescing == names::unsupported || !knows_trains) {
      ec = net::error::operation_not_supported;
    } else {
      const int value = on ? 1 : 0;
      platform::set_option(descriptor(), names::udp_level, names::coalescing, &value, sizeof value,
                           ec);
      if (ec) return;
      if (on && !flags.coalescing) {
        abort_operations();
        socket.cancel(ec);
      }
      flags.coalescing = on;
    }
  }

  void change_membership(membership_change change, const multicast_group& group,
                         const network_interface& interface, error_code& ec)
  {
    const auto local = socket.local_endpoint(ec);
    if (ec) return;
    const bool is_v6 = local.protocol().family() == platform::names::ipv6_family;
    const membership_socket self{descriptor(), !is_v6 || flags.dual, is_v6};
    detail::change_membership(self, change, group, interface, ec);
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

  /// Ends the epoch: what is pending completes with `operation_aborted`.
  void abort_operations()
  {
    ++epoch;
    if (backoff_) backoff_->timer.cancel();
    wake_lookups();
  }

  void close(error_code& ec)
  {
    bound.remove();
    forget_descriptor();
    socket.close(ec);
  }

  int release(error_code& ec)
  {
    forget_descriptor();
    return socket.release(ec);
  }

  /// Waits until a congested send is worth another try. Operations that wait at the same time share the
  /// timer: one that set it anew would wake the others, and they it, without end.
  template <class Token>
  auto async_wait_congestion(Token&& token)
  {
    start_backoff();
    return backoff_->timer.async_wait(std::forward<Token>(token));
  }

  /// The same, blocking.
  void wait_congestion()
  {
    start_backoff();
    std::this_thread::sleep_until(backoff_->timer.expiry());
  }

  void end_congestion() noexcept
  {
    if (backoff_) backoff_->delay = shortest_backoff;
  }

  /// Waits for `wake_lookups`: an operation that waits for something other than the socket is to see the epoch end.
  template <class Token>
  auto async_wait_lookup(Token&& token)
  {
    using clock = std::chrono::steady_clock;
    if (!lookups_)
      lookups_ = std::make_unique<timer_type>(socket.get_executor(), clock::time_point::max());
    return lookups_->async_wait(std::forward<Token>(token));
  }

  void wake_lookups()
  {
    if (lookups_) lookups_->cancel();
  }

private:
  void start_backoff()
  {
    if (!backoff_) backoff_.emplace(socket.get_executor());
    if (backoff_->timer.expiry() > std::chrono::steady_clock::now()) return;
    backoff_->timer.expires_after(backoff_->delay);
    backoff_->delay = std::min(backoff_->delay * 2, longest_backoff);
  }

  /// Linux gives up a port that was not bound by number when the peer goes (net/ipv4/udp.c, __udp_disconnect).
  void keep_port(std::uint16_t port, error_code& ec)
  {
    auto local = socket.local_endpoint(ec);
    if (ec || local.port() == port) return;
    local.port(port);
    socket.bind(local, ec);
  }

  /// Nothing that was known of the descriptor holds for the next one.
  void forget_descriptor()
  {
    abort_operations();
    bound.forget();
    ++descriptor_number;
    multicast_interface = 0;
    flags = {};
    unsegmented.clear();
    drained = false;
    pending_receive_error.clear();
    end_congestion();
  }

  void clear_v6_only(error_code& ec)
  {
    const int value = 0;
    namespace names = platform::names;
    platform::set_option(descriptor(), names::ipv6_level, names::ipv6_only, &value, sizeof value,
                         ec);
  }

  static constexpr std::chrono::milliseconds shortest_backoff{1};
  static constexpr std::chrono::milliseconds longest_backoff{50};

  using timer_type =
      net::basic_waitable_timer<std::chrono::steady_clock,
                                net::wait_traits<std::chrono::steady_clock>, Executor>;

  struct backoff {
    explicit backoff(const Executor& executor) : timer(executor) {}
    timer_type timer;
    std::chrono::milliseconds delay = shortest_backoff;
  };

  std::optional<backoff> backoff_;
  std::unique_ptr<timer_type> lookups_;  // few sockets look names up
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
