// SPDX-License-Identifier: BSL-1.0
// The numbers that the caller gave to the datagrams of a batch.
#ifndef DGRAM_DETAIL_SOCKET_PUSHED_NUMBERS_HPP
#define DGRAM_DETAIL_SOCKET_PUSHED_NUMBERS_HPP

#include <dgram/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Remembers `send_options::number` of each datagram that has one. Neighbours with one number, such
/// as the packets of a connection, share an entry.
class pushed_numbers {
public:
  /// `before` is how many datagrams were pushed before these.
  void push(std::size_t before, std::size_t datagrams, std::uint64_t number)
  {
    if (!entries_.empty() && entries_.back().continues(before, number))
      entries_.back().datagrams += datagrams;
    else
      entries_.push_back({before, datagrams, number});
  }

  /// Returns the number of the datagram before which so many were pushed; 0 if it has none.
  std::uint64_t at(std::size_t index) const noexcept
  {
    const auto behind =
        std::upper_bound(entries_.begin(), entries_.end(), index,
                         [](std::size_t wanted, const entry& each) { return wanted < each.first; });
    if (behind == entries_.begin()) return 0;
    const entry& found = *(behind - 1);
    return index - found.first < found.datagrams ? found.number : 0;
  }

  void clear() noexcept { entries_.clear(); }

private:
  struct entry {
    std::size_t first;
    std::size_t datagrams;
    std::uint64_t number;

    bool continues(std::size_t before, std::uint64_t wanted) const noexcept
    {
      return before == first + datagrams && wanted == number;
    }
  };

  std::vector<entry> entries_;  // in order
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
