/**
 * Extended attributes of entries (man 7 xattr), and which of them count: `user.*` and others that the filesystem does not
 * take are left out as docker leaves them out; file capabilities are not, since a program would fail without them.
 */
import { TsrunError } from '../../error.ts';
import { errno } from '../../linux/errno.ts';
import { archiveError, type BytePath, printable } from './byte-path.ts';
import { setOpenXattr, setXattr } from './calls.ts';
import { unpackError } from './failures.ts';
import { isForeignXattr } from './whiteout.ts';

const nameMax = 255;
const valueMax = 65536;

/** Sets the attributes of what `name` is itself, in the directory `fd`, or of `fd`; `path` is for messages. */
export function setXattrs(
  fd: number,
  name: BytePath | undefined,
  path: BytePath,
  xattrs: ReadonlyMap<BytePath, Uint8Array> | undefined,
): void {
  if (xattrs === undefined) return;
  for (const [attribute, value] of xattrs) {
    if (isForeignXattr(attribute)) continue;
    checkXattr(attribute, value, path);
    const result = name === undefined ? setOpenXattr(fd, attribute, value) : setXattr(fd, name, attribute, value);
    if (result >= 0) continue;
    if (attribute === 'security.capability' && result === -errno.EOPNOTSUPP) {
      throw new TsrunError(
        'UNSUPPORTED',
        `cannot set capabilities on ${printable(path)}: the filesystem has no xattrs`,
        {
          hint: 'set TSRUN_ROOT to a filesystem with extended attributes (ext4, xfs, btrfs)',
        },
      );
    }
    if (attribute !== 'security.capability' && isTolerable(attribute, result)) continue;
    throw unpackError(`set ${printable(attribute)} on`, path, result);
  }
}

/** Throws `ARCHIVE` for an attribute that no filesystem can have (linux/limits.h). */
export function checkXattr(attribute: BytePath, value: Uint8Array, path: BytePath): void {
  if (attribute.includes('\0') || attribute.length > nameMax || value.byteLength > valueMax) {
    throw archiveError(path, `has an extended attribute that is too large or misnamed: ${printable(attribute)}`);
  }
}

/**
 * No such namespace on this filesystem (EOPNOTSUPP); `user.*` on a link or device (EPERM, xattr(7)); an ACL that this
 * machine does not understand (EINVAL).
 */
function isTolerable(attribute: BytePath, result: number): boolean {
  if (result === -errno.EOPNOTSUPP) return true;
  if (attribute.startsWith('user.')) return result === -errno.EPERM;
  return attribute.startsWith('system.') && result === -errno.EINVAL;
}
