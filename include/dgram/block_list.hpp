// SPDX-License-Identifier: BSL-1.0
// A list of addresses, ranges and subnets.
#ifndef DGRAM_BLOCK_LIST_HPP
#define DGRAM_BLOCK_LIST_HPP

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// 128 bits that compare as a number.
struct wide_number {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend constexpr bool operator==(const wide_number&, const wide_number&) noexcept = default;

  /// Without a branch, which the processor could not predict.
  friend constexpr bool operator<(const wide_number& a, const wide_number& b) noexcept
  {
    const bool by_low = (a.high == b.high) & (a.low < b.low);
    return (a.high < b.high) | by_low;
  }
};

/// The largest number of a type.
template <class Number>
inline constexpr Number largest = static_cast<Number>(~Number{});
template <>
inline constexpr wide_number largest<wide_number>{~std::uint64_t{0}, ~std::uint64_t{0}};

/// Sorted ranges of numbers that do not overlap. Their ends lie apart from their beginnings, and
/// are in blocks of a cache line. Above them are levels: each number is the last one of a block of
/// the level below. So a search looks at one block in each level. It counts what is below the
/// number there, which needs no branch, and several numbers fit into one instruction.
template <class Number>
class range_set {
public:
  bool empty() const noexcept { return first_.empty(); }

  /// Only the first range that ends at or behind the number can contain it.
  bool contains(const Number& number) const noexcept
  {
    const std::size_t at = first_not_below(number);
    return at != first_.size() && !(number < first_[at]);
  }

  /// Adds the numbers from `first` to `last`, and joins the ranges that they meet. Throws
  /// `std::bad_alloc`, and changes nothing then.
  void insert(Number first, Number last)
  {
    reserve(first_.size() + 1);
    const std::size_t begin = first_not_below(first);
    std::size_t end = begin;
    for (; end != first_.size() && !(last < first_[end]); ++end) {
      first = std::min(first, first_[end]);
      last = std::max(last, last_[end]);
    }
    last_.resize(first_.size());
    replace(first_, begin, end, first);
    replace(last_, begin, end, last);
    fill_up(last_, 1);
    build_levels(begin);
  }

private:
  static constexpr std::size_t width = 64 / sizeof(Number);

  static std::size_t count_below(const Number* block, Number number) noexcept
  {
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < width; ++i)
      count += block[i] < number ? 1U : 0U;
    return count;
  }

  std::size_t first_not_below(const Number& number) const noexcept
  {
    if (first_.empty()) return 0;
    std::size_t block = 0;
    for (std::size_t level = depth_; level > 0; --level)
      block = block * width + count_below(levels_[level - 1].data() + block * width, number);
    return block * width + count_below(last_.data() + block * width, number);
  }

  static void replace(std::vector<Number>& in, std::size_t begin, std::size_t end, Number by)
  {
    const auto at = in.begin() + static_cast<std::ptrdiff_t>(begin);
    if (begin == end) {
      in.insert(at, by);
    } else {
      *at = by;
      in.erase(at + 1, in.begin() + static_cast<std::ptrdiff_t>(end));
    }
  }

  /// How long so many numbers, and at least so many of the largest, are in whole blocks.
  static constexpr std::size_t filled_up(std::size_t size, std::size_t at_least) noexcept
  {
    return (size + at_least + width - 1) / width * width;
  }

  /// Behind the last range there is always the largest number, so that each search ends there.
  static void fill_up(std::vector<Number>& level, std::size_t at_least)
  {
    level.resize(filled_up(level.size(), at_least), largest<Number>);
  }

  static void reserve(std::vector<Number>& level, std::size_t size)
  {
    if (size > level.capacity()) level.reserve(std::max(size, 2 * level.capacity()));
  }

  /// Makes room for so many ranges everywhere.
  void reserve(std::size_t ranges)
  {
    reserve(first_, ranges);
    std::size_t size = filled_up(ranges, 1);
    reserve(last_, size);
    for (std::size_t level = 0; size > width; ++level) {
      if (level == levels_.size()) levels_.emplace_back();
      size = filled_up(size / width, 0);
      reserve(levels_[level], size);
    }
  }

  /// Ranges before the changed one are as they were.
  void build_levels(std::size_t changed)
  {
    const std::vector<Number>* below = &last_;
    for (depth_ = 0; below->size() > width; ++depth_) {
      std::vector<Number>& level = levels_[depth_];
      changed /= width;
      level.resize(std::min(changed, level.size()));
      for (std::size_t at = level.size(); at < below->size() / width; ++at)
        level.push_back((*below)[at * width + width - 1]);
      fill_up(level, 0);
      below = &level;
    }
    for (std::size_t unused = depth_; unused < levels_.size(); ++unused)
      levels_[unused].clear();
  }

  std::vector<Number> first_;
  std::vector<Number> last_;
  std::vector<std::vector<Number>> levels_;  // from the lowest; those in use come first
  std::size_t depth_ = 0;                    // how many are in use
};

}  // namespace detail

/// Addresses to ignore, or not to send to. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) counts
/// as the IPv4 address that it stands for, both in the list and in `check`.
///
/// `check` allocates nothing, and its time grows with the logarithm of the number of ranges. So a
/// program can ask about each datagram.
///
/// Thread safety: distinct objects are safe. Several threads may read one object while no thread
/// changes it.
///
/// \code
/// dgram::block_list list;
/// list.add_address("192.0.2.1");
/// list.add_range("10.0.0.1", "10.0.0.9");
/// list.add_subnet("2001:db8::", 32);
/// bool blocked = list.check("10.0.0.5");
/// \endcode
class block_list {
public:
  /// Adds one address. Throws `system_error`: `error::bad_address`.
  void add_address(std::string_view text) { add_address(parse(text)); }
  void add_address(const net::ip::address& address) { add(address, 128); }

  /// Adds the addresses from `first` to `last`, both included. Throws `system_error`:
  /// `error::bad_address`; `error::out_of_range` if `first` is behind `last`, or if their families
  /// differ.
  void add_range(std::string_view first, std::string_view last)
  {
    add_range(parse(first), parse(last));
  }
  void add_range(const net::ip::address& first, const net::ip::address& last)
  {
    const number from = number_of(first);
    const number to = number_of(last);
    if (is_v4(from) != is_v4(to)) refuse_range(first, last, "they are of two families");
    if (to < from) refuse_range(first, last, "the first is behind the last");
    insert(is_v4(from), from, to);
  }

  /// Adds all addresses whose first `prefix` bits are those of `network`. The other bits of
  /// `network` are ignored. Throws `system_error`: `error::bad_address`; `error::out_of_range` if
  /// `prefix` is not 0 to 32 for IPv4, or 0 to 128 for IPv6.
  void add_subnet(std::string_view network, int prefix) { add_subnet(parse(network), prefix); }
  void add_subnet(const net::ip::address& network, int prefix)
  {
    const int bits = network.is_v4() ? 32 : 128;
    if (prefix < 0 || prefix > bits)
      detail::refuse("add_subnet", error::out_of_range,
                     "prefix " + detail::beyond(prefix, 0, bits));
    add(network, 128 - bits + prefix);
  }

  /// Whether the list contains the address. Throws `system_error` for text that is no address:
  /// `error::bad_address`.
  bool check(std::string_view text) const { return check(parse(text)); }
  bool check(const net::ip::address& address) const noexcept
  {
    if (address.is_v4()) return v4_.contains(address.to_v4().to_uint());
    const number asked = number_of(address);
    return is_v4(asked) ? v4_.contains(static_cast<std::uint32_t>(asked.low)) : v6_.contains(asked);
  }

  /// Whether the list contains the address of a peer.
  bool check(const net::ip::udp::endpoint& peer) const noexcept { return check(peer.address()); }

  bool empty() const noexcept { return v4_.empty() && v6_.empty(); }

private:
  using number = detail::wide_number;

  [[noreturn]] static void refuse_range(const net::ip::address& first, const net::ip::address& last,
                                        const char* why)
  {
    detail::refuse("add_range", error::out_of_range,
                   to_string(first) + " to " + to_string(last) + "; " + why);
  }

  static net::ip::address parse(std::string_view text) { return parse_address(text); }

  /// An IPv4 address in its mapped form.
  static number number_of(const net::ip::address& address) noexcept
  {
    if (address.is_v4()) return {0, mapped_prefix | address.to_v4().to_uint()};
    const auto bytes = address.to_v6().to_bytes();
    number result;
    for (std::size_t i = 0; i < 8; ++i) {
      result.high = result.high << 8U | bytes[i];
      result.low = result.low << 8U | bytes[i + 8];
    }
    return result;
  }

  static bool is_v4(const number& address) noexcept
  {
    return address.high == 0 && address.low >> 32U == mapped_prefix >> 32U;
  }

  /// Adds the addresses that share the first `prefix` of 128 bits.
  void add(const net::ip::address& address, int prefix)
  {
    constexpr std::uint64_t all = ~std::uint64_t{0};
    const auto ones_behind = [](int bits) { return bits >= 64 ? std::uint64_t{0} : all >> bits; };
    const number rest{ones_behind(std::min(prefix, 64)), ones_behind(std::max(prefix - 64, 0))};
    const number within = number_of(address);
    // A mapped subnet counts as IPv4, unless it is larger than the whole mapped range.
    insert(is_v4(within) && prefix >= 96, {within.high & ~rest.high, within.low & ~rest.low},
           {within.high | rest.high, within.low | rest.low});
  }

  void insert(bool as_v4, const number& first, const number& last)
  {
    if (as_v4)
      v4_.insert(static_cast<std::uint32_t>(first.low), static_cast<std::uint32_t>(last.low));
    else
      v6_.insert(first, last);
  }

  static constexpr std::uint64_t mapped_prefix = 0xFFFF'0000'0000U;

  detail::range_set<std::uint32_t> v4_;
  detail::range_set<number> v6_;
};

DGRAM_NAMESPACE_END

#endif
