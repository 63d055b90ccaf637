// SPDX-License-Identifier: BSL-1.0
// One datagram per operation, on Asio's socket or on one that stands in for it.
#ifndef DGRAM_BENCHMARKS_SUITE_DRAIN_COROUTINE_HPP
#define DGRAM_BENCHMARKS_SUITE_DRAIN_COROUTINE_HPP

#include "drain.hpp"
#include "raw.hpp"
#include "turn.hpp"

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/ip/udp.hpp>

#include <array>
#include <cstdlib>

namespace bench::drain {

template <class Socket>
class callback_drainer : public drainer {
public:
  callback_drainer() { begin(); }

  int descriptor() override { return socket_.native_handle(); }
  void take(std::size_t count) override { turns_.run(count); }

private:
  void begin()
  {
    turns_.next([this] {
      left_ = turns_.wanted();
      receive();
    });
  }

  void receive()
  {
    socket_.async_receive_from(asio::buffer(buffer_), sender_,
                               [this](const std::error_code& ec, std::size_t) {
                                 if (ec) std::exit(1);
                                 if (--left_ > 0)
                                   receive();
                                 else
                                   begin();
                               });
  }

  turns turns_;
  Socket socket_{turns_.context(), asio::ip::udp::v4(), raw::make_socket().release()};
  asio::ip::udp::endpoint sender_;
  std::array<char, 2048> buffer_;
  std::size_t left_ = 0;
};

template <class Socket>
class coroutine_drainer : public drainer {
public:
  coroutine_drainer() { asio::co_spawn(turns_.context(), work(), asio::detached); }

  int descriptor() override { return socket_.native_handle(); }
  void take(std::size_t count) override { turns_.run(count); }

private:
  asio::awaitable<void> work()
  {
    for (;;) {
      for (std::size_t left = turns_.wanted(); left > 0; --left)
        co_await socket_.async_receive_from(asio::buffer(buffer_), sender_, asio::use_awaitable);
      co_await turns_.next();
    }
  }

  turns turns_;
  Socket socket_{turns_.context(), asio::ip::udp::v4(), raw::make_socket().release()};
  asio::ip::udp::endpoint sender_;
  std::array<char, 2048> buffer_;
};

}  // namespace bench::drain

#endif
