// SPDX-License-Identifier: BSL-1.0
// The attempts that a socket makes: one datagram or a batch, received or sent, each in one non-blocking try.
#ifndef DGRAM_DETAIL_TRANSFERS_HPP
#define DGRAM_DETAIL_TRANSFERS_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/transfer_op.hpp>
#include <dgram/error.hpp>
#include <dgram/platform/backend.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A buffer sequence as the kernel takes it.
class buffer_list {
public:
  template <class Buffers>
  explicit buffer_list(const Buffers& buffers)
  {
    for (auto next = net::buffer_sequence_begin(buffers), last = net::buffer_sequence_end(buffers);
         next != last && count_ < buffers_.size(); ++next) {
      const net::const_buffer one(*next);
      buffers_[count_++] = platform::make_buffer(one.data(), one.size());
      total_ += one.size();
    }
  }

  void describe(platform::message& message) noexcept
  {
    message.set_buffers(buffers_.data(), count_);
  }

  std::size_t total() const noexcept { return total_; }

private:
  std::array<platform::buffer, platform::max_buffers_per_datagram> buffers_;
  std::size_t count_ = 0;
  std::size_t total_ = 0;
};

/// Receives one datagram without blocking; `sender` may be null.
template <class State, class Buffers>
std::size_t receive_one(State& state, const Buffers& buffers, typename State::endpoint_type* sender,
                        int flags, error_code& ec)
{
  ec = std::exchange(state.pending_receive_error, error_code());
  // A train of datagrams in one buffer could not be told from one datagram.
  if (!ec && state.flags.coalescing) ec = error::coalescing;
  if (ec) return 0;
  buffer_list list(buffers);
  platform::message message;
  list.describe(message);
  typename State::endpoint_type native;
  if (sender != nullptr) message.set_address(native.data(), native.capacity());
  if (platform::backend::receive(state.descriptor(), &message, 1, flags, ec) == 0) return 0;
  if (sender != nullptr) {
    native.resize(std::min<std::size_t>(message.address_size(), native.capacity()));
    *sender = state.from_native(native);
  }
  return std::min(message.size(), list.total());
}

/// Sends one datagram without blocking; `peer` is null on a connected socket.
template <class State, class Buffers>
std::size_t send_one(State& state, const Buffers& buffers,
                     const typename State::endpoint_type* peer, int flags, error_code& ec)
{
  if (peer != nullptr && state.flags.connected) {
    ec = net::error::already_connected;
    return 0;
  }
  buffer_list list(buffers);
  platform::message message;
  list.describe(message);
  typename State::endpoint_type native;
  if (peer != nullptr) {
    native = state.to_native(*peer);
    message.set_address(native.data(), native.size());
  }
  return platform::backend::send(state.descriptor(), &message, 1, flags, ec) == 1 ? message.size()
                                                                                  : 0;
}

/// Receives what is queued, up to the slots that the batch offers, without blocking. Returns how many datagrams.
template <class State, class Batch>
std::size_t receive_many(State& state, Batch& batch, error_code& ec)
{
  const auto slots = batch.prepare(state.flags, ec);
  if (!ec) ec = std::exchange(state.pending_receive_error, error_code());
  if (ec) return 0;
  const std::size_t count =
      platform::backend::receive(state.descriptor(), slots.data(), slots.size(), 0, ec);
  batch.commit(count, state.flags);
  if (count > 0) {
    state.end_congestion();
    state.drained = count < slots.size() && !ec;
    state.pending_receive_error = std::exchange(ec, error_code());
  }
  return batch.size();
}

/// Whether a datagram was refused for its own sake, so that others may still be sent. Some are kept back by the
/// kernel for reasons of the socket or the system.
template <class State>
bool is_refusal(const State& state, const error_code& ec) noexcept
{
  // A pending ICMP error belongs to an earlier datagram than the one whose send reports it; to an unconnected Unix
  // socket it says that nobody listens on this datagram's path.
  if (ec == net::error::connection_refused) return state.stays_writable();
  return ec != net::error::would_block && ec != net::error::bad_descriptor &&
         ec != net::error::not_socket && ec != net::error::already_connected &&
         ec != platform::destination_required() && ec != net::error::broken_pipe &&
         !platform::is_congestion(ec);
}

/// Sends as much of the batch as the kernel takes; what it does not take stays in the batch.
template <class State, class Batch>
send_result send_many(State& state, Batch& batch)
{
  send_result result;
  const auto prepare = [&] {
    return batch.prepare(
        state.flags,
        [&](const auto& peer) { return State::knows_trains && !state.unsegmented.contains(peer); },
        result.error);
  };
  auto rest = prepare();
  while (!rest.empty()) {
    const std::size_t count =
        platform::backend::send(state.descriptor(), rest.data(), rest.size(), 0, result.error);
    if (count > 0) {
      result.sent += batch.consume(count);
      rest = rest.subspan(count);
    }
    if (!result.error) {
      if (rest.empty()) rest = prepare();
      continue;
    }
    if (batch.front_is_segmented() && is_refusal(state, result.error)) {
      // The kernel tells no more: one by one, each datagram goes out or gets an error of its own.
      if (platform::is_segmentation_refused(result.error))
        state.unsegmented.insert(batch.front_peer());
      batch.split_front();
    } else if (!is_refusal(state, result.error) || !batch.refuse_front(result.error)) {
      break;
    } else {
      ++result.refused;
    }
    rest = prepare();
  }
  if (result.sent > 0) state.end_congestion();
  return result;
}

template <class State>
progress classify(const State& state, const error_code& ec) noexcept
{
  if (state.is_congested(ec)) return progress::congested;
  return ec == net::error::would_block ? progress::not_ready : progress::done;
}

template <class Buffers, class Endpoint>
class receive_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_read;

  receive_attempt(Buffers buffers, Endpoint* sender, int flags)
      : buffers_(std::move(buffers)), sender_(sender), flags_(flags)
  {
  }

  template <class State>
  progress attempt(State& state)
  {
    size_ = receive_one(state, buffers_, sender_, flags_, error_);
    return error_ == net::error::would_block ? progress::not_ready : progress::done;
  }

  void abort(const error_code& ec) noexcept { error_ = ec; }

  template <class Self>
  void complete(Self& self)
  {
    self.complete(error_, size_);
  }

private:
  Buffers buffers_;
  Endpoint* sender_;
  int flags_;
  error_code error_;
  std::size_t size_ = 0;
};

template <class Batch>
class receive_batch_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_read;

  explicit receive_batch_attempt(Batch& batch) noexcept : batch_(&batch) {}

  template <class State>
  progress attempt(State& state)
  {
    if (std::exchange(state.drained, false)) {
      batch_->clear();
      return progress::not_ready;
    }
    count_ = receive_many(state, *batch_, error_);
    return error_ == net::error::would_block ? progress::not_ready : progress::done;
  }

  void abort(const error_code& ec) noexcept { error_ = ec; }

  template <class Self>
  void complete(Self& self)
  {
    self.complete(error_, count_);
  }

private:
  Batch* batch_;
  error_code error_;
  std::size_t count_ = 0;
};

/// `Peers` is the peer, or several that are tried in turn until one is not refused.
template <class Buffers, class Peers>
class send_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_write;

  send_attempt(Buffers buffers, Peers peers, int flags)
      : buffers_(std::move(buffers)), peers_(std::move(peers)), flags_(flags)
  {
  }

  template <class State>
  progress attempt(State& state)
  {
    do {
      size_ = send_one(state, buffers_, &peer(), flags_, error_);
    } while (error_ && is_refusal(state, error_) && next_peer());
    if (!error_) state.end_congestion();
    return classify(state, error_);
  }

  void abort(const error_code& ec) noexcept { error_ = ec; }

  template <class Self>
  void complete(Self& self)
  {
    if constexpr (has_several) peers_ = Peers();  // memory goes before the handler runs
    self.complete(error_, size_);
  }

private:
  static constexpr bool has_several = requires(const Peers& peers) {
    peers.size();
    peers[0];
  };

  const auto& peer() const noexcept
  {
    if constexpr (has_several)
      return peers_[next_];
    else
      return peers_;
  }

  bool next_peer() noexcept
  {
    if constexpr (has_several)
      return ++next_ < peers_.size();
    else
      return false;
  }

  Buffers buffers_;
  Peers peers_;
  int flags_;
  std::size_t next_ = 0;
  error_code error_;
  std::size_t size_ = 0;
};

/// `Source` is a batch of the operation's own, or a pointer to one of the user's.
template <class Source>
class send_batch_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_write;

  explicit send_batch_attempt(Source source) : source_(source) {}

  template <class State>
  progress attempt(State& state)
  {
    if constexpr (std::is_pointer_v<Source>)
      result_ += send_many(state, *source_);
    else
      result_ += send_many(state, source_);
    return classify(state, result_.error);
  }

  void abort(const error_code& ec) noexcept { result_.error = ec; }

  template <class Self>
  void complete(Self& self)
  {
    self.complete(result_.sent == 0 ? result_.error : error_code(), result_);
  }

private:
  Source source_;
  send_result result_;
};

template <class Endpoint>
class connect_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_write;

  explicit connect_attempt(Endpoint peer) : peer_(std::move(peer)) {}

  template <class State>
  progress attempt(State& state)
  {
    state.connect(peer_, error_);
    return progress::done;
  }

  void abort(const error_code& ec) noexcept { error_ = ec; }

  template <class Self>
  void complete(Self& self)
  {
    self.complete(error_);
  }

private:
  Endpoint peer_;
  error_code error_;
};

/// Completes a transfer that was refused before it reached the kernel.
class refused_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_write;

  explicit refused_attempt(error_code ec) noexcept : error_(ec) {}

  template <class State>
  progress attempt(State&) noexcept
  {
    return progress::done;
  }

  void abort(const error_code& ec) noexcept { error_ = ec; }

  template <class Self>
  void complete(Self& self)
  {
    self.complete(error_, std::size_t{0});
  }

private:
  error_code error_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
