// SPDX-License-Identifier: BSL-1.0
// Tells who wants to know what all emitter sockets of the program do.
#ifndef DGRAM_DIAGNOSTICS_HPP
#define DGRAM_DIAGNOSTICS_HPP

#include <dgram/config.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// What an emitter socket has done.
enum class diagnostic_channel { create, bind, connect, send, message, close };

struct diagnostic {
  diagnostic_channel channel;
  const void* socket = nullptr;  ///< `basic_emitter_socket::id`
  std::size_t size = 0;          ///< bytes, of a send and a message
};

namespace detail {

using diagnostics_hook = std::function<void(const diagnostic&)>;
using diagnostics_hooks = std::vector<std::shared_ptr<const diagnostics_hook>>;

/// Read without a lock where nobody listens, which is one look at a pointer.
class diagnostics_hub {
public:
  static diagnostics_hub& instance()
  {
    static diagnostics_hub hub;
    return hub;
  }

  void add(std::shared_ptr<const diagnostics_hook> hook)
  {
    const std::lock_guard lock(mutex_);
    hooks_.push_back(std::move(hook));
    count.store(hooks_.size(), std::memory_order_relaxed);
  }

  void remove(const std::shared_ptr<const diagnostics_hook>& hook)
  {
    const std::lock_guard lock(mutex_);
    std::erase(hooks_, hook);
    count.store(hooks_.size(), std::memory_order_relaxed);
  }

  diagnostics_hooks all()
  {
    const std::lock_guard lock(mutex_);
    return hooks_;
  }

  inline static std::atomic<std::size_t> count{0};

private:
  std::mutex mutex_;
  diagnostics_hooks hooks_;
};

DGRAM_COLD inline void tell_diagnostics(const diagnostic& what)
{
  for (const auto& hook : diagnostics_hub::instance().all())
    (*hook)(what);
}

inline void diagnose(diagnostic_channel channel, const void* socket, std::size_t size = 0)
{
  if (diagnostics_hub::count.load(std::memory_order_relaxed) > 0) [[unlikely]]
    tell_diagnostics({channel, socket, size});
}

}  // namespace detail

/// As long as it lives, the hook is called with what every emitter socket of the program does, when
/// it does it: on the socket's thread, before the socket's own listeners. Where there is no
/// subscription that costs nothing.
///
/// Thread safety: may be made and destroyed on any thread; a hook that several threads may call has
/// to be prepared for that, also for a last call while the subscription ends.
///
/// \code
/// dgram::diagnostics_subscription watch{[](const dgram::diagnostic& what) {
///   if (what.channel == dgram::diagnostic_channel::send) fmt::print("{} bytes sent\n", what.size);
/// }};
/// \endcode
class diagnostics_subscription {
public:
  explicit diagnostics_subscription(std::function<void(const diagnostic&)> hook)
      : hook_(std::make_shared<const detail::diagnostics_hook>(std::move(hook)))
  {
    detail::diagnostics_hub::instance().add(hook_);
  }

  diagnostics_subscription(const diagnostics_subscription&) = delete;
  diagnostics_subscription& operator=(const diagnostics_subscription&) = delete;
  ~diagnostics_subscription() { detail::diagnostics_hub::instance().remove(hook_); }

private:
  std::shared_ptr<const detail::diagnostics_hook> hook_;
};

DGRAM_NAMESPACE_END

#endif
