// SPDX-License-Identifier: BSL-1.0
// Datagrams to be handed to the kernel together.
#ifndef DGRAM_SEND_BATCH_HPP
#define DGRAM_SEND_BATCH_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/message_run.hpp>
#include <dgram/detail/reset_on_move.hpp>
#include <dgram/detail/send_request.hpp>
#include <dgram/detail/socket_state.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/platform/backend.hpp>
#include <dgram/receive_batch.hpp>
#include <dgram/send_options.hpp>
#include <dgram/udp.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// How much a send batch holds, and whether it keeps the payloads.
struct send_batch_config {
  std::size_t datagrams = 64;  ///< room for so many
  std::size_t bytes =
      0;  ///< room for so many bytes of payload; 0: no limit, or 256 KiB where they are copied
  bool copy =
      false;  ///< copy the payloads into memory of the batch's own, instead of referring to them
};

/// A batch of datagrams to send, sent by `send_batch`, `try_send_batch` and `async_send_batch` of a socket. It
/// refers to the payloads, which must stay until they are sent or cleared, unless it was made to copy them; it copies
/// the endpoints.
///
/// What the kernel took leaves the batch; what it did not take stays, in order, and the next send goes on there.
///
/// Equal-sized datagrams to one peer that follow one another leave as one message, which the kernel cuts apart (GSO);
/// the last may be shorter. Where a path refuses that, they are sent one by one, and so are later ones to that peer.
///
/// Thread safety: distinct objects are safe; one object is not, and belongs to the operation while one is pending.
///
/// \code
/// dgram::send_batch batch{64};
/// for (const auto& client : clients) batch.push(update, client);
/// dgram::send_result result = co_await socket.async_send_batch(batch);
/// \endcode
template <class Protocol>
class basic_send_batch {
public:
  using endpoint_type = typename Protocol::endpoint;

  /// Called with a datagram's error, its peer (default-constructed where it had none) and its payload size.
  using refused_handler = std::function<void(error_code, const endpoint_type&, std::size_t)>;

  /// Room for `capacity` datagrams. Throws `std::invalid_argument` where it is 0.
  explicit basic_send_batch(std::size_t capacity) : basic_send_batch({.datagrams = capacity}) {}

  /// Throws `std::invalid_argument` where there is no room for one datagram.
  explicit basic_send_batch(const send_batch_config& config)
      : max_bytes_(byte_limit(config)),
        entries_(checked(config.datagrams)),
        messages_(config.datagrams),
        merged_(config.datagrams),
        controls_(config.datagrams)
  {
    buffers_.reserve(config.datagrams);
    run_lengths_.reserve(config.datagrams);
    if (config.copy) arena_ = std::make_unique_for_overwrite<std::byte[]>(max_bytes_);
  }

  basic_send_batch(basic_send_batch&&) noexcept = default;
  basic_send_batch& operator=(basic_send_batch&&) noexcept = default;

  /// How many datagrams there is room for.
  std::size_t capacity() const noexcept { return entries_.size(); }

  /// How many bytes of payload there is room for.
  std::size_t max_bytes() const noexcept { return max_bytes_; }

  /// How many datagrams wait to be sent, and how many bytes of payload they have.
  std::size_t size() const noexcept { return at_.waiting; }
  std::size_t bytes() const noexcept { return at_.waiting_bytes; }
  bool empty() const noexcept { return at_.waiting == 0; }

  /// Whether there is no room for a further datagram, however small.
  bool full() const noexcept { return !has_room(0); }

  /// Whether `datagrams` datagrams of this many bytes in all can be pushed now. Room is given back when the batch is
  /// empty.
  bool has_room(std::size_t payload_size, std::size_t datagrams = 1) const noexcept
  {
    return datagrams <= capacity() - at_.used && payload_size <= max_bytes_ - at_.used_bytes;
  }

  /// Adds a datagram for `peer`.
  /// Throws `std::length_error` where the batch has no room; nothing is changed then.
  void push(bytes_view payload, const endpoint_type& peer)
  {
    append(net::const_buffer(payload), &peer);
  }

  /// Adds a datagram for the peer that the socket is connected to.
  void push(bytes_view payload) { append(net::const_buffer(payload), nullptr); }

  /// Adds a datagram, or with a segment size several, that asks for something of its own. Throws `system_error` for what
  /// cannot be had (see `send_options`), and as `push`; nothing is changed then.
  void push(bytes_view payload, const endpoint_type& peer, const send_options& options)
  {
    append_request(payload, &peer, detail::send_request(options));
  }

  // A list in braces is an endpoint, as above.
  void push(bytes_view payload, const std::same_as<send_options> auto& options)
  {
    append_request(payload, nullptr, detail::send_request(options));
  }

  /// Adds an answer: it leaves from the address that was asked.
  void push(bytes_view payload, const basic_reply_path<Protocol>& path)
  {
    push_segments(payload, 0, path);
  }

  void push(bytes_view payload, const basic_reply_path<Protocol>& path, const send_options& options)
  {
    append_request(payload, &path.peer, detail::send_request(path, options));
  }

  /// Adds one datagram whose payload is gathered from several buffers, at most 64.
  template <class ConstBuffers>
    requires(net::is_const_buffer_sequence<ConstBuffers>::value &&
             !std::convertible_to<const ConstBuffers&, bytes_view>)
  void push(const ConstBuffers& payload, const endpoint_type& peer)
  {
    append(payload, &peer);
  }

  template <class ConstBuffers>
    requires(net::is_const_buffer_sequence<ConstBuffers>::value &&
             !std::convertible_to<const ConstBuffers&, bytes_view>)
  void push(const ConstBuffers& payload)
  {
    append(payload, nullptr);
  }

  /// Adds one buffer as several datagrams of `segment_size` bytes each, the last perhaps shorter.
  /// Throws `std::invalid_argument` where `segment_size` is 0, and `std::length_error` as `push`.
  void push_segments(bytes_view payload, std::size_t segment_size, const endpoint_type& peer)
  {
    if (segment_size == 0) throw std::invalid_argument("send_batch: segment size must not be 0");
    append(net::const_buffer(payload), &peer, segment_size);
  }

  /// Adds everything that was received, as it is now, to be sent back to where it came from, each by its `reply_path()`,
  /// whose error it throws. Nothing is copied, and what
  /// the kernel had put together stays together: `received` must not be used again until it was sent.
  ///
  /// \code
  /// dgram::receive_batch in{16};
  /// dgram::send_batch out{16 * 64};
  /// co_await socket.async_receive_batch(in);
  /// for (dgram::datagram datagram : in) datagram.mutable_payload()[0] = std::byte{'!'};
  /// out.push_replies(in);
  /// co_await socket.async_send_batch(out);
  /// \endcode
  void push_replies(const basic_receive_batch<Protocol>& received)
  {
    std::size_t index = 0;
    for (const auto& slot : received.slots()) {
      const bytes_view payload(platform::buffer_data(slot.buffer), slot.size());
      push_segments(payload, slot.is_train() ? slot.segment : 0,
                    received.first_of_slot(index++).reply_path());
    }
  }

  /// Drops what was not sent.
  void clear() noexcept
  {
    static_cast<counts&>(at_) = counts();
    buffers_.clear();
    requests_.clear();
  }

  /// Drops the first datagram that was not sent: the one that `send_result::error` speaks of.
  void drop_front() noexcept
  {
    if (!empty()) remove_datagrams(1);
  }

  /// With a handler, a datagram that is refused for its own sake (too big, blocked, unreachable) is reported to it
  /// and dropped, and the sending goes on. Without one, which is the default, the sending ends there. The handler is called
  /// inside the call that sends, must not throw, and must not use the batch.
  void on_refused(refused_handler handler) { refused_ = std::move(handler); }

  // What a socket needs; users have no call for these.

  /// The datagrams that wait as messages, runs put together where `may_segment(peer)`, up to the first one that asks for
  /// what cannot be had; or the error that keeps all from being sent, an address on a connected socket or none on
  /// another, or the first datagram.
  template <class Predicate>
  std::span<platform::message> prepare(const detail::socket_flags& flags, Predicate may_segment,
                                       error_code& ec, const detail::unmet_needs& unmet = {})
  {
    ec.clear();
    run_lengths_.clear();
    at_.next_run = 0;
    if (empty()) return {};
    if (flags.connected && at_.addressed > 0)
      ec = net::error::already_connected;
    else if (!flags.connected && at_.addressed < at_.last - at_.first)
      ec = platform::destination_required();
    const std::size_t last =
        ec || requests_.empty() ? at_.last : first_unsuitable(flags, unmet, ec);
    if (ec) return {};
    if constexpr (detail::dual_stack_protocol<Protocol>)
      if (flags.dual) map_peers();
    for (std::size_t i = at_.first; i < last;) {
      const bool whole = i >= at_.plain_until && may_segment(entries_[i].peer);
      if (entries_[i].segment > 0) {
        describe_segments(i, whole && !leaves_alone(i) ? platform::backend::max_segments : 1,
                          flags);
        ++i;
      } else {
        const std::size_t count = whole ? run_length(i) : 1;
        describe_run(i, count, flags);
        i += count;
      }
    }
    return {messages_.data(), run_lengths_.size()};
  }

  /// The first `count` messages were sent. Returns how many datagrams they were.
  std::size_t consume(std::size_t count) noexcept
  {
    std::size_t datagrams = 0;
    for (; count > 0; --count) {
      const std::size_t run = run_lengths_[at_.next_run++];
      datagrams += run;
      segmented_ += run > 1 ? run : 0;
    }
    remove_datagrams(datagrams);
    return datagrams;
  }

  /// How many were sent in one message with others since this was last asked.
  std::size_t take_segmented() noexcept { return std::exchange(segmented_, 0); }

  /// What the socket must be told, or asked, before all can be sent.
  detail::socket_needs needs() const noexcept
  {
    detail::socket_needs all;
    for (const auto& request : requests_)
      all |= request.needs();
    return all;
  }

  bool front_is_plain() const noexcept { return entries_[at_.first].request == 0; }

  bool front_sets_traffic_class() const noexcept
  {
    const entry& front = entries_[at_.first];
    return front.request > 0 && requests_[front.request - 1].sets_traffic_class();
  }

  bool front_is_segmented() const noexcept { return run_lengths_[at_.next_run] > 1; }
  const endpoint_type& front_peer() const noexcept { return entries_[at_.first].peer; }
  std::size_t front_size() const noexcept { return entries_[at_.first].datagram_size(); }

  /// From the next `prepare` on, the datagrams of the first message go one by one.
  void split_front() noexcept
  {
    at_.plain_until =
        at_.first + (entries_[at_.first].segment > 0 ? 1 : run_lengths_[at_.next_run]);
  }

  /// Whether the first datagram's error was dealt with, so that the sending can go on.
  bool refuse_front(const error_code& ec)
  {
    if (!refused_) return false;
    const endpoint_type peer = front_peer();
    const std::size_t size = front_size();
    remove_datagrams(1);
    const refused_handler handler = refused_;  // it may replace itself
    handler(ec, peer, size);
    return true;
  }

private:
  /// What one push added.
  struct entry {
    std::size_t first_buffer = 0;
    std::uint32_t buffers = 0;
    std::uint32_t request = 0;  // what it asks for, counted from 1; 0: nothing
    std::size_t size = 0;       // bytes, less what was sent of several segments
    std::size_t segment =
        0;  // of several datagrams in one buffer each has so many, the last perhaps fewer
    bool addressed = false;
    endpoint_type peer;

    std::size_t datagrams() const noexcept { return count_datagrams(size, segment); }
    std::size_t datagram_size() const noexcept
    {
      return segment > 0 ? std::min(segment, size) : size;
    }
  };

  struct option_control {
    alignas(std::max_align_t) std::array<std::byte, platform::send_control_size> bytes;
  };

  struct counts {
    std::size_t first = 0;  // the entries [first, last) wait
    std::size_t last = 0;
    std::size_t addressed = 0;    // of them
    std::size_t plain_until = 0;  // entries before this one are not put together
    std::size_t waiting = 0;      // datagrams
    std::size_t waiting_bytes = 0;
    std::size_t used = 0;  // datagrams, with those that were sent since the batch was last empty
    std::size_t used_bytes = 0;
    std::size_t next_run = 0;  // of those that `prepare` has described
  };

  static std::size_t count_datagrams(std::size_t size, std::size_t segment) noexcept
  {
    return segment > 0 && size > 0 ? (size - 1) / segment + 1 : 1;
  }

  static constexpr std::size_t default_arena_size = 262144;

  static std::size_t byte_limit(const send_batch_config& config) noexcept
  {
    if (config.bytes != 0) return config.bytes;
    return config.copy ? default_arena_size : std::numeric_limits<std::size_t>::max();
  }

  static std::size_t checked(std::size_t capacity)
  {
    if (capacity == 0) throw std::invalid_argument("send_batch: capacity must not be 0");
    return capacity;
  }

  void push_segments(bytes_view payload, std::size_t segment_size,
                     const basic_reply_path<Protocol>& path)
  {
    if (path.is_plain())
      append(net::const_buffer(payload), &path.peer, segment_size);
    else
      append_request(payload, &path.peer, detail::send_request(path), segment_size);
  }

  void append_request(bytes_view payload, const endpoint_type* peer,
                      const detail::send_request& request, std::size_t segment = 0)
  {
    // Without a peer the family is that of the socket's, which is known when it is sent.
    if (peer != nullptr)
      detail::throw_if(request.template check<Protocol>(detail::is_ipv4(*peer)), "push");
    if (request.segment_size() > 0) segment = request.segment_size();
    append(net::const_buffer(payload), peer, segment);
    if (request.is_plain()) return;
    entries_[at_.last - 1].request = add_request(request);
  }

  /// Neighbours that ask for the same share it, which is also what lets them leave as one message.
  std::uint32_t add_request(const detail::send_request& request)
  {
    if (!option_controls_)
      option_controls_ = std::make_unique_for_overwrite<option_control[]>(capacity());
    if (requests_.empty() || !(requests_.back() == request)) requests_.push_back(request);
    return static_cast<std::uint32_t>(requests_.size());
  }

  /// The first entry that asks for what cannot be had, or the end; `ec` where it is the one in front.
  std::size_t first_unsuitable(const detail::socket_flags& flags, const detail::unmet_needs& unmet,
                               error_code& ec) const noexcept
  {
    for (std::size_t i = at_.first; i < at_.last; ++i) {
      const auto obstacle = obstacle_to(entries_[i], flags, unmet);
      if (!obstacle) continue;
      if (i == at_.first) ec = obstacle;
      return i;
    }
    return at_.last;
  }

  error_code obstacle_to(const entry& which, const detail::socket_flags& flags,
                         const detail::unmet_needs& unmet) const noexcept
  {
    if (which.request == 0) return {};
    const detail::send_request& request = requests_[which.request - 1];
    if (request.needs().has_any_of(unmet.needs)) return unmet.why;
    // One with a peer was checked when it was pushed.
    if (which.addressed) return {};
    return request.template check<Protocol>(flags.peer_is_ipv4);
  }

  bool leaves_alone(std::size_t index) const noexcept
  {
    const std::uint32_t request = entries_[index].request;
    return request > 0 && requests_[request - 1].leaves_alone();
  }

  template <class ConstBuffers>
  void append(const ConstBuffers& payload, const endpoint_type* peer, std::size_t segment = 0)
  {
    const std::size_t size = net::buffer_size(payload);
    const std::size_t datagrams = count_datagrams(size, segment);
    if (!has_room(size, datagrams)) throw std::length_error("send_batch: no room");
    entry& added = entries_[at_.last];
    added.first_buffer = buffers_.size();
    if (arena_) {
      std::byte* const copy = arena_.get() + at_.used_bytes;
      net::buffer_copy(net::buffer(copy, size), payload);
      buffers_.push_back(platform::make_buffer(copy, size));
    } else {
      detail::append_buffers(payload, buffers_);
    }
    added.buffers = static_cast<std::uint32_t>(buffers_.size() - added.first_buffer);
    added.size = size;
    added.segment = segment;
    added.addressed = peer != nullptr;
    added.request = 0;
    added.peer = peer != nullptr ? *peer : endpoint_type();
    ++at_.last;
    at_.used += datagrams;
    at_.waiting += datagrams;
    at_.addressed += added.addressed ? 1 : 0;
    at_.waiting_bytes += size;
    at_.used_bytes += size;
  }

  void remove_datagrams(std::size_t count) noexcept
  {
    at_.waiting -= count;
    while (count > 0) {
      entry& front = entries_[at_.first];
      const std::size_t datagrams = front.datagrams();
      if (count < datagrams) {
        const std::size_t sent = count * front.segment;
        platform::buffer& rest = buffers_[front.first_buffer];
        rest =
            platform::make_buffer(static_cast<const std::byte*>(platform::buffer_data(rest)) + sent,
                                  platform::buffer_size(rest) - sent);
        front.size -= sent;
        at_.waiting_bytes -= sent;
        return;
      }
      count -= datagrams;
      at_.addressed -= front.addressed ? 1 : 0;
      at_.waiting_bytes -= front.size;
      ++at_.first;
    }
    if (empty()) clear();
  }

  /// How many datagrams from `index` on can leave as one message.
  std::size_t run_length(std::size_t index) const noexcept
  {
    const entry& head = entries_[index];
    std::size_t count = 1;
    std::size_t total = head.size;
    if (head.size == 0) return count;
    const std::size_t limit = detail::max_payload_size(head.peer);
    std::size_t buffers = head.buffers;
    for (std::size_t i = index + 1; i < at_.last && count < platform::backend::max_segments; ++i) {
      const entry& next = entries_[i];
      total += next.size;
      buffers += next.buffers;
      if (next.size == 0 || next.size > head.size || total > limit || next.segment > 0 ||
          (!arena_ && buffers > platform::max_buffers) || next.addressed != head.addressed ||
          next.request != head.request || !detail::same_bytes(next.peer, head.peer))
        break;
      ++count;
      if (next.size < head.size) break;  // only the last may be shorter
    }
    return count;
  }

  void describe_run(std::size_t index, std::size_t count, const detail::socket_flags& flags)
  {
    const entry& head = entries_[index];
    if (arena_) {
      // Copied payloads lie side by side: one buffer is cheaper for the kernel than many.
      std::size_t total = 0;
      for (std::size_t i = index; i < index + count; ++i)
        total += entries_[i].size;
      describe_buffer(index, platform::buffer_data(buffers_[head.first_buffer]), total, count,
                      flags);
    } else {
      const entry& tail = entries_[index + count - 1];
      describe(index, buffers_.data() + head.first_buffer,
               tail.first_buffer + tail.buffers - head.first_buffer, count, flags);
    }
  }

  /// One buffer of several datagrams, as messages of at most `most` datagrams each.
  void describe_segments(std::size_t index, std::size_t most, const detail::socket_flags& flags)
  {
    const entry& from = entries_[index];
    const auto* bytes =
        static_cast<const std::byte*>(platform::buffer_data(buffers_[from.first_buffer]));
    const std::size_t limit = detail::max_payload_size(from.peer) / from.segment;
    const std::size_t step = std::max<std::size_t>(std::min(most, limit), 1) * from.segment;
    std::size_t offset = 0;
    do {
      const std::size_t size = std::min(step, from.size - offset);
      describe_buffer(index, bytes + offset, size, count_datagrams(size, from.segment), flags);
      offset += size;
    } while (offset < from.size);
  }

  void describe_buffer(std::size_t index, const void* data, std::size_t size, std::size_t count,
                       const detail::socket_flags& flags)
  {
    platform::buffer& whole = merged_[run_lengths_.size()];
    whole = platform::make_buffer(data, size);
    describe(index, &whole, 1, count, flags);
  }

  /// The next message: `count` datagrams of the size and for the peer of the entry at `index`.
  void describe(std::size_t index, platform::buffer* buffers, std::size_t buffer_count,
                std::size_t count, const detail::socket_flags& flags)
  {
    const std::size_t at = run_lengths_.size();
    run_lengths_.push_back(count);
    platform::message& message = messages_[at];
    const entry& head = entries_[index];
    message.set_buffers(buffers, buffer_count);
    if (head.addressed) {
      const endpoint_type& address = flags.dual ? native_[index] : head.peer;
      message.set_address(address.data(), address.size());
    } else {
      message.set_address(nullptr, 0);
    }
    if (head.request > 0) [[unlikely]] {
      const bool v4 = head.addressed ? detail::is_ipv4(head.peer) : flags.peer_is_ipv4;
      message.set_control(requests_[head.request - 1].write(option_controls_[at].bytes, v4, flags,
                                                            count > 1 ? head.datagram_size() : 0));
    } else if (count > 1)
      message.set_segment_size(controls_[at], head.datagram_size());
    else
      message.clear_control();
  }

  /// A dual-stack socket takes IPv4 peers in their mapped form; kept apart, so that the batch can be sent on
  /// another socket as it was pushed.
  void map_peers()
  {
    if (native_.empty()) native_.resize(capacity());
    for (std::size_t i = at_.first; i < at_.last; ++i)
      native_[i] = mapped(entries_[i].peer);
  }

  std::size_t max_bytes_;
  detail::reset_on_move<counts> at_;
  std::vector<entry> entries_;
  std::vector<platform::message> messages_;
  std::vector<platform::buffer> buffers_;
  std::vector<platform::buffer> merged_;
  std::vector<platform::control_buffer> controls_;
  std::vector<detail::send_request> requests_;
  std::unique_ptr<option_control[]> option_controls_;  // of the messages that ask for something
  std::size_t segmented_ = 0;
  std::vector<std::size_t> run_lengths_;
  std::vector<endpoint_type> native_;
  std::unique_ptr<std::byte[]> arena_;
  refused_handler refused_;
};

using send_batch = basic_send_batch<udp>;

DGRAM_NAMESPACE_END

#endif
