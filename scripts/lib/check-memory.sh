#!/usr/bin/env bash
# Called by scripts/check memory [SUITE...]: the suites read no memory that was not written, as MemorySanitizer finds it.
#
# All code of a program must be compiled for that, so libc++ is built from the distribution's source of LLVM, and Catch2
# from its own. libc++ checks what it is asked for (its hardening mode "extensive").
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh
. scripts/lib/parallel.sh

version=19
suites=("$@")
if [ ${#suites[@]} -eq 0 ]; then suites=(unit behaviour emitter servers); fi
for suite in "${suites[@]}"; do
  compgen -G "tests/$suite/*_test.cpp" >/dev/null || die "there is no suite '$suite'"
done

step "memory: looking for what is needed"
need_library_build
need_catch2 build/deps/catch2
need_newest_asio build/deps/asio-newest
need_command clang-$version clang++-$version
need_file libclang-rt-$version-dev /usr/lib/llvm-$version/lib/clang/$version/lib/*/libclang_rt.msan*.a
need_file libfmt-dev {/usr,/usr/local}/include/fmt/format.h
need_python
install_packages

work=$PWD/build/memory
mkdir -p "$work/objects"
catch2=$PWD/build/deps/catch2/usr/include
if [ ! -e "$catch2/catch2" ]; then catch2=/usr/include; fi
catch2_source "$work" "$catch2"

library=$work/libc++
if [ ! -e "$library/lib/libc++.a" ]; then
  step "memory: building libc++"
  source_from_suite "$(os_release VERSION_CODENAME)" llvm-toolchain-$version "$work/llvm.tar"
  tar -C "$work" -xf "$work/llvm.tar" --wildcards '*/libcxx/*' '*/libcxxabi/*' '*/libc/*' '*/runtimes/*' '*/cmake/*' \
    --exclude='*/test/*'
  rm "$work/llvm.tar"
  cmake -G Ninja -S "$work"/llvm-toolchain-*/runtimes -B "$library" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_COMPILER=clang-$version -DCMAKE_CXX_COMPILER=clang++-$version -DLLVM_ENABLE_RUNTIMES="libcxx;libcxxabi" \
    -DLLVM_USE_SANITIZER=Memory -DLIBCXX_INCLUDE_TESTS=OFF -DLIBCXXABI_INCLUDE_TESTS=OFF \
    -DLIBCXX_INCLUDE_BENCHMARKS=OFF -DLIBCXX_ENABLE_SHARED=OFF -DLIBCXXABI_ENABLE_SHARED=OFF \
    -DLIBCXXABI_USE_LLVM_UNWINDER=OFF >"$work/libc++.log" || die "libc++ cannot be configured: see $work/libc++.log"
  cmake --build "$library" --target cxx cxxabi >>"$work/libc++.log" || die "libc++ cannot be built: see $work/libc++.log"
  rm -rf "$work"/llvm-toolchain-*
fi

# Stop tokens are still experimental in this libc++.
# Asio's contexts post to what is being destroyed, which Clang can report, too: -fno-sanitize-memory-use-after-dtor.
flags=(-std=c++20 -O0 -g1 -fno-omit-frame-pointer -fsanitize=memory -fno-sanitize-memory-use-after-dtor -pthread
  -nostdinc++ -isystem "$library/include/c++/v1" -fexperimental-library
  -D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_EXTENSIVE
  -DASIO_STANDALONE -DFMT_HEADER_ONLY -Iinclude -Itests -I. -isystem build/deps/asio-newest/usr/include -isystem "$catch2")

group() { # NAME SUITE FILE...: a source that includes the files
  printf '#include "%s"\n' "${@:3}" >"$work/objects/$1.cpp"
  groups+=("$1 $2")
}
build() { # "NAME SUITE"
  local definitions=()
  case "${1#* }" in scripted | faults) definitions=('-DDGRAM_SYSTEM_HEADER="support/scripted_system.hpp"') ;; esac
  clang++-$version "${flags[@]}" ${definitions[@]+"${definitions[@]}"} -c "$work/objects/${1% *}.cpp" \
    -o "$work/objects/${1% *}.o" && echo "compiled: ${1% *}"
}

step "memory: compiling"
groups=()
rm -f "$work"/objects/*
group catch2 catch2 "$catch2_source"
for suite in "${suites[@]}"; do
  files=(tests/"$suite"/*_test.cpp)
  for ((i = 0; i < ${#files[@]}; i += 16)); do group "$suite-$i" "$suite" "${files[@]:i:16}"; done
done
in_parallel build "${groups[@]}"
[ "$failed" -eq 0 ] || die "$failed of ${#groups[@]} groups do not compile"
for suite in "${suites[@]}"; do
  clang++-$version -fsanitize=memory -nostdlib++ -pthread "$work/objects/$suite-"*.o "$work/objects/catch2.o" \
    -L"$library/lib" -lc++ -lc++abi -o "$work/${suite}_tests"
done

step "memory: running"
export MSAN_OPTIONS=halt_on_error=1
python3 tests/support/run_cases.py --patience 300 /dev/null "$work" "${suites[@]}"
