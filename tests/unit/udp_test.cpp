// SPDX-License-Identifier: BSL-1.0
// udp.hpp: Asio's protocol and the dual one beside it.

#include "support/loopback.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace udp_test {

TEST_CASE("udp: stands where Asio's protocol is expected, and the other way round")
{
  STATIC_REQUIRE(std::is_convertible_v<dgram::udp, asio::ip::udp>);
  STATIC_REQUIRE(std::is_convertible_v<asio::ip::udp, dgram::udp>);
  STATIC_REQUIRE(std::is_same_v<dgram::udp::endpoint, asio::ip::udp::endpoint>);
  STATIC_REQUIRE(std::is_same_v<dgram::udp::resolver, asio::ip::udp::resolver>);
  const asio::ip::udp asios = dgram::udp::v6();
  CHECK(asios == asio::ip::udp::v6());
  CHECK(dgram::udp(asio::ip::udp::v4()) == dgram::udp::v4());
}

TEST_CASE("udp: v4, v6 and dual are three different protocols")
{
  const auto v4 = dgram::udp::v4();
  const auto v6 = dgram::udp::v6();
  const auto dual = dgram::udp::dual();
  CHECK(v4.family() == asio::ip::udp::v4().family());
  CHECK(v6.family() == asio::ip::udp::v6().family());
  CHECK(dual.family() == v6.family());
  CHECK(dual.is_dual());
  CHECK_FALSE(v4.is_dual());
  CHECK_FALSE(v6.is_dual());
  CHECK(v4 == dgram::udp::v4());
  CHECK(dual == dgram::udp::dual());
  CHECK(v4 != v6);
  CHECK(v6 != dual);
  CHECK(v4 != dual);
}

TEST_CASE("udp: Asio's IPv6 is never dual")
{
  CHECK_FALSE(dgram::udp(asio::ip::udp::v6()).is_dual());
  CHECK_FALSE(dgram::udp(static_cast<const asio::ip::udp&>(dgram::udp::dual())).is_dual());
}

TEST_CASE("text stands for an endpoint wherever an endpoint is bound, connected to or pushed")
{
  asio::io_context io;
  dgram::udp::socket bound(io, "127.0.0.1:0");
  dgram::udp::socket from_executor(io.get_executor(), std::string("127.0.0.1:0"));
  dgram::udp::socket later(io, dgram::udp::v4());
  later.bind(std::string_view("127.0.0.1:0"));
  for (auto* socket : {&bound, &from_executor, &later}) {
    CHECK(socket->local_endpoint().address() == asio::ip::address_v4::loopback());
    CHECK(socket->local_endpoint().port() != 0);
  }

  const std::string peer = dgram::to_string(bound.local_endpoint());
  dgram::udp::socket connected(io);
  connected.connect(peer);
  CHECK(connected.remote_endpoint() == bound.local_endpoint());
  dgram::error_code ec = asio::error::fault;
  connected.reconnect(peer.c_str(), ec);
  CHECK_FALSE(ec);

  dgram::send_batch batch(4);
  batch.push("one", peer);
  batch.push("two", peer.c_str());
  CHECK(later.try_send_batch(batch).sent == 2);
  dgram::receive_batch in(4, 64);
  CHECK(bound.try_receive_batch(in) == 2);
}

TEST_CASE("text that is no endpoint is refused where it is given, and the error names it")
{
  asio::io_context io;
  const auto text_of = [](auto function) -> std::string {
    try {
      function();
    } catch (const dgram::system_error& error) {
      CHECK(error.code() == dgram::error::bad_endpoint);
      return error.what();
    }
    return {};
  };
  dgram::udp::socket socket(io, dgram::udp::v4());
  dgram::send_batch batch(4);
  CHECK(text_of([&] { dgram::udp::socket(io, "nowhere"); }).starts_with("bind \"nowhere\""));
  CHECK(text_of([&] { socket.bind("127.0.0.1"); }).starts_with("bind \"127.0.0.1\""));
  CHECK(text_of([&] { socket.connect("::1:80"); }).starts_with("connect \"::1:80\""));
  CHECK(text_of([&] { batch.push("hello", ":80"); }).starts_with("push \":80\""));
  CHECK(batch.empty());
  dgram::error_code ec;
  socket.bind("nowhere", ec);
  CHECK(ec == dgram::error::bad_endpoint);
  socket.connect("nowhere", ec);
  CHECK(ec == dgram::error::bad_endpoint);
  CHECK(socket.is_open());
}

TEST_CASE("a group may be text where it is joined and left")
{
  asio::io_context io;
  dgram::udp::socket socket(io, dgram::udp::v4());
  const dgram::network_interface loopback("127.0.0.1");
  dgram::error_code ec;
  socket.join("239.1.2.3", loopback, ec);
  if (ec == dgram::error::no_multicast) SKIP("no multicast on loopback");
  CHECK_FALSE(ec);
  socket.leave(std::string("239.1.2.3"), loopback, ec);
  CHECK_FALSE(ec);
  CHECK_THROWS_AS(socket.join("everybody"), dgram::system_error);
  STATIC_REQUIRE(std::is_convertible_v<std::string_view, dgram::multicast_group>);
}

TEST_CASE("udp: two endpoints make a path for replies", "[Q7]")
{
  const auto path = [](const char* local, const char* peer) {
    return dgram::make_reply_path(dgram::parse_endpoint(local), dgram::parse_endpoint(peer));
  };
  const auto v4 = path("192.0.2.1:443", "198.51.100.7:1000");
  CHECK(v4.peer == dgram::parse_endpoint("198.51.100.7:1000"));
  CHECK(v4.source == dgram::parse_address("192.0.2.1"));
  CHECK(v4.interface_index == 0);
  // A dual-stack library may have IPv4 in the mapped form.
  const auto mapped = path("[::ffff:192.0.2.1]:443", "[::ffff:198.51.100.7]:1000");
  CHECK(mapped.peer == v4.peer);
  CHECK(mapped.source == v4.source);
  CHECK(path("0.0.0.0:443", "198.51.100.7:1000").is_plain());
  CHECK(path("[::]:443", "[2001:db8::1]:1").is_plain());
  CHECK(path("[::]:443", "198.51.100.7:1000").is_plain());
  CHECK(path("239.1.2.3:443", "198.51.100.7:1000").is_plain());
  auto local = asio::ip::make_address_v6("fe80::1");
  local.scope_id(3);
  const auto linked =
      dgram::make_reply_path({local, 443}, dgram::parse_endpoint("[2001:db8::1]:1"));
  CHECK(linked.interface_index == 3);
  CHECK(linked.source == asio::ip::address(local));
}

TEST_CASE("udp: two socket addresses make the path of their endpoints", "[Q7]")
{
  const auto local = dgram::parse_endpoint(GENERATE("192.0.2.1:443", "[2001:db8::7]:443"));
  const auto peer = dgram::parse_endpoint(GENERATE("198.51.100.7:1", "[::ffff:192.0.2.9]:1"));
  // Another library may have them anywhere in memory.
  std::array<std::byte, 64> from{}, to{};
  std::memcpy(from.data() + 1, local.data(), local.size());
  std::memcpy(to.data() + 3, peer.data(), peer.size());
  const auto path =
      dgram::make_reply_path(from.data() + 1, local.size(), to.data() + 3, peer.size());
  const auto wanted = dgram::make_reply_path(local, peer);
  CHECK(path.peer == wanted.peer);
  CHECK(path.source == wanted.source);
  dgram::error_code ec;
  CHECK(dgram::make_reply_path(from.data() + 1, 3, to.data() + 3, peer.size(), ec).is_plain());
  CHECK(ec == asio::error::invalid_argument);
  CHECK(dgram::make_reply_path(from.data() + 1, local.size(), to.data(), 28, ec).is_plain());
  CHECK(ec == asio::error::address_family_not_supported);
  CHECK_THROWS_AS(dgram::make_reply_path(from.data() + 1, local.size(), to.data() + 3, 3),
                  dgram::system_error);
}

TEST_CASE("ECN as two bits is the code point, and the rest of a traffic class does not count")
{
  asio::io_context io;
  dgram::udp::socket server(io, {asio::ip::address_v4::loopback(), 0});
  dgram::udp::socket client(io, dgram::udp::v4());
  dgram::receive_batch batch{8};
  client.send_to(asio::buffer("a", 1), server.local_endpoint());
  server.receive_batch(batch);
  CHECK((*batch.begin()).ecn_bits() == 0);  // nothing is known
  server.set_option(dgram::option::receive_ecn{true});
  for (unsigned bits = 0; bits < 4; ++bits) {
    const auto ecn = dgram::ecn_from_bits(0xb8 | bits);
    client.send_to(asio::buffer("a", 1), server.local_endpoint(), {.ecn = ecn, .dscp = 46});
    server.receive_batch(batch);
    CHECK((*batch.begin()).ecn_bits() == bits);
    CHECK((*batch.begin()).ecn() == ecn);
  }
  STATIC_REQUIRE(dgram::ecn_from_bits(3) == dgram::ecn_codepoint::ce);
}

TEST_CASE("udp: a path of two endpoints leads back to the one that asked", "[Q7]")
{
  asio::io_context io;
  dgram::udp::socket server(io, {dgram::udp::v4(), 0});
  dgram::udp::socket client(io, {asio::ip::address_v4::loopback(), 0});
  const dgram::udp::endpoint here(asio::ip::make_address_v4("127.0.0.2"),
                                  server.local_endpoint().port());
  server.send_to(asio::buffer("a", 1), dgram::make_reply_path(here, client.local_endpoint()));
  std::array<char, 4> storage{};
  dgram::udp::endpoint sender;
  CHECK(client.receive_from(asio::buffer(storage), sender) == 1);
  CHECK(sender == here);
  dgram::error_code ec;
  server.send_to(asio::buffer("a", 1),
                 dgram::make_reply_path(dgram::parse_endpoint("[::1]:1"), client.local_endpoint()),
                 ec);
  CHECK(ec == asio::error::address_family_not_supported);
}

TEST_CASE("udp: a datagram knows the endpoint that it was sent to, with its port", "[Q7]")
{
  asio::io_context io;
  const std::string bind = GENERATE("any", "127.0.0.1:0", "0.0.0.0:0");
  const bool any = bind == "any";
  CAPTURE(bind);
  dgram::udp::socket server = any ? dgram::udp::socket(io, dgram::udp::any())
                                  : dgram::udp::socket(io, dgram::parse_endpoint(bind));
  const bool informed = bind != "127.0.0.1:0";
  if (informed) server.set_option(dgram::option::packet_info{true});
  const auto bound = server.local_endpoint();
  const dgram::udp::endpoint asked(asio::ip::make_address_v4(informed ? "127.0.0.2" : "127.0.0.1"),
                                   bound.port());
  dgram::udp::socket client(io, dgram::udp::v4());
  client.send_to(asio::buffer("a", 1), asked);
  client.send_to(asio::buffer("b", 1), asked);
  dgram::receive_batch batch{1};
  server.receive_batch(batch);
  const dgram::datagram datagram = *batch.begin();
  CHECK(datagram.local_endpoint(bound) == asked);
  CHECK(datagram.to_owned().local_endpoint(bound) == asked);
  dgram::datagram_info info;
  std::array<char, 4> storage{};
  server.receive_from(asio::buffer(storage), info);
  CHECK(info.local_endpoint(bound) == asked);
  // The way back leaves from there.
  server.send_to(asio::buffer("c", 1),
                 dgram::make_reply_path(info.local_endpoint(bound), info.sender()));
  dgram::udp::endpoint sender;
  client.receive_from(asio::buffer(storage), sender);
  CHECK(sender == asked);
}

TEST_CASE("udp: without packet info a datagram has the address that its socket is bound to", "[Q7]")
{
  asio::io_context io;
  dgram::udp::socket server(io, {dgram::udp::v4(), 0});
  dgram::udp::socket client(io, dgram::udp::v4());
  const auto bound = server.local_endpoint();
  client.send_to(asio::buffer("a", 1), {asio::ip::address_v4::loopback(), bound.port()});
  dgram::receive_batch batch{1};
  server.receive_batch(batch);
  CHECK((*batch.begin()).local_endpoint(bound) == bound);
  CHECK((*batch.begin()).local_endpoint(dgram::parse_endpoint("[::ffff:192.0.2.1]:7")) ==
        dgram::parse_endpoint("192.0.2.1:7"));
}

}  // namespace udp_test
