// SPDX-License-Identifier: BSL-1.0
// The rows of listeners, sessions, exchangers, emitters and simulated networks.
#include "conformance/contract.hpp"

#include <chrono>

namespace contract {

namespace {

asio::awaitable<void> serve_one(dgram::udp::session session)
{
  co_await session.next();
}

}  // namespace

std::vector<operation> server_operations()
{
  return {
      // a listener's
      DGRAM_OPERATION(by_socket | stays, make_listener, deliver, w.listener->async_accept(h)),
      DGRAM_OPERATION(
          by_socket | stays, make_listener, deliver,
          w.listener->async_for_each(
              [&w](const dgram::udp::session_ref&, const dgram::datagram&) { w.listener->stop(); },
              h)),
      DGRAM_OPERATION(by_socket | keeps_total, make_listener, stop_listener,
                      w.listener->async_serve(serve_one, h)),
      DGRAM_OPERATION(0, make_session, drop_session,
                      w.listener->async_drain_for(std::chrono::hours(1), h)),
      DGRAM_OPERATION(at_once | posts | fails | not_cancellable | again, make_other_form, nothing,
                      w.listener->async_accept(h)),

      // a session's
      DGRAM_OPERATION(again | stays, make_session, deliver, w.session->async_next(h)),
      DGRAM_OPERATION(again | stays, make_session, deliver,
                      w.session->async_receive(asio::buffer(w.storage), h)),
      DGRAM_OPERATION(stays, make_session, deliver,
                      w.session->async_wait(asio::socket_base::wait_read, h)),
      DGRAM_OPERATION(at_once | posts | not_cancellable | again, make_session, nothing,
                      w.session->async_wait(asio::socket_base::wait_write, h)),
      DGRAM_OPERATION(at_once | posts | not_cancellable | again, make_session, nothing,
                      w.session->async_send(asio::buffer(w.text), h)),
      DGRAM_OPERATION(again | stays, make_blocked, drain_silent,
                      w.guest->async_send(asio::buffer(w.text), h)),
      DGRAM_OPERATION(0, make_session, close_session, w.session->async_ended(h)),

      // an exchanger's
      DGRAM_OPERATION(by_socket | keeps_total, make_exchanger, deliver,
                      w.exchanger->async_exchange(w.text, w.to_peer, h)),
      DGRAM_OPERATION(at_once | posts | fails | not_cancellable | again, make_exchanger, nothing,
                      w.exchanger->async_exchange("", w.to_peer, h)),

      // an emitter's
      DGRAM_OPERATION(posts, make_emitter, look_up, w.emitter->bind(0, "name", h)),
      DGRAM_OPERATION(posts, make_bound, look_up, w.emitter->connect(9, "name", h)),
      DGRAM_OPERATION(posts, make_bound, look_up, w.emitter->send(w.text, 9, "name", h)),
      DGRAM_OPERATION(at_once | posts, make_bound, nothing, w.emitter->connect(9, "127.0.0.1", h)),
      DGRAM_OPERATION(at_once | posts | again, make_bound, nothing,
                      w.emitter->send(w.text, 9, "127.0.0.1", h)),
      DGRAM_OPERATION(again, make_bound, deliver_to_emitter,
                      w.emitter->once<dgram::event::message>(h)),
      DGRAM_OPERATION(again | stays, make_bound, deliver_to_emitter, w.messages->next(h)),
      DGRAM_OPERATION(at_once | posts | not_cancellable, make_bound, nothing, w.emitter->close(h)),

      // of a simulated network
      DGRAM_OPERATION(again | on_object | stays, make_net, send_far,
                      w.near_socket->async_receive(asio::buffer(w.storage), h)),
      DGRAM_OPERATION(again | on_object | stays, make_net, send_far,
                      w.near_socket->async_receive_batch(w.in, h)),
      DGRAM_OPERATION(at_once | not_cancellable | again | on_object, make_net, nothing,
                      w.near_socket->async_send_to(asio::buffer(w.text), w.far, h)),
      DGRAM_OPERATION(by_itself | again, make_net, nothing, w.near_timer->async_wait(h)),
  };
}

}  // namespace contract
