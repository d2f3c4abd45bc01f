/**
 * The system calls of src/node/fs.ts: their numbers, how a path is given to them, and the errors that Node makes of their answers.
 */
import { errnoName } from '../linux/errno.ts';
import { numbersOf } from '../linux/syscalls.ts';
import { engine } from './engine.ts';
import { coded, outOfRange } from './errors.ts';

/** Looked up when tsrun is built: a process has them ready. */
export const nr = numbersOf(
  'inotify_init1',
  'inotify_add_watch',
  'mkdirat',
  'unlinkat',
  'symlinkat',
  'linkat',
  'renameat',
  'statfs',
  'truncate',
  'ftruncate',
  'faccessat',
  'fchmod',
  'fchmodat',
  'fchownat',
  'fchown',
  'openat',
  'close',
  'getdents64',
  'read',
  'write',
  'pread64',
  'pwrite64',
  'sendfile',
  'readlinkat',
  'fsync',
  'fdatasync',
  'utimensat',
  'sched_getaffinity',
  'uname',
  'getuid',
  'sysinfo',
  'getrandom',
  'statx',
);

export const EPERM = -1;
export const ENOENT = -2;
export const EINTR = -4;
export const EACCES = -13;
export const EEXIST = -17;
export const ENOTDIR = -20;
export const EISDIR = -21;
export const ENOSPC = -28;
export const ENOTEMPTY = -39;

/** Makes a call, again where a signal interrupted it. Returns the kernel's answer: a result, or a negative errno. */
export function call(number: number, a: number, b = 0, c = 0, d = 0, e = 0): number {
  for (;;) {
    const result = engine.syscall(number, a, b, c, d, e, 0);
    if (result !== EINTR) return result;
  }
}

/** The last two texts that the kernel was given: a call has no more, and they must be there until it has answered. */
const held: { newer: Uint8Array | undefined; older: Uint8Array | undefined } = { newer: undefined, older: undefined };

/** Where the kernel finds a path. Throws what Node throws of what is none; `argument` is Node's name of it. */
export function pathAddress(path: string, argument = 'path'): number {
  if (typeof path !== 'string' || path.includes('\0')) throw badPath(path, argument);
  return keptAddress(new Uint8Array(engine.encodeUtf8(`${path}\0`)));
}

/** Keeps bytes where they are until two more are kept. */
export function keptAddress(bytes: Uint8Array): number {
  held.older = held.newer;
  held.newer = bytes;
  return engine.address(bytes);
}

const scratchSize = 16 * 1024;
let scratchBytes: Uint8Array | undefined;

/** Bytes for what one call answers, the same each time. */
export function scratch(): Uint8Array {
  scratchBytes ??= new Uint8Array(scratchSize);
  return scratchBytes;
}

function badPath(path: unknown, argument: string): Error {
  if (typeof path === 'string') {
    const shown = path.replaceAll('\\', '\\\\').replaceAll('\0', '\\x00').replaceAll('\n', '\\n');
    return coded(
      new TypeError(
        `The argument '${argument}' must be a string, Uint8Array, or URL without null bytes. Received '${shown}'`,
      ),
      'ERR_INVALID_ARG_VALUE',
    );
  }
  return invalidType(argument, 'a string: the small engine has no other paths', path);
}

/** An argument that is of a type that nobody knows here. */
export function invalidType(argument: string, wanted: string, value: unknown): Error {
  const received =
    value === null || value === undefined
      ? String(value)
      : typeof value === 'object'
        ? `an instance of ${value.constructor?.name ?? 'Object'}`
        : typeof value === 'function'
          ? `function ${value.name}`
          : `type ${typeof value} (${typeof value === 'string' ? `'${value}'` : String(value)})`;
  return coded(
    new TypeError(`The "${argument}" argument must be ${wanted}. Received ${received}`),
    'ERR_INVALID_ARG_TYPE',
  );
}

/** What Node's function takes and this one does not. */
export function unknownOption(name: string, option: string): Error {
  return coded(
    new Error(`${name}: the option "${option}" is not there in the small engine (src/node)`),
    'ERR_METHOD_NOT_IMPLEMENTED',
  );
}

/** Refuses options that are not among the `known`, which are words with a blank before and behind each. */
export function onlyOptions(name: string, options: object, known: string): void {
  for (const option in options) {
    if (!known.includes(` ${option} `)) throw unknownOption(name, option);
  }
}

export function checkDescriptor(fd: number): void {
  if (typeof fd !== 'number') throw invalidType('fd', 'of type number', fd);
  if (fd >= 0 && fd <= 2147483647 && Number.isInteger(fd)) return;
  throw Number.isInteger(fd) ? outOfRange('fd', '>= 0 && <= 2147483647', fd) : outOfRange('fd', 'an integer', fd);
}

/** What libuv says of the errors that files give; others are told by their names. */
const descriptions: Readonly<Record<number, string>> = {
  1: 'EPERM: operation not permitted',
  2: 'ENOENT: no such file or directory',
  3: 'ESRCH: no such process',
  5: 'EIO: i/o error',
  6: 'ENXIO: no such device or address',
  7: 'E2BIG: argument list too long',
  9: 'EBADF: bad file descriptor',
  11: 'EAGAIN: resource temporarily unavailable',
  12: 'ENOMEM: not enough memory',
  13: 'EACCES: permission denied',
  14: 'EFAULT: bad address in system call argument',
  16: 'EBUSY: resource busy or locked',
  17: 'EEXIST: file already exists',
  18: 'EXDEV: cross-device link not permitted',
  19: 'ENODEV: no such device',
  20: 'ENOTDIR: not a directory',
  21: 'EISDIR: illegal operation on a directory',
  22: 'EINVAL: invalid argument',
  23: 'ENFILE: file table overflow',
  24: 'EMFILE: too many open files',
  25: 'ENOTTY: inappropriate ioctl for device',
  26: 'ETXTBSY: text file is busy',
  27: 'EFBIG: file too large',
  28: 'ENOSPC: no space left on device',
  29: 'ESPIPE: invalid seek',
  30: 'EROFS: read-only file system',
  31: 'EMLINK: too many links',
  32: 'EPIPE: broken pipe',
  36: 'ENAMETOOLONG: name too long',
  38: 'ENOSYS: function not implemented',
  39: 'ENOTEMPTY: directory not empty',
  40: 'ELOOP: too many symbolic links encountered',
  61: 'ENODATA: no data available',
  75: 'EOVERFLOW: value too large for defined data type',
  95: 'ENOTSUP: operation not supported on socket',
  110: 'ETIMEDOUT: connection timed out',
};

/** Node's error of a call that answered `result`, which is a negative errno. */
export function failure(result: number, syscall: string, path?: string, dest?: string): Error {
  const what = descriptions[-result] ?? `${errnoName(-result)}: unknown error`;
  const of = path === undefined ? '' : ` '${path}'${dest === undefined ? '' : ` -> '${dest}'`}`;
  const error = new Error(`${what}, ${syscall}${of}`) as NodeJS.ErrnoException & { dest?: string };
  error.errno = result;
  error.code = what.slice(0, what.indexOf(':'));
  error.syscall = syscall;
  if (path !== undefined) error.path = path;
  if (dest !== undefined) error.dest = dest;
  return error;
}
