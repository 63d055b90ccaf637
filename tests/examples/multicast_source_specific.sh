#!/usr/bin/env bash
# A listener on the loopback interface hears the sources that it chose, and no others.
#   multicast_source_specific.sh EXAMPLES
. "$(dirname "$0")/common.sh"
radio="$examples/example_multicast_source_specific"

[ "$(uname)" = Linux ] || skip "this host has no 127.0.0.2"

listener() { # NAME GROUP SOURCE...: leaves the endpoint in $group
  local name=$1 at=$2
  shift 2
  start "$name" "$radio" listen "$@" --group "$at" --timeout 40
  expect "$name" '^listening to ([^ ]*:[1-9][0-9]*) on lo from '
  group=${BASH_REMATCH[1]}
}
say() { # ARGUMENTS...
  run 0 "$radio" say "$@" --group "$group"
}
hears() { # NAME SOURCE TEXT: and nothing before it
  next_line "$1" || fail "$1 ended"
  [[ $line =~ ^$2:[0-9]+\ \ $3$ ]] || fail "$1 heard '$line'"
}

listener one 232.77.77.78:0 127.0.0.1 --count 2
listener two "$group" 127.0.0.1 127.0.0.2 --count 4
say 127.0.0.3 'nobody hears this'
say 127.0.0.2 'half of them hear this'
say 127.0.0.1 'everybody' 'hears this'
say 127.0.0.2 'bye'
hears one 127.0.0.1 everybody
hears one 127.0.0.1 'hears this'
ends 0 one
hears two 127.0.0.2 'half of them hear this'
hears two 127.0.0.1 everybody
hears two 127.0.0.1 'hears this'
hears two 127.0.0.2 bye
ends 0 two

# Nothing comes.
run 1 "$radio" listen 127.0.0.1 --group 232.77.77.79:0 --timeout 1
