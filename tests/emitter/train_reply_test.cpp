// SPDX-License-Identifier: BSL-1.0
// Replies to the datagrams of a train: they share their path, and nothing else may be shared.
#include "emitter/helpers.hpp"

#include <dgram/diagnostics.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace train_reply_test {

using test::thrown;
using test::trace;

namespace {

/// Sends this many datagrams of one size, which leave as a train: "a 10", "a 11", ...
void send_train(dgram::emitter_socket& from, std::uint16_t port, int count,
                const std::string& name = "a")
{
  for (int i = 0; i < count; ++i)
    from.send(name + " " + std::to_string(10 + i), port);
}

/// A server and two peers, which keep what they get.
struct three {
  asio::io_context io;
  test::listener server{io};
  test::listener one{io};
  test::listener two{io};

  dgram::emitter_socket& socket() { return server.socket; }

  /// Calls the function with each message that the server gets, and its number.
  template <class Function>
  void on_message(Function function)
  {
    server.socket.on<test::event::message>(
        [function, count = 0](dgram::bytes_view message, const dgram::remote_info& from) mutable {
          function(message, from, count++);
        });
  }

  void run_until_all_got(std::size_t count)
  {
    test::run_until(io, [&] { return one.messages.size() + two.messages.size() >= count; });
    test::run_ready(io);
    CHECK(one.messages.size() + two.messages.size() == count);
  }
};

}  // namespace

TEST_CASE("Replies to a train leave in order, with other sends of all forms between them",
          "[emitter]")
{
  three all;
  trace for_one;
  trace for_two;
  const std::string large(70, 'l');
  all.on_message([&](dgram::bytes_view message, const dgram::remote_info& from, int count) {
    auto& socket = all.socket();
    const std::string text(message.text());
    const auto to_one = [&](std::string sent) { for_one.push_back(std::move(sent)); };
    socket.send(message, from);
    to_one(text);
    switch (count % 9) {
    case 0:  // shorter, and behind it one of the usual size
      socket.send("s", from);
      to_one("s");
      break;
    case 1:
      socket.send(large, from);
      to_one(large);
      break;
    case 2: {
      socket.send(message, from);
      to_one(text);
      dgram::remote_info other = from;
      other.port = all.two.port;
      socket.send(message, other);
      for_two.push_back(text);
      break;
    }
    case 3:
      socket.send(message, all.two.port);
      for_two.push_back(text);
      break;
    case 4:
      socket.send(message, from, [](const dgram::failure& what) { CHECK(!what); });
      to_one(text);
      break;
    case 5:
      socket.send({"in ", "pieces"}, from);
      to_one("in pieces");
      break;
    case 6:
      socket.send("", from);
      to_one("");
      break;
    case 7: {
      const dgram::remote_info copy = from;
      socket.send(message, copy);
      to_one(text);
      break;
    }
    default:
      socket.send(message, all.two.port, [](const dgram::failure& what) { CHECK(!what); });
      for_two.push_back(text);
    }
  });
  send_train(all.one.socket, all.server.port, 60);
  test::run_until(all.io, [&] {
    return all.one.messages.size() == for_one.size() && all.server.messages.size() == 60;
  });
  test::run_until(all.io, [&] { return all.two.messages.size() == for_two.size(); });
  CHECK(all.one.messages == for_one);
  CHECK(all.two.messages == for_two);
  CHECK(for_two.size() == 20);
}

TEST_CASE("Replies to trains of two senders do not mix", "[emitter]")
{
  three all;
  all.on_message([&](dgram::bytes_view message, const dgram::remote_info& from, int) {
    all.socket().send(message, from);
  });
  for (int round = 0; round < 3; ++round) {
    send_train(all.one.socket, all.server.port, 20);
    send_train(all.two.socket, all.server.port, 20, "b");
    all.run_until_all_got(40 * (static_cast<std::size_t>(round) + 1));
  }
  for (std::size_t i = 0; i < 60; ++i) {
    const std::string number = std::to_string(10 + i % 20);
    CHECK(all.one.messages.at(i) == "a " + number);
    CHECK(all.two.messages.at(i) == "b " + number);
  }
}

TEST_CASE("A listener that runs the context in the middle of a train still replies to its sender",
          "[emitter]")
{
  three all;
  bool has_run = false;
  all.on_message([&](dgram::bytes_view message, const dgram::remote_info& from, int) {
    all.socket().send(message, from);
    if (!has_run && from.port == all.one.port) {
      has_run = true;
      send_train(all.two.socket, all.server.port, 20, "b");
      // The rest of the train and the other train are answered below this call.
      test::run_until(all.io, [&] { return all.server.messages.size() == 40; });
      all.socket().send("behind", all.two.port);
    }
    all.socket().send(message, from);
  });
  send_train(all.one.socket, all.server.port, 20);
  all.run_until_all_got(81);
  CHECK(all.one.messages.size() == 40);
  CHECK(all.two.messages.size() == 41);
  for (const auto& from : all.one.senders)
    CHECK(from.port == all.server.port);
  CHECK(all.one.messages.back() == all.one.messages.front());
}

TEST_CASE("A train's listener is refused as others are, after it has closed or connected",
          "[emitter]")
{
  const bool closes = GENERATE(true, false);
  three all;
  dgram::error_code refused;
  all.on_message([&](dgram::bytes_view message, const dgram::remote_info& from, int count) {
    if (count < 3) CHECK(all.socket().send(message, from));
    if (count != 3) return;
    all.socket().send(message, from);
    closes ? all.socket().close() : all.socket().connect(all.two.port);
    refused = thrown([&] { all.socket().send(message, from); });
  });
  send_train(all.one.socket, all.server.port, 10);
  test::run_until(all.io, [&] { return all.one.messages.size() == 4; });
  test::run_ready(all.io);
  CHECK(all.one.messages.size() == 4);
  CHECK(all.two.messages.empty());
  CHECK(refused == (closes ? dgram::error_code(dgram::error::not_running)
                           : dgram::error_code(asio::error::already_connected)));
}

TEST_CASE("A hook that sends for each reply to a train changes none of them", "[emitter]")
{
  three all;
  bool is_inside = false;
  const dgram::diagnostics_subscription watch([&](const dgram::diagnostic& what) {
    if (is_inside || what.channel != dgram::diagnostic_channel::send ||
        what.socket != all.socket().id())
      return;
    is_inside = true;
    all.socket().send("hook", all.two.port);
    is_inside = false;
  });
  all.on_message([&](dgram::bytes_view message, const dgram::remote_info& from, int) {
    all.socket().send(message, from);
  });
  send_train(all.one.socket, all.server.port, 20);
  all.run_until_all_got(40);
  CHECK(all.two.messages == trace(20, "hook"));
  CHECK(all.one.messages == all.server.messages);
}

}  // namespace train_reply_test
