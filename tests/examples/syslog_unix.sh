#!/usr/bin/env bash
# The syslog collector on a Unix socket and on UDP at once, with logger(1).
#   syslog_unix.sh EXAMPLES
. "$(dirname "$0")/common.sh"
need logger
path="$work/log.sock"

start collector "$examples/example_syslog_collector" --count 3 --timeout 30 127.0.0.1:0 "$path"
expect collector '^listening on 127\.0\.0\.1:([0-9]+)$'
port=${BASH_REMATCH[1]}
expect collector "^listening on $path\$"
logger --socket-errors=on -u "$path" -p mail.warning 'over the path'
logger -d -n 127.0.0.1 -P "$port" -p auth.crit 'over UDP'
logger --socket-errors=on -u "$path" -t demo -p local7.debug 'Grüße, 日本語'
ends 0 collector
seen() { grep -qE -- "$1" "$work/collector.out" || fail "no line '$1'"; }
seen '^\(unnamed\)  mail\.warning  .*over the path$'
seen '^127\.0\.0\.1:[0-9]+  auth\.crit  .*over UDP$'
seen '^\(unnamed\)  local7\.debug  .*demo.*Grüße, 日本語$'
if [ -e "$path" ]; then fail "the socket file was left behind"; fi
