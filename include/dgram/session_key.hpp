// SPDX-License-Identifier: BSL-1.0
// The key that a program reads from a datagram, if its sessions are not keyed by peer.
#ifndef DGRAM_SESSION_KEY_HPP
#define DGRAM_SESSION_KEY_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>

#include <array>
#include <cstddef>
#include <cstring>

DGRAM_NAMESPACE_BEGIN

/// The bytes that name a session: a connection id, a token, a user's number. The bytes are copied.
///
/// A key of no bytes, or of more than `max_size`, is not usable. A map counts a datagram with such
/// a key as `unkeyed`. If the program itself gives such a key to a call, the call throws.
///
/// \code
/// dgram::session_key key{"connection 7"};
/// bool usable = key.is_usable();
/// \endcode
class session_key {
public:
  /// The longest usable key, in bytes. QUIC's connection ids have at most 20.
  static constexpr std::size_t max_size = 32;

  /// No key: the datagram belongs to no session.
  constexpr session_key() noexcept = default;

  explicit session_key(bytes_view bytes) noexcept : size_(bytes.size())
  {
    if (is_usable()) std::memcpy(bytes_.data(), bytes.data(), size_);
  }

  /// The key at `offset` of a payload, which is none if the payload ends before the key does.
  static session_key at(bytes_view payload, std::size_t offset, std::size_t size) noexcept
  {
    if (offset > payload.size() || size > payload.size() - offset) return {};
    return session_key(bytes_view(payload.data() + offset, size));
  }

  /// Whether the key has 1 to `max_size` bytes.
  constexpr bool is_usable() const noexcept { return size_ > 0 && size_ <= max_size; }

  /// How many bytes the key was made from, which may be too many.
  constexpr std::size_t size() const noexcept { return size_; }

  /// The bytes; none if the key is not usable. Valid as long as the key.
  bytes_view bytes() const noexcept { return {bytes_.data(), is_usable() ? size_ : 0}; }

  friend bool operator==(const session_key&, const session_key&) noexcept = default;

private:
  std::size_t size_ = 0;
  std::array<std::byte, max_size> bytes_{};
};

DGRAM_NAMESPACE_END

#endif
