// SPDX-License-Identifier: BSL-1.0
// Replies of an emitter on a wildcard address: the client hears them only if they leave from the address that it asked.
#include "support/asked_addresses.hpp"

#include <dgram/coroutine_listener.hpp>
#include <dgram/create_socket.hpp>

#include <asio/use_future.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace reply_source_test {

namespace event = dgram::event;
using dgram::bytes_view;
using dgram::remote_info;
using test::asked_over;
using texts = std::vector<std::string>;

namespace {

auto any_family()
{
  return GENERATE(asked_over::ipv4, asked_over::ipv6, asked_over::ipv4_of_ipv6);
}

void run_ready(asio::io_context& io)
{
  io.restart();
  while (io.poll() > 0) {}
}

template <class Condition>
void run_until(asio::io_context& io, Condition condition)
{
  const auto deadline = std::chrono::steady_clock::now() + test::seconds(10);
  io.restart();
  while (!condition())
    if (io.run_one_until(deadline) == 0) FAIL("nothing happened any more, or not in time");
}

dgram::socket_options options_of(asked_over how)
{
  return {.type = how == asked_over::ipv4 ? dgram::udp4 : dgram::udp6};
}

struct server {
  server(asio::io_context& io, asked_over how, dgram::socket_options options)
      : socket(dgram::create_socket(io, std::move(options)))
  {
    socket.on<event::error>([](const dgram::failure& what) { FAIL(what.text()); });
    socket.bind_sync(port);
    for (std::size_t i = 0; i < 3; ++i)
      clients.emplace_back(io, how, port, i);
  }
  server(asio::io_context& io, asked_over how) : server(io, how, options_of(how)) {}

  /// Lets each client ask, and keeps what the server learns about them.
  std::vector<remote_info> ask_all(asio::io_context& io)
  {
    std::vector<remote_info> senders;
    const auto listener = socket.on<event::message>(
        [&](bytes_view, const remote_info& from) { senders.push_back(from); });
    for (auto& client : clients)
      client.ask();
    run_until(io, [&] { return senders.size() == clients.size(); });
    socket.off(listener);
    return senders;
  }

  dgram::emitter_socket socket;
  test::reserved_port reserved;  // a test closes the socket and binds its port again
  std::uint16_t port = reserved.number();
  std::vector<test::asking> clients;
};

/// Each client heard just this, from the address that it asked.
void expect(server& of, const texts& what)
{
  for (std::size_t i = 0; i < of.clients.size(); ++i) {
    INFO("the client of " << of.clients[i].address);
    CHECK(of.clients[i].heard() == what);
  }
}

using replying = std::function<void(dgram::emitter_socket&, bytes_view, const remote_info&)>;

/// Ways to reply inside a listener.
const std::map<std::string, replying> ways{
    {"a send",
     [](auto& socket, bytes_view message, const remote_info& from) { socket.send(message, from); }},
    {"a send with a callback without arguments",
     [](auto& socket, bytes_view message, const remote_info& from) {
       socket.send(message, from, [] {});
     }},
    {"a send with a callback for the error",
     [](auto& socket, bytes_view message, const remote_info& from) {
       socket.send(message, from, [](dgram::error_code ec, std::size_t) { CHECK_FALSE(ec); });
     }},
    {"a send with a token that is no callback",
     [](auto& socket, bytes_view message, const remote_info& from) {
       static_cast<void>(socket.send(message, from, asio::use_future));
     }},
    {"a send of several pieces, which is not queued",
     [](auto& socket, bytes_view message, const remote_info& from) {
       socket.send({message, bytes_view()}, from);
     }},
    {"a send of a kept copy on a later turn",
     [](auto& socket, bytes_view message, const remote_info& from) {
       asio::post(socket.get_executor(),
                  [&socket, bytes = dgram::to_owned(message), from] { socket.send(bytes, from); });
     }},
    {"a send in front of which there is one to an address",
     [](auto& socket, bytes_view message, const remote_info& from) {
       socket.send("elsewhere", 9, from.address);
       socket.send(message, from);
     }},
};

}  // namespace

TEST_CASE("A reply leaves from the address that was asked, in each form of send", "[emitter][F1]")
{
  const auto how = any_family();
  test::on_host_of(how, [&] {
    for (const auto& [name, reply] : ways) {
      INFO(name);
      asio::io_context io;
      server asked(io, how);
      std::size_t count = 0;
      asked.socket.on<event::message>(
          [&, &answer = reply](bytes_view message, const remote_info& from) {
            answer(asked.socket, message, from);
            ++count;
          });
      // Of several clients in one turn, one after the other and in between.
      for (const char* text : {"a", "b"})
        for (auto& client : asked.clients)
          client.ask(text);
      run_until(io, [&] { return count == 2 * asked.clients.size(); });
      run_ready(io);
      expect(asked, {"a", "b"});
    }
  });
}

TEST_CASE("A reply leaves from the address that was asked, where nobody is called back",
          "[emitter][F1]")
{
  const auto how = any_family();
  test::on_host_of(how, [&] {
    asio::io_context io;
    server asked(io, how);
    SECTION("a coroutine that asks for one message")
    {
      test::run(io, [&]() -> asio::awaitable<void> {
        for (auto& client : asked.clients) {
          client.ask();
          auto [message, from] = co_await asked.socket.once<event::message>(asio::use_awaitable);
          co_await asked.socket.send(message, from, asio::use_awaitable);
        }
        asked.socket.close();
      }());
    }
    SECTION("a stream of messages")
    {
      auto messages = asked.socket.stream<event::message>();
      for (auto& client : asked.clients)
        client.ask();
      test::run(io, [&]() -> asio::awaitable<void> {
        for (std::size_t i = 0; i < asked.clients.size(); ++i) {
          auto message = co_await messages.next(asio::use_awaitable);
          auto& [bytes, from] = *message;
          asked.socket.send(bytes, from);
        }
        co_await asio::post(asio::use_awaitable);
        asked.socket.close();
      }());
    }
    SECTION("a listener that is a coroutine")
    {
      std::size_t replies = 0;
      asked.socket.on<event::message>(dgram::as_coroutine(
          asked.socket, [&](bytes_view message, const remote_info& from) -> asio::awaitable<void> {
            co_await asio::post(asio::use_awaitable);
            co_await asked.socket.send(message, from, asio::use_awaitable);
            ++replies;
          }));
      for (auto& client : asked.clients)
        client.ask();
      run_until(io, [&] { return replies == asked.clients.size(); });
    }
    expect(asked, {"?"});
  });
}

TEST_CASE("A reply that waits leaves from the address that was asked", "[emitter][F1]")
{
  const auto how = any_family();
  test::on_host_of(how, [&] {
    asio::io_context io;
    std::vector<dgram::lookup_result> lookups;
    auto options = options_of(how);
    options.lookup = [&](const std::string&, dgram::socket_type, dgram::lookup_result done) {
      lookups.push_back(std::move(done));
    };
    const auto answer_lookups = [&] {
      for (auto& done : std::exchange(lookups, {}))
        done({}, how == asked_over::ipv4 ? asio::ip::address(asio::ip::address_v4::any())
                                         : asio::ip::address(asio::ip::address_v6::any()));
    };
    server asked(io, how);
    const auto senders = asked.ask_all(io);
    const auto reply_from = [&](dgram::emitter_socket& socket) {
      for (const auto& sender : senders)
        socket.send("late", sender);
    };
    SECTION("for the end of a pause")
    {
      dgram::pause_sockets(io);
      reply_from(asked.socket);
      run_ready(io);
      dgram::resume_sockets(io);
      run_ready(io);
    }
    SECTION("and one of them is cancelled before the kernel takes it")
    {
      asio::cancellation_signal signal;
      bool cancelled = false;
      reply_from(asked.socket);
      asked.socket.send(
          "taken back", senders[1],
          asio::bind_cancellation_slot(signal.slot(), [&](dgram::error_code ec, std::size_t) {
            cancelled = ec == asio::error::operation_aborted;
          }));
      signal.emit(asio::cancellation_type::total);
      run_ready(io);
      CHECK(cancelled);
    }
    SECTION("for a bind, on the socket that takes over")
    {
      asked.socket.close();
      auto next = dgram::create_socket(io, options_of(how));
      next.bind(asked.port);
      reply_from(next);
      run_ready(io);
    }
    SECTION("for the name of a bind")
    {
      asked.socket.close();
      auto next = dgram::create_socket(io, options);
      next.bind(asked.port, "everywhere");
      reply_from(next);
      run_ready(io);
      answer_lookups();
      run_ready(io);
    }
    SECTION("while another send waits for its name")
    {
      asked.socket.close();
      auto next = dgram::create_socket(io, options);
      next.bind_sync(asked.port);
      next.send("elsewhere", 9, "somewhere", [](dgram::error_code) {});
      reply_from(next);
      run_ready(io);
    }
    SECTION("for room in the queue")
    {
      // More than a turn's worth of sends: the rest is queued behind them.
      for (int i = 0; i < 300; ++i)
        asked.socket.send("elsewhere", 9, senders[0].address);
      reply_from(asked.socket);
      run_ready(io);
    }
    expect(asked, {"late"});
  });
}

TEST_CASE(
    "A reply leaves from the address that was asked before the socket was connected, and again "
    "after it",
    "[emitter][F1]")
{
  const auto how = any_family();
  test::on_host_of(how, [&] {
    asio::io_context io;
    server asked(io, how);
    const auto senders = asked.ask_all(io);
    asked.socket.connect_sync(senders[0].port, senders[0].address.to_string());
    asked.socket.disconnect();
    for (const auto& sender : senders)
      asked.socket.send("before", sender);
    run_ready(io);
    expect(asked, {"before"});
    for (const auto& sender : asked.ask_all(io))
      asked.socket.send("after", sender);
    run_ready(io);
    expect(asked, {"after"});
  });
}

TEST_CASE("A reply of a descriptor that was taken over leaves from the address that was asked",
          "[emitter][F1]")
{
  const auto how = any_family();
  test::on_host_of(how, [&] {
    asio::io_context io;
    dgram::udp::socket bound(io, how == asked_over::ipv4 ? dgram::udp::v4() : dgram::udp::v6(),
                             {.v6_only = false});
    bound.bind({how == asked_over::ipv4 ? dgram::udp::v4() : dgram::udp::v6(), 0});
    const auto port = bound.local_endpoint().port();
    auto socket = dgram::create_socket(io, options_of(how));
    socket.bind({.fd = bound.release()});
    std::size_t count = 0;
    socket.on<event::message>([&](bytes_view message, const remote_info& from) {
      socket.send(message, from);
      ++count;
    });
    test::asking client(io, how, port, 0);
    client.ask();
    run_until(io, [&] { return count == 1; });
    run_ready(io);
    CHECK(client.heard() == texts{"?"});
  });
}

TEST_CASE("What is said of a sender is the way back to it, for other sockets too", "[emitter][F1]")
{
  const auto how = any_family();
  test::on_host_of(how, [&] {
    asio::io_context io;
    server asked(io, how);
    const auto senders = asked.ask_all(io);
    for (std::size_t i = 0; i < senders.size(); ++i) {
      const auto path = senders[i].reply_path();
      CHECK(path.peer == senders[i].endpoint());
      CHECK(path.source == asked.clients[i].address);
      asked.socket.next_layer().send_to(asio::buffer("!", 1), path);
    }
    expect(asked, {"!"});
  });
}

TEST_CASE("A sender that the program gives another address is no sender any more", "[emitter][F1]")
{
  asio::io_context io;
  server asked(io, asked_over::ipv4);
  auto sender = asked.ask_all(io).front();
  asio::ip::udp::socket other(io, test::loopback_v4());
  other.non_blocking(true);
  SECTION("another port of it is still answered from the address that was asked")
  {
    sender.port = other.local_endpoint().port();
    CHECK(sender.reply_path().source == asked.clients[0].address);
  }
  SECTION("another address gets it from the one that the system chooses")
  {
    const asio::ip::udp::endpoint elsewhere(asio::ip::make_address("127.0.0.99"), 0);
    other = asio::ip::udp::socket(io, elsewhere);
    other.non_blocking(true);
    sender.address = elsewhere.address();
    sender.port = other.local_endpoint().port();
    CHECK(sender.reply_path().is_plain());
  }
  asked.socket.send("x", sender);
  run_ready(io);
  std::array<char, 4> bytes;
  CHECK(other.receive(asio::buffer(bytes)) == 1);
  // Of the other family, too: it is refused as an address of that family is, and nothing is thrown.
  sender.address = asio::ip::address_v6::loopback();
  std::optional<dgram::error_code> told;
  asked.socket.send("x", sender, [&](dgram::error_code ec) { told = ec; });
  run_ready(io);
  CHECK(told == dgram::error_code(asio::error::invalid_argument));
}

#if defined(__linux__)
TEST_CASE(
    "A reply from an address that the host has lost is reported, and costs the others nothing",
    "[emitter][F1]")
{
  const auto how = GENERATE(asked_over::ipv4, asked_over::ipv6);
  const test::network_namespace host;
  const bool v6 = test::is_ipv6(how);
  const std::string lost = v6 ? "fd77::10/128" : "127.0.0.10/32";
  std::string commands = "link set lo up\n";
  for (const auto* address : {"fd77::1/128", "fd77::10/128", "fd77::11/128", "fd77::12/128"})
    if (v6) commands += std::string("addr add ") + address + " dev lo nodad\n";
  if (!v6)
    commands +=
        "addr del 127.0.0.1/8 dev lo\naddr add 127.0.0.1/32 dev lo\n"
        "addr add 127.0.0.10/32 dev lo\naddr add 127.0.0.11/32 dev lo\n"
        "addr add 127.0.0.12/32 dev lo\n";
  if (const auto refused = host.try_ip(commands)) SKIP("no such addresses here: " << *refused);
  host.run([&] {
    for (std::size_t i = 0; i < 3; ++i)
      test::await_address(test::server_address(how, i));
    test::await_address(test::client_address(how));
    asio::io_context io;
    server asked(io, how);
    const auto senders = asked.ask_all(io);
    host.ip("addr del " + lost + " dev lo\n");
    std::vector<std::string> told;
    for (const int from : {1, 0, 2, 0, 1})
      asked.socket.send("x", senders[static_cast<std::size_t>(from)],
                        [&](dgram::error_code ec) { told.push_back(ec ? "refused" : "sent"); });
    run_ready(io);
    CHECK(told == texts{"sent", "refused", "sent", "refused", "sent"});
    CHECK(asked.clients[0].heard().empty());
    CHECK(asked.clients[1].heard() == texts{"x", "x"});
    CHECK(asked.clients[2].heard() == texts{"x"});
  });
}
#endif

}  // namespace reply_source_test
