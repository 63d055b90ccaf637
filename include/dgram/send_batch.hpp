// SPDX-License-Identifier: BSL-1.0
// A batch of datagrams that are handed to the kernel together.
#ifndef DGRAM_SEND_BATCH_HPP
#define DGRAM_SEND_BATCH_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/checked_size.hpp>
#include <dgram/detail/async/replaceable_function.hpp>
#include <dgram/detail/async/reset_on_move.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/socket/described_messages.hpp>
#include <dgram/detail/socket/message_runs.hpp>
#include <dgram/detail/socket/payload_memory.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/detail/socket/pushed_numbers.hpp>
#include <dgram/detail/socket/runs_aside.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/receive_batch.hpp>
#include <dgram/send_options.hpp>
#include <dgram/udp.hpp>
#include <dgram/waiting_datagram.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// How much a send batch holds, and whether it copies the payloads.
struct send_batch_config {
  std::size_t datagrams = 64;  ///< room for this many
  /// Room for this many bytes of payload; 0: no limit, or 256 KiB if they are copied.
  std::size_t bytes = 0;
  /// Copy the payloads into the batch's own memory, instead of referring to them.
  bool copy = false;
};

/// A batch of datagrams to send. A socket's `send_batch`, `try_send_batch` and `async_send_batch`
/// send it. By default the batch refers to the payloads, which must stay, unchanged, until they are
/// sent or cleared. It copies small ones if many of them go to one peer, because the kernel gathers
/// them slowly. With `send_batch_config::copy` it copies all. It always copies the endpoints.
///
/// Datagrams that the kernel took leave the batch. The others stay, in order, and the next send
/// continues with them.
///
/// If one peer of an unconnected Unix socket has a full queue, the datagrams of the other peers
/// leave nevertheless. Those of the full peer stay. The order towards each peer is kept.
///
/// Consecutive equal-sized datagrams to one peer leave as one message, which the kernel cuts apart
/// (GSO). The last one may be shorter. If a path refuses such a message, the batch sends its
/// datagrams one by one. If they leave, the socket for a while also sends later ones of this size
/// or larger to that peer one by one.
///
/// Thread safety: distinct objects are safe; one object is not. While an operation is pending, it
/// owns the batch.
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

  /// Called with a datagram's error, peer and payload size. Without a peer the endpoint is empty.
  using refused_handler = std::function<void(error_code, const endpoint_type&, std::size_t)>;

  /// The same with the datagram's `send_options::number`.
  using numbered_handler =
      std::function<void(error_code, const endpoint_type&, std::size_t, std::uint64_t)>;

  /// Room for `capacity` datagrams. Throws `std::invalid_argument` if it is 0.
  explicit basic_send_batch(std::size_t capacity) : basic_send_batch({.datagrams = capacity}) {}

  /// Throws `std::invalid_argument` if there is no room for one datagram, and `std::length_error`
  /// if the room is more than memory can hold.
  explicit basic_send_batch(const send_batch_config& config)
      : basic_send_batch(config, checked_capacity("send_batch: capacity", config.datagrams))
  {
  }

  /// A batch that can answer everything that `received` can hold. It has room for one answer to
  /// each datagram, even if peers send the longest trains, and for `push_replies`. The batch refers
  /// to its payloads. It allocates memory as datagrams are pushed.
  ///
  /// \code
  /// dgram::receive_batch in{16};
  /// dgram::send_batch out{in};
  /// \endcode
  explicit basic_send_batch(const basic_receive_batch<Protocol>& received)
      : basic_send_batch({.datagrams = received.most_datagrams()}, received.capacity())
  {
  }

  basic_send_batch(basic_send_batch&&) noexcept = default;
  basic_send_batch& operator=(basic_send_batch&&) noexcept = default;

  /// How many datagrams the batch has room for.
  std::size_t capacity() const noexcept { return room_.datagrams; }

  /// How many bytes of payload the batch has room for.
  std::size_t max_bytes() const noexcept { return max_bytes_; }

  /// How many datagrams wait to be sent, and how many bytes of payload they have.
  std::size_t size() const noexcept { return at_.pushed - at_.gone; }
  std::size_t bytes() const noexcept { return at_.pushed_bytes - at_.gone_bytes; }
  bool empty() const noexcept { return at_.pushed == at_.gone; }

  /// Whether not even an empty datagram has room.
  bool full() const noexcept { return !has_room(0); }

  /// Whether `datagrams` datagrams of `payload_size` bytes in total can be pushed now. The room
  /// becomes free again when the batch is empty.
  bool has_room(std::size_t payload_size, std::size_t datagrams = 1) const noexcept
  {
    return datagrams <= capacity() - at_.pushed && payload_size <= max_bytes_ - at_.pushed_bytes;
  }

  /// Adds a datagram for `peer`. Throws `std::length_error` if the batch has no room, and changes
  /// nothing then.
  void push(bytes_view payload, const endpoint_type& peer)
  {
    if (joins_plain(payload.size(), peer))
      join_last(payload);
    else
      append(payload, &peer);
  }

  /// The same with the peer as text: `address:port`, or for a Unix socket a path or `@name`. Each
  /// call parses the text. Also throws `system_error` (`error::bad_endpoint` and the other errors
  /// of `parse_endpoint`), with the input in its text.
  ///
  /// \code
  /// dgram::send_batch batch{32};
  /// batch.push("hello", "127.0.0.1:9999");
  /// \endcode
  template <detail::endpoint_text<Protocol> Text>
  void push(bytes_view payload, const Text& peer)
  {
    push(payload, detail::endpoint_of_text<Protocol>("push", peer));
  }

  /// The same for the bytes of a temporary, in a batch that copies. Any other batch throws
  /// `std::invalid_argument`, because the bytes would be gone before they are sent.
  template <detail::temporary_owner Bytes, class... Rest>
  void push(Bytes&& payload, const Rest&... rest)
  {
    if (!copies_)
      throw std::invalid_argument(
          "send_batch: refers to its payloads, and this one is a temporary");
    push(bytes_view(payload), rest...);
  }

  /// Adds a datagram for the peer that the socket is connected to.
  void push(bytes_view payload) { append(payload, nullptr); }

  /// Adds a datagram with options of its own, or several datagrams if a segment size is given.
  /// Throws as `push` does, and also `system_error` for options that are not available (see
  /// `send_options`). Changes nothing then.
  void push(bytes_view payload, const endpoint_type& peer, const send_options& options)
  {
    append_with(payload, &peer, {}, options);
  }

  // A list in braces is an endpoint, as above.
  void push(bytes_view payload, const std::same_as<send_options> auto& options)
  {
    append_with(payload, nullptr, {}, options);
  }

  /// Adds an answer. It leaves from the address that was asked.
  void push(bytes_view payload, const basic_reply_path<Protocol>& path)
  {
    if (path.is_plain() && joins_plain(payload.size(), path.peer))
      join_last(payload);
    else
      push_answer(payload, path);
  }

  void push(bytes_view payload, const basic_reply_path<Protocol>& path, const send_options& options)
  {
    append_with(payload, &path.peer, path, options);
  }

  /// Adds one datagram whose payload is gathered from several buffers, at most 64.
  template <class ConstBuffers>
    requires(net::is_const_buffer_sequence<ConstBuffers>::value &&
             !std::convertible_to<const ConstBuffers&, bytes_view>)
  void push(const ConstBuffers& payload, const endpoint_type& peer)
  {
    append_gathered(payload, &peer);
  }

  template <class ConstBuffers>
    requires(net::is_const_buffer_sequence<ConstBuffers>::value &&
             !std::convertible_to<const ConstBuffers&, bytes_view>)
  void push(const ConstBuffers& payload)
  {
    append_gathered(payload, nullptr);
  }

  template <class ConstBuffers>
    requires(net::is_const_buffer_sequence<ConstBuffers>::value &&
             !std::convertible_to<const ConstBuffers&, bytes_view>)
  void push(const ConstBuffers& payload, const basic_reply_path<Protocol>& path)
  {
    check_room(net::buffer_size(payload), 1);
    append_gathered(payload, &path.peer, path.is_plain() ? 0 : request_of(path));
  }

  /// Adds one buffer as several datagrams of `segment_size` bytes each. The last one may be
  /// shorter. Throws `std::invalid_argument` if `segment_size` is 0, and `std::length_error` as
  /// `push` does.
  void push_segments(bytes_view payload, std::size_t segment_size, const endpoint_type& peer)
  {
    if (segment_size == 0) throw std::invalid_argument("send_batch: segment size must not be 0");
    append_segments(payload, segment_size, &peer);
  }

  void push_segments(bytes_view payload, std::size_t segment_size,
                     const basic_reply_path<Protocol>& path)
  {
    if (segment_size == 0) throw std::invalid_argument("send_batch: segment size must not be 0");
    append_answer(payload, segment_size, path);
  }

  /// Adds every received datagram as an answer to its sender, by its `reply_path()`, whose error it
  /// throws. Datagrams that the kernel had put together stay together, and are not copied. Do not
  /// use `received` again until the answers are sent.
  ///
  /// \code
  /// dgram::receive_batch in{16};
  /// dgram::send_batch out{in};  // fits whatever arrives
  /// // A socket on a wildcard address answers from the address that was asked:
  /// socket.set_option(dgram::option::packet_info{true});
  /// co_await socket.async_receive_batch(in);
  /// for (dgram::datagram datagram : in)
  ///   if (!datagram.payload().empty()) datagram.mutable_payload()[0] = std::byte{'!'};
  /// out.push_replies(in);
  /// co_await socket.async_send_batch(out);
  /// \endcode
  void push_replies(const basic_receive_batch<Protocol>& received)
  {
    std::size_t index = 0;
    for (const auto& slot : received.slots()) {
      const bytes_view payload(platform::buffer_data(slot.buffer), slot.size());
      append_answer(payload, slot.is_train() ? slot.segment : 0,
                    received.first_of_slot(index++).reply_path());
    }
  }

  /// Drops all datagrams that were not sent.
  void clear() noexcept
  {
    static_cast<counts&>(at_) = counts();
    memory_.clear();
    requests_.clear();
    aside_.clear();
    numbers_.clear();
  }

  /// Drops the first datagram that was not sent: the one that `send_result::error` is about.
  void drop_front() noexcept
  {
    if (!empty()) remove_datagrams(1);
  }

  /// Sets the handler for refused datagrams. If the kernel refuses a datagram for its own sake (too
  /// big, blocked, unreachable), the batch drops it, calls the handler and goes on. Without a
  /// handler, the default, sending stops there. The handler runs inside the call that sends. It
  /// must not throw, and must not use the batch.
  void on_refused(refused_handler handler)
  {
    refused_ = nullptr;
    if (!handler) return;
    refused_ = [handler = std::move(handler)](error_code ec, const endpoint_type& peer,
                                              std::size_t size,
                                              std::uint64_t) { handler(ec, peer, size); };
  }

  /// The same for a handler that also takes the number of the datagram, as `numbered_handler` does.
  template <class Handler>
    requires(std::is_constructible_v<numbered_handler, Handler> &&
             !std::is_constructible_v<refused_handler, Handler>)
  void on_refused(Handler handler)
  {
    refused_ = std::move(handler);
  }

  /// Drops the first datagram that was not sent, and reports it to the handler of `on_refused`.
  /// Without a handler it returns false and leaves the batch as it is. The caller then ends the
  /// sending with this error.
  bool refuse_front(const error_code& ec)
  {
    if (!refused_) return false;
    const endpoint_type peer = front_peer();
    const std::size_t size = front_size();
    refused_number_ = front_number();
    const std::uint64_t asked_number = number_at(refused_number_);
    remove_datagrams(1);
    messages_.length_was_right();
    refused_(ec, peer, size, asked_number);
    return true;
  }

  /// The first datagram that was not sent; there must be one. For transports that are not system
  /// sockets:
  ///
  /// \code
  /// dgram::send_batch batch{16};
  /// batch.push("payload", peer);
  /// for (; !batch.empty(); batch.drop_front()) {
  ///   std::vector<std::byte> bytes(batch.front().size());
  ///   batch.front().copy_to(bytes);
  /// }
  /// \endcode
  basic_waiting_datagram<Protocol> front() const noexcept
  {
    const run& first = first_run();
    return {std::span<const platform::buffer>(buffers_).subspan(
                first.first_buffer, first.in_one_piece ? 1 : first.buffers),
            std::min(first.each, first.bytes), first.addressed ? &first.peer : nullptr,
            first.request > 0 ? &requests_[first.request - 1] : nullptr};
  }

  // For this library only; other code need not call these.

  /// A copy of the first datagram that was not sent, which has a peer.
  detail::kept_datagram<Protocol> keep_front() const
  {
    detail::kept_datagram<Protocol> kept;
    const auto next = front();
    kept.payload.resize(next.size());
    next.copy_to(kept.payload);
    kept.peer = front_peer();
    if (first_run().request != 0)
      kept.request = std::make_unique<detail::send_request>(requests_[first_run().request - 1]);
    return kept;
  }

  /// Adds a datagram that must stay until it is sent.
  void push(const detail::kept_datagram<Protocol>& kept)
  {
    append(bytes_view(kept.payload), &kept.peer, kept.request ? add_request(*kept.request) : 0);
  }

  /// How many datagrams were pushed before the first one that was not sent, since the batch was
  /// last empty; and before the one that was refused last.
  std::size_t front_number() const noexcept
  {
    return has_full_peers ? first_run().number : at_.gone;
  }
  std::size_t refused_number() const noexcept { return refused_number_; }

  /// The `send_options::number` of the datagram before which so many were pushed.
  std::uint64_t number_at(std::size_t index) const noexcept { return numbers_.at(index); }

  /// The batch's own memory behind the payloads that it has copied. The caller has found room with
  /// `has_room`.
  std::byte* free_room() noexcept { return memory_.end(); }

  /// As `push`, for a payload at `free_room()`. Without `peer` it goes to the connected one.
  void push_placed(std::size_t size, const endpoint_type* peer, const detail::way_out& way,
                   const send_options& options)
  {
    append_with({free_room(), size}, peer, way, options, true);
  }

  /// Adds a datagram to the last run, if that has room. The caller knows that the last datagram
  /// waits, is in one buffer, takes the same path and asks for the same.
  DGRAM_INLINE bool follow_last(bytes_view payload)
  {
    if (!runs_[at_.last - 1].has_room(payload.size())) return false;
    join_last(payload);
    return true;
  }

  /// The same if the last datagram waits, is for this peer and asks for nothing.
  DGRAM_INLINE bool follow_last(bytes_view payload, const endpoint_type& peer)
  {
    if (!joins_plain(payload.size(), peer)) return false;
    join_last(payload);
    return true;
  }

  /// Describes the waiting datagrams as messages, at most `limit`. It joins a run into one message
  /// if `may_segment(peer, size)`. It stops before the first datagram that asks for something
  /// unavailable. `ec` is set if nothing can be sent: an address on a connected socket, none on
  /// another, or an obstacle to the first datagram.
  template <class Predicate>
  std::span<platform::message> prepare(const detail::socket_flags& flags, Predicate may_segment,
                                       error_code& ec, const detail::unmet_needs& unmet = {},
                                       std::size_t limit = platform::max_buffers)
  {
    ec.clear();
    messages_.start(limit);
    pass_full_peers();
    if (at_.first == at_.last) return {};
    if (flags.connected && at_.addressed > 0)
      ec = net::error::already_connected;
    else if (!flags.connected && at_.addressed < at_.last - at_.first)
      ec = platform::destination_required();
    if (ec) return {};
    const detail::run_sources sources{buffers_.data(), requests_.data()};
    for (std::size_t i = at_.first; i < at_.last && !messages_.is_full(); ++i) {
      const run& next = runs_[i];
      if (aside_.contains(next.peer)) continue;
      if (next.request > 0 || next.each > detail::max_ipv4_payload) [[unlikely]] {
        const auto obstacle = obstacle_to(next, flags, unmet);
        if (obstacle && i == at_.first) ec = obstacle;
        if (obstacle) break;
      }
      if (next.datagrams == 1)
        messages_.add_one(next, sources, flags);
      else
        messages_.add(next,
                      !next.is_split && !leaves_alone(next) && may_segment(next.peer, next.each),
                      sources, flags);
    }
    if (ec) return {};
    return messages_.described();
  }

  /// Removes the first `count` messages, which were sent. Returns how many datagrams they were.
  /// Calls `note` with the number of each that asks for its time.
  template <class Note>
  std::size_t consume(std::size_t count, Note note) noexcept
  {
    const std::size_t datagrams = messages_.consume(count);
    if (!requests_.empty()) [[unlikely]]
      note_timestamped(datagrams, note);
    remove_datagrams(datagrams);
    return datagrams;
  }
  std::size_t consume(std::size_t count) noexcept
  {
    return consume(count, [](std::uint64_t) {});
  }

  bool front_asks_for_time() const noexcept { return asks_for_time(first_run()); }

  /// How many datagrams left in one message with others since the last call.
  std::size_t take_segmented() noexcept { return messages_.take_segmented(); }

  /// What the socket must set or find out before it can send everything.
  detail::socket_needs needs() const noexcept { return at_.needs; }

  bool front_sets_traffic_class() const noexcept
  {
    return first_run().request > 0 && requests_[first_run().request - 1].sets_traffic_class();
  }

  bool front_is_segmented() const noexcept { return messages_.front_is_segmented(); }
  const endpoint_type& front_peer() const noexcept { return first_run().peer; }
  std::size_t front_size() const noexcept { return std::min(first_run().each, first_run().bytes); }

  /// From the next `prepare` on, the datagrams of the first message are sent one by one.
  void split_front() noexcept
  {
    runs_[at_.first].is_split = true;
    runs_[at_.first].next_at_most = 0;
    messages_.length_was_right();
  }

  /// Sets the datagrams of the first one's peer aside, because that peer's queue is full. From the
  /// next `prepare` on, the batch offers the datagrams of the other peers alone. Returns false if
  /// there is no memory for that.
  bool set_front_aside()
    requires detail::path_protocol<Protocol>
  {
    try {
      aside_.insert(front_peer());
    } catch (const std::bad_alloc&) {
      return false;
    }
    pass_full_peers();
    return true;
  }

  /// Puts the datagrams back that were set aside: before the others, or behind the first of the
  /// others if the caller has an error to report about that one.
  void restore_aside(bool behind_front) noexcept
    requires detail::path_protocol<Protocol>
  {
    const std::size_t count =
        aside_.restore(runs_, at_.first, behind_front && at_.first < at_.last);
    if (count == 0) return;
    at_.first -= count;
    at_.addressed += count;
    // The last run may be another one now, and its payload not the last one in memory.
    at_.path_run = 0;
    runs_[at_.last - 1].next_at_most = 0;
  }

  /// Whether the first message can be sent as shorter ones, from the next `prepare` on.
  bool try_shorter() noexcept { return messages_.try_shorter(); }

private:
  template <class>
  friend struct detail::writer_state;
  static constexpr bool has_full_peers = detail::path_protocol<Protocol>;

  using run = detail::datagram_run<endpoint_type>;

  struct counts {
    std::size_t first = 0;  // the runs [first, last) wait
    std::size_t last = 0;
    std::size_t addressed = 0;  // of these runs
    std::size_t buffers = 0;    // in use
    std::size_t pushed = 0;     // datagrams, since the batch was last empty
    std::size_t pushed_bytes = 0;
    std::size_t gone = 0;  // of these datagrams
    std::size_t gone_bytes = 0;
    // The run whose path is kept, counted from 1. It is valid only if it is the last one.
    std::size_t path_run = 0;
    detail::socket_needs needs;
  };

  /// A moved-from batch has none of these.
  struct capacities {
    std::size_t datagrams = 0;
  };

  /// `runs` exist from the start; more are created when they are needed.
  basic_send_batch(const send_batch_config& config, std::size_t runs)
      : max_bytes_(byte_limit(config)),
        runs_(runs),
        buffers_(runs),
        messages_(std::min(config.datagrams, platform::max_buffers)),
        memory_(config.copy ? detail::payload_memory(max_bytes_)
                            : detail::payload_memory::for_small(config.datagrams)),
        copies_(config.copy)
  {
    room_.datagrams = config.datagrams;
  }

  static constexpr std::size_t default_arena_size = 262144;

  static std::size_t byte_limit(const send_batch_config& config)
  {
    if (config.copy) detail::checked_size("send_batch: bytes", config.bytes);
    if (config.bytes != 0) return config.bytes;
    return config.copy ? default_arena_size : std::numeric_limits<std::size_t>::max();
  }

  static std::size_t checked_capacity(const char* what, std::size_t capacity)
  {
    return detail::checked_size(what, detail::checked_positive(what, capacity), sizeof(run));
  }

  DGRAM_APART void push_answer(bytes_view payload, const basic_reply_path<Protocol>& path)
  {
    if (!is_like_last(path)) return append_answer(payload, 0, path);
    if (runs_[at_.last - 1].has_room(payload.size())) return join_last(payload);
    check_room(payload.size(), 1);
    const run last = runs_[at_.last - 1];  // the runs may move
    begin_run_with(payload, &last.peer, last.request);
    at_.path_run = at_.last;
  }

  void append_answer(bytes_view payload, std::size_t segment,
                     const basic_reply_path<Protocol>& path)
  {
    std::uint32_t request = 0;
    if (!path.is_plain()) {
      check_room(payload.size(), detail::count_datagrams(payload.size(), segment));
      request = request_of(path);
    }
    if (segment > 0) return append_segments(payload, segment, &path.peer, request);
    append(payload, &path.peer, request);
    // The next answer most often takes the same path, so `push` need not compare more.
    last_path_ = path;
    at_.path_run = at_.last;
  }

  /// Finds or adds what an answer asks for beside its peer; there is room for it. Most answers
  /// leave from the same address as the one before.
  std::uint32_t request_of(const basic_reply_path<Protocol>& path)
  {
    if (!requests_.empty() && requests_.back().is_answer(path))
      return static_cast<std::uint32_t>(requests_.size());
    return checked_request(true, detail::is_ipv4(path.peer), detail::send_request(path));
  }

  /// `is_placed`: the payload lies at `free_room()`.
  void append_with(bytes_view payload, const endpoint_type* peer, const detail::way_out& way,
                   const send_options& options, bool is_placed = false)
  {
    const std::size_t segment = options.segment_size.value_or(0);
    const std::size_t datagrams = detail::count_datagrams(payload.size(), segment);
    check_room(payload.size(), datagrams);
    const bool v4 = peer != nullptr && detail::is_ipv4(*peer);
    // Most datagrams ask for the same as the one before.
    const bool is_like_last = peer != nullptr && !requests_.empty() &&
                              requests_.back().template serves<Protocol>(way, options, v4);
    const std::uint32_t request =
        is_like_last ? static_cast<std::uint32_t>(requests_.size())
                     : checked_request(peer != nullptr, v4, detail::send_request(way, options));
    if (options.number != 0) numbers_.push(at_.pushed, datagrams, options.number);
    if (segment > 0)
      append_segments(payload, segment, peer, request);
    else if (is_placed)
      append_copied(payload, peer, request);
    else
      append(payload, peer, request);
  }

  DGRAM_APART std::uint32_t checked_request(bool addressed, bool v4, const detail::send_request& of)
  {
    // Without a peer the socket's family decides, which is known only when the datagram is sent.
    if (addressed) detail::throw_if(of.template check<Protocol>(v4), "push");
    return of.is_plain() ? 0 : add_request(of);
  }

  /// Neighbours that ask for the same share one request. This also lets them leave as one message.
  std::uint32_t add_request(const detail::send_request& request)
  {
    messages_.provide_option_controls();
    if (requests_.empty() || !(requests_.back() == request)) requests_.push_back(request);
    at_.needs |= request.needs();
    return static_cast<std::uint32_t>(requests_.size());
  }

  error_code obstacle_to(const run& which, const detail::socket_flags& flags,
                         const detail::unmet_needs& unmet) const noexcept
  {
    const bool v4 = which.addressed ? detail::is_ipv4(which.peer) : bool(flags.peer_is_ipv4);
    if (detail::is_beyond_protocol<Protocol>(std::min(which.each, which.bytes), v4))
      return net::error::message_size;
    if (which.request == 0) return {};
    const detail::send_request& request = requests_[which.request - 1];
    if (request.needs().has_any_of(unmet.needs)) return unmet.why;
    // If the datagram has a peer, `push` has checked it.
    if (which.addressed) return {};
    return request.template check<Protocol>(v4);
  }

  bool leaves_alone(const run& which) const noexcept
  {
    return which.request > 0 && requests_[which.request - 1].leaves_alone();
  }

  bool asks_for_time(const run& which) const noexcept
  {
    return which.request > 0 && requests_[which.request - 1].asks_for_time();
  }

  /// Called before the first `count` datagrams are removed.
  template <class Note>
  void note_timestamped(std::size_t count, const Note& note) noexcept
  {
    if constexpr (!has_full_peers) {  // Unix datagrams cannot ask
      for (std::size_t i = at_.first; count > 0; ++i) {
        const std::size_t sent = std::min(count, runs_[i].datagrams);
        for (std::size_t each = asks_for_time(runs_[i]) ? sent : 0; each > 0; --each)
          note(requests_[runs_[i].request - 1].number());
        count -= sent;
      }
    }
  }

  const run& first_run() const noexcept { return runs_[at_.first]; }

  void check_room(std::size_t size, std::size_t datagrams) const
  {
    if (!has_room(size, datagrams)) [[unlikely]]
      refuse_room(size, datagrams);
  }

  [[noreturn]] DGRAM_COLD void refuse_room(std::size_t size, std::size_t datagrams) const
  {
    std::string text = "send_batch: no room for " + std::to_string(datagrams) + " more of " +
                       std::to_string(capacity()) + " datagrams";
    if (datagrams <= capacity() - at_.pushed)
      text = "send_batch: no room for " + std::to_string(size) + " more of " +
             std::to_string(max_bytes_) + " bytes";
    throw std::length_error(text);
  }

  /// One datagram in one buffer.
  void append(bytes_view payload, const endpoint_type* peer, std::uint32_t request = 0)
  {
    check_room(payload.size(), 1);
    if (joins_last(payload.size(), 1, peer, request))
      join_last(payload);
    else
      begin_run_with(payload, peer, request);
  }

  /// Adds one datagram in one buffer to the last run, which has room.
  DGRAM_INLINE void join_last(bytes_view payload)
  {
    run& last = runs_[at_.last - 1];
    if (!last.in_one_piece) return refer_in_last(payload);
    std::byte* const copy = memory_.end();  // copies lie side by side
    last.add(payload.size());
    count_pushed(1, payload.size());
    memory_.take(payload.size());
    std::memcpy(copy, payload.data(), payload.size());
  }

  DGRAM_APART void refer_in_last(bytes_view payload)
  {
    next_buffer() = platform::make_buffer(payload.data(), payload.size());
    run& last = runs_[at_.last - 1];
    last.add(payload.size());
    count_pushed(1, payload.size());
    if (last.each <= detail::payload_memory::small_payload) copy_last_if_many();
  }

  /// Copies the last run if it has many pieces. Datagrams that join it later are copied too.
  DGRAM_APART void copy_last_if_many() noexcept
  {
    run& last = runs_[at_.last - 1];
    const std::size_t pieces = last.datagrams * last.buffers;
    if (has_full_peers || last.in_one_piece || pieces < detail::payload_memory::many_pieces ||
        last.bytes > memory_.room() || !memory_.provide())
      return;
    std::byte* const copy = memory_.end();
    for (std::size_t i = last.first_buffer; i < at_.buffers; ++i) {
      const std::size_t size = platform::buffer_size(buffers_[i]);
      if (size > 0) std::memcpy(memory_.end(), platform::buffer_data(buffers_[i]), size);
      memory_.take(size);
    }
    buffers_[last.first_buffer] = platform::make_buffer(copy, last.bytes);
    at_.buffers = last.first_buffer + 1;
    last.in_one_piece = true;
    last.limit(last.bytes + memory_.room());
  }

  DGRAM_APART void begin_run_with(bytes_view payload, const endpoint_type* peer,
                                  std::uint32_t request)
  {
    next_buffer() = kept(payload);
    begin_run(payload.size(), 1, peer, request);
    count_kept(1, payload.size());
  }

  /// One datagram whose bytes are in the batch's own memory already.
  void append_copied(bytes_view payload, const endpoint_type* peer, std::uint32_t request)
  {
    if (joins_last(payload.size(), 1, peer, request)) {
      runs_[at_.last - 1].add(payload.size());
    } else {
      next_buffer() = platform::make_buffer(payload.data(), payload.size());
      begin_run(payload.size(), 1, peer, request);
    }
    count_kept(1, payload.size());
  }

  template <class ConstBuffers>
  void append_gathered(const ConstBuffers& payload, const endpoint_type* peer,
                       std::uint32_t request = 0)
  {
    const std::size_t size = net::buffer_size(payload);
    check_room(size, 1);
    if (copies_) {
      std::byte* const copy = memory_.end();
      net::buffer_copy(net::buffer(copy, size), payload);
      return append_copied({copy, size}, peer, request);
    }
    const std::size_t before = at_.buffers;
    const auto last = net::buffer_sequence_end(payload);
    for (auto next = net::buffer_sequence_begin(payload); next != last; ++next) {
      if (at_.buffers - before == platform::max_buffers_per_datagram) {
        at_.buffers = before;
        throw std::length_error("send_batch: a datagram of more than 64 buffers");
      }
      const net::const_buffer one(*next);
      next_buffer() = platform::make_buffer(one.data(), one.size());
    }
    const std::size_t buffers = at_.buffers - before;
    if (joins_last(size, buffers, peer, request)) {
      run& joined = runs_[at_.last - 1];
      if (joined.in_one_piece) {
        at_.buffers = before;
        net::buffer_copy(net::buffer(memory_.end(), size), payload);
        memory_.take(size);
      }
      joined.add(size);
    } else {
      begin_run(size, buffers, peer, request);
    }
    count_pushed(1, size);
    if (runs_[at_.last - 1].each <= detail::payload_memory::small_payload) copy_last_if_many();
  }

  /// Several datagrams in one buffer.
  void append_segments(bytes_view payload, std::size_t segment, const endpoint_type* peer,
                       std::uint32_t request = 0)
  {
    const std::size_t datagrams = detail::count_datagrams(payload.size(), segment);
    check_room(payload.size(), datagrams);
    next_buffer() = kept(payload);
    run& added = begin_run(payload.size(), 1, peer, request);
    added.datagrams = datagrams;
    added.each = segment;
    added.in_one_piece = true;
    added.next_at_most = 0;
    count_kept(datagrams, payload.size());
  }

  platform::buffer& next_buffer()
  {
    if (at_.buffers == buffers_.size()) [[unlikely]]
      buffers_.resize(2 * buffers_.size());
    return buffers_[at_.buffers++];
  }

  platform::buffer kept(bytes_view payload) noexcept
  {
    if (!copies_) return platform::make_buffer(payload.data(), payload.size());
    std::byte* const copy = memory_.end();
    if (!payload.empty() && payload.data() != copy)
      std::memcpy(copy, payload.data(), payload.size());
    return platform::make_buffer(copy, payload.size());
  }

  void count_pushed(std::size_t datagrams, std::size_t bytes) noexcept
  {
    at_.pushed += datagrams;
    at_.pushed_bytes += bytes;
  }

  /// The same for a payload that is in the batch's own memory, if the batch copies.
  void count_kept(std::size_t datagrams, std::size_t bytes) noexcept
  {
    count_pushed(datagrams, bytes);
    if (copies_) memory_.take(bytes);
  }

  bool joins_last(std::size_t size, std::size_t buffers, const endpoint_type* peer,
                  std::uint32_t request) const noexcept
  {
    return at_.last > at_.first && runs_[at_.last - 1].is_joined_by(size, buffers, peer, request);
  }

  /// The same for a datagram in one buffer that asks for nothing. There is room for it then.
  DGRAM_INLINE bool joins_plain(std::size_t size, const endpoint_type& peer) const noexcept
  {
    return at_.last > at_.first && runs_[at_.last - 1].is_joined_by(size, peer);
  }

  /// Whether the last run consists of answers with this path.
  bool is_like_last(const basic_reply_path<Protocol>& path) const noexcept
  {
    return at_.last == at_.path_run && at_.last > at_.first && detail::same_path(path, last_path_);
  }

  DGRAM_APART run& begin_run(std::size_t size, std::size_t buffers, const endpoint_type* peer,
                             std::uint32_t request)
  {
    if (at_.last == runs_.size()) [[unlikely]]
      runs_.resize(2 * runs_.size());
    run& next = runs_[at_.last++];
    next.begin(size, buffers, at_.buffers, peer, request, capacity() - at_.pushed,
               max_bytes_ - at_.pushed_bytes);
    next.in_one_piece = copies_;
    if constexpr (has_full_peers) next.number = at_.pushed;
    if (peer != nullptr) ++at_.addressed;
    return next;
  }

  /// Moves the runs at the front to those that are set aside, as long as their peers are full.
  void pass_full_peers() noexcept
  {
    const std::size_t count = aside_.take(runs_, at_.first, at_.last);
    at_.first += count;
    at_.addressed -= count;
  }

  void remove_datagrams(std::size_t count) noexcept
  {
    at_.gone += count;
    while (count > 0) {
      run& first = runs_[at_.first];
      if (count < first.datagrams) {
        shorten(first, count);
        return;
      }
      count -= first.datagrams;
      at_.addressed -= first.addressed ? 1 : 0;
      at_.gone_bytes += first.bytes;
      ++at_.first;
      pass_full_peers();
    }
    if (empty()) clear();
  }

  void shorten(run& which, std::size_t count) noexcept
  {
    const std::size_t bytes = which.first_bytes(count);
    if (which.in_one_piece) {
      platform::buffer& rest = buffers_[which.first_buffer];
      rest = platform::make_buffer(
          static_cast<const std::byte*>(platform::buffer_data(rest)) + bytes, which.bytes - bytes);
    } else {
      which.first_buffer += count * which.buffers;
    }
    which.datagrams -= count;
    which.bytes -= bytes;
    which.full_at -= std::min(which.full_at, bytes);  // the room for more stays the same
    if constexpr (has_full_peers) which.number += count;
    at_.gone_bytes += bytes;
  }

  std::size_t max_bytes_;
  detail::reset_on_move<capacities> room_;
  detail::reset_on_move<counts> at_;
  std::vector<run> runs_;
  std::vector<platform::buffer> buffers_;
  std::vector<detail::send_request> requests_;
  detail::described_messages<Protocol> messages_;
  detail::payload_memory memory_;
  bool copies_;  // all payloads
  basic_reply_path<Protocol> last_path_{};
  detail::replaceable_function<numbered_handler> refused_;
  std::size_t refused_number_ = 0;
  [[no_unique_address]] std::conditional_t<has_full_peers, detail::runs_aside<endpoint_type>,
                                           detail::no_runs_aside<endpoint_type>> aside_;
  detail::pushed_numbers numbers_;
};

using send_batch = basic_send_batch<udp>;

#if defined(DGRAM_COMPILED)
// One unit of the program defines these; see dgram/compiled.hpp.
extern template class basic_send_batch<udp>;
#endif

DGRAM_NAMESPACE_END

#endif
