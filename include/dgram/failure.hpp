// SPDX-License-Identifier: BSL-1.0
// What failed, and with whom: an error code with the operation and the address that it belongs to.
#ifndef DGRAM_FAILURE_HPP
#define DGRAM_FAILURE_HPP

#include <dgram/config.hpp>
#include <dgram/platform/error_names.hpp>

#include <cstdint>
#include <string>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// Why an operation of an emitter failed. It converts to the `error_code`, and is contextually true where it is one.
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
  const char* operation =
      "";  ///< what was tried: "bind", "connect", "send", "recvmsg", "getaddrinfo" ...
  std::string
      address;  ///< the address, host name or path that it was tried with; empty where there is none
  std::uint16_t port = 0;  ///< 0 where there is none

  operator const error_code&() const noexcept { return code; }  // NOLINT(*-explicit-*)
  explicit operator bool() const noexcept { return static_cast<bool>(code); }

  /// `operation CODE address:port`, without what is absent.
  std::string text() const
  {
    std::string result(operation);
    result.append(" ").append(platform::error_name(code));
    if (!address.empty()) result.append(" ").append(address);
    if (!address.empty() && port != 0) result.append(":").append(std::to_string(port));
    return result;
  }
};

inline std::string to_string(const failure& failure)
{
  return failure.text();
}

namespace detail {

/// Throws a failure as a `system_error` with its text.
[[noreturn]] inline void throw_failure(const failure& failure)
{
  throw system_error(failure.code, failure.text());
}

inline void throw_failure_if(const error_code& ec, const char* operation)
{
  if (ec) throw_failure({.code = ec, .operation = operation, .address = {}, .port = 0});
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
