// SPDX-License-Identifier: BSL-1.0
// Ways to send many datagrams of one size, to one peer or to several in turn.
#ifndef DGRAM_BENCHMARKS_SUITE_SEND_HPP
#define DGRAM_BENCHMARKS_SUITE_SEND_HPP

#include "raw.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace bench::send {

struct job {
  std::size_t payload;             // bytes of each
  std::vector<sockaddr_in> peers;  // each datagram goes to the next one
  std::size_t batch = 64;          // datagrams that are handed over together, where they can be
};

/// Payloads that lie apart, as those of different origin do.
class payloads {
public:
  explicit payloads(const job& work)
      : count_(work.batch), stride_(work.payload + gap), bytes_(count_ * stride_)
  {
  }

  const std::byte* at(std::size_t index) const noexcept
  {
    return bytes_.data() + index % count_ * stride_;
  }

private:
  static constexpr std::size_t gap = 64;

  std::size_t count_;
  std::size_t stride_;
  std::vector<std::byte> bytes_;
};

class sender {
public:
  sender() = default;
  sender(const sender&) = delete;
  sender& operator=(const sender&) = delete;
  virtual ~sender() = default;

  /// Sends so many datagrams.
  virtual void send(std::size_t datagrams) = 0;
};

using sender_ptr = std::unique_ptr<sender>;

sender_ptr raw_sendto(const job& work);
sender_ptr raw_sendmmsg(const job& work);

/// On a socket that an epoll watches, as that of an event loop: then each datagram that leaves
/// looks for waiting threads.
sender_ptr raw_sendmmsg_watched(const job& work);

// To one peer only: payloads that lie apart, gathered by the kernel, or one buffer with all of
// them.
sender_ptr raw_gso_gathered(const job& work);
sender_ptr raw_gso(const job& work);

/// To one peer only: payloads that lie apart, copied side by side, in messages as long as the
/// kernel takes.
sender_ptr raw_gso_copied(const job& work);

sender_ptr asio_callback(const job& work);
sender_ptr asio_coroutine(const job& work);

sender_ptr dgram_batch(const job& work);
sender_ptr dgram_segments(const job& work);  // one buffer, to one peer
sender_ptr dgram_emitter(const job& work);   // all in one turn, to one peer

// A batch from each handler.
sender_ptr in_handlers(const job& work, sender_ptr (*control)(const job& work));
sender_ptr dgram_batch_in_handlers(const job& work, bool copies);
sender_ptr dgram_writer_in_handlers(const job& work);
sender_ptr dgram_emitter_in_handlers(const job& work);

#if DGRAM_BENCHMARKS_HAVE_LIBUV
sender_ptr libuv(const job& work);
#endif

}  // namespace bench::send

#endif
