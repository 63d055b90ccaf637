// SPDX-License-Identifier: BSL-1.0
// A user's library that has a type of dgram's in its interface.
#ifndef CHAT_HPP
#define CHAT_HPP

#include <dgram/udp.hpp>

bool is_open(const dgram::udp::socket& socket);

#endif
