/** The event loop: timers, what is due at once, and descriptors (man 2 ppoll). The host calls `turn`, and does what promises are for between. */
import { errno, errnoName } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { poll } from '../linux/poll.ts';
import type { Watch } from '../linux/small-engine.ts';
import { engine } from './engine.ts';

class Descriptor implements Watch {
  isHolding = true;

  constructor(
    readonly fd: number,
    public events: number,
    readonly ready: (happened: number) => void,
  ) {
    descriptors.add(this);
  }

  end(): void {
    descriptors.delete(this);
  }
}

const descriptors = new Set<Descriptor>();

/** What setTimeout and setInterval return. */
export class Timer {
  isHolding = true;
  /** When it is due, in milliseconds of `now`. */
  due = 0;

  constructor(
    private readonly work: () => void,
    private readonly delay: number,
    private readonly isRepeated: boolean,
  ) {
    this.refresh();
  }

  refresh(): this {
    this.due = now() + this.delay;
    timers.add(this);
    return this;
  }

  fire(): void {
    timers.delete(this);
    if (this.isRepeated) this.refresh();
    this.work();
  }

  stop(): void {
    timers.delete(this);
  }

  ref(): this {
    this.isHolding = true;
    return this;
  }

  unref(): this {
    this.isHolding = false;
    return this;
  }

  hasRef(): boolean {
    return this.isHolding;
  }
}

const timers = new Set<Timer>();
let immediates: (() => void)[] = [];

const CLOCK_MONOTONIC = 1;
let time: Buffer | undefined;

/** Milliseconds of a clock that nobody sets. */
export function now(): number {
  time ??= Buffer.alloc(16);
  syscall('clock_gettime', CLOCK_MONOTONIC, time);
  return time.readUInt32LE(0) * 1000 + time.readUInt32LE(8) / 1e6;
}

/** The longest time that a timer takes; Node makes a millisecond of what is longer. */
const longest = 2 ** 31 - 1;

function timer(work: (...args: unknown[]) => void, delay: unknown, args: unknown[], isRepeated: boolean): Timer {
  const milliseconds = Number(delay ?? 1);
  return new Timer(
    args.length === 0 ? work : () => work(...args),
    milliseconds >= 1 && milliseconds <= longest ? milliseconds : 1,
    isRepeated,
  );
}

export const setTimeout = (work: () => void, delay?: number, ...args: unknown[]): Timer =>
  timer(work, delay, args, false);
export const setInterval = (work: () => void, delay?: number, ...args: unknown[]): Timer =>
  timer(work, delay, args, true);
export const clearTimer = (timer: Timer | undefined): void => timer?.stop();

/** Calls it in the next turn. */
export function setImmediate(work: (...args: unknown[]) => void, ...args: unknown[]): void {
  immediates.push(args.length === 0 ? work : () => work(...args));
}

/** As `SmallEngine.watch`. */
export function watch(fd: number, events: number, ready: (happened: number) => void): Watch {
  return new Descriptor(fd, events, ready);
}

/** What has become due in this turn and was not called yet. */
let due: (() => void)[] = [];
let called = 0;

/** Waits for descriptors, as many milliseconds at most (undefined: for ever). Who waits for those that are ready is due. */
function wait(milliseconds: number | undefined): void {
  const watched = [...descriptors];
  if (watched.length === 0 && milliseconds === 0) return;
  const happened = poll(watched, milliseconds);
  if (typeof happened === 'number') {
    if (happened !== -errno.EINTR) throw new Error(`ppoll: ${errnoName(-happened)}`);
    return;
  }
  watched.forEach((descriptor, index) => {
    const events = happened[index] as number;
    if (events === 0) return;
    // Who was called before may have ended it.
    due.push(() => descriptors.has(descriptor) && descriptor.ready(events));
  });
}

function dueTimers(): void {
  if (timers.size === 0) return;
  const time = now();
  const ended = [...timers].filter((timer) => timer.due <= time).sort((one, other) => one.due - other.due);
  for (const timer of ended) due.push(() => timers.has(timer) && timer.due <= time && timer.fire());
}

function isHeld(): boolean {
  if (immediates.length > 0) return true;
  for (const timer of timers) if (timer.isHolding) return true;
  for (const descriptor of descriptors) if (descriptor.isHolding) return true;
  return false;
}

/** As `SmallEngine.turn`. Errors of what is called are those of nobody, and end the process. */
export function turn(): boolean {
  const next = due[called];
  if (next !== undefined) {
    called++;
    next();
    return true;
  }
  if (!isHeld()) return false;
  due = [];
  called = 0;
  const immediate = immediates;
  immediates = [];
  let milliseconds: number | undefined;
  if (immediate.length > 0) milliseconds = 0;
  else if (timers.size > 0) milliseconds = untilNext();
  wait(milliseconds);
  dueTimers();
  due = due.concat(immediate);
  return true;
}

/** Milliseconds until a timer is due. */
function untilNext(): number {
  let first = Number.POSITIVE_INFINITY;
  for (const timer of timers) if (timer.due < first) first = timer.due;
  return Math.max(0, first - now());
}

/** Has the host call all this. */
export function begin(): void {
  engine.turn = turn;
  engine.watch = watch;
}
