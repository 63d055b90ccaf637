#!/usr/bin/env bash
# One server for all addresses: each client hears from the address that it asked, and from no other.
#   multihomed_echo.sh EXAMPLES
. "$(dirname "$0")/common.sh"
has_ipv6 || skip "this host has no ::1"

listen server "$examples/example_multihomed_echo"
for address in 127.0.0.1 127.0.0.2 127.5.6.7 '[::1]'; do
  # The client is connected: an answer from another address does not reach it.
  run 0 "$examples/example_client" "$address:$port" hello --timeout 20000 --retries 0
  prints "from $address:$port in "
  bare=${address#[}
  expect server " asked ${bare%]} on interface [0-9]+$"
done
quits server INT
