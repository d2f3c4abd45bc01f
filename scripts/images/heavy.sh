#!/bin/bash
# Builds the layers of library/heavy: debian, six times changed. Each change is made in a chroot on an overlay; what the
# overlay's upper directory then holds is the layer, its whiteouts spelled as in an image (image-spec, layer.md).
#
#   scripts/images/heavy.sh DEBIAN.tar DIRECTORY     writes DIRECTORY/{0..6}.tar
set -euo pipefail
if [[ ${3-} != in-namespace ]]; then exec unshare --mount --propagation private bash "$0" "$1" "$2" in-namespace; fi
archive=$(readlink -f "$1")
cd "$2"

# shellcheck disable=SC2016 # expanded in the chroot
steps=(
  'apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates curl procps iproute2 && apt-get clean'
  'apt-get install -y -qq --no-install-recommends python3 python3-pip python3-numpy && apt-get clean'
  'apt-get install -y -qq --no-install-recommends nginx-light && apt-get clean'
  'apt-get install -y -qq --no-install-recommends nodejs npm && apt-get clean'
  'apt-get install -y -qq --no-install-recommends gcc libc6-dev perl && apt-get clean'
  'rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man /srv && mkdir /usr/share/man /srv
   for d in $(seq 100); do mkdir -p /srv/app/d$d; for f in $(seq 50); do echo "file $d $f" >/srv/app/d$d/f$f.txt; done; done'
)

# An upper directory becomes a layer: a character device 0:0 is a whiteout, the xattr `opaque` hides what is below.
spell_whiteouts() {
  local path
  find "$1" -type c -print0 | while IFS= read -r -d '' path; do
    [[ $(stat -c %t:%T "$path") == 0:0 ]] || continue
    rm "$path"
    : >"${path%/*}/.wh.${path##*/}"
  done
  find "$1" -type d -print0 | while IFS= read -r -d '' path; do
    [[ $(getfattr -h --only-values --absolute-names -n trusted.overlay.opaque "$path" 2>/dev/null) == y ]] || continue
    : >"$path/.wh..wh..opq"
  done
}

mkdir layer0
tar -xpf "$archive" -C layer0 --numeric-owner --xattrs --xattrs-include='*'
cp "$archive" 0.tar
lower=$PWD/layer0
n=0
for step in "${steps[@]}"; do
  n=$((n + 1))
  echo "heavy: layer $n of ${#steps[@]}" >&2
  mkdir "layer$n" "work$n" "merged$n"
  mount -t overlay overlay -o "lowerdir=$lower,upperdir=$PWD/layer$n,workdir=$PWD/work$n,redirect_dir=off,metacopy=off,index=off" "merged$n"
  cp /etc/resolv.conf "merged$n/etc/resolv.conf"
  mount -t proc proc "merged$n/proc"
  mount --rbind /dev "merged$n/dev"
  chroot "merged$n" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive ${http_proxy:+http_proxy="$http_proxy"} \
    sh -ec "$step" </dev/null >"log$n" 2>&1 || { tail -20 "log$n" >&2; exit 1; }
  umount -l "merged$n/dev" "merged$n/proc" "merged$n"
  lower=$PWD/layer$n:$lower
done
for n in $(seq "${#steps[@]}"); do
  spell_whiteouts "layer$n"
  tar --numeric-owner --sort=name --xattrs --xattrs-exclude='trusted.*' -C "layer$n" -cf "$n.tar" .
done
rm -rf layer* work* merged* log*
