// SPDX-License-Identifier: BSL-1.0
// An exchanger on a simulated network: matching, repetition, limits, ends, cancellation, account.
#include <dgram/exchanger.hpp>

#include "support/asio.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace exchanger_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;

namespace {

using dgram::answer;
using dgram::error_code;
using dgram::unmatched;
using exchanger_type =
    decltype(dgram::exchanger(std::declval<sim::socket&>(), dgram::same_bytes()));
using texts = std::vector<std::string>;

const error_code aborted = asio::error::operation_aborted;
const error_code timed_out = asio::error::timed_out;
const error_code refused = asio::error::connection_refused;
const error_code started = asio::error::already_started;

constexpr dgram::same_bytes two_bytes{0, 2};

/// What an exchange has completed with.
struct result {
  error_code ec;
  std::string text;
  std::size_t tries = 0;
  sim::clock::time_point when;
};

void check_account(const dgram::exchanger_statistics& counts)
{
  CHECK(counts.begun == counts.answered + counts.timed_out + counts.refused + counts.failed +
                            counts.cancelled + counts.outstanding);
  CHECK(counts.received == counts.answered + counts.unread + counts.strays + counts.duplicates +
                               counts.late + counts.rejected);
}

/// A client and a server, which answers as a function says. The account is checked at the end of
/// each test.
struct scene {
  using answers = std::function<texts(std::string_view)>;

  explicit scene(dgram::exchanger_config config = {}, dgram::exchange_keys keys = two_bytes)
  {
    config.random = [this] { return net.random()(); };
    client.set_option(dgram::option::receive_error(true));
    exchanger.emplace(client, std::move(keys), std::move(config));
    listen();
  }

  ~scene()
  {
    if (exchanger) check_account(exchanger->statistics());
  }
  scene(const scene&) = delete;
  scene& operator=(const scene&) = delete;

  void listen()
  {
    reader->async_for_each(
        [this](const dgram::datagram& request) {
          requests.emplace_back(request.payload().text());
          asked_at.push_back(sim::clock::now());
          for (const std::string& each : reply(request.payload().text()))
            server.send_to(asio::buffer(each), request.sender());
        },
        [](error_code) {});
  }

  /// The result comes when the network runs.
  std::shared_ptr<std::optional<result>> ask(std::string_view text,
                                             std::optional<dgram::retry_policy> policy = {})
  {
    auto told = std::make_shared<std::optional<result>>();
    auto handler = [told](error_code ec, answer got) {
      REQUIRE_FALSE(*told);
      CHECK(static_cast<bool>(got) == !ec);
      told->emplace(result{ec, std::string(got.payload().text()), got.tries(), sim::clock::now()});
    };
    if (policy)
      exchanger->async_exchange(text, to, *policy, handler);
    else
      exchanger->async_exchange(text, to, handler);
    return told;
  }

  void run(sim::clock::duration time = 1s) { net.run_for(time); }

  dgram::exchanger_statistics counts() const { return exchanger->statistics(); }

  asio::io_context io;
  sim::network net{io, {.seed = 7, .delay = 1ms}};
  sim::socket server{net, {"10.0.0.1", 53}};
  sim::socket client{net, {"10.0.0.2", 0}};
  dgram::udp::endpoint to = server.local_endpoint();
  answers reply = [](std::string_view request) { return texts{std::string(request) + "!"}; };
  texts requests;
  std::vector<sim::clock::time_point> asked_at;
  std::optional<
      dgram::reader<dgram::udp, asio::any_io_executor, asio::any_io_executor, sim::socket_handle>>
      reader{std::in_place, server};
  std::optional<exchanger_type> exchanger;
};

}  // namespace

TEST_CASE("an exchange returns the answer of the peer that was asked, and how often it was asked")
{
  scene s;
  const auto told = s.ask("aa hello");
  CHECK_FALSE(*told);
  s.run();
  REQUIRE(*told);
  CHECK_FALSE((*told)->ec);
  CHECK((*told)->text == "aa hello!");
  CHECK((*told)->tries == 1);
  CHECK(s.counts().answered == 1);
  CHECK(s.exchanger->outstanding() == 0);
}

namespace {

/// Sends from another place to the exchanger's port.
void forge(scene& s, std::string_view text, const char* from = "10.0.0.3")
{
  sim::socket other{s.net, {from, 0}};
  other.send_to(asio::buffer(text.data(), text.size()), s.client.local_endpoint());
}

std::int64_t milliseconds(sim::clock::duration time)
{
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

constexpr dgram::retry_policy plain{
    .first_wait = 1s, .tries = 4, .backoff = 2.0, .longest_wait = 60s, .jitter = 0};

dgram::retry_policy with_tries(std::size_t tries)
{
  dgram::retry_policy policy = plain;
  policy.tries = tries;
  return policy;
}

texts nothing(std::string_view)
{
  return {};
}

}  // namespace

TEST_CASE("an answer counts only from the peer that was asked and with the request's key")
{
  scene s;
  s.reply = nothing;
  const auto told = s.ask("aa hello");
  s.run(10ms);
  forge(s, "aa forged");
  forge(s, "aa forged", "10.0.0.1");  // another port of the same host
  s.server.send_to(asio::buffer("ab", 2), s.client.local_endpoint());
  s.server.send_to(asio::buffer("a", 1), s.client.local_endpoint());
  s.run(10ms);
  CHECK_FALSE(*told);
  CHECK(s.counts().strays == 4);
  s.server.send_to(asio::buffer("aa right", 8), s.client.local_endpoint());
  s.run(10ms);
  REQUIRE(*told);
  CHECK((*told)->text == "aa right");
}

TEST_CASE("a request is repeated after each wait, never before, and then the exchange times out")
{
  scene s;
  s.reply = nothing;
  const auto begin = s.net.now();
  const auto told = s.ask("aa", plain);
  s.run(20s);
  REQUIRE(*told);
  CHECK((*told)->ec == timed_out);
  REQUIRE(s.asked_at.size() == 4);
  const std::vector<int> expected{0, 1000, 3000, 7000};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto after = milliseconds(s.asked_at[i] - begin) - 1;  // the way takes 1 ms
    CHECK(after >= expected[i]);
    CHECK(after <= expected[i] + 1 + 2 * static_cast<int>(i));
  }
  CHECK(milliseconds((*told)->when - begin) >= 15000);
  CHECK(milliseconds((*told)->when - begin) <= 15008);
  CHECK(s.counts().sent_again == 3);
  CHECK(s.counts().timed_out == 1);
}

TEST_CASE("waits grow to the longest one, the deadline cuts them, and one try is no repetition")
{
  scene s;
  s.reply = nothing;
  const auto begin = s.net.now();
  const auto capped = s.ask(
      "aa", dgram::retry_policy{
                .first_wait = 1s, .tries = 4, .backoff = 10, .longest_wait = 2s, .jitter = 0});
  const auto cut =
      s.ask("bb", dgram::retry_policy{.first_wait = 1s, .jitter = 0, .deadline = 2500ms});
  const auto once = s.ask("cc", with_tries(1));
  s.run(60s);
  CHECK(milliseconds((*capped)->when - begin) / 10 == 700);
  CHECK(milliseconds((*cut)->when - begin) / 10 == 250);
  CHECK(milliseconds((*once)->when - begin) / 10 == 100);
  CHECK((*cut)->ec == timed_out);
  CHECK(s.requests.size() == 4 + 2 + 1);
}

TEST_CASE("jitter makes waits longer by up to its part, and not all by the same")
{
  scene s;
  s.reply = nothing;
  std::vector<std::shared_ptr<std::optional<result>>> all;
  const auto begin = s.net.now();
  for (int i = 0; i < 50; ++i)
    all.push_back(s.ask(std::string{'j', static_cast<char>(i)},
                        dgram::retry_policy{.first_wait = 1s, .tries = 1, .jitter = 0.5}));
  s.run(5s);
  std::set<std::int64_t> times;
  for (const auto& each : all) {
    REQUIRE(*each);
    const auto time = milliseconds((*each)->when - begin);
    CHECK(time >= 1000);
    CHECK(time <= 1502);
    times.insert(time);
  }
  CHECK(times.size() > 25);
}

TEST_CASE("an answer to an earlier try is the answer, and further ones are duplicates")
{
  scene s;
  s.net.set_links({.delay = 700ms});
  const auto told = s.ask("aa", plain);
  s.run(10s);
  REQUIRE(*told);
  CHECK_FALSE((*told)->ec);
  CHECK((*told)->tries == 2);
  const auto other = s.ask("bb", plain);  // while nothing waits, nothing is received
  s.run(10s);
  CHECK((*other)->tries == 2);
  CHECK(s.counts().duplicates == 1);
}

TEST_CASE("answers of ended exchanges are late, until they are forgotten")
{
  scene s({.remember_for = 5s});
  s.reply = nothing;
  std::vector<std::pair<unmatched, std::string>> seen;
  s.exchanger->on_unmatched([&](const dgram::datagram& received, unmatched why) {
    seen.emplace_back(why, received.payload().text());
  });
  const auto told = s.ask("aa", with_tries(1));
  s.run(2s);
  CHECK((*told)->ec == timed_out);
  const auto answer_now = [&] {
    s.server.send_to(asio::buffer("aa late", 7), s.client.local_endpoint());
    s.run(100ms);
  };
  answer_now();
  s.run(5s);
  answer_now();
  CHECK(seen == std::vector<std::pair<unmatched, std::string>>{{unmatched::late, "aa late"},
                                                               {unmatched::stray, "aa late"}});
  s.exchanger->on_unmatched({});
  answer_now();
  CHECK(seen.size() == 2);
}

TEST_CASE("no more ended exchanges are remembered than the limit says")
{
  const std::size_t most = GENERATE(0U, 1U, 3U);
  scene s({.max_remembered = most});
  for (const char* each : {"aa", "bb", "cc", "dd", "ee"})
    s.ask(each);
  s.run(100ms);
  CHECK(s.counts().answered == 5);
  s.reply = nothing;
  s.ask("zz", with_tries(1));
  for (const char* each : {"aa!", "bb!", "cc!", "dd!", "ee!"})
    s.server.send_to(asio::buffer(each, 3), s.client.local_endpoint());
  s.run(100ms);
  CHECK(s.counts().duplicates == most);
  CHECK(s.counts().strays == 5 - most);
}

TEST_CASE("a peer without a socket ends its exchanges at once, and no others")
{
  scene s;
  s.reply = nothing;
  const auto begin = s.net.now();
  std::vector<result> ends;
  for (int i = 0; i < 20; ++i)
    s.exchanger->async_exchange(
        std::string{'d', static_cast<char>(i)},
        {s.to.address(), static_cast<std::uint16_t>(1000 + i % 2)},
        [&](error_code ec, answer) { ends.push_back({ec, {}, 0, sim::clock::now()}); });
  const auto alive = s.ask("aa", plain);
  s.run(100ms);
  REQUIRE(ends.size() == 20);
  for (const result& each : ends) {
    CHECK(each.ec == refused);
    CHECK(milliseconds(each.when - begin) < 10);
  }
  CHECK(s.counts().refused == 20);
  CHECK_FALSE(*alive);
}

TEST_CASE("a report that quotes another request than the one that waits ends nothing")
{
  scene s;
  const dgram::udp::endpoint dead(s.to.address(), 1000);
  asio::cancellation_signal signal;
  s.exchanger->async_exchange(
      "aa first", dead, asio::bind_cancellation_slot(signal.slot(), [](error_code, answer) {}));
  s.run(1ms);
  signal.emit(asio::cancellation_type::terminal);
  s.net.partition({"10.0.0.1"}, {"10.0.0.2"});  // the second request does not arrive
  std::optional<error_code> told;
  s.exchanger->async_exchange("aa second", dead, with_tries(1),
                              [&](error_code ec, answer) { told = ec; });
  s.run(500ms);
  CHECK_FALSE(told);
  CHECK(s.counts().path_errors + s.net.counters().partitioned >= 1);
  s.run(10s);
  CHECK(told == timed_out);
}

TEST_CASE("terminal and partial cancellation end one exchange; total only before it was sent")
{
  scene s;
  s.reply = nothing;
  const auto type = GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                             asio::cancellation_type::total);
  const bool is_sent = GENERATE(true, false);
  if (!is_sent) s.net.pause("10.0.0.2");
  asio::cancellation_signal signal;
  std::optional<error_code> told;
  // Larger than the rest of the queue after the first one.
  const std::string filler(65000, 'f');
  std::vector<std::shared_ptr<std::optional<result>>> others;
  if (!is_sent)
    for (char i = 0; i < 4; ++i)
      others.push_back(s.ask(std::string{'o', i} + filler));
  const std::string request = "aa" + filler;
  s.exchanger->async_exchange(
      is_sent ? std::string_view("aa") : std::string_view(request), s.to,
      asio::bind_cancellation_slot(signal.slot(), [&](error_code ec, answer) { told = ec; }));
  const auto other = s.ask("bb");
  s.run(10ms);
  CHECK((s.counts().postponed > 0) == !is_sent);
  signal.emit(type);
  CHECK_FALSE(told);
  s.run(10ms);
  const bool ends = type != asio::cancellation_type::total || !is_sent;
  CHECK(told.has_value() == ends);
  if (ends) CHECK(told == aborted);
  CHECK_FALSE(*other);
  s.exchanger->cancel();
  s.run(10ms);
  CHECK(told == aborted);
  CHECK((*other)->ec == aborted);
  signal.emit(type);
  s.run(10ms);
}

TEST_CASE("what a handler throws leaves the context, and the other answers of the batch arrive")
{
  scene s;
  int answered = 0;
  for (char i = 0; i < 5; ++i)
    s.exchanger->async_exchange(std::string{'t', i}, s.to, [&, i](error_code ec, answer) {
      CHECK_FALSE(ec);
      ++answered;
      if (i == 1 || i == 3) throw std::runtime_error("thrown");
    });
  int thrown = 0;
  for (int i = 0; i < 4; ++i)
    try {
      s.run(100ms);
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  CHECK(answered == 5);
  CHECK(thrown == 2);
  const auto after = s.ask("aa");
  s.run(100ms);
  CHECK_FALSE((*after)->ec);
}

TEST_CASE("a key is exclusive while its exchange waits, for each peer")
{
  scene s;
  s.reply = nothing;
  sim::socket elsewhere{s.net, {"10.0.0.9", 53}};
  const auto first = s.ask("aa first");
  const auto second = s.ask("aa second");
  s.exchanger->async_exchange("aa third", elsewhere.local_endpoint(), [](error_code, answer) {});
  s.run(10ms);
  CHECK_FALSE(*first);
  REQUIRE(*second);
  CHECK((*second)->ec == started);
  CHECK(s.exchanger->outstanding() == 2);
  CHECK(s.counts().not_begun == 1);
  s.exchanger->cancel();
  s.reply = [](std::string_view) { return texts{"aa!"}; };
  const auto again = s.ask("aa again");
  s.run(10ms);
  CHECK((*again)->text == "aa!");
}

TEST_CASE("a request without a key and a wrong policy are refused, and the text names the number")
{
  scene s;
  const auto without = s.ask("a");
  const auto policy = s.ask("aa", with_tries(0));
  s.run(10ms);
  CHECK((*without)->ec == asio::error::invalid_argument);
  CHECK((*policy)->ec == dgram::error::out_of_range);
  CHECK(s.counts().not_begun == 2);

  const auto refuses = [&](const dgram::exchanger_config& config, const char* text) {
    CHECK_THROWS_WITH(exchanger_type(s.client, two_bytes, config),
                      Catch::Matchers::ContainsSubstring(text));
  };
  const double no_number = std::numeric_limits<double>::quiet_NaN();
  refuses({.retry = {.first_wait = 0s}}, "retry.first_wait: 0 ns");
  refuses({.retry = {.tries = 65536}}, "retry.tries: 65536; allowed are 1 to 65535");
  refuses({.retry = {.backoff = 0.5}}, "retry.backoff");
  refuses({.retry = {.backoff = no_number}}, "retry.backoff");
  refuses({.retry = {.longest_wait = -1s}}, "retry.longest_wait");
  refuses({.retry = {.jitter = 1.5}}, "retry.jitter");
  refuses({.retry = {.deadline = -1s}}, "retry.deadline");
  refuses({.max_outstanding = 0}, "max_outstanding: 0");
  refuses({.max_request_bytes = 0}, "max_request_bytes: 0");
  refuses({.max_answer_bytes = 0}, "max_answer_bytes: 0");
  refuses({.remember_for = -1s}, "remember_for");
  refuses({.slots = 0}, "slots: 0");
  CHECK_THROWS_WITH(exchanger_type(s.client, dgram::same_bytes{0, 33}),
                    Catch::Matchers::ContainsSubstring("33; allowed are 1 to 32"));
  sim::socket connected{s.net, {"10.0.0.2", 0}};
  connected.connect(s.to);
  CHECK_THROWS_WITH(exchanger_type(connected, two_bytes),
                    Catch::Matchers::ContainsSubstring("is connected"));
  std::vector<sim::socket> none;
  CHECK_THROWS_WITH(dgram::exchanger(none, two_bytes),
                    Catch::Matchers::ContainsSubstring("0 sockets"));
}

TEST_CASE("what receives from a socket keeps an exchanger away, and the other way round")
{
  scene s;
  const auto refusal = [](auto make) {
    try {
      make();
    } catch (const dgram::system_error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(refusal([&] { exchanger_type(s.client, two_bytes); }),
             ContainsSubstring("an exchanger receives"));
  CHECK_THAT(refusal([&] { dgram::reader(s.client).stop(); }),
             ContainsSubstring("an exchanger receives"));
  CHECK_THAT(refusal([&] { dgram::listener(s.client).stop(); }),
             ContainsSubstring("an exchanger receives"));
  CHECK_THAT(refusal([&] { exchanger_type(s.server, two_bytes); }),
             ContainsSubstring("the socket has a reader"));
  // What is refused, or has ended, leaves the socket to others.
  s.exchanger->close();
  std::vector<sim::socket> twice;
  twice.push_back(std::move(s.client));
  twice.push_back(std::move(s.server));
  CHECK_FALSE(refusal([&] { dgram::exchanger(twice, two_bytes); }).empty());
  {
    dgram::listener listener(twice.front());
    CHECK_THAT(refusal([&] { exchanger_type(twice.front(), two_bytes); }),
               ContainsSubstring("a listener receives"));
  }
  exchanger_type(twice.front(), two_bytes);
  CHECK(refusal([&] { dgram::reader(twice.front()).stop(); }).empty());
}

TEST_CASE("each limit refuses the exchange beyond it, and there is room again later")
{
  SECTION("outstanding")
  {
    scene s({.max_outstanding = 2});
    s.ask("aa");
    s.ask("bb");
    const auto beyond = s.ask("cc");
    s.run(100ms);
    CHECK((*beyond)->ec == dgram::error::too_many_exchanges);
    CHECK((*beyond)->ec == std::errc::no_buffer_space);
    const auto later = s.ask("dd");
    s.run(100ms);
    CHECK_FALSE((*later)->ec);
  }
  SECTION("request bytes")
  {
    scene s({.max_request_bytes = 4096});
    s.ask("aa" + std::string(2000, 'x'));
    s.ask("bb" + std::string(2000, 'x'));
    const auto beyond = s.ask("cc");
    s.run(100ms);
    CHECK((*beyond)->ec == dgram::error::too_many_exchanges);
    const auto later = s.ask("dd");
    s.run(100ms);
    CHECK_FALSE((*later)->ec);
  }
  SECTION("answer bytes")
  {
    scene s({.max_answer_bytes = 1024});
    s.reply = [](std::string_view request) {
      return texts{std::string(request) + std::string(300, 'x')};
    };
    std::vector<answer> kept;
    std::vector<error_code> ends;
    const auto ask = [&](std::string_view text) {
      s.exchanger->async_exchange(text, s.to, [&](error_code ec, answer got) {
        ends.push_back(ec);
        kept.push_back(std::move(got));
      });
      s.run(100ms);
    };
    ask("aa");
    ask("bb");
    kept.clear();
    ask("cc");
    CHECK(ends == std::vector<error_code>{{}, asio::error::no_buffer_space, {}});
    CHECK(s.counts().unread == 1);
    CHECK(s.counts().failed == 1);
  }
}

TEST_CASE("a send that can never succeed ends its exchange at once")
{
  scene s;
  s.net.set_links({.delay = 1ms, .mtu = 1000});
  const auto large = s.ask("aa" + std::string(2000, 'x'));
  const auto too_large = s.ask("bb" + std::string(300'000, 'x'));
  const auto small = s.ask("cc");
  s.run(100ms);
  CHECK((*large)->ec == asio::error::message_size);
  CHECK((*too_large)->ec == asio::error::message_size);
  CHECK_FALSE((*small)->ec);
  CHECK(s.counts().failed == 2);
}

TEST_CASE("a request that finds no room is sent later, and its exchange ends in any case")
{
  scene s({.queue = {.datagrams = 1}});
  s.net.pause("10.0.0.2");
  const auto first = s.ask("aa", plain);
  const auto second = s.ask("bb", plain);
  s.run(500ms);
  CHECK(s.counts().postponed > 0);
  SECTION("room comes")
  {
    s.net.resume("10.0.0.2");
    s.run(500ms);
    REQUIRE(*second);
    CHECK((*second)->text == "bb!");
    CHECK((*second)->tries == 1);
    CHECK((*first)->text == "aa!");
  }
  SECTION("no room comes")
  {
    s.run(60s);
    REQUIRE(*second);
    CHECK((*second)->ec == timed_out);
    CHECK((*first)->ec == timed_out);
  }
}

TEST_CASE("unused keys are random, and of the size that the program asks for")
{
  scene s({.remember_for = 5s});
  std::set<std::uint16_t> drawn;
  for (int i = 0; i < 100; ++i)
    drawn.insert(s.exchanger->unused_id<std::uint16_t>(s.to));
  CHECK(drawn.size() > 90);
  CHECK(s.exchanger->unused_id<std::uint64_t>(s.to) >> 32U != 0);
  const dgram::session_key long_key = s.exchanger->unused_key(s.to, 32);
  CHECK(long_key.size() == 32);
  CHECK(long_key != s.exchanger->unused_key(s.to, 32));
  CHECK_THROWS_AS(s.exchanger->unused_key(s.to, 0), dgram::system_error);
  CHECK_THROWS_AS(s.exchanger->unused_key(s.to, 33), dgram::system_error);
}

TEST_CASE("unused keys are of no exchange with the peer, waiting or remembered, until none is left")
{
  scene one({.remember_for = 5s}, dgram::same_bytes{0, 1});
  one.reply = nothing;
  std::set<std::uint8_t> all;
  for (int i = 0; i < 256; ++i) {
    const auto id = one.exchanger->unused_id<std::uint8_t>(one.to);
    all.insert(id);
    one.ask(std::string(1, static_cast<char>(id)), with_tries(1));
  }
  CHECK(all.size() == 256);
  error_code ec;
  CHECK_FALSE(one.exchanger->unused_key(one.to, 1, ec).is_usable());
  CHECK(ec == dgram::error::too_many_exchanges);
  CHECK(one.exchanger->unused_key({one.to.address(), 54}, 1, ec).is_usable());
  one.run(2s);
  CHECK(one.exchanger->outstanding() == 0);
  CHECK_FALSE(one.exchanger->unused_key(one.to, 1, ec).is_usable());  // remembered
  one.run(5s);
  CHECK(one.exchanger->unused_key(one.to, 1, ec).is_usable());
}

TEST_CASE("random numbers that repeat themselves give no key twice")
{
  asio::io_context io;
  sim::network net{io};
  sim::socket client{net, {"10.0.0.2", 0}};
  const dgram::udp::endpoint to(asio::ip::make_address("10.0.0.1"), 53);
  const std::size_t size = GENERATE(2U, 3U);
  dgram::exchanger exchanger(client, dgram::same_bytes{0, size},
                             {.random = [] { return std::uint64_t{7}; }});
  error_code ec;
  const dgram::session_key first = exchanger.unused_key(to, size, ec);
  REQUIRE(first.is_usable());
  exchanger.async_exchange(std::string("\7\0\0", size), to, [](error_code, const answer&) {});
  const dgram::session_key second = exchanger.unused_key(to, size, ec);
  CHECK(second != first);
  // All keys of two bytes are tried. There are too many of three.
  CHECK(second.is_usable() == (size == 2));
  CHECK(ec == (size == 2 ? error_code() : error_code(dgram::error::too_many_exchanges)));
}

TEST_CASE("a remade request that is larger than the room for requests ends its exchange")
{
  scene s({.max_request_bytes = 4096});
  s.reply = nothing;
  const std::string large(5000, 'x');
  s.exchanger->on_remake(
      [&](dgram::bytes_view, const auto&, std::size_t) { return dgram::bytes_view(large); });
  const auto told = s.ask("aa", plain);
  s.run(2s);
  REQUIRE(*told);
  CHECK((*told)->ec == dgram::error::too_many_exchanges);
  CHECK(s.requests == texts{"aa"});
}

TEST_CASE("an answer that never came has no payload and no sender")
{
  const answer none;
  CHECK_FALSE(none);
  CHECK(none.payload().empty());
  CHECK(none.sender() == dgram::udp::endpoint());
}

TEST_CASE("a socket that is connected later exchanges nothing")
{
  scene s;
  s.client.connect(s.to);
  const auto told = s.ask("aa");
  s.run(10ms);
  REQUIRE(*told);
  CHECK((*told)->ec == asio::error::already_connected);
  CHECK(s.counts().not_begun == 1);
  CHECK(s.requests.empty());
}

#if DGRAM_HAS_UNIX_DATAGRAMS
TEST_CASE("a Unix peer without a name can be asked nothing, and the text says why")
{
  asio::io_context io;
  const test::temporary_directory directory;
  dgram::unix_dgram::socket client(io, directory / "client");
  dgram::exchanger exchanger(client, two_bytes);
  const dgram::unix_dgram::endpoint unnamed;
  error_code ec;
  CHECK_FALSE(exchanger.unused_key(unnamed, 2, ec).is_usable());
  CHECK(ec == asio::error::invalid_argument);
  std::string text;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        try {
          co_await exchanger.exchange("aa", unnamed);
        } catch (const dgram::system_error& refusal) {
          ec = refusal.code();
          text = refusal.what();
        }
      },
      asio::detached);
  io.run();
  CHECK(ec == asio::error::invalid_argument);
  CHECK_THAT(text, Catch::Matchers::ContainsSubstring("the peer has no name"));
}
#endif

TEST_CASE("the id of a number is in the order of networks")
{
  scene s({}, dgram::same_bytes{0, 2});
  s.reply = nothing;
  const auto id = s.exchanger->unused_id<std::uint16_t>(s.to);
  s.ask(std::string{static_cast<char>(id >> 8U), static_cast<char>(id & 0xFFU)});
  // All others are still free, and this one is not.
  for (int i = 0; i < 1000; ++i)
    REQUIRE(s.exchanger->unused_id<std::uint16_t>(s.to) != id);
}

TEST_CASE("the id may be at another position of the answer, or be found by functions")
{
  SECTION("another position")
  {
    scene s({}, dgram::same_bytes{.offset = 4, .size = 2, .offset_in_answer = 1});
    s.reply = [](std::string_view request) {
      return texts{"." + std::string(request.substr(4, 2)) + " yes"};
    };
    const auto told = s.ask("ask aa");
    s.run(10ms);
    CHECK((*told)->text == ".aa yes");
  }
  SECTION("two functions, one for requests and one for answers")
  {
    scene s({}, {[](dgram::bytes_view bytes) { return dgram::session_key::at(bytes, 0, 2); },
                 [](dgram::bytes_view bytes) { return dgram::session_key::at(bytes, 1, 2); }});
    s.reply = [](std::string_view request) {
      return texts{std::string(request), "." + std::string(request)};
    };
    const auto told = s.ask("aa ");
    s.run(10ms);
    CHECK((*told)->text == ".aa ");
    CHECK(s.counts().strays == 1);
  }
  SECTION("one function, which may throw")
  {
    scene s({}, [](dgram::bytes_view bytes) {
      if (bytes.text() == "aa?") throw std::runtime_error("malformed");
      return dgram::session_key::at(bytes, 0, 2);
    });
    s.reply = [](std::string_view) { return texts{"aa?", "aa."}; };
    CHECK_THROWS_AS(s.ask("aa?"), std::runtime_error);
    const auto told = s.ask("aa ");
    CHECK_THROWS_AS(s.run(10ms), std::runtime_error);
    s.run(10ms);
    CHECK((*told)->text == "aa.");
    CHECK(s.counts().strays == 1);
  }
}

TEST_CASE("the program may refuse an answer, and the exchange waits on")
{
  scene s;
  s.reply = [](std::string_view) { return texts{"aa wrong", "aa throw", "aa right"}; };
  s.exchanger->on_check([](dgram::bytes_view request, const dgram::datagram& received) {
    CHECK(request.text() == "aa?");
    if (received.payload().text() == "aa throw") throw std::runtime_error("thrown");
    return received.payload().text() == "aa right";
  });
  const auto told = s.ask("aa?");
  CHECK_THROWS_AS(s.run(10ms), std::runtime_error);
  s.run(10ms);
  REQUIRE(*told);
  CHECK((*told)->text == "aa right");
  CHECK(s.counts().rejected == 2);
}

TEST_CASE("an exchange that the check cancels has no answer")
{
  scene s;
  s.exchanger->on_check([&](dgram::bytes_view, const dgram::datagram&) {
    s.exchanger->cancel();
    return true;
  });
  const auto told = s.ask("aa?");
  s.run(10ms);
  CHECK((*told)->ec == aborted);
  CHECK(s.counts().late == 1);
}

TEST_CASE("the program may make other bytes for each try, with another key")
{
  scene s;
  s.reply = [&](std::string_view request) {
    return s.requests.size() < 3 ? texts{} : texts{"aa old", std::string(request) + "!"};
  };
  std::string made;
  std::vector<std::pair<std::string, std::size_t>> before;
  SECTION("the answer to the new bytes is the answer")
  {
    s.exchanger->on_remake([&](dgram::bytes_view last, const auto& peer, std::size_t tries) {
      CHECK(peer == s.to);
      before.emplace_back(last.text(), tries);
      made = std::string(1, static_cast<char>('a' + tries)) + "x" + std::string(500 * tries, '.');
      return dgram::bytes_view(made);
    });
    const auto told = s.ask("aa", plain);
    s.run(20s);
    CHECK((*told)->text == made + "!");
    CHECK((*told)->tries == 3);
    CHECK(before.size() == 2);
    CHECK(before[0] == std::pair<std::string, std::size_t>("aa", 1));
    CHECK(before[1].second == 2);
    CHECK(s.counts().strays == 1);
    CHECK(s.requests == texts{"aa", "bx" + std::string(500, '.'), "cx" + std::string(1000, '.')});
  }
  SECTION("a part of the old bytes")
  {
    s.exchanger->on_remake([&](dgram::bytes_view last, const auto&, std::size_t) {
      return dgram::bytes_view(last.data() + 1, last.size() - 1);
    });
    const auto told = s.ask("abcdef", plain);
    s.run(20s);
    CHECK(s.requests == texts{"abcdef", "bcdef", "cdef"});
    CHECK((*told)->text == "cdef!");
  }
  SECTION("the key of another exchange, and no key")
  {
    const auto other = s.ask("zz", with_tries(1));
    made = GENERATE("zz again", "z");
    s.exchanger->on_remake(
        [&](dgram::bytes_view, const auto&, std::size_t) { return dgram::bytes_view(made); });
    const auto told = s.ask("aa", dgram::retry_policy{.first_wait = 500ms, .jitter = 0});
    s.run(900ms);
    REQUIRE(*told);
    CHECK((*told)->ec == (made == "z" ? error_code(asio::error::invalid_argument) : started));
    CHECK_FALSE(*other);
  }
  SECTION("the key of an exchange that has ended and is remembered")
  {
    const auto ended = s.ask("zz", with_tries(1));
    made = "zz again";
    s.exchanger->on_remake(
        [&](dgram::bytes_view, const auto&, std::size_t) { return dgram::bytes_view(made); });
    s.run(3s);
    REQUIRE((*ended)->ec == timed_out);
    const auto told = s.ask("aa", dgram::retry_policy{.first_wait = 500ms, .jitter = 0});
    s.run(2s);
    REQUIRE(*told);
    CHECK((*told)->text == "zz again!");
    CHECK(s.counts().answered == 1);
  }
  SECTION("an exception, and the same bytes are sent")
  {
    s.exchanger->on_remake([&](dgram::bytes_view, const auto&, std::size_t) -> dgram::bytes_view {
      throw std::runtime_error("thrown");
    });
    const auto told = s.ask("aa", plain);
    CHECK_THROWS_AS(s.run(2s), std::runtime_error);
    s.run(100ms);
    CHECK(s.requests == texts{"aa", "aa"});
  }
  SECTION("the exchange is cancelled")
  {
    s.exchanger->on_remake([&](dgram::bytes_view last, const auto&, std::size_t) {
      s.exchanger->cancel();
      return last;
    });
    const auto told = s.ask("aa", plain);
    s.run(2s);
    CHECK((*told)->ec == aborted);
    CHECK(s.requests.size() == 1);
  }
}

namespace {

/// What a handler destroys or closes in the middle of a batch.
enum class end { exchanger, closed, socket, socket_closed, cancelled };

}  // namespace

TEST_CASE("the exchanger and its socket may be closed or destroyed by each function that they call")
{
  const auto how =
      GENERATE(end::exchanger, end::closed, end::socket, end::socket_closed, end::cancelled);
  const auto where = GENERATE(0, 1, 2, 3);
  CAPTURE(static_cast<int>(how), where);
  scene s;
  std::optional<sim::socket> socket(std::move(s.client));
  bool done = false;
  const auto finish = [&] {
    if (std::exchange(done, true)) return;
    check_account(s.counts());
    if (how == end::exchanger) s.exchanger.reset();
    if (how == end::closed) s.exchanger->close();
    if (how == end::socket) socket.reset();
    if (how == end::socket_closed) socket->close();
    if (how == end::cancelled) s.exchanger->cancel();
  };
  if (where == 0)
    s.exchanger->on_check([&](dgram::bytes_view, const dgram::datagram&) {
      finish();
      return true;
    });
  if (where == 1) s.exchanger->on_unmatched([&](const dgram::datagram&, unmatched) { finish(); });
  if (where == 2)
    s.exchanger->on_remake([&](dgram::bytes_view last, const auto&, std::size_t) {
      finish();
      return last;
    });
  s.reply = [&](std::string_view request) {
    if (where == 2 && request[0] != 'q') return texts{};
    return texts{std::string(request) + "!", "stray"};
  };
  std::vector<error_code> ends;
  for (char i = 0; i < 5; ++i)
    s.exchanger->async_exchange(std::string{'e', i}, s.to, plain, [&](error_code ec, answer got) {
      CHECK(static_cast<bool>(got) == !ec);
      ends.push_back(ec);
      if (where == 3) finish();
    });
  s.run(3s);
  CHECK(done);
  if (s.exchanger) s.exchanger->cancel();
  s.run(1s);
  CHECK(ends.size() == 5);
  if (s.exchanger && how == end::cancelled) {
    s.reply = [](std::string_view request) { return texts{std::string(request)}; };
    const auto after = s.ask("qq", plain);
    s.run(1s);
    CHECK((*after)->text == "qq");
  }
}

TEST_CASE("no exchange completes inside the call that starts, cancels or closes it")
{
  scene s;
  const auto refused_at_once = s.ask("a");
  const auto waits = s.ask("aa");
  CHECK_FALSE(*refused_at_once);
  s.exchanger->cancel();
  CHECK_FALSE(*waits);
  const auto another = s.ask("bb");
  s.exchanger->close();
  CHECK_FALSE(*another);
  const auto after_close = s.ask("cc");
  CHECK_FALSE(*after_close);
  s.run(10ms);
  CHECK((*waits)->ec == aborted);
  CHECK((*another)->ec == aborted);
  CHECK((*after_close)->ec == aborted);
  CHECK(s.exchanger->is_closed());
}

TEST_CASE("a cancelled or reopened socket ends its exchanges, and later ones are answered")
{
  scene s;
  s.reply = nothing;
  const bool reopens = GENERATE(false, true);
  const bool at_once = GENERATE(false, true);
  const auto before = s.ask("aa");
  s.run(10ms);
  if (reopens) {
    s.client.close();
    if (!at_once) {
      const auto closed = s.ask("cc");
      s.run(10ms);
      CHECK((*closed)->ec == asio::error::bad_descriptor);
    }
    s.client.open(dgram::udp::v4());
    s.client.bind({asio::ip::make_address("10.0.0.2"), 0});
  } else {
    s.client.cancel();
    if (!at_once) s.run(10ms);
  }
  s.reply = [](std::string_view request) { return texts{std::string(request)}; };
  const auto after = s.ask("bb", with_tries(1));
  s.run(2s);
  REQUIRE(*before);
  CHECK((*before)->ec == aborted);
  REQUIRE(*after);
  CHECK((*after)->text == "bb");
}

TEST_CASE("exchanger, socket and answers may be destroyed in any order")
{
  const int order = GENERATE(0, 1, 2, 3, 4, 5);
  scene s;
  std::optional<sim::socket> socket(std::move(s.client));
  std::optional<answer> kept;
  s.exchanger->async_exchange("aa", s.to, [&](error_code, answer got) { kept = std::move(got); });
  s.run(10ms);
  std::optional<error_code> told;
  s.reply = nothing;
  s.exchanger->async_exchange("bb", s.to, [&](error_code ec, answer) { told = ec; });
  s.run(10ms);
  REQUIRE(kept);
  const answer moved(std::move(*kept));
  CHECK_FALSE(static_cast<bool>(*kept));
  CHECK(kept->payload().empty());
  kept = answer();
  const auto end_one = [&](int which) {
    if (which == 0) s.exchanger.reset();
    if (which == 1) socket.reset();
    if (which == 2) s.run(10ms);
  };
  constexpr int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const int which : orders[order])
    end_one(which);
  s.run(10ms);
  CHECK(told == aborted);
  CHECK(moved.payload().text() == "aa!");
  CHECK(moved.sender() == s.to);
  CHECK(moved.datagram().sender() == s.to);
}

TEST_CASE("a context that is destroyed lets go of exchangers, and of coroutines that wait in them")
{
  const auto witness = std::make_shared<int>(0);
  bool called = false;
  {
    asio::io_context io;
    sim::network net{io, {.delay = 1ms}};
    auto socket = std::make_shared<sim::socket>(net, sim::location{"10.0.0.2", 0});
    auto exchanger = std::make_shared<exchanger_type>(*socket, two_bytes);
    const dgram::udp::endpoint to(asio::ip::make_address("10.0.0.1"), 53);
    exchanger->async_exchange(
        "aa", to, [&called, witness, exchanger, socket](error_code, answer) { called = true; });
    asio::co_spawn(
        io,
        [](std::shared_ptr<int> kept, std::shared_ptr<exchanger_type> on,
           dgram::udp::endpoint peer) -> asio::awaitable<void> {
          co_await on->exchange("bb", peer);
          ++*kept;
        }(witness, exchanger, to),
        asio::detached);
    net.run_for(100ms);
    CHECK(exchanger->outstanding() == 2);
    exchanger.reset();
    socket.reset();
  }
  CHECK_FALSE(called);
  CHECK(witness.use_count() == 1);
}

TEST_CASE("with several sockets, requests leave from all, and answers count on their own port only")
{
  scene s;
  std::vector<sim::socket> ports;
  for (int i = 0; i < 4; ++i)
    ports.emplace_back(s.net, sim::location{"10.0.0.2", 0});
  s.exchanger.reset();
  dgram::exchanger many{ports, two_bytes, {.random = [&] { return s.net.random()(); }}};
  std::set<std::uint16_t> used;
  int answered = 0;
  s.reader->stop();
  s.run(1ms);
  s.reader.emplace(s.server);
  s.reader->async_for_each(
      [&](const dgram::datagram& request) {
        used.insert(request.sender().port());
        for (const sim::socket& each : ports)
          if (each.is_open() && each.local_endpoint() != request.sender())
            s.server.send_to(asio::buffer("xx", 2), each.local_endpoint());
        for (const sim::socket& each : ports)
          if (each.is_open() && each.local_endpoint() != request.sender())
            s.server.send_to(asio::buffer(request.payload().data(), 2), each.local_endpoint());
        s.server.send_to(asio::buffer(request.payload().data(), 2), request.sender());
      },
      [](error_code) {});
  for (char i = 0; i < 60; ++i)
    many.async_exchange(std::string{'p', i}, s.to, [&](error_code ec, answer) {
      CHECK_FALSE(ec);
      ++answered;
    });
  s.run(100ms);
  CHECK(answered == 60);
  CHECK(used.size() == 4);
  CHECK(many.statistics().strays > 0);
  check_account(many.statistics());
  ports[2].close();
  int failed = 0;
  for (char i = 0; i < 60; ++i)
    many.async_exchange(std::string{'r', i}, s.to, [&](error_code ec, answer) {
      if (ec) ++failed;
    });
  s.run(100ms);
  CHECK(failed > 0);
  CHECK(failed < 60);
  CHECK(many.outstanding() == 0);
}

TEST_CASE("coroutines get answers and errors in each form")
{
  scene s;
  bool done = false;
  asio::co_spawn(
      s.io,
      [](scene& on, bool& finished) -> asio::awaitable<void> {
        auto& client = *on.exchanger;
        const answer plainly = co_await client.exchange("aa", on.to);
        CHECK(plainly.payload().text() == "aa!");
        const answer once = co_await client.exchange("bb", on.to, {.tries = 1});
        CHECK(once.payload().text() == "bb!");
        error_code ec = aborted;
        const answer third = co_await client.exchange("cc", on.to, ec);
        CHECK_FALSE(ec);
        CHECK(third.payload().text() == "cc!");
        CHECK(plainly.payload().text() == "aa!");
        on.reply = nothing;
        const answer none = co_await client.exchange("dd", on.to, {.tries = 1}, ec);
        CHECK(ec == timed_out);
        CHECK_FALSE(static_cast<bool>(none));
        bool thrown = false;
        try {
          co_await client.exchange("a", on.to);
        } catch (const dgram::system_error& e) {
          thrown = e.code() == asio::error::invalid_argument;
          CHECK_THAT(e.what(), Catch::Matchers::ContainsSubstring(
                                   "(the request to 10.0.0.1:53 has no key: it is too short"));
        }
        CHECK(thrown);
        std::string text;
        try {
          co_await client.exchange("aa", {on.to.address(), 0});
        } catch (const dgram::system_error& e) {
          text = e.what();
        }
        CHECK_THAT(text, Catch::Matchers::ContainsSubstring("(the peer 10.0.0.1:0 has port 0)"));
        try {
          co_await client.exchange("aa", on.to, {.tries = 0});
        } catch (const dgram::system_error& e) {
          text = e.what();
        }
        CHECK_THAT(text, Catch::Matchers::ContainsSubstring("tries: 0; allowed are 1 to 65535"));
        finished = true;
      }(s, done),
      [](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
      });
  s.run(10s);
  CHECK(done);
}

TEST_CASE("ten thousand exchanges wait at the same time, and each gets its own answer")
{
  constexpr std::uint32_t many = 10'000;
  scene s({}, dgram::same_bytes{0, 4});
  s.net.set_links({.delay = 20ms, .loss = 0.05});
  error_code ec;
  s.server.set_receive_buffer_size(1 << 26, ec);
  s.client.set_receive_buffer_size(1 << 26, ec);
  std::vector<int> answered(many);
  for (std::uint32_t i = 0; i < many; ++i) {
    const std::string request(reinterpret_cast<const char*>(&i), sizeof i);
    s.exchanger->async_exchange(request, s.to, {.tries = 10},
                                [&, request, i](error_code failed, answer got) {
                                  if (!failed && got.payload().text() == request + "!")
                                    ++answered[i];
                                });
  }
  s.run(1ms);
  CHECK(s.exchanger->outstanding() == many);
  s.run(600s);
  CHECK(std::count(answered.begin(), answered.end(), 1) == many);
  CHECK(s.counts().sent_again > 500);
}

namespace {

/// Random requests, peers, losses and functions, by a seed.
void attempt(std::uint64_t seed)
{
  asio::io_context io;
  sim::network net{io, {.seed = seed, .delay = 2ms, .jitter = 5ms, .loss = 0.1, .duplicate = 0.1}};
  auto& random = net.random();
  std::vector<sim::socket> servers;
  for (int i = 0; i < 3; ++i)
    servers.emplace_back(net, sim::location{"10.0.0.1", 0});
  std::vector<std::unique_ptr<
      dgram::reader<dgram::udp, asio::any_io_executor, asio::any_io_executor, sim::socket_handle>>>
      readers;
  for (sim::socket& each : servers) {
    readers.push_back(
        std::make_unique<dgram::reader<dgram::udp, asio::any_io_executor, asio::any_io_executor,
                                       sim::socket_handle>>(each));
    readers.back()->async_for_each(
        [&](const dgram::datagram& request) {
          if (random.below(5) == 0) return;
          each.send_to(asio::buffer(request.payload().data(), request.payload().size()),
                       request.sender());
        },
        [](error_code) {});
  }
  std::vector<sim::socket> ports;
  for (std::uint64_t i = 0; i <= random.below(3); ++i) {
    ports.emplace_back(net, sim::location{"10.0.0.2", 0});
    ports.back().set_option(dgram::option::receive_error(random.below(2) == 0));
  }
  std::optional client(
      dgram::exchanger(ports, dgram::same_bytes{0, 1},
                       {.retry = {.first_wait = 10ms, .tries = 1 + random.below(4)},
                        .max_outstanding = 1 + random.below(40),
                        .max_request_bytes = 512 + random.below(4000),
                        .max_answer_bytes = 512 + random.below(4000),
                        .remember_for = std::chrono::milliseconds(random.below(100)),
                        .max_remembered = random.below(20),
                        .random = [&] { return random(); },
                        .slots = 1 + random.below(8),
                        .queue = {.datagrams = 1 + random.below(8)}}));
  std::vector<answer> kept;
  std::vector<std::unique_ptr<asio::cancellation_signal>> signals;
  int pending = 0;
  if (random.below(2) == 0)
    client->on_unmatched([&](const dgram::datagram&, unmatched) {
      if (random.below(50) == 0) client->cancel();
    });
  if (random.below(2) == 0)
    client->on_remake([&](dgram::bytes_view last, const auto&, std::size_t) {
      if (random.below(20) == 0) client->cancel();
      return last;
    });
  const auto ask = [&] {
    const std::string request(1 + random.below(200), static_cast<char>(random.below(60)));
    const std::uint64_t which = random.below(servers.size() + 1);
    const dgram::udp::endpoint to =
        which < servers.size() ? servers[which].local_endpoint()
                               : dgram::udp::endpoint(servers[0].local_endpoint().address(), 9);
    ++pending;
    signals.push_back(std::make_unique<asio::cancellation_signal>());
    client->async_exchange(
        request, to,
        asio::bind_cancellation_slot(
            signals.back()->slot(),
            [&, request, to, called = std::make_shared<bool>(false)](error_code ec, answer got) {
              if (std::exchange(*called, true)) throw std::runtime_error("completed twice");
              // A key that is used again may find the answer to the earlier request.
              if (!ec && (got.payload().text()[0] != request[0] || got.sender() != to))
                throw std::runtime_error("the answer of another exchange");
              --pending;
              if (random.below(3) == 0) kept.push_back(std::move(got));
              if (random.below(20) == 0) kept.clear();
              if (client && random.below(100) == 0) client->cancel();
            }));
  };
  for (int step = 0; step < 100; ++step) {
    for (std::uint64_t left = random.below(6); left > 0; --left)
      ask();
    if (!signals.empty() && random.below(3) == 0)
      signals[random.below(signals.size())]->emit(random.below(2) == 0
                                                      ? asio::cancellation_type::terminal
                                                      : asio::cancellation_type::total);
    if (random.below(30) == 0) ports[random.below(ports.size())].cancel();
    net.run_for(std::chrono::milliseconds(random.below(15)));
    const auto counts = client->statistics();
    if (counts.begun != counts.answered + counts.timed_out + counts.refused + counts.failed +
                            counts.cancelled + counts.outstanding ||
        counts.received != counts.answered + counts.unread + counts.strays + counts.duplicates +
                               counts.late + counts.rejected)
      throw std::runtime_error("the account is wrong");
  }
  if (random.below(2) == 0) net.run_for(5s);
  client.reset();
  net.run_for(1s);
  if (pending != 0) throw std::runtime_error("an exchange never completed");
}

}  // namespace

TEST_CASE("on each seed, every exchange completes once, with its own answer or an error")
{
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    REQUIRE_NOTHROW(attempt(seed));
  }
}

}  // namespace exchanger_test
