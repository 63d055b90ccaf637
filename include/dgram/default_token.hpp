// SPDX-License-Identifier: BSL-1.0
// The default completion token of asynchronous operations.
#ifndef DGRAM_DEFAULT_TOKEN_HPP
#define DGRAM_DEFAULT_TOKEN_HPP

#include <dgram/config.hpp>

#include <type_traits>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Executor>
struct default_token {
  using asios = typename net::default_completion_token<Executor>::type;
  // Before 1.31 Asio has a default only for executors that carry one.
  using type = std::conditional_t<std::is_void_v<asios>, net::use_awaitable_t<Executor>, asios>;
};

}  // namespace detail

/// The token that an operation uses if the caller passes none. It is the default of the executor or
/// of Asio, and `use_awaitable` if Asio has none (before 1.31).
template <class Executor>
using default_token_t = typename detail::default_token<Executor>::type;

DGRAM_NAMESPACE_END

#endif
