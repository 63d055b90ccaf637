// SPDX-License-Identifier: BSL-1.0
// The QUIC server without its socket: finds the connection of each packet, makes new ones, and has
// their timers.
#ifndef DGRAM_EXAMPLES_QUIC_SERVER_HPP
#define DGRAM_EXAMPLES_QUIC_SERVER_HPP

#include "connection.hpp"

#include <chrono>
#include <set>

namespace quic {

struct server_config {
  std::string chain, key;  ///< files in PEM
  std::uint64_t idle_ms = 30000;
  std::size_t max_connections = 256;
};

/// `Writer` is the library's, or another type with its `reserve` and `commit`.
template <class Writer>
class server {
public:
  using clock = std::chrono::steady_clock;

  server(const server_config& config, Writer to)
      : writer(std::move(to)),
        idle_timeout_(config.idle_ms * NGTCP2_MILLISECONDS),
        // A client that has not answered yet makes room for others.
        connections_({.max_sessions = config.max_connections,
                      .when_full = dgram::sessions_full::evict_idlest,
                      .max_keys = 64})
  {
    gnutls_certificate_credentials_t loaded = nullptr;
    check(gnutls_certificate_allocate_credentials(&loaded), "certificate");
    certificate_.reset(loaded);
    check(gnutls_certificate_set_x509_key_file(loaded, config.chain.c_str(), config.key.c_str(),
                                               GNUTLS_X509_FMT_PEM),
          "cannot use the certificate " + config.chain + " with the key " + config.key);
    connections_.on_end([this](auto ended, dgram::session_end why) {
      fmt::print("connection {}: {}; packets {} in, {} out; with ECN {} in, {} out\n",
                 ended->number, why == dgram::session_end::evicted ? "no answer" : ended->end,
                 ended->in, ended->out, ended->marked_in, ended->marked_out);
      schedule_.erase({ended->due, &*ended});
    });
  }

  Writer writer;
  std::uint64_t ignored = 0;  ///< packets of no connection

  /// ngtcp2's time is that of `clock`.
  static ngtcp2_tstamp now()
  {
    return ngtcp2_tstamp(std::chrono::nanoseconds(clock::now().time_since_epoch()).count());
  }

  /// `from` is the packet's way back.
  void receive(const dgram::reply_path& from, unsigned ecn, octets packet, ngtcp2_tstamp now)
  {
    dgram::udp::endpoint local(from.source, 0), remote = from.peer;
    const ngtcp2_path path{{local.data(), static_cast<ngtcp2_socklen>(local.size())},
                           {remote.data(), static_cast<ngtcp2_socklen>(remote.size())},
                           nullptr};
    if (const auto to = find(path, packet, now))
      schedule(*to, to->read(path, {ecn}, packet, now));
    else
      ++ignored;
  }

  /// Gives each connection that is due a turn. Returns false if the kernel takes no more now.
  bool work(ngtcp2_tstamp now)
  {
    while (!schedule_.empty() && schedule_.begin()->first <= now) {
      connection& next = *schedule_.begin()->second;
      const auto again = next.write(writer, now);
      if (!again) return false;
      schedule(next, *again);
      if (!next.end.empty()) connections_.erase(connections_.find(next.session));
    }
    return true;
  }

  /// When `work` has to be called next, if no packet comes before.
  clock::time_point deadline() const
  {
    if (schedule_.empty()) return clock::time_point::max();
    return clock::time_point(std::chrono::nanoseconds(schedule_.begin()->first));
  }

  /// Says to all clients that the server ends.
  void close(ngtcp2_tstamp now)
  {
    for (const auto each : connections_) {
      each->close(0);
      schedule(*each, now);
    }
  }

  bool empty() const { return connections_.empty(); }

private:
  void schedule(connection& of, ngtcp2_tstamp due)
  {
    schedule_.erase({of.due, &of});
    of.due = due;
    schedule_.emplace(due, &of);
  }

  connection_map::session find(const ngtcp2_path& path, octets packet, ngtcp2_tstamp now)
  {
    ngtcp2_version_cid ids;
    if (packet.empty() ||
        ngtcp2_pkt_decode_version_cid(&ids, packet.data(), packet.size(), id_size) != 0)
      return {};
    const dgram::session_key key(dgram::bytes_view(ids.dcid, ids.dcidlen));
    if (const auto known = connections_.find(key)) return known;
    ngtcp2_pkt_hd header;
    if (packet.size() < NGTCP2_MAX_UDP_PAYLOAD_SIZE ||
        ngtcp2_accept(&header, packet.data(), packet.size()) != 0)
      return {};
    const auto [made, is_new] = connections_.try_emplace(key, connections_, certificate_.get(),
                                                         idle_timeout_, header, path, now);
    if (!made) return {};
    connections_.add_key(made, key_of(made->own_id));
    made->session = made.id();
    made->number = connections_.statistics().created;
    fmt::print("connection {}: from {}\n", made->number,
               dgram::to_string(reply_path_of(path).peer));
    return made;
  }

  std::unique_ptr<gnutls_certificate_credentials_st, free_with<gnutls_certificate_free_credentials>>
      certificate_;
  ngtcp2_duration idle_timeout_;
  std::set<std::pair<ngtcp2_tstamp, connection*>> schedule_;
  connection_map connections_;
};

}  // namespace quic

#endif
