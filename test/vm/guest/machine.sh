# shellcheck shell=bash
# What both profiles of the guest do: disks by serial number, a network, the script and its results.

disk() {
  local path
  for path in /sys/block/vd*; do
    if [[ $(<"$path/serial") == "$1" ]]; then echo "/dev/${path##*/}"; fi
  done
}

# Swap, and a disk of its own for limits of input and output, mounted at /mnt/io.
make_disks() {
  mkswap -q "$(disk swap)" && swapon "$(disk swap)"
  mkdir -p /mnt/io
  mkfs.ext4 -q -O ^has_journal "$(disk io)" && mount "$(disk io)" /mnt/io
}

# A default route, as a host has one; it leads nowhere.
make_uplink() {
  ip link set lo up
  ip link add uplink type veth peer name nowhere
  ip address add 192.0.2.1/24 dev uplink
  ip link set nowhere up
  ip link set uplink up
  ip route add default via 192.0.2.2
}

run_script() {
  mkdir -p /results
  cd /tsrun || return
  echo 'the guest is up' >/dev/console
  bash guest-script
  echo $? >/results/status
}

send_results() { tar -C /results -cf "$(disk results)" . && sync; }
