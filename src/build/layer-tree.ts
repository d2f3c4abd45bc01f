/**
 * A layer that COPY, ADD and WORKDIR make: new files by path, put where the links of the layers below lead, each kept
 * inside their root. Written as an archive in which the directories above stand as they are below, names sorted.
 */
import { TsrunError } from '../error.ts';
import { LinkTable, TreeNode } from '../image/archive/node.ts';
import type { TarMember } from '../image/archive/tar-header.ts';
import type { TarWriter } from '../image/archive/tar-writer.ts';
import { type BytePath, bytePath, joinPath, printable } from '../image/unpack/byte-path.ts';
import { closeDescriptor, type Stat } from '../image/unpack/calls.ts';
import { splitLast } from '../image/unpack/layer-access.ts';
import type { MergedView } from '../image/unpack/merged-view.ts';
import { S_IFDIR } from '../linux/constants.ts';
import type { ModeChange } from './dockerfile/chmod.ts';
import { cleanPath } from './ignore.ts';
import type { SourceFiles } from './source-files.ts';

export interface Owner {
  uid: number;
  gid: number;
}

type NewFile =
  | { kind: 'directory'; mode: number; owner: Owner }
  | { kind: 'text'; mode: number; owner: Owner; bytes: Uint8Array }
  | {
      kind: 'copy';
      files: SourceFiles;
      path: BytePath;
      isDirectory: boolean;
      mode: ModeChange | undefined;
      owner: Owner | undefined;
    };

/** Where a path of the image leads. */
export interface Destination {
  /** Canonical, without a slash at its beginning; `''` is the root. */
  path: BytePath;
  kind: 'directory' | 'other' | 'absent';
}

export class LayerTree {
  private readonly added = new Map<BytePath, NewFile>();

  /** `below`: the layers that it lies on. `clock`: the time of what is made, in seconds since 1970. */
  constructor(
    private readonly below: MergedView,
    private readonly clock: number,
  ) {}

  get isEmpty(): boolean {
    return this.added.size === 0;
  }

  /** Where an absolute path leads when the links of the image are followed. Throws `USAGE` where a file is in the way. */
  resolve(path: string): Destination {
    const clean = bytePath(cleanPath(path));
    const place = this.below.resolve('', clean, true);
    if (place === undefined) {
      throw new TsrunError('USAGE', `cannot copy to /${cleanPath(path)}: a part of it is no directory in the image`);
    }
    if (place === 'root') return { path: '', kind: 'directory' };
    const found = [joinPath(place.directory.path, place.name), ...place.rest].join('/');
    return { path: found, kind: this.kindOf(found) };
  }

  /** What there is at a canonical path: in this layer, or below it. */
  kindOf(path: BytePath): Destination['kind'] {
    if (path === '') return 'directory';
    const own = this.added.get(path);
    if (own !== undefined)
      return own.kind === 'directory' || (own.kind === 'copy' && own.isDirectory) ? 'directory' : 'other';
    const found = this.below.lookup(path);
    return found.kind;
  }

  /** Makes a directory and those above it, as far as they are missing. */
  makeDirectory(path: BytePath, owner: Owner, mode = 0o755): void {
    const parts = path === '' ? [] : path.split('/');
    for (let count = 1; count <= parts.length; count++) {
      const at = parts.slice(0, count).join('/');
      const kind = this.kindOf(at);
      if (kind === 'other')
        throw new TsrunError('USAGE', `cannot make the directory ${printable(`/${at}`)}: there is a file`);
      if (kind === 'absent')
        this.added.set(at, { kind: 'directory', mode: count === parts.length ? mode : 0o755, owner });
    }
  }

  /** A file of this content. */
  addText(path: BytePath, bytes: Uint8Array, mode: number, owner: Owner): void {
    this.expectPlace(path, false);
    this.makeDirectory(splitLast(path)[0], owner);
    this.added.set(path, { kind: 'text', bytes, mode, owner });
  }

  /** A file, link or directory (without what is in it) of `files`. `owner` absent: as it is there. */
  addCopy(
    path: BytePath,
    files: SourceFiles,
    from: { path: BytePath; stat: Stat },
    { owner, mode }: { owner: Owner | undefined; mode: ModeChange | undefined },
  ): void {
    const isDirectory = from.stat.type === S_IFDIR;
    this.expectPlace(path, isDirectory);
    this.makeDirectory(splitLast(path)[0], owner ?? { uid: 0, gid: 0 });
    this.added.set(path, { kind: 'copy', files, path: from.path, isDirectory, mode, owner });
  }

  private expectPlace(path: BytePath, isDirectory: boolean): void {
    const kind = this.kindOf(path);
    const shown = printable(`/${path}`);
    if (kind === 'directory' && !isDirectory) {
      throw new TsrunError('USAGE', `cannot replace the directory ${shown} with a file`);
    }
    if (kind === 'other' && isDirectory) throw new TsrunError('USAGE', `cannot copy to non-directory: ${shown}`);
  }

  /** Writes the members; the caller ends the archive. */
  write(writer: TarWriter): void {
    const links = new Map<SourceFiles, LinkTable>();
    const parents = new Set<BytePath>();
    for (const path of this.added.keys()) {
      for (let [parent] = splitLast(path); parent !== ''; [parent] = splitLast(parent)) {
        if (!this.added.has(parent)) parents.add(parent);
      }
    }
    for (const path of [...this.added.keys(), ...parents].sort()) {
      const file = this.added.get(path);
      if (file === undefined) this.writeParent(writer, path);
      else this.writeFile(writer, path, file, links);
    }
  }

  /** A directory above, with the attributes that it has below. */
  private writeParent(writer: TarWriter, path: BytePath): void {
    const found = this.below.lookup(path);
    if (found.kind !== 'directory') return;
    const node = TreeNode.open(found.directory.fds[0] ?? -1, '.', path);
    if (node === undefined) return;
    try {
      writer.header(node.member('directory', path));
    } finally {
      node.close();
    }
  }

  private writeFile(writer: TarWriter, path: BytePath, file: NewFile, links: Map<SourceFiles, LinkTable>): void {
    const mtime = { seconds: this.clock, nanoseconds: 0 };
    if (file.kind === 'directory') {
      writer.header({ path, type: 'directory', mode: file.mode, ...file.owner, size: 0, mtime });
      return;
    }
    if (file.kind === 'text') {
      writer.header({ path, type: 'file', mode: file.mode, ...file.owner, size: file.bytes.length, mtime });
      if (file.bytes.length > 0) writer.content(file.bytes);
      return;
    }
    const table = links.get(file.files) ?? new LinkTable();
    links.set(file.files, table);
    file.files.withNode(file.path, (node) => {
      const { type } = node;
      if (type === undefined) return;
      const member: TarMember = { ...node.member(type, path), ...file.owner };
      member.xattrs = file.files.xattrs(member.xattrs);
      if (file.mode !== undefined && type !== 'symlink')
        member.mode = file.mode.apply(member.mode, type === 'directory');
      const linkPath = table.seen(node.stat, path);
      if (linkPath !== undefined) {
        const { mode, uid, gid, mtime: time } = member;
        writer.header({ path, type: 'hardlink', linkPath, mode, uid, gid, mtime: time, size: 0 });
        return;
      }
      writer.header(member);
      if (type !== 'file' || member.size === 0) return;
      const fd = node.openForReading(path);
      try {
        writer.contentFrom(fd, path);
      } finally {
        closeDescriptor(fd);
      }
    });
  }
}
