// SPDX-License-Identifier: BSL-1.0
// A peer's address or a program's bytes as a few words, which are quick to compare and to hash.
#ifndef DGRAM_DETAIL_SESSIONS_PACKED_KEY_HPP
#define DGRAM_DETAIL_SESSIONS_PACKED_KEY_HPP

#include <dgram/config.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/session_key.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/detail/platform/paths.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A key in words. The lowest byte of the first word says what kind of key it is, and the next byte
/// how many words follow, so equal words are equal keys. `Capacity` is the number of words, the
/// first included.
template <std::size_t Capacity>
class packed_words {
public:
  enum class kind : std::uint8_t { none, v4, v6, path, bytes };

  constexpr packed_words() noexcept = default;

  /// An address of IPv4, or of IPv6 with its scope. An IPv4-mapped address is the IPv4 address.
  packed_words(const net::ip::address& address, std::uint16_t port) noexcept
  {
    if (address.is_v4()) {
      pack_v4(address.to_v4().to_uint(), port);
      return;
    }
    const auto v6 = address.to_v6();
    const auto bytes = v6.to_bytes();
    if (v6.is_v4_mapped()) {
      std::uint32_t v4 = 0;
      for (std::size_t i = 12; i < bytes.size(); ++i)
        v4 = v4 << 8U | bytes[i];
      pack_v4(v4, port);
      return;
    }
    begin(kind::v6, 2, port | static_cast<std::uint64_t>(v6.scope_id()) << 16U);
    std::memcpy(&words_[1], bytes.data(), bytes.size());
  }

  /// Text or bytes, which must have room.
  packed_words(kind what, const void* data, std::size_t size) noexcept
  {
    begin(what, (size + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t), size);
    std::memcpy(&words_[1], data, size);
  }

  static constexpr std::size_t room = (Capacity - 1) * sizeof(std::uint64_t);

  kind what() const noexcept { return static_cast<kind>(words_[0] & 0xFFU); }
  bool is_usable() const noexcept { return what() != kind::none; }
  bool is_peer() const noexcept { return is_usable() && what() != kind::bytes; }

  /// How many words are in use.
  std::size_t size() const noexcept { return 1 + (words_[0] >> 8U & 0xFFU); }
  const std::uint64_t* data() const noexcept { return words_.data(); }

  friend bool operator==(const packed_words& a, const packed_words& b) noexcept
  {
    // Most keys have two words, for which a call of memcmp would cost more than the comparison.
    if (a.words_[0] != b.words_[0] || a.words_[1] != b.words_[1]) return false;
    for (std::size_t i = 2; i < a.size(); ++i)
      if (a.words_[i] != b.words_[i]) return false;
    return true;
  }

private:
  void begin(kind what, std::uint64_t words, std::uint64_t rest) noexcept
  {
    words_[0] = static_cast<std::uint64_t>(what) | words << 8U | rest << 16U;
  }

  void pack_v4(std::uint32_t address, std::uint16_t port) noexcept
  {
    begin(kind::v4, 1, port);
    words_[1] = address;
  }

  std::array<std::uint64_t, Capacity> words_{};
};

/// How many words the keys of a protocol need: those of a path, or of the longest key of bytes.
template <class Protocol>
constexpr std::size_t key_words() noexcept
{
#if DGRAM_HAS_UNIX_DATAGRAMS
  if constexpr (path_protocol<Protocol>)
    return 1 + (platform::max_path_size + sizeof(std::uint64_t)) / sizeof(std::uint64_t);
#endif
  return 1 + session_key::max_size / sizeof(std::uint64_t);
}

template <class Protocol>
using packed_key = packed_words<key_words<Protocol>()>;

/// The key of a peer. A Unix peer without a name has none.
template <class Protocol>
packed_key<Protocol> pack(const typename Protocol::endpoint& peer) noexcept
{
  using key = packed_key<Protocol>;
#if DGRAM_HAS_UNIX_DATAGRAMS
  if constexpr (path_protocol<Protocol>) {
    if (platform::has_no_path(peer.data(), peer.size())) return {};
    const std::size_t size = std::min(peer.size() - platform::path_offset, key::room);
    const auto* const address = reinterpret_cast<const std::byte*>(peer.data());
    return key(key::kind::path, address + platform::path_offset, size);
  }
#endif
  if constexpr (ip_protocol<Protocol>) return key(peer.address(), peer.port());
}

/// The key of a program's bytes, if they are usable.
template <class Protocol>
packed_key<Protocol> pack(const session_key& from) noexcept
{
  using key = packed_key<Protocol>;
  if (!from.is_usable()) return {};
  return key(key::kind::bytes, from.bytes().data(), from.size());
}

/// Refuses a key of the program's that is not usable.
[[noreturn]] DGRAM_COLD inline void refuse_key(const char* operation, const session_key& key)
{
  refuse(operation, error::out_of_range,
         "key of " + beyond(static_cast<std::int64_t>(key.size()), 1, session_key::max_size) +
             " bytes");
}

template <class Endpoint>
[[noreturn]] DGRAM_COLD void refuse_key(const char* operation, const Endpoint&)
{
  refuse(operation, net::error::invalid_argument, "an unnamed peer is no key");
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
