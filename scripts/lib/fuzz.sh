# shellcheck shell=bash
# Sourced by scripts/fuzz and scripts/test: prints what a search has covered.
#
#   fuzz_coverage NAME LOG   one line, from the last count that libFuzzer printed

fuzz_coverage() { # NAME LOG
  local last inputs
  last=$(grep -E '^#[0-9]+.*[[:space:]]cov: ' "$2" | tail -n 1 || true)
  inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$2" | tail -n 1)
  if [[ "$last" =~ cov:\ ([0-9]+)\ ft:\ ([0-9]+)\ corp:\ ([0-9]+) ]]; then
    printf '%-18s %10s executed   cov: %6s   ft: %6s   %5s inputs kept\n' \
      "$1" "${inputs:-?}" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}"
  else
    printf '%-18s no count in %s\n' "$1" "$2"
  fi
}
