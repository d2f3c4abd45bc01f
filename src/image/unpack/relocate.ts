/**
 * A layer that writes to `lib/x` without saying what `lib` is, over layers where `lib` is a link to `usr/lib`, means
 * `usr/lib/x`: so it would be if the layers were extracted one over the other. The directory that such a layer got for
 * its own `lib` moves to where the link leads. (A directory that a layer does name replaces the link, as in docker.)
 */
import { S_IFLNK } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { KeptFiles } from './archive-recorder.ts';
import { archiveRecords } from './archive-records.ts';
import { type BytePath, joinPath } from './byte-path.ts';
import * as calls from './calls.ts';
import type { DeferredEntry } from './deferred.ts';
import { unpackError } from './failures.ts';
import type { Hidden } from './hidden.ts';
import { type LayerAccess, splitLast } from './layer-access.ts';
import type { MergedView } from './merged-view.ts';
import { removeTreeAt } from './remove-tree.ts';

export interface RelocateOptions {
  layer: LayerAccess;
  /** The layers below, and all of them with this one on top. */
  lower: MergedView;
  whole: MergedView;
  /** What this layer hides of them. */
  hidden: Hidden;
  /** The layer's own directory, if its archive is remembered there. */
  archive: string | undefined;
}

/** Moves implied directories to where links of lower layers lead; returns what is then left to do, with the new paths. */
export function relocateDirectories(deferred: readonly DeferredEntry[], options: RelocateOptions): DeferredEntry[] {
  const todo = [...deferred];
  const done: DeferredEntry[] = [];
  let kept = false;
  for (let i = 0; i < todo.length; i++) {
    const entry = todo[i] as DeferredEntry;
    const target = entry.kind === 'directory' ? linkTarget(entry.path, options) : undefined;
    if (target === undefined) {
      done.push(entry);
      continue;
    }
    if (!kept) keepContents(options);
    kept = true;
    const { made, merged } = move(entry.path, target, options);
    for (const path of made) done.push({ kind: 'directory', path, bare: false });
    // What is below it follows it in the list.
    let end = i;
    while (end < todo.length && isAtOrBelow((todo[end] as DeferredEntry).path, entry.path)) {
      const inner = todo[end] as DeferredEntry;
      todo[end] = { ...inner, path: moved(inner.path, entry.path, target) };
      end++;
    }
    const rest = todo.splice(i, end - i).filter((inner) => inner.kind !== 'directory' || !merged.has(inner.path));
    // Looked at again in their new place: another link may be there.
    todo.splice(i, 0, ...rest);
    if (todo[i]?.path === target && todo[i]?.kind === 'directory') done.push(...todo.splice(i, 1));
    i--;
    options.whole.forget();
  }
  return done;
}

/** The archive says where the contents of files are; before any of them moves, each gets a name that stays. */
function keepContents({ layer, archive }: RelocateOptions): void {
  if (archive === undefined) return;
  const kept = new KeptFiles(archive);
  try {
    for (const record of archiveRecords(archive)) {
      if (record.kind !== 'file') continue;
      const [directory, name] = splitLast(record.path);
      layer.tryDirectory(directory, (fd) => {
        // What a later entry replaced has its number as a name already.
        if (!kept.has(record.index)) kept.link(fd, name, record.index);
      });
    }
  } finally {
    kept.close();
  }
}

function moved(path: BytePath, from: BytePath, to: BytePath): BytePath {
  return path === from ? to : joinPath(to, path.slice(from.length + 1));
}

function isAtOrBelow(path: BytePath, directory: BytePath): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** Where the lower layers' link at `path` leads, if there is one that a directory can be put behind. */
function linkTarget(path: BytePath, { hidden, lower, whole }: RelocateOptions): BytePath | undefined {
  if (path === '' || hidden.at(path)) return undefined;
  const found = lower.lookup(path);
  if (found.kind !== 'other' || found.stat.type !== S_IFLNK) return undefined;
  const link = calls.readLink(found.fd, found.name);
  if (typeof link === 'number') throw unpackError('read the link', path, link);
  const place = whole.resolve(splitLast(path)[0], link, true);
  if (place === undefined) return undefined;
  if (place === 'root') return '';
  if (place.rest.includes('..')) return undefined;
  const target = [joinPath(place.directory.path, place.name), ...place.rest].join('/');
  return isAtOrBelow(target, path) || whole.child(place.directory, place.name).kind === 'other' ? undefined : target;
}

function move(from: BytePath, to: BytePath, { layer }: RelocateOptions): { made: BytePath[]; merged: Set<BytePath> } {
  const made: BytePath[] = [];
  const merged = new Set<BytePath>();
  const [fromParent, fromName] = splitLast(from);
  const [toParent, toName] = splitLast(to);
  let parent = '';
  for (const name of toParent === '' ? [] : toParent.split('/')) {
    layer.directory(parent, (fd) => {
      layer.touch(parent, fd);
      const result = calls.makeDirectory(fd, name, 0o755);
      if (result === 0) made.push(joinPath(parent, name));
      else if (result !== -errno.EEXIST) throw unpackError('make', joinPath(parent, name), result);
    });
    parent = joinPath(parent, name);
  }
  layer.directory(fromParent, (fromFd) => {
    layer.touch(fromParent, fromFd);
    if (to === '') {
      mergeInto(layer, fromFd, fromName, '', merged);
      return;
    }
    layer.directory(toParent, (toFd) => {
      layer.touch(toParent, toFd);
      const result = calls.renameNew(fromFd, fromName, toFd, toName);
      if (result === -errno.EEXIST) mergeInto(layer, fromFd, fromName, to, merged);
      else if (result < 0) throw unpackError('move', from, result);
    });
  });
  return { made, merged };
}

/** Moves what is in the directory `name` of `parent` into the directory at `to`, and removes it. */
function mergeInto(layer: LayerAccess, parent: number, name: BytePath, to: BytePath, merged: Set<BytePath>): void {
  merged.add(to);
  const from = calls.openBeneath(parent, name);
  if (from < 0) throw unpackError('open', to, from);
  try {
    const names = calls.listDirectory(from);
    if (typeof names === 'number') throw unpackError('list', to, names);
    layer.directory(to, (toFd) => {
      layer.touch(to, toFd);
      for (const { name: inner, isDirectory } of names) {
        const path = joinPath(to, inner);
        let result = calls.renameNew(from, inner, toFd, inner);
        if (result === -errno.EEXIST) {
          if (isDirectory !== false && layer.tryDirectory(path, () => true) === true) {
            mergeInto(layer, from, inner, path, merged);
            continue;
          }
          removeTreeAt(toFd, inner);
          result = calls.renameNew(from, inner, toFd, inner);
        }
        if (result < 0) throw unpackError('move', path, result);
      }
    });
  } finally {
    calls.closeDescriptor(from);
  }
  const result = calls.removeDirectory(parent, name);
  if (result < 0) throw unpackError('remove', to, result);
}
