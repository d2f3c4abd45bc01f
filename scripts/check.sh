#!/bin/bash
# `npm run check`: everything that can be said about the code without running it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

failed=()
check() { "$@" || failed+=("$*"); }
check npx tsc
check npx biome check --error-on-warnings .
check node scripts/check-layers.mjs
check node scripts/check-native.mjs
check node scripts/run-ts.mjs scripts/limits-page.ts --check
check node scripts/check-docs.mjs
for script in scripts/*.sh scripts/images/*.sh scripts/vm/*.sh test/vm/guest/*.sh .ci/run; do check bash -n "$script"; done
if command -v shellcheck >/dev/null; then check shellcheck -x scripts/*.sh scripts/images/*.sh scripts/vm/*.sh test/vm/guest/*.sh .ci/run; fi
# Vagrant writes a directory of state beside the Vagrantfile and in its home: both are thrown away.
if command -v vagrant >/dev/null; then check bash scripts/check-vagrant.sh; fi

((${#failed[@]} == 0)) && exit
printf 'check failed: %s\n' "${failed[@]}" >&2
exit 1
