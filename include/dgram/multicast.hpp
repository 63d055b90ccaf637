// SPDX-License-Identifier: BSL-1.0
// A multicast group, and joining and leaving it.
#ifndef DGRAM_MULTICAST_HPP
#define DGRAM_MULTICAST_HPP

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/platform/names.hpp>

#include <string_view>

DGRAM_NAMESPACE_BEGIN

/// The address of a multicast group, IPv4 or IPv6.
class multicast_group {
public:
  /// Throws `system_error` (`error::bad_address`, `error::unknown_interface`), whose text names the input.
  explicit multicast_group(std::string_view text) : address_(parse_address(text)) {}
  explicit multicast_group(const char* text) : multicast_group(std::string_view(text)) {}

  explicit multicast_group(const net::ip::address& address) noexcept : address_(address) {}

  const net::ip::address& address() const noexcept { return address_; }

private:
  net::ip::address address_;
};

namespace detail {

/// Joins or leaves: `name` is one of RFC 3678's protocol-independent options, which a dual-stack socket takes
/// for both families.
inline void change_membership(int descriptor, bool ipv4_allowed, bool ipv6_allowed, int name,
                              const multicast_group& group, const network_interface& interface,
                              error_code& ec)
{
  const auto& address = group.address();
  if (!address.is_multicast()) {
    ec = error::not_multicast;
    return;
  }
  if (address.is_v4() ? !ipv4_allowed : !ipv6_allowed) {
    ec = net::error::address_family_not_supported;
    return;
  }
  unsigned index = interface.index(ec);
  if (ec) return;
  // A link-local group's scope is an interface too (RFC 4007, section 6).
  if (index == 0 && address.is_v6()) index = static_cast<unsigned>(address.to_v6().scope_id());
  const net::ip::udp::endpoint native(address, 0);
  const auto request = platform::make_group_request(index, native.data(), native.size());
  const int level = address.is_v4() ? platform::names::ipv4_level : platform::names::ipv6_level;
  platform::set_option(descriptor, level, name, &request, sizeof request, ec);
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
