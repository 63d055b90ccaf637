// SPDX-License-Identifier: BSL-1.0
// The datagrams of a simulated socket that wait for the rates of their links.
#ifndef DGRAM_DETAIL_SIM_SEND_BUFFER_HPP
#define DGRAM_DETAIL_SIM_SEND_BUFFER_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sim/agenda.hpp>

#include <cstddef>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Counts as a kernel does: a datagram belongs to its socket until the link has sent it. Sends fail
/// while the buffer is full, and the socket is writable while less than half is in use
/// (net/core/sock.c, sock_alloc_send_pskb; include/net/sock.h, sock_writeable).
class sim_send_buffer {
public:
  void add(sim_time leaves, std::size_t bytes)
  {
    waiting_.emplace(leaves, bytes);
    bytes_ += bytes;
  }

  bool is_full(sim_time now, std::size_t size) { return bytes_at(now) >= size; }
  bool is_writable(sim_time now, std::size_t size) { return bytes_at(now) < (size + 1) / 2; }

  /// When the next datagram leaves. There must be one.
  sim_time next() const { return waiting_.top().first; }

  void clear() noexcept
  {
    while (!waiting_.empty())
      waiting_.pop();
    bytes_ = 0;
  }

private:
  using entry = std::pair<sim_time, std::size_t>;

  std::size_t bytes_at(sim_time now)
  {
    while (!waiting_.empty() && waiting_.top().first <= now) {
      bytes_ -= waiting_.top().second;
      waiting_.pop();
    }
    return bytes_;
  }

  std::priority_queue<entry, std::vector<entry>, std::greater<>> waiting_;
  std::size_t bytes_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
