// SPDX-License-Identifier: BSL-1.0
// Announces a service on the local network, or finds those of others (mDNS, RFC 6762, and DNS-SD, RFC 6763).
//
//   example_mdns announce INSTANCE SERVICE PORT [--interface NAME] [--host NAME]
//   example_mdns browse SERVICE [--interface NAME] [--timeout MS]
//
// SERVICE is a type such as _http._tcp, and INSTANCE the name that people see. The first announces it at PORT of this
// host until SIGINT, which takes it back. The second prints the instances that answer within MS milliseconds (1000). Try
//   example_mdns announce "my server" _http._tcp 8080 --interface eth0 &
//   avahi-browse -r _http._tcp

#include "command_line.hpp"
#include "mdns_message.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <dgram.hpp>
#include <dgram/format.hpp>

#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <string_view>

namespace mdns = example::mdns;

namespace {

const asio::ip::udp::endpoint group(asio::ip::make_address("224.0.0.251"), 5353);

/// A member of the group, on one interface.
dgram::udp::socket join(asio::io_context& io, const std::string& interface)
{
  dgram::udp::socket socket(io);
  socket.open(dgram::udp::v4(), {.reuse_address = true});
  const dgram::network_interface where{interface};
  socket.join(dgram::multicast_group{group.address()}, where);
  socket.set_option(dgram::option::multicast_interface{where});
  socket.set_option(dgram::option::multicast_hop_limit{255});  // RFC 6762, section 11
  socket.set_option(dgram::option::packet_info{true});
  socket.bind({dgram::udp::v4(), group.port()});
  return socket;
}

struct service {
  std::string instance, type, host;  ///< all of them end with ".local"
  unsigned port = 0;
  asio::ip::address_v4 address;
};

constexpr unsigned valid_for = 120;  // seconds

/// The records that answer the question. None: it is about something else.
void add_records(const service& ours, const mdns::question& asked, unsigned seconds,
                 mdns::message& reply)
{
  const auto wants = [&](std::string_view name, unsigned type) {
    return asked.name == name && (asked.type == type || asked.type == mdns::type_any);
  };
  const auto add = [&](std::string_view name, unsigned type, std::string data) {
    reply.records.push_back({std::string(name), type, seconds, std::move(data), {}});
  };
  if (wants("_services._dns-sd._udp.local", mdns::type_ptr))
    add(asked.name, mdns::type_ptr, mdns::encode_name(ours.type));
  const bool instance = wants(ours.type, mdns::type_ptr);
  if (instance) add(ours.type, mdns::type_ptr, mdns::encode_name(ours.instance));
  if (instance || wants(ours.instance, mdns::type_srv)) {
    std::string data(4, '\0');  // no priority, no weight
    mdns::append_number(data, ours.port);
    add(ours.instance, mdns::type_srv, data + mdns::encode_name(ours.host));
  }
  if (instance || wants(ours.instance, mdns::type_txt))
    add(ours.instance, mdns::type_txt, std::string(1, '\0'));
  if (instance || wants(ours.host, mdns::type_a)) {
    const auto bytes = ours.address.to_bytes();
    add(ours.host, mdns::type_a, std::string(bytes.begin(), bytes.end()));
  }
}

asio::awaitable<void> respond(dgram::udp::socket& socket, const service& ours)
{
  dgram::reader reader{socket};
  dgram::writer writer{reader};
  while (const auto datagram = co_await reader.next()) {
    const auto query = mdns::decode(datagram->payload().text());
    if (!query || query->is_answer) continue;
    mdns::message reply;
    reply.is_answer = true;
    bool unicast = datagram->sender().port() != group.port();
    for (const auto& asked : query->questions) {
      add_records(ours, asked, valid_for, reply);
      unicast = unicast || asked.unicast;
    }
    if (reply.records.empty()) continue;
    if (datagram->sender().port() != group.port()) {
      // An ordinary resolver (RFC 6762, section 6.7) expects its question and its number in the answer.
      reply.id = query->id;
      reply.questions = query->questions;
    }
    const std::string bytes = mdns::encode(reply);
    if (unicast)
      writer.try_send(bytes, datagram->sender());
    else
      writer.try_send(bytes, group);
  }
}

int announce(const service& ours, const std::string& interface)
{
  asio::io_context io;
  dgram::udp::socket socket = join(io, interface);
  const auto tell = [&](unsigned seconds) {
    mdns::message news;
    news.is_answer = true;
    add_records(ours, {ours.type, mdns::type_ptr, false}, seconds, news);
    socket.send_to(asio::buffer(mdns::encode(news)), group);
  };
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](dgram::error_code, int) {
    tell(0);  // the service is no more
    socket.close();
  });
  tell(valid_for);
  fmt::print("announced {} at {}:{}\n", example::printable(ours.instance), ours.address.to_string(),
             ours.port);
  asio::co_spawn(io, respond(socket, ours), example::rethrow);
  io.run();
  return 0;
}

asio::awaitable<void> browse(dgram::udp::socket& socket, std::string type, int timeout, int& status)
{
  dgram::reader reader{socket};
  mdns::message query;
  query.questions.push_back({type, mdns::type_ptr, false});
  const std::string bytes = mdns::encode(query);
  co_await socket.async_send_to(asio::buffer(bytes), group, asio::use_awaitable);
  std::map<std::string, std::string> found;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout);
  while (const auto datagram = co_await reader.next_until(deadline)) {
    const auto answer = mdns::decode(datagram->payload().text());
    // Answers of other networks than this one are to be ignored (section 11).
    if (!answer || !answer->is_answer || datagram->sender().port() != group.port()) continue;
    for (const auto& known : answer->records) {
      if (known.type == mdns::type_ptr && known.name == type && known.seconds != 0)
        found.try_emplace(known.target);
      if (known.type == mdns::type_srv && known.data.size() > 6 && found.contains(known.name))
        found[known.name] = fmt::format("{}:{}", known.target,
                                        static_cast<unsigned char>(known.data[4]) << 8 |
                                            static_cast<unsigned char>(known.data[5]));
    }
  }
  for (const auto& [instance, where] : found)
    fmt::print("{} {}\n", example::printable(instance), example::printable(where));
  status = found.empty() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv)
{
  constexpr auto usage =
      "example_mdns (announce INSTANCE SERVICE PORT [--interface NAME] [--host NAME] |\n"
      "                     browse SERVICE [--interface NAME] [--timeout MS])";
  return example::run(argc, argv, usage, [](example::command_line& words) {
    const auto command = words.operand("announce or browse");
    if (command != "announce" && command != "browse")
      throw example::bad_argument(fmt::format("\"{}\": neither announce nor browse", command));
    service ours;
    if (command == "announce") ours.instance = words.operand("INSTANCE");
    ours.type = fmt::format("{}.local", words.operand("SERVICE"));
    ours.instance += '.' + ours.type;
    if (command == "announce") ours.port = dgram::parse_port(words.operand("PORT"));
    std::string interface = "lo";
    std::string host = "example";
    int timeout = 1000;
    while (words.option("--interface", interface) || words.option("--host", host) ||
           words.option("--timeout", timeout, 1, 60'000)) {}
    words.finish();
    ours.host = host + ".local";
    for (const auto& known : dgram::list_interfaces())
      if (known.name == interface)
        for (const auto& address : known.addresses)
          if (address.is_v4()) ours.address = address.to_v4();
    if (command == "announce") return announce(ours, interface);
    asio::io_context io;
    dgram::udp::socket socket = join(io, interface);
    int status = 1;
    asio::co_spawn(io, browse(socket, ours.type, timeout, status), example::rethrow);
    io.run();
    return status;
  });
}
