// SPDX-License-Identifier: BSL-1.0
// Counts the packets of an interface as tcpdump(8) would see them, without the library.
#ifndef DGRAM_TESTS_SUPPORT_CAPTURE_HPP
#define DGRAM_TESTS_SUPPORT_CAPTURE_HPP

#if defined(__linux__)

#include <catch2/catch_test_macros.hpp>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace test {

/// Sees all packets of one interface of the network namespace in which it is made, from then on.
/// Fragments are put together by their identification: a datagram counts if all of it was seen.
class capture {
public:
  /// What was seen in one direction.
  struct counts {
    std::map<std::uint16_t, std::size_t> datagrams;  ///< whole ones, by UDP port of destination
    std::size_t fragments = 0;                       ///< packets that are a part of a datagram
    std::size_t icmp_errors = 0;
    std::vector<std::uint32_t> order;  ///< the first four bytes of each datagram, as a number

    std::size_t to(std::uint16_t port) const
    {
      const auto found = datagrams.find(port);
      return found == datagrams.end() ? 0 : found->second;
    }
  };

  explicit capture(const std::string& interface)
      : descriptor_(
            ::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)))
  {
    if (descriptor_ == -1) SKIP("no packets can be captured here: " << std::strerror(errno));
    const int room = 1 << 26;
    if (::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0)
      SKIP("the capture has too little memory: " << std::strerror(errno));
    ::sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(ETH_P_ALL);
    at.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    REQUIRE(at.sll_ifindex != 0);
    REQUIRE(::bind(descriptor_, reinterpret_cast<const ::sockaddr*>(&at), sizeof at) == 0);
    // What came from other interfaces before the bind.
    std::array<std::byte, 1> rest;
    while (::recv(descriptor_, rest.data(), rest.size(), MSG_TRUNC) >= 0) {}
  }

  capture(capture&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        in_(std::move(other.in_)),
        out_(std::move(other.out_)),
        whole_(std::move(other.whole_))
  {
  }
  capture& operator=(capture&&) = delete;

  ~capture()
  {
    if (descriptor_ != -1) ::close(descriptor_);
  }

  /// What came in, and what went out, until now. Fails if the capture has missed any packet.
  const counts& in()
  {
    read();
    return in_;
  }
  const counts& out()
  {
    read();
    return out_;
  }

private:
  void read()
  {
    std::vector<std::byte> packet(70000);
    for (;;) {
      ::sockaddr_ll from{};
      ::socklen_t size = sizeof from;
      const auto length = ::recvfrom(descriptor_, packet.data(), packet.size(), 0,
                                     reinterpret_cast<::sockaddr*>(&from), &size);
      if (length == -1 && errno == ENETDOWN) continue;  // the interface went down: said once
      if (length == -1) break;
      counts& into = from.sll_pkttype == PACKET_OUTGOING ? out_ : in_;
      const auto bytes = std::span(packet).first(static_cast<std::size_t>(length));
      if (from.sll_protocol == htons(ETH_P_IP)) read_v4(into, bytes);
      if (from.sll_protocol == htons(ETH_P_IPV6)) read_v6(into, bytes);
    }
    ::tpacket_stats missed{};
    ::socklen_t size = sizeof missed;
    REQUIRE(::getsockopt(descriptor_, SOL_PACKET, PACKET_STATISTICS, &missed, &size) == 0);
    REQUIRE(missed.tp_drops == 0);
  }

  static std::uint32_t number_at(std::span<const std::byte> from, std::size_t offset,
                                 std::size_t size)
  {
    std::uint32_t value = 0;
    if (offset + size > from.size()) return 0;
    for (const std::byte each : from.subspan(offset, size))
      value = value << 8U | std::to_integer<std::uint32_t>(each);
    return value;
  }

  void read_v4(counts& into, std::span<const std::byte> packet)
  {
    if (packet.size() < 20) return;
    const std::size_t header = (number_at(packet, 0, 1) & 0xFU) * 4;
    const std::uint32_t protocol = number_at(packet, 9, 1);
    const std::uint32_t position = number_at(packet, 6, 2);
    const bool more = (position & 0x2000U) != 0;
    const std::uint32_t offset = (position & 0x1FFFU) * 8;
    const std::span<const std::byte> payload = packet.subspan(header);
    if (protocol == IPPROTO_ICMP &&
        (number_at(payload, 0, 1) == 3 || number_at(payload, 0, 1) == 11))
      ++into.icmp_errors;
    if (protocol != IPPROTO_UDP) return;
    if (!more && offset == 0) return count(into, payload);
    add_fragment(into, number_at(packet, 4, 2), offset, more, payload);
  }

  void read_v6(counts& into, std::span<const std::byte> packet)
  {
    if (packet.size() < 40) return;
    const std::uint32_t next = number_at(packet, 6, 1);
    const std::span<const std::byte> payload = packet.subspan(40);
    // RFC 4443: errors are the types below 128.
    if (next == IPPROTO_ICMPV6 && number_at(payload, 0, 1) < 128) ++into.icmp_errors;
    if (next == IPPROTO_UDP) return count(into, payload);
    if (next != IPPROTO_FRAGMENT || payload.size() < 8) return;
    if (number_at(payload, 0, 1) != IPPROTO_UDP) return;
    const std::uint32_t position = number_at(payload, 2, 2);
    add_fragment(into, number_at(payload, 4, 4), position & 0xFFF8U, (position & 1U) != 0,
                 payload.subspan(8));
  }

  void count(counts& into, std::span<const std::byte> datagram)
  {
    ++into.datagrams[static_cast<std::uint16_t>(number_at(datagram, 2, 2))];
    into.order.push_back(number_at(datagram, 8, 4));
  }

  /// The bytes of one datagram that were seen.
  struct parts {
    std::size_t seen = 0;
    std::size_t total = 0;  // 0: the last fragment was not seen
    std::set<std::uint32_t> offsets;
    std::vector<std::byte> head;
  };

  void add_fragment(counts& into, std::uint32_t id, std::uint32_t offset, bool more,
                    std::span<const std::byte> payload)
  {
    ++into.fragments;
    parts& of = whole_[{&into == &in_, id}];
    if (!of.offsets.insert(offset).second) return;
    of.seen += payload.size();
    if (!more) of.total = offset + payload.size();
    if (offset == 0) of.head.assign(payload.begin(), payload.begin() + 12);
    if (of.total != of.seen || of.head.empty()) return;
    count(into, of.head);
    whole_.erase({&into == &in_, id});
  }

  int descriptor_;
  counts in_;
  counts out_;
  std::map<std::pair<bool, std::uint32_t>, parts> whole_;
};

}  // namespace test

#endif
#endif
