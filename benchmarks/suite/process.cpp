// SPDX-License-Identifier: BSL-1.0
#include "process.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace bench {

namespace {

[[noreturn]] void run_child(const std::function<void()>& work)
{
  // The parent may be interrupted; no server may outlive it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    work();
  } catch (const std::exception& failure) {
    fmt::print(stderr, "\na server failed: {}\n", failure.what());
  }
  std::fflush(stderr);
  ::_exit(1);
}

}  // namespace

void pin_to_cpu(int cpu)
{
  if (::sysconf(_SC_NPROCESSORS_ONLN) <= cpu) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0)
    fmt::print(stderr, "could not pin the process to processor {}\n", cpu);
}

void raise_descriptor_limit()
{
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, std::min<rlim_t>(limit.rlim_max, 65536));
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

child_process::child_process(const std::function<void()>& work) : pid_(::fork())
{
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ > 0) return;
  allocations_.adopt();
  pin_to_cpu(server_cpu);
  run_child(work);
}

child_process::~child_process()
{
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

double child_process::cpu_ns() const
{
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0)
    throw std::runtime_error("a server ended early");
  return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

std::uint64_t child_process::wake_ups() const
{
  constexpr std::string_view field = "voluntary_ctxt_switches:";
  std::uint64_t sum = 0;
  bool is_found = false;
  for (const auto& thread :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid_))) {
    std::ifstream status(thread.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with(field)) continue;
      sum += std::stoull(line.substr(field.size()));
      is_found = true;
    }
  }
  if (!is_found) throw std::runtime_error("cannot read how often a server waited");
  return sum;
}

double in_child(const std::function<double()>& work)
{
  std::array<int, 2> ends;
  if (::pipe(ends.data()) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  double result = 0;
  {
    const child_process child([&] {
      const double value = work();
      if (::write(ends[1], &value, sizeof value) == sizeof value) ::pause();
    });
    ::close(ends[1]);
    const bool came = ::read(ends[0], &result, sizeof result) == sizeof result;
    ::close(ends[0]);
    if (!came) throw std::runtime_error("a measuring process failed");
  }
  return result;
}

bool child_process::is_running() const
{
  siginfo_t info{};
  const int options = WEXITED | WNOHANG | WNOWAIT;
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, options) == 0 && info.si_pid == 0;
}

}  // namespace bench
