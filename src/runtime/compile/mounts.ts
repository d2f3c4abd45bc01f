/** The mounts of a container (OCI runtime-spec config.md, "Mounts"): new filesystems, bind mounts, masks. */
import { statSync } from 'node:fs';
import { TsrunError } from '../../error.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_RELATIME,
  MOUNT_ATTR_STRICTATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  O_CLOEXEC,
  O_RDONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../linux/constants.ts';
import type { Load } from '../../program/program.ts';
import type { Mount } from '../spec.ts';
import {
  attach,
  type Context,
  detachedMount,
  makeTarget,
  mountAttributes,
  openInRoot,
  quote,
  setAttributes,
} from './context.ts';
import { mapOwners, outsideParameter } from './user-namespace.ts';

const propagationWords: Readonly<Record<string, { flag: number; recursive: boolean }>> = {
  private: { flag: MS_PRIVATE, recursive: false },
  rprivate: { flag: MS_PRIVATE, recursive: true },
  slave: { flag: MS_SLAVE, recursive: false },
  rslave: { flag: MS_SLAVE, recursive: true },
  shared: { flag: MS_SHARED, recursive: false },
  rshared: { flag: MS_SHARED, recursive: true },
  unbindable: { flag: MS_UNBINDABLE, recursive: false },
  runbindable: { flag: MS_UNBINDABLE, recursive: true },
};

/** A bind mount whose source was copied before anything of the host's mount table was changed. */
export interface OpenedBind {
  mount: Mount;
  tree: Load;
  isDirectory: boolean;
}

export function isBind(mount: Mount): boolean {
  return mount.type === 'bind' || (mount.options ?? []).some((word) => word === 'bind' || word === 'rbind');
}

/**
 * Copies the sources of all bind mounts, first of all: while the mount table is still the host's copy, shared mounts
 * can be joined, and no later mount hides a source.
 */
export function openBinds(c: Context): OpenedBind[] {
  c.b.enter('mounts');
  return (c.spec.mounts ?? [])
    .filter((mount) => isBind(mount) || mountsOf(c).has(mount))
    .map((mount) => {
      const source = mount.source ?? '';
      const recursive = !(mount.options ?? []).includes('bind');
      const tree = c.b.slot(`tree of ${source}`);
      c.b.call(
        'open_tree',
        [AT_FDCWD, c.b.text(source), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0)],
        {
          title: `copy the mount of ${source}`,
          why: `it will be ${mount.destination} in the container`,
          store: tree,
          hints: { ENOENT: `"${source}" does not exist on the host` },
        },
      );
      const mapping = mountsOf(c).get(mount);
      if (mapping !== undefined) mapIds(c, mount, tree, mapping);
      else if (c.options.userns !== undefined && mount.options?.includes('idmap')) {
        mapOwners(c, tree, c.options.userns, mount.destination);
      }
      return { mount, tree, isDirectory: (c.options.isDirectory ?? isDirectory)(source) };
    });
}

function mountsOf(c: Context): ReadonlyMap<Mount, string> {
  return c.options.handover?.idmaps ?? none;
}
const none: ReadonlyMap<Mount, string> = new Map();

/** An idmapped mount (man 2 mount_setattr, "ID-mapped mounts"): files have other owners through it. */
function mapIds(c: Context, mount: Mount, tree: Load, path: string): void {
  const userns = c.b.slot('user namespace of a mount');
  c.b.call('openat', [AT_FDCWD, c.b.text(path), O_RDONLY | O_CLOEXEC, 0], {
    title: 'open the user namespace with the mapping',
    store: userns,
  });
  setAttributes(
    c,
    tree,
    { set: MOUNT_ATTR_IDMAP, userns, recursive: (mount.options ?? []).includes('ridmap') },
    {
      title: `map owners in ${mount.destination}`,
      why: 'the files keep their owners on the disk and have those of the mapping in the container (Linux 5.12)',
      hints: { EINVAL: 'the filesystem of the source cannot be idmapped on this kernel' },
    },
  );
  c.b.call('close', [userns], { title: 'close the user namespace' });
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new TsrunError('NOT_FOUND', `cannot mount "${path}": it does not exist on the host`, { cause });
  }
}

/** All mounts in the order of the config. */
export function compileMounts(c: Context, binds: readonly OpenedBind[]): void {
  c.b.enter('mounts');
  for (const mount of c.spec.mounts ?? []) {
    const bind = binds.find((candidate) => candidate.mount === mount);
    if (bind === undefined) newFilesystem(c, mount);
    else bindMount(c, bind);
  }
}

function newFilesystem(c: Context, mount: Mount): void {
  const type = mount.type === 'cgroup' ? 'cgroup2' : (mount.type ?? 'none');
  // Nothing lies below a new filesystem: of recursive words the plain ones remain.
  const words = (mount.options ?? []).map((word) => (recursiveWords[word] === undefined ? word : word.slice(1)));
  const { attributes, rest } = mountAttributes(words);
  const parameters = rest
    .filter((word) => propagationWords[word] === undefined && !ownWords.has(word))
    .map((word) => outsideParameter(c, word));
  const label = c.options.handover?.mountLabel;
  const isLabelled = ownLabels.has(type) || parameters.some((word) => word.startsWith('context='));
  if (label !== undefined && !isLabelled) parameters.push(`context=${label}`);
  // What is hidden in them later is looked up by their names: a link could lead somewhere else by then (CVE-2023-28642).
  const target = makeTarget(c, mount.destination, 'directory', type === 'proc' || type === 'sysfs');
  const isProc = type === 'proc' && mount.destination === '/proc';
  const later = c.options.handover !== undefined && type === 'tmpfs' && isLaidOn(c, mount) ? MOUNT_ATTR_RDONLY : 0;
  const fd = detachedMount(c, type, parameters, attributes & ~later, {
    title: `${type} for ${mount.destination}`,
    why: reasons[type] ?? '',
    source: mount.source ?? type,
    ...(isProc ? { mount: c.proc } : {}),
  });
  if ((attributes & later) !== 0) c.readOnlyLater.push({ mount: fd, path: mount.destination });
  attach(c, fd, target, {
    title: `attach ${type} at ${mount.destination}`,
    shell: `mount -t ${type} -o ${quote((mount.options ?? []).join(',') || 'defaults')} ${quote(mount.source ?? type)} "$ROOT"${quote(mount.destination)}`,
  });
  for (const word of rest) {
    const propagation = propagationWords[word];
    if (propagation === undefined) continue;
    setAttributes(c, fd, { propagation: propagation.flag, recursive: false }, { title: `make it ${word}` });
  }
}

/** Whether something is made in the new filesystem: devices, or targets of other mounts. */
function isLaidOn({ spec }: Context, { destination }: Mount): boolean {
  return destination === '/dev' || (spec.mounts ?? []).some((other) => other.destination.startsWith(`${destination}/`));
}

/** What was to be read-only and had to be written first. */
export function makeReadOnly(c: Context): void {
  c.b.enter('mounts');
  for (const { mount, path } of c.readOnlyLater) {
    setAttributes(c, mount, { set: MOUNT_ATTR_RDONLY, recursive: false }, { title: `make ${path} read-only` });
  }
}

/** Filesystems whose files are labelled by the policy of the host, one by one. */
const ownLabels = new Set(['proc', 'sysfs', 'mqueue', 'cgroup2']);

/** Words that no filesystem gets to see. */
const ownWords = new Set(['newinstance', 'tmpcopyup', 'copy-symlink', 'idmap', 'ridmap', 'bind', 'rbind', 'nofail']);

const reasons: Readonly<Record<string, string>> = {
  proc: 'processes of the own pid namespace only; the host is not visible through it',
  sysfs: 'the devices of the own network namespace; read-only, since it configures the machine',
  tmpfs: 'a filesystem in memory that ends with the container',
  devpts: 'terminals of its own: no number of the host can be opened',
  mqueue: 'POSIX message queues of the own ipc namespace',
  cgroup2: 'the own cgroup namespace shows this cgroup as the root; read-only, so that limits cannot be lifted',
};

function bindMount(c: Context, { mount, tree, isDirectory: directory }: OpenedBind): void {
  const words = (mount.options ?? []).filter((word) => !ownWords.has(word));
  const plain = words.filter((word) => recursiveWords[word] === undefined && propagationWords[word] === undefined);
  const { attributes } = mountAttributes(plain);
  const cleared = clearedAttributes(plain);
  if (attributes !== 0 || cleared !== 0) {
    const atime = (attributes & 0x70) !== 0 ? 0x70 : 0;
    setAttributes(
      c,
      tree,
      { set: attributes, clear: cleared | atime, recursive: false },
      {
        title: `make it ${plain.join(', ')}`,
      },
    );
  }
  for (const word of words) {
    const recursive = recursiveWords[word];
    if (recursive === undefined) continue;
    setAttributes(
      c,
      tree,
      { ...recursive, recursive: true },
      {
        title: `make it and all mounts below it ${word.slice(1)}`,
        why: 'mounts below the source would otherwise keep their own flags',
      },
    );
  }
  const propagation = words.map((word) => propagationWords[word]).find((known) => known !== undefined) ?? {
    flag: MS_PRIVATE,
    recursive: true,
  };
  setAttributes(
    c,
    tree,
    { propagation: propagation.flag, recursive: propagation.recursive },
    {
      title: 'set its propagation',
      why:
        propagation.flag === MS_SHARED
          ? 'asked for: mounts made on either side appear on the other'
          : 'mounts made in the container are not to appear on the host',
    },
  );
  const target = makeTarget(c, mount.destination, directory ? 'directory' : 'file');
  if (c.options.handover !== undefined) {
    replaceByCopy(c, tree, tree, 'mountinfo is to have the order of the configuration (Linux 6.15)');
  }
  attach(c, tree, target, {
    title: `bind ${mount.source ?? ''} at ${mount.destination}`,
    shell: bindCommand(mount, plain),
  });
}

/**
 * Replaces a mount that is attached nowhere by a copy of `source`. The kernel lists mounts by their age, and readers of mountinfo
 * take that for the order of the configuration: a copy of the copy is as young as it should be. Where it cannot be copied (before
 * Linux 6.15 what is attached nowhere) it stays as it is.
 */
function replaceByCopy(c: Context, tree: Load, source: Load, why: string): void {
  const { b } = c;
  const again = b.slot('younger copy');
  b.call('open_tree', [source, b.text(''), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE], {
    title: 'copy the mount again',
    why,
    store: again,
    tolerate: ['EINVAL', 'EPERM'],
  });
  b.call('dup3', [again, tree, O_CLOEXEC], { title: 'take the younger copy', tolerate: ['EBADF'] });
  b.call('close', [again], { title: 'close its other descriptor', tolerate: ['EBADF'] });
}

/** mount(8) binds first and restricts then; what holds for mounts below it too it knows since util-linux 2.39 only. */
function bindCommand({ source = '', destination, options: words = [] }: Mount, plain: readonly string[]): string {
  const target = `"$ROOT"${quote(destination)}`;
  const flags = [...plain, ...words.flatMap((word) => (recursiveWords[word] === undefined ? [] : word.slice(1)))];
  const propagation = words.find((word) => propagationWords[word] !== undefined) ?? 'rprivate';
  return [
    `mount --${words.includes('bind') ? 'bind' : 'rbind'} ${quote(source)} ${target}`,
    ...(flags.length === 0 ? [] : [`mount -o remount,bind,${flags.join(',')} ${target}`]),
    `mount --make-${propagation} ${target}`,
  ].join(' && ');
}

const recursiveWords: Readonly<Record<string, { set?: number; clear?: number }>> = {
  rro: { set: MOUNT_ATTR_RDONLY },
  rrw: { clear: MOUNT_ATTR_RDONLY },
  rnosuid: { set: MOUNT_ATTR_NOSUID },
  rsuid: { clear: MOUNT_ATTR_NOSUID },
  rnodev: { set: MOUNT_ATTR_NODEV },
  rdev: { clear: MOUNT_ATTR_NODEV },
  rnoexec: { set: MOUNT_ATTR_NOEXEC },
  rexec: { clear: MOUNT_ATTR_NOEXEC },
  rnosymfollow: { set: MOUNT_ATTR_NOSYMFOLLOW },
  rsymfollow: { clear: MOUNT_ATTR_NOSYMFOLLOW },
  rnodiratime: { set: MOUNT_ATTR_NODIRATIME },
  rdiratime: { clear: MOUNT_ATTR_NODIRATIME },
  rnoatime: { set: MOUNT_ATTR_NOATIME, clear: MOUNT_ATTR__ATIME },
  ratime: { set: MOUNT_ATTR_RELATIME, clear: MOUNT_ATTR__ATIME },
  rrelatime: { set: MOUNT_ATTR_RELATIME, clear: MOUNT_ATTR__ATIME },
  rstrictatime: { set: MOUNT_ATTR_STRICTATIME, clear: MOUNT_ATTR__ATIME },
};

function clearedAttributes(words: readonly string[]): number {
  let cleared = 0;
  if (words.includes('rw')) cleared |= MOUNT_ATTR_RDONLY;
  if (words.includes('suid')) cleared |= MOUNT_ATTR_NOSUID;
  if (words.includes('dev')) cleared |= MOUNT_ATTR_NODEV;
  if (words.includes('exec')) cleared |= MOUNT_ATTR_NOEXEC;
  if (words.includes('symfollow')) cleared |= MOUNT_ATTR_NOSYMFOLLOW;
  if (words.includes('diratime')) cleared |= MOUNT_ATTR_NODIRATIME;
  if (words.some((word) => /^(atime|relatime)$/.test(word))) cleared |= MOUNT_ATTR__ATIME;
  return cleared;
}

/** Paths that nobody in the container may read: files under the host's /dev/null, directories under an empty tmpfs. */
export function compileMasks(c: Context): void {
  const { b, spec } = c;
  b.enter('mounts');
  let shared: Load | undefined;
  for (const path of spec.linux?.maskedPaths ?? []) {
    if (isKernelPath(path) && !c.options.exists(path)) continue;
    const target = openInRoot(c, path, {
      title: `open ${path}, to be hidden`,
      tolerate: ['ENOENT', 'ENOTDIR'],
    });
    const directory = isKernelPath(path) ? (c.options.isDirectory ?? isDirectory)(path) : undefined;
    if (directory !== true) {
      const tree = b.slot('null device');
      b.call('open_tree', [AT_FDCWD, b.text('/dev/null'), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], {
        title: 'copy the mount of the null device',
        store: tree,
      });
      setAttributes(
        c,
        tree,
        { set: MOUNT_ATTR_RDONLY, recursive: false },
        {
          title: 'make the copy read-only',
          why: "it is the host's own node: root of the container could change its mode and owner for the whole machine",
        },
      );
      attach(c, tree, target, {
        title: `hide the file ${path}`,
        why: 'it tells about the host or changes it',
        shell: `mount --bind /dev/null "$ROOT"${quote(path)}; mount -o remount,bind,ro "$ROOT"${quote(path)}`,
        tolerate: ['EBADF', directory === undefined ? 'EINVAL' : 'ENOENT'],
      });
    }
    if (directory !== false) {
      const empty = detachedMount(
        c,
        'tmpfs',
        ['size=4k', 'nr_inodes=1'],
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        {
          title: `an empty directory for ${path}`,
        },
      );
      if (c.options.handover !== undefined) {
        if (shared !== undefined) replaceByCopy(c, empty, shared, 'one empty filesystem serves all hidden directories');
        shared ??= empty;
      }
      attach(c, empty, target, {
        title: `hide the directory ${path}`,
        why: 'it tells about the host or changes it',
        shell: `mount -t tmpfs -o ro,nosuid,nodev,noexec,size=4k,nr_inodes=1 tmpfs "$ROOT"${quote(path)}`,
        tolerate: ['EBADF', 'EINVAL'],
      });
    }
  }
  for (const path of spec.linux?.readonlyPaths ?? []) {
    if (isKernelPath(path) && !c.options.exists(path)) continue;
    const target = openInRoot(c, path, { title: `open ${path}, to be read-only`, tolerate: ['ENOENT', 'ENOTDIR'] });
    const tree = b.slot(`tree of ${path}`);
    b.call('open_tree', [target, b.text(''), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE], {
      title: `copy the mount of ${path}`,
      store: tree,
      tolerate: ['EBADF'],
    });
    setAttributes(
      c,
      tree,
      { set: MOUNT_ATTR_RDONLY, recursive: true },
      {
        title: 'make the copy read-only',
        why: 'the settings of the machine are there',
        tolerate: ['EBADF'],
      },
    );
    attach(c, tree, target, {
      title: `lay it over ${path}`,
      shell: `mount --rbind "$ROOT"${quote(path)} "$ROOT"${quote(path)}; mount -o remount,bind,ro "$ROOT"${quote(path)}`,
      tolerate: ['EBADF'],
    });
  }
}

/** Files of proc and sys are the kernel's: what the host has not, no container has. */
function isKernelPath(path: string): boolean {
  return path.startsWith('/proc/') || path.startsWith('/sys/');
}
