// SPDX-License-Identifier: BSL-1.0
#include "drain.hpp"
#include "raw.hpp"

#include <array>
#include <stdexcept>

namespace bench::drain {

namespace {

class recvfrom_drainer : public drainer {
public:
  int descriptor() override { return socket_.get(); }

  void take(std::size_t count) override
  {
    for (; count > 0; --count) {
      sockaddr_in sender;
      socklen_t size = sizeof sender;
      if (::recvfrom(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT,
                     reinterpret_cast<sockaddr*>(&sender), &size) < 0)
        throw std::runtime_error("recvfrom found too few datagrams");
    }
  }

private:
  raw::descriptor socket_ = raw::make_socket();
  std::array<char, 2048> buffer_;
};

class recvmmsg_drainer : public drainer {
public:
  recvmmsg_drainer(std::size_t slots, bool coalesced)
      : slots_(slots, coalesced ? 65536 : 2048, coalesced)
  {
    if (coalesced) raw::set_coalescing(socket_.get(), true);
  }

  int descriptor() override { return socket_.get(); }

  void take(std::size_t count) override
  {
    for (std::size_t taken = 0; taken < count;) {
      const std::size_t filled = slots_.receive(socket_.get());
      if (filled == 0) throw std::runtime_error("recvmmsg found too few datagrams");
      for (std::size_t i = 0; i < filled; ++i)
        taken += visit(i);
    }
  }

private:
  /// Looks at each datagram, as whoever takes them will.
  std::size_t visit(std::size_t slot)
  {
    const std::size_t segment = slots_.segment_size(slot);
    std::size_t datagrams = 0;
    std::size_t rest = slots_.size(slot);
    do {
      const std::size_t size = rest < segment ? rest : segment;
      bytes_ += size;
      rest -= size;
      ++datagrams;
    } while (rest > 0);
    return datagrams;
  }

  raw::descriptor socket_ = raw::make_socket();
  raw::receive_slots slots_;
  std::size_t bytes_ = 0;
};

class coalesce_drainer : public drainer {
public:
  explicit coalesce_drainer(std::size_t slots) : slots_(slots, 65536, true)
  {
    raw::set_coalescing(socket_.get(), true);
  }

  int descriptor() override { return socket_.get(); }

  void take(std::size_t count) override
  {
    for (std::size_t taken = 0; taken < count;) {
      const std::size_t filled = slots_.receive(socket_.get());
      if (filled == 0) throw std::runtime_error("recvmmsg found too few datagrams");
      taken += raw::answer_coalesced(socket_.get(), slots_, filled, replies_);
    }
  }

private:
  raw::descriptor socket_ = raw::make_socket();
  raw::receive_slots slots_;
  raw::reply_arena replies_{1024, 256 << 10};
};

}  // namespace

drainer_ptr raw_recvfrom()
{
  return std::make_unique<recvfrom_drainer>();
}

drainer_ptr raw_recvmmsg(std::size_t slots, bool coalesced)
{
  return std::make_unique<recvmmsg_drainer>(slots, coalesced);
}

drainer_ptr raw_echo(std::size_t slots)
{
  return std::make_unique<coalesce_drainer>(slots);
}

}  // namespace bench::drain
