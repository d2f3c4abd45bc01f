#!/bin/bash
# Process 1 of the guest: what a distribution's init would do before anything else, then the script, then the end.
# One hierarchy of cgroups with all controllers, swap, a way out for the default route.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI=true
export TSRUN_CACHE=/opt/tools/cache
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
mount --make-rshared /
. /tsrun/test/vm/guest/machine.sh
exec </dev/null >/dev/console 2>&1
hostname guest
make_disks
make_uplink
run_script
send_results
# With -no-reboot this ends QEMU.
echo b >/proc/sysrq-trigger
sleep 60
