// SPDX-License-Identifier: BSL-1.0
// Uses what dgram/compiled.hpp has, as a function of the name that the build gives it: ODR_ECHO.

#include <dgram.hpp>

#if defined(DGRAM_USE_BOOST_ASIO)
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#else
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#endif

#include <cstddef>
#include <string>
#include <utility>

std::size_t ODR_ECHO(std::size_t count);

namespace {

namespace net = dgram::net;

net::awaitable<void> echo(dgram::udp::socket socket)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (auto datagram = co_await reader.next())
    co_await writer.send(datagram->payload(), datagram->reply_path());
}

}  // namespace

/// Echoes so many datagrams, by a coroutine and by an emitter. Returns how many came back.
std::size_t ODR_ECHO(std::size_t count)
{
  net::io_context io;
  const auto anywhere = dgram::parse_endpoint("127.0.0.1:0");
  dgram::udp::socket server(io, anywhere);
  const auto to_coroutine = server.local_endpoint();
  net::co_spawn(io, echo(std::move(server)), net::detached);

  auto emitter = dgram::create_socket(io, dgram::udp4);
  emitter.on<dgram::event::message>([&](dgram::bytes_view message, const dgram::remote_info& from) {
    emitter.send(message, from);
  });
  const auto to_emitter = emitter.bind_sync(0, "127.0.0.1").port;

  dgram::udp::socket client(io, anywhere);
  dgram::send_batch out{16};
  const std::string text(100, 'x');
  for (std::size_t i = 0; i < count; ++i) {
    out.push(dgram::bytes_view(text), to_coroutine);
    out.push(dgram::bytes_view(text), {net::ip::make_address("127.0.0.1"), to_emitter});
  }
  client.send_batch(out);
  std::size_t came = 0;
  dgram::reader reader{client};
  reader.async_for_each(
      [&](const dgram::datagram&) {
        if (++came == 2 * count) io.stop();
      },
      [](dgram::error_code) {});
  io.run();
  return came;
}
