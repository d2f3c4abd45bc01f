/**
 * The system calls of src/node/fs.ts: their numbers (as in src/linux/syscalls.ts, but only these, and ready to use), how a path
 * is given to them, and the errors that Node makes of their answers.
 */
import { errnoName } from '../linux/errno.ts';
import { engine } from './engine.ts';

/** Those that x86-64 and arm64 both have. */
export const nr =
  process.arch === 'arm64'
    ? {
        inotify_init1: 26,
        inotify_add_watch: 27,
        mkdirat: 34,
        unlinkat: 35,
        symlinkat: 36,
        linkat: 37,
        renameat: 38,
        statfs: 43,
        truncate: 45,
        ftruncate: 46,
        faccessat: 48,
        fchmod: 52,
        fchmodat: 53,
        fchownat: 54,
        fchown: 55,
        openat: 56,
        close: 57,
        getdents64: 61,
        read: 63,
        write: 64,
        pread64: 67,
        pwrite64: 68,
        sendfile: 71,
        readlinkat: 78,
        fsync: 82,
        fdatasync: 83,
        utimensat: 88,
        sched_getaffinity: 123,
        uname: 160,
        getuid: 174,
        sysinfo: 179,
        getrandom: 278,
        statx: 291,
      }
    : {
        inotify_init1: 294,
        inotify_add_watch: 254,
        mkdirat: 258,
        unlinkat: 263,
        symlinkat: 266,
        linkat: 265,
        renameat: 264,
        statfs: 137,
        truncate: 76,
        ftruncate: 77,
        faccessat: 269,
        fchmod: 91,
        fchmodat: 268,
        fchownat: 260,
        fchown: 93,
        openat: 257,
        close: 3,
        getdents64: 217,
        read: 0,
        write: 1,
        pread64: 17,
        pwrite64: 18,
        sendfile: 40,
        readlinkat: 267,
        fsync: 74,
        fdatasync: 75,
        utimensat: 280,
        sched_getaffinity: 204,
        uname: 63,
        getuid: 102,
        sysinfo: 99,
        getrandom: 318,
        statx: 332,
      };

export const EPERM = -1;
export const ENOENT = -2;
export const EINTR = -4;
export const EACCES = -13;
export const EEXIST = -17;
export const ENOTDIR = -20;
export const EISDIR = -21;
export const EINVAL = -22;
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

/** An error of Node's with its code, which stands in the first line of the stack too. */
export function coded(error: Error, code: string): Error {
  return Object.assign(error, { code });
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

/** An argument that is a number and none of those that are possible. */
export function outOfRange(argument: string, range: string, value: unknown): Error {
  const isLarge = typeof value === 'number' && Number.isInteger(value) && Math.abs(value) > 4294967296;
  const received = isLarge ? String(value).replace(/\B(?=(\d{3})+$)/g, '_') : String(value);
  return coded(
    new RangeError(`The value of "${argument}" is out of range. It must be ${range}. Received ${received}`),
    'ERR_OUT_OF_RANGE',
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
function described(error: number): string {
  switch (error) {
    case 2:
      return 'ENOENT: no such file or directory';
    case 17:
      return 'EEXIST: file already exists';
    case 20:
      return 'ENOTDIR: not a directory';
    case 13:
      return 'EACCES: permission denied';
    case 1:
      return 'EPERM: operation not permitted';
    case 3:
      return 'ESRCH: no such process';
    case 5:
      return 'EIO: i/o error';
    case 6:
      return 'ENXIO: no such device or address';
    case 7:
      return 'E2BIG: argument list too long';
    case 9:
      return 'EBADF: bad file descriptor';
    case 11:
      return 'EAGAIN: resource temporarily unavailable';
    case 12:
      return 'ENOMEM: not enough memory';
    case 14:
      return 'EFAULT: bad address in system call argument';
    case 16:
      return 'EBUSY: resource busy or locked';
    case 18:
      return 'EXDEV: cross-device link not permitted';
    case 19:
      return 'ENODEV: no such device';
    case 21:
      return 'EISDIR: illegal operation on a directory';
    case 22:
      return 'EINVAL: invalid argument';
    case 23:
      return 'ENFILE: file table overflow';
    case 24:
      return 'EMFILE: too many open files';
    case 25:
      return 'ENOTTY: inappropriate ioctl for device';
    case 26:
      return 'ETXTBSY: text file is busy';
    case 27:
      return 'EFBIG: file too large';
    case 28:
      return 'ENOSPC: no space left on device';
    case 29:
      return 'ESPIPE: invalid seek';
    case 30:
      return 'EROFS: read-only file system';
    case 31:
      return 'EMLINK: too many links';
    case 32:
      return 'EPIPE: broken pipe';
    case 36:
      return 'ENAMETOOLONG: name too long';
    case 38:
      return 'ENOSYS: function not implemented';
    case 39:
      return 'ENOTEMPTY: directory not empty';
    case 40:
      return 'ELOOP: too many symbolic links encountered';
    case 61:
      return 'ENODATA: no data available';
    case 75:
      return 'EOVERFLOW: value too large for defined data type';
    case 95:
      return 'ENOTSUP: operation not supported on socket';
    case 110:
      return 'ETIMEDOUT: connection timed out';
    default:
      return `${errnoName(error)}: unknown error`;
  }
}

/** Node's error of a call that answered `result`, which is a negative errno. */
export function failure(result: number, syscall: string, path?: string, dest?: string): Error {
  const what = described(-result);
  const of = path === undefined ? '' : ` '${path}'${dest === undefined ? '' : ` -> '${dest}'`}`;
  const error = new Error(`${what}, ${syscall}${of}`) as NodeJS.ErrnoException & { dest?: string };
  error.errno = result;
  error.code = what.slice(0, what.indexOf(':'));
  error.syscall = syscall;
  if (path !== undefined) error.path = path;
  if (dest !== undefined) error.dest = dest;
  return error;
}
