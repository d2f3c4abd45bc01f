/** Directories, of `node:fs`: what is in them, making and removing them; the place that a path leads to. */
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from '../linux/constants.ts';
import { engine } from './engine.ts';
import {
  call,
  EACCES,
  EEXIST,
  EISDIR,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  failure,
  keptAddress,
  nr,
  onlyOptions,
  pathAddress,
  scratch,
} from './file-calls.ts';
import { modeOf } from './fs-file.ts';
import { readlinkSync } from './fs-name.ts';
import { modeAt } from './fs-stat.ts';
import { join, relative, resolve } from './path.ts';

function close(fd: number): void {
  engine.syscall(nr.close, fd, 0, 0, 0, 0, 0);
}

/** man 2 getdents64: inode and offset (u64 each), length of the record (u16), type (u8), the name with a NUL. */
const entryLength = 16;
const entryType = 18;
const entryName = 19;

/**
 * Names of a directory, with a character for each byte where `isLatin1`, and their types where `types` is there. Returns a
 * negative errno of a failure.
 */
function list(fd: number, names: string[], types?: Map<string, number>, isLatin1 = false): number {
  const bytes = scratch();
  const address = engine.address(bytes);
  for (;;) {
    const length = call(nr.getdents64, fd, address, bytes.length);
    if (length <= 0) return length;
    for (let at = 0; at < length; ) {
      const start = at + entryName;
      const end = bytes.indexOf(0, start);
      const isDots = bytes[start] === 0x2e && (end === start + 1 || (end === start + 2 && bytes[start + 1] === 0x2e));
      if (!isDots) {
        const name = isLatin1 ? engine.decodeLatin1(bytes, start, end) : engine.decodeUtf8(bytes, start, end);
        names.push(name);
        types?.set(name, bytes[at + entryType] as number);
      }
      at += (bytes[at + entryLength] as number) + (bytes[at + entryLength + 1] as number) * 256;
    }
  }
}

/** Sorts as Node's names are: by their bytes. That is not the order of UTF-16 where there are surrogates. */
function sortNames(names: string[]): void {
  const text = names.join('');
  const isAscii = engine.encodeUtf8(text).byteLength === text.length;
  names.sort(isAscii ? undefined : compareNames);
}

function compareNames(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at++) {
    const a = one.charCodeAt(at);
    const b = other.charCodeAt(at);
    if (a === b) continue;
    return (a >= 0xd800 && a <= 0xdfff) === (b >= 0xd800 && b <= 0xdfff) ? a - b : a >= 0xd800 && a <= 0xdfff ? 1 : -1;
  }
  return one.length - other.length;
}

const DT_DIR = 4;

/** An entry of a directory. */
export class Dirent {
  readonly name: string;
  readonly parentPath: string;
  readonly path: string;
  /** DT_* of man 3 readdir. */
  declare private readonly kind: number;

  constructor(name: string, kind: number, parentPath: string) {
    this.name = name;
    this.parentPath = parentPath;
    this.path = parentPath;
    this.kind = kind;
  }
  isFIFO(): boolean {
    return this.kind === 1;
  }
  isCharacterDevice(): boolean {
    return this.kind === 2;
  }
  isDirectory(): boolean {
    return this.kind === DT_DIR;
  }
  isBlockDevice(): boolean {
    return this.kind === 6;
  }
  isFile(): boolean {
    return this.kind === 8;
  }
  isSymbolicLink(): boolean {
    return this.kind === 10;
  }
  isSocket(): boolean {
    return this.kind === 12;
  }
}

function readDirectory(path: string, types?: Map<string, number>): string[] {
  const fd = call(nr.openat, AT_FDCWD, pathAddress(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw failure(fd, 'scandir', path);
  const names: string[] = [];
  const result = list(fd, names, types);
  close(fd);
  if (result < 0) throw failure(result, 'scandir', path);
  sortNames(names);
  return names;
}

function readEntries(path: string): Dirent[] {
  const types = new Map<string, number>();
  return readDirectory(path, types).map((name) => new Dirent(name, types.get(name) || kindOf(path, name), path));
}

/** Of a filesystem whose directories don't tell it. */
function kindOf(path: string, name: string): number {
  const place = join(path, name);
  const mode = modeAt(AT_FDCWD, pathAddress(place), AT_SYMLINK_NOFOLLOW);
  if (mode < 0) throw failure(mode, 'lstat', place);
  return (mode & S_IFMT) >> 12;
}

export interface ReaddirOptions {
  encoding?: string | null | undefined;
  withFileTypes?: boolean | undefined;
  recursive?: boolean | undefined;
}

export function readdirSync(path: string, options?: string | ReaddirOptions | null): string[] | Dirent[] {
  if (options === undefined || options === null || options === 'utf8') return readDirectory(path);
  const { encoding, withFileTypes, recursive }: ReaddirOptions =
    typeof options === 'string' ? { encoding: options } : options;
  if (typeof options === 'object') onlyOptions('readdir', options, ' encoding withFileTypes recursive ');
  if (encoding !== undefined && encoding !== null && encoding !== 'utf8') {
    onlyOptions('readdir', { [`encoding ${encoding}`]: encoding }, '');
  }
  if (recursive !== true) return withFileTypes === true ? readEntries(path) : readDirectory(path);
  const queue = [path];
  const entries: Dirent[] = [];
  const names: string[] = [];
  for (const directory of queue) {
    if (withFileTypes === true) {
      for (const entry of readEntries(directory)) {
        entries.push(entry);
        if (entry.isDirectory()) queue.push(join(directory, entry.name));
      }
      continue;
    }
    for (const name of readDirectory(directory)) {
      const place = join(directory, name);
      names.push(relative(path, place));
      // Node follows links here, and not where it tells the types.
      const mode = modeAt(AT_FDCWD, pathAddress(place), 0);
      if (mode >= 0 && (mode & S_IFMT) === S_IFDIR) queue.push(place);
    }
  }
  return withFileTypes === true ? entries : names;
}

export interface MkdirOptions {
  mode?: number | string | undefined;
  recursive?: boolean | undefined;
}

export function mkdirSync(path: string, options?: number | string | MkdirOptions | null): string | undefined {
  let mode: number | string = 0o777;
  let recursive = false;
  if (typeof options === 'number' || typeof options === 'string') mode = options;
  else if (options !== undefined && options !== null) {
    onlyOptions('mkdir', options, ' mode recursive ');
    mode = options.mode ?? mode;
    recursive = options.recursive ?? false;
  }
  const bits = modeOf(mode);
  if (recursive) return makePath(path, bits);
  const result = call(nr.mkdirat, AT_FDCWD, pathAddress(path), bits);
  if (result < 0) throw failure(result, 'mkdir', path);
  return undefined;
}

/** Makes a directory and those above it; returns the first one that was made. */
function makePath(path: string, mode: number): string | undefined {
  let first: string | undefined;
  const waiting = [path];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    let result = call(nr.mkdirat, AT_FDCWD, pathAddress(next), mode);
    if (result === 0) {
      first ??= next;
      continue;
    }
    if (result === EACCES || result === ENOSPC || result === ENOTDIR || result === EPERM) {
      throw failure(result, 'mkdir', path);
    }
    if (result === ENOENT) {
      const slash = next.lastIndexOf('/');
      if (slash > 0) {
        waiting.push(next, next.slice(0, slash));
        continue;
      }
      // Nothing above it could be made.
      if (waiting.length > 0) throw failure(result, 'mkdir', path);
      result = EEXIST;
    }
    const found = modeAt(AT_FDCWD, pathAddress(next), 0);
    if (found < 0) throw failure(found, 'mkdir', path);
    if ((found & S_IFMT) === S_IFDIR) continue;
    throw failure(result === EEXIST && waiting.length > 0 ? ENOTDIR : EEXIST, 'mkdir', path);
  }
  return first;
}

/** Makes a directory of a name that nobody can guess: `prefix` and six letters or digits (man 3 mkdtemp). */
export function mkdtempSync(prefix: string): string {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
  for (let tries = 0; ; tries++) {
    const random = new Uint8Array(6);
    call(nr.getrandom, keptAddress(random), random.length);
    let path = prefix;
    for (let index = 0; index < random.length; index++) path += letters[(random[index] as number) % letters.length];
    const result = call(nr.mkdirat, AT_FDCWD, pathAddress(path, 'prefix'), 0o700);
    if (result === 0) return path;
    if (result !== EEXIST || tries > 100) throw failure(result, 'mkdtemp', `${prefix}XXXXXX`);
  }
}

export function rmdirSync(path: string, options?: object): void {
  if (options !== undefined) onlyOptions('rmdir', options, '');
  const result = call(nr.unlinkat, AT_FDCWD, pathAddress(path), AT_REMOVEDIR);
  if (result < 0) throw failure(result, 'rmdir', path);
}

/** The first failure of a removal: what follows is not tried. */
let failed: Error | undefined;

/** Whether a removal may go on: not where something has failed, other than by being gone already. */
function isDone(result: number, name: string, path: () => string): boolean {
  if (result >= 0 || result === ENOENT) return true;
  failed ??= failure(result, name, path());
  return false;
}

/** A name of Latin-1 characters, which are its bytes: names need not be UTF-8. */
function nameAddress(name: string): number {
  if (!/[\x80-\xff]/.test(name)) return pathAddress(name);
  const bytes = new Uint8Array(name.length + 1);
  for (let at = 0; at < name.length; at++) bytes[at] = name.charCodeAt(at);
  return keptAddress(bytes);
}

/**
 * Removes what is there, by descriptors: a link that takes the place of something is removed, not followed. `name` has Latin-1
 * characters, which are its bytes. Returns whether it was done.
 */
function removeTree(directory: number, name: string, above: string): boolean {
  const path = (): string => above + Buffer.from(name, 'latin1').toString();
  const result = call(nr.unlinkat, directory, nameAddress(name));
  if (result === 0) return true;
  if (result !== EISDIR && result !== EPERM) {
    const mode = modeAt(directory, nameAddress(name), AT_SYMLINK_NOFOLLOW);
    return isDone(result, mode >= 0 && (mode & S_IFMT) === S_IFDIR ? 'rmdir' : 'unlink', path);
  }
  const empty = call(nr.unlinkat, directory, nameAddress(name), AT_REMOVEDIR);
  if (empty === ENOTDIR) return isDone(result, 'unlink', path);
  if (empty !== ENOTEMPTY && empty !== EEXIST) return isDone(empty, 'rmdir', path);
  const fd = call(nr.openat, directory, nameAddress(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return isDone(fd, 'scandir', path);
  try {
    const names: string[] = [];
    if (!isDone(list(fd, names, undefined, true), 'scandir', path)) return false;
    const inside = `${path()}/`;
    for (const child of names.sort()) if (!removeTree(fd, child, inside)) return false;
  } finally {
    close(fd);
  }
  return isDone(call(nr.unlinkat, directory, nameAddress(name), AT_REMOVEDIR), 'rmdir', path);
}

export interface RmOptions {
  force?: boolean | undefined;
  recursive?: boolean | undefined;
  maxRetries?: number | undefined;
  retryDelay?: number | undefined;
}

/** `maxRetries` and `retryDelay` are for systems that keep files of others from being removed: Linux does not. */
export function rmSync(path: string, options: RmOptions = {}): void {
  onlyOptions('rm', options, ' force recursive maxRetries retryDelay ');
  const { force = false, recursive = false } = options;
  if (!force || !recursive) {
    const mode = modeAt(AT_FDCWD, pathAddress(path), AT_SYMLINK_NOFOLLOW);
    if (mode < 0) {
      if (force && mode === ENOENT) return;
      throw failure(mode, 'lstat', path);
    }
    if ((mode & S_IFMT) === S_IFDIR && !recursive) throw isDirectory(path);
  }
  failed = undefined;
  const isAscii = !/[^\0-\x7f]/.test(path);
  if (!removeTree(AT_FDCWD, isAscii ? path : Buffer.from(path).toString('latin1'), '')) throw failed;
}

function isDirectory(path: string): Error {
  const error = new Error(`Path is a directory: rm returned EISDIR (is a directory) ${path}`);
  error.name = 'SystemError';
  return Object.assign(error, { code: 'ERR_FS_EISDIR', errno: -EISDIR, syscall: 'rm', path });
}

/** The path without links (man 3 realpath), found step by step as Node does, so that its errors name the step. */
export function realpathSync(path: string, options?: object): string {
  if (options !== undefined) onlyOptions('realpath', options, '');
  let rest = resolve(checked(path)).split('/').slice(1);
  let at = '';
  while (rest.length > 0) {
    const name = rest.shift() as string;
    if (name === '') continue;
    const place = `${at}/${name}`;
    const mode = modeAt(AT_FDCWD, pathAddress(place), AT_SYMLINK_NOFOLLOW);
    if (mode < 0) throw failure(mode, 'lstat', place);
    if ((mode & S_IFMT) !== S_IFLNK) {
      at = place;
      continue;
    }
    const target = modeAt(AT_FDCWD, pathAddress(place), 0);
    if (target < 0) throw failure(target, 'stat', place);
    rest = [
      ...resolve(at === '' ? '/' : at, readlinkSync(place) as string)
        .split('/')
        .slice(1),
      ...rest,
    ];
    at = '';
  }
  return at === '' ? '/' : at;
}

/** A path that is one. */
function checked(path: string): string {
  pathAddress(path);
  return path;
}
