// SPDX-License-Identifier: BSL-1.0
// Forms of addresses and fields that other systems have, as far as they can be tried on any system.
#include <dgram/datagram.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/udp.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#if !defined(_WIN32)
#include <netinet/in.h>
#endif

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/detail/platform/paths.hpp>

#include <sys/un.h>
#endif

namespace foreign_systems_test {

namespace platform = dgram::platform;

namespace {

/// An address as BSDs and macOS have it.
struct storage_with_length {
  std::uint8_t ss_len;
  std::uint8_t ss_family;
  std::byte rest[126];
};

}  // namespace

TEST_CASE("other systems: an address in a request tells its size where it has a field for it",
          "[platform]")
{
  storage_with_length storage{};
  const storage_with_length from{0, 2, {std::byte{7}}};
  platform::store_address(storage, &from, 16);
  CHECK(storage.ss_len == 16);
  CHECK(storage.ss_family == 2);
  CHECK(storage.rest[0] == std::byte{7});
}

TEST_CASE("other systems: a signed number of a device becomes the same unsigned one each time",
          "[platform]")
{
  std::uintmax_t wide = 1;
  platform::set_field(wide, std::numeric_limits<std::uint64_t>::max() - 1);
  CHECK(wide == std::numeric_limits<std::uint64_t>::max() - 1);
  platform::set_field(wide, -2);
  CHECK(wide == std::numeric_limits<std::uintmax_t>::max() - 1);
  int narrow = 0;
  platform::set_field(narrow, std::size_t{5});
  CHECK(narrow == 5);
}

#if !defined(_WIN32)

TEST_CASE("other systems: a local address may come without an interface", "[platform]")
{
  const ::in_addr asked{htonl(0xC0000201)};  // 192.0.2.1
  platform::control_item item;
  item.data = std::as_bytes(std::span(&asked, 1));
  platform::received_control said;
  said.interface_index = 7;  // of another message
  platform::control_detail::read_ipv4_destination(item, said);
  dgram::datagram_info info;
  dgram::detail::info_access::assign(info, dgram::udp::endpoint(), false, std::size_t{0}, said,
                                     true);
  CHECK(info.local_address() == dgram::parse_address("192.0.2.1"));
  CHECK(info.interface_index() == 0);
  CHECK(info.reply_path().source == dgram::parse_address("192.0.2.1"));
  CHECK(info.reply_path().interface_index == 0);

  item.data = item.data.first(3);
  platform::received_control nothing;
  platform::control_detail::read_ipv4_destination(item, nothing);
  CHECK(nothing.present == 0);
}

#endif

#if DGRAM_HAS_UNIX_DATAGRAMS

TEST_CASE("other systems: an address of zero bytes is a name on Linux only", "[platform]")
{
  ::sockaddr_un address{};
  const std::size_t start = platform::path_offset;
  for (const bool are_names : {false, true}) {
    CAPTURE(are_names);
    std::memset(address.sun_path, 0, sizeof address.sun_path);
    CHECK(platform::has_no_path(&address, 0, are_names));
    CHECK(platform::has_no_path(&address, start, are_names));
    CHECK(platform::has_no_path(&address, start + 14, are_names) == !are_names);
    address.sun_path[1] = 'n';
    CHECK_FALSE(platform::has_no_path(&address, start + 2, are_names));
    CHECK(platform::has_no_path(&address, start + 1, are_names) == !are_names);
    address.sun_path[0] = '/';
    CHECK_FALSE(platform::has_no_path(&address, start + 1, are_names));
  }
#if defined(__linux__)
  CHECK(platform::zeros_are_names);
#endif
}

#endif

}  // namespace foreign_systems_test
