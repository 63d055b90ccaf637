// SPDX-License-Identifier: BSL-1.0
// One program that uses every layer, for the configurations that scripts/check configurations tries.

#include <dgram.hpp>
#include <dgram/format.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <utility>
#if DGRAM_HAS_UNIX_DATAGRAMS
#include <unistd.h>
#endif
#if DGRAM_HAS_STOP_TOKEN
#include <stop_token>
#endif

namespace {

/// The batches underneath, for a peer that sends three datagrams and reads the answers.
asio::awaitable<void> serve(dgram::udp::socket& socket)
{
  dgram::udp::reader reader(socket);
  dgram::udp::writer writer(socket);
  for (int i = 0; i < 3; ++i) {
    const auto question = co_await reader.next();
    if (!question) co_return;
    co_await writer.send(question->payload(), question->reply_path());
  }
  co_await writer.flush();
}

asio::awaitable<void> ask(dgram::udp::socket& socket, dgram::udp::endpoint server, int& answers)
{
  dgram::send_batch questions{2};
  questions.push("one", server);
  questions.push("two", server, dgram::send_options{.hop_limit = 1});
  co_await socket.async_send_batch(questions, asio::use_awaitable);
  co_await socket.async_send_to(asio::buffer("three", 5), server, asio::use_awaitable);

  dgram::receive_batch batch{4, 64};
  while (answers < 3) {
    co_await socket.async_receive_batch(batch, asio::use_awaitable);
    for (const dgram::datagram& answer : batch)
      answers += answer.payload().empty() ? 0 : 1;
  }
}

void use_socket(asio::io_context& io, int& answers)
{
  const auto any_port = dgram::parse_endpoint("127.0.0.1:0");
  dgram::udp::socket server(io, any_port);
  dgram::udp::socket client(io, any_port);
  server.set_option(dgram::option::packet_info(true));
  asio::co_spawn(io, serve(server), asio::detached);
  asio::co_spawn(io, ask(client, server.local_endpoint(), answers), asio::detached);
  io.run();
  io.restart();
}

/// On an executor of its own, with handlers that have a slot.
void use_handlers(asio::io_context& io, int& cancelled)
{
  auto strand = asio::make_strand(io);
  dgram::basic_socket<dgram::udp, decltype(strand)> socket(strand,
                                                           dgram::parse_endpoint("127.0.0.1:0"));
  std::array<char, 64> storage{};
  dgram::udp::endpoint sender;
  asio::cancellation_signal signal;
  socket.async_receive_from(
      asio::buffer(storage), sender,
      asio::bind_cancellation_slot(signal.slot(), [&](dgram::error_code ec, std::size_t) {
        cancelled += ec == asio::error::operation_aborted ? 1 : 0;
      }));
  asio::post(strand, [&] { signal.emit(asio::cancellation_type::total); });
  io.run();
  io.restart();
}

void use_emitter(asio::io_context& io, int& messages)
{
  dgram::socket_options options{.type = dgram::udp4};
#if DGRAM_HAS_STOP_TOKEN
  const std::stop_source stop;
  options.signal = stop.get_token();
#endif
  auto emitter = dgram::create_socket(io, std::move(options));
  emitter.on<dgram::event::message>([&](dgram::bytes_view, const dgram::remote_info&) {
    ++messages;
    emitter.close();
  });
  emitter.on<dgram::event::listening>(
      [&] { emitter.send("hello", emitter.address().port, "localhost"); });
  emitter.bind(0, "127.0.0.1");
#if DGRAM_HAS_UNREF
  emitter.unref();
  emitter.ref();
#endif
  io.run();
  io.restart();
}

#if DGRAM_HAS_UNIX_DATAGRAMS
void use_unix_sockets(asio::io_context& io, int& messages)
{
  auto emitter = dgram::create_unix_socket(io, dgram::socket_options());
  emitter.on<dgram::event::message>([&](dgram::bytes_view, const dgram::unix_remote_info&) {
    ++messages;
    emitter.close();
  });
  emitter.on<dgram::event::listening>([&] { emitter.send("hello", emitter.address().address); });
  emitter.bind(fmt::format("@dgram-configurations-{}", getpid()));
  io.run();
  io.restart();
}
#endif

}  // namespace

int main()
{
  int answers = 0, cancelled = 0, messages = 0;
  try {
    asio::io_context io;
    use_socket(io, answers);
    use_handlers(io, cancelled);
    use_emitter(io, messages);
#if DGRAM_HAS_UNIX_DATAGRAMS
    use_unix_sockets(io, messages);
#endif
  } catch (const std::exception& failure) {
    fmt::print("{}\n", failure.what());
    return 1;
  }
  fmt::print("{} answers, {} cancelled, {} messages\n", answers, cancelled, messages);
  return answers == 3 && cancelled == 1 && messages == 1 + DGRAM_HAS_UNIX_DATAGRAMS ? 0 : 1;
}
