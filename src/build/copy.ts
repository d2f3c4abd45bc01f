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
import { archiveKind, readStart, unpackArchive } from './archive.ts';
import { InstructionFlags } from './dockerfile/flags.ts';
import { type Heredoc, heredocText, parseHeredocWord } from './dockerfile/heredoc.ts';
import type { Instruction } from './dockerfile/parser.ts';
import { IgnorePatterns } from './ignore.ts';
import type { LayerTree, Owner } from './layer-tree.ts';
import { type SourceEntry, SourceFiles, type SourceItem } from './source-files.ts';
import { wordsOf } from './words.ts';

/** What an instruction asks for, variables put in. */
export interface CopyRequest {
  sources: readonly string[];
  texts: readonly { name: string; bytes: Buffer }[];
  destination: string;
  from: string | undefined;
  chown: string | undefined;
  mode: number | undefined;
  exclude: IgnorePatterns;
  excluded: readonly string[];
  parents: boolean;
  /** ADD: archives are unpacked. */
  unpack: boolean;
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
  for (const source of sources) if (isAdd) refuseRemote(source);
  const excluded = flags.strings('exclude').map(expand);
  const from = flags.string('from');
  const unpack = isAdd && (flags.string('unpack') === undefined || flags.boolean('unpack'));
  return {
    sources,
    texts,
    destination,
    from,
    chown: optional(flags.string('chown'), expand),
    mode: modeOf(optional(flags.string('chmod'), expand)),
    exclude: new IgnorePatterns(excluded),
    excluded,
    parents: flags.boolean('parents'),
    unpack,
  };
}

function optional(text: string | undefined, expand: (word: string) => string): string | undefined {
  return text === undefined ? undefined : expand(text) || undefined;
}

function modeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-7]{1,4}$/.test(text)) {
    throw new TsrunError(
      'USAGE',
      `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    );
  }
  return Number.parseInt(text, 8);
}

function refuseRemote(source: string): void {
  if (!/^(https?|git|ssh):\/\/|^git@/.test(source)) return;
  throw new TsrunError('UNSUPPORTED', `tsrun build has no ADD of a URL: ${source}`, {
    hint: 'fetch it into the context first, or in the image: RUN curl -fLo FILE URL',
  });
}

function isDirectoryPath(path: string): boolean {
  return /(^|\/)\.?$/.test(path);
}

/** What was found for a request. */
export interface CollectedCopy {
  entries: { entry: SourceEntry; items: SourceItem[]; archive: boolean; pivot: string }[];
  /** Of names and contents, without times. */
  digest: string;
  /** Of the newest file, in seconds since 1970. */
  newest: number;
}

/** Looks at all files that are to be copied. Throws `USAGE` where there is none. */
export function collectCopy(request: CopyRequest, files: SourceFiles): CollectedCopy {
  const hash = createHash('sha256');
  const entries: CollectedCopy['entries'] = [];
  let newest = 0;
  for (const source of request.sources) {
    for (const entry of files.find(source)) {
      const items = [...files.items(entry, (relative) => isExcluded(request, entry, relative))];
      const [first] = items;
      const archive = request.unpack && first?.stat.type === S_IFREG && isArchive(files, first.path);
      const pivot = source.includes('/./') ? source.slice(0, source.indexOf('/./')) : '';
      entries.push({ entry, items, archive, pivot });
      hash.update(JSON.stringify([entry.shown, pivot, archive]));
      for (const item of items) {
        hash.update(JSON.stringify([item.relative]));
        files.hash(hash, item);
        newest = Math.max(newest, item.stat.mtime.seconds);
      }
    }
  }
  if (entries.length === 0 && request.texts.length === 0) {
    throw new TsrunError('USAGE', `no source files were specified: nothing matches ${request.sources.join(' ')}`);
  }
  for (const { name, bytes } of request.texts) hash.update(JSON.stringify([name, bytes.toString('base64')]));
  return { entries, digest: hash.digest('hex'), newest };
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
  return { destination, chown, mode, excluded, parents, unpack };
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
  files: SourceFiles;
  workingDir: string;
  /** Of --chown; absent: root for a context, as they are for a stage. */
  owner: Owner | undefined;
  /** A directory for archives, and what is to be closed when the layer has been written. */
  scratch: string;
  opened: SourceFiles[];
  signal: AbortSignal;
}

/** Puts everything into the layer. Throws `USAGE` where something is in the way. */
export async function placeCopy(request: CopyRequest, collected: CollectedCopy, place: Placement): Promise<void> {
  const { tree, files, workingDir } = place;
  const { destination, mode, texts } = request;
  const root: Owner = { uid: 0, gid: 0 };
  const madeBy = place.owner ?? root;
  const owner = place.owner ?? (files.isContext ? root : undefined);
  const whole = destination.startsWith('/') ? destination : `${workingDir || '/'}/${destination}`;
  const target = tree.resolve(whole);
  const several = collected.entries.length + texts.length > 1;
  const intoDirectory = isDirectoryPath(destination) || target.kind === 'directory' || request.parents;
  if (several && !intoDirectory && collected.entries.some(({ entry }) => !entry.isDirectory)) {
    throw new TsrunError('USAGE', `${destination}: more than one file needs a directory, whose name ends with a /`);
  }
  const under = (name: BytePath): BytePath => (intoDirectory ? joinPath(target.path, name) : target.path);
  const prepare = (): void => {
    if (intoDirectory) tree.makeDirectory(target.path, madeBy);
  };
  for (const { entry, items, archive, pivot } of collected.entries) {
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
    tree.addText(under(bytePath(splitLast(name)[1])), bytes, mode ?? 0o644, madeBy);
  }
}

/** The first item goes to `base`; of a directory that is there already its attributes stay. */
function addItems(
  tree: LayerTree,
  files: SourceFiles,
  items: readonly SourceItem[],
  base: BytePath,
  attributes: { owner: Owner | undefined; mode: number | undefined },
): void {
  for (const item of items) {
    const path = item.relative === '' ? base : joinPath(base, item.relative);
    if (item.relative === '' && tree.kindOf(base) === 'directory') continue;
    tree.addCopy(path, files, item, attributes);
  }
}
