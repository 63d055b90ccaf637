// SPDX-License-Identifier: BSL-1.0
// What happens to a socket between a queued wake-up and the step of the operation that it wakes.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace queued_wake_up_test {

namespace {

using test::fail;
using test::growing;
using test::script;
using strings = std::vector<std::string>;
using concrete = dgram::basic_socket<dgram::udp, asio::io_context::executor_type>;

constexpr std::size_t count = 4;

/// What is done to the socket meanwhile, such that the operation must not go on.
enum class stop : std::uint8_t {
  cancel,
  close,
  reopen,
  destroy,
  release,
  move_assign,
  convert,
  slot_terminal,
  slot_partial,
  slot_total,
};

/// The reactor and the operation's steps run in contexts of their own: after a turn of the one, the
/// wake-up waits in the other. The stopped operation completes without the reactor, so it was
/// indeed its wake-up that waited.
struct wake_up : test::scripted {
  template <class Handler>
  auto in_steps(Handler handler)
  {
    return asio::bind_cancellation_slot(
        signal.slot(), asio::bind_executor(steps.get_executor(), std::move(handler)));
  }

  void queue_wake_up()
  {
    io.restart();
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
    CHECK_FALSE(ec);
  }

  void run_steps()
  {
    steps.restart();
    steps.poll();
  }

  void interfere(stop how)
  {
    switch (how) {
    case stop::cancel: socket->cancel(); break;
    case stop::close: socket->close(); break;
    case stop::reopen: reopen(); break;
    case stop::destroy: socket.reset(); break;
    case stop::release: ::close(socket->release()); break;
    case stop::move_assign: *socket = concrete(io, test::loopback_v4()); break;
    case stop::convert: converted.emplace(std::move(*socket)); break;
    case stop::slot_terminal: signal.emit(asio::cancellation_type::terminal); break;
    case stop::slot_partial: signal.emit(asio::cancellation_type::partial); break;
    case stop::slot_total: signal.emit(asio::cancellation_type::total); break;
    }
  }

  /// The same socket, on a new descriptor with the old one's number.
  void reopen()
  {
    const int before = socket->native_handle();
    socket->close();
    socket->open(dgram::udp::v4());
    REQUIRE(socket->native_handle() == before);
    socket->bind(test::loopback_v4());
  }

  asio::io_context io;
  asio::io_context steps;
  asio::io_context outside;  // so that what arrives at the peer is no turn of the reactor
  test::plain_peer peer{outside};
  std::optional<concrete> socket{std::in_place, io, test::loopback_v4()};
  std::optional<dgram::udp::socket> converted;
  asio::cancellation_signal signal;
  std::optional<dgram::error_code> ec;  // empty until completion
};

struct send_wake_up : wake_up {
  /// Starts to send: `before` datagrams leave, the rest waits.
  void start(std::size_t before, int error)
  {
    test::push_all(batch, texts, peer.endpoint());
    script.send_step(before, error);
    socket->async_send_batch(batch,
                             in_steps([this](dgram::error_code failure, dgram::send_result told) {
                               CHECK_FALSE(ec);
                               ec = failure;
                               result = told;
                             }));
    asked = script.send().calls();
  }

  const strings texts = growing(0, count);
  dgram::send_batch batch{count};
  dgram::send_result result;
  std::size_t asked = 0;
};

struct receive_wake_up : wake_up {
  std::size_t size = 0;

  auto handler()
  {
    return in_steps([this](dgram::error_code failure, std::size_t received) {
      CHECK_FALSE(ec);
      ec = failure;
      size = received;
    });
  }
};

stop any_stop()
{
  return GENERATE(stop::cancel, stop::close, stop::reopen, stop::destroy, stop::release,
                  stop::move_assign, stop::convert, stop::slot_terminal, stop::slot_partial,
                  stop::slot_total);
}

}  // namespace

TEST_CASE_METHOD(send_wake_up, "a send whose wake-up is queued goes on without the reactor",
                 "[wake-up]")
{
  // The counterpart of the tests below: the wake-up is queued indeed, and only the steps are
  // missing.
  start(GENERATE(0U, 2U), GENERATE(EAGAIN, ENOBUFS));
  queue_wake_up();
  run_steps();
  REQUIRE(ec);
  CHECK_FALSE(*ec);
  CHECK(result.sent == count);
  CHECK(peer.received(count) == texts);
}

TEST_CASE_METHOD(send_wake_up, "a send that is stopped while its wake-up is queued sends no more",
                 "[wake-up]")
{
  const auto how = any_stop();
  const std::size_t before = GENERATE(0U, 2U);
  const int error = GENERATE(EAGAIN, ENOBUFS);
  CAPTURE(how, before, error);
  start(before, error);
  queue_wake_up();
  interfere(how);
  CHECK_FALSE(ec);
  run_steps();

  REQUIRE(ec);
  CHECK(*ec ==
        (before == 0 ? dgram::error_code(asio::error::operation_aborted) : dgram::error_code()));
  CHECK(result.sent == before);
  CHECK(result.error == asio::error::operation_aborted);
  CHECK(batch.size() == count - before);
  CHECK(script.send().calls() == asked);
  CHECK(peer.received(before) == growing(0, before));
}

TEST_CASE_METHOD(send_wake_up, "a send whose wake-up is queued moves with the socket", "[wake-up]")
{
  const std::size_t before = GENERATE(0U, 2U);
  start(before, GENERATE(EAGAIN, ENOBUFS));
  queue_wake_up();
  concrete moved(std::move(*socket));
  SECTION("and goes on")
  {
    socket.reset();
    run_steps();
    REQUIRE(ec);
    CHECK_FALSE(*ec);
    CHECK(result.sent == count);
    CHECK(peer.received(count) == texts);
  }
  SECTION("and with it is stopped")
  {
    moved.cancel();
    run_steps();
    REQUIRE(ec);
    CHECK(result.error == asio::error::operation_aborted);
    CHECK(peer.received(before) == growing(0, before));
  }
  SECTION("and is not touched by what is done to the old one")
  {
    socket->open(dgram::udp::v4());
    socket->cancel();
    socket->close();
    run_steps();
    REQUIRE(ec);
    CHECK_FALSE(*ec);
    CHECK(result.sent == count);
  }
}

TEST_CASE_METHOD(send_wake_up, "a send that was woken for nothing can still be stopped",
                 "[wake-up]")
{
  const auto how = any_stop();
  const int error = GENERATE(EAGAIN, ENOBUFS);
  CAPTURE(how, error);
  start(0, error);
  script.send_step(0, error);
  queue_wake_up();
  run_steps();  // meets the second error and waits again
  CHECK_FALSE(ec);
  asked = script.send().calls();
  const bool queued = GENERATE(false, true);
  if (queued) queue_wake_up();
  interfere(how);
  io.restart();
  io.poll();
  run_steps();
  REQUIRE(ec);
  CHECK(*ec == asio::error::operation_aborted);
  CHECK(batch.size() == count);
  CHECK(script.send().calls() == asked);
  CHECK(peer.received(0).empty());
}

TEST_CASE_METHOD(send_wake_up, "a send that finished is not stopped any more", "[wake-up]")
{
  const auto how = any_stop();
  CAPTURE(how);
  start(count, 0);
  interfere(how);
  io.poll();
  run_steps();
  REQUIRE(ec);
  CHECK_FALSE(*ec);
  CHECK(result.sent == count);
  CHECK_FALSE(result.error);
  CHECK(peer.received(count) == texts);
}

TEST_CASE_METHOD(receive_wake_up, "a batch receive that is stopped while its wake-up is queued",
                 "[wake-up]")
{
  const auto how = any_stop();
  CAPTURE(how);
  dgram::receive_batch batch(count, 64);
  socket->async_receive_batch(batch, handler());
  peer.send("old", socket->local_endpoint());
  queue_wake_up();
  const std::size_t asked = script.receive().calls();
  interfere(how);
  if (how == stop::reopen) peer.send("new", socket->local_endpoint());
  CHECK_FALSE(ec);
  run_steps();
  REQUIRE(ec);
  CHECK(*ec == asio::error::operation_aborted);
  CHECK(size == 0);
  CHECK(batch.empty());
  CHECK(script.receive().calls() == asked);

  // Nothing was lost: the next receive gets what is queued.
  const bool open = socket && socket->is_open();
  if (open && how != stop::move_assign) {
    CHECK(socket->try_receive_batch(batch) == 1);
    CHECK(batch[0].payload().text() == (how == stop::reopen ? "new" : "old"));
  }
  if (converted) CHECK(converted->try_receive_batch(batch) == 1);
}

TEST_CASE_METHOD(receive_wake_up, "a receive on a dual-stack socket that is stopped likewise",
                 "[wake-up]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  const auto how = any_stop();
  if (how == stop::reopen) return;  // reopens as IPv4; the batch receive has it
  CAPTURE(how);
  socket.emplace(io, dgram::udp::dual());
  socket->bind({asio::ip::address_v6::any(), 0});
  std::string storage(64, '\0');
  test::endpoint sender;
  socket->async_receive_from(asio::buffer(storage), sender, handler());
  peer.send("old", test::loopback_v4(socket->local_endpoint().port()));
  queue_wake_up();
  const std::size_t asked = script.receive().calls();
  interfere(how);
  CHECK_FALSE(ec);
  run_steps();
  REQUIRE(ec);
  CHECK(*ec == asio::error::operation_aborted);
  CHECK(size == 0);
  CHECK(sender == test::endpoint());
  CHECK(script.receive().calls() == asked);
}

TEST_CASE_METHOD(receive_wake_up, "a receive that took its datagram is not stopped any more",
                 "[wake-up]")
{
  const auto how = any_stop();
  CAPTURE(how);
  dgram::receive_batch batch(count, 64);
  peer.send("taken", socket->local_endpoint());
  socket->async_receive_batch(batch, handler());
  interfere(how);
  io.poll();
  run_steps();
  REQUIRE(ec);
  CHECK_FALSE(*ec);
  CHECK(size == 1);
  CHECK(test::texts_of(batch) == strings{"taken"});
}

}  // namespace queued_wake_up_test
