// SPDX-License-Identifier: BSL-1.0
// Sockets on strands of contexts that several threads run.
#include "support/loopback.hpp"

#include <asio/dispatch.hpp>
#include <asio/post.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace threads_test {

namespace {

using io_strand = asio::strand<asio::io_context::executor_type>;
using pool_strand = asio::strand<asio::thread_pool::executor_type>;

template <class Executor>
using socket_on = dgram::basic_socket<dgram::udp, Executor>;

constexpr int thread_count = 4;

/// Runs the context on several threads, under a watchdog.
void run_on_threads(asio::io_context& io)
{
  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; ++i)
    threads.emplace_back([&io] { io.run_for(test::seconds(30)); });
  for (auto& thread : threads)
    thread.join();
  REQUIRE(io.stopped());
}

/// Waits for what runs on a pool, and stops the pool if that does not end.
template <class T>
T wait_for(asio::thread_pool& pool, std::future<T> result)
{
  const bool in_time = result.wait_for(test::seconds(30)) == std::future_status::ready;
  if (!in_time) pool.stop();
  REQUIRE(in_time);
  return result.get();
}

/// Answers each datagram until it was told so many times.
template <class Executor>
asio::awaitable<int, Executor> echo(socket_on<Executor>& socket, int count)
{
  char storage[64];
  for (int i = 0; i < count; ++i) {
    test::endpoint sender;
    const std::size_t size = co_await socket.async_receive_from(asio::buffer(storage), sender);
    co_await socket.async_send_to(asio::buffer(storage, size), sender);
  }
  co_return count;
}

/// Sends numbers and compares what comes back; one at a time, so that no queue can overflow.
template <class Executor>
asio::awaitable<int, Executor> ask(socket_on<Executor>& socket, test::endpoint server, int count)
{
  int correct = 0;
  co_await socket.async_connect(server);
  for (int i = 0; i < count; ++i) {
    int answer = -1;
    co_await socket.async_send(asio::buffer(&i, sizeof i));
    const std::size_t size = co_await socket.async_receive(asio::buffer(&answer, sizeof answer));
    if (size == sizeof answer && answer == i) ++correct;
  }
  co_return correct;
}

/// The same in batches, both ways.
template <class Executor>
asio::awaitable<int, Executor> echo_batches(socket_on<Executor>& socket, int count)
{
  dgram::receive_batch in(8, 64);
  dgram::send_batch out(8);
  int answered = 0;
  while (answered < count) {
    co_await socket.async_receive_batch(in);
    for (const dgram::datagram& next : in)
      out.push(next.payload(), next.sender());
    while (!out.empty()) {
      const dgram::send_result result = co_await socket.async_send_batch(out);
      answered += static_cast<int>(result.sent);
    }
  }
  co_return answered;
}

template <class Executor>
asio::awaitable<int, Executor> ask_batches(socket_on<Executor>& socket, test::endpoint server,
                                           int count)
{
  constexpr int group = 4;
  dgram::receive_batch in(group, 64);
  dgram::send_batch out(group);
  int numbers[group];
  int correct = 0;
  for (int first = 0; first < count; first += group) {
    for (int i = 0; i < group; ++i) {
      numbers[i] = first + i;
      out.push(dgram::bytes_view(&numbers[i], sizeof numbers[i]), server);
    }
    while (!out.empty())
      co_await socket.async_send_batch(out);
    for (int received = 0; received < group;) {
      co_await socket.async_receive_batch(in);
      for (const dgram::datagram& next : in) {
        int answer = -1;
        if (next.payload().size() == sizeof answer)
          std::memcpy(&answer, next.payload().data(), sizeof answer);
        if (answer == first + received) ++correct;
        ++received;
      }
    }
  }
  co_return correct;
}

/// One at a time by a reader and a writer, which move batches.
template <class Executor>
asio::awaitable<int> echo_written(socket_on<Executor>& socket, int count)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  int answered = 0;
  for (; answered < count; ++answered) {
    const auto datagram = co_await reader.next();
    co_await writer.send(datagram->payload(), datagram->sender());
  }
  co_await writer.flush();
  co_return answered;
}

/// A server and a client, each on a strand of its own.
template <class Executor>
struct pair {
  explicit pair(Executor server_strand, Executor client_strand)
      : server(server_strand, test::loopback_v4()), client(client_strand, test::loopback_v4())
  {
  }

  socket_on<Executor> server;
  socket_on<Executor> client;
};

struct exchange {
  std::future<int> answered;
  std::future<int> correct;
};

enum class form : std::uint8_t { single, batches, reader_and_writer };

template <class Executor>
exchange start(pair<Executor>& p, form how, int count)
{
  const auto to_server = p.server.local_endpoint();
  const auto begin = [](auto& socket, auto work) {
    return asio::co_spawn(socket.get_executor(), std::move(work), asio::use_future);
  };
  switch (how) {
  case form::single:
    return {begin(p.server, echo(p.server, count)),
            begin(p.client, ask(p.client, to_server, count))};
  case form::batches:
    return {begin(p.server, echo_batches(p.server, count)),
            begin(p.client, ask_batches(p.client, to_server, count))};
  default:
    return {begin(p.server, echo_written(p.server, count)),
            begin(p.client, ask_batches(p.client, to_server, count))};
  }
}

form any_form()
{
  return GENERATE(form::single, form::batches, form::reader_and_writer);
}

constexpr int pairs = 8;
constexpr int round_trips = 100;

template <class Executor>
std::vector<exchange> start(const std::vector<std::unique_ptr<pair<Executor>>>& all, form how)
{
  CAPTURE(static_cast<int>(how));
  std::vector<exchange> exchanges;
  for (const auto& p : all)
    exchanges.push_back(start(*p, how, round_trips));
  return exchanges;
}

}  // namespace

TEST_CASE("many sockets on strands of one context on several threads")
{
  asio::io_context io(thread_count);
  std::vector<std::unique_ptr<pair<io_strand>>> all;
  for (int i = 0; i < pairs; ++i)
    all.push_back(std::make_unique<pair<io_strand>>(asio::make_strand(io), asio::make_strand(io)));
  std::vector<exchange> exchanges = start(all, any_form());

  run_on_threads(io);
  for (auto& e : exchanges) {
    REQUIRE(e.answered.get() == round_trips);
    REQUIRE(e.correct.get() == round_trips);
  }
}

TEST_CASE("many sockets on strands of a thread pool")
{
  asio::thread_pool pool(thread_count);
  std::vector<std::unique_ptr<pair<pool_strand>>> all;
  for (int i = 0; i < pairs; ++i)
    all.push_back(std::make_unique<pair<pool_strand>>(asio::make_strand(pool.get_executor()),
                                                      asio::make_strand(pool.get_executor())));
  std::vector<exchange> exchanges = start(all, any_form());

  for (auto& e : exchanges) {
    REQUIRE(wait_for(pool, std::move(e.answered)) == round_trips);
    REQUIRE(wait_for(pool, std::move(e.correct)) == round_trips);
  }
  pool.join();
}

TEST_CASE("several clients of one server whose strand is type-erased")
{
  asio::io_context io(thread_count);
  using any = asio::any_io_executor;
  const any server_strand = asio::make_strand(io);
  socket_on<any> server(server_strand, test::loopback_v4());
  const auto to_server = server.local_endpoint();
  std::vector<std::unique_ptr<socket_on<any>>> clients;
  std::vector<std::future<int>> results;
  for (int i = 0; i < pairs; ++i) {
    const any strand = asio::make_strand(io);
    clients.push_back(std::make_unique<socket_on<any>>(strand, test::loopback_v4()));
    results.push_back(
        asio::co_spawn(strand, ask(*clients.back(), to_server, round_trips), asio::use_future));
  }
  auto answered =
      asio::co_spawn(server_strand, echo(server, pairs * round_trips), asio::use_future);
  run_on_threads(io);
  REQUIRE(answered.get() == pairs * round_trips);
  for (auto& result : results)
    REQUIRE(result.get() == round_trips);
}

namespace {

/// Keeps one receive pending on a strand while datagrams come in, and counts how each of them
/// ended.
template <class Receive>
class receiver : public std::enable_shared_from_this<receiver<Receive>> {
public:
  receiver(asio::io_context& io, const dgram::udp& protocol)
      : strand_(asio::make_strand(io)), socket_(std::in_place, strand_)
  {
    socket_->open(protocol);
    socket_->bind(address_);
  }

  io_strand strand() const { return strand_; }
  test::endpoint address() const { return address_; }

  void receive()
  {
    ++started;
    Receive::start(
        *this, [self = this->shared_from_this()](const dgram::error_code& ec, std::size_t count) {
          if (!self->strand_.running_in_this_thread()) ++self->elsewhere;
          if (!ec && count > 0) ++self->delivered;
          if (ec == asio::error::operation_aborted) ++self->aborted;
          ++self->completed;
          if (self->socket_ && self->socket_->is_open()) self->receive();
        });
  }

  void cancel() { socket_->cancel(); }
  void close() { socket_->close(); }
  void destroy() { socket_.reset(); }

  /// Closes and opens at the same address.
  void reopen(const dgram::udp& protocol)
  {
    socket_->close();
    socket_->open(protocol);
    socket_->bind(address_);
    // The one whose socket was closed may have completed by now, and found the socket closed.
    if (started == completed) receive();
  }

  /// Moves the socket to a type-erased executor and back into the same descriptor.
  void convert(const dgram::udp& protocol)
  {
    dgram::udp::socket other(std::move(*socket_));
    const int descriptor = other.release();
    socket_.emplace(strand_);
    socket_->assign(protocol, descriptor);
  }

  // Of the strand alone, and read when all threads have ended.
  int started = 0;
  int completed = 0;
  int delivered = 0;
  int aborted = 0;
  int elsewhere = 0;

  io_strand strand_;
  std::optional<socket_on<io_strand>> socket_;
  const test::reserved_port port_;
  // The socket of a dual-stack protocol is bound to an IPv4 address too.
  const test::endpoint address_ = test::loopback_v4(port_.number());
  test::endpoint sender_;
  char storage_[64] = {};
  dgram::receive_batch batch_{4, 64};
};

struct one_by_one {
  static constexpr bool dual = false;

  template <class Receiver, class Handler>
  static void start(Receiver& r, Handler handler)
  {
    r.socket_->async_receive_from(asio::buffer(r.storage_), r.sender_, std::move(handler));
  }
};

struct one_by_one_dual : one_by_one {
  static constexpr bool dual = true;
};

struct batches {
  static constexpr bool dual = false;

  template <class Receiver, class Handler>
  static void start(Receiver& r, Handler handler)
  {
    r.socket_->async_receive_batch(r.batch_, std::move(handler));
  }
};

template <class Receive>
void disturb(int last)
{
  const dgram::udp protocol = Receive::dual ? dgram::udp::dual() : dgram::udp::v4();
  asio::io_context io(thread_count);
  auto work = std::make_optional(asio::make_work_guard(io));
  const auto r = std::make_shared<receiver<Receive>>(io, protocol);
  std::atomic<bool> stop = false;

  std::thread traffic([&stop, to = r->address()] {
    asio::io_context own;
    asio::ip::udp::socket socket(own, test::loopback_v4());
    while (!stop) {
      // The port has no owner for moments, which comes back as an error.
      dgram::error_code ignored;
      socket.send_to(asio::buffer("x", 1), to, 0, ignored);
      std::this_thread::yield();
    }
  });

  // From another thread, by way of the strand.
  std::thread disturber([&] {
    asio::post(r->strand(), [r] { r->receive(); });
    for (int i = 0; i < 300; ++i) {
      const auto done = std::make_shared<std::promise<void>>();
      asio::post(r->strand(), [r, protocol, done, i] {
        switch (i % 3) {
        case 0: r->cancel(); break;
        case 1: r->reopen(protocol); break;
        default: r->convert(protocol);
        }
        done->set_value();
      });
      if (done->get_future().wait_for(test::seconds(30)) != std::future_status::ready) break;
    }
    asio::post(r->strand(), [r, last] {
      if (last == 0)
        r->close();
      else
        r->destroy();
    });
    work.reset();
  });

  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; ++i)
    threads.emplace_back([&io] { io.run_for(test::seconds(30)); });
  disturber.join();
  for (auto& thread : threads)
    thread.join();
  stop = true;
  traffic.join();

  REQUIRE(io.stopped());
  REQUIRE(r->started == r->completed);
  REQUIRE(r->elsewhere == 0);
  // Every one ends in one of the two ways, and the last is aborted or has just taken a datagram.
  REQUIRE(r->delivered + r->aborted == r->completed);
  REQUIRE(r->completed > 0);
}

}  // namespace

TEST_CASE("cancel, close, reopen and converting moves on the strand while datagrams arrive")
{
  for (const int last : {0, 1}) {
    DYNAMIC_SECTION("one by one, ended by " << (last == 0 ? "close" : "destruction"))
    {
      disturb<one_by_one>(last);
    }

    DYNAMIC_SECTION("one by one on a dual-stack socket, ended by "
                    << (last == 0 ? "close" : "destruction"))
    {
      DGRAM_SKIP_WITHOUT_IPV6();
      disturb<one_by_one_dual>(last);
    }

    DYNAMIC_SECTION("in batches, ended by " << (last == 0 ? "close" : "destruction"))
    {
      disturb<batches>(last);
    }
  }
}

TEST_CASE("a coroutine's slot is used on its strand while datagrams arrive")
{
  asio::io_context io(thread_count);
  const auto strand = asio::make_strand(io);
  const auto traffic_strand = asio::make_strand(io);
  socket_on<io_strand> socket(strand, test::loopback_v4());
  socket_on<io_strand> sender(traffic_strand, test::loopback_v4());
  const auto to = socket.local_endpoint();
  asio::cancellation_signal signal;
  bool done = false;
  int received = 0;
  int aborted = 0;
  std::atomic<bool> stop = false;

  auto receive = [&]() -> asio::awaitable<void, io_strand> {
    dgram::receive_batch batch(4, 64);
    co_await socket.async_receive_batch(batch);
    ++received;
    try {
      for (;;) {
        co_await socket.async_receive_batch(batch);
        ++received;
      }
    } catch (const dgram::system_error& failure) {
      if (failure.code() == asio::error::operation_aborted) ++aborted;
    }
    done = true;
    stop = true;
  };
  auto send = [&]() -> asio::awaitable<void, io_strand> {
    while (!stop)
      co_await sender.async_send_to(asio::buffer("x", 1), to);
  };
  asio::co_spawn(strand, receive(), asio::bind_cancellation_slot(signal.slot(), asio::detached));
  asio::co_spawn(traffic_strand, send(), asio::detached);

  std::thread disturber([&] {
    // An emission reaches what is suspended just then; a coroutine that runs on is told again.
    while (!stop) {
      asio::post(strand, [&] {
        if (!done && received > 0) signal.emit(asio::cancellation_type::terminal);
      });
      std::this_thread::yield();
    }
  });
  run_on_threads(io);
  disturber.join();
  REQUIRE(done);
  REQUIRE(received > 0);
  REQUIRE(aborted == 1);
}

}  // namespace threads_test
