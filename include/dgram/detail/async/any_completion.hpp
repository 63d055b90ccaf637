// SPDX-License-Identifier: BSL-1.0
// Keeps a completion handler of any type until its operation ends, and calls it on its executor.
#ifndef DGRAM_DETAIL_ASYNC_ANY_COMPLETION_HPP
#define DGRAM_DETAIL_ASYNC_ANY_COMPLETION_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/async/task.hpp>
#include <dgram/failure.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The handler of a pending operation, whatever its type, with room for the results. The code that
/// ends the operation fills them in. `run` releases the memory, which is the handler's, and calls
/// the handler on the handler's executor.
///
/// Asio's `any_completion_handler` would need memory of its own to wait in a queue with its
/// results.
class completion_base : public task {
public:
  /// Lets the handler's slot call `function(Owner&, cancellation_type)` until the completion runs.
  template <class Owner, class Function>
  void let_cancel(const net::cancellation_slot& slot, std::weak_ptr<Owner> owner, Function function)
  {
    if (!slot.is_connected()) return;
    has_slot_ = true;
    on_cancellation(slot, std::move(owner), std::move(function));
  }

protected:
  ~completion_base() = default;

  bool has_slot_ = false;  // a cancellation slot refers to this
};

/// A completion whose failure says in words what was wrong.
class any_completion : public completion_base {
public:
  failure outcome;

protected:
  ~any_completion() = default;
};

/// A completion with a plain code: for waits, of which there are many.
template <class... Values>
class plain_completion : public completion_base {
public:
  using signature = void(error_code, Values...);

  error_code outcome;
  std::tuple<Values...> values;

protected:
  ~plain_completion() = default;
};

using waiter = plain_completion<>;

using any_completion_ptr = std::unique_ptr<any_completion, discard_task>;

template <class... Values>
class completion : public any_completion {
public:
  std::tuple<Values...> values;

protected:
  ~completion() = default;
};

template <class... Values>
using completion_ptr = std::unique_ptr<completion<Values...>, discard_task>;

/// What a completion handler may be:
/// - a function for the error code and the values, as everywhere in Asio;
/// - a function for the whole failure in place of the code;
/// - a function for the code or the failure, without the values.
///
/// Some of Asio's tokens can be called too: they take one argument and return another token.
template <class Handler, class... Values>
inline constexpr bool takes_code = std::invocable<Handler, error_code, Values...>;
template <class Handler, class... Args>
concept void_function = requires(Handler& handler, Args... args) {
  { std::invoke(handler, args...) } -> std::same_as<void>;
};
template <class Handler, class... Values>
inline constexpr bool is_plain_callback =
    !takes_code<Handler, Values...> &&
    (void_function<Handler, const failure&, Values...> || void_function<Handler, error_code> ||
     void_function<Handler, const failure&>);

template <class Handler>
void call_back(Handler&& handler)
{
  std::invoke(handler);
}

template <class Handler, class... Values>
void call_back(Handler&& handler, const failure& outcome, Values&&... values)
{
  if constexpr (takes_code<Handler, Values...>)
    std::invoke(std::forward<Handler>(handler), outcome.code, std::forward<Values>(values)...);
  else if constexpr (std::invocable<Handler, const failure&, Values...>)
    std::invoke(std::forward<Handler>(handler), outcome, std::forward<Values>(values)...);
  else if constexpr (std::invocable<Handler, error_code>)
    std::invoke(std::forward<Handler>(handler), outcome.code);
  else
    std::invoke(std::forward<Handler>(handler), outcome);
}

template <class Handler, class... Values>
void call_back(Handler&& handler, const error_code& outcome, Values&&... values)
{
  std::invoke(std::forward<Handler>(handler), outcome, std::forward<Values>(values)...);
}

/// Whether a handler is bound to an executor. Otherwise any executor may call it.
template <class Handler, class Executor>
inline constexpr bool has_executor =
    !std::same_as<net::associated_executor_t<Handler, Executor>, Executor> ||
    !std::same_as<net::associated_executor_t<Handler, net::system_executor>, net::system_executor>;

/// A handler and its arguments, on their way to the handler's executor. They keep the context of
/// that executor running until the handler is called. They have the handler's allocator.
template <class Handler, class Executor, class... Args>
class upcall {
public:
  using allocator_type = net::associated_allocator_t<Handler, recycling>;

  upcall(Handler&& handler, net::executor_work_guard<Executor>&& work, Args&&... args)
      : handler_(std::move(handler)), work_(std::move(work)), args_(std::move(args)...)
  {
  }

  allocator_type get_allocator() const noexcept
  {
    return net::get_associated_allocator(handler_, recycling());
  }

  void operator()()
  {
    work_.reset();
    std::apply([this](auto&... each) { call_back(std::move(handler_), std::move(each)...); },
               args_);
  }

private:
  Handler handler_;
  net::executor_work_guard<Executor> work_;
  std::tuple<Args...> args_;
};

/// A handler that is called once, on the emitter's executor, and runs on its own. Until then, it
/// keeps the context of its own executor running.
template <class Handler, class Executor>
class forwarding_handler {
public:
  template <class From>
  forwarding_handler(From&& handler, const Executor& emitters)
      : handler_(std::forward<From>(handler))
  {
    if constexpr (is_bound) {
      auto own = net::get_associated_executor(handler_, emitters);
      if constexpr (std::same_as<associated, Executor>)
        if (own == emitters) return;
      work_.emplace(std::move(own));
    }
  }

  const Handler& handler() const noexcept { return handler_; }

  template <class... Args>
  void operator()(Args&&... args)
  {
    if constexpr (is_bound) {
      if (work_) {
        const associated executor = work_->get_executor();
        net::dispatch(executor,
                      upcall<Handler, associated, std::decay_t<Args>...>(
                          std::move(handler_), std::move(*work_), std::forward<Args>(args)...));
        return;
      }
    }
    // This runs on the emitter's executor, so a call does what a dispatch would do.
    call_back(std::move(handler_), std::forward<Args>(args)...);
  }

private:
  using associated = net::associated_executor_t<Handler, Executor>;
  static constexpr bool is_bound = has_executor<Handler, Executor>;

  struct nothing {};
  using work_type =
      std::conditional_t<is_bound, std::optional<net::executor_work_guard<associated>>, nothing>;

  Handler handler_;
  [[no_unique_address]] work_type work_;
};

/// `Completion` has `outcome` and `values`. If it has `prepare`, that fills them in, on the
/// operation's executor. If `prepare` returns false, `wait_again` takes over the completion.
template <class Handler, class Executor, class Completion>
class completion_of final : public Completion {
public:
  template <class From>
  completion_of(From&& handler, const Executor& executor)
      : call_(std::forward<From>(handler), executor)
  {
  }

  void run() override
  {
    if constexpr (requires { this->prepare(); })
      if (!is_prepared()) return this->wait_again();
    const auto memory = allocator();
    if (this->has_slot_) net::get_associated_cancellation_slot(call_.handler()).clear();
    auto call = std::move(call_);
    auto result = std::move(this->outcome);
    auto results = std::move(this->values);
    release_task(this, memory);
    std::apply([&](auto&... each) { call(std::move(result), std::move(each)...); }, results);
  }

  void discard() noexcept override
  {
    const auto memory = allocator();
    // The memory may belong to what the handler owns, so the handler goes last.
    [[maybe_unused]] const auto call = std::move(call_);
    release_task(this, memory);
  }

private:
  auto allocator() const noexcept
  {
    return net::get_associated_allocator(call_.handler(), recycling());
  }

  bool is_prepared()
  {
    try {
      return this->prepare();
    } catch (...) {
      discard();
      throw;
    }
  }

  forwarding_handler<Handler, Executor> call_;
};

template <class Completion, class Handler, class Executor>
Completion* make_completion_for(Handler&& handler, const Executor& executor)
{
  using type = completion_of<std::decay_t<Handler>, Executor, Completion>;
  const auto allocator = net::get_associated_allocator(handler, recycling());
  return make_task<type>(allocator, std::forward<Handler>(handler), executor);
}

template <class... Values, class Handler, class Executor>
completion<Values...>* make_completion(Handler&& handler, const Executor& executor)
{
  return make_completion_for<completion<Values...>>(std::forward<Handler>(handler), executor);
}

/// Whether an operation takes this token. If not, the assertion says so; otherwise the compiler
/// would report errors inside Asio.
template <class Token, class... Values>
consteval bool is_token()
{
  constexpr bool fits = is_plain_callback<std::decay_t<Token>, Values...> ||
                        net::completion_token_for<Token, void(error_code, Values...)>;
  static_assert(fits,
                "the last argument is none of: a completion token of Asio's, a function of an "
                "error_code or a const failure& (and of the values that the operation completes "
                "with), and for an emitter a function without arguments");
  return fits;
}

/// Starts an operation: `launch(Owner&, completion<Values...>*, slot)` takes over the completion,
/// now or when the token launches it.
template <class... Values, class Owner, class Token, class Launch>
auto initiate_completion(const std::shared_ptr<Owner>& owner, Token&& token, Launch launch)
{
  auto start = [launch = std::move(launch)](Owner& on, auto&& handler) {
    const net::cancellation_slot slot = net::get_associated_cancellation_slot(handler);
    launch(on,
           make_completion<Values...>(std::forward<decltype(handler)>(handler), on.get_executor()),
           slot);
  };
  if constexpr (is_plain_callback<std::decay_t<Token>, Values...>)
    start(*owner, std::forward<Token>(token));
  else if constexpr (is_token<Token, Values...>())
    return initiate<void(error_code, Values...)>(shared_target(owner), std::move(start),
                                                 std::forward<Token>(token));
}

/// The completion handler of a send. Calls the callback if the send succeeded; otherwise posts an
/// 'error' event. Only the emitter calls this handler, so the emitter exists then.
template <class Core, class Callback>
class sent_callback {
public:
  using allocator_type = net::associated_allocator_t<Callback, recycling>;
  using cancellation_slot_type = net::associated_cancellation_slot_t<Callback>;

  template <class From>
  sent_callback(Core& core, From&& callback)
      : core_(&core), call_(std::forward<From>(callback), core.get_executor())
  {
  }

  allocator_type get_allocator() const noexcept
  {
    return net::get_associated_allocator(call_.handler(), recycling());
  }
  cancellation_slot_type get_cancellation_slot() const noexcept
  {
    return net::get_associated_cancellation_slot(call_.handler());
  }

  void operator()(const failure& outcome)
  {
    if (outcome)
      core_->post_error(outcome);
    else
      call_();
  }

private:
  Core* core_;
  forwarding_handler<Callback, typename Core::executor_type> call_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
