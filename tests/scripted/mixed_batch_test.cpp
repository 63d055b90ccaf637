// SPDX-License-Identifier: BSL-1.0
// Random batches, with every kind of trouble on their way: what was pushed arrives, per peer in order, exactly once.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/catch_tostring.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_random.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace mixed_batch_test {

namespace {

using test::fail;
using test::offered_message;
using test::script;

/// A datagram, as it was pushed and as it is to arrive.
struct parcel {
  std::string text;
  std::optional<dgram::ecn_codepoint> ecn;
  std::optional<int> dscp;
  std::optional<int> hop_limit;

  friend bool operator==(const parcel&, const parcel&) = default;

  friend std::ostream& operator<<(std::ostream& out, const parcel& p)
  {
    return out << p.text.substr(0, 12) << " (" << p.text.size() << " bytes), ecn "
               << static_cast<int>(p.ecn.value_or(dgram::ecn_codepoint{})) << ", dscp "
               << p.dscp.value_or(-1) << ", hops " << p.hop_limit.value_or(-1);
  }
};

/// A peer that keeps all datagrams, with their metadata.
class sink {
public:
  sink(asio::io_context& io, const test::endpoint& at, bool coalesce) : socket_(io, at)
  {
    dgram::error_code not_here;
    socket_.set_option(dgram::option::coalescing(coalesce), not_here);
    socket_.set_option(dgram::option::receive_ecn(true));
    socket_.set_option(dgram::option::receive_hop_limit(true));
  }

  test::endpoint endpoint() const { return socket_.local_endpoint(); }

  /// Takes what has arrived.
  void take()
  {
    dgram::error_code ec;
    while (socket_.try_receive_batch(batch_, ec) > 0)
      for (const dgram::datagram& datagram : batch_)
        arrived.push_back({std::string(datagram.payload().text()), datagram.ecn(), datagram.dscp(),
                           datagram.hop_limit()});
  }

  std::vector<parcel> expected, arrived;

private:
  dgram::udp::socket socket_;
  dgram::receive_batch batch_{16};
};

/// When the paths begin to refuse messages that are to be cut apart.
enum class refusal : std::uint8_t { never, always, midway };

class mix : public test::scripted {
public:
  void prepare(unsigned seed, refusal when)
  {
    random_.seed(seed);
    const bool dual = test::has_ipv6() && chance(2);
    if (dual)
      socket.emplace(io, test::endpoint(asio::ip::udp::v6(), 0),
                     dgram::socket_config{.dual_stack = true});
    else
      socket.emplace(io, test::loopback_v4());
    for (int i = 0; i < 3; ++i)
      sinks.emplace_back(io, dual && i == 1 ? test::loopback_v6() : test::loopback_v4(), chance(2));
    batch.emplace(dgram::send_batch_config{.datagrams = 256, .bytes = 400'000, .copy = chance(2)});

    std::size_t from = 0;  // messages that have left
    if (when == refusal::midway) from = pick(1, 8);
    if (when == refusal::never) from = std::numeric_limits<std::size_t>::max();
    const int error = chance(2) ? EIO : EINVAL;
    script.verdict = [from, error](const offered_message& message, std::size_t before) {
      return message.is_run() && before >= from ? error : 0;
    };
  }

  /// Pushes runs that may go together, in part, or not at all.
  void push_all()
  {
    for (std::size_t runs = pick(1, 10); runs > 0; --runs) {
      sink& to = sinks[pick(0, sinks.size() - 1)];
      const dgram::send_options options = any_options();
      const std::size_t size = chance(5) ? pick(0, 2000) : pick(4, 200);
      for (std::size_t count = pick(1, 10); count > 0; --count)
        push(to, chance(8) ? pick(0, size) : size, options);
      if (chance(4)) push_segments(to, pick(1, 300), options);
    }
  }

  /// What the kernel says to the next sends before it takes them.
  void make_trouble()
  {
    script.send() = test::call_script();
    for (std::size_t i = pick(0, 8); i > 0; --i)
      switch (pick(0, 5)) {
      case 0: script.send().push(fail(EINTR)); break;
      case 1: script.send().push(fail(EAGAIN)); break;
      case 2: script.send().push(fail(chance(2) ? ENOBUFS : ENOMEM)); break;
      default: script.send().push(test::take(pick(1, 4)));
      }
  }

  /// Sends until nothing is left. Operations are cancelled on the way, at any of their steps.
  void send_all()
  {
    std::size_t left = batch->size();
    for (int tries = 0; !batch->empty(); ++tries) {
      REQUIRE(tries < 1000);
      const auto result = send_once();
      if (result.error) CHECK(result.error == asio::error::operation_aborted);
      left -= result.sent;
      REQUIRE(batch->size() == left);
      for (auto& to : sinks)
        to.take();
    }
    script.send() = test::call_script();  // the rest of the trouble
  }

  asio::io_context io;
  std::optional<dgram::udp::socket> socket;
  std::optional<dgram::send_batch> batch;
  std::deque<sink> sinks;

private:
  std::size_t pick(std::size_t from, std::size_t to)
  {
    return std::uniform_int_distribution<std::size_t>(from, to)(random_);
  }

  /// True once in so many times.
  bool chance(std::size_t many) { return pick(1, many) == 1; }

  /// Bytes that no other datagram of the test begins with, as far as they reach.
  std::string next_text(std::size_t size)
  {
    const std::string number = std::to_string(10'000 + storage_.size());
    std::string text = number + std::string(std::max(size, number.size()) - number.size(), '.');
    text.resize(size);
    return text;
  }

  dgram::send_options any_options()
  {
    dgram::send_options options;
    if (chance(3)) options.ecn = dgram::ecn_codepoint::ect_0;
    if (chance(3)) options.dscp = static_cast<std::uint8_t>(pick(0, 63));
    if (chance(3)) options.hop_limit = static_cast<int>(pick(1, 255));
    return options;
  }

  void expect(sink& to, std::string text, const dgram::send_options& options)
  {
    dgram::option::hop_limit usual;
    socket->get_option(usual);
    to.expected.push_back({std::move(text), options.ecn.value_or(dgram::ecn_codepoint::not_ect),
                           options.dscp.value_or(0), options.hop_limit.value_or(usual.value())});
  }

  void push(sink& to, std::size_t size, const dgram::send_options& options)
  {
    const std::string& text = storage_.emplace_back(next_text(size));
    if (!options.ecn && !options.dscp && !options.hop_limit)
      batch->push(text, to.endpoint());
    else
      batch->push(text, to.endpoint(), options);
    expect(to, text, options);
  }

  void push_segments(sink& to, std::size_t segment, dgram::send_options options)
  {
    const std::string& text = storage_.emplace_back(next_text(pick(1, segment * 8)));
    options.segment_size = segment;
    batch->push(text, to.endpoint(), options);
    for (std::size_t at = 0; at < text.size(); at += segment)
      expect(to, text.substr(at, segment), options);
  }

  dgram::send_result send_once()
  {
    std::optional<dgram::send_result> result;
    socket->async_send_batch(*batch, [&](dgram::error_code ec, const dgram::send_result& told) {
      REQUIRE_FALSE(result);
      CHECK(ec == (told.sent == 0 ? told.error : dgram::error_code()));
      result = told;
    });
    if (chance(2)) {
      io.restart();
      for (std::size_t steps = pick(0, 4); steps > 0; --steps)
        io.poll_one();
      socket->cancel();
    }
    test::run(io);
    REQUIRE(result);
    return *result;
  }

  std::mt19937 random_;
  std::deque<std::string> storage_;  // a batch that does not copy refers to it
};

}  // namespace

TEST_CASE_METHOD(mix, "batch: whatever is pushed arrives whatever happens on the way", "[send]")
{
  const auto when = GENERATE(refusal::never, refusal::always, refusal::midway);
  const auto seed = GENERATE(take(60, Catch::Generators::random(1U, 1000000U)));
  CAPTURE(static_cast<int>(when), seed);
  prepare(seed, when);
  for (int round = 0; round < 3; ++round) {
    push_all();
    make_trouble();
    send_all();
  }
  for (const auto& to : sinks)
    CHECK(to.arrived == to.expected);
}

}  // namespace mixed_batch_test
