// SPDX-License-Identifier: BSL-1.0
// The answer to a request, which belongs to the program.
#ifndef DGRAM_ANSWER_HPP
#define DGRAM_ANSWER_HPP

#include <dgram/bytes_view.hpp>
#include <dgram/config.hpp>
#include <dgram/datagram.hpp>
#include <dgram/detail/sessions/answer_memory.hpp>
#include <dgram/fwd.hpp>

#include <cstddef>
#include <memory>
#include <utility>

DGRAM_NAMESPACE_BEGIN

/// The answer to a request: a copy of the datagram, which stays as it is until this object is
/// destroyed or assigned to. It can be moved. An exchanger uses the memory again afterwards.
///
/// It may outlive the exchanger and the socket, and may be destroyed on any thread.
///
/// \code
/// dgram::exchanger client{socket, dgram::same_bytes{0, 2}};
/// const dgram::answer answer = co_await client.exchange(query, peer);
/// handle(answer.payload(), answer.sender());
/// \endcode
template <class Protocol>
class basic_answer {
public:
  using endpoint_type = typename Protocol::endpoint;
  using datagram_type = basic_datagram<Protocol>;

  /// No answer.
  basic_answer() noexcept = default;

  basic_answer(basic_answer&& other) noexcept
      : memory_(std::move(other.memory_)),
        kept_(std::exchange(other.kept_, nullptr)),
        tries_(std::exchange(other.tries_, 0))
  {
  }

  basic_answer& operator=(basic_answer&& other) noexcept
  {
    if (this != &other) {
      release();
      memory_ = std::move(other.memory_);
      kept_ = std::exchange(other.kept_, nullptr);
      tries_ = std::exchange(other.tries_, 0);
    }
    return *this;
  }

  ~basic_answer() { release(); }

  /// Whether there is an answer.
  explicit operator bool() const noexcept { return kept_ != nullptr; }

  /// The received bytes; none without an answer. Valid as long as this object is not moved from.
  bytes_view payload() const noexcept
  {
    return kept_ != nullptr ? kept_->view().payload() : bytes_view();
  }

  /// The peer that has answered, which is the one that was asked.
  endpoint_type sender() const
  {
    return kept_ != nullptr ? kept_->view().sender() : endpoint_type();
  }

  /// The whole datagram with its metadata; valid as long as the payload. There must be an answer.
  datagram_type datagram() const noexcept { return kept_->view(); }

  /// How often the request had been sent when the answer came.
  std::size_t tries() const noexcept { return tries_; }

private:
  template <class, class>
  friend class detail::exchanger_core;

  using node_type = detail::inbox_datagram<Protocol>;

  basic_answer(std::shared_ptr<detail::answer_memory> memory, node_type* kept,
               std::size_t tries) noexcept
      : memory_(std::move(memory)), kept_(kept), tries_(tries)
  {
  }

  void release() noexcept
  {
    if (kept_ != nullptr) memory_->give_back(*std::exchange(kept_, nullptr));
  }

  std::shared_ptr<detail::answer_memory> memory_;
  node_type* kept_ = nullptr;
  std::size_t tries_ = 0;
};

using answer = basic_answer<udp>;

DGRAM_NAMESPACE_END

#endif
