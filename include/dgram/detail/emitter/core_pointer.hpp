// SPDX-License-Identifier: BSL-1.0
// How an emitter socket holds its emitter.
#ifndef DGRAM_DETAIL_EMITTER_CORE_POINTER_HPP
#define DGRAM_DETAIL_EMITTER_CORE_POINTER_HPP

#include <dgram/config.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A shared pointer that is null once it was moved from; to use it then throws `error::not_running`.
template <class Core>
class core_pointer {
public:
  explicit core_pointer(std::shared_ptr<Core> core) noexcept : core_(std::move(core)) {}

  explicit operator bool() const noexcept { return core_ != nullptr; }

  Core* operator->() const { return shared().get(); }
  Core& operator*() const { return *shared(); }

  const std::shared_ptr<Core>& shared() const
  {
    if (!core_) [[unlikely]]
      fail();
    return core_;
  }

  /// Null where it was moved from.
  Core* get() const noexcept { return core_.get(); }

private:
  [[noreturn]] DGRAM_COLD static void fail()
  {
    refuse("emitter_socket", error::not_running, "it was moved from");
  }

  std::shared_ptr<Core> core_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
