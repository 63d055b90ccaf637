// SPDX-License-Identifier: BSL-1.0
// The system's numbers for errors that Asio has no names for.
#ifndef DGRAM_DETAIL_PLATFORM_ERROR_NUMBERS_HPP
#define DGRAM_DETAIL_PLATFORM_ERROR_NUMBERS_HPP

#include <dgram/config.hpp>

#include <cerrno>

DGRAM_NAMESPACE_BEGIN

namespace platform::error_numbers {

#if defined(_WIN32)
inline constexpr int address_not_available = WSAEADDRNOTAVAIL;
inline constexpr int destination_address_required = WSAEDESTADDRREQ;
inline constexpr int host_down = WSAEHOSTDOWN;
inline constexpr int no_such_file = ERROR_FILE_NOT_FOUND;
inline constexpr int protocol_not_supported = WSAEPROTONOSUPPORT;
inline constexpr int wrong_protocol_type = WSAEPROTOTYPE;
#else
inline constexpr int address_not_available = EADDRNOTAVAIL;
inline constexpr int destination_address_required = EDESTADDRREQ;
inline constexpr int host_down = EHOSTDOWN;
inline constexpr int no_such_file = ENOENT;
inline constexpr int protocol_not_supported = EPROTONOSUPPORT;
inline constexpr int wrong_protocol_type = EPROTOTYPE;
#endif

}  // namespace platform::error_numbers

DGRAM_NAMESPACE_END

#endif
