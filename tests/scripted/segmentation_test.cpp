// SPDX-License-Identifier: BSL-1.0
// Runs of equal datagrams that the kernel refuses to cut apart: what leaves instead, once, and what is remembered.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace segmentation_test {

namespace {

using test::fail;
using test::offered_message;
using test::script;
using strings = std::vector<std::string>;

constexpr bool segments = dgram::platform::backend::max_segments > 1;

enum class form : std::uint8_t { try_form, blocking, async };

constexpr std::size_t run_size = 4;
constexpr std::size_t runs = 3;

/// `count` texts of equal size, which tell themselves apart.
strings equal(std::size_t count, char mark)
{
  strings texts;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    texts.push_back(mark + std::string(3 - number.size(), '0') + number);
  }
  return texts;
}

std::string join(const strings& texts)
{
  std::string all;
  for (const auto& text : texts)
    all += text;
  return all;
}

struct sender : test::scripted {
  dgram::send_result send(form how)
  {
    if (how == form::try_form) return socket.try_send_batch(batch);
    if (how == form::blocking) return socket.send_batch(batch);
    std::optional<dgram::send_result> result;
    socket.async_send_batch(batch, [&](dgram::error_code, dgram::send_result told) {
      CHECK_FALSE(result);
      result = told;
    });
    test::run(io);
    REQUIRE(result);
    return *result;
  }

  /// Sends one run to a peer and says whether it was offered as such.
  bool leaves_as_run(test::plain_peer& to)
  {
    const strings texts = equal(2, '?');
    dgram::send_batch two(2);
    test::push_all(two, texts, to.endpoint());
    script.offered.clear();
    CHECK(socket.try_send_batch(two).sent == 2);
    CHECK(to.received(2) == texts);
    return std::any_of(script.offered.begin(), script.offered.end(),
                       [](const auto& message) { return message.is_run(); });
  }

  /// The path to `peer` takes no runs.
  static void refuse_runs_to(const test::endpoint& peer, int error)
  {
    script.verdict = [peer, error](const offered_message& message, std::size_t) {
      return message.is_run() && message.peer == peer ? error : 0;
    };
  }

  static std::size_t runs_offered(const test::endpoint& peer)
  {
    return static_cast<std::size_t>(std::count_if(
        script.offered.begin(), script.offered.end(),
        [&](const auto& message) { return message.is_run() && message.peer == peer; }));
  }

  const std::string filler = std::string(100, 'x');
  asio::io_context io;
  std::deque<test::plain_peer> peers;
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::send_batch batch{64};
  dgram::error_code ec;
};

/// A run for each of several peers, and then one more for each.
struct many_runs : sender {
  many_runs()
  {
    for (std::size_t i = 0; i < runs; ++i)
      peers.emplace_back(io);
    for (const char round : {'a', 'b'})
      for (auto& peer : peers) {
        const strings texts = equal(run_size, round);
        storage.insert(storage.end(), texts.begin(), texts.end());
        for (auto text = storage.end() - run_size; text != storage.end(); ++text)
          batch.push(asio::buffer(*text), peer.endpoint());
      }
  }

  static strings expected()
  {
    strings texts = equal(run_size, 'a');
    const strings second = equal(run_size, 'b');
    texts.insert(texts.end(), second.begin(), second.end());
    return texts;
  }

  std::deque<std::string> storage;
  const std::size_t total = 2 * runs * run_size;
};

/// One run for one peer, in each of the ways that one comes about.
enum class source : std::uint8_t { pushes, buffer, replies, operation };

struct one_run : sender {
  static constexpr std::size_t count = 6;

  one_run() { peers.emplace_back(io); }

  test::plain_peer& peer() { return peers.front(); }

  /// Puts the texts into the batch.
  void push(source from)
  {
    if (from == source::pushes) {
      test::push_all(batch, texts, peer().endpoint());
    } else if (from == source::buffer) {
      batch.push_segments(whole, texts[0].size(), peer().endpoint());
    } else if (from == source::replies) {
      socket.set_option(dgram::option::coalescing(true), ec);
      // A run arrives as a train where the system has those, and is answered as one.
      received.emplace(count);
      peer().send_run(whole, texts[0].size(), socket.local_endpoint());
      socket.receive_batch(*received);
      REQUIRE(received->size() == count);
      batch.push_replies(*received);
    }
    REQUIRE(batch.size() == count);
  }

  const strings texts = equal(count, '#');
  const std::string whole = join(texts);
  std::optional<dgram::receive_batch> received;
};

source any_batch_source()
{
  return GENERATE(source::pushes, source::buffer, source::replies);
}

}  // namespace

TEST_CASE("only the backend for Linux has the kernel cut runs apart", "[segmentation]")
{
  CHECK(segments == test::batched_calls);
}

TEST_CASE_METHOD(many_runs, "runs leave as one message each, where the backend segments",
                 "[segmentation]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  CHECK(send(how).sent == total);
  for (auto& peer : peers) {
    CHECK(runs_offered(peer.endpoint()) == (segments ? 2 : 0));
    CHECK(peer.received(2 * run_size) == expected());
  }
  CHECK(script.taken.size() == (segments ? 2 * runs : total));
  CHECK(script.send().calls() == (segments ? 1 : total));
}

TEST_CASE_METHOD(many_runs,
                 "GSO-09 a refused run is sent one by one, and later ones to its peer likewise",
                 "[segmentation]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  const int error = GENERATE(EIO, EINVAL);
  const std::size_t refusing = GENERATE(range(std::size_t{0}, runs));
  CAPTURE(error, refusing);
  refuse_runs_to(peers[refusing].endpoint(), error);
  std::size_t reported = 0;
  const bool has_handler = GENERATE(false, true);
  if (has_handler) batch.on_refused([&](auto, const auto&, std::size_t) { ++reported; });

  const auto result = send(how);
  CHECK(result.sent == total);
  CHECK(result.refused == 0);
  CHECK(reported == 0);
  CHECK_FALSE(result.error);
  CHECK(batch.empty());
  for (std::size_t i = 0; i < runs; ++i)
    CHECK(peers[i].received(2 * run_size) == expected());
  if (!segments) return;

  // Each message was described anew after the refusal, the later run of that peer no longer as one.
  CHECK(script.taken.size() == 2 * (runs - 1) + 2 * run_size);
  std::size_t seen = 0;
  for (const auto& message : script.taken)
    if (message.is_run()) {
      CHECK(message.peer != peers[refusing].endpoint());
      CHECK(message.size == run_size * message.segment);
      ++seen;
    }
  CHECK(seen == 2 * (runs - 1));
  for (std::size_t i = 0; i < runs; ++i)
    CHECK(leaves_as_run(peers[i]) == (i != refusing));
}

TEST_CASE_METHOD(many_runs, "where every path refuses runs, all leave one by one", "[segmentation]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  const int error = GENERATE(EIO, EINVAL, EMSGSIZE);
  script.verdict = [=](const offered_message& message, std::size_t) {
    return message.is_run() ? error : 0;
  };
  const auto result = send(how);
  CHECK(result.sent == total);
  CHECK_FALSE(result.error);
  for (auto& peer : peers)
    CHECK(peer.received(2 * run_size) == expected());
  CHECK(script.taken.size() == total);
  for (auto& peer : peers)
    CHECK_FALSE(leaves_as_run(peer));
}

TEST_CASE_METHOD(sender, "a path that refuses large segments still gets small ones as a run",
                 "[segmentation][Q2]")
{
  if (!segments) SKIP("this backend does not segment");
  const int error = GENERATE(EINVAL, EMSGSIZE);
  constexpr std::size_t fits = 10;
  peers.emplace_back(io);
  script.verdict = [=](const offered_message& message, std::size_t) {
    return message.is_run() && message.segment > fits ? error : 0;
  };
  const auto refused = [&](std::size_t size) {
    script.offered.clear();
    for (int i = 0; i < 3; ++i)
      batch.push_segments(std::string_view(filler).substr(0, size), size / 3, peers[0].endpoint());
    CHECK(socket.try_send_batch(batch).sent == 9);
    CHECK(peers[0].received(9).size() == 9);
    return runs_offered(peers[0].endpoint());
  };
  const std::size_t before = script.send().calls();
  CHECK(refused(60) > 0);
  CHECK(script.send().calls() - before == 3);  // one fails, one finds out why, one sends the rest
  CHECK(refused(60) == 0);
  CHECK(refused(90) == 0);
  CHECK(leaves_as_run(peers[0]));
  CHECK(refused(36) > 0);
  CHECK(refused(36) == 0);
  CHECK(refused(60) == 0);
  CHECK(leaves_as_run(peers[0]));
}

TEST_CASE_METHOD(sender, "a path without segmentation gets no size as a run", "[segmentation][Q2]")
{
  if (!segments) SKIP("this backend does not segment");
  peers.emplace_back(io);
  refuse_runs_to(peers[0].endpoint(), EIO);
  batch.push_segments(std::string_view(filler).substr(0, 60), 20, peers[0].endpoint());
  CHECK(socket.try_send_batch(batch).sent == 3);
  CHECK(peers[0].received(3).size() == 3);
  CHECK_FALSE(leaves_as_run(peers[0]));
}

TEST_CASE_METHOD(one_run, "refused runs are remembered, whatever their datagrams ask for",
                 "[segmentation][Q2]")
{
  if (!segments) SKIP("this backend does not segment");
  const int error = GENERATE(EIO, EINVAL, EMSGSIZE);
  const auto from = GENERATE(source::pushes, source::buffer, source::operation);
  const dgram::send_options options =
      GENERATE(0, 1, 2) == 0
          ? dgram::send_options{}
          : dgram::send_options{.ecn = dgram::ecn_codepoint::ect_0, .hop_limit = 9};
  dgram::send_options in_segments = options;
  in_segments.segment_size = texts[0].size();
  refuse_runs_to(peer().endpoint(), error);
  for (int round = 0; round < 3; ++round) {
    script.offered.clear();
    if (from == source::operation) {
      socket.async_send_segments(whole, texts[0].size(), peer().endpoint(), options,
                                 [&](dgram::error_code failure, dgram::send_result told) {
                                   CHECK_FALSE(failure);
                                   CHECK(told.sent == count);
                                 });
      test::run(io);
    } else {
      if (from == source::buffer)
        batch.push(whole, peer().endpoint(), in_segments);
      else
        for (const auto& text : texts)
          batch.push(text, peer().endpoint(), options);
      CHECK(socket.try_send_batch(batch).sent == count);
    }
    CHECK(runs_offered(peer().endpoint()) == (round == 0 ? 1 : 0));
    CHECK(peer().received(count) == texts);
  }
}

TEST_CASE_METHOD(one_run, "a refusal that the single datagrams meet too says nothing of runs",
                 "[segmentation][Q2]")
{
  if (!segments) SKIP("this backend does not segment");
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  const int on_run = GENERATE(EIO, EINVAL, EMSGSIZE);
  const int on_single = GENERATE(EINVAL, EMSGSIZE, EACCES);
  std::size_t refused = 0;
  if (GENERATE(false, true)) batch.on_refused([&](auto&&...) { ++refused; });
  script.verdict = [=](const offered_message& message, std::size_t) {
    return message.is_run() ? on_run : on_single;
  };
  push(any_batch_source());
  CHECK(send(how).sent == 0);
  CHECK((refused == 0 || refused == count));
  script.verdict = nullptr;
  batch.clear();
  CHECK(leaves_as_run(peer()));
}

TEST_CASE_METHOD(sender, "a refused run is tried again after a while", "[segmentation][Q2]")
{
  if (!segments) SKIP("this backend does not segment");
  constexpr std::size_t each = 128;
  const test::endpoint silent = test::loopback_v4(9);
  const int error = GENERATE(EIO, EINVAL);
  std::size_t refused = 0;
  bool refuses = true;
  script.verdict = [&](const offered_message& message, std::size_t) {
    if (!message.is_run() || !refuses) return 0;
    ++refused;
    return error;
  };
  dgram::send_batch many(2 * each);
  const auto send_runs = [&] {
    for (std::size_t i = 0; i < each; ++i)
      many.push_segments(std::string_view(filler).substr(0, 20), 10, silent);
    while (!many.empty())
      socket.try_send_batch(many);
    script.offered.clear();
    script.taken.clear();
  };
  send_runs();
  CHECK(refused > 0);
  std::size_t runs_sent = 0;
  for (std::size_t tries = 0; tries < 2; ++tries) {
    refused = 0;
    for (runs_sent = 0; refused == 0 && runs_sent < 100'000; runs_sent += each)
      send_runs();
    CHECK(refused > 0);
    CHECK(runs_sent > 1'000);
  }
  refuses = false;
  const std::size_t before = socket.statistics().segmented;
  for (runs_sent = 0; socket.statistics().segmented == before && runs_sent < 100'000;
       runs_sent += each)
    send_runs();
  CHECK(runs_sent < 100'000);
  const std::size_t calls = script.send().calls();
  send_runs();
  CHECK(script.send().calls() == calls + 1);
}

TEST_CASE_METHOD(sender, "of more refused peers than are remembered the oldest gives way",
                 "[segmentation]")
{
  if (!segments) SKIP("this backend does not segment");
  constexpr std::size_t remembered = 16;
  const std::size_t extra = GENERATE(0U, 1U, 3U);
  for (std::size_t i = 0; i < remembered + extra; ++i) {
    peers.emplace_back(io);
    refuse_runs_to(peers.back().endpoint(), EIO);
    CHECK(leaves_as_run(peers.back()));
    CHECK_FALSE(leaves_as_run(peers.back()));
  }
  script.verdict = nullptr;
  for (std::size_t i = 0; i < peers.size(); ++i)
    CHECK(leaves_as_run(peers[i]) == (i < extra));
}

TEST_CASE_METHOD(sender, "a new descriptor knows nothing of refused runs", "[segmentation]")
{
  if (!segments) SKIP("this backend does not segment");
  peers.emplace_back(io);
  refuse_runs_to(peers[0].endpoint(), EIO);
  CHECK(leaves_as_run(peers[0]));
  script.verdict = nullptr;
  CHECK_FALSE(leaves_as_run(peers[0]));
  SECTION("closed and opened")
  {
    socket.close();
    socket.open(dgram::udp::v4());
    CHECK(leaves_as_run(peers[0]));
  }
  SECTION("released and assigned")
  {
    socket.assign(dgram::udp::v4(), socket.release());
    CHECK(leaves_as_run(peers[0]));
  }
  SECTION("but a move takes it along")
  {
    auto moved = std::move(socket);
    socket = std::move(moved);
    CHECK_FALSE(leaves_as_run(peers[0]));
  }
  SECTION("and so it is after cancel")
  {
    socket.cancel();
    CHECK_FALSE(leaves_as_run(peers[0]));
  }
}

TEST_CASE_METHOD(one_run,
                 "a datagram that is refused in the middle of a refused run ends the batch",
                 "[segmentation]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  const auto from = any_batch_source();
  const int error = GENERATE(EMSGSIZE, EACCES);
  const std::size_t at = GENERATE(range(std::size_t{0}, count));
  CAPTURE(from, error, at);
  push(from);
  script.verdict = [=](const offered_message& message, std::size_t before) {
    if (message.is_run()) return EIO;
    return before == at ? error : 0;
  };
  const auto result = send(how);
  CHECK(result.sent == at);
  CHECK(result.error.value() == error);
  CHECK(result.refused == 0);
  CHECK(batch.size() == count - at);
  CHECK(batch.bytes() == (count - at) * texts[0].size());
  CHECK(peer().received(at) == strings(texts.begin(), texts.begin() + static_cast<long>(at)));

  // The rest goes without it, and nothing goes twice.
  script.verdict = nullptr;
  batch.drop_front();
  const auto rest = send(how);
  CHECK(rest.sent == count - at - 1);
  CHECK(peer().received(rest.sent) ==
        strings(texts.begin() + static_cast<long>(at) + 1, texts.end()));
}

TEST_CASE_METHOD(one_run, "datagrams of a refused run that are refused themselves are reported",
                 "[segmentation]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  const auto from = any_batch_source();
  const std::size_t bad = GENERATE(range(std::size_t{0}, count));
  const std::size_t number = GENERATE(1U, 2U);
  const int on_run = GENERATE(EIO, EINVAL, EMSGSIZE);
  const int error = GENERATE(EMSGSIZE, EACCES);
  CAPTURE(from, bad, number);
  push(from);
  // Refused are the datagrams at `bad` and perhaps the one behind it; each is met at the head of a call that tells.
  const std::size_t refused = std::min<std::size_t>(number, count - bad);
  if (segments) script.send().push(fail(on_run));
  if (bad > 0) script.send_step(bad);
  script.send().push(fail(error), refused);

  std::size_t reported = 0;
  batch.on_refused([&](dgram::error_code why, const test::endpoint& to, std::size_t size) {
    CHECK(why.value() == error);
    CHECK(to == peer().endpoint());
    CHECK(size == texts[0].size());
    ++reported;
  });
  const auto result = send(how);
  CHECK(reported == refused);
  CHECK(result.refused == refused);
  CHECK(result.sent == count - refused);
  CHECK_FALSE(result.error);
  CHECK(batch.empty());
  strings expected = texts;
  const auto first = expected.begin() + static_cast<long>(bad);
  expected.erase(first, first + static_cast<long>(refused));
  CHECK(peer().received(expected.size()) == expected);
}

TEST_CASE_METHOD(one_run, "a full queue in the middle of a refused run loses and repeats nothing",
                 "[segmentation]")
{
  const auto from = GENERATE(source::pushes, source::buffer, source::replies, source::operation);
  const int on_run = GENERATE(EIO, EINVAL, EMSGSIZE);
  const std::size_t before = GENERATE(range(std::size_t{0}, count));
  const int error = GENERATE(EAGAIN, ENOBUFS);
  CAPTURE(from, on_run, before, error);
  if (from != source::operation) push(from);
  // A cursor offers one message at a time, so each of its datagrams is a step.
  const auto script_steps = [&] {
    if (segments) script.send().push(fail(on_run));
    if (from == source::operation && before > 0) {
      for (std::size_t i = 0; i < before; ++i)
        script.send().push(test::pass());
      script.send().push(fail(error));
    } else {
      script.send_step(before, error);
    }
  };
  script_steps();

  SECTION("waiting")
  {
    dgram::send_result result;
    if (from == source::operation) {
      socket.async_send_segments(whole, texts[0].size(), peer().endpoint(),
                                 [&](dgram::error_code failure, dgram::send_result told) {
                                   CHECK_FALSE(failure);
                                   result = told;
                                 });
      test::run(io);
    } else {
      result = send(form::async);
    }
    CHECK(result.sent == count);
    CHECK_FALSE(result.error);
    CHECK(peer().received(count) == texts);
  }
  SECTION("trying again")
  {
    if (from == source::operation) {
      script.send() = test::call_script();
      return;
    }
    auto result = send(form::try_form);
    CHECK(result.sent == before);
    CHECK(result.error.value() == error);
    CHECK(batch.size() == count - before);
    CHECK(batch.bytes() == (count - before) * texts[0].size());
    result = send(form::try_form);
    CHECK(result.sent == count - before);
    CHECK_FALSE(result.error);
    CHECK(peer().received(count) == texts);
  }
}

TEST_CASE_METHOD(one_run, "async_send_segments sends a refused buffer one by one", "[segmentation]")
{
  const int on_run = GENERATE(EIO, EINVAL, EMSGSIZE);
  script.verdict = [=](const offered_message& message, std::size_t) {
    return message.is_run() ? on_run : 0;
  };
  dgram::send_result result;
  const auto handler = [&](dgram::error_code failure, dgram::send_result told) {
    ec = failure;
    result = told;
  };
  SECTION("all of it")
  {
    socket.async_send_segments(whole, texts[0].size(), peer().endpoint(), handler);
    test::run(io);
    CHECK_FALSE(ec);
    CHECK(result.sent == count);
    CHECK_FALSE(result.error);
    CHECK(peer().received(count) == texts);
    script.verdict = nullptr;
    CHECK_FALSE(leaves_as_run(peer()));
  }
  SECTION("up to one that is refused itself")
  {
    const std::size_t at = GENERATE(range(std::size_t{0}, count));
    script.verdict = [=](const offered_message& message, std::size_t before) {
      if (message.is_run()) return on_run;
      return before == at ? EACCES : 0;
    };
    socket.async_send_segments(whole, texts[0].size(), peer().endpoint(), handler);
    test::run(io);
    CHECK(result.sent == at);
    CHECK(result.error == asio::error::access_denied);
    CHECK(ec == (at == 0 ? result.error : dgram::error_code()));
    CHECK(peer().received(at) == strings(texts.begin(), texts.begin() + static_cast<long>(at)));
  }
}

TEST_CASE_METHOD(sender, "a buffer of several messages goes on behind the one that was refused",
                 "[segmentation]")
{
  // A message and a rest; one that fails after others had left must not be repeated from the start.
  constexpr std::size_t whole_message = dgram::platform::backend::max_segments;
  constexpr std::size_t many = 150;
  const bool batched = GENERATE(false, true);
  const std::size_t refused_message = GENERATE(0U, 1U);
  const int error = GENERATE(EIO, EMSGSIZE);
  if (!segments && refused_message > 0) return;
  const strings texts = equal(many, '#');
  const std::string whole = join(texts);
  peers.emplace_back(io);
  script.verdict = [=](const offered_message& message, std::size_t before) {
    return message.is_run() && before == refused_message ? error : 0;
  };
  dgram::send_batch large(many);
  dgram::send_result result;
  if (batched) {
    large.push_segments(whole, 4, peers[0].endpoint());
    result = socket.try_send_batch(large);
  } else {
    socket.async_send_segments(whole, 4, peers[0].endpoint(),
                               [&](dgram::error_code, dgram::send_result told) { result = told; });
    test::run(io);
  }
  CHECK(result.sent == many);
  CHECK_FALSE(result.error);
  CHECK(peers[0].received(many) == texts);
  if (segments)
    CHECK(script.taken.size() == refused_message + many - whole_message * refused_message);
}

TEST_CASE_METHOD(sender, "what a kernel takes at most in one message is found out once",
                 "[segmentation][F24]")
{
  if (!segments) SKIP("this backend sends no runs");
  struct forgetting {
    ~forgetting() { dgram::platform::known_segments = dgram::platform::backend::max_segments; }
  } const at_the_end;
  const bool copies = GENERATE(false, true);
  const bool in_one_piece = GENERATE(false, true);
  constexpr std::size_t many = 200;
  const strings texts = equal(many, '#');
  const std::string whole = join(texts);
  peers.emplace_back(io);
  std::size_t refused = 0;
  script.verdict = [&](const offered_message& message, std::size_t) {
    const bool too_long = message.is_run() && message.size > 64 * message.segment;
    refused += too_long ? 1 : 0;
    return too_long ? EINVAL : 0;
  };
  for (int round = 0; round < 2; ++round) {
    dgram::send_batch large({.datagrams = many, .copy = copies});
    if (in_one_piece)
      large.push_segments(whole, 4, peers[0].endpoint());
    else
      test::push_all(large, texts, peers[0].endpoint());
    const auto result = socket.try_send_batch(large);
    CHECK(result.sent == many);
    CHECK_FALSE(result.error);
    CHECK(peers[0].received(many) == texts);
    CHECK(refused == 1);
  }
  CHECK(script.taken.size() == 2 * (many / 64 + 1));
  // It was the length: the path is one that takes runs.
  CHECK(leaves_as_run(peers[0]));
}

TEST_CASE_METHOD(sender,
                 "a long message that is refused for another reason tells nothing of its length",
                 "[segmentation][F24]")
{
  if (!segments) SKIP("this backend sends no runs");
  constexpr std::size_t many = 100;
  const strings texts = equal(many, '#');
  peers.emplace_back(io);
  peers.emplace_back(io);
  refuse_runs_to(peers[0].endpoint(), EINVAL);
  for (auto& peer : peers) {
    dgram::send_batch large(many);
    test::push_all(large, texts, peer.endpoint());
    CHECK(socket.try_send_batch(large).sent == many);
    CHECK(peer.received(many) == texts);
  }
  CHECK(script.taken.back().size == many * texts[0].size());  // one message
}

TEST_CASE_METHOD(one_run, "a pending ICMP error is no refusal of the run that reports it",
                 "[segmentation]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  const auto from = any_batch_source();
  push(from);
  std::size_t reported = 0;
  if (GENERATE(false, true)) batch.on_refused([&](auto, const auto&, std::size_t) { ++reported; });
  script.send().push(fail(ECONNREFUSED));
  auto result = send(how);
  CHECK(result.sent == 0);
  CHECK(result.refused == 0);
  CHECK(result.error == asio::error::connection_refused);
  CHECK(batch.size() == count);
  script.offered.clear();
  result = send(how);
  CHECK(result.sent == count);
  CHECK(reported == 0);
  CHECK(script.offered.size() == (segments ? 1 : count));
  CHECK(peer().received(count) == texts);
}

TEST_CASE_METHOD(one_run, "a pending ICMP error among the datagrams of a refused run stops there",
                 "[segmentation]")
{
  const std::size_t before = GENERATE(range(std::size_t{0}, count));
  const auto from = any_batch_source();
  push(from);
  std::size_t reported = 0;
  batch.on_refused([&](auto, const auto&, std::size_t) { ++reported; });
  if (segments) script.send().push(fail(EIO));
  script.send_step(before, ECONNREFUSED);
  auto result = send(form::try_form);
  CHECK(result.sent == before);
  CHECK(result.error == asio::error::connection_refused);
  CHECK(batch.size() == count - before);
  result = send(form::try_form);
  CHECK(result.sent == count - before);
  CHECK(reported == 0);
  CHECK(peer().received(count) == texts);
}

TEST_CASE_METHOD(sender, "a connected socket falls back likewise", "[segmentation]")
{
  peers.emplace_back(io);
  socket.connect(peers[0].endpoint());
  const int error = GENERATE(EIO, EINVAL);
  script.verdict = [=](const offered_message& message, std::size_t) {
    return message.is_run() ? error : 0;
  };
  const strings texts = equal(run_size, '#');
  for (int round = 0; round < 2; ++round) {
    for (const auto& text : texts)
      batch.push(asio::buffer(text));
    script.offered.clear();
    CHECK(socket.try_send_batch(batch).sent == run_size);
    CHECK(peers[0].received(run_size) == texts);
    CHECK(runs_offered(test::endpoint()) == (segments && round == 0 ? 1 : 0));
  }
}

TEST_CASE_METHOD(sender, "what was learned of the old peer's path is not held against the new one",
                 "[send]")
{
  if constexpr (!segments) SKIP("this backend has no segmentation");
  for (int i = 0; i < 2; ++i)
    peers.emplace_back(io);
  socket.connect(peers[0].endpoint());
  script.verdict = [](const offered_message& message, std::size_t) {
    return message.is_run() ? EIO : 0;
  };
  const auto leaves_as_run = [&](test::plain_peer& to) {
    dgram::send_batch two(2);
    two.push("1");
    two.push("2");
    script.offered.clear();
    CHECK(socket.try_send_batch(two).sent == 2);
    CHECK(to.received(2) == strings{"1", "2"});
    return script.offered.front().is_run();
  };
  CHECK(leaves_as_run(peers[0]));
  CHECK_FALSE(leaves_as_run(peers[0]));
  script.verdict = nullptr;
  SECTION("connect")
  {
    socket.connect(peers[1].endpoint());
  }
  SECTION("reconnect")
  {
    socket.reconnect(peers[1].endpoint());
  }
  CHECK(leaves_as_run(peers[1]));
}

}  // namespace segmentation_test
