// SPDX-License-Identifier: BSL-1.0
// Functions of the program that end, stop or pause what calls them, in the middle of a batch.
#include "servers/world.hpp"

#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace reentrancy_test {

using namespace servers;

namespace {

enum class place { key, stranger, each, serve, accept, next, end, failure };
enum class act {
  close,
  destroy,
  stop,
  pause,
  cancel,
  close_socket,
  end_own,
  end_others,
  poll,
  raise,
};

constexpr std::array all_places{place::key,    place::stranger, place::each, place::serve,
                                place::accept, place::next,     place::end,  place::failure};
constexpr std::array all_acts{act::close,  act::destroy,      act::stop,    act::pause,
                              act::cancel, act::close_socket, act::end_own, act::end_others,
                              act::poll,   act::raise};

/// A listener with every function that it may have. One of them does something once.
struct meddling {
  place where;
  act what;
  world w{{.max_unaccepted = 8, .slots = 8}, [this](const dgram::datagram& received) {
            meddle(place::key);
            return dgram::session_key(received.payload().text().substr(0, 1));
          }};
  std::map<int, std::unique_ptr<session>> handles;
  std::optional<dgram::listener_statistics> last;
  int calls = 0;
  int completed = 0;
  int thrown = 0;

  meddling(place in, act does) : where(in), what(does)
  {
    w.listener->on_stranger([this](const dgram::datagram&, dgram::stranger&) {
      meddle(place::stranger);
      return true;
    });
    w.listener->on_end([this](dgram::session_id, const auto&, session_end) { meddle(place::end); });
    w.listener->on_failure([this](const std::exception_ptr&) { meddle(place::failure); });
    const auto done = [this](error_code) { ++completed; };
    if (where == place::each)
      w.listener->async_for_each(
          [this](const auto& from, const dgram::datagram&) {
            own = from.id();
            meddle(place::each);
          },
          done);
    else if (where == place::accept || where == place::next)
      accept();
    else
      w.listener->async_serve(
          [this](session mine) -> asio::awaitable<void> {
            own = mine.id();
            meddle(place::serve);
            while (const auto datagram = co_await mine.next())
              if (datagram->payload().text().ends_with("throw")) throw std::runtime_error("asked");
          },
          done);
  }

  void accept()
  {
    w.listener->async_accept([this](error_code, std::optional<session> accepted) {
      ++completed;
      if (!accepted) return;
      const int number = static_cast<int>(handles.size());
      handles[number] = std::make_unique<session>(std::move(*accepted));
      own = handles[number]->id();
      next(number);
      meddle(place::accept);
      if (w.listener) accept();
    });
  }

  void next(int number)
  {
    handles[number]->async_next([this, number](error_code, const auto& datagram) {
      if (!datagram || !handles[number]) return;
      own = handles[number]->id();
      meddle(place::next);
      if (handles[number]) next(number);
    });
  }

  void meddle(place here)
  {
    if (here != where || !w.listener || ++calls != 2) return;
    if (what == act::close) w.listener->close();
    if (what == act::destroy) {
      w.listener.reset();
      handles.clear();
    }
    if (what == act::stop) w.listener->stop();
    if (what == act::pause) w.listener->pause_accepting();
    if (what == act::cancel) w.listener->cancel();
    if (what == act::close_socket) w.server.close();
    if (what == act::end_own) w.listener->find(own).close();
    if (what == act::end_others)
      for (const auto& each : w.listener->sessions())
        if (each.id() != own) each.close();
    if (what == act::poll) w.io.poll();
    if (what == act::raise) throw std::invalid_argument("meddled");
  }

  void run()
  {
    for (int i = 0; i < 3; ++i)
      try {
        w.run();
      } catch (const std::invalid_argument&) {
        ++thrown;
      }
  }

  dgram::session_id own{};
};

}  // namespace

TEST_CASE(
    "each function that a listener calls may end, stop, pause or poll in the middle of a batch",
    "[servers][F7]")
{
  const place where = GENERATE(from_range(all_places));
  const act what = GENERATE(from_range(all_acts));
  CAPTURE(static_cast<int>(where), static_cast<int>(what));
  meddling m(where, what);
  m.run();
  for (const char* text : {"a1", "b1", "c1", "a2", "b2", "d throw", "e throw", "c2", "f1", "a3"})
    m.w.send(text);
  m.run();
  for (const char* text : {"a4", "g1", "g2"})
    m.w.send(text);
  m.run();
  if (where == place::end && m.calls < 2 && m.w.listener) {
    for (const auto& each : m.w.listener->sessions())
      each.close();
    m.run();
  }
  CHECK(m.calls >= 2);
  // A key is asked for again, and what a coroutine throws goes to on_failure.
  const bool leaves = what == act::raise && where != place::key && where != place::serve;
  CHECK(m.thrown == (leaves ? 1 : 0));
  if (!m.w.listener) return;
  require_balance(*m.w.listener);
  const auto counts = m.w.counts();
  const bool ended = what == act::close || what == act::close_socket;
  if (ended) CHECK(m.w.listener->size() == 0);
  if (what == act::end_own || what == act::end_others || what == act::poll || what == act::raise)
    CHECK(counts.received == 13);
  m.handles.clear();
  m.w.listener->close();
  m.run();
  CHECK(m.w.listener->size() == 0);
  CHECK(m.w.counts().queued == 0);
  require_balance(*m.w.listener);
  if (where != place::accept && where != place::next) CHECK(m.completed == 1);
}

}  // namespace reentrancy_test
