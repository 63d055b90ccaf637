// SPDX-License-Identifier: BSL-1.0
// The QUIC server without its socket: finds the connection of each packet, makes new ones, and has
// their timers.
#ifndef DGRAM_EXAMPLES_QUIC_SERVER_HPP
#define DGRAM_EXAMPLES_QUIC_SERVER_HPP

#include "connection.hpp"

#include <chrono>
#include <set>

namespace quic {

/// ngtcp2's time is that of `std::chrono::steady_clock`.
inline ngtcp2_tstamp time_now()
{
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<ngtcp2_tstamp>(std::chrono::nanoseconds(since).count());
}

struct server_config {
  std::string chain, key;  ///< files in PEM
  std::uint64_t idle_ms = 30000;
  std::size_t max_connections = 256;
  bool always_retry = false;  ///< each client proves its address first, not only if there are many
};

/// `Writer` is the library's, or another type with its `reserve` and `commit`.
template <class Writer>
class server {
public:
  server(const server_config& config, Writer to)
      : config_(config),
        shared_{load_certificate(config.chain, config.key), config.idle_ms * NGTCP2_MILLISECONDS},
        writer(std::move(to))
  {
    fill_random(secret_);
  }

  std::uint64_t ignored = 0;  ///< packets of no connection

  void receive(const ngtcp2_path& path, const ngtcp2_pkt_info& info, octets packet,
               ngtcp2_tstamp now)
  {
    if (connection* const to = find(path, packet, now)) {
      to->read(path, info, packet, now);
      schedule(*to, now);
    } else {
      ++ignored;
    }
  }

  /// Gives each connection that is due a turn. Returns false if the kernel takes no more now.
  bool work(ngtcp2_tstamp now)
  {
    while (!schedule_.empty() && schedule_.begin()->first <= now) {
      connection& next = *schedule_.begin()->second;
      const auto again = next.write(writer, now);
      if (!again) return false;
      schedule(next, *again);
      if (!next.end.empty()) forget(next);
    }
    return true;
  }

  /// When `work` has to be called next, if no packet comes before. What is due soon waits for the
  /// rest of its millisecond.
  std::chrono::steady_clock::time_point deadline() const
  {
    using std::chrono::steady_clock;
    if (schedule_.empty()) return steady_clock::time_point::max();
    const steady_clock::time_point due(std::chrono::nanoseconds(schedule_.begin()->first));
    return std::chrono::ceil<std::chrono::milliseconds>(due);
  }

  /// Says to all clients that the server ends.
  void close(ngtcp2_tstamp now)
  {
    for (auto& [number, each] : connections_) {
      each.fail(0);
      schedule(each, now);
    }
  }

  bool empty() const { return connections_.empty(); }

  /// The kernel refused a packet of this connection.
  void refused(std::uint64_t number)
  {
    if (const auto at = connections_.find(number); at != connections_.end()) ++at->second.refused;
  }

private:
  void schedule(connection& of, ngtcp2_tstamp due)
  {
    if (of.due == due) return;
    schedule_.erase({of.due, &of});
    of.due = due;
    schedule_.emplace(due, &of);
  }

  void forget(connection& of)
  {
    fmt::print(
        "connection {}: {}; packets {} in, {} out, {} refused; with ECN {} in, {} out; "
        "stream bytes {} in, {} out\n",
        of.number, of.end, of.packets_in, of.packets_out, of.refused, of.marked_in, of.marked_out,
        of.bytes_in, of.bytes_out);
    schedule_.erase({of.due, &of});
    connections_.erase(of.number);
  }

  connection* find(const ngtcp2_path& path, octets packet, ngtcp2_tstamp now)
  {
    ngtcp2_version_cid header;
    if (packet.empty() || ngtcp2_pkt_decode_version_cid(&header, packet.data(), packet.size(),
                                                        shared_state::id_size) != 0)
      return nullptr;
    const auto at = shared_.ids.find(text_of(header.dcid, header.dcidlen));
    return at != shared_.ids.end() ? at->second : accept(path, packet, now);
  }

  connection* accept(const ngtcp2_path& path, octets packet, ngtcp2_tstamp now)
  {
    ngtcp2_pkt_hd header;
    const int result = ngtcp2_accept(&header, packet.data(), packet.size());
    const std::size_t most = config_.max_connections;
    if ((result != 0 && result != NGTCP2_ERR_RETRY) ||
        packet.size() < NGTCP2_MAX_UDP_PAYLOAD_SIZE || connections_.size() >= most)
      return nullptr;
    ngtcp2_cid original;
    const bool has_proof = header.token.len > 0 &&
                           ngtcp2_crypto_verify_retry_token(
                               &original, header.token.base, header.token.len, secret_.data(),
                               secret_.size(), header.version, path.remote.addr,
                               path.remote.addrlen, &header.dcid, 10 * NGTCP2_SECONDS, now) == 0;
    if (!has_proof && (config_.always_retry || result != 0 || connections_.size() >= most / 2))
      return ask_for_proof(path, header, now), nullptr;
    const std::uint64_t number = ++last_number_;
    fmt::print("connection {}: from {}{}\n", number, dgram::to_string(reply_path_of(path).peer),
               has_proof ? ", with a token" : "");
    const auto made = connections_.try_emplace(number, shared_, number, header,
                                               has_proof ? &original : nullptr, path, now);
    return &made.first->second;
  }

  /// Sends a Retry packet, and keeps nothing.
  void ask_for_proof(const ngtcp2_path& path, const ngtcp2_pkt_hd& header, ngtcp2_tstamp now)
  {
    const ngtcp2_cid id = shared_state::new_id();
    std::array<std::uint8_t, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN> token;
    const auto token_size = ngtcp2_crypto_generate_retry_token(
        token.data(), secret_.data(), secret_.size(), header.version, path.remote.addr,
        path.remote.addrlen, &id, &header.dcid, now);
    const std::span<std::byte> room = writer.reserve(NGTCP2_MAX_UDP_PAYLOAD_SIZE);
    if (room.empty() || token_size < 0) return;
    const auto size = ngtcp2_crypto_write_retry(
        reinterpret_cast<std::uint8_t*>(room.data()), room.size(), header.version, &header.scid,
        &id, &header.dcid, token.data(), static_cast<std::size_t>(token_size));
    if (size > 0) writer.commit(static_cast<std::size_t>(size), reply_path_of(path), {});
  }

  server_config config_;
  shared_state shared_;
  std::array<std::uint8_t, 32> secret_{};  // of tokens
  std::map<std::uint64_t, connection> connections_;
  std::uint64_t last_number_ = 0;
  std::set<std::pair<ngtcp2_tstamp, connection*>> schedule_;

public:
  Writer writer;  ///< the last member: when it ends, it may still report packets as `refused`
};

}  // namespace quic

#endif
