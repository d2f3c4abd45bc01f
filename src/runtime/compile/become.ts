/** How a process that is set up becomes the command: working directory, umask, identity, execve. Of a start and of an exec. */
import type { ProgramBuilder } from '../../program/program.ts';
import type { Process } from '../spec.ts';
import { type ProcessContext, quote } from './context.ts';
import { compileExec } from './execute.ts';
import { compileIdentity } from './identity.ts';

/** A keyring that nobody else has; with a name one that processes of the same container can join. */
export function joinKeyring(b: ProgramBuilder, name: string | undefined): void {
  b.call('keyctl', [1, name === undefined ? 0 : b.text(name)], {
    title: 'a session keyring of its own',
    why: 'keys of the caller are not for the container (man 2 keyctl, KEYCTL_JOIN_SESSION_KEYRING)',
    tolerate: ['ENOSYS', 'EDQUOT'],
  });
}

/**
 * The last operations of a program's child. `where` is what the working directory is looked for in, for hints; `last` is what
 * is done when nothing is left but execve.
 */
export function becomeCommand(
  c: ProcessContext,
  process: Process,
  where: 'image' | 'container',
  last: () => void = () => {},
): void {
  const { b } = c;
  if (c.options.newKeyring === true) joinKeyring(b, undefined);
  b.call('chdir', [b.text(process.cwd)], {
    title: `go to the working directory ${process.cwd}`,
    why: 'after the descriptors were closed, so that /proc/self/fd/N can lead nowhere',
    shell: `cd ${quote(process.cwd)}`,
    hints: {
      ENOTDIR: `the working directory is a file in this ${where}`,
      ENOENT: 'the working directory does not exist in the container',
    },
  });
  b.call('umask', [process.user.umask ?? 0o022], { title: 'the usual umask', shell: 'umask 022' });
  compileIdentity(c, process);
  last();
  compileExec(c, process);
}
