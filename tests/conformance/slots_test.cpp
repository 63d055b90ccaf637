// SPDX-License-Identifier: BSL-1.0
// What operations instantiate for handlers that cannot be cancelled, and which handlers those are.
#include "support/asio.hpp"
#include "support/loopback.hpp"

#include <dgram/detail/async/cancellation.hpp>
#include <dgram/udp.hpp>

#include <asio/bind_allocator.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/compose.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <asio/experimental/awaitable_operators.hpp>
#include <asio/experimental/parallel_group.hpp>
#if ASIO_VERSION >= 102700
#include <asio/any_completion_handler.hpp>
#include <asio/append.hpp>
#include <asio/as_tuple.hpp>
#include <asio/consign.hpp>
#include <asio/deferred.hpp>
#include <asio/prepend.hpp>
#else
#include <asio/experimental/append.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/deferred.hpp>
#include <asio/experimental/prepend.hpp>
#endif
#if ASIO_VERSION >= 103000
#include <asio/cancel_after.hpp>
#endif

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace slots_test {

namespace {

#if ASIO_VERSION >= 102700
namespace tokens = asio;
#else
namespace tokens = asio::experimental;
#endif

using signature = void(dgram::error_code, std::size_t);

/// An operation of nothing, which notes whether its handler may have a slot, and completes at once.
template <class Token>
auto async_note(bool& may, Token&& token)
{
  return asio::async_initiate<Token, signature>(
      [&may](auto&& handler) {
        using handler_type = std::decay_t<decltype(handler)>;
        may = dgram::detail::may_have_slot<handler_type>;
        const auto executor = asio::get_associated_executor(handler, asio::system_executor());
        asio::dispatch(executor, [handler = std::make_shared<handler_type>(std::move(handler))] {
          std::move (*handler)(dgram::error_code(), std::size_t{0});
        });
      },
      token);
}

template <class Token>
bool note(Token&& token)
{
  bool may = false;
  async_note(may, std::forward<Token>(token));
  return may;
}

auto callback()
{
  return [](dgram::error_code, std::size_t) {};
}

auto callback_with_slot()
{
  return asio::bind_cancellation_slot(asio::cancellation_slot(), callback());
}

struct handler_with_slot {
  using cancellation_slot_type = asio::cancellation_slot;
  cancellation_slot_type get_cancellation_slot() const noexcept { return {}; }
  void operator()(dgram::error_code, std::size_t) const {}
};

/// Its slot is known to the trait alone.
struct handler_with_associated_slot {
  void operator()(dgram::error_code, std::size_t) const {}
};

struct composed {
  template <class Self>
  void operator()(Self& self)
  {
    // As for an operation of Asio's that a composed one starts.
    self.complete({}, dgram::detail::may_have_slot<Self> ? 1 : 0);
  }
};

/// Whether the operations inside of a composed one may have a slot.
template <class Token>
auto compose(asio::io_context& io, Token&& token)
{
  return asio::async_compose<Token, signature>(composed(), token, io);
}

/// Refuses when it is compiled what Asio itself would not allocate for a wait: programs check such sizes.
template <class T = void>
struct narrow_allocator {
  using value_type = T;

  narrow_allocator() = default;
  template <class U>
  narrow_allocator(const narrow_allocator<U>&) noexcept  // NOLINT(*-explicit-*)
  {
  }

  T* allocate(std::size_t count)
  {
    static_assert(sizeof(T) <= 104);
    return std::allocator<T>().allocate(count);
  }

  void deallocate(T* memory, std::size_t count) noexcept
  {
    std::allocator<T>().deallocate(memory, count);
  }

  template <class U>
  bool operator==(const narrow_allocator<U>&) const noexcept
  {
    return true;
  }
};

struct small_handler {
  using allocator_type = narrow_allocator<>;
  allocator_type get_allocator() const noexcept { return {}; }
  void operator()(dgram::error_code ec) const { *result = ec; }
  dgram::error_code* result;
};

}  // namespace

}  // namespace slots_test

template <class Slot>
struct asio::associated_cancellation_slot<slots_test::handler_with_associated_slot, Slot> {
  using type = asio::cancellation_slot;
  static type get(const slots_test::handler_with_associated_slot&, const Slot& = Slot()) noexcept
  {
    return {};
  }
};

namespace slots_test {

TEST_CASE("a handler without a cancellation slot is told from all others by its type")
{
  asio::io_context io;
  const auto strand = asio::make_strand(io);
  dgram::error_code ec;

  SECTION("without a slot, whatever wraps it")
  {
    CHECK_FALSE(note(callback()));
    CHECK_FALSE(note(asio::bind_executor(strand, callback())));
    CHECK_FALSE(note(asio::bind_allocator(std::allocator<char>(), callback())));
    CHECK_FALSE(note(asio::redirect_error([](std::size_t) {}, ec)));
    CHECK_FALSE(note(asio::detached));
    CHECK_FALSE(note(asio::use_future));
    CHECK_FALSE(note(tokens::append([](dgram::error_code, std::size_t, int) {}, 1)));
    CHECK_FALSE(note(tokens::prepend([](int, dgram::error_code, std::size_t) {}, 1)));
#if ASIO_VERSION >= 102700
    CHECK_FALSE(note(tokens::consign(callback(), std::make_unique<int>(1))));
#endif
  }

  SECTION("with a slot, whatever wraps it")
  {
    CHECK(note(callback_with_slot()));
    CHECK(note(handler_with_slot()));
    CHECK(note(handler_with_associated_slot()));
    CHECK(note(asio::bind_executor(strand, callback_with_slot())));
    CHECK(note(asio::bind_executor(strand, handler_with_associated_slot())));
    CHECK(note(asio::bind_allocator(std::allocator<char>(), callback_with_slot())));
    CHECK(note(asio::redirect_error(
        asio::bind_cancellation_slot(asio::cancellation_slot(), [](std::size_t) {}), ec)));
    CHECK(note(asio::bind_cancellation_slot(asio::cancellation_slot(), asio::detached)));
    CHECK(note(asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_future)));
    CHECK(note(
        tokens::append(asio::bind_cancellation_slot(asio::cancellation_slot(),
                                                    [](dgram::error_code, std::size_t, int) {}),
                       1)));
    CHECK(note(
        tokens::prepend(asio::bind_cancellation_slot(asio::cancellation_slot(),
                                                     [](int, dgram::error_code, std::size_t) {}),
                        1)));
#if ASIO_VERSION >= 102700
    CHECK(note(asio::any_completion_handler<signature>(callback())));
    CHECK(note(tokens::consign(callback_with_slot(), std::make_unique<int>(1))));
#endif
  }

  SECTION("operations that are started by others")
  {
    using namespace asio::experimental::awaitable_operators;
    bool plain = false;
    bool tuple = false;
    bool raced = false;
    bool grouped = false;
    const auto coroutine = [&]() -> asio::awaitable<void> {
      co_await async_note(plain, asio::use_awaitable);
      co_await async_note(tuple, tokens::as_tuple(asio::use_awaitable));
      bool other = false;
      co_await (async_note(raced, asio::use_awaitable) && async_note(other, asio::use_awaitable));
    };
    asio::co_spawn(io, coroutine(), asio::detached);
    asio::experimental::make_parallel_group(async_note(grouped, tokens::deferred),
                                            asio::post(io, tokens::deferred))
        .async_wait(asio::experimental::wait_for_all(), [](auto&&...) {});
    std::size_t inner_without = 2;
    std::size_t inner_with = 2;
    compose(io, [&](dgram::error_code, std::size_t may) { inner_without = may; });
    compose(io, asio::bind_cancellation_slot(
                    asio::cancellation_slot(),
                    [&](dgram::error_code, std::size_t may) { inner_with = may; }));
    io.run();
    CHECK(plain);
    CHECK(tuple);
    CHECK(raced);
    CHECK(grouped);
    CHECK(inner_without == 0);
    CHECK(inner_with == 1);
#if ASIO_VERSION >= 103000
    bool timed = false;
    asio::steady_timer timer(io);
    async_note(timed, asio::cancel_after(timer, std::chrono::hours(1), callback()));
    CHECK(timed);
#endif
  }
}

TEST_CASE("a wait without a cancellation slot instantiates Asio's own operation and no larger one")
{
  asio::io_context io;
  dgram::basic_socket<dgram::udp, asio::io_context::executor_type> socket(io, test::loopback_v4());
  dgram::error_code result = asio::error::would_block;
  socket.async_wait(asio::socket_base::wait_write, small_handler{&result});
  io.run();
  CHECK_FALSE(result);
}

}  // namespace slots_test
