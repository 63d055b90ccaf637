// SPDX-License-Identifier: BSL-1.0
#include "session_drain.hpp"

#include "drain_coroutine.hpp"

#include <dgram.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <unordered_map>

namespace bench::drain {

namespace {

using datagrams = dgram::basic_datagrams<dgram::udp>;
using endpoint = asio::ip::udp::endpoint;

/// What a server keeps of each peer.
struct peer_state {
  std::uint64_t datagrams = 0;
  std::uint64_t bytes = 0;
};

endpoint peer_at(std::size_t number, unsigned short port)
{
  return {asio::ip::address_v4(peer_address(number)), port};
}

/// Passes batches to `Server`, outside of the coroutine, whose variables GCC keeps in memory.
template <class Server>
class batch_server : public socket_drainer<dgram::udp::socket> {
public:
  template <class... Arguments>
  explicit batch_server(bool coalesced, const Arguments&... arguments)
      : server_(arguments...), reader_(socket_, {.coalesce = coalesced})
  {
    asio::co_spawn(turns_.context(), work(), asio::detached);
  }

private:
  asio::awaitable<void> work()
  {
    for (;;) {
      for (std::size_t left = turns_.wanted(); left > 0;) {
        const auto received = co_await reader_.next_batch();
        server_.handle(received);
        left -= received.size();
      }
      co_await turns_.next();
    }
  }

  Server server_;
  dgram::reader<dgram::udp, dgram::udp::socket::executor_type> reader_;
};

struct without_state {
  void handle(const datagrams& received)
  {
    for (const dgram::datagram& each : received) {
      ++all.datagrams;
      all.bytes += each.payload().size();
    }
  }

  peer_state all;
};

struct with_session_map {
  with_session_map() = default;

  with_session_map(std::size_t peers, unsigned short port)
  {
    for (std::size_t i = 0; i < peers; ++i)
      sessions.route(peer_at(i, port));
  }

  void handle(const datagrams& received)
  {
    for (auto [session, each] : sessions.route(received)) {
      ++session->datagrams;
      session->bytes += each.payload().size();
    }
  }

  dgram::session_map<peer_state> sessions{{.idle_timeout = std::chrono::hours(1),
                                           .max_sessions = 100'000,
                                           .when_full = dgram::sessions_full::evict_idlest}};
};

/// As it is usually written. The time is what an idle timeout would look at.
struct with_unordered_map {
  struct timed_state : peer_state {
    std::chrono::steady_clock::time_point heard;
  };

  with_unordered_map(std::size_t peers, unsigned short port)
  {
    for (std::size_t i = 0; i < peers; ++i)
      sessions[peer_at(i, port)].heard = std::chrono::steady_clock::now();
  }

  void handle(const datagrams& received)
  {
    const auto now = std::chrono::steady_clock::now();
    for (const dgram::datagram& each : received) {
      timed_state& session = sessions[each.sender()];
      session.heard = now;
      ++session.datagrams;
      session.bytes += each.payload().size();
    }
  }

  std::unordered_map<endpoint, timed_state, endpoint_hash> sessions;
};

}  // namespace

drainer_ptr dgram_next_batch()
{
  return std::make_unique<batch_server<without_state>>(false);
}

drainer_ptr dgram_session_map(std::size_t peers, unsigned short port)
{
  return std::make_unique<batch_server<with_session_map>>(false, peers, port);
}

drainer_ptr dgram_session_map_of_new_peers()
{
  return std::make_unique<batch_server<with_session_map>>(true);
}

drainer_ptr std_unordered_map(std::size_t peers, unsigned short port)
{
  return std::make_unique<batch_server<with_unordered_map>>(false, peers, port);
}

}  // namespace bench::drain
