// SPDX-License-Identifier: BSL-1.0
// receive_batch.hpp: slots, what they say of their datagrams, and that they can be used again.

#include "unit/host.hpp"

#include <dgram/receive_batch.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <ranges>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace receive_batch_test {

namespace {

using dgram::udp;

struct pair {
  asio::io_context io;
  udp::socket sender{io, test::loopback_v4()};
  udp::socket receiver{io, test::loopback_v4()};

  void send(std::string_view text) { sender.send_to(test::bytes(text), receiver.local_endpoint()); }

  /// Fills `batch` until it holds `count` datagrams that were sent before.
  void receive(dgram::receive_batch& batch, std::size_t count)
  {
    test::await_readable(io, receiver);
    REQUIRE(receiver.receive_batch(batch) == count);
    REQUIRE(batch.size() == count);
  }
};

std::vector<std::string> texts(const dgram::receive_batch& batch)
{
  std::vector<std::string> all;
  for (const dgram::datagram& each : batch)
    all.emplace_back(each.payload().text());
  return all;
}

}  // namespace

TEST_CASE("receive_batch: a fresh one is empty and says how much it holds")
{
  const dgram::receive_batch batch(7, 100);
  CHECK(batch.capacity() == 7);
  CHECK(batch.slot_size() == 100);
  CHECK(batch.size() == 0);  // NOLINT(readability-container-size-empty)
  CHECK(batch.empty());
  CHECK(batch.begin() == batch.end());
  CHECK(dgram::receive_batch(1).slot_size() == dgram::receive_batch::default_slot_size);
  STATIC_REQUIRE(dgram::receive_batch::default_slot_size >= 65535);
}

TEST_CASE("receive_batch: one without slots, or without room in them, is refused")
{
  CHECK_THROWS_AS(dgram::receive_batch(0), std::invalid_argument);
  CHECK_THROWS_AS(dgram::receive_batch(0, 100), std::invalid_argument);
  CHECK_THROWS_AS(dgram::receive_batch(4, 0), std::invalid_argument);
}

TEST_CASE("receive_batch: is moved, never copied, and a number is no batch")
{
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<dgram::receive_batch>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<dgram::receive_batch>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<dgram::receive_batch>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<std::size_t, dgram::receive_batch>);
}

TEST_CASE("receive_batch: gives each datagram's bytes and sender, in order")
{
  pair p;
  udp::socket other(p.io, test::loopback_v4());
  dgram::receive_batch batch(8, 64);
  p.send("first");
  other.send_to(test::bytes("second"), p.receiver.local_endpoint());
  p.send("third");
  p.receive(batch, 3);
  CHECK(texts(batch) == std::vector<std::string>{"first", "second", "third"});
  CHECK(batch[0].sender() == p.sender.local_endpoint());
  CHECK(batch[1].sender() == other.local_endpoint());
  CHECK(batch[2].sender() == p.sender.local_endpoint());
  CHECK_FALSE(batch.empty());
  for (const auto& each : batch) {
    CHECK_FALSE(each.truncated());
    CHECK(each.wire_size() == each.payload().size());
  }
}

TEST_CASE("receive_batch: slots do not overlap, and each takes its whole size")
{
  pair p;
  dgram::receive_batch batch(4, 33);
  const std::string letters = "abcd";
  for (const char letter : letters)
    p.send(std::string(33, letter));
  p.receive(batch, 4);
  std::set<const void*> addresses;
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(batch[i].payload().text() == std::string(33, letters[i]));
    CHECK_FALSE(batch[i].truncated());
    CHECK(batch[i].wire_size() == 33U);
    addresses.insert(batch[i].payload().data());
  }
  CHECK(addresses.size() == 4);
}

TEST_CASE("receive_batch: what is larger than its slot is cut off, and says so")
{
  pair p;
  dgram::receive_batch batch(3, 16);
  p.send(std::string(17, 'x'));
  p.send(std::string(1000, 'y'));
  p.send("whole");
  p.receive(batch, 3);
  const std::size_t sizes[] = {17, 1000};
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(batch[i].truncated());
    CHECK(batch[i].payload().text() == std::string(16, i == 0 ? 'x' : 'y'));
    if (dgram::platform::backend::reports_wire_size)
      CHECK(batch[i].wire_size() == sizes[i]);
    else
      CHECK_FALSE(batch[i].wire_size().has_value());
  }
  CHECK_FALSE(batch[2].truncated());
  CHECK(batch[2].payload().text() == "whole");
  CHECK(batch[2].wire_size() == 5U);
}

TEST_CASE("receive_batch: the largest datagram that IPv4 carries fits a default slot")
{
  pair p;
  p.sender.set_option(dgram::option::send_buffer_size(200'000));
  p.receiver.set_option(dgram::option::receive_buffer_size(200'000));
  dgram::receive_batch batch(1);
  const std::string largest(65'507, 'L');
  p.send(largest);
  p.receive(batch, 1);
  CHECK_FALSE(batch[0].truncated());
  CHECK(batch[0].payload().text() == largest);
}

TEST_CASE("receive_batch: empty datagrams are datagrams")
{
  pair p;
  dgram::receive_batch batch(4, 16);
  p.send("");
  p.send("between");
  p.send("");
  p.receive(batch, 3);
  CHECK(texts(batch) == std::vector<std::string>{"", "between", ""});
  CHECK(batch[0].payload().empty());
  CHECK(batch[0].wire_size() == 0U);
  CHECK_FALSE(batch[0].truncated());
  CHECK(batch[0].sender() == p.sender.local_endpoint());
}

TEST_CASE("receive_batch: takes no more than its capacity; the rest waits")
{
  pair p;
  dgram::receive_batch batch(2, 16);
  for (const char* text : {"1", "2", "3"})
    p.send(text);
  p.receive(batch, 2);
  CHECK(texts(batch) == std::vector<std::string>{"1", "2"});
  p.receive(batch, 1);
  CHECK(texts(batch) == std::vector<std::string>{"3"});
}

TEST_CASE("receive_batch: being used again leaves nothing of the last time")
{
  DGRAM_SKIP_WITHOUT_IPV6();
  asio::io_context io;
  udp::socket receiver(io, {asio::ip::address_v6::any(), 0}, {.dual_stack = true});
  const auto port = receiver.local_endpoint().port();
  udp::socket four(io, test::loopback_v4());
  udp::socket six(io, test::loopback_v6());
  dgram::receive_batch batch(3, 16);
  const auto receive = [&](std::size_t count) {
    test::await_readable(io, receiver);
    REQUIRE(receiver.receive_batch(batch) == count);
  };

  // A short address, then a long one in the same slot; cut off, then whole; many, then few.
  for (int i = 0; i < 3; ++i)
    four.send_to(test::bytes("longer than its slot"), test::loopback_v4(port));
  receive(3);
  for (const auto& each : batch) {
    CHECK(each.truncated());
    CHECK(each.sender() == four.local_endpoint());
  }
  six.send_to(test::bytes("short"), test::loopback_v6(port));
  receive(1);
  CHECK(texts(batch) == std::vector<std::string>{"short"});
  CHECK_FALSE(batch[0].truncated());
  CHECK(batch[0].wire_size() == 5U);
  CHECK(batch[0].sender() == six.local_endpoint());
  for (int i = 0; i < 3; ++i)
    six.send_to(test::bytes("six"), test::loopback_v6(port));
  receive(3);
  for (const auto& each : batch)
    CHECK(each.sender() == six.local_endpoint());
}

TEST_CASE("receive_batch: a call that takes nothing leaves an empty batch")
{
  pair p;
  dgram::receive_batch batch(2, 16);
  p.send("one");
  p.receive(batch, 1);
  dgram::error_code ec;
  CHECK(p.receiver.try_receive_batch(batch, ec) == 0);
  CHECK(ec == asio::error::would_block);
  CHECK(batch.empty());
  CHECK(batch.begin() == batch.end());
}

TEST_CASE("receive_batch: one batch serves several sockets")
{
  asio::io_context io;
  udp::socket sender(io, test::loopback_v4());
  dgram::receive_batch batch(2, 16);
  for (const char* text : {"a", "b", "c"}) {
    udp::socket receiver(io, test::loopback_v4());
    sender.send_to(test::bytes(text), receiver.local_endpoint());
    test::await_readable(io, receiver);
    REQUIRE(receiver.receive_batch(batch) == 1);
    CHECK(texts(batch) == std::vector<std::string>{text});
  }
}

TEST_CASE("receive_batch: iteration")
{
  using iterator = dgram::receive_batch::const_iterator;
  STATIC_REQUIRE(std::input_iterator<iterator>);
  STATIC_REQUIRE(std::sentinel_for<iterator, iterator>);
  STATIC_REQUIRE(std::ranges::input_range<const dgram::receive_batch&>);
  STATIC_REQUIRE(std::ranges::sized_range<const dgram::receive_batch&>);
  STATIC_REQUIRE(
      std::is_same_v<std::iterator_traits<iterator>::iterator_category, std::input_iterator_tag>);

  pair p;
  dgram::receive_batch batch(4, 16);
  for (const char* text : {"one", "two", "three"})
    p.send(text);
  p.receive(batch, 3);
  CHECK(std::distance(batch.begin(), batch.end()) == 3);
  CHECK(std::ranges::distance(batch) == 3);
  auto next = batch.begin();
  CHECK((*next++).payload().text() == "one");
  CHECK((*next).payload().text() == "two");
  CHECK((*++next).payload().text() == "three");
  CHECK(++next == batch.end());
  const auto found =
      std::ranges::find_if(batch, [](const auto& each) { return each.payload().size() == 5; });
  REQUIRE(found != batch.end());
  CHECK((*found).payload().text() == "three");
}

TEST_CASE("receive_batch: a moved batch keeps its datagrams and goes on working")
{
  pair p;
  dgram::receive_batch first(3, 16);
  p.send("before");
  p.receive(first, 1);

  dgram::receive_batch second(std::move(first));
  CHECK(texts(second) == std::vector<std::string>{"before"});
  CHECK(second.capacity() == 3);
  CHECK(second.slot_size() == 16);
  p.send("after");
  p.send("and after");
  p.receive(second, 2);
  CHECK(texts(second) == std::vector<std::string>{"after", "and after"});
  CHECK(second[1].sender() == p.sender.local_endpoint());

  dgram::receive_batch third(1, 4);
  third = std::move(second);
  CHECK(texts(third) == std::vector<std::string>{"after", "and after"});
  p.send("again");
  p.receive(third, 1);
  CHECK(texts(third) == std::vector<std::string>{"again"});
}

TEST_CASE("receive_batch: a moved-from batch is empty and can be assigned to")
{
  pair p;
  dgram::receive_batch first(2, 16);
  p.send("x");
  p.receive(first, 1);
  const dgram::receive_batch second(std::move(first));
  // NOLINTBEGIN(bugprone-use-after-move)
  CHECK(first.empty());
  CHECK(first.size() == 0);  // NOLINT(readability-container-size-empty)
  CHECK(first.begin() == first.end());
  CHECK(first.capacity() == 0);
  // NOLINTEND(bugprone-use-after-move)
  first = dgram::receive_batch(2, 16);
  p.send("y");
  p.receive(first, 1);
  CHECK(texts(first) == std::vector<std::string>{"y"});
  CHECK(texts(second) == std::vector<std::string>{"x"});
}

TEST_CASE("receive_batch: what is stored reads as what was received, with all that is said of it")
{
  const test::endpoint sender = test::loopback_v4(53);
  const auto now = dgram::receive_time_point(std::chrono::nanoseconds(1'700'000'000'123'456'789));
  dgram::receive_batch batch(4, 16);
  CHECK(batch.store("plain", sender));
  CHECK(batch.store("rich", sender,
                    {.local_address = asio::ip::make_address("10.0.0.7"),
                     .interface_index = 3,
                     .ecn = dgram::ecn_codepoint::ce,
                     .dscp = 46,
                     .hop_limit = 63,
                     .receive_time = now,
                     .dropped = 5,
                     .wildcard = true}));
  CHECK(batch.store("", sender));
  CHECK(batch.store("this one is cut off", sender));
  CHECK_FALSE(batch.store("no slot", sender));
  CHECK(texts(batch) == std::vector<std::string>{"plain", "rich", "", "this one is cut "});
  CHECK(batch.bytes() == 25);
  CHECK(batch.truncated() == 1);
  CHECK(batch[3].truncated());
  CHECK(batch[0].sender() == sender);
  CHECK(batch[0].reply_path().is_plain());
  CHECK_FALSE(batch[0].hop_limit());

  const dgram::datagram rich = batch[1];
  CHECK(rich.local_address() == asio::ip::make_address("10.0.0.7"));
  CHECK(rich.interface_index() == 3);
  CHECK(rich.ecn() == dgram::ecn_codepoint::ce);
  CHECK(rich.dscp() == 46);
  CHECK(rich.hop_limit() == 63);
  CHECK((rich.receive_time() == now));  // Catch2 prints no nanoseconds with libc++
  CHECK(rich.dropped() == 5U);
  CHECK(rich.reply_path().source == asio::ip::make_address("10.0.0.7"));
}

TEST_CASE("receive_batch: a stored train is taken apart, and offers bound what is stored")
{
  dgram::receive_batch batch(4, 64);
  batch.offer(2);
  CHECK(batch.store("aaaabbbbcc", test::loopback_v4(1), {.segment_size = 4}));
  CHECK(batch.store("alone", test::loopback_v4(2)));
  CHECK_FALSE(batch.store("too many", test::loopback_v4(3)));
  CHECK(texts(batch) == std::vector<std::string>{"aaaa", "bbbb", "cc", "alone"});
  CHECK(batch.size() == 4);
  CHECK(batch.used_slots() == 2);
  CHECK(batch.coalesced() == 3);
  CHECK(batch.offered() == 2);
  batch.clear();
  CHECK(batch.empty());
  CHECK(batch.bytes() == 0);
  CHECK(batch.store("next", test::loopback_v4(2)));
  CHECK(texts(batch) == std::vector<std::string>{"next"});
}

TEST_CASE("receive_batch: a size beyond what the slot counts is no smaller one")
{
  // Sizes that would be 0, 1 and 3 if their upper bits were cut off.
  for (const std::uint64_t beyond :
       {std::uint64_t{1} << 32, (std::uint64_t{1} << 32) + 1, (std::uint64_t{7} << 32) + 3}) {
    if (beyond > std::numeric_limits<std::size_t>::max()) continue;
    const auto size = static_cast<std::size_t>(beyond);
    dgram::receive_batch batch(1, 64);
    CHECK(batch.store("one datagram", test::loopback_v4(1), {.segment_size = size}));
    CHECK(texts(batch) == std::vector<std::string>{"one datagram"});
    CHECK(batch.coalesced() == 0);
    batch.clear();
    CHECK(batch.store("one datagram", test::loopback_v4(1), {.wire_size = size}));
    CHECK(texts(batch) == std::vector<std::string>{"one datagram"});
    CHECK(batch[0].truncated());
  }
}

TEST_CASE("receive_batch: a socket receives into a batch that was stored into as into a new one")
{
  pair p;
  dgram::receive_batch batch(4, 64);
  batch.store(
      "xy", test::loopback_v4(1),
      {.local_address = asio::ip::make_address("10.0.0.7"), .segment_size = 1, .wildcard = true});
  p.send("a datagram that is longer than what was stored");
  p.receive(batch, 1);
  CHECK(texts(batch) == std::vector<std::string>{"a datagram that is longer than what was stored"});
  CHECK_FALSE(batch[0].truncated());
  CHECK_FALSE(batch[0].local_address());
  CHECK(batch[0].reply_path().is_plain());
  batch.clear();
  CHECK(batch.store("stored again", test::loopback_v4(1)));
  CHECK(texts(batch) == std::vector<std::string>{"stored again"});
}

TEST_CASE("receive_batch: the caller's memory is filled in place, in every form that it may have")
{
  pair host;
  const auto filled_in_place = [&](auto& packets, auto bytes_of) {
    dgram::receive_batch batch(packets);
    CHECK(batch.capacity() == 3);
    CHECK(batch.slot_size() == 64);
    CHECK(batch.most_datagrams() == 3 * 64);
    host.send("first");
    host.send("second");
    host.receive(batch, 2);
    CHECK(texts(batch) == std::vector<std::string>{"first", "second"});
    CHECK(static_cast<const void*>(batch[0].payload().data()) == bytes_of(packets[0]));
    CHECK(static_cast<const void*>(batch[1].payload().data()) == bytes_of(packets[1]));
  };
  const auto data = [](auto& packet) -> const void* { return packet.data(); };

  std::vector<std::array<std::byte, 64>> arrays(3);
  filled_in_place(arrays, data);
  std::vector<std::string> strings(3, std::string(64, 'x'));
  filled_in_place(strings, data);
  CHECK(strings[0] == "first" + std::string(59, 'x'));
  std::array<std::vector<char>, 3> vectors;
  vectors.fill(std::vector<char>(64));
  filled_in_place(vectors, data);
  std::vector<asio::mutable_buffer> buffers;
  std::vector<std::span<std::byte>> spans;
  for (auto& each : arrays) {
    buffers.push_back(asio::buffer(each));
    spans.emplace_back(each);
  }
  filled_in_place(buffers, data);
  filled_in_place(spans, data);

  STATIC_REQUIRE_FALSE(
      std::is_constructible_v<dgram::receive_batch, const std::vector<std::array<char, 9>>&>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<dgram::receive_batch, std::vector<char>&>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<dgram::receive_batch, dgram::receive_batch&>);
}

TEST_CASE("receive_batch: slots in the caller's memory have the size of the smallest packet")
{
  pair host;
  std::vector<std::string> packets{std::string(100, '.'), std::string(8, '.')};
  dgram::receive_batch batch(packets);
  CHECK(batch.slot_size() == 8);
  host.send("exactly8");
  host.send("longer than that");
  host.receive(batch, 2);
  CHECK_FALSE(batch[0].truncated());
  CHECK(batch[1].truncated());
  CHECK(batch.truncated() == 1);
  CHECK(texts(batch) == std::vector<std::string>{"exactly8", "longer t"});
  CHECK(packets[0] == "exactly8" + std::string(92, '.'));

  packets.clear();
  CHECK_THROWS_AS(dgram::receive_batch(packets), std::invalid_argument);
  packets = {"some", ""};
  CHECK_THROWS_AS(dgram::receive_batch(packets), std::invalid_argument);
}

TEST_CASE("receive_batch: a packet that was replaced is the caller's again")
{
  pair host;
  std::vector<std::string> pool(4, std::string(16, '.'));
  dgram::receive_batch batch{std::span(pool).first(2)};
  host.send("kept");
  host.send("seen");
  host.receive(batch, 2);
  batch.replace(0, pool[2]);
  CHECK(texts(batch) == std::vector<std::string>{"", "seen"});
  CHECK(pool[0].starts_with("kept."));
  for (const auto* text : {"again", "once more"})
    host.send(text);
  host.receive(batch, 2);
  CHECK(texts(batch) == std::vector<std::string>{"again", "once more"});
  CHECK(pool[0].starts_with("kept."));
  CHECK(pool[2].starts_with("again."));

  // What `store` has done to the slots is forgotten in the caller's memory too.
  batch.clear();
  CHECK(batch.store("a", host.sender.local_endpoint()));
  batch.replace(0, pool[3]);
  dgram::receive_batch moved = std::move(batch);
  host.send("sixteen bytes are");
  host.receive(moved, 1);
  CHECK(pool[3] == "sixteen bytes ar");

  std::string small(15, '.');
  CHECK_THROWS_AS(moved.replace(0, small), std::invalid_argument);
  CHECK_THROWS_AS(moved.replace(2, pool[0]), std::out_of_range);
  dgram::receive_batch owning(1, 8);
  CHECK_THROWS_AS(owning.replace(0, pool[0]), std::invalid_argument);
  host.send("still there");
  host.receive(moved, 1);
  CHECK(pool[3].starts_with("still there"));
}

TEST_CASE("receive_batch: packets that cannot hold a train are refused where there are trains")
{
  pair host;
  dgram::error_code ec;
  host.receiver.set_option(dgram::option::coalescing(true), ec);
  if (ec) SKIP("this system does not coalesce");
  std::vector<std::string> packets(2, std::string(65535, '.'));
  dgram::receive_batch small(packets);
  host.receiver.try_receive_batch(small, ec);
  CHECK(ec == dgram::error::slot_too_small);
  packets.assign(2, std::string(65536, '.'));
  dgram::receive_batch large(packets);
  host.receiver.try_receive_batch(large, ec);
  CHECK(ec == asio::error::would_block);
}

TEST_CASE("datagram_info: can be made without a socket")
{
  const dgram::datagram_info info(test::loopback_v4(9), 10,
                                  {.hop_limit = 7, .wire_size = std::size_t{12}});
  CHECK(info.sender() == test::loopback_v4(9));
  CHECK(info.hop_limit() == 7);
  CHECK(info.truncated());
  CHECK(info.wire_size() == 12U);
  CHECK_FALSE(dgram::datagram_info(test::loopback_v4(9), 10).truncated());
}

}  // namespace receive_batch_test
