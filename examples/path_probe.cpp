// SPDX-License-Identifier: BSL-1.0
// Finds out how large a packet the way to a peer takes, and who said so.
//
//   example_path_probe ADDRESS:PORT [--timeout MS]
//
// It sends datagrams that no host may fragment, as large as the path is expected to take, until no router complains.
// Each complaint is printed with the router that made it. A closed port is as good as an open one: its refusal says
// that the datagram has arrived.

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace {

std::string origin(const dgram::path_error& error)
{
  return error.offender ? dgram::to_string(*error.offender) : "this host";
}

/// The next complaint, or nothing where none came in time.
asio::awaitable<std::optional<dgram::path_error>> next_error(dgram::udp::socket& socket,
                                                             std::chrono::milliseconds timeout)
{
  asio::steady_timer timer(socket.get_executor(), timeout);
  // May still run after this function has returned, so `socket` must live as long as the context.
  timer.async_wait([&socket](dgram::error_code ec) {
    if (!ec) socket.cancel();
  });
  dgram::error_code ec;
  auto error = co_await socket.async_receive_error(asio::redirect_error(asio::use_awaitable, ec));
  if (ec == asio::error::operation_aborted) co_return std::nullopt;
  if (ec) throw dgram::system_error(ec, "receive_error");
  co_return error;
}

asio::awaitable<void> probe(dgram::udp::socket& socket, asio::ip::udp::endpoint peer,
                            std::chrono::milliseconds timeout, bool& found)
{
  const std::size_t headers = peer.address().is_v4() ? 20 + 8 : 40 + 8;
  std::size_t mtu = socket.path_mtu(peer);
  fmt::print("the way to {} begins with {} bytes\n", peer, mtu);
  for (int tries = 0; tries < 16; ++tries) {
    const std::string payload(std::min<std::size_t>(mtu, 65535) - headers, '\0');
    dgram::error_code ec;
    socket.send_to(asio::buffer(payload), peer, 0, ec);
    if (ec && ec != asio::error::message_size) throw dgram::system_error(ec, "send");
    const auto error = co_await next_error(socket, timeout);
    found = !error || error->code == asio::error::connection_refused;
    if (found) {
      fmt::print("{} bytes: {}\n", mtu, error ? "arrived" : "nobody complains");
      co_return;
    }
    fmt::print("{} bytes: {} says: {}\n", mtu, origin(*error), error->code.message());
    if (!error->mtu) co_return;
    mtu = std::min<std::size_t>(mtu, *error->mtu);
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_path_probe ADDRESS:PORT [--timeout MS]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto peer = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    int timeout = 1000;
    while (words.option("--timeout", timeout, 1, 60'000)) {}
    words.finish();

    asio::io_context io;
    dgram::udp::socket socket(io, peer.protocol());
    socket.set_option(dgram::option::receive_error(true));
    socket.set_option(dgram::option::path_mtu_discovery(dgram::option::path_mtu::require));
    bool found = false;
    asio::co_spawn(io, probe(socket, peer, std::chrono::milliseconds(timeout), found),
                   example::rethrow);
    io.run();
    return found ? 0 : 1;
  });
}
