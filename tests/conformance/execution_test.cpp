// SPDX-License-Identifier: BSL-1.0
// When, where and how often handlers are called, and what is still there when they are.
#include "support/handlers.hpp"

#include <catch2/catch_template_test_macros.hpp>

#include <asio/post.hpp>
#if ASIO_VERSION >= 102700
#include <asio/bind_immediate_executor.hpp>
#include <asio/system_executor.hpp>
#endif

#include <fcntl.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace execution_test {

namespace {

using test::bench;
using test::outcome;

using executor = asio::io_context::executor_type;

// Asio has no name for this one.
const dgram::error_code no_destination(EDESTADDRREQ, asio::error::get_system_category());

/// Launches on a thread of the context, where a dispatched handler would run at once, and reports
/// whether the handler ran before the initiating function returned.
template <class Launch>
outcome launch_inside(asio::io_context& io, Launch launch)
{
  outcome result;
  bool inside = false;
  bool called_inside = false;
  asio::post(io, [&] {
    inside = true;
    launch([&](const dgram::error_code& ec, const auto&... values) {
      called_inside = called_inside || inside;
      result.note(ec, values...);
    });
    inside = false;
  });
  test::run(io);
  REQUIRE_FALSE(called_inside);
  REQUIRE(result.calls == 1);
  return result;
}

template <class Operation, class Executor>
outcome launch_inside(asio::io_context& io, bench<Executor>& b)
{
  return launch_inside(
      io, [&](auto handler) { Operation::start(b, test::move_only(std::move(handler))); });
}

}  // namespace

TEMPLATE_TEST_CASE("a handler is called once, and not by the initiating function", "",
                   DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<executor> b(io.get_executor(), test::protocol_for<TestType>);
  TestType::ready(b);

  SECTION("success at once")
  {
    const outcome result = launch_inside<TestType>(io, b);
    REQUIRE_FALSE(result.ec);
    REQUIRE(result.count == TestType::moves);
    TestType::verify(b);
  }

  SECTION("a closed socket")
  {
    b.socket->close();
    const outcome result = launch_inside<TestType>(io, b);
    if constexpr (std::is_same_v<TestType, test::connect>) {
      REQUIRE_FALSE(result.ec);
      TestType::verify(b);
    } else {
      REQUIRE(result.ec == asio::error::bad_descriptor);
      REQUIRE(result.count == 0);
    }
  }

  SECTION("a socket that was moved from")
  {
    const auto taken = std::move(*b.socket);
    const outcome result = launch_inside<TestType>(io, b);
    if constexpr (std::is_same_v<TestType, test::connect>)
      REQUIRE_FALSE(result.ec);
    else
      REQUIRE(result.ec == asio::error::bad_descriptor);
    REQUIRE(result.count == 0);
  }
}

TEST_CASE("what is refused at once is refused by the handler")
{
  asio::io_context io;
  bench<executor> b(io.get_executor());
  const std::string text = "x";

  SECTION("send_to for another family")
  {
    const outcome result = launch_inside(io, [&](auto handler) {
      b.socket->async_send_to(asio::buffer(text), test::loopback_v6(1), std::move(handler));
    });
    REQUIRE(result.ec == asio::error::address_family_not_supported);
    REQUIRE(result.count == 0);
  }

  SECTION("connect to another family, on a connected socket")
  {
    b.connect();
    const outcome result = launch_inside(io, [&](auto handler) {
      b.socket->async_connect(test::loopback_v6(1), std::move(handler));
    });
    REQUIRE(result.ec == asio::error::address_family_not_supported);
    REQUIRE(b.socket->remote_endpoint() == b.to_peer);
  }

  SECTION("connect to another family")
  {
    const outcome result = launch_inside(io, [&](auto handler) {
      b.socket->async_connect(test::loopback_v6(1), std::move(handler));
    });
    REQUIRE(result.ec);
  }

  SECTION("send without a peer")
  {
    const outcome result = launch_inside<test::send>(io, b);
    REQUIRE(result.ec == no_destination);
  }

  SECTION("a datagram that is too large")
  {
    const std::vector<char> large(70000);
    const outcome result = launch_inside(io, [&](auto handler) {
      b.socket->async_send_to(asio::buffer(large), b.to_peer, std::move(handler));
    });
    REQUIRE(result.ec == asio::error::message_size);
  }

  SECTION("a batch whose first datagram is too large")
  {
    const std::vector<char> large(70000);
    b.out.push(dgram::bytes_view(large), b.to_peer);
    const outcome result = launch_inside<test::send_batch>(io, b);
    REQUIRE(result.ec == asio::error::message_size);
    REQUIRE(result.count == 0);
    REQUIRE(b.out.size() == 1);
  }

  SECTION("a batch with peers on a connected socket")
  {
    b.connect();
    b.out.push(dgram::bytes_view(text), b.to_peer);
    const outcome result = launch_inside<test::send_batch>(io, b);
    REQUIRE(result.ec == asio::error::already_connected);
    REQUIRE(b.out.size() == 1);
  }

  SECTION("a batch without peers on a socket that is not connected")
  {
    b.out.push(dgram::bytes_view(text));
    const outcome result = launch_inside<test::send_batch>(io, b);
    REQUIRE(result.ec == no_destination);
    REQUIRE(b.out.size() == 1);
  }

  SECTION("an empty batch is sent")
  {
    const outcome result = launch_inside<test::send_batch>(io, b);
    REQUIRE_FALSE(result.ec);
    REQUIRE(result.count == 0);
  }
}

TEMPLATE_TEST_CASE("a pending operation keeps its contexts running", "", DGRAM_RECEIVE_OPERATIONS,
                   test::wait_readable)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<executor> b(io.get_executor(), test::protocol_for<TestType>);
  outcome result;

  SECTION("that of the socket")
  {
    TestType::start(b, test::record(result));
    for (int turn = 0; turn < 3; ++turn) {
      io.poll();
      REQUIRE_FALSE(io.stopped());
      REQUIRE(result.calls == 0);
    }
    b.deliver();
    test::run(io);
  }

  SECTION("that of the handler, which is another")
  {
    asio::io_context other;
    TestType::start(b, asio::bind_executor(other.get_executor(), test::record(result)));
    other.poll();
    REQUIRE_FALSE(other.stopped());
    b.deliver();
    // Steps alternate between the two: the wait ends on one, the handler is due on the other.
    for (int turn = 0; result.calls == 0; ++turn) {
      REQUIRE(turn < 10);
      io.restart();
      io.run_one_for(test::seconds(turn == 0 ? 10 : 0));
      REQUIRE(result.calls == 0);
      REQUIRE_FALSE(other.stopped());
      other.poll();
    }
    test::run(other);
    test::run(io);
  }

  REQUIRE(result.calls == 1);
  REQUIRE_FALSE(result.ec);
  TestType::verify(b);
}

namespace {

struct thrown : std::runtime_error {
  thrown() : std::runtime_error("thrown by a handler") {}
};

/// A handler's state, to see how often it was called and whether it was destroyed.
struct witness {
  std::shared_ptr<int> token = std::make_shared<int>(0);

  auto handler()
  {
    return [held = token](const dgram::error_code&, const auto&...) { ++*held; };
  }

  bool destroyed() const { return token.use_count() == 1; }
  int calls() const { return *token; }
};

}  // namespace

TEMPLATE_TEST_CASE("a context that is destroyed calls no handler and destroys all of them", "",
                   DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  witness seen;
  auto io = std::make_unique<asio::io_context>();
  auto b = std::make_unique<bench<executor>>(io->get_executor(), test::protocol_for<TestType>);

  SECTION("after the socket")
  {
    TestType::start(*b, seen.handler());
    b.reset();
  }

  SECTION("after the socket, with the completion queued")
  {
    TestType::ready(*b);
    TestType::start(*b, seen.handler());
    b.reset();
  }

  SECTION("while the socket is held by its own handler")
  {
    auto& used = *b;
    TestType::start(used, [held = std::shared_ptr(std::move(b)),
                           inner = seen.handler()](const auto&... values) { inner(values...); });
  }

  SECTION("while the socket is held by its own handler, with the completion queued")
  {
    TestType::ready(*b);
    auto& used = *b;
    TestType::start(used, [held = std::shared_ptr(std::move(b)),
                           inner = seen.handler()](const auto&... values) { inner(values...); });
  }

  SECTION("while the socket is held by a coroutine")
  {
    auto wait = [](std::unique_ptr<bench<executor>> held,
                   std::shared_ptr<int> token) -> asio::awaitable<void> {
      co_await TestType::start(*held, asio::use_awaitable);
      ++*token;
    };
    asio::co_spawn(*io, wait(std::move(b), seen.token), asio::detached);
    // The first step is the coroutine's own; what can complete would do so in the next.
    io->run_one();
  }

  const int calls = seen.calls();
  io.reset();
  REQUIRE(seen.calls() == calls);
  REQUIRE(seen.calls() == 0);
  REQUIRE(seen.destroyed());
}

TEMPLATE_TEST_CASE("a handler may throw", "", DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<executor> b(io.get_executor(), test::protocol_for<TestType>);
  test::allocation_record memory;
  TestType::ready(b);
  TestType::start(
      b, asio::bind_allocator(test::recording_allocator<>(memory),
                              [](const dgram::error_code&, const auto&...) { throw thrown(); }));
  REQUIRE_THROWS_AS(io.run_for(test::seconds(10)), thrown);
  REQUIRE(memory.live == 0);
  test::run(io);
  TestType::verify(b);

  TestType::ready(b);
  outcome result;
  TestType::start(b, test::record(result));
  test::run(io);
  REQUIRE(result.calls == 1);
  REQUIRE_FALSE(result.ec);
  REQUIRE(result.count == TestType::moves);
  TestType::verify(b);
}

TEMPLATE_TEST_CASE("a handler may destroy its socket, and the descriptor is free then", "",
                   DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<executor> b(io.get_executor(), test::protocol_for<TestType>);
  const int descriptor = b.socket->native_handle();
  test::allocation_record memory;
  outcome result;
  bool freed = false;
  std::size_t live = 1;
  const auto handler = [&] {
    return asio::bind_allocator(test::recording_allocator<>(memory),
                                [&](const dgram::error_code& ec, const auto&... values) {
                                  live = memory.live;
                                  b.socket.reset();
                                  freed = ::fcntl(descriptor, F_GETFD) == -1 && errno == EBADF;
                                  result.note(ec, values...);
                                });
  };

  SECTION("that completed at once")
  {
    TestType::ready(b);
    TestType::start(b, handler());
  }

  SECTION("that had to wait")
  {
    TestType::start(b, handler());
    io.poll();
    // Those that never wait are done.
    if (result.calls == 0) TestType::ready(b);
  }

  SECTION("by an executor of the handler's own")
  {
    test::manual_queue queue;
    TestType::ready(b);
    TestType::start(b, asio::bind_executor(queue.get_executor(), handler()));
    test::run_until(io, queue, [&] { return result.calls > 0; });
  }

  test::run(io);
  REQUIRE(result.calls == 1);
  REQUIRE(live == 0);
  REQUIRE(freed);
}

TEMPLATE_TEST_CASE("a handler may start the next operation", "", DGRAM_ALL_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<executor> b(io.get_executor(), test::protocol_for<TestType>);
  int rounds = 0;
  std::function<void()> next = [&] {
    TestType::ready(b);
    TestType::start(b, [&](const dgram::error_code& ec, const auto&...) {
      REQUIRE_FALSE(ec);
      TestType::verify(b);
      if (++rounds < 10) next();
    });
  };
  next();
  test::run(io);
  REQUIRE(rounds == 10);
}

TEMPLATE_TEST_CASE("an intermediate step runs where the handler does", "", DGRAM_RECEIVE_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<executor> b(io.get_executor(), test::protocol_for<TestType>);
  test::manual_queue queue;
  outcome result;
  TestType::start(b, asio::bind_executor(queue.get_executor(), test::record(result)));
  b.deliver();
  test::run_until_queued(io, queue);
  // What a step does on the context's thread, no strand of the handler's would protect.
  REQUIRE((b.left() == b.text) == TestType::takes_late);
  if (TestType::takes_late) b.deliver();
  test::run_until(io, queue, [&] { return result.calls > 0; });
  REQUIRE_FALSE(result.ec);
  TestType::verify(b);
}

#if ASIO_VERSION >= 102700

// A wait for readiness is left out: it always goes through the reactor.
TEMPLATE_TEST_CASE("the immediate executor is honoured by what completes at once", "",
                   test::connect, test::send, test::send_to, test::send_to_dual, test::receive,
                   test::receive_from, test::receive_from_dual, test::receive_batch,
                   test::receive_batch_dual, test::send_batch)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<executor> b(io.get_executor(), test::protocol_for<TestType>);
  outcome result;
  bool failing = false;

  SECTION("success")
  {
    TestType::ready(b);
  }

  SECTION("failure")
  {
    TestType::ready(b);
    // A connect opens a closed socket, and the kernel takes one of a connected socket.
    if constexpr (std::is_same_v<TestType, test::connect>) {
      b.to_peer.port(0);
    } else {
      b.connect();
      b.socket->close();
    }
    failing = true;
  }

  // The system executor runs a dispatched function at once.
  bool inside_call = false;
  asio::post(io, [&] {
    TestType::start(b,
                    asio::bind_immediate_executor(asio::system_executor(), test::record(result)));
    inside_call = result.calls == 1;
  });
  test::run(io);
  REQUIRE(result.calls == 1);
  REQUIRE(inside_call);
  REQUIRE(bool(result.ec) == failing);
  REQUIRE(result.count == (failing ? 0 : TestType::moves));
}

TEMPLATE_TEST_CASE("the immediate executor is not used by what had to wait", "",
                   DGRAM_RECEIVE_OPERATIONS)
{
  DGRAM_SKIP_UNLESS_POSSIBLE(TestType);
  asio::io_context io;
  bench<executor> b(io.get_executor(), test::protocol_for<TestType>);
  test::manual_queue immediate;
  outcome result;
  TestType::start(b, asio::bind_immediate_executor(immediate.get_executor(), test::record(result)));
  io.poll();
  b.deliver();
  test::run(io);
  REQUIRE(immediate.empty());
  REQUIRE(result.calls == 1);
  TestType::verify(b);
}

#endif

}  // namespace execution_test
