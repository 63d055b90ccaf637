// SPDX-License-Identifier: BSL-1.0
// Fuzzes the splitting of coalesced buffers: whatever trains come, a batch gives their datagrams
// one by one, and the answers to them keep peer, order and bytes.

#include "fuzz/input.hpp"

#include <dgram/receive_batch.hpp>
#include <dgram/send_batch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace {

using endpoint = asio::ip::udp::endpoint;

constexpr std::size_t slots = 8;

struct piece {
  std::string text;
  endpoint sender;
  bool truncated;
};

endpoint take_endpoint(fuzz::input& from)
{
  const std::uint8_t form = from.byte();
  const auto port = static_cast<std::uint16_t>(1 + form / 4);
  switch (form % 4) {
  case 0: return {asio::ip::address_v4({10, 0, 0, from.byte()}), port};
  case 1: return {asio::ip::make_address("2001:db8::1"), port};
  case 2: return {asio::ip::make_address("::ffff:10.0.0.1"), port};
  default: return {asio::ip::make_address_v6("fe80::1"), port};
  }
}

dgram::arrival_info take_info(fuzz::input& from)
{
  static constexpr std::array<std::size_t, 6> segments{0, 1, 7, 100, 1472, 65535};
  dgram::arrival_info info;
  const std::uint8_t form = from.byte();
  info.segment_size = form % 4 == 0 ? from.number<std::size_t>() : from.one_of(segments);
  if (form % 3 == 0) info.local_address = take_endpoint(from).address();
  if (form % 5 == 0) info.interface_index = from.byte();
  if (form % 7 == 0) info.wire_size = from.number<std::size_t>();
  info.wildcard = form % 2 == 0 && info.local_address.has_value();
  return info;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  fuzz::input from(data, size);
  const std::size_t slot_size = 1 + from.below(600);
  dgram::receive_batch received(slots, slot_size);
  dgram::send_batch answers(received);
  // A batch that is used again remembers nothing.
  for (int round = 0; round < 3 && !from.empty(); ++round) {
    received.clear();
    std::vector<piece> expected;
    std::size_t bytes = 0;
    std::size_t used = 0;
    std::size_t in_trains = 0;
    std::size_t truncated = 0;
    while (!from.empty() && !from.one_in(16)) {
      std::string payload(from.below(800), '\0');
      for (std::size_t i = 0; i < payload.size(); ++i)
        payload[i] = static_cast<char>(i * 7 + used);
      const endpoint sender = take_endpoint(from);
      const dgram::arrival_info info = take_info(from);
      const bool stored = received.store(payload, sender, info);
      fuzz::require(stored == (used < slots), "a batch takes one buffer for each slot");
      if (!stored) break;
      ++used;
      const bool is_cut = payload.size() > slot_size || info.wire_size.value_or(0) > payload.size();
      payload.resize(std::min(payload.size(), slot_size));
      bytes += payload.size();
      truncated += is_cut ? 1 : 0;
      const std::size_t each =
          info.segment_size > 0 ? info.segment_size : std::numeric_limits<std::size_t>::max();
      in_trains += payload.size() > each ? (payload.size() - 1) / each + 1 : 0;
      std::size_t start = 0;
      do {
        const std::size_t length = std::min(each, payload.size() - start);
        const bool is_last = start + length == payload.size();
        expected.push_back({payload.substr(start, length), sender, is_cut && is_last});
        start += length;
      } while (start < payload.size());
    }

    fuzz::require(received.used_slots() == used, "each stored buffer uses one slot");
    fuzz::require(received.size() == expected.size(), "a batch has as many datagrams as trains do");
    fuzz::require(received.size() <= received.most_datagrams(), "a batch knows its largest size");
    fuzz::require(received.bytes() == bytes && received.truncated() == truncated &&
                      received.coalesced() == in_trains,
                  "a batch counts bytes, cut buffers, and datagrams of trains");
    std::size_t index = 0;
    for (const dgram::datagram& datagram : received) {
      const piece& like = expected[index];
      fuzz::require(datagram.payload().text() == like.text, "a train is split where it was joined");
      fuzz::require(datagram.sender() == like.sender, "each datagram has the sender of its train");
      fuzz::require(datagram.truncated() == like.truncated, "the last datagram of a train is cut");
      if (index < 20)  // an index counts from the start
        fuzz::require(received[index].payload().text() == like.text, "an index is a place");
      const dgram::owned_datagram copy = datagram.to_owned();
      fuzz::require(copy.payload().text() == like.text && copy.truncated() == like.truncated,
                    "a copy is like its datagram");
      ++index;
    }
    fuzz::require(index == expected.size(), "a loop ends behind the last datagram");

    dgram::error_code mixed;
    try {
      answers.push_replies(received);
    } catch (const dgram::system_error& error) {
      mixed = error.code();
    }
    fuzz::require(!mixed || mixed == asio::error::address_family_not_supported,
                  "only an answer from another family's address is refused");
    fuzz::require(mixed ? answers.size() < expected.size() : answers.size() == expected.size(),
                  "each datagram has one answer");
    for (const piece& like : expected) {
      if (answers.empty()) break;
      const auto next = answers.front();
      std::string text(next.size(), '\0');
      next.copy_to(std::as_writable_bytes(std::span(text)));
      fuzz::require(text == like.text && *next.peer() == like.sender,
                    "an answer has the datagram's bytes and goes to its sender");
      answers.drop_front();
    }
    fuzz::require(answers.empty() && answers.bytes() == 0, "no answer is left over");
  }
  return 0;
}
