// SPDX-License-Identifier: BSL-1.0
// Callbacks that are bound to another executor: the memory that they wait in, and the work that they hold.
#include "emitter/helpers.hpp"
#include "support/asio.hpp"
#include "support/recording_allocator.hpp"

#include <asio/execution.hpp>

#include <utility>

namespace associations_test {

namespace {

/// An executor that runs what it is given at once, and counts the work guards that there are.
template <bool Tracked>
class counting_executor {
public:
  explicit counting_executor(int& work) noexcept : work_(&work) { add(1); }
  counting_executor(const counting_executor& other) noexcept : counting_executor(*other.work_) {}
  counting_executor(counting_executor&& other) noexcept : work_(std::exchange(other.work_, nullptr))
  {
  }
  counting_executor& operator=(const counting_executor&) = delete;
  ~counting_executor() { add(-1); }

  template <class Function>
  void execute(Function function) const
  {
    std::move(function)();
  }

  counting_executor<true> require(asio::execution::outstanding_work_t::tracked_t) const noexcept
  {
    return counting_executor<true>(*work_);
  }

  friend bool operator==(const counting_executor& a, const counting_executor& b) noexcept
  {
    return a.work_ == b.work_;
  }

private:
  void add(int count) const noexcept
  {
    if (Tracked && work_ != nullptr) *work_ += count;
  }

  int* work_;
};

}  // namespace

TEST_CASE("A completion waits for another executor in its handler's memory", "[emitter]")
{
  asio::io_context io;
  asio::io_context other;
  test::allocation_record memory;
  auto socket = dgram::create_socket(io, dgram::udp4);
  int called = 0;
  const auto bound = [&](auto function) {
    return asio::bind_allocator(test::recording_allocator<>(memory),
                                asio::bind_executor(other.get_executor(), std::move(function)));
  };
  const auto check_waiting = [&] {
    test::run_ready(io);
    CHECK(memory.live == 1);
    test::run(other);
    CHECK(memory.live == 0);
  };
  socket.send("x", 9, bound([&](dgram::error_code) {
                CHECK(memory.live == 0);
                ++called;
              }));
  check_waiting();
  socket.send("x", 9, bound([&] { ++called; }));
  check_waiting();
  CHECK(called == 2);
}

TEST_CASE("A callback on another executor is called when its work is over", "[emitter]")
{
  asio::io_context io;
  int work = 0;
  auto socket = dgram::create_socket(io, dgram::udp4);
  int called = 0;
  const auto bound = [&](auto function) {
    return asio::bind_executor(counting_executor<false>(work), std::move(function));
  };
  socket.send("x", 9, bound([&](dgram::error_code) {
                CHECK(work == 1);
                ++called;
              }));
  socket.send("x", 9, bound([&] {
                CHECK(work == 0);
                ++called;
              }));
  CHECK(work == 2);
  test::run_ready(io);
  CHECK(called == 2);
  CHECK(work == 0);
}

}  // namespace associations_test
