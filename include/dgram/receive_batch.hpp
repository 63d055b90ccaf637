// SPDX-License-Identifier: BSL-1.0
// A batch of slots for the datagrams that one system call receives. It allocates once, and is
// reused.
#ifndef DGRAM_RECEIVE_BATCH_HPP
#define DGRAM_RECEIVE_BATCH_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/async/checked_size.hpp>
#include <dgram/detail/async/reset_on_move.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/socket/state.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/udp.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// One piece of writable memory: anything that Asio makes a buffer of, or a span of bytes.
template <class Packet>
concept writable_packet = requires(Packet&& packet) {
  { net::buffer(packet) } -> std::convertible_to<net::mutable_buffer>;
} || std::convertible_to<Packet, std::span<std::byte>>;

template <class Packets>
concept writable_packets =
    std::ranges::sized_range<Packets> && writable_packet<std::ranges::range_reference_t<Packets>>;

template <writable_packet Packet>
std::span<std::byte> room_of(Packet&& packet) noexcept
{
  if constexpr (std::convertible_to<Packet, std::span<std::byte>>) {
    return packet;
  } else {
    const net::mutable_buffer room = net::buffer(packet);
    return {static_cast<std::byte*>(room.data()), room.size()};
  }
}

}  // namespace detail

/// A batch of receive slots, which owns its memory or uses the caller's. A socket's
/// `receive_batch`, `try_receive_batch` and `async_receive_batch` fill it; iterate to read it. Its
/// datagrams are valid until the batch is used again.
///
/// On a socket that coalesces (`option::coalescing`) a slot may hold a train of datagrams.
/// Iterating returns them one by one, each with the sender of the train. Coalescing needs slots of
/// 64 KiB. Smaller ones are refused (`error::slot_too_small`), because they would cut trains.
///
/// Thread safety: distinct objects are safe; one object is not. While an operation is pending, it
/// owns the batch, and the caller's memory that the batch uses.
///
/// \code
/// dgram::receive_batch batch{32};
/// co_await socket.async_receive_batch(batch);
/// for (const dgram::datagram& datagram : batch)
///   handle(datagram.payload(), datagram.sender());
/// \endcode
template <class Protocol>
class basic_receive_batch {
  using control_type = detail::slot_control<Protocol>;

public:
  using endpoint_type = typename Protocol::endpoint;
  using value_type = basic_datagram<Protocol>;

  /// The default holds the largest datagram of IPv4 and IPv6, and a coalesced train, so nothing is
  /// truncated. A slot takes address space. It takes memory only as far as datagrams have filled
  /// it.
  ///
  /// A Unix datagram may be as large as its sender's send buffer. The default holds the datagrams
  /// of a sender with the system's default, which is 208 KiB on Linux. Larger datagrams need larger
  /// slots.
  static constexpr std::size_t default_slot_size = detail::path_protocol<Protocol> ? 262144 : 65536;

  /// Creates `capacity` slots of `slot_size` bytes. Throws `std::invalid_argument` if either is 0,
  /// and `std::length_error` if their product is more than memory can hold.
  explicit basic_receive_batch(std::size_t capacity, std::size_t slot_size = default_slot_size)
      : slot_size_(slot_size),
        stride_(slot_size + detail::slot_stagger),
        slots_(checked(capacity, slot_size)),
        messages_(capacity),
        storage_(std::make_unique_for_overwrite<std::byte[]>(capacity * stride_))
  {
    set_up_slots();
  }

  /// Receives into the caller's memory, such as the packets of a pool. `packets` is a range with a
  /// slot for each element. An element is anything that `asio::buffer` takes as writable memory,
  /// such as a `std::array<std::byte, 1500>` or an `asio::mutable_buffer`, or a span of bytes.
  ///
  /// All slots have the size of the smallest packet. A larger datagram is cut, and marked
  /// `truncated`. A socket that coalesces refuses slots below 64 KiB (`error::slot_too_small`).
  /// Readers, writers and emitters have batches of their own, so a socket coalesces only if one of
  /// them or the program turned it on.
  ///
  /// The batch keeps references to the memory. Each packet must stay valid until `replace` puts
  /// another one in its place, or the batch is destroyed. Throws `std::invalid_argument` if there
  /// is no packet, or one without bytes.
  ///
  /// \code
  /// std::vector<std::array<std::byte, 1500>> pool(64);
  /// dgram::receive_batch batch{std::span(pool).first(32)};
  /// co_await socket.async_receive_batch(batch);
  /// for (std::size_t i = 0; i < batch.size(); ++i) {
  ///   handle(batch[i].payload(), batch[i].sender());
  ///   batch.replace(i, pool[32 + i]);  // the program keeps pool[i]
  /// }
  /// \endcode
  template <detail::writable_packets Packets>
    requires(!std::same_as<std::remove_cvref_t<Packets>, basic_receive_batch>)
  explicit basic_receive_batch(Packets&& packets)
      : slot_size_(smallest(packets)),
        stride_(slot_size_),
        slots_(checked(std::ranges::size(packets), slot_size_)),
        messages_(slots_.size())
  {
    given_.reserve(slots_.size());
    for (auto&& packet : packets)
      given_.push_back(detail::room_of(packet).data());
    set_up_slots();
  }

  /// Puts another packet in the place of one that the batch was given, so that the program can keep
  /// that one. `packet` is as for the constructor and has at least `slot_size()` bytes. The next
  /// call on a socket receives into it. The slot's datagrams are empty from now on. Without trains,
  /// the slots have the order of the datagrams.
  ///
  /// Throws `std::invalid_argument` for a smaller packet, and for a batch that owns its memory;
  /// `std::out_of_range` if there is no such slot. Changes nothing then.
  template <detail::writable_packet Packet>
  void replace(std::size_t index, Packet&& packet)
  {
    const std::span<std::byte> room = detail::room_of(packet);
    if (index >= capacity()) throw std::out_of_range("receive_batch: no such slot to replace");
    if (given_.empty()) throw std::invalid_argument("receive_batch: it owns its memory");
    if (room.size() < slot_size_)
      throw std::invalid_argument("receive_batch: a packet of " + std::to_string(room.size()) +
                                  " bytes for a slot of " + std::to_string(slot_size_));
    given_[index] = room.data();
    slot& emptied = slots_[index];
    emptied.buffer = platform::make_buffer(room.data(), slot_size_);
    emptied.wire_size = emptied.segment = 0;
    emptied.truncated = false;
  }

  basic_receive_batch(basic_receive_batch&&) noexcept = default;
  basic_receive_batch& operator=(basic_receive_batch&& other) noexcept
  {
    if (this != &other) {
      std::destroy_at(this);
      std::construct_at(this, std::move(other));
    }
    return *this;
  }
  ~basic_receive_batch() { close_descriptors(); }

  /// How many slots there are.
  std::size_t capacity() const noexcept { return slots_.size(); }

  /// How many datagrams all slots can hold, if each slot holds a train of the shortest datagrams.
  std::size_t most_datagrams() const noexcept { return capacity() * slot_size_; }

  /// The largest datagram that arrives whole, in bytes.
  std::size_t slot_size() const noexcept { return slot_size_; }

  /// How many slots the next call offers to the kernel: all of them, unless `offer` was called.
  std::size_t offered() const noexcept { return at_.offered; }

  /// Offers only this many slots, at least 1: a few large trains stay in the cache, many do not.
  void offer(std::size_t slots) noexcept
  {
    at_.offered = std::clamp<std::size_t>(slots, 1, capacity());
  }

  /// Offers room for this many bytes of control messages per datagram, beyond the room for the
  /// library's own options. `basic_datagram::control_messages` then has messages that the program
  /// enabled in another way. Takes effect with the next call.
  ///
  /// Without this, a Unix socket receives no control messages. With it, a datagram may bring open
  /// descriptors (unix(7), `SCM_RIGHTS`). They belong to the batch, which closes them when it is
  /// used again, cleared or destroyed. `basic_datagram::take_descriptor` gives one to the caller.
  ///
  /// Throws `std::length_error` if the room for all slots is more than memory can hold. Changes
  /// nothing then.
  void reserve_control(std::size_t bytes)
  {
    // No system counts the room of one datagram in more than an int.
    constexpr std::size_t most = std::numeric_limits<int>::max();
    constexpr std::size_t own = platform::receive_control_size + control_alignment;
    if (bytes > most - own)
      detail::refuse_size("receive_batch: room for control messages", bytes, most - own);
    detail::checked_size("receive_batch: slots with room for control messages", capacity(),
                         bytes + own);
    reserved_control_ = bytes;
  }

  /// Forgets the received datagrams, and closes the descriptors that were not taken.
  void clear() noexcept
  {
    close_descriptors();
    const std::size_t offered = at_.offered;
    static_cast<counts&>(at_) = {.offered = offered};
  }

  /// Adds a datagram or a train, as a socket would. This is for transports that are not system
  /// sockets, and for tests. The payload is copied. A payload larger than a slot is cut, and marked
  /// `truncated`. Returns false, and adds nothing, if all `offered` slots are used. `clear` begins
  /// a new batch, and so does a socket's next call.
  ///
  /// \code
  /// dgram::receive_batch batch{32};
  /// batch.store("payload", peer);
  /// for (const dgram::datagram& datagram : batch)
  ///   handle(datagram.payload(), datagram.sender());
  /// \endcode
  bool store(bytes_view payload, const endpoint_type& sender, const arrival_info& info = {})
  {
    if (at_.used >= at_.offered) return false;
    if (!stored_) stored_ = std::make_unique<control_type[]>(capacity());
    control_type& said = stored_[at_.used];
    static_cast<platform::received_control&>(said) = detail::to_control(info);
    slot& filled = slots_[at_.used];
    filled.wire_size = static_cast<std::uint32_t>(
        std::min<std::size_t>(std::max(payload.size(), info.wire_size.value_or(0)),
                              std::numeric_limits<std::uint32_t>::max()));
    // `size` reads the size of this buffer, even if the datagram was cut earlier.
    const std::size_t kept = std::min(payload.size(), slot_size_);
    filled.truncated = filled.wire_size > kept;
    filled.buffer = platform::make_buffer(room(at_.used), kept);
    if (kept > 0) std::memcpy(platform::buffer_data(filled.buffer), payload.data(), kept);
    filled.sender = sender;
    filled.segment = said.segment;
    filled.needs_source = info.wildcard;
    filled.control = &said;
    note_way_back(at_.used, said);
    ++at_.used;
    at_.bytes += kept;
    at_.truncated += filled.truncated ? 1 : 0;
    at_.datagrams += filled.is_train() ? (kept - 1) / filled.segment + 1 : 1;
    return true;
  }

  /// How many datagrams the last call received.
  std::size_t size() const noexcept { return at_.datagrams; }
  bool empty() const noexcept { return at_.datagrams == 0; }

  /// How many slots they use: fewer if the kernel has put some together.
  std::size_t used_slots() const noexcept { return at_.used; }

  /// Iterates over the datagrams, and creates a `datagram` at each.
  class const_iterator {
  public:
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = basic_datagram<Protocol>;
    using difference_type = std::ptrdiff_t;
    using reference = value_type;
    using pointer = void;

    const_iterator() noexcept = default;

    DGRAM_INLINE value_type operator*() const noexcept { return view(*slot_, offset_); }
    DGRAM_INLINE const_iterator& operator++() noexcept
    {
      offset_ += slot_->segment;
      if (slot_->segment == 0 || offset_ >= slot_->size()) {
        ++slot_;
        offset_ = 0;
      }
      return *this;
    }
    const_iterator operator++(int) noexcept
    {
      auto before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const const_iterator&, const const_iterator&) noexcept = default;

  private:
    friend basic_receive_batch;
    friend detail::slot_access;
    explicit const_iterator(const detail::received_slot<Protocol>* slot) noexcept : slot_(slot) {}

    const detail::received_slot<Protocol>* slot_ = nullptr;
    std::size_t offset_ = 0;
  };

  /// The datagram at `index`. If the kernel has put some together, this call counts from the start:
  /// iterate instead.
  value_type operator[](std::size_t index) const noexcept
  {
    if (at_.used == at_.datagrams) return view(slots_[index], 0);
    auto at = begin();
    while (index-- > 0)
      ++at;
    return *at;
  }

  const_iterator begin() const noexcept { return const_iterator(slots_.data()); }
  const_iterator end() const noexcept { return const_iterator(slots_.data() + at_.used); }

  // For sockets only; other code need not call these.

  /// Makes the slots ready to be filled.
  std::span<platform::message> prepare(const detail::socket_flags& flags, error_code& ec)
  {
    ec.clear();
    clear();
    if (stored_) forget_stored();
    if (flags.coalescing && slot_size_ < default_slot_size) {
      ec = error::slot_too_small;
      return {};
    }
    const std::size_t wanted = control_wanted(flags);
    if (wanted != control_size_) change_control(wanted);
    if (flags.wildcard != needs_source_) change_needs_source(flags.wildcard);
    return {messages_.data(), at_.offered};
  }

  /// Takes the first `count` slots as filled. Makes their messages ready for the next call while
  /// they are in the cache.
  void commit(std::size_t count, const detail::socket_flags& flags)
  {
    at_.used = at_.datagrams = count;
    std::size_t bytes = 0;
    std::size_t truncated = 0;
    for (std::size_t i = 0; i < count; ++i) {
      slot& filled = slots_[i];
      filled.wire_size = static_cast<std::uint32_t>(messages_[i].size());
      filled.truncated = messages_[i].truncated();
      // A Unix path may fill its room, and the kernel counts a terminating zero even then
      // (unix(7)).
      filled.sender.resize(
          std::min<std::size_t>(messages_[i].address_size(), filled.sender.capacity()));
      messages_[i].set_address(filled.sender.data(), filled.sender.capacity());
      bytes += filled.size();
      truncated += filled.truncated ? 1 : 0;
      if constexpr (detail::dual_stack_protocol<Protocol>)
        if (flags.dual) filled.sender = canonical(filled.sender);
    }
    at_.bytes = bytes;
    at_.truncated = truncated;
    if (control_) read_control(flags);
  }

  /// For the last call: the bytes, the datagrams that were cut, and those that came in trains.
  std::size_t bytes() const noexcept { return at_.bytes; }
  std::size_t truncated() const noexcept { return at_.truncated; }
  std::size_t coalesced() const noexcept
  {
    if (at_.datagrams == at_.used) return 0;
    std::size_t alone = 0;
    for (std::size_t i = 0; i < at_.used; ++i)
      alone += slots_[i].is_train() ? 0U : 1U;
    return at_.datagrams - alone;
  }

  /// The kernel's count of drops when it queued the last datagram.
  std::optional<std::uint32_t> dropped() const noexcept
  {
    if (at_.used == 0) return std::nullopt;
    const auto* const last = slots_[at_.used - 1].control;
    if (last == nullptr || !last->has(platform::received_control::drops_given)) return std::nullopt;
    return last->drops;
  }

  /// One whole slot, as it was received.
  using slot = detail::received_slot<Protocol>;

  std::span<const slot> slots() const noexcept { return {slots_.data(), at_.used}; }

  /// The first datagram of a slot. Its metadata holds for all datagrams of the slot.
  value_type first_of_slot(std::size_t index) const noexcept { return view(slots_[index], 0); }

private:
  struct counts {
    std::size_t offered = 0;
    std::size_t used = 0;
    std::size_t datagrams = 0;
    std::size_t bytes = 0;
    std::size_t truncated = 0;
  };

  static std::size_t checked(std::size_t capacity, std::size_t slot_size)
  {
    return detail::checked_slots("receive_batch: capacity", capacity, "receive_batch: slot size",
                                 slot_size);
  }

  template <class Packets>
  static std::size_t smallest(Packets& packets)
  {
    if (std::ranges::empty(packets)) throw std::invalid_argument("receive_batch: no packets");
    std::size_t size = std::numeric_limits<std::size_t>::max();
    for (auto&& packet : packets)
      size = std::min(size, detail::room_of(packet).size());
    return size;
  }

  std::byte* room(std::size_t index) const noexcept
  {
    return given_.empty() ? storage_.get() + index * stride_ : given_[index];
  }

  void set_up_slots()
  {
    at_.offered = capacity();
    for (std::size_t i = 0; i < capacity(); ++i) {
      slots_[i].buffer = platform::make_buffer(room(i), slot_size_);
      messages_[i].set_buffers(&slots_[i].buffer, 1);
      messages_[i].set_address(slots_[i].sender.data(), slots_[i].sender.capacity());
    }
  }

  /// The control room is a number of whole cache lines.
  static constexpr std::size_t control_alignment = 64;

  /// Room for only a train's size is small, and stays in the cache.
  static constexpr std::size_t train_control_size = 64;

  std::size_t control_wanted(const detail::socket_flags& flags) const noexcept
  {
    // If there is room, the kernel puts descriptors of a Unix socket there. Only callers of
    // `reserve_control` expect them.
    const bool all =
        (flags.metadata != 0 && !detail::path_protocol<Protocol>) || reserved_control_ > 0;
    if (!all) return flags.coalescing ? train_control_size : 0;
    const std::size_t size = platform::receive_control_size + reserved_control_;
    return (size + control_alignment - 1) / control_alignment * control_alignment;
  }

  std::span<std::byte> control_room(std::size_t index) noexcept
  {
    return {control_.get() + index * control_size_, control_size_};
  }

  void change_control(std::size_t size)
  {
    // Allocates both or none, because the messages refer to the present memory.
    auto control =
        size > 0 ? std::make_unique_for_overwrite<std::byte[]>(capacity() * size) : nullptr;
    metadata_ = size > train_control_size ? std::make_unique<control_type[]>(capacity()) : nullptr;
    control_ = std::move(control);
    control_size_ = size;
    for (std::size_t i = 0; i < capacity(); ++i) {
      slots_[i].segment = 0;
      slots_[i].control = metadata_ ? &metadata_[i] : nullptr;
      if (control_)
        messages_[i].set_control(control_room(i));
      else
        messages_[i].clear_control();
    }
  }

  void close_descriptors() noexcept
  {
    if constexpr (detail::path_protocol<Protocol>)
      for (std::size_t i = 0; metadata_ && i < at_.used; ++i)
        if (slots_[i].control != nullptr) platform::close_descriptors(slots_[i].control->raw);
  }

  void change_needs_source(bool needs_source)
  {
    needs_source_ = needs_source;
    for (slot& each : slots_)
      each.needs_source = needs_source;
  }

  void read_control(const detail::socket_flags& flags)
  {
    for (std::size_t i = 0; i < at_.used; ++i) {
      const platform::message& message = messages_[i];
      slot& filled = slots_[i];
      if (metadata_) {
        control_type& said = metadata_[i];
        platform::read_control(message.control(), message.control_truncated(), said);
        said.assume_no_drops(flags.silence_is_no_drop);
        filled.segment = said.segment;
        note_way_back(i, said);
      } else {
        filled.segment = static_cast<std::uint32_t>(message.segment_size());
      }
      messages_[i].set_control(control_room(i));
      if (filled.is_train()) at_.datagrams += (filled.size() - 1) / filled.segment;
    }
  }

  /// All datagrams of a train have the same way back.
  void note_way_back(std::size_t index, control_type& of) const
  {
    of.knows_way_back = false;
    if (!slots_[index].is_train()) return;
    error_code ec;
    of.way_back = view(slots_[index], 0).reply_path(ec);
    of.knows_way_back = !ec;
  }

  /// Returns the slots to the kernel's use.
  DGRAM_COLD void forget_stored()
  {
    stored_.reset();
    for (std::size_t i = 0; i < capacity(); ++i) {
      slots_[i].buffer = platform::make_buffer(room(i), slot_size_);
      slots_[i].segment = 0;
      slots_[i].needs_source = needs_source_;
      slots_[i].control = metadata_ ? &metadata_[i] : nullptr;
    }
  }

  DGRAM_INLINE static value_type view(const slot& of, std::size_t offset) noexcept
  {
    const std::size_t rest = of.size() - offset;
    const bool is_last = of.segment == 0 || rest <= of.segment;
    auto* const bytes = static_cast<std::byte*>(platform::buffer_data(of.buffer));
    return {{bytes + offset, is_last ? rest : of.segment}, of, is_last};
  }

  std::size_t slot_size_;
  std::size_t stride_;
  detail::reset_on_move<counts> at_;
  bool needs_source_ = false;
  std::size_t control_size_ = 0;  // of each slot
  std::size_t reserved_control_ = 0;
  std::vector<slot> slots_;
  std::vector<platform::message> messages_;
  std::unique_ptr<std::byte[]> control_;
  std::unique_ptr<control_type[]> metadata_;
  std::unique_ptr<control_type[]> stored_;  // of what `store` has added
  std::unique_ptr<std::byte[]> storage_;    // null if the memory is the caller's
  std::vector<std::byte*> given_;           // the caller's memory for each slot
};

/// Datagrams of a reader's batch: a range that converts to false if it is empty.
template <class Protocol>
class basic_datagrams {
public:
  using iterator = typename basic_receive_batch<Protocol>::const_iterator;

  basic_datagrams(iterator first, iterator last, std::size_t size) noexcept
      : first_(first), last_(last), size_(size)
  {
  }

  iterator begin() const noexcept { return first_; }
  iterator end() const noexcept { return last_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  explicit operator bool() const noexcept { return !empty(); }

private:
  iterator first_;
  iterator last_;
  std::size_t size_;
};
using receive_batch = basic_receive_batch<udp>;
using datagram = basic_datagram<udp>;
using owned_datagram = basic_owned_datagram<udp>;

#if defined(DGRAM_COMPILED)
// One unit of the program defines these; see dgram/compiled.hpp.
extern template class basic_receive_batch<udp>;
#endif

DGRAM_NAMESPACE_END

#endif
