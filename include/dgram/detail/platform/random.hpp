// SPDX-License-Identifier: BSL-1.0
// Random numbers from the system, for secrets. The header <random> costs every user compile time.
#ifndef DGRAM_DETAIL_PLATFORM_RANDOM_HPP
#define DGRAM_DETAIL_PLATFORM_RANDOM_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/system.hpp>
#include <dgram/error.hpp>

#if defined(_WIN32)
#include <random>
#else
#include <cerrno>
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// The most bytes that one call may ask for (getentropy(3)).
inline constexpr std::size_t most_random_bytes = 256;

/// Fills an array of integers with random bits. Throws `system_error` if the system has none.
template <class T, std::size_t Size>
void fill_random(std::array<T, Size>& words)
{
  static_assert(std::is_unsigned_v<T> && sizeof words <= most_random_bytes);
#if defined(_WIN32)
  std::random_device source;
  for (T& word : words)
    word = static_cast<T>(std::uint64_t{source()} << 32U | source());
#else
  if (system::getentropy(words.data(), sizeof words) != 0)
    detail::raise(error_code(errno, net::error::get_system_category()), "getentropy");
#endif
}

/// Draws random words. One call of the system is enough for many of them.
class random_words {
public:
  /// Throws what `fill_random` throws.
  std::uint64_t operator()()
  {
    if (left_ == 0) {
      fill_random(words_);
      left_ = words_.size();
    }
    return words_[--left_];
  }

  /// The next word is not one that this process, or its parent, has asked for already.
  void discard() noexcept { left_ = 0; }

private:
  std::array<std::uint64_t, most_random_bytes / sizeof(std::uint64_t)> words_{};
  std::size_t left_ = 0;
};

}  // namespace platform

DGRAM_NAMESPACE_END

#endif
