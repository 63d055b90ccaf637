// SPDX-License-Identifier: BSL-1.0
// A pool of objects that are costly to create and needed only for a short time.
#ifndef DGRAM_DETAIL_ASYNC_SPARES_HPP
#define DGRAM_DETAIL_ASYNC_SPARES_HPP

#include <dgram/config.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Objects that are costly to make. Several threads may run the context, so access is locked, once
/// for each batch.
template <class T>
class spares {
public:
  spares() : spares([] { return std::make_unique<T>(); }) {}

  /// `make` makes the objects.
  explicit spares(std::function<std::unique_ptr<T>()> make) : make_(std::move(make))
  {
    unused_.reserve(most_unused);
  }

  std::unique_ptr<T> take()
  {
    auto taken = take_unused();
    if (taken) return taken;
    taken = make_();
    const std::lock_guard lock(mutex_);
    ++out_;
    return taken;
  }

  /// Allocates nothing, since destructors call it.
  void give_back(std::unique_ptr<T> object) noexcept
  {
    const std::lock_guard lock(mutex_);
    --out_;
    if (unused_.size() < most_unused) unused_.push_back(std::move(object));
  }

  /// Whether so many objects are out that the borrowers should return them soon.
  bool are_scarce()
  {
    const std::lock_guard lock(mutex_);
    return out_ > most_unused;
  }

private:
  static constexpr std::size_t most_unused = 8;

  std::unique_ptr<T> take_unused()
  {
    const std::lock_guard lock(mutex_);
    if (unused_.empty()) return nullptr;
    auto taken = std::move(unused_.back());
    unused_.pop_back();
    ++out_;
    return taken;
  }

  const std::function<std::unique_ptr<T>()> make_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> unused_;
  std::size_t out_ = 0;
};

/// One such object, or none. The destructor gives it back.
template <class T>
class lease {
public:
  lease() noexcept = default;
  explicit lease(std::shared_ptr<spares<T>> source)
      : source_(std::move(source)), object_(source_->take())
  {
  }
  lease(lease&&) noexcept = default;
  lease& operator=(lease&& other) noexcept
  {
    lease before(std::move(*this));
    source_ = std::move(other.source_);
    object_ = std::move(other.object_);
    return *this;
  }
  ~lease()
  {
    if (object_) source_->give_back(std::move(object_));
  }

  T* operator->() const noexcept { return object_.get(); }
  T& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

private:
  std::shared_ptr<spares<T>> source_;
  std::unique_ptr<T> object_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
