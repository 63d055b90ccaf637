// SPDX-License-Identifier: BSL-1.0
// Describes the runs of a send batch for the kernel, in as few messages as the path allows.
#ifndef DGRAM_DETAIL_SOCKET_DESCRIBED_MESSAGES_HPP
#define DGRAM_DETAIL_SOCKET_DESCRIBED_MESSAGES_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/socket/flags.hpp>
#include <dgram/detail/socket/message_runs.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/endpoint.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// What the runs of a batch refer to.
struct run_sources {
  platform::buffer* buffers;
  const send_request* requests;
};

/// The message headers of a batch and what they point to. They are made once, and described anew
/// before each call of the kernel.
template <class Protocol>
class described_messages {
public:
  using endpoint_type = typename Protocol::endpoint;
  using run = datagram_run<endpoint_type>;

  explicit described_messages(std::size_t capacity)
      : messages_(capacity), merged_(capacity), controls_(capacity)
  {
    run_lengths_.reserve(capacity);
  }

  /// Allocates what messages need for runs that ask for something.
  void provide_option_controls()
  {
    if (!option_controls_)
      option_controls_ = std::make_unique_for_overwrite<option_control[]>(messages_.size());
  }

  /// Begins a description of at most `limit` messages.
  void start(std::size_t limit) noexcept
  {
    run_lengths_.clear();
    next_ = 0;
    asking_ = 0;
    most_ = std::min(messages_.size(), limit);
  }

  bool is_full() const noexcept { return run_lengths_.size() >= most_; }

  std::span<platform::message> described() noexcept
  {
    return {messages_.data(), run_lengths_.size()};
  }

  /// Describes a single datagram.
  void add_one(const run& which, const run_sources& from, const socket_flags& flags)
  {
    describe(which, from.buffers + which.first_buffer, which.in_one_piece ? 1 : which.buffers, 1,
             from, flags);
  }

  /// Describes several datagrams, as far as there is room.
  void add(const run& which, bool together, const run_sources& from, const socket_flags& flags)
  {
    const std::size_t each = together ? limit_.now() : 1;
    // Payloads side by side: one buffer is cheaper for the kernel than many.
    if (which.in_one_piece) {
      const auto* bytes =
          static_cast<const std::byte*>(platform::buffer_data(from.buffers[which.first_buffer]));
      describe_pieces(which, bytes, each, from, flags);
    } else {
      for (std::size_t i = 0; i < which.datagrams && !is_full();) {
        const std::size_t count = std::min(each, which.datagrams - i);
        describe(which, from.buffers + which.first_buffer + i * which.buffers,
                 count * which.buffers, count, from, flags);
        i += count;
      }
    }
  }

  /// Removes the first `count` messages, which were sent. Returns how many datagrams they were.
  std::size_t consume(std::size_t count) noexcept
  {
    std::size_t datagrams = 0;
    for (; count > 0; --count) {
      const std::size_t length = run_lengths_[next_++];
      datagrams += length;
      segmented_ += length > 1 ? length : 0;
    }
    limit_.sent();
    return datagrams;
  }

  /// How many datagrams left in one message with others since the last call.
  std::size_t take_segmented() noexcept { return std::exchange(segmented_, 0); }

  bool front_is_segmented() const noexcept { return run_lengths_[next_] > 1; }

  /// Whether the first message can be sent as shorter ones, in the next description.
  bool try_shorter() noexcept { return limit_.try_shorter(run_lengths_[next_]); }

  /// The length of the first message was not the cause.
  void length_was_right() noexcept { limit_.given_up(); }

private:
  struct option_control {
    alignas(std::max_align_t) std::array<std::byte, platform::send_control_size> bytes;
  };

  /// Describes datagrams that lie side by side, in messages of at most `most` datagrams each.
  void describe_pieces(const run& which, const std::byte* bytes, std::size_t most,
                       const run_sources& from, const socket_flags& flags)
  {
    const std::size_t limit = max_payload_size(which.peer) / which.each;
    const std::size_t step = std::max<std::size_t>(std::min(most, limit), 1) * which.each;
    std::size_t offset = 0;
    do {
      const std::size_t size = std::min(step, which.bytes - offset);
      platform::buffer& piece = merged_[run_lengths_.size()];
      piece = platform::make_buffer(bytes + offset, size);
      describe(which, &piece, 1, count_datagrams(size, which.each), from, flags);
      offset += size;
    } while (offset < which.bytes && !is_full());
  }

  /// Adds the next message: `count` datagrams of a run.
  void describe(const run& of, platform::buffer* buffers, std::size_t buffer_count,
                std::size_t count, const run_sources& from, const socket_flags& flags)
  {
    const std::size_t at = run_lengths_.size();
    run_lengths_.push_back(count);
    platform::message& message = messages_[at];
    message.set_buffers(buffers, buffer_count);
    if (of.addressed) {
      const endpoint_type& address = address_for(of.peer, at, flags);
      message.set_address(address.data(), address.size());
    } else {
      message.set_address(nullptr, 0);
    }
    if (of.request > 0) [[unlikely]]
      describe_request(of, at, count, from, flags);
    else if (count > 1)
      message.set_segment_size(controls_[at], of.each);
    else
      message.clear_control();
  }

  /// The peer as the socket's family has it: a dual-stack socket needs the mapped form of an IPv4
  /// peer. The run keeps the original, so that another socket can send the batch.
  const endpoint_type& address_for(const endpoint_type& peer, std::size_t at,
                                   const socket_flags& flags)
  {
    if constexpr (dual_stack_protocol<Protocol>) {
      if (flags.dual) {
        if (native_.empty()) native_.resize(messages_.size());
        return native_[at] = mapped(peer);
      }
    }
    return peer;  // NOLINT(bugprone-return-const-ref-from-parameter): the batch's own
  }

  void describe_request(const run& of, std::size_t at, std::size_t count, const run_sources& from,
                        const socket_flags& flags)
  {
    const bool v4 = of.addressed ? is_ipv4(of.peer) : bool(flags.peer_is_ipv4);
    const send_request& request = from.requests[of.request - 1];
    messages_[at].set_control(
        request.write(option_controls_[at].bytes, v4, flags, count > 1 ? of.each : 0, asking_));
    if (request.asks_for_time()) ++asking_;
  }

  std::vector<platform::message> messages_;
  std::vector<platform::buffer> merged_;
  std::vector<platform::control_buffer> controls_;
  std::unique_ptr<option_control[]> option_controls_;
  std::vector<std::size_t> run_lengths_;  // datagrams of each message described
  std::vector<endpoint_type> native_;     // mapped addresses, for a dual-stack socket
  std::size_t most_ = 0;
  std::size_t next_ = 0;  // of the described messages
  std::size_t segmented_ = 0;
  std::uint32_t asking_ = 0;  // datagrams described that ask for their time
  segment_limit limit_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
