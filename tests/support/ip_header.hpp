// SPDX-License-Identifier: BSL-1.0
// What the IP header of a datagram said, asked of the kernel without the library.
#ifndef DGRAM_TESTS_SUPPORT_IP_HEADER_HPP
#define DGRAM_TESTS_SUPPORT_IP_HEADER_HPP

#include "behaviour/helpers.hpp"

#include <catch2/catch_test_macros.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace test {

struct header_fields {
  int hop_limit = -1;
  int traffic_class = -1;
};

inline void ask_for_header(int descriptor, bool six)
{
  const int on = 1;
  const auto ask = [&](int level, int name) {
    REQUIRE(::setsockopt(descriptor, level, name, &on, sizeof on) == 0);
  };
  ask(IPPROTO_IP, IP_RECVTTL);
#if defined(IP_RECVTOS)
  ask(IPPROTO_IP, IP_RECVTOS);
#endif
  if (six) {
    ask(IPPROTO_IPV6, dgram::platform::rfc3542::receive_hop_limit);
    ask(IPPROTO_IPV6, IPV6_RECVTCLASS);
  }
}

template <class Socket>
header_fields receive_header(asio::io_context& io, Socket& socket)
{
  wait_readable(io, socket);
  std::array<char, 64> payload;
  alignas(::cmsghdr) std::array<char, 256> control{};
  ::iovec piece{payload.data(), payload.size()};
  ::msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  REQUIRE(::recvmsg(socket.native_handle(), &message, 0) >= 0);
  header_fields fields;
  for (auto* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
    int value = 0;
    std::memcpy(&value, CMSG_DATA(item),
                std::min(sizeof value, static_cast<std::size_t>(item->cmsg_len - CMSG_LEN(0))));
    const bool six = item->cmsg_level == IPPROTO_IPV6;
    if (item->cmsg_type == (six ? dgram::platform::rfc3542::hop_limit : IP_TTL))
      fields.hop_limit = value;
    if (item->cmsg_type == (six ? IPV6_TCLASS : IP_TOS)) fields.traffic_class = value;
  }
  return fields;
}

}  // namespace test

#endif
