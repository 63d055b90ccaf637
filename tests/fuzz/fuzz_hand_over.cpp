// SPDX-License-Identifier: BSL-1.0
// Fuzzes the messages of a hand-over between processes: whatever the other process sends, in
// whatever order, the socket has one owner, and only a process that follows the steps gets it.

#include "fuzz/input.hpp"

#include <dgram/hand_over.hpp>

#include <asio/io_context.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace {

using dgram::error_code;
using dgram::owned_descriptor;
using message = dgram::detail::hand_over_message;
using step = dgram::detail::hand_over_step;
using taken_type = dgram::taken_over<dgram::udp>;
using udp_socket = dgram::udp::socket;
namespace platform = dgram::platform;

const std::string& path()
{
  static const std::string name = "@dgram-fuzz-hand-over-" + std::to_string(::getpid());
  return name;
}

/// What a check of any bytes as a message may say.
void check_bytes(const std::uint8_t* data, std::size_t size)
{
  message got;
  std::memcpy(&got, data, std::min(size, sizeof got));
  const error_code ec = got.check(size);
  fuzz::require(
      !ec || ec == dgram::error::hand_over_message || ec == dgram::error::hand_over_version,
      "bytes that are no message are refused with a documented error");
  fuzz::require(!ec == (size == sizeof got && std::memcmp(data, "dgho\1", 5) == 0),
                "a message has its mark, its version and its size");
  const error_code why = dgram::detail::error_of(got.reason);
  fuzz::require(why && dgram::detail::error_of(dgram::detail::reason_of(why)) == why,
                "a reason for a refusal is an error, and goes there and back");
}

/// The other process's end of a connection.
class other_process {
public:
  explicit other_process(owned_descriptor link) : link_(std::move(link)) {}

  static owned_descriptor connect()
  {
    error_code ec;
    owned_descriptor link = platform::open_link(ec);
    const auto to = dgram::parse_unix_endpoint(path());
    if (!ec) platform::connect_link(link.get(), to.data(), to.size(), ec);
    fuzz::require(!ec, "a process that offers a socket can be connected to");
    return link;
  }

  /// Sends what the input says: most often a good message, with a little that is wrong. Returns
  /// whether it is the message `expected`, and the receiver's nonce is in it.
  bool send(fuzz::input& from, step expected)
  {
    message next{.step = expected};
    next.own.fill(std::byte{7});
    next.echo = theirs_;
    std::array<std::byte, sizeof next + 8> bytes{};
    std::memcpy(bytes.data(), &next, sizeof next);
    std::size_t size = sizeof next;
    const std::uint8_t faults = from.byte() % 16;
    for (std::uint8_t i = 12; i < faults; ++i)
      bytes[from.below(sizeof next)] = std::byte{from.byte()};
    if (faults == 11) size = 1 + from.below(bytes.size());
    if (faults == 10) bytes[5] = std::byte{from.byte()};  // the step
    int passed = platform::no_descriptor;
    if (from.one_in(16)) passed = STDERR_FILENO;
    if (expected == step::offer) passed = offered(from);
    error_code ec;
    platform::send_on_link(link_.get(), std::span(bytes).first(size), passed, ec);
    std::memcpy(&next, bytes.data(), sizeof next);
    const bool echoes = expected == step::request || next.echo == theirs_;
    const bool asks_for_this = expected != step::request || next.wants_path == 0;
    return !ec && !next.check(size) && next.step == expected && echoes && asks_for_this;
  }

  /// Reads what has come, and keeps the nonce and the descriptor. Returns its step, if there is a
  /// message.
  std::optional<step> receive()
  {
    message got;
    owned_descriptor passed;
    error_code ec;
    const std::size_t size = platform::receive_on_link(
        link_.get(), std::as_writable_bytes(std::span(&got, 1)), passed, ec);
    if (passed) socket_ = std::move(passed);
    if (ec || size == 0) return std::nullopt;
    fuzz::require(!got.check(size), "this library sends messages that it would take");
    theirs_ = got.own;
    return got.step;
  }

  bool has_socket() const { return static_cast<bool>(socket_); }
  bool was_offered_udp() const { return is_udp_; }

private:
  /// A UDP socket most often.
  int offered(fuzz::input& from)
  {
    const std::uint8_t which = from.byte();
    is_udp_ = which % 8 > 2;
    if (which % 8 == 0) return platform::no_descriptor;
    if (which % 8 == 1) return link_.get();  // a Unix socket
    if (which % 8 == 2) return STDERR_FILENO;
    if (!udp_) udp_ = owned_descriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return udp_.get();
  }

  owned_descriptor link_;
  owned_descriptor socket_;
  owned_descriptor udp_;
  dgram::detail::hand_over_nonce theirs_{};
  bool is_udp_ = false;
};

/// The lowest number that a new descriptor would have.
int next_descriptor()
{
  const owned_descriptor probe(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  return probe.get();
}

void poll(asio::io_context& io)
{
  io.restart();
  while (io.poll() > 0) {}
}

/// The library gives a socket, to processes that the input plays.
void give(fuzz::input& from)
{
  asio::io_context io;
  udp_socket socket{io, {asio::ip::address_v4::loopback(), 0}};
  const auto local = socket.local_endpoint();
  std::uint64_t refusals = 0;
  std::optional<error_code> given;
  dgram::hand_over_report report;
  dgram::hand_over_config config;
  config.on_refused = [&](const dgram::hand_over_refusal& refusal) {
    fuzz::require(bool(refusal.why), "a refusal has a reason");
    ++refusals;
  };
  dgram::async_hand_over(socket, path(), config, [&](error_code ec, dgram::hand_over_report got) {
    given = ec;
    report = got;
  });
  for (int processes = 0; processes < 4 && !given && !from.empty(); ++processes) {
    other_process asking{other_process::connect()};
    poll(io);
    const std::uint64_t before = refusals;
    bool follows = true;
    step expected = step::request;
    for (int messages = 0; messages < 4 && !given && refusals == before; ++messages) {
      if (from.one_in(8)) break;  // it ends
      const bool is_right = asking.send(from, expected);
      poll(io);
      const auto answer = asking.receive();
      follows = follows && is_right;
      if (!follows) {
        fuzz::require(refusals > before && answer == step::refusal,
                      "a process that breaks the rules learns that it is refused");
        break;
      }
      if (expected == step::request) {
        fuzz::require(answer == step::offer && asking.has_socket(),
                      "a process that asks is offered the socket");
        expected = step::ready;
      } else {
        fuzz::require(answer == step::confirmation && given && !*given,
                      "a process that is ready gets the socket");
      }
    }
    if (!given) {
      asking = other_process(owned_descriptor());
      poll(io);
      fuzz::require(refusals == before + 1, "a process that ends is counted once");
    }
  }
  fuzz::require(socket.is_open() && socket.local_endpoint() == local,
                "the giver's socket is open until the giver closes it");
  if (!given) {
    socket.close();
    poll(io);
  }
  fuzz::require(given.has_value(), "a hand-over completes");
  fuzz::require(report.refused + report.failed == refusals, "a report counts each refusal");
}

/// The library takes a socket, from a process that the input plays.
void take(fuzz::input& from)
{
  asio::io_context io;
  error_code ec;
  owned_descriptor listening = platform::open_link(ec);
  dgram::detail::unbound_link(listening).bind(dgram::parse_unix_endpoint(path()), ec);
  platform::listen_on_link(listening.get(), ec);
  fuzz::require(!ec, "an abstract name can be listened at");
  std::optional<error_code> taken;
  bool has_socket = false;
  dgram::async_take_over(io, path(), [&](error_code why, const taken_type& result) {
    taken = why;
    has_socket = result.socket.is_open();
  });
  poll(io);
  {
    other_process offering{platform::accept_link(listening.get(), ec)};
    fuzz::require(!ec && offering.receive() == step::request, "a process asks first");
    bool follows = true;
    bool has_offered = false;
    for (int messages = 0; messages < 4 && !taken; ++messages) {
      if (from.one_in(8)) break;
      const step expected = has_offered ? step::confirmation : step::offer;
      follows = offering.send(from, expected) && follows;
      if (!has_offered) follows = follows && offering.was_offered_udp();
      poll(io);
      const auto answer = offering.receive();
      if (!follows) {
        fuzz::require(taken && *taken && !has_socket, "what is no offer gives no socket");
        break;
      }
      if (has_offered) {
        fuzz::require(taken && !*taken && has_socket, "a confirmed offer gives the socket");
      } else {
        fuzz::require(answer == step::ready && !taken, "an offer is answered");
        has_offered = true;
      }
    }
    offering = other_process(owned_descriptor());
    poll(io);
    fuzz::require(taken.has_value(), "a process that ends ends the hand-over");
    fuzz::require(has_socket == !*taken, "a process has the socket, or an error");
    if (follows) fuzz::require(has_socket == has_offered, "an offer that is not taken back holds");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  check_bytes(data, size);
  if (!platform::has_local_links) return 0;
  const int descriptors = next_descriptor();
  fuzz::input from(data, size);
  if (from.one_in(2))
    give(from);
  else
    take(from);
  fuzz::require(next_descriptor() == descriptors, "no descriptor is left open");
  return 0;
}
