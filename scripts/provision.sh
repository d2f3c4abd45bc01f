#!/bin/bash
# Makes a fresh Debian 12 ready for tsrun. For Vagrant, for a machine by hand, and for the guest that tests boot.
#
#   provision.sh [PART...]    build: a C compiler and make, for npm ci
#                             tests: what the integration tests call
#                             node:  Node 20 or later from nodejs.org, where there is none
#
# All of them without an argument. Runs as root.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

export DEBIAN_FRONTEND=noninteractive
node_mirror=${NODE_MIRROR:-https://nodejs.org/dist}
node_release=${NODE_RELEASE:-latest-v22.x}

((EUID == 0)) || die 'provision.sh installs packages: run it as root'

node_major() { node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

# Debian 12 itself has Node 18: the project's own build of Node, its checksum compared with the list of the release.
install_node() {
  (($(node_major) < 20)) || return 0
  local architecture work archive
  install_packages ca-certificates curl xz:xz-utils
  case $(dpkg --print-architecture) in
    amd64) architecture=x64 ;;
    arm64) architecture=arm64 ;;
    *) die "nodejs.org has no build for $(dpkg --print-architecture)" ;;
  esac
  work=$(mktemp -d)
  cd "$work"
  curl -fsSLO "$node_mirror/$node_release/SHASUMS256.txt"
  archive=$(grep -oE "node-v[0-9.]+-linux-$architecture\.tar\.xz" SHASUMS256.txt | head -1)
  curl -fsSLO "$node_mirror/$node_release/$archive"
  grep " $archive\$" SHASUMS256.txt | sha256sum --check --quiet
  tar -xJf "$archive" -C /usr/local --strip-components=1 --no-same-owner --exclude='*/CHANGELOG.md' --exclude='*/README.md' --exclude='*/LICENSE'
  cd /
  rm -rf "$work"
}

(($#)) || set -- build tests node
for part in "$@"; do
  case $part in
    build) install_packages ca-certificates git sudo && need_compiler ;;
    tests) install_packages "${packages_of_tests[@]}" ;;
    node) install_node ;;
    *) die "there is no part \"$part\"" 'build, tests or node' ;;
  esac
done
say "ready: node $(node --version 2>/dev/null || echo missing)"
