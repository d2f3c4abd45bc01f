/** `why exit`: what the exit code of a container says about its end. */
import { signals } from '../../linux/signals.ts';
import type { Container } from '../record.ts';
import { type Sentence, say } from '../sentence.ts';
import { readStopMark } from '../stop-mark.ts';

/** Sentences, the most telling first. */
export function whyExit({ record, state, directory }: Container): Sentence[] {
  const { status, exitCode, error, oomKilled } = state;
  if (status === 'running' || status === 'paused') return [say('it has not ended: it is up')];
  if (error !== '') {
    return [say('it was not started: {1}', error), say("its exit code {1} is tsrun's, not its command's", exitCode)];
  }
  if (state.finishedAt === undefined && status === 'created') return [say('it has not been started yet')];
  const signal = signalOf(exitCode);
  const ended = [
    signal === undefined
      ? say('its command ended with {1}', exitCode)
      : say('its command ended with {1}: 128 and the number of {2}', exitCode, signal),
  ];
  if (oomKilled) {
    const limit = record.options.memory;
    return [
      say('the kernel killed a process of it: there was no memory left to take'),
      limit
        ? say('its limit is {1} bytes (--memory)', limit)
        : say('it has no limit of its own: the machine itself was short of memory'),
      ...ended,
    ];
  }
  return [...ended, ...meaning(exitCode, readStopMark(directory).manual)];
}

/** The name of the signal that an exit code stands for. */
function signalOf(exitCode: number): string | undefined {
  if (exitCode <= 128) return undefined;
  return Object.entries(signals).find(([, number]) => number === exitCode - 128)?.[0];
}

function meaning(exitCode: number, byHand: boolean): Sentence[] {
  const stopped = byHand ? [say('it was stopped by hand (tsrun stop or kill)')] : [];
  switch (exitCode) {
    case 0:
      return [say('0 is success: it had nothing left to do'), ...stopped];
    case 126:
      return [say('by the convention of shells: what it was to run cannot be executed')];
    case 127:
      return [say('by the convention of shells: what it was to run was not found')];
    case 130:
      return [say('SIGINT: somebody typed Ctrl-C'), ...stopped];
    case 134:
      return [say('SIGABRT: it gave up by itself, mostly on a failed assertion')];
    case 135:
      return [say('SIGBUS: a file or a huge page that was mapped could not be had')];
    case 137:
      return byHand
        ? [say('it was killed by hand: tsrun kill, or tsrun stop when its patience was over')]
        : [say('SIGKILL, and the OOM killer of its cgroup was not it: another process with the rights for it sent it')];
    case 139:
      return [say('SIGSEGV: it used memory that it has not: a fault of the program, or a binary for another machine')];
    case 143:
      return [say('SIGTERM: it was asked to end, and did'), ...stopped];
    default:
      return signalOf(exitCode) !== undefined
        ? stopped
        : [say('what that number means is up to the program: its last words may say it (tsrun logs)'), ...stopped];
  }
}
