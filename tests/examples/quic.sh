#!/usr/bin/env bash
# The QUIC server with a client: aioquic, or gtlsclient of ngtcp2.
#   quic.sh EXAMPLES CLIENT
# aioquic is what `python3` has. With DGRAM_ALL_PEERS=ON it is installed beside the examples if python3 has none.
if [ -z "${DGRAM_TEST_WATCHDOG:-}" ]; then
  DGRAM_TEST_WATCHDOG=1 exec timeout 170 bash "$0" "$@"
fi
. "$(dirname "$0")/common.sh"
client=$2
[ -x "$examples/example_quic_server" ] || skip 'the QUIC server was not built: there is no ngtcp2 0.12 with GnuTLS'
need openssl
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -keyout "$work/key.pem" -out "$work/chain.pem" 2>/dev/null

serve() { # NAME ARGUMENTS...
  local name=$1
  shift
  listen "$name" "$examples/example_quic_server" "$work/chain.pem" "$work/key.pem" --listen 127.0.0.1:0 "$@"
}

sends_few_times() { # NAME: whether the server that ended has sent 20 packets and more a call
  totals=$(tail -n 1 "$work/$1.out")
  [[ $totals =~ \ sent=([0-9]+)\ .*\ send_calls=([0-9]+)\  ]] || fail "no totals: $totals"
  [ "${BASH_REMATCH[1]}" -gt 13000 ] || fail "not 20 MB: $totals"
  [ $((BASH_REMATCH[2] * 20)) -le "${BASH_REMATCH[1]}" ]
}

moves() { # NAME: a connection of the server goes on from another port
  expect "$1" '^connection [0-9]+: moved to 127\.0\.0\.1:'
}

ended='^connection [0-9]+: closed by the client; packets ([0-9]+) in, ([0-9]+) out; with ECN ([0-9]+) in, ([0-9]+) out$'

run 1 "$examples/example_quic_server" "$work/no-such-file" "$work/key.pem"
prints 'cannot use the certificate'
run 2 "$examples/example_quic_server" "$work/chain.pem" "$work/key.pem" --connections 0
prints '--connections "0": not a number from 1 to 100000'

if [ "$client" = gtlsclient ]; then
  need gtlsclient
  head -c 20000000 /dev/urandom >"$work/data"
  host=127.0.0.1
  ask() { # FILE OPTIONS...: the body of a request comes back
    local file=$1
    shift
    mkdir -p "$work/got-$file"
    gtlsclient -q --exit-on-all-streams-close --download "$work/got-$file" -d "$work/data" "$@" \
      "$host" "$port" "https://localhost/$file"
    cmp "$work/data" "$work/got-$file/$file" || fail "$file came back changed"
  }

  # How much the server may send in a call depends on when the client acknowledges, so it has three tries.
  for try in 1 2 3; do
    serve "once$try"
    ask first
    expect "once$try" "$ended"
    # The client counts the marks that arrive, and the server goes on marking only if the counts are right.
    [ $((BASH_REMATCH[3] * 2)) -gt "${BASH_REMATCH[1]}" ] || fail "no ECN from the client: $line"
    [ $((BASH_REMATCH[4] * 2)) -gt "${BASH_REMATCH[2]}" ] || fail "no ECN to the client: $line"
    quits "once$try" TERM
    if sends_few_times "once$try"; then break; fi
    [ "$try" -lt 3 ] || fail "too many calls: $totals"
  done

  serve server
  ask one &
  first=$!
  ask two
  wait "$first" || fail 'one of two at once'
  ask moved --change-local-addr=30ms
  moves server
  ask updated --key-update=20ms
  quits server TERM

  # Packets leave from the address that was asked.
  serve wide --listen '[::]:0'
  host=127.0.0.2
  ask another
  if has_ipv6; then
    host=::1
    ask six
  fi
  quits wide TERM
  exit 0
fi

python=python3
if ! python3 -c 'import aioquic' 2>/dev/null; then
  python="$examples/aioquic/bin/python"
  if [ "${DGRAM_ALL_PEERS:-}" = ON ] && ! "$python" -c 'import aioquic' 2>/dev/null; then
    if python3 -m venv "$examples/aioquic" >/dev/null; then "$python" -m pip install -q 'aioquic>=1,<2' >&2 || true; fi
  fi
  "$python" -c 'import aioquic' 2>/dev/null || skip 'python3 has no aioquic'
fi
here=$(dirname "$0")
peer() { "$python" "$here/quic_client.py" "$port" "$@"; }

serve server --connections 24
peer bulk 20000000
expect server "$ended"
[ "${BASH_REMATCH[2]}" -gt 13000 ] || fail "not 20 MB: $line"
peer bulk 2000000 &
first=$!
peer echo
wait "$first" || fail 'one of two at once'
peer move
moves server
moves server
moves server

# Clients that do not read cost the others nothing, and the server takes only as much as it may keep.
start deaf "$python" "$here/quic_client.py" "$port" deaf 6
expect deaf '^blocked$'
peer echo
peer bulk 2000000

# So do bytes that are no QUIC, datagrams that are too large, and packets that were changed on the way.
peer rubbish 4000 &
first=$!
peer echo
wait "$first" || fail 'rubbish'
peer echo

# Clients that do not answer lose their places to others, and those that have answered do not.
peer half 100 &
first=$!
peer echo
wait "$first" || fail 'half'
peer echo
expect server '^connection [0-9]+: no answer; packets 1 in'
quits deaf TERM
quits server TERM
[[ $(tail -n 1 "$work/server.out") =~ \ ([0-9]+)\ ignored$ ]] || fail 'no totals'
[ "${BASH_REMATCH[1]}" -gt 1000 ] || fail "only ${BASH_REMATCH[1]} packets were ignored"

serve idle --listen '[::]:0' --idle 1500
peer vanish
expect idle '^connection 1: ERR_IDLE_CLOSE;'

start waiting "$python" "$here/quic_client.py" "$port" wait
expect waiting '^connected$'
quits idle TERM
expect waiting '^closed by the server$'
ends 0 waiting
