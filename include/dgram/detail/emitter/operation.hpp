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
#include <variant>
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
  destination() = default;
  destination(const endpoint_type& endpoint) : where_(path_type{endpoint}) {}
  destination(const path_type& path) : where_(path) {}
  destination(std::string_view name, std::uint16_t port) : where_(host{std::string(name), port}) {}

  static destination of_descriptor(int descriptor)
  {
    destination result;
    result.where_ = descriptor;
    return result;
  }

  bool is_peer() const noexcept { return std::holds_alternative<std::monostate>(where_); }
  bool is_name() const noexcept { return std::holds_alternative<host>(where_); }
  bool is_descriptor() const noexcept { return std::holds_alternative<int>(where_); }

  const std::string& name() const { return std::get<host>(where_).name; }
  int descriptor() const { return std::get<int>(where_); }

  /// Returns null if this is no endpoint.
  const path_type* path() const noexcept { return std::get_if<path_type>(&where_); }
  const endpoint_type& endpoint() const { return std::get<path_type>(where_).peer; }

  /// Sets the address for which the name stands.
  void resolve(const net::ip::address& address)
  {
    if constexpr (ip_protocol<Protocol>)
      where_ = path_type{endpoint_type(address, std::get<host>(where_).port)};
  }

private:
  struct host {
    std::string name;
    std::uint16_t port;
  };

  std::variant<std::monostate, path_type, host, int> where_;
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
  friend amount operator-(const amount& a, const amount& b) noexcept
  {
    return {a.count - b.count, a.bytes - b.bytes};
  }
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
