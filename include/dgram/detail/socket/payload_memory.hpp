// SPDX-License-Identifier: BSL-1.0
// The memory of a send batch for the payloads that it copies.
#ifndef DGRAM_DETAIL_SOCKET_PAYLOAD_MEMORY_HPP
#define DGRAM_DETAIL_SOCKET_PAYLOAD_MEMORY_HPP

#include <dgram/config.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// Payloads side by side, in the order in which they were pushed.
class payload_memory {
public:
  // Gathering many small pieces costs the kernel more than copying them costs here.
  static constexpr std::size_t many_pieces = 8;
  static constexpr std::size_t small_payload = 512;

  /// For a batch that copies all payloads, so many bytes.
  explicit payload_memory(std::size_t bytes)
      : size_(bytes), bytes_(std::make_unique_for_overwrite<std::byte[]>(bytes))
  {
  }

  /// For a batch that copies small payloads of `datagrams` datagrams at most. `provide` allocates.
  static payload_memory for_small(std::size_t datagrams) noexcept
  {
    payload_memory made;
    made.size_ = std::min(datagrams, most_small) * small_payload;
    return made;
  }

  /// Returns false if there is no memory.
  bool provide() noexcept
  {
    if (!bytes_) bytes_.reset(new (std::nothrow) std::byte[size_]);
    return bytes_ != nullptr;
  }

  /// Where the next payload lies.
  std::byte* end() const noexcept { return bytes_.get() + used_; }
  std::size_t room() const noexcept { return size_ - used_; }

  void take(std::size_t bytes) noexcept { used_ += bytes; }
  void clear() noexcept { used_ = 0; }

private:
  static constexpr std::size_t most_small = 2048;

  payload_memory() noexcept = default;

  std::size_t size_ = 0;
  std::size_t used_ = 0;
  std::unique_ptr<std::byte[]> bytes_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
