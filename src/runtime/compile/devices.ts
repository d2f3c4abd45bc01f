/** Device nodes and links in /dev (OCI runtime-spec config-linux.md, "Default Devices"). */
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
} from '../../linux/constants.ts';
import type { Load } from '../../program/program.ts';
import type { LinuxDevice } from '../spec.ts';
import { attach, type Context, makeTarget, openInRoot, quote } from './context.ts';
import { isBind } from './mounts.ts';
import { outsideGid, outsideUid } from './user-namespace.ts';

/** What every container has (major, minor from Documentation/admin-guide/devices.txt). */
const defaultDevices: readonly LinuxDevice[] = [
  { path: '/dev/null', type: 'c', major: 1, minor: 3, fileMode: 0o666 },
  { path: '/dev/zero', type: 'c', major: 1, minor: 5, fileMode: 0o666 },
  { path: '/dev/full', type: 'c', major: 1, minor: 7, fileMode: 0o666 },
  { path: '/dev/random', type: 'c', major: 1, minor: 8, fileMode: 0o666 },
  { path: '/dev/urandom', type: 'c', major: 1, minor: 9, fileMode: 0o666 },
  { path: '/dev/tty', type: 'c', major: 5, minor: 0, fileMode: 0o666 },
];

const links: readonly [string, string][] = [
  ['/proc/self/fd', 'fd'],
  ['/proc/self/fd/0', 'stdin'],
  ['/proc/self/fd/1', 'stdout'],
  ['/proc/self/fd/2', 'stderr'],
  ['/proc/kcore', 'core'],
  ['pts/ptmx', 'ptmx'],
];

/** Makes the nodes when the config mounts a filesystem of its own at /dev; a bind-mounted /dev is left alone. */
export function compileDevices(c: Context, host: ReadonlyMap<LinuxDevice, Load> = new Map()): void {
  const { b, spec, options } = c;
  b.enter('devices');
  const own = hasOwnDev(c);
  if (!own && (spec.linux?.devices ?? []).length === 0) return;
  if (options.handover !== undefined) makeTarget(c, '/dev', 'directory');
  const dev = openInRoot(c, '/dev', { title: 'open /dev of the container', flags: O_PATH | O_DIRECTORY });
  if (own) {
    for (const device of defaultDevices) place(c, device, dev, host);
    for (const [target, name] of links) {
      b.call('symlinkat', [b.text(target), dev, b.text(name)], {
        title: `link /dev/${name} to ${target}`,
        shell: `ln -s ${target} "$ROOT"/dev/${name}`,
        tolerate: ['EEXIST'],
      });
    }
  }
  for (const device of spec.linux?.devices ?? []) place(c, device, dev, host);
}

/** Copies the mounts of the host's device nodes, for a container that cannot make any; fifos it makes itself. */
export function openDevices(c: Context): Map<LinuxDevice, Load> {
  const { b, spec } = c;
  const trees = new Map<LinuxDevice, Load>();
  b.enter('devices');
  for (const device of [...(hasOwnDev(c) ? defaultDevices : []), ...(spec.linux?.devices ?? [])]) {
    if (device.type === 'p') continue;
    const tree = b.slot(`tree of ${device.path}`);
    b.call('open_tree', [AT_FDCWD, b.text(device.path), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], {
      title: `copy the mount of ${device.path}`,
      why: 'no device node can be made in a user namespace',
      store: tree,
      hints: { ENOENT: 'only devices that the host has there can be given to a container in a user namespace' },
    });
    trees.set(device, tree);
  }
  return trees;
}

function place(c: Context, device: LinuxDevice, dev: Load, host: ReadonlyMap<LinuxDevice, Load>): void {
  const tree = host.get(device);
  if (tree === undefined) node(c, device, dev);
  else attach(c, tree, makeTarget(c, device.path, 'file'), { title: `bind ${device.path} of the host` });
}

/** Without any mount there, the specification wants the nodes in the directory of the root. */
function hasOwnDev({ spec, options }: Context): boolean {
  const mounts = (spec.mounts ?? []).filter((mount) => mount.destination === '/dev');
  if (mounts.length === 0) return options.handover !== undefined;
  return mounts.some((mount) => !isBind(mount));
}

function node(c: Context, device: LinuxDevice, dev: ReturnType<typeof openInRoot>): void {
  const { b } = c;
  const parts = device.path.split('/').filter((part) => part !== '');
  const name = parts.at(-1) ?? '';
  const inDev = parts.length === 2 && parts[0] === 'dev';
  const parent = inDev ? dev : makeTarget(c, `/${parts.slice(0, -1).join('/')}`, 'directory');
  const type = device.type === 'b' ? S_IFBLK : device.type === 'p' ? S_IFIFO : S_IFCHR;
  const mode = device.fileMode ?? 0o666;
  const major = device.major ?? 0;
  const minor = device.minor ?? 0;
  b.call('mknodat', [parent, b.text(name), type | (mode & 0o7777), deviceNumber(major, minor)], {
    title: `device ${device.path} (${device.type} ${major}:${minor})`,
    shell: `mknod -m ${mode.toString(8)} "$ROOT"${quote(device.path)} ${device.type} ${major} ${minor}`,
    tolerate: ['EEXIST'],
    hints: { EPERM: 'device nodes cannot be made here (a user namespace, or a missing CAP_MKNOD)' },
  });
  if ((device.uid ?? 0) !== 0 || (device.gid ?? 0) !== 0) {
    const owner = [outsideUid(c, device.uid ?? 0), outsideGid(c, device.gid ?? 0)] as const;
    b.call('fchownat', [parent, b.text(name), ...owner, 0x100], {
      title: `give ${device.path} to ${device.uid ?? 0}:${device.gid ?? 0}`,
    });
  }
}

/** The kernel's 32-bit encoding of a device number (include/linux/kdev_t.h, new_encode_dev). */
export function deviceNumber(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
