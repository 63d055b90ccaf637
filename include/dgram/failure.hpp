// SPDX-License-Identifier: BSL-1.0
// What failed: an error code with the operation and the address that it belongs to.
#ifndef DGRAM_FAILURE_HPP
#define DGRAM_FAILURE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/error_names.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// Why an operation of an emitter failed. It converts to `error_code`, and is contextually true if
/// it is an error.
///
/// \code
/// auto server = dgram::create_socket(io, dgram::udp4);
/// server.on<dgram::event::error>([](const dgram::failure& failure) {
///   fmt::print("{}\n", failure);  // bind EADDRINUSE 127.0.0.1:41234
/// });
/// server.bind(41234, "127.0.0.1");
/// \endcode
struct failure {
  error_code code;
  /// What was tried: "bind", "connect", "send", "recvmsg", "getaddrinfo" ...
  const char* operation = "";
  std::string address;     ///< the address, host name or path that was used; empty if there is none
  std::uint16_t port = 0;  ///< 0 if there is none
  /// What was wrong, in words, if the code does not say it: a value, and what is allowed.
  std::string detail = {};

  operator const error_code&() const noexcept { return code; }  // NOLINT(*-explicit-*)
  explicit operator bool() const noexcept { return static_cast<bool>(code); }

  /// `operation CODE address:port (detail)`, without the absent parts. If the system's manuals have
  /// no name for the error, its message comes at the end instead. The text is `success` if nothing
  /// failed.
  std::string text() const
  {
    if (!code) return "success";
    std::string result = subject();
    if (platform::error_name(code).empty()) result.append(": ").append(code.message());
    return result;
  }

  /// The text without the message of the code.
  DGRAM_COLD std::string subject() const
  {
    std::string result(operation);
    const std::string name = platform::error_name(code);
    if (!name.empty()) result.append(" ").append(name);
    if (!address.empty()) result.append(" ").append(address);
    if (!address.empty() && port != 0) result.append(":").append(std::to_string(port));
    if (!detail.empty()) result.append(" (").append(detail).append(")");
    return result;
  }
};

inline std::string to_string(const failure& failure)
{
  return failure.text();
}

namespace detail {

inline failure failure_of(const char* operation, const error_code& ec)
{
  return {.code = ec, .operation = operation, .address = {}, .port = 0};
}

/// Throws a failure as a `system_error`. Its text ends with the message of the code.
[[noreturn]] inline void throw_failure(const failure& failure)
{
  throw system_error(failure.code, failure.subject());
}

/// Refuses an argument. `what` names the argument and says what is allowed.
[[noreturn]] DGRAM_COLD inline void refuse(const char* operation, const error_code& ec,
                                           std::string what)
{
  throw_failure(
      {.code = ec, .operation = operation, .address = {}, .port = 0, .detail = std::move(what)});
}

/// A text, and what is allowed if the caller says so.
inline std::string in_quotes(std::string_view text, std::string_view allowed = {})
{
  std::string quoted = std::string("\"").append(text).append("\"");
  if (!allowed.empty()) quoted.append("; allowed are ").append(allowed);
  return quoted;
}

/// A number, and the range that it must be in.
inline std::string beyond(std::int64_t value, std::int64_t least, std::int64_t most)
{
  return std::to_string(value) + "; allowed are " + std::to_string(least) + " to " +
         std::to_string(most);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
