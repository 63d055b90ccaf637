# shellcheck shell=bash
# Sourced by scripts that do one thing many times, as many at once as there are processors.
#
#   in_parallel FUNCTION ARGUMENT...  calls the function for each argument, in the background; sets "failed" to how many
#                                     calls have failed
#   try_rows DIRECTORY WHAT ROW...    calls "try NUMBER ROW" for each, whose output goes to DIRECTORY/NUMBER.log; prints the
#                                     rows that fail and what they said, and dies if there are any

in_parallel() { # FUNCTION ARGUMENT...
  local function=$1 argument running=()
  shift
  failed=0
  for argument; do
    if [ "${#running[@]}" -ge "$(processors)" ]; then
      wait "${running[0]}" || failed=$((failed + 1))
      running=("${running[@]:1}")
    fi
    "$function" "$argument" &
    running+=($!)
  done
  for argument in ${running[@]+"${running[@]}"}; do wait "$argument" || failed=$((failed + 1)); done
}

try_rows() { # DIRECTORY WHAT ROW...
  local directory=$1 what=$2
  shift 2
  local rows=("$@")
  attempt() { # NUMBER
    try "$1" "${rows[$1]}" >"$directory/$1.log" 2>&1 && return
    printf 'fails: %s\n' "${rows[$1]}"
    sed -n '1,20p' "$directory/$1.log"
    return 1
  }
  in_parallel attempt "${!rows[@]}"
  [ "$failed" -eq 0 ] || die "$failed of ${#rows[@]} $what fail"
  echo "all ${#rows[@]} $what pass"
}
