// SPDX-License-Identifier: BSL-1.0
// Formatting of addresses, endpoints and errors with fmt, and with std::format where the library has it.
#ifndef DGRAM_FORMAT_HPP
#define DGRAM_FORMAT_HPP

// Either is enough; no other header of the library includes this one, so that fmt stays optional.
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

#include <string>
#include <string_view>
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

}  // namespace detail

DGRAM_NAMESPACE_END

// They take the format specifications of strings: width, fill, alignment.
//
//   fmt::print("{:>24} {}\n", datagram.sender(), datagram.payload().text());

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

#undef DGRAM_STD_FORMATTER

#endif

#endif
