// SPDX-License-Identifier: BSL-1.0
// Remembers for a while which peers' paths refuse to have datagrams cut apart, and of which size.
#ifndef DGRAM_DETAIL_SOCKET_DESTINATION_TABLE_HPP
#define DGRAM_DETAIL_SOCKET_DESTINATION_TABLE_HPP

#include <dgram/config.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <new>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The table is searched for every run of datagrams. It is usually empty, and that case costs one
/// comparison and no memory. If it is full, a new peer replaces the oldest one.
///
/// An entry counts the runs that it keeps apart, and then is forgotten, since routes and interfaces
/// change. So a refusal costs one failed call among many, and no clock is read.
template <class Endpoint>
class destination_table {
public:
  /// How many runs an entry keeps apart.
  static constexpr std::size_t lasting = 16384;

  bool empty() const noexcept { return known_ == 0; }

  /// Whether runs of datagrams of this size are known to be refused. A true result counts.
  bool refuses(const Endpoint& destination, std::size_t size) noexcept
  {
    if (empty()) [[likely]]
      return false;
    entry* const found = find(destination);
    if (found == nullptr || size < found->size) return false;
    if (--found->left == 0) --known_;
    return true;
  }

  /// A path that refuses one size refuses larger ones too. Without memory for the table, the next
  /// run is refused again.
  void insert(const Endpoint& destination, std::size_t size) noexcept
  {
    if (!entries_) entries_.reset(new (std::nothrow) table());
    if (!entries_) return;
    if (entry* const known = find(destination)) {
      *known = {destination, std::min(size, known->size), lasting};
      return;
    }
    entry& replaced = (*entries_)[next_];
    next_ = (next_ + 1) % entries_->size();
    known_ += replaced.left == 0 ? 1U : 0U;
    replaced = {destination, size, lasting};
  }

  /// Writes nothing if it is empty: synchronous calls of one socket may run at the same time.
  void clear() noexcept
  {
    if (!empty()) *this = destination_table();
  }

private:
  struct entry {
    Endpoint destination;
    std::size_t size = 0;  // of the smallest datagrams whose run was refused
    std::size_t left = 0;  // 0: there is no entry
  };

  using table = std::array<entry, 16>;

  entry* find(const Endpoint& destination) noexcept
  {
    const auto found = std::find_if(entries_->begin(), entries_->end(), [&](const entry& one) {
      return one.left > 0 && one.destination == destination;
    });
    return found == entries_->end() ? nullptr : &*found;
  }

  std::unique_ptr<table> entries_;
  std::size_t known_ = 0;
  std::size_t next_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
