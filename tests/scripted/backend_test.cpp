// SPDX-License-Identifier: BSL-1.0
// The backend contract, of every backend that this system has, over scripted system calls.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"

#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/backend_posix.hpp>
#if defined(__linux__)
#include <dgram/detail/platform/backend_linux.hpp>
#endif

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace backend_test {

namespace {

namespace platform = dgram::platform;
using test::claim;
using test::fail;
using test::script;
using strings = std::vector<std::string>;

template <class Backend>
constexpr bool is_batched = std::string_view(Backend::name) == "linux";

/// Messages with a buffer each, empty for receiving.
struct message_array {
  explicit message_array(std::size_t count) : message_array(strings(count, std::string(32, '\0')))
  {
  }

  explicit message_array(strings texts)
      : storage(std::move(texts)), buffers(storage.size()), messages(storage.size())
  {
    for (std::size_t i = 0; i < storage.size(); ++i) {
      buffers[i] = platform::make_buffer(storage[i].data(), storage[i].size());
      messages[i].set_buffers(&buffers[i], 1);
    }
  }

  platform::message* at(std::size_t index) { return messages.data() + index; }

  strings texts(std::size_t first, std::size_t last) const
  {
    strings result;
    for (std::size_t i = first; i < last; ++i)
      result.push_back(storage[i].substr(0, messages[i].size()));
    return result;
  }

  strings storage;
  std::vector<platform::buffer> buffers;
  std::vector<platform::message> messages;
};

/// A descriptor of Asio's own beside a peer; both are connected to each other as far as sending
/// goes.
struct pair : test::scripted {
  pair() { socket.connect(peer.endpoint()); }

  int fd() { return socket.native_handle(); }
  asio::ip::udp::endpoint address() const { return socket.local_endpoint(); }

  asio::io_context io;
  test::plain_peer peer{io};
  asio::ip::udp::socket socket{io, test::loopback_v4()};
  dgram::error_code ec = asio::error::fault;  // so that clearing it is seen
};

constexpr std::size_t total = 4;

}  // namespace

#if defined(__linux__)
#define DGRAM_TEST_BACKENDS platform::linux_backend, platform::posix_backend
#else
#define DGRAM_TEST_BACKENDS platform::posix_backend
#endif

TEMPLATE_TEST_CASE("a backend receives what is queued, in order, and no more", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  const std::size_t slots = GENERATE(total - 1, total, total + 1);
  const std::size_t expected = std::min(slots, total);
  host.peer.send_numbers(total, host.address());
  message_array messages(slots);
  CHECK(TestType::receive(host.fd(), messages.at(0), slots, 0, host.ec) == expected);
  CHECK_FALSE(host.ec);
  CHECK(messages.texts(0, expected) == test::numbers(0, expected));
}

TEMPLATE_TEST_CASE("a backend peeks with a call that takes the flag on every system", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  message_array messages(1);
  CHECK(TestType::receive(host.fd(), messages.at(0), 1, MSG_PEEK, host.ec) == 0);
  CHECK(host.ec == asio::error::would_block);

  host.peer.send_numbers(2, host.address());
  script.recvmsg.push(fail(EINTR), 2);
  for (int i = 0; i < 2; ++i) {
    CHECK(TestType::receive(host.fd(), messages.at(0), 1, MSG_PEEK, host.ec) == 1);
    CHECK_FALSE(host.ec);
    CHECK(messages.texts(0, 1) == test::numbers(0, 1));
  }
  CHECK(TestType::receive(host.fd(), messages.at(0), 1, 0, host.ec) == 1);
  CHECK(messages.texts(0, 1) == test::numbers(0, 1));
}

TEMPLATE_TEST_CASE("a backend reports an empty queue only where nothing was received", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  message_array messages(total);
  CHECK(TestType::receive(host.fd(), messages.at(0), total, 0, host.ec) == 0);
  CHECK(host.ec == asio::error::would_block);

  const std::size_t queued = GENERATE(range(std::size_t{1}, total));
  host.peer.send_numbers(queued, host.address());
  host.ec = asio::error::fault;
  CHECK(TestType::receive(host.fd(), messages.at(0), total, 0, host.ec) == queued);
  CHECK_FALSE(host.ec);
}

TEMPLATE_TEST_CASE("a backend asks again when a receive was interrupted", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  constexpr bool batched = is_batched<TestType>;
  // recvmmsg that is interrupted after datagrams just returns them.
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  if (batched && before > 0) return;
  const std::size_t times = GENERATE(1U, 3U);
  host.peer.send_numbers(total, host.address());
  script.receive_step(before, 0, batched);
  script.receive(batched).push(fail(EINTR), times);

  message_array messages(total);
  CHECK(TestType::receive(host.fd(), messages.at(0), total, 0, host.ec) == total);
  CHECK_FALSE(host.ec);
  CHECK(messages.texts(0, total) == test::numbers(0, total));
  CHECK(script.receive(batched).calls() == times + (batched ? 1 : total));
}

TEMPLATE_TEST_CASE("a receive that is interrupted and then finds nothing reports the empty queue",
                   "[backend]", DGRAM_TEST_BACKENDS)
{
  pair host;
  script.receive(is_batched<TestType>).push(fail(EINTR), 2);
  message_array messages(total);
  CHECK(TestType::receive(host.fd(), messages.at(0), total, 0, host.ec) == 0);
  CHECK(host.ec == asio::error::would_block);
}

TEMPLATE_TEST_CASE("a receive error at any position loses neither datagram nor error", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  constexpr bool batched = is_batched<TestType>;
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  host.peer.send_numbers(total, host.address());
  script.receive_step(before, ECONNREFUSED, batched);

  message_array messages(total);
  std::size_t count = TestType::receive(host.fd(), messages.at(0), total, 0, host.ec);
  CHECK(count == before);
  CHECK(messages.texts(0, before) == test::numbers(0, before));
  if (batched && before > 0) {
    // The kernel keeps the error for the next call, so it must not be told twice.
    CHECK_FALSE(host.ec);
    count = TestType::receive(host.fd(), messages.at(before), total - before, 0, host.ec);
    CHECK(count == 0);
  }
  CHECK(host.ec == asio::error::connection_refused);

  count = TestType::receive(host.fd(), messages.at(before), total - before, 0, host.ec);
  CHECK(count == total - before);
  CHECK_FALSE(host.ec);
  CHECK(messages.texts(before, total) == test::numbers(before, total));
}

TEMPLATE_TEST_CASE("a short receive means an empty queue also above the limit of one call",
                   "[backend]", DGRAM_TEST_BACKENDS)
{
  pair host;
  constexpr bool batched = is_batched<TestType>;
  constexpr std::size_t count = 1100;
  if (batched) {
    script.recvmmsg.push(claim(1024));
    script.recvmmsg.push(claim(76));
  } else {
    script.recvmsg.push(claim(1), count);
  }
  message_array messages(count);
  CHECK(TestType::receive(host.fd(), messages.at(0), count, 0, host.ec) == count);
  CHECK_FALSE(host.ec);
}

TEMPLATE_TEST_CASE("an empty queue behind as many datagrams as one call takes is no error",
                   "[backend]", DGRAM_TEST_BACKENDS)
{
  pair host;
  constexpr bool batched = is_batched<TestType>;
  constexpr std::size_t taken = 1024;
  script.receive(batched).push(claim(batched ? taken : 1), batched ? 1 : taken);
  script.receive(batched).push(fail(EAGAIN));
  message_array messages(taken + 1);
  CHECK(TestType::receive(host.fd(), messages.at(0), taken + 1, 0, host.ec) == taken);
  CHECK_FALSE(host.ec);
}

TEMPLATE_TEST_CASE("a backend moves empty datagrams as datagrams", "[backend]", DGRAM_TEST_BACKENDS)
{
  pair host;
  const strings texts{"", "a", ""};
  SECTION("received")
  {
    for (const auto& text : texts)
      host.peer.send(text, host.address());
    message_array messages(texts.size());
    CHECK(TestType::receive(host.fd(), messages.at(0), texts.size(), 0, host.ec) == texts.size());
    CHECK(messages.texts(0, texts.size()) == texts);
  }
  SECTION("sent")
  {
    message_array messages(texts);
    CHECK(TestType::send(host.fd(), messages.at(0), texts.size(), 0, host.ec) == texts.size());
    CHECK(host.peer.received(texts.size()) == texts);
  }
  CHECK_FALSE(host.ec);
}

TEMPLATE_TEST_CASE("a backend that is asked for nothing moves nothing", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  host.peer.send("queued", host.address());
  message_array messages(1);
  SECTION("receive")
  {
    CHECK(TestType::receive(host.fd(), messages.at(0), 0, 0, host.ec) == 0);
  }
  SECTION("send")
  {
    CHECK(TestType::send(host.fd(), messages.at(0), 0, 0, host.ec) == 0);
    CHECK(host.peer.received(0).empty());
  }
  CHECK_FALSE(host.ec);
  CHECK(host.socket.available() == 6);
}

TEMPLATE_TEST_CASE("a backend asks again when a send was interrupted", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  constexpr bool batched = is_batched<TestType>;
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  if (batched && before > 0) return;
  script.send_step(before, 0, batched);
  script.send(batched).push(fail(EINTR), 3);

  message_array messages(test::numbers(0, total));
  CHECK(TestType::send(host.fd(), messages.at(0), total, 0, host.ec) == total);
  CHECK_FALSE(host.ec);
  CHECK(host.peer.received(total) == test::numbers(0, total));
}

TEMPLATE_TEST_CASE("a send error at any position tells how many left", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  constexpr bool batched = is_batched<TestType>;
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  const int error = GENERATE(EPERM, ENOBUFS, EMSGSIZE);
  script.send_step(before, error, batched);

  message_array messages(test::numbers(0, total));
  CHECK(TestType::send(host.fd(), messages.at(0), total, 0, host.ec) == before);
  if (batched && before > 0) {
    // sendmmsg tells only the count; the next call meets the same error.
    CHECK_FALSE(host.ec);
    CHECK(TestType::send(host.fd(), messages.at(before), total - before, 0, host.ec) == 0);
  }
  CHECK(host.ec.value() == error);
  CHECK(host.ec.category() == asio::error::get_system_category());
  CHECK(host.peer.received(before) == test::numbers(0, before));
}

TEMPLATE_TEST_CASE("a backend reports a full queue only where nothing left", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  constexpr bool batched = is_batched<TestType>;
  const std::size_t before = GENERATE(range(std::size_t{0}, total));
  script.send_step(before, EAGAIN, batched);

  message_array messages(test::numbers(0, total));
  CHECK(TestType::send(host.fd(), messages.at(0), total, 0, host.ec) == before);
  if (before > 0) {
    CHECK_FALSE(host.ec);
    CHECK(TestType::send(host.fd(), messages.at(before), total - before, 0, host.ec) == 0);
  }
  CHECK(host.ec == asio::error::would_block);

  CHECK(TestType::send(host.fd(), messages.at(before), total - before, 0, host.ec) ==
        total - before);
  CHECK_FALSE(host.ec);
  CHECK(host.peer.received(total) == test::numbers(0, total));
}

TEMPLATE_TEST_CASE("a backend asks the kernel for no more than it takes in one call", "[backend]",
                   DGRAM_TEST_BACKENDS)
{
  pair host;
  constexpr bool batched = is_batched<TestType>;
  constexpr std::size_t count = 1100;
  if (batched)
    script.sendmmsg.push(claim(1024));
  else
    script.sendmsg.push(claim(1), count);
  // Of a send the contract lets the backend return early; what it says must be what the kernel
  // said.
  if (batched) script.sendmmsg.always(fail(EAGAIN));
  message_array messages(count);
  CHECK(TestType::send(host.fd(), messages.at(0), count, 0, host.ec) == (batched ? 1024 : count));
  CHECK_FALSE(host.ec);
  CHECK(script.send(batched).most_asked() == (batched ? 1024 : 1));
}

TEMPLATE_TEST_CASE("a backend says how large a sent datagram was", "[backend]", DGRAM_TEST_BACKENDS)
{
  pair host;
  message_array messages(strings{"12345"});
  CHECK(TestType::send(host.fd(), messages.at(0), 1, 0, host.ec) == 1);
  CHECK(messages.messages[0].size() == 5);
}

TEST_CASE("this build uses the backend that it was asked for", "[backend]")
{
  CHECK(std::string_view(platform::backend::name) == (test::batched_calls ? "linux" : "posix"));
}

}  // namespace backend_test
