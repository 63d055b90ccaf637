// SPDX-License-Identifier: BSL-1.0
// Sending single datagrams: payloads, destinations, completions, and what does not fit.
#include "behaviour/helpers.hpp"

#include <dgram.hpp>

#include <asio/buffer.hpp>
#include <asio/post.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace send_test {

namespace {

using test::udp_socket;
namespace option = dgram::option;

/// What an asynchronous send completed with.
struct outcome {
  dgram::error_code error;
  std::size_t size = 0;
  int completions = 0;

  void operator()(dgram::error_code ec, std::size_t sent)
  {
    error = ec;
    size = sent;
    ++completions;
  }
};

outcome async_send_to(asio::io_context& io, udp_socket& socket, asio::const_buffer payload,
                      const test::endpoint& peer)
{
  outcome result;
  socket.async_send_to(payload, peer, std::ref(result));
  CHECK(result.completions == 0);
  test::run_until(io, [&] { return result.completions > 0; });
  return result;
}

outcome async_send(asio::io_context& io, udp_socket& socket, asio::const_buffer payload)
{
  outcome result;
  socket.async_send(payload, std::ref(result));
  CHECK(result.completions == 0);
  test::run_until(io, [&] { return result.completions > 0; });
  return result;
}

std::string counting_bytes(std::size_t size)
{
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

}  // namespace

TEST_CASE_METHOD(test::bound_pair, "SND-01: a send completes later with the size of the payload",
                 "[send]")
{
  const auto result =
      async_send_to(io, sender, test::text_buffer("hello"), receiver.local_endpoint());
  CHECK_FALSE(result.error);
  CHECK(result.size == 5);
  CHECK(result.completions == 1);
  CHECK(test::receive(io, receiver).text == "hello");
}

TEST_CASE_METHOD(test::bound_pair, "SND-02: of a larger buffer only the slice is sent", "[send]")
{
  const std::string storage = counting_bytes(256);
  const asio::const_buffer slice = asio::buffer(asio::buffer(storage) + 20, 236);
  const auto to = async_send_to(io, sender, slice, receiver.local_endpoint());
  CHECK_FALSE(to.error);
  CHECK(to.size == 236);
  CHECK(test::receive(io, receiver).text == storage.substr(20));

  const asio::const_buffer middle = asio::buffer(asio::buffer(storage) + 20, 100);
  sender.connect(receiver.local_endpoint());
  const auto connected = async_send(io, sender, middle);
  CHECK_FALSE(connected.error);
  CHECK(connected.size == 100);
  CHECK(test::receive(io, receiver).text == storage.substr(20, 100));
}

TEST_CASE_METHOD(test::bound_pair, "SND-04: the same bytes go out whatever holds them", "[send]")
{
  const auto peer = receiver.local_endpoint();
  const std::string text = "latin1-\u00a9";
  REQUIRE(text.size() == 9);
  const std::vector<char> vector(text.begin(), text.end());
  const auto bytes = std::as_bytes(std::span(text));

  CHECK(sender.send_to(asio::buffer(text), peer) == 9);
  CHECK(sender.send_to(asio::buffer(vector), peer) == 9);
  CHECK(sender.send_to(asio::buffer(std::string_view(text)), peer) == 9);
  CHECK(sender.send_to(asio::buffer(bytes.data(), bytes.size()), peer) == 9);
  const dgram::bytes_view view(text);
  CHECK(sender.send_to(asio::buffer(view.data(), view.size()), peer) == 9);
  dgram::send_batch batch(4);
  batch.push(text, peer);
  batch.push(vector, peer);
  batch.push(bytes, peer);
  batch.push(text.c_str(), peer);
  CHECK(sender.send_batch(batch).sent == 4);
  for (int i = 0; i < 9; ++i)
    CHECK(test::receive(io, receiver).text == text);

  // Sizes are bytes, however wide the elements are.
  const std::vector<std::uint32_t> wide{0x61616161, 0x62626262};
  CHECK(sender.send_to(asio::buffer(wide), peer) == 8);
  batch.push(wide, peer);
  CHECK(sender.send_batch(batch).sent == 1);
  for (int i = 0; i < 2; ++i)
    CHECK(test::receive(io, receiver).text == "aaaabbbb");

  const std::vector<std::uint32_t> no_elements;
  CHECK(sender.send_to(asio::buffer(std::string()), peer) == 0);
  CHECK(sender.send_to(asio::buffer(no_elements), peer) == 0);
  batch.push("", peer);
  batch.push(no_elements, peer);
  batch.push(dgram::bytes_view(), peer);
  CHECK(sender.send_batch(batch).sent == 3);
  for (int i = 0; i < 5; ++i)
    CHECK(test::receive(io, receiver).text.empty());
}

TEST_CASE_METHOD(test::bound_pair, "SND-05: several buffers make one datagram", "[send]")
{
  const auto peer = receiver.local_endpoint();
  const std::string x(256, 'x');
  const std::string y(256, 'y');
  const std::array<asio::const_buffer, 2> two{asio::buffer(x), asio::buffer(y)};
  const std::vector<asio::const_buffer> three{test::text_buffer("foo"), test::text_buffer("bar"),
                                              test::text_buffer("baz")};
  outcome result;
  sender.async_send_to(two, peer, std::ref(result));
  test::run(io);
  CHECK_FALSE(result.error);
  CHECK(result.size == 512);
  CHECK(test::receive(io, receiver).text == x + y);
  CHECK(sender.try_send_to(three, peer) == 9);
  CHECK(test::receive(io, receiver).text == "foobarbaz");

  sender.connect(peer);
  CHECK(sender.try_send(two) == 512);
  CHECK(test::receive(io, receiver).text == x + y);
  sender.async_send(three, std::ref(result));
  test::run(io);
  CHECK_FALSE(result.error);
  CHECK(result.size == 9);
  CHECK(test::receive(io, receiver).text == "foobarbaz");
  CHECK(test::nothing_queued(receiver));
}

TEST_CASE("SND-10: port 0 is nobody to send to", "[send]")
{
  asio::io_context io;
  udp_socket sender(io, dgram::udp::v4());
  const auto payload = test::text_buffer("x");
  dgram::error_code ec;
  CHECK(sender.send_to(payload, test::loopback_v4(0), 0, ec) == 0);
  CHECK(ec == asio::error::invalid_argument);
  CHECK(sender.try_send_to(payload, test::loopback_v4(0), ec) == 0);
  CHECK(ec == asio::error::invalid_argument);
  const auto result = async_send_to(io, sender, payload, test::loopback_v4(0));
  CHECK(result.error == asio::error::invalid_argument);
  CHECK(result.size == 0);
  dgram::send_batch batch(1);
  batch.push("x", test::loopback_v4(0));
  CHECK(sender.try_send_batch(batch).error == asio::error::invalid_argument);
  CHECK(batch.size() == 1);
}

TEST_CASE("SND-13: a closed socket sends nothing, and each send says so once", "[send]")
{
  asio::io_context io;
  udp_socket receiver(io, test::loopback_v4());
  const auto peer = receiver.local_endpoint();
  const auto payload = test::text_buffer("x");
  udp_socket sender(io, dgram::udp::v4());
  sender.close();
  dgram::error_code ec;
  CHECK(sender.send_to(payload, peer, 0, ec) == 0);
  CHECK(ec == asio::error::bad_descriptor);
  CHECK(sender.send(payload, 0, ec) == 0);
  CHECK(ec == asio::error::bad_descriptor);
  CHECK(sender.try_send_to(payload, peer, ec) == 0);
  CHECK(ec == asio::error::bad_descriptor);
  CHECK(sender.try_send(payload, ec) == 0);
  CHECK(ec == asio::error::bad_descriptor);
  CHECK_THROWS_AS(sender.send_to(payload, peer), dgram::system_error);
  // An asynchronous operation always completes, here with what the others return.
  const auto to = async_send_to(io, sender, payload, peer);
  CHECK(to.error == asio::error::bad_descriptor);
  const auto connected = async_send(io, sender, payload);
  CHECK(connected.error == asio::error::bad_descriptor);
  test::run(io);
  CHECK(to.completions + connected.completions == 2);
  CHECK(test::nothing_queued(receiver));
}

TEST_CASE_METHOD(test::bound_pair, "SND-14: no send completes inside the call that started it",
                 "[send]")
{
  dgram::send_batch batch(1);
  bool posted = false;
  bool inside = false;
  int completions = 0;
  // One way after the other: each starts the next from its completion.
  std::function<void()> next = [&] {
    CHECK_FALSE(inside);
    inside = true;
    const auto completed = [&](dgram::error_code ec) {
      CHECK_FALSE(ec);
      CHECK_FALSE(inside);
      if (++completions < 20) next();
    };
    if (completions < 10) {
      sender.async_send_to(test::text_buffer("single"), receiver.local_endpoint(),
                           [=](dgram::error_code ec, std::size_t) { completed(ec); });
    } else {
      batch.push("batch", receiver.local_endpoint());
      sender.async_send_batch(batch,
                              [=](dgram::error_code ec, dgram::send_result) { completed(ec); });
    }
    inside = false;
  };
  asio::post(io, [&] { posted = true; });
  next();
  CHECK(completions == 0);
  test::run_until(io, [&] { return completions > 0; });
  CHECK(posted);
  test::run(io);
  CHECK(completions == 20);
  for (int i = 0; i < 10; ++i)
    CHECK(test::receive(io, receiver).text == "single");
  for (int i = 0; i < 10; ++i)
    CHECK(test::receive(io, receiver).text == "batch");
  CHECK(test::nothing_queued(receiver));
}

TEST_CASE_METHOD(test::bound_pair, "SND-15: two sends before the context runs complete in order",
                 "[send]")
{
  std::vector<int> order;
  for (const int number : {1, 2})
    sender.async_send_to(test::text_buffer(number == 1 ? "PING" : "PONG!"),
                         receiver.local_endpoint(),
                         [&order, number](dgram::error_code ec, std::size_t size) {
                           CHECK_FALSE(ec);
                           CHECK(size == (number == 1 ? 4U : 5U));
                           order.push_back(number);
                         });
  CHECK(order.empty());
  test::run(io);
  CHECK(order == std::vector{1, 2});
  CHECK(test::receive(io, receiver).text == "PING");
  CHECK(test::receive(io, receiver).text == "PONG!");
}

TEST_CASE_METHOD(test::udp_pair,
                 "SND-16: sends of an unbound socket complete in order from one port", "[send]")
{
  const std::array<std::string, 4> payloads{"0", "1", "2", "3"};
  std::string order;
  for (const auto& payload : payloads)
    sender.async_send_to(asio::buffer(payload), receiver.local_endpoint(),
                         [&order, &payload](dgram::error_code ec, std::size_t) {
                           CHECK_FALSE(ec);
                           order += payload;
                         });
  test::run(io);
  CHECK(order == "0123");
  const auto port = sender.local_endpoint().port();
  for (const auto& payload : payloads) {
    const auto got = test::receive(io, receiver);
    CHECK(got.text == payload);
    CHECK(got.sender.port() == port);
  }
}

TEST_CASE_METHOD(test::udp_pair, "SND-18: a payload that no datagram holds is refused", "[send]")
{
  const std::string payload(256 * 1024, 'x');
  const auto result = async_send_to(io, sender, asio::buffer(payload), receiver.local_endpoint());
  CHECK(result.error == asio::error::message_size);
  CHECK(result.size == 0);
  CHECK(test::nothing_queued(receiver));
}

TEST_CASE_METHOD(test::udp_pair, "SND-19: a connected socket refuses what is too large and goes on",
                 "[send]")
{
  sender.connect(receiver.local_endpoint());
  const std::string payload(70000, 'x');
  const auto result = async_send(io, sender, asio::buffer(payload));
  CHECK(result.error == asio::error::message_size);
  CHECK(result.size == 0);
  CHECK_FALSE(async_send(io, sender, test::text_buffer("fits")).error);
  CHECK(test::receive(io, receiver).text == "fits");
}

TEST_CASE_METHOD(test::udp_pair, "SND-20: 65536 bytes are refused by every form, and 65507 are not",
                 "[send]")
{
  const auto peer = receiver.local_endpoint();
  const std::string payload(65536, 'x');
  outcome result;
  sender.async_send_to(asio::buffer(payload), peer, std::ref(result));
  CHECK(result.completions == 0);
  test::run(io);
  CHECK(result.completions == 1);
  CHECK(result.error == asio::error::message_size);
  dgram::error_code ec;
  CHECK(sender.try_send_to(asio::buffer(payload), peer, ec) == 0);
  CHECK(ec == asio::error::message_size);
  CHECK(sender.send_to(asio::buffer(payload), peer, 0, ec) == 0);
  CHECK(ec == asio::error::message_size);
  CHECK(test::nothing_queued(receiver));
  // 65535 less the headers of IPv4 and UDP.
  CHECK(sender.try_send_to(asio::buffer(payload, 65507), peer) == 65507);
  CHECK(test::receive(io, receiver).text.size() == 65507);
}

TEST_CASE("SND-25: a broadcast address needs the option", "[send]")
{
  asio::io_context io;
  udp_socket receiver(io, {dgram::udp::v4(), 0});
  udp_socket sender(io, dgram::udp::v4());
  // The broadcast address of the loopback network.
  const test::endpoint peer(asio::ip::make_address("127.255.255.255"),
                            receiver.local_endpoint().port());
  const auto payload = test::text_buffer("to all");
  dgram::error_code ec;
  sender.send_to(payload, peer, 0, ec);
  if (!ec || ec == asio::error::network_unreachable) SKIP("no broadcast on this host's loopback");
  CHECK(ec == asio::error::access_denied);
  CHECK(async_send_to(io, sender, payload, peer).error == asio::error::access_denied);
  CHECK(test::nothing_queued(receiver));
  sender.set_option(option::broadcast(true));
  const auto result = async_send_to(io, sender, payload, peer);
  CHECK_FALSE(result.error);
  CHECK(result.size == 6);
  CHECK(test::receive(io, receiver).text == "to all");
}

TEST_CASE("SND-26: an IPv4 socket does not send to an IPv6 address", "[send]")
{
  asio::io_context io;
  udp_socket sender(io, dgram::udp::v4());
  const auto payload = test::text_buffer("x");
  const auto peer = test::loopback_v6(9);
  dgram::error_code ec;
  sender.send_to(payload, peer, 0, ec);
  CHECK(ec == asio::error::address_family_not_supported);
  sender.try_send_to(payload, peer, ec);
  CHECK(ec == asio::error::address_family_not_supported);
  CHECK(async_send_to(io, sender, payload, peer).error ==
        asio::error::address_family_not_supported);
}

TEST_CASE("SND-27: only a dual-stack socket reaches IPv4 from IPv6", "[send]")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp_socket receiver(io, test::loopback_v4());
  const auto peer = receiver.local_endpoint();
  const test::endpoint mapped = dgram::mapped(peer);
  dgram::error_code ec;

  udp_socket v6_only(io, dgram::udp::v6(), {.v6_only = true});
  v6_only.send_to(test::text_buffer("x"), mapped, 0, ec);
  CHECK(ec == asio::error::network_unreachable);
  udp_socket bound(io, test::loopback_v6());
  bound.send_to(test::text_buffer("x"), mapped, 0, ec);
  CHECK(ec == asio::error::network_unreachable);
  CHECK(test::nothing_queued(receiver));

  udp_socket both(io, dgram::udp::dual());
  for (const auto& destination : {mapped, peer}) {
    CHECK_FALSE(async_send_to(io, both, test::text_buffer("dual"), destination).error);
    const auto got = test::receive(io, receiver);
    CHECK(got.text == "dual");
    CHECK(got.sender == test::loopback_v4(both.local_endpoint().port()));
  }
}

TEST_CASE("SND-28: no buffers at all make an empty datagram", "[send]")
{
  // Not an error: no bytes to send is a datagram without bytes, and UDP has those.
  asio::io_context io;
  udp_socket receiver(io, test::loopback_v4());
  udp_socket sender(io, dgram::udp::v4());
  const auto peer = receiver.local_endpoint();
  const std::vector<asio::const_buffer> none;
  CHECK(sender.send_to(none, peer) == 0);
  CHECK(sender.try_send_to(none, peer) == 0);
  outcome result;
  sender.async_send_to(none, peer, std::ref(result));
  test::run(io);
  CHECK(result.completions == 1);
  CHECK_FALSE(result.error);
  sender.connect(peer);
  CHECK(sender.send(none) == 0);
  CHECK(sender.try_send(none) == 0);
  sender.async_send(none, std::ref(result));
  test::run(io);
  CHECK(result.completions == 2);
  CHECK_FALSE(result.error);
  for (int i = 0; i < 6; ++i)
    CHECK(test::receive(io, receiver).text.empty());
  CHECK(test::nothing_queued(receiver));
}

TEST_CASE_METHOD(test::udp_pair, "SND-29: try_send returns the bytes that left, also none",
                 "[send]")
{
  const auto peer = receiver.local_endpoint();
  CHECK(sender.try_send_to(test::text_buffer("a"), peer) == 1);
  CHECK(sender.try_send_to(test::text_buffer(""), peer) == 0);
  sender.connect(peer);
  CHECK(sender.try_send(test::text_buffer("b")) == 1);
  CHECK(sender.try_send(test::text_buffer("")) == 0);
  for (const char* text : {"a", "", "b", ""})
    CHECK(test::receive(io, receiver).text == text);
}

TEST_CASE("SND-31: a thousand sends to nobody, one from the other's completion, all end", "[send]")
{
  asio::io_context io;
  udp_socket sender(io, dgram::udp::v4());
  const auto nobody = test::dead_endpoint();
  int completions = 0;
  std::function<void()> next = [&] {
    sender.async_send_to(test::text_buffer("x"), nobody,
                         [&](dgram::error_code ec, std::size_t size) {
                           CHECK_FALSE(ec);
                           CHECK(size == 1);
                           if (++completions < 1001) next();
                         });
  };
  next();
  test::run(io);
  CHECK(completions == 1001);
}

TEST_CASE("SND-32: a server answers from its handler, and its port can be taken again", "[send]")
{
  asio::io_context io;
  udp_socket client(io, test::loopback_v4());
  const test::reserved_port port;
  const auto address = test::loopback_v4(port.number());
  for (const std::string question : {"first", "second"}) {
    udp_socket server(io, address);
    std::array<char, 32> storage{};
    test::endpoint sender;
    bool answered = false;
    server.async_receive_from(asio::buffer(storage), sender,
                              [&](dgram::error_code ec, std::size_t size) {
                                REQUIRE_FALSE(ec);
                                server.async_send_to(asio::buffer(storage, size), sender,
                                                     [&](dgram::error_code failure, std::size_t) {
                                                       CHECK_FALSE(failure);
                                                       answered = true;
                                                       server.close();
                                                     });
                              });
    client.send_to(asio::buffer(question), address);
    const auto answer = test::receive(io, client);
    CHECK(answer.text == question);
    CHECK(answer.sender == address);
    test::run_until(io, [&] { return answered; });
  }
}

TEST_CASE("SND-33: the handlers of an operation run by their executor", "[send]")
{
  asio::io_context io;
  udp_socket receiver(io, test::loopback_v4());
  auto of_socket = asio::make_strand(io);
  auto of_handler = asio::make_strand(io);
  udp_socket sender(of_socket, test::loopback_v4());
  std::array<char, 16> storage{};
  test::endpoint from;
  int on_socket = 0;
  int on_handler = 0;
  const auto count_on_socket = [&](dgram::error_code ec, std::size_t) {
    CHECK_FALSE(ec);
    CHECK(of_socket.running_in_this_thread());
    CHECK_FALSE(of_handler.running_in_this_thread());
    ++on_socket;
  };
  const auto count_on_handler = [&](dgram::error_code ec, std::size_t) {
    CHECK_FALSE(ec);
    CHECK(of_handler.running_in_this_thread());
    ++on_handler;
  };
  sender.async_send_to(test::text_buffer("1"), receiver.local_endpoint(), count_on_socket);
  sender.async_send_to(test::text_buffer("2"), receiver.local_endpoint(),
                       asio::bind_executor(of_handler, count_on_handler));
  sender.async_receive_from(asio::buffer(storage), from,
                            asio::bind_executor(of_handler, count_on_handler));
  receiver.send_to(test::text_buffer("reply"), sender.local_endpoint());
  test::run(io);
  dgram::receive_batch batch(2, 64);
  sender.async_receive_batch(batch, count_on_socket);
  receiver.send_to(test::text_buffer("reply"), sender.local_endpoint());
  test::run(io);
  CHECK(on_socket == 2);
  CHECK(on_handler == 2);
}

TEST_CASE_METHOD(test::udp_pair, "SND-34: the wildcard as a destination is this host", "[send]")
{
  sender.send_to(test::text_buffer("v4"),
                 {asio::ip::address_v4::any(), receiver.local_endpoint().port()});
  CHECK(test::receive(io, receiver).text == "v4");
  if (!test::has_ipv6()) return;
  udp_socket receiver_v6(io, test::loopback_v6());
  udp_socket sender_v6(io, dgram::udp::v6());
  sender_v6.send_to(test::text_buffer("v6"),
                    {asio::ip::address_v6::any(), receiver_v6.local_endpoint().port()});
  CHECK(test::receive(io, receiver_v6).text == "v6");
}

TEST_CASE("SND-38: blocking and asynchronous operations carry the same bytes", "[send]")
{
  asio::io_context io;
  udp_socket server(io, test::loopback_v4());
  udp_socket client(io, test::loopback_v4());
  const std::string payload = counting_bytes(53);
  std::string storage(64, '\0');
  test::endpoint sender;
  CHECK(client.send_to(asio::buffer(payload), server.local_endpoint()) == payload.size());
  test::wait_readable(io, server);
  const std::size_t size = server.receive_from(asio::buffer(storage), sender);
  CHECK(storage.substr(0, size) == payload);
  CHECK(sender == client.local_endpoint());

  const auto sent = async_send_to(io, server, asio::buffer(storage, size), sender);
  CHECK_FALSE(sent.error);
  CHECK(sent.size == payload.size());
  const auto got = test::receive(io, client);
  CHECK(got.text == payload);
  CHECK(got.sender == server.local_endpoint());
}

TEST_CASE("QUE-04: sends beyond a small queue wait and all complete", "[send]")
{
  asio::io_context io;
  const udp_socket receiver(io, test::loopback_v4());
  udp_socket sender(io, dgram::udp::v4(), {.send_buffer_size = 2048});
  const std::array<char, 64> payload{};
  int completions = 0;
  for (int i = 0; i < 512; ++i)
    sender.async_send_to(asio::buffer(payload), receiver.local_endpoint(),
                         [&](dgram::error_code ec, std::size_t size) {
                           CHECK_FALSE(ec);
                           CHECK(size == payload.size());
                           ++completions;
                         });
  CHECK(completions == 0);
  test::run(io);
  CHECK(completions == 512);
}

}  // namespace send_test
