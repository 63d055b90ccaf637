// SPDX-License-Identifier: BSL-1.0
// Every function that a program can set and replace, and what makes the library call it.
#ifndef DGRAM_TESTS_CONFORMANCE_PROGRAM_FUNCTIONS_HPP
#define DGRAM_TESTS_CONFORMANCE_PROGRAM_FUNCTIONS_HPP

#include "support/asio.hpp"
#include "support/loopback.hpp"

#include <dgram/exchanger.hpp>
#include <dgram/listener.hpp>
#include <dgram/session_map.hpp>
#include <dgram/sim.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

namespace test {

/// A socket, and one that sends to it.
struct socket_and_peer {
  asio::io_context io{1};
  dgram::udp::socket socket{io, loopback_v4()};
  dgram::udp::socket peer{io, loopback_v4()};

  void tell(std::string_view text) { peer.send_to(asio::buffer(text), socket.local_endpoint()); }

  /// Runs the context until the condition holds.
  template <class Condition>
  void run_until(const Condition& holds)
  {
    const auto limit = std::chrono::steady_clock::now() + seconds(10);
    while (!holds()) {
      REQUIRE(std::chrono::steady_clock::now() < limit);
      io.restart();
      io.run_one_for(seconds(1));
    }
  }
};

inline const std::string too_big(65508, 'x');

// Each of these has `set`, which sets a function that calls its copy of `probe`, and `cause`, which
// makes the library call the function at least once. `owner` is what may be destroyed meanwhile.

struct exchanger_functions : socket_and_peer {
  dgram::exchanger<dgram::udp> exchanger{
      socket,
      dgram::same_bytes{0, 2},
      {.retry = {.first_wait = milliseconds(1), .tries = 65535, .backoff = 1, .jitter = 0}}};

  auto& owner() { return exchanger; }

  template <class Condition>
  void cause(std::string_view text, const Condition& called)
  {
    tell(text);
    run_until(called);
  }

  void ask(const dgram::retry_policy& policy)
  {
    exchanger.async_exchange("id", peer.local_endpoint(), policy,
                             [](dgram::error_code, const dgram::answer&) {});
  }
};

struct exchanger_on_unmatched : exchanger_functions {
  template <class Probe>
  void set(Probe probe)
  {
    exchanger.on_unmatched([probe](const dgram::datagram&, dgram::unmatched) mutable { probe(); });
  }
  template <class Called>
  void cause(const Called& called)
  {
    exchanger_functions::cause("stray", called);
  }
};

struct exchanger_on_check : exchanger_functions {
  exchanger_on_check() { ask({.first_wait = seconds(60)}); }

  template <class Probe>
  void set(Probe probe)
  {
    exchanger.on_check([probe](dgram::bytes_view, const dgram::datagram&) mutable {
      probe();
      return false;
    });
  }
  template <class Called>
  void cause(const Called& called)
  {
    exchanger_functions::cause("id", called);
  }
};

/// The new bytes are captures of the function.
struct exchanger_on_remake : exchanger_functions {
  exchanger_on_remake()
  {
    ask({.first_wait = milliseconds(1), .tries = 65535, .backoff = 1, .jitter = 0});
  }

  template <class Probe>
  void set(Probe probe)
  {
    exchanger.on_remake([probe, bytes = std::array{'i', 'd', 'a'}](
                            dgram::bytes_view, const dgram::udp::endpoint&, std::size_t) mutable {
      probe();
      bytes[2] = bytes[2] == 'z' ? 'a' : static_cast<char>(bytes[2] + 1);
      return dgram::bytes_view(bytes);
    });
  }
  template <class Called>
  void cause(const Called& called)
  {
    run_until(called);
  }
};

struct listener_on_stranger : socket_and_peer {
  dgram::udp::listener listener{socket};
  listener_on_stranger()
  {
    listener.async_for_each([](const dgram::udp::session_ref&, const dgram::datagram&) {},
                            [](dgram::error_code) {});
  }

  auto& owner() { return listener; }

  template <class Probe>
  void set(Probe probe)
  {
    listener.on_stranger([probe](const dgram::datagram&, dgram::stranger&) mutable {
      probe();
      return false;
    });
  }
  template <class Called>
  void cause(const Called& called)
  {
    tell("hello");
    run_until(called);
  }
};

struct listener_on_end : socket_and_peer {
  dgram::udp::listener listener{socket};
  listener_on_end()
  {
    listener.async_for_each(
        [](const dgram::udp::session_ref& from, const dgram::datagram&) { from.close(); },
        [](dgram::error_code) {});
  }

  auto& owner() { return listener; }

  template <class Probe>
  void set(Probe probe)
  {
    listener.on_end([probe](dgram::session_id, const dgram::udp::endpoint&,
                            dgram::session_end) mutable { probe(); });
  }
  template <class Called>
  void cause(const Called& called)
  {
    tell("hello");
    run_until(called);
  }
};

struct listener_on_failure : socket_and_peer {
  dgram::udp::listener listener{socket};
  listener_on_failure()
  {
    listener.async_serve(
        [](dgram::udp::session) -> asio::awaitable<void> {
          throw std::runtime_error("asked");
          co_return;
        },
        [](dgram::error_code) {});
  }

  auto& owner() { return listener; }

  template <class Probe>
  void set(Probe probe)
  {
    listener.on_failure([probe](dgram::session_id, const std::exception_ptr&) mutable { probe(); });
  }
  template <class Called>
  void cause(const Called& called)
  {
    tell("hello");
    run_until(called);
  }
};

struct writer_on_error : socket_and_peer {
  dgram::writer<dgram::udp> writer{socket};

  auto& owner() { return writer; }

  template <class Probe>
  void set(Probe probe)
  {
    writer.on_error([probe](dgram::error_code, const dgram::udp::endpoint&, std::size_t,
                            std::uint64_t) mutable { probe(); });
  }
  template <class Called>
  void cause(const Called& called)
  {
    REQUIRE(writer.try_send(too_big, peer.local_endpoint()));
    run_until(called);
  }
};

struct batch_on_refused {
  dgram::send_batch batch{4};

  template <class Probe>
  void set(Probe probe)
  {
    batch.on_refused(
        [probe](dgram::error_code, const dgram::udp::endpoint&, std::size_t) mutable { probe(); });
  }
  template <class Called>
  void cause(const Called& called)
  {
    batch.push("refused", loopback_v4(9));
    REQUIRE(batch.refuse_front(asio::error::access_denied));
    REQUIRE(called());
    batch.clear();
  }
};

struct session_map_on_stranger : socket_and_peer {
  dgram::session_map<int> sessions;
  dgram::receive_batch batch{1};

  template <class Probe>
  void set(Probe probe)
  {
    sessions.on_stranger([probe](const dgram::datagram&) mutable {
      probe();
      return false;
    });
  }
  template <class Called>
  void cause(const Called& called)
  {
    tell("hello");
    REQUIRE(socket.receive_batch(batch) == 1);
    REQUIRE_FALSE(sessions.route(*batch.begin()));
    REQUIRE(called());
  }
};

struct session_map_on_end {
  dgram::session_map<int> sessions;

  template <class Probe>
  void set(Probe probe)
  {
    sessions.on_end(
        [probe](dgram::session_map<int>::session, dgram::session_end) mutable { probe(); });
  }
  template <class Called>
  void cause(const Called& called)
  {
    REQUIRE(sessions.erase(sessions.route(loopback_v4(9))));
    REQUIRE(called());
  }
};

struct network_on_trace {
  asio::io_context io{1};
  dgram::sim::network net{io};

  template <class Probe>
  void set(Probe probe)
  {
    net.on_trace([probe](std::string_view) mutable { probe(); });
  }
  template <class Called>
  void cause(const Called& called)
  {
    net.note("something");
    REQUIRE(called());
  }
};

}  // namespace test

#define DGRAM_FUNCTIONS_WITH_AN_OWNER                                                \
  test::exchanger_on_unmatched, test::exchanger_on_check, test::exchanger_on_remake, \
      test::listener_on_stranger, test::listener_on_end, test::listener_on_failure,  \
      test::writer_on_error

#define DGRAM_PROGRAM_FUNCTIONS                                                         \
  DGRAM_FUNCTIONS_WITH_AN_OWNER, test::batch_on_refused, test::session_map_on_stranger, \
      test::session_map_on_end, test::network_on_trace

#endif
