// SPDX-License-Identifier: BSL-1.0
// An open descriptor that closes itself.
#ifndef DGRAM_OWNED_DESCRIPTOR_HPP
#define DGRAM_OWNED_DESCRIPTOR_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/system.hpp>

#include <utility>

DGRAM_NAMESPACE_BEGIN

/// Owns an open descriptor, or none, and closes it when it is destroyed. On Windows the descriptor
/// is a `SOCKET`.
///
/// Thread safety: distinct objects are safe, a shared object is not.
///
/// \code
/// dgram::owned_descriptor descriptor{socket.release()};
/// auto again = dgram::adopt<dgram::udp>(io, std::move(descriptor));
/// \endcode
class owned_descriptor {
public:
  using native_handle_type = platform::descriptor_type;

  owned_descriptor() noexcept = default;

  /// Takes the descriptor over; -1 (on Windows `INVALID_SOCKET`) is none.
  explicit owned_descriptor(native_handle_type descriptor) noexcept : descriptor_(descriptor) {}

  owned_descriptor(owned_descriptor&& other) noexcept : descriptor_(other.release()) {}

  owned_descriptor& operator=(owned_descriptor&& other) noexcept
  {
    if (this == &other) return *this;
    close();
    descriptor_ = other.release();
    return *this;
  }

  ~owned_descriptor() { close(); }

  /// Whether there is a descriptor.
  explicit operator bool() const noexcept { return descriptor_ != platform::no_descriptor; }

  /// Returns the descriptor, which this object keeps; -1 (on Windows `INVALID_SOCKET`) if none.
  native_handle_type get() const noexcept { return descriptor_; }

  /// Gives the descriptor up to the caller, who closes it.
  [[nodiscard]] native_handle_type release() noexcept
  {
    return std::exchange(descriptor_, platform::no_descriptor);
  }

  /// Closes the descriptor, if there is one.
  void close() noexcept
  {
    if (*this) platform::system::close(release());
  }

private:
  native_handle_type descriptor_ = platform::no_descriptor;
};

DGRAM_NAMESPACE_END

#endif
