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

  bool is_any() const noexcept { return std::holds_alternative<std::monostate>(which_); }

  /// The interface's index; 0 for "any". Error: `error::unknown_interface`.
  unsigned index(error_code& ec) const
  {
    ec.clear();
    if (is_any()) return 0;
    const unsigned found = std::visit([](const auto& which) { return find(which); }, which_);
    if (found == 0) ec = error::unknown_interface;
    return found;
  }

private:
  static unsigned find(std::monostate) noexcept { return 0; }
  static unsigned find(unsigned index)
  {
    return platform::interface_name(index).empty() ? 0 : index;
  }
  static unsigned find(const net::ip::address& address)
  {
    return platform::interface_index(address);
  }
  static unsigned find(const std::string& name)
  {
    return name.find('\0') == std::string::npos ? platform::interface_index(name) : 0;
  }

  std::variant<std::monostate, unsigned, net::ip::address, std::string> which_;
};

DGRAM_NAMESPACE_END

#endif
