// SPDX-License-Identifier: BSL-1.0
// A function of the program that keeps its state, and that may be replaced while it runs.
#ifndef DGRAM_DETAIL_ASYNC_REPLACEABLE_FUNCTION_HPP
#define DGRAM_DETAIL_ASYNC_REPLACEABLE_FUNCTION_HPP

#include <dgram/config.hpp>

#include <functional>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Function>
class replaceable_function;

/// A function that may set another one in its place while it runs, and may destroy or move this
/// object. The outermost call takes the function out, and puts it back at its end unless there is
/// another one by then. So a call copies nothing and allocates nothing. The calls are on one
/// thread at a time.
template <class Result, class... Args>
class replaceable_function<std::function<Result(Args...)>> {
public:
  using function_type = std::function<Result(Args...)>;

  /// Keeps the function where it is until the end of the scope, so that what it returns may refer
  /// to its captures.
  class scope {
  public:
    explicit scope(replaceable_function& of) noexcept
    {
      if (of.running_ != nullptr) {
        callee_ = of.running_->callee_;
        return;
      }
      taken_.swap(of.function_);
      owner_ = &of;
      of.running_ = this;
    }
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;
    ~scope()
    {
      if (owner_ == nullptr) return;
      owner_->running_ = nullptr;
      taken_.swap(owner_->function_);
    }

    Result operator()(Args... args) { return (*callee_)(std::forward<Args>(args)...); }

  private:
    friend replaceable_function;

    function_type taken_;
    function_type* callee_ = &taken_;
    replaceable_function* owner_ = nullptr;  // null if there is nothing to put back
  };

  replaceable_function() noexcept = default;
  replaceable_function(replaceable_function&& other) noexcept { take(other); }
  replaceable_function& operator=(replaceable_function&& other) noexcept
  {
    if (this == &other) return *this;
    const function_type before = leave();
    take(other);
    return *this;
  }
  ~replaceable_function() { leave(); }

  replaceable_function& operator=(function_type function) noexcept
  {
    // The destructor of the function before may set another one, so it comes last.
    const function_type before = leave();
    function_.swap(function);
    return *this;
  }

  explicit operator bool() const noexcept { return running_ != nullptr || function_; }

  Result operator()(Args... args) { return scope(*this)(std::forward<Args>(args)...); }

private:
  /// The call that runs keeps its function.
  function_type leave() noexcept
  {
    if (running_ != nullptr) std::exchange(running_, nullptr)->owner_ = nullptr;
    function_type before;
    before.swap(function_);
    return before;
  }

  void take(replaceable_function& other) noexcept
  {
    function_.swap(other.function_);
    running_ = std::exchange(other.running_, nullptr);
    if (running_ != nullptr) running_->owner_ = this;
  }

  function_type function_;
  scope* running_ = nullptr;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
