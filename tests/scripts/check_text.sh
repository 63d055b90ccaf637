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
# shellcheck disable=SC2016 # the backquotes are Markdown's
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

mkdir tests
printf 'TEST_CASE("a name "\n          "in two parts")\n' >tests/a.cpp
# shellcheck disable=SC2016 # the backquotes are Markdown's
printf '`tests/a.cpp`: "a name in two parts", and `tests/a.cpp`.\n' >a.md
passes "tests that exist" a.md tests
printf '`tests/a.cpp`: "a name"\n' >a.md
finds "a name that no test has" 1 a.md tests
printf '\n`tests/b.cpp`\n' >a.md
finds "a file of tests that does not exist" 2 a.md tests

# --- long comments are broken, and nothing else is touched ---

wraps() { # WHAT: a.hpp becomes what standard input says
  cat >expected
  python3 "$1/scripts/lib/wrap-comments.py" 40 a.hpp
  if ! diff a.hpp expected; then
    printf 'FAILED: %s\n' "$2"
    failures=$((failures + 1))
  fi
}

cat >a.hpp <<'END'
// SPDX-License-Identifier: BSL-1.0
// What this header is for, in a sentence that is long.
#define A "a string that is longer than forty columns"

  /// Short line
  /// by short line.
  ///
  /// A paragraph that is too long for a line.
  /// Errors: one.
  ///  - an item that is longer than one line
  ///    and goes on
  ///  - another one
  /// \code
  /// auto code = "that may be as long as it must be";
  /// \endcode
  int a;  // behind code, however long that may become
END
wraps "$1" "comments of every kind" <<'END'
// SPDX-License-Identifier: BSL-1.0
// What this header is for, in a
// sentence that is long.
#define A "a string that is longer than forty columns"

  /// Short line
  /// by short line.
  ///
  /// A paragraph that is too long for a
  /// line.
  /// Errors: one.
  ///  - an item that is longer than one
  ///    line and goes on
  ///  - another one
  /// \code
  /// auto code = "that may be as long as it must be";
  /// \endcode
  int a;  // behind code, however long that may become
END
cp a.hpp expected_again
wraps "$1" "a second time, nothing changes" <expected_again

echo "$failures failed"
[ "$failures" -eq 0 ]
