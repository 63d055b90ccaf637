# shellcheck shell=bash
# Sourced by the scripts: finds out what a machine with apt lacks, and installs that and nothing else.
#
#   need_command PACKAGE COMMAND...   one of the commands is there, or PACKAGE is noted as missing
#   need_file PACKAGE GLOB...         the same for files
#   need_cxx, need_cmake, need_catch2 the same where a version counts
#   install_packages                  installs what was noted; with nothing noted it does nothing
#   package_from_suite SUITE PACKAGE DIRECTORY
#                                     unpacks a package of another suite, without root, changing nothing
#                                     on the system
#   usage_if_asked SCRIPT ARGUMENTS... prints the head of the script where --help is asked for
#   need_boost DIRECTORY              a Boost that is new enough
#   need_newest_asio DIRECTORY        the newest Asio that the distribution carries, unpacked
#
# Works on Debian 12 and 13 and Ubuntu 24.04. On other systems it names what is missing and stops.

dgram_missing_packages=()
dgram_apt_updated=no

usage_if_asked() { # SCRIPT "$@": with --help prints the comment at the head of the script, and ends
  case " ${*:2} " in
    *" --help "* | *" -h "*)
      sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"
      exit 0
      ;;
  esac
}

# Scripts that this one starts go on counting from here.
export DGRAM_SCRIPT_START=${DGRAM_SCRIPT_START:-$EPOCHSECONDS}

step() { # a heading, with the time since the first script started
  local elapsed=$((EPOCHSECONDS - DGRAM_SCRIPT_START))
  printf '\n=== [%2d:%02d] %s\n' $((elapsed / 60)) $((elapsed % 60)) "$*"
}

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

os_release() { # the value of a field of /etc/os-release
  (. /etc/os-release 2>/dev/null && eval "printf '%s' \"\${$1:-}\"")
}

note_missing() {
  local package
  for package in "$@"; do
    case " ${dgram_missing_packages[*]:-} " in
      *" $package "*) ;;
      *) dgram_missing_packages+=("$package") ;;
    esac
  done
}

need_command() {
  local package=$1 command
  shift
  for command in "$@"; do
    if command -v "$command" >/dev/null 2>&1; then return 0; fi
  done
  note_missing "$package"
}

need_file() {
  local package=$1 pattern
  shift
  for pattern in "$@"; do
    if compgen -G "$pattern" >/dev/null; then return 0; fi
  done
  note_missing "$package"
}

compiles_cxx20() {
  command -v "$1" >/dev/null 2>&1 || return 1
  "$1" -std=c++20 -x c++ -fsyntax-only - >/dev/null 2>&1 <<'CODE'
#include <concepts>
#include <coroutine>
#include <span>
#if defined(__clang__)
#if __clang_major__ < 16
#error too old
#endif
#elif __GNUC__ < 12
#error too old
#endif
CODE
}

need_cxx() { # the compiler that CMake will take: $CXX where it is set, else c++
  if compiles_cxx20 "${CXX:-c++}"; then return 0; fi
  if command -v "${CXX:-c++}" >/dev/null 2>&1; then
    if [ -n "${CXX:-}" ]; then die "$CXX is too old: GCC 12 or Clang 16 is needed"; fi
  fi
  note_missing g++
}

need_cmake() { # 3.25 or newer; in every distribution that is named above
  local version
  version=$(cmake --version 2>/dev/null | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
  if [ -n "$version" ] && [ "$(printf '3.25\n%s\n' "$version" | sort -V | head -n 1)" = 3.25 ]; then
    return 0
  fi
  note_missing cmake
}

need_catch2() { # version 3, on the system or unpacked below DIRECTORY ($1)
  local file
  for file in "$1"/usr/lib/cmake/Catch2 {/usr,/usr/local}/{lib,lib/*,share}/cmake/Catch2; do
    if grep -qs 'PACKAGE_VERSION "3\.' "$file/Catch2ConfigVersion.cmake"; then return 0; fi
  done
  case "$(os_release VERSION_CODENAME)" in
    bookworm) # has version 2 only; version 3 is in its backports
      package_from_suite bookworm-backports libcatch2-dev "$1"
      ;;
    *) note_missing catch2 ;;
  esac
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    die "'$*' needs root; run it as root, or install sudo"
  fi
}

update_package_lists() {
  if [ "$dgram_apt_updated" = no ]; then
    as_root apt-get -q update || die "apt-get update failed"
    dgram_apt_updated=yes
  fi
}

install_packages() {
  if [ ${#dgram_missing_packages[@]} -eq 0 ]; then
    echo "nothing is missing"
    return 0
  fi
  echo "installing: ${dgram_missing_packages[*]}"
  command -v apt-get >/dev/null 2>&1 ||
    die "this system has no apt-get; install what these packages hold: ${dgram_missing_packages[*]}"
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
    die "neither root nor sudo here; install by hand: apt-get install ${dgram_missing_packages[*]}"
  fi
  update_package_lists
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
    "${dgram_missing_packages[@]}" || die "could not install: ${dgram_missing_packages[*]}"
  dgram_missing_packages=()
}

package_known() { # does the distribution have this package?
  update_package_lists >/dev/null
  apt-cache show "$1" >/dev/null 2>&1
}

# The machine's own source entry for its release, rewritten for another suite. Mirror and keys stay.
suite_entry() { # SUITE DIRECTORY
  local suite=$1 directory=$2 release file
  release=$(os_release VERSION_CODENAME)
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk -v release="$release" -v suite="$suite" '
      BEGIN { RS = ""; FS = "\n" }
      /(^|\n)Enabled:[ \t]*no/ { next }
      {
        ours = 0
        for (i = 1; i <= NF; i++)
          if ($i ~ /^Suites:/ && (" " substr($i, 8) " ") ~ ("[ \t]" release "[ \t]")) ours = 1
        if (!ours) next
        for (i = 1; i <= NF; i++) {
          if ($i ~ /^Suites:/) print "Suites: " suite
          else if ($i ~ /^Types:/) print "Types: deb"
          else print $i
        }
        exit
      }' "$file" >"$directory/derived.sources"
    if [ -s "$directory/derived.sources" ]; then return 0; fi
  done
  rm -f "$directory/derived.sources"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] || continue
    # deb [options] URI suite components
    sed -nE "s/^[[:space:]]*(deb[[:space:]]+(\[[^]]*\][[:space:]]+)?[^[:space:]]+[[:space:]]+)$release([[:space:]].*)/\1$suite\3/p" \
      "$file" | head -n 1 >"$directory/derived.list"
    if [ -s "$directory/derived.list" ]; then return 0; fi
  done
  rm -f "$directory/derived.list"
  return 1
}

package_from_suite() { # SUITE PACKAGE DIRECTORY
  local suite=$1 package=$2 directory=$3 stamp work
  stamp="$directory/.unpacked-$package-$suite"
  if [ -e "$stamp" ]; then return 0; fi
  echo "unpacking $package from $suite into ${directory#"$PWD"/}"
  command -v apt-get >/dev/null 2>&1 || die "this system has no apt-get, which $package comes with"
  work=$(mktemp -d)
  mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
  suite_entry "$suite" "$work/parts" ||
    die "found no source entry for $(os_release VERSION_CODENAME) in /etc/apt to derive $suite from"
  local options=(
    -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/parts"
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
    -o Acquire::Languages=none)
  # All of it is in a directory that apt's own unprivileged user cannot enter.
  if [ "$(id -u)" -eq 0 ]; then options+=(-o APT::Sandbox::User=root); fi
  (
    cd "$work" && apt-get "${options[@]}" update && apt-get "${options[@]}" download "$package"
  ) || { rm -rf "$work"; die "could not get $package from $suite"; }
  rm -rf "$directory"
  mkdir -p "$directory"
  dpkg -x "$work/$package"_*.deb "$directory" || { rm -rf "$work"; die "could not unpack $package"; }
  basename "$work/$package"_*.deb >"$stamp"
  rm -rf "$work"
}

need_newest_asio() { # DIRECTORY
  local suite
  case "$(os_release ID)" in
    debian) suite=sid ;;
    ubuntu) suite=devel ;;
    *) die "which suite of $(os_release ID) is its newest is not known here" ;;
  esac
  package_from_suite "$suite" libasio-dev "$1"
}

need_boost() { # DIRECTORY: a Boost whose Asio is new enough, for the test of dgram on Boost.Asio
  case "$(os_release VERSION_CODENAME)" in
    bookworm) package_from_suite trixie libboost1.83-dev "$1" ;; # its own is of 2020
    *) need_file libboost-dev /usr/include/boost/asio/version.hpp ;;
  esac
}

need_library_build() { # what every build of dgram needs
  need_cxx
  need_cmake
  need_command ninja-build ninja
  need_file libasio-dev /usr/include/asio.hpp /usr/local/include/asio.hpp
  need_file libfmt-dev {/usr,/usr/local}/{lib,lib/*}/cmake/fmt/fmt-config.cmake
}
