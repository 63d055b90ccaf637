// SPDX-License-Identifier: BSL-1.0
// Runs one scenario:  parity_scenarios NAME, or --list.

#include "trace.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>

namespace parity {
namespace {

std::map<std::string, void (*)()>& scenarios()
{
  static std::map<std::string, void (*)()> all;
  return all;
}

std::map<const emitter*, std::string> names;
std::map<int, std::string> labels;

std::string port_text(int port)
{
  if (const auto found = labels.find(port); found != labels.end()) return found->second;
  return port >= 32768 ? "<port>" : std::to_string(port);
}

std::string host_text(const std::string& address)
{
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

std::string message_text(dgram::bytes_view data)
{
  if (data.size() > 40) return fmt::format("{} bytes", data.size());
  std::string text;
  for (const char c : data.text())
    c == '\0' ? text.append("\\0") : text.append(1, c);
  return fmt::format("{} \"{}\"", data.size(), text);
}

}  // namespace

scenario::scenario(const char* name, void (*function)())
{
  scenarios().emplace(name, function);
}

net::io_context& loop()
{
  static net::io_context io(1);
  return io;
}

void run()
{
  for (;;) {
    try {
      loop().run();
      return;
    } catch (const dgram::system_error& failed) {
      fmt::print("test: uncaught {}\n", name_of(failed.code()));
    } catch (const std::exception& thrown) {
      fmt::print("test: uncaught {}\n", thrown.what());
    }
  }
}

subject::subject(const emitter& of) : name(names.at(&of))
{
}

void say(const subject& who, std::string_view text)
{
  fmt::print("{}: {}\n", who.name, text);
}

emitter& quiet(const std::string& name, dgram::socket_options options)
{
  static std::deque<emitter> sockets = (loop(), std::deque<emitter>());  // they go before the loop
  if (options.type == dgram::socket_type::none) options.type = dgram::udp4;
  auto& made = sockets.emplace_back(dgram::create_socket(loop(), std::move(options)));
  names.emplace(&made, name);
  made.on<listening>([&made] { labels[port_of(made)] = "<" + names.at(&made) + ">"; });
  return made;
}

emitter& open(const std::string& name, dgram::socket_options options)
{
  auto& made = quiet(name, std::move(options));
  made.on<listening>([&made] { say(made, "listening " + place(made.address())); });
  made.on<connected>([&made] { say(made, "connect " + place(made.remote_address())); });
  made.on<message>([&made](dgram::bytes_view data, const dgram::remote_info& from) {
    say(made, "message " + message_text(data) + " from " + place(from));
  });
  made.on<error>([&made](const dgram::failure& failed) { say(made, "error " + failure(failed)); });
  made.on<closed>([&made] { say(made, "close"); });
  return made;
}

int port_of(const emitter& of)
{
  return of.address().port;
}

int own_port()
{
  const char* const given = std::getenv("DGRAM_PARITY_PORT");
  return given != nullptr ? std::atoi(given) : 0;
}

std::string place(const dgram::address_info& info)
{
  return host_text(info.address.to_string()) + ":" + port_text(info.port);
}

std::string name_of(dgram::error_code ec)
{
  if (ec == dgram::error::bad_type) return "ERR_SOCKET_BAD_TYPE";
  if (ec == dgram::error::out_of_range) return "ERR_OUT_OF_RANGE";
  if (ec == dgram::error::bad_port) return "ERR_SOCKET_BAD_PORT";
  if (ec == dgram::error::already_bound) return "ERR_SOCKET_ALREADY_BOUND";
  if (ec == dgram::error::not_running) return "ERR_SOCKET_DGRAM_NOT_RUNNING";
  if (ec == net::error::already_connected) return "ERR_SOCKET_DGRAM_IS_CONNECTED";
  if (ec == net::error::not_connected) return "ERR_SOCKET_DGRAM_NOT_CONNECTED";
  return dgram::platform::error_name(ec);
}

std::string failure(const dgram::failure& failed)
{
  const auto name = name_of(failed.code);
  if (name.starts_with("ERR_") || name == "ENOTFOUND") return name;
  auto text = fmt::format("{} {}", failed.operation, name);
  if (!failed.address.empty()) text += " " + host_text(failed.address);
  if (failed.port != 0) text += ":" + port_text(failed.port);
  return text;
}

dgram::lookup_function looks_up(std::function<std::string(std::string_view)> find)
{
  return [find = std::move(find)](const std::string& name, dgram::socket_type,
                                  dgram::lookup_result report) {
    dgram::error_code ec;
    const auto address = net::ip::make_address(find(name), ec);
    if (ec) ec = net::error::host_not_found;
    later(1, [=] { report(ec, address); });
  };
}

dgram::bytes_view bytes(std::string_view text)
{
  return dgram::bytes_view(text.data(), text.size());
}

void callback::operator()(const dgram::failure& failed) const
{
  finish(failed ? " failed: " + failure(failed) : "");
}

void callback::operator()(const dgram::failure& failed, std::size_t size) const
{
  if (failed) return (*this)(failed);
  finish(fmt::format(" {}", size));
}

void callback::finish(std::string_view result) const
{
  say(who, fmt::format("callback {}{}", what, result));
  next();
}

void attempt_as_text(const subject& who, std::string_view what,
                     const std::function<std::string()>& call)
{
  std::string result;
  try {
    result = call();
  } catch (const dgram::system_error& failed) {
    result = "throws " + name_of(failed.code());
  }
  say(who, fmt::format("{} {}", what, result));
}

void ready(std::vector<emitter*> sockets, action next, const char* address)
{
  auto& first = *sockets.front();
  sockets.erase(sockets.begin());
  first.bind(0, address, [sockets, next = std::move(next), address] {
    sockets.empty() ? next() : ready(sockets, next, address);
  });
}

void after(emitter& of, int count, action next)
{
  of.on<message>([count, next = std::move(next)]() mutable {
    if (--count == 0) next();
  });
}

void later(int milliseconds, action next)
{
  auto timer = std::make_shared<net::steady_timer>(loop(), std::chrono::milliseconds(milliseconds));
  timer->async_wait([timer, next = std::move(next)](dgram::error_code) { next(); });
}

namespace {

int run_scenario(const std::string& name)
{
  const auto found = scenarios().find(name);
  if (found == scenarios().end()) {
    fmt::print(stderr, "there is no scenario \"{}\"\n", name);
    return 2;
  }
  found->second();
  return 0;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv)
{
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc != 2) {
    fmt::print(stderr, "usage: parity_scenarios NAME | --list\n");
    return 2;
  }
  if (std::string_view(argv[1]) != "--list") return parity::run_scenario(argv[1]);
  for (const auto& [name, function] : parity::scenarios())
    fmt::print("{}\n", name);
  return 0;
}
