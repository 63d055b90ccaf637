// SPDX-License-Identifier: BSL-1.0
// A listener on many seeds: random peers and a random program, and nothing is lost or told twice.
#include <dgram/listener.hpp>

#include "support/asio.hpp"
#include "support/listener_account.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace listener_seeds_test {

using namespace std::chrono_literals;
namespace sim = dgram::sim;

namespace {

using dgram::error_code;
using listener_type = decltype(dgram::listener(std::declval<sim::socket&>()));
using session = listener_type::session_type;
using session_ref = listener_type::session_ref_type;

void require(bool holds, const char* what)
{
  if (!holds) throw std::runtime_error(what);
}

/// A server whose program does something at random between any two events.
class trial {
public:
  explicit trial(std::uint64_t seed) : random_(seed), net_(io_, {.seed = seed, .delay = 1ms})
  {
    const bool in_place = random_.below(4) == 0;
    listener_.emplace(server_,
                      dgram::listener_config{
                          .idle_timeout = std::chrono::milliseconds(50 + random_.below(500)),
                          .max_sessions = 1 + random_.below(12),
                          .when_full = random_.below(2) == 0 ? dgram::sessions_full::refuse
                                                             : dgram::sessions_full::evict_idlest,
                          .max_unaccepted = 1 + random_.below(4),
                          .inbox_datagrams = 1 + random_.below(5),
                          .inbox_bytes = 1 + random_.below(60),
                          .inbox_when_full = random_.below(2) == 0 ? dgram::inbox_full::drop_oldest
                                                                   : dgram::inbox_full::drop_newest,
                          .all_inboxes_bytes = 512 + random_.below(8000),
                          .amplification = random_.below(3),
                          .slots = 1 + random_.below(8)});
    listener_->on_end([this](dgram::session_id, const auto&, dgram::session_end) { ++ends_; });
    if (random_.below(2) == 0)
      listener_->on_stranger([this](const dgram::datagram&, dgram::stranger& from) {
        if (random_.below(3) == 0) from.mark_validated();
        disturb();
        return random_.below(4) != 0;
      });
    if (in_place)
      listener_->async_for_each(
          [this](const session_ref& from, const dgram::datagram& datagram) {
            note(from.id(), datagram.payload().text());
            from.try_send("answer");
            if (random_.below(10) == 0) from.close();
            disturb();
          },
          told());
    else
      accept();
  }

  void run()
  {
    for (int i = 0; i < 12; ++i)
      clients_.emplace_back(net_, sim::location{"10.0.0.2", 0});
    for (int step = 0; step < 150; ++step) {
      const auto burst = random_.below(4);
      for (std::uint64_t i = 0; i < burst; ++i) {
        const std::string text = std::to_string(sent_++);
        auto& from = clients_[random_.below(clients_.size())];
        from.send_to(asio::buffer(text), to_);
      }
      net_.run_for(std::chrono::milliseconds(random_.below(20)));
      disturb();
      if (listener_) check();
    }
    net_.run_for(2s);
    if (listener_) check();
    if (listener_ && random_.below(2) == 0) listener_->close();
    listener_.reset();
    sessions_.clear();
    net_.run_for(2s);
    require(pending_ == 0, "an operation never completed");
  }

private:
  /// A handler that must be called once.
  std::function<void(error_code)> told()
  {
    ++pending_;
    return [this, called = std::make_shared<bool>(false)](error_code) {
      require(!*called, "an operation completed twice");
      *called = true;
      --pending_;
    };
  }

  /// Datagrams of a session come in the order in which they were sent.
  void note(dgram::session_id from, std::string_view text)
  {
    const auto number = std::stoul(std::string(text));
    const auto [last, is_first] = last_.try_emplace(from, number);
    require(is_first || last->second < number, "out of order, or twice");
    last->second = number;
  }

  void accept()
  {
    listener_->async_accept([this, done = told()](error_code ec, std::optional<session> accepted) {
      done(ec);
      if (!accepted) return;
      const std::uint64_t number = next_session_++;
      sessions_.emplace(number, std::make_unique<session>(std::move(*accepted)));
      read(number);
      if (listener_ && random_.below(8) != 0) accept();
      disturb();
    });
  }

  void read(std::uint64_t number)
  {
    const auto found = sessions_.find(number);
    if (found == sessions_.end()) return;
    session& from = *found->second;
    const auto id = from.id();
    if (random_.below(4) == 0)
      while (const auto datagram = from.try_next())
        note(id, datagram->payload().text());
    from.async_next([this, number, id, done = told()](
                        error_code ec, const std::optional<dgram::datagram>& datagram) {
      done(ec);
      if (datagram) {
        note(id, datagram->payload().text());
        if (const auto at = sessions_.find(number); at != sessions_.end())
          at->second->try_send("answer");
      }
      disturb();
      // Some sessions are forgotten for a while, some for ever.
      if (datagram && random_.below(10) != 0) read(number);
    });
  }

  /// What the program may do at any time.
  void disturb()
  {
    if (!listener_) return;
    const auto pick = [this] {
      auto at = sessions_.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random_.below(sessions_.size())));
      return at;
    };
    switch (random_.below(80)) {
    case 0: listener_->pause_accepting(); return;
    case 1: listener_->resume_accepting(); return;
    case 2: listener_->cancel(); return;
    case 3:
      if (server_.is_open()) server_.cancel();
      return;
    case 4:
      if (random_.below(6) == 0) listener_->stop();
      return;
    case 5:
      if (random_.below(6) == 0) listener_->close();
      return;
    case 6:
      if (random_.below(20) == 0) listener_.reset();
      return;
    case 7:
      if (random_.below(20) == 0) server_.close();
      return;
    case 8: io_.poll(); return;
    default: break;
    }
    if (sessions_.empty()) return;
    const auto at = pick();
    session& one = *at->second;
    switch (random_.below(60)) {
    case 0: one.close(); return;
    case 1: one.cancel(); return;
    case 2: sessions_.erase(at); return;
    case 3: at->second = std::make_unique<session>(std::move(one)); return;
    case 4: one.mark_validated(); return;
    case 5: one.add_key(dgram::session_key("k")); return;
    case 6:
      one.async_ended([done = told()](error_code ec, dgram::session_end) { done(ec); });
      return;
    case 7:
      one.async_send(asio::buffer("late", 4),
                     [done = told()](error_code ec, std::size_t) { done(ec); });
      return;
    case 8: one.set_peer({clients_[random_.below(clients_.size())].local_endpoint()}); return;
    default: return;
    }
  }

  void check()
  {
    const auto counts = listener_->statistics();
    require(test::is_balanced(counts), "the account of datagrams is not balanced");
    require(counts.created == listener_->size() + counts.idle + counts.closed + counts.evicted +
                                  counts.stopped + counts.socket_error,
            "the account of sessions is not balanced");
  }

  sim::random random_;
  asio::io_context io_;
  sim::network net_;
  sim::socket server_{net_, {"10.0.0.1", 7000}};
  const asio::ip::udp::endpoint to_ = server_.local_endpoint();
  std::deque<sim::socket> clients_;
  std::optional<listener_type> listener_;
  std::map<std::uint64_t, std::unique_ptr<session>> sessions_;
  std::map<dgram::session_id, unsigned long> last_;
  std::uint64_t next_session_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t ends_ = 0;
  std::uint64_t pending_ = 0;
};

}  // namespace

TEST_CASE("on every seed a listener loses no datagram uncounted and completes each operation once")
{
  const char* const wanted = std::getenv("DGRAM_LISTENER_SEEDS");
  const std::uint64_t seeds = wanted != nullptr ? std::stoull(wanted) : 100;
  const auto result = sim::for_each_seed(1, seeds, [](std::uint64_t seed) { trial(seed).run(); });
  INFO(result.reason);
  CHECK(result);
}

}  // namespace listener_seeds_test
