// SPDX-License-Identifier: BSL-1.0
// Asks Windows about a descriptor, its peer, and the host's interfaces.
#ifndef DGRAM_DETAIL_PLATFORM_QUERIES_WINDOWS_HPP
#define DGRAM_DETAIL_PLATFORM_QUERIES_WINDOWS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/system.hpp>

#include <winsock2.h>

#include <ws2tcpip.h>

#include <mswsock.h>

#include <iptypes.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// Whether a wait would complete at once. Here a socket's queue has one reader, so a wake-up in
/// vain would come again.
inline bool is_ready(::SOCKET, net::socket_base::wait_type) noexcept
{
  return true;
}

/// On Windows a receive reports this itself.
inline bool is_receiving_shut_down(::SOCKET) noexcept
{
  return false;
}

/// Tells an open socket from none. Tells sockets apart as far as their numbers do.
inline std::uint64_t identity_of(::SOCKET socket) noexcept
{
  return socket == INVALID_SOCKET ? 0 : static_cast<std::uint64_t>(socket) + 1;
}

inline bool is_connected(::SOCKET socket, error_code& ec) noexcept
{
  ::sockaddr_storage peer;
  ::socklen_t size = sizeof peer;
  ec.clear();
  if (system::getpeername(socket, reinterpret_cast<::sockaddr*>(&peer), &size) == 0) return true;
  // For an unbound socket the error is "invalid" (getpeername, getsockname).
  const int error = ::WSAGetLastError();
  if (error != WSAENOTCONN && error != WSAEINVAL) ec = make_system_error(error);
  return false;
}

inline bool is_coalescing(::SOCKET) noexcept
{
  return false;
}

/// Whether an ICMP message about an earlier datagram fails the next receive. Without a peer, it
/// would fail the receive of a datagram from another sender.
inline void report_refusals(::SOCKET socket, bool on) noexcept
{
  constexpr ::DWORD port_unreachable = IOC_IN | IOC_VENDOR | 12;  // SIO_UDP_CONNRESET
  constexpr ::DWORD hops_exceeded = IOC_IN | IOC_VENDOR | 15;     // SIO_UDP_NETRESET
  ::BOOL value = on ? TRUE : FALSE;
  for (const ::DWORD code : {port_unreachable, hops_exceeded})
    system::io_control(socket, code, &value, sizeof value, nullptr, 0);
}

/// Called for every new socket, so that its calls return at once.
inline void prepare_descriptor(::SOCKET socket, error_code& ec) noexcept
{
  ec.clear();
  if (system::set_non_blocking(socket) != 0) ec = last_error();
  report_refusals(socket, false);
}

/// Called before a bind: without this, another socket could take the address away with
/// SO_REUSEADDR. Windows refuses this if the socket itself is to share the address, and that is
/// right.
inline void claim_address(::SOCKET socket) noexcept
{
  error_code ignored;
  const int on = 1;
  set_option(socket, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, &on, sizeof on, ignored);
}

/// Ends the association with the peer; an address of zeros does that (connect).
inline void disconnect(::SOCKET socket, error_code& ec) noexcept
{
  ::sockaddr nobody{};
  if (system::connect(socket, &nobody, sizeof nobody) != 0)
    ec = last_error();
  else
    ec.clear();
}

inline descriptor_kind describe(::SOCKET socket, error_code& ec) noexcept
{
  ::WSAPROTOCOL_INFOW info{};
  get_option(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, &info, sizeof info, ec);
  return {info.iAddressFamily, info.iSocketType};
}

namespace names_detail {

/// Calls GetAdaptersAddresses. Returns null if there are no adapters, or after an error.
inline std::unique_ptr<std::byte[]> adapters(error_code& ec)
{
  constexpr ::ULONG flags =
      GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST | GAA_FLAG_SKIP_DNS_SERVER;
  ::ULONG size = 15'000;  // what its manual proposes
  for (int attempts = 4; attempts > 0; --attempts) {
    auto room = std::make_unique<std::byte[]>(size);
    const ::ULONG error =
        system::get_adapters(flags, reinterpret_cast<::IP_ADAPTER_ADDRESSES*>(room.get()), &size);
    ec = make_system_error(static_cast<int>(error));
    if (!ec) return room;
    if (error != ERROR_BUFFER_OVERFLOW) break;
  }
  if (ec == make_system_error(ERROR_NO_DATA)) ec.clear();
  return nullptr;
}

/// Calls `visit(adapter, index)` for each adapter until one call returns true.
template <class Visitor>
void for_each_adapter(error_code& ec, Visitor visit)
{
  const auto memory = adapters(ec);
  const auto* adapter = reinterpret_cast<const ::IP_ADAPTER_ADDRESSES*>(memory.get());
  for (; adapter != nullptr; adapter = adapter->Next)
    if (visit(*adapter, adapter->IfIndex != 0 ? adapter->IfIndex : adapter->Ipv6IfIndex)) return;
}

/// Returns the name that people see, such as "Ethernet 2".
inline std::string friendly_name(const ::IP_ADAPTER_ADDRESSES& adapter)
{
  const auto convert = [&](char* into, int size) {
    return ::WideCharToMultiByte(CP_UTF8, 0, adapter.FriendlyName, -1, into, size, nullptr,
                                 nullptr);
  };
  const int size = convert(nullptr, 0);
  if (size <= 1) return {};
  std::string name(static_cast<std::size_t>(size), '\0');
  convert(name.data(), size);
  name.pop_back();
  return name;
}

inline net::ip::address to_address(const ::sockaddr& from, bool& known)
{
  known = true;
  if (from.sa_family == AF_INET) {
    ::sockaddr_in v4;
    std::memcpy(&v4, &from, sizeof v4);
    return net::ip::address_v4(ntohl(v4.sin_addr.s_addr));
  }
  known = from.sa_family == AF_INET6;
  if (!known) return {};
  ::sockaddr_in6 v6;
  net::ip::address_v6::bytes_type bytes;
  std::memcpy(&v6, &from, sizeof v6);
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return net::ip::address_v6(bytes);
}

}  // namespace names_detail

/// Returns the index of the interface with this name, which is the system's name or the one that
/// people see. Returns 0 if there is none.
inline unsigned interface_index(const std::string& name)
{
  unsigned found = system::if_nametoindex(name.c_str());
  if (found != 0 || name.empty()) return found;
  error_code ignored;
  names_detail::for_each_adapter(ignored,
                                 [&](const ::IP_ADAPTER_ADDRESSES& adapter, unsigned index) {
                                   if (names_detail::friendly_name(adapter) == name) found = index;
                                   return found != 0;
                                 });
  return found;
}

/// Returns the system's name of the interface with this index; empty if there is none.
inline std::string interface_name(unsigned index)
{
  std::array<char, IF_MAX_STRING_SIZE + 1> name{};
  return system::if_indextoname(index, name.data()) != nullptr ? std::string(name.data())
                                                               : std::string();
}

/// Returns the interfaces of this host. Each has one entry for each address, and at least one.
inline std::vector<interface_entry> interfaces(error_code& ec)
{
  std::vector<interface_entry> entries;
  names_detail::for_each_adapter(ec, [&](const ::IP_ADAPTER_ADDRESSES& adapter, unsigned index) {
    interface_entry entry;
    entry.name = interface_name(index);
    entry.is_up = adapter.OperStatus == IfOperStatusUp;
    entry.is_loopback = adapter.IfType == IF_TYPE_SOFTWARE_LOOPBACK;
    entry.has_multicast = (adapter.Flags & IP_ADAPTER_NO_MULTICAST) == 0;
    if (adapter.FirstUnicastAddress == nullptr) entries.push_back(entry);
    for (const auto* each = adapter.FirstUnicastAddress; each != nullptr; each = each->Next) {
      entry.address = names_detail::to_address(*each->Address.lpSockaddr, entry.has_address);
      entries.push_back(entry);
    }
    return false;
  });
  return entries;
}

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
