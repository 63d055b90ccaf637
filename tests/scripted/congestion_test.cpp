// SPDX-License-Identifier: BSL-1.0
// Sending while the kernel has no buffer space: how often it is asked, and how the wait ends.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

namespace congestion_test {

namespace {

using clock = std::chrono::steady_clock;
using test::fail;
using test::growing;
using test::milliseconds;
using test::pass;
using test::script;
using strings = std::vector<std::string>;

constexpr std::size_t total = 5;

/// One batch that is being sent.
struct sending {
  sending(const strings& texts, const test::endpoint& peer) { test::push_all(batch, texts, peer); }

  template <class Socket>
  void start(Socket& socket)
  {
    socket.async_send_batch(
        batch, asio::bind_cancellation_slot(
                   signal.slot(), [this](dgram::error_code error, dgram::send_result told) {
                     CHECK_FALSE(result);
                     ec = error;
                     result = told;
                   }));
  }

  dgram::send_batch batch{total};
  asio::cancellation_signal signal;
  dgram::error_code ec;
  std::optional<dgram::send_result> result;  // empty until completion
};

struct congested : test::scripted {
  congested() { script.send().always(fail(ENOBUFS)); }

  static std::size_t attempts() { return script.send().calls(); }

  /// Runs the context until the kernel was asked so many times, and says how long that took.
  clock::duration run_until(std::size_t count)
  {
    const auto start = clock::now();
    io.restart();
    while (attempts() < count) {
      REQUIRE(clock::now() - start < test::seconds(10));
      if (io.run_one_for(test::seconds(1)) == 0) REQUIRE_FALSE(io.stopped());
    }
    return clock::now() - start;
  }

  /// 1, 2, 4, 8, 16 and 32 ms, and 50 ms from then on; besides the first attempt and one that is
  /// rounded down.
  static std::size_t most_attempts(clock::duration elapsed)
  {
    return 8 + static_cast<std::size_t>(elapsed / milliseconds(50));
  }

  const strings texts = growing(0, total);
  asio::io_context io;
  test::plain_peer peer{io};
  std::optional<dgram::udp::socket> socket{std::in_place, io, test::loopback_v4()};
};

/// What ends a wait from outside.
enum class stop : std::uint8_t {
  cancel,
  close,
  destroy,
  release,
  move_assign,
  convert,
  slot_terminal,
  slot_partial,
  slot_total,
};

}  // namespace

TEST_CASE_METHOD(congested, "waiting for a readiness that is there already does not spin",
                 "[congestion][F3]")
{
  // The socket stays writable, whatever the kernel says of its queue.
  const int error = GENERATE(ENOBUFS, ENOMEM, EAGAIN);
  CAPTURE(error);
  script.send().always(fail(error));
  sending only(texts, peer.endpoint());
  const auto start = clock::now();
  only.start(*socket);
  io.run_for(milliseconds(300));
  run_until(3);
  const auto elapsed = clock::now() - start;
  CHECK(attempts() >= 3);
  CHECK(attempts() <= most_attempts(elapsed) + (error == EAGAIN ? 3 : 0));
  CHECK_FALSE(only.result);

  script.send().always(pass());
  test::run(io);
  REQUIRE(only.result);
  CHECK_FALSE(only.ec);
  CHECK(only.result->sent == total);
  CHECK(peer.received(total) == texts);
}

TEST_CASE_METHOD(congested, "a blocking send whose socket stays writable does not spin",
                 "[congestion][F3]")
{
  // Four times it believes that the socket is writable, and then it sleeps: 1, 2, 4, 8, 16 and 32 ms.
  constexpr std::size_t refusals = 10;
  script.send().always(pass());
  const auto start = clock::now();
  script.send().push(fail(EAGAIN), refusals);
  SECTION("a batch")
  {
    dgram::send_batch batch{total};
    test::push_all(batch, texts, peer.endpoint());
    CHECK(socket->send_batch(batch).sent == total);
    CHECK(peer.received(total) == texts);
  }
  SECTION("one datagram")
  {
    socket->send_to(asio::buffer(std::string("one")), peer.endpoint(),
                    dgram::send_options{.hop_limit = 1});
    CHECK(peer.received(1) == strings{"one"});
  }
  CHECK(script.send().left() == 0);
  CHECK(clock::now() - start >= milliseconds(63));
}

TEST_CASE_METHOD(congested, "operations that wait for buffer space do not wake each other",
                 "[congestion]")
{
  sending first(texts, peer.endpoint());
  sending second(texts, peer.endpoint());
  sending third(texts, peer.endpoint());
  const auto start = clock::now();
  first.start(*socket);
  second.start(*socket);
  io.run_for(milliseconds(20));
  third.start(*socket);
  io.run_for(milliseconds(300));
  const auto elapsed = clock::now() - start;
  CHECK(attempts() <= 3 * most_attempts(elapsed));

  script.send().always(pass());
  test::run(io);
  for (const auto* one : {&first, &second, &third}) {
    REQUIRE(one->result);
    CHECK_FALSE(one->result->error);
    CHECK(one->result->sent == total);
  }
  CHECK(peer.received(3 * total).size() == 3 * total);
}

TEST_CASE_METHOD(congested, "an operation that joins late does not abort one whose timer is due",
                 "[congestion]")
{
  sending first(texts, peer.endpoint());
  sending second(texts, peer.endpoint());
  first.start(*socket);
  std::this_thread::sleep_for(milliseconds(20));  // the context is busy with something else
  second.start(*socket);
  script.send().always(pass());
  test::run(io);
  REQUIRE(first.result);
  REQUIRE(second.result);
  CHECK_FALSE(first.result->error);
  CHECK(first.result->sent == total);
  CHECK_FALSE(second.result->error);
  CHECK(second.result->sent == total);
  CHECK(peer.received(2 * total).size() == 2 * total);
}

TEST_CASE_METHOD(congested, "after a success the back-off begins anew", "[congestion]")
{
  // A back-off that went on would wait three times 50 ms in each round; one that begins anew takes
  // 1 + 2 + 4 ms, unless the machine is busy, which it is not in all rounds.
  auto fastest = clock::duration::max();
  for (int round = 0; round < 20 && fastest >= milliseconds(100); ++round) {
    for (const bool measured : {false, true}) {
      script.send().always(fail(ENOBUFS));
      sending next(texts, peer.endpoint());
      const std::size_t before = attempts();
      next.start(*socket);
      const auto elapsed = run_until(before + (measured ? 4 : 8));
      if (measured) fastest = std::min(fastest, elapsed);
      script.send().always(pass());
      test::run(io);
      REQUIRE(next.result);
      CHECK_FALSE(next.ec);
      CHECK(peer.received(total) == texts);
    }
  }
  CHECK(fastest < milliseconds(100));
}

TEST_CASE_METHOD(congested, "a wait for buffer space can be ended from outside at once",
                 "[congestion]")
{
  const auto how =
      GENERATE(stop::cancel, stop::close, stop::destroy, stop::release, stop::move_assign,
               stop::convert, stop::slot_terminal, stop::slot_partial, stop::slot_total);
  const std::size_t before = GENERATE(0U, 2U);
  // Not through `socket`, so that `convert` has something to convert from.
  using concrete = dgram::basic_socket<dgram::udp, asio::io_context::executor_type>;
  std::optional<concrete> source(std::in_place, io, test::loopback_v4());
  sending only(texts, peer.endpoint());
  if (before > 0) script.send_step(before, ENOBUFS);
  only.start(*source);
  // By now the timer is set to so much that what completes without waiting was not completed by it.
  run_until(script.send().calls() + 7);
  const std::size_t asked = attempts();
  REQUIRE_FALSE(only.result);

  switch (how) {
  case stop::cancel: source->cancel(); break;
  case stop::close: source->close(); break;
  case stop::destroy: source.reset(); break;
  case stop::release: ::close(source->release()); break;
  case stop::move_assign: *source = concrete(io, test::loopback_v4()); break;
  case stop::convert: *socket = std::move(*source); break;
  case stop::slot_terminal: only.signal.emit(asio::cancellation_type::terminal); break;
  case stop::slot_partial: only.signal.emit(asio::cancellation_type::partial); break;
  case stop::slot_total: only.signal.emit(asio::cancellation_type::total); break;
  }
  CHECK_FALSE(only.result);
  script.send().always(pass());  // so that an attempt, were one made, would be seen to arrive
  io.poll();
  REQUIRE(only.result);
  CHECK(only.ec ==
        (before == 0 ? dgram::error_code(asio::error::operation_aborted) : dgram::error_code()));
  CHECK(only.result->sent == before);
  CHECK(only.result->error == asio::error::operation_aborted);
  CHECK(only.batch.size() == total - before);
  test::run(io);
  CHECK(attempts() == asked);
  CHECK(peer.received(before) == growing(0, before));

  // What stayed can be sent by another socket.
  CHECK(socket->try_send_batch(only.batch).sent == total - before);
  CHECK(peer.received(total - before) == growing(before, total));
}

TEST_CASE_METHOD(congested, "a socket that waits for buffer space can be used again after cancel",
                 "[congestion]")
{
  sending first(texts, peer.endpoint());
  first.start(*socket);
  run_until(4);
  socket->cancel();
  sending second(texts, peer.endpoint());
  second.start(*socket);
  CHECK_FALSE(first.result);
  script.send().always(pass());
  test::run(io);
  REQUIRE(first.result);
  CHECK(first.ec == asio::error::operation_aborted);
  CHECK(first.result->sent == 0);
  REQUIRE(second.result);
  CHECK_FALSE(second.ec);
  CHECK(second.result->sent == total);
  CHECK(peer.received(total) == texts);
}

TEST_CASE_METHOD(congested, "a slot ends the wait of its own operation only", "[congestion]")
{
  sending first(texts, peer.endpoint());
  sending second(texts, peer.endpoint());
  first.start(*socket);
  second.start(*socket);
  run_until(8);
  const bool older = GENERATE(true, false);
  auto& stopped = older ? first : second;
  auto& other = older ? second : first;
  stopped.signal.emit(asio::cancellation_type::total);
  io.poll();
  REQUIRE(stopped.result);
  CHECK(stopped.ec == asio::error::operation_aborted);
  CHECK_FALSE(other.result);

  script.send().always(pass());
  test::run(io);
  REQUIRE(other.result);
  CHECK_FALSE(other.ec);
  CHECK(other.result->sent == total);
  CHECK(peer.received(total) == texts);
}

TEST_CASE_METHOD(congested, "a wait for buffer space moves with the socket", "[congestion]")
{
  sending only(texts, peer.endpoint());
  script.send_step(2, ENOBUFS);
  only.start(*socket);
  dgram::udp::socket moved(io);
  SECTION("into a new one")
  {
    dgram::udp::socket made(std::move(*socket));
    moved = std::move(made);
  }
  SECTION("over another")
  {
    moved.open(dgram::udp::v4());
    moved = std::move(*socket);
  }
  socket.reset();
  run_until(attempts() + 2);
  script.send().always(pass());
  test::run(io);
  REQUIRE(only.result);
  CHECK_FALSE(only.ec);
  CHECK(only.result->sent == total);
  CHECK_FALSE(only.result->error);
  CHECK(peer.received(total) == texts);
}

TEST_CASE("a context that goes while an operation waits for buffer space calls nobody",
          "[congestion]")
{
  test::scripted guard;
  script.send().always(fail(ENOBUFS));
  const strings texts = growing(0, total);
  const auto payload = std::make_shared<int>(1);
  bool called = false;
  dgram::send_batch batch(total);
  {
    asio::io_context io;
    test::plain_peer peer(io);
    dgram::udp::socket socket(io, test::loopback_v4());
    test::push_all(batch, texts, peer.endpoint());
    socket.async_send_batch(
        batch, [&called, payload](dgram::error_code, dgram::send_result) { called = true; });
    CHECK(payload.use_count() == 2);
    io.poll();
  }
  CHECK_FALSE(called);
  CHECK(payload.use_count() == 1);
}

TEST_CASE_METHOD(congested, "want of buffer space does not hold up what is received",
                 "[congestion]")
{
  sending only(texts, peer.endpoint());
  only.start(*socket);
  dgram::receive_batch batch(4, 64);
  std::size_t received = 0;
  socket->async_receive_batch(batch, [&](dgram::error_code ec, std::size_t count) {
    CHECK_FALSE(ec);
    received = count;
  });
  peer.send("hello", socket->local_endpoint());
  run_until(4);
  CHECK(received == 1);
  script.send().always(pass());
  test::run(io);
  CHECK(only.result);
}

}  // namespace congestion_test
