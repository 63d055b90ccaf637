// SPDX-License-Identifier: BSL-1.0
// A socket goes from one process to another: both sides, and peers that do not keep to the rules.
#include <dgram/hand_over.hpp>

#include "support/loopback.hpp"
#include "support/temporary_directory.hpp"

#include <dgram/unix_dgram.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#if defined(__linux__)
#include "support/other_user.hpp"
#endif

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hand_over_test {

using Catch::Matchers::ContainsSubstring;
using dgram::error;
using dgram::error_code;
using dgram::owned_descriptor;
using dgram::unix_dgram;
using message = dgram::detail::hand_over_message;
using step = dgram::detail::hand_over_step;
using udp_socket = dgram::udp::socket;
namespace platform = dgram::platform;

namespace {

using taken_type = dgram::taken_over<dgram::udp>;

struct hand_over_test {
  hand_over_test()
  {
    if (!platform::has_local_links) SKIP("no socket can be handed over on this system");
    config.on_refused = [this](const dgram::hand_over_refusal& refusal) {
      refused.push_back(refusal.why);
    };
  }

  /// Offers the socket.
  void give()
  {
    dgram::async_hand_over(socket, path, config, [this](error_code ec, dgram::hand_over_report r) {
      given = ec;
      report = r;
    });
  }

  /// What a good process gets.
  void take(const dgram::take_over_config& with = {})
  {
    dgram::async_take_over(io, path, with, [this](error_code ec, taken_type result) {
      taken_error = ec;
      taken.emplace(std::move(result));
    });
  }

  void run_until(const std::function<bool()>& condition)
  {
    for (int left = 1000; !condition() && left > 0; --left) {
      io.restart();
      io.run_one_for(std::chrono::milliseconds(10));
    }
    REQUIRE(condition());
  }

  void run_both()
  {
    run_until([this] { return given.has_value() && taken.has_value(); });
  }

  /// The offer goes on: a good process gets the socket.
  void check_that_a_good_process_gets_it()
  {
    CHECK(socket.is_open());
    take();
    run_both();
    CHECK_FALSE(*given);
    CHECK_FALSE(taken_error);
    CHECK(taken->socket.local_endpoint() == local);
    CHECK(report.to.process == ::getpid());
  }

  const test::temporary_directory directory;
  std::string path = directory / "hand-over";
  asio::io_context io;
  udp_socket socket{io, test::loopback_v4()};
  dgram::udp::endpoint local = socket.local_endpoint();
  dgram::hand_over_config config;
  std::vector<error_code> refused;
  std::optional<error_code> given;
  dgram::hand_over_report report;
  error_code taken_error;
  std::optional<taken_type> taken;
};

/// A process that sends what it likes.
class rogue {
public:
  explicit rogue(const std::string& path)
  {
    error_code ec;
    link_ = platform::open_link(ec);
    const auto to = dgram::parse_unix_endpoint(path);
    platform::connect_link(link_.get(), to.data(), to.size(), ec);
    REQUIRE_FALSE(ec);
  }

  explicit rogue(owned_descriptor accepted) : link_(std::move(accepted)) {}

  void send_bytes(const void* bytes, std::size_t size, int passed = -1)
  {
    error_code ec;
    platform::send_on_link(link_.get(), std::span(static_cast<const std::byte*>(bytes), size),
                           passed, ec);
    REQUIRE_FALSE(ec);
  }

  void send(const message& what, int passed = -1) { send_bytes(&what, sizeof what, passed); }

  void request()
  {
    message first{.step = step::request};
    first.own.fill(std::byte{7});
    send(first);
  }

  /// Waits for a message. The connection has ended if its size is 0.
  message receive(asio::io_context& io)
  {
    message got;
    for (int left = 1000; left > 0; --left) {
      error_code ec;
      size_ = platform::receive_on_link(link_.get(), std::as_writable_bytes(std::span(&got, 1)),
                                        passed_, ec);
      if (ec != asio::error::would_block) return got;
      io.restart();
      io.run_one_for(std::chrono::milliseconds(10));
    }
    FAIL("no message came");
    return got;
  }

  std::size_t size() const { return size_; }
  owned_descriptor& passed() { return passed_; }
  void close() { link_.close(); }

private:
  owned_descriptor link_;
  owned_descriptor passed_;
  std::size_t size_ = 0;
};

/// An old process that sends what it likes.
class rogue_listener {
public:
  explicit rogue_listener(const std::string& path)
  {
    error_code ec;
    listening_ = platform::open_link(ec);
    dgram::detail::unbound_link(listening_).bind(dgram::parse_unix_endpoint(path), ec);
    REQUIRE_FALSE(ec);
    platform::listen_on_link(listening_.get(), ec);
    REQUIRE_FALSE(ec);
  }

  rogue accept(asio::io_context& io)
  {
    for (int left = 1000; left > 0; --left) {
      error_code ec;
      owned_descriptor accepted = platform::accept_link(listening_.get(), ec);
      if (accepted) return rogue(std::move(accepted));
      io.restart();
      io.run_one_for(std::chrono::milliseconds(10));
    }
    FAIL("no process connected");
    return rogue(owned_descriptor());
  }

private:
  owned_descriptor listening_;
};

std::string receive(udp_socket& from)
{
  std::array<char, 64> storage{};
  dgram::udp::endpoint sender;
  return {storage.data(), from.receive_from(asio::buffer(storage), sender)};
}

std::ptrdiff_t open_descriptors()
{
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator());
}

}  // namespace

TEST_CASE_METHOD(hand_over_test, "a socket goes to the new process with what it has queued",
                 "[hand_over]")
{
  const auto abstract = GENERATE(false, true);
  if (abstract) path = "@" + path;
  socket.set_option(dgram::option::receive_buffer_size(123456));
  udp_socket client{io, test::loopback_v4()};
  give();
  client.send_to(asio::buffer("before", 6), local);
  take();
  run_both();
  client.send_to(asio::buffer("after", 5), local);
  CHECK_FALSE(*given);
  CHECK_FALSE(taken_error);
  CHECK(report == dgram::hand_over_report{.to = {::getpid(), ::geteuid(), ::getegid()}});
  CHECK(taken->from == report.to);
  CHECK(taken->dropped_before == 0);
  CHECK(taken->socket.local_endpoint() == local);
  CHECK((::fcntl(taken->socket.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
  dgram::option::receive_buffer_size size;
  taken->socket.get_option(size);
  CHECK(size.value() >= 123456);
  // Both have the open socket until the old process closes its own.
  CHECK(receive(taken->socket) == "before");
  CHECK(receive(socket) == "after");
  socket.close();
  client.send_to(asio::buffer("later", 5), local);
  CHECK(receive(taken->socket) == "later");
  CHECK_FALSE(test::exists(path));
}

TEST_CASE_METHOD(hand_over_test, "the old process is not woken for a socket that it has closed",
                 "[hand_over]")
{
  give();
  take();
  run_both();
  // Of the same context, so that the kernel would wake it for either.
  socket.close();
  udp_socket client{io, test::loopback_v4()};
  std::array<char, 64> storage{};
  int received = 0;
  dgram::udp::endpoint sender;
  taken->socket.async_receive_from(asio::buffer(storage), sender,
                                   [&](error_code ec, std::size_t) { received += ec ? 100 : 1; });
  client.send_to(asio::buffer("one", 3), local);
  run_until([&] { return received > 0; });
  CHECK(received == 1);
}

TEST_CASE_METHOD(hand_over_test, "the new process can hand over at the same path at once",
                 "[hand_over]")
{
  for (int round = 0; round < 5; ++round) {
    give();
    take();
    run_both();
    REQUIRE_FALSE(*given);
    REQUIRE_FALSE(taken_error);
    socket = std::move(taken->socket);
    given.reset();
    taken.reset();
  }
  CHECK(socket.local_endpoint() == local);
}

TEST_CASE_METHOD(hand_over_test, "drops before the hand-over are told from later ones",
                 "[hand_over]")
{
  socket.set_option(dgram::option::receive_buffer_size(1));
  udp_socket client{io, test::loopback_v4()};
  const std::string large(1000, 'x');
  const auto flood = [&] {
    for (int i = 0; i < 50; ++i)
      client.send_to(asio::buffer(large), local);
  };
  flood();
  const auto before = socket.statistics().dropped;
  if (before == 0) SKIP("this system does not tell what it drops");
  give();
  take();
  run_both();
  socket.close();
  CHECK(taken->dropped_before == before);
  CHECK(taken->socket.statistics().dropped == before);
  flood();
  CHECK(taken->socket.statistics().dropped == before + 50);
}

TEST_CASE_METHOD(hand_over_test, "a Unix socket keeps its file for the new process",
                 "[hand_over][unix]")
{
  const std::string file = directory / "server";
  unix_dgram::socket server{io, file};
  dgram::async_hand_over(server, path,
                         [this](error_code ec, dgram::hand_over_report) { given = ec; });
  std::optional<dgram::taken_over<unix_dgram>> result;
  SECTION("to a process that asks for a Unix socket")
  {
    dgram::async_take_over<unix_dgram>(io, path,
                                       [&](error_code ec, dgram::taken_over<unix_dgram> with) {
                                         taken_error = ec;
                                         result.emplace(std::move(with));
                                       });
    run_until([&] { return given && result; });
    CHECK_FALSE(*given);
    CHECK_FALSE(taken_error);
    server.close();
    CHECK(test::exists(file));
    unix_dgram::socket client{io, unix_dgram()};
    client.send_to(asio::buffer("x", 1), file);
    std::array<char, 8> storage{};
    CHECK(result->socket.receive(asio::buffer(storage)) == 1);
  }
  SECTION("not to one that asks for UDP")
  {
    take();
    run_until([&] { return taken.has_value(); });
    CHECK(taken_error == error::wrong_descriptor);
    CHECK_FALSE(taken->socket.is_open());
    CHECK_FALSE(given);
    server.close();
    run_until([&] { return given.has_value(); });
    CHECK_FALSE(test::exists(file));
  }
}

TEST_CASE_METHOD(hand_over_test, "the path has the permissions that were asked for", "[hand_over]")
{
  unsigned mode = 0600;
  SECTION("the owner's by default")
  {
  }
  SECTION("others, whatever the umask")
  {
    mode = config.file_mode = 0660;
  }
  const auto umask = ::umask(0077);
  give();
  ::umask(umask);
  struct ::stat status{};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == mode);
  CHECK(S_ISSOCK(status.st_mode));
  check_that_a_good_process_gets_it();
}

TEST_CASE_METHOD(hand_over_test,
                 "a file of a dead process is replaced, and that of a live one kept", "[hand_over]")
{
  std::optional<rogue_listener> other(path);
  SECTION("dead")
  {
    other.reset();
    REQUIRE(test::exists(path));
    give();
    check_that_a_good_process_gets_it();
  }
  SECTION("alive")
  {
    give();
    run_until([&] { return given.has_value(); });
    CHECK(*given == asio::error::address_in_use);
    CHECK(test::exists(path));
    const rogue still(path);
  }
}

TEST_CASE_METHOD(hand_over_test, "an offer that cannot begin leaves the socket, and says why",
                 "[hand_over]")
{
  error_code expected;
  SECTION("no path")
  {
    path.clear();
    expected = asio::error::invalid_argument;
  }
  SECTION("a long path")
  {
    path = std::string(108, 'x');
    expected = asio::error::name_too_long;
  }
  SECTION("a directory that does not exist")
  {
    path = directory / "none/hand-over";
    expected = dgram::socket_error::no_such_file;
  }
  SECTION("no permissions at all")
  {
    config.file_mode = 0;
    expected = error::out_of_range;
  }
  SECTION("more than permissions")
  {
    config.file_mode = 01600;
    expected = error::out_of_range;
  }
  SECTION("no time")
  {
    config.time_limit = std::chrono::seconds(0);
    expected = error::out_of_range;
  }
  SECTION("a closed socket")
  {
    socket.close();
    expected = asio::error::bad_descriptor;
  }
  give();
  CHECK_FALSE(given);  // not inside the call
  run_until([&] { return given.has_value(); });
  CHECK(*given == expected);
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE_METHOD(hand_over_test, "the text of a refusal names the setting", "[hand_over]")
{
  const auto text_of = [&](auto operation) {
    std::string text;
    asio::co_spawn(
        io,
        [](auto awaited, std::string& said) -> asio::awaitable<void> {
          try {
            co_await std::move(awaited);
          } catch (const dgram::system_error& thrown) {
            said = thrown.what();
          }
        }(std::move(operation), text),
        asio::detached);
    io.restart();
    io.run();
    return text;
  };
  CHECK_THAT(text_of(dgram::hand_over(socket, path, {.time_limit = std::chrono::seconds(0)})),
             Catch::Matchers::ContainsSubstring("hand_over (time_limit of 0 or less)"));
  CHECK_THAT(text_of(dgram::hand_over(socket, path, {.file_mode = 01600})),
             Catch::Matchers::ContainsSubstring("hand_over (file_mode; allowed is 0001 to 0777)"));
  CHECK_THAT(text_of(dgram::take_over(io, path, {.time_limit = std::chrono::seconds(0)})),
             Catch::Matchers::ContainsSubstring("take_over (time_limit of 0 or less)"));
}

TEST_CASE_METHOD(hand_over_test, "a take-over without an old process says so", "[hand_over]")
{
  error_code expected;
  dgram::take_over_config with;
  SECTION("no file")
  {
    expected = dgram::socket_error::no_such_file;
  }
  SECTION("a file that a dead process left")
  {
    {
      const rogue_listener dead(path);
    }
    expected = asio::error::connection_refused;
  }
  SECTION("an abstract name")
  {
    path = "@" + path;
    expected = asio::error::connection_refused;
  }
  SECTION("no path")
  {
    path.clear();
    expected = asio::error::invalid_argument;
  }
  SECTION("no time")
  {
    with.time_limit = -std::chrono::seconds(1);
    expected = error::out_of_range;
  }
  take(with);
  CHECK_FALSE(taken);
  run_until([&] { return taken.has_value(); });
  CHECK(taken_error == expected);
  CHECK_FALSE(taken->socket.is_open());
}

TEST_CASE_METHOD(hand_over_test, "a process that speaks otherwise is refused and counted",
                 "[hand_over]")
{
  give();
  rogue other(path);
  error_code why = error::hand_over_message;
  message wrong{.step = step::request};
  SECTION("garbage")
  {
    other.send_bytes("GET / HTTP/1.1", 14);
  }
  SECTION("too few bytes")
  {
    other.send_bytes(&wrong, sizeof wrong - 1);
  }
  SECTION("too many bytes")
  {
    std::array<char, 200> large{};
    std::memcpy(large.data(), &wrong, sizeof wrong);
    other.send_bytes(large.data(), large.size());
  }
  SECTION("another version")
  {
    wrong.version = 2;
    why = error::hand_over_version;
    other.send(wrong);
  }
  SECTION("a shorter message of another version")
  {
    wrong.version = 0;
    why = error::hand_over_version;
    other.send_bytes(&wrong, 5);
  }
  SECTION("another kind of socket")
  {
    wrong.wants_path = 1;
    why = error::wrong_descriptor;
    other.send(wrong);
  }
  SECTION("a step too far")
  {
    wrong.step = step::ready;
    other.send(wrong);
  }
  SECTION("a step that there is not")
  {
    wrong.step = static_cast<step>(99);
    other.send(wrong);
  }
  SECTION("ready for an offer of another time")
  {
    other.request();
    CHECK(other.receive(io).step == step::offer);
    wrong.step = step::ready;
    other.send(wrong);
  }
  SECTION("the request again")
  {
    other.request();
    other.receive(io);
    other.request();
  }
  SECTION("with a descriptor that it was not asked for")
  {
    wrong.step = step::confirmation;
    other.send(wrong, 0);
  }
  const auto answer = other.receive(io);
  CHECK(answer.step == step::refusal);
  CHECK(dgram::detail::error_of(answer.reason) == why);
  other.receive(io);
  CHECK(other.size() == 0);
  REQUIRE(refused.size() == 1);
  CHECK(refused.front() == why);
  CHECK_FALSE(given);
  check_that_a_good_process_gets_it();
  CHECK(report.refused == 1);
  CHECK(report.failed == 0);
}

TEST_CASE_METHOD(hand_over_test, "a process that ends or stalls at any step leaves the socket here",
                 "[hand_over]")
{
  config.time_limit = std::chrono::milliseconds(50);
  const auto before = open_descriptors();
  give();
  rogue other(path);
  error_code why = asio::error::connection_reset;
  const bool stalls = GENERATE(false, true);
  if (stalls) why = asio::error::timed_out;
  SECTION("before it asks")
  {
  }
  SECTION("after it asked")
  {
    other.request();
  }
  SECTION("after it was offered the socket")
  {
    other.request();
    CHECK(other.receive(io).step == step::offer);
    CHECK(other.passed());
  }
  if (!stalls) other.close();
  run_until([&] { return !refused.empty(); });
  if (stalls) {
    // It learns that it must not use the socket.
    auto last = other.receive(io);
    if (last.step == step::offer) last = other.receive(io);
    CHECK(last.step == step::refusal);
    CHECK(last.reason == dgram::detail::hand_over_reason::withdrawn);
  }
  other.close();
  other.passed().close();
  CHECK(refused.front() == why);
  CHECK_FALSE(given);
  CHECK(open_descriptors() == before + 1);  // the listening one
  config.time_limit = std::chrono::seconds(10);
  check_that_a_good_process_gets_it();
  CHECK(report.failed == 1);
  CHECK(report.refused == 0);
}

TEST_CASE_METHOD(hand_over_test,
                 "a process that ends before the confirmation leaves the socket here",
                 "[hand_over]")
{
  give();
  rogue other(path);
  other.request();
  const auto offer = other.receive(io);
  message ready{.step = step::ready};
  ready.echo = offer.own;
  other.send(ready);
  other.close();
  run_until([&] { return !refused.empty(); });
  CHECK(refused.front() == asio::error::connection_reset);
  CHECK_FALSE(given);
  CHECK(test::exists(path));
  check_that_a_good_process_gets_it();
  CHECK(report.failed == 1);
}

TEST_CASE_METHOD(hand_over_test, "while one process stalls, the next waits for its turn",
                 "[hand_over]")
{
  config.time_limit = std::chrono::milliseconds(100);
  give();
  const rogue other(path);
  check_that_a_good_process_gets_it();
  CHECK(report.failed == 1);
}

TEST_CASE_METHOD(hand_over_test, "a process that the program does not trust is refused",
                 "[hand_over]")
{
  int asked = 0;
  bool throws = false;
  const auto accept = [&](const dgram::peer_credentials& peer) {
    CHECK(peer.user == ::geteuid());
    CHECK(peer.process == ::getpid());
    if (++asked == 1 && throws) throw std::runtime_error("from the program");
    return asked > 1;
  };
  const auto expect_throw = [&](const std::function<bool()>& condition) {
    bool thrown = false;
    for (int left = 1000; !condition() && left > 0; --left) {
      try {
        io.restart();
        io.run_one_for(std::chrono::milliseconds(10));
      } catch (const std::runtime_error&) {
        thrown = true;
      }
    }
    CHECK(condition());
    CHECK(thrown == throws);
  };
  throws = GENERATE(false, true);
  SECTION("by the old process")
  {
    config.accept = accept;
    give();
    take();
    expect_throw([&] { return taken.has_value(); });
    CHECK(taken_error == error::untrusted_peer);
    REQUIRE(refused.size() == 1);
    CHECK(refused.front() == error::untrusted_peer);
    CHECK_FALSE(given);
    taken.reset();
    check_that_a_good_process_gets_it();
    CHECK(report.refused == 1);
  }
  SECTION("by the new process")
  {
    give();
    take({.accept = accept});
    expect_throw([&] { return taken.has_value(); });
    CHECK(taken_error == error::untrusted_peer);
    run_until([&] { return !refused.empty(); });
    taken.reset();
    check_that_a_good_process_gets_it();
  }
}

#if defined(__linux__)

TEST_CASE_METHOD(hand_over_test, "a process of another user is refused unless the program asks",
                 "[hand_over]")
{
  path = "@" + path;  // an abstract name has no permissions
  SECTION("as the new process")
  {
    give();
    std::optional<rogue> stranger;
    test::as_other_user([&] { stranger.emplace(path); });
    const auto answer = stranger->receive(io);
    CHECK(answer.step == step::refusal);
    CHECK(dgram::detail::error_of(answer.reason) == error::untrusted_peer);
    CHECK_FALSE(stranger->passed());
    REQUIRE(refused.size() == 1);
    CHECK(refused.front() == error::untrusted_peer);
    check_that_a_good_process_gets_it();
    CHECK(report.refused == 1);
  }
  SECTION("as the old process")
  {
    std::optional<rogue_listener> stranger;
    test::as_other_user([&] { stranger.emplace(path); });
    take();
    rogue old = stranger->accept(io);
    run_until([&] { return taken.has_value(); });
    CHECK(taken_error == error::untrusted_peer);
    CHECK_FALSE(taken->socket.is_open());
  }
  SECTION("and the function gets its number")
  {
    std::vector<unsigned> asked;
    config.accept = [&](const dgram::peer_credentials& peer) {
      asked.push_back(static_cast<unsigned>(peer.user));
      return true;
    };
    give();
    std::optional<rogue> stranger;
    test::as_other_user([&] { stranger.emplace(path); });
    stranger->request();
    CHECK(stranger->receive(io).step == step::offer);
    CHECK(asked == std::vector<unsigned>{test::other_user});
    stranger->close();
    check_that_a_good_process_gets_it();
    CHECK(report.refused == 0);
    CHECK(report.failed == 1);
  }
}

#endif

TEST_CASE_METHOD(hand_over_test, "a throwing on_refused does not end the offer", "[hand_over]")
{
  config.on_refused = [](const dgram::hand_over_refusal&) { throw std::runtime_error("logged"); };
  give();
  rogue other(path);
  other.close();
  CHECK_THROWS_AS(run_until([] { return false; }), std::runtime_error);
  check_that_a_good_process_gets_it();
}

TEST_CASE_METHOD(hand_over_test, "an old process that speaks otherwise gives no socket",
                 "[hand_over]")
{
  rogue_listener listener(path);
  take({.time_limit = std::chrono::milliseconds(200)});
  rogue old = listener.accept(io);
  const auto request = old.receive(io);
  CHECK(request.step == step::request);
  message answer{.step = step::offer, .drops = 7};
  answer.echo = request.own;
  answer.own.fill(std::byte{9});
  error_code why = error::hand_over_message;
  const owned_descriptor tcp(::socket(AF_INET, SOCK_STREAM, 0));
  const int own = socket.native_handle();
  const auto offer = [&] {
    old.send(answer, own);
    CHECK(old.receive(io).step == step::ready);
  };
  SECTION("garbage")
  {
    old.send_bytes("hello", 5);
  }
  SECTION("another version")
  {
    answer.version = 9;
    old.send(answer);
    why = error::hand_over_version;
  }
  SECTION("an answer to another process")
  {
    answer.echo = {};
    old.send(answer, own);
  }
  SECTION("no descriptor")
  {
    old.send(answer);
  }
  SECTION("a descriptor of another kind")
  {
    old.send(answer, tcp.get());
    why = error::wrong_descriptor;
  }
  SECTION("a confirmation without an offer")
  {
    answer.step = step::confirmation;
    old.send(answer, own);
  }
  SECTION("it ends before its offer")
  {
    old.close();
    why = asio::error::connection_reset;
  }
  SECTION("it stalls before its offer")
  {
    why = asio::error::timed_out;
  }
  SECTION("it stalls after its offer")
  {
    offer();
    why = asio::error::timed_out;
  }
  SECTION("it withdraws its offer")
  {
    offer();
    answer.step = step::refusal;
    answer.reason = dgram::detail::hand_over_reason::withdrawn;
    old.send(answer);
    why = error::hand_over_withdrawn;
  }
  SECTION("its confirmation is for another process")
  {
    offer();
    answer.step = step::confirmation;
    answer.echo = {};
    old.send(answer);
  }
  run_until([&] { return taken.has_value(); });
  CHECK(taken_error == why);
  CHECK_FALSE(taken->socket.is_open());
  if (why == asio::error::timed_out) {
    const auto last = old.receive(io);
    CHECK(last.step == step::refusal);
  }
  // The old process has it still.
  CHECK(socket.local_endpoint() == local);
}

TEST_CASE_METHOD(hand_over_test, "an old process that ends after its offer leaves the socket",
                 "[hand_over]")
{
  rogue_listener listener(path);
  take();
  rogue old = listener.accept(io);
  message offer{.step = step::offer, .drops = 7};
  offer.echo = old.receive(io).own;
  old.send(offer, socket.native_handle());
  const bool at_once = GENERATE(true, false);
  if (!at_once) CHECK(old.receive(io).step == step::ready);
  old.close();
  run_until([&] { return taken.has_value(); });
  CHECK_FALSE(taken_error);
  CHECK(taken->socket.local_endpoint() == local);
  CHECK(taken->dropped_before == 7);
}

TEST_CASE_METHOD(hand_over_test, "an offer ends with its socket or its slot", "[hand_over]")
{
  std::optional<asio::cancellation_signal> signal(std::in_place);
  dgram::async_hand_over(
      socket, path, config,
      asio::bind_cancellation_slot(signal->slot(), [this](error_code ec, auto) { given = ec; }));
  // With and without a process that has been offered the socket.
  std::optional<rogue> other;
  if (GENERATE(false, true)) {
    other.emplace(path);
    other->request();
    CHECK(other->receive(io).step == step::offer);
  }
  bool keeps_socket = true;
  SECTION("by its slot")
  {
    signal->emit(asio::cancellation_type::total);
  }
  SECTION("by cancel")
  {
    socket.cancel();
  }
  SECTION("by close")
  {
    socket.close();
    keeps_socket = false;
  }
  SECTION("by destruction")
  {
    const udp_socket gone(std::move(socket));
    keeps_socket = false;
  }
  CHECK_FALSE(given);
  run_until([&] { return given.has_value(); });
  CHECK(*given == asio::error::operation_aborted);
  CHECK_FALSE(test::exists(path));
  CHECK(socket.is_open() == keeps_socket);
  if (other) {
    const auto last = other->receive(io);
    CHECK(last.step == step::refusal);
    CHECK(last.reason == dgram::detail::hand_over_reason::withdrawn);
  }
}

TEST_CASE_METHOD(hand_over_test, "a take-over ends with its slot", "[hand_over]")
{
  rogue_listener listener(path);
  asio::cancellation_signal signal;
  dgram::async_take_over(
      io, path,
      asio::bind_cancellation_slot(signal.slot(), [this](error_code ec, auto) { given = ec; }));
  std::optional<rogue> old;
  SECTION("at once")
  {
  }
  SECTION("after its request")
  {
    old.emplace(listener.accept(io));
  }
  SECTION("after the offer")
  {
    old.emplace(listener.accept(io));
    message offer{.step = step::offer};
    offer.echo = old->receive(io).own;
    old->send(offer, socket.native_handle());
    CHECK(old->receive(io).step == step::ready);
  }
  signal.emit(asio::cancellation_type::terminal);
  CHECK_FALSE(given);
  run_until([&] { return given.has_value(); });
  CHECK(*given == asio::error::operation_aborted);
}

TEST_CASE("operations that hand over are destroyed with their context", "[hand_over]")
{
  if (!platform::has_local_links) SKIP("no socket can be handed over on this system");
  const test::temporary_directory directory;
  const std::string path = directory / "hand-over";
  const auto before = open_descriptors();
  {
    asio::io_context io;
    udp_socket socket{io, test::loopback_v4()};
    dgram::async_hand_over(socket, path, [](error_code, auto) { FAIL("called"); });
    dgram::async_take_over(io, path, [](error_code, auto) { FAIL("called"); });
    for (int turns = GENERATE(0, 1, 2, 3); turns > 0; --turns)
      io.run_one();
  }
  CHECK(open_descriptors() == before);
  CHECK_FALSE(test::exists(path));
}

TEST_CASE_METHOD(hand_over_test, "tokens and executors", "[hand_over]")
{
  SECTION("coroutines")
  {
    std::optional<taken_type> result;
    std::optional<dgram::hand_over_report> done;
    asio::co_spawn(
        io, [&]() -> asio::awaitable<void> { done = co_await dgram::hand_over(socket, path); },
        asio::detached);
    asio::co_spawn(
        io, [&]() -> asio::awaitable<void> { result.emplace(co_await dgram::take_over(io, path)); },
        asio::detached);
    run_until([&] { return done && result; });
    CHECK(result->socket.local_endpoint() == local);
  }
  SECTION("coroutines throw with the path")
  {
    std::string text;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          try {
            co_await dgram::take_over(io, path);
          } catch (const dgram::system_error& failed) {
            text = failed.what();
          }
          error_code ec;
          const auto none = co_await dgram::take_over(io, path, ec);
          CHECK(ec == dgram::socket_error::no_such_file);
          CHECK_FALSE(none.socket.is_open());
        },
        asio::detached);
    run_until([&] { return !text.empty(); });
    CHECK_THAT(text, ContainsSubstring("take_over \"" + path + "\""));
  }
  SECTION("operations that are launched later")
  {
    auto later = dgram::async_hand_over(socket, std::string(path), test::deferred);
    CHECK_FALSE(test::exists(path));
    std::move(later)([this](error_code ec, auto) { given = ec; });
    auto then = dgram::async_take_over(io, std::string(path), test::deferred);
    std::move(then)([this](error_code ec, taken_type with) {
      taken_error = ec;
      taken.emplace(std::move(with));
    });
    run_both();
    CHECK_FALSE(*given);
    CHECK_FALSE(taken_error);
  }
  SECTION("a future, and a strand of a pool")
  {
    asio::thread_pool pool(2);
    const auto strand = asio::make_strand(pool);
    dgram::basic_socket<dgram::udp, asio::strand<asio::thread_pool::executor_type>> own(
        strand, test::loopback_v4());
    auto done = asio::post(strand, asio::use_future([&] {
                             return dgram::async_hand_over(own, path, asio::use_future);
                           }))
                    .get();
    auto result = dgram::async_take_over(asio::make_strand(pool), path, asio::use_future);
    CHECK(result.get().socket.local_endpoint() == own.local_endpoint());
    CHECK(done.get().to.process == ::getpid());
    pool.join();
  }
}

}  // namespace hand_over_test
