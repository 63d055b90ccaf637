// SPDX-License-Identifier: BSL-1.0
// format.hpp: addresses, endpoints, errors, counts and results as text, with the specifications of strings.

#include <dgram/format.hpp>

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

#if defined(__cpp_lib_format)
#include <format>
#endif

namespace format_test {

namespace {

const auto v4 = dgram::parse_endpoint("127.0.0.1:53");
const auto v6 = dgram::parse_endpoint("[::1]:53");

/// Calls `check(value, text)` with values of all the structures and enumerations, and what they are to look like.
template <class Check>
void for_each_value(Check check)
{
  dgram::socket_statistics counts;
  counts.received = 12;
  counts.sent = 7;
  counts.dropped = 3;
  check(
      counts,
      "received=12 received_bytes=0 receive_calls=0 coalesced=0 truncated=0 sent=7 sent_bytes=0 "
      "send_calls=0 "
      "segmented=0 short_sends=0 rejected=0 would_block=0 path_errors=0 lost_reports=0 dropped=3");
  check(dgram::writer_statistics{.queued = 5, .sent = 1, .refused = 2, .dropped = 3, .lost = 4},
        "queued=5 sent=1 refused=2 dropped=3 lost=4");
  dgram::send_result result;
  result.sent = 3;
  check(result, "sent=3 refused=0");
  result.error = asio::error::would_block;
  check(result, "sent=3 refused=0 error=\"" + result.error.message() + "\"");

  dgram::path_error refused;
  refused.peer = v4;
  refused.code = asio::error::connection_refused;
  const std::string error = "error=\"" + refused.code.message() + "\"";
  check(refused, "peer=127.0.0.1:53 " + error + " origin=host");
  refused.origin = dgram::path_error_origin::icmp;
  refused.offender = dgram::parse_address("192.0.2.1");
  refused.icmp_type = 3;
  refused.icmp_code = 4;
  refused.mtu = 1280;
  check(refused,
        "peer=127.0.0.1:53 " + error + " origin=icmp offender=192.0.2.1 type=3 code=4 mtu=1280");

  check(dgram::session_id{18'446'744'073'709'551'615U}, "18446744073709551615");
  check(dgram::session_end::idle, "idle");
  check(dgram::session_end::closed, "closed");
  check(dgram::session_end::evicted, "evicted");
  check(dgram::session_end::stopped, "stopped");
  check(dgram::session_end::socket_error, "socket_error");

  dgram::system_capabilities can;
  can.backend = "linux";
  can.datagrams_per_call = 1024;
  can.wire_size = true;
  can.available = true;
  can.max_segments = 64;
  can.receive_error = true;
  check(
      can,
      "backend=linux datagrams_per_call=1024 wire_size=true available=true max_segments=64 "
      "coalescing=false "
      "packet_info=false receive_ecn=false receive_hop_limit=false receive_timestamp=false "
      "send_timestamp=false hardware_timestamps=false receive_drop_count=false receive_error=true "
      "transmit_time=false abstract_names=false");

  check(dgram::ecn_codepoint::not_ect, "not_ect");
  check(dgram::ecn_codepoint::ect_1, "ect_1");
  check(dgram::ecn_codepoint::ect_0, "ect_0");
  check(dgram::ecn_codepoint::ce, "ce");
  check(dgram::path_error_origin::host, "host");
  check(dgram::path_error_origin::icmp, "icmp");
  check(dgram::path_error_origin::icmpv6, "icmpv6");
  check(static_cast<dgram::path_error_origin>(99), "unknown");
  check(static_cast<dgram::session_end>(99), "unknown");

  dgram::failure what;
  what.operation = "connect";
  what.code = asio::error::connection_refused;
  what.address = "127.0.0.1";
  what.port = 53;
  check(what, what.text());
}

}  // namespace

#if DGRAM_HAS_FMT

TEST_CASE("format: fmt prints counts, results, reports, capabilities and enumerations in one line")
{
  for_each_value([](const auto& value, const std::string& text) {
    CHECK(fmt::format("{}", value) == text);
    CHECK(fmt::format("{:.2}", value) == text.substr(0, 2));
  });
#if DGRAM_HAS_UNIX_DATAGRAMS
  dgram::basic_path_error<dgram::unix_dgram> unix_error;
  CHECK(fmt::format("{}", unix_error).starts_with("peer=(unnamed) error="));
#endif
}

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
  for_each_value(
      [](const auto& value, const std::string& text) { CHECK(std::format("{}", value) == text); });
  CHECK(std::format("{}", dgram::error::bad_port) ==
        dgram::make_error_code(dgram::error::bad_port).message());
#else
  SKIP("this standard library has no <format>");
#endif
}

}  // namespace format_test
