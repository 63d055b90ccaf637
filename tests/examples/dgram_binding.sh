#!/usr/bin/env bash
# The forms of bind.
#   dgram_binding.sh EXAMPLES
. "$(dirname "$0")/common.sh"

run 0 "$examples/example_dgram_binding" --exclusive-port 0 --port 0
prints 'Addr: 127.0.0.1 port: '
prints 'Close!'
prints 'Socket is closed'
prints 'Listening for packets'
prints 'Listening for packets too'
