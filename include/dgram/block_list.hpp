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
#include <iterator>
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

/// Sorted ranges of numbers that do not overlap. Their ends lie apart from their beginnings, so
/// that a search reads half the memory.
template <class Number>
class range_set {
public:
  bool empty() const noexcept { return last_.empty(); }

  /// Only the first range that ends at or behind the number can contain it.
  bool contains(const Number& number) const noexcept
  {
    const std::size_t at = first_not_below(number);
    return at != last_.size() && !(number < first_[at]);
  }

  /// Adds the numbers from `first` to `last`, and joins the ranges that they meet. Throws
  /// `std::bad_alloc`, and changes nothing then.
  void insert(Number first, Number last)
  {
    first_.reserve(first_.size() + 1);
    last_.reserve(last_.size() + 1);
    const auto begin = static_cast<std::ptrdiff_t>(first_not_below(first));
    auto end = begin;
    for (; end != std::ssize(last_) && !(last < first_[static_cast<std::size_t>(end)]); ++end) {
      first = std::min(first, first_[static_cast<std::size_t>(end)]);
      last = std::max(last, last_[static_cast<std::size_t>(end)]);
    }
    first_.insert(first_.erase(first_.begin() + begin, first_.begin() + end), first);
    last_.insert(last_.erase(last_.begin() + begin, last_.begin() + end), last);
  }

private:
  /// A binary search whose steps need no branch that depends on the number.
  std::size_t first_not_below(const Number& number) const noexcept
  {
    const Number* at = last_.data();
    std::size_t left = last_.size();
    if (left == 0) return 0;
    while (left > 1) {
      const std::size_t half = left / 2;
      at += static_cast<std::size_t>(at[half - 1] < number) * half;
      left -= half;
    }
    at += static_cast<std::size_t>(*at < number);
    return static_cast<std::size_t>(at - last_.data());
  }

  std::vector<Number> first_;
  std::vector<Number> last_;
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
