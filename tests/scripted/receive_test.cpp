// SPDX-License-Identifier: BSL-1.0
// Receiving over scripted system calls: interruptions, false wake-ups and errors, calls counted.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace receive_test {

namespace {

using test::fail;
using test::numbers;
using test::script;
using test::texts_of;

struct outcome {
  std::optional<dgram::error_code> ec;  // empty until completion
  std::size_t size = 0;

  auto handler()
  {
    return [this](dgram::error_code result, std::size_t count) {
      CHECK_FALSE(ec);
      ec = result;
      size = count;
    };
  }
};

enum class form : std::uint8_t { try_form, blocking, async };

struct receiver : test::scripted {
  asio::io_context io;
  test::plain_peer peer{io};
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::receive_batch batch{4, 64};

  void queue(std::size_t count) { peer.send_numbers(count, socket.local_endpoint()); }

  outcome receive(form how)
  {
    outcome result;
    if (how == form::async) {
      socket.async_receive_batch(batch, result.handler());
      test::run(io);
      REQUIRE(result.ec);
    } else {
      dgram::error_code ec = asio::error::fault;
      result.size = how == form::try_form ? socket.try_receive_batch(batch, ec)
                                          : socket.receive_batch(batch, ec);
      result.ec = ec;
    }
    return result;
  }
};

/// A dual-stack socket that hears from an IPv4 peer.
struct dual_receiver : test::scripted {
  static test::endpoint any_v6() { return {asio::ip::address_v6::any(), 0}; }

  dual_receiver()
  {
    if (!test::has_ipv6()) return;
    script = test::system_script();
    socket.emplace(io, any_v6(), dgram::socket_config{.dual_stack = true});
  }

  void send(const std::string& text)
  {
    peer.send(text, test::loopback_v4(socket->local_endpoint().port()));
  }

  asio::io_context io;
  test::plain_peer peer{io};
  std::optional<dgram::udp::socket> socket;
  std::array<char, 64> storage{};
  test::endpoint sender;
};

}  // namespace

TEST_CASE_METHOD(receiver, "an interrupted batch receive is repeated in every form", "[receive]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  queue(3);
  script.receive().push(fail(EINTR), 3);
  const auto result = receive(how);
  CHECK_FALSE(*result.ec);
  CHECK(result.size == 3);
  CHECK(texts_of(batch) == numbers(0, 3));
}

TEST_CASE_METHOD(receiver, "a batch receive that is woken for nothing waits again", "[receive]")
{
  const auto how = GENERATE(form::blocking, form::async);
  const std::size_t times = GENERATE(1U, 5U);
  queue(4);
  script.receive().push(fail(EAGAIN), times);
  const auto result = receive(how);
  CHECK_FALSE(*result.ec);
  CHECK(texts_of(batch) == numbers(0, 4));
  CHECK(script.receive().calls() == times + (test::batched_calls ? 1 : 4));
}

TEST_CASE_METHOD(receiver, "a batch receive whose datagram another reader took waits for the next",
                 "[receive]")
{
  asio::io_context steps;
  outcome result;
  socket.async_receive_batch(batch, asio::bind_executor(steps.get_executor(), result.handler()));
  queue(1);
  REQUIRE(io.run_one_for(test::seconds(10)) == 1);

  std::array<char, 64> storage{};
  CHECK(socket.try_receive(asio::buffer(storage)) == 1);
  steps.poll();
  CHECK_FALSE(result.ec);

  peer.send("next", socket.local_endpoint());
  REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  test::run(steps);
  REQUIRE(result.ec);
  CHECK_FALSE(*result.ec);
  CHECK(texts_of(batch) == std::vector<std::string>{"next"});
}

TEST_CASE_METHOD(receiver, "try_receive_batch reports an empty queue in each of its forms",
                 "[receive]")
{
  queue(1);
  script.receive().push(fail(EAGAIN), 2);
  dgram::error_code ec;
  CHECK(socket.try_receive_batch(batch, ec) == 0);
  CHECK(ec == asio::error::would_block);
  CHECK(batch.empty());
  CHECK(socket.try_receive_batch(batch) == std::nullopt);
  CHECK(socket.try_receive_batch(batch) == 1);

  script.receive().push(fail(ENOMEM));
  CHECK_THROWS_AS(socket.try_receive_batch(batch), dgram::system_error);
}

TEST_CASE_METHOD(receiver,
                 "an error between two datagrams comes after the first and before the second",
                 "[receive]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  const std::size_t before = GENERATE(range(std::size_t{0}, std::size_t{4}));
  queue(4);
  script.receive_step(before, ECONNREFUSED);

  if (before > 0) {
    const auto first = receive(how);
    CHECK_FALSE(*first.ec);
    CHECK(first.size == before);
    CHECK(texts_of(batch) == numbers(0, before));
  }
  const auto error = receive(how);
  CHECK(*error.ec == asio::error::connection_refused);
  CHECK(error.size == 0);
  const auto rest = receive(how);
  CHECK_FALSE(*rest.ec);
  CHECK(texts_of(batch) == numbers(before, 4));
}

TEST_CASE_METHOD(receiver, "an error that was met behind a batch reaches the next single receive",
                 "[receive]")
{
  queue(2);
  script.receive_step(1, ECONNREFUSED);
  CHECK(receive(form::try_form).size == 1);

  std::array<char, 64> storage{};
  test::endpoint sender;
  dgram::error_code ec;
  SECTION("with the sender")
  {
    CHECK(socket.try_receive_from(asio::buffer(storage), sender, ec) == 0);
    CHECK(ec == asio::error::connection_refused);
    CHECK(socket.try_receive_from(asio::buffer(storage), sender, ec) == 1);
  }
  SECTION("without it")
  {
    CHECK(socket.try_receive(asio::buffer(storage), ec) == 0);
    CHECK(ec == asio::error::connection_refused);
    CHECK(socket.try_receive(asio::buffer(storage), ec) == 1);
  }
  CHECK_FALSE(ec);
  CHECK(storage[0] == '1');
}

TEST_CASE_METHOD(receiver, "an error that was met behind a batch does not outlive its descriptor",
                 "[receive]")
{
  if (test::batched_calls) SKIP("with recvmmsg the kernel keeps such an error, not the socket");
  queue(2);
  script.receive_step(1, ECONNREFUSED);
  CHECK(receive(form::try_form).size == 1);
  socket.close();
  socket.open(dgram::udp::v4());
  socket.bind(test::loopback_v4());
  CHECK(*receive(form::try_form).ec == asio::error::would_block);
}

TEST_CASE_METHOD(receiver, "an error that was met behind a batch moves with the socket",
                 "[receive]")
{
  dgram::basic_socket<dgram::udp, asio::io_context::executor_type> source(io, test::loopback_v4());
  peer.send_numbers(2, source.local_endpoint());
  script.receive_step(1, ECONNREFUSED);
  CHECK(source.try_receive_batch(batch) == 1);

  dgram::error_code ec;
  SECTION("to the same type")
  {
    auto moved = std::move(source);
    CHECK(moved.try_receive_batch(batch, ec) == 0);
    CHECK(ec == asio::error::connection_refused);
    CHECK(moved.try_receive_batch(batch, ec) == 1);
  }
  SECTION("to the type of another executor")
  {
    dgram::udp::socket moved(std::move(source));
    CHECK(moved.try_receive_batch(batch, ec) == 0);
    CHECK(ec == asio::error::connection_refused);
    CHECK(moved.try_receive_batch(batch, ec) == 1);
  }
  CHECK(texts_of(batch) == std::vector<std::string>{"1"});
}

TEST_CASE_METHOD(receiver, "after a short batch the next one waits without asking the kernel",
                 "[receive]")
{
  queue(3);
  CHECK(receive(form::async).size == 3);
  const std::size_t asked = script.receive().calls();
  CHECK(asked == (test::batched_calls ? 1 : 4));

  outcome next;
  socket.async_receive_batch(batch, next.handler());
  CHECK(io.poll() == 0);
  CHECK(script.receive().calls() == asked);

  queue(4);
  test::run(io);
  REQUIRE(next.ec);
  CHECK(next.size == 4);
  CHECK(script.receive().calls() == asked + (test::batched_calls ? 1 : 4));
}

TEST_CASE_METHOD(receiver,
                 "what came between a short batch and the next one is not waited for in vain",
                 "[receive]")
{
  queue(3);
  CHECK(receive(form::async).size == 3);
  queue(2);
  CHECK(receive(form::async).size == 2);
  CHECK(texts_of(batch) == numbers(0, 2));
}

TEST_CASE_METHOD(receiver, "after a full batch the next one asks at once", "[receive]")
{
  queue(6);
  CHECK(receive(form::async).size == 4);
  const std::size_t asked = script.receive().calls();
  CHECK(asked == (test::batched_calls ? 1 : 4));

  outcome next;
  socket.async_receive_batch(batch, next.handler());
  CHECK(script.receive().calls() > asked);
  CHECK_FALSE(next.ec);
  test::run(io);
  REQUIRE(next.ec);
  CHECK(next.size == 2);
  CHECK(texts_of(batch) == numbers(4, 6));
}

TEST_CASE_METHOD(receiver, "a short batch says nothing of the next descriptor", "[receive]")
{
  queue(1);
  CHECK(receive(form::async).size == 1);
  socket.close();
  socket.open(dgram::udp::v4());
  socket.bind(test::loopback_v4());
  queue(1);
  const std::size_t asked = script.receive().calls();
  outcome next;
  socket.async_receive_batch(batch, next.handler());
  CHECK(script.receive().calls() > asked);
  test::run(io);
  CHECK(next.size == 1);
}

TEST_CASE_METHOD(receiver, "a queue that stays empty is asked once for each wake-up", "[receive]")
{
  outcome result;
  socket.async_receive_batch(batch, result.handler());
  CHECK(script.receive().calls() == 1);
  CHECK(io.run_for(test::milliseconds(50)) == 0);
  CHECK(script.receive().calls() == 1);
  queue(4);
  test::run(io);
  CHECK(result.size == 4);
  CHECK(script.receive().calls() == 1 + (test::batched_calls ? 1U : 4U));
}

TEST_CASE_METHOD(receiver, "a batch receive reports an error without datagrams", "[receive]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  const int error = GENERATE(ENOMEM, EBADF, ECONNREFUSED);
  queue(1);
  script.receive().push(fail(error));
  const auto result = receive(how);
  CHECK(result.ec->value() == error);
  CHECK(result.size == 0);
  CHECK(batch.empty());
  CHECK(receive(how).size == 1);
}

TEST_CASE_METHOD(receiver, "try_receive_from asks again when interrupted, and reports the rest",
                 "[receive]")
{
  queue(1);
  std::array<char, 64> storage{};
  test::endpoint sender;
  dgram::error_code ec;
  script.receive().push(fail(EAGAIN), 2);
  CHECK(socket.try_receive_from(asio::buffer(storage), sender, ec) == 0);
  CHECK(ec == asio::error::would_block);
  CHECK(socket.try_receive_from(asio::buffer(storage), sender) == std::nullopt);
  script.receive().push(fail(ENOMEM));
  CHECK_THROWS_AS(socket.try_receive_from(asio::buffer(storage), sender), dgram::system_error);
  CHECK(sender == test::endpoint());
  script.receive().push(fail(EINTR), 2);
  CHECK(socket.try_receive_from(asio::buffer(storage), sender) == 1);
  CHECK(sender == peer.endpoint());
}

TEST_CASE_METHOD(dual_receiver, "async_receive_from on a dual-stack socket survives false wake-ups",
                 "[receive]")
{
  if (!socket) SKIP("this host has no IPv6 loopback");
  const int error = GENERATE(EAGAIN, EINTR);
  const std::size_t times = GENERATE(0U, 1U, 5U);
  script.receive().push(fail(error), times);
  outcome result;
  socket->async_receive_from(asio::buffer(storage), sender, result.handler());
  send("hello");
  test::run(io);
  REQUIRE(result.ec);
  CHECK_FALSE(*result.ec);
  CHECK(std::string_view(storage.data(), result.size) == "hello");
  CHECK(sender == peer.endpoint());
}

TEST_CASE_METHOD(dual_receiver, "async_receive_from on a dual-stack socket waits again in earnest",
                 "[receive]")
{
  if (!socket) SKIP("this host has no IPv6 loopback");
  asio::io_context steps;
  outcome result;
  socket->async_receive_from(asio::buffer(storage), sender,
                             asio::bind_executor(steps.get_executor(), result.handler()));
  send("first");
  REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  std::array<char, 64> taken{};
  CHECK(socket->try_receive(asio::buffer(taken)) == 5);
  steps.poll();
  CHECK_FALSE(result.ec);
  CHECK(sender == test::endpoint());

  send("second");
  REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  test::run(steps);
  REQUIRE(result.ec);
  CHECK_FALSE(*result.ec);
  CHECK(std::string_view(storage.data(), result.size) == "second");
}

TEST_CASE_METHOD(dual_receiver, "async_receive_from on a dual-stack socket reports an error",
                 "[receive]")
{
  if (!socket) SKIP("this host has no IPv6 loopback");
  const bool after_wake_up = GENERATE(false, true);
  if (after_wake_up) script.receive().push(fail(EAGAIN));
  script.receive().push(fail(ECONNREFUSED));
  send("hello");
  outcome result;
  socket->async_receive_from(asio::buffer(storage), sender, result.handler());
  CHECK_FALSE(result.ec);
  test::run(io);
  REQUIRE(result.ec);
  CHECK(*result.ec == asio::error::connection_refused);
  CHECK(result.size == 0);
  CHECK(sender == test::endpoint());
  CHECK(socket->try_receive(asio::buffer(storage)) == 5);
}

TEST_CASE_METHOD(dual_receiver, "a dual-stack socket shows a datagram without taking it",
                 "[receive]")
{
  if (!socket) SKIP("this host has no IPv6 loopback");
  send("hello");
  const int flags = asio::socket_base::message_peek;
  for (int i = 0; i < 2; ++i) {
    dgram::error_code ec = asio::error::fault;
    CHECK(socket->receive_from(asio::buffer(storage), sender, flags, ec) == 5);
    CHECK_FALSE(ec);
    CHECK(sender == peer.endpoint());
  }
  CHECK(socket->try_receive(asio::buffer(storage)) == 5);
}

TEST_CASE_METHOD(dual_receiver, "an error behind a batch reaches the next async_receive_from",
                 "[receive]")
{
  if (!socket) SKIP("this host has no IPv6 loopback");
  send("0");
  send("1");
  script.receive_step(1, ECONNREFUSED);
  dgram::receive_batch batch(4, 64);
  CHECK(socket->try_receive_batch(batch) == 1);
  CHECK(batch[0].sender() == peer.endpoint());

  outcome result;
  socket->async_receive_from(asio::buffer(storage), sender, result.handler());
  test::run(io);
  REQUIRE(result.ec);
  CHECK(*result.ec == asio::error::connection_refused);
  CHECK(socket->try_receive_from(asio::buffer(storage), sender) == 1);
  CHECK(storage[0] == '1');
}

}  // namespace receive_test
