#!/usr/bin/env bash
# The syslog collector with logger(1), the client that every Linux has.
#   syslog_logger.sh EXAMPLES ADDRESS        127.0.0.1 or ::1
. "$(dirname "$0")/common.sh"
need logger
address=$2
bracketed=$address
if [ "$address" = ::1 ]; then
  has_ipv6 || skip "this host has no IPv6 loopback"
  bracketed='[::1]'
fi

# The second endpoint hears nothing, and does not keep the first from being heard.
listen collector "$examples/example_syslog_collector" --count 7 --timeout 30 \
  "$bracketed:0" 127.0.0.1:0

log() { logger -d -n "$address" -P "$port" "$@"; }
log -p user.notice 'plain'
log -p mail.warning -t postfix 'queue is long'
log -p local7.debug --rfc3164 'of the old form'
log -p auth.crit --rfc5424 'of the new form'
log -p daemon.err 'Grüße, 日本語 and 😀'
log -p cron.info -i 'with an id'
log -p local0.emerg "$(printf '%0900d' 0)"
ends 0 collector

sender="^${bracketed//[\[\].]/\\&}:[0-9]+  "
seen() { # PRIORITY END-OF-LINE
  grep -qE -- "$sender$1  .*$2\$" "$work/collector.out" || fail "no line '$1 ... $2'"
}
seen 'user\.notice' 'plain'
seen 'mail\.warning' 'postfix.*queue is long'
seen 'local7\.debug' '[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} .*of the old form'
seen 'auth\.crit' '1 [0-9]{4}-[0-9]{2}-[0-9]{2}T.*of the new form'
seen 'daemon\.err' 'Grüße, 日本語 and 😀'
seen 'cron\.info' '\[?[0-9]+\]?.*with an id'
seen 'local0\.emerg' '0{900}'
grep -qx 'received 7 lines' "$work/collector.out" || fail "wrong total"
