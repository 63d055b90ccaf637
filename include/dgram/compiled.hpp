// SPDX-License-Identifier: BSL-1.0
// Compiles the usual instantiations: for one source file of a program whose other files define DGRAM_COMPILED.
#ifndef DGRAM_COMPILED_HPP
#define DGRAM_COMPILED_HPP

#include <dgram.hpp>

DGRAM_NAMESPACE_BEGIN

template class basic_socket_handle<udp, net::any_io_executor>;
template class basic_socket<udp, net::any_io_executor>;
template class basic_receive_batch<udp>;
template class basic_send_batch<udp>;
template class reader<udp>;
template class writer<udp>;
template class detail::listener_list<event::listening>;
template class detail::listener_list<event::message::of<udp>>;
template class detail::listener_list<event::connect>;
template class detail::listener_list<event::close>;
template class detail::listener_list<event::error>;
template class detail::listener_list<event::error_monitor>;
template class detail::listener_list<event::timeout>;
template class detail::listener_list<event::drain>;
template class detail::listener_list<event::drop>;
template class detail::pending_operations<udp::socket, detail::emitter_core<udp::socket>>;
template class detail::emitter_core<udp::socket>;
template class basic_emitter_socket<udp::socket>;

#if DGRAM_HAS_UNIX_DATAGRAMS
template class basic_socket_handle<unix_dgram, net::any_io_executor>;
template class basic_socket<unix_dgram, net::any_io_executor>;
#endif

DGRAM_NAMESPACE_END

#endif
