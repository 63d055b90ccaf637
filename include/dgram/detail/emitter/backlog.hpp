// SPDX-License-Identifier: BSL-1.0
// Counts the sends that wait for a bind, a connect, a name or a resume, to bound them too.
#ifndef DGRAM_DETAIL_EMITTER_BACKLOG_HPP
#define DGRAM_DETAIL_EMITTER_BACKLOG_HPP

#include <dgram/config.hpp>

#include <cstddef>
#include <utility>

DGRAM_NAMESPACE_BEGIN

namespace detail {

/// The sends that wait for a bind, a connect, a name or the end of a pause.
struct backlog {
  std::size_t count = 0;
  std::size_t bytes = 0;
};

/// The place of one send in a backlog, while that send waits.
class backlog_place {
public:
  backlog_place() noexcept = default;
  backlog_place(backlog& of, std::size_t bytes) noexcept : of_(&of), bytes_(bytes)
  {
    ++of.count;
    of.bytes += bytes;
  }
  backlog_place(backlog_place&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), bytes_(other.bytes_)
  {
  }
  backlog_place& operator=(backlog_place&& other) noexcept
  {
    const backlog_place before(std::move(*this));
    of_ = std::exchange(other.of_, nullptr);
    bytes_ = other.bytes_;
    return *this;
  }
  ~backlog_place()
  {
    if (of_ == nullptr) return;
    --of_->count;
    of_->bytes -= bytes_;
  }

private:
  backlog* of_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
