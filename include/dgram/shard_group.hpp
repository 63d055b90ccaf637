// SPDX-License-Identifier: BSL-1.0
// One UDP port for several sockets, each on an executor of the program's.
#ifndef DGRAM_SHARD_GROUP_HPP
#define DGRAM_SHARD_GROUP_HPP

#include <dgram/basic_socket.hpp>
#include <dgram/config.hpp>
#include <dgram/default_token.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/detail/socket/shard_ending.hpp>
#include <dgram/detail/socket/shard_members.hpp>
#include <dgram/endpoint.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>
#include <dgram/owned_descriptor.hpp>
#include <dgram/shard_group_config.hpp>
#include <dgram/udp.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

DGRAM_NAMESPACE_BEGIN

/// One UDP port that several sockets share, so that several threads receive from it. Each member is
/// an ordinary `dgram::udp::socket` on an executor that the program gives: readers, writers,
/// listeners and emitters work on it. The group makes no threads and is not in the way of a
/// datagram: the kernel gives each one to a member, by a program of the group's
/// (`shard_group_config::steering`).
///
/// The members have the numbers 0, 1, 2 ... in the order in which they are opened. Only the last
/// one can be taken out of the group (`async_close_last`). If the program itself closes another one
/// while the group is used, the kernel gives that number to another socket: senders move, and some
/// datagrams go to a socket that no member has open.
///
/// If the program connects a member of a group on all addresses, the kernel takes that socket out
/// of the group as if it were closed. `async_close_last` removes it.
///
/// **Exclusive.** The group binds its first socket without sharing, and fails if the port is taken.
/// Afterwards a process of the same user can bind to the port too. It gets no datagrams unless the
/// group grows beyond its `reserve`.
///
/// **Growing and shrinking** lose no datagram that is in the kernel. Datagrams that a member has
/// received stay there, so answers to a sender that moves may pass each other. A session of a
/// `listener` stays with its member: if its peer moves to another member, it is a stranger there,
/// or its datagrams are forwarded (`shard_group_config::keep_sessions`). `steer_by_sender` says how
/// many move. With `steer_by_payload`, a program decides which do.
///
/// **Systems.** Members that share a port exist on Linux, except with `DGRAM_FORCE_POSIX_BACKEND`,
/// on gVisor, and in a sandbox that refuses SO_ATTACH_REUSEPORT_CBPF. Elsewhere the first member is
/// an ordinary socket that has its port alone. A second one, or a larger `reserve`, is refused with
/// `operation_not_supported`, unless the members may read one queue
/// (`shard_group_config::share_queue`). That is another kind of group: the kernel steers nothing,
/// the port stays exclusive, and the program may close any member at any time. Sockets of the
/// simulated network have no groups.
///
/// **Lifetimes**: the members' contexts may end before the group, and the group keeps nothing of
/// them. As any socket, a member is destroyed before its context. The group may be destroyed before
/// its members. They stay open, and steering stays
/// as it is. Pending operations continue. The group then closes the bound sockets that are not
/// open; a datagram that arrives in this moment may be lost.
///
/// **Thread safety**: every function may be called on any thread, also at the same time. A member
/// belongs to the thread of its executor.
///
/// \code
/// dgram::shard_group group{dgram::udp::any(5353), {.reserve = 4}};
/// std::vector<std::thread> threads;
/// for (int i = 0; i < 4; ++i)
///   threads.emplace_back([&group] {
///     asio::io_context own{1};
///     dgram::udp::socket member = group.open(own);
///     dgram::udp::listener listener{member};
///     asio::co_spawn(own, listener.serve(handle_session), asio::detached);
///     own.run();
///   });
/// for (std::thread& thread : threads)
///   thread.join();
/// \endcode
template <class Executor = net::any_io_executor>
class basic_shard_group {
  using members_type = detail::shard_members<Executor>;

public:
  using executor_type = Executor;
  using socket_type = basic_socket<udp, Executor>;
  using default_token = default_token_t<Executor>;

  /// Binds `reserve` sockets to `local`, of which none is open yet: the first `open` takes the
  /// first of them. Datagrams that arrive before wait in its queue. Port 0 asks for any free port.
  ///
  /// Throws `system_error`, whose text names the value or the endpoint:
  ///  - `error::out_of_range` for a `reserve` outside 1 to 256, or bytes outside a payload;
  ///  - `invalid_argument` for `reuse_address` or `reuse_port`;
  ///  - `address_in_use` if the port is taken, and `access_denied` if it needs a privilege;
  ///  - `operation_not_supported` for a `reserve` of more than 1 on a system without groups, unless
  ///    the members may read one queue;
  ///  - the errors of `open`, the options and `bind` of a socket.
  explicit basic_shard_group(const udp::endpoint& local, const shard_group_config& config = {})
      : members_(std::make_shared<members_type>(config))
  {
    members_->bind(local);
  }

  /// The same for all addresses of the host; see `udp::any`.
  explicit basic_shard_group(const any_address& local, const shard_group_config& config = {})
      : members_(std::make_shared<members_type>(config))
  {
    members_->bind(local);
  }

  /// The same for the text of an endpoint.
  template <detail::endpoint_text<udp> Text>
  explicit basic_shard_group(const Text& local, const shard_group_config& config = {})
      : basic_shard_group(detail::endpoint_of_text<udp>("shard_group", local), config)
  {
  }

  /// Begins with a bound socket that a supervisor or another process has opened, such as one of
  /// `inherited_sockets`. It becomes the first member, with what is in its queue.
  ///
  /// If it was bound without SO_REUSEPORT (systemd: `ReusePort=`), the kernel has no group until
  /// the second socket is bound. In between, a few datagrams may go to the second member, which
  /// receives them when it is opened. Further members belong to this process's user: if the
  /// supervisor is another user, they are refused with `address_in_use`.
  ///
  /// Throws as the others do. Also `error::wrong_descriptor` and `bad_descriptor` as `adopt` does,
  /// and `invalid_argument` if the socket is not bound. The descriptor is closed then.
  explicit basic_shard_group(owned_descriptor inherited, const shard_group_config& config = {})
      : members_(std::make_shared<members_type>(config))
  {
    members_->adopt(std::move(inherited));
  }

  basic_shard_group(basic_shard_group&&) noexcept = default;
  basic_shard_group& operator=(basic_shard_group&&) noexcept = default;

  /// Closes the sockets of the reserve that are not open.
  ~basic_shard_group() = default;

  /// The address that the members share.
  udp::endpoint local_endpoint() const { return members_->local_endpoint(); }

  /// The number of members that were opened. A member that the program has closed counts until
  /// `async_close_last` removes it.
  std::size_t size() const { return members_->size(); }

  /// The number of the member that `steer_by_sender` selects for a sender, for programs that place
  /// other things of a sender beside its datagrams. 0 if no member is open.
  std::size_t member_of(const udp::endpoint& sender) const { return members_->member_of(sender); }

  /// Whether the members read one queue, since the system cannot steer; see
  /// `shard_group_config::share_queue`. `member_of` does not say then who receives.
  bool shares_queue() const { return members_->shares_queue(); }

  /// Opens the next member on an executor, and steers datagrams to it. Later members than the first
  /// begin with an empty queue. A member that takes the place of a closed one has that one's socket
  /// in the kernel, and so the options and multicast groups that the program set there. Errors:
  ///  - `address_in_use` if the member has to be bound, and another user opened the first socket;
  ///  - `access_denied` if the process has given up the privilege for the port;
  ///  - `in_progress` while the last member is drained or closed, or is drained and not closed;
  ///  - `error::out_of_range` beyond 256 members;
  ///  - `operation_not_supported` for a second member on a system without groups, unless the
  ///    members may read one queue;
  ///  - those of socket(2), bind(2) and the options, or of fcntl(2) if the members read one queue.
  ///
  /// The text of an exception says what to do. After an error the group is as before.
  ///
  /// The group counts the socket as closed when it has lost its descriptor: by `close`, by
  /// `release`, or by a conversion to a socket of another executor type. A listener on the
  /// converted socket shares no sessions. For such sockets, make a `basic_shard_group` of the type.
  socket_type open(const Executor& executor, error_code& ec)
  {
    return members_->open(executor, ec);
  }

  socket_type open(const Executor& executor)
  {
    error_code ec;
    auto opened = open(executor, ec);
    if (ec) members_->refuse_member(ec, size());
    return opened;
  }

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  socket_type open(Context& context, error_code& ec)
  {
    return open(Executor(context.get_executor()), ec);
  }

  template <class Context>
    requires std::convertible_to<Context&, net::execution_context&>
  socket_type open(Context& context)
  {
    return open(Executor(context.get_executor()));
  }

  /// Stops steering to the last member, and waits until its queue is empty and stays so. The
  /// member's reader must go on: it takes what is queued. Afterwards nothing more comes. The member
  /// stays open, so that its program can finish: stop its reader or listener, and flush its writer.
  /// Then it calls `async_close_last`. Until that is done, no other member can be opened. The
  /// member's context must run until then: without its reader, it needs other work or a work guard.
  ///
  /// If the members read one queue, nothing waits for this one alone. The operation then completes
  /// at once, and the member receives until its reader is stopped. Stop it before
  /// `async_close_last`, and take what it has in memory: call `next` until that is empty.
  ///
  /// Completion: `void(error_code)`. Errors:
  ///  - `in_progress` if another such operation is not finished;
  ///  - `error::out_of_range` if there is one member only, which is closed as any socket;
  ///  - `operation_aborted` after a cancellation. The member gets no more datagrams; another call
  ///    goes on.
  ///
  /// Throws `system_error` (`error::out_of_range`) at the call if no member is open.
  ///
  /// The operation runs on the member's executor, so the member's context must run. If that context
  /// is destroyed meanwhile, the handler is destroyed without a call. The handler is called on its
  /// own executor, by default the member's, and never inside the call. Cancellation: every type, on
  /// the handler's executor.
  ///
  /// `asio::cancel_after` has its timer on the member's executor, so the handler must run there.
  ///
  /// If the program has closed the member, its context may be gone. The operation then does its
  /// work in the call. The handler's default executor is that of the last member that is open, and
  /// `asio::system_executor` if none is.
  ///
  /// \code
  /// dgram::shard_group group{"127.0.0.1:0"};
  /// dgram::udp::socket first = group.open(io), last = group.open(io);
  /// dgram::reader reader{last};
  /// co_await group.async_drain_last(asio::use_awaitable);
  /// reader.stop();
  /// co_await group.async_close_last(asio::use_awaitable);
  /// \endcode
  template <net::completion_token_for<void(error_code)> Token = default_token>
  auto async_drain_last(Token&& token = default_token())
  {
    return async_end_last("async_drain_last", false, std::forward<Token>(token));
  }

  /// The same, and closes the member. Its pending operations complete with `operation_aborted`, and
  /// a reader returns what it has in memory. Answers that wait in a writer are lost: to send them
  /// call `async_drain_last` first. The group keeps the bound socket for the next `open`, since the
  /// kernel may lose a datagram when a socket of a group is closed.
  ///
  /// If the program has closed the last member by itself, this removes it from the group. A socket
  /// object that the program has closed and opened again is not a member, and stays as it is.
  template <net::completion_token_for<void(error_code)> Token = default_token>
  auto async_close_last(Token&& token = default_token())
  {
    return async_end_last("async_close_last", true, std::forward<Token>(token));
  }

  /// What each member has received; of one that the program has closed, what it had received by
  /// then. Emitters, readers, listeners and batches count; a single
  /// `async_receive_from` of Asio's own does not (see docs/metadata.md).
  std::vector<shard_statistics> statistics() const { return members_->statistics(); }

private:
  template <class Token>
  auto async_end_last(const char* operation, bool closes, Token&& token)
  {
    if (size() == 0) detail::refuse(operation, error::out_of_range, "0 members are open");
    return net::async_initiate<Token, void(error_code)>(
        detail::shard_ending_initiation<Executor>(members_, closes), token);
  }

  std::shared_ptr<members_type> members_;
};

/// A group of `dgram::udp::socket`.
using shard_group = basic_shard_group<>;

DGRAM_NAMESPACE_END

#endif
