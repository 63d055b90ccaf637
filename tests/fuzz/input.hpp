// SPDX-License-Identifier: BSL-1.0
// The bytes of a fuzzer as a sequence of decisions.
#ifndef DGRAM_TESTS_FUZZ_INPUT_HPP
#define DGRAM_TESTS_FUZZ_INPUT_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

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

private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

}  // namespace fuzz

#endif
