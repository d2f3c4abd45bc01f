#!/bin/bash
# tsrun beside systemd: what is true on the first boot ($BOOT is 1), and what is still true after a reboot. Writes TAP.
set -uo pipefail
exec >>/results/tests.tap
hierarchy=/sys/fs/cgroup

# check NAME COMMAND...: the command's output is shown when it fails.
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok boot $BOOT: $name"
  else
    printf 'not ok boot %s: %s\n' "$BOOT" "$name"
    printf '%s (exit %s)\n%s\n' "$*" "$?" "$output" | sed 's/^/  /'
  fi
  echo "boot $BOOT: $name" >/dev/ttyS0
}

# is FILE TEXT
is() { [[ $(<"$1") == "$2" ]] || { echo "$1: $(<"$1")"; false; }; }
says() { local wanted=$1 got; shift; got=$("$@") && [[ $got == "$wanted" ]] || { echo "$got"; false; }; }
cgroup_of() { echo "$hierarchy/tsrun/$(tsrun inspect --format '{{.Id}}' "$1")"; }
state_of() { tsrun inspect --format '{{.State.Status}}' "$1"; }

limits_hold() {
  is "$1/memory.max" 67108864 && is "$1/pids.max" 12 && is "$1/cpu.max" '50000 100000' && is "$1/cpuset.cpus" 1
}
controllers_are_on() {
  local name
  for name in cpu cpuset io memory pids; do grep -qw "$name" "$1" || { echo "no $name in $1: $(<"$1")"; return 1; }; done
}

if ((BOOT == 1)); then
  ln -s /tsrun/bin/tsrun /usr/local/bin/tsrun
  check 'systemd is process 1, and all cgroups are v2' \
    bash -c '[[ $(</proc/1/comm) == systemd && $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]]'
  root=$(mktemp -d)
  mkdir -p "$root/bin"
  cp /opt/tools/cache/busybox "$root/bin/busybox"
  for name in sh sleep cat; do ln -s busybox "$root/bin/$name"; done
  tar -C "$root" -cf /var/tmp/root.tar .
  check 'an image is imported' tsrun import /var/tmp/root.tar small
  run=(tsrun run -d --network none --stop-timeout 1)
  check 'containers start' "${run[@]}" --name kept --restart always --memory 64m --pids-limit 12 --cpus 0.5 --cpuset-cpus 1 small sleep 100000
  check 'and one without a restart policy' "${run[@]}" --name once small sleep 100000
  check 'and one that was stopped by hand' "${run[@]}" --name stopped --restart unless-stopped small sleep 100000
  tsrun stop -t 0 stopped >/dev/null
  cgroup=$(cgroup_of kept)
  check 'the limits are those that were asked for' limits_hold "$cgroup"
  check 'the process is in a cgroup outside of every unit' says "0::/tsrun/${cgroup##*/}" cat "/proc/$(tsrun inspect --format '{{.State.Pid}}' kept)/cgroup"

  systemctl daemon-reload
  systemctl daemon-reexec
  systemd-run --quiet --wait -p MemoryMax=100M -p CPUQuota=50% -p TasksMax=50 true
  check 'the limits hold after daemon-reload, daemon-reexec and units of systemd with limits' limits_hold "$cgroup"
  check 'its controllers are still handed down' controllers_are_on "$hierarchy/cgroup.subtree_control"
  check 'it runs' says running state_of kept

  systemd-run --quiet --wait --unit=starter "${run[@]}" --name left small sleep 100000
  # Without a monitor it would say "(unsupervised)".
  check 'a container outlives the service that started it, and so does its monitor' \
    bash -c '[[ $(tsrun ps --filter name=left --format "{{.Status}}") =~ ^Up\ [^()]*$ ]] || { tsrun ps; exit 1; }'
  systemctl reset-failed starter 2>/dev/null

  cp /tsrun/contrib/systemd/tsrun.service /etc/systemd/system/
  check 'the unit is enabled' systemctl enable --now tsrun.service
else
  for _ in $(seq 300); do [[ $(systemctl is-active tsrun.service) == activating ]] || break; sleep 1; done
  check 'the unit has started containers' says active systemctl is-active tsrun.service
  check 'the one that restarts is back' says running state_of kept
  cgroup=$(cgroup_of kept)
  check 'with its limits' limits_hold "$cgroup"
  check 'and processes in its cgroup' says "0::/tsrun/${cgroup##*/}" cat "/proc/$(tsrun inspect --format '{{.State.Pid}}' kept)/cgroup"
  check 'it answers' says hello tsrun exec kept sh -c 'echo hello'
  check 'the one without a policy is not' says exited state_of once
  check 'nor is the one that was stopped by hand' says exited state_of stopped
  tsrun rm -f kept once stopped left >/dev/null 2>&1
  check 'nothing is left of them' says /sys/fs/cgroup/tsrun/monitors bash -c 'find /sys/fs/cgroup/tsrun -mindepth 1 -type d'
fi
