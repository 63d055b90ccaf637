#!/usr/bin/env bash
# What scripts/check text finds in prose, and what it leaves alone.
#
#   check_text.sh DIRECTORY      DIRECTORY is that of the repository
set -uo pipefail
checker=$1/scripts/lib/check-text.py
phrases=$1/scripts/lib/phrases.txt
command -v python3 >/dev/null || { echo "skipped: no python3 here"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit
failures=0

finds() { # WHAT LINE FILE MODE...: exactly one finding, in that line
  local what=$1 line=$2 file=$3 got status=0
  shift 3
  got=$(python3 "$checker" "$@" "$file") || status=$?
  if [ "$status" -ne 1 ] || [ "$(printf '%s' "$got" | cut -d: -f1,2)" != "$file:$line" ]; then
    printf 'FAILED: %s (%s)\n%s\n' "$what" "$status" "$got"
    failures=$((failures + 1))
  fi
}

passes() { # WHAT FILE MODE...
  local what=$1 file=$2 got
  shift 2
  if ! got=$(python3 "$checker" "$@" "$file" 2>&1) || [ -n "$got" ]; then
    printf 'FAILED: %s\n%s\n' "$what" "$got"
    failures=$((failures + 1))
  fi
}

printf '# A\n\nA sentence that\nnobody likes.\n' >a.md
finds "a phrase in Markdown" 4 a.md phrases "$phrases"
printf '# A\n\nThe buffer is\nhad by the caller.\n' >a.md
finds "a phrase across a line break" 3 a.md phrases "$phrases"
printf '| a | b |\n|---|---|\n| one | it was told of errors |\n' >a.md
finds "a phrase in a table" 3 a.md phrases "$phrases"
printf 'The user `nobody` is a name.\n\n```sh\nsu nobody\n```\n\n    su nobody\n' >a.md
passes "code in Markdown" a.md phrases "$phrases"
printf 'What it is.\n\nhad\n' >a.md
passes "words of two paragraphs" a.md phrases "$phrases"
printf 'int nobody;\nint a;  // nobody uses it\n' >a.cpp
finds "a comment behind code" 2 a.cpp phrases "$phrases"
printf '#!/bin/sh\nnobody=1\n# whoever\n' >a.sh
finds "a comment of a script" 3 a.sh phrases "$phrases"
printf 'Who calls this? A user who reads.\n' >a.md
passes "a question, and a relative clause" a.md phrases "$phrases"
printf 'It works. Who wants more reads on.\n' >a.md
finds "a sentence without an actor" 1 a.md phrases "$phrases"

printf '%0100d\n' 0 >a.hpp
passes "100 columns" a.hpp columns 100
printf '\n%0101d\n' 0 >a.hpp
finds "101 columns" 2 a.hpp columns 100
printf '// %0.sä\n' {1..3} >a.hpp
passes "characters count, not bytes" a.hpp columns 5

printf '# One thing\n\n[a](b.md) [b](#one-thing) [c](https://dgram.example/x)\n' >a.md
printf '# B\n' >b.md
passes "links that lead somewhere" a.md links
printf '[a](c.md)\n' >a.md
finds "a link to no file" 1 a.md links
printf '\n[a](b.md#c)\n' >a.md
finds "a link to no heading" 2 a.md links

echo "$failures failed"
[ "$failures" -eq 0 ]
