// SPDX-License-Identifier: BSL-1.0
#include "drain.hpp"
#include "raw.hpp"

#include <uv.h>

#include <stdexcept>
#include <vector>

namespace bench::drain {

namespace {

void check(int result)
{
  if (result < 0) throw std::runtime_error(uv_strerror(result));
}

class libuv_drainer : public drainer {
public:
  /// Batched, libuv cuts the buffer into slots of 64 KiB.
  explicit libuv_drainer(bool batched) : memory_(std::size_t{batched ? 20U : 1U} * 65536)
  {
    check(uv_loop_init(&loop_));
    check(uv_udp_init_ex(&loop_, &socket_, AF_UNSPEC | (batched ? UV_UDP_RECVMMSG : 0)));
    socket_.data = this;
    fd_ = raw::make_socket().release();
    check(uv_udp_open(&socket_, fd_));
    check(uv_udp_recv_start(&socket_, lend_buffer, receive));
  }

  ~libuv_drainer() override
  {
    uv_close(reinterpret_cast<uv_handle_t*>(&socket_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }

  int descriptor() override { return fd_; }

  void take(std::size_t count) override
  {
    taken_ = 0;
    while (taken_ < count)
      uv_run(&loop_, UV_RUN_ONCE);
  }

private:
  static void lend_buffer(uv_handle_t* handle, std::size_t, uv_buf_t* buffer)
  {
    auto& memory = static_cast<libuv_drainer*>(handle->data)->memory_;
    *buffer = uv_buf_init(memory.data(), static_cast<unsigned>(memory.size()));
  }

  static void receive(uv_udp_t* socket, ssize_t size, const uv_buf_t*, const sockaddr* sender,
                      unsigned)
  {
    if (size >= 0 && sender != nullptr) ++static_cast<libuv_drainer*>(socket->data)->taken_;
  }

  std::vector<char> memory_;
  uv_loop_t loop_;
  uv_udp_t socket_;
  int fd_ = -1;
  std::size_t taken_ = 0;
};

}  // namespace

drainer_ptr libuv(bool batched)
{
  return std::make_unique<libuv_drainer>(batched);
}

}  // namespace bench::drain
