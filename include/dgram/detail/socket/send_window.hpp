// SPDX-License-Identifier: BSL-1.0
// Chooses how many messages of a batch are described for the kernel at once.
#ifndef DGRAM_DETAIL_SOCKET_SEND_WINDOW_HPP
#define DGRAM_DETAIL_SOCKET_SEND_WINDOW_HPP

#include <dgram/config.hpp>

#include <algorithm>
#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// After a refusal or a full queue, the rest of a batch is described anew. To describe all of the
/// rest each time would cost the square of the batch's size. So the window shrinks to twice what
/// the kernel took before it stopped. It doubles whenever the kernel takes all. A full queue has
/// room for many datagrams when it has room again.
class send_window {
public:
  std::size_t size() const noexcept { return size_; }

  /// Called when the kernel stopped after this many of the messages.
  void stop(std::size_t taken, bool is_full) noexcept
  {
    size_ = std::clamp(2 * taken, is_full ? least_when_full : least, most);
  }

  void grow() noexcept { size_ = std::min(2 * size_, most); }

private:
  static constexpr std::size_t least = 8;
  static constexpr std::size_t least_when_full = 64;
  static constexpr std::size_t most = 1024;  // one system call takes no more (UIO_MAXIOV)

  std::size_t size_ = most;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
