// SPDX-License-Identifier: BSL-1.0
// Replies to senders that nothing can be sent to: what a peer chose is no reason to throw.
#include "emitter/helpers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

namespace reply_test {

using test::thrown;
using test::trace;

namespace {

/// Sends one datagram from port 0, which no socket of UDP's own does. Skips the test where that is not allowed.
void send_from_port_0(std::uint16_t port)
{
  const int raw = ::socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
  if (raw == -1) SKIP("no raw sockets here: " << std::strerror(errno));
  const std::array<std::uint16_t, 5> datagram{0, htons(port), htons(10), 0, htons(0x6869)};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto sent = ::sendto(raw, datagram.data(), sizeof(datagram), 0,
                             reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  ::close(raw);
  REQUIRE(sent == sizeof(datagram));
}

}  // namespace

TEST_CASE("A reply to port 0 fails, and the server goes on", "[emitter]")
{
  asio::io_context io;
  test::listener server(io);
  trace events;
  test::record(server.socket, events);
  trace results;
  server.socket.on<test::event::message>(
      [&](dgram::bytes_view message, const dgram::remote_info& from) {
        CHECK(server.socket.send(message, from));
        server.socket.send(message, from, [&](const dgram::failure& what, std::size_t size) {
          results.push_back(what.text() + " " + std::to_string(size));
        });
        server.socket.send(message, from, [&] { results.emplace_back("sent"); });
      });
  send_from_port_0(server.port);
  test::run_until(io, [&] { return events.size() == 3 && !results.empty(); });
  CHECK(server.senders.at(0).port == 0);
  const std::string text = "send 127.0.0.1: " + make_error_code(dgram::error::bad_port).message();
  CHECK(events == trace{"listening", "error " + text, "error " + text});
  CHECK(results == trace{text + " 0"});

  auto client = dgram::create_socket(io, dgram::udp4);
  client.send("hello", server.port);
  test::run_until(io, [&] { return server.messages.size() == 2; });
  CHECK(server.messages == trace{"hi", "hello"});
}

TEST_CASE("A reply is refused at once for what is the program's own fault", "[emitter]")
{
  asio::io_context io;
  auto socket = dgram::create_socket(io, dgram::udp4);
  const dgram::remote_info nobody;
  CHECK(thrown([&] { socket.send("x", nobody.port, nobody.address); }) == dgram::error::bad_port);
  socket.connect_sync(9);
  CHECK(thrown([&] { socket.send("x", nobody); }) == asio::error::already_connected);
  socket.close();
  CHECK(thrown([&] { socket.send("x", nobody); }) == dgram::error::not_running);
}

}  // namespace reply_test
