// SPDX-License-Identifier: BSL-1.0
// Refuses a size that memory cannot have, and 0, before anything is computed from it.
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

/// Refuses 0 for a number of which nothing can be made. `what` is the owner and the number.
inline std::size_t checked_positive(const char* what, std::size_t value)
{
  if (value == 0) throw std::invalid_argument(std::string(what) + " must not be 0");
  return value;
}

/// Bytes between two slots. If slots had a size that is a power of two, all would start at the same
/// cache set.
inline constexpr std::size_t slot_stagger = 64;

/// Returns how many slots there are. The names are those that the caller of the public function
/// knows.
inline std::size_t checked_slots(const char* count_name, std::size_t count, const char* size_name,
                                 std::size_t size)
{
  checked_positive(count_name, count);
  checked_positive(size_name, size);
  checked_size(size_name, size, slot_stagger);
  return checked_size(count_name, count, size + slot_stagger);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
