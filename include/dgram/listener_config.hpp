// SPDX-License-Identifier: BSL-1.0
// Limits of a listener, and what a listener and a session count.
#ifndef DGRAM_LISTENER_CONFIG_HPP
#define DGRAM_LISTENER_CONFIG_HPP

#include <dgram/config.hpp>
#include <dgram/session_map_config.hpp>
#include <dgram/writer_config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

DGRAM_NAMESPACE_BEGIN

/// Which datagram is dropped if the inbox of a session is full.
enum class inbox_full {
  drop_oldest,  ///< those that have waited longest, until there is room
  drop_newest,  ///< the one that has just arrived
};

/// Limits of a `listener`. A limit of 0 is refused, except where it means something. Each limit has
/// a counter in `listener_statistics`.
struct listener_config {
  /// A session ends if no datagram comes for so long, or up to 1/128 longer. See
  /// `session_map_config`.
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(60);

  /// How many sessions there may be, at most 2^30.
  std::size_t max_sessions = 65536;

  /// Whether a new peer finds no session if there are so many, or ends the idlest of them.
  sessions_full when_full = sessions_full::refuse;

  /// How many keys one session may have, at most 65,535.
  std::size_t max_keys = 8;

  /// For so long, or up to 1/128 longer, late datagrams of a session that has ended as `closed` are
  /// ignored. Then they make a new session, as at once with 0. As many keys are remembered as there
  /// may be sessions. If there are more, the oldest are forgotten.
  std::chrono::nanoseconds ignore_for{0};

  /// How many sessions may wait for `accept`. More new peers get no session.
  std::size_t max_unaccepted = 1024;

  /// How many datagrams may wait in a session, and how many bytes of payload. Both are at most
  /// 2^32 - 1. One datagram of any size always finds room. A session that waits for a datagram
  /// takes a full inbox at once.
  std::size_t inbox_datagrams = 64;
  std::size_t inbox_bytes = std::size_t{64} * 1024;
  inbox_full inbox_when_full = inbox_full::drop_oldest;

  /// How much memory the waiting datagrams of all sessions may take, in bytes. Beyond it, the
  /// datagram that has just arrived is dropped. Datagrams of a train share one piece of memory, of
  /// 16 KiB at most, which is free when the last of them is.
  std::size_t all_inboxes_bytes = std::size_t{64} * 1024 * 1024;

  /// A peer that has not proved its address gets at most so many times the bytes that it has sent,
  /// because the address may be that of a victim. 0 means no limit, and 1,000,000 is the most. See
  /// `session::mark_validated`.
  std::size_t amplification = 3;

  /// How much memory may be in use for datagrams that other members of the group forward, and that
  /// this listener has not taken; see `shard_group_config::keep_sessions`. At most 2^30 bytes. It
  /// is taken in pieces of 96 KiB, of which there may always be one. The pieces are kept for later.
  std::size_t forwarded_bytes = std::size_t{4} * 1024 * 1024;

  // How the listener receives: as `reader_config`.
  std::size_t slots = 64;
  std::size_t slot_size = 0;
  std::size_t yield_after = 128;
  bool coalesce = true;

  /// The queue that all sessions send through. While it is more than half full, one session may add
  /// no more than a sixteenth of the whole, or one datagram. What is beyond that finds no room.
  writer_config queue = {};
};

/// What a listener has counted since it was created. Every datagram that the listener has received
/// is in exactly one place, at every moment:
///
/// `received` = `handed_over` + `queued` + `unread` + `inbox_full` + `inboxes_full` +
/// `sessions_full` + `unaccepted_full` + `not_accepting` + `rejected` + `ignored` + `unkeyed` +
/// `failed` + `forwarded` + `forwards_dropped`
///
/// `created` is the number of sessions plus `idle`, `closed`, `evicted`, `stopped` and
/// `socket_error`.
struct listener_statistics {
  // datagrams
  std::uint64_t received = 0;         ///< taken from the socket, or from another member's listener
  std::uint64_t handed_over = 0;      ///< returned by a session, or given to a function
  std::uint64_t queued = 0;           ///< in inboxes now, or received and not yet dealt out
  std::uint64_t unread = 0;           ///< queued when their session or the listener ended
  std::uint64_t inbox_full = 0;       ///< dropped by `inbox_datagrams` or `inbox_bytes`
  std::uint64_t inboxes_full = 0;     ///< dropped by `all_inboxes_bytes`, or without memory
  std::uint64_t sessions_full = 0;    ///< of new peers beyond `max_sessions`
  std::uint64_t unaccepted_full = 0;  ///< of new peers beyond `max_unaccepted`
  std::uint64_t not_accepting = 0;    ///< of new peers during a pause, or after `stop`
  std::uint64_t rejected = 0;         ///< of new peers that the function for strangers refused
  std::uint64_t ignored = 0;          ///< late ones of closed sessions, for `ignore_for`
  std::uint64_t unkeyed = 0;          ///< without a usable key
  std::uint64_t failed = 0;           ///< whose session could not be made: something has thrown

  // between members of a group that keeps sessions
  std::uint64_t taken_over = 0;  ///< how many of `received` another member's listener forwarded
  std::uint64_t forwarded = 0;   ///< given to the listener that has the session
  /// Beyond `forwarded_bytes` of that one, as it stopped, or without memory.
  std::uint64_t forwards_dropped = 0;

  // sessions
  std::uint64_t created = 0;
  std::uint64_t idle = 0;
  std::uint64_t closed = 0;
  std::uint64_t evicted = 0;
  std::uint64_t stopped = 0;
  std::uint64_t socket_error = 0;

  std::uint64_t keys_refused = 0;   ///< keys beyond `max_keys` of their session
  std::uint64_t not_validated = 0;  ///< datagrams that `amplification` has not let leave
  /// Sends that found the queue more than half full, and the session's share of the rest used up.
  std::uint64_t share_full = 0;
  std::uint64_t replies_refused = 0;  ///< replies to strangers: too long, or without room

  /// Errors of the socket's receives that ended nothing: of a path to some peer (see
  /// `option::receive_error`), or a lack of memory.
  std::uint64_t receive_errors = 0;

  /// What became of the datagrams that the sessions have sent.
  writer_statistics sending = {};
};

/// What a session has counted.
struct session_statistics {
  std::uint64_t received = 0;  ///< datagrams that were routed to the session
  std::uint64_t dropped = 0;   ///< datagrams for which the inboxes had no room
  std::uint64_t refused = 0;   ///< datagrams that `try_send` or `send` did not take
  std::size_t queued = 0;      ///< datagrams that wait in the inbox now
};

DGRAM_NAMESPACE_END

#endif
