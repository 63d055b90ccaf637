// SPDX-License-Identifier: BSL-1.0
// Receive times that are surely there.
#ifndef DGRAM_TESTS_SUPPORT_RECEIVE_TIMES_HPP
#define DGRAM_TESTS_SUPPORT_RECEIVE_TIMES_HPP

#include <dgram.hpp>

#include "asio.hpp"

#include <array>
#include <chrono>
#include <thread>

namespace test {

/// Linux begins to take times a little after the first socket has asked for them, and ends when the
/// last one goes (net/core/dev.c, net_enable_timestamp). One that has asked is kept here; returns
/// when it gets times.
inline void await_receive_times()
{
  static asio::io_context context;
  static dgram::udp::socket asking{context, dgram::parse_endpoint("127.0.0.1:0")};
  asking.set_option(dgram::option::receive_timestamp(true));
  std::array<char, 8> buffer{};
  for (int i = 0; i < 2000; ++i) {
    asking.send_to(asio::buffer("?", 1), asking.local_endpoint());
    dgram::datagram_info info;
    asking.receive_from(asio::buffer(buffer), info);
    if (info.receive_time()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace test

#endif
