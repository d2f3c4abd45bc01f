/**
 * One file, directory, link or device as a member of an archive, read by descriptors: a name is opened as a handle
 * (man 2 openat, O_PATH) that follows no link, and everything else is asked of that handle. So whoever changes the tree
 * meanwhile can neither lead out of it nor have a device or a fifo opened.
 */
import {
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
} from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { AT_FDCWD } from '../../linux/fs.ts';
import type { BytePath } from '../unpack/byte-path.ts';
import * as calls from '../unpack/calls.ts';
import { readXattrs } from '../unpack/copy-node.ts';
import type { EntryType } from '../unpack/entry.ts';
import { unpackError } from '../unpack/failures.ts';
import type { TarMember } from './tar-header.ts';
import type { TarWriter } from './tar-writer.ts';

const types: Readonly<Record<number, EntryType>> = {
  [S_IFREG]: 'file',
  [S_IFDIR]: 'directory',
  [S_IFLNK]: 'symlink',
  [S_IFCHR]: 'character',
  [S_IFBLK]: 'block',
  [S_IFIFO]: 'fifo',
};

/** Hard links of one archive: the first name that each file with several was written under. */
export class LinkTable {
  private readonly first = new Map<string, BytePath>();

  /** The name under which this file was written before; else notes that it is `path` now. */
  seen(stat: calls.Stat, path: BytePath): BytePath | undefined {
    if (stat.type === S_IFDIR || stat.links < 2) return undefined;
    const key = `${stat.device} ${stat.inode}`;
    const known = this.first.get(key);
    if (known === undefined) this.first.set(key, path);
    return known;
  }
}

/** What a name is, held by a handle until `close`. */
export class TreeNode {
  private constructor(
    readonly fd: number,
    readonly stat: calls.Stat,
    private readonly directory: number,
    private readonly name: BytePath,
  ) {}

  /** Opens `name` (`.`: the directory itself); undefined where it is not there any more. `path` is for messages; `owner` says whose it is. */
  static open(
    directory: number,
    name: BytePath,
    path: BytePath,
    owner?: (ids: { uid: number; gid: number }) => { uid: number; gid: number },
  ): TreeNode | undefined {
    const fd = calls.openName(directory, name, O_PATH | O_NOFOLLOW, 0);
    if (fd === -errno.ENOENT) return undefined;
    if (fd < 0) throw unpackError('open', path, fd);
    const stat = calls.stat(fd, '');
    if (typeof stat === 'number') {
      calls.closeDescriptor(fd);
      throw unpackError('look at', path, stat);
    }
    return new TreeNode(fd, owner === undefined ? stat : { ...stat, ...owner(stat) }, directory, name);
  }

  get isDirectory(): boolean {
    return this.stat.type === S_IFDIR;
  }

  /** Undefined for sockets, which no archive can hold. */
  get type(): EntryType | undefined {
    return types[this.stat.type];
  }

  close(): void {
    calls.closeDescriptor(this.fd);
  }

  /** The header's fields under the name `path`; the content is not among them. */
  member(type: EntryType, path: BytePath): TarMember {
    const { mode, uid, gid, size, mtime, major, minor } = this.stat;
    const member: TarMember = { path, type, mode, uid, gid, mtime, size: type === 'file' ? size : 0 };
    member.xattrs = this.xattrs();
    if (type === 'symlink') {
      const target = calls.readLink(this.fd, '');
      if (typeof target === 'number') throw unpackError('read the link', path, target);
      member.linkPath = target;
    }
    if (type === 'character' || type === 'block') {
      member.major = major;
      member.minor = minor;
    }
    return member;
  }

  private xattrs(): ReadonlyMap<BytePath, Uint8Array> {
    return readXattrs({ fd: this.directory, name: this.name });
  }

  /** Opens the same file for reading: through the handle, so that it is this one and no other. The caller closes it. */
  openForReading(path: BytePath): number {
    const fd = calls.openName(AT_FDCWD, `/proc/self/fd/${this.fd}`, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0) throw unpackError('open', path, fd);
    return fd;
  }

  /** Writes the member under the name `path`, with its content; of a directory nothing but itself. */
  write(writer: TarWriter, path: BytePath, links: LinkTable): void {
    const { type } = this;
    if (type === undefined) return;
    const linkPath = links.seen(this.stat, path);
    if (linkPath !== undefined) {
      const { mode, uid, gid, mtime } = this.stat;
      writer.header({ path, type: 'hardlink', linkPath, mode, uid, gid, mtime, size: 0 });
      return;
    }
    const member = this.member(type, path);
    if (type !== 'file' || member.size === 0) {
      writer.header(member);
      return;
    }
    const fd = this.openForReading(path);
    try {
      writer.header(member);
      writer.contentFrom(fd, path);
    } finally {
      calls.closeDescriptor(fd);
    }
  }
}
