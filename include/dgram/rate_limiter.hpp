// SPDX-License-Identifier: BSL-1.0
// Limits how much each network may send to a server, and how much all of them may.
#ifndef DGRAM_RATE_LIMITER_HPP
#define DGRAM_RATE_LIMITER_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sessions/bucket_table.hpp>
#include <dgram/error.hpp>
#include <dgram/failure.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

DGRAM_NAMESPACE_BEGIN

/// A token bucket: `burst` tokens at once, and `per_second` on average.
struct token_budget {
  double per_second = 0;  ///< more than 0, at most 1e9
  double burst = 0;       ///< at least 1; at most what comes in a year
};

/// The budgets of a limiter. An absent one limits nothing; at least one is given.
struct rate_limiter_config {
  std::optional<token_budget> ipv4_address{};  ///< of each IPv4 address
  std::optional<token_budget> ipv4_network{};  ///< of each IPv4 network of 24 bits
  std::optional<token_budget> ipv6_network{};  ///< of each IPv6 network of 64 bits
  std::optional<token_budget> all{};           ///< of all senders together

  /// How many prefixes of each kind the limiter remembers, 1 to 2^28; 16 bytes each. It is rounded
  /// up to eight times a power of two.
  std::size_t max_prefixes = 65'536;
};

/// What a limiter decided. Each call of `allow` is counted in exactly one of the first three.
struct rate_limiter_statistics {
  std::uint64_t allowed = 0;
  std::uint64_t over_prefix = 0;  ///< refused: the sender's address or network had too few tokens
  std::uint64_t over_all = 0;     ///< refused: the budget of all had too few

  /// Prefixes that got a full bucket anew, because too many others were active. Raise
  /// `max_prefixes`.
  std::uint64_t forgotten = 0;

  friend bool operator==(const rate_limiter_statistics&,
                         const rate_limiter_statistics&) noexcept = default;
};

/// Decides for each datagram whether its sender's networks have tokens left. The memory is fixed:
/// senders, which may be forged, cannot make it grow. A secret seed keeps them from choosing
/// addresses that displace each other. An IPv4-mapped address counts as the IPv4 address.
///
/// A sender must have tokens in every budget that applies to it. Tokens are taken only if all have
/// enough, so a refused datagram costs nothing.
///
/// `Clock` is the clock of the times, such as that of a simulated network. A time before that of an
/// earlier call counts as the time of that call. No call except the constructor allocates.
///
/// Thread safety: distinct objects are safe, a shared object is not.
///
/// \code
/// dgram::rate_limiter limiter{{.ipv4_address = dgram::token_budget{1000, 200},
///                              .ipv6_network = dgram::token_budget{1000, 200}}};
/// dgram::reader reader{socket};
/// while (auto datagram = co_await reader.next())
///   if (limiter.allow(datagram->sender())) handle(datagram->payload(), datagram->sender());
/// \endcode
template <class Clock>
class basic_rate_limiter {
public:
  using clock_type = Clock;
  using time_point = typename Clock::time_point;

  /// Throws `system_error`, whose text names the budget and the value: `error::out_of_range` for a
  /// value outside its range, `invalid_argument` if there is no budget at all. Throws
  /// `std::bad_alloc`, and what the system's source of random numbers throws.
  explicit basic_rate_limiter(const rate_limiter_config& config)
      : ipv4_address_(read("ipv4_address", config.ipv4_address), places(config)),
        ipv4_network_(read("ipv4_network", config.ipv4_network), places(config)),
        ipv6_network_(read("ipv6_network", config.ipv6_network), places(config)),
        all_(read("all", config.all)),
        start_(Clock::now())
  {
    if (!config.ipv4_address && !config.ipv4_network && !config.ipv6_network && !config.all)
      detail::refuse("rate_limiter", net::error::invalid_argument, "there is no budget");
  }

  /// Takes tokens from the budgets of the sender: 1 for each datagram, or its bytes. Returns false,
  /// and takes none, if one of the budgets has too few.
  bool allow(const net::ip::address& sender, std::uint32_t tokens = 1,
             time_point now = Clock::now()) noexcept
  {
    advance(now);
    if (sender.is_v4()) return allow_v4(sender.to_v4().to_uint(), tokens);
    const auto bytes = sender.to_v6().to_bytes();
    const std::uint64_t network = word(bytes.data());
    const std::uint64_t host = word(bytes.data() + 8);
    if (network == 0 && host >> 32U == 0xFFFF)
      return allow_v4(static_cast<std::uint32_t>(host), tokens);
    return allow_by(tokens, &ipv6_network_, network, nullptr, 0);
  }

  bool allow(const net::ip::udp::endpoint& sender, std::uint32_t tokens = 1,
             time_point now = Clock::now()) noexcept
  {
    return allow(sender.address(), tokens, now);
  }

  const rate_limiter_statistics& statistics() const noexcept { return statistics_; }

private:
  using budget = detail::bucket_budget;

  /// A budget, and a bucket for each prefix. Without a budget there are no buckets.
  struct level {
    level(const budget& of, std::size_t prefixes) : each(of), buckets(of.is_given() ? prefixes : 1)
    {
    }
    budget each;
    detail::bucket_table buckets;
  };

  static std::size_t places(const rate_limiter_config& config)
  {
    constexpr std::size_t most = std::size_t{1} << 28U;
    if (config.max_prefixes == 0 || config.max_prefixes > most)
      detail::refuse("rate_limiter", error::out_of_range,
                     "max_prefixes " + std::to_string(config.max_prefixes) + "; allowed are 1 to " +
                         std::to_string(most));
    return config.max_prefixes;
  }

  static budget read(const char* name, const std::optional<token_budget>& given)
  {
    if (!given) return {};
    constexpr double most_per_second = 1e9;
    constexpr double year = 365.0 * 24 * 3600;
    const auto refuse = [name](const char* member, double value, const char* allowed) {
      detail::refuse("rate_limiter", error::out_of_range,
                     std::string(name).append(".").append(member).append(" ") +
                         std::to_string(value) + "; allowed is " + allowed);
    };
    // Written so that what is no number is refused too.
    if (!(given->per_second > 0 && given->per_second <= most_per_second))
      refuse("per_second", given->per_second, "more than 0, and at most 1e9");
    if (!(given->burst >= 1 && given->burst / given->per_second <= year))
      refuse("burst", given->burst, "at least 1, and at most what comes in a year");
    return {given->per_second, given->burst};
  }

  static std::uint64_t word(const unsigned char* bytes) noexcept
  {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i)
      value = value << 8U | bytes[i];
    return value;
  }

  void advance(time_point now) noexcept
  {
    using nanoseconds = std::chrono::duration<detail::bucket_time, std::nano>;
    const auto since = std::chrono::duration_cast<nanoseconds>(now - start_).count();
    now_ = std::max(now_, since * detail::bucket_times_per_nanosecond);
  }

  bool allow_v4(std::uint32_t address, std::uint32_t tokens) noexcept
  {
    return allow_by(tokens, &ipv4_address_, address, &ipv4_network_, address >> 8U);
  }

  bool allow_by(std::uint32_t tokens, level* first, std::uint64_t first_prefix, level* second,
                std::uint64_t second_prefix) noexcept
  {
    detail::token_bucket* const one = bucket_of(first, first_prefix);
    detail::token_bucket* const two = bucket_of(second, second_prefix);
    if (!has_tokens(one, first, first_prefix, tokens) ||
        !has_tokens(two, second, second_prefix, tokens)) {
      ++statistics_.over_prefix;
      return false;
    }
    if (all_.is_given()) {
      const auto full_at = std::max(all_full_at_, now_);
      if (!all_.has(full_at, now_, tokens)) {
        ++statistics_.over_all;
        return false;
      }
      all_full_at_ = full_at + all_.cost(tokens);
    }
    take(one, first, first_prefix, tokens);
    take(two, second, second_prefix, tokens);
    ++statistics_.allowed;
    return true;
  }

  static detail::token_bucket* bucket_of(level* from, std::uint64_t prefix) noexcept
  {
    if (from == nullptr || !from->each.is_given()) return nullptr;
    return &from->buckets.find(prefix);
  }

  /// When the bucket of this prefix is full; now if another prefix has the place.
  detail::bucket_time full_at(const detail::token_bucket& bucket,
                              std::uint64_t prefix) const noexcept
  {
    return bucket.prefix == prefix ? std::max(bucket.full_at, now_) : now_;
  }

  bool has_tokens(const detail::token_bucket* bucket, const level* from, std::uint64_t prefix,
                  std::uint32_t tokens) const noexcept
  {
    return bucket == nullptr || from->each.has(full_at(*bucket, prefix), now_, tokens);
  }

  void take(detail::token_bucket* bucket, const level* from, std::uint64_t prefix,
            std::uint32_t tokens) noexcept
  {
    if (bucket == nullptr) return;
    if (bucket->prefix != prefix && bucket->full_at > now_) ++statistics_.forgotten;
    *bucket = {prefix, full_at(*bucket, prefix) + from->each.cost(tokens)};
  }

  level ipv4_address_;
  level ipv4_network_;
  level ipv6_network_;
  budget all_;
  detail::bucket_time all_full_at_ = 0;
  time_point start_;
  detail::bucket_time now_ = 0;
  rate_limiter_statistics statistics_;
};

using rate_limiter = basic_rate_limiter<std::chrono::steady_clock>;

DGRAM_NAMESPACE_END

#endif
