#!/usr/bin/env bash
# A host with a loopback interface only, on which services are announced and found: by the example, by an ordinary
# resolver, and by Python's zeroconf.
#   mdns.sh EXAMPLES
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
mdns="$examples/example_mdns"

run 2 "$mdns" find _http._tcp
prints '"find": neither announce nor browse'
run 2 "$mdns" announce me _http._tcp 65536
prints '"65536"'

need ip
[ "$(id -u)" -eq 0 ] || skip 'only root can make a host of a network namespace'
host=dgram-mdns-$$
remove() {
  ip netns delete "$host" 2>/dev/null || true
  end_processes
}
trap remove EXIT
ip netns add "$host" 2>/dev/null || skip 'network namespaces cannot be made here'
ip -n "$host" link set lo up multicast on
ip -n "$host" address add 127.0.0.2/8 dev lo
ip -n "$host" route add 224.0.0.0/4 dev lo
there() { ip netns exec "$host" "$@"; }

run 1 there "$mdns" browse _http._tcp --timeout 100
[ -z "$output" ] || fail "$output"

start web ip netns exec "$host" "$mdns" announce 'my server' _http._tcp 8080 --host web
expect web '^announced my server\._http\._tcp\.local at 127\.0\.0\.[12]:8080$'
start printer ip netns exec "$host" "$mdns" announce printer _ipp._tcp 631 --host printer
expect printer '^announced'

run 0 there "$mdns" browse _http._tcp --timeout 500
[ "$output" = 'my server._http._tcp.local web.local:8080' ] || fail "$output"
run 0 there "$mdns" browse _ipp._tcp --timeout 500
[ "$output" = 'printer._ipp._tcp.local printer.local:631' ] || fail "$output"

# An ordinary resolver asks from a port of its own, and gets an answer of its own with its number and question.
if command -v python3 >/dev/null; then
  cat >"$work/ask.py" <<'PY'
import socket
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.settimeout(20)
asker.bind(("127.0.0.1", 0))
question = b"\3web\5local\0\0\1\0\1"
asker.sendto(b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + question, ("224.0.0.251", 5353))
answer = asker.recv(2000)
assert answer[:2] == b"\x12\x34" and answer[12:12 + len(question)] == question, answer
print(socket.inet_ntoa(answer[-4:]))
PY
  run 0 there python3 "$work/ask.py"
  [[ $output =~ ^127\.0\.0\.[12]$ ]] || fail "an ordinary resolver got: $output"
fi

if command -v python3 >/dev/null && python3 -c 'import zeroconf' 2>/dev/null; then
  cat >"$work/find.py" <<'PY'
import threading, zeroconf

found = threading.Event()

class Listener(zeroconf.ServiceListener):
    def add_service(self, zc, kind, name):
        info = zc.get_service_info(kind, name, 5000)
        print("found", name, info.server, info.port, flush=True)
        found.set()
    update_service = lambda *ignored: None
    def remove_service(self, zc, kind, name):
        print("gone", name, flush=True)

zc = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
zeroconf.ServiceBrowser(zc, "_http._tcp.local.", Listener())
found.wait(20)
input()
zc.close()
PY
  mkfifo "$work/go"
  start python ip netns exec "$host" bash -c "python3 '$work/find.py' <'$work/go'"
  exec 9>"$work/go"
  expect python '^found my server\._http\._tcp\.local\. web\.local\. 8080$'
  quits web TERM
  expect python '^gone my server\._http\._tcp\.local\.$'
  echo >&9
  exec 9>&-
  ends 0 python
  # And the other way round: the example finds what zeroconf announces.
  cat >"$work/announce.py" <<'PY'
import socket, zeroconf
zc = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
zc.register_service(zeroconf.ServiceInfo("_osc._udp.local.", "synth._osc._udp.local.", 9000,
                                         addresses=[socket.inet_aton("127.0.0.1")], server="synth.local."))
print("ready", flush=True)
input()
PY
  mkfifo "$work/go2"
  start announcer ip netns exec "$host" bash -c "python3 '$work/announce.py' <'$work/go2'"
  exec 9>"$work/go2"
  expect announcer '^ready$'
  run 0 there "$mdns" browse _osc._udp --timeout 1000
  [ "$output" = 'synth._osc._udp.local synth.local:9000' ] || fail "$output"
  exec 9>&-
else
  quits web TERM
fi
quits printer INT
run 1 there "$mdns" browse _http._tcp --timeout 100
