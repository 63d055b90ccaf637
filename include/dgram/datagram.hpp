// SPDX-License-Identifier: BSL-1.0
// One received datagram: its bytes, its sender, the metadata that the socket's options ask for, and
// the reply path.
#ifndef DGRAM_DATAGRAM_HPP
#define DGRAM_DATAGRAM_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/control_message.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/platform/control.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/owned_descriptor.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// A datagram's ECN field: what a router did with it, or may do (RFC 3168, section 5).
enum class ecn_codepoint : std::uint8_t {
  not_ect = 0,  ///< routers drop it when there is congestion
  ect_1 = 1,    ///< routers may mark it instead
  ect_0 = 2,    ///< the same
  ce = 3,       ///< a router met congestion
};

/// Returns the code point of the two lowest bits, as another library has it; the other bits do not
/// count. `datagram.ecn_bits()` is the way back.
///
/// \code
/// dgram::writer writer{socket};
/// writer.try_send("packet", peer, {.ecn = dgram::ecn_from_bits(2)});
/// \endcode
constexpr ecn_codepoint ecn_from_bits(unsigned bits) noexcept
{
  return static_cast<ecn_codepoint>(bits & 3U);
}

/// The kernel's wall clock, in nanoseconds.
using receive_time_point =
    std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

/// Returns a `receive_time()` on the steady clock, for round-trip times and timers. Call it soon
/// after the receive: the conversion uses the two clocks as they are now, so only a step of the
/// wall clock since the arrival shifts the result. The result is never later than now. It reads
/// both clocks, without a system call where the system can. Times of the network card have a clock
/// of their own, and cannot be converted. Thread safety: safe on any thread.
///
/// \code
/// dgram::datagram_info info;
/// socket.receive_from(asio::buffer(storage), info);
/// if (const auto time = info.receive_time()) {
///   const auto age = std::chrono::steady_clock::now() - dgram::to_steady(*time);
///   fmt::print("received {} ns ago\n", age.count());
/// }
/// \endcode
inline std::chrono::steady_clock::time_point to_steady(const receive_time_point& time) noexcept
{
  const receive_time_point wall = std::chrono::system_clock::now();
  const auto now = std::chrono::steady_clock::now();
  if (time >= wall) return now;
  return now - std::chrono::duration_cast<std::chrono::steady_clock::duration>(wall - time);
}

/// The path of a reply. It has these parts:
///  - the peer
///  - on a socket that is bound to a wildcard address, the address that the datagram was sent to
///  - the interface, if the reply must leave by it
///
/// `reply_path()` of a datagram creates it. Writers, batches and `send_to` take it.
template <class Protocol>
struct basic_reply_path {
  typename Protocol::endpoint peer;
  /// Unspecified: the system's choice, which is the bound address if the socket has one.
  net::ip::address source{};
  unsigned interface_index = 0;  ///< 0: the system's choice

  /// Whether the path has only the peer.
  bool is_plain() const noexcept { return interface_index == 0 && source.is_unspecified(); }
};

/// The metadata of a datagram, for a transport that is not a socket of the system. See
/// `basic_receive_batch::store` and `basic_datagram_info`. A member that is absent here is absent
/// in the datagram.
///
/// \code
/// dgram::arrival_info info{.local_address = asio::ip::make_address("10.0.0.1"), .hop_limit = 63};
/// dgram::receive_batch batch{32};
/// batch.store("payload", peer, info);
/// \endcode
struct arrival_info {
  /// The address that the datagram was sent to, and the interface that it arrived on.
  std::optional<net::ip::address> local_address{};
  unsigned interface_index = 0;

  /// Fields of the IP header. ECN and DSCP share one byte: if one of them is set, the other is at
  /// least 0.
  std::optional<ecn_codepoint> ecn{};
  std::optional<std::uint8_t> dscp{};
  std::optional<int> hop_limit{};

  std::optional<receive_time_point> receive_time{};
  std::optional<receive_time_point> hardware_receive_time{};

  /// How many datagrams were dropped before this one.
  std::optional<std::uint32_t> dropped{};

  /// If not 0, the payload is a train: datagrams of this size in bytes, of which the last may be
  /// shorter. 0 means one datagram.
  std::size_t segment_size = 0;

  /// The size in bytes before truncation; absent if the datagram is whole.
  std::optional<std::size_t> wire_size{};

  /// Whether the receiving socket is bound to a wildcard address. If so, a reply must name its
  /// source address.
  bool wildcard = false;
};

namespace detail {

/// The metadata in the form that the kernel's control messages have after parsing.
inline platform::received_control to_control(const arrival_info& info) noexcept
{
  using field = platform::received_control;
  field said;
  const auto note = [&](field::field what) { said.present |= what; };
  // A train has no larger datagrams, so such a size means one datagram.
  said.segment = static_cast<std::uint32_t>(
      std::min<std::size_t>(info.segment_size, std::numeric_limits<std::uint32_t>::max()));
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

/// The metadata of a slot, and the reply path that the datagrams of a train share. The path is
/// described once.
template <class Protocol>
struct slot_control : platform::received_control {
  bool knows_way_back = false;
  basic_reply_path<Protocol> way_back{};
};

/// What one system call put into one slot of a batch: a datagram, or a train of datagrams. It fits
/// in one cache line.
template <class Protocol>
struct received_slot {
  platform::buffer buffer{};
  std::uint32_t wire_size = 0;  ///< bytes that arrived; those that fit were received
  /// The size of each datagram of a train, of which the last may be shorter; 0: one datagram.
  std::uint32_t segment = 0;
  const slot_control<Protocol>* control = nullptr;
  typename Protocol::endpoint sender{};
  bool truncated = false;
  bool needs_source = false;  ///< the socket is bound to a wildcard address

  std::size_t size() const noexcept
  {
    return std::min<std::size_t>(wire_size, platform::buffer_size(buffer));
  }
  bool is_train() const noexcept { return segment > 0 && size() > segment; }
};

/// Returns an IPv4-mapped IPv6 address as IPv4, and any other address unchanged.
inline net::ip::address unmapped(const net::ip::address& address)
{
  if (address.is_v4() || !address.to_v6().is_v4_mapped()) return address;
  return net::ip::make_address_v4(net::ip::v4_mapped, address.to_v6());
}

/// Whether each link of a host may have another peer with this address (RFC 3927; RFC 4007, section
/// 6). Routers forward site-local and unique local addresses, so these do not count.
inline bool is_link_scoped(const net::ip::address& address) noexcept
{
  if (address.is_v4()) return address.to_v4().to_uint() >> 16 == 0xA9FE;
  return address.to_v6().is_link_local();
}

/// The source address of a reply (unspecified: the system's choice). `by_interface`: the reply
/// leaves by the interface that the datagram arrived on, since the routes do not know the sender's
/// link.
struct way_back {
  net::ip::address source{};
  bool by_interface = false;
};

/// Decides by the scopes of both addresses. `stands_for` is the address of this host that the
/// kernel names as the source of replies, unspecified if it names none. It differs from `sent_to`
/// if no socket may send from `sent_to`.
inline way_back find_way_back(const net::ip::address& sent_to, const net::ip::address& sender,
                              const net::ip::address& stands_for)
{
  const bool is_broadcast = sent_to == net::ip::address(net::ip::address_v4::broadcast()) ||
                            (!stands_for.is_unspecified() && stands_for != sent_to);
  const bool is_shared = is_broadcast || sent_to.is_multicast();
  // Several hosts have a shared address, so no host may send from it.
  const net::ip::address source = is_shared ? net::ip::address() : sent_to;
  // The route to an address of this host is not on a link. If the sender has such an address, the
  // kernel names that address.
  if (sender.is_loopback() || sent_to.is_loopback() ||
      (is_shared && stands_for == sender && !stands_for.is_unspecified()))
    return {source, false};
  return {source, is_shared || is_link_scoped(sent_to) || is_link_scoped(sender)};
}

/// The metadata of a datagram. `Derived` has `control()` (null without metadata), `sender()`,
/// `needs_source()` and `known_way_back()`.
template <class Derived, class Protocol>
class datagram_metadata {
  using field = platform::received_control;

public:
  /// The address that the datagram was sent to: one of this host or a group. It has IPv4's own form
  /// if the datagram came over IPv4. Absent without `option::packet_info`.
  std::optional<net::ip::address> local_address() const
  {
    if (!has(field::local)) return std::nullopt;
    const auto& bytes = control()->address;
    if (has(field::local_is_v4)) return to_v4(bytes);
    const net::ip::address_v6 address(bytes);
    const bool scoped = address.is_link_local() || address.is_multicast_link_local();
    return net::ip::address_v6(bytes, scoped ? control()->interface_index : 0);
  }

  /// The endpoint that the datagram was sent to, for libraries that keep both ends of a path, such
  /// as QUIC's. `bound` is the socket's own `local_endpoint()`. It has the port, and also the
  /// address if there is no `option::packet_info`. An IPv4-mapped address becomes a plain one.
  ///
  /// \code
  /// dgram::reader reader{socket};
  /// const auto bound = socket.local_endpoint();
  /// while (auto datagram = co_await reader.next())
  ///   fmt::print("{} asked {}\n", datagram->sender(), datagram->local_endpoint(bound));
  /// \endcode
  typename Protocol::endpoint local_endpoint(const typename Protocol::endpoint& bound) const
    requires ip_protocol<Protocol>
  {
    const auto address = local_address();
    if (!address) return canonical(bound);
    return {*address, bound.port()};
  }

  /// The interface that the datagram arrived on; 0 without `option::packet_info`.
  unsigned interface_index() const noexcept
  {
    return has(field::local) ? control()->interface_index : 0;
  }

  /// The ECN field; absent without `option::receive_ecn`.
  std::optional<ecn_codepoint> ecn() const noexcept
  {
    if (!has(field::traffic_class_given)) return std::nullopt;
    return static_cast<ecn_codepoint>(control()->traffic_class & 3);
  }

  /// The ECN field as its two bits, for other libraries; 0 (`not_ect`) if it is absent.
  unsigned ecn_bits() const noexcept
  {
    return has(field::traffic_class_given) ? control()->traffic_class & 3U : 0U;
  }

  /// The DSCP (RFC 2474), 0 to 63; absent without `option::receive_ecn`.
  std::optional<std::uint8_t> dscp() const noexcept
  {
    if (!has(field::traffic_class_given)) return std::nullopt;
    return static_cast<std::uint8_t>(control()->traffic_class >> 2);
  }

  /// How many hops the datagram had left; absent without `option::receive_hop_limit`.
  std::optional<int> hop_limit() const noexcept
  {
    if (!has(field::hop_limit_given)) return std::nullopt;
    return control()->hop_limit;
  }

  /// The time at which the kernel received the datagram; absent without
  /// `option::receive_timestamp`. For a train, the time of its first datagram.
  std::optional<receive_time_point> receive_time() const noexcept
  {
    if (!has(field::software_time_given)) return std::nullopt;
    return receive_time_point(std::chrono::nanoseconds(control()->software_time));
  }

  /// The time at which the network card received the datagram, by the card's clock. Absent if the
  /// card takes no times or was not configured to.
  std::optional<receive_time_point> hardware_receive_time() const noexcept
  {
    if (!has(field::hardware_time_given)) return std::nullopt;
    return receive_time_point(std::chrono::nanoseconds(control()->hardware_time));
  }

  /// How many datagrams the kernel had dropped since the socket was opened, when it queued this
  /// one, modulo 2^32. Absent without `option::receive_drop_count`. `statistics` continues to count
  /// across the wrap. On a socket that coalesces, a dropped train counts as one.
  std::optional<std::uint32_t> dropped() const noexcept
  {
    if (!has(field::drops_given)) return std::nullopt;
    return control()->drops;
  }

  /// Whether control messages were lost because they had no room. The fields that depend on them
  /// are absent then.
  bool control_truncated() const noexcept { return control() != nullptr && control()->truncated; }

  /// All control messages, also those that have no field here; valid as long as the payload.
  dgram::control_messages control_messages() const noexcept
  {
    return control() != nullptr ? dgram::control_messages(control()->raw)
                                : dgram::control_messages();
  }

  /// The process that sent the Unix datagram; absent without `option::receive_credentials`, or
  /// without room for control messages.
  std::optional<peer_credentials> credentials() const noexcept
    requires path_protocol<Protocol>
  {
    peer_credentials sender;
    const auto bytes = derived().control_messages().bytes();
    if (!platform::find_credentials(bytes, sender.process, sender.user, sender.group))
      return std::nullopt;
    return sender;
  }

  /// The path of a reply to the sender. On a socket that is bound to a wildcard address, the reply
  /// leaves from the address that the datagram was sent to. If that is a group or broadcast
  /// address, the system chooses the source.
  ///
  /// Some addresses are valid on one link only. The path has the interface that the datagram
  /// arrived on if:
  ///  - another host sent the datagram to a group or to a broadcast address
  ///  - one of the two addresses is link-local (169.254.0.0/16, fe80::/10), and neither is the
  ///    loopback address
  ///
  /// All other replies leave by the interface that the routes name. Without `option::packet_info`
  /// the interface is not known. On a socket that is bound to an address of its own the path is
  /// then the sender alone.
  ///
  /// Error: `error::no_packet_info` on a wildcard socket without `option::packet_info`, which a
  /// `reader` sets. Without the option the reply could leave from an address that the sender did
  /// not ask, and the sender would not accept it.
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

  DGRAM_INLINE basic_reply_path<Protocol> reply_path() const
  {
    if (const auto* const known = derived().known_way_back()) return *known;
    // Without metadata there is nothing to describe.
    if (control() == nullptr && !derived().needs_source()) return {derived().sender()};
    return described_path();
  }

  /// Whether `other` was sent to the same address and arrived on the same interface.
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

  basic_reply_path<Protocol> described_path() const
  {
    error_code ec;
    auto path = reply_path(ec);
    throw_if(ec, "reply_path");
    return path;
  }

  void describe_way_back(basic_reply_path<Protocol>& path) const
  {
    net::ip::address stands_for;
    if (has(field::local_is_v4)) stands_for = to_v4(control()->reply_source);
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): the caller has looked
    auto way = find_way_back(*local_address(), unmapped(path.peer.address()), stands_for);
    // A socket that is bound to an address sends from there by itself.
    if (derived().needs_source()) path.source = way.source;
    if (way.by_interface) path.interface_index = interface_index();
  }
};

}  // namespace detail

namespace detail {

/// Gives a receive access to the `datagram_info` that it fills.
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

/// Gives the copy of a datagram access to what the datagram is a view of.
struct slot_access {
  template <class Datagram>
  static const auto& slot(const Datagram& of) noexcept
  {
    return *of.slot_;
  }

  template <class Datagram>
  static bool is_last(const Datagram& of) noexcept
  {
    return of.is_last_;
  }

  /// How many datagrams follow this one in its slot, before the end of the range.
  template <class Iterator>
  static std::size_t neighbours(const Iterator& at, const Iterator& last) noexcept
  {
    const std::size_t segment = at.slot_->segment;
    if (segment == 0) return 0;
    const std::size_t end = at.slot_ == last.slot_ ? last.offset_ : at.slot_->size();
    return at.offset_ + segment < end ? (end - at.offset_ - 1) / segment : 0;
  }

  /// Goes so many datagrams further. They must be in the slot, or the first of the next one.
  template <class Iterator>
  static void skip(Iterator& at, std::size_t count) noexcept
  {
    if (count == 0) return;
    at.offset_ += (count - 1) * at.slot_->segment;
    ++at;
  }
};

}  // namespace detail

template <class Protocol>
class basic_datagram;

/// A datagram that owns its memory, created by `basic_datagram::to_owned`. It has all that the
/// datagram had: payload, sender, reply path, and the metadata that the socket's options asked for.
/// It may be copied, and it may outlive the batch.
///
/// \code
/// dgram::receive_batch batch{32};
/// co_await socket.async_receive_batch(batch);
/// std::vector<dgram::owned_datagram> questions;
/// for (const dgram::datagram& datagram : batch) questions.push_back(datagram.to_owned());
/// for (const auto& question : questions)
///   socket.send_to(asio::buffer("late"), question.reply_path());
/// \endcode
template <class Protocol>
class basic_owned_datagram
    : public detail::datagram_metadata<basic_owned_datagram<Protocol>, Protocol> {
public:
  using endpoint_type = typename Protocol::endpoint;

  /// An empty datagram without a sender.
  basic_owned_datagram() = default;

  /// The received bytes; valid as long as this object.
  bytes_view payload() const noexcept { return {payload_.data(), payload_.size()}; }

  /// The same, for changes in place.
  std::span<std::byte> mutable_payload() noexcept { return payload_; }

  /// The sender. On a dual-stack socket an IPv4 sender is a plain IPv4 endpoint.
  const endpoint_type& sender() const noexcept { return sender_; }

  /// Whether the datagram was larger than its slot, so that its end is lost.
  bool truncated() const noexcept { return truncated_; }

  /// As `basic_datagram::wire_size`.
  std::optional<std::size_t> wire_size() const noexcept { return wire_size_; }

  /// As `basic_datagram::segment_size`.
  std::optional<std::size_t> segment_size() const noexcept { return segment_size_; }

  /// As `basic_datagram::control_messages`; valid as long as this object. If a message refers to a
  /// resource, such as an open descriptor, the resource is not duplicated: the batch closes it.
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
    control_.raw = {};  // a copy of this object would refer to the original's bytes
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
/// Besides the payload and the sender it has the metadata that the socket's options ask for. Each
/// field is absent without its option.
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

  /// `is_last`: the datagram is the last one in its slot. Only the last one of a train can be
  /// truncated.
  basic_datagram(std::span<std::byte> payload, const detail::received_slot<Protocol>& slot,
                 bool is_last = true) noexcept
      : payload_(payload), slot_(&slot), is_last_(is_last)
  {
  }

  /// The received bytes; empty for a zero-length datagram, which is a datagram like any other.
  bytes_view payload() const noexcept { return {payload_.data(), payload_.size()}; }

  /// The same, for changes in place before the batch is sent back (`basic_reply_batch`).
  std::span<std::byte> mutable_payload() const noexcept { return payload_; }

  /// The sender. On a dual-stack socket an IPv4 sender is a plain IPv4 endpoint.
  const endpoint_type& sender() const noexcept { return slot_->sender; }

  /// Whether the datagram was larger than its slot, so that its end is lost.
  bool truncated() const noexcept { return is_last_ && slot_->truncated; }

  /// The size that the datagram had on the wire, in bytes. Absent if it was truncated and the
  /// operating system does not report the size (all except Linux).
  std::optional<std::size_t> wire_size() const noexcept
  {
    if (!truncated()) return payload_.size();
    if (!platform::backend::reports_wire_size || slot_->segment > 0) return std::nullopt;
    return slot_->wire_size;
  }

  /// The size in bytes of the datagrams of the train that this one arrived in; the last one may be
  /// shorter. Absent if the kernel did not coalesce it with others (`option::coalescing`). All
  /// datagrams of a train share their metadata.
  std::optional<std::size_t> segment_size() const noexcept
  {
    if (!slot_->is_train()) return std::nullopt;
    return slot_->segment;
  }

  /// Takes an open descriptor that the sender passed with the Unix datagram (`SCM_RIGHTS`,
  /// unix(7)): the first one that was not taken yet, or none. The batch closes descriptors that
  /// were not taken, when it is used again or destroyed. Descriptors come only if the batch has
  /// room for control messages, see `basic_receive_batch::reserve_control`. `take_descriptors`
  /// takes all of them.
  ///
  /// \code
  /// dgram::unix_dgram::socket local{io, "/run/server.sock"};
  /// dgram::unix_dgram::reader reader{local, {.control_size = 64}};
  /// while (auto datagram = co_await reader.next())
  ///   while (auto descriptor = datagram->take_descriptor())
  ///     fmt::print("descriptor {} is ours\n", descriptor.get());
  /// \endcode
  owned_descriptor take_descriptor() const noexcept
    requires detail::path_protocol<Protocol>
  {
    return owned_descriptor(platform::take_descriptor(this->control_messages().bytes()));
  }

  /// Whether one system call put both datagrams into the same slot, as those of a train. Both must
  /// be valid.
  bool shares_slot_with(const basic_datagram& other) const noexcept { return slot_ == other.slot_; }

  /// A copy that owns its memory, with all metadata of the datagram.
  basic_owned_datagram<Protocol> to_owned() const { return {*this, control(), needs_source()}; }

private:
  friend detail::datagram_metadata<basic_datagram, Protocol>;
  friend struct detail::slot_access;

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

/// The metadata of a datagram that was received by itself; see `async_receive_from`. It owns its
/// content.
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

  /// The metadata of a datagram of `size` bytes that no socket of the system received.
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
    if (this == &other) return *this;
    sender_ = other.sender_;
    wire_size_ = other.wire_size_;
    control_ = other.control_;
    // The rest of the room may never have been written.
    std::copy(other.control_.raw.begin(), other.control_.raw.end(), room_.begin());
    truncated_ = other.truncated_;
    needs_source_ = other.needs_source_;
    control_.raw = std::span<const std::byte>(room_).first(other.control_.raw.size());
    return *this;
  }

  /// The sender. On a dual-stack socket an IPv4 sender is a plain IPv4 endpoint.
  const endpoint_type& sender() const noexcept { return sender_; }

  /// Whether the datagram was larger than the buffers, so that its end is lost.
  bool truncated() const noexcept { return truncated_; }

  /// The size that the datagram had on the wire, in bytes. Absent if it was truncated and the
  /// operating system does not report the size.
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
