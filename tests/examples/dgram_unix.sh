#!/usr/bin/env bash
# Unix datagrams by path: the client is answered, and a syslog message arrives.
#   dgram_unix.sh EXAMPLES
. "$(dirname "$0")/common.sh"

start server "$examples/example_dgram_unix_server" --path "$work/server"
expect server "^server listening $work/server\$"
run 0 "$examples/example_dgram_unix_client" --path "$work/client" --server "$work/server"
prints "client listening $work/client"
prints "got: A message at "
expect server "^got: A message at [0-9]+ from $work/client\$"
if [ -e "$work/client" ]; then fail "the client has left its path behind"; fi

run 0 "$examples/example_dgram_syslog" --path "$work/server"
prints 'Wrote 17 bytes to socket.'
expect server '^got: A message to log\. from \(unnamed\)$'

# That sender had no path to reply to, and the server goes on.
run 0 "$examples/example_dgram_unix_client" --path "$work/second" --server "$work/server"
prints "got: A message at "
expect server "^got: A message at [0-9]+ from $work/second\$"
run 1 "$examples/example_dgram_syslog" --path "$work/nobody"
prints 'ENOENT'
