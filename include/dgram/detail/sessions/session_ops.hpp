// SPDX-License-Identifier: BSL-1.0
// The operations of a session: each waits for its turn, and then takes or queues one datagram.
#ifndef DGRAM_DETAIL_SESSIONS_SESSION_OPS_HPP
#define DGRAM_DETAIL_SESSIONS_SESSION_OPS_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/cancellation.hpp>
#include <dgram/error.hpp>
#include <dgram/session_map.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Waits for a datagram of a session, lets `Take` take it, and completes with the result. `Take`
/// has `result_type`, and is called with the core, the session and its inbox.
template <class Core, class Take>
class session_take_op {
public:
  using result_type = typename Take::result_type;

  session_take_op(std::shared_ptr<Core> core, session_id id, Take take)
      : core_(std::move(core)), id_(id), take_(std::move(take))
  {
  }

  template <class Self>
  void operator()(Self& self, error_code ec = {})
  {
    const std::shared_ptr<Core> core = core_;
    if (!std::exchange(launched_, true)) {
      enable_cancellation(self, core);
      if (auto* const handle = core->handle_of(id_)) handle->release_held();
      core->async_wait_datagram(id_, std::move(self));
      return;
    }
    result_type result{};
    if (!ec) {
      if (self.get_cancellation_state().cancelled() != net::cancellation_type::none) {
        ec = net::error::operation_aborted;
      } else if (auto* const handle = core->handle_of(id_); handle == nullptr) {
        ec = error::session_ended;
      } else if (handle->source()->empty()) {
        core->async_wait_datagram(id_, std::move(self));
        return;
      } else {
        result = take_(*core, *handle, *handle->source());
      }
    }
    if (Take::ends_without_error && ec == error::session_ended) ec.clear();
    core_.reset();  // releases the memory before the handler runs
    self.complete(ec, std::move(result));
  }

private:
  std::shared_ptr<Core> core_;
  session_id id_;
  Take take_;
  bool launched_ = false;
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
      core->async_wait_room(std::move(self));
    } else if (now == step::launch) {
      step_ = step::finish;
      net::post(core->get_executor(), std::move(self));
    } else {
      finish(self);
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

  template <class Self>
  void finish(Self& self)
  {
    const error_code ec = ec_;
    const std::size_t size = ec ? 0 : reserved_;
    if (ec) core_->return_unspent(id_, reserved_);
    core_.reset();  // releases the memory before the handler runs
    self.complete(ec, size);
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
class accept_op {
public:
  explicit accept_op(std::shared_ptr<Core> core) noexcept : core_(std::move(core)) {}

  template <class Self>
  void operator()(Self& self, error_code ec = {})
  {
    using session_type = typename Core::session_type;
    const std::shared_ptr<Core> core = core_;
    if (!std::exchange(launched_, true)) {
      enable_cancellation(self, core);
      core->async_wait_session(std::move(self));
      return;
    }
    std::optional<session_type> result;
    if (!ec && self.get_cancellation_state().cancelled() != net::cancellation_type::none)
      ec = net::error::operation_aborted;
    if (!ec) {
      if (session_type accepted = core->accept_one(); accepted.is_attached())
        result = std::move(accepted);
      else if (!core->is_stopped()) {
        core->async_wait_session(std::move(self));
        return;
      }
    }
    core_.reset();  // releases the memory before the handler runs
    self.complete(ec, std::move(result));
  }

private:
  std::shared_ptr<Core> core_;
  bool launched_ = false;
};

/// Stops a listener, waits for its sessions, and completes with the number of those that it has
/// cut.
template <class Core>
class drain_op {
public:
  drain_op(std::shared_ptr<Core> core, typename Core::clock_type::duration limit)
      : core_(std::move(core)), limit_(limit)
  {
  }

  template <class Self>
  void operator()(Self& self, const error_code& ec = {})
  {
    const std::shared_ptr<Core> core = core_;
    if (!std::exchange(launched_, true)) {
      enable_cancellation(self, core);
      core->async_drain(limit_, std::move(self));
      return;
    }
    core_.reset();  // releases the memory before the handler runs
    self.complete(ec, ec ? 0 : core->cut());
  }

private:
  std::shared_ptr<Core> core_;
  typename Core::clock_type::duration limit_;
  bool launched_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
