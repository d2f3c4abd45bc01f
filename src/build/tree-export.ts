/**
 * The files of a stage in a directory of the host (`build --output DIRECTORY`): beside what is there; what has the same name
 * is replaced. All belongs to who calls, as with BuildKit. The files are complete before the first of them appears.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TsrunError } from '../error.ts';
import { errorCode } from '../image/errors.ts';
import { type BytePath, joinPath } from '../image/unpack/byte-path.ts';
import * as calls from '../image/unpack/calls.ts';
import { checkCall, checkStat, unpackError } from '../image/unpack/failures.ts';
import { removeTree, removeTreeAt } from '../image/unpack/remove-tree.ts';
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR } from '../linux/constants.ts';
import { errno } from '../linux/errno.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import { copyOut } from './copy-out.ts';
import { SourceFiles } from './source-files.ts';

/** Makes the directory where it is missing. Throws `USAGE` for what is none, `NO_SPACE` and others; nothing is changed then. */
export function exportTree(layers: readonly string[], destination: string): void {
  const path = resolve(destination);
  makeDirectory(path);
  if (layers.length === 0) return;
  const scratch = join(path, `.tsrun-build-${process.pid}`);
  mkdirSync(scratch, { mode: 0o700 });
  try {
    // Like the files of a context: whose they are does not come along.
    const files = new SourceFiles(layers, 'the stage', { isContext: true });
    try {
      for (const entry of files.find('/')) copyOut(files, entry, scratch);
    } finally {
      files.close();
    }
    moveAll(openat(AT_FDCWD, join(scratch, 'content'), flags), openat(AT_FDCWD, path, flags), '');
  } finally {
    removeTree(scratch);
  }
}

const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

function makeDirectory(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats !== undefined && !stats.isDirectory()) {
    throw new TsrunError('USAGE', `destination directory ${path} is a file`);
  }
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new TsrunError('USAGE', `cannot make the directory ${path}: ${errorCode(cause)}`, { cause });
  }
}

/** Moves everything from one directory to another; both are closed. */
function moveAll(from: number, to: number, path: BytePath): void {
  try {
    const names = calls.listDirectory(from);
    if (typeof names === 'number') throw unpackError('read', path, names);
    for (const { name } of names) moveOne(from, to, name, joinPath(path, name));
  } finally {
    close(from);
    close(to);
  }
}

function moveOne(from: number, to: number, name: BytePath, path: BytePath): void {
  const stat = checkStat(calls.stat(from, name), path);
  const there = calls.stat(to, name);
  if (typeof there === 'number') {
    if (there !== -errno.ENOENT) throw unpackError('look at', path, there);
  } else if (stat.type === S_IFDIR && there.type === S_IFDIR) {
    const open = (parent: number): number => checkCall(calls.openName(parent, name, flags, 0), 'openat', path);
    moveAll(open(from), open(to), path);
    checkCall(calls.changeMode(to, name, stat.mode), 'fchmodat', path);
    checkCall(calls.setTimes(to, name, stat.atime, stat.mtime), 'utimensat', path);
    return;
  } else removeTreeAt(to, name);
  checkCall(calls.renameNew(from, name, to, name), 'renameat2', path);
}
