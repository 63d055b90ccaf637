#!/usr/bin/env bash
# Processes that talk to each other over multicast on the loopback interface.
#   multicast_chat.sh EXAMPLES
. "$(dirname "$0")/common.sh"
chat="$examples/example_multicast_chat"

join() { # NAME ARGUMENTS...: in a group and on a port of its own; leaves the endpoint in $group
  local name=$1
  shift
  start "$name" "$chat" --interface lo --name "$name" "$@"
  expect "$name" "^$name joined ([0-9.]+:[1-9][0-9]*) on lo\$"
  group=${BASH_REMATCH[1]}
}
hears() { # NAME TEXT
  expect "$1" "^[0-9.]+:[0-9]+  $2\$"
}

# Both directions: bob speaks to ann, who answers.
join ann --group 239.255.77.78:0 --answer 'hello, bob' --count 1 --timeout 40
join bob --group "$group" --say 'anybody there?' --count 1 --timeout 20
hears ann 'bob: anybody there\?'
ends 0 ann
hears bob 'ann: hello, bob'
ends 0 bob

# Two listen, and each hears every line of standard input once and in order.
join carl --group 239.255.77.79:0 --count 6 --timeout 40
join dora --group "$group" --count 6 --timeout 40
printf 'first\nsecond \033[1m\n\nlast, without an end' >"$work/input"
"$chat" --group "$group" --name eve --timeout 1 <"$work/input" >"$work/eve.out"
for listener in carl dora; do
  for text in 'first' 'second \\x1b\[1m' '' 'last, without an end'; do
    next_line "$listener" || fail "$listener ended"
    if [[ ! $line =~ ^[0-9.]+:[0-9]+\ \ eve:\ $text$ ]]; then fail "$listener heard '$line'"; fi
  done
done
printf 'from a\npipe\n' | "$chat" --group "$group" --name eve --timeout 1 >>"$work/eve.out"
for listener in carl dora; do
  hears "$listener" 'eve: from a'
  hears "$listener" 'eve: pipe'
  ends 0 "$listener"
done
if grep -q 'eve: ' "$work/eve.out"; then fail "eve heard herself"; fi

# There is no other member, and the program's own lines do not count.
run 1 "$chat" --group 239.255.77.80:0 --say 'hello?' --count 1 --timeout 1
