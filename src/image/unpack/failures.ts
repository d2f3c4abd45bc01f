/** What a failed call means to somebody who unpacks a layer. */
import { TsrunError } from '../../error.ts';
import { errno, errnoName, SyscallError } from '../../linux/errno.ts';
import type { CommonSyscall } from '../../linux/syscalls.ts';
import { archiveError, type BytePath, printable } from './byte-path.ts';
import type { Stat } from './calls.ts';

/** Errors that the archive itself causes, and what is wrong with it then. */
const archivesFault: Partial<Record<number, string>> = {
  [errno.ENAMETOOLONG]: 'has a name that is too long',
  [errno.EFBIG]: 'is larger than a file can be',
  [errno.EMLINK]: 'has too many hard links',
  [errno.ELOOP]: 'goes through a loop of symbolic links',
  [errno.ENOTDIR]: 'goes through something that is no directory',
};

/** Throws `SyscallError` for a failed call on `path`; passes any result >= 0 through. For calls that no entry explains. */
export function checkCall(result: number, syscall: CommonSyscall, path: BytePath): number {
  if (result >= 0) return result;
  const text = Buffer.from(path, 'latin1').toString('utf8');
  // JSON quotes control characters, but not these (byte-path.ts says why).
  throw new SyscallError(
    syscall,
    -result,
    text.replace(/[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '?'),
  );
}

/** Throws for a failed `calls.stat` on `path`, as `unpackError` has it; passes what was found through. */
export function checkStat(found: Stat | number, path: BytePath): Stat {
  if (typeof found === 'number') throw unpackError('look at', path, found);
  return found;
}

/** The error for `action` ("create", "write", …) on an entry that the kernel answered with `-result`. */
export function unpackError(action: string, path: BytePath, result: number): TsrunError {
  const number = Math.abs(result);
  const fault = archivesFault[number];
  if (fault !== undefined) return archiveError(path, `${fault} (${errnoName(number)})`);
  const subject = path === '' ? 'the layer' : printable(path);
  const message = `cannot ${action} ${subject}: ${errnoName(number)}`;
  if (number === errno.ENOSPC || number === errno.EDQUOT) {
    return new TsrunError('NO_SPACE', `${message} (no space left)`, {
      hint: 'remove images that are not needed (tsrun rmi), or set TSRUN_ROOT to a larger filesystem; `df -i` shows whether inodes ran out',
    });
  }
  if (number === errno.EPERM || number === errno.EACCES) {
    const root = process.geteuid?.() === 0;
    return new TsrunError('PERMISSION', message, {
      hint: root
        ? 'unpacking needs CAP_CHOWN, CAP_FOWNER, CAP_FSETID, CAP_MKNOD and CAP_SYS_ADMIN (for trusted.* attributes)'
        : 'unpacking an image needs root, because its files belong to several users: run it with sudo',
    });
  }
  return new TsrunError('SYSCALL', message);
}
