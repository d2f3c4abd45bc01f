/** Copies files of a context or a stage into a directory of the host, for a command that is to see them there. */
import { TsrunError } from '../error.ts';
import { LinkTable } from '../image/archive/node.ts';
import { setXattrs } from '../image/unpack/attributes.ts';
import type { BytePath } from '../image/unpack/byte-path.ts';
import * as calls from '../image/unpack/calls.ts';
import { copyNode, readXattrs } from '../image/unpack/copy-node.ts';
import { checkCall } from '../image/unpack/failures.ts';
import { splitLast } from '../image/unpack/layer-access.ts';
import { O_DIRECTORY, O_PATH, S_IFDIR } from '../linux/constants.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import type { SourceEntry, SourceFiles, SourceItem } from './source-files.ts';

/** What stands for the entry in the directory that it is copied to. */
const top = 'content';

/**
 * Copies an entry into `directory`, which is empty. Returns the path of the copy: `directory/content`. Hard links stay such
 * among themselves. What belongs to somebody on the host belongs to root here.
 */
export function copyOut(files: SourceFiles, entry: SourceEntry, directory: string): string {
  const fd = openat(AT_FDCWD, directory, O_PATH | O_DIRECTORY);
  try {
    const directories: SourceItem[] = [];
    const links = new LinkTable();
    for (const item of files.items(entry)) {
      if (item.stat.type === S_IFDIR) {
        within(fd, item, (parent, name) => checkCall(calls.makeDirectory(parent, name, 0o700), 'mkdirat', item.path));
        directories.push(item);
        continue;
      }
      const first = links.seen(item.stat, item.relative);
      if (first === undefined) copyOne(files, fd, item);
      else linkOne(fd, first, item);
    }
    // Whoever made something in them has changed their times.
    for (const item of directories.reverse()) describe(files, fd, item);
    return `${directory}/${top}`;
  } finally {
    close(fd);
  }
}

function within<T>(
  fd: number,
  { relative }: Pick<SourceItem, 'relative'>,
  use: (parent: number, name: BytePath) => T,
): T {
  const [parent, name] = splitLast(relative === '' ? top : `${top}/${relative}`);
  const opened = checkCall(calls.openBeneath(fd, parent), 'openat2', parent);
  try {
    return use(opened, name);
  } finally {
    calls.closeDescriptor(opened);
  }
}

function linkOne(fd: number, first: BytePath, item: SourceItem): void {
  within(fd, { relative: first }, (from, name) =>
    within(fd, item, (to, other) => checkCall(calls.link(from, name, to, other), 'linkat', item.path)),
  );
}

function copyOne(files: SourceFiles, fd: number, item: SourceItem): void {
  within(fd, item, (parent, name) => {
    files.withHolder(item.path, (from) => {
      const stat = calls.stat(from.fd, from.name);
      if (typeof stat === 'number')
        throw new TsrunError('USAGE', `${item.path} vanished from ${files.title} meanwhile`);
      copyNode(from, files.isContext ? { ...stat, uid: 0, gid: 0 } : stat, { fd: parent, name }, item.path);
    });
  });
}

function describe(files: SourceFiles, fd: number, item: SourceItem): void {
  const { mode, uid, gid, atime, mtime } = item.stat;
  within(fd, item, (parent, name) => {
    const owner = files.isContext ? { uid: 0, gid: 0 } : { uid, gid };
    checkCall(calls.changeOwner(parent, name, owner.uid, owner.gid), 'fchownat', item.path);
    checkCall(calls.changeMode(parent, name, mode), 'fchmodat', item.path);
    files.withHolder(item.path, (from) => setXattrs(parent, name, item.path, readXattrs(from)));
    checkCall(calls.setTimes(parent, name, atime, mtime), 'utimensat', item.path);
  });
}
