// SPDX-License-Identifier: BSL-1.0
// An echo server on libuv, in the form that was found to be its fastest: batched receives, and sends that are
// tried at once.
#include "echo.hpp"

#include <uv.h>

#include <cstdlib>
#include <vector>

namespace bench::echo {

namespace {

void check(int result)
{
  if (result < 0) std::exit(1);
}

void lend_buffer(uv_handle_t* handle, std::size_t, uv_buf_t* buffer)
{
  auto& memory = *static_cast<std::vector<char>*>(handle->data);
  *buffer = uv_buf_init(memory.data(), static_cast<unsigned>(memory.size()));
}

void answer(uv_udp_t* socket, ssize_t size, const uv_buf_t* buffer, const sockaddr* sender,
            unsigned)
{
  if (size <= 0 || sender == nullptr) return;
  const uv_buf_t reply = uv_buf_init(buffer->base, static_cast<unsigned>(size));
  check(uv_udp_try_send(socket, &reply, 1, sender));
}

}  // namespace

void serve_libuv(int fd)
{
  // libuv cuts the buffer into slots of 64 KiB, and takes at most 20.
  std::vector<char> memory(std::size_t{20} * 65536);
  uv_loop_t loop;
  uv_udp_t socket;
  check(uv_loop_init(&loop));
  check(uv_udp_init_ex(&loop, &socket, AF_UNSPEC | UV_UDP_RECVMMSG));
  socket.data = &memory;
  check(uv_udp_open(&socket, fd));
  check(uv_udp_recv_start(&socket, lend_buffer, answer));
  uv_run(&loop, UV_RUN_DEFAULT);
}

}  // namespace bench::echo
