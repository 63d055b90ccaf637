// SPDX-License-Identifier: BSL-1.0
// Fuzzes block lists: whatever is added in whatever order, a list blocks what a plain search of all ranges blocks.

#include "fuzz/input.hpp"

#include <dgram/block_list.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using address = asio::ip::address;
using number = std::array<std::uint8_t, 16>;

constexpr number mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0};

number number_of(const address& of)
{
  number result = mapped;
  if (of.is_v6()) return of.to_v6().to_bytes();
  const auto bytes = of.to_v4().to_bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i)
    result[12 + i] = bytes[i];
  return result;
}

/// Few different addresses, so that ranges meet.
address take_address(fuzz::input& from)
{
  const std::uint8_t form = from.byte();
  const std::uint8_t near = from.byte();
  if (form % 3 == 0) return asio::ip::address_v4({10, form, near, from.byte()});
  auto bytes = form % 3 == 1 ? mapped : number{0x20, 0x01, 0x0d, 0xb8};
  bytes[13] = form;
  bytes[14] = near;
  bytes[15] = from.byte();
  return asio::ip::address_v6(bytes);
}

struct range {
  number first;
  number last;
};

range subnet(const address& network, int prefix)
{
  number first = number_of(network);
  number last = first;
  for (int bit = prefix + (network.is_v4() ? 96 : 0); bit < 128; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> static_cast<unsigned>(bit % 8));
    auto& low = first[static_cast<std::size_t>(bit / 8)];
    auto& high = last[static_cast<std::size_t>(bit / 8)];
    low = static_cast<std::uint8_t>(low & ~mask);
    high = static_cast<std::uint8_t>(high | mask);
  }
  return {first, last};
}

bool is_v4(const number& of)
{
  return std::equal(mapped.begin(), mapped.begin() + 12, of.begin());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  fuzz::input from(data, size);
  dgram::block_list list;
  std::vector<range> all;
  while (!from.empty() && all.size() < 64) {
    const std::uint8_t what = from.byte();
    const address one = take_address(from);
    try {
      if (what % 3 == 0) {
        list.add_address(one);
        all.push_back({number_of(one), number_of(one)});
      } else if (what % 3 == 1) {
        const address other = take_address(from);
        list.add_range(one, other);
        const range added{number_of(one), number_of(other)};
        fuzz::require(added.first <= added.last && is_v4(added.first) == is_v4(added.last),
                      "a range that is none is refused");
        all.push_back(added);
      } else {
        const int prefix = static_cast<int>(from.byte()) - 8;
        list.add_subnet(one, prefix);
        fuzz::require(prefix >= 0 && prefix <= (one.is_v4() ? 32 : 128),
                      "a prefix that is none is refused");
        all.push_back(subnet(one, prefix));
      }
    } catch (const dgram::system_error& e) {
      fuzz::require(e.code() == dgram::error::out_of_range, "what is refused is out of range");
    }
  }
  fuzz::require(list.empty() == all.empty(), "a list without ranges is empty");
  for (fuzz::input asked(data, size); !asked.empty();) {
    const address one = take_address(asked);
    const number of = number_of(one);
    bool is_blocked = false;
    for (const range& each : all)
      // A wide IPv6 range says nothing of IPv4 addresses.
      is_blocked =
          is_blocked || (each.first <= of && of <= each.last && is_v4(each.first) == is_v4(of));
    fuzz::require(list.check(one) == is_blocked, "a list blocks what one of its ranges contains");
  }
  return 0;
}
