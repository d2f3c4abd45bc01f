/**
 * What a container has changed in its filesystem: its upper directory compared with the image's layers, by docker's rules
 * (moby pkg/archive/changes.go): a file differs by mode, owner, device, size or time, a directory not by its time; a
 * directory in which something changed has changed itself. Names are sorted, deletions last in their directory.
 */
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { type BytePath, joinPath } from '../image/unpack/byte-path.ts';
import * as calls from '../image/unpack/calls.ts';
import { readXattrs } from '../image/unpack/copy-node.ts';
import { checkStat, unpackError } from '../image/unpack/failures.ts';
import { isOpaque, isWhiteout, MergedView } from '../image/unpack/merged-view.ts';
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFREG } from '../linux/constants.ts';
import { errno } from '../linux/errno.ts';

export interface Change {
  /** Added, changed, deleted. */
  kind: 'A' | 'C' | 'D';
  /** Without a slash at its beginning; bytes. */
  path: BytePath;
}

/**
 * Where the engine mounts things of its own. What it had to make for that in the upper directory (docker does it in a
 * layer between) is no change of the container's: it is empty, and the image does not have it.
 */
const ownMountPoints = new Set(['dev', 'proc', 'sys', 'etc', 'etc/hosts', 'etc/hostname', 'etc/resolv.conf']);

/** The attributes by which overlayfs says that content or names are elsewhere; tsrun's mounts do not ask for them. */
const indirections = ['trusted.overlay.redirect', 'trusted.overlay.metacopy'];

/**
 * All changes. `directory` is the container's, `layers` are the trees of its image, the lowest first. A running container
 * may change them meanwhile; what vanishes is left out. `everyFile`: files that look the same but were copied up count as
 * changed, since their content may differ although size and time do not. Throws `UNSUPPORTED` for an overlay with redirections.
 */
export function containerChanges(
  directory: string,
  layers: readonly string[],
  options: { everyFile?: boolean } = {},
): Change[] {
  const upper = calls.openName(AT_FDCWD, Buffer.from(join(directory, 'upper')).toString('latin1'), openFlags, 0);
  if (upper < 0) throw unpackError('open', join(directory, 'upper'), upper);
  try {
    const lower = new MergedView(layers.toReversed());
    try {
      const comparison = new Comparison(lower, options.everyFile ?? false);
      comparison.directory(upper, '', true);
      return comparison.changes;
    } finally {
      lower.close();
    }
  } finally {
    calls.closeDescriptor(upper);
  }
}

const openFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

class Comparison {
  readonly changes: Change[] = [];

  constructor(
    private readonly lower: MergedView,
    private readonly everyFile: boolean,
  ) {}

  /**
   * Compares a directory of the upper layer. `below`: whether lower layers have it too. `opaque`: what they have in it is
   * gone.
   */
  directory(fd: number, path: BytePath, below: boolean, opaque = false): void {
    const names = calls.listDirectory(fd);
    if (typeof names === 'number') throw unpackError('list', path, names);
    const present = new Set<BytePath>();
    const deleted: BytePath[] = [];
    for (const name of names.map((entry) => entry.name).sort()) {
      const inner = joinPath(path, name);
      const stat = calls.stat(fd, name);
      if (stat === -errno.ENOENT) continue;
      if (typeof stat === 'number') throw unpackError('look at', inner, stat);
      if (isWhiteout(stat)) {
        if (below && !opaque && this.lowerStat(inner) !== undefined) deleted.push(inner);
        continue;
      }
      present.add(name);
      this.compare(fd, name, inner, stat, below);
    }
    if (below && opaque) {
      for (const name of this.lowerNames(path)) if (!present.has(name)) deleted.push(joinPath(path, name));
    }
    for (const inner of deleted.sort()) this.changes.push({ kind: 'D', path: inner });
  }

  private compare(fd: number, name: BytePath, path: BytePath, stat: calls.Stat, below: boolean): void {
    for (const attribute of indirections) {
      if (typeof calls.getXattr(fd, name, attribute) !== 'object') continue;
      throw new TsrunError('UNSUPPORTED', `"${path}" in the container is described by ${attribute}`, {
        hint: 'the overlay module has redirect_dir or metacopy on: turn them off in /sys/module/overlay/parameters',
      });
    }
    const lower = below ? this.lowerStat(path) : undefined;
    const start = this.changes.length;
    const known = lower !== undefined;
    const kind = known ? (this.isChanged(fd, name, path, lower, stat) ? 'C' : undefined) : 'A';
    if (kind !== undefined) this.changes.push({ kind, path });
    if (stat.type === S_IFDIR) {
      const inner = calls.openName(fd, name, openFlags, 0);
      if (inner >= 0) {
        try {
          this.directory(inner, path, lower?.type === S_IFDIR, isOpaque(fd, name));
        } finally {
          calls.closeDescriptor(inner);
        }
      } else if (inner !== -errno.ENOENT && inner !== -errno.ENOTDIR) throw unpackError('open', path, inner);
    }
    const within = this.changes.length - start - (kind === undefined ? 0 : 1);
    if (kind === 'A' && within === 0 && isOwnMountPoint(path, stat)) this.changes.pop();
    if (kind === undefined && within > 0) this.changes.splice(start, 0, { kind: 'C', path });
  }

  private isChanged(fd: number, name: BytePath, path: BytePath, before: calls.Stat, after: calls.Stat): boolean {
    if (differs(before, after) || (this.everyFile && after.type !== S_IFDIR)) return true;
    const found = this.lower.lookup(path);
    const place =
      found.kind === 'other'
        ? found
        : { fd: found.kind === 'directory' ? (found.directory.fds[0] ?? -1) : -1, name: '.' };
    return !sameXattrs(readXattrs(place), readXattrs({ fd, name }));
  }

  private lowerStat(path: BytePath): calls.Stat | undefined {
    const found = this.lower.lookup(path);
    if (found.kind === 'absent') return undefined;
    if (found.kind === 'other') return found.stat;
    return checkStat(calls.stat(found.directory.fds[0] ?? -1, ''), path);
  }

  private lowerNames(path: BytePath): BytePath[] {
    return this.lower.names(path);
  }
}

function isOwnMountPoint(path: BytePath, stat: calls.Stat): boolean {
  return ownMountPoints.has(path) && (stat.type === S_IFDIR || (stat.type === S_IFREG && stat.size === 0));
}

/** File capabilities among them: to set them changes no time. */
function sameXattrs(a: ReadonlyMap<string, Uint8Array>, b: ReadonlyMap<string, Uint8Array>): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([name, value]) => {
    const other = b.get(name);
    return other !== undefined && Buffer.compare(value, other) === 0;
  });
}

function differs(before: calls.Stat, after: calls.Stat): boolean {
  if (before.type !== after.type || before.mode !== after.mode) return true;
  if (before.uid !== after.uid || before.gid !== after.gid) return true;
  if (before.major !== after.major || before.minor !== after.minor) return true;
  if (after.type === S_IFDIR) return false;
  const { mtime } = before;
  return before.size !== after.size || mtime.seconds !== after.mtime.seconds || differsInNanoseconds(before, after);
}

/** Archives cut times to seconds: a zero says nothing. */
function differsInNanoseconds(before: calls.Stat, after: calls.Stat): boolean {
  const [a, b] = [before.mtime.nanoseconds, after.mtime.nanoseconds];
  return a !== b && a !== 0 && b !== 0;
}
