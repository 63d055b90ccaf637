// SPDX-License-Identifier: BSL-1.0
// The operations of every layer in one table, and the objects that each is tried on.
#ifndef DGRAM_TESTS_FAULTS_OPERATIONS_HPP
#define DGRAM_TESTS_FAULTS_OPERATIONS_HPP

#include "support/reserved_port.hpp"
#include "support/scripted_system.hpp"
#include "support/temporary_directory.hpp"

#include <dgram.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace faults {

/// What became of one operation.
struct ticket {
  const char* name = "";
  int calls = 0;
  int handlers = 0;             ///< copies of the handler that exist
  bool starting = false;        ///< the call that starts the operation has not returned
  bool called_inside = false;   ///< the handler was called before it had
  bool threw = false;           ///< the call that starts the operation threw
  dgram::error_code ec;         ///< what the operation completed with
  std::function<void()> after;  ///< run by the handler
};

/// The completion handler of every asynchronous operation.
class handler {
public:
  using cancellation_slot_type = asio::cancellation_slot;

  explicit handler(ticket& of, asio::cancellation_slot slot = {}) noexcept : of_(&of), slot_(slot)
  {
    ++of_->handlers;
  }
  handler(const handler& other) noexcept : of_(other.of_), slot_(other.slot_) { ++of_->handlers; }
  handler& operator=(const handler&) = delete;
  ~handler() { --of_->handlers; }

  cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }

  template <class... Values>
  void operator()(const dgram::error_code& ec, const Values&...) const
  {
    of_->ec = ec;
    called();
  }

  void operator()(const std::exception_ptr&) const { called(); }

  /// For a callback that learns about success only. The 'error' event of a failure counts too.
  void called() const
  {
    ++of_->calls;
    if (of_->starting) of_->called_inside = true;
    // Copied: what is done there may destroy this handler.
    if (const auto after = of_->after) after();
  }

private:
  ticket* of_;
  asio::cancellation_slot slot_;
};

/// What an operation is tried on.
enum class place : unsigned char {
  socket,      ///< a bound socket
  closed,      ///< a socket that is not open
  connected,   ///< a connected socket
  reports,     ///< a bound socket that gets the errors of its path
  dual,        ///< a dual-stack socket; a plain one on hosts without IPv6
  reader,      ///< a reader on a bound socket, and a writer on that reader
  listening,   ///< a listener on a bound socket
  session,     ///< the same, and a session that it has accepted from the peer
  exchanging,  ///< an exchanger on a bound socket
  emitter,     ///< an emitter that is not bound
  bound,       ///< a bound emitter
  unix_bound,  ///< a bound Unix socket
  unix_closed,
};

/// What an operation waits for.
enum class need : unsigned char {
  nothing,
  datagram,
  report,
  taker,  ///< a process that takes the socket
  giver,  ///< a process that offers a socket
};

enum class form : unsigned char {
  asynchronous,  ///< completes by its handler
  coroutine,     ///< the same, by way of `co_spawn`
  /// The same, and it starts a wait even if what it waits for is there.
  waiting_coroutine,
  synchronous,  ///< is over when its call returns
};

class world;

struct operation {
  const char* name;
  place on;
  need needs;
  form how;
  void (*start)(world&, const handler&);
};

/// All operations, of every layer. A new one is one line in operations.cpp. If the environment has
/// DGRAM_FAULT_OPERATION, only those whose name contains it.
std::vector<operation> all_operations();

/// A resolver that finds this host, later.
struct nearby_resolver {
  asio::io_context& io;

  template <class Handler>
  void async_resolve(std::string_view, std::string_view, Handler done)
  {
    asio::post(io, [done = std::move(done)]() mutable {
      const std::array<dgram::udp::endpoint, 1> found{
          dgram::udp::endpoint(asio::ip::address_v4::loopback(), found_port)};
      std::move(done)(dgram::error_code(), found);
    });
  }

  inline static std::uint16_t found_port = 0;
};

/// The objects of one try. The peer is a socket of Asio's own, which no trouble reaches.
class world {
public:
  using udp_reader = dgram::reader<dgram::udp, asio::any_io_executor>;
  using udp_writer = dgram::writer<dgram::udp, asio::any_io_executor>;

  explicit world(place where);
  ~world();
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  place where;
  asio::io_context io;
  asio::ip::udp::socket peer;
  dgram::udp::endpoint to_peer;
  std::size_t turns = 0;   ///< handlers that the context ran
  std::size_t throws = 0;  ///< exceptions that left the context
  std::size_t messages = 0;
  std::size_t errors = 0;  ///< 'error' events

  std::optional<dgram::udp::socket> socket;
  std::optional<udp_reader> reader;
  std::optional<udp_writer> writer;
  std::optional<test::reserved_port> emitter_port;
  std::optional<dgram::udp::listener> listener;
  std::optional<dgram::udp::session> session;
  std::optional<dgram::udp::exchanger> exchanger;
  std::optional<dgram::emitter_socket> emitter;
  std::optional<decltype(emitter->stream<dgram::event::message>())> messages_of;
  std::optional<test::temporary_directory> directory;
  std::optional<dgram::unix_dgram::socket> unix_socket, unix_peer;
  dgram::unix_dgram::endpoint unix_to_peer;
  std::optional<dgram::udp::socket> given;
  std::weak_ptr<bool> giving;  ///< while `given` is offered

  // What operations refer to.
  std::string text = "hello";
  std::array<char, 64> storage{};
  dgram::udp::endpoint sender;
  dgram::unix_dgram::endpoint unix_sender;
  dgram::datagram_info info;
  dgram::receive_batch in{4, 64};
  dgram::send_batch out{8};
  dgram::unix_dgram::receive_batch unix_in{4, 64};
  dgram::unix_dgram::send_batch unix_out{8};
  nearby_resolver resolver{io};

  // Called by an operation that is a coroutine, around what it awaits.
  std::function<void()> coroutine_begins;
  std::function<void()> coroutine_ends;

  /// Where a socket is handed over.
  std::string hand_over_path();

  /// Brings what an operation waits for.
  void supply(need what);

  /// Runs what is due, and counts it. Returns whether something was done.
  bool run_ready();

  /// Runs one handler, or waits for it that long.
  bool run_one_for(std::chrono::steady_clock::duration limit);

  /// Fails the test unless the objects, which may be closed, can be used like new ones.
  void check_that_it_works();

  /// Ends the objects, not the context.
  void destroy_objects();

  /// Makes the objects anew.
  void make_objects();

private:
  void supply_process(need what);
  void make_socket(dgram::udp with);
  void make_listener();
  void make_exchanger();
  void make_emitter();
  void make_unix();
  void bind_emitter();
  void check_socket();
  void check_reader();
  void check_listener();
  void check_exchanger();
  void check_emitter();
  void check_unix();
  void run_until(const std::function<bool()>& condition);
  std::string next_at_peer();
  void expect_at_peer(std::string_view payload);
};

/// How many descriptors of this process are open, of those that a world would use.
int open_descriptors();

}  // namespace faults

#endif
