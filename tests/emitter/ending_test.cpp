// SPDX-License-Identifier: BSL-1.0
// The emitter: what each way to end a socket does with the sends that are queued.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"

#include <asio/detached.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace ending_test {

namespace {

/// A socket that has queued one send in one of the ways in which a send can wait.
struct queued {
  queued()
  {
    auto options = lookup.options();
    options.signal = stop.get_token();
    socket.emplace(dgram::create_socket(io, std::move(options)));
  }

  void send(std::string_view waits_for)
  {
    const auto note = [this](dgram::error_code ec, std::size_t size) {
      ++calls;
      result = ec;
      sent = size;
    };
    if (waits_for != "a bind") socket->bind_sync(port.number(), "127.0.0.1");
    test::run_ready(io);
    if (waits_for == "a name") {
      socket->send("ping", target.port, "peer.test", note);
    } else if (waits_for == "a connect") {
      socket->connect(target.port, "peer.test", asio::detached);
      socket->send("ping", note);
    } else {
      if (waits_for == "the end of a pause") {
        dgram::pause_sockets(other);
        dgram::pause_sockets(io);
      }
      socket->send("ping", target.port, note);
    }
    CHECK(calls == 0);
  }

  void end(std::string_view how)
  {
    if (how == "close")
      socket->close();
    else if (how == "dispose")
      socket->dispose(asio::detached);
    else if (how == "a stop token")
      stop.request_stop();
    else if (how == "destruction")
      socket.reset();
    else
      *socket = dgram::create_socket(io, dgram::udp4);
  }

  asio::io_context other;
  test::reserved_port port;  // kept over a pause
  test::listener target{other};
  asio::io_context io;
  test::slow_lookup lookup;
  std::stop_source stop;
  std::optional<dgram::emitter_socket> socket;
  int calls = 0;
  std::size_t sent = 0;
  dgram::error_code result;
};

}  // namespace

TEST_CASE("CLS-24: what becomes of a queued send when its socket ends", "[emitter][F22]")
{
  const std::string waits_for =
      GENERATE("the end of the turn", "a bind", "a name", "a connect", "the end of a pause");
  const std::string how =
      GENERATE("close", "dispose", "a stop token", "destruction", "another in its place");
  CAPTURE(waits_for, how);
  queued one;
  one.send(waits_for);
  one.end(how);
  CHECK(one.calls == 0);  // never inside the call
  one.io.restart();
  while (one.calls == 0)
    REQUIRE(one.io.run_one_for(test::seconds(10)) == 1);
  test::run_ready(one.io);
  CHECK(one.calls == 1);  // and never twice

  const bool is_closed = how == "close" || how == "dispose" || how == "a stop token";
  const bool leaves = waits_for == "the end of the turn" || (waits_for == "a bind" && is_closed);
  CHECK(one.result == (leaves ? dgram::error_code() : asio::error::operation_aborted));
  CHECK(one.sent == (leaves ? 4U : 0U));
  // What left is there: loopback has no way in between.
  if (waits_for == "the end of a pause") dgram::resume_sockets(one.other);
  one.target.socket.send("last", one.target.port);
  test::run_until(one.other, [&] { return one.target.messages.size() == (leaves ? 2U : 1U); });
  CHECK(one.target.messages.back() == "last");
}

TEST_CASE("CLS-24: a context that ends sends nothing and calls nobody", "[emitter][F22]")
{
  const std::string waits_for = GENERATE("the end of the turn", "a bind", "a name", "a connect");
  CAPTURE(waits_for);
  asio::io_context other;
  test::listener target(other);
  test::slow_lookup lookup;
  bool called = false;
  {
    asio::io_context io;
    auto socket = dgram::create_socket(io, lookup.options());
    if (waits_for != "a bind") socket.bind_sync(0, "127.0.0.1");
    test::run_ready(io);
    if (waits_for == "a connect") socket.connect(target.port, "peer.test");
    if (waits_for == "a connect")
      socket.send("ping", [&](dgram::error_code) { called = true; });
    else
      socket.send("ping", target.port, waits_for == "a name" ? "peer.test" : "127.0.0.1",
                  [&](dgram::error_code) { called = true; });
    // The socket is owned by what waits in the context, so it ends with it.
    asio::post(io, [kept = std::move(socket)] {});
  }
  CHECK_FALSE(called);
  target.socket.send("last", target.port);
  test::run_until(other, [&] { return !target.messages.empty(); });
  CHECK(target.messages.front() == "last");
}

}  // namespace ending_test
