# shellcheck shell=bash
# Sourced by the scripts: finds out what a machine with apt lacks, and installs that and nothing else.
#
#   need_command PACKAGE COMMAND...   one of the commands is there, or PACKAGE is noted as missing
#   need_file PACKAGE GLOB...         the same for files
#   need_cxx, need_cmake, need_catch2 the same where a version counts
#   need_from_suite SUITE PACKAGE DIRECTORY
#                                     notes a package of another suite; it is unpacked below DIRECTORY, without
#                                     root, and changes nothing on the system
#   need_boost DIRECTORY              a Boost that is new enough
#   need_newest_asio DIRECTORY        the newest Asio that the distribution carries, unpacked
#   need_python                       Python with virtual environments
#   install_packages                  installs and unpacks what was noted; with nothing noted it does nothing
#   catch2_source DIRECTORY INCLUDE   the source of Catch2 as one file, unpacked below DIRECTORY
#   from_pypi DIRECTORY REQUIREMENT   a virtual environment with a package of PyPI's; after install_packages
#   usage_if_asked SCRIPT ARGUMENTS... prints the head of the script if --help is asked for
#
# Works on Debian 12 and 13: scripts/check-bare tries both. Other systems with apt may have packages that are new
# enough. On a system without apt the scripts name what is missing and stop.
#
# Nothing may be taken for granted here but bash, coreutils, sed and grep. A command that may be missing is asked
# for in a condition: in "x=$(missing | other)" it would end a script under "set -e -o pipefail" without a word.

dgram_missing_packages=()
dgram_missing_from_suites=() # "SUITE PACKAGE DIRECTORY" each
dgram_checks_after=()        # functions that must succeed once everything is installed
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

os_release() { # the value of a field of /etc/os-release; nothing if there is none
  if [ ! -r /etc/os-release ]; then return 0; fi
  (. /etc/os-release && eval "printf '%s' \"\${$1:-}\"")
}

processors() { # how many there are
  nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1
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

dgram_compiler=()
read -ra dgram_compiler <<<"${CXX:-c++}" # as CMake does, which takes arguments in CXX too

usable_cxx() { # does the compiler that CMake will take know enough of C++20?
  command -v "${dgram_compiler[0]:-}" >/dev/null 2>&1 || return 1
  "${dgram_compiler[@]}" -std=c++20 -x c++ -fsyntax-only - >/dev/null 2>&1 <<'CODE'
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

need_cxx() {
  if usable_cxx; then return 0; fi
  if [ -n "${CXX:-}" ]; then
    die "CXX is '$CXX', which is missing or too old: GCC 12 or Clang 16 is needed"
  fi
  note_missing g++
  dgram_checks_after+=(check_cxx)
}

check_cxx() {
  usable_cxx || die "c++ is too old in the packages of this system: set CXX to GCC 12, Clang 16 or newer"
}

usable_cmake() { # 3.25 or newer
  local text
  text=$(cmake --version 2>/dev/null) || return 1
  [[ $text =~ version\ ([0-9]+)\.([0-9]+) ]] || return 1
  [ "${BASH_REMATCH[1]}" -gt 3 ] || { [ "${BASH_REMATCH[1]}" -eq 3 ] && [ "${BASH_REMATCH[2]}" -ge 25 ]; }
}

need_cmake() {
  if usable_cmake; then return 0; fi
  note_missing cmake
  dgram_checks_after+=(check_cmake)
}

check_cmake() {
  usable_cmake || die "cmake is too old in the packages of this system: version 3.25 is needed"
}

need_catch2() { # version 3, on the system or unpacked below DIRECTORY ($1)
  local file
  for file in "$1"/usr/lib/cmake/Catch2 {/usr,/usr/local}/{lib,lib/*,share}/cmake/Catch2; do
    if grep -qs 'PACKAGE_VERSION "3\.' "$file/Catch2ConfigVersion.cmake"; then return 0; fi
  done
  case "$(os_release VERSION_CODENAME)" in
    bookworm) # has version 2 only; version 3 is in its backports
      need_from_suite bookworm-backports libcatch2-dev "$1"
      ;;
    *) note_missing catch2 ;;
  esac
}

# Root's rights as they are, or by sudo.
may_become_root() {
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# apt-get does not wait for another one, such as that of a leg of CI's beside this one.
alone_with_apt() { # COMMAND...
  local lock result=0
  mkdir -p build
  exec {lock}>build/apt.lock
  if command -v flock >/dev/null 2>&1; then flock "$lock"; fi
  as_root "$@" || result=$?
  exec {lock}>&-
  return "$result"
}

update_package_lists() {
  if [ "$dgram_apt_updated" = yes ]; then return 0; fi
  may_become_root || return 1
  alone_with_apt apt-get -q update || return 1
  dgram_apt_updated=yes
}

install_packages() {
  if [ ${#dgram_missing_packages[@]} -eq 0 ] && [ ${#dgram_missing_from_suites[@]} -eq 0 ]; then
    echo "nothing is missing"
    return 0
  fi
  local entry check
  if [ ${#dgram_missing_packages[@]} -gt 0 ]; then install_missing_packages; fi
  for entry in ${dgram_missing_from_suites[@]+"${dgram_missing_from_suites[@]}"}; do
    local suite package directory
    read -r suite package directory <<<"$entry"
    package_from_suite "$suite" "$package" "$directory"
  done
  dgram_missing_from_suites=()
  for check in ${dgram_checks_after[@]+"${dgram_checks_after[@]}"}; do "$check"; done
  dgram_checks_after=()
}

install_missing_packages() {
  local names="${dgram_missing_packages[*]}"
  local by_hand="apt-get update && apt-get install --no-install-recommends $names"
  command -v apt-get >/dev/null 2>&1 ||
    die "this system has no apt-get; install what these Debian packages hold: $names"
  may_become_root ||
    die "packages are missing, and there is neither root nor sudo to install them; as root: $by_hand"
  echo "installing: $names"
  update_package_lists || die "apt-get update failed; by hand: $by_hand"
  alone_with_apt env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
    "${dgram_missing_packages[@]}" || die "apt-get install failed; by hand: $by_hand"
  dgram_missing_packages=()
}

package_known() { # does the distribution have this package?
  if apt-cache show "$1" >/dev/null 2>&1; then return 0; fi
  # The lists of packages may never have been fetched.
  update_package_lists >/dev/null && apt-cache show "$1" >/dev/null 2>&1
}

has_word() { # WORD TEXT
  local word
  local -a words
  read -ra words <<<"$2"
  for word in ${words[@]+"${words[@]}"}; do
    if [ "$word" = "$1" ]; then return 0; fi
  done
  return 1
}

# The first paragraph of a .sources file that is for RELEASE, rewritten for another suite; false if there is none.
derive_sources() { # FILE RELEASE SUITE
  local line paragraph='' ours=no enabled=yes
  while IFS= read -r line || [ -n "$line" ]; do
    case "$line" in
      '')
        if [ "$ours$enabled" = yesyes ]; then break; fi
        paragraph='' ours=no enabled=yes
        continue
        ;;
      '#'*) continue ;;
      Enabled:*) if has_word no "${line#*:}"; then enabled=no; fi ;;
      Suites:*)
        if has_word "$2" "${line#*:}"; then ours=yes; fi
        line="Suites: $3"
        ;;
      Types:*) line="Types: deb" ;;
    esac
    paragraph+=$line$'\n'
  done <"$1"
  if [ "$ours$enabled" != yesyes ]; then return 1; fi
  printf '%s' "$paragraph"
}

# The same for the first line of a .list file: deb [options] URI suite components
derive_list() { # FILE RELEASE SUITE
  local line pattern="^[[:space:]]*(deb[[:space:]]+(\[[^]]*\][[:space:]]+)?[^[:space:]]+[[:space:]]+)$2([[:space:]].*)\$"
  while IFS= read -r line || [ -n "$line" ]; do
    if [[ $line =~ $pattern ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}$3${BASH_REMATCH[3]}"
      return 0
    fi
  done <"$1"
  return 1
}

# The machine's own source entry for its release, rewritten for another suite. Mirror and keys stay. DIRECTORY gets
# derived.sources or derived.list.
suite_entry() { # SUITE DIRECTORY
  local suite=$1 directory=$2 release file
  release=$(os_release VERSION_CODENAME)
  if [ -z "$release" ]; then return 1; fi
  for file in /etc/apt/sources.list.d/*.sources; do
    if [ -r "$file" ] && derive_sources "$file" "$release" "$suite" >"$directory/derived.sources"; then return 0; fi
  done
  rm -f "$directory/derived.sources"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    if [ -r "$file" ] && derive_list "$file" "$release" "$suite" >"$directory/derived.list"; then return 0; fi
  done
  rm -f "$directory/derived.list"
  return 1
}

need_from_suite() { # SUITE PACKAGE DIRECTORY
  if [ -e "$3/.unpacked-$2-$1" ]; then return 0; fi
  dgram_missing_from_suites+=("$*")
}

# apt-get with nothing but the source entries in WORK/parts. All of it is in a directory that apt's own unprivileged user
# cannot enter.
apt_get_apart() { # WORK ARGUMENTS...
  local work=$1 options
  shift
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  options=(
    -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/parts"
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
    -o Acquire::Languages=none)
  if [ "$(id -u)" -eq 0 ]; then options+=(-o APT::Sandbox::User=root); fi
  (cd "$work" && apt-get "${options[@]}" "$@")
}

# Fetches what the author of a package published, before the distribution changed it: FILE becomes the archive.
source_from_suite() { # SUITE PACKAGE FILE
  local suite=$1 package=$2 file=$3 work
  echo "fetching the source of $package from $suite"
  command -v apt-get >/dev/null 2>&1 || die "this system has no apt-get, which the source of $package comes with"
  work=$(mktemp -d)
  mkdir -p "$work/parts"
  if suite_entry "$suite" "$work/parts" &&
    sed -i -e 's/^Types:.*/Types: deb-src/' -e 's/^deb[[:space:]]/deb-src /' "$work"/parts/derived.* &&
    apt_get_apart "$work" update && apt_get_apart "$work" source --download-only "$package"; then
    mkdir -p "$(dirname "$file")"
    mv "$work/$package"_*.orig.tar.* "$file"
  fi
  rm -rf "$work"
  [ -e "$file" ] || die "could not get the source of $package from $suite"
}

# For builds to which the package's library cannot be linked. After install_packages.
catch2_source() { # DIRECTORY INCLUDE: sets "catch2_source", the one file of Catch2 to compile, whose headers are in INCLUDE
  local version suite
  version=$(grep -hoE '^#define CATCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+' "$2/catch2/catch_version_macros.hpp" |
    cut -d' ' -f3 | paste -sd.)
  catch2_source=$1/Catch2-$version/extras/catch_amalgamated.cpp
  if [ -e "$catch2_source" ]; then return 0; fi
  suite=$(os_release VERSION_CODENAME)
  if [ "$suite" = bookworm ]; then suite=bookworm-backports; fi
  source_from_suite "$suite" catch2 "$1/catch2.tar"
  tar -C "$1" -xf "$1/catch2.tar"
  rm "$1/catch2.tar"
  [ -e "$catch2_source" ] || die "the source of Catch2 is not that of version $version, which the headers have"
}

package_from_suite() { # SUITE PACKAGE DIRECTORY
  local suite=$1 package=$2 directory=$3 work
  echo "unpacking $package from $suite into ${directory#"$PWD"/}"
  command -v apt-get >/dev/null 2>&1 || die "this system has no apt-get, which $package comes with"
  work=$(mktemp -d)
  mkdir -p "$work/parts"
  suite_entry "$suite" "$work/parts" || {
    rm -rf "$work"
    die "found no source entry for $(os_release VERSION_CODENAME) in /etc/apt to derive $suite from"
  }
  {
    apt_get_apart "$work" update && apt_get_apart "$work" download "$package"
  } || { rm -rf "$work"; die "could not get $package from $suite"; }
  rm -rf "$directory"
  mkdir -p "$directory"
  dpkg -x "$work/$package"_*.deb "$directory" || { rm -rf "$work"; die "could not unpack $package"; }
  basename "$work/$package"_*.deb >"$directory/.unpacked-$package-$suite"
  rm -rf "$work"
}

need_newest_asio() { # DIRECTORY
  local suite
  case "$(os_release ID)" in
    debian) suite=sid ;;
    ubuntu) suite=devel ;;
    *) die "the newest Asio comes from a suite of Debian or Ubuntu, and this is neither" ;;
  esac
  need_from_suite "$suite" libasio-dev "$1"
}

need_boost() { # DIRECTORY: a Boost whose Asio is new enough, for the test of dgram on Boost.Asio
  case "$(os_release VERSION_CODENAME)" in
    bookworm) need_from_suite trixie libboost1.83-dev "$1" ;; # its own is of 2020
    *) need_file libboost-dev /usr/include/boost/asio/version.hpp ;;
  esac
}

need_python() {
  need_command python3 python3
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then note_missing python3-venv; fi
}

from_pypi() { # DIRECTORY REQUIREMENT: does nothing if it is there already
  if [ "$(cat "$1/holds" 2>/dev/null)" = "$2" ]; then return 0; fi
  rm -rf "$1"
  python3 -m venv "$1" || die "python3 -m venv $1 failed"
  "$1/bin/pip" install --quiet "$2" || die "could not install $2 with pip"
  printf '%s\n' "$2" >"$1/holds"
}

need_library_build() { # what every build of dgram needs
  need_cxx
  need_cmake
  need_command ninja-build ninja
  need_file libasio-dev /usr/include/asio.hpp /usr/local/include/asio.hpp
  need_file libfmt-dev {/usr,/usr/local}/{lib,lib/*}/cmake/fmt/fmt-config.cmake
}
