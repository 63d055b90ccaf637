// SPDX-License-Identifier: BSL-1.0
// A UDP echo server with callbacks: one datagram in, the same one out.
//
//   example_echo_callback [ADDRESS:PORT]     the default is 127.0.0.1:0, any free port of loopback
//
// It prints "listening on ADDRESS:PORT" and serves until SIGINT or SIGTERM. Try it with
//   example_client ADDRESS:PORT hello
// echo_coroutine.cpp does the same in batches, which is faster under load.

#include "command_line.hpp"

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <array>
#include <csignal>

namespace {

class echo_server {
public:
  echo_server(asio::io_context& io, const asio::ip::udp::endpoint& local) : socket_(io, local)
  {
    // On a wildcard address the answers are to come from the address that was asked.
    if (local.address().is_unspecified()) socket_.set_option(dgram::option::packet_info(true));
    fmt::print("listening on {}\n", socket_.local_endpoint());
    receive();
  }

  /// The pending operation completes with operation_aborted, and no other one follows it.
  void stop() { socket_.close(); }

private:
  void receive()
  {
    socket_.async_receive_from(
        asio::buffer(data_), request_,
        [this](dgram::error_code ec, std::size_t size) { on_received(ec, size); });
  }

  void on_received(dgram::error_code ec, std::size_t size)
  {
    if (ec == asio::error::operation_aborted || !socket_.is_open()) return;
    if (ec) throw dgram::system_error(ec, "receive");
    // The buffer serves for the answer too: nothing is received until it has left.
    socket_.async_send_to(asio::buffer(data_, size), request_.reply_path(),
                          [this](dgram::error_code failure, std::size_t) { on_sent(failure); });
  }

  void on_sent(dgram::error_code ec)
  {
    if (ec == asio::error::operation_aborted || !socket_.is_open()) return;
    // One client that cannot be reached is no reason to stop serving the others.
    if (ec) fmt::print(stderr, "cannot reply to {}: {}\n", request_.sender(), ec.message());
    receive();
  }

  dgram::udp::socket socket_;
  dgram::datagram_info request_;
  std::array<char, 65536> data_{};  // no datagram is larger
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
