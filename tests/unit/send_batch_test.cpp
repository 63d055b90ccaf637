// SPDX-License-Identifier: BSL-1.0
// send_batch.hpp: pushing, dropping, consuming, and that what stays is sent later, in order.

#include "unit/host.hpp"

#include <dgram/send_batch.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace send_batch_test {

namespace {

using dgram::udp;

struct pair {
  asio::io_context io;
  udp::socket sender{io, test::loopback_v4()};
  udp::socket receiver{io, test::loopback_v4()};
  test::endpoint peer = receiver.local_endpoint();

  void expect(const std::vector<std::string>& texts)
  {
    for (const std::string& text : texts)
      CHECK(test::take(io, receiver).text == text);
    dgram::error_code ec;
    CHECK(receiver.available(ec) == 0);
  }
};

std::span<const dgram::platform::buffer> buffers_of(const dgram::platform::message& message)
{
#if defined(_WIN32)
  return {message.native.lpBuffers, message.native.dwBufferCount};
#else
  return {message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen};
#endif
}

std::string text_of(const dgram::platform::buffer& buffer)
{
  return {static_cast<const char*>(dgram::platform::buffer_data(buffer)),
          dgram::platform::buffer_size(buffer)};
}

std::string bytes_of(const dgram::platform::message& message)
{
  std::string bytes;
  for (const auto& buffer : buffers_of(message))
    bytes += text_of(buffer);
  return bytes;
}

std::string first_text(dgram::send_batch& batch, bool connected = false)
{
  dgram::error_code ec;
  const auto waiting =
      batch.prepare({.connected = connected}, [](const auto&, std::size_t) { return true; }, ec);
  REQUIRE_FALSE(waiting.empty());
  return text_of(buffers_of(waiting.front()).front());
}

/// As a kernel that takes `count` datagrams, each a message of its own.
void take_single(dgram::send_batch& batch, std::size_t count)
{
  dgram::error_code ec;
  batch.prepare({}, [](const auto&, std::size_t) { return false; }, ec);
  CHECK(batch.consume(count) == count);
}

}  // namespace

TEST_CASE("a batch that refers to its payloads takes none that is about to end", "[send_batch]")
{
  const asio::ip::udp::endpoint peer(asio::ip::address_v4::loopback(), 9);
  dgram::send_batch refers(2);
  CHECK_THROWS_AS(refers.push(std::string("gone"), peer), std::invalid_argument);
  CHECK(refers.empty());
  const std::string named = "stays";
  refers.push(named, peer);
  refers.push(std::string_view(named), peer);
  CHECK(refers.size() == 2);
  dgram::send_batch copies({.datagrams = 2, .copy = true});
  copies.push(std::string("kept"), peer);
  copies.push(std::vector<std::uint16_t>{1, 2});
  CHECK(copies.bytes() == 8);
}

TEST_CASE("send_batch: a fresh one is empty, and one without room is refused")
{
  const dgram::send_batch batch(3);
  CHECK(batch.capacity() == 3);
  CHECK(batch.size() == 0);  // NOLINT(readability-container-size-empty)
  CHECK(batch.empty());
  CHECK_FALSE(batch.full());
  CHECK_THROWS_AS(dgram::send_batch(0), std::invalid_argument);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<dgram::send_batch>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<dgram::send_batch>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<dgram::send_batch>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<std::size_t, dgram::send_batch>);
}

TEST_CASE("send_batch: takes its capacity and throws at one more, which changes nothing")
{
  pair p;
  dgram::send_batch batch(2);
  batch.push("one", p.peer);
  CHECK(batch.size() == 1);
  CHECK_FALSE(batch.full());
  batch.push("two", p.peer);
  CHECK(batch.full());
  CHECK_THROWS_AS(batch.push("three", p.peer), std::length_error);
  CHECK_THROWS_AS(batch.push("three"), std::length_error);
  CHECK(batch.size() == 2);
  const auto result = p.sender.send_batch(batch);
  CHECK(result.sent == 2);
  CHECK_FALSE(result.error);
  p.expect({"one", "two"});
}

TEST_CASE("send_batch: sends in order, to each its own peer, also empty datagrams")
{
  pair p;
  udp::socket other(p.io, test::loopback_v4());
  dgram::send_batch batch(8);
  batch.push("a", p.peer);
  batch.push("for the other", other.local_endpoint());
  batch.push("", p.peer);
  batch.push(std::string_view("c\0d", 3), p.peer);
  CHECK(p.sender.send_batch(batch).sent == 4);
  CHECK(batch.empty());
  CHECK(test::take(p.io, other).text == "for the other");
  p.expect({"a", "", std::string("c\0d", 3)});
}

TEST_CASE("send_batch: refers to the payload and copies the endpoint")
{
  pair p;
  dgram::send_batch batch(1);
  std::array<char, 3> payload{'o', 'l', 'd'};
  auto peer = p.peer;
  batch.push(payload, peer);
  payload = {'n', 'e', 'w'};
  peer.port(1);
  CHECK(p.sender.send_batch(batch).sent == 1);
  p.expect({"new"});
}

TEST_CASE("send_batch: what was sent has left it, and it can be filled again")
{
  pair p;
  dgram::send_batch batch(2);
  for (int round = 0; round < 3; ++round) {
    batch.push("x", p.peer);
    batch.push("y", p.peer);
    REQUIRE(batch.full());
    CHECK(p.sender.try_send_batch(batch).sent == 2);
    CHECK(batch.empty());
    CHECK(batch.size() == 0);  // NOLINT(readability-container-size-empty)
    CHECK_FALSE(batch.full());
    p.expect({"x", "y"});
  }
}

TEST_CASE("send_batch: an empty batch sends nothing and reports nothing")
{
  pair p;
  dgram::send_batch batch(2);
  const auto result = p.sender.send_batch(batch);
  CHECK(result.sent == 0);
  CHECK_FALSE(result.error);
}

TEST_CASE("send_batch: clear and drop_front")
{
  pair p;
  dgram::send_batch batch(3);
  batch.drop_front();  // of an empty one: nothing
  CHECK(batch.empty());
  for (const char* text : {"a", "b", "c"})
    batch.push(text, p.peer);
  batch.drop_front();
  CHECK(batch.size() == 2);
  CHECK(first_text(batch) == "b");
  // The room in front comes back only with the whole batch.
  CHECK(batch.full());
  CHECK(p.sender.send_batch(batch).sent == 2);
  p.expect({"b", "c"});

  batch.push("d", p.peer);
  batch.clear();
  CHECK(batch.empty());
  CHECK_FALSE(batch.full());
  batch.push("e", p.peer);
  CHECK(p.sender.send_batch(batch).sent == 1);
  p.expect({"e"});

  batch.push("f", p.peer);
  batch.drop_front();
  CHECK(batch.empty());
  CHECK_FALSE(batch.full());
}

TEST_CASE("send_batch: what a kernel did not take stays in front, in order")
{
  const auto peer = dgram::parse_endpoint("192.0.2.1:9");
  dgram::send_batch batch(4);
  for (const char* text : {"a", "b", "c", "d"})
    batch.push(text, peer);
  take_single(batch, 1);
  CHECK(batch.size() == 3);
  CHECK(first_text(batch) == "b");
  take_single(batch, 2);
  CHECK(batch.size() == 1);
  CHECK(first_text(batch) == "d");
  CHECK(batch.full());
  take_single(batch, 1);
  CHECK(batch.empty());
  CHECK_FALSE(batch.full());
}

TEST_CASE("send_batch: a datagram that is refused stops the batch; dropped, the rest goes on")
{
  pair p;
  dgram::send_batch batch(4);
  const std::string too_large(70'000, 'x');
  batch.push("before", p.peer);
  batch.push(too_large, p.peer);
  batch.push("after", p.peer);
  const auto result = p.sender.send_batch(batch);
  CHECK(result.sent == 1);
  CHECK(result.error == asio::error::message_size);
  CHECK(batch.size() == 2);
  const auto again = p.sender.send_batch(batch);
  CHECK(again.sent == 0);
  CHECK(again.error == asio::error::message_size);
  batch.drop_front();
  const auto rest = p.sender.send_batch(batch);
  CHECK(rest.sent == 1);
  CHECK_FALSE(rest.error);
  p.expect({"before", "after"});
}

TEST_CASE("send_batch: a connected socket sends datagrams without a peer, and only those")
{
  pair p;
  p.sender.connect(p.peer);
  dgram::send_batch batch(4);
  batch.push("one");
  batch.push("two");
  CHECK(p.sender.send_batch(batch).sent == 2);
  p.expect({"one", "two"});

  batch.push("fine");
  batch.push("addressed", p.peer);
  const auto refused = p.sender.send_batch(batch);
  CHECK(refused.sent == 0);
  CHECK(refused.error == asio::error::already_connected);
  CHECK(batch.size() == 2);
  // With the addressed one gone it is sent: the batch counts what it still holds.
  dgram::send_batch other(4);
  other.push("addressed", p.peer);
  other.push("plain");
  other.drop_front();
  CHECK(p.sender.send_batch(other).sent == 1);
  p.expect({"plain"});
}

TEST_CASE("send_batch: a socket without a peer sends addressed datagrams, and only those")
{
  pair p;
  dgram::send_batch batch(4);
  batch.push("addressed", p.peer);
  batch.push("to whom?");
  const auto refused = p.sender.send_batch(batch);
  CHECK(refused.sent == 0);
  CHECK(refused.error == test::os_error(EDESTADDRREQ));
  CHECK(batch.size() == 2);
  p.expect({});

  // Connected, the other one is the odd one; it leaves with the batch.
  batch.clear();
  batch.push("alone");
  p.sender.connect(p.peer);
  CHECK(p.sender.send_batch(batch).sent == 1);
  p.expect({"alone"});
}

TEST_CASE("send_batch: clearing an addressed batch leaves nothing addressed")
{
  pair p;
  dgram::send_batch batch(2);
  batch.push("addressed", p.peer);
  batch.clear();
  p.sender.connect(p.peer);
  batch.push("connected");
  CHECK(p.sender.send_batch(batch).sent == 1);
  p.expect({"connected"});
}

TEST_CASE("send_batch: serves a dual-stack socket and a plain one in turn")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  pair p;
  udp::socket six(p.io, test::loopback_v6());
  udp::socket dual(p.io, udp::dual());
  const std::string too_large(70'000, 'x');

  dgram::send_batch batch(4);
  batch.push("mapped", p.peer);
  batch.push("six", six.local_endpoint());
  batch.push(too_large, p.peer);
  batch.push("plain again", p.peer);
  CHECK(dual.send_batch(batch).sent == 2);
  CHECK(test::take(p.io, p.receiver).text == "mapped");
  CHECK(test::take(p.io, six).text == "six");
  batch.drop_front();
  const auto result = p.sender.send_batch(batch);
  CHECK(result.sent == 1);
  CHECK_FALSE(result.error);
  p.expect({"plain again"});

  // And back: what was pushed plain is mapped for the other one.
  batch.push("first plain", p.peer);
  CHECK(p.sender.send_batch(batch).sent == 1);
  batch.push("then mapped", p.peer);
  CHECK(dual.send_batch(batch).sent == 1);
  p.expect({"first plain", "then mapped"});
}

TEST_CASE("send_batch: a dual-stack socket that is connected takes datagrams without a peer")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  pair p;
  udp::socket dual(p.io, udp::dual());
  dual.connect(p.peer);
  dgram::send_batch batch(2);
  batch.push("connected");
  CHECK(dual.send_batch(batch).sent == 1);
  p.expect({"connected"});
}

TEST_CASE("send_batch: a closed socket's batch stays")
{
  asio::io_context io;
  udp::socket closed(io);
  dgram::send_batch batch(2);
  batch.push("x", test::loopback_v4(9));
  const auto result = closed.send_batch(batch);
  CHECK(result.sent == 0);
  CHECK(result.error == asio::error::bad_descriptor);
  CHECK(batch.size() == 1);
}

TEST_CASE("send_batch: more than one system call's worth is sent whole")
{
  pair p;
  p.receiver.set_option(dgram::option::receive_buffer_size(4'000'000));
  constexpr std::size_t count = 1500;  // sendmmsg(2) takes 1024
  dgram::send_batch batch(count);
  std::vector<std::uint16_t> numbers(count);
  for (std::size_t i = 0; i < count; ++i) {
    numbers[i] = static_cast<std::uint16_t>(i);
    batch.push({&numbers[i], sizeof numbers[i]}, p.peer);
  }
  std::size_t sent = 0;
  std::size_t received = 0;
  dgram::receive_batch in(256, 16);
  while (sent < count) {
    const auto result = p.sender.send_batch(batch);
    REQUIRE_FALSE(result.error);
    REQUIRE(result.sent > 0);
    sent += result.sent;
    CHECK(batch.size() == count - sent);
  }
  dgram::error_code ec;
  while (p.receiver.try_receive_batch(in, ec) > 0) {
    for (const auto& each : in) {
      std::uint16_t number = 0;
      REQUIRE(each.payload().size() == sizeof number);
      std::memcpy(&number, each.payload().data(), sizeof number);
      // In order; a receive queue that is too small may cut the end off.
      REQUIRE(number == received);
      ++received;
    }
  }
  CHECK(ec == asio::error::would_block);
  CHECK(received > 0);
}

TEST_CASE("send_batch: a moved batch keeps its datagrams and their peers")
{
  pair p;
  dgram::send_batch first(3);
  first.push("kept", p.peer);
  dgram::send_batch second(std::move(first));
  CHECK(second.size() == 1);
  second.push("added", p.peer);
  dgram::send_batch third(1);
  third = std::move(second);
  CHECK(third.size() == 2);
  CHECK(p.sender.send_batch(third).sent == 2);
  p.expect({"kept", "added"});
}

TEST_CASE("send_batch: a moved-from batch is empty and full, and can be assigned to")
{
  pair p;
  dgram::send_batch first(3);
  first.push("one", p.peer);
  const dgram::send_batch second(std::move(first));
  CHECK(second.size() == 1);
  // NOLINTBEGIN(bugprone-use-after-move)
  CHECK(first.empty());
  CHECK(first.capacity() == 0);
  CHECK(first.full());  // no push may write where there is no room
  // NOLINTEND(bugprone-use-after-move)
  first = dgram::send_batch(1);
  first.push("two", p.peer);
  CHECK(p.sender.send_batch(first).sent == 1);
  p.expect({"two"});
}

TEST_CASE("send_batch: is read one datagram after the other, with all that was pushed")
{
  const bool copies = GENERATE(false, true);
  dgram::send_batch batch({.datagrams = 16, .copy = copies});
  const test::endpoint peer = test::loopback_v4(7);
  const std::string first = "first";
  const std::string train = "aaabbbc";
  const std::array<asio::const_buffer, 2> gathered{asio::buffer("ga", 2),
                                                   asio::buffer("thered", 6)};
  batch.push(first, peer);
  batch.push(gathered, peer);
  batch.push(gathered, peer);
  batch.push_segments(train, 3, peer);
  batch.push(first, peer, {.hop_limit = 9});
  batch.push(first);
  std::vector<std::string> texts;
  for (; !batch.empty(); batch.drop_front()) {
    const auto next = batch.front();
    std::vector<std::byte> bytes(next.size());
    CHECK(next.copy_to(bytes) == next.size());
    texts.emplace_back(dgram::bytes_view(bytes).text());
    CHECK((next.peer() == nullptr) == (texts.size() == 8));
    if (next.peer() != nullptr) CHECK(*next.peer() == peer);
    CHECK(next.options().hop_limit.value_or(0) == (texts.size() == 7 ? 9 : 0));
    std::array<std::byte, 2> small{};
    CHECK(next.copy_to(small) == std::min<std::size_t>(next.size(), 2));
  }
  CHECK(texts == std::vector<std::string>{"first", "gathered", "gathered", "aaa", "bbb", "c",
                                          "first", "first"});
}

TEST_CASE("send_batch: a transport refuses a datagram as a socket does")
{
  dgram::send_batch batch(4);
  batch.push("one", test::loopback_v4(7));
  batch.push("two", test::loopback_v4(8));
  CHECK_FALSE(batch.refuse_front(asio::error::access_denied));
  CHECK(batch.size() == 2);
  test::endpoint refused;
  batch.on_refused([&](dgram::error_code ec, const test::endpoint& peer, std::size_t size) {
    CHECK(ec == asio::error::access_denied);
    CHECK(size == 3);
    refused = peer;
  });
  CHECK(batch.refuse_front(asio::error::access_denied));
  CHECK(refused == test::loopback_v4(7));
  CHECK(batch.front_peer() == test::loopback_v4(8));
}

namespace {

/// A datagram that was pushed, as a batch must give it back.
struct pushed {
  std::string text;
  test::endpoint peer;
  asio::ip::address source;
  std::optional<dgram::ecn_codepoint> ecn;
  dgram::send_options options;
};

bool ask_the_same(const dgram::send_options& a, const dgram::send_options& b)
{
  return a.ecn == b.ecn && a.dscp == b.dscp && a.hop_limit == b.hop_limit &&
         a.transmit_time == b.transmit_time && a.timestamp == b.timestamp &&
         a.interface_index == b.interface_index && a.source == b.source &&
         std::ranges::equal(a.control, b.control);
}

/// Pushes datagrams of every kind in an order that a seed decides: most are like the one before.
class mixture {
public:
  mixture(dgram::send_batch& batch, unsigned seed) : batch_(batch), random_(seed) {}

  void push()
  {
    if (one_in(6)) kind_ = pick(7);
    if (one_in(8)) peer_ = pick(2);
    if (one_in(8)) size_ = pick(4) * 7;
    pushed next{
        text(size_), test::endpoint(asio::ip::address_v4::loopback(), port(peer_)), {}, {}, {}};
    const auto& kept = *texts_.emplace_back(std::make_unique<std::string>(next.text));
    switch (kind_) {
    case 0: batch_.push(dgram::bytes_view(kept), next.peer); break;
    case 1: batch_.push(dgram::bytes_view(kept), dgram::basic_reply_path<udp>{next.peer}); break;
    case 2:
      next.source = asio::ip::make_address(one_in(3) ? "127.0.0.2" : "127.0.0.3");
      next.options.source = next.source;
      batch_.push(dgram::bytes_view(kept), dgram::basic_reply_path<udp>{next.peer, next.source});
      break;
    case 3:
      next.ecn = one_in(2) ? dgram::ecn_codepoint::ect_0 : dgram::ecn_codepoint::ce;
      next.options.ecn = next.ecn;
      batch_.push(dgram::bytes_view(kept), next.peer, next.options);
      break;
    case 4: {
      const std::array parts{
          asio::buffer(kept.data(), kept.size() / 2),
          asio::buffer(kept.data() + kept.size() / 2, kept.size() - kept.size() / 2)};
      batch_.push(parts, next.peer);
      break;
    }
    case 5:
      if (one_in(6)) change_options();
      next.options = options_;
      next.ecn = options_.ecn;
      // The path's source and interface are asked for as if the options had them.
      if (one_in(2)) {
        dgram::reply_path path{next.peer};
        if (one_in(2)) next.options.source = path.source = asio::ip::make_address("127.0.0.2");
        if (one_in(4)) next.options.interface_index = path.interface_index = 1 + pick(2);
        batch_.push(dgram::bytes_view(kept), path, options_);
      } else {
        batch_.push(dgram::bytes_view(kept), next.peer, options_);
      }
      next.source = next.options.source.value_or(asio::ip::address());
      break;
    default:
      if (kept.empty()) return;
      batch_.push_segments(dgram::bytes_view(kept), 5, next.peer);
      for (std::size_t at = 0; at < kept.size(); at += 5)
        expected_.push_back({kept.substr(at, 5), next.peer, {}, {}, {}});
      return;
    }
    expected_.push_back(next);
  }

  /// Compares the first datagram and drops it.
  void take()
  {
    REQUIRE(batch_.size() == expected_.size());
    if (expected_.empty()) return;
    const auto front = batch_.front();
    const pushed& first = expected_.front();
    std::string bytes(front.size(), '\0');
    front.copy_to(std::as_writable_bytes(std::span(bytes)));
    REQUIRE(bytes == first.text);
    REQUIRE(front.peer() != nullptr);
    REQUIRE(*front.peer() == first.peer);
    REQUIRE(front.path().source == first.source);
    REQUIRE(front.options().ecn == first.ecn);
    REQUIRE(ask_the_same(front.options(), first.options));
    batch_.drop_front();
    expected_.pop_front();
  }

  /// Takes the first message as a kernel does that cuts messages apart, and compares its bytes.
  void take_message()
  {
    dgram::error_code ec;
    const auto messages =
        batch_.prepare({}, [](const auto&, std::size_t) { return true; }, ec, {}, 1);
    REQUIRE_FALSE(ec);
    if (messages.empty()) return;
    const std::string bytes = bytes_of(messages.front());
    std::string wanted;
    const pushed first = expected_.front();
    const std::size_t datagrams = batch_.consume(1);
    for (std::size_t i = 0; i < datagrams; ++i) {
      const pushed& next = expected_.front();
      // Only the last one may be shorter, and all ask for the same.
      REQUIRE((next.text.size() == first.text.size() ||
               (i + 1 == datagrams && next.text.size() < first.text.size())));
      REQUIRE(next.peer == first.peer);
      REQUIRE(next.source == first.source);
      REQUIRE(next.ecn == first.ecn);
      REQUIRE(ask_the_same(next.options, first.options));
      wanted += next.text;
      expected_.pop_front();
    }
    REQUIRE(bytes == wanted);
  }

  /// From now on the datagrams of the first message leave one by one.
  void split()
  {
    if (expected_.empty()) return;
    dgram::error_code ec;
    batch_.prepare({}, [](const auto&, std::size_t) { return true; }, ec, {}, 1);
    batch_.split_front();
  }

  bool one_in(unsigned number) { return pick(number) == 0; }
  unsigned pick(unsigned number) { return static_cast<unsigned>(random_() % number); }

private:
  static constexpr bool has_times =
      dgram::platform::names::transmit_time != dgram::platform::names::unsupported;

  void change_options()
  {
    options_ = {};
    if (one_in(2))
      options_.ecn = one_in(2) ? dgram::ecn_codepoint::ect_0 : dgram::ecn_codepoint::ce;
    if (one_in(3)) options_.dscp = static_cast<std::uint8_t>(pick(2));
    if (one_in(3)) options_.hop_limit = 1 + static_cast<int>(pick(2));
    if (has_times && one_in(3)) options_.transmit_time.emplace(std::chrono::seconds(pick(2)));
    if (one_in(3)) options_.source = asio::ip::make_address(one_in(2) ? "127.0.0.2" : "127.0.0.3");
    if (one_in(3)) options_.interface_index = 1 + pick(2);
    if (has_times && one_in(6)) options_.timestamp = true;
    if (one_in(3)) options_.control = std::span<const std::byte>(control_).first(8 * pick(3));
  }

  static unsigned short port(unsigned peer) { return static_cast<unsigned short>(4000 + peer); }

  std::string text(std::size_t size)
  {
    std::string made(size, 'a');
    for (char& each : made)
      each = static_cast<char>('a' + pick(26));
    return made;
  }

  dgram::send_batch& batch_;
  std::mt19937 random_;
  std::deque<pushed> expected_;
  std::vector<std::unique_ptr<std::string>> texts_;  // a batch may refer to them
  dgram::send_options options_;
  std::array<std::byte, 16> control_{};
  unsigned kind_ = 0;
  unsigned peer_ = 0;
  unsigned size_ = 7;
};

}  // namespace

TEST_CASE("send_batch: neighbours that differ in anything are never taken for the same")
{
  const bool copies = GENERATE(true, false);
  const unsigned seed = GENERATE(Catch::Generators::range(0U, 40U));
  CAPTURE(copies, seed);
  dgram::send_batch batch({.datagrams = 4096, .bytes = 65536, .copy = copies});
  mixture mixed(batch, seed);
  for (int step = 0; step < 600; ++step) {
    if (mixed.one_in(40))
      mixed.take();
    else if (mixed.one_in(40))
      mixed.take_message();
    else if (mixed.one_in(60))
      mixed.split();
    else if (batch.has_room(32, 32))
      mixed.push();
    if (mixed.one_in(300))
      while (!batch.empty())
        mixed.take_message();
  }
  while (!batch.empty())
    mixed.take();
}

TEST_CASE("send_batch: each datagram keeps its own number")
{
  const unsigned seed = GENERATE(Catch::Generators::range(0U, 20U));
  std::mt19937 random(seed);
  dgram::send_batch batch({.datagrams = 4096, .bytes = 65536, .copy = true});
  std::deque<std::uint64_t> expected;
  std::uint64_t number = 0;
  for (int step = 0; step < 500; ++step) {
    if (random() % 4 == 0) number = random() % 3;
    if (random() % 3 == 0 && !batch.empty()) {
      REQUIRE(batch.number_at(batch.front_number()) == expected.front());
      batch.drop_front();
      expected.pop_front();
    } else if (batch.has_room(9, 3)) {
      const bool is_train = random() % 5 == 0;
      dgram::send_options options{.number = number};
      if (is_train) options.segment_size = 3;
      batch.push("123456789", test::loopback_v4(7), options);
      expected.insert(expected.end(), is_train ? 3 : 1, number);
    }
  }
  for (; !batch.empty(); batch.drop_front(), expected.pop_front())
    REQUIRE(batch.number_at(batch.front_number()) == expected.front());
  CHECK(expected.empty());
}

TEST_CASE("send_batch: a run ends at what one message holds, however its datagrams were pushed")
{
  const bool copies = GENERATE(true, false);
  const bool as_answers = GENERATE(true, false);
  CAPTURE(copies, as_answers);
  dgram::send_batch batch({.datagrams = 1024, .bytes = 1 << 20, .copy = copies});
  const test::endpoint peer(asio::ip::address_v4::loopback(), 4000);
  const std::string text(1200, 'x');
  for (int i = 0; i < 300; ++i) {
    if (as_answers)
      batch.push(dgram::bytes_view(text), dgram::basic_reply_path<udp>{peer});
    else
      batch.push(dgram::bytes_view(text), peer);
  }
  std::size_t datagrams = 0;
  while (!batch.empty()) {
    dgram::error_code ec;
    const auto messages =
        batch.prepare({}, [](const auto&, std::size_t) { return true; }, ec, {}, 1);
    REQUIRE(messages.size() == 1);
    const std::size_t bytes = bytes_of(messages.front()).size();
    const std::size_t taken = batch.consume(1);
    CHECK(bytes == taken * text.size());
    CHECK(bytes <= 65507);
    datagrams += taken;
  }
  CHECK(datagrams == 300);
}

TEST_CASE("send_batch: a run of which a part has left grows only as far as the batch has room",
          "[send_batch]")
{
  const bool copies = GENERATE(true, false);
  const bool by_bytes = GENERATE(true, false);
  const auto as = GENERATE(0, 1, 2);  // a plain datagram, an answer, an answer from an address
  CAPTURE(copies, by_bytes, as);
  constexpr std::size_t room = 20;
  const std::string text(10, 'x');
  dgram::send_batch batch({.datagrams = by_bytes ? 100 : room,
                           .bytes = by_bytes ? room * text.size() : 100 * text.size(),
                           .copy = copies});
  const test::endpoint peer(asio::ip::address_v4::loopback(), 4000);
  dgram::basic_reply_path<udp> path{peer};
  if (as == 2) path.source = asio::ip::address_v4::loopback();
  const auto push = [&] {
    if (as == 0)
      batch.push(dgram::bytes_view(text), peer);
    else
      batch.push(dgram::bytes_view(text), path);
  };
  for (int i = 0; i < 12; ++i)
    push();
  for (int i = 0; i < 10; ++i)
    batch.drop_front();
  for (int i = 0; i < 8; ++i)
    push();
  CHECK_FALSE(batch.has_room(text.size()));
  CHECK_FALSE((as == 0 && batch.follow_last(dgram::bytes_view(text), peer)));
  CHECK_THROWS_AS(push(), std::length_error);
  CHECK(batch.size() == 10);
  CHECK(batch.bytes() == 10 * text.size());
}

TEST_CASE("send_batch: many small payloads for one peer are one piece, as far as there is memory",
          "[send_batch]")
{
  const std::size_t pieces = GENERATE(1U, 2U);
  CAPTURE(pieces);
  constexpr std::size_t count = 6000;
  const test::endpoint peer(asio::ip::address_v4::loopback(), 4000);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i)
    texts.push_back(std::to_string(i) + std::string(300, 'x').substr(std::to_string(i).size()));
  dgram::send_batch batch(count);
  for (const std::string& text : texts) {
    const auto all = asio::buffer(text);
    if (pieces == 1)
      batch.push(dgram::bytes_view(text), peer);
    else
      batch.push(std::array{asio::buffer(all, 7), asio::buffer(all + 7)}, peer);
  }
  std::size_t index = 0;
  for (bool is_first = true; !batch.empty(); is_first = false) {
    dgram::error_code ec;
    const auto messages =
        batch.prepare({}, [](const auto&, std::size_t) { return true; }, ec, {}, 1);
    REQUIRE(messages.size() == 1);
    if (is_first && dgram::platform::backend::max_segments > 1)
      CHECK(buffers_of(messages.front()).size() == 1);
    const std::string bytes = bytes_of(messages.front());
    std::string wanted;
    for (std::size_t left = batch.consume(1); left > 0; --left)
      wanted += texts.at(index++);
    REQUIRE(bytes == wanted);
  }
  CHECK(index == count);
}

}  // namespace send_batch_test
