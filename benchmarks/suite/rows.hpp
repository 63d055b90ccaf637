// SPDX-License-Identifier: BSL-1.0
// What the suite can measure.
#ifndef DGRAM_BENCHMARKS_SUITE_ROWS_HPP
#define DGRAM_BENCHMARKS_SUITE_ROWS_HPP

#include "measurement.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace bench {

struct run_config {
  int rounds = 7;
  std::chrono::milliseconds echo_time{400};  // of one server's turn
  int drains = 16;                           // in one turn
  std::chrono::milliseconds rest_time{10000};
  int changes = 1000;  // restarts, and resizes of a group
};

/// Makes and measures one row, or a variant of one: "R3-64" is one of R3.
struct row_maker {
  std::string label;
  std::function<row(const run_config&)> measure;
};

// Names that several rows use.
namespace names {
inline constexpr const char* asio_callback = "asio callback";
inline constexpr const char* asio_coroutine = "asio coroutine";
inline constexpr const char* asio_header = "asio.hpp";
inline constexpr const char* asio_io_uring = "asio callback, io_uring";
inline constexpr const char* go = "go net";
inline constexpr const char* go_batch = "go x/net batches";
inline constexpr const char* libuv = "libuv";
inline constexpr const char* node = "node";
inline constexpr const char* quinn_udp = "tokio, quinn-udp batches";
inline constexpr const char* tokio = "tokio";
}  // namespace names

void add_drain_rows(std::vector<row_maker>& rows);
void add_send_rows(std::vector<row_maker>& rows);
void add_echo_rows(std::vector<row_maker>& rows);
void add_tail_rows(std::vector<row_maker>& rows);
void add_memory_rows(std::vector<row_maker>& rows);
void add_session_rows(std::vector<row_maker>& rows);
void add_listener_rows(std::vector<row_maker>& rows);
void add_exchange_rows(std::vector<row_maker>& rows);
void add_shard_rows(std::vector<row_maker>& rows);
void add_change_rows(std::vector<row_maker>& rows);
void add_limit_rows(std::vector<row_maker>& rows);
void add_flood_rows(std::vector<row_maker>& rows);
void add_sim_rows(std::vector<row_maker>& rows);

/// The compile times that a script has measured: lines of "PROGRAM SECONDS", see
/// scripts/lib/compile-times.sh.
void add_compile_rows(std::vector<row_maker>& rows, const std::string& file);

}  // namespace bench

#endif
