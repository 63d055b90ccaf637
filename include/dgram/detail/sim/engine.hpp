// SPDX-License-Identifier: BSL-1.0
// Runs a context in virtual time: events in order, and completions on later turns.
#ifndef DGRAM_DETAIL_SIM_ENGINE_HPP
#define DGRAM_DETAIL_SIM_ENGINE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/detail/async/queue.hpp>
#include <dgram/detail/async/turns.hpp>
#include <dgram/detail/sim/agenda.hpp>
#include <dgram/sim_clock.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

class sim_engine;

/// Operations that wait in one object of a simulation, first in, first out.
class sim_waits {
public:
  sim_waits(sim_engine& engine, const net::any_io_executor& executor);
  sim_waits(const sim_waits&) = delete;
  sim_waits& operator=(const sim_waits&) = delete;
  ~sim_waits();

  bool empty() const noexcept { return waiting_.empty(); }
  std::size_t size() const noexcept { return waiting_.size(); }

  /// `owner` is the object that this list is a part of.
  template <class Owner>
  void add(completion<>* added, net::cancellation_slot slot, const std::shared_ptr<Owner>& owner);

  completion_ptr<> take_first() { return waiting_.pop().done; }

  /// Completes it now, which must be a turn of the engine.
  void complete(completion_ptr<> done) { run_on(executor_, is_direct_, std::move(done)); }

  /// Completes all of them on a later turn.
  void end_all(const error_code& ec)
  {
    while (!waiting_.empty()) {
      completion_ptr<> first = take_first();
      first->outcome.code = ec;
      complete_later(std::move(first));
    }
  }

  void complete_later(completion_ptr<> done);

  void discard() noexcept { const auto discarded = std::exchange(waiting_, {}); }

private:
  friend sim_engine;

  /// A pending wait is a unit of the context's work, as one of Asio's own.
  using work =
      std::decay_t<decltype(net::prefer(std::declval<const net::io_context::executor_type&>(),
                                        net::execution::outstanding_work_t::tracked))>;

  struct waiting {
    completion_ptr<> done;
    work keeps;
  };

  void abort(const completion<>* which)
  {
    const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const auto& each) { return each.done.get() == which; });
    if (found == waiting_.end()) return;
    completion_ptr<> aborted = std::move(found->done);
    waiting_.erase(found);
    aborted->outcome.code = net::error::operation_aborted;
    complete_later(std::move(aborted));
  }

  static void run_on(const net::any_io_executor& executor, bool direct, completion_ptr<> done)
  {
    if (direct)
      done.release()->run();
    else
      net::dispatch(executor, [owned = std::move(done)]() mutable { owned.release()->run(); });
  }

  sim_engine& engine_;
  net::any_io_executor executor_;
  bool is_direct_;  // the turns of the engine run on this executor
  std::size_t place_ = 0;
  operation_queue<waiting> waiting_;
};

/// The time, the events and the turns of one simulation. It uses one context and one thread.
class sim_engine : public std::enable_shared_from_this<sim_engine> {
public:
  explicit sim_engine(net::io_context& io)
      : io_(io),
        executor_(io.get_executor()),
        thread_(std::this_thread::get_id()),
        turns_(*this, &io)
  {
  }
  sim_engine(const sim_engine&) = delete;
  sim_engine& operator=(const sim_engine&) = delete;

  net::io_context& context() const noexcept { return io_; }
  const net::any_io_executor& get_executor() const noexcept { return executor_; }
  sim_time now() const noexcept { return now_; }

  /// Called by the turns.
  void flush() noexcept {}

  void plan(sim_event& added, sim_time time) { agenda_.add(added, std::max(time, now_)); }
  void cancel(sim_event& removed) noexcept { agenda_.remove(removed); }

  /// Runs the task on a later turn.
  void deliver(task* which) { turns_.deliver(which); }

  template <class Function>
  void post(Function function)
  {
    turns_.post(std::move(function));
  }

  /// Runs handlers and events up to `deadline`, which is the time afterwards. With `sim_never`,
  /// runs until nothing is left to happen, and the time is that of the last event.
  void run(sim_time deadline)
  {
    if (std::this_thread::get_id() != thread_)
      throw std::logic_error("sim::network: run it on the thread that constructed it");
    if (std::exchange(running_, true))
      throw std::logic_error("sim::network: it is running already; do not run it from a handler");
    struct scope {
      bool& running;
      ~scope() { running = false; }
    } const guard{running_};
    stopped_ = false;
    for (;;) {
      poll();
      if (stopped_) return;
      const sim_time next = std::min(agenda_.next(), sim_time_of_thread.next_asio_timer);
      if (next > deadline || next == sim_never) break;
      advance(next);
      while (agenda_.next() <= now_)
        agenda_.pop().happen();
    }
    if (deadline != sim_never) advance(deadline);
  }

  void stop() noexcept { stopped_ = true; }

  /// The clock of this thread shows this engine's time from now on.
  void begin() { sim_time_of_thread = {now_, sim_never}; }

  /// The network has ended. What waits ends too.
  void end()
  {
    sim_time_of_thread = {};
    while (!agenda_.empty())
      agenda_.pop().drop();
    for (std::size_t i = 0; i < waits_.size(); ++i)
      waits_[i]->end_all(net::error::operation_aborted);
  }

  /// The context ends. Operations that wait are destroyed uncalled.
  void discard() noexcept
  {
    turns_.end();
    while (!agenda_.empty())
      agenda_.pop().drop();
    // A handler may own the object that it waits in.
    while (!waits_.empty()) {
      sim_waits& last = *waits_.back();
      remove(last);
      last.discard();
    }
    turns_.discard();
  }

private:
  friend sim_waits;
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

  void poll()
  {
    sim_time_of_thread.next_asio_timer = sim_never;
    io_.restart();
    io_.poll();
  }

  void advance(sim_time to) noexcept
  {
    now_ = std::max(now_, to);
    sim_time_of_thread.now = now_;
  }

  void add(sim_waits& added)
  {
    added.place_ = waits_.size();
    waits_.push_back(&added);
  }

  void remove(sim_waits& removed) noexcept
  {
    const std::size_t place = std::exchange(removed.place_, nowhere);
    if (place == nowhere) return;
    waits_[place] = waits_.back();
    waits_[place]->place_ = place;
    waits_.pop_back();
    removed.place_ = nowhere;
  }

  net::io_context& io_;
  net::any_io_executor executor_;
  std::thread::id thread_;
  turns<sim_engine> turns_;
  sim_agenda agenda_;
  std::vector<sim_waits*> waits_;
  sim_time now_ = 0;
  bool running_ = false;
  bool stopped_ = false;
};

inline sim_waits::sim_waits(sim_engine& engine, const net::any_io_executor& executor)
    : engine_(engine), executor_(executor), is_direct_(executor == engine.get_executor())
{
  engine.add(*this);
}

inline sim_waits::~sim_waits()
{
  engine_.remove(*this);
}

template <class Owner>
void sim_waits::add(completion<>* added, net::cancellation_slot slot,
                    const std::shared_ptr<Owner>& owner)
{
  completion_ptr<> held(added);
  waiting_.push({std::move(held), net::prefer(engine_.context().get_executor(),
                                              net::execution::outstanding_work_t::tracked)});
  added->let_cancel(slot, std::weak_ptr<sim_waits>(std::shared_ptr<sim_waits>(owner, this)),
                    [added](sim_waits& list, net::cancellation_type) { list.abort(added); });
}

inline void sim_waits::complete_later(completion_ptr<> done)
{
  if (is_direct_)
    engine_.deliver(done.release());
  else
    engine_.post([executor = executor_, owned = std::move(done)]() mutable {
      run_on(executor, false, std::move(owned));
    });
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
