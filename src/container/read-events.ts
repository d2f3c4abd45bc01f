/** Reading the journal of events (events.ts): what is there, and what comes, over its rotation. */
import {
  closeSync,
  constants,
  type FSWatcher,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  watch,
} from 'node:fs';
import { journalPath } from './events.ts';

/** An event as it was recorded. */
export interface RecordedEvent {
  /** The line of the journal, in the form of docker's API. */
  line: string;
  type: string;
  action: string;
  id: string;
  attributes: Record<string, string>;
  scope: string;
  /** Seconds and nanoseconds since the epoch. */
  time: number;
  timeNano: bigint;
}

/** A line of the journal; undefined for what is none: a disk that was full may have cut one short. */
export function parseEvent(line: string): RecordedEvent | undefined {
  // Nanoseconds are more than a number of JavaScript holds: they are read as text.
  const nanoseconds = /"timeNano":(\d+)\}$/.exec(line)?.[1];
  if (nanoseconds === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { Type, Action, Actor, scope, time } = value as Record<string, unknown>;
  if (typeof Type !== 'string' || typeof Action !== 'string' || typeof Actor !== 'object' || Actor === null)
    return undefined;
  const { ID, Attributes } = Actor as Record<string, unknown>;
  const attributes = Object.entries(typeof Attributes === 'object' && Attributes !== null ? Attributes : {});
  return {
    line,
    type: Type,
    action: Action,
    id: String(ID ?? ''),
    attributes: Object.fromEntries(attributes.map(([name, text]) => [name, String(text)])),
    scope: String(scope ?? 'local'),
    time: Number(time),
    timeNano: BigInt(nanoseconds),
  };
}

/** Milliseconds between two looks at the journal, should nobody tell of a change. */
const interval = 500;

/** One file of the journal, read line by line. */
class JournalFile {
  private constructor(
    readonly fd: number,
    private offset: number,
  ) {}

  static open(path: string, from: 'start' | 'end'): JournalFile | undefined {
    try {
      const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      return new JournalFile(fd, from === 'start' ? 0 : fstatSync(fd).size);
    } catch {
      return undefined;
    }
  }

  *lines(): Generator<string> {
    const buffer = Buffer.alloc(64 * 1024);
    for (;;) {
      const size = readSync(this.fd, buffer, 0, buffer.length, this.offset);
      if (size === 0) return;
      // Whole lines only, so that no character is cut in two.
      const end = buffer.lastIndexOf(0x0a, size - 1) + 1;
      if (end === 0) return;
      this.offset += end;
      yield* buffer
        .toString('utf8', 0, end)
        .split('\n')
        .filter((line) => line !== '');
    }
  }

  get inode(): number {
    return fstatSync(this.fd).ino;
  }

  close(): void {
    closeSync(this.fd);
  }
}

export interface ReadOptions {
  /** Also what was recorded before now. */
  past: boolean;
  /** Go on until this moment (milliseconds since the epoch); undefined: for ever. */
  until: number | undefined;
}

/** Calls `take` for every event, in the order of the journal, until the time is over. */
export async function readEvents(
  root: string,
  options: ReadOptions,
  take: (event: RecordedEvent) => void,
): Promise<void> {
  const path = journalPath(root);
  const takeAll = (file: JournalFile): void => {
    for (const line of file.lines()) {
      const event = parseEvent(line);
      if (event !== undefined) take(event);
    }
  };
  mkdirSync(root, { recursive: true, mode: 0o700 });
  // The watch first: what is written between the first read and the first wait must wake us.
  const wake = new Waker(root, 'events.jsonl');
  try {
    let current = JournalFile.open(path, options.past ? 'start' : 'end');
    if (options.past) {
      const older = JournalFile.open(`${path}.1`, 'start');
      if (older !== undefined && older.inode !== current?.inode) takeAll(older);
      older?.close();
    }
    for (;;) {
      current ??= JournalFile.open(path, 'start');
      if (current !== undefined) {
        takeAll(current);
        if (statSync(path, { throwIfNoEntry: false })?.ino !== current.inode) {
          // Set aside: what came to it after the last read, then its successor.
          takeAll(current);
          current.close();
          current = undefined;
          if (statSync(path, { throwIfNoEntry: false }) !== undefined) continue;
        }
      }
      const left = options.until === undefined ? interval : options.until - Date.now();
      if (left <= 0) return;
      await wake.wait(Math.min(left, interval));
    }
  } finally {
    wake.close();
  }
}

/** Sleeps until a file of a directory changes (man 7 inotify), or some time has passed. */
class Waker {
  private watcher: FSWatcher | undefined;
  private changed = false;
  private wakeUp: () => void = () => {};

  constructor(directory: string, name: string) {
    try {
      this.watcher = watch(directory, (_, file) => {
        if (file !== null && file !== name) return;
        this.changed = true;
        this.wakeUp();
      });
      this.watcher.on('error', () => {});
    } catch {
      // No watch is left: the interval is enough.
    }
  }

  async wait(milliseconds: number): Promise<void> {
    if (!this.changed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.changed = false;
  }

  close(): void {
    this.watcher?.close();
  }
}
