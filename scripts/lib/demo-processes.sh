# shellcheck shell=bash
# Sourced by the demo and by the tests of the examples: programs in the background whose output is
# waited for line by line, never by sleeping.
#
#   start NAME PROGRAM...    starts a program in the background
#   next_line NAME           waits for a line and leaves it in $line; false at the end of the output
#   expect NAME REGEX        waits for a line that matches; all the lines are kept in $work/NAME.out
#   drain NAME               waits until the program has closed its output
#   finish NAME              the same, and returns its exit code
#   quit NAME [SIGNAL]       ends it with a signal (TERM); returns its exit code
#   fail TEXT                prints TEXT and what every program has printed, and ends with 1
#
# Everything that was started is ended when the script ends.

declare -A process_id=() process_fd=()
wait_limit=20 # seconds without any output; far above what is ever needed
line=
work=$(mktemp -d)

end_processes() {
  local name
  for name in "${!process_id[@]}"; do
    kill -KILL "${process_id[$name]}" 2>/dev/null || true
    wait "${process_id[$name]}" 2>/dev/null || true # keeps bash from telling of it
  done
  rm -rf "$work"
}
trap end_processes EXIT

fail() {
  local file
  printf 'FAILED: %s\n' "$*"
  for file in "$work"/*.out "$work"/*.err; do
    if [ -s "$file" ]; then
      printf -- '--- %s\n' "${file##*/}"
      cat "$file"
    fi
  done
  exit 1
}

# Under "set -e" a command that fails ends the script; not without a word.
set -E
trap 'if [ "$BASH_SUBSHELL" -eq 0 ]; then fail "line $LINENO: $BASH_COMMAND"; fi' ERR

start() {
  local name=$1 fd
  shift
  mkfifo "$work/$name.fifo"
  "$@" >"$work/$name.fifo" 2>"$work/$name.err" </dev/null &
  process_id[$name]=$!
  exec {fd}<"$work/$name.fifo"
  process_fd[$name]=$fd
  rm "$work/$name.fifo"
  : >"$work/$name.out"
}

next_line() { # NAME; false at the end of the output
  local status=0
  IFS= read -r -t "$wait_limit" line <&"${process_fd[$1]}" || status=$?
  if [ "$status" -gt 128 ]; then fail "$1 printed nothing for $wait_limit seconds"; fi
  if [ "$status" -ne 0 ]; then return 1; fi
  printf '%s\n' "$line" >>"$work/$1.out"
}

expect() {
  while next_line "$1"; do
    if [[ $line =~ $2 ]]; then return 0; fi
  done
  fail "$1 ended without a line that matches '$2'"
}

drain() {
  while next_line "$1"; do :; done
}

finish() {
  drain "$1"
  local fd=${process_fd[$1]} id=${process_id[$1]} status=0
  exec {fd}<&-
  wait "$id" || status=$?
  unset "process_id[$1]" "process_fd[$1]"
  return "$status"
}

quit() {
  kill -"${2:-TERM}" "${process_id[$1]}"
  finish "$1"
}
