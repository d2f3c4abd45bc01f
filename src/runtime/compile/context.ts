/** What the parts of a start program share while it is compiled, and the few operations that all of them use. */
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  F_DUPFD_CLOEXEC,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  S_IFREG,
} from '../../linux/constants.ts';
import type { ErrnoName } from '../../linux/errno.ts';
import type { Load, Place, ProgramBuilder } from '../../program/program.ts';
import type { IdMapping, Mount, Spec } from '../spec.ts';

/** Descriptors that the monitor inherits (native/monitor.h) and that the program refers to by number. */
export const fdProgram = 3;
export const fdSync = 4;
export const fdCgroup = 8;
export const fdNetns = 9;
export const fdResync = 11;
/** Of a start in two halves: the socket that the terminal's master is sent to, and the one that waits for `start`. */
export const fdConsole = 5;
export const fdStart = 6;
/** Higher than all of the above. */
const fdLaidOut = 16;
/** Of an exec, whose network namespace has another holder: the pidfd of the container's first process. */
export const fdTarget = 9;

/** Kinds of messages on the sync socket (native/program.h). */
export const messageCreated = 1;
export const messageReady = 2;
export const messageMounted = 3;
export const messageError = 4;
export const messageListener = 5;

/** A layer: a directory, or a mount that the monitor holds at `fd`: an EROFS image of files whose contents are in the layer's archive. */
export type LowerLayer = string | { metadata: string; archive: string; fd: number };

/** Where the root filesystem comes from. */
export type RootSource =
  | {
      kind: 'overlay';
      /** The layers by their absolute paths, lowest first. */
      lowers: readonly LowerLayer[];
      upper: string;
      work: string;
      /** An existing directory; the mount on it is seen in the container's mount namespace only. */
      mountPoint: string;
      /** `lowerdir+` of fsconfig is there (Linux 6.7). */
      appendLowers: boolean;
    }
  | { kind: 'directory'; path: string };

/**
 * A process without a monitor: it keeps its caller's descriptors 0, 1 and 2, and whoever ran its program has gone when it
 * becomes the command. So it is with the runtimes that containerd, dockerd and podman call.
 */
export interface Unattended {
  /** A connected socket at `fdConsole` gets the terminal's master. */
  console: boolean;
  /** The terminal writes no carriage returns: what reads it is a pipe or a file. */
  plainTerminal?: boolean;
  /** Files of cgroup v1 that the process writes itself to: clone3 knows cgroup v2 alone. */
  v1Procs?: readonly string[];
  /** How many descriptors of the caller become 3, 4, …: they lie behind `errorFdOf(preserved)`. */
  preserved: number;
}

/** Where such a process tells its failures: a copy of the sync socket above all numbers that are laid out. */
export function errorFdOf(preserved: number): number {
  return Math.max(fdLaidOut, 3 + preserved);
}

/** An unattended start in two halves: `create` leaves the first process waiting, `start` lets it go on. */
export interface Handover extends Unattended {
  /** Wait before pivot_root: hooks run there. */
  stopWhenMounted: boolean;
  /** In a user namespace device nodes cannot be made: those of the host are bound. */
  bindDevices: boolean;
  /** Lay the root over the old one instead of pivot_root, which an initramfs refuses; what of proc and sysfs is mounted there. */
  noPivot: readonly string[] | undefined;
  /** The name of a new session keyring. */
  keyring: string | undefined;
  /** Paths of user namespaces whose mappings idmapped mounts get. */
  idmaps: ReadonlyMap<Mount, string>;
  /** Written into the process's own proc before execve: labels of AppArmor and SELinux, by file of /proc/self/attr. */
  labels: Readonly<Record<string, string>>;
  /** Label of SELinux that new filesystems get, but for those whose files have labels of their own. */
  mountLabel: string | undefined;
  /** What joined user namespaces are owned by decides who enters which first: the user namespace is the last. */
  userNamespace: boolean;
}

/** What becomes of the process itself, in a start and in an exec. */
export interface ProcessOptions {
  /** Join a session keyring of its own: without one the command has the keys of whoever called. */
  newKeyring?: boolean;
  /** Run the command under the init mode of tsrun-monitor. */
  init: boolean;
  /** The program, where it is not what the first argument names. */
  executable?: string;
  /** Classic BPF of the seccomp filter. */
  seccomp: Uint8Array | undefined;
  /** Flags of seccomp(2). With a listener: its number, and the socket at which the other side is told of it. */
  seccompFlags?: number;
  listenerFd?: number;
  errorFd?: number;
  /** Limits (`RLIMIT_…`) that the user did not ask for: a refusal to raise them stops nothing. */
  lenientRlimit: (type: string) => boolean;
}

/** A user namespace that is there, with its maps (man 7 user_namespaces). */
export interface UserNamespace {
  /** The descriptor that the process inherits. */
  fd: number;
  uids: readonly IdMapping[];
  gids: readonly IdMapping[];
  /** Capabilities that the process has to set the container up with. */
  available: readonly string[];
}

export interface CompileOptions extends ProcessOptions {
  spec: Spec;
  root: RootSource;
  /** Enter the network namespace at descriptor 9 instead of making one. */
  joinNetns: boolean;
  /** Start inside the cgroup whose directory is descriptor 8 (CLONE_INTO_CGROUP, Linux 5.7). */
  intoCgroup: boolean;
  /** Keep a pipe to the container's stdin; without it stdin is /dev/null. */
  stdin: boolean;
  /** Paths of proc and sys that this kernel has not need no mask; everything else is tried. */
  exists: (path: string) => boolean;
  /** Change the root by chroot alone, and close no descriptors: what these walls hold back is to be seen. */
  chroot?: boolean;
  keepDescriptors?: boolean;
  /** The first process enters this user namespace, and its files belong to whom they are mapped to. */
  userns?: UserNamespace;
  /** Absent: a monitor runs the program and stays. */
  handover?: Handover;
  /** What a path of the host is, for those who compile without it being there; by default the host is asked. */
  isDirectory?: (path: string) => boolean;
}

/** What is needed to turn a process into the container's. */
export interface ProcessContext {
  readonly b: ProgramBuilder;
  readonly options: ProcessOptions;
}

/** State of one compilation of a start. */
export interface Context extends ProcessContext {
  readonly options: CompileOptions;
  readonly spec: Spec;
  /** The root mount of the container, usable as a directory descriptor. */
  readonly root: Load;
  /** The container's own proc, for sysctls and oom_score_adj. */
  readonly proc: Load;
  /** In a user namespace: copies of the mounts of layers, by the layer's number, whose owners can be mapped. */
  readonly layerClones: Map<number, Load>;
  /** Mounts that become read-only when all that lies on them is made. */
  readonly readOnlyLater: { mount: Load; path: string }[];
}

const emptyPath = '';

/** Quotes a word for a POSIX shell. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** `open_how` of openat2 as a place: u64 flags, mode, resolve. */
export function openHow(b: ProgramBuilder, flags: number, resolve: number): Place {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags), 0);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  return b.bytes(how, 'struct open_how');
}

/** A path below the container's root, without leading slashes. */
export function belowRoot(path: string): string {
  return path.replace(/^\/+/, '').replace(/\/+$/, '') || '.';
}

/** Opens a path inside the container's root without ever leaving it. An absent one is passed over if `optional`. */
export function openInRoot(
  c: Context,
  path: string,
  info: { title: string; why?: string; flags?: number; tolerate?: ErrnoName[]; store?: Load; noLinks?: boolean },
): Load {
  const fd = info.store ?? c.b.slot(`fd of ${path}`);
  const resolve = RESOLVE_IN_ROOT | (info.noLinks === true ? RESOLVE_NO_SYMLINKS : 0);
  c.b.call(
    'openat2',
    [c.root, c.b.text(belowRoot(path)), openHow(c.b, (info.flags ?? O_PATH) | O_CLOEXEC, resolve), 24],
    {
      title: info.title,
      why: info.why ?? 'openat2 with RESOLVE_IN_ROOT: no symlink of the image can lead outside of its root',
      retry: { errno: 'EAGAIN', times: 128 },
      tolerate: info.tolerate ?? [],
      store: fd,
      hints: {
        ENOENT: `"${path}" is a dangling symlink in the image, or a parent of it is`,
        ELOOP:
          info.noLinks === true
            ? `"${path}" is a symlink in the image: nothing is mounted behind one there`
            : 'the image has a loop of symlinks there',
      },
    },
  );
  return fd;
}

/**
 * Makes a mount target and opens it: every parent with mkdirat from its opened parent, the last component as a
 * directory or an empty file. What exists is taken as it is; with `noLinks` no link on the way is followed.
 */
export function makeTarget(c: Context, path: string, kind: 'directory' | 'file', noLinks = false): Load {
  const components = belowRoot(path)
    .split('/')
    .filter((part) => part !== '.' && part !== '');
  if (components.length === 0) return c.root;
  let parent = c.root;
  components.forEach((name, index) => {
    const last = index === components.length - 1;
    const sofar = `/${components.slice(0, index + 1).join('/')}`;
    if (last && kind === 'file') {
      c.b.call('mknodat', [parent, c.b.text(name), S_IFREG | 0o644, 0], {
        title: `create the file ${sofar} unless it exists`,
        why: 'a bind mount of a file needs a file to lie on',
        shell: `[ -e "$ROOT"${quote(sofar)} ] || touch "$ROOT"${quote(sofar)}`,
        tolerate: ['EEXIST'],
      });
    } else {
      c.b.call('mkdirat', [parent, c.b.text(name), 0o755], {
        title: `create the directory ${sofar} unless it exists`,
        why: 'a mount needs a directory to lie on',
        shell: `mkdir -p "$ROOT"${quote(sofar)}`,
        tolerate: ['EEXIST', 'EROFS'],
      });
    }
    parent = openInRoot(c, sofar, { title: `open ${sofar} inside the root`, noLinks });
  });
  return parent;
}

/** Attributes of a mount from option words; words that are no attributes are left over. */
export function mountAttributes(words: readonly string[]): { attributes: number; rest: string[] } {
  let attributes = 0;
  const rest: string[] = [];
  for (const word of words) {
    const known = attributeWords[word];
    if (known === undefined) rest.push(word);
    else attributes = (attributes & ~known.clear) | known.set;
  }
  return { attributes, rest };
}

const attributeWords: Readonly<Record<string, { set: number; clear: number }>> = {
  ro: { set: MOUNT_ATTR_RDONLY, clear: 0 },
  rw: { set: 0, clear: MOUNT_ATTR_RDONLY },
  nosuid: { set: MOUNT_ATTR_NOSUID, clear: 0 },
  suid: { set: 0, clear: MOUNT_ATTR_NOSUID },
  nodev: { set: MOUNT_ATTR_NODEV, clear: 0 },
  dev: { set: 0, clear: MOUNT_ATTR_NODEV },
  noexec: { set: MOUNT_ATTR_NOEXEC, clear: 0 },
  exec: { set: 0, clear: MOUNT_ATTR_NOEXEC },
  noatime: { set: 0x10, clear: 0x70 },
  strictatime: { set: 0x20, clear: 0x70 },
  relatime: { set: 0, clear: 0x70 },
  atime: { set: 0, clear: 0x70 },
  norelatime: { set: 0, clear: 0 },
  nostrictatime: { set: 0, clear: 0x20 },
  nodiratime: { set: 0x80, clear: 0 },
  diratime: { set: 0, clear: 0x80 },
  nosymfollow: { set: 0x200000, clear: 0 },
  symfollow: { set: 0, clear: 0x200000 },
  defaults: { set: 0, clear: 0 },
};

/** `key=value`, a word, or a key whose value is a descriptor. */
export type Parameter = string | { key: string; fd: Load | number; says: string; why: string; shell: string };

/** fsopen, fsconfig for each parameter, create, fsmount: a mount that is attached nowhere yet. */
export function detachedMount(
  c: Context,
  type: string,
  parameters: readonly Parameter[],
  attributes: number,
  info: {
    title: string;
    why?: string;
    shell?: string;
    source?: string;
    hints?: Partial<Record<ErrnoName, string>>;
    mount?: Load;
  },
): Load {
  const { b } = c;
  const context = b.slot(`${type} context`);
  b.call('fsopen', [b.text(type), FSOPEN_CLOEXEC], {
    title: `${info.title}: new ${type}`,
    store: context,
    hints: { ENODEV: `this kernel has no ${type} filesystem` },
  });
  // The source is only a name here, for those who read /proc/mounts.
  for (const parameter of [`source=${info.source ?? type}`, ...parameters]) {
    if (typeof parameter !== 'string') {
      b.call('fsconfig', [context, FSCONFIG_SET_FD, b.text(parameter.key), 0, parameter.fd], {
        title: `${info.title}: ${parameter.key}=${parameter.says}`,
        why: parameter.why,
        shell: parameter.shell,
      });
      continue;
    }
    const at = parameter.indexOf('=');
    if (at < 0) {
      b.call('fsconfig', [context, FSCONFIG_SET_FLAG, b.text(parameter), 0, 0], {
        title: `${info.title}: ${parameter}`,
      });
    } else {
      b.call(
        'fsconfig',
        [context, FSCONFIG_SET_STRING, b.text(parameter.slice(0, at)), b.text(parameter.slice(at + 1)), 0],
        {
          title: `${info.title}: ${parameter}`,
          hints: { EINVAL: `${type} does not know the option "${parameter}"` },
        },
      );
    }
  }
  b.call('fsconfig', [context, FSCONFIG_CMD_CREATE, 0, 0, 0], {
    title: `${info.title}: create`,
    why: info.why ?? '',
    ...(info.hints === undefined ? {} : { hints: info.hints }),
  });
  const mount = info.mount ?? b.slot(`${type} mount`);
  b.call('fsmount', [context, FSMOUNT_CLOEXEC, attributes], {
    title: `${info.title}: mount`,
    store: mount,
    ...(info.shell === undefined ? {} : { shell: info.shell }),
  });
  return mount;
}

/** Lays a detached mount on an opened target, from descriptor to descriptor. */
export function attach(
  c: Pick<Context, 'b'>,
  mount: Load,
  target: Load,
  info: { title: string; why?: string; shell?: string; tolerate?: ErrnoName[] },
): void {
  const empty = c.b.text(emptyPath);
  c.b.call('move_mount', [mount, empty, target, empty, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH], {
    title: info.title,
    why: info.why ?? 'between descriptors, so that no path is looked up again',
    ...(info.shell === undefined ? {} : { shell: info.shell }),
    ...(info.tolerate === undefined ? {} : { tolerate: info.tolerate }),
  });
}

/** mount_setattr on a descriptor (Linux 5.12). */
export function setAttributes(
  c: Pick<Context, 'b'>,
  mount: Load,
  attr: { set?: number; clear?: number; propagation?: number; recursive: boolean; userns?: Load | number },
  info: {
    title: string;
    why?: string;
    shell?: string;
    tolerate?: ErrnoName[];
    hints?: Partial<Record<ErrnoName, string>>;
  },
): void {
  const struct = Buffer.alloc(32);
  struct.writeBigUInt64LE(BigInt(attr.set ?? 0), 0);
  struct.writeBigUInt64LE(BigInt(attr.clear ?? 0), 8);
  struct.writeBigUInt64LE(BigInt(attr.propagation ?? 0), 16);
  if (typeof attr.userns === 'number') struct.writeBigUInt64LE(BigInt(attr.userns), 24);
  const place = c.b.bytes(struct, 'struct mount_attr');
  if (typeof attr.userns === 'object') {
    const number = c.b.field(place, 24, 8, 'userns_fd of the struct');
    c.b.call('fcntl', [attr.userns, F_DUPFD_CLOEXEC, 0], {
      title: 'the user namespace into the struct',
      store: number,
    });
  }
  c.b.call(
    'mount_setattr',
    [mount, c.b.text(emptyPath), AT_EMPTY_PATH | (attr.recursive ? AT_RECURSIVE : 0), place, 32],
    info,
  );
}
