// SPDX-License-Identifier: BSL-1.0
// Echo servers in processes of their own, as several rows measure them.
#ifndef DGRAM_BENCHMARKS_SUITE_ECHO_SERVER_HPP
#define DGRAM_BENCHMARKS_SUITE_ECHO_SERVER_HPP

#include "process.hpp"
#include "raw.hpp"

#include <functional>
#include <string>
#include <vector>

namespace bench {

using serve_function = std::function<void(int)>;

// Names of servers that several rows have.
namespace names {
inline constexpr const char* raw_one_by_one = "raw one by one";
inline constexpr const char* raw_coalesce = "raw coalesce";
inline constexpr const char* our_echo = "dgram reader + writer";
inline constexpr const char* our_emitter_echo = "dgram emitter";
}  // namespace names

/// A server process and its address.
class server {
public:
  explicit server(const serve_function& serve)
      : socket_(raw::make_socket()), process_([&] { serve(socket_.get()); })
  {
  }

  sockaddr_in address() const { return raw::address_of(socket_.get()); }
  const child_process& process() const noexcept { return process_; }

private:
  raw::descriptor socket_;
  child_process process_;
};

/// A server that a row may have, and what it is measured against.
struct candidate {
  std::string name;
  serve_function serve;
  std::string control = {};
  bool informational = false;
  bool other_program = false;
};

/// What users would take instead, against the same loop over bare system calls as dgram.
std::vector<candidate> peers(const std::string& control);

}  // namespace bench

#endif
