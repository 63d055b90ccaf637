// SPDX-License-Identifier: BSL-1.0
// Operations that start, are cancelled, lose their objects and meet errors in random order.
#include "faults/operations.hpp"
#include "faults/rounds.hpp"

#include <catch2/catch_test_macros.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sequences_test {

namespace {

using faults::dice;
using faults::form;
using faults::handler;
using faults::operation;
using faults::place;
using faults::ticket;
using faults::world;

enum class deed : std::uint8_t {
  start,
  supply,
  run_one,
  run_ready,
  cancel_operation,
  drop_signal,
  cancel_object,
  close,
  open,
  move,
  destroy_and_make,
  fail_next_call,
  throw_from_next_handler,
  run_in_next_handler,
  destroy_in_next_handler,
  start_in_next_handler,
  pause,
  resume,
};

constexpr std::string_view names[] = {
    "start",      "supply",      "run_one",      "run_ready",     "cancel",       "drop_signal",
    "cancel_all", "close",       "open",         "move",          "destroy_make", "fail_next_call",
    "throw_next", "run_in_next", "destroy_next", "start_in_next", "pause",        "resume",
};

constexpr std::size_t deeds = std::size(names);
constexpr std::size_t lanes = 4;

struct step {
  deed what;
  std::size_t lane;
  std::size_t choice;  ///< of an operation, or of an errno
};

struct sequence {
  place where;
  bool ends_with_context;  ///< the context goes with operations in it, or runs to its end
  std::vector<step> steps;
};

std::vector<operation> operations_on(place where)
{
  std::vector<operation> all;
  for (const operation& each : faults::all_operations())
    if (each.on == where && each.how != form::synchronous) all.push_back(each);
  return all;
}

std::string to_text(const sequence& all)
{
  const auto possible = operations_on(all.where);
  std::string text = all.ends_with_context ? "\nends with its context" : "\nruns to its end";
  for (const step& each : all.steps) {
    text.append("\n  ").append(names[static_cast<std::size_t>(each.what)]);
    text.append(" ").append(std::to_string(each.lane));
    if (each.what == deed::start || each.what == deed::start_in_next_handler)
      text.append(" ").append(possible[each.choice % possible.size()].name);
    else
      text.append(" ").append(std::to_string(each.choice));
  }
  return text;
}

/// Plays a sequence, and keeps what is wrong about it.
class player {
public:
  explicit player(const sequence& all) : all_(all), possible_(operations_on(all.where)) {}

  /// Returns what is wrong; empty if nothing is.
  std::string play()
  {
    w_.emplace(all_.where);
    for (const step& each : all_.steps)
      take(each);
    finish();
    check();
    return problem_;
  }

private:
  struct lane {
    std::optional<asio::cancellation_signal> signal{std::in_place};
    ticket* last = nullptr;
  };

  void take(const step& now)
  {
    world& w = *w_;
    auto& here = lanes_[now.lane % lanes];
    switch (now.what) {
    case deed::start: start(here, now.choice); return;
    case deed::supply: supply(now.choice); return;
    case deed::run_one: w.run_one_for({}); return;
    case deed::run_ready: w.run_ready(); return;
    case deed::cancel_operation: here.signal->emit(kind_of_cancellation(now.choice)); return;
    case deed::drop_signal:
      // Asio asks for the signal until an operation has completed.
      if (here.last == nullptr || here.last->handlers == 0) here.signal.emplace();
      return;
    case deed::cancel_object: cancel(); return;
    case deed::close: close(); return;
    case deed::open: open(); return;
    case deed::move: move(); return;
    case deed::destroy_and_make: destroy_and_make(); return;
    case deed::fail_next_call: fail_next_call(now.choice); return;
    case deed::throw_from_next_handler:
      next_handler_ = [] { throw std::runtime_error("from a handler"); };
      return;
    case deed::run_in_next_handler: next_handler_ = [this] { w_->io.poll_one(); }; return;
    case deed::destroy_in_next_handler:
      // A coroutine of a reader is one of the objects' own, so it may not destroy them.
      if (all_.where != place::reader) next_handler_ = [this] { w_->destroy_objects(); };
      return;
    case deed::start_in_next_handler:
      next_handler_ = [this, now] { start(lanes_[now.lane % lanes], now.choice); };
      return;
    case deed::pause:
      if (w.emitter) dgram::pause_sockets(w.io);
      return;
    case deed::resume:
      if (w.emitter) dgram::resume_sockets(w.io);
    }
  }

  /// While a session is made anew, handlers run without one.
  bool has_objects() const
  {
    if (all_.where == place::session) return w_->session.has_value();
    if (all_.where == place::listening) return w_->listener.has_value();
    return w_->socket || w_->emitter || w_->unix_socket;
  }

  /// Two pending operations may not use the same batch, and a reader has one operation at a time.
  bool may_start(const operation& which) const
  {
    if (!has_objects()) return false;
    return std::none_of(tickets_.begin(), tickets_.end(), [&](const ticket& other) {
      return other.handlers > 0 && (all_.where == place::reader || other.name == which.name);
    });
  }

  void start(lane& here, std::size_t choice)
  {
    const operation& which = possible_[choice % possible_.size()];
    if (!may_start(which)) return;
    // A slot belongs to one operation.
    if (here.last != nullptr && here.last->handlers > 0) return;
    ticket& told = tickets_.emplace_back();
    told.name = which.name;
    told.after = [this] {
      if (auto todo = std::exchange(next_handler_, nullptr)) todo();
    };
    here.last = &told;
    const handler h(told, here.signal->slot());
    told.starting = true;
    try {
      which.start(*w_, h);
    } catch (const std::exception&) {
      told.threw = true;
    }
    told.starting = false;
  }

  static asio::cancellation_type kind_of_cancellation(std::size_t choice)
  {
    using type = asio::cancellation_type;
    return choice % 3 == 0 ? type::terminal : choice % 3 == 1 ? type::partial : type::total;
  }

  void supply(std::size_t choice)
  {
    if (!has_objects()) return;
    dgram::error_code ignored;
    const bool report = all_.where == place::reports && choice % 2 == 0;
    w_->supply(report ? faults::need::report : faults::need::datagram);
  }

  void cancel()
  {
    dgram::error_code ignored;
    if (w_->socket) w_->socket->cancel(ignored);
    if (w_->unix_socket) w_->unix_socket->cancel(ignored);
    if (w_->reader && all_.steps.size() % 2 == 0) w_->reader->stop();
    if (w_->session && all_.steps.size() % 2 == 0) w_->session->cancel();
    if (w_->listener && all_.steps.size() % 3 == 0) w_->listener->stop();
    if (w_->exchanger && all_.steps.size() % 2 == 0) w_->exchanger->cancel();
  }

  void close()
  {
    dgram::error_code ignored;
    if (w_->socket) w_->socket->close(ignored);
    if (w_->unix_socket) w_->unix_socket->close(ignored);
    if (w_->emitter && !w_->emitter->state().closed && !w_->emitter->state().closing)
      w_->emitter->close();
  }

  void open()
  {
    dgram::error_code ignored;
    if (!has_objects()) {
      make();
    } else if (w_->socket && !w_->socket->is_open()) {
      w_->socket->open(dgram::udp::v4(), ignored);
      if (all_.where != place::closed)
        w_->socket->bind({asio::ip::address_v4::loopback(), 0}, ignored);
    } else if (w_->emitter && w_->emitter->state().closed) {
      destroy_and_make();
    }
  }

  void move()
  {
    if (w_->socket) {
      auto other = std::move(*w_->socket);
      *w_->socket = std::move(other);
    }
    if (w_->unix_socket) {
      auto other = std::move(*w_->unix_socket);
      *w_->unix_socket = std::move(other);
    }
    if (w_->listener) {
      auto other = std::move(*w_->listener);
      *w_->listener = std::move(other);
    }
    if (w_->exchanger) {
      auto other = std::move(*w_->exchanger);
      *w_->exchanger = std::move(other);
    }
    if (w_->session) {
      auto other = std::move(*w_->session);
      *w_->session = std::move(other);
    }
    if (w_->emitter) {
      auto other = std::move(*w_->emitter);
      *w_->emitter = std::move(other);
    }
  }

  void destroy_and_make()
  {
    // A reader may not be destroyed before its awaitables are awaited.
    w_->run_ready();
    w_->destroy_objects();
    make();
  }

  /// The handlers of ended objects run before, since they may destroy objects.
  void make()
  {
    w_->run_ready();
    test::trouble = nullptr;
    w_->make_objects();
  }

  static void fail_next_call(std::size_t choice)
  {
    constexpr int errnos[] = {EAGAIN, ENOBUFS, ECONNREFUSED, EPERM, ENOMEM, EBADF, EINTR, EINVAL};
    test::trouble = [error = errnos[choice % std::size(errnos)]](std::string_view) {
      test::trouble = nullptr;
      return error;
    };
  }

  void finish()
  {
    test::trouble = nullptr;
    next_handler_ = nullptr;
    world& w = *w_;
    if (all_.ends_with_context) {
      // Operations that the context destroys do not complete, so their signals may go first.
      for (auto& each : lanes_)
        if (all_.steps.size() % 2 == 0) each.signal.reset();
      return;
    }
    if (w.emitter) dgram::resume_sockets(w.io);
    w.run_ready();
    w.destroy_objects();
    w.run_ready();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!w.io.stopped() && std::chrono::steady_clock::now() < end)
      w.run_one_for(std::chrono::milliseconds(100));
    if (!w.io.stopped()) problem_ = "the context has work left, and no object";
    for (const ticket& each : tickets_)
      if (each.calls == 0 && !each.threw) problem_ = std::string(each.name) + " never completed";
  }

  void check()
  {
    w_.reset();
    for (const ticket& each : tickets_) {
      if (each.calls > 1) problem_ = std::string(each.name) + " completed more than once";
      if (each.threw && each.calls > 0)
        problem_ = std::string(each.name) + " threw, and completed, too";
      if (each.called_inside) problem_ = std::string(each.name) + " completed inside its call";
      if (each.handlers != 0) problem_ = std::string(each.name) + " keeps its handler";
    }
  }

  const sequence& all_;
  std::vector<operation> possible_;
  std::deque<ticket> tickets_;
  std::function<void()> next_handler_;
  lane lanes_[lanes];
  std::optional<world> w_;
  std::string problem_;
};

std::string play_here(const sequence& all)
{
  test::script = test::system_script();
  const int descriptors = faults::open_descriptors();
  std::string problem = player(all).play();
  if (problem.empty() && faults::open_descriptors() != descriptors)
    problem = "descriptors are left open";
  return problem;
}

/// In a process of its own, so that a crash and a hang are problems like others.
std::string play_apart(const sequence& all)
{
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("pipe");
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    const std::string problem = play_here(all);
    const auto written = ::write(ends[1], problem.data(), problem.size());
    ::_exit(written == static_cast<::ssize_t>(problem.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string problem;
  char bytes[256];
  for (::ssize_t size; (size = ::read(ends[0], bytes, sizeof bytes)) > 0;)
    problem.append(bytes, static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  if (status != 0) return "ended with status " + std::to_string(WEXITSTATUS(status));
  return problem;
}

/// Leaves steps out as long as it still fails.
template <class Play>
sequence shortest(sequence failing, Play play)
{
  for (std::size_t size = failing.steps.size() / 2; size > 0; size /= 2)
    for (std::size_t at = 0; at < failing.steps.size();) {
      sequence shorter = failing;
      const auto from = shorter.steps.begin() + static_cast<std::ptrdiff_t>(at);
      const auto count = std::min(size, shorter.steps.size() - at);
      shorter.steps.erase(from, from + static_cast<std::ptrdiff_t>(count));
      if (play(shorter).empty())
        at += size;
      else
        failing = std::move(shorter);
    }
  return failing;
}

/// In any place, or in a given one.
sequence random_sequence(std::uint32_t seed, std::optional<place> where = {})
{
  constexpr place places[] = {place::socket, place::closed, place::connected,  place::reports,
                              place::dual,   place::reader, place::emitter,    place::bound,
                              place::bound,  place::reader, place::unix_bound, place::listening,
                              place::session};
  dice random(seed);
  const place any = places[random.below(std::size(places))];
  sequence all{where.value_or(any), random.one_in(4), {}};
  for (std::size_t left = 5 + random.below(40); left > 0; --left) {
    // Half of the steps start something or let something happen.
    const auto what = random.one_in(2) ? static_cast<deed>(random.below(deeds))
                                       : static_cast<deed>(random.below(4));
    all.steps.push_back({what, random.below(lanes), random.below(1000)});
  }
  return all;
}

}  // namespace

namespace {

/// Plays `most` sequences, or as many as the environment says.
void play_all(std::uint32_t most, std::optional<place> where)
{
  // In processes of their own a crash is shortened like other failures, but each try costs more.
  const bool apart = faults::number_of_environment("DGRAM_FAULT_FORK", 0) != 0;
  const auto play = apart ? play_apart : play_here;
  const std::uint32_t first = faults::first_seed();
  for (std::uint32_t seed = first; seed < first + faults::rounds(most); ++seed) {
    const sequence all = random_sequence(seed, where);
    INFO("DGRAM_FAULT_SEED=" << seed << " DGRAM_FAULT_ROUNDS=1");
    const std::string problem = play(all);
    if (problem.empty()) continue;
    FAIL(problem << to_text(shortest(all, play)));
  }
}

}  // namespace

TEST_CASE(
    "in any order of starts, cancellations, moves, ends, throws and errors each handler is "
    "called once",
    "[faults][F2][F5]")
{
  play_all(1500, {});
}

TEST_CASE("in any order of such deeds each handler of an exchange is called once", "[faults]")
{
  play_all(300, place::exchanging);
}

TEST_CASE("a failing sequence is shortened to the steps that matter", "[faults]")
{
  sequence all = random_sequence(7);
  all.steps.push_back({deed::pause, 0, 42});
  all.steps.insert(all.steps.begin(), {deed::resume, 1, 42});
  const auto is_wrong = [](const sequence& tried) {
    const auto has = [&](deed what) {
      return std::any_of(tried.steps.begin(), tried.steps.end(),
                         [&](const step& each) { return each.what == what && each.choice == 42; });
    };
    return std::string(has(deed::pause) && has(deed::resume) ? "wrong" : "");
  };
  REQUIRE(all.steps.size() > 2);
  CHECK(shortest(all, is_wrong).steps.size() == 2);
}

}  // namespace sequences_test
