// SPDX-License-Identifier: BSL-1.0
// What an exchanger and its operations share: the table, the ports, and the timer.
#ifndef DGRAM_DETAIL_SESSIONS_EXCHANGER_CORE_HPP
#define DGRAM_DETAIL_SESSIONS_EXCHANGER_CORE_HPP

#include <dgram/answer.hpp>
#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/executor_check.hpp>
#include <dgram/detail/async/initiation.hpp>
#include <dgram/detail/async/replaceable_function.hpp>
#include <dgram/detail/async/roster.hpp>
#include <dgram/detail/async/task.hpp>
#include <dgram/detail/async/thread_memory.hpp>
#include <dgram/detail/async/turns.hpp>
#include <dgram/detail/batch/receive_loop.hpp>
#include <dgram/detail/platform/random.hpp>
#include <dgram/detail/sessions/answer_memory.hpp>
#include <dgram/detail/sessions/exchange_table.hpp>
#include <dgram/detail/sessions/exchanger_limits.hpp>
#include <dgram/detail/socket/receivers.hpp>
#include <dgram/error.hpp>
#include <dgram/exchanger_config.hpp>
#include <dgram/fwd.hpp>
#include <dgram/path_error.hpp>
#include <dgram/reader.hpp>
#include <dgram/send_options.hpp>
#include <dgram/session_key.hpp>
#include <dgram/sim_random.hpp>
#include <dgram/writer.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Whether a handle gives out the errors that its datagrams met.
template <class Handle>
concept has_reports = requires(Handle handle, error_code ec) { handle.try_receive_error(ec); };

/// A batch is dealt out first: answers are copied, and their exchanges leave the waiting ones. Then
/// their handlers are called, directly. What ends an exchange outside of a batch posts instead.
///
/// `Handle` is a `transport_handle`, and `Executor` that of the awaitables.
template <class Handle, class Executor>
class exchanger_core : public std::enable_shared_from_this<exchanger_core<Handle, Executor>> {
public:
  using protocol_type = typename Handle::protocol_type;
  using executor_type = typename Handle::executor_type;
  using clock_type = typename Handle::clock_type;
  using endpoint_type = typename protocol_type::endpoint;
  using datagram_type = basic_datagram<protocol_type>;
  using answer_type = basic_answer<protocol_type>;
  using waiter_type = plain_completion<answer_type>;
  using table_type = exchange_table<protocol_type, waiter_type>;
  using block_type = typename table_type::block_type;
  using tick = exchange_tick;

  using unmatched_function = std::function<void(const datagram_type&, unmatched)>;
  using check_function = std::function<bool(bytes_view, const datagram_type&)>;
  using remake_function = std::function<bytes_view(bytes_view, const endpoint_type&, std::size_t)>;

  exchanger_core(std::vector<Handle> sockets, exchange_keys keys, exchanger_config config)
      : config_(checked(std::move(config))),
        keys_(std::move(keys)),
        executor_(sockets.front().get_executor()),
        awaitable_executor_(executor_),
        later_(*this, find_io_context(executor_)),
        answers_(std::make_shared<answer_memory>(config_.max_answer_bytes)),
        requests_(config_.max_request_bytes),
        jitter_(draw()),
        began_(clock_type::now()),
        timer_(std::in_place, executor_),
        roster_(service_of(executor_).members)
  {
    ports_.reserve(sockets.size());
    for (Handle& each : sockets) {
      if (each.is_connected())
        refuse("exchanger", net::error::already_connected,
               "the socket is connected, and requests name their peers");
      if (!(each.get_executor() == executor_))
        refuse("exchanger", net::error::invalid_argument, "the sockets have different executors");
      refuse_if_received("exchanger", each);
      ports_.push_back(std::make_unique<port>(*this, std::move(each), ports_.size()));
    }
  }

  exchanger_core(const exchanger_core&) = delete;
  exchanger_core& operator=(const exchanger_core&) = delete;

  ~exchanger_core() { roster_->remove(*this); }

  /// Call this once.
  void enroll() { roster_->add(*this); }

  executor_type get_executor() const noexcept { return executor_; }
  const retry_policy& policy() const noexcept { return config_.retry; }
  bool is_closed() const noexcept { return closed_; }

  /// Whether peers can answer on each socket.
  bool can_be_answered()
  {
    return std::ranges::all_of(ports_, [](const auto& each) { return each->can_be_answered(); });
  }

  /// Why a request to this peer was `invalid_argument`.
  DGRAM_COLD std::string fault_of_request_to(const endpoint_type& peer)
  {
    if (!can_be_answered()) return "the socket has no name, so that no peer can answer; bind it";
    if constexpr (requires { peer.port(); })
      if (peer.port() == 0) return "the peer " + to_string(peer) + " has port 0";
    if (!pack<protocol_type>(peer).is_usable()) return "the peer has no name";
    return "the request to " + to_string(peer) + " has no key: it is too short for one, or empty";
  }

  std::size_t outstanding() const noexcept { return outstanding_; }

  void on_unmatched(unmatched_function function)
  {
    on_unmatched_ = std::move(function);
    if (on_unmatched_ && !closed_ && !silenced_)
      for (const auto& each : ports_)
        if (each->socket.is_open()) each->loop.start();
    if (!on_unmatched_) rest();
  }
  void on_check(check_function function) { on_check_ = std::move(function); }
  void on_remake(remake_function function) { on_remake_ = std::move(function); }

  /// Starts an exchange when the token launches it. The bytes must stay until then.
  template <class Token>
  auto async_exchange(bytes_view request, const endpoint_type& peer, const retry_policy& policy,
                      Token&& token)
  {
    return initiate<void(error_code, answer_type)>(
        shared_target(this->shared_from_this()),
        [request, peer, policy](exchanger_core& core, auto&& handler) {
          check_executor(core, "exchanger::async_exchange");
          const net::cancellation_slot slot = net::get_associated_cancellation_slot(handler);
          core.launch(core.make_wait(std::forward<decltype(handler)>(handler)), slot, request, peer,
                      policy);
        },
        std::forward<Token>(token));
  }

  /// Draws a key that no exchange with this peer has. `ec` is set if none is left.
  session_key unused_key(const endpoint_type& peer, std::size_t size, error_code& ec);

  /// Ends all exchanges with `operation_aborted`.
  void cancel()
  {
    table_.for_each_waiting([this](std::uint32_t number) { end(number, aborted()); });
    rest();
  }

  /// The same, and no more begin.
  void close()
  {
    if (std::exchange(closed_, true)) return;
    cancel();
    for (const auto& each : ports_) {
      each->writer.close();
      each->give_up();
    }
  }

  exchanger_statistics statistics() const noexcept;

  // --- called by `turns` and the context's service ---

  void flush() noexcept {}

  /// From now on nothing is started.
  void silence() noexcept
  {
    silenced_ = true;
    later_.end();
  }

  /// Releases the operations that wait, which may own the exchanger. Calls no handler.
  void discard() noexcept
  {
    task_queue all;
    table_.for_each_waiting([&](std::uint32_t number) {
      drop_request(table_[number]);
      all.push(std::exchange(table_[number].waiting, nullptr));
    });
    while (!ready_.empty())
      all.push(ready_.pop());
    timer_.reset();
    later_.discard();
  }

  /// The parent process knows the words that were drawn.
  void forked() noexcept { source_.discard(); }

  std::size_t place_in_roster = 0;

  // --- called by the loops ---

  using loop_type = receive_loop<exchanger_core, Handle>;

  turns<exchanger_core>& later() noexcept { return later_; }

  bool needs(loop_type& loop) const noexcept
  {
    return !silenced_ && !closed_ && loop.state().socket.is_open() &&
           (outstanding_ > 0 || on_unmatched_);
  }

  void deal(loop_type& loop);

  void interrupted(loop_type& loop)
  {
    loop.state().follow_descriptor();
    end_all_of(loop, aborted());
  }

  void about_to_wait(loop_type&) noexcept {}

  void looked(loop_type& loop) { look_for_reports(port_of(loop)); }

  void failed(loop_type& loop, const error_code& ec) { end_all_of(loop, ec); }

private:
  using reader_type = reader<protocol_type, executor_type, Executor, Handle>;
  using writer_type = dgram::writer<protocol_type, executor_type, Executor, Handle>;
  using service_type = roster_service<exchanger_core>;
  using timer_type = typename Handle::timer_type;
  using node_type = inbox_datagram<protocol_type>;

  /// A socket, and what receives and sends on it.
  struct port {
    port(exchanger_core& of, Handle handle, std::size_t at)
        : core(of),
          number(static_cast<std::uint16_t>(at)),
          socket(std::move(handle)),
          reader(socket, {.slots = core.config_.slots,
                          .slot_size = core.config_.slot_size,
                          .yield_after = core.config_.yield_after,
                          .coalesce = core.config_.coalesce}),
          writer(reader, core.config_.queue),
          loop(core, *reader.state_)
    {
      writer.on_error([&of](error_code ec, const endpoint_type&, std::size_t, std::uint64_t id) {
        of.not_sent(id, ec);
      });
      // The exchanger stands for its reader in the account of the socket.
      reader.state_->entry.remove();
      set_owner(socket, socket_owner::exchanger);
    }
    port(const port&) = delete;
    port& operator=(const port&) = delete;
    ~port() { give_up(); }

    /// Others may receive from the socket.
    void give_up() noexcept
    {
      if (std::exchange(owns, false)) set_owner(socket, socket_owner::none);
    }

    /// Notices whether the socket reports errors of its datagrams.
    void note_reports()
    {
      if constexpr (has_reports<Handle>) {
        error_code ec;
        socket.try_receive_error(ec);
        reads_reports = ec != net::error::operation_not_supported;
        reports_taken = socket.reports_taken();
      }
    }

    /// Whether a peer can answer. Asks the kernel until the descriptor has a name.
    bool can_be_answered()
    {
      if constexpr (requires { socket.can_be_answered(); }) {
        const std::uint64_t descriptor = socket.descriptor_number();
        if (named_descriptor == descriptor) return true;
        if (!socket.can_be_answered()) return false;
        named_descriptor = descriptor;
      }
      return true;
    }

    /// A send may take reports that the loop would have been woken for.
    void send_and_look()
    {
      writer.state_->flush();
      core.look_for_reports(*this);
    }

    exchanger_core& core;
    std::uint16_t number;
    Handle socket;
    reader_type reader;
    writer_type writer;
    loop_type loop;
    member_task<port> look{*this, &port::send_and_look};
    std::uint64_t reports_taken = 0;
    std::optional<std::uint64_t> named_descriptor;
    bool reads_reports = false;
    bool owns = true;
  };

  static service_type& service_of(const executor_type& executor)
  {
    return net::use_service<service_type>(
        net::query(executor, net::execution::context_as<net::execution_context&>));
  }

  static error_code aborted() { return net::error::operation_aborted; }

  port& port_of(const loop_type& loop) noexcept
  {
    for (const auto& each : ports_)
      if (&each->loop == &loop) return *each;
    return *ports_.front();
  }

  // --- random numbers ---

  std::uint64_t draw()
  {
    if (config_.random) return config_.random();
    return source_();
  }

  // --- time, in milliseconds since the exchanger was made ---

  tick now() const { return static_cast<tick>((clock_type::now() - began_) / exchange_resolution); }

  /// The first tick that is not before this time from now. The present tick has begun already.
  static tick after(tick now, double nanoseconds) noexcept
  {
    constexpr double longest = 9.0e15;  // ticks that are exact
    const double ticks = nanoseconds / static_cast<double>(exchange_resolution.count());
    return now + 1 + static_cast<tick>(std::min(ticks + 0.999999, longest));
  }

  /// Called when the timer expires. An earlier wait may have been queued already; the number tells
  /// them apart.
  struct due_handler {
    using allocator_type = thread_allocator<>;
    allocator_type get_allocator() const noexcept { return {}; }

    void operator()(const error_code&) const
    {
      const auto core = self.lock();
      if (core && core->timer_number_ == number) core->look_for_due();
    }

    std::weak_ptr<exchanger_core> self;
    std::uint64_t number;
  };

  void arm_timer();
  void look_for_due();

  // --- the life of an exchange ---

  template <class Handler>
  waiter_type* make_wait(Handler&& handler) const
  {
    // A coroutine's executor may have another type than the socket's, and be the same.
    using associated = net::associated_executor_t<std::decay_t<Handler>, executor_type>;
    if constexpr (std::same_as<associated, Executor>)
      return make_completion_for<waiter_type>(std::forward<Handler>(handler), awaitable_executor_);
    else
      return make_completion_for<waiter_type>(std::forward<Handler>(handler), executor_);
  }

  void launch(waiter_type* added, const net::cancellation_slot& slot, bytes_view request,
              const endpoint_type& peer, const retry_policy& policy);

  /// Begins an exchange without a handler, and returns its number. `ec` says why it cannot begin.
  std::uint32_t begin(bytes_view request, const endpoint_type& peer, const retry_policy& policy,
                      error_code& ec);

  error_code obstacle(const port& on, const retry_policy& policy) const
  {
    if (closed_) return aborted();
    if (!on.socket.is_open()) return net::error::bad_descriptor;
    if (on.socket.is_connected()) return net::error::already_connected;
    if (!fault_of(policy).empty()) return error::out_of_range;
    if (outstanding_ >= config_.max_outstanding) return error::too_many_exchanges;
    return {};
  }

  bool keep_request(block_type& of, bytes_view request) noexcept
  {
    std::size_t room = request.size();
    void* const memory = requests_.take(room);
    if (memory == nullptr) return false;
    // The bytes may be in the memory that goes.
    if (!request.empty()) std::memcpy(memory, request.data(), request.size());
    drop_request(of);
    of.request = static_cast<std::byte*>(memory);
    of.request_size = request.size();
    of.request_room = room;
    return true;
  }

  void drop_request(block_type& of) noexcept
  {
    if (of.request != nullptr)
      requests_.give_back(std::exchange(of.request, nullptr), of.request_room);
  }

  /// Sends the request once more, and waits for the answer. May end the exchange.
  void send(std::uint32_t number, tick now);

  /// Lets the program make the bytes of the next send. Returns whether the exchange goes on.
  bool remake(std::uint32_t number);

  void plan(std::uint32_t number, tick due, tick now) noexcept
  {
    const exchange_tick deadline = table_[number].deadline;
    table_.wait_until(number, deadline != 0 ? std::min(due, deadline) : due, now);
  }

  /// An exchange whose time has come.
  void pass(std::uint32_t number, tick now);

  /// The kernel has refused a request, or the queue was lost.
  void not_sent(std::uint64_t id, const error_code& ec) noexcept;

  /// Takes an exchange out of those that wait, and returns its handler.
  waiter_type* take(std::uint32_t number, bool is_answered) noexcept;

  /// Ends an exchange with an error, on a later turn.
  void end(std::uint32_t number, const error_code& ec)
  {
    count_end(ec);
    waiter_type* const ended = take(number, false);
    ended->outcome = ec;
    later_.deliver(ended);
  }

  void count_end(const error_code& ec) noexcept
  {
    if (ec == net::error::timed_out)
      ++counts_.timed_out;
    else if (ec == net::error::connection_refused)
      ++counts_.refused;
    else if (ec == net::error::operation_aborted)
      ++counts_.cancelled;
    else
      ++counts_.failed;
  }

  void end_all_of(const loop_type& loop, const error_code& ec)
  {
    const std::uint16_t of = port_of(loop).number;
    table_.for_each_waiting([&](std::uint32_t number) {
      if (table_[number].port == of) end(number, ec);
    });
    rest();
  }

  void cancel(std::uint64_t id, net::cancellation_type type);

  /// Lets the context end if there is nothing to wait for.
  void rest()
  {
    if (outstanding_ > 0 || silenced_) return;
    if (std::exchange(armed_for_, never) != never) {
      ++timer_number_;
      timer_->cancel();
    }
    if (!closed_ && on_unmatched_) return;
    for (const auto& each : ports_)
      each->loop.wake();
  }

  // --- reports ---

  void look_for_reports(port& at);

  /// A report ends the exchange whose request it quotes.
  void heed(port& at, const basic_path_error<protocol_type>& report);

  // --- a batch ---

  /// What a datagram says whose answer it is.
  struct address {
    typename table_type::key_type key;
    std::uint32_t hash = 0;
    std::uint32_t guess = 0;
  };

  address address_of(const datagram_type& received);

  void give(port& at, const datagram_type& received, const address& to);

  void answer(std::uint32_t number, const datagram_type& received);

  void tell_unmatched(const datagram_type& received, unmatched why)
  {
    ++counts_.received;
    if (why == unmatched::stray) ++counts_.strays;
    if (why == unmatched::duplicate) ++counts_.duplicates;
    if (why == unmatched::late) ++counts_.late;
    if (why == unmatched::rejected) ++counts_.rejected;
    if (closed_ || !on_unmatched_) return;
    on_unmatched_(received, why);
  }

  static constexpr tick never = std::numeric_limits<tick>::max();
  static constexpr tick put_off_for = 2;
  static constexpr std::size_t looked_at_per_turn = 1024;
  static constexpr std::size_t dealt_at_once = 16;

  const exchanger_config config_;
  const exchange_keys keys_;
  executor_type executor_;
  Executor awaitable_executor_;
  turns<exchanger_core> later_;
  std::shared_ptr<answer_memory> answers_;
  piece_pool requests_;
  table_type table_;
  platform::random_words source_;
  sim::random jitter_;
  typename clock_type::time_point began_;
  std::vector<std::unique_ptr<port>> ports_;
  std::optional<timer_type> timer_;
  std::shared_ptr<roster<exchanger_core>> roster_;

  replaceable_function<unmatched_function> on_unmatched_;
  replaceable_function<check_function> on_check_;
  replaceable_function<remake_function> on_remake_;
  task_queue ready_;  // completions that the batch has ended

  exchanger_statistics counts_;
  std::size_t outstanding_ = 0;
  tick armed_for_ = never;
  tick present_ = 0;  // some time ago
  std::uint64_t timer_number_ = 0;
  bool closed_ = false;
  bool silenced_ = false;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
