// SPDX-License-Identifier: BSL-1.0
// The table of the operations that are tried: one line each.
#include "faults/operations.hpp"

#include <dgram/activation.hpp>
#include <dgram/connect.hpp>
#include <dgram/descriptors.hpp>
#include <dgram/hand_over.hpp>
#include <dgram/resolve.hpp>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include <unistd.h>

namespace faults {

namespace {

namespace event = dgram::event;
using asio::buffer;
using std::chrono::hours;

void fill(world& w)
{
  for (const char* payload : {"one", "two", "three"})
    w.out.push(payload, w.to_peer);
}

void cancel(world& w)
{
  dgram::error_code ignored;
  if (w.socket) w.socket->cancel(ignored);
}

/// On error the descriptor is still the caller's.
void assign_again(world& w)
{
  const int descriptor = w.socket->release();
  dgram::error_code ec;
  w.socket->assign(dgram::udp::v4(), descriptor, ec);
  if (ec) ::close(descriptor);
}

/// On error the descriptor is closed.
void adopt_again(world& w)
{
  *w.socket = dgram::adopt<dgram::udp>(w.io, dgram::owned_descriptor(w.socket->release()));
}

void receive_after_shutdown(world& w)
{
  dgram::error_code ec;
  w.socket->shutdown(asio::socket_base::shutdown_receive);
  w.socket->receive_batch(w.in, ec);
  w.socket->close();
}

void send_own_descriptor(world& w)
{
  const std::array passed{w.unix_socket->native_handle()};
  dgram::send_descriptors(*w.unix_socket, buffer(w.text), passed, w.unix_to_peer);
}

/// The peer is in the place of the service manager.
void store_for_next_process(world& w)
{
  struct variable {
    explicit variable(const std::string& value) { ::setenv("NOTIFY_SOCKET", value.c_str(), 1); }
    variable(const variable&) = delete;
    variable& operator=(const variable&) = delete;
    ~variable() { ::unsetenv("NOTIFY_SOCKET"); }
  } const manager(w.unix_to_peer.path());
  dgram::store_in_systemd("stored", *w.unix_socket);
}

/// The umask takes permissions away, which are set behind the bind.
void bind_with_mode(world& w)
{
  w.unix_socket->open({}, {.file_mode = 0777});
  w.unix_socket->bind(dgram::unix_dgram::endpoint(*w.directory / "own"));
}

void bind_relative_path(world& w)
{
  const auto path = std::filesystem::relative(*w.directory / "own");
  w.unix_socket->open();
  w.unix_socket->bind(dgram::unix_dgram::endpoint(path.string()));
}

// The objects of a coroutine may be gone when it goes on.

asio::awaitable<void> flush(world& w)
{
  if (w.writer) co_await w.writer->flush();
}

asio::awaitable<void> send_and_flush(world& w)
{
  if (w.writer) w.writer->try_send(w.text, w.to_peer);
  co_await flush(w);
}

asio::awaitable<void> send_many(world& w)
{
  // More than there is room for, so that it has to wait, too.
  for (int i = 0; i < 6 && w.writer; ++i)
    co_await w.writer->send("one of six", w.to_peer);
  co_await flush(w);
}

asio::awaitable<void> push_many(world& w)
{
  for (int i = 0; i < 6 && w.writer; ++i)
    if (!w.writer->push("one of six", w.to_peer)) co_await w.writer->flush();
  co_await flush(w);
}

/// Returns false if there is no room now.
bool reserve_and_commit(world& w, std::string_view payload)
{
  const auto room = w.writer->reserve(payload.size());
  if (room.empty()) return false;
  std::memcpy(room.data(), payload.data(), payload.size());
  w.writer->commit(payload.size(), w.to_peer, {.number = 7});
  return true;
}

asio::awaitable<void> write_in_place(world& w)
{
  for (int i = 0; i < 6 && w.writer; ++i)
    if (!reserve_and_commit(w, "one of six")) co_await w.writer->flush();
  co_await flush(w);
}

asio::awaitable<void> answer_one(world& w)
{
  if (!w.reader) co_return;
  const auto datagram = co_await w.reader->next();
  if (datagram && w.writer) co_await w.writer->send(datagram->payload(), datagram->reply_path());
  co_await flush(w);
}

dgram::multicast_group group()
{
  return dgram::multicast_group{"239.255.77.8"};
}

dgram::network_interface loopback()
{
  return dgram::network_interface("lo");
}

dgram::udp::endpoint any_port()
{
  return {asio::ip::address_v4::loopback(), 0};
}

asio::awaitable<void> next(world& w)
{
  if (w.reader) co_await w.reader->next();
}

asio::awaitable<void> next_batch(world& w)
{
  if (w.reader) co_await w.reader->next_batch();
}

asio::awaitable<void> next_for(world& w)
{
  if (w.reader) co_await w.reader->next_for(hours(1));
}

asio::awaitable<void> next_batch_until(world& w)
{
  if (w.reader) co_await w.reader->next_batch_until(std::chrono::steady_clock::now() + hours(1));
}

asio::awaitable<void> next_of_session(world& w)
{
  if (w.session) co_await w.session->next();
}

asio::awaitable<void> next_of_session_for(world& w)
{
  if (w.session) co_await w.session->next_for(hours(1));
}

asio::awaitable<void> send_many_of_session(world& w)
{
  for (int i = 0; i < 6 && w.session; ++i)
    co_await w.session->send("one of six");
}

asio::awaitable<void> accept(world& w)
{
  if (w.listener) co_await w.listener->accept();
}

asio::awaitable<void> exchange(world& w)
{
  if (w.exchanger) co_await w.exchanger->exchange(w.text, w.to_peer);
}

/// As a callback of an emitter. It takes an error, or it would be a listener.
class told {
public:
  using cancellation_slot_type = asio::cancellation_slot;

  explicit told(const handler& h) : handler_(h) {}
  cancellation_slot_type get_cancellation_slot() const noexcept
  {
    return handler_.get_cancellation_slot();
  }
  void operator()(const dgram::error_code& ec) const { handler_(ec); }

private:
  handler handler_;
};

void next_of_stream(world& w, const handler& h)
{
  w.messages_of.emplace(w.emitter->stream<event::message>());
  w.messages_of->next(h);
}

const std::string long_name = "a-name-that-is-too-long-to-be-kept-within-a-string.test";

asio::awaitable<void> in_trouble(world& w, asio::awaitable<void> (*function)(world&))
{
  struct scope {
    world& objects;
    explicit scope(world& of) : objects(of)
    {
      if (objects.coroutine_begins) objects.coroutine_begins();
    }
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;
    ~scope()
    {
      if (objects.coroutine_ends) objects.coroutine_ends();
    }
  } const trouble(w);
  co_await function(w);
}

// `w` are the objects and `h` is the handler.
#define DGRAM_ASYNC(on, needs, ...)                          \
  {#__VA_ARGS__, place::on, need::needs, form::asynchronous, \
   []([[maybe_unused]] world& w, [[maybe_unused]] const handler& h) { __VA_ARGS__; }}
#define DGRAM_COROUTINE(on, needs, ...) DGRAM_SPAWNED(coroutine, on, needs, __VA_ARGS__)
#define DGRAM_WAITING_COROUTINE(on, needs, ...) \
  DGRAM_SPAWNED(waiting_coroutine, on, needs, __VA_ARGS__)
#define DGRAM_SPAWNED(how, on, needs, ...)          \
  {#__VA_ARGS__, place::on, need::needs, form::how, \
   [](world& w, const handler& h) { asio::co_spawn(w.io, in_trouble(w, __VA_ARGS__), h); }}
#define DGRAM_SYNC(on, needs, ...)                          \
  {#__VA_ARGS__, place::on, need::needs, form::synchronous, \
   []([[maybe_unused]] world& w, [[maybe_unused]] const handler& h) { __VA_ARGS__; }}

const operation table[] = {
    // opening and addresses
    DGRAM_SYNC(closed, nothing, w.socket->open(dgram::udp::v4(), {.reuse_address = true}),
               w.socket->bind(any_port())),
    DGRAM_SYNC(closed, nothing, w.socket->open(dgram::udp::dual())),
    DGRAM_SYNC(closed, nothing, w.socket->connect(w.to_peer)),
    DGRAM_SYNC(socket, nothing, w.socket->connect(w.to_peer)),
    DGRAM_SYNC(socket, nothing, assign_again(w)),
    DGRAM_SYNC(connected, nothing, w.socket->disconnect()),
    DGRAM_SYNC(connected, nothing, w.socket->reconnect(w.to_peer)),
    DGRAM_SYNC(socket, nothing, w.socket->path_mtu(w.to_peer)),
    DGRAM_SYNC(socket, nothing, w.socket->next_layer().local_endpoint(),
               w.socket->try_send_to(buffer(w.text), w.to_peer)),
    DGRAM_ASYNC(socket, nothing, w.socket->async_connect(w.to_peer, h)),
    DGRAM_ASYNC(socket, nothing, dgram::async_connect(*w.socket, "127.0.0.1", "9", h)),
    DGRAM_ASYNC(socket, nothing, dgram::async_connect(*w.socket, "name", "", w.resolver, h)),
    DGRAM_ASYNC(closed, nothing, dgram::async_connect(*w.socket, "name", "", w.resolver, h)),
    DGRAM_ASYNC(closed, nothing, dgram::async_connect(*w.socket, std::array{w.to_peer}, h)),
    DGRAM_ASYNC(closed, nothing, w.socket->open(),
                dgram::async_bind(*w.socket, "127.0.0.1", "0", h)),
    DGRAM_ASYNC(socket, nothing,
                dgram::async_send_to(*w.socket, buffer(w.text), "name", "", w.resolver, h)),

    // options and groups
    DGRAM_SYNC(socket, nothing, w.socket->set_option(dgram::option::coalescing(true)),
               w.socket->set_option(dgram::option::coalescing(false))),
    DGRAM_SYNC(socket, nothing, w.socket->set_option(dgram::option::packet_info(true))),
    DGRAM_SYNC(socket, nothing, w.socket->set_option(dgram::option::receive_timestamp(true))),
    DGRAM_SYNC(dual, nothing, w.socket->set_option(dgram::option::hop_limit(9))),
    DGRAM_SYNC(socket, nothing, w.socket->set_receive_buffer_size(10000)),
    DGRAM_SYNC(socket, nothing, w.socket->join(group(), loopback()),
               w.socket->leave(group(), loopback())),
    DGRAM_SYNC(socket, nothing, w.socket->join(group(), dgram::network_interface::all())),
    DGRAM_SYNC(socket, nothing, dgram::membership(*w.socket, group(), loopback())),
    DGRAM_SYNC(socket, nothing, dgram::list_interfaces()),

    // waits
    DGRAM_ASYNC(socket, datagram, w.socket->async_wait(asio::socket_base::wait_read, h)),
    DGRAM_ASYNC(socket, nothing, w.socket->async_wait(asio::socket_base::wait_write, h)),

    // one datagram out
    DGRAM_SYNC(socket, nothing, w.socket->send_to(buffer(w.text), w.to_peer)),
    DGRAM_SYNC(socket, nothing, w.socket->try_send_to(buffer(w.text), w.to_peer)),
    DGRAM_SYNC(socket, nothing,
               w.socket->send_to(buffer(w.text), w.to_peer, dgram::send_options{.hop_limit = 9})),
    DGRAM_SYNC(connected, nothing, w.socket->send(buffer(w.text))),
    DGRAM_SYNC(connected, nothing, w.socket->try_send(buffer(w.text))),
    DGRAM_SYNC(reports, nothing, w.socket->send_to(buffer(w.text), w.to_peer)),
    DGRAM_SYNC(dual, nothing, w.socket->try_send_to(buffer(w.text), w.to_peer)),
    DGRAM_ASYNC(socket, nothing, w.socket->async_send_to(buffer(w.text), w.to_peer, h)),
    DGRAM_ASYNC(socket, nothing,
                w.socket->async_send_to(buffer(w.text), w.to_peer,
                                        dgram::send_options{.hop_limit = 9}, h)),
    DGRAM_ASYNC(connected, nothing, w.socket->async_send(buffer(w.text), h)),
    DGRAM_ASYNC(connected, nothing,
                w.socket->async_send(buffer(w.text), dgram::send_options{.hop_limit = 9}, h)),
    DGRAM_ASYNC(reports, nothing, w.socket->async_send_to(buffer(w.text), w.to_peer, h)),
    DGRAM_ASYNC(dual, nothing, w.socket->async_send_to(buffer(w.text), w.to_peer, h)),

    // one datagram in
    DGRAM_SYNC(socket, datagram, w.socket->receive(buffer(w.storage))),
    DGRAM_SYNC(socket, datagram, w.socket->receive_from(buffer(w.storage), w.sender)),
    DGRAM_SYNC(socket, datagram, w.socket->receive_from(buffer(w.storage), w.info)),
    DGRAM_SYNC(socket, datagram, w.socket->try_receive(buffer(w.storage))),
    DGRAM_SYNC(socket, datagram, w.socket->try_receive_from(buffer(w.storage), w.info)),
    DGRAM_SYNC(reports, datagram, w.socket->receive_from(buffer(w.storage), w.sender)),
    DGRAM_ASYNC(socket, datagram, w.socket->async_receive(buffer(w.storage), h)),
    DGRAM_ASYNC(socket, datagram, w.socket->async_receive_from(buffer(w.storage), w.sender, h)),
    DGRAM_ASYNC(socket, datagram, w.socket->async_receive_from(buffer(w.storage), w.info, h)),
    DGRAM_ASYNC(connected, datagram, w.socket->async_receive_from(buffer(w.storage), w.info, h)),
    DGRAM_ASYNC(reports, datagram, w.socket->async_receive_from(buffer(w.storage), w.sender, h)),
    DGRAM_ASYNC(dual, datagram, w.socket->async_receive_from(buffer(w.storage), w.sender, h)),

    // reports
    DGRAM_SYNC(reports, report, w.socket->try_receive_error()),
    DGRAM_ASYNC(reports, report, w.socket->async_receive_error(h)),

    // batches
    DGRAM_SYNC(socket, datagram, w.socket->receive_batch(w.in)),
    DGRAM_SYNC(socket, datagram, w.socket->try_receive_batch(w.in)),
    DGRAM_SYNC(connected, nothing, receive_after_shutdown(w)),
    DGRAM_SYNC(socket, nothing, fill(w), w.socket->send_batch(w.out)),
    DGRAM_SYNC(socket, nothing, fill(w), w.socket->try_send_batch(w.out)),
    DGRAM_ASYNC(socket, datagram, w.socket->async_receive_batch(w.in, h)),
    DGRAM_ASYNC(dual, datagram, w.socket->async_receive_batch(w.in, h)),
    DGRAM_ASYNC(reports, datagram, w.socket->async_receive_batch(w.in, h)),
    DGRAM_ASYNC(socket, nothing, fill(w), w.socket->async_send_batch(w.out, h)),
    DGRAM_ASYNC(dual, nothing, fill(w), w.socket->async_send_batch(w.out, h)),
    DGRAM_ASYNC(socket, nothing, w.socket->async_send_segments(w.text, 2, w.to_peer, h)),

    // a reader and a writer
    DGRAM_SYNC(socket, nothing,
               w.reader.emplace(*w.socket, dgram::reader_config{.coalesce = false}),
               w.writer.emplace(*w.reader), w.writer.reset(), w.reader.reset()),
    DGRAM_COROUTINE(reader, datagram, next),
    DGRAM_COROUTINE(reader, datagram, next_batch),
    DGRAM_COROUTINE(reader, datagram, next_for),
    DGRAM_ASYNC(reader, datagram, w.reader->async_for_each([&w](const auto&) { cancel(w); }, h)),
    DGRAM_COROUTINE(reader, datagram, answer_one),
    DGRAM_COROUTINE(reader, nothing, send_many),
    DGRAM_COROUTINE(reader, nothing, push_many),
    DGRAM_COROUTINE(reader, nothing, send_and_flush),
    DGRAM_COROUTINE(reader, datagram, next_batch_until),
    DGRAM_COROUTINE(reader, nothing, write_in_place),
    DGRAM_SYNC(reader, nothing, reserve_and_commit(w, "in place")),
    DGRAM_ASYNC(reader, nothing, w.writer->try_send(w.text, w.to_peer), w.writer->async_flush(h)),
    DGRAM_SYNC(reader, nothing, w.writer->try_send(w.text, w.to_peer), w.writer->close(),
               w.writer.emplace(*w.reader)),

    // a listener and a session
    DGRAM_SYNC(socket, nothing, w.listener.emplace(*w.socket), w.listener.reset()),
    DGRAM_ASYNC(listening, datagram, w.listener->async_accept(h)),
    DGRAM_WAITING_COROUTINE(listening, datagram, accept),
    DGRAM_ASYNC(listening, datagram,
                w.listener->async_for_each([&w](const auto&, const auto&) { cancel(w); }, h)),
    DGRAM_ASYNC(listening, nothing, w.listener->async_drain_for(hours(1), h)),
    DGRAM_ASYNC(session, datagram, w.session->async_next(h)),
    DGRAM_ASYNC(session, datagram, w.session->async_receive(buffer(w.storage), h)),
    DGRAM_ASYNC(session, datagram, w.session->async_wait(asio::socket_base::wait_read, h)),
    DGRAM_ASYNC(session, nothing, w.session->async_send(buffer(w.text), h)),
    DGRAM_ASYNC(session, nothing, w.session->async_ended(h), w.session->close()),
    DGRAM_WAITING_COROUTINE(session, datagram, next_of_session),
    DGRAM_WAITING_COROUTINE(session, datagram, next_of_session_for),
    DGRAM_WAITING_COROUTINE(session, nothing, send_many_of_session),
    DGRAM_SYNC(session, nothing, w.session->try_send(w.text)),
    DGRAM_SYNC(session, nothing, w.session->try_send(w.text), w.listener->close()),
    DGRAM_SYNC(session, nothing, w.session->add_key(dgram::session_key("another"))),

    // another process
    DGRAM_ASYNC(socket, taker, dgram::async_hand_over(*w.socket, w.hand_over_path(), h)),
    DGRAM_ASYNC(closed, giver, dgram::async_take_over(w.io, w.hand_over_path(), h)),
    DGRAM_SYNC(socket, nothing, adopt_again(w)),
    DGRAM_SYNC(unix_bound, nothing, send_own_descriptor(w)),
    DGRAM_SYNC(unix_bound, nothing, store_for_next_process(w)),

    // an exchanger
    DGRAM_SYNC(socket, nothing, w.exchanger.emplace(*w.socket, dgram::same_bytes{0, 2}),
               w.exchanger.reset()),
    DGRAM_ASYNC(exchanging, datagram, w.exchanger->async_exchange(w.text, w.to_peer, h)),
    DGRAM_ASYNC(
        exchanging, nothing,
        w.exchanger->async_exchange(w.text, w.to_peer, {.tries = 1, .deadline = hours(1)}, h),
        w.exchanger->close()),
    DGRAM_WAITING_COROUTINE(exchanging, datagram, exchange),
    DGRAM_SYNC(exchanging, nothing, w.exchanger->unused_key(w.to_peer, 8)),

    // Unix sockets
    DGRAM_SYNC(unix_closed, nothing, w.unix_socket->open(),
               w.unix_socket->bind(dgram::unix_dgram::endpoint(*w.directory / "own"))),
    DGRAM_SYNC(unix_bound, nothing, w.unix_socket->send_to(buffer(w.text), w.unix_to_peer)),
    DGRAM_SYNC(unix_bound, datagram, w.unix_socket->receive_from(buffer(w.storage), w.unix_sender)),
    DGRAM_ASYNC(unix_bound, nothing,
                w.unix_socket->async_send_to(buffer(w.text), w.unix_to_peer, h)),
    DGRAM_ASYNC(unix_bound, datagram,
                w.unix_socket->async_receive_from(buffer(w.storage), w.unix_sender, h)),
    DGRAM_ASYNC(unix_bound, datagram, w.unix_socket->async_receive_batch(w.unix_in, h)),
    DGRAM_ASYNC(unix_bound, nothing, w.unix_out.push(w.text, w.unix_to_peer),
                w.unix_socket->async_send_batch(w.unix_out, h)),
    DGRAM_SYNC(unix_bound, nothing, w.unix_socket->close()),
    DGRAM_SYNC(unix_closed, nothing, bind_relative_path(w)),
    DGRAM_SYNC(unix_closed, nothing, bind_with_mode(w)),
    DGRAM_SYNC(unix_closed, nothing, w.unix_socket->open(), w.unix_socket->connect(w.unix_to_peer),
               w.unix_socket->reconnect(w.unix_to_peer), w.unix_socket->disconnect()),

    // an emitter
    DGRAM_ASYNC(emitter, nothing, w.emitter->bind(0, "127.0.0.1", told(h))),
    DGRAM_ASYNC(emitter, nothing, w.emitter->bind(0, long_name, told(h))),
    DGRAM_SYNC(emitter, nothing, w.emitter->bind(0, "127.0.0.1")),
    DGRAM_SYNC(emitter, nothing, w.emitter->bind(0, "127.0.0.1", [] {})),
    DGRAM_SYNC(emitter, nothing, w.emitter->bind_sync(0, "127.0.0.1")),
    DGRAM_ASYNC(emitter, nothing, w.emitter->connect(w.to_peer.port(), "127.0.0.1", told(h))),
    DGRAM_ASYNC(bound, nothing, w.emitter->connect(w.to_peer.port(), long_name, told(h))),
    DGRAM_SYNC(bound, nothing, w.emitter->connect(w.to_peer.port(), "127.0.0.1", [] {})),
    DGRAM_SYNC(bound, nothing, w.emitter->connect_sync(w.to_peer.port(), "127.0.0.1")),
    DGRAM_SYNC(bound, nothing, w.emitter->connect_sync(w.to_peer.port(), "127.0.0.1"),
               w.emitter->disconnect()),
    DGRAM_ASYNC(emitter, nothing, w.emitter->send(w.text, w.to_peer.port(), "127.0.0.1", told(h))),
    DGRAM_ASYNC(bound, nothing, w.emitter->send(w.text, w.to_peer.port(), "127.0.0.1", told(h))),
    DGRAM_ASYNC(bound, nothing, w.emitter->send(w.text, w.to_peer.port(), long_name, told(h))),
    DGRAM_ASYNC(bound, nothing, w.emitter->send(w.text, w.to_peer, h)),
    DGRAM_SYNC(bound, nothing, w.emitter->send(w.text, w.to_peer.port(), "127.0.0.1")),
    DGRAM_SYNC(bound, nothing, w.emitter->send(w.text, w.to_peer.port(), "127.0.0.1", [] {})),
    DGRAM_SYNC(bound, nothing,
               for (int i = 0; i < 5; ++i) w.emitter->send(w.text, w.to_peer.port(), "127.0.0.1")),
    DGRAM_ASYNC(bound, datagram, w.emitter->once<event::message>(h)),
    DGRAM_ASYNC(bound, datagram, next_of_stream(w, h)),
    DGRAM_SYNC(bound, datagram, w.emitter->recv_stop(), w.emitter->recv_start()),
    DGRAM_SYNC(emitter, nothing, w.emitter->recv_start()),
    DGRAM_SYNC(bound, nothing, w.emitter->add_membership("239.255.77.8", "127.0.0.1"),
               w.emitter->drop_membership("239.255.77.8", "127.0.0.1")),
    DGRAM_SYNC(bound, nothing, w.emitter->add_membership("239.255.77.8", "lo")),
    DGRAM_SYNC(bound, nothing, w.emitter->set_multicast_interface("127.0.0.1")),
    DGRAM_SYNC(bound, nothing, w.emitter->set_ttl(9), w.emitter->set_broadcast(true)),
    DGRAM_SYNC(bound, nothing, w.emitter->set_timeout(hours(1))),
    DGRAM_SYNC(bound, nothing, w.emitter->get_recv_buffer_size()),
    DGRAM_SYNC(bound, nothing, dgram::pause_sockets(w.io), w.run_ready(),
               dgram::resume_sockets(w.io)),
    DGRAM_ASYNC(bound, nothing, w.emitter->close(told(h))),
    DGRAM_ASYNC(bound, nothing, w.emitter->dispose(h)),
    DGRAM_ASYNC(bound, nothing, w.emitter->send(w.text, w.to_peer.port(), "127.0.0.1"),
                w.emitter->close(told(h))),
};

}  // namespace

std::vector<operation> all_operations()
{
  const char* const wanted = std::getenv("DGRAM_FAULT_OPERATION");
  std::vector<operation> all;
  for (const operation& each : table)
    if (wanted == nullptr || std::string_view(each.name).find(wanted) != std::string_view::npos)
      all.push_back(each);
  return all;
}

}  // namespace faults
