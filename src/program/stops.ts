/**
 * Stops: places in a program where it tells a number and waits for one byte, so that somebody can look at what is there so
 * far. They are put between the operations of a program that is complete.
 */
import { type Label, type Operation, type Place, type Program, ProgramBuilder } from './program.ts';

export interface Stop {
  /** Who waits there: the process that runs the program, or the child that clone3 makes. */
  side: 'monitor' | 'container';
  /** What is done between this stop and the next one of the same side. */
  operations: readonly Operation[];
}

export interface StopOptions {
  /** The socket that is told: the kind of the message, the stop's number from 0, and 1 for the child's side. */
  fd: number;
  kind: number;
  /** A seccomp filter may refuse to write or to read: no stop behind its loading. */
  untilFilter: boolean;
}

/** The program with a stop wherever another phase begins: in front of clone3 on the maker's side, all over the child's. */
export function withStops(program: Program, options: StopOptions): { program: Program; stops: Stop[] } {
  const { operations } = program;
  const clone = operations.findIndex(({ branch }) => branch !== undefined);
  const child = operations[clone]?.branch?.at ?? operations.length;
  const memory = new AppendedMemory(program.memory);
  const answer = memory.reserve(8, 'answer');
  const result: Operation[] = [];
  const stops: { side: Stop['side']; operations: Operation[] }[] = [];
  const childLabel: Label = { at: undefined };
  let filtered = false;
  for (const [index, operation] of operations.entries()) {
    const side = index < child ? 'monitor' : 'container';
    if (index === child) childLabel.at = result.length;
    const begins = index === 0 || index === child || operations[index - 1]?.phase !== operation.phase;
    const stops0 = stops.at(-1);
    // Behind clone3 the maker's side must not wait: the child speaks over the same socket.
    if (begins && (index <= clone || index >= child) && !(filtered && options.untilFilter)) {
      result.push(...wait(memory, operation, answer, options, stops.length, side));
      stops.push({ side, operations: [operation] });
    } else if (stops0 !== undefined && (side === 'monitor' || stops0.side === side)) stops0.operations.push(operation);
    result.push(operation.branch === undefined ? operation : { ...operation, branch: childLabel });
    if (operation.call === 'seccomp') filtered = true;
  }
  return { program: { ...program, operations: result, memory: memory.bytes() }, stops };
}

function wait(
  memory: AppendedMemory,
  { phase }: Operation,
  answer: Place,
  { fd, kind }: StopOptions,
  number: number,
  side: Stop['side'],
): Operation[] {
  const message = Buffer.alloc(16);
  message.writeUInt32LE(kind, 0);
  message.writeUInt32LE(number, 4);
  message.writeUInt32LE(side === 'container' ? 1 : 0, 8);
  const b = new ProgramBuilder();
  b.enter(phase);
  b.call('write', [fd, memory.append(message, 'stop'), 16], { title: 'tell that it stops', expect: { equals: 16 } });
  b.call('read', [fd, answer, 1], { title: 'wait until it may go on', expect: { equals: 1 } });
  return b.operations;
}

/** More memory behind that of a program: what lies in it keeps its place. */
class AppendedMemory {
  private readonly parts: Uint8Array[];
  private size: number;

  constructor(memory: Uint8Array) {
    const padding = new Uint8Array((8 - (memory.length % 8)) % 8);
    this.parts = [memory, padding];
    this.size = memory.length + padding.length;
  }

  /** `data`: of a multiple of 8 bytes. */
  append(data: Uint8Array, label: string): Place {
    const place: Place = { kind: 'place', offset: this.size, size: data.length, label, isText: false };
    this.parts.push(data);
    this.size += data.length;
    return place;
  }

  reserve(size: number, label: string): Place {
    return this.append(new Uint8Array(size), label);
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.parts);
  }
}
