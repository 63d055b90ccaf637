// SPDX-License-Identifier: BSL-1.0
// Operations that take names and services in place of endpoints. Looking them up does not block the
// thread.
#ifndef DGRAM_RESOLVE_HPP
#define DGRAM_RESOLVE_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/detail/names/named_op.hpp>
#include <dgram/name_resolver.hpp>

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

// For all of these functions: `host` is an address or a name, and `service` is a port number or a
// name such as "domain". Both are copied. If both are numbers, no resolver is asked. A service name
// is looked up even with an address, because it is in the system's tables. An address is text that
// `parse_address` accepts. Other forms, such as "127.1", are looked up as names, and getaddrinfo(3)
// knows them. The operation tries the results in the resolver's order, as far as they are of the
// socket's family: IPv4, IPv6, or both on a dual-stack or closed socket. It reports the error of
// the last one.
//
// Without a resolver the functions use Asio's. It calls getaddrinfo(3) in a thread of its own, one
// lookup after the other, for all sockets of the context. A resolver that is passed must stay until
// completion.
//
// All errors are reported at completion:
//  - those of the resolver (`host_not_found`, `service_not_found`, ...);
//  - `host_not_found` if the resolver found nothing of the socket's family;
//  - `address_family_not_supported` for an address of another family;
//  - `error::bad_address`, `error::unknown_interface` and `error::bad_port` for text that can be
//    neither an address nor a name (it is empty, is a number alone, or has a colon);
//  - `operation_aborted`;
//  - those of the operation itself.
//
// Cancellation: terminal, partial and total. `cancel`, `close`, `release` and the end of the socket
// also cancel. A cancelled operation completes at once and has had no effect. The lookup is
// abandoned. Asio's own lookup cannot be stopped: the context's `run` and its destructor return
// only after getaddrinfo has returned.
//
// The socket may be moved, closed or destroyed meanwhile. Thread safety: as the socket's. A lookup
// allocates memory.

/// Binds to an address by name. Without a host it binds to the wildcard of the socket's family.
///
/// Completion: `void(error_code)`. Errors: see above; `bad_descriptor`, and those of bind(2).
///
/// \code
/// co_await dgram::async_bind(socket, "localhost", "5353", asio::use_awaitable);
/// \endcode
template <detail::ip_protocol Protocol, class Executor,
          net::completion_token_for<void(error_code)> Token = default_token_t<Executor>>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_bind(basic_socket<Protocol, Executor>& socket, std::string_view host,
                std::string_view service, Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code)>(socket, host, service, detail::system_resolver,
                                               detail::bind_by_name(), std::forward<Token>(token));
}

/// The same with a resolver.
template <detail::ip_protocol Protocol, class Executor, name_resolver Resolver,
          net::completion_token_for<void(error_code)> Token = default_token_t<Executor>>
auto async_bind(basic_socket<Protocol, Executor>& socket, std::string_view host,
                std::string_view service, Resolver& resolver,
                Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code)>(socket, host, service, &resolver,
                                               detail::bind_by_name(), std::forward<Token>(token));
}

/// Connects to a peer by name, and opens a closed socket. If no peer can be connected to, the
/// socket is as it was. But a closed socket has been open meanwhile: this ends other pending
/// operations, such as another lookup, with `operation_aborted`.
///
/// Completion: `void(error_code)`. Errors: see above; `error::bad_port` (0), and those of
/// connect(2). On a connected socket the kernel decides: see `basic_socket::connect`.
///
/// \code
/// co_await dgram::async_connect(socket, "dns.example.net", "domain", asio::use_awaitable);
/// \endcode
template <detail::ip_protocol Protocol, class Executor,
          net::completion_token_for<void(error_code)> Token = default_token_t<Executor>>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_connect(basic_socket<Protocol, Executor>& socket, std::string_view host,
                   std::string_view service, Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code)>(socket, host, service, detail::system_resolver,
                                               detail::connect_by_name(),
                                               std::forward<Token>(token));
}

/// The same with a resolver.
template <detail::ip_protocol Protocol, class Executor, name_resolver Resolver,
          net::completion_token_for<void(error_code)> Token = default_token_t<Executor>>
auto async_connect(basic_socket<Protocol, Executor>& socket, std::string_view host,
                   std::string_view service, Resolver& resolver,
                   Token&& token = default_token_t<Executor>())
{
  return detail::start_named<void(error_code)>(
      socket, host, service, &resolver, detail::connect_by_name(), std::forward<Token>(token));
}

/// Sends one datagram to a peer by name: the first peer that is not refused. The buffers' memory
/// must stay until completion. The operation waits while the send queue is full or the kernel has
/// no buffer space.
///
/// Completion: `void(error_code, std::size_t)`, with the bytes sent. Errors: see above;
/// `bad_descriptor`, and those of sendto(2).
///
/// \code
/// co_await dgram::async_send_to(socket, asio::buffer(query), "dns.example.net", "53",
///                               asio::use_awaitable);
/// \endcode
template <
    detail::ip_protocol Protocol, class Executor, class ConstBuffers,
    net::completion_token_for<void(error_code, std::size_t)> Token = default_token_t<Executor>>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_send_to(basic_socket<Protocol, Executor>& socket, const ConstBuffers& buffers,
                   std::string_view host, std::string_view service,
                   Token&& token = default_token_t<Executor>())
{
  if constexpr (detail::are_buffers<ConstBuffers>())
    return detail::start_named<void(error_code, std::size_t)>(
        socket, host, service, detail::system_resolver,
        detail::send_by_name<ConstBuffers>{buffers, 0}, std::forward<Token>(token));
}

/// The same with a resolver.
template <
    detail::ip_protocol Protocol, class Executor, class ConstBuffers, name_resolver Resolver,
    net::completion_token_for<void(error_code, std::size_t)> Token = default_token_t<Executor>>
auto async_send_to(basic_socket<Protocol, Executor>& socket, const ConstBuffers& buffers,
                   std::string_view host, std::string_view service, Resolver& resolver,
                   Token&& token = default_token_t<Executor>())
{
  if constexpr (detail::are_buffers<ConstBuffers>())
    return detail::start_named<void(error_code, std::size_t)>(
        socket, host, service, &resolver, detail::send_by_name<ConstBuffers>{buffers, 0},
        std::forward<Token>(token));
}

DGRAM_NAMESPACE_END

#endif
