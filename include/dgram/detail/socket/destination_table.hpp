// SPDX-License-Identifier: BSL-1.0
// A small bounded set of destinations; if the set is full, a new one replaces the oldest.
#ifndef DGRAM_DETAIL_SOCKET_DESTINATION_TABLE_HPP
#define DGRAM_DETAIL_SOCKET_DESTINATION_TABLE_HPP

#include <dgram/config.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The table is searched for every run of datagrams. It is usually empty, and that case costs one
/// comparison.
template <class Endpoint>
class destination_table {
public:
  bool empty() const noexcept { return size_ == 0; }

  bool contains(const Endpoint& destination) const noexcept
  {
    const auto last = entries_.begin() + static_cast<std::ptrdiff_t>(size_);
    return !empty() && std::find(entries_.begin(), last, destination) != last;
  }

  void insert(const Endpoint& destination)
  {
    if (contains(destination)) return;
    entries_[next_] = destination;
    next_ = (next_ + 1) % entries_.size();
    size_ = std::min(size_ + 1, entries_.size());
  }

  /// Writes nothing if it is empty: synchronous calls of one socket may run at the same time.
  void clear() noexcept
  {
    if (!empty()) size_ = next_ = 0;
  }

private:
  std::array<Endpoint, 16> entries_;
  std::size_t size_ = 0;
  std::size_t next_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
