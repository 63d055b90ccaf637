// SPDX-License-Identifier: BSL-1.0
// What a batch costs whose datagrams are refused: twice the datagrams, at most twice the work.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace refusal_cost_test {

namespace {

using test::offered_message;
using test::script;

/// Each is a reason for which the rest of a batch has to be put to the kernel anew.
enum class trouble : std::uint8_t {
  all_refused,
  every_other_refused,
  refused_one_call_each,
  runs_not_cut_apart,
  traffic_class_refused,
  segments_of_one_byte,
  queue_full,
};

/// How many messages were put to the kernel for a batch of `count` datagrams: what is described for it is what costs.
std::size_t cost(trouble what, std::size_t count)
{
  const test::scripted guard;
  asio::io_context io;
  const test::plain_peer peer(io);
  dgram::udp::socket socket(io, test::loopback_v4());
  dgram::send_batch batch(count);
  const std::string text(10, 'x');
  const std::string segments(count, 'x');
  std::size_t dropped = 0;
  const auto drop = [&](dgram::error_code, const test::endpoint&, std::size_t) { ++dropped; };
  std::size_t asked = 0;

  if (what != trouble::refused_one_call_each) batch.on_refused(drop);
  if (what == trouble::segments_of_one_byte) {
    batch.push_segments(segments, 1, peer.endpoint());
  } else if (what == trouble::traffic_class_refused) {
    for (std::size_t i = 0; i < count; ++i)
      batch.push(text, peer.endpoint(), dgram::send_options{.dscp = std::uint8_t(i % 60)});
  } else if (what == trouble::runs_not_cut_apart) {
    // Runs of two, whose sizes keep them apart.
    for (std::size_t i = 0; i < count / 2; ++i)
      for (int j = 0; j < 2; ++j)
        batch.push(dgram::bytes_view(text.data(), 1 + i % 10), peer.endpoint());
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      const test::endpoint to(peer.endpoint().address(), static_cast<std::uint16_t>(i % 2 + 9));
      batch.push(text, to);
    }
  }

  script.verdict = [&](const offered_message& message, std::size_t) {
    switch (what) {
    case trouble::all_refused:
    case trouble::refused_one_call_each: return EPERM;
    case trouble::every_other_refused: return message.peer.port() == 9 ? EPERM : 0;
    case trouble::runs_not_cut_apart: return message.is_run() ? EIO : 0;
    case trouble::traffic_class_refused: return EINVAL;
    case trouble::segments_of_one_byte: return message.is_run() ? EIO : EPERM;
    case trouble::queue_full: return ++asked % 5 == 0 ? EAGAIN : 0;
    }
    return 0;
  };
  for (std::size_t calls = 0; !batch.empty() && calls < 2 * count; ++calls) {
    const auto result = socket.try_send_batch(batch);
    if (what == trouble::refused_one_call_each) batch.drop_front();
    CHECK((!result.error || what == trouble::refused_one_call_each || what == trouble::queue_full));
  }
  CHECK(batch.empty());
  return script.offered.size();
}

#if DGRAM_HAS_UNIX_DATAGRAMS
enum class full_peers : std::uint8_t { one, one_of_many, one_each, every_other };

/// The same for a batch to Unix peers of which some are full. The others refuse theirs.
std::size_t cost(full_peers what, std::size_t count)
{
  const test::scripted guard;
  asio::io_context io;
  dgram::unix_dgram::socket socket(io, dgram::unix_dgram{});
  dgram::unix_dgram::send_batch batch(count);
  const std::string text(10, 'x');
  std::size_t full = 0;
  std::size_t refused = 0;
  batch.on_refused([&](auto&&...) { ++refused; });
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_full = what == full_peers::one || what == full_peers::one_each ||
                         (what == full_peers::every_other ? i % 2 == 0 : i == 0);
    const bool has_own_peer = what == full_peers::one_each || what == full_peers::one_of_many;
    full += is_full ? 1 : 0;
    // The size tells them apart, and keeps datagrams apart that are neighbours.
    batch.push(dgram::bytes_view(text.data(), is_full ? 1 + i % 2 : 3 + i % 2),
               "@peer" + (has_own_peer ? std::to_string(i) : std::to_string(int(is_full))));
  }
  script.verdict = [](const offered_message& message, std::size_t) {
    return message.size < 3 ? EAGAIN : EPERM;
  };
  const auto result = socket.try_send_batch(batch);
  CHECK(result.error == asio::error::would_block);
  CHECK(batch.size() == full);
  CHECK(refused == count - full);
  return script.offered.size();
}
#endif

}  // namespace

#if DGRAM_HAS_UNIX_DATAGRAMS
TEST_CASE("work for full peers does not grow with the batch", "[refusals][unix][F7]")
{
  const auto what = GENERATE(full_peers::one, full_peers::one_of_many, full_peers::one_each,
                             full_peers::every_other);
  CAPTURE(static_cast<int>(what));
  const std::size_t once = cost(what, 2'000);
  const std::size_t twice = cost(what, 4'000);
  CAPTURE(once, twice);
  CHECK(twice <= 2 * once + once / 4);
  CHECK(twice < 10 * 4'000);
}
#endif

TEST_CASE("work for what the kernel does not take does not grow with the batch", "[refusals][F4]")
{
  const auto what =
      GENERATE(trouble::all_refused, trouble::every_other_refused, trouble::refused_one_call_each,
               trouble::runs_not_cut_apart, trouble::traffic_class_refused,
               trouble::segments_of_one_byte, trouble::queue_full);
  CAPTURE(static_cast<int>(what));
  const std::size_t once = cost(what, 2'000);
  const std::size_t twice = cost(what, 4'000);
  CAPTURE(once, twice);
  CHECK(twice < 2 * once + once / 4);
  CHECK(twice < 80 * 4'000);
}

}  // namespace refusal_cost_test
