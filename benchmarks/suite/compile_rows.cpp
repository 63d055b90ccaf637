// SPDX-License-Identifier: BSL-1.0
#include "rows.hpp"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>

namespace bench {

namespace {

constexpr const char* ours = "dgram.hpp";

}  // namespace

row read_compile_times(const std::string& file)
{
  std::ifstream lines(file);
  if (!lines) throw std::runtime_error(fmt::format("cannot read {}", file));
  row compiled("C1", "compile an echo server with -O2", unit::seconds);
  compiled.add({names::asio_coroutine, nullptr});
  compiled.add({ours, nullptr});
  std::string which;
  for (double seconds = 0; lines >> which >> seconds;)
    compiled.record(which == "dgram" ? 1 : 0, {.ns = seconds * 1e9});
  compiled.expect({ours, relation::cost_at_most, 1.35, names::asio_coroutine});
  return compiled;
}

}  // namespace bench
