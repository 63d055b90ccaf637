// SPDX-License-Identifier: BSL-1.0
// Sending one datagram at a time: turns, order, limits, refusals, ends.
#include <dgram/writer.hpp>

#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/memory_transport.hpp"

#include <dgram.hpp>

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace writer_test {

namespace {

template <class Socket = dgram::udp::socket>
struct server {
  asio::io_context io;
  Socket socket{io, test::loopback_v4()};
  Socket client{io, test::loopback_v4()};
  std::optional<test::reader_of<Socket>> reader{socket};

  test::endpoint peer() { return client.local_endpoint(); }

  std::vector<std::string> arrived()
  {
    std::vector<std::string> texts;
    dgram::receive_batch batch{64};
    dgram::error_code ec;
    while (client.try_receive_batch(batch, ec) > 0)
      for (const dgram::datagram& datagram : batch)
        texts.emplace_back(datagram.payload().text());
    return texts;
  }
};

}  // namespace

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: what one handler sends outside of a turn leaves together, when it ends")
{
  const bool has_reader = GENERATE(true, false);
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  std::optional<writer_type> writer;
  if (has_reader)
    writer.emplace(*s.reader);
  else
    writer.emplace(s.socket);
  std::vector<std::string> expected;
  for (int round = 0; round < 3; ++round) {
    asio::post(s.io, [&, round] {
      for (int i = 0; i < (round == 0 ? 1 : 50); ++i) {
        expected.push_back(std::to_string(i));
        REQUIRE(writer->try_send(expected.back(), s.peer()));
      }
      CHECK(writer->size() == (round == 0 ? 1 : 50));
    });
    test::run(s.io);
    CHECK(s.arrived() == std::exchange(expected, {}));
    CHECK(s.socket.statistics().send_calls == static_cast<std::size_t>(round + 1));
  }
  CHECK(writer->statistics().queued == 101);
  CHECK(writer->statistics().sent == 101);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: what one resumption sends behind its datagram leaves in two calls, and later in one")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  writer_type writer{*s.reader};
  test::run(s.io, [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 6; ++i) {
      const auto before = s.socket.statistics().send_calls;
      const int sends = i < 3 ? 50 : 1;
      s.client.send_to(asio::buffer("x", 1), s.socket.local_endpoint());
      co_await s.reader->next();
      std::vector<std::string> expected;
      for (int j = 0; j < sends; ++j) {
        expected.push_back(std::to_string(i * 50 + j));
        co_await writer.send(expected.back(), s.peer());
      }
      // A lone answer leaves at once again when it was alone before.
      if (i >= 4) CHECK(writer.size() == 0);
      co_await asio::post(s.io, asio::use_awaitable);
      const auto texts = s.arrived();
      CHECK(texts == expected);
      CHECK(s.socket.statistics().send_calls - before == (i == 0 ? 2 : 1));
    }
  }());
}

DGRAM_EACH_TRANSPORT_TEST_CASE("writer: push queues a batch's answers, and says when to wait")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  const bool drops = GENERATE(false, true);
  writer_type writer{
      *s.reader,
      {.datagrams = 8,
       .bytes = 200'000,
       .when_full = drops ? dgram::full_policy::drop_newest : dgram::full_policy::wait}};
  constexpr int many = 30;
  for (int i = 0; i < many; ++i)
    s.client.send_to(asio::buffer(std::to_string(i)), s.socket.local_endpoint());
  int waits = 0;
  test::run(s.io, [&]() -> asio::awaitable<void> {
    for (int left = many; left > 0;) {
      const auto datagrams = co_await s.reader->next_batch();
      for (const dgram::datagram& datagram : datagrams)
        if (--left; !writer.push(datagram.payload(), datagram.reply_path())) {
          ++waits;
          co_await writer.flush();
        }
    }
    co_await writer.flush();
  }());
  std::vector<std::string> expected;
  for (int i = 0; i < many; ++i)
    expected.push_back(std::to_string(i));
  CHECK(s.arrived() == expected);
  CHECK(waits == 0);  // the kernel took all
  CHECK(writer.statistics().sent == many);
}

TEST_CASE("writer: push says that the queue is full, drops, or throws if nothing waits")
{
  const bool drops = GENERATE(false, true);
  server<test::memory_socket> s;
  dgram::writer writer{
      s.socket,
      {.datagrams = 4,
       .when_full = drops ? dgram::full_policy::drop_newest : dgram::full_policy::wait}};
  s.socket.fail_sends(asio::error::would_block);
  for (int i = 0; i < 4; ++i)
    CHECK(writer.push("x", s.peer()) == (i < 3 || drops));
  if (drops) {
    CHECK(writer.push("dropped", s.peer()));
  } else {
    try {
      writer.push("no room", s.peer());
      FAIL();
    } catch (const dgram::system_error& failure) {
      CHECK(failure.code() == asio::error::no_buffer_space);
    }
  }
  CHECK(writer.statistics().dropped == (drops ? 1 : 0));
  CHECK(writer.statistics().queued == 4);
  CHECK_THROWS_AS(writer.push(std::string(300'000, 'x'), s.peer()), dgram::system_error);
  CHECK_THROWS_AS(writer.push("x"), dgram::system_error);
  s.socket.fail_sends({});
  test::run(s.io);
  CHECK(s.arrived().size() == 4);
  s.socket.close();
  CHECK_THROWS_AS(writer.push("x", s.peer()), dgram::system_error);
}

TEST_CASE("writer: of a socket alone it has the same statistics, errors and back-pressure")
{
  server<> s;
  dgram::writer writer{s.socket, {.datagrams = 4, .bytes = 100}};
  static_assert(std::is_same_v<decltype(writer), dgram::udp::writer>);
  std::vector<dgram::error_code> errors;
  writer.on_error(
      [&](dgram::error_code ec, const test::endpoint&, std::size_t) { errors.push_back(ec); });
  test::run(s.io, [&]() -> asio::awaitable<void> {
    dgram::error_code ec;
    try {
      co_await writer.send(std::string(101, 'x'), s.peer());
    } catch (const dgram::system_error& failure) {
      ec = failure.code();
    }
    CHECK(ec == asio::error::message_size);
    for (int i = 0; i < 10; ++i)  // more than there is room for
      co_await writer.send(std::to_string(i), s.peer());
    co_await writer.send("refused", test::endpoint(asio::ip::address_v4::broadcast(), 9));
    co_await writer.flush();
    CHECK(writer.size() == 0);
  }());
  CHECK(s.arrived().size() == 10);
  CHECK(errors == std::vector<dgram::error_code>{asio::error::access_denied});
  CHECK(writer.try_send("last words", s.peer()));
  writer.close();
  CHECK(s.arrived() == std::vector<std::string>{"last words"});
  CHECK(writer.statistics().queued == 12);
  CHECK(writer.statistics().sent == 11);
  CHECK(writer.statistics().refused == 1);
  s.socket.close();
  CHECK_FALSE(writer.try_send("closed", s.peer()));
}

TEST_CASE("writer: of a socket alone sends what is queued, or reports it, when its context ends")
{
  std::optional<asio::io_context> io{std::in_place};
  asio::io_context other;
  dgram::udp::socket peer{other, test::loopback_v4()};
  std::optional<dgram::udp::socket> socket{std::in_place, *io, test::loopback_v4()};
  std::optional<dgram::udp::writer> writer{*socket};
  REQUIRE(writer->try_send("queued", peer.local_endpoint()));
  writer.reset();
  socket.reset();
  io.reset();
  dgram::receive_batch batch{1};
  CHECK(peer.try_receive_batch(batch) == 1);
}

DGRAM_EACH_TRANSPORT_TEST_CASE("writer: the replies to one received batch leave together, in order")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  for (int i = 0; i < 10; ++i)
    s.client.send_to(asio::buffer(std::to_string(i)), s.socket.local_endpoint());
  writer_type writer{*s.reader};
  test::run(s.io, [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 10; ++i) {
      auto datagram = co_await s.reader->next();
      co_await writer.send(datagram->payload(), datagram->sender());
      // In the middle of a turn nothing has left; at its end all of it has.
      const auto texts = s.arrived();
      REQUIRE(texts.size() == (i < 9 ? 0 : 10));
    }
  }());
  REQUIRE(writer.statistics().sent == 10);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: a turn that ends without a reply to its last datagram is flushed all the same")
{
  const bool waits_elsewhere = GENERATE(false, true);
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  for (int i = 0; i < 3; ++i)
    s.client.send_to(asio::buffer(std::to_string(i)), s.socket.local_endpoint());
  writer_type writer{*s.reader};
  std::vector<std::string> texts;
  asio::co_spawn(
      s.io,
      [&]() -> asio::awaitable<void> {
        auto datagram = co_await s.reader->next();
        co_await writer.send(datagram->payload(), datagram->sender());
        if (waits_elsewhere) {
          asio::steady_timer never(s.io, std::chrono::steady_clock::time_point::max());
          co_await never.async_wait(asio::use_awaitable);
        }
        for (;;)
          co_await s.reader->next();
      },
      asio::detached);
  while (texts.empty() && s.io.poll_one() > 0)
    texts = s.arrived();
  REQUIRE(texts == std::vector<std::string>{"0"});
}

TEST_CASE("writer: equal replies to one peer are one message to the kernel, and arrive one by one")
{
  server<> s;
  dgram::error_code ec;
  s.client.set_option(dgram::option::coalescing(true), ec);
  if (ec) SKIP("no coalescing here: " << ec.message());
  for (int i = 0; i < 8; ++i)
    s.client.send_to(asio::buffer("same size", 9), s.socket.local_endpoint());
  dgram::udp::writer writer{*s.reader};
  test::run(s.io, [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 8; ++i) {
      auto datagram = co_await s.reader->next();
      co_await writer.send(datagram->payload(), datagram->sender());
    }
  }());
  dgram::receive_batch batch{8};
  REQUIRE(s.client.try_receive_batch(batch) == 8);
  REQUIRE(batch.used_slots() == 1);  // the train was not taken apart on its way
}

DGRAM_EACH_TRANSPORT_TEST_CASE("writer: payload and peer are copied")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  s.client.send_to(asio::buffer("a", 1), s.socket.local_endpoint());
  s.client.send_to(asio::buffer("b", 1), s.socket.local_endpoint());
  writer_type writer{*s.reader};
  test::run(s.io, [&]() -> asio::awaitable<void> {
    co_await s.reader->next();
    {
      auto payload = std::make_unique<std::string>("short-lived");
      auto peer = std::make_unique<test::endpoint>(s.peer());
      co_await writer.send(*payload, *peer);
      *payload = "overwritten";
      *peer = test::endpoint();
    }
    co_await writer.flush();
  }());
  REQUIRE(s.arrived() == std::vector<std::string>{"short-lived"});
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: one refused datagram is reported with its peer, and the others go on")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  for (int i = 0; i < 2; ++i)
    s.client.send_to(asio::buffer("x", 1), s.socket.local_endpoint());
  writer_type writer{*s.reader};
  std::vector<std::pair<dgram::error_code, test::endpoint>> errors;
  std::size_t size = 0;
  writer.on_error([&](const dgram::error_code& ec, const test::endpoint& peer, std::size_t bytes) {
    errors.emplace_back(ec, peer);
    size = bytes;
  });
  const test::endpoint broadcast(asio::ip::address_v4::broadcast(), 9);
  test::run(s.io, [&]() -> asio::awaitable<void> {
    co_await s.reader->next();
    co_await writer.send("before", s.peer());
    co_await writer.send("refused", broadcast);  // EACCES without the broadcast option
    co_await writer.send(std::string(65508, 'x'), s.peer());
    co_await writer.send("after", s.peer());
    co_await writer.flush();
  }());
  REQUIRE(s.arrived() == std::vector<std::string>{"before", "after"});
  REQUIRE(errors.size() == 2);
  REQUIRE(errors[0].first == asio::error::access_denied);
  REQUIRE(errors[0].second == broadcast);
  REQUIRE(errors[1].first == asio::error::message_size);
  REQUIRE(errors[1].second == s.peer());
  REQUIRE(size == 65508);
  REQUIRE(writer.statistics().refused == 2);
  REQUIRE(writer.statistics().sent == 2);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: a payload larger than the queue, and a closed socket, are errors at the call")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  writer_type writer{*s.reader, {.datagrams = 4, .bytes = 100}};
  test::run(s.io, [&]() -> asio::awaitable<void> {
    dgram::error_code ec;
    try {
      co_await writer.send(std::string(101, 'x'), s.peer());
    } catch (const dgram::system_error& failure) {
      ec = failure.code();
    }
    REQUIRE(ec == asio::error::message_size);
    s.socket.close();
    try {
      co_await writer.send("x", s.peer());
    } catch (const dgram::system_error& failure) {
      ec = failure.code();
    }
    REQUIRE(ec == asio::error::bad_descriptor);
  }());
  REQUIRE_FALSE(writer.try_send("x", s.peer()));
  REQUIRE(writer.statistics().queued == 0);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: a payload that becomes several datagrams takes room for all of them")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  writer_type writer{*s.reader, {.datagrams = 4}};
  const dgram::send_options cut{.segment_size = 2};
  test::run(s.io, [&]() -> asio::awaitable<void> {
    dgram::error_code ec;
    try {
      co_await writer.send("1122334455", s.peer(), cut);
    } catch (const dgram::system_error& failure) {
      ec = failure.code();
    }
    REQUIRE(ec == asio::error::message_size);
    REQUIRE(writer.statistics().queued == 0);
    for (int i = 0; i < 3; ++i)
      co_await writer.send("11223", s.peer(), cut);
    REQUIRE(writer.try_send("11223", s.peer(), cut));
    co_await writer.flush();
  }());
  CHECK_FALSE(writer.try_send("1122334455", s.peer(), cut));
  std::string refusal;
  try {
    writer.try_send("11223", s.peer(), {.segment_size = 0});
  } catch (const dgram::system_error& failure) {
    refusal = failure.what();
  }
  CHECK(refusal == "send with \"segment_size{0}\" (allowed are 1 and more): " +
                       dgram::error_code(asio::error::invalid_argument).message());
  CHECK(writer.statistics().queued == 12);
  CHECK(writer.statistics().sent == 12);
  CHECK(s.arrived().size() == 12);
}

TEST_CASE("writer: what datagrams on a connected socket ask for is looked at one by one")
{
  server<> s;
  s.socket.connect(s.peer());
  dgram::udp::writer writer{*s.reader};
  const dgram::send_options possible{.hop_limit = 9};
  const dgram::send_options impossible{.do_not_fragment = true};
  std::vector<dgram::error_code> errors;
  writer.on_error(
      [&](dgram::error_code ec, const test::endpoint&, std::size_t) { errors.push_back(ec); });
  test::run(s.io, [&]() -> asio::awaitable<void> {
    co_await writer.send("one", possible);
    co_await writer.send("two", impossible);
    co_await writer.flush();
  }());
  CHECK(writer.try_send("three", possible));
  test::run(s.io);
  CHECK(s.arrived() == std::vector<std::string>{"one", "three"});
  CHECK(errors == std::vector<dgram::error_code>{asio::error::operation_not_supported});
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: a queue that fills up in the middle of a turn is flushed, and nothing is lost")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  for (int i = 0; i < 20; ++i)
    s.client.send_to(asio::buffer(std::to_string(i)), s.socket.local_endpoint());
  writer_type writer{*s.reader, {.datagrams = 4, .bytes = 20}};
  test::run(s.io, [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 20; ++i) {
      auto datagram = co_await s.reader->next();
      co_await writer.send(datagram->payload(), datagram->sender());
    }
  }());
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i)
    expected.push_back(std::to_string(i));
  REQUIRE(s.arrived() == expected);
  REQUIRE(writer.statistics().sent == 20);
  REQUIRE(writer.statistics().dropped == 0);
}

DGRAM_EACH_TRANSPORT_TEST_CASE("writer: what is queued when the writer goes is handed over")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  for (int i = 0; i < 3; ++i)
    s.client.send_to(asio::buffer("x", 1), s.socket.local_endpoint());
  test::run(s.io, [&]() -> asio::awaitable<void> {
    writer_type writer{*s.reader};
    co_await s.reader->next();
    co_await writer.send("last words", s.peer());
  }());
  REQUIRE(s.arrived() == std::vector<std::string>{"last words"});
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: what is queued when the socket goes is counted and reported")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  for (int i = 0; i < 3; ++i)
    s.client.send_to(asio::buffer("x", 1), s.socket.local_endpoint());
  writer_type writer{*s.reader};
  std::size_t reported = 0;
  writer.on_error(
      [&](const dgram::error_code&, const test::endpoint&, std::size_t) { ++reported; });
  test::run(s.io, [&]() -> asio::awaitable<void> {
    co_await s.reader->next();
    co_await writer.send("a", s.peer());
    co_await writer.send("b", s.peer());
    REQUIRE(writer.size() == 2);
    s.socket.close();
  }());
  writer.close();
  REQUIRE(reported == 2);
  REQUIRE(writer.statistics().lost == 2);
  REQUIRE(s.arrived().empty());
}

TEST_CASE("writer: the ten-line echo server answers several clients, each in order")
{
  asio::io_context io;
  dgram::udp::socket socket{io, test::loopback_v4(), {.dual_stack = true}};
  const auto target = socket.local_endpoint();
  asio::co_spawn(
      io,
      [](dgram::udp::socket owned) -> asio::awaitable<void> {
        dgram::reader reader{owned};
        dgram::writer writer{reader};
        while (auto datagram = co_await reader.next())
          co_await writer.send(datagram->payload(), datagram->sender());
      }(std::move(socket)),
      asio::detached);
  constexpr int clients = 5;
  constexpr int messages = 100;
  int finished = 0;
  for (int c = 0; c < clients; ++c) {
    asio::co_spawn(
        io,
        [](asio::io_context& io_, test::endpoint to, int number) -> asio::awaitable<void> {
          dgram::udp::socket client{io_, test::loopback_v4()};
          dgram::reader replies{client};
          for (int i = 0; i < messages; i += 10) {
            dgram::send_batch out{10};
            std::vector<std::string> texts;
            for (int j = i; j < i + 10; ++j)
              texts.push_back(std::string(static_cast<std::size_t>(j % 3 + 1), 'a') +
                              std::to_string(number * 1000 + j));
            for (const auto& text : texts)
              out.push(text, to);
            co_await client.async_send_batch(out, asio::use_awaitable);
            for (const auto& text : texts) {
              auto reply = co_await replies.next();
              REQUIRE(reply);
              REQUIRE(reply->payload().text() == text);
              REQUIRE(reply->sender() == to);
            }
          }
        }(io, target, c),
        [&](std::exception_ptr failure) {
          if (failure) std::rethrow_exception(failure);
          if (++finished == clients) io.stop();
        });
  }
  io.run_for(test::seconds(20));
  REQUIRE(finished == clients);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: on a connected socket it sends to the peer, and to nobody else")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  s.socket.connect(s.peer());
  writer_type writer{*s.reader};
  test::run(s.io, [&]() -> asio::awaitable<void> {
    dgram::error_code ec;
    try {
      co_await writer.send("x", s.peer());
    } catch (const dgram::system_error& failure) {
      ec = failure.code();
    }
    REQUIRE(ec == asio::error::already_connected);
    co_await writer.send("to the peer");
  }());
  REQUIRE_FALSE(writer.try_send("x", s.peer()));
  REQUIRE(writer.try_send("again"));
  test::run(s.io);
  REQUIRE(s.arrived() == std::vector<std::string>{"to the peer", "again"});
  s.socket.disconnect();
  REQUIRE_FALSE(writer.try_send("nobody"));
}

DGRAM_EACH_TRANSPORT_TEST_CASE("writer: an error handler may send, close, and replace itself")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  writer_type writer{*s.reader};
  int reports = 0;
  writer.on_error([&](const dgram::error_code&, const test::endpoint&, std::size_t) {
    ++reports;
    writer.try_send("about it", s.peer());
    writer.on_error({});
  });
  REQUIRE(writer.try_send(std::string(65508, 'x'), s.peer()));
  test::run(s.io);
  REQUIRE(reports == 1);
  REQUIRE(s.arrived() == std::vector<std::string>{"about it"});
  writer.on_error([&](const dgram::error_code&, const test::endpoint&, std::size_t) {
    ++reports;
    writer.close();
  });
  REQUIRE(writer.try_send(std::string(65508, 'x'), s.peer()));
  test::run(s.io);
  REQUIRE(reports == 2);
  REQUIRE_FALSE(writer.try_send("after close", s.peer()));
  const auto& statistics = writer.statistics();
  REQUIRE(statistics.queued == statistics.sent + statistics.refused + statistics.lost);
}

DGRAM_EACH_TRANSPORT_TEST_CASE(
    "writer: what an error handler sends leaves, whichever loss it is called for", "[F22]")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  writer_type writer{*s.reader};
  int reports = 0;
  writer.on_error([&](const dgram::error_code& ec, const test::endpoint&, std::size_t) {
    CHECK(ec == asio::error::operation_aborted);
    REQUIRE(writer.try_send("about loss " + std::to_string(++reports), s.peer()));
  });
  for (const char* lost : {"a", "b", "c"})
    REQUIRE(writer.try_send(lost, s.peer()));
  // The first send on the new descriptor finds those that were queued for the old one.
  s.socket.close();
  s.socket.open(dgram::udp::v4());
  s.socket.bind(test::loopback_v4());
  REQUIRE(writer.try_send("about nothing", s.peer()));
  CHECK(reports == 3);
  test::run(s.io);
  auto arrived = s.arrived();
  std::sort(arrived.begin(), arrived.end());
  CHECK(arrived ==
        std::vector<std::string>{"about loss 1", "about loss 2", "about loss 3", "about nothing"});
  CHECK(writer.statistics().lost == 3);
  CHECK(writer.statistics().sent == 4);
}

DGRAM_EACH_TRANSPORT_TEST_CASE("writer: a second writer of a reader takes its place")
{
  server<TestType> s;
  using writer_type = test::writer_of<TestType>;
  writer_type writer{*s.reader};
  writer = writer_type{*s.reader};
  for (int i = 0; i < 2; ++i)
    s.client.send_to(asio::buffer("x", 1), s.socket.local_endpoint());
  test::run(s.io, [&]() -> asio::awaitable<void> {
    co_await s.reader->next();
    co_await writer.send("one", s.peer());
    co_await s.reader->next();
    dgram::error_code ec;
    co_await s.reader->next_for(std::chrono::milliseconds(1), ec);
  }());
  REQUIRE(s.arrived() == std::vector<std::string>{"one"});
}

}  // namespace writer_test
