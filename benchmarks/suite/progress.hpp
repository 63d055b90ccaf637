// SPDX-License-Identifier: BSL-1.0
// One line on the standard error stream that says what is going on.
#ifndef DGRAM_BENCHMARKS_SUITE_PROGRESS_HPP
#define DGRAM_BENCHMARKS_SUITE_PROGRESS_HPP

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

namespace bench {

inline void show_progress(std::string_view text)
{
  fmt::print(stderr, "\r{:<78.78}", text);
  std::fflush(stderr);
}

inline void clear_progress()
{
  fmt::print(stderr, "\r{:78}\r", "");
}

}  // namespace bench

#endif
