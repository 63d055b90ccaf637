// SPDX-License-Identifier: BSL-1.0
// Sends datagrams over the loopback interface, to see what the kernel really does.
#ifndef DGRAM_DETAIL_PLATFORM_LOOPBACK_PROBE_HPP
#define DGRAM_DETAIL_PLATFORM_LOOPBACK_PROBE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/error_queue.hpp>
#include <dgram/detail/platform/probe_socket.hpp>

#if !defined(_WIN32)
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#endif

#include <array>
#include <cstddef>
#include <span>

DGRAM_NAMESPACE_BEGIN

namespace platform {

#if defined(_WIN32)

/// On Windows nothing is tried.
class loopback_probe {
public:
  loopback_probe(bool, error_code& ec) noexcept { ec.clear(); }
  static bool is_usable() noexcept { return false; }
  static descriptor_type descriptor() noexcept { return INVALID_SOCKET; }
  static bool echo(received_control&) noexcept { return false; }
  static bool takes_any_source() noexcept { return false; }
  static bool reports_errors(const probe_socket&) noexcept { return true; }
};

#else

/// A socket on the loopback address that is connected to itself. So it receives what it sends, and
/// the kernel refuses datagrams from other sockets to its port.
class loopback_probe {
public:
  /// `ec` is set only if no socket can be opened.
  loopback_probe(bool v4, error_code& ec) noexcept : socket_(v4 ? AF_INET : AF_INET6, ec), v4_(v4)
  {
    if (ec) return;
    const auto address = v4 ? net::ip::address(net::ip::address_v4::loopback())
                            : net::ip::address(net::ip::address_v6::loopback());
    own_ = net::ip::udp::endpoint(address, 0);
    auto size = static_cast<::socklen_t>(own_.capacity());
    is_usable_ = system::bind(descriptor(), own_.data(), own_size()) == 0 &&
                 system::getsockname(descriptor(), own_.data(), &size) == 0 &&
                 system::connect(descriptor(), own_.data(), own_size()) == 0;
  }

  /// False if the host has no loopback address of the family, for example.
  bool is_usable() const noexcept { return is_usable_; }
  descriptor_type descriptor() const noexcept { return socket_.descriptor(); }

  /// Sends a datagram to itself, and reads what the kernel says about it. Returns false if the
  /// datagram does not come back.
  bool echo(received_control& said) noexcept
  {
    alignas(::cmsghdr) std::array<std::byte, receive_control_size> control;
    std::array<std::byte, 1> payload{};
    ::iovec bytes{payload.data(), payload.size()};
    ::msghdr header{};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    if (system::sendmsg(descriptor(), &header, MSG_DONTWAIT) < 0) return false;
    ::pollfd readable{descriptor(), POLLIN, 0};
    constexpr int patience = 100;  // ms; the loopback interface delivers inside the send
    if (system::poll(&readable, 1, patience) != 1) return false;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    if (system::recvmsg(descriptor(), &header, MSG_DONTWAIT) < 0) return false;
    read_control(std::span<const std::byte>(control).first(header.msg_controllen), false, said);
    return true;
  }

  /// Whether the kernel sends from a source that no host has (RFC 5737, RFC 3849): then it ignores
  /// the source of a datagram.
  bool takes_any_source() noexcept
  {
    const auto source = v4_ ? net::ip::address(net::ip::address_v4(0xC0000201U))
                            : net::ip::address(net::ip::address_v6({0x20, 0x01, 0x0d, 0xb8}));
    alignas(::cmsghdr) std::array<std::byte, send_control_size> room{};
    send_control control(room);
    if (!control.add_source(source, 0, v4_)) return false;
    std::byte payload{};
    ::iovec bytes{&payload, 1};
    ::msghdr header{};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    header.msg_control = room.data();
    set_field(header.msg_controllen, control.size());
    if (system::sendmsg(descriptor(), &header, MSG_DONTWAIT) < 0) return false;
    received_control ignored;
    echo(ignored);  // takes the first of two datagrams; the other one is not looked at
    return true;
  }

  /// Whether the error queue of this unbound and unconnected socket reports that this probe's port
  /// refused a datagram.
  bool reports_errors(const probe_socket& from) noexcept
  {
    std::byte payload{};
    ::iovec bytes{&payload, 1};
    ::msghdr header{};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    header.msg_name = own_.data();
    header.msg_namelen = own_size();
    if (system::sendmsg(from.descriptor(), &header, MSG_DONTWAIT) < 0) return false;
    // The report usually comes inside the send. Otherwise the interface's queue delivers the
    // refused datagram before the first echo, and its report before the second one.
    for (int round = 0; round < 4; ++round) {
      queued_report report;
      if (next_report(from.descriptor(), report)) return true;
      received_control ignored;
      if (!echo(ignored)) return false;
    }
    return false;
  }

private:
  ::socklen_t own_size() const noexcept { return static_cast<::socklen_t>(own_.size()); }

  probe_socket socket_;
  net::ip::udp::endpoint own_;
  bool v4_;
  bool is_usable_ = false;
};

#endif

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
