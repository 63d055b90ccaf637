#!/usr/bin/env bash
# The client's tries: as many as were asked for, and the first answer ends them.
#   client.sh EXAMPLES
. "$(dirname "$0")/common.sh"

# No socket listens: the system says so at once, and the client asks again nevertheless.
unused_port
dead=127.0.0.1:$port
run 1 "$examples/example_client" "$dead" hello --timeout 50 --retries 2
prints "no reply from $dead after 3 tries"
run 1 "$examples/example_client" "$dead" hello --timeout 50
prints "no reply from $dead after 3 tries"

# Somebody listens and does not answer: every try has been sent.
listen silent "$examples/example_syslog_collector" 127.0.0.1:0
run 1 "$examples/example_client" "$endpoint" '<13>anybody?' --retries 3 --timeout 50
prints "no reply from $endpoint after 4 tries"
for _ in 1 2 3 4; do expect silent '  user.notice  anybody\?$'; done
quits silent INT
grep -qx 'received 4 lines' "$work/silent.out" || fail "more than 4 tries were sent"

# The first try goes to a server that ends without an answer, a later one to its successor.
unused_port
listen first "$examples/example_syslog_collector" --count 1 "127.0.0.1:$port"
start client "$examples/example_client" "$endpoint" again --timeout 100 --retries 300
ends 0 first
listen second "$examples/example_echo_coroutine" "$endpoint"
expect client '^again$'
expect client "^  from $endpoint in [0-9.]+ ms, try ([0-9]+) of 301$"
if [ "${BASH_REMATCH[1]}" -lt 2 ]; then fail "the first try was answered by nobody"; fi
ends 0 client
quits second TERM
