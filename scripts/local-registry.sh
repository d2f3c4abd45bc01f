#!/bin/bash
# Images without Docker Hub: builds them from Debian's packages and serves them with Debian's docker-registry on loopback.
#
#   scripts/local-registry.sh build IMAGE...                  builds what the cache lacks (TSRUN_CACHE, /var/cache/tsrun)
#   scripts/local-registry.sh start DIRECTORY PORT IMAGE...   builds, starts a registry over DIRECTORY (PORT 0: a free one),
#                                                             pushes, prints its address
#   scripts/local-registry.sh stop DIRECTORY                  stops that registry
#
# IMAGE: debian    library/debian: one layer, minbase, 163 MB unpacked; it has bash and dash, and no ash
#        busybox   library/busybox: one static binary and its links
#        test      tsrun/layers, tsrun/config, tsrun/multi, tsrun/docker: what the integration tests look at
#        heavy     library/heavy: 7 layers with whiteouts, 50,000 entries; takes minutes (for benchmarks)
#
# Point tsrun at it: TSRUN_MIRRORS=docker.io=http://127.0.0.1:PORT. Needs root and `npm ci`.
set -euo pipefail
here=$PWD
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

cache=$(cache_directory)

typescript() { node scripts/run-ts.mjs scripts/local-registry.ts "$@"; }

# Whether the cache lacks an image.
lacks() { [[ ! -e $cache/images/$1-v1/index.json ]]; }

# A directory in the cache that is removed when this script ends.
work=
trap 'if [[ -n $work ]]; then rm -rf "$work"; fi' EXIT
new_work() {
  [[ -n $work ]] && rm -rf "$work"
  mkdir -p "$cache/work"
  work=$(mktemp -d "$cache/work/XXXXXX")
}

# The root filesystem of debian as an archive: kept, since heavy stands on it.
debian_archive() {
  local archive=$cache/debian-bookworm.tar
  if [[ ! -e $archive ]]; then
    install_packages mmdebstrap
    new_work
    say 'building debian from its packages (mmdebstrap, about a minute)'
    # shellcheck disable=SC2016 # $1 is for the hook
    SOURCE_DATE_EPOCH=1748736000 mmdebstrap --quiet --variant=minbase --mode=root \
      --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin' \
      bookworm "$work/debian.tar" >&2
    mv "$work/debian.tar" "$archive"
    rm -rf "$work" # this function runs in a subshell, without the trap
  fi
  printf '%s\n' "$archive"
}

build() {
  local image archive
  for image in "$@"; do
    lacks "$image" || continue
    case $image in
      debian)
        archive=$(debian_archive)
        typescript layout debian "$archive"
        ;;
      busybox | test) typescript layout "$image" "$(fetch_tool busybox busybox-static "$cache/tools")" ;;
      heavy)
        archive=$(debian_archive)
        install_packages getfattr:attr
        new_work
        bash scripts/images/heavy.sh "$archive" "$work"
        typescript layout heavy "$work"
        ;;
      *) die "there is no image \"$image\"" 'debian, busybox, test or heavy' ;;
    esac
  done
  fetch_tool docker-registry docker-registry "$cache/tools" >/dev/null
}

case ${1-} in
  build)
    shift
    build "$@"
    ;;
  start)
    directory=$(cd "$here" && realpath -m "${2:?DIRECTORY}") port=${3:?PORT}
    shift 3
    build "$@"
    mkdir -p "$directory"
    typescript serve "$directory" "$port" "$@"
    ;;
  stop)
    directory=$(cd "$here" && realpath -m "${2:?DIRECTORY}")
    pid=$(<"$directory/registry.pid")
    # Only the process that was started here, not one that got its pid later.
    if [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == *docker-registry* ]]; then kill "$pid"; fi
    rm -f "$directory/registry.pid"
    ;;
  *)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 2
    ;;
esac
