# shellcheck shell=bash
# Sourced by scripts/check and tests/scripts/house_bounds.sh: the bounds that keep the headers small, and quick to compile.

# The most lines that each may have. A limit may only be lowered. Lower it when the lines get fewer.
house_header_lines=950   # of each header
house_facade_lines=650   # of dgram/emitter_socket.hpp
house_emitter_lines=3254 # of dgram/detail/emitter/ in all; the goal is 2300
# Of asio.hpp's time, and by how much a median may be above the bound before that counts: the noise of a machine that
# is otherwise idle.
house_noise=1.03
house_ratios=(
  "C1 dgram 1.5"
  "C1-compiled dgram-compiled 0.95"
  "C1-emitter-compiled emitter-compiled 1.3"
  "C1-drop-in drop-in 1.2"
)

house_broken=0

house_bound() { # TEXT VALUE LIMIT: prints one bound
  if [ "$2" -le "$3" ]; then
    printf '  %-7s %-48s %6d, at most %d\n' holds "$1" "$2" "$3"
  else
    printf '  %-7s %-48s %6d, at most %d\n' BROKEN "$1" "$2" "$3"
    house_broken=$((house_broken + 1))
  fi
}

house_lines() { # FILE...
  cat "$@" | wc -l
}

# Sets house_broken to the number of bounds that do not hold.
house_line_counts() {
  local file lines longest=0 longest_file=
  while IFS= read -r file; do
    lines=$(house_lines "$file")
    if [ "$lines" -gt "$longest" ]; then
      longest=$lines
      longest_file=$file
    fi
    # The longest one is printed in any case.
    if [ "$lines" -gt "$house_header_lines" ]; then
      house_bound "lines of ${file#include/}" "$lines" "$house_header_lines"
    fi
  done < <(find include -name '*.hpp' | sort)
  if [ "$longest" -le "$house_header_lines" ]; then
    house_bound "lines of the longest header, ${longest_file#include/dgram/}" "$longest" "$house_header_lines"
  fi
  house_bound "lines of the emitter's facade" "$(house_lines include/dgram/emitter_socket.hpp)" "$house_facade_lines"
  house_bound "lines of detail/emitter" "$(house_lines include/dgram/detail/emitter/*.hpp)" "$house_emitter_lines"
}

house_counts() {
  house_line_counts
  if cmake "-DINCLUDE_DIR=$PWD/include" -P tests/layers/check_layers.cmake; then
    printf '  %-7s the layers\n' holds
  else
    printf '  %-7s the layers, see above\n' BROKEN
    house_broken=$((house_broken + 1))
  fi
}

# The median over the rounds of the ratio to the time of asio.hpp, or of narrow includes, in the same round.
house_ratio() { # FILE PROGRAM OTHER
  awk -v program="$2" -v other="$3" '
    $1 == program { ours[++n] = $2 }
    $1 == other { theirs[++m] = $2 }
    END { for (i = 1; i <= n; ++i) print ours[i] / theirs[i] }' "$1" | sort -g |
    awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}

house_compile_times() { # FILE of measure_compile_times
  local bound label program limit ratio verdict
  for bound in "${house_ratios[@]}"; do
    read -r label program limit <<<"$bound"
    ratio=$(house_ratio "$1" "$program" asio)
    verdict=holds
    if awk "BEGIN { exit !($ratio > $limit * $house_noise) }"; then
      verdict=BROKEN
      house_broken=$((house_broken + 1))
    fi
    printf '  %-7s %-48s %6.2f, at most %s (of narrow includes %.2f)\n' \
      "$verdict" "$label: time of asio.hpp's" "$ratio" "$limit" "$(house_ratio "$1" "$program" asio-narrow)"
  done
  printf '  %-7s %-48s %6.2f (of narrow includes %.2f)\n' "" "C1-emitter: time of asio.hpp's" \
    "$(house_ratio "$1" emitter asio)" "$(house_ratio "$1" emitter asio-narrow)"
}
