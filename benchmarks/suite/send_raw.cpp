// SPDX-License-Identifier: BSL-1.0
#include "send.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace bench::send {

namespace {

class raw_sender : public sender {
public:
  explicit raw_sender(const job& work) : work_(work), payloads_(work) {}

protected:
  const sockaddr_in& peer(std::size_t index) const
  {
    return work_.peers[index % work_.peers.size()];
  }
  raw::descriptor socket_ = raw::make_socket();
  job work_;
  payloads payloads_;
};

class sendto_sender : public raw_sender {
public:
  using raw_sender::raw_sender;

  void send(std::size_t datagrams) override
  {
    for (std::size_t i = 0; i < datagrams; ++i) {
      const auto* const address = reinterpret_cast<const sockaddr*>(&peer(i));
      while (::sendto(socket_.get(), payloads_.at(i), work_.payload, MSG_DONTWAIT, address,
                      sizeof(sockaddr_in)) < 0) {
        if (errno != EAGAIN) throw std::system_error(errno, std::generic_category(), "sendto");
        raw::wait_writable(socket_.get());
      }
    }
  }
};

class sendmmsg_sender : public raw_sender {
public:
  explicit sendmmsg_sender(const job& work) : raw_sender(work), messages_(work.batch) {}

  void send(std::size_t datagrams) override
  {
    for (std::size_t i = 0; i < datagrams;) {
      messages_.clear();
      for (; i < datagrams && !messages_.full(); ++i)
        messages_.add(payloads_.at(i), work_.payload, &peer(i));
      messages_.send(socket_.get());
    }
  }

private:
  raw::send_messages messages_;
};

class watched_sendmmsg_sender : public sendmmsg_sender {
public:
  explicit watched_sendmmsg_sender(const job& work) : sendmmsg_sender(work)
  {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket_.get(), &event) != 0)
      throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }

private:
  raw::descriptor epoll_{::epoll_create1(EPOLL_CLOEXEC)};
};

class gathered_sender : public raw_sender {
public:
  explicit gathered_sender(const job& work)
      : raw_sender(work),
        train_(raw::train_length(work.payload)),
        messages_(work.batch),
        buffers_(work.batch)
  {
  }

  void send(std::size_t datagrams) override
  {
    for (std::size_t sent = 0; sent < datagrams;) {
      const std::size_t batch = std::min(work_.batch, datagrams - sent);
      messages_.clear();
      for (std::size_t i = 0; i < batch; i += train_)
        add_train(i, std::min(train_, batch - i));
      messages_.send(socket_.get());
      sent += batch;
    }
  }

private:
  void add_train(std::size_t first, std::size_t count)
  {
    for (std::size_t i = first; i < first + count; ++i)
      buffers_[i] = {const_cast<std::byte*>(payloads_.at(i)), work_.payload};
    messages_.add_gathered(&buffers_[first], count, &peer(0), count > 1 ? work_.payload : 0);
  }

  std::size_t train_;
  raw::send_messages messages_;
  std::vector<iovec> buffers_;
};

/// Sends trains from one buffer. With `Copies`, it copies the payloads there first.
template <bool Copies>
class gso_sender : public raw_sender {
public:
  explicit gso_sender(const job& work)
      : raw_sender(work),
        train_(Copies ? raw::longest_train(work.payload) : raw::train_length(work.payload)),
        messages_(work.batch),
        bytes_(work.batch * work.payload)
  {
  }

  void send(std::size_t datagrams) override
  {
    for (std::size_t sent = 0; sent < datagrams;) {
      const std::size_t batch = std::min(work_.batch, datagrams - sent);
      messages_.clear();
      for (std::size_t i = 0; i < batch; i += train_)
        add_train(i, std::min(train_, batch - i));
      messages_.send(socket_.get());
      sent += batch;
    }
  }

private:
  void add_train(std::size_t first, std::size_t count)
  {
    std::byte* const train = bytes_.data() + first * work_.payload;
    if constexpr (Copies)
      for (std::size_t i = 0; i < count; ++i)
        std::memcpy(train + i * work_.payload, payloads_.at(first + i), work_.payload);
    messages_.add(train, count * work_.payload, &peer(0), work_.payload);
  }

  std::size_t train_;
  raw::send_messages messages_;
  std::vector<std::byte> bytes_;
};

}  // namespace

sender_ptr raw_sendto(const job& work)
{
  return std::make_unique<sendto_sender>(work);
}
sender_ptr raw_sendmmsg(const job& work)
{
  return std::make_unique<sendmmsg_sender>(work);
}
sender_ptr raw_sendmmsg_watched(const job& work)
{
  return std::make_unique<watched_sendmmsg_sender>(work);
}

sender_ptr raw_gso_gathered(const job& work)
{
  return std::make_unique<gathered_sender>(work);
}

sender_ptr raw_gso(const job& work)
{
  return std::make_unique<gso_sender<false>>(work);
}

sender_ptr raw_gso_copied(const job& work)
{
  return std::make_unique<gso_sender<true>>(work);
}

}  // namespace bench::send
