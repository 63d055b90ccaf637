// SPDX-License-Identifier: BSL-1.0
// Relays datagrams between clients and one server. The relay opens one socket for each client, and so knows
// the client of each answer. A client that sends and receives nothing for a while is forgotten.
//
//   example_udp_relay --to ADDRESS:PORT [--listen ADDRESS:PORT] [--idle MS] [--clients N]
//
// It prints "listening on ADDRESS:PORT" (127.0.0.1:0, any free port). A client is forgotten after MS milliseconds (60000).
// While there are N clients (1000), datagrams of others are dropped and counted. At its end it prints the counts.

#include "command_line.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace {

using endpoint = asio::ip::udp::endpoint;
using std::chrono::steady_clock;

struct settings {
  std::string listen = "127.0.0.1:0";
  std::string to;
  int idle = 60'000;
  std::size_t clients = 1000;
};

struct counts {
  std::size_t to_server = 0;
  std::size_t to_clients = 0;
  std::size_t refused_clients = 0;
  std::size_t lost = 0;
  std::size_t forgotten = 0;
};

class relay {
public:
  relay(asio::io_context& io, const settings& with)
      : server_(dgram::parse_endpoint(with.to)),
        idle_(with.idle),
        most_clients_(with.clients),
        socket_(io, dgram::parse_endpoint(with.listen))
  {
  }

  dgram::udp::socket& socket() { return socket_; }

  /// Serves until the socket is closed.
  asio::awaitable<void> serve()
  {
    while (const auto datagram = co_await reader_.next()) {
      const auto known = find(*datagram, co_await asio::this_coro::executor);
      if (!known) continue;
      known->last = steady_clock::now();
      if (known->writer.try_send(datagram->payload()))
        ++counts_.to_server;
      else
        ++counts_.lost;
    }
    for (auto& [peer, one] : clients_)
      one->upstream.close();
  }

  void print() const
  {
    fmt::print("clients {}, forgotten {}, refused {}, to the server {}, to clients {}, lost {}\n",
               clients_.size(), counts_.forgotten, counts_.refused_clients, counts_.to_server,
               counts_.to_clients, counts_.lost);
  }

private:
  struct client {
    client(const asio::any_io_executor& executor, const endpoint& server)
        : upstream(executor, server.protocol())
    {
      upstream.connect(server);
    }

    dgram::udp::socket upstream;
    dgram::udp::reader reader{upstream};
    dgram::udp::writer writer{reader};
    steady_clock::time_point last = steady_clock::now();
  };

  /// The client that sent this; null if there are too many, or no more sockets.
  std::shared_ptr<client> find(const dgram::datagram& datagram,
                               const asio::any_io_executor& executor)
  {
    const auto known = clients_.find(datagram.sender());
    if (known != clients_.end()) return known->second;
    try {
      if (clients_.size() < most_clients_) {
        const auto added = std::make_shared<client>(executor, server_);
        clients_.emplace(datagram.sender(), added);
        asio::co_spawn(executor, answer(added, datagram.sender(), datagram.reply_path()),
                       example::rethrow);
        return added;
      }
    } catch (const dgram::system_error& failure) {
      fmt::print(stderr, "{}: {}\n", datagram.sender(), failure.what());
    }
    ++counts_.refused_clients;
    return nullptr;
  }

  /// Relays the server's datagrams to a client until it is idle.
  asio::awaitable<void> answer(std::shared_ptr<client> one, endpoint peer, dgram::reply_path path)
  {
    dgram::error_code ec;
    while (!one->reader.is_stopped() && steady_clock::now() < one->last + idle_) {
      const auto datagram = co_await one->reader.next_until(one->last + idle_, ec);
      if (!datagram) continue;  // refused by the server's host, or the time was up
      one->last = steady_clock::now();
      if (writer_.try_send(datagram->payload(), path))
        ++counts_.to_clients;
      else
        ++counts_.lost;
    }
    ++counts_.forgotten;
    clients_.erase(peer);
  }

  endpoint server_;
  std::chrono::milliseconds idle_;
  std::size_t most_clients_;
  dgram::udp::socket socket_;
  dgram::udp::reader reader_{socket_};
  dgram::udp::writer writer_{reader_};
  std::map<endpoint, std::shared_ptr<client>> clients_;
  counts counts_;
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
    relay relay(io, with);
    asio::signal_set ends(io, SIGINT, SIGTERM);
    ends.async_wait([&](dgram::error_code, int) { relay.socket().close(); });
    fmt::print("listening on {}\n", relay.socket().local_endpoint());
    asio::co_spawn(io, relay.serve(), example::rethrow);
    io.run();
    relay.print();
    return 0;
  });
}
