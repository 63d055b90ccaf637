// SPDX-License-Identifier: BSL-1.0
// One QUIC connection of the server, over ngtcp2.
#ifndef DGRAM_EXAMPLES_QUIC_CONNECTION_HPP
#define DGRAM_EXAMPLES_QUIC_CONNECTION_HPP

#include "stream.hpp"
#include "tls.hpp"

#include <fmt/format.h>

#include <dgram/endpoint.hpp>
#include <dgram/send_options.hpp>
#include <dgram/udp.hpp>

#include <map>
#include <optional>
#include <utility>

namespace quic {

inline dgram::reply_path reply_path_of(const ngtcp2_path& path)
{
  const auto& [local, remote, unused] = path;
  return dgram::make_reply_path(dgram::from_sockaddr(local.addr, local.addrlen),
                                dgram::from_sockaddr(remote.addr, remote.addrlen));
}

class connection;

/// What the connections of a server share.
struct shared_state {
  static constexpr std::size_t id_size = 18;
  certificate identity;
  ngtcp2_duration idle_timeout;
  /// The connections by their identifiers. Clients choose some of these, so the map has no hashes.
  std::map<std::string, connection*, std::less<>> ids{};

  static ngtcp2_cid new_id()
  {
    ngtcp2_cid id{id_size, {}};
    fill_random({id.data, id.datalen});
    return id;
  }

  void remove(const ngtcp2_cid& id) { ids.erase(std::string(text_of(id.data, id.datalen))); }
};

class connection {
public:
  /// `original_id` is the client's first destination; null if that is the header's.
  connection(shared_state& shared, std::uint64_t serial, const ngtcp2_pkt_hd& header,
             const ngtcp2_cid* original_id, const ngtcp2_path& path, ngtcp2_tstamp now)
      : number(serial), shared_(shared), first_id_(header.dcid)
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
    offer.original_dcid = original_id != nullptr ? *original_id : header.dcid;
    offer.retry_scid = header.dcid;
    offer.retry_scid_present = original_id != nullptr ? 1 : 0;
    const ngtcp2_cid id = shared_state::new_id();
    const ngtcp2_callbacks calls = callbacks();
    ngtcp2_conn* made = nullptr;
    if (ngtcp2_conn_server_new(&made, &header.scid, &id, &path, header.version, &calls, &settings,
                               &offer, nullptr, this) != 0)
      throw std::bad_alloc();
    conn_.reset(made);
    tls_ = make_session(shared.identity, reference_);
    ngtcp2_conn_set_tls_native_handle(conn_.get(), tls_.get());
    ngtcp2_path_storage_zero(&path_);
    ngtcp2_path_storage_zero(&known_path_);
    for (const ngtcp2_cid& own : {id, first_id_})
      shared.ids.emplace(text_of(own.data, own.datalen), this);
  }

  ~connection()
  {
    std::vector<ngtcp2_cid> ids(ngtcp2_conn_get_num_scid(conn_.get()));
    ngtcp2_conn_get_scid(conn_.get(), ids.data());
    ids.push_back(first_id_);
    for (const ngtcp2_cid& id : ids)
      shared_.remove(id);
  }

  const std::uint64_t number;
  std::uint64_t packets_in = 0, packets_out = 0;  ///< and those of them with an ECN code point:
  std::uint64_t marked_in = 0, marked_out = 0;
  std::uint64_t refused = 0;                  ///< packets that the kernel refused
  std::uint64_t bytes_in = 0, bytes_out = 0;  ///< of streams
  std::string end;                            ///< why it has ended; empty as long as it lives
  ngtcp2_tstamp due = 0;                      ///< when the server will call `write`

  void read(const ngtcp2_path& path, const ngtcp2_pkt_info& info, octets packet, ngtcp2_tstamp now)
  {
    if (!end.empty()) return;
    ++packets_in;
    if (info.ecn != 0) ++marked_in;
    const int result =
        ngtcp2_conn_read_pkt(conn_.get(), &path, &info, packet.data(), packet.size(), now);
    if (result == NGTCP2_ERR_DRAINING || result == NGTCP2_ERR_DROP_CONN)
      end = "closed by the client";
    else if (result != 0)
      fail(result);
  }

  /// Handles timers that are due, and sends packets, which the writer joins to trains. Returns when
  /// it is to be called again, or nothing if the kernel takes no more now.
  template <class Writer>
  std::optional<ngtcp2_tstamp> write(Writer& to, ngtcp2_tstamp now)
  {
    const std::size_t largest = ngtcp2_conn_get_max_tx_udp_payload_size(conn_.get());
    const std::size_t train = 65000;  // what one message of the kernel takes
    if (wrote_ + patience > now && would_be_short(train)) return wrote_ + patience;
    if (to.reserve(largest).empty()) return std::nullopt;
    if (end.empty() && ngtcp2_conn_get_expiry(conn_.get()) <= now)
      if (const int result = ngtcp2_conn_handle_expiry(conn_.get(), now); result != 0) fail(result);
    for (std::size_t used = 0; used + largest <= train;) {
      const std::span<std::byte> room = to.reserve(largest);
      if (room.empty()) return std::nullopt;
      const auto size = make_packet(reinterpret_cast<std::uint8_t*>(room.data()), largest, now);
      if (size == 0) break;
      used += size;
      ++packets_out;
      if (info_.ecn != 0) ++marked_out;
      if (ngtcp2_path_eq(&path_.path, &known_path_.path) == 0) {
        ngtcp2_path_copy(&known_path_.path, &path_.path);
        reply_path_ = reply_path_of(path_.path);
      }
      to.commit(size, reply_path_,
                {.ecn = static_cast<dgram::ecn_codepoint>(info_.ecn), .number = number});
    }
    ngtcp2_conn_update_pkt_tx_time(conn_.get(), now);
    wrote_ = now;
    return std::max(ngtcp2_conn_get_expiry(conn_.get()), now + 1);
  }

  /// Ends the connection because of an error of ngtcp2, or without one (0). Its last packet says
  /// why.
  void fail(int error)
  {
    if (!end.empty()) return;
    end = error == 0 ? "closed" : ngtcp2_strerror(error);
    has_last_words_ = error != NGTCP2_ERR_IDLE_CLOSE && error != NGTCP2_ERR_HANDSHAKE_TIMEOUT;
    ngtcp2_connection_close_error_default(&last_words_);
    if (error == NGTCP2_ERR_CRYPTO)
      ngtcp2_connection_close_error_set_transport_error_tls_alert(
          &last_words_, ngtcp2_conn_get_tls_alert(conn_.get()), nullptr, 0);
    else if (error != 0)
      ngtcp2_connection_close_error_set_transport_error_liberr(&last_words_, error, nullptr, 0);
  }

private:
  /// How long a train that would be short waits for more room.
  static constexpr ngtcp2_duration patience = 5 * NGTCP2_MILLISECONDS;

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
    calls.get_new_connection_id = [](auto*, auto* id, auto* token, auto size, void* data) {
      *id = shared_state::new_id();
      fill_random({token, NGTCP2_STATELESS_RESET_TOKENLEN});  // it sends no resets
      return self(data).shared_.ids.emplace(text_of(id->data, size), &self(data)), 0;
    };
    calls.remove_connection_id = [](auto*, auto* id, void* data) {
      return self(data).shared_.remove(*id), 0;
    };
    calls.path_validation = [](auto*, auto, auto* path, auto result, void* data) {
      if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
        fmt::print("connection {}: moved to {}\n", self(data).number,
                   dgram::to_string(reply_path_of(*path).peer));
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
    allow(id, streams_[id].receive(wanted_in(tls_), data));
    if (is_last) streams_[id].is_complete = true;
  }

  /// Lets the client send more.
  void allow(std::int64_t id, std::uint64_t size)
  {
    ngtcp2_conn_extend_max_stream_offset(conn_.get(), id, size);
    ngtcp2_conn_extend_max_offset(conn_.get(), size);
  }

  /// The stream whose turn it is.
  stream* next_stream()
  {
    const std::uint64_t most = ngtcp2_conn_get_max_data_left(conn_.get());
    const auto has_output = [&](const auto& each) {
      const auto left = ngtcp2_conn_get_max_stream_data_left(conn_.get(), each.first);
      return each.second.has_output(std::min(left, most));
    };
    auto at = std::find_if(streams_.upper_bound(last_stream_), streams_.end(), has_output);
    if (at == streams_.end()) at = std::ranges::find_if(streams_, has_output);
    if (at == streams_.end()) return nullptr;
    last_stream_ = at->first;
    return &at->second;
  }

  /// Whether the congestion window has room for a short train only, and will have more, because
  /// packets are on their way.
  bool would_be_short(std::size_t train) const
  {
    ngtcp2_conn_stat now;
    ngtcp2_conn_get_conn_stat(conn_.get(), &now);
    const std::uint64_t left = ngtcp2_conn_get_cwnd_left(conn_.get());
    return end.empty() && left < train && left < now.cwnd / 2;
  }

  /// Writes the next packet, its path and its ECN field. Returns 0 if there is none now.
  std::size_t make_packet(std::uint8_t* to, std::size_t room, ngtcp2_tstamp now)
  {
    while (end.empty()) {
      stream* const from = next_stream();
      const ngtcp2_vec bytes = from != nullptr ? from->next() : ngtcp2_vec();
      const bool is_end = from != nullptr && from->ends_after(bytes.len);
      const auto flags = (from != nullptr ? NGTCP2_WRITE_STREAM_FLAG_MORE : 0U) |
                         (is_end ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0U);
      ngtcp2_ssize taken = -1;
      const auto size = ngtcp2_conn_writev_stream(
          conn_.get(), &path_.path, &info_, to, room, &taken, flags,
          from != nullptr ? last_stream_ : -1, &bytes, from != nullptr ? 1 : 0, now);
      if (from != nullptr && taken >= 0) {
        from->wrote(static_cast<std::size_t>(taken), is_end);
        bytes_out += static_cast<std::size_t>(taken);
      }
      if (size >= 0) return static_cast<std::size_t>(size);
      if (size == NGTCP2_ERR_STREAM_SHUT_WR || size == NGTCP2_ERR_STREAM_NOT_FOUND)
        from->discard_output();
      else if (size != NGTCP2_ERR_WRITE_MORE)
        fail(static_cast<int>(size));
    }
    if (!std::exchange(has_last_words_, false)) return 0;
    const auto size = ngtcp2_conn_write_connection_close(conn_.get(), &path_.path, &info_, to, room,
                                                         &last_words_, now);
    return static_cast<std::size_t>(std::max<ngtcp2_ssize>(size, 0));
  }

  shared_state& shared_;
  ngtcp2_cid first_id_;
  ngtcp2_crypto_conn_ref reference_{[](auto* of) { return self(of->user_data).conn_.get(); }, this};
  tls_session tls_;  // outlives the connection
  freed_by<ngtcp2_conn*, ngtcp2_conn_del> conn_;
  std::map<std::int64_t, stream> streams_;
  std::int64_t last_stream_ = -1;
  ngtcp2_tstamp wrote_ = 0;           // when `write` sent, or had nothing to send
  ngtcp2_path_storage path_{};        // of the packet that was made last
  ngtcp2_path_storage known_path_{};  // the path that has this reply path:
  dgram::reply_path reply_path_;
  ngtcp2_pkt_info info_{};
  ngtcp2_connection_close_error last_words_{};
  bool has_last_words_ = false;
};

}  // namespace quic

#endif
