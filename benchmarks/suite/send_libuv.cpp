// SPDX-License-Identifier: BSL-1.0
#include "send.hpp"

#include <uv.h>

#include <stdexcept>

namespace bench::send {

namespace {

void check(int result)
{
  if (result < 0) throw std::runtime_error(uv_strerror(result));
}

class libuv_sender : public sender {
public:
  explicit libuv_sender(const job& work) : work_(work), payload_(work.payload)
  {
    check(uv_loop_init(&loop_));
    check(uv_udp_init(&loop_, &socket_));
    check(uv_udp_open(&socket_, raw::make_socket().release()));
  }

  ~libuv_sender() override
  {
    uv_close(reinterpret_cast<uv_handle_t*>(&socket_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }

  void send(std::size_t datagrams) override
  {
    const uv_buf_t buffer = uv_buf_init(payload_.data(), static_cast<unsigned>(payload_.size()));
    for (std::size_t i = 0; i < datagrams; ++i) {
      const sockaddr_in& peer = work_.peers[i % work_.peers.size()];
      check(uv_udp_try_send(&socket_, &buffer, 1, reinterpret_cast<const sockaddr*>(&peer)));
    }
  }

private:
  job work_;
  std::vector<char> payload_;
  uv_loop_t loop_;
  uv_udp_t socket_;
};

}  // namespace

sender_ptr libuv(const job& work)
{
  return std::make_unique<libuv_sender>(work);
}

}  // namespace bench::send
