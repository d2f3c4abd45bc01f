/**
 * `explain run --format sh`: a script that runs the same container with util-linux, iproute2, nft and coreutils, and takes
 * everything away again. What is mounted and made in the root comes from the operations of the program, one by one; what
 * the machine does by system calls of its own (namespaces, pivot_root, identity) is put together here.
 */
import type { Explanation, StartPlan } from '../../container/explain/explanation.ts';
import { TsrunError } from '../../error.ts';
import { quote } from '../../runtime/compile/context.ts';
import { hostPart } from './shell-host.ts';

/** Throws `UNSUPPORTED` for what no command can do. */
export function renderScript(explanation: Explanation, commandLine: string): string {
  const { start } = explanation;
  if (start === undefined) {
    throw new TsrunError('UNSUPPORTED', `there is no script for "${explanation.command}", only for "run"`);
  }
  if (explanation.isStandIn) {
    throw new TsrunError('NOT_FOUND', `the image "${explanation.subject}" is not here: a script needs its files`, {
      hint: `tsrun pull ${explanation.subject}, or --pull=missing`,
    });
  }
  refuse(start);
  const host = hostPart(start);
  const { directory } = start;
  return `#!/bin/sh
# ${commandLine.replaceAll('\n', ' ')}
#
# The same container without tsrun, by util-linux, iproute2, nft and coreutils. Run it as root, on this machine as it is now:
# the address is the next one that is free. At its end, however it ends, everything that it made is taken away.
#
# What no command can do, and what this container lacks therefore:
# - rules for devices: bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE) and bpf(BPF_PROG_ATTACH);
# - the seccomp filter, where setpriv is older than util-linux 2.41 (--seccomp-filter).
# It has no monitor: no log, no restart policy, no health check; its descriptors 0, 1 and 2 are those of this script.
set -eu
DIR=$(mktemp -d ${quote(`${directory.replace(/\/containers\/[0-9a-f]{64}$/, '')}/script.XXXXXX`)})
export DIR
SETPRIV=$(command -v setpriv) NSENTER=$(command -v nsenter) ENV=$(command -v env)
export SETPRIV NSENTER ENV

undo() {
  set +e
  exec 8>&- 9>&-
${indent(host.flatMap(({ undo }) => undo).reverse())}
  rm -rf "$DIR"
}
trap undo EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The container's own directories: what it writes, where its root is put together, and the names it is to know.
mkdir "$DIR/upper" "$DIR/work" "$DIR/root" "$DIR/host"
${Object.entries(start.files)
  .map(([name, content]) => `printf %s ${quote(content)} >"$DIR/${name}"`)
  .join('\n')}
${filterFile(start)}
${host.flatMap(({ comment, commands }) => [`# ${comment}`, ...commands]).join('\n')}

# What the container's first process does until it changes its root.
cat >"$DIR/inside" <<'END_OF_INSIDE'
${inside(start)}
END_OF_INSIDE

# What it does then: its root is still the host's (another mount of it), its directory the new root.
cat >"$DIR/last" <<'END_OF_LAST'
${last(start)}
END_OF_LAST

# pivot_root(2) moves everybody whose root is the old one: it is called by a helper, when the first process has stepped aside.
mkfifo "$DIR/asks" "$DIR/answers"
exec 8<>"$DIR/asks" 9<>"$DIR/answers"
(
  read -r pid <&8
  if nsenter --target "$pid" --mount pivot_root "$DIR/root" "$DIR/root/dev/.old"; then echo done >&9; else echo failed >&9; fi
) &
helper=$!

# Into the cgroup and the network first: the cgroup namespace has that cgroup as its root, sysfs shows that network.
status=0
(
${indent(enter(start))}
) || status=$?
kill "$helper" 2>/dev/null || :
exit $status
`;
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join('\n');
}

function refuse({ record, spec, network, directory, mountPoint }: StartPlan): void {
  const cannot = (what: string, hint?: string): TsrunError =>
    new TsrunError('UNSUPPORTED', `no script can be made: ${what}`, { hint });
  const { options } = record;
  if (network.networks.length > 1) throw cannot('the container is on several networks');
  if (network.networks.some(({ network: { ipv6 } }) => ipv6 !== undefined)) throw cannot('the network has IPv6');
  const joined = (spec.linux?.namespaces ?? []).some(({ path }) => path !== undefined);
  if (joined || network.mode.startsWith('container:')) throw cannot('it shares namespaces with another container');
  const without = options.without?.find((wall) => wall === 'mount' || wall === 'pivot_root' || wall === 'fds');
  if (without !== undefined) throw cannot(`a script has the wall ${without} in any case`, 'leave --without out');
  if (options.userns !== undefined && options.userns !== 'host') {
    throw cannot(
      'the layers of a container in a user namespace are idmapped, which mount(8) does only as of util-linux 2.39',
    );
  }
  if (options.init) throw cannot('--init is tsrun’s own program', 'put an init such as tini into the image');
  for (const path of [directory, mountPoint]) {
    if (quote(path) !== path) throw cannot(`"${path}" has characters that a shell reads otherwise`);
  }
  const kept = spec.process?.capabilities?.bounding ?? [];
  if (!kept.includes('CAP_SYS_CHROOT')) {
    throw cannot(
      'the container gives up CAP_SYS_CHROOT',
      'setpriv gives capabilities up before nsenter changes the root, which needs this one; tsrun does it by single calls',
    );
  }
  if ((spec.process?.user.uid ?? 0) !== 0 && !kept.includes('CAP_SETUID')) {
    throw cannot('it gives up CAP_SETUID and runs as a user: nsenter could not become that user');
  }
}

function filterFile({ seccomp }: StartPlan): string {
  if (seccomp === undefined) return '';
  const lines =
    Buffer.from(seccomp)
      .toString('base64')
      .match(/.{1,120}/g) ?? [];
  return `base64 -d >"$DIR/seccomp" <<'END'\n${lines.join('\n')}\nEND\n`;
}

/** The way into the namespaces. */
function enter({ spec, network, cgroup }: StartPlan): string[] {
  const names: Readonly<Record<string, string>> = {
    mount: 'mount',
    pid: 'pid',
    ipc: 'ipc',
    uts: 'uts',
    cgroup: 'cgroup',
  };
  const types = (spec.linux?.namespaces ?? []).flatMap(({ type }) => names[type] ?? []);
  const own = network.networks.length > 0 || network.mode === 'none';
  return [
    ...(cgroup.path === undefined ? [] : [`echo 0 >${cgroup.path}/cgroup.procs`]),
    `exec ${own ? 'nsenter --net="/run/netns/$NS" ' : ''}unshare ${types.map((type) => `--${type}`).join(' ')} \\`,
    `  --propagation unchanged ${types.includes('pid') ? '--fork --kill-child ' : ''}sh "$DIR/inside"`,
  ];
}

/** Calls of the program that this script makes in another way. */
const otherwise = new Set([
  'clone3',
  'setns',
  'unshare',
  'fchdir',
  'pivot_root',
  'umount2',
  'chdir',
  'setsid',
  'umask',
]);
const elsewhere = new Set(['security', 'identity', 'exec', 'network']);

/** Mounts, devices and settings: the operations of the program that have a command, in their order. */
function inside({ program, spec, directory, mountPoint, network, record }: StartPlan): string {
  const child = program.operations.find(({ branch }) => branch !== undefined)?.branch?.at ?? 0;
  const bridge = network.networks.length > 0 || network.mode === 'none';
  const lines = [
    'set -eu',
    'umask 0',
    '# A link of the image could lead out of its root; tsrun resolves them inside (openat2, RESOLVE_IN_ROOT), no command does.',
    'safe() {',
    '  path=$ROOT rest=$1/',
    '  while [ -n "$rest" ]; do',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's, not ours
    '    path=$path/${rest%%/*} rest=${rest#*/}',
    '    if [ -L "$path" ]; then echo "$path is a symbolic link" >&2; exit 125; fi',
    '  done',
    '}',
    'ROOT=$DIR/root',
  ];
  let checked = false;
  for (const operation of program.operations.slice(child)) {
    if (operation.shell === '' || otherwise.has(operation.call)) continue;
    const isSetting = operation.phase === 'identity' && operation.shell.includes('/proc/sys/');
    if (elsewhere.has(operation.phase) && !isSetting && !(operation.phase === 'network' && !bridge)) continue;
    const shell = operation.shell
      .replaceAll('$(mktemp -d)', '$(mktemp -d "$DIR"/layer.XXXXXX)')
      .replaceAll(`${directory}/`, '"$DIR"/')
      .replaceAll(mountPoint, '"$DIR"/root');
    lines.push(`# ${operation.title.replaceAll(directory, '$DIR').replaceAll('\n', ' ')}`, shell);
    if (!checked && operation.phase === 'rootfs') {
      checked = true;
      for (const { destination } of spec.mounts ?? []) lines.push(`safe ${quote(destination.replace(/^\/+/, ''))}`);
    }
  }
  const cwd = record.process.cwd;
  if (cwd !== '/') lines.push(`mkdir -p "$ROOT"${quote(cwd)}`);
  return [
    ...lines,
    '# Another mount of the host, to stand on while the root is changed.',
    'mkdir "$ROOT"/dev/.old',
    'mount --rbind / "$DIR"/host',
    'exec "$NSENTER" --root="$DIR"/host --wd="$ROOT" sh "$DIR"/last',
  ].join('\n');
}

/** The change of the root, and what the process may do from then on. */
function last({ spec, record }: StartPlan): string {
  const { process } = spec;
  const { uid = 0, gid = 0, additionalGids = [] } = process?.user ?? {};
  const kept = (process?.capabilities?.bounding ?? []).map((name) => `+${name.slice(4).toLowerCase()}`);
  const environment = (process?.env ?? []).map(quote).join(' ');
  const limits = (process?.rlimits ?? []).map(({ type, soft, hard }) => {
    const text = (value: number): string => (value < 0 ? 'unlimited' : String(value));
    return `prlimit --pid $$ --${type.slice(7).toLowerCase()}=${text(soft)}:${text(hard)} 2>/dev/null || :`;
  });
  return [
    'set -eu',
    'read -r pid _ </proc/self/stat',
    ...(process?.oomScoreAdj === undefined ? [] : [`echo ${process.oomScoreAdj} >/proc/self/oom_score_adj`]),
    'echo "$pid" >&8',
    'read -r answer <&9',
    '[ "$answer" = done ] || exit 125',
    'exec 8>&- 9>&-',
    '# take the old root away',
    'umount --no-canonicalize --lazy dev/.old',
    'rmdir dev/.old',
    ...limits,
    'umask 022',
    'filter=',
    'if [ -e "$DIR"/seccomp ] && "$SETPRIV" --help | grep -q seccomp-filter; then filter="--seccomp-filter $DIR/seccomp"; fi',
    `exec "$ENV" -i ${environment} \\`,
    `  "$SETPRIV" --bounding-set=${['-all', ...kept].join(',')} --inh-caps=-all --regid=${gid} \\`,
    `  ${additionalGids.length === 0 ? '--clear-groups' : `--groups=${additionalGids.join(',')}`}${process?.noNewPrivileges ? ' --no-new-privs' : ''} $filter \\`,
    `  "$NSENTER" --root=. --wd=${quote(`.${record.process.cwd}`)}${uid === 0 ? '' : ` --setuid=${uid}`} -- ${(process?.args ?? []).map(quote).join(' ')}`,
  ].join('\n');
}
