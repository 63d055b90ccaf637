// SPDX-License-Identifier: BSL-1.0
// Fuzzes batches and writers over loopback: whatever sizes, peers, options and trains are given to them, each peer
// receives exactly what was meant for it, in order.

#include "fuzz/input.hpp"

#include <dgram.hpp>

#include <asio/io_context.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr std::size_t most_bytes = 48 * 1024;  // that a receive queue holds for certain

using endpoint = asio::ip::udp::endpoint;

class peer {
public:
  explicit peer(asio::io_context& io) : socket_(io, endpoint(asio::ip::address_v4::loopback(), 0))
  {
    dgram::error_code not_here;
    socket_.set_option(dgram::option::receive_ecn(true), not_here);
    knows_ecn_ = !not_here;
  }

  endpoint at() { return socket_.local_endpoint(); }

  void coalesce(bool on)
  {
    dgram::error_code not_here;
    socket_.set_option(dgram::option::coalescing(on), not_here);
  }

  void expect(std::string text, dgram::ecn_codepoint ecn)
  {
    expected_.push_back({std::move(text), ecn});
  }

  void check()
  {
    dgram::error_code ec;
    while (socket_.try_receive_batch(batch_, ec) > 0)
      for (const dgram::datagram& datagram : batch_) {
        fuzz::require(!expected_.empty(), "no datagram comes that was not sent");
        fuzz::require(!datagram.truncated(), "no datagram is truncated");
        fuzz::require(datagram.payload().text() == expected_.front().text,
                      "payloads come in order");
        if (knows_ecn_)
          fuzz::require(datagram.ecn() == expected_.front().ecn, "each datagram has its own ECN");
        expected_.pop_front();
      }
    fuzz::require(expected_.empty(), "each datagram that was sent comes");
  }

private:
  struct expectation {
    std::string text;
    dgram::ecn_codepoint ecn;
  };

  dgram::udp::socket socket_;
  dgram::receive_batch batch_{8};
  std::deque<expectation> expected_;
  bool knows_ecn_ = false;
};

struct world {
  asio::io_context io;
  std::array<peer, 2> peers{peer(io), peer(io)};
  dgram::udp::socket sender{io, endpoint(asio::ip::address_v4::loopback(), 0)};
  dgram::udp::writer out{sender, {.datagrams = 32, .bytes = most_bytes}};
};

/// One size is much more likely than others, so that trains come about.
std::size_t take_size(fuzz::input& from)
{
  static constexpr std::array<std::size_t, 8> sizes{100, 100, 100, 100, 0, 1, 1472, 99};
  const std::uint8_t which = from.byte();
  return which < 250 ? sizes[which % sizes.size()] : from.below(9000);
}

std::string make_text(std::size_t size, std::size_t number)
{
  std::string text(size, static_cast<char>('a' + number % 26));
  for (std::size_t i = 0; i < std::min<std::size_t>(size, 3); ++i)
    text[i] = static_cast<char>('0' + (number >> (4 * i)) % 10);
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  static world all;
  fuzz::input from(data, size);
  const std::uint8_t setting = from.byte();
  all.peers[0].coalesce(setting % 2 == 0);
  all.peers[1].coalesce(setting % 3 == 0);
  const bool writes = setting % 5 < 2;
  dgram::send_batch batch({.datagrams = 32, .copy = setting % 7 < 4});
  std::deque<std::string> payloads;  // a batch may refer to them
  std::size_t bytes = 0;
  std::size_t pushed = 0;
  while (!from.empty() && pushed < 32 && bytes < most_bytes) {
    const std::uint8_t what = from.byte();
    peer& to = all.peers[what % 8 == 0 ? 1 : 0];
    dgram::send_options options;
    if (what % 5 == 0) options.ecn = dgram::ecn_codepoint(what / 5 % 4);
    if (what % 11 == 0) options.number = what;
    const auto ecn = options.ecn.value_or(dgram::ecn_codepoint::not_ect);
    const std::size_t length = std::min(take_size(from), most_bytes - bytes);
    payloads.push_back(make_text(length, payloads.size()));
    const std::string& text = payloads.back();
    if (what % 13 == 0 && !writes) {
      const std::size_t segment = from.below(1500);
      if (segment > 0 && (length + segment - 1) / segment > 32 - pushed) continue;
      try {
        batch.push_segments(text, segment, to.at());
        fuzz::require(segment > 0, "segments of no size are refused");
      } catch (const std::exception&) {
        fuzz::require(segment == 0, "segments of a size are taken");
        continue;
      }
      std::size_t start = 0;
      do {
        to.expect(text.substr(start, segment), dgram::ecn_codepoint::not_ect);
        ++pushed;
        start += segment;
      } while (start < length);
    } else if (writes) {
      dgram::error_code ec;
      if (!all.out.try_send(text, to.at(), options, ec)) continue;
      to.expect(text, ecn);
      ++pushed;
    } else {
      batch.push(text, to.at(), options);
      to.expect(text, ecn);
      ++pushed;
    }
    bytes += length;
  }
  if (writes) {
    all.io.restart();
    all.io.poll();
    fuzz::require(all.out.size() == 0, "a writer hands over what it has");
  } else {
    while (!batch.empty()) {
      const dgram::send_result result = all.sender.try_send_batch(batch);
      fuzz::require(!result.error || result.error == dgram::error_code(asio::error::would_block),
                    "loopback takes all");
    }
  }
  for (peer& each : all.peers)
    each.check();
  return 0;
}
