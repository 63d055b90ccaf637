// SPDX-License-Identifier: BSL-1.0
// A socket without a system behind it: datagrams go from queue to queue in memory. Readers and
// writers run on it as on a socket.
#ifndef DGRAM_TESTS_SUPPORT_MEMORY_TRANSPORT_HPP
#define DGRAM_TESTS_SUPPORT_MEMORY_TRANSPORT_HPP

#include "support/asio.hpp"

#include <dgram.hpp>

#include <asio/compose.hpp>
#include <asio/execution_context.hpp>
#include <asio/steady_timer.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace test {

namespace memory {

using endpoint = asio::ip::udp::endpoint;

struct packet {
  std::vector<std::byte> payload;
  endpoint sender;
  asio::ip::address sent_to;
  std::size_t segment = 0;
};

/// What a socket and its handles share.
struct state {
  explicit state(const asio::any_io_executor& on) : executor(on), readable(on), writable(on)
  {
    readable.expires_at(asio::steady_timer::time_point::max());
    writable.expires_at(asio::steady_timer::time_point::max());
  }

  asio::any_io_executor executor;
  asio::steady_timer readable;  // cancelled when there is something to read
  asio::steady_timer writable;
  std::deque<packet> queue;
  endpoint local;
  std::optional<endpoint> peer;
  std::uint64_t epoch = 0;
  std::uint64_t descriptor_number = 0;
  bool open = false;
  bool drained = false;
  bool coalescing = false;
  bool knows_source = false;
  dgram::error_code send_error;  // of every send, while it is set
  dgram::socket_statistics counts;

  void end_epoch()
  {
    ++epoch;
    readable.cancel();
    writable.cancel();
  }
};

/// The sockets of one context that are bound.
class network : public asio::execution_context::service {
public:
  using key_type = network;
  inline static asio::execution_context::id id;

  explicit network(asio::execution_context& context) : asio::execution_context::service(context) {}

  std::uint16_t free_port()
  {
    while (sockets_.count(next_) > 0)
      ++next_;
    return next_++;
  }

  void add(std::uint16_t port, const std::shared_ptr<state>& socket) { sockets_[port] = socket; }
  void remove(std::uint16_t port) { sockets_.erase(port); }

  std::shared_ptr<state> find(std::uint16_t port) const
  {
    const auto found = sockets_.find(port);
    return found == sockets_.end() ? nullptr : found->second.lock();
  }

private:
  void shutdown() noexcept override { sockets_.clear(); }

  std::map<std::uint16_t, std::weak_ptr<state>> sockets_;
  std::uint16_t next_ = 40000;
};

/// One wait for a queue, or for room.
class wait_op {
public:
  wait_op(std::shared_ptr<state> of, bool reads) : state_(std::move(of)), reads_(reads) {}

  template <class Self>
  void operator()(Self& self, dgram::error_code = {})
  {
    if (!std::exchange(started_, true)) {
      self.reset_cancellation_state(asio::enable_total_cancellation());
      epoch_ = state_->epoch;
      const auto of = state_;
      if (is_ready())
        asio::post(of->executor, std::move(self));
      else
        (reads_ ? of->readable : of->writable).async_wait(std::move(self));
      return;
    }
    const bool ended = state_->epoch != epoch_ || !state_->open ||
                       self.get_cancellation_state().cancelled() != asio::cancellation_type::none;
    self.complete(ended ? dgram::error_code(asio::error::operation_aborted) : dgram::error_code());
  }

private:
  bool is_ready() const
  {
    return !state_->open || (reads_ ? !state_->queue.empty() : !state_->send_error);
  }

  std::shared_ptr<state> state_;
  std::uint64_t epoch_ = 0;
  bool reads_;
  bool started_ = false;
};

class handle {
public:
  using protocol_type = dgram::udp;
  using executor_type = asio::any_io_executor;
  using clock_type = std::chrono::steady_clock;
  using timer_type = asio::steady_timer;

  handle(std::shared_ptr<state> of, network& in) : state_(std::move(of)), network_(&in) {}

  executor_type get_executor() const { return state_->executor; }
  bool is_open() const { return state_->open; }
  bool is_connected() const { return state_->peer.has_value(); }
  bool is_drained() const { return state_->drained; }
  bool has_pending_error() const { return false; }
  bool is_coalescing() const { return state_->coalescing; }
  bool is_congested(const dgram::error_code& ec) const
  {
    return ec == asio::error::no_buffer_space;
  }
  std::uint64_t epoch() const { return state_->epoch; }
  std::uint64_t descriptor_number() const { return state_->descriptor_number; }
  std::uint64_t reports_taken() const { return 0; }
  void provide_reply_source() { state_->knows_source = true; }
  void set_coalescing(bool on, dgram::error_code& ec)
  {
    ec.clear();
    state_->coalescing = on;
  }

  std::size_t try_receive_batch(dgram::receive_batch& batch, dgram::error_code& ec)
  {
    ec.clear();
    batch.clear();
    if (!state_->open) ec = asio::error::bad_descriptor;
    if (!ec && state_->queue.empty()) ec = asio::error::would_block;
    if (ec) return 0;
    auto& queue = state_->queue;
    while (!queue.empty() && store(batch, queue.front()))
      queue.pop_front();
    state_->drained = batch.used_slots() < batch.offered();
    ++state_->counts.receive_calls;
    state_->counts.received += batch.size();
    return batch.size();
  }

  dgram::send_result try_send_batch(dgram::send_batch& batch)
  {
    dgram::send_result result;
    while (!batch.empty()) {
      result.error = error_of(batch.front());
      if (!result.error) {
        deliver(batch.front());
        batch.drop_front();
        ++result.sent;
      } else if (result.error == asio::error::message_size ||
                 result.error == asio::error::access_denied) {
        if (!batch.refuse_front(result.error)) break;
        ++result.refused;
      } else {
        break;
      }
    }
    if (batch.empty()) result.error.clear();
    if (result.sent > 0) ++state_->counts.send_calls;
    state_->counts.sent += result.sent;
    return result;
  }

  template <class Token>
  auto async_wait(asio::socket_base::wait_type what, Token&& token)
  {
    return asio::async_compose<Token, void(dgram::error_code)>(
        wait_op(state_, what == asio::socket_base::wait_read), token, state_->executor);
  }

  template <class Token>
  auto async_wait_congestion(Token&& token)
  {
    return asio::async_compose<Token, void(dgram::error_code)>(wait_op(state_, false), token,
                                                               state_->executor);
  }

private:
  bool store(dgram::receive_batch& batch, const packet& next) const
  {
    dgram::arrival_info info;
    info.wildcard = state_->local.address().is_unspecified();
    if (state_->knows_source) info.local_address = next.sent_to;
    info.segment_size = next.segment;
    return batch.store(next.payload, next.sender, info);
  }

  dgram::error_code error_of(const dgram::basic_waiting_datagram<dgram::udp>& next) const
  {
    if (!state_->open) return asio::error::bad_descriptor;
    if (state_->send_error) return state_->send_error;
    if ((next.peer() == nullptr) != state_->peer.has_value())
      return next.peer() != nullptr ? dgram::error_code(asio::error::already_connected)
                                    : dgram::error_code(asio::error::not_connected);
    if (next.size() > 65507) return asio::error::message_size;
    if (next.peer() != nullptr && next.peer()->address() == asio::ip::address_v4::broadcast())
      return asio::error::access_denied;
    return {};
  }

  void deliver(const dgram::basic_waiting_datagram<dgram::udp>& next) const
  {
    const endpoint to = next.peer() != nullptr ? *next.peer() : *state_->peer;
    const auto receiver = network_->find(to.port());
    if (!receiver || (receiver->peer && *receiver->peer != state_->local)) return;
    packet arrived;
    arrived.payload.resize(next.size());
    next.copy_to(arrived.payload);
    arrived.sender = state_->local;
    arrived.sent_to = to.address();
    receiver->drained = false;
    receiver->queue.push_back(std::move(arrived));
    receiver->readable.cancel();
  }

  std::shared_ptr<state> state_;
  network* network_;
};

static_assert(dgram::transport_handle<handle>);

}  // namespace memory

/// Has of a `dgram::udp::socket` what the tests of readers and writers use.
class memory_socket {
public:
  using protocol_type = dgram::udp;
  using executor_type = asio::any_io_executor;
  using handle_type = memory::handle;

  explicit memory_socket(asio::io_context& io)
      : state_(std::make_shared<memory::state>(io.get_executor())),
        network_(&asio::use_service<memory::network>(io))
  {
  }

  memory_socket(asio::io_context& io, const memory::endpoint& local) : memory_socket(io)
  {
    open(local.protocol());
    bind(local);
  }

  memory_socket(memory_socket&&) noexcept = default;
  memory_socket& operator=(memory_socket&& other) noexcept
  {
    if (this == &other) return *this;
    if (state_) close();
    state_ = std::move(other.state_);
    network_ = other.network_;
    return *this;
  }
  ~memory_socket()
  {
    if (state_) close();
  }

  handle_type handle() { return {state_, *network_}; }
  executor_type get_executor() { return state_->executor; }
  bool is_open() const { return state_->open; }
  memory::endpoint local_endpoint() const { return state_->local; }
  const dgram::socket_statistics& statistics() const { return state_->counts; }

  void open(const dgram::udp&)
  {
    state_->open = true;
    ++state_->descriptor_number;
    state_->end_epoch();
    state_->coalescing = state_->drained = state_->knows_source = false;
    state_->counts = {};
  }

  void bind(const memory::endpoint& local)
  {
    state_->local = local;
    if (local.port() == 0) state_->local.port(network_->free_port());
    network_->add(state_->local.port(), state_);
  }

  void connect(const memory::endpoint& peer) { state_->peer = peer; }
  void disconnect() { state_->peer.reset(); }
  void cancel() { state_->end_epoch(); }
  void close()
  {
    if (state_->open) network_->remove(state_->local.port());
    state_->open = false;
    state_->peer.reset();
    state_->queue.clear();
    state_->end_epoch();
  }

  template <class Buffers>
  std::size_t send_to(const Buffers& payload, const memory::endpoint& peer)
  {
    dgram::send_batch one{1};
    one.push(dgram::bytes_view(payload), peer);
    return handle().try_send_batch(one).sent;
  }

  /// A train, which arrives as one.
  void send_train(const std::string& payload, std::size_t segment, const memory::endpoint& peer)
  {
    const auto receiver = network_->find(peer.port());
    memory::packet train;
    train.payload.resize(payload.size());
    std::memcpy(train.payload.data(), payload.data(), payload.size());
    train.sender = state_->local;
    train.sent_to = peer.address();
    train.segment = segment;
    receiver->queue.push_back(std::move(train));
    receiver->drained = false;
    receiver->readable.cancel();
  }

  std::size_t try_receive_batch(dgram::receive_batch& batch, dgram::error_code& ec)
  {
    return handle().try_receive_batch(batch, ec);
  }
  std::size_t try_receive_batch(dgram::receive_batch& batch)
  {
    dgram::error_code ec;
    return handle().try_receive_batch(batch, ec);
  }
  dgram::send_result try_send_batch(dgram::send_batch& batch)
  {
    return handle().try_send_batch(batch);
  }

  /// Lets every send fail with this, until it is called with no error.
  void fail_sends(const dgram::error_code& ec)
  {
    state_->send_error = ec;
    if (!ec) state_->writable.cancel();
  }

private:
  std::shared_ptr<memory::state> state_;
  memory::network* network_;
};

/// Sends a train, on any of the sockets that readers are tested with.
inline void send_train(memory_socket& from, const std::string& payload, std::size_t segment,
                       const memory::endpoint& peer)
{
  from.send_train(payload, segment, peer);
}

inline void send_train(dgram::udp::socket& from, const std::string& payload, std::size_t segment,
                       const memory::endpoint& peer)
{
  dgram::send_batch batch{256};
  batch.push_segments(payload, segment, peer);
  from.try_send_batch(batch);
}

/// The reader and the writer of a socket, or of another transport.
template <class Socket>
using reader_of = decltype(dgram::reader{std::declval<Socket&>()});
template <class Socket>
using writer_of = decltype(dgram::writer{std::declval<reader_of<Socket>&>()});

}  // namespace test

/// Takes the name of a test, and perhaps its tags.
#define DGRAM_EACH_TRANSPORT_TEST_CASE(name, ...) \
  TEMPLATE_TEST_CASE(name, "[transport]" __VA_ARGS__, dgram::udp::socket, test::memory_socket)

#endif
