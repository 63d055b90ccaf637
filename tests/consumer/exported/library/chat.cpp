// SPDX-License-Identifier: BSL-1.0
#include "chat.hpp"

bool is_open(const dgram::udp::socket& socket)
{
  return socket.is_open();
}
