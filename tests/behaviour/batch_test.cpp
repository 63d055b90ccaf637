// SPDX-License-Identifier: BSL-1.0
// Batches: many datagrams in one call, partly taken, refused as a whole, empty, and to no socket.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace batch_test {

namespace {

using test::udp_socket;

/// What an asynchronous batch send completed with.
struct outcome {
  std::optional<dgram::error_code> error;
  dgram::send_result result;
};

outcome async_send_batch(asio::io_context& io, udp_socket& socket, dgram::send_batch& batch)
{
  outcome completed;
  socket.async_send_batch(batch, [&](dgram::error_code ec, dgram::send_result result) {
    REQUIRE_FALSE(completed.error);
    completed = {ec, result};
  });
  CHECK_FALSE(completed.error);
  test::run(io);
  REQUIRE(completed.error);
  return completed;
}

}  // namespace

TEST_CASE_METHOD(test::udp_pair, "BAT-01: a batch of two arrives as two datagrams", "[batch]")
{
  dgram::send_batch batch(2);
  batch.push("first", receiver.local_endpoint());
  batch.push("second", receiver.local_endpoint());
  const auto result = sender.try_send_batch(batch);
  CHECK(result.sent == 2);
  CHECK_FALSE(result.error);
  CHECK(batch.empty());
  CHECK(test::receive(io, receiver).text == "first");
  CHECK(test::receive(io, receiver).text == "second");
  CHECK(test::nothing_queued(receiver));
}

TEST_CASE("BAT-02: an empty batch is sent at once", "[batch]")
{
  // Not an error: all of it left. A loop that fills batches needs no case for an idle round.
  asio::io_context io;
  udp_socket sender(io, dgram::udp::v4());
  dgram::send_batch batch(2);
  for (const auto& result : {sender.try_send_batch(batch), sender.send_batch(batch)}) {
    CHECK(result.sent == 0);
    CHECK_FALSE(result.error);
  }
  const auto completed = async_send_batch(io, sender, batch);
  CHECK_FALSE(*completed.error);
  CHECK(completed.result.sent == 0);
  CHECK_FALSE(completed.result.error);
}

TEST_CASE_METHOD(test::udp_pair,
                 "BAT-02: one destination on a connected socket keeps the whole batch back",
                 "[batch]")
{
  sender.connect(receiver.local_endpoint());
  dgram::send_batch batch(3);
  batch.push("1");
  batch.push("2");
  batch.push("3", receiver.local_endpoint());
  const auto result = sender.try_send_batch(batch);
  CHECK(result.sent == 0);
  CHECK(result.error == asio::error::already_connected);
  const auto completed = async_send_batch(io, sender, batch);
  CHECK(*completed.error == asio::error::already_connected);
  CHECK(completed.result.sent == 0);
  CHECK(batch.size() == 3);
  CHECK(test::nothing_queued(receiver));

  batch.drop_front();
  batch.drop_front();
  sender.disconnect();
  CHECK(sender.try_send_batch(batch).sent == 1);
  CHECK(test::receive(io, receiver).text == "3");
}

TEST_CASE_METHOD(test::udp_pair, "BAT-02: one missing destination keeps the whole batch back",
                 "[batch]")
{
  dgram::send_batch batch(3);
  batch.push("1", receiver.local_endpoint());
  batch.push("2", receiver.local_endpoint());
  batch.push("3");
  const auto result = sender.try_send_batch(batch);
  CHECK(result.sent == 0);
  CHECK(result.error == test::system_error_code(EDESTADDRREQ));
  const auto completed = async_send_batch(io, sender, batch);
  CHECK(*completed.error == test::system_error_code(EDESTADDRREQ));
  CHECK(batch.size() == 3);
  CHECK(test::nothing_queued(receiver));
}

TEST_CASE("BAT-04: a batch may be larger than what one system call takes", "[batch]")
{
  constexpr std::size_t count = 2500;
  asio::io_context io;
  // The receiver does not read, and its queue overflows: the test looks at the sender.
  const udp_socket receiver(io, test::loopback_v4());
  udp_socket sender(io, dgram::udp::v4());
  dgram::send_batch batch(count);
  for (std::size_t i = 0; i < count; ++i)
    batch.push("x", receiver.local_endpoint());
  const auto result = sender.send_batch(batch);
  CHECK(result.sent == count);
  CHECK_FALSE(result.error);
  CHECK(batch.empty());
}

TEST_CASE("BAT-05: twenty-nine datagrams of different sizes go out and come back", "[batch]")
{
  constexpr std::size_t count = 29;
  asio::io_context io;
  udp_socket server(io, test::loopback_v4());
  udp_socket client(io, test::loopback_v4());
  std::vector<std::string> payloads;
  for (std::size_t i = 0; i < count; ++i)
    payloads.emplace_back(1 + i * 1019 / (count - 1), static_cast<char>('A' + i));
  REQUIRE(payloads.front().size() == 1);
  REQUIRE(payloads.back().size() == 1020);

  // One peer for all of them: that of the connection.
  client.connect(server.local_endpoint());
  dgram::send_batch requests(count);
  for (const auto& payload : payloads)
    requests.push(payload);
  const auto sent = async_send_batch(io, client, requests);
  CHECK_FALSE(*sent.error);
  CHECK(sent.result.sent == count);

  dgram::receive_batch in(count + 1, 2048);
  REQUIRE(server.try_receive_batch(in) == count);
  dgram::send_batch replies(count);
  for (std::size_t i = 0; i < count; ++i) {
    CHECK(in[i].payload().text() == payloads[i]);
    CHECK(in[i].sender() == client.local_endpoint());
    replies.push(in[i].payload(), in[i].sender());
  }
  const auto answered = async_send_batch(io, server, replies);
  CHECK_FALSE(*answered.error);
  CHECK(answered.result.sent == count);
  dgram::receive_batch back(count + 1, 2048);
  REQUIRE(client.try_receive_batch(back) == count);
  for (std::size_t i = 0; i < count; ++i)
    CHECK(back[i].payload().text() == payloads[i]);
}

TEST_CASE("BAT-06: forty queued datagrams come separately, each with its sender", "[batch]")
{
  constexpr std::size_t count = 40;
  asio::io_context io;
  udp_socket receiver(io, test::loopback_v4());
  std::array<udp_socket, 2> senders{udp_socket(io, test::loopback_v4()),
                                    udp_socket(io, test::loopback_v4())};
  for (std::size_t i = 0; i < count; ++i)
    senders[i % 2].send_to(asio::buffer(std::to_string(1000 + i)), receiver.local_endpoint());
  dgram::receive_batch batch(16, 64);
  std::size_t datagrams = 0;
  std::size_t bytes = 0;
  while (datagrams < count) {
    const auto got = receiver.try_receive_batch(batch);
    REQUIRE(got);
    REQUIRE(*got <= 16);
    for (const dgram::datagram& datagram : batch) {
      CHECK(datagram.payload().text() == std::to_string(1000 + datagrams));
      CHECK(datagram.sender() == senders[datagrams % 2].local_endpoint());
      CHECK_FALSE(datagram.truncated());
      bytes += datagram.payload().size();
      ++datagrams;
    }
  }
  CHECK(datagrams == count);
  CHECK(bytes == 160);
  CHECK_FALSE(receiver.try_receive_batch(batch));
  CHECK(batch.empty());
}

TEST_CASE("BAT-07: a slot that is too small cuts its datagram and says so", "[batch]")
{
  // The caller knows the protocol and chooses small slots; no loss goes unreported.
  asio::io_context io;
  udp_socket receiver(io, test::loopback_v4());
  udp_socket sender(io, dgram::udp::v4());
  sender.send_to(test::text_buffer("0123456789"), receiver.local_endpoint());
  sender.send_to(test::text_buffer("01234567"), receiver.local_endpoint());
  dgram::receive_batch batch(4, 8);
  REQUIRE(receiver.try_receive_batch(batch) == 2);
  CHECK(batch[0].truncated());
  CHECK(batch[0].payload().text() == "01234567");
  if (batch[0].wire_size()) CHECK(*batch[0].wire_size() == 10);
#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)
  CHECK(batch[0].wire_size().has_value());
#endif
  CHECK_FALSE(batch[1].truncated());
  CHECK(batch[1].payload().text() == "01234567");
  CHECK(batch[1].wire_size() == 8);
}

TEST_CASE_METHOD(test::udp_pair, "BAT-08: one datagram completes one batch receive once", "[batch]")
{
  dgram::receive_batch batch(8, 64);
  int completions = 0;
  const auto handler = [&](dgram::error_code ec, std::size_t count) {
    CHECK_FALSE(ec);
    CHECK(count == 1);
    CHECK(batch.size() == 1);
    ++completions;
  };
  const bool queued_before = GENERATE(false, true);
  CAPTURE(queued_before);
  if (queued_before) sender.send_to(test::text_buffer("x"), receiver.local_endpoint());
  receiver.async_receive_batch(batch, handler);
  if (!queued_before) {
    test::run_ready(io);
    CHECK(completions == 0);
    sender.send_to(test::text_buffer("x"), receiver.local_endpoint());
  }
  test::run(io);
  CHECK(completions == 1);
  // Nothing is left that could complete again.
  io.restart();
  CHECK(io.run() == 0);
  CHECK(test::nothing_queued(receiver));
}

TEST_CASE("BAT-09: a batch to nobody is sent to its end, and each datagram counted once", "[batch]")
{
  // The kernel may take one datagram per call here, and tell of the refusal or swallow it.
  constexpr std::size_t count = 6;
  asio::io_context io;
  udp_socket socket = test::connected_to_nobody(io);
  dgram::send_batch batch(count);
  for (std::size_t i = 0; i < count; ++i)
    batch.push("x");
  std::size_t sent = 0;
  SECTION("without blocking")
  {
    for (std::size_t calls = 0; !batch.empty(); ++calls) {
      REQUIRE(calls < 3 * count);
      const auto result = socket.try_send_batch(batch);
      sent += result.sent;
      CHECK(sent + batch.size() == count);
      if (result.error)
        CHECK(result.error == asio::error::connection_refused);
      else
        CHECK(batch.empty());
    }
  }
  SECTION("asynchronously")
  {
    for (std::size_t calls = 0; !batch.empty(); ++calls) {
      REQUIRE(calls < 3 * count);
      const auto completed = async_send_batch(io, socket, batch);
      sent += completed.result.sent;
      CHECK(sent + batch.size() == count);
      // An operation that sent some of it has not failed.
      CHECK(static_cast<bool>(*completed.error) == (completed.result.sent == 0));
      if (completed.result.error)
        CHECK(completed.result.error == asio::error::connection_refused);
      else
        CHECK(batch.empty());
    }
  }
  CHECK(sent == count);
}

TEST_CASE_METHOD(test::udp_pair,
                 "BAT-10: an empty datagram in a batch is sent and received like any other",
                 "[batch]")
{
  dgram::send_batch out(2);
  out.push("", receiver.local_endpoint());
  out.push("abc", receiver.local_endpoint());
  const auto result = sender.try_send_batch(out);
  CHECK(result.sent == 2);
  CHECK_FALSE(result.error);
  dgram::receive_batch in(4, 64);
  REQUIRE(receiver.try_receive_batch(in) == 2);
  CHECK(in[0].payload().empty());
  CHECK_FALSE(in[0].truncated());
  CHECK(in[1].payload().text() == "abc");
}

TEST_CASE_METHOD(test::udp_pair,
                 "QUE-05: a datagram that is refused stops the batch and not the rest of it",
                 "[batch]")
{
  const std::string too_big(65536, 'x');
  dgram::send_batch batch(4);
  batch.push("10", receiver.local_endpoint());
  batch.push("20", receiver.local_endpoint());
  batch.push(too_big, receiver.local_endpoint());
  batch.push("40", receiver.local_endpoint());

  const auto first = async_send_batch(io, sender, batch);
  CHECK_FALSE(*first.error);
  CHECK(first.result.sent == 2);
  CHECK(first.result.error == asio::error::message_size);
  CHECK(batch.size() == 2);
  const auto again = async_send_batch(io, sender, batch);
  CHECK(*again.error == asio::error::message_size);
  CHECK(again.result.sent == 0);
  CHECK(batch.size() == 2);
  batch.drop_front();
  const auto rest = async_send_batch(io, sender, batch);
  CHECK_FALSE(*rest.error);
  CHECK(rest.result.sent == 1);
  CHECK_FALSE(rest.result.error);
  for (const char* text : {"10", "20", "40"})
    CHECK(test::receive(io, receiver).text == text);
  CHECK(test::nothing_queued(receiver));
}

}  // namespace batch_test
