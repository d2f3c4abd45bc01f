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
# Streams, sockets, terminals, processes, workers: where the two runtimes of tsrun differ. The tests of pulls, TLS among them, call
# the code and not the program: they run under Node in any case.
tests_under_node=(cli.test exec.test run-streams run-terminal attach)
# What this script has made for itself.
results= own_policy= preparing=
trap '[[ -z $preparing ]] || kill "$preparing" 2>/dev/null; [[ -z $results ]] || rm -rf "$results"; [[ -z $own_policy ]] || as_root rm -f "$own_policy"' EXIT
# Firewalls that tsrun must live beside, who calls an OCI runtime, for the tests of tsrun-oci, and who builds images too. Where systemd runs
# their packages would start services, on somebody's machine; elsewhere only their programs are wanted.
if [[ ! -d /run/systemd/system ]]; then
  packages+=(ufw firewalld:firewalld dbus-daemon:dbus-daemon)
  packages+=(dockerd:docker.io containerd:containerd podman:podman conmon:conmon buildah:buildah)
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    own_policy=$policy
  fi
fi
install_node_modules &
modules=$!
install_packages "${packages[@]}"
wait "$modules"
npm run --silent build

# On an emulated processor the guest takes some minutes. Where it cannot be made it is left out, which a line says.
guest_lacks() {
  local place kilobytes
  [[ ${TSRUN_TEST_VM-} != 0 ]] || { echo 'TSRUN_TEST_VM=0 asks for that'; return; }
  ((EUID == 0)) || { echo 'it needs root'; return; }
  [[ $(dpkg --print-architecture 2>/dev/null) == amd64 ]] || { echo 'it needs an amd64 Debian'; return; }
  git -c safe.directory="$PWD" rev-parse --git-dir >/dev/null 2>&1 || { echo 'it needs a checkout of git'; return; }
  mkdir -p "$(cache_directory)"
  for place in "$(cache_directory)" /var/tmp; do
    kilobytes=$(df --output=avail "$place" | tail -1)
    ((kilobytes > 3 << 20)) || { echo "it needs 3 GB of disk in $place"; return; }
  done
  kilobytes=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
  ((kilobytes > 4 << 20)) || { echo 'it needs 4 GB of memory'; return; }
  # In subshells, since these end the shell that they fail in.
  (install_packages "${packages_of_guest[@]}") >&2 || { echo 'QEMU cannot be installed'; return; }
}
without_guest='other tests were asked for'
if (($# == 0)); then without_guest=$(guest_lacks); fi

results=$(mktemp -d "${TMPDIR:-/var/tmp}/tsrun-results.XXXXXX")

# Once per machine: the images that the registry of setup.ts serves, then the disks of the guest. They are built while nothing
# runs that needs them, or that looks for what others do on this machine.
prepare() {
  bash scripts/local-registry.sh build busybox test debian || return
  : >"$results/images"
  [[ -z $without_guest ]] || return 0
  local attempt
  for attempt in 1 2; do timeout --foreground 900 bash scripts/vm/build.sh >/dev/null && return; done
}
if ((EUID == 0)); then
  prepare &
  preparing=$!
fi

say 'checking: types, style, layers, size of native/, documentation'
checks=passed
npm run --silent check || checks=failed

vitest() {
  local results_of=$1
  shift
  npx vitest run --passWithNoTests --reporter=default --reporter=json --outputFile.json="$results/$results_of.json" \
    "$@" </dev/null
}

# run_tests NAME PROJECT [FILTER...] leaves the results in NAME.json. Up to six files with a failure get a second attempt,
# alone and once: on a machine that others load, one late process in thousands of tests says nothing about the code. What
# passed only then is named beside the closing line.
run_tests() {
  local name=$1 project=$2 again
  shift 2
  say "$name tests"
  vitest "$name" --project "$project" "$@" && return
  mapfile -t again < <(node scripts/sum-results.mjs --failed-files "$results/$name.json")
  ((${#again[@]} > 0 && ${#again[@]} <= 6)) || return 0
  say "once more: ${again[*]}"
  vitest "$name.again" --project "$project" "${again[@]}" || true
}

run_tests unit unit "$@"
if ((EUID == 0)); then
  if ! wait "$preparing"; then
    [[ -e $results/images ]] || die 'the images of the tests cannot be built'
    without_guest='its disks cannot be built'
  fi
  preparing=
  run_tests integration integration "$@"
  # The same under Node, as far as Node's own ways of doing things matter.
  [[ ! -x dist/tsrun || $# -gt 0 ]] || TSRUN_RUNTIME=node run_tests node integration "${tests_under_node[@]}"
else
  say 'integration tests need root: skipped'
fi
if (($#)); then
  [[ "$*" != *vm* ]] || run_tests guest vm "$@"
elif [[ -n $without_guest ]]; then
  say "tests in a guest are skipped: $without_guest"
else
  run_tests guest vm
fi
node scripts/sum-results.mjs "$checks" "$results"/*.json
