// SPDX-License-Identifier: BSL-1.0
// The bytes of a fuzzer as a sequence of decisions.
#ifndef DGRAM_TESTS_FUZZ_INPUT_HPP
#define DGRAM_TESTS_FUZZ_INPUT_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>

namespace fuzz {

inline void require(bool holds, const char* property)
{
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", property);
  std::abort();
}

class input {
public:
  input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}

  bool empty() const { return at_ == end_; }

  /// Zeros follow the last byte.
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : *at_++; }

  std::size_t below(std::size_t count)
  {
    const std::size_t high = byte();
    return (high << 8U | byte()) % count;
  }

  bool one_in(std::size_t count) { return byte() % count == 0; }

  /// One of the elements of an array or a vector.
  template <class Range>
  const auto& one_of(const Range& range)
  {
    return range[below(std::size(range))];
  }

  /// Any number of a type. One byte decides how many others it has, so that small numbers are
  /// likely.
  template <class Number>
  Number number()
  {
    const std::uint8_t form = byte();
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < form % 9U; ++i)
      bits = bits << 8U | byte();
    if (form >= 128) bits = ~bits;  // a negative number, or a large one
    return static_cast<Number>(bits);
  }

  /// At most so many bytes, which are taken as they are.
  std::string text(std::size_t most)
  {
    const std::size_t size = below(most + 1);
    std::string taken;
    while (taken.size() < size && !empty())
      taken += static_cast<char>(byte());
    return taken;
  }

private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

}  // namespace fuzz

#endif
