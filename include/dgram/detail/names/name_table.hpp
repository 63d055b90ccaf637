// SPDX-License-Identifier: BSL-1.0
// Names that were looked up a moment ago, so that not every send asks again.
#ifndef DGRAM_DETAIL_NAMES_NAME_TABLE_HPP
#define DGRAM_DETAIL_NAMES_NAME_TABLE_HPP

#include <dgram/config.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

class name_table {
  using clock = std::chrono::steady_clock;

public:
  std::optional<net::ip::address> find(std::string_view name) const
  {
    for (const auto& known : entries_)
      if (known.name == name && known.expiry > clock::now()) return known.address;
    return std::nullopt;
  }

  void remember(const std::string& name, const net::ip::address& address,
                std::chrono::milliseconds lifetime)
  {
    if (lifetime.count() <= 0) return;
    std::erase_if(entries_, [&](const entry& known) { return known.name == name; });
    if (entries_.size() == most_entries) entries_.erase(entries_.begin());
    entries_.push_back({name, address, clock::now() + lifetime});
  }

private:
  static constexpr std::size_t most_entries = 16;

  struct entry {
    std::string name;
    net::ip::address address;
    clock::time_point expiry;
  };

  std::vector<entry> entries_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
