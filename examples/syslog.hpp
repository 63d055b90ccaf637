// SPDX-License-Identifier: BSL-1.0
// The priorities of syslog, as numbers on the wire and as syslog.conf(5) names them.
#ifndef DGRAM_EXAMPLES_SYSLOG_HPP
#define DGRAM_EXAMPLES_SYSLOG_HPP

#include "command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

namespace example {

// RFC 5424, section 6.2.1.
inline constexpr std::array<std::string_view, 24> facilities{
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "audit",  "alert",  "clock",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};
inline constexpr std::array<std::string_view, 8> severities{"emerg",   "alert",  "crit", "err",
                                                            "warning", "notice", "info", "debug"};

/// "<34>rest" as "auth.crit  rest". A line without a well-formed priority is shown as it is.
inline std::string decode_syslog(std::string_view line)
{
  line = line.substr(0, line.find_last_not_of(std::string_view("\n\0", 2)) + 1);
  unsigned priority = 8 * facilities.size();
  if (line.starts_with('<')) std::from_chars(line.data() + 1, line.data() + line.size(), priority);
  // Compared as text, since "<034>" and "<34" are numbers too, but no priorities.
  const auto prefix = fmt::format("<{}>", priority);
  if (priority >= 8 * facilities.size() || !line.starts_with(prefix))
    return fmt::format("(no priority)  {}", printable(line));
  return fmt::format("{}.{}  {}", facilities[priority / 8], severities[priority % 8],
                     printable(line.substr(prefix.size())));
}

/// "auth.crit" as 34.
inline int parse_priority(std::string_view text)
{
  const auto dot = text.find('.');
  const auto facility = std::find(facilities.begin(), facilities.end(), text.substr(0, dot));
  const auto severity = dot == std::string_view::npos
                            ? severities.end()
                            : std::find(severities.begin(), severities.end(), text.substr(dot + 1));
  if (facility == facilities.end() || severity == severities.end())
    throw bad_argument(fmt::format("--priority \"{}\": not of the form mail.warning", text));
  return static_cast<int>(8 * (facility - facilities.begin()) + (severity - severities.begin()));
}

}  // namespace example

#endif
