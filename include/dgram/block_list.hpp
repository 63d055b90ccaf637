// SPDX-License-Identifier: BSL-1.0
// A list of addresses, ranges and subnets.
#ifndef DGRAM_BLOCK_LIST_HPP
#define DGRAM_BLOCK_LIST_HPP

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// Addresses to ignore, or not to send to. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) counts
/// as the IPv4 address that it stands for, both in the list and in `check`.
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
  void add_address(const net::ip::address& address) { add(address, bounds_of(address), 128); }

  /// Adds the addresses from `first` to `last`, both included. Throws `system_error`:
  /// `error::bad_address`; `error::out_of_range` if `first` is behind `last`, or if their families
  /// differ.
  void add_range(std::string_view first, std::string_view last)
  {
    add_range(parse(first), parse(last));
  }
  void add_range(const net::ip::address& first, const net::ip::address& last)
  {
    const auto from = plain(first);
    const auto to = plain(last);
    const bounds added{bounds_of(from).first, bounds_of(to).last};
    if (from.is_v4() != to.is_v4()) refuse_range(first, last, "they are of two families");
    if (added.last < added.first) refuse_range(first, last, "the first is behind the last");
    insert(from.is_v4(), added);
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
    add(network, bounds_of(network), 128 - bits + prefix);
  }

  /// Whether the list contains the address. Throws `system_error` for text that is no address:
  /// `error::bad_address`.
  bool check(std::string_view text) const { return check(parse(text)); }
  bool check(const net::ip::address& address) const
  {
    const auto asked = plain(address);
    const auto& ranges = asked.is_v4() ? v4_ : v6_;
    const auto bytes = bounds_of(asked).first;
    // The ranges are sorted and do not overlap. Only the first range that ends at or behind the
    // address can contain it.
    const auto at = std::lower_bound(
        ranges.begin(), ranges.end(), bytes,
        [](const bounds& range, const address_bytes& value) { return range.last < value; });
    return at != ranges.end() && at->first <= bytes;
  }

  bool empty() const noexcept { return v4_.empty() && v6_.empty(); }

private:
  using address_bytes = std::array<unsigned char, 16>;

  struct bounds {
    address_bytes first;
    address_bytes last;
  };

  [[noreturn]] static void refuse_range(const net::ip::address& first, const net::ip::address& last,
                                        const char* why)
  {
    detail::refuse("add_range", error::out_of_range,
                   to_string(first) + " to " + to_string(last) + "; " + why);
  }

  static net::ip::address parse(std::string_view text) { return parse_address(text); }

  static net::ip::address plain(const net::ip::address& address)
  {
    if (address.is_v6() && address.to_v6().is_v4_mapped())
      return net::ip::make_address_v4(net::ip::v4_mapped, address.to_v6());
    return address;
  }

  static bounds bounds_of(const net::ip::address& address)
  {
    const auto v6 = address.is_v4() ? net::ip::make_address_v6(net::ip::v4_mapped, address.to_v4())
                                    : address.to_v6();
    return {v6.to_bytes(), v6.to_bytes()};
  }

  /// Adds the addresses that share the first `prefix` of 128 bits.
  void add(const net::ip::address& address, bounds range, int prefix)
  {
    for (int bit = prefix; bit < 128; ++bit) {
      const auto byte = static_cast<std::size_t>(bit / 8);
      const auto mask = static_cast<unsigned char>(0x80 >> (bit % 8));
      range.first[byte] = static_cast<unsigned char>(range.first[byte] & ~mask);
      range.last[byte] = static_cast<unsigned char>(range.last[byte] | mask);
    }
    // A mapped subnet counts as IPv4, unless it is larger than the whole mapped range.
    insert(plain(address).is_v4() && prefix >= 96, range);
  }

  void insert(bool is_v4, bounds added)
  {
    auto& ranges = is_v4 ? v4_ : v6_;
    const auto first = std::lower_bound(
        ranges.begin(), ranges.end(), added.first,
        [](const bounds& range, const address_bytes& value) { return range.last < value; });
    auto last = first;
    for (; last != ranges.end() && last->first <= added.last; ++last) {
      added.first = std::min(added.first, last->first);
      added.last = std::max(added.last, last->last);
    }
    ranges.insert(ranges.erase(first, last), added);
  }

  std::vector<bounds> v4_;
  std::vector<bounds> v6_;
};

DGRAM_NAMESPACE_END

#endif
