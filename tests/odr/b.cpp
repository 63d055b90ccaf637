// SPDX-License-Identifier: BSL-1.0
// One of two translation units that use the library in one program; a.cpp calls it.

#include <dgram.hpp>

#if defined(DGRAM_USE_BOOST_ASIO)
#include <boost/asio/io_context.hpp>
#else
#include <asio/io_context.hpp>
#endif

bool opens_in_b();

bool opens_in_b()
{
  dgram::net::io_context io;
  dgram::udp::socket socket{io};
  socket.open(dgram::udp::v4());
  return socket.is_open();
}
