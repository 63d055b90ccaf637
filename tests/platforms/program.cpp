// SPDX-License-Identifier: BSL-1.0
// One program that uses what tests/configurations/program.cpp does not: servers, groups of sockets, multicast, options
// and the simulated network. scripts/check platforms compiles it for each system, and runs it where it can.

#include <dgram.hpp>
#include <dgram/format.hpp>
#include <dgram/sim.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace {

using namespace std::chrono_literals;
namespace sim = dgram::sim;

class checks {
public:
  void that(bool holds, std::string_view what)
  {
    fmt::print("{}: {}\n", holds ? "well" : "FAILED", what);
    failed_ += holds ? 0 : 1;
  }
  int failed() const { return failed_; }

private:
  int failed_ = 0;
};

const auto any_port = dgram::parse_endpoint("127.0.0.1:0");

asio::awaitable<void> echo(dgram::udp::session session)
{
  while (const auto datagram = co_await session.next())
    co_await session.send(datagram->payload());
}

/// The listener serves, and the exchanger asks.
asio::awaitable<void> ask(dgram::udp::socket& socket, dgram::udp::endpoint server,
                          dgram::udp::listener& listener, std::string& answered)
{
  dgram::exchanger client{socket, dgram::same_bytes{.offset = 0, .size = 2}};
  const auto answer = co_await client.exchange("id, and a question", server);
  answered = answer.payload().text();
  listener.stop();
}

void try_listener(asio::io_context& io, checks& check)
{
  dgram::shard_group group{any_port, {}};
  dgram::udp::socket server = group.open(io);
  dgram::udp::socket client(io, any_port);
  dgram::udp::listener listener(server);
  listener.async_serve(&echo, [](dgram::error_code) {});
  std::string answered;
  asio::co_spawn(io, ask(client, server.local_endpoint(), listener, answered), asio::detached);
  io.run();
  io.restart();
  check.that(answered == "id, and a question", "a listener answers an exchanger");
}

struct player {
  int datagrams = 0;
};

/// Ends after the second datagram.
template <class Socket>
asio::awaitable<void> count(Socket& socket, std::size_t& players)
{
  dgram::session_map<player> map;
  dgram::reader reader{socket};
  for (int seen = 0; seen < 2;) {
    auto batch = co_await reader.next_batch();
    for (auto [session, datagram] : map.route(batch))
      seen = ++session->datagrams;
  }
  players = map.size();
}

template <class Socket>
asio::awaitable<void> say_twice(Socket& socket, typename Socket::endpoint_type to)
{
  dgram::writer writer{socket};
  // The second one is longer, since an emulator of another byte order does not cut a train.
  co_await writer.send("one", to);
  co_await writer.send("second", to);
}

void try_sessions(asio::io_context& io, checks& check)
{
  dgram::udp::socket server(io, any_port);
  dgram::udp::socket client(io, any_port);
  std::size_t players = 0;
  asio::co_spawn(io, count(server, players), asio::detached);
  asio::co_spawn(io, say_twice(client, server.local_endpoint()), asio::detached);
  io.run();
  io.restart();
  check.that(players == 1, "a session map");
}

void try_simulation(asio::io_context& io, checks& check)
{
  sim::network net{io, {.seed = 1, .delay = 20ms}};
  sim::socket server{net, {"10.0.0.1", 7000}};
  sim::socket client{net, sim::location{"10.0.0.2", 0}};
  std::size_t players = 0;
  asio::co_spawn(io, count(server, players), asio::detached);
  asio::co_spawn(io, say_twice(client, server.local_endpoint()), asio::detached);
  net.run_for(1s);
  io.restart();
  check.that(players == 1, "a simulated network");
}

bool is_missing(const dgram::error_code& ec)
{
  return ec == asio::error::no_such_device || ec == asio::error::operation_not_supported ||
         ec == asio::error::no_protocol_option;
}

/// Which options there are differs from system to system, and an error says that it is missing.
void try_options(asio::io_context& io, checks& check)
{
  const auto has = dgram::capabilities();
  dgram::udp::socket socket(io, any_port);
  dgram::error_code ec;
  socket.set_option(dgram::option::packet_info(true), ec);
  check.that(!ec || !has.packet_info, "packet_info");
  socket.set_option(dgram::option::do_not_fragment(true), ec);
  check.that(!ec || is_missing(ec), "do_not_fragment");
  socket.join("239.1.2.3", ec);
  check.that(!ec || is_missing(ec), "a group");
  socket.join({"232.1.2.3", "10.0.0.7"}, ec);
  check.that(!ec || is_missing(ec), "a group with a source");
  check.that(dgram::inherited_sockets().empty(), "no socket of a supervisor");
}

void try_hand_over(asio::io_context& io, checks& check)
{
  dgram::udp::socket before(io, any_port);
  const auto address = before.local_endpoint();
  const std::string path = fmt::format("@dgram-platforms-{}", ::getpid());
  dgram::error_code given, taken;
  dgram::udp::endpoint after;
  dgram::async_hand_over(before, path,
                         [&](dgram::error_code ec, const dgram::hand_over_report&) { given = ec; });
  dgram::async_take_over(io, path, [&](dgram::error_code ec, dgram::taken_over<dgram::udp> result) {
    taken = ec;
    if (!ec) after = result.socket.local_endpoint();
  });
  io.run_for(5s);
  io.restart();
  if (dgram::platform::has_local_links)
    check.that(!given && !taken && after == address, "a hand-over");
  else
    check.that(given == asio::error::operation_not_supported && taken == given, "no hand-over");
}

}  // namespace

int main()
{
  checks check;
  try {
    asio::io_context io;
    try_listener(io, check);
    try_sessions(io, check);
    try_simulation(io, check);
    try_options(io, check);
    try_hand_over(io, check);
  } catch (const std::exception& failure) {
    fmt::print("{}\n", failure.what());
    return 1;
  }
  return check.failed() == 0 ? 0 : 1;
}
