#!/bin/bash
# What the unit tsrun-guest.service runs at each boot: the script, then another boot or the end.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
. /tsrun/test/vm/guest/machine.sh
boots=/var/lib/tsrun-guest.boots
echo >>"$boots"
BOOT=$(wc -l <"$boots")
export BOOT
((BOOT > 1)) || make_disks
make_uplink
run_script
if ((BOOT == 1)); then
  systemctl --no-block reboot
else
  send_results
  systemctl --no-block poweroff
fi
