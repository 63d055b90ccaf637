// SPDX-License-Identifier: BSL-1.0
// What a transport reads of a datagram that waits in a send batch.
#ifndef DGRAM_WAITING_DATAGRAM_HPP
#define DGRAM_WAITING_DATAGRAM_HPP

#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/platform/backend.hpp>
#include <dgram/detail/socket/send_request.hpp>
#include <dgram/send_options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

DGRAM_NAMESPACE_BEGIN

/// A datagram that waits in a send batch. A transport that is not a system socket reads it. It is
/// valid until the batch is changed.
template <class Protocol>
class basic_waiting_datagram {
public:
  using endpoint_type = typename Protocol::endpoint;

  basic_waiting_datagram(std::span<const platform::buffer> pieces, std::size_t size,
                         const endpoint_type* peer, const detail::send_request* request) noexcept
      : pieces_(pieces), size_(size), peer_(peer), request_(request)
  {
  }

  /// The size of the payload in bytes.
  std::size_t size() const noexcept { return size_; }

  /// The destination; null means the peer that the socket is connected to.
  const endpoint_type* peer() const noexcept { return peer_; }

  /// The destination with the source that the datagram asks for. There must be a peer.
  basic_reply_path<Protocol> path() const noexcept
  {
    basic_reply_path<Protocol> path{*peer_};
    if (request_ != nullptr) request_->restore(path);
    return path;
  }

  /// What the datagram asks for. `segment_size` is always absent: a buffer that was pushed with a
  /// segment size is read as the datagrams that it becomes.
  send_options options() const noexcept
  {
    send_options asked = request_ != nullptr ? request_->options() : send_options();
    asked.segment_size.reset();
    return asked;
  }

  /// Copies as much of the payload as `room` can hold. Returns the number of bytes copied.
  std::size_t copy_to(std::span<std::byte> room) const noexcept
  {
    std::size_t copied = 0;
    for (const platform::buffer& piece : pieces_) {
      const std::size_t most = std::min(size_, room.size()) - copied;
      const std::size_t size = std::min(platform::buffer_size(piece), most);
      if (size > 0) std::memcpy(room.data() + copied, platform::buffer_data(piece), size);
      copied += size;
    }
    return copied;
  }

private:
  std::span<const platform::buffer> pieces_;
  std::size_t size_;
  const endpoint_type* peer_;
  const detail::send_request* request_;
};

DGRAM_NAMESPACE_END

#endif
