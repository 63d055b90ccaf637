// SPDX-License-Identifier: BSL-1.0
// Looking up network interfaces where the operating system fails, or where they vanish meanwhile.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <net/if.h>

#include <cerrno>
#include <string>

namespace interface_test {

namespace {

using test::claim;
using test::fail;
using test::script;

struct interfaces : test::scripted {
  const dgram::network_interface by_address{asio::ip::make_address("127.0.0.1")};
  dgram::error_code ec;

  /// The loopback interface's index; 0 where the host has none with that address.
  unsigned loopback()
  {
    const unsigned index = by_address.index(ec);
    ec.clear();
    script = test::system_script();
    return index;
  }
};

}  // namespace

TEST_CASE_METHOD(interfaces, "a name that the system does not find is an unknown interface",
                 "[interface]")
{
  const dgram::network_interface by_name("made-up0");
  const int error = GENERATE(ENODEV, ENXIO, EMFILE);
  script.if_nametoindex.push(fail(error));
  CHECK(by_name.index(ec) == 0);
  CHECK(ec == dgram::error::unknown_interface);
  script.if_nametoindex.push(claim(7));
  CHECK(by_name.index(ec) == 7);
  CHECK_FALSE(ec);
}

TEST_CASE_METHOD(interfaces, "an index that the system does not find is an unknown interface",
                 "[interface]")
{
  const unsigned index = loopback();
  if (index == 0) SKIP("no interface has the address 127.0.0.1");
  const dgram::network_interface by_index(index);
  script.if_indextoname.push(fail(ENXIO));
  CHECK(by_index.index(ec) == 0);
  CHECK(ec == dgram::error::unknown_interface);
  CHECK(by_index.index(ec) == index);
  CHECK_FALSE(ec);
}

TEST_CASE_METHOD(interfaces, "an address is unknown where the interfaces cannot be listed",
                 "[interface]")
{
  const int error = GENERATE(ENOMEM, EMFILE, EACCES);
  script.getifaddrs.push(fail(error));
  CHECK(by_address.index(ec) == 0);
  CHECK(ec == dgram::error::unknown_interface);
  // There is no list, so there is none to be given back.
  CHECK(script.freeifaddrs.calls() == 0);
}

TEST_CASE_METHOD(interfaces, "the list of interfaces is given back, whatever it held",
                 "[interface]")
{
  SECTION("the address")
  {
    if (loopback() == 0) SKIP("no interface has the address 127.0.0.1");
    CHECK(by_address.index(ec) != 0);
    CHECK_FALSE(ec);
  }
  SECTION("not the address")
  {
    const dgram::network_interface nowhere(asio::ip::make_address("203.0.113.77"));
    CHECK(nowhere.index(ec) == 0);
    CHECK(ec == dgram::error::unknown_interface);
  }
  SECTION("the address of an interface that vanished")
  {
    script.if_nametoindex.always(fail(ENODEV));
    CHECK(by_address.index(ec) == 0);
    CHECK(ec == dgram::error::unknown_interface);
  }
  CHECK(script.getifaddrs.calls() == 1);
  CHECK(script.freeifaddrs.calls() == 1);
}

TEST_CASE_METHOD(interfaces, "a group is not joined on an interface that is not found",
                 "[interface]")
{
  asio::io_context io;
  dgram::udp::socket socket(io, dgram::udp::v4());
  const dgram::multicast_group group("239.1.2.3");
  SECTION("by name")
  {
    script.if_nametoindex.push(fail(ENODEV));
    socket.join(group, dgram::network_interface("made-up0"), ec);
  }
  SECTION("by index")
  {
    script.if_indextoname.push(fail(ENXIO));
    socket.join(group, dgram::network_interface(1U), ec);
  }
  SECTION("by address")
  {
    script.getifaddrs.push(fail(ENOMEM));
    socket.leave(group, by_address, ec);
  }
  CHECK(ec == dgram::error::unknown_interface);
  CHECK(script.setsockopt.calls() == 0);
}

TEST_CASE_METHOD(interfaces, "on all interfaces nothing is done where they cannot be listed",
                 "[interface]")
{
  asio::io_context io;
  dgram::udp::socket socket(io, dgram::udp::v4());
  const dgram::multicast_group group("239.1.2.3");
  script.getifaddrs.push(fail(EMFILE), 2);
  socket.join(group, dgram::network_interface::all(), ec);
  CHECK(ec == dgram::error_code(EMFILE, asio::error::get_system_category()));
  socket.leave(group, dgram::network_interface::all(), ec);
  CHECK(ec == dgram::error_code(EMFILE, asio::error::get_system_category()));
  CHECK(script.setsockopt.calls() == 0);
  CHECK(script.freeifaddrs.calls() == 0);
}

TEST_CASE_METHOD(
    interfaces,
    "whether an interface has multicast is the kernel's to say where they cannot be listed",
    "[interface]")
{
  const unsigned index = loopback();
  if (index == 0) SKIP("no interface has the address 127.0.0.1");
  script.getifaddrs.push(fail(EMFILE));
  const dgram::option::multicast_interface option{dgram::network_interface(index)};
  CHECK_FALSE(option.check());
  CHECK(option.index() == index);
}

TEST_CASE_METHOD(interfaces, "an outgoing interface that was not found is refused when it is set",
                 "[interface]")
{
  script.getifaddrs.push(fail(ENOMEM));
  const dgram::option::multicast_interface option(by_address);
  CHECK(option.index() == 0);
  asio::io_context io;
  dgram::udp::socket socket(io, dgram::udp::v4());
  socket.set_option(option, ec);
  CHECK(ec == dgram::error::unknown_interface);

  // A socket of Asio's own cannot ask the option, but must not set "any interface" in its stead
  // either.
  asio::ip::udp::socket plain(io, asio::ip::udp::v4());
  plain.set_option(option, ec);
  CHECK(ec);
}

TEST_CASE_METHOD(interfaces, "a scope that is not found is an unknown interface", "[interface]")
{
  SECTION("by name")
  {
    script.if_nametoindex.push(fail(ENODEV));
    CHECK(dgram::parse_address("fe80::1%made-up0", ec) == asio::ip::address());
  }
  SECTION("by index")
  {
    script.if_indextoname.push(fail(ENXIO));
    CHECK(dgram::parse_address("fe80::1%1", ec) == asio::ip::address());
  }
  SECTION("in an endpoint")
  {
    script.if_nametoindex.push(fail(ENODEV));
    CHECK(dgram::parse_endpoint("[fe80::1%made-up0]:53", ec) == test::endpoint());
  }
  CHECK(ec == dgram::error::unknown_interface);
}

TEST_CASE_METHOD(interfaces, "the scope of an interface that is gone is shown as its index",
                 "[interface]")
{
  script.if_indextoname.push(fail(ENXIO), 2);
  const asio::ip::address address = asio::ip::make_address_v6("fe80::1%77");
  CHECK(dgram::to_string(address) == "fe80::1%77");
  CHECK(dgram::to_string(test::endpoint(address, 53)) == "[fe80::1%77]:53");
}

}  // namespace interface_test
