// SPDX-License-Identifier: BSL-1.0
// The same source on Asio's socket and on ours, and the same trace of results from both.
#include <dgram.hpp>

#include <asio.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using asio::ip::address_v4;
using endpoint = asio::ip::udp::endpoint;
using theirs = asio::ip::udp::socket;
using ours = dgram::udp::socket;

const endpoint loopback(address_v4::loopback(), 0);

/// What happened, in order. Addresses are told by names that do not depend on the ports that were free.
class trace {
public:
  void name(const endpoint& address, std::string as)
  {
    names_.emplace_back(address, std::move(as));
  }

  void note(const std::string& what, const std::error_code& ec) { note(what, ec, ""); }
  void note(const std::string& what, const std::error_code& ec, std::size_t size)
  {
    note(what, ec, std::to_string(size));
  }
  void note(const std::string& what, const std::error_code& ec, const endpoint& address)
  {
    note(what, ec, named(address));
  }
  void note(const std::string& what, const std::error_code& ec, const std::string& value)
  {
    lines_.push_back(what + ": " + (ec ? std::to_string(ec.value()) + " " : "") + value);
  }

  std::string named(const endpoint& address) const
  {
    for (const auto& [known, as] : names_)
      if (known == address) return as;
    return address.port() == 0 ? "nobody" : "somebody";
  }

  const std::vector<std::string>& lines() const { return lines_; }

private:
  std::vector<std::pair<endpoint, std::string>> names_;
  std::vector<std::string> lines_;
};

void run(asio::io_context& io)
{
  io.restart();
  io.run_for(std::chrono::seconds(10));
  REQUIRE(io.stopped());
}

/// A socket of the type in question, and two of Asio's that it talks to.
template <class Socket>
struct talk : trace {
  using protocol = typename Socket::protocol_type;

  talk()
  {
    name(first.local_endpoint(), "first");
    name(second.local_endpoint(), "second");
    first.non_blocking(true);
    second.non_blocking(true);
    socket.non_blocking(true);
    name(socket.local_endpoint(), "own");
  }

  /// The next datagram at one of the two.
  void heard(const char* where, theirs& at)
  {
    std::array<char, 64> text{};
    endpoint from;
    const std::size_t size = at.receive_from(asio::buffer(text), from, 0, ec);
    note(std::string("heard by ") + where, ec, std::string(text.data(), size) + " " + named(from));
  }

  asio::io_context io;
  theirs first{io, loopback};
  theirs second{io, loopback};
  Socket socket{io, loopback};
  std::error_code ec;
  std::array<char, 64> room{};
  endpoint sender;
};

/// The handlers of transfers that are pending note what they were told.
template <class Socket>
auto noting(talk<Socket>& in, const char* what)
{
  return [&in, what](const std::error_code& ec, std::size_t size) { in.note(what, ec, size); };
}

template <template <class> class Scenario>
void same_trace()
{
  CHECK(Scenario<ours>()() == Scenario<theirs>()());
}

template <class Socket>
struct options : talk<Socket> {
  template <class Option>
  void set_and_get(const char* what, const Option& wanted)
  {
    this->note(std::string("set ") + what, this->socket.set_option(wanted, this->ec));
    Option got;
    this->socket.get_option(got, this->ec);
    this->note(std::string("get ") + what, this->ec, static_cast<std::size_t>(got.value()));
  }

  std::vector<std::string> operator()()
  {
    for (const bool on : {true, false}) {
      set_and_get("broadcast", typename Socket::broadcast(on));
      set_and_get("reuse_address", typename Socket::reuse_address(on));
      set_and_get("do_not_route", typename Socket::do_not_route(on));
      set_and_get("keep_alive", typename Socket::keep_alive(on));
      set_and_get("out_of_band_inline", typename Socket::out_of_band_inline(on));
      set_and_get("loopback", asio::ip::multicast::enable_loopback(on));
      set_and_get("v6_only", asio::ip::v6_only(on));
    }
    for (const int size : {-1, 0, 1, 8192}) {
      set_and_get("send_buffer_size", typename Socket::send_buffer_size(size));
      set_and_get("receive_buffer_size", typename Socket::receive_buffer_size(size));
      set_and_get("receive_low_watermark", typename Socket::receive_low_watermark(size));
    }
    for (const int hops : {1, 64, 255}) {
      set_and_get("hops", asio::ip::unicast::hops(hops));
      set_and_get("multicast hops", asio::ip::multicast::hops(hops));
    }
    this->note("bad group", this->socket.set_option(
                                asio::ip::multicast::join_group(address_v4::loopback()), this->ec));
    return this->lines();
  }
};

template <class Socket>
struct other_peers : talk<Socket> {
  void peer() { this->note("peer", this->ec, this->socket.remote_endpoint(this->ec)); }

  std::vector<std::string> operator()()
  {
    auto& socket = this->socket;
    auto& ec = this->ec;
    const auto first = this->first.local_endpoint();
    const auto second = this->second.local_endpoint();
    socket.remote_endpoint(ec);
    this->note("peer", ec);
    socket.send(asio::buffer("none", 4), 0, ec);
    this->note("send", ec);
    this->note("connect", socket.connect(first, ec));
    peer();
    this->note("again", socket.connect(first, ec));
    this->note("to another", socket.connect(second, ec));
    peer();
    this->note("of another family", socket.connect({asio::ip::address_v6::loopback(), 9}, ec));
    peer();
    this->note("refused", socket.connect({address_v4::broadcast(), 9}, ec));
    peer();
    this->note("send", ec, socket.send(asio::buffer("a", 1), 0, ec));
    this->heard("second", this->second);
    this->note("send_to another", ec, socket.send_to(asio::buffer("b", 1), first, 0, ec));
    this->heard("first", this->first);
    this->note("send_to it", ec, socket.send_to(asio::buffer("c", 1), second, 0, ec));
    this->heard("second", this->second);
    socket.async_send_to(asio::buffer("d", 1), first, noting(*this, "async_send_to another"));
    run(this->io);
    this->heard("first", this->first);
    socket.async_connect(
        first, [this](const std::error_code& result) { this->note("async_connect", result); });
    run(this->io);
    peer();
    this->second.send_to(asio::buffer("stranger", 8), socket.local_endpoint());
    socket.receive_from(asio::buffer(this->room), this->sender, 0, ec);
    this->note("receive of a stranger", ec);
    this->note("local", ec, socket.local_endpoint(ec));
    return this->lines();
  }
};

template <class Socket>
struct sizes : talk<Socket> {
  std::vector<std::string> operator()()
  {
    auto& socket = this->socket;
    auto& ec = this->ec;
    const auto own = socket.local_endpoint();
    const auto send = [&](const char* text) {
      this->first.send_to(asio::buffer(std::string(text)), own);
    };
    const auto receive = [&](std::size_t bytes) {
      this->sender = endpoint();
      const auto size =
          socket.receive_from(asio::buffer(this->room.data(), bytes), this->sender, 0, ec);
      this->note("receive", ec,
                 std::string(this->room.data(), size) + " " + this->named(this->sender));
    };
    receive(8);
    send("");
    receive(8);
    send("");
    this->note("receive", ec, socket.receive(asio::buffer(this->room), 0, ec));
    send("truncated");
    receive(4);
    send("all is cut");
    receive(0);
    receive(8);
    send("peeked");
    socket.async_receive(asio::buffer(this->room, 3), noting(*this, "async_receive"));
    run(this->io);
    const std::array<asio::mutable_buffer, 3> pieces = {asio::buffer(this->room.data(), 2),
                                                        asio::mutable_buffer(),
                                                        asio::buffer(this->room.data() + 2, 2)};
    send("pieces");
    this->note("pieces", ec, socket.receive_from(pieces, this->sender, 0, ec));
    this->note("pieces", ec, std::string(this->room.data(), 4));
    socket.async_receive_from(asio::buffer(this->room), this->sender,
                              noting(*this, "async_receive_from"));
    send("");
    run(this->io);
    this->note("send nothing", ec,
               socket.send_to(asio::const_buffer(), this->first.local_endpoint(), 0, ec));
    this->heard("first", this->first);
    const std::string large(65508, 'x');
    this->note("send too much", ec,
               socket.send_to(asio::buffer(large), this->first.local_endpoint(), 0, ec));
    socket.async_send_to(asio::buffer(large), this->first.local_endpoint(),
                         noting(*this, "async_send_to"));
    run(this->io);
    send("12345");
    this->note("available", ec, socket.available(ec));
    typename Socket::bytes_readable readable;
    socket.io_control(readable, ec);
    this->note("readable", ec, readable.get());
    return this->lines();
  }
};

template <class Socket>
struct cancellation : talk<Socket> {
  void launch(const char* what)
  {
    this->note("launch", std::error_code(), what);
    this->socket.async_receive_from(asio::buffer(this->room), this->sender,
                                    noting(*this, "async_receive_from"));
    this->socket.async_receive(asio::buffer(this->room), noting(*this, "async_receive"));
    this->socket.async_wait(Socket::wait_read,
                            [this](const std::error_code& ec) { this->note("async_wait", ec); });
  }

  std::vector<std::string> operator()()
  {
    auto& socket = this->socket;
    auto& ec = this->ec;
    launch("cancel");
    this->note("cancel", socket.cancel(ec));
    run(this->io);
    launch("close");
    this->note("close", socket.close(ec));
    this->note("close", socket.close(ec));
    run(this->io);
    launch("closed");
    run(this->io);
    this->note("cancel", socket.cancel(ec));
    this->note("bind", socket.bind(loopback, ec));
    this->note("open", socket.open(Socket::protocol_type::v4(), ec));
    this->note("open", socket.open(Socket::protocol_type::v4(), ec));
    launch("destroy");
    {
      const Socket gone(std::move(socket));
    }
    run(this->io);
    this->note("moved from", std::error_code(), socket.is_open() ? "open" : "closed");
    this->note("open", socket.open(Socket::protocol_type::v4(), ec));
    this->note("bind", socket.bind(loopback, ec));
    asio::cancellation_signal signal;
    socket.async_receive(asio::buffer(this->room),
                         asio::bind_cancellation_slot(signal.slot(), noting(*this, "with a slot")));
    signal.emit(asio::cancellation_type::total);
    run(this->io);
    launch("shutdown");
    this->note("shutdown", socket.shutdown(Socket::shutdown_both, ec));
    socket.cancel(ec);
    run(this->io);
    return this->lines();
  }
};

template <class Socket>
struct moves : talk<Socket> {
  std::vector<std::string> operator()()
  {
    auto& socket = this->socket;
    auto& ec = this->ec;
    socket.async_receive(asio::buffer(this->room), noting(*this, "async_receive"));
    Socket second(std::move(socket));
    this->first.send_to(asio::buffer("moved", 5), second.local_endpoint());
    run(this->io);
    this->note("local", ec, second.local_endpoint(ec));
    second.async_receive(asio::buffer(this->room), noting(*this, "moved over"));
    second = Socket(this->io, Socket::protocol_type::v4());
    run(this->io);
    this->note("local", ec, second.local_endpoint(ec));
    Socket third(this->io);
    third = std::move(second);
    this->note("from", std::error_code(), second.is_open() ? "open" : "closed");
    const long handle = third.release(ec);
    this->note("release", ec, third.is_open() ? "open" : "closed");
    Socket fourth(this->io, Socket::protocol_type::v4(), handle);
    this->note("bind", fourth.bind(loopback, ec));
    asio::generic::datagram_protocol::socket any(std::move(fourth));
    this->note("generic", std::error_code(), any.is_open() ? "open" : "closed");
    this->note("from", std::error_code(), fourth.is_open() ? "open" : "closed");
    const endpoint to = this->first.local_endpoint();
    any.send_to(asio::buffer("generic", 7), to);
    this->heard("first", this->first);
    any = Socket(this->io, loopback);
    any.send_to(asio::buffer("assigned", 8), to);
    this->heard("first", this->first);
    theirs plain(this->io, loopback);
    this->name(plain.local_endpoint(), "plain");
    Socket fifth(std::move(plain));
    this->note("from Asio's", ec, fifth.local_endpoint(ec));
    fifth = theirs(this->io, loopback);
    fifth.send_to(asio::buffer("again", 5), to);
    this->heard("first", this->first);
    return this->lines();
  }
};

template <class Socket>
struct resolved : talk<Socket> {
  std::vector<std::string> operator()()
  {
    using asio::async_connect;
    using asio::connect;
    auto& socket = this->socket;
    auto& ec = this->ec;
    typename Socket::protocol_type::resolver resolver(this->io);
    const auto port = std::to_string(this->first.local_endpoint().port());
    const auto results = resolver.resolve("127.0.0.1", port);
    socket.send_to(asio::buffer("resolved", 8), *results.begin(), 0, ec);
    this->heard("first", this->first);
    this->note("connect", ec, connect(socket, results));
    // The address of before does not outlast it.
    this->note("local", ec, socket.local_endpoint(ec));
    this->note("connect", ec, connect(socket, results, ec));
    this->note("position", ec,
               std::to_string(std::distance(results.begin(),
                                            connect(socket, results.begin(), results.end(), ec))));
    const std::vector<endpoint> several = {
        {address_v4::broadcast(), 9}, this->second.local_endpoint(), this->first.local_endpoint()};
    this->note("several", ec, connect(socket, several, ec));
    this->note("peer", ec, socket.remote_endpoint(ec));
    this->note("condition", ec,
               connect(
                   socket, several,
                   [this](const std::error_code& last, const endpoint& next) {
                     this->note("asked", last, next);
                     return next != this->second.local_endpoint();
                   },
                   ec));
    this->note("none", ec, connect(socket, std::vector<endpoint>(), ec));
    this->note(
        "skipped", ec,
        connect(
            socket, several, [](const std::error_code&, const endpoint&) { return false; }, ec));
    this->note("refused", ec,
               connect(socket, std::vector<endpoint>{{address_v4::broadcast(), 9}}, ec));
    try {
      connect(socket, std::vector<endpoint>());
    } catch (const std::system_error& failure) {
      this->note("thrown", failure.code());
    }
    async_connect(socket, several, [this](const std::error_code& result, const endpoint& peer) {
      this->note("async_connect", result, peer);
    });
    run(this->io);
    async_connect(socket, several.begin(), several.end(),
                  [&](const std::error_code& result, std::vector<endpoint>::const_iterator at) {
                    this->note("async_connect", result, std::to_string(at - several.begin()));
                  });
    run(this->io);
    async_connect(
        socket, several,
        [this](const std::error_code&, const endpoint& next) {
          return next == this->first.local_endpoint();
        },
        [this](const std::error_code& result, const endpoint& peer) {
          this->note("async_connect", result, peer);
        });
    run(this->io);
    async_connect(socket, std::vector<endpoint>(),
                  [this](const std::error_code& result, const endpoint& peer) {
                    this->note("async_connect", result, peer);
                  });
    run(this->io);
    return this->lines();
  }
};

enum class receive_by { receive, receive_from, async_receive, async_receive_from };

/// Receives with a flag, from queues of each kind: none, an empty datagram, one that fits, one that does not. `own_path`
/// turns on what Asio's own operations do not see to.
template <class Socket>
std::vector<std::string> receive_with(int flags, receive_by how, bool own_path)
{
  talk<Socket> in;
  auto& socket = in.socket;
  auto& ec = in.ec;
  auto& room = in.room;
  auto& sender = in.sender;
  if (own_path) {
    const int on = 1;
    REQUIRE(::setsockopt(socket.native_handle(), IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0);
    if constexpr (std::is_same_v<Socket, ours>) {
      socket.set_option(dgram::option::receive_error(true), ec);
      socket.set_option(dgram::option::packet_info(true));
    }
  }
  const auto receive = [&](const std::string& what) {
    room.fill('.');
    sender = endpoint();
    std::optional<std::size_t> size;
    const auto note = [&](const std::error_code& result, std::size_t bytes) {
      ec = result;
      size = bytes;
    };
    const auto into = asio::buffer(room.data(), 4);
    switch (how) {
    case receive_by::receive: size = socket.receive(into, flags, ec); break;
    case receive_by::receive_from: size = socket.receive_from(into, sender, flags, ec); break;
    case receive_by::async_receive: socket.async_receive(into, flags, note); break;
    case receive_by::async_receive_from:
      socket.async_receive_from(into, sender, flags, note);
      break;
    }
    // What waits in vain does so on either socket.
    for (int turn = 0; turn < 20 && !size; ++turn) {
      in.io.restart();
      in.io.poll();
    }
    if (!size) {
      in.note(what, std::error_code(), "waits");
      socket.cancel(ec);
      run(in.io);
    }
    const bool has_sender =
        how == receive_by::receive_from || how == receive_by::async_receive_from;
    in.note(what, ec,
            std::to_string(*size) + " " + std::string(room.data(), 5) + " " +
                (has_sender && !ec ? in.named(sender) : ""));
  };
  const auto own = socket.local_endpoint();
  receive("nothing");
  for (const char* text : {"", "fits", "does not fit"}) {
    in.first.send_to(asio::buffer(std::string(text)), own);
    receive(text);
    receive("again");
    // The rest.
    while (socket.receive(asio::buffer(room), 0, ec), !ec) {}
  }
  return in.lines();
}

}  // namespace

TEST_CASE("drop-in: each flag of each receive has the same results, on Asio's path and on ours")
{
  const auto how = GENERATE(receive_by::receive, receive_by::receive_from,
                            receive_by::async_receive, receive_by::async_receive_from);
  const int flags = GENERATE(
      0, int(ours::message_peek), int(ours::message_out_of_band), int(ours::message_do_not_route),
      int(ours::message_end_of_record), int(MSG_WAITALL), int(MSG_DONTWAIT), int(MSG_TRUNC),
      int(MSG_PEEK | MSG_TRUNC), int(MSG_ERRQUEUE), int(MSG_NOSIGNAL), int(MSG_CMSG_CLOEXEC));
  const bool own_path = GENERATE(false, true);
  CAPTURE(int(how), flags, own_path);
  CHECK(receive_with<ours>(flags, how, own_path) == receive_with<theirs>(flags, how, own_path));
}

TEST_CASE("drop-in: options have the same results")
{
  same_trace<options>();
}

TEST_CASE("drop-in: connecting again and naming a destination when connected have the same results")
{
  same_trace<other_peers>();
}

TEST_CASE("drop-in: empty, cut and large datagrams have the same results")
{
  same_trace<sizes>();
}

TEST_CASE("drop-in: what ends pending operations has the same results")
{
  same_trace<cancellation>();
}

TEST_CASE("drop-in: moves, also from and to Asio's types, have the same results")
{
  same_trace<moves>();
}

TEST_CASE("drop-in: connecting to a resolver's results has the same results")
{
  same_trace<resolved>();
}
