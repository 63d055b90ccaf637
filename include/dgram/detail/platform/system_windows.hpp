// SPDX-License-Identifier: BSL-1.0
// The system-call seam on Windows: every call that the library itself makes goes through here.
#ifndef DGRAM_DETAIL_PLATFORM_SYSTEM_WINDOWS_HPP
#define DGRAM_DETAIL_PLATFORM_SYSTEM_WINDOWS_HPP

#include <dgram/config.hpp>

#include <winsock2.h>

#include <ws2tcpip.h>

#include <mswsock.h>

#include <iptypes.h>

#include <atomic>

// The declarations of iphlpapi.h and netioapi.h. Those headers include COM's, which make
// `interface` a macro.
extern "C" {
::ULONG WINAPI GetAdaptersAddresses(::ULONG family, ::ULONG flags, ::PVOID reserved,
                                    ::PIP_ADAPTER_ADDRESSES first, ::PULONG size);
::ULONG WINAPI if_nametoindex(::PCSTR name);
::PCHAR WINAPI if_indextoname(::ULONG index, ::PCHAR name);
}

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// The calls as the operating system has them; result and WSAGetLastError are unchanged.
struct system {
  /// WSARecvMsg is in no library: Winsock returns its address.
  static int receive_message(::SOCKET socket, ::WSAMSG* message, ::DWORD* size) noexcept
  {
    static std::atomic<::LPFN_WSARECVMSG> known{nullptr};
    ::LPFN_WSARECVMSG function = known.load(std::memory_order_relaxed);
    if (function == nullptr) {
      ::GUID id = WSAID_WSARECVMSG;
      if (io_control(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &function,
                     sizeof function) != 0)
        return SOCKET_ERROR;
      known.store(function, std::memory_order_relaxed);
    }
    return function(socket, message, size, nullptr, nullptr);
  }

  static int send_message(::SOCKET socket, ::WSAMSG* message, ::DWORD flags, ::DWORD* size) noexcept
  {
    return ::WSASendMsg(socket, message, flags, size, nullptr, nullptr);
  }

  static int io_control(::SOCKET socket, ::DWORD code, void* in, ::DWORD in_size, void* out,
                        ::DWORD out_size) noexcept
  {
    ::DWORD filled = 0;
    return ::WSAIoctl(socket, code, in, in_size, out, out_size, &filled, nullptr, nullptr);
  }

  static int set_non_blocking(::SOCKET socket) noexcept
  {
    ::u_long on = 1;
    return ::ioctlsocket(socket, static_cast<long>(FIONBIO), &on);
  }

  static int bind(::SOCKET socket, const ::sockaddr* address, ::socklen_t size) noexcept
  {
    return ::bind(socket, address, size);
  }

  static int connect(::SOCKET socket, const ::sockaddr* address, ::socklen_t size) noexcept
  {
    return ::connect(socket, address, size);
  }

  static int getpeername(::SOCKET socket, ::sockaddr* address, ::socklen_t* size) noexcept
  {
    return ::getpeername(socket, address, size);
  }

  static int getsockopt(::SOCKET socket, int level, int name, void* value,
                        ::socklen_t* size) noexcept
  {
    return ::getsockopt(socket, level, name, static_cast<char*>(value), size);
  }

  static int setsockopt(::SOCKET socket, int level, int name, const void* value,
                        ::socklen_t size) noexcept
  {
    return ::setsockopt(socket, level, name, static_cast<const char*>(value), size);
  }

  static ::SOCKET socket(int family, int type, int protocol) noexcept
  {
    return ::socket(family, type, protocol);
  }

  static int close(::SOCKET socket) noexcept { return ::closesocket(socket); }

  static unsigned if_nametoindex(const char* name) noexcept { return ::if_nametoindex(name); }

  static char* if_indextoname(unsigned index, char* name) noexcept
  {
    return ::if_indextoname(index, name);
  }

  static ::ULONG get_adapters(::ULONG flags, ::IP_ADAPTER_ADDRESSES* first, ::ULONG* size) noexcept
  {
    return ::GetAdaptersAddresses(AF_UNSPEC, flags, nullptr, first, size);
  }
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
