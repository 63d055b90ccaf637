// SPDX-License-Identifier: BSL-1.0
// An emitter's server that keeps a state for each client: how often it has called.
//
//   example_dgram_clients [--port N] [--idle MS]      the defaults are 41234 and 60 seconds
//
// Node's servers use a Map for this, which grows until the process ends. Here clients leave when
// they have been silent for the idle time. Try it with
//   example_client 127.0.0.1:41234 hello

#include "../command_line.hpp"

#include <asio/steady_timer.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <functional>

namespace {

struct client {
  explicit client(const asio::ip::udp::endpoint& from) : peer(from) {}

  asio::ip::udp::endpoint peer;
  int calls = 0;
};

int serve(example::command_line& words)
{
  int port = 41234;
  int idle = 60'000;
  words.option("--port", port, 0, 65535);
  words.option("--idle", idle, 1, 3'600'000);
  words.finish();

  asio::io_context io;
  auto server = dgram::create_socket(io, dgram::udp4);
  dgram::session_map<client> clients{
      {.idle_timeout = std::chrono::milliseconds(idle), .max_sessions = 1000}};

  clients.on_end([](auto client, dgram::session_end) {
    fmt::print("{} is gone after {} calls\n", client->peer, client->calls);
  });

  server.on<dgram::event::message>([&](dgram::bytes_view msg, const dgram::remote_info& rinfo) {
    const auto client = clients.route(rinfo.endpoint());
    if (!client) return;  // there are 1000 clients already
    ++client->calls;
    server.send(fmt::format("call {}: {}", client->calls, msg.text()), rinfo.port,
                rinfo.address.to_string());
  });

  server.on<dgram::event::listening>(
      [&] { fmt::print("listening on {}\n", server.address().endpoint()); });

  // As setInterval would: clients leave even if no message comes any more.
  asio::steady_timer timer(io);
  std::function<void()> look_again = [&] {
    timer.expires_after(std::chrono::milliseconds(100));
    timer.async_wait([&](dgram::error_code) {
      clients.expire();
      look_again();
    });
  };
  look_again();

  server.bind(port, "127.0.0.1");
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv, "example_dgram_clients [--port N] [--idle MS]", serve);
}
