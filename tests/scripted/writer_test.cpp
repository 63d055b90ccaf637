// SPDX-License-Identifier: BSL-1.0
// Writing one datagram at a time while the kernel takes nothing: what waits, what is counted, what ends the wait.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace writer_test {

namespace {

using test::fail;
using test::growing;
using test::pass;
using test::script;
using strings = std::vector<std::string>;
using reader_type = dgram::reader<dgram::udp, asio::any_io_executor>;
using writer_type = dgram::writer<dgram::udp, asio::any_io_executor>;

constexpr std::size_t room = 4;

struct writing : test::scripted {
  ~writing()
  {
    if (!writer) return;
    const auto& is = writer->statistics();
    CHECK(is.queued == is.sent + is.refused + is.lost + writer->size());
    CHECK(reports == is.refused + is.dropped + is.lost);
  }

  void start(dgram::full_policy policy = dgram::full_policy::wait)
  {
    writer.emplace(*reader,
                   dgram::writer_config{.datagrams = room, .bytes = 4096, .when_full = policy});
    writer->on_error([this](dgram::error_code why, const test::endpoint& whom, std::size_t) {
      ++reports;
      last_error = why;
      CHECK(whom == to);
    });
  }

  const dgram::writer_statistics& statistics() const { return writer->statistics(); }

  /// Fills the queue while the kernel takes nothing.
  void block(int error)
  {
    script.send().always(fail(error));
    for (const auto& text : texts)
      REQUIRE(writer->try_send(text, to));
    take_turns();
    REQUIRE(writer->size() == room);
    asked = script.send().calls();
  }

  /// A `send` or `flush` that is on its way.
  struct pending {
    bool finished = false;
    std::optional<dgram::error_code> error;
    asio::cancellation_signal signal;
  };

  void launch(pending& one, asio::awaitable<void> what)
  {
    asio::co_spawn(
        io,
        [](pending& into, asio::awaitable<void> inner) -> asio::awaitable<void> {
          try {
            co_await std::move(inner);
          } catch (const dgram::system_error& failure) {
            into.error = failure.code();
          }
          into.finished = true;
        }(one, std::move(what)),
        asio::bind_cancellation_slot(one.signal.slot(), asio::detached));
    take_turns();
  }

  /// A bounded number of them: a socket that is writable and takes nothing wakes its waits without end.
  void take_turns()
  {
    io.restart();
    for (int i = 0; i < 50; ++i)
      io.poll_one();
  }

  void run_a_while()
  {
    io.restart();
    io.run_for(test::milliseconds(30));
  }

  const strings texts = growing(0, room);
  const std::string further = std::string(50, '+');
  asio::io_context io;
  test::plain_peer peer{io};
  const test::endpoint to = peer.endpoint();
  dgram::udp::socket socket{io, test::loopback_v4()};
  std::optional<reader_type> reader{socket};
  std::optional<writer_type> writer;
  std::size_t reports = 0;
  dgram::error_code last_error;
  std::size_t asked = 0;
};

strings with(strings texts, const std::string& last)
{
  texts.push_back(last);
  return texts;
}

}  // namespace

TEST_CASE_METHOD(writing, "a flush that the kernel does not take waits, and sends all once",
                 "[writer]")
{
  const int error = GENERATE(EAGAIN, ENOBUFS, ENOMEM);
  const std::size_t more = GENERATE(0U, 3U);
  const std::size_t before = GENERATE(range(std::size_t{0}, room));
  CAPTURE(error, more, before);
  start();
  block(error);
  script.send().always(pass());
  script.send_step(before, error);
  for (std::size_t i = 0; i < more; ++i)
    script.send_step(0, error);
  pending flush;
  launch(flush, writer->flush());
  test::run(io);
  CHECK(flush.finished);
  CHECK_FALSE(flush.error);
  CHECK(statistics().queued == room);
  CHECK(statistics().sent == room);
  CHECK(writer->size() == 0);
  CHECK(peer.received(room) == texts);
}

TEST_CASE_METHOD(writing, "flush returns only when all has left", "[writer]")
{
  const int error = GENERATE(EAGAIN, ENOBUFS);
  start();
  pending empty;
  launch(empty, writer->flush());
  CHECK(empty.finished);
  CHECK(script.send().calls() == 0);

  block(error);
  pending flush;
  launch(flush, writer->flush());
  pending other;
  launch(other, writer->flush());
  if (error == ENOBUFS) run_a_while();  // waiting for writability would spin here
  CHECK_FALSE(flush.finished);
  CHECK_FALSE(other.finished);
  script.send().always(pass());
  test::run(io);
  CHECK(flush.finished);
  CHECK(other.finished);
  CHECK(peer.received(room) == texts);
}

TEST_CASE_METHOD(writing, "a send that finds the queue full waits for room", "[writer]")
{
  const int error = GENERATE(EAGAIN, ENOBUFS);
  start();
  block(error);
  CHECK_FALSE(writer->try_send(further, to));
  pending send;
  launch(send, writer->send(further, to));
  CHECK_FALSE(send.finished);
  CHECK(statistics().queued == room);
  script.send().always(pass());
  test::run(io);
  CHECK(send.finished);
  CHECK_FALSE(send.error);
  CHECK(statistics().queued == room + 1);
  CHECK(statistics().sent == room + 1);
  CHECK(statistics().dropped == 0);
  CHECK(peer.received(room + 1) == with(texts, further));
}

TEST_CASE_METHOD(writing, "many that wait for room all get it, in turn", "[writer]")
{
  start();
  block(ENOBUFS);
  constexpr std::size_t many = 10;
  const strings later = growing(room, room + many);
  std::vector<pending> sends(many);
  for (std::size_t i = 0; i < many; ++i)
    launch(sends[i], writer->send(later[i], to));
  script.send().always(pass());
  test::run(io);
  for (const auto& one : sends)
    CHECK((one.finished && !one.error));
  CHECK(statistics().sent == room + many);
  CHECK(peer.received(room + many) == growing(0, room + many));
}

TEST_CASE_METHOD(writing, "where the newest is dropped it is counted and reported", "[writer]")
{
  start(dgram::full_policy::drop_newest);
  block(GENERATE(EAGAIN, ENOBUFS));
  pending send;
  launch(send, writer->send(further, to));
  CHECK(send.finished);
  CHECK_FALSE(send.error);
  CHECK(statistics().dropped == 1);
  CHECK(last_error == asio::error::no_buffer_space);
  CHECK(reports == 1);
  CHECK_FALSE(writer->try_send(further, to));
  CHECK(statistics().dropped == 1);  // try_send says so itself
  script.send().always(pass());
  test::run(io);
  CHECK(statistics().sent == room);
  CHECK(peer.received(room) == texts);
}

TEST_CASE_METHOD(writing, "a blocked flush ends with the socket's operations, and nothing is tried",
                 "[writer]")
{
  enum class end : std::uint8_t { cancel, close, reopen, destroy };
  const int error = GENERATE(EAGAIN, ENOBUFS);
  const auto how = GENERATE(end::cancel, end::close, end::reopen, end::destroy);
  const bool woken = GENERATE(false, true);
  CAPTURE(error, how, woken);
  start();
  block(error);
  pending flush;
  std::optional<dgram::udp::socket> owner(std::move(socket));
  launch(flush, writer->flush());
  if (woken) {
    io.restart();
    io.run_for(test::milliseconds(5));
  }
  asked = script.send().calls();
  script.send().always(pass());
  switch (how) {
  case end::cancel: owner->cancel(); break;
  case end::close: owner->close(); break;
  case end::destroy: owner.reset(); break;
  case end::reopen: {
    const int before = owner->native_handle();
    owner->close();
    owner->open(dgram::udp::v4());
    REQUIRE(owner->native_handle() == before);
  }
  }
  test::run(io);
  CHECK(flush.finished);
  CHECK(statistics().lost == room);
  CHECK(statistics().sent == 0);
  CHECK(last_error == asio::error::operation_aborted);
  CHECK(script.send().calls() == asked);
  CHECK(peer.received(0).empty());
  if (how == end::cancel || how == end::reopen) {
    CHECK(writer->try_send(further, to));
    test::run(io);
    CHECK(peer.received(1) == strings{further});
  }
}

TEST_CASE_METHOD(writing, "what waits for room when the socket is closed is told so", "[writer]")
{
  start();
  block(GENERATE(EAGAIN, ENOBUFS));
  pending send;
  launch(send, writer->send(further, to));
  socket.close();
  test::run(io);
  CHECK(send.finished);
  CHECK(send.error == asio::error::bad_descriptor);
  CHECK(statistics().queued == room);
  CHECK(statistics().lost == room);
}

TEST_CASE_METHOD(writing, "a coroutine that is cancelled while it waits for room queues nothing",
                 "[writer]")
{
  start();
  block(GENERATE(EAGAIN, ENOBUFS));
  pending one;
  const bool flushes = GENERATE(false, true);
  launch(one, flushes ? writer->flush() : writer->send(further, to));
  CHECK_FALSE(one.finished);
  one.signal.emit(asio::cancellation_type::terminal);
  take_turns();
  CHECK(one.finished);
  CHECK(one.error == asio::error::operation_aborted);
  // The others are not concerned.
  CHECK(writer->size() == room);
  script.send().always(pass());
  test::run(io);
  CHECK(statistics().queued == room);
  CHECK(statistics().sent == room);
  CHECK(peer.received(room) == texts);
}

TEST_CASE_METHOD(writing, "a writer that goes while it is blocked counts what is left", "[writer]")
{
  const int error = GENERATE(EAGAIN, ENOBUFS);
  start();
  block(error);
  pending one;
  const bool sends = GENERATE(false, true);
  launch(one, sends ? writer->send(further, to) : writer->flush());
  CHECK_FALSE(one.finished);
  SECTION("closed")
  {
    writer->close();
  }
  SECTION("destroyed")
  {
    writer.reset();
  }
  CHECK(reports == room);
  CHECK(last_error == asio::error::operation_aborted);
  asked = script.send().calls();
  script.send().always(pass());
  test::run(io);
  CHECK(one.finished);
  // What waited for room came too late.
  if (sends) CHECK(one.error == asio::error::operation_aborted);
  CHECK(script.send().calls() == asked);
  CHECK(peer.received(0).empty());
}

TEST_CASE_METHOD(writing, "what was queued for one descriptor is not sent on the next", "[writer]")
{
  // In the middle of a turn, so that nothing has been tried yet.
  start();
  peer.send_numbers(2, socket.local_endpoint());
  bool reopened = false;
  test::run(io, [](writing& self, bool& done) -> asio::awaitable<void> {
    co_await self.reader->next();
    co_await self.writer->send(self.texts[0], self.to);
    const int before = self.socket.native_handle();
    self.socket.close();
    self.socket.open(dgram::udp::v4());
    done = self.socket.native_handle() == before;
  }(*this, reopened));
  CHECK(reopened);
  CHECK(script.send().calls() == 0);
  CHECK(statistics().lost == 1);
  CHECK(peer.received(0).empty());
}

TEST_CASE_METHOD(writing, "what the kernel refuses is reported, and the others go on", "[writer]")
{
  const int error = GENERATE(EMSGSIZE, EACCES, EPERM);
  const std::size_t before = GENERATE(range(std::size_t{0}, room));
  start();
  block(EAGAIN);
  script.send().always(pass());
  script.send_step(before, error);
  test::run(io);
  CHECK(statistics().refused == 1);
  CHECK(statistics().sent == room - 1);
  CHECK(statistics().lost == 0);
  CHECK(last_error.value() == error);
  strings expected = texts;
  expected.erase(expected.begin() + static_cast<long>(before));
  CHECK(peer.received(room - 1) == expected);
}

TEST_CASE_METHOD(writing, "a pending ICMP error costs no datagram", "[writer]")
{
  const std::size_t before = GENERATE(range(std::size_t{0}, room));
  start();
  block(EAGAIN);
  script.send().always(pass());
  script.send_step(before, ECONNREFUSED);
  test::run(io);
  CHECK(statistics().lost == 0);
  CHECK(statistics().refused == 0);
  CHECK(statistics().sent == room);
  CHECK(peer.received(room) == texts);
}

TEST_CASE_METHOD(writing, "ICMP errors that come again and again hold nothing up, and do not spin",
                 "[writer]")
{
  const std::size_t errors = GENERATE(1U, 3U, 4U, 20U);
  CAPTURE(errors);
  // The first call sends datagrams over loopback.
  const std::size_t calls = dgram::capabilities(dgram::udp::v4()).datagrams_per_call > 1 ? 1 : room;
  const std::size_t earlier = script.send().calls();
  start();
  for (const auto& text : texts)
    REQUIRE(writer->try_send(text, to));
  script.send().push(fail(ECONNREFUSED), errors);
  io.restart();
  io.poll_one();
  // A few are earlier datagrams' errors, behind which the queue leaves at once; more wait for the timer.
  CHECK(writer->size() == (errors <= 3 ? 0 : room));
  CHECK(script.send().calls() - earlier == (errors <= 3 ? errors + calls : 4));
  test::run(io);
  CHECK(statistics().lost == 0);
  CHECK(statistics().sent == room);
  CHECK(peer.received(room) == texts);
}

TEST_CASE_METHOD(writing, "a handler that writes again neither loses nor repeats a datagram",
                 "[writer]")
{
  start();
  block(EAGAIN);
  bool once = false;
  bool taken = false;
  writer->on_error([&](dgram::error_code, const test::endpoint&, std::size_t) {
    ++reports;
    if (std::exchange(once, true)) return;
    script.send().always(pass());
    taken = writer->try_send(further, to);
  });
  SECTION("of one that was refused")
  {
    script.send().always(pass());
    script.send_step(1, EACCES);
    test::run(io);
    CHECK(statistics().refused == 1);
    // The queue is full until the flush that called the handler is done.
    CHECK_FALSE(taken);
    CHECK(statistics().sent == room - 1);
    CHECK(peer.received(room - 1) == strings{texts[0], texts[2], texts[3]});
  }
  SECTION("of those that were lost")
  {
    socket.cancel();
    test::run(io);
    CHECK(statistics().lost >= room);
    CHECK(peer.received(statistics().sent).size() == statistics().sent);
  }
}

TEST_CASE_METHOD(writing, "a writer says that the kernel blocks, and when it no longer does",
                 "[writer][Q7]")
{
  const int error = GENERATE(EAGAIN, ENOBUFS);
  start();
  CHECK_FALSE(writer->is_blocked());
  script.send().always(fail(error));
  REQUIRE(writer->try_send(texts[0], to));
  CHECK_FALSE(writer->is_blocked());  // nothing was offered to the kernel yet
  take_turns();
  CHECK(writer->is_blocked());
  REQUIRE(writer->try_send(texts[1], to));
  CHECK(writer->is_blocked());
  std::vector<dgram::error_code> told;
  for (int i = 0; i < 3; ++i)
    writer->async_flush([&](dgram::error_code ec) { told.push_back(ec); });
  take_turns();
  CHECK(told.empty());
  script.send().always(pass());
  test::run(io);
  CHECK(told == std::vector<dgram::error_code>(3));
  CHECK_FALSE(writer->is_blocked());
  CHECK(peer.received(2) == strings{texts[0], texts[1]});
}

TEST_CASE_METHOD(writing, "async_flush completes later, also if nothing is queued", "[writer][Q7]")
{
  start();
  const bool queued = GENERATE(false, true);
  if (queued) REQUIRE(writer->try_send(texts[0], to));
  bool finished = false;
  writer->async_flush([&](dgram::error_code ec) {
    CHECK_FALSE(ec);
    finished = true;
  });
  CHECK_FALSE(finished);
  test::run(io);
  CHECK(finished);
  CHECK(peer.received(queued ? 1 : 0).size() == (queued ? 1 : 0));
}

TEST_CASE_METHOD(writing, "a wait for room ends with what ends it, and keeps what is queued",
                 "[writer][Q7]")
{
  start();
  block(EAGAIN);
  std::optional<dgram::error_code> told;
  std::optional<dgram::error_code> other;
  asio::cancellation_signal signal;
  writer->async_flush(
      asio::bind_cancellation_slot(signal.slot(), [&](dgram::error_code ec) { told = ec; }));
  writer->async_flush([&](dgram::error_code ec) { other = ec; });
  take_turns();
  const auto type = GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                             asio::cancellation_type::total);
  signal.emit(type);
  take_turns();
  CHECK(told == asio::error::operation_aborted);
  CHECK_FALSE(other);
  CHECK(writer->size() == room);
  SECTION("the kernel takes all")
  {
    script.send().always(pass());
    test::run(io);
    CHECK(other == dgram::error_code());
    CHECK(peer.received(room) == texts);
  }
  SECTION("the writer is closed")
  {
    writer->close();
    test::run(io);
    CHECK(other == asio::error::operation_aborted);
  }
  SECTION("the socket is closed")
  {
    socket.close();
    test::run(io);
    CHECK(other.value_or(dgram::error_code()));
  }
}

TEST_CASE_METHOD(writing, "try_send tells what never fits from what does not fit now",
                 "[writer][Q7]")
{
  using dgram::error_code;
  start();
  const std::string huge(5000, 'h');  // the queue holds 4096 bytes
  error_code ec = asio::error::eof;
  CHECK(writer->try_send(texts[0], to, ec));
  CHECK_FALSE(ec);
  CHECK_FALSE(writer->try_send(huge, to, ec));
  CHECK(ec == asio::error::message_size);
  const std::string train(room + 1, 't');
  CHECK_FALSE(writer->try_send(train, to, dgram::send_options{.segment_size = 1}, ec));
  CHECK(ec == asio::error::message_size);
  CHECK_FALSE(writer->try_send(train, to, dgram::send_options{.segment_size = 0}, ec));
  CHECK(ec == asio::error::invalid_argument);
  CHECK_FALSE(writer->try_send(texts[0], to, dgram::send_options{.dscp = 64}, ec));
  CHECK(ec == dgram::error::out_of_range);
  CHECK_FALSE(writer->try_send(texts[0], ec));
  CHECK(ec);  // no peer on a socket that is not connected
  CHECK(writer->try_send(texts[1], dgram::reply_path{to}, ec));
  CHECK_FALSE(ec);
  test::run(io);
  CHECK(peer.received(2) == strings{texts[0], texts[1]});

  block(EAGAIN);
  CHECK_FALSE(writer->try_send(texts[0], to, ec));
  CHECK(ec == asio::error::would_block);
  CHECK_FALSE(writer->try_send(texts[0], dgram::reply_path{to}, dgram::send_options{}, ec));
  CHECK(ec == asio::error::would_block);
  CHECK_FALSE(writer->try_send(huge, to, ec));
  CHECK(ec == asio::error::message_size);
  script.send().always(pass());
  test::run(io);
  CHECK(peer.received(room) == texts);
  socket.connect(to);
  CHECK_FALSE(writer->try_send(texts[0], to, ec));
  CHECK(ec == asio::error::already_connected);
  CHECK(writer->try_send(texts[0], ec));
  CHECK_FALSE(ec);
  writer->close();
  CHECK_FALSE(writer->try_send(texts[0], ec));
  CHECK(ec == asio::error::operation_aborted);
  socket.close();
  CHECK_FALSE(writer->try_send(texts[0], to, ec));
  CHECK(ec == asio::error::bad_descriptor);
}

}  // namespace writer_test
