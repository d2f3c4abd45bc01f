/**
 * A container's start as data: a flat list of system calls and one block of memory. src/program/encode.ts makes the
 * bytes that native/machine.c runs; src/program/render.ts prints the same list for people.
 */
import type { ErrnoName } from '../linux/errno.ts';
import type { CommonSyscall } from '../linux/syscalls.ts';
import type { Phase } from '../trace.ts';

/** A region of the program's memory; as an argument it stands for its address. */
export interface Place {
  readonly kind: 'place';
  readonly offset: number;
  readonly size: number;
  /** What it holds, for people: the text of a string, or a name such as `overlay mount`. */
  readonly label: string;
  /** The label is the text that the kernel sees. */
  readonly isText: boolean;
}

/** A value that an earlier operation stored: a descriptor, a pid. */
export interface Load {
  readonly kind: 'load';
  readonly offset: number;
  readonly width: 4 | 8;
  readonly label: string;
}

export type Argument = number | bigint | Place | Load;

/** What a result must be: anything, at least 0, or one value. */
export type Expectation = 'any' | 'not-negative' | { equals: number };

/** One step of a program. */
export interface Operation {
  /** `end` returns to the monitor (the parent's side is done); `fail` fails with what `remember` kept. */
  readonly call: CommonSyscall | 'end' | 'fail';
  readonly args: readonly Argument[];
  readonly phase: Phase;
  readonly title: string;
  readonly why: string;
  /** The command of a shell that does the same; empty where a shell needs none. */
  readonly shell: string;
  /** What a user can do when it fails, by errno. */
  readonly hints: Readonly<Partial<Record<ErrnoName, string>>>;
  readonly expect: Expectation;
  readonly tolerate: readonly ErrnoName[];
  readonly retry: { readonly errno: ErrnoName; readonly times: number } | undefined;
  readonly store: Load | undefined;
  /** Operation to go on with when the result is 0: the child's side of clone3. */
  readonly branch: Label | undefined;
  /** An EACCES is tolerated and kept for `fail`. */
  readonly remember: boolean;
}

/** A position in the list; `at` is set when the builder reaches it. */
export interface Label {
  at: number | undefined;
}

/** Memory[at] becomes the address of memory[target] when the program is loaded. */
export interface Relocation {
  readonly at: number;
  readonly target: number;
}

export interface Program {
  readonly operations: readonly Operation[];
  readonly memory: Uint8Array;
  readonly relocations: readonly Relocation[];
  /** Descriptor of the SOCK_SEQPACKET socket for failures and barriers. */
  readonly errorFd: number;
  /** Offset of the monitor's configuration in memory. */
  readonly configOffset: number | undefined;
  /**
   * Descriptor of a memory file where each operation's result and time are noted; `untimedFilter`: the seccomp filter may
   * refuse clock_gettime.
   */
  readonly trace?: { readonly fd: number; readonly untimedFilter: boolean };
}

/** What an operation says about itself beside its call. */
export interface OperationInfo {
  title: string;
  why?: string;
  shell?: string;
  hints?: Partial<Record<ErrnoName, string>>;
  expect?: Expectation;
  tolerate?: ErrnoName[];
  retry?: { errno: ErrnoName; times: number };
  store?: Load;
  branch?: Label;
  remember?: boolean;
}

/** Collects operations and lays out memory. */
export class ProgramBuilder {
  readonly operations: Operation[] = [];
  private readonly relocations: Relocation[] = [];
  private memory = Buffer.alloc(16 * 1024);
  private used = 0;
  private readonly strings = new Map<string, Place>();
  private phase: Phase = 'namespaces';

  /** Every operation from here on belongs to `phase`. */
  enter(phase: Phase): void {
    this.phase = phase;
  }

  /** Reserves `size` bytes of zeros, aligned to 8. */
  reserve(size: number, label: string): Place {
    return this.allocate(size, 8, label, false);
  }

  /** Copies bytes into the memory. */
  bytes(data: Uint8Array, label: string): Place {
    const place = this.allocate(data.length, 8, label, false);
    this.memory.set(data, place.offset);
    return place;
  }

  /** A NUL-terminated string; equal strings share one place. */
  text(value: string): Place {
    const known = this.strings.get(value);
    if (known !== undefined) return known;
    const data = Buffer.from(value);
    const place = this.allocate(data.length + 1, 1, value, true);
    this.memory.set(data, place.offset);
    this.strings.set(value, place);
    return place;
  }

  /** A slot of 4 bytes for a descriptor or pid, -1 until an operation stores into it. */
  slot(label: string): Load {
    const place = this.allocate(4, 4, label, false);
    this.memory.writeInt32LE(-1, place.offset);
    return { kind: 'load', offset: place.offset, width: 4, label };
  }

  /** An array of pointers with a NULL behind them: argv, envp. */
  pointers(targets: readonly Place[], label: string): Place {
    const place = this.allocate((targets.length + 1) * 8, 8, label, false);
    targets.forEach((target, index) => {
      this.relocate(place.offset + index * 8, target);
    });
    return place;
  }

  /** Makes the 8 bytes at `offset` a pointer to `target`. */
  relocate(offset: number, target: Place): void {
    this.relocations.push({ at: offset, target: target.offset });
  }

  /** The bytes of a place, to be filled in. Valid until the next allocation. */
  at(place: Place): Buffer {
    return this.memory.subarray(place.offset, place.offset + place.size);
  }

  /** A value inside a place that an operation stores to or loads from. */
  field(place: Place, offset: number, width: 4 | 8, label: string): Load {
    return { kind: 'load', offset: place.offset + offset, width, label };
  }

  /** Appends one operation. */
  call(call: Operation['call'], args: readonly Argument[], info: OperationInfo): void {
    this.operations.push({
      call,
      args,
      phase: this.phase,
      title: info.title,
      why: info.why ?? '',
      shell: info.shell ?? '',
      hints: info.hints ?? {},
      expect: info.expect ?? 'not-negative',
      tolerate: info.tolerate ?? [],
      retry: info.retry,
      store: info.store,
      branch: info.branch,
      remember: info.remember ?? false,
    });
  }

  label(): Label {
    return { at: undefined };
  }

  /** The next operation is where `label` points. */
  mark(label: Label): void {
    label.at = this.operations.length;
  }

  /** Ends the building. */
  build(options: { errorFd: number; config?: Place }): Program {
    return {
      operations: this.operations,
      memory: this.memory.subarray(0, this.used),
      relocations: this.relocations,
      errorFd: options.errorFd,
      configOffset: options.config?.offset,
    };
  }

  private allocate(size: number, alignment: number, label: string, isText: boolean): Place {
    const offset = Math.ceil(this.used / alignment) * alignment;
    this.used = offset + size;
    if (this.used > this.memory.length) {
      const larger = Buffer.alloc(Math.max(this.used, this.memory.length * 2));
      larger.set(this.memory);
      this.memory = larger;
    }
    return { kind: 'place', offset, size, label, isText };
  }
}
