// SPDX-License-Identifier: BSL-1.0
// Tasks that an emitter runs on a later turn: events, and the completions of operations.
#ifndef DGRAM_DETAIL_ASYNC_COMPLETION_HPP
#define DGRAM_DETAIL_ASYNC_COMPLETION_HPP

#include <dgram/config.hpp>
#include <dgram/failure.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

class task;

/// The link of a task in a queue. It is a class of its own because `task` must have no friends:
/// with a friend, the destructor counts as accessible, and compilers ask for a virtual one.
class task_link {
  friend class task_queue;
  task* next_ = nullptr;
};

/// Something to do once. It owns its memory, so queueing it costs none.
class task : public task_link {
public:
  task(const task&) = delete;
  task& operator=(const task&) = delete;

  /// Releases the memory, then does the work.
  virtual void run() = 0;

  /// Releases the memory, and does nothing else.
  virtual void discard() noexcept = 0;

protected:
  task() = default;
  ~task() = default;
};

struct discard_task {
  void operator()(task* which) const noexcept { which->discard(); }
};

using task_ptr = std::unique_ptr<task, discard_task>;

/// A first-in, first-out queue. Its destructor discards the tasks that are left.
class task_queue {
public:
  task_queue() = default;
  task_queue(const task_queue&) = delete;
  task_queue& operator=(const task_queue&) = delete;
  ~task_queue()
  {
    while (!empty())
      pop()->discard();
  }

  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

  void push(task* added) noexcept
  {
    next(added) = nullptr;
    (empty() ? first_ : next(last_)) = added;
    last_ = added;
    ++size_;
  }

  task* pop() noexcept
  {
    --size_;
    return std::exchange(first_, next(first_));
  }

private:
  static task*& next(task_link* of) noexcept { return of->next_; }

  task* first_ = nullptr;
  task* last_ = nullptr;
  std::size_t size_ = 0;
};

template <class T, class Allocator>
using rebound = typename std::allocator_traits<Allocator>::template rebind_alloc<T>;

template <class Task, class Allocator, class... Args>
Task* make_task(const Allocator& allocator, Args&&... args)
{
  rebound<Task, Allocator> memory(allocator);
  Task* const where = memory.allocate(1);
  try {
    return ::new (static_cast<void*>(where)) Task(std::forward<Args>(args)...);
  } catch (...) {
    memory.deallocate(where, 1);
    throw;
  }
}

template <class Task, class Allocator>
void release_task(Task* which, const Allocator& allocator) noexcept
{
  rebound<Task, Allocator> memory(allocator);
  which->~Task();
  memory.deallocate(which, 1);
}

using recycling = net::recycling_allocator<void>;

template <class Function>
class function_task final : public task {
public:
  explicit function_task(Function&& function) : function_(std::move(function)) {}

  void run() override
  {
    Function function(std::move(function_));
    release_task(this, recycling());
    std::move(function)();
  }

  void discard() noexcept override { release_task(this, recycling()); }

private:
  Function function_;
};

/// The completion of a pending operation. The code that ends the operation fills it in; `run` calls
/// the handler.
class any_completion : public task {
public:
  failure outcome;
  bool has_slot = false;  // a cancellation slot refers to it, until it runs

protected:
  ~any_completion() = default;
};

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

/// A handler and its arguments.
template <class Handler, class... Values>
class upcall {
public:
  using allocator_type = net::associated_allocator_t<Handler, recycling>;

  upcall(Handler&& handler, failure&& outcome, std::tuple<Values...>&& values)
      : handler_(std::move(handler)), outcome_(std::move(outcome)), values_(std::move(values))
  {
  }

  allocator_type get_allocator() const noexcept
  {
    return net::get_associated_allocator(handler_, recycling());
  }

  void operator()()
  {
    std::apply(
        [this](auto&&... each) {
          call_back(std::move(handler_), outcome_, std::forward<decltype(each)>(each)...);
        },
        std::move(values_));
  }

private:
  Handler handler_;
  failure outcome_;
  std::tuple<Values...> values_;
};

/// A function that is dispatched to another executor. It keeps that executor's context running
/// until it is called.
template <class Function, class Executor>
class dispatched {
public:
  using allocator_type = net::associated_allocator_t<Function, recycling>;

  dispatched(Function&& function, net::executor_work_guard<Executor>&& work)
      : function_(std::move(function)), work_(std::move(work))
  {
  }

  allocator_type get_allocator() const noexcept
  {
    return net::get_associated_allocator(function_, recycling());
  }

  void operator()()
  {
    work_.reset();
    std::move(function_)();
  }

private:
  Function function_;
  net::executor_work_guard<Executor> work_;
};

template <class Function, class Executor>
void dispatch_to(net::executor_work_guard<Executor>&& work, Function&& function)
{
  const Executor executor = work.get_executor();
  net::dispatch(executor,
                dispatched<Function, Executor>(std::forward<Function>(function), std::move(work)));
}

template <class Handler, class Executor, class... Values>
class completion_of final : public completion<Values...> {
  using associated = net::associated_executor_t<Handler, Executor>;
  using allocator = net::associated_allocator_t<Handler, recycling>;

public:
  completion_of(Handler&& handler, const Executor& executor)
      : handler_(std::move(handler)), executor_(executor)
  {
    auto own = net::get_associated_executor(handler_, executor_);
    if (!is_emitters(own)) work_.emplace(std::move(own));
  }

  void run() override
  {
    const allocator memory = net::get_associated_allocator(handler_, recycling());
    if (this->has_slot) net::get_associated_cancellation_slot(handler_).clear();
    upcall<Handler, Values...> call(std::move(handler_), std::move(this->outcome),
                                    std::move(this->values));
    auto work = std::move(work_);
    release_task(this, memory);
    // The emitter's turns run on its own executor, so a call does here what a dispatch would do.
    if (work)
      dispatch_to(std::move(*work), std::move(call));
    else
      call();
  }

  void discard() noexcept override
  {
    const allocator memory = net::get_associated_allocator(handler_, recycling());
    release_task(this, memory);
  }

private:
  bool is_emitters(const associated& other) const noexcept
  {
    if constexpr (std::same_as<associated, Executor>)
      return other == executor_;
    else
      return false;
  }

  Handler handler_;
  Executor executor_;
  std::optional<net::executor_work_guard<associated>> work_;
};

template <class... Values, class Handler, class Executor>
completion<Values...>* make_completion(Handler&& handler, const Executor& executor)
{
  using type = completion_of<std::decay_t<Handler>, Executor, Values...>;
  const auto allocator = net::get_associated_allocator(handler, recycling());
  return make_task<type>(allocator, std::decay_t<Handler>(std::forward<Handler>(handler)),
                         executor);
}

/// Whether an operation takes this token. If not, the assertion says so; otherwise the compiler
/// would report errors inside Asio.
template <class Token, class... Values>
consteval bool is_token()
{
  constexpr bool fits = is_plain_callback<std::decay_t<Token>, Values...> ||
                        net::completion_token_for<Token, void(error_code, Values...)>;
  static_assert(fits,
                "the token is neither a completion token of Asio's nor a function of an error_code "
                "and the values that the operation completes with");
  return fits;
}

/// Asio calls this with the handler when an operation is launched.
template <class Executor, class Launch, class... Values>
class emitter_initiation {
public:
  using executor_type = Executor;

  emitter_initiation(const Executor& executor, Launch launch)
      : executor_(executor), launch_(std::move(launch))
  {
  }

  executor_type get_executor() const noexcept { return executor_; }

  template <class Handler>
  void operator()(Handler&& handler)
  {
    const net::cancellation_slot slot = net::get_associated_cancellation_slot(handler);
    launch_(make_completion<Values...>(std::forward<Handler>(handler), executor_), slot);
  }

private:
  Executor executor_;
  Launch launch_;
};

/// Starts an operation: `launch(completion<Values...>*, slot)` takes over the completion, now or
/// when the token launches it.
template <class... Values, class Executor, class Token, class Launch>
auto initiate_completion(const Executor& executor, Token&& token, Launch launch)
{
  using handler = std::decay_t<Token>;
  emitter_initiation<Executor, Launch, Values...> initiation(executor, std::move(launch));
  if constexpr (is_plain_callback<handler, Values...>)
    initiation(std::forward<Token>(token));
  else if constexpr (is_token<Token, Values...>())
    return net::async_initiate<Token, void(error_code, Values...)>(std::move(initiation), token);
}

template <class Callback, class Executor>
inline constexpr bool runs_on =
    std::same_as<net::associated_executor_t<Callback, Executor>, Executor>;

/// Whether a callback is bound to an executor. Otherwise any executor may call it.
template <class Callback, class Executor>
inline constexpr bool has_executor =
    !runs_on<Callback, Executor> || !runs_on<Callback, net::system_executor>;

/// Called on another executor than the callback's. The callback's own executor then runs the
/// callback. Until then, this object keeps that executor's context running.
template <class Callback, class Executor>
class forwarding_callback {
public:
  template <class From>
  forwarding_callback(From&& callback, const Executor& other)
      : callback_(std::forward<From>(callback)),
        work_(net::get_associated_executor(callback_, other))
  {
  }

  void operator()() { dispatch_to(std::move(work_), std::move(callback_)); }

private:
  Callback callback_;
  net::executor_work_guard<net::associated_executor_t<Callback, Executor>> work_;
};

/// Returns a function for the emitter to call once, on its own executor, in place of the callback.
template <class Callback, class Executor>
decltype(auto) run_by_emitter(Callback&& callback, const Executor& emitters)
{
  using function = std::decay_t<Callback>;
  if constexpr (has_executor<function, Executor>)
    return forwarding_callback<function, Executor>(std::forward<Callback>(callback), emitters);
  else
    return std::forward<Callback>(callback);
}

/// The completion handler of a send. Calls the callback if the send succeeded; otherwise posts an
/// 'error' event. Only the emitter calls this handler, so the emitter exists then.
template <class Core, class Callback>
class sent_callback {
  using executor = typename Core::executor_type;
  using function = std::decay_t<decltype(run_by_emitter(std::declval<Callback>(),
                                                        std::declval<const executor&>()))>;

public:
  using allocator_type = net::associated_allocator_t<Callback, recycling>;
  using cancellation_slot_type = net::associated_cancellation_slot_t<Callback>;

  template <class From>
  sent_callback(Core& core, From&& callback)
      : core_(&core),
        allocator_(net::get_associated_allocator(callback, recycling())),
        slot_(net::get_associated_cancellation_slot(callback)),
        call_(run_by_emitter(std::forward<From>(callback), core.get_executor()))
  {
  }

  allocator_type get_allocator() const noexcept { return allocator_; }
  cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }

  void operator()(const failure& outcome)
  {
    if (outcome)
      core_->post_error(outcome);
    else
      call_();
  }

private:
  Core* core_;
  allocator_type allocator_;
  cancellation_slot_type slot_;
  function call_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
