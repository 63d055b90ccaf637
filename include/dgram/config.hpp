// SPDX-License-Identifier: BSL-1.0
// The only header that includes Asio: chooses standalone Asio or Boost.Asio and names both
// `dgram::net`.
#ifndef DGRAM_CONFIG_HPP
#define DGRAM_CONFIG_HPP

// What a build may define. The CMake options of the same names define it for every user of the
// target.
//   DGRAM_USE_BOOST_ASIO       use Boost.Asio instead of standalone Asio
//   DGRAM_ASIO_NAMESPACE       the namespace of standalone Asio, if the program includes it under
//                              another name than asio
//   DGRAM_FORCE_POSIX_BACKEND  use the portable backend even if a faster one exists
//   DGRAM_SYSTEM_HEADER        a header that replaces platform/system.hpp (tests inject faults)

// Names each unsupported set-up here, before the compiler reaches headers that are missing or
// unreadable.
#if __cplusplus < 202002L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 202002L)
#error "dgram needs C++20: compile with -std=c++20 (or /std:c++20 and /Zc:__cplusplus)"
#define DGRAM_UNSUPPORTED
#elif defined(__clang__) && __clang_major__ < 16 && !defined(__apple_build_version__)
#error "dgram needs Clang 16 or newer, or GCC 12 or newer"
#define DGRAM_UNSUPPORTED
#elif defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 12
#error "dgram needs GCC 12 or newer, or Clang 16 or newer"
#define DGRAM_UNSUPPORTED
#elif defined(__wasi__)
#error "dgram needs a system with datagram sockets, and WASI has none"
#define DGRAM_UNSUPPORTED
#elif !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#error "dgram needs exceptions: compile without -fno-exceptions (or with /EHsc)"
#define DGRAM_UNSUPPORTED
#elif defined(ASIO_NO_EXCEPTIONS) || defined(BOOST_ASIO_NO_EXCEPTIONS)
#error "dgram needs exceptions: compile without ASIO_NO_EXCEPTIONS and BOOST_ASIO_NO_EXCEPTIONS"
#define DGRAM_UNSUPPORTED
#elif defined(DGRAM_USE_BOOST_ASIO) && defined(DGRAM_ASIO_NAMESPACE)
// clang-format off: with its indentation the line would be too long.
#error \
"DGRAM_ASIO_NAMESPACE is for standalone Asio: do not define it together with DGRAM_USE_BOOST_ASIO"
// clang-format on
#define DGRAM_UNSUPPORTED
#elif defined(DGRAM_USE_BOOST_ASIO)
#if !__has_include(<boost/asio/version.hpp>)
#error "dgram needs Boost 1.79 or newer for DGRAM_USE_BOOST_ASIO, and none is on the include path"
#define DGRAM_UNSUPPORTED
#else
#include <boost/asio/version.hpp>
#define DGRAM_ASIO_VERSION BOOST_ASIO_VERSION
#if DGRAM_ASIO_VERSION < 102201
#error "dgram needs Boost 1.79 or newer, and the Boost on the include path is older"
#define DGRAM_UNSUPPORTED
#endif
#endif
#elif !__has_include(<asio/version.hpp>)
#error "dgram needs Asio 1.22.1 or newer, and no asio.hpp is on the include path"
#define DGRAM_UNSUPPORTED
#elif defined(ASIO_VERSION) && ASIO_VERSION < 102600 && defined(__clang__) && \
    defined(__cpp_impl_coroutine) && !defined(ASIO_HAS_CO_AWAIT) &&           \
    (defined(ASIO_HEADER_ONLY) || defined(ASIO_SEPARATE_COMPILATION))
// Asio was included before, and more than its version. It has left its coroutines out.
#error "this Asio has coroutines for Clang if you compile with -DASIO_HAS_CO_AWAIT=1"
#define DGRAM_UNSUPPORTED
#else
#include <asio/version.hpp>
#define DGRAM_ASIO_VERSION ASIO_VERSION
#if DGRAM_ASIO_VERSION < 102201
#error "dgram needs Asio 1.22.1 or newer, and the Asio on the include path is older"
#define DGRAM_UNSUPPORTED
#endif
#endif

#if defined(DGRAM_UNSUPPORTED)
// A compiler continues after #error and buries the message under a thousand lines. A missing header
// makes it stop.
#include <unsupported_see_the_error_above>
#endif

#include <dgram/version.hpp>

#include <exception>  // Asio 1.22 uses it without its header, which fails with libc++ in C++23
#include <version>

#if defined(DGRAM_USE_BOOST_ASIO)
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_datagram_socket.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context_as.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#else
// Without RTTI, Asio has to be told.
#if !defined(__cpp_rtti) && !defined(_CPPRTTI) && !defined(ASIO_NO_TYPEID)
#define ASIO_NO_TYPEID 1
#endif
#if defined(DGRAM_ASIO_NAMESPACE)
// Asio headers that the program has not included yet must use the same namespace.
#pragma push_macro("asio")
#undef asio
#define asio DGRAM_ASIO_NAMESPACE
#endif
// Before 1.26 Asio recognises Clang's coroutines only by their experimental name.
#if defined(__clang__) && defined(__cpp_impl_coroutine) && ASIO_VERSION < 102600 && \
    !defined(ASIO_HAS_CO_AWAIT)
#define ASIO_HAS_CO_AWAIT 1
#endif
#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/associator.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/basic_datagram_socket.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/buffer.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/cancellation_state.hpp>
#include <asio/co_spawn.hpp>
#include <asio/compose.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/execution/blocking.hpp>
#include <asio/execution/context_as.hpp>
#include <asio/execution/executor.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/udp.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>
#include <asio/recycling_allocator.hpp>
#include <asio/redirect_error.hpp>
#include <asio/require.hpp>
#include <asio/socket_base.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#endif

// The associated immediate executor lets an operation that finished at once complete without a trip
// through the scheduler, if the handler asked for that.
#if DGRAM_ASIO_VERSION >= 102700
#define DGRAM_HAS_IMMEDIATE_EXECUTOR 1
#if defined(DGRAM_USE_BOOST_ASIO)
#include <boost/asio/associated_immediate_executor.hpp>
#else
#include <asio/associated_immediate_executor.hpp>
#endif
#else
#define DGRAM_HAS_IMMEDIATE_EXECUTOR 0
#endif

// Windows has Unix stream sockets, but no Unix datagram sockets.
#if defined(_WIN32)
#define DGRAM_HAS_UNIX_DATAGRAMS 0
#if defined(interface) || defined(min) || defined(max)
// Headers of COM, which iphlpapi.h includes, and windows.h itself define these.
#error "interface, min or max is a macro: define WIN32_LEAN_AND_MEAN and NOMINMAX, or undefine it"
#endif
#else
#define DGRAM_HAS_UNIX_DATAGRAMS 1
#if defined(DGRAM_USE_BOOST_ASIO)
#include <boost/asio/local/datagram_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#else
#include <asio/local/datagram_protocol.hpp>
#include <asio/posix/stream_descriptor.hpp>
#endif
#endif

// libc++ 19 has std::stop_token only with -fexperimental-library. Without it `socket_options` has
// no `signal`.
#if defined(__cpp_lib_jthread)
#define DGRAM_HAS_STOP_TOKEN 1
#else
#define DGRAM_HAS_STOP_TOKEN 0
#endif

// Only the executors of the Networking TS let Asio count work down. Without them no emitter can be
// unreferenced.
#if defined(ASIO_NO_TS_EXECUTORS) || defined(BOOST_ASIO_NO_TS_EXECUTORS)
#define DGRAM_HAS_UNREF 0
#else
#define DGRAM_HAS_UNREF 1
#endif

// Where Asio waits with epoll and timerfd, its own timers can run on a virtual clock.
#if defined(DGRAM_USE_BOOST_ASIO)
#if defined(BOOST_ASIO_HAS_TIMERFD) && defined(BOOST_ASIO_HAS_EPOLL) && \
    !defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
#define DGRAM_HAS_SIM_STEADY_TIMER 1
#endif
#elif defined(ASIO_HAS_TIMERFD) && defined(ASIO_HAS_EPOLL) && !defined(ASIO_HAS_IO_URING_AS_DEFAULT)
#define DGRAM_HAS_SIM_STEADY_TIMER 1
#endif
#if !defined(DGRAM_HAS_SIM_STEADY_TIMER)
#define DGRAM_HAS_SIM_STEADY_TIMER 0
#endif

// For functions that are rarely called and would make their callers large.
#if defined(__GNUC__)
#define DGRAM_COLD [[gnu::noinline, gnu::cold]]
#else
#define DGRAM_COLD
#endif

// For what only some datagrams need. A caller that is called for each datagram saves fewer
// registers without it.
#if defined(__GNUC__)
#define DGRAM_APART [[gnu::noinline]]
#else
#define DGRAM_APART
#endif

// For a few short functions that run for each datagram. GCC does not inline them into a coroutine.
#if defined(__GNUC__)
#define DGRAM_INLINE [[gnu::always_inline]]
#else
#define DGRAM_INLINE
#endif

// The inline namespace names everything that changes the layout or meaning of the types:
//  - the version (a minor version may break before 1.0)
//  - Asio and the backend
//  - what is left out
// Translation units that disagree then fail to link, instead of silently breaking the
// one-definition rule.
#if defined(DGRAM_ASIO_NAMESPACE)
#pragma pop_macro("asio")
#define DGRAM_ABI_ASIO DGRAM_ASIO_NAMESPACE
#elif defined(DGRAM_USE_BOOST_ASIO)
#define DGRAM_ABI_ASIO boost
#else
#define DGRAM_ABI_ASIO asio
#endif
#if defined(DGRAM_SYSTEM_HEADER)
#define DGRAM_ABI_BACKEND scripted
#elif defined(DGRAM_FORCE_POSIX_BACKEND)
#define DGRAM_ABI_BACKEND posix
#else
#define DGRAM_ABI_BACKEND native
#endif
#if DGRAM_HAS_STOP_TOKEN
#define DGRAM_ABI_STOP_TOKEN
#else
#define DGRAM_ABI_STOP_TOKEN _no_stop_token
#endif
#if DGRAM_HAS_UNREF
#define DGRAM_ABI_UNREF
#else
#define DGRAM_ABI_UNREF _no_unref
#endif
#define DGRAM_ABI_JOIN(major, minor, asio, backend, stop_token, unref) \
  v##major##_##minor##_##asio##_##backend##stop_token##unref
#define DGRAM_ABI_EXPAND(major, minor, asio, backend, stop_token, unref) \
  DGRAM_ABI_JOIN(major, minor, asio, backend, stop_token, unref)
#define DGRAM_ABI_TAG                                                                           \
  DGRAM_ABI_EXPAND(DGRAM_VERSION_MAJOR, DGRAM_VERSION_MINOR, DGRAM_ABI_ASIO, DGRAM_ABI_BACKEND, \
                   DGRAM_ABI_STOP_TOKEN, DGRAM_ABI_UNREF)

#define DGRAM_NAMESPACE_BEGIN \
  namespace dgram {           \
  inline namespace DGRAM_ABI_TAG {
#define DGRAM_NAMESPACE_END \
  }                         \
  }

DGRAM_NAMESPACE_BEGIN

#if defined(DGRAM_USE_BOOST_ASIO)
/// The Asio that this build uses.
namespace net = ::boost::asio;
/// The namespace of this build's error codes.
namespace sys = ::boost::system;
#define DGRAM_ERROR_ENUM_TRAIT boost::system::is_error_code_enum
#else
/// The Asio that this build uses.
#if defined(DGRAM_ASIO_NAMESPACE)
namespace net = ::DGRAM_ASIO_NAMESPACE;
#else
namespace net = ::asio;
#endif
/// The namespace of this build's error codes.
namespace sys = ::std;
#define DGRAM_ERROR_ENUM_TRAIT std::is_error_code_enum
#endif

using sys::error_code;
using sys::system_error;

DGRAM_NAMESPACE_END

#endif
