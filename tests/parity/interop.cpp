// SPDX-License-Identifier: BSL-1.0
// Our half of the exchange with Node; interop.js is the other half.
//   parity_interop serve ADDRESS
//   parity_interop ask ADDRESS PORT COUNT

#include <fmt/format.h>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

namespace {

using dgram::net::io_context;
namespace event = dgram::event;

void serve(dgram::emitter_socket& socket)
{
  socket.on<event::message>([&](dgram::bytes_view data, const dgram::remote_info& from) {
    socket.send(data, from.port, from.address);
  });
  fmt::print("listening on {}\n", socket.address().port);
}

/// 32 questions are on their way, and every answer brings the next one.
class asker {
public:
  asker(io_context& io, dgram::emitter_socket& socket, std::string address, int port, int count)
      : stalled_(io), socket_(socket), address_(std::move(address)), port_(port), count_(count)
  {
    socket_.on<event::message>([this](dgram::bytes_view data, const dgram::remote_info& from) {
      answered(data.text(), from.port);
    });
    for (int i = 0; i < 32; ++i)
      ask();
    wait();
  }

private:
  void ask()
  {
    auto text = fmt::format("{} ", asked_);
    text.resize(std::max(text.size(), std::size_t(8 + asked_ % 1000)), 'x');
    socket_.send(text, port_, address_);
    missing_.emplace(asked_++, std::move(text));
  }

  void answered(std::string_view text, int port)
  {
    const auto found = missing_.find(std::atoi(std::string(text.substr(0, 8)).c_str()));
    if (port != port_ || found == missing_.end() || found->second != text) {
      fmt::print("not asked for: {}\n", text);
      std::exit(1);
    }
    missing_.erase(found);
    ++answers_;
    if (asked_ < count_) return ask();
    if (!missing_.empty()) return;
    stalled_.cancel();
    socket_.close([this] { fmt::print("{} answers\n", answers_); });
  }

  void wait()
  {
    stalled_.expires_after(std::chrono::seconds(5));
    stalled_.async_wait([this, before = answers_](dgram::error_code ec) {
      if (ec) return;
      if (answers_ != before) return wait();
      for (const auto& [number, text] : missing_)
        fmt::print("no answer to {}\n", number);
      std::exit(1);
    });
  }

  dgram::net::steady_timer stalled_;
  dgram::emitter_socket& socket_;
  std::string address_;
  int port_;
  int count_;
  int asked_ = 0;
  int answers_ = 0;
  std::map<int, std::string> missing_;
};

}  // namespace

int main(int argc, char** argv)
{
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc < 3) return 2;
  const std::string address = argv[2];
  io_context io(1);
  auto socket =
      dgram::create_socket(io, address.find(':') == std::string::npos ? dgram::udp4 : dgram::udp6);
  std::unique_ptr<asker> questions;
  socket.bind(0, address, [&] {
    if (argc == 5)
      questions =
          std::make_unique<asker>(io, socket, address, std::atoi(argv[3]), std::atoi(argv[4]));
    else
      serve(socket);
  });
  io.run();
}
