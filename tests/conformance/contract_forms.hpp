// SPDX-License-Identifier: BSL-1.0
// The forms in which the operations of contract.hpp are started beside a plain handler: in a
// parallel group, as an awaitable, with a future, and with a reference to a handler.
#ifndef DGRAM_TESTS_CONFORMANCE_CONTRACT_FORMS_HPP
#define DGRAM_TESTS_CONFORMANCE_CONTRACT_FORMS_HPP

#include "support/asio.hpp"

#include <asio/experimental/parallel_group.hpp>
#include <asio/post.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <tuple>
#include <utility>

namespace contract {

/// The error code among what an operation has told; no error where there is none.
template <class... Values>
dgram::error_code code_of(const dgram::error_code& ec, const Values&...)
{
  return ec;
}

template <class... Values>
dgram::error_code code_of(const Values&...)
{
  return {};
}

/// An operation that ends when the test says so, or when it is cancelled.
class rival {
public:
  explicit rival(asio::io_context& io) : io_(io) {}

  template <class Token>
  auto async_end(Token&& token)
  {
    return asio::async_initiate<Token, void(dgram::error_code)>(
        [this](auto handler) {
          asio::cancellation_slot slot = asio::get_associated_cancellation_slot(handler);
          const auto kept = std::make_shared<decltype(handler)>(std::move(handler));
          end_ = [kept](dgram::error_code ec) { std::move (*kept)(ec); };
          // The group waits for the loser in the call that cancels it.
          slot.assign([this](asio::cancellation_type) {
            asio::post(io_, [this] { end(asio::error::operation_aborted); });
          });
        },
        token);
  }

  void end(const dgram::error_code& ec = {})
  {
    if (const auto ending = std::exchange(end_, nullptr)) ending(ec);
  }

private:
  asio::io_context& io_;
  std::function<void(dgram::error_code)> end_;
};

/// An operation and its rival in a race, and what the race told.
struct race {
  explicit race(asio::io_context& io) : other(io) {}

  rival other;
  int calls = 0;
  bool is_first = false;  ///< whether the operation has ended first
  dgram::error_code ec;
  dgram::error_code of_other;
};

/// Tells the race what a parallel group has told.
struct group_handler {
  race* of;

  template <class... Values>
  void operator()(std::array<std::size_t, 2> order, const Values&... values) const
  {
    ++of->calls;
    of->is_first = order[0] == 0;
    of->ec = code_of(values...);
    of->of_other = std::get<sizeof...(Values) - 1>(std::tie(values...));
  }
};

template <class Deferred>
void start_in_group(race& in, Deferred operation)
{
  asio::experimental::make_parallel_group(std::move(operation), in.other.async_end(test::deferred))
      .async_wait(asio::experimental::wait_for_one(), group_handler{&in});
}

/// An awaitable of any type as one of no type, and its error apart.
template <class T>
asio::awaitable<void> noted(asio::awaitable<T> operation, dgram::error_code& ec)
{
  try {
    co_await std::move(operation);
  } catch (const dgram::system_error& failure) {
    ec = failure.code();
  }
}

/// A future of any type.
struct settled {
  std::function<bool()> is_ready;
  std::function<dgram::error_code()> get;  ///< throws what is no error code
};

template <class T>
settled settled_of(std::future<T> future)
{
  const auto kept = std::make_shared<std::future<T>>(std::move(future));
  return {[kept] { return kept->wait_for(std::chrono::seconds(0)) == std::future_status::ready; },
          [kept]() -> dgram::error_code {
            try {
              static_cast<void>(kept->get());
              return {};
            } catch (const dgram::system_error& failure) {
              return failure.code();
            }
          }};
}

}  // namespace contract

#endif
