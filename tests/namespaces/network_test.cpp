// SPDX-License-Identifier: BSL-1.0
// The hosts that the other tests are made of: they reach each other, and no other host.
#if defined(__linux__)

#include "support/network_namespace.hpp"

#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <net/if.h>

namespace network_test {

namespace {

using dgram::udp;

}  // namespace

TEST_CASE("namespaces: hosts on one switch reach each other over IPv4 and IPv6", "[namespaces]")
{
  test::network net{{0}, {0}};
  asio::io_context io;
  for (const bool six : {false, true}) {
    const auto at = [&](std::size_t h) { return six ? net.endpoint_v6(h) : net.endpoint_v4(h); };
    auto first = net.on(0, [&] { return udp::socket(io, at(0)); });
    auto second = net.on(1, [&] { return udp::socket(io, at(1)); });
    first.send_to(test::text_buffer("over there"), second.local_endpoint());
    const auto datagram = test::receive(io, second);
    CHECK(datagram.text == "over there");
    CHECK(datagram.sender == first.local_endpoint());
  }
}

TEST_CASE("namespaces: a host passes datagrams on where it is a router", "[namespaces]")
{
  test::network net{{0}, {0, 1}, {1}};
  net.make_router(1);
  net.host(0).ip("route add 10.77.1.0/24 via 10.77.0.2\n");
  net.host(2).ip("route add 10.77.0.0/24 via 10.77.1.2\n");
  asio::io_context io;
  auto first = net.on(0, [&] { return udp::socket(io, net.endpoint_v4(0)); });
  auto last = net.on(2, [&] { return udp::socket(io, net.endpoint_v4(2, 0, 1)); });
  first.send_to(test::text_buffer("a long way"), last.local_endpoint());
  CHECK(test::receive(io, last).sender == first.local_endpoint());
}

TEST_CASE("namespaces: what is inside is not seen outside", "[namespaces]")
{
  const unsigned before = ::if_nametoindex("lan0");
  test::network net{{0}};
  CHECK(net.on(0, [] { return ::if_nametoindex("lan0"); }) != 0);
  CHECK(::if_nametoindex("lan0") == before);
}

}  // namespace network_test

#endif
