/**
 * A process that makes a list of system calls, one behind the other, and ends (man 2 clone). It is for what a process with
 * threads cannot do itself, as making a user namespace: it shares the memory of this one, so that nothing is copied and no
 * program is loaded, which is most of what a spawned one costs.
 */
import { CLONE_VM, WALL } from './constants.ts';
import { addressOf, keepAlive, rawChild, syscall } from './ffi.ts';
import { uninterrupted } from './fs.ts';
import { type CommonSyscall, numberOf } from './syscalls.ts';

/** A place for eight bytes that nobody looks at. */
export const scratch = Symbol('scratch');

export type ChildCall = readonly [name: CommonSyscall, ...args: (number | typeof scratch)[]];

/** Bytes of a call: longs for its number, six arguments and its result. */
const callSize = 64;

/** Writes calls as native/syscall.c makes them, which is for `rawChild`. */
export function layCalls(
  memory: Buffer,
  calls: readonly (readonly [name: CommonSyscall, ...args: (number | bigint)[]])[],
): void {
  calls.forEach(([name, ...args], index) => {
    [numberOf(name), ...args].forEach((value, place) => {
      memory.writeBigInt64LE(BigInt(value), index * callSize + place * 8);
    });
  });
}

/** Bytes of as many calls. */
export const sizeOfCalls = (count: number): number => count * callSize;

/** What a call has answered; 0 before it has. */
export const answerOf = (memory: Buffer, index: number): number => Number(memory.readBigInt64LE(index * callSize + 56));

/** Engines keep small arrays where they may move: this one stays, for as long as the process may write to it. */
const memorySize = 4096;

export class CallingChild {
  /** A negative errno where the kernel has refused. */
  readonly pid: number;
  readonly #memory = Buffer.alloc(memorySize);

  /** `flags`: of namespaces. The last call is added: exit_group. */
  constructor(flags: number, calls: readonly ChildCall[]) {
    const place = addressOf(this.#memory) + BigInt(memorySize - 8);
    const placed = calls.map(
      ([name, ...args]) => [name, ...args.map((value) => (value === scratch ? place : value))] as const,
    );
    layCalls(this.#memory, [...placed, ['exit_group', 0]]);
    // No signal is among the flags: nobody but `end` is told that it has ended.
    this.pid = rawChild(flags | CLONE_VM, this.#memory);
  }

  /** What a call has answered; 0 before it has. */
  result(index: number): number {
    return answerOf(this.#memory, index);
  }

  /** Waits until it has ended: the caller has seen to it that no call waits any longer. */
  end(): void {
    if (this.pid > 0) uninterrupted(() => syscall('wait4', this.pid, 0, WALL, 0));
    keepAlive(this.#memory);
  }
}
