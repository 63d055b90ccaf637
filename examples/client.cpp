// SPDX-License-Identifier: BSL-1.0
// Request and reply with a timeout and retries: UDP may lose either, so a client has to ask again.
//
//   example_client ADDRESS:PORT TEXT [--timeout MS] [--retries N]
//
// Sends TEXT, waits MS milliseconds (1000) for a reply, and asks again up to N times (2). Prints
// the reply and the time it took, or "no reply", with exit code 1. Try it with an echo server:
//   example_echo_callback 127.0.0.1:7007 &
//   example_client 127.0.0.1:7007 hello

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <array>
#include <chrono>
#include <optional>

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// The size of the next datagram, or nothing where none came before the deadline.
///
/// A refusal is not the end: a server that is being restarted will listen in a moment.
/// The timer cancels the receive, which loses nothing: the receive completes with a datagram that
/// it has taken already, and one that comes later waits in the socket for the next receive. (Asio's
/// `receive || timer` can lose one: where both sides have completed, it drops a result.)
asio::awaitable<std::optional<std::size_t>> receive_until(dgram::udp::socket& socket,
                                                          asio::mutable_buffer buffer,
                                                          steady_clock::time_point deadline)
{
  asio::steady_timer timer(socket.get_executor(), deadline);
  // May still run after this function has returned, so `socket` must live as long as the context.
  timer.async_wait([&socket](dgram::error_code ec) {
    if (!ec) socket.cancel();
  });
  for (;;) {
    dgram::error_code ec;
    const auto size =
        co_await socket.async_receive(buffer, asio::redirect_error(asio::use_awaitable, ec));
    if (!ec) co_return size;
    if (ec == asio::error::operation_aborted) co_return std::nullopt;
    if (ec != asio::error::connection_refused) throw dgram::system_error(ec, "receive");
  }
}

asio::awaitable<void> ask(dgram::udp::socket& socket, std::string_view text, milliseconds timeout,
                          int tries, bool& answered)
{
  std::array<char, 65536> reply{};  // no datagram is larger
  for (int attempt = 1; attempt <= tries && !answered; ++attempt) {
    const auto start = steady_clock::now();
    dgram::error_code ec;
    co_await socket.async_send(asio::buffer(text), asio::redirect_error(asio::use_awaitable, ec));
    // A refusal here is about the try before: it kept this one from leaving.
    if (ec && ec != asio::error::connection_refused) throw dgram::system_error(ec, "send");
    const auto size = co_await receive_until(socket, asio::buffer(reply), start + timeout);
    if (!size) continue;
    answered = true;  // also by a late reply to an earlier try; the time shown is then too short
    const std::chrono::duration<double, std::milli> elapsed = steady_clock::now() - start;
    fmt::print("{}\n  from {} in {:.3f} ms, try {} of {}\n",
               example::printable({reply.data(), *size}), socket.remote_endpoint(), elapsed.count(),
               attempt, tries);
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_client ADDRESS:PORT TEXT [--timeout MS] [--retries N]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto server = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    const auto text = words.operand("TEXT");
    int timeout = 1000;
    int retries = 2;
    while (words.option("--timeout", timeout, 1, 3'600'000) ||
           words.option("--retries", retries, 0, 1000)) {}
    words.finish();

    asio::io_context io;
    dgram::udp::socket socket(io);
    socket.connect(server);  // from now on only the server's datagrams are received
    bool answered = false;
    asio::co_spawn(io, ask(socket, text, milliseconds(timeout), 1 + retries, answered),
                   example::rethrow);
    io.run();
    if (!answered) fmt::print(stderr, "no reply from {} after {} tries\n", server, 1 + retries);
    return answered ? 0 : 1;
  });
}
