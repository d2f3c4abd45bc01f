#!/bin/bash
# Measures tsrun-oci, runc and crun by suites of the field that Debian's source packages bring: runc's bats and crun's python
# tests. It needs root, installs what the suites call, and prints how many cases each runtime passes. Many of runc's cases want
# systemd or cgroup v2 with controllers and are skipped without.
#   scripts/conformance.sh [bats] [crun]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

checkout=$PWD
work=$(mktemp -d /var/tmp/tsrun-conformance.XXXXXX)
trap 'rm -rf "$work"' EXIT
((EUID == 0)) || die 'the suites need root'
suites=("$@")
((${#suites[@]})) || suites=(bats crun)

install_packages runc:runc crun:crun dpkg-source:dpkg-dev
# TSRUN_CONFORMANCE_RUNTIMES="PATH …" measures others.
read -ra runtimes <<<"${TSRUN_CONFORMANCE_RUNTIMES:-$(command -v runc) $(command -v crun) $checkout/bin/tsrun-oci}"

# sources PACKAGE unpacks the source package into $work and prints the directory.
sources() {
  local lists=$work/sources.list
  if [[ ! -e $lists ]]; then
    sed -n 's/^deb \(.*\)/deb-src \1/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null >"$lists" || true
    # The format deb822 has both kinds in one entry.
    [[ -s $lists ]] || cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '
      /^URIs:/ { uri = $2 } /^Suites:/ { $1 = ""; suites = $0 }
      /^Components:/ { $1 = ""; n = split(suites, s, " "); for (i = 1; i <= n; i++) print "deb-src", uri, s[i] $0 }' >"$lists"
  fi
  local options=(-o "Dir::Etc::SourceList=$lists" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root)
  mkdir -p "$work/lists/partial"
  [[ -e $work/updated ]] || apt-get "${options[@]}" update -qq >&2
  touch "$work/updated"
  (cd "$work" && apt-get "${options[@]}" source -qq --download-only "$1" >&2 && dpkg-source --no-check -x "$1"_*.dsc "$1" >&2)
  printf '%s\n' "$work/$1"
}

# Passed, failed and skipped cases of a run in TAP.
score() { awk '/^ok.*# skip/ { s++; next } /^ok/ { p++ } /^not ok/ { f++ } END { printf "%d passed, %d failed, %d skipped\n", p, f, s }'; }

run_bats() {
  install_packages bats:bats jq:jq busybox:busybox-static
  local tree rootfs runtime
  tree=$(sources runc)
  # The suite's images are those of docker.io: a busybox of the machine takes their place.
  rootfs=$work/busybox
  mkdir -p "$rootfs"/{bin,dev,etc,tmp,root,home}
  cp "$(command -v busybox)" "$rootfs/bin/busybox"
  busybox --list | while read -r applet; do ln -sf busybox "$rootfs/bin/$applet"; done
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$rootfs/etc/passwd"
  tar -C "$rootfs" -cf "$work/busybox.tar" .
  for runtime in "${runtimes[@]}"; do
    printf '%-12s runc bats: ' "${runtime##*/}"
    (cd "$tree/tests/integration" && RUNC=$runtime BUSYBOX_IMAGE=$work/busybox.tar timeout 1800 bats --tap ./*.bats 2>"$work/bats.err") |
      tee "$work/${runtime##*/}.bats.tap" | score
    [[ ! -s $work/${runtime##*/}.bats.tap ]] && head -3 "$work/bats.err" >&2
  done
}

# runc does not know crun's own options, which the suite gives each time: a wrapper takes them away.
runc_like_crun() {
  local wrapper=$work/runc-like-crun
  cat >"$wrapper" <<END
#!/bin/bash
args=()
while ((\$#)); do
  case \$1 in
    --cgroup-manager | --config) shift 2 ;;
    *) args+=("\$1"); shift ;;
  esac
done
exec "$1" "\${args[@]}"
END
  chmod 755 "$wrapper"
  printf '%s\n' "$wrapper"
}

run_crun() {
  install_packages python3:python3 cc:gcc
  local tree runtime test called
  tree=$(sources crun)
  : >"$work/config.h" # what ./configure would write: nothing of it is needed
  cc -static -D_GNU_SOURCE -I"$work" -o "$work/init" "$tree/tests/init.c" || die "crun's tests/init.c does not compile"
  for runtime in "${runtimes[@]}"; do
    printf '%-12s crun tests: ' "${runtime##*/}"
    called=$runtime
    [[ ${runtime##*/} != runc ]] || called=$(runc_like_crun "$runtime")
    for test in "$tree"/tests/test_*.py; do
      (cd "$tree" && INIT=$work/init OCI_RUNTIME=$called timeout 300 python3 "$test" 2>/dev/null) || true
    done | tee "$work/${runtime##*/}.crun.tap" | score
  done
}

for suite in "${suites[@]}"; do
  case $suite in
    bats) run_bats ;;
    crun) run_crun ;;
    *) die "unknown suite: $suite" 'known are bats and crun' ;;
  esac
done
[[ -z ${TSRUN_CONFORMANCE_KEEP-} ]] || cp "$work"/*.tap "$TSRUN_CONFORMANCE_KEEP/"
