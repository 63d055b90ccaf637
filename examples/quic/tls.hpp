// SPDX-License-Identifier: BSL-1.0
// What the QUIC server needs of GnuTLS: random bytes, the certificate, and a session for each
// connection.
#ifndef DGRAM_EXAMPLES_QUIC_TLS_HPP
#define DGRAM_EXAMPLES_QUIC_TLS_HPP

#include "stream.hpp"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace quic {

/// The bytes of a connection identifier or a name as text, which maps take as a key.
inline std::string_view text_of(const std::uint8_t* bytes, std::size_t size)
{
  return {reinterpret_cast<const char*>(bytes), size};
}

inline std::string_view text_of(const ngtcp2_cid& id)
{
  return text_of(id.data, id.datalen);
}

inline void fill_random(std::span<std::uint8_t> to)
{
  if (gnutls_rnd(GNUTLS_RND_RANDOM, to.data(), to.size()) != 0)
    throw std::runtime_error("GnuTLS has no random bytes");
}

class certificate {
public:
  certificate(const std::string& chain, const std::string& key)
  {
    if (gnutls_certificate_allocate_credentials(&credentials_) != 0) throw std::bad_alloc();
    if (gnutls_certificate_set_x509_key_file(credentials_, chain.c_str(), key.c_str(),
                                             GNUTLS_X509_FMT_PEM) != 0)
      throw std::runtime_error("cannot use the certificate " + chain + " with the key " + key);
  }
  certificate(const certificate&) = delete;
  certificate& operator=(const certificate&) = delete;
  ~certificate() { gnutls_certificate_free_credentials(credentials_); }

  gnutls_certificate_credentials_t credentials() const { return credentials_; }

private:
  gnutls_certificate_credentials_t credentials_ = nullptr;
};

/// The server's side of a TLS session for the connection `conn`, which stays where it is.
class tls_session {
public:
  tls_session(const certificate& from, ngtcp2_conn*& conn)
  {
    constexpr auto priorities =
        "%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"
        "+AES-256-GCM:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1";
    std::array<gnutls_datum_t, names.size()> protocols{};
    std::ranges::transform(names, protocols.begin(), [](std::string_view name) {
      auto* const text = reinterpret_cast<unsigned char*>(const_cast<char*>(name.data()));
      return gnutls_datum_t{text, static_cast<unsigned>(name.size())};
    });
    if (gnutls_init(&session_, GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET) != 0 ||
        gnutls_priority_set_direct(session_, priorities, nullptr) != 0 ||
        ngtcp2_crypto_gnutls_configure_server_session(session_) != 0 ||
        gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, from.credentials()) != 0 ||
        gnutls_alpn_set_protocols(session_, protocols.data(), names.size(),
                                  GNUTLS_ALPN_MANDATORY) != 0)
      throw std::runtime_error("GnuTLS makes no session");
    reference_ = {[](auto* of) { return *static_cast<ngtcp2_conn**>(of->user_data); },
                  static_cast<void*>(&conn)};
    gnutls_session_set_ptr(session_, &reference_);
    ngtcp2_conn_set_tls_native_handle(conn, session_);
  }
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;
  ~tls_session() { gnutls_deinit(session_); }

  service wanted() const
  {
    gnutls_datum_t name{};
    gnutls_alpn_get_selected_protocol(session_, &name);
    return static_cast<service>(std::ranges::find(names, text_of(name.data, name.size)) -
                                names.begin());
  }

private:
  static constexpr std::array<std::string_view, 3> names{"echo", "perf", "h3"};

  gnutls_session_t session_ = nullptr;
  ngtcp2_crypto_conn_ref reference_{};
};

}  // namespace quic

#endif
