// SPDX-License-Identifier: BSL-1.0
// A shared pointer without atomic counts, for objects of one strand.
#ifndef DGRAM_DETAIL_ASYNC_LOCAL_PTR_HPP
#define DGRAM_DETAIL_ASYNC_LOCAL_PTR_HPP

#include <dgram/config.hpp>

#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A shared pointer without atomic counts. `T` counts its own `holders`.
template <class T>
class local_ptr {
public:
  local_ptr() noexcept = default;
  explicit local_ptr(T* first) noexcept : target_(first) { hold(); }
  local_ptr(const local_ptr& other) noexcept : target_(other.target_) { hold(); }
  local_ptr(local_ptr&& other) noexcept : target_(std::exchange(other.target_, nullptr)) {}
  local_ptr& operator=(local_ptr other) noexcept
  {
    std::swap(target_, other.target_);
    return *this;
  }
  ~local_ptr()
  {
    if (target_ != nullptr && --target_->holders == 0) delete target_;
  }

  T* operator->() const noexcept { return target_; }
  T& operator*() const noexcept { return *target_; }
  explicit operator bool() const noexcept { return target_ != nullptr; }
  bool operator==(const local_ptr& other) const noexcept { return target_ == other.target_; }
  bool is_shared() const noexcept { return target_->holders > 1; }

private:
  void hold() noexcept
  {
    if (target_ != nullptr) ++target_->holders;
  }

  T* target_ = nullptr;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
