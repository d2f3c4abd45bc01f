#!/bin/bash
# `npm run test:vm`: the tests that need a kernel and a hierarchy of cgroups of their own, in a guest. Installs QEMU.
# TSRUN_VM_ALL=1 runs all integration tests in it, TSRUN_VM_KEEP=FILE keeps the console, TSRUN_VM_ACCEL=tcg|kvm decides.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. scripts/lib.sh

need_node
need_compiler
install_packages mmdebstrap mkfs.ext4:e2fsprogs setpriv:util-linux qemu-system-x86_64:qemu-system-x86
need_node_modules
npx vitest run --project vm "$@"
