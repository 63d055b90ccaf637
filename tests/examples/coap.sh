#!/usr/bin/env bash
# The CoAP server and client with each other, and each with libcoap's program for the other side.
#   coap.sh EXAMPLES
. "$(dirname "$0")/common.sh"
client="$examples/example_coap_client"

first_of() { # COMMAND...: the first that is here
  local name
  for name; do
    if command -v "$name" >/dev/null; then
      echo "$name"
      return
    fi
  done
}

listen server "$examples/example_coap_server"
ask() { # EXPECTED-STATUS EXPECTED-TEXT ARGUMENTS...
  local status=$1 text=$2
  shift 2
  run "$status" "$client" "$@"
  prints "$text"
}
ask 0 'nothing yet' get "$endpoint" note
ask 0 '' post "$endpoint" note --payload hello
ask 0 hello get "$endpoint" /note
ask 0 1 get "$endpoint" posts
ask 0 '</note>,</posts>,</time>' get "$endpoint" .well-known/core
ask 1 4.04 get "$endpoint" no/such/thing
ask 1 4.05 post "$endpoint" time
ask 2 'neither get nor post' put "$endpoint" time
long=$(printf 'x%.0s' {1..300})
ask 1 4.04 get "$endpoint" "$long/$long"
[[ $("$client" get "$endpoint" time) -ge $(($(date +%s) - 60)) ]] || fail 'the time'

if (exec 3<>/dev/udp/127.0.0.1/9) 2>/dev/null; then
  # The same request three times counts once, and gets the same answer each time.
  exec 3<>"/dev/udp/127.0.0.1/$port"
  for i in 1 2 3; do
    printf '\x42\x02\x77\x77ab\xb4note\xff%s' "again" >&3
    answer=$(head -c 6 <&3 | od -An -tx1 | tr -d ' ')
    [ "$answer" = 624477776162 ] || fail "answer $i: $answer"
  done
  # Bytes that are no request get no answer; a ping gets a reset.
  printf 'nonsense' >&3
  printf '\x40\x00\x12\x34' >&3
  answer=$(head -c 4 <&3 | od -An -tx1 | tr -d ' ')
  [ "$answer" = 70001234 ] || fail "ping: $answer"
  exec 3>&-
  ask 0 2 get "$endpoint" posts
fi

coap_client=$(first_of coap-client coap-client-notls)
if [ -n "$coap_client" ]; then
  output=$("$coap_client" -B 5 -m post -e 'of libcoap' "coap://$endpoint/note")
  output=$("$coap_client" -B 5 -m get "coap://$endpoint/note")
  prints 'of libcoap'
  output=$("$coap_client" -B 5 -N -m get "coap://$endpoint/note") # not confirmable
  prints 'of libcoap'

  # A long text in blocks of several sizes, there and back. To get it, libcoap proves its address.
  printf '%05d, ' {1..900} >"$work/long"
  for size in 16 64 1024; do
    "$coap_client" -B 20 -m post -b "$size" -f "$work/long" "coap://$endpoint/note"
    "$coap_client" -B 20 -m get -b "$size" -o "$work/got" "coap://$endpoint/note"
    cmp "$work/long" "$work/got" || fail "blocks of $size"
    rm "$work/got"
  done
  ask 0 "$(cat "$work/long")" get "$endpoint" note
  output=$("$coap_client" -B 5 -m get -b 1 -b 7,64 "coap://$endpoint/note" 2>&1)
  prints '00065, '
  ask 0 6 get "$endpoint" posts
  # Blocks whose beginning the server does not have, and more than it takes.
  output=$("$coap_client" -B 5 -m post -O 27,0x18 -e late "coap://$endpoint/note" 2>&1)
  prints 4.08
  head -c 70000 /dev/zero >"$work/large"
  output=$("$coap_client" -B 20 -m post -b 1024 -f "$work/large" "coap://$endpoint/note" 2>&1)
  prints 4.13
  ask 0 6 get "$endpoint" posts
fi
quits server TERM
unused_port
run 1 "$client" get "127.0.0.1:$port" time --wait 20 --retries 1
prints 'no answer from'

coap_server=$(first_of coap-server coap-server-notls)
[ -n "$coap_server" ] || exit 0
for ((tries = 0; tries < 10; ++tries)); do
  unused_port
  start "peer$tries" "$coap_server" -A 127.0.0.1 -p "$port"
  status=0
  output=$("$client" get "127.0.0.1:$port" time --wait 100 --retries 5 2>&1) || status=$?
  if [ "$status" -eq 0 ]; then break; fi
done
[ "$status" -eq 0 ] || fail "$coap_server does not answer: $output"
prints "$(date +%b)"
run 1 "$client" get "127.0.0.1:$port" no-such-thing
prints 4.04
# This one takes its time: it acknowledges at once, and answers later.
run 0 "$client" get "127.0.0.1:$port" async --wait 1000 --retries 4
prints done
