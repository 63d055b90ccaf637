// SPDX-License-Identifier: BSL-1.0
// Fuzzes the building of send batches with send_options: what cannot be met is refused and changes
// nothing, and the messages for the kernel have the datagrams in order, with what they ask for.

#include "fuzz/input.hpp"

#include <dgram/control_message.hpp>
#include <dgram/send_batch.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using endpoint = asio::ip::udp::endpoint;

struct waiting {
  std::string text;
  std::optional<endpoint> peer;
  dgram::send_options options;
  std::uint64_t number;
  std::size_t push;  // which push added it
};

endpoint take_peer(fuzz::input& from)
{
  static const std::array<endpoint, 4> peers{endpoint(asio::ip::make_address("10.0.0.1"), 1),
                                             endpoint(asio::ip::make_address("::1"), 1),
                                             endpoint(asio::ip::make_address("::ffff:10.0.0.1"), 1),
                                             endpoint(asio::ip::make_address("10.0.0.1"), 2)};
  return peers[from.byte() % peers.size()];
}

bool is_v4(const endpoint& peer)
{
  return peer.address().is_v4() || peer.address().to_v6().is_v4_mapped();
}

dgram::send_options take_options(fuzz::input& from, const std::vector<std::byte>& control)
{
  dgram::send_options asked;
  const std::uint8_t which = from.byte();
  const std::uint8_t more = from.byte();
  if (which % 2 != 0) return asked;
  if (which & 4U) asked.ecn = dgram::ecn_codepoint(from.byte() % 4);
  if (which & 8U) asked.dscp = static_cast<std::uint8_t>(from.byte() % 80);
  if (which & 16U) asked.hop_limit = from.number<int>();
  if (which & 32U) asked.source = take_peer(from).address();
  if (which & 64U) asked.interface_index = from.byte();
  if (which & 128U) asked.segment_size = from.one_in(8) ? from.number<std::size_t>() : from.byte();
  if (more & 1U) asked.number = from.number<std::uint64_t>();
  if (more & 2U) asked.timestamp = true;
  if (more & 4U)
    asked.transmit_time = std::chrono::steady_clock::time_point(
        std::chrono::nanoseconds(from.number<std::int64_t>()));
  if (more & 8U) asked.do_not_fragment = from.one_in(2);
  if (more & 16U) asked.control = control;
  return asked;
}

/// The documented errors, without the order in which they are found.
bool is_refused(const dgram::send_options& asked, const std::optional<endpoint>& peer,
                const dgram::error_code& with)
{
  using dgram::error;
  if (with == error::out_of_range)
    return asked.dscp.value_or(0) > 63 || asked.hop_limit.value_or(1) < 1 ||
           asked.hop_limit.value_or(1) > 255;
  if (with == asio::error::invalid_argument) return asked.segment_size == std::size_t{0};
  if (with == asio::error::message_size)
    return asked.control.size() > dgram::platform::user_control_size;
  if (with == asio::error::address_family_not_supported)
    return peer && asked.source && is_v4(endpoint(*asked.source, 0)) != is_v4(*peer);
  return with == asio::error::operation_not_supported;
}

bool is_fine(const dgram::send_options& asked, const std::optional<endpoint>& peer)
{
  for (const dgram::error_code& each :
       {make_error_code(dgram::error::out_of_range),
        dgram::error_code(asio::error::invalid_argument),
        dgram::error_code(asio::error::message_size),
        dgram::error_code(asio::error::address_family_not_supported)})
    if (peer && is_refused(asked, peer, each)) return false;
  return true;
}

/// What the control messages of a message ask for, with a size for each datagram of a train.
std::size_t segment_of([[maybe_unused]] const dgram::platform::message& message)
{
#if defined(UDP_SEGMENT)
  for (const auto& each : dgram::control_messages(message.control()))
    if (each.level == IPPROTO_UDP && each.type == UDP_SEGMENT)
      return each.as<std::uint16_t>().value_or(0);
#endif
  return 0;
}

std::string text_of(const dgram::platform::message& message)
{
  std::string text;
  for (std::size_t i = 0; i < message.msg_hdr.msg_iovlen; ++i) {
    const auto& piece = message.msg_hdr.msg_iov[i];
    text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  return text;
}

class model {
public:
  model(fuzz::input& from, bool copies)
      : from_(from),
        copies_(copies),
        batch_({.datagrams = most, .bytes = most_bytes, .copy = copies})
  {
    flags_.connected = from.one_in(4);
  }

  void push()
  {
    const std::size_t length = from_.one_in(4) ? from_.below(3000) : from_.byte() % 3 * 50;
    std::string text(length, '\0');
    for (std::size_t i = 0; i < length; ++i)
      text[i] = static_cast<char>(i + 31 * pushes_);
    payloads_.push_back(text);
    const dgram::bytes_view payload(payloads_.back());
    std::optional<endpoint> peer;
    if (!flags_.connected) peer = take_peer(from_);
    control_.assign(from_.byte() * 2U, std::byte{0});
    const std::uint8_t form = from_.byte() % 8;
    dgram::send_options asked;
    if (form < 5) asked = take_options(from_, control_);
    if (form == 5 && peer) asked.segment_size = from_.byte();
    const std::size_t datagrams = asked.segment_size.value_or(0) > 0 && length > 0
                                      ? (length - 1) / *asked.segment_size + 1
                                      : 1;
    const bool had_room = batch_.has_room(length, datagrams);
    fuzz::require(had_room == (room_ >= datagrams && room_bytes_ >= length),
                  "the room of a batch is what was not pushed since it was empty");
    const std::size_t before = batch_.size();
    const std::size_t bytes_before = batch_.bytes();
    try {
      if (form == 6)
        gather(payload, peer);
      else if (form == 7)
        peer ? batch_.push(payload, *peer) : batch_.push(payload);
      else if (form == 5 && peer)
        batch_.push_segments(payload, *asked.segment_size, *peer);
      else
        peer ? batch_.push(payload, *peer, asked) : batch_.push(payload, asked);
    } catch (const std::length_error&) {
      fuzz::require(!had_room, "what has room is taken");
      return check_unchanged(before, bytes_before);
    } catch (const std::invalid_argument&) {
      fuzz::require(asked.segment_size == std::size_t{0}, "segments of a size are taken");
      return check_unchanged(before, bytes_before);
    } catch (const dgram::system_error& error) {
      fuzz::require(is_refused(asked, peer, error.code()), "what can be met is not refused");
      return check_unchanged(before, bytes_before);
    }
    fuzz::require(had_room, "a full batch takes nothing");
    fuzz::require(is_fine(asked, peer), "what cannot be met is refused");
    fuzz::require(batch_.size() == before + datagrams && batch_.bytes() == bytes_before + length,
                  "a batch counts what it takes");
    room_ -= datagrams;
    room_bytes_ -= length;
    const std::uint64_t number = asked.number;
    // A send to a connected peer refuses a segment size of 0 later: its datagram is whole until then.
    const std::size_t segment = asked.segment_size.value_or(0);
    const std::size_t each = segment > 0 ? segment : std::max<std::size_t>(length, 1);
    asked.segment_size.reset();
    asked.control = {};
    std::size_t start = 0;
    do {
      waiting_.push_back({text.substr(start, each), peer, asked, number, pushes_});
      start += std::min(each, length - start);
    } while (start < length);
    ++pushes_;
  }

  void drop()
  {
    if (batch_.empty()) return;
    check_front();
    batch_.drop_front();
    leave(1);
  }

  void refuse()
  {
    if (batch_.empty()) return;
    bool called = false;
    batch_.on_refused(
        [&](dgram::error_code, const endpoint& peer, std::size_t size, std::uint64_t number) {
          called = true;
          const waiting& like = waiting_.front();
          fuzz::require(peer == like.peer.value_or(endpoint()) && size == like.text.size() &&
                            number == like.number,
                        "a refusal has the datagram's peer, size and number");
        });
    fuzz::require(batch_.refuse_front(asio::error::message_size) && called,
                  "a handler hears of a refusal");
    batch_.on_refused(nullptr);
    leave(1);
  }

  /// As a send whose kernel takes some of the messages.
  void send()
  {
    if (batch_.empty()) return;
    const bool joins = from_.one_in(2);
    dgram::error_code ec;
    const auto messages =
        batch_.prepare(flags_, [&](const endpoint&, std::size_t) { return joins; }, ec);
    if (ec) {
      fuzz::require(flags_.connected, "an addressed batch of valid datagrams can be sent");
      return drop();
    }
    fuzz::require(!messages.empty(), "a batch that is not empty has messages");
    const std::size_t taken = 1 + from_.below(messages.size());
    std::size_t datagrams = 0;
    for (const dgram::platform::message& message : messages.first(taken))
      datagrams += check(message, datagrams, joins);
    fuzz::require(batch_.consume(taken) == datagrams, "a batch knows what left");
    leave(datagrams);
  }

  void clear()
  {
    batch_.clear();
    waiting_.clear();
    leave(0);
  }

  void check_size()
  {
    std::size_t bytes = 0;
    for (const waiting& each : waiting_)
      bytes += each.text.size();
    fuzz::require(batch_.size() == waiting_.size() && batch_.bytes() == bytes &&
                      batch_.empty() == waiting_.empty(),
                  "a batch counts what waits");
    if (!batch_.empty()) check_front();
  }

private:
  static constexpr std::size_t most = 40;
  static constexpr std::size_t most_bytes = 20000;

  void gather(dgram::bytes_view payload, const std::optional<endpoint>& peer)
  {
    std::vector<asio::const_buffer> pieces;
    const std::size_t count = from_.byte() % 4;
    std::size_t start = 0;
    for (std::size_t i = 0; i < count && start < payload.size(); ++i) {
      const std::size_t length = (payload.size() - start) / 2;
      pieces.emplace_back(payload.data() + start, length);
      start += length;
    }
    pieces.emplace_back(payload.data() + start, payload.size() - start);
    peer ? batch_.push(pieces, *peer) : batch_.push(pieces);
  }

  void check_unchanged(std::size_t size, std::size_t bytes)
  {
    fuzz::require(batch_.size() == size && batch_.bytes() == bytes,
                  "a push that throws changes nothing");
  }

  void check_front()
  {
    const waiting& like = waiting_.front();
    const auto next = batch_.front();
    std::string text(next.size(), '\0');
    next.copy_to(std::as_writable_bytes(std::span(text)));
    fuzz::require(text == like.text, "the first datagram has its own bytes");
    fuzz::require((next.peer() != nullptr) == like.peer.has_value() &&
                      (!like.peer || *next.peer() == *like.peer),
                  "the first datagram has its own peer");
    const dgram::send_options asked = next.options();
    fuzz::require(asked.ecn == like.options.ecn && asked.dscp == like.options.dscp &&
                      asked.hop_limit == like.options.hop_limit &&
                      asked.transmit_time == like.options.transmit_time &&
                      asked.timestamp == like.options.timestamp &&
                      asked.interface_index == like.options.interface_index,
                  "the first datagram has its own options");
    fuzz::require(batch_.number_at(batch_.front_number()) == like.number,
                  "the first datagram has its own number");
  }

  /// Returns how many datagrams the message has; `first` went before it.
  std::size_t check(const dgram::platform::message& message, std::size_t first, bool joins)
  {
    const std::string text = text_of(message);
    const std::size_t segment = segment_of(message);
    fuzz::require(joins || segment == 0, "datagrams leave one by one if the path wants that");
    const std::size_t each = segment > 0 ? segment : std::max<std::size_t>(text.size(), 1);
    std::size_t start = 0;
    std::size_t count = 0;
    const waiting& head = waiting_.at(first);
    do {
      const waiting& like = waiting_.at(first + count);
      fuzz::require(text.substr(start, each) == like.text, "a message has its datagrams in order");
      fuzz::require(like.peer == head.peer, "the datagrams of a message have one peer");
      fuzz::require(like.options.ecn == head.options.ecn &&
                        like.options.dscp == head.options.dscp &&
                        like.options.hop_limit == head.options.hop_limit &&
                        like.options.source == head.options.source,
                    "the datagrams of a message ask for the same");
      fuzz::require(count == 0 || !like.options.timestamp, "a datagram with a time leaves alone");
      start += std::max<std::size_t>(like.text.size(), 1);
      ++count;
    } while (start < text.size());
    fuzz::require(text.size() <= 65535, "a message fits a packet");
    if (head.peer)
      fuzz::require(
          std::memcmp(message.msg_hdr.msg_name, head.peer->data(), head.peer->size()) == 0,
          "a message goes to the peer of its datagrams");
    else
      fuzz::require(message.msg_hdr.msg_name == nullptr,
                    "a connected socket's message has no peer");
    return count;
  }

  void leave(std::size_t count)
  {
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    if (!waiting_.empty()) return;
    room_ = most;
    room_bytes_ = most_bytes;
    if (!copies_) payloads_.clear();
  }

  fuzz::input& from_;
  bool copies_;
  dgram::send_batch batch_;
  dgram::detail::socket_flags flags_;
  std::deque<std::string> payloads_;  // a batch may refer to them
  std::vector<std::byte> control_;
  std::deque<waiting> waiting_;
  std::size_t room_ = most;
  std::size_t room_bytes_ = most_bytes;
  std::size_t pushes_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  fuzz::input from(data, size);
  const bool copies = from.one_in(2);
  model batch(from, copies);
  while (!from.empty()) {
    switch (from.byte() % 8) {
    case 0: batch.drop(); break;
    case 1: batch.refuse(); break;
    case 2: batch.send(); break;
    case 3:
      if (from.one_in(8)) batch.clear();
      break;
    default: batch.push();
    }
    batch.check_size();
  }
  return 0;
}
