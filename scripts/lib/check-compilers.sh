#!/usr/bin/env bash
# Started by "scripts/check compilers": one program of every layer is compiled and run with each compiler and standard
# library that the README names, in C++20 and C++23, without run-time type information, from a precompiled header, and
# as one file of several sources. Warnings are errors. A newer GCC compiles everything in scripts/check-bare 13.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh
. scripts/lib/parallel.sh

step "compilers: looking for what is needed"
need_library_build
need_command g++ g++
for version in 16 19; do need_command "clang-$version" "clang++-$version"; done
need_file libc++-19-dev /usr/lib/llvm-19/include/c++/v1/version
need_file libc++abi-19-dev /usr/lib/llvm-19/lib/libc++abi.so
# Two versions of libc++'s headers cannot be installed beside each other.
older=$PWD/build/deps/libc++-16
need_from_suite "$(os_release VERSION_CODENAME)" libc++-16-dev "$older"
install_packages

work=$PWD/build/compilers
rm -rf "$work"
mkdir -p "$work"
cat >"$work/together.cpp" <<'END'
#include "tests/odr/b.cpp"
#include "tests/configurations/program.cpp"
END
printf '#include <dgram.hpp>\n' >"$work/header.hpp"

common=(-DASIO_STANDALONE -DFMT_HEADER_ONLY -I. -Iinclude -Wall -Wextra -Wpedantic -Werror -pthread)
clang=(-DASIO_HAS_CO_AWAIT=1) # Asio 1.22 does not look for coroutines of Clang
newest=(-stdlib=libc++)
# The library of 19 runs programs that were compiled with the headers of 16.
oldest=(-nostdinc++ -isystem "$older/usr/lib/llvm-16/include/c++/v1" -nostdlib++ -L/usr/lib/llvm-19/lib
  -Wl,-rpath,/usr/lib/llvm-19/lib -lc++)
program=tests/configurations/program.cpp

rows=()
for standard in c++20 c++23; do
  rows+=("g++ $standard" "clang++-16 $standard" "clang++-19 $standard" "clang++-19 $standard libc++"
    "clang++-16 $standard libc++")
done
for compiler in g++ clang++-16 clang++-19; do
  rows+=("$compiler c++20 no-rtti" "$compiler c++20 precompiled" "$compiler c++20 together")
done

try() { # NUMBER "COMPILER STANDARD [HOW]"
  local number=$1 compiler standard how flags libraries=() source=$program
  read -r compiler standard how <<<"$2"
  if [ "$compiler $standard" = "clang++-16 c++23" ]; then standard=c++2b; fi # as it was called before it was finished
  flags=("${common[@]}" "-std=$standard")
  if [ "$compiler" != g++ ]; then flags+=("${clang[@]}"); fi
  case $how in
    libc++) if [ "$compiler" = clang++-19 ]; then flags+=("${newest[@]}"); else libraries=("${oldest[@]}"); fi ;;
    no-rtti) flags+=(-fno-rtti -DASIO_NO_TYPEID) ;;
    together) source=$work/together.cpp ;;
    precompiled)
      mkdir -p "$work/$compiler"
      cp "$work/header.hpp" "$work/$compiler/header.hpp"
      if [ "$compiler" = g++ ]; then
        "$compiler" "${flags[@]}" -x c++-header "$work/$compiler/header.hpp" -o "$work/$compiler/header.hpp.gch" &&
          rm "$work/$compiler/header.hpp" && # so that nothing else can be taken
          flags+=(-Winvalid-pch -include "$work/$compiler/header.hpp")
      else
        "$compiler" "${flags[@]}" -x c++-header "$work/$compiler/header.hpp" -o "$work/$compiler/header.pch" &&
          flags+=(-include-pch "$work/$compiler/header.pch")
      fi || return
      ;;
  esac
  "$compiler" "${flags[@]}" "$source" "${libraries[@]}" -o "$work/$number" && "$work/$number"
}

step "compilers: ${#rows[@]} combinations"
try_rows "$work" combinations "${rows[@]}"
