// SPDX-License-Identifier: BSL-1.0
// What must hold of control messages whatever bytes they are: for the unit tests and the fuzzer.
#ifndef DGRAM_TESTS_SUPPORT_CONTROL_BYTES_HPP
#define DGRAM_TESTS_SUPPORT_CONTROL_BYTES_HPP

#include <dgram/control_message.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/platform/error_queue.hpp>
#include <dgram/udp.hpp>

#include <cstddef>
#include <span>

namespace test {

/// Null where all holds; else what does not.
inline const char* broken_property(std::span<const std::byte> bytes)
{
  std::size_t count = 0;
  std::size_t total = 0;
  for (const dgram::control_message& message : dgram::control_messages(bytes)) {
    ++count;
    total += message.data.size();
    if (message.data.data() < bytes.data() ||
        message.data.data() + message.data.size() > bytes.data() + bytes.size())
      return "the data of a message are inside the bytes";
    std::size_t sum = 0;
    for (const std::byte each : message.data)
      sum += static_cast<std::size_t>(each);
    if (message.data.empty() && sum != 0) return "an empty message has no data";
    if (message.as<int>().has_value() != (message.data.size() >= sizeof(int)))
      return "a value is there where the data suffice";
  }
  if (total + count * dgram::platform::control_header_size > bytes.size())
    return "messages do not overlap";

  dgram::datagram_info info;
  dgram::platform::received_control said;
  dgram::platform::read_control(bytes, false, said);
  dgram::detail::info_access::assign(info, dgram::udp::endpoint(), false, std::size_t{0}, said,
                                     true);
  if (info.local_address().has_value() == false && info.interface_index() != 0)
    return "an interface comes with an address";
  if (info.ecn().has_value() != info.dscp().has_value()) return "ECN and DSCP come together";
  if (info.dscp().value_or(0) > 63) return "a DSCP has six bits";
  if (info.hop_limit().value_or(0) > 255) return "a hop limit is a byte";
  dgram::error_code ec;
  const auto path = info.reply_path(ec);
  if (static_cast<bool>(ec) != !info.local_address()) return "no way back without an address";
  if (path.source.is_multicast()) return "nobody answers from a group";
#if defined(__linux__) && !defined(DGRAM_FORCE_POSIX_BACKEND)
  dgram::platform::queued_report report;
  dgram::platform::read_report(bytes, report);
#endif
  return nullptr;
}

}  // namespace test

#endif
