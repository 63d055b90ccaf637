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

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace quic {

template <auto Free>
struct free_with {
  void operator()(auto* resource) const { Free(resource); }
};

/// `Resource` is a pointer of a C library.
template <class Resource, auto Free>
using freed_by = std::unique_ptr<std::remove_pointer_t<Resource>, free_with<Free>>;

using certificate = freed_by<gnutls_certificate_credentials_t, gnutls_certificate_free_credentials>;
using tls_session = freed_by<gnutls_session_t, gnutls_deinit>;

/// The bytes of a connection identifier or a name as text, which maps take as a key.
inline std::string_view text_of(const std::uint8_t* bytes, std::size_t size)
{
  return {reinterpret_cast<const char*>(bytes), size};
}

inline void fill_random(std::span<std::uint8_t> to)
{
  if (gnutls_rnd(GNUTLS_RND_RANDOM, to.data(), to.size()) != 0)
    throw std::runtime_error("GnuTLS has no random bytes");
}

/// The files are in PEM.
inline certificate load_certificate(const std::string& chain, const std::string& key)
{
  gnutls_certificate_credentials_t loaded = nullptr;
  if (gnutls_certificate_allocate_credentials(&loaded) != 0) throw std::bad_alloc();
  certificate result(loaded);
  if (gnutls_certificate_set_x509_key_file(loaded, chain.c_str(), key.c_str(),
                                           GNUTLS_X509_FMT_PEM) != 0)
    throw std::runtime_error("cannot use the certificate " + chain + " with the key " + key);
  return result;
}

/// The server's side of a TLS session. `reference` stays where it is.
inline tls_session make_session(const certificate& from, ngtcp2_crypto_conn_ref& reference)
{
  constexpr auto priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE";
  static unsigned char echo[] = "echo", perf[] = "perf", h3[] = "h3";
  constexpr std::array<gnutls_datum_t, 3> names{{{echo, 4}, {perf, 4}, {h3, 2}}};
  gnutls_session_t made = nullptr;
  if (gnutls_init(&made, GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET) != 0) throw std::bad_alloc();
  tls_session result(made);
  if (gnutls_priority_set_direct(made, priorities, nullptr) != 0 ||
      ngtcp2_crypto_gnutls_configure_server_session(made) != 0 ||
      gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, from.get()) != 0 ||
      gnutls_alpn_set_protocols(made, names.data(), names.size(), GNUTLS_ALPN_MANDATORY) != 0)
    throw std::runtime_error("GnuTLS makes no session");
  gnutls_session_set_ptr(made, &reference);
  return result;
}

inline service wanted_in(const tls_session& session)
{
  gnutls_datum_t name{};
  gnutls_alpn_get_selected_protocol(session.get(), &name);
  const std::string_view wanted = text_of(name.data, name.size);
  return wanted == "h3" ? service::h3 : wanted == "perf" ? service::perf : service::echo;
}

}  // namespace quic

#endif
