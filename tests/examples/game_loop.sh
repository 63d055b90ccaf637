#!/usr/bin/env bash
# The game server: players join, move and leave, strangers get no state, and silence ends a player. Then ten thousand
# players on a simulated network, where every run is the same.
#   game_loop.sh EXAMPLES
. "$(dirname "$0")/common.sh"
need_dev_udp

hears() { # DESCRIPTOR REGEX: a piece of the news that matches comes before 200 others have come
  local news
  for _ in {1..200}; do
    # dd takes a whole datagram with one read; bash would take one byte of it and lose the rest.
    news=$(timeout 10 dd bs=65536 count=1 status=none <&"$1") || fail "no news"
    if [[ $news =~ $2 ]]; then return; fi
  done
  fail "the last of many news was '$news' and not '$2'"
}

listen game "$examples/example_game_loop" --rate 20 --idle 3000 --players 2
exec 3<>"/dev/udp/127.0.0.1/$port" 4<>"/dev/udp/127.0.0.1/$port" 5<>"/dev/udp/127.0.0.1/$port"
printf 'move 1 1' >&5 # a stranger
printf 'join ann' >&3
expect game '^ann joined from 127\.0\.0\.1:[1-9][0-9]*$'
hears 3 '^tick [0-9]+: ann of 1 players at 0 0$'
printf 'join bob' >&4
expect game '^bob joined from 127\.0\.0\.1:[1-9][0-9]*$'
printf 'join carl' >&5 # one too many
printf 'move 7 -3' >&4
hears 4 '^tick [0-9]+: bob of 2 players at 7 -3$'
hears 3 '^tick [0-9]+: ann of 2 players at 0 0$'
printf 'leave' >&4
expect game '^bob left$'
printf 'move 5 5' >&3
hears 3 'ann of 1 players at 5 5$'
# Ann says nothing any more.
expect game '^ann left without a word$'
quits game TERM
grep -qx '2 players joined, 1 left, 1 without a word; 1 datagrams of strangers, 1 of players too many' \
  "$work/game.out" || fail "the report is wrong: $(tail -n 1 "$work/game.out")"

pattern='^10000 players joined, ([0-9]+) left, ([0-9]+) without a word; 0 datagrams of strangers, 0 of players too many
([0-9]+) datagrams were sent, ([0-9]+) were lost$'
run 0 "$examples/example_simulated_game" --rate 5
[[ $output =~ $pattern ]] || fail "ten thousand players do not come and go: $output"
if ((BASH_REMATCH[1] + BASH_REMATCH[2] != 10000 || BASH_REMATCH[1] < 4900 || BASH_REMATCH[1] > 5000)); then
  fail "players are missing, or half of them did not leave: $output"
fi
if ((BASH_REMATCH[3] < 100000 || BASH_REMATCH[4] < BASH_REMATCH[3] / 200)); then
  fail "there is too little news: $output"
fi
first=$output
run 0 "$examples/example_simulated_game" --rate 5
[ "$output" = "$first" ] || fail "a second run is another one: $output"
