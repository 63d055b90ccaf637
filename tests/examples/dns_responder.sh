#!/usr/bin/env bash
# dig(1) takes an answer from the address that it asked only, and is told here which one that was.
#   dns_responder.sh EXAMPLES
. "$(dirname "$0")/common.sh"
need dig
has_ipv6 || skip "this host has no ::1"

ask() { # ADDRESS TYPE EXPECTED
  run 0 dig +time=20 +tries=1 +short -p "$port" "@$1" "$2" some.name
  if [ "$output" != "$3" ]; then fail "asked at $1 for $2: '$output' instead of '$3'"; fi
}

listen server "$examples/example_dns_responder"
for address in 127.0.0.1 127.0.0.2 127.5.6.7; do
  ask "$address" A "$address"
  ask "$address" AAAA ''
done
ask ::1 AAAA ::1
ask ::1 A ''
# Text that is no question is not answered, and has no effect on other clients.
run 1 "$examples/example_client" "127.0.0.1:$port" 'nonsense' --timeout 50 --retries 0
ask 127.0.0.3 A 127.0.0.3
quits server TERM

# With an address of its own the server has but one.
listen server "$examples/example_dns_responder" 127.0.0.4:0
ask 127.0.0.4 A 127.0.0.4
quits server INT
