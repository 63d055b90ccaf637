// SPDX-License-Identifier: BSL-1.0
// What the emitters of one context share: the list of all emitters, and pools of spare buffers.
#ifndef DGRAM_DETAIL_EMITTER_CONTEXT_HPP
#define DGRAM_DETAIL_EMITTER_CONTEXT_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/roster.hpp>
#include <dgram/detail/async/spares.hpp>

#include <memory>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A handler that dies with the context may destroy a socket, so what the sockets share outlives
/// this service.
template <class Incoming, class Outgoing, class Member>
class context_service : public roster_service<Member> {
public:
  inline static net::execution_context::id id;

  explicit context_service(net::execution_context& context) : roster_service<Member>(context) {}

  std::shared_ptr<spares<Incoming>> incoming = std::make_shared<spares<Incoming>>();
  std::shared_ptr<spares<Outgoing>> outgoing = std::make_shared<spares<Outgoing>>();
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
