// SPDX-License-Identifier: BSL-1.0
// Calls on the Asio socket underneath are noticed by the socket and by what is built on it.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <asio/connect.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace next_layer_test {

namespace {

using test::udp_socket;

/// Sends "x" in a batch with or without an address.
dgram::error_code batch_error(udp_socket& socket, const std::optional<test::endpoint>& to = {})
{
  dgram::send_batch batch(1);
  if (to)
    batch.push("x", *to);
  else
    batch.push("x");
  return socket.try_send_batch(batch).error;
}

/// How the socket underneath is called.
enum class way : unsigned char { direct, asio_function, later };

}  // namespace

TEST_CASE("CON-39: a peer that the layer below got or lost is known to batches and writers",
          "[connect]")
{
  const way how = GENERATE(way::direct, way::asio_function, way::later);
  CAPTURE(int(how));
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, dgram::udp::v4());
  const auto to = peer.local_endpoint();
  auto& below = socket.next_layer();
  if (how == way::direct) {
    below.connect(to);
  } else if (how == way::asio_function) {
    // It closes and opens the socket, which gets the same number.
    asio::connect(below, std::vector<test::endpoint>{to});
  } else {
    asio::async_connect(below, std::vector<test::endpoint>{to},
                        [](dgram::error_code ec, const test::endpoint&) { CHECK_FALSE(ec); });
    test::run(io);
  }
  CHECK_FALSE(batch_error(socket));
  CHECK(test::receive(io, peer).sender == socket.local_endpoint());
  CHECK(batch_error(socket, to) == asio::error::already_connected);
  CHECK(socket.handle().is_connected());
  dgram::udp::writer writer{socket};
  CHECK(writer.push("pushed"));
  CHECK(test::receive(io, peer).text == "pushed");
  dgram::error_code ec;
  socket.disconnect(ec);
  CHECK_FALSE(ec);
  CHECK(batch_error(socket) == test::system_error_code(EDESTADDRREQ));
  CHECK_FALSE(batch_error(socket, to));
  CHECK(test::receive(io, peer).text == "x");
}

TEST_CASE("CON-39: options that the layer below set take effect on receives", "[connect]")
{
  asio::io_context io;
  udp_socket peer(io, test::loopback_v4());
  udp_socket socket(io, test::loopback_v4());
#if defined(__linux__)
  auto& below = socket.next_layer();
  std::array<char, 64> storage{};
  dgram::datagram_info info;
  using info_option = asio::detail::socket_option::boolean<IPPROTO_IP, IP_PKTINFO>;
  below.set_option(info_option(true));
  peer.send_to(test::text_buffer("x"), socket.local_endpoint());
  CHECK(socket.receive_from(asio::buffer(storage), info) == 1);
  CHECK(info.local_address() == asio::ip::address_v4::loopback());
#endif
}

TEST_CASE("CON-39: a socket that the layer below closed and opened is another socket", "[connect]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp_socket peer(io, test::loopback_v6());
  udp_socket socket(io, dgram::udp::dual(), {.broadcast = true});
  socket.connect(peer.local_endpoint());
  const auto number = socket.handle().descriptor_number();
  auto& below = socket.next_layer();
  below.close();
  CHECK_FALSE(socket.is_open());
  CHECK(batch_error(socket, peer.local_endpoint()) == asio::error::bad_descriptor);
  below.open(asio::ip::udp::v6());
  CHECK_FALSE(batch_error(socket, peer.local_endpoint()));
  CHECK(test::receive(io, peer).text == "x");
  CHECK(socket.handle().descriptor_number() != number);
  // It is what Asio opens, not dual: the address of an IPv4 peer is in the mapped form.
  udp_socket four(io, test::loopback_v4());
  four.send_to(test::text_buffer("x"), test::loopback_v4(socket.local_endpoint().port()));
  CHECK(test::receive(io, socket).sender.address().to_v6().is_v4_mapped());
}

}  // namespace next_layer_test
