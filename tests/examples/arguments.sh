#!/usr/bin/env bash
# Command lines that cannot be right: exit code 2, and a message that names what was wrong.
#   arguments.sh EXAMPLES
. "$(dirname "$0")/common.sh"

refused() { # MESSAGE PROGRAM ARGUMENTS...
  local message=$1 program=$2
  shift 2
  run 2 "$examples/example_$program" "$@"
  prints "error: "
  prints "$message"
}

for server in echo_callback echo_coroutine; do
  refused '"127.0.0.1"' $server 127.0.0.1
  refused '"localhost:7"' $server localhost:7
  refused '"127.0.0.1:65536"' $server 127.0.0.1:65536
  refused '"::1:7"' $server ::1:7
  refused '"[fe80::1%nope0]:7"' $server '[fe80::1%nope0]:7'
  refused '""' $server ''
  refused 'unexpected argument "again"' $server 127.0.0.1:0 again
done

refused 'ADDRESS:PORT is missing' client
refused 'TEXT is missing' client 127.0.0.1:7
refused '"nowhere"' client nowhere hello
refused '"--fast"' client 127.0.0.1:7 hello --fast
refused '--timeout is missing' client 127.0.0.1:7 hello --timeout
refused '--timeout "0"' client 127.0.0.1:7 hello --timeout 0
refused '--timeout "1s"' client 127.0.0.1:7 hello --timeout 1s
refused '--timeout ""' client 127.0.0.1:7 hello --timeout ''
refused '--retries "-1"' client 127.0.0.1:7 hello --retries -1
refused '--retries "99999999999"' client 127.0.0.1:7 hello --retries 99999999999

refused 'ENDPOINT is missing' syslog_collector
refused 'ENDPOINT is missing' syslog_collector --count 3
refused '"127.0.0.1:-1"' syslog_collector 127.0.0.1:0 127.0.0.1:-1
refused '--count "no"' syslog_collector --count no 127.0.0.1:0
refused '--timeout "-5"' syslog_collector --timeout -5 127.0.0.1:0
refused '"--quiet"' syslog_collector 127.0.0.1:0 --quiet

long_path=/tmp/$(printf '%0108d' 0)
for command in 'syslog_collector' 'unix_echo' 'syslog_sender hello --path'; do
  # The system's own word for it, so the exit code is that of the system's errors.
  # shellcheck disable=SC2086 # several words
  run 1 "$examples"/example_$command "$long_path"
  prints "\"$long_path\" (allowed are at most 107 bytes): File name too long"
done
refused 'PATH is missing' unix_echo
refused '--timeout "0"' unix_echo /tmp/x.sock hello --timeout 0
refused 'TEXT is missing' syslog_sender
refused '--priority "mail"' syslog_sender --priority mail hello
refused '--priority "mail.loud"' syslog_sender --priority mail.loud hello
refused 'NAME is missing' dns_lookup 127.0.0.1
refused '"a..b"' dns_lookup 127.0.0.1 a..b
refused '--type "MX"' dns_lookup 127.0.0.1 a.test --type MX
refused '--counts "maybe"' dns_lookup 127.0.0.1 a.test --counts maybe
refused '--ids "33"' sharded_server --ids 33
refused 'not a usable port number' dns_lookup 127.0.0.1 a.test --port 65536
refused 'not an IPv4 or IPv6 address' dns_lookup ::g a.test

refused '"127.0.0.1 on lo": not a multicast address' multicast_chat --group 127.0.0.1:7077
refused 'on nope0": no such network interface' multicast_chat --interface nope0
refused 'on 192.0.2.213": no such network interface' multicast_chat --interface 192.0.2.213
refused '"239.255.77.77"' multicast_chat --group 239.255.77.77
refused '"chatter"' multicast_chat chatter
refused '--say is missing' multicast_chat --say
refused '--count "0"' multicast_chat --count 0

refused 'listen or say is missing' multicast_source_specific
refused '"shout"' multicast_source_specific shout 127.0.0.1
refused 'SOURCE is missing' multicast_source_specific listen
refused '"nobody"' multicast_source_specific listen nobody
refused 'the address of one host' multicast_source_specific listen 232.77.77.78
refused '"232.77.77.77 from 127.0.0.1 on nope0"' multicast_source_specific listen 127.0.0.1 --interface nope0

refused 'ADDRESS:PORT is missing' echo_load
refused '"127.0.0.1:seven"' echo_load 127.0.0.1:seven
refused '--window "0"' echo_load 127.0.0.1:7 --window 0
refused '--size "7"' echo_load 127.0.0.1:7 --size 7
refused '--size "65508"' echo_load 127.0.0.1:7 --size 65508
refused '--seconds "-1"' echo_load 127.0.0.1:7 --seconds -1

refused '--idle "0"' chat_server --idle 0
refused '--members "100001"' chat_server --members 100001
refused '"nowhere"' chat_server nowhere
refused '--clients "0"' udp_relay --clients 0
refused '--to is missing' udp_relay --listen 127.0.0.1:0
refused '"nowhere"' udp_relay --to nowhere
refused '--rate "0"' game_loop --rate 0
refused '--players "0"' game_loop --players 0
refused '"nowhere"' game_loop nowhere
refused '--players "0"' simulated_game --players 0
refused '"[::]:http"' multihomed_echo http
refused '"nowhere"' dns_responder nowhere
refused 'ADDRESS:PORT is missing' path_probe
refused '--timeout "0"' path_probe 127.0.0.1:9 --timeout 0

for program in echo_callback echo_coroutine client syslog_collector multicast_chat \
  multicast_source_specific echo_load unix_echo syslog_sender dns_lookup \
  multihomed_echo dns_responder path_probe game_loop simulated_game chat_server udp_relay; do
  run 0 "$examples/example_$program" --help
  prints "usage: example_$program"
done
