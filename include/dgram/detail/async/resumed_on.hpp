// SPDX-License-Identifier: BSL-1.0
// Lets a composed operation use an object on the object's executor, wherever its handler runs.
#ifndef DGRAM_DETAIL_ASYNC_RESUMED_ON_HPP
#define DGRAM_DETAIL_ASYNC_RESUMED_ON_HPP

#include <dgram/config.hpp>

#include <concepts>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The handler for a step of a composed operation. It resumes the operation on `Executor`, which is
/// that of the object. Until then, it keeps the context of the final handler's executor running.
template <class Executor, class Self>
class resumed_on {
public:
  using executor_type = Executor;

  resumed_on(const Executor& executor, Self&& self)
      : work_(net::get_associated_executor(self, executor)),
        executor_(executor),
        self_(std::move(self))
  {
  }

  executor_type get_executor() const noexcept { return executor_; }
  const Self& self() const noexcept { return self_; }

  template <class... Args>
  void operator()(Args&&... args)
  {
    self_(std::forward<Args>(args)...);
  }

private:
  net::executor_work_guard<net::associated_executor_t<Self, Executor>> work_;
  Executor executor_;
  Self self_;
};

/// Resumes the operation on the executor of its final handler, from that of the object.
template <class Executor, class Self>
void leave_executor(const Executor& executor, Self& self)
{
  if constexpr (std::same_as<net::associated_executor_t<Self, Executor>, Executor>) {
    if (net::get_associated_executor(self, executor) == executor) {
      self();
      return;
    }
  }
  net::dispatch(executor, std::move(self));
}

}  // namespace detail

DGRAM_NAMESPACE_END

/// Everything except the executor is the operation's.
template <template <class, class> class Associator, class Executor, class Self, class Default>
struct dgram::net::associator<Associator, dgram::detail::resumed_on<Executor, Self>, Default>
    : Associator<Self, Default> {
  static auto get(const dgram::detail::resumed_on<Executor, Self>& step) noexcept
  {
    return Associator<Self, Default>::get(step.self());
  }

  static auto get(const dgram::detail::resumed_on<Executor, Self>& step,
                  const Default& otherwise) noexcept
  {
    return Associator<Self, Default>::get(step.self(), otherwise);
  }
};

#endif
