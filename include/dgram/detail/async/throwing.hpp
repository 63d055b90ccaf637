// SPDX-License-Identifier: BSL-1.0
// The throwing form of a function that reports through an error_code.
#ifndef DGRAM_DETAIL_ASYNC_THROWING_HPP
#define DGRAM_DETAIL_ASYNC_THROWING_HPP

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The return type of Asio's functions that report through an `error_code&` and have no other
/// result: the error code, or `void` if `ASIO_NO_DEPRECATED` is defined.
using sync_result =
    decltype(std::declval<net::ip::udp::socket&>().close(std::declval<error_code&>()));

template <class Subject>
[[noreturn]] DGRAM_COLD void raise_about(const error_code& ec, const char* what,
                                         const Subject& subject)
{
  const bool is_port = ec == make_error_code(error::bad_port);  // 0 is the port of no peer
  raise(ec, what, to_string(subject), is_port ? "ports 1 to 65535" : "");
}

/// A bind has failed. If the socket is bound already, the text says to what. `present` is the local
/// endpoint.
template <class Endpoint>
[[noreturn]] DGRAM_COLD void raise_bind(const error_code& ec, const Endpoint& wanted,
                                        const Endpoint& present)
{
  bool is_bound = ec == net::error::invalid_argument;
  if constexpr (requires { present.port(); })
    is_bound = is_bound && present.port() != 0;
  else
    is_bound = is_bound && !is_unnamed(present);
  if (!is_bound) raise_about(ec, "bind", wanted);
  raise(ec,
        "bind \"" + to_string(wanted) + "\" (the socket is bound to " + to_string(present) + ")");
}

/// Calls `function(error_code&)`, and `raise(error_code)` with the error that the function reports.
template <class Function, class Raise>
auto throwing_by(const Raise& raise, Function&& function)
{
  error_code ec;
  if constexpr (std::is_void_v<std::invoke_result_t<Function&, error_code&>>) {
    function(ec);
    if (ec) raise(ec);
  } else {
    auto result = function(ec);
    if (ec) raise(ec);
    return result;
  }
}

/// As `throwing_by`, with `would_block` as an empty optional.
template <class Function, class Raise>
auto throwing_unless_blocked_by(const Raise& raise, Function&& function)
    -> std::optional<std::invoke_result_t<Function&, error_code&>>
{
  error_code ec;
  auto result = function(ec);
  if (ec == net::error::would_block) return std::nullopt;
  if (ec) raise(ec);
  return result;
}

/// Throws what `function(error_code&)` reports; the text starts with `what`.
template <class Function>
auto throwing(const char* what, Function&& function)
{
  return throwing_by([what](const error_code& ec) { raise(ec, what); },
                     std::forward<Function>(function));
}

/// The same; the text names the subject, which is described only if the call fails.
template <class Subject, class Function>
auto throwing(const char* what, const Subject& subject, Function&& function)
{
  return throwing_by([&](const error_code& ec) { raise_about(ec, what, subject); },
                     std::forward<Function>(function));
}

template <class Function>
auto throwing_unless_blocked(const char* what, Function&& function)
{
  return throwing_unless_blocked_by([what](const error_code& ec) { raise(ec, what); },
                                    std::forward<Function>(function));
}

template <class Subject, class Function>
auto throwing_unless_blocked(const char* what, const Subject& subject, Function&& function)
{
  return throwing_unless_blocked_by([&](const error_code& ec) { raise_about(ec, what, subject); },
                                    std::forward<Function>(function));
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
