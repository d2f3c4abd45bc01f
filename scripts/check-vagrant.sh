#!/bin/bash
# `vagrant validate` with its state thrown away and no provider asked for.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
home=$(mktemp -d "${TMPDIR:-/tmp}/tsrun-vagrant.XXXXXX")
trap 'rm -rf "$home"' EXIT
VAGRANT_HOME=$home/home VAGRANT_DOTFILE_PATH=$home/dot VAGRANT_CHECKPOINT_DISABLE=1 vagrant validate --ignore-provider
