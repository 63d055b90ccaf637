// SPDX-License-Identifier: BSL-1.0
// Handlers, executors and allocators that keep a record, and the operations they are tried on.
#ifndef DGRAM_TESTS_SUPPORT_HANDLERS_HPP
#define DGRAM_TESTS_SUPPORT_HANDLERS_HPP

#include "support/asio.hpp"
#include "support/loopback.hpp"
#include "support/recording_allocator.hpp"
#include "support/system_sockets.hpp"

#include <dgram.hpp>

#include <asio/execution.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace test {

// --- what a completion was ---

/// How much an operation moved, whatever the form in which it says so.
inline std::size_t moved()
{
  return 0;
}
inline std::size_t moved(std::size_t count)
{
  return count;
}
inline std::size_t moved(const dgram::send_result& result)
{
  return result.sent;
}

struct outcome {
  int calls = 0;
  dgram::error_code ec;
  std::size_t count = 0;

  template <class... Values>
  void note(const dgram::error_code& code, const Values&... values)
  {
    ++calls;
    ec = code;
    count = moved(values...);
  }
};

inline auto record(outcome& result)
{
  return
      [&result](const dgram::error_code& ec, const auto&... values) { result.note(ec, values...); };
}

/// A handler that can be moved only and called only once, on its way out.
template <class Function>
class move_only {
public:
  explicit move_only(Function function) : function_(std::make_unique<Function>(std::move(function)))
  {
  }

  template <class... Args>
  void operator()(Args... args) &&
  {
    const auto function = std::move(function_);
    (*function)(args...);
  }

private:
  std::unique_ptr<Function> function_;
};

// --- executors ---

/// An executor that runs nothing by itself: the test decides when the next step is taken.
class manual_queue {
  struct task {
    virtual ~task() = default;
    virtual void run() = 0;
  };

  template <class Function>
  struct task_of final : task {
    explicit task_of(Function&& taken) : function(std::move(taken)) {}
    void run() override { std::move(function)(); }
    Function function;
  };

public:
  class executor_type {
  public:
    explicit executor_type(manual_queue& queue) noexcept : queue_(&queue) {}

    template <class Function>
    void execute(Function function) const
    {
      queue_->tasks_.push_back(std::make_unique<task_of<Function>>(std::move(function)));
    }

    static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept
    {
      return asio::execution::blocking_t::never;
    }

    friend bool operator==(const executor_type&, const executor_type&) noexcept = default;

  private:
    manual_queue* queue_;
  };

  executor_type get_executor() noexcept { return executor_type(*this); }

  std::size_t size() const noexcept { return tasks_.size(); }
  bool empty() const noexcept { return tasks_.empty(); }

  /// Runs what is queued, not what that queues in turn. Returns how many steps that were.
  std::size_t run()
  {
    std::size_t count = 0;
    for (const std::size_t all = tasks_.size(); count < all; ++count) {
      const auto next = std::move(tasks_.front());
      tasks_.pop_front();
      next->run();
    }
    return count;
  }

private:
  std::deque<std::unique_ptr<task>> tasks_;
};

/// Runs the context, and nothing of the queue, until the queue has something to run.
inline void run_until_queued(asio::io_context& io, const manual_queue& queue)
{
  io.restart();
  while (queue.empty())
    REQUIRE(io.run_one_for(seconds(10)) == 1);
}

/// Runs both until the condition holds.
template <class Condition>
void run_until(asio::io_context& io, manual_queue& queue, Condition condition)
{
  io.restart();
  while (!condition()) {
    if (queue.run() > 0) continue;
    REQUIRE(io.run_one_for(seconds(10)) == 1);
  }
}

// --- the operations ---

/// A socket that an operation is tried on, the socket at the other end, and all that an operation
/// refers to.
template <class Executor>
class bench {
public:
  using socket_type = dgram::basic_socket<dgram::udp, Executor>;

  static constexpr std::string_view text = "hello";

  explicit bench(const Executor& executor, const dgram::udp& with = dgram::udp::v4())
      : protocol(with)
  {
    socket.emplace(executor);
    open();
    to_socket = socket->local_endpoint();
    to_peer = peer_.local_endpoint();
  }

  /// Opens the socket, at its former address if it had one.
  void open()
  {
    socket->open(protocol);
    socket->bind(to_socket);
  }

  void connect()
  {
    if (!connected()) socket->connect(to_peer);
  }

  void disconnect()
  {
    if (connected()) socket->disconnect();
  }

  /// Puts a datagram into the socket's queue.
  void deliver(std::string_view payload = text)
  {
    peer_.send_to(asio::buffer(payload.data(), payload.size()), to_socket);
  }

  /// The datagram that arrived at the peer.
  std::string arrived()
  {
    // Not asynchronous: a context that is run inside another one's handler takes the memory that is
    // cached there.
    REQUIRE(await_raw_readable(peer_.native_handle()));
    std::array<char, 64> buffer;
    const std::size_t size = peer_.receive(asio::buffer(buffer));
    return {buffer.data(), size};
  }

  /// A datagram that is still in the socket's queue, or nothing.
  std::optional<std::string> left()
  {
    std::array<char, 64> buffer;
    endpoint from;
    const auto size = socket->try_receive_from(asio::buffer(buffer), from);
    if (!size) return std::nullopt;
    return std::string(buffer.data(), *size);
  }

  dgram::udp protocol;
  std::optional<socket_type> socket;
  std::array<char, 64> storage{};
  endpoint sender;
  dgram::receive_batch in{4, 64};
  dgram::send_batch out{4};
  endpoint to_socket = loopback_v4();
  endpoint to_peer;

private:
  bool connected() const
  {
    dgram::error_code ec;
    socket->remote_endpoint(ec);
    return !ec;
  }

  asio::io_context peer_context_;
  asio::ip::udp::socket peer_{peer_context_, loopback_v4()};
};

// Each operation is a type, so that test cases can be made for a list of them:
//   dual          whether its socket is a dual-stack one
//   moves         what it says it moved when it succeeds; 0 where it says nothing but an error_code
//   ready(b)      makes the operation able to complete with success, each time it is called
//   start(b, t)   launches it with the token t; without one, with the default token
//   verify(b)     checks what it did
// The receiving ones also:
//   takes_late    whether it takes its datagram when its handler is due, not in the reactor
//   delivered(b, n)  the datagrams it delivered

struct operation {
  static constexpr bool dual = false;
  static constexpr std::size_t moves = 0;
};

struct receive_operation : operation {
  static constexpr bool takes_late = false;
  static constexpr std::size_t moves = 5;

  template <class Bench>
  static void ready(Bench& b)
  {
    b.disconnect();
    b.deliver();
  }

  template <class Bench>
  static std::vector<std::string> delivered(Bench& b, std::size_t count)
  {
    return {std::string(b.storage.data(), count)};
  }

  template <class Bench>
  static void verify(Bench& b)
  {
    REQUIRE(delivered(b, moves).front() == b.text);
    b.storage = {};
  }
};

struct receive_from_operation : receive_operation {
  template <class Bench>
  static void verify(Bench& b)
  {
    receive_operation::verify(b);
    REQUIRE(b.sender == b.to_peer);
    b.sender = endpoint();
  }
};

/// A receive with a flag that leaves the datagram where it is, so that it shows that the flag took
/// effect.
template <class Plain>
struct peek_operation : Plain {
  template <class Bench>
  static void verify(Bench& b)
  {
    Plain::verify(b);
    REQUIRE(b.left() == b.text);
  }
};

template <bool Connected>
struct send_operation : operation {
  static constexpr std::size_t moves = 5;

  template <class Bench>
  static void ready(Bench& b)
  {
    if (Connected)
      b.connect();
    else
      b.disconnect();
  }

  template <class Bench>
  static void verify(Bench& b)
  {
    REQUIRE(b.arrived() == b.text);
  }
};

struct wait_readable : operation {
  template <class Bench>
  static void ready(Bench& b)
  {
    b.deliver();
  }

  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_wait(asio::socket_base::wait_read, std::forward<Token>(token)...);
  }

  template <class Bench>
  static void verify(Bench& b)
  {
    REQUIRE(b.left() == b.text);
  }
};

struct wait_writable : operation {
  template <class Bench>
  static void ready(Bench&)
  {
  }

  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_wait(asio::socket_base::wait_write, std::forward<Token>(token)...);
  }

  template <class Bench>
  static void verify(Bench&)
  {
  }
};

struct connect : operation {
  template <class Bench>
  static void ready(Bench& b)
  {
    b.disconnect();
  }

  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    const endpoint temporary = b.to_peer;
    return b.socket->async_connect(temporary, std::forward<Token>(token)...);
  }

  template <class Bench>
  static void verify(Bench& b)
  {
    REQUIRE(b.socket->remote_endpoint() == b.to_peer);
  }
};

struct send : send_operation<true> {
  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_send(asio::buffer(b.text.data(), b.text.size()),
                                std::forward<Token>(token)...);
  }
};

struct send_with_flags : send_operation<true> {
  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_send(asio::buffer(b.text.data(), b.text.size()),
                                asio::socket_base::message_do_not_route,
                                std::forward<Token>(token)...);
  }
};

// The peer is a variable that is gone when the operation is launched later: it must have been
// copied.

struct send_to : send_operation<false> {
  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    const endpoint temporary = b.to_peer;
    return b.socket->async_send_to(asio::buffer(b.text.data(), b.text.size()), temporary,
                                   std::forward<Token>(token)...);
  }
};

struct send_to_with_flags : send_operation<false> {
  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    const endpoint temporary = b.to_peer;
    return b.socket->async_send_to(asio::buffer(b.text.data(), b.text.size()), temporary,
                                   asio::socket_base::message_do_not_route,
                                   std::forward<Token>(token)...);
  }
};

struct send_to_dual : send_to {
  static constexpr bool dual = true;
};

struct receive : receive_operation {
  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_receive(asio::buffer(b.storage), std::forward<Token>(token)...);
  }
};

struct receive_with_flags : peek_operation<receive_operation> {
  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_receive(asio::buffer(b.storage), asio::socket_base::message_peek,
                                   std::forward<Token>(token)...);
  }
};

struct receive_from : receive_from_operation {
  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_receive_from(asio::buffer(b.storage), b.sender,
                                        std::forward<Token>(token)...);
  }
};

struct receive_from_with_flags : peek_operation<receive_from_operation> {
  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_receive_from(asio::buffer(b.storage), b.sender,
                                        asio::socket_base::message_peek,
                                        std::forward<Token>(token)...);
  }
};

struct receive_from_dual : receive_from {
  static constexpr bool dual = true;
  static constexpr bool takes_late = true;
};

struct receive_from_dual_with_flags : receive_from_with_flags {
  static constexpr bool dual = true;
  static constexpr bool takes_late = true;
};

struct receive_batch : receive_operation {
  static constexpr bool takes_late = true;
  static constexpr std::size_t moves = 1;

  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_receive_batch(b.in, std::forward<Token>(token)...);
  }

  template <class Bench>
  static std::vector<std::string> delivered(Bench& b, std::size_t count)
  {
    REQUIRE(b.in.size() == count);
    std::vector<std::string> all;
    for (const dgram::datagram& next : b.in)
      all.emplace_back(next.payload().text());
    return all;
  }

  template <class Bench>
  static void verify(Bench& b)
  {
    REQUIRE(delivered(b, 1).front() == b.text);
    REQUIRE(b.in[0].sender() == b.to_peer);
  }
};

struct receive_batch_dual : receive_batch {
  static constexpr bool dual = true;
};

struct send_batch : send_operation<false> {
  static constexpr std::size_t moves = 2;

  template <class Bench>
  static void ready(Bench& b)
  {
    send_operation::ready(b);
    b.out.push(dgram::bytes_view(b.text), b.to_peer);
    b.out.push(dgram::bytes_view(b.text), b.to_peer);
  }

  template <class Bench, class... Token>
  static auto start(Bench& b, Token&&... token)
  {
    return b.socket->async_send_batch(b.out, std::forward<Token>(token)...);
  }

  template <class Bench>
  static void verify(Bench& b)
  {
    REQUIRE(b.out.empty());
    REQUIRE(b.arrived() == b.text);
    REQUIRE(b.arrived() == b.text);
  }
};

/// Awaits the operation; with no token given, by the socket's default one.
template <class Operation, class Executor, class... Token>
asio::awaitable<std::size_t, Executor> await(bench<Executor>& b, Token... token)
{
  if constexpr (Operation::moves > 0) {
    co_return moved(co_await Operation::start(b, token...));
  } else {
    co_await Operation::start(b, token...);
    co_return 0;
  }
}

template <class Operation>
const dgram::udp protocol_for = Operation::dual ? dgram::udp::dual() : dgram::udp::v4();

}  // namespace test

/// The operations that differ in more than an overload or the kind of socket, as the type list of a
/// test case.
#define DGRAM_DISTINCT_OPERATIONS                                               \
  test::wait_readable, test::connect, test::send, test::send_to, test::receive, \
      test::receive_from, test::receive_from_dual, test::receive_batch, test::send_batch

/// Every operation.
#define DGRAM_ALL_OPERATIONS                                                                  \
  test::wait_readable, test::wait_writable, test::connect, test::send, test::send_with_flags, \
      test::send_to, test::send_to_with_flags, test::send_to_dual, test::receive,             \
      test::receive_with_flags, test::receive_from, test::receive_from_with_flags,            \
      test::receive_from_dual, test::receive_from_dual_with_flags, test::receive_batch,       \
      test::receive_batch_dual, test::send_batch

/// Those that wait until a datagram comes, and take it.
#define DGRAM_RECEIVE_OPERATIONS                                                   \
  test::receive, test::receive_from, test::receive_from_dual, test::receive_batch, \
      test::receive_batch_dual

#define DGRAM_SKIP_UNLESS_POSSIBLE(Operation)                 \
  do {                                                        \
    if constexpr (Operation::dual) DGRAM_SKIP_WITHOUT_IPV6(); \
  } while (false)

#endif
