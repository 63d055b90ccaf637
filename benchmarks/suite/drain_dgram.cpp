// SPDX-License-Identifier: BSL-1.0
#include "batch_echo.hpp"
#include "drain_coroutine.hpp"

#include <dgram.hpp>
#include <dgram/reader.hpp>
#include <dgram/writer.hpp>

namespace bench::drain {

namespace {

using our_drainer = socket_drainer<dgram::udp::socket>;

/// Takes batches, and passes each datagram to `Visit`.
template <class Visit>
class batch_drainer : public our_drainer {
public:
  explicit batch_drainer(std::size_t slots) : batch_(slots)
  {
    asio::co_spawn(turns_.context(), work(), asio::detached);
  }

  template <class Option>
  void set(const Option& option)
  {
    socket_.set_option(option);
  }

private:
  asio::awaitable<void> work()
  {
    for (;;) {
      for (std::size_t taken = 0; taken < turns_.wanted();) {
        co_await socket_.async_receive_batch(batch_, asio::use_awaitable);
        taken += batch_.size();
        visit_all();
      }
      co_await turns_.next();
    }
  }

  // Outside of the coroutine, whose variables GCC keeps in memory.
  void visit_all()
  {
    for (const dgram::datagram& datagram : batch_)
      seen_ += Visit()(datagram);
  }

  dgram::receive_batch batch_;
  std::size_t seen_ = 0;
};

struct look_at_size {
  std::size_t operator()(const dgram::datagram& datagram) const noexcept
  {
    return datagram.payload().size();
  }
};

struct look_at_metadata {
  std::size_t operator()(const dgram::datagram& datagram) const
  {
    std::size_t seen = datagram.payload().size() + datagram.interface_index();
    if (const auto local = datagram.local_address()) seen += local->to_v4().to_uint();
    seen += static_cast<std::size_t>(datagram.hop_limit().value_or(0));
    seen += static_cast<std::size_t>(datagram.ecn().value_or(dgram::ecn_codepoint::not_ect));
    if (const auto time = datagram.receive_time())
      seen += static_cast<std::size_t>(time->time_since_epoch().count());
    return seen;
  }
};

class reader_drainer : public our_drainer {
public:
  reader_drainer(std::size_t slots, bool coalesced)
      : reader_(socket_, {.slots = slots, .coalesce = coalesced})
  {
    asio::co_spawn(turns_.context(), work(), asio::detached);
  }

private:
  asio::awaitable<void> work()
  {
    for (;;) {
      for (std::size_t left = turns_.wanted(); left > 0; --left)
        if (const auto datagram = co_await reader_.next()) bytes_ += datagram->payload().size();
      co_await turns_.next();
    }
  }

  dgram::reader<dgram::udp, dgram::udp::socket::executor_type> reader_;
  std::size_t bytes_ = 0;
};

/// Passes each message to `Take`.
template <class Take>
class emitter_drainer : public drainer {
public:
  explicit emitter_drainer(raw::descriptor bound)
  {
    socket_.on<dgram::event::message>(
        [this](dgram::bytes_view message, const dgram::remote_info& from) {
          take_(socket_, message, from);
          if (--left_ == 0) turns_.end();
        });
    socket_.bind({.fd = bound.release()});
  }

  int descriptor() override { return socket_.native_handle(); }

  void take(std::size_t count) override
  {
    left_ = count;
    turns_.run(count);
  }

private:
  turns turns_;
  dgram::emitter_socket socket_ = dgram::create_socket(turns_.context(), dgram::udp4);
  std::size_t left_ = 0;
  Take take_;
};

struct look_at_message {
  void operator()(dgram::emitter_socket&, dgram::bytes_view message, const dgram::remote_info& from)
  {
    bytes += message.size() + from.port;
  }

  std::size_t bytes = 0;
};

struct send_back {
  void operator()(dgram::emitter_socket& socket, dgram::bytes_view message,
                  const dgram::remote_info& from) const
  {
    socket.send(message, from);
  }
};

class echo_drainer : public our_drainer {
public:
  explicit echo_drainer(const dgram::writer_config& config)
      : reader_(socket_), writer_(reader_, config)
  {
    asio::co_spawn(turns_.context(), work(), asio::detached);
  }

private:
  asio::awaitable<void> work()
  {
    for (;;) {
      for (std::size_t left = turns_.wanted(); left > 0; --left) {
        const auto datagram = co_await reader_.next();
        if (!datagram) co_return;
        co_await writer_.send(datagram->payload(), datagram->reply_path());
      }
      co_await writer_.flush();
      co_await turns_.next();
    }
  }

  using executor_type = dgram::udp::socket::executor_type;

  dgram::reader<dgram::udp, executor_type> reader_;
  dgram::writer<dgram::udp, executor_type> writer_;
};

class batch_echo_drainer : public our_drainer {
public:
  batch_echo_drainer()
  {
    asio::co_spawn(turns_.context(), echo_in_batches(turns_, reader_, writer_), asio::detached);
  }

private:
  using executor_type = dgram::udp::socket::executor_type;

  dgram::reader<dgram::udp, executor_type> reader_{socket_};
  dgram::writer<dgram::udp, executor_type> writer_{reader_};
};

class in_place_echo_drainer : public our_drainer {
public:
  explicit in_place_echo_drainer(std::size_t slots) : in_(slots)
  {
    socket_.set_option(dgram::option::coalescing(true));
    asio::co_spawn(turns_.context(), work(), asio::detached);
  }

private:
  asio::awaitable<void> work()
  {
    for (;;) {
      for (std::size_t left = turns_.wanted(); left > 0;) {
        co_await socket_.async_receive_batch(in_, asio::use_awaitable);
        left -= in_.size();
        out_.push_replies(in_);
        co_await socket_.async_send_batch(out_, asio::use_awaitable);
      }
      co_await turns_.next();
    }
  }

  dgram::receive_batch in_;
  dgram::send_batch out_{in_};
};

}  // namespace

drainer_ptr dgram_drop_in_callback()
{
  return std::make_unique<callback_drainer<dgram::udp::socket>>();
}

drainer_ptr dgram_drop_in_coroutine()
{
  return std::make_unique<coroutine_drainer<dgram::udp::socket>>();
}

drainer_ptr dgram_batch(std::size_t slots, bool coalesced)
{
  auto result = std::make_unique<batch_drainer<look_at_size>>(slots);
  result->set(dgram::option::coalescing(coalesced));
  return result;
}

drainer_ptr dgram_metadata(std::size_t slots)
{
  auto result = std::make_unique<batch_drainer<look_at_metadata>>(slots);
  result->set(dgram::option::packet_info(true));
  result->set(dgram::option::receive_ecn(true));
  result->set(dgram::option::receive_hop_limit(true));
  result->set(dgram::option::receive_timestamp(true));
  result->set(dgram::option::receive_drop_count(true));
  return result;
}

drainer_ptr dgram_reader(std::size_t slots, bool coalesced)
{
  return std::make_unique<reader_drainer>(slots, coalesced);
}

drainer_ptr dgram_emitter()
{
  return std::make_unique<emitter_drainer<look_at_message>>(raw::make_socket());
}

drainer_ptr dgram_echo(std::size_t writer_datagrams, std::size_t writer_bytes)
{
  return std::make_unique<echo_drainer>(
      dgram::writer_config{.datagrams = writer_datagrams, .bytes = writer_bytes});
}

drainer_ptr dgram_echo_batch_loop()
{
  return std::make_unique<batch_echo_drainer>();
}

drainer_ptr dgram_echo_emitter()
{
  raw::descriptor bound = raw::make_socket();
  raw::set_coalescing(bound.get(), true);
  return std::make_unique<emitter_drainer<send_back>>(std::move(bound));
}

drainer_ptr dgram_echo_in_place(std::size_t slots)
{
  return std::make_unique<in_place_echo_drainer>(slots);
}

}  // namespace bench::drain
