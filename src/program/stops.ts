/**
 * Stops: places in a program where its child tells a number and waits for one byte, so that somebody can look at what is
 * there so far. They are put between the operations of a program that is complete; the maker's side never waits, since it
 * may be the one who has to answer (a restart by the monitor).
 */
import { type Label, type Operation, type Place, type Program, ProgramBuilder } from './program.ts';

/** What is done between one stop and the next. */
export type Stop = readonly Operation[];

export interface StopOptions {
  /** The socket that is told: the kind of the message, and the stop's number from 0. */
  fd: number;
  kind: number;
  /** A seccomp filter may refuse to write or to read: no stop behind its loading. */
  untilFilter: boolean;
}

export interface StoppedProgram {
  program: Program;
  /** Operations of the maker's side. */
  maker: readonly Operation[];
  stops: Stop[];
}

/** The index of the first operation of the child's side; a program without one is its maker's alone. */
function childAt({ operations }: Program): number {
  return operations.find(({ branch }) => branch !== undefined)?.branch?.at ?? operations.length;
}

/** What the one who runs a program does of it, before and beside its child. */
export function makerOperations(program: Program): readonly Operation[] {
  return program.operations.slice(0, childAt(program));
}

/** The program with a stop wherever another phase begins on the child's side. */
export function withStops(program: Program, options: StopOptions): StoppedProgram {
  const { operations } = program;
  const child = childAt(program);
  const maker = makerOperations(program);
  const memory = new AppendedMemory(program.memory);
  const answer = memory.reserve(8, 'answer');
  const label: Label = { at: child };
  const result = maker.map((operation) =>
    operation.branch === undefined ? operation : { ...operation, branch: label },
  );
  const stops: Operation[][] = [];
  let filtered = false;
  let phase: Operation['phase'] | undefined;
  for (const operation of operations.slice(child)) {
    if (operation.phase !== phase && !(filtered && options.untilFilter)) {
      result.push(...wait(memory, operation, answer, options, stops.length));
      stops.push([]);
    }
    phase = operation.phase;
    stops.at(-1)?.push(operation);
    result.push(operation);
    if (operation.call === 'seccomp') filtered = true;
  }
  return { program: { ...program, operations: result, memory: memory.bytes() }, maker, stops };
}

function wait(
  memory: AppendedMemory,
  { phase }: Operation,
  answer: Place,
  { fd, kind }: StopOptions,
  number: number,
): Operation[] {
  const message = Buffer.alloc(16);
  message.writeUInt32LE(kind, 0);
  message.writeUInt32LE(number, 4);
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
