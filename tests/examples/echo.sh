#!/usr/bin/env bash
# An echo server with our own client, over IPv4 and IPv6, and its end by a signal.
#   echo.sh EXAMPLES SERVER
. "$(dirname "$0")/common.sh"
server=$2

ask() { # TEXT: once, so that the server's totals are known
  run 0 "$examples/example_client" "$endpoint" "$1" --timeout 20000 --retries 0
}

addresses=('127.0.0.1:0')
if has_ipv6; then addresses+=('[::1]:0'); fi
for address in "${addresses[@]}"; do
  listen server "$examples/$server" "$address"
  ask 'hello'
  prints $'hello\n  from '"$endpoint in "
  ask 'Grüße aus München ✓'
  prints 'Grüße aus München ✓'
  # A datagram without bytes is one, and is answered.
  ask ''
  prints "from $endpoint"
  # What is not whole when it arrives cannot come back whole.
  large=$(printf '%060000d' 7)
  ask "$large"
  prints "$large"
  # The port is taken: an error that names it, and the first server is not disturbed.
  run 1 "$examples/$server" "$endpoint"
  prints "$endpoint"
  ask 'still there'
  quits server INT
  if [ "$server" = example_echo_coroutine ]; then
    grep -q '^echoed 5 datagrams in [1-5] batches, ' "$work/server.out" || fail "wrong totals"
  fi
done

listen server "$examples/$server"
case "$endpoint" in
  127.0.0.1:*) ;;
  *) fail "the default address is $endpoint" ;;
esac
quits server TERM
