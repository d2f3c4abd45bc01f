/**
 * Where a path of a container is among its layers, for those who explain it. By descriptors: a container that runs may put a link
 * where a directory was while it is looked at, and is told nothing of the host by it.
 */
import { TsrunError } from '../error.ts';
import { type BytePath, bytePath, joinPath } from '../image/unpack/byte-path.ts';
import * as calls from '../image/unpack/calls.ts';
import { checkCall, checkStat } from '../image/unpack/failures.ts';
import { isOpaque, MergedView } from '../image/unpack/merged-view.ts';
import { O_DIRECTORY, O_NOFOLLOW, O_PATH, S_IFDIR, S_IFLNK } from '../linux/constants.ts';
import { errno } from '../linux/errno.ts';
import { AT_FDCWD } from '../linux/fs.ts';

export interface LayerPath {
  /** The layer that shows it: 0 is the uppermost. */
  layer: number;
  /** In that layer, behind all links, without a slash at its beginning; `''` is the root. */
  path: string;
}

/** Looks a path up in a stack of directories, the uppermost first, with links followed inside of the stack. Throws `NOT_FOUND` for loops. */
export function locateInLayers(stack: readonly string[], path: string): LayerPath | undefined {
  const view = new MergedView(stack);
  try {
    const place = view.resolve('', bytePath(path), true);
    if (place === 'root') return { layer: 0, path: '' };
    if (place === undefined) return undefined;
    const found = view.child(place.directory, place.name);
    if (found.kind === 'absent') return undefined;
    const layer = found.kind === 'other' ? found.layer : (found.directory.layers[0] ?? 0);
    return { layer, path: textOf(joinPath(place.directory.path, place.name)) };
  } catch (error) {
    if (!(error instanceof TsrunError) || error.code !== 'ARCHIVE') throw error;
    throw new TsrunError('NOT_FOUND', `too many symlinks in "${path}" of the image`, { cause: error });
  } finally {
    view.close();
  }
}

export interface LayerFile {
  stat: calls.Stat;
  /** Of a link. */
  target: string | undefined;
}

/**
 * What one layer has at a path of `locateInLayers`, and whether it hides what layers below have there: by an opaque directory on
 * the way, or by something else where a directory was.
 */
export function lookInLayer(layer: string, path: string): { file: LayerFile | undefined; covers: boolean } {
  const root = bytePath(layer);
  let fd = checkCall(calls.openName(AT_FDCWD, root, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0), 'openat', root);
  try {
    const names = bytePath(path).split('/').filter(Boolean);
    const last = names.pop();
    if (last === undefined)
      return { file: { stat: checkStat(calls.stat(fd, ''), root), target: undefined }, covers: false };
    let covers = false;
    for (const name of names) {
      const stat = calls.stat(fd, name);
      if (stat === -errno.ENOENT) return { file: undefined, covers };
      if (checkStat(stat, name).type !== S_IFDIR) return { file: undefined, covers: true };
      covers ||= isOpaque(fd, name);
      const inner = checkCall(calls.openDirectory(fd, name), 'openat', name);
      calls.closeDescriptor(fd);
      fd = inner;
    }
    const found = calls.stat(fd, last);
    if (found === -errno.ENOENT) return { file: undefined, covers };
    const stat = checkStat(found, last);
    const target = stat.type === S_IFLNK ? calls.readLink(fd, last) : undefined;
    return {
      file: { stat, target: typeof target === 'string' ? textOf(target) : undefined },
      covers: covers || stat.type !== S_IFDIR || isOpaque(fd, last),
    };
  } finally {
    calls.closeDescriptor(fd);
  }
}

function textOf(path: BytePath): string {
  return Buffer.from(path, 'latin1').toString();
}
