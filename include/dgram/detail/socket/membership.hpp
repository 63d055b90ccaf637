// SPDX-License-Identifier: BSL-1.0
// Joins, leaves, blocks and unblocks groups, also on an interface that was renamed or removed.
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
#include <iterator>
#include <string>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The options of RFC 3678 that a change of membership may be; a dual-stack socket takes them for
/// both families.
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

/// Leaves by the index by which it was joined. The kernel leaves no source by an interface that is
/// gone (net/ipv4/igmp.c, ip_mc_source), but the group, and there is nothing else by that
/// interface.
inline void leave_by_index(const membership_socket& socket, const multicast_group& group,
                           unsigned index, error_code& ec)
{
  change_membership(socket, membership_change::leave, group, index, ec);
  if (ec == platform::no_such_device() && group.source() && index != 0)
    change_membership(socket, membership_change::leave, multicast_group(group.address()), index,
                      ec);
}

/// What a socket has joined, and by which index. The interface may have been renamed, or be gone,
/// when it is left, or another one may have its name and address: the kernel keeps the membership
/// by its index until it is left.
class joined_groups {
public:
  void add(const multicast_group& group, const network_interface& interface, unsigned index)
  {
    entries_.push_back({group, to_string(interface), platform::interface_name(index), index});
  }

  /// The index by which it was joined on an interface that is called so now, or was then; of
  /// several the last.
  const unsigned* find(const multicast_group& group, const network_interface& interface) const
  {
    const std::string called = to_string(interface);
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry)
      if (is_same(entry->group, group) && (entry->called == called || entry->name == called))
        return &entry->index;
    return nullptr;
  }

  void remove(const multicast_group& group, unsigned index)
  {
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
      if (entry->index != index || !is_same(entry->group, group)) continue;
      entries_.erase(std::next(entry).base());
      return;
    }
  }

  /// Adds the indices by which a group was joined.
  void add_indices(const multicast_group& group, std::vector<unsigned>& to) const
  {
    for (const auto& entry : entries_)
      if (is_same(entry.group, group) && std::find(to.begin(), to.end(), entry.index) == to.end())
        to.push_back(entry.index);
  }

  /// Leaves what was joined by interfaces that are gone, which the kernel counts as before.
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
    std::string called;  // as the caller called the interface
    std::string name;    // as the system did then
    unsigned index;
  };

  static bool is_same(const multicast_group& a, const multicast_group& b)
  {
    return a.address() == b.address() && a.source() == b.source();
  }

  std::vector<membership> entries_;
};

/// The interfaces that joining on "all" means: those that are up, have multicast and an address of
/// the group's family, but loopback. What is left or blocked is so on every interface, whatever has
/// become of it meanwhile.
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

/// Where joining is refused on an interface that is still there, what was joined is left again. An
/// interface that is a member already is none of ours to leave, and no reason to give the others
/// up. Returns where it was joined.
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

/// Leaves or blocks on every interface: those that there are, and those by which it was joined.
inline void change_on_all(const membership_socket& socket, membership_change change,
                          const multicast_group& group, joined_groups& joined, error_code& ec)
{
  auto indices = interfaces_for(change, group.address().is_v4(), ec);
  if (ec) return;
  joined.add_indices(group, indices);
  change_on_each(socket, change, group, indices, joined, ec);
}

/// Changes a membership on one interface, which was looked up when it was joined.
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
  // A link-local group's scope is an interface too (RFC 4007, section 6).
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

/// Joining on all interfaces says in `where` by which; leaving all leaves those, if there are any.
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

/// The same for a socket of which nothing is remembered.
inline void change_membership(const membership_socket& socket, membership_change change,
                              const multicast_group& group, const network_interface& interface,
                              std::vector<unsigned>& where, error_code& ec)
{
  joined_groups joined;
  change_membership(socket, change, group, interface, where, joined, ec);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
