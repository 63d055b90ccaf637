// SPDX-License-Identifier: BSL-1.0
// Sizes that no memory has: each function that takes one refuses it, and what it was called on works afterwards.
#include "support/loopback.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace sizes_test {

namespace {

constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();

/// So that sums and products with small numbers wrap, to zero or to something small.
std::size_t absurd()
{
  return GENERATE(largest, largest - 63, largest - 64, largest / 2, largest / 2 + 1,
                  largest / 2 - 255, largest / 4 + 1, std::size_t{1} << 58U);
}

/// More than any memory: sizes of it are refused before it is asked for.
std::size_t more_than_memory()
{
  return GENERATE(largest, largest - 63, largest - 64, largest / 2 + 1, largest / 2 + 64);
}

/// Whether it is refused, and the text says what was too large, and what there could be at most.
template <class Function>
bool is_too_much(Function function, const std::string& what = "_batch: ")
{
  try {
    function();
  } catch (const std::length_error& error) {
    const std::string text = error.what();
    CAPTURE(text);
    CHECK(text.find(what) != std::string::npos);
    CHECK(text.find(" is more than memory can have, which is ") != std::string::npos);
    return true;
  }
  return false;
}

struct traffic {
  asio::io_context io;
  dgram::udp::socket to{io, test::loopback_v4()};
  dgram::udp::socket from{io, test::loopback_v4()};

  void send(const std::string& text) { from.send_to(asio::buffer(text), to.local_endpoint()); }
};

}  // namespace

TEST_CASE("room for control messages that memory cannot have is refused", "[sizes][F17]")
{
  const std::size_t size = absurd();
  const std::size_t slots = GENERATE(1U, 2U, 4U, 64U);
  CAPTURE(size, slots);
  traffic host;
  host.to.set_option(dgram::option::receive_hop_limit{true});
  dgram::receive_batch batch(slots, 100);
  batch.reserve_control(16);
  CHECK_THROWS_AS(batch.reserve_control(size), std::length_error);
  host.send("hello");
  REQUIRE(host.to.try_receive_batch(batch) == 1);
  CHECK(batch[0].payload().text() == "hello");
  CHECK(batch[0].hop_limit().has_value());
  CHECK_FALSE(batch[0].control_truncated());
}

TEST_CASE("a batch of slots that memory cannot have is refused", "[sizes][F17]")
{
  const std::size_t size = more_than_memory();
  CAPTURE(size);
  CHECK(is_too_much([&] { dgram::receive_batch batch(size); }));
  CHECK(is_too_much([&] { dgram::receive_batch batch(1, size); }));
  CHECK(is_too_much([&] { dgram::receive_batch batch(2, size); }));
  CHECK(is_too_much([&] { dgram::receive_batch batch(size, size); }));
}

TEST_CASE("of slots and places more than there are mean all", "[sizes][F17]")
{
  const std::size_t size = absurd();
  CAPTURE(size);
  traffic host;
  dgram::receive_batch batch(2, 100);
  batch.offer(size);
  CHECK(batch.offered() == 2);
  host.send("one");
  CHECK(host.to.try_receive_batch(batch) == 1);
}

TEST_CASE("a size on the wire that nothing has is the largest that there can be", "[sizes][F17]")
{
  const std::size_t size = absurd();
  CAPTURE(size);
  dgram::receive_batch batch(1, 100);
  REQUIRE(batch.store("hello", test::endpoint(), {.wire_size = size}));
  CHECK(batch[0].truncated());
  CHECK(batch[0].payload().text() == "hello");
  CHECK(batch.bytes() == 5);
}

TEST_CASE("a batch to send that memory cannot have is refused", "[sizes][F17]")
{
  const std::size_t size = more_than_memory();
  CAPTURE(size);
  CHECK(is_too_much([&] { dgram::send_batch batch(size); }));
  CHECK(is_too_much([&] {
    dgram::send_batch batch(dgram::send_batch_config{.datagrams = 1, .bytes = size, .copy = true});
  }));
}

TEST_CASE("a batch to send has no room for sizes that nothing has", "[sizes][F17]")
{
  const std::size_t size = absurd();
  CAPTURE(size);
  traffic host;
  const auto peer = host.to.local_endpoint();
  dgram::send_batch batch(dgram::send_batch_config{.datagrams = 4, .bytes = size});
  batch.push("before", peer);
  CHECK_FALSE(batch.has_room(size));
  CHECK_FALSE(batch.has_room(largest));
  CHECK_FALSE(batch.has_room(1, size));
  CHECK_FALSE(batch.has_room(0, largest));
  const std::array<char, 1> there{};
  CHECK_THROWS_AS(batch.push(dgram::bytes_view(there.data(), size), peer), std::length_error);
  CHECK_THROWS_AS(batch.push_segments(dgram::bytes_view(there.data(), size), 1, peer),
                  std::length_error);
  // One segment of that size is the whole.
  batch.push_segments("after", size, peer);
  CHECK(host.from.try_send_batch(batch).sent == 2);
  dgram::receive_batch in(4, 100);
  REQUIRE(host.to.try_receive_batch(in) == 2);
  CHECK(in[0].payload().text() == "before");
  CHECK(in[1].payload().text() == "after");
}

TEST_CASE("a segment of a size that nothing has is the whole datagram", "[sizes][F17]")
{
  const std::size_t size = absurd();
  CAPTURE(size);
  traffic host;
  const std::string text = "hello";
  const auto peer = host.to.local_endpoint();
  host.from.send_to(asio::buffer(text), peer, dgram::send_options{.segment_size = size});
  dgram::error_code failure = asio::error::fault;
  host.from.async_send_segments(text, size, peer,
                                [&](dgram::error_code ec, dgram::send_result) { failure = ec; });
  test::run(host.io);
  CHECK_FALSE(failure);
  dgram::receive_batch in(4, 100);
  REQUIRE(host.to.try_receive_batch(in) == 2);
  CHECK(in[0].payload().text() == text);
  CHECK(in[1].payload().text() == text);
}

TEST_CASE("control messages of a size that nothing has are refused", "[sizes][F17]")
{
  const std::size_t size = absurd();
  CAPTURE(size);
  const std::array<std::byte, 1> there{};
  dgram::control_writer control;
  CHECK_FALSE(control.add(1, 1, std::span<const std::byte>(there.data(), size)));
  CHECK(control.empty());
}

TEST_CASE("a reader or writer that memory cannot have is refused", "[sizes][F17]")
{
  const std::size_t size = more_than_memory();
  CAPTURE(size);
  traffic host;
  CHECK(is_too_much([&] { dgram::reader reader(host.to, {.slots = size}); }, "reader: slots: "));
  CHECK(is_too_much([&] { dgram::reader reader(host.to, {.slot_size = size}); },
                    "reader: slot_size: "));
  dgram::reader reader(host.to);
  CHECK(is_too_much([&] { dgram::writer writer(reader, {.datagrams = size}); },
                    "writer: datagrams: "));
  CHECK(is_too_much([&] { dgram::writer writer(reader, {.bytes = size}); }, "writer: bytes: "));
}

}  // namespace sizes_test
