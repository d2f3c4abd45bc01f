/** What `node:fs` tells of files: man 2 statx, Stats and BigIntStats; man 2 statfs. */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../linux/constants.ts';
import { engine } from './engine.ts';
import { call, checkDescriptor, ENOENT, failure, nr, onlyOptions, pathAddress } from './file-calls.ts';

/** struct statx: 64 words of 32 bits, those of a long with the lower half first. Behind it an empty path. */
let words: Uint32Array | undefined;
let wordsAddress = 0;
const statxSize = 256;
const STATX_BASIC_STATS_AND_BTIME = 0xfff;

function makeWords(): void {
  words = new Uint32Array(statxSize / 4 + 1);
  wordsAddress = engine.address(new Uint8Array(words.buffer));
}

/** Fills `words`: the next call overwrites them. */
function statx(directory: number, path: number, flags: number): number {
  if (words === undefined) makeWords();
  return call(nr.statx, directory, path, flags, STATX_BASIC_STATS_AND_BTIME, wordsAddress);
}

// The first power of a process takes the small engine 100 microseconds: numbers are written out.
const two32 = 4294967296;

function long(of: Uint32Array, at: number): number {
  return (of[at] as number) + (of[at + 1] as number) * two32;
}

function milliseconds(of: Uint32Array, at: number): number {
  // Seconds have a sign: before 1970.
  const seconds = ((of[at + 1] as number) | 0) * two32 + (of[at] as number);
  return seconds * 1000 + (of[at + 2] as number) / 1e6;
}

/** The C library's numbering of devices (man 3 makedev). */
function device(major: number, minor: number): number {
  return (major & 0xfff) * 256 + (minor & 0xff) + (minor >>> 8) * 0x100000 + (major >>> 12) * 0x100000000000;
}

class Kind<Value extends number | bigint> {
  declare readonly mode: Value;
  isFile(): boolean {
    return (Number(this.mode) & S_IFMT) === S_IFREG;
  }
  isDirectory(): boolean {
    return (Number(this.mode) & S_IFMT) === S_IFDIR;
  }
  isSymbolicLink(): boolean {
    return (Number(this.mode) & S_IFMT) === S_IFLNK;
  }
  isCharacterDevice(): boolean {
    return (Number(this.mode) & S_IFMT) === S_IFCHR;
  }
  isBlockDevice(): boolean {
    return (Number(this.mode) & S_IFMT) === S_IFBLK;
  }
  isFIFO(): boolean {
    return (Number(this.mode) & S_IFMT) === S_IFIFO;
  }
  isSocket(): boolean {
    return (Number(this.mode) & S_IFMT) === S_IFSOCK;
  }
  declare readonly atimeMs: Value;
  declare readonly mtimeMs: Value;
  declare readonly ctimeMs: Value;
  declare readonly birthtimeMs: Value;
  get atime(): Date {
    return dateOf(this.atimeMs);
  }
  get mtime(): Date {
    return dateOf(this.mtimeMs);
  }
  get ctime(): Date {
    return dateOf(this.ctimeMs);
  }
  get birthtime(): Date {
    return dateOf(this.birthtimeMs);
  }
}

/** As Node does: the nearest millisecond. */
function dateOf(time: number | bigint): Date {
  return new Date(Math.round(Number(time)));
}

export class Stats extends Kind<number> {
  declare readonly dev: number;
  declare readonly nlink: number;
  declare readonly uid: number;
  declare readonly gid: number;
  declare readonly rdev: number;
  declare readonly blksize: number;
  declare readonly ino: number;
  declare readonly size: number;
  declare readonly blocks: number;

  constructor(of: Uint32Array) {
    super();
    const self = this as { -readonly [Name in keyof Stats]: Stats[Name] };
    self.dev = device(of[34] as number, of[35] as number);
    self.mode = (of[7] as number) & 0xffff;
    self.nlink = of[4] as number;
    self.uid = of[5] as number;
    self.gid = of[6] as number;
    self.rdev = device(of[32] as number, of[33] as number);
    self.blksize = of[1] as number;
    self.ino = long(of, 8);
    self.size = long(of, 10);
    self.blocks = long(of, 12);
    self.atimeMs = milliseconds(of, 16);
    self.mtimeMs = milliseconds(of, 28);
    self.ctimeMs = milliseconds(of, 24);
    self.birthtimeMs = milliseconds(of, 20);
  }
}

function bigLong(of: Uint32Array, at: number): bigint {
  return (BigInt(of[at + 1] as number) << 32n) | BigInt(of[at] as number);
}

function nanoseconds(of: Uint32Array, at: number): bigint {
  return BigInt.asIntN(64, bigLong(of, at)) * 1_000_000_000n + BigInt(of[at + 2] as number);
}

export class BigIntStats extends Kind<bigint> {
  declare readonly dev: bigint;
  declare readonly nlink: bigint;
  declare readonly uid: bigint;
  declare readonly gid: bigint;
  declare readonly rdev: bigint;
  declare readonly blksize: bigint;
  declare readonly ino: bigint;
  declare readonly size: bigint;
  declare readonly blocks: bigint;
  declare readonly atimeNs: bigint;
  declare readonly mtimeNs: bigint;
  declare readonly ctimeNs: bigint;
  declare readonly birthtimeNs: bigint;

  constructor(of: Uint32Array) {
    super();
    const self = this as { -readonly [Name in keyof BigIntStats]: BigIntStats[Name] };
    self.dev = BigInt(device(of[34] as number, of[35] as number));
    self.mode = BigInt((of[7] as number) & 0xffff);
    self.nlink = BigInt(of[4] as number);
    self.uid = BigInt(of[5] as number);
    self.gid = BigInt(of[6] as number);
    self.rdev = BigInt(device(of[32] as number, of[33] as number));
    self.blksize = BigInt(of[1] as number);
    self.ino = bigLong(of, 8);
    self.size = bigLong(of, 10);
    self.blocks = bigLong(of, 12);
    self.atimeNs = nanoseconds(of, 16);
    self.mtimeNs = nanoseconds(of, 28);
    self.ctimeNs = nanoseconds(of, 24);
    self.birthtimeNs = nanoseconds(of, 20);
    self.atimeMs = self.atimeNs / 1_000_000n;
    self.mtimeMs = self.mtimeNs / 1_000_000n;
    self.ctimeMs = self.ctimeNs / 1_000_000n;
    self.birthtimeMs = self.birthtimeNs / 1_000_000n;
  }
}

export interface StatOptions {
  bigint?: boolean | undefined;
  throwIfNoEntry?: boolean | undefined;
}

const known = ' bigint throwIfNoEntry ';

function made(isBig: boolean | undefined): Stats | BigIntStats {
  const of = words as Uint32Array;
  return isBig === true ? new BigIntStats(of) : new Stats(of);
}

/** Whether there is something at a path, and of which kind (`S_IFMT`); a negative errno where there is nothing. */
export function modeAt(directory: number, path: number, flags: number): number {
  const result = statx(directory, path, flags);
  return result < 0 ? result : modeWord();
}

function modeWord(): number {
  return ((words as Uint32Array)[7] as number) & 0xffff;
}

/** Of an open file. */
function fstatx(fd: number): number {
  if (words === undefined) makeWords();
  return statx(fd, wordsAddress + statxSize, AT_EMPTY_PATH);
}

/** The size of an open file that has one; 0 of what is no regular file. */
export function sizeOf(fd: number): number {
  const isFile = fstatx(fd) === 0 && (modeWord() & S_IFMT) === S_IFREG;
  return isFile ? long(words as Uint32Array, 10) : 0;
}

function stat(path: string, flags: number, name: string, options?: StatOptions): Stats | BigIntStats | undefined {
  const result = statx(AT_FDCWD, pathAddress(path), flags);
  if (options !== undefined) onlyOptions(name, options, known);
  if (result === 0) return made(options?.bigint);
  if (result === ENOENT && options?.throwIfNoEntry === false) return undefined;
  throw failure(result, name, path);
}

export function statSync(path: string, options?: StatOptions): Stats | BigIntStats | undefined {
  return stat(path, 0, 'stat', options);
}

export function lstatSync(path: string, options?: StatOptions): Stats | BigIntStats | undefined {
  return stat(path, AT_SYMLINK_NOFOLLOW, 'lstat', options);
}

export function fstatSync(fd: number, options?: StatOptions): Stats | BigIntStats {
  checkDescriptor(fd);
  if (options !== undefined) onlyOptions('fstat', options, ' bigint ');
  const result = fstatx(fd);
  if (result < 0) throw failure(result, 'fstat');
  return made(options?.bigint);
}

/** As `StatFs` of Node. */
export interface StatFs {
  type: number;
  bsize: number;
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
}

export function statfsSync(path: string): StatFs {
  // struct statfs: seven longs that count, and what is behind them.
  const of = new Uint32Array(32);
  const result = call(nr.statfs, pathAddress(path), engine.address(new Uint8Array(of.buffer)));
  if (result < 0) throw failure(result, 'statfs', path);
  return {
    type: long(of, 0),
    bsize: long(of, 2),
    blocks: long(of, 4),
    bfree: long(of, 6),
    bavail: long(of, 8),
    files: long(of, 10),
    ffree: long(of, 12),
  };
}
