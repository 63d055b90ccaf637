// SPDX-License-Identifier: BSL-1.0
// What the emitter needs of a socket: those of the library have it, and so has a small one of the test's own.
#include "emitter/helpers.hpp"

#include <dgram.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace transport_test {

namespace {

/// What a socket that has no kernel behind it remembers.
struct state {
  explicit state(const asio::any_io_executor& on) : executor(on), never(on) {}

  asio::any_io_executor executor;
  asio::steady_timer never;
  asio::ip::udp::endpoint local;
  std::uint64_t epoch = 0;
  bool open = false;
  bool connected = false;
  std::size_t sent = 0;  // datagrams
};

struct fake_handle {
  using protocol_type = dgram::udp;
  using executor_type = asio::any_io_executor;
  using clock_type = std::chrono::steady_clock;
  using timer_type = asio::steady_timer;

  std::shared_ptr<state> shared;

  executor_type get_executor() const { return shared->executor; }
  bool is_open() const { return shared->open; }
  bool is_connected() const { return shared->connected; }
  bool is_drained() const { return true; }
  bool has_pending_error() const { return false; }
  bool is_coalescing() const { return false; }
  bool is_congested(const dgram::error_code&) const { return false; }
  std::uint64_t epoch() const { return shared->epoch; }
  std::uint64_t descriptor_number() const { return 1; }
  std::uint64_t reports_taken() const { return 0; }
  void provide_reply_source() {}
  void set_coalescing(bool, dgram::error_code&) {}

  std::size_t try_receive_batch(dgram::receive_batch&, dgram::error_code& ec)
  {
    ec = asio::error::would_block;
    return 0;
  }

  dgram::send_result try_send_batch(dgram::send_batch& batch)
  {
    dgram::send_result result;
    result.sent = batch.size();
    shared->sent += batch.size();
    batch.clear();
    return result;
  }

  template <class Handler>
  void async_wait(asio::socket_base::wait_type, Handler&& handler)
  {
    shared->never.async_wait(std::forward<Handler>(handler));
  }

  template <class Handler>
  void async_wait_congestion(Handler&& handler)
  {
    shared->never.async_wait(std::forward<Handler>(handler));
  }
};

class fake_socket {
public:
  using protocol_type = dgram::udp;
  using endpoint = asio::ip::udp::endpoint;
  using executor_type = asio::any_io_executor;
  using handle_type = fake_handle;
  using native_handle_type = int;

  explicit fake_socket(const executor_type& executor) : shared_(std::make_shared<state>(executor))
  {
    shared_->never.expires_at(asio::steady_timer::time_point::max());
  }

  executor_type get_executor() { return shared_->executor; }
  handle_type handle() { return {shared_}; }
  bool is_open() const { return shared_->open; }
  endpoint local_endpoint(dgram::error_code&) const { return shared_->local; }
  endpoint remote_endpoint(dgram::error_code&) const { return {}; }
  int native_handle() { return -1; }
  void open(const dgram::udp&, const dgram::socket_config&, dgram::error_code& ec)
  {
    ec.clear();
    shared_->open = true;
  }
  void assign(const dgram::udp&, int, dgram::error_code& ec) { ec = asio::error::bad_descriptor; }
  void bind(const endpoint& local, dgram::error_code& ec)
  {
    ec.clear();
    shared_->local = local;
  }
  void connect(const endpoint&, dgram::error_code& ec)
  {
    ec.clear();
    shared_->connected = true;
  }
  void disconnect(dgram::error_code&) { shared_->connected = false; }
  void cancel(dgram::error_code&) { shared_->never.cancel(); }
  void close(dgram::error_code&)
  {
    ++shared_->epoch;
    shared_->open = false;
    shared_->never.cancel();
  }
  template <class Option>
  void set_option(const Option&, dgram::error_code& ec)
  {
    ec.clear();
  }
  void set_receive_buffer_size(int, dgram::error_code&) {}
  void set_send_buffer_size(int, dgram::error_code&) {}
  std::size_t get_receive_buffer_size(dgram::error_code&) { return 0; }
  std::size_t get_send_buffer_size(dgram::error_code&) { return 0; }
  std::size_t try_receive_batch(dgram::receive_batch& batch, dgram::error_code& ec)
  {
    return handle().try_receive_batch(batch, ec);
  }
  dgram::send_result try_send_batch(dgram::send_batch& batch)
  {
    return handle().try_send_batch(batch);
  }
  template <class Buffers>
  std::size_t try_send(const Buffers& bytes, dgram::error_code&)
  {
    ++shared_->sent;
    return asio::buffer_size(bytes);
  }
  template <class Buffers>
  std::size_t try_send_to(const Buffers& bytes, const dgram::basic_reply_path<dgram::udp>&,
                          dgram::error_code& ec)
  {
    return try_send(bytes, ec);
  }
  void join(const dgram::multicast_group&, const dgram::network_interface&, dgram::error_code&) {}
  void leave(const dgram::multicast_group&, const dgram::network_interface&, dgram::error_code&) {}
  dgram::socket_statistics statistics() const { return {}; }

  std::size_t sent() const { return shared_->sent; }

private:
  std::shared_ptr<state> shared_;
};

static_assert(dgram::transport_handle<dgram::udp::socket::handle_type>);
static_assert(dgram::emitter_transport<dgram::udp::socket>);
static_assert(
    dgram::emitter_transport<dgram::basic_socket<dgram::udp, asio::io_context::executor_type>>);
#if DGRAM_HAS_UNIX_DATAGRAMS
static_assert(dgram::transport_handle<dgram::unix_dgram::socket::handle_type>);
static_assert(dgram::emitter_transport<dgram::unix_dgram::socket>);
#endif
static_assert(dgram::transport_handle<fake_handle>);
static_assert(dgram::emitter_transport<fake_socket>);
static_assert(!dgram::emitter_transport<asio::ip::udp::socket>);

}  // namespace

TEST_CASE("An emitter on a socket of another kind", "[emitter]")
{
  asio::io_context io;
  dgram::socket_options options;
  options.type = dgram::udp4;
  dgram::basic_emitter_socket<fake_socket> socket(io.get_executor(), &io, options);
  test::trace events;
  test::record(socket, events);
  int sent = 0;
  for (int i = 0; i < 3; ++i)
    socket.send("x", 9, [&](dgram::error_code ec, std::size_t size) {
      CHECK_FALSE(ec);
      CHECK(size == 1);
      ++sent;
    });
  test::run_until(io, [&] { return sent == 3; });
  CHECK(socket.next_layer().sent() == 3);
  socket.close();
  test::run(io);
  CHECK(events == test::trace{"listening", "close"});
}

}  // namespace transport_test
