#!/usr/bin/env bash
# The emitter's server and client: both datagrams of the client, and a server whose port is taken.
#   dgram_server.sh EXAMPLES
. "$(dirname "$0")/common.sh"

start server "$examples/example_dgram_server" --port 0
expect server '^server listening 0\.0\.0\.0:([1-9][0-9]*)$'
port=${BASH_REMATCH[1]}
run 0 "$examples/example_dgram_client" --port "$port"
expect server '^server got: Some bytes from 127\.0\.0\.1:[1-9][0-9]*$'
expect server '^server got: Some more bytes from 127\.0\.0\.1:[1-9][0-9]*$'
run 0 "$examples/example_dgram_server" --port "$port"
prints "server error: bind EADDRINUSE 0.0.0.0:$port"
