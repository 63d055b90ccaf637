// SPDX-License-Identifier: BSL-1.0
// The echo of a reader and a writer, batch by batch and in turns.
#ifndef DGRAM_BENCHMARKS_SUITE_BATCH_ECHO_HPP
#define DGRAM_BENCHMARKS_SUITE_BATCH_ECHO_HPP

#include "turn.hpp"

#include <dgram.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>

namespace bench {

/// Answers as many datagrams as each turn wants. The arguments outlive the coroutine.
template <class Reader, class Writer>
asio::awaitable<void> echo_in_batches(turns& in, Reader& reader, Writer& writer)
{
  for (;;) {
    for (std::size_t left = in.wanted(); left > 0;) {
      const auto datagrams = co_await reader.next_batch();
      if (!datagrams) co_return;
      for (const dgram::datagram& datagram : datagrams)
        if (!writer.push(datagram.payload(), datagram.reply_path())) co_await writer.flush();
      left -= datagrams.size();
    }
    co_await writer.flush();
    co_await in.next();
  }
}

}  // namespace bench

#endif
