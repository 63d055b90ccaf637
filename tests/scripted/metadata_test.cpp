// SPDX-License-Identifier: BSL-1.0
// What the library does where the kernel refuses what a datagram asks for, and how often it wakes up for errors.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace metadata_test {

namespace {

using dgram::ecn_codepoint;
using dgram::send_options;
using test::fail;
using test::offered_message;
using test::script;
namespace option = dgram::option;

struct sockets : test::scripted {
  /// What arrived, by itself.
  std::size_t arrived() { return peer.received(script.taken.size()).size(); }

  asio::io_context io;
  test::plain_peer peer{io};
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::send_batch batch{8};
};

int no_traffic_class(const offered_message& message, std::size_t)
{
  return message.traffic_class >= 0 ? EINVAL : 0;
}

}  // namespace

TEST_CASE_METHOD(sockets, "ECN-07 a kernel that takes no traffic class per datagram gets none")
{
  script.verdict = no_traffic_class;
  const send_options options{.ecn = ecn_codepoint::ect_0, .dscp = 3};
  CHECK(socket.send_to(asio::buffer("a", 1), peer.endpoint(), options) == 1);
  REQUIRE(script.offered.size() == 2);
  CHECK(script.offered[0].traffic_class == (3 << 2 | 2));
  CHECK(script.offered[1].traffic_class == -1);
  // It is remembered.
  CHECK(socket.send_to(asio::buffer("b", 1), peer.endpoint(), options) == 1);
  CHECK(script.offered.size() == 3);
  batch.push("c", peer.endpoint(), options);
  CHECK(socket.send_batch(batch).sent == 1);
  CHECK(script.offered.size() == 4);
  CHECK(arrived() == 3);
}

TEST_CASE_METHOD(sockets, "ECN-07 the same in a batch, whose other datagrams are not touched")
{
  script.verdict = no_traffic_class;
  batch.push("a", peer.endpoint());
  batch.push("bb", peer.endpoint(), {.dscp = 1});
  batch.push("ccc", peer.endpoint(), {.dscp = 2});
  batch.push("dddd", peer.endpoint());
  const auto result = socket.send_batch(batch);
  CHECK(result.sent == 4);
  CHECK_FALSE(result.error);
  CHECK(arrived() == 4);
}

TEST_CASE_METHOD(sockets, "ECN-07 another reason for the same error is not taken for that one")
{
  script.verdict = [](const offered_message& message, std::size_t) {
    return message.size == 1 ? EINVAL : 0;
  };
  const send_options options{.ecn = ecn_codepoint::ect_0, .dscp = 3};
  dgram::error_code ec;
  socket.send_to(asio::buffer("a", 1), peer.endpoint(), options, ec);
  CHECK(ec == asio::error::invalid_argument);
  batch.push("a", peer.endpoint(), options);
  CHECK(socket.send_batch(batch).error == asio::error::invalid_argument);
  batch.clear();
  batch.push("bb", peer.endpoint(), options);
  CHECK(socket.send_batch(batch).sent == 1);
  CHECK(script.taken.back().traffic_class == (3 << 2 | 2));
}

TEST_CASE_METHOD(sockets, "a run that is cut apart by us keeps what it asks for")
{
  script.verdict = [](const offered_message& message, std::size_t) {
    return message.is_run() ? EIO : 0;
  };
  for (const char* text : {"one", "two", "six"})
    batch.push(text, peer.endpoint(), {.ecn = ecn_codepoint::ce, .dscp = 0});
  CHECK(socket.send_batch(batch).sent == 3);
  REQUIRE(script.taken.size() == 3);
  for (const auto& message : script.taken)
    CHECK(message.traffic_class == 3);
}

TEST_CASE_METHOD(sockets, "datagrams that ask for different things leave as different messages")
{
  const auto to = peer.endpoint();
  for (const int dscp : {1, 1, 2, 2, 2})
    batch.push("same", to, {.ecn = ecn_codepoint::ect_0, .dscp = static_cast<std::uint8_t>(dscp)});
  batch.push("same", to);
  CHECK(socket.send_batch(batch).sent == 6);
  const bool segments = dgram::platform::backend::max_segments > 1;
  CHECK(script.taken.size() == (segments ? 3 : 6));
  CHECK(script.taken.front().traffic_class == (1 << 2 | 2));
  CHECK(script.taken.back().traffic_class == -1);
}

TEST_CASE_METHOD(sockets, "what the socket cannot be told or asked keeps the datagram back")
{
  dgram::error_code ec;
  script.getsockopt.push(fail(EPERM));
  socket.send_to(asio::buffer("a", 1), peer.endpoint(),
                 send_options{.hop_limit = 1, .timestamp = false}, ec);
  CHECK_FALSE(ec);  // this asks for nothing that the socket must know
  batch.push("bb", peer.endpoint(), {.dscp = 1});
  CHECK(socket.send_batch(batch).error);
  CHECK(batch.size() == 1);
  if (!dgram::platform::has_error_queue) return;
  const send_options later{.transmit_time = std::chrono::steady_clock::now()};
  script.setsockopt.push(fail(EPERM));
  socket.send_to(asio::buffer("a", 1), peer.endpoint(), later, ec);
  CHECK(ec == asio::error::no_permission);
  script.setsockopt.push(fail(EPERM));
  socket.send_to(asio::buffer("a", 1), peer.endpoint(), send_options{.timestamp = true}, ec);
  CHECK(ec == asio::error::no_permission);
  script.setsockopt.push(fail(EPERM));
  dgram::send_result told;
  socket.async_send_segments(asio::buffer("aabb", 4), 2, peer.endpoint(), later,
                             [&](dgram::error_code failure, dgram::send_result result) {
                               ec = failure;
                               told = result;
                             });
  test::run(io);
  CHECK(ec == asio::error::no_permission);
  CHECK(told.sent == 0);
  CHECK(script.taken.size() == 1);
  // It is tried anew, and once.
  socket.send_to(asio::buffer("a", 1), peer.endpoint(), later);
  const auto calls = script.setsockopt.calls();
  socket.send_to(asio::buffer("a", 1), peer.endpoint(), later);
  CHECK(script.setsockopt.calls() == calls);
}

TEST_CASE_METHOD(sockets,
                 "what the socket cannot be told keeps back no datagram that does not need it")
{
  if (!dgram::platform::has_error_queue) SKIP("this system has no such options");
  batch.on_refused([](dgram::error_code ec, const auto&, std::size_t) {
    CHECK(ec == asio::error::no_permission);
  });
  batch.push("a", peer.endpoint());
  batch.push("bb", peer.endpoint(), {.transmit_time = std::chrono::steady_clock::now()});
  batch.push("ccc", peer.endpoint(), {.dscp = 1});
  script.setsockopt.push(fail(EPERM));
  const auto result = socket.send_batch(batch);
  CHECK(result.sent == 2);
  CHECK(result.refused == 1);
  CHECK_FALSE(result.error);
  CHECK(arrived() == 2);
}

TEST_CASE_METHOD(sockets,
                 "an error of what datagrams ask for is not remembered as one of segmentation")
{
  if (dgram::platform::backend::max_segments == 1) SKIP("this backend sends no runs");
  script.verdict = [](const offered_message& message, std::size_t) {
    return message.traffic_class >= 0 ? EINVAL : 0;
  };
  batch.on_refused([](auto&&...) {});
  for (int i = 0; i < 3; ++i)
    batch.push("same", peer.endpoint(), {.ecn = ecn_codepoint::ce, .dscp = 0});
  socket.send_batch(batch);
  for (int i = 0; i < 3; ++i)
    batch.push("same", peer.endpoint());
  CHECK(socket.send_batch(batch).sent == 3);
  CHECK(script.offered.back().is_run());
}

TEST_CASE_METHOD(
    sockets, "sends of which the kernel takes a part are counted, and so is how many leave at once")
{
  if (!test::batched_calls) SKIP("this backend sends one at a time");
  for (const char* text : {"a", "bb", "ccc", "dddd"})
    batch.push(text, peer.endpoint());
  script.sendmmsg.push(test::take(1));
  CHECK(socket.send_batch(batch).sent == 4);
  const auto statistics = socket.statistics();
  CHECK(statistics.short_sends == 1);
  CHECK(statistics.send_calls == 2);
  CHECK(statistics.mean_sent() == 2.0);
  CHECK(arrived() == 4);
}

TEST_CASE_METHOD(sockets, "nothing is asked of the kernel for sockets that want nothing")
{
  dgram::receive_batch in(4);
  peer.send("a", socket.local_endpoint());
  const auto before = script.getsockopt.calls() + script.setsockopt.calls();
  socket.receive_batch(in);
  socket.send_to(asio::buffer("a", 1), in[0].reply_path());
  batch.push("b", peer.endpoint());
  socket.send_batch(batch);
  dgram::error_code ec;
  socket.try_receive_batch(in, ec);
  CHECK(script.getsockopt.calls() + script.setsockopt.calls() == before);
  CHECK(script.receive().calls() == (test::batched_calls ? 2 : 3));
}

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)

TEST_CASE_METHOD(sockets, "an error that is none of the queue's is the operation's own")
{
  socket.set_option(option::receive_error(true));
  dgram::receive_batch in(4);
  dgram::error_code ec;
  script.recvmmsg.push(fail(ENOMEM));
  socket.try_receive_batch(in, ec);
  CHECK(ec == asio::error::no_memory);
  // The kernel tells an earlier datagram's error once. This one comes again.
  script.sendmmsg.push(fail(EHOSTUNREACH), 2);
  batch.push("a", peer.endpoint());
  CHECK(socket.send_batch(batch).error == asio::error::host_unreachable);
  dgram::error_code of_single;
  script.sendmmsg.push(fail(EHOSTUNREACH), 2);
  socket.try_send_to(asio::buffer("a", 1), peer.endpoint(), of_single);
  CHECK(of_single == asio::error::host_unreachable);
  CHECK(socket.statistics().lost_reports == 0);
}

TEST_CASE_METHOD(sockets, "an error without a report is an earlier datagram's, and counted as lost")
{
  const int of_path = GENERATE(ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, EPROTO);
  socket.set_option(option::receive_error(true));
  dgram::error_code ec;
  script.sendmmsg.push(fail(of_path));
  CHECK(socket.try_send_to(asio::buffer("a", 1), peer.endpoint(), ec) == 1);
  script.sendmmsg.push(fail(of_path));
  batch.push("b", peer.endpoint());
  batch.push("cc", peer.endpoint());
  batch.push("d", peer.endpoint());
  CHECK(socket.send_batch(batch).sent == 3);
  CHECK(arrived() == 4);
  dgram::receive_batch in(4);
  script.recvmmsg.push(fail(of_path));
  socket.try_receive_batch(in, ec);
  CHECK(ec == asio::error::would_block);
  CHECK(socket.statistics().lost_reports == 3);
}

TEST_CASE_METHOD(sockets, "an error behind the first datagrams of a large batch ends no receive")
{
  socket.set_option(option::receive_error(true));
  socket.set_receive_buffer_size(4 << 20);
  // The kernel takes at most 1,024 messages at once, so that there is a second call.
  dgram::receive_batch in(1030, 64);
  for (int i = 0; i < 1030; ++i)
    peer.send("a", socket.local_endpoint());
  script.recvmmsg.push(test::pass());
  script.recvmmsg.push(fail(ECONNREFUSED));
  dgram::error_code ec;
  std::size_t count = socket.try_receive_batch(in, ec);
  CHECK_FALSE(ec);
  CHECK(count >= 1024);
  while (count < 1030) {
    count += socket.try_receive_batch(in, ec);
    REQUIRE_FALSE(ec);
  }
  CHECK(socket.statistics().lost_reports == 1);
}

TEST_CASE_METHOD(sockets,
                 "an earlier datagram's error costs a batch of a connected socket none of its own")
{
  const int of_path = GENERATE(EHOSTUNREACH, EMSGSIZE, EACCES);
  const bool equal = GENERATE(false, true);
  socket.connect(peer.endpoint());
  std::size_t refused = 0;
  batch.on_refused([&](auto&&...) { ++refused; });
  for (const char* text : {"aa", equal ? "bb" : "b", "cc"})
    batch.push(text);
  script.sendmmsg.push(fail(of_path));
  const auto result = socket.send_batch(batch);
  CHECK(result.sent == 3);
  CHECK(refused == 0);
  CHECK(arrived() == 3);
  // The program has not asked for reports, so the next receive gets the error, once.
  CHECK(socket.statistics().path_errors == 1);
  dgram::receive_batch in(4);
  dgram::error_code ec;
  socket.try_receive_batch(in, ec);
  CHECK(ec == dgram::error_code(of_path, asio::error::get_system_category()));
  socket.try_receive_batch(in, ec);
  CHECK(ec == asio::error::would_block);
}

TEST_CASE_METHOD(sockets, "errors of the path that go on coming are no error of another datagram")
{
  socket.set_option(option::receive_error(true));
  const auto dead = test::dead_endpoint();
  int more = 3;
  script.verdict = [&](const offered_message&, std::size_t) {
    if (more-- > 0)
      CHECK(::sendto(socket.native_handle(), "x", 1, MSG_DONTWAIT, dead.data(),
                     static_cast<::socklen_t>(dead.size())) == 1);
    return 0;
  };
  dgram::error_code ec;
  CHECK(socket.try_send_to(asio::buffer("a", 1), peer.endpoint(), ec) == 1);
  CHECK_FALSE(ec);
  CHECK(socket.statistics().path_errors == 3);
}

TEST_CASE_METHOD(sockets, "a run that is refused for its own sake is nobody else's error")
{
  socket.connect(peer.endpoint());
  for (const char* text : {"aa", "bb", "cc"})
    batch.push(text);
  script.sendmmsg.push(fail(EMSGSIZE), 2);
  CHECK(socket.send_batch(batch).sent == 3);
  CHECK(arrived() == 3);
  CHECK(socket.statistics().path_errors == 0);
  dgram::receive_batch in(4);
  dgram::error_code ec;
  socket.try_receive_batch(in, ec);
  CHECK(ec == asio::error::would_block);
}

TEST_CASE_METHOD(
    sockets,
    "an error that a batch met for another is told to a receive of any kind, without a wait")
{
  socket.connect(peer.endpoint());
  // A short batch: the queue is known to be empty.
  peer.send("a", socket.local_endpoint());
  dgram::receive_batch in(4);
  REQUIRE(socket.receive_batch(in) == 1);
  script.sendmmsg.push(fail(EHOSTUNREACH));
  batch.push("b");
  REQUIRE(socket.send_batch(batch).sent == 1);
  std::optional<dgram::error_code> told;
  std::array<char, 4> storage{};
  test::endpoint from;
  dgram::reader reader{socket, {.coalesce = false}};
  const auto note = [&](dgram::error_code ec, std::size_t) { told = ec; };
  switch (GENERATE(0, 1, 2, 3)) {
  case 0: socket.async_receive_batch(in, note); break;
  case 1: socket.async_receive(asio::buffer(storage), note); break;
  case 2: socket.async_receive_from(asio::buffer(storage), from, note); break;
  default:
    reader.async_for_each([](const dgram::datagram&) {}, [&](dgram::error_code ec) { told = ec; });
  }
  test::run(io);
  CHECK(told == asio::error::host_unreachable);
}

TEST_CASE_METHOD(sockets, "a blocking receive does not spin on times of sends that nobody fetches")
{
  dgram::udp::socket other(io, test::loopback_v4());
  socket.send_to(asio::buffer("a", 1), peer.endpoint(), send_options{.timestamp = true});
  std::thread sender([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    other.send_to(asio::buffer("b", 1), socket.local_endpoint());
  });
  std::array<char, 8> storage{};
  test::endpoint from;
  const auto before = script.receive().calls();
  CHECK(socket.receive_from(asio::buffer(storage), from) == 1);
  sender.join();
  // One that finds nothing, one that was woken for the time, and one that receives.
  CHECK(script.receive().calls() - before <= 3);
  CHECK(script.receive().calls() > before);
  CHECK(socket.try_send_timestamp());
}

TEST_CASE_METHOD(sockets, "a blocking receive returns behind a shutdown, without many calls")
{
  const bool batched = GENERATE(false, true);
  dgram::udp::socket other(io, test::loopback_v4());
  socket.connect(other.local_endpoint());
  socket.shutdown(asio::socket_base::shutdown_receive);
  // Linux receives all the same.
  other.send_to(asio::buffer("b", 1), socket.local_endpoint());
  const auto before = script.receive().calls();
  dgram::error_code ec;
  std::array<char, 8> storage{};
  dgram::datagram_info info;
  dgram::receive_batch in(1);
  const auto receive = [&] {
    return batched ? socket.receive_batch(in, ec)
                   : socket.receive_from(asio::buffer(storage), info, ec);
  };
  CHECK(receive() == 1);
  CHECK_FALSE(ec);
  CHECK(receive() == 0);
  CHECK(ec == (batched ? dgram::error_code(asio::error::eof) : dgram::error_code()));
  CHECK(script.receive().calls() - before < 10);
}

TEST_CASE_METHOD(sockets, "an error of the path is met with one more try")
{
  socket.set_option(option::receive_error(true));
  const auto dead = test::dead_endpoint();
  socket.send_to(asio::buffer("a", 1), dead);
  batch.push("b", peer.endpoint());
  const auto before = script.sendmmsg.calls();
  CHECK(socket.send_batch(batch).sent == 1);
  CHECK(script.sendmmsg.calls() - before == 2);
  CHECK(socket.try_receive_error());
  CHECK_FALSE(socket.try_receive_error());
}

TEST_CASE_METHOD(sockets, "errors wake a receive once each, and a quiet socket stays quiet")
{
  const bool listens = GENERATE(false, true);
  socket.set_option(option::receive_error(true));
  const auto dead = test::dead_endpoint();
  dgram::receive_batch in(4);
  bool received = false;
  socket.async_receive_batch(in, [&](dgram::error_code ec, std::size_t) { received = !ec; });
  std::size_t heard = 0;
  std::function<void()> listen = [&] {
    socket.async_receive_error([&](dgram::error_code ec, const dgram::path_error&) {
      if (ec) return;
      ++heard;
      listen();
    });
  };
  if (listens) listen();
  constexpr std::size_t errors = 8;
  for (std::size_t i = 1; i <= errors; ++i) {
    socket.send_to(asio::buffer("a", 1), dead);
    while (socket.statistics().path_errors < i)
      REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  }
  io.run_for(test::milliseconds(20));  // lets all settle that was woken
  CHECK_FALSE(received);
  if (listens) CHECK(heard == errors);
  // A wake-up is a try to receive, a look at the queue and, of the queue, one more that finds it empty.
  CHECK(script.recvmmsg.calls() <= 3 * errors + 4);
  CHECK(script.recvmsg.calls() <= 6 * errors + 8);
  const auto before = script.recvmmsg.calls() + script.recvmsg.calls();
  io.run_for(test::milliseconds(100));
  CHECK(script.recvmmsg.calls() + script.recvmsg.calls() == before);
  // And it is no slower for that: the receive still waits for the descriptor.
  peer.send("b", socket.local_endpoint());
  while (!received)
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  socket.close();
  test::run(io);
}

#endif

}  // namespace metadata_test
