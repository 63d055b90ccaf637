// SPDX-License-Identifier: BSL-1.0
// The lines of standard input, read without blocking the context: a terminal, a pipe or a file.
#ifndef DGRAM_EXAMPLES_STANDARD_INPUT_HPP
#define DGRAM_EXAMPLES_STANDARD_INPUT_HPP

#include <fcntl.h>
#include <unistd.h>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

namespace example {

/// Puts the terminal back: Asio makes it non-blocking, also for the shell that started us.
struct restore_input {
  restore_input() = default;
  restore_input(const restore_input&) = delete;
  restore_input& operator=(const restore_input&) = delete;
  ~restore_input() { ::fcntl(STDIN_FILENO, F_SETFL, flags); }

  int flags = ::fcntl(STDIN_FILENO, F_GETFL);
};

/// Calls `use(line)` for each line, without its end, until the end of input.
template <class Use>
asio::awaitable<void> each_line(asio::io_context& io, Use use)
{
  const restore_input restore;
  asio::posix::stream_descriptor input(io, ::dup(STDIN_FILENO));
  std::string text;
  std::error_code ec;
  while (!ec) {
    std::size_t size = co_await asio::async_read_until(
        input, asio::dynamic_buffer(text), '\n', asio::redirect_error(asio::use_awaitable, ec));
    // A file is always readable, so there is no waiting for it.
    if (ec == asio::error::operation_not_supported)
      size = asio::read_until(input, asio::dynamic_buffer(text), '\n', ec);
    if (ec) break;
    use(std::string_view(text).substr(0, size - 1));
    text.erase(0, size);
  }
  if (ec != asio::error::eof) throw std::system_error(ec, "standard input");
  if (!text.empty()) use(std::string_view(text));
}

}  // namespace example

#endif
