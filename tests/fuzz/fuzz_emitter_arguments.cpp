// SPDX-License-Identifier: BSL-1.0
// Fuzzes the arguments of an emitter's calls, on a simulated network: whatever numbers and texts a
// call gets, it throws a documented error and changes nothing, or completes once.

#include "fuzz/input.hpp"

#include <dgram.hpp>
#include <dgram/sim.hpp>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace sim = dgram::sim;
using dgram::error;
using dgram::error_code;
using emitter = dgram::basic_emitter_socket<sim::socket>;

constexpr std::uint16_t receiver_port = 4000;

/// A number of any type that a program may have.
struct any_number {
  std::uint64_t bits;
  std::uint8_t type;

  template <class Function>
  decltype(auto) visit(const Function& function) const
  {
    switch (type % 6) {
    case 0: return function(static_cast<int>(bits));
    case 1: return function(static_cast<std::uint16_t>(bits));
    case 2: return function(static_cast<std::int64_t>(bits));
    case 3: return function(bits);
    case 4: return function(static_cast<signed char>(bits));
    default: return function(static_cast<unsigned>(bits));
    }
  }

  bool is_from(std::int64_t least, std::int64_t most) const
  {
    return visit([&](auto number) {
      return std::cmp_greater_equal(number, least) && std::cmp_less_equal(number, most);
    });
  }

  /// The value; only if it is known to fit.
  std::size_t value() const
  {
    return visit([](auto number) { return static_cast<std::size_t>(number); });
  }
};

any_number take_number(fuzz::input& from)
{
  static constexpr std::array<std::uint64_t, 8> usual{
      receiver_port, receiver_port, 1, 65535, 65536, 0, 2, 5};
  const std::uint8_t form = from.byte();
  if (form % 4 != 0) return {usual[form / 4 % usual.size()], from.byte()};
  return {from.number<std::uint64_t>(), from.byte()};
}

std::string take_text(fuzz::input& from)
{
  static constexpr std::array<std::string_view, 14> usual{
      "10.0.0.2",  "10.0.0.1", "2001:db8::2", "known",     "unknown",  "",   "::",
      "127.0.0.1", "65535",    "10.0.0.02",   "239.1.2.3", "ff02::12", "lo", "::ffff:10.0.0.2"};
  if (from.one_in(4)) return from.text(40);
  return std::string(from.one_of(usual));
}

bool is_number_text(std::string_view text)
{
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

class world {
public:
  explicit world(fuzz::input& from) : from_(from), is_v6_(from.one_in(2))
  {
    net_.add_host("here", {"10.0.0.1", "2001:db8::1"});
    net_.add_host("there", {"10.0.0.2", "2001:db8::2"});
    net_.set_default_host("here");
    receiver_.emplace(net_, sim::location{is_v6_ ? "2001:db8::2" : "10.0.0.2", receiver_port});
    socket_.emplace(
        io_.get_executor(), &io_,
        dgram::socket_options{
            .type = is_v6_ ? dgram::udp6 : dgram::udp4,
            .lookup = [this](const std::string& host, dgram::socket_type,
                             dgram::lookup_result done) { look_up(host, std::move(done)); }});
    socket_->on<dgram::event::error>([](const dgram::failure& why) {
      fuzz::require(why.code && !why.text().empty(), "an 'error' event has an error");
    });
  }

  void step()
  {
    const std::uint8_t what = from_.byte();
    const any_number port = take_number(from_);
    const std::string text = take_text(from_);
    switch (what % 10) {
    case 0: bind(port, text); break;
    case 1: connect(port, text); break;
    case 2: set_number(port); break;
    case 3: change_membership(text); break;
    case 4: disconnect_or_close(); break;
    case 5: net_.run_for(std::chrono::milliseconds(from_.byte())); break;
    default: send(port, text);
    }
    receive();
  }

  void end()
  {
    if (!socket_->state().closed && !socket_->state().closing) socket_->close();
    net_.run();
    receive();
    while (!lookups_.empty())
      answer();
    net_.run();
    fuzz::require(socket_->state().closed, "a close ends a socket");
    fuzz::require(completed_ == started_, "each call that does not throw completes once");
  }

private:
  void look_up(const std::string& host, dgram::lookup_result done)
  {
    fuzz::require(!is_number_text(host), "digits alone are no name");
    fuzz::require(asked_.contains(host), "a name is looked up as it was given");
    lookups_.emplace_back(host, std::move(done));
    switch (from_.byte() % 4) {
    case 0: throw std::runtime_error("no names today");
    case 1: asio::post(io_, [this] { answer(); }); break;
    case 2: break;  // answered by a later step, or at the end
    default: answer();
    }
  }

  void answer()
  {
    if (lookups_.empty()) return;
    const auto [host, done] = std::move(lookups_.back());
    lookups_.pop_back();
    if (host != "known") return done(asio::error::host_not_found, {});
    done({}, asio::ip::make_address(is_v6_ ? "2001:db8::2" : "10.0.0.2"));
  }

  /// Counts the completion of a call that does not throw.
  auto callback()
  {
    return [this, is_called = false](error_code) mutable {
      fuzz::require(!std::exchange(is_called, true), "a callback is called once");
      fuzz::require(!is_inside_, "a callback is not called inside of its call");
      ++completed_;
    };
  }

  /// Makes a call that may throw. Returns what it threw.
  template <class Function>
  error_code attempt(std::string_view operation, bool has_callback, const Function& call)
  {
    const dgram::emitter_state before = socket_->state();
    error_code thrown;
    is_inside_ = true;
    try {
      call();
      if (has_callback) ++started_;
    } catch (const dgram::system_error& refused) {
      thrown = refused.code();
      fuzz::require(bool(thrown), "what is thrown is an error");
      fuzz::require(std::string_view(refused.what()).starts_with(operation),
                    "a refusal names its call first");
      const dgram::emitter_state after = socket_->state();
      // connect_sync and memberships bind first, which may be all that succeeds.
      const bool may_bind = operation != "bind" && operation != "send";
      fuzz::require(
          before.connected == after.connected && before.closed == after.closed &&
              before.closing == after.closing &&
              (may_bind || (before.bound == after.bound && before.receiving == after.receiving)),
          "a call that throws changes nothing");
    }
    is_inside_ = false;
    const dgram::emitter_state now = socket_->state();
    if (now.closed && operation != "close")
      fuzz::require(bool(thrown), "a closed socket refuses every call");
    return thrown;
  }

  bool is_running() const { return !socket_->state().closed && !socket_->state().closing; }

  void bind(const any_number& port, const std::string& text)
  {
    asked_.insert(text);
    const bool at_once = from_.one_in(3);
    const error_code thrown = attempt("bind", !at_once, [&] {
      port.visit([&](auto number) {
        if (at_once)
          socket_->bind_sync(number, text);
        else
          socket_->bind(number, text, callback());
      });
    });
    // The arguments are checked first.
    if (!port.is_from(0, 65535))
      fuzz::require(thrown == error::bad_port, "a port that is none is refused");
    else
      fuzz::require(thrown != error::bad_port, "a port is taken");
  }

  void connect(const any_number& port, const std::string& text)
  {
    asked_.insert(text);
    const bool at_once = from_.one_in(3);
    const error_code thrown = attempt("connect", !at_once, [&] {
      port.visit([&](auto number) {
        if (at_once)
          socket_->connect_sync(number, text);
        else
          socket_->connect(number, text, [this, done = callback()](error_code ec) mutable {
            --connects_;
            done(ec);
          });
      });
    });
    if (!thrown && !at_once) ++connects_;
    if (!port.is_from(1, 65535))
      fuzz::require(thrown == error::bad_port, "a port that is none is refused");
    else
      fuzz::require(thrown != error::bad_port, "a port is taken");
  }

  void send(const any_number& port, const std::string& text)
  {
    asked_.insert(text);
    const std::string message = std::to_string(++number_) + std::string(from_.byte() % 8, '.');
    const any_number offset{from_.one_in(2) ? from_.byte() % 4U : from_.number<std::uint64_t>(),
                            from_.byte()};
    const any_number length{from_.one_in(2) ? from_.byte() % 8U : from_.number<std::uint64_t>(),
                            from_.byte()};
    const std::uint8_t form = from_.byte() % 4;
    const bool has_slice = form > 1;
    const auto size = static_cast<std::int64_t>(message.size());
    const bool has_right_slice =
        !has_slice || (offset.is_from(0, size) &&
                       length.is_from(0, size - static_cast<std::int64_t>(offset.value())));
    const bool has_port = form % 2 == 0;
    const bool may_be_sent = is_running() && !may_have_peer();
    const bool had_peer = may_have_peer();
    const error_code thrown = attempt("send", true, [&] {
      port.visit([&](auto number) {
        if (form == 0) socket_->send(message, number, text, callback());
        if (form == 1) socket_->send(message, callback());
        if (!has_slice) return;
        offset.visit([&](auto from) {
          // Not each pair of types: that takes minutes to compile.
          const auto count = length.visit([](auto counted) {
            return std::in_range<std::int64_t>(counted) ? static_cast<std::int64_t>(counted) : -1;
          });
          if (form == 2) socket_->send(message, from, count, number, text, callback());
          if (form == 3) socket_->send(message, from, count, callback());
        });
      });
    });
    if (!thrown) {
      fuzz::require(has_right_slice, "a slice beyond the message is refused");
      fuzz::require(has_port ? port.is_from(1, 65535) : had_peer,
                    "a datagram without a destination is refused");
      expected_.insert(has_slice ? message.substr(offset.value(), length.value()) : message);
    } else if (!has_right_slice) {
      fuzz::require(thrown == error::out_of_range, "a refused slice is out of range");
    } else if (may_be_sent && has_port && port.is_from(1, 65535)) {
      fuzz::require(is_number_text(text) && thrown == asio::error::invalid_argument,
                    "a port, and an address or a name, are taken");
    }
  }

  /// The state does not tell that a connect is pending.
  bool may_have_peer() const { return socket_->state().connected || connects_ > 0; }

  void set_number(const any_number& value)
  {
    const auto number = static_cast<int>(value.bits);
    const auto bytes = static_cast<std::int64_t>(value.bits);
    const std::uint8_t which = from_.byte() % 4;
    static constexpr std::array<std::string_view, 4> names{
        "set_ttl", "set_multicast_ttl", "set_recv_buffer_size", "set_send_buffer_size"};
    attempt(names[which], false, [&] {
      if (which == 0) socket_->set_ttl(number);
      if (which == 1) socket_->set_multicast_ttl(number);
      if (which == 2) socket_->set_recv_buffer_size(bytes);
      if (which == 3) socket_->set_send_buffer_size(bytes);
    });
  }

  void change_membership(const std::string& text)
  {
    const std::string other = take_text(from_);
    const std::string third = take_text(from_);
    const std::uint8_t which = from_.byte() % 5;
    static constexpr std::array<std::string_view, 5> names{
        "add_membership", "drop_membership", "add_source_specific_membership",
        "drop_source_specific_membership", "set_multicast_interface"};
    attempt(names[which], false, [&] {
      if (which == 0) socket_->add_membership(text, other);
      if (which == 1) socket_->drop_membership(text, other);
      if (which == 2) socket_->add_source_specific_membership(text, other, third);
      if (which == 3) socket_->drop_source_specific_membership(text, other, third);
      if (which == 4) socket_->set_multicast_interface(text);
    });
  }

  void disconnect_or_close()
  {
    if (from_.one_in(8))
      attempt("close", false, [&] { socket_->close(); });
    else
      attempt("disconnect", false, [&] { socket_->disconnect(); });
  }

  void receive()
  {
    dgram::receive_batch batch(8, 64);
    error_code ec;
    while (receiver_->try_receive_batch(batch, ec) > 0)
      for (const dgram::datagram& each : batch) {
        const auto found = expected_.find(std::string(each.payload().text()));
        fuzz::require(found != expected_.end(), "what arrives was sent once, with its own bytes");
        expected_.erase(found);
      }
  }

  fuzz::input& from_;
  bool is_v6_;
  asio::io_context io_;
  sim::network net_{io_};
  std::optional<sim::socket> receiver_;
  std::vector<std::pair<std::string, dgram::lookup_result>> lookups_;
  std::set<std::string> asked_{"0.0.0.0", "::"};  // for a bind without an address
  std::multiset<std::string> expected_;
  std::uint64_t number_ = 0;
  std::size_t started_ = 0;
  std::size_t completed_ = 0;
  std::size_t connects_ = 0;  // that have not completed
  bool is_inside_ = false;
  std::optional<emitter> socket_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  fuzz::input from(data, size);
  world all(from);
  while (!from.empty())
    all.step();
  all.end();
  return 0;
}
