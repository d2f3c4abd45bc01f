/** What a tar parser says about one member of an archive, and to whom. */
import type { BytePath } from './byte-path.ts';
import type { SparseMap } from './sparse.ts';

/** What is wrong with an archive, thrown where the entry is not known yet; the parser says where it was. */
export class Malformed extends Error {}

export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';

/** A time since the epoch, before it too: `seconds` may be negative, `nanoseconds` is 0-999,999,999. */
export interface Timestamp {
  seconds: number;
  nanoseconds: number;
}

/** Who owns something, who may do what with it, and when it was changed. */
export interface Attributes {
  /** Permission bits with setuid, setgid and sticky: 0-0o7777. */
  mode: number;
  uid: number;
  gid: number;
  mtime: Timestamp;
  atime: Timestamp | undefined;
  xattrs: ReadonlyMap<BytePath, Uint8Array> | undefined;
}

/** One member of an archive, all extensions applied; nothing about its path has been checked yet. */
export interface Entry extends Attributes {
  path: BytePath;
  type: EntryType;
  /** Target of a symbolic or hard link, else `''`. */
  linkPath: BytePath;
  /** Bytes that follow in the archive; 0 for everything but files. */
  size: number;
  /** Where the bytes that follow belong, if the file has holes. */
  sparse: SparseMap | undefined;
  /** Device numbers; 0 for everything but devices. */
  major: number;
  minor: number;
}

/** Receives an archive: `entry`, any number of `data`, `end`; then the next. */
export interface EntrySink {
  entry(entry: Entry): void;
  /** Bytes `start` to `end` of `chunk` are content; they are valid only during the call. */
  data(chunk: Uint8Array, start: number, end: number): void;
  end(): void;
}
