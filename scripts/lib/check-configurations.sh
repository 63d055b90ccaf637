#!/usr/bin/env bash
# Started by "scripts/check configurations [all]": tests/configurations/program.cpp compiles with either standard
# library, each standard, each backend of Asio and each of Asio's switches. What may differ are independent choices, so
# the rows below hold each pair of values, and "all" tries every combination (about 40 minutes), and then compiles each
# example and each file of the benchmarks with nothing but what it includes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh
. scripts/lib/parallel.sh

standards=(c++20 gnu++20 c++23)
backends=(epoll no-epoll io-uring io-uring-default)
pairs=(
  # library  standard backend          executors deprecated     tracking rtti
  "libstdc++ c++20    epoll            ts        deprecated     quiet    rtti"
  "libstdc++ c++20    no-epoll         ts        no-deprecated  quiet    rtti"
  "libstdc++ c++23    io-uring         ts        no-deprecated  tracking no-rtti"
  "libstdc++ c++23    epoll            no-ts     no-deprecated  tracking no-rtti"
  "libstdc++ gnu++20  io-uring-default ts        no-deprecated  quiet    rtti"
  "libstdc++ gnu++20  io-uring         ts        deprecated     quiet    rtti"
  "libc++    c++20    io-uring         no-ts     deprecated     tracking no-rtti"
  "libc++    c++20    io-uring-default no-ts     deprecated     quiet    no-rtti"
  "libc++    c++23    no-epoll         no-ts     deprecated     tracking rtti"
  "libc++    c++23    io-uring-default no-ts     deprecated     quiet    no-rtti"
  "libc++    gnu++20  no-epoll         no-ts     no-deprecated  quiet    no-rtti"
  "libc++    gnu++20  epoll            ts        deprecated     tracking rtti"
)

cannot_be() { # does Asio 1.36 by itself not compile with these?
  case $1 in *io-uring-default*" tracking"*) return 0 ;; *) return 1 ;; esac
}

check_pairs() { # does a row have each pair of values?
  local -A seen=()
  local -a values=()
  local row first second i j
  for row in "${pairs[@]}"; do
    read -ra values <<<"$row"
    for ((i = 0; i < ${#values[@]}; ++i)); do
      for ((j = i + 1; j < ${#values[@]}; ++j)); do seen["${values[i]} ${values[j]}"]=yes; done
    done
  done
  local choices=("libstdc++ libc++" "${standards[*]}" "${backends[*]}" "ts no-ts" "deprecated no-deprecated"
    "quiet tracking" "rtti no-rtti")
  for ((i = 0; i < ${#choices[@]}; ++i)); do
    for ((j = i + 1; j < ${#choices[@]}; ++j)); do
      for first in ${choices[i]}; do
        for second in ${choices[j]}; do
          if cannot_be "$first $second"; then continue; fi
          [ -n "${seen["$first $second"]:-}" ] || die "$0: no row has both $first and $second"
        done
      done
    done
  done
}

rows=("${pairs[@]}")
case "${1:-}" in
  "") check_pairs ;;
  all)
    rows=()
    for library in libstdc++ libc++; do
      for standard in "${standards[@]}"; do
        for backend in "${backends[@]}"; do
          for rest in {ts,no-ts}" "{deprecated,no-deprecated}" "{quiet,tracking}" "{rtti,no-rtti}; do
            if ! cannot_be "$backend $rest"; then rows+=("$library $standard $backend $rest"); fi
          done
        done
      done
    done
    ;;
  *) die "usage: scripts/check configurations [all]" ;;
esac

step "configurations: looking for what is needed"
need_library_build
need_command python3 python3
need_command clang-19 clang++-19
need_file libc++-19-dev '/usr/lib/llvm-19/include/c++/v1/version'
need_file libc++abi-19-dev '/usr/lib/llvm-19/lib/libc++abi.so'
need_file liburing-dev /usr/include/liburing.h
need_file libfmt-dev /usr/include/fmt/format.h
need_newest_asio build/deps/asio-newest
install_packages

work=$PWD/build/configurations
mkdir -p "$work"
common=(-DASIO_STANDALONE -DFMT_HEADER_ONLY -isystem build/deps/asio-newest/usr/include -I include
  -Wall -Wextra -Wpedantic -Werror)

arguments_of() { # WORD...: the compiler's arguments for a row, one a line
  local word
  for word; do
    case $word in
      libstdc++ | epoll | ts | deprecated | quiet | rtti) ;;
      libc++) echo -stdlib=libc++ ;;
      c++* | gnu++*) echo "-std=$word" ;;
      no-epoll) echo -DASIO_DISABLE_EPOLL ;;
      io-uring) echo -DASIO_HAS_IO_URING ;;
      io-uring-default) printf '%s\n' -DASIO_HAS_IO_URING -DASIO_HAS_IO_URING_AS_DEFAULT -DASIO_DISABLE_EPOLL ;;
      no-ts) echo -DASIO_NO_TS_EXECUTORS ;;
      no-deprecated) echo -DASIO_NO_DEPRECATED ;;
      tracking) echo -DASIO_ENABLE_HANDLER_TRACKING ;;
      no-rtti) echo -fno-rtti ;; # the headers tell Asio
      *) die "unknown configuration: $word" ;;
    esac
  done
}

try() { # NUMBER ROW
  local arguments=()
  # shellcheck disable=SC2086
  mapfile -t arguments < <(arguments_of $2)
  clang++-19 "${common[@]}" "${arguments[@]}" -fsyntax-only tests/configurations/program.cpp
}

step "configurations [F15]: ${#rows[@]} of them"
try_rows "$work" configurations "${rows[@]}"

# One that other tests are far from also runs.
step "configurations: the program runs with libc++, without epoll and the executors of the Networking TS"
clang++-19 "${common[@]}" -std=c++20 -stdlib=libc++ -D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_EXTENSIVE \
  -DASIO_DISABLE_EPOLL -DASIO_NO_TS_EXECUTORS tests/configurations/program.cpp -pthread -o "$work/program"
"$work/program"

# Builds share the examples' precompiled headers and instantiations.
if [ "${1:-}" = all ]; then
  step "configurations: each example and benchmark compiles with what it includes"
  cmake --preset release-newest-asio -B "$work/build" -DCMAKE_CXX_COMPILER=clang++-19 -DDGRAM_BUILD_TESTS=OFF \
    -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >/dev/null
  mapfile -t commands < <(python3 scripts/lib/compile-commands.py "$work/build" examples/ benchmarks/)
  [ "${#commands[@]}" -gt 80 ] || die "only ${#commands[@]} files were found"
  try() { # NUMBER COMMAND
    eval "$2"
  }
  try_rows "$work" "examples and benchmarks" "${commands[@]}"
fi
