// SPDX-License-Identifier: BSL-1.0
// The attempts that `transfer_op` repeats: each is one nonblocking transfer, with its result.
#ifndef DGRAM_DETAIL_SOCKET_ATTEMPTS_HPP
#define DGRAM_DETAIL_SOCKET_ATTEMPTS_HPP

#include <dgram/config.hpp>
#include <dgram/detail/socket/batch_transfer.hpp>
#include <dgram/detail/socket/refusals.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/detail/socket/single_transfer.hpp>
#include <dgram/detail/socket/transfer_op.hpp>
#include <dgram/error.hpp>
#include <dgram/path_error.hpp>
#include <dgram/send_result.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Classifies the result of a send that moved this many datagrams.
template <class State>
progress classify(const State& state, const error_code& ec, std::size_t moved,
                  bool addressed = false) noexcept
{
  if (state.is_congested(ec, addressed)) return progress::congested;
  if (ec != net::error::would_block) return progress::done;
  return moved > 0 ? progress::moved : progress::not_ready;
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

/// Takes a path error or a send time; `would_block` if there is none.
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

  /// Called when the operation no longer waits, for whatever reason.
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

/// Takes the place of a peer on a connected socket.
struct no_peer {};

/// `Peers` is one peer, several peers that are tried in turn until one is not refused, or
/// `no_peer`. `Request` is `send_request` or `no_request`.
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
    do {
      size_ = send_one(state, buffers_, peer<typename State::endpoint_type>(), flags_, error_,
                       &request_);
    } while (error_ && is_refusal(state, error_) && next_peer());
    return classify(state, error_, 0, !std::is_same_v<Peers, no_peer>);
  }

  void abort(const error_code& ec) noexcept { error_ = ec; }

  template <class Self>
  void complete(Self& self)
  {
    if constexpr (has_several) peers_ = Peers();  // releases the memory before the handler runs
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

/// `Source` is a batch that the operation owns, or a pointer to a batch of the user's.
template <class Source>
class send_batch_attempt {
public:
  static constexpr auto wait_for = net::socket_base::wait_write;

  explicit send_batch_attempt(Source source) : source_(source) {}

  template <class State>
  progress attempt(State& state)
  {
    const std::size_t before = result_.sent;
    if constexpr (std::is_pointer_v<Source>) {
      result_ += send_many(state, *source_);
    } else {
      typename Source::scratch room;
      source_.use(room);
      result_ += send_many(state, source_);
    }
    return classify(state, result_.error, result_.sent - before);
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

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
