#!/usr/bin/env bash
# The part of scripts/check-bare that mounts and installs; it is run in namespaces of its own, and only there.
#
#   scripts/lib/bare-system.sh SUITE DIRECTORY WHAT [ARGUMENTS]
#
# DIRECTORY has derived.sources or derived.list (see suite_entry), and a clone of the repository in dgram.
set -euo pipefail
if [ $# -lt 3 ] || [ $$ -ne 1 ]; then
  echo "${0##*/} is run by scripts/check-bare" >&2
  exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/lib/apt.sh
suite=$1 directory=$2 what=$3
shift 3
root=$directory/root

find_mirror() { # leaves it in $mirror, and in $keyring what it is signed with
  local line pattern
  mirror='' keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  if [ -e "$directory/derived.sources" ]; then
    while IFS= read -r line; do
      case "$line" in
        URIs:*) read -r mirror _ <<<"${line#*:}" ;;
        Signed-By:*/*) read -r keyring _ <<<"${line#*:}" ;;
      esac
    done <"$directory/derived.sources"
  else
    line=$(cat "$directory/derived.list")
    pattern='signed-by=(/[^] ,]+)'
    if [[ $line =~ $pattern ]]; then keyring=${BASH_REMATCH[1]}; fi
    pattern='^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+)'
    if [[ $line =~ $pattern ]]; then mirror=${BASH_REMATCH[2]}; fi
  fi
  [ -n "$mirror" ] || die "the source entry for $suite names no mirror"
}

make_system() {
  local options=(--variant=minbase "--keyring=$keyring") settings
  case "$mirror" in
    https:*) options+=(--include=ca-certificates) ;; # else apt itself could not reach it
  esac
  debootstrap "${options[@]}" "$suite" "$root" "$mirror" >"$directory/debootstrap.log" 2>&1 || {
    tail -n 20 "$directory/debootstrap.log" >&2
    die "debootstrap failed"
  }
  # How this machine reaches its mirror.
  if settings=$(apt-config dump Acquire | grep -E '^Acquire::(https?::|Check-)'); then
    printf '%s\n' "$settings" >"$root/etc/apt/apt.conf.d/90machine"
  fi
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  chroot "$root" useradd --create-home --shell /bin/bash tester
  mv "$directory/dgram" "$root/home/tester/dgram"
  chown -R --reference="$root/home/tester" "$root/home/tester/dgram"
}

in_system() { # USER COMMAND...: with nothing of this machine's environment but what concerns the build
  local user=$1 home=/root
  shift
  if [ "$user" != root ]; then home=/home/$user; fi
  chroot --userspec="$user:$user" "$root" /usr/bin/env -i HOME="$home" USER="$user" TERM=dumb \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    DGRAM_SCRIPT_START="$DGRAM_SCRIPT_START" \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    ${DGRAM_WARNINGS_AS_ERRORS:+DGRAM_WARNINGS_AS_ERRORS="$DGRAM_WARNINGS_AS_ERRORS"} \
    bash -c 'cd /home/tester/dgram && exec "$@"' bash "$@"
}

# Leaves in $advice the command that the script asks for.
advice_to_user() { # SCRIPT [ARGUMENTS]
  local said pattern='^error: .* as root: (apt-get update && apt-get install [^;|&]+)$'
  if said=$(in_system tester "$@" 2>&1 >/dev/null); then die "$* needs nothing in a bare $suite?"; fi
  if ! [[ $said != *$'\n'* && $said =~ $pattern ]]; then
    die "$* does not tell a user without root's rights in one line what to install, but says: '$said'"
  fi
  advice=${BASH_REMATCH[1]}
  echo "$*: $advice"
}

find_mirror
step "making a bare $suite"
make_system

step "asking each script as a user without root's rights"
for script in test bench check demo; do advice_to_user "scripts/$script"; done # keeps that of the demo

if [ "$what" = user ]; then
  step "installing what the user was told to"
  echo 'APT::Get::Assume-Yes "true";' >"$root/etc/apt/apt.conf.d/91yes"
  in_system root bash -c "$advice"
  step "the demo, run by the user"
  in_system tester scripts/demo "$@"
else
  chown -R root:root "$root/home/tester/dgram"
  case "$what" in
    build) in_system root scripts/test dev -N "$@" ;; # lists the tests
    *) in_system root "scripts/$what" "$@" ;;
  esac
fi

if grep -ls '\.ddi\b' "$root"/home/tester/dgram/build/*/build.ninja; then
  die "CMake looks for modules in these builds"
fi
