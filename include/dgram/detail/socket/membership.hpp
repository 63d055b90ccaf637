// SPDX-License-Identifier: BSL-1.0
// Joins, leaves, blocks and unblocks groups, also on an interface that was renamed or removed.
#ifndef DGRAM_DETAIL_SOCKET_MEMBERSHIP_HPP
#define DGRAM_DETAIL_SOCKET_MEMBERSHIP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/older_options.hpp>
#include <dgram/detail/platform/queries.hpp>
#include <dgram/error.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The options of RFC 3678 that change a membership. A dual-stack socket takes them for both
/// families.
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

/// The socket to change: its descriptor, and the families that it serves.
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

/// Asks the kernel for a change on the interface with this index.
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
  if (ec) platform::change_group_otherwise(socket.descriptor, name, address, source, index, ec);
}

/// Leaves by the index of the join. If the interface is gone, the kernel does not leave a source
/// (net/ipv4/igmp.c, ip_mc_source), but it does leave the group. That loses nothing, since a
/// removed interface delivers nothing.
inline void leave_by_index(const membership_socket& socket, const multicast_group& group,
                           unsigned index, error_code& ec)
{
  change_membership(socket, membership_change::leave, group, index, ec);
  if (ec == platform::no_such_device() && group.source() && index != 0)
    change_membership(socket, membership_change::leave, multicast_group(group.address()), index,
                      ec);
}

/// The groups that a socket has joined, and the interface index of each. The kernel keeps a
/// membership by that index until the socket leaves. By then, the interface may have been renamed
/// or removed, or another one may have its name and address.
class joined_groups {
public:
  void add(const multicast_group& group, const network_interface& interface, unsigned index)
  {
    entries_.push_back({group, to_string(interface), platform::interface_name(index), index});
  }

  /// Returns the index of a join on this interface. The name is compared with the one that the
  /// caller used then, and with the system's name at that time. The last such join counts.
  const unsigned* find(const multicast_group& group, const network_interface& interface) const
  {
    const std::string called = to_string(interface);
    // By numbers, because <ranges> and reverse iterators cost every user compile time.
    for (std::size_t i = entries_.size(); i-- > 0;) {
      const membership& entry = entries_[i];
      if (is_same(entry.group, group) && (entry.called == called || entry.name == called))
        return &entry.index;
    }
    return nullptr;
  }

  void remove(const multicast_group& group, unsigned index)
  {
    for (std::size_t i = entries_.size(); i-- > 0;) {
      if (entries_[i].index != index || !is_same(entries_[i].group, group)) continue;
      entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
  }

  /// Adds the indices of the interfaces on which a group was joined.
  void add_indices(const multicast_group& group, std::vector<unsigned>& to) const
  {
    for (const auto& entry : entries_)
      if (is_same(entry.group, group) && std::find(to.begin(), to.end(), entry.index) == to.end())
        to.push_back(entry.index);
  }

  /// Leaves the groups on interfaces that are gone, since the kernel still counts these
  /// memberships.
  void leave_gone(const membership_socket& socket)
  {
    std::erase_if(entries_, [&](const membership& each) {
      if (each.index == 0 || !platform::interface_name(each.index).empty()) return false;
      error_code ignored;
      leave_by_index(socket, each.group, each.index, ignored);
      return true;
    });
  }

private:
  struct membership {
    multicast_group group;
    std::string called;  // the caller's name for the interface
    std::string name;    // the system's name for it at that time
    unsigned index;
  };

  static bool is_same(const multicast_group& a, const multicast_group& b)
  {
    return a.address() == b.address() && a.source() == b.source();
  }

  std::vector<membership> entries_;
};

/// Returns the interfaces that "all" stands for. A join takes each one that is up, has multicast
/// and an address of the group's family, and is no loopback. Other changes take every interface,
/// since it may have changed after the join.
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

/// Joins on all interfaces, and returns those that it joined. If an interface that still exists
/// refuses, this leaves the others again. If the socket was a member on an interface already, that
/// join does not count: it is no refusal, and is not left.
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

/// Succeeds if the change succeeds on one interface. Otherwise reports the first error.
inline void change_on_each(const membership_socket& socket, membership_change change,
                           const multicast_group& group, const std::vector<unsigned>& indices,
                           joined_groups& joined, error_code& ec)
{
  bool changed = false;
  ec = error::no_multicast;
  for (const unsigned index : indices) {
    error_code one;
    if (change == membership_change::leave)
      leave_by_index(socket, group, index, one);
    else
      change_membership(socket, change, group, index, one);
    if (!one && change == membership_change::leave) joined.remove(group, index);
    if (!one) changed = true;
    if (ec == error::no_multicast) ec = one;
  }
  if (changed) ec.clear();
}

/// Leaves or blocks on every interface that exists, and on those by which the group was joined.
inline void change_on_all(const membership_socket& socket, membership_change change,
                          const multicast_group& group, joined_groups& joined, error_code& ec)
{
  auto indices = interfaces_for(change, group.address().is_v4(), ec);
  if (ec) return;
  joined.add_indices(group, indices);
  change_on_each(socket, change, group, indices, joined, ec);
}

/// Changes a membership on one interface; after a join, by the index of that join. If a join fails
/// with ENOBUFS, leaves the groups on interfaces that are gone, and tries again.
inline void change_on_one(const membership_socket& socket, membership_change change,
                          const multicast_group& group, const network_interface& interface,
                          joined_groups& joined, error_code& ec)
{
  const bool joins = change == membership_change::join;
  unsigned index = 0;
  if (const unsigned* known = joins ? nullptr : joined.find(group, interface))
    index = *known;
  else
    index = joins ? multicast_index(interface, ec) : interface.index(ec);
  if (ec) return;
  // The scope of a link-local group is an interface too (RFC 4007, section 6).
  if (index == 0 && group.address().is_v6()) index = group.address().to_v6().scope_id();
  if (change == membership_change::leave)
    leave_by_index(socket, group, index, ec);
  else
    change_membership(socket, change, group, index, ec);
  if (joins && ec == net::error::no_buffer_space) {
    joined.leave_gone(socket);
    change_membership(socket, change, group, index, ec);
  }
  if (ec) return;
  if (joins)
    joined.add(group, interface, index);
  else if (change == membership_change::leave)
    joined.remove(group, index);
}

/// A join on all interfaces stores their indices in `where`. A leave on all uses those, if there
/// are any.
inline void change_membership(const membership_socket& socket, membership_change change,
                              const multicast_group& group, const network_interface& interface,
                              std::vector<unsigned>& where, joined_groups& joined, error_code& ec)
{
  ec = check_group(socket, change, group);
  if (ec) return;
  if (!interface.is_all()) {
    change_on_one(socket, change, group, interface, joined, ec);
  } else if (change == membership_change::join) {
    joined.leave_gone(socket);
    where = join_on_all(socket, group, ec);
    for (const unsigned index : where)
      joined.add(group, interface, index);
  } else if (change == membership_change::leave && !where.empty()) {
    change_on_each(socket, change, group, where, joined, ec);
  } else {
    change_on_all(socket, change, group, joined, ec);
  }
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
