/**
 * A push parser for tar: takes the archive in pieces of any size, tells a sink what it contains. Synchronous, without
 * I/O, and with bounded memory: whatever an archive makes it keep (names, extended headers, sparse maps) has a limit.
 * Where dialects disagree it reads as Go's archive/tar does, and so as docker and containerd do, or refuses.
 */
import { archiveError, type BytePath, printable } from './byte-path.ts';
import { type Entry, type EntrySink, type EntryType, Malformed } from './entry.ts';
import { blockSize, type Header, isZeroBlock, parseHeader } from './header.ts';
import { noRecords, type PaxRecords, parsePax, paxName, paxNumber, paxTime, paxXattrs } from './pax.ts';
import {
  checkSparse,
  gnuSparseExtension,
  gnuSparseHeader,
  paxSparse,
  type SparseMap,
  SparseMapReader,
} from './sparse.ts';

/** Extended headers and long names end here, in bytes; Go's reader has the same limit. */
const metadataMax = 1024 * 1024;

/** Keys that would give every entry the same name or size; readers disagree about them, so nobody may use them. */
const notGlobal = /^(path|linkpath|size|GNU\.sparse\..*)$/;

const entryTypes: Partial<Record<string, EntryType>> = {
  '0': 'file',
  '7': 'file', // contiguous
  S: 'file', // GNU sparse
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  D: 'directory', // GNU incremental: its content is a list of names
  '6': 'fifo',
};

type State = 'header' | 'gnu-sparse' | 'pax-sparse' | 'metadata' | 'content' | 'padding' | 'end';

export class TarParser {
  private state: State = 'header';
  /** A block that is not complete yet. */
  private readonly block = Buffer.alloc(blockSize);
  private blockFill = 0;
  /** Bytes of the current content, metadata or padding that are still to come. */
  private remaining = 0;
  private padding = 0;
  /** Whether the current content goes to the sink. */
  private delivering = false;
  private metadata: Buffer | undefined;
  private metadataType = '';
  private headers = 0;
  private zeroBlocks = 0;
  private last: BytePath | undefined;

  /** Extensions that apply to the next entry, and those for all further ones. */
  private extended: PaxRecords | undefined;
  private longName: BytePath | undefined;
  private longLink: BytePath | undefined;
  private extendedBytes = 0;
  private readonly globals: PaxRecords = noRecords();

  /** An entry whose sparse map is being read. */
  private pending: Entry | undefined;
  private mapReader: SparseMapReader | undefined;

  constructor(private readonly sink: EntrySink) {}

  /** Takes the next piece of the archive. Throws `ARCHIVE`, after which the parser is of no use. */
  push(chunk: Buffer): void {
    try {
      this.consume(chunk);
    } catch (error) {
      throw this.located(error);
    }
  }

  /** Says that the archive ends here. Throws `ARCHIVE` if it must not; missing end blocks and padding are forgiven. */
  finish(): void {
    const extensions = this.extended !== undefined || this.longName !== undefined || this.longLink !== undefined;
    const between = (this.state === 'header' && this.blockFill === 0) || this.state === 'padding';
    if (this.state !== 'end' && (!between || extensions))
      throw this.located(new Malformed('ends in the middle of an entry'));
  }

  private located(error: unknown): unknown {
    if (!(error instanceof Malformed)) return error;
    const where = this.last === undefined ? '' : `, at or after entry ${printable(this.last)}`;
    return archiveError(undefined, `${error.message}${where}`);
  }

  private consume(chunk: Buffer): void {
    let position = 0;
    while (position < chunk.length) {
      switch (this.state) {
        case 'content':
        case 'metadata': {
          const end = Math.min(chunk.length, position + this.remaining);
          if (this.state === 'metadata') {
            const { metadata } = this;
            if (metadata !== undefined) chunk.copy(metadata, metadata.length - this.remaining, position, end);
          } else if (this.delivering) {
            this.sink.data(chunk, position, end);
          }
          this.remaining -= end - position;
          position = end;
          if (this.remaining === 0) this.endOfBody();
          break;
        }
        case 'padding': {
          const step = Math.min(chunk.length - position, this.padding);
          this.padding -= step;
          position += step;
          if (this.padding === 0) this.state = 'header';
          break;
        }
        case 'end':
          // What follows the end of an archive is nobody's business (it still counts for the diffID).
          return;
        default:
          if (this.blockFill === 0 && chunk.length - position >= blockSize) {
            this.takeBlock(chunk, position);
            position += blockSize;
          } else {
            const step = Math.min(chunk.length - position, blockSize - this.blockFill);
            chunk.copy(this.block, this.blockFill, position, position + step);
            this.blockFill += step;
            position += step;
            if (this.blockFill === blockSize) {
              this.blockFill = 0;
              this.takeBlock(this.block, 0);
            }
          }
      }
    }
  }

  private takeBlock(buffer: Buffer, offset: number): void {
    if (this.state === 'header') this.takeHeader(buffer, offset);
    else if (this.state === 'gnu-sparse') this.takeGnuSparse(buffer, offset);
    else this.takePaxSparse(buffer, offset);
  }

  private takeHeader(buffer: Buffer, offset: number): void {
    if (buffer[offset] === 0 && isZeroBlock(buffer, offset)) {
      this.zeroBlocks++;
      if (this.zeroBlocks === 2) this.state = 'end';
      return;
    }
    if (this.zeroBlocks > 0) throw new Malformed('goes on after its end block');
    const header = parseHeader(buffer, offset, this.headers === 0);
    this.headers++;
    if (header.size < 0) throw new Malformed(`has an entry of negative size (${header.size})`);
    switch (header.type) {
      case 'x':
      case 'X': // Solaris, before POSIX had one
      case 'g':
      case 'L':
      case 'K':
        this.startMetadata(header);
        return;
      case 'V': // GNU: a label of the archive
        this.clearExtensions();
        this.startContent(header.size, false);
        return;
      default:
        this.startEntry(header, buffer, offset);
    }
  }

  private startMetadata(header: Header): void {
    // Several may precede one entry; together they must stay below the limit.
    this.extendedBytes += header.size;
    if (this.extendedBytes > metadataMax) {
      throw new Malformed(`has extended headers of ${this.extendedBytes} bytes; the limit is ${metadataMax}`);
    }
    this.metadataType = header.type;
    this.metadata = Buffer.allocUnsafe(header.size);
    this.remaining = header.size;
    this.padding = paddingOf(header.size);
    this.state = 'metadata';
    if (header.size === 0) this.endOfBody();
  }

  private startEntry(header: Header, buffer: Buffer, offset: number): void {
    const entry = this.assemble(header);
    this.last = entry.path;
    const sparse = header.type === '0' || header.type === '7' ? this.sparseOf(entry.path) : undefined;
    this.clearExtensions();
    if (header.type === 'S') {
      const { map, extended } = gnuSparseHeader(buffer, offset);
      entry.sparse = map;
      this.pending = entry;
      if (extended) this.state = 'gnu-sparse';
      else this.deliver(entry, entry.size);
      return;
    }
    if (sparse?.name !== undefined) {
      entry.path = sparse.name;
      this.last = sparse.name;
    }
    if (entry.type === 'file' && entry.path.endsWith('/')) {
      // V7 knows no directories but by this.
      if (entry.size > 0) throw archiveError(entry.path, 'is a directory with content');
      entry.type = 'directory';
    }
    if (sparse === undefined) {
      if (entry.type === 'file') {
        this.deliver(entry, entry.size);
      } else {
        // A size here is a leftover of the writer: no content follows, but in GNU's directories (D).
        const skip = header.type === 'D' ? entry.size : 0;
        entry.size = 0;
        this.deliver(entry, 0);
        if (skip > 0) this.startContent(skip, false);
      }
    } else if ('mapInContent' in sparse) {
      this.pending = entry;
      this.mapReader = new SparseMapReader(entry.path, sparse.realSize);
      this.state = 'pax-sparse';
    } else {
      entry.sparse = { segments: sparse.segments, realSize: sparse.realSize };
      this.deliver(entry, entry.size);
    }
  }

  /** The entry that the header and all extensions before it describe; its sparse map is still missing. */
  private assemble(header: Header): Entry {
    const type = entryTypes[header.type];
    const { extended, globals } = this;
    const name = (key: string) => (extended && paxName(extended, key)) ?? undefined;
    const path = name('path') ?? this.longName ?? header.path;
    if (type === undefined) {
      throw archiveError(path, `is of a type that is not known (${printable(header.type)})`);
    }
    const entry: Entry = {
      path,
      type,
      linkPath: type === 'symlink' || type === 'hardlink' ? (name('linkpath') ?? this.longLink ?? header.linkPath) : '',
      mode: header.mode,
      uid: header.uid,
      gid: header.gid,
      size: header.size,
      mtime: { seconds: header.mtime, nanoseconds: 0 },
      atime: undefined,
      major: header.major,
      minor: header.minor,
      xattrs: undefined,
      sparse: undefined,
    };
    if (extended === undefined && globals.values.size === 0) return entry;
    for (const records of extended === undefined ? [globals] : [globals, extended]) {
      entry.uid = paxNumber(records, 'uid') ?? entry.uid;
      entry.gid = paxNumber(records, 'gid') ?? entry.gid;
      entry.size = paxNumber(records, 'size') ?? entry.size;
      entry.mtime = paxTime(records, 'mtime') ?? entry.mtime;
      entry.atime = paxTime(records, 'atime') ?? entry.atime;
      entry.major = paxNumber(records, 'SCHILY.devmajor') ?? entry.major;
      entry.minor = paxNumber(records, 'SCHILY.devminor') ?? entry.minor;
      entry.xattrs = paxXattrs(records) ?? entry.xattrs;
    }
    return entry;
  }

  private sparseOf(path: BytePath): ReturnType<typeof paxSparse> {
    return this.extended === undefined ? undefined : paxSparse(this.extended, path);
  }

  private takeGnuSparse(buffer: Buffer, offset: number): void {
    const { pending } = this;
    if (pending?.sparse === undefined) throw new Malformed('has a sparse map without a file');
    if (!gnuSparseExtension(buffer, offset, pending.sparse, pending.path)) this.deliver(pending, pending.size);
  }

  private takePaxSparse(buffer: Buffer, offset: number): void {
    const { pending, mapReader } = this;
    if (pending === undefined || mapReader === undefined) throw new Malformed('has a sparse map without a file');
    const map: SparseMap | undefined = mapReader.block(buffer, offset);
    if (mapReader.bytes > pending.size)
      throw archiveError(pending.path, 'has a sparse map that is longer than the entry');
    if (map === undefined) return;
    // The map counts as content, in whole blocks, so that the padding stays that of the entry.
    pending.size -= mapReader.bytes;
    pending.sparse = map;
    this.deliver(pending, pending.size);
  }

  private deliver(entry: Entry, size: number): void {
    if (entry.sparse !== undefined) checkSparse(entry.sparse, size, entry.path);
    this.pending = undefined;
    this.mapReader = undefined;
    this.sink.entry(entry);
    this.startContent(size, true);
  }

  private startContent(size: number, deliver: boolean): void {
    this.delivering = deliver;
    this.remaining = size;
    this.padding = paddingOf(size);
    this.state = 'content';
    if (size === 0) this.endOfBody();
  }

  private endOfBody(): void {
    const metadata = this.state === 'metadata' ? this.metadata : undefined;
    const delivered = this.state === 'content' && this.delivering;
    this.state = this.padding === 0 ? 'header' : 'padding';
    this.delivering = false;
    this.metadata = undefined;
    if (metadata !== undefined) this.takeMetadata(metadata);
    if (delivered) this.sink.end();
  }

  private takeMetadata(body: Buffer): void {
    switch (this.metadataType) {
      case 'L':
        this.longName = nulTerminated(body);
        return;
      case 'K':
        this.longLink = nulTerminated(body);
        return;
      case 'g':
        this.takeGlobals(body);
        return;
      default:
        this.extended ??= noRecords();
        parsePax(body, this.extended);
    }
  }

  private takeGlobals(body: Buffer): void {
    const records = noRecords();
    parsePax(body, records);
    if (records.sparsePairs.length > 0) records.values.set('GNU.sparse.offset', Buffer.alloc(0));
    for (const [key, value] of records.values) {
      if (notGlobal.test(key))
        throw new Malformed(`sets ${printable(key)} for all entries, which readers disagree about`);
      this.globals.values.set(key, Buffer.from(value));
    }
    let sum = 0;
    for (const [key, value] of this.globals.values) sum += key.length + value.length;
    if (sum > metadataMax) throw new Malformed(`has global extended headers of more than ${metadataMax} bytes`);
  }

  private clearExtensions(): void {
    this.extendedBytes = 0;
    this.extended = undefined;
    this.longName = undefined;
    this.longLink = undefined;
  }
}

function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

function nulTerminated(body: Buffer): BytePath {
  const end = body.indexOf(0);
  return body.toString('latin1', 0, end < 0 ? body.length : end);
}
