// SPDX-License-Identifier: BSL-1.0
// format.hpp: addresses, endpoints and errors as text, with the specifications of strings.

#include <dgram/format.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

#if defined(__cpp_lib_format)
#include <format>
#endif

namespace {

const auto v4 = dgram::parse_endpoint("127.0.0.1:53");
const auto v6 = dgram::parse_endpoint("[::1]:53");

}  // namespace

#if DGRAM_HAS_FMT

TEST_CASE("format: fmt prints addresses, endpoints and errors")
{
  CHECK(fmt::format("{}", v4) == "127.0.0.1:53");
  CHECK(fmt::format("{}", v6) == "[::1]:53");
  CHECK(fmt::format("{}", v4.address()) == "127.0.0.1");
  CHECK(fmt::format("{}", v6.address()) == "::1");
  CHECK(fmt::format("{}", dgram::error::bad_port) ==
        dgram::make_error_code(dgram::error::bad_port).message());
}

TEST_CASE("format: fmt takes width, fill, alignment and precision")
{
  CHECK(fmt::format("{:>15}|", v4) == "   127.0.0.1:53|");
  CHECK(fmt::format("{:<15}|", v6) == "[::1]:53       |");
  CHECK(fmt::format("{:*^14}", v6) == "***[::1]:53***");
  CHECK(fmt::format("{:.3}", v4) == "127");
  CHECK(fmt::format("{:>{}}", v6.address(), 5) == "  ::1");
  CHECK_THROWS_AS(fmt::format(fmt::runtime("{:d}"), v4), fmt::format_error);
}

TEST_CASE("format: fmt checks and prints in one call with other arguments")
{
  CHECK(fmt::format("{0} {1} {0}", v4, 7) == "127.0.0.1:53 7 127.0.0.1:53");
}

#endif

TEST_CASE("format: std::format does the same where the standard library has it")
{
#if defined(__cpp_lib_format)
  CHECK(std::format("{}", v4) == "127.0.0.1:53");
  CHECK(std::format("{}", v6) == "[::1]:53");
  CHECK(std::format("{:>15}|", v4) == "   127.0.0.1:53|");
  CHECK(std::format("{:*^14}", v6) == "***[::1]:53***");
  CHECK(std::format("{}", v6.address()) == "::1");
  CHECK(std::format("{}", dgram::error::bad_port) ==
        dgram::make_error_code(dgram::error::bad_port).message());
#else
  SKIP("this standard library has no <format>");
#endif
}
