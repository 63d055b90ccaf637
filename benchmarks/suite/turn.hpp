// SPDX-License-Identifier: BSL-1.0
// Runs a part of a coroutine or of a chain of callbacks at a time, so that what is timed is the
// steady state and not its start.
#ifndef DGRAM_BENCHMARKS_SUITE_TURN_HPP
#define DGRAM_BENCHMARKS_SUITE_TURN_HPP

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include <cstddef>

namespace bench {

/// A context whose work pauses until it is given a number of datagrams to move.
class turns {
public:
  /// Runs the work until it ends its turn.
  void run(std::size_t datagrams)
  {
    wanted_ = datagrams;
    io_.restart();
    io_.run();
  }

  asio::io_context& context() noexcept { return io_; }
  std::size_t wanted() const noexcept { return wanted_; }

  /// Ends the turn, which who is called later than at its start has to do.
  void end() { io_.stop(); }

  /// For a coroutine: ends the turn, and returns in the next one. The first call begins the first
  /// turn.
  asio::awaitable<void> next()
  {
    end();
    return asio::post(io_, asio::use_awaitable);
  }

  /// For callbacks: the same.
  template <class Function>
  void next(Function function)
  {
    end();
    asio::post(io_, function);
  }

private:
  asio::io_context io_{1};
  std::size_t wanted_ = 0;
};

}  // namespace bench

#endif
