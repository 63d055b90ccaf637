// SPDX-License-Identifier: BSL-1.0
// The program in the kernel that selects a socket among those that share a port (socket(7),
// SO_ATTACH_REUSEPORT_CBPF), and the same selection for this process.
#ifndef DGRAM_DETAIL_PLATFORM_STEERING_HPP
#define DGRAM_DETAIL_PLATFORM_STEERING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/platform/basics.hpp>
#include <dgram/detail/platform/names.hpp>
#include <dgram/detail/platform/queries.hpp>
#include <dgram/detail/platform/random.hpp>
#include <dgram/detail/platform/system.hpp>
#include <dgram/shard_group_config.hpp>

#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)
#define DGRAM_HAS_STEERING 1
#include <linux/filter.h>
#include <poll.h>
#include <sys/socket.h>
#else
#define DGRAM_HAS_STEERING 0
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <variant>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace platform {

/// The most members of a group. The kernel limits the length of a program (BPF_MAXINSNS).
inline constexpr std::size_t max_shards = 256;

/// The hash over the sender, with which the kernel and this process agree.
///
/// The first step multiplies each half word with a secret number. Two senders meet with probability
/// 2^-16, whichever they are (multilinear hashing, Dietzfelbinger 1996). The second step asks for
/// each member from the last to the second, whether the sender belongs to it, with probability
/// 1/(index + 1). The answer does not depend on the number of members. So the senders are spread
/// evenly, and few of them move when the number changes.
class steering_hash {
public:
  /// Takes the secret from the system's source of random numbers. Throws what that throws.
  steering_hash() { fill_random(keys); }

  /// The first key is for the port, the next ones for the address, and the last one is added.
  std::array<std::uint32_t, 10> keys{};

  static constexpr std::uint32_t spread = 0x9E3779B1;

  /// An odd number for each member, and one to combine with.
  static constexpr std::uint32_t factor(std::size_t member) noexcept
  {
    return mixed(static_cast<std::uint32_t>(2 * member)) | 1U;
  }
  static constexpr std::uint32_t mask(std::size_t member) noexcept
  {
    return mixed(static_cast<std::uint32_t>(2 * member + 1));
  }

  /// A value below this says that the sender belongs to the member.
  static constexpr std::uint32_t bound(std::size_t member) noexcept
  {
    return static_cast<std::uint32_t>((std::uint64_t{1} << 32U) / (member + 1));
  }

  /// Returns the member of a sender, whose address is no mapped IPv4 one.
  std::size_t member_of(const net::ip::udp::endpoint& sender, std::size_t members) const noexcept
  {
    std::uint32_t sum = keys.back() + keys.front() * sender.port();
    const auto add = [&](const auto& bytes) {
      for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
        sum += keys[1 + i / 2] * (std::uint32_t{bytes[i]} << 8U | bytes[i + 1]);
    };
    if (sender.address().is_v4())
      add(sender.address().to_v4().to_bytes());
    else
      add(sender.address().to_v6().to_bytes());
    const std::uint32_t value = (sum >> 16U) * spread;
    for (std::size_t member = members - 1; member > 0; --member)
      if ((value ^ mask(member)) * factor(member) < bound(member)) return member;
    return 0;
  }

private:
  static constexpr std::uint32_t mixed(std::uint32_t x) noexcept
  {
    x = (x + 1) * spread;
    x = (x ^ (x >> 16U)) * 0x7FEB352DU;
    x = (x ^ (x >> 15U)) * 0x846CA68BU;
    return x ^ (x >> 16U);
  }
};

#if DGRAM_HAS_STEERING

/// Whether this kind of system has such programs. An emulation of it may still refuse them.
inline constexpr bool has_steering = true;

/// A program in the making. Jumps are forward, to labels that are placed later. The kernel runs it
/// with the payload at offset 0 (net/core/sock_reuseport.c, run_bpf_filter). If it reads beyond the
/// datagram, its result is 0.
class steering_program {
public:
  steering_program(const shard_steering& steering, const steering_hash& hash, std::size_t members)
  {
    if (members == 1)
      emit(BPF_RET | BPF_K, 0);
    else
      std::visit([&](const auto& by) { add(by, hash, static_cast<std::uint32_t>(members)); },
                 steering);
  }

  /// Makes the program that of the group of a socket.
  void attach(int fd, error_code& ec) const noexcept
  {
    ::sock_fprog program{};
    program.len = static_cast<unsigned short>(code_.size());
    program.filter = const_cast<::sock_filter*>(code_.data());  // NOLINT(*-const-cast): only read
    set_option(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program, ec);
  }

private:
  // Offsets into the IP header, and the number of the processor.
  static constexpr std::uint32_t ip = static_cast<std::uint32_t>(SKF_NET_OFF);
  static constexpr std::uint32_t processor = static_cast<std::uint32_t>(SKF_AD_OFF) + SKF_AD_CPU;

  using jumps = std::vector<std::size_t>;

  void emit(unsigned code, std::uint32_t value)
  {
    code_.push_back({static_cast<std::uint16_t>(code), 0, 0, value});
  }

  /// Goes on at the label if A is the value.
  void jump_if(std::uint32_t value, jumps& label)
  {
    label.push_back(code_.size());
    emit(BPF_JMP | BPF_JEQ | BPF_K, value);
  }

  void jump(jumps& label)
  {
    label.push_back(code_.size());
    emit(BPF_JMP | BPF_JA, 0);
  }

  /// The next instruction is where these jumps go.
  void place(const jumps& label)
  {
    for (const std::size_t from : label) {
      ::sock_filter& jump = code_[from];
      const std::size_t distance = code_.size() - from - 1;
      if (jump.code == (BPF_JMP | BPF_JA))
        jump.k = static_cast<std::uint32_t>(distance);
      else
        jump.jt = static_cast<std::uint8_t>(distance);
    }
  }

  void add(const steer_by_sender&, const steering_hash& hash, std::uint32_t members)
  {
    jumps is_v6, has_sum;
    emit(BPF_LD | BPF_B | BPF_ABS, ip);
    emit(BPF_ALU | BPF_RSH | BPF_K, 4);
    jump_if(6, is_v6);
    add_address(hash, 12, 2);
    emit(BPF_LDX | BPF_B | BPF_MSH, ip);
    add_port(hash);
    jump(has_sum);
    place(is_v6);
    add_address(hash, 8, 8);
    add_v6_port(hash);
    place(has_sum);
    add_choice(members);
  }

  static constexpr std::uint32_t sum = 0;   // the memory word of the hash
  static constexpr std::uint32_t next = 1;  // and of the next header's number

  void add_address(const steering_hash& hash, std::uint32_t offset, std::size_t halves)
  {
    emit(BPF_LDX | BPF_IMM, hash.keys.back());
    for (std::size_t i = 0; i < halves; ++i) {
      emit(BPF_LD | BPF_H | BPF_ABS, ip + offset + static_cast<std::uint32_t>(2 * i));
      emit(BPF_ALU | BPF_MUL | BPF_K, hash.keys[1 + i]);
      emit(BPF_ALU | BPF_ADD | BPF_X, 0);
      emit(BPF_MISC | BPF_TAX, 0);
    }
    emit(BPF_STX, sum);
  }

  /// X is the length of the IP header. Leaves the hash in A.
  void add_port(const steering_hash& hash)
  {
    emit(BPF_LD | BPF_H | BPF_IND, ip);
    emit(BPF_ALU | BPF_MUL | BPF_K, hash.keys.front());
    emit(BPF_LDX | BPF_MEM, sum);
    emit(BPF_ALU | BPF_ADD | BPF_X, 0);
  }

  /// Follows the extension headers (RFC 8200, section 4). Classic programs have no loops.
  void add_v6_port(const steering_hash& hash)
  {
    constexpr std::uint32_t hop_by_hop = 0, udp = 17, routing = 43, fragment = 44, options = 60;
    jumps is_udp, is_done;
    emit(BPF_LDX | BPF_IMM, 40);
    emit(BPF_LD | BPF_B | BPF_ABS, ip + 6);
    for (int round = 0; round < 4; ++round) {
      jumps has_length, is_fragment, goes_on;
      jump_if(udp, is_udp);
      for (const std::uint32_t header : {hop_by_hop, routing, options})
        jump_if(header, has_length);
      jump_if(fragment, is_fragment);
      emit(BPF_LD | BPF_MEM, sum);
      jump(is_done);
      place(has_length);
      emit(BPF_LD | BPF_B | BPF_IND, ip);
      emit(BPF_ST, next);
      emit(BPF_LD | BPF_B | BPF_IND, ip + 1);
      emit(BPF_ALU | BPF_ADD | BPF_K, 1);  // NOLINT(misc-redundant-expression)
      emit(BPF_ALU | BPF_LSH | BPF_K, 3);
      emit(BPF_ALU | BPF_ADD | BPF_X, 0);
      jump(goes_on);
      place(is_fragment);
      emit(BPF_LD | BPF_B | BPF_IND, ip);
      emit(BPF_ST, next);
      emit(BPF_MISC | BPF_TXA, 0);
      emit(BPF_ALU | BPF_ADD | BPF_K, 8);  // NOLINT(misc-redundant-expression)
      place(goes_on);
      emit(BPF_MISC | BPF_TAX, 0);
      emit(BPF_LD | BPF_MEM, next);
    }
    jump_if(udp, is_udp);
    emit(BPF_LD | BPF_MEM, sum);
    jump(is_done);
    place(is_udp);
    add_port(hash);
    place(is_done);
  }

  /// A is the hash.
  void add_choice(std::uint32_t members)
  {
    emit(BPF_ALU | BPF_RSH | BPF_K, 16);
    emit(BPF_ALU | BPF_MUL | BPF_K, steering_hash::spread);
    emit(BPF_MISC | BPF_TAX, 0);
    for (std::uint32_t member = members - 1; member > 0; --member) {
      emit(BPF_MISC | BPF_TXA, 0);
      emit(BPF_ALU | BPF_XOR | BPF_K, steering_hash::mask(member));
      emit(BPF_ALU | BPF_MUL | BPF_K, steering_hash::factor(member));
      emit(BPF_JMP | BPF_JGE | BPF_K, steering_hash::bound(member));
      code_.back().jt = 1;
      emit(BPF_RET | BPF_K, member);
    }
    emit(BPF_RET | BPF_K, 0);
  }

  void add(const steer_by_cpu&, const steering_hash&, std::uint32_t members)
  {
    emit(BPF_LD | BPF_W | BPF_ABS, processor);
    add_remainder(members);
  }

  void add(const steer_by_payload& by, const steering_hash& hash, std::uint32_t members)
  {
    const unsigned width = by.size == 1 ? BPF_B : by.size == 2 ? BPF_H : BPF_W;
    emit(BPF_LD | BPF_W | BPF_LEN, 0);
    emit(BPF_JMP | BPF_JGE | BPF_K, static_cast<std::uint32_t>(by.offset + by.size));
    code_.back().jf = 3;  // over the next three, if the datagram is too short
    emit(BPF_LD | width | BPF_ABS, static_cast<std::uint32_t>(by.offset));
    add_remainder(members);
    add(steer_by_sender(), hash, members);
  }

  void add_remainder(std::uint32_t members)
  {
    emit(BPF_ALU | BPF_MOD | BPF_K, members);
    emit(BPF_RET | BPF_A, 0);
  }

  std::vector<::sock_filter> code_;
};

/// Whether a datagram waits in a socket's queue.
inline bool has_queued(int fd) noexcept
{
  return (events_now(fd, POLLIN) & POLLIN) != 0;
}

#else

inline constexpr bool has_steering = false;

/// This system cannot steer, so a group has one member.
class steering_program {
public:
  steering_program(const shard_steering&, const steering_hash&, std::size_t) noexcept {}

  static void attach(descriptor_type, error_code& ec) noexcept
  {
    ec = net::error::operation_not_supported;
  }
};

inline bool has_queued(descriptor_type) noexcept
{
  return false;
}

#endif

}  // namespace platform

DGRAM_NAMESPACE_END

#undef DGRAM_HAS_STEERING

#endif
