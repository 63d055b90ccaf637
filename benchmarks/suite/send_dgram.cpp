// SPDX-License-Identifier: BSL-1.0
#include "send_coroutine.hpp"

#include <dgram.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <vector>

namespace bench::send {

namespace {

class batch_sender : public asio_sender<dgram::udp::socket> {
public:
  explicit batch_sender(const job& work) : asio_sender(work), batch_(work.batch)
  {
    asio::co_spawn(turns_.context(), run(), asio::detached);
  }

private:
  asio::awaitable<void> run()
  {
    for (;;) {
      for (std::size_t i = 0; i < turns_.wanted();) {
        for (; i < turns_.wanted() && batch_.has_room(work_.payload); ++i)
          batch_.push(payload(i), peer(i));
        co_await socket_.async_send_batch(batch_, asio::use_awaitable);
      }
      co_await turns_.next();
    }
  }

  dgram::send_batch batch_;
};

class segments_sender : public asio_sender<dgram::udp::socket> {
public:
  explicit segments_sender(const job& work)
      : asio_sender(work), bytes_(work.batch * work.payload), batch_(work.batch)
  {
    asio::co_spawn(turns_.context(), run(), asio::detached);
  }

private:
  asio::awaitable<void> run()
  {
    for (;;) {
      for (std::size_t sent = 0; sent < turns_.wanted();) {
        const std::size_t count = std::min(work_.batch, turns_.wanted() - sent);
        batch_.push_segments({bytes_.data(), count * work_.payload}, work_.payload, peer(0));
        co_await socket_.async_send_batch(batch_, asio::use_awaitable);
        sent += count;
      }
      co_await turns_.next();
    }
  }

  std::vector<std::byte> bytes_;
  dgram::send_batch batch_;
};

class emitter_sender : public sender {
public:
  explicit emitter_sender(const job& work)
      : work_(work),
        payloads_(work),
        port_(ntohs(work.peers.front().sin_port)),
        address_(asio::ip::address_v4(ntohl(work.peers.front().sin_addr.s_addr)))
  {
    socket_.bind({.fd = raw::make_socket().release()});
  }

  void send(std::size_t datagrams) override
  {
    asio::post(turns_.context(), [this, datagrams] { send_all(datagrams); });
    turns_.run(datagrams);
  }

private:
  void send_all(std::size_t datagrams)
  {
    for (std::size_t i = 0; i + 1 < datagrams; ++i)
      socket_.send(payload(i), port_, address_);
    socket_.send(payload(datagrams - 1), port_, address_, [this](const std::error_code& ec) {
      if (ec) throw std::system_error(ec, "the emitter's last send");
      turns_.end();
    });
  }

  dgram::bytes_view payload(std::size_t index) const
  {
    return {payloads_.at(index), work_.payload};
  }

  turns turns_;
  dgram::emitter_socket socket_ = dgram::create_socket(turns_.context(), dgram::udp4);
  job work_;
  payloads payloads_;
  std::uint16_t port_;
  asio::ip::address address_;
};

}  // namespace

sender_ptr dgram_batch(const job& work)
{
  return std::make_unique<batch_sender>(work);
}

sender_ptr dgram_segments(const job& work)
{
  return std::make_unique<segments_sender>(work);
}

sender_ptr dgram_emitter(const job& work)
{
  return std::make_unique<emitter_sender>(work);
}

}  // namespace bench::send
