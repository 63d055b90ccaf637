// SPDX-License-Identifier: BSL-1.0
// A listener whose receives fail: which errors it survives, and which end it.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <asio/co_spawn.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cerrno>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace listener_test {

namespace {

using test::fail;
using test::script;
using strings = std::vector<std::string>;

struct serving : test::scripted {
  serving()
  {
    listener.on_end(
        [&](dgram::session_id, const auto&, dgram::session_end why) { ends.push_back(why); });
    listener.async_serve(
        [&](dgram::udp::session session) -> asio::awaitable<void> {
          while (auto datagram = co_await session.next())
            heard.emplace_back(datagram->payload().text());
        },
        [&](dgram::error_code ec) { served = ec; });
  }

  void send() { peer.send_numbers(1, socket.local_endpoint()); }

  /// Runs until so many datagrams were heard, or the listener has ended.
  void run_until_heard(std::size_t count)
  {
    io.restart();
    while (heard.size() < count && !served && io.run_one_for(test::seconds(10)) > 0) {}
  }

  asio::io_context io;
  test::plain_peer peer{io};
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::listener<dgram::udp, asio::any_io_executor> listener{socket};
  strings heard;
  std::vector<dgram::session_end> ends;
  std::optional<dgram::error_code> served;
};

}  // namespace

TEST_CASE_METHOD(serving, "an error that a peer can cause ends no session of a listener",
                 "[listener]")
{
  const int error = GENERATE(ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EMSGSIZE, ENOMEM, ENOBUFS);
  const unsigned times = GENERATE(1U, 3U);
  send();
  run_until_heard(1);
  REQUIRE(heard.size() == 1);

  script.receive().push(fail(error), times);
  send();
  run_until_heard(2);
  CHECK(heard.size() == 2);
  CHECK(listener.size() == 1);
  CHECK(ends.empty());
  CHECK(listener.statistics().receive_errors == times);
  CHECK_FALSE(served);
}

TEST_CASE_METHOD(serving, "an error of the socket itself ends a listener and says which",
                 "[listener]")
{
  send();
  run_until_heard(1);
  script.receive().push(fail(ENOTCONN));
  send();
  io.restart();
  while (!served && io.run_one_for(test::seconds(10)) > 0) {}
  io.poll();
  REQUIRE(served);
  CHECK(*served == asio::error::not_connected);
  CHECK(ends == std::vector{dgram::session_end::socket_error});
  CHECK(listener.size() == 0);
}

namespace {

enum class act { close_session, destroy_handle, close_listener, destroy_all };

/// Sessions with handles of their own, whose sends are refused by the kernel.
struct refusing : test::scripted {
  refusing()
  {
    listener.emplace(socket, dgram::listener_config{.amplification = 0, .queue = {.datagrams = 2}});
    peer.send_numbers(1, socket.local_endpoint());
    listener->async_accept([&](dgram::error_code, auto accepted) {
      own = std::make_unique<session_type>(std::move(*accepted));
    });
    while (!own && io.run_one_for(test::seconds(10)) > 0) {}
    listener->on_error([&](dgram::error_code, const auto&, std::size_t) {
      ++errors;
      if (what == act::close_session && own) own->close();
      if (what == act::destroy_handle || what == act::destroy_all) own.reset();
      if (what == act::close_listener) listener->close();
      if (what == act::destroy_all) listener.reset();
    });
  }

  using listener_type = dgram::listener<dgram::udp, asio::any_io_executor>;
  using session_type = listener_type::session_type;

  asio::io_context io;
  test::plain_peer peer{io};
  dgram::udp::socket socket{io, test::loopback_v4()};
  std::optional<listener_type> listener;
  std::unique_ptr<session_type> own;
  act what = act::close_session;
  int errors = 0;
};

}  // namespace

TEST_CASE_METHOD(refusing,
                 "the handler for errors may end the session and the listener in each form of send",
                 "[listener][F5]")
{
  what = GENERATE(act::close_session, act::destroy_handle, act::close_listener, act::destroy_all);
  const int form = GENERATE(0, 1, 2, 3, 4, 5);
  const bool is_stopped = GENERATE(false, true);
  CAPTURE(static_cast<int>(what), form, is_stopped);
  // Nothing leaves until the queue is full. Then the kernel refuses what is in it.
  script.send(true).always(fail(EPERM));
  script.send(false).always(fail(EPERM));
  REQUIRE(own);
  const bool by_reference = form == 2 || form == 5;
  if (is_stopped && by_reference) return;  // the reference finds nothing
  if (is_stopped) listener->stop();
  dgram::error_code ec;
  const std::string text = "three";
  const auto fill = [&] {
    REQUIRE(own->try_send("one"));
    REQUIRE(own->try_send("two"));
  };
  const auto send_by = [&](auto& to) {
    asio::co_spawn(
        io,
        [](const auto& fills, auto& by, const std::string& data) -> asio::awaitable<void> {
          fills();
          co_await by.send(data);
        }(fill, to, text),
        [](const std::exception_ptr&) {});
    io.restart();
    io.poll();
  };
  auto reference = by_reference ? listener->find(own->id()) : listener_type::session_ref_type();
  if (form < 4) fill();
  if (form == 0) own->try_send(text, ec);
  if (form == 1) own->try_send(text, dgram::send_options{.hop_limit = 3}, ec);
  if (form == 2) reference.try_send(text, ec);
  if (form == 3) own->async_send(asio::buffer(text), [](dgram::error_code, std::size_t) {});
  if (form == 4) send_by(*own);
  if (form == 5) send_by(reference);
  CHECK(errors > 0);
  io.restart();
  io.poll();
}

TEST_CASE("the handler for errors may close, destroy or throw when a turn of the listener ends",
          "[listener][F6]")
{
  const int how = GENERATE(0, 1, 2, 3, 4, 5);
  CAPTURE(how);
  script.send(true).always(fail(EPERM));
  script.send(false).always(fail(EPERM));
  asio::io_context io;
  test::plain_peer peer{io};
  std::optional<dgram::udp::socket> socket(std::in_place, io, test::loopback_v4());
  const auto at = socket->local_endpoint();
  std::optional<dgram::listener<dgram::udp, asio::any_io_executor>> listener(*socket);
  int heard = 0;
  int errors = 0;
  std::optional<dgram::error_code> done;
  listener->on_error([&](dgram::error_code, const auto&, std::size_t) {
    ++errors;
    if (how == 0) listener->close();
    if (how == 1) listener.reset();
    if (how == 2) listener->stop();
    if (how == 3) socket->close();
    if (how == 4) socket.reset();
    if (how == 5 && errors == 1) throw std::runtime_error("broken");
  });
  listener->async_for_each(
      [&](const auto& from, const dgram::datagram& datagram) {
        ++heard;
        // Two, because the first answer of a turn leaves by itself.
        from.try_send(datagram.payload());
        if (listener) from.try_send(datagram.payload());
      },
      [&](dgram::error_code ec) { done = ec; });
  peer.send_numbers(1, at);
  const auto run = [&](auto until) {
    io.restart();
    while (!until() && io.run_one_for(test::seconds(10)) > 0) {}
  };
  if (how == 5) {
    CHECK_THROWS_AS(run([&] { return errors > 5; }), std::runtime_error);
    peer.send_numbers(1, at);
    run([&] { return heard == 2; });
    CHECK(heard == 2);
    listener->close();
  }
  // Nothing keeps the context running.
  io.restart();
  io.run_for(test::seconds(10));
  CHECK(io.stopped());
  CHECK(done);
  CHECK(errors > 0);
}

}  // namespace listener_test
