// SPDX-License-Identifier: BSL-1.0
// How an exchanger matches answers and repeats requests, its limits, and what it counts.
#ifndef DGRAM_EXCHANGER_CONFIG_HPP
#define DGRAM_EXCHANGER_CONFIG_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/session_key.hpp>
#include <dgram/writer_config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// When a request is sent again, and when its exchange gives up.
///
/// \code
/// // CoAP (RFC 7252, section 4.8)
/// dgram::retry_policy coap{.first_wait = std::chrono::seconds(2), .tries = 5, .jitter = 0.5};
/// \endcode
struct retry_policy {
  /// How long the exchange waits after the first send, at least 1 ms. Waits have a resolution of
  /// 1 ms. An answer may be late by so much, and a wait is never shorter.
  std::chrono::nanoseconds first_wait = std::chrono::seconds(1);

  /// How often the request is sent, the first time included: 1 to 65,535. After the last wait the
  /// exchange ends with `timed_out`.
  std::size_t tries = 4;

  /// Each wait is so many times the wait before, 1 to 100, but no longer than `longest_wait`.
  double backoff = 2.0;
  std::chrono::nanoseconds longest_wait = std::chrono::seconds(60);

  /// Each wait is longer by a random part of itself, from 0 up to this, so that many clients do not
  /// repeat at the same moment: 0 to 1.
  double jitter = 0.25;

  /// The exchange ends with `timed_out` after this time at the latest. 0 is no limit.
  std::chrono::nanoseconds deadline = std::chrono::nanoseconds(0);
};

/// The id of a protocol that repeats it in the answer: bytes at a position of the request, and at
/// the same or another position of the answer.
///
/// \code
/// constexpr dgram::same_bytes dns{.offset = 0, .size = 2};
/// constexpr dgram::same_bytes ntp{.offset = 40, .size = 8, .offset_in_answer = 24};
/// \endcode
struct same_bytes {
  std::size_t offset = 0;
  std::size_t size = 2;  ///< 1 to `session_key::max_size`
  std::size_t offset_in_answer = offset;
};

/// Finds the key in a request and in an answer. An answer belongs to a request if it comes from the
/// peer that was asked and has the same key.
class exchange_keys {
public:
  /// Returns the key; `session_key()` if the bytes have none.
  using key_function = std::function<session_key(bytes_view)>;

  /// Throws `system_error` (`error::out_of_range`) for a size outside of its range.
  exchange_keys(const same_bytes& id)  // NOLINT(*-explicit-*)
      : of_request_([id](bytes_view bytes) { return session_key::at(bytes, id.offset, id.size); }),
        of_answer_(
            [id](bytes_view bytes) { return session_key::at(bytes, id.offset_in_answer, id.size); })
  {
    if (id.size == 0 || id.size > session_key::max_size)
      detail::refuse("exchanger", error::out_of_range,
                     "same_bytes::size: " + std::to_string(id.size) + "; allowed are 1 to " +
                         std::to_string(session_key::max_size));
  }

  /// One function for both.
  template <class Function>
    requires std::is_invocable_r_v<session_key, Function&, bytes_view>
  exchange_keys(Function function)  // NOLINT(*-explicit-*)
      : of_request_(function), of_answer_(std::move(function))
  {
  }

  /// One function for requests, and one for answers.
  exchange_keys(key_function of_request, key_function of_answer)
      : of_request_(std::move(of_request)), of_answer_(std::move(of_answer))
  {
  }

  session_key of_request(bytes_view bytes) const { return of_request_(bytes); }
  session_key of_answer(bytes_view bytes) const { return of_answer_(bytes); }

private:
  key_function of_request_;
  key_function of_answer_;
};

/// Why a datagram is no answer for an exchange that waits.
enum class unmatched {
  stray,      ///< no exchange with this peer has the key, on the port where the datagram arrived
  duplicate,  ///< the exchange has its answer already
  late,       ///< the exchange has ended without an answer
  rejected,   ///< the program's `on_check` has refused the answer
};

/// Limits of an `exchanger`. A limit of 0 is refused, except where 0 has a meaning.
struct exchanger_config {
  /// When requests are sent again. A call may pass another policy for its exchange.
  retry_policy retry = {};

  /// How many exchanges may wait at the same time, at most 2^28. Another one fails with
  /// `error::too_many_exchanges`.
  std::size_t max_outstanding = 65536;

  /// How much memory the copies of the requests may take, in bytes. A request that finds no room
  /// fails with `error::too_many_exchanges`.
  std::size_t max_request_bytes = std::size_t{64} * 1024 * 1024;

  /// How much memory answers may take, in bytes, until the program destroys them. An exchange whose
  /// answer finds no room ends with `no_buffer_space`.
  std::size_t max_answer_bytes = std::size_t{64} * 1024 * 1024;

  /// How long ended exchanges are remembered, and how many of them, at most 2^28. Their further
  /// answers count as duplicate or late, and `unused_key` does not draw their keys. Without memory
  /// (0) such answers are strays.
  std::chrono::nanoseconds remember_for = std::chrono::seconds(10);
  std::size_t max_remembered = 16384;

  /// Where ids, ports and jitter come from. The default is the system's source, which others cannot
  /// predict. In a simulation use the network's `random()`, so that a run repeats itself.
  std::function<std::uint64_t()> random = {};

  // How each port receives: as `reader_config`.
  std::size_t slots = 64;
  std::size_t slot_size = 0;
  std::size_t yield_after = 128;
  bool coalesce = true;

  /// The queue of each port. A request that finds no room is offered again within some
  /// milliseconds, so `when_full` decides nothing.
  writer_config queue = {};
};

/// What an exchanger has counted since it was created. Every exchange that has begun, and every
/// datagram that was received, is in one place:
///
/// `begun` = `answered` + `timed_out` + `refused` + `failed` + `cancelled` + `outstanding`
///
/// `received` = `answered` + `unread` + `strays` + `duplicates` + `late` + `rejected`
struct exchanger_statistics {
  // exchanges
  std::uint64_t begun = 0;
  std::uint64_t answered = 0;
  std::uint64_t timed_out = 0;   ///< no answer after all tries, or until the deadline
  std::uint64_t refused = 0;     ///< `connection_refused`: the peer has no socket at the port
  std::uint64_t failed = 0;      ///< by an error of the send, the receive, or a lack of memory
  std::uint64_t cancelled = 0;   ///< by its slot, `cancel`, or the end of the exchanger or socket
  std::size_t outstanding = 0;   ///< that wait now
  std::uint64_t not_begun = 0;   ///< refused at once: a limit, a key in use, a wrong argument
  std::uint64_t sent_again = 0;  ///< requests that were repeated
  std::uint64_t postponed = 0;   ///< sends that found no room in the queue, and were put off

  // datagrams
  std::uint64_t received = 0;
  std::uint64_t unread = 0;  ///< answers that found no memory
  std::uint64_t strays = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t late = 0;
  std::uint64_t rejected = 0;

  std::uint64_t path_errors = 0;     ///< reports of `option::receive_error` that ended no exchange
  std::uint64_t receive_errors = 0;  ///< errors of receives that ended nothing

  /// What became of the requests that were queued, on all ports.
  writer_statistics sending = {};
};

DGRAM_NAMESPACE_END

#endif
