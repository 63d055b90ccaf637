// SPDX-License-Identifier: BSL-1.0
// Names in place of endpoints, with a resolver that answers when the test says so.
#include "support/loopback.hpp"
#include "support/system_sockets.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace resolve_test {

namespace {

using test::endpoint;
using test::loopback_v4;
using test::loopback_v6;
using udp_socket = dgram::udp::socket;

enum class answer : std::uint8_t { at_once, later, never };

/// Keeps what it is asked, and answers each question alike.
class fake_resolver {
public:
  explicit fake_resolver(asio::io_context& io) : io_(&io) {}

  template <class Handler>
  void async_resolve(const std::string& host, const std::string& service, Handler handler)
  {
    asked.push_back(host + " " + service);
    auto completion = std::make_shared<Handler>(std::move(handler));
    const auto executor = asio::get_associated_executor(*completion, io_->get_executor());
    tell_ = [this, completion, executor] {
      asio::post(executor, [completion, ec = error, found = results] { (*completion)(ec, found); });
    };
    if (when == answer::at_once) tell();
  }

  /// Answers the last question.
  void tell()
  {
    if (const auto now = std::exchange(tell_, nullptr)) now();
  }

  bool is_waiting() const { return tell_ != nullptr; }

  answer when = answer::at_once;
  dgram::error_code error;
  std::vector<endpoint> results;
  std::vector<std::string> asked;

private:
  asio::io_context* io_;
  std::function<void()> tell_;
};

static_assert(dgram::name_resolver<fake_resolver>);
static_assert(dgram::name_resolver<asio::ip::udp::resolver>);
static_assert(!dgram::name_resolver<asio::use_awaitable_t<>>);
static_assert(!dgram::name_resolver<void (*)(dgram::error_code)>);

struct names {
  names() { peer_port = std::to_string(peer.local_endpoint().port()); }

  auto note()
  {
    return [this](dgram::error_code ec, std::size_t size = 0) {
      ++calls;
      result = ec;
      sent = size;
    };
  }

  dgram::error_code outcome()
  {
    CHECK(calls == 0);  // never inside the call
    test::run(io);
    CHECK(calls == 1);
    calls = 0;
    return result;
  }

  bool heard(const char* text = "hello")
  {
    std::array<char, 16> storage{};
    return peer.try_receive(asio::buffer(storage)) == std::string(text).size();
  }

  asio::io_context io;
  fake_resolver resolver{io};
  udp_socket peer{io, loopback_v4()};
  std::string peer_port;
  std::optional<udp_socket> socket{std::in_place, io, dgram::udp::v4()};
  int calls = 0;
  dgram::error_code result;
  std::size_t sent = 0;
};

constexpr std::string_view hello = "hello";

}  // namespace

TEST_CASE_METHOD(names, "a literal is not looked up", "[resolve]")
{
  dgram::async_bind(*socket, "127.0.0.1", "0", resolver, note());
  CHECK_FALSE(outcome());
  CHECK(socket->local_endpoint().address().is_loopback());
  dgram::async_send_to(*socket, asio::buffer(hello), "127.0.0.1", peer_port, resolver, note());
  CHECK_FALSE(outcome());
  CHECK(sent == 5);
  CHECK(heard());
  dgram::async_connect(*socket, "127.0.0.1", peer_port, resolver, note());
  CHECK_FALSE(outcome());
  CHECK(socket->remote_endpoint() == peer.local_endpoint());
  CHECK(resolver.asked.empty());
}

TEST_CASE_METHOD(names, "BND-11 binding by name stays in the family of the socket", "[resolve]")
{
  resolver.results = {loopback_v6(), loopback_v4()};
  dgram::async_bind(*socket, "localhost", "0", resolver, note());
  CHECK_FALSE(outcome());
  CHECK(socket->local_endpoint().address() == asio::ip::address_v4::loopback());
  CHECK(resolver.asked == std::vector<std::string>{"localhost 0"});

  udp_socket other(io, dgram::udp::v4());
  dgram::async_bind(other, "localhost", "0", note());
  CHECK_FALSE(outcome());
  CHECK(other.local_endpoint().address().is_loopback());
}

TEST_CASE_METHOD(names,
                 "BND-12 a failed lookup is reported as it is, and the socket can be bound later",
                 "[resolve]")
{
  resolver.error = asio::error::host_not_found_try_again;
  dgram::async_bind(*socket, "nowhere.invalid", "0", resolver, note());
  CHECK(outcome() == asio::error::host_not_found_try_again);
  CHECK(socket->local_endpoint().port() == 0);
  resolver.error.clear();
  resolver.results = {loopback_v4()};
  dgram::async_bind(*socket, "somewhere", "0", resolver, note());
  CHECK_FALSE(outcome());
  CHECK(socket->local_endpoint().port() != 0);
}

TEST_CASE_METHOD(names, "SND-23 a send whose lookup fails completes with the resolver's error",
                 "[resolve]")
{
  resolver.error = asio::error::host_not_found;
  dgram::async_send_to(*socket, asio::buffer(hello), "nowhere.invalid", "1", resolver, note());
  CHECK(outcome() == asio::error::host_not_found);
  CHECK(sent == 0);
}

TEST_CASE_METHOD(names, "CLS-10 a socket that is closed during the lookup is not bound by it",
                 "[resolve]")
{
  resolver.when = answer::later;
  resolver.results = {loopback_v4()};
  dgram::async_bind(*socket, "localhost", "0", resolver, note());
  io.poll();
  socket->close();
  socket->open();
  resolver.tell();
  CHECK(outcome() == asio::error::operation_aborted);
  CHECK(socket->local_endpoint().port() == 0);
}

TEST_CASE_METHOD(names, "binding without a host is binding to the wildcard", "[resolve]")
{
  dgram::async_bind(*socket, "", "0", resolver, note());
  CHECK_FALSE(outcome());
  CHECK(socket->local_endpoint().address() == asio::ip::address_v4::any());
  if (test::has_ipv6()) {
    udp_socket dual(io, dgram::udp::dual());
    dgram::async_bind(dual, "", "0", resolver, note());
    CHECK_FALSE(outcome());
    CHECK(dual.local_endpoint().address() == asio::ip::address_v6::any());
  }
  CHECK(resolver.asked.empty());
}

TEST_CASE_METHOD(names, "a name is looked up, and the socket used", "[resolve]")
{
  resolver.when = answer::later;
  resolver.results = {peer.local_endpoint()};
  dgram::async_send_to(*socket, asio::buffer(hello), "peer", "echo", resolver, note());
  io.poll();
  CHECK(calls == 0);
  CHECK(resolver.asked == std::vector<std::string>{"peer echo"});
  resolver.tell();
  CHECK_FALSE(outcome());
  CHECK(sent == 5);
  CHECK(heard());
}

TEST_CASE_METHOD(names, "a resolver that has no results and no error has not found the host",
                 "[resolve]")
{
  dgram::async_send_to(*socket, asio::buffer(hello), "peer", "1", resolver, note());
  CHECK(outcome() == asio::error::host_not_found);
  dgram::async_connect(*socket, "peer", "1", resolver, note());
  CHECK(outcome() == asio::error::host_not_found);
  CHECK_FALSE(heard());
}

TEST_CASE_METHOD(names, "results are tried in order", "[resolve]")
{
  // The kernel refuses port 0 and a broadcast address that was not asked for.
  const endpoint refused(asio::ip::address_v4::broadcast(), 9);
  resolver.results = {loopback_v6(9), loopback_v4(0), refused, peer.local_endpoint(),
                      loopback_v4(1)};
  dgram::async_send_to(*socket, asio::buffer(hello), "many", "1", resolver, note());
  CHECK_FALSE(outcome());
  CHECK(heard());
  dgram::async_connect(*socket, "many", "1", resolver, note());
  CHECK_FALSE(outcome());
  CHECK(socket->remote_endpoint() == peer.local_endpoint());

  udp_socket other(io, dgram::udp::v4());
  resolver.results = {peer.local_endpoint(), loopback_v4()};
  dgram::async_bind(other, "many", "1", resolver, note());
  CHECK_FALSE(outcome());
  CHECK(other.local_endpoint().address().is_loopback());

  udp_socket third(io, dgram::udp::v4());
  resolver.results = {loopback_v4(0), refused};
  dgram::async_send_to(third, asio::buffer(hello), "none", "1", resolver, note());
  CHECK(outcome() == asio::error::access_denied);
  dgram::async_connect(third, "none", "1", resolver, note());
  CHECK(outcome() == asio::error::access_denied);
}

TEST_CASE_METHOD(names, "connecting by name opens a closed socket, for the family that works",
                 "[resolve]")
{
  udp_socket closed(io);
  resolver.results = {loopback_v6(0), loopback_v4(0)};
  dgram::async_connect(closed, "peer", "1", resolver, note());
  CHECK(outcome() == dgram::error::bad_port);
  CHECK_FALSE(closed.is_open());
  resolver.results = {endpoint(asio::ip::address_v4::broadcast(), 9), peer.local_endpoint()};
  if (test::has_ipv6()) resolver.results.insert(resolver.results.begin(), loopback_v6(0));
  dgram::async_connect(closed, "peer", "1", resolver, note());
  CHECK_FALSE(outcome());
  CHECK(closed.remote_endpoint() == peer.local_endpoint());
}

TEST_CASE_METHOD(names, "a dual-stack socket takes results of both families", "[resolve]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  const udp_socket six(io, loopback_v6());
  for (const auto& to : {six.local_endpoint(), peer.local_endpoint()}) {
    udp_socket dual(io, dgram::udp::dual());
    resolver.results = {to};
    dgram::async_connect(dual, "peer", "1", resolver, note());
    CHECK_FALSE(outcome());
    CHECK(dual.remote_endpoint() == to);
  }
  udp_socket v6(io, dgram::udp::v6());
  dgram::async_connect(v6, "peer", "1", resolver, note());
  CHECK(outcome() == asio::error::host_not_found);
  dgram::async_connect(v6, "127.0.0.1", "1", resolver, note());
  CHECK(outcome() == asio::error::address_family_not_supported);
}

TEST_CASE_METHOD(names, "text that cannot be right completes with an error and is not looked up",
                 "[resolve]")
{
  const auto fails_with = [&](std::string_view host, std::string_view service) {
    dgram::async_connect(*socket, host, service, resolver, note());
    return outcome();
  };
  for (const char* service : {"", "-1", "65536", "4294967349", "1.5", " 53", "53 "})
    CHECK(fails_with("peer", service) == dgram::error::bad_port);
  CHECK(fails_with("peer", std::string_view("do\0main", 7)) == dgram::error::bad_port);
  for (const char* host : {"", "0", "53", "2130706433", "::1::", ":", "1:2", "::ffff:127.1"})
    CHECK(fails_with(host, "53") == dgram::error::bad_address);
  CHECK(fails_with(std::string_view("a\0b", 3), "53") == dgram::error::bad_address);
  CHECK(fails_with("fe80::1%nope0", "53") == dgram::error::unknown_interface);
  CHECK(fails_with("::1", "53") == asio::error::address_family_not_supported);
  CHECK(fails_with("127.0.0.1", "0") == dgram::error::bad_port);
  CHECK(resolver.asked.empty());
}

TEST_CASE_METHOD(names, "short and odd forms of an IPv4 address are the resolver's to read",
                 "[resolve]")
{
  resolver.results = {peer.local_endpoint()};
  for (const std::string host : {"127.1", "0177.0.0.1", "0x7f.1", "256.1.1.1", "1.2.3.4."}) {
    resolver.asked.clear();
    dgram::async_send_to(*socket, asio::buffer(hello), host, "1", resolver, note());
    CHECK_FALSE(outcome());
    CHECK(resolver.asked == std::vector<std::string>{host + " 1"});
    CHECK(heard());
  }
  // getaddrinfo(3) reads it as inet_aton(3) does.
  dgram::async_send_to(*socket, asio::buffer(hello), "127.1", peer_port, note());
  CHECK_FALSE(outcome());
  CHECK(heard());
}

TEST_CASE_METHOD(names, "a service in capital letters is a name", "[resolve]")
{
  resolver.results = {peer.local_endpoint()};
  dgram::async_send_to(*socket, asio::buffer(hello), "127.0.0.1", "DOMAIN", resolver, note());
  CHECK_FALSE(outcome());
  CHECK(resolver.asked == std::vector<std::string>{"127.0.0.1 DOMAIN"});
  CHECK(heard());
}

TEST_CASE_METHOD(names, "what the socket's state forbids is not looked up", "[resolve]")
{
  socket->close();
  dgram::async_send_to(*socket, asio::buffer(hello), "peer", "1", resolver, note());
  CHECK(outcome() == asio::error::bad_descriptor);
  dgram::async_bind(*socket, "peer", "1", resolver, note());
  CHECK(outcome() == asio::error::bad_descriptor);
  CHECK(resolver.asked.empty());
}

TEST_CASE_METHOD(names, "a lookup that takes long can be ended at once", "[resolve]")
{
  resolver.when = GENERATE(answer::later, answer::never);
  resolver.results = {peer.local_endpoint()};
  const int how = GENERATE(0, 1, 2, 3, 4, 5, 6, 7);
  asio::cancellation_signal signal;
  dgram::async_send_to(*socket, asio::buffer(hello), "peer", "1", resolver,
                       asio::bind_cancellation_slot(signal.slot(), note()));
  io.poll();
  REQUIRE(resolver.is_waiting());
  switch (how) {
  case 0: signal.emit(asio::cancellation_type::terminal); break;
  case 1: signal.emit(asio::cancellation_type::partial); break;
  case 2: signal.emit(asio::cancellation_type::total); break;
  case 3: socket->cancel(); break;
  case 4: socket->close(); break;
  case 5: socket.reset(); break;
  case 6: test::close_descriptor(socket->release()); break;
  case 7: *socket = udp_socket(io, dgram::udp::v4()); break;
  default: break;
  }
  CHECK(calls == 0);
  io.restart();
  io.poll();
  CHECK(calls == 1);
  CHECK(result == asio::error::operation_aborted);
  if (resolver.when == answer::later) resolver.tell();  // finds no operation
  test::run(io);
  CHECK(calls == 1);
  CHECK_FALSE(heard());
}

TEST_CASE_METHOD(names, "a cancel of a closed socket ends its lookups", "[resolve]")
{
  resolver.when = answer::never;
  socket->close();
  dgram::async_connect(*socket, "peer", "1", resolver, note());
  io.poll();
  REQUIRE(resolver.is_waiting());
  dgram::error_code ec;
  socket->cancel(ec);
  CHECK(ec == asio::error::bad_descriptor);
  io.restart();
  io.poll();
  CHECK(calls == 1);
  CHECK(result == asio::error::operation_aborted);
}

TEST_CASE_METHOD(names, "a cancel reaches a lookup whose end is queued already", "[resolve]")
{
  resolver.when = answer::later;
  resolver.results = {peer.local_endpoint()};
  dgram::async_connect(*socket, "peer", "1", resolver, note());
  io.poll();
  resolver.tell();
  io.restart();
  io.poll_one();  // the answer; the operation's own step is queued now
  socket->cancel();
  CHECK(outcome() == asio::error::operation_aborted);
  CHECK_NOTHROW(socket->connect(peer.local_endpoint()));
}

TEST_CASE_METHOD(names, "lookups of one socket end apart", "[resolve]")
{
  fake_resolver second(io);
  resolver.when = second.when = answer::later;
  resolver.results = second.results = {peer.local_endpoint()};
  int first_calls = 0;
  dgram::async_send_to(*socket, asio::buffer(hello), "a", "1", resolver,
                       [&](dgram::error_code ec, std::size_t) {
                         CHECK_FALSE(ec);
                         ++first_calls;
                       });
  dgram::async_send_to(*socket, asio::buffer(hello), "b", "1", second, note());
  io.poll();
  second.tell();
  io.restart();
  io.poll();
  CHECK(calls == 1);
  CHECK(first_calls == 0);
  resolver.tell();
  test::run(io);
  CHECK(first_calls == 1);
}

TEST_CASE_METHOD(names, "a lookup goes on while the socket is moved", "[resolve]")
{
  resolver.when = answer::later;
  resolver.results = {peer.local_endpoint()};
  dgram::async_connect(*socket, "peer", "1", resolver, note());
  io.poll();
  udp_socket moved(std::move(*socket));
  socket.reset();
  resolver.tell();
  CHECK_FALSE(outcome());
  CHECK(moved.remote_endpoint() == peer.local_endpoint());
}

TEST_CASE("a context that goes during a lookup calls nobody", "[resolve]")
{
  const auto payload = std::make_shared<int>(1);
  bool called = false;
  {
    asio::io_context io;
    fake_resolver resolver(io);
    resolver.when = answer::never;
    udp_socket socket(io, dgram::udp::v4());
    dgram::async_connect(socket, "peer", "1", resolver,
                         [&called, payload](dgram::error_code) { called = true; });
    dgram::async_connect(socket, "localhost", "1",
                         [&called, payload](dgram::error_code) { called = true; });
    io.poll_one();
  }
  CHECK_FALSE(called);
  CHECK(payload.use_count() == 1);
}

TEST_CASE_METHOD(names, "every kind of token takes a name", "[resolve]")
{
  resolver.results = {peer.local_endpoint()};
  auto future =
      dgram::async_send_to(*socket, asio::buffer(hello), "peer", "1", resolver, asio::use_future);
  auto later =
      dgram::async_send_to(*socket, asio::buffer(hello), "peer", "1", resolver, test::deferred);
  CHECK(resolver.asked.size() == 1);  // the deferred one has not begun
  std::move(later)(note());
  CHECK_FALSE(outcome());
  CHECK(future.get() == 5);
  test::run(io, [&]() -> asio::awaitable<void> {
    const auto size = co_await dgram::async_send_to(*socket, asio::buffer(hello), "peer", "1",
                                                    resolver, asio::use_awaitable);
    CHECK(size == 5);
    const auto defaulted =
        co_await dgram::async_send_to(*socket, asio::buffer(hello), "127.0.0.1", peer_port);
    CHECK(defaulted == 5);
    const auto [ec] = co_await dgram::async_connect(*socket, "1:2", "1", resolver,
                                                    test::as_tuple(asio::use_awaitable));
    CHECK(ec == dgram::error::bad_address);
    co_await dgram::async_connect(*socket, "peer", "1", resolver);
    dgram::error_code again;
    co_await dgram::async_connect(*socket, "peer", "1", resolver,
                                  asio::redirect_error(asio::use_awaitable, again));
    CHECK_FALSE(again);
  }());
  dgram::async_bind(*socket, "peer", "1", resolver, asio::detached);
  test::run(io);
}

TEST_CASE_METHOD(names, "the handler's executor and its move are respected", "[resolve]")
{
  asio::io_context elsewhere;
  resolver.when = answer::later;
  resolver.results = {peer.local_endpoint()};
  int called = 0;
  auto handler = [&called, owned = std::make_unique<int>(1)](dgram::error_code ec) {
    CHECK_FALSE(ec);
    called += *owned;
  };
  dgram::async_connect(*socket, "peer", "1", resolver,
                       asio::bind_executor(elsewhere.get_executor(), std::move(handler)));
  io.poll();
  resolver.tell();
  for (int i = 0; i < 100 && called == 0; ++i) {
    io.restart();
    io.poll();
    CHECK(called == 0);
    elsewhere.restart();
    elsewhere.poll();
  }
  CHECK(called == 1);
}

TEST_CASE_METHOD(names, "Asio's resolver is the default", "[resolve]")
{
  dgram::async_send_to(*socket, asio::buffer(hello), "localhost", peer_port, note());
  CHECK_FALSE(outcome());
  CHECK(heard());
  dgram::async_send_to(*socket, asio::buffer(hello), "localhost", "no-such-service", note());
  CHECK(outcome() == asio::error::service_not_found);
  // A cancelled lookup completes at once, long before its own end is heard of.
  asio::ip::udp::resolver own(io);
  asio::cancellation_signal signal;
  dgram::async_send_to(*socket, asio::buffer(hello), "localhost", peer_port, own,
                       asio::bind_cancellation_slot(signal.slot(), note()));
  signal.emit(asio::cancellation_type::total);
  io.restart();
  while (calls == 0)
    REQUIRE(io.run_one_for(test::seconds(10)) == 1);
  CHECK(result == asio::error::operation_aborted);
  own.cancel();
  test::run(io);
}

}  // namespace resolve_test
