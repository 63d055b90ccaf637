// SPDX-License-Identifier: BSL-1.0
// A hash with a secret seed, so that a sender cannot choose keys that collide.
#ifndef DGRAM_DETAIL_SESSIONS_KEYED_HASH_HPP
#define DGRAM_DETAIL_SESSIONS_KEYED_HASH_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/random.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

DGRAM_NAMESPACE_BEGIN

namespace detail {

#if defined(__SIZEOF_INT128__)
__extension__ using wide_product = unsigned __int128;

/// Both halves of the product of 64 by 64 bits, folded into one.
inline std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) noexcept
{
  const wide_product product = static_cast<wide_product>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}
#else
inline std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) noexcept
{
  const std::uint64_t low_a = a & 0xFFFFFFFFU;
  const std::uint64_t low_b = b & 0xFFFFFFFFU;
  const std::uint64_t middle = (a >> 32U) * low_b + (low_a * low_b >> 32U);
  const std::uint64_t carry = low_a * (b >> 32U) + (middle & 0xFFFFFFFFU);
  const std::uint64_t high = (a >> 32U) * (b >> 32U) + (middle >> 32U) + (carry >> 32U);
  return (a * b) ^ high;
}
#endif

/// Every input word is mixed with a secret before it is multiplied, so no input makes a product 0
/// on purpose.
class keyed_hash {
public:
  /// Takes the secret from the system's source of random numbers. Throws what that throws.
  keyed_hash()
  {
    platform::fill_random(secret_);
    secret_.back() |= 1;
  }

  std::uint32_t operator()(const std::uint64_t* words, std::size_t count) const noexcept
  {
    std::uint64_t state = secret_[0] ^ count;
    for (std::size_t i = 0; i + 1 < count; i += 2)
      state = folded_product(words[i] ^ state, words[i + 1] ^ secret_[1]);
    if (count % 2 != 0) state = folded_product(words[count - 1] ^ state, secret_[2]);
    return static_cast<std::uint32_t>(folded_product(state ^ secret_[2], secret_[3]) >> 32U);
  }

  template <class Key>
  std::uint32_t operator()(const Key& key) const noexcept
  {
    return (*this)(key.data(), key.size());
  }

private:
  std::array<std::uint64_t, 4> secret_{};
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
