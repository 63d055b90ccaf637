// SPDX-License-Identifier: BSL-1.0
// Systems that do not know the newer of two options that mean the same.
#include "support/asio.hpp"

#if defined(__linux__)

#include "support/loopback.hpp"
#include "support/network_namespace.hpp"
#include "support/receive_times.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace older_options_test {

namespace {

using dgram::multicast_group;
using dgram::network_interface;
using test::script;

dgram::error_code system_error(int value)
{
  return {value, asio::error::get_system_category()};
}

bool is_of_rfc_3678(int name)
{
  return name == MCAST_JOIN_GROUP || name == MCAST_LEAVE_GROUP || name == MCAST_JOIN_SOURCE_GROUP ||
         name == MCAST_LEAVE_SOURCE_GROUP || name == MCAST_BLOCK_SOURCE ||
         name == MCAST_UNBLOCK_SOURCE;
}

struct old_system : test::scripted {
  /// From now on the system does not know the options of RFC 3678.
  static void forget(int error)
  {
    script.option_verdict = [error](int, int name) { return is_of_rfc_3678(name) ? error : 0; };
  }
  static void remember() { script.option_verdict = nullptr; }

  void open(bool v4, bool dual)
  {
    if (dual)
      socket = dgram::udp::socket(io, {dgram::udp::v6(), 0}, {.dual_stack = true});
    else
      socket.open(v4 ? dgram::udp::v4() : dgram::udp::v6());
  }

  asio::io_context io;
  dgram::udp::socket socket{io};
  dgram::error_code ec;
  const network_interface lan{"lan0"};  // of the network namespace
};

/// Runs on a host of the test's own, so that no report of a group leaves this one.
template <class Function>
void on_host(Function function)
{
  const test::network net{{0}, {0}};
  net.on(0, function);
}

}  // namespace

TEST_CASE_METHOD(old_system, "a group is joined and left where only the older options are known",
                 "[multicast][Q6]")
{
  const int unknown = GENERATE(EINVAL, ENOPROTOOPT, EOPNOTSUPP);
  const bool v4 = GENERATE(true, false);
  const bool dual = GENERATE(false, true);
  const bool named = GENERATE(false, true);
  if (!v4 && !test::has_ipv6()) return;
  on_host([&] {
    const network_interface on = named || !v4 ? lan : network_interface();
    const multicast_group group(v4 ? "239.1.2.3" : "ff02::1:7");
    CAPTURE(unknown, v4, dual, named);
    open(v4, dual);
    forget(unknown);
    socket.join(group, on, ec);
    REQUIRE_FALSE(ec);
    // The refusals that are real have their own errors.
    socket.join(group, on, ec);
    CHECK(ec == asio::error::address_in_use);
    // It is the membership that the newer option would have made.
    remember();
    socket.join(group, on, ec);
    CHECK(ec == asio::error::address_in_use);
    forget(unknown);
    socket.leave(group, on, ec);
    CHECK_FALSE(ec);
    socket.leave(group, on, ec);
    CHECK(ec == system_error(EADDRNOTAVAIL));
    remember();
    socket.join(group, on, ec);
    CHECK_FALSE(ec);
    forget(unknown);
    dgram::udp::socket other(io, v4 ? dgram::udp::v4() : dgram::udp::v6());
    {
      const dgram::membership member(other, group, on);
      CHECK(member.is_joined());
    }
    other.leave(group, on, ec);
    CHECK(ec == system_error(EADDRNOTAVAIL));
  });
}

TEST_CASE_METHOD(old_system, "a source is joined, left and blocked by IPv4's older options",
                 "[multicast][Q6]")
{
  const int unknown = GENERATE(EINVAL, ENOPROTOOPT);
  const bool dual = GENERATE(false, true);
  const network_interface on = GENERATE(false, true) ? lan : network_interface();
  on_host([&] {
    const multicast_group from("232.1.2.3", "192.0.2.77");
    open(true, dual);
    forget(unknown);
    socket.join(from, on, ec);
    REQUIRE_FALSE(ec);
    remember();
    socket.join(from, on, ec);
    CHECK(ec == system_error(EADDRNOTAVAIL));
    forget(unknown);
    socket.leave(from, on, ec);
    CHECK_FALSE(ec);
    socket.leave(from, on, ec);
    CHECK(ec == asio::error::invalid_argument);

    const multicast_group any("239.1.2.3");
    const multicast_group blocked("239.1.2.3", "192.0.2.77");
    socket.join(any, on);
    socket.block(blocked, on, ec);
    CHECK_FALSE(ec);
    socket.block(blocked, on, ec);
    CHECK(ec == system_error(EADDRNOTAVAIL));
    socket.unblock(blocked, on, ec);
    CHECK_FALSE(ec);
    socket.unblock(blocked, on, ec);
    CHECK(ec == system_error(EADDRNOTAVAIL));
  });
}

TEST_CASE_METHOD(old_system, "a join on all interfaces uses the older options too",
                 "[multicast][Q6]")
{
  on_host([&] {
    const multicast_group group("239.1.2.3");
    open(true, false);
    forget(EINVAL);
    socket.join(group, network_interface::all(), ec);
    REQUIRE_FALSE(ec);
    socket.leave(group, network_interface::all(), ec);
    CHECK_FALSE(ec);
    remember();
    socket.leave(group, lan, ec);
    CHECK(ec == system_error(EADDRNOTAVAIL));
  });
}

TEST_CASE_METHOD(old_system, "a source that no known option can name keeps its error",
                 "[multicast][Q6]")
{
  if (!test::has_ipv6()) SKIP("this host has no IPv6");
  const int unknown = GENERATE(EINVAL, ENOPROTOOPT);
  open(false, false);
  forget(unknown);
  socket.join(multicast_group("ff3e::1:7", "fd00::9"), ec);
  CHECK(ec == system_error(unknown));
  CHECK(script.setsockopt.calls() == 1);
}

TEST_CASE_METHOD(old_system, "a system without any option for groups is told as such",
                 "[multicast][Q6]")
{
  open(true, false);
  script.setsockopt.always(test::fail(ENOPROTOOPT));
  socket.join(multicast_group("239.1.2.3"), ec);
  CHECK(ec == system_error(ENOPROTOOPT));
}

TEST_CASE_METHOD(old_system, "a refusal that is real is not tried in another way",
                 "[multicast][Q6]")
{
  const int error = GENERATE(ENODEV, ENOBUFS, EADDRINUSE, EADDRNOTAVAIL, EPERM);
  open(true, false);
  script.setsockopt.always(test::fail(error));
  socket.leave(multicast_group("239.1.2.3"), ec);
  CHECK(ec == system_error(error));
  CHECK(script.setsockopt.calls() == 1);
}

TEST_CASE_METHOD(old_system, "receive times come by the older option where only that is known",
                 "[metadata][Q6]")
{
  if (!dgram::platform::has_error_queue) SKIP("this backend knows one option only");
  // Some systems refuse an option that they do not know. Others take it, and do not read it back.
  const bool refuses = GENERATE(true, false);
  test::await_receive_times();
  test::plain_peer peer(io);
  socket = dgram::udp::socket(io, test::loopback_v4());
  const auto lacks_newer = [&] {
    script.setsockopt.push(refuses ? test::fail(ENOPROTOOPT) : test::claim(0));
    if (!refuses) script.getsockopt.push(test::fail(ENOPROTOOPT));
  };
  std::array<char, 8> storage{};
  dgram::datagram_info info;
  const auto receive = [&] {
    peer.send("a", socket.local_endpoint());
    REQUIRE(socket.receive_from(asio::buffer(storage), info) == 1);
    return info.receive_time();
  };
  CHECK_FALSE(receive());
  lacks_newer();
  socket.set_option(dgram::option::receive_timestamp(true), ec);
  CHECK_FALSE(ec);
  CHECK(receive());
  CHECK_FALSE(info.hardware_receive_time());
  // There is no older option for the times of sends.
  lacks_newer();
  socket.send_to(asio::buffer("a", 1), peer.endpoint(), dgram::send_options{.timestamp = true}, ec);
  CHECK(ec == asio::error::operation_not_supported);
  lacks_newer();
  socket.set_option(dgram::option::receive_timestamp(false), ec);
  CHECK_FALSE(ec);
  CHECK_FALSE(receive());
}

TEST_CASE_METHOD(old_system, "a system that knows the newer option for times is asked no other",
                 "[metadata][Q6]")
{
  if (!dgram::platform::has_error_queue) SKIP("this backend knows one option only");
  socket.open(dgram::udp::v4());
  const bool on = GENERATE(true, false);
  socket.set_option(dgram::option::receive_timestamp(on));
  CHECK(script.setsockopt.calls() == 1);
  script.setsockopt.push(test::fail(EPERM));
  socket.set_option(dgram::option::receive_timestamp(on), ec);
  CHECK(ec == asio::error::no_permission);
  CHECK(script.setsockopt.calls() == 2);
}

}  // namespace older_options_test

#endif
