// SPDX-License-Identifier: BSL-1.0
// Echo servers, all of the same form: they take a bound descriptor and never return.
#ifndef DGRAM_BENCHMARKS_SUITE_ECHO_HPP
#define DGRAM_BENCHMARKS_SUITE_ECHO_HPP

#include <cstddef>
#include <string>
#include <vector>

namespace bench::echo {

// Bare system calls around epoll.
void serve_raw_one_by_one(int fd);
void serve_raw_mmsg(int fd, std::size_t slots);
void serve_raw_coalesce(int fd, std::size_t slots);
void serve_raw_in_place(int fd, std::size_t slots);

void serve_asio_callback(int fd);
void serve_asio_coroutine(int fd);

void serve_dgram(int fd);
void serve_dgram_on_strand(int fd);
void serve_dgram_batch_loop(int fd);
void serve_dgram_emitter(int fd);

/// A coroutine for each peer, and a time after which an idle one ends.
void serve_dgram_listener(int fd);

void serve_dgram_in_place(int fd, std::size_t slots);

#if DGRAM_BENCHMARKS_HAVE_LIBUV
void serve_libuv(int fd);
#endif

/// A server that is another program, and how it is started.
struct program {
  const char* name;
  std::vector<std::string> command;
};

/// Those that are on this machine.
std::vector<program> programs();

/// Replaces this process.
[[noreturn]] void serve_program(const program& run, int fd);

}  // namespace bench::echo

#endif
