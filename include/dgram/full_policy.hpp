// SPDX-License-Identifier: BSL-1.0
// What happens to a datagram if a queue has no room for it.
#ifndef DGRAM_FULL_POLICY_HPP
#define DGRAM_FULL_POLICY_HPP

#include <dgram/config.hpp>

DGRAM_NAMESPACE_BEGIN

/// What a writer does with a datagram if its queue is full.
enum class full_policy {
  wait,         ///< the coroutine waits for room
  drop_newest,  ///< the datagram is dropped and counted
};

DGRAM_NAMESPACE_END

#endif
