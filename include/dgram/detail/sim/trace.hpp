// SPDX-License-Identifier: BSL-1.0
// Writes what happens in a simulation as lines of text, the same on every system.
#ifndef DGRAM_DETAIL_SIM_TRACE_HPP
#define DGRAM_DETAIL_SIM_TRACE_HPP

#include <dgram/config.hpp>
#include <dgram/detail/async/replaceable_function.hpp>
#include <dgram/detail/sim/engine.hpp>
#include <dgram/detail/sim/host.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The text that gets the trace of every network of this thread; null if there is none.
inline thread_local std::string* sim_trace_of_thread = nullptr;

class sim_trace {
public:
  explicit sim_trace(const sim_engine& engine) : engine_(engine), text_(sim_trace_of_thread) {}

  void listen(std::function<void(std::string_view)> listener) { listener_ = std::move(listener); }

  void datagram(const char* what, const sim_packet& packet, const char* why = nullptr) const
  {
    if (is_on()) [[unlikely]]
      describe(what, packet, why);
  }

  void note(std::string_view text) const
  {
    if (is_on()) write(std::string(text));
  }

  void note(const char* what, const sim_host& host) const
  {
    if (is_on()) write(std::string(what).append(" ").append(host.addresses.front().to_string()));
  }

private:
  bool is_on() const noexcept { return text_ != nullptr || listener_; }

  /// `0.020000000 send #3 10.0.0.2:49152 > 10.0.0.1:7000 5 bytes`
  DGRAM_COLD void describe(const char* what, const sim_packet& packet, const char* why) const
  {
    std::string line(what);
    line.append(" #").append(std::to_string(packet.number)).append(" ");
    append(line, packet.source);
    line.append(" > ");
    append(line, packet.destination);
    line.append(" ").append(std::to_string(packet.payload.size())).append(" bytes");
    if (why != nullptr) line.append(": ").append(why);
    write(line);
  }

  static void append(std::string& line, const sim_endpoint& endpoint)
  {
    const bool v6 = endpoint.address().is_v6();
    line.append(v6 ? "[" : "").append(endpoint.address().to_string()).append(v6 ? "]:" : ":");
    line.append(std::to_string(endpoint.port()));
  }

  void write(const std::string& what) const
  {
    constexpr sim_time second = 1'000'000'000;
    std::string line = std::to_string(engine_.now() / second);
    const std::string fraction = std::to_string(engine_.now() % second);
    line.append(".").append(9 - fraction.size(), '0').append(fraction).append(" ").append(what);
    if (text_ != nullptr) text_->append(line).append("\n");
    if (listener_) listener_(line);
  }

  const sim_engine& engine_;
  std::string* text_;
  mutable replaceable_function<std::function<void(std::string_view)>> listener_;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
