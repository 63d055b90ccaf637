// SPDX-License-Identifier: BSL-1.0
// Exchanges that wait for their answers. Each answer begins the next exchange with its peer.
#include "drain_coroutine.hpp"
#include "session_drain.hpp"

#include <dgram.hpp>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <vector>

namespace bench::drain {

namespace {

using our_drainer = socket_drainer<dgram::udp::socket>;

class exchange_drainer : public our_drainer {
public:
  exchange_drainer(std::size_t outstanding, unsigned short port, std::size_t payload)
      : request_(payload),
        client_(
            socket_, dgram::same_bytes{0, 8},
            {.retry = {.first_wait = std::chrono::hours(1), .longest_wait = std::chrono::hours(1)}})
  {
    for (std::size_t i = 0; i < outstanding; ++i)
      peers_.emplace_back(asio::ip::address_v4(peer_address(i)), port);
    for (std::size_t i = 0; i < outstanding; ++i)
      ask(i);
    send_all();
  }

  /// Requests are queued before the turn ends, and then leave.
  void take(std::size_t count) override
  {
    left_ = count;
    turns_.run(count);
    send_all();
  }

private:
  void ask(std::size_t whom)
  {
    client_.async_exchange(request_, peers_[whom],
                           [this, whom](const std::error_code& ec, const dgram::answer& answer) {
                             if (ec) std::exit(1);
                             bytes_ += answer.payload().size();
                             ask(whom);
                             if (--left_ == 0) turns_.end();
                           });
  }

  void send_all()
  {
    for (;;) {
      const auto sending = client_.statistics().sending;
      if (sending.queued == sending.sent) return;
      turns_.context().restart();
      turns_.context().run_one();
    }
  }

  std::vector<std::byte> request_;
  std::vector<asio::ip::udp::endpoint> peers_;
  dgram::exchanger<dgram::udp, dgram::udp::socket::executor_type> client_;
  std::size_t left_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

drainer_ptr dgram_exchanges(std::size_t outstanding, unsigned short port, std::size_t payload)
{
  return std::make_unique<exchange_drainer>(outstanding, port, payload);
}

}  // namespace bench::drain
