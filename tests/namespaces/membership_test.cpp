// SPDX-License-Identifier: BSL-1.0
// Memberships whose interface goes, comes back or gets another name in between: what was joined can be left, and does not
// use the kernel's memberships up.
#include "support/loopback.hpp"
#include "support/network_namespace.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <string>

namespace membership_test {

#if defined(__linux__)

namespace {

using dgram::error_code;
using dgram::multicast_group;
using dgram::network_interface;

constexpr int most_memberships = 3;

/// A host with an interface that comes and goes.
struct host_with_interface {
  host_with_interface()
  {
    host.ip("link set lo up\n");
    host.sysctl("ipv4/igmp_max_memberships", most_memberships);
    add();
    socket = host.run(
        [&] { return dgram::udp::socket(io, is_v6 ? dgram::udp::v6() : dgram::udp::v4()); });
  }

  void add() const
  {
    host.ip(
        "link add d0 type veth peer name p0\nlink set p0 up\nlink set d0 up multicast on\naddr add "
        "10.9.0.1/24 dev d0\n"
        "addr add fd09::1/64 dev d0 nodad\n");
  }

  void remove() const { host.ip("link del d0\n"); }
  void rename() const { host.ip("link set d0 down\nlink set d0 name d1\nlink set d1 up\n"); }

  multicast_group group(bool with_source) const
  {
    if (is_v6)
      return with_source ? multicast_group("ff35::8", "fd09::7") : multicast_group("ff15::8");
    return with_source ? multicast_group("232.9.9.9", "10.9.0.7") : multicast_group("239.9.9.9");
  }

  error_code change(bool joins, const multicast_group& group, const network_interface& interface)
  {
    return host.run([&] {
      error_code ec;
      if (joins)
        socket.join(group, interface, ec);
      else
        socket.leave(group, interface, ec);
      return ec;
    });
  }

  const bool is_v6 = GENERATE(false, true);
  test::network_namespace host;
  asio::io_context io;
  dgram::udp::socket socket{io};
};

/// By what the interface is called, which has to be there for all but the name.
network_interface called(int how, bool is_v6)
{
  if (how == 0) return network_interface("d0");
  return network_interface(is_v6 ? "fd09::1" : "10.9.0.1");
}

}  // namespace

TEST_CASE("a group is left by what it was joined by, whatever became of the interface",
          "[namespaces][F6]")
{
  host_with_interface on;
  const bool with_source = GENERATE(false, true);
  const auto group = on.group(with_source);
  const auto interface = called(GENERATE(0, 1), on.is_v6);
  const int what = GENERATE(0, 1, 2);
  CAPTURE(on.is_v6, with_source, to_string(interface), what);
  // More often than there may be memberships: one that stayed would show.
  for (int i = 0; i < most_memberships + 2; ++i) {
    CAPTURE(i);
    REQUIRE(on.change(true, group, interface) == error_code());
    if (what == 0) on.remove();
    if (what == 1) {
      on.remove();
      on.add();
    }
    if (what == 2) on.rename();
    REQUIRE(on.change(false, group, interface) == error_code());
    // It is left, and cannot be left again.
    CHECK(on.change(false, group, interface) != error_code());
    if (what == 0) on.add();
    if (what == 2) {
      on.host.ip("link del d1\n");
      on.add();
    }
  }
}

TEST_CASE("an emitter leaves a group of either family, whatever became of the interface",
          "[namespaces][F6]")
{
  host_with_interface on;
  const std::string group = GENERATE("239.9.9.9", "ff15::8");
  const std::string interface =
      group == "ff15::8" ? "fd09::1%d0" : std::string(GENERATE("10.9.0.1", "d0"));
  const bool with_source = group == "239.9.9.9" && GENERATE(false, true);
  const bool stays_gone = GENERATE(false, true);
  CAPTURE(group, interface, with_source);
  auto emitter = on.host.run([&] {
    auto made = dgram::create_socket(on.io, dgram::udp6);
    made.bind_sync(0);
    return made;
  });
  for (int i = 0; i < most_memberships + 2; ++i) {
    CAPTURE(i);
    on.host.run([&] {
      if (with_source)
        emitter.add_source_specific_membership("10.9.0.7", "232.9.9.9", interface);
      else
        emitter.add_membership(group, interface);
    });
    on.remove();
    if (!stays_gone) on.add();
    on.host.run([&] {
      if (with_source)
        CHECK_NOTHROW(emitter.drop_source_specific_membership("10.9.0.7", "232.9.9.9", interface));
      else
        CHECK_NOTHROW(emitter.drop_membership(group, interface));
    });
    if (stays_gone) on.add();
  }
}

TEST_CASE("groups of interfaces that are gone make room for new ones", "[namespaces][F6]")
{
  host_with_interface on;
  const bool with_source = GENERATE(false, true);
  const auto group = on.group(with_source);
  for (int i = 0; i < most_memberships + 2; ++i) {
    CAPTURE(i);
    REQUIRE(on.change(true, group, network_interface("d0")) == error_code());
    on.remove();
    on.add();
  }
}

TEST_CASE("of all interfaces those are left that are gone", "[namespaces][F6]")
{
  host_with_interface on;
  const auto group = on.group(false);
  const auto all = network_interface::all();
  for (int i = 0; i < most_memberships + 2; ++i) {
    CAPTURE(i);
    REQUIRE(on.change(true, group, all) == error_code());
    on.remove();
    CHECK(on.change(false, group, all) == error_code());
    on.add();
  }
}

TEST_CASE("a membership ends itself also if its interface is gone", "[namespaces][F6]")
{
  host_with_interface on;
  const auto group = on.group(false);
  for (int i = 0; i < most_memberships + 2; ++i) {
    CAPTURE(i);
    on.host.run([&] {
      const dgram::membership member(on.socket, group, network_interface("d0"));
      on.remove();
      on.add();
    });
  }
  CHECK(on.change(true, group, network_interface("d0")) == error_code());
}

#endif

}  // namespace membership_test
