// SPDX-License-Identifier: BSL-1.0
// What a process of another user would do, on Linux.
#ifndef DGRAM_TESTS_SUPPORT_OTHER_USER_HPP
#define DGRAM_TESTS_SUPPORT_OTHER_USER_HPP

#include <catch2/catch_test_macros.hpp>

#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

namespace test {

inline constexpr unsigned other_user = 65534;

/// Runs a function on a thread that is another user's and has no privileges: the kernel keeps users
/// by thread, and only the C library sets them for all.
template <class Function>
void as_other_user(Function function)
{
  bool is_other = false;
  std::thread([&] {
    is_other = ::syscall(SYS_setresuid, -1L, static_cast<long>(other_user), -1L) == 0;
    if (is_other) function();
  }).join();
  if (!is_other) SKIP("only root can become another user");
}

}  // namespace test

#endif
