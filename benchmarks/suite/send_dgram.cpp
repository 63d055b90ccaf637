// SPDX-License-Identifier: BSL-1.0
#include "send_coroutine.hpp"

#include <dgram.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include <algorithm>
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

}  // namespace

sender_ptr dgram_batch(const job& work)
{
  return std::make_unique<batch_sender>(work);
}

sender_ptr dgram_segments(const job& work)
{
  return std::make_unique<segments_sender>(work);
}

}  // namespace bench::send
