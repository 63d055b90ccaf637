// SPDX-License-Identifier: BSL-1.0
// Calls a function at the end of a scope, also if an exception ends it.
#ifndef DGRAM_DETAIL_ASYNC_AT_END_HPP
#define DGRAM_DETAIL_ASYNC_AT_END_HPP

#include <dgram/config.hpp>

#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The function must not throw.
template <class Function>
class at_end {
public:
  explicit at_end(Function function) : function_(std::move(function)) {}
  at_end(const at_end&) = delete;
  at_end& operator=(const at_end&) = delete;
  ~at_end() { function_(); }

private:
  Function function_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
