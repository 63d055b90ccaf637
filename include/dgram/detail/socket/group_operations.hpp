// SPDX-License-Identifier: BSL-1.0
// The calls of a socket that join and leave multicast groups, and block sources.
#ifndef DGRAM_DETAIL_SOCKET_GROUP_OPERATIONS_HPP
#define DGRAM_DETAIL_SOCKET_GROUP_OPERATIONS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/throwing.hpp>
#include <dgram/detail/socket/membership.hpp>
#include <dgram/error.hpp>
#include <dgram/multicast.hpp>
#include <dgram/network_interface.hpp>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A group that has a source stands for what that host sends to the group. A dual-stack socket
/// takes groups of both families. `membership` joins a group and leaves it by itself. Exceptions
/// name the group and the interface. `Derived` has a `state()`.
template <class Derived>
class group_operations {
public:
  /// Joins a group on an interface. If the caller passes none, the operating system chooses.
  ///
  /// On `network_interface::all()` the socket joins on every interface that is up, has multicast
  /// and has an address of the group's family, except loopback. An interface that appears later
  /// needs another call. If one interface refuses, the socket leaves those it has just joined and
  /// reports the error. Being a member already is an error only if no interface was newly joined.
  /// Errors:
  ///  - `error::not_multicast`, `error::bad_source`, `error::unknown_interface`,
  ///    `error::no_multicast`
  ///  - `address_family_not_supported`: the group or its source is of the other family
  ///  - `address_in_use`: already joined (EADDRNOTAVAIL for a group with a source)
  ///  - `no_such_device`: no route to choose an interface by
  ///  - `no_buffer_space`: too many groups (`igmp_max_memberships`, ip(7))
  sync_result join(const multicast_group& group, const network_interface& interface, error_code& ec)
  {
    change_membership(membership_change::join, group, interface, ec);
    return sync_result(ec);
  }

  sync_result join(const multicast_group& group, error_code& ec)
  {
    join(group, network_interface(), ec);
    return sync_result(ec);
  }

  void join(const multicast_group& group, const network_interface& interface = network_interface())
  {
    change_membership("join", membership_change::join, group, interface);
  }

  /// Leaves a group on the interface on which it was joined, or on all interfaces. Closing the
  /// socket leaves all its groups. `interface` may be the name that was used to join, even if that
  /// interface is gone or renamed since. Errors: as for `join`; for a group that was not joined
  /// EADDRNOTAVAIL, or EINVAL if it has a source.
  sync_result leave(const multicast_group& group, const network_interface& interface,
                    error_code& ec)
  {
    change_membership(membership_change::leave, group, interface, ec);
    return sync_result(ec);
  }

  sync_result leave(const multicast_group& group, error_code& ec)
  {
    leave(group, network_interface(), ec);
    return sync_result(ec);
  }

  void leave(const multicast_group& group, const network_interface& interface = network_interface())
  {
    change_membership("leave", membership_change::leave, group, interface);
  }

  /// Blocks what the group's source sends to it. The socket must have joined the group without a
  /// source on that interface. Errors: `error::bad_source` also if the group has no source; EINVAL
  /// if the socket has not joined it; EADDRNOTAVAIL if the source is blocked already; otherwise as
  /// for `join`.
  ///
  /// \code
  /// socket.join(dgram::multicast_group{"239.1.2.3"});
  /// socket.block(dgram::multicast_group{"239.1.2.3", "10.0.0.7"});
  /// \endcode
  sync_result block(const multicast_group& group, const network_interface& interface,
                    error_code& ec)
  {
    change_membership(membership_change::block, group, interface, ec);
    return sync_result(ec);
  }

  sync_result block(const multicast_group& group, error_code& ec)
  {
    block(group, network_interface(), ec);
    return sync_result(ec);
  }

  void block(const multicast_group& group, const network_interface& interface = network_interface())
  {
    change_membership("block", membership_change::block, group, interface);
  }

  /// Ends a `block`. Errors: as for `block`; EADDRNOTAVAIL if the source is not blocked.
  sync_result unblock(const multicast_group& group, const network_interface& interface,
                      error_code& ec)
  {
    change_membership(membership_change::unblock, group, interface, ec);
    return sync_result(ec);
  }

  sync_result unblock(const multicast_group& group, error_code& ec)
  {
    unblock(group, network_interface(), ec);
    return sync_result(ec);
  }

  void unblock(const multicast_group& group,
               const network_interface& interface = network_interface())
  {
    change_membership("unblock", membership_change::unblock, group, interface);
  }

private:
  friend Derived;
  group_operations() = default;

  void change_membership(membership_change change, const multicast_group& group,
                         const network_interface& interface, error_code& ec)
  {
    static_cast<Derived&>(*this).state().change_membership(change, group, interface, ec);
  }

  /// The throwing form. The text names the group and the interface.
  void change_membership(const char* what, membership_change change, const multicast_group& group,
                         const network_interface& interface)
  {
    error_code ec;
    change_membership(change, group, interface, ec);
    if (ec) throw_if(ec, what, to_string(membership_subject{group, interface}));
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
