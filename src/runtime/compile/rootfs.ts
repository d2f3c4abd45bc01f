/** The root filesystem: an overlay of the image's layers (Documentation/filesystems/overlayfs.rst), or a directory. */
import { dirname } from 'node:path';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  MOVE_MOUNT_F_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../linux/constants.ts';
import type { Load } from '../../program/program.ts';
import { type Context, detachedMount, quote, type RootSource } from './context.ts';
import { actAsRootOfContainer, mapDirectory, mapOwners } from './user-namespace.ts';

/** fsconfig refuses strings of 256 bytes and more (fs/fsopen.c). */
const fsconfigLimit = 255;
/** Where the descriptors of layers go when they are named by number: no string is made while the program runs. */
const firstLowerFd = 500;

/** Mounts the root and leaves its descriptor in `c.root`; it is not the root of the process yet. */
export function compileRoot(c: Context): void {
  c.b.enter('rootfs');
  const { root, userns } = c.options;
  if (userns !== undefined && root.kind === 'overlay') {
    for (const lower of root.lowers) if (typeof lower === 'string') mapDirectory(c, lower, userns);
    // Both in one mount: overlayfs wants that.
    mapDirectory(c, dirname(root.upper), userns);
  }
  if (root.kind === 'directory') bindDirectory(c, root.path);
  else if (root.appendLowers && longest(root) <= fsconfigLimit) overlay(c, root);
  else overlayByDescriptors(c, root);
}

type OverlayRoot = Extract<RootSource, { kind: 'overlay' }>;

function longest(root: OverlayRoot): number {
  const directories = root.lowers.filter((lower) => typeof lower === 'string');
  return Math.max(...[...directories, root.upper, root.work].map((path) => Buffer.byteLength(path)));
}

/** A layer as it is given to overlayfs: the path of a directory, or a mount. */
type Lower = { kind: 'path'; path: string } | { kind: 'mount'; fd: Load | number; says: string; shell: string };

/**
 * Owners are mapped in a mount of the container's own. It is made before the first process is, since the kernel copies a mount
 * that is attached nowhere only in the mount namespace that it was made in (Linux 6.15).
 */
export function cloneLayers(c: Context): void {
  const { root, userns } = c.options;
  if (userns === undefined || root.kind !== 'overlay') return;
  c.b.enter('rootfs');
  root.lowers.forEach((lower, index) => {
    if (typeof lower === 'string') return;
    const clone = c.b.slot(`the clone of layer ${index}`);
    c.b.call('open_tree', [lower.fd, c.b.text(''), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH], {
      title: `clone the mount of layer ${index}`,
      why: 'owners are mapped in it, and the mount itself is for all containers of the layer',
      store: clone,
    });
    c.layerClones.set(index, clone);
  });
  c.b.enter('namespaces');
}

/** The layers as overlayfs wants them: the topmost comes first. */
function openLowers(c: Context, root: OverlayRoot): Lower[] {
  return root.lowers
    .map((lower, index): Lower => {
      if (typeof lower === 'string') return { kind: 'path', path: lower };
      const clone = c.layerClones.get(index);
      if (c.options.userns !== undefined && clone !== undefined) {
        mapOwners(c, clone, c.options.userns, `layer ${index}`);
      }
      const shell = shellLayer(index, lower.metadata, lower.archive);
      return { kind: 'mount', fd: clone ?? lower.fd, says: `$LAYER${index}`, shell };
    })
    .reverse();
}

/**
 * mount(8) makes a loop device of a file itself, but not of the one in its options: both get one, which goes with the mount
 * (man 8 losetup, --detach of a device in use). Sectors of 512 bytes, as tar has them, are the default.
 */
function shellLayer(index: number, metadata: string, archive: string): string {
  const device = (name: string, path: string): string => `${name}=$(losetup -r -f --show ${quote(path)})`;
  return [
    `LAYER${index}=$(mktemp -d)`,
    device('TREE', metadata),
    device('DATA', archive),
    `mount -t erofs -o ro,device="$DATA" "$TREE" "$LAYER${index}" || { losetup -d "$TREE" "$DATA"; false; }`,
    'losetup -d "$TREE" "$DATA"',
  ].join('; ');
}

/** How a shell names the layers. */
function shellLowers(lowers: readonly Lower[]): string {
  if (lowers.every((lower) => lower.kind === 'path')) return quote(lowers.map(({ path }) => path).join(':'));
  return lowers.map((lower) => (lower.kind === 'path' ? quote(lower.path) : `"${lower.says}"`)).join(':');
}

/** Inodes of several filesystems: one device number for all files, and numbers that stay when a file is copied up. */
function xinoOf(lowers: readonly Lower[]): string[] {
  return lowers.some((lower) => lower.kind === 'mount') ? ['xino=on'] : [];
}

function shellOverlay(lowers: readonly Lower[], root: OverlayRoot, options: readonly string[] = []): string {
  const { upper, work, mountPoint } = root;
  const all = [...options, `lowerdir=${shellLowers(lowers)}`, `upperdir=${quote(upper)}`, `workdir=${quote(work)}`];
  return `mount -t overlay overlay -o ${all.join(',')} ${quote(mountPoint)}; ROOT=${quote(mountPoint)}`;
}

const overlayHints = {
  EINVAL:
    'the data root lies on a filesystem that overlayfs cannot use, perhaps an overlay itself; set TSRUN_ROOT to another one',
  ENODEV: 'this kernel has no overlayfs: modprobe overlay',
  ESTALE: 'the upper directory was used with other layers before',
} as const;

function overlay(c: Context, root: OverlayRoot): void {
  const lowers = openLowers(c, root);
  if (c.options.userns !== undefined) actAsRootOfContainer(c, c.options.userns);
  const xino = xinoOf(lowers);
  detachedMount(
    c,
    'overlay',
    [
      ...lowers.map((lower) =>
        lower.kind === 'path'
          ? `lowerdir+=${lower.path}`
          : { key: 'lowerdir+', ...lower, why: 'overlayfs clones the mount that the monitor holds, and so shares it' },
      ),
      `upperdir=${root.upper}`,
      `workdir=${root.work}`,
      ...xino,
    ],
    0,
    {
      title: 'overlay of the layers',
      why: 'the layers stay as they are and are shared; what the container writes goes to its own upper directory',
      mount: c.root,
      hints: overlayHints,
    },
  );
  c.b.call('move_mount', [c.root, c.b.text(''), AT_FDCWD, c.b.text(root.mountPoint), MOVE_MOUNT_F_EMPTY_PATH], {
    title: `attach the overlay at ${root.mountPoint}`,
    why: 'pivot_root needs a mount point; this one is seen in this mount namespace only',
    shell: shellOverlay(lowers, root, xino),
  });
}

/** mount(2) takes one page of options: layers go by /proc/self/fd/N. For kernels before 6.7 and for long paths. */
function overlayByDescriptors(c: Context, root: OverlayRoot): void {
  const { b } = c;
  const paths = openLowers(c, root);
  if (c.options.userns !== undefined) actAsRootOfContainer(c, c.options.userns);
  const directory = (path: string): Lower => ({ kind: 'path', path });
  [...paths, directory(root.upper), directory(root.work)].forEach((lower, index) => {
    b.call(
      'dup3',
      [lower.kind === 'mount' ? lower.fd : openLayer(c, lower.path, index), firstLowerFd + index, O_CLOEXEC],
      {
        title: `as descriptor ${firstLowerFd + index}`,
        shell: lower.kind === 'mount' ? lower.shell : '',
        why: 'the options of mount(2) end at one page, so that layers are named by descriptor',
      },
    );
  });
  const name = (index: number): string => `/proc/self/fd/${firstLowerFd + index}`;
  const lowerdir = paths.map((_, index) => name(index)).join(':');
  const data = `lowerdir=${lowerdir},upperdir=${name(paths.length)},workdir=${name(paths.length + 1)}`;
  b.call('mount', [b.text('overlay'), b.text(root.mountPoint), b.text('overlay'), 0, b.text(data)], {
    title: 'mount the overlay of the layers',
    why: 'the layers stay as they are and are shared; what the container writes goes to its own upper directory',
    shell: shellOverlay(paths, root),
    hints: overlayHints,
  });
  b.call('openat', [AT_FDCWD, b.text(root.mountPoint), O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
    title: 'open the new root',
    store: c.root,
  });
}

function openLayer({ b }: Context, path: string, index: number): Load {
  const fd = b.slot(`layer ${index}`);
  b.call('openat', [AT_FDCWD, b.text(path), O_PATH | O_DIRECTORY | O_CLOEXEC, 0], { title: `open ${path}`, store: fd });
  return fd;
}

function bindDirectory(c: Context, path: string): void {
  const { b } = c;
  b.call('open_tree', [AT_FDCWD, b.text(path), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE], {
    title: `copy the mount of ${path}`,
    why: 'pivot_root wants a mount, and a directory becomes one by a bind mount onto itself',
    store: c.root,
    hints: { ENOENT: 'the root filesystem of the bundle does not exist' },
  });
  b.call('move_mount', [c.root, b.text(''), AT_FDCWD, b.text(path), MOVE_MOUNT_F_EMPTY_PATH], {
    title: `attach it at ${path}`,
    shell: `mount --rbind ${quote(path)} ${quote(path)}; ROOT=${quote(path)}`,
  });
}
