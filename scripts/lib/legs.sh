# shellcheck shell=bash
# Sourced by .ci/run and scripts/check-all: runs one leg after the other, and prints a table of them.
#
#   leg NAME COMMAND...   runs the command; whatever it returns, the next leg is run
#   leg_beside NAME COMMAND...
#                         the same, but the next legs are run at the same time; for one leg that often waits, and writes
#                         where no other one does
#   join_leg              waits for that leg, and prints what it has said
#   skip NAME REASON      a leg that cannot be run here
#   summary NAME          prints each leg with its time and result, and which tests failed or were unstable (scripts/test);
#                         false if a leg has failed. scripts/check quality finds the table in build/legs/NAME

leg_names=()
leg_results=()
leg_times=()
leg_failures=0
mkdir -p build/legs
legs_began=build/legs/began
touch "$legs_began"
rm -f build/legs/unstable

leg() { # NAME COMMAND...
  local name=$1 start=$SECONDS result
  shift
  printf '\n##### [%2d:%02d] leg: %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$name"
  result=0
  "$@" </dev/null || result=$?
  note_leg "$name" $((SECONDS - start)) "$result"
}

note_leg() { # NAME SECONDS STATUS
  leg_names+=("$1")
  leg_times+=("$2")
  if [ "$3" -eq 0 ]; then
    leg_results+=(passed)
  else
    leg_results+=("FAILED ($3)")
    leg_failures=$((leg_failures + 1))
  fi
}

leg_beside() { # NAME COMMAND...
  beside_name=$1
  shift
  rm -f build/legs/beside.result
  printf '\n##### [%2d:%02d] leg beside the next ones: %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$beside_name"
  # A process group of its own, which ends with this one, and whose scripts may trap signals.
  set -m
  (
    start=$SECONDS result=0
    "$@" </dev/null || result=$?
    echo "$((SECONDS - start)) $result" >build/legs/beside.result
  ) >build/legs/beside.log 2>&1 &
  beside_process=$!
  set +m
  trap 'kill -TERM -- "-$beside_process" 2>/dev/null' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

join_leg() {
  local took=0 result=1
  wait "$beside_process" || true
  trap - EXIT INT TERM HUP
  read -r took result <build/legs/beside.result || true
  printf '\n##### [%2d:%02d] leg: %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$beside_name"
  cat build/legs/beside.log
  note_leg "$beside_name" "$took" "$result"
}

skip() { # NAME REASON
  printf '\n##### leg skipped: %s: %s\n' "$1" "$2"
  leg_names+=("$1")
  leg_results+=("skipped: $2")
  leg_times+=(0)
}

# A record that keeps only the end of what was printed still says why.
failed_tests() { # LOG OF CTEST
  local name
  cut -d: -f2- "$1" | while read -r name; do
    printf '\n##### %s: failed: %s\n' "${1%/Testing/*}" "$name"
    awk -v name="$name" 'index($0, "/") && $0 ~ / Testing: / { said = substr($0, index($0, "Testing: ") + 9) == name }
      said' "${1%/*}/LastTest.log" | tail -n 40
  done
}

summary() { # NAME
  local i log
  if [ "$leg_failures" -gt 0 ]; then
    for log in build/*/Testing/Temporary/LastTestsFailed.log; do
      if [ -s "$log" ] && [ "$log" -nt "$legs_began" ]; then failed_tests "$log"; fi
    done
  fi
  for i in "${!leg_names[@]}"; do
    printf '%d\t%s\t%s\n' "${leg_times[i]}" "${leg_results[i]}" "${leg_names[i]}"
  done >"build/legs/$1"
  printf '\n##### summary\n'
  for i in "${!leg_names[@]}"; do
    printf '%3d:%02d  %-80s %s\n' $((leg_times[i] / 60)) $((leg_times[i] % 60)) "${leg_names[i]}" "${leg_results[i]}"
  done
  cat build/legs/unstable 2>/dev/null || true
  printf '%3d:%02d  in all, %d failed\n' $((SECONDS / 60)) $((SECONDS % 60)) "$leg_failures"
  [ "$leg_failures" -eq 0 ]
}
