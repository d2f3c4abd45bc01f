/** Where the files of a tar archive are in it: archives of images are read from here and there, in no order of theirs. */
import { errno } from '../../linux/errno.ts';
import { addressOf, keepAlive, rawSyscall } from '../../linux/ffi.ts';
import { check } from '../../linux/fs.ts';
import { numbersOf } from '../../linux/syscalls.ts';
import { archiveError, type BytePath } from '../unpack/byte-path.ts';
import type { Entry, EntrySink } from '../unpack/entry.ts';
import { TarParser } from '../unpack/tar-parser.ts';

const NR = numbersOf('pread64');

const chunkSize = 1024 * 1024;
/** An archive of images has a few files for each layer. */
const entriesMax = 100_000;
const linksMax = 10;

type Member = { kind: 'file'; offset: number; size: number } | { kind: 'link'; target: BytePath };

/** A file of the archive: bytes from `offset` on. */
export interface MemberContent {
  offset: number;
  size: number;
}

export class ArchiveIndex {
  private readonly members = new Map<BytePath, Member>();

  /** Reads the archive once, from its beginning. Throws `ARCHIVE`. */
  constructor(private readonly fd: number) {
    const sink = new IndexSink(this.members);
    const parser = new TarParser(sink);
    const buffer = Buffer.allocUnsafeSlow(chunkSize);
    for (let position = 0; ; ) {
      const got = this.readAt(buffer, position);
      if (got === 0) break;
      sink.position = position;
      parser.push(buffer.subarray(0, got));
      position += got;
    }
    parser.finish();
  }

  /** A file by its path; links (docker's for a layer that is there twice) are followed within the archive. */
  find(path: string): MemberContent | undefined {
    let at = normalize(path);
    for (let links = 0; links <= linksMax; links++) {
      const member = this.members.get(at);
      if (member === undefined || member.kind === 'file') return member;
      at = normalize(member.target);
    }
    return undefined;
  }

  /** The content of a small file. Throws `ARCHIVE` where it is longer than `max` bytes. */
  bytes(path: string, max: number): Buffer | undefined {
    const member = this.find(path);
    if (member === undefined) return undefined;
    if (member.size > max) throw archiveError(path, `has ${member.size} bytes, more than ${max}`, wrongArchive);
    const buffer = Buffer.alloc(member.size);
    let fill = 0;
    for (const chunk of this.chunks(member)) {
      chunk.copy(buffer, fill);
      fill += chunk.length;
    }
    return buffer;
  }

  /** The content of a file in pieces; the memory of each is the caller's. */
  *chunks({ offset, size }: MemberContent): Generator<Buffer> {
    for (let at = 0; at < size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(chunkSize, size - at));
      const got = this.readAt(buffer, offset + at);
      if (got === 0) throw archiveError(undefined, 'became shorter while it was read', wrongArchive);
      at += got;
      yield buffer.subarray(0, got);
    }
  }

  private readAt(buffer: Buffer, offset: number): number {
    for (;;) {
      const result = rawSyscall(NR.pread64, this.fd, addressOf(buffer), buffer.length, offset);
      keepAlive(buffer);
      if (result !== -errno.EINTR) return check(result, 'pread64');
    }
  }
}

export const wrongArchive = 'write it again: docker save, podman save or skopeo copy make such archives';

/** `./a//b/../c` is `a/c`; what would lead out of the archive leads to its top. */
function normalize(path: BytePath): BytePath {
  const parts: BytePath[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

class IndexSink implements EntrySink {
  /** Of the chunk that is being parsed, in the archive. */
  position = 0;
  private current: { kind: 'file'; offset: number; size: number } | undefined;
  private started = false;

  constructor(private readonly members: Map<BytePath, Member>) {}

  entry(entry: Entry): void {
    if (this.members.size >= entriesMax) {
      throw archiveError(
        entry.path,
        `is one too many: an archive of images has at most ${entriesMax} files`,
        wrongArchive,
      );
    }
    const path = normalize(entry.path);
    this.current = undefined;
    this.started = false;
    if (entry.type === 'file') {
      if (entry.sparse !== undefined) throw archiveError(entry.path, 'is a sparse file', wrongArchive);
      this.current = { kind: 'file', offset: 0, size: entry.size };
      this.members.set(path, this.current);
    } else if (entry.type === 'symlink') {
      const directory = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
      const target = entry.linkPath.startsWith('/') ? entry.linkPath : `${directory}/${entry.linkPath}`;
      this.members.set(path, { kind: 'link', target });
    } else if (entry.type === 'hardlink') {
      this.members.set(path, { kind: 'link', target: entry.linkPath });
    }
  }

  data(_chunk: Uint8Array, start: number): void {
    if (this.current !== undefined && !this.started) this.current.offset = this.position + start;
    this.started = true;
  }

  end(): void {}
}
