// SPDX-License-Identifier: BSL-1.0
// Finds calls beside the strand of an object, in builds without NDEBUG.
#ifndef DGRAM_DETAIL_ASYNC_EXECUTOR_CHECK_HPP
#define DGRAM_DETAIL_ASYNC_EXECUTOR_CHECK_HPP

#include <dgram/config.hpp>

#include <concepts>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <typeinfo>

DGRAM_NAMESPACE_BEGIN

namespace detail {

#if !defined(NDEBUG)

/// The executor of this type in another one; null if that has none. `target` of Asio does not look
/// at the type.
template <class Target>
const Target* held_by([[maybe_unused]] const net::any_io_executor& executor) noexcept
{
#if defined(__cpp_rtti) && !defined(ASIO_NO_TYPEID) && !defined(BOOST_ASIO_NO_TYPEID)
  if (executor.target_type() == typeid(Target)) return executor.template target<Target>();
#endif
  return nullptr;
}

/// Whether this thread is inside `run` of the executor's context. Returns false if the executor
/// cannot tell.
template <class Executor>
bool runs_here(const Executor& executor) noexcept
{
  if constexpr (requires {
                  { executor.running_in_this_thread() } -> std::convertible_to<bool>;
                }) {
    return executor.running_in_this_thread();
  } else if constexpr (std::same_as<Executor, net::any_io_executor>) {
    const auto* const held = held_by<net::io_context::executor_type>(executor);
    return held != nullptr && held->running_in_this_thread();
  } else {
    return false;
  }
}

/// Whether a handler of a strand's context runs in this thread, and not on the strand. Only that is
/// certainly wrong: before the context runs, and after its end, any thread may call.
template <class Executor>
bool is_beside_strand(const Executor& executor) noexcept
{
  if constexpr (requires { executor.get_inner_executor(); }) {
    return !executor.running_in_this_thread() && runs_here(executor.get_inner_executor());
  } else if constexpr (std::same_as<Executor, net::any_io_executor>) {
    using usual = net::strand<net::io_context::executor_type>;
    using erased = net::strand<net::any_io_executor>;
    if (const auto* const held = held_by<usual>(executor)) return is_beside_strand(*held);
    if (const auto* const held = held_by<erased>(executor)) return is_beside_strand(*held);
  }
  return false;
}

/// Also prints the text, because a coroutine that was spawned with `detached` swallows exceptions.
[[noreturn]] DGRAM_COLD inline void refuse_executor(const char* call)
{
  const std::string text =
      std::string(call) +
      ": called beside the strand that the socket was constructed with. All calls belong on that "
      "strand: spawn the coroutine on get_executor(), or post there";
  std::fprintf(stderr, "dgram: %s\n", text.c_str());
  throw std::logic_error(text);
}

#endif

/// Throws `std::logic_error` if the call comes from a handler of the context that is not on the
/// strand of `object`. Does nothing with NDEBUG, and if the executor is no strand.
template <class Object>
void check_executor([[maybe_unused]] const Object& object, [[maybe_unused]] const char* call)
{
#if !defined(NDEBUG)
  if (is_beside_strand(object.get_executor())) refuse_executor(call);
#endif
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
