// SPDX-License-Identifier: BSL-1.0
// The old process's side of a hand-over: listens, checks each process that asks, and gives.
#ifndef DGRAM_DETAIL_SOCKET_HAND_OVER_GIVER_HPP
#define DGRAM_DETAIL_SOCKET_HAND_OVER_GIVER_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/platform/error_queue.hpp>
#include <dgram/detail/socket/bound_path.hpp>
#include <dgram/detail/socket/hand_over_link.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/detail/socket/transfer_op.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/hand_over_config.hpp>
#include <dgram/owned_descriptor.hpp>
#include <dgram/socket_handle.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Serves one process at a time until one has the socket. Others wait to be accepted meanwhile. A
/// process that stalls is given up when its time ends.
template <class Handle>
class hand_over_giver : public std::enable_shared_from_this<hand_over_giver<Handle>> {
  using executor_type = typename Handle::executor_type;

public:
  hand_over_giver(Handle socket, net::local::datagram_protocol::endpoint local,
                  hand_over_config config)
      : socket_(std::move(socket)),
        local_(std::move(local)),
        config_(std::move(config)),
        nonce_(make_nonce()),
        listener_(socket_.get_executor()),
        link_(socket_.get_executor()),
        timer_(socket_.get_executor()),
        retry_(socket_.get_executor())
  {
  }
  hand_over_giver(const hand_over_giver&) = delete;
  hand_over_giver& operator=(const hand_over_giver&) = delete;
  ~hand_over_giver() { path_.remove(); }

  void start()
  {
    if (!socket_.is_open()) error_ = net::error::bad_descriptor;
    if (!error_) error_ = check_time_limit(config_.time_limit);
    if (config_.file_mode == 0 || config_.file_mode > 0777) error_ = error::out_of_range;
    if (!error_) listen(error_);
    if (!error_) wait_for_process();
    is_done_ = static_cast<bool>(error_);
  }

  bool is_done() const noexcept { return is_done_; }
  const error_code& error() const noexcept { return error_; }
  const hand_over_report& report() const noexcept { return report_; }

  /// Ends everything. A process that was offered the socket learns that it does not get it.
  void stop() noexcept
  {
    if (link_.is_open() && (!is_done_ || error_)) refuse(error::hand_over_withdrawn);
    abandon();
  }

  /// Ends everything without a word, as the end of this process does.
  void abandon() noexcept
  {
    ++round_;
    link_.close();
    stop_listening();
    timer_.cancel();
    retry_.cancel();
    is_done_ = true;
  }

private:
  using giver = hand_over_giver;

  void listen(error_code& ec)
  {
    owned_descriptor opened = platform::open_link(ec);
    if (ec) return;
    if (!is_abstract(local_)) path_.set_mode(opened.get(), config_.file_mode);
    unbound_link named(opened);
    path_.bind(named, local_, ec);
    if (!ec) platform::listen_on_link(opened.get(), ec);
    if (!ec) listener_.open(std::move(opened), ec);
    if (ec) path_.remove();
  }

  /// Removes the file first: the new process may listen at the same path at once.
  void stop_listening() noexcept
  {
    path_.remove();
    listener_.close();
  }

  /// A function for the end of a wait. It does nothing if another round has begun. If it cannot go
  /// on, the hand-over ends, and the exception leaves the context.
  template <class Function>
  auto in_this_round(Function function)
  {
    return [self = this->shared_from_this(), round = round_, function](const error_code& ec) {
      if (round != self->round_ || ec == net::error::operation_aborted) return;
      self->is_waiting_ = false;
      try {
        function(*self, ec);
      } catch (...) {
        if (!self->is_waiting_ && !self->is_done_) self->finish(net::error::no_memory);
        throw;
      }
    };
  }

  void wait_for_process()
  {
    ++round_;
    listener_.wait(in_this_round([](giver& self, const error_code& ec) {
      if (ec) return self.finish(ec);
      self.accept_process();
    }));
    is_waiting_ = true;
  }

  void wait_for_message()
  {
    link_.wait(in_this_round([](giver& self, const error_code& ec) {
      if (ec) return self.reject(ec);
      self.take_message();
    }));
    is_waiting_ = true;
  }

  /// The descriptor was readable in vain, and may be so again at once.
  template <class Function>
  void pause_before(Function next)
  {
    retry_.expires_after(hand_over_pause);
    retry_.async_wait(in_this_round([next](giver& self, const error_code&) { next(self); }));
    is_waiting_ = true;
  }

  void accept_process()
  {
    error_code ec;
    owned_descriptor accepted = platform::accept_link(listener_.descriptor(), ec);
    if (ec == net::error::would_block)
      return pause_before([](giver& self) { self.wait_for_process(); });
    if (ec) return finish(ec);
    link_.open(std::move(accepted), ec);
    if (ec) return finish(ec);
    peer_ = {};
    peer_ = link_.peer(ec);
    if (ec) return reject(ec);
    bool trusted = false;
    try {
      trusted = is_trusted(config_.accept, peer_);
    } catch (...) {
      reject(error::untrusted_peer);
      throw;
    }
    if (!trusted) return reject(error::untrusted_peer);
    ++round_;
    step_ = hand_over_step::request;
    timer_.expires_at(deadline(std::chrono::steady_clock::now(), config_.time_limit));
    timer_.async_wait(
        in_this_round([](giver& self, const error_code&) { self.reject(net::error::timed_out); }));
    wait_for_message();
  }

  void take_message()
  {
    hand_over_message got;
    owned_descriptor unasked;
    error_code ec;
    link_.receive(got, unasked, ec);
    if (ec == net::error::would_block)
      return pause_before([](giver& self) { self.wait_for_message(); });
    if (!ec && got.step != step_) ec = error::hand_over_message;
    if (!ec && got.step == hand_over_step::ready && got.echo != nonce_)
      ec = error::hand_over_message;
    if (ec) return reject(ec);
    if (got.step == hand_over_step::request)
      offer(got);
    else
      confirm();
  }

  void offer(const hand_over_message& request)
  {
    using protocol_type = typename Handle::protocol_type;
    if ((request.wants_path != 0) != path_protocol<protocol_type>)
      return reject(error::wrong_descriptor);
    const auto descriptor = hand_over_access::descriptor(socket_);
    std::uint32_t drops = 0;
    platform::read_drops(descriptor, drops);
    theirs_ = request.own;
    hand_over_access::note_duplicate(socket_);
    hand_over_message message{.step = hand_over_step::offer, .drops = drops};
    error_code ec;
    send(message, descriptor, ec);
    if (ec) return reject(net::error::connection_reset);
    step_ = hand_over_step::ready;
    wait_for_message();
  }

  void confirm()
  {
    ++round_;
    timer_.cancel();
    stop_listening();
    hand_over_message message{.step = hand_over_step::confirmation};
    error_code ec;
    send(message, platform::no_descriptor, ec);
    if (!has_left(ec)) {
      // The end of the connection confirms too, if there was no memory for the message.
      link_.close();
      hand_over_access::leave_file(socket_);
      report_.to = peer_;
      return finish({});
    }
    // The process has ended meanwhile, so the next one may ask.
    listen(ec);
    if (ec) return finish(ec);
    reject(net::error::connection_reset);
  }

  void send(hand_over_message& message, platform::descriptor_type passed, error_code& ec)
  {
    message.own = nonce_;
    message.echo = theirs_;
    link_.send(message, passed, ec);
  }

  void refuse(const error_code& why) noexcept
  {
    hand_over_message message{.step = hand_over_step::refusal, .reason = reason_of(why)};
    error_code ignored;
    send(message, platform::no_descriptor, ignored);
  }

  /// Ends with this process, and waits for the next.
  void reject(const error_code& why)
  {
    ++(reason_of(why) != hand_over_reason::withdrawn ? report_.refused : report_.failed);
    refuse(why);
    link_.close();
    timer_.cancel();
    theirs_ = {};
    wait_for_process();
    if (config_.on_refused) config_.on_refused({why, peer_});
  }

  void finish(const error_code& ec)
  {
    ++round_;
    error_ = ec;
    is_done_ = true;
    lookup_access::wake(socket_);
  }

  Handle socket_;
  net::local::datagram_protocol::endpoint local_;
  hand_over_config config_;
  hand_over_nonce nonce_;
  hand_over_nonce theirs_{};
  bound_path path_;
  hand_over_link<executor_type> listener_;
  hand_over_link<executor_type> link_;
  net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>,
                            executor_type>
      timer_, retry_;
  peer_credentials peer_;
  hand_over_report report_;
  error_code error_;
  hand_over_step step_ = hand_over_step::request;
  std::uint64_t round_ = 0;  // tells the waits of this step from earlier ones
  bool is_waiting_ = false;
  bool is_done_ = false;
};

/// Waits until the giver is done, the socket is closed, or the operation is cancelled.
template <class Handle>
class hand_over_op {
public:
  hand_over_op(Handle socket, std::string path, hand_over_config config)
      : socket_(std::move(socket)), path_(std::move(path)), config_(std::move(config))
  {
  }

  template <class Self>
  void operator()(Self& self, error_code = {})
  {
    if (!is_launched_) {
      is_launched_ = true;
      launch(self);
      return;
    }
    if (giver_ && guard_.is_over(socket_->epoch(), self.get_cancellation_state())) {
      if (!giver_->is_done()) error_ = net::error::operation_aborted;
    } else if (giver_ && !giver_->is_done()) {
      return wait(self);
    }
    complete(self);
  }

private:
  template <class Self>
  void launch(Self& self)
  {
    guard_.enter(socket_->epoch());
    enable_cancellation(self, socket_->lifetime());
    const auto local = parse_unix_endpoint(path_, error_);
    if (!error_) {
      giver_ = hand_over_owner<hand_over_giver<Handle>>(
          std::make_shared<hand_over_giver<Handle>>(*socket_, local, std::move(config_)));
      giver_->start();
      if (!giver_->is_done()) return wait(self);
    }
    const auto executor = socket_->get_executor();
    resume_later(executor, std::move(self));
  }

  template <class Self>
  void wait(Self& self)
  {
    const Handle waits_on = *socket_;
    lookup_access::async_wait(waits_on, std::move(self));
  }

  /// Releases everything before the handler runs, which may destroy the socket.
  template <class Self>
  void complete(Self& self)
  {
    hand_over_report report;
    if (giver_) {
      if (!error_) error_ = giver_->error();
      report = giver_->report();
      giver_->stop();
    }
    giver_.reset();
    socket_.reset();
    config_ = {};
    path_ = {};
    self.complete(error_, report);
  }

  std::optional<Handle> socket_;  // empty once it is not needed any more
  std::string path_;
  hand_over_config config_;
  hand_over_owner<hand_over_giver<Handle>> giver_;
  epoch_guard guard_;
  error_code error_;
  bool is_launched_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
