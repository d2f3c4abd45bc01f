#!/bin/bash
# `npm test`: from a clone to the whole test suite. Installs what is missing, builds, checks, runs the unit and the
# integration tests (as root; some also in a guest), and ends with one line that sums them up. Arguments go
# to vitest: npm test -- network
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

need_node
packages=(
  cc:gcc make:make /usr/include/linux/mount.h:linux-libc-dev /usr/include/stdlib.h:libc6-dev
  mmdebstrap vagrant:vagrant
  "${packages_of_tests[@]}"
)
# Firewalls that tsrun must live beside. Their packages start services where systemd runs: not on somebody's machine.
[[ -d /run/systemd/system ]] || packages+=(ufw firewalld:firewalld dbus-daemon:dbus-daemon)
install_packages "${packages[@]}"
# Who calls an OCI runtime, for the tests of tsrun-oci. Their services are not wanted, only their programs.
if [[ ! -d /run/systemd/system ]]; then
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    own_policy=$policy
    trap 'as_root rm -f "$own_policy"' EXIT
  fi
  install_packages dockerd:docker.io containerd:containerd podman:podman conmon:conmon
fi
need_node_modules
npm run --silent build

say 'checking: types, style, layers, size of native/, documentation'
checks=passed
npm run --silent check || checks=failed

# The images are built once per machine; setup.ts starts the registry that serves them.
if ((EUID == 0)); then bash scripts/local-registry.sh build busybox test debian; fi

projects=(unit integration)
# The guest of test/vm takes minutes under emulation: `npm run test:vm`, or here with TSRUN_TEST_VM=1.
if [[ -n ${TSRUN_TEST_VM-} ]]; then
  ((EUID == 0)) && [[ $(dpkg --print-architecture) == amd64 ]] ||
    die 'tests in a guest need root and an amd64 Debian' 'leave TSRUN_TEST_VM out'
  install_packages qemu-system-x86_64:qemu-system-x86
  projects+=(vm)
fi

results=$(mktemp -d "${TMPDIR:-/var/tmp}/tsrun-results.XXXXXX")
trap 'rm -rf "$results"; [[ -z ${own_policy-} ]] || as_root rm -f "$own_policy"' EXIT
failed=0
for project in "${projects[@]}"; do
  if [[ $project == integration ]] && ((EUID != 0)); then
    say 'integration tests need root: skipped'
    continue
  fi
  say "$project tests"
  npx vitest run --project "$project" --passWithNoTests --reporter=default --reporter=json \
    --outputFile.json="$results/$project.json" "$@" </dev/null || failed=1
done
node scripts/sum-results.mjs "$checks" "$results"/*.json || failed=1
exit "$failed"
