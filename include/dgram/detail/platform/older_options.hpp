// SPDX-License-Identifier: BSL-1.0
// The older forms of options that a system may lack: gVisor and qemu's user mode lack RFC 3678's.
#ifndef DGRAM_DETAIL_PLATFORM_OLDER_OPTIONS_HPP
#define DGRAM_DETAIL_PLATFORM_OLDER_OPTIONS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/queries.hpp>

#if !defined(_WIN32)
#include <netinet/in.h>
#include <sys/socket.h>
#endif

#include <cstddef>
#include <cstring>
#include <optional>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// Whether the system does not know an option. Some systems report EINVAL, which has other causes
/// too.
inline bool is_unknown_option(const error_code& ec) noexcept
{
  return ec == net::error::no_protocol_option || ec == net::error::operation_not_supported;
}

inline bool may_be_unknown_option(const error_code& ec) noexcept
{
  return is_unknown_option(ec) || ec == net::error::invalid_argument;
}

#if defined(_WIN32)

template <class Source>
void change_group_otherwise(descriptor_type, int, const net::ip::address&, const Source&, unsigned,
                            error_code&) noexcept
{
}

#else

namespace older {

inline int group_name(int newer, bool v4) noexcept
{
  if (newer == names::join_group) return v4 ? IP_ADD_MEMBERSHIP : IPV6_JOIN_GROUP;
  return v4 ? IP_DROP_MEMBERSHIP : IPV6_LEAVE_GROUP;
}

#if defined(IP_ADD_SOURCE_MEMBERSHIP)
inline int source_name(int newer) noexcept
{
  if (newer == names::join_source) return IP_ADD_SOURCE_MEMBERSHIP;
  if (newer == names::leave_source) return IP_DROP_SOURCE_MEMBERSHIP;
  return newer == names::block_source ? IP_BLOCK_SOURCE : IP_UNBLOCK_SOURCE;
}
#endif

/// Returns the first IPv4 address of this interface, if no other interface has it too. Index 0 has
/// the unspecified address.
inline std::optional<net::ip::address_v4> address_of(unsigned index)
{
  if (index == 0) return net::ip::address_v4();
  error_code ec;
  std::optional<net::ip::address_v4> found;
  const auto entries = interfaces(ec);
  for (const auto& entry : entries)
    if (!found && entry.address.is_v4() && entry.has_address &&
        interface_index(entry.name) == index)
      found = entry.address.to_v4();
  for (const auto& entry : entries)
    if (found && entry.address == *found && interface_index(entry.name) != index)
      return std::nullopt;
  return found;
}

inline ::in_addr to_system(const net::ip::address_v4& address) noexcept
{
  ::in_addr result{};
  result.s_addr = htonl(address.to_uint());
  return result;
}

inline void change_group(int fd, int newer, const net::ip::address& group, unsigned index,
                         error_code& ec) noexcept
{
  if (group.is_v4()) {
#if defined(__NetBSD__)
    ::ip_mreq request{};
    request.imr_interface = make_interface_request(index, {});
#else
    ::ip_mreqn request{};
    request.imr_ifindex = static_cast<int>(index);
#endif
    request.imr_multiaddr = to_system(group.to_v4());
    set_option(fd, IPPROTO_IP, group_name(newer, true), &request, sizeof request, ec);
  } else {
    ::ipv6_mreq request{};
    const auto bytes = group.to_v6().to_bytes();
    std::memcpy(&request.ipv6mr_multiaddr, bytes.data(), bytes.size());
    request.ipv6mr_interface = index;
    set_option(fd, IPPROTO_IPV6, group_name(newer, false), &request, sizeof request, ec);
  }
}

#if defined(IP_ADD_SOURCE_MEMBERSHIP)
/// IPv6 has no older form with a source. IPv4's names the interface by an address.
inline void change_source(int fd, int newer, const net::ip::address& group,
                          const net::ip::address& source, unsigned index, error_code& ec)
{
  const auto interface = group.is_v4() ? address_of(index) : std::nullopt;
  if (!interface) {
    ec = net::error::operation_not_supported;
    return;
  }
  ::ip_mreq_source request{};
  request.imr_multiaddr = to_system(group.to_v4());
  request.imr_interface = to_system(*interface);
  request.imr_sourceaddr = to_system(source.to_v4());
  set_option(fd, IPPROTO_IP, source_name(newer), &request, sizeof request, ec);
}
#else
inline void change_source(int, int, const net::ip::address&, const net::ip::address&, unsigned,
                          error_code& ec)
{
  ec = net::error::operation_not_supported;
}
#endif

}  // namespace older

/// If `ec` may say that the system does not know the option `newer` of RFC 3678, changes the
/// membership with the older option that means the same. `ec` stays if there is none. `source` is
/// an optional address.
template <class Source>
void change_group_otherwise(descriptor_type fd, int newer, const net::ip::address& group,
                            const Source& source, unsigned index, error_code& ec)
{
  if (!may_be_unknown_option(ec)) return;
  error_code otherwise;
  if (source)
    older::change_source(fd, newer, group, *source, index, otherwise);
  else
    older::change_group(fd, newer, group, index, otherwise);
  if (!is_unknown_option(otherwise)) ec = otherwise;
}

#endif

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
