// SPDX-License-Identifier: BSL-1.0
// Sends of an emitter that the kernel refuses, for a while or for good.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram/create_socket.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace emitter_send_test {

using test::fail;
using test::script;
using trace = std::vector<std::string>;

namespace {

/// Runs what is due now, and what follows from that.
void run_ready(asio::io_context& io)
{
  io.restart();
  while (io.poll() > 0) {}
}

template <class Condition>
void run_until(asio::io_context& io, Condition condition)
{
  const auto deadline = std::chrono::steady_clock::now() + test::seconds(10);
  io.restart();
  while (!condition())
    if (io.run_one_until(deadline) == 0) FAIL("nothing happened any more, or not in time");
}

/// A socket that sends to another of Asio's own, and what its callbacks told.
struct sender : test::scripted {
  sender() : socket(dgram::create_socket(io, dgram::udp4))
  {
    socket.on<dgram::event::error>(
        [this](const dgram::failure& what) { told.push_back(what.text()); });
    socket.bind_sync(0, "127.0.0.1");
    run_ready(io);
  }

  auto callback()
  {
    return [this](dgram::error_code ec, std::size_t size) {
      told.push_back((ec ? "error " : "ok ") + std::to_string(size));
      if (on_told) on_told();
    };
  }

  template <class Message>
  bool send(const Message& message)
  {
    return socket.send(message, peer.endpoint().port());
  }

  void send_with_callback(const std::string& message)
  {
    socket.send(message, peer.endpoint().port(), callback());
  }

  asio::io_context io;
  test::plain_peer peer{io};
  dgram::emitter_socket socket;
  trace told;
  std::function<void()> on_told;
};

}  // namespace

TEST_CASE_METHOD(sender, "SND-30: a lack of room is not reported, and the send is tried again",
                 "[emitter]")
{
  const int error = GENERATE(EAGAIN, ENOBUFS, ENOMEM);
  script.send().push(fail(error), 3);
  SECTION("with a callback")
  {
    send_with_callback("patient");
  }
  SECTION("without one")
  {
    send(std::string("patient"));
  }
  run_until(io, [&] { return script.send().left() == 0 && socket.get_send_queue_count() == 0; });
  CHECK(peer.received(1) == trace{"patient"});
  run_ready(io);
  CHECK((told.empty() || told == trace{"ok 7"}));
  CHECK(socket.get_send_queue_count() == 0);
}

TEST_CASE_METHOD(sender, "A reply that waits for the kernel leaves from the address that was asked",
                 "[emitter][F1]")
{
  auto server = dgram::create_socket(io, dgram::udp4);
  std::vector<dgram::remote_info> senders;
  server.on<dgram::event::message>(
      [&](dgram::bytes_view, const dgram::remote_info& from) { senders.push_back(from); });
  const auto port = server.bind_sync(0).port;
  asio::ip::udp::socket client(io, test::loopback_v4());
  client.set_option(asio::socket_base::receive_buffer_size(1 << 20));
  client.connect({asio::ip::make_address("127.0.0.7"), port});
  client.send(asio::buffer("?", 1));
  run_until(io, [&] { return senders.size() == 1; });
  const auto& from = senders.front();
  const auto callback = [&](dgram::error_code ec, std::size_t size) {
    told.push_back((ec ? "error " : "ok ") + std::to_string(size));
  };
  asio::cancellation_signal signal;
  script.send().push(fail(EAGAIN), 3);
  server.send("a", from, callback);
  server.send("bb", from, asio::bind_cancellation_slot(signal.slot(), callback));
  run_until(io, [&] { return script.send().calls() == 1; });
  CHECK(server.get_send_queue_count() == 2);
  // In several pieces, and more than the batch has room for.
  server.send({"cc", "c"}, from, callback);
  for (int i = 0; i < 300; ++i)
    server.send("dddd", from, callback);
  SECTION("and all of them are sent")
  {
  }
  SECTION("and one of them is taken back")
  {
    signal.emit(asio::cancellation_type::total);
  }
  const std::size_t all = 303;
  std::size_t heard = 0;
  client.non_blocking(true);
  run_until(io, [&] {
    std::array<char, 8> bytes;
    dgram::error_code ec;
    while (client.receive(asio::buffer(bytes), 0, ec) > 0)
      ++heard;
    CHECK(ec == asio::error::would_block);
    return told.size() == all;
  });
  std::array<char, 8> bytes;
  dgram::error_code ec;
  while (client.receive(asio::buffer(bytes), 0, ec) > 0)
    ++heard;
  const auto failed = static_cast<std::size_t>(std::count(told.begin(), told.end(), "error 0"));
  CHECK(failed <= 1);
  CHECK(heard == all - failed);
}

TEST_CASE_METHOD(sender, "SND-30: another error is reported", "[emitter]")
{
  script.send().push(fail(EINVAL));
  const std::string where = "127.0.0.1:" + std::to_string(peer.endpoint().port());
  SECTION("to the callback")
  {
    send_with_callback("refused");
    run_ready(io);
    CHECK(told == trace{"error 0"});
  }
  SECTION("as an event")
  {
    send(std::string("refused"));
    run_ready(io);
    CHECK(told == trace{"send EINVAL " + where});
  }
}

TEST_CASE_METHOD(sender, "QUE-05: one that fails does not stop the rest, and the counters follow",
                 "[emitter]")
{
  script.send_step(0, EAGAIN);
  script.send_step(2, EAGAIN);
  script.send_step(0, EMSGSIZE);
  for (const std::size_t size : {10U, 20U, 30U, 40U})
    send_with_callback(std::string(size, 'x'));
  run_until(io, [&] { return script.send().calls() == 1; });
  CHECK(socket.get_send_queue_count() == 4);
  CHECK(socket.get_send_queue_size() == 100);
  CHECK(told.empty());
  bool second = false;
  on_told = [&] {
    if (told.size() != 2) return;
    second = true;
    CHECK(socket.get_send_queue_count() == 2);
    CHECK(socket.get_send_queue_size() == 70);
  };
  run_until(io, [&] { return told.size() == 4; });
  CHECK(second);
  CHECK(told == trace{"ok 10", "ok 20", "error 0", "ok 40"});
  CHECK(socket.get_send_queue_count() == 0);
  CHECK(socket.get_send_queue_size() == 0);
  CHECK(peer.received(3) ==
        trace{std::string(10, 'x'), std::string(20, 'x'), std::string(40, 'x')});
}

TEST_CASE_METHOD(sender,
                 "QUE-06: a list, which goes to the kernel at once, does not overtake the queue",
                 "[emitter]")
{
  const std::vector<std::string> list{"se", "cond"};
  SECTION("that waits for the end of the turn")
  {
    send(std::string("first"));
    send(list);
    CHECK(script.send().calls() > 0);  // both left within the call
  }
  SECTION("that the kernel refuses when the list is sent")
  {
    script.send().push(fail(EAGAIN));
    send(std::string("first"));
    send(list);
    CHECK(socket.get_send_queue_count() == 2);
  }
  SECTION("that the kernel holds back")
  {
    script.send().push(fail(EAGAIN));
    send(std::string("first"));
    run_until(io, [&] { return script.send().calls() == 1; });
    CHECK(socket.get_send_queue_count() == 1);
    send(list);
    CHECK(script.send().calls() == 1);  // it is not even tried
    CHECK(socket.get_send_queue_count() == 2);
  }
  send(std::string("the third"));
  run_until(io, [&] { return script.send().left() == 0 && socket.get_send_queue_count() == 0; });
  run_ready(io);
  CHECK(peer.received(3) == trace{"first", "second", "the third"});
}

TEST_CASE_METHOD(sender, "What one handler sends to an endpoint leaves in two calls for 512",
                 "[emitter]")
{
  const asio::ip::udp::endpoint to = peer.endpoint();
  const std::size_t before = script.send().calls();
  asio::post(io, [&] {
    for (int i = 0; i < 512; ++i)
      socket.send("small", to);
  });
  run_ready(io);
  // One when the first batch is full, and one at the end of the turn.
  if (test::batched_calls) CHECK(script.send().calls() - before == 2);
  std::size_t bytes = 0;
  for (const auto& message : script.taken)
    bytes += message.size;
  CHECK(bytes == 512 * 5);
}

}  // namespace emitter_send_test
