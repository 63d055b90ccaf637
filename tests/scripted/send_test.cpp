// SPDX-License-Identifier: BSL-1.0
// Sending over scripted system calls: what arrives, what stays and what is reported.
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
#include <optional>
#include <string>
#include <vector>

namespace send_test {

namespace {

using test::claim;
using test::fail;
using test::growing;
using test::script;
using strings = std::vector<std::string>;

enum class form : std::uint8_t { try_form, blocking, async };

constexpr std::size_t total = 5;

struct sender : test::scripted {
  sender() { test::push_all(batch, texts, peer.endpoint()); }

  /// What the socket says of a batch, in the one form or the other.
  dgram::send_result send(form how)
  {
    if (how == form::try_form) return socket.try_send_batch(batch);
    if (how == form::blocking) return socket.send_batch(batch);
    std::optional<dgram::send_result> result;
    socket.async_send_batch(batch, [&](dgram::error_code ec, dgram::send_result told) {
      CHECK_FALSE(result);
      result = told;
      CHECK(ec == (told.sent == 0 ? told.error : dgram::error_code()));
    });
    CHECK_FALSE(result);
    test::run(io);
    REQUIRE(result);
    return *result;
  }

  const strings texts = growing(0, total);
  asio::io_context io;
  test::plain_peer peer{io};
  dgram::udp::socket socket{io, test::loopback_v4()};
  dgram::send_batch batch{total};
};

}  // namespace

TEST_CASE_METHOD(sender, "a short send goes on where it stopped", "[send]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  SECTION("once, at every position")
  {
    script.send_step(GENERATE(range(std::size_t{1}, total)));
  }
  SECTION("twice, at every pair of positions")
  {
    const std::size_t first = GENERATE(range(std::size_t{1}, total - 1));
    script.send_step(first);
    const std::size_t second = GENERATE(1U, 2U);
    script.send_step(std::min(second, total - 1 - first));
  }
  SECTION("one at a time")
  {
    for (std::size_t i = 0; i < total; ++i)
      script.send_step(1);
  }
  const auto result = send(how);
  CHECK(result.sent == total);
  CHECK_FALSE(result.error);
  CHECK(batch.empty());
  CHECK(peer.received(total) == texts);
}

TEST_CASE_METHOD(sender, "an interrupted send goes on where it stopped", "[send]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  script.send_step(GENERATE(range(std::size_t{0}, total)), EINTR);
  script.send().push(fail(EINTR), 2);
  const auto result = send(how);
  CHECK(result.sent == total);
  CHECK_FALSE(result.error);
  CHECK(peer.received(total) == texts);
}

TEST_CASE_METHOD(sender, "try_send_batch tells how many left before the queue was full", "[send]")
{
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  script.send_step(before, EAGAIN);
  auto result = send(form::try_form);
  CHECK(result.sent == before);
  CHECK(result.error == asio::error::would_block);
  CHECK(batch.size() == total - before);

  result = send(form::try_form);
  CHECK(result.sent == total - before);
  CHECK_FALSE(result.error);
  CHECK(peer.received(total) == texts);
}

TEST_CASE_METHOD(sender, "a full queue is waited for, at any position and again and again",
                 "[send]")
{
  const auto how = GENERATE(form::blocking, form::async);
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  const std::size_t more = GENERATE(0U, 4U);
  script.send_step(before, EAGAIN);
  for (std::size_t i = 0; i < more; ++i)
    script.send_step(0, EAGAIN);
  const auto result = send(how);
  CHECK(result.sent == total);
  CHECK_FALSE(result.error);
  CHECK(batch.empty());
  CHECK(peer.received(total) == texts);
}

TEST_CASE_METHOD(sender, "a queue that is full n times costs n + 1 attempts", "[send]")
{
  const auto how = GENERATE(form::blocking, form::async);
  const std::size_t times = GENERATE(1U, 3U, 10U);
  script.send().push(fail(EAGAIN), times);
  const auto result = send(how);
  CHECK(result.sent == total);
  // The last attempt is a call for each datagram where the backend moves them one by one.
  CHECK(script.send().calls() == times + (test::batched_calls ? 1 : total));
}

TEST_CASE_METHOD(sender, "a hard error stops the batch in front of its datagram", "[send]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  const int error = GENERATE(EINVAL, EMSGSIZE, EACCES);
  script.send_step(before, error);

  auto result = send(how);
  CHECK(result.sent == before);
  CHECK(result.error.value() == error);
  CHECK(batch.size() == total - before);
  CHECK(peer.received(before) == growing(0, before));

  SECTION("the same goes again")
  {
    result = send(how);
    CHECK(result.sent == total - before);
    CHECK_FALSE(result.error);
    CHECK(peer.received(total - before) == growing(before, total));
  }
  SECTION("the tail goes when the bad one is dropped")
  {
    batch.drop_front();
    CHECK(batch.size() == total - before - 1);
    result = send(how);
    CHECK(result.sent == total - before - 1);
    CHECK_FALSE(result.error);
    CHECK(batch.empty());
    CHECK(peer.received(total - before - 1) == growing(before + 1, total));
  }
}

TEST_CASE_METHOD(sender, "dropping every bad datagram sends all the others once", "[send]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  script.send_step(1, EINVAL);  // 0 leaves, 1 is bad
  script.send_step(0, EINVAL);  // 2 is bad
  script.send_step(1, EINVAL);  // 3 leaves, 4 is bad
  std::size_t sent = 0;
  std::size_t dropped = 0;
  while (!batch.empty()) {
    const auto result = send(how);
    sent += result.sent;
    if (!result.error) continue;
    REQUIRE(result.error == asio::error::invalid_argument);
    batch.drop_front();
    ++dropped;
  }
  CHECK(sent == 2);
  CHECK(dropped == 3);
  CHECK(peer.received(2) == strings{texts[0], texts[3]});
}

TEST_CASE_METHOD(sender, "a full queue and a hard error in one batch are both treated as such",
                 "[send]")
{
  const auto how = GENERATE(form::blocking, form::async);
  script.send_step(1, EAGAIN);
  script.send_step(1, EINVAL);
  const auto result = send(how);
  CHECK(result.sent == 2);
  CHECK(result.error == asio::error::invalid_argument);
  CHECK(batch.size() == total - 2);
  CHECK(peer.received(2) == growing(0, 2));
}

TEST_CASE_METHOD(sender, "a synchronous send reports want of buffer space with what had left",
                 "[send]")
{
  const auto how = GENERATE(form::try_form, form::blocking);
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  const int error = GENERATE(ENOBUFS, ENOMEM);
  script.send_step(before, error);
  auto result = send(how);
  CHECK(result.sent == before);
  CHECK(result.error == (error == ENOBUFS ? dgram::error_code(asio::error::no_buffer_space)
                                          : dgram::error_code(asio::error::no_memory)));
  CHECK(batch.size() == total - before);
  result = send(how);
  CHECK(result.sent == total - before);
  CHECK(peer.received(total) == texts);
}

TEST_CASE_METHOD(sender, "SND-30 a queue or memory that is full for a while is never reported",
                 "[send]")
{
  const int error = GENERATE(EAGAIN, ENOBUFS, ENOMEM);
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  script.send_step(before, error);
  script.send().push(fail(error), 2);
  const auto result = send(form::async);
  CHECK(result.sent == total);
  CHECK_FALSE(result.error);
  CHECK(peer.received(total) == texts);
}

TEST_CASE_METHOD(sender, "SND-30 a hard error after waiting is reported, with what had left",
                 "[send]")
{
  const int error = GENERATE(EAGAIN, ENOBUFS, ENOMEM);
  const std::size_t before = GENERATE(0U, 2U);
  script.send_step(before, error);
  script.send_step(0, EINVAL);
  const auto result = send(form::async);
  CHECK(result.sent == before);
  CHECK(result.error == asio::error::invalid_argument);
  CHECK(batch.size() == total - before);
  CHECK(peer.received(before) == growing(0, before));
}

TEST_CASE_METHOD(sender, "BAT-04 a batch above the limit of one call continues after an error",
                 "[send]")
{
  constexpr std::size_t many = 1500;
  constexpr std::size_t first = 1024;
  dgram::send_batch large(many);
  const std::string storage(many, '.');
  for (std::size_t i = 0; i < many; ++i)  // growing, as before
    large.push(asio::buffer(storage.data(), i), peer.endpoint());

  // Claimed, not sent: so many do not fit into the peer's queue.
  if (test::batched_calls) {
    script.sendmmsg.push(claim(first));
    script.sendmmsg.push(fail(ENOBUFS));
    script.sendmmsg.always(claim(many - first));
  } else {
    script.sendmsg.push(claim(1), first);
    script.sendmsg.push(fail(ENOBUFS));
    script.sendmsg.push(claim(1), many - first);
  }
  auto result = socket.try_send_batch(large);
  CHECK(result.sent == first);
  CHECK(result.error == asio::error::no_buffer_space);
  CHECK(large.size() == many - first);
  result = socket.try_send_batch(large);
  CHECK(result.sent == many - first);
  CHECK_FALSE(result.error);
  CHECK(large.empty());
}

TEST_CASE_METHOD(sender, "try_send_to repeats an interrupted call and reports the rest", "[send]")
{
  const std::string text = "hello";
  dgram::error_code ec;
  script.send().push(fail(EINTR), 2);
  CHECK(socket.try_send_to(asio::buffer(text), peer.endpoint()) == 5);

  script.send().push(fail(EAGAIN), 2);
  CHECK(socket.try_send_to(asio::buffer(text), peer.endpoint(), ec) == 0);
  CHECK(ec == asio::error::would_block);
  CHECK(socket.try_send_to(asio::buffer(text), peer.endpoint()) == std::nullopt);

  script.send().push(fail(ENOBUFS), 2);
  CHECK(socket.try_send_to(asio::buffer(text), peer.endpoint(), ec) == 0);
  CHECK(ec == asio::error::no_buffer_space);
  CHECK_THROWS_AS(socket.try_send_to(asio::buffer(text), peer.endpoint()), dgram::system_error);

  CHECK(socket.try_send_to(asio::buffer(text), peer.endpoint(), ec) == 5);
  CHECK_FALSE(ec);
  CHECK(peer.received(2) == strings{text, text});
}

TEST_CASE_METHOD(sender, "try_send repeats an interrupted call and reports the rest", "[send]")
{
  const std::string text = "hello";
  dgram::error_code ec;
  socket.connect(peer.endpoint());
  script.send().push(fail(EINTR), 2);
  CHECK(socket.try_send(asio::buffer(text)) == 5);
  script.send().push(fail(EAGAIN), 2);
  CHECK(socket.try_send(asio::buffer(text), ec) == 0);
  CHECK(ec == asio::error::would_block);
  CHECK(socket.try_send(asio::buffer(text)) == std::nullopt);
  script.send().push(fail(ECONNREFUSED), 2);
  CHECK(socket.try_send(asio::buffer(text), ec) == 0);
  CHECK(ec == asio::error::connection_refused);
  CHECK_THROWS_AS(socket.try_send(asio::buffer(text)), dgram::system_error);
  CHECK(peer.received(1) == strings{text});
}

TEST_CASE_METHOD(sender, "a batch that cannot be sent as it is does not reach the kernel", "[send]")
{
  const auto how = GENERATE(form::try_form, form::blocking, form::async);
  SECTION("addresses on a connected socket")
  {
    socket.connect(peer.endpoint());
    CHECK(send(how).error == asio::error::already_connected);
  }
  SECTION("no address on one that is not")
  {
    batch.clear();
    batch.push(asio::buffer(texts[0]), peer.endpoint());
    batch.push(asio::buffer(texts[1]));
    // Asio has no name for it, but its own sends report it in this category.
    CHECK(send(how).error == dgram::error_code(EDESTADDRREQ, asio::error::get_system_category()));
  }
  SECTION("nothing at all")
  {
    batch.clear();
    const auto result = send(how);
    CHECK(result.sent == 0);
    CHECK_FALSE(result.error);
  }
  CHECK(script.send().calls() == 0);
  CHECK(peer.received(0).empty());
}

}  // namespace send_test
