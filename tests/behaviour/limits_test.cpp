// SPDX-License-Identifier: BSL-1.0
// One more than a limit is an error, in each form of each operation, and never cut without an error.
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace limits_test {

namespace {

using dgram::error_code;
using pieces = std::vector<asio::const_buffer>;
using room = std::vector<asio::mutable_buffer>;

constexpr std::size_t most_pieces = 64;

struct pair_of_sockets {
  explicit pair_of_sockets(bool connected) : to(io, test::loopback_v4()), from(io, dgram::udp::v4())
  {
    if (connected) from.connect(to.local_endpoint());
  }

  test::endpoint peer() const { return to.local_endpoint(); }

  asio::io_context io;
  dgram::udp::socket to, from;
};

struct outcome {
  error_code ec;
  std::size_t size = 0;
};

template <class Start>
outcome completed(asio::io_context& io, Start start)
{
  std::optional<outcome> done;
  start([&](error_code ec, std::size_t size) { done = outcome{ec, size}; });
  io.restart();
  io.run_for(test::seconds(10));
  REQUIRE(done);
  return *done;
}

struct send_form {
  const char* name;
  bool connected;
  std::function<outcome(pair_of_sockets&, const pieces&)> send;
};

template <class Call>
outcome called(Call call)
{
  outcome result;
  result.size = call(result.ec);
  return result;
}

std::vector<send_form> send_forms()
{
  const dgram::send_options asking{.hop_limit = 5};
  return {
      {"send", true,
       [](auto& s, const pieces& p) {
         return called([&](error_code& ec) { return s.from.send(p, 0, ec); });
       }},
      {"send with options", true,
       [=](auto& s, const pieces& p) {
         return called([&](error_code& ec) { return s.from.send(p, asking, ec); });
       }},
      {"try_send", true,
       [](auto& s, const pieces& p) {
         return called([&](error_code& ec) { return s.from.try_send(p, ec); });
       }},
      {"async_send", true,
       [](auto& s, const pieces& p) {
         return completed(s.io, [&](auto handler) { s.from.async_send(p, handler); });
       }},
      {"async_send with options", true,
       [=](auto& s, const pieces& p) {
         return completed(s.io, [&](auto handler) { s.from.async_send(p, asking, handler); });
       }},
      {"send_to", false,
       [](auto& s, const pieces& p) {
         return called([&](error_code& ec) { return s.from.send_to(p, s.peer(), 0, ec); });
       }},
      {"send_to with options", false,
       [=](auto& s, const pieces& p) {
         return called([&](error_code& ec) { return s.from.send_to(p, s.peer(), asking, ec); });
       }},
      {"send_to by a reply path", false,
       [](auto& s, const pieces& p) {
         const dgram::reply_path path{s.peer()};
         return called([&](error_code& ec) { return s.from.send_to(p, path, ec); });
       }},
      {"try_send_to", false,
       [](auto& s, const pieces& p) {
         return called([&](error_code& ec) { return s.from.try_send_to(p, s.peer(), ec); });
       }},
      {"async_send_to", false,
       [](auto& s, const pieces& p) {
         return completed(s.io, [&](auto handler) { s.from.async_send_to(p, s.peer(), handler); });
       }},
      {"async_send_to with options", false,
       [=](auto& s, const pieces& p) {
         return completed(
             s.io, [&](auto handler) { s.from.async_send_to(p, s.peer(), asking, handler); });
       }},
      {"async_send_to by name", false,
       [](auto& s, const pieces& p) {
         return completed(s.io, [&](auto handler) {
           dgram::async_send_to(s.from, p, "127.0.0.1", std::to_string(s.peer().port()), handler);
         });
       }},
  };
}

struct receive_form {
  const char* name;
  std::function<outcome(pair_of_sockets&, const room&)> receive;
};

std::vector<receive_form> receive_forms()
{
  return {
      {"receive",
       [](auto& s, const room& r) {
         return called([&](error_code& ec) { return s.to.receive(r, 0, ec); });
       }},
      {"receive_from",
       [](auto& s, const room& r) {
         test::endpoint sender;
         return called([&](error_code& ec) { return s.to.receive_from(r, sender, 0, ec); });
       }},
      {"receive_from with info",
       [](auto& s, const room& r) {
         dgram::datagram_info info;
         return called([&](error_code& ec) { return s.to.receive_from(r, info, ec); });
       }},
      {"try_receive",
       [](auto& s, const room& r) {
         return called([&](error_code& ec) { return s.to.try_receive(r, ec); });
       }},
      {"try_receive_from",
       [](auto& s, const room& r) {
         test::endpoint sender;
         return called([&](error_code& ec) { return s.to.try_receive_from(r, sender, ec); });
       }},
      {"async_receive",
       [](auto& s, const room& r) {
         return completed(s.io, [&](auto handler) { s.to.async_receive(r, handler); });
       }},
      {"async_receive_from",
       [](auto& s, const room& r) {
         test::endpoint sender;
         return completed(s.io, [&](auto handler) { s.to.async_receive_from(r, sender, handler); });
       }},
      {"async_receive_from with info",
       [](auto& s, const room& r) {
         dgram::datagram_info info;
         return completed(s.io, [&](auto handler) { s.to.async_receive_from(r, info, handler); });
       }},
  };
}

}  // namespace

TEST_CASE("a datagram of more pieces than one may have is refused, and never cut in silence",
          "[limits][F9]")
{
  const std::string text(2 * most_pieces, 'x');
  for (const auto& form : send_forms()) {
    INFO(form.name);
    pair_of_sockets sockets(form.connected);
    for (const std::size_t count : {most_pieces, most_pieces + 1, 2 * most_pieces}) {
      CAPTURE(count);
      const pieces list(count, asio::buffer(text, 1));
      const outcome result = form.send(sockets, list);
      error_code ec;
      std::array<char, 300> got{};
      if (count <= most_pieces) {
        CHECK_FALSE(result.ec);
        CHECK(result.size == count);
        CHECK(sockets.to.try_receive(asio::buffer(got), ec) == count);
      } else {
        CHECK(result.ec == asio::error::message_size);
        sockets.to.try_receive(asio::buffer(got), ec);
        CHECK(ec == asio::error::would_block);
      }
    }
  }
}

TEST_CASE("the pieces of a datagram in a batch are all there, or it is not taken", "[limits][F9]")
{
  pair_of_sockets sockets(false);
  const std::string text(1, 'x');
  const pieces fitting(most_pieces, asio::buffer(text));
  const pieces too_many(most_pieces + 1, asio::buffer(text));
  dgram::send_batch batch{4};
  batch.push(fitting, sockets.peer());
  CHECK_THROWS_AS(batch.push(too_many, sockets.peer()), std::length_error);
  CHECK(batch.size() == 1);
  CHECK(sockets.from.try_send_batch(batch).sent == 1);
  // A batch that copies has one piece of each.
  dgram::send_batch copies{dgram::send_batch_config{.datagrams = 4, .copy = true}};
  copies.push(too_many, sockets.peer());
  CHECK(sockets.from.try_send_batch(copies).sent == 1);
  std::array<char, 300> got{};
  CHECK(sockets.to.try_receive(asio::buffer(got)) == most_pieces);
  CHECK(sockets.to.try_receive(asio::buffer(got)) == most_pieces + 1);
}

TEST_CASE("a receive into more pieces than one may have is refused, and loses no datagram",
          "[limits][F9]")
{
  std::array<char, 2 * most_pieces> storage{};
  for (const auto& form : receive_forms()) {
    INFO(form.name);
    pair_of_sockets sockets(false);
    const std::string text(most_pieces, 'x');
    sockets.from.send_to(asio::buffer(text), sockets.peer());
    for (const std::size_t count : {most_pieces + 1, most_pieces}) {
      CAPTURE(count);
      room list;
      for (std::size_t i = 0; i < count; ++i)
        list.push_back(asio::buffer(storage.data() + i, 1));
      const outcome result = form.receive(sockets, list);
      CHECK(result.ec ==
            (count > most_pieces ? error_code(asio::error::message_size) : error_code()));
      CHECK(result.size == (count > most_pieces ? 0 : most_pieces));
    }
  }
}

}  // namespace limits_test
