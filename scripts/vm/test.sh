#!/bin/bash
# `npm run test:vm`: the tests that need a kernel and a hierarchy of cgroups of their own, in a guest. Installs QEMU.
# TSRUN_VM_ALL=1 runs all integration tests in it, TSRUN_VM_KEEP=FILE keeps the consoles, TSRUN_VM_ACCEL=tcg|kvm decides.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. scripts/lib.sh

need_node
need_compiler
install_packages "${packages_of_guest[@]}"
need_node_modules
bash scripts/vm/build.sh >/dev/null
npx vitest run --project vm "$@"
