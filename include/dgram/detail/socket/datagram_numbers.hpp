// SPDX-License-Identifier: BSL-1.0
// The numbers that a program gives to the datagrams of a send batch.
#ifndef DGRAM_DETAIL_SOCKET_DATAGRAM_NUMBERS_HPP
#define DGRAM_DETAIL_SOCKET_DATAGRAM_NUMBERS_HPP

#include <dgram/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The `send_options::number` of each push that has one.
class datagram_numbers {
public:
  /// `first`: how many datagrams were pushed before.
  void add(std::size_t first, std::size_t datagrams, std::uint64_t number)
  {
    all_.push_back({first, datagrams, number});
  }

  /// The number of the datagram before which so many were pushed; 0 if it has none.
  std::uint64_t at(std::size_t index) const noexcept
  {
    const auto behind =
        std::upper_bound(all_.begin(), all_.end(), index,
                         [](std::size_t wanted, const push& each) { return wanted < each.first; });
    if (behind == all_.begin()) return 0;
    const push& found = *(behind - 1);
    return index - found.first < found.datagrams ? found.number : 0;
  }

  void clear() noexcept { all_.clear(); }

private:
  struct push {
    std::size_t first;
    std::size_t datagrams;
    std::uint64_t number;
  };

  std::vector<push> all_;  // in order
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
