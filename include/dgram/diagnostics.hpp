// SPDX-License-Identifier: BSL-1.0
// Reports to a hook what all emitter sockets of the program do.
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

/// What an emitter socket did.
enum class diagnostic_channel { create, bind, connect, send, message, close };

struct diagnostic {
  diagnostic_channel channel;
  const void* socket = nullptr;  ///< `basic_emitter_socket::id`
  std::size_t size = 0;          ///< in bytes, for `send` and `message`
};

namespace detail {

using diagnostics_hook = std::function<void(const diagnostic&)>;
using diagnostics_hooks = std::vector<std::shared_ptr<const diagnostics_hook>>;

/// Without a hook, `diagnose` takes no lock: it reads one counter.
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

/// While this object exists, every emitter socket of the program calls the hook with what it does.
/// The call is on the socket's thread, before the socket's own listeners. Without a subscription,
/// each event costs one check of a counter.
///
/// Thread safety: may be created and destroyed on any thread. Several threads may call the hook at
/// the same time, and once more while the subscription ends.
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
