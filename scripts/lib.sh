# shellcheck shell=bash
# Shared by the scripts beside it: installs what is missing and nothing else.

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$1" >&2
  [[ -n ${2-} ]] && printf '  %s\n' "$2" >&2
  exit 1
}

# Runs a command as root.
as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    command -v sudo >/dev/null || die "\"$1\" needs root, and there is no sudo" 'run this as root'
    sudo "$@"
  fi
}

is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# install_packages WHAT... installs the Debian packages that are missing with one call of apt-get.
# WHAT is a package, or `command:package`, or `/file:package`: nothing is installed where the command or file is there.
install_packages() {
  local what test package missing=()
  for what in "$@"; do
    test=${what%%:*} package=${what#*:}
    case $what in
      /*:*) [[ -e $test ]] && continue ;;
      *:*) command -v "$test" >/dev/null && continue ;;
      *) is_installed "$package" && continue ;;
    esac
    missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "missing: ${missing[*]}" 'this is not Debian: install these by hand and try again'
  say "installing ${missing[*]}"
  local attempt options=(-o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
  # A machine that is thrown away need not wait for its disk after each file.
  [[ ${CI-} != true ]] || options+=(-o Dpkg::Options::=--force-unsafe-io)
  for attempt in 1 2; do
    # Lists that are too old name packages that are gone: fetched anew before the second attempt, or when there are none.
    if ((attempt == 2)) || ! apt-cache show "${missing[@]}" >/dev/null 2>&1; then
      as_root apt-get update -qq || true
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${options[@]}" "${missing[@]}" </dev/null >/dev/null && return 0
  done
  die "apt-get cannot install ${missing[*]}"
}

# fetch_tool COMMAND PACKAGE DIRECTORY prints the path of a program: of the installed package, or taken out of the Debian
# package into DIRECTORY. So a package's service is not started and nothing conflicts with what is installed.
fetch_tool() {
  local name=$1 package=$2 directory=$3 part
  if is_installed "$package"; then
    command -v "$name"
    return
  fi
  if [[ ! -d $directory/$package ]]; then
    say "fetching $name from Debian's package $package"
    part=$(mkdir -p "$directory" && mktemp -d "$directory/.$package.XXXXXX")
    mkdir "$part/debs" "$part/files"
    download() { (cd "$part/debs" && apt-get -qq -o APT::Sandbox::User=root download "$package") >&2; }
    if ! apt-cache show "$package" >/dev/null 2>&1 || ! download; then
      as_root apt-get update -qq >&2
      download || die "apt-get cannot download $package"
    fi
    dpkg-deb -x "$part"/debs/*.deb "$part/files"
    mv -T "$part/files" "$directory/$package" 2>/dev/null || true
    rm -rf "$part"
  fi
  find "$directory/$package" -type f -name "$name" -perm -u+x | grep -m1 .
}

need_node() {
  command -v node >/dev/null || die 'there is no node' 'tsrun needs Node 20 or later: see README.md, "Requirements"'
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  ((major >= 20)) || die "node $(node --version) is too old" 'tsrun needs Node 20 or later: see README.md, "Requirements"'
}

# What compiling native/ needs.
need_compiler() { install_packages cc:gcc make:make /usr/include/linux/mount.h:linux-libc-dev /usr/include/stdlib.h:libc6-dev; }

# What the integration tests call, on a host, in the guest of test/vm and in Vagrant's machine.
packages_of_tests=(
  nft:nftables ip:iproute2 iptables:iptables strace:strace tmux:tmux curl:curl openssl:openssl
  setfattr:attr setcap:libcap2-bin zstd:zstd xz:xz-utils bzip2:bzip2 umoci:umoci skopeo:skopeo mkfs.ext4:e2fsprogs
  python3:python3 ps:procps losetup:mount setpriv:util-linux modprobe:kmod
)

# What the guest of test/vm is made with, and booted.
packages_of_guest=(mmdebstrap mkfs.ext4:e2fsprogs setpriv:util-linux qemu-system-x86_64:qemu-system-x86)

# `npm ci` where node_modules is missing or belongs to another lock file.
install_node_modules() {
  local stamp=node_modules/.package-lock.sha256 sum attempt
  sum=$(sha256sum package-lock.json | cut -d' ' -f1)
  if [[ ! -e $stamp || $(<"$stamp") != "$sum" ]]; then
    say 'installing from the npm registry: npm ci'
    for attempt in 1 2; do
      npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null && break
      ((attempt == 1)) || die 'npm ci failed'
    done
    printf '%s\n' "$sum" >"$stamp"
  fi
}

# The same, and then what is stale in dist/.
need_node_modules() {
  install_node_modules
  node scripts/build.mjs --if-stale
}

# Images that tests, demo and benchmarks build once per machine.
cache_directory() { printf '%s\n' "${TSRUN_CACHE:-/var/cache/tsrun}"; }
