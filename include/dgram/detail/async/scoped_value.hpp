// SPDX-License-Identifier: BSL-1.0
// Gives a variable another value until the end of a scope, also if an exception ends it.
#ifndef DGRAM_DETAIL_ASYNC_SCOPED_VALUE_HPP
#define DGRAM_DETAIL_ASYNC_SCOPED_VALUE_HPP

#include <dgram/config.hpp>

#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Scopes may be nested: each restores the value that it found.
template <class T>
class scoped_value {
public:
  scoped_value(T& variable, std::type_identity_t<T> value)
      : variable_(variable), before_(std::exchange(variable, std::move(value)))
  {
  }
  scoped_value(const scoped_value&) = delete;
  scoped_value& operator=(const scoped_value&) = delete;
  ~scoped_value() { variable_ = std::move(before_); }

private:
  T& variable_;
  T before_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
