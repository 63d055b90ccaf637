// SPDX-License-Identifier: BSL-1.0
// The requirements of a resolver that replaces the system's name lookup.
#ifndef DGRAM_NAME_RESOLVER_HPP
#define DGRAM_NAME_RESOLVER_HPP

#include <dgram/config.hpp>

#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A handler that takes any results.
struct any_results_handler {
  template <class Results>
  void operator()(const error_code&, const Results&) const
  {
  }
};

}  // namespace detail

/// A type that looks names up. `resolver.async_resolve(host, service, handler)` starts a lookup:
///  - It copies the two texts.
///  - It calls the handler once, later, by the handler's associated executor, and never inside the
///    call of `async_resolve`.
///  - The handler gets an `error_code` and a range of elements that convert to
///    `asio::ip::udp::endpoint`, in the order in which to try them.
///
/// If the type also has `async_resolve(protocol, host, service, handler)`, dgram calls that for
/// sockets of one family only. Asio's resolvers meet these requirements. So may a cache, a stub in
/// a test, or a client of c-ares.
template <class Resolver>
concept name_resolver =
    requires(Resolver& resolver, const std::string& text, detail::any_results_handler handler) {
      resolver.async_resolve(text, text, handler);
    };

DGRAM_NAMESPACE_END

#endif
