// SPDX-License-Identifier: BSL-1.0
// A peer to which no datagram can be sent: the other peer gets everything, and each datagram its own result.
#include "support/loopback.hpp"
#include "support/scripted_system.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bad_peer_test {

namespace {

using test::offered_message;
using test::script;
using texts = std::vector<std::string>;

enum class sender : std::uint8_t { batch, batch_without_handler, async_batch, writer, emitter };

constexpr int datagrams = 6;

texts expected()
{
  texts all;
  for (int i = 0; i < datagrams; ++i)
    all.push_back("good" + std::to_string(i));
  return all;
}

template <class Socket>
texts read_all(Socket& socket)
{
  texts got;
  std::array<char, 256> storage;
  while (const auto size = socket.try_receive(asio::buffer(storage)))
    got.emplace_back(storage.data(), *size);
  return got;
}

void run_ready(asio::io_context& io)
{
  io.restart();
  while (io.poll() > 0) {}
}

template <class Batch, class Endpoint>
void fill(Batch& batch, const Endpoint& bad, const Endpoint& good)
{
  for (int i = 0; i < datagrams; ++i) {
    batch.push("bad" + std::to_string(i), bad);
    batch.push("good" + std::to_string(i), good);
  }
}

/// Sends to both peers in turn, in this way. Returns the errors of the bad peer's datagrams.
template <class Socket>
std::vector<int> send(sender how, asio::io_context& io, Socket& socket,
                      const typename Socket::endpoint_type& bad,
                      const typename Socket::endpoint_type& good)
{
  using protocol = typename Socket::protocol_type;
  std::vector<int> errors;
  dgram::basic_send_batch<protocol> batch({.datagrams = 64, .copy = true});
  const auto note = [&](dgram::error_code ec, const auto& to, std::size_t size) {
    CHECK(to == bad);
    CHECK(size == 4);
    errors.push_back(ec.value());
  };
  switch (how) {
  case sender::batch_without_handler:
    fill(batch, bad, good);
    while (!batch.empty()) {
      const auto result = socket.try_send_batch(batch);
      if (batch.empty()) break;
      errors.push_back(result.error.value());
      CHECK(batch.front_peer() == bad);
      batch.drop_front();
    }
    break;
  case sender::batch:
  case sender::async_batch:
    fill(batch, bad, good);
    batch.on_refused(note);
    if (how == sender::batch) {
      CHECK(socket.try_send_batch(batch).sent == datagrams);
    } else {
      std::optional<dgram::send_result> result;
      socket.async_send_batch(batch,
                              [&](dgram::error_code, dgram::send_result told) { result = told; });
      run_ready(io);
      REQUIRE(result);
      CHECK(result->sent == datagrams);
    }
    CHECK(batch.empty());
    break;
  case sender::writer: {
    dgram::writer writer{socket};
    writer.on_error(note);
    for (int i = 0; i < datagrams; ++i) {
      CHECK(writer.try_send("bad" + std::to_string(i), bad));
      CHECK(writer.try_send("good" + std::to_string(i), good));
    }
    run_ready(io);
    CHECK(writer.size() == 0);
    CHECK(writer.statistics().sent == datagrams);
    CHECK(writer.statistics().refused == datagrams);
    break;
  }
  case sender::emitter: break;
  }
  return errors;
}

/// The same for an emitter, which names its peers.
template <class Emitter, class Send>
std::vector<int> send_by_emitter(asio::io_context& io, Emitter& socket, Send send)
{
  std::vector<int> errors;
  std::vector<int> sent;
  socket.template on<dgram::event::error>(
      [](const dgram::failure& why) { FAIL_CHECK(why.text()); });
  for (int i = 0; i < datagrams; ++i) {
    send(true, "bad" + std::to_string(i),
         [&](const dgram::failure& why) { errors.push_back(why.code.value()); });
    send(false, "good" + std::to_string(i), [&sent, i](dgram::error_code ec, std::size_t size) {
      CHECK_FALSE(ec);
      CHECK(size == 5);
      sent.push_back(i);
    });
  }
  run_ready(io);
  CHECK(sent == std::vector<int>{0, 1, 2, 3, 4, 5});
  socket.close();
  run_ready(io);
  return errors;
}

sender any_sender()
{
  return GENERATE(sender::batch, sender::batch_without_handler, sender::async_batch, sender::writer,
                  sender::emitter);
}

}  // namespace

TEST_CASE_METHOD(test::scripted, "an error of one UDP peer costs the other one no datagram",
                 "[refusals][F7]")
{
  const auto how = any_sender();
  const int error =
      GENERATE(EPERM, EACCES, EMSGSIZE, EINVAL, ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN,
               EADDRNOTAVAIL, EAFNOSUPPORT, ENODEV, EIO, EPROTO, EOPNOTSUPP, ENOPROTOOPT);
  CAPTURE(static_cast<int>(how), error);
  asio::io_context io;
  dgram::udp::socket good(io, test::loopback_v4());
  const test::endpoint bad(test::loopback_v4(9));
  script.verdict = [&](const offered_message& message, std::size_t) {
    return message.peer == bad ? error : 0;
  };
  std::vector<int> errors;
  if (how == sender::emitter) {
    auto socket = dgram::create_socket(io, dgram::socket_type::udp4);
    errors = send_by_emitter(io, socket, [&](bool is_bad, const std::string& text, auto done) {
      socket.send(text, is_bad ? 9 : good.local_endpoint().port(), "127.0.0.1", std::move(done));
    });
  } else {
    dgram::udp::socket socket(io, test::loopback_v4());
    errors = send(how, io, socket, bad, good.local_endpoint());
  }
  CHECK(errors == std::vector<int>(datagrams, error));
  CHECK(read_all(good) == expected());
}

TEST_CASE_METHOD(test::scripted, "UNX-21 an error of one Unix peer costs the other one no datagram",
                 "[refusals][unix][F7]")
{
  using dgram::unix_dgram;
  const auto how = any_sender();
  const int error = GENERATE(ENOENT, ECONNREFUSED, EPROTOTYPE, EPERM, EPIPE, ENOTDIR);
  CAPTURE(static_cast<int>(how), error);
  const test::temporary_directory folder;
  asio::io_context io;
  unix_dgram::socket good(io, folder / "good");
  const std::string good_path = folder / "good";
  std::string bad_path = folder / "bad";

  // The kernel makes each of these errors itself.
  unix_dgram::socket peer(io, unix_dgram{});
  const int stream = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (error == EPROTOTYPE) {
    const unix_dgram::endpoint local(bad_path);
    REQUIRE(::bind(stream, local.data(), static_cast<::socklen_t>(local.size())) == 0);
  } else if (error == ENOTDIR) {
    bad_path = folder / "good/bad";
  } else if (error != ENOENT) {
    peer.bind(bad_path);
    if (error == ECONNREFUSED) {
      const int descriptor = peer.release();
      ::close(descriptor);
    }
    if (error == EPIPE) peer.shutdown(asio::socket_base::shutdown_receive);
    if (error == EPERM) peer.connect(good_path);
  }

  std::vector<int> errors;
  if (how == sender::emitter) {
    auto socket = dgram::create_unix_socket(io);
    errors = send_by_emitter(io, socket, [&](bool is_bad, const std::string& text, auto done) {
      socket.send(text, is_bad ? bad_path : good_path, std::move(done));
    });
  } else {
    unix_dgram::socket socket(io, unix_dgram{});
    errors = send(how, io, socket, unix_dgram::endpoint(bad_path), unix_dgram::endpoint(good_path));
  }
  ::close(stream);
  CHECK(errors == std::vector<int>(datagrams, error));
  CHECK(read_all(good) == expected());
}

}  // namespace bad_peer_test
