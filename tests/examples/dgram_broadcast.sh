#!/usr/bin/env bash
# A broadcast on the loopback interface, which the emitter's server hears.
#   dgram_broadcast.sh EXAMPLES
. "$(dirname "$0")/common.sh"

start server "$examples/example_dgram_server" --port 0
expect server '^server listening 0\.0\.0\.0:([1-9][0-9]*)$'
run 0 "$examples/example_dgram_broadcast" --port "${BASH_REMATCH[1]}" --to 127.255.255.255
prints 'sent 16 bytes'
expect server '^server got: Hello, everybody from 127\.0\.0\.1:[1-9][0-9]*$'
