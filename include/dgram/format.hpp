// SPDX-License-Identifier: BSL-1.0
// Formats addresses, endpoints, errors, counts and results with fmt, and with std::format if the
// standard library has it.
#ifndef DGRAM_FORMAT_HPP
#define DGRAM_FORMAT_HPP

// Either library is enough. No other header of dgram includes this one, so that fmt stays optional.
#if __has_include(<fmt/format.h>)
#include <fmt/format.h>
#define DGRAM_HAS_FMT 1
#else
#define DGRAM_HAS_FMT 0
#endif

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/fwd.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <version>

#if defined(__cpp_lib_format)
#include <format>
#endif

DGRAM_NAMESPACE_BEGIN

namespace detail {

inline std::string format_text(const net::ip::address& address)
{
  return to_string(address);
}
inline std::string format_text(const net::ip::udp::endpoint& endpoint)
{
  return to_string(endpoint);
}
#if DGRAM_HAS_UNIX_DATAGRAMS
inline std::string format_text(const net::local::datagram_protocol::endpoint& endpoint)
{
  return to_string(endpoint);
}
#endif
inline std::string format_text(error value)
{
  return make_error_code(value).message();
}
inline std::string format_text(const failure& what)
{
  return to_string(what);
}
template <class Protocol>
std::string format_text(const basic_address_info<Protocol>& info)
{
  return to_string(info);
}

inline std::string format_text(ecn_codepoint value)
{
  // In the order of the values, which are the two bits of the header.
  constexpr std::string_view names[] = {"not_ect", "ect_1", "ect_0", "ce"};
  return std::string(names[static_cast<unsigned>(value) & 3U]);
}
inline std::string format_text(path_error_origin value)
{
  constexpr std::string_view names[] = {"host", "icmp", "icmpv6"};
  const auto index = static_cast<std::size_t>(value);
  return std::string(index < std::size(names) ? names[index] : "unknown");
}

inline std::string format_text(session_id value)
{
  return std::to_string(static_cast<std::uint64_t>(value));
}
inline std::string format_text(session_end value)
{
  // In the order of the values.
  constexpr std::string_view names[] = {"idle", "closed", "evicted", "stopped", "socket_error"};
  const auto index = static_cast<std::size_t>(value);
  return std::string(index < std::size(names) ? names[index] : "unknown");
}

/// Joins `name=value` pairs with blanks, and quotes error messages.
class field_text {
public:
  field_text& add(std::string_view name, std::string_view value)
  {
    if (!text_.empty()) text_ += ' ';
    text_.append(name).append("=").append(value);
    return *this;
  }
  field_text& add(std::string_view name, bool value) { return add(name, word(value)); }
  field_text& add(std::string_view name, std::unsigned_integral auto value)
  {
    return add(name, std::string_view(std::to_string(value)));
  }
  field_text& add(std::string_view name, const error_code& value)
  {
    return add(name, std::string_view('"' + value.message() + '"'));
  }

  std::string take() { return std::move(text_); }

private:
  static std::string_view word(bool value) noexcept { return value ? "true" : "false"; }

  std::string text_;
};

// Templates, so that this header need not include these types. A caller that formats one has
// included it.

template <std::same_as<socket_statistics> Counts>
std::string format_text(const Counts& counts)
{
  return field_text()
      .add("received", counts.received)
      .add("received_bytes", counts.received_bytes)
      .add("receive_calls", counts.receive_calls)
      .add("coalesced", counts.coalesced)
      .add("truncated", counts.truncated)
      .add("sent", counts.sent)
      .add("sent_bytes", counts.sent_bytes)
      .add("send_calls", counts.send_calls)
      .add("segmented", counts.segmented)
      .add("short_sends", counts.short_sends)
      .add("rejected", counts.rejected)
      .add("would_block", counts.would_block)
      .add("path_errors", counts.path_errors)
      .add("lost_reports", counts.lost_reports)
      .add("dropped", counts.dropped)
      .take();
}

template <std::same_as<writer_statistics> Counts>
std::string format_text(const Counts& counts)
{
  return field_text()
      .add("queued", counts.queued)
      .add("sent", counts.sent)
      .add("refused", counts.refused)
      .add("dropped", counts.dropped)
      .add("lost", counts.lost)
      .take();
}

template <std::same_as<send_result> Result>
std::string format_text(const Result& result)
{
  field_text text;
  text.add("sent", result.sent).add("refused", result.refused);
  if (result.error) text.add("error", result.error);
  return text.take();
}

template <class Protocol>
std::string format_text(const basic_path_error<Protocol>& error)
{
  field_text text;
  text.add("peer", to_string(error.peer)).add("error", error.code);
  text.add("origin", format_text(error.origin));
  if (error.offender) text.add("offender", to_string(*error.offender));
  if (error.origin != decltype(error.origin)::host)
    text.add("type", error.icmp_type).add("code", error.icmp_code);
  if (error.mtu) text.add("mtu", *error.mtu);
  return text.take();
}

template <std::same_as<system_capabilities> Capabilities>
std::string format_text(const Capabilities& can)
{
  return field_text()
      .add("backend", can.backend)
      .add("datagrams_per_call", can.datagrams_per_call)
      .add("wire_size", can.wire_size)
      .add("available", can.available)
      .add("max_segments", can.max_segments)
      .add("coalescing", can.coalescing)
      .add("packet_info", can.packet_info)
      .add("receive_ecn", can.receive_ecn)
      .add("receive_hop_limit", can.receive_hop_limit)
      .add("receive_timestamp", can.receive_timestamp)
      .add("send_timestamp", can.send_timestamp)
      .add("hardware_timestamps", can.hardware_timestamps)
      .add("receive_drop_count", can.receive_drop_count)
      .add("receive_error", can.receive_error)
      .add("transmit_time", can.transmit_time)
      .add("abstract_names", can.abstract_names)
      .take();
}

}  // namespace detail

DGRAM_NAMESPACE_END

// All formatters take the format specifications of strings: width, fill, alignment.
//
//   fmt::print("{:>24} {}\n", datagram.sender(), datagram.payload().text());
//   fmt::print("{}\n", writer.statistics());  // queued=3 sent=2 refused=0 dropped=0 lost=1

#if DGRAM_HAS_FMT

#define DGRAM_FMT_FORMATTER(parameters, type)                         \
  template <parameters>                                               \
  struct fmt::formatter<type> : fmt::formatter<std::string_view> {    \
    template <class Context>                                          \
    auto format(const type& value, Context& context) const            \
    {                                                                 \
      const std::string text = ::dgram::detail::format_text(value);   \
      return fmt::formatter<std::string_view>::format(text, context); \
    }                                                                 \
  }

DGRAM_FMT_FORMATTER(, dgram::net::ip::address);
DGRAM_FMT_FORMATTER(, dgram::net::ip::udp::endpoint);
#if DGRAM_HAS_UNIX_DATAGRAMS
DGRAM_FMT_FORMATTER(, dgram::net::local::datagram_protocol::endpoint);
#endif
DGRAM_FMT_FORMATTER(, dgram::error);
DGRAM_FMT_FORMATTER(, dgram::failure);
DGRAM_FMT_FORMATTER(class Protocol, dgram::basic_address_info<Protocol>);
DGRAM_FMT_FORMATTER(class Protocol, dgram::basic_remote_info<Protocol>);
DGRAM_FMT_FORMATTER(, dgram::ecn_codepoint);
DGRAM_FMT_FORMATTER(, dgram::path_error_origin);
DGRAM_FMT_FORMATTER(, dgram::session_id);
DGRAM_FMT_FORMATTER(, dgram::session_end);
DGRAM_FMT_FORMATTER(, dgram::socket_statistics);
DGRAM_FMT_FORMATTER(, dgram::writer_statistics);
DGRAM_FMT_FORMATTER(, dgram::send_result);
DGRAM_FMT_FORMATTER(class Protocol, dgram::basic_path_error<Protocol>);
DGRAM_FMT_FORMATTER(, dgram::system_capabilities);

#undef DGRAM_FMT_FORMATTER

#endif

#if defined(__cpp_lib_format)

#define DGRAM_STD_FORMATTER(parameters, type)                         \
  template <parameters>                                               \
  struct std::formatter<type> : std::formatter<std::string_view> {    \
    template <class Context>                                          \
    auto format(const type& value, Context& context) const            \
    {                                                                 \
      const std::string text = ::dgram::detail::format_text(value);   \
      return std::formatter<std::string_view>::format(text, context); \
    }                                                                 \
  }

DGRAM_STD_FORMATTER(, dgram::net::ip::address);
DGRAM_STD_FORMATTER(, dgram::net::ip::udp::endpoint);
#if DGRAM_HAS_UNIX_DATAGRAMS
DGRAM_STD_FORMATTER(, dgram::net::local::datagram_protocol::endpoint);
#endif
DGRAM_STD_FORMATTER(, dgram::error);
DGRAM_STD_FORMATTER(, dgram::failure);
DGRAM_STD_FORMATTER(class Protocol, dgram::basic_address_info<Protocol>);
DGRAM_STD_FORMATTER(class Protocol, dgram::basic_remote_info<Protocol>);
DGRAM_STD_FORMATTER(, dgram::ecn_codepoint);
DGRAM_STD_FORMATTER(, dgram::path_error_origin);
DGRAM_STD_FORMATTER(, dgram::session_id);
DGRAM_STD_FORMATTER(, dgram::session_end);
DGRAM_STD_FORMATTER(, dgram::socket_statistics);
DGRAM_STD_FORMATTER(, dgram::writer_statistics);
DGRAM_STD_FORMATTER(, dgram::send_result);
DGRAM_STD_FORMATTER(class Protocol, dgram::basic_path_error<Protocol>);
DGRAM_STD_FORMATTER(, dgram::system_capabilities);

#undef DGRAM_STD_FORMATTER

#endif

#endif
