#!/usr/bin/env bash
# The syslog collector's decoding: every priority that there is, some that are none, and its end.
#   syslog_priorities.sh EXAMPLES
. "$(dirname "$0")/common.sh"
need_dev_udp

facilities=(kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock
  local0 local1 local2 local3 local4 local5 local6 local7)
severities=(emerg alert crit err warning notice info debug)

listen collector "$examples/example_syslog_collector" --timeout 40 127.0.0.1:0
exec {udp}>"/dev/udp/127.0.0.1/$port"
shows() { # WHAT IS SHOWN, AFTER THE SENDER
  next_line collector || fail "the collector ended"
  if [ "${line#*  }" != "$1" ]; then fail "'$1' was shown as '${line#*  }'"; fi
}
for ((priority = 0; priority < 192; ++priority)); do
  printf '<%d>text' "$priority" >&"$udp"
  shows "${facilities[priority / 8]}.${severities[priority % 8]}  text"
done
for text in '<192>x' '<999>x' '<1920>x' '<99999999999>x' '<01>x' '<>x' '<-1>x' '<+1>x' '< 1>x' \
  '<1 >x' '<1x>' '<1' '<' '>' 'x<1>x' ' <1>x' '1>x' 'nothing'; do
  printf '%s' "$text" >&"$udp"
  shows "(no priority)  $text"
done
printf '<0>' >&"$udp"
shows 'kern.emerg  '
# Control characters of a terminal are shown as text, and the end of a line is left out.
printf '<13>red \033[31m\a' >&"$udp"
shows 'user.notice  red \x1b[31m\x07'
printf '<13>ends\n' >&"$udp"
shows 'user.notice  ends'
printf '<13>ends\0' >&"$udp"
shows 'user.notice  ends'
quits collector INT
grep -qx 'received 214 lines' "$work/collector.out" || fail "wrong total"

# Too few lines in time are a failure, and are counted.
listen collector "$examples/example_syslog_collector" --count 2 --timeout 2 127.0.0.1:0
printf '<13>lonely' >"/dev/udp/127.0.0.1/$port"
ends 1 collector
grep -qx 'received 1 lines' "$work/collector.out" || fail "wrong total"
