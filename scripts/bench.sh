#!/bin/bash
# `npm run bench [-- NAME…] [--rounds N] [--json FILE] [--chart FILE]`: installs docker.io, podman, runc, crun and bubblewrap where it may
# and measures tsrun beside them. NAME: start exec build list machine memory fifty many unpack pull pull-heavy push push-heavy; all but many
# and the heavy ones without a name.
#
# Everything runs in a network and a mount namespace of its own: the bridges, addresses and firewall rules of all
# engines end with it, and the host's stay as they are. Runs as root.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

if [[ ${1-} == in-namespaces ]]; then
  shift
  name=$1
  # sysfs shows the network namespace in which it was mounted.
  held=$(mktemp -d)
  mount --rbind /sys/fs/cgroup "$held"
  mount -t sysfs sysfs /sys
  mount --rbind "$held" /sys/fs/cgroup
  umount -l "$held"
  rmdir "$held"
  # crun refuses to start where cgroup v2 stands beside v1.
  if [[ $name == machine && -d /sys/fs/cgroup/unified ]]; then umount -l /sys/fs/cgroup/unified; fi
  # A way out for the default route, as a host has it; it leads nowhere.
  ip link set lo up
  ip link add uplink type veth peer name nowhere
  ip address add 192.0.2.1/24 dev uplink
  ip link set nowhere up
  ip link set uplink up
  ip route add default via 192.0.2.2
  exec node scripts/run-ts.mjs bench/index.ts "$@"
fi

((EUID == 0)) || die 'the benchmarks start containers: run them as root'
names=() options=() json= chart=
while (($#)); do
  case $1 in
    --rounds) options+=("$1" "${2:?$1 needs a value}") && shift 2 ;;
    --json) json=$(realpath -m "${2:?$1 needs a value}") && shift 2 ;;
    --chart) chart=$(realpath -m "${2:?$1 needs a value}") && shift 2 ;;
    -*) die "unknown option \"$1\"" 'npm run bench [-- NAME…] [--rounds N] [--json FILE] [--chart FILE]' ;;
    *) names+=("$1") && shift ;;
  esac
done
((${#names[@]})) || names=(start exec build list machine memory fifty unpack pull push)

need_node
need_compiler
need_node_modules
# A peer that cannot be installed is left out of the comparison.
for peer in dockerd:docker.io podman:podman runc:runc crun:crun bwrap:bubblewrap skopeo:skopeo buildah:buildah; do
  (install_packages "$peer") || say "without ${peer#*:}"
done
install_packages ip:iproute2 iptables:iptables mkfs.ext4:e2fsprogs curl:curl
images=(busybox)
case " ${names[*]} " in *' pull '* | *' push '* | *' unpack '*) images+=(debian) ;; esac
case " ${names[*]} " in *' pull-heavy '* | *' push-heavy '*) images+=(heavy) ;; esac
bash scripts/local-registry.sh build "${images[@]}"

# The results of all benchmarks in one file: for the table at the end, and to be kept with --json.
if [[ -z $json ]]; then
  json=$(mktemp)
  rm "$json"
  trap 'rm -f "$json"' EXIT
fi
options+=(--json "$json")

failed=0
for name in "${names[@]}"; do
  unshare --net --mount --propagation private -- bash "$0" in-namespaces "$name" "${options[@]}" || failed=1
done
if [[ -e $json ]]; then node scripts/run-ts.mjs bench/report.ts "$json" ${chart:+"$chart"}; fi
exit "$failed"
