// SPDX-License-Identifier: BSL-1.0
// A UDP echo server as a coroutine that works in batches: what came in together goes out together.
//
//   example_echo_coroutine [ADDRESS:PORT]     the default is 127.0.0.1:0, any free port of loopback
//
// It prints "listening on ADDRESS:PORT", serves until SIGINT or SIGTERM, and says then how many
// datagrams it echoed. Try it with
//   example_client ADDRESS:PORT hello
//   example_echo_load ADDRESS:PORT

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <csignal>
#include <cstdint>

namespace {

struct totals {
  std::uint64_t datagrams = 0;
  std::uint64_t batches = 0;
};

asio::awaitable<void> echo(dgram::udp::socket& socket, totals& echoed)
{
  // Allocated once. Under light load a batch is one datagram, which is answered at once; the more
  // there is to do, the larger the batches become, and the cheaper each datagram.
  dgram::receive_batch in{64};
  dgram::send_batch out{64};
  dgram::error_code ec;
  for (;;) {
    co_await socket.async_receive_batch(in, asio::redirect_error(asio::use_awaitable, ec));
    if (ec == asio::error::operation_aborted) co_return;  // main closed the socket
    if (ec) throw dgram::system_error(ec, "receive");

    // The answers refer to the bytes where they were received: nothing is copied.
    for (const dgram::datagram& datagram : in)
      out.push(datagram.payload(), datagram.reply_path());
    ++echoed.batches;
    while (!out.empty()) {
      const dgram::send_result result =
          co_await socket.async_send_batch(out, asio::redirect_error(asio::use_awaitable, ec));
      echoed.datagrams += result.sent;
      if (result.error == asio::error::operation_aborted) co_return;
      // The datagram that was refused is the first that is left; those behind it get their turn.
      if (result.error) {
        fmt::print(stderr, "cannot reply: {}\n", result.error.message());
        out.drop_front();
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_echo_coroutine [ADDRESS:PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    auto local = dgram::parse_endpoint("127.0.0.1:0");
    if (!words.empty()) local = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    words.finish();

    asio::io_context io;
    dgram::udp::socket socket(io, local);
    // On a wildcard address the answers are to come from the address that was asked.
    if (local.address().is_unspecified()) socket.set_option(dgram::option::packet_info(true));
    asio::signal_set signals(io, SIGINT, SIGTERM);
    fmt::print("listening on {}\n", socket.local_endpoint());
    signals.async_wait([&](dgram::error_code, int) { socket.close(); });

    totals echoed;
    asio::co_spawn(io, echo(socket, echoed), example::rethrow);
    io.run();
    const auto mean = echoed.batches == 0 ? 0.0
                                          : static_cast<double>(echoed.datagrams) /
                                                static_cast<double>(echoed.batches);
    fmt::print("echoed {} datagrams in {} batches, {:.1f} at a time\n", echoed.datagrams,
               echoed.batches, mean);
    return 0;
  });
}
