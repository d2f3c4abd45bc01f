/**
 * Files by descriptor: the calls that Node's fs has not (openat2, mkdirat, renameat2, xattrs, flock, memfd).
 * Every function throws `SyscallError` unless it says otherwise. All descriptors are close-on-exec.
 */
import {
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  F_ADD_SEALS,
  F_OFD_SETLK,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MFD_NOEXEC_SEAL,
  O_CLOEXEC,
} from './constants.ts';
import { errno, SyscallError } from './errno.ts';
import { syscall } from './ffi.ts';
import type { CommonSyscall } from './syscalls.ts';

/** Throws what a failed call means; passes any result >= 0 through. */
export function check(result: number, name: CommonSyscall, subject?: string): number {
  if (result < 0) throw new SyscallError(name, -result, subject);
  return result;
}

/** Repeats a call for as long as a signal interrupts it. */
export function uninterrupted(call: () => number): number {
  for (;;) {
    const result = call();
    if (result !== -errno.EINTR) return result;
  }
}

/** man 2 openat. `mode` is for O_CREAT. */
export function openat(dirfd: number, path: string, flags: number, mode = 0): number {
  return check(
    uninterrupted(() => syscall('openat', dirfd, path, flags | O_CLOEXEC, mode)),
    'openat',
    path,
  );
}

/**
 * man 2 openat2. With RESOLVE_IN_ROOT or RESOLVE_BENEATH the kernel answers EAGAIN when a rename or mount anywhere races
 * with a `..`; such calls are repeated, a bounded number of times.
 */
export function openat2(dirfd: number, path: string, flags: number, resolve: number, mode = 0): number {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(mode), 8);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  let result = 0;
  for (let attempt = 0; attempt < 128; attempt++) {
    result = syscall('openat2', dirfd, path, how, how.length);
    if (result !== -errno.EAGAIN && result !== -errno.EINTR) break;
  }
  return check(result, 'openat2', path);
}

/** man 2 close; errors are ignored: the descriptor is gone in any case. */
export function close(fd: number): void {
  if (fd >= 0) syscall('close', fd);
}

/** man 2 mkdirat; returns false where the name exists already. */
export function mkdirat(dirfd: number, path: string, mode: number): boolean {
  const result = syscall('mkdirat', dirfd, path, mode);
  if (result === -errno.EEXIST) return false;
  check(result, 'mkdirat', path);
  return true;
}

/** man 2 flock. With `wait` false returns whether the lock was got; with `wait` true blocks until it is. */
export function flock(fd: number, kind: 'shared' | 'exclusive', wait: boolean): boolean {
  const operation = (kind === 'shared' ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB);
  const result = uninterrupted(() => syscall('flock', fd, operation));
  if (result === -errno.EAGAIN) return false;
  check(result, 'flock');
  return true;
}

/**
 * man 2 fcntl, "Open file description locks": takes the exclusive lock of one byte of a file, which need not exist.
 * Returns whether it was got. It ends with the descriptor, so also with the process; another descriptor of the same
 * process is another owner. Independent of `flock` on the same file.
 */
export function lockByte(fd: number, offset: number): boolean {
  const request = Buffer.alloc(32); // struct flock: type, whence, start, length, pid
  request.writeInt16LE(F_WRLCK, 0);
  request.writeBigInt64LE(BigInt(offset), 8);
  request.writeBigInt64LE(1n, 16);
  const result = syscall('fcntl', fd, F_OFD_SETLK, request);
  if (result === -errno.EAGAIN || result === -errno.EACCES) return false;
  check(result, 'fcntl');
  return true;
}

/** man 2 write, until all of `bytes` is written. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  let offset = 0;
  while (offset < bytes.length) {
    const part = offset === 0 ? bytes : bytes.subarray(offset);
    offset += check(
      uninterrupted(() => syscall('write', fd, part, part.length)),
      'write',
    );
  }
}

/** A memfd of `size` zero bytes, to be shared. */
export function memoryFile(name: string, size: number): number {
  let fd = syscall('memfd_create', name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  if (fd === -errno.EINVAL) fd = syscall('memfd_create', name, MFD_CLOEXEC);
  check(fd, 'memfd_create', name);
  check(syscall('ftruncate', fd, size), 'ftruncate', name);
  return fd;
}

/** Writes `bytes` into a memfd that can be sealed, and seals it against every change (man 2 fcntl). */
export function fillAndSeal(fd: number, bytes: Uint8Array): void {
  writeAll(fd, bytes);
  check(syscall('fcntl', fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 'fcntl');
}

/** An empty memfd for `fillAndSeal`. `executable` as in `sealedMemfd`. */
export function sealableMemfd(name: string, executable = false): number {
  const base = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  let fd = syscall('memfd_create', name, base | (executable ? MFD_EXEC : MFD_NOEXEC_SEAL));
  if (fd === -errno.EINVAL) fd = syscall('memfd_create', name, base);
  if (fd === -errno.EACCES && executable) {
    throw new SyscallError('memfd_create', errno.EACCES, name, {
      hint: 'the sysctl vm.memfd_noexec=2 forbids executable memfds; set it to 1 or 0',
    });
  }
  return check(fd, 'memfd_create', name);
}

/**
 * A memfd with `bytes` in it, sealed against every change (man 2 memfd_create).
 * `executable` asks for MFD_EXEC (Linux 6.3); older kernels do not know the flag and make all memfds executable.
 */
export function sealedMemfd(name: string, bytes: Uint8Array, executable = false): number {
  const fd = sealableMemfd(name, executable);
  try {
    fillAndSeal(fd, bytes);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

export { AT_FDCWD };

/** Gives a name to an open file that has none (man 2 open, O_TMPFILE). Throws `SyscallError` EEXIST where it is taken. */
export function nameFile(fd: number, path: string): void {
  const opened = `/proc/self/fd/${fd}`;
  check(
    uninterrupted(() => syscall('linkat', AT_FDCWD, opened, AT_FDCWD, path, AT_SYMLINK_FOLLOW)),
    'linkat',
    path,
  );
}
