// SPDX-License-Identifier: BSL-1.0
// Fuzzes the reader of control messages, and all that is made of them, with any bytes at all.

#include "support/control_bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) noexcept
{
  // In memory of exactly this size, so that reading past the end is found.
  const auto bytes = std::make_unique<std::byte[]>(size);
  if (size > 0) std::memcpy(bytes.get(), data, size);
  if (const char* const broken = test::broken_property({bytes.get(), size})) {
    std::fprintf(stderr, "does not hold: %s\n", broken);
    std::abort();
  }
  return 0;
}
