// SPDX-License-Identifier: BSL-1.0
// Relays datagrams between clients and one server. Each client has a session and a socket of its
// own to the server, so the relay knows the client of each answer. Both end when the client and the
// server have been silent for a while.
//
//   example_udp_relay --to ADDRESS:PORT [--listen ADDRESS:PORT] [--idle MS] [--clients N]
//
// It prints "listening on ADDRESS:PORT" (127.0.0.1:0, any free port). A client is forgotten after MS
// milliseconds (60000). While there are N clients (1000), datagrams of others are dropped and
// counted. At its end it prints the counts.

#include "command_line.hpp"

#include <asio/experimental/awaitable_operators.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>
#include <dgram/listener.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>

namespace {

using namespace asio::experimental::awaitable_operators;
using std::chrono::steady_clock;

struct settings {
  std::string listen = "127.0.0.1:0";
  std::string to;
  int idle = 60'000;
  std::size_t clients = 1000;
};

class relay {
public:
  explicit relay(const settings& with)
      : server_(dgram::parse_endpoint(with.to)), idle_(std::chrono::milliseconds(with.idle))
  {
  }

  /// Serves one client. What it has is released when the coroutine ends.
  asio::awaitable<void> serve(dgram::udp::session client)
  {
    dgram::udp::socket socket(client.get_executor(), server_.protocol());
    socket.connect(server_);
    dgram::udp::reader reader{socket};
    dgram::udp::writer writer{reader};
    auto last = steady_clock::now();
    co_await (pass_requests(client, writer, last) || pass_answers(reader, client, last));
  }

  void print(const dgram::listener_statistics& counts) const
  {
    fmt::print(
        "{} clients, refused {} datagrams of others, to the server {}, to clients {}, lost {}\n",
        counts.created, counts.sessions_full, to_server_, to_clients_,
        lost_ + counts.inbox_full + counts.inboxes_full + counts.unread);
  }

private:
  /// Ends with the session.
  asio::awaitable<void> pass_requests(dgram::udp::session& from, dgram::udp::writer& to,
                                      steady_clock::time_point& last)
  {
    while (const auto datagram = co_await from.next()) {
      last = steady_clock::now();
      ++(to.try_send(datagram->payload()) ? to_server_ : lost_);
    }
  }

  /// Ends when neither side has said anything for long enough.
  asio::awaitable<void> pass_answers(dgram::udp::reader& from, dgram::udp::session& to,
                                     const steady_clock::time_point& last_request)
  {
    dgram::error_code ec;
    for (auto last = last_request; steady_clock::now() < last + idle_;
         last = std::max(last, last_request)) {
      const auto datagram = co_await from.next_until(last + idle_, ec);
      if (!datagram) continue;  // refused by the server's host, or the time was up
      last = steady_clock::now();
      ++(to.try_send(datagram->payload()) ? to_clients_ : lost_);
    }
  }

  asio::ip::udp::endpoint server_;
  steady_clock::duration idle_;
  std::size_t to_server_ = 0;
  std::size_t to_clients_ = 0;
  std::size_t lost_ = 0;
};

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_udp_relay --to ADDRESS:PORT [--listen ADDRESS:PORT] [--idle MS] [--clients N]";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    settings with;
    while (words.option("--to", with.to) || words.option("--listen", with.listen) ||
           words.option("--idle", with.idle, 1, 86'400'000) ||
           words.option("--clients", with.clients, 1U, 30'000U)) {}
    words.finish();
    if (with.to.empty()) throw example::bad_argument("--to is missing");
    asio::io_context io;
    relay relay(with);
    dgram::udp::socket socket(io, dgram::parse_endpoint(with.listen));
    // The relay itself ends idle sessions, because answers count too. Whether a client has proved its
    // address is for the server to know, which decides how much it answers.
    dgram::listener listener(
        socket,
        {.idle_timeout = std::chrono::hours(24), .max_sessions = with.clients, .amplification = 0});
    listener.on_failure([](const std::exception_ptr& failure) {
      try {
        std::rethrow_exception(failure);
      } catch (const std::exception& thrown) {  // no more descriptors, for example
        fmt::print(stderr, "a client gets no relay: {}\n", thrown.what());
      }
    });
    asio::signal_set ends(io, SIGINT, SIGTERM);
    ends.async_wait([&](dgram::error_code, int) { listener.stop(); });
    fmt::print("listening on {}\n", socket.local_endpoint());
    listener.async_serve([&](dgram::udp::session client) { return relay.serve(std::move(client)); },
                         [](dgram::error_code ec) {
                           if (ec) throw dgram::system_error(ec, "serve");
                         });
    io.run();
    relay.print(listener.statistics());
    return 0;
  });
}
