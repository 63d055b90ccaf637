// SPDX-License-Identifier: BSL-1.0
// Answers of a wildcard socket: the client hears them only if they leave from the address that it asked.
#include "support/asked_addresses.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace reply_test {

using dgram::datagram;
using test::asked_over;
using socket_type = dgram::udp::socket;
using texts = std::vector<std::string>;

namespace {

struct server {
  server(asio::io_context& io, asked_over how)
      : socket(io, {how == asked_over::ipv4 ? dgram::udp::v4() : dgram::udp::v6(), 0},
               {.dual_stack = how != asked_over::ipv4})
  {
    socket.set_option(dgram::option::packet_info(true));
    for (std::size_t i = 0; i < 3; ++i)
      clients.emplace_back(io, how, socket.local_endpoint().port(), i);
  }

  socket_type socket;
  std::vector<test::asking> clients;
};

/// Runs what is due until the clients have heard something, each of them just this.
void expect(asio::io_context& io, server& asked, const texts& what)
{
  io.restart();
  while (io.poll() > 0) {}
  for (auto& client : asked.clients) {
    INFO("the client of " << client.address);
    CHECK(client.heard() == what);
  }
}

using path_type = dgram::basic_reply_path<dgram::udp>;

/// Ways to send one answer.
const std::map<std::string, std::function<void(socket_type&, const path_type&)>> single_ways{
    {"send_to", [](auto& socket, const auto& path) { socket.send_to(asio::buffer("!", 1), path); }},
    {"send_to with an error_code",
     [](auto& socket, const auto& path) {
       dgram::error_code ec;
       socket.send_to(asio::buffer("!", 1), path, ec);
       CHECK_FALSE(ec);
     }},
    {"send_to with options",
     [](auto& socket, const auto& path) {
       socket.send_to(asio::buffer("!", 1), path, dgram::send_options{.hop_limit = 9});
     }},
    {"try_send_to",
     [](auto& socket, const auto& path) {
       CHECK(socket.try_send_to(asio::buffer("!", 1), path) == 1U);
     }},
    {"async_send_to",
     [](auto& socket, const auto& path) {
       socket.async_send_to(asio::buffer("!", 1), path,
                            [](dgram::error_code ec, std::size_t) { CHECK_FALSE(ec); });
     }},
    {"async_send_to with options",
     [](auto& socket, const auto& path) {
       socket.async_send_to(asio::buffer("!", 1), path, dgram::send_options{.hop_limit = 9},
                            [](dgram::error_code ec, std::size_t) { CHECK_FALSE(ec); });
     }},
};

/// Ways to put an answer into a batch.
const std::map<std::string, std::function<void(dgram::send_batch&, const path_type&)>> batch_ways{
    {"push", [](auto& batch, const auto& path) { batch.push("!", path); }},
    {"push with options",
     [](auto& batch, const auto& path) {
       batch.push("!", path, dgram::send_options{.hop_limit = 9});
     }},
    {"push of several pieces",
     [](auto& batch, const auto& path) {
       batch.push(std::array<asio::const_buffer, 2>{asio::buffer("!", 1), asio::const_buffer()},
                  path);
     }},
    {"push_segments", [](auto& batch, const auto& path) { batch.push_segments("!", 100, path); }},
};

}  // namespace

TEST_CASE("an answer leaves from the address that was asked, sent by itself", "[F1]")
{
  const auto how = GENERATE(asked_over::ipv4, asked_over::ipv6, asked_over::ipv4_of_ipv6);
  const bool in_batches = GENERATE(false, true);
  test::on_host_of(how, [&] {
    for (const auto& [name, send] : single_ways) {
      INFO(name);
      asio::io_context io;
      server asked(io, how);
      for (auto& client : asked.clients) {
        client.ask();
        if (in_batches) {
          dgram::receive_batch in(1);
          asked.socket.receive_batch(in);
          send(asked.socket, in[0].reply_path());
        } else {
          std::array<char, 4> storage;
          dgram::datagram_info info;
          asked.socket.receive_from(asio::buffer(storage), info);
          send(asked.socket, info.reply_path());
        }
      }
      expect(io, asked, {"!"});
    }
  });
}

TEST_CASE("an answer leaves from the address that was asked, sent in a batch", "[F1]")
{
  const auto how = GENERATE(asked_over::ipv4, asked_over::ipv6, asked_over::ipv4_of_ipv6);
  const bool copies = GENERATE(false, true);
  test::on_host_of(how, [&] {
    for (const auto& [name, push] : batch_ways) {
      INFO(name);
      asio::io_context io;
      server asked(io, how);
      for (int round = 0; round < 2; ++round)
        for (auto& client : asked.clients)
          client.ask();
      dgram::receive_batch in(8);
      dgram::send_batch out({.datagrams = 8, .copy = copies});
      for (std::size_t count = 0; count < 6; count += in.size()) {
        asked.socket.receive_batch(in);
        for (const datagram& each : in)
          push(out, each.reply_path());
      }
      CHECK(asked.socket.send_batch(out).sent == 6);
      expect(io, asked, {"!", "!"});
    }
  });
}

TEST_CASE("an answer leaves from the address that was asked, sent by a writer or in place", "[F1]")
{
  const auto how = GENERATE(asked_over::ipv4, asked_over::ipv6, asked_over::ipv4_of_ipv6);
  test::on_host_of(how, [&] {
    asio::io_context io;
    server asked(io, how);
    for (auto& client : asked.clients)
      client.ask();
    SECTION("in place")
    {
      dgram::receive_batch in(8);
      dgram::send_batch out(8);
      for (std::size_t count = 0; count < 3; count += in.size()) {
        asked.socket.receive_batch(in);
        out.push_replies(in);
        asked.socket.send_batch(out);
      }
    }
    SECTION("a writer's send, from a coroutine")
    {
      const bool with_options = GENERATE(false, true);
      test::run(io, [&]() -> asio::awaitable<void> {
        dgram::reader reader{asked.socket};
        dgram::writer writer{reader};
        for (int i = 0; i < 3; ++i) {
          const auto next = co_await reader.next();
          const dgram::send_options options{.hop_limit = 9};
          if (with_options)
            co_await writer.send(next->payload(), next->reply_path(), options);
          else
            co_await writer.send(next->payload(), next->reply_path());
        }
        co_await writer.flush();
      }());
    }
    SECTION("a writer's try_send, from callbacks")
    {
      dgram::reader reader{asked.socket};
      dgram::writer writer{reader};
      int count = 0;
      reader.async_for_each(
          [&](const datagram& next) {
            writer.try_send(next.payload(), next.reply_path());
            if (++count == 3) reader.stop();
          },
          [](dgram::error_code ec) { CHECK_FALSE(ec); });
      test::run(io);
    }
    expect(io, asked, {"?"});
  });
}

TEST_CASE("answers to several addresses share no message, and those to one do", "[F1]")
{
  if (dgram::platform::backend::max_segments == 1) SKIP("nothing cuts datagrams apart here");
  asio::io_context io;
  server asked(io, asked_over::ipv4);
  const auto peer = asked.clients[0].local_endpoint();
  dgram::send_batch out(8);
  for (const std::size_t number : {0U, 0U, 1U, 1U, 0U, 0U})
    out.push("!", path_type{peer, asked.clients[number].address});
  CHECK(asked.socket.send_batch(out).sent == 6);
  CHECK(asked.clients[0].heard() == texts{"!", "!", "!", "!"});
  CHECK(asked.socket.statistics().segmented == 6);
}

TEST_CASE("an answer in pieces or segments is checked as any other", "[F1]")
{
  dgram::send_batch out(2);
  const path_type wrong{test::loopback_v4(9), asio::ip::address_v6::loopback()};
  const std::array<asio::const_buffer, 2> pieces{asio::buffer("!", 1), asio::buffer("!", 1)};
  const dgram::error_code expected = asio::error::address_family_not_supported;
  const auto code_of = [](const auto& call) -> dgram::error_code {
    try {
      call();
    } catch (const dgram::system_error& error) {
      return error.code();
    }
    return {};
  };
  CHECK(code_of([&] { out.push("!", wrong); }) == expected);
  CHECK(code_of([&] { out.push(pieces, wrong); }) == expected);
  CHECK(code_of([&] { out.push_segments("!", 1, wrong); }) == expected);
  CHECK_THROWS_AS(out.push_segments("!", 0, path_type{test::loopback_v4(9)}),
                  std::invalid_argument);
  const path_type right{test::loopback_v4(9), asio::ip::make_address("127.0.0.7")};
  out.push("!", right);
  // The same source for a peer of the other family.
  CHECK(code_of([&] { out.push("!", path_type{test::loopback_v6(9), right.source}); }) == expected);
  CHECK(out.size() == 1);
  CHECK_THROWS_AS(out.push_segments("!!", 1, right), std::length_error);
  out.push(pieces, right);
  CHECK_THROWS_AS(out.push(pieces, right), std::length_error);
}

}  // namespace reply_test
