// SPDX-License-Identifier: BSL-1.0
// Calls beside the strand of a listener, a session or an exchanger: what is reported, and what is not.
#include "support/asio.hpp"
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace wrong_executor_test {

namespace {

#if defined(NDEBUG)
constexpr bool checks = false;
#else
constexpr bool checks = true;
#endif

using dgram::error_code;
using usual_strand = asio::strand<asio::io_context::executor_type>;
using check_function = std::function<void(const char*, const std::function<void()>&)>;

/// A server with one session, on an executor of this type.
template <class Executor>
struct scene {
  using socket_type = dgram::basic_socket<dgram::udp, Executor>;
  using listener_type = decltype(dgram::listener(std::declval<socket_type&>()));
  using exchanger_type =
      decltype(dgram::exchanger(std::declval<socket_type&>(), dgram::same_bytes{0, 2}));
  using session_type = typename listener_type::session_type;

  explicit scene(const Executor& on)
      : executor(on),
        socket(on, test::loopback_v4()),
        asking(on, test::loopback_v4()),
        listener(socket),
        exchanger(asking, dgram::same_bytes{0, 2})
  {
    listener.async_accept(
        [this](error_code, std::optional<session_type> got) { session = std::move(got); });
    asking.send_to(asio::buffer("hello", 5), socket.local_endpoint());
  }

  /// Every call that is checked, with what it throws now.
  void call_all(const check_function& check)
  {
    const auto peer = asking.local_endpoint();
    const auto none = [](error_code, auto&&...) {};
    check("session::try_next", [&] { session->try_next(); });
    check("session::try_send", [&] { session->try_send("x"); });
    check("session::try_send", [&] { session->try_send("x", dgram::send_options{}); });
    check("session::async_next", [&] { session->async_next(none); });
    check("session::async_receive", [&] { session->async_receive(asio::buffer(data), none); });
    check("session::async_send", [&] { session->async_send(asio::buffer("x", 1), none); });
    check("session::async_wait", [&] { session->async_wait(asio::socket_base::wait_write, none); });
    check("session::async_ended", [&] { session->async_ended(none); });
    check("session::add_key", [&] { session->add_key(dgram::session_key("key")); });
    check("session::set_peer", [&] { session->set_peer({.peer = peer}); });
    check("session::cancel", [&] { session->cancel(); });
    const auto reference = listener_reference;
    check("session_ref::try_send", [&] { reference.try_send("x"); });
    check("session_ref::try_send", [&] { reference.try_send("x", dgram::send_options{}); });
    check("session_ref::add_key", [&] { reference.add_key(dgram::session_key("key")); });
    check("session_ref::set_peer", [&] { reference.set_peer({.peer = peer}); });
    check("session_ref::close", [&] { reference.close(); });
    check("session::close", [&] { session->close(); });
    check("exchanger::unused_key", [&] { exchanger.unused_key(peer, 2); });
    check("exchanger::async_exchange", [&] { exchanger.async_exchange("id", peer, none); });
    check("exchanger::cancel", [&] { exchanger.cancel(); });
    check("exchanger::close", [&] { exchanger.close(); });
    check("listener::find", [&] { listener.find(session->id()); });
    check("listener::async_accept", [&] { listener.async_accept(none); });
    check("listener::cancel", [&] { listener.cancel(); });
    check("listener::async_serve", [&] {
      listener.async_serve([](session_type) -> asio::awaitable<void> { co_return; }, none);
    });
    check("listener::stop", [&] { listener.stop(); });
    check("listener::async_drain_for",
          [&] { listener.async_drain_for(std::chrono::seconds(1), none); });
    check("listener::async_for_each",
          [&] { listener.async_for_each([](const auto&, const dgram::datagram&) {}, none); });
    check("listener::close", [&] { listener.close(); });
  }

  Executor executor;
  socket_type socket;
  socket_type asking;
  listener_type listener;
  exchanger_type exchanger;
  std::optional<session_type> session;
  typename listener_type::session_ref_type listener_reference;
  std::array<char, 16> data{};
};

/// An executor of the type, on a strand of the context.
template <class Executor>
Executor strand_of(asio::io_context& io)
{
  const bool is_erased = std::is_same_v<Executor, asio::any_io_executor> && GENERATE(false, true);
  CAPTURE(is_erased);
  if constexpr (std::is_same_v<Executor, asio::any_io_executor>)
    if (is_erased) return asio::make_strand(asio::any_io_executor(io.get_executor()));
  return asio::make_strand(io);
}

template <class Executor>
void accept(asio::io_context& io, scene<Executor>& s)
{
  while (!s.session)
    io.run_one();
  s.listener_reference = s.listener.find(s.session->id());
}

const auto throws_none = [](const char* name, const std::function<void()>& call) {
  INFO(name);
  CHECK_NOTHROW(call());
};

const auto throws_each = [](const char* name, const std::function<void()>& call) {
  INFO(name);
  std::string text;
  try {
    call();
  } catch (const std::logic_error& beside) {
    text = beside.what();
  }
  CHECK_THAT(text, Catch::Matchers::StartsWith(std::string(name) + ": called beside the strand"));
};

void run(asio::io_context& io, const std::function<void()>& function)
{
  bool has_run = false;
  asio::post(io, [&] {
    function();
    has_run = true;
  });
  io.restart();
  io.poll();
  REQUIRE(has_run);
}

}  // namespace

TEMPLATE_TEST_CASE("a call beside the strand of a server is an error that names the call",
                   "[executors]", usual_strand, asio::any_io_executor)
{
  if (!checks) SKIP("NDEBUG is defined");
  asio::io_context io;
  scene<TestType> s(strand_of<TestType>(io));
  accept(io, s);
  run(io, [&] { s.call_all(throws_each); });
  // Nothing has changed.
  CHECK(s.session->is_open());
  CHECK_FALSE(s.listener.is_stopped());
  CHECK_FALSE(s.exchanger.is_closed());
  CHECK(s.session->statistics().refused == 0);
  const auto awaits = [&](const char* name, asio::awaitable<void> beside) {
    std::string text;
    asio::co_spawn(io, std::move(beside), [&](const std::exception_ptr& thrown) {
      try {
        if (thrown) std::rethrow_exception(thrown);
      } catch (const std::logic_error& error) {
        text = error.what();
      }
    });
    run(io, [] {});
    CHECK_THAT(text, Catch::Matchers::StartsWith(std::string(name) + ": called beside"));
  };
  awaits("session::next",
         [](auto& from) -> asio::awaitable<void> { co_await from.next(); }(*s.session));
  awaits("session::send", s.session->send("x"));
  awaits("session_ref::send", s.listener_reference.send("x"));
  awaits("listener::accept", [](auto& on) -> asio::awaitable<void> {
    co_await on.accept_for(std::chrono::seconds(1));
  }(s.listener));
}

TEMPLATE_TEST_CASE("no call is reported that may be right", "[executors]", usual_strand,
                   asio::any_io_executor)
{
  asio::io_context io;
  scene<TestType> s(strand_of<TestType>(io));  // before the context runs
  accept(io, s);
  SECTION("on the strand")
  {
    asio::post(s.executor, [&] { s.call_all(throws_none); });
    io.restart();
    io.poll();
  }
  SECTION("on the strand, in a handler that a handler beside it runs")
  {
    run(io, [&] {
      asio::post(s.executor, [&] { s.call_all(throws_none); });
      io.poll();
    });
  }
  SECTION("beside it, in a handler that the strand runs")
  {
    asio::post(s.executor, [&] {
      asio::post(io, [&] { s.call_all(throws_none); });
      io.poll();
    });
    io.restart();
    io.poll();
  }
  SECTION("while the context does not run, on the thread that has run it")
  {
    s.call_all(throws_none);
  }
  SECTION("while the context does not run, on another thread")
  {
    std::async(std::launch::async, [&] {
      s.call_all([](const char*, const std::function<void()>& call) { call(); });
    }).get();
    CHECK(s.listener.is_stopped());
  }
  SECTION("in a handler of another context")
  {
    asio::io_context other;
    run(other, [&] { s.call_all(throws_none); });
  }
  SECTION("spawned on the strand by a handler beside it")
  {
    run(io, [&] {
      asio::co_spawn(s.executor, s.session->send("x"),
                     [](const std::exception_ptr& thrown) { CHECK(thrown == nullptr); });
    });
  }
}

TEMPLATE_TEST_CASE("an executor that is no strand reports nothing", "[executors]",
                   asio::io_context::executor_type, asio::any_io_executor)
{
  asio::io_context io;
  scene<TestType> s(io.get_executor());
  accept(io, s);
  run(io, [&] { s.call_all(throws_none); });
  io.restart();
  io.poll();
}

}  // namespace wrong_executor_test
