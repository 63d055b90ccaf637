// SPDX-License-Identifier: BSL-1.0
// Shared by the emitter's tests: sockets that keep a trace of their events, and a context under a
// watchdog.
#ifndef DGRAM_TESTS_EMITTER_HELPERS_HPP
#define DGRAM_TESTS_EMITTER_HELPERS_HPP

#include "support/loopback.hpp"
#include "support/reserved_port.hpp"

#include <dgram/create_socket.hpp>

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace test {

namespace event = dgram::event;

/// Runs until the condition holds, and fails instead of hanging.
template <class Condition>
void run_until(asio::io_context& io, Condition condition)
{
  const auto deadline = std::chrono::steady_clock::now() + seconds(10);
  io.restart();
  while (!condition())
    if (io.run_one_until(deadline) == 0) FAIL("nothing happened any more, or not in time");
}

/// Runs what is due now and what follows from that, without waiting for anything.
inline void run_ready(asio::io_context& io)
{
  io.restart();
  while (io.poll() > 0) {}
}

using trace = std::vector<std::string>;

/// The error that a call throws; none where it throws nothing.
template <class Call>
dgram::error_code thrown(Call call)
{
  try {
    call();
  } catch (const dgram::system_error& error) {
    return error.code();
  }
  return {};
}

/// The text of what a call throws.
template <class Call>
std::string thrown_text(Call call)
{
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

/// Notes all events of a socket but messages.
template <class Socket>
void record(Socket& socket, trace& into)
{
  socket.template on<event::listening>([&] { into.push_back("listening"); });
  socket.template on<event::connect>([&] { into.push_back("connect"); });
  socket.template on<event::close>([&] { into.push_back("close"); });
  socket.template on<event::error>(
      [&](const dgram::failure& what) { into.push_back("error " + what.text()); });
}

/// An emitter on loopback, bound at once, which notes what it gets.
struct listener {
  explicit listener(asio::io_context& io, dgram::socket_options options = {.type = dgram::udp4})
      : socket(dgram::create_socket(io, std::move(options)))
  {
    socket.on<event::message>([this](dgram::bytes_view message, const dgram::remote_info& from) {
      messages.emplace_back(message.text());
      senders.push_back(from);
    });
    socket.bind_sync(port, socket_address());
  }

  const char* socket_address() { return "127.0.0.1"; }

  reserved_port reserved;  // the socket binds it again after a pause of its context
  dgram::emitter_socket socket;
  std::vector<std::string> messages;
  std::vector<dgram::remote_info> senders;
  std::uint16_t port = reserved.number();
};

/// A lookup that answers when it is told to.
struct slow_lookup {
  std::vector<dgram::lookup_result> asked;

  dgram::socket_options options()
  {
    return {.type = dgram::udp4,
            .lookup = [this](const std::string&, dgram::socket_type, dgram::lookup_result done) {
              asked.push_back(std::move(done));
            }};
  }

  void answer()
  {
    for (auto& each : asked)
      each({}, asio::ip::address_v4::loopback());
  }
};

}  // namespace test

#endif
