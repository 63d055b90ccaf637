#!/usr/bin/env bash
# The DNS client and unbound, while the kernel drops a fifth of the datagrams in each direction: every lookup gets its
# answer, and the counts of the client are those of the kernel.
#   dns_lookup_loss.sh EXAMPLES
. "$(dirname "$0")/common.sh"
export PATH="$PATH:/usr/sbin:/sbin"
need unbound
need nft
need ip
lookups=100

namespace=dgram$$n
remove() {
  end_processes
  ip netns del "$namespace" 2>/dev/null || true
}
ip netns add "$namespace" 2>/dev/null || skip 'network namespaces cannot be made here'
trap remove EXIT
# The client's queries leave as trains. Here each is to be a packet of its own, so that it is counted and dropped alone.
ip -n "$namespace" link set lo gso_max_segs 1 || skip 'this ip cannot cut trains'
ip -n "$namespace" link set lo up
inside() { ip netns exec "$namespace" "$@"; }

# On loopback each datagram passes the input once, so one chain sees both directions.
if ! output=$(inside nft -f - 2>&1 <<'RULES'
table inet loss {
  counter asked {}
  counter asked_dropped {}
  counter replied {}
  counter replied_dropped {}
  chain arriving {
    type filter hook input priority 0
    udp dport 5300 counter name asked
    udp sport 5300 counter name replied
    udp dport 5300 numgen random mod 100 < 20 counter name asked_dropped drop
    udp sport 5300 numgen random mod 100 < 20 counter name replied_dropped drop
  }
}
RULES
); then
  if [[ $output == *'Could not process rule'* ]]; then skip "this kernel cannot drop at random: $output"; fi
  fail "$output"
fi
kernel() { # NAME: how many packets a counter has
  local text
  text=$(inside nft list counter inet loss "$1")
  [[ $text =~ packets\ ([0-9]+) ]] || fail "$text"
  echo "${BASH_REMATCH[1]}"
}

{
  printf '%s\n' 'server:' 'interface: 127.0.0.1@5300' 'username: ""' 'chroot: ""' 'pidfile: ""' 'use-syslog: no' \
    'do-daemonize: no' 'verbosity: 1' 'num-threads: 1' 'so-rcvbuf: 1m' 'do-ip6: no' 'module-config: "iterator"' \
    'local-zone: "test." static'
  for ((i = 1; i <= lookups; ++i)); do printf 'local-data: "host-%d.test. A 192.0.2.%d"\n' $i $i; done
  printf '%s\n' 'remote-control:' 'control-enable: no'
} >"$work/unbound.conf"
start server ip netns exec "$namespace" unbound -d -c "$work/unbound.conf"
for ((tries = 0; tries < 200; ++tries)); do
  if grep -q 'start of service' "$work/server.err"; then break; fi
  kill -0 "${process_id[server]}" 2>/dev/null || skip "unbound does not start here: $(cat "$work/server.err")"
  sleep 0.05
done

for ((i = 1; i <= lookups; ++i)); do echo "host-$i.test"; done >"$work/names"
for ((i = 1; i <= lookups; ++i)); do echo "host-$i.test 192.0.2.$i"; done | sort >"$work/expected"
inside "$examples/example_dns_lookup" 127.0.0.1 - --port 5300 --timeout 300 --retries 60 --counts yes \
  <"$work/names" >"$work/answers" || fail "$(cat "$work/answers")"
grep '^host-' "$work/answers" | sort | cmp - "$work/expected" || fail 'not all answers, or others'
counts=$(grep -v '^host-' "$work/answers")
[[ $counts =~ ([0-9]+)\ lookups,\ ([0-9]+)\ answered,\ ([0-9]+)\ repetitions ]] || fail "$counts"
begun=${BASH_REMATCH[1]} answered=${BASH_REMATCH[2]} repetitions=${BASH_REMATCH[3]}
[[ $counts =~ ([0-9]+)\ datagrams\ came:\ ([0-9]+)\ duplicates,\ 0\ late,\ 0\ strays,\ 0\ rejected ]] || fail "$counts"
came=${BASH_REMATCH[1]} duplicates=${BASH_REMATCH[2]}
asked=$(kernel asked) asked_dropped=$(kernel asked_dropped)
# unbound may still answer a repetition whose lookup has ended.
for ((tries = 0; tries < 200; ++tries)); do
  replied=$(kernel replied)
  if [ "$replied" -eq $((asked - asked_dropped)) ]; then break; fi
  sleep 0.05
done
replied_dropped=$(kernel replied_dropped)
echo "$counts"
echo "the kernel dropped $asked_dropped of $asked queries, and $replied_dropped of $replied answers"

equal() { # WHAT ACTUAL EXPECTED
  [ "$2" -eq "$3" ] || fail "$1: $2 instead of $3"
}
equal 'lookups' "$begun" "$lookups"
equal 'answered lookups' "$answered" "$lookups"
equal 'queries of the kernel' "$asked" $((begun + repetitions))
equal 'answers of unbound' "$replied" $((asked - asked_dropped))
equal 'datagrams of the client' "$came" $((answered + duplicates))
# A repetition follows a loss, or an answer that came late and is a duplicate then. The last of these may come after the end.
unseen=$((replied - replied_dropped - came))
[ "$unseen" -ge 0 ] || fail "the client counts $((-unseen)) datagrams more than the kernel"
equal 'repetitions' "$repetitions" $((asked_dropped + replied_dropped + duplicates + unseen))
[ "$repetitions" -gt 0 ] || fail 'nothing was lost'
