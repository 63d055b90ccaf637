// SPDX-License-Identifier: BSL-1.0
// A program that uses the user's library, and dgram through it.

#include <chat.hpp>

int main()
{
  dgram::net::io_context io;
  dgram::udp::socket socket{io, {dgram::udp::v4(), 0}};
  return is_open(socket) ? 0 : 1;
}
