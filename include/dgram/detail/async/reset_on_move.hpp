// SPDX-License-Identifier: BSL-1.0
// Resets an object when it is moved from, for counts that move along with what they count.
#ifndef DGRAM_DETAIL_ASYNC_RESET_ON_MOVE_HPP
#define DGRAM_DETAIL_ASYNC_RESET_ON_MOVE_HPP

#include <dgram/config.hpp>

#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A `T` that equals a new `T` after it was moved from.
template <class T>
struct reset_on_move : T {
  reset_on_move() = default;
  reset_on_move(reset_on_move&& other) noexcept : T(std::exchange(static_cast<T&>(other), T())) {}
  reset_on_move& operator=(reset_on_move&& other) noexcept
  {
    static_cast<T&>(*this) = std::exchange(static_cast<T&>(other), T());
    return *this;
  }
  ~reset_on_move() = default;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
