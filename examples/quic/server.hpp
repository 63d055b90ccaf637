// SPDX-License-Identifier: BSL-1.0
// The QUIC server without its socket: finds the connection of each packet, makes new ones, and has
// their timers.
#ifndef DGRAM_EXAMPLES_QUIC_SERVER_HPP
#define DGRAM_EXAMPLES_QUIC_SERVER_HPP

#include "connection.hpp"

#include <chrono>
#include <deque>
#include <set>

namespace quic {

using clock = std::chrono::steady_clock;

inline ngtcp2_tstamp stamp(clock::time_point time)
{
  return static_cast<ngtcp2_tstamp>(std::chrono::nanoseconds(time.time_since_epoch()).count());
}

struct server_config {
  std::string chain, key;  ///< files in PEM
  std::chrono::milliseconds idle{30000};
  std::size_t max_connections = 256;
  bool always_retry = false;  ///< each client proves its address first, not only if there are many
};

/// For `Outlet` see `connection::write`.
template <class Outlet>
class server {
public:
  server(const server_config& config, Outlet& out)
      : config_(config),
        out_(out),
        shared_(config.chain, config.key,
                static_cast<ngtcp2_duration>(std::chrono::nanoseconds(config.idle).count()))
  {
  }

  std::uint64_t ignored = 0;  ///< packets of no connection

  void receive(const way& from, octets packet, ngtcp2_tstamp now)
  {
    connection* to = nullptr;
    if (const auto header = header_of(packet, shared_state::id_size)) {
      const auto at = shared_.ids.find(text_of(header->dcid, header->dcidlen));
      to = at != shared_.ids.end() ? at->second : accept(from, packet, now);
    }
    if (to == nullptr) {
      ++ignored;
      return;
    }
    to->read(from, packet, now);
    queue(*to);
  }

  /// Handles the timers that are due, and sends what connections have to send: one train of each at
  /// a time. Returns false if the kernel takes no more now.
  bool work(ngtcp2_tstamp now)
  {
    while (!timers_.empty() && timers_.begin()->first <= now) {
      connection& of = *timers_.begin()->second;
      timers_.erase(timers_.begin());
      of.due = 0;
      of.expire(now);
      queue(of);
    }
    for (std::size_t trains = queue_.size() + 64; trains > 0 && !queue_.empty(); --trains) {
      connection& of = *queue_.front();
      const auto progress = of.write(out_, now);
      if (progress == connection::progress::blocked) return false;
      queue_.pop_front();
      of.is_queued = false;
      if (progress == connection::progress::more)
        queue(of);
      else if (!of.end.empty())
        forget(of);
      else
        set_timer(of);
    }
    return true;
  }

  /// When `work` has to be called next, if no packet comes before.
  clock::time_point deadline() const
  {
    if (!queue_.empty()) return clock::time_point::min();
    if (timers_.empty()) return clock::time_point::max();
    using std::chrono::milliseconds;
    const clock::time_point due(std::chrono::nanoseconds(timers_.begin()->first));
    return std::chrono::ceil<milliseconds>(due);  // what is due soon waits for the rest
  }

  /// Says to all clients that the server ends.
  void close(ngtcp2_tstamp now)
  {
    for (const auto& [number, each] : connections_) {
      each->close(now);
      queue(*each);
    }
  }

  bool empty() const { return connections_.empty(); }
  connection* find(std::uint64_t number)
  {
    const auto at = connections_.find(number);
    return at != connections_.end() ? at->second.get() : nullptr;
  }

  /// Whether a connection sends packets that begin like this to the peer, so that the report of an
  /// error is genuine.
  bool sends(octets quoted, const dgram::udp::endpoint& to) const
  {
    return std::ranges::any_of(connections_,
                               [&](const auto& each) { return each.second->sends(quoted, to); });
  }

private:
  void queue(connection& of)
  {
    if (std::exchange(of.is_queued, true)) return;
    queue_.push_back(&of);
  }

  void set_timer(connection& of)
  {
    const ngtcp2_tstamp due = of.expiry();
    if (due == of.due) return;
    if (of.due != 0) timers_.erase({of.due, &of});
    of.due = due;
    timers_.emplace(due, &of);
  }

  void forget(connection& of)
  {
    if (of.due != 0) timers_.erase({of.due, &of});
    fmt::print(
        "connection {}: {}; packets {} in, {} out, {} refused; with ECN {} in, {} out; "
        "stream bytes {} in, {} out\n",
        of.number, of.end, of.packets_in, of.packets_out, of.refused, of.marked_in, of.marked_out,
        of.bytes_in, of.bytes_out);
    connections_.erase(of.number);
  }

  connection* accept(const way& from, octets packet, ngtcp2_tstamp now)
  {
    ngtcp2_pkt_hd header;
    const int result = ngtcp2_accept(&header, packet.data(), packet.size());
    const std::size_t most = config_.max_connections;
    if ((result != 0 && result != NGTCP2_ERR_RETRY) ||
        packet.size() < NGTCP2_MAX_UDP_PAYLOAD_SIZE || connections_.size() >= most)
      return nullptr;
    std::optional<ngtcp2_cid> original(std::in_place);
    if (header.token.len == 0 ||
        ngtcp2_crypto_verify_retry_token(&*original, header.token.base, header.token.len,
                                         shared_.secret.data(), shared_.secret.size(),
                                         header.version, from.remote.data(),
                                         static_cast<ngtcp2_socklen>(from.remote.size()),
                                         &header.dcid, 10 * NGTCP2_SECONDS, now) != 0)
      original.reset();
    if (!original && (config_.always_retry || result != 0 || connections_.size() >= most / 2)) {
      ask_for_proof(from, header, now);
      return nullptr;
    }
    auto& made = connections_[++last_number_];
    made = std::make_unique<connection>(shared_, last_number_, header, original, from, now);
    fmt::print("connection {}: from {}{}\n", last_number_, dgram::to_string(from.remote),
               original ? ", with a token" : "");
    return made.get();
  }

  /// Sends a Retry packet, and keeps nothing.
  void ask_for_proof(const way& to, const ngtcp2_pkt_hd& header, ngtcp2_tstamp now)
  {
    std::array<std::uint8_t, NGTCP2_STATELESS_RESET_TOKENLEN> unused;
    const ngtcp2_cid id = shared_.new_id(unused.data());
    std::array<std::uint8_t, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN> token;
    const auto size = ngtcp2_crypto_generate_retry_token(
        token.data(), shared_.secret.data(), shared_.secret.size(), header.version,
        to.remote.data(), static_cast<ngtcp2_socklen>(to.remote.size()), &id, &header.dcid, now);
    send(to, [&](std::uint8_t* room, std::size_t space) {
      return ngtcp2_crypto_write_retry(room, space, header.version, &header.scid, &id, &header.dcid,
                                       token.data(), static_cast<std::size_t>(size));
    });
  }

  template <class Write>
  void send(const way& to, Write write)
  {
    const std::span<std::byte> room = out_.reserve(1, NGTCP2_MAX_UDP_PAYLOAD_SIZE);
    if (room.empty()) return;
    const auto size = write(reinterpret_cast<std::uint8_t*>(room.data()), room.size());
    if (size <= 0) return;
    const auto written = static_cast<std::size_t>(size);
    out_.commit(written, written, {to.local, to.remote}, 0);
  }

  server_config config_;
  Outlet& out_;
  shared_state shared_;
  std::map<std::uint64_t, std::unique_ptr<connection>> connections_;
  std::uint64_t last_number_ = 0;
  std::deque<connection*> queue_;
  std::set<std::pair<ngtcp2_tstamp, connection*>> timers_;
};

}  // namespace quic

#endif
