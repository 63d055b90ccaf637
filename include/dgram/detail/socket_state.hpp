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
#include <dgram/path_error.hpp>
#include <dgram/platform/backend.hpp>
#include <dgram/platform/control.hpp>
#include <dgram/platform/error_queue.hpp>
#include <dgram/platform/names.hpp>
#include <dgram/socket_statistics.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A descriptor may stay ready although there is nothing to receive: after `shutdown`, or with an error queue that
/// nobody reads. After so many wake-ups in vain an operation waits on the timer instead, or it would spin.
inline constexpr int vain_wake_ups = 3;

class wake_up_counter {
public:
  /// Whether an attempt that found nothing was one too many. Reports wake everybody, and none of them in vain.
  bool is_vain(std::uint64_t reports_taken) noexcept
  {
    if (std::exchange(reports_, reports_taken) != reports_taken) count_ = 0;
    return ++count_ > vain_wake_ups;
  }

private:
  std::uint64_t reports_ = 0;
  int count_ = 0;
};

/// The reports that are kept for who comes later. Memory is taken with the first one, and once.
template <class Report>
class report_ring {
public:
  /// Keeps one more; where there were too many the oldest is gone, which is false.
  bool push(const Report& report)
  {
    if (kept_.empty()) kept_.resize(capacity);
    const bool is_full = size_ == capacity;
    kept_[(first_ + size_) % capacity] = report;
    if (is_full)
      first_ = (first_ + 1) % capacity;
    else
      ++size_;
    return !is_full;
  }

  bool pop(Report& into)
  {
    if (size_ == 0) return false;
    into = kept_[first_];
    first_ = (first_ + 1) % capacity;
    --size_;
    return true;
  }

  void clear() noexcept { size_ = 0; }

private:
  static constexpr std::size_t capacity = 64;

  std::vector<Report> kept_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

/// Whose an error is that a call failed with, as far as the queue of reports tells.
enum class blame : std::uint8_t { unknown, own, earlier };

/// What is known of a socket's descriptor, and decides how a batch is prepared for it.
struct socket_flags {
  int family = 0;           ///< what the socket was opened with
  bool dual = false;        ///< IPv4 peers go through an IPv6 socket, in their mapped form
  bool connected = false;   ///< the kernel has a peer
  bool coalescing = false;  ///< the kernel may put datagrams together into one (GRO)
  bool wildcard =
      false;  ///< bound to no address of its own, or not bound: an answer needs a source
  bool on_a_link = false;  ///< bound to what other links have too: an answer needs an interface
  bool wants_reply_source = false;     ///< whenever an answer needs one of these
  bool receives_errors = false;        ///< errors of the path come through the error queue
  bool peer_is_ipv4 = false;           ///< of a connected socket
  bool transmit_time = false;          ///< SO_TXTIME is set
  bool send_timestamps = false;        ///< SO_TIMESTAMPING tells of sends
  bool traffic_class_refused = false;  ///< the kernel takes none per datagram
  bool silence_is_no_drop =
      false;                  ///< a datagram that nothing is said of came before the first drop
  std::uint8_t metadata = 0;  ///< `platform::metadata`
  std::uint8_t ipv4_traffic_class = 0;  ///< what the socket has set, when it was last asked
  std::uint8_t ipv6_traffic_class = 0;

  /// Whether Asio's own operations do all that single datagrams need.
  bool is_plain() const noexcept
  {
    return !dual && !coalescing && !receives_errors && !send_timestamps && metadata == 0;
  }
};

/// What a socket must have been told, or asked, before some datagrams can be sent.
struct socket_needs {
  bool traffic_class = false;  ///< that of the socket, since a part of it stays
  bool transmit_time = false;
  bool timestamps = false;

  bool any() const noexcept { return traffic_class || transmit_time || timestamps; }

  bool has_any_of(const socket_needs& other) const noexcept
  {
    return (traffic_class && other.traffic_class) || (transmit_time && other.transmit_time) ||
           (timestamps && other.timestamps);
  }

  socket_needs& operator|=(const socket_needs& other) noexcept
  {
    traffic_class |= other.traffic_class;
    transmit_time |= other.transmit_time;
    timestamps |= other.timestamps;
    return *this;
  }
};

/// What a socket cannot be told or asked, and why.
struct unmet_needs {
  socket_needs needs;
  error_code why;
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

  socket_statistics counts;
  wrapping_counter drops;

  /// How many reports have come from the error queue: what explains wake-ups of those who waited for something else.
  std::uint64_t reports_taken = 0;

  /// The socket file to be removed.
  [[no_unique_address]] bound_path_of<Protocol> bound;

  platform::descriptor_type descriptor() { return socket.native_handle(); }

  static constexpr bool has_addresses = requires(const endpoint_type& e) { e.address(); };

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
    flags.family = protocol.family();
    flags.wildcard = has_addresses;
    platform::prepare_descriptor(descriptor(), ec);
    if constexpr (dual_stack_protocol<Protocol>) {
      if (!ec && protocol.is_dual()) clear_v6_only(ec);
      flags.dual = protocol.is_dual();
    }
    error_code ignored;
    if (ec) close(ignored);
  }

  void assign(const Protocol& protocol, platform::descriptor_type descriptor, error_code& ec)
  {
    const auto kind = platform::describe(descriptor, ec);
    if (ec) return;
    if (kind.type != protocol.type() || kind.family != protocol.family()) {
      ec = error::wrong_descriptor;
      return;
    }
    const bool has_peer = platform::is_connected(descriptor, ec);
    if (!ec) platform::prepare_descriptor(descriptor, ec);
    if (!ec) socket.assign(protocol, descriptor, ec);
    if (ec) return;
    forget_descriptor();
    flags.family = kind.family;
    flags.connected = has_peer;
    if (has_peer) platform::report_refusals(descriptor, true);
    flags.coalescing = knows_trains && platform::is_coalescing(descriptor);
    adopt_dual(protocol, ec);
    if (ec) {
      error_code ignored;
      release(ignored);
      return;
    }
    note_address();
    if (has_peer) note_peer();
    if constexpr (has_addresses) read_metadata(protocol.family());
  }

  /// The family of the addresses that the kernel has for it. Error: `bad_descriptor`.
  int family(error_code& ec) const
  {
    ec.clear();
    if (!socket.is_open()) ec = net::error::bad_descriptor;
    return flags.family;
  }

  /// The address as the kernel has it; the unspecified one where there is none yet.
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

  /// What the socket was opened with. Error: `bad_descriptor`.
  Protocol protocol(error_code& ec) const
  {
    const auto local = local_endpoint(ec);
    if constexpr (dual_stack_protocol<Protocol>)
      if (!ec && flags.dual) return Protocol::dual();
    return local.protocol();
  }

  void bind(const endpoint_type& local, error_code& ec)
  {
    platform::claim_address(descriptor());
    bound.bind(socket, to_native(local), ec);
    if (!ec) note_address();
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
    if (ec) return;
    flags.connected = true;
    flags.wildcard = flags.on_a_link = false;
    platform::report_refusals(descriptor(), true);
    note_peer();
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
      platform::report_refusals(descriptor(), false);
      if constexpr (requires { before.port(); }) keep_port(before.port(), ec);
      note_address();
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
    std::vector<unsigned> joined;
    change_membership(change, group, interface, joined, ec);
  }

  /// Joining on all interfaces says in `joined` where that was; leaving all leaves those, where there are any.
  void change_membership(membership_change change, const multicast_group& group,
                         const network_interface& interface, std::vector<unsigned>& joined,
                         error_code& ec)
  {
    const bool is_v6 = family(ec) == platform::names::ipv6_family;
    if (ec) return;
    const membership_socket self{descriptor(), !is_v6 || flags.dual, is_v6};
    if (change == membership_change::leave && !joined.empty())
      detail::change_on_each(self, change, group, joined, ec);
    else
      detail::change_membership(self, change, group, interface, joined, ec);
  }

  // --- what is said of each datagram ---

  /// The kernel was told to say, or not to say, this.
  void note_metadata(platform::metadata::field field, bool on) noexcept
  {
    const unsigned bits = on ? flags.metadata | unsigned{field} : flags.metadata & ~unsigned{field};
    flags.metadata = static_cast<std::uint8_t>(bits);
  }

  /// A datagram of which nothing is said came before the first drop only where none had been counted when the kernel began
  /// to say it: one that was queued before that has nothing either.
  void note_drops()
  {
    std::uint32_t now = 0;
    const bool counts_drops = (flags.metadata & platform::metadata::drop_count) != 0;
    flags.silence_is_no_drop = counts_drops && platform::read_drops(descriptor(), now) && now == 0;
  }

  /// Answers are to leave from the address that was asked, and by the interface where that matters.
  void provide_reply_source()
  {
    namespace names = platform::names;
    flags.wants_reply_source = true;
    if (!flags.wildcard && !flags.on_a_link) return;
    if ((flags.metadata & platform::metadata::packet_info) != 0) return;
    error_code ec;
    const int on = 1;
    const int family = this->family(ec);
    if (!ec && family == names::ipv6_family)
      platform::set_option(descriptor(), names::ipv6_level, names::ipv6_packet_info, &on, sizeof on,
                           ec);
    error_code ipv4;
    platform::set_option(descriptor(), names::ipv4_level, names::ipv4_packet_info, &on, sizeof on,
                         ipv4);
    if (family != names::ipv6_family) ec = ipv4;
    if (!ec) note_metadata(platform::metadata::packet_info, true);
  }

  /// One option of the system's has the times of receives and of sends.
  void set_timestamps(bool receives, bool sends, error_code& ec)
  {
    namespace names = platform::names;
    if constexpr (names::timestamps == names::unsupported) {
      ec = net::error::operation_not_supported;
    } else {
      const int value = (receives ? names::receive_timestamps_value : 0) |
                        (sends ? names::send_timestamps_value : 0);
      platform::set_option(descriptor(), names::socket_level, names::timestamps, &value,
                           sizeof value, ec);
      if (ec) return;
      note_metadata(platform::metadata::timestamp, receives);
      flags.send_timestamps = sends;
    }
  }

  /// Sees to what datagrams need that ask for something of their own. Returns what cannot be had.
  unmet_needs provide(const socket_needs& needs)
  {
    unmet_needs unmet;
    if constexpr (!has_addresses) {
      if (needs.any()) unmet = {needs, net::error::operation_not_supported};
    } else {
      const auto note = [&](bool socket_needs::* need, const error_code& ec) {
        unmet.needs.*need = bool(ec);
        if (ec && !unmet.why) unmet.why = ec;
      };
      error_code ec;
      if (needs.traffic_class) {
        read_traffic_classes(ec);
        note(&socket_needs::traffic_class, ec);
      }
      if (needs.transmit_time && !flags.transmit_time) {
        set_transmit_time(ec);
        note(&socket_needs::transmit_time, ec);
      }
      if (needs.timestamps && !flags.send_timestamps) {
        set_timestamps((flags.metadata & platform::metadata::timestamp) != 0, true, ec);
        note(&socket_needs::timestamps, ec);
      }
    }
    return unmet;
  }

  socket_statistics statistics()
  {
    std::uint32_t now = 0;
    if (socket.is_open() && platform::read_drops(descriptor(), now)) drops.read(now);
    socket_statistics result = counts;
    result.dropped = drops.value();
    return result;
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
      if (flags.connected) return read_mtu(descriptor(), flags.peer_is_ipv4, ec);
      // The kernel tells it of a connected socket alone; connecting sends nothing.
      const auto target = canonical(peer);
      net::basic_datagram_socket<typename Protocol::native_protocol, Executor> probe(
          socket.get_executor());
      probe.open(target.protocol(), ec);
      if (!ec) probe.connect(target, ec);
      return ec ? 0 : read_mtu(probe.native_handle(), target.address().is_v4(), ec);
    }
  }

  // --- the error queue ---

  /// Takes what the kernel has queued. Returns whose the error is that a call failed with.
  blame take_reports(const error_code& failure = error_code())
  {
    // A Unix socket has no such queue, and does not look at MSG_ERRQUEUE: it would give its datagrams instead.
    if constexpr (has_addresses)
      return take_queued_reports(failure);
    else
      return blame::unknown;
  }

  bool reads_reports() const noexcept { return flags.receives_errors || flags.send_timestamps; }

  /// Whether a receive has to see to something that Asio's own would not.
  bool attends_receives() const noexcept { return reads_reports() || pending_receive_error; }

  /// The error of an earlier datagram was told to a call, and is in no queue.
  void note_unreported(const error_code& ec) noexcept
  {
    if (flags.receives_errors) {
      ++counts.lost_reports;
    } else {
      ++counts.path_errors;
      pending_receive_error = ec;
      drained = false;  // a receive is to look, and not to wait
    }
  }

  /// Without the option nothing is kept for who asks, and those who wait are told so.
  void set_receives_errors(bool on)
  {
    const bool before = std::exchange(flags.receives_errors, on);
    if (on || !before) return;
    // The kernel would tell the next call, whatever that is; asking takes the error away.
    error_code ignored;
    platform::get_int_option(descriptor(), platform::names::socket_level,
                             platform::names::pending_error, ignored);
    if (!reports_) return;
    reports_->errors.clear();
    reports_->signal.cancel();
  }

  bool next_report(basic_path_error<Protocol>& into)
  {
    return reports_ && reports_->errors.pop(into);
  }

  bool next_report(send_timestamp& into) { return reports_ && reports_->times.pop(into); }

  /// What was kept goes with the descriptor.
  template <class Other>
  void take_over_reports(Other& from)
  {
    reports_taken = from.reports_taken;
    if (!from.reports_) return;
    reports().errors = std::move(from.reports_->errors);
    reports().times = std::move(from.reports_->times);
  }

  /// Waits until there are new reports, whoever takes them from the kernel. Ends with `operation_aborted` then.
  template <class Token>
  auto async_wait_reports(Token&& token)
  {
    watch();
    return reports().signal.async_wait(std::forward<Token>(token));
  }

  /// Those who wait are counted, so that nothing is pending when none does.
  void begin_waiting_for_reports() { ++reports().waiting; }
  void end_waiting_for_reports()
  {
    if (reports_ && --reports_->waiting == 0)
      reports_->stop_watch.emit(net::cancellation_type::total);
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
    if (reports_) reports_->signal.cancel();
    wake_lookups();
  }

  void close(error_code& ec)
  {
    bound.remove();
    forget_descriptor();
    socket.close(ec);
  }

  platform::descriptor_type release(error_code& ec)
  {
    forget_descriptor();
    return socket.release(ec);
  }

  /// Waits until a congested send is worth another try. Operations that wait at the same time share the
  /// timer: one that set it anew would wake the others, and they it, without end.
  template <class Token>
  auto async_wait_congestion(Token&& token)
  {
    return start_backoff().timer.async_wait(std::forward<Token>(token));
  }

  /// Waits, blocking, until another attempt is worth it; `eof` where receiving was shut down, since none will be.
  void wait(net::socket_base::wait_type what, wake_up_counter& wake_ups, error_code& ec)
  {
    ec.clear();
    if (what != net::socket_base::wait_read || !wake_ups.is_vain(reports_taken))
      socket.wait(what, ec);
    else if (platform::is_receiving_shut_down(descriptor()))
      ec = net::error::eof;
    else
      wait_congestion();
  }

  /// As `async_wait_congestion`, blocking.
  void wait_congestion() { std::this_thread::sleep_until(start_backoff().timer.expiry()); }

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
  template <class, class>
  friend struct socket_state;

  blame take_queued_reports(const error_code& failure)
  {
    bool is_earlier = false;
    bool is_own = false;
    bool any = false;
    platform::queued_report report;
    while (platform::next_report(descriptor(), report)) {
      using kind = platform::queued_report::kind;
      any = true;
      ++reports_taken;
      if (report.what == kind::time) {
        counts.lost_reports += reports().times.push(to_timestamp(report)) ? 0 : 1;
      } else if (report.what != kind::unknown) {
        counts.lost_reports += reports().errors.push(to_path_error(report)) ? 0 : 1;
        ++counts.path_errors;
      }
      is_earlier = is_earlier || report.what == kind::icmp || report.what == kind::icmpv6;
      is_own = is_own || (report.what == kind::host && report.error == failure.value());
    }
    if (any && reports_) reports_->signal.cancel();
    if (is_own) return blame::own;
    return is_earlier ? blame::earlier : blame::unknown;
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
    counts = {};
    drops = {};
    if (reports_) reports_->clear();
    end_congestion();
  }

  void note_address()
  {
    if constexpr (has_addresses) {
      error_code ec;
      const auto address = canonical(socket.local_endpoint(ec)).address();
      flags.wildcard = !flags.connected && (ec || address.is_unspecified());
      flags.on_a_link = !flags.connected && !flags.wildcard && is_on_a_link(address);
      if (flags.wants_reply_source) provide_reply_source();
    }
  }

  /// IPv6 is not asked: the bind to a link-local address ties the socket to its interface.
  static bool is_on_a_link(const net::ip::address& bound) noexcept
  {
    return bound.is_multicast() || (bound.is_v4() && is_link_scoped(bound)) ||
           bound == net::ip::address(net::ip::address_v4::broadcast());
  }

  void note_peer()
  {
    if constexpr (has_addresses) {
      error_code ec;
      const auto address = socket.remote_endpoint(ec).address();
      flags.peer_is_ipv4 = !ec && (address.is_v4() || address.to_v6().is_v4_mapped());
    }
  }

  static std::size_t read_mtu(platform::descriptor_type descriptor, bool v4, error_code& ec)
  {
    namespace names = platform::names;
    const int mtu = platform::get_int_option(descriptor, v4 ? names::ipv4_level : names::ipv6_level,
                                             v4 ? names::ipv4_mtu : names::ipv6_mtu, ec);
    return ec ? 0 : static_cast<std::size_t>(mtu);
  }

  bool is_set(int family, int ipv4_name, int ipv6_name)
  {
    namespace names = platform::names;
    const bool v6 = family == names::ipv6_family;
    const int name = v6 ? ipv6_name : ipv4_name;
    error_code ec;
    return name != names::unsupported &&
           platform::get_int_option(descriptor(), v6 ? names::ipv6_level : names::ipv4_level, name,
                                    ec) != 0 &&
           !ec;
  }

  bool is_set(int name)
  {
    namespace names = platform::names;
    error_code ec;
    return name != names::unsupported &&
           platform::get_int_option(descriptor(), names::socket_level, name, ec) != 0 && !ec;
  }

  /// What an adopted descriptor says of each datagram.
  void read_metadata(int family)
  {
    namespace names = platform::names;
    using platform::metadata;
    note_metadata(metadata::packet_info,
                  is_set(family, names::ipv4_packet_info, names::ipv6_packet_info));
    note_metadata(metadata::traffic_class, is_set(family, names::ipv4_receive_traffic_class,
                                                  names::ipv6_receive_traffic_class));
    note_metadata(metadata::hop_limit,
                  is_set(family, names::ipv4_receive_hop_limit, names::ipv6_receive_hop_limit));
    note_metadata(metadata::timestamp, is_set(names::timestamps));
    note_metadata(metadata::drop_count, is_set(names::drop_count));
    note_drops();
    flags.receives_errors = is_set(family, names::ipv4_receive_error, names::ipv6_receive_error);
  }

  void set_transmit_time(error_code& ec)
  {
    namespace names = platform::names;
    const platform::transmit_time_request request;
    platform::set_option(descriptor(), names::socket_level, names::transmit_time, &request.value,
                         sizeof request.value, ec);
    flags.transmit_time = !ec;
  }

  /// Asked each time: options can be set behind our back.
  void read_traffic_classes(error_code& ec)
  {
    namespace names = platform::names;
    const auto read = [&](int level, int name, error_code& failure) {
      const int value = platform::get_int_option(descriptor(), level, name, failure);
      return static_cast<std::uint8_t>(value);
    };
    const bool v6 = family(ec) == names::ipv6_family;
    if (ec) return;
    // Not every system lets an IPv6 socket speak of IPv4.
    error_code ipv4;
    flags.ipv4_traffic_class = read(names::ipv4_level, names::ipv4_traffic_class, ipv4);
    if (v6)
      flags.ipv6_traffic_class = read(names::ipv6_level, names::ipv6_traffic_class, ec);
    else
      ec = ipv4;
  }

  basic_path_error<Protocol> to_path_error(const platform::queued_report& report) const
  {
    using kind = platform::queued_report::kind;
    basic_path_error<Protocol> result;
    endpoint_type native;
    if (report.peer_size <= native.capacity()) {
      std::memcpy(native.data(), &report.peer, report.peer_size);
      native.resize(report.peer_size);
      result.peer = canonical(native);
    }
    result.code = platform::make_system_error(report.error);
    result.offender = report.offender;
    result.origin = report.what == kind::icmp     ? path_error_origin::icmp
                    : report.what == kind::icmpv6 ? path_error_origin::icmpv6
                                                  : path_error_origin::host;
    result.icmp_type = report.type;
    result.icmp_code = report.code;
    if (result.code == net::error::message_size && report.info > 0) result.mtu = report.info;
    return result;
  }

  static send_timestamp to_timestamp(const platform::queued_report& report)
  {
    const auto point = [](std::int64_t time) -> std::optional<receive_time_point> {
      if (time == 0) return std::nullopt;
      return receive_time_point(std::chrono::nanoseconds(time));
    };
    return {report.id, point(report.software_time), point(report.hardware_time)};
  }

  /// One wait on the descriptor for all who wait for reports: an operation that receives may take a report from the
  /// kernel before a wait on the descriptor tells of it, and must be able to wake who waits for that.
  void watch()
  {
    auto& watched = reports();
    if (std::exchange(watched.watching, true)) return;
    auto woken = [self = this->shared_from_this(), started = epoch](error_code ec) {
      self->reports_->watching = false;
      if (self->epoch == started && !ec) self->take_reports();
      // They look for themselves, and watch again where they find nothing.
      self->reports_->signal.cancel();
    };
    socket.async_wait(net::socket_base::wait_error,
                      net::bind_cancellation_slot(watched.stop_watch.slot(), std::move(woken)));
  }

  void adopt_dual(const Protocol& protocol, error_code& ec)
  {
    if constexpr (dual_stack_protocol<Protocol>) {
      // The option of a bound socket is fixed, and asking for what it is already would be refused too.
      if (!protocol.is_dual()) return;
      namespace names = platform::names;
      const bool v6_only =
          platform::get_int_option(descriptor(), names::ipv6_level, names::ipv6_only, ec) != 0;
      if (!ec && v6_only) clear_v6_only(ec);
      if (!ec) flags.dual = true;
    }
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

  backoff& start_backoff()
  {
    backoff& current = backoff_ ? *backoff_ : backoff_.emplace(socket.get_executor());
    if (current.timer.expiry() <= std::chrono::steady_clock::now()) {
      current.timer.expires_after(current.delay);
      current.delay = std::min(current.delay * 2, longest_backoff);
    }
    return current;
  }

  struct report_queues {
    explicit report_queues(const Executor& executor) : signal(executor)
    {
      signal.expires_at(std::chrono::steady_clock::time_point::max());
    }

    void clear()
    {
      errors.clear();
      times.clear();
    }

    report_ring<basic_path_error<Protocol>> errors;
    report_ring<send_timestamp> times;
    timer_type signal;  // never runs out: who waits for reports waits for its cancellation
    net::cancellation_signal stop_watch;
    int waiting = 0;
    bool watching = false;
  };

  report_queues& reports()
  {
    if (!reports_) reports_.emplace(socket.get_executor());
    return *reports_;
  }

  std::optional<backoff> backoff_;
  std::optional<report_queues> reports_;
  std::unique_ptr<timer_type> lookups_;  // few sockets look names up
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
