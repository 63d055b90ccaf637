// SPDX-License-Identifier: BSL-1.0
#include "crowd.hpp"

#include "repetition.hpp"
#include "session_drain.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace bench {

crowd::crowd(std::size_t payload) : socket_(raw::make_socket(INADDR_ANY)), bytes_(payload)
{
}

unsigned short crowd::port() const
{
  return ntohs(raw::address_of(socket_.get()).sin_port);
}

void crowd::fill(int fd, std::size_t datagrams, std::size_t peers)
{
  const sockaddr_in to = raw::address_of(fd);
  for (; datagrams > 0; --datagrams)
    send(to, drain::peer_address(random_() % peers));
}

void crowd::fill_from_each(int fd, std::size_t first, std::size_t datagrams)
{
  const sockaddr_in to = raw::address_of(fd);
  for (std::size_t i = 0; i < datagrams; ++i)
    send(to, drain::peer_address(first + i));
}

std::size_t crowd::drain()
{
  char byte = 0;
  std::size_t datagrams = 0;
  while (::recv(socket_.get(), &byte, 1, MSG_DONTWAIT) >= 0)
    ++datagrams;
  return datagrams;
}

void crowd::send(sockaddr_in to, unsigned from)
{
  struct {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in_pktinfo))> bytes{};
  } control;
  iovec buffer{bytes_.data(), bytes_.size()};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_IP;
  header->cmsg_type = IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  in_pktinfo info{};
  info.ipi_spec_dst.s_addr = htonl(from);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
  if (::sendmsg(socket_.get(), &message, 0) < 0) throw std::runtime_error("cannot send");
}

void introduce(crowd& source, drain::drainer& by, std::size_t datagrams, std::size_t peers)
{
  for (std::size_t first = 0; first < peers; first += datagrams) {
    const std::size_t count = std::min(datagrams, peers - first);
    source.fill_from_each(by.descriptor(), first, count);
    by.take(count);
    source.drain();
  }
}

sample time_drain(crowd& source, drain::drainer& by, std::size_t datagrams, std::size_t peers,
                  bool answers, int repetitions)
{
  return repeat(
      datagrams, repetitions,
      [&](std::size_t count, repetition& now) {
        source.fill(by.descriptor(), count, peers);
        now.time([&] { by.take(count); });
        if (answers) now.count_lost(count - source.drain());
      },
      metric::cpu);
}

}  // namespace bench
