// SPDX-License-Identifier: BSL-1.0
#include "send_coroutine.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include <cstdlib>

namespace bench::send {

namespace {

using socket = asio::ip::udp::socket;

class callback_sender : public asio_sender<socket> {
public:
  explicit callback_sender(const job& work) : asio_sender(work) { begin(); }

private:
  void begin()
  {
    turns_.next([this] {
      next_ = 0;
      send_next();
    });
  }

  void send_next()
  {
    socket_.async_send_to(payload(next_), peer(next_),
                          [this](const std::error_code& ec, std::size_t) {
                            if (ec) std::exit(1);
                            if (++next_ < turns_.wanted())
                              send_next();
                            else
                              begin();
                          });
  }

  std::size_t next_ = 0;
};

class coroutine_sender : public asio_sender<socket> {
public:
  explicit coroutine_sender(const job& work) : asio_sender(work)
  {
    asio::co_spawn(turns_.context(), run(), asio::detached);
  }

private:
  asio::awaitable<void> run()
  {
    for (;;) {
      for (std::size_t i = 0; i < turns_.wanted(); ++i)
        co_await socket_.async_send_to(payload(i), peer(i), asio::use_awaitable);
      co_await turns_.next();
    }
  }
};

}  // namespace

sender_ptr asio_callback(const job& work)
{
  return std::make_unique<callback_sender>(work);
}
sender_ptr asio_coroutine(const job& work)
{
  return std::make_unique<coroutine_sender>(work);
}

}  // namespace bench::send
