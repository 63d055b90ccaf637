#!/usr/bin/env bash
# When scripts/lib/house.sh says that headers are too long.
#
#   house_bounds.sh DIRECTORY      DIRECTORY is that of the repository
set -uo pipefail
. "$1/scripts/lib/house.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
failures=0

write() { # FILE LINES
  mkdir -p "${1%/*}"
  seq "$2" >"$1"
}

breaks() { # WHAT NUMBER: so many bounds do not hold
  house_broken=0
  house_line_counts >got
  if [ "$house_broken" -ne "$2" ] || [ "$(grep -c BROKEN got)" -ne "$2" ]; then
    printf 'FAILED: %s (%s)\n' "$1" "$house_broken"
    cat got
    failures=$((failures + 1))
  fi
}

write include/dgram/emitter_socket.hpp "$house_facade_lines"
write include/dgram/detail/emitter/a.hpp $((house_emitter_lines / 5))
for part in b c d e; do cp include/dgram/detail/emitter/{a,$part}.hpp; done
write include/dgram/a.hpp "$house_header_lines"
breaks "headers that are as long as they may be" 0
write include/dgram/a.hpp $((house_header_lines + 1))
write include/dgram/detail/socket/b.hpp $((house_header_lines + 1))
breaks "two headers that are too long" 2
write include/dgram/a.hpp 1
write include/dgram/detail/socket/b.hpp 1
write include/dgram/emitter_socket.hpp $((house_facade_lines + 1))
breaks "a facade that is too long" 1
write include/dgram/emitter_socket.hpp 1
write include/dgram/detail/emitter/f.hpp 10
breaks "a folder that is too long, of headers that are not" 1

echo "$failures failed"
[ "$failures" -eq 0 ]
