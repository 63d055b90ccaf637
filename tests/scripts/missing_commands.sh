#!/usr/bin/env bash
# F0: each script, and each function that looks for something, on a system that lacks everything. The scripts are the
# real ones; PATH has what every Debian has, and an apt-get, an id and a sudo that only pretend.
#
#   missing_commands.sh DIRECTORY      DIRECTORY is that of the repository
set -uo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Of the scripts, since some unpack packages below the directory that they are in.
mkdir "$work/tree"
cp -R "$1/scripts" "$work/tree/" && cd "$work/tree" || exit
bin=$work/bin
failures=0
checked=0

# What Debian calls essential, as far as the scripts use it.
essential=(bash sh env sed grep cat cp mv rm mkdir rmdir mktemp chmod ls ln tail head sort uniq tr wc sleep basename
  dirname date nproc getconf find xargs)

failed() { # WHAT
  printf 'FAILED: %s\n--- status %s\n--- standard output\n%s\n--- standard error\n%s\n' "$1" "$status" \
    "$(cat "$work/out")" "$(cat "$work/err")"
  failures=$((failures + 1))
}

pretend() { # NAME LINE...: a command that does what the lines say
  local name=$1
  shift
  printf '%s\n' '#!/bin/sh' "$@" >"$bin/$name"
  chmod +x "$bin/$name"
}

system() { # USER_ID: with nothing but what is essential
  local name path
  rm -rf "$bin"
  mkdir "$bin"
  for name in "${essential[@]}"; do
    if path=$(command -v "$name"); then ln -s "$path" "$bin/$name"; fi
  done
  pretend id "echo $1"
}

run() { # COMMAND...
  status=0
  checked=$((checked + 1))
  : >"$work/called"
  env -i PATH="$bin" HOME="$work" TMPDIR="$work" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
}

# A script must end with one line that says what to do, and with nothing else that looks like an error.
says() { # WHAT PATTERN
  if [ "$status" -ne 1 ] || ! [[ $(cat "$work/err") =~ ^error:\ [^$'\n']*$ ]] ||
    ! grep -qE "$2" "$work/err"; then
    failed "$1"
  fi
}

not_called() { # WHAT
  if [ -s "$work/called" ]; then failed "$1: $(cat "$work/called") was called"; fi
}

declare -A packages=( # of the scripts, that are missing in any case
  [test]='g\+\+ cmake ninja-build' [demo]='g\+\+ cmake ninja-build' [bench]='g\+\+ cmake ninja-build'
  [check]='git clang-format-19' [check-bare]='debootstrap git' [amalgamate]=python3
  [docs]='python3 python3-venv doxygen' [guard]='g\+\+ cmake ninja-build valgrind'
  [fuzz]='g\+\+ cmake ninja-build' [check-all]=python3)

# --- every function that notes what is missing goes on ---

system 1000
functions=$(bash -c '. scripts/lib/apt.sh; compgen -A function need_')
[ -n "$functions" ] || { echo "found no function that notes what is missing"; exit 1; }
for function in $functions; do
  run bash -c 'set -euo pipefail; . scripts/lib/apt.sh; "$@"; echo reached' bash \
    "$function" suite-or-package "$work/none" "$work/none"
  if [ "$status" -ne 0 ] || [ -s "$work/err" ] || [ "$(tail -n 1 "$work/out")" != reached ]; then
    failed "$function ends the script that calls it"
  fi
done

# A command that is there and fails, or says something unheard of, is as good as missing.
for lines in 'exit 1' 'exit 127' 'exit 0' 'echo cmake version 3.24.9' 'echo cmake version 2.99' 'echo version'; do
  pretend cmake "$lines"
  run bash -c 'set -euo pipefail; . scripts/lib/apt.sh; need_cmake; echo "${dgram_missing_packages[*]}"'
  if [ "$status" -ne 0 ] || [ "$(cat "$work/out")" != cmake ]; then failed "cmake that does: $lines"; fi
done
for lines in 'echo cmake version 3.25.0' 'echo cmake version 3.31.6-rc1' 'echo cmake version 4.0.2'; do
  pretend cmake "$lines"
  run bash -c 'set -euo pipefail; . scripts/lib/apt.sh; need_cmake; echo "${dgram_missing_packages[*]:-none}"'
  if [ "$status" -ne 0 ] || [ "$(cat "$work/out")" != none ]; then failed "cmake that does: $lines"; fi
done

run env CXX=no-such-compiler bash -c 'set -euo pipefail; . scripts/lib/apt.sh; need_cxx'
says "a compiler in CXX that is missing" "CXX is 'no-such-compiler'"

run bash -c 'set -euo pipefail; . scripts/lib/apt.sh; if package_known x; then exit 3; fi; echo reached'
if [ "$(cat "$work/out")" != reached ]; then failed "package_known without apt-cache, apt-get and root"; fi

rm "$bin/nproc" "$bin/getconf"
run bash -c 'set -euo pipefail; . scripts/lib/apt.sh; count=$(processors); echo "$count"'
if [ "$(cat "$work/out")" != 1 ]; then failed "processors cannot be counted"; fi

# --- every script ---

for script in scripts/*; do
  if [ -d "$script" ]; then continue; fi
  name=${script##*/}
  expected=${packages[$name]:-}
  if [ -z "$expected" ]; then
    echo "FAILED: this test does not know what $script needs first"
    failures=$((failures + 1))
    continue
  fi

  system 1000
  pretend apt-get "echo apt-get >>'$work/called'"
  run "$script"
  if [ "$name" = check-all ]; then
    # It goes on after a check that lacks something, and its table tells the reasons.
    if [ "$status" -ne 1 ] || ! grep -qE '^ .* platforms +FAILED \(1\)$' "$work/out" ||
      ! grep -qE '^ .* fuzz +skipped: no clang-19 here$' "$work/out" ||
      ! grep -qE '^ .* bare-13 +skipped: needs root$' "$work/out" ||
      ! grep -qE "neither root nor sudo .*apt-get install .*$expected" "$work/err"; then
      failed "$script as a user without sudo"
    fi
    not_called "$script as a user without sudo"
    continue
  fi
  if [ "$name" = check-bare ]; then
    says "$script as a user" 'needs root'
  else
    says "$script as a user without sudo" "neither root nor sudo .*as root: apt-get update && apt-get install .*$expected"
    not_called "$script as a user without sudo"

    pretend sudo 'exit 1'
    run "$script"
    says "$script with a sudo that refuses" "apt-get update failed; by hand: .*apt-get install .*$expected"
    not_called "$script with a sudo that refuses"
  fi

  system 0
  run "$script"
  says "$script without apt-get" "no apt-get; .*: $expected"

  pretend apt-get 'exit 100'
  run "$script"
  says "$script where apt-get update fails" "apt-get update failed; by hand: .*apt-get install .*$expected"

  pretend apt-get 'case " $* " in *" install "*) exit 100 ;; esac'
  run "$script"
  says "$script where apt-get install fails" "apt-get install failed; by hand: .*apt-get install .*$expected"

  # What the distribution has does not do.
  if [[ $expected == *cmake* ]]; then
    for old in c++ cmake; do
      system 0
      # shellcheck disable=SC2016 # the pretended command expands it
      pretend apt-get 'for last; do :; done' 'case " $* " in *" download "*) : >"${last}_1.deb" ;; esac'
      pretend dpkg :
      pretend c++ "exit $([ $old = c++ ] && echo 1 || echo 0)"
      run "$script"
      says "$script with nothing but an old $old" "^error: ${old//+/\\+} is too old in the packages of this system"
    done
  fi
done

echo "$checked runs, $failures failed"
[ "$failures" -eq 0 ]
