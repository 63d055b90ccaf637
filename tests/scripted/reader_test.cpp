// SPDX-License-Identifier: BSL-1.0
// Reading one datagram at a time over scripted system calls: false wake-ups, errors, calls counted.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace reader_test {

namespace {

using test::fail;
using test::numbers;
using test::script;
using strings = std::vector<std::string>;
using reader_type = dgram::reader<dgram::udp, asio::any_io_executor>;

constexpr std::size_t slots = 4;

struct reading : test::scripted {
  void queue(std::size_t count) { peer.send_numbers(count, socket.local_endpoint()); }

  static std::size_t asked() { return script.receive().calls(); }

  /// What the next `next(ec)` gives: a text, or an error's message.
  asio::awaitable<void> next(std::string& into)
  {
    dgram::error_code ec = asio::error::fault;
    const auto datagram = co_await reader.next(ec);
    into = datagram ? std::string(datagram->payload().text()) : ec.message();
  }

  strings read(std::size_t count)
  {
    strings texts(count);
    for (auto& text : texts)
      test::run(io, next(text));
    return texts;
  }

  /// The same, of the form that throws.
  std::string read_throwing()
  {
    std::string result;
    test::run(io, [](reader_type& from, std::string& into) -> asio::awaitable<void> {
      try {
        const auto datagram = co_await from.next();
        into = datagram ? std::string(datagram->payload().text()) : "nothing";
      } catch (const dgram::system_error& failure) {
        into = failure.code().message();
      }
    }(reader, result));
    return result;
  }

  asio::io_context io;
  test::plain_peer peer{io};
  dgram::udp::socket socket{io, test::loopback_v4()};
  reader_type reader{socket, {.slots = slots, .slot_size = 2048}};
  const std::string refused = dgram::error_code(asio::error::connection_refused).message();
};

}  // namespace

TEST_CASE_METHOD(reading, "a reader that is woken for nothing waits again", "[reader]")
{
  const int error = GENERATE(EAGAIN, EINTR);
  script.receive().push(fail(error), GENERATE(1U, 2U, 5U));
  queue(3);
  CHECK(read(3) == numbers(0, 3));
}

TEST_CASE_METHOD(reading, "a reader whose datagram another one took waits for the next", "[reader]")
{
  std::string text;
  asio::co_spawn(io, next(text), asio::detached);
  io.poll();
  queue(1);
  dgram::receive_batch batch(1);
  CHECK(socket.try_receive_batch(batch) == 1);
  io.restart();
  io.run_for(test::milliseconds(20));
  CHECK(text.empty());
  peer.send("next", socket.local_endpoint());
  test::run(io);
  CHECK(text == "next");
}

TEST_CASE_METHOD(reading, "an error surfaces once, and the reading goes on", "[reader]")
{
  const std::size_t before = GENERATE(range(std::size_t{0}, slots));
  const bool throwing = GENERATE(false, true);
  const bool woken = GENERATE(false, true);
  queue(slots);
  if (woken) script.receive().push(fail(EAGAIN));
  script.receive_step(before, ECONNREFUSED);
  CHECK(read(before) == numbers(0, before));
  CHECK((throwing ? read_throwing() : read(1)[0]) == refused);
  CHECK(read(slots - before) == numbers(before, slots));
}

TEST_CASE_METHOD(reading, "every error of the kernel is reported as it is", "[reader]")
{
  const int error = GENERATE(ENOMEM, ECONNREFUSED, EHOSTUNREACH);
  queue(1);
  script.receive().push(fail(error), 2);
  const auto message = dgram::error_code(error, asio::error::get_system_category()).message();
  CHECK(read(3) == strings{message, message, "0"});
}

TEST_CASE_METHOD(reading, "an error behind the last datagram that is queued needs no further one",
                 "[reader]")
{
  if (test::batched_calls) SKIP("with recvmmsg the kernel keeps such an error, and wakes for it");
  const std::size_t before = GENERATE(1U, 2U, 3U);
  // Also where others are to go first by now.
  reader =
      reader_type(socket, {.slots = slots, .slot_size = 2048, .yield_after = GENERATE(1U, 128U)});
  queue(before);
  script.receive_step(before, ECONNREFUSED);
  CHECK(read(before) == numbers(0, before));
  std::string text;
  asio::co_spawn(io, next(text), asio::detached);
  io.restart();
  io.run_for(test::milliseconds(100));
  CHECK(text == refused);
  reader.stop();
  test::run(io);
}

TEST_CASE_METHOD(reading, "after a short batch a reader waits before it asks", "[reader]")
{
  const std::size_t count = GENERATE(1U, 2U, 3U);
  queue(count);
  CHECK(read(count) == numbers(0, count));
  const std::size_t before = asked();
  CHECK(before == (test::batched_calls ? 1 : count + 1));
  std::string text;
  asio::co_spawn(io, next(text), asio::detached);
  io.restart();
  io.poll();
  CHECK(text.empty());
  CHECK(asked() == before);

  queue(1);
  test::run(io);
  CHECK(text == "0");
  CHECK(asked() == before + (test::batched_calls ? 1 : 2));
}

TEST_CASE_METHOD(reading, "after a full batch a reader asks at once", "[reader]")
{
  queue(slots + 1);
  CHECK(read(slots) == numbers(0, slots));
  const std::size_t before = asked();
  CHECK(before == (test::batched_calls ? 1 : slots));
  std::string text;
  asio::co_spawn(io, next(text), asio::detached);
  io.restart();
  CHECK(io.run_one() == 1);  // the start of the coroutine, in which no wait takes place
  CHECK(asked() > before);
  test::run(io);
  CHECK(text == std::to_string(slots));
}

TEST_CASE_METHOD(reading, "what is in memory is had without a call", "[reader]")
{
  queue(slots);
  CHECK(read(1) == numbers(0, 1));
  const std::size_t before = asked();
  CHECK(reader.remaining() == slots - 1);
  CHECK(read(slots - 1) == numbers(1, slots));
  CHECK(asked() == before);
}

TEST_CASE_METHOD(reading, "a reader that was woken before its socket was closed asks no more",
                 "[reader]")
{
  std::string text = "pending";
  asio::co_spawn(io, next(text), asio::detached);
  io.poll();
  const std::size_t before = asked();
  queue(1);
  socket.close();
  SECTION("closed")
  {
  }
  SECTION("and reopened")
  {
    socket.open(dgram::udp::v4());
    socket.bind(test::loopback_v4());
    queue(1);
  }
  test::run(io);
  CHECK(asked() == before);
  CHECK(text != "pending");
  CHECK(text != "0");
}

}  // namespace reader_test
