// SPDX-License-Identifier: BSL-1.0
// Sets the datagrams of full Unix peers aside, so that a batch can offer those of the other peers.
#ifndef DGRAM_DETAIL_SOCKET_RUNS_ASIDE_HPP
#define DGRAM_DETAIL_SOCKET_RUNS_ASIDE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/reset_on_move.hpp>
#include <dgram/detail/socket/message_runs.hpp>
#include <dgram/detail/socket/peer_set.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The runs of a batch whose peers are full. They lie in the batch's list, before those that wait.
template <class Endpoint>
class runs_aside {
public:
  using run = datagram_run<Endpoint>;

  bool contains(const Endpoint& peer) const noexcept { return full_.contains(peer); }

  /// From now on this peer is full. Throws if there is no memory for that.
  void insert(const Endpoint& peer) { full_.insert(peer); }

  /// Forgets the runs, and that their peers are full.
  void clear() noexcept
  {
    full_.clear();
    static_cast<range&>(at_) = range();
  }

  /// Takes the first ones of the runs [first, last), as long as their peers are full. Returns how
  /// many that were.
  std::size_t take(std::vector<run>& runs, std::size_t first, std::size_t last) noexcept
  {
    if (full_.empty()) return 0;
    const std::size_t before = first;
    for (; first < last && full_.contains(runs[first].peer); ++first) {
      if (at_.first == at_.last) at_.first = at_.last = first;
      if (at_.last != first) runs[at_.last] = runs[first];
      ++at_.last;
    }
    return first - before;
  }

  /// Puts the runs back before the run `first`, or behind it if `behind_first`. No peer is full
  /// then. Returns how many runs that were.
  std::size_t restore(std::vector<run>& runs, std::size_t first, bool behind_first) noexcept
  {
    const std::size_t count = at_.last - at_.first;
    if (count > 0) {
      const auto begin = runs.begin() + static_cast<std::ptrdiff_t>(at_.first);
      const auto end = runs.begin() + static_cast<std::ptrdiff_t>(at_.last);
      const auto front = runs.begin() + static_cast<std::ptrdiff_t>(first);
      if (behind_first) {
        const run moved = *front;
        std::move_backward(begin, end, front + 1);
        runs[first - count] = moved;
      } else {
        std::move_backward(begin, end, front);
      }
    }
    clear();
    return count;
  }

private:
  struct range {
    std::size_t first = 0;
    std::size_t last = 0;
  };

  peer_set<Endpoint> full_;
  reset_on_move<range> at_;
};

/// For a protocol whose peers are never full.
template <class Endpoint>
struct no_runs_aside {
  static constexpr bool contains(const Endpoint&) noexcept { return false; }
  static void clear() noexcept {}
  static constexpr std::size_t take(const std::vector<datagram_run<Endpoint>>&, std::size_t,
                                    std::size_t) noexcept
  {
    return 0;
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
