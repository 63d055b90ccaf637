// SPDX-License-Identifier: BSL-1.0
// A network interface, identified by name, index or address.
#ifndef DGRAM_NETWORK_INTERFACE_HPP
#define DGRAM_NETWORK_INTERFACE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/queries.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Returns the scope of an IPv6 address, whether or not there is such an interface. Empty if the
/// text is no IPv6 address with a scope.
inline std::string_view scope_of(std::string_view text)
{
  const auto percent = text.find('%');
  if (percent == std::string_view::npos) return {};
  error_code not_an_address;
  const bool is_v6 = parse_address(text.substr(0, percent), not_an_address).is_v6();
  return is_v6 && !not_an_address ? text.substr(percent + 1) : std::string_view();
}

}  // namespace detail

/// Identifies an interface of this host. The interface is looked up at each use, so it may appear
/// and vanish meanwhile.
///
/// \code
/// dgram::network_interface by_name{"eth0"};
/// dgram::network_interface by_index{2u};
/// dgram::network_interface by_address{asio::ip::make_address("192.0.2.7")};
/// dgram::network_interface by_scope{"::%eth0"};
/// dgram::network_interface any;  // the operating system's choice
/// // To join and leave groups on each interface that has multicast:
/// auto all = dgram::network_interface::all();
/// \endcode
class network_interface {
public:
  /// The interface that the operating system chooses.
  network_interface() noexcept = default;

  explicit network_interface(unsigned index) noexcept : named_by_(kind::index), index_(index) {}

  explicit network_interface(const net::ip::address& address) noexcept
      : named_by_(kind::address), address_(address)
  {
  }

  /// The interface's name, or one of its addresses as text. The scope of an IPv6 address names the
  /// interface, whatever the address is: `::%eth0`, `fe80::1%2`.
  explicit network_interface(std::string_view text)
  {
    const auto scope = detail::scope_of(text);
    error_code not_an_address;
    if (scope.empty()) address_ = parse_address(text, not_an_address);
    if (scope.empty() && !not_an_address) {
      named_by_ = kind::address;
    } else if (detail::parse_decimal(scope, index_)) {
      named_by_ = kind::index;
    } else {
      named_by_ = kind::name;
      name_ = scope.empty() ? text : scope;
    }
  }

  explicit network_interface(const char* text) : network_interface(std::string_view(text)) {}

  /// Every interface; see `basic_socket::join`. It has no index: a call that needs one reports
  /// `invalid_argument`.
  static network_interface all() noexcept
  {
    network_interface every;
    every.named_by_ = kind::all;
    return every;
  }

  bool is_any() const noexcept { return named_by_ == kind::any; }
  bool is_all() const noexcept { return named_by_ == kind::all; }

  /// The interface's index; 0 for "any". Errors: `error::unknown_interface`; `invalid_argument` for
  /// "all".
  unsigned index(error_code& ec) const
  {
    ec.clear();
    if (is_any()) return 0;
    if (is_all()) {
      ec = net::error::invalid_argument;
      return 0;
    }
    const unsigned found = find();
    if (found == 0) ec = error::unknown_interface;
    return found;
  }

  /// The IPv4 address that identifies it; unspecified if something else identifies it.
  net::ip::address_v4 named_address_v4() const noexcept
  {
    return named_by_ == kind::address && address_.is_v4() ? address_.to_v4()
                                                          : net::ip::address_v4();
  }

  /// The name, index or address that identifies it: `eth0`, `2`, `192.0.2.7`, `any` or `all`.
  friend std::string to_string(const network_interface& interface)
  {
    switch (interface.named_by_) {
    case kind::any: return "any";
    case kind::all: return "all";
    case kind::index: return std::to_string(interface.index_);
    case kind::address: return dgram::to_string(interface.address_);
    default: return interface.name_;
    }
  }

private:
  enum class kind : unsigned char { any, all, index, address, name };

  unsigned find() const
  {
    switch (named_by_) {
    case kind::index: return platform::interface_name(index_).empty() ? 0 : index_;
    case kind::address: return find(address_);
    default: return name_.find('\0') == std::string::npos ? platform::interface_index(name_) : 0;
    }
  }

  /// Several interfaces may have the same link-local address. The scope tells them apart.
  static unsigned find(const net::ip::address& address)
  {
    auto bare = address;
    unsigned scope = 0;
    if (address.is_v6()) {
      scope = address.to_v6().scope_id();
      bare = net::ip::address_v6(address.to_v6().to_bytes());
    }
    error_code ignored;
    for (const auto& entry : platform::interfaces(ignored)) {
      if (!entry.has_address || entry.address != bare) continue;
      const unsigned index = platform::interface_index(entry.name);
      if (index != 0 && (scope == 0 || scope == index)) return index;
    }
    return 0;
  }

  kind named_by_ = kind::any;
  unsigned index_ = 0;
  net::ip::address address_;
  std::string name_;
};

namespace detail {

/// The index of an interface for multicast; 0 for "any". Errors: those of
/// `network_interface::index`, and `error::no_multicast`. The kernel would accept any interface,
/// but nothing would arrive on one without multicast.
inline unsigned multicast_index(const network_interface& interface, error_code& ec)
{
  const unsigned index = interface.index(ec);
  if (ec || index == 0) return 0;
  error_code ignored;
  const auto name = platform::interface_name(index);
  for (const auto& entry : platform::interfaces(ignored)) {
    if (entry.name != name || entry.has_multicast || entry.is_loopback) continue;
    ec = error::no_multicast;
    return 0;
  }
  return index;
}

}  // namespace detail

/// An interface of this host, as it was when `list_interfaces` listed it.
struct interface_info {
  std::string name;    ///< `eth0`
  unsigned index = 0;  ///< above 0
  /// All its addresses, IPv4 and IPv6. A link-local IPv6 address has the index as its scope.
  std::vector<net::ip::address> addresses;
  bool is_up = false;
  bool is_loopback = false;
  bool has_multicast = false;  ///< groups can be joined on it
};

/// Lists the interfaces of this host and their addresses, in the order of their indices. Each call
/// asks the kernel, since interfaces and addresses come and go. An interface that vanishes during
/// the call is left out. On error the list is empty. Errors: those of getifaddrs(3), most likely
/// too little memory or no free descriptors. Thread safety: safe on any thread.
///
/// \code
/// for (const dgram::interface_info& interface : dgram::list_interfaces())
///   for (const auto& address : interface.addresses)
///     fmt::print("{} {}\n", interface.name, address.to_string());
/// \endcode
inline std::vector<interface_info> list_interfaces(error_code& ec)
{
  std::vector<interface_info> found;
  for (const auto& entry : platform::interfaces(ec)) {
    // An address may have a label, such as eth0:1, in place of the interface's name.
    const unsigned index = platform::interface_index(entry.name);
    auto name = index != 0 ? platform::interface_name(index) : std::string();
    if (name.empty()) continue;
    const auto place = std::find_if(found.begin(), found.end(),
                                    [index](const auto& each) { return each.index >= index; });
    const bool is_known = place != found.end() && place->index == index;
    interface_info& info = is_known ? *place : *found.emplace(place);
    info.name = std::move(name);
    info.index = index;
    info.is_up = info.is_up || entry.is_up;
    info.is_loopback = info.is_loopback || entry.is_loopback;
    // Linux does not report that its loopback interface has multicast.
    info.has_multicast = info.has_multicast || entry.has_multicast || entry.is_loopback;
    if (!entry.has_address) continue;
    auto address = entry.address;
    if (address.is_v6() && address.to_v6().is_link_local())
      address = net::ip::address_v6(address.to_v6().to_bytes(), index);
    info.addresses.push_back(address);
  }
  return found;
}

/// The same. Throws `system_error`.
inline std::vector<interface_info> list_interfaces()
{
  error_code ec;
  auto interfaces = list_interfaces(ec);
  detail::throw_if(ec, "list_interfaces");
  return interfaces;
}

DGRAM_NAMESPACE_END

#endif
