// SPDX-License-Identifier: BSL-1.0
// The whole library except format.hpp, which includes fmt.
#ifndef DGRAM_HPP
#define DGRAM_HPP

#include <dgram/activation.hpp>
#include <dgram/answer.hpp>
#include <dgram/basic_socket.hpp>
#include <dgram/block_list.hpp>
#include <dgram/bytes_view.hpp>
#include <dgram/capabilities.hpp>
#include <dgram/config.hpp>
#include <dgram/connect.hpp>
#include <dgram/control_message.hpp>
#include <dgram/coroutine_listener.hpp>
#include <dgram/create_socket.hpp>
#include <dgram/datagram.hpp>
#include <dgram/default_token.hpp>
#include <dgram/descriptors.hpp>
#include <dgram/diagnostics.hpp>
#include <dgram/emitter_socket.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/event_emitter.hpp>
#include <dgram/exchanger.hpp>
#include <dgram/exchanger_config.hpp>
#include <dgram/failure.hpp>
#include <dgram/full_policy.hpp>
#include <dgram/fwd.hpp>
#include <dgram/listener.hpp>
#include <dgram/listener_config.hpp>
#include <dgram/multicast.hpp>
#include <dgram/name_resolver.hpp>
#include <dgram/network_interface.hpp>
#include <dgram/option.hpp>
#include <dgram/owned_descriptor.hpp>
#include <dgram/path_error.hpp>
#include <dgram/rate_limiter.hpp>
#include <dgram/reader.hpp>
#include <dgram/reader_config.hpp>
#include <dgram/receive_batch.hpp>
#include <dgram/resolve.hpp>
#include <dgram/send_batch.hpp>
#include <dgram/send_options.hpp>
#include <dgram/send_result.hpp>
#include <dgram/session.hpp>
#include <dgram/session_key.hpp>
#include <dgram/session_map.hpp>
#include <dgram/session_map_config.hpp>
#include <dgram/shard_group.hpp>
#include <dgram/shard_group_config.hpp>
#include <dgram/socket_config.hpp>
#include <dgram/socket_handle.hpp>
#include <dgram/socket_kind.hpp>
#include <dgram/socket_statistics.hpp>
#include <dgram/stranger.hpp>
#include <dgram/udp.hpp>
#include <dgram/version.hpp>
#include <dgram/waiting_datagram.hpp>
#include <dgram/writer.hpp>
#include <dgram/writer_config.hpp>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/hand_over.hpp>
#include <dgram/hand_over_config.hpp>
#include <dgram/unix_dgram.hpp>
#endif

#endif
