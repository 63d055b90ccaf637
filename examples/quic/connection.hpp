// SPDX-License-Identifier: BSL-1.0
// One QUIC connection of the server, over ngtcp2. It does not know where packets come from and go
// to.
#ifndef DGRAM_EXAMPLES_QUIC_CONNECTION_HPP
#define DGRAM_EXAMPLES_QUIC_CONNECTION_HPP

#include "stream.hpp"
#include "tls.hpp"

#include <fmt/format.h>

#include <dgram/endpoint.hpp>
#include <dgram/udp.hpp>

#include <map>
#include <optional>
#include <utility>

namespace quic {

/// Both ends of a packet's way, and its ECN field.
struct way {
  dgram::udp::endpoint local, remote;
  std::uint32_t ecn = 0;

  ngtcp2_path path()
  {
    return {{local.data(), static_cast<ngtcp2_socklen>(local.size())},
            {remote.data(), static_cast<ngtcp2_socklen>(remote.size())},
            nullptr};
  }

  static way of(const ngtcp2_path& path, std::uint32_t ecn = 0)
  {
    return {dgram::from_sockaddr(path.local.addr, path.local.addrlen),
            dgram::from_sockaddr(path.remote.addr, path.remote.addrlen), ecn};
  }

  bool operator==(const way&) const = default;
};

/// The part of a packet's header that every version has; absent if the bytes are no packet.
inline std::optional<ngtcp2_version_cid> header_of(octets packet, std::size_t id_size)
{
  ngtcp2_version_cid found;
  if (packet.empty() ||
      ngtcp2_pkt_decode_version_cid(&found, packet.data(), packet.size(), id_size) != 0)
    return std::nullopt;
  return found;
}

class connection;

/// What the connections of a server share.
struct shared_state {
  static constexpr std::size_t id_size = 18;

  shared_state(const std::string& chain, const std::string& key, ngtcp2_duration idle)
      : identity(chain, key), idle_timeout(idle)
  {
    fill_random(secret);
  }

  certificate identity;
  ngtcp2_duration idle_timeout;
  std::array<std::uint8_t, 32> secret{};  ///< of tokens
  /// The connections by their identifiers. Clients choose some of these, so the map has no hashes.
  std::map<std::string, connection*, std::less<>> ids;

  ngtcp2_cid new_id(std::uint8_t* reset_token) const
  {
    ngtcp2_cid id{id_size, {}};
    fill_random({id.data, id.datalen});
    ngtcp2_crypto_generate_stateless_reset_token(reset_token, secret.data(), secret.size(), &id);
    return id;
  }

  void forget(std::string_view id, const connection* of)
  {
    if (const auto at = ids.find(id); at != ids.end() && at->second == of) ids.erase(at);
  }
};

class connection {
public:
  /// `original_id` is the client's first destination; absent if that is the header's.
  connection(shared_state& shared, std::uint64_t serial, const ngtcp2_pkt_hd& header,
             const std::optional<ngtcp2_cid>& original_id, way from, ngtcp2_tstamp now)
      : number(serial), shared_(shared), first_id_(text_of(header.dcid))
  {
    ngtcp2_settings settings;
    ngtcp2_settings_default(&settings);
    settings.initial_ts = now;
    settings.token = header.token;
    settings.handshake_timeout = 5 * NGTCP2_SECONDS;
    ngtcp2_transport_params offer;
    ngtcp2_transport_params_default(&offer);
    offer.initial_max_stream_data_bidi_remote = stream::window;
    offer.initial_max_stream_data_uni = 16384;
    offer.initial_max_data = 4 * stream::window;
    offer.initial_max_streams_bidi = 8;
    offer.initial_max_streams_uni = 4;
    offer.max_idle_timeout = shared.idle_timeout;
    offer.original_dcid = original_id.value_or(header.dcid);
    offer.retry_scid = header.dcid;
    offer.retry_scid_present = original_id ? 1 : 0;
    offer.stateless_reset_token_present = 1;
    const ngtcp2_cid id = shared.new_id(offer.stateless_reset_token);
    const ngtcp2_path path = from.path();
    const ngtcp2_callbacks calls = callbacks();
    if (ngtcp2_conn_server_new(&conn_, &header.scid, &id, &path, header.version, &calls, &settings,
                               &offer, nullptr, this) != 0)
      throw std::bad_alloc();
    tls_ = std::make_unique<tls_session>(shared.identity, conn_);
    ngtcp2_path_storage_zero(&path_);
    shared.ids.emplace(text_of(id), this);
    shared.ids.emplace(first_id_, this);
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  ~connection()
  {
    std::vector<ngtcp2_cid> ids(ngtcp2_conn_get_num_scid(conn_));
    ngtcp2_conn_get_scid(conn_, ids.data());
    for (const ngtcp2_cid& id : ids)
      shared_.forget(text_of(id), this);
    shared_.forget(first_id_, this);
    ngtcp2_conn_del(conn_);
  }

  const std::uint64_t number;
  std::uint64_t packets_in = 0, packets_out = 0;  ///< and those of them with an ECN code point:
  std::uint64_t marked_in = 0, marked_out = 0;
  std::uint64_t refused = 0;                  ///< packets that the kernel refused
  std::uint64_t bytes_in = 0, bytes_out = 0;  ///< of streams
  std::string end;                            ///< why it has ended; empty as long as it lives
  bool is_queued = false;                     ///< the server will call `write`
  ngtcp2_tstamp due = 0;                      ///< when the server will call `expire`; 0: never

  void read(way from, octets packet, ngtcp2_tstamp now)
  {
    if (!end.empty()) return;
    ++packets_in;
    if (from.ecn != 0) ++marked_in;
    const ngtcp2_path path = from.path();
    const ngtcp2_pkt_info info{from.ecn};
    const int result = ngtcp2_conn_read_pkt(conn_, &path, &info, packet.data(), packet.size(), now);
    if (result == NGTCP2_ERR_DRAINING || result == NGTCP2_ERR_DROP_CONN)
      end = "closed by the client";
    else if (result != 0)
      fail(result, now);
  }

  ngtcp2_tstamp expiry() const { return ngtcp2_conn_get_expiry(conn_); }

  void expire(ngtcp2_tstamp now)
  {
    must_write_ = true;
    const int result = end.empty() ? ngtcp2_conn_handle_expiry(conn_, now) : 0;
    if (result != 0) fail(result, now);
  }

  void close(ngtcp2_tstamp now)
  {
    if (end.empty()) fail(0, now);
  }

  enum class progress { idle, more, blocked };

  /// Sends a train: packets of one size, of which the last may be shorter, that leave as one
  /// message. `more`: there may be another train. `Outlet` has `reserve(packets, size)`, whose
  /// result is empty if the kernel takes no more now, and `commit(size, segment, way, number)`.
  template <class Outlet>
  progress write(Outlet& out, ngtcp2_tstamp now)
  {
    const std::size_t largest = ngtcp2_conn_get_max_tx_udp_payload_size(conn_);
    const std::size_t longest = std::min<std::size_t>(64, 65000 / largest);
    if (!must_write_ && would_be_short(longest * largest)) return progress::idle;
    const std::span<std::byte> room = out.reserve(longest, largest);
    if (room.empty()) return progress::blocked;
    must_write_ = false;
    way first;
    std::size_t used = 0, segment = 0, size = 0;
    for (std::size_t packets = 0; packets < longest; ++packets) {
      auto* const at = reinterpret_cast<std::uint8_t*>(room.data()) + used;
      size = make_packet(at, largest, now);
      if (size == 0) break;
      const way next = way::of(path_.path, info_.ecn);
      if (packets == 0) {
        first = next;
        segment = size;
      } else if (size > segment || next != first) {
        left_over_.assign(at, at + size);  // begins the next train
        break;
      }
      used += size;
      if (size < segment) break;
    }
    ngtcp2_conn_update_pkt_tx_time(conn_, now);
    if (used > 0) out.commit(used, segment, first, number);
    return size > 0 ? progress::more : progress::idle;
  }

  /// Whether this connection sends packets that begin like this to that peer: with the client's
  /// identifier.
  bool sends(octets quoted, const dgram::udp::endpoint& to) const
  {
    const ngtcp2_cid& id = *ngtcp2_conn_get_dcid(conn_);
    const auto found = header_of(quoted, id.datalen);
    return found && text_of(found->dcid, found->dcidlen) == text_of(id) &&
           way::of(*ngtcp2_conn_get_path(conn_)).remote == to;
  }

private:
  static connection& self(void* data) { return *static_cast<connection*>(data); }

  static ngtcp2_callbacks callbacks()
  {
    ngtcp2_callbacks calls{};
    calls.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    calls.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
    calls.encrypt = ngtcp2_crypto_encrypt_cb;
    calls.decrypt = ngtcp2_crypto_decrypt_cb;
    calls.hp_mask = ngtcp2_crypto_hp_mask_cb;
    calls.update_key = ngtcp2_crypto_update_key_cb;
    calls.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    calls.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    calls.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
    calls.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
    calls.rand = [](auto* to, auto size, auto*) { fill_random({to, size}); };
    calls.get_new_connection_id = [](auto*, auto* id, auto* token, auto, void* data) {
      *id = self(data).shared_.new_id(token);
      self(data).shared_.ids.emplace(text_of(*id), &self(data));
      return 0;
    };
    calls.remove_connection_id = [](auto*, auto* id, void* data) {
      return self(data).shared_.forget(text_of(*id), &self(data)), 0;
    };
    calls.path_validation = [](auto*, auto, auto* path, auto result, void* data) {
      if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
        fmt::print("connection {}: moved to {}\n", self(data).number,
                   dgram::to_string(way::of(*path).remote));
      return 0;
    };
    calls.recv_stream_data = [](auto*, auto flags, auto id, auto, auto* bytes, auto size,
                                void* data, void*) {
      const bool is_last = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
      return self(data).receive(id, {bytes, size}, is_last), 0;
    };
    calls.acked_stream_data_offset = [](auto*, auto id, auto, auto size, void* data, void*) {
      stream& of = self(data).streams_[id];
      if (of.kept() > 0) self(data).allow(id, size);
      return of.acknowledged(size), 0;
    };
    calls.extend_max_stream_data = [](auto*, auto id, auto, void* data, void*) {
      return self(data).streams_[id].is_blocked = false, 0;
    };
    calls.stream_reset = [](auto*, auto id, auto, auto, void* data, void*) {
      return self(data).receive(id, {}, true), 0;
    };
    calls.stream_close = [](auto* conn, auto, auto id, auto, void* data, void*) {
      ngtcp2_conn_extend_max_offset(conn, self(data).streams_[id].kept());
      self(data).streams_.erase(id);
      const bool is_bidi = ngtcp2_is_bidi_stream(id) != 0;
      (is_bidi ? ngtcp2_conn_extend_max_streams_bidi : ngtcp2_conn_extend_max_streams_uni)(conn, 1);
      return 0;
    };
    return calls;
  }

  void receive(std::int64_t id, octets data, bool is_last)
  {
    bytes_in += data.size();
    // Streams in one direction have HTTP/3's settings, which an echo does not need.
    if (ngtcp2_is_bidi_stream(id) == 0) return allow(id, data.size());
    allow(id, streams_[id].receive(tls_->wanted(), data));
    if (is_last) streams_[id].is_complete = true;
  }

  /// Lets the client send more.
  void allow(std::int64_t id, std::uint64_t size)
  {
    ngtcp2_conn_extend_max_stream_offset(conn_, id, size);
    ngtcp2_conn_extend_max_offset(conn_, size);
  }

  /// The streams take turns.
  stream* next_stream()
  {
    auto at = streams_.upper_bound(last_stream_);
    for (std::size_t i = 0; i < streams_.size(); ++i, ++at) {
      if (at == streams_.end()) at = streams_.begin();
      if (!at->second.has_output()) continue;
      last_stream_ = at->first;
      return &at->second;
    }
    return nullptr;
  }

  /// Whether the congestion window has room for a short train only, and will have more: packets are
  /// on their way, and a timer runs.
  bool would_be_short(std::size_t train) const
  {
    const bool has_output =
        std::ranges::any_of(streams_, [](const auto& each) { return each.second.has_output(); });
    if (!left_over_.empty() || !end.empty() || !has_output) return false;
    ngtcp2_conn_stat now;
    ngtcp2_conn_get_conn_stat(conn_, &now);
    const std::uint64_t left = ngtcp2_conn_get_cwnd_left(conn_);
    return left < train && left < now.cwnd / 2;
  }

  /// Writes the next packet, its path and its ECN field. Returns 0 if there is none now.
  std::size_t make_packet(std::uint8_t* to, std::size_t room, ngtcp2_tstamp now)
  {
    while (end.empty() && left_over_.empty()) {
      stream* const from = ngtcp2_conn_get_max_data_left(conn_) > 0 ? next_stream() : nullptr;
      bool is_end = false;
      const auto pieces = from != nullptr ? from->next(is_end) : std::array<ngtcp2_vec, 2>();
      const auto flags = (from != nullptr ? NGTCP2_WRITE_STREAM_FLAG_MORE : 0U) |
                         (is_end ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0U);
      ngtcp2_ssize taken = -1;
      const auto size = ngtcp2_conn_writev_stream(
          conn_, &path_.path, &info_, to, room, &taken, flags, from != nullptr ? last_stream_ : -1,
          pieces.data(), from != nullptr ? pieces.size() : 0, now);
      if (from != nullptr && taken >= 0) {
        from->wrote(static_cast<std::size_t>(taken), is_end);
        bytes_out += static_cast<std::size_t>(taken);
      }
      if (size > 0) ++packets_out;
      if (size > 0 && info_.ecn != 0) ++marked_out;
      if (size >= 0) return static_cast<std::size_t>(size);
      if (size == NGTCP2_ERR_STREAM_DATA_BLOCKED)
        from->is_blocked = true;
      else if (size == NGTCP2_ERR_STREAM_SHUT_WR || size == NGTCP2_ERR_STREAM_NOT_FOUND)
        from->discard_output();
      else if (size != NGTCP2_ERR_WRITE_MORE)
        fail(static_cast<int>(size), now);
    }
    std::ranges::copy(left_over_, to);
    return std::exchange(left_over_, {}).size();
  }

  /// Ends the connection because of an error of ngtcp2, or without one (0). The last packet says
  /// why.
  void fail(int error, ngtcp2_tstamp now)
  {
    end = error == 0 ? "closed" : ngtcp2_strerror(error);
    left_over_.clear();
    if (error == NGTCP2_ERR_IDLE_CLOSE || error == NGTCP2_ERR_HANDSHAKE_TIMEOUT) return;
    ngtcp2_connection_close_error why;
    ngtcp2_connection_close_error_default(&why);
    if (error == NGTCP2_ERR_CRYPTO)
      ngtcp2_connection_close_error_set_transport_error_tls_alert(
          &why, ngtcp2_conn_get_tls_alert(conn_), nullptr, 0);
    else if (error != 0)
      ngtcp2_connection_close_error_set_transport_error_liberr(&why, error, nullptr, 0);
    left_over_.resize(NGTCP2_MAX_UDP_PAYLOAD_SIZE);
    const auto size = ngtcp2_conn_write_connection_close(
        conn_, &path_.path, &info_, left_over_.data(), left_over_.size(), &why, now);
    left_over_.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  }

  shared_state& shared_;
  std::string first_id_;
  ngtcp2_conn* conn_ = nullptr;
  std::unique_ptr<tls_session> tls_;
  std::map<std::int64_t, stream> streams_;
  std::int64_t last_stream_ = -1;
  std::vector<std::uint8_t> left_over_;  // a packet that was made and not sent
  ngtcp2_path_storage path_{};           // of the packet that was made last
  ngtcp2_pkt_info info_{};
  bool must_write_ = false;  // a timer has expired
};

}  // namespace quic

#endif
