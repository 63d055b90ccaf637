// SPDX-License-Identifier: BSL-1.0
// Control messages of any kind: a reader and a writer that stay within their bytes.
#ifndef DGRAM_CONTROL_MESSAGE_HPP
#define DGRAM_CONTROL_MESSAGE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/control.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <type_traits>

DGRAM_NAMESPACE_BEGIN

/// One control message (cmsg(3)) of a received datagram: information that the kernel adds to the
/// payload. Valid as long as the datagram.
struct control_message {
  int level = 0;  ///< the protocol that defines it, such as `SOL_SOCKET` or `IPPROTO_IP`
  int type = 0;   ///< the kind of message within the protocol
  std::span<const std::byte> data;  ///< its value, as the kernel lays it out

  /// The value at the start of the data; absent if the data are too short for it.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  std::optional<T> as() const noexcept
  {
    T value;
    if (!platform::control_item{level, type, data}.read(value)) return std::nullopt;
    return value;
  }
};

/// The process that sent a Unix datagram, as the kernel saw it at the time (`SCM_CREDENTIALS`,
/// unix(7)). A process with privileges may send other values.
struct peer_credentials {
  std::int32_t process = 0;  ///< its process id, in the receiver's namespace
  std::uint32_t user = 0;    ///< its user id
  std::uint32_t group = 0;   ///< its group id

  friend bool operator==(const peer_credentials&, const peer_credentials&) noexcept = default;
};

/// The control messages of a received datagram, as a range. The range ends at the first incomplete
/// message. It never reads beyond its bytes, whatever they contain.
///
/// A datagram has control messages if an option asks the kernel for some. If no option of the
/// library asks for the one you need, set Asio's or the system's option on the socket. Then reserve
/// room in the batch (`basic_receive_batch::reserve_control`).
///
/// \code
/// dgram::receive_batch batch{32};
/// batch.reserve_control(64);
/// co_await socket.async_receive_batch(batch);
/// for (const dgram::datagram& datagram : batch)
///   for (const dgram::control_message& message : datagram.control_messages())
///     fmt::print("level {}, type {}, {} bytes\n", message.level, message.type,
///                message.data.size());
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

  /// The value of the first message of this kind; absent if there is none or it is too short.
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

/// Control messages to send with a datagram, for requests that `send_options` has no member for.
/// They have at most 64 bytes in total.
///
/// \code
/// dgram::control_writer extra;
/// extra.add(SOL_SOCKET, SO_MARK, std::uint32_t{7});
/// socket.send_to(asio::buffer(query), peer, dgram::send_options{.control = extra.bytes()});
/// \endcode
class control_writer {
public:
  static constexpr std::size_t capacity = platform::user_control_size;

  /// Adds a message. If there is no room for it, returns false and changes nothing.
  bool add(int level, int type, std::span<const std::byte> data) noexcept
  {
    return platform::append_control(room_, used_, level, type, data.data(), data.size());
  }

  /// The same with a value. From a view of bytes, the overload above adds the bytes. Pointers and
  /// other views do not compile.
  template <class T>
    requires(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::ranges::view<T> &&
             !std::convertible_to<const T&, std::span<const std::byte>>)
  bool add(int level, int type, const T& value) noexcept
  {
    return platform::append_control(room_, used_, level, type, &value, sizeof value);
  }

  /// Adds descriptors that a Unix datagram passes to its receiver (`SCM_RIGHTS`, unix(7)), at most
  /// `max_descriptors`. They must stay open until the datagram is sent. Returns false, and changes
  /// nothing, if there is no room for them or the system has no Unix datagrams. See
  /// `send_descriptors`.
  bool add_descriptors(std::span<const platform::descriptor_type> passed) noexcept
  {
    return platform::append_descriptors(room_, used_, passed);
  }

  /// How many descriptors have room in an empty writer.
  static constexpr std::size_t max_descriptors =
      (capacity - platform::control_header_size) / sizeof(platform::descriptor_type);

  void clear() noexcept { used_ = 0; }
  bool empty() const noexcept { return used_ == 0; }

  /// The added messages in the kernel's layout; valid until the writer changes.
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
