// SPDX-License-Identifier: BSL-1.0
// Refuses a size that memory cannot have, before anything is computed from it.
#ifndef DGRAM_DETAIL_ASYNC_CHECKED_SIZE_HPP
#define DGRAM_DETAIL_ASYNC_CHECKED_SIZE_HPP

#include <dgram/config.hpp>

#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// No object has more bytes than this.
inline constexpr std::size_t most_memory = std::numeric_limits<std::ptrdiff_t>::max();

[[noreturn]] DGRAM_COLD inline void refuse_size(const char* what, std::size_t size,
                                                std::size_t most)
{
  throw std::length_error(std::string(what) + ": " + std::to_string(size) +
                          " is more than memory can have, which is " + std::to_string(most));
}

/// Returns `count`. Throws `std::length_error` if `count` objects of `each` bytes are more than
/// memory can have. The text names both numbers.
inline std::size_t checked_size(const char* what, std::size_t count, std::size_t each = 1)
{
  const std::size_t most = most_memory / each;
  if (count > most) refuse_size(what, count, most);
  return count;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
