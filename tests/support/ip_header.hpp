// SPDX-License-Identifier: BSL-1.0
// What the IP header of a datagram said, asked of the kernel without the library.
#ifndef DGRAM_TESTS_SUPPORT_IP_HEADER_HPP
#define DGRAM_TESTS_SUPPORT_IP_HEADER_HPP

#include "behaviour/helpers.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace test {

struct header_fields {
  int hop_limit = -1;
  int traffic_class = -1;
};

inline void ask_for_header(descriptor_type descriptor, bool six)
{
  const auto ask = [&](int level, int name) {
    REQUIRE(set_raw_option(descriptor, level, name, 1));
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

#if defined(_WIN32)

/// Calls the function with level, type and data of each control message of the next datagram.
template <class Function>
void for_each_control_message(descriptor_type descriptor, Function function)
{
  std::array<char, 64> payload;
  alignas(::WSACMSGHDR) std::array<char, 256> control{};
  ::WSABUF piece{static_cast<::ULONG>(payload.size()), payload.data()};
  ::WSAMSG message{};
  message.lpBuffers = &piece;
  message.dwBufferCount = 1;
  message.Control = {static_cast<::ULONG>(control.size()), control.data()};
  ::DWORD size = 0;
  REQUIRE(dgram::platform::system::receive_message(descriptor, &message, &size) == 0);
  for (auto* item = WSA_CMSG_FIRSTHDR(&message); item != nullptr;
       item = WSA_CMSG_NXTHDR(&message, item))
    function(item->cmsg_level, item->cmsg_type, WSA_CMSG_DATA(item),
             item->cmsg_len - WSA_CMSG_LEN(0));
}

#else

/// Calls the function with level, type and data of each control message of the next datagram.
template <class Function>
void for_each_control_message(descriptor_type descriptor, Function function)
{
  std::array<char, 64> payload;
  alignas(::cmsghdr) std::array<char, 256> control{};
  ::iovec piece{payload.data(), payload.size()};
  ::msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  REQUIRE(::recvmsg(descriptor, &message, 0) >= 0);
  for (auto* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item))
    function(item->cmsg_level, item->cmsg_type, CMSG_DATA(item),
             static_cast<std::size_t>(item->cmsg_len - CMSG_LEN(0)));
}

#endif

template <class Socket>
header_fields receive_header(asio::io_context& io, Socket& socket)
{
  wait_readable(io, socket);
  header_fields fields;
  for_each_control_message(socket.native_handle(),
                           [&](int level, int type, const void* data, std::size_t size) {
                             int value = 0;
                             std::memcpy(&value, data, std::min(sizeof value, size));
                             const bool six = level == IPPROTO_IPV6;
                             if (type == (six ? dgram::platform::rfc3542::hop_limit : IP_TTL))
                               fields.hop_limit = value;
                             if (type == (six ? IPV6_TCLASS : IP_TOS)) fields.traffic_class = value;
                           });
  return fields;
}

}  // namespace test

#endif
