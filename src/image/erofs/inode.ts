/** What an EROFS image is told about everything that is no directory. */
import type { BytePath } from '../unpack/byte-path.ts';
import type { Attributes, EntryType } from '../unpack/entry.ts';

export type InodeType = Exclude<EntryType, 'directory' | 'hardlink'>;

/** A file, link, device or fifo. Hard links are several names for one of these. */
export class Inode {
  /** Bytes of a file, with its holes. */
  size = 0;
  /** Where its content begins in the archive. */
  offset = 0;
  /** offset, length, offset, length, … of the bytes that follow each other in the archive, if the file has holes. */
  segments: readonly number[] | undefined;
  /** Of a symbolic link. */
  target: BytePath = '';
  /** Of devices. */
  major = 0;
  minor = 0;

  constructor(
    readonly type: InodeType,
    readonly attributes: Attributes,
  ) {}
}

/** As overlayfs marks what is gone: a character device 0:0. */
export function whiteout(): Inode {
  return new Inode('character', {
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    atime: undefined,
    xattrs: undefined,
  });
}
