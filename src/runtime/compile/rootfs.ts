/** The root filesystem: an overlay of the image's layers (Documentation/filesystems/overlayfs.rst), or a directory. */
import {
  AT_FDCWD,
  AT_RECURSIVE,
  MOVE_MOUNT_F_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../linux/constants.ts';
import { type Context, detachedMount, quote, type RootSource } from './context.ts';

/** fsconfig refuses strings of 256 bytes and more (fs/fsopen.c). */
const fsconfigLimit = 255;
/** Where the descriptors of layers go when they are named by number: no string is made while the program runs. */
const firstLowerFd = 500;

/** Mounts the root and leaves its descriptor in `c.root`; it is not the root of the process yet. */
export function compileRoot(c: Context): void {
  c.b.enter('rootfs');
  const { root } = c.options;
  if (root.kind === 'directory') bindDirectory(c, root.path);
  else if (root.appendLowers && longest(root) <= fsconfigLimit) overlay(c, root);
  else overlayByDescriptors(c, root);
}

type OverlayRoot = Extract<RootSource, { kind: 'overlay' }>;

function longest(root: OverlayRoot): number {
  return Math.max(...[...root.lowers, root.upper, root.work].map((path) => Buffer.byteLength(path)));
}

const overlayHints = {
  EINVAL:
    'the data root lies on a filesystem that overlayfs cannot use, perhaps an overlay itself; set TSRUN_ROOT to another one',
  ENODEV: 'this kernel has no overlayfs: modprobe overlay',
  ESTALE: 'the upper directory was used with other layers before',
} as const;

function overlay(c: Context, root: OverlayRoot): void {
  const lowers = [...root.lowers].reverse();
  const shell = `mount -t overlay overlay -o lowerdir=${quote(lowers.join(':'))},upperdir=${quote(root.upper)},workdir=${quote(root.work)} ${quote(root.mountPoint)}; ROOT=${quote(root.mountPoint)}`;
  detachedMount(
    c,
    'overlay',
    [...lowers.map((path) => `lowerdir+=${path}`), `upperdir=${root.upper}`, `workdir=${root.work}`],
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
    shell,
  });
}

/** mount(2) takes one page of options: layers go by /proc/self/fd/N. For kernels before 6.7 and for long paths. */
function overlayByDescriptors(c: Context, root: OverlayRoot): void {
  const { b } = c;
  const paths = [...root.lowers].reverse();
  const all = [...paths, root.upper, root.work];
  all.forEach((path, index) => {
    const fd = b.slot(`layer ${index}`);
    b.call('openat', [AT_FDCWD, b.text(path), O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
      title: `open ${path}`,
      store: fd,
    });
    b.call('dup3', [fd, firstLowerFd + index, O_CLOEXEC], {
      title: `as descriptor ${firstLowerFd + index}`,
      why: 'the options of mount(2) end at one page, so that layers are named by descriptor',
    });
  });
  const name = (index: number): string => `/proc/self/fd/${firstLowerFd + index}`;
  const lowerdir = paths.map((_, index) => name(index)).join(':');
  const data = `lowerdir=${lowerdir},upperdir=${name(paths.length)},workdir=${name(paths.length + 1)}`;
  b.call('mount', [b.text('overlay'), b.text(root.mountPoint), b.text('overlay'), 0, b.text(data)], {
    title: 'mount the overlay of the layers',
    why: 'the layers stay as they are and are shared; what the container writes goes to its own upper directory',
    hints: overlayHints,
  });
  b.call('openat', [AT_FDCWD, b.text(root.mountPoint), O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
    title: 'open the new root',
    store: c.root,
  });
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
