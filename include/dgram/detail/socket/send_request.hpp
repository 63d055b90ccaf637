// SPDX-License-Identifier: BSL-1.0
// Checks and copies `send_options` and reply paths, and writes their control messages.
#ifndef DGRAM_DETAIL_SOCKET_SEND_REQUEST_HPP
#define DGRAM_DETAIL_SOCKET_SEND_REQUEST_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/option_types.hpp>
#include <dgram/detail/socket/flags.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/send_options.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Whether a datagram to this peer is an IPv4 one, on any kind of socket.
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

/// Asks for nothing. The kernel may cut the datagram apart.
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
  static bool asks_for_time() noexcept { return false; }
  static std::uint64_t number() noexcept { return 0; }

  static std::span<const std::byte> write(std::span<std::byte> room, bool, const socket_flags&,
                                          std::size_t segment, std::uint32_t = 0) noexcept
  {
    platform::send_control control(room);
    if (segment > 0) control.add_segment_size(segment);
    return room.first(control.size());
  }
};

class send_request;

/// Why a request is refused: an error, and the member of `send_options` that caused it.
class refusal {
public:
  enum class member : std::uint8_t {
    none,
    source,
    interface_index,
    ecn,
    dscp,
    hop_limit,
    do_not_fragment,
    segment_size,
    transmit_time,
    timestamp,
    control,
  };

  refusal() = default;
  refusal(const error_code& why, member what, const send_request& request) noexcept
      : why_(why), what_(what), request_(&request)
  {
  }

  operator error_code() const noexcept { return why_; }  // NOLINT(*-explicit-*)
  explicit operator bool() const noexcept { return bool(why_); }

  /// Returns the member and its value, such as `dscp{64}`. The request must still exist.
  std::string subject() const;

  /// Returns the range of the member; empty if its value is not the trouble.
  const char* allowed() const noexcept
  {
    if (what_ == member::segment_size && why_ == net::error::invalid_argument) return "1 and more";
    if (why_ != make_error_code(error::out_of_range)) return "";
    return what_ == member::dscp ? "0 to 63" : "1 to 255";
  }

private:
  error_code why_;
  member what_ = member::none;
  const send_request* request_ = nullptr;
};

/// The part of a reply path that a datagram asks for.
struct way_out {
  net::ip::address source{};
  unsigned interface_index = 0;

  way_out() = default;
  template <class Protocol>
  way_out(const basic_reply_path<Protocol>& path)  // NOLINT(*-explicit-*)
      : source(path.source), interface_index(path.interface_index)
  {
  }
};

/// What a datagram asks for, in a form that needs no other memory.
class send_request {
public:
  static constexpr std::size_t control_size = platform::send_control_size;

  send_request() = default;

  explicit send_request(const send_options& options)
      : options_(options),
        control_asked_(options.control.size()),
        control_size_(std::min(options.control.size(), control_.size()))
  {
    std::copy_n(options.control.begin(), control_size_, control_.begin());
    if (options_.source && options_.source->is_v6() && options_.source->to_v6().is_v4_mapped())
      options_.source = net::ip::make_address_v4(net::ip::v4_mapped, options_.source->to_v6());
    // An unspecified source leaves the choice to the system, in either family.
    if (options_.source && options_.source->is_unspecified()) options_.source.reset();
    options_.control = {};
    // The batch keeps it, so that neighbours share a request. This one has no other datagram.
    if (!options_.timestamp) options_.number = 0;
    note_bad_value();
  }

  send_request(const way_out& way, const send_options& options)
      : send_request(with_way(way, options))
  {
  }

  template <class Protocol>
  explicit send_request(const basic_reply_path<Protocol>& path)
      : send_request(with_way(path, send_options()))  // no copy: GCC 12 would warn with sanitizers
  {
    is_answer_ = true;  // NOLINT(cppcoreguidelines-prefer-member-initializer): it delegates
  }

  /// Returns why a peer of this family cannot be served; clear if it can. Without IP, only two
  /// members are possible: the user's own control messages, and the segment size, which the library
  /// handles too.
  template <class Protocol>
  refusal check(bool v4) const noexcept
  {
    if (bad_value_ != member::none) return {error_, bad_value_, *this};
    if constexpr (path_protocol<Protocol>)
      if (const member asked = first_of_ip(); asked != member::none) return unsupported(asked);
    if (options_.source && options_.source->is_v4() != v4)
      return {net::error::address_family_not_supported, member::source, *this};
    if constexpr (platform::names::ipv4_packet_info == platform::names::unsupported)
      if (v4 && asks_for_source())
        return unsupported(options_.source ? member::source : member::interface_index);
    if constexpr (!platform::names::ipv4_info_has_interface)
      if (v4 && options_.interface_index != 0) return unsupported(member::interface_index);
    if (options_.do_not_fragment && v4) return unsupported(member::do_not_fragment);
    if constexpr (!platform::takes_header_fields)
      if (const member asked = first_of_header(); asked != member::none) return unsupported(asked);
    if constexpr (platform::names::transmit_time == platform::names::unsupported)
      if (const member asked = first_of_times(); asked != member::none) return unsupported(asked);
    return {};
  }

  /// Whether the request needs no control message.
  bool is_plain() const noexcept
  {
    return !asks_for_source() && !options_.ecn && !options_.dscp && !options_.hop_limit &&
           !options_.do_not_fragment && !options_.transmit_time && !options_.timestamp &&
           control_size_ == 0 && bad_value_ == member::none;
  }

  std::size_t segment_size() const noexcept { return options_.segment_size.value_or(0); }

  /// Returns the options that made the request. Their control messages are valid as long as the
  /// request.
  send_options options() const noexcept
  {
    send_options all = options_;
    all.control = std::span<const std::byte>(control_).first(control_size_);
    return all;
  }

  /// Returns what must be set on the socket, or read from it, before this can be sent.
  socket_needs needs() const noexcept
  {
    return {.traffic_class = options_.ecn.has_value() != options_.dscp.has_value(),
            .transmit_time = options_.transmit_time.has_value(),
            .timestamps = options_.timestamp};
  }

  bool sets_traffic_class() const noexcept { return options_.ecn || options_.dscp; }

  /// Whether the kernel is to report when the datagram left.
  bool asks_for_time() const noexcept { return options_.timestamp; }

  /// The caller's number of a datagram that asks for its time.
  std::uint64_t number() const noexcept { return options_.number; }

  /// Whether the datagram must be a message of its own: the kernel reports only one send time for
  /// each message.
  bool leaves_alone() const noexcept { return asks_for_time(); }

  /// Writes the control messages for a peer of this family. `segment` is 0 for a datagram that is
  /// not cut apart. `before` is how many datagrams that ask for their time leave before this one,
  /// in the same call.
  std::span<const std::byte> write(std::span<std::byte> room, bool v4, const socket_flags& flags,
                                   std::size_t segment, std::uint32_t before = 0) const noexcept
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
    if (options_.transmit_time) control.add_transmit_time(transmit_nanoseconds());
    if (options_.timestamp) control.add_timestamp_request();
    if (options_.timestamp && flags.names_timestamps)
      control.add_timestamp_id(flags.timestamped + before);
    control.add_raw(std::span<const std::byte>(control_).first(control_size_));
    return room.first(control.size());
  }

  /// Whether a datagram on this way, with these options, to a peer of this family may share the
  /// request. It may say no although it could: a new request then finds out.
  template <class Protocol>
  bool serves(const way_out& way, const send_options& options, bool v4) const noexcept
  {
    const send_options& own = options_;
    const unsigned interface_index =
        way.interface_index != 0 ? way.interface_index : options.interface_index;
    const bool is_same_source =
        way.source.is_unspecified() ? !own.source : own.source == way.source;
    return is_same_source && own.interface_index == interface_index && own.ecn == options.ecn &&
           own.dscp == options.dscp && own.hop_limit == options.hop_limit &&
           own.do_not_fragment == options.do_not_fragment &&
           own.transmit_time == options.transmit_time && !own.segment_size &&
           !options.segment_size && !own.timestamp && !options.timestamp && !options.source &&
           control_size_ == 0 && options.control.empty() && !check<Protocol>(v4);
  }

  /// Whether this is the request of an answer with this path, and fits its peer.
  template <class Protocol>
  bool is_answer(const basic_reply_path<Protocol>& path) const noexcept
  {
    if (!is_answer_ || options_.interface_index != path.interface_index) return false;
    if (!options_.source) return path.source.is_unspecified();
    return *options_.source == path.source && path.source.is_v4() == is_ipv4(path.peer);
  }

  /// Restores the way back of an answer.
  template <class Protocol>
  void restore(basic_reply_path<Protocol>& path) const noexcept
  {
    if (options_.source) path.source = *options_.source;
    path.interface_index = options_.interface_index;
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
  friend class refusal;
  using member = refusal::member;

  /// If several values are bad, the last one counts.
  void note_bad_value() noexcept
  {
    const auto note = [this](member what, const error_code& why) {
      bad_value_ = what;
      error_ = why;
    };
    if (control_asked_ > control_.size()) note(member::control, net::error::message_size);
    if (const int limit = options_.hop_limit.value_or(1); limit < 1 || limit > 255)
      note(member::hop_limit, error::out_of_range);
    if (options_.dscp.value_or(0) > 63) note(member::dscp, error::out_of_range);
    if (options_.segment_size == std::size_t{0})
      note(member::segment_size, net::error::invalid_argument);
  }

  refusal unsupported(member what) const noexcept
  {
    return {net::error::operation_not_supported, what, *this};
  }

  /// Returns the first requested member that belongs in the header of an IP packet.
  member first_of_header() const noexcept
  {
    if (options_.ecn) return member::ecn;
    if (options_.dscp) return member::dscp;
    if (options_.hop_limit) return member::hop_limit;
    return options_.do_not_fragment ? member::do_not_fragment : member::none;
  }

  member first_of_times() const noexcept
  {
    if (options_.transmit_time) return member::transmit_time;
    return options_.timestamp ? member::timestamp : member::none;
  }

  member first_of_ip() const noexcept
  {
    if (options_.source) return member::source;
    if (options_.interface_index != 0) return member::interface_index;
    if (const member asked = first_of_header(); asked != member::none) return asked;
    return first_of_times();
  }

  std::string describe(member what) const;

  static send_options with_way(const way_out& way, send_options options)
  {
    if (!way.source.is_unspecified()) options.source = way.source;
    if (way.interface_index != 0) options.interface_index = way.interface_index;
    return options;
  }

  // NOLINTBEGIN(bugprone-unchecked-optional-access): called only where it is asked for
  std::int64_t transmit_nanoseconds() const noexcept
  {
    // The kernel's times have no sign: a time before the clock's start would be far in the future.
    return std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                      options_.transmit_time->time_since_epoch())
                                      .count(),
                                  0);
  }
  // NOLINTEND(bugprone-unchecked-optional-access)

  bool asks_for_source() const noexcept
  {
    return options_.source.has_value() || options_.interface_index != 0;
  }

  /// One byte holds both parts. A part that was not requested stays as the socket has it.
  std::uint8_t traffic_class(int of_socket) const noexcept
  {
    const auto rest = static_cast<std::uint8_t>(of_socket);
    const unsigned ecn = options_.ecn ? static_cast<unsigned>(*options_.ecn) : rest & 3U;
    const unsigned dscp = options_.dscp ? *options_.dscp : unsigned{rest} >> 2U;
    return static_cast<std::uint8_t>(dscp << 2U | (ecn & 3U));
  }

  send_options options_;
  std::array<std::byte, platform::user_control_size> control_{};
  std::size_t control_asked_ = 0;
  std::size_t control_size_ = 0;
  error_code error_;
  member bad_value_ = member::none;
  bool is_answer_ = false;  // a reply path alone made the request
};

// NOLINTBEGIN(bugprone-unchecked-optional-access): what is refused is there
DGRAM_COLD inline std::string send_request::describe(member what) const
{
  const auto number = [](const char* name, std::int64_t value, const char* unit = "") {
    return show_option(name, std::to_string(value).append(unit));
  };
  switch (what) {
  case member::none: break;
  case member::source: return show_option("source", to_string(*options_.source));
  case member::interface_index: return number("interface_index", options_.interface_index);
  case member::ecn: return number("ecn", static_cast<int>(*options_.ecn));
  case member::dscp: return number("dscp", *options_.dscp);
  case member::hop_limit: return number("hop_limit", *options_.hop_limit);
  case member::do_not_fragment: return show_option("do_not_fragment", "true");
  case member::segment_size:
    return number("segment_size", static_cast<std::int64_t>(segment_size()));
  case member::transmit_time: return number("transmit_time", transmit_nanoseconds(), " ns");
  case member::timestamp: return show_option("timestamp", "true");
  case member::control:
    return number("control", static_cast<std::int64_t>(control_asked_), " bytes");
  }
  return {};
}
// NOLINTEND(bugprone-unchecked-optional-access)

inline std::string refusal::subject() const
{
  return request_ == nullptr ? std::string() : request_->describe(what_);
}

/// Throws if a request was refused. The text names the member and its value, as in
/// `push with "dscp{64}"`.
template <std::same_as<refusal> Refusal>
void throw_if(const Refusal& refused, const char* what)
{
  if (refused)
    throw_if(error_code(refused), std::string(what).append(" with").c_str(), refused.subject(),
             refused.allowed());
}

/// A datagram with its own copy of the bytes, which waits outside of a batch.
template <class Protocol>
struct kept_datagram {
  std::vector<std::byte> payload;
  typename Protocol::endpoint peer;
  std::unique_ptr<send_request> request;  // null if it asks for nothing
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
