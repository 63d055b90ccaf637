// SPDX-License-Identifier: BSL-1.0
// Senders that send a batch from each of their handlers, outside of any reader's turn.
#include "send_coroutine.hpp"

#include <dgram.hpp>

#include <asio/post.hpp>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace bench::send {

namespace {

class handler_sender : public sender {
public:
  explicit handler_sender(const job& work) : work_(work), payloads_(work)
  {
    for (const sockaddr_in& peer : work.peers)
      peers_.emplace_back(asio::ip::address_v4(ntohl(peer.sin_addr.s_addr)), ntohs(peer.sin_port));
  }

  void send(std::size_t datagrams) override
  {
    left_ = datagrams;
    post();
    turns_.run(datagrams);
  }

protected:
  /// Sends so many datagrams, and calls `done` when the next handler may run.
  virtual void send_some(std::size_t datagrams) = 0;

  void done()
  {
    if (left_ > 0)
      post();
    else
      all_done();
  }

  /// The context runs out of work by itself, unless something waits for datagrams.
  virtual void all_done() {}

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
    if (ec) throw std::system_error(ec, "a send in a handler");
  }

  turns turns_;

private:
  void post()
  {
    asio::post(turns_.context(), [this] {
      const std::size_t count = std::min(work_.batch, left_);
      left_ -= count;
      send_some(count);
    });
  }

  job work_;
  payloads payloads_;
  std::vector<asio::ip::udp::endpoint> peers_;
  std::size_t left_ = 0;
};

dgram::udp::socket make_socket(turns& on)
{
  return {on.context(), dgram::udp::v4(), raw::make_socket().release()};
}

/// The handler's own cost is the same for all.
class handler_control : public handler_sender {
public:
  handler_control(const job& work, sender_ptr by) : handler_sender(work), by_(std::move(by)) {}

private:
  void send_some(std::size_t datagrams) override
  {
    by_->send(datagrams);
    done();
  }

  sender_ptr by_;
};

class handler_batch_sender : public handler_sender {
public:
  handler_batch_sender(const job& work, bool copies)
      : handler_sender(work), batch_({.datagrams = work.batch, .copy = copies})
  {
  }

private:
  void send_some(std::size_t datagrams) override
  {
    for (std::size_t i = 0; i < datagrams; ++i)
      batch_.push(payload(i), peer(i));
    socket_.async_send_batch(batch_, [this](const std::error_code& ec, dgram::send_result result) {
      check(ec ? ec : result.error);
      done();
    });
  }

  dgram::udp::socket socket_ = make_socket(turns_);
  dgram::send_batch batch_;
};

class handler_writer_sender : public handler_sender {
public:
  using handler_sender::handler_sender;

private:
  void send_some(std::size_t datagrams) override
  {
    for (std::size_t i = 0; i < datagrams; ++i)
      if (!writer_.try_send(payload(i), peer(i)))
        throw std::runtime_error("the writer had no room for a batch");
    done();
  }

  dgram::udp::socket socket_ = make_socket(turns_);
  dgram::writer<dgram::udp, dgram::udp::socket::executor_type> writer_{socket_};
};

class handler_emitter_sender : public handler_sender {
public:
  explicit handler_emitter_sender(const job& work) : handler_sender(work)
  {
    socket_.bind({.fd = raw::make_socket().release()});
  }

private:
  void send_some(std::size_t datagrams) override
  {
    for (std::size_t i = 0; i + 1 < datagrams; ++i)
      socket_.send(payload(i), peer(i));
    socket_.send(payload(datagrams - 1), peer(datagrams - 1), [this](const std::error_code& ec) {
      check(ec);
      done();
    });
  }

  /// The emitter goes on waiting for datagrams.
  void all_done() override { turns_.end(); }

  dgram::emitter_socket socket_ = dgram::create_socket(turns_.context(), dgram::udp4);
};

}  // namespace

sender_ptr in_handlers(const job& work, sender_ptr (*control)(const job& work))
{
  return std::make_unique<handler_control>(work, control(work));
}

sender_ptr dgram_batch_in_handlers(const job& work, bool copies)
{
  return std::make_unique<handler_batch_sender>(work, copies);
}

sender_ptr dgram_writer_in_handlers(const job& work)
{
  return std::make_unique<handler_writer_sender>(work);
}

sender_ptr dgram_emitter_in_handlers(const job& work)
{
  return std::make_unique<handler_emitter_sender>(work);
}

}  // namespace bench::send
