// SPDX-License-Identifier: BSL-1.0
// What protocols differ in: addresses or paths, one family or both.
#ifndef DGRAM_DETAIL_SOCKET_PROTOCOLS_HPP
#define DGRAM_DETAIL_SOCKET_PROTOCOLS_HPP

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>

#include <concepts>
#include <string_view>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Whether the addresses of a protocol are paths.
template <class Protocol>
concept path_protocol = requires(const typename Protocol::endpoint& endpoint) { endpoint.path(); };

/// Whether one socket of a protocol may serve IPv4 and IPv6.
template <class Protocol>
concept dual_stack_protocol = requires { Protocol::dual(); };

/// Text that stands for one of its endpoints.
template <class Text, class Protocol>
concept endpoint_text =
    path_protocol<Protocol> && std::convertible_to<const Text&, std::string_view>;

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
