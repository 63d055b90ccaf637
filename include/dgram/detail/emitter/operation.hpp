// SPDX-License-Identifier: BSL-1.0
// An operation of an emitter: what to do, where to (an endpoint, a name, the peer), and for whom.
#ifndef DGRAM_DETAIL_EMITTER_OPERATION_HPP
#define DGRAM_DETAIL_EMITTER_OPERATION_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/any_completion.hpp>
#include <dgram/endpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

enum class action : unsigned char { bind, connect, send, close };

constexpr const char* name_of(action which) noexcept
{
  constexpr const char* names[] = {"bind", "connect", "send", "close"};
  return names[static_cast<std::size_t>(which)];
}

/// One of:
/// - an endpoint (of an answer: with the way back);
/// - a name whose address is not known yet;
/// - the connected peer;
/// - a descriptor that a bind takes over.
template <class Protocol>
class destination {
public:
  using endpoint_type = typename Protocol::endpoint;
  using path_type = basic_reply_path<Protocol>;

  /// The connected peer.
  destination() noexcept = default;
  destination(const endpoint_type& endpoint) : path_{endpoint}, kind_(kind::known) {}
  destination(const path_type& path) : path_(path), kind_(kind::known) {}
  destination(std::string_view name, std::uint16_t port)
      : name_(name), port_(port), kind_(kind::name)
  {
  }

  static destination of_descriptor(int descriptor)
  {
    destination result;
    result.descriptor_ = descriptor;
    result.kind_ = kind::descriptor;
    return result;
  }

  bool is_peer() const noexcept { return kind_ == kind::peer; }
  bool is_name() const noexcept { return kind_ == kind::name; }
  bool is_descriptor() const noexcept { return kind_ == kind::descriptor; }
  const std::string& name() const noexcept { return name_; }
  int descriptor() const noexcept { return descriptor_; }

  /// Returns null for the connected peer and for a name.
  const path_type* path() const noexcept { return kind_ == kind::known ? &path_ : nullptr; }

  /// Has no meaning for the connected peer, or for a name.
  const endpoint_type& endpoint() const noexcept { return path_.peer; }

  /// Sets the address for which the name stands.
  void resolve(const net::ip::address& address)
  {
    if constexpr (ip_protocol<Protocol>) path_.peer = endpoint_type(address, port_);
    kind_ = kind::known;
  }

private:
  enum class kind : unsigned char { peer, known, name, descriptor };

  path_type path_{};
  std::string name_;
  std::uint16_t port_ = 0;
  int descriptor_ = -1;
  kind kind_ = kind::peer;
};

template <class Protocol>
struct operation {
  action kind;
  destination<Protocol> to = {};
  std::vector<std::byte> payload = {};  // of a send
  any_completion_ptr done = {};         // null if no caller waits for the end
};

/// Datagrams, and their bytes of payload.
struct amount {
  std::size_t count = 0;
  std::size_t bytes = 0;

  friend amount operator+(const amount& a, const amount& b) noexcept
  {
    return {a.count + b.count, a.bytes + b.bytes};
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
