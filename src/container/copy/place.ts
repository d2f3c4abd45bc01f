/**
 * Puts one thing into a directory that may be hostile: made under its own name with O_EXCL, and everything else is done to
 * the descriptor that came of it, so that whoever swaps the name meanwhile gains nothing (man 2 openat, man 5 proc).
 */
import { TsrunError } from '../../error.ts';
import { setXattrs } from '../../image/unpack/attributes.ts';
import { type BytePath, printable } from '../../image/unpack/byte-path.ts';
import * as calls from '../../image/unpack/calls.ts';
import type { Attributes } from '../../image/unpack/entry.ts';
import { unpackError } from '../../image/unpack/failures.ts';
import { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY, S_IFDIR } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';

/** A place that something shall have: a free name, or one whose owner goes. `path` is for messages. */
export interface Place {
  directory: number;
  name: BytePath;
  path: BytePath;
}

/** Whom what is copied belongs to; absent: whom it belonged to. */
export interface Owner {
  uid: number;
  gid: number;
}

export function must(result: number, action: string, path: BytePath): number {
  if (result < 0) throw unpackError(action, path, result);
  return result;
}

/** Frees a name for something that is no directory. Throws docker's words where a directory has it. */
export function clear({ directory, name, path }: Place): void {
  const stat = calls.stat(directory, name);
  if (stat === -errno.ENOENT) return;
  if (typeof stat === 'number') throw unpackError('look at', path, stat);
  if (stat.type === S_IFDIR) {
    throw new TsrunError('CONFLICT', `cannot overwrite directory ${printable(path)} with non-directory`);
  }
  if (stat.isMountRoot) {
    // From outside of the container's mount namespace, unlink would take its mount away (man 2 unlink).
    throw new TsrunError('CONFLICT', `cannot replace ${printable(path)}: EBUSY`, {
      hint: 'something is mounted there; write to what is mounted instead',
    });
  }
  must(calls.unlinkFile(directory, name), 'replace', path);
}

/**
 * Opens the directory of that name for reading, made if it is not there; the caller closes it. Throws docker's words where
 * something else has the name.
 */
export function enterDirectory({ directory, name, path }: Place): number {
  const made = calls.makeDirectory(directory, name, 0o700);
  if (made < 0 && made !== -errno.EEXIST) throw unpackError('make', path, made);
  const fd = calls.openName(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd === -errno.ENOTDIR || fd === -errno.ELOOP) {
    throw new TsrunError('CONFLICT', `cannot overwrite non-directory ${printable(path)} with directory`);
  }
  return must(fd, 'open', path);
}

/** Gives an open file or directory its attributes, the times last. */
export function describeOpen(fd: number, path: BytePath, attributes: Attributes): void {
  const { uid, gid, mode, xattrs, atime, mtime } = attributes;
  must(calls.changeOpenOwner(fd, uid, gid), 'set the owner of', path);
  // After the owner: chown takes setuid bits away.
  must(calls.changeOpenMode(fd, mode), 'set the mode of', path);
  setXattrs(fd, undefined, path, xattrs);
  must(calls.setOpenTimes(fd, atime ?? mtime, mtime), 'set the times of', path);
}

/** Makes the file; the caller writes it, describes it and closes it. */
export function createFile(place: Place): number {
  clear(place);
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  return must(calls.openName(place.directory, place.name, flags, 0o600), 'create', place.path);
}

export function createSymlink(place: Place, target: BytePath, attributes: Attributes): void {
  clear(place);
  const { directory, name, path } = place;
  must(calls.makeSymlink(target, directory, name), 'create', path);
  must(calls.changeOwner(directory, name, attributes.uid, attributes.gid), 'set the owner of', path);
  setXattrs(directory, name, path, attributes.xattrs);
  must(
    calls.setTimes(directory, name, attributes.atime ?? attributes.mtime, attributes.mtime),
    'set the times of',
    path,
  );
}

/** Makes a device, fifo or socket; `type` is of S_IFMT. It is never opened but as a handle. */
export function createNode(
  place: Place,
  device: { type: number; major: number; minor: number },
  attributes: Attributes,
): void {
  clear(place);
  const { directory, name, path } = place;
  const { uid, gid, mode, xattrs, atime, mtime } = attributes;
  must(calls.makeNode(directory, name, device.type | 0o600, device.major, device.minor), 'create', path);
  must(calls.changeOwner(directory, name, uid, gid), 'set the owner of', path);
  // Swapped for a link meanwhile, whose target is nobody's business.
  const changed = calls.changeMode(directory, name, mode);
  if (changed !== -errno.EOPNOTSUPP) must(changed, 'set the mode of', path);
  setXattrs(directory, name, path, xattrs);
  must(calls.setTimes(directory, name, atime ?? mtime, mtime), 'set the times of', path);
}

/** Makes a further name for a file of the same copy. */
export function createLink(from: { directory: number; name: BytePath }, place: Place): void {
  clear(place);
  must(calls.link(from.directory, from.name, place.directory, place.name), 'link', place.path);
}
