// SPDX-License-Identifier: BSL-1.0
// The objects that operations are tried on, and the check that they still work.
#include "faults/operations.hpp"
#include "support/listener_account.hpp"
#include "support/loopback.hpp"

#include <dgram/hand_over.hpp>

#include <catch2/catch_test_macros.hpp>

#include <poll.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace faults {

namespace event = dgram::event;

world::world(place wanted) : where(wanted), peer(io, test::loopback_v4())
{
  to_peer = peer.local_endpoint();
  nearby_resolver::found_port = to_peer.port();
  make_objects();
}

world::~world() = default;

void world::make_objects()
{
  switch (where) {
  case place::closed: socket.emplace(io); return;
  case place::socket: make_socket(dgram::udp::v4()); return;
  case place::dual: make_socket(test::has_ipv6() ? dgram::udp::dual() : dgram::udp::v4()); return;
  case place::connected:
    make_socket(dgram::udp::v4());
    socket->connect(to_peer);
    return;
  case place::reports:
    make_socket(dgram::udp::v4());
    if (dgram::platform::has_error_queue) socket->set_option(dgram::option::receive_error(true));
    return;
  case place::reader:
    make_socket(dgram::udp::v4());
    // Small, so that each try is cheap; without coalescing, so that single receives show what is
    // left.
    reader.emplace(*socket, dgram::reader_config{.slots = 4, .slot_size = 256, .coalesce = false});
    writer.emplace(*reader, dgram::writer_config{.datagrams = 4, .bytes = 64});
    return;
  case place::listening:
  case place::session: make_listener(); return;
  case place::exchanging: make_exchanger(); return;
  case place::emitter: make_emitter(); return;
  case place::bound:
    make_emitter();
    bind_emitter();
    return;
  case place::unix_bound:
  case place::unix_closed: make_unix(); return;
  }
}

void world::make_socket(dgram::udp with)
{
  socket.emplace(io, with);
  socket->bind(test::loopback_v4());
}

void world::make_listener()
{
  session.reset();
  listener.reset();
  if (!socket || !socket->is_open()) make_socket(dgram::udp::v4());
  listener.emplace(*socket, dgram::listener_config{.amplification = 0,
                                                   .slots = 4,
                                                   .slot_size = 256,
                                                   .coalesce = false,
                                                   .queue = {.datagrams = 4, .bytes = 64}});
  if (where != place::session) return;
  listener->async_accept([this](dgram::error_code, std::optional<dgram::udp::session> accepted) {
    session = std::move(accepted);
  });
  peer.send_to(asio::buffer("hello", 5), socket->local_endpoint());
  run_until([this] { return session.has_value(); });
  while (session->try_next()) {}
}

void world::make_exchanger()
{
  exchanger.reset();
  if (!socket || !socket->is_open()) make_socket(dgram::udp::v4());
  exchanger.emplace(
      *socket, dgram::same_bytes{0, 2},
      dgram::exchanger_config{
          .slots = 4, .slot_size = 256, .coalesce = false, .queue = {.datagrams = 4, .bytes = 64}});
}

void world::make_emitter()
{
  dgram::socket_options options{.type = dgram::udp4};
  options.lookup = [](const std::string&, dgram::socket_type, const dgram::lookup_result& report) {
    report({}, asio::ip::address_v4::loopback());
  };
  emitter.emplace(dgram::create_socket(io, std::move(options)));
  emitter->on<event::message>([this](dgram::bytes_view, const dgram::remote_info&) { ++messages; });
  emitter->on<event::error>([this](const dgram::failure&) { ++errors; });
}

void world::bind_emitter()
{
  // A pause closes the socket and binds the same port again.
  if (!emitter_port) emitter_port.emplace();
  emitter->bind_sync(emitter_port->number(), "127.0.0.1");
  run_ready();
}

void world::make_unix()
{
  if (!directory) directory.emplace();
  unix_to_peer = dgram::unix_dgram::endpoint(*directory / "peer");
  unix_peer.emplace(io, unix_to_peer);
  unix_socket.emplace(io);
  const dgram::unix_dgram::endpoint own(*directory / "own");
  if (where == place::unix_bound) {
    unix_socket->open();
    unix_socket->bind(own);
    return;
  }
  // Leaves a file behind, as a crash does.
  asio::local::datagram_protocol::socket crashed(io, own);
}

bool world::run_ready()
{
  bool done = false;
  io.restart();
  for (int left = 1000; left > 0; --left) {
    try {
      if (io.poll_one() == 0) return done;
      ++turns;
      done = true;
    } catch (const std::exception&) {
      ++throws;
      done = true;
    }
  }
  return done;
}

bool world::run_one_for(std::chrono::steady_clock::duration limit)
{
  try {
    io.restart();
    if (io.run_one_for(limit) == 0) return false;
    ++turns;
  } catch (const std::exception&) {
    ++throws;
  }
  return true;
}

void world::run_until(const std::function<bool()>& condition)
{
  const auto deadline = std::chrono::steady_clock::now() + test::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline)
      FAIL("nothing happened any more, or not in time");
    run_one_for(test::milliseconds(100));
  }
}

std::string world::hand_over_path()
{
  if (!directory) directory.emplace();
  return *directory / "hand-over";
}

void world::supply_process(need what)
{
  if (what == need::taker) {
    dgram::async_take_over(io, hand_over_path(), [](dgram::error_code, const auto&) {});
    return;
  }
  if (!giving.expired()) return;
  if (!given) given.emplace(io, test::loopback_v4());
  const auto mark = std::make_shared<bool>();
  giving = mark;
  dgram::async_hand_over(*given, hand_over_path(), [mark](dgram::error_code, const auto&) {});
}

void world::supply(need what)
{
  dgram::error_code ignored;
  if (what == need::taker || what == need::giver) {
    // The trouble meets the other process too.
    try {
      supply_process(what);
    } catch (const std::exception&) {
      ++throws;
    }
    return;
  }
  if (what == need::report) {
    if (socket->is_open()) socket->try_send_to(asio::buffer(text), test::loopback_v4(9), ignored);
    return;
  }
  if (what != need::datagram) return;
  if (unix_socket) {
    const auto to = unix_socket->local_endpoint(ignored);
    unix_peer->try_send_to(asio::buffer(text), to, ignored);
    return;
  }
  dgram::udp::endpoint to;
  // A receive that fails without a descriptor ends the receiving.
  if (emitter) {
    const auto now = emitter->state();
    if (now.bound && !now.receiving && !now.closing && !now.closed) emitter->recv_start();
  }
  if (emitter && emitter->state().bound)
    to = emitter->next_layer().local_endpoint(ignored);
  else if (socket)
    to = socket->local_endpoint(ignored);
  if (to.port() != 0) peer.send_to(asio::buffer(text), to, 0, ignored);
}

std::string world::next_at_peer()
{
  ::pollfd readable{peer.native_handle(), POLLIN, 0};
  if (::poll(&readable, 1, 5000) != 1) return "<nothing came>";
  std::array<char, 256> bytes;
  return {bytes.data(), peer.receive(asio::buffer(bytes))};
}

/// What came before is of the operation that was tried.
void world::expect_at_peer(std::string_view payload)
{
  std::string last;
  do
    last = next_at_peer();
  while (last != payload && last != "<nothing came>");
  CHECK(last == payload);
}

void world::check_that_it_works()
{
  switch (where) {
  case place::reader: check_reader(); return;
  case place::listening:
  case place::session: check_listener(); return;
  case place::exchanging: check_exchanger(); return;
  case place::emitter:
  case place::bound: check_emitter(); return;
  case place::unix_bound:
  case place::unix_closed: check_unix(); return;
  default: check_socket();
  }
}

void world::check_socket()
{
  dgram::error_code ec;
  if (!socket->is_open()) socket->open(dgram::udp::v4());
  if (socket->local_endpoint().port() == 0) socket->bind(test::loopback_v4());
  socket->remote_endpoint(ec);
  const bool is_connected = !ec;
  if (!is_connected) socket->send_to(asio::buffer("single", 6), to_peer);
  if (is_connected && socket->remote_endpoint() != to_peer) socket->connect(to_peer);
  if (is_connected) socket->send(asio::buffer("single", 6));
  expect_at_peer("single");
  dgram::send_batch batch(2);
  for (const std::string_view payload : {"in a batch", "of two"})
    is_connected ? batch.push(payload) : batch.push(payload, to_peer);
  const auto sent = socket->send_batch(batch);
  CHECK_FALSE(sent.error);
  CHECK(sent.sent == 2);
  expect_at_peer("of two");

  peer.send_to(asio::buffer("answer", 6), socket->local_endpoint());
  std::array<char, 256> bytes;
  std::string last;
  for (int left = 100; left > 0 && last != "answer"; --left) {
    dgram::udp::endpoint from;
    ec.clear();
    last = std::string(bytes.data(), socket->try_receive_from(asio::buffer(bytes), from, ec));
    // As documented for a socket that may coalesce.
    if (ec == dgram::error::coalescing) {
      dgram::receive_batch all(1);
      socket->try_receive_batch(all, ec);
      if (!ec) last = all[0].payload().text();
    }
    if (ec == asio::error::would_block) socket->wait(asio::socket_base::wait_read);
  }
  CHECK(last == "answer");
}

void world::check_reader()
{
  if (!socket->is_open()) {
    socket->open(dgram::udp::v4());
    socket->bind(test::loopback_v4());
    reader.emplace(*socket);
    writer.emplace(*reader);
  }
  // What was tried may have failed to make one anew.
  if (!writer) writer.emplace(*reader);
  bool done = false;
  asio::co_spawn(
      io,
      [this]() -> asio::awaitable<void> {
        co_await writer->send(dgram::bytes_view("to the peer"), to_peer);
        co_await writer->flush();
        expect_at_peer("to the peer");
        peer.send_to(asio::buffer("answer", 6), socket->local_endpoint());
        std::string last;
        while (last != "answer") {
          const auto datagram = co_await reader->next();
          REQUIRE(datagram);
          last = datagram->payload().text();
        }
      },
      [&](const std::exception_ptr& failed) {
        done = true;
        if (failed) std::rethrow_exception(failed);
      });
  run_until([&] { return done; });
  CHECK(writer->size() == 0);
}

void world::check_listener()
{
  const auto counts = listener->statistics();
  CHECK(test::is_balanced(counts));
  // The socket may have been closed, or have failed.
  const bool has_session = session && session->is_open();
  // A listener keeps its form, so the one in place needs another.
  if (where == place::listening || listener->is_stopped() || !has_session) make_listener();
  peer.send_to(asio::buffer("answer", 6), socket->local_endpoint());
  std::string last;
  if (where == place::session) {
    CHECK(session->try_send("to the peer"));
    while (last != "answer") {
      bool done = false;
      session->async_next(
          [&](dgram::error_code ec, const std::optional<dgram::datagram>& datagram) {
            done = true;
            CHECK_FALSE(ec);
            last = datagram ? datagram->payload().text() : "answer";
            CHECK(datagram);
          });
      run_until([&] { return done; });
    }
  } else {
    listener->async_for_each(
        [&](const dgram::udp::session_ref& from, const dgram::datagram& datagram) {
          last = datagram.payload().text();
          if (last == "answer") CHECK(from.try_send("to the peer"));
        },
        [](dgram::error_code) {});
    run_until([&] { return last == "answer"; });
  }
  run_until([this] {
    const auto sending = listener->statistics().sending;
    return sending.queued == sending.sent + sending.refused + sending.lost;
  });
  expect_at_peer("to the peer");
}

void world::check_exchanger()
{
  // The socket may have been closed.
  if (exchanger->is_closed() || !socket->is_open()) make_exchanger();
  exchanger->cancel();
  bool done = false;
  // Without batches of the system's own, a receive may meet an error behind the last datagram. The
  // next exchange gets it, or none if it is one that a peer can cause.
  if (socket->handle().has_pending_error()) {
    exchanger->async_exchange("to no peer", to_peer, [&](dgram::error_code ec, const auto&) {
      done = true;
      CHECK(ec);
    });
    run_until([&] { return done || !socket->handle().has_pending_error(); });
    exchanger->cancel();
    run_until([&] { return done; });
    done = false;
    while (peer.available() > 0) {
      std::array<char, 64> unused{};
      peer.receive(asio::buffer(unused));
    }
  }
  const auto before = exchanger->statistics().sending.sent;
  exchanger->async_exchange("to the peer", to_peer, [&](dgram::error_code ec, const auto& answer) {
    done = true;
    CHECK_FALSE(ec);
    CHECK(answer.payload().text() == "to the client");
  });
  run_until([&] { return exchanger->statistics().sending.sent > before; });
  expect_at_peer("to the peer");
  peer.send_to(asio::buffer("to the client", 13), socket->local_endpoint());
  run_until([&] { return done; });
  const auto counts = exchanger->statistics();
  CHECK(counts.begun == counts.answered + counts.timed_out + counts.refused + counts.failed +
                            counts.cancelled + counts.outstanding);
  CHECK(counts.outstanding == 0);
}

void world::check_emitter()
{
  auto& socket_ = *emitter;
  dgram::resume_sockets(io);
  run_ready();
  if (socket_.state().closed) return;
  if (!socket_.state().bound) bind_emitter();
  run_until([&] { return socket_.state().bound; });
  bool told = false;
  dgram::error_code ec;
  const auto note = [&](dgram::error_code code) {
    told = true;
    ec = code;
  };
  if (socket_.state().connected)
    socket_.send("works", note);
  else
    socket_.send("works", to_peer.port(), "127.0.0.1", note);
  run_until([&] { return told; });
  CHECK_FALSE(ec);
  expect_at_peer("works");
  if (!socket_.state().receiving) socket_.recv_start();
  const auto before = messages;
  peer.send_to(asio::buffer("answer", 6),
               dgram::udp::endpoint(asio::ip::address_v4::loopback(), socket_.address().port));
  run_until([&] { return messages > before; });
  bool closed = false;
  socket_.close([&] { closed = true; });
  run_until([&] { return closed; });
}

void world::check_unix()
{
  auto& own = *unix_socket;
  // A bind that could not set the permissions of its file has removed the file.
  if (!std::filesystem::exists(std::string(*directory / "own"))) own.close();
  if (!own.is_open()) own.open();
  if (dgram::is_unnamed(own.local_endpoint()))
    own.bind(dgram::unix_dgram::endpoint(*directory / "own"));
  own.send_to(asio::buffer("works", 5), unix_to_peer);
  std::array<char, 256> bytes;
  std::string last;
  for (int left = 100; left > 0 && last != "works"; --left) {
    dgram::error_code ec;
    last = std::string(bytes.data(), unix_peer->try_receive(asio::buffer(bytes), ec));
  }
  CHECK(last == "works");
  unix_peer->send_to(asio::buffer("answer", 6), own.local_endpoint());
  for (int left = 100; left > 0 && last != "answer"; --left) {
    dgram::error_code ec;
    last = std::string(bytes.data(), own.try_receive(asio::buffer(bytes), ec));
  }
  CHECK(last == "answer");
}

void world::destroy_objects()
{
  writer.reset();
  reader.reset();
  session.reset();
  listener.reset();
  exchanger.reset();
  socket.reset();
  messages_of.reset();
  emitter.reset();
  unix_socket.reset();
  unix_peer.reset();
  given.reset();
}

int open_descriptors()
{
  int count = 0;
  for (int fd = 0; fd < 128; ++fd)
    if (::fcntl(fd, F_GETFD) != -1) ++count;
  return count;
}

}  // namespace faults
