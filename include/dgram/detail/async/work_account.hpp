// SPDX-License-Identifier: BSL-1.0
// Decides whether an object's waits keep its context running (ref and unref).
#ifndef DGRAM_DETAIL_ASYNC_WORK_ACCOUNT_HPP
#define DGRAM_DETAIL_ASYNC_WORK_ACCOUNT_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/turns.hpp>

#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A pending wait is a unit of the context's work. While the socket must not keep the context
/// running, that unit is taken back. This happens inside a handler: if the last unit goes outside
/// of one, the context stops for good.
template <class Owner>
class work_account {
public:
  explicit work_account(turns<Owner>& later) noexcept : turns_(later) {}
  work_account(const work_account&) = delete;
  work_account& operator=(const work_account&) = delete;

  bool can_unref() const noexcept { return DGRAM_HAS_UNREF && turns_.io() != nullptr; }
  bool has_ref() const noexcept { return !unref_; }

  void unref()
  {
    if (!std::exchange(unref_, true)) take();
  }

  void ref()
  {
    unref_ = false;
    restore();
  }

  /// Call this for each wait that keeps the context running only with `ref`.
  void begin_wait()
  {
    ++pending_;
    take();
  }

  void end_wait()
  {
    --pending_;
    restore();
  }

private:
  int to_take() const noexcept { return unref_ ? pending_ : 0; }

  void take()
  {
    if (taken_ >= to_take()) return;
#if DGRAM_HAS_UNREF
    turns_.post([this] {
      for (; taken_ < to_take(); ++taken_)
        turns_.io()->get_executor().on_work_finished();
    });
#endif
  }

  void restore()
  {
#if DGRAM_HAS_UNREF
    for (; taken_ > to_take(); --taken_)
      turns_.io()->get_executor().on_work_started();
#endif
  }

  turns<Owner>& turns_;
  int pending_ = 0;
  int taken_ = 0;
  bool unref_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
