#!/bin/bash
# initramfs.sh MODULES BUSYBOX FILE: an initial file system that loads what the guest's disks need, mounts them, and hands
# over to the init named by tsrun.init= on the kernel's command line. MODULES is /lib/modules/VERSION with modules.dep.
set -euo pipefail

modules=$1 busybox=$2 file=$3
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,dev,proc,sys,root,modules}
cp "$busybox" "$tree/bin/busybox"

# A module behind all that it depends on, once.
copied=()
copy_module() {
  local path=$1 dependency
  for dependency in $(sed -n "s|^$path: *||p" "$modules/modules.dep"); do copy_module "$dependency"; done
  local name=${path##*/}
  [[ -e $tree/modules/$name ]] && return
  cp "$modules/$path" "$tree/modules/$name"
  copied+=("$name")
}
for name in virtio_pci virtio_blk ext4 crc32c_generic; do
  path=$(grep -oE "^[^:]*/$name\.ko" "$modules/modules.dep") || continue # built in
  copy_module "$path"
done

{
  cat <<'INIT'
#!/bin/busybox sh
# Disks are known by their serial numbers, not by the order in which they are found.
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
INIT
  printf '$bb insmod /modules/%s\n' "${copied[@]}"
  cat <<'INIT'
disk() {
  for path in /sys/block/vd*; do
    [ "$($bb cat $path/serial)" = "$1" ] && echo /dev/${path##*/}
  done
}
for try in 1 2 3 4 5 6 7 8 9 10; do
  [ -n "$(disk root)" ] && [ -n "$(disk checkout)" ] && break
  $bb sleep 0.2
done
$bb mount -t ext4 "$(disk root)" /root
$bb mkdir -p /root/tsrun /root/opt/tools
$bb mount -t ext4 "$(disk checkout)" /root/tsrun
$bb mount -t ext4 "$(disk tools)" /root/opt/tools
$bb mount --bind /root/opt/tools/node_modules /root/tsrun/node_modules
init=/sbin/init
for word in $($bb cat /proc/cmdline); do
  case $word in tsrun.init=*) init=${word#tsrun.init=} ;; esac
done
# Where systemd is init, a unit runs the script.
if [ "$init" = /sbin/init ]; then
  units=/root/etc/systemd/system
  $bb cp /root/tsrun/test/vm/guest/tsrun-guest.service $units/
  $bb mkdir -p $units/multi-user.target.wants
  $bb ln -sf ../tsrun-guest.service $units/multi-user.target.wants/
fi
$bb umount /proc
$bb umount /sys
$bb umount /dev
exec $bb switch_root /root "$init"
INIT
} >"$tree/init"
chmod 755 "$tree/init"
ln -s busybox "$tree/bin/sh"
# Not compressed: an emulated processor would take longer to unpack it than to read it.
(cd "$tree" && find . | "$busybox" cpio -o -H newc -R 0:0) 2>/dev/null >"$file"
