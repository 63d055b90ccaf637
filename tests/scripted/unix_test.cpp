// SPDX-License-Identifier: BSL-1.0
// Unix sockets with scripted answers of the system: whose file is removed when, and sends that do not spin.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace unix_test {

namespace {

using clock = std::chrono::steady_clock;
using dgram::unix_dgram;
using test::claim;
using test::fail;
using test::milliseconds;
using test::pass;
using test::script;
using unix_socket = unix_dgram::socket;
using unix_endpoint = unix_socket::endpoint_type;

struct unix_scripted : test::scripted {
  test::temporary_directory folder;
  const std::string path = folder / "server";
  asio::io_context io;

  void leave_behind() const
  {
    asio::io_context other;
    asio::local::datagram_protocol::socket gone(other, unix_endpoint(path));
  }

  dgram::error_code bind()
  {
    unix_socket socket(io, unix_dgram{});
    dgram::error_code ec;
    socket.bind(path, ec);
    if (!ec) socket.release();
    return ec;
  }
};

struct full_peer : unix_scripted {
  full_peer()
  {
    while (client->try_send_to(asio::buffer("full", 4), path))
      ++queued;
    REQUIRE(queued > 0);
    before = script.send().calls();
  }

  std::size_t attempts() const { return script.send().calls() - before; }

  /// The first attempt, those after 1, 2, 4, 8, 16 and 32 ms, one that is rounded down, and one each 50 ms.
  void check_waits_on_timer() const
  {
    CHECK(attempts() >= 2);
    CHECK(attempts() <= 8 + static_cast<std::size_t>(elapsed / milliseconds(50)));
  }

  /// Runs for a while; returns how many handlers there were, each of them a wake-up.
  std::size_t run_a_while()
  {
    const auto start = clock::now();
    std::size_t handlers = 0;
    while (clock::now() - start < milliseconds(200))
      handlers += io.run_one_until(start + milliseconds(200));
    elapsed = clock::now() - start;
    return handlers;
  }

  /// An operation that found its peer full waits, without spinning, and ends once there is room.
  template <class T>
  void end_when_drained(const std::optional<T>& result)
  {
    CHECK(run_a_while() < 16);
    check_waits_on_timer();
    CHECK_FALSE(result);
    CHECK(drain() == queued);
    test::run(io);
    REQUIRE(result);
  }

  std::size_t drain()
  {
    std::array<char, 16> storage;
    std::size_t count = 0;
    while (server.try_receive(asio::buffer(storage)))
      ++count;
    return count;
  }

  unix_socket server{io, path};
  std::optional<unix_socket> client{std::in_place, io, unix_dgram{}};
  std::size_t queued = 0;
  std::size_t before = 0;
  clock::duration elapsed{};
};

}  // namespace

TEST_CASE_METHOD(unix_scripted, "UNX-02 only a refused probe makes a socket file stale", "[unix]")
{
  leave_behind();
  const int answer = GENERATE(EACCES, EPERM, EPROTOTYPE, EAGAIN, ENOENT, 0);
  script.connect.push(answer == 0 ? claim(0) : fail(answer));
  CHECK(bind() == asio::error::address_in_use);
  CHECK(script.unlink.calls() == 0);
  CHECK(test::exists(path));
}

TEST_CASE_METHOD(unix_scripted, "a stale file is asked about once and removed once", "[unix]")
{
  leave_behind();
  CHECK_FALSE(bind());
  CHECK(script.connect.calls() == 1);
  CHECK(script.unlink.calls() == 1);
}

TEST_CASE_METHOD(unix_scripted, "without a probe nothing is removed", "[unix]")
{
  leave_behind();
  script.socket.push(fail(EMFILE));
  CHECK(bind() == asio::error::address_in_use);
  CHECK(script.connect.calls() == 0);
  CHECK(script.unlink.calls() == 0);
}

TEST_CASE_METHOD(unix_scripted, "a path without a stale file is not probed", "[unix]")
{
  CHECK_FALSE(bind());
  CHECK(script.socket.calls() == 0);
  CHECK(script.unlink.calls() == 0);
}

TEST_CASE_METHOD(unix_scripted, "what cannot be looked at is not removed", "[unix]")
{
  leave_behind();
  SECTION("before the probe")
  {
    script.lstat.push(fail(EACCES));
    CHECK(bind() == asio::error::address_in_use);
    CHECK(script.socket.calls() == 0);
  }
  SECTION("after the probe: somebody else has removed it, or put something in its place")
  {
    script.lstat.push(pass());
    script.lstat.push(fail(ENOENT));
    CHECK(bind() == asio::error::address_in_use);
  }
  CHECK(script.unlink.calls() == 0);
}

TEST_CASE_METHOD(unix_scripted, "a stale file that cannot be removed is address_in_use", "[unix]")
{
  leave_behind();
  script.unlink.push(fail(EACCES));
  CHECK(bind() == asio::error::address_in_use);
}

TEST_CASE_METHOD(unix_scripted,
                 "a file that could not be looked at after bind is nobody's to remove", "[unix]")
{
  script.lstat.push(fail(EACCES));
  unix_socket socket(io, path);
  socket.close();
  CHECK(script.unlink.calls() == 0);
  CHECK(test::exists(path));
}

TEST_CASE_METHOD(unix_scripted, "a file that cannot be removed does not keep a socket from closing",
                 "[unix]")
{
  unix_socket socket(io, path);
  script.unlink.push(fail(EROFS));
  dgram::error_code ec;
  socket.close(ec);
  CHECK_FALSE(ec);
  CHECK_FALSE(socket.is_open());
}

TEST_CASE_METHOD(full_peer, "UNX-18 async_send_to to a full Unix peer does not spin", "[unix]")
{
  std::optional<dgram::error_code> result;
  client->async_send_to(asio::buffer("late", 4), path,
                        [&](dgram::error_code ec, std::size_t) { result = ec; });
  end_when_drained(result);
  CHECK_FALSE(*result);
  CHECK(drain() == 1);
}

TEST_CASE_METHOD(full_peer,
                 "UNX-18 async_send_batch and async_send_segments to a full Unix peer do not spin",
                 "[unix]")
{
  std::optional<dgram::send_result> result;
  const auto record = [&](dgram::error_code, const dgram::send_result& told) { result = told; };
  unix_dgram::send_batch batch(2);
  if (GENERATE(true, false)) {
    batch.push("late", path);
    batch.push("later", path);
    client->async_send_batch(batch, record);
  } else {
    client->async_send_segments("latelate", 4, path, record);
  }
  end_when_drained(result);
  CHECK(result->sent == 2);
  CHECK(drain() == 2);
}

TEST_CASE_METHOD(full_peer, "UNX-18 a writer with a full Unix peer does not spin", "[unix]")
{
  dgram::reader reader{*client};
  dgram::writer writer{reader};
  REQUIRE(writer.try_send("late", path));
  CHECK(run_a_while() < 16);
  check_waits_on_timer();
  CHECK(writer.size() == 1);
  CHECK(drain() == queued);
  test::run(io);
  CHECK(writer.statistics().sent == 1);
  CHECK(drain() == 1);
}

TEST_CASE_METHOD(full_peer,
                 "UNX-20 a writer asks about a full peer on its timer, not with each flush",
                 "[unix][F7]")
{
  unix_socket good(io, folder / "good");
  dgram::writer writer{*client};
  std::array<char, 16> storage;
  REQUIRE(writer.try_send("late", path));
  const auto start = clock::now();
  const std::size_t turns = 300;
  for (std::size_t i = 0; i < turns; ++i) {
    REQUIRE(writer.try_send("late", path));
    REQUIRE(writer.try_send("good", folder / "good"));
    io.restart();
    while (io.poll() > 0) {}
    REQUIRE(good.try_receive(asio::buffer(storage)));
  }
  elapsed = clock::now() - start;
  // Each turn has one call for the good peer.
  before += turns;
  CHECK(attempts() >= 1);
  CHECK(attempts() <= 9 + static_cast<std::size_t>(elapsed / milliseconds(50)));
  CHECK(writer.size() == turns + 1);
}

TEST_CASE_METHOD(full_peer, "UNX-18 blocking sends to a full Unix peer sleep", "[unix]")
{
  // The kernel says so many times that it is full, and takes the datagram then.
  CHECK(drain() == queued);
  script.send().push(fail(EAGAIN), 6);
  const auto start = clock::now();
  if (GENERATE(true, false)) {
    unix_dgram::send_batch batch(1);
    batch.push("late", path);
    CHECK(client->send_batch(batch).sent == 1);
  } else {
    CHECK(client->send_to(asio::buffer("late", 4), path) == 4);
  }
  CHECK(clock::now() - start >= milliseconds(1 + 2 + 4 + 8 + 16 + 32));
  CHECK(attempts() == 7);
  CHECK(drain() == 1);
}

TEST_CASE_METHOD(full_peer, "UNX-19 a connected Unix socket is woken up when its peer has room",
                 "[unix]")
{
  client->connect(path);
  before = script.send().calls();
  std::optional<dgram::send_result> result;
  unix_dgram::send_batch batch(1);
  batch.push("late");
  client->async_send_batch(batch,
                           [&](dgram::error_code, dgram::send_result told) { result = told; });
  CHECK(run_a_while() <= 2);
  CHECK(attempts() <= 3);
  CHECK_FALSE(result);
  CHECK(drain() == queued);
  test::run(io);
  REQUIRE(result);
  CHECK(result->sent == 1);
}

#if defined(__linux__)

TEST_CASE_METHOD(unix_scripted, "a socket file is never open to more than the mode", "[scripted]")
{
  const ::mode_t before = ::umask(0);
  // The kernel makes the file with the mode: nothing is taken away afterwards.
  const unix_socket narrow(io, path, {.file_mode = 0600});
  CHECK(script.fchmod.calls() == 1);
  CHECK(script.fchmodat.calls() == 0);
  ::umask(0777);
  const unix_socket wide(io, path + "_wide", {.file_mode = 0666});
  CHECK(script.fchmodat.calls() == 1);
  ::umask(before);
}

TEST_CASE_METHOD(unix_scripted, "a bind fails if its file does not get the mode", "[scripted]")
{
  script.fchmod.push(fail(EINVAL));  // as on systems that do not know it
  script.fchmodat.push(fail(EPERM));
  unix_socket socket(io, unix_dgram(), {.file_mode = 0421});
  dgram::error_code ec;
  socket.bind(path, ec);
  CHECK(ec == asio::error::no_permission);
  struct ::stat status;
  CHECK(::lstat(path.c_str(), &status) != 0);

  script.fchmod.push(fail(EINVAL));
  const unix_socket late(io, path, {.file_mode = 0421});
  CHECK(::lstat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0421);
}

#endif

#if defined(__linux__)

TEST_CASE_METHOD(unix_scripted, "an exchange asks for the name that Linux gives at the first send",
                 "[unix]")
{
  if (!dgram::supports<dgram::option::receive_credentials>(unix_dgram()))
    SKIP("this backend has no credentials");
  const bool refused = GENERATE(false, true);
  const unix_socket server(io, unix_endpoint(path));
  unix_socket socket(io, unix_dgram{});
  socket.set_option(dgram::option::receive_credentials(true));
  dgram::error_code said;
  dgram::exchanger client{socket, dgram::same_bytes{0, 2}};
  if (refused) script.bind.push(fail(EINVAL));
  const std::size_t before = script.bind.calls();
  client.async_exchange("id", unix_endpoint(path),
                        [&](dgram::error_code ec, const auto&) { said = ec; });
  CHECK(dgram::is_unnamed(socket.local_endpoint()) == refused);
  CHECK(script.bind.calls() == before + 1);
  io.poll();
  CHECK(said == (refused ? dgram::error_code(asio::error::invalid_argument) : dgram::error_code()));
}

#endif

}  // namespace unix_test
