// SPDX-License-Identifier: BSL-1.0
// What the tests use of Asio beyond the library's own needs, under names that hold for every
// supported version.
#ifndef DGRAM_TESTS_SUPPORT_ASIO_HPP
#define DGRAM_TESTS_SUPPORT_ASIO_HPP

#include <dgram/config.hpp>

#include <asio/bind_allocator.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#if ASIO_VERSION >= 102300
#include <asio/as_tuple.hpp>
#include <asio/deferred.hpp>
namespace test {
using asio::as_tuple;
using asio::deferred;
}  // namespace test
#else
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/deferred.hpp>
namespace test {
using asio::experimental::as_tuple;
using asio::experimental::deferred;
}  // namespace test
#endif

#endif
