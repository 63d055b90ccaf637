// SPDX-License-Identifier: BSL-1.0
// The memory row: what a socket that has been used and waits for the next datagram keeps resident.
#include "process.hpp"
#include "resident.hpp"
#include "rows.hpp"

#include <dgram.hpp>

#include <fmt/format.h>
#include <unistd.h>
#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

namespace bench {

double resident_bytes()
{
  std::size_t pages = 0;
  std::size_t resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  const bool is_read = file != nullptr && std::fscanf(file, "%zu %zu", &pages, &resident) == 2;
  if (file != nullptr) std::fclose(file);
  if (!is_read) throw std::runtime_error("cannot read /proc/self/statm");
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

namespace {

constexpr std::size_t sockets = 10000;
constexpr const char* ours = "dgram emitter";

/// `Socket(context, received)` binds itself, receives, counts, and can `send_to_itself()`.
template <class Socket>
double bytes_each()
{
  asio::io_context io{1};
  std::size_t received = 0;
  const auto exchange = [&](auto& all) {
    const std::size_t until = received + all.size();
    for (auto& one : all)
      one->send_to_itself();
    while (received < until)
      if (io.run_one() == 0) throw std::runtime_error("a datagram was lost");
  };
  std::vector<std::unique_ptr<Socket>> first;
  first.push_back(std::make_unique<Socket>(io, received));
  exchange(first);
  std::vector<std::unique_ptr<Socket>> all;
  all.reserve(sockets);
  const double before = resident_bytes();
  for (std::size_t i = 0; i < sockets; ++i)
    all.push_back(std::make_unique<Socket>(io, received));
  exchange(all);
  return (resident_bytes() - before) / sockets;
}

class emitter_user {
public:
  emitter_user(asio::io_context& io, std::size_t& received)
      : socket_(dgram::create_socket(io, dgram::udp4))
  {
    socket_.on<dgram::event::message>([&](dgram::bytes_view) { ++received; });
    port_ = socket_.bind_sync(0, "127.0.0.1").port;
  }

  void send_to_itself() { socket_.send("to itself", port_); }

private:
  dgram::emitter_socket socket_;
  std::uint16_t port_ = 0;
};

/// As it is usually written: each socket has a buffer for the next datagram.
class asio_user {
public:
  asio_user(asio::io_context& io, std::size_t& received)
      : received_(received), socket_(io, {asio::ip::address_v4::loopback(), 0})
  {
    receive();
  }

  void send_to_itself() { socket_.send_to(asio::buffer("to itself"), socket_.local_endpoint()); }

private:
  void receive()
  {
    socket_.async_receive_from(asio::buffer(buffer_), sender_,
                               [this](const std::error_code& ec, std::size_t) {
                                 if (ec) return;
                                 ++received_;
                                 receive();
                               });
  }

  std::size_t& received_;
  asio::ip::udp::socket socket_;
  asio::ip::udp::endpoint sender_;
  std::array<char, 2048> buffer_;
};

row measure_m2(const run_config& how)
{
  raise_descriptor_limit();
  row memory("M2", fmt::format("memory of each of {} idle sockets that were used once", sockets),
             unit::bytes);
  memory.add({"asio callback, buffers of 2 KiB",
              [] { return sample{.ns = in_child(bytes_each<asio_user>)}; }});
  memory.add({ours, [] { return sample{.ns = in_child(bytes_each<emitter_user>)}; }});
  memory.expect({ours, relation::figure_at_most, 4096});
  memory.run(how.rounds);
  return memory;
}

}  // namespace

void add_memory_rows(std::vector<row_maker>& rows)
{
  rows.push_back({"M2", measure_m2});
}

}  // namespace bench
