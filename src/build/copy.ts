/**
 * COPY and ADD (Dockerfile reference): what is read, the digest of it, and where it goes. Looking is apart from placing, since
 * what the cache has is only looked at.
 */

import { closeSync, openSync } from 'node:fs';
import { LayeredRoot } from '../container/layered-root.ts';
import { resolveUser } from '../container/users.ts';
import { TsrunError } from '../error.ts';
import { expandWord } from '../image/shell-word.ts';
import { type BytePath, bytePath, joinPath } from '../image/unpack/byte-path.ts';
import { splitLast } from '../image/unpack/layer-access.ts';
import { removeTree } from '../image/unpack/remove-tree.ts';
import { S_IFREG } from '../linux/constants.ts';
import { createHash } from '../linux/hash.ts';
import { archiveKind, readStart } from './archive-kind.ts';
import { ModeChange } from './dockerfile/chmod.ts';
import { InstructionFlags } from './dockerfile/flags.ts';
import { type Heredoc, heredocText, parseHeredocWord } from './dockerfile/heredoc.ts';
import type { Instruction } from './dockerfile/parser.ts';
import { IgnorePatterns } from './ignore.ts';
import type { LayerTree, Owner } from './layer-tree.ts';
import { RemoteFile, type RemoteSource, remoteSource } from './remote-file.ts';
import { type SourceEntry, SourceFiles, type SourceItem } from './source-files.ts';
import { wordsOf } from './words.ts';

/** What an instruction asks for, variables put in. */
export interface CopyRequest {
  /** Paths and patterns; of ADD URLs too. */
  sources: readonly (string | RemoteSource)[];
  texts: readonly { name: string; bytes: Buffer }[];
  destination: string;
  from: string | undefined;
  chown: string | undefined;
  mode: ModeChange | undefined;
  exclude: IgnorePatterns;
  excluded: readonly string[];
  parents: boolean;
  /** Whether archives are unpacked: those of files, and those that are fetched. */
  unpack: { files: boolean; remote: boolean };
}

/** Reads a COPY or ADD. Throws `USAGE`, `UNSUPPORTED`. */
export function parseCopy(
  instruction: Instruction,
  escapeToken: string,
  variables: ReadonlyMap<string, string>,
): CopyRequest {
  const isAdd = instruction.name === 'ADD';
  const common = { chown: 'string', chmod: 'string', link: 'bool', exclude: 'list', parents: 'bool' } as const;
  const own = isAdd
    ? ({ checksum: 'string', 'keep-git-dir': 'bool', unpack: 'bool' } as const)
    : ({ from: 'string' } as const);
  const flags = new InstructionFlags(instruction, { ...common, ...own });
  const expand = (word: string): string => expandWord(word, variables, { escapeToken });
  const words = wordsOf(instruction, escapeToken);
  if (words.length < 2) {
    throw new TsrunError('USAGE', `${instruction.name} requires at least two arguments, but only one was provided`, {
      hint: 'destination could not be determined',
    });
  }
  const destination = expand(words.pop() ?? '');
  const isText = (word: string): Heredoc | undefined => {
    const name = parseHeredocWord(word)?.name;
    return name === undefined ? undefined : instruction.heredocs.find((each) => each.name === name);
  };
  const sources = words.filter((word) => isText(word) === undefined).map(expand);
  const texts = instruction.heredocs.map((heredoc) => {
    const text = heredocText(heredoc);
    const value = heredoc.expand ? expandWord(text, variables, { escapeToken, raw: true }) : text;
    return { name: heredoc.name, bytes: Buffer.from(value) };
  });
  if (sources.length + texts.length > 1 && !isDirectoryPath(destination)) {
    throw new TsrunError(
      'USAGE',
      `When using ${instruction.name} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
  const checksum = optional(flags.string('checksum'), expand);
  if (checksum !== undefined && sources.length + texts.length > 1) {
    throw new TsrunError('USAGE', "checksum can't be specified for multiple sources");
  }
  const excluded = flags.strings('exclude').map(expand);
  const from = flags.string('from');
  const chmod = optional(flags.string('chmod'), expand);
  const unpack = flags.string('unpack') === undefined ? undefined : flags.boolean('unpack');
  return {
    sources: sources.map((source) => (isAdd ? (remoteSource(source, checksum) ?? source) : localSource(source))),
    texts,
    destination,
    from,
    chown: optional(flags.string('chown'), expand),
    mode: chmod === undefined ? undefined : ModeChange.parse(chmod),
    exclude: new IgnorePatterns(excluded),
    excluded,
    parents: flags.boolean('parents'),
    unpack: { files: isAdd && (unpack ?? true), remote: unpack ?? false },
  };
}

function optional(text: string | undefined, expand: (word: string) => string): string | undefined {
  return text === undefined ? undefined : expand(text) || undefined;
}

/** What COPY takes. Throws `USAGE` for URLs. */
function localSource(source: string): string {
  if (!/^(https?|git|ssh):\/\/|^git@/i.test(source)) return source;
  throw new TsrunError('USAGE', `source can't be a URL for COPY: ${source}`, { hint: 'ADD takes URLs' });
}

/** A source as it stands. */
export function sourceText(source: CopyRequest['sources'][number]): string {
  return typeof source === 'string' ? source : source.url;
}

function isDirectoryPath(path: string): boolean {
  return /(^|\/)\.?$/.test(path);
}

/** What a source names. */
export interface CopyEntry {
  files: SourceFiles;
  entry: SourceEntry;
  items: SourceItem[];
  archive: boolean;
  pivot: string;
}

/** What was found for a request. */
export interface CollectedCopy {
  /** Files that are fetched may not be there yet. */
  entries: (CopyEntry | RemoteFile)[];
  /** Of names and contents, without times. */
  digest: string;
  /** Of the newest file that is there, in seconds since 1970. */
  newest: number;
}

/** Looks at all files that are to be copied. Throws `USAGE` where there is none; `remote` makes what fetches a file. */
export async function collectCopy(
  request: CopyRequest,
  files: SourceFiles,
  remote: (source: RemoteSource) => RemoteFile,
): Promise<CollectedCopy> {
  const hash = createHash('sha256');
  const entries: CollectedCopy['entries'] = [];
  let newest = 0;
  for (const source of request.sources) {
    if (typeof source !== 'string') {
      const file = remote(source);
      entries.push(file);
      hash.update(JSON.stringify(['remote', source.name, await file.digest()]));
      continue;
    }
    for (const entry of files.find(source)) {
      const items = [...files.items(entry, (relative) => isExcluded(request, entry, relative))];
      const [first] = items;
      const archive = request.unpack.files && first?.stat.type === S_IFREG && isArchive(files, first.path);
      const pivot = source.includes('/./') ? source.slice(0, source.indexOf('/./')) : '';
      entries.push({ files, entry, items, archive, pivot });
      hash.update(JSON.stringify([entry.shown, pivot, archive]));
      for (const item of items) {
        hash.update(JSON.stringify([item.relative]));
        files.hash(hash, item);
        newest = Math.max(newest, item.stat.mtime.seconds);
      }
    }
  }
  if (entries.length === 0 && request.texts.length === 0) {
    throw new TsrunError(
      'USAGE',
      `no source files were specified: nothing matches ${request.sources.map(sourceText).join(' ')}`,
    );
  }
  for (const { name, bytes } of request.texts) hash.update(JSON.stringify([name, bytes.toString('base64')]));
  return { entries, digest: hash.digest('hex'), newest };
}

/** All entries, with what has to be fetched for them, and the time of the newest file. Throws what a fetch throws. */
export async function completeEntries(
  { unpack, destination }: CopyRequest,
  { entries, newest }: CollectedCopy,
): Promise<{ entries: CopyEntry[]; newest: number }> {
  const complete: CopyEntry[] = [];
  let latest = newest;
  for (const each of entries) {
    if (!(each instanceof RemoteFile)) {
      complete.push(each);
      continue;
    }
    const { files, modified } = await each.files();
    latest = Math.max(latest, modified);
    const { name, url } = each.source;
    const [entry] = files.find('content');
    if (entry === undefined) throw new RangeError(`${url} has been fetched and is not there`);
    const archive = unpack.remote && isArchive(files, entry.path);
    if (name === undefined && !archive && isDirectoryPath(destination)) {
      throw new TsrunError('USAGE', `cannot determine filename for source ${url}`, {
        hint: `name the file as the destination: ${destination}NAME`,
      });
    }
    const items = [...files.items(entry)];
    complete.push({ files, entry: { ...entry, shown: name ?? '' }, items, archive, pivot: '' });
  }
  return { entries: complete, newest: latest };
}

function isArchive(files: SourceFiles, path: BytePath): boolean {
  return files.withOpen(path, (fd) => archiveKind(readStart(fd)) !== undefined);
}

/** Unpacks an archive into `scratch`, which goes when what is returned is closed. */
async function unpackSource(
  files: SourceFiles,
  path: BytePath,
  scratch: string,
  signal: AbortSignal,
): Promise<SourceFiles> {
  const fd = files.withOpen(path, (open) => openSync(`/proc/self/fd/${open}`, 'r'));
  try {
    const { unpackArchive } = await import('./archive.ts');
    await unpackArchive(fd, readStart(fd), scratch, signal);
  } finally {
    closeSync(fd);
  }
  return new SourceFiles([scratch], 'the archive', { onClose: () => removeTree(scratch) });
}

function isExcluded({ exclude }: CopyRequest, entry: SourceEntry, relative: BytePath): boolean {
  return exclude.ignores(relative) || exclude.ignores(joinPath(entry.shown, relative));
}

/** What a request depends on beside the digest of its files. */
export function copyKey({ destination, chown, mode, excluded, parents, unpack }: CopyRequest): unknown {
  return { destination, chown, mode: mode?.text, excluded, parents, unpack };
}

/** Who --chown means, by the image's passwd and group; a name or number without a group stands for both (Dockerfile reference). */
export function ownerOf(chown: string, layers: readonly string[]): Owner {
  const root = new LayeredRoot(layers);
  if (/^\d+$/.test(chown)) return { uid: Number(chown), gid: Number(chown) };
  const resolve = (text: string): Owner => {
    const { uid, gid } = resolveUser(root, text, []);
    return { uid, gid };
  };
  if (chown.includes(':')) return resolve(chown);
  try {
    return resolve(`${chown}:${chown}`);
  } catch {
    return resolve(chown);
  }
}

export interface Placement {
  tree: LayerTree;
  workingDir: string;
  /** Of --chown; absent: root for a context, as they are for a stage. */
  owner: Owner | undefined;
  /** A directory for archives, and what is to be closed when the layer has been written. */
  scratch: string;
  opened: SourceFiles[];
  signal: AbortSignal;
}

/** Puts everything into the layer. Throws `USAGE` where something is in the way. */
export async function placeCopy(request: CopyRequest, entries: readonly CopyEntry[], place: Placement): Promise<void> {
  const { tree, workingDir } = place;
  const { destination, mode, texts } = request;
  const root: Owner = { uid: 0, gid: 0 };
  const madeBy = place.owner ?? root;
  const whole = destination.startsWith('/') ? destination : `${workingDir || '/'}/${destination}`;
  const target = tree.resolve(whole);
  const several = entries.length + texts.length > 1;
  const intoDirectory = isDirectoryPath(destination) || target.kind === 'directory' || request.parents;
  if (several && !intoDirectory && entries.some(({ entry }) => !entry.isDirectory)) {
    throw new TsrunError('USAGE', `${destination}: more than one file needs a directory, whose name ends with a /`);
  }
  const under = (name: BytePath): BytePath => (intoDirectory ? joinPath(target.path, name) : target.path);
  const prepare = (): void => {
    if (intoDirectory) tree.makeDirectory(target.path, madeBy);
  };
  for (const { files, entry, items, archive, pivot } of entries) {
    const owner = place.owner ?? (files.isContext ? root : undefined);
    if (archive) {
      tree.makeDirectory(target.path, madeBy);
      const unpacked = await unpackSource(files, entry.path, `${place.scratch}-${place.opened.length}`, place.signal);
      place.opened.push(unpacked);
      const [top] = unpacked.find('/');
      const members = top === undefined ? [] : [...unpacked.items(top)];
      addItems(tree, unpacked, members, target.path, { owner: place.owner, mode });
    } else if (request.parents) {
      prepare();
      const shown = entry.shown.slice(bytePath(pivot.replace(/^\/+|\/+$/g, '')).length).replace(/^\/+/, '');
      const base = joinPath(target.path, shown);
      tree.makeDirectory(splitLast(base)[0], madeBy);
      addItems(tree, files, items, base, { owner, mode });
    } else if (entry.isDirectory) {
      addItems(tree, files, items, target.path, { owner, mode });
    } else {
      prepare();
      addItems(tree, files, items, under(splitLast(entry.shown)[1]), { owner, mode });
    }
  }
  for (const { name, bytes } of texts) {
    prepare();
    tree.addText(under(bytePath(splitLast(name)[1])), bytes, mode?.apply(0o644, false) ?? 0o644, madeBy);
  }
}

/** The first item goes to `base`; of a directory that is there already its attributes stay. */
function addItems(
  tree: LayerTree,
  files: SourceFiles,
  items: readonly SourceItem[],
  base: BytePath,
  attributes: { owner: Owner | undefined; mode: ModeChange | undefined },
): void {
  for (const item of items) {
    const path = item.relative === '' ? base : joinPath(base, item.relative);
    if (item.relative === '' && tree.kindOf(base) === 'directory') continue;
    tree.addCopy(path, files, item, attributes);
  }
}
