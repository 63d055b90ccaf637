// SPDX-License-Identifier: BSL-1.0
// How an exchange begins, is repeated, and ends; how an exchanger deals out a batch.
#ifndef DGRAM_DETAIL_SESSIONS_EXCHANGER_DEALING_HPP
#define DGRAM_DETAIL_SESSIONS_EXCHANGER_DEALING_HPP

#include <dgram/config.hpp>
#include <dgram/detail/sessions/exchanger_core.hpp>

DGRAM_NAMESPACE_BEGIN

namespace detail {

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::launch(waiter_type* added,
                                              const net::cancellation_slot& slot,
                                              bytes_view request, const endpoint_type& peer,
                                              const retry_policy& policy)
{
  if (silenced_) return added->discard();
  error_code ec;
  std::uint32_t number = 0;
  try {
    number = begin(request, peer, policy, ec);
  } catch (...) {
    ++counts_.not_begun;
    added->discard();
    throw;
  }
  if (ec) {
    ++counts_.not_begun;
    added->outcome = ec;
    return later_.deliver(added);
  }
  block_type& begun = table_[number];
  const std::uint64_t id = begun.id;
  begun.waiting = added;
  ++outstanding_;
  ++counts_.begun;
  port& on = *ports_[begun.port];
  try {
    added->let_cancel(
        slot, this->weak_from_this(),
        [id](exchanger_core& core, net::cancellation_type type) { core.cancel(id, type); });
    if (!on.loop.is_running()) on.note_reports();
    on.loop.start();
    send(number, now());
    arm_timer();
  } catch (...) {
    // The send may have ended the exchange, and its handler is on its way then.
    if (table_.with_id(id) == number && table_[number].waiting == added) {
      ++counts_.failed;
      take(number, false)->discard();
    }
    rest();
    throw;
  }
}

template <class Handle, class Executor>
std::uint32_t exchanger_core<Handle, Executor>::begin(bytes_view request, const endpoint_type& peer,
                                                      const retry_policy& policy, error_code& ec)
{
  port& on = *ports_[ports_.size() > 1 ? draw() % ports_.size() : 0];
  ec = obstacle(on, policy);
  if (!ec && !on.can_be_answered()) ec = net::error::invalid_argument;
  if (ec) return 0;
  on.loop.notice_epoch();
  const typename table_type::key_type key(peer, keys_.of_request(request));
  if (!key.is_usable()) {
    ec = net::error::invalid_argument;
    return 0;
  }
  const std::uint32_t hash = table_.hash(key);
  std::uint32_t number = table_.find(key, hash);
  if (number != 0 && table_[number].waiting != nullptr) {
    ec = net::error::already_started;
    return 0;
  }
  if (number != 0)
    table_.renew(number);
  else
    number = table_.add(key, hash);
  block_type& added = table_[number];
  if (!keep_request(added, request)) {
    table_.remove(number);
    ec = error::too_many_exchanges;
    return 0;
  }
  const auto nanoseconds = [](std::chrono::nanoseconds time) {
    return static_cast<double>(time.count());
  };
  added.peer = peer;
  added.port = on.number;
  added.most_tries = static_cast<std::uint16_t>(policy.tries);
  added.longest_wait = nanoseconds(policy.longest_wait);
  added.wait = std::min(nanoseconds(policy.first_wait), added.longest_wait);
  added.backoff = policy.backoff;
  added.jitter = policy.jitter;
  if (policy.deadline.count() > 0) added.deadline = after(now(), nanoseconds(policy.deadline));
  return number;
}

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::send(std::uint32_t number, tick now)
{
  const std::uint64_t id = table_[number].id;
  port& on = *ports_[table_[number].port];
  error_code ec;
  const bool sent = on.writer.try_send(table_[number].bytes(), table_[number].peer,
                                       send_options{.number = id}, ec);
  // A flush may have reported that this request, or an earlier one, cannot be sent.
  block_type& of = table_[number];
  if (of.id != id || of.waiting == nullptr) return;
  if (!sent && ec != net::error::would_block) return end(number, ec);
  if (!sent) {
    ++counts_.postponed;
    // After a whole wait without room the try counts, so that every exchange ends.
    constexpr double put_off = static_cast<double>((put_off_for * exchange_resolution).count());
    of.is_unsent = put_off * ++of.times_put_off < of.wait;
  } else {
    of.is_unsent = false;
  }
  if (of.is_unsent) {
    plan(number, now + put_off_for, now);
  } else {
    constexpr double unit = 1.0 / 9007199254740992.0;  // of 53 random bits
    const double part = static_cast<double>(jitter_() >> 11U) * unit;
    ++of.tries;
    of.times_put_off = 0;
    plan(number, after(now, of.wait * (1 + of.jitter * part)), now);
    of.wait = std::min(of.wait * of.backoff, of.longest_wait);
  }
  if (on.reads_reports) later_.deliver_once(on.look);
}

template <class Handle, class Executor>
bool exchanger_core<Handle, Executor>::remake(std::uint32_t number)
{
  const std::uint64_t id = table_[number].id;
  // Its captures may hold the new bytes.
  typename replaceable_function<remake_function>::scope function(on_remake_);
  const endpoint_type peer = table_[number].peer;
  bytes_view made = table_[number].bytes();
  typename table_type::key_type key = table_[number].key;
  try {
    made = function(made, peer, table_[number].tries);
    if (table_.with_id(id) == number) key = {peer, keys_.of_request(made)};
  } catch (...) {
    later_.throw_later(std::current_exception());
    made = table_[number].bytes();
  }
  block_type& of = table_[number];
  if (of.id != id || of.waiting == nullptr) return false;
  if (made.data() == of.request && made.size() == of.request_size) return true;
  error_code ec;
  if (!key.is_usable()) ec = net::error::invalid_argument;
  const std::uint32_t hash = table_.hash(key);
  const std::uint32_t other = ec ? 0 : table_.find(key, hash);
  if (other != 0 && other != number) {
    if (table_[other].waiting != nullptr)
      ec = net::error::already_started;
    else
      table_.forget(other);
  }
  if (!ec && !keep_request(of, made)) ec = error::too_many_exchanges;
  if (!ec && other != number) table_.change_key(number, key, hash);
  if (ec) end(number, ec);
  return !ec;
}

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::pass(std::uint32_t number, tick now)
{
  block_type& of = table_[number];
  table_.stop_waiting(number);
  const bool is_over = of.deadline != 0 && of.deadline <= now;
  if (is_over || (!of.is_unsent && of.tries >= of.most_tries))
    return end(number, net::error::timed_out);
  if (of.tries > 0) {
    if (!of.is_unsent && on_remake_ && !remake(number)) return;
    if (!of.is_unsent) ++counts_.sent_again;
  }
  send(number, now);
}

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::not_sent(std::uint64_t id, const error_code& ec) noexcept
{
  const std::uint32_t number = table_.with_id(id);
  // After a lack of memory the next try may succeed. What ends the queue ends the exchange, too.
  if (number == 0 || table_[number].waiting == nullptr || ec == net::error::operation_aborted ||
      ec == net::error::no_memory || ec == net::error::no_buffer_space)
    return;
  try {
    end(number, ec);
    rest();
  } catch (...) {
    return;
  }
}

template <class Handle, class Executor>
auto exchanger_core<Handle, Executor>::take(std::uint32_t number, bool is_answered) noexcept
    -> waiter_type*
{
  block_type& of = table_[number];
  waiter_type* const taken = std::exchange(of.waiting, nullptr);
  if (of.is_planned) table_.stop_waiting(number);
  drop_request(of);
  --outstanding_;
  if (config_.max_remembered == 0 || config_.remember_for.count() == 0) {
    table_.remove(number);
    return taken;
  }
  of.is_answered = is_answered;
  // Within a batch the time is that of its beginning: the memory need not be exact.
  if (!is_answered) present_ = now();
  table_.remember(number, after(present_, static_cast<double>(config_.remember_for.count())));
  table_.forget_some(config_.max_remembered, present_);
  return taken;
}

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::cancel(std::uint64_t id, net::cancellation_type type)
{
  const std::uint32_t number = table_.with_id(id);
  if (number == 0 || table_[number].waiting == nullptr || type == net::cancellation_type::none)
    return;
  // Total promises that nothing has happened. A request may have left.
  const auto wanted = net::cancellation_type::terminal | net::cancellation_type::partial;
  const bool ends = (type & wanted) != net::cancellation_type::none;
  if (!ends && table_[number].tries > 0) return;
  end(number, aborted());
  rest();
}

// --- time ---

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::arm_timer()
{
  const auto first = table_.first_due();
  if (!first || *first >= armed_for_) return;
  armed_for_ = *first;
  timer_->expires_at(began_ + std::chrono::duration_cast<typename clock_type::duration>(
                                  exchange_resolution * static_cast<std::int64_t>(*first)));
  timer_->async_wait(due_handler{this->weak_from_this(), ++timer_number_});
}

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::look_for_due()
{
  armed_for_ = never;
  if (silenced_) return;
  const tick present = now();
  std::size_t budget = looked_at_per_turn;
  while (const std::uint32_t number = table_.next_due(present, budget))
    later_.call([&] { pass(number, present); });
  arm_timer();
  rest();
}

// --- a batch ---

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::deal(loop_type& loop)
{
  port& at = port_of(loop);
  const auto datagrams = loop.state().take_all();
  present_ = now();
  for (auto next = datagrams.begin(); next != datagrams.end();) {
    // Each step fetches what the next one looks at, for some datagrams at a time.
    std::array<address, dealt_at_once> to;
    const auto first = next;
    std::size_t count = 0;
    for (; count < to.size() && next != datagrams.end(); ++count, ++next) {
      to[count] = address_of(*next);
      table_.fetch_place(to[count].hash);
    }
    for (std::size_t i = 0; i < count; ++i)
      to[i].guess = table_.fetch_block(to[i].hash);
    for (std::size_t i = 0; i < count; ++i)
      table_.fetch_waiter(to[i].guess);
    auto dealt = first;
    for (std::size_t i = 0; i < count; ++i, ++dealt)
      later_.call([&] { give(at, *dealt, to[i]); });
  }
  while (!ready_.empty()) {
    task* const answered = ready_.pop();
    later_.call([answered] { answered->run(); });
  }
  rest();
}

template <class Handle, class Executor>
auto exchanger_core<Handle, Executor>::address_of(const datagram_type& received) -> address
{
  session_key id;
  try {
    id = keys_.of_answer(received.payload());
  } catch (...) {
    later_.throw_later(std::current_exception());
  }
  address result;
  result.key = {received.sender(), id};
  result.hash = table_.hash(result.key);
  return result;
}

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::give(port& at, const datagram_type& received,
                                            const address& to)
{
  const std::uint32_t number = to.key.is_usable() ? table_.find(to.key, to.hash, to.guess) : 0;
  if (number == 0 || table_[number].port != at.number)
    return tell_unmatched(received, unmatched::stray);
  const block_type& of = table_[number];
  if (of.waiting == nullptr) {
    if (of.due <= present_) return tell_unmatched(received, unmatched::stray);
    return tell_unmatched(received, of.is_answered ? unmatched::duplicate : unmatched::late);
  }
  if (on_check_) {
    const std::uint64_t before = of.id;
    bool passes = false;
    try {
      passes = on_check_(of.bytes(), received);
    } catch (...) {
      later_.throw_later(std::current_exception());
    }
    if (!passes) return tell_unmatched(received, unmatched::rejected);
    if (table_[number].id != before || table_[number].waiting == nullptr)
      return tell_unmatched(received, unmatched::late);
  }
  answer(number, received);
}

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::answer(std::uint32_t number, const datagram_type& received)
{
  ++counts_.received;
  node_type* const kept = answers_->copy(received);
  if (kept == nullptr) {
    ++counts_.unread;
    return end(number, net::error::no_buffer_space);
  }
  const std::size_t tries = table_[number].tries;
  waiter_type* const answered = take(number, true);
  ++counts_.answered;
  std::get<0>(answered->values) = answer_type(answers_, kept, tries);
  ready_.push(answered);
}

// --- reports ---

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::look_for_reports(port& at)
{
  const std::uint64_t taken = at.socket.reports_taken();
  if (std::exchange(at.reports_taken, taken) == taken) return;
  if constexpr (has_reports<Handle>) {
    for (error_code ec; !ec;) {
      const basic_path_error<protocol_type> report = at.socket.try_receive_error(ec);
      if (!ec) heed(at, report);
    }
  }
  rest();
}

template <class Handle, class Executor>
void exchanger_core<Handle, Executor>::heed(port& at, const basic_path_error<protocol_type>& report)
{
  const bytes_view quoted(report.quoted().data(), report.quoted().size());
  session_key id;
  if (report.code == net::error::connection_refused) {
    try {
      id = keys_.of_request(quoted);
    } catch (...) {
      later_.throw_later(std::current_exception());
    }
  }
  const typename table_type::key_type key(report.peer, id);
  const std::uint32_t number = key.is_usable() ? table_.find(key, table_.hash(key)) : 0;
  if (number != 0) {
    const block_type& of = table_[number];
    const bool is_ours = of.waiting != nullptr && of.port == at.number &&
                         quoted.size() <= of.request_size &&
                         std::equal(quoted.begin(), quoted.end(), of.request);
    if (is_ours) return end(number, report.code);
  }
  ++counts_.path_errors;
}

// --- the program's questions ---

template <class Handle, class Executor>
session_key exchanger_core<Handle, Executor>::unused_key(const endpoint_type& peer,
                                                         std::size_t size, error_code& ec)
{
  constexpr int draws = 64;
  constexpr std::size_t searched = 2;  // bytes, of which all values are tried
  ec.clear();
  if (size == 0 || size > session_key::max_size) ec = error::out_of_range;
  if (!ec && !pack<protocol_type>(peer).is_usable()) ec = net::error::invalid_argument;
  if (ec) return {};
  const tick present = now();
  const auto is_unused = [&](const session_key& id) {
    const typename table_type::key_type key(peer, id);
    const std::uint32_t number = table_.find(key, table_.hash(key));
    return number == 0 || (table_[number].waiting == nullptr && table_[number].due <= present);
  };
  std::array<std::byte, session_key::max_size> bytes;
  for (int left = draws; left > 0; --left) {
    std::uint64_t random = 0;
    for (std::size_t i = 0; i < size; ++i, random >>= 8U) {
      if (i % sizeof random == 0) random = draw();
      bytes[i] = static_cast<std::byte>(random & 0xFFU);
    }
    if (const session_key drawn(bytes_view(bytes.data(), size)); is_unused(drawn)) return drawn;
  }
  const std::size_t values = size <= searched ? std::size_t{1} << 8U * size : 0;
  const std::uint64_t first = values > 0 ? draw() : 0;
  for (std::size_t at = 0; at < values; ++at) {
    bytes[0] = static_cast<std::byte>((first + at) & 0xFFU);
    bytes[1] = static_cast<std::byte>((first + at) >> 8U & 0xFFU);
    if (const session_key drawn(bytes_view(bytes.data(), size)); is_unused(drawn)) return drawn;
  }
  ec = error::too_many_exchanges;
  return {};
}

template <class Handle, class Executor>
exchanger_statistics exchanger_core<Handle, Executor>::statistics() const noexcept
{
  exchanger_statistics result = counts_;
  result.outstanding = outstanding_;
  for (const auto& each : ports_) {
    const writer_statistics& of = each->writer.statistics();
    result.sending.queued += of.queued;
    result.sending.sent += of.sent;
    result.sending.refused += of.refused;
    result.sending.dropped += of.dropped;
    result.sending.lost += of.lost;
    result.receive_errors += each->loop.passing_errors();
  }
  return result;
}

}  // namespace detail

DGRAM_NAMESPACE_END

#endif
