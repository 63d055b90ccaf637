// SPDX-License-Identifier: BSL-1.0
// Fuzzes the parsers of endpoints, addresses and ports with any bytes at all.

#include "fuzz/input.hpp"

#include <dgram/endpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using fuzz::require;

// The overloads with an error_code are not all noexcept, since they may run out of memory. An
// exception from one leaves LLVMFuzzerTestOneInput, which is noexcept, and so ends the program.

void check_endpoint(std::string_view text)
{
  dgram::error_code ec = dgram::error::out_of_range;  // a stale error has no effect
  const auto parsed = dgram::parse_endpoint(text, ec);
  if (ec) {
    require(parsed == decltype(parsed)(), "a refused endpoint gives the default one");
    require(ec == dgram::error::bad_endpoint || ec == dgram::error::bad_address ||
                ec == dgram::error::bad_port || ec == dgram::error::unknown_interface,
            "an endpoint is refused with one of the documented errors");
    return;
  }
  const std::string printed = dgram::to_string(parsed);
  const auto again = dgram::parse_endpoint(printed, ec);
  require(!ec, "a printed endpoint parses");
  require(again == parsed, "a printed endpoint parses to the same endpoint");
  require(dgram::to_string(again) == printed, "printing is stable");
  const auto plain = dgram::canonical(parsed);
  require(dgram::canonical(plain) == plain, "what is canonical stays so");
  require(dgram::canonical(dgram::mapped(plain)) == plain, "mapping can be undone");
}

void check_address(std::string_view text)
{
  dgram::error_code ec = dgram::error::out_of_range;
  const auto parsed = dgram::parse_address(text, ec);
  if (ec) {
    require(parsed == decltype(parsed)(), "a refused address gives the default one");
    require(ec == dgram::error::bad_address || ec == dgram::error::unknown_interface,
            "an address is refused with one of the documented errors");
    return;
  }
  const auto again = dgram::parse_address(dgram::to_string(parsed), ec);
  require(!ec, "a printed address parses");
  require(again == parsed, "a printed address parses to the same address");
}

void check_port(std::string_view text)
{
  dgram::error_code ec = dgram::error::out_of_range;
  const std::uint16_t parsed = dgram::parse_port(text, ec);
  if (ec) {
    require(parsed == 0, "a refused port is 0");
    require(ec == dgram::error::bad_port, "a port is refused as bad_port");
    return;
  }
  require(text.find_first_not_of("0123456789") == std::string_view::npos, "a port has digits only");
  require(dgram::parse_port(std::to_string(parsed), ec) == parsed && !ec,
          "a printed port parses to the same port");
  require(std::strtoul(std::string(text).c_str(), nullptr, 10) == parsed,
          "a port is the number that was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) noexcept
{
  // No terminating zero follows, so that reading past the end is found.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_endpoint(text);
  check_address(text);
  check_port(text);
  return 0;
}
