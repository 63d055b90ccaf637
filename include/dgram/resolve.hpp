// SPDX-License-Identifier: BSL-1.0
// Names and services in place of endpoints: they are looked up without blocking the thread.
#ifndef DGRAM_RESOLVE_HPP
#define DGRAM_RESOLVE_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/detail/names/named_op.hpp>
#include <dgram/detail/socket/initiation.hpp>
#include <dgram/name_resolver.hpp>

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

// Of all of these functions: `host` is an address, or a name to be looked up; `service` is a port
// number, or a name such as "domain". Both are copied. Where both are numbers no resolver is asked
// (a service name with an address is: it is in the system's tables). An address is what
// `parse_address` takes; other forms, such as "127.1", are looked up as names are, and
// getaddrinfo(3) knows them. What a resolver has found is tried in its order, as far as it is of
// the socket's family: IPv4, IPv6, or on a dual-stack or closed socket both. The last one's error
// is reported.
//
// Without a resolver it is Asio's, which calls getaddrinfo(3) in a thread of its own, one lookup
// after the other, for all sockets of the context. A resolver that is passed must stay until
// completion.
//
// Errors, all at completion: those of the resolver (`host_not_found`, `service_not_found`, ...);
// `host_not_found` where nothing of the socket's family was found; `address_family_not_supported`
// (an address of another family); `error::bad_address`, `error::unknown_interface` and
// `error::bad_port` for text that can be neither an address nor a name (it is empty, is a number
// alone, or has a colon); `operation_aborted`; and those of the operation itself.
//
// Cancellation: terminal, partial and total, also by `cancel`, `close`, `release` and the end of
// the socket, complete the operation at once; nothing was done then. The lookup is abandoned.
// Asio's own cannot be stopped: the context's `run` returns, and its destructor too, only when
// getaddrinfo has.
//
// The socket may be moved, closed or destroyed meanwhile. Thread safety: as the socket's. A lookup
// allocates memory.

/// Binds to an address by name; without a host to the wildcard of the socket's family.
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

/// Connects to a peer by name, and opens a closed socket. Where none of the peers can be connected
/// to, the socket is as it was; but a closed one has been open meanwhile, which ends what else was
/// pending on it, such as another lookup, with `operation_aborted`.
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

/// Sends one datagram to a peer by name: the first that is not refused. The buffers' memory must
/// stay until completion. It waits while the send queue is full or the kernel has no buffer space.
///
/// Completion: `void(error_code, std::size_t)`, with the bytes sent. Errors: see above;
/// `bad_descriptor`, and those of sendto(2).
///
/// \code
/// co_await dgram::async_send_to(socket, asio::buffer(query), "dns.example.net", "53", asio::use_awaitable);
/// \endcode
template <
    detail::ip_protocol Protocol, class Executor, class ConstBuffers,
    net::completion_token_for<void(error_code, std::size_t)> Token = default_token_t<Executor>>
  requires(!name_resolver<std::remove_reference_t<Token>>)
auto async_send_to(basic_socket<Protocol, Executor>& socket, const ConstBuffers& buffers,
                   std::string_view host, std::string_view service,
                   Token&& token = default_token_t<Executor>())
{
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
  return detail::start_named<void(error_code, std::size_t)>(
      socket, host, service, &resolver, detail::send_by_name<ConstBuffers>{buffers, 0},
      std::forward<Token>(token));
}

DGRAM_NAMESPACE_END

#endif
