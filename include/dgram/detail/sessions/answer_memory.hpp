// SPDX-License-Identifier: BSL-1.0
// The memory of answers, which any thread may give back.
#ifndef DGRAM_DETAIL_SESSIONS_ANSWER_MEMORY_HPP
#define DGRAM_DETAIL_SESSIONS_ANSWER_MEMORY_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/sessions/inbox.hpp>

#include <cstddef>
#include <mutex>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A program may destroy an answer on another thread than the exchanger's, so the pool is locked.
class answer_memory {
public:
  explicit answer_memory(std::size_t most) noexcept : pool_(most) {}

  /// Returns a copy, or null if the limit or the system refuses the memory.
  template <class Protocol>
  inbox_datagram<Protocol>* copy(const basic_datagram<Protocol>& received)
  {
    const std::lock_guard lock(mutex_);
    return inbox_datagram<Protocol>::make(pool_, received);
  }

  template <class Protocol>
  void give_back(inbox_datagram<Protocol>& copy) noexcept
  {
    const std::lock_guard lock(mutex_);
    copy.release(pool_);
  }

private:
  std::mutex mutex_;
  piece_pool pool_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
