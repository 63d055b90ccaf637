// SPDX-License-Identifier: BSL-1.0
// Echo servers on Asio's own socket, in both styles.
#include "echo.hpp"

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#include <asio/use_awaitable.hpp>

#include <array>
#include <cstdlib>
#include <utility>

namespace bench::echo {

namespace {

using asio::ip::udp;

class callback_server {
public:
  callback_server(asio::io_context& io, int fd) : socket_(io, udp::v4(), fd) { receive(); }

private:
  void receive()
  {
    socket_.async_receive_from(asio::buffer(buffer_), sender_,
                               [this](const std::error_code& ec, std::size_t size) {
                                 if (ec) std::exit(1);
                                 answer(size);
                               });
  }

  void answer(std::size_t size)
  {
    socket_.async_send_to(asio::buffer(buffer_, size), sender_,
                          [this](const std::error_code& ec, std::size_t) {
                            if (ec) std::exit(1);
                            receive();
                          });
  }

  udp::socket socket_;
  udp::endpoint sender_;
  std::array<char, 2048> buffer_;
};

asio::awaitable<void> echo(udp::socket socket)
{
  std::array<char, 2048> buffer;
  udp::endpoint sender;
  for (;;) {
    const std::size_t size =
        co_await socket.async_receive_from(asio::buffer(buffer), sender, asio::use_awaitable);
    co_await socket.async_send_to(asio::buffer(buffer, size), sender, asio::use_awaitable);
  }
}

}  // namespace

void serve_asio_callback(int fd)
{
  asio::io_context io(1);
  const callback_server server(io, fd);
  io.run();
}

void serve_asio_coroutine(int fd)
{
  asio::io_context io(1);
  asio::co_spawn(io, echo(udp::socket(io, udp::v4(), fd)), asio::detached);
  io.run();
}

}  // namespace bench::echo
