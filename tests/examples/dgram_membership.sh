#!/usr/bin/env bash
# A member of a group on the loopback interface hears one message, and leaves.
#   dgram_membership.sh EXAMPLES
. "$(dirname "$0")/common.sh"

start member "$examples/example_dgram_membership" --port 0 --interface 127.0.0.1
expect member '^joined 224\.0\.0\.114 on port ([1-9][0-9]*)$'
run 0 "$examples/example_multicast_chat" --group "224.0.0.114:${BASH_REMATCH[1]}" --interface lo \
  --say 'hello' --timeout 1
expect member '^Received [0-9]+ bytes from [0-9.]+:[1-9][0-9]*$'
ends 0 member
