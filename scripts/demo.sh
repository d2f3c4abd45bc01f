#!/bin/bash
# `npm run demo`: from a clone to a shell in a Debian container. Installs what is missing, pulls `debian` from Docker Hub
# or, where that does not answer, from a registry on loopback that serves an image built from Debian's packages.
# On a terminal it is a shell; otherwise a few commands show what the container sees.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

# Docker Hub answers an anonymous request with 401 and the place that gives tokens; anything else is something in between.
docker_hub_answers() {
  node -e '
    fetch("https://registry-1.docker.io/v2/", { signal: AbortSignal.timeout(5000), redirect: "manual" })
      .then((answer) => process.exit(answer.status === 401 && /^bearer/i.test(answer.headers.get("www-authenticate") ?? "") ? 0 : 1))
      .catch(() => process.exit(1))'
}

[[ $(uname -s) == Linux ]] || die "tsrun needs Linux; this is $(uname -s)" 'use the virtual machine that Vagrantfile describes: vagrant up'
need_node
need_compiler
need_node_modules

export TSRUN_ROOT=${TSRUN_ROOT:-$PWD/rootfs-cache}
# An image that is in the store already needs no registry.
if ! as_root env TSRUN_ROOT="$TSRUN_ROOT" bin/tsrun inspect --type image debian >/dev/null 2>&1; then
  if [[ -z ${TSRUN_MIRRORS-} ]] && ! docker_hub_answers; then
    say 'Docker Hub does not answer: serving debian from a registry on loopback'
    registry=$(mktemp -d "${TMPDIR:-/var/tmp}/tsrun-registry.XXXXXX")
    trap 'as_root bash scripts/local-registry.sh stop "$registry"; as_root rm -rf "$registry"' EXIT
    address=$(as_root env TSRUN_CACHE="$(cache_directory)" bash scripts/local-registry.sh start "$registry" 0 debian)
    export TSRUN_MIRRORS=docker.io=http://$address
  fi
fi
tsrun() { as_root env TSRUN_ROOT="$TSRUN_ROOT" TSRUN_MIRRORS="${TSRUN_MIRRORS-}" bin/tsrun "$@"; }

if [[ -t 0 && -t 1 ]]; then
  say 'tsrun run --rm debian ash        (leave the shell with exit or Ctrl-D)'
  tsrun run --rm debian ash
else
  say 'tsrun run --rm debian ash -c …   (no terminal: a look around instead of a shell)'
  # shellcheck disable=SC2016 # for the container's shell
  tsrun run --rm debian ash -c '
    title() { printf "\n--- %s\n" "$1"; }
    title "the image: /etc/os-release";          sed -n 1,2p /etc/os-release
    title "who, on what host";                   id; hostname; uname -r
    title "the processes (pid, name)";           for p in /proc/[0-9]*; do printf "%s %s\n" "${p#/proc/}" "$(cat $p/comm 2>/dev/null)"; done
    title "the mounts";                          while read -r _ at type _; do printf "%-10s %s\n" "$type" "$at"; done </proc/mounts
    title "the addresses";                       awk "/32 host LOCAL/ { print address } { address = \$2 }" /proc/net/fib_trie | sort -u
    title "the limits and rights";               grep -E "^(Cap(Eff|Bnd)|Seccomp|NoNewPrivs):" /proc/self/status
    title "the cgroup";                          cat /proc/self/cgroup | tail -1
  '
fi
say 'more: bin/tsrun --help, README.md'
