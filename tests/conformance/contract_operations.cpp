// SPDX-License-Identifier: BSL-1.0
// The objects of the table of operations, and the rows of sockets, readers, writers and groups.
#include "conformance/contract.hpp"

#include <catch2/catch_test_macros.hpp>

#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>

namespace contract {

using clock = std::chrono::steady_clock;
using dgram::event::message;

world::world() = default;
world::~world() = default;

void world::make_socket()
{
  socket.emplace(*io, test::loopback_v4());
}

void world::make_unbound()
{
  socket.emplace(*io, dgram::udp::v4());
}

void world::make_reports()
{
  if (!dgram::platform::has_error_queue) SKIP("this system has no error queue");
  make_socket();
  socket->set_option(dgram::option::receive_error(true));
}

void world::make_timestamps()
{
  make_reports();
}

void world::make_reader()
{
  make_socket();
  reader.emplace(*socket);
}

void world::make_crowded()
{
  const dgram::unix_dgram::endpoint at(directory / "silent");
  silent.emplace(*io, at);
  crowded.emplace(*io, dgram::unix_dgram());
  crowded->connect(at);
  const std::string large(1000, 'x');
  while (crowded->try_send(asio::buffer(large))) {}
  crowded_reader.emplace(*crowded);
  writer.emplace(*crowded_reader, dgram::writer_config{.datagrams = 2});
  while (writer->try_send(large)) {}
}

void world::make_listener()
{
  make_socket();
  listener.emplace(*socket, dgram::listener_config{.amplification = 0, .slots = 4});
}

void world::make_other_form()
{
  make_listener();
  bool ended = false;
  listener->async_for_each([](const dgram::udp::session_ref&, const dgram::datagram&) {},
                           [&](dgram::error_code) { ended = true; });
  listener->cancel();
  run_until([&] { return ended; });
}

void world::make_session()
{
  make_listener();
  listener->async_accept([this](dgram::error_code, std::optional<dgram::udp::session> accepted) {
    session = std::move(accepted);
  });
  deliver();
  run_until([this] { return session.has_value(); });
  while (session->try_next()) {}
}

void world::make_exchanger()
{
  make_socket();
  exchanger.emplace(*socket, dgram::same_bytes{0, 2});
}

void world::make_member()
{
  group.emplace(test::loopback_v4());
  first.emplace(group->open(*io));
}

void world::make_group()
{
  make_member();
  dgram::error_code ec;
  last.emplace(group->open(*io, ec));
  if (ec == asio::error::operation_not_supported) SKIP("this system has no groups");
  REQUIRE_FALSE(ec);
}

void world::make_closed_member()
{
  make_group();
  last->close();
}

void world::offer()
{
  given.emplace(*io, test::loopback_v4());
  dgram::async_hand_over(*given, path(), [](dgram::error_code, const auto&) {});
}

/// Listens at the path, and never says a word.
void world::listen_in_silence()
{
  ::sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::strncpy(at.sun_path, path().c_str(), sizeof at.sun_path - 1);
  listening.emplace(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
  REQUIRE(::bind(listening->get(), reinterpret_cast<const ::sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(listening->get(), 4) == 0);
}

void world::make_emitter()
{
  dgram::socket_options options{.type = dgram::udp4};
  options.lookup = [this](const std::string&, dgram::socket_type,
                          const dgram::lookup_result& report) {
    lookup = [report] { report({}, asio::ip::address_v4::loopback()); };
  };
  emitter.emplace(dgram::create_socket(*io, std::move(options)));
  emitter->on<dgram::event::error>([](const dgram::failure&) {});
}

void world::make_bound()
{
  make_emitter();
  emitter->bind_sync(0, "127.0.0.1");
  messages.emplace(emitter->stream<message>());
  poll();
}

/// A server whose socket cannot send, because its peer does not read what it has been sent.
void world::make_blocked()
{
  const dgram::unix_dgram::endpoint at(directory / "host");
  silent.emplace(*io, dgram::unix_dgram::endpoint(directory / "silent"));
  crowded.emplace(*io, at);
  host.emplace(*crowded,
               dgram::listener_config{
                   .amplification = 0,
                   .slots = 4,
                   .queue = {.datagrams = 2, .when_peer_full = dgram::full_policy::wait}});
  host->async_accept([this](dgram::error_code, std::optional<dgram::unix_dgram::session> accepted) {
    guest = std::move(accepted);
  });
  silent->send_to(asio::buffer(text), at);
  run_until([this] { return guest.has_value(); });
  const std::string large(1000, 'x');
  const auto fill = [&] {
    int count = 0;
    while (guest->try_send(large))
      ++count;
    poll();
    return count;
  };
  while (fill() > 0) {}
}

void world::make_net()
{
  net.emplace(*io);
  near_socket.emplace(*net, dgram::sim::location{"10.0.0.1", 7000});
  far_socket.emplace(*net, dgram::sim::location{"10.0.0.2", 7000});
  far = far_socket->local_endpoint();
  near_timer.emplace(*io, std::chrono::seconds(1));
}

void world::cause_report()
{
  socket->send_to(asio::buffer(text), test::dead_endpoint());
}

void world::send_own()
{
  socket->send_to(asio::buffer(text), to_peer, dgram::send_options{.timestamp = true});
}

void world::answer()
{
  resolver.answer();
}

void world::deliver()
{
  peer.send_to(asio::buffer(text), socket->local_endpoint());
}

void world::drain_silent()
{
  std::array<char, 2000> unread{};
  while (silent->try_receive(asio::buffer(unread))) {}
}

void world::take()
{
  dgram::async_take_over(*io, path(), [](dgram::error_code, const auto&) {});
}

void world::look_up()
{
  lookup();
}

void world::deliver_to_emitter()
{
  peer.send_to(asio::buffer(text), emitter->next_layer().local_endpoint());
}

void world::send_far()
{
  far_socket->send_to(asio::buffer(text), near_socket->local_endpoint());
}

void world::poll()
{
  io->restart();
  while (io->poll() > 0) {}
}

void world::run_until(const std::function<bool()>& condition)
{
  const auto deadline = clock::now() + test::seconds(10);
  while (!condition()) {
    if (clock::now() > deadline) FAIL("nothing happened any more, or not in time");
    io->restart();
    if (net)
      net->run();
    else
      io->run_one_for(test::milliseconds(50));
  }
}

void world::destroy_objects()
{
  near_timer.reset();
  near_socket.reset();
  far_socket.reset();
  net.reset();
  messages.reset();
  emitter.reset();
  group.reset();
  first.reset();
  last.reset();
  exchanger.reset();
  guest.reset();
  host.reset();
  session.reset();
  listener.reset();
  writer.reset();
  crowded_reader.reset();
  crowded.reset();
  silent.reset();
  reader.reset();
  socket.reset();
  given.reset();
}

void world::move_objects()
{
  near_timer.move();
  near_socket.move();
  far_socket.move();
  messages.move();
  emitter.move();
  group.move();
  first.move();
  last.move();
  exchanger.move();
  guest.move();
  host.move();
  session.move();
  listener.move();
  writer.move();
  crowded_reader.move();
  crowded.move();
  silent.move();
  reader.move();
  socket.move();
  given.move();
}

std::vector<operation> socket_operations()
{
  return {
      // a socket's
      DGRAM_OPERATION(by_socket | again | on_object | stays, make_reports, cause_report,
                      w.socket->async_receive_error(h)),
      DGRAM_OPERATION(by_socket | again | on_object | stays, make_timestamps, send_own,
                      w.socket->async_send_timestamp(h)),
      DGRAM_OPERATION(at_once | not_cancellable, make_socket, nothing,
                      dgram::async_connect(*w.socket, w.peers, h)),
      DGRAM_OPERATION(at_once | not_cancellable, make_socket, nothing,
                      dgram::async_connect(*w.socket, w.peers.begin(), w.peers.end(), h)),

      // by name
      DGRAM_OPERATION(by_socket, make_unbound, answer,
                      dgram::async_bind(*w.socket, "name", "9", w.resolver, h)),
      DGRAM_OPERATION(by_socket, make_socket, answer,
                      dgram::async_connect(*w.socket, "name", "9", w.resolver, h)),
      DGRAM_OPERATION(
          by_socket | again | two_steps, make_socket, answer,
          dgram::async_send_to(*w.socket, asio::buffer(w.text), "name", "9", w.resolver, h)),
      DGRAM_OPERATION(at_once | not_cancellable, make_socket, nothing,
                      dgram::async_connect(*w.socket, "127.0.0.1", "9", h)),
      DGRAM_OPERATION(at_once | not_cancellable | fails | again, make_socket, nothing,
                      dgram::async_connect(*w.socket, "no address", "", h)),
      DGRAM_OPERATION(at_once | not_cancellable | again, make_socket, nothing,
                      dgram::async_send_to(*w.socket, asio::buffer(w.text), "127.0.0.1", "9", h)),

      // a reader's and a writer's
      DGRAM_OPERATION(
          by_socket | stays, make_reader, deliver,
          w.reader->async_for_each([&w](const dgram::datagram&) { w.reader->stop(); }, h)),
      DGRAM_OPERATION(again | stays, make_crowded, drain_silent, w.writer->async_flush(h)),

      // a group's
      DGRAM_OPERATION(by_itself | foreign_memory, make_group, nothing,
                      w.group->async_drain_last(h)),
      DGRAM_OPERATION(by_itself | foreign_memory, make_group, nothing,
                      w.group->async_close_last(h)),
      DGRAM_OPERATION(at_once | posts | foreign_memory | fails | not_cancellable | again,
                      make_member, nothing, w.group->async_close_last(h)),
      DGRAM_OPERATION(at_once | posts | foreign_memory | not_cancellable, make_closed_member,
                      nothing, w.group->async_close_last(h)),

      // between processes
      DGRAM_OPERATION(by_socket | exclusive, make_socket, take,
                      dgram::async_hand_over(*w.socket, w.path(), h)),
      DGRAM_OPERATION(at_once | fails | not_cancellable | again, make_socket, nothing,
                      dgram::async_hand_over(*w.socket, "", h)),
      DGRAM_OPERATION(by_itself, offer, nothing, dgram::async_take_over(w.executor(), w.path(), h)),
      DGRAM_OPERATION(fails, listen_in_silence, end_silence,
                      dgram::async_take_over(w.executor(), w.path(), h)),
  };
}

}  // namespace contract
