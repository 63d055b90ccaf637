// SPDX-License-Identifier: BSL-1.0
// What a listener keeps for each session, and what is left of it for the session's handle.
#ifndef DGRAM_DETAIL_SESSIONS_SESSION_STATE_HPP
#define DGRAM_DETAIL_SESSIONS_SESSION_STATE_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/sessions/inbox.hpp>
#include <dgram/error.hpp>
#include <dgram/session_map_config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What a session needs to send. It outlives the session in the table if the session ended without
/// being closed.
template <class Protocol>
struct session_outlet {
  static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

  /// Bytes that may still be sent; `unlimited` when the peer has proved its address.
  std::uint64_t budget = 0;
  std::uint32_t refused = 0;  // datagrams that were not sent
  std::uint32_t claim_word = 0;
  basic_reply_path<Protocol> path;
  std::uint32_t dropped = 0;  // received datagrams for which there was no room

  static constexpr std::uint32_t claimed_parts = 0xFF;  // of `claim_word`

  void heard(std::uint64_t more) noexcept
  {
    if (budget < unlimited / 4) budget += more;
  }

  /// Returns whether so many bytes may be sent, and subtracts them then.
  bool spend(std::size_t size) noexcept
  {
    if (budget == unlimited) return true;
    if (size > budget) return false;
    budget -= size;
    return true;
  }

  /// Claims so much more of a crowded queue. Returns what `unclaim` takes back, or 0 if the session
  /// may not take it. The claim begins again when all has left that was queued at its beginning.
  /// `first` and `last` are the datagrams of the queue. One datagram always finds room.
  ///
  /// The word has the last datagram at the beginning, without its upper bits, and what is claimed,
  /// in parts of the share. A session that was silent for long may seem to have a claim if its
  /// datagram happens to be one of the queue, which is rare and does no harm.
  std::uint32_t claim(std::uint64_t first, std::uint64_t last, std::size_t cost,
                      std::size_t share) noexcept
  {
    constexpr std::uint32_t parts = 192;  // so that 64 datagrams of equal size fit exactly
    constexpr std::uint32_t numbers = 0xFFFFFF;
    const std::uint32_t left = ((claim_word >> 8U) - static_cast<std::uint32_t>(first)) & numbers;
    const bool goes_on = left > 0 && left <= last - first;
    if (!goes_on) claim_word = (static_cast<std::uint32_t>(last) & numbers) << 8U;
    const std::uint32_t claimed = claim_word & claimed_parts;
    const std::uint32_t more = std::max(
        static_cast<std::uint32_t>((std::min(cost, share) * parts + share - 1) / share), 1U);
    if (claimed > 0 && claimed + more > parts) return 0;
    claim_word += more;
    return (claim_word & ~claimed_parts) | more;
  }

  /// Takes a claim back, because nothing was queued. A claim that has begun again does not have it.
  void unclaim(std::uint32_t claimed) noexcept
  {
    if ((claimed & ~claimed_parts) != (claim_word & ~claimed_parts)) return;
    claim_word -= std::min(claimed & claimed_parts, claim_word & claimed_parts);
  }

  void return_unspent(std::size_t size) noexcept
  {
    if (budget != unlimited) budget += size;
  }
};

/// What a listener keeps for each session, in the table's block.
template <class Session, class Protocol>
struct session_state {
  explicit session_state(const basic_datagram<Protocol>& first)
  {
    error_code unknown;
    out.path = first.reply_path(unknown);
  }

  // What each datagram needs comes first, because the start is fetched ahead.
  bool is_new = true;             // the listener has not met it yet
  bool is_accepted = false;       // the program has it, or the function for datagrams
  bool is_ready = false;          // on the list of those to resume
  std::uint32_t wait_number = 0;  // of the last wait with a deadline
  waiter* waiting = nullptr;      // for a datagram; none while there is one
  inbox<Protocol> unread;
  std::uint64_t received = 0;
  Session* handle = nullptr;  // the program's object, wherever it is now
  session_outlet<Protocol> out;
  plain_completion<session_end>* waiting_for_end = nullptr;
};

/// What is left for the handle of a session that ended without being closed.
template <class Session, class Protocol>
struct session_remains {
  inbox<Protocol> unread;
  session_outlet<Protocol> out;
  Session* handle;  // wherever it is now
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
