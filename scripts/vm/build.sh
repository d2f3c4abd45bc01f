#!/bin/bash
# Builds what the guest of test/vm boots, once per machine, into cache_directory()/vm, and prints where it is, one
# `name=path` a line:
#
#   kernel, initrd   Debian 12's kernel for clouds (6.1) and a few modules of it with busybox: finds and mounts the disks
#   root             disk: Debian 12 by mmdebstrap, made ready by provision.sh as Vagrant's machine is; systemd is there,
#                    and runs when the kernel is told so
#   tools            disk: node of this machine, node_modules, the test images and their registry
#
# Each is made anew when what goes into it changes. Runs as root.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. scripts/lib.sh

((EUID == 0)) || die 'the disks of the guest hold files of root: run this as root'
cache=$(cache_directory)/vm
mkdir -p "$cache"
# One builder at a time; whoever waited finds everything done.
exec 9>"$cache/lock"
flock 9

work=
trap 'if [[ -n $work ]]; then rm -rf "$work"; fi' EXIT

key_of() { cat "$@" | sha256sum | cut -c1-16; }

# publish NAME KEY: what stands in $work becomes $cache/NAME-KEY; older ones of that name go when nothing has used them
# for a day.
publish() {
  mv -T "$work" "$cache/$1-$2"
  work=
  find "$cache" -maxdepth 1 -name "$1-*" ! -name "$1-$2" -mmin +1440 -exec rm -rf {} +
}

new_work() { work=$(mktemp -d "$cache/.work.XXXXXX"); }

# disk FILE MEGABYTES LABEL DIRECTORY: an ext4 filesystem of what is in the directory. No journal: nobody keeps it.
disk() { truncate -s "$2M" "$1" && mkfs.ext4 -q -F -O ^has_journal -m 0 -E lazy_itable_init=1,root_owner=0:0 -L "$3" -d "$4" "$1"; }

newest_kernel() {
  apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9.-]*-cloud-amd64\)$/\1/p'
}

# download DIRECTORY PACKAGE
download() { (cd "$1" && apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$2") >&2; }

base() {
  local key packages kernel version
  key=$(key_of scripts/vm/build.sh scripts/vm/initramfs.sh scripts/provision.sh scripts/lib.sh)
  base=$cache/base-$key
  if [[ ! -e $base ]]; then
    install_packages "${packages_of_guest[@]:0:2}"
    say 'building the guest: kernel and root filesystem (mmdebstrap, about a minute)'
    new_work
    mkdir "$work/deb"
    # Lists that are too old name a kernel that is gone, or none.
    kernel=$(newest_kernel)
    if [[ -z $kernel ]] || ! download "$work/deb" "$kernel"; then
      apt-get update -qq >&2
      kernel=$(newest_kernel)
      download "$work/deb" "$kernel"
    fi
    dpkg-deb -x "$work"/deb/*.deb "$work/kernel"
    version=${kernel#linux-image-}
    mv "$work/kernel/boot/vmlinuz-$version" "$work/vmlinuz"
    packages=("${packages_of_tests[@]#*:}" systemd systemd-sysv dbus)
    # Documentation stays out: copying it is a third of the time.
    # shellcheck disable=SC2016 # $1 is for the hooks
    mmdebstrap --quiet --variant=minbase --mode=root --format=directory \
      --dpkgopt=force-unsafe-io --aptopt='Acquire::Retries "3"' \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' \
      --include="$(IFS=,; printf '%s' "${packages[*]}")" \
      --customize-hook="copy-in $(command -v node) /usr/bin" \
      --customize-hook='mkdir -p "$1/usr/local/lib/tsrun"' \
      --customize-hook='copy-in scripts/provision.sh scripts/lib.sh /usr/local/lib/tsrun' \
      --customize-hook='chroot "$1" bash /usr/local/lib/tsrun/provision.sh tests node' \
      --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
      bookworm "$work/root" >&2
    cp -a "$work/kernel/lib/modules" "$work/root/usr/lib/modules"
    chroot "$work/root" depmod "$version"
    bash scripts/vm/initramfs.sh "$work/root/usr/lib/modules/$version" "$(fetch_tool busybox busybox-static "${cache%/vm}/tools")" "$work/initrd"
    disk "$work/root.img" 3072 tsrun-root "$work/root"
    rm -rf "$work/root" "$work/kernel" "$work/deb"
    publish base "$key"
  fi
  touch "$base"
  printf 'kernel=%s\ninitrd=%s\nroot=%s\n' "$base/vmlinuz" "$base/initrd" "$base/root.img"
}

tools() {
  local key images=(busybox test debian) registry
  key=$({ node --version; cat scripts/vm/build.sh package-lock.json "${cache%/vm}"/images/*/index.json; } | key_of -)
  tools=$cache/tools-$key
  if [[ ! -e $tools ]]; then
    say 'building the guest: a disk with node_modules and the test images'
    new_work
    mkdir -p "$work/files/cache/images" "$work/files/cache/tools/docker-registry/usr/bin"
    cp -a node_modules "$work/files/"
    # For checks and builds, which are made outside.
    rm -rf "$work"/files/node_modules/{@biomejs,@oven,@typescript,typescript,.cache,.vite,.vite-temp}
    for image in "${images[@]}"; do cp -a "${cache%/vm}/images/$image-v1" "$work/files/cache/images/"; done
    cp "$(fetch_tool busybox busybox-static "${cache%/vm}/tools")" "$work/files/cache/"
    registry=$(fetch_tool docker-registry docker-registry "${cache%/vm}/tools")
    cp "$registry" "$work/files/cache/tools/docker-registry/usr/bin/"
    disk "$work/tools.img" 512 tsrun-tools "$work/files"
    rm -rf "$work/files"
    publish tools "$key"
  fi
  touch "$tools"
  printf 'tools=%s\n' "$tools/tools.img"
}

bash scripts/local-registry.sh build busybox test debian >&2
base
tools
