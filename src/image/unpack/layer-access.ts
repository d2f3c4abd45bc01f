/**
 * An unpacked layer that is being completed: directories by path, without following links, and the times of those that
 * are touched on the way, which are put back at the end.
 */
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { type BytePath, bytePath } from './byte-path.ts';
import * as calls from './calls.ts';
import type { Timestamp } from './entry.ts';
import { checkCall, checkStat, unpackError } from './failures.ts';

/** `a/b/c` -> `a/b` and `c`; `a` -> `''` and `a`. */
export function splitLast(path: BytePath): [directory: BytePath, name: BytePath] {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? ['', path] : [path.slice(0, slash), path.slice(slash + 1)];
}

export class LayerAccess {
  private readonly root: number;
  private readonly touched = new Map<BytePath, { atime: Timestamp; mtime: Timestamp }>();

  constructor(directory: string) {
    const fd = calls.openName(AT_FDCWD, bytePath(directory), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    this.root = checkCall(fd, 'openat', bytePath(directory));
  }

  close(): void {
    calls.closeDescriptor(this.root);
  }

  /** Runs `use` with the directory at `path`; undefined if the layer has none there. */
  tryDirectory<T>(path: BytePath, use: (fd: number) => T): T | undefined {
    const fd = calls.openBeneath(this.root, path);
    if (fd === -errno.ENOENT || fd === -errno.ENOTDIR || fd === -errno.ELOOP) return undefined;
    if (fd < 0) throw unpackError('open', path, fd);
    try {
      return use(fd);
    } finally {
      calls.closeDescriptor(fd);
    }
  }

  /** Runs `use` with the directory at `path`, which must be there. */
  directory<T>(path: BytePath, use: (fd: number) => T): T {
    const result = this.tryDirectory(path, (fd) => ({ value: use(fd) }));
    if (result === undefined) throw unpackError('open', path, -errno.ENOENT);
    return result.value;
  }

  /** Remembers the times of a directory (`fd` is open on it) before something is made or removed in it. */
  touch(path: BytePath, fd: number): void {
    if (this.touched.has(path)) return;
    const stat = checkStat(calls.stat(fd, ''), path);
    this.touched.set(path, { atime: stat.atime, mtime: stat.mtime });
  }

  /** Puts the times of touched directories back. */
  restoreTimes(): void {
    for (const [path, { atime, mtime }] of this.touched) {
      this.tryDirectory(path, (fd) => {
        const result = calls.setTimes(fd, '.', atime, mtime);
        if (result < 0) throw unpackError('set the times of', path, result);
      });
    }
    this.touched.clear();
  }
}
