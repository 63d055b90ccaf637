#!/usr/bin/env bash
# The chat server: members prove their addresses, hear each other, and learn of every end.
#   chat_server.sh EXAMPLES
. "$(dirname "$0")/common.sh"
need_dev_udp

hear() { # DESCRIPTOR: leaves the next datagram in $said
  # dd takes a whole datagram with one read; bash would take one byte of it and lose the rest.
  said=$(timeout 10 dd bs=65536 count=1 status=none <&"$1") || fail "nothing was said to $1"
}

hears() { # DESCRIPTOR TEXT: the next datagram is this
  hear "$1"
  [ "$said" = "$2" ] || fail "$1 hears '$said' and not '$2'"
}

joins() { # DESCRIPTOR NAME
  printf 'join %s\n' "$2" >&"$1"
  hear "$1"
  [[ $said =~ ^say\ ([0-9]{6})$ ]] || fail "'$said' is no number to repeat"
  printf '%s\n' "${BASH_REMATCH[1]}" >&"$1"
}

listen chat "$examples/example_chat_server" --idle 3000 --members 4
exec 3<>"/dev/udp/127.0.0.1/$port" 4<>"/dev/udp/127.0.0.1/$port" 5<>"/dev/udp/127.0.0.1/$port" \
  6<>"/dev/udp/127.0.0.1/$port"
joins 3 ann
expect chat '^ann joined$'
joins 4 bob
hears 3 'bob joined'
printf 'hello\n' >&3
hears 4 'ann: hello'
printf 'clear \033[2J' >&4 # what a terminal would obey
hears 3 'bob: clear \x1b[2J'

# A peer without the number is no member: no member hears it, and it hears no member.
printf 'join eve\n' >&5
hear 5
printf '1\n' >&5
hears 5 'wrong number'
printf 'join eve\n' >&5 # a new session: the one before has ended
hear 5
[[ $said == "say "* ]] || fail "eve hears '$said'"
joins 6 bob
hears 6 'this name is taken, empty, or too long'

printf 'leave\n' >&4
hears 3 'bob left'
joins 4 carl
hears 3 'carl joined'
# Carl goes on talking. Ann says nothing any more, and has to leave.
for ((tries = 0; tries < 100; ++tries)); do
  printf 'still here\n' >&4
  hear 3
  if [ "$said" != 'carl: still here' ]; then break; fi
  read -r -t 0.1 <> <(:) || true
done
[ "$said" = 'you were silent for too long' ] || fail "ann hears '$said' at the end"
hears 4 'ann left'
printf 'and now?\n' >&4
quits chat INT
hears 4 'the chat ends'
grep -qx 'the chat has ended, 0 members were cut off' "$work/chat.out" || fail 'no end of the chat'
[ "$(grep -c 'joined$' "$work/chat.out")" = 3 ] || fail 'not three members'

# One member more than there may be gets no answer.
listen small "$examples/example_chat_server" --members 1
exec 3<>"/dev/udp/127.0.0.1/$port" 4<>"/dev/udp/127.0.0.1/$port"
joins 3 ann
expect small '^ann joined$'
printf 'join bob\n' >&4
printf 'leave\n' >&3
expect small '^ann left$'
joins 4 bob
expect small '^bob joined$'
quits small TERM
hears 4 'the chat ends'
