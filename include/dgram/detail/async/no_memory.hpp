// SPDX-License-Identifier: BSL-1.0
// What happens without memory, where no caller could catch an exception.
#ifndef DGRAM_DETAIL_ASYNC_NO_MEMORY_HPP
#define DGRAM_DETAIL_ASYNC_NO_MEMORY_HPP

#include <dgram/config.hpp>

#include <new>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Calls `function`, and `otherwise` if there was no memory for it. Other exceptions are those of
/// the user's functions, and leave the context's `run`.
template <class Function, class Otherwise>
void unless_no_memory(const Function& function, const Otherwise& otherwise)
{
  try {
    function();
  } catch (const std::bad_alloc&) {
    otherwise();
  }
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
