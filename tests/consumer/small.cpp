// SPDX-License-Identifier: BSL-1.0
// A small program that needs dgram's headers and its Asio: quickly compiled.

#include <dgram/endpoint.hpp>

// A consumer says which Asio it expects.
#if defined(EXPECT_USERS_ASIO) && !defined(USERS_ASIO)
#error "this is not the Asio of the user's own target"
#endif
#if defined(EXPECT_BOOST) != defined(DGRAM_USE_BOOST_ASIO)
#error "this is the wrong Asio of the two"
#endif

int main()
{
  dgram::net::io_context io;
  return dgram::to_string(dgram::parse_endpoint("[::1]:53")) == "[::1]:53" ? 0 : 1;
}
