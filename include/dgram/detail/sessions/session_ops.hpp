// SPDX-License-Identifier: BSL-1.0
// The operations of a session and of accepting: each waits for its turn, and then takes or queues
// something.
#ifndef DGRAM_DETAIL_SESSIONS_SESSION_OPS_HPP
#define DGRAM_DETAIL_SESSIONS_SESSION_OPS_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/detail/async/resumed_on.hpp>
#include <dgram/error.hpp>
#include <dgram/session_map.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// A wait that completes with a result, which it takes on the listener's executor: the handler may
/// have another.
template <class Core, class Result>
class taking_wait : public waiter {
public:
  using signature = void(error_code, Result);

  std::tuple<Result> values;

protected:
  ~taking_wait() = default;

  Result& result() noexcept { return std::get<0>(values); }

  /// Whether it may take something. It may not if it was cancelled after it had ended.
  bool may_take() noexcept
  {
    if (core_->forget_late(this) && !outcome) outcome = net::error::operation_aborted;
    return !outcome;
  }

  Core* core_ = nullptr;  // alive while this waits
};

/// Waits for a datagram of a session, and lets `Take` take it. `Take` has `result_type`, and is
/// called with the core, the session and its inbox.
template <class Core, class Take>
class datagram_wait : public taking_wait<Core, typename Take::result_type> {
public:
  /// If this throws, the wait is discarded.
  void begin(Core& on, session_id id, const Take& take)
  {
    this->core_ = &on;
    id_ = id;
    try {
      take_.emplace(take);
    } catch (...) {
      this->discard();
      throw;
    }
    if (auto* const handle = on.handle_of(id)) handle->release_held();
    wait_again();
  }

protected:
  ~datagram_wait() = default;

  void wait_again() { this->core_->wait_datagram(id_, this); }

  /// Returns false if another call has taken the datagram.
  bool prepare()
  {
    error_code& ec = this->outcome;
    if (this->may_take()) {
      if (auto* const handle = this->core_->handle_of(id_); handle == nullptr)
        ec = error::session_ended;
      else if (handle->source()->empty())
        return false;
      else
        this->result() = (*take_)(*this->core_, *handle, *handle->source());
    }
    if (Take::ends_without_error && ec == error::session_ended) ec.clear();
    return true;
  }

private:
  session_id id_;
  std::optional<Take> take_;
};

/// Gives the program a view of the datagram, which the handle keeps.
template <class Datagram>
struct take_view {
  using result_type = std::optional<Datagram>;
  static constexpr bool ends_without_error = true;

  template <class Core, class Session, class Inbox>
  result_type operator()(Core& core, Session& session, Inbox& unread) const
  {
    return session.hold(core.take(unread));
  }
};

/// Copies the datagram into the program's buffers.
template <class Buffers>
struct take_copy {
  using result_type = std::size_t;
  static constexpr bool ends_without_error = false;

  template <class Core, class Session, class Inbox>
  result_type operator()(Core& core, Session&, Inbox& unread) const
  {
    auto* const taken = core.take(unread);
    const bytes_view payload = taken->view().payload();
    const std::size_t size =
        net::buffer_copy(buffers, net::const_buffer(payload.data(), payload.size()));
    core.release(taken);
    return size;
  }

  Buffers buffers;
};

/// A buffer sequence as one piece of memory.
template <class Buffers>
class gathered {
public:
  explicit gathered(const Buffers& buffers)
  {
    if constexpr (std::is_convertible_v<const Buffers&, net::const_buffer>) {
      view_ = net::const_buffer(buffers);
    } else {
      copy_.resize(net::buffer_size(buffers));
      net::buffer_copy(net::buffer(copy_.data(), copy_.size()), buffers);
      view_ = bytes_view(copy_.data(), copy_.size());
    }
  }

  bytes_view view() const noexcept { return view_; }

private:
  std::vector<std::byte> copy_;
  bytes_view view_;
};

/// Queues a datagram, and waits for room if there is none.
template <class Core, class Buffers>
class session_send_op {
  using path_type = basic_reply_path<typename Core::protocol_type>;

public:
  session_send_op(std::shared_ptr<Core> core, session_id id, const Buffers& buffers)
      : core_(std::move(core)), id_(id), buffers_(buffers)
  {
  }

  template <class Self>
  void operator()(Self& self, const error_code& = {})
  {
    const std::shared_ptr<Core> core = core_;
    const step now = std::exchange(step_, step::wait);
    if (now == step::launch) {
      enable_cancellation(self, core);
      const std::size_t size = net::buffer_size(buffers_);
      path_ = core->reserve(id_, size, ec_);
      if (!ec_) reserved_ = size;
    }
    if (self.get_cancellation_state().cancelled() != net::cancellation_type::none &&
        now == step::wait)
      ec_ = net::error::operation_aborted;
    if (now != step::finish && !ec_ && must_wait(*core, now == step::launch)) {
      // What is tried then belongs to the listener, and the handler may have another executor.
      core->async_wait_room(resumed_on(core->get_executor(), std::move(self)));
    } else if (now == step::finish) {
      self.complete(ec_, reserved_);
    } else {
      if (ec_) core->return_unspent(id_, std::exchange(reserved_, 0));
      core_.reset();
      step_ = step::finish;
      if (now == step::launch)
        net::post(core->get_executor(), std::move(self));
      else
        leave_executor(core->get_executor(), self);
    }
  }

private:
  enum class step : unsigned char { launch, wait, finish };

  /// Tries to queue the datagram. Returns whether it has to wait for room.
  bool must_wait(Core& core, bool is_first)
  {
    try {
      const gathered<Buffers> payload(buffers_);
      return core.must_wait(id_, payload.view(), path_, is_first, ec_);
    } catch (...) {
      core.return_unspent(id_, reserved_);
      throw;
    }
  }

  std::shared_ptr<Core> core_;
  session_id id_;
  Buffers buffers_;
  path_type path_;
  error_code ec_;
  std::size_t reserved_ = 0;  // bytes of what the peer may get
  step step_ = step::launch;
};

/// Waits for a session to accept, and completes with its handle, or with none after `stop`.
template <class Core>
class session_wait : public taking_wait<Core, std::optional<typename Core::session_type>> {
public:
  void begin(Core& on)
  {
    this->core_ = &on;
    wait_again();
  }

protected:
  ~session_wait() = default;

  void wait_again() { this->core_->wait_session(this); }

  /// Returns false if another call has taken the session, or it has ended.
  bool prepare()
  {
    if (!this->may_take()) return true;
    if (auto accepted = this->core_->accept_one(); accepted.is_attached())
      this->result() = std::move(accepted);
    else
      return this->core_->is_stopped();
    return true;
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
