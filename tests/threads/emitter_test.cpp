// SPDX-License-Identifier: BSL-1.0
// Emitters on strands of a context that several threads run: they share buffers, and nothing else.
#include <dgram/create_socket.hpp>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

namespace emitter_test {

namespace {

namespace event = dgram::event;

constexpr int pairs = 4;
constexpr int rounds = 300;

/// Two sockets on one strand each: one asks, and asks again when it is answered; the other answers.
struct pair {
  explicit pair(asio::io_context& io, std::atomic<int>& finished)
      : server_strand(asio::make_strand(io)),
        client_strand(asio::make_strand(io)),
        server(dgram::create_socket(server_strand, dgram::udp4)),
        client(
            dgram::create_socket(client_strand, {.type = dgram::udp4, .signal = stop.get_token()}))
  {
    server.on<event::message>([this](dgram::bytes_view message, const dgram::remote_info& from) {
      server.send(message, from);
      if (++answers == rounds) server.close();
    });
    const auto port = server.bind_sync(0, "127.0.0.1").port;
    client.on<event::message>([this, port] { ask(port); });
    client.on<event::close>([&finished] { ++finished; });
    asio::post(client_strand, [this, port] { ask(port); });
  }

  void ask(std::uint16_t port)
  {
    if (asked++ == rounds)
      stop.request_stop();
    else
      client.send("question", port, [this](dgram::error_code) { ++sent; });
  }

  asio::strand<asio::io_context::executor_type> server_strand;
  asio::strand<asio::io_context::executor_type> client_strand;
  std::stop_source stop;
  dgram::emitter_socket server;
  dgram::emitter_socket client;
  int answers = 0;
  int asked = 0;
  int sent = 0;
};

}  // namespace

TEST_CASE("Emitters on strands of one context", "[threads]")
{
  asio::io_context io;
  std::atomic<int> finished{0};
  std::vector<std::unique_ptr<pair>> all;
  for (int i = 0; i < pairs; ++i)
    all.push_back(std::make_unique<pair>(io, finished));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] { io.run_for(std::chrono::seconds(20)); });
  threads.clear();
  CHECK(finished == pairs);
  for (const auto& each : all) {
    CHECK(each->answers == rounds);
    CHECK(each->sent == rounds);
  }
}

}  // namespace emitter_test
