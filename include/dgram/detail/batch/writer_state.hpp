// SPDX-License-Identifier: BSL-1.0
// The state that a writer shares with its flushes: the queued datagrams and when they leave.
#ifndef DGRAM_DETAIL_BATCH_WRITER_STATE_HPP
#define DGRAM_DETAIL_BATCH_WRITER_STATE_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/checked_size.hpp>
#include <dgram/detail/async/epoch_guard.hpp>
#include <dgram/detail/async/no_memory.hpp>
#include <dgram/detail/async/replaceable_function.hpp>
#include <dgram/detail/async/scoped_value.hpp>
#include <dgram/detail/async/signal.hpp>
#include <dgram/detail/batch/outbox.hpp>
#include <dgram/detail/batch/reader_state.hpp>
#include <dgram/detail/socket/attempts.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/error.hpp>
#include <dgram/send_batch.hpp>
#include <dgram/writer_config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// `Handle` is a `transport_handle`.
template <class Handle>
struct writer_state : std::enable_shared_from_this<writer_state<Handle>> {
  using protocol_type = typename Handle::protocol_type;
  using endpoint_type = typename protocol_type::endpoint;
  using executor_type = typename Handle::executor_type;
  using reader_type = reader_state<Handle>;

  /// `source` is the reader whose turns the writer follows; null for a writer on a socket alone.
  DGRAM_COLD writer_state(Handle handle, std::shared_ptr<reader_type> source,
                          const writer_config& config)
      : batch(checked(config)),
        room_(handle.get_executor()),
        socket_(std::move(handle)),
        reader_(std::move(source)),
        largest_(std::min<std::size_t>(65535, batch.max_bytes())),
        when_full_(config.when_full),
        when_peer_full_(config.when_peer_full.value_or(reader_ != nullptr ? full_policy::drop_newest
                                                                          : config.when_full))
  {
  }

  basic_send_batch<protocol_type> batch;
  writer_statistics statistics;

  /// Why the most recent datagram was lost.
  error_code last_loss;
  replaceable_function<
      std::function<void(error_code, const endpoint_type&, std::size_t, std::uint64_t)>>
      on_error;

  void attach()
  {
    batch.on_refused(
        [this](error_code ec, const endpoint_type& peer, std::size_t size, std::uint64_t number) {
          ++statistics.refused;
          report(ec, peer, size, number);
        });
    if (!reader_) return;
    reader_->turn_end = [this] { end_turn(); };
    reader_->turn_owner = this;
  }

  /// How many datagrams the kernel or the batch makes from a payload.
  static std::size_t count(bytes_view) noexcept { return 1; }
  static std::size_t count(bytes_view payload, const send_options& options)
  {
    return count(payload.size(), options);
  }
  static std::size_t count(std::size_t size, const send_options& options)
  {
    if (options.segment_size == std::size_t{0})
      detail::throw_if(net::error::invalid_argument, "send with", "segment_size{0}", "1 and more");
    return places_of(size, options);
  }

  /// The same before the options are checked.
  static std::size_t places_of(std::size_t) noexcept { return 1; }
  static std::size_t places_of(std::size_t size, const send_options& options) noexcept
  {
    const std::size_t segment = options.segment_size.value_or(0);
    return segment == 0 || size <= segment ? 1 : (size - 1) / segment + 1;
  }

  /// The caller's number for a datagram.
  static std::uint64_t number_of() noexcept { return 0; }
  static std::uint64_t number_of(const send_options& options) noexcept { return options.number; }

  template <class Target>
  bool can_take(std::size_t size, std::size_t datagrams, const Target& to) const noexcept
  {
    return has_room(size, datagrams, to) && !closed_ && socket_.is_open();
  }

  /// How many datagrams are queued.
  std::size_t size() const noexcept { return batch.size() + out_.held_count(); }

  /// Whether a flush has to wait. It does not wait for full peers if a send does not.
  bool has_to_flush() const noexcept
  {
    return !batch.empty() || (out_.held_count() > 0 && when_peer_full_ == full_policy::wait);
  }

  /// The same, and whether the socket can send to such a peer. A false result does not say why.
  template <class Target>
  bool takes_at_once(std::size_t size, std::size_t datagrams, const Target& to) const noexcept
  {
    constexpr bool addressed = !std::is_same_v<Target, no_peer>;
    return has_room(size, datagrams, to) && !closed_ && socket_.is_open() &&
           socket_.is_connected() != addressed;
  }

  /// Whether the next datagram, of any size, finds room, or is dropped because there is no room.
  bool has_room_for_any()
  {
    if constexpr (path_protocol<protocol_type>)
      if (!has_room_for_full_peers(1, 1) && when_peer_full_ == full_policy::wait) return false;
    return batch.has_room(largest_) || makes_room_for_any();
  }

  /// Flushes. `ec` says why a wait for room cannot help.
  void make_room(std::size_t size, std::size_t datagrams, error_code& ec)
  {
    flush();
    if (size > batch.max_bytes() || datagrams > batch.capacity())
      ec = net::error::message_size;
    else if (!socket_.is_open())
      ec = net::error::bad_descriptor;
  }

  template <class Target>
  bool must_wait(std::size_t size, std::size_t datagrams, error_code& ec,
                 const Target& to) const noexcept
  {
    if (!ec && !socket_.is_open()) ec = net::error::bad_descriptor;
    if (!ec && closed_) ec = net::error::operation_aborted;
    const full_policy policy = is_full(to) ? when_peer_full_ : when_full_;
    return !ec && !has_room(size, datagrams, to) && policy == full_policy::wait;
  }

  /// `to` is an endpoint, a reply path, or (on a connected socket) `no_peer`. `options` follow it.
  /// The caller has found room.
  template <class Target, class... Options>
  DGRAM_INLINE void push(bytes_view payload, std::size_t datagrams, const Target& to,
                         const Options&... options)
  {
    if (guard_.is_over(socket_.epoch())) [[unlikely]]
      return push_in_new_epoch(payload, datagrams, to, options...);
    if constexpr (can_be_full<Target>) {
      if (is_full(to)) {
        hold(payload, to, options...);
        statistics.queued += datagrams;
        return;
      }
    }
    if constexpr (std::is_same_v<Target, no_peer>)
      batch.push(payload, options...);
    else
      batch.push(payload, to, options...);
    statistics.queued += datagrams;
    // The datagrams that one handler, or one resumption of a coroutine, sends leave together when
    // it ends.
    const bool answers = reader_ && reader_->is_behind_turn();
    if (answers || !flush_posted_) arrange_flush(answers);
  }

  template <class Target>
  void count_dropped(std::size_t size, std::size_t datagrams, const Target& to,
                     std::uint64_t number)
  {
    statistics.dropped += datagrams;
    report(net::error::no_buffer_space, peer_of(to), size, number);
  }

  /// Finds room for the caller to write to. It is valid until the next push. `ec` says why there is
  /// none.
  std::span<std::byte> reserve(std::size_t size, std::size_t datagrams, error_code& ec)
  {
    ec.clear();
    reserved_ = {};
    if (size == 0 || datagrams == 0) ec = net::error::invalid_argument;
    if (!ec && (!batch.has_room(size, datagrams) || closed_ || !socket_.is_open())) {
      make_room(size, datagrams, ec);
      if (!ec && closed_) ec = net::error::operation_aborted;
      if (!ec && !batch.has_room(size, datagrams)) ec = net::error::would_block;
    }
    if (ec) return {};
    reserved_ = {batch.free_room(), size, datagrams, statistics.queued};
    return {reserved_.data, size};
  }

  /// Queues the first bytes of the reserved room. Throws the errors of the options.
  template <class Target>
  void commit(std::size_t size, const Target& to, const send_options& options, error_code& ec)
  {
    const std::size_t datagrams = count(size, options);
    ec = check(to);
    if (!ec) ec = obstacle_to_commit(size, datagrams);
    if (ec) return;
    if (guard_.is_over(socket_.epoch())) [[unlikely]] {
      begin_epoch(size, datagrams);
      ec = obstacle_to_commit(size, datagrams);  // the error handler may have sent
      if (ec) return;
    }
    if (!holds_reserved(size, to, options)) {
      // A flush that emptied the queue has moved its end, and left the bytes where they are.
      std::byte* const place = batch.free_room();
      if (place != reserved_.data) std::memmove(place, reserved_.data, size);
      reserved_.data = place;
      push_placed(size, to, options);
    }
    reserved_ = {};
    statistics.queued += datagrams;
    const bool answers = reader_ && reader_->is_behind_turn();
    if (answers || !flush_posted_) arrange_flush(answers);
  }

  /// Why no datagram can be sent to this peer.
  template <class Target>
  error_code check(const Target&) const noexcept
  {
    constexpr bool addressed = !std::is_same_v<Target, no_peer>;
    if (!socket_.is_open() || socket_.is_connected() != addressed) return {};
    return addressed ? error_code(net::error::already_connected) : platform::destination_required();
  }

  /// Passes to the kernel what it takes now. The rest follows when the kernel has room.
  void flush()
  {
    if (size() == 0 || is_losing_) return;
    if (guard_.is_over(socket_.epoch()))
      lose(net::error::operation_aborted);
    else if (!batch.empty())
      out_.flush(socket_);
    if (batch.empty()) wake_waiting();
  }

  /// If `ec` is set, throws it. The text says how large a payload is that the queue never has room
  /// for, and how much it could hold.
  void throw_if_refused(const error_code& ec, const char* what, std::size_t size,
                        std::size_t datagrams) const
  {
    if (ec) raise_refusal(ec, what, size, datagrams);
  }

  executor_type get_executor() const { return socket_.get_executor(); }

  /// Whether the queue waits for the kernel.
  bool is_blocked() const noexcept { return out_.is_waiting() && !batch.empty(); }

  /// Why a datagram cannot be queued now; clear if it can.
  template <class Target>
  DGRAM_COLD error_code obstacle(std::size_t size, std::size_t datagrams, const Target& to)
  {
    error_code ec = check(to);
    if (!ec) make_room(size, datagrams, ec);
    if (!ec && closed_) ec = net::error::operation_aborted;
    if (!ec && !has_room(size, datagrams, to)) ec = net::error::would_block;
    return ec;
  }

  /// Waits for the end of a flush, after which there may be room.
  template <class Token>
  auto async_wait_room(Token&& token)
  {
    is_waited_for_ = true;
    return room_.async_wait(std::forward<Token>(token));
  }

  void close()
  {
    if (closed_) return;
    if (reader_ && reader_->turn_owner == this) reader_->turn_end = nullptr;
    flush();
    if (!guard_.is_over(socket_.epoch())) out_.offer_to_full_peers(socket_);
    closed_ = true;
    lose(net::error::operation_aborted);
  }

  // --- called by the outbox ---

  bool has_more() const noexcept { return !batch.empty(); }

  send_result offer()
  {
    const send_result result = socket_.try_send_batch(batch);
    statistics.sent += result.sent;
    out_.hold_rest(socket_, batch, [this](std::size_t at) { return mark{batch.number_at(at)}; });
    return result;
  }

  /// The kernel has reported the error once and forgets it. It costs none of this writer's
  /// datagrams.
  void path_error(const error_code&) noexcept {}

  void fail(const error_code& ec) { lose(ec); }

  void offer_again() { flush(); }

  std::shared_ptr<writer_state> keep_alive() { return this->shared_from_this(); }

  /// What a writer keeps with a datagram.
  struct mark {
    std::uint64_t number = 0;
  };

  void departed(mark&& of, const error_code& ec, const endpoint_type& peer, std::size_t size)
  {
    if (!ec) {
      ++statistics.sent;
    } else if (ec == net::error::no_memory) {
      count_lost(ec, peer, size, of.number);
    } else {
      ++statistics.refused;
      report(ec, peer, size, of.number);
    }
  }

  void offer_to_full_peers()
  {
    if (!guard_.is_over(socket_.epoch()))
      out_.offer_to_full_peers(socket_);
    else
      lose(net::error::operation_aborted);
    wake_waiting();
  }

private:
  [[noreturn]] DGRAM_COLD void raise_refusal(const error_code& ec, const char* what,
                                             std::size_t size, std::size_t datagrams) const
  {
    std::string text(what);
    const auto add = [&](std::size_t has, const char* of, std::size_t most) {
      text.append(" with ").append(std::to_string(has)).append(of);
      text.append(" (at most ").append(std::to_string(most)).append(")");
    };
    if (ec == net::error::message_size && size > batch.max_bytes())
      add(size, " bytes", batch.max_bytes());
    else if (ec == net::error::message_size && datagrams > batch.capacity())
      add(datagrams, " datagrams", batch.capacity());
    raise(ec, text);
  }

  static send_batch_config checked(const writer_config& config)
  {
    using batch_type = basic_send_batch<protocol_type>;
    const char* const bytes = "writer: bytes";
    return {.datagrams = batch_type::checked_capacity("writer: datagrams", config.datagrams),
            .bytes = checked_size(bytes, checked_positive(bytes, config.bytes)),
            .copy = true};
  }

  template <class Target>
  static constexpr bool can_be_full =
      path_protocol<protocol_type> && !std::is_same_v<Target, no_peer>;

  template <class Target>
  bool is_full(const Target& to) const noexcept
  {
    if constexpr (std::is_same_v<Target, endpoint_type>)
      return out_.is_full(to);
    else if constexpr (can_be_full<Target>)
      return out_.is_full(to.peer);
    else
      return false;
  }

  template <class Target>
  bool has_room(std::size_t size, std::size_t datagrams, const Target& to) const noexcept
  {
    if constexpr (can_be_full<Target>)
      if (is_full(to)) return has_room_for_full_peers(size, datagrams);
    return batch.has_room(size, datagrams);
  }

  /// There is always room for one datagram.
  bool has_room_for_full_peers(std::size_t size, std::size_t datagrams) const noexcept
  {
    const std::size_t count = out_.held_count();
    return count == 0 || (count + datagrams <= batch.capacity() / 2 &&
                          out_.held_bytes() + size <= batch.max_bytes() / 2);
  }

  template <class Target, class... Options>
  void hold(bytes_view payload, const Target& to, const Options&... options)
  {
    out_.hold([&](auto& one) { one.push(payload, to, options...); }, mark{number_of(options...)});
  }

  /// Memory of the batch that the caller writes to.
  struct reservation {
    std::byte* data = nullptr;
    std::size_t size = 0;
    std::size_t datagrams = 0;
    std::uint64_t queued = 0;  // then; a later push may have overwritten the memory
  };

  error_code obstacle_to_commit(std::size_t size, std::size_t datagrams) const noexcept
  {
    if (!socket_.is_open()) return net::error::bad_descriptor;
    if (closed_) return net::error::operation_aborted;
    if (reserved_.data == nullptr || reserved_.queued != statistics.queued)
      return net::error::invalid_argument;
    if (size > reserved_.size || datagrams > reserved_.datagrams) return error::out_of_range;
    return {};
  }

  /// Copies the reserved bytes if their peer is full, and returns whether it is.
  template <class Target>
  bool holds_reserved([[maybe_unused]] std::size_t size, [[maybe_unused]] const Target& to,
                      [[maybe_unused]] const send_options& options)
  {
    if constexpr (can_be_full<Target>) {
      if (is_full(to)) {
        hold(bytes_view(reserved_.data, size), to, options);
        return true;
      }
    }
    return false;
  }

  void push_placed(std::size_t size, const endpoint_type& peer, const send_options& options)
  {
    batch.push_placed(size, &peer, {}, options);
  }
  void push_placed(std::size_t size, const basic_reply_path<protocol_type>& path,
                   const send_options& options)
  {
    batch.push_placed(size, &path.peer, path, options);
  }
  void push_placed(std::size_t size, const no_peer&, const send_options& options)
  {
    batch.push_placed(size, nullptr, {}, options);
  }

  static endpoint_type peer_of(const endpoint_type& peer) { return peer; }
  static endpoint_type peer_of(const basic_reply_path<protocol_type>& path) { return path.peer; }
  static endpoint_type peer_of(const no_peer&) { return {}; }

  template <class Target, class... Options>
  DGRAM_COLD void push_in_new_epoch(bytes_view payload, std::size_t datagrams, const Target& to,
                                    const Options&... options)
  {
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): the error handler may destroy it
    const Target kept = to;
    begin_epoch(payload.size(), datagrams);
    push(payload, datagrams, kept, options...);
  }

  /// Datagrams that were queued for an earlier descriptor must not leave on this one.
  DGRAM_COLD void begin_epoch(std::size_t size, std::size_t datagrams)
  {
    lose(net::error::operation_aborted);
    guard_.enter(socket_.epoch());
    // The error handler may have sent so much that there is no room left.
    if (!batch.has_room(size, datagrams)) detail::throw_if(net::error::no_buffer_space, "push");
  }

  /// The answer to the last datagram of a turn leaves at once. It waits too if more than one answer
  /// followed the last datagram of the previous turn.
  DGRAM_APART void arrange_flush(bool answers)
  {
    if (answers && answers_++ == 0 && !answers_with_many_)
      flush();
    else if (!flush_posted_ && !out_.is_offering() && !out_.is_waiting())
      post_flush();
  }

  DGRAM_COLD bool makes_room_for_any()
  {
    flush();
    return batch.has_room(largest_) || when_full_ == full_policy::drop_newest;
  }

  /// Called when the reader is called again.
  void end_turn()
  {
    forget_answers();
    flush();
  }

  void forget_answers() noexcept
  {
    if (answers_ > 0) answers_with_many_ = answers_ > 1;
    answers_ = 0;
  }

  /// Flushes after all handlers that are ready now. If there is no memory for the post, flushes at
  /// once.
  void post_flush()
  {
    const auto post = [this] {
      net::post(socket_.get_executor(), [self = this->shared_from_this()] {
        self->flush_posted_ = false;
        self->forget_answers();
        self->flush();
      });
      flush_posted_ = true;
    };
    unless_no_memory(post, [this] { flush(); });
  }

  void wake_waiting()
  {
    if (std::exchange(is_waited_for_, false)) room_.notify();
  }

  /// Loses what is queued now. The error handler may queue more, close the writer, or open the
  /// socket again. What it queues is not lost: it leaves later.
  DGRAM_COLD void lose(const error_code& ec)
  {
    {
      const scoped_value until_end(is_losing_, true);
      left_to_lose_ = batch.size();
      out_.release_held([&](mark&& of, const endpoint_type& peer, std::size_t size) {
        count_lost(ec, peer, size, of.number);
      });
      while (left_to_lose_ > 0) {
        // Removes the datagram before the handler runs. A call from there may lose the rest.
        --left_to_lose_;
        const endpoint_type peer = batch.front_peer();
        const std::size_t size = batch.front_size();
        const std::uint64_t number = batch.number_at(batch.front_number());
        batch.drop_front();
        count_lost(ec, peer, size, number);
      }
    }
    if (!is_losing_ && !batch.empty() && !flush_posted_) post_flush();
    wake_waiting();
  }

  void count_lost(const error_code& ec, const endpoint_type& peer, std::size_t size,
                  std::uint64_t number)
  {
    ++statistics.lost;
    last_loss = ec;
    report(ec, peer, size, number);
  }

  void report(const error_code& ec, const endpoint_type& peer, std::size_t size,
              std::uint64_t number)
  {
    if (!on_error) return;
    on_error(ec, peer, size, number);
  }

  signal<typename Handle::executor_type, typename Handle::timer_type> room_;
  Handle socket_;
  std::shared_ptr<reader_type> reader_;
  outbox<Handle, writer_state, mark> out_{*this};
  std::size_t largest_;  // payload that a socket may send, as far as it fits
  full_policy when_full_;
  full_policy when_peer_full_;
  reservation reserved_;
  epoch_guard guard_;  // of the datagrams that are queued
  bool closed_ = false;
  bool is_losing_ = false;
  std::size_t left_to_lose_ = 0;  // of the batch, from the front
  bool is_waited_for_ = false;
  bool flush_posted_ = false;
  bool answers_with_many_ = false;
  std::size_t answers_ = 0;  // sends since the reader returned the last datagram of its turn
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
