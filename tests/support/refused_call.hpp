// SPDX-License-Identifier: BSL-1.0
// A system call that the kernel refuses: on one thread, and only with one value of one argument.
#ifndef DGRAM_TESTS_SUPPORT_REFUSED_CALL_HPP
#define DGRAM_TESTS_SUPPORT_REFUSED_CALL_HPP

#if defined(__linux__)

#include <catch2/catch_test_macros.hpp>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>

namespace test {

/// One call, an argument, the value with which the kernel refuses the call, and the errno.
struct refused_call {
  std::uint32_t number;
  std::uint32_t argument;
  std::uint32_t value;
  int error;
};

/// Runs the function on a thread of its own that has the filter. It is the mechanism by which
/// service managers and containers keep a program from a family of sockets.
template <class Function>
void with_refused(const refused_call& refused, Function function)
{
  bool installed = false;
  std::exception_ptr thrown;
  std::thread([&] {
    constexpr auto data = [](std::size_t offset) { return static_cast<std::uint32_t>(offset); };
    const auto argument =
        data(offsetof(::seccomp_data, args) + refused.argument * sizeof(std::uint64_t));
    const auto refusal = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(refused.error);
    ::sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, data(offsetof(::seccomp_data, nr))),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused.number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused.value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, refusal),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const ::sock_fprog program{sizeof code / sizeof code[0], code};
    installed = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    if (!installed) return;
    try {
      function();
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (!installed) SKIP("the kernel takes no filter of system calls here");
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace test

#endif

#endif
