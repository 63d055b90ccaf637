// SPDX-License-Identifier: BSL-1.0
// An echo server for all addresses of this host, IPv4 and IPv6, on one socket: each answer comes from the address that
// was asked. Without that a client that asked another one than the routes would choose never recognises it.
//
//   example_multihomed_echo [PORT]     the default is 0, any free port
//
// It prints "listening on [::]:PORT", or "0.0.0.0:PORT" on a host without IPv6, and for each datagram who
// asked, and where. Try it with
//   example_client 127.0.0.1:PORT hello
//   example_client 127.0.0.2:PORT hello
//   example_client [::1]:PORT hello

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <csignal>

namespace {

asio::awaitable<void> serve(dgram::udp::socket& socket)
{
  // On a wildcard address a reader asks the kernel for the address that each datagram was sent to.
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (const auto datagram = co_await reader.next()) {
    const auto asked = datagram->local_address();
    fmt::print("{} asked {} on interface {}\n", datagram->sender(),
               asked ? dgram::to_string(*asked) : "?", datagram->interface_index());
    co_await writer.send(datagram->payload(), datagram->reply_path());
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_multihomed_echo [PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto port = words.empty() ? "0" : words.operand("PORT");
    const auto local = dgram::parse_endpoint(fmt::format("[::]:{}", port));
    words.finish();

    asio::io_context io;
    dgram::udp::socket socket(io, dgram::udp::any(local.port()));
    asio::signal_set signals(io, SIGINT, SIGTERM);
    fmt::print("listening on {}\n", socket.local_endpoint());
    signals.async_wait([&](dgram::error_code, int) { socket.close(); });
    asio::co_spawn(io, serve(socket), example::rethrow);
    io.run();
    return 0;
  });
}
