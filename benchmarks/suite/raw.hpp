// SPDX-License-Identifier: BSL-1.0
// Bare system calls, used as a C programmer would: everything is set up once, and only what the
// kernel changes is reset. The controls are made of these, and so is the load.
#ifndef DGRAM_BENCHMARKS_SUITE_RAW_HPP
#define DGRAM_BENCHMARKS_SUITE_RAW_HPP

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace bench::raw {

/// A descriptor that is closed with its owner.
class descriptor {
public:
  explicit descriptor(int fd = -1) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(other.release()) {}
  descriptor& operator=(descriptor&& other) noexcept;
  ~descriptor();

  int get() const noexcept { return fd_; }
  int release() noexcept;

private:
  int fd_;
};

/// The largest payload of one message, and the most datagrams that the kernel cuts it into
/// (udp(7)).
inline constexpr std::size_t max_train_bytes = 65507;
inline constexpr std::size_t max_train_datagrams = 64;

/// How many datagrams of this size fit into one message. Empty ones cannot be put together.
std::size_t train_length(std::size_t payload) noexcept;

/// The same, with the most datagrams that this kernel takes: newer ones cut a message into 128.
std::size_t longest_train(std::size_t payload);

/// A UDP socket on a free port of this address, with room for what a benchmark queues.
descriptor make_socket(in_addr_t address = INADDR_LOOPBACK);
sockaddr_in address_of(int fd);
void connect(int fd, const sockaddr_in& peer);
void set_coalescing(int fd, bool on);
void wait_readable(int fd);
void wait_writable(int fd);

/// Slots of `recvmmsg`.
class receive_slots {
public:
  /// With `coalesced` every slot has room for the size of the datagrams in a train.
  receive_slots(std::size_t count, std::size_t size, bool coalesced);

  /// Fills slots and returns how many; 0 where nothing is queued.
  std::size_t receive(int fd);

  std::byte* data(std::size_t slot) noexcept { return storage_.get() + slot * stride_; }
  std::size_t size(std::size_t slot) const noexcept { return messages_[slot].msg_len; }
  const sockaddr_in& sender(std::size_t slot) const noexcept { return senders_[slot]; }

  /// The size of the slot's datagrams, of which the last may be shorter.
  std::size_t segment_size(std::size_t slot) const noexcept;

  /// How many datagrams the slot holds.
  std::size_t datagrams(std::size_t slot) const noexcept;

private:
  struct control {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> bytes;
  };

  // Slots that are a power of two apart would compete for the same lines of the cache.
  static constexpr std::size_t stagger = 64;

  std::size_t stride_;
  std::size_t used_ = 0;
  std::unique_ptr<std::byte[]> storage_;
  std::vector<iovec> buffers_;
  std::vector<sockaddr_in> senders_;
  std::vector<control> controls_;
  std::vector<mmsghdr> messages_;
};

/// Messages of `sendmmsg`.
class send_messages {
public:
  explicit send_messages(std::size_t capacity);

  bool full() const noexcept { return count_ == messages_.size(); }
  std::size_t size() const noexcept { return count_; }
  void clear() noexcept { count_ = 0; }

  /// Adds a message. `peer` stays the caller's, and is null on a connected socket. With a segment
  /// size the kernel cuts the payload apart.
  void add(const void* data, std::size_t size, const sockaddr_in* peer, std::size_t segment = 0);

  /// The same with a payload in several places; `buffers` stay the caller's.
  void add_gathered(iovec* buffers, std::size_t count, const sockaddr_in* peer,
                    std::size_t segment);

  /// The last message gets longer: what follows it in memory belongs to it, too.
  void extend(std::size_t size, std::size_t segment);

  /// Sends all, waiting where the kernel has no room, and leaves them as they are.
  void send(int fd);

private:
  struct control {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> bytes;
  };

  void set_segment_size(std::size_t index, std::size_t segment);

  std::size_t count_ = 0;
  std::vector<iovec> buffers_;
  std::vector<control> controls_;
  std::vector<mmsghdr> messages_;
};

/// Copies datagrams side by side; runs of equal size to one peer leave as one message each.
class reply_arena {
public:
  reply_arena(std::size_t datagrams, std::size_t bytes);

  /// `peer` must stay until the flush. Flushes where there is no room.
  void add(int fd, const std::byte* data, std::size_t size, const sockaddr_in& peer);
  void flush(int fd);

private:
  bool continues_run(std::size_t size, const sockaddr_in& peer) const noexcept;

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t capacity_;
  std::size_t used_ = 0;
  send_messages messages_;
  const sockaddr_in* run_peer_ = nullptr;
  std::size_t run_segment_ = 0;
  std::size_t run_bytes_ = 0;
  std::size_t run_datagrams_ = 0;
  bool run_ended_ = false;
};

/// Answers what the first `filled` slots hold; returns how many datagrams that was.
std::size_t answer_coalesced(int fd, receive_slots& in, std::size_t filled, reply_arena& out);

}  // namespace bench::raw

#endif
