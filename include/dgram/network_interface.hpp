// SPDX-License-Identifier: BSL-1.0
// A network interface, given by name, index or address.
#ifndef DGRAM_NETWORK_INTERFACE_HPP
#define DGRAM_NETWORK_INTERFACE_HPP

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/platform/names.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <variant>

DGRAM_NAMESPACE_BEGIN

/// Names an interface of this host; it is looked up when it is used, so it may appear and vanish meanwhile.
///
/// \code
/// dgram::network_interface by_name{"eth0"};
/// dgram::network_interface by_index{2u};
/// dgram::network_interface by_address{asio::ip::make_address("192.0.2.7")};
/// dgram::network_interface any;  // the operating system's choice
/// auto all = dgram::network_interface::all();  // of joining and leaving groups: each that has multicast
/// \endcode
class network_interface {
public:
  /// Whatever the operating system chooses.
  network_interface() noexcept = default;

  explicit network_interface(unsigned index) noexcept : which_(index) {}

  explicit network_interface(const net::ip::address& address) noexcept : which_(address) {}

  /// An interface's name, or one of its addresses as text.
  explicit network_interface(std::string_view text)
  {
    error_code not_an_address;
    const auto address = parse_address(text, not_an_address);
    if (not_an_address)
      which_ = std::string(text);
    else
      which_ = address;
  }

  explicit network_interface(const char* text) : network_interface(std::string_view(text)) {}

  /// Every interface; see `basic_socket::join`. It has no index, and where one is needed it is `invalid_argument`.
  static network_interface all() noexcept
  {
    network_interface every;
    every.which_ = all_of_them();
    return every;
  }

  bool is_any() const noexcept { return std::holds_alternative<std::monostate>(which_); }
  bool is_all() const noexcept { return std::holds_alternative<all_of_them>(which_); }

  /// The interface's index; 0 for "any". Errors: `error::unknown_interface`, `invalid_argument` for "all".
  unsigned index(error_code& ec) const
  {
    ec.clear();
    if (is_any()) return 0;
    if (is_all()) {
      ec = net::error::invalid_argument;
      return 0;
    }
    const unsigned found = std::visit([](const auto& which) { return find(which); }, which_);
    if (found == 0) ec = error::unknown_interface;
    return found;
  }

  /// The IPv4 address that it was named by; the unspecified one where it was named otherwise.
  net::ip::address_v4 named_address_v4() const noexcept
  {
    const auto* address = std::get_if<net::ip::address>(&which_);
    return address != nullptr && address->is_v4() ? address->to_v4() : net::ip::address_v4();
  }

  /// As it was named: `eth0`, `2`, `192.0.2.7`, `any` or `all`.
  friend std::string to_string(const network_interface& interface)
  {
    return std::visit([](const auto& which) { return text(which); }, interface.which_);
  }

private:
  struct all_of_them {};

  static unsigned find(std::monostate) noexcept { return 0; }
  static unsigned find(all_of_them) noexcept { return 0; }
  static unsigned find(unsigned index)
  {
    return platform::interface_name(index).empty() ? 0 : index;
  }
  static unsigned find(const std::string& name)
  {
    return name.find('\0') == std::string::npos ? platform::interface_index(name) : 0;
  }

  /// Several interfaces may have one link-local address, which its scope tells apart.
  static unsigned find(const net::ip::address& address)
  {
    auto bare = address;
    unsigned scope = 0;
    if (address.is_v6()) {
      scope = static_cast<unsigned>(address.to_v6().scope_id());
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

  static std::string text(std::monostate) { return "any"; }
  static std::string text(all_of_them) { return "all"; }
  static std::string text(unsigned index) { return std::to_string(index); }
  static std::string text(const net::ip::address& address) { return dgram::to_string(address); }
  static std::string text(const std::string& name) { return name; }

  std::variant<std::monostate, all_of_them, unsigned, net::ip::address, std::string> which_;
};

namespace detail {

/// The index of an interface that is to carry multicast; 0 for "any". Errors: those of `network_interface::index`, and
/// `error::no_multicast`. The kernel would take any interface, and nothing would ever come by it.
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

DGRAM_NAMESPACE_END

#endif
