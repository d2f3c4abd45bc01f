/**
 * Extracts an archive into a directory of a container (`cp - CONTAINER:PATH`): the entries of the tar parser, put in their
 * places by descriptors. Links of the container in the middle of an entry's path are not followed, and `..` is refused.
 */
import { TsrunError } from '../../error.ts';
import { type BytePath, checkLinkTarget, printable, splitPath } from '../../image/unpack/byte-path.ts';
import * as calls from '../../image/unpack/calls.ts';
import type { Attributes, Entry, EntrySink } from '../../image/unpack/entry.ts';
import { unpackError } from '../../image/unpack/failures.ts';
import { FileContent } from '../../image/unpack/file-content.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import * as places from './place.ts';
import { must, type Owner, type Place } from './place.ts';

export class Extraction implements EntrySink {
  private readonly content = new FileContent();
  private fd = -1;
  private file: Entry | undefined;
  /** Directories get their attributes when nothing is made in them any more. */
  private readonly directories: { path: BytePath; attributes: Attributes }[] = [];

  /** `open`: opens a directory for reading by its path below the one that is extracted to; undefined: it is not there. */
  constructor(
    private readonly open: (path: BytePath) => number | undefined,
    private readonly owner: (entry: Owner) => Owner,
  ) {}

  entry(entry: Entry): void {
    const components = splitPath(entry.path);
    const name = components.pop();
    // The directory itself stays as it is.
    if (name === undefined) return;
    const directory = this.enter(components, true);
    try {
      this.make({ directory, name, path: [...components, name].join('/') }, entry);
    } finally {
      calls.closeDescriptor(directory);
    }
  }

  private make(place: Place, entry: Entry): void {
    const attributes = { ...entry, ...this.owner(entry) };
    switch (entry.type) {
      case 'file':
        this.fd = places.createFile(place);
        this.file = entry;
        this.content.begin(this.fd, place.path, entry.sparse);
        break;
      case 'directory':
        calls.closeDescriptor(places.enterDirectory(place));
        this.directories.push({ path: place.path, attributes });
        break;
      case 'symlink':
        checkLinkTarget(entry.linkPath, place.path);
        places.createSymlink(place, entry.linkPath, attributes);
        break;
      case 'hardlink':
        this.link(place, entry);
        break;
      default: {
        const type = entry.type === 'fifo' ? S_IFIFO : entry.type === 'block' ? S_IFBLK : S_IFCHR;
        places.createNode(place, { type, major: entry.major, minor: entry.minor }, attributes);
      }
    }
  }

  private link(place: Place, entry: Entry): void {
    const components = splitPath(entry.linkPath);
    const name = components.pop();
    if (name === undefined) throw new TsrunError('ARCHIVE', `${printable(entry.path)} is a hard link to a directory`);
    const directory = this.enter(components, false);
    try {
      places.createLink({ directory, name }, place);
    } finally {
      calls.closeDescriptor(directory);
    }
  }

  data(chunk: Uint8Array, start: number, end: number): void {
    if (this.file !== undefined) this.content.write(chunk, start, end);
  }

  end(): void {
    const { file, fd } = this;
    if (file === undefined) return;
    this.content.finish();
    places.describeOpen(fd, file.path, { ...file, ...this.owner(file) });
    this.closeFile();
  }

  /** To be called behind the last entry. */
  finish(): void {
    for (const { path, attributes } of this.directories.reverse()) {
      const fd = this.enter(path.split('/'), false);
      try {
        places.describeOpen(fd, path, attributes);
      } finally {
        calls.closeDescriptor(fd);
      }
    }
  }

  /** To be called in every case. */
  close(): void {
    this.closeFile();
    this.content.release();
  }

  private closeFile(): void {
    calls.closeDescriptor(this.fd);
    this.fd = -1;
    this.file = undefined;
  }

  /** Opens a directory for reading; with `create` what is missing is made. The caller closes it. */
  private enter(components: readonly BytePath[], create: boolean): number {
    const path = components.join('/');
    const there = this.open(path);
    if (there !== undefined) return there;
    const name = components.at(-1);
    if (!create || name === undefined) throw unpackError('open', path, -errno.ENOENT);
    const parent = this.enter(components.slice(0, -1), true);
    const made = calls.makeDirectory(parent, name, 0o755);
    calls.closeDescriptor(parent);
    if (made < 0 && made !== -errno.EEXIST) throw unpackError('make', path, made);
    return this.open(path) ?? must(-errno.ENOENT, 'open', path);
  }
}
