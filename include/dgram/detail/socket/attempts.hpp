// SPDX-License-Identifier: BSL-1.0
// The attempts that a socket makes: one datagram or a batch, received or sent, each in one non-blocking try.
#ifndef DGRAM_DETAIL_SOCKET_ATTEMPTS_HPP
#define DGRAM_DETAIL_SOCKET_ATTEMPTS_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/detail/socket/transfer_op.hpp>
#include <dgram/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
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

/// Tells the errors of earlier datagrams from those of the call that fails with them. Most are in the queue of reports. That
/// has the room of the receive queue, though, and where there is none the kernel tells the next call alone
/// (net/core/skbuff.c, sock_queue_err_skb; net/ipv4/udp.c, __udp4_lib_err). It does so once, so that an error which comes
/// again is the call's own.
class path_error_filter {
public:
  /// Whether to try again.
  template <class State>
  bool passes(State& state, const error_code& ec, bool suspects)
  {
    const blame of = state.reads_reports() ? state.take_reports(ec) : blame::unknown;
    if (ec == net::error::would_block || of == blame::own) return false;
    if (of == blame::earlier) return true;
    if (!suspects || ec == suspect_ || !platform::is_path_error(ec)) return false;
    suspect_ = ec;
    return true;
  }

  /// The call has come to this in the end.
  template <class State>
  void settle(State& state, const error_code& ec)
  {
    if (!suspect_) return;
    if (ec != suspect_) state.note_unreported(suspect_);
    suspect_.clear();
  }

private:
  error_code suspect_;
};

/// Calls `function(error_code&)`, and again while nothing was moved and the error is an earlier datagram's: each round takes
/// the reports that came meanwhile.
template <class State, class Function>
std::size_t past_reports(State& state, error_code& ec, Function function)
{
  std::size_t result = function(ec);
  if (result == 0 && ec && state.reads_reports()) {
    path_error_filter filter;
    while (result == 0 && ec && filter.passes(state, ec, state.flags.receives_errors))
      result = function(ec);
    filter.settle(state, ec);
  }
  if (ec == net::error::would_block) ++state.counts.would_block;
  return result;
}

/// Where a single receive puts who sent the datagram: nowhere, into an endpoint, or into a `datagram_info`.
template <class Target, class State>
void describe_received(Target* target, State& state, const platform::message& message,
                       typename State::endpoint_type& native)
{
  if (target == nullptr) return;
  native.resize(std::min<std::size_t>(message.address_size(), native.capacity()));
  if constexpr (std::is_same_v<Target, typename State::endpoint_type>) {
    *target = state.from_native(native);
  } else {
    platform::received_control said;
    platform::read_control(message.control(), message.control_truncated(), said);
    said.assume_no_drops(state.flags.silence_is_no_drop);
    if (said.has(platform::received_control::drops_given)) state.drops.read(said.drops);
    std::optional<std::size_t> wire_size = message.size();
    if (message.truncated() && !platform::backend::reports_wire_size) wire_size.reset();
    target->assign(state.from_native(native), message.truncated(), wire_size, said,
                   state.flags.wildcard);
  }
}

/// Receives one datagram without blocking; `target` may be null.
template <class State, class Buffers, class Target>
std::size_t receive_one(State& state, const Buffers& buffers, Target* target, int flags,
                        error_code& ec)
{
  ec = std::exchange(state.pending_receive_error, error_code());
  // A train of datagrams in one buffer could not be told from one datagram.
  if (!ec && state.flags.coalescing) ec = error::coalescing;
  if (ec) return 0;
  buffer_list list(buffers);
  platform::message message;
  list.describe(message);
  typename State::endpoint_type native;
  const std::size_t count = past_reports(state, ec, [&](error_code& failure) {
    if (target != nullptr) message.set_address(native.data(), native.capacity());
    // Where there is room a Unix socket puts descriptors there that nobody would close (unix(7), SCM_RIGHTS).
    if constexpr (State::has_addresses && requires { target->control_room(); })
      if (target != nullptr) message.set_control(target->control_room());
    return platform::backend::receive(state.descriptor(), &message, 1, flags, failure);
  });
  if (count == 0) return 0;
  describe_received(target, state, message, native);
  const std::size_t size = std::min(message.size(), list.total());
  ++state.counts.receive_calls;
  ++state.counts.received;
  state.counts.received_bytes += size;
  state.counts.truncated += message.truncated() ? 1 : 0;
  return size;
}

/// Sends one datagram without blocking; `peer` is null on a connected socket, `request` where nothing is asked for.
template <class State, class Buffers>
std::size_t send_one(State& state, const Buffers& buffers,
                     const typename State::endpoint_type* peer, int flags, error_code& ec,
                     const send_request* request = nullptr)
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
  alignas(std::max_align_t) std::array<std::byte, platform::send_control_size> control;
  std::size_t segment = 0;
  const auto write_control = [&](bool v4) {
    message.set_control(request->write(control, v4, state.flags, segment));
  };
  const bool v4 = peer != nullptr ? is_ipv4(*peer) : state.flags.peer_is_ipv4;
  if (request != nullptr) {
    ec = request->check<typename State::protocol_type>(v4);
    if (!ec) ec = state.provide(request->needs()).why;
    if (!ec && list.total() > request->segment_size()) segment = request->segment_size();
    if (!ec && segment > 0 && (!State::knows_trains || platform::backend::max_segments == 1))
      ec = net::error::operation_not_supported;
    if (ec) return 0;
    write_control(v4);
  }
  const auto send = [&](error_code& failure) {
    return platform::backend::send(state.descriptor(), &message, 1, flags, failure);
  };
  std::size_t sent = past_reports(state, ec, send);
  if (ec == net::error::invalid_argument && request != nullptr && segment == 0 &&
      request->sets_traffic_class() && !state.flags.traffic_class_refused) {
    // A kernel that takes no traffic class per datagram takes the datagram without it.
    state.flags.traffic_class_refused = true;
    write_control(v4);
    sent = past_reports(state, ec, send);
    state.flags.traffic_class_refused = sent == 1;
  }
  if (sent == 0) return 0;
  state.end_congestion();
  const std::size_t datagrams = segment > 0 ? (list.total() - 1) / segment + 1 : 1;
  state.counts.sent += datagrams;
  state.counts.segmented += segment > 0 ? datagrams : 0;
  state.counts.sent_bytes += message.size();
  ++state.counts.send_calls;
  return message.size();
}

template <class State, class Batch>
void count_received(State& state, const Batch& batch)
{
  auto& counts = state.counts;
  ++counts.receive_calls;
  counts.received += batch.size();
  counts.received_bytes += batch.bytes();
  counts.truncated += batch.truncated();
  if (state.flags.coalescing) counts.coalesced += batch.coalesced();
  if (state.flags.metadata == 0) return;
  if (const auto dropped = batch.dropped()) state.drops.read(*dropped);
}

/// Receives what is queued, up to the slots that the batch offers, without blocking. Returns how many datagrams.
template <class State, class Batch>
std::size_t receive_many(State& state, Batch& batch, error_code& ec)
{
  const auto slots = batch.prepare(state.flags, ec);
  if (!ec) ec = std::exchange(state.pending_receive_error, error_code());
  if (ec) return 0;
  const std::size_t count = past_reports(state, ec, [&](error_code& failure) {
    // What a Unix socket gives beside the bytes may be descriptors; see `reserve_control`.
    constexpr int flags = State::has_addresses ? 0 : platform::descriptors_close_on_exec;
    return platform::backend::receive(state.descriptor(), slots.data(), slots.size(), flags,
                                      failure);
  });
  batch.commit(count, state.flags);
  if (count > 0) {
    state.end_congestion();
    state.drained = count < slots.size() && !ec;
    // An error behind the first datagrams is told to the next receive, if it is one that receives are told.
    if (ec && state.reads_reports()) {
      path_error_filter filter;
      if (filter.passes(state, ec, state.flags.receives_errors)) ec.clear();
      filter.settle(state, ec);
    }
    state.pending_receive_error = std::exchange(ec, error_code());
    count_received(state, batch);
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
         ec != net::error::shut_down && !platform::is_congestion(ec);
}

/// Whether a batch is to be tried again after an error: since that was no error of its first datagram, or since it can be
/// put to the kernel in another way.
template <class State, class Batch>
bool can_try_otherwise(State& state, Batch& batch, const error_code& ec, path_error_filter& filter,
                       bool& tries_without_class)
{
  // To a connected socket an earlier datagram's error may come where nobody asked for reports.
  const bool suspects =
      state.flags.receives_errors || (state.flags.connected && is_refusal(state, ec));
  if (filter.passes(state, ec, suspects)) return true;
  filter.settle(state, ec);
  // The kernel may be one that takes fewer in one message.
  if (ec == net::error::invalid_argument && batch.try_shorter()) return true;
  if (batch.front_is_segmented() && is_refusal(state, ec)) {
    // The kernel tells no more: one by one, each datagram goes out or gets an error of its own. Where they ask for
    // something the error may be of that.
    if (batch.front_is_plain() && platform::is_segmentation_refused(ec))
      state.unsegmented.insert(batch.front_peer());
    batch.split_front();
    return true;
  }
  if (tries_without_class || state.flags.traffic_class_refused ||
      ec != net::error::invalid_argument || !batch.front_sets_traffic_class())
    return false;
  // A kernel that takes no traffic class per datagram takes the datagram without it.
  tries_without_class = state.flags.traffic_class_refused = true;
  return true;
}

/// Sends as much of the batch as the kernel takes; what it does not take stays in the batch.
template <class State, class Batch>
send_result send_many(State& state, Batch& batch)
{
  send_result result;
  unmet_needs unmet;
  if (const socket_needs needs = batch.needs(); needs.any()) unmet = state.provide(needs);
  auto& counts = state.counts;
  path_error_filter filter;
  bool tries_without_class = false;
  const auto prepare = [&] {
    return batch.prepare(
        state.flags,
        [&](const auto& peer) { return State::knows_trains && !state.unsegmented.contains(peer); },
        result.error, unmet);
  };
  auto rest = prepare();
  while (!rest.empty() || result.error) {
    const bool reached_kernel = !rest.empty();
    const std::size_t count =
        reached_kernel
            ? platform::backend::send(state.descriptor(), rest.data(), rest.size(), 0, result.error)
            : 0;
    if (count > 0) {
      const std::size_t waiting = batch.bytes();
      const std::size_t datagrams = batch.consume(count);
      result.sent += datagrams;
      ++counts.send_calls;
      counts.sent += datagrams;
      counts.sent_bytes += waiting - batch.bytes();
      counts.short_sends += count < rest.size() ? 1 : 0;
      rest = rest.subspan(count);
      filter.settle(state, error_code());
      tries_without_class = false;
    }
    if (!result.error) {
      if (rest.empty()) rest = prepare();
      continue;
    }
    if (!reached_kernel ||
        !can_try_otherwise(state, batch, result.error, filter, tries_without_class)) {
      if (std::exchange(tries_without_class, false)) state.flags.traffic_class_refused = false;
      if (!is_refusal(state, result.error)) break;
      ++counts.rejected;
      if (!batch.refuse_front(result.error)) break;
      ++result.refused;
    }
    rest = prepare();
  }
  if (result.error == net::error::would_block) ++counts.would_block;
  if (result.sent > 0) {
    counts.segmented += batch.take_segmented();
    state.end_congestion();
  }
  return result;
}

template <class State>
progress classify(const State& state, const error_code& ec) noexcept
{
  if (state.is_congested(ec)) return progress::congested;
  return ec == net::error::would_block ? progress::not_ready : progress::done;
}

template <class Buffers, class Target>
class receive_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_read;

  receive_attempt(Buffers buffers, Target* target, int flags)
      : buffers_(std::move(buffers)), target_(target), flags_(flags)
  {
  }

  template <class State>
  progress attempt(State& state)
  {
    size_ = receive_one(state, buffers_, target_, flags_, error_);
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
  Target* target_;
  int flags_;
  error_code error_;
  std::size_t size_ = 0;
};

/// Takes an error of the path, or the time of a send; `would_block` where there is none.
template <class Report, class State>
Report next_report(State& state, error_code& ec)
{
  Report report;
  ec.clear();
  constexpr bool of_time = std::is_same_v<Report, send_timestamp>;
  const bool expected =
      State::has_addresses && (of_time ? platform::has_error_queue : state.flags.receives_errors);
  if (!state.socket.is_open()) {
    ec = net::error::bad_descriptor;
  } else if (!expected) {
    ec = net::error::operation_not_supported;
  } else if (!state.next_report(report)) {
    state.take_reports();
    if (!state.next_report(report)) ec = net::error::would_block;
  }
  return report;
}

/// Waits for a report.
template <class Report>
class report_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_error;

  template <class State>
  progress attempt(State& state)
  {
    report_ = next_report<Report>(state, error_);
    if (error_ != net::error::would_block) return progress::done;
    if (!std::exchange(waiting_, true)) state.begin_waiting_for_reports();
    return progress::not_ready;
  }

  void abort(const error_code& ec) noexcept { error_ = ec; }

  /// It waits no longer, however that came.
  template <class State>
  void finish(State& state)
  {
    if (std::exchange(waiting_, false)) state.end_waiting_for_reports();
  }

  template <class Self>
  void complete(Self& self)
  {
    self.complete(error_, report_);
  }

private:
  Report report_;
  error_code error_;
  bool waiting_ = false;
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

/// Stands where a peer would stand, on a connected socket.
struct no_peer {};

/// `Peers` is the peer, several that are tried in turn until one is not refused, or `no_peer`. `Request` is
/// `send_request`, or `no_request`.
template <class Buffers, class Peers, class Request = no_request>
class send_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_write;

  send_attempt(Buffers buffers, Peers peers, int flags, const Request& request = Request())
      : buffers_(std::move(buffers)), peers_(std::move(peers)), flags_(flags), request_(request)
  {
  }

  template <class State>
  progress attempt(State& state)
  {
    const send_request* request = nullptr;
    if constexpr (std::is_same_v<Request, send_request>) request = &request_;
    do {
      size_ =
          send_one(state, buffers_, peer<typename State::endpoint_type>(), flags_, error_, request);
    } while (error_ && is_refusal(state, error_) && next_peer());
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

  template <class Endpoint>
  const Endpoint* peer() const noexcept
  {
    if constexpr (has_several)
      return &peers_[next_];
    else if constexpr (std::is_same_v<Peers, no_peer>)
      return nullptr;
    else
      return &peers_;
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
  [[no_unique_address]] Request request_;
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
    if constexpr (std::is_pointer_v<Source>) {
      result_ += send_many(state, *source_);
    } else {
      typename Source::scratch room;
      source_.use(room);
      result_ += send_many(state, source_);
    }
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
