// SPDX-License-Identifier: BSL-1.0
// error.hpp: every error has a text, the errc it is documented with, and names what was refused.

#include "support/loopback.hpp"
#include "support/system_sockets.hpp"
#include "support/temporary_directory.hpp"

#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/multicast.hpp>
#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/unix_dgram.hpp>

#include <asio/local/stream_protocol.hpp>
#endif

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cerrno>
#include <set>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

namespace error_test {

namespace {

struct row {
  dgram::error value;
  std::errc same_as;
  const char* part_of_message;
};

// Without a default: a new enumerator that is not listed here is a warning, and so stops the build.
row describe(dgram::error value)
{
  switch (value) {
  case dgram::error::bad_endpoint: return {value, std::errc::invalid_argument, "endpoint"};
  case dgram::error::bad_address: return {value, std::errc::invalid_argument, "address"};
  case dgram::error::bad_port: return {value, std::errc::invalid_argument, "port"};
  case dgram::error::unknown_interface: return {value, std::errc::no_such_device, "interface"};
  case dgram::error::not_multicast: return {value, std::errc::invalid_argument, "multicast"};
  case dgram::error::out_of_range: return {value, std::errc::invalid_argument, "range"};
  case dgram::error::slot_too_small: return {value, std::errc::invalid_argument, "64 KiB"};
  case dgram::error::coalescing: return {value, std::errc::invalid_argument, "batches"};
  case dgram::error::wrong_descriptor: return {value, std::errc::invalid_argument, "socket"};
  case dgram::error::bad_type: return {value, std::errc::invalid_argument, "type"};
  case dgram::error::already_bound: return {value, std::errc::invalid_argument, "bound"};
  case dgram::error::not_running: return {value, std::errc::bad_file_descriptor, "running"};
  case dgram::error::ip_blocked: return {value, std::errc::permission_denied, "block"};
  case dgram::error::no_multicast: return {value, std::errc::operation_not_supported, "multicast"};
  case dgram::error::bad_source: return {value, std::errc::invalid_argument, "source"};
  case dgram::error::no_packet_info: return {value, std::errc::invalid_argument, "packet_info"};
  case dgram::error::listener_failed: return {value, std::errc::invalid_argument, "listener"};
  case dgram::error::session_ended: return {value, std::errc::connection_aborted, "session"};
  case dgram::error::not_validated: return {value, std::errc::permission_denied, "proved"};
  case dgram::error::already_listening:
    return {value, std::errc::invalid_argument, "has a listener"};
  case dgram::error::untrusted_peer: return {value, std::errc::permission_denied, "trusted"};
  case dgram::error::hand_over_version: return {value, std::errc::protocol_error, "version"};
  case dgram::error::hand_over_message: return {value, std::errc::protocol_error, "message"};
  case dgram::error::hand_over_withdrawn: return {value, std::errc::operation_canceled, "keeps"};
  case dgram::error::too_many_exchanges:
    return {value, std::errc::no_buffer_space, "max_outstanding"};
  }
  FAIL("an error that is no enumerator");
  return {};
}

std::vector<dgram::error> all_errors()
{
  return {dgram::error::bad_endpoint,
          dgram::error::bad_address,
          dgram::error::bad_port,
          dgram::error::unknown_interface,
          dgram::error::not_multicast,
          dgram::error::out_of_range,
          dgram::error::slot_too_small,
          dgram::error::coalescing,
          dgram::error::wrong_descriptor,
          dgram::error::no_multicast,
          dgram::error::bad_source,
          dgram::error::no_packet_info,
          dgram::error::listener_failed,
          dgram::error::bad_type,
          dgram::error::already_bound,
          dgram::error::not_running,
          dgram::error::ip_blocked,
          dgram::error::untrusted_peer,
          dgram::error::hand_over_version,
          dgram::error::hand_over_message,
          dgram::error::hand_over_withdrawn,
          dgram::error::too_many_exchanges,
          dgram::error::session_ended,
          dgram::error::not_validated,
          dgram::error::already_listening};
}

}  // namespace

TEST_CASE("error: an enumerator becomes an error_code of the category \"dgram\"")
{
  STATIC_REQUIRE(std::is_error_code_enum_v<dgram::error>);
  STATIC_REQUIRE(std::is_nothrow_convertible_v<dgram::error, dgram::error_code>);
  for (const dgram::error value : all_errors()) {
    const dgram::error_code ec = value;
    CAPTURE(ec.message());
    CHECK(ec);
    CHECK(ec == value);
    CHECK(ec.value() == static_cast<int>(value));
    CHECK(ec.category() == dgram::error_category());
  }
  CHECK(std::string(dgram::error_category().name()) == "dgram");
  CHECK(&dgram::error_category() == &dgram::error_category());
}

TEST_CASE("error: every enumerator has a message of its own")
{
  std::set<std::string> seen;
  for (const dgram::error value : all_errors()) {
    const std::string message = dgram::make_error_code(value).message();
    CAPTURE(message);
    CHECK_THAT(message, Catch::Matchers::ContainsSubstring(describe(value).part_of_message));
    CHECK(message.find("unknown dgram") == std::string::npos);
    CHECK(seen.insert(message).second);
  }
}

TEST_CASE("error: a value that is no enumerator still has a text")
{
  const int value = GENERATE(-1, 0, 1000);
  CHECK(dgram::error_category().message(value) == "unknown dgram error");
}

TEST_CASE("error: every enumerator compares equal to its errc and to no other")
{
  const auto other = [](std::errc one) {
    return one == std::errc::invalid_argument ? std::errc::no_such_device
                                              : std::errc::invalid_argument;
  };
  for (const dgram::error value : all_errors()) {
    const dgram::error_code ec = value;
    CAPTURE(ec.message());
    CHECK(ec == describe(value).same_as);
    CHECK(ec != other(describe(value).same_as));
    CHECK(ec != std::errc::address_in_use);
  }
}

TEST_CASE("error: different enumerators are different, though their errc is the same")
{
  const dgram::error_code ec = dgram::error::bad_port;
  CHECK(ec == std::errc::invalid_argument);
  CHECK(ec != dgram::error::bad_address);
  // The number alone does not decide: another category may use it too.
  CHECK(ec != dgram::error_code(static_cast<int>(dgram::error::bad_port), std::generic_category()));
}

TEST_CASE("error: what is thrown says which call refused which input, and why")
{
  const auto thrown_by = [](auto&& call) {
    try {
      call();
    } catch (const dgram::system_error& failure) {
      return std::pair<dgram::error_code, std::string>{failure.code(), failure.what()};
    }
    FAIL("nothing was thrown");
    return std::pair<dgram::error_code, std::string>{};
  };
  const auto check = [&](auto&& call, dgram::error code, const char* function, const char* input) {
    const auto [ec, text] = thrown_by(call);
    CHECK(ec == code);
    CHECK_THAT(text, Catch::Matchers::StartsWith(function));
    CHECK_THAT(text, Catch::Matchers::ContainsSubstring(input));
    CHECK_THAT(text, Catch::Matchers::ContainsSubstring(dgram::make_error_code(code).message()));
  };
  check([] { (void)dgram::parse_endpoint("no endpoint"); }, dgram::error::bad_endpoint,
        "parse_endpoint", "no endpoint");
  check([] { (void)dgram::parse_endpoint("127.0.0.1:65536"); }, dgram::error::bad_port,
        "parse_endpoint", "127.0.0.1:65536");
  check([] { (void)dgram::parse_address("256.1.1.1"); }, dgram::error::bad_address, "parse_address",
        "256.1.1.1");
  check([] { dgram::multicast_group("group-zzz"); }, dgram::error::bad_address, "multicast_group",
        "group-zzz");
}

TEST_CASE("error: throw_if throws only where there is an error")
{
  CHECK_NOTHROW(dgram::detail::throw_if({}, "never"));
  CHECK_NOTHROW(dgram::detail::throw_if({}, "never", "input"));
  CHECK_THROWS_AS(dgram::detail::throw_if(dgram::error::bad_port, "call"), dgram::system_error);
}

TEST_CASE(
    "error: what the library's own calls report compares with Asio's names, as Asio's errors do")
{
  asio::io_context io;
  dgram::udp::socket socket(io);
  char storage[1] = {};
  dgram::error_code ours;
  dgram::error_code asios;
  // One goes through the library's system calls, the other through Asio's.
  socket.try_receive(asio::buffer(storage), ours);
  socket.receive(asio::buffer(storage), 0, asios);
  CHECK(asios == asio::error::bad_descriptor);
  CHECK(ours == asio::error::bad_descriptor);
  CHECK(ours == asios);
}

TEST_CASE("error: congestion is recognised in what the library's own calls report")
{
  const auto report = [](int value) {
#if defined(_WIN32)
    ::WSASetLastError(test::system_number(value));
#else
    errno = value;
#endif
    return dgram::platform::last_error();
  };
  CHECK(dgram::platform::is_congestion(report(ENOBUFS)));
  CHECK(dgram::platform::is_congestion(report(ENOMEM)));
  CHECK_FALSE(dgram::platform::is_congestion(report(EAGAIN)));
  CHECK_FALSE(dgram::platform::is_congestion(report(EBADF)));
  CHECK(report(EAGAIN) == asio::error::would_block);
  CHECK(report(EWOULDBLOCK) == asio::error::would_block);
}

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)
TEST_CASE("error: a refused datagram has used a number of the kernel's after some errors only")
{
  const auto was_counted = [](int value, bool segmented, bool receives_errors = false) {
    return dgram::platform::was_counted(dgram::platform::make_system_error(value), segmented,
                                        receives_errors);
  };
  CHECK(was_counted(EPERM, false));
  CHECK(was_counted(ENOBUFS, false, true));
  CHECK_FALSE(was_counted(ENOBUFS, false));
  for (const int value : {EINVAL, EMSGSIZE, EIO}) {
    CHECK(was_counted(value, true));
    CHECK_FALSE(was_counted(value, false));
  }
  CHECK_FALSE(was_counted(EAGAIN, true, true));
}
#endif

TEST_CASE("error: what Asio has no name for is told by a name of the library's")
{
  asio::io_context io;
  dgram::error_code ec;
  dgram::udp::socket socket(io, test::loopback_v4());
  socket.send(asio::buffer("hello", 5), 0, ec);
  CHECK(ec == dgram::socket_error::destination_address_required);
  CHECK(ec != dgram::socket_error::address_not_available);
  // RFC 5737: no interface has it.
  dgram::udp::socket foreign(io, dgram::udp::v4());
  foreign.bind(dgram::parse_endpoint("192.0.2.1:0"), ec);
  CHECK(ec == dgram::socket_error::address_not_available);

#if DGRAM_HAS_UNIX_DATAGRAMS
  const test::temporary_directory directory;
  const std::string path = directory / "stream";
  asio::local::stream_protocol::acceptor stream(io, asio::local::stream_protocol::endpoint(path));
  dgram::unix_dgram::socket local(io, dgram::unix_dgram());
  local.send_to(asio::buffer("hello", 5), dgram::unix_dgram::endpoint(path), 0, ec);
  CHECK(ec == dgram::socket_error::wrong_protocol_type);
  local.send_to(asio::buffer("hello", 5), dgram::unix_dgram::endpoint(path + "-none"), 0, ec);
  CHECK(ec == dgram::socket_error::no_such_file);
#endif

  // What takes a router or another kernel is compared with what the system calls it.
#if defined(_WIN32)
  CHECK(dgram::platform::make_system_error(WSAEHOSTDOWN) == dgram::socket_error::host_down);
#else
  CHECK(dgram::platform::make_system_error(EHOSTDOWN) == dgram::socket_error::host_down);
#endif
  CHECK(test::os_error(EPROTONOSUPPORT) == dgram::socket_error::protocol_not_supported);
  ec = dgram::socket_error::host_down;
  CHECK(ec.category() == asio::error::get_system_category());
  CHECK_FALSE(ec.message().empty());
}

}  // namespace error_test
