// SPDX-License-Identifier: BSL-1.0
// Copies of datagrams that wait for their session, in memory that is used again.
#ifndef DGRAM_DETAIL_SESSIONS_INBOX_HPP
#define DGRAM_DETAIL_SESSIONS_INBOX_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/platform/basics.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Pieces of memory of power-of-two sizes. What is given back is kept for the next piece of its
/// size. `most` bounds what is in use and kept, together.
class piece_pool {
public:
  explicit piece_pool(std::size_t most) noexcept : most_(most) {}
  piece_pool(const piece_pool&) = delete;
  piece_pool& operator=(const piece_pool&) = delete;
  ~piece_pool() { release_kept(); }

  /// Returns memory, or null if the limit or the system refuses it. Sets the size to the true one.
  void* take(std::size_t& size) noexcept
  {
    size = std::bit_ceil(std::max(size, smallest));
    kept*& first = kept_[order_of(size)];
    if (first != nullptr) return std::exchange(first, first->next);
    if (size > most_ || all_ > most_ - size) release_kept();
    if (size > most_ || all_ > most_ - size) return nullptr;
    void* const piece = ::operator new(size, std::nothrow);
    if (piece != nullptr) all_ += size;
    return piece;
  }

  void give_back(void* piece, std::size_t size) noexcept
  {
    kept*& first = kept_[order_of(size)];
    first = ::new (piece) kept{first, size};
  }

private:
  struct kept {
    kept* next;
    std::size_t size;
  };

  static constexpr std::size_t smallest = 128;

  static std::size_t order_of(std::size_t size) noexcept
  {
    return static_cast<std::size_t>(std::countr_zero(size));
  }

  void release_kept() noexcept
  {
    for (kept*& first : kept_)
      while (first != nullptr) {
        all_ -= first->size;
        ::operator delete(std::exchange(first, first->next));
      }
  }

  std::size_t most_;
  std::size_t all_ = 0;
  std::array<kept*, 64> kept_{};
};

template <class Protocol>
class inbox;

/// A copy of a datagram with its metadata, or of several datagrams of a train that follow each
/// other. The payloads follow it in memory. An inbox takes it apart.
template <class Protocol>
class inbox_datagram {
  using control_type = slot_control<Protocol>;

public:
  using datagram_type = basic_datagram<Protocol>;

  static constexpr std::size_t most_neighbours = std::numeric_limits<std::uint8_t>::max() - 1;

  /// Copies the datagram. Returns null if the pool refuses the memory.
  template <class Pool>
  static inbox_datagram* make(Pool& pool, const datagram_type& from) noexcept
  {
    return make_with(pool, from, 0);
  }

  /// The same, with its next `neighbours`, of which there is at least one. The train must be in the
  /// memory where it was received.
  template <class Pool>
  static inbox_datagram* make(Pool& pool, const datagram_type& from,
                              std::size_t neighbours) noexcept
  {
    const std::size_t rest = rest_of_train(from);
    const std::size_t wanted = std::min(neighbours * from.payload().size(), rest);
    auto* const made = make_with(pool, from, wanted);
    if (made == nullptr) return nullptr;
    made->is_last_ = false;
    made->ends_train_ = wanted == rest;
    return made;
  }

  inbox_datagram(const inbox_datagram&) = delete;
  inbox_datagram& operator=(const inbox_datagram&) = delete;

  /// What was taken from the inbox last, or the first datagram.
  datagram_type view() const noexcept { return {payload_, slot_, is_last_}; }

  std::size_t payload_size() const noexcept { return payload_.size(); }

  /// The payload bytes of what follows the view.
  std::size_t rest() const noexcept { return rest_; }

  /// Gives the memory back when nothing of it is used.
  void release(piece_pool& pool) noexcept
  {
    if (--users_ == 0) pool.give_back(this, size_);
  }

protected:
  DGRAM_INLINE inbox_datagram(const datagram_type& from, std::size_t rest, std::size_t size,
                              std::byte* room) noexcept
      : slot_(slot_access::slot(from)),
        size_(size),
        rest_(static_cast<std::uint32_t>(rest)),
        is_last_(slot_access::is_last(from))
  {
    static_assert(std::is_trivially_destructible_v<with_control>);
    const bytes_view payload = from.payload();
    auto* const bytes = room != nullptr ? room : reinterpret_cast<std::byte*>(this + 1);
    if (!payload.empty()) std::memcpy(bytes, payload.data(), payload.size() + rest);
    payload_ = {bytes, payload.size()};
    // Only the size still counts: it is that of the train.
    slot_.buffer = platform::make_buffer(bytes, platform::buffer_size(slot_.buffer));
  }

  struct with_control;

private:
  friend class inbox<Protocol>;

  template <class Pool>
  DGRAM_INLINE static inbox_datagram* make_with(Pool& pool, const datagram_type& from,
                                                std::size_t rest) noexcept
  {
    const auto& slot = slot_access::slot(from);
    const std::size_t metadata = slot.control != nullptr ? slot.control->raw.size() : 0;
    std::size_t size = (slot.control != nullptr ? sizeof(with_control) : sizeof(inbox_datagram)) +
                       metadata + from.payload().size() + rest;
    void* const memory = pool.take(size);
    if (memory == nullptr) return nullptr;
    if (slot.control == nullptr) return ::new (memory) inbox_datagram(from, rest, size, nullptr);
    return ::new (memory) with_control(from, rest, size, *slot.control);
  }

  static std::size_t rest_of_train(const datagram_type& from) noexcept
  {
    const auto& slot = slot_access::slot(from);
    const auto* const begin = static_cast<const std::byte*>(platform::buffer_data(slot.buffer));
    const bytes_view payload = from.payload();
    return static_cast<std::size_t>(begin + slot.size() - payload.data()) - payload.size();
  }

  /// Makes the next datagram the view. The first call is for the first one.
  void advance() noexcept
  {
    if (!std::exchange(is_begun_, true)) return;
    const std::uint32_t size = std::min(slot_.segment, rest_);
    payload_ = {payload_.data() + payload_.size(), size};
    rest_ -= size;
    is_last_ = rest_ == 0 && ends_train_;
  }

  inbox_datagram* next_ = nullptr;
  received_slot<Protocol> slot_;
  std::span<std::byte> payload_;  // of the view
  std::size_t size_;              // of the memory
  std::uint32_t rest_;
  std::uint8_t users_ = 1;  // the inbox counts as one, and each datagram that is taken as one
  bool is_last_;            // the view is the last datagram of its train
  bool is_begun_ = false;
  bool ends_train_ = false;
};

template <class Protocol>
struct inbox_datagram<Protocol>::with_control : inbox_datagram {
  with_control(const datagram_type& from, std::size_t rest, std::size_t size,
               const control_type& said) noexcept
      : inbox_datagram(from, rest, size, reinterpret_cast<std::byte*>(this + 1) + said.raw.size()),
        control(said)
  {
    auto* const raw = reinterpret_cast<std::byte*>(this + 1);
    if (!said.raw.empty()) std::memcpy(raw, said.raw.data(), said.raw.size());
    control.raw = {raw, said.raw.size()};
    this->slot_.control = &control;
  }

  control_type control;
};

/// The datagrams that wait in a session, oldest first.
template <class Protocol>
class inbox {
public:
  using node = inbox_datagram<Protocol>;

  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return count_; }
  std::size_t bytes() const noexcept { return bytes_; }

  /// Adds a node of so many datagrams.
  void push(node* added, std::size_t count = 1) noexcept
  {
    (empty() ? first_ : last_->next_) = added;
    last_ = added;
    count_ += static_cast<std::uint32_t>(count);
    bytes_ += static_cast<std::uint32_t>(added->payload_size() + added->rest());
  }

  /// Takes the oldest datagram. Look at the view of the node before the next one is taken.
  node* pop() noexcept
  {
    node* const from = first_;
    if (from->rest_ > 0) from->advance();
    --count_;
    bytes_ -= static_cast<std::uint32_t>(from->payload_size());
    if (from->rest_ == 0)
      first_ = from->next_;
    else
      ++from->users_;
    return from;
  }

private:
  node* first_ = nullptr;
  node* last_ = nullptr;
  std::uint32_t bytes_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
