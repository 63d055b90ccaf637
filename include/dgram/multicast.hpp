// SPDX-License-Identifier: BSL-1.0
// Multicast groups, with or without a source, and memberships that end by themselves.
#ifndef DGRAM_MULTICAST_HPP
#define DGRAM_MULTICAST_HPP

#include <dgram/config.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/network_interface.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// The address of a multicast group, IPv4 or IPv6. With a source, the group stands for what that
/// host alone sends to it (RFC 4607). If an address is unsuitable, the call that uses the group
/// reports the error.
///
/// \code
/// dgram::multicast_group from_anybody{"239.1.2.3"};
/// dgram::multicast_group from_one{"232.1.2.3", "10.0.0.7"};
/// \endcode
class multicast_group {
public:
  /// Text converts implicitly, so that `join` takes it. Throws `system_error`
  /// (`error::bad_address`, `error::unknown_interface`), whose text names the input.
  ///
  /// \code
  /// socket.join("239.1.2.3");
  /// \endcode
  multicast_group(std::string_view text) : address_(read(text)) {}  // NOLINT(*-explicit-*)
  multicast_group(const char* text)                                 // NOLINT(*-explicit-*)
      : multicast_group(std::string_view(text))
  {
  }
  multicast_group(const std::string& text)  // NOLINT(*-explicit-*)
      : multicast_group(std::string_view(text))
  {
  }

  explicit multicast_group(const net::ip::address& address) noexcept : address_(address) {}

  multicast_group(std::string_view group, std::string_view source)
      : address_(read(group)), source_(read(source))
  {
  }

  multicast_group(const net::ip::address& group, const net::ip::address& source) noexcept
      : address_(group), source_(source)
  {
  }

  const net::ip::address& address() const noexcept { return address_; }

  /// The only sender of the group; none if any host may send.
  const std::optional<net::ip::address>& source() const noexcept { return source_; }

  /// `232.1.2.3 from 10.0.0.7`
  friend std::string to_string(const multicast_group& group)
  {
    auto text = dgram::to_string(group.address_);
    if (group.source_) text.append(" from ").append(dgram::to_string(*group.source_));
    return text;
  }

private:
  static net::ip::address read(std::string_view text)
  {
    error_code ec;
    const auto address = parse_address(text, ec);
    detail::throw_if(ec, "multicast_group", text);
    return address;
  }

  net::ip::address address_;
  std::optional<net::ip::address> source_;
};

namespace detail {

/// How errors name a group and its interface: `239.1.2.3 on eth0`.
struct membership_subject {
  const multicast_group& group;
  const network_interface& interface;

  friend std::string to_string(const membership_subject& subject)
  {
    auto text = to_string(subject.group);
    if (!subject.interface.is_any()) text.append(" on ").append(to_string(subject.interface));
    return text;
  }
};

}  // namespace detail

/// A group that a socket has joined. The socket leaves it when this object is destroyed.
///
/// The object may outlive the socket, and the socket may be moved. When the socket is closed, or
/// moved into a socket of another executor type, this object has no further effect. The kernel then
/// keeps or ends the membership together with the descriptor.
///
/// **Thread safety**: as for the socket. The object belongs on the socket's strand.
///
/// \code
/// dgram::membership news{socket, dgram::multicast_group{"239.1.2.3"},
///                        dgram::network_interface::all()};
/// dgram::membership radio{socket, dgram::multicast_group{"232.1.2.3", "10.0.0.7"}};
/// radio.leave();
/// news.release();  // stays until the socket is closed
/// \endcode
template <class Socket>
class membership {
  using handle_type = typename Socket::handle_type;

public:
  /// Joins as `basic_socket::join` does, and throws its errors.
  explicit membership(Socket& socket, const multicast_group& group,
                      const network_interface& interface = network_interface())
      : group_(group), interface_(interface)
  {
    error_code ec;
    join(socket, ec);
    if (ec) detail::throw_if(ec, "join", to_string(detail::membership_subject{group_, interface_}));
  }

  /// The same. On error, `is_joined` is false.
  membership(Socket& socket, const multicast_group& group, const network_interface& interface,
             error_code& ec)
      : group_(group), interface_(interface)
  {
    join(socket, ec);
  }

  membership(membership&& other) noexcept
      : group_(std::move(other.group_)),
        interface_(std::move(other.interface_)),
        joined_(std::move(other.joined_)),
        socket_(std::exchange(other.socket_, std::nullopt)),
        descriptor_number_(other.descriptor_number_)
  {
  }

  /// Leaves the group, then takes over the other membership.
  membership& operator=(membership&& other) noexcept
  {
    if (this == &other) return *this;
    leave_in_silence();
    group_ = std::move(other.group_);
    interface_ = std::move(other.interface_);
    joined_ = std::move(other.joined_);
    socket_ = std::exchange(other.socket_, std::nullopt);
    descriptor_number_ = other.descriptor_number_;
    return *this;
  }

  ~membership() { leave_in_silence(); }

  /// Whether there is a membership to leave.
  bool is_joined() const noexcept { return socket_ && is_same(*socket_); }

  explicit operator bool() const noexcept { return is_joined(); }

  const multicast_group& group() const noexcept { return group_; }
  const network_interface& interface() const noexcept { return interface_; }

  /// Leaves now; has no effect if there is nothing to leave. On all interfaces, leaves only those
  /// that this membership has joined. Errors: those of `basic_socket::leave`.
  void leave(error_code& ec)
  {
    ec.clear();
    if (socket_ && is_same(*socket_)) socket_->leave(group_, interface_, joined_, ec);
    socket_.reset();
  }

  void leave()
  {
    error_code ec;
    leave(ec);
    if (ec)
      detail::throw_if(ec, "leave", to_string(detail::membership_subject{group_, interface_}));
  }

  /// Detaches this object: the socket stays a member until it leaves or is closed.
  void release() noexcept { socket_.reset(); }

private:
  void join(Socket& socket, error_code& ec)
  {
    handle_type handle = socket.handle();
    handle.join(group_, interface_, joined_, ec);
    if (ec) return;
    descriptor_number_ = handle.descriptor_number();
    socket_ = std::move(handle);
  }

  /// Whether the socket still has the descriptor that joined.
  bool is_same(const handle_type& socket) const noexcept
  {
    return socket.is_open() && socket.descriptor_number() == descriptor_number_;
  }

  /// To look up an interface takes memory, and a destructor may not throw.
  void leave_in_silence() noexcept
  {
    try {
      error_code ignored;
      leave(ignored);
    } catch (...) {
    }
  }

  multicast_group group_;
  network_interface interface_;
  std::vector<unsigned> joined_;  // the interfaces that "all" joined on
  std::optional<handle_type> socket_;
  std::uint64_t descriptor_number_ = 0;
};

DGRAM_NAMESPACE_END

#endif
