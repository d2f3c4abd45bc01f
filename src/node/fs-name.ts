/** What is done with a file by its name, of `node:fs`: links, other names, owners, modes, times; whether it is there. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../linux/constants.ts';
import { engine } from './engine.ts';
import { outOfRange } from './errors.ts';
import {
  call,
  checkDescriptor,
  failure,
  invalidType,
  keptAddress,
  nr,
  pathAddress,
  scratch,
  unknownOption,
} from './file-calls.ts';
import { modeOf } from './fs-file.ts';

export function existsSync(path: string): boolean {
  return typeof path === 'string' && !path.includes('\0') && call(nr.faccessat, AT_FDCWD, pathAddress(path)) === 0;
}

export function accessSync(path: string, mode = 0): void {
  const result = call(nr.faccessat, AT_FDCWD, pathAddress(path), mode);
  if (result < 0) throw failure(result, 'access', path);
}

const pathMax = 4096;

export function readlinkSync(path: string, options?: string | { encoding?: string } | null): string | Buffer {
  const encoding = (typeof options === 'object' ? options?.encoding : options) ?? 'utf8';
  const bytes = scratch();
  const length = call(nr.readlinkat, AT_FDCWD, pathAddress(path, 'oldPath'), engine.address(bytes), pathMax);
  if (length < 0) throw failure(length, 'readlink', path);
  if (encoding === 'utf8') return engine.decodeUtf8(bytes, 0, length);
  const copy = Buffer.from(bytes.subarray(0, length));
  return encoding === 'buffer' ? copy : copy.toString(encoding as 'latin1');
}

export function symlinkSync(target: string, path: string, type?: string | null): void {
  if (type !== undefined && type !== null && type !== 'file' && type !== 'dir') {
    throw unknownOption('symlink', `type ${type}`);
  }
  const result = call(nr.symlinkat, pathAddress(target, 'target'), AT_FDCWD, pathAddress(path));
  if (result < 0) throw failure(result, 'symlink', target, path);
}

export function renameSync(from: string, to: string): void {
  const result = call(nr.renameat, AT_FDCWD, pathAddress(from, 'oldPath'), AT_FDCWD, pathAddress(to, 'newPath'));
  if (result < 0) throw failure(result, 'rename', from, to);
}

export function linkSync(from: string, to: string): void {
  const result = call(nr.linkat, AT_FDCWD, pathAddress(from, 'existingPath'), AT_FDCWD, pathAddress(to, 'newPath'));
  if (result < 0) throw failure(result, 'link', from, to);
}

export function unlinkSync(path: string): void {
  const result = call(nr.unlinkat, AT_FDCWD, pathAddress(path));
  if (result < 0) throw failure(result, 'unlink', path);
}

export function chmodSync(path: string, mode: number | string): void {
  const result = call(nr.fchmodat, AT_FDCWD, pathAddress(path), modeOf(mode));
  if (result < 0) throw failure(result, 'chmod', path);
}

export function fchmodSync(fd: number, mode: number | string): void {
  checkDescriptor(fd);
  const result = call(nr.fchmod, fd, modeOf(mode));
  if (result < 0) throw failure(result, 'fchmod');
}

/** -1 leaves an owner as it is. */
function ownerOf(id: number, argument: string): number {
  if (typeof id !== 'number') throw invalidType(argument, 'of type number', id);
  if (!Number.isInteger(id)) throw outOfRange(argument, 'an integer', id);
  if (id < -1 || id > 4294967295) throw outOfRange(argument, '>= -1 && <= 4294967295', id);
  return id;
}

export function chownSync(path: string, uid: number, gid: number): void {
  const result = call(nr.fchownat, AT_FDCWD, pathAddress(path), ownerOf(uid, 'uid'), ownerOf(gid, 'gid'));
  if (result < 0) throw failure(result, 'chown', path);
}

export function lchownSync(path: string, uid: number, gid: number): void {
  const flags = AT_SYMLINK_NOFOLLOW;
  const result = call(nr.fchownat, AT_FDCWD, pathAddress(path), ownerOf(uid, 'uid'), ownerOf(gid, 'gid'), flags);
  if (result < 0) throw failure(result, 'lchown', path);
}

export function fchownSync(fd: number, uid: number, gid: number): void {
  checkDescriptor(fd);
  const result = call(nr.fchown, fd, ownerOf(uid, 'uid'), ownerOf(gid, 'gid'));
  if (result < 0) throw failure(result, 'fchown');
}

type Time = number | string | Date;

/** Seconds since the epoch. */
function secondsOf(time: Time, argument: string): number {
  if (typeof time === 'string' && time !== '' && Number.isFinite(Number(time))) return Number(time);
  // Node takes a moment before the epoch as now.
  if (typeof time === 'number' && Number.isFinite(time)) return time < 0 ? Date.now() / 1000 : time;
  if (time instanceof Date) return time.getTime() / 1000;
  throw invalidType(argument, 'an instance of Date or a number: time in seconds', time);
}

/** Two struct timespec (man 2 utimensat), in whole microseconds as Node has them. */
function timesOf(atime: Time, mtime: Time): Uint8Array {
  const times = new Int32Array(8);
  for (const [index, seconds] of [secondsOf(atime, 'atime'), secondsOf(mtime, 'mtime')].entries()) {
    const whole = Math.trunc(seconds);
    let part = Math.trunc((seconds - whole) * 1e9);
    part -= part % 1000;
    const before = part < 0 ? 1 : 0;
    times[index * 4] = (whole - before) | 0;
    times[index * 4 + 1] = Math.floor((whole - before) / 4294967296);
    times[index * 4 + 2] = part + before * 1e9;
  }
  return new Uint8Array(times.buffer);
}

export function utimesSync(path: string, atime: Time, mtime: Time): void {
  const times = keptAddress(timesOf(atime, mtime));
  const result = call(nr.utimensat, AT_FDCWD, pathAddress(path), times);
  if (result < 0) throw failure(result, 'utime', path);
}

export function lutimesSync(path: string, atime: Time, mtime: Time): void {
  const times = keptAddress(timesOf(atime, mtime));
  const result = call(nr.utimensat, AT_FDCWD, pathAddress(path), times, AT_SYMLINK_NOFOLLOW);
  if (result < 0) throw failure(result, 'lutime', path);
}

export function futimesSync(fd: number, atime: Time, mtime: Time): void {
  checkDescriptor(fd);
  const result = call(nr.utimensat, fd, 0, keptAddress(timesOf(atime, mtime)));
  if (result < 0) throw failure(result, 'futime');
}
