# shellcheck shell=bash
# Sourced by checks that compile the same program in many ways, as many at once as there are processors.
#
#   try_rows DIRECTORY WHAT ROW...   calls "try NUMBER ROW" for each, whose output goes to DIRECTORY/NUMBER.log;
#                                    prints the rows that fail and what they said, and dies if there are any

try_rows() { # DIRECTORY WHAT ROW...
  local directory=$1 what=$2 failures=0 number running=()
  shift 2
  local rows=("$@")
  settle() { # waits for the oldest that runs
    local oldest=${running[0]%% *} process=${running[0]##* }
    running=("${running[@]:1}")
    if wait "$process"; then return 0; fi
    failures=$((failures + 1))
    printf 'fails: %s\n' "${rows[oldest]}"
    sed -n '1,20p' "$directory/$oldest.log"
  }
  for number in "${!rows[@]}"; do
    if [ "${#running[@]}" -ge "$(processors)" ]; then settle; fi
    try "$number" "${rows[number]}" >"$directory/$number.log" 2>&1 &
    running+=("$number $!")
  done
  while [ "${#running[@]}" -gt 0 ]; do settle; done
  [ "$failures" -eq 0 ] || die "$failures of ${#rows[@]} $what fail"
  echo "all ${#rows[@]} $what pass"
}
