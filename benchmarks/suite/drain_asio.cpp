// SPDX-License-Identifier: BSL-1.0
#include "drain_coroutine.hpp"

namespace bench::drain {

drainer_ptr asio_callback()
{
  return std::make_unique<callback_drainer<asio::ip::udp::socket>>();
}

drainer_ptr asio_coroutine()
{
  return std::make_unique<coroutine_drainer<asio::ip::udp::socket>>();
}

}  // namespace bench::drain
