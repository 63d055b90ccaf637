// SPDX-License-Identifier: BSL-1.0
// Does the work of one row a few times, for scripts/guard, which counts the instructions of
// `counted_work`. Nothing depends on time: datagrams are queued first, and then taken.
#include "../suite/batch_work.hpp"
#include "../suite/drain.hpp"
#include "../suite/raw.hpp"
#include "../suite/send.hpp"
#include "../suite/session_drain.hpp"

#include <asio/version.hpp>

#include <time.h>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// Time stands still. Under callgrind a program is fifty times slower, and turns that are limited
/// by time would end early, in one run sooner than in another.
extern "C" int clock_gettime(clockid_t, timespec* now) noexcept
{
  *now = {.tv_sec = 1'000'000, .tv_nsec = 0};
  return 0;
}

/// What is counted. Callgrind finds it by its name.
extern "C" [[gnu::noinline]] void counted_work(const std::function<void()>& work)
{
  work();
}

namespace {

constexpr int turns_to_warm_up = 4;
constexpr int counted_turns = 4;
constexpr std::size_t slots_in_place = 8;

/// One turn: what `prepare` does is not counted.
struct row {
  std::size_t datagrams;  // of a turn
  std::function<void()> prepare;
  std::function<void()> work;
};

struct drain_work {
  std::size_t datagrams;
  std::size_t payload;
  std::size_t peers = 1;
  bool trains = false;
};

row drain(const drain_work& what, bench::drain::drainer_ptr made)
{
  const auto source = std::make_shared<bench::filler>(what.payload, what.trains, what.peers);
  if (!what.trains && source->count() < what.datagrams)
    throw std::runtime_error("the socket buffers of this system are too small");
  const std::shared_ptr<bench::drain::drainer> by = std::move(made);
  const std::size_t count = what.datagrams;
  return {count,
          [=] {
            source->drain();
            source->fill(by->descriptor(), count);
          },
          [=] { by->take(count); }};
}

using make_sender = std::function<bench::send::sender_ptr(const bench::send::job&)>;

row send(std::size_t payload, std::size_t batch, bool coalesced, const make_sender& make)
{
  const auto to = std::make_shared<bench::receivers>(1, coalesced);
  const std::shared_ptr<bench::send::sender> by = make({payload, to->addresses(), batch});
  const std::size_t count = 2 * batch;
  return {count, [=] { to->drain(); }, [=] { by->send(count); }};
}

/// Full messages to one ordinary peer.
row send_large(const make_sender& make)
{
  constexpr std::size_t payload = 1200;
  return send(payload, bench::raw::train_length(payload), false, make);
}

/// Many small datagrams from a handler, to one peer that coalesces.
row send_small(const make_sender& make)
{
  return send(100, 512, true, make);
}

bench::send::sender_ptr batch_in_handlers(const bench::send::job& work)
{
  return bench::send::dgram_batch_in_handlers(work, false);
}

bench::send::sender_ptr copying_batch_in_handlers(const bench::send::job& work)
{
  return bench::send::dgram_batch_in_handlers(work, true);
}

constexpr drain_work plain{.datagrams = 128, .payload = 64};
constexpr drain_work of_peers{.datagrams = 128, .payload = 64, .peers = 8};
constexpr drain_work trains{.datagrams = 2048, .payload = 100, .peers = 8, .trains = true};

row make(std::string_view name)
{
  using namespace bench;
  if (name == "R1") return drain(plain, drain::dgram_batch(64, false));
  if (name == "R2") return drain(plain, drain::dgram_reader(64, true));
  if (name == "R5") return drain(plain, drain::dgram_emitter());
  if (name == "T1") return send_large(send::dgram_batch);
  if (name == "T3") return send_large(send::dgram_emitter);
  if (name == "T6-batch") return send_small(batch_in_handlers);
  if (name == "T6-copying-batch") return send_small(copying_batch_in_handlers);
  if (name == "T6-writer") return send_small(send::dgram_writer_in_handlers);
  if (name == "T6-emitter") return send_small(send::dgram_emitter_in_handlers);
  if (name == "E1") return drain(plain, drain::dgram_echo(1024, 262144));
  if (name == "E5-in-place") return drain(trains, drain::dgram_echo_in_place(slots_in_place));
  if (name == "E5-batch-loop") return drain(trains, drain::dgram_echo_batch_loop());
  if (name == "E5-emitter") return drain(trains, drain::dgram_echo_emitter());
  if (name == "E5-next-send") return drain(trains, drain::dgram_echo(1024, 262144));
  if (name == "S1") return drain(of_peers, drain::dgram_session_map_of_new_peers());
  if (name == "S2") return drain(of_peers, drain::dgram_serve({}));
  if (name == "S3") return drain(of_peers, drain::dgram_serve({.answers = true}));
  if (name == "S4") return drain(trains, drain::dgram_serve({.coalesced = true}));
  throw std::invalid_argument("there is no such row");
}

void run(std::string_view name)
{
  const row measured = make(name);
  for (int turn = 0; turn < turns_to_warm_up; ++turn) {
    measured.prepare();
    measured.work();
  }
  for (int turn = 0; turn < counted_turns; ++turn) {
    measured.prepare();
    counted_work(measured.work);
  }
  std::printf("datagrams %zu\n", counted_turns * measured.datagrams);
}

void print_toolchain()
{
#if defined(__clang__)
  std::printf("Clang-%d.%d.%d", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  std::printf("GCC-%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
  std::printf(" Asio-%d.%d.%d\n", ASIO_VERSION / 100000, ASIO_VERSION / 100 % 1000,
              ASIO_VERSION % 100);
}

}  // namespace

int main(int argc, char** argv)
{
  const std::string_view name = argc == 2 ? argv[1] : "";
  try {
    if (name == "toolchain")
      print_toolchain();
    else
      run(name);
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bench_instructions: %s: %s\n", argc == 2 ? argv[1] : "", failure.what());
    return 2;
  }
}
