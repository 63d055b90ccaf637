// SPDX-License-Identifier: BSL-1.0
// What can look names up in place of the system.
#ifndef DGRAM_NAME_RESOLVER_HPP
#define DGRAM_NAME_RESOLVER_HPP

#include <dgram/config.hpp>

#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Takes whatever a resolver has found.
struct any_results_handler {
  template <class Results>
  void operator()(const error_code&, const Results&) const
  {
  }
};

}  // namespace detail

/// What looks names up: `resolver.async_resolve(host, service, handler)` starts a lookup, and calls
/// the handler later and once, by its associated executor and never inside that call, with an
/// `error_code` and a range of what converts to `asio::ip::udp::endpoint`, in the order in which
/// they are to be tried. It copies the two texts. Where it also has
/// `async_resolve(protocol, host, service, handler)`, that is called for a socket of one family
/// only. Asio's resolvers are such; so may be a cache, a stub in a test, or a client of c-ares.
template <class Resolver>
concept name_resolver =
    requires(Resolver& resolver, const std::string& text, detail::any_results_handler handler) {
      resolver.async_resolve(text, text, handler);
    };

DGRAM_NAMESPACE_END

#endif
