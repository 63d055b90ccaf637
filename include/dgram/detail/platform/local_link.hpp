// SPDX-License-Identifier: BSL-1.0
// Connections between two processes of this host that keep messages apart and name the peer's user.
#ifndef DGRAM_DETAIL_PLATFORM_LOCAL_LINK_HPP
#define DGRAM_DETAIL_PLATFORM_LOCAL_LINK_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/message.hpp>
#include <dgram/detail/platform/system.hpp>
#include <dgram/owned_descriptor.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// The user that the process has for access to files.
inline std::uint32_t effective_user() noexcept
{
  return ::geteuid();
}

#if defined(__linux__)

inline constexpr bool has_local_links = true;

inline owned_descriptor open_link(error_code& ec) noexcept
{
  owned_descriptor opened(
      system::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!opened)
    ec = last_error();
  else
    ec.clear();
  return opened;
}

/// Accepts a connection without blocking.
inline owned_descriptor accept_link(int listening, error_code& ec) noexcept
{
  for (;;) {
    owned_descriptor accepted(system::accept4(listening, SOCK_CLOEXEC | SOCK_NONBLOCK));
    ec.clear();
    if (accepted) return accepted;
    // A peer that has gone is no reason to stop (accept(2)).
    if (errno == EINTR || errno == ECONNABORTED) continue;
    ec = last_error();
    return accepted;
  }
}

/// Finds the process at the other end: of a connection the one that connected, or that called
/// listen(2), as it was then (unix(7), SO_PEERCRED).
inline void read_peer(int link, std::int32_t& process, std::uint32_t& user, std::uint32_t& group,
                      error_code& ec) noexcept
{
  ::ucred peer{};
  get_option(link, SOL_SOCKET, SO_PEERCRED, &peer, sizeof peer, ec);
  process = peer.pid;
  user = peer.uid;
  group = peer.gid;
}

#else

// Other systems have no sequenced packets, or name the peer in other ways.
inline constexpr bool has_local_links = false;

inline owned_descriptor open_link(error_code& ec) noexcept
{
  ec = net::error::operation_not_supported;
  return {};
}

inline owned_descriptor accept_link(int, error_code& ec) noexcept
{
  ec = net::error::operation_not_supported;
  return {};
}

inline void read_peer(int, std::int32_t&, std::uint32_t&, std::uint32_t&, error_code& ec) noexcept
{
  ec = net::error::operation_not_supported;
}

#endif

inline void listen_on_link(int link, error_code& ec) noexcept
{
  constexpr int backlog = 16;
  ec.clear();
  if (system::listen(link, backlog) != 0) ec = last_error();
}

/// Connects without blocking; `would_block` if too many connections wait to be accepted.
inline void connect_link(int link, const void* address, std::size_t size, error_code& ec) noexcept
{
  ec.clear();
  const auto* const peer = static_cast<const ::sockaddr*>(address);
  while (system::connect(link, peer, static_cast<::socklen_t>(size)) != 0) {
    if (errno == EINTR) continue;
    ec = last_error();
    return;
  }
}

/// Sends one message without blocking, with a descriptor unless `passed` is none.
inline void send_on_link(int link, std::span<const std::byte> bytes, descriptor_type passed,
                         error_code& ec) noexcept
{
  control_buffer control{};
  std::size_t used = 0;
  message out;
  buffer payload = make_buffer(bytes.data(), bytes.size());
  out.set_buffers(&payload, 1);
  if (passed != no_descriptor) {
    append_descriptors(control.bytes, used, std::span(&passed, 1));
    out.set_control(std::span<const std::byte>(control.bytes).first(used));
  }
  ec.clear();
  backend::send(link, &out, 1, 0, ec);
}

/// Receives one message without blocking, and perhaps a descriptor. Returns the size of the
/// message, which may be larger than the room. 0 means that the connection has ended.
inline std::size_t receive_on_link(int link, std::span<std::byte> room, owned_descriptor& passed,
                                   error_code& ec) noexcept
{
  control_buffer control{};
  message in;
  buffer payload = make_buffer(room.data(), room.size());
  in.set_buffers(&payload, 1);
  in.set_control(control);
  ec.clear();
  if (backend::receive(link, &in, 1, descriptors_close_on_exec, ec) == 0) return 0;
  passed = owned_descriptor(take_descriptor(in.control()));
  close_descriptors(in.control());
  // Not every backend tells the size of a longer message.
  return in.truncated() ? std::max(in.size(), room.size() + 1) : in.size();
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
