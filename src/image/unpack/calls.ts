/**
 * The *at calls of the file writer, with names as bytes and without a copy or an allocation per call: names and
 * structures lie in one buffer whose address is known, content is passed by address. Results are the kernel's: a value
 * >= 0 or a negative errno (man 2 openat, mkdirat, mknodat, symlinkat, linkat, unlinkat, fchownat, utimensat, statx).
 */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RENAME_NOREPLACE,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFLNK,
  S_IFMT,
} from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { addressOf, rawSyscall } from '../../linux/ffi.ts';
import { numbersOf } from '../../linux/syscalls.ts';
import type { BytePath } from './byte-path.ts';
import type { Timestamp } from './entry.ts';

const NR = numbersOf(
  'close',
  'fchmod',
  'fchmodat',
  'fchown',
  'fchownat',
  'fsetxattr',
  'getdents64',
  'lgetxattr',
  'linkat',
  'llistxattr',
  'lseek',
  'lsetxattr',
  'mkdirat',
  'mknodat',
  'openat',
  'openat2',
  'readlinkat',
  'renameat2',
  'statx',
  'symlinkat',
  'unlinkat',
  'utimensat',
);

/** Places in the scratch buffer: two names (PATH_MAX and an appended prefix fit), times, a struct statx. */
const slotSize = 8192;
const timesAt = 2 * slotSize;
const statxAt = timesAt + 64;
const valueAt = statxAt + 256;
/** XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h. */
const valueSize = 65536;

let scratch = Buffer.alloc(0);
let base = 0;

function prepare(): void {
  if (base !== 0) return;
  // Memory of its own, never a part of Node's pool, and referenced by this module: it does not move.
  scratch = Buffer.allocUnsafeSlow(valueAt + valueSize);
  base = Number(addressOf(scratch));
}

/** Lays a NUL-terminated name into slot 0 or 1 and gives its address. */
function place(name: BytePath, slot: 0 | 1): number {
  prepare();
  if (name.length >= slotSize) throw new RangeError('a name of this length was checked before');
  const at = slot * slotSize;
  scratch.write(name, at, 'latin1');
  scratch[at + name.length] = 0;
  return base + at;
}

/** man 2 openat. */
export function openName(directory: number, name: BytePath, flags: number, mode: number): number {
  return rawSyscall(NR.openat, directory, place(name, 0), flags | O_CLOEXEC, mode);
}

/** A handle of a directory that must be one itself, not a link to one. */
export function openDirectory(directory: number, name: BytePath): number {
  return openName(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
}

/** man 2 openat2: the directory at `path` (`''`: `directory`), opened for reading, reached without a link or a `..`. */
export function openBeneath(directory: number, path: BytePath): number {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  return openResolved(directory, path === '' ? '.' : path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/** `openBeneath` for a handle (O_PATH). */
export function openHandleBeneath(directory: number, path: BytePath): number {
  const flags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
  return openResolved(directory, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

function openResolved(directory: number, path: BytePath, flags: number, resolve: number): number {
  const at = place(path, 0);
  // struct open_how lies where times do.
  scratch.fill(0, timesAt, timesAt + 24);
  scratch.writeUInt32LE((flags | O_CLOEXEC) >>> 0, timesAt);
  scratch.writeUInt32LE(resolve, timesAt + 16);
  return rawSyscall(NR.openat2, directory, at, base + timesAt, 24);
}

/**
 * man 2 openat2, for reading a directory that is no link and no mount point: EXDEV for the latter, bind mounts of the same
 * filesystem included.
 */
export function openUnmounted(directory: number, name: BytePath): number {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  return openResolved(directory, name, flags, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
}

export function makeDirectory(directory: number, name: BytePath, mode: number): number {
  return rawSyscall(NR.mkdirat, directory, place(name, 0), mode);
}

/** man 2 mknodat; `mode` holds the type. */
export function makeNode(directory: number, name: BytePath, mode: number, major: number, minor: number): number {
  return rawSyscall(NR.mknodat, directory, place(name, 0), mode, encodeDevice(major, minor));
}

/** The kernel's new_encode_dev (include/linux/kdev_t.h): 12 bits of major, 20 of minor. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

export function makeSymlink(target: BytePath, directory: number, name: BytePath): number {
  return rawSyscall(NR.symlinkat, place(target, 1), directory, place(name, 0));
}

/** A further name for a file; a symbolic link is linked itself. */
export function link(fromDirectory: number, from: BytePath, directory: number, name: BytePath): number {
  return rawSyscall(NR.linkat, fromDirectory, place(from, 1), directory, place(name, 0), 0);
}

/** man 2 renameat2 with RENAME_NOREPLACE: EEXIST where the name is taken. */
export function renameNew(fromDirectory: number, from: BytePath, directory: number, name: BytePath): number {
  return rawSyscall(NR.renameat2, fromDirectory, place(from, 1), directory, place(name, 0), RENAME_NOREPLACE);
}

export function unlinkFile(directory: number, name: BytePath): number {
  return rawSyscall(NR.unlinkat, directory, place(name, 0), 0);
}

export function removeDirectory(directory: number, name: BytePath): number {
  return rawSyscall(NR.unlinkat, directory, place(name, 0), AT_REMOVEDIR);
}

/** The target of a symbolic link, or a negative errno: EINVAL where it is something else. */
export function readLink(directory: number, name: BytePath): BytePath | number {
  const address = place(name, 0);
  const length = rawSyscall(NR.readlinkat, directory, address, base + valueAt, valueSize);
  return length < 0 ? length : scratch.toString('latin1', valueAt, valueAt + length);
}

/** Changes the owner of what `name` is itself. */
export function changeOwner(directory: number, name: BytePath, uid: number, gid: number): number {
  return rawSyscall(NR.fchownat, directory, place(name, 0), uid, gid, AT_SYMLINK_NOFOLLOW);
}

/** man 2 fchown. */
export function changeOpenOwner(fd: number, uid: number, gid: number): number {
  return rawSyscall(NR.fchown, fd, uid, gid);
}

/** man 2 fchmod. */
export function changeOpenMode(fd: number, mode: number): number {
  return rawSyscall(NR.fchmod, fd, mode);
}

/**
 * Changes the mode of what `name` is itself; EOPNOTSUPP for a link. man 2 fchmodat follows links, and fchmodat2 is of Linux
 * 6.6: so through a handle, for whoever can swap the name.
 */
export function changeMode(directory: number, name: BytePath, mode: number): number {
  const handle = openName(directory, name, O_PATH | O_NOFOLLOW, 0);
  if (handle < 0) return handle;
  const found = stat(handle, '');
  const result =
    typeof found === 'object' && found.type === S_IFLNK
      ? -errno.EOPNOTSUPP
      : rawSyscall(NR.fchmodat, AT_FDCWD, place(`/proc/self/fd/${handle}`, 0), mode);
  closeDescriptor(handle);
  return result;
}

function placeTimes(atime: Timestamp, mtime: Timestamp): number {
  prepare();
  let at = timesAt;
  for (const time of [atime, mtime]) {
    // A signed 64-bit number in two halves; no BigInt per file.
    scratch.writeUInt32LE(time.seconds >>> 0, at);
    scratch.writeInt32LE(Math.floor(time.seconds / 0x1_0000_0000) | 0, at + 4);
    scratch.writeUInt32LE(time.nanoseconds, at + 8);
    scratch.writeUInt32LE(0, at + 12);
    at += 16;
  }
  return base + timesAt;
}

/** Sets the times of what `name` is itself. */
export function setTimes(directory: number, name: BytePath, atime: Timestamp, mtime: Timestamp): number {
  return rawSyscall(NR.utimensat, directory, place(name, 0), placeTimes(atime, mtime), AT_SYMLINK_NOFOLLOW);
}

/** Sets the times of an open file (futimens). */
export function setOpenTimes(fd: number, atime: Timestamp, mtime: Timestamp): number {
  return rawSyscall(NR.utimensat, fd, 0, placeTimes(atime, mtime), 0);
}

/** The part of struct statx that is needed here. */
export interface Stat {
  type: number;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  links: number;
  /** Something is mounted there (Linux 5.8 says so). */
  isMountRoot: boolean;
  inode: bigint;
  device: string;
  major: number;
  minor: number;
  atime: Timestamp;
  mtime: Timestamp;
}

const STATX_BASIC_STATS = 0x7ff;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

/** man 2 statx of what `name` is itself, `''` for the descriptor; or a negative errno. */
export function stat(directory: number, name: BytePath): Stat | number {
  const flags = AT_SYMLINK_NOFOLLOW | (name === '' ? AT_EMPTY_PATH : 0);
  const result = rawSyscall(NR.statx, directory, place(name, 0), flags, STATX_BASIC_STATS, base + statxAt);
  if (result < 0) return result;
  const time = (at: number): Timestamp => ({
    seconds: Number(scratch.readBigInt64LE(statxAt + at)),
    nanoseconds: scratch.readUInt32LE(statxAt + at + 8),
  });
  const mode = scratch.readUInt16LE(statxAt + 28);
  return {
    type: mode & S_IFMT,
    mode: mode & 0o7777,
    uid: scratch.readUInt32LE(statxAt + 20),
    gid: scratch.readUInt32LE(statxAt + 24),
    size: Number(scratch.readBigUInt64LE(statxAt + 40)),
    links: scratch.readUInt32LE(statxAt + 16),
    isMountRoot: (scratch.readUInt32LE(statxAt + 8) & STATX_ATTR_MOUNT_ROOT) !== 0,
    inode: scratch.readBigUInt64LE(statxAt + 32),
    device: `${scratch.readUInt32LE(statxAt + 136)}:${scratch.readUInt32LE(statxAt + 140)}`,
    major: scratch.readUInt32LE(statxAt + 128),
    minor: scratch.readUInt32LE(statxAt + 132),
    atime: time(64),
    mtime: time(112),
  };
}

/**
 * There is no setxattrat before Linux 6.13, and a device or a link must not be opened: so the name is reached through the
 * directory's descriptor in /proc, and the l-calls do not follow what it is.
 */
function procPath(directory: number, name: BytePath): BytePath {
  return `/proc/self/fd/${directory}/${name}`;
}

/** man 2 fsetxattr. `attribute` as below. */
export function setOpenXattr(fd: number, attribute: BytePath, value: Uint8Array): number {
  return rawSyscall(NR.fsetxattr, fd, place(attribute, 1), value, value.byteLength, 0);
}

/** man 2 lsetxattr; the name `.` is the directory itself. `attribute` has been checked to be at most 255 bytes. */
export function setXattr(directory: number, name: BytePath, attribute: BytePath, value: Uint8Array): number {
  return rawSyscall(NR.lsetxattr, place(procPath(directory, name), 0), place(attribute, 1), value, value.byteLength, 0);
}

/** man 2 lgetxattr; the value, or a negative errno: ENODATA where there is none. */
export function getXattr(directory: number, name: BytePath, attribute: BytePath): Buffer | number {
  const path = place(procPath(directory, name), 0);
  const length = rawSyscall(NR.lgetxattr, path, place(attribute, 1), base + valueAt, valueSize);
  return length < 0 ? length : Buffer.from(scratch.subarray(valueAt, valueAt + length));
}

/** man 2 llistxattr; none where the filesystem has no attributes. */
export function listXattrs(directory: number, name: BytePath): BytePath[] {
  const length = rawSyscall(NR.llistxattr, place(procPath(directory, name), 0), base + valueAt, valueSize);
  if (length <= 0) return [];
  return scratch
    .toString('latin1', valueAt, valueAt + length)
    .split('\0')
    .filter((attribute) => attribute !== '');
}

/** A name in a directory, and whether getdents says that it is a directory itself (undefined: it does not say). */
export interface DirectoryName {
  name: BytePath;
  isDirectory: boolean | undefined;
}

const DT_UNKNOWN = 0;
const DT_DIR = 4;

/** All names of an open directory, from its first on, without `.` and `..`; man 2 getdents64. Or a negative errno. */
export function listDirectory(fd: number): DirectoryName[] | number {
  prepare();
  rawSyscall(NR.lseek, fd, 0, 0);
  const names: DirectoryName[] = [];
  for (;;) {
    const length = rawSyscall(NR.getdents64, fd, base + valueAt, valueSize);
    if (length === -errno.EINTR) continue;
    if (length < 0) return length;
    if (length === 0) return names;
    for (let at = valueAt; at < valueAt + length; ) {
      const size = scratch.readUInt16LE(at + 16);
      const type = scratch[at + 18];
      const name = scratch.toString('latin1', at + 19, scratch.indexOf(0, at + 19));
      if (name !== '.' && name !== '..') {
        names.push({ name, isDirectory: type === DT_UNKNOWN ? undefined : type === DT_DIR });
      }
      at += size;
    }
  }
}

/** man 2 close. */
export function closeDescriptor(fd: number): void {
  if (fd >= 0) rawSyscall(NR.close, fd);
}
