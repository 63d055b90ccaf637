// SPDX-License-Identifier: BSL-1.0
#include "growth.hpp"

#include "raw.hpp"
#include "turn.hpp"

#include <dgram.hpp>
#include <dgram/reader.hpp>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/ip/udp.hpp>

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <functional>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace bench::drain {

namespace {

constexpr std::size_t slots = 64;
constexpr std::size_t slot_size = 2048;

class epoll_sockets : public many_sockets {
public:
  void open(std::size_t count) override
  {
    for (; count > 0; --count) {
      const raw::descriptor& added = sockets_.emplace_back(raw::make_socket());
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = added.get();
      if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, added.get(), &event) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    }
  }

  std::size_t size() const override { return sockets_.size(); }
  int descriptor(std::size_t number) override { return sockets_[number].get(); }

  void take(std::size_t count) override
  {
    for (std::size_t taken = 0; taken < count;) {
      const int ready = ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(slots), 0);
      if (ready <= 0) throw std::runtime_error("epoll_wait found too few datagrams");
      for (int i = 0; i < ready; ++i)
        taken += receive(events_[static_cast<std::size_t>(i)].data.fd);
    }
  }

private:
  std::size_t receive(int fd)
  {
    const std::size_t filled = slots_.receive(fd);
    for (std::size_t i = 0; i < filled; ++i)
      bytes_ += slots_.size(i);
    return filled;
  }

  std::vector<raw::descriptor> sockets_;
  raw::descriptor epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::array<epoll_event, slots> events_;
  raw::receive_slots slots_{slots, slot_size, false};
  std::size_t bytes_ = 0;
};

/// What the sockets of a program have in common.
struct shared_work {
  void count(std::size_t size)
  {
    bytes += size;
    if (--left == 0) turn.end();
  }

  turns turn;
  std::size_t left = 0;
  std::size_t bytes = 0;
};

/// `One(work)` has a bound socket, and gives the size of each datagram to `work.count`.
template <class One>
class program_sockets : public many_sockets {
public:
  void open(std::size_t count) override
  {
    for (; count > 0; --count)
      sockets_.push_back(std::make_unique<One>(work_));
  }

  std::size_t size() const override { return sockets_.size(); }
  int descriptor(std::size_t number) override { return sockets_[number]->descriptor(); }

  void take(std::size_t count) override
  {
    work_.left = count;
    work_.turn.run(count);
    if (work_.left > 0) throw std::runtime_error("the sockets took too few datagrams");
  }

private:
  shared_work work_;
  std::vector<std::unique_ptr<One>> sockets_;
};

/// As it is usually written: each socket has a buffer for the next datagram.
class asio_socket {
public:
  explicit asio_socket(shared_work& work)
      : work_(work), socket_(work.turn.context(), asio::ip::udp::v4(), raw::make_socket().release())
  {
    receive();
  }

  int descriptor() { return socket_.native_handle(); }

private:
  void receive()
  {
    socket_.async_receive_from(asio::buffer(buffer_), sender_,
                               [this](const std::error_code& ec, std::size_t size) {
                                 if (ec) return;
                                 work_.count(size);
                                 receive();
                               });
  }

  shared_work& work_;
  asio::ip::udp::socket socket_;
  asio::ip::udp::endpoint sender_;
  std::array<char, slot_size> buffer_;
};

class reader_socket {
public:
  explicit reader_socket(shared_work& work)
      : work_(work),
        socket_(work.turn.context(), dgram::udp::v4(), raw::make_socket().release()),
        reader_(socket_)
  {
    asio::co_spawn(work.turn.context(), receive(), asio::detached);
  }

  int descriptor() { return socket_.native_handle(); }

private:
  asio::awaitable<void> receive()
  {
    while (const auto datagram = co_await reader_.next())
      work_.count(datagram->payload().size());
  }

  shared_work& work_;
  dgram::udp::socket socket_;
  dgram::reader<dgram::udp, dgram::udp::socket::executor_type> reader_;
};

class emitter_user {
public:
  explicit emitter_user(shared_work& work)
      : socket_(dgram::create_socket(work.turn.context(), dgram::udp4))
  {
    socket_.on<dgram::event::message>(
        [&work](dgram::bytes_view message) { work.count(message.size()); });
    socket_.bind({.fd = raw::make_socket().release()});
  }

  int descriptor() { return socket_.native_handle(); }

private:
  dgram::emitter_socket socket_;
};

class functions_drainer : public drainer {
public:
  explicit functions_drainer(std::size_t count)
  {
    for (; count > 0; --count)
      functions_.emplace_back([this](std::size_t size) { bytes_ += size; });
  }

  int descriptor() override { return socket_.get(); }

  void take(std::size_t count) override
  {
    for (std::size_t taken = 0; taken < count;) {
      const std::size_t filled = slots_.receive(socket_.get());
      if (filled == 0) throw std::runtime_error("recvmmsg found too few datagrams");
      for (std::size_t i = 0; i < filled; ++i)
        for (const auto& each : functions_)
          each(slots_.size(i));
      taken += filled;
    }
  }

private:
  raw::descriptor socket_ = raw::make_socket();
  raw::receive_slots slots_{slots, slot_size, false};
  std::vector<std::function<void(std::size_t)>> functions_;
  std::size_t bytes_ = 0;
};

class listeners_drainer : public drainer {
public:
  explicit listeners_drainer(std::size_t count)
  {
    for (std::size_t i = 1; i < count; ++i)
      socket_.on<dgram::event::message>(
          [this](dgram::bytes_view message) { work_.bytes += message.size(); });
    socket_.on<dgram::event::message>(
        [this](dgram::bytes_view message) { work_.count(message.size()); });
    socket_.bind({.fd = raw::make_socket().release()});
  }

  int descriptor() override { return socket_.native_handle(); }

  void take(std::size_t count) override
  {
    work_.left = count;
    work_.turn.run(count);
  }

private:
  shared_work work_;
  dgram::emitter_socket socket_ = dgram::create_socket(work_.turn.context(), dgram::udp4);
};

}  // namespace

many_sockets_ptr raw_sockets()
{
  return std::make_unique<epoll_sockets>();
}
many_sockets_ptr asio_sockets()
{
  return std::make_unique<program_sockets<asio_socket>>();
}
many_sockets_ptr dgram_readers()
{
  return std::make_unique<program_sockets<reader_socket>>();
}
many_sockets_ptr dgram_emitters()
{
  return std::make_unique<program_sockets<emitter_user>>();
}

drainer_ptr raw_recvmmsg_functions(std::size_t count)
{
  return std::make_unique<functions_drainer>(count);
}
drainer_ptr dgram_emitter_listeners(std::size_t count)
{
  return std::make_unique<listeners_drainer>(count);
}

}  // namespace bench::drain
