// SPDX-License-Identifier: BSL-1.0
// An echo server that restarts without losing a datagram: each new process takes the socket from the one before it.
//
//   example_restart [--path PATH] [--buffer BYTES] [ADDRESS:PORT]
//
// The socket comes from a supervisor (LISTEN_FDS), or from the process that offers it at PATH, or is bound to
// ADDRESS:PORT (127.0.0.1:0). PATH is a file or an abstract @NAME; without it the socket is handed to no process. Prints
// "listening on ADDRESS:PORT", and each process that is refused. Ends when the next process has the socket, or with
// SIGTERM. Try it with
//   example_restart --path /tmp/restart 127.0.0.1:5353 &
//   example_echo_load 127.0.0.1:5353 &
//   example_restart --path /tmp/restart

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

namespace {

struct settings {
  dgram::udp::endpoint local = dgram::parse_endpoint("127.0.0.1:0");
  std::string path;
  int buffer = 1 << 20;
};

class server {
public:
  server(asio::io_context& io, settings with) : io_(io), with_(std::move(with)), socket_(io) {}

  asio::awaitable<void> run()
  {
    co_await open();
    // First, because coalescing, which it turns on, ends what is pending.
    reader_.emplace(socket_);
    if (!with_.path.empty()) offer();
    fmt::print("listening on {}\n", socket_.local_endpoint());
    std::fflush(stdout);
    dgram::writer writer{*reader_};
    while (auto datagrams = co_await reader_->next_batch())
      for (const dgram::datagram& datagram : datagrams) {
        ++echoed_;
        if (!writer.push(datagram.payload(), datagram.reply_path())) co_await writer.flush();
      }
    co_await writer.flush();
    // Of the drops this process knows those before it took the socket, too.
    fmt::print("echoed {} datagrams, dropped {}\n", echoed_,
               socket_.statistics().dropped - dropped_before_);
    socket_.close();
  }

  void stop() { reader_ ? reader_->stop() : io_.stop(); }

private:
  asio::awaitable<void> open()
  {
    for (auto& inherited : dgram::inherited_sockets())
      if (!socket_.is_open() && dgram::is_datagram(inherited.kind)) {
        fmt::print("inherited \"{}\"\n", inherited.name);
        socket_ = dgram::adopt<dgram::udp>(io_, inherited.take());
      }
    if (socket_.is_open()) co_return;
    dgram::error_code ec = dgram::socket_error::no_such_file;
    if (!with_.path.empty()) {
      auto taken = co_await dgram::take_over(io_, with_.path, ec);
      if (!ec) {
        fmt::print("taken from process {}\n", taken.from.process);
        socket_ = std::move(taken.socket);
        dropped_before_ = taken.dropped_before;
        co_return;
      }
    }
    const bool is_first = ec == dgram::socket_error::no_such_file ||
                          ec == asio::error::connection_refused ||
                          ec == asio::error::connection_reset;
    if (!is_first) throw dgram::system_error(ec, "take_over \"" + with_.path + "\"");
    // A process that has just died may not have let go of its port yet.
    asio::steady_timer timer(io_);
    for (int tries = ec == dgram::socket_error::no_such_file ? 1 : 100; !bind_own(tries == 1);
         --tries) {
      timer.expires_after(std::chrono::milliseconds(10));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  /// Returns false if the port is taken and this was not the last try.
  bool bind_own(bool is_last)
  {
    try {
      // The queue holds what arrives between the last receive of one process and the first of the next.
      socket_ = dgram::udp::socket(io_, with_.local, {.receive_buffer_size = with_.buffer});
      return true;
    } catch (const dgram::system_error& e) {
      if (is_last || e.code() != asio::error::address_in_use) throw;
      return false;
    }
  }

  /// The socket is on offer when this returns.
  void offer()
  {
    dgram::hand_over_config config;
    config.on_refused = [](const dgram::hand_over_refusal& refusal) {
      fmt::print("refused process {} of user {}: {}\n", refusal.from.process, refusal.from.user,
                 refusal.why.message());
      std::fflush(stdout);
    };
    dgram::async_hand_over(socket_, with_.path, config,
                           [this](dgram::error_code ec, const dgram::hand_over_report& report) {
                             if (ec == asio::error::operation_aborted) return;
                             if (ec)
                               throw dgram::system_error(ec, "hand_over \"" + with_.path + "\"");
                             fmt::print("handed to process {}, after {} refused and {} failed\n",
                                        report.to.process, report.refused, report.failed);
                             stop();
                           });
  }

  asio::io_context& io_;
  settings with_;
  dgram::udp::socket socket_;
  std::optional<dgram::udp::reader> reader_;
  std::uint64_t echoed_ = 0;
  std::uint64_t dropped_before_ = 0;
};

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage = "example_restart [--path PATH] [--buffer BYTES] [ADDRESS:PORT]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    settings with;
    while (words.option("--path", with.path) || words.option("--buffer", with.buffer, 1, 1 << 30)) {
    }
    if (!words.empty()) with.local = dgram::parse_endpoint(words.operand("ADDRESS:PORT"));
    words.finish();

    asio::io_context io;
    server echo(io, with);
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](dgram::error_code ec, int) {
      if (!ec) echo.stop();
    });
    asio::co_spawn(io, echo.run(), [&](const std::exception_ptr& failure) {
      io.stop();
      example::rethrow(failure);
    });
    io.run();
    return 0;
  });
}
