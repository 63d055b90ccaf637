// SPDX-License-Identifier: BSL-1.0
// The rows of limits: what it costs to ask about the sender of each datagram.
#include "repetition.hpp"
#include "rows.hpp"

#include <dgram.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t ranges = 2026;
constexpr std::size_t look_ups = 16384;

/// Ranges that do not touch, of up to 256 addresses, all over the address space.
std::vector<std::pair<std::uint32_t, std::uint32_t>> make_ranges()
{
  std::mt19937 random(1);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> made;
  const std::uint32_t step = 0xFFFFFFFFU / ranges;
  for (std::uint32_t i = 0; i < ranges; ++i) {
    const std::uint32_t first = i * step + static_cast<std::uint32_t>(random() % (step / 2));
    made.emplace_back(first, first + static_cast<std::uint32_t>(random() % 256));
  }
  return made;
}

/// As a program without a list of ours would do it: bounds of 16 bytes in one vector.
class plain_list {
public:
  plain_list()
  {
    for (const auto& [first, last] : make_ranges())
      ranges_.push_back({bytes_of(first), bytes_of(last)});
  }

  bool check(const asio::ip::address& address) const
  {
    const auto asked = bytes_of(address.to_v4().to_uint());
    const auto at =
        std::lower_bound(ranges_.begin(), ranges_.end(), asked,
                         [](const range& each, const bytes& value) { return each.last < value; });
    return at != ranges_.end() && at->first <= asked;
  }

private:
  using bytes = std::array<unsigned char, 16>;
  struct range {
    bytes first, last;
  };

  static bytes bytes_of(std::uint32_t address)
  {
    return asio::ip::make_address_v6(asio::ip::v4_mapped, asio::ip::address_v4(address)).to_bytes();
  }

  std::vector<range> ranges_;
};

dgram::block_list our_list()
{
  dgram::block_list list;
  for (const auto& [first, last] : make_ranges())
    list.add_range(asio::ip::address_v4(first), asio::ip::address_v4(last));
  return list;
}

/// Half of the senders are in the list, so that no answer can be guessed.
template <class List>
sample time_checks(const List& list, int repetitions)
{
  std::mt19937 random(2);
  const auto known = make_ranges();
  std::vector<asio::ip::udp::endpoint> senders(look_ups);
  return repeat(look_ups, repetitions, [&](std::size_t count, repetition& now) {
    std::size_t expected = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto& [first, last] = known[random() % known.size()];
      const bool is_in = random() % 2 == 0;
      expected += is_in ? 1U : 0U;
      senders[i] = {asio::ip::address_v4(is_in ? last : first - 1), 4000};
    }
    std::size_t found = 0;
    now.time([&] {
      for (std::size_t i = 0; i < count; ++i)
        found += list.check(senders[i].address()) ? 1U : 0U;
    });
    if (found != expected) throw std::runtime_error("a list gave a wrong answer");
  });
}

row measure_s9(const run_config& how)
{
  constexpr const char* ours = "dgram block_list";
  constexpr const char* control = "std::lower_bound, 16 bytes each";
  row checked("S9", fmt::format("{} senders, a block list of {} ranges", look_ups, ranges),
              unit::ns_per_datagram);
  checked.add({control,
               [list = std::make_shared<plain_list>(), repetitions = how.drains] {
                 return time_checks(*list, repetitions);
               },
               {}});
  checked.add({ours,
               [list = std::make_shared<dgram::block_list>(our_list()), repetitions = how.drains] {
                 return time_checks(*list, repetitions);
               },
               control});
  checked.expect({ours, relation::figure_at_most, 40});
  checked.run(how.rounds);
  return checked;
}

}  // namespace

void add_limit_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"S9", measure_s9});
}

}  // namespace bench
