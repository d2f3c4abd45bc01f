/** Where `export` and `save` write: stdout, if that is no terminal, or a file that appears whole or not at all. */
import { closeSync, constants, fstatSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { TsrunError } from '../error.ts';
import type { ByteSink } from '../image/archive/sink.ts';
import { errorCode } from '../image/errors.ts';
import { nameFile } from '../linux/fs.ts';
import { writeBytes } from './output.ts';
import { isTerminal } from './terminal.ts';

/** __O_TMPFILE of asm-generic/fcntl.h, which Node does not name. */
const tmpfile = 0o20000000;

/**
 * Runs `write` with the sink that `-o` says, or stdout. `action` is `save image` or `export container`, for messages.
 * Throws `USAGE`, with docker's words, for a terminal and for a path that cannot be written.
 */
export function writeArchive(path: string | undefined, action: string, write: (sink: ByteSink) => void): void {
  if (path === undefined || path === '') {
    if (isTerminal(1)) {
      throw new TsrunError('USAGE', 'cowardly refusing to save to a terminal. Use the -o flag or redirect');
    }
    write({ write: (bytes) => writeBytes(1, bytes) });
    return;
  }
  checkPath(path, action);
  // A pipe or a device has no rename; a file must not lose what it had before the new content is there.
  const existing = statSync(path, { throwIfNoEntry: false });
  const direct = existing !== undefined && !existing.isFile();
  const temporary = direct ? path : join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  const nameless = direct ? undefined : openNameless(dirname(path));
  const fd = nameless ?? openSync(temporary, 'w', 0o600);
  try {
    try {
      write({ write: (bytes) => writeBytes(fd, bytes) });
      if (nameless !== undefined) nameFile(nameless, temporary);
      if (!direct && fstatSync(fd).isFile()) renameSync(temporary, path);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (!direct) rmSync(temporary, { force: true });
    if (errorCode(error) === 'ENOSPC')
      throw new TsrunError('NO_SPACE', `no space left for "${path}"`, { cause: error });
    throw error;
  }
}

/**
 * A file that has no name until it is complete (man 2 open, O_TMPFILE): Ctrl-C and a kill leave nothing of it. Undefined
 * where the filesystem has no such files.
 */
function openNameless(directory: string): number | undefined {
  try {
    return openSync(directory, constants.O_WRONLY | constants.O_DIRECTORY | tmpfile, 0o600);
  } catch {
    return undefined;
  }
}

function checkPath(path: string, action: string): void {
  const directory = dirname(path);
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new TsrunError('USAGE', `failed to ${action}: invalid output path: directory "${directory}" does not exist`);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new TsrunError('USAGE', `failed to ${action}: invalid output path: "${path}" is a directory`);
  }
}
