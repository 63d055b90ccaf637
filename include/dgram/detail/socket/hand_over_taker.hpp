// SPDX-License-Identifier: BSL-1.0
// The new process's side of a hand-over: connects, checks the old process, and takes the socket.
#ifndef DGRAM_DETAIL_SOCKET_HAND_OVER_TAKER_HPP
#define DGRAM_DETAIL_SOCKET_HAND_OVER_TAKER_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/descriptors.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/deadline.hpp>
#include <dgram/detail/async/signal.hpp>
#include <dgram/detail/socket/hand_over_link.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/hand_over_config.hpp>
#include <dgram/owned_descriptor.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Taken` is the result: it has the socket, the old process, and the socket's drops.
template <class Taken>
class hand_over_taker : public std::enable_shared_from_this<hand_over_taker<Taken>> {
  using socket_type = decltype(Taken::socket);
  using protocol_type = typename socket_type::protocol_type;

public:
  using executor_type = typename socket_type::executor_type;

  hand_over_taker(const executor_type& executor, std::string path, take_over_config config)
      : path_(std::move(path)),
        config_(std::move(config)),
        nonce_(make_nonce()),
        link_(executor),
        timer_(executor),
        retry_(executor),
        done_(executor),
        taken_{.socket = socket_type(executor)}
  {
  }
  hand_over_taker(const hand_over_taker&) = delete;
  hand_over_taker& operator=(const hand_over_taker&) = delete;
  ~hand_over_taker() = default;

  executor_type get_executor() noexcept { return done_.get_executor(); }

  /// Begins on a later turn, since it may call the program's function.
  void start()
  {
    net::post(get_executor(), [self = this->shared_from_this()] {
      if (self->is_done_) return;
      try {
        self->connect();
      } catch (...) {
        self->finish_after_throw();
        throw;
      }
    });
  }

  bool is_done() const noexcept { return is_done_; }
  const error_code& error() const noexcept { return error_; }
  Taken& taken() noexcept { return taken_; }

  /// Completion: `void(error_code)`, when something may have changed.
  template <class Token>
  auto async_wait(Token&& token)
  {
    return done_.async_wait(std::forward<Token>(token));
  }

  /// Ends everything. The old process keeps the socket, unless it has confirmed.
  void abandon() noexcept
  {
    if (!is_done_) end(net::error::operation_aborted);
    link_.close();
    timer_.cancel();
    retry_.cancel();
  }

private:
  using taker = hand_over_taker;

  template <class Function>
  auto then(Function function)
  {
    return [self = this->shared_from_this(), function](const error_code& ec) {
      if (self->is_done_ || ec == net::error::operation_aborted) return;
      self->is_waiting_ = false;
      try {
        function(*self, ec);
      } catch (...) {
        self->finish_after_throw();
        throw;
      }
    };
  }

  void finish_after_throw()
  {
    if (!is_waiting_ && !is_done_) finish(net::error::no_memory);
  }

  void connect()
  {
    error_code ec = check_time_limit(config_.time_limit);
    if (!ec) to_ = parse_unix_endpoint(path_, ec);
    if (ec) return finish(ec);
    timer_.expires_at(deadline(std::chrono::steady_clock::now(), config_.time_limit));
    timer_.async_wait(
        then([](taker& self, const error_code&) { self.refuse(net::error::timed_out); }));
    try_to_connect();
  }

  void try_to_connect()
  {
    error_code ec;
    owned_descriptor opened = platform::open_link(ec);
    if (!ec) platform::connect_link(opened.get(), to_.data(), to_.size(), ec);
    if (ec == net::error::would_block) return connect_later();
    if (!ec) link_.open(std::move(opened), ec);
    if (!ec) taken_.from = link_.peer(ec);
    if (ec) return finish(ec);
    bool trusted = false;
    try {
      trusted = is_trusted(config_.accept, taken_.from);
    } catch (...) {
      refuse(error::untrusted_peer);
      throw;
    }
    if (!trusted) return refuse(error::untrusted_peer);
    hand_over_message request{.step = hand_over_step::request,
                              .wants_path = path_protocol<protocol_type> ? 1 : 0};
    send_and_wait(request);
  }

  template <class Function>
  void pause_before(Function next)
  {
    retry_.expires_after(hand_over_pause);
    retry_.async_wait(then([next](taker& self, const error_code&) { next(self); }));
    is_waiting_ = true;
  }

  /// Other processes ask too. The kernel does not tell when there is room for one more.
  void connect_later()
  {
    pause_before([](taker& self) { self.try_to_connect(); });
  }

  void wait_for_message()
  {
    link_.wait(then([](taker& self, const error_code& ec) {
      if (ec) return self.finish(ec);
      self.take_message();
    }));
    is_waiting_ = true;
  }

  /// `left` is the error of a send to an old process that has left.
  void take_message(const error_code& left = {})
  {
    hand_over_message got;
    owned_descriptor passed;
    error_code ec;
    link_.receive(got, passed, ec);
    if (ec == net::error::would_block && left) return refuse(left);
    // The descriptor was readable in vain, and may be so again at once.
    if (ec == net::error::would_block)
      return pause_before([](taker& self) { self.wait_for_message(); });
    const bool has_ended = ec == net::error::connection_reset;
    // The process that offered the socket has ended, so this is the last process that has it.
    if (has_ended && has_offer_) return finish({});
    if (ec && got.step == hand_over_step::refusal) return finish(ec);
    if (has_ended) return finish(ec);
    const hand_over_step expected =
        has_offer_ ? hand_over_step::confirmation : hand_over_step::offer;
    if (!ec && (got.step != expected || got.echo != nonce_)) ec = error::hand_over_message;
    if (!ec && !has_offer_ && !passed) ec = error::hand_over_message;
    if (ec) return refuse(ec);
    if (has_offer_)
      finish({});
    else
      adopt_offer(got, std::move(passed));
  }

  /// The socket is made before the old process is told, which must keep it if that fails.
  void adopt_offer(const hand_over_message& offer, owned_descriptor passed)
  {
    error_code ec;
    adopt_into(taken_.socket, passed, ec);
    if (ec) return refuse(ec);
    hand_over_access::note_duplicate(taken_.socket.handle());
    has_offer_ = true;
    theirs_ = offer.own;
    taken_.dropped_before = offer.drops;
    hand_over_message ready{.step = hand_over_step::ready};
    send_and_wait(ready);
  }

  /// If the old process has left, its refusal or the end of the connection is there to read.
  void send_and_wait(hand_over_message& message)
  {
    error_code ec;
    send(message, ec);
    if (!ec) return wait_for_message();
    if (!has_left(ec)) return refuse(ec);
    take_message(ec);
  }

  void send(hand_over_message& message, error_code& ec)
  {
    message.own = nonce_;
    message.echo = theirs_;
    link_.send(message, platform::no_descriptor, ec);
  }

  /// Ends with an error of this side, of which the old process learns.
  void refuse(const error_code& why)
  {
    hand_over_message message{.step = hand_over_step::refusal, .reason = reason_of(why)};
    error_code ignored;
    if (link_.is_open()) send(message, ignored);
    finish(why);
  }

  void finish(const error_code& ec)
  {
    end(ec);
    done_.notify();
  }

  void end(const error_code& ec) noexcept
  {
    error_ = ec;
    is_done_ = true;
    if (!ec) return;
    error_code ignored;
    taken_.socket.close(ignored);
  }

  std::string path_;
  take_over_config config_;
  net::local::datagram_protocol::endpoint to_;
  hand_over_nonce nonce_;
  hand_over_nonce theirs_{};
  hand_over_link<executor_type> link_;
  net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>,
                            executor_type>
      timer_, retry_;
  signal<executor_type> done_;
  Taken taken_;
  error_code error_;
  bool has_offer_ = false;
  bool is_waiting_ = false;
  bool is_done_ = false;
};

/// Waits until the taker is done, or the operation is cancelled.
template <class Taken>
class take_over_op {
  using taker_type = hand_over_taker<Taken>;
  using executor_type = typename taker_type::executor_type;

public:
  take_over_op(const executor_type& executor, std::string path, take_over_config config)
      : executor_(executor), path_(std::move(path)), config_(std::move(config))
  {
  }

  template <class Self>
  void operator()(Self& self, error_code = {})
  {
    if (!taker_) {
      taker_ = hand_over_owner<taker_type>(
          std::make_shared<taker_type>(executor_, std::move(path_), std::move(config_)));
      enable_cancellation(self, taker_.shared());
      taker_->start();
    }
    if (!taker_->is_done() &&
        self.get_cancellation_state().cancelled() == net::cancellation_type::none) {
      taker_type& waits_on = *taker_.shared();
      waits_on.async_wait(std::move(self));
      return;
    }
    taker_->abandon();
    const error_code ec = taker_->error();
    Taken taken = std::move(taker_->taken());
    taker_.reset();  // releases it before the handler runs
    self.complete(ec, std::move(taken));
  }

private:
  executor_type executor_;
  std::string path_;
  take_over_config config_;
  hand_over_owner<taker_type> taker_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
