#!/usr/bin/env bash
# The TFTP server with the clients tftp(1) and curl(1), whichever is here.
#   tftp_server.sh EXAMPLES
. "$(dirname "$0")/common.sh"
has_curl=no has_tftp=no
if command -v tftp >/dev/null; then has_tftp=yes; fi
if command -v curl >/dev/null && curl --version | grep -q '^Protocols:.* tftp'; then has_curl=yes; fi
if [ "$has_curl$has_tftp" = nono ]; then skip "this host has neither tftp nor curl with tftp"; fi

mkdir "$work/files"
head -c 100000 /dev/urandom >"$work/files/large"
head -c 1024 /dev/urandom >"$work/files/blocks" # whole blocks: an empty one ends the transfer
: >"$work/files/empty"
printf 'secret' >"$work/secret"
listen server "$examples/example_tftp_server" "$work/files"

fetch() { # NAME: leaves the file in $work/got
  rm -f "$work/got"
  case $client in
    tftp) tftp -m binary 127.0.0.1 "$port" -c get "$1" "$work/got" ;;
    curl) curl -s -o "$work/got" --path-as-is "tftp://127.0.0.1:$port/$1" ;;
    curl-512) curl -s -o "$work/got" --tftp-no-options "tftp://127.0.0.1:$port/$1" ;;
  esac
}
clients=()
if [ "$has_tftp" = yes ]; then clients+=(tftp); fi
if [ "$has_curl" = yes ]; then clients+=(curl curl-512); fi
for client in "${clients[@]}"; do
  for name in large blocks; do
    fetch "$name"
    cmp "$work/files/$name" "$work/got" || fail "$client got another $name"
  done
  fetch empty || true # some clients write no file then
  if [ -s "$work/got" ]; then fail "$client got bytes of an empty file"; fi
  for name in missing ../secret; do
    fetch "$name" || true
    if [ -e "$work/got" ] && grep -q secret "$work/got"; then fail "$client got $name"; fi
  done
done

# A client that vanishes after its request costs a few retries, and no other client anything.
quits server TERM
listen impatient "$examples/example_tftp_server" "$work/files" --timeout 20 --retries 2
if (exec 3<>/dev/udp/127.0.0.1/9) 2>/dev/null; then
  exec 3<>"/dev/udp/127.0.0.1/$port"
  printf '\0\1large\0octet\0' >&3
  expect impatient '^gave up large to 127\.0\.0\.1:[0-9]+: 0 bytes$'
  exec 3>&-
fi
client=${clients[0]}
fetch large
cmp "$work/files/large" "$work/got"
quits impatient INT
