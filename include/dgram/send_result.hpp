// SPDX-License-Identifier: BSL-1.0
// How many datagrams of a batch were sent, and why the next one was not.
#ifndef DGRAM_SEND_RESULT_HPP
#define DGRAM_SEND_RESULT_HPP

#include <dgram/config.hpp>

#include <cstddef>

DGRAM_NAMESPACE_BEGIN

/// The result of sending a batch.
struct send_result {
  std::size_t sent = 0;     ///< how many datagrams the kernel took
  std::size_t refused = 0;  ///< how many datagrams the batch dropped through `on_refused`
  error_code error;  ///< why the first remaining datagram was not taken; clear if none is left

  /// Adds the result of a further step. The error is that of the last step.
  send_result& operator+=(const send_result& step) noexcept
  {
    sent += step.sent;
    refused += step.refused;
    error = step.error;
    return *this;
  }
};

DGRAM_NAMESPACE_END

#endif
