// SPDX-License-Identifier: BSL-1.0
// What the library knows about a descriptor, and the options that it sets and reads itself.
#ifndef DGRAM_DETAIL_SOCKET_DESCRIPTOR_HPP
#define DGRAM_DETAIL_SOCKET_DESCRIPTOR_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/error_queue.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/older_options.hpp>
#include <dgram/detail/platform/timestamp_ids.hpp>
#include <dgram/detail/socket/counts.hpp>
#include <dgram/detail/socket/flags.hpp>
#include <dgram/detail/socket/membership.hpp>
#include <dgram/detail/socket/send_window.hpp>
#include <dgram/detail/socket/timestamp_numbers.hpp>
#include <dgram/error.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/socket_statistics.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// This is no template, so the compiler compiles it once for all protocols and executors. The
/// caller passes the descriptor's number, since Asio's socket holds it.
struct descriptor {
  using fd_type = platform::descriptor_type;

  socket_flags flags;

  /// Tells descriptors apart that follow one another: what belongs to one must not be used for the
  /// next.
  std::uint64_t descriptor_number = 0;

  /// The index that was set last. Linux does not report it for an IPv4 socket.
  unsigned multicast_interface = 0;

  /// The groups to leave, with the index by which each was joined.
  joined_groups joined;

  /// Whether the last batch was short, which means an empty queue. The next batch then waits before
  /// it asks the kernel again.
  bool drained = false;

  /// An error that followed the datagrams of the last batch. The kernel will not report it again.
  kept_error pending_receive_error;

  /// How much of the next batch is described for the kernel at once.
  send_window window;

  socket_counts counts;
  wrapping_counter drops;
  timestamp_numbers timestamps;

  /// How many reports have come from the error queue. They explain wake-ups of operations that
  /// waited for something else.
  std::uint64_t reports_taken = 0;

  /// Forgets what is known about the descriptor, since it does not hold for the next one.
  DGRAM_COLD void forget()
  {
    ++descriptor_number;
    flags = {};
    multicast_interface = 0;
    joined = {};
    drained = false;
    pending_receive_error = kept_error();
    window = {};
    counts = {};
    drops = {};
    timestamps = {};
  }

  /// Takes over the descriptor of another socket.
  void take_over(const descriptor& from)
  {
    flags = from.flags;
    multicast_interface = from.multicast_interface;
    joined = from.joined;
    pending_receive_error = from.pending_receive_error;
    counts = from.counts;
    drops = from.drops;
    timestamps = from.timestamps;
    reports_taken = from.reports_taken;
  }

  bool reads_reports() const noexcept { return flags.receives_errors || flags.send_timestamps; }

  /// Whether a receive must handle something that Asio's own receive would not.
  bool attends_receives() const noexcept { return reads_reports() || bool(pending_receive_error); }

  /// Called when a call received the error of an earlier datagram, and that error is in no queue.
  void note_unreported(const error_code& ec) noexcept
  {
    if (flags.receives_errors) {
      ++counts.lost_reports;
    } else {
      ++counts.path_errors;
      pending_receive_error = ec;
      drained = false;  // the next receive must look instead of waiting
    }
  }

  socket_statistics statistics(fd_type fd)
  {
    std::uint32_t now = 0;
    if (platform::read_drops(fd, now)) drops.read(now);
    return statistics();
  }

  socket_statistics statistics() const
  {
    return counts.with_drops(drops.value(), flags.has_coalesced);
  }

  void change_membership(fd_type fd, membership_change change, const multicast_group& group,
                         const network_interface& interface, std::vector<unsigned>& where,
                         bool both_families, error_code& ec)
  {
    const bool is_v6 = flags.family == platform::names::ipv6_family;
    const membership_socket self{fd, !is_v6 || flags.dual || both_families, is_v6};
    detail::change_membership(self, change, group, interface, where, joined, ec);
  }

  /// Called when a datagram that asks when it left was refused.
  void note_untimed(const error_code& ec, bool segmented) noexcept
  {
    if (!flags.names_timestamps && platform::was_counted(ec, segmented, flags.receives_errors))
      timestamps.skip(flags.timestamped);
  }

  /// Called when the kernel took a datagram that asks when it left, with the caller's number.
  void note_timed(std::uint64_t own_number) noexcept
  {
    timestamps.keep(flags.timestamped, own_number);
    ++flags.timestamped;
  }

  /// The number of the datagram to which a report belongs.
  std::uint32_t number_of(std::uint32_t id) const noexcept
  {
    return flags.names_timestamps ? id : timestamps.number_of(id);
  }

  // --- options that the library must know ---

  static void set_coalescing([[maybe_unused]] fd_type fd, [[maybe_unused]] bool on, error_code& ec)
  {
    namespace names = platform::names;
    if constexpr (names::coalescing == names::unsupported)
      ec = net::error::operation_not_supported;
    else
      set_int(fd, names::udp_level, names::coalescing, on ? 1 : 0, ec);
  }

  /// One option of the system controls the times of both receives and sends.
  void set_timestamps([[maybe_unused]] fd_type fd, [[maybe_unused]] bool receives,
                      [[maybe_unused]] bool sends, error_code& ec)
  {
    namespace names = platform::names;
    if constexpr (names::timestamps == names::unsupported) {
      ec = net::error::operation_not_supported;
    } else {
      const int value = (receives ? names::receive_timestamps_value : 0) |
                        (sends ? names::send_timestamps_value : 0);
      set_int(fd, names::socket_level, names::timestamps, value, ec);
      if constexpr (names::older_timestamps != names::unsupported)
        set_timestamps_otherwise(fd, receives, sends, ec);
      if (ec) return;
      note_metadata(platform::metadata::timestamp, receives);
      flags.send_timestamps = sends;
    }
  }

  static void clear_v6_only(fd_type fd, error_code& ec)
  {
    namespace names = platform::names;
    set_int(fd, names::ipv6_level, names::ipv6_only, 0, ec);
  }

  /// On a bound socket this option is fixed. The kernel would refuse even its present value.
  static void adopt_dual(fd_type fd, error_code& ec)
  {
    namespace names = platform::names;
    const bool v6_only = platform::get_int_option(fd, names::ipv6_level, names::ipv6_only, ec) != 0;
    if (!ec && v6_only) clear_v6_only(fd, ec);
  }

  static std::size_t read_mtu(fd_type fd, bool v4, error_code& ec)
  {
    namespace names = platform::names;
    const int mtu = platform::get_int_option(fd, v4 ? names::ipv4_level : names::ipv6_level,
                                             v4 ? names::ipv4_mtu : names::ipv6_mtu, ec);
    return ec ? 0 : static_cast<std::size_t>(mtu);
  }

  /// Takes away an error that the kernel would report to the next call, whatever call that is.
  static void clear_pending_error(fd_type fd)
  {
    namespace names = platform::names;
    error_code ignored;
    platform::get_int_option(fd, names::socket_level, names::pending_error, ignored);
  }

  // --- metadata of received datagrams ---

  /// Notes whether the kernel was told to report this field.
  void note_metadata(platform::metadata::field field, bool on) noexcept
  {
    const unsigned bits = on ? flags.metadata | unsigned{field} : flags.metadata & ~unsigned{field};
    flags.metadata = static_cast<std::uint8_t>(bits);
  }

  /// A missing drop count means no drop only if the counter was zero when the option was turned on.
  /// A datagram that was queued before that has no drop count either.
  void note_drops(fd_type fd)
  {
    std::uint32_t now = 0;
    const bool counts_drops = (flags.metadata & platform::metadata::drop_count) != 0;
    flags.silence_is_no_drop = counts_drops && platform::read_drops(fd, now) && now == 0;
  }

  /// Lets the answers of a wildcard socket leave from the address to which the question was sent.
  void provide_reply_source(fd_type fd)
  {
    namespace names = platform::names;
    flags.wants_reply_source = true;
    if (!flags.wildcard && !flags.on_a_link) return;
    if ((flags.metadata & platform::metadata::packet_info) != 0) return;
    const bool is_v6 = flags.family == names::ipv6_family;
    error_code ec;
    if (is_v6) set_int(fd, names::ipv6_level, names::ipv6_packet_info, 1, ec);
    error_code ipv4;
    set_int(fd, names::ipv4_level, names::ipv4_packet_info, 1, ipv4);
    if (!is_v6) ec = ipv4;
    if (!ec) note_metadata(platform::metadata::packet_info, true);
  }

  /// Reads what an adopted descriptor reports about each datagram.
  DGRAM_COLD void read_metadata(fd_type fd)
  {
    namespace names = platform::names;
    using platform::metadata;
    note_metadata(metadata::packet_info,
                  is_set(fd, names::ipv4_packet_info, names::ipv6_packet_info));
    note_metadata(metadata::traffic_class,
                  is_set(fd, names::ipv4_receive_traffic_class, names::ipv6_receive_traffic_class));
    note_metadata(metadata::hop_limit,
                  is_set(fd, names::ipv4_receive_hop_limit, names::ipv6_receive_hop_limit));
    // Send times use the same option; only the library asks for them.
    if (!flags.send_timestamps) note_metadata(metadata::timestamp, is_set(fd, names::timestamps));
    note_metadata(metadata::drop_count, is_set(fd, names::drop_count));
    note_drops(fd);
    flags.receives_errors = is_set(fd, names::ipv4_receive_error, names::ipv6_receive_error);
  }

  /// Refuses what would change the datagrams and reports of other members, which do not notice.
  void refuse_of_member(error_code& ec) const noexcept
  {
    if (flags.shares_queue) [[unlikely]]
      ec = net::error::operation_not_supported;
  }

  // --- what datagrams with a request need ---

  /// Called when the program may have changed the socket's own traffic class.
  void forget_traffic_classes() noexcept
  {
    flags.ipv4_traffic_class = flags.ipv6_traffic_class = -1;
  }

  /// Provides what datagrams need. Returns what the socket cannot provide.
  DGRAM_COLD unmet_needs provide(fd_type fd, const socket_needs& needs)
  {
    unmet_needs unmet;
    const auto note = [&](bool socket_needs::* need, const error_code& ec) {
      unmet.needs.*need = bool(ec);
      if (ec && !unmet.why) unmet.why = ec;
    };
    error_code ec;
    if (needs.traffic_class) {
      read_traffic_classes(fd, ec);
      note(&socket_needs::traffic_class, ec);
    }
    if (needs.transmit_time && !flags.transmit_time) {
      set_transmit_time(fd, ec);
      note(&socket_needs::transmit_time, ec);
    }
    if (needs.timestamps && !flags.send_timestamps) {
      provide_timestamps(fd, ec);
      note(&socket_needs::timestamps, ec);
    }
    return unmet;
  }

private:
  void provide_timestamps(fd_type fd, error_code& ec)
  {
    ec.clear();
    refuse_of_member(ec);
    if (ec) return;
    const bool receives = (flags.metadata & platform::metadata::timestamp) != 0;
    flags.names_timestamps = platform::takes_timestamp_ids();
    // The kernel's own count begins anew only if the option was off (net/core/sock.c,
    // sock_set_timestamping). An adopted descriptor may have it on.
    if (!flags.names_timestamps) set_timestamps(fd, receives, false, ec);
    set_timestamps(fd, receives, true, ec);
    timestamps.remember();
  }

  /// gVisor takes options that it does not know, and reads none of them back.
  static void set_timestamps_otherwise(fd_type fd, bool receives, bool sends, error_code& ec)
  {
    namespace names = platform::names;
    error_code unread;
    if (!ec) platform::get_int_option(fd, names::socket_level, names::timestamps, unread);
    if (!platform::may_be_unknown_option(ec ? ec : unread)) return;
    if (sends)
      ec = net::error::operation_not_supported;
    else
      set_int(fd, names::socket_level, names::older_timestamps, receives ? 1 : 0, ec);
  }

  static void set_int(fd_type fd, int level, int name, int value, error_code& ec)
  {
    platform::set_option(fd, level, name, &value, sizeof value, ec);
  }

  bool is_set(fd_type fd, int ipv4_name, int ipv6_name) const
  {
    namespace names = platform::names;
    const bool v6 = flags.family == names::ipv6_family;
    return is_on(fd, v6 ? names::ipv6_level : names::ipv4_level, v6 ? ipv6_name : ipv4_name);
  }

  static bool is_set(fd_type fd, int name)
  {
    return is_on(fd, platform::names::socket_level, name);
  }

  static bool is_on(fd_type fd, int level, int name)
  {
    error_code ec;
    return name != platform::names::unsupported &&
           platform::get_int_option(fd, level, name, ec) != 0 && !ec;
  }

  void set_transmit_time(fd_type fd, error_code& ec)
  {
    namespace names = platform::names;
    const platform::transmit_time_request request;
    platform::set_option(fd, names::socket_level, names::transmit_time, &request.value,
                         sizeof request.value, ec);
    flags.transmit_time = !ec;
  }

  /// The kernel never changes the classes by itself, so they are read once.
  void read_traffic_classes(fd_type fd, error_code& ec)
  {
    namespace names = platform::names;
    const auto read = [&](int level, int name, relaxed<int>& into, error_code& failure) {
      if (into >= 0) return;
      const int value = platform::get_int_option(fd, level, name, failure);
      if (!failure) into = value;
    };
    const bool is_v6 = flags.family == names::ipv6_family;
    error_code ipv4;
    read(names::ipv4_level, names::ipv4_traffic_class, flags.ipv4_traffic_class, ipv4);
    // Some systems do not let an IPv6 socket read IPv4's class.
    if (is_v6 && ipv4) flags.ipv4_traffic_class = 0;
    if (is_v6)
      read(names::ipv6_level, names::ipv6_traffic_class, flags.ipv6_traffic_class, ec);
    else
      ec = ipv4;
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
