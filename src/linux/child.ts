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
/** Engines keep small arrays where they may move: this one stays, for as long as the process may write to it. */
const memorySize = 4096;

export class CallingChild {
  /** A negative errno where the kernel has refused. */
  readonly pid: number;
  readonly #memory = Buffer.alloc(memorySize);

  /** `flags`: of namespaces. The last call is added: exit_group. */
  constructor(flags: number, calls: readonly ChildCall[]) {
    const start = addressOf(this.#memory);
    [...calls, ['exit_group', 0] as const].forEach(([name, ...args], index) => {
      [numberOf(name), ...args].forEach((value, place) => {
        const long = value === scratch ? start + BigInt(memorySize - 8) : BigInt(value);
        this.#memory.writeBigInt64LE(long, index * callSize + place * 8);
      });
    });
    // No signal is among the flags: nobody but `end` is told that it has ended.
    this.pid = rawChild(flags | CLONE_VM, this.#memory);
  }

  /** What a call has answered; 0 before it has. */
  result(index: number): number {
    return Number(this.#memory.readBigInt64LE(index * callSize + 56));
  }

  /** Waits until it has ended: the caller has seen to it that no call waits any longer. */
  end(): void {
    if (this.pid > 0) uninterrupted(() => syscall('wait4', this.pid, 0, WALL, 0));
    keepAlive(this.#memory);
  }
}
