// SPDX-License-Identifier: BSL-1.0
// Control messages of any kind: a reader and a writer that stay inside their bytes.
#ifndef DGRAM_CONTROL_MESSAGE_HPP
#define DGRAM_CONTROL_MESSAGE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/control.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <optional>
#include <span>
#include <type_traits>

DGRAM_NAMESPACE_BEGIN

/// One control message (cmsg(3)) of a received datagram: what the kernel says beside its bytes.
/// Valid as long as the datagram.
struct control_message {
  int level = 0;  ///< the protocol that it is of, such as `SOL_SOCKET` or `IPPROTO_IP`
  int type = 0;   ///< which of the protocol's messages it is
  std::span<const std::byte> data;  ///< its value, as the kernel lays it out

  /// The value that the data begin with; absent where they are too short for one.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  std::optional<T> as() const noexcept
  {
    T value;
    if (!platform::control_item{level, type, data}.read(value)) return std::nullopt;
    return value;
  }
};

/// The control messages of a received datagram, one after the other: a range. It ends at the first
/// message that is not whole, and reads nothing beyond its bytes, whatever they are.
///
/// A datagram has them where an option asks the kernel for some. For messages that no option of the
/// library's asks for, set Asio's or the system's option on the socket, and let the batch offer
/// room (`basic_receive_batch::reserve_control`).
///
/// \code
/// dgram::receive_batch batch{32};
/// batch.reserve_control(64);
/// co_await socket.async_receive_batch(batch);
/// for (const dgram::datagram& datagram : batch)
///   for (const dgram::control_message& message : datagram.control_messages())
///     fmt::print("level {}, type {}, {} bytes\n", message.level, message.type, message.data.size());
/// \endcode
class control_messages {
public:
  control_messages() noexcept = default;
  explicit control_messages(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  class const_iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using iterator_concept = std::forward_iterator_tag;
    using value_type = control_message;
    using difference_type = std::ptrdiff_t;
    using reference = control_message;
    using pointer = void;

    const_iterator() noexcept = default;

    control_message operator*() const noexcept { return {item_.level, item_.type, item_.data}; }

    const_iterator& operator++() noexcept
    {
      at_ = next_;
      if (!platform::next_control(bytes_, next_, item_)) at_ = next_ = bytes_.size() + 1;
      return *this;
    }

    const_iterator operator++(int) noexcept
    {
      auto before = *this;
      ++*this;
      return before;
    }

    friend bool operator==(const const_iterator& a, const const_iterator& b) noexcept
    {
      return a.at_ == b.at_;
    }

  private:
    friend control_messages;
    const_iterator(std::span<const std::byte> bytes, bool at_end) noexcept : bytes_(bytes)
    {
      if (at_end)
        at_ = next_ = bytes_.size() + 1;
      else
        ++*this;
    }

    std::span<const std::byte> bytes_;
    platform::control_item item_;
    std::size_t at_ = 0;
    std::size_t next_ = 0;
  };

  const_iterator begin() const noexcept { return {bytes_, false}; }
  const_iterator end() const noexcept { return {bytes_, true}; }
  bool empty() const noexcept { return begin() == end(); }

  /// The value of the first message of this kind; absent where there is none, or it is too short.
  template <class T>
  std::optional<T> find(int level, int type) const noexcept
  {
    for (const control_message& message : *this)
      if (message.level == level && message.type == type) return message.as<T>();
    return std::nullopt;
  }

  /// The bytes, as the kernel wrote them.
  std::span<const std::byte> bytes() const noexcept { return bytes_; }

private:
  std::span<const std::byte> bytes_;
};

/// Control messages to be sent with a datagram, for what `send_options` has no member for; at most
/// 64 bytes in all.
///
/// \code
/// dgram::control_writer extra;
/// extra.add(SOL_SOCKET, SO_MARK, std::uint32_t{7});
/// socket.send_to(asio::buffer(query), peer, dgram::send_options{.control = extra.bytes()});
/// \endcode
class control_writer {
public:
  static constexpr std::size_t capacity = platform::user_control_size;

  /// Adds a message; false, and nothing changed, where there is no room for it.
  bool add(int level, int type, std::span<const std::byte> data) noexcept
  {
    return platform::append_control(room_, used_, level, type, data.data(), data.size());
  }

  /// The same with a value. What only refers to bytes is none: of those above the bytes are added,
  /// of others it does not compile.
  template <class T>
    requires(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::ranges::view<T> &&
             !std::convertible_to<const T&, std::span<const std::byte>>)
  bool add(int level, int type, const T& value) noexcept
  {
    return platform::append_control(room_, used_, level, type, &value, sizeof value);
  }

  void clear() noexcept { used_ = 0; }
  bool empty() const noexcept { return used_ == 0; }

  /// What was added, as the kernel takes it; valid until the writer changes.
  std::span<const std::byte> bytes() const noexcept
  {
    return std::span<const std::byte>(room_).first(used_);
  }

private:
  alignas(std::max_align_t) std::array<std::byte, capacity> room_{};
  std::size_t used_ = 0;
};

DGRAM_NAMESPACE_END

#endif
