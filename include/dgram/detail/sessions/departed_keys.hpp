// SPDX-License-Identifier: BSL-1.0
// The keys of sessions that a program has ended, each for a while.
#ifndef DGRAM_DETAIL_SESSIONS_DEPARTED_KEYS_HPP
#define DGRAM_DETAIL_SESSIONS_DEPARTED_KEYS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sessions/session_store.hpp>
#include <dgram/detail/sessions/session_ticks.hpp>
#include <dgram/session_map_config.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <variant>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Keys that are known for a time, at most so many. If there are more, the oldest are forgotten.
template <class Key, class Clock>
class departed_keys {
  using store_type = session_store<std::monostate, Key>;

public:
  departed_keys(std::chrono::nanoseconds time, std::size_t most)
      : timing_(time),
        store_({.max_sessions = most, .when_full = sessions_full::evict_idlest}, timing_.idle_ticks)
  {
  }

  /// It is this late now. Forgets keys that are due, of at most so many.
  void advance(typename Clock::time_point now, std::size_t most)
  {
    store_.expire(timing_.advance(now), most);
    store_.grow_on();
  }

  /// Without memory the key is not kept.
  void add(const Key& key) noexcept
  {
    const std::uint32_t hash = store_.hash(key);
    try {
      if (auto* const known = store_.find(key, hash))
        store_.hear(*known, timing_.at);
      else
        store_.make(key, hash, timing_.at,
                    [](void* memory) { std::construct_at(static_cast<std::monostate*>(memory)); });
    } catch (const std::bad_alloc&) {
      return;
    }
  }

  bool has(const Key& key) const noexcept
  {
    const auto* const known = store_.find(key);
    return known != nullptr && timing_.at < store_.due(known->number);
  }

private:
  session_ticks<Clock> timing_;
  store_type store_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
