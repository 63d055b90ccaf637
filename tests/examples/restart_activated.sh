#!/usr/bin/env bash
# systemd-socket-activate passes its socket to the server, which answers the datagram that started it.
#   restart_activated.sh EXAMPLES
. "$(dirname "$0")/common.sh"
need systemd-socket-activate

port=$((20000 + $$ % 20000))
start server systemd-socket-activate --datagram --fdname=echo -l "127.0.0.1:$port" "$examples/example_restart"
for ((wait = 0; wait < 100; ++wait)); do
  if grep -q 'Listening on' "$work/server.err"; then break; fi
  sleep 0.1
done
grep -q 'Listening on' "$work/server.err" || skip 'systemd-socket-activate does not listen here'
run 0 "$examples/example_client" "127.0.0.1:$port" hello
prints hello
expect server '^inherited "echo"$'
expect server "^listening on 127.0.0.1:$port\$"
quits server TERM
