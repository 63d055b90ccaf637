// SPDX-License-Identifier: BSL-1.0
// A coroutine for each peer: with a listener, and as it is usually written.
#include "drain_coroutine.hpp"
#include "session_drain.hpp"

#include <dgram.hpp>
#include <dgram/listener.hpp>

#include <asio/async_result.hpp>
#include <asio/post.hpp>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace bench::drain {

namespace {

using our_drainer = socket_drainer<dgram::udp::socket>;
using executor_type = dgram::udp::socket::executor_type;
using endpoint = asio::ip::udp::endpoint;

class serve_drainer : public our_drainer {
public:
  explicit serve_drainer(const serving& how)
      : how_(how),
        listener_(socket_, {.idle_timeout = std::chrono::hours(1),
                            .max_sessions = 1'000'000,
                            .coalesce = how.coalesced})
  {
    listener_.async_serve([this](session peer) { return serve(std::move(peer)); },
                          [](const std::error_code& ec) {
                            if (ec) std::exit(1);
                          });
  }

  /// Answers are queued before the turn ends, and then leave.
  void take(std::size_t count) override
  {
    left_ = count;
    turns_.run(count);
    for (;;) {
      const auto sending = listener_.statistics().sending;
      if (sending.queued == sending.sent) return;
      turns_.context().restart();
      turns_.context().run_one();
    }
  }

private:
  using listener = dgram::listener<dgram::udp, executor_type>;
  using session = listener::session_type;

  asio::awaitable<void> serve(session peer)
  {
    while (const auto datagram = co_await peer.next()) {
      bytes_ += datagram->payload().size();
      if (how_.answers) co_await peer.send(datagram->payload());
      if (--left_ == 0) turns_.end();
      if (how_.only_one) co_return;
    }
  }

  serving how_;
  listener listener_;
  std::size_t left_ = 0;
  std::size_t bytes_ = 0;
};

class posting_drainer : public our_drainer {
public:
  explicit posting_drainer(bool answers)
      : answers_(answers), reader_(socket_, {.coalesce = false}), writer_(reader_)
  {
    asio::co_spawn(turns_.context(), receive(), asio::detached);
  }

  void take(std::size_t count) override
  {
    left_ = count;
    turns_.run(count);
  }

private:
  using token = asio::use_awaitable_t<>;
  using waiting_handler = asio::async_result<token, void()>::handler_type;

  struct peer_state {
    std::deque<std::vector<std::byte>> inbox;
    std::optional<waiting_handler> waiting;
    dgram::reply_path path;
    std::chrono::steady_clock::time_point heard;  // what an idle timeout would look at
  };

  asio::awaitable<void> receive()
  {
    while (const auto datagram = co_await reader_.next()) {
      const auto [found, is_new] = peers_.try_emplace(datagram->sender());
      peer_state& peer = found->second;
      const auto payload = datagram->payload();
      peer.inbox.emplace_back(payload.begin(), payload.end());
      peer.heard = std::chrono::steady_clock::now();
      if (is_new) {
        peer.path = datagram->reply_path();
        asio::co_spawn(turns_.context(), serve(peer), asio::detached);
      }
      if (peer.waiting) asio::post(turns_.context(), *std::exchange(peer.waiting, std::nullopt));
    }
  }

  asio::awaitable<void> serve(peer_state& peer)
  {
    for (;;) {
      while (!peer.inbox.empty()) {
        bytes_ += peer.inbox.front().size();
        if (answers_) co_await writer_.send(peer.inbox.front(), peer.path);
        peer.inbox.pop_front();
        if (--left_ > 0) continue;
        if (answers_) co_await writer_.flush();
        turns_.end();
      }
      co_await asio::async_initiate<const token&, void()>(
          [&peer](waiting_handler handler) { peer.waiting.emplace(std::move(handler)); },
          asio::use_awaitable);
    }
  }

  bool answers_;
  dgram::reader<dgram::udp, executor_type> reader_;
  dgram::writer<dgram::udp, executor_type> writer_;
  std::unordered_map<endpoint, peer_state, endpoint_hash> peers_;
  std::size_t left_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

drainer_ptr dgram_serve(const serving& how)
{
  return std::make_unique<serve_drainer>(how);
}

drainer_ptr std_map_and_post(bool answers)
{
  return std::make_unique<posting_drainer>(answers);
}

}  // namespace bench::drain
