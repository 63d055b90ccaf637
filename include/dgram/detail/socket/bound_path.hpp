// SPDX-License-Identifier: BSL-1.0
// The socket file that a Unix socket creates when it is bound, and removes before it is closed.
#ifndef DGRAM_DETAIL_SOCKET_BOUND_PATH_HPP
#define DGRAM_DETAIL_SOCKET_BOUND_PATH_HPP

#include <dgram/config.hpp>
#include <dgram/detail/socket/protocols.hpp>
#include <dgram/endpoint.hpp>

#include <string>
#include <type_traits>
#include <utility>

#if DGRAM_HAS_UNIX_DATAGRAMS
#include <dgram/detail/platform/paths.hpp>
#endif

DGRAM_NAMESPACE_BEGIN

namespace detail {

#if DGRAM_HAS_UNIX_DATAGRAMS

/// Device and number tell the file from another one that has taken its place. While the socket is
/// open, its file keeps its number, so the same number means the same file. Remove the file before
/// you close the socket.
class bound_path {
public:
  /// Sets the permissions for the file of a later bind.
  void set_mode(int descriptor, unsigned mode) noexcept
  {
    mode_ = mode;
    platform::prepare_file_mode(descriptor, mode);
  }

  /// Binds, even if a socket that is gone has left its file behind.
  template <class Socket, class Endpoint>
  void bind(Socket& socket, const Endpoint& local, error_code& ec)
  {
    if (mode_ != 0 && (is_unnamed(local) || is_abstract(local))) {
      ec = net::error::invalid_argument;
      return;
    }
    if (is_unnamed(local) || is_abstract(local)) {
      socket.bind(local, ec);
      return;
    }
    const std::string path = local.path();
    // Before the file exists: if there is no memory, no file may stay behind.
    std::string absolute = platform::absolute_path(path);
    socket.bind(local, ec);
    if (ec == net::error::address_in_use && remove_abandoned(socket, local, path))
      socket.bind(local, ec);
    if (ec) return;
    file_ = platform::identify(path.c_str());
    path_ = std::move(absolute);
    if (mode_ == 0) return;
    // The umask may have taken permissions away. On Linux this only adds some, so no peer that is
    // to be kept out could have connected before.
    platform::set_file_mode(path.c_str(), mode_, ec);
    if (ec) remove();
  }

  /// Gives a socket without a name one that the kernel chooses. Returns whether it did.
  static bool take_name(int descriptor) noexcept
  {
    return platform::take_abstract_name(descriptor);
  }

  /// Removes the file, unless another file has taken its place.
  void remove() noexcept
  {
    if (file_.is_socket && platform::identify(path_.c_str()) == file_)
      platform::remove_file(path_.c_str());
    forget();
  }

  void forget() noexcept
  {
    file_ = {};
    mode_ = 0;
  }

private:
  template <class Socket, class Endpoint>
  static bool remove_abandoned(const Socket& socket, const Endpoint& local, const std::string& path)
  {
    // A socket that has an address cannot get another one. The kernel will refuse the bind, and the
    // file must stay.
    error_code ec;
    if (!is_unnamed(socket.local_endpoint(ec)) || ec) return false;
    const auto found = platform::identify(path.c_str());
    if (!found.is_socket || !platform::is_abandoned(local.data(), local.size())) return false;
    // Another socket may have been faster, and may listen there now.
    return platform::identify(path.c_str()) == found && platform::remove_file(path.c_str());
  }

  std::string path_;
  platform::file_identity file_;
  unsigned mode_ = 0;  // of the file; 0 if the umask decides
};

#endif

/// For protocols without paths.
struct no_path {
  template <class Socket, class Endpoint>
  void bind(Socket& socket, const Endpoint& local, error_code& ec)
  {
    socket.bind(local, ec);
  }

  void remove() noexcept {}
  void forget() noexcept {}
};

#if DGRAM_HAS_UNIX_DATAGRAMS
template <class Protocol>
using bound_path_of = std::conditional_t<path_protocol<Protocol>, bound_path, no_path>;
#else
template <class Protocol>
using bound_path_of = no_path;
#endif

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
