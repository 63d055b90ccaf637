// SPDX-License-Identifier: BSL-1.0
// Servers that start on every host: both families where there are two, IPv4 where there is no IPv6.
#include "behaviour/helpers.hpp"
#include "support/refused_call.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <cerrno>
#include <string>

namespace any_address_test {

namespace {

using dgram::udp;

// What `udp::any` makes of a host, in all the ways to ask for it.
[[maybe_unused]] asio::ip::udp protocol_of_any(asio::io_context& io)
{
  const udp::socket made(io, udp::any());
  udp::socket opened(io);
  dgram::error_code ec = asio::error::fault;
  opened.open(udp::any(), {}, ec);
  CHECK_FALSE(ec);
  udp::socket from_executor(io.get_executor(), udp::any());
  const auto protocol = opened.local_endpoint().protocol();
  CHECK(made.local_endpoint().protocol() == protocol);
  CHECK(from_executor.local_endpoint().protocol() == protocol);
  CHECK(opened.local_endpoint().port() != 0);
  CHECK(opened.local_endpoint().address().is_unspecified());
  return protocol;
}

void serves(asio::io_context& io, udp::socket& server, const asio::ip::address& address)
{
  udp::socket client(io, udp::endpoint(address, 0));
  client.send_to(test::text_buffer("to any"), {address, server.local_endpoint().port()});
  const auto datagram = test::receive(io, server);
  CHECK(datagram.text == "to any");
  CHECK(datagram.sender == client.local_endpoint());
}

dgram::error_code refusal(asio::io_context& io, udp::socket& socket, dgram::any_address local,
                          const dgram::socket_config& config, std::string& text)
{
  dgram::error_code ec;
  socket.open(local, config, ec);
  CHECK_FALSE(socket.is_open());
  try {
    udp::socket(io, local, config);
    text.clear();
  } catch (const dgram::system_error& thrown) {
    CHECK(thrown.code() == ec);
    text = thrown.what();
  }
  return ec;
}

[[maybe_unused]] asio::awaitable<void> echo(udp::socket& socket)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (auto datagrams = co_await reader.next_batch())
    for (const dgram::datagram& datagram : datagrams)
      if (!writer.push(datagram.payload(), datagram.reply_path())) co_await writer.flush();
}

}  // namespace

TEST_CASE("any: one socket serves both families of the host", "[any]")
{
  asio::io_context io;
  const test::reserved_port port;
  udp::socket server(io, udp::any(port.number()), {.reuse_address = true});
  CHECK(server.local_endpoint().address() == asio::ip::address_v6::any());
  dgram::option::reuse_address shares;
  server.get_option(shares);
  CHECK(shares.value());
  serves(io, server, asio::ip::address_v4::loopback());
  if (test::has_ipv6()) serves(io, server, asio::ip::address_v6::loopback());
}

TEST_CASE("any: an error that says nothing of the families is reported", "[any]")
{
  asio::io_context io;
  udp::socket six(io, {udp::v6(), 0}, {.v6_only = true});
  const auto port = six.local_endpoint().port();
  udp::socket socket(io);
  std::string text;
  // 0.0.0.0 has this port to give, so a server that took it would miss its IPv6 clients.
  CHECK(refusal(io, socket, udp::any(port), {}, text) == asio::error::address_in_use);
  CHECK(text.starts_with("bind \"[::]:" + std::to_string(port) + "\": "));
  CHECK(refusal(io, socket, udp::any(), {.receive_buffer_size = -1}, text) ==
        dgram::error::out_of_range);
  CHECK(text.starts_with("open \""));
  CHECK(refusal(io, socket, udp::any(), {.v6_only = true}, text) == asio::error::invalid_argument);
  CHECK(text.find("v6_only") != std::string::npos);

  udp::socket open(io, udp::v4());
  dgram::error_code ec;
  open.open(udp::any(), {}, ec);
  CHECK(ec == asio::error::already_open);
  CHECK(open.is_open());
}

TEST_CASE("any: an emitter's type is what the host has", "[any]")
{
  asio::io_context io;
  auto server = dgram::create_socket(io, dgram::udp_any);
  CHECK(server.bind_sync(0).family == "IPv6");
  CHECK_THROWS(dgram::create_socket(io, {.type = dgram::udp_any, .ipv6_only = true}));
}

#if defined(__linux__)

TEST_CASE("any: IPv4 serves where the system opens no IPv6 sockets", "[any]")
{
  // As with ipv6.disable=1, or below RestrictAddressFamilies=AF_INET of systemd.
  test::with_refused({SYS_socket, 0, AF_INET6, EAFNOSUPPORT}, [] {
    asio::io_context io;
    CHECK(protocol_of_any(io) == asio::ip::udp::v4());
    udp::socket server(io, udp::any());
    serves(io, server, asio::ip::address_v4::loopback());
    auto emitter = dgram::create_socket(io, dgram::udp_any);
    CHECK(emitter.bind_sync(0).family == "IPv4");
    udp::socket four(io, {udp::v4(), 0});
    udp::socket socket(io);
    std::string text;
    const auto port = four.local_endpoint().port();
    CHECK(refusal(io, socket, udp::any(port), {}, text) == asio::error::address_in_use);
    CHECK(text.starts_with("bind \"0.0.0.0:" + std::to_string(port) + "\": "));
  });
}

TEST_CASE("any: servers as in the README answer where the system opens no IPv6 sockets", "[any]")
{
  test::with_refused({SYS_socket, 0, AF_INET6, EAFNOSUPPORT}, [] {
    asio::io_context io;
    udp::socket server(io, udp::any());
    asio::co_spawn(io, echo(server), asio::detached);
    auto emitter = dgram::create_socket(io, {.type = dgram::udp_any});
    emitter.on<dgram::event::message>(
        [&](dgram::bytes_view msg, const dgram::remote_info& rinfo) { emitter.send(msg, rinfo); });
    emitter.bind_sync(0);
    for (const auto port : {server.local_endpoint().port(), emitter.address().port}) {
      udp::socket client(io, test::loopback_v4());
      const udp::endpoint asked(asio::ip::address_v4::loopback(), port);
      client.send_to(test::text_buffer("echo"), asked);
      const auto answer = test::receive(io, client);
      CHECK(answer.text == "echo");
      CHECK(answer.sender == asked);
    }
  });
}

TEST_CASE("any: IPv4 serves where IPv6 has no address to bind to", "[any]")
{
  test::with_refused({SYS_bind, 2, sizeof(::sockaddr_in6), EADDRNOTAVAIL}, [] {
    asio::io_context io;
    CHECK(protocol_of_any(io) == asio::ip::udp::v4());
    auto emitter = dgram::create_socket(io, dgram::udp_any);
    CHECK(emitter.bind_sync(0).family == "IPv4");
  });
}

TEST_CASE("any: other refusals of IPv6 are reported", "[any]")
{
  const auto reported = [](std::uint32_t call, std::uint32_t argument, std::uint32_t value,
                           int error) {
    test::with_refused({call, argument, value, error}, [error] {
      asio::io_context io;
      udp::socket socket(io);
      std::string text;
      const auto ec = refusal(io, socket, udp::any(), {}, text);
      CHECK(ec == dgram::error_code(error, asio::error::get_system_category()));
      auto emitter = dgram::create_socket(io, dgram::udp_any);
      CHECK_THROWS(emitter.bind_sync(0));
    });
  };
  reported(SYS_bind, 2, sizeof(::sockaddr_in6), EACCES);
  reported(SYS_bind, 2, sizeof(::sockaddr_in6), EADDRINUSE);
  reported(SYS_socket, 0, AF_INET6, EMFILE);
  reported(SYS_socket, 0, AF_INET6, EACCES);
}

#endif

}  // namespace any_address_test
