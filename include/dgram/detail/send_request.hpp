// SPDX-License-Identifier: BSL-1.0
// What send_options and reply paths become: checked, copied, and written as control messages.
#ifndef DGRAM_DETAIL_SEND_REQUEST_HPP
#define DGRAM_DETAIL_SEND_REQUEST_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/socket_state.hpp>
#include <dgram/error.hpp>
#include <dgram/platform/backend.hpp>
#include <dgram/platform/control.hpp>
#include <dgram/send_options.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Whether a datagram for this peer is an IPv4 one, whatever the socket.
template <class Endpoint>
bool is_ipv4(const Endpoint& peer) noexcept
{
  if constexpr (requires { peer.address(); }) {
    const auto address = peer.address();
    return address.is_v4() || address.to_v6().is_v4_mapped();
  } else {
    return false;
  }
}

/// Asks for nothing, but may be cut apart.
struct no_request {
  static constexpr std::size_t control_size = 64;

  template <class Protocol>
  static error_code check(bool) noexcept
  {
    return {};
  }

  static bool is_plain() noexcept { return true; }
  static socket_needs needs() noexcept { return {}; }
  static bool sets_traffic_class() noexcept { return false; }
  static bool leaves_alone() noexcept { return false; }

  static std::span<const std::byte> write(std::span<std::byte> room, bool, const socket_flags&,
                                          std::size_t segment) noexcept
  {
    platform::send_control control(room);
    if (segment > 0) control.add_segment_size(segment);
    return room.first(control.size());
  }
};

/// What a datagram asks for, in a form that needs no other memory.
class send_request {
public:
  static constexpr std::size_t control_size = platform::send_control_size;

  send_request() = default;

  explicit send_request(const send_options& options)
      : options_(options), control_size_(std::min(options.control.size(), control_.size()))
  {
    std::copy_n(options.control.begin(), control_size_, control_.begin());
    if (options.control.size() > control_.size()) error_ = net::error::message_size;
    if (options.dscp.value_or(0) > 63 || options.hop_limit.value_or(1) < 1 ||
        options.hop_limit.value_or(1) > 255)
      error_ = error::out_of_range;
    if (options.segment_size.value_or(1) == 0) error_ = net::error::invalid_argument;
    if (options_.source && options_.source->is_v6() && options_.source->to_v6().is_v4_mapped())
      options_.source = net::ip::make_address_v4(net::ip::v4_mapped, options_.source->to_v6());
    // What is unspecified is left to the system, in either family.
    if (options_.source && options_.source->is_unspecified()) options_.source.reset();
    options_.control = {};
  }

  template <class Protocol>
  explicit send_request(const basic_reply_path<Protocol>& path, const send_options& options = {})
      : send_request(with_path(path, options))
  {
  }

  /// Why it cannot be done for a peer of this family; clear where it can. Where there is no IP there are only the
  /// user's own control messages, and the segment size, which is not for the kernel alone.
  template <class Protocol>
  error_code check(bool v4) const noexcept
  {
    if (error_) return error_;
    if constexpr (path_protocol<Protocol>)
      if (asks_for_source() || sets_traffic_class() || options_.hop_limit ||
          options_.do_not_fragment || options_.transmit_time || options_.timestamp)
        return net::error::operation_not_supported;
    if (options_.source && options_.source->is_v4() != v4)
      return net::error::address_family_not_supported;
    if (options_.do_not_fragment && v4) return net::error::operation_not_supported;
    if constexpr (!platform::takes_header_fields)
      if (sets_traffic_class() || options_.hop_limit || options_.do_not_fragment)
        return net::error::operation_not_supported;
    if constexpr (platform::names::transmit_time == platform::names::unsupported)
      if (options_.transmit_time || options_.timestamp) return net::error::operation_not_supported;
    return {};
  }

  /// Whether there is nothing that a control message would be needed for.
  bool is_plain() const noexcept
  {
    return !asks_for_source() && !options_.ecn && !options_.dscp && !options_.hop_limit &&
           !options_.do_not_fragment && !options_.transmit_time && !options_.timestamp &&
           control_size_ == 0 && !error_;
  }

  std::size_t segment_size() const noexcept { return options_.segment_size.value_or(0); }

  /// What the socket must have been told, or asked, before this can be sent.
  socket_needs needs() const noexcept
  {
    return {.traffic_class = options_.ecn.has_value() != options_.dscp.has_value(),
            .transmit_time = options_.transmit_time.has_value(),
            .timestamps = options_.timestamp};
  }

  bool sets_traffic_class() const noexcept { return options_.ecn || options_.dscp; }

  /// Of datagrams that the kernel cuts apart only one would be told of.
  bool leaves_alone() const noexcept { return options_.timestamp; }

  /// Writes the control messages for a peer of this family; `segment` 0 for a datagram that is not cut apart.
  std::span<const std::byte> write(std::span<std::byte> room, bool v4, const socket_flags& flags,
                                   std::size_t segment) const noexcept
  {
    platform::send_control control(room);
    if (asks_for_source())
      control.add_source(options_.source.value_or(net::ip::address()), options_.interface_index,
                         v4);
    if (sets_traffic_class() && !flags.traffic_class_refused)
      control.add_traffic_class(
          traffic_class(v4 ? flags.ipv4_traffic_class : flags.ipv6_traffic_class), v4);
    if (options_.hop_limit) control.add_hop_limit(*options_.hop_limit, v4);
    if (options_.do_not_fragment) control.add_do_not_fragment();
    if (segment > 0) control.add_segment_size(segment);
    if (options_.transmit_time)
      control.add_transmit_time(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                    options_.transmit_time->time_since_epoch())
                                    .count());
    if (options_.timestamp) control.add_timestamp_request();
    control.add_raw(std::span<const std::byte>(control_).first(control_size_));
    return room.first(control.size());
  }

  /// Whether datagrams that ask for the one and for the other may leave as one message.
  friend bool operator==(const send_request& a, const send_request& b) noexcept
  {
    const send_options& x = a.options_;
    const send_options& y = b.options_;
    return x.source == y.source && x.interface_index == y.interface_index && x.ecn == y.ecn &&
           x.dscp == y.dscp && x.hop_limit == y.hop_limit &&
           x.do_not_fragment == y.do_not_fragment && x.transmit_time == y.transmit_time &&
           !x.timestamp && !y.timestamp && a.control_size_ == b.control_size_ &&
           std::equal(a.control_.begin(),
                      a.control_.begin() + static_cast<std::ptrdiff_t>(a.control_size_),
                      b.control_.begin());
  }

private:
  template <class Protocol>
  static send_options with_path(const basic_reply_path<Protocol>& path, send_options options)
  {
    if (!path.source.is_unspecified()) options.source = path.source;
    if (path.interface_index != 0) options.interface_index = path.interface_index;
    return options;
  }

  bool asks_for_source() const noexcept
  {
    return options_.source.has_value() || options_.interface_index != 0;
  }

  /// One byte holds both: what is not asked for is as the socket has it.
  std::uint8_t traffic_class(std::uint8_t of_socket) const noexcept
  {
    const unsigned ecn = options_.ecn ? static_cast<unsigned>(*options_.ecn) : of_socket & 3U;
    const unsigned dscp = options_.dscp ? *options_.dscp : unsigned{of_socket} >> 2U;
    return static_cast<std::uint8_t>(dscp << 2U | (ecn & 3U));
  }

  send_options options_;
  std::array<std::byte, platform::user_control_size> control_{};
  std::size_t control_size_ = 0;
  error_code error_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
