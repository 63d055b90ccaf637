// SPDX-License-Identifier: BSL-1.0
// How many datagrams of a batch were sent, and why the next one was not.
#ifndef DGRAM_SEND_RESULT_HPP
#define DGRAM_SEND_RESULT_HPP

#include <dgram/config.hpp>

#include <cstddef>

DGRAM_NAMESPACE_BEGIN

/// How a batch was sent.
struct send_result {
  std::size_t sent = 0;     ///< how many datagrams the kernel took
  std::size_t refused = 0;  ///< how many were dropped by the batch's `on_refused`
  error_code error;  ///< why the first one that is left was not taken; clear when none is left

  /// Adds what a further step moved; the error is that of the last step.
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
