/**
 * What happened to containers, images, networks and volumes: `events.jsonl` in the data root, one line for each event in
 * the form of docker's API. Nobody keeps it but those who act: each event is one write of less than 4 KiB to a file
 * opened with O_APPEND, which the kernel does not interleave (man 2 write), so that no lock and no daemon is needed.
 */
import { fstatSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } from '../linux/constants.ts';
import { AT_FDCWD, close, flock, openat, writeAll } from '../linux/fs.ts';
import type { ContainerRecord } from './record.ts';

export type EventType = 'builder' | 'container' | 'image' | 'network' | 'volume';

export interface EngineEvent {
  type: EventType;
  /** Docker's word: `create`, `start`, `die`, `pull`, `health_status: healthy`, … */
  action: string;
  /** Of the container, image or network; the name of a volume. */
  id: string;
  /** What filters look at: `name`, `image`, `exitCode`, labels, … */
  attributes: Readonly<Record<string, string>>;
}

/** Bytes of the journal at which it becomes `events.jsonl.1`. */
const maxSize = 8 * 1024 * 1024;
/** Bytes of one line: what the kernel writes as a whole. */
const maxLine = 4096;
/** Bytes of a monitor's line that are not in its prepared text: two actions, an exit code, two times. */
const reserved = 640;
/** Characters of one attribute when a line would become too long. */
const shortAttribute = 64;

/** The journal of a data root; the file that was full before it is `events.jsonl.1`. */
export function journalPath(root: string): string {
  return join(root, 'events.jsonl');
}

/** An event as a line of the journal. `time`: nanoseconds since the epoch. */
export function formatEvent(event: EngineEvent, time: bigint): string {
  const { type, action, id } = event;
  const line = (attributes: EngineEvent['attributes']): string => {
    const old = type === 'container' ? { status: action, id, from: attributes.image ?? '' } : {};
    const actor = { Type: type, Action: action, Actor: { ID: id, Attributes: attributes }, scope: 'local' };
    const seconds = time / 1_000_000_000n;
    // Nanoseconds do not fit a number of JavaScript: they are put in as text.
    return `${JSON.stringify({ ...old, ...actor, time: Number(seconds) }).slice(0, -1)},"timeNano":${time}}\n`;
  };
  const whole = line(event.attributes);
  if (Buffer.byteLength(whole) <= maxLine) return whole;
  const cut = Object.entries(event.attributes).map(([name, value]) => [name, value.slice(0, shortAttribute)] as const);
  const shortened = line(Object.fromEntries(cut));
  if (Buffer.byteLength(shortened) <= maxLine) return shortened;
  const { name = '', image = '', exitCode } = event.attributes;
  return line({ name, image, ...(exitCode === undefined ? {} : { exitCode }) });
}

/**
 * What the monitor puts behind the two actions of an event that it records itself (native/monitor.h): the text of
 * `formatEvent`, cut where the action and further attributes go.
 */
export function monitorEvent(record: ContainerRecord): string {
  const mark = '\u0000';
  const event = (attributes: Record<string, string>): string =>
    formatEvent({ type: 'container', action: mark, id: record.id, attributes }, 0n);
  const all = event(containerAttributes(record));
  // With many labels a line would be longer than one write keeps whole: then without them.
  const text =
    Buffer.byteLength(all) <= maxLine - reserved ? all : event({ image: record.image.reference, name: record.name });
  const written = JSON.stringify(mark).slice(1, -1);
  // A label of the image may have the mark as well: only the first two are the actions.
  const [, first = '', ...rest] = text.split(written);
  const second = rest.join(written);
  return `${first}\n${second.slice(0, second.lastIndexOf('}},"scope"'))}`;
}

/** No link is followed, and no reader of a fifo waited for: then there is no journal. */
const appending = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;

/** Opens the journal for appending; the caller closes it. */
function openJournal(root: string): number {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const path = journalPath(root);
  const fd = openat(AT_FDCWD, path, appending, 0o600);
  if (fstatSync(fd).size < maxSize) return fd;
  // Whoever gets the full file's lock, and finds it still in its place, sets it aside.
  if (flock(fd, 'exclusive', false) && statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) {
    renameSync(path, `${path}.1`);
  }
  close(fd);
  return openat(AT_FDCWD, path, appending, 0o600);
}

/** Appends an event. What cannot be written (a full disk) is lost: no command fails for its journal. */
export function recordEvent(root: string, event: EngineEvent): void {
  try {
    const fd = openJournal(root);
    try {
      // A line is written whole or it is no line: writeAll writes it with one call.
      writeAll(fd, Buffer.from(formatEvent(event, BigInt(Date.now()) * 1_000_000n)));
    } finally {
      close(fd);
    }
  } catch {
    // The action itself has been done.
  }
}

/** Attributes of a container's events, as docker gives them: its labels, image and name. */
function containerAttributes(
  record: ContainerRecord,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return { ...record.labels, image: record.image.reference, name: record.name, ...more };
}

/** Appends an event of a container. */
export function recordContainerEvent(
  root: string,
  record: ContainerRecord,
  action: string,
  more: Readonly<Record<string, string>> = {},
): void {
  recordEvent(root, { type: 'container', action, id: record.id, attributes: containerAttributes(record, more) });
}

/** Appends an event for each volume of a container that starts or has ended, with docker's attributes. */
export function recordVolumeEvents(root: string, record: ContainerRecord, action: 'mount' | 'unmount'): void {
  for (const { type, name, destination, readWrite } of record.mounts) {
    if (type !== 'volume' || name === undefined) continue;
    const base = { container: record.id, driver: 'local' };
    const mounted = { destination, propagation: '', 'read/write': String(readWrite) };
    recordEvent(root, {
      type: 'volume',
      action,
      id: name,
      attributes: action === 'mount' ? { ...base, ...mounted } : base,
    });
  }
}
