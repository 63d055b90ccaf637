// SPDX-License-Identifier: BSL-1.0
// A second descriptor of one socket, in this process.
#ifndef DGRAM_DETAIL_PLATFORM_DUPLICATE_HPP
#define DGRAM_DETAIL_PLATFORM_DUPLICATE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/errors.hpp>
#include <dgram/detail/platform/system.hpp>
#include <dgram/error.hpp>
#include <dgram/owned_descriptor.hpp>

DGRAM_NAMESPACE_BEGIN

namespace platform {

#if defined(_WIN32)

/// A Windows socket belongs to one completion port, whatever descriptor names it.
inline constexpr bool can_duplicate = false;

inline owned_descriptor duplicate(descriptor_type, error_code& ec) noexcept
{
  ec = net::error::operation_not_supported;
  return {};
}

#else

inline constexpr bool can_duplicate = true;

/// Child processes do not inherit the new one.
inline owned_descriptor duplicate(descriptor_type of, error_code& ec) noexcept
{
  owned_descriptor made(system::duplicate(of));
  if (made)
    ec.clear();
  else
    ec = last_error();
  return made;
}

#endif

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
