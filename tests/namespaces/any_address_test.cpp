// SPDX-License-Identifier: BSL-1.0
// A server for both families on a host where IPv6 is turned off.
#if defined(__linux__)

#include "support/network_namespace.hpp"

#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

namespace any_address_test {

TEST_CASE("namespaces: any serves IPv4 on a host with disable_ipv6", "[namespaces][any]")
{
  test::network net{{0}, {0}};
  if (!net.host(0).sysctl("ipv6/conf/all/disable_ipv6", 1)) SKIP("the setting may not be changed");
  asio::io_context io;
  auto server = net.on(0, [&] { return dgram::udp::socket(io, dgram::udp::any()); });
  auto client = net.on(1, [&] { return dgram::udp::socket(io, net.endpoint_v4(1)); });
  const asio::ip::udp::endpoint asked(net.endpoint_v4(0).address(), server.local_endpoint().port());
  client.send_to(test::text_buffer("no IPv6 there"), asked);
  const auto datagram = test::receive(io, server);
  CHECK(datagram.text == "no IPv6 there");
  CHECK(datagram.sender == client.local_endpoint());
  server.send_to(test::text_buffer("but here"), datagram.sender);
  CHECK(test::receive(io, client).sender == asked);

  auto emitter = net.on(0, [&] {
    auto made = dgram::create_socket(io, dgram::udp_any);
    made.bind_sync(0);
    return made;
  });
  std::string got;
  emitter.on<dgram::event::message>([&](dgram::bytes_view message) {
    got = message.text();
    emitter.close();
  });
  client.send_to(test::text_buffer("an event"), {asked.address(), emitter.address().port});
  io.restart();
  io.run_for(std::chrono::seconds(10));
  CHECK(got == "an event");
}

}  // namespace any_address_test

#endif
