/**
 * The files that COPY, ADD and mounts read: of a context, of a stage or of an image. Links are followed as if its root were
 * the root of everything, by descriptors (image/unpack/merged-view.ts): no link, `..` or wildcard leads out of it.
 */

import { TsrunError } from '../error.ts';
import { TreeNode } from '../image/archive/node.ts';
import { type BytePath, bytePath, joinPath, printable } from '../image/unpack/byte-path.ts';
import * as calls from '../image/unpack/calls.ts';
import { unpackError } from '../image/unpack/failures.ts';
import { MergedView } from '../image/unpack/merged-view.ts';
import { S_IFDIR, S_IFREG, S_IFSOCK } from '../linux/constants.ts';
import { syscall } from '../linux/ffi.ts';
import { createHash, type Hasher } from '../linux/hash.ts';
import { cleanPath, IgnorePatterns, patternExpression } from './ignore.ts';

/** A file or directory that a source names. */
export interface SourceEntry {
  /** Where it really is, without a slash at its beginning; `''` is the root. */
  path: BytePath;
  /** The path by which it was found. */
  shown: BytePath;
  isDirectory: boolean;
}

/** One file of a tree that is to be copied. */
export interface SourceItem {
  /** Below the entry; `''` is the entry itself. */
  relative: BytePath;
  path: BytePath;
  stat: calls.Stat;
}

const chunkSize = 256 * 1024;
const wildcard = /[*?[\\]/;

/**
 * The files of a context, a directory, without those that it wants to be left out. `look` reads what may be among the latter too:
 * the text of its `.dockerignore`, and whatever else it returns. `title` is what messages call the context, `lookedAt` while it is
 * looked at. The caller closes the files.
 */
export function openContextFiles<T extends { ignore: string | undefined }>(
  directory: string,
  title: string,
  look: (all: SourceFiles) => T,
  lookedAt = title,
): { files: SourceFiles; found: T } {
  const all = new SourceFiles([directory], lookedAt, { isContext: true });
  let found: T;
  try {
    found = look(all);
  } finally {
    all.close();
  }
  const ignore = found.ignore === undefined ? undefined : IgnorePatterns.parse(found.ignore);
  return { files: new SourceFiles([directory], title, { isContext: true, ignore }), found };
}

export class SourceFiles {
  private readonly view: MergedView;
  private readonly buffer = Buffer.allocUnsafeSlow(chunkSize);
  private readonly onClose: () => void;

  /** `layers`: directories, the uppermost first. `title`: what messages call it. */
  constructor(
    layers: readonly string[],
    readonly title: string,
    private readonly options: { ignore?: IgnorePatterns | undefined; isContext?: boolean; onClose?: () => void } = {},
  ) {
    this.onClose = options.onClose ?? (() => {});
    this.view = new MergedView(layers);
  }

  /** Files of a context belong to root in the image, whoever has them on the host. */
  get isContext(): boolean {
    return this.options.isContext ?? false;
  }

  close(): void {
    this.view.close();
    this.onClose();
  }

  /** What a path or a pattern names, sorted. Throws `USAGE` where a path without wildcards names nothing. */
  find(pattern: string): SourceEntry[] {
    const components = cleanPath(pattern)
      .split('/')
      .filter((part) => part !== '')
      .map(bytePath);
    const found: SourceEntry[] = [];
    this.match('', '', components, found);
    if (found.length === 0 && !wildcard.test(pattern)) {
      const ignored = this.options.ignore?.ignores(components.join('/')) ?? false;
      throw new TsrunError('USAGE', `"/${cleanPath(pattern)}": not found in ${this.title}`, {
        hint: ignored ? 'the .dockerignore leaves it out' : `paths are looked for from the root of ${this.title} on`,
      });
    }
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  private match(directory: BytePath, shown: BytePath, components: readonly BytePath[], found: SourceEntry[]): void {
    const [first, ...rest] = components;
    if (first === undefined) {
      found.push({ path: directory, shown, isDirectory: true });
      return;
    }
    const names = wildcard.test(first) ? this.matching(directory, first) : [first];
    for (const name of names) {
      const path = joinPath(shown, name);
      const entry = this.locate(directory, name);
      if (entry === undefined) continue;
      if (rest.length > 0) {
        if (entry.isDirectory) this.match(entry.path, path, rest, found);
      } else if (this.isPart(path, entry)) found.push({ ...entry, shown: path });
    }
  }

  /** Directories may hold exceptions of the ignored. */
  private isPart(path: BytePath, { path: real, isDirectory }: Omit<SourceEntry, 'shown'>): boolean {
    const { ignore } = this.options;
    if (ignore === undefined) return true;
    if (isDirectory) return !ignore.ignoresAllIn(path) && !ignore.ignoresAllIn(real);
    return !ignore.ignores(path) && !ignore.ignores(real);
  }

  private matching(directory: BytePath, pattern: BytePath): BytePath[] {
    const expression = patternExpression(pattern);
    return this.view
      .names(directory)
      .filter((name) => expression.test(name))
      .sort();
  }

  private locate(directory: BytePath, name: BytePath): Omit<SourceEntry, 'shown'> | undefined {
    const place = this.view.resolve(directory, name, true);
    if (place === undefined) return undefined;
    if (place === 'root') return { path: '', isDirectory: true };
    const found = this.view.child(place.directory, place.name);
    if (found.kind === 'absent') return undefined;
    return { path: joinPath(place.directory.path, place.name), isDirectory: found.kind === 'directory' };
  }

  /** An entry and all below it that is a part, parents first, names sorted. `skip` gets paths below the entry. */
  *items(entry: SourceEntry, skip: (relative: BytePath) => boolean = () => false): Generator<SourceItem> {
    yield { relative: '', path: entry.path, stat: this.stat(entry.path) };
    if (entry.isDirectory) yield* this.members(entry.path, '', skip);
  }

  private *members(path: BytePath, relative: BytePath, skip: (relative: BytePath) => boolean): Generator<SourceItem> {
    const found = this.view.lookup(path);
    if (found.kind !== 'directory') return;
    const members = this.view.members(found.directory).map(({ name, stat }) => ({ name, stat }));
    for (const { name, stat } of members.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const inner = joinPath(path, name);
      const shown = joinPath(relative, name);
      const isDirectory = stat.type === S_IFDIR;
      if (stat.type === S_IFSOCK || skip(shown)) continue;
      const ignored = this.options.ignore?.ignores(inner) ?? false;
      if (ignored && (!isDirectory || this.options.ignore?.ignoresAllIn(inner))) continue;
      if (!isDirectory) {
        yield { relative: shown, path: inner, stat };
        continue;
      }
      const below = this.members(inner, shown, skip);
      if (ignored) {
        // It is there for the sake of what is excepted in it only.
        const first = below.next();
        if (first.done) continue;
        yield { relative: shown, path: inner, stat };
        yield first.value;
      } else yield { relative: shown, path: inner, stat };
      yield* below;
    }
  }

  private stat(path: BytePath): calls.Stat {
    return this.withNode(path, (node) => node.stat);
  }

  /** Runs `use` with a directory that has the file at a path that was found before. Throws `USAGE` where it is gone. */
  withHolder<T>(path: BytePath, use: (holder: { fd: number; name: BytePath }) => T): T {
    const found = this.view.lookup(path);
    if (found.kind === 'absent') throw this.vanished(path);
    return use(found.kind === 'other' ? found : { fd: found.directory.fds[0] ?? -1, name: '.' });
  }

  /** Runs `use` with the file itself. */
  withNode<T>(path: BytePath, use: (node: TreeNode) => T): T {
    return this.withHolder(path, ({ fd, name }) => {
      const node = TreeNode.open(fd, name, path);
      if (node === undefined) throw this.vanished(path);
      try {
        return use(node);
      } finally {
        node.close();
      }
    });
  }

  private vanished(path: BytePath): TsrunError {
    return new TsrunError('USAGE', `${printable(path)} vanished from ${this.title} meanwhile`);
  }

  /** Runs `use` with a descriptor of the file at a path that was found before. */
  withOpen<T>(path: BytePath, use: (fd: number) => T): T {
    return this.withNode(path, (node) => {
      const fd = node.openForReading(path);
      try {
        return use(fd);
      } finally {
        calls.closeDescriptor(fd);
      }
    });
  }

  /** The text of a small file; undefined where there is none. */
  readText(path: string): string | undefined {
    const entry = this.locate('', bytePath(path));
    if (entry === undefined || entry.isDirectory) return undefined;
    return this.withNode(entry.path, (node) => {
      if (node.stat.type !== S_IFREG) return undefined;
      const chunks: Buffer[] = [];
      this.read(node, entry.path, (bytes) => chunks.push(Buffer.from(bytes)));
      return Buffer.concat(chunks).toString();
    });
  }

  /** Puts what makes up an item into a hash: all but its name and its times. */
  hash(hash: Hasher, { path, stat }: SourceItem): void {
    this.withNode(path, (node) => {
      const { type } = node;
      if (type === undefined) return;
      const member = node.member(type, path);
      const { mode, uid, gid, linkPath = '', major = 0, minor = 0 } = member;
      const owner = this.isContext ? [] : [uid, gid];
      const xattrs = [...this.xattrs(member.xattrs)].map(([name, value]) => [name, Buffer.from(value).toString('hex')]);
      hash.update(JSON.stringify([type, mode, owner, linkPath, major, minor, xattrs, type === 'file' ? stat.size : 0]));
      if (type === 'file') {
        const content = createHash('sha256');
        this.read(node, path, (bytes) => content.update(bytes));
        hash.update(content.digest());
      }
    });
  }

  /** Attributes of the host's that say something in an image too. */
  xattrs(all: ReadonlyMap<BytePath, Uint8Array> | undefined): Map<BytePath, Uint8Array> {
    const kept = [...(all ?? [])].filter(([name]) => !this.isContext || name === 'security.capability');
    return new Map(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  private read(node: TreeNode, path: BytePath, use: (bytes: Buffer) => void): void {
    const fd = node.openForReading(path);
    try {
      for (;;) {
        const got = syscall('read', fd, this.buffer, chunkSize);
        if (got < 0) throw unpackError('read', path, got);
        if (got === 0) return;
        use(this.buffer.subarray(0, got));
      }
    } finally {
      calls.closeDescriptor(fd);
    }
  }
}
