// SPDX-License-Identifier: BSL-1.0
// One QUIC connection of the server, over ngtcp2 and GnuTLS.
#ifndef DGRAM_EXAMPLES_QUIC_CONNECTION_HPP
#define DGRAM_EXAMPLES_QUIC_CONNECTION_HPP

#include "stream.hpp"

#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <dgram/session_map.hpp>
#include <dgram/udp.hpp>

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace quic {

template <auto Free>
struct free_with {
  void operator()(auto* resource) const { Free(resource); }
};

/// Throws if a call of GnuTLS has failed.
inline void check(int result, const std::string& what)
{
  if (result != 0) throw std::runtime_error(what + ": " + gnutls_strerror(result));
}

inline void fill_random(std::span<std::uint8_t> to)
{
  check(gnutls_rnd(GNUTLS_RND_RANDOM, to.data(), to.size()), "no random bytes");
}

constexpr std::size_t id_size = 18;  // of the identifiers that the server chooses

inline ngtcp2_cid new_id()
{
  ngtcp2_cid id{id_size, {}};
  fill_random({id.data, id.datalen});
  return id;
}

inline dgram::session_key key_of(const ngtcp2_cid& id)
{
  return dgram::session_key(dgram::bytes_view(id.data, id.datalen));
}

inline dgram::reply_path reply_path_of(const ngtcp2_path& path)
{
  const auto& [local, remote, unused] = path;
  return dgram::make_reply_path(local.addr, local.addrlen, remote.addr, remote.addrlen);
}

class connection;

/// The connections of a server by their identifiers, some of which the clients choose.
using connection_map = dgram::session_map<connection>;

class connection {
public:
  connection(connection_map& all, gnutls_certificate_credentials_t server,
             ngtcp2_duration idle_timeout, const ngtcp2_pkt_hd& header, const ngtcp2_path& path,
             ngtcp2_tstamp now)
      : all_(all)
  {
    constexpr auto priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE";
    static unsigned char echo[] = "echo", h3[] = "h3";
    constexpr std::array<gnutls_datum_t, 2> names{{{echo, 4}, {h3, 2}}};
    gnutls_session_t tls = nullptr;
    check(gnutls_init(&tls, GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET), "TLS");
    tls_.reset(tls);
    check(gnutls_priority_set_direct(tls, priorities, nullptr), "TLS priorities");
    check(ngtcp2_crypto_gnutls_configure_server_session(tls), "TLS for QUIC");
    check(gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, server), "TLS certificate");
    check(gnutls_alpn_set_protocols(tls, names.data(), names.size(), GNUTLS_ALPN_MANDATORY),
          "ALPN");
    gnutls_session_set_ptr(tls, &reference_);

    ngtcp2_settings settings;
    ngtcp2_settings_default(&settings);
    settings.initial_ts = now;
    ngtcp2_transport_params offer;
    ngtcp2_transport_params_default(&offer);
    offer.initial_max_stream_data_bidi_remote = stream::window;
    offer.initial_max_stream_data_uni = 16384;
    offer.initial_max_data = 4 * stream::window;
    offer.initial_max_streams_bidi = 8;
    offer.initial_max_streams_uni = 4;
    offer.max_idle_timeout = idle_timeout;
    offer.original_dcid = header.dcid;
    const ngtcp2_callbacks calls = callbacks();
    ngtcp2_conn* conn = nullptr;
    if (ngtcp2_conn_server_new(&conn, &header.scid, &own_id, &path, header.version, &calls,
                               &settings, &offer, nullptr, this) != 0)
      throw std::bad_alloc();
    conn_.reset(conn);
    ngtcp2_conn_set_tls_native_handle(conn, tls);
    ngtcp2_path_storage_zero(&path_);
  }

  dgram::session_id session{};  ///< its place in the map
  std::uint64_t number = 0;     ///< 1 for the first connection of the server
  ngtcp2_cid own_id = new_id();
  std::string end;                                               ///< why it has ended, if it has
  ngtcp2_tstamp due = 0;                                         ///< when the server calls `write`
  std::uint64_t in = 0, marked_in = 0, out = 0, marked_out = 0;  ///< packets; those with ECN

  /// Returns when to call `write`. Soon after the last packets it waits, so that trains are long.
  ngtcp2_tstamp read(const ngtcp2_path& path, const ngtcp2_pkt_info& info, octets packet,
                     ngtcp2_tstamp now)
  {
    if (!end.empty()) return now;
    ++in;
    marked_in += info.ecn != 0 ? 1 : 0;
    const int result =
        ngtcp2_conn_read_pkt(conn_.get(), &path, &info, packet.data(), packet.size(), now);
    if (result == NGTCP2_ERR_DRAINING || result == NGTCP2_ERR_DROP_CONN)
      end = "closed by the client";
    else if (result != 0)
      close(result);
    return std::max(now, wrote_ + pause);
  }

  /// Handles timers that are due, and sends packets, which the writer joins to trains. Returns when
  /// to call it again, or nothing if the kernel takes no more now.
  template <class Writer>
  std::optional<ngtcp2_tstamp> write(Writer& to, ngtcp2_tstamp now)
  {
    if (end.empty() && ngtcp2_conn_get_expiry(conn_.get()) <= now)
      if (const int error = ngtcp2_conn_handle_expiry(conn_.get(), now); error != 0) close(error);
    const std::size_t largest = ngtcp2_conn_get_max_tx_udp_payload_size(conn_.get());
    for (std::size_t used = 0; used < burst;) {
      const std::span<std::byte> room = to.reserve(largest);
      if (room.empty()) return std::nullopt;
      const auto size = make_packet(reinterpret_cast<std::uint8_t*>(room.data()), largest, now);
      if (size == 0) break;
      used += size;
      ++out;
      marked_out += info_.ecn != 0 ? 1 : 0;
      to.commit(size, reply_path_of(path_.path), {.ecn = dgram::ecn_from_bits(info_.ecn)});
    }
    ngtcp2_conn_update_pkt_tx_time(conn_.get(), now);
    wrote_ = now;
    return std::max(ngtcp2_conn_get_expiry(conn_.get()), now + pause);
  }

  /// Ends the connection. Its last packet has the error of ngtcp2, or none (0).
  void close(int error)
  {
    if (!end.empty()) return;
    end = ngtcp2_strerror(error);
    ngtcp2_connection_close_error_default(&last_words_.emplace());
    ngtcp2_connection_close_error_set_transport_error_liberr(&*last_words_, error, nullptr, 0);
  }

private:
  static constexpr std::size_t burst = std::size_t{256} * 1024;  // then it is others' turn
  static constexpr ngtcp2_duration pause = NGTCP2_MILLISECONDS;

  static connection& self(void* data) { return *static_cast<connection*>(data); }
  auto entry() const { return all_.find(session); }

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
    calls.handshake_completed = [](auto*, void* data) {
      return self(data).all_.mark_validated(self(data).entry()), 0;
    };
    calls.get_new_connection_id = [](auto*, auto* id, auto* token, auto, void* data) {
      *id = new_id();
      fill_random({token, NGTCP2_STATELESS_RESET_TOKENLEN});  // it sends no resets
      return self(data).all_.add_key(self(data).entry(), key_of(*id)) ? 0 : -1;
    };
    calls.remove_connection_id = [](auto*, auto* id, void* data) {
      return self(data).all_.remove_key(key_of(*id)), 0;
    };
    calls.path_validation = [](auto*, auto, auto* path, auto result, void* data) {
      if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
        fmt::print("connection {}: moved to {}\n", self(data).number,
                   dgram::to_string(reply_path_of(*path).peer));
      return 0;
    };
    calls.recv_stream_data = [](auto*, auto flags, auto id, auto, auto* bytes, auto size,
                                void* data, void*) {
      return self(data).receive(id, {bytes, size}, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0), 0;
    };
    calls.acked_stream_data_offset = [](auto*, auto id, auto, auto size, void* data, void*) {
      self(data).allow(id, size);
      return self(data).streams_[id].acknowledged(size), 0;
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
    // Streams in one direction have HTTP/3's settings, which an echo does not need.
    if (ngtcp2_is_bidi_stream(id) == 0) return allow(id, data.size());
    gnutls_datum_t protocol{};
    gnutls_alpn_get_selected_protocol(tls_.get(), &protocol);
    allow(id, streams_[id].receive(data, protocol.size == 2));
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
    const auto has_output = [&](const auto& each) {
      return each.second.has_output(
          std::min(ngtcp2_conn_get_max_stream_data_left(conn_.get(), each.first),
                   ngtcp2_conn_get_max_data_left(conn_.get())));
    };
    auto at = std::find_if(streams_.upper_bound(last_stream_), streams_.end(), has_output);
    if (at == streams_.end()) at = std::ranges::find_if(streams_, has_output);
    if (at == streams_.end()) return nullptr;
    last_stream_ = at->first;
    return &at->second;
  }

  /// Writes the next packet, its path and its ECN field. Returns 0 if there is none now.
  std::size_t make_packet(std::uint8_t* to, std::size_t room, ngtcp2_tstamp now)
  {
    while (end.empty()) {
      stream* const from = next_stream();
      const ngtcp2_vec bytes = from != nullptr ? from->next() : ngtcp2_vec();
      const bool is_end = from != nullptr && from->ends_after(bytes.len);
      const auto flags =
          NGTCP2_WRITE_STREAM_FLAG_MORE | (is_end ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0U);
      ngtcp2_ssize taken = -1;
      const auto size = ngtcp2_conn_writev_stream(
          conn_.get(), &path_.path, &info_, to, room, &taken, flags,
          from != nullptr ? last_stream_ : -1, &bytes, from != nullptr ? 1 : 0, now);
      if (taken >= 0 && from != nullptr) from->wrote(static_cast<std::size_t>(taken), is_end);
      if (size >= 0) return static_cast<std::size_t>(size);
      if (size == NGTCP2_ERR_STREAM_SHUT_WR || size == NGTCP2_ERR_STREAM_NOT_FOUND)
        from->discard_output();
      else if (size != NGTCP2_ERR_WRITE_MORE)
        close(static_cast<int>(size));
    }
    if (!last_words_) return 0;
    const auto size = ngtcp2_conn_write_connection_close(conn_.get(), &path_.path, &info_, to, room,
                                                         &*last_words_, now);
    last_words_.reset();
    return static_cast<std::size_t>(std::max<ngtcp2_ssize>(size, 0));
  }

  connection_map& all_;
  ngtcp2_crypto_conn_ref reference_{[](auto* of) { return self(of->user_data).conn_.get(); }, this};
  std::unique_ptr<gnutls_session_int, free_with<gnutls_deinit>> tls_;  // outlives the connection
  std::unique_ptr<ngtcp2_conn, free_with<ngtcp2_conn_del>> conn_;
  std::map<std::int64_t, stream> streams_;
  std::int64_t last_stream_ = -1;
  ngtcp2_tstamp wrote_ = 0;     // when `write` was called last
  ngtcp2_path_storage path_{};  // of the packet that was made last
  ngtcp2_pkt_info info_{};
  std::optional<ngtcp2_connection_close_error> last_words_;
};

}  // namespace quic

#endif
