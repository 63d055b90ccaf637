// SPDX-License-Identifier: BSL-1.0
// A set of peers of any size, which keeps its memory when it is cleared.
#ifndef DGRAM_DETAIL_SOCKET_PEER_SET_HPP
#define DGRAM_DETAIL_SOCKET_PEER_SET_HPP

#include <dgram/config.hpp>
#include <dgram/detail/socket/message_runs.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Hashes an endpoint as the kernel sees it.
struct endpoint_hash {
  template <class Endpoint>
  std::size_t operator()(const Endpoint& endpoint) const noexcept
  {
    const std::string_view bytes(reinterpret_cast<const char*>(endpoint.data()), endpoint.size());
    return std::hash<std::string_view>()(bytes);
  }
};

/// Unlike `destination_table`, it forgets none of its peers. A search of the empty set costs one
/// comparison.
template <class Endpoint>
class peer_set {
public:
  bool empty() const noexcept { return peers_.empty(); }

  bool contains(const Endpoint& peer) const noexcept
  {
    return !empty() && slots_[slot_of(peer)] != 0;
  }

  void insert(const Endpoint& peer)
  {
    if (slots_.size() < 2 * (peers_.size() + 1)) grow();
    std::uint32_t& slot = slots_[slot_of(peer)];
    if (slot != 0) return;
    peers_.push_back(peer);
    slot = static_cast<std::uint32_t>(peers_.size());
  }

  void clear() noexcept
  {
    if (empty()) return;
    peers_.clear();
    std::fill(slots_.begin(), slots_.end(), 0U);
  }

private:
  /// The slot that has the peer, or the empty slot for it.
  std::size_t slot_of(const Endpoint& peer) const noexcept
  {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = endpoint_hash()(peer) & mask;
    while (slots_[at] != 0 && !same_bytes(peers_[slots_[at] - 1], peer))
      at = (at + 1) & mask;
    return at;
  }

  void grow()
  {
    const std::size_t size = std::max<std::size_t>(16, 2 * slots_.size());
    peers_.reserve(size / 2);
    std::vector<std::uint32_t>(size).swap(slots_);
    for (std::size_t i = 0; i < peers_.size(); ++i)
      slots_[slot_of(peers_[i])] = static_cast<std::uint32_t>(i + 1);
  }

  std::vector<Endpoint> peers_;
  std::vector<std::uint32_t> slots_;  // index of the peer, counted from 1; 0: empty
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
