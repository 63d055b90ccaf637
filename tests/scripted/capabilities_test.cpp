// SPDX-License-Identifier: BSL-1.0
// What is found out of a kernel that has less than this one, or has no descriptors left.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram/capabilities.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cerrno>

namespace capabilities_test {

namespace {

using dgram::system_capabilities;
using dgram::udp;
using dgram::unix_dgram;
using dgram::detail::find_capabilities;
using test::fail;
using test::script;

/// What is found with this script; the caches of `capabilities` are left alone.
template <class Protocol>
system_capabilities find(const Protocol& protocol)
{
  dgram::error_code ec = asio::error::fault;
  const int before = test::open_descriptors();
  const auto found = find_capabilities(protocol, ec);
  CHECK_FALSE(ec);
  CHECK(test::open_descriptors() == before);
  return found;
}

/// What there is where nothing but sockets is.
system_capabilities bare()
{
  return {.available = true};
}

}  // namespace

TEST_CASE_METHOD(test::scripted, "a kernel without any of the options has none of what they do")
{
  const int error = GENERATE(ENOPROTOOPT, EOPNOTSUPP, EINVAL);
  script.getsockopt.always(fail(error));
  script.setsockopt.always(fail(error));
  CHECK(find(udp::v4()) == bare());
  CHECK(find(udp::dual()) == bare());
  script.bind.push(fail(EINVAL));
  CHECK(find(unix_dgram()) == bare());
}

TEST_CASE_METHOD(test::scripted, "an option that can be set, and not read, is there")
{
  script.getsockopt.always(fail(ENOPROTOOPT));
  const auto found = find(udp::v4());
  CHECK(found.packet_info);
  CHECK(found.coalescing == test::batched_calls);
  CHECK((found.max_segments > 1) == test::batched_calls);
}

TEST_CASE_METHOD(test::scripted, "an option that can be read, and not set, is not there", "[Q5]")
{
  script.setsockopt.always(fail(GENERATE(ENOPROTOOPT, EOPNOTSUPP)));
  CHECK(find(udp::v4()) == bare());
  CHECK(find(udp::dual()) == bare());
  dgram::error_code ec;
  CHECK_FALSE(dgram::supports<dgram::option::busy_poll>(udp::v4(), ec));
  CHECK(ec == asio::error::operation_not_supported);
  CHECK_FALSE(dgram::supports<dgram::option::receive_timestamp>(unix_dgram()));
}

TEST_CASE_METHOD(test::scripted, "an option that can be read is there if its value is refused",
                 "[Q5]")
{
  const auto before = find(udp::v4());
  script.setsockopt.always(fail(GENERATE(EPERM, EINVAL)));
  const auto found = find(udp::v4());
  CHECK(found.receive_drop_count == before.receive_drop_count);
  CHECK(found.coalescing == before.coalescing);
  CHECK(dgram::supports<dgram::option::hop_limit>());
}

TEST_CASE_METHOD(test::scripted, "a system that takes what it does not know has none of it", "[Q5]")
{
  script.getsockopt.always(fail(ENOPROTOOPT));
  script.setsockopt.always(test::claim(0));
  CHECK(find(udp::v4()) == bare());
  CHECK(find(udp::dual()) == bare());
  CHECK_FALSE(dgram::supports<dgram::option::coalescing>());
  CHECK_FALSE(dgram::supports<dgram::option::receive_drop_count>());
  dgram::error_code ec;
  CHECK_FALSE(dgram::supports<dgram::option::receive_timestamp>(udp::v4(), ec));
  CHECK(ec == asio::error::operation_not_supported);
}

TEST_CASE_METHOD(test::scripted,
                 "an option is there if it can be read, whatever else the system takes", "[Q5]")
{
  // As gVisor does: every setsockopt succeeds, and only known options can be read.
  script.setsockopt.always(test::claim(0));
  CHECK(dgram::supports<dgram::option::multicast_interface>(udp::v4()));
  CHECK(dgram::supports<dgram::option::hop_limit>(udp::v4()));
  if (!test::has_ipv6()) return;
  CHECK(dgram::supports<dgram::option::multicast_interface>(udp::v6()));
  CHECK(dgram::supports<dgram::option::multicast_interface>(udp::dual()));
}

TEST_CASE_METHOD(test::scripted, "a system with the older option for times has receive times",
                 "[Q5]")
{
  if (dgram::platform::names::older_timestamps == dgram::platform::names::unsupported)
    SKIP("this backend knows one option only");
  // The read and the set of the newer option fail, at the start and for the times of sends.
  script.getsockopt.push(fail(ENOPROTOOPT));
  script.setsockopt.push(fail(ENOPROTOOPT));
  dgram::error_code ec;
  const dgram::platform::probe_socket probe(udp::v4().family(), ec);
  CHECK(dgram::detail::ask_for_option<dgram::option::receive_timestamp>(probe, udp::v4()));
  CHECK_FALSE(dgram::detail::ask_for_option<dgram::detail::older_timestamp>(probe, udp::v4()));
  script.getsockopt.push(fail(ENOPROTOOPT));
  script.setsockopt.push(fail(ENOPROTOOPT));
  CHECK(find(udp::v4()).receive_timestamp);
}

TEST_CASE_METHOD(test::scripted, "a kernel that forbids an option says so")
{
  script.getsockopt.push(fail(ENOPROTOOPT));
  script.setsockopt.push(fail(EPERM));
  dgram::error_code ec;
  CHECK_FALSE(dgram::supports<dgram::option::hop_limit>(udp::v4(), ec));
  CHECK(ec == asio::error::no_permission);
}

TEST_CASE_METHOD(test::scripted, "a dual-stack socket has what both families have")
{
  if (!test::has_ipv6()) SKIP("no IPv6 here");
  // The IPv6 part is there, the IPv4 one is not.
  script.getsockopt.push(test::pass());
  script.getsockopt.push(fail(ENOPROTOOPT));
  script.setsockopt.push(test::pass());
  script.setsockopt.push(fail(ENOPROTOOPT));
  CHECK_FALSE(dgram::supports<dgram::option::hop_limit>(udp::dual()));
  CHECK(script.getsockopt.calls() == 2);
}

TEST_CASE_METHOD(test::scripted, "a family that the system lacks is no error, and has nothing")
{
  const int error = GENERATE(EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT);
  script.socket.push(fail(error), 3);
  CHECK(find(udp::v6()) == system_capabilities());
  CHECK_FALSE(dgram::supports<dgram::option::hop_limit>(udp::v6()));
  dgram::error_code ec;
  CHECK_FALSE(dgram::supports<dgram::option::hop_limit>(udp::v6(), ec));
  CHECK(ec == dgram::error_code(error, asio::error::get_system_category()));
  CHECK(script.getsockopt.calls() == 0);
}

TEST_CASE_METHOD(test::scripted, "what could not be asked is asked again, what was found is kept")
{
  script.socket.push(fail(EMFILE), 2);
  CHECK_THROWS_AS(dgram::supports<dgram::option::hop_limit>(), dgram::system_error);
  CHECK_THROWS_AS(dgram::capabilities(), dgram::system_error);
  CHECK(dgram::capabilities().available);
  const auto calls = script.socket.calls();
  script.socket.always(fail(EMFILE));
  CHECK(dgram::capabilities().available);
  CHECK(script.socket.calls() == calls);
}

TEST_CASE_METHOD(test::scripted, "what the kernel claims and does not show is no capability",
                 "[F5]")
{
  if (!test::batched_calls) SKIP("this backend reads no error queue");
  const auto before = find(udp::v4());
  REQUIRE(before.packet_info);
  REQUIRE(before.receive_error);
  // Each option can be read, and set in vain.
  script.setsockopt.always(test::claim(0));
  const auto found = find(udp::v4());
  CHECK_FALSE(found.packet_info);
  CHECK_FALSE(found.receive_ecn);
  CHECK_FALSE(found.receive_hop_limit);
  CHECK_FALSE(found.receive_error);
  CHECK(found.coalescing == before.coalescing);
  if (test::has_ipv6()) CHECK_FALSE(find(udp::dual()).receive_error);
}

TEST_CASE_METHOD(test::scripted, "an error queue that stays empty is no capability", "[F5]")
{
  if (!test::batched_calls) SKIP("this backend reads no error queue");
  const auto before = find(udp::v4());
  // The first echo, then a look at the queue and an echo in turn.
  script.recvmsg.push(test::pass());
  for (int round = 0; round < 4; ++round) {
    script.recvmsg.push(fail(EAGAIN));
    script.recvmsg.push(test::pass());
  }
  auto expected = before;
  expected.receive_error = false;
  CHECK(find(udp::v4()) == expected);

  // A report that comes late counts.
  script.recvmsg.push(test::pass());
  script.recvmsg.push(fail(EAGAIN));
  CHECK(find(udp::v4()) == before);
}

TEST_CASE_METHOD(test::scripted,
                 "a kernel that ignores the source of a datagram cannot answer by it", "[F5]")
{
  auto expected = find(udp::v4());
  script.sendmsg.push(test::pass());
  script.sendmsg.push(test::claim(1));
  expected.packet_info = false;
  CHECK(find(udp::v4()) == expected);
}

TEST_CASE_METHOD(test::scripted,
                 "without the loopback interface a capability is what the kernel says", "[F5]")
{
  const auto before = find(udp::v4());
  script.bind.push(fail(EADDRNOTAVAIL));
  CHECK(find(udp::v4()) == before);
  script.sendmsg.push(fail(ENETUNREACH));
  CHECK(find(udp::v4()) == before);
}

TEST_CASE_METHOD(test::scripted,
                 "if a datagram does not come back, a capability is what the kernel says", "[F5]")
{
  if (!test::batched_calls) SKIP("this backend sends no datagram to itself");
  const auto before = find(udp::v4());
  SECTION("it does not arrive")
  {
    script.poll.push(test::claim(0));
  }
  SECTION("it cannot be read")
  {
    script.recvmsg.push(fail(ENOMEM));
  }
  script.setsockopt.always(test::claim(0));  // so that a look at the datagram would find nothing
  CHECK(find(udp::v4()) == before);
}

TEST_CASE_METHOD(test::scripted, "an error queue that cannot be tried is no capability", "[F5]")
{
  if (!test::batched_calls) SKIP("this backend reads no error queue");
  auto expected = find(udp::v4());
  REQUIRE(expected.receive_error);
  // The first datagram, the one with a foreign source, and the one to the port that refuses it.
  script.sendmsg.push(test::pass(), 2);
  SECTION("the datagram that is to be refused does not leave")
  {
    script.sendmsg.push(fail(ENETUNREACH));
  }
  SECTION("the datagram behind it does not leave")
  {
    script.sendmsg.push(test::pass());
    script.sendmsg.push(fail(ENETUNREACH));
    script.recvmsg.push(test::pass());
    script.recvmsg.push(fail(EAGAIN));
  }
  expected.receive_error = false;
  CHECK(find(udp::v4()) == expected);
}

TEST_CASE_METHOD(test::scripted, "without a descriptor for the loopback interface nothing is known",
                 "[F5]")
{
  if (!test::batched_calls) SKIP("this backend sends no datagram to itself");
  script.socket.push(test::pass());
  script.socket.push(fail(EMFILE));
  dgram::error_code ec;
  find_capabilities(udp::v4(), ec);
  CHECK(ec == dgram::error_code(asio::error::no_descriptors));
}

TEST_CASE_METHOD(test::scripted, "the question for capabilities takes few system calls", "[F5]")
{
  find(udp::v4());
  CHECK(script.socket.calls() <= 3);
  CHECK(script.sendmsg.calls() <= 4);
  CHECK(script.recvmsg.calls() <= 3);
  CHECK(script.poll.calls() <= 2);
  script.socket.push(test::pass(), 2);
  script.socket.push(fail(EMFILE));
  dgram::error_code ec;
  find_capabilities(udp::v4(), ec);
  if (test::batched_calls) CHECK(ec == dgram::error_code(asio::error::no_descriptors));
  while (script.socket.left() > 0)
    dgram::platform::probe_socket(udp::v4().family(), ec);
}

}  // namespace capabilities_test
