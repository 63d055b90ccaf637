// SPDX-License-Identifier: BSL-1.0
// How a socket joins, leaves, blocks and unblocks: one interface or all of them.
#ifndef DGRAM_DETAIL_SOCKET_MEMBERSHIP_HPP
#define DGRAM_DETAIL_SOCKET_MEMBERSHIP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/queries.hpp>
#include <dgram/error.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>

#include <algorithm>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The options of RFC 3678 that a change of membership may be; a dual-stack socket takes them for both families.
enum class membership_change { join, leave, block, unblock };

inline int change_name(membership_change change, bool has_source) noexcept
{
  namespace names = platform::names;
  switch (change) {
  case membership_change::join: return has_source ? names::join_source : names::join_group;
  case membership_change::leave: return has_source ? names::leave_source : names::leave_group;
  case membership_change::block: return names::block_source;
  case membership_change::unblock: return names::unblock_source;
  }
  return names::unsupported;
}

/// What a change is asked of: a descriptor and the families that its socket serves.
struct membership_socket {
  platform::descriptor_type descriptor;
  bool serves_v4;
  bool serves_v6;
};

inline error_code check_group(const membership_socket& socket, membership_change change,
                              const multicast_group& group)
{
  const auto& address = group.address();
  if (!address.is_multicast()) return error::not_multicast;
  if (address.is_v4() ? !socket.serves_v4 : !socket.serves_v6)
    return net::error::address_family_not_supported;
  const auto& source = group.source();
  if (!source) {
    const bool needs_source =
        change == membership_change::block || change == membership_change::unblock;
    return needs_source ? make_error_code(error::bad_source) : error_code();
  }
  if (source->is_v4() != address.is_v4()) return net::error::address_family_not_supported;
  if (source->is_multicast() || source->is_unspecified()) return error::bad_source;
  return {};
}

/// Asks the kernel, by the interface with this index.
inline void change_membership(const membership_socket& socket, membership_change change,
                              const multicast_group& group, unsigned index, error_code& ec)
{
  const auto& address = group.address();
  const int level = address.is_v4() ? platform::names::ipv4_level : platform::names::ipv6_level;
  const auto& source = group.source();
  const int name = change_name(change, source.has_value());
  const net::ip::udp::endpoint native(address, 0);
  if (source) {
    const net::ip::udp::endpoint from(*source, 0);
    const auto request =
        platform::make_source_request(index, native.data(), from.data(), native.size());
    platform::set_option(socket.descriptor, level, name, &request, sizeof request, ec);
  } else {
    const auto request = platform::make_group_request(index, native.data(), native.size());
    platform::set_option(socket.descriptor, level, name, &request, sizeof request, ec);
  }
}

/// The interfaces that joining on "all" means: those that are up, have multicast and an address of the group's family,
/// but loopback. What is left or blocked is so on every interface, whatever has become of it meanwhile.
inline std::vector<unsigned> interfaces_for(membership_change change, bool v4, error_code& ec)
{
  std::vector<unsigned> indices;
  for (const auto& entry : platform::interfaces(ec)) {
    const bool carries = entry.is_up && entry.has_multicast && !entry.is_loopback &&
                         entry.has_address && entry.address.is_v4() == v4;
    if (change == membership_change::join && !carries) continue;
    const unsigned index = platform::interface_index(entry.name);
    if (index != 0 && std::find(indices.begin(), indices.end(), index) == indices.end())
      indices.push_back(index);
  }
  return indices;
}

/// Where joining is refused on an interface that is still there, what was joined is left again. An interface that is a
/// member already is none of ours to leave, and no reason to give the others up. Returns where it was joined.
inline std::vector<unsigned> join_on_all(const membership_socket& socket,
                                         const multicast_group& group, error_code& ec)
{
  const bool v4 = group.address().is_v4();
  std::vector<unsigned> joined;
  error_code already = error::no_multicast;
  const auto indices = interfaces_for(membership_change::join, v4, ec);
  if (ec) return joined;
  for (const unsigned index : indices) {
    change_membership(socket, membership_change::join, group, index, ec);
    if (!ec) {
      joined.push_back(index);
    } else if (platform::is_member_already(ec)) {
      already = ec;
    } else if (!platform::interface_name(index).empty()) {
      error_code ignored;
      for (const unsigned other : joined)
        change_membership(socket, membership_change::leave, group, other, ignored);
      joined.clear();
      return joined;
    }
  }
  if (joined.empty())
    ec = already;
  else
    ec.clear();
  return joined;
}

/// Succeeds where it does on one interface; otherwise the first error is told.
inline void change_on_each(const membership_socket& socket, membership_change change,
                           const multicast_group& group, const std::vector<unsigned>& indices,
                           error_code& ec)
{
  bool changed = false;
  ec = error::no_multicast;
  for (const unsigned index : indices) {
    error_code one;
    change_membership(socket, change, group, index, one);
    if (!one) changed = true;
    if (ec == error::no_multicast) ec = one;
  }
  if (changed) ec.clear();
}

/// With `membership_change::join` on all interfaces `joined` has where that was; nothing otherwise.
inline void change_membership(const membership_socket& socket, membership_change change,
                              const multicast_group& group, const network_interface& interface,
                              std::vector<unsigned>& joined, error_code& ec)
{
  ec = check_group(socket, change, group);
  if (ec) return;
  if (interface.is_all()) {
    if (change == membership_change::join) {
      joined = join_on_all(socket, group, ec);
    } else {
      const auto indices = interfaces_for(change, group.address().is_v4(), ec);
      if (!ec) change_on_each(socket, change, group, indices, ec);
    }
    return;
  }
  unsigned index =
      change == membership_change::join ? multicast_index(interface, ec) : interface.index(ec);
  if (ec) return;
  // A link-local group's scope is an interface too (RFC 4007, section 6).
  if (index == 0 && group.address().is_v6()) index = group.address().to_v6().scope_id();
  change_membership(socket, change, group, index, ec);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
