/** What a start really did: steps of the host's side and operations of the program, in the order of their beginning. */
import type { Side } from '../../container/explain/explanation.ts';
import { messageOf } from '../../error.ts';
import { errnoName } from '../../linux/errno.ts';
import { traceSize } from '../../program/encode.ts';
import type { Operation, Program } from '../../program/program.ts';
import { straceCall } from '../../program/strace.ts';
import type { Phase, TraceEvent } from '../../trace.ts';

export interface TracedStep {
  side: Side;
  phase: Phase;
  title: string;
  /** The system call and what it answered, as strace has it; empty for steps of the host's side that went well. */
  result: string;
  /** Milliseconds since tsrun was started. */
  start: number;
  /** Milliseconds; undefined where it cannot be known: an execve that has worked, calls behind some filters. */
  duration: number | undefined;
}

/** A step of the host's side. */
export function ofEvent({ phase, title, start, duration, error }: TraceEvent): TracedStep {
  const result = error === undefined ? '' : `failed: ${messageOf(error)}`;
  return { side: 'command', phase, title, result, start, duration };
}

/** A value without a time, which the machine writes where it may not ask for it. */
const untimed = 1n;

/** How far a program has come: by the bytes that the machine writes, of `traceSize` for each operation. */
export class ProgramTrace {
  private readonly told = new Set<number>();
  /** Values that operations have stored, by their place. */
  private readonly values = new Map<number, number>();
  private readonly child: number;
  private readonly clone: number;

  /** `offset`: milliseconds to be taken from CLOCK_MONOTONIC, so that times are those of the process. */
  constructor(
    private readonly program: Program,
    private readonly offset: number,
  ) {
    this.clone = program.operations.findIndex(({ branch }) => branch !== undefined);
    this.child = program.operations[this.clone]?.branch?.at ?? program.operations.length;
  }

  /** What has been done since the last call. `executed`: the command runs. */
  read(bytes: Buffer, executed: boolean): TracedStep[] {
    const { operations } = this.program;
    const ends = operations.map((_, index) => bytes.readBigUInt64LE(index * traceSize + 8));
    const found: TracedStep[] = [];
    const last = ends.findLastIndex((end) => end !== 0n);
    for (const [index, operation] of operations.entries()) {
      // The execve that worked never came back to tell.
      const became = executed && index === last + 1 && index > this.child && operation.call.startsWith('exec');
      if ((ends[index] === 0n && !became) || this.told.has(index)) continue;
      this.told.add(index);
      const result = Number(bytes.readBigInt64LE(index * traceSize));
      const call = straceCall(operation, { ...this.program, values: this.values });
      if (operation.store !== undefined && result >= 0) this.values.set(operation.store.offset, result);
      const end = ends[index] ?? 0n;
      const previous = this.endBefore(ends, index);
      // The child may have been at work before its maker had noted that it is there.
      const before = previous !== undefined && end > untimed && previous > end ? end : previous;
      const isTimed = !became && end !== untimed && before !== undefined;
      found.push({
        side: index < this.child ? 'monitor' : 'container',
        phase: operation.phase,
        title: operation.title,
        result: `${call} = ${became ? '0' : answer(operation, result)}`,
        start: this.time(before ?? end),
        duration: isTimed ? Number(end - before) / 1e6 : undefined,
      });
    }
    return found;
  }

  /** When the operation before it on its side ended: that is when it began. The child begins with the end of clone3. */
  private endBefore(ends: readonly bigint[], index: number): bigint | undefined {
    const previous = index === this.child ? this.clone : index - 1;
    for (let at = previous; at >= 0; at--) {
      const end = ends[at] ?? 0n;
      if (end > untimed && (index < this.child || at >= this.child || at === this.clone)) return end;
    }
    return undefined;
  }

  private time(end: bigint): number {
    return Number(end) / 1e6 - this.offset;
  }
}

/** As strace writes it: `-1 EEXIST`, with what the machine makes of it. */
function answer(operation: Operation, result: number): string {
  if (result >= 0) return String(result);
  const name = errnoName(-result);
  const isTolerated =
    operation.tolerate.some((tolerated) => tolerated === name) || (operation.remember && name === 'EACCES');
  return `-1 ${name}${isTolerated ? ' (tolerated)' : ''}`;
}
