/**
 * Copies one file, link or device from one directory to another with everything that belongs to it, holes included
 * (man 2 copy_file_range, man 2 lseek SEEK_DATA).
 */
import {
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  S_IFLNK,
  S_IFREG,
} from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { syscall } from '../../linux/ffi.ts';
import { setXattrs } from './attributes.ts';
import type { BytePath } from './byte-path.ts';
import * as calls from './calls.ts';
import { unpackError } from './failures.ts';
import { isForeignXattr } from './whiteout.ts';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** Bytes that one copy_file_range is asked for. */
const copyMax = 1 << 30;

export interface Location {
  fd: number;
  name: BytePath;
}

/** The extended attributes of a file or directory (`.`), without those that mean something to overlayfs only. */
export function readXattrs({ fd, name }: Location): Map<BytePath, Uint8Array> {
  const xattrs = new Map<BytePath, Uint8Array>();
  for (const attribute of calls.listXattrs(fd, name)) {
    if (isForeignXattr(attribute)) continue;
    const value = calls.getXattr(fd, name, attribute);
    if (typeof value === 'object') xattrs.set(attribute, value);
  }
  return xattrs;
}

/** Copies `from`, which `stat` describes and which is no directory, to the free name `to`. `path` is for messages. */
export function copyNode(from: Location, stat: calls.Stat, to: Location, path: BytePath): void {
  const must = (result: number, action: string) => {
    if (result < 0) throw unpackError(action, path, result);
    return result;
  };
  if (stat.type === S_IFREG) {
    copyContent(from, stat, to, must);
  } else if (stat.type === S_IFLNK) {
    const target = calls.readLink(from.fd, from.name);
    if (typeof target === 'number') throw unpackError('read', path, target);
    must(calls.makeSymlink(target, to.fd, to.name), 'create');
  } else {
    must(calls.makeNode(to.fd, to.name, stat.type | (stat.mode & 0o777), stat.major, stat.minor), 'create');
  }
  must(calls.changeOwner(to.fd, to.name, stat.uid, stat.gid), 'set the owner of');
  if (stat.type !== S_IFLNK) must(calls.changeMode(to.fd, to.name, stat.mode), 'set the mode of');
  setXattrs(to.fd, to.name, path, readXattrs(from));
  must(calls.setTimes(to.fd, to.name, stat.atime, stat.mtime), 'set the times of');
}

function copyContent(
  from: Location,
  stat: calls.Stat,
  to: Location,
  must: (result: number, action: string) => number,
): void {
  const source = must(calls.openName(from.fd, from.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), 'read');
  try {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    const target = must(calls.openName(to.fd, to.name, flags, 0o600), 'create');
    try {
      copyData(source, target, stat.size, must);
    } finally {
      calls.closeDescriptor(target);
    }
  } finally {
    calls.closeDescriptor(source);
  }
}

/** Copies `size` bytes of an open file into another, which is empty; holes stay holes. `must` throws for failed calls. */
export function copyData(
  source: number,
  target: number,
  size: number,
  must: (result: number, action: string) => number,
): void {
  must(syscall('ftruncate', target, size), 'set the size of');
  for (let start = syscall('lseek', source, 0, SEEK_DATA); start >= 0 && start < size; ) {
    const end = must(syscall('lseek', source, start, SEEK_HOLE), 'read');
    copyRange(source, target, start, Math.min(end, size), must);
    start = syscall('lseek', source, end, SEEK_DATA);
  }
}

function copyRange(
  source: number,
  target: number,
  start: number,
  end: number,
  must: (result: number, action: string) => number,
): void {
  const buffer = Buffer.alloc(16);
  const offsets = [buffer.subarray(0, 8), buffer.subarray(8, 16)] as const;
  buffer.writeBigInt64LE(BigInt(start), 0);
  buffer.writeBigInt64LE(BigInt(start), 8);
  for (let at = start; at < end; at = Number(buffer.readBigInt64LE(0))) {
    const length = Math.min(end - at, copyMax);
    const result = syscall('copy_file_range', source, offsets[0], target, offsets[1], length, 0);
    if (result === -errno.EXDEV || result === -errno.EOPNOTSUPP || result === -errno.EINVAL) {
      copyByHand(source, target, at, end, must);
      return;
    }
    if (result !== -errno.EINTR && must(result, 'copy') === 0) return;
  }
}

/** Where two filesystems do not copy between themselves. */
function copyByHand(
  source: number,
  target: number,
  start: number,
  end: number,
  must: (result: number, action: string) => number,
): void {
  const buffer = Buffer.allocUnsafe(256 * 1024);
  for (let at = start; at < end; ) {
    const length = must(syscall('pread64', source, buffer, Math.min(buffer.length, end - at), at), 'read');
    if (length === 0) return;
    at += must(syscall('pwrite64', target, buffer, length, at), 'write');
  }
}
