// SPDX-License-Identifier: BSL-1.0
// Compiles the usual instantiations. Include it in one source file of a program whose other files
// define DGRAM_COMPILED.
#ifndef DGRAM_COMPILED_HPP
#define DGRAM_COMPILED_HPP

#include <dgram.hpp>

DGRAM_NAMESPACE_BEGIN

template class detail::datagram_metadata<basic_datagram<udp>, udp>;
template class basic_socket_handle<udp, net::any_io_executor>;
template class basic_socket<udp, net::any_io_executor>;
template class basic_receive_batch<udp>;
template class basic_send_batch<udp>;
template class reader<udp>;
template class writer<udp>;
template class detail::listener_list<event::listening>;
template class detail::listener_list<event::message::of<udp>>;
template class detail::listener_list<event::error>;
template class detail::destination_reader<udp>;
template std::shared_ptr<detail::emitter_core<udp::socket>> detail::make_emitter<udp::socket>(
    const udp::socket::executor_type&, net::io_context*, socket_options);
template void detail::abandon_emitter(detail::emitter_core<udp::socket>&);
template void detail::start_operation(detail::emitter_core<udp::socket>&, detail::action,
                                      const detail::destination<udp>&, const payload_view&,
                                      detail::any_completion_ptr, listener_id);
template bool detail::start_send(detail::emitter_core<udp::socket>&,
                                 const detail::destination<udp>&, const payload_view&,
                                 detail::completion<std::size_t>*);
template bool detail::start_send(detail::emitter_core<udp::socket>&, const udp::endpoint&,
                                 const payload_view&);
template bool detail::start_send(detail::emitter_core<udp::socket>&, const basic_remote_info<udp>&,
                                 const payload_view&);

DGRAM_NAMESPACE_END

#endif
