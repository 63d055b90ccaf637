// SPDX-License-Identifier: BSL-1.0
// Senders that send a batch from each handler of a timer, outside of any reader's turn.
#include "send_coroutine.hpp"

#include <dgram.hpp>

#include <asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace bench::send {

namespace {

class ticking_sender : public sender {
public:
  explicit ticking_sender(const job& work) : work_(work), payloads_(work)
  {
    for (const sockaddr_in& peer : work.peers)
      peers_.emplace_back(asio::ip::address_v4(ntohl(peer.sin_addr.s_addr)), ntohs(peer.sin_port));
  }

  void send(std::size_t datagrams) override
  {
    left_ = datagrams;
    wait();
    turns_.run(datagrams);
  }

protected:
  /// Sends so many datagrams. `tick_done` is called when the next tick may come.
  virtual void send_tick(std::size_t datagrams) = 0;

  void tick_done()
  {
    if (left_ > 0)
      wait();
    else
      last_tick_done();
  }

  /// The context runs out of work by itself, unless something waits for datagrams.
  virtual void last_tick_done() {}

  const asio::ip::udp::endpoint& peer(std::size_t index) const
  {
    return peers_.size() == 1 ? peers_.front() : peers_[index % peers_.size()];
  }

  dgram::bytes_view payload(std::size_t index) const
  {
    return {payloads_.at(index), work_.payload};
  }

  static void check(const std::error_code& ec)
  {
    if (ec) throw std::system_error(ec, "a send of a tick");
  }

  turns turns_;

private:
  void wait()
  {
    timer_.expires_after(std::chrono::nanoseconds(0));
    timer_.async_wait([this](const std::error_code& ec) {
      check(ec);
      const std::size_t count = std::min(work_.batch, left_);
      left_ -= count;
      send_tick(count);
    });
  }

  asio::steady_timer timer_{turns_.context()};
  job work_;
  payloads payloads_;
  std::vector<asio::ip::udp::endpoint> peers_;
  std::size_t left_ = 0;
};

dgram::udp::socket make_socket(turns& on)
{
  return {on.context(), dgram::udp::v4(), raw::make_socket().release()};
}

/// The timer's own cost is the same for everything that ticks.
class ticking_control : public ticking_sender {
public:
  ticking_control(const job& work, sender_ptr by) : ticking_sender(work), by_(std::move(by)) {}

private:
  void send_tick(std::size_t datagrams) override
  {
    by_->send(datagrams);
    tick_done();
  }

  sender_ptr by_;
};

class ticking_batch_sender : public ticking_sender {
public:
  ticking_batch_sender(const job& work, bool copies)
      : ticking_sender(work), batch_({.datagrams = work.batch, .copy = copies})
  {
  }

private:
  void send_tick(std::size_t datagrams) override
  {
    for (std::size_t i = 0; i < datagrams; ++i)
      batch_.push(payload(i), peer(i));
    socket_.async_send_batch(batch_, [this](const std::error_code& ec, dgram::send_result result) {
      check(ec ? ec : result.error);
      tick_done();
    });
  }

  dgram::udp::socket socket_ = make_socket(turns_);
  dgram::send_batch batch_;
};

class ticking_writer_sender : public ticking_sender {
public:
  using ticking_sender::ticking_sender;

private:
  void send_tick(std::size_t datagrams) override
  {
    for (std::size_t i = 0; i < datagrams; ++i)
      if (!writer_.try_send(payload(i), peer(i)))
        throw std::runtime_error("the writer had no room for a tick");
    tick_done();
  }

  dgram::udp::socket socket_ = make_socket(turns_);
  dgram::writer<dgram::udp, dgram::udp::socket::executor_type> writer_{socket_};
};

class ticking_emitter_sender : public ticking_sender {
public:
  explicit ticking_emitter_sender(const job& work) : ticking_sender(work)
  {
    socket_.bind({.fd = raw::make_socket().release()});
  }

private:
  void send_tick(std::size_t datagrams) override
  {
    for (std::size_t i = 0; i + 1 < datagrams; ++i)
      socket_.send(payload(i), peer(i));
    socket_.send(payload(datagrams - 1), peer(datagrams - 1), [this](const std::error_code& ec) {
      check(ec);
      tick_done();
    });
  }

  /// The emitter goes on waiting for datagrams.
  void last_tick_done() override { turns_.end(); }

  dgram::emitter_socket socket_ = dgram::create_socket(turns_.context(), dgram::udp4);
};

}  // namespace

sender_ptr ticking(const job& work, sender_ptr (*control)(const job& work))
{
  return std::make_unique<ticking_control>(work, control(work));
}

sender_ptr dgram_ticking_batch(const job& work, bool copies)
{
  return std::make_unique<ticking_batch_sender>(work, copies);
}

sender_ptr dgram_ticking_writer(const job& work)
{
  return std::make_unique<ticking_writer_sender>(work);
}

sender_ptr dgram_ticking_emitter(const job& work)
{
  return std::make_unique<ticking_emitter_sender>(work);
}

}  // namespace bench::send
