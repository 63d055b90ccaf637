// SPDX-License-Identifier: BSL-1.0
#include <dgram/format.hpp>

int main()
{
  const dgram::net::ip::udp::endpoint endpoint{dgram::net::ip::address_v6::loopback(), 53};
  return fmt::format("{}", endpoint) == "[::1]:53" ? 0 : 1;
}
