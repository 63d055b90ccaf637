// SPDX-License-Identifier: BSL-1.0
// What the senders on Asio and on dgram share.
#ifndef DGRAM_BENCHMARKS_SUITE_SEND_COROUTINE_HPP
#define DGRAM_BENCHMARKS_SUITE_SEND_COROUTINE_HPP

#include "send.hpp"
#include "turn.hpp"

#include <asio/buffer.hpp>
#include <asio/ip/udp.hpp>

#include <vector>

namespace bench::send {

template <class Socket>
class asio_sender : public sender {
public:
  explicit asio_sender(const job& work) : work_(work), payloads_(work)
  {
    for (const sockaddr_in& peer : work.peers)
      peers_.emplace_back(asio::ip::address_v4(ntohl(peer.sin_addr.s_addr)), ntohs(peer.sin_port));
  }

  void send(std::size_t datagrams) override { turns_.run(datagrams); }

protected:
  const asio::ip::udp::endpoint& peer(std::size_t index) const
  {
    return peers_.size() == 1 ? peers_.front() : peers_[index % peers_.size()];
  }

  asio::const_buffer payload(std::size_t index) const
  {
    return {payloads_.at(index), work_.payload};
  }

  turns turns_;
  Socket socket_{turns_.context(), asio::ip::udp::v4(), raw::make_socket().release()};
  job work_;

private:
  payloads payloads_;
  std::vector<asio::ip::udp::endpoint> peers_;
};

}  // namespace bench::send

#endif
