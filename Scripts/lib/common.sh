# Shared by the scripts in this folder; sourced, never run. Works on Debian 12 or later and on Ubuntu, as root or with sudo.
# shellcheck shell=bash

# The root of the repository. Every script works from there, wherever it is called from.
# shellcheck disable=SC2034
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# What the package is built and tested with.
SWIFT_MINIMUM=6.3

say() { printf '== %s\n' "$*" >&2; }

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Runs a command as root.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root for: $*. Run it as root, or install sudo."
  fi
}

# ensure_packages WHAT=PACKAGE...: installs the package of each WHAT that is missing. WHAT is a command, or a file when it
# begins with a slash.
ensure_packages() {
  local entry what missing=()
  for entry in "$@"; do
    what="${entry%%=*}"
    case "$what" in
      /*) [ -e "$what" ] || missing+=("${entry#*=}") ;;
      *) command -v "$what" >/dev/null || [ -x "/usr/sbin/$what" ] || missing+=("${entry#*=}") ;;
    esac
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || die "please install: ${missing[*]} (there is no apt-get here to do it)."
  say "installing ${missing[*]}"
  # One at a time, where tests run side by side.
  (
    flock 9
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null >&2 ||
      die "apt-get update failed; please install by hand: ${missing[*]}."
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
      </dev/null >&2 || die "apt-get could not install: ${missing[*]}. Install them by hand."
  ) 9>>"${TMPDIR:-/tmp}/tutti-packages.$UID" || exit 1
}

# Makes sure that Swift is there and new enough, with what it needs to compile and link C, and the headers of the trait RDMA.
ensure_toolchain() {
  ensure_packages git=git ld=binutils gcc=gcc g++=g++ /usr/include/stdlib.h=libc6-dev \
    /usr/include/openssl/evp.h=libssl-dev /usr/include/yaml.h=libyaml-dev \
    /usr/include/infiniband/verbs.h=libibverbs-dev /usr/include/rdma/rdma_cma.h=librdmacm-dev \
    /etc/ssl/certs/ca-certificates.crt=ca-certificates
  command -v swift >/dev/null ||
    die "swift is not in PATH. Install Swift $SWIFT_MINIMUM or later (https://www.swift.org/install/linux/) and add its usr/bin to PATH."
  local version
  version="$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)"
  [ -n "$version" ] || die "'swift --version' does not run: $(swift --version 2>&1 | head -n 3)"
  if [ "$(printf '%s\n' "$SWIFT_MINIMUM" "$version" | sort -V | head -n 1)" != "$SWIFT_MINIMUM" ]; then
    die "swift $version is too old. Install Swift $SWIFT_MINIMUM or later: https://www.swift.org/install/linux/"
  fi
}

# How packages are built: this one, the examples and the benchmarks, all in one folder. SwiftPM finds what it has compiled
# there for one of them when it builds another, so Tutti is compiled once in each configuration. Not its plan of the last
# build, which it would follow for another package too. (Not .build, where whoever builds by hand would meet the plan of a
# script.)
# shellcheck disable=SC2034
BUILD_OPTIONS=(--scratch-path "$ROOT/.build-scripts" --disable-build-manifest-caching)
# In release, without debugging information: it takes a quarter of the time of a build, and nothing here reads it.
# shellcheck disable=SC2034
RELEASE_OPTIONS=("${BUILD_OPTIONS[@]}" --configuration release -debug-info-format none)

# Prints how patient limits of time must be, as a whole number: TUTTI_TEST_PATIENCE, or, as measured, how many times longer
# than they would alone two processes take that compute. 1 on a machine that has two processors for us.
patience() {
  if [ -n "${TUTTI_TEST_PATIENCE:-}" ]; then
    echo "$TUTTI_TEST_PATIENCE"
    return
  fi
  # Numbers with a point, whatever the locale.
  local TIMEFORMAT='%R %U' LC_ALL=C
  compute() { time for ((turn = 0; turn < 100000; turn++)); do :; done; } 2>&1
  # A third more than the least is noise.
  { compute & compute; wait; } | awk '{ times = $1 / ($2 > 0.01 ? $2 : 0.01); if (times > most) most = times }
    END { most = int(most + 0.65); print (most < 1 ? 1 : most > 20 ? 20 : most) }'
}

# Matrix products, for the trainer.
ensure_openblas() {
  ensure_packages pkg-config=pkg-config
  pkg-config --exists openblas || ensure_packages "/usr/lib/$(gcc -dumpmachine)/libopenblas.so=libopenblas-dev"
}

# Python 3.9 or later, with pip.
ensure_python() {
  ensure_packages python3=python3
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
    die "$(python3 --version) is too old. Install Python 3.9 or later, and put it first in PATH."
  python3 -c 'import pip' 2>/dev/null || ensure_packages /no/pip=python3-pip
}

# pip_install FOLDER PACKAGE...: installs into that folder, and touches nothing else. With pip of outside, since making an
# environment with pip in it takes longer than all the rest.
pip_install() {
  local folder="$1"
  shift
  python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action=ignore \
    --target "$folder" "$@" </dev/null >&2 || die "pip could not install $*. Is there a way to a package index?"
}

# Prints the comment block at the top of the calling script as its help.
print_help() { sed -n '2,/^$/{/^#/!q;s/^# \{0,1\}//;p}' "$0"; }
