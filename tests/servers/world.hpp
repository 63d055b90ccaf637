// SPDX-License-Identifier: BSL-1.0
// A server and its clients on a simulated network, and the account that has to balance.
#ifndef DGRAM_TESTS_SERVERS_WORLD_HPP
#define DGRAM_TESTS_SERVERS_WORLD_HPP

#include "support/asio.hpp"

#include <dgram.hpp>
#include <dgram/listener.hpp>
#include <dgram/sim.hpp>

#include <asio/post.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace servers {

using namespace std::chrono_literals;
namespace sim = dgram::sim;

using dgram::error_code;
using dgram::session_end;
using listener_type = decltype(dgram::listener(std::declval<sim::socket&>()));
using session = listener_type::session_type;
using texts = std::vector<std::string>;

/// Asio's codes convert to this, so that they compare without a name for each.
inline const error_code aborted = asio::error::operation_aborted;

/// Throws, so that it serves in `for_each_seed`, too.
inline void require(bool holds, const std::string& what)
{
  if (!holds) throw std::runtime_error(what);
}

template <class A, class B>
void require_equal(const A& a, const B& b, const char* what)
{
  require(a == b, std::string(what) + ": " + std::to_string(a) + ", not " + std::to_string(b));
}

/// Throws unless every received datagram is in one place, and every session is there or has ended
/// for a reason.
template <class Listener>
void require_balance(const Listener& listener)
{
  const dgram::listener_statistics s = listener.statistics();
  require_equal(s.handed_over + s.queued + s.unread + s.inbox_full + s.inboxes_full +
                    s.sessions_full + s.unaccepted_full + s.not_accepting + s.rejected + s.ignored +
                    s.unkeyed + s.failed,
                s.received, "places of the received datagrams");
  require_equal(listener.size() + s.idle + s.closed + s.evicted + s.stopped + s.socket_error,
                s.created, "sessions that are there or have ended");
  for (const std::uint64_t each : {s.received, s.queued, s.rejected, s.closed, s.unread})
    require(each < std::uint64_t{1} << 60U, "a counter went below 0");
}

inline std::uint64_t number_of_environment(const char* name, std::uint64_t otherwise)
{
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

/// Runs the function on a few seeds, which are the same each time. DGRAM_SERVER_SEEDS sets how
/// many, and DGRAM_SERVER_SEED the first one.
template <class Function>
void on_seeds(std::uint64_t few, const char* name, Function&& function)
{
  const auto result = sim::for_each_seed(
      number_of_environment("DGRAM_SERVER_SEED", 1),
      number_of_environment("DGRAM_SERVER_SEEDS", few), std::forward<Function>(function),
      {.directory = std::filesystem::temp_directory_path().string(), .name = name});
  INFO("seed " << result.failed.value_or(0) << ": " << result.reason);
  CHECK(result);
}

/// What a coroutine throws leaves the run.
inline auto rethrowing()
{
  return [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  };
}

/// A server and clients.
struct world {
  explicit world(const dgram::listener_config& config = {}, listener_type::key_function key_of = {},
                 const sim::network_config& links = {})
      : net(io, links), server(net, sim::location{"10.0.0.1", 7000})
  {
    listener.emplace(server, config, std::move(key_of));
  }

  asio::io_context io{1};
  sim::network net;
  sim::socket server;
  std::deque<sim::socket> clients;
  std::optional<listener_type> listener;

  sim::socket& client(std::size_t number = 0)
  {
    while (clients.size() <= number)
      clients.emplace_back(net, sim::location{"10.0.0.2", 0});
    return clients[number];
  }

  void send(std::string_view text, std::size_t from = 0) { send(text, client(from)); }

  void send(std::string_view text, sim::socket& from)
  {
    error_code ignored;
    from.try_send_to(asio::buffer(text.data(), text.size()), {server_address, 7000}, ignored);
  }

  void spawn(asio::awaitable<void> coroutine)
  {
    asio::co_spawn(io, std::move(coroutine), rethrowing());
  }

  void run(sim::clock::duration time = 1s) { net.run_for(time); }

  std::optional<session> accept()
  {
    std::optional<session> result;
    listener->async_accept(
        [&](error_code, std::optional<session> accepted) { result = std::move(accepted); });
    run(100ms);
    return result;
  }

  /// The session of a client that has sent one datagram, which is still to be read.
  session accept_from(std::size_t client)
  {
    send("hello", client);
    auto accepted = accept();
    require(accepted.has_value(), "no session was accepted");
    return std::move(*accepted);
  }

  /// What has arrived at a client since the last call.
  texts replies(sim::socket& at)
  {
    texts result;
    dgram::receive_batch batch{64};
    while (at.try_receive_batch(batch))
      for (const dgram::datagram& datagram : batch)
        result.emplace_back(datagram.payload().text());
    return result;
  }
  texts replies(std::size_t at = 0) { return replies(client(at)); }

  dgram::listener_statistics counts() const { return listener->statistics(); }

  inline static const asio::ip::address server_address = asio::ip::make_address("10.0.0.1");
};

/// All that the session has now.
inline texts drain(session& from)
{
  texts all;
  while (const auto datagram = from.try_next())
    all.emplace_back(datagram->payload().text());
  return all;
}

inline asio::awaitable<void> echo(session peer)
{
  while (const auto datagram = co_await peer.next())
    co_await peer.send(datagram->payload());
}

}  // namespace servers

#endif
