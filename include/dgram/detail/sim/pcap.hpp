// SPDX-License-Identifier: BSL-1.0
// Writes simulated datagrams to a pcap file, as raw IP packets with nanosecond times.
#ifndef DGRAM_DETAIL_SIM_PCAP_HPP
#define DGRAM_DETAIL_SIM_PCAP_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sim/host.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

DGRAM_NAMESPACE_BEGIN

namespace detail {

class sim_pcap {
public:
  /// Throws `std::runtime_error` if the file cannot be created.
  explicit sim_pcap(const std::string& path) : file_(path, std::ios::binary | std::ios::trunc)
  {
    if (!file_) throw std::runtime_error("sim::network: cannot write \"" + path + "\"");
    constexpr std::uint32_t magic_of_nanoseconds = 0xA1B23C4D;
    constexpr std::uint32_t raw_ip = 101;  // LINKTYPE_RAW
    little(magic_of_nanoseconds, 4);
    little(2, 2);  // the format's version, 2.4
    little(4, 2);
    little(0, 4);
    little(0, 4);
    little(262144, 4);
    little(raw_ip, 4);
    flush();
  }

  void write(const sim_packet& packet, sim_time now)
  {
    const bool v4 = packet.destination.address().is_v4();
    // A packet larger than IP allows does not exist: the sockets refuse it.
    const std::size_t udp_size = 8 + packet.payload.size();
    const std::size_t size = (v4 ? 20 : 40) + udp_size;
    constexpr sim_time second = 1'000'000'000;
    little(static_cast<std::uint64_t>(now / second), 4);
    little(static_cast<std::uint64_t>(now % second), 4);
    little(size, 4);
    little(size, 4);
    const std::size_t start = bytes_.size();
    if (v4)
      v4_header(packet, size);
    else
      v6_header(packet, udp_size);
    const std::size_t udp = bytes_.size();
    big(packet.source.port(), 2);
    big(packet.destination.port(), 2);
    big(udp_size, 2);
    big(0, 2);
    for (const std::byte byte : packet.payload)
      bytes_.push_back(static_cast<char>(byte));
    // The pseudo header: both addresses, the protocol, the length (RFC 768; RFC 8200, section 8.1).
    const std::size_t addresses = start + (v4 ? 12 : 8);
    std::uint32_t sum = sum_of(addresses, v4 ? 8 : 32) + 17 + static_cast<std::uint32_t>(udp_size);
    sum = fold(sum + sum_of(udp, udp_size));
    put_sum(udp + 6, sum == 0xFFFF ? 0 : sum);
    flush();
  }

private:
  void v4_header(const sim_packet& packet, std::size_t size)
  {
    const std::size_t start = bytes_.size();
    big(0x45, 1);
    big(packet.traffic_class, 1);
    big(size, 2);
    big(packet.number & 0xFFFFU, 2);
    big(0x4000, 2);  // do not fragment
    big(packet.hop_limit, 1);
    big(17, 1);
    big(0, 2);
    for (const auto byte : packet.source.address().to_v4().to_bytes())
      big(byte, 1);
    for (const auto byte : packet.destination.address().to_v4().to_bytes())
      big(byte, 1);
    put_sum(start + 10, fold(sum_of(start, 20)));
  }

  void v6_header(const sim_packet& packet, std::size_t udp_size)
  {
    big(0x60000000U | std::uint32_t{packet.traffic_class} << 20U, 4);
    big(udp_size, 2);
    big(17, 1);
    big(packet.hop_limit, 1);
    for (const auto byte : packet.source.address().to_v6().to_bytes())
      big(byte, 1);
    for (const auto byte : packet.destination.address().to_v6().to_bytes())
      big(byte, 1);
  }

  std::uint32_t sum_of(std::size_t from, std::size_t size) const
  {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const auto byte = static_cast<std::uint8_t>(bytes_[from + i]);
      sum += i % 2 == 0 ? std::uint32_t{byte} << 8U : byte;
    }
    return sum;
  }

  static std::uint32_t fold(std::uint32_t sum)
  {
    while (sum > 0xFFFF)
      sum = (sum & 0xFFFFU) + (sum >> 16U);
    return sum;
  }

  /// The complement of the sum.
  void put_sum(std::size_t place, std::uint32_t sum)
  {
    const std::uint32_t sent = ~sum & 0xFFFFU;
    bytes_[place] = static_cast<char>(sent >> 8U);
    bytes_[place + 1] = static_cast<char>(sent & 0xFFU);
  }

  void little(std::uint64_t value, int bytes)
  {
    for (int i = 0; i < bytes; ++i)
      bytes_.push_back(static_cast<char>((value >> (8 * i)) & 0xFFU));
  }

  void big(std::uint64_t value, int bytes)
  {
    for (int i = bytes - 1; i >= 0; --i)
      bytes_.push_back(static_cast<char>((value >> (8 * i)) & 0xFFU));
  }

  void flush()
  {
    file_.write(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
    bytes_.clear();
  }

  std::ofstream file_;
  std::vector<char> bytes_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
