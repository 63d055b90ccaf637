// SPDX-License-Identifier: BSL-1.0
// Ways to take what is queued. Each has a socket of its own, which the benchmark fills.
#ifndef DGRAM_BENCHMARKS_SUITE_DRAIN_HPP
#define DGRAM_BENCHMARKS_SUITE_DRAIN_HPP

#include <cstddef>
#include <memory>

namespace bench::drain {

class drainer {
public:
  drainer() = default;
  drainer(const drainer&) = delete;
  drainer& operator=(const drainer&) = delete;
  virtual ~drainer() = default;

  virtual int descriptor() = 0;

  /// Takes as many datagrams as are queued; more are an error, fewer never come back.
  virtual void take(std::size_t count) = 0;
};

using drainer_ptr = std::unique_ptr<drainer>;

drainer_ptr raw_recvfrom();
drainer_ptr raw_recvmmsg(std::size_t slots, bool coalesced);

/// With slots of 64 KiB for datagrams that do not coalesce.
drainer_ptr raw_recvmmsg_large(std::size_t slots);

/// With all that the kernel says of a datagram, which is looked at.
drainer_ptr raw_metadata(std::size_t slots);

drainer_ptr asio_callback();
drainer_ptr asio_coroutine();

drainer_ptr dgram_drop_in_callback();
drainer_ptr dgram_drop_in_coroutine();
drainer_ptr dgram_batch(std::size_t slots, bool coalesced);
drainer_ptr dgram_metadata(std::size_t slots);
drainer_ptr dgram_reader(std::size_t slots, bool coalesced);
drainer_ptr dgram_emitter();

/// These also answer each datagram.
drainer_ptr raw_echo(std::size_t slots);
drainer_ptr dgram_echo(std::size_t writer_datagrams, std::size_t writer_bytes);
drainer_ptr dgram_echo_batch_loop();
drainer_ptr dgram_echo_emitter();
drainer_ptr dgram_echo_in_place(std::size_t slots);

#if DGRAM_BENCHMARKS_HAVE_LIBUV
drainer_ptr libuv(bool batched);
#endif

}  // namespace bench::drain

#endif
