// SPDX-License-Identifier: BSL-1.0
// Trains of datagrams: put together by us or by the kernel, cut apart by the kernel or by us.
#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/system_sockets.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_random.hpp>

#include <deque>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace gso_test {

namespace {

/// A receiver that may coalesce, and everything it gets.
class sink {
public:
  explicit sink(asio::io_context& io, bool coalesce, const test::endpoint& at = test::loopback_v4())
      : socket(io, at)
  {
    socket.set_receive_buffer_size(4 << 20);
    dgram::error_code not_here;
    socket.set_option(dgram::option::coalescing(coalesce), not_here);
  }

  /// What has arrived, in order, one text per datagram.
  std::vector<std::string> take()
  {
    std::vector<std::string> texts;
    dgram::error_code ec;
    while (socket.try_receive_batch(batch_, ec) > 0) {
      slots += batch_.used_slots();
      for (const dgram::datagram& datagram : batch_) {
        REQUIRE_FALSE(datagram.truncated());
        REQUIRE(datagram.wire_size() == datagram.payload().size());
        texts.emplace_back(datagram.payload().text());
        senders.push_back(datagram.sender());
      }
    }
    return texts;
  }

  dgram::udp::socket socket;
  std::size_t slots = 0;
  std::vector<test::endpoint> senders;

private:
  dgram::receive_batch batch_{16};
};

std::vector<std::size_t> sizes(const std::vector<std::string>& texts)
{
  std::vector<std::size_t> result;
  for (const auto& text : texts)
    result.push_back(text.size());
  return result;
}

std::string pattern(std::size_t size)
{
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

dgram::send_result send_segments(asio::io_context& io, dgram::udp::socket& from,
                                 const std::string& payload, std::size_t segment,
                                 const test::endpoint& to)
{
  dgram::send_result result;
  from.async_send_segments(
      payload, segment, to,
      [&](const dgram::error_code&, const dgram::send_result& sent) { result = sent; });
  test::run(io);
  return result;
}

/// Where the receiver is, and whether the sender is a dual-stack socket.
struct path {
  bool six;
  bool dual;

  test::endpoint here() const { return six ? test::loopback_v6() : test::loopback_v4(); }

  dgram::udp::socket sender(asio::io_context& io) const
  {
    if (dual) return dgram::udp::socket{io, dgram::udp::dual()};
    return dgram::udp::socket{io, here()};
  }
};

path any_path()
{
  const path over{GENERATE(false, true), GENERATE(false, true)};
  if ((over.six || over.dual) && !test::has_ipv6()) SKIP("this host has no IPv6 loopback");
  UNSCOPED_INFO("IPv" << (over.six ? 6 : 4) << (over.dual ? ", dual stack" : ""));
  return over;
}

std::string join(const std::vector<std::string>& texts)
{
  return std::accumulate(texts.begin(), texts.end(), std::string());
}

}  // namespace

TEST_CASE("GSO-01: a train of as many segments as the kernel takes arrives as that many datagrams")
{
  const bool coalesce = GENERATE(false, true);
  const path over = any_path();
  asio::io_context io;
  sink receiver(io, coalesce, over.here());
  auto sender = over.sender(io);
  const std::string payload = pattern(128 * 64);
  REQUIRE(send_segments(io, sender, payload, 128, receiver.socket.local_endpoint()).sent == 64);
  const auto texts = receiver.take();
  REQUIRE(sizes(texts) == std::vector<std::size_t>(64, 128));
  REQUIRE(join(texts) == payload);
}

TEST_CASE("GSO-03: several trains, each with a segment size of its own, keep their cuts")
{
  const bool coalesce = GENERATE(false, true);
  const path over = any_path();
  asio::io_context io;
  sink receiver(io, coalesce, over.here());
  auto sender = over.sender(io);
  const auto target = receiver.socket.local_endpoint();
  dgram::send_batch batch{256};
  std::vector<std::string> payloads;
  std::vector<std::size_t> expected;
  for (const std::size_t segment : {1000U, 800U, 1100U, 300U}) {
    payloads.push_back(pattern(segment * 10 + 7));
    expected.insert(expected.end(), 10, segment);
    expected.push_back(7);
  }
  std::size_t next = 0;
  for (const std::size_t segment : {1000U, 800U, 1100U, 300U})
    batch.push_segments(payloads[next++], segment, target);
  REQUIRE(batch.size() == 44);
  const auto result = sender.send_batch(batch);
  REQUIRE_FALSE(result.error);
  REQUIRE(result.sent == 44);
  const auto texts = receiver.take();
  REQUIRE(sizes(texts) == expected);
  REQUIRE(join(texts) == join(payloads));
}

TEST_CASE("GSO-04: the last segment may be shorter, and a payload may be gathered")
{
  const path over = any_path();
  asio::io_context io;
  sink receiver(io, true, over.here());
  auto sender = over.sender(io);
  const auto target = receiver.socket.local_endpoint();
  REQUIRE(send_segments(io, sender, pattern(301), 300, target).sent == 2);
  REQUIRE(sizes(receiver.take()) == std::vector<std::size_t>{300, 1});
  if (dgram::platform::backend::max_segments > 1) {
    const dgram::send_options by_300{.segment_size = 300};
    REQUIRE(sender.send_to(asio::buffer(pattern(301)), target, by_300) == 301);
    REQUIRE(sizes(receiver.take()) == std::vector<std::size_t>{300, 1});
    const std::string one = pattern(101);
    const std::string other = pattern(201);
    const std::array<asio::const_buffer, 2> both{asio::buffer(one), asio::buffer(other)};
    REQUIRE(sender.send_to(both, target, by_300) == 302);
    REQUIRE(sizes(receiver.take()) == std::vector<std::size_t>{300, 2});
  }
  const std::string first = pattern(101);
  const std::string second = pattern(201);
  const std::array<asio::const_buffer, 2> gathered{asio::buffer(first), asio::buffer(second)};
  dgram::send_batch batch{3};
  for (int i = 0; i < 3; ++i)
    batch.push(gathered, target);
  REQUIRE(sender.send_batch(batch).sent == 3);
  const auto texts = receiver.take();
  REQUIRE(texts == std::vector<std::string>(3, first + second));
}

TEST_CASE("GSO-05: segments that are not smaller than the payload, and empty payloads")
{
  const path over = any_path();
  asio::io_context io;
  sink receiver(io, true, over.here());
  auto sender = over.sender(io);
  const auto target = receiver.socket.local_endpoint();
  REQUIRE(send_segments(io, sender, pattern(100), 100, target).sent == 1);
  REQUIRE(send_segments(io, sender, pattern(100), 5000, target).sent == 1);
  REQUIRE(send_segments(io, sender, "", 100, target).sent == 1);
  REQUIRE(sizes(receiver.take()) == std::vector<std::size_t>{100, 100, 0});
  REQUIRE(sender.send_to(asio::buffer("", 0), target, {.segment_size = 10}) == 0);
  REQUIRE(sender.send_to(asio::buffer(pattern(10)), target, {.segment_size = 10}) == 10);
  REQUIRE(sender.send_to(asio::buffer(pattern(10)), target, {.segment_size = 11}) == 10);
  REQUIRE(sizes(receiver.take()) == std::vector<std::size_t>{0, 10, 10});
  REQUIRE(sender.statistics().segmented == 0);
  const auto refused = send_segments(io, sender, pattern(100), 0, target);
  REQUIRE(refused.error == asio::error::invalid_argument);
  dgram::send_batch batch{4};
  REQUIRE_THROWS_AS(batch.push_segments("x", 0, target), std::invalid_argument);
  batch.push_segments("", 10, target);
  REQUIRE(batch.size() == 1);
  REQUIRE(sender.send_batch(batch).sent == 1);
  REQUIRE(sizes(receiver.take()) == std::vector<std::size_t>{0});
}

TEST_CASE("GSO-06: more segments than one message may have leave as several messages")
{
  const path over = any_path();
  asio::io_context io;
  sink receiver(io, true, over.here());
  auto sender = over.sender(io);
  const std::string payload = pattern(100 * 200 + 1);
  REQUIRE(send_segments(io, sender, payload, 100, receiver.socket.local_endpoint()).sent == 201);
  const auto texts = receiver.take();
  REQUIRE(texts.size() == 201);
  REQUIRE(join(texts) == payload);
  dgram::send_batch batch{200};
  const std::string one = pattern(50);
  for (int i = 0; i < 200; ++i)
    batch.push(one, receiver.socket.local_endpoint());
  REQUIRE(sender.send_batch(batch).sent == 200);
  REQUIRE(receiver.take().size() == 200);
}

TEST_CASE("GSO-07: a train is cut where the bytes of one message end")
{
  const path over = any_path();
  asio::io_context io;
  sink receiver(io, true, over.here());
  auto sender = over.sender(io);
  const std::string payload = pattern(1400 * 48);  // 67,200 bytes
  REQUIRE(send_segments(io, sender, payload, 1400, receiver.socket.local_endpoint()).sent == 48);
  const auto texts = receiver.take();
  REQUIRE(sizes(texts) == std::vector<std::size_t>(48, 1400));
  REQUIRE(join(texts) == payload);
}

TEST_CASE("GSO-07: a single send takes as many bytes as one message holds, and no more")
{
  if (dgram::platform::backend::max_segments == 1) SKIP("nothing cuts datagrams apart here");
  const path over = any_path();
  asio::io_context io;
  sink receiver(io, true, over.here());
  auto sender = over.sender(io);
  const auto target = receiver.socket.local_endpoint();
  // An IPv6 header is not part of the length that limits it.
  const std::size_t most = over.six ? 65527 : 65507;
  dgram::error_code ec;
  REQUIRE(sender.send_to(asio::buffer(pattern(most)), target, {.segment_size = 1400}, ec) == most);
  const auto texts = receiver.take();
  REQUIRE(texts.size() == 47);
  REQUIRE(join(texts) == pattern(most));
  REQUIRE(sender.send_to(asio::buffer(pattern(most + 1)), target, {.segment_size = 1400}, ec) == 0);
  REQUIRE(ec == asio::error::message_size);
}

TEST_CASE("GSO-11: plain datagrams stay plain on a socket that coalesces")
{
  const bool v6 = GENERATE(false, true);
  if (v6) DGRAM_SKIP_WITHOUT_IPV6();
  const auto here = v6 ? test::loopback_v6() : test::loopback_v4();
  asio::io_context io;
  sink receiver(io, true, here);
  dgram::udp::socket sender{io, here};
  sender.send_to(asio::buffer(pattern(33)), receiver.socket.local_endpoint());
  sender.send_to(asio::buffer(pattern(33)), receiver.socket.local_endpoint());
  REQUIRE(sizes(receiver.take()) == std::vector<std::size_t>{33, 33});
  REQUIRE(receiver.slots == 2);
}

TEST_CASE("GSO-07: a train for a mapped address is cut where one message over IPv4 ends")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  sink receiver(io, true);
  dgram::udp::socket sender{io, dgram::udp::v6()};
  dgram::send_batch out(64);
  constexpr std::size_t datagrams = 60;  // 65,520 bytes: one message over IPv6, and not over IPv4
  const std::string payload = pattern(datagrams * 1092);
  out.push_segments(payload, 1092, dgram::mapped(receiver.socket.local_endpoint()));
  REQUIRE(sender.send_batch(out).sent == datagrams);
  CHECK(sizes(receiver.take()) == std::vector<std::size_t>(datagrams, 1092));
  const auto statistics = sender.statistics();
  if (dgram::platform::backend::max_segments > 1) CHECK(statistics.segmented >= datagrams - 1);
}

TEST_CASE("GSO-13: every datagram of a train has the size and the sender it was sent with")
{
  const bool v6 = GENERATE(false, true);
  if (v6) DGRAM_SKIP_WITHOUT_IPV6();
  const auto here = v6 ? test::loopback_v6() : test::loopback_v4();
  asio::io_context io;
  sink receiver(io, true, here);
  dgram::udp::socket sender{io, here};
  REQUIRE(send_segments(io, sender, pattern(1000), 300, receiver.socket.local_endpoint()).sent ==
          4);
  REQUIRE(sizes(receiver.take()) == std::vector<std::size_t>{300, 300, 300, 100});
  REQUIRE(receiver.senders == std::vector<test::endpoint>(4, sender.local_endpoint()));
  const auto statistics = receiver.socket.statistics();
  CHECK(statistics.coalesced == (dgram::capabilities().coalescing ? 4 : 0));
  CHECK(statistics.received == 4);
}

TEST_CASE("GSO: a received batch is sent back as it is, trains whole")
{
  asio::io_context io;
  dgram::udp::socket server{io, test::loopback_v4(), {.dual_stack = true}};
  dgram::error_code not_here;
  server.set_option(dgram::option::coalescing(true), not_here);
  sink first(io, true);
  sink second(io, false);
  const auto target = server.local_endpoint();
  REQUIRE(send_segments(io, first.socket, pattern(1000), 100, target).sent == 10);
  second.socket.send_to(asio::buffer("plain", 5), target);
  second.socket.send_to(asio::buffer("", 0), target);
  dgram::receive_batch in{16};
  dgram::send_batch out{in};
  REQUIRE(server.receive_batch(in) == 12);
  for (const dgram::datagram& datagram : in)
    if (!datagram.payload().empty()) datagram.mutable_payload()[0] = std::byte{'!'};
  out.push_replies(in);
  REQUIRE(out.size() == 12);
  REQUIRE(server.send_batch(out).sent == 12);
  const auto back = first.take();
  REQUIRE(back.size() == 10);
  for (const auto& text : back)
    REQUIRE(text.substr(0, 1) == "!");
  if (!not_here) REQUIRE(first.slots == 1);
  REQUIRE(second.take() == std::vector<std::string>{"!lain", ""});
}

TEST_CASE("GSO: trains of any length are answered by a server on a wildcard address", "[F24]")
{
  const std::size_t length = GENERATE(1U, 2U, 63U, 64U, 65U, 127U, 128U, 500U);
  const bool v6 = GENERATE(false, true);
  CAPTURE(length, v6);
  if (v6) DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  dgram::udp::socket server{io, {v6 ? dgram::udp::v6() : dgram::udp::v4(), 0}};
  server.set_option(dgram::option::packet_info{true});
  dgram::error_code not_here;
  server.set_option(dgram::option::coalescing{true}, not_here);
  // One by one, each datagram takes about a kilobyte of the receive buffer.
  if (not_here && length > 128) SKIP("no trains here");
  sink client(io, true, v6 ? test::loopback_v6() : test::loopback_v4());
  const auto here = v6 ? asio::ip::address(asio::ip::address_v6::loopback())
                       : asio::ip::address(asio::ip::make_address("127.0.0.7"));
  const test::endpoint target(here, server.local_endpoint().port());
  const std::string payload = pattern(length * 10);
  REQUIRE(send_segments(io, client.socket, payload, 10, target).sent == length);

  std::size_t answered = 0;
  const auto way = GENERATE(0, 1, 2, 3);
  CAPTURE(way);
  const auto receive_all = [&](auto&& answer) {
    dgram::receive_batch in{16};
    dgram::send_batch out{in};
    while (answered < length) {
      answered += server.receive_batch(in);
      answer(in, out);
      REQUIRE_FALSE(server.send_batch(out).error);
    }
  };
  if (way == 0) {
    receive_all([](auto& in, auto& out) { out.push_replies(in); });
  } else if (way == 1) {
    receive_all([](auto& in, auto& out) {
      for (const dgram::datagram& datagram : in)
        out.push(datagram.payload(), datagram.reply_path());
    });
  } else {
    test::run(io, [&]() -> asio::awaitable<void> {
      dgram::reader reader{server};
      dgram::writer writer{reader};
      while (answered < length) {
        if (way == 2) {
          const auto datagram = co_await reader.next();
          co_await writer.send(datagram->payload(), datagram->reply_path());
          ++answered;
        } else {
          const auto batch = co_await reader.next_batch();
          for (const dgram::datagram& datagram : batch)
            co_await writer.send(datagram.payload(), datagram.reply_path());
          answered += batch.size();
        }
      }
      co_await writer.flush();
    }());
  }
  std::string back;
  for (const auto& text : client.take())
    back += text;
  CHECK(back == payload);
  CHECK(client.senders == std::vector<test::endpoint>(length, target));
}

TEST_CASE(
    "GSO: answers to datagrams that differ go their own ways, whatever was pushed before them")
{
  // The same slots are used again and again, for one peer and for others, that ask one address or another.
  const bool copies = GENERATE(false, true);
  const bool writes = GENERATE(false, true);
  asio::io_context io;
  dgram::udp::socket server{io, {dgram::udp::v4(), 0}};
  dgram::reader reader{server, {.slots = 2}};
  dgram::writer writer{reader};
  std::vector<sink> sinks;
  sinks.reserve(2);
  for (int i = 0; i < 2; ++i)
    sinks.emplace_back(io, true);
  const auto port = server.local_endpoint().port();
  std::vector<std::vector<std::pair<std::string, test::endpoint>>> expected(2);
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    std::size_t left = 0;
    for (int i = 0; i < 3; ++i) {
      const std::size_t who = random() % 2;
      const test::endpoint asked(asio::ip::make_address_v4(0x7f000001U + random() % 2), port);
      const std::size_t size = 1 + random() % 3;
      const std::size_t count = 1 + random() % 5;
      const std::string payload = pattern(size * count);
      REQUIRE(send_segments(io, sinks[who].socket, payload, size, asked).sent == count);
      for (std::size_t at = 0; at < payload.size(); at += size)
        expected[who].emplace_back(payload.substr(at, size), asked);
      left += count;
    }
    dgram::send_batch out({.datagrams = 64, .copy = true});
    dgram::send_batch referring(64);
    dgram::send_batch& used = copies ? out : referring;
    std::deque<std::string> kept;
    test::run(io, [&]() -> asio::awaitable<void> {
      while (left > 0) {
        const auto batch = co_await reader.next_batch();
        for (const dgram::datagram& datagram : batch) {
          kept.emplace_back(datagram.payload().text());
          const auto way = datagram.reply_path();
          if (writes)
            co_await writer.send(kept.back(), way);
          else
            used.push(kept.back(), way);
          --left;
        }
      }
      if (writes) co_await writer.flush();
    }());
    if (!writes) REQUIRE_FALSE(server.send_batch(used).error);
  }
  for (std::size_t i = 0; i < 2; ++i) {
    std::vector<std::pair<std::string, test::endpoint>> got;
    const auto texts = sinks[i].take();
    for (std::size_t j = 0; j < texts.size(); ++j)
      got.emplace_back(texts[j], sinks[i].senders[j]);
    CHECK(got == expected[i]);
  }
}

TEST_CASE("send_batch: an answer that was changed is no longer the one before")
{
  asio::io_context io;
  sink first(io, false);
  sink second(io, false);
  dgram::udp::socket sender{io, {dgram::udp::v4(), 0}};
  dgram::send_batch batch({.datagrams = 16, .copy = true});
  dgram::reply_path path{first.socket.local_endpoint(), asio::ip::make_address("127.0.0.5")};
  batch.push("a", path);
  batch.push("b", path);
  path.source = asio::ip::make_address("127.0.0.6");
  batch.push("c", path);
  path.peer = second.socket.local_endpoint();
  batch.push("d", path);
  batch.push("e", path, {.hop_limit = 3});
  batch.push("f", path);
  batch.push("g", path.peer);
  batch.push("h", path);
  path.source = asio::ip::address();
  batch.push("i", path);
  batch.push("jj", path);
  CHECK(sender.send_batch(batch).sent == 10);
  CHECK(first.take() == std::vector<std::string>{"a", "b", "c"});
  CHECK(first.senders[1].address() == asio::ip::make_address("127.0.0.5"));
  CHECK(first.senders[2].address() == asio::ip::make_address("127.0.0.6"));
  CHECK(second.take() == std::vector<std::string>{"d", "e", "f", "g", "h", "i", "jj"});
  const auto source = [&](std::size_t i) { return second.senders[i].address().to_string(); };
  for (const std::size_t i : {0U, 1U, 2U, 4U})
    CHECK(source(i) == "127.0.0.6");
  for (const std::size_t i : {3U, 5U, 6U})
    CHECK(source(i) == "127.0.0.1");
}

TEST_CASE("send_batch: answers that know only their interface share what they ask for")
{
  asio::io_context io;
  sink over(io, false);
  dgram::udp::socket sender{io, {dgram::udp::v4(), 0}};
  dgram::send_batch batch({.datagrams = 16, .copy = true});
  dgram::reply_path path{over.socket.local_endpoint()};
  path.interface_index = ::if_nametoindex("lo");
  batch.push("a", path);
  batch.push("b", path);
  path.source = asio::ip::make_address("127.0.0.5");
  batch.push("c", path);
  CHECK(sender.send_batch(batch).sent == 3);
  CHECK(over.take() == std::vector<std::string>{"a", "b", "c"});
  CHECK(over.senders[0].address() == asio::ip::make_address("127.0.0.1"));
  CHECK(over.senders[1].address() == asio::ip::make_address("127.0.0.1"));
  CHECK(over.senders[2].address() == asio::ip::make_address("127.0.0.5"));

  DGRAM_SKIP_WITHOUT_IPV6();
  dgram::udp::socket six{io, test::loopback_v6()};
  dgram::udp::socket to_six{io, {dgram::udp::v6(), 0}};
  path = {six.local_endpoint(), asio::ip::make_address("::1"), ::if_nametoindex("lo")};
  batch.push("a", path);
  path.source = asio::ip::address();
  batch.push("b", path);
  batch.push("c", path);
  CHECK(to_six.send_batch(batch).sent == 3);
  dgram::receive_batch taken(4);
  REQUIRE(six.receive_batch(taken) == 3);
  CHECK(taken[0].payload().text() == "a");
  CHECK(taken[2].payload().text() == "c");
}

TEST_CASE("send_batch: one that fits a receive batch takes an answer to each datagram in any order",
          "[F24]")
{
  asio::io_context io;
  std::vector<sink> sinks;
  for (int i = 0; i < 3; ++i)
    sinks.emplace_back(io, false);
  dgram::udp::socket sender{io, test::loopback_v4()};
  dgram::receive_batch in{2};
  dgram::send_batch out{in};
  CHECK(out.capacity() == 2 * 65536);
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i)
    texts.push_back(std::to_string(i));
  for (std::size_t i = 0; i < texts.size(); ++i)
    out.push(texts[i], sinks[i % 3].socket.local_endpoint());
  CHECK(sender.send_batch(out).sent == 300);
  for (std::size_t s = 0; s < 3; ++s) {
    std::vector<std::string> expected;
    for (std::size_t i = s; i < texts.size(); i += 3)
      expected.push_back(texts[i]);
    CHECK(sinks[s].take() == expected);
  }
}

TEST_CASE("batch: whatever is pushed arrives, per peer in order, exactly once")
{
  const unsigned seed =
      GENERATE(Catch::Generators::take(20, Catch::Generators::random(1U, 1000000U)));
  const bool coalesce = GENERATE(false, true);
  const bool copy = GENERATE(false, true);
  const bool dual = GENERATE(false, true);
  CAPTURE(seed, coalesce, copy, dual);
  std::mt19937 random(seed);
  const auto pick = [&](std::size_t from, std::size_t to) {
    return std::uniform_int_distribution<std::size_t>(from, to)(random);
  };
  asio::io_context io;
  std::vector<sink> sinks;
  sinks.reserve(3);
  for (int i = 0; i < 3; ++i)
    sinks.emplace_back(io, coalesce);
  dgram::udp::socket sender{io, test::loopback_v4(), {.dual_stack = dual}};
  dgram::send_batch batch{{.datagrams = 200, .bytes = 400'000, .copy = copy}};
  std::vector<std::vector<std::string>> expected(sinks.size());
  std::vector<std::string> payloads;  // a batch that does not copy refers to them
  payloads.reserve(400);
  const std::size_t runs = pick(1, 12);
  for (std::size_t run = 0; run < runs; ++run) {
    const std::size_t peer = pick(0, sinks.size() - 1);
    const std::size_t size = pick(0, 5) == 0 ? pick(0, 3000) : pick(1, 200);
    const std::size_t count = pick(1, 12);
    for (std::size_t i = 0; i < count; ++i) {
      payloads.push_back(pattern(pick(0, 9) == 0 ? pick(0, size) : size));
      if (!payloads.back().empty()) payloads.back()[0] = static_cast<char>('0' + i);
      batch.push(payloads.back(), sinks[peer].socket.local_endpoint());
      expected[peer].push_back(payloads.back());
    }
    if (pick(0, 3) == 0) {
      const std::size_t segment = pick(1, 300);
      payloads.push_back(pattern(segment * pick(1, 10) + pick(0, segment - 1)));
      batch.push_segments(payloads.back(), segment, sinks[peer].socket.local_endpoint());
      for (std::size_t at = 0; at < payloads.back().size(); at += segment)
        expected[peer].push_back(payloads.back().substr(at, segment));
    }
  }
  const std::size_t pushed = batch.size();
  dgram::send_result result;
  sender.async_send_batch(batch, [&](const dgram::error_code& ec, const dgram::send_result& sent) {
    REQUIRE_FALSE(ec);
    result = sent;
  });
  test::run(io);
  REQUIRE_FALSE(result.error);
  REQUIRE(result.sent == pushed);
  REQUIRE(batch.empty());
  for (std::size_t i = 0; i < sinks.size(); ++i)
    REQUIRE(sinks[i].take() == expected[i]);
}

}  // namespace gso_test
