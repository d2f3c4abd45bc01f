/**
 * Looks for the command before anything runs, so that `create` can say that it is not there, in the words that callers
 * know. Nothing of the root is executed or trusted; what is found here can still be refused by execve.
 */
import { closeSync, fstatSync } from 'node:fs';
import { resolve } from 'node:path';
import { TsrunError } from '../error.ts';
import { O_PATH, RESOLVE_IN_ROOT } from '../linux/constants.ts';
import { AT_FDCWD, close, openat, openat2 } from '../linux/fs.ts';
import { candidates } from '../runtime/compile/execute.ts';
import type { Process } from '../runtime/spec.ts';

/** Throws `COMMAND_NOT_FOUND`, `COMMAND_NOT_EXECUTABLE`. `pid` is a process whose root is the container's. */
export function checkExecutable(pid: number, { args = [], env = [], cwd }: Process): void {
  const command = args[0] ?? '';
  const paths = candidates(command, env).map((path) => resolve(cwd, path));
  // What is there depends on who looks.
  if (paths.some((path) => path.startsWith('/proc/'))) return;
  const root = openat(AT_FDCWD, `/proc/${pid}/root`, O_PATH);
  let refused = '';
  try {
    for (const path of paths) {
      const found = look(root, path);
      if (found === 'executable') return;
      if (found !== 'missing') refused = found;
    }
  } finally {
    close(root);
  }
  const quoted = JSON.stringify(command);
  if (refused !== '') throw new TsrunError('COMMAND_NOT_EXECUTABLE', `exec: ${quoted}: ${refused}`);
  throw new TsrunError(
    'COMMAND_NOT_FOUND',
    command.includes('/')
      ? `exec: ${quoted}: stat ${command}: no such file or directory`
      : `exec: ${quoted}: executable file not found in $PATH`,
  );
}

function look(root: number, path: string): 'executable' | 'missing' | 'permission denied' | 'is a directory' {
  let fd: number;
  try {
    fd = openat2(root, path.replace(/^\/+/, '') || '.', O_PATH, RESOLVE_IN_ROOT);
  } catch {
    return 'missing';
  }
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) return 'is a directory';
    return (stat.mode & 0o111) === 0 ? 'permission denied' : 'executable';
  } finally {
    closeSync(fd);
  }
}
