// SPDX-License-Identifier: BSL-1.0
// A QUIC server over ngtcp2 and GnuTLS, whose packets this library moves.
//
//   example_quic_server CERTIFICATE KEY [--listen ADDRESS:PORT] [--idle MS] [--connections N]
//
// The files are in PEM. The default of --listen is [::]:0, all addresses of this host, and any free port. Clients with the
// ALPN "echo" get their streams back, and clients with "h3" the bodies of their requests. If there are N connections, a new
// client takes the place of one that has not completed its handshake.
//
//   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem
//   example_quic_server cert.pem key.pem --listen 127.0.0.1:4433
//   gtlsclient -q --exit-on-all-streams-close -d FILE --download DIRECTORY 127.0.0.1 4433 https://localhost/echo

#include "../command_line.hpp"
#include "server.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <csignal>

namespace {

using quic_server = quic::server<dgram::udp::writer>;

asio::awaitable<void> serve(dgram::udp::reader& reader, quic_server& server)
{
  while (!reader.is_stopped() || !server.empty()) {
    const auto datagrams = co_await reader.next_batch_until(server.deadline());
    const auto now = quic_server::now();
    for (const dgram::datagram& each : datagrams)
      if (!each.truncated())
        server.receive(each.reply_path(), each.ecn_bits(), each.payload().octets(), now);
    if (reader.is_stopped()) server.close(now);
    // Nothing is produced as long as the kernel takes nothing.
    while (!server.work(now))
      co_await server.writer.flush();
  }
  co_await server.writer.flush();
}

int run(example::command_line& words)
{
  quic::server_config config;
  config.chain = words.operand("CERTIFICATE");
  config.key = words.operand("KEY");
  std::string listen = "[::]:0";
  while (words.option("--listen", listen) || words.option("--idle", config.idle_ms, 1, 600000) ||
         words.option("--connections", config.max_connections, 1, 100000)) {}
  words.finish();
  const auto local = dgram::parse_endpoint(listen);

  asio::io_context io{1};
  dgram::udp::socket socket = local.address().is_unspecified()
                                  ? dgram::udp::socket(io, dgram::udp::any(local.port()))
                                  : dgram::udp::socket(io, local);
  dgram::error_code missing;  // a system without one of these is slower, and no worse
  socket.set_option(dgram::option::receive_ecn{true}, missing);
  socket.set_option(dgram::option::do_not_fragment{true}, missing);
  socket.set_receive_buffer_size(1 << 20);
  dgram::udp::reader reader{socket};
  quic_server server{config, dgram::udp::writer{reader}};
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](dgram::error_code, int) { reader.stop(); });
  asio::co_spawn(io, serve(reader, server), example::rethrow);
  fmt::print("listening on {}\n", socket.local_endpoint());
  io.run();
  fmt::print("{}; {}; {} ignored\n", socket.statistics(), server.writer.statistics(),
             server.ignored);
  return 0;
}

}  // namespace

int main(int argc, char** argv)
{
  return example::run(argc, argv,
                      "example_quic_server CERTIFICATE KEY [--listen ADDRESS:PORT] [--idle MS] "
                      "[--connections N]",
                      run);
}
