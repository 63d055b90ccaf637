// SPDX-License-Identifier: BSL-1.0
#include "drain.hpp"
#include "raw.hpp"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <vector>

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
  recvmmsg_drainer(std::size_t slots, std::size_t slot_size, bool coalesced)
      : slots_(slots, slot_size, coalesced)
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
  /// Looks at each datagram, as every receiver does.
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

/// Walks the control messages as recvmsg(2)'s manual pages show it.
class metadata_drainer : public drainer {
public:
  explicit metadata_drainer(std::size_t slots)
      : storage_(slots * 2112), buffers_(slots), senders_(slots), controls_(slots), messages_(slots)
  {
    const int on = 1;
    const int stamps = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
                       SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE;
    set(IPPROTO_IP, IP_PKTINFO, on);
    set(IPPROTO_IP, IP_RECVTOS, on);
    set(IPPROTO_IP, IP_RECVTTL, on);
    set(SOL_SOCKET, SO_TIMESTAMPING, stamps);
    set(SOL_SOCKET, SO_RXQ_OVFL, on);
    for (std::size_t i = 0; i < slots; ++i) {
      buffers_[i] = {storage_.data() + i * 2112, 2048};
      msghdr& header = messages_[i].msg_hdr;
      header.msg_iov = &buffers_[i];
      header.msg_iovlen = 1;
      header.msg_name = &senders_[i];
      header.msg_control = &controls_[i];
    }
    used_ = slots;
  }

  int descriptor() override { return socket_.get(); }

  void take(std::size_t count) override
  {
    while (count > 0) {
      for (std::size_t i = 0; i < used_; ++i) {
        messages_[i].msg_hdr.msg_namelen = sizeof(sockaddr_in);
        messages_[i].msg_hdr.msg_controllen = sizeof(control);
      }
      const int taken = ::recvmmsg(socket_.get(), messages_.data(),
                                   static_cast<unsigned>(messages_.size()), MSG_DONTWAIT, nullptr);
      if (taken <= 0) throw std::runtime_error("recvmmsg found too few datagrams");
      used_ = static_cast<std::size_t>(taken);
      for (std::size_t i = 0; i < used_; ++i)
        visit(messages_[i]);
      count -= used_;
    }
  }

private:
  struct control {
    alignas(cmsghdr) std::array<std::byte, 320> bytes;
  };

  void set(int level, int name, int value)
  {
    if (::setsockopt(socket_.get(), level, name, &value, sizeof value) != 0)
      throw std::runtime_error("setsockopt refused what a datagram should say");
  }

  void visit(mmsghdr& message)
  {
    seen_ += message.msg_len;
    msghdr& header = message.msg_hdr;
    for (cmsghdr* next = CMSG_FIRSTHDR(&header); next != nullptr;
         next = CMSG_NXTHDR(&header, next)) {
      if (next->cmsg_level == IPPROTO_IP && next->cmsg_type == IP_PKTINFO) {
        in_pktinfo info;
        std::memcpy(&info, CMSG_DATA(next), sizeof info);
        seen_ += info.ipi_addr.s_addr + static_cast<unsigned>(info.ipi_ifindex);
      } else if (next->cmsg_level == IPPROTO_IP && next->cmsg_type == IP_TTL) {
        int limit = 0;
        std::memcpy(&limit, CMSG_DATA(next), sizeof limit);
        seen_ += static_cast<unsigned>(limit);
      } else if (next->cmsg_level == IPPROTO_IP && next->cmsg_type == IP_TOS) {
        seen_ += *CMSG_DATA(next);
      } else if (next->cmsg_level == SOL_SOCKET && next->cmsg_type == SCM_TIMESTAMPING) {
        std::array<timespec, 3> times;
        std::memcpy(&times, CMSG_DATA(next), sizeof times);
        seen_ += static_cast<std::size_t>(times[0].tv_nsec);
      }
    }
  }

  raw::descriptor socket_ = raw::make_socket();
  std::vector<char> storage_;
  std::vector<iovec> buffers_;
  std::vector<sockaddr_in> senders_;
  std::vector<control> controls_;
  std::vector<mmsghdr> messages_;
  std::size_t used_ = 0;
  std::size_t seen_ = 0;
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
  return std::make_unique<recvmmsg_drainer>(slots, coalesced ? 65536 : 2048, coalesced);
}

drainer_ptr raw_recvmmsg_large(std::size_t slots)
{
  return std::make_unique<recvmmsg_drainer>(slots, 65536, false);
}

drainer_ptr raw_metadata(std::size_t slots)
{
  return std::make_unique<metadata_drainer>(slots);
}

drainer_ptr raw_echo(std::size_t slots)
{
  return std::make_unique<coalesce_drainer>(slots);
}

}  // namespace bench::drain
