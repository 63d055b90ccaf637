#!/usr/bin/env bash
# Called by scripts/check platforms [--suites "SUITE..."] [TARGET...]: compiles the headers for other systems, C libraries
# and processors, and runs the test suites where this machine can. The compiler is Zig's, which has the headers of all.
#
# For a target of Linux with musl, programs that use every layer are run, by an emulator if need be. Besides, tests are
# run for this machine's processor and for a big-endian one: those in which byte order, word size and the system's
# structures count. What an emulator cannot do is in tests/qemu/cannot.txt. Most of these tests are compiled for macOS and
# FreeBSD. --suites "unit behaviour" runs these suites whole, for each target that can be run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh

zig_version=0.17.1
all_targets=(x86_64-linux-musl arm-linux-musleabihf s390x-linux-musl aarch64-linux-musl x86-linux-gnu
  aarch64-macos x86_64-freebsd x86_64-netbsd wasm32-wasi)
tested=("$HOSTTYPE-linux-musl" s390x-linux-musl)
suites=()
telling=(unit/{control_message,datagram,durations,endpoint,foreign_systems,option,session_store,udp,unix_dgram}
  behaviour/{batch,metadata,reply})
run=("${telling[@]}" unit/{block_list,capabilities,multicast} behaviour/{gso,multicast,options,receive})
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --suites)
      [ $# -gt 1 ] || die "--suites needs their names, such as \"unit behaviour\""
      read -ra suites <<<"$2"
      shift
      ;;
    -*) die "usage: scripts/check platforms [--suites \"SUITE...\"] [TARGET...]" ;;
    *) targets+=("$1") ;;
  esac
  shift
done
if [ ${#targets[@]} -eq 0 ]; then targets=("${all_targets[@]}"); fi
runner_of() { # TARGET: sets "runner"; false if the target cannot be run here
  runner=
  case $1 in
    "$HOSTTYPE"-linux-musl) return 0 ;;
    arm-linux-musl*) runner=qemu-arm ;;
    aarch64-linux-musl) runner=qemu-aarch64 ;;
    s390x-linux-musl) runner=qemu-s390x ;;
    riscv64-linux-musl) runner=qemu-riscv64 ;;
    *) return 1 ;;
  esac
}

step "platforms: looking for what is needed"
need_python
need_file libasio-dev /usr/include/asio.hpp /usr/local/include/asio.hpp
need_file libfmt-dev {/usr,/usr/local}/include/fmt/format.h
need_catch2 build/deps/catch2
for target in "${targets[@]}"; do
  if runner_of "$target" && [ -n "$runner" ]; then need_command qemu-user "$runner"; fi
done
install_packages
for suite in ${suites[@]+"${suites[@]}"}; do
  compgen -G "tests/$suite/*_test.cpp" >/dev/null || die "there is no suite '$suite'"
done
zig=build/deps/zig
from_pypi "$zig" "ziglang==$zig_version"

work=$PWD/build/platforms
export ZIG_GLOBAL_CACHE_DIR=$work/zig-cache ZIG_LOCAL_CACHE_DIR=$work/zig-cache
# A directory of their own, because the headers of this system's C library are next to them.
include=$work/include
mkdir -p "$include"
for name in asio asio.hpp fmt catch2; do
  for directory in "$PWD/build/deps/catch2/usr" /usr/local /usr; do
    if [ -e "$directory/include/$name" ]; then
      ln -sfn "$directory/include/$name" "$include/$name"
      break
    fi
  done
done

zig_cxx() { # TARGET ARGUMENTS...
  local target=$1
  shift
  "$zig/bin/python" -m ziglang c++ -target "$target" -std=c++20 -O0 -g0 -fno-sanitize=undefined -DASIO_STANDALONE \
    -DASIO_HAS_CO_AWAIT=1 -DFMT_HEADER_ONLY -D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_EXTENSIVE -isystem "$include" -Iinclude -Itests -I. "$@"
}
# What the developers' builds ask for, of the headers too.
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
sum_of() { # what is read, in 16 characters
  sha256sum | cut -c1-16
}
# Changed when the compiler, the headers or the flags are, so that nothing old is linked.
stamp=$({ declare -f zig_cxx && echo "$zig_version" && find -L include tests "$include" -name '*.hpp' -print0 | sort -z |
  xargs -0 cat; } | sum_of)

prepare() { # TARGET: an empty directory, unless nothing has changed
  directory=$work/$1
  if [ "$(cat "$directory/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$directory"
    mkdir -p "$directory"
    echo "$stamp" >"$directory/stamp"
  fi
}

# Compiles files together, which share most of what they instantiate. Sets "object"; what the compiler says is in
# "$object.log".
compile() { # TARGET NAME "SOURCE..." [ARGUMENTS...]
  local target=$1 name=$2 sources
  read -ra sources <<<"$3"
  object=$directory/$name-$(cat "${sources[@]}" | sum_of).o
  if [ -e "$object" ]; then return 0; fi
  printf '#include "%s"\n' "${sources[@]}" >"$directory/$name.cpp"
  zig_cxx "$target" "${@:4}" -c "$directory/$name.cpp" -o "$object" >"$object.log" 2>&1
}

catch2_of() { # TARGET: builds Catch2 from its one source file
  if [ -e "$directory/catch2.o" ]; then return 0; fi
  catch2_source "$work" "$include"
  zig_cxx "$1" -c "$catch2_source" -o "$directory/catch2.o"
}

files_of() { # TARGET SUITE: sets "files"
  local each of_target=("${telling[@]}")
  files=()
  if [ ${#suites[@]} -gt 0 ]; then
    files=(tests/"$2"/*_test.cpp)
    return
  fi
  if runner_of "$1"; then of_target=("${run[@]}"); fi
  for each in "${of_target[@]}"; do
    if [ "${each%/*}" = "$2" ]; then files+=("tests/${each}_test.cpp"); fi
  done
}

# Sets "compiled", for the summary, and "objects".
compile_suite() { # TARGET SUITE
  local object files=() group i
  files_of "$1" "$2"
  objects=()
  if [ ! -e "$directory/all.pch" ]; then
    printf '#include <%s>\n' catch2/catch_test_macros.hpp catch2/generators/catch_generators.hpp dgram.hpp \
      >"$directory/all.hpp"
    zig_cxx "$1" -x c++-header "$directory/all.hpp" -o "$directory/all.pch" || return 1
  fi
  for ((i = 0; i < ${#files[@]}; i += 8)); do
    group=("${files[@]:i:8}")
    if compile "$1" "$2-$i" "${group[*]}" -include-pch "$directory/all.pch"; then
      compiled=$((compiled + ${#group[@]}))
      objects+=("$object")
    else
      echo "does not compile for $1: $2"
      grep -E -A3 'error:' "$object.log" | head -n 24 || true
      return 1
    fi
  done
}

check_wasi() { # one error, and not a thousand lines
  if zig_cxx wasm32-wasi -c tests/platforms/program.cpp -o "$directory/program.o" >"$directory/log" 2>&1; then
    echo "wasm32-wasi compiles, and has no datagram sockets"
    return 1
  fi
  if ! grep -q 'error: "dgram needs a system with datagram sockets' "$directory/log" ||
    [ "$(wc -l <"$directory/log")" -gt 30 ]; then
    head -n 40 "$directory/log"
    return 1
  fi
  said="one error says why not"
}

check_target() { # TARGET: sets "said"
  local target=$1 source name suite object objects compiled=0
  local wanted=(${suites[@]+"${suites[@]}"})
  local -A program_objects=()
  if [ ${#wanted[@]} -eq 0 ]; then wanted=(unit behaviour); fi
  prepare "$target"
  if [ "$target" = wasm32-wasi ]; then
    check_wasi
    return
  fi
  for source in tests/platforms/program.cpp tests/configurations/program.cpp; do
    name=$(basename "$(dirname "$source")")
    compile "$target" "$name" "$source" "${warnings[@]}" || {
      grep -E -A3 '(error|warning):' "$object.log" | head -n 40
      return 1
    }
    program_objects[$name]=$object
  done
  said="all headers compile"
  if ! runner_of "$target"; then
    # The tests have names of options that NetBSD lacks.
    if [[ $target == *-linux-* || $target == *-netbsd* ]] || [ ${#suites[@]} -gt 0 ]; then return 0; fi
    for suite in "${wanted[@]}"; do compile_suite "$target" "$suite" || return 1; done
    said+=", and $compiled files of tests"
    return 0
  fi
  # qemu does not turn the bytes of a segment size for another byte order: trains, as the other program sends them, arrive
  # as one datagram.
  local programs=(platforms configurations)
  if [ -n "$runner" ]; then programs=(platforms); fi
  for name in "${programs[@]}"; do
    zig_cxx "$target" "${program_objects[$name]}" -o "$directory/$name" || return 1
    # shellcheck disable=SC2086 # empty, or one word
    timeout 120 $runner "$directory/$name" || return 1
  done
  said="${runner:-natively}: ${#programs[@]} of 2 programs run, and both compile"
  if [ ${#suites[@]} -eq 0 ] && ! has_word "$target" "${tested[*]}"; then return 0; fi
  for suite in "${wanted[@]}"; do
    compile_suite "$target" "$suite" || return 1
    catch2_of "$target" || return 1
    zig_cxx "$target" "${objects[@]}" "$directory/catch2.o" -o "$directory/${suite}_tests" || return 1
  done
  local cannot=/dev/null emulated=()
  if [ -n "$runner" ]; then
    cannot=tests/qemu/cannot.txt
    emulated=(--emulator "$runner" --system "${target%%-*}")
  fi
  python3 tests/support/run_cases.py --patience 60 ${emulated[@]+"${emulated[@]}"} "$cannot" "$directory" "${wanted[@]}" |
    tee "$directory/run.log" || return 1
  said+=", $(grep -E '^[0-9]+ cases in' "$directory/run.log")"
}

results=()
failures=0
for target in "${targets[@]}"; do
  step "platforms: $target"
  said=
  if check_target "$target"; then
    results+=("$target: $said")
  else
    results+=("$target: FAILED")
    failures=$((failures + 1))
  fi
done
step "platforms: what was shown"
printf '%s\n' "${results[@]}"
[ "$failures" -eq 0 ] || die "$failures of ${#targets[@]} targets failed"
