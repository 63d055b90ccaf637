// SPDX-License-Identifier: BSL-1.0
// A UDP echo server with callbacks: one datagram in, the same one out.
//
//   example_echo_callback [ADDRESS:PORT]     the default is 127.0.0.1:0, any free port of loopback
//
// It prints "listening on ADDRESS:PORT" and serves until SIGINT or SIGTERM. Try it with
//   example_client ADDRESS:PORT hello
// echo_coroutine.cpp does the same with a coroutine.

#include "command_line.hpp"

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <csignal>

namespace {

class echo_server {
public:
  echo_server(asio::io_context& io, const asio::ip::udp::endpoint& local) : socket_(io, local)
  {
    fmt::print("listening on {}\n", socket_.local_endpoint());
    // One client that cannot be reached is no reason to stop serving the others.
    writer_.on_error([](dgram::error_code ec, const asio::ip::udp::endpoint& peer, std::size_t) {
      fmt::print(stderr, "cannot reply to {}: {}\n", peer, ec.message());
    });
    reader_.async_for_each([this](const dgram::datagram& request) { answer(request); },
                           [](dgram::error_code ec) {
                             if (ec) throw dgram::system_error(ec, "receive");
                           });
  }

  /// Reading ends, and without an error.
  void stop() { socket_.close(); }

private:
  /// The answers to what was received together leave together.
  void answer(const dgram::datagram& request)
  {
    if (!writer_.try_send(request.payload(), request.reply_path()))
      fmt::print(stderr, "no room for the answer to {}\n", request.sender());
  }

  dgram::udp::socket socket_;
  dgram::reader<dgram::udp, asio::any_io_executor> reader_{socket_};
  dgram::writer<dgram::udp, asio::any_io_executor> writer_{reader_};
};

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_echo_callback [ADDRESS:PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    auto local = dgram::parse_endpoint("127.0.0.1:0");
    if (!words.empty()) local = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    words.finish();

    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    echo_server server(io, local);
    signals.async_wait([&](dgram::error_code, int) { server.stop(); });
    io.run();
    return 0;
  });
}
