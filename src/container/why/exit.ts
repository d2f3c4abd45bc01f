/** `why exit`: what the exit code of a container says about its end. */
import { signals } from '../../linux/signals.ts';
import type { Container } from '../record.ts';
import { readStopMark } from '../stop-mark.ts';

/** Sentences, the most telling first. */
export function whyExit({ record, state, directory }: Container): string[] {
  const { status, exitCode, error, oomKilled } = state;
  if (status === 'running' || status === 'paused') return ['it has not ended: it is up'];
  if (error !== '') return [`it was not started: ${error}`, `its exit code ${exitCode} is tsrun's, not its command's`];
  if (state.finishedAt === undefined && status === 'created') return ['it has not been started yet'];
  const ended = [`its command ended with ${exitCode}${signalOf(exitCode)}`];
  if (oomKilled) {
    const limit = record.options.memory;
    return [
      'the kernel killed a process of it: there was no memory left to take',
      limit
        ? `its limit is ${limit} bytes (--memory)`
        : 'it has no limit of its own: the machine itself was short of memory',
      ...ended,
    ];
  }
  return [...ended, ...meaning(exitCode, readStopMark(directory).manual)];
}

function signalOf(exitCode: number): string {
  const name = Object.entries(signals).find(([, number]) => number === exitCode - 128)?.[0];
  return exitCode > 128 && name !== undefined ? `: 128 and the number of ${name}` : '';
}

function meaning(exitCode: number, byHand: boolean): string[] {
  const stopped = byHand ? ['it was stopped by hand (tsrun stop or kill)'] : [];
  switch (exitCode) {
    case 0:
      return ['0 is success: it had nothing left to do', ...stopped];
    case 126:
      return ['by the convention of shells: what it was to run cannot be executed'];
    case 127:
      return ['by the convention of shells: what it was to run was not found'];
    case 130:
      return ['SIGINT: somebody typed Ctrl-C', ...stopped];
    case 134:
      return ['SIGABRT: it gave up by itself, mostly on a failed assertion'];
    case 135:
      return ['SIGBUS: a file or a huge page that was mapped could not be had'];
    case 137:
      return byHand
        ? ['it was killed by hand: tsrun kill, or tsrun stop when its patience was over']
        : ['SIGKILL, and the OOM killer of its cgroup was not it: another process with the rights for it sent it'];
    case 139:
      return ['SIGSEGV: it used memory that it has not: a fault of the program, or a binary for another machine'];
    case 143:
      return ['SIGTERM: it was asked to end, and did', ...stopped];
    default:
      return exitCode > 128 && signalOf(exitCode) !== ''
        ? stopped
        : ['what that number means is up to the program: its last words may say it (tsrun logs)', ...stopped];
  }
}
