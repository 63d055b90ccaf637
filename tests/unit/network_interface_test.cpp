// SPDX-License-Identifier: BSL-1.0
// network_interface.hpp: an interface by name, index or address, looked up when it is used.

#include "unit/host.hpp"

#include <dgram/network_interface.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace network_interface_test {

using namespace std::string_literals;

namespace {

unsigned index_of(const dgram::network_interface& interface)
{
  dgram::error_code ec = asio::error::eof;
  const unsigned index = interface.index(ec);
  CHECK_FALSE(ec);
  return index;
}

}  // namespace

TEST_CASE("network_interface: any is index 0, and is not looked up")
{
  CHECK(dgram::network_interface().is_any());
  CHECK(index_of(dgram::network_interface()) == 0);
}

TEST_CASE("network_interface: by name, index and address it is the same one")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  const std::string name = test::loopback_name();
  const unsigned index = ::if_nametoindex(name.c_str());
  REQUIRE(index != 0);
  CHECK(index_of(dgram::network_interface(name)) == index);
  CHECK(index_of(dgram::network_interface(name.c_str())) == index);
  CHECK(index_of(dgram::network_interface(index)) == index);
  CHECK(index_of(dgram::network_interface(asio::ip::make_address("127.0.0.1"))) == index);
  CHECK(index_of(dgram::network_interface("127.0.0.1")) == index);
  CHECK_FALSE(dgram::network_interface(name).is_any());
  CHECK_FALSE(dgram::network_interface(index).is_any());
  CHECK_FALSE(dgram::network_interface("127.0.0.1").is_any());
}

TEST_CASE("network_interface: by an IPv6 address")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  const unsigned index = ::if_nametoindex(test::loopback_name().c_str());
  CHECK(index_of(dgram::network_interface("::1")) == index);
  CHECK(index_of(dgram::network_interface(asio::ip::make_address("::1"))) == index);
}

TEST_CASE("network_interface: by the scope of an IPv6 address, whatever the address is")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  const std::string name = test::loopback_name();
  const unsigned index = ::if_nametoindex(name.c_str());
  for (const std::string address : {"::", "::1", "fe80::1", "2001:db8::77"}) {
    CAPTURE(address);
    const dgram::network_interface by_name(address + "%" + name);
    CHECK(index_of(by_name) == index);
    CHECK(to_string(by_name) == name);
    CHECK(index_of(dgram::network_interface(address + "%" + std::to_string(index))) == index);
  }
}

TEST_CASE("network_interface: one that does not exist is an error when it is used, not before")
{
  const auto unknown = std::vector<dgram::network_interface>{
      dgram::network_interface("no-such-if"),
      dgram::network_interface(""),
      dgram::network_interface(" lo"),
      dgram::network_interface(std::string(10'000, 'x')),
      dgram::network_interface(test::loopback_name() + "\0"s),
      dgram::network_interface(test::loopback_name() + "\0junk"s),
      dgram::network_interface(0U),
      dgram::network_interface(test::unknown_index),
      dgram::network_interface("203.0.113.77"),
      dgram::network_interface("127.0.0.1:53"),
      dgram::network_interface("2001:db8::77"),
      dgram::network_interface("::%no-such-if"),
      dgram::network_interface("::%" + std::to_string(test::unknown_index)),
      dgram::network_interface("::%"),
      dgram::network_interface("127.0.0.1%" + test::loopback_name()),
      dgram::network_interface(asio::ip::make_address("203.0.113.77")),
      // An address that means "any" elsewhere is no interface's address.
      dgram::network_interface("0.0.0.0"),
  };
  for (std::size_t i = 0; i < unknown.size(); ++i) {
    CAPTURE(i);
    dgram::error_code ec;
    CHECK(unknown[i].index(ec) == 0);
    CHECK(ec == dgram::error::unknown_interface);
    CHECK(ec == std::errc::no_such_device);
  }
}

TEST_CASE("network_interface: the text is copied")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  std::string name = test::loopback_name();
  const unsigned index = ::if_nametoindex(name.c_str());
  const dgram::network_interface interface{std::string_view(name)};
  name.assign(name.size(), '?');
  CHECK(index_of(interface) == index);
}

TEST_CASE("network_interface: as it was named it is shown")
{
  using dgram::network_interface;
  CHECK(to_string(network_interface()) == "any");
  CHECK(to_string(network_interface::all()) == "all");
  CHECK(to_string(network_interface("eth9")) == "eth9");
  CHECK(to_string(network_interface(7U)) == "7");
  CHECK(to_string(network_interface("192.0.2.7")) == "192.0.2.7");
}

TEST_CASE("network_interface: all of them are not one")
{
  const auto all = dgram::network_interface::all();
  CHECK(all.is_all());
  CHECK_FALSE(all.is_any());
  CHECK_FALSE(dgram::network_interface().is_all());
  dgram::error_code ec;
  CHECK(all.index(ec) == 0);
  CHECK(ec == asio::error::invalid_argument);
}

TEST_CASE("network_interface: the IPv4 address that it was named by")
{
  using dgram::network_interface;
  CHECK(network_interface("192.0.2.7").named_address_v4().to_string() == "192.0.2.7");
  for (const auto& other : {network_interface("::1"), network_interface("lo"), network_interface()})
    CHECK(other.named_address_v4().is_unspecified());
}

TEST_CASE("list_interfaces: the loopback interface with its addresses, and each interface once")
{
  DGRAM_SKIP_WITHOUT_LOOPBACK_INTERFACE();
  const auto interfaces = dgram::list_interfaces();
  std::set<unsigned> indices;
  bool has_loopback = false;
  for (const auto& interface : interfaces) {
    CAPTURE(interface.name);
    CHECK(indices.insert(interface.index).second);
    CHECK(interface.index == ::if_nametoindex(interface.name.c_str()));
    if (interface.name == test::loopback_name()) {
      has_loopback = true;
      CHECK(interface.is_up);
      CHECK(interface.is_loopback);
      CHECK(interface.has_multicast);
      CHECK(std::count(interface.addresses.begin(), interface.addresses.end(),
                       asio::ip::make_address("127.0.0.1")) == 1);
    }
    // Each is an address of that very interface.
    for (const auto& address : interface.addresses) {
      CAPTURE(address.to_string());
      if (address.is_v6() && address.to_v6().is_link_local())
        CHECK(address.to_v6().scope_id() == interface.index);
      CHECK(index_of(dgram::network_interface(address)) == interface.index);
    }
  }
  CHECK(has_loopback);
}

}  // namespace network_interface_test
