// SPDX-License-Identifier: BSL-1.0
#include "rows.hpp"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace bench {

namespace {

constexpr const char* narrow_includes = "narrow Asio includes";

/// A server that is compiled, and what it may cost of the one on `asio.hpp`.
struct subject {
  const char* program;
  const char* label;
  const char* name;
  const char* work;
  std::optional<double> limit = {};
};

constexpr subject subjects[] = {
    {"dgram", "C1", "dgram.hpp", "compile an echo server, -O2", 1.5},
    {"dgram-compiled", "C1-compiled", "dgram::compiled", "the same with dgram::compiled", 0.95},
    {"emitter", "C1-emitter", "dgram emitter", "compile an echo server of the emitter, -O2"},
    {"emitter-compiled", "C1-emitter-compiled", "dgram emitter, dgram::compiled",
     "the same with dgram::compiled", 1.3},
    {"drop-in", "C1-drop-in", "dgram/udp.hpp", "compile Asio's echo server on dgram's socket, -O2",
     1.2},
};

using times = std::map<std::string, std::vector<double>>;

times read_times(const std::string& file)
{
  std::ifstream lines(file);
  if (!lines) throw std::runtime_error(fmt::format("cannot read {}", file));
  times found;
  std::string program;
  for (double seconds = 0; lines >> program >> seconds;)
    found[program].push_back(seconds);
  return found;
}

row make_row(const subject& what, const times& measured)
{
  row made(what.label, what.work, unit::seconds);
  made.add({names::asio_header, nullptr});
  made.add({narrow_includes, nullptr});
  made.add({what.name, nullptr});
  std::size_t index = 0;
  for (const char* const program : {"asio", "asio-narrow", what.program}) {
    for (const double seconds : measured.at(program))
      made.record(index, {.ns = seconds * 1e9});
    ++index;
  }
  if (what.limit) made.expect({what.name, relation::cost_at_most, *what.limit, names::asio_header});
  made.note(fmt::format("{}: {:.3f} x the cost of {}", what.name,
                        made.ratio(what.name, narrow_includes), narrow_includes));
  if (std::string_view(what.program).ends_with("-compiled"))
    made.note(fmt::format("what a target of dgram::compiled compiles once: {:.2f} s",
                          median(measured.at("compiled-source"))));
  return made;
}

}  // namespace

void add_compile_rows(std::vector<row_maker>& rows, const std::string& file)
{
  const times measured = read_times(file);
  for (const subject& what : subjects)
    rows.push_back(
        {what.label, [row = make_row(what, measured)](const run_config&) { return row; }});
}

}  // namespace bench
