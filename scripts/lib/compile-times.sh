# shellcheck shell=bash
# Sourced by scripts/bench and scripts/check: how long the servers of benchmarks/compile take to compile.

# Each: NAME FILE OPTION... "compiled-source" is what a target of dgram::compiled compiles once.
compile_programs=(
  "asio benchmarks/compile/echo_asio.cpp"
  "asio-narrow benchmarks/compile/echo_asio_narrow.cpp"
  "dgram benchmarks/compile/echo_dgram.cpp"
  "dgram-compiled benchmarks/compile/echo_dgram.cpp -DDGRAM_COMPILED=1"
  "emitter benchmarks/compile/echo_emitter.cpp"
  "emitter-compiled benchmarks/compile/echo_emitter.cpp -DDGRAM_COMPILED=1"
  "drop-in benchmarks/compile/echo_drop_in.cpp"
  "compiled-source cmake/dgram-compiled.cpp"
)
compile_options=(-std=c++20 -O2 -DASIO_STANDALONE -DASIO_NO_DEPRECATED -Iinclude)

# shellcheck disable=SC2154
compile_seconds() { # FILE OPTION...: the processor time of compiling it
  local TIMEFORMAT='%U %S' output user system
  output=$({ time "${dgram_compiler[@]}" "${compile_options[@]}" "${@:2}" -c "$1" -o /dev/null; } 2>&1) ||
    die "$1 does not compile: ${output%$'\n'*}"
  read -r user system <<<"${output##*$'\n'}"
  # Thousandths of a second; the sign between them is the locale's.
  local sum=$((10#${user//[.,]/} + 10#${system//[.,]/}))
  printf '%d.%03d\n' $((sum / 1000)) $((sum % 1000))
}

# Writes lines of "NAME SECONDS", the programs in turns; the first round only warms the page cache.
measure_compile_times() { # FILE ROUNDS
  local round program words seconds
  : >"$1"
  for ((round = 0; round <= $2; ++round)); do
    printf '\rcompiling servers: round %d of %d ' "$round" "$2" >&2
    for program in "${compile_programs[@]}"; do
      read -ra words <<<"$program"
      seconds=$(compile_seconds "${words[@]:1}")
      if [ "$round" -gt 0 ]; then echo "${words[0]} $seconds" >>"$1"; fi
    done
  done
  printf '\r%40s\r' '' >&2
}
