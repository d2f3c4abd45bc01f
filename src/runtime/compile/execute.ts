/** The last step: execve, along PATH where the command is a bare name (man 3 execvp). */
import { AT_EMPTY_PATH } from '../../linux/constants.ts';
import type { Process } from '../spec.ts';
import { fdProgram, type ProcessContext, quote } from './context.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The value of PATH in an environment of `NAME=value`. */
export function searchPath(env: readonly string[]): string[] {
  const found = env.findLast((entry) => entry.startsWith('PATH='));
  return (found === undefined ? defaultPath : found.slice(5)).split(':').map((directory) => directory || '.');
}

/** The files that execve is tried on, in order. */
export function candidates(command: string, env: readonly string[]): string[] {
  if (command.includes('/')) return [command];
  return searchPath(env).map((directory) => `${directory.replace(/\/+$/, '')}/${command}`);
}

/** Runs the process, or the init mode that runs it. */
export function compileExec(c: ProcessContext, process: Process): void {
  const { b } = c;
  b.enter('exec');
  const args = process.args ?? [];
  const env = process.env ?? [];
  const argv = (words: readonly string[]): ReturnType<typeof b.pointers> =>
    b.pointers(
      words.map((word) => b.text(word)),
      'argv',
    );
  const envp = b.pointers(
    env.map((entry) => b.text(entry)),
    'envp',
  );
  if (c.options.init) {
    b.call('execveat', [fdProgram, b.text(''), argv(['tsrun-init', ...args]), envp, AT_EMPTY_PATH], {
      title: 'become init, which starts the command',
      why: 'pid 1 has to reap orphans and to forward signals; it runs from a memfd, so that no file of the host is reachable through it',
      shell: `exec tini -- ${args.map(quote).join(' ')}`,
    });
    b.call('fail', [], { title: 'start init' });
    return;
  }
  const command = args[0] ?? '';
  const vector = argv(args);
  const paths = c.options.executable === undefined ? candidates(command, env) : [c.options.executable];
  const single = paths.length === 1;
  for (const path of paths) {
    b.call('execve', [b.text(path), vector, envp], {
      title: `run ${path}`,
      why: single ? 'all is set up; the program takes over' : 'the first of PATH that can be run takes over',
      shell: `exec ${args.map(quote).join(' ')}`,
      tolerate: single ? [] : ['ENOENT', 'ENOTDIR'],
      remember: !single,
    });
  }
  b.call('fail', [], { title: `find "${command}" in PATH` });
}
