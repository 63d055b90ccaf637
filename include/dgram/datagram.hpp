// SPDX-License-Identifier: BSL-1.0
// One received datagram: its bytes, its sender, what the socket's options tell about it, and the
// way back.
#ifndef DGRAM_DATAGRAM_HPP
#define DGRAM_DATAGRAM_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/control_message.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/error.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// What a router did with a datagram's ECN field, or may do (RFC 3168, section 5).
enum class ecn_codepoint : std::uint8_t {
  not_ect = 0,  ///< routers drop it when there is congestion
  ect_1 = 1,    ///< routers may mark it instead
  ect_0 = 2,    ///< the same
  ce = 3,       ///< a router met congestion
};

/// The kernel's wall clock, in nanoseconds.
using receive_time_point =
    std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

/// The way back to the sender of a datagram: the peer, on a socket that is bound to a wildcard
/// address the address that was asked, and the interface where that matters. Made by `reply_path()`
/// of a datagram, and taken by writers, batches and `send_to`.
template <class Protocol>
struct basic_reply_path {
  typename Protocol::endpoint peer;
  net::ip::address
      source{};  ///< unspecified: the system's choice, which is the bound address where there is one
  unsigned interface_index = 0;  ///< 0: the system's choice

  /// Whether the peer is all that there is to say.
  bool is_plain() const noexcept { return interface_index == 0 && source.is_unspecified(); }
};

/// What is known of a datagram beside its bytes and its sender, for a transport that is no socket
/// of the system: see `basic_receive_batch::store` and `basic_datagram_info`. What is absent here
/// is absent in the datagram.
///
/// \code
/// dgram::arrival_info info{.local_address = asio::ip::make_address("10.0.0.1"), .hop_limit = 63};
/// dgram::receive_batch batch{32};
/// batch.store("payload", peer, info);
/// \endcode
struct arrival_info {
  /// The address that it was sent to, and the interface that it came in by.
  std::optional<net::ip::address> local_address{};
  unsigned interface_index = 0;

  /// The fields of its IP header. ECN and DSCP come in one byte: if one of them is set, the other
  /// is at least 0.
  std::optional<ecn_codepoint> ecn{};
  std::optional<std::uint8_t> dscp{};
  std::optional<int> hop_limit{};

  std::optional<receive_time_point> receive_time{};
  std::optional<receive_time_point> hardware_receive_time{};

  /// How many datagrams had been dropped before it.
  std::optional<std::uint32_t> dropped{};

  /// The payload is a train: datagrams of so many bytes, the last perhaps shorter. 0: it is one
  /// datagram.
  std::size_t segment_size = 0;

  /// Its size before something cut it, in bytes; absent: it is whole.
  std::optional<std::size_t> wire_size{};

  /// The receiving socket has no address of its own, so that an answer has to name the one it
  /// leaves from.
  bool wildcard = false;
};

namespace detail {

/// What the kernel's control messages would have said.
inline platform::received_control to_control(const arrival_info& info) noexcept
{
  using field = platform::received_control;
  field said;
  const auto note = [&](field::field what) { said.present |= what; };
  said.segment = static_cast<std::uint32_t>(info.segment_size);
  if (info.local_address) {
    note(field::local);
    said.interface_index = info.interface_index;
    if (info.local_address->is_v4()) {
      note(field::local_is_v4);
      const auto bytes = info.local_address->to_v4().to_bytes();
      std::copy(bytes.begin(), bytes.end(), said.address.begin());
    } else {
      const auto bytes = info.local_address->to_v6().to_bytes();
      std::copy(bytes.begin(), bytes.end(), said.address.begin());
    }
  }
  if (info.ecn || info.dscp) {
    note(field::traffic_class_given);
    const unsigned ecn = info.ecn ? static_cast<unsigned>(*info.ecn) : 0;
    said.traffic_class =
        static_cast<std::uint8_t>(static_cast<unsigned>(info.dscp.value_or(0)) << 2U | (ecn & 3U));
  }
  if (info.hop_limit) {
    note(field::hop_limit_given);
    said.hop_limit = static_cast<std::uint8_t>(*info.hop_limit);
  }
  if (info.receive_time) {
    note(field::software_time_given);
    said.software_time = info.receive_time->time_since_epoch().count();
  }
  if (info.hardware_receive_time) {
    note(field::hardware_time_given);
    said.hardware_time = info.hardware_receive_time->time_since_epoch().count();
  }
  if (info.dropped) {
    note(field::drops_given);
    said.drops = *info.dropped;
  }
  return said;
}

/// What is said of a slot, and the way back that the datagrams of a train have in common: it is
/// described once.
template <class Protocol>
struct slot_control : platform::received_control {
  bool knows_way_back = false;
  basic_reply_path<Protocol> way_back{};
};

/// What one system call put into one slot of a batch: a datagram, or a train of them. It fills one
/// cache line.
template <class Protocol>
struct received_slot {
  platform::buffer buffer{};
  std::uint32_t wire_size = 0;  ///< bytes that came; those that fit were received
  std::uint32_t segment =
      0;  ///< of which each datagram has so many, the last perhaps fewer; 0: one datagram
  const slot_control<Protocol>* control = nullptr;
  typename Protocol::endpoint sender{};
  bool truncated = false;
  bool needs_source = false;  ///< the socket has no address of its own

  std::size_t size() const noexcept
  {
    return std::min<std::size_t>(wire_size, platform::buffer_size(buffer));
  }
  bool is_train() const noexcept { return segment > 0 && size() > segment; }
};

/// An IPv4-mapped IPv6 address in IPv4's own form, any other as it is.
inline net::ip::address unmapped(const net::ip::address& address)
{
  if (address.is_v4() || !address.to_v6().is_v4_mapped()) return address;
  return net::ip::make_address_v4(net::ip::v4_mapped, address.to_v6());
}

/// Whether each link of a host may have another peer with this address (RFC 3927; RFC 4007, section
/// 6). Site-local and unique local addresses are routed, so they are none of these.
inline bool is_link_scoped(const net::ip::address& address) noexcept
{
  if (address.is_v4()) return address.to_v4().to_uint() >> 16 == 0xA9FE;
  return address.to_v6().is_link_local();
}

/// How an answer leaves: from which address (unspecified: the system's choice), and whether by the
/// interface that the datagram came in by, since the routes do not know which link its sender is
/// on.
struct way_back {
  net::ip::address source{};
  bool by_interface = false;
};

/// By the scopes of what the datagram was sent to and of its sender. `stands_for` is the address of
/// this host that the kernel names for one that nobody sends from, and unspecified where it names
/// none.
inline way_back find_way_back(const net::ip::address& sent_to, const net::ip::address& sender,
                              const net::ip::address& stands_for)
{
  const bool is_broadcast = sent_to == net::ip::address(net::ip::address_v4::broadcast()) ||
                            (!stands_for.is_unspecified() && stands_for != sent_to);
  const bool is_shared = is_broadcast || sent_to.is_multicast();
  // Several hosts have it, so none of them may send from it.
  const net::ip::address source = is_shared ? net::ip::address() : sent_to;
  // The route to an address of this host is no link's. The kernel names the sender itself where
  // that is one.
  if (sender.is_loopback() || sent_to.is_loopback() ||
      (is_shared && stands_for == sender && !stands_for.is_unspecified()))
    return {source, false};
  return {source, is_shared || is_link_scoped(sent_to) || is_link_scoped(sender)};
}

/// What was received beside the bytes, for `Derived`, which has `control()` (null without any),
/// `sender()` and `needs_source()`.
template <class Derived, class Protocol>
class datagram_metadata {
  using field = platform::received_control;

public:
  /// The address that the datagram was sent to, on this host or a group's, in IPv4's own form where
  /// it came over IPv4; with `option::packet_info`, else absent.
  std::optional<net::ip::address> local_address() const
  {
    if (!has(field::local)) return std::nullopt;
    const auto& bytes = control()->address;
    if (has(field::local_is_v4)) return to_v4(bytes);
    const net::ip::address_v6 address(bytes);
    const bool scoped = address.is_link_local() || address.is_multicast_link_local();
    return net::ip::address_v6(bytes, scoped ? control()->interface_index : 0);
  }

  /// The interface that it came in by; with `option::packet_info`, else 0.
  unsigned interface_index() const noexcept
  {
    return has(field::local) ? control()->interface_index : 0;
  }

  /// Its ECN field; with `option::receive_ecn`, else absent.
  std::optional<ecn_codepoint> ecn() const noexcept
  {
    if (!has(field::traffic_class_given)) return std::nullopt;
    return static_cast<ecn_codepoint>(control()->traffic_class & 3);
  }

  /// Its DSCP (RFC 2474), 0 to 63; with `option::receive_ecn`, else absent.
  std::optional<std::uint8_t> dscp() const noexcept
  {
    if (!has(field::traffic_class_given)) return std::nullopt;
    return static_cast<std::uint8_t>(control()->traffic_class >> 2);
  }

  /// How many hops it had left; with `option::receive_hop_limit`, else absent.
  std::optional<int> hop_limit() const noexcept
  {
    if (!has(field::hop_limit_given)) return std::nullopt;
    return control()->hop_limit;
  }

  /// When the kernel got it; with `option::receive_timestamp`, else absent. Of a train, when its
  /// first one came.
  std::optional<receive_time_point> receive_time() const noexcept
  {
    if (!has(field::software_time_given)) return std::nullopt;
    return receive_time_point(std::chrono::nanoseconds(control()->software_time));
  }

  /// When the network card got it, by the card's clock; absent where the card has none or was not
  /// told to.
  std::optional<receive_time_point> hardware_receive_time() const noexcept
  {
    if (!has(field::hardware_time_given)) return std::nullopt;
    return receive_time_point(std::chrono::nanoseconds(control()->hardware_time));
  }

  /// How many datagrams the kernel had dropped when this one was queued, since the socket was
  /// opened, modulo 2^32; with `option::receive_drop_count`, else absent. `statistics` counts on
  /// across the wrap. On a socket that coalesces a train that was dropped counts as one.
  std::optional<std::uint32_t> dropped() const noexcept
  {
    if (!has(field::drops_given)) return std::nullopt;
    return control()->drops;
  }

  /// Whether control messages were lost for want of room; the fields that they had are absent then.
  bool control_truncated() const noexcept { return control() != nullptr && control()->truncated; }

  /// The control messages, also those that have no field here; valid as long as the payload.
  dgram::control_messages control_messages() const noexcept
  {
    return control() != nullptr ? dgram::control_messages(control()->raw)
                                : dgram::control_messages();
  }

  /// The way back to the sender. On a socket that is bound to a wildcard address it has the address
  /// that was asked, so that the answer comes from there; a group and a broadcast address are none
  /// to send from, and leave the source to the system.
  ///
  /// Some addresses mean something on one link only. Then the path has the interface that the
  /// datagram came in by:
  ///  - it was sent to a group or to a broadcast address, and not by this host;
  ///  - one of the two addresses is link-local (169.254.0.0/16, fe80::/10), and none is the
  ///    loopback address.
  ///
  /// Everything else is answered by the interface that the routes name. Without
  /// `option::packet_info` the interface is not known, and on a socket that is bound to an address
  /// of its own the path is the sender alone.
  ///
  /// Error: `error::no_packet_info` on a wildcard socket without `option::packet_info` (a `reader`
  /// sets it): without it the answer could come from another address than the one that was asked,
  /// and nobody would expect it from there.
  basic_reply_path<Protocol> reply_path(error_code& ec) const
  {
    ec.clear();
    if (const auto* const known = derived().known_way_back()) return *known;
    basic_reply_path<Protocol> path{derived().sender()};
    if constexpr (requires { path.peer.address(); }) {
      if (has(field::local))
        describe_way_back(path);
      else if (derived().needs_source())
        ec = error::no_packet_info;
    }
    return path;
  }

  basic_reply_path<Protocol> reply_path() const
  {
    if (const auto* const known = derived().known_way_back()) return *known;
    error_code ec;
    auto path = reply_path(ec);
    throw_if(ec, "reply_path");
    return path;
  }

  /// Whether another one was sent to the same address and came in by the same interface.
  bool arrived_like(const Derived& other) const noexcept
  {
    const field* const mine = control();
    const field* const others = other.control();
    if (mine == others) return true;
    if (mine == nullptr || others == nullptr) return false;
    constexpr auto where = field::local | field::local_is_v4;
    return ((mine->present ^ others->present) & where) == 0 &&
           mine->interface_index == others->interface_index &&
           std::memcmp(mine->address.data(), others->address.data(), mine->address.size()) == 0;
  }

private:
  friend Derived;
  datagram_metadata() = default;

  const Derived& derived() const noexcept { return static_cast<const Derived&>(*this); }
  const field* control() const noexcept { return derived().control(); }

  bool has(typename field::field what) const noexcept
  {
    return control() != nullptr && control()->has(what);
  }

  template <class Bytes>
  static net::ip::address_v4 to_v4(const Bytes& bytes) noexcept
  {
    return net::ip::address_v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  }

  void describe_way_back(basic_reply_path<Protocol>& path) const
  {
    net::ip::address stands_for;
    if (has(field::local_is_v4)) stands_for = to_v4(control()->reply_source);
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): the caller has looked
    auto way = find_way_back(*local_address(), unmapped(path.peer.address()), stands_for);
    // One that is bound sends from there by itself.
    if (derived().needs_source()) path.source = way.source;
    if (way.by_interface) path.interface_index = interface_index();
  }
};

}  // namespace detail

namespace detail {

/// What a receive does with a `datagram_info` that it fills.
struct info_access {
  template <class Info>
  static std::span<std::byte> control_room(Info& info) noexcept
  {
    return info.control_room();
  }

  template <class Info, class... Values>
  static void assign(Info& info, const Values&... values)
  {
    info.assign(values...);
  }
};

}  // namespace detail

template <class Protocol>
class basic_datagram;

/// A datagram with memory of its own, made by `basic_datagram::to_owned`. It has all that the
/// datagram had: the payload, the sender, the way back and what the options of the socket asked
/// for. It may be copied, and used after the batch is gone.
///
/// \code
/// dgram::receive_batch batch{32};
/// co_await socket.async_receive_batch(batch);
/// std::vector<dgram::owned_datagram> questions;
/// for (const dgram::datagram& datagram : batch) questions.push_back(datagram.to_owned());
/// for (const auto& question : questions) socket.send_to(asio::buffer("late"), question.reply_path());
/// \endcode
template <class Protocol>
class basic_owned_datagram
    : public detail::datagram_metadata<basic_owned_datagram<Protocol>, Protocol> {
public:
  using endpoint_type = typename Protocol::endpoint;

  /// An empty one without a sender.
  basic_owned_datagram() = default;

  /// The bytes; valid as long as this object.
  bytes_view payload() const noexcept { return {payload_.data(), payload_.size()}; }

  /// The same, to be changed in place.
  std::span<std::byte> mutable_payload() noexcept { return payload_; }

  /// Who sent it. On a dual-stack socket an IPv4 sender is a plain IPv4 endpoint.
  const endpoint_type& sender() const noexcept { return sender_; }

  /// Whether it was larger than its slot, so that the end of it is lost.
  bool truncated() const noexcept { return truncated_; }

  /// As `basic_datagram::wire_size`.
  std::optional<std::size_t> wire_size() const noexcept { return wire_size_; }

  /// As `basic_datagram::segment_size`.
  std::optional<std::size_t> segment_size() const noexcept { return segment_size_; }

  /// As `basic_datagram::control_messages`; valid as long as this object. What a message refers to,
  /// as an open descriptor does, is not copied with it.
  dgram::control_messages control_messages() const noexcept
  {
    return dgram::control_messages(control_bytes_);
  }

private:
  friend detail::datagram_metadata<basic_owned_datagram, Protocol>;
  friend basic_datagram<Protocol>;

  basic_owned_datagram(const basic_datagram<Protocol>& received,
                       const platform::received_control* control, bool needs_source)
      : payload_(received.payload().begin(), received.payload().end()),
        sender_(received.sender()),
        wire_size_(received.wire_size()),
        segment_size_(received.segment_size()),
        truncated_(received.truncated()),
        needs_source_(needs_source)
  {
    if (control == nullptr) return;
    control_ = *control;
    control_bytes_.assign(control->raw.begin(), control->raw.end());
    control_.raw = {};  // a copy of this object would refer to the bytes of that one
  }

  const platform::received_control* control() const noexcept { return &control_; }
  bool needs_source() const noexcept { return needs_source_; }
  static const basic_reply_path<Protocol>* known_way_back() noexcept { return nullptr; }

  std::vector<std::byte> payload_;
  std::vector<std::byte> control_bytes_;
  endpoint_type sender_;
  std::optional<std::size_t> wire_size_;
  std::optional<std::size_t> segment_size_;
  platform::received_control control_;
  bool truncated_ = false;
  bool needs_source_ = false;
};

/// A received datagram: a view into the batch that received it, valid until the batch is used
/// again.
///
/// Beside the payload and the sender it has what the options of the socket ask for; each is absent
/// without its option.
///
/// \code
/// socket.set_option(dgram::option::packet_info{true});
/// socket.set_option(dgram::option::receive_ecn{true});
/// dgram::receive_batch batch{32};
/// co_await socket.async_receive_batch(batch);
/// for (const dgram::datagram& datagram : batch) {
///   if (datagram.ecn() == dgram::ecn_codepoint::ce) fmt::print("congestion on the way\n");
///   socket.send_to(asio::buffer("noted"), datagram.reply_path());
/// }
/// \endcode
template <class Protocol>
class basic_datagram : public detail::datagram_metadata<basic_datagram<Protocol>, Protocol> {
public:
  using endpoint_type = typename Protocol::endpoint;

  /// `is_last` of those in the slot; only the last of a train can be cut.
  basic_datagram(std::span<std::byte> payload, const detail::received_slot<Protocol>& slot,
                 bool is_last = true) noexcept
      : payload_(payload), slot_(&slot), is_last_(is_last)
  {
  }

  /// The bytes that were received; none for a zero-length datagram, which is a datagram like any
  /// other.
  bytes_view payload() const noexcept { return {payload_.data(), payload_.size()}; }

  /// The same, to be changed in place before the batch is sent back (`basic_reply_batch`).
  std::span<std::byte> mutable_payload() const noexcept { return payload_; }

  /// Who sent it. On a dual-stack socket an IPv4 sender is a plain IPv4 endpoint.
  const endpoint_type& sender() const noexcept { return slot_->sender; }

  /// Whether the datagram was larger than its slot, so that the end of it is lost.
  bool truncated() const noexcept { return is_last_ && slot_->truncated; }

  /// The size that the datagram had on the wire, in bytes; absent where it was truncated and the
  /// operating system does not tell (all but Linux).
  std::optional<std::size_t> wire_size() const noexcept
  {
    if (!truncated()) return payload_.size();
    if (!platform::backend::reports_wire_size || slot_->segment > 0) return std::nullopt;
    return slot_->wire_size;
  }

  /// The size of the datagrams of the train that this one came in, of which the last may be
  /// shorter; absent where the kernel did not put any together (`option::coalescing`). All of a
  /// train share what is said of it.
  std::optional<std::size_t> segment_size() const noexcept
  {
    if (!slot_->is_train()) return std::nullopt;
    return slot_->segment;
  }

  /// A copy that may be kept, with all that is known of the datagram.
  basic_owned_datagram<Protocol> to_owned() const { return {*this, control(), needs_source()}; }

private:
  friend detail::datagram_metadata<basic_datagram, Protocol>;

  const platform::received_control* control() const noexcept { return slot_->control; }
  bool needs_source() const noexcept { return slot_->needs_source; }
  const basic_reply_path<Protocol>* known_way_back() const noexcept
  {
    return slot_->control != nullptr && slot_->control->knows_way_back ? &slot_->control->way_back
                                                                       : nullptr;
  }

  std::span<std::byte> payload_;
  const detail::received_slot<Protocol>* slot_;
  bool is_last_;
};

/// What is known of a datagram that was received by itself, beside its bytes; see
/// `async_receive_from`. It owns what it says.
///
/// \code
/// dgram::datagram_info info;
/// socket.set_option(dgram::option::packet_info{true});
/// std::size_t size = co_await socket.async_receive_from(asio::buffer(storage), info);
/// if (info.truncated()) fmt::print("{} bytes of {}\n", size, *info.wire_size());
/// co_await socket.async_send_to(asio::buffer(storage, size), info.reply_path());
/// \endcode
template <class Protocol>
class basic_datagram_info
    : public detail::datagram_metadata<basic_datagram_info<Protocol>, Protocol> {
public:
  using endpoint_type = typename Protocol::endpoint;

  basic_datagram_info() = default;

  /// That of a datagram of `size` bytes which no socket of the system received.
  basic_datagram_info(const endpoint_type& sender, std::size_t size, const arrival_info& info = {})
      : sender_(sender),
        wire_size_(info.wire_size.value_or(size)),
        control_(detail::to_control(info)),
        truncated_(info.wire_size.value_or(size) > size),
        needs_source_(info.wildcard)
  {
  }

  basic_datagram_info(const basic_datagram_info& other) { *this = other; }

  basic_datagram_info& operator=(const basic_datagram_info& other)
  {
    sender_ = other.sender_;
    wire_size_ = other.wire_size_;
    control_ = other.control_;
    room_ = other.room_;
    truncated_ = other.truncated_;
    needs_source_ = other.needs_source_;
    control_.raw = std::span<const std::byte>(room_).first(other.control_.raw.size());
    return *this;
  }

  /// Who sent it. On a dual-stack socket an IPv4 sender is a plain IPv4 endpoint.
  const endpoint_type& sender() const noexcept { return sender_; }

  /// Whether it was larger than the buffers, so that the end of it is lost.
  bool truncated() const noexcept { return truncated_; }

  /// The size that it had on the wire, in bytes; absent where it was truncated and the operating
  /// system does not tell.
  std::optional<std::size_t> wire_size() const noexcept { return wire_size_; }

private:
  friend detail::datagram_metadata<basic_datagram_info, Protocol>;
  friend struct detail::info_access;

  const platform::received_control* control() const noexcept { return &control_; }
  bool needs_source() const noexcept { return needs_source_; }
  static const basic_reply_path<Protocol>* known_way_back() noexcept { return nullptr; }

  std::span<std::byte> control_room() noexcept { return room_; }

  void assign(const endpoint_type& sender, bool truncated, std::optional<std::size_t> wire_size,
              const platform::received_control& control, bool needs_source)
  {
    sender_ = sender;
    truncated_ = truncated;
    wire_size_ = wire_size;
    control_ = control;
    needs_source_ = needs_source;
  }

  endpoint_type sender_;
  std::optional<std::size_t> wire_size_;
  platform::received_control control_;
  alignas(std::max_align_t) std::array<std::byte, platform::receive_control_size> room_;
  bool truncated_ = false;
  bool needs_source_ = false;
};

DGRAM_NAMESPACE_END

#endif
