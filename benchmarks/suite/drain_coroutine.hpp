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

/// A drainer that works in turns on a socket of its own.
template <class Socket>
class socket_drainer : public drainer {
public:
  int descriptor() override { return socket_.native_handle(); }
  void take(std::size_t count) override { turns_.run(count); }

protected:
  turns turns_;
  Socket socket_{turns_.context(), asio::ip::udp::v4(), raw::make_socket().release()};
};

template <class Socket>
class callback_drainer : public socket_drainer<Socket> {
public:
  callback_drainer() { begin(); }

private:
  using socket_drainer<Socket>::socket_;
  using socket_drainer<Socket>::turns_;

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

  asio::ip::udp::endpoint sender_;
  std::array<char, 2048> buffer_;
  std::size_t left_ = 0;
};

template <class Socket>
class coroutine_drainer : public socket_drainer<Socket> {
public:
  coroutine_drainer() { asio::co_spawn(turns_.context(), work(), asio::detached); }

private:
  using socket_drainer<Socket>::socket_;
  using socket_drainer<Socket>::turns_;

  asio::awaitable<void> work()
  {
    for (;;) {
      for (std::size_t left = turns_.wanted(); left > 0; --left)
        co_await socket_.async_receive_from(asio::buffer(buffer_), sender_, asio::use_awaitable);
      co_await turns_.next();
    }
  }

  asio::ip::udp::endpoint sender_;
  std::array<char, 2048> buffer_;
};

}  // namespace bench::drain

#endif
