#!/bin/bash
# Makes a fresh Debian 12 ready for tsrun: Node 20 or later, a C compiler, and nothing else (`npm run demo` and `npm test`
# install what they need themselves). For Vagrant, for a machine by hand, and for the guest that tests boot. Runs as root.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
node_mirror=${NODE_MIRROR:-https://nodejs.org/dist}
node_release=${NODE_RELEASE:-latest-v22.x}

((EUID == 0)) || { echo 'provision.sh installs packages: run it as root' >&2; exit 1; }
apt-get update -qq
apt-get install -y -qq --no-install-recommends ca-certificates curl gcc git libc6-dev linux-libc-dev make sudo xz-utils >/dev/null

node_major() { node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

# Debian 12 itself has Node 18: the project's own build of Node, its checksum compared with the list of the release.
if (($(node_major) < 20)); then
  case $(dpkg --print-architecture) in
    amd64) architecture=x64 ;;
    arm64) architecture=arm64 ;;
    *) echo "nodejs.org has no build for $(dpkg --print-architecture)" >&2; exit 1 ;;
  esac
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  curl -fsSLO "$node_mirror/$node_release/SHASUMS256.txt"
  archive=$(grep -oE "node-v[0-9.]+-linux-$architecture\.tar\.xz" SHASUMS256.txt | head -1)
  curl -fsSLO "$node_mirror/$node_release/$archive"
  grep " $archive\$" SHASUMS256.txt | sha256sum --check --quiet
  tar -xJf "$archive" -C /usr/local --strip-components=1 --no-same-owner --exclude='*/CHANGELOG.md' --exclude='*/README.md' --exclude='*/LICENSE'
  cd /
fi

printf 'node %s, npm %s, %s\n' "$(node --version)" "$(npm --version)" "$(cc --version | head -1)"
