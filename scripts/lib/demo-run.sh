#!/usr/bin/env bash
# The demo itself: real programs send datagrams to the examples, on the loopback interface only.
# Ends with an error if a datagram that was expected did not come.
#
#   scripts/lib/demo-run.sh BUILD_DIRECTORY      the examples are BUILD_DIRECTORY/examples/example_*
set -euo pipefail
if [ $# -ne 1 ] || [ ! -x "$1/examples/example_syslog_collector" ]; then
  echo "usage: ${0##*/} BUILD_DIRECTORY, where the examples have been built" >&2
  exit 2
fi
examples=$(cd "$1/examples" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh # step
. scripts/lib/demo-processes.sh

summary=()

has_ipv6() { # is there a ::1?
  grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6
}

# --- syslog over UDP and a Unix socket, from logger(1) ---

# A priority and a text each: what is logged, and what must be seen.
syslog_lines=(
  'mail.warning' 'the queue is long: 1843 messages'
  'auth.crit' 'Grüße aus München: ✓ naïve café, 日本語'
  'local3.info' 'job 4711 done in 0.25 s'
)

log_to() { # NAME OPTIONS...: the lines, each with the name in front
  local i command name=$1
  shift
  for ((i = 0; i < ${#syslog_lines[@]}; i += 2)); do
    command=(logger "$@" -t demo -p "${syslog_lines[i]}")
    echo "  ${command[*]} \"$name: ${syslog_lines[i + 1]}\""
    "${command[@]}" "$name: ${syslog_lines[i + 1]}" || fail "logger could not send to $name"
  done
}

check_log() { # NAME SENDER: every line came once, from there, with its priority
  local i text found
  for ((i = 0; i < ${#syslog_lines[@]}; i += 2)); do
    text="$1: ${syslog_lines[i + 1]}"
    found=0
    while IFS= read -r line; do
      if [[ $line == "$2"*"  ${syslog_lines[i]}  "*" $text" ]]; then found=$((found + 1)); fi
    done <"$work/collector.out"
    if [ "$found" -ne 1 ]; then fail "this came $found times instead of once: $text"; fi
  done
}

show_syslog() {
  step "1 of 3: syslog from logger, over IPv4, IPv6 and a Unix socket"
  local endpoints=(127.0.0.1:0) each=$((${#syslog_lines[@]} / 2)) path="$work/log.sock" ports=() count
  local ways="IPv4 and a Unix socket; IPv6 skipped, this host has no ::1"
  if has_ipv6; then
    endpoints+=('[::1]:0')
    ways="IPv4, IPv6 and a Unix socket"
  else
    echo "This host has no IPv6 loopback (::1): the IPv6 part is skipped."
  fi
  count=$((each * (${#endpoints[@]} + 1)))
  echo "example_syslog_collector:"
  start collector "$examples/example_syslog_collector" --count "$count" --timeout 20 \
    "${endpoints[@]}" "$path"
  for _ in "${endpoints[@]}"; do
    expect collector '^listening on .*:([0-9]+)$'
    echo "  $line"
    ports+=("${BASH_REMATCH[1]}")
  done
  expect collector "^listening on $path\$"
  echo "  $line"
  echo "logger:"
  log_to 127.0.0.1 -d -n 127.0.0.1 -P "${ports[0]}"
  if has_ipv6; then log_to ::1 -d -n ::1 -P "${ports[1]}"; fi
  log_to log.sock --socket-errors=on -u "$path"
  echo "example_syslog_collector: sender, priority, line"
  while next_line collector; do echo "  $line"; done
  finish collector || fail "only some of the $count lines came"
  check_log 127.0.0.1 127.0.0.1:
  if has_ipv6; then check_log ::1 '[::1]:'; fi
  check_log log.sock '(unnamed)' # logger does not bind its end
  if [ -e "$path" ]; then fail "the collector left its socket file behind"; fi
  summary+=("syslog:     $count of $count lines from logger, $each each over $ways")
}

# --- multicast between two processes ---

show_multicast() {
  step "2 of 3: multicast between two processes on loopback"
  start ann "$examples/example_multicast_chat" --group 239.255.77.77:0 --interface lo --name ann \
    --answer 'loud and clear, bob' --count 1 --timeout 20
  expect ann '^ann joined ([0-9.:]+) on lo$'
  echo "ann:  $line"
  start bob "$examples/example_multicast_chat" --group "${BASH_REMATCH[1]}" --interface lo \
    --name bob --say 'does anybody hear me?' --count 1 --timeout 20
  expect bob '^bob joined '
  echo "bob:  $line"
  expect ann '  bob: does anybody hear me\?$'
  echo "ann hears  $line"
  expect bob '  ann: loud and clear, bob$'
  echo "bob hears  $line"
  finish ann || fail "ann did not hear bob"
  finish bob || fail "bob did not hear ann"
  summary+=("multicast:  one line each way between two processes")
}

# --- an echo server under load ---

show_load() { # SERVER DESCRIPTION
  local status=0 result
  start "$1" "$examples/example_$1" 127.0.0.1:0
  expect "$1" '^listening on (.*)$'
  echo "$2: $line"
  result=$("$examples/example_echo_load" "${BASH_REMATCH[1]}" --seconds 2) || status=$?
  echo "  ${result//$'\n'/$'\n'  }"
  if [ "$status" -ne 0 ]; then fail "datagrams were lost"; fi
  quit "$1" || fail "the server did not end well"
  if [ -s "$work/$1.out" ]; then sed -n 's/^echoed/  the server echoed/p' "$work/$1.out"; fi
  summary+=("echo:       ${result##*$'\n'} ($2)")
}

show_syslog
show_multicast
step "3 of 3: echo under load"
show_load echo_coroutine "coroutine, in batches"
show_load echo_callback "callbacks, in batches"

step "summary"
printf '%s\n' "${summary[@]}"
