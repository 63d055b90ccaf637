// SPDX-License-Identifier: BSL-1.0
// Receiving: senders, empty datagrams, several at once, stopping, and what is never delivered.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace receive_test {

namespace {

using test::udp_socket;

void check_sender(const test::endpoint& local)
{
  asio::io_context io;
  udp_socket receiver(io, local);
  udp_socket sender(io, local);
  const auto peer = receiver.local_endpoint();
  sender.send_to(test::text_buffer("hello"), peer);
  const auto got = test::receive(io, receiver);
  CHECK(got.text == "hello");
  CHECK(got.sender == sender.local_endpoint());
  CHECK(got.sender.protocol() == local.protocol());

  sender.send_to(test::text_buffer("hello"), peer);
  dgram::receive_batch batch(2, 64);
  REQUIRE(receiver.try_receive_batch(batch) == 1);
  CHECK(batch[0].payload().text() == "hello");
  CHECK(batch[0].sender() == sender.local_endpoint());
  CHECK(batch[0].wire_size() == 5);
  CHECK_FALSE(batch[0].truncated());
}

/// An address of this host that is valid on one link only.
std::optional<asio::ip::address_v6> own_link_local_address()
{
  for (const auto& interface : dgram::list_interfaces())
    for (const auto& address : interface.addresses)
      if (address.is_v6() && address.to_v6().is_link_local() && address.to_v6().scope_id() != 0)
        return address.to_v6();
  return std::nullopt;
}

}  // namespace

TEST_CASE("RCV-01: a datagram comes with its sender", "[receive]")
{
  check_sender(test::loopback_v4());
}

TEST_CASE("RCV-01: an IPv6 datagram comes with its sender", "[receive]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  check_sender(test::loopback_v6());
}

TEST_CASE_METHOD(test::bound_pair, "RCV-02: an empty datagram is a datagram", "[receive]")
{
  const std::array<const char*, 4> texts{"before", "", "", "after"};
  const auto send_all = [&] {
    for (const char* text : texts)
      sender.send_to(test::text_buffer(text), receiver.local_endpoint());
  };
  send_all();
  for (const char* text : texts) {
    const auto got = test::receive(io, receiver);
    CHECK(got.text == text);
    CHECK(got.sender == sender.local_endpoint());
  }

  send_all();
  std::array<char, 16> storage{};
  for (const char* text : texts) {
    test::endpoint from;
    const auto size = receiver.try_receive_from(asio::buffer(storage), from);
    REQUIRE(size);
    CHECK(std::string(storage.data(), *size) == text);
    CHECK(from == sender.local_endpoint());
  }
  // Nothing is another answer than an empty datagram.
  CHECK_FALSE(receiver.try_receive(asio::buffer(storage)));

  send_all();
  dgram::receive_batch batch(8, 64);
  REQUIRE(receiver.try_receive_batch(batch) == texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CHECK(batch[i].payload().text() == texts[i]);
    CHECK(batch[i].sender() == sender.local_endpoint());
  }
}

TEST_CASE_METHOD(test::bound_pair, "RCV-03: a wake-up without a datagram is nobody's business",
                 "[receive]")
{
  dgram::receive_batch first(4, 64);
  dgram::receive_batch second(4, 64);
  int completions = 0;
  const auto count = [&](dgram::error_code ec, std::size_t size) {
    CHECK_FALSE(ec);
    CHECK(size == 1);
    ++completions;
  };
  // Both wake up for the datagram, and one of them finds nothing.
  receiver.async_receive_batch(first, count);
  receiver.async_receive_batch(second, count);
  test::run_ready(io);
  sender.send_to(test::text_buffer("one"), receiver.local_endpoint());
  test::run_until(io, [&] { return completions > 0; });
  test::run_ready(io);
  CHECK(completions == 1);
  CHECK(first.size() + second.size() == 1);
  sender.send_to(test::text_buffer("two"), receiver.local_endpoint());
  test::run(io);
  CHECK(completions == 2);
}

TEST_CASE_METHOD(test::bound_pair,
                 "RCV-03: a datagram that is gone when the handler looks is nobody's business",
                 "[receive]")
{
  std::array<char, 16> storage{};
  sender.send_to(test::text_buffer("one"), receiver.local_endpoint());
  test::wait_readable(io, receiver);
  CHECK(receiver.try_receive(asio::buffer(storage)) == 3);
  CHECK_FALSE(receiver.try_receive(asio::buffer(storage)));
  dgram::error_code ec;
  CHECK(receiver.try_receive(asio::buffer(storage), ec) == 0);
  CHECK(ec == asio::error::would_block);
}

TEST_CASE_METHOD(test::bound_pair, "RCV-04: what is queued comes in one batch", "[receive]")
{
  for (const char* text : {"1", "2", "", "3", "4"})
    sender.send_to(test::text_buffer(text), receiver.local_endpoint());
  dgram::receive_batch batch(8, 64);
  int completions = 0;
  receiver.async_receive_batch(batch, [&](dgram::error_code ec, std::size_t count) {
    CHECK_FALSE(ec);
    CHECK(count == 5);
    ++completions;
  });
  test::run(io);
  CHECK(completions == 1);
  std::string all;
  for (const dgram::datagram& datagram : batch)
    all += datagram.payload().text();
  CHECK(all == "1234");
}

TEST_CASE("RCV-05: a batch bounds what one socket takes at a time", "[receive]")
{
  asio::io_context io;
  udp_socket sender(io, test::loopback_v4());
  struct side {
    explicit side(asio::io_context& context) : socket(context, test::loopback_v4()), batch(32, 64)
    {
    }
    void start(std::vector<const side*>& turns)
    {
      socket.async_receive_batch(batch, [this, &turns](dgram::error_code ec, std::size_t count) {
        REQUIRE_FALSE(ec);
        REQUIRE(count <= 32);
        turns.push_back(this);
        total += count;
        if (total < 100) start(turns);
      });
    }
    udp_socket socket;
    dgram::receive_batch batch;
    std::size_t total = 0;
  };
  side first(io);
  side second(io);
  for (int i = 0; i < 100; ++i) {
    sender.send_to(test::text_buffer("x"), first.socket.local_endpoint());
    sender.send_to(test::text_buffer("x"), second.socket.local_endpoint());
  }
  std::vector<const side*> turns;
  first.start(turns);
  second.start(turns);
  test::run(io);
  CHECK(first.total == 100);
  CHECK(second.total == 100);
  // Each had its turn before either had its second.
  REQUIRE(turns.size() == 8);
  CHECK(turns[0] != turns[1]);
}

TEST_CASE_METHOD(test::bound_pair,
                 "RCV-07: between two receives the socket is silent and keeps what comes",
                 "[receive]")
{
  const auto send = [&](const char* text) {
    sender.send_to(test::text_buffer(text), receiver.local_endpoint());
  };
  send("1");
  send("2");
  CHECK(test::receive(io, receiver).text == "1");
  CHECK(test::receive(io, receiver).text == "2");

  // Stopped while it waits.
  std::array<char, 16> storage{};
  std::optional<dgram::error_code> stopped;
  receiver.async_receive(asio::buffer(storage),
                         [&](dgram::error_code ec, std::size_t) { stopped = ec; });
  test::run_ready(io);
  CHECK_FALSE(stopped);
  receiver.cancel();
  test::run(io);
  REQUIRE(stopped);
  CHECK(*stopped == asio::error::operation_aborted);

  send("3");
  send("4");
  io.restart();
  CHECK(io.run() == 0);
  CHECK(test::receive(io, receiver).text == "3");
  CHECK(test::receive(io, receiver).text == "4");
}

TEST_CASE_METHOD(test::bound_pair,
                 "RCV-08: receiving twice at a time is allowed, each gets its own datagram",
                 "[receive]")
{
  std::array<std::array<char, 16>, 2> storage{};
  std::vector<std::string> got;
  for (auto& part : storage)
    receiver.async_receive(asio::buffer(part), [&](dgram::error_code ec, std::size_t size) {
      CHECK_FALSE(ec);
      got.emplace_back(part.data(), size);
    });
  sender.send_to(test::text_buffer("1"), receiver.local_endpoint());
  sender.send_to(test::text_buffer("2"), receiver.local_endpoint());
  test::run(io);
  CHECK(got == std::vector<std::string>{"1", "2"});
}

TEST_CASE("RCV-08: a receive on an unbound socket waits, binds nothing and can be stopped",
          "[receive]")
{
  // Binding is the caller's to ask for, as with Asio's socket.
  asio::io_context io;
  udp_socket socket(io, dgram::udp::v4());
  std::array<char, 16> storage{};
  dgram::receive_batch batch(2, 64);
  int aborted = 0;
  const auto count = [&](dgram::error_code ec, std::size_t) {
    CHECK(ec == asio::error::operation_aborted);
    ++aborted;
  };
  socket.async_receive(asio::buffer(storage), count);
  socket.async_receive_batch(batch, count);
  test::run_ready(io);
  CHECK(aborted == 0);
  CHECK(socket.local_endpoint().port() == 0);
  socket.cancel();
  test::run(io);
  CHECK(aborted == 2);

  // Stopped before the context had a chance.
  socket.async_receive(asio::buffer(storage), count);
  socket.async_receive_batch(batch, count);
  socket.cancel();
  test::run(io);
  CHECK(aborted == 4);
}

TEST_CASE("RCV-11: an error of the kernel's names the operation that met it", "[receive]")
{
  asio::io_context io;
  udp_socket socket = test::connected_to_nobody(io);
  std::array<char, 16> storage{};
  const auto meet_error = [&] {
    socket.send(test::text_buffer("x"));
    test::wait_readable(io, socket);
  };
  meet_error();
  CHECK_THROWS_WITH(socket.receive(asio::buffer(storage)), Catch::Matchers::StartsWith("receive"));
  meet_error();
  CHECK_THROWS_WITH(socket.try_receive(asio::buffer(storage)),
                    Catch::Matchers::StartsWith("try_receive"));
  meet_error();
  dgram::receive_batch batch(2, 64);
  CHECK_THROWS_WITH(socket.receive_batch(batch), Catch::Matchers::StartsWith("receive_batch"));
  CHECK(batch.empty());
}

TEST_CASE("RCV-14: an IPv6-only socket gets no IPv4 datagrams", "[receive]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp_socket receiver(io, {asio::ip::address_v6::any(), 0}, {.v6_only = true});
  const auto port = receiver.local_endpoint().port();
  udp_socket v4(io, dgram::udp::v4());
  udp_socket v6(io, dgram::udp::v6());
  std::optional<dgram::error_code> sent;
  v4.async_send_to(test::text_buffer("IPv4"), test::loopback_v4(port),
                   [&](dgram::error_code ec, std::size_t) { sent = ec; });
  test::run(io);
  REQUIRE(sent);
  CHECK_FALSE(*sent);
  v6.send_to(test::text_buffer("IPv6"), test::loopback_v6(port));
  // Had the first been taken, it would come first.
  CHECK(test::receive(io, receiver).text == "IPv6");
  CHECK(test::nothing_queued(receiver));

  udp_socket both(io, {asio::ip::address_v6::any(), 0}, {.dual_stack = true});
  const auto shared = both.local_endpoint().port();
  v4.send_to(test::text_buffer("IPv4"), test::loopback_v4(shared));
  const auto from_v4 = test::receive(io, both);
  CHECK(from_v4.text == "IPv4");
  CHECK(from_v4.sender == test::loopback_v4(v4.local_endpoint().port()));
  v6.send_to(test::text_buffer("IPv6"), test::loopback_v6(shared));
  CHECK(test::receive(io, both).sender == test::loopback_v6(v6.local_endpoint().port()));
}

TEST_CASE("RCV-15: a link-local sender comes with its interface", "[receive]")
{
  const auto address = own_link_local_address();
  if (!address) SKIP("no interface of this host has a link-local address");
  asio::io_context io;
  udp_socket receiver(io, test::endpoint(*address, 0));
  udp_socket sender(io, test::endpoint(*address, 0));
  sender.send_to(test::text_buffer("hello"), receiver.local_endpoint());
  const auto got = test::receive(io, receiver);
  CHECK(got.sender == sender.local_endpoint());
  CHECK(got.sender.address().to_v6().scope_id() == address->scope_id());
  const std::string text = dgram::to_string(got.sender);
  CHECK_THAT(text, Catch::Matchers::StartsWith("[fe80:"));
  CHECK_THAT(text, Catch::Matchers::ContainsSubstring("%"));
  CHECK(dgram::parse_endpoint(text) == got.sender);
}

TEST_CASE("RCV-16: a descriptor of the other family is refused", "[receive]")
{
  // So an endpoint of another family than the socket's never comes up.
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  const test::raw_descriptor v6(AF_INET6, SOCK_DGRAM);
  const test::raw_descriptor v4(AF_INET, SOCK_DGRAM);
  udp_socket socket(io);
  dgram::error_code ec;
  socket.assign(dgram::udp::v4(), v6.get(), ec);
  CHECK(ec == dgram::error::wrong_descriptor);
  socket.assign(dgram::udp::v6(), v4.get(), ec);
  CHECK(ec == dgram::error::wrong_descriptor);
  socket.assign(dgram::udp::dual(), v4.get(), ec);
  CHECK(ec == dgram::error::wrong_descriptor);
  CHECK_FALSE(socket.is_open());
}

TEST_CASE_METHOD(test::bound_pair, "RCV-17: a wait tells of datagrams and takes none", "[receive]")
{
  int notified = 0;
  const auto count = [&](dgram::error_code ec) {
    CHECK_FALSE(ec);
    ++notified;
  };
  receiver.async_wait(asio::socket_base::wait_read, count);
  test::run_ready(io);
  CHECK(notified == 0);
  for (int i = 0; i < 11; ++i)
    sender.send_to(test::text_buffer(std::to_string(i)), receiver.local_endpoint());
  test::run(io);
  CHECK(notified == 1);
  std::array<char, 16> storage{};
  CHECK(receiver.try_receive(asio::buffer(storage)) == 1);
  CHECK(storage[0] == '0');
  receiver.async_wait(asio::socket_base::wait_read, count);
  test::run(io);
  CHECK(notified == 2);
  dgram::receive_batch batch(16, 64);
  REQUIRE(receiver.try_receive_batch(batch) == 10);
  for (std::size_t i = 0; i < 10; ++i)
    CHECK(batch[i].payload().text() == std::to_string(i + 1));
}

#if defined(__linux__)

TEST_CASE_METHOD(test::bound_pair, "MSG_TRUNC tells the full size, with and without error reports",
                 "[receive]")
{
  if (!dgram::platform::has_error_queue) SKIP("this system has no error queue");
  for (const bool reports : {false, true}) {
    receiver.set_option(dgram::option::receive_error(reports));
    sender.send_to(asio::buffer("hello", 5), receiver.local_endpoint());
    std::array<char, 2> room{};
    test::endpoint from;
    CHECK(receiver.receive_from(asio::buffer(room), from, MSG_TRUNC) == 5);
    CHECK(from == sender.local_endpoint());
    CHECK(std::string(room.data(), 2) == "he");
  }
  CHECK(receiver.statistics().received_bytes == 2);  // Asio's own receive does not count
}

#endif

TEST_CASE_METHOD(test::bound_pair, "RCV-20: a batch holds the largest datagram by default",
                 "[receive]")
{
  std::string payload(65507, 'x');
  payload.back() = 'y';
  REQUIRE(sender.send_to(asio::buffer(payload), receiver.local_endpoint()) == payload.size());
  dgram::receive_batch batch(2);
  CHECK(batch.slot_size() >= 65535);
  REQUIRE(receiver.try_receive_batch(batch) == 1);
  CHECK_FALSE(batch[0].truncated());
  CHECK(batch[0].payload().text() == payload);
}

TEST_CASE_METHOD(test::bound_pair, "RCV-22: what a batch gave stays while later datagrams arrive",
                 "[receive]")
{
  const auto peer = receiver.local_endpoint();
  dgram::receive_batch first(2, 64);
  dgram::receive_batch second(2, 64);
  sender.send_to(test::text_buffer("first"), peer);
  REQUIRE(receiver.try_receive_batch(first) == 1);
  const dgram::datagram kept = first[0];
  sender.send_to(test::text_buffer("later"), peer);
  REQUIRE(receiver.try_receive_batch(second) == 1);
  CHECK(second[0].payload().text() == "later");
  CHECK(kept.payload().text() == "first");
  CHECK(kept.sender() == sender.local_endpoint());
}

TEST_CASE("TMO-03: a client with a time limit gets over lost and late replies", "[receive]")
{
  constexpr int pings = 100;
  asio::io_context io;
  udp_socket server(io, test::loopback_v4());
  udp_socket client(io, test::loopback_v4());
  client.connect(server.local_endpoint());

  // Of ten replies one is lost and another is sent with the next one.
  const auto serve = [&]() -> asio::awaitable<void> {
    std::array<char, 16> storage{};
    std::string held;
    test::endpoint sender;
    for (;;) {
      const std::size_t size =
          co_await server.async_receive_from(asio::buffer(storage), sender, asio::use_awaitable);
      const std::string ping(storage.data(), size);
      if (ping == "end") co_return;
      if (!held.empty()) {
        co_await server.async_send_to(asio::buffer(held), sender, asio::use_awaitable);
        held.clear();
      }
      if (ping.back() == '3') continue;
      if (ping.back() == '7')
        held = ping;
      else
        co_await server.async_send_to(asio::buffer(ping), sender, asio::use_awaitable);
    }
  };

  int answered = 0;
  int timed_out = 0;
  int late = 0;
  const auto ask = [&]() -> asio::awaitable<void> {
    std::array<char, 16> storage{};
    asio::steady_timer limit(io);
    for (int i = 0; i < pings; ++i) {
      const std::string ping = std::to_string(i);
      co_await client.async_send(asio::buffer(ping), asio::use_awaitable);
      limit.expires_after(test::milliseconds(5));
      limit.async_wait([&](dgram::error_code ec) {
        if (!ec) client.cancel();
      });
      for (;;) {
        dgram::error_code ec;
        const std::size_t size = co_await client.async_receive(
            asio::buffer(storage), asio::redirect_error(asio::use_awaitable, ec));
        if (ec == asio::error::operation_aborted) {
          ++timed_out;
          break;
        }
        REQUIRE_FALSE(ec);
        if (std::string(storage.data(), size) == ping) {
          ++answered;
          break;
        }
        ++late;
      }
      limit.cancel();
    }
    co_await client.async_send(test::text_buffer("end"), asio::use_awaitable);
  };
  asio::co_spawn(io, serve(), asio::detached);
  test::run(io, ask());
  CHECK(answered + timed_out == pings);
  CHECK(timed_out >= 20);
  CHECK(late >= 10);
}

}  // namespace receive_test
