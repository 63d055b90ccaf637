// SPDX-License-Identifier: BSL-1.0
// Receivers of which there may be many: sockets of one program, and listeners of one event.
#ifndef DGRAM_BENCHMARKS_SUITE_GROWTH_HPP
#define DGRAM_BENCHMARKS_SUITE_GROWTH_HPP

#include "drain.hpp"

#include <cstddef>
#include <memory>

namespace bench::drain {

/// Sockets of one event loop.
class many_sockets {
public:
  many_sockets() = default;
  many_sockets(const many_sockets&) = delete;
  many_sockets& operator=(const many_sockets&) = delete;
  virtual ~many_sockets() = default;

  /// Opens so many more.
  virtual void open(std::size_t count) = 0;

  virtual std::size_t size() const = 0;
  virtual int descriptor(std::size_t number) = 0;

  /// Takes so many datagrams, which are queued in any of the sockets.
  virtual void take(std::size_t count) = 0;
};

using many_sockets_ptr = std::unique_ptr<many_sockets>;

many_sockets_ptr raw_sockets();
many_sockets_ptr asio_sockets();
many_sockets_ptr dgram_readers();
many_sockets_ptr dgram_emitters();

/// Each datagram is passed to so many listeners, or functions.
drainer_ptr raw_recvmmsg_functions(std::size_t count);
drainer_ptr dgram_emitter_listeners(std::size_t count);

}  // namespace bench::drain

#endif
