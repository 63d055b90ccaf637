// SPDX-License-Identifier: BSL-1.0
// The names that the documentation's snippets use without declaring them.
#ifndef DGRAM_TESTS_SNIPPETS_PRELUDE_HPP
#define DGRAM_TESTS_SNIPPETS_PRELUDE_HPP

#include "support/asio.hpp"

#include <dgram.hpp>
#include <dgram/format.hpp>
#include <dgram/sim.hpp>

#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace snippets {

inline void handle(dgram::bytes_view, const asio::ip::udp::endpoint&)
{
}

inline asio::awaitable<void> handle_session(dgram::udp::session)
{
  co_return;
}

/// A request with an id in front, the highest byte first.
template <class Id>
std::string make_query(Id id, std::string_view text)
{
  std::string result;
  for (std::size_t left = sizeof id; left-- > 0;)
    result += static_cast<char>(id >> 8 * left & 0xFF);
  return result.append(text);
}

}  // namespace snippets

// A coroutine with a context, a socket, and some data at hand.
#define SNIPPET(name)                                                                       \
  asio::awaitable<void> name(                                                               \
      [[maybe_unused]] asio::io_context& io, [[maybe_unused]] dgram::udp::socket& socket,   \
      [[maybe_unused]] asio::ip::udp::endpoint peer,                                        \
      [[maybe_unused]] asio::ip::udp::endpoint sender,                                      \
      [[maybe_unused]] std::array<char, 1500>& storage, [[maybe_unused]] std::string query, \
      [[maybe_unused]] std::string update,                                                  \
      [[maybe_unused]] std::vector<asio::ip::udp::endpoint> clients)

using snippets::handle;
using snippets::handle_session;
using snippets::make_query;

#endif
