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
struct freed_by {
  void operator()(auto* resource) const { Free(resource); }
};

using certificate = std::unique_ptr<std::remove_pointer_t<gnutls_certificate_credentials_t>,
                                    freed_by<gnutls_certificate_free_credentials>>;
using tls_session =
    std::unique_ptr<std::remove_pointer_t<gnutls_session_t>, freed_by<gnutls_deinit>>;

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

/// The ALPN names of the services, in their order.
inline constexpr std::array<std::string_view, 3> service_names{"echo", "perf", "h3"};

/// The server's side of a TLS session. `reference` stays where it is.
inline tls_session make_session(const certificate& from, ngtcp2_crypto_conn_ref& reference)
{
  constexpr auto priorities =
      "%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"
      "+AES-256-GCM:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1";
  std::array<gnutls_datum_t, service_names.size()> names{};
  std::ranges::transform(service_names, names.begin(), [](std::string_view name) {
    auto* const text = reinterpret_cast<unsigned char*>(const_cast<char*>(name.data()));
    return gnutls_datum_t{text, static_cast<unsigned>(name.size())};
  });
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
  return static_cast<service>(std::ranges::find(service_names, text_of(name.data, name.size)) -
                              service_names.begin());
}

}  // namespace quic

#endif
